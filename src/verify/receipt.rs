//! Receipts: whether what was acknowledged is what was sent.

use bytes::Bytes;
use prost::Message;

use super::entry::{check_envelope, check_parts, shown_envelope};
use super::trust::{open_checkpoint, parse_note};
use super::verdict::{Check, Finding};
use crate::entry::body::Body;
use crate::entry::redaction::is_rest_of;
use crate::entry::{CheckedEvent, Digest, Header, Kind, Seed, Tag, signature, v1};
use crate::merkle::{Hash, verify_range};
use crate::note::{Checkpoint, VerifierKey};

/// What a client knows before it asks.
#[derive(Debug, Clone)]
pub struct Expected {
    /// The ledger's name.
    pub origin: String,
    /// The ledger's key.
    pub key: VerifierKey,
    /// The client, as the ledger must have authenticated it; none to take what the receipt says.
    pub submitter: Option<v1::Submitter>,
}

/// Verifies that `events`, in this order, are the entries that `receipt` is about; gives their headers.
///
/// Everything is computed from the bytes that were sent: salts from the seeds, commitments, body
/// hashes with the envelopes, headers along the chain, leaf hashes, and from those the root that the
/// ledger's key signed. The envelope must name the expected submitter, so the ledger cannot have
/// sealed that somebody else sent the events. Findings count seq from the receipt's first.
pub fn verify_receipt(
    receipt: &v1::Receipt,
    events: &[&CheckedEvent],
    expected: &Expected,
) -> Result<Vec<Header>, Finding> {
    open_receipt(receipt, events, expected).map(|opened| opened.headers)
}

/// A receipt that has been verified, taken apart.
pub(super) struct Opened {
    pub(super) headers: Vec<Header>,
    pub(super) checkpoint: Checkpoint,
    pub(super) proof: Vec<Hash>,
    pub(super) seeds: Vec<Digest>,
}

pub(super) fn open_receipt(
    receipt: &v1::Receipt,
    events: &[&CheckedEvent],
    expected: &Expected,
) -> Result<Opened, Finding> {
    let first_seq = receipt.first_seq;
    let wrong = |expected: String, found: usize| {
        Finding::at(first_seq, Check::Receipt, expected, found.to_string())
    };
    let count = events.len();
    if count == 0 || first_seq.checked_add(count as u64).is_none() {
        return Err(wrong("1 event or more, up to the last seq".into(), count));
    }
    if receipt.envelopes.len() != 1 && receipt.envelopes.len() != count {
        return Err(wrong(
            format!("1 or {count} envelopes"),
            receipt.envelopes.len(),
        ));
    }
    let seeds = split_hashes(&receipt.seeds)
        .filter(|seeds| seeds.len() == count)
        .ok_or_else(|| wrong(format!("{count} seeds of 32 bytes"), receipt.seeds.len()))?;
    let proof = split_hashes(&receipt.proof)
        .ok_or_else(|| wrong("hashes of 32 bytes as proof".into(), receipt.proof.len()))?;
    let previous: Digest = receipt
        .previous
        .as_slice()
        .try_into()
        .map_err(|_| wrong("32 bytes of previous".into(), receipt.previous.len()))?;

    let envelopes: Vec<Bytes> = receipt
        .envelopes
        .iter()
        .map(|e| Bytes::copy_from_slice(e))
        .collect();
    let mut headers = Vec::with_capacity(count);
    let mut prev = previous;
    for ((event, seed), (index, seq)) in events.iter().zip(&seeds).zip((0..).zip(first_seq..)) {
        let envelope = envelopes
            .get(index)
            .or(envelopes.first())
            .cloned()
            .unwrap_or_default();
        let mut header = Header {
            kind: Kind::Event,
            actor_signature: event.actor_signature.is_some(),
            seq,
            recorded_at: receipt.recorded_at,
            body_hash: [0; 32],
            prev,
        };
        let parts = sealed_parts(receipt, index, event, &envelope).ok_or_else(|| altered(seq))?;
        header.body_hash = check_sealed(&header, event, &Seed(*seed), envelope, parts, expected)?;
        prev = header.chain_hash();
        headers.push(header);
    }

    let note = parse_note(&receipt.checkpoint)?;
    let checkpoint = open_checkpoint(&note, &expected.origin, &expected.key)?;
    let leaves: Vec<Hash> = headers.iter().map(Header::leaf_hash).collect();
    verify_range(
        first_seq,
        &leaves,
        checkpoint.size(),
        &proof,
        checkpoint.root(),
    )
    .map_err(|error| {
        let expected = format!("the events in the tree of {} entries", checkpoint.size());
        Finding::at(first_seq, Check::Root, expected, error.to_string())
    })?;
    Ok(Opened {
        headers,
        checkpoint,
        proof,
        seeds,
    })
}

/// The parts of the event `index` as the receipt says they were sealed: those that were sent, less what the envelope says was
/// put out of them. None if a part is otherwise another one.
fn sealed_parts(
    receipt: &v1::Receipt,
    index: usize,
    event: &CheckedEvent,
    envelope: &Bytes,
) -> Option<Vec<(Tag, Bytes)>> {
    let mut parts = event.parts.clone();
    let changed = receipt
        .redacted
        .iter()
        .filter(|part| part.index as usize == index);
    let mut notes = None;
    for part in changed {
        let notes: &Vec<v1::Redaction> = notes.get_or_insert_with(|| {
            let envelope = v1::Envelope::decode(envelope.clone());
            envelope.unwrap_or_default().redactions
        });
        let tag = Tag::from_number(part.tag)?;
        let (_, sent) = parts.iter_mut().find(|(sent, _)| *sent == tag)?;
        if !is_rest_of(notes, tag, &part.encoded, sent) {
            return None;
        }
        *sent = Bytes::copy_from_slice(&part.encoded);
    }
    Some(parts)
}

fn altered(seq: u64) -> Finding {
    let expected = "what was sent, but for what the envelope says was put out of it";
    Finding::at(seq, Check::Part, expected, "something else")
}

/// Checks that `event` may be sealed under `envelope`; gives the body hash that `header` still lacks.
fn check_sealed(
    header: &Header,
    event: &CheckedEvent,
    seed: &Seed,
    envelope: Bytes,
    sealed: Vec<(Tag, Bytes)>,
    expected: &Expected,
) -> Result<Digest, Finding> {
    let seq = header.seq;
    check_signers_seed(seq, event, seed, &expected.origin)?;
    let mut parts = vec![(Tag::Envelope, envelope)];
    parts.extend(sealed);
    let body = Body::disclose(seed, parts)
        .map_err(|error| Finding::at(seq, Check::Part, "parts in order", error.to_string()))?;
    check_parts(header, &body)?;
    let envelope = shown_envelope(&body).unwrap_or_default();
    check_envelope(header, None, &envelope)?;
    // The one that was sent has been verified, so an equal one needs no more.
    if envelope.actor_signature != event.actor_signature.as_ref().map(signature::without_seed) {
        let sent = "the actor's signature that was sent";
        return Err(Finding::at(seq, Check::ActorSignature, sent, "another one"));
    }
    if let Some(submitter) = &expected.submitter
        && envelope.submitter.as_ref() != Some(submitter)
    {
        let found = envelope
            .submitter
            .as_ref()
            .map_or_else(|| "none".into(), submitter_text);
        let expected = submitter_text(submitter);
        return Err(Finding::at(seq, Check::Submitter, expected, found));
    }
    Ok(body.hash())
}

/// A signer chooses the seed, so the ledger cannot seal the parts under another one.
fn check_signers_seed(
    seq: u64,
    event: &CheckedEvent,
    seed: &Seed,
    origin: &str,
) -> Result<(), Finding> {
    let Some(actor_signature) = &event.actor_signature else {
        return Ok(());
    };
    let wrong =
        |expected: &str, found: String| Finding::at(seq, Check::ActorSignature, expected, found);
    let parts: Vec<(Tag, &[u8])> = event
        .parts
        .iter()
        .map(|(tag, b)| (*tag, b.as_ref()))
        .collect();
    let signers = signature::verify(actor_signature, origin, &parts)
        .map_err(|problem| wrong("the actor's signature", format!("one that {problem}")))?;
    if signers == *seed {
        Ok(())
    } else {
        Err(wrong("the seed that the actor chose", "another one".into()))
    }
}

fn submitter_text(submitter: &v1::Submitter) -> String {
    format!(
        "{:?} vouched for by {:?}",
        submitter.subject, submitter.issuer
    )
}

/// Hashes, 32 bytes each, one after the other.
fn split_hashes(bytes: &[u8]) -> Option<Vec<Hash>> {
    let (hashes, rest) = bytes.as_chunks::<32>();
    rest.is_empty().then(|| hashes.to_vec())
}
