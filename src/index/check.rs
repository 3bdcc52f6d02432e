//! Checking what a segment is said to hold.

use std::ops::Range;

use super::count::Tally;
use super::leaf::{LEAF_TERMS, LeafTerm, Postings, chunk_hash, decode_leaf};
use super::lookup::{ends_of, offsets, seqs_of, tally_between, tally_of};
use super::postings::{self, CHUNK_OFFSETS, Runs};
use super::ranges::Ranges;
use super::reader::chunk_offsets;
use super::record::SegmentRecord;
use super::{Term, TermRange};
use crate::entry::v1;
use crate::entry::wire::{Malformed, read_hashes};
use crate::merkle::{Hash, ProofError, leaf_hash, verify_range};

/// Why a proof about the terms of a segment is not one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TermProofError {
    /// Hashes are not 32 bytes each.
    #[error(transparent)]
    NotHashes(#[from] Malformed),
    /// A leaf is not one.
    #[error("leaf {0} is not the encoding of sixteen ascending terms, or of fewer at the end")]
    BadLeaf(u64),
    /// Leaves or chunks do not fold into the root.
    #[error("{what} do not fold into the root: {error}")]
    WrongRoot {
        /// Leaves or chunks.
        what: &'static str,
        /// What the tree says.
        error: ProofError,
    },
    /// A leaf that could hold a term of the range is not shown.
    #[error("the leaves shown do not reach over the whole range of terms")]
    TermsNotCovered,
    /// A chunk is not one.
    #[error("chunk {0} is not the encoding of ascending postings")]
    BadChunk(u64),
    /// A chunk that could hold a posting of the window is not shown.
    #[error("the chunks shown do not reach over the whole range of seqs")]
    SeqsNotCovered,
    /// More or fewer lists of postings than terms that have one.
    #[error("the lists of postings are not those of the terms")]
    WrongPostings,
}

/// Checks a proof about the terms of `range` in the segment of `record`: the entries of `window` that have one.
///
/// `record` must have been proved already. The answer is exactly what the segment's root commits to.
pub fn check_terms(
    record: &SegmentRecord,
    range: &TermRange,
    window: &Range<u64>,
    proof: &v1::TermProof,
) -> Result<Ranges, TermProofError> {
    let lists = check_lists(record, range, window, proof)?;
    Ok(lists
        .iter()
        .flat_map(|(_, seqs)| seqs.runs().iter().cloned())
        .collect())
}

/// The same, term by term.
pub fn check_lists(
    record: &SegmentRecord,
    range: &TermRange,
    window: &Range<u64>,
    proof: &v1::TermProof,
) -> Result<Vec<(Term, Ranges)>, TermProofError> {
    let within = offsets(&record.id.seqs(), window);
    let check_list = |term: &LeafTerm, shown: &[(u64, Runs)]| {
        let runs = match (&term.postings, shown) {
            (Postings::Inline(runs), _) | (_, [(_, runs)]) => runs.as_slice(),
            _ => &[],
        };
        seqs_of(runs, record.id.seqs(), window).collect()
    };
    check_each(record, range, &[within], proof, check_list)
}

/// Checks a proof about how many entries of `window` have each term of `range` in the segment of `record`.
///
/// `record` must have been proved already, and the window lie within the segment at least in part. The answer is exactly
/// what the segment's root commits to.
pub fn check_tallies(
    record: &SegmentRecord,
    range: &TermRange,
    window: &Range<u64>,
    proof: &v1::TermProof,
) -> Result<Vec<(Term, Tally)>, TermProofError> {
    let seqs = record.id.seqs();
    let ends = ends_of(&offsets(&seqs, window));
    let tally = |term: &LeafTerm, shown: &[(u64, Runs)]| match &term.postings {
        Postings::Inline(runs) => tally_of(runs, &seqs, window),
        Postings::Root(_) => tally_between(shown, &seqs, window),
    };
    check_each(record, range, &ends, proof, tally)
}

/// Checks the leaves of a proof, and the chunks of each of its terms about each of these windows. `answer` has a term's
/// offsets for each, behind the index of the first chunk.
fn check_each<T>(
    record: &SegmentRecord,
    range: &TermRange,
    windows: &[Range<u32>],
    proof: &v1::TermProof,
    answer: impl Fn(&LeafTerm, &[(u64, Runs)]) -> T,
) -> Result<Vec<(Term, T)>, TermProofError> {
    let terms = check_leaves(record, range, proof)?;
    let mut postings = proof.postings.iter();
    let mut answers = Vec::with_capacity(terms.len());
    for term in terms {
        let mut shown = Vec::new();
        if let Postings::Root(root) = &term.postings {
            for window in windows {
                let proof = postings.next().ok_or(TermProofError::WrongPostings)?;
                let runs = check_postings(record, &term, root, window, proof)?;
                shown.push((proof.first_chunk, runs));
            }
        }
        let answer = answer(&term, &shown);
        answers.push((term.term, answer));
    }
    if postings.next().is_some() {
        return Err(TermProofError::WrongPostings);
    }
    Ok(answers)
}

/// The terms of `range`, all of them.
fn check_leaves(
    record: &SegmentRecord,
    range: &TermRange,
    proof: &v1::TermProof,
) -> Result<Vec<LeafTerm>, TermProofError> {
    let first = proof.first_leaf;
    let behind = first
        .checked_add(proof.leaves.len() as u64)
        .filter(|behind| *behind <= record.leaves())
        .ok_or(TermProofError::TermsNotCovered)?;
    if behind == 0 && record.leaves() == 0 {
        return Ok(Vec::new());
    }
    let mut terms: Vec<LeafTerm> = Vec::new();
    for (leaf, index) in proof.leaves.iter().zip(first..) {
        let bad = || TermProofError::BadLeaf(index);
        let next = decode_leaf(leaf, span(record)).ok_or_else(bad)?;
        let full = next.len() == LEAF_TERMS || index.checked_add(1) == Some(record.leaves());
        let ascends = match (terms.last(), next.first()) {
            (Some(last), Some(first)) => last.term < first.term,
            _ => true,
        };
        if !full || !ascends {
            return Err(bad());
        }
        terms.extend(next);
    }
    let hashes: Vec<Hash> = proof.leaves.iter().map(|leaf| leaf_hash(leaf)).collect();
    verify_range(
        first,
        &hashes,
        record.leaves(),
        &read_hashes(&proof.hashes)?,
        &record.root,
    )
    .map_err(|error| TermProofError::WrongRoot {
        what: "the leaves",
        error,
    })?;
    let from_start = first == 0 || terms.first().is_some_and(|term| term.term <= range.from);
    let to_end =
        behind == record.leaves() || terms.last().is_some_and(|term| term.term >= range.to);
    if !from_start || !to_end {
        return Err(TermProofError::TermsNotCovered);
    }
    terms.retain(|term| range.contains(&term.term));
    Ok(terms)
}

/// The postings of a term, at least those of `window`.
fn check_postings(
    record: &SegmentRecord,
    term: &LeafTerm,
    root: &Hash,
    window: &Range<u32>,
    proof: &v1::PostingsProof,
) -> Result<Runs, TermProofError> {
    let chunks = u64::from(term.count).div_ceil(CHUNK_OFFSETS as u64);
    let behind = proof
        .first_chunk
        .checked_add(proof.chunks.len() as u64)
        .filter(|behind| *behind <= chunks)
        .ok_or(TermProofError::SeqsNotCovered)?;
    let mut runs = Runs::new();
    let mut hashes = Vec::with_capacity(proof.chunks.len());
    for (chunk, index) in proof.chunks.iter().zip(proof.first_chunk..) {
        let bad = || TermProofError::BadChunk(index);
        let mut rest = chunk.as_slice();
        let next = postings::decode(&mut rest, chunk_offsets(term.count, index), span(record));
        let next = next.filter(|_| rest.is_empty()).ok_or_else(bad)?;
        let ascends = match (runs.last(), next.first()) {
            (Some(last), Some(first)) => last.end <= first.start,
            (_, first) => first.is_some(),
        };
        if !ascends {
            return Err(bad());
        }
        runs.extend(next);
        hashes.push(chunk_hash(chunk));
    }
    verify_range(
        proof.first_chunk,
        &hashes,
        chunks,
        &read_hashes(&proof.hashes)?,
        root,
    )
    .map_err(|error| TermProofError::WrongRoot {
        what: "the chunks",
        error,
    })?;
    let from_start =
        proof.first_chunk == 0 || runs.first().is_some_and(|run| run.start <= window.start);
    let to_end = behind == chunks || runs.last().is_some_and(|run| run.end >= window.end);
    if from_start && to_end {
        Ok(runs)
    } else {
        Err(TermProofError::SeqsNotCovered)
    }
}

fn span(record: &SegmentRecord) -> u32 {
    u32::try_from(record.id.span()).unwrap_or(u32::MAX)
}
