//! Time and randomness, so that tests can turn the clock back.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::error::LedgerError;

/// Tells the time.
pub trait Clock: Send + Sync + 'static {
    /// Nanoseconds since 1970, UTC; 0 before.
    fn unix_nanos(&self) -> u64;
    /// Time since some fixed moment, never decreasing.
    fn monotonic(&self) -> Duration;
}

/// Gives random bytes fit for secrets.
pub trait Entropy: Send + Sync + 'static {
    /// Fills `bytes`.
    fn fill(&self, bytes: &mut [u8]) -> std::io::Result<()>;
}

/// Random bytes, or the reason to stop: nothing is sealed without.
pub(crate) fn fill(entropy: &dyn Entropy, bytes: &mut [u8]) -> Result<(), LedgerError> {
    entropy
        .fill(bytes)
        .map_err(|error| LedgerError::Stopped(format!("no randomness: {error}")))
}

/// The clock of the machine.
#[derive(Debug)]
pub struct SystemClock {
    start: Instant,
}

impl Default for SystemClock {
    fn default() -> Self {
        Self {
            start: Instant::now(),
        }
    }
}

impl Clock for SystemClock {
    fn unix_nanos(&self) -> u64 {
        let since_1970 = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        u64::try_from(since_1970.as_nanos()).unwrap_or(u64::MAX)
    }

    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }
}

/// The randomness of the operating system.
#[derive(Debug, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn fill(&self, bytes: &mut [u8]) -> std::io::Result<()> {
        getrandom::fill(bytes).map_err(std::io::Error::other)
    }
}
