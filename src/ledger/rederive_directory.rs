//! Deriving the index of a stopped ledger's directory again from its entries.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::Arc;

use super::accuse_directory::{Accuser, Differing};
use super::anchor::Anchor;
use super::error::LedgerError;
use super::home::Home;
use super::open::{load_tree, read_genesis};
use super::parallel::in_parallel;
use super::reader::{Reader, packs_from};
use super::segment_objects::{SegmentBytes, damaged, name};
use super::segments::read_records;
use crate::entry::genesis::INDEX_SPANS;
use crate::entry::v1::ledger_act::Act;
use crate::entry::{Kind, v1};
use crate::index::{
    Difference, Facts, Segment, SegmentId, SegmentRecord, first_difference, term_name,
};
use crate::note::VerifierKey;
use crate::store::{Direction, KeyRange, Objects, Read, Space, StoreError};
use crate::verify::{
    Accusation, DeriveError, Derived, DerivedSegment, Deriving, Lie, Rederivation, Rederived,
    Scratch,
};

/// Segments of level 0 that are derived together, by all processors.
const AT_ONCE: u64 = 16;
/// Leaves that are compared together.
const LEAVES_AT_ONCE: u64 = 256;
const SPAN: u64 = INDEX_SPANS[0];

/// What deriving the index of a directory came to.
#[derive(Debug, Clone, PartialEq)]
pub struct IndexReport {
    /// Entries that were read.
    pub entries: u64,
    /// The index.
    pub rederived: Rederived,
    /// Where the first false segment differs from what its entries come to, if its object is there to tell. What a value
    /// says is not escaped.
    pub difference: Option<String>,
    /// What shows it to others, and what that says, if something does that is small.
    pub accusation: Option<(Accusation, Lie)>,
}

/// Derives every segment from the entries in `home`, which no process may have open, and holds them against every seal.
///
/// The entries must have been found good by [`audit_directory`](super::audit_directory), under `key`: whose signature the
/// newest checkpoint has. `progress` is told how many entries are done, and how many there are.
pub fn rederive_directory<S>(
    home: &dyn Home,
    key: &VerifierKey,
    scratch: &S,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<IndexReport, LedgerError>
where
    S: Scratch + Clone,
    S::Error: Display,
{
    let _lock = home.lock()?;
    let shared = home.read_store()?;
    let store = &*shared;
    let entries = size(store)?;
    let genesis = read_genesis(store)?;
    let mut rederivation = Rederivation::new(&genesis, scratch.clone());
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
    let (mut difference, mut accusation) = (None, None);
    if let Some(found) = &rederived.first_false {
        let (levels, records) = read_records(store)?;
        let objects = home.read_objects()?;
        let differing = find_difference(store, &*objects, &records, &rederivation, scratch)?;
        difference = differing.as_ref().map(said);
        let anchor = Anchor::read(&*home.open_slots()?)?;
        let tree = Arc::new(load_tree(&shared, anchor.frontier.size())?);
        let accuser = Accuser {
            genesis: &genesis,
            key,
            checkpoint: anchor.checkpoint,
            reader: Reader::new(Arc::clone(&shared), tree),
            levels: &levels,
            rederivation: &rederivation,
        };
        accusation = accuser.accuse(found, differing.as_ref())?;
    }
    Ok(IndexReport {
        entries,
        rederived,
        difference,
        accusation,
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
    records: &BTreeMap<SegmentId, SegmentRecord>,
    rederivation: &Rederivation<S>,
    scratch: &S,
) -> Result<Option<Differing<S>>, LedgerError>
where
    S: Scratch + Clone,
    S::Error: Display,
{
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
        // What lies there need not be what was sealed, nor a segment at all.
        let Ok(sealed) = Segment::open(SegmentBytes::Object(object), *record) else {
            return Ok(None);
        };
        let Some(built) = derive(store, id, scratch)? else {
            return Ok(None);
        };
        return compare(sealed, built);
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
    sealed: Segment<SegmentBytes>,
    built: DerivedSegment<S>,
) -> Result<Option<Differing<S>>, LedgerError>
where
    S::Error: Display,
{
    let mut next = 0;
    loop {
        let end = next + LEAVES_AT_ONCE;
        let Ok(leaves) = sealed.leaf_bytes(next..end) else {
            return Ok(None);
        };
        let found = first_difference(&built, sealed.record(), next, &leaves)
            .map_err(|error| no_room(&error.into()))?;
        match found {
            Some((leaf, difference)) => {
                return Ok(Some(Differing {
                    sealed,
                    built,
                    leaf,
                    difference,
                }));
            }
            None if leaves.is_empty() => return Ok(None),
            None => next = end,
        }
    }
}

/// How a segment differs, for people.
fn said<S: Scratch>(differing: &Differing<S>) -> String {
    let SegmentId { level, number } = differing.sealed.record().id;
    let what = match &differing.difference {
        Difference::Missing(term) => format!("first, {} is left out", term_name(term)),
        Difference::Extra(term) => format!("first, no entry has {}", term_name(term)),
        Difference::List(term) => format!("first, {} has other entries", term_name(term)),
        Difference::Malformed { .. } => format!("leaf {} is none", differing.leaf),
    };
    format!("segment {number} of level {level}: {what}")
}

pub(super) fn no_room<E: Display>(error: &DeriveError<E>) -> LedgerError {
    LedgerError::BadRange(format!("deriving the index needs room in TMPDIR: {error}"))
}
