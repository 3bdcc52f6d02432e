//! A growing tree with all its complete nodes.

use super::{Hash, NodeReader, node_hash};

/// The complete nodes of a growing tree, all of them: for trees that are small enough to prove from memory.
#[derive(Debug, Default)]
pub struct Nodes(Vec<Vec<Hash>>);

impl Nodes {
    /// Adds the next leaf.
    pub fn push(&mut self, leaf_hash: Hash) {
        let mut node = leaf_hash;
        for level in 0.. {
            if self.0.len() == level {
                self.0.push(Vec::new());
            }
            let Some(row) = self.0.get_mut(level) else {
                return;
            };
            row.push(node);
            match row.as_slice() {
                [.., left, right] if row.len().is_multiple_of(2) => node = node_hash(left, right),
                _ => return,
            }
        }
    }
}

impl NodeReader for Nodes {
    type Error = ();

    fn node(&self, level: u8, index: u64) -> Result<Hash, ()> {
        let row = self.0.get(usize::from(level)).ok_or(())?;
        let index = usize::try_from(index).map_err(|_| ())?;
        row.get(index).copied().ok_or(())
    }
}
