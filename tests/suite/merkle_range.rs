//! Runs of leaves.

use graven::merkle::{
    BoundsError, Hash, ProofError, node_hash, prove_inclusion, prove_range, verify_range,
};
use proptest::prelude::*;

use crate::merkle_support::NaiveTree;

const LARGEST: u64 = 40;

fn runs(size: u64) -> impl Iterator<Item = (u64, u64)> {
    (0..size).flat_map(move |first| (first + 1..=size).map(move |end| (first, end)))
}

fn leaves(tree: &NaiveTree, first: u64, end: u64) -> &[Hash] {
    &tree.0[first as usize..end as usize]
}

#[test]
fn every_run_of_every_tree_verifies_and_every_changed_leaf_is_seen() {
    for size in 1..=LARGEST {
        let tree = NaiveTree::new(size);
        let root = tree.root();
        for (first, end) in runs(size) {
            let proof = prove_range(&tree, first, end, size).unwrap();
            let run = leaves(&tree, first, end);
            assert_eq!(verify_range(first, run, size, &proof, &root), Ok(()));
            for position in 0..run.len() {
                let mut changed = run.to_vec();
                changed[position][31] ^= 1;
                assert!(verify_range(first, &changed, size, &proof, &root).is_err());
            }
            for position in 0..proof.len() {
                let mut changed = proof.clone();
                changed[position][0] ^= 0x80;
                assert!(verify_range(first, run, size, &changed, &root).is_err());
            }
        }
    }
}

#[test]
fn holes_overlaps_duplicates_reorderings_and_shifts_are_refused() {
    for size in 2..=20 {
        let tree = NaiveTree::new(size);
        let root = tree.root();
        for (first, end) in runs(size) {
            let proof = prove_range(&tree, first, end, size).unwrap();
            let run = leaves(&tree, first, end);
            let refused = |first, run: &[Hash], size| {
                assert!(verify_range(first, run, size, &proof, &root).is_err());
            };
            for position in 0..run.len() {
                let mut hole = run.to_vec();
                hole.remove(position);
                refused(first, &hole, size);
                let mut duplicate = run.to_vec();
                duplicate.insert(position, run[position]);
                refused(first, &duplicate, size);
                if position > 0 {
                    let mut swapped = run.to_vec();
                    swapped.swap(position - 1, position);
                    refused(first, &swapped, size);
                }
            }
            for other in 0..=size {
                if other != first {
                    refused(other, run, size);
                }
            }
            // The same leaves under another right edge.
            refused(first, run, end - 1);
            assert!(
                verify_range(first, run, size, &[&proof[..], &[root]].concat(), &root).is_err()
            );
            if !proof.is_empty() {
                assert!(verify_range(first, run, size, &proof[1..], &root).is_err());
            }
        }
    }
}

#[test]
fn an_inner_node_does_not_stand_for_its_leaves() {
    let tree = NaiveTree::new(4);
    let pair = node_hash(&tree.0[0], &tree.0[1]);
    for run in [&[pair][..], &[pair, tree.0[2]][..]] {
        for proof in [
            &[][..],
            &[tree.0[3]][..],
            &[node_hash(&tree.0[2], &tree.0[3])][..],
        ] {
            assert!(verify_range(0, run, 4, proof, &tree.root()).is_err());
        }
    }
}

#[test]
fn a_run_of_one_leaf_holds_the_hashes_of_its_inclusion_proof() {
    let tree = NaiveTree::new(LARGEST);
    for size in 1..=LARGEST {
        for index in 0..size {
            let mut range = prove_range(&tree, index, index + 1, size).unwrap();
            let mut inclusion = prove_inclusion(&tree, index, size).unwrap();
            range.sort_unstable();
            inclusion.sort_unstable();
            assert_eq!(range, inclusion);
        }
    }
}

#[test]
fn the_whole_tree_needs_no_hashes() {
    let tree = NaiveTree::new(13);
    assert_eq!(prove_range(&tree, 0, 13, 13).unwrap(), Vec::<Hash>::new());
    assert_eq!(verify_range(0, &tree.0, 13, &[], &tree.root()), Ok(()));
}

#[test]
fn empty_and_impossible_runs_are_refused() {
    let tree = NaiveTree::new(5);
    for first in [0, 3, 5, u64::MAX] {
        let expected = BoundsError::NotARun { first, count: 0 };
        assert_eq!(
            verify_range(first, &[], 5, &[], &tree.root()),
            Err(expected.into())
        );
        assert_eq!(
            prove_range(&tree, first, first, 5).unwrap_err(),
            expected.into()
        );
    }
    assert!(prove_range(&tree, 3, 2, 5).is_err());
    assert_eq!(
        verify_range(4, &tree.0[..2], 5, &[], &tree.root()),
        Err(BoundsError::EndBeyondTree { end: 6, size: 5 }.into())
    );
    assert!(verify_range(u64::MAX, &tree.0[..1], u64::MAX, &[], &tree.root()).is_err());
    assert!(verify_range(u64::MAX, &tree.0[..2], u64::MAX, &[], &tree.root()).is_err());
    assert!(verify_range(0, &tree.0[..1], 0, &[], &tree.root()).is_err());
}

#[test]
fn huge_trees_ask_for_the_right_number_of_hashes() {
    let run = [[1; 32]; 3];
    let expected = |first, size| match verify_range(first, &run, size, &[], &[0; 32]) {
        Err(ProofError::WrongLength { expected, got: 0 }) => expected,
        other => panic!("{other:?}"),
    };
    assert_eq!(expected(0, u64::MAX), 63);
    assert_eq!(expected(u64::MAX - 3, u64::MAX), 62);
    // Around the middle, with all of both halves on either side.
    assert_eq!(expected((1 << 63) - 2, u64::MAX), 62 + 63);
    for size in [(1 << 31) + 1, (1 << 32) - 1, (1 << 63) + 1, u64::MAX] {
        for first in [0, 1, size / 2, size - 3] {
            let proof = vec![[9; 32]; expected(first, size)];
            assert!(matches!(
                verify_range(first, &run, size, &proof, &[0; 32]),
                Err(ProofError::RootMismatch { .. })
            ));
        }
    }
}

proptest! {
    #[test]
    fn any_numbers_and_hashes_are_answered(
        first: u64,
        size: u64,
        count in 0usize..5,
        length in 0usize..130,
    ) {
        let (run, proof) = (vec![[1; 32]; count], vec![[2; 32]; length]);
        prop_assert!(verify_range(first, &run, size, &proof, &[3; 32]).is_err());
    }
}
