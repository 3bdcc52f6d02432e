use super::{FrontierError, Hash, empty_root, node_hash};

/// The largest size a [`Frontier`] or [`Edge`](super::Edge) takes: 2^63 - 1 leaves.
///
/// Half of what 64 bits could count, so that sizes fit signed integers elsewhere and appending can
/// not overflow: a billion leaves a second would take 292 years to use up the other half.
pub const MAX_SIZE: u64 = i64::MAX as u64;

/// The state of an append-only tree: the roots of the complete subtrees it decomposes into.
///
/// Also called the compact range over [0, size). There is one subtree for each one bit of the size,
/// so at most 63 hashes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    /// Largest subtree, which is the leftmost, first.
    hashes: Vec<Hash>,
}

impl Frontier {
    /// The empty tree.
    pub fn new() -> Self {
        Self::default()
    }

    /// A tree of `size` leaves from [`Frontier::hashes`].
    ///
    /// Any hashes in the right number are accepted: compare [`Frontier::root`] with a trusted root.
    pub fn from_parts(size: u64, hashes: Vec<Hash>) -> Result<Self, FrontierError> {
        if size > MAX_SIZE {
            return Err(FrontierError::TooLarge { size });
        }
        let expected = size.count_ones() as usize;
        if hashes.len() != expected {
            return Err(FrontierError::WrongLength {
                size,
                expected,
                got: hashes.len(),
            });
        }
        Ok(Self { size, hashes })
    }

    /// Appends a leaf, given its hash. Costs one node hash on average.
    pub fn push(&mut self, leaf_hash: Hash) {
        self.push_with(leaf_hash, |_, _| ());
    }

    /// Appends a leaf and reports the root of every subtree above it that this completes, with its
    /// level, from 1 upward.
    pub(super) fn push_with(&mut self, leaf_hash: Hash, mut completed: impl FnMut(u8, Hash)) {
        let mut hash = leaf_hash;
        let mut level = 0;
        // Subtrees merge as the ones of a binary counter carry.
        let mut carry = self.size;
        while carry & 1 == 1 {
            let Some(left) = self.hashes.pop() else { break };
            hash = node_hash(&left, &hash);
            level += 1;
            carry >>= 1;
            completed(level, hash);
        }
        self.hashes.push(hash);
        self.size = self.size.saturating_add(1);
    }

    /// Number of leaves.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Root of the tree.
    pub fn root(&self) -> Hash {
        fold_right_edge(&self.hashes)
    }

    /// Roots of the complete subtrees, the largest first.
    pub fn hashes(&self) -> &[Hash] {
        &self.hashes
    }

    /// The node at `level` and `index`, if it is one of [`Frontier::hashes`].
    pub(super) fn node(&self, level: u8, index: u64) -> Option<Hash> {
        let upper = self.size.checked_shr(u32::from(level))?;
        let in_frontier = upper & 1 == 1 && index == upper - 1;
        // Above this subtree stand those of the higher bits.
        let position = (upper >> 1).count_ones() as usize;
        in_frontier.then(|| self.hashes.get(position).copied())?
    }
}

/// The root over complete subtrees of falling size, the largest first.
pub(super) fn fold_right_edge(hashes: &[Hash]) -> Hash {
    hashes
        .iter()
        .rev()
        .copied()
        .reduce(|right, left| node_hash(&left, &right))
        .unwrap_or_else(empty_root)
}
