//! What the proofs of all answers have in common: trees, bounds in time, the seal and its segments, and entries.

use std::ops::Range;

use super::entry::check_entry;
use super::trust::{open_checkpoint, parse_note};
use super::verdict::{Check, Finding, check_index_of, check_index_sealed};
use crate::entry::body::Body;
use crate::entry::genesis::Genesis;
use crate::entry::wire::{Malformed, read_entry, read_hash, read_hashes};
use crate::entry::{Header, Kind, v1};
use crate::index::{
    Facts, Levels, Plan, Ranges, SegmentId, SegmentRecord, TermProofError, by_level, check_terms,
};
use crate::merkle::{Hash, empty_root, verify_consistency, verify_inclusion, verify_range};
use crate::note::{Checkpoint, VerifierKey};

/// Who must have signed the checkpoint of an answer.
#[derive(Clone, Copy)]
pub(super) struct Signer<'a> {
    pub(super) genesis: &'a Genesis,
    pub(super) key: &'a VerifierKey,
}

/// The trees that a page is proved in.
pub(super) struct Tree<'a> {
    pub(super) genesis: &'a Genesis,
    pub(super) checkpoint: Checkpoint,
    /// The tree of the answer.
    pub(super) size: u64,
    pub(super) root: Hash,
}

impl<'a> Tree<'a> {
    /// Checks that an answer at `size` is one at the size asked for, and of the ledger.
    pub(super) fn check(
        ledger: Signer<'a>,
        asked: Option<u64>,
        checkpoint: &str,
        size: u64,
        proof: &v1::SearchProof,
    ) -> Result<Self, Finding> {
        let genesis = ledger.genesis;
        let note = parse_note(checkpoint)?;
        let checkpoint = open_checkpoint(&note, genesis.origin(), ledger.key)?;
        let newest = checkpoint.size();
        let asked = asked.unwrap_or(newest);
        if size != asked {
            return Err(wrong(
                format!("an answer at size {asked}"),
                format!("one at size {size}"),
            ));
        }
        if size == newest {
            let root = *checkpoint.root();
            return Ok(Self {
                genesis,
                checkpoint,
                size,
                root,
            });
        }
        let root = read_hash(&proof.root)?;
        if size == 0 && root == empty_root() {
            return Ok(Self {
                genesis,
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
            genesis,
            checkpoint,
            size,
            root,
        })
    }
}

/// The seqs outside of which nothing can match, by the filter's own bounds and by what is proved about time.
pub(super) fn check_bounds(
    plan: &Plan,
    tree: &Tree<'_>,
    proof: &v1::SearchProof,
) -> Result<Range<u64>, Finding> {
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
pub(super) fn check_bound(tree: &Tree<'_>, proof: &v1::BoundProof) -> Result<(u64, i128), Finding> {
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
pub(super) struct Seal {
    pub(super) seq: u64,
    pub(super) levels: Levels,
}

impl Seal {
    /// The seal that a proof shows, if it shows one.
    ///
    /// Before anything is concluded from its index, that has to be one that is known.
    pub(super) fn check(tree: &Tree<'_>, proof: &v1::SearchProof) -> Result<Option<Self>, Finding> {
        let genesis = tree.genesis;
        let Some(entry) = &proof.seal else {
            return Ok(None);
        };
        let (header, body) = read_entry(entry)?;
        let seq = header.seq;
        let checked = check_entry(tree.genesis.origin(), seq, &entry.header, &body)?;
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
        if let Some(seal) = seal {
            check_index_of(genesis)?;
            check_index_sealed(seq, seal)?;
        }
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
        Ok(Some(Self { seq, levels }))
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

/// The segments that cover the window, ascending, each with what is shown of it.
pub(super) fn check_records<'a>(
    seal: Option<&Seal>,
    window: &Range<u64>,
    proof: &'a v1::SearchProof,
) -> Result<Vec<(SegmentRecord, &'a v1::SegmentProof)>, Finding> {
    match seal {
        Some(seal) => {
            let records = seal.check_records(window, proof)?;
            Ok(records.into_iter().zip(&proof.segments).collect())
        }
        None if proof.segments.is_empty() && proof.levels.is_empty() => Ok(Vec::new()),
        None => Err(wrong("no segments without a seal", "some")),
    }
}

/// The part of the window that no segment covers.
pub(super) fn behind(seal: Option<&Seal>, window: &Range<u64>) -> Range<u64> {
    let covered = seal.map_or(0, |seal| seal.levels.covered());
    window.start.max(covered)..window.end.max(covered)
}

/// Leaves out of entries that were checked those from `behind` on, which no segment covers, that cannot match: by their own
/// terms, as a segment would. What remains is for the filter to judge.
pub(super) fn leave_possible(plan: &Plan, behind: u64, shown: &mut Vec<(Header, Body)>) {
    let covered = shown.partition_point(|(header, _)| header.seq < behind);
    let possible = plan.possible_among(shown.get(covered..).unwrap_or_default());
    shown.retain(|(header, _)| header.seq < behind || possible.contains(header.seq));
}

/// The part of `range` that lies within `bounds`.
pub(super) fn clip(range: &Range<u64>, bounds: &Range<u64>) -> Range<u64> {
    let start = range.start.max(bounds.start).min(range.end);
    start..range.end.min(bounds.end).max(start)
}

/// For each range of terms of the plan, who of the window has one; none where that is not shown.
pub(super) fn check_plan(
    plan: &Plan,
    record: &SegmentRecord,
    proofs: &[v1::TermProof],
    window: &Range<u64>,
) -> Result<Vec<Option<Ranges>>, Finding> {
    if proofs.len() != plan.ranges().len() {
        let expected = format!("{} ranges of terms", plan.ranges().len());
        return Err(wrong(expected, proofs.len().to_string()));
    }
    let mut lists = Vec::with_capacity(proofs.len());
    for (range, proof) in plan.ranges().iter().zip(proofs) {
        lists.push(if is_shown(record, proof) {
            let list = check_terms(record, range, window, proof);
            Some(list.map_err(|error| wrong_terms(record, &error))?)
        } else {
            None
        });
    }
    Ok(lists)
}

/// Whether a proof shows terms at all.
pub(super) fn is_shown(record: &SegmentRecord, proof: &v1::TermProof) -> bool {
    !proof.leaves.is_empty() || record.terms == 0
}

/// The terms of a segment are not what is shown.
pub(super) fn wrong_terms(record: &SegmentRecord, error: &TermProofError) -> Finding {
    let SegmentId { level, number } = record.id;
    let expected = format!("the terms of segment {number} of level {level}");
    wrong(expected, error.to_string())
}

/// What an entry says.
pub(super) fn facts(header: &Header, body: &Body) -> Result<Facts, Finding> {
    Facts::new(header, body).map_err(|invalid| {
        let expected = "an encoded message";
        Finding::at(header.seq, Check::Part, expected, invalid.to_string())
    })
}

/// Every candidate is there, once, and no other; and each is in the tree.
pub(super) fn check_entries(
    tree: &Tree<'_>,
    entries: &[v1::Entry],
    proof: &v1::SearchProof,
    candidates: &Ranges,
) -> Result<Vec<(Header, Body)>, Finding> {
    if candidates.len() != entries.len() as u64 {
        let expected = format!("{} entries that can match", candidates.len());
        return Err(wrong(expected, entries.len().to_string()));
    }
    if candidates.runs().len() != proof.runs.len() {
        let expected = format!("{} runs of entries", candidates.runs().len());
        return Err(wrong(expected, proof.runs.len().to_string()));
    }
    let mut shown = Vec::with_capacity(entries.len());
    let mut leaves = Vec::with_capacity(entries.len());
    for (seq, entry) in candidates.iter().zip(entries) {
        let (header, body) = read_entry(entry)?;
        let checked = check_entry(tree.genesis.origin(), seq, &entry.header, &body)?;
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

pub(super) fn wrong(expected: impl Into<String>, found: impl Into<String>) -> Finding {
    Finding::of(Check::Index, expected, found)
}
