//! Answers questions: which entries of a range match a filter, and on request the proof that these are all.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use super::Ledger;
use super::basis::{Basis, PageProof, WorthReading, prove_ranges, runs};
use super::error::LedgerError;
use super::published::Published;
use super::reader::SealedEntry;
use super::segment_objects::StoredSegment;
use crate::entry::Header;
use crate::entry::body::Content;
use crate::index::filter::{Filter, Truth};
use crate::index::{Facts, Ranges};
use crate::store::Direction;

/// Bytes of the entries of a page; one more entry may come on top.
pub(super) const MAX_PAGE_BYTES: usize = 2 * 1024 * 1024;
/// Entries that are read for a page without a proof.
pub(super) const MAX_EXAMINED: u64 = 20_000;
/// How long a page is worked on. What is being read then is still read, so that every page makes progress.
pub(super) const MAX_PAGE_TIME: Duration = Duration::from_secs(5);
/// Entries behind the index that a proof takes at a time.
const TAKEN_AT_ONCE: u64 = 256;
/// Postings in the proof of a page; those of one piece may come on top.
pub(super) const MAX_PROVED_RUNS: usize = 500_000;

/// A question.
#[derive(Debug, Clone)]
pub struct Search<'a> {
    /// Which entries.
    pub filter: &'a Filter,
    /// The tree size at which it is answered; at most the newest checkpoint's.
    pub size: u64,
    /// The seqs asked about; those beyond the size are ignored.
    pub range: Range<u64>,
    /// In which order.
    pub direction: Direction,
    /// The most matches of a page.
    pub limit: usize,
    /// Whether the page is to be proved.
    pub prove: bool,
}

/// A page of an answer.
#[derive(Debug, Clone)]
pub struct Page {
    /// The checkpoint it was answered under.
    pub published: Arc<Published>,
    /// The seqs it answers for: from the end of the range that the order begins with.
    pub window: Range<u64>,
    /// The matches in the order asked for; with a proof every candidate, ascending.
    pub entries: Vec<SealedEntry>,
    /// The proof, if it was asked for.
    pub proof: Option<PageProof>,
    /// What was read.
    pub cost: Cost,
}

/// What was read for a page.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cost {
    /// Segments of the index.
    pub segments: u64,
    /// Ranges of terms looked up in them.
    pub ranges: u64,
    /// Entries.
    pub entries: u64,
}

impl Ledger {
    /// Answers a question as far as one page goes.
    pub fn search(&self, search: &Search<'_>) -> Result<Page, LedgerError> {
        let basis = self.basis(search.filter, search.size)?;
        let mut answer = Answer {
            ledger: self,
            search,
            basis: &basis,
            until: self.page_until(),
            entries: Vec::new(),
            matches: 0,
            bytes: 0,
            runs: 0,
            cost: Cost::default(),
        };
        let range = search.range.start.min(search.size)..search.range.end.min(search.size);
        let window = answer.walk(&range)?;
        let Answer {
            mut entries, cost, ..
        } = answer;
        let proof = if search.prove {
            entries.sort_unstable_by_key(|entry| entry.header.seq);
            let seqs = entries.iter().map(|entry| entry.header.seq);
            let shown: Ranges = seqs.collect();
            Some(self.prove_page(&basis, &window, &shown, prove_ranges)?)
        } else {
            None
        };
        Ok(Page {
            published: basis.published,
            window,
            entries,
            proof,
            cost,
        })
    }
}

impl Ledger {
    /// When the page that is begun now has to end, by the monotonic clock.
    pub(super) fn page_until(&self) -> Duration {
        self.clock.monotonic().saturating_add(MAX_PAGE_TIME)
    }

    pub(super) fn is_past(&self, until: Duration) -> bool {
        self.clock.monotonic() >= until
    }
}

/// A page while it grows.
struct Answer<'a> {
    ledger: &'a Ledger,
    search: &'a Search<'a>,
    basis: &'a Basis,
    /// Of the monotonic clock.
    until: Duration,
    entries: Vec<SealedEntry>,
    matches: usize,
    bytes: usize,
    runs: usize,
    cost: Cost,
}

impl Answer<'_> {
    /// Goes through the range until the page is full. Returns the seqs that it answers for.
    fn walk(&mut self, range: &Range<u64>) -> Result<Range<u64>, LedgerError> {
        let mut pieces = self.basis.pieces(&self.basis.possible(range));
        if self.search.direction == Direction::Reverse {
            pieces.reverse();
        }
        let mut known = None;
        for (segment, piece) in pieces {
            let candidates = match &segment {
                Some(segment) => self.candidates(segment, &mut known, &piece)?,
                None => self.behind_the_index(&piece)?,
            };
            let last = if segment.is_none() && self.search.prove {
                self.take_all(&piece, &candidates)?
            } else {
                self.take(&candidates)?
            };
            if let Some(last) = last {
                return Ok(self.answered(range, last));
            }
            let is_long = self.search.prove && self.runs >= MAX_PROVED_RUNS;
            if is_long || self.ledger.is_past(self.until) {
                let last = match self.search.direction {
                    Direction::Forward => piece.end.saturating_sub(1),
                    Direction::Reverse => piece.start,
                };
                return Ok(self.answered(range, last));
            }
        }
        Ok(range.clone())
    }

    /// The range as far as the seq `last`.
    fn answered(&self, range: &Range<u64>, last: u64) -> Range<u64> {
        match self.search.direction {
            Direction::Forward => range.start..last.saturating_add(1),
            Direction::Reverse => last..range.end,
        }
    }

    /// The seqs of a piece of a segment that can match.
    fn candidates(
        &mut self,
        segment: &StoredSegment,
        known: &mut Option<WorthReading>,
        piece: &Range<u64>,
    ) -> Result<Ranges, LedgerError> {
        let lists = self.basis.lists(segment, known, piece)?;
        self.runs += runs(&lists);
        self.cost.segments += 1;
        self.cost.ranges += lists.len() as u64;
        Ok(self.basis.plan.candidates(&lists, piece).seqs)
    }

    /// The seqs of a piece behind the index that can match.
    fn behind_the_index(&self, piece: &Range<u64>) -> Result<Ranges, LedgerError> {
        let plan = &self.basis.plan;
        let Ledger { tail, reader, .. } = self.ledger;
        let lists = tail.lists(reader, &self.basis.sealed, plan, piece)?;
        Ok(plan.candidates(&lists, piece).seqs)
    }

    /// Takes every entry of a piece behind the index, since a proof has to show them all: those that cannot match without
    /// what can be erased of them. Returns the last seq that was looked at if the page is full.
    fn take_all(
        &mut self,
        piece: &Range<u64>,
        candidates: &Ranges,
    ) -> Result<Option<u64>, LedgerError> {
        let mut rest = piece.clone();
        while !rest.is_empty() {
            let some = match self.search.direction {
                Direction::Forward => rest.start..rest.end.min(rest.start + TAKEN_AT_ONCE),
                Direction::Reverse => {
                    rest.start.max(rest.end.saturating_sub(TAKEN_AT_ONCE))..rest.end
                }
            };
            match self.search.direction {
                Direction::Forward => rest.start = some.end,
                Direction::Reverse => rest.end = some.start,
            }
            for entry in self.entries_behind_the_index(&some, candidates)? {
                let seq = entry.header.seq;
                let is_full = if candidates.contains(seq) {
                    self.take_entry(entry)?
                } else {
                    self.show(entry);
                    self.is_full()
                };
                if is_full {
                    return Ok(Some(seq));
                }
            }
        }
        Ok(None)
    }

    /// The entries of a range behind the index in the order asked for.
    fn entries_behind_the_index(
        &self,
        seqs: &Range<u64>,
        candidates: &Ranges,
    ) -> Result<Vec<SealedEntry>, LedgerError> {
        let Ledger { tail, reader, .. } = self.ledger;
        let kept = tail.without_erasable(reader, &self.basis.sealed, seqs)?;
        let read = match kept {
            Some(_) => candidates.intersection(&Ranges::from(seqs.clone())),
            None => seqs.clone().into(),
        };
        let mut entries = kept.unwrap_or_default();
        entries.retain(|entry| !read.contains(entry.header.seq));
        self.ledger
            .read_until(read.iter(), Direction::Forward, |entry| {
                entries.push(entry);
                Ok(false)
            })?;
        entries.sort_unstable_by_key(|entry| entry.header.seq);
        if self.search.direction == Direction::Reverse {
            entries.reverse();
        }
        Ok(entries)
    }

    /// Reads candidates and keeps those that match, or all when they are to be proved. Returns the last seq that was
    /// looked at if the page is full.
    fn take(&mut self, candidates: &Ranges) -> Result<Option<u64>, LedgerError> {
        let direction = self.search.direction;
        let seqs: Box<dyn Iterator<Item = u64>> = match direction {
            Direction::Forward => Box::new(candidates.iter()),
            Direction::Reverse => Box::new(candidates.iter().rev()),
        };
        let ledger = self.ledger;
        ledger.read_until(seqs, direction, |entry| self.take_entry(entry))
    }

    /// Takes one candidate. Whether the page is full with it.
    fn take_entry(&mut self, entry: SealedEntry) -> Result<bool, LedgerError> {
        let facts = entry.facts()?;
        let truth = self.search.filter.evaluate(&facts);
        self.matches += usize::from(truth == Truth::True);
        // One of which it cannot be told is for the reader to see.
        if self.search.prove || truth != Truth::False {
            self.show(entry);
        } else {
            self.cost.entries += 1;
        }
        Ok(self.is_full())
    }

    fn show(&mut self, entry: SealedEntry) {
        self.cost.entries += 1;
        self.bytes += entry.len();
        self.entries.push(entry);
    }

    fn is_full(&self) -> bool {
        self.matches >= self.search.limit
            || self.bytes >= MAX_PAGE_BYTES
            || (!self.search.prove && self.cost.entries >= MAX_EXAMINED)
            || self.ledger.is_past(self.until)
    }
}

impl SealedEntry {
    /// What it says.
    pub fn facts(&self) -> Result<Facts, LedgerError> {
        let seq = self.header.seq;
        Facts::new(&self.header, &self.body).map_err(|invalid| {
            LedgerError::Damaged(super::error::Damage::at(seq, invalid.to_string()))
        })
    }

    /// Bytes of its header and of the parts that it shows.
    pub(super) fn len(&self) -> usize {
        let shown = self.body.parts().iter().map(|(_, content)| match content {
            Content::Disclosed { bytes, .. } => bytes.len() + 40,
            Content::Withheld(_) | Content::Erased(_) => 0,
        });
        Header::LEN + shown.sum::<usize>()
    }
}
