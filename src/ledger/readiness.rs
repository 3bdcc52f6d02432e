//! Whether the ledger can append now, and how it is.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::Ledger;
use super::error::LedgerError;
use super::meters::AppendCounts;
use super::ports::Clock;
use crate::store::Store;

/// How far the clock may run ahead of the monotonic one before nothing is sealed under it.
const MAX_CLOCK_JUMP: Duration = Duration::from_secs(3600);
/// Nothing is appended when the volume has less than this free: queries and recovery need some.
const RESERVE_BYTES: u64 = 256 * 1024 * 1024;

/// Reads the clock, as long as it can be believed.
pub(crate) struct ClockGuard {
    clock: Arc<dyn Clock>,
    /// The last time that was sealed or read, whichever was later, and the monotonic clock then.
    last: Mutex<(u64, Duration)>,
}

impl ClockGuard {
    /// `recorded_at` is the time of the last entry.
    pub(crate) fn new(clock: Arc<dyn Clock>, recorded_at: u64) -> Self {
        let last = (clock.unix_nanos().max(recorded_at), clock.monotonic());
        Self {
            clock,
            last: Mutex::new(last),
        }
    }

    /// What the monotonic clock says.
    pub(crate) fn monotonic(&self) -> Duration {
        self.clock.monotonic()
    }

    /// The time for the next entries: never before that of the last one, and never far ahead of what has passed.
    pub(crate) fn read(&self) -> Result<u64, LedgerError> {
        let (wall, monotonic) = self.believed()?;
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        // A clock that was set back may return to where it was.
        *last = (wall.max(last.0), monotonic);
        Ok(last.0)
    }

    /// Whether it can be read now.
    pub(crate) fn check(&self) -> Result<(), LedgerError> {
        self.believed().map(drop)
    }

    fn believed(&self) -> Result<(u64, Duration), LedgerError> {
        let (wall, monotonic) = (self.clock.unix_nanos(), self.clock.monotonic());
        let (last_wall, last_monotonic) = *self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let passed = monotonic.saturating_sub(last_monotonic) + MAX_CLOCK_JUMP;
        let limit = last_wall.saturating_add(u64::try_from(passed.as_nanos()).unwrap_or(u64::MAX));
        if wall > limit {
            let seconds = (wall - last_wall) / 1_000_000_000;
            return Err(LedgerError::ClockJump { seconds });
        }
        Ok((wall, monotonic))
    }
}

/// Whether the volume of `store` has room for more entries.
pub(crate) fn check_room(store: &dyn Store) -> Result<(), LedgerError> {
    match store.free_bytes()? {
        Some(free_bytes) if free_bytes < RESERVE_BYTES => Err(LedgerError::Full {
            free_bytes,
            reserve_bytes: RESERVE_BYTES,
        }),
        _ => Ok(()),
    }
}

/// How a ledger is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Figures {
    /// Entries of the newest checkpoint.
    pub entries: u64,
    /// When the last of them was recorded: nanoseconds since 1970, UTC; none without entries.
    pub recorded_at: Option<u64>,
    /// Entries that no sealed segment of the search index covers.
    pub unindexed: u64,
    /// Bytes that wait to be sealed, in steps of 1,024.
    pub queue_bytes: u64,
    /// Bytes free where the store lies; none where that has no meaning.
    pub free_bytes: Option<u64>,
    /// Appends since the start.
    pub appends: AppendCounts,
}

impl Ledger {
    /// Why nothing could be appended now, if that is so. Nothing is tried.
    pub fn check_ready(&self) -> Result<(), LedgerError> {
        if self.stop_reason().is_some() {
            return Err(self.queue.stopped());
        }
        check_room(&*self.store)?;
        self.clock.check()
    }

    /// How it is now. Reads one entry.
    pub fn figures(&self) -> Result<Figures, LedgerError> {
        let entries = self.published().size();
        let last = entries.checked_sub(1).map(|last| self.reader.entry(last));
        Ok(Figures {
            entries,
            recorded_at: last.transpose()?.map(|entry| entry.header.recorded_at),
            unindexed: entries.saturating_sub(self.segments.sealed().levels.covered()),
            queue_bytes: self.queue.waiting_bytes() as u64,
            free_bytes: self.store.free_bytes()?,
            appends: self.meters.counts(),
        })
    }
}
