//! Holding what a segment is said to be against what it has to be: against the same segment built again, against one entry,
//! and against the rules of its form.

use super::leaf::{LEAF_TERMS, LeafTerm, Postings, chunk_hash, decode_leaf};
use super::postings::{self, CHUNK_OFFSETS};
use super::reader::{Segment, SegmentError, Source, chunk_offsets};
use super::record::SegmentRecord;
use super::terms::visit_terms;
use super::{FIELDS, Facts, Term, TermProofError, TermRange};
use crate::entry::v1;
use crate::entry::wire::read_hashes;
use crate::merkle::{Hash, leaf_hash, verify_range};

/// Whether an entry has a term. None when a part that would say so is not known.
pub fn has_term(facts: &Facts, term: &Term) -> Option<bool> {
    let tag = term.presence_of().unwrap_or(term.tag);
    let Some(field) = FIELDS.iter().find(|field| field.tag == Some(tag)) else {
        return Some(false);
    };
    if !field.parts.iter().all(|part| facts.knows(*part)) {
        return None;
    }
    let presence = term.presence_of();
    let mut found = false;
    visit_terms(facts, &mut |tag, value| {
        found = found
            || match presence {
                Some(of) => tag == of,
                None => tag == term.tag && value == term.value,
            };
    });
    Some(found)
}

/// A term for people: its field and its value, which is not escaped.
pub fn term_name(term: &Term) -> String {
    TermRange::point(term.clone()).to_string()
}

/// Where a segment first differs from what its entries come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference {
    /// Some of its entries have this term, and it has no list for it.
    Missing(Term),
    /// It has a list for this term, which none of its entries has.
    Extra(Term),
    /// Its list for this term is not the one of its entries.
    List(Term),
    /// These leaves, the first and how many, keep not the rules of their form.
    Malformed {
        /// The index of the first leaf.
        first_leaf: u64,
        /// How many.
        leaves: u64,
    },
}

/// Compares leaves that a segment is said to have, from `first_leaf` on, with the same segment built from its entries. The
/// leaves before have to be the same. Gives the index of the first leaf that differs; none if they are all the same.
pub fn first_difference<S: Source>(
    built: &Segment<S>,
    said: &SegmentRecord,
    first_leaf: u64,
    leaves: &[Vec<u8>],
) -> Result<Option<(u64, Difference)>, SegmentError<S::Error>> {
    let mut before = match first_leaf.checked_sub(1) {
        Some(index) => last_term(&built.leaf(index)?.terms),
        None => None,
    };
    for (leaf, index) in leaves.iter().zip(first_leaf..) {
        let true_leaf = if index < built.leaves() {
            Some(built.leaf(index)?)
        } else {
            None
        };
        if true_leaf
            .as_ref()
            .is_some_and(|built| built.bytes[..] == leaf[..])
        {
            before = true_leaf.and_then(|built| last_term(&built.terms));
            continue;
        }
        let Some(terms) = well_formed(leaf, index, said, built.span()) else {
            let (first_leaf, leaves) = (index, 1);
            return Ok(Some((index, Difference::Malformed { first_leaf, leaves })));
        };
        if before.is_some_and(|before| terms.first().is_some_and(|first| first.term <= before)) {
            let (first_leaf, leaves) = (index.saturating_sub(1), 2);
            return Ok(Some((index, Difference::Malformed { first_leaf, leaves })));
        }
        let true_terms = true_leaf.map(|built| built.terms).unwrap_or_default();
        return Ok(first_of(&true_terms, &terms).map(|found| (index, found)));
    }
    Ok(None)
}

fn last_term(terms: &[LeafTerm]) -> Option<Term> {
    terms.last().map(|last| last.term.clone())
}

/// The terms of a leaf that has as many as it must.
fn well_formed(
    leaf: &[u8],
    index: u64,
    record: &SegmentRecord,
    span: u32,
) -> Option<Vec<LeafTerm>> {
    let before = index.checked_mul(LEAF_TERMS as u64)?;
    let left = record.terms.checked_sub(before)?;
    decode_leaf(leaf, span).filter(|terms| terms.len() as u64 == left.min(LEAF_TERMS as u64))
}

/// Where terms that a leaf is said to have first differ from those it must have.
fn first_of(built: &[LeafTerm], said: &[LeafTerm]) -> Option<Difference> {
    for (built, said) in built.iter().zip(said) {
        if built.term < said.term {
            return Some(Difference::Missing(built.term.clone()));
        }
        if said.term < built.term {
            return Some(Difference::Extra(said.term.clone()));
        }
        if built != said {
            return Some(Difference::List(built.term.clone()));
        }
    }
    match (built.get(said.len()), said.get(built.len())) {
        (Some(built), _) => Some(Difference::Missing(built.term.clone())),
        (_, Some(said)) => Some(Difference::Extra(said.term.clone())),
        _ => None,
    }
}

/// Checks that leaves, and the chunks that are shown of their terms, keep the rules of their form. Gives what breaks them.
///
/// `record` must have been proved already. Of each term that has its own chunks there is a proof, in order, that can be
/// empty.
///
/// # Errors
///
/// The leaves or the chunks are not those of the segment.
pub fn check_form(
    record: &SegmentRecord,
    proof: &v1::TermProof,
) -> Result<Option<String>, TermProofError> {
    let span = u32::try_from(record.id.span()).unwrap_or(u32::MAX);
    let hashes: Vec<Hash> = proof.leaves.iter().map(|leaf| leaf_hash(leaf)).collect();
    check_range(
        "the leaves",
        proof.first_leaf,
        &hashes,
        record.leaves(),
        &proof.hashes,
        &record.root,
    )?;
    let mut before: Option<Term> = None;
    let mut postings = proof.postings.iter();
    for (leaf, index) in proof.leaves.iter().zip(proof.first_leaf..) {
        let Some(terms) = well_formed(leaf, index, record, span) else {
            return Ok(Some(format!(
                "leaf {index} is not the encoding of its terms"
            )));
        };
        if before.is_some_and(|before| terms.first().is_some_and(|first| first.term <= before)) {
            return Ok(Some(format!(
                "the terms of leaf {index} do not ascend from those before"
            )));
        }
        for term in &terms {
            let Postings::Root(root) = &term.postings else {
                continue;
            };
            let Some(shown) = postings.next() else {
                continue;
            };
            if let Some(wrong) = check_chunks(term, root, span, shown)? {
                return Ok(Some(wrong));
            }
        }
        before = last_term(&terms);
    }
    Ok(None)
}

fn check_chunks(
    term: &LeafTerm,
    root: &Hash,
    span: u32,
    proof: &v1::PostingsProof,
) -> Result<Option<String>, TermProofError> {
    if proof.chunks.is_empty() {
        return Ok(None);
    }
    let hashes: Vec<Hash> = proof.chunks.iter().map(|chunk| chunk_hash(chunk)).collect();
    let chunks = u64::from(term.count).div_ceil(CHUNK_OFFSETS as u64);
    check_range(
        "the chunks",
        proof.first_chunk,
        &hashes,
        chunks,
        &proof.hashes,
        root,
    )?;
    let mut end = None;
    for (chunk, index) in proof.chunks.iter().zip(proof.first_chunk..) {
        let mut rest = chunk.as_slice();
        let runs = postings::decode(&mut rest, chunk_offsets(term.count, index), span);
        let ascend = |runs: &postings::Runs| {
            runs.first()
                .is_some_and(|first| end.is_none_or(|end| end <= first.start))
        };
        match runs.filter(|runs| rest.is_empty() && ascend(runs)) {
            Some(runs) => end = runs.last().map(|last| last.end),
            None => {
                return Ok(Some(format!(
                    "chunk {index} is not the encoding of its postings"
                )));
            }
        }
    }
    Ok(None)
}

fn check_range(
    what: &'static str,
    first: u64,
    hashes: &[Hash],
    size: u64,
    proof: &[u8],
    root: &Hash,
) -> Result<(), TermProofError> {
    verify_range(first, hashes, size, &read_hashes(proof)?, root)
        .map_err(|error| TermProofError::WrongRoot { what, error })
}
