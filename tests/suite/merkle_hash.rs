//! The three hashes, against the definition in RFC 6962 §2.1 through another code path.

use graven::merkle::{empty_root, leaf_hash, node_hash};
use sha2::{Digest, Sha256};

fn sha256(message: &[u8]) -> [u8; 32] {
    Sha256::digest(message).into()
}

#[test]
fn leaf_hashes_are_prefixed_with_0() {
    for length in [0, 1, 31, 32, 54, 55, 56, 63, 64, 65, 83, 1000] {
        let leaf = vec![0xa5; length];
        assert_eq!(leaf_hash(&leaf), sha256(&[&[0], leaf.as_slice()].concat()));
    }
}

#[test]
fn node_hashes_are_prefixed_with_1() {
    for seed in 0..=255u8 {
        let (left, right) = (sha256(&[seed]), sha256(&[seed, seed]));
        assert_eq!(
            node_hash(&left, &right),
            sha256(&[&[1][..], &left, &right].concat())
        );
    }
}

#[test]
fn the_empty_root_is_the_hash_of_nothing() {
    assert_eq!(empty_root(), sha256(b""));
}

#[test]
fn a_node_offered_as_a_leaf_has_another_hash() {
    let (left, right) = (leaf_hash(b"left"), leaf_hash(b"right"));
    assert_ne!(leaf_hash(&[left, right].concat()), node_hash(&left, &right));
}
