//! Answers questions: which entries of a range match a filter, and on request the proof that these are all.

use std::ops::Range;
use std::sync::Arc;

use super::Ledger;
use super::error::LedgerError;
use super::published::Published;
use super::reader::SealedEntry;
use super::segment_objects::{StoredSegment, unreadable};
use super::segments::Sealed;
use crate::entry::body::Content;
use crate::entry::{Header, v1};
use crate::index::filter::{Filter, Truth};
use crate::index::{Facts, Found, Plan, Ranges, SegmentId, SegmentRecord, by_level};
use crate::merkle::{self, Hash};
use crate::store::Direction;

/// Bytes of the entries of a page; one more entry may come on top.
const MAX_PAGE_BYTES: usize = 2 * 1024 * 1024;
/// Entries that are read for a page without a proof.
const MAX_EXAMINED: u64 = 20_000;
/// Postings in the proof of a page; those of one piece may come on top.
const MAX_PROVED_RUNS: usize = 500_000;
/// Seqs that are looked at together.
const PIECE: u64 = 1 << 19;
/// Leaves of a segment that are read for one range of terms.
const MAX_LEAVES: usize = 1_024;
/// Candidates whose entries are read at a time.
const READ_AT_ONCE: usize = 256;

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
    /// When the answer is for an older size: its root, and that the newest tree continues it.
    pub older: Option<(Hash, Vec<Hash>)>,
}

/// What the pages of one answer have in common.
struct Basis<'a> {
    search: &'a Search<'a>,
    plan: Plan,
    sealed: Arc<Sealed>,
    published: Arc<Published>,
    /// The seqs of the entries that were recorded at a time that the filter allows.
    times: Range<u64>,
}

impl Basis<'_> {
    /// The seqs of a window where the filter and time allow matches.
    fn possible(&self, window: &Range<u64>) -> Range<u64> {
        let seqs = &self.plan.bounds().seqs;
        let start = self
            .times
            .start
            .max(seqs.start)
            .clamp(window.start, window.end);
        let end = self.times.end.min(seqs.end).clamp(start, window.end);
        start..end
    }
}

impl Ledger {
    /// Answers a question as far as one page goes.
    pub fn search(&self, search: &Search<'_>) -> Result<Page, LedgerError> {
        // In this order, so that the seal is below the checkpoint.
        let sealed = self.segments.sealed();
        let published = self.published();
        if search.size > published.size() {
            return Err(LedgerError::BeyondEnd {
                what: "tree size",
                asked: search.size,
                size: published.size(),
            });
        }
        let plan = Plan::new(search.filter);
        let times = self.times(&plan, search.size)?;
        let basis = Basis {
            search,
            plan,
            sealed,
            published,
            times,
        };
        let mut answer = Answer {
            ledger: self,
            basis: &basis,
            shown: Ranges::new(),
            entries: Vec::new(),
            matches: 0,
            bytes: 0,
            runs: 0,
            cost: Cost::default(),
        };
        let range = search.range.start.min(search.size)..search.range.end.min(search.size);
        let window = answer.walk(&range)?;
        let Answer {
            shown,
            mut entries,
            cost,
            ..
        } = answer;
        let proof = if search.prove {
            entries.sort_unstable_by_key(|entry| entry.header.seq);
            Some(self.prove_page(&basis, &window, &shown)?)
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

    fn prove_page(
        &self,
        basis: &Basis<'_>,
        window: &Range<u64>,
        shown: &Ranges,
    ) -> Result<PageProof, LedgerError> {
        let (size, newest) = (basis.search.size, basis.published.size());
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
            segments.push((
                *segment.record(),
                prove_ranges(segment, &basis.plan, &window)?,
            ));
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
    fn prove_bound(&self, seq: u64, size: u64) -> Result<(Header, Vec<Hash>), LedgerError> {
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

/// A page while it grows.
struct Answer<'a> {
    ledger: &'a Ledger,
    basis: &'a Basis<'a>,
    /// The candidates so far.
    shown: Ranges,
    entries: Vec<SealedEntry>,
    matches: usize,
    bytes: usize,
    runs: usize,
    cost: Cost,
}

impl Answer<'_> {
    /// Goes through the range until the page is full. Returns the seqs that it answers for.
    fn walk(&mut self, range: &Range<u64>) -> Result<Range<u64>, LedgerError> {
        let mut pieces = self.pieces(&self.basis.possible(range));
        if self.basis.search.direction == Direction::Reverse {
            pieces.reverse();
        }
        for (segment, piece) in pieces {
            let candidates = match segment {
                Some(segment) => self.candidates(&segment, &piece)?,
                None => piece.clone().into(),
            };
            if let Some(last) = self.take(&candidates)? {
                return Ok(self.answered(range, last));
            }
            if self.basis.search.prove && self.runs >= MAX_PROVED_RUNS {
                let last = match self.basis.search.direction {
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
        match self.basis.search.direction {
            Direction::Forward => range.start..last.saturating_add(1),
            Direction::Reverse => last..range.end,
        }
    }

    /// The range cut where segments meet, ascending, each piece with its segment, those behind the index with none.
    fn pieces(&self, range: &Range<u64>) -> Vec<(Option<Arc<StoredSegment>>, Range<u64>)> {
        let mut pieces = Vec::new();
        let mut next = range.start;
        for id in self.basis.sealed.levels.cover(range) {
            let seqs = id.seqs();
            let segment = self.basis.sealed.segments.get(&id);
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

    /// The seqs of a piece of a segment that can match.
    fn candidates(
        &mut self,
        segment: &StoredSegment,
        piece: &Range<u64>,
    ) -> Result<Ranges, LedgerError> {
        let mut lists = Vec::with_capacity(self.basis.plan.ranges().len());
        let worth = worth_reading(segment, &self.basis.plan)?;
        for (range, found) in self.basis.plan.ranges().iter().zip(worth) {
            let list = match found {
                Some(found) => Some(segment.postings(&found, range, piece).map_err(unreadable)?),
                None => None,
            };
            self.runs += list.as_ref().map_or(0, |list| list.runs().len());
            lists.push(list);
        }
        self.cost.segments += 1;
        self.cost.ranges += lists.len() as u64;
        Ok(self.basis.plan.candidates(&lists, piece))
    }

    /// Reads candidates and keeps those that match, or all when they are to be proved. Returns the last seq that was
    /// looked at if the page is full.
    fn take(&mut self, candidates: &Ranges) -> Result<Option<u64>, LedgerError> {
        let direction = self.basis.search.direction;
        let mut seqs: Box<dyn Iterator<Item = u64>> = match direction {
            Direction::Forward => Box::new(candidates.iter()),
            Direction::Reverse => Box::new(candidates.iter().rev()),
        };
        loop {
            let some: Vec<u64> = seqs.by_ref().take(READ_AT_ONCE).collect();
            if some.is_empty() {
                return Ok(None);
            }
            let mut rest = some.as_slice();
            while !rest.is_empty() {
                let entries = self.ledger.reader.entries_beside_first(rest, direction)?;
                rest = rest.get(entries.len().max(1)..).unwrap_or_default();
                for entry in entries {
                    let seq = entry.header.seq;
                    if self.take_entry(entry)? {
                        return Ok(Some(seq));
                    }
                }
            }
        }
    }

    /// Takes one candidate. Whether the page is full with it.
    fn take_entry(&mut self, entry: SealedEntry) -> Result<bool, LedgerError> {
        let facts = entry.facts()?;
        let truth = self.basis.search.filter.evaluate(&facts);
        self.cost.entries += 1;
        self.matches += usize::from(truth == Truth::True);
        // One of which it cannot be told is for the reader to see.
        if self.basis.search.prove || truth != Truth::False {
            let seq = entry.header.seq;
            self.shown.insert(seq..seq.saturating_add(1));
            self.bytes += entry.len();
            self.entries.push(entry);
        }
        Ok(self.matches >= self.basis.search.limit
            || self.bytes >= MAX_PAGE_BYTES
            || (!self.basis.search.prove && self.cost.entries >= MAX_EXAMINED))
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
    fn len(&self) -> usize {
        let shown = self.body.parts().iter().map(|(_, content)| match content {
            Content::Disclosed { bytes, .. } => bytes.len() + 40,
            Content::Withheld(_) | Content::Erased(_) => 0,
        });
        Header::LEN + shown.sum::<usize>()
    }
}

/// The terms of each range of the plan, where they are worth reading.
fn worth_reading(segment: &StoredSegment, plan: &Plan) -> Result<Vec<Option<Found>>, LedgerError> {
    let mut found = Vec::with_capacity(plan.ranges().len());
    for range in plan.ranges() {
        found.push(segment.find(range, MAX_LEAVES).map_err(unreadable)?);
    }
    let counts: Vec<Option<u64>> = found
        .iter()
        .zip(plan.ranges())
        .map(|(found, range)| found.as_ref().map(|found| found.count(range)))
        .collect();
    let worth = plan.worth_reading(&counts);
    let found = found.into_iter().zip(worth);
    Ok(found
        .map(|(found, worth)| found.filter(|_| worth))
        .collect())
}

/// For each range of the plan the proof of its terms, an empty one where they were not worth reading.
fn prove_ranges(
    segment: &StoredSegment,
    plan: &Plan,
    window: &Range<u64>,
) -> Result<Vec<v1::TermProof>, LedgerError> {
    let worth = worth_reading(segment, plan)?;
    let ranges = plan.ranges().iter().zip(worth);
    let proofs = ranges.map(|(range, found)| match found {
        Some(found) => segment.prove(&found, range, window).map_err(unreadable),
        None => Ok(v1::TermProof::default()),
    });
    proofs.collect()
}
