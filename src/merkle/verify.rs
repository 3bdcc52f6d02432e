use super::error::{BoundsError, ProofError, WhichRoot};
use super::path::{Path, Side, check_subtree};
use super::{Hash, empty_root, node_hash};

/// Verifies that the leaf with `leaf_hash` is number `index` of the tree of `size` leaves that has
/// the given `root` (RFC 6962 §2.1.1).
///
/// The proof must have exactly the hashes that `index` and `size` call for.
pub fn verify_inclusion(
    index: u64,
    size: u64,
    leaf_hash: &Hash,
    proof: &[Hash],
    root: &Hash,
) -> Result<(), ProofError> {
    if index >= size {
        return Err(BoundsError::IndexBeyondTree { index, size }.into());
    }
    verify_subtree_inclusion(index, 0, size, leaf_hash, proof, root)
}

/// Verifies that the leaf with `leaf_hash` is number `index` of the whole tree and lies in the
/// subtree [`start`, `end`) that has the given `root`.
pub fn verify_subtree_inclusion(
    index: u64,
    start: u64,
    end: u64,
    leaf_hash: &Hash,
    proof: &[Hash],
    root: &Hash,
) -> Result<(), ProofError> {
    check_subtree(start, end)?;
    let range = start..end;
    if !range.contains(&index) {
        return Err(BoundsError::IndexOutsideSubtree { index, start, end }.into());
    }
    climb(&Path::new(index..index + 1, range), leaf_hash, proof, root)
}

/// Verifies that the tree of `new` leaves with `new_root` extends the tree of `old` leaves with
/// `old_root` (RFC 6962 §2.1.2).
///
/// Both roots are rebuilt from the proof and compared. Equal sizes need equal roots and an empty
/// proof. An `old` of 0 is refused even then: every tree extends the empty one, so a proof of it
/// says nothing about the new root. Whoever starts from nothing has no proof to verify, and must
/// say so by not calling this.
pub fn verify_consistency(
    old: u64,
    new: u64,
    proof: &[Hash],
    old_root: &Hash,
    new_root: &Hash,
) -> Result<(), ProofError> {
    if old == 0 {
        return Err(BoundsError::EmptyOldTree.into());
    }
    if old > new {
        return Err(BoundsError::OldBeyondNew { old, new }.into());
    }
    climb(&Path::new(0..old, 0..new), old_root, proof, new_root)
}

/// Verifies that the subtree [`start`, `end`) with `subtree_root` is part of the tree of `size`
/// leaves with the given `root`.
///
/// An empty subtree is part of every tree: then the proof must be empty, `subtree_root` the root of
/// the empty tree, and **nothing is learnt about `root`**, which is not looked at.
pub fn verify_subtree_consistency(
    start: u64,
    end: u64,
    size: u64,
    proof: &[Hash],
    subtree_root: &Hash,
    root: &Hash,
) -> Result<(), ProofError> {
    check_subtree(start, end)?;
    if end > size {
        return Err(BoundsError::EndBeyondTree { end, size }.into());
    }
    if start == end {
        expect_length(0, proof)?;
        return expect_root(WhichRoot::Part, subtree_root, &empty_root());
    }
    climb(&Path::new(start..end, 0..size), subtree_root, proof, root)
}

/// Rebuilds from the bottom up the root of the part, if it was passed through, and that of the tree.
fn climb(path: &Path, part_root: &Hash, proof: &[Hash], root: &Hash) -> Result<(), ProofError> {
    expect_length(path.proof_len(), proof)?;
    let (seed, siblings) = match proof.split_first() {
        Some((first, rest)) if !path.ends_at_part => (first, rest),
        _ => (part_root, proof),
    };
    let (mut part, mut tree) = (*seed, *seed);
    for (step, sibling) in path.steps.iter().rev().zip(siblings) {
        match step.side {
            Side::Right => tree = node_hash(&tree, sibling),
            Side::Left => tree = node_hash(sibling, &tree),
            Side::Shared => {
                part = node_hash(sibling, &part);
                tree = node_hash(sibling, &tree);
            }
        }
    }
    expect_root(WhichRoot::Part, part_root, &part)?;
    expect_root(WhichRoot::Tree, root, &tree)
}

pub(super) fn expect_length(expected: usize, proof: &[Hash]) -> Result<(), ProofError> {
    if proof.len() == expected {
        Ok(())
    } else {
        Err(ProofError::WrongLength {
            expected,
            got: proof.len(),
        })
    }
}

pub(super) fn expect_root(
    which: WhichRoot,
    expected: &Hash,
    computed: &Hash,
) -> Result<(), ProofError> {
    if expected == computed {
        Ok(())
    } else {
        Err(ProofError::RootMismatch {
            which,
            expected: *expected,
            computed: *computed,
        })
    }
}
