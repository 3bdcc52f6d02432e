//! How fast a stopped ledger grew.

use std::sync::Arc;

use super::error::{Damage, LedgerError};
use super::head::Head;
use super::home::Home;
use super::keys::HEAD;
use super::open::load_tree;
use super::reader::Reader;
use crate::store::{Read, Space};

/// Entries of a ledger, and those of late.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Growth {
    /// All entries.
    pub entries: u64,
    /// Those recorded since the time that was asked for.
    pub recent: u64,
}

/// How many entries the ledger in `home`, which no process may have open, recorded since `since` (nanoseconds since 1970, UTC).
/// Reads a few entries.
pub fn growth(home: &dyn Home, since: u64) -> Result<Growth, LedgerError> {
    let _lock = home.lock()?;
    let store: Arc<dyn Read> = home.read_store()?;
    let head = store
        .get(Space::Meta, HEAD)?
        .ok_or_else(|| LedgerError::Damaged(Damage::of("the head is missing")))?;
    let entries = Head::decode(&head)?.size;
    let tree = Arc::new(load_tree(&store, entries)?);
    let first = Reader::new(store, tree).first_recorded_at(since, entries)?;
    Ok(Growth {
        entries,
        recent: entries.saturating_sub(first),
    })
}
