//! Which segments there are, what a seal says about them, and which of them cover a range.
//!
//! ```text
//! record   0xFD ‖ level u8 ‖ number u64 ‖ terms u64 ‖ terms root[32]                        big-endian, 50 bytes
//! seal     for each level how many segments exist, and the RFC 6962 root over their records
//! ```

use std::collections::BTreeMap;
use std::ops::Range;

use super::leaf::LEAF_TERMS;
use crate::entry::genesis::INDEX_SPANS;
use crate::entry::v1;
use crate::merkle::{Hash, leaf_hash};

/// The number of levels.
pub const LEVELS: usize = INDEX_SPANS.len();
/// Segments of a level that are merged into one of the next.
pub const FAN_IN: u64 = 16;

const RECORD: u8 = 0xFD;

/// A segment's place: its level and its number, from 0, within the level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SegmentId {
    /// The level, below [`LEVELS`].
    pub level: u8,
    /// The number within the level.
    pub number: u64,
}

impl SegmentId {
    /// How many entries a segment of this level spans.
    pub fn span(&self) -> u64 {
        span(usize::from(self.level))
    }

    /// The segments of the level below that are merged into it; none on level 0.
    pub fn parts(&self) -> Vec<Self> {
        let Some(level) = self.level.checked_sub(1) else {
            return Vec::new();
        };
        let first = self.number.saturating_mul(FAN_IN);
        let numbers = first..first.saturating_add(FAN_IN);
        numbers.map(|number| Self { level, number }).collect()
    }

    /// The seqs that it spans.
    pub fn seqs(&self) -> Range<u64> {
        let start = self.number.saturating_mul(self.span());
        start..start.saturating_add(self.span())
    }
}

/// What a seal commits to about one segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentRecord {
    /// Which segment.
    pub id: SegmentId,
    /// How many terms it has.
    pub terms: u64,
    /// RFC 6962 root over its leaves.
    pub root: Hash,
}

impl SegmentRecord {
    /// Length of its encoding, in bytes.
    pub const LEN: usize = 50;

    /// Its encoding.
    pub fn encode(&self) -> [u8; Self::LEN] {
        let mut encoded = [0; Self::LEN];
        let (kind, rest) = encoded.split_at_mut(2);
        kind.copy_from_slice(&[RECORD, self.id.level]);
        let (number, rest) = rest.split_at_mut(8);
        number.copy_from_slice(&self.id.number.to_be_bytes());
        let (terms, root) = rest.split_at_mut(8);
        terms.copy_from_slice(&self.terms.to_be_bytes());
        root.copy_from_slice(&self.root);
        encoded
    }

    /// Reads an encoding. None if it is not that of a record.
    pub fn decode(encoded: &[u8]) -> Option<Self> {
        let (&[RECORD, level], rest) = encoded.split_first_chunk()? else {
            return None;
        };
        let (number, rest) = rest.split_first_chunk()?;
        let (terms, root) = rest.split_first_chunk()?;
        (usize::from(level) < LEVELS).then_some(Self {
            id: SegmentId {
                level,
                number: u64::from_be_bytes(*number),
            },
            terms: u64::from_be_bytes(*terms),
            root: root.try_into().ok()?,
        })
    }

    /// How many leaves its dictionary has.
    pub fn leaves(&self) -> u64 {
        self.terms.div_ceil(LEAF_TERMS as u64)
    }

    /// What it hashes to in the tree of its level.
    pub fn leaf_hash(&self) -> Hash {
        leaf_hash(&self.encode())
    }
}

/// A seal that keeps every rule: for each level, how many segments there are and the root over their records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Levels(Vec<(u64, Hash)>);

impl Levels {
    /// Reads a seal.
    ///
    /// None if it is of another index version, has too many levels or roots of a wrong length, or if a level covers
    /// entries that the one below does not.
    pub fn of(seal: &v1::Seal) -> Option<Self> {
        if seal.index_version != crate::entry::genesis::INDEX_VERSION || seal.levels.len() > LEVELS
        {
            return None;
        }
        let levels = seal.levels.iter().map(|level| {
            let root = level.root.as_slice().try_into().ok()?;
            Some((level.segments, root))
        });
        let levels = Self(levels.collect::<Option<_>>()?);
        let ends = (0..LEVELS).map(|level| levels.end(level));
        ends.collect::<Option<Vec<_>>>()?
            .is_sorted_by(|lower, higher| lower >= higher)
            .then_some(levels)
    }

    /// How many segments of a level there are.
    pub fn segments(&self, level: u8) -> u64 {
        self.0
            .get(usize::from(level))
            .map_or(0, |(segments, _)| *segments)
    }

    /// The root over the records of a level. None if it has none.
    pub fn root(&self, level: u8) -> Option<&Hash> {
        self.0.get(usize::from(level)).map(|(_, root)| root)
    }

    /// The seq behind the last entry that some segment covers.
    pub fn covered(&self) -> u64 {
        self.end(0).unwrap_or(0)
    }

    /// The fewest segments that cover the part of `range` that is covered, ascending: the largest first, then what they
    /// leave.
    pub fn cover(&self, range: &Range<u64>) -> Vec<SegmentId> {
        let mut cover = Vec::new();
        let mut start = 0;
        for level in (0..LEVELS).rev() {
            let end = self.end(level).unwrap_or(0);
            let (from, to) = (start.max(range.start), end.min(range.end));
            if from < to {
                let numbers = from / span(level)..to.div_ceil(span(level));
                let level = u8::try_from(level).unwrap_or(u8::MAX);
                cover.extend(numbers.map(|number| SegmentId { level, number }));
            }
            start = start.max(end);
        }
        cover
    }

    /// The seq behind the last entry that a segment of this level covers. None if there is no such seq.
    fn end(&self, level: usize) -> Option<u64> {
        let segments = self.0.get(level).map_or(0, |(segments, _)| *segments);
        segments.checked_mul(span(level))
    }
}

/// The levels of a cover, ascending, and which consecutive segments of each it has.
pub fn by_level(cover: &[SegmentId]) -> Vec<(u8, Range<u64>)> {
    let mut levels: BTreeMap<u8, Range<u64>> = BTreeMap::new();
    for SegmentId { level, number } in cover {
        let numbers = levels.entry(*level).or_insert(*number..*number);
        numbers.end = number.saturating_add(1);
    }
    levels.into_iter().collect()
}

/// Entries in a segment of a level; 0 for a level that does not exist.
fn span(level: usize) -> u64 {
    INDEX_SPANS.get(level).copied().unwrap_or(0)
}
