//! The segments of the search index: which there are, and where their bytes lie.
//!
//! What a seal commits to is stored with it, in one commit: the records of the new segments. Their bytes are objects,
//! finished before the seal. An object that no seal names is rubbish of a crash, and one that is missing is built again:
//! everything in it follows from the entries.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync::watch;

use super::error::LedgerError;
use super::keys::{SEAL, key_seq, segment_key};
use super::reader::Reader;
use super::segment_objects::{SegmentObjects, StoredSegment, damaged};
use crate::entry::genesis::INDEX_VERSION;
use crate::entry::v1;
use crate::index::{LEVELS, Levels, SegmentId, SegmentRecord};
use crate::merkle::{Frontier, Hash, Nodes};
use crate::store::{Direction, KeyRange, Objects, Read, Space};

/// The records of one level.
#[derive(Debug, Default)]
pub(super) struct Level {
    nodes: Nodes,
    tree: Frontier,
}

/// What the newest seal commits to.
#[derive(Clone)]
pub(crate) struct Sealed {
    /// The seal's seq; none before the first.
    pub(crate) seal: Option<u64>,
    pub(crate) levels: Levels,
    /// The segments that cover what is covered.
    pub(crate) segments: BTreeMap<SegmentId, Arc<StoredSegment>>,
}

/// All segments of a ledger.
pub(crate) struct Segments {
    objects: SegmentObjects,
    levels: RwLock<Vec<Level>>,
    sealed: watch::Sender<Arc<Sealed>>,
}

impl Sealed {
    /// A segment of the cover.
    pub(crate) fn segment(&self, id: SegmentId) -> Result<&Arc<StoredSegment>, LedgerError> {
        let segment = self.segments.get(&id);
        segment
            .ok_or_else(|| LedgerError::Stopped(format!("{id:?} of the search index is not open")))
    }
}

impl Segments {
    /// Reads which segments there are, builds those anew whose object is missing or damaged, and removes objects that
    /// nothing names.
    pub(crate) fn open(
        objects: Box<dyn Objects>,
        reader: Reader,
        store: &dyn Read,
    ) -> Result<Self, LedgerError> {
        let (levels, records) = read_records(store)?;
        let commitment = commitment(&levels);
        let sealed =
            Levels::of(&commitment).ok_or_else(|| damaged("its records are not of one seal"))?;
        let seal = store.get(Space::Meta, SEAL)?.and_then(|seq| key_seq(&seq));
        if newest_seal(&reader, seal)? != commitment {
            return Err(damaged(
                "its records are not those that the newest seal commits to",
            ));
        }
        let cover = sealed.cover(&(0..u64::MAX));
        let objects = SegmentObjects { objects, reader };
        objects.remove_all_but(&cover)?;
        let mut segments = BTreeMap::new();
        for id in cover {
            let record = records
                .get(&id)
                .ok_or_else(|| damaged("a record is missing"))?;
            segments.insert(id, objects.open_or_build(record)?);
        }
        let sealed = Sealed {
            seal,
            levels: sealed,
            segments,
        };
        Ok(Self {
            objects,
            levels: RwLock::new(levels),
            sealed: watch::Sender::new(Arc::new(sealed)),
        })
    }

    /// Where the bytes of the segments are.
    pub(crate) fn objects(&self) -> &dyn Objects {
        &*self.objects.objects
    }

    /// What the newest seal commits to.
    pub(crate) fn sealed(&self) -> Arc<Sealed> {
        Arc::clone(&self.sealed.borrow())
    }

    /// News of newer seals.
    pub(crate) fn subscribe(&self) -> watch::Receiver<Arc<Sealed>> {
        self.sealed.subscribe()
    }

    /// Builds the segment `id` of level 0 from its entries in the store.
    pub(crate) fn build(&self, id: SegmentId) -> Result<Arc<StoredSegment>, LedgerError> {
        self.objects.build(id)
    }

    /// Merges the segments of the level below into the segment `id`, until it is given up.
    pub(crate) fn merge(
        &self,
        id: SegmentId,
        parts: &[Arc<StoredSegment>],
        given_up: &AtomicBool,
    ) -> Result<Arc<StoredSegment>, LedgerError> {
        self.objects.merge(id, parts, given_up)
    }

    /// Makes objects of those new segments that will be read once they are sealed. The others are already merged.
    pub(crate) fn store(
        &self,
        new: &[Arc<StoredSegment>],
    ) -> Result<Vec<Arc<StoredSegment>>, LedgerError> {
        let records: Vec<SegmentRecord> = new.iter().map(|segment| *segment.record()).collect();
        let levels = Levels::of(&self.commitment(&records)).ok_or_else(inconsistent)?;
        let cover = levels.cover(&(0..u64::MAX));
        let stored = new.iter().map(|segment| {
            if cover.contains(&segment.record().id) {
                self.objects.stored(segment)
            } else {
                Ok(Arc::clone(segment))
            }
        });
        stored.collect()
    }

    /// Proves the records `numbers` of a level in the tree of its first `segments` records.
    pub(crate) fn prove_records(
        &self,
        level: u8,
        numbers: Range<u64>,
        segments: u64,
    ) -> Result<Vec<Hash>, LedgerError> {
        let levels = self.levels.read().unwrap_or_else(PoisonError::into_inner);
        let level = levels
            .get(usize::from(level))
            .ok_or_else(|| damaged("a level is missing"))?;
        crate::merkle::prove_range(&level.nodes, numbers.start, numbers.end, segments)
            .map_err(|_| damaged("a record is missing"))
    }

    /// What a seal over the segments so far and these new ones says.
    pub(crate) fn commitment(&self, new: &[SegmentRecord]) -> v1::Seal {
        let levels = self.levels.read().unwrap_or_else(PoisonError::into_inner);
        let mut trees: Vec<Frontier> = levels.iter().map(|level| level.tree.clone()).collect();
        for record in new {
            if let Some(tree) = trees.get_mut(usize::from(record.id.level)) {
                tree.push(record.leaf_hash());
            }
        }
        seal_over(trees.iter())
    }

    /// Takes over what the seal `seq` has committed to.
    pub(crate) fn advance(
        &self,
        seq: u64,
        new: Vec<Arc<StoredSegment>>,
    ) -> Result<(), LedgerError> {
        let mut levels = self.levels.write().unwrap_or_else(PoisonError::into_inner);
        for segment in &new {
            if let Some(level) = levels.get_mut(usize::from(segment.record().id.level)) {
                level.push(segment.record());
            }
        }
        let sealed = Levels::of(&commitment(&levels)).ok_or_else(inconsistent)?;
        drop(levels);
        let cover = sealed.cover(&(0..u64::MAX));
        let mut segments = self.sealed().segments.clone();
        segments.extend(
            new.into_iter()
                .map(|segment| (segment.record().id, segment)),
        );
        let (kept, merged): (BTreeMap<_, _>, _) =
            segments.into_iter().partition(|(id, _)| cover.contains(id));
        self.sealed.send_replace(Arc::new(Sealed {
            seal: Some(seq),
            levels: sealed,
            segments: kept,
        }));
        for segment in merged.values() {
            self.objects.discard(segment)?;
        }
        Ok(())
    }
}

impl Level {
    /// Proves that the record `number` is among the first `segments` of the level.
    pub(super) fn prove(&self, number: u64, segments: u64) -> Result<Vec<Hash>, LedgerError> {
        crate::merkle::prove_range(&self.nodes, number, number.saturating_add(1), segments)
            .map_err(|_| damaged("a record is missing"))
    }

    fn push(&mut self, record: &SegmentRecord) {
        let hash = record.leaf_hash();
        self.nodes.push(hash);
        self.tree.push(hash);
    }
}

fn inconsistent() -> LedgerError {
    damaged("a level covers more than the one below")
}

/// What the seal `seq` says; without one, what a seal over nothing would.
fn newest_seal(reader: &Reader, seq: Option<u64>) -> Result<v1::Seal, LedgerError> {
    let Some(seq) = seq else {
        return Ok(seal_over(std::iter::empty()));
    };
    let facts = reader.entry(seq)?.facts()?;
    match facts.what.act.and_then(|act| act.act) {
        Some(v1::ledger_act::Act::Seal(seal)) => Ok(seal),
        _ => Err(damaged("what should be its newest seal is none")),
    }
}

/// The records of the store, by level, and each by itself.
pub(super) fn read_records(
    store: &dyn Read,
) -> Result<(Vec<Level>, BTreeMap<SegmentId, SegmentRecord>), LedgerError> {
    let mut levels: Vec<Level> = (0..LEVELS).map(|_| Level::default()).collect();
    let mut records = BTreeMap::new();
    for pair in store.scan(Space::Segment, KeyRange::all(), Direction::Forward) {
        let (key, value) = pair?;
        let record = SegmentRecord::decode(&value)
            .filter(|record| key[..] == segment_key(record.id))
            .ok_or_else(|| damaged("a record cannot be decoded"))?;
        let level = levels
            .get_mut(usize::from(record.id.level))
            .filter(|level| level.tree.size() == record.id.number)
            .ok_or_else(|| damaged("a record is missing"))?;
        level.push(&record);
        records.insert(record.id, record);
    }
    Ok((levels, records))
}

pub(super) fn commitment(levels: &[Level]) -> v1::Seal {
    seal_over(levels.iter().map(|level| &level.tree))
}

/// A seal over the records in these trees, one for each level. Levels without a segment are left out.
fn seal_over<'a>(trees: impl Iterator<Item = &'a Frontier>) -> v1::Seal {
    let levels = trees.take_while(|tree| tree.size() > 0);
    v1::Seal {
        index_version: INDEX_VERSION,
        levels: levels
            .map(|tree| v1::SealLevel {
                segments: tree.size(),
                root: tree.root().to_vec(),
            })
            .collect(),
    }
}
