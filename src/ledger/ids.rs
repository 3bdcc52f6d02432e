//! Idempotency: the same id from the same submitter with the same content is the same entry, exactly and for ever.
//!
//! Only the sequencer looks ids up, after everything before has been written, so there is no race to lose.

use bytes::Bytes;
use hashbrown::HashMap;
use prost::Message;

use super::error::{Damage, Existing, LedgerError};
use super::keys::{SUBMITTER_PREFIX, after, put_id_key, submitter_key};
use super::reader::Reader;
use super::submission::{Prepared, Submission};
use crate::entry::redaction::are_rest_of;
use crate::entry::v1;
use crate::store::{Batch, Direction, KeyRange, Read, Space};

/// Index and seq of those events of a submission that were there already.
type Duplicates = Vec<(u32, u64)>;

/// The numbers under which submitters' ids are kept.
pub(crate) struct Ids {
    submitters: HashMap<Vec<u8>, u32>,
}

/// An event of the group being sealed that has an id.
struct InGroup<'a> {
    seq: u64,
    submission: usize,
    event: usize,
    prepared: &'a Prepared,
}

impl Ids {
    /// Reads the submitters' numbers.
    pub(crate) fn load(store: &dyn Read) -> Result<Self, LedgerError> {
        let range = KeyRange::new(SUBMITTER_PREFIX..after(SUBMITTER_PREFIX).as_slice());
        let mut submitters = HashMap::new();
        for pair in store.scan(Space::Meta, range, Direction::Forward) {
            let (key, value) = pair?;
            submitters.insert(key.to_vec(), read_number(&value)?);
        }
        Ok(Self { submitters })
    }

    /// How many submitters have a number.
    pub(crate) fn submitters(&self) -> usize {
        self.submitters.len()
    }

    /// The number of a submitter that has used an id.
    pub(crate) fn find(&self, submitter: &v1::Submitter) -> Option<u32> {
        self.submitters
            .get(&submitter_key(&submitter.issuer, &submitter.subject))
            .copied()
    }

    /// Finds out, for each submission, which of its events are there already. The first new event of the first
    /// submission will have the seq `next_seq`, and so on. Writes the ids of new events to `batch`.
    pub(crate) fn resolve(
        &mut self,
        store: &dyn Read,
        reader: &Reader,
        submissions: &[&Submission],
        mut next_seq: u64,
        batch: &mut Batch,
    ) -> Result<Vec<Result<Duplicates, LedgerError>>, LedgerError> {
        let keys = self.keys(submissions, batch);
        let stored = look_up(store, &keys)?;
        let mut group: HashMap<&Bytes, InGroup<'_>> = HashMap::with_capacity(keys.len());
        let mut new_ids: Vec<(&Bytes, u64)> = Vec::new();
        let mut resolutions = Vec::with_capacity(submissions.len());
        let mut found = keys.iter().zip(stored);
        for (number, submission) in submissions.iter().enumerate() {
            let mut duplicates = Vec::new();
            let mut conflict = None;
            let mut seq = next_seq;
            new_ids.clear();
            for (event, prepared) in submission.entries.iter().enumerate() {
                // One key an event, empty without an id.
                let Some((key, stored)) = found.next() else {
                    break;
                };
                let existing = match (stored, group.get(key)) {
                    (Some(stored), _) => Some((
                        stored,
                        Existing::Entry(stored),
                        same_as_stored(reader, stored, prepared)?,
                    )),
                    (None, Some(other)) => {
                        let existing = if other.submission == number {
                            Existing::Event(other.event)
                        } else {
                            Existing::Entry(other.seq)
                        };
                        let same = same_as_in_group(other.prepared, prepared);
                        Some((other.seq, existing, same))
                    }
                    (None, None) => None,
                };
                match existing {
                    Some((seq, _, true)) => {
                        duplicates.push((u32::try_from(event).unwrap_or(u32::MAX), seq));
                    }
                    Some((_, existing, false)) => {
                        conflict.get_or_insert(LedgerError::IdConflict {
                            index: event,
                            existing,
                        });
                    }
                    None => {
                        if !key.is_empty() {
                            new_ids.push((key, seq));
                            let in_group = InGroup {
                                seq,
                                submission: number,
                                event,
                                prepared,
                            };
                            group.insert(key, in_group);
                        }
                        seq += 1;
                    }
                }
            }
            if let Some(conflict) = conflict {
                for (key, _) in &new_ids {
                    group.remove(key);
                }
                resolutions.push(Err(conflict));
                continue;
            }
            for (key, seq) in &new_ids {
                batch.put(Space::Id, Bytes::clone(key), seq.to_be_bytes().to_vec());
            }
            next_seq = seq;
            resolutions.push(Ok(duplicates));
        }
        Ok(resolutions)
    }

    /// A key for every event, empty for those without an id.
    fn keys(&mut self, submissions: &[&Submission], batch: &mut Batch) -> Vec<Bytes> {
        // All in one piece of memory.
        let mut bytes = Vec::new();
        let mut ends = Vec::new();
        for submission in submissions {
            let mut submitter = None;
            for entry in &submission.entries {
                let id = &entry.idempotency_id;
                if !id.is_empty() {
                    let submitter =
                        submitter.get_or_insert_with(|| self.number(&submission.submitter, batch));
                    put_id_key(*submitter, id, &mut bytes);
                }
                ends.push(bytes.len());
            }
        }
        let mut rest = Bytes::from(bytes);
        let mut start = 0;
        let keys = ends
            .into_iter()
            .map(|end| rest.split_to(end - std::mem::replace(&mut start, end)));
        keys.collect()
    }

    fn number(&mut self, submitter: &v1::Submitter, batch: &mut Batch) -> u32 {
        let key = submitter_key(&submitter.issuer, &submitter.subject);
        if let Some(number) = self.submitters.get(&key) {
            return *number;
        }
        let number = u32::try_from(self.submitters.len()).unwrap_or(u32::MAX);
        batch.put(Space::Meta, key.clone(), number.to_be_bytes().to_vec());
        self.submitters.insert(key, number);
        number
    }
}

/// The seq that each key stands for in the store.
fn look_up(store: &dyn Read, keys: &[Bytes]) -> Result<Vec<Option<u64>>, LedgerError> {
    let mut sorted: Vec<(usize, &[u8])> = keys.iter().map(Bytes::as_ref).enumerate().collect();
    sorted.retain(|(_, key)| !key.is_empty());
    // Most come in order.
    sorted.sort_by_key(|(_, key)| *key);
    let wanted: Vec<&[u8]> = sorted.iter().map(|(_, key)| *key).collect();
    let mut found = vec![None; keys.len()];
    for ((index, _), value) in sorted.into_iter().zip(store.get_many(Space::Id, &wanted)?) {
        if let (Some(slot), Some(value)) = (found.get_mut(index), value) {
            *slot = Some(read_seq(&value)?);
        }
    }
    Ok(found)
}

/// Whether the entry `seq` has the content of `prepared`, as far as it is still there: of a part that was erased only that
/// there was one, and what was put out of one is not compared: rules may have changed since. Whoever repeats an event learns nothing from that of what is not there.
fn same_as_stored(reader: &Reader, seq: u64, prepared: &Prepared) -> Result<bool, LedgerError> {
    if seq >= reader.tree().size() {
        let what = "an idempotency id stands for an entry that does not exist";
        return Err(LedgerError::Damaged(Damage::at(seq, what)));
    }
    let (parts, envelope) = reader.sent(seq)?;
    let envelope = envelope.and_then(|envelope| v1::Envelope::decode(envelope).ok());
    let envelope = envelope.unwrap_or_default();
    let same_parts = are_rest_of(&envelope.redactions, &parts, prepared.received());
    Ok(same_parts && envelope.actor_signature == prepared.actor_signature())
}

/// The same of an event before it in the group, whose parts are all there.
fn same_as_in_group(other: &Prepared, prepared: &Prepared) -> bool {
    let whole = other.redacted.is_none() && prepared.redacted.is_none();
    let same_parts = if whole {
        other.parts == prepared.parts
    } else {
        let sealed = other.parts.iter();
        let sealed: Vec<_> = sealed
            .map(|(tag, bytes)| (*tag, Some(bytes.clone())))
            .collect();
        are_rest_of(other.notes(), &sealed, prepared.received())
    };
    same_parts && other.actor_signature() == prepared.actor_signature()
}

fn read_seq(value: &[u8]) -> Result<u64, LedgerError> {
    let bytes = value.try_into().map_err(|_| damaged())?;
    Ok(u64::from_be_bytes(bytes))
}

fn read_number(value: &[u8]) -> Result<u32, LedgerError> {
    let bytes = value.try_into().map_err(|_| damaged())?;
    Ok(u32::from_be_bytes(bytes))
}

fn damaged() -> LedgerError {
    LedgerError::Damaged(Damage::of(
        "a value of the idempotency ids cannot be decoded",
    ))
}
