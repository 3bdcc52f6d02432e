use std::fmt::{self, Display, Formatter};

use thiserror::Error;

use super::Hash;

/// Indices and sizes that describe no proof, whatever its hashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BoundsError {
    /// The leaf is not in the tree.
    #[error("leaf {index} is beyond the tree of size {size}")]
    IndexBeyondTree {
        /// Index of the leaf.
        index: u64,
        /// Size of the tree.
        size: u64,
    },
    /// Every tree extends the empty one: there is nothing to prove.
    #[error("consistency with the empty tree proves nothing")]
    EmptyOldTree,
    /// A tree does not shrink.
    #[error("old size {old} is larger than new size {new}")]
    OldBeyondNew {
        /// Size of the older tree.
        old: u64,
        /// Size of the newer tree.
        new: u64,
    },
    /// `start` must be a multiple of the smallest power of two that is at least `end - start`.
    #[error("[{start}, {end}) is not a subtree")]
    NotASubtree {
        /// First leaf.
        start: u64,
        /// One past the last leaf.
        end: u64,
    },
    /// The leaf is not in the subtree.
    #[error("leaf {index} is not in the subtree [{start}, {end})")]
    IndexOutsideSubtree {
        /// Index of the leaf in the whole tree.
        index: u64,
        /// First leaf of the subtree.
        start: u64,
        /// One past the subtree's last leaf.
        end: u64,
    },
    /// The subtree or run ends after the tree does.
    #[error("leaves end at {end}, beyond the tree of size {size}")]
    EndBeyondTree {
        /// One past the last leaf.
        end: u64,
        /// Size of the tree.
        size: u64,
    },
    /// A run of leaves holds at least one, and ends at a number that fits 64 bits.
    #[error("no run of {count} leaves starts at {first}")]
    NotARun {
        /// First leaf.
        first: u64,
        /// How many leaves.
        count: u64,
    },
}

/// Why a proof could not be made.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ProveError<E> {
    /// What was asked for does not exist.
    #[error(transparent)]
    Bounds(#[from] BoundsError),
    /// The reader could not produce a node of the tree.
    #[error("reading the node at level {level}, index {index}")]
    Node {
        /// Height of the node; leaves have 0.
        level: u8,
        /// Number of the node within its level.
        index: u64,
        /// The reader's error.
        source: E,
    },
}

/// Which of the roots a proof was held against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhichRoot {
    /// Of the tree the proof leads to.
    Tree,
    /// Of the older tree, or of the subtree, that the proof starts from.
    Part,
}

impl Display for WhichRoot {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tree => "root of the tree",
            Self::Part => "root of the older tree or subtree",
        })
    }
}

/// Why a proof is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ProofError {
    /// No proof is right for such indices and sizes.
    #[error(transparent)]
    Bounds(#[from] BoundsError),
    /// Indices and sizes determine how many hashes a proof has.
    #[error("proof has {got} hashes, expected {expected}")]
    WrongLength {
        /// Hashes that the indices and sizes call for.
        expected: usize,
        /// Hashes in the proof.
        got: usize,
    },
    /// The hashes lead to another root than the trusted one.
    #[error("{which} is {}, computed {}", Hex(.expected), Hex(.computed))]
    RootMismatch {
        /// The root that does not agree.
        which: WhichRoot,
        /// The root given by the caller.
        expected: Hash,
        /// The root that leaf and proof lead to.
        computed: Hash,
    },
}

/// Why stored hashes are not the state of a tree of the stated size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FrontierError {
    /// No tree is that large.
    #[error("tree size {size} is over the limit of {max}", max = super::MAX_SIZE)]
    TooLarge {
        /// The stated size.
        size: u64,
    },
    /// A frontier has one hash for each one bit of its size.
    #[error("a tree of size {size} has a frontier of {expected} hashes, got {got}")]
    WrongLength {
        /// The stated size.
        size: u64,
        /// Hashes that the size calls for.
        expected: usize,
        /// Hashes given.
        got: usize,
    },
    /// Every level with a hash has a tile, full or partial, at the right edge.
    #[error("a tree of size {size} has {expected} tile levels, got {got}")]
    WrongLevels {
        /// The stated size.
        size: u64,
        /// Levels that the size calls for.
        expected: usize,
        /// Levels given.
        got: usize,
    },
    /// The width of a partial tile follows from the size.
    #[error(
        "the partial tile at level {level} has {expected} hashes in a tree of size {size}, got {got}"
    )]
    WrongWidth {
        /// The stated size.
        size: u64,
        /// Tile level.
        level: u8,
        /// Hashes that the size calls for.
        expected: usize,
        /// Hashes given.
        got: usize,
    },
}

struct Hex<'a>(&'a Hash);

impl Display for Hex<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
