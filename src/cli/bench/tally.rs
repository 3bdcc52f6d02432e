//! What came out of the calls so far.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use super::pace::{Pace, TENTHS, Turn};
use crate::cli::bodies::malformed;
use crate::cli::failure::Failure;
use crate::entry::{CheckedEvent, v1};
use crate::verify::{Expected, verify_receipt};

/// Figures to the third digit, in nanoseconds, up to an hour.
const DIGITS: u8 = 3;
const LONGEST: Duration = Duration::from_secs(3600);

/// What all clients share.
pub(super) struct Run {
    pub(super) pace: Arc<Pace>,
    /// A call that takes longer has failed.
    pub(super) timeout: Duration,
    /// Calls are made as they are due.
    pub(super) open: bool,
    /// What receipts are verified against, if they are.
    pub(super) expected: Option<Expected>,
    tally: Mutex<Tally>,
}

/// Counts and times of the calls that count.
#[derive(Debug)]
pub(super) struct Tally {
    /// Nanoseconds until the answer, of each call that was answered, and until the end of the run, of each that was due and
    /// not sent by then; by the tenths of the run.
    pub(super) latency: [Histogram<u64>; TENTHS],
    /// Nanoseconds from when a call was due until it was sent.
    pub(super) lateness: Histogram<u64>,
    /// Calls, or events of streams, that were answered.
    pub(super) calls: u64,
    pub(super) entries: u64,
    pub(super) detail_bytes: u64,
    /// Calls that were due and not sent before the end.
    pub(super) unsent: u64,
    /// Calls that failed, by what they were refused with.
    pub(super) errors: BTreeMap<String, u64>,
    /// The first failure of all, the warm-up included.
    pub(super) first_failure: Option<Failure>,
    /// Clients that gave up, since call after call failed.
    pub(super) gave_up: u64,
    /// Receipts that were verified, the entries they are about, and how long that took.
    pub(super) receipts: u64,
    pub(super) receipt_entries: u64,
    pub(super) receipt_time: Duration,
    /// When the last answer came.
    pub(super) last_answer: Option<Instant>,
}

/// What a call that was answered was about.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Amount {
    pub(super) entries: u64,
    pub(super) detail_bytes: u64,
}

impl Tally {
    fn new() -> Result<Self, Failure> {
        let lateness = Histogram::new_with_max(nanoseconds(LONGEST), DIGITS)
            .map_err(|error| Failure::other(format!("no histogram: {error}")))?;
        Ok(Self {
            latency: std::array::from_fn(|_| lateness.clone()),
            lateness,
            calls: 0,
            entries: 0,
            detail_bytes: 0,
            unsent: 0,
            errors: BTreeMap::new(),
            first_failure: None,
            gave_up: 0,
            receipts: 0,
            receipt_entries: 0,
            receipt_time: Duration::ZERO,
            last_answer: None,
        })
    }
}

impl Tally {
    /// The latencies of the whole run.
    pub(super) fn all_latencies(&self) -> Histogram<u64> {
        let mut all = Histogram::new_from(&self.lateness);
        for tenth in &self.latency {
            // It cannot fail: they are of one size.
            let _ = all.add(tenth);
        }
        all
    }

    fn record_latency(&mut self, turn: &Turn, latency: Duration) {
        if let Some(histogram) = self.latency.get_mut(turn.tenth) {
            histogram.saturating_record(nanoseconds(latency));
        }
    }
}

impl Run {
    pub(super) fn new(
        pace: Arc<Pace>,
        timeout: Duration,
        open: bool,
        expected: Option<Expected>,
    ) -> Result<Self, Failure> {
        Ok(Self {
            pace,
            timeout,
            open,
            expected,
            tally: Mutex::new(Tally::new()?),
        })
    }

    /// The figures so far.
    pub(super) fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until a call is to be sent; none when there are no more. Calls that cannot be sent any more count with the time
    /// that they have waited, or else a server that takes too few would look quick.
    pub(super) async fn turn(&self) -> Option<Turn> {
        loop {
            let turn = self.pace.next().await?;
            if !turn.unsent {
                return Some(turn);
            }
            if turn.counts {
                let mut tally = self.tally();
                tally.unsent += 1;
                tally.record_latency(&turn, turn.from.elapsed());
            }
        }
    }

    /// Takes down that calls, which were sent at the times given, were answered at `answered`.
    pub(super) fn answered<'a>(
        &self,
        calls: impl IntoIterator<Item = (&'a Turn, Instant, Amount)>,
        answered: Instant,
    ) {
        let mut tally = self.tally();
        for (turn, sent, amount) in calls {
            if !turn.counts {
                continue;
            }
            tally.last_answer = Some(answered);
            let latency = answered.saturating_duration_since(turn.from);
            tally.record_latency(turn, latency);
            let late = sent.saturating_duration_since(turn.from);
            tally.lateness.saturating_record(nanoseconds(late));
            tally.calls += 1;
            tally.entries += amount.entries;
            tally.detail_bytes += amount.detail_bytes;
        }
    }

    /// Takes down that a call failed. A failure that no call was refused with ends the run.
    pub(super) fn failed(&self, turn: &Turn, failure: Failure) -> Result<(), Failure> {
        let Some(code) = failure.refused_with() else {
            return Err(failure);
        };
        if turn.counts {
            *self.tally().errors.entry(code_name(code)).or_default() += 1;
        }
        self.note(failure);
        Ok(())
    }

    /// Keeps the first failure.
    pub(super) fn note(&self, failure: Failure) {
        self.tally().first_failure.get_or_insert(failure);
    }

    /// Takes down that a client gave up.
    pub(super) fn gave_up(&self) {
        self.tally().gave_up += 1;
    }

    /// Verifies the receipt of events that the server took in one run, if receipts are verified.
    pub(super) fn verify(
        &self,
        counts: bool,
        receipt: Option<&v1::Receipt>,
        events: &[CheckedEvent],
    ) -> Result<(), Failure> {
        let receipt = receipt.ok_or_else(|| malformed("a receipt is missing"))?;
        let Some(expected) = &self.expected else {
            return Ok(());
        };
        let events: Vec<&CheckedEvent> = events.iter().collect();
        let begin = Instant::now();
        let verified = verify_receipt(receipt, &events, expected);
        let time = begin.elapsed();
        verified.map_err(|finding| {
            Failure::tampered(format!("the receipt does not verify: {finding}"))
        })?;
        if counts {
            let mut tally = self.tally();
            tally.receipts += 1;
            tally.receipt_entries += events.len() as u64;
            tally.receipt_time += time;
        }
        Ok(())
    }
}

/// Nanoseconds of a time.
pub(super) fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// A code as the gRPC specification spells it, `DEADLINE_EXCEEDED`.
fn code_name(code: tonic::Code) -> String {
    let mut name = String::new();
    for letter in format!("{code:?}").chars() {
        if letter.is_ascii_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_uppercase());
    }
    name
}
