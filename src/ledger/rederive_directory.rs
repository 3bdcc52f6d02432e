//! Deriving the index of a stopped ledger's directory again from its entries.

use std::fmt::Display;

use super::error::LedgerError;
use super::home::Home;
use super::parallel::in_parallel;
use super::reader::packs_from;
use super::segment_objects::{SegmentBytes, damaged, name, unreadable};
use super::segments::read_records;
use crate::entry::genesis::INDEX_SPANS;
use crate::entry::v1::ledger_act::Act;
use crate::entry::{Kind, v1};
use crate::index::{
    Difference, Facts, Segment, SegmentId, SegmentRecord, first_difference, term_name,
};
use crate::store::{Direction, KeyRange, Objects, Read, Space, StoreError};
use crate::verify::{
    DeriveError, Derived, DerivedSegment, Deriving, Rederivation, Rederived, Scratch,
};

/// Segments of level 0 that are derived together, by all processors.
const AT_ONCE: u64 = 16;
/// Leaves that are compared together.
const LEAVES_AT_ONCE: u64 = 256;
const SPAN: u64 = INDEX_SPANS[0];

/// What deriving the index of a directory came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexReport {
    /// Entries that were read.
    pub entries: u64,
    /// The index.
    pub rederived: Rederived,
    /// Where the first false segment differs from what its entries come to, if its object is there to tell. What a value
    /// says is not escaped.
    pub difference: Option<String>,
}

/// Derives every segment from the entries in `home`, which no process may have open, and holds them against every seal.
///
/// The entries must have been found good by [`audit_directory`](super::audit_directory). `progress` is told how many
/// entries are done, and how many there are.
pub fn rederive_directory<S>(
    home: &dyn Home,
    scratch: &S,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<IndexReport, LedgerError>
where
    S: Scratch + Clone,
    S::Error: Display,
{
    let _lock = home.lock()?;
    let store = &*home.read_store()?;
    let entries = size(store)?;
    let mut rederivation = Rederivation::new(scratch.clone());
    let numbers: Vec<u64> = (0..entries.div_ceil(SPAN)).collect();
    for numbers in numbers.chunks(usize::try_from(AT_ONCE).unwrap_or(usize::MAX)) {
        let chunks = in_parallel(numbers, |numbers| {
            numbers
                .iter()
                .map(|number| chunk(store, *number, entries))
                .collect()
        });
        for chunk in chunks {
            let Chunk { derived, seals } = chunk?;
            if let Some(derived) = derived {
                rederivation
                    .push(derived)
                    .map_err(|error| no_room(&error))?;
            }
            for (seq, seal) in &seals {
                rederivation.check_seal(*seq, seal);
            }
        }
        let done = numbers
            .last()
            .map_or(0, |last| last.saturating_add(1).saturating_mul(SPAN));
        progress(done.min(entries), entries);
    }
    let rederived = rederivation.report();
    let difference = match &rederived.first_false {
        Some(_) => find_difference(store, &*home.read_objects()?, &rederivation, scratch)?,
        None => None,
    };
    Ok(IndexReport {
        entries,
        rederived,
        difference,
    })
}

/// What deriving needs of the entries of a segment of level 0.
struct Chunk {
    derived: Option<Derived>,
    seals: Vec<(u64, v1::Seal)>,
}

fn chunk(store: &dyn Read, number: u64, size: u64) -> Result<Chunk, LedgerError> {
    let start = number.saturating_mul(SPAN);
    let end = start.saturating_add(SPAN);
    let mut deriving = Deriving::new(number);
    let mut seals = Vec::new();
    let mut next = start;
    for pack in packs_from(store, start)? {
        if next >= end.min(size) {
            break;
        }
        let pack = pack?;
        for (index, header) in pack.headers().enumerate() {
            if header.seq != next || next >= end {
                continue;
            }
            let facts = Facts::of_parts(&header, &pack.evidence().parts(index)?)
                .map_err(|_| damaged("an entry cannot be decoded"))?;
            deriving.push(&facts);
            let act = facts.what.act.and_then(|act| act.act);
            if let (Kind::Seal, Some(Act::Seal(seal))) = (header.kind, act) {
                seals.push((header.seq, seal));
            }
            next += 1;
        }
    }
    let derived = (next == end).then(|| deriving.finish());
    Ok(Chunk { derived, seals })
}

/// How many entries there are.
fn size(store: &dyn Read) -> Result<u64, LedgerError> {
    let mut last = store.scan(Space::Entry, KeyRange::all(), Direction::Reverse);
    let Some(pair) = last.next() else {
        return Ok(0);
    };
    let (key, _) = pair?;
    let seq = super::keys::key_seq(&key).ok_or_else(|| damaged("a key is not a seq"))?;
    let packs = packs_from(store, seq)?.collect::<Result<Vec<_>, _>>()?;
    Ok(packs.last().map_or(0, super::pack::Pack::end_seq))
}

/// Where the first segment that covers the ledger and is false differs.
fn find_difference<S>(
    store: &dyn Read,
    objects: &dyn Objects,
    rederivation: &Rederivation<S>,
    scratch: &S,
) -> Result<Option<String>, LedgerError>
where
    S: Scratch + Clone,
    S::Error: Display,
{
    let (_, records) = read_records(store)?;
    let Some((_, levels)) = rederivation.newest() else {
        return Ok(None);
    };
    for id in levels.cover(&(0..u64::MAX)) {
        let (Some(record), Some(derived)) = (records.get(&id), rederivation.record(id)) else {
            continue;
        };
        if record == derived {
            continue;
        }
        let object = match objects.open(&name(id)) {
            Err(StoreError::Missing { .. }) => return Ok(None),
            object => object?,
        };
        let sealed = Segment::open(SegmentBytes::Object(object), *record).map_err(unreadable)?;
        let Some(built) = derive(store, id, scratch)? else {
            return Ok(None);
        };
        return compare::<S>(&sealed, record, &built);
    }
    Ok(None)
}

fn derive<S>(
    store: &dyn Read,
    id: SegmentId,
    scratch: &S,
) -> Result<Option<DerivedSegment<S>>, LedgerError>
where
    S: Scratch + Clone,
    S::Error: Display,
{
    let mut rederivation = Rederivation::of(id, scratch.clone());
    let seqs = id.seqs();
    for number in seqs.start / SPAN..seqs.end / SPAN {
        if let Some(derived) = chunk(store, number, seqs.end)?.derived {
            rederivation
                .push(derived)
                .map_err(|error| no_room(&error))?;
        }
    }
    Ok(rederivation.take_last(id.level))
}

fn compare<S: Scratch>(
    sealed: &Segment<SegmentBytes>,
    record: &SegmentRecord,
    built: &DerivedSegment<S>,
) -> Result<Option<String>, LedgerError>
where
    S::Error: Display,
{
    let SegmentId { level, number } = record.id;
    let what = |what: String| Some(format!("segment {number} of level {level}: {what}"));
    let mut next = 0;
    loop {
        let end = next + LEAVES_AT_ONCE;
        let leaves = sealed.leaf_bytes(next..end).map_err(unreadable)?;
        let found = first_difference(built, record, next, &leaves)
            .map_err(|error| no_room(&error.into()))?;
        match found {
            Some((_, Difference::Missing(term))) => {
                return Ok(what(format!("first, {} is left out", term_name(&term))));
            }
            Some((_, Difference::Extra(term))) => {
                return Ok(what(format!("first, no entry has {}", term_name(&term))));
            }
            Some((_, Difference::List(term))) => {
                return Ok(what(format!(
                    "first, {} has other entries",
                    term_name(&term)
                )));
            }
            Some((leaf, Difference::Malformed { .. })) => {
                return Ok(what(format!("leaf {leaf} is none")));
            }
            None if leaves.is_empty() => return Ok(None),
            None => next = end,
        }
    }
}

fn no_room<E: Display>(error: &DeriveError<E>) -> LedgerError {
    LedgerError::BadRange(format!("deriving the index needs room in TMPDIR: {error}"))
}
