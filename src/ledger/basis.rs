//! What the pages of an answer rest on: a plan, the segments below a checkpoint, and their proofs.

use std::ops::Range;
use std::sync::Arc;

use super::Ledger;
use super::error::LedgerError;
use super::published::Published;
use super::reader::SealedEntry;
use super::segment_objects::{StoredSegment, unreadable};
use super::segments::Sealed;
use crate::entry::{Header, v1};
use crate::index::filter::Filter;
use crate::index::{Found, Plan, Ranges, SegmentId, SegmentRecord, by_level};
use crate::merkle::{self, Hash};
use crate::store::Direction;

/// Seqs that are looked at together.
const PIECE: u64 = 1 << 19;
/// Leaves of a segment that are read for one range of terms.
const MAX_LEAVES: usize = 1_024;
/// Candidates whose entries are read at a time.
const READ_AT_ONCE: usize = 256;

/// Proves that a page has every match of its window.
#[derive(Debug, Clone)]
pub struct PageProof {
    /// The seal, with its inclusion in the newest checkpoint's tree.
    pub seal: Option<(SealedEntry, Vec<Hash>)>,
    /// For each level of the cover, ascending, the proof of its records.
    pub levels: Vec<(u8, Vec<Hash>)>,
    /// The segments of the cover, ascending by seq.
    pub segments: Vec<(SegmentRecord, Vec<v1::TermProof>)>,
    /// For each run of consecutive entries, its proof in the tree of the answer's size.
    pub runs: Vec<Vec<Hash>>,
    /// An entry recorded before the time that the filter begins with, with its inclusion; the one before the first possible.
    pub earlier: Option<(Header, Vec<Hash>)>,
    /// The first entry recorded at the time that the filter ends with or later.
    pub later: Option<(Header, Vec<Hash>)>,
    /// The first entry recorded at the time that the filter begins with or later, if the answer is a count.
    pub first: Option<(Header, Vec<Hash>)>,
    /// The last one recorded before the time that the filter ends with, if the answer is a count.
    pub last: Option<(Header, Vec<Hash>)>,
    /// When the answer is for an older size: its root, and that the newest tree continues it.
    pub older: Option<(Hash, Vec<Hash>)>,
}

/// A header, and the hashes that prove it to be in the tree of the answer's size.
pub(super) type Bound = (Header, Vec<Hash>);

/// The terms of a segment that are worth reading, for each range of the plan.
pub(super) struct WorthReading {
    id: SegmentId,
    found: Vec<Option<Found>>,
}

/// What the pages of one answer have in common.
pub(super) struct Basis {
    pub(super) plan: Plan,
    /// The tree size at which the question is answered.
    pub(super) size: u64,
    pub(super) sealed: Arc<Sealed>,
    pub(super) published: Arc<Published>,
    /// The seqs of the entries that were recorded at a time that the filter allows.
    pub(super) times: Range<u64>,
}

impl Basis {
    /// The seqs of a window where the filter and time allow matches.
    pub(super) fn possible(&self, window: &Range<u64>) -> Range<u64> {
        let seqs = &self.plan.bounds().seqs;
        let start = self
            .times
            .start
            .max(seqs.start)
            .clamp(window.start, window.end);
        let end = self.times.end.min(seqs.end).clamp(start, window.end);
        start..end
    }

    /// The range cut where segments meet, ascending, each piece with its segment, those behind the index with none.
    pub(super) fn pieces(
        &self,
        range: &Range<u64>,
    ) -> Vec<(Option<Arc<StoredSegment>>, Range<u64>)> {
        let mut pieces = Vec::new();
        let mut next = range.start;
        for id in self.sealed.levels.cover(range) {
            let seqs = id.seqs();
            let segment = self.sealed.segments.get(&id);
            while next < seqs.end.min(range.end) {
                let end = next.saturating_add(PIECE).min(seqs.end).min(range.end);
                pieces.push((segment.cloned(), next..end));
                next = end;
            }
        }
        if next < range.end {
            pieces.push((None, next..range.end));
        }
        pieces
    }

    /// For each range of the plan the seqs of a piece of a segment that have one of its terms, none where that is not worth
    /// reading. `known` holds what was found for the piece before, which is mostly of the same segment.
    pub(super) fn lists(
        &self,
        segment: &StoredSegment,
        known: &mut Option<WorthReading>,
        piece: &Range<u64>,
    ) -> Result<Vec<Option<Ranges>>, LedgerError> {
        let id = segment.record().id;
        let worth = match known.take() {
            Some(known) if known.id == id => known,
            _ => WorthReading {
                id,
                found: worth_reading(segment, &self.plan, false)?,
            },
        };
        let ranges = self.plan.ranges().iter().zip(&worth.found);
        let lists = ranges.map(|(range, found)| {
            let list = found
                .as_ref()
                .map(|found| segment.postings(found, range, piece));
            list.transpose().map_err(unreadable)
        });
        let lists = lists.collect();
        *known = Some(worth);
        lists
    }

    /// At most so many entries of a segment can match.
    pub(super) fn most(&self, segment: &StoredSegment) -> Result<u64, LedgerError> {
        let FoundRanges { counts, .. } = find_ranges(segment, &self.plan, false)?;
        Ok(self.plan.most(&counts))
    }
}

/// Of how many runs these lists are.
pub(super) fn runs(lists: &[Option<Ranges>]) -> usize {
    let lists = lists.iter().flatten();
    lists.map(|list| list.runs().len()).sum()
}

impl Ledger {
    /// What an answer at this size rests on.
    pub(super) fn basis(&self, filter: &Filter, size: u64) -> Result<Basis, LedgerError> {
        // In this order, so that the seal is below the checkpoint.
        let sealed = self.segments.sealed();
        let published = self.published();
        if size > published.size() {
            return Err(LedgerError::BeyondEnd {
                what: "tree size",
                asked: size,
                size: published.size(),
            });
        }
        let plan = Plan::new(filter);
        let times = self.times(&plan, size)?;
        Ok(Basis {
            plan,
            size,
            sealed,
            published,
            times,
        })
    }

    /// An entry at which the time that the filter begins with has come, and one at which the time that it ends with has
    /// not.
    pub(super) fn prove_times(
        &self,
        basis: &Basis,
    ) -> Result<(Option<Bound>, Option<Bound>), LedgerError> {
        let bounds = basis.plan.bounds();
        let first = bounds.recorded_from.map(|_| basis.times.start);
        let last = bounds.recorded_before.map(|_| basis.times.end);
        let first = first.filter(|seq| *seq < basis.size);
        let last = last.and_then(|end| end.checked_sub(1));
        let prove = |seq: Option<u64>| seq.map(|seq| self.prove_bound(seq, basis.size));
        Ok((prove(first).transpose()?, prove(last).transpose()?))
    }

    /// Reads the entries with these seqs, which come in the order of `direction`, until one is enough. Returns its seq.
    pub(super) fn read_until(
        &self,
        mut seqs: impl Iterator<Item = u64>,
        direction: Direction,
        mut enough: impl FnMut(SealedEntry) -> Result<bool, LedgerError>,
    ) -> Result<Option<u64>, LedgerError> {
        loop {
            let some: Vec<u64> = seqs.by_ref().take(READ_AT_ONCE).collect();
            if some.is_empty() {
                return Ok(None);
            }
            let mut rest = some.as_slice();
            while !rest.is_empty() {
                let entries = self.reader.entries_beside_first(rest, direction)?;
                rest = rest.get(entries.len().max(1)..).unwrap_or_default();
                for entry in entries {
                    let seq = entry.header.seq;
                    if enough(entry)? {
                        return Ok(Some(seq));
                    }
                }
            }
        }
    }

    /// The seqs of the entries that were recorded at a time that the filter allows: time never goes back.
    fn times(&self, plan: &Plan, size: u64) -> Result<Range<u64>, LedgerError> {
        let bounds = plan.bounds();
        let first_at = |time: Option<i64>, open| match time.map(u64::try_from) {
            Some(Ok(time)) => self.reader.first_recorded_at(time, size),
            Some(Err(_)) => Ok(0),
            None => Ok(open),
        };
        Ok(first_at(bounds.recorded_from, 0)?..first_at(bounds.recorded_before, size)?)
    }

    /// Proves a page that shows these entries. `terms` proves what a segment says about the possible seqs of the window.
    pub(super) fn prove_page(
        &self,
        basis: &Basis,
        window: &Range<u64>,
        shown: &Ranges,
        terms: impl Fn(&StoredSegment, &Plan, &Range<u64>) -> Result<Vec<v1::TermProof>, LedgerError>,
    ) -> Result<PageProof, LedgerError> {
        let (size, newest) = (basis.size, basis.published.size());
        let sealed = &*basis.sealed;
        let seal = match sealed.seal {
            Some(seq) => Some((self.reader.entry(seq)?, self.prove_inclusion(seq, newest)?)),
            None => None,
        };
        let window = basis.possible(window);
        let cover = sealed.levels.cover(&window);
        let mut segments = Vec::with_capacity(cover.len());
        for id in &cover {
            let segment = sealed.segment(*id)?;
            segments.push((*segment.record(), terms(segment, &basis.plan, &window)?));
        }
        let earlier = basis.times.start.checked_sub(1);
        let later = Some(basis.times.end).filter(|seq| *seq < size);
        let runs = shown
            .runs()
            .iter()
            .map(|run| self.prove_range(run.clone(), size));
        Ok(PageProof {
            seal,
            levels: self.prove_levels(sealed, &cover)?,
            segments,
            runs: runs.collect::<Result<_, _>>()?,
            earlier: earlier.map(|seq| self.prove_bound(seq, size)).transpose()?,
            later: later.map(|seq| self.prove_bound(seq, size)).transpose()?,
            first: None,
            last: None,
            older: if size == newest {
                None
            } else {
                Some(self.prove_older(size, newest)?)
            },
        })
    }

    /// Proves the records of a cover, level by level.
    fn prove_levels(
        &self,
        sealed: &Sealed,
        cover: &[SegmentId],
    ) -> Result<Vec<(u8, Vec<Hash>)>, LedgerError> {
        let prove = |(level, numbers)| {
            let of_level = sealed.levels.segments(level);
            let proof = self.segments.prove_records(level, numbers, of_level)?;
            Ok((level, proof))
        };
        by_level(cover).into_iter().map(prove).collect()
    }

    /// The header of an entry, and that it is in the tree of `size` entries.
    pub(super) fn prove_bound(&self, seq: u64, size: u64) -> Result<Bound, LedgerError> {
        Ok((
            self.reader.entry(seq)?.header,
            self.prove_inclusion(seq, size)?,
        ))
    }

    /// The root of an older tree, and that the newest continues it.
    fn prove_older(&self, size: u64, newest: u64) -> Result<(Hash, Vec<Hash>), LedgerError> {
        let root = merkle::root_at(self.reader.tree(), size)
            .map_err(|error| super::open::prove_error(error, size))?;
        if size == 0 {
            // Every tree continues the empty one.
            return Ok((root, Vec::new()));
        }
        Ok((root, self.prove_consistency(size, newest)?))
    }
}

/// What a segment has of each range of the plan.
struct FoundRanges {
    /// The terms.
    found: Vec<Option<Found>>,
    /// How many entries have one of them.
    counts: Vec<Option<u64>>,
}

/// Finds the terms of each range; none where they stand in too many leaves, or where others leave nothing. That a segment
/// lacks a range is looked up only if it is to be `shown`.
fn find_ranges(
    segment: &StoredSegment,
    plan: &Plan,
    shown: bool,
) -> Result<FoundRanges, LedgerError> {
    let ranges = plan.ranges();
    let lacks = ranges.iter().map(|range| segment.lacks(range));
    let lacks: Vec<bool> = lacks.collect::<Result<_, _>>().map_err(unreadable)?;
    let mut found: Vec<Option<Found>> = ranges.iter().map(|_| None).collect();
    let mut counts = vec![None; ranges.len()];
    // First those it lacks, for they may leave nothing.
    for lacking in [true, false] {
        let places = ranges.iter().zip(found.iter_mut()).enumerate();
        for (index, (range, found)) in places {
            if lacks.get(index) != Some(&lacking) || plan.most(&counts) == 0 {
                continue;
            }
            *found = if lacking && !shown {
                Some(Found::nothing())
            } else {
                segment.find(range, MAX_LEAVES).map_err(unreadable)?
            };
            if let Some(count) = counts.get_mut(index) {
                *count = found.as_ref().map(|terms| terms.count(range));
            }
        }
    }
    Ok(FoundRanges { found, counts })
}

/// The terms of each range of the plan, where they are worth reading.
fn worth_reading(
    segment: &StoredSegment,
    plan: &Plan,
    shown: bool,
) -> Result<Vec<Option<Found>>, LedgerError> {
    let FoundRanges { found, counts } = find_ranges(segment, plan, shown)?;
    let found = found.into_iter().zip(plan.worth_reading(&counts));
    Ok(found
        .map(|(found, worth)| found.filter(|_| worth))
        .collect())
}

/// For each range of the plan the proof of its terms, an empty one where they were not worth reading.
pub(super) fn prove_ranges(
    segment: &StoredSegment,
    plan: &Plan,
    window: &Range<u64>,
) -> Result<Vec<v1::TermProof>, LedgerError> {
    let worth = worth_reading(segment, plan, true)?;
    let ranges = plan.ranges().iter().zip(worth);
    let proofs = ranges.map(|(range, found)| match found {
        Some(found) => segment.prove(&found, range, window).map_err(unreadable),
        None => Ok(v1::TermProof::default()),
    });
    proofs.collect()
}
