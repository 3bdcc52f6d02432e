//! The terms of the entries behind the last segment, so that a question need not read all of them.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use super::error::LedgerError;
use super::reader::Reader;
use super::segments::Sealed;
use crate::index::{Plan, Ranges, TermMap};

/// What questions have needed so far.
#[derive(Default)]
pub(crate) struct Tail(Mutex<Known>);

#[derive(Default)]
struct Known {
    /// The entries whose terms are in the map.
    seqs: Range<u64>,
    map: TermMap,
}

impl Tail {
    /// For each range of the plan the seqs of `seqs`, all behind the segments of `sealed`, that have one of its terms.
    pub(crate) fn lists(
        &self,
        reader: &Reader,
        sealed: &Sealed,
        plan: &Plan,
        seqs: &Range<u64>,
    ) -> Result<Vec<Option<Ranges>>, LedgerError> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let start = sealed.levels.covered();
        // After an error it begins anew: an entry may have been noted in part.
        let mut next = std::mem::take(&mut *known);
        if next.seqs.start != start {
            next = Known {
                seqs: start..start,
                map: TermMap::default(),
            };
        }
        if next.seqs.end < seqs.end {
            reader.for_each_evidence(next.seqs.end..seqs.end, |header, parts| {
                next.map.push_parts(header, parts)
            })?;
            next.seqs.end = seqs.end;
        }
        *known = next;
        let window = Ranges::from(seqs.clone());
        let list = |range| {
            let entries = known.map.entries_with(range);
            let runs = entries.runs().iter();
            let found: Ranges = runs
                .map(|run| run.start.saturating_add(start)..run.end.saturating_add(start))
                .collect();
            Some(found.intersection(&window))
        };
        Ok(plan.ranges().iter().map(list).collect())
    }
}
