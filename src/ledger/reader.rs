//! Reads entries back: every header is rebuilt from what is stored and checked against the tree.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

use super::error::{Damage, LedgerError};
use super::kept::{Secret, Stored};
use super::keys::{key_seq, seq_key};
use super::pack::{EncodedEntries, MAX_ENTRIES, Pack, decode_erasable, decode_time};
use super::tree::Tree;
use crate::entry::body::Body;
use crate::entry::{Header, Invalid, Seed, Tag};
use crate::merkle::NodeReader;
use crate::store::{Direction, KeyRange, Read, Space};

/// An entry as it was sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedEntry {
    /// Its header.
    pub header: Header,
    /// Its body.
    pub body: Body,
    /// The parts that were erased, ascending by tag, each with the seq of the entry that says so.
    pub erased_by: Vec<(Tag, u64)>,
}

/// Parts, of those that were erased none, and the envelope.
pub(crate) type Sent = (Vec<(Tag, Option<Bytes>)>, Option<Bytes>);

/// Reads the entries of a store.
#[derive(Clone)]
pub(crate) struct Reader {
    store: Arc<dyn Read>,
    tree: Arc<Tree>,
    /// About how many entries the packs have that were read last, so that most are found at the first attempt.
    pack_size: Arc<AtomicU64>,
}

impl Reader {
    pub(crate) fn new(store: Arc<dyn Read>, tree: Arc<Tree>) -> Self {
        Self {
            store,
            tree,
            pack_size: Arc::new(AtomicU64::new(MAX_ENTRIES as u64)),
        }
    }

    pub(crate) fn tree(&self) -> &Tree {
        &self.tree
    }

    /// The entry `seq`, which must be below the tree's size.
    pub(crate) fn entry(&self, seq: u64) -> Result<SealedEntry, LedgerError> {
        let pack = self.pack_with(seq)?;
        self.entries_of(&pack, |found| found == seq, Direction::Forward)?
            .pop()
            .ok_or_else(|| LedgerError::Damaged(Damage::at(seq, "its pack does not hold it")))
    }

    /// What the client sent as the entry `seq`, as far as it was sealed: the parts 2 to 6; and the envelope.
    pub(crate) fn sent(&self, seq: u64) -> Result<Sent, LedgerError> {
        let entry = self.entry(seq)?;
        let envelope = entry.body.disclosed(Tag::Envelope).cloned();
        let parts = entry
            .body
            .parts()
            .iter()
            .filter(|(tag, _)| *tag != Tag::Envelope);
        let parts = parts.map(|(tag, _)| (*tag, entry.body.disclosed(*tag).cloned()));
        Ok((parts.collect(), envelope))
    }

    /// The header, the envelope and the seed of the entry `seq`, of which nothing may have been erased.
    pub(crate) fn receipt_material(&self, seq: u64) -> Result<(Header, Bytes, Seed), LedgerError> {
        let missing = || LedgerError::Damaged(Damage::at(seq, "its envelope is missing"));
        let pack = self.pack_with(seq)?;
        let index = usize::try_from(seq - pack.first_seq).map_err(|_| missing())?;
        let record = pack.records.get(index).ok_or_else(missing)?;
        let Secret::Seed(seed) = record.secret.clone() else {
            return Err(LedgerError::Erased { seq });
        };
        let entry = self
            .entries_of(&pack, |found| found == seq, Direction::Forward)?
            .pop()
            .ok_or_else(missing)?;
        let envelope = entry
            .body
            .disclosed(Tag::Envelope)
            .ok_or_else(missing)?
            .clone();
        Ok((entry.header, envelope, seed))
    }

    /// Calls `take` with the header and the parts envelope, who, what and context of the entries of `range`, in order. They
    /// are not compared with the tree.
    pub(crate) fn for_each_evidence(
        &self,
        range: Range<u64>,
        mut take: impl FnMut(&Header, &[(Tag, Bytes)]) -> Result<(), Invalid>,
    ) -> Result<(), LedgerError> {
        let mut next = range.start;
        for pack in packs_from(&*self.store, range.start)? {
            let pack = pack?;
            for (index, header) in pack.headers().enumerate() {
                if header.seq == next && next < range.end {
                    take(&header, &pack.evidence().parts(index)?).map_err(|invalid| {
                        LedgerError::Damaged(Damage::at(header.seq, invalid.to_string()))
                    })?;
                    next += 1;
                }
            }
            if next >= range.end {
                return Ok(());
            }
        }
        Err(missing(next))
    }

    /// The next entries of `range`, from the end that `direction` says: those of one pack.
    pub(crate) fn next_entries(
        &self,
        range: Range<u64>,
        direction: Direction,
    ) -> Result<Vec<SealedEntry>, LedgerError> {
        if range.is_empty() {
            return Ok(Vec::new());
        }
        let seq = match direction {
            Direction::Forward => range.start,
            Direction::Reverse => range.end - 1,
        };
        let pack = self.pack_with(seq)?;
        self.entries_of(&pack, |seq| range.contains(&seq), direction)
    }

    /// Those entries of `seqs`, which ascend or descend as `direction` says, that lie in one pack with the first of them.
    pub(crate) fn entries_beside_first(
        &self,
        seqs: &[u64],
        direction: Direction,
    ) -> Result<Vec<SealedEntry>, LedgerError> {
        let Some(first) = seqs.first() else {
            return Ok(Vec::new());
        };
        let pack = self.pack_with(*first)?;
        let in_pack = seqs
            .iter()
            .take_while(|seq| (pack.first_seq..pack.end_seq()).contains(seq))
            .count();
        let wanted = seqs.get(..in_pack).unwrap_or_default();
        self.entries_of(&pack, |seq| wanted.contains(&seq), direction)
    }

    /// The first seq below `size` whose entry was recorded at `time` or later; `size` when there is none.
    pub(crate) fn first_recorded_at(&self, time: u64, size: u64) -> Result<u64, LedgerError> {
        let (mut low, mut high) = (0, size);
        while low < high {
            let middle = low + (high - low) / 2;
            let (first_seq, value) = self.value_with(middle)?;
            let (recorded_at, entries) = decode_time(first_seq, &value)?;
            let end = first_seq.saturating_add(entries);
            if end <= middle {
                return Err(missing(middle));
            }
            if recorded_at >= time {
                high = first_seq;
            } else {
                low = end;
            }
        }
        Ok(low.min(size))
    }

    /// The pack that should hold the entry `seq`.
    fn pack_with(&self, seq: u64) -> Result<Pack, LedgerError> {
        let (first_seq, value) = self.value_with(seq)?;
        let pack = Pack::decode(first_seq, &value)?;
        if pack.end_seq() <= seq {
            return Err(missing(seq));
        }
        Ok(pack)
    }

    /// The value that should hold the entry `seq`, and the seq of its first entry.
    ///
    /// Whoever looks back from `seq` for a key has the store read what lies there before what lies before it. Looking ahead
    /// from where a pack of the usual size would begin at the earliest costs one read.
    fn value_with(&self, seq: u64) -> Result<(u64, Bytes), LedgerError> {
        let size = self.pack_size.load(Ordering::Relaxed);
        let earliest = seq.saturating_sub(size.saturating_sub(1));
        let ahead = self
            .store
            .first_at_or_after(Space::Entry, &seq_key(earliest));
        // What is damaged before the pack is nothing that this is about.
        if let Ok(Some((key, value))) = ahead
            && let Some(first_seq) = key_seq(&key).filter(|first_seq| *first_seq <= seq)
            && let Ok((_, entries)) = decode_time(first_seq, &value)
            && first_seq.saturating_add(entries) > seq
        {
            self.note_size(size, entries);
            return Ok((first_seq, value));
        }
        let found = self.store.last_at_or_before(Space::Entry, &seq_key(seq))?;
        let (key, value) = found.ok_or_else(|| missing(seq))?;
        let first_seq = key_seq(&key).ok_or_else(|| missing(seq))?;
        if let Ok((_, entries)) = decode_time(first_seq, &value) {
            self.note_size(size, entries);
        }
        Ok((first_seq, value))
    }

    fn note_size(&self, before: u64, found: u64) {
        self.pack_size
            .store(next_size(before, found), Ordering::Relaxed);
    }

    /// The wanted entries of a pack, in the order of `direction`.
    fn entries_of(
        &self,
        pack: &Pack,
        wanted: impl Fn(u64) -> bool,
        direction: Direction,
    ) -> Result<Vec<SealedEntry>, LedgerError> {
        match self.entries_of_pack(pack, &wanted, direction) {
            // Between its two values something of it may have been erased.
            Err(LedgerError::Damaged(_)) => {
                let again = self.pack_with(pack.first_seq)?;
                self.entries_of_pack(&again, &wanted, direction)
            }
            entries => entries,
        }
    }

    fn entries_of_pack(
        &self,
        pack: &Pack,
        wanted: &impl Fn(u64) -> bool,
        direction: Direction,
    ) -> Result<Vec<SealedEntry>, LedgerError> {
        let erasable = erasable_parts(&*self.store, pack)?.unwrap_or_default();
        let mut entries = Vec::new();
        // Of those behind the last one wanted no header is hashed.
        let last = (pack.first_seq..pack.end_seq())
            .rev()
            .find(|seq| wanted(*seq));
        let count = last.map_or(0, |last| last - pack.first_seq + 1);
        let headers = pack
            .headers()
            .take(usize::try_from(count).unwrap_or(usize::MAX));
        for (index, header) in headers.enumerate() {
            if !wanted(header.seq) {
                continue;
            }
            let seq = header.seq;
            if self.tree.node(0, seq)? != header.leaf_hash() {
                let what = "its header does not hash to the leaf of the tree";
                return Err(LedgerError::Damaged(Damage::at(seq, what)));
            }
            let body = body_of(pack, &erasable, index)?;
            if body.hash() != header.body_hash {
                let what = "its parts do not hash to what its header says";
                return Err(LedgerError::Damaged(Damage::at(seq, what)));
            }
            let erased_by = pack.records.get(index).map(Stored::erased_by);
            entries.push(SealedEntry {
                header,
                body,
                erased_by: erased_by.unwrap_or_default(),
            });
        }
        if direction == Direction::Reverse {
            entries.reverse();
        }
        Ok(entries)
    }
}

/// What the next pack may be taken to hold, after one of `found` entries: fewer than the largest of those before, little by
/// little.
fn next_size(before: u64, found: u64) -> u64 {
    let less = before.saturating_sub((before / 16).max(1));
    found.max(less).clamp(1, MAX_ENTRIES as u64)
}

fn missing(seq: u64) -> LedgerError {
    LedgerError::Damaged(Damage::at(seq, "the entry is missing"))
}

/// The packs from the one that holds `seq` on, in order.
pub(crate) fn packs_from(
    store: &dyn Read,
    seq: u64,
) -> Result<impl Iterator<Item = Result<Pack, LedgerError>>, LedgerError> {
    let first = store.last_at_or_before(Space::Entry, &seq_key(seq))?;
    let start = first.map_or_else(|| seq_key(seq).to_vec(), |(key, _)| key.to_vec());
    let scan = store.scan(Space::Entry, KeyRange::new(start..), Direction::Forward);
    Ok(scan.map(move |pair| {
        let (key, value) = pair?;
        let first_seq = key_seq(&key).ok_or_else(|| {
            LedgerError::Damaged(Damage::at(seq, "a key of the entries is not a seq"))
        })?;
        Pack::decode(first_seq, &value)
    }))
}

/// The parts why and detail of the entries of a pack; none if no entry of it has any.
pub(crate) fn erasable_parts(
    store: &dyn Read,
    pack: &Pack,
) -> Result<Option<EncodedEntries>, LedgerError> {
    let value = store.get(Space::Detail, &seq_key(pack.first_seq))?;
    let decode = |value: Bytes| decode_erasable(pack.first_seq, pack.records.len(), &value);
    value.map(decode).transpose()
}

/// The body of the entry `index` of a pack.
pub(crate) fn body_of(
    pack: &Pack,
    erasable: &EncodedEntries,
    index: usize,
) -> Result<Body, LedgerError> {
    let seq = pack.first_seq.saturating_add(index as u64);
    let damaged = |what: String| LedgerError::Damaged(Damage::at(seq, what));
    let record = pack
        .records
        .get(index)
        .ok_or_else(|| damaged("it is missing".into()))?;
    let mut parts = pack.evidence().parts(index)?;
    parts.extend(erasable.parts(index)?);
    record
        .body(parts)
        .ok_or_else(|| damaged("its parts are not those that are kept of it".into()))
}
