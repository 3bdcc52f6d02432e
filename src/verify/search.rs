//! Answers of a ledger that is not trusted: that a page has every match of its window.
//!
//! Everything that decides is computed here from the question: which terms the filter needs, which segments cover the
//! window, which entries can match. From the server come only leaves, postings and entries, and each is folded into a root:
//! of a segment, of the seal, of the signed checkpoint.

use std::ops::Range;

use super::entry::check_entry;
use super::trust::{open_checkpoint, parse_note};
use super::verdict::{Check, Finding};
use crate::entry::body::Body;
use crate::entry::genesis::Genesis;
use crate::entry::wire::{Malformed, read_entry, read_hash, read_hashes};
use crate::entry::{Header, Kind, v1};
use crate::index::filter::{Filter, Truth};
use crate::index::{Facts, Levels, Plan, Ranges, SegmentRecord, by_level, check_terms};
use crate::merkle::{Hash, empty_root, verify_consistency, verify_inclusion, verify_range};
use crate::note::{Checkpoint, VerifierKey};

/// What was asked, and what is trusted.
#[derive(Debug, Clone)]
pub struct Question<'a> {
    /// The ledger.
    pub genesis: &'a Genesis,
    /// The key that must have signed the checkpoint.
    pub key: &'a VerifierKey,
    /// The filter.
    pub filter: &'a Filter,
    /// Whether pages come from the end.
    pub descending: bool,
    /// What the page has to begin with, as far as it is known: seqs asked about and not answered yet. Its end is that of
    /// the tree or before.
    pub open: Range<u64>,
    /// The tree size at which the question is answered; none for the newest.
    pub size: Option<u64>,
}

/// A page that was proved.
#[derive(Debug, Clone)]
pub struct ProvedPage {
    /// The checkpoint under which it was proved.
    pub checkpoint: Checkpoint,
    /// The tree size at which the question is answered.
    pub size: u64,
    /// The root of the tree of that size.
    pub root: Hash,
    /// The seqs that the page answers for.
    pub window: Range<u64>,
    /// Every entry of the window that matches, ascending.
    pub matches: Vec<(Header, Body)>,
    /// Entries of which it cannot be told, since a part is withheld or erased, ascending.
    pub unknown: Vec<u64>,
    /// The seq of the seal, and the seq behind the last entry that its index covers. Entries of the window beyond were
    /// shown one by one.
    pub seal: Option<(u64, u64)>,
}

/// Checks a page against its proof.
///
/// # Errors
///
/// What is wrong, as far as it can be told from the page: whoever sent it did not prove that it is complete.
pub fn verify_page(
    question: &Question<'_>,
    page: &v1::SearchResponse,
) -> Result<ProvedPage, Finding> {
    let proof = page
        .proof
        .as_ref()
        .ok_or_else(|| wrong("a proof", "none"))?;
    let tree = Tree::check(question, page, proof)?;
    let window = check_window(question, page, tree.size)?;
    let seal = check_seal(question, &tree, proof)?;
    let plan = Plan::new(question.filter);
    let bounds = check_bounds(&plan, &tree, proof)?;
    let start = window.start.max(bounds.start).min(window.end);
    let possible = start..window.end.min(bounds.end).max(start);
    let candidates = match &seal {
        Some(seal) => seal.candidates(&plan, &possible, proof)?,
        None if proof.segments.is_empty() && proof.levels.is_empty() => possible.into(),
        None => return Err(wrong("no segments without a seal", "some")),
    };
    let shown = check_entries(question, &tree, page, proof, &candidates)?;
    let mut proved = ProvedPage {
        checkpoint: tree.checkpoint,
        size: tree.size,
        root: tree.root,
        window,
        matches: Vec::new(),
        unknown: Vec::new(),
        seal: seal.map(|seal| (seal.seq, seal.levels.covered())),
    };
    for (header, body) in shown {
        let facts = Facts::new(&header, &body).map_err(|invalid| {
            Finding::at(
                header.seq,
                Check::Part,
                "an encoded message",
                invalid.to_string(),
            )
        })?;
        match question.filter.evaluate(&facts) {
            Truth::True => proved.matches.push((header, body)),
            Truth::Unknown => proved.unknown.push(header.seq),
            Truth::False => {}
        }
    }
    Ok(proved)
}

/// The trees that a page is proved in.
struct Tree {
    checkpoint: Checkpoint,
    /// The tree of the answer.
    size: u64,
    root: Hash,
}

impl Tree {
    fn check(
        question: &Question<'_>,
        page: &v1::SearchResponse,
        proof: &v1::SearchProof,
    ) -> Result<Self, Finding> {
        let note = parse_note(&page.checkpoint)?;
        let checkpoint = open_checkpoint(&note, question.genesis.origin(), question.key)?;
        let (newest, size) = (checkpoint.size(), page.size);
        let asked = question.size.unwrap_or(newest);
        if size != asked {
            return Err(wrong(
                format!("an answer at size {asked}"),
                format!("one at size {size}"),
            ));
        }
        if size == newest {
            let root = *checkpoint.root();
            return Ok(Self {
                checkpoint,
                size,
                root,
            });
        }
        let root = read_hash(&proof.root)?;
        if size == 0 && root == empty_root() {
            return Ok(Self {
                checkpoint,
                size,
                root,
            });
        }
        let hashes = read_hashes(&proof.consistency)?;
        verify_consistency(size, newest, &hashes, &root, checkpoint.root()).map_err(|error| {
            Finding::of(
                Check::Root,
                format!("a tree of {size} that grew into {newest}"),
                error.to_string(),
            )
        })?;
        Ok(Self {
            checkpoint,
            size,
            root,
        })
    }
}

/// The page begins where the last one ended, and goes on without a gap.
fn check_window(
    question: &Question<'_>,
    page: &v1::SearchResponse,
    size: u64,
) -> Result<Range<u64>, Finding> {
    let open = question.open.start.min(size)..question.open.end.min(size);
    let window = page.start..page.end;
    let joins = if question.descending {
        window.end == open.end && window.start >= open.start
    } else {
        window.start == open.start && window.end <= open.end
    };
    let moves = window.start < window.end || open.is_empty();
    if joins && moves && window.start <= window.end {
        return Ok(window);
    }
    let expected = format!("a window that continues {} to {}", open.start, open.end);
    Err(wrong(
        expected,
        format!("{} to {}", window.start, window.end),
    ))
}

/// The seqs outside of which nothing can match, by the filter's own bounds and by what is proved about time.
fn check_bounds(plan: &Plan, tree: &Tree, proof: &v1::SearchProof) -> Result<Range<u64>, Finding> {
    let bounds = plan.bounds();
    let mut seqs = bounds.seqs.clone();
    if let Some(earlier) = &proof.earlier {
        let (seq, recorded_at) = check_bound(tree, earlier)?;
        if bounds
            .recorded_from
            .is_none_or(|from| recorded_at >= i128::from(from))
        {
            let expected = "an entry recorded before the time asked about";
            return Err(Finding::at(seq, Check::Time, expected, "a later one"));
        }
        seqs.start = seqs.start.max(seq.saturating_add(1));
    }
    if let Some(later) = &proof.later {
        let (seq, recorded_at) = check_bound(tree, later)?;
        if bounds
            .recorded_before
            .is_none_or(|before| recorded_at < i128::from(before))
        {
            let expected = "an entry recorded after the time asked about";
            return Err(Finding::at(seq, Check::Time, expected, "an earlier one"));
        }
        seqs.end = seqs.end.min(seq);
    }
    Ok(seqs)
}

/// The seq of an entry of the tree, and when it was recorded.
fn check_bound(tree: &Tree, proof: &v1::BoundProof) -> Result<(u64, i128), Finding> {
    let header = Header::decode(&proof.header)
        .map_err(|error| Finding::of(Check::Header, "a header", error.to_string()))?;
    let hashes = read_hashes(&proof.inclusion)?;
    let leaf = header.leaf_hash();
    verify_inclusion(header.seq, tree.size, &leaf, &hashes, &tree.root).map_err(|error| {
        Finding::at(
            header.seq,
            Check::Root,
            "an entry of the tree",
            error.to_string(),
        )
    })?;
    Ok((header.seq, i128::from(header.recorded_at)))
}

/// A seal that is in the tree.
struct Seal {
    seq: u64,
    levels: Levels,
}

fn check_seal(
    question: &Question<'_>,
    tree: &Tree,
    proof: &v1::SearchProof,
) -> Result<Option<Seal>, Finding> {
    let Some(entry) = &proof.seal else {
        return Ok(None);
    };
    let (header, body) = read_entry(entry)?;
    let seq = header.seq;
    let checked = check_entry(question.genesis.origin(), seq, &entry.header, &body)?;
    let hashes = read_hashes(&proof.seal_inclusion)?;
    let newest = &tree.checkpoint;
    verify_inclusion(
        seq,
        newest.size(),
        &checked.leaf_hash(),
        &hashes,
        newest.root(),
    )
    .map_err(|error| Finding::at(seq, Check::Root, "a seal in the tree", error.to_string()))?;
    let seal = checked.seal().filter(|_| header.kind == Kind::Seal);
    let levels = seal
        .and_then(Levels::of)
        .filter(|levels| levels.covered() <= seq);
    let levels = levels.ok_or_else(|| {
        Finding::at(
            seq,
            Check::Index,
            "a seal over entries before it",
            "another entry",
        )
    })?;
    Ok(Some(Seal { seq, levels }))
}

impl Seal {
    /// The entries of the window that can match: what the segments leave, and all behind them.
    fn candidates(
        &self,
        plan: &Plan,
        window: &Range<u64>,
        proof: &v1::SearchProof,
    ) -> Result<Ranges, Finding> {
        let records = self.check_records(window, proof)?;
        let mut candidates = Ranges::new();
        for (record, segment) in records.iter().zip(&proof.segments) {
            let lists = check_lists(plan, record, segment, window)?;
            let seqs = record.id.seqs();
            let part = seqs.start.max(window.start)..seqs.end.min(window.end);
            candidates = candidates.union(&plan.candidates(&lists, &part));
        }
        let covered = self.levels.covered();
        candidates.insert(window.start.max(covered)..window.end.max(covered));
        Ok(candidates)
    }

    /// The records of the segments that cover the window: which these are follows from the seal.
    fn check_records(
        &self,
        window: &Range<u64>,
        proof: &v1::SearchProof,
    ) -> Result<Vec<SegmentRecord>, Finding> {
        let cover = self.levels.cover(window);
        if cover.len() != proof.segments.len() {
            let expected = format!("{} segments", cover.len());
            return Err(wrong(expected, proof.segments.len().to_string()));
        }
        let mut records = Vec::with_capacity(cover.len());
        for (id, segment) in cover.iter().zip(&proof.segments) {
            records.push(SegmentRecord {
                id: *id,
                terms: segment.terms,
                root: read_hash(&segment.root)?,
            });
        }
        let levels = by_level(&cover);
        let proved = proof.levels.iter().map(|level| level.level);
        if !proved.eq(levels.iter().map(|(level, _)| u32::from(*level))) {
            return Err(wrong("a proof for each level of the cover", "others"));
        }
        for ((level, numbers), proof) in levels.iter().zip(&proof.levels) {
            self.check_level(*level, numbers.start, &records, &proof.hashes)?;
        }
        Ok(records)
    }

    fn check_level(
        &self,
        level: u8,
        first: u64,
        records: &[SegmentRecord],
        hashes: &[u8],
    ) -> Result<(), Finding> {
        let of_level = records.iter().filter(|record| record.id.level == level);
        let leaves: Vec<Hash> = of_level.map(SegmentRecord::leaf_hash).collect();
        let root = self.levels.root(level).copied().unwrap_or_default();
        let segments = self.levels.segments(level);
        verify_range(first, &leaves, segments, &read_hashes(hashes)?, &root).map_err(|error| {
            wrong(
                format!("the segments of level {level} that the seal commits to"),
                error.to_string(),
            )
        })
    }
}

/// For each range of terms of the plan, who of the window has one.
fn check_lists(
    plan: &Plan,
    record: &SegmentRecord,
    segment: &v1::SegmentProof,
    window: &Range<u64>,
) -> Result<Vec<Option<Ranges>>, Finding> {
    if segment.ranges.len() != plan.ranges().len() {
        let expected = format!("{} ranges of terms", plan.ranges().len());
        return Err(wrong(expected, segment.ranges.len().to_string()));
    }
    let mut lists = Vec::with_capacity(segment.ranges.len());
    for (range, proof) in plan.ranges().iter().zip(&segment.ranges) {
        if proof.leaves.is_empty() && record.terms > 0 {
            lists.push(None);
            continue;
        }
        let list = check_terms(record, range, window, proof).map_err(|error| {
            let (number, level) = (record.id.number, record.id.level);
            wrong(
                format!("the terms of segment {number} of level {level}"),
                error.to_string(),
            )
        })?;
        lists.push(Some(list));
    }
    Ok(lists)
}

/// Every candidate is there, once, and no other; and each is in the tree.
fn check_entries(
    question: &Question<'_>,
    tree: &Tree,
    page: &v1::SearchResponse,
    proof: &v1::SearchProof,
    candidates: &Ranges,
) -> Result<Vec<(Header, Body)>, Finding> {
    if candidates.len() != page.entries.len() as u64 {
        let expected = format!("{} entries that can match", candidates.len());
        return Err(wrong(expected, page.entries.len().to_string()));
    }
    if candidates.runs().len() != proof.runs.len() {
        let expected = format!("{} runs of entries", candidates.runs().len());
        return Err(wrong(expected, proof.runs.len().to_string()));
    }
    let mut shown = Vec::with_capacity(page.entries.len());
    let mut leaves = Vec::with_capacity(page.entries.len());
    for (seq, entry) in candidates.iter().zip(&page.entries) {
        let (header, body) = read_entry(entry)?;
        let checked = check_entry(question.genesis.origin(), seq, &entry.header, &body)?;
        leaves.push(checked.leaf_hash());
        shown.push((header, body));
    }
    let mut rest = leaves.as_slice();
    for (run, proof) in candidates.runs().iter().zip(&proof.runs) {
        let length = usize::try_from(run.end - run.start).unwrap_or(usize::MAX);
        let (these, behind) = rest.split_at_checked(length).unwrap_or((rest, &[]));
        rest = behind;
        verify_range(
            run.start,
            these,
            tree.size,
            &read_hashes(&proof.hashes)?,
            &tree.root,
        )
        .map_err(|error| {
            Finding::at(
                run.start,
                Check::Root,
                "entries of the tree",
                error.to_string(),
            )
        })?;
    }
    Ok(shown)
}

impl From<Malformed> for Finding {
    fn from(malformed: Malformed) -> Self {
        Self::of(
            Check::Format,
            "a proof that a page is complete",
            malformed.to_string(),
        )
    }
}

fn wrong(expected: impl Into<String>, found: impl Into<String>) -> Finding {
    Finding::of(Check::Index, expected, found)
}
