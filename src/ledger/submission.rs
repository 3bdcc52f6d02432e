//! What a handler prepares before the order is known: salts, commitments and compressed parts.

use bytes::Bytes;
use prost::Message;
use tokio::sync::oneshot;

use super::error::LedgerError;
use super::pack::{EncodedParts, Parts, Record};
use super::ports::{Entropy, fill};
use super::published::Published;
use crate::entry::parts::{body_hash, commitment};
use crate::entry::redaction::Redacted;
use crate::entry::{CheckedEvent, Digest, Invalid, Kind, Salts, Seed, Tag, signature, v1};
use crate::store::Space;
use std::sync::Arc;

/// Events of one submitter, ready to be sealed together.
pub struct Submission {
    pub(crate) submitter: v1::Submitter,
    pub(crate) entries: Vec<Prepared>,
    pub(crate) parts: PreparedParts,
    /// What is stored in the same commit: space, key, value.
    pub(crate) beside: Vec<(Space, Vec<u8>, Vec<u8>)>,
    /// What else is changed in the Meta space in the same commit.
    pub(crate) marks: Vec<Mark>,
    /// Roughly what it occupies in memory.
    pub(crate) bytes: usize,
}

/// A change of the Meta space.
pub(crate) enum Mark {
    /// Puts the seq of the submission's first entry under this key.
    Seq(Vec<u8>),
    /// Removes this key.
    Remove(Vec<u8>),
}

/// The parts of a submission's entries.
pub(crate) enum PreparedParts {
    /// Small: the sequencer puts several submissions into one pack.
    Loose(Parts),
    /// Packs of their own.
    Packed(Vec<EncodedParts>),
}

/// One event, ready to be sealed.
pub(crate) struct Prepared {
    pub(crate) record: Record,
    pub(crate) idempotency_id: Bytes,
    pub(crate) envelope: Bytes,
    /// The parts 2 to 6, as they are sealed.
    pub(crate) parts: Vec<(Tag, Bytes)>,
    /// What was put out of them, if anything.
    pub(crate) redacted: Option<Box<Redacted>>,
}

impl Prepared {
    /// All parts in order, the envelope first.
    pub(crate) fn all_parts(&self) -> impl Iterator<Item = (Tag, &[u8])> + Clone {
        let envelope = std::iter::once((Tag::Envelope, self.envelope.as_ref()));
        envelope.chain(self.parts.iter().map(|(tag, bytes)| (*tag, bytes.as_ref())))
    }
}

impl Prepared {
    /// The actor's signature, if there is one.
    pub(crate) fn actor_signature(&self) -> Option<v1::ActorSignature> {
        let signed = self.record.actor_signature.then_some(&self.envelope);
        signed.and_then(|envelope| actor_signature(envelope))
    }
}

impl Prepared {
    /// What the envelope says was put out of the event.
    pub(crate) fn notes(&self) -> &[v1::Redaction] {
        self.redacted
            .as_ref()
            .map_or(&[], |redacted| &redacted.notes)
    }

    /// The parts 2 to 6 as the client sent them.
    pub(crate) fn received(&self) -> &[(Tag, Bytes)] {
        self.redacted
            .as_ref()
            .map_or(&self.parts, |redacted| &redacted.received)
    }

    /// The parts that are not sealed as they were sent.
    pub(crate) fn changed_parts(&self) -> impl Iterator<Item = (Tag, Bytes)> {
        let both = self.parts.iter().zip(self.received());
        both.filter(|(sealed, sent)| sealed != sent)
            .map(|(sealed, _)| sealed.clone())
    }
}

/// The actor's signature in an encoded envelope.
pub(crate) fn actor_signature(envelope: &[u8]) -> Option<v1::ActorSignature> {
    v1::Envelope::decode(envelope).ok()?.actor_signature
}

/// What became of a submission.
#[derive(Debug, Clone)]
pub struct Appended {
    /// The seq of the first new entry, when there is one.
    pub first_seq: u64,
    /// The ledger's time of the new entries, nanoseconds since 1970, UTC.
    pub recorded_at: u64,
    /// Chain hash of the entry before the first new one.
    pub previous: Digest,
    /// The envelopes of the new entries: one that they share, or one for each.
    pub envelopes: Vec<Bytes>,
    /// The seeds of the new entries.
    pub seeds: Vec<[u8; 32]>,
    /// Events that were there already: index in the submission, and seq.
    pub duplicates: Vec<(u32, u64)>,
    /// The parts of the new entries that are not sealed as they were sent: index among the new entries, and part.
    pub redacted: Vec<(u32, Tag, Bytes)>,
    /// The checkpoint that covers the new entries and the duplicates.
    pub published: Arc<Published>,
}

/// Where the outcome of a submission goes.
pub(crate) type Reply = oneshot::Sender<Result<Appended, LedgerError>>;

impl Submission {
    /// Prepares `events`, sent under `envelope`, for the ledger `origin`.
    pub(crate) fn prepare(
        events: Vec<CheckedEvent>,
        envelope: &v1::Envelope,
        origin: &str,
        entropy: &dyn Entropy,
    ) -> Result<Self, LedgerError> {
        let mut seeds = vec![[0; 32]; events.len()];
        fill(entropy, seeds.as_flattened_mut())?;
        let shared = Bytes::from(envelope.encode_to_vec());
        let mut entries = Vec::with_capacity(events.len());
        for (index, (event, seed)) in events.into_iter().zip(seeds).enumerate() {
            let prepared = Prepared::new(event, Seed(seed), envelope, &shared, origin)
                .map_err(|invalid| LedgerError::Invalid { index, invalid })?;
            entries.push(prepared);
        }
        Ok(Self::of(
            envelope.submitter.clone().unwrap_or_default(),
            entries,
        ))
    }

    /// One act of the ledger itself.
    pub(crate) fn act(
        kind: Kind,
        (what, context): (Vec<u8>, Vec<u8>),
        envelope: &v1::Envelope,
        seed: Seed,
    ) -> Self {
        let parts = vec![
            (Tag::What, Bytes::from(what)),
            (Tag::Context, Bytes::from(context)),
        ];
        let envelope_bytes = Bytes::from(envelope.encode_to_vec());
        let prepared = Prepared::seal(kind, false, seed, envelope_bytes, parts, Bytes::new());
        Self::of(
            envelope.submitter.clone().unwrap_or_default(),
            vec![prepared],
        )
    }

    fn of(submitter: v1::Submitter, entries: Vec<Prepared>) -> Self {
        let parts = PreparedParts::of(&entries);
        let sealed: usize = entries
            .iter()
            .flat_map(Prepared::all_parts)
            .map(|(_, b)| b.len())
            .sum();
        let received: usize = entries
            .iter()
            .filter_map(|entry| entry.redacted.as_ref())
            .flat_map(|redacted| &redacted.received)
            .map(|(_, b)| b.len())
            .sum();
        // The parts lie in memory twice: as received and as packed; of a redacted event once more, as they were sent.
        let bytes = 2 * sealed + received + entries.len() * 256;
        Self {
            submitter,
            entries,
            parts,
            beside: Vec::new(),
            marks: Vec::new(),
            bytes,
        }
    }
}

impl PreparedParts {
    pub(crate) fn of(entries: &[Prepared]) -> Self {
        let mut packs = Vec::new();
        let mut open = Parts::default();
        for (index, entry) in entries.iter().enumerate() {
            if open.is_empty() {
                let entries = entries.len() - index;
                open = Parts::with_room_for_more_like(entry.all_parts(), entries);
            }
            open.push(entry.all_parts());
            if open.is_full() {
                packs.push(std::mem::take(&mut open).compress());
            }
        }
        if packs.is_empty() {
            return Self::Loose(open);
        }
        if !open.is_empty() {
            packs.push(open.compress());
        }
        Self::Packed(packs)
    }
}

impl Prepared {
    fn new(
        event: CheckedEvent,
        seed: Seed,
        envelope: &v1::Envelope,
        shared: &Bytes,
        origin: &str,
    ) -> Result<Self, Invalid> {
        let CheckedEvent {
            parts,
            actor_signature,
            idempotency_id,
            redacted,
        } = event;
        let Some(actor_signature) = actor_signature else {
            let envelope = match &redacted {
                None => shared.clone(),
                Some(redacted) => {
                    let envelope = v1::Envelope {
                        redactions: redacted.notes.clone(),
                        ..envelope.clone()
                    };
                    Bytes::from(envelope.encode_to_vec())
                }
            };
            let sealed = Self::seal(Kind::Event, false, seed, envelope, parts, idempotency_id);
            return Ok(Self { redacted, ..sealed });
        };
        let signed: Vec<(Tag, &[u8])> = parts.iter().map(|(tag, b)| (*tag, b.as_ref())).collect();
        let seed = signature::verify(&actor_signature, origin, &signed)
            .map_err(|problem| Invalid::new("actor_signature", problem))?;
        let envelope = v1::Envelope {
            actor_signature: Some(signature::without_seed(&actor_signature)),
            ..envelope.clone()
        };
        let envelope = Bytes::from(envelope.encode_to_vec());
        Ok(Self::seal(
            Kind::Event,
            true,
            seed,
            envelope,
            parts,
            idempotency_id,
        ))
    }

    fn seal(
        kind: Kind,
        actor_signature: bool,
        seed: Seed,
        envelope: Bytes,
        parts: Vec<(Tag, Bytes)>,
        idempotency_id: Bytes,
    ) -> Self {
        let salts = Salts::derive(&seed);
        let envelope_commitment = commitment(&salts.of(Tag::Envelope), &envelope);
        let commitments = parts
            .iter()
            .map(|(tag, bytes)| (*tag, commitment(&salts.of(*tag), bytes)));
        let body_hash =
            body_hash(std::iter::once((Tag::Envelope, envelope_commitment)).chain(commitments));
        let record = Record {
            kind,
            actor_signature,
            body_hash,
            seed,
        };
        Self {
            record,
            idempotency_id,
            envelope,
            parts,
            redacted: None,
        }
    }
}
