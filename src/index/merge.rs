//! Merging segments into one of the next level, term by term, in a few windows of memory.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::ops::Range;

use bytes::Bytes;

use super::leaf::{INLINE_BYTES, LEAF_TERMS, RawPostings, chunk_hash, raw_terms, take_raw_term};
use super::postings::{self, CHUNK_OFFSETS, Runs};
use super::reader::{ChunkRow, Segment, SegmentError, Source, chunk_offsets, decode_directory_row};
use super::record::{SegmentId, SegmentRecord};
use super::segment::{CHUNK_ROW_BYTES, DIRECTORY_ROW_BYTES, SegmentWriter, Sink};
use super::term_map::beginning;
use crate::merkle::{Frontier, Hash, leaf_hash};

/// Bytes that are read at once of what is read in order.
const WINDOW_BYTES: usize = 64 * 1024;

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
///
/// Everything that is read is checked against the segments' records, so damage does not get into the merged one.
pub fn merge<R: Source, S: Sink>(
    id: SegmentId,
    parts: &[impl Borrow<Segment<R>>],
    sink: S,
) -> Result<(SegmentRecord, S), MergeError<R::Error, S::Error>> {
    let mut writer = SegmentWriter::new(id, sink);
    let mut cursors = parts
        .iter()
        .map(|part| Cursor::new(part.borrow(), id))
        .collect::<Result<Vec<_>, _>>()?;
    // The cursors that stand before a term, that with the smallest term last; of several, that of the first part.
    let mut order: Vec<usize> = Vec::with_capacity(cursors.len());
    for index in 0..cursors.len() {
        insert(&mut order, &cursors, index);
    }
    let mut same = Vec::with_capacity(cursors.len());
    let mut scratch = Scratch::default();
    while let Some(first) = order.pop() {
        same.clear();
        same.push(first);
        while let Some(next) = order.pop_if(|next| is_same(&cursors, first, *next)) {
            same.push(next);
        }
        let alone = same.len() == 1;
        if !(alone && copy_inline(&cursors, first, &mut scratch, &mut writer)?) {
            for index in &same {
                if let Some(cursor) = cursors.get_mut(*index) {
                    cursor.copy_postings(&mut scratch, &mut writer)?;
                }
            }
            if let Some(cursor) = cursors.get(first) {
                let (tag, value) = (cursor.term.tag, cursor.value());
                writer.end_term(tag, value).map_err(MergeError::Write)?;
            }
        }
        for index in same.drain(..) {
            if let Some(cursor) = cursors.get_mut(index) {
                cursor.advance()?;
            }
            insert(&mut order, &cursors, index);
        }
    }
    writer.finish().map_err(MergeError::Write)
}

/// Puts a cursor into the order, unless it is at its end.
fn insert<R: Source>(order: &mut Vec<usize>, cursors: &[Cursor<'_, R>], index: usize) {
    let Some(cursor) = cursors.get(index).filter(|cursor| !cursor.at_end) else {
        return;
    };
    let comes_later = |other: &usize| {
        let by_term = cursors.get(*other).map(|other| other.cmp_term(cursor));
        by_term.is_some_and(|by_term| by_term.then(other.cmp(&index)).is_gt())
    };
    order.insert(order.partition_point(comes_later), index);
}

fn is_same<R: Source>(cursors: &[Cursor<'_, R>], first: usize, next: usize) -> bool {
    match (cursors.get(first), cursors.get(next)) {
        (Some(first), Some(next)) => first.cmp_term(next).is_eq(),
        _ => false,
    }
}

/// Writes the term of the cursor `index`, which no other has, without decoding its postings. Says false when it is not so
/// easy.
fn copy_inline<R: Source, S: Sink>(
    cursors: &[Cursor<'_, R>],
    index: usize,
    scratch: &mut Scratch,
    writer: &mut SegmentWriter<S>,
) -> Result<bool, MergeError<R::Error, S::Error>> {
    let Some(cursor) = cursors.get(index) else {
        return Ok(false);
    };
    let term = &cursor.term;
    let Some(postings) = cursor.inline().filter(|_| !fills_chunk(term.count)) else {
        return Ok(false);
    };
    scratch.encoded.clear();
    postings::shift(postings, cursor.shift, &mut scratch.encoded)
        .ok_or_else(|| cursor.damaged("postings cannot be decoded"))?;
    if scratch.encoded.len() > INLINE_BYTES {
        return Ok(false);
    }
    writer
        .put_inline(term.tag, cursor.value(), term.count, &scratch.encoded)
        .map_err(MergeError::Write)?;
    Ok(true)
}

/// Whether so many postings do not fit beside their term.
fn fills_chunk(count: u32) -> bool {
    usize::try_from(count).is_ok_and(|count| count >= CHUNK_OFFSETS)
}

/// Memory that is used again for every term.
#[derive(Default)]
struct Scratch {
    encoded: Vec<u8>,
    runs: Runs,
}

/// A walk through the terms of a segment.
struct Cursor<'a, R> {
    segment: &'a Segment<R>,
    /// From its offsets to those of the merged segment.
    shift: u32,
    directory: Window,
    leaves: Window,
    rows: Window,
    chunks: Window,
    next_leaf: u64,
    /// What is left of the current leaf behind the current term, and how many terms that is.
    leaf: Bytes,
    at: usize,
    terms_left: usize,
    /// Where the row of the next chunk is, and how many bytes of rows are left.
    row_at: u64,
    row_bytes: u64,
    term: Current,
    at_end: bool,
    /// The tree over the leaves so far, to compare with the record.
    tree: Frontier,
}

/// The term that a cursor stands before.
struct Current {
    tag: u16,
    beginning: u64,
    /// Where its value is in the leaf.
    value: Range<usize>,
    count: u32,
    postings: CurrentPostings,
}

enum CurrentPostings {
    /// Where they are in the leaf.
    Inline(Range<usize>),
    Root(Hash),
}

/// What of a segment was read last.
#[derive(Default)]
struct Window {
    at: u64,
    bytes: Bytes,
}

impl Window {
    /// The `length` bytes at `at`, read together with some that follow.
    fn get<R: Source>(
        &mut self,
        segment: &Segment<R>,
        at: u64,
        length: usize,
    ) -> Result<Bytes, SegmentError<R::Error>> {
        let held = at.checked_sub(self.at).and_then(|start| {
            let start = usize::try_from(start).ok()?;
            let end = start.checked_add(length)?;
            (end <= self.bytes.len()).then_some(start..end)
        });
        if let Some(held) = held {
            return Ok(self.bytes.slice(held));
        }
        self.bytes = segment.read_ahead(at, length, WINDOW_BYTES)?;
        self.at = at;
        Ok(self.bytes.slice(..length))
    }
}

impl<'a, R: Source> Cursor<'a, R> {
    fn new(segment: &'a Segment<R>, into: SegmentId) -> Result<Self, SegmentError<R::Error>> {
        let start = segment.record().id.seqs().start;
        let shift = start.saturating_sub(into.seqs().start);
        let mut cursor = Self {
            segment,
            shift: u32::try_from(shift).unwrap_or(u32::MAX),
            directory: Window::default(),
            leaves: Window::default(),
            rows: Window::default(),
            chunks: Window::default(),
            next_leaf: 0,
            leaf: Bytes::new(),
            at: 0,
            terms_left: 0,
            row_at: 0,
            row_bytes: 0,
            term: Current {
                tag: 0,
                beginning: 0,
                value: 0..0,
                count: 0,
                postings: CurrentPostings::Inline(0..0),
            },
            at_end: false,
            tree: Frontier::new(),
        };
        cursor.advance()?;
        Ok(cursor)
    }

    fn value(&self) -> &[u8] {
        self.leaf.get(self.term.value.clone()).unwrap_or_default()
    }

    fn inline(&self) -> Option<&[u8]> {
        match &self.term.postings {
            CurrentPostings::Inline(range) => self.leaf.get(range.clone()),
            CurrentPostings::Root(_) => None,
        }
    }

    fn cmp_term(&self, other: &Self) -> Ordering {
        let key = |cursor: &Self| (cursor.term.tag, cursor.term.beginning);
        key(self)
            .cmp(&key(other))
            .then_with(|| self.value().cmp(other.value()))
    }

    fn damaged(&self, what: &'static str) -> SegmentError<R::Error> {
        self.segment.damaged(what)
    }

    /// Goes to the next term.
    fn advance(&mut self) -> Result<(), SegmentError<R::Error>> {
        if self.terms_left == 0 {
            if self.row_bytes != 0 {
                return Err(self.damaged("its directory is wrong"));
            }
            if self.next_leaf == self.segment.leaves() {
                self.at_end = true;
                if self.tree.root() != self.segment.record().root {
                    return Err(self.damaged("its leaves do not hash to its root"));
                }
                return Ok(());
            }
            self.read_leaf()?;
        }
        self.terms_left -= 1;
        let undecodable = || self.segment.damaged("a leaf cannot be decoded");
        let mut rest = self.leaf.get(self.at..).unwrap_or_default();
        let term = take_raw_term(&mut rest, self.segment.span()).ok_or_else(undecodable)?;
        let end = self.leaf.len() - rest.len();
        // Behind tag and length.
        let value = self.at + 4..self.at + 4 + term.value.len();
        let postings = match term.postings {
            RawPostings::Inline(bytes) => CurrentPostings::Inline(end - bytes.len()..end),
            RawPostings::Root(root) => CurrentPostings::Root(root),
        };
        self.term = Current {
            tag: term.tag,
            beginning: beginning(term.value),
            value,
            count: term.count,
            postings,
        };
        if self.terms_left == 0 && !rest.is_empty() {
            return Err(undecodable());
        }
        self.at = end;
        Ok(())
    }

    fn read_leaf(&mut self) -> Result<(), SegmentError<R::Error>> {
        let at = self.segment.directory_row_at(self.next_leaf)?;
        let row = self.directory.get(self.segment, at, DIRECTORY_ROW_BYTES)?;
        let (at, length, row_bytes) = decode_directory_row(&row)
            .ok_or_else(|| self.segment.damaged("its directory is wrong"))?;
        self.leaf = self.leaves.get(self.segment, at, length)?;
        self.tree.push(leaf_hash(&self.leaf));
        let (terms, rest) = raw_terms(&self.leaf)
            .filter(|(terms, _)| (1..=LEAF_TERMS).contains(terms))
            .ok_or_else(|| self.segment.damaged("a leaf cannot be decoded"))?;
        self.terms_left = terms;
        self.at = self.leaf.len() - rest.len();
        self.row_at = at.saturating_add(length as u64);
        self.row_bytes = row_bytes as u64;
        self.next_leaf += 1;
        Ok(())
    }

    /// Writes the postings of the current term, as offsets in the merged segment.
    fn copy_postings<S: Sink>(
        &mut self,
        scratch: &mut Scratch,
        writer: &mut SegmentWriter<S>,
    ) -> Result<(), MergeError<R::Error, S::Error>> {
        let runs = &mut scratch.runs;
        let root = match &self.term.postings {
            CurrentPostings::Inline(range) => {
                let bytes = self.leaf.get(range.clone()).unwrap_or_default();
                self.decode(bytes, self.term.count as usize, runs)?;
                return self.write(runs, writer);
            }
            CurrentPostings::Root(root) => *root,
        };
        let mut tree = Frontier::new();
        for index in 0..u64::from(self.term.count).div_ceil(CHUNK_OFFSETS as u64) {
            let bytes = self.next_chunk()?;
            tree.push(chunk_hash(&bytes));
            self.decode(&bytes, chunk_offsets(self.term.count, index), runs)?;
            self.write(runs, writer)?;
        }
        if tree.root() == root {
            Ok(())
        } else {
            Err(self.damaged("postings do not hash to their root").into())
        }
    }

    fn next_chunk(&mut self) -> Result<Bytes, SegmentError<R::Error>> {
        let row_bytes = self.row_bytes.checked_sub(CHUNK_ROW_BYTES as u64);
        self.row_bytes = row_bytes.ok_or_else(|| self.damaged("its directory is wrong"))?;
        let row = self.rows.get(self.segment, self.row_at, CHUNK_ROW_BYTES)?;
        self.row_at = self.row_at.saturating_add(CHUNK_ROW_BYTES as u64);
        let row = ChunkRow::decode(&row).ok_or_else(|| self.damaged("its directory is wrong"))?;
        self.chunks.get(self.segment, row.at, row.length)
    }

    fn decode(
        &self,
        mut bytes: &[u8],
        count: usize,
        runs: &mut Runs,
    ) -> Result<(), SegmentError<R::Error>> {
        postings::decode_into(&mut bytes, count, self.segment.span(), runs)
            .filter(|()| bytes.is_empty())
            .ok_or_else(|| self.damaged("postings cannot be decoded"))
    }

    fn write<S: Sink>(
        &self,
        runs: &Runs,
        writer: &mut SegmentWriter<S>,
    ) -> Result<(), MergeError<R::Error, S::Error>> {
        let shift = self.shift;
        for run in runs {
            let shifted = run.start.saturating_add(shift)..run.end.saturating_add(shift);
            writer.push_run(shifted).map_err(MergeError::Write)?;
        }
        Ok(())
    }
}
