//! Building segments: from the terms of entries, and from the segments of the level below.

use std::borrow::Borrow;
use std::ops::Range;

use hashbrown::HashMap;

use super::leaf::{LeafTerm, Postings};
use super::postings::Runs;
use super::reader::{Segment, SegmentError, Source, StoredLeaf, chunk_offsets};
use super::record::{SegmentId, SegmentRecord};
use super::segment::{SegmentWriter, Sink};
use super::terms::visit_terms;
use super::{Facts, Term};

/// The terms of consecutive entries, and which entries have each.
#[derive(Debug, Default)]
pub struct TermMap {
    /// By key.
    terms: HashMap<Vec<u8>, Entries>,
    entries: u32,
}

/// The entries that have a term, as runs. Most terms have one.
#[derive(Debug)]
struct Entries {
    last: Range<u32>,
    before: Runs,
}

impl Entries {
    fn push(&mut self, entry: u32) {
        let behind = entry.saturating_add(1);
        if entry > self.last.end {
            self.before
                .push(std::mem::replace(&mut self.last, entry..behind));
        } else {
            self.last.end = behind;
        }
    }
}

impl TermMap {
    /// Takes the terms of the next entry.
    pub fn push(&mut self, terms: &[Term]) {
        for term in terms {
            self.insert(&term.key());
        }
        self.entries = self.entries.saturating_add(1);
    }

    /// Takes the next entry.
    pub fn push_entry(&mut self, facts: &Facts) {
        visit_terms(facts, &mut |key| self.insert(key));
        self.entries = self.entries.saturating_add(1);
    }

    fn insert(&mut self, key: &[u8]) {
        let entry = self.entries;
        if let Some(entries) = self.terms.get_mut(key) {
            entries.push(entry);
            return;
        }
        let last = entry..entry.saturating_add(1);
        let before = Runs::new();
        self.terms.insert(key.to_vec(), Entries { last, before });
    }

    /// Writes the segment of these entries.
    pub fn write<S: Sink>(&self, id: SegmentId, sink: S) -> Result<(SegmentRecord, S), S::Error> {
        let mut terms: Vec<_> = self.terms.iter().collect();
        terms.sort_unstable_by_key(|(key, _)| *key);
        let mut writer = SegmentWriter::new(id, sink);
        for (key, Entries { last, before }) in terms {
            for run in before.iter().chain([last]) {
                writer.push_run(run.clone())?;
            }
            if let Some(term) = Term::from_key(key) {
                writer.end_term(&term)?;
            }
        }
        writer.finish()
    }
}

/// Why segments could not be merged.
#[derive(Debug, thiserror::Error)]
pub enum MergeError<R, W> {
    /// One of them could not be read.
    #[error(transparent)]
    Read(#[from] SegmentError<R>),
    /// The merged one could not be written.
    #[error("{0}")]
    Write(W),
}

/// Merges the segments that lie, in this order, in the segment `id`. It is what their entries would have been built into.
pub fn merge<R: Source, S: Sink>(
    id: SegmentId,
    parts: &[impl Borrow<Segment<R>>],
    sink: S,
) -> Result<(SegmentRecord, S), MergeError<R::Error, S::Error>> {
    let mut writer = SegmentWriter::new(id, sink);
    let mut cursors = parts
        .iter()
        .map(|part| Cursor::new(part.borrow()))
        .collect::<Result<Vec<_>, _>>()?;
    while let Some(term) = cursors.iter().filter_map(Cursor::term).min().cloned() {
        for cursor in &mut cursors {
            if cursor.term() == Some(&term) {
                cursor.copy_postings(id, &mut writer)?;
                cursor.advance()?;
            }
        }
        writer.end_term(&term).map_err(MergeError::Write)?;
    }
    writer.finish().map_err(MergeError::Write)
}

/// A walk through the terms of a segment.
struct Cursor<'a, R> {
    segment: &'a Segment<R>,
    leaf: Option<StoredLeaf>,
    next_leaf: u64,
    index: usize,
}

impl<'a, R: Source> Cursor<'a, R> {
    fn new(segment: &'a Segment<R>) -> Result<Self, SegmentError<R::Error>> {
        let mut cursor = Self {
            segment,
            leaf: None,
            next_leaf: 0,
            index: 0,
        };
        cursor.read_leaf()?;
        Ok(cursor)
    }

    fn found(&self) -> Option<&LeafTerm> {
        self.leaf.as_ref()?.terms.get(self.index)
    }

    fn term(&self) -> Option<&Term> {
        self.found().map(|found| &found.term)
    }

    fn advance(&mut self) -> Result<(), SegmentError<R::Error>> {
        self.index += 1;
        if self.found().is_none() {
            self.read_leaf()?;
        }
        Ok(())
    }

    fn read_leaf(&mut self) -> Result<(), SegmentError<R::Error>> {
        self.leaf = None;
        self.index = 0;
        if self.next_leaf < self.segment.leaves() {
            self.leaf = Some(self.segment.leaf(self.next_leaf)?);
            self.next_leaf += 1;
        }
        Ok(())
    }

    /// Writes the postings of the current term, as offsets in the segment `into`.
    fn copy_postings<S: Sink>(
        &self,
        into: SegmentId,
        writer: &mut SegmentWriter<S>,
    ) -> Result<(), MergeError<R::Error, S::Error>> {
        let (Some(leaf), Some(found)) = (&self.leaf, self.found()) else {
            return Ok(());
        };
        let start = self.segment.record().id.seqs().start;
        let shift = u32::try_from(start.saturating_sub(into.seqs().start)).unwrap_or(u32::MAX);
        let mut write = |runs: &[Range<u32>]| {
            for run in runs {
                let shifted = run.start.saturating_add(shift)..run.end.saturating_add(shift);
                writer.push_run(shifted).map_err(MergeError::Write)?;
            }
            Ok(())
        };
        match &found.postings {
            Postings::Inline(runs) => write(runs),
            Postings::Root(_) => {
                for (row, chunk) in leaf.chunk_rows(self.index).iter().zip(0..) {
                    let count = chunk_offsets(found.count, chunk);
                    write(&self.segment.chunk(row, count)?.1)?;
                }
                Ok(())
            }
        }
    }
}
