//! Reading entries and proofs.

use std::sync::Arc;

use bytes::Bytes;
use tonic::{Response, Status};

use super::access::Scope;
use super::status;
use crate::entry::body::Content;
use crate::entry::parts::commitment;
use crate::entry::v1;
use crate::ledger::{Ledger, LedgerError, SealedEntry};

/// Runs a read where it may wait for the disk.
pub(super) async fn blocking<T: Send + 'static>(
    ledger: &Arc<Ledger>,
    read: impl FnOnce(&Ledger) -> Result<T, LedgerError> + Send + 'static,
) -> Result<Response<T>, Status> {
    answering(ledger, move |ledger| read(ledger).map_err(status::of)).await
}

/// The same, for a read that can also be refused.
pub(super) async fn answering<T: Send + 'static>(
    ledger: &Arc<Ledger>,
    read: impl FnOnce(&Ledger) -> Result<T, Status> + Send + 'static,
) -> Result<Response<T>, Status> {
    let ledger = Arc::clone(ledger);
    match tokio::task::spawn_blocking(move || read(&ledger)).await {
        Ok(result) => result.map(Response::new),
        Err(_) => Err(Status::internal("the read failed")),
    }
}

/// One entry with its proof at the newest checkpoint, if it lies within the scope.
pub(super) async fn one(
    ledger: &Arc<Ledger>,
    scope: Scope,
    seq: u64,
) -> Result<Response<v1::GetEntryResponse>, Status> {
    answering(ledger, move |ledger| {
        let sealed = ledger.entry(seq)?;
        scope.check_entry(&sealed.body)?;
        Ok(proved(ledger, &sealed, &scope)?)
    })
    .await
}

/// An entry with its proof at the newest checkpoint.
fn proved(
    ledger: &Ledger,
    entry: &SealedEntry,
    scope: &Scope,
) -> Result<v1::GetEntryResponse, LedgerError> {
    // Behind the entry, so that it covers also what says that something of it was erased.
    let published = ledger.published();
    let proof = ledger.prove_inclusion(entry.header.seq, published.size())?;
    Ok(v1::GetEntryResponse {
        entry: Some(scoped(entry, scope)),
        proof: proof.into_flattened(),
        checkpoint: published.note.clone(),
    })
}

/// The genesis descriptor and entry 0, as far as that lies within the scope.
pub(super) fn genesis(
    ledger: &Ledger,
    scope: &Scope,
) -> Result<v1::GetGenesisResponse, LedgerError> {
    let first_entry = match ledger.published().size() {
        0 => None,
        _ => Some(proved(ledger, &ledger.entry(0)?, scope)?),
    };
    Ok(v1::GetGenesisResponse {
        descriptor: ledger.genesis().encoded().to_vec(),
        first_entry,
    })
}

/// Proves that an entry is in a tree.
pub(super) fn inclusion(
    ledger: &Ledger,
    seq: u64,
    tree_size: u64,
) -> Result<v1::GetInclusionProofResponse, LedgerError> {
    let published = ledger.published();
    let size = if tree_size == 0 {
        published.size()
    } else {
        tree_size
    };
    Ok(v1::GetInclusionProofResponse {
        proof: ledger.prove_inclusion(seq, size)?.into_flattened(),
        checkpoint: published.note.clone(),
    })
}

/// Proves that one tree is the beginning of another.
pub(super) fn consistency(
    ledger: &Ledger,
    old_size: u64,
    new_size: u64,
) -> Result<v1::GetConsistencyProofResponse, LedgerError> {
    let published = ledger.published();
    let size = if new_size == 0 {
        published.size()
    } else {
        new_size
    };
    Ok(v1::GetConsistencyProofResponse {
        proof: ledger.prove_consistency(old_size, size)?.into_flattened(),
        checkpoint: published.note.clone(),
    })
}

/// An entry as a message. Outside of the scope it is the header and the commitments of its parts: they tell nothing of
/// what the parts say, and let the reader check the chain and the tree all the same.
pub(super) fn scoped(entry: &SealedEntry, scope: &Scope) -> v1::Entry {
    let mut shown = message(entry);
    if scope.shows(&entry.body) {
        return shown;
    }
    for (part, (_, content)) in shown.parts.iter_mut().zip(entry.body.parts()) {
        let commitment = match content {
            Content::Disclosed { bytes, salt } => commitment(salt, bytes),
            Content::Withheld(commitment) | Content::Erased(commitment) => *commitment,
        };
        part.content = Some(v1::part::Content::Withheld(commitment.to_vec()));
        part.erased_by = None;
    }
    shown
}

/// An entry as a message.
pub(super) fn message(entry: &SealedEntry) -> v1::Entry {
    let part = |tag: crate::entry::Tag, content: &Content| v1::Part {
        tag: tag.number().into(),
        content: Some(match content {
            Content::Disclosed { bytes, salt } => v1::part::Content::Disclosed(v1::DisclosedPart {
                encoded: bytes.clone(),
                salt: Bytes::copy_from_slice(salt),
            }),
            Content::Withheld(commitment) => v1::part::Content::Withheld(commitment.to_vec()),
            Content::Erased(commitment) => v1::part::Content::Erased(commitment.to_vec()),
        }),
        erased_by: entry
            .erased_by
            .iter()
            .find(|(erased, _)| *erased == tag)
            .map(|(_, by)| *by),
    };
    v1::Entry {
        header: entry.header.encode().to_vec(),
        parts: entry
            .body
            .parts()
            .iter()
            .map(|(tag, content)| part(*tag, content))
            .collect(),
    }
}
