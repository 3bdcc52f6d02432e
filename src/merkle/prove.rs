use std::ops::Range;

use super::error::{BoundsError, ProveError};
use super::frontier::fold_right_edge;
use super::path::{Path, check_subtree};
use super::{Hash, empty_root};

/// Where provers get the nodes of a tree from.
pub trait NodeReader {
    /// Why a node could not be had.
    type Error;

    /// The root of the complete subtree over the leaves [`index << level`, `(index + 1) << level`).
    ///
    /// Level 0 are the leaf hashes. Provers only ask for subtrees that lie wholly within the size
    /// they were given.
    fn node(&self, level: u8, index: u64) -> Result<Hash, Self::Error>;
}

impl<R: NodeReader + ?Sized> NodeReader for &R {
    type Error = R::Error;

    fn node(&self, level: u8, index: u64) -> Result<Hash, Self::Error> {
        (**self).node(level, index)
    }
}

/// Proves that leaf `index` is in the tree of `size` leaves: `PATH` of RFC 6962 §2.1.1.
///
/// The sibling of the leaf comes first, the child of the root last. At most 64 hashes.
pub fn prove_inclusion<R: NodeReader>(
    reader: &R,
    index: u64,
    size: u64,
) -> Result<Vec<Hash>, ProveError<R::Error>> {
    if index >= size {
        return Err(BoundsError::IndexBeyondTree { index, size }.into());
    }
    prove_subtree_inclusion(reader, index, 0, size)
}

/// Proves that leaf `index` is in the subtree [`start`, `end`).
///
/// `index` counts from the start of the whole tree.
pub fn prove_subtree_inclusion<R: NodeReader>(
    reader: &R,
    index: u64,
    start: u64,
    end: u64,
) -> Result<Vec<Hash>, ProveError<R::Error>> {
    check_subtree(start, end)?;
    let range = start..end;
    if !range.contains(&index) {
        return Err(BoundsError::IndexOutsideSubtree { index, start, end }.into());
    }
    siblings(reader, &Path::new(index..index + 1, range))
}

/// Proves that the tree of `new` leaves extends the tree of `old` leaves: `PROOF` of RFC 6962
/// §2.1.2. At most 65 hashes, and none if the sizes are equal.
///
/// An `old` of 0 is refused, as in [`verify_consistency`](super::verify_consistency).
pub fn prove_consistency<R: NodeReader>(
    reader: &R,
    old: u64,
    new: u64,
) -> Result<Vec<Hash>, ProveError<R::Error>> {
    if old == 0 {
        return Err(BoundsError::EmptyOldTree.into());
    }
    if old > new {
        return Err(BoundsError::OldBeyondNew { old, new }.into());
    }
    siblings(reader, &Path::new(0..old, 0..new))
}

/// Proves that the subtree [`start`, `end`) is part of the tree of `size` leaves.
///
/// The proof for an empty subtree is empty.
pub fn prove_subtree_consistency<R: NodeReader>(
    reader: &R,
    start: u64,
    end: u64,
    size: u64,
) -> Result<Vec<Hash>, ProveError<R::Error>> {
    check_subtree(start, end)?;
    if end > size {
        return Err(BoundsError::EndBeyondTree { end, size }.into());
    }
    if start == end {
        return Ok(Vec::new());
    }
    siblings(reader, &Path::new(start..end, 0..size))
}

/// The root of the tree as it was at `size` leaves.
pub fn root_at<R: NodeReader>(reader: &R, size: u64) -> Result<Hash, ProveError<R::Error>> {
    subtree_root(reader, 0, size)
}

/// The root of the subtree [`start`, `end`); of the empty tree, if it is empty.
pub fn subtree_root<R: NodeReader>(
    reader: &R,
    start: u64,
    end: u64,
) -> Result<Hash, ProveError<R::Error>> {
    check_subtree(start, end)?;
    if start == end {
        return Ok(empty_root());
    }
    node_over(reader, &(start..end))
}

/// The hashes a proof along `path` consists of.
fn siblings<R: NodeReader>(reader: &R, path: &Path) -> Result<Vec<Hash>, ProveError<R::Error>> {
    let mut proof = Vec::with_capacity(path.proof_len());
    if !path.ends_at_part {
        proof.push(node_over(reader, &path.end)?);
    }
    for step in path.steps.iter().rev() {
        proof.push(node_over(reader, &step.sibling)?);
    }
    Ok(proof)
}

/// The root of a non-empty subtree, from the complete subtrees it decomposes into.
pub(super) fn node_over<R: NodeReader>(
    reader: &R,
    leaves: &Range<u64>,
) -> Result<Hash, ProveError<R::Error>> {
    let mut complete = Vec::new();
    let mut start = leaves.start;
    // The largest power of two that still fits: start stays a multiple of it, because subtrees
    // start at a multiple of at least their size and the powers only fall.
    while let Some(log) = leaves.end.saturating_sub(start).checked_ilog2() {
        let (level, index) = (level_of(log), start >> log);
        let hash = reader
            .node(level, index)
            .map_err(|source| ProveError::Node {
                level,
                index,
                source,
            })?;
        complete.push(hash);
        start = start.saturating_add(1 << log);
    }
    Ok(fold_right_edge(&complete))
}

/// A base-two logarithm of 64 bits as a node level.
fn level_of(log: u32) -> u8 {
    u8::try_from(log).unwrap_or(u8::MAX)
}
