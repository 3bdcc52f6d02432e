//! The bytes of segments: objects, built from the entries of the store and from other segments.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use super::error::{Damage, LedgerError};
use super::reader::Reader;
use crate::index::{
    MergeError, Segment, SegmentError, SegmentId, SegmentRecord, Sink, Source, TermMap, merge,
};
use crate::store::{ObjectReader, ObjectWriter, Objects, StoreError};

/// A segment in an object.
pub(crate) type StoredSegment = Segment<ObjectSource>;

/// An object, read as a segment.
pub(crate) struct ObjectSource(pub(super) Box<dyn ObjectReader>);

impl Source for ObjectSource {
    type Error = StoreError;

    fn len(&self) -> u64 {
        self.0.len()
    }

    fn read_at(&self, offset: u64, length: usize) -> Result<Bytes, StoreError> {
        self.0.read_at(offset, length)
    }
}

/// An object, written as a segment.
struct ObjectSink(Box<dyn ObjectWriter>);

impl Sink for ObjectSink {
    type Error = StoreError;

    fn append(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.0.append(bytes)
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
        let map = self.term_map(id.seqs())?;
        let sink = ObjectSink(self.objects.create(&name(id))?);
        let (record, sink) = map.write(id, sink)?;
        self.finish(record, sink)
    }

    /// Merges the segments of the level below into the segment `id`.
    pub(super) fn merge(
        &self,
        id: SegmentId,
        parts: &[Arc<StoredSegment>],
    ) -> Result<Arc<StoredSegment>, LedgerError> {
        let sink = ObjectSink(self.objects.create(&name(id))?);
        let (record, sink) = merge(id, parts, sink).map_err(|error| match error {
            MergeError::Read(error) => unreadable(error),
            MergeError::Write(error) => error.into(),
        })?;
        self.finish(record, sink)
    }

    fn finish(
        &self,
        record: SegmentRecord,
        sink: ObjectSink,
    ) -> Result<Arc<StoredSegment>, LedgerError> {
        sink.0.finish()?;
        let source = ObjectSource(self.objects.open(&name(record.id))?);
        let segment = Segment::open(source, record).map_err(unreadable)?;
        Ok(Arc::new(segment))
    }

    /// Opens the segment of `record`, or builds it anew when its object is missing or damaged.
    pub(super) fn open_or_build(
        &self,
        record: &SegmentRecord,
    ) -> Result<Arc<StoredSegment>, LedgerError> {
        let opened = self.objects.open(&name(record.id));
        match opened.map(|object| Segment::open(ObjectSource(object), *record)) {
            Ok(Ok(segment)) => return Ok(Arc::new(segment)),
            Err(StoreError::Missing { .. }) | Ok(Err(SegmentError::Damaged { .. })) => {}
            Ok(Err(SegmentError::Read(error))) | Err(error) => return Err(error.into()),
        }
        self.delete(record.id)?;
        let built = self.rebuild(record.id)?;
        if built.record() == record {
            Ok(built)
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
        let merged = self.merge(id, &parts)?;
        for id in below {
            self.delete(id)?;
        }
        Ok(merged)
    }

    /// The terms of entries, read from the store.
    fn term_map(&self, seqs: Range<u64>) -> Result<TermMap, LedgerError> {
        let mut map = TermMap::default();
        self.reader
            .for_each_evidence(seqs, |facts| map.push_entry(facts))?;
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

    /// Removes the object of a segment, if there is one.
    pub(super) fn delete(&self, id: SegmentId) -> Result<(), LedgerError> {
        Ok(self.objects.delete(&name(id))?)
    }
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
