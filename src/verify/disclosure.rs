//! What a case shows of a ledger.

use std::collections::BTreeSet;

use super::case_text::set_of;
use super::search::ProvedPage;
use super::verdict::{Check, Finding};
use crate::entry::body::{Body, Content};
use crate::entry::wire::read_entry;
use crate::entry::{Header, Tag, v1};
use crate::index::{Plan, Ranges, Term, TermRange, leaf_terms};

/// What whoever reads a case learns of the ledger, beside its question.
///
/// A header tells when an entry was recorded, and nothing of what it says. A proof that there are no other terms shows the
/// terms beside those asked about, and a term's list shows which entries have it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Disclosure {
    /// The parts that entries of the answer have and that are withheld, ascending by tag, and of which entries. Of the
    /// others, which do not match, more is left out.
    pub withheld: Vec<(Tag, Ranges)>,
    /// The parts that are shown, ascending by tag, and of which entries.
    pub parts: Vec<(Tag, Ranges)>,
    /// The entries whose header is shown.
    pub headers: Ranges,
    /// The index terms that are shown, for people, in the order of the index.
    pub terms: Vec<String>,
}

impl Disclosure {
    /// Whether a part of some entry that a client sent is shown.
    pub fn shows(&self, tag: Tag) -> bool {
        self.parts.iter().any(|(shown, _)| *shown == tag)
    }
}

/// Collects what pages show.
#[derive(Default)]
pub(super) struct Disclosed {
    withheld: Vec<(Tag, u64)>,
    parts: Vec<(Tag, u64)>,
    headers: Vec<u64>,
    terms: BTreeSet<Term>,
}

impl Disclosed {
    pub(super) fn header(&mut self, seq: u64) {
        self.headers.push(seq);
    }

    /// Takes down what a page shows that has been verified. The seal's own part what is an act of the ledger, and is not
    /// counted.
    pub(super) fn page(
        &mut self,
        page: &v1::SearchResponse,
        proved: &ProvedPage,
    ) -> Result<(), Finding> {
        let is_in_answer = |seq: u64| {
            let of = |(header, _): &(Header, Body)| header.seq.cmp(&seq);
            proved.matches.binary_search_by(of).is_ok()
                || proved.unknown.binary_search(&seq).is_ok()
        };
        for entry in &page.entries {
            let (header, body) = self.entry(entry)?;
            let seq = header.seq;
            for (tag, content) in body.parts() {
                if matches!(content, Content::Withheld(_)) && is_in_answer(seq) {
                    self.withheld.push((*tag, seq));
                }
            }
        }
        self.proof(page.proof.as_ref())
    }

    /// Takes down what a page of counts shows.
    pub(super) fn count_page(&mut self, page: &v1::CountResponse) -> Result<(), Finding> {
        for entry in &page.entries {
            self.entry(entry)?;
        }
        self.proof(page.proof.as_ref())
    }

    fn entry(&mut self, entry: &v1::Entry) -> Result<(Header, Body), Finding> {
        let (header, body) = read_entry(entry)?;
        self.headers.push(header.seq);
        for (tag, content) in body.parts() {
            if matches!(content, Content::Disclosed { .. }) {
                self.parts.push((*tag, header.seq));
            }
        }
        Ok((header, body))
    }

    fn proof(&mut self, proof: Option<&v1::SearchProof>) -> Result<(), Finding> {
        let Some(proof) = proof else {
            return Ok(());
        };
        let seal = proof.seal.iter().map(|seal| &seal.header);
        let bounds = [&proof.earlier, &proof.later, &proof.first, &proof.last];
        let bounds = bounds.into_iter().flatten();
        for header in seal.chain(bounds.map(|bound| &bound.header)) {
            let header = Header::decode(header)
                .map_err(|error| Finding::of(Check::Header, "a header", error.to_string()))?;
            self.headers.push(header.seq);
        }
        for terms in proof.segments.iter().flat_map(|segment| &segment.ranges) {
            self.terms.extend(shown_terms(terms));
        }
        Ok(())
    }

    pub(super) fn list(&self) -> Disclosure {
        let term = |term: &Term| TermRange::point(term.clone()).to_string();
        Disclosure {
            withheld: by_tag(&self.withheld),
            parts: by_tag(&self.parts),
            headers: set_of(self.headers.clone()),
            terms: self.terms.iter().map(term).collect(),
        }
    }
}

/// The seqs of each tag that has some.
fn by_tag(parts: &[(Tag, u64)]) -> Vec<(Tag, Ranges)> {
    let seqs = |tag: Tag| {
        let of_tag = parts.iter().filter(|(found, _)| *found == tag);
        set_of(of_tag.map(|(_, seq)| *seq).collect())
    };
    let all = Tag::ALL.map(|tag| (tag, seqs(tag)));
    all.into_iter()
        .filter(|(_, seqs)| !seqs.is_empty())
        .collect()
}

/// The terms that a proof shows to whoever reads it.
pub(super) fn shown_terms(proof: &v1::TermProof) -> impl Iterator<Item = Term> {
    let leaves = proof.leaves.iter();
    leaves.flat_map(|leaf| leaf_terms(leaf).unwrap_or_default())
}

/// Whether a proof shows a term that says something of the parts `withheld`.
pub(super) fn tells(proof: &v1::SearchProof, withheld: &[Tag]) -> bool {
    let ranges = proof.segments.iter().flat_map(|segment| &segment.ranges);
    ranges
        .flat_map(shown_terms)
        .any(|term| is_of(&term, withheld))
}

/// Whether a term says something of some parts. One of an unknown field may say anything.
fn is_of(term: &Term, parts: &[Tag]) -> bool {
    term.field()
        .is_none_or(|field| field.parts.iter().any(|part| parts.contains(part)))
}

/// The ranges of a plan whose proofs in a page show a term that says something of the parts `withheld`.
pub(super) fn telling_ranges(
    page: &v1::SearchResponse,
    plan: &Plan,
    withheld: &[Tag],
) -> Vec<TermRange> {
    let segments = page.proof.iter().flat_map(|proof| &proof.segments);
    let mut ranges = Vec::new();
    for segment in segments {
        for (range, proof) in plan.ranges().iter().zip(&segment.ranges) {
            if !ranges.contains(range) && shown_terms(proof).any(|term| is_of(&term, withheld)) {
                ranges.push(range.clone());
            }
        }
    }
    ranges
}
