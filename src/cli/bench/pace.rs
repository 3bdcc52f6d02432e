//! When calls are made: one after the other, or as they are due.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

use super::arguments::Load;

/// The thread that says what is due looks so often whether it is to stop.
const LOOK: Duration = Duration::from_millis(50);

/// The last calls are due right before the end, and may be sent so much after it.
const GRACE: Duration = Duration::from_millis(10);

/// A run is looked at by tenths, to see whether its end is slower than its beginning.
pub(super) const TENTHS: usize = 10;

/// One call to make.
#[derive(Debug, Clone, Copy)]
pub(super) struct Turn {
    /// Where its time begins: when it was due, or now where nothing is due.
    pub(super) from: Instant,
    /// Whether it counts, or only warms up.
    pub(super) counts: bool,
    /// In which tenth of the run, by calls where they are counted and else by time.
    pub(super) tenth: usize,
    /// The run, or its warm-up, was over before it could be sent.
    pub(super) unsent: bool,
}

/// The schedule that all clients share.
#[derive(Debug)]
pub(super) struct Pace {
    begin: Instant,
    /// The end of the warm-up.
    counted_from: Instant,
    /// When to stop; none where calls are counted.
    end: Option<Instant>,
    count: Option<u64>,
    open: Option<Open>,
    /// Turns that were taken: of an open loop all, of a closed one those that count.
    taken: AtomicU64,
    stopped: AtomicBool,
}

/// Evenly spaced calls.
#[derive(Debug)]
struct Open {
    rate: u64,
    /// Calls of the warm-up.
    warmup: u64,
    /// All calls.
    total: u64,
    /// A permit for each call that is due.
    due: Semaphore,
}

impl Pace {
    /// Begins now.
    pub(super) fn start(load: &Load) -> Arc<Self> {
        let begin = Instant::now();
        let counted_from = begin + load.warmup();
        let end = load.duration().map(|duration| counted_from + duration);
        let calls = |rate: u64, time: Duration| {
            let calls = time.as_nanos().saturating_mul(rate.into()) / 1_000_000_000;
            u64::try_from(calls).unwrap_or(u64::MAX)
        };
        let open = load.rate.map(|rate| {
            let warmup = calls(rate, load.warmup());
            let timed = calls(rate, load.duration().unwrap_or_default());
            Open {
                rate,
                warmup,
                total: warmup.saturating_add(load.count.unwrap_or(timed.max(1))),
                due: Semaphore::new(0),
            }
        });
        Arc::new(Self {
            begin,
            counted_from,
            end,
            count: load.count,
            open,
            taken: AtomicU64::new(0),
            stopped: AtomicBool::new(false),
        })
    }

    /// When calls begin to count.
    pub(super) fn counted_from(&self) -> Instant {
        self.counted_from
    }

    /// Makes no more calls.
    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
        if let Some(open) = &self.open {
            open.due.close();
        }
    }

    /// Waits until a call is to be made; none when there are no more. May be given up while it waits.
    pub(super) async fn next(&self) -> Option<Turn> {
        match &self.open {
            Some(open) => self.next_due(open).await,
            None => self.next_now(),
        }
    }

    fn next_now(&self) -> Option<Turn> {
        let from = Instant::now();
        let over = self.end.is_some_and(|end| from >= end);
        if over || self.stopped.load(Ordering::Relaxed) {
            return None;
        }
        let counts = from >= self.counted_from;
        let tenth = match self.count.filter(|_| counts) {
            Some(count) => {
                let taken = self.taken.fetch_add(1, Ordering::Relaxed);
                if taken >= count {
                    return None;
                }
                tenth(taken.into(), count.into())
            }
            None => self.tenth_at(from),
        };
        Some(Turn {
            from,
            counts,
            tenth,
            unsent: false,
        })
    }

    async fn next_due(&self, open: &Open) -> Option<Turn> {
        open.due.acquire().await.ok()?.forget();
        let index = self.taken.fetch_add(1, Ordering::Relaxed);
        if index >= open.total {
            // For whoever asks next.
            open.due.add_permits(1);
            return None;
        }
        let counts = index >= open.warmup;
        // What waits from the warm-up would hide what comes after it.
        let until = if counts {
            self.end.map(|end| end + GRACE)
        } else {
            Some(self.counted_from)
        };
        Some(Turn {
            from: self.due_at(open, index),
            counts,
            tenth: tenth(
                index.saturating_sub(open.warmup).into(),
                open.total.saturating_sub(open.warmup).into(),
            ),
            unsent: until.is_some_and(|until| Instant::now() >= until),
        })
    }

    /// The tenth of the time that calls count in.
    fn tenth_at(&self, at: Instant) -> usize {
        let since = |at: Instant| at.saturating_duration_since(self.counted_from).as_nanos();
        tenth(since(at), self.end.map_or(0, since))
    }

    fn due_at(&self, open: &Open, index: u64) -> Instant {
        let nanoseconds = u128::from(index) * 1_000_000_000 / u128::from(open.rate);
        self.begin + Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX))
    }

    /// Says which calls are due, on a thread of its own: the timer of the runtime counts milliseconds.
    pub(super) fn keep(self: &Arc<Self>) {
        if self.open.is_none() {
            return;
        }
        let pace = Arc::clone(self);
        thread::spawn(move || {
            let Some(open) = &pace.open else { return };
            for index in 0..open.total {
                let at = pace.due_at(open, index);
                loop {
                    let left = at.saturating_duration_since(Instant::now());
                    if pace.stopped.load(Ordering::Relaxed) {
                        return;
                    }
                    if left.is_zero() {
                        break;
                    }
                    thread::sleep(left.min(LOOK));
                }
                open.due.add_permits(1);
            }
            // The one that says that there are no more.
            open.due.add_permits(1);
        });
    }
}

/// The tenth of `whole` that lies at `part`, from 0.
fn tenth(part: u128, whole: u128) -> usize {
    let tenth = part.saturating_mul(TENTHS as u128) / whole.max(1);
    usize::try_from(tenth).map_or(TENTHS - 1, |tenth| tenth.min(TENTHS - 1))
}
