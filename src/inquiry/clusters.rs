//! Numbers in clusters: those no farther apart than a given distance are together, in whatever order they come.

use std::collections::BTreeMap;

/// The most clusters of a set.
pub(super) const MAX_CLUSTERS: usize = 10_000;

/// A set of numbers, of which only the ends of its clusters are kept.
#[derive(Debug)]
pub(super) struct Clusters {
    /// The first number of each cluster, and the last.
    spans: BTreeMap<i128, i128>,
    reach: i128,
}

impl Clusters {
    /// An empty set, in which numbers that are at most `reach` apart are together.
    pub(super) fn new(reach: i128) -> Self {
        Self {
            spans: BTreeMap::new(),
            reach,
        }
    }

    /// Whether a number lies in a cluster. With a reach of 1 that means that it was inserted.
    pub(super) fn contains(&self, number: i128) -> bool {
        let before = self.spans.range(..=number).next_back();
        before.is_some_and(|(_, last)| number <= *last)
    }

    /// Adds a number, unless that would make one cluster more than there can be. Whether it was added.
    pub(super) fn insert(&mut self, number: i128) -> bool {
        if self.contains(number) {
            return true;
        }
        let before = self.spans.range(..number).next_back();
        let before = before.map(|(first, last)| (*first, *last));
        let near_before = before.filter(|(_, last)| number - last <= self.reach);
        let first = near_before.map_or(number, |(first, _)| first);
        let behind = self.spans.range(number..).next();
        let behind = behind.map(|(first, last)| (*first, *last));
        let near = behind.filter(|(first, _)| first - number <= self.reach);
        if near_before.is_none() && near.is_none() && self.spans.len() >= MAX_CLUSTERS {
            return false;
        }
        if let Some((joined, _)) = near {
            self.spans.remove(&joined);
        }
        self.spans
            .insert(first, near.map_or(number, |(_, last)| last));
        true
    }

    /// The smallest number and the largest.
    pub(super) fn ends(&self) -> Option<(i128, i128)> {
        let (first, _) = self.spans.first_key_value()?;
        let (_, last) = self.spans.last_key_value()?;
        Some((*first, *last))
    }

    /// Between each two clusters: the last number of one, and the first of the next.
    pub(super) fn gaps(&self) -> impl Iterator<Item = (i128, i128)> {
        let firsts = self.spans.keys().skip(1).copied();
        self.spans.values().copied().zip(firsts)
    }
}
