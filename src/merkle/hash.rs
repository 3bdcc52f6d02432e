//! The three hashes of RFC 6962 §2.1.

use sha2::block_api::compress256;
use sha2::{Digest, Sha256};

/// A SHA-256 hash: of a leaf, of an inner node, or the root of a tree.
pub type Hash = [u8; 32];

/// First byte of what is hashed for a leaf; keeps a leaf from being read as a node.
const LEAF_PREFIX: u8 = 0x00;
/// First byte of what is hashed for an inner node.
const NODE_PREFIX: u8 = 0x01;

/// FIPS 180-4 §5.3.3.
const INITIAL_STATE: [u32; 8] = [
    0x6a09_e667,
    0xbb67_ae85,
    0x3c6e_f372,
    0xa54f_f53a,
    0x510e_527f,
    0x9b05_688c,
    0x1f83_d9ab,
    0x5be0_cd19,
];

/// The root of a tree without leaves: SHA-256 of nothing.
pub fn empty_root() -> Hash {
    Sha256::digest([]).into()
}

/// SHA-256(0x00 ‖ `leaf`).
pub fn leaf_hash(leaf: &[u8]) -> Hash {
    Sha256::new()
        .chain_update([LEAF_PREFIX])
        .chain_update(leaf)
        .finalize()
        .into()
}

/// SHA-256(0x01 ‖ `left` ‖ `right`).
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    // The message is always 65 bytes, so the padded blocks are laid out here instead of in the
    // general buffer: appends and audits spend most of their time in this function.
    let mut padded = [0u8; 128];
    padded[0] = NODE_PREFIX;
    padded[1..33].copy_from_slice(left);
    padded[33..65].copy_from_slice(right);
    padded[65] = 0x80;
    padded[120..].copy_from_slice(&(65u64 * 8).to_be_bytes());

    let mut state = INITIAL_STATE;
    let (blocks, _) = padded.as_chunks::<64>();
    compress256(&mut state, blocks);

    let mut hash = [0u8; 32];
    for (bytes, word) in hash.as_chunks_mut::<4>().0.iter_mut().zip(state) {
        *bytes = word.to_be_bytes();
    }
    hash
}
