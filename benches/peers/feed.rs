//! The events, the same for every system, and who takes which.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::support::events::{Row, row};
use super::support::load::{Load, Shape};

/// A part of a run: who sends, and until when.
pub(crate) struct Phase {
    pub(crate) shape: Shape,
    /// Of ten parts of the events, those that are there once it has ended.
    tenths: usize,
    /// It ends when its events do, rather than after a time.
    whole: bool,
}

/// One after the other, so that afterwards every system holds the same events.
pub(crate) fn phases() -> [Phase; 3] {
    let phase = |shape, tenths, whole| Phase {
        shape,
        tenths,
        whole,
    };
    [
        phase(Shape::single(1), 1, false),
        phase(Shape::single(32), 6, false),
        phase(Shape::batches(2, 2), 10, true),
    ]
}

/// Hands the events out, each once.
#[derive(Clone)]
pub(crate) struct Feed {
    rows: Arc<Vec<Row>>,
    next: Arc<AtomicUsize>,
    /// For as long a phase lasts that does not end by itself.
    seconds: Duration,
}

impl Feed {
    pub(crate) fn new(entries: u64, seconds: u64) -> Self {
        Self {
            rows: Arc::new((0..entries).map(|n| row(n, entries)).collect()),
            next: Arc::default(),
            seconds: Duration::from_secs(seconds),
        }
    }

    /// The same events once more, from the first.
    pub(crate) fn again(&self) -> Self {
        Self {
            next: Arc::default(),
            ..self.clone()
        }
    }

    pub(crate) fn entries(&self) -> usize {
        self.rows.len()
    }

    pub(crate) fn all(&self) -> &[Row] {
        &self.rows
    }

    pub(crate) fn seconds(&self) -> Duration {
        self.seconds
    }

    /// The seq behind the last event of a phase.
    pub(crate) fn end(&self, phase: &Phase) -> usize {
        self.rows.len() * phase.tenths / 10
    }

    pub(crate) fn duration(&self, phase: &Phase) -> Duration {
        // As good as for ever.
        let whole = Duration::from_secs(86_400);
        if phase.whole { whole } else { self.seconds }
    }

    /// Up to `most` of the events before `end` that nobody has taken.
    pub(crate) fn take(&self, most: usize, end: usize) -> &[Row] {
        let taken = |next: usize| (next < end).then(|| end.min(next + most));
        let relaxed = Ordering::Relaxed;
        match self.next.fetch_update(relaxed, relaxed, taken) {
            Ok(start) => {
                &self.rows[Range {
                    start,
                    end: end.min(start + most),
                }]
            }
            Err(_) => &[],
        }
    }

    /// Runs a phase with blocking clients, a thread each: `call` sends rows and returns once they are acknowledged.
    /// `encode` comes before, and is in no latency.
    pub(crate) fn run<C: Send, T>(
        &self,
        phase: &Phase,
        clients: &mut [C],
        encode: impl Fn(&[Row]) -> T + Sync,
        call: impl Fn(&mut C, T) + Sync,
    ) -> Load {
        let (end, start) = (self.end(phase), Instant::now());
        let until = start + self.duration(phase);
        let work = |client: &mut C| {
            let (mut entries, mut latencies) = (0, Vec::new());
            while Instant::now() < until {
                let rows = self.take(phase.shape.events, end);
                if rows.is_empty() {
                    break;
                }
                let request = encode(rows);
                let start = Instant::now();
                call(client, request);
                latencies.push(start.elapsed());
                entries += rows.len() as u64;
            }
            (entries, latencies)
        };
        let (mut entries, mut latencies) = (0, Vec::new());
        std::thread::scope(|scope| {
            let work = &work;
            let threads: Vec<_> = clients
                .iter_mut()
                .map(|client| scope.spawn(move || work(client)))
                .collect();
            for thread in threads {
                let (sent, times) = thread.join().unwrap();
                entries += sent;
                latencies.extend(times);
            }
        });
        Load {
            entries,
            elapsed: start.elapsed(),
            latencies,
        }
    }
}
