//! Checkpoints that somebody outside kept: what a start compares the store with, besides its own anchor.
//!
//! Who replaces the whole directory, anchor included, by yesterday's leaves nothing behind that tells. A checkpoint that a
//! witness, a mirror or a colleague wrote down does.

use std::sync::Arc;

use super::error::{LedgerError, Refusal};
use super::open::load_tree;
use crate::note::{Checkpoint, VerifierKey};
use crate::store::Read;

/// A signed checkpoint that was kept outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownCheckpoint {
    /// Where it comes from, for error messages: the name of a file.
    pub source: String,
    /// The signed note, with any cosignatures.
    pub note: Vec<u8>,
}

/// Refuses a store of `size` entries that does not extend every one of `known`. Only reads.
pub(super) fn check(
    store: &Arc<dyn Read>,
    size: u64,
    known: &[KnownCheckpoint],
    origin: &str,
    key: &VerifierKey,
) -> Result<(), LedgerError> {
    for KnownCheckpoint { source, note } in known {
        let known = Checkpoint::open(note, origin, key).map_err(|error| Refusal::BadKnown {
            from: source.clone(),
            what: error.to_string(),
        })?;
        if known.size() > size {
            return Err(Refusal::RolledBack {
                size,
                known: known.size(),
                from: source.clone(),
            }
            .into());
        }
        if load_tree(store, known.size())?.root() != *known.root() {
            return Err(Refusal::OtherThanKnown {
                size: known.size(),
                from: source.clone(),
            }
            .into());
        }
    }
    Ok(())
}
