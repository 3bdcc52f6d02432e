//! Which checkpoints are believed.

use super::entry::hash_text;
use super::verdict::{Check, Finding};
use crate::merkle::Hash;
use crate::note::{Checkpoint, Note, NoteError, VerifierKey};

/// Reads a checkpoint of the ledger `origin` that `key` must have signed.
pub(super) fn open_checkpoint(
    note: &Note,
    origin: &str,
    key: &VerifierKey,
) -> Result<Checkpoint, Finding> {
    Checkpoint::open_note(note, origin, key).map_err(|error| match error {
        NoteError::WrongOrigin { expected, found } => Finding::of(Check::Origin, expected, found),
        NoteError::Checkpoint(error) => {
            Finding::of(Check::Format, "a signed checkpoint", error.to_string())
        }
        error => Finding::of(
            Check::Signature,
            format!("a signature by {key}"),
            error.to_string(),
        ),
    })
}

/// Parses the text of a signed checkpoint, believing nothing of it.
pub(super) fn parse_note(note: &str) -> Result<Note, Finding> {
    Note::parse(note)
        .map_err(|error| Finding::of(Check::Format, "a signed checkpoint", error.to_string()))
}

/// Refuses a root that is not the expected one.
pub(super) fn expect_root(check: Check, expected: &Hash, found: &Hash) -> Result<(), Finding> {
    if expected == found {
        return Ok(());
    }
    let (expected, found) = (hash_text(expected), hash_text(found));
    Err(Finding::of(
        check,
        format!("root {expected}"),
        format!("root {found}"),
    ))
}
