//! How much room there is, and for how long.

use std::fs;
use std::path::Path;

use super::checks::row;
use super::{Checked, Outcome, Patient};
use crate::cli::answer::thousands;
use crate::cli::init::home;
use crate::ledger::{Clock, Growth, LedgerError, SystemClock, growth};
use crate::store::{StoreError, free_bytes_at};

/// Nothing is appended below.
const RESERVE: u64 = 256 * 1024 * 1024;
/// Less than so much above the reserve is warned of.
const LITTLE: u64 = 4 * 1024 * 1024 * 1024;
const DAY_NANOS: u64 = 24 * 3600 * 1_000_000_000;
/// A volume that is full sooner is warned of.
const SOON_DAYS: u64 = 30;

pub(super) fn free(dir: &Path) -> Checked {
    match free_bytes_at(dir) {
        Ok(free) => {
            let found = format!(
                "{} bytes free; nothing is appended below {}",
                thousands(free),
                thousands(RESERVE)
            );
            let outcome = match free {
                ..RESERVE => Outcome::Fail,
                free if free < RESERVE + LITTLE => Outcome::Warn,
                _ => Outcome::Ok,
            };
            row("space", outcome, found)
        }
        Err(error) => row("space", Outcome::Fail, error.to_string()),
    }
}

/// Days until the volume is full, if the ledger grows on as in the last day.
pub(super) fn forecast(patient: &Patient) -> Checked {
    let cannot = |why: &str| row("forecast", Outcome::Ok, format!("cannot tell: {why}"));
    let now = SystemClock::default().unix_nanos();
    let home = home(&patient.dir, Some(&patient.anchor));
    let Growth { entries, recent } = match growth(&home, now.saturating_sub(DAY_NANOS)) {
        Ok(growth) => growth,
        Err(LedgerError::Store(StoreError::InUse { .. })) => {
            return cannot("the ledger is running; compare graven_store_bytes of its metrics");
        }
        Err(LedgerError::Store(StoreError::Missing { .. })) => return cannot("there is no ledger"),
        Err(error) => return row("forecast", Outcome::Fail, error.to_string()),
    };
    let Ok(free) = free_bytes_at(&patient.dir) else {
        return cannot("the free space cannot be read");
    };
    let bytes = directory_bytes(&patient.dir.join("store"))
        .saturating_add(directory_bytes(&patient.dir.join("index")));
    // Of all entries, so that it includes what they need in tables and index.
    let each = u128::from(bytes) / u128::from(entries.max(1));
    let a_day = each * u128::from(recent);
    let Some(days) = u128::from(free.saturating_sub(RESERVE)).checked_div(a_day) else {
        return cannot("nothing was appended in the last day");
    };
    let days = u64::try_from(days).unwrap_or(u64::MAX);
    let found = format!(
        "full in {} days, at the {} entries of the last day and {each} bytes an entry",
        thousands(days),
        thousands(recent)
    );
    let outcome = if days < SOON_DAYS {
        Outcome::Warn
    } else {
        Outcome::Ok
    };
    row("forecast", outcome, found)
}

fn directory_bytes(dir: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(dir) else {
        return 0;
    };
    let lengths = entries.filter_map(|entry| Some(entry.ok()?.metadata().ok()?.len()));
    lengths.fold(0, u64::saturating_add)
}
