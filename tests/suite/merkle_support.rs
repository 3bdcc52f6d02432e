//! A tree as RFC 6962 §2.1 defines it, with nothing clever, to hold the real one against.

use graven::merkle::{Hash, NodeReader, empty_root, leaf_hash, node_hash};
use std::convert::Infallible;

/// The leaf hashes of a tree.
pub(crate) struct NaiveTree(pub(crate) Vec<Hash>);

impl NaiveTree {
    /// Leaf i is the single byte i, or its eight bytes beyond 255.
    pub(crate) fn new(size: u64) -> Self {
        Self((0..size).map(numbered_leaf).collect())
    }

    pub(crate) fn size(&self) -> u64 {
        self.0.len() as u64
    }

    pub(crate) fn root(&self) -> Hash {
        naive_root(&self.0)
    }

    pub(crate) fn root_at(&self, size: u64) -> Hash {
        naive_root(&self.0[..size as usize])
    }
}

impl NodeReader for NaiveTree {
    type Error = Infallible;

    fn node(&self, level: u8, index: u64) -> Result<Hash, Infallible> {
        let start = (index as usize) << level;
        Ok(naive_root(&self.0[start..start + (1 << level)]))
    }
}

pub(crate) fn numbered_leaf(index: u64) -> Hash {
    match u8::try_from(index) {
        Ok(byte) => leaf_hash(&[byte]),
        Err(_) => leaf_hash(&index.to_be_bytes()),
    }
}

pub(crate) fn naive_root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => empty_root(),
        [leaf] => *leaf,
        _ => {
            let mut split = 1;
            while split * 2 < leaves.len() {
                split *= 2;
            }
            node_hash(&naive_root(&leaves[..split]), &naive_root(&leaves[split..]))
        }
    }
}
