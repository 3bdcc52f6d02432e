//! The bytes of segments: built from the entries of the store and from other segments, in memory first when they are
//! small, and kept in objects.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;

use super::error::{Damage, LedgerError};
use super::reader::Reader;
use crate::index::{
    MergeError, Segment, SegmentError, SegmentId, SegmentRecord, Sink, Source, TermMap, merge,
};
use crate::store::{ObjectReader, ObjectWriter, Objects, StoreError};

/// A segment, open for reading.
pub(crate) type StoredSegment = Segment<SegmentBytes>;

/// Segments up to this level are built in memory: most are merged before a seal would have them written.
const LARGEST_IN_MEMORY: u8 = 1;

/// Where the bytes of a segment are.
pub(crate) enum SegmentBytes {
    Memory(Bytes),
    Object(Box<dyn ObjectReader>),
}

impl Source for SegmentBytes {
    type Error = StoreError;

    fn len(&self) -> u64 {
        match self {
            Self::Memory(bytes) => bytes.len() as u64,
            Self::Object(object) => object.len(),
        }
    }

    fn read_at(&self, offset: u64, length: usize) -> Result<Bytes, StoreError> {
        match self {
            Self::Memory(bytes) => {
                let start = usize::try_from(offset).ok();
                let end = start.and_then(|start| start.checked_add(length));
                match (start, end.filter(|end| *end <= bytes.len())) {
                    (Some(start), Some(end)) => Ok(bytes.slice(start..end)),
                    _ => Err(StoreError::Damaged {
                        what: format!("{length} bytes at {offset} of a segment in memory"),
                        file: None,
                    }),
                }
            }
            Self::Object(object) => object.read_at(offset, length),
        }
    }
}

/// An object, written as a segment unless that is given up.
struct ObjectSink<'a> {
    object: Box<dyn ObjectWriter>,
    given_up: &'a AtomicBool,
}

impl Sink for ObjectSink<'_> {
    type Error = LedgerError;

    fn append(&mut self, bytes: &[u8]) -> Result<(), LedgerError> {
        if self.given_up.load(Ordering::Relaxed) {
            return Err(LedgerError::Stopped("a merge was given up".into()));
        }
        Ok(self.object.append(bytes)?)
    }
}

/// Builds segments, and opens those that are built.
pub(super) struct SegmentObjects {
    pub(super) objects: Box<dyn Objects>,
    pub(super) reader: Reader,
}

impl SegmentObjects {
    /// Builds the segment `id` of level 0 from its entries.
    pub(super) fn build(&self, id: SegmentId) -> Result<Arc<StoredSegment>, LedgerError> {
        build_in_memory(id, &self.term_map(id.seqs())?)
    }

    /// Merges the segments of the level below into the segment `id`, until it is given up.
    pub(super) fn merge(
        &self,
        id: SegmentId,
        parts: &[Arc<StoredSegment>],
        given_up: &AtomicBool,
    ) -> Result<Arc<StoredSegment>, LedgerError> {
        if id.level <= LARGEST_IN_MEMORY {
            let (record, bytes) = merge(id, parts, Vec::new()).map_err(|error| match error {
                MergeError::Read(error) => unreadable(error),
                MergeError::Write(never) => match never {},
            })?;
            return in_memory(record, bytes);
        }
        let object = self.objects.create(&name(id))?;
        let sink = ObjectSink { object, given_up };
        let (record, sink) = merge(id, parts, sink).map_err(|error| match error {
            MergeError::Read(error) => unreadable(error),
            MergeError::Write(error) => error,
        })?;
        self.finish(&record, sink.object)
    }

    /// The segment in an object, made of it if it is not there yet.
    pub(super) fn stored(
        &self,
        segment: &Arc<StoredSegment>,
    ) -> Result<Arc<StoredSegment>, LedgerError> {
        match segment.source() {
            SegmentBytes::Object(_) => Ok(Arc::clone(segment)),
            SegmentBytes::Memory(bytes) => {
                let mut object = self.objects.create(&name(segment.record().id))?;
                object.append(bytes)?;
                self.finish(segment.record(), object)
            }
        }
    }

    fn finish(
        &self,
        record: &SegmentRecord,
        object: Box<dyn ObjectWriter>,
    ) -> Result<Arc<StoredSegment>, LedgerError> {
        object.finish()?;
        let source = SegmentBytes::Object(self.objects.open(&name(record.id))?);
        let segment = Segment::open(source, *record).map_err(unreadable)?;
        Ok(Arc::new(segment))
    }

    /// Opens the segment of `record`, or builds it anew when its object is missing or damaged.
    pub(super) fn open_or_build(
        &self,
        record: &SegmentRecord,
    ) -> Result<Arc<StoredSegment>, LedgerError> {
        let opened = self.objects.open(&name(record.id));
        match opened.map(|object| Segment::open(SegmentBytes::Object(object), *record)) {
            Ok(Ok(segment)) => return Ok(Arc::new(segment)),
            Err(StoreError::Missing { .. }) | Ok(Err(SegmentError::Damaged { .. })) => {}
            Ok(Err(SegmentError::Read(error))) | Err(error) => return Err(error.into()),
        }
        self.delete(record.id)?;
        let built = self.rebuild(record.id)?;
        if built.record() == record {
            self.stored(&built)
        } else {
            Err(damaged("a segment is not what its entries come to"))
        }
    }

    /// Builds a segment of any level from the entries.
    fn rebuild(&self, id: SegmentId) -> Result<Arc<StoredSegment>, LedgerError> {
        if id.level == 0 {
            return self.build(id);
        }
        let below = id.parts();
        let parts = below
            .iter()
            .map(|id| self.rebuild(*id))
            .collect::<Result<Vec<_>, _>>()?;
        let merged = self.merge(id, &parts, &AtomicBool::new(false))?;
        for part in parts {
            self.discard(&part)?;
        }
        Ok(merged)
    }

    /// The terms of entries, read from the store.
    fn term_map(&self, seqs: Range<u64>) -> Result<TermMap, LedgerError> {
        let mut map = TermMap::default();
        self.reader
            .for_each_evidence(seqs, |header, parts| map.push_parts(header, parts))?;
        Ok(map)
    }

    /// Removes the objects that are none of these segments.
    pub(super) fn remove_all_but(&self, cover: &[SegmentId]) -> Result<(), LedgerError> {
        let kept: Vec<String> = cover.iter().map(|id| name(*id)).collect();
        for found in self.objects.list()? {
            if !kept.contains(&found) {
                self.objects.delete(&found)?;
            }
        }
        Ok(())
    }

    /// Removes the object of a segment that is not needed any more, if it has one.
    pub(super) fn discard(&self, segment: &StoredSegment) -> Result<(), LedgerError> {
        match segment.source() {
            SegmentBytes::Memory(_) => Ok(()),
            SegmentBytes::Object(_) => self.delete(segment.record().id),
        }
    }

    fn delete(&self, id: SegmentId) -> Result<(), LedgerError> {
        Ok(self.objects.delete(&name(id))?)
    }
}

/// Writes the segment `id` of these entries.
pub(super) fn build_in_memory(
    id: SegmentId,
    map: &TermMap,
) -> Result<Arc<StoredSegment>, LedgerError> {
    let (record, bytes) = match map.write(id, Vec::new()) {
        Ok(written) => written,
        Err(never) => match never {},
    };
    in_memory(record, bytes)
}

fn in_memory(record: SegmentRecord, bytes: Vec<u8>) -> Result<Arc<StoredSegment>, LedgerError> {
    let source = SegmentBytes::Memory(bytes.into());
    let segment = Segment::open(source, record).map_err(unreadable)?;
    Ok(Arc::new(segment))
}

/// What is called how in the object store.
pub(super) fn name(id: SegmentId) -> String {
    format!("segment-{}-{}", id.level, id.number)
}

pub(super) fn unreadable(error: SegmentError<StoreError>) -> LedgerError {
    match error {
        SegmentError::Read(error) => error.into(),
        damaged @ SegmentError::Damaged { .. } => {
            LedgerError::Damaged(Damage::of(damaged.to_string()))
        }
    }
}

/// What is found wrong with the index.
pub(super) fn damaged(what: &str) -> LedgerError {
    LedgerError::Damaged(Damage::of(format!("the search index: {what}")))
}
