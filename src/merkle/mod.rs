//! RFC 6962 Merkle trees over SHA-256: hashing, compact ranges, proofs and tiles.
//!
//! Pure functions over hashes. Where the nodes of a tree are kept is the caller's business: provers
//! read them through [`NodeReader`], verifiers need nothing but the proof.
//!
//! # Layout
//!
//! - [`Hash`], [`leaf_hash`], [`node_hash`], [`empty_root`]: the three hashes of RFC 6962 §2.1
//! - [`Frontier`]: the state of an append-only tree in at most 64 hashes; [`Nodes`]: all of a small one
//! - [`prove_inclusion`], [`prove_consistency`] and [`verify_inclusion`], [`verify_consistency`],
//!   with their forms for subtrees as draft-ietf-plants-merkle-tree-certs defines them
//! - [`prove_range`], [`verify_range`]: a contiguous run of leaves
//! - [`Tile`], [`Edge`]: the same tree as C2SP tlog-tiles stores and serves it
//!
//! # What a proof does not say
//!
//! A proof does not bind the size of its tree, nor that a hash is a leaf. Take size and root from a
//! checkpoint whose signature was verified, and compute the leaf hash from the leaf's bytes.

mod edge;
mod error;
mod frontier;
mod hash;
mod nodes;
mod path;
mod prove;
mod range;
mod tile;
mod verify;

pub use edge::{Edge, FullTile};
pub use error::{BoundsError, FrontierError, ProofError, ProveError, WhichRoot};
pub use frontier::{Frontier, MAX_SIZE};
pub use hash::{Hash, empty_root, leaf_hash, node_hash};
pub use nodes::Nodes;
pub use prove::{
    NodeReader, prove_consistency, prove_inclusion, prove_subtree_consistency,
    prove_subtree_inclusion, root_at, subtree_root,
};
pub use range::{prove_range, range_of_inclusions, verify_range};
pub use tile::{NodeInTile, TILE_HEIGHT, TILE_WIDTH, Tile, TilePathError, tile_node};
pub use verify::{
    verify_consistency, verify_inclusion, verify_subtree_consistency, verify_subtree_inclusion,
};
