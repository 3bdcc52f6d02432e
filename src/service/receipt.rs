//! Receipts: what binds the entries to the events that were sent.

use bytes::Bytes;
use prost::Message;

use crate::entry::{Tag, v1};
use crate::ledger::{Appended, Ledger, LedgerError};

/// Receipts for what a submission became.
pub(super) struct Receipts {
    /// Binds the new entries; none when there are none.
    pub(super) new: Option<v1::Receipt>,
    /// Binds the events that were there already.
    pub(super) duplicates: Vec<v1::Duplicate>,
}

/// Proves a submission's entries at the checkpoint that it was acknowledged with.
pub(super) fn of(ledger: &Ledger, appended: Appended) -> Result<Receipts, LedgerError> {
    let size = appended.published.size();
    let duplicates = appended.duplicates.iter().map(|(index, seq)| {
        let (receipt, erased_seq) = match of_entry(ledger, *seq, &appended) {
            Err(LedgerError::Erased { seq }) => (None, Some(seq)),
            receipt => (Some(receipt?), None),
        };
        Ok(v1::Duplicate {
            index: *index,
            receipt,
            erased_seq,
        })
    });
    let duplicates = duplicates.collect::<Result<_, LedgerError>>()?;
    if appended.seeds.is_empty() {
        return Ok(Receipts {
            new: None,
            duplicates,
        });
    }
    let end = appended
        .first_seq
        .saturating_add(appended.seeds.len() as u64);
    let proof = ledger.prove_range(appended.first_seq..end, size)?;
    let receipt = v1::Receipt {
        first_seq: appended.first_seq,
        recorded_at: appended.recorded_at,
        previous: appended.previous.to_vec(),
        envelopes: appended.envelopes.into_iter().map(Vec::from).collect(),
        seeds: appended.seeds.into_flattened(),
        proof: proof.into_flattened(),
        checkpoint: appended.published.note.clone(),
        redacted: appended.redacted.into_iter().map(redacted).collect(),
    };
    Ok(Receipts {
        new: Some(receipt),
        duplicates,
    })
}

/// A receipt for an entry that was there before.
fn of_entry(ledger: &Ledger, seq: u64, appended: &Appended) -> Result<v1::Receipt, LedgerError> {
    let (header, envelope, seed) = ledger.receipt_material(seq)?;
    let proof = ledger.prove_range(seq..seq.saturating_add(1), appended.published.size())?;
    let changed = redacted_parts(ledger, seq, &envelope)?;
    Ok(v1::Receipt {
        first_seq: seq,
        recorded_at: header.recorded_at,
        previous: header.prev.to_vec(),
        envelopes: vec![envelope.into()],
        seeds: seed.0.to_vec(),
        proof: proof.into_flattened(),
        checkpoint: appended.published.note.clone(),
        redacted: changed,
    })
}

/// The parts of the entry `seq` that `envelope` says something was put out of.
fn redacted_parts(
    ledger: &Ledger,
    seq: u64,
    envelope: &Bytes,
) -> Result<Vec<v1::RedactedPart>, LedgerError> {
    let notes = v1::Envelope::decode(envelope.clone())
        .unwrap_or_default()
        .redactions;
    if notes.is_empty() {
        return Ok(Vec::new());
    }
    let entry = ledger.entry(seq)?;
    let noted = |tag: &Tag| {
        let mut fields = notes.iter().filter_map(|note| note.field.split_once('.'));
        fields.any(|(part, _)| part == tag.name())
    };
    let parts = Tag::ALL.into_iter().filter(noted);
    let changed = parts.map(|tag| {
        let bytes = entry
            .body
            .disclosed(tag)
            .ok_or(LedgerError::Erased { seq })?;
        Ok(redacted((0, tag, bytes.clone())))
    });
    changed.collect()
}

fn redacted((index, tag, encoded): (u32, Tag, Bytes)) -> v1::RedactedPart {
    v1::RedactedPart {
        index,
        tag: tag.number().into(),
        encoded: encoded.into(),
    }
}
