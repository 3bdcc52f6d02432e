//! The way from the root of a tree down to a part of it, which is what a proof describes.

use std::ops::Range;

use super::BoundsError;

/// Where the sibling of a step belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// Right of the part, so only in the tree.
    Right,
    /// Left of the part, so only in the tree.
    Left,
    /// Left of the way, but inside the part: both roots are computed over it.
    Shared,
}

/// A turn to one child of a node; the proof holds the root of the other.
#[derive(Debug, Clone)]
pub(super) struct Step {
    pub(super) side: Side,
    /// Leaves under the other child.
    pub(super) sibling: Range<u64>,
}

/// `SUBTREE_SUBPROOF` of draft-ietf-plants-merkle-tree-certs, which contains both `PATH` and
/// `SUBPROOF` of RFC 6962: the steps and where they end, without any hash.
#[derive(Debug, Clone)]
pub(super) struct Path {
    /// From the root downward; proofs list the siblings the other way round. At most 64.
    pub(super) steps: Vec<Step>,
    /// Leaves under the node the way ends at: the largest complete subtree at the part's right end,
    /// or the part itself, which the verifier knows.
    pub(super) end: Range<u64>,
    /// Whether `end` is the part itself.
    pub(super) ends_at_part: bool,
}

impl Path {
    /// The way to the subtree `part` of the tree or subtree over the leaves `tree`.
    ///
    /// `part` must not be empty, be a subtree ([`check_subtree`]) and lie within `tree`.
    pub(super) fn new(part: Range<u64>, tree: Range<u64>) -> Self {
        let Range { mut start, end } = part;
        let Range {
            start: mut low,
            end: mut high,
        } = tree;
        let mut steps = Vec::with_capacity(64);
        let mut ends_at_part = true;
        while (low, high) != (start, end) {
            let middle = split(low, high);
            if end <= middle {
                steps.push(Step {
                    side: Side::Right,
                    sibling: middle..high,
                });
                high = middle;
            } else if start >= middle {
                steps.push(Step {
                    side: Side::Left,
                    sibling: low..middle,
                });
                low = middle;
            } else {
                steps.push(Step {
                    side: Side::Shared,
                    sibling: low..middle,
                });
                ends_at_part = false;
                low = middle;
                start = middle;
            }
        }
        Self {
            steps,
            end: low..high,
            ends_at_part,
        }
    }

    /// How many hashes a proof along this way has.
    pub(super) fn proof_len(&self) -> usize {
        self.steps.len() + usize::from(!self.ends_at_part)
    }
}

/// Where the node over the leaves [`low`, `high`) splits: its left child holds the largest power of
/// two of leaves that is less than all of them (RFC 6962 §2.1). A leaf does not split: gives `high`.
pub(super) fn split(low: u64, high: u64) -> u64 {
    let last = high.saturating_sub(low).saturating_sub(1);
    match last.checked_ilog2() {
        Some(level) => low.saturating_add(1 << level),
        None => high,
    }
}

/// Refuses [`start`, `end`) unless some tree has a node over its leaves, and nothing left of them.
///
/// That is when `start` is a multiple of the smallest power of two that is at least `end - start`.
/// An empty subtree is one, as the published vectors have it.
pub(super) fn check_subtree(start: u64, end: u64) -> Result<(), BoundsError> {
    let error = BoundsError::NotASubtree { start, end };
    let length = end.checked_sub(start).ok_or(error)?;
    if start == 0 || length == 0 {
        return Ok(());
    }
    // Over 2^63 leaves only a subtree from 0 fits 64 bits.
    let span = length.checked_next_power_of_two().ok_or(error)?;
    if start.is_multiple_of(span) {
        Ok(())
    } else {
        Err(error)
    }
}
