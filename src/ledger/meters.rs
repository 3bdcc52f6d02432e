//! What is counted about appends while the ledger runs.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::error::LedgerError;
use super::submission::Appended;

/// Upper bounds of the classes into which durations fall, in microseconds; the last class has none.
pub const DURATION_BOUNDS: [u64; 13] = [
    500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
    2_500_000, 10_000_000,
];

/// Appends since the start. An append is one submission, of one event or of a batch.
#[derive(Debug, Default)]
pub(crate) struct Meters {
    acknowledged: AtomicU64,
    refused: AtomicU64,
    unknown: AtomicU64,
    classes: [AtomicU64; DURATION_BOUNDS.len() + 1],
    microseconds: AtomicU64,
}

/// The same at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AppendCounts {
    /// Acknowledged, or found to be there already.
    pub acknowledged: u64,
    /// Refused: nothing was appended.
    pub refused: u64,
    /// Ended without an answer, since the ledger stopped.
    pub unknown: u64,
    /// How many of the acknowledged took at most so long as the bound of the same place in [`DURATION_BOUNDS`], and
    /// longer than the one before; the last one those that took longer than all.
    pub classes: Vec<u64>,
    /// How long the acknowledged took together, in microseconds.
    pub microseconds: u64,
}

impl Meters {
    /// Counts what `append` comes to.
    pub(crate) async fn count(
        &self,
        append: impl Future<Output = Result<Appended, LedgerError>>,
    ) -> Result<Appended, LedgerError> {
        let started = Instant::now();
        let outcome = append.await;
        match &outcome {
            Ok(_) => self.acknowledge(started.elapsed()),
            Err(LedgerError::Stopped(_)) => add(&self.unknown, 1),
            Err(_) => add(&self.refused, 1),
        }
        outcome
    }

    fn acknowledge(&self, took: Duration) {
        let took = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let class = DURATION_BOUNDS.partition_point(|bound| *bound < took);
        if let Some(class) = self.classes.get(class) {
            add(class, 1);
        }
        add(&self.microseconds, took);
        add(&self.acknowledged, 1);
    }

    pub(crate) fn counts(&self) -> AppendCounts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        AppendCounts {
            acknowledged: read(&self.acknowledged),
            refused: read(&self.refused),
            unknown: read(&self.unknown),
            classes: self.classes.iter().map(read).collect(),
            microseconds: read(&self.microseconds),
        }
    }
}

fn add(counter: &AtomicU64, count: u64) {
    // Wraps around, as counters do.
    counter.fetch_add(count, Ordering::Relaxed);
}
