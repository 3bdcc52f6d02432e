//! The leaves of a segment's dictionary: sixteen terms each, with short lists of postings inside.
//!
//! ```text
//! leaf      0xFE ‖ terms u8 ‖ term*                    16 terms; only the last leaf of a segment has fewer
//! term      tag u16 ‖ length u16 ‖ value ‖ count u32 ‖ inline u8 ‖ (postings[inline] | root[32])
//! chunk     0xFC ‖ postings
//! ```
//!
//! Big-endian. Postings that do not fill a chunk and take at most 64 bytes stand in the leaf, and `inline` is their length;
//! otherwise `inline` is 0 and the RFC 6962 root over the chunks follows. The first byte keeps a leaf, a chunk, a segment's
//! record and an entry's header from ever being read as one another.

use super::Term;
use super::postings::{self, CHUNK_OFFSETS, Runs};
use super::terms::MAX_TERM_BYTES;
use crate::merkle::{Hash, leaf_hash};

/// Terms of a full leaf.
pub const LEAF_TERMS: usize = 16;
/// Postings that take more bytes are hashed in chunks of their own.
pub const INLINE_BYTES: usize = 64;

/// The first term of a leaf ends before this many bytes.
pub(super) const MAX_FIRST_TERM_BYTES: usize = 6 + MAX_TERM_BYTES;

const LEAF: u8 = 0xFE;
const CHUNK: u8 = 0xFC;

/// The postings of a term, as its leaf has them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Postings {
    /// All of them, as runs of offsets.
    Inline(Runs),
    /// The root over their chunks.
    Root(Hash),
}

/// A term in its leaf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LeafTerm {
    pub(crate) term: Term,
    /// How many entries have it.
    pub(crate) count: u32,
    pub(crate) postings: Postings,
}

impl LeafTerm {
    /// How many chunks its postings have outside the leaf.
    pub(crate) fn chunks(&self) -> u64 {
        match self.postings {
            Postings::Inline(_) => 0,
            Postings::Root(_) => u64::from(self.count).div_ceil(CHUNK_OFFSETS as u64),
        }
    }
}

/// A leaf under construction.
#[derive(Debug, Default)]
pub(crate) struct LeafBuilder {
    terms: usize,
    encoded: Vec<u8>,
}

impl LeafBuilder {
    /// Adds a term whose postings stand in the leaf. They must take at most [`INLINE_BYTES`].
    pub(crate) fn push_inline(&mut self, tag: u16, value: &[u8], count: u32, postings: &[u8]) {
        self.push_term(tag, value, count);
        self.encoded
            .push(u8::try_from(postings.len()).unwrap_or(u8::MAX));
        self.encoded.extend_from_slice(postings);
    }

    /// Adds a term whose postings have chunks of their own.
    pub(crate) fn push_root(&mut self, tag: u16, value: &[u8], count: u32, root: &Hash) {
        self.push_term(tag, value, count);
        self.encoded.push(0);
        self.encoded.extend_from_slice(root);
    }

    fn push_term(&mut self, tag: u16, value: &[u8], count: u32) {
        if self.terms == 0 {
            self.encoded.clear();
            self.encoded.extend_from_slice(&[LEAF, 0]);
        }
        self.terms += 1;
        self.encoded.extend_from_slice(&tag.to_be_bytes());
        let length = u16::try_from(value.len()).unwrap_or(u16::MAX);
        self.encoded.extend_from_slice(&length.to_be_bytes());
        self.encoded.extend_from_slice(value);
        self.encoded.extend_from_slice(&count.to_be_bytes());
    }

    /// How many terms it has.
    pub(crate) fn terms(&self) -> usize {
        self.terms
    }

    /// The leaf's bytes. The next term begins another leaf.
    pub(crate) fn finish(&mut self) -> &[u8] {
        if let Some(terms) = self.encoded.get_mut(1) {
            *terms = u8::try_from(self.terms).unwrap_or(u8::MAX);
        }
        self.terms = 0;
        &self.encoded
    }
}

/// Reads a leaf of a segment that spans `span` entries. None unless it is exactly what a [`LeafBuilder`] makes of
/// ascending terms.
pub(crate) fn decode_leaf(leaf: &[u8], span: u32) -> Option<Vec<LeafTerm>> {
    let (count, mut rest) = raw_terms(leaf)?;
    if count == 0 || count > LEAF_TERMS {
        return None;
    }
    let mut terms: Vec<LeafTerm> = Vec::with_capacity(count);
    for _ in 0..count {
        let term = take_term(&mut rest, span)?;
        if terms.last().is_some_and(|last| last.term >= term.term) {
            return None;
        }
        terms.push(term);
    }
    rest.is_empty().then_some(terms)
}

/// The terms that a leaf shows to whoever reads it; none if it is not one.
pub fn leaf_terms(leaf: &[u8]) -> Option<Vec<Term>> {
    let terms = decode_leaf(leaf, u32::MAX)?;
    Some(terms.into_iter().map(|term| term.term).collect())
}

/// The first term of a leaf, without reading the others.
pub(crate) fn first_term(leaf: &[u8]) -> Option<Term> {
    let (_, mut rest) = raw_terms(leaf)?;
    take_name(&mut rest)
}

fn take_name(rest: &mut &[u8]) -> Option<Term> {
    let (tag, value) = take_key(rest)?;
    let value = value.to_vec();
    Some(Term { tag, value })
}

fn take_key<'a>(rest: &mut &'a [u8]) -> Option<(u16, &'a [u8])> {
    let tag = u16::from_be_bytes(take(rest)?);
    let length = usize::from(u16::from_be_bytes(take(rest)?));
    if length > MAX_TERM_BYTES {
        return None;
    }
    let (value, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some((tag, value))
}

/// A term in the bytes of its leaf.
#[derive(Debug, Clone, Copy)]
pub(super) struct RawTerm<'a> {
    pub(super) tag: u16,
    pub(super) value: &'a [u8],
    pub(super) count: u32,
    pub(super) postings: RawPostings<'a>,
}

/// Its postings, not decoded.
#[derive(Debug, Clone, Copy)]
pub(super) enum RawPostings<'a> {
    Inline(&'a [u8]),
    Root(Hash),
}

/// How many terms a leaf says that it has, and the bytes of them.
pub(super) fn raw_terms(leaf: &[u8]) -> Option<(usize, &[u8])> {
    let (&[LEAF, count], rest) = leaf.split_first_chunk()? else {
        return None;
    };
    Some((usize::from(count), rest))
}

/// Takes the next term of a leaf in a segment that spans `span` entries.
pub(super) fn take_raw_term<'a>(rest: &mut &'a [u8], span: u32) -> Option<RawTerm<'a>> {
    let (tag, value) = take_key(rest)?;
    let count = u32::from_be_bytes(take(rest)?);
    let [inline] = take(rest)?;
    if count == 0 || count > span {
        return None;
    }
    let postings = if inline == 0 {
        RawPostings::Root(take(rest)?)
    } else {
        let (encoded, after) = rest.split_at_checked(usize::from(inline))?;
        *rest = after;
        if usize::from(inline) > INLINE_BYTES || count as usize >= CHUNK_OFFSETS {
            return None;
        }
        RawPostings::Inline(encoded)
    };
    Some(RawTerm {
        tag,
        value,
        count,
        postings,
    })
}

fn take_term(rest: &mut &[u8], span: u32) -> Option<LeafTerm> {
    let raw = take_raw_term(rest, span)?;
    let postings = match raw.postings {
        RawPostings::Root(root) => Postings::Root(root),
        RawPostings::Inline(mut encoded) => {
            let count = usize::try_from(raw.count).ok()?;
            let runs = postings::decode(&mut encoded, count, span)?;
            if !encoded.is_empty() {
                return None;
            }
            Postings::Inline(runs)
        }
    };
    Some(LeafTerm {
        term: Term {
            tag: raw.tag,
            value: raw.value.to_vec(),
        },
        count: raw.count,
        postings,
    })
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(*taken)
}

/// What a chunk hashes to in the tree of its term's postings.
pub(crate) fn chunk_hash(postings: &[u8]) -> Hash {
    let mut leaf = Vec::with_capacity(postings.len() + 1);
    leaf.push(CHUNK);
    leaf.extend_from_slice(postings);
    leaf_hash(&leaf)
}
