//! Counts the entries of a range that match a filter, by the values of a field.
//!
//! Where the terms of a segment say exactly which entries match, they are counted from its lists of postings, and where
//! all of a window match, from where the lists begin and end in it. Elsewhere the entries that can match are read.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use super::Ledger;
use super::basis::{Basis, PageProof, WorthReading, prove_ranges, runs};
use super::error::LedgerError;
use super::published::Published;
use super::reader::SealedEntry;
use super::search::{Cost, MAX_EXAMINED, MAX_PAGE_BYTES, MAX_PROVED_RUNS};
use super::segment_objects::{StoredSegment, unreadable};
use crate::entry::v1;
use crate::index::filter::Filter;
use crate::index::{
    Candidates, Counts, Found, GroupBy, Most, Plan, Ranges, SegmentId, Tally, Term, TermRange,
};
use crate::store::Direction;

/// Postings that are read for a page without a proof; those of one piece may come on top.
const MAX_READ_RUNS: usize = 4_000_000;
/// An entry costs as much as so many postings, and as a leaf.
const POSTINGS_PER_ENTRY: u64 = 700;
/// Postings of one term about the ends of a window.
const ENDS: u64 = 4_096;

/// A question about how many.
#[derive(Debug, Clone)]
pub struct Count<'a> {
    /// Which entries.
    pub filter: &'a Filter,
    /// By the values of which field; none for all together.
    pub group_by: Option<GroupBy>,
    /// The tree size at which it is answered; at most the newest checkpoint's.
    pub size: u64,
    /// The seqs asked about; those beyond the size are ignored.
    pub range: Range<u64>,
    /// The term of the value that the page goes on with. `range` is the window of the page before then.
    pub next_value: Option<Vec<u8>>,
    /// The most groups of a page; one more entry may bring more.
    pub limit: usize,
    /// Whether the page is to be proved.
    pub prove: bool,
}

/// A page of counts.
#[derive(Debug, Clone)]
pub struct CountPage {
    /// The checkpoint it was answered under.
    pub published: Arc<Published>,
    /// The seqs it answers for: from the beginning of the range.
    pub window: Range<u64>,
    /// What was counted. Of a page that goes on with the values of a window, only the groups.
    pub counts: Counts,
    /// The term of the value that the next page goes on with, in the same window.
    pub next_value: Option<Vec<u8>>,
    /// Entries of which it cannot be told whether they match, ascending.
    pub unknown: Vec<u64>,
    /// With a proof: the candidates that it shows, ascending.
    pub entries: Vec<SealedEntry>,
    /// The proof, if it was asked for.
    pub proof: Option<PageProof>,
    /// What was read.
    pub cost: Cost,
}

impl Ledger {
    /// Counts as far as one page goes.
    ///
    /// # Errors
    ///
    /// Also when the page cannot go on with the values of a window, since the index was merged after the page before.
    pub fn count(&self, count: &Count<'_>) -> Result<CountPage, LedgerError> {
        let basis = self.basis(count.filter, count.size)?;
        let mut counting = Counting {
            ledger: self,
            count,
            basis: &basis,
            until: self.page_until(),
            by_terms: BTreeMap::new(),
            values: count
                .group_by
                .map(|group| group.values(count.next_value.as_deref(), None)),
            counts: Counts::default(),
            next_value: None,
            unknown: Vec::new(),
            shown: Ranges::new(),
            entries: Vec::new(),
            bytes: 0,
            runs: 0,
            cost: Cost::default(),
        };
        let range = count.range.start.min(count.size)..count.range.end.min(count.size);
        let window = counting.walk(&range)?;
        if count.next_value.is_some() {
            if window != range {
                let what = "the index was merged since the page before: ask again from the first";
                return Err(LedgerError::BadRange(what.into()));
            }
            counting.counts.total = Tally::default();
            counting.counts.absent = 0;
        }
        let proof = if count.prove {
            let terms = |segment: &StoredSegment, plan: &Plan, window: &Range<u64>| {
                counting.prove_terms(segment, plan, window)
            };
            let mut proof = self.prove_page(&basis, &window, &counting.shown, terms)?;
            (proof.first, proof.last) = self.prove_times(&basis)?;
            Some(proof)
        } else {
            None
        };
        Ok(CountPage {
            window,
            counts: counting.counts,
            next_value: counting.next_value,
            unknown: counting.unknown,
            entries: counting.entries,
            proof,
            cost: counting.cost,
            published: basis.published,
        })
    }
}

/// A page while it grows.
struct Counting<'a> {
    ledger: &'a Ledger,
    count: &'a Count<'a>,
    basis: &'a Basis,
    /// Of the monotonic clock.
    until: Duration,
    /// Whether a segment's entries are counted from the terms of the field, or read.
    by_terms: BTreeMap<SegmentId, bool>,
    /// The terms that the page is about.
    values: Option<TermRange>,
    counts: Counts,
    next_value: Option<Vec<u8>>,
    unknown: Vec<u64>,
    shown: Ranges,
    entries: Vec<SealedEntry>,
    bytes: usize,
    runs: usize,
    cost: Cost,
}

impl Counting<'_> {
    /// Goes through the range until the page is full. Returns the seqs that it answers for.
    fn walk(&mut self, range: &Range<u64>) -> Result<Range<u64>, LedgerError> {
        let possible = self.basis.possible(range);
        let mut known = None;
        for (segment, piece) in self.basis.pieces(&possible) {
            let piece_end = piece.end;
            let end = match segment {
                Some(segment) => self.count_piece(&segment, &mut known, &piece, &possible)?,
                None => self.read(&piece.into())?,
            };
            if let Some(end) = end {
                return Ok(range.start..end);
            }
            // A page that goes on with the values of a window has to go through all of it.
            if self.count.next_value.is_none() && self.ledger.is_past(self.until) {
                return Ok(range.start..piece_end);
            }
        }
        Ok(range.clone())
    }

    /// Counts a piece of a segment. Returns the seq that the page has to end before, if it has to.
    fn count_piece(
        &mut self,
        segment: &StoredSegment,
        known: &mut Option<WorthReading>,
        piece: &Range<u64>,
        possible: &Range<u64>,
    ) -> Result<Option<u64>, LedgerError> {
        let lists = self.basis.lists(segment, known, piece)?;
        self.runs += runs(&lists);
        self.cost.segments += 1;
        self.cost.ranges += lists.len() as u64;
        let Candidates { seqs, exact } = self.basis.plan.candidates(&lists, piece);
        if !exact {
            return self.read(&seqs);
        }
        if seqs.is_empty() {
            return Ok(None);
        }
        let Some(group) = self.count.group_by else {
            self.counts.total = self.counts.total.and(Tally::of(&seqs));
            return Ok(self.is_full().then_some(piece.end));
        };
        if self.is_by_terms(segment, group, possible)? {
            let first = piece.start == possible.start;
            self.count_terms(segment, group, piece, &seqs, first)
        } else {
            self.read(&seqs)
        }
    }

    /// Whether it takes less to read the terms of the field than the entries that match.
    fn is_by_terms(
        &mut self,
        segment: &StoredSegment,
        group: GroupBy,
        possible: &Range<u64>,
    ) -> Result<bool, LedgerError> {
        let id = segment.record().id;
        if self.count.next_value.is_some() {
            return Ok(true);
        }
        if let Some(known) = self.by_terms.get(&id) {
            return Ok(*known);
        }
        let within = overlap(&id.seqs(), possible);
        let within = within.end.saturating_sub(within.start);
        let most = self.basis.most(segment)?.min(within);
        let leaves = segment
            .reach(&group.values(None, None))
            .map_err(unreadable)?;
        let present = find(segment, &group.presence())?.count(&group.presence());
        let by_terms = leaves + present.min(within) / POSTINGS_PER_ENTRY <= most;
        self.by_terms.insert(id, by_terms);
        Ok(by_terms)
    }

    /// Counts the entries `seqs` of a piece from the terms of the field. `first`: the page has no others so far.
    fn count_terms(
        &mut self,
        segment: &StoredSegment,
        group: GroupBy,
        piece: &Range<u64>,
        seqs: &Ranges,
        first: bool,
    ) -> Result<Option<u64>, LedgerError> {
        let all = is_all(seqs, piece);
        // However much the lists of the filter are, a page goes on with many values.
        let least = if first { MAX_PROVED_RUNS / 2 } else { 0 };
        let postings = MAX_PROVED_RUNS.saturating_sub(self.runs).max(least);
        let most = Most {
            terms: self.count.limit,
            bytes: MAX_PAGE_BYTES.saturating_sub(self.bytes),
            postings: postings as u64,
            in_window: if all {
                ENDS
            } else {
                piece.end.saturating_sub(piece.start)
            },
        };
        let values = group.values(self.count.next_value.as_deref(), None);
        let (shown, found) = segment.find_some(&values, &most).map_err(unreadable)?;
        let cut = shown.to != values.to;
        let groups = tallies(segment, &found, &shown, piece, seqs)?;
        if !first && (cut || self.with(&groups) > self.count.limit) {
            return Ok(Some(piece.start));
        }
        let presence = group.presence();
        let present = tallies(segment, &find(segment, &presence)?, &presence, piece, seqs)?;
        let present: u64 = present.iter().map(|(_, tally)| tally.count).sum();
        self.counts.total = self.counts.total.and(Tally::of(seqs));
        self.counts.absent += seqs.len().saturating_sub(present);
        self.cost.ranges += 2;
        self.bytes += found.bytes();
        for (term, tally) in groups {
            let postings = if all {
                ENDS.min(tally.count)
            } else {
                tally.count
            };
            self.runs += usize::try_from(postings).unwrap_or(usize::MAX);
            self.counts.add_group(term.value, tally);
        }
        if cut {
            self.next_value = Some(shown.to.value);
        }
        Ok((cut || self.is_full()).then_some(piece.end))
    }

    /// How many groups there would be with these.
    fn with(&self, groups: &[(Term, Tally)]) -> usize {
        let new = groups
            .iter()
            .filter(|(term, tally)| {
                tally.count > 0 && !self.counts.groups.contains_key(&term.value)
            })
            .count();
        self.counts.groups.len() + new
    }

    /// Reads entries that can match, and counts those that do. Returns the seq that the page has to end before, if it has
    /// to.
    fn read(&mut self, seqs: &Ranges) -> Result<Option<u64>, LedgerError> {
        let ledger = self.ledger;
        let take = |entry| self.take_entry(entry);
        let last = ledger.read_until(seqs.iter(), Direction::Forward, take)?;
        Ok(last.map(|last| last.saturating_add(1)))
    }

    /// Counts an entry if it matches. Whether the page is full with it.
    fn take_entry(&mut self, entry: SealedEntry) -> Result<bool, LedgerError> {
        let facts = entry.facts()?;
        let seq = entry.header.seq;
        self.cost.entries += 1;
        let truth = self.count.filter.evaluate(&facts);
        self.counts.add_entry(
            (seq, truth),
            self.count.group_by.map(|group| group.terms(&facts)),
            self.values.as_ref(),
            &mut self.unknown,
        );
        if self.count.prove {
            self.shown.insert(seq..seq.saturating_add(1));
            self.bytes += entry.len();
            self.entries.push(entry);
        }
        Ok(self.is_full())
    }

    fn is_full(&self) -> bool {
        let runs = if self.count.prove {
            MAX_PROVED_RUNS
        } else {
            MAX_READ_RUNS
        };
        self.counts.groups.len() > self.count.limit
            || self.bytes >= MAX_PAGE_BYTES
            || self.runs >= runs
            || (!self.count.prove && self.cost.entries >= MAX_EXAMINED)
    }

    /// Proves what a segment says about the entries of a window: the ranges of the filter, and of the field its presence
    /// and its values, unless the entries are shown.
    fn prove_terms(
        &self,
        segment: &StoredSegment,
        plan: &Plan,
        window: &Range<u64>,
    ) -> Result<Vec<v1::TermProof>, LedgerError> {
        let mut proofs = prove_ranges(segment, plan, window)?;
        let Some(group) = self.count.group_by else {
            return Ok(proofs);
        };
        let id = segment.record().id;
        let piece = overlap(&id.seqs(), window);
        let lists = self.basis.lists(segment, &mut None, &piece)?;
        let Candidates { seqs, exact } = plan.candidates(&lists, &piece);
        let by_terms =
            self.count.next_value.is_some() || self.by_terms.get(&id).is_some_and(|known| *known);
        let shown = group.values(self.count.next_value.as_deref(), self.next_value.as_deref());
        for range in [group.presence(), shown] {
            proofs.push(if exact && by_terms && !seqs.is_empty() {
                let found = find(segment, &range)?;
                let proof = if is_all(&seqs, &piece) {
                    segment.prove_tallies(&found, &range, &piece)
                } else {
                    segment.prove(&found, &range, &piece)
                };
                proof.map_err(unreadable)?
            } else {
                v1::TermProof::default()
            });
        }
        Ok(proofs)
    }
}

/// Of each term of a range that was found, how many of the entries `seqs` of a piece have it.
fn tallies(
    segment: &StoredSegment,
    found: &Found,
    range: &TermRange,
    piece: &Range<u64>,
    seqs: &Ranges,
) -> Result<Vec<(Term, Tally)>, LedgerError> {
    if is_all(seqs, piece) {
        return segment.tallies(found, range, piece).map_err(unreadable);
    }
    let lists = segment.lists(found, range, piece).map_err(unreadable)?;
    let tallies = lists.into_iter();
    Ok(tallies
        .map(|(term, list)| (term, Tally::of(&list.intersection(seqs))))
        .collect())
}

fn find(segment: &StoredSegment, range: &TermRange) -> Result<Found, LedgerError> {
    let found = segment.find(range, usize::MAX).map_err(unreadable)?;
    found.ok_or_else(|| LedgerError::Stopped("a segment has more leaves than can be".into()))
}

/// Whether the set is all of a piece.
fn is_all(seqs: &Ranges, piece: &Range<u64>) -> bool {
    seqs.runs() == std::slice::from_ref(piece)
}

/// The part of a window that a segment spans.
fn overlap(seqs: &Range<u64>, window: &Range<u64>) -> Range<u64> {
    seqs.start.max(window.start)..seqs.end.min(window.end)
}
