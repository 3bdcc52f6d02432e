//! Sets of seqs, kept as runs.

use std::ops::Range;

use crate::entry::v1;

/// A set of seqs: runs that ascend and do not touch.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ranges(Vec<Range<u64>>);

impl Ranges {
    /// The empty set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts the seqs of `run` into the set. Fastest when they lie behind all others.
    pub fn insert(&mut self, run: Range<u64>) {
        if run.is_empty() {
            return;
        }
        match self.0.last_mut() {
            Some(last) if run.start < last.start => {
                let added = Self(vec![run]);
                *self = self.union(&added);
            }
            Some(last) if run.start <= last.end => last.end = last.end.max(run.end),
            _ => self.0.push(run),
        }
    }

    /// The runs, ascending.
    pub fn runs(&self) -> &[Range<u64>] {
        &self.0
    }

    /// The seqs, ascending.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = u64> {
        self.0.iter().cloned().flatten()
    }

    /// How many seqs there are.
    pub fn len(&self) -> u64 {
        let lengths = self.0.iter().map(|run| run.end - run.start);
        lengths.fold(0, u64::saturating_add)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a seq is in the set.
    pub fn contains(&self, seq: u64) -> bool {
        let first_beyond = self.0.partition_point(|run| run.end <= seq);
        self.0.get(first_beyond).is_some_and(|run| run.start <= seq)
    }

    /// The runs as messages carry them, ascending.
    pub fn to_seq_ranges(&self) -> Vec<v1::SeqRange> {
        let range = |run: &Range<u64>| v1::SeqRange {
            first_seq: run.start,
            end_seq: run.end,
        };
        self.0.iter().map(range).collect()
    }

    /// The first seq that is in one of both sets alone.
    pub fn first_difference(&self, other: &Self, within: Range<u64>) -> Option<u64> {
        let only_here = self.intersection(&other.complement(within.clone()));
        let only_there = other.intersection(&self.complement(within));
        let first = [only_here.iter().next(), only_there.iter().next()];
        first.into_iter().flatten().min()
    }

    /// The seqs in either set.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        let (mut left, mut right) = (self.0.iter().peekable(), other.0.iter().peekable());
        let mut union = Self::new();
        loop {
            let run = match (left.peek(), right.peek()) {
                (Some(a), Some(b)) if a.start <= b.start => left.next(),
                (Some(_), None) => left.next(),
                (_, Some(_)) => right.next(),
                (None, None) => return union,
            };
            if let Some(run) = run {
                union.insert(run.clone());
            }
        }
    }

    /// The seqs in both sets.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        let (mut left, mut right) = (self.0.iter().peekable(), other.0.iter().peekable());
        let mut both = Self::new();
        while let (Some(a), Some(b)) = (left.peek(), right.peek()) {
            both.insert(a.start.max(b.start)..a.end.min(b.end));
            if a.end <= b.end {
                left.next();
            } else {
                right.next();
            }
        }
        both
    }

    /// The seqs of `within` that are not in the set.
    #[must_use]
    pub fn complement(&self, within: Range<u64>) -> Self {
        let mut rest = Self::new();
        let mut start = within.start;
        for run in &self.0 {
            rest.insert(start..run.start.min(within.end));
            start = start.max(run.end);
        }
        rest.insert(start..within.end);
        rest
    }
}

impl From<Range<u64>> for Ranges {
    fn from(run: Range<u64>) -> Self {
        let mut set = Self::new();
        set.insert(run);
        set
    }
}

impl FromIterator<Range<u64>> for Ranges {
    /// The seqs of all these runs, in whatever order and however they overlap.
    fn from_iter<I: IntoIterator<Item = Range<u64>>>(runs: I) -> Self {
        let mut runs: Vec<_> = runs.into_iter().collect();
        runs.sort_unstable_by_key(|run| run.start);
        let mut set = Self::new();
        for run in runs {
            set.insert(run);
        }
        set
    }
}

impl<'a> FromIterator<&'a v1::SeqRange> for Ranges {
    /// The seqs of all these ranges, in whatever order and however they overlap.
    fn from_iter<I: IntoIterator<Item = &'a v1::SeqRange>>(ranges: I) -> Self {
        let runs = ranges.into_iter();
        runs.map(|range| range.first_seq..range.end_seq).collect()
    }
}

impl FromIterator<u64> for Ranges {
    fn from_iter<I: IntoIterator<Item = u64>>(seqs: I) -> Self {
        let mut set = Self::new();
        for seq in seqs {
            set.insert(seq..seq.saturating_add(1));
        }
        set
    }
}
