//! Proofs that are almost right. The numbers of the pitfalls are those every verifier of
//! transparency logs has fallen into at some time.

use graven::merkle::{
    BoundsError, Hash, ProofError, empty_root, node_hash, prove_consistency, prove_inclusion,
    verify_consistency, verify_inclusion, verify_subtree_consistency, verify_subtree_inclusion,
};

use crate::merkle_support::{NaiveTree, naive_root, numbered_leaf};

const GARBAGE: Hash = [0x5a; 32];

/// Every way of changing one element of a proof.
fn mutations(proof: &[Hash]) -> Vec<Vec<Hash>> {
    let mut mutated = Vec::new();
    for position in 0..proof.len() {
        for bit in [0, 7, 128, 255] {
            let mut flipped = proof.to_vec();
            flipped[position][bit / 8] ^= 1 << (bit % 8);
            mutated.push(flipped);
        }
        let mut removed = proof.to_vec();
        removed.remove(position);
        mutated.push(removed);
        let mut doubled = proof.to_vec();
        doubled.insert(position, proof[position]);
        mutated.push(doubled);
        if position > 0 {
            let mut swapped = proof.to_vec();
            swapped.swap(position - 1, position);
            mutated.push(swapped);
        }
    }
    for position in 0..=proof.len() {
        let mut inserted = proof.to_vec();
        inserted.insert(position, GARBAGE);
        mutated.push(inserted);
    }
    mutated.push([proof, &[GARBAGE; 64]].concat());
    mutated.push([proof, proof, &[GARBAGE]].concat());
    mutated
}

#[test]
fn every_mutation_of_an_inclusion_proof_is_refused() {
    for size in 1..=33 {
        let tree = NaiveTree::new(size);
        let root = tree.root();
        for index in 0..size {
            let leaf = tree.0[index as usize];
            let proof = prove_inclusion(&tree, index, size).unwrap();
            let refused = |index, size, leaf: &Hash, proof: &[Hash], root: &Hash| {
                assert!(verify_inclusion(index, size, leaf, proof, root).is_err());
            };
            for mutated in mutations(&proof) {
                refused(index, size, &leaf, &mutated, &root);
            }
            for sibling in [&root, &leaf, &empty_root()] {
                refused(
                    index,
                    size,
                    &leaf,
                    &[&proof[..], &[*sibling]].concat(),
                    &root,
                );
                refused(
                    index,
                    size,
                    &leaf,
                    &[&[*sibling], &proof[..]].concat(),
                    &root,
                );
            }
            refused(index, size, &GARBAGE, &proof, &root);
            refused(index, size, &empty_root(), &proof, &root);
            refused(index, size, &leaf, &proof, &GARBAGE);
            refused(index, size, &leaf, &proof, &empty_root());
            for other in 0..size + 2 {
                if other != index {
                    refused(other, size, &leaf, &proof, &root);
                }
            }
            refused(u64::MAX, size, &leaf, &proof, &root);
            refused(index, 0, &leaf, &proof, &root);
        }
    }
}

#[test]
fn every_mutation_of_a_consistency_proof_is_refused() {
    for new in 1..=33 {
        let tree = NaiveTree::new(new);
        let new_root = tree.root();
        for old in 1..=new {
            let old_root = tree.root_at(old);
            let proof = prove_consistency(&tree, old, new).unwrap();
            let refused = |old, new, proof: &[Hash], old_root: &Hash, new_root: &Hash| {
                assert!(verify_consistency(old, new, proof, old_root, new_root).is_err());
            };
            for mutated in mutations(&proof) {
                refused(old, new, &mutated, &old_root, &new_root);
            }
            for root in [&old_root, &new_root] {
                refused(
                    old,
                    new,
                    &[&proof[..], &[*root]].concat(),
                    &old_root,
                    &new_root,
                );
                refused(
                    old,
                    new,
                    &[&[*root], &proof[..]].concat(),
                    &old_root,
                    &new_root,
                );
            }
            refused(old, new, &proof, &GARBAGE, &new_root);
            refused(old, new, &proof, &old_root, &GARBAGE);
            if old < new {
                refused(old, new, &[], &old_root, &new_root);
                refused(old, new, &proof, &new_root, &old_root);
                refused(old, new, &proof, &old_root, &old_root);
                refused(old, new, &proof, &new_root, &new_root);
                refused(new, old, &proof, &new_root, &old_root);
            }
            // The proof for one old size must not do for another.
            for other in 0..=new {
                if other != old {
                    refused(other, new, &proof, &old_root, &new_root);
                }
            }
        }
    }
}

#[test]
fn a_single_leaf_is_its_own_root() {
    let leaf = numbered_leaf(7);
    assert_eq!(verify_inclusion(0, 1, &leaf, &[], &leaf), Ok(()));
    assert_eq!(
        verify_inclusion(0, 1, &leaf, &[leaf], &leaf),
        Err(ProofError::WrongLength {
            expected: 0,
            got: 1
        })
    );
}

#[test]
fn nothing_is_in_the_empty_tree() {
    for index in [0, 1, u64::MAX] {
        assert_eq!(
            verify_inclusion(index, 0, &empty_root(), &[], &empty_root()),
            Err(BoundsError::IndexBeyondTree { index, size: 0 }.into())
        );
    }
}

#[test]
fn an_inner_node_is_no_leaf() {
    let tree = NaiveTree::new(4);
    let inner = node_hash(&tree.0[0], &tree.0[1]);
    let sibling = node_hash(&tree.0[2], &tree.0[3]);
    // With the true size the proof is too short. Whoever lets the proof choose the size is lost,
    // which is why the size comes from a signed checkpoint.
    assert!(verify_inclusion(0, 4, &inner, &[sibling], &tree.root()).is_err());
    assert!(verify_inclusion(0, 2, &inner, &[sibling], &tree.root()).is_ok());
}

#[test]
fn a_repeated_last_leaf_changes_the_root() {
    let three: Vec<Hash> = (0..3).map(numbered_leaf).collect();
    let four = [&three[..], &three[2..]].concat();
    assert_ne!(naive_root(&three), naive_root(&four));
    assert!(verify_consistency(3, 4, &[], &naive_root(&three), &naive_root(&three)).is_err());
}

#[test]
fn equal_sizes_need_equal_roots_and_no_hashes() {
    let (root, other) = (numbered_leaf(1), numbered_leaf(2));
    assert_eq!(verify_consistency(5, 5, &[], &root, &root), Ok(()));
    assert!(matches!(
        verify_consistency(5, 5, &[], &root, &other),
        Err(ProofError::RootMismatch { expected, computed, .. }) if expected == other && computed == root
    ));
    assert_eq!(
        verify_consistency(5, 5, &[root], &root, &root),
        Err(ProofError::WrongLength {
            expected: 0,
            got: 1
        })
    );
}

#[test]
fn the_empty_tree_proves_nothing() {
    let tree = NaiveTree::new(3);
    for new in [0, 1, 3, u64::MAX] {
        for proof in [&[][..], &[GARBAGE][..]] {
            assert_eq!(
                verify_consistency(0, new, proof, &empty_root(), &tree.root()),
                Err(BoundsError::EmptyOldTree.into())
            );
        }
    }
    assert!(prove_consistency(&tree, 0, 3).is_err());
    assert!(verify_consistency(3, 0, &[], &tree.root(), &empty_root()).is_err());
}

/// The old root must be rebuilt from the proof: an old tree that never was a prefix is refused even
/// though the proof leads to the new root.
#[test]
fn a_proof_that_rebuilds_only_the_new_root_is_refused() {
    let tree = NaiveTree::new(7);
    let proof = prove_consistency(&tree, 5, 7).unwrap();
    let mut other = NaiveTree::new(5);
    other.0[2] = GARBAGE;
    let error = verify_consistency(5, 7, &proof, &other.root(), &tree.root()).unwrap_err();
    assert!(
        matches!(error, ProofError::RootMismatch { expected, computed, .. }
        if expected == other.root() && computed == tree.root_at(5))
    );
    assert!(
        error.to_string().starts_with("root of the older tree"),
        "{error}"
    );
}

#[test]
fn consistency_is_transitive() {
    let tree = NaiveTree::new(20);
    let consistent = |old, new| {
        let proof = prove_consistency(&tree, old, new).unwrap();
        verify_consistency(old, new, &proof, &tree.root_at(old), &tree.root_at(new)).unwrap();
    };
    for (a, b, c) in [(1, 2, 3), (3, 8, 20), (7, 7, 19), (16, 17, 20)] {
        consistent(a, b);
        consistent(b, c);
        consistent(a, c);
    }
}

#[test]
fn an_unrelated_tree_is_no_extension() {
    let tree = NaiveTree::new(11);
    let mut other = NaiveTree::new(11);
    other.0[9] = GARBAGE;
    for old in 1..=9 {
        let proof = prove_consistency(&tree, old, 11).unwrap();
        assert!(verify_consistency(old, 11, &proof, &tree.root_at(old), &other.root()).is_err());
    }
    let proof = prove_consistency(&other, 10, 11).unwrap();
    assert!(verify_consistency(10, 11, &proof, &tree.root_at(10), &other.root()).is_err());
}

/// No tree this large exists, so nothing verifies; what matters is that nothing overflows, and that
/// the right number of hashes is asked for.
#[test]
fn sizes_at_the_edges_of_integers_are_answered() {
    let around = |n: u64| [n.saturating_sub(1), n, n.saturating_add(1)];
    let sizes: Vec<u64> = [0, 1, 2, 1 << 31, 1 << 32, 1 << 63, u64::MAX]
        .into_iter()
        .flat_map(around)
        .collect();
    let lengths = [0, 1, 2, 31, 32, 33, 62, 63, 64, 65, 66];
    let hashes = [GARBAGE; 66];
    for &a in &sizes {
        for &b in &sizes {
            for length in lengths {
                let proof = &hashes[..length];
                let _ = verify_inclusion(a, b, &GARBAGE, proof, &empty_root()).unwrap_err();
                let _ = verify_consistency(a, b, proof, &GARBAGE, &empty_root()).unwrap_err();
                for &c in &sizes {
                    let _ = verify_subtree_inclusion(a, b, c, &GARBAGE, proof, &empty_root())
                        .unwrap_err();
                    let _ = verify_subtree_consistency(a, b, c, proof, &GARBAGE, &empty_root())
                        .unwrap_err();
                }
            }
        }
    }
}

#[test]
fn the_number_of_hashes_follows_from_index_and_size() {
    let expected = |index, size| match verify_inclusion(index, size, &GARBAGE, &[], &empty_root()) {
        Err(ProofError::WrongLength { expected, got: 0 }) => expected,
        Err(ProofError::RootMismatch { .. }) => 0,
        other => panic!("{other:?}"),
    };
    assert_eq!(expected(0, 1), 0);
    assert_eq!(expected(0, 1 << 31), 31);
    assert_eq!(expected((1 << 31) - 1, (1 << 31) + 1), 32);
    assert_eq!(expected(1 << 31, (1 << 31) + 1), 1);
    assert_eq!(expected(0, (1 << 32) - 1), 32);
    assert_eq!(expected(0, 1 << 63), 63);
    assert_eq!(expected(0, (1 << 63) + 1), 64);
    assert_eq!(expected(1 << 63, (1 << 63) + 1), 1);
    assert_eq!(expected(u64::MAX - 1, u64::MAX), 63);
    assert_eq!(expected(0, u64::MAX), 64);
}
