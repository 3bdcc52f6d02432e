//! A segment as it lies in an object: written front to back, read anywhere.
//!
//! ```text
//! block*     for every leaf: the chunks of its terms, the leaf, then for each of its chunks, in order:
//!            at u64 · length u16 · first offset u32 · hash[32]
//! nodes      the hashes of the leaves, then the complete nodes of their tree at heights 4, 8, 12 …, 32 bytes each
//! directory  for every leaf: at u64 · length u32 · bytes of chunk rows behind it u32
//! footer     "graven segment 1" · level u8 · number u64 · terms u64 · leaves u64 · nodes at u64 · directory at u64
//! ```
//!
//! Big-endian. Only leaves and chunks are hashed; the rest is a means to find them, and what is found with its help is
//! checked against the roots.

use std::ops::Range;

use super::leaf::{INLINE_BYTES, LEAF_TERMS, LeafBuilder, chunk_hash};
use super::postings::{self, Chunker};
use super::record::{SegmentId, SegmentRecord};
use crate::merkle::{Frontier, Hash, leaf_hash, tile_node};

pub(super) const MAGIC: &[u8; 16] = b"graven segment 1";
pub(super) const FOOTER_BYTES: usize = 57;
pub(super) const CHUNK_ROW_BYTES: usize = 46;
pub(super) const DIRECTORY_ROW_BYTES: usize = 16;
/// Heights between two rows of stored nodes.
pub(super) const ROW_HEIGHT: u8 = 4;

/// Where the bytes of a segment go.
pub trait Sink {
    /// Why they could not go there.
    type Error;

    /// Takes the next bytes.
    fn append(&mut self, bytes: &[u8]) -> Result<(), Self::Error>;
}

impl Sink for Vec<u8> {
    type Error = std::convert::Infallible;

    fn append(&mut self, bytes: &[u8]) -> Result<(), Self::Error> {
        self.extend_from_slice(bytes);
        Ok(())
    }
}

/// Writes a segment, term by term. Memory grows by 48 bytes for sixteen terms and 46 for 1,024 postings of one term.
#[derive(Debug)]
pub struct SegmentWriter<S> {
    id: SegmentId,
    sink: S,
    at: u64,
    /// The postings of the next term, as far as they are not in a chunk.
    chunker: Chunker,
    /// The tree over the chunks of the next term.
    chunks: Frontier,
    /// Where postings are encoded.
    encoded: Vec<u8>,
    leaf: LeafBuilder,
    chunk_rows: Vec<u8>,
    directory: Vec<u8>,
    hashes: Vec<Hash>,
    terms: u64,
}

impl<S: Sink> SegmentWriter<S> {
    /// A writer for the segment `id`.
    pub fn new(id: SegmentId, sink: S) -> Self {
        Self {
            id,
            sink,
            at: 0,
            chunker: Chunker::default(),
            chunks: Frontier::new(),
            encoded: Vec::new(),
            leaf: LeafBuilder::default(),
            chunk_rows: Vec::new(),
            directory: Vec::new(),
            hashes: Vec::new(),
            terms: 0,
        }
    }

    /// Writes postings of the next term: a run of offsets from the segment's first seq, behind those before.
    pub fn push_run(&mut self, run: Range<u32>) -> Result<(), S::Error> {
        let mut chunker = std::mem::take(&mut self.chunker);
        let result = chunker.push(run, |full| self.write_chunk(full));
        self.chunker = chunker;
        result
    }

    /// Writes the term, above those before, whose postings were just written.
    pub fn end_term(&mut self, tag: u16, value: &[u8]) -> Result<(), S::Error> {
        let mut chunker = std::mem::take(&mut self.chunker);
        let count = u32::try_from(chunker.total()).unwrap_or(u32::MAX);
        self.encoded.clear();
        postings::encode(chunker.rest(), &mut self.encoded);
        if self.chunks.size() == 0 && self.encoded.len() <= INLINE_BYTES {
            self.leaf.push_inline(tag, value, count, &self.encoded);
        } else {
            if !chunker.rest().is_empty() {
                self.write_chunk(chunker.rest())?;
            }
            let chunks = std::mem::take(&mut self.chunks);
            self.leaf.push_root(tag, value, count, &chunks.root());
        }
        chunker.clear();
        self.chunker = chunker;
        self.term_ended()
    }

    /// Writes a term, above those before, with `count` postings of one chunk, which are encoded already. They must take
    /// at most [`INLINE_BYTES`].
    pub(super) fn put_inline(
        &mut self,
        tag: u16,
        value: &[u8],
        count: u32,
        postings: &[u8],
    ) -> Result<(), S::Error> {
        self.leaf.push_inline(tag, value, count, postings);
        self.term_ended()
    }

    fn term_ended(&mut self) -> Result<(), S::Error> {
        self.terms += 1;
        if self.leaf.terms() == LEAF_TERMS {
            self.write_leaf()?;
        }
        Ok(())
    }

    /// Writes what makes the terms findable.
    pub fn finish(mut self) -> Result<(SegmentRecord, S), S::Error> {
        if self.leaf.terms() > 0 {
            self.write_leaf()?;
        }
        let mut tree = Frontier::new();
        for hash in &self.hashes {
            tree.push(*hash);
        }
        let leaves = self.hashes.len() as u64;
        let nodes_at = self.at;
        let mut row = std::mem::take(&mut self.hashes);
        while !row.is_empty() {
            self.append(row.as_flattened())?;
            row = row_above(&row);
        }
        let directory_at = self.at;
        let directory = std::mem::take(&mut self.directory);
        self.append(&directory)?;
        let mut footer = Vec::with_capacity(FOOTER_BYTES);
        footer.extend_from_slice(MAGIC);
        footer.push(self.id.level);
        for number in [self.id.number, self.terms, leaves, nodes_at, directory_at] {
            footer.extend_from_slice(&number.to_be_bytes());
        }
        self.append(&footer)?;
        let record = SegmentRecord {
            id: self.id,
            terms: self.terms,
            root: tree.root(),
        };
        Ok((record, self.sink))
    }

    fn write_chunk(&mut self, runs: &[Range<u32>]) -> Result<(), S::Error> {
        self.encoded.clear();
        postings::encode(runs, &mut self.encoded);
        let hash = chunk_hash(&self.encoded);
        let first = runs.first().map_or(0, |run| run.start);
        let length = u16::try_from(self.encoded.len()).unwrap_or(u16::MAX);
        self.chunk_rows.extend_from_slice(&self.at.to_be_bytes());
        self.chunk_rows.extend_from_slice(&length.to_be_bytes());
        self.chunk_rows.extend_from_slice(&first.to_be_bytes());
        self.chunk_rows.extend_from_slice(&hash);
        self.chunks.push(hash);
        self.at += self.encoded.len() as u64;
        self.sink.append(&self.encoded)
    }

    fn write_leaf(&mut self) -> Result<(), S::Error> {
        let leaf = self.leaf.finish();
        self.directory.extend_from_slice(&self.at.to_be_bytes());
        for length in [leaf.len(), self.chunk_rows.len()] {
            let length = u32::try_from(length).unwrap_or(u32::MAX);
            self.directory.extend_from_slice(&length.to_be_bytes());
        }
        self.hashes.push(leaf_hash(leaf));
        self.at += (leaf.len() + self.chunk_rows.len()) as u64;
        self.sink.append(leaf)?;
        self.sink.append(&self.chunk_rows)?;
        self.chunk_rows.clear();
        Ok(())
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), S::Error> {
        self.at += bytes.len() as u64;
        self.sink.append(bytes)
    }
}

/// The complete nodes [`ROW_HEIGHT`] above a row of nodes.
fn row_above(row: &[Hash]) -> Vec<Hash> {
    row.chunks_exact(1 << ROW_HEIGHT)
        .filter_map(|below| tile_node(below, ROW_HEIGHT, 0))
        .collect()
}
