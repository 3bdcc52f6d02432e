//! Counts of a ledger that is not trusted.
//!
//! Where the terms of a segment say exactly who matches, they are counted from what its root commits to: set algebra on
//! whole lists, or, where every entry of a window matches, how many postings lie before each end of it. Everything else is
//! shown, and counted here.

use std::ops::Range;

use super::page::{
    Seal, Signer, Tree, behind, check_bound, check_bounds, check_entries, check_plan,
    check_records, clip, facts, is_shown, leave_possible, wrong, wrong_terms,
};
use super::verdict::Finding;
use crate::entry::genesis::Genesis;
use crate::entry::v1;
use crate::index::filter::Filter;
use crate::index::{
    Candidates, Counts, GroupBy, Plan, Ranges, SegmentRecord, Tally, Term, TermRange, check_lists,
    check_tallies,
};
use crate::merkle::Hash;
use crate::note::{Checkpoint, VerifierKey};

/// What was asked, and what is trusted.
#[derive(Debug, Clone)]
pub struct CountQuestion<'a> {
    /// The ledger.
    pub genesis: &'a Genesis,
    /// The key that must have signed the checkpoint.
    pub key: &'a VerifierKey,
    /// Which entries are counted.
    pub filter: &'a Filter,
    /// By the values of which field; none for all together.
    pub group_by: Option<GroupBy>,
    /// The seqs asked about and not answered yet; the page has to begin with them. Its end is that of the tree or before.
    pub open: Range<u64>,
    /// When the page has to go on with the values of a window, which is `open` then: the term of the first.
    pub next_value: Option<Vec<u8>>,
    /// The tree size at which the question is answered; none for the newest.
    pub size: Option<u64>,
}

/// Counts that were proved.
#[derive(Debug, Clone)]
pub struct ProvedCounts {
    /// The checkpoint under which they were proved.
    pub checkpoint: Checkpoint,
    /// The tree size at which the question is answered.
    pub size: u64,
    /// The root of the tree of that size.
    pub root: Hash,
    /// The seqs that were counted.
    pub window: Range<u64>,
    /// The counts. Of a page that goes on with the values of a window, only the groups.
    pub counts: Counts,
    /// The term of the value that the next page has to go on with, in the same window.
    pub next_value: Option<Vec<u8>>,
    /// Entries of which it cannot be told, since a part is withheld or erased, ascending. They are not counted.
    pub unknown: Vec<u64>,
    /// The seq of the seal, and the seq behind the last entry that its index covers.
    pub seal: Option<(u64, u64)>,
}

/// Checks a page of counts against its proof.
///
/// # Errors
///
/// What is wrong, as far as it can be told from the page: whoever sent it did not prove the counts.
pub fn verify_count(
    question: &CountQuestion<'_>,
    page: &v1::CountResponse,
) -> Result<ProvedCounts, Finding> {
    let proof = page
        .proof
        .as_ref()
        .ok_or_else(|| wrong("a proof", "none"))?;
    let ledger = Signer {
        genesis: question.genesis,
        key: question.key,
    };
    let asked = question.size;
    let tree = Tree::check(ledger, asked, &page.checkpoint, page.size, proof)?;
    let window = check_window(question, page, tree.size)?;
    let seal = Seal::check(&tree, proof)?;
    let plan = Plan::new(question.filter);
    let possible = clip(&window, &check_bounds(&plan, &tree, proof)?);
    let mut counting = Counting {
        question,
        values: values(question, page)?,
        bounded: is_bounded(&plan, &tree, &possible, proof)?,
        plan,
        counts: Counts::default(),
        unknown: Vec::new(),
        candidates: Ranges::new(),
    };
    for (record, segment) in check_records(seal.as_ref(), &possible, proof)? {
        counting.count_segment(&record, segment, &possible)?;
    }
    let behind = behind(seal.as_ref(), &possible);
    counting.candidates.insert(behind.clone());
    let mut shown = check_entries(&tree, &page.entries, proof, &counting.candidates)?;
    leave_possible(&counting.plan, behind.start, &mut shown);
    for (header, body) in shown {
        counting.count_entry(header.seq, &facts(&header, &body)?);
    }
    counting.check_said(page)?;
    Ok(ProvedCounts {
        checkpoint: tree.checkpoint,
        size: tree.size,
        root: tree.root,
        window,
        counts: counting.counts,
        next_value: Some(page.next_value.clone()).filter(|value| !value.is_empty()),
        unknown: counting.unknown,
        seal: seal.map(|seal| (seal.seq, seal.levels.covered())),
    })
}

/// The page begins where the last one ended; when it goes on with the values of a window, it is about just that.
fn check_window(
    question: &CountQuestion<'_>,
    page: &v1::CountResponse,
    size: u64,
) -> Result<Range<u64>, Finding> {
    let open = question.open.start.min(size)..question.open.end.min(size);
    let window = page.start..page.end;
    let joins = window.start == open.start && window.end <= open.end;
    let moves = window.start < window.end || open.is_empty();
    let same = question.next_value.is_none() || window == open;
    if joins && moves && same && window.start <= window.end {
        return Ok(window);
    }
    let expected = format!("a window that begins {} to {}", open.start, open.end);
    let found = format!("{} to {}", window.start, window.end);
    Err(wrong(expected, found))
}

/// The terms that the page is about.
fn values(
    question: &CountQuestion<'_>,
    page: &v1::CountResponse,
) -> Result<Option<TermRange>, Finding> {
    let from = question.next_value.as_deref();
    let before = Some(page.next_value.as_slice()).filter(|value| !value.is_empty());
    match (question.group_by, before) {
        (None, Some(_)) => Err(wrong("no values to count by", "some")),
        (None, None) => Ok(None),
        (Some(_), Some(before)) if before <= from.unwrap_or_default() => {
            Err(wrong("values that ascend", "the same again"))
        }
        (Some(group), before) => Ok(Some(group.values(from, before))),
    }
}

/// Whether every seq that is possible lies within the times of the filter.
fn is_bounded(
    plan: &Plan,
    tree: &Tree<'_>,
    possible: &Range<u64>,
    proof: &v1::SearchProof,
) -> Result<bool, Finding> {
    let bounds = plan.bounds();
    let mut bounded =
        possible.is_empty() || (bounds.recorded_from.is_none() && bounds.recorded_before.is_none());
    if bounded {
        return Ok(true);
    }
    bounded = true;
    if let Some(from) = bounds.recorded_from {
        let first = proof.first.as_ref();
        let first = first.map(|first| check_bound(tree, first)).transpose()?;
        bounded &= first.is_some_and(|(seq, recorded_at)| {
            seq <= possible.start && recorded_at >= i128::from(from)
        });
    }
    if let Some(before) = bounds.recorded_before {
        let last = proof.last.as_ref();
        let last = last.map(|last| check_bound(tree, last)).transpose()?;
        bounded &= last.is_some_and(|(seq, recorded_at)| {
            seq.saturating_add(1) >= possible.end && recorded_at < i128::from(before)
        });
    }
    Ok(bounded)
}

/// Counts while they grow.
struct Counting<'a> {
    question: &'a CountQuestion<'a>,
    plan: Plan,
    /// The terms that the page is about.
    values: Option<TermRange>,
    /// Whether the filter's bounds hold for every possible entry.
    bounded: bool,
    counts: Counts,
    unknown: Vec<u64>,
    /// The entries that have to be shown.
    candidates: Ranges,
}

impl Counting<'_> {
    /// Counts the entries of the window in a segment, or has those shown that can match.
    fn count_segment(
        &mut self,
        record: &SegmentRecord,
        segment: &v1::SegmentProof,
        window: &Range<u64>,
    ) -> Result<(), Finding> {
        let (of_filter, of_group) = segment
            .ranges
            .split_at_checked(self.plan.ranges().len())
            .ok_or_else(|| wrong("a proof for each range of terms", "fewer"))?;
        let lists = check_plan(&self.plan, record, of_filter, window)?;
        let part = clip(&record.id.seqs(), window);
        let Candidates { seqs, exact } = self.plan.candidates(&lists, &part);
        let exact = exact && self.bounded;
        let shown = of_group.iter().any(|proof| is_shown(record, proof));
        match (self.question.group_by, &self.values, of_group) {
            (None, _, []) if exact => self.count_all(&seqs),
            (Some(group), Some(values), [of_presence, of_values]) if exact && shown => {
                let presence = group.presence();
                let present = tallies(record, &presence, &part, &seqs, of_presence)?;
                let groups = tallies(record, values, &part, &seqs, of_values)?;
                self.count_all(&seqs);
                let present: u64 = present.iter().map(|(_, tally)| tally.count).sum();
                self.counts.absent += seqs.len().saturating_sub(present);
                for (term, tally) in groups {
                    self.counts.add_group(term.value, tally);
                }
            }
            (None, _, []) | (Some(_), _, [_, _]) if !shown => {
                self.candidates = self.candidates.union(&seqs);
            }
            _ => return Err(wrong("the terms to count by, and no others", "others")),
        }
        Ok(())
    }

    fn count_all(&mut self, seqs: &Ranges) {
        self.counts.total = self.counts.total.and(Tally::of(seqs));
    }

    /// Counts an entry that is shown, if it matches.
    fn count_entry(&mut self, seq: u64, facts: &crate::index::Facts) {
        let truth = self.question.filter.evaluate(facts);
        let terms = self.question.group_by.map(|group| group.terms(facts));
        let values = self.values.as_ref();
        self.counts
            .add_entry((seq, truth), terms, values, &mut self.unknown);
    }

    /// What the page says itself has to be what it proves.
    fn check_said(&mut self, page: &v1::CountResponse) -> Result<(), Finding> {
        if self.question.next_value.is_some() {
            self.counts.total = Tally::default();
            self.counts.absent = 0;
        }
        let Counts {
            total,
            absent,
            groups,
        } = &self.counts;
        let said = |tally: &Option<v1::Tally>| {
            let v1::Tally { count, first, last } = tally.unwrap_or_default();
            Tally { count, first, last }
        };
        let same = said(&page.total) == *total
            && page.absent == *absent
            && page.unknown == self.unknown
            && page.groups.len() == groups.len()
            && page
                .groups
                .iter()
                .zip(groups)
                .all(|(said_group, (term, tally))| {
                    said_group.term == *term && said(&said_group.entries) == *tally
                });
        if same {
            Ok(())
        } else {
            let expected = "the counts that it proves";
            Err(wrong(expected, "others"))
        }
    }
}

/// How many of the entries `seqs`, which are of `part`, have each term of a range.
fn tallies(
    record: &SegmentRecord,
    range: &TermRange,
    part: &Range<u64>,
    seqs: &Ranges,
    proof: &v1::TermProof,
) -> Result<Vec<(Term, Tally)>, Finding> {
    if seqs.runs() == std::slice::from_ref(part) {
        let tallies = check_tallies(record, range, part, proof);
        return tallies.map_err(|error| wrong_terms(record, &error));
    }
    let lists =
        check_lists(record, range, part, proof).map_err(|error| wrong_terms(record, &error))?;
    let lists = lists.into_iter();
    Ok(lists
        .map(|(term, list)| (term, Tally::of(&list.intersection(seqs))))
        .collect())
}
