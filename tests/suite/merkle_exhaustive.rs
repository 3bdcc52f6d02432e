//! Every proof of every tree of up to 130 leaves: made, verified, and folded into one hash a kind.
//!
//! `tests/vectors/merkle_exhaustive.py` computes the same digests from the definitions alone.

use std::fmt::Write;

use graven::merkle::{
    BoundsError, Hash, ProveError, prove_consistency, prove_inclusion, prove_range,
    prove_subtree_consistency, prove_subtree_inclusion, root_at, subtree_root, verify_consistency,
    verify_inclusion, verify_range, verify_subtree_consistency, verify_subtree_inclusion,
};
use sha2::{Digest, Sha256};

use crate::merkle_support::{NaiveTree, naive_root};

const LARGEST: u64 = 130;

#[derive(Default)]
struct Rolling(Sha256);

impl Rolling {
    fn line(&mut self, prefix: &str, hashes: &[Hash]) {
        let mut line = prefix.to_owned();
        for hash in hashes {
            write!(line, " {}", hex(hash)).unwrap();
        }
        self.0.update(line + "\n");
    }

    fn assert(self, expected: &str) {
        assert_eq!(hex(&self.0.finalize()), expected);
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// All subtrees among the first `LARGEST` leaves, with their roots, as the prover sees them.
fn subtrees(tree: &NaiveTree) -> Vec<(u64, u64, Hash)> {
    let mut found = Vec::new();
    for end in 0..=LARGEST {
        for start in 0..=end {
            match subtree_root(tree, start, end) {
                Ok(root) => found.push((start, end, root)),
                Err(ProveError::Bounds(BoundsError::NotASubtree { .. })) => (),
                Err(error) => panic!("{error}"),
            }
        }
    }
    found
}

#[test]
fn roots() {
    let tree = NaiveTree::new(LARGEST);
    let mut rolling = Rolling::default();
    for size in 0..=LARGEST {
        let root = root_at(&tree, size).unwrap();
        assert_eq!(root, tree.root_at(size));
        rolling.line(&size.to_string(), &[root]);
    }
    rolling.assert("9c67f07f906103b6bf201842a50ff0b8c91fca9b3e211334a6b7aa3133165dec");
}

#[test]
fn inclusion() {
    let tree = NaiveTree::new(LARGEST);
    let mut rolling = Rolling::default();
    for size in 0..=LARGEST {
        let root = tree.root_at(size);
        for index in 0..size {
            let proof = prove_inclusion(&tree, index, size).unwrap();
            verify_inclusion(index, size, &tree.0[index as usize], &proof, &root).unwrap();
            rolling.line(&format!("{index} {size}"), &proof);
        }
    }
    rolling.assert("893ce6eea61adc33c22c0e3a952498b76dfa3c282e78ac659f6fcc0ea44f9983");
}

#[test]
fn consistency() {
    let tree = NaiveTree::new(LARGEST);
    let mut rolling = Rolling::default();
    for new in 0..=LARGEST {
        let new_root = tree.root_at(new);
        for old in 1..=new {
            let proof = prove_consistency(&tree, old, new).unwrap();
            verify_consistency(old, new, &proof, &tree.root_at(old), &new_root).unwrap();
            rolling.line(&format!("{old} {new}"), &proof);
        }
    }
    rolling.assert("2498232e1aebe8d1aa8d339d897fc471f4495fe0b8a55ac08f7dae3d88bc4c2a");
}

#[test]
fn range() {
    let tree = NaiveTree::new(LARGEST / 2);
    let mut rolling = Rolling::default();
    for size in 0..=LARGEST / 2 {
        let root = tree.root_at(size);
        for end in 0..=size {
            for first in 0..end {
                let proof = prove_range(&tree, first, end, size).unwrap();
                let leaves = &tree.0[first as usize..end as usize];
                verify_range(first, leaves, size, &proof, &root).unwrap();
                rolling.line(&format!("[{first}, {end}) {size}"), &proof);
            }
        }
    }
    rolling.assert("8eabc5a30f2d5f1e64c7bbe3ea96a29542f3350c4bbaeef1a1d6cbf750c8bc76");
}

#[test]
fn subtree_roots() {
    let tree = NaiveTree::new(LARGEST);
    let mut rolling = Rolling::default();
    for (start, end, root) in subtrees(&tree) {
        assert_eq!(root, naive_root(&tree.0[start as usize..end as usize]));
        rolling.line(&format!("[{start}, {end})"), &[root]);
    }
    rolling.assert("b82806ad4265bb151c1119c0f4db437bb4d1a1f887b3a7fba1cd4ebf552e3e81");
}

#[test]
fn subtree_inclusion() {
    let tree = NaiveTree::new(LARGEST);
    let mut rolling = Rolling::default();
    for (start, end, root) in subtrees(&tree) {
        for index in start..end {
            let proof = prove_subtree_inclusion(&tree, index, start, end).unwrap();
            let leaf = &tree.0[index as usize];
            verify_subtree_inclusion(index, start, end, leaf, &proof, &root).unwrap();
            rolling.line(&format!("{index} [{start}, {end})"), &proof);
        }
    }
    rolling.assert("ac2a8f989e44d99e399db448050ff5f19757df53cfb716aa81015d3955d8163f");
}

#[test]
fn subtree_consistency() {
    let tree = NaiveTree::new(LARGEST);
    let subtrees = subtrees(&tree);
    let mut rolling = Rolling::default();
    for size in 0..=LARGEST {
        let root = tree.root_at(size);
        for (start, end, part) in subtrees.iter().filter(|(_, end, _)| *end <= size) {
            let proof = prove_subtree_consistency(&tree, *start, *end, size).unwrap();
            verify_subtree_consistency(*start, *end, size, &proof, part, &root).unwrap();
            rolling.line(&format!("[{start}, {end}) {size}"), &proof);
        }
    }
    rolling.assert("10fa99b37bf9bf9ffa26b412fbd98bd75363256d0b75d61bc4538b9c9c5a0a74");
}
