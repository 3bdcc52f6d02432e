//! Reading a segment: where terms are, and what leaves and chunks say.

use std::ops::Range;
use std::sync::OnceLock;

use bytes::Bytes;

use super::leaf::{LeafTerm, decode_leaf, first_term};
use super::postings::{self, CHUNK_OFFSETS, Runs};
use super::record::{SegmentId, SegmentRecord};
use super::segment::{CHUNK_ROW_BYTES, DIRECTORY_ROW_BYTES, FOOTER_BYTES, MAGIC, ROW_HEIGHT};
use super::table::TIMES;
use super::{Term, TermRange};
use crate::merkle::{Hash, NodeReader, tile_node};

/// Where the bytes of a segment are read from.
pub trait Source {
    /// Why they could not be read.
    type Error;

    /// How many bytes there are.
    fn len(&self) -> u64;

    /// Whether there is nothing to read.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Exactly `length` bytes from `offset` on.
    fn read_at(&self, offset: u64, length: usize) -> Result<Bytes, Self::Error>;
}

/// Why a segment could not be read.
#[derive(Debug, thiserror::Error)]
pub enum SegmentError<E> {
    /// The bytes could not be read.
    #[error("{0}")]
    Read(E),
    /// The bytes are not a segment's, or not of the one that is expected.
    #[error("segment {} of level {}: {what}", .id.number, .id.level)]
    Damaged {
        /// Which segment.
        id: SegmentId,
        /// What is wrong.
        what: &'static str,
    },
}

/// A segment, open for reading.
#[derive(Debug)]
pub struct Segment<S> {
    source: S,
    record: SegmentRecord,
    leaves: u64,
    nodes_at: u64,
    directory_at: u64,
    samples: OnceLock<Vec<Term>>,
    times: OnceLock<Option<(Term, Term)>>,
}

/// The most leaves of a segment whose first terms are held in memory.
const MAX_SAMPLES: u64 = 4_096;
/// One leaf of so many at the most.
const MIN_STRIDE: u64 = 16;
/// Rows of the directory that are read together.
const ROWS_AT_ONCE: u64 = 64;

/// A leaf with what the segment keeps beside it.
pub(super) struct StoredLeaf {
    pub(super) bytes: Bytes,
    pub(super) terms: Vec<LeafTerm>,
    chunk_rows: Bytes,
}

/// Some rows of the directory.
#[derive(Default)]
pub(super) struct DirectoryRows {
    /// The leaf that the first is about.
    first: u64,
    bytes: Bytes,
}

impl DirectoryRows {
    fn row(&self, leaf: u64) -> Option<&[u8]> {
        let (rows, _) = self.bytes.as_chunks::<DIRECTORY_ROW_BYTES>();
        let index = usize::try_from(leaf.checked_sub(self.first)?).ok()?;
        rows.get(index).map(<[u8; DIRECTORY_ROW_BYTES]>::as_slice)
    }
}

/// Where a chunk is.
#[derive(Debug, Clone)]
pub(super) struct ChunkRow {
    pub(super) at: u64,
    pub(super) length: usize,
    pub(super) first: u32,
    pub(super) hash: Hash,
}

impl<S: Source> Segment<S> {
    /// Opens the segment that `record` is about.
    pub fn open(source: S, record: SegmentRecord) -> Result<Self, SegmentError<S::Error>> {
        let damaged = |what| SegmentError::Damaged {
            id: record.id,
            what,
        };
        let footer_at = source.len().checked_sub(FOOTER_BYTES as u64);
        let footer_at = footer_at.ok_or_else(|| damaged("it is too short"))?;
        let footer = source
            .read_at(footer_at, FOOTER_BYTES)
            .map_err(SegmentError::Read)?;
        let numbers = read_footer(&footer, record.id.level);
        let [number, terms, leaves, nodes_at, directory_at] =
            numbers.ok_or_else(|| damaged("its footer is not one"))?;
        let directory_end = leaves
            .checked_mul(DIRECTORY_ROW_BYTES as u64)
            .and_then(|length| directory_at.checked_add(length));
        let sound = number == record.id.number
            && terms == record.terms
            && leaves == record.leaves()
            && nodes_at <= directory_at
            && directory_end == Some(footer_at);
        if !sound {
            return Err(damaged("its footer does not fit its record"));
        }
        Ok(Self {
            source,
            record,
            leaves,
            nodes_at,
            directory_at,
            samples: OnceLock::new(),
            times: OnceLock::new(),
        })
    }

    /// Where its bytes are read from.
    pub fn source(&self) -> &S {
        &self.source
    }

    /// What a seal says about it.
    pub fn record(&self) -> &SegmentRecord {
        &self.record
    }

    pub(super) fn leaves(&self) -> u64 {
        self.leaves
    }

    /// The index of the leaf in which `term` stands if it stands anywhere: the last that does not begin above it.
    pub(super) fn leaf_with(&self, term: &Term) -> Result<u64, SegmentError<S::Error>> {
        Ok(self.search_leaf(term)?.0)
    }

    /// The same, with the rows of the directory about it that were read on the way.
    pub(super) fn search_leaf(
        &self,
        term: &Term,
    ) -> Result<(u64, DirectoryRows), SegmentError<S::Error>> {
        let (samples, stride) = (self.samples()?, self.stride());
        let behind = samples.partition_point(|first| first <= term) as u64;
        let mut low = behind.saturating_sub(1).saturating_mul(stride);
        let mut high = behind.max(1).saturating_mul(stride).min(self.leaves);
        let mut rows = DirectoryRows::default();
        while high - low > 1 {
            if rows.bytes.is_empty() && high - low <= ROWS_AT_ONCE {
                // With one more, for a range of terms often goes on there.
                rows = self.directory_rows(low..high.saturating_add(1).min(self.leaves))?;
            }
            let middle = low + (high - low) / 2;
            if self.first_term_by(&rows, middle)? <= *term {
                low = middle;
            } else {
                high = middle;
            }
        }
        Ok((low, rows))
    }

    /// Whether no entry of the segment can have a term of `range`, because these are hours before its first or behind its
    /// last: told from memory once it has been told.
    pub(super) fn is_beyond_times(
        &self,
        range: &TermRange,
    ) -> Result<bool, SegmentError<S::Error>> {
        if range.from.tag != TIMES {
            return Ok(false);
        }
        let times = if let Some(times) = self.times.get() {
            times
        } else {
            let times = self.find_times()?;
            self.times.get_or_init(|| times)
        };
        Ok(times
            .as_ref()
            .is_none_or(|(first, last)| range.to <= *first || range.from > *last))
    }

    /// The first and the last hour that an entry happened in, as claimed.
    fn find_times(&self) -> Result<Option<(Term, Term)>, SegmentError<S::Error>> {
        let all = TermRange::between(TIMES, None, None);
        let of_leaf = |index: u64| -> Result<Vec<Term>, SegmentError<S::Error>> {
            if index >= self.leaves {
                return Ok(Vec::new());
            }
            let terms = self.leaf(index)?.terms.into_iter().map(|term| term.term);
            Ok(terms.filter(|term| all.contains(term)).collect())
        };
        // Between two leaves, the first term is that of the second.
        let at = self.leaf_with(&all.from)?;
        let first = match of_leaf(at)?.into_iter().next() {
            None => of_leaf(at.saturating_add(1))?.into_iter().next(),
            first => first,
        };
        let last = of_leaf(self.leaf_with(&all.to)?)?.pop();
        Ok(first.zip(last))
    }

    /// The first terms of every `stride` leaves, read when they are first needed: most of a look-up needs no others.
    fn samples(&self) -> Result<&[Term], SegmentError<S::Error>> {
        if let Some(samples) = self.samples.get() {
            return Ok(samples);
        }
        let mut samples = Vec::new();
        let mut index = 0;
        while index < self.leaves {
            samples.push(self.first_term(index)?);
            index = index.saturating_add(self.stride());
        }
        Ok(self.samples.get_or_init(|| samples))
    }

    fn stride(&self) -> u64 {
        self.leaves.div_ceil(MAX_SAMPLES).max(MIN_STRIDE)
    }

    fn first_term(&self, index: u64) -> Result<Term, SegmentError<S::Error>> {
        self.first_term_by(&DirectoryRows::default(), index)
    }

    fn first_term_by(
        &self,
        rows: &DirectoryRows,
        index: u64,
    ) -> Result<Term, SegmentError<S::Error>> {
        let (at, length, _) = self.directory_row_of(rows, index)?;
        let length = length.min(super::leaf::MAX_FIRST_TERM_BYTES);
        let head = self.read(at, length)?;
        first_term(&head).ok_or_else(|| self.damaged("a leaf cannot be decoded"))
    }

    pub(super) fn leaf(&self, index: u64) -> Result<StoredLeaf, SegmentError<S::Error>> {
        self.leaf_by(&DirectoryRows::default(), index)
    }

    pub(super) fn leaf_by(
        &self,
        rows: &DirectoryRows,
        index: u64,
    ) -> Result<StoredLeaf, SegmentError<S::Error>> {
        let (at, length, rows_length) = self.directory_row_of(rows, index)?;
        let both = length
            .checked_add(rows_length)
            .ok_or_else(|| self.damaged("its directory is wrong"))?;
        let mut bytes = self.read(at, both)?;
        let chunk_rows = bytes.split_off(length);
        let terms = decode_leaf(&bytes, self.span())
            .ok_or_else(|| self.damaged("a leaf cannot be decoded"))?;
        let chunks: u64 = terms.iter().map(LeafTerm::chunks).sum();
        if chunks.checked_mul(CHUNK_ROW_BYTES as u64) != Some(rows_length as u64) {
            return Err(self.damaged("its directory is wrong"));
        }
        Ok(StoredLeaf {
            bytes,
            terms,
            chunk_rows,
        })
    }

    /// The runs of a chunk that has `count` offsets, and its bytes.
    pub(super) fn chunk(
        &self,
        row: &ChunkRow,
        count: usize,
    ) -> Result<(Bytes, Runs), SegmentError<S::Error>> {
        let bytes = self.read(row.at, row.length)?;
        let mut rest = &bytes[..];
        let runs = postings::decode(&mut rest, count, self.span())
            .filter(|_| rest.is_empty())
            .ok_or_else(|| self.damaged("postings cannot be decoded"))?;
        Ok((bytes, runs))
    }

    pub(super) fn span(&self) -> u32 {
        u32::try_from(self.record.id.span()).unwrap_or(u32::MAX)
    }

    pub(super) fn damaged(&self, what: &'static str) -> SegmentError<S::Error> {
        SegmentError::Damaged {
            id: self.record.id,
            what,
        }
    }

    /// Where a leaf is, how long it is, and how long the rows of its chunks are; read unless `rows` has it.
    fn directory_row_of(
        &self,
        rows: &DirectoryRows,
        index: u64,
    ) -> Result<(u64, usize, usize), SegmentError<S::Error>> {
        let decoded = if let Some(row) = rows.row(index) {
            decode_directory_row(row)
        } else {
            let at = self.directory_row_at(index)?;
            decode_directory_row(&self.read(at, DIRECTORY_ROW_BYTES)?)
        };
        decoded.ok_or_else(|| self.damaged("its directory is wrong"))
    }

    /// The rows of these leaves, of which there is one at least.
    fn directory_rows(&self, leaves: Range<u64>) -> Result<DirectoryRows, SegmentError<S::Error>> {
        let at = self.directory_row_at(leaves.start)?;
        let count = usize::try_from(leaves.end.saturating_sub(leaves.start)).unwrap_or(usize::MAX);
        let bytes = self.read(at, count.saturating_mul(DIRECTORY_ROW_BYTES))?;
        Ok(DirectoryRows {
            first: leaves.start,
            bytes,
        })
    }

    /// Where the directory's row of a leaf is.
    pub(super) fn directory_row_at(&self, index: u64) -> Result<u64, SegmentError<S::Error>> {
        index
            .checked_mul(DIRECTORY_ROW_BYTES as u64)
            .and_then(|offset| self.directory_at.checked_add(offset))
            .filter(|_| index < self.leaves)
            .ok_or_else(|| self.damaged("its directory is wrong"))
    }

    fn read(&self, at: u64, length: usize) -> Result<Bytes, SegmentError<S::Error>> {
        self.read_ahead(at, length, length)
    }

    /// At least `length` bytes from `at` on, and `wanted` if there are so many.
    pub(super) fn read_ahead(
        &self,
        at: u64,
        length: usize,
        wanted: usize,
    ) -> Result<Bytes, SegmentError<S::Error>> {
        let left = self.source.len().checked_sub(at);
        let left = left.map(|left| usize::try_from(left).unwrap_or(usize::MAX));
        let left = left
            .filter(|left| *left >= length)
            .ok_or_else(|| self.damaged("it is shorter than its directory says"))?;
        let length = wanted.max(length).min(left);
        self.source.read_at(at, length).map_err(SegmentError::Read)
    }
}

pub(super) fn decode_directory_row(row: &[u8]) -> Option<(u64, usize, usize)> {
    let (at, rest) = row.split_first_chunk()?;
    let (length, rest) = rest.split_first_chunk()?;
    let (rows, _) = rest.split_first_chunk()?;
    let size = |bytes| usize::try_from(u32::from_be_bytes(bytes)).ok();
    Some((u64::from_be_bytes(*at), size(*length)?, size(*rows)?))
}

impl StoredLeaf {
    /// The rows of the chunks of the term `index`.
    pub(super) fn chunk_rows(&self, index: usize) -> Vec<ChunkRow> {
        let before = self.terms.iter().take(index).map(LeafTerm::chunks);
        let skipped = usize::try_from(before.sum::<u64>()).unwrap_or(usize::MAX);
        let count = self.terms.get(index).map_or(0, LeafTerm::chunks);
        self.chunk_rows
            .chunks_exact(CHUNK_ROW_BYTES)
            .skip(skipped)
            .take(usize::try_from(count).unwrap_or(usize::MAX))
            .filter_map(ChunkRow::decode)
            .collect()
    }
}

impl ChunkRow {
    pub(super) fn decode(row: &[u8]) -> Option<Self> {
        let (at, rest) = row.split_first_chunk()?;
        let (length, rest) = rest.split_first_chunk()?;
        let (first, hash) = rest.split_first_chunk()?;
        Some(Self {
            at: u64::from_be_bytes(*at),
            length: usize::from(u16::from_be_bytes(*length)),
            first: u32::from_be_bytes(*first),
            hash: hash.try_into().ok()?,
        })
    }
}

/// How many offsets the chunk `index` of a list of `count` has.
pub(super) fn chunk_offsets(count: u32, index: u64) -> usize {
    let before = index.saturating_mul(CHUNK_OFFSETS as u64);
    let left = u64::from(count).saturating_sub(before);
    usize::try_from(left)
        .unwrap_or(usize::MAX)
        .min(CHUNK_OFFSETS)
}

fn read_footer(footer: &[u8], level: u8) -> Option<[u64; 5]> {
    let rest = footer.strip_prefix(MAGIC)?.strip_prefix(&[level])?;
    let (numbers, rest) = rest.as_chunks::<8>();
    let numbers: Vec<u64> = numbers.iter().map(|n| u64::from_be_bytes(*n)).collect();
    numbers.try_into().ok().filter(|_| rest.is_empty())
}

/// The tree over the leaves.
impl<S: Source> NodeReader for Segment<S> {
    type Error = SegmentError<S::Error>;

    fn node(&self, level: u8, index: u64) -> Result<Hash, Self::Error> {
        let wrong = || self.damaged("its tree is smaller than its record says");
        let (row, within) = (level / ROW_HEIGHT, level % ROW_HEIGHT);
        let rows_below = (0..row).map(|row| self.leaves >> (ROW_HEIGHT * row));
        let first = index.checked_shl(u32::from(within)).ok_or_else(wrong)?;
        let at = rows_below
            .sum::<u64>()
            .checked_add(first)
            .and_then(|node| node.checked_mul(32))
            .and_then(|offset| self.nodes_at.checked_add(offset))
            .ok_or_else(wrong)?;
        let stored = self.read(at, 32 << within)?;
        let (hashes, _) = stored.as_chunks::<32>();
        tile_node(hashes, within, 0).ok_or_else(wrong)
    }
}
