//! Proofs that a contiguous run of leaves stands at one place in a tree.
//!
//! The proof holds the roots of the largest subtrees without a leaf of the run, from left to right:
//! those that the inclusion proof of the run's first leaf has on its left, then those that the proof
//! of its last leaf has on its right. Fewer hashes cannot do: each covers leaves that no other does.

use std::ops::Range;
use std::slice::Iter;

use super::error::{BoundsError, ProofError, ProveError, WhichRoot};
use super::path::{Path, Side, Step, split};
use super::prove::node_over;
use super::verify::{expect_length, expect_root};
use super::{Hash, NodeReader, node_hash};

/// Proves that the leaves [`first`, `end`) are at their places in the tree of `size` leaves.
///
/// At most 128 hashes. The verifier needs every leaf hash of the run besides.
pub fn prove_range<R: NodeReader>(
    reader: &R,
    first: u64,
    end: u64,
    size: u64,
) -> Result<Vec<Hash>, ProveError<R::Error>> {
    let run = check_run(first, end.saturating_sub(first), size)?;
    outside(&run, size)
        .iter()
        .map(|leaves| node_over(reader, leaves))
        .collect()
}

/// Verifies that `leaf_hashes` are leaves `first`, `first + 1` … of the tree of `size` leaves with
/// the given `root`.
///
/// Every leaf hash enters the root at its own place, so none can be missing, repeated or moved.
/// An empty run is refused.
pub fn verify_range(
    first: u64,
    leaf_hashes: &[Hash],
    size: u64,
    proof: &[Hash],
    root: &Hash,
) -> Result<(), ProofError> {
    let count = u64::try_from(leaf_hashes.len()).unwrap_or(u64::MAX);
    let run = check_run(first, count, size)?;
    let expected = outside(&run, size).len();
    expect_length(expected, proof)?;

    let mut rebuild = Rebuild {
        run,
        leaf_hashes: leaf_hashes.iter(),
        proof: proof.iter(),
    };
    // The length was checked, so no hash is missing while rebuilding, and none is left over.
    let computed = rebuild.node(0, size).ok_or(ProofError::WrongLength {
        expected,
        got: proof.len(),
    })?;
    expect_root(WhichRoot::Tree, root, &computed)
}

/// The proof of the run [`first`, `end`) in the tree of `size` leaves, from the inclusion proofs of its first and of its last
/// leaf. None if these are not of the length that such proofs have.
pub fn range_of_inclusions(
    first: u64,
    end: u64,
    size: u64,
    of_first: &[Hash],
    of_last: &[Hash],
) -> Option<Vec<Hash>> {
    let run = check_run(first, end.saturating_sub(first), size).ok()?;
    let to_first = Path::new(run.start..run.start + 1, 0..size).steps;
    let to_last = Path::new(run.end - 1..run.end, 0..size).steps;
    if to_first.len() != of_first.len() || to_last.len() != of_last.len() {
        return None;
    }
    let on = |side| move |(step, hash): (&Step, &Hash)| (step.side == side).then_some(*hash);
    let left = to_first.iter().zip(of_first.iter().rev());
    let right = to_last.iter().rev().zip(of_last);
    let left = left.filter_map(on(Side::Left));
    Some(left.chain(right.filter_map(on(Side::Right))).collect())
}

fn check_run(first: u64, count: u64, size: u64) -> Result<Range<u64>, BoundsError> {
    let not_a_run = BoundsError::NotARun { first, count };
    if count == 0 {
        return Err(not_a_run);
    }
    let end = first.checked_add(count).ok_or(not_a_run)?;
    if end > size {
        return Err(BoundsError::EndBeyondTree { end, size });
    }
    Ok(first..end)
}

/// The largest subtrees of the tree of `size` leaves that hold no leaf of `run`, left to right.
fn outside(run: &Range<u64>, size: u64) -> Vec<Range<u64>> {
    let to_first = Path::new(run.start..run.start + 1, 0..size).steps;
    let to_last = Path::new(run.end - 1..run.end, 0..size).steps;
    let on = |side| move |step: &Step| (step.side == side).then(|| step.sibling.clone());
    let left = to_first.iter().filter_map(on(Side::Left));
    let right = to_last.iter().rev().filter_map(on(Side::Right));
    left.chain(right).collect()
}

struct Rebuild<'a> {
    run: Range<u64>,
    leaf_hashes: Iter<'a, Hash>,
    proof: Iter<'a, Hash>,
}

impl Rebuild<'_> {
    /// The root over the leaves [`low`, `high`). Recurses once a level, so at most 64 deep.
    fn node(&mut self, low: u64, high: u64) -> Option<Hash> {
        if high <= self.run.start || low >= self.run.end {
            return self.proof.next().copied();
        }
        let middle = split(low, high);
        if middle == high {
            return self.leaf_hashes.next().copied();
        }
        let left = self.node(low, middle)?;
        let right = self.node(middle, high)?;
        Some(node_hash(&left, &right))
    }
}
