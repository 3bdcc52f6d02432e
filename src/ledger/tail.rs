//! The terms of the entries behind the last segment, so that a question need not read all of them, and these entries
//! without what can be erased, so that a proof, which shows them all, need not either.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use super::error::LedgerError;
use super::reader::{Reader, SealedEntry};
use super::segments::Sealed;
use crate::entry::Tag;
use crate::index::{Plan, Ranges, TermMap};
use crate::store::Direction;

/// Bytes of entries that are kept.
const KEPT_BYTES: usize = 4 * 1024 * 1024;

/// What questions have needed so far.
#[derive(Default)]
pub(crate) struct Tail {
    known: Mutex<Known>,
    kept: Mutex<Kept>,
}

/// The first entries behind the last segment, their parts why and detail withheld.
#[derive(Default)]
struct Kept {
    start: u64,
    entries: Vec<SealedEntry>,
    bytes: usize,
}

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
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
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

    /// The entries of `seqs`, all behind the segments of `sealed`, without their parts why and detail. None when they
    /// are too many to be kept.
    pub(crate) fn without_erasable(
        &self,
        reader: &Reader,
        sealed: &Sealed,
        seqs: &Range<u64>,
    ) -> Result<Option<Vec<SealedEntry>>, LedgerError> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let start = sealed.levels.covered();
        if kept.start != start {
            *kept = Kept {
                start,
                ..Kept::default()
            };
        }
        while kept.end() < seqs.end {
            if kept.bytes >= KEPT_BYTES {
                return Ok(None);
            }
            for mut entry in reader.next_entries(kept.end()..seqs.end, Direction::Forward)? {
                entry.body = entry.body.withhold(&[Tag::Why, Tag::Detail]);
                kept.bytes = kept.bytes.saturating_add(entry.len());
                kept.entries.push(entry);
            }
        }
        let place = |seq: u64| usize::try_from(seq.saturating_sub(start)).ok();
        let wanted = place(seqs.start).zip(place(seqs.end));
        let wanted = wanted.and_then(|(first, end)| kept.entries.get(first..end));
        Ok(wanted.map(<[_]>::to_vec))
    }
}

impl Kept {
    fn end(&self) -> u64 {
        self.start.saturating_add(self.entries.len() as u64)
    }
}
