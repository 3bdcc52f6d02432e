use std::ops::{Bound, RangeBounds};

/// Which end of a range a scan starts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Ascending keys.
    Forward,
    /// Descending keys.
    Reverse,
}

/// A range of keys, kept as an inclusive lower and an exclusive upper bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRange {
    lower: Vec<u8>,
    upper: Option<Vec<u8>>,
}

impl KeyRange {
    /// The keys within `range`; none when it starts after it ends.
    pub fn new<K: AsRef<[u8]>>(range: impl RangeBounds<K>) -> Self {
        let lower = match range.start_bound() {
            Bound::Included(key) => key.as_ref().to_vec(),
            Bound::Excluded(key) => successor(key.as_ref()),
            Bound::Unbounded => Vec::new(),
        };
        let upper = match range.end_bound() {
            Bound::Included(key) => Some(successor(key.as_ref())),
            Bound::Excluded(key) => Some(key.as_ref().to_vec()),
            Bound::Unbounded => None,
        };
        Self { lower, upper }
    }

    /// Every key.
    pub fn all() -> Self {
        Self {
            lower: Vec::new(),
            upper: None,
        }
    }

    /// Whether no key can be within the range.
    pub fn is_empty(&self) -> bool {
        self.upper
            .as_ref()
            .is_some_and(|upper| *upper <= self.lower)
    }

    /// Whether `key` is within the range.
    pub fn contains(&self, key: &[u8]) -> bool {
        self.meets(key, key)
    }

    /// Whether the range has keys in common with those from `first` to `last`, which is one of them.
    pub(crate) fn meets(&self, first: &[u8], last: &[u8]) -> bool {
        let begins = self.upper.as_deref().is_none_or(|upper| first < upper);
        begins && self.lower.as_slice() <= last
    }

    /// This range and all that follows up to the end of `other`, which begins no earlier.
    pub(crate) fn through(&self, other: &Self) -> Self {
        let ends = self.upper.as_ref().zip(other.upper.as_ref());
        Self {
            lower: self.lower.clone(),
            upper: ends.map(|(a, b)| a.max(b).clone()),
        }
    }

    /// The least key that can be within the range.
    pub(crate) fn lower(&self) -> &[u8] {
        &self.lower
    }

    pub(crate) fn into_bounds(self) -> (Vec<u8>, Option<Vec<u8>>) {
        (self.lower, self.upper)
    }
}

/// The least key above `key`, in bytewise order.
fn successor(key: &[u8]) -> Vec<u8> {
    let mut next = Vec::with_capacity(key.len().saturating_add(1));
    next.extend_from_slice(key);
    next.push(0);
    next
}
