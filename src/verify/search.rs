//! Answers of a ledger that is not trusted: that a page has every match of its window.
//!
//! Everything that decides is computed here from the question: which terms the filter needs, which segments cover the
//! window, which entries can match. From the server come only leaves, postings and entries, and each is folded into a root:
//! of a segment, of the seal, of the signed checkpoint.

use std::ops::Range;

use super::page::{
    Seal, Signer, Tree, behind, check_bounds, check_entries, check_plan, check_records, clip,
    facts, leave_possible, wrong,
};
use super::verdict::Finding;
use crate::entry::body::Body;
use crate::entry::genesis::Genesis;
use crate::entry::{Header, v1};
use crate::index::filter::{Filter, Truth};
use crate::index::{Plan, Ranges};
use crate::merkle::Hash;
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
    let mut candidates = Ranges::new();
    for (record, segment) in check_records(seal.as_ref(), &possible, proof)? {
        let lists = check_plan(&plan, &record, &segment.ranges, &possible)?;
        let part = clip(&record.id.seqs(), &possible);
        candidates = candidates.union(&plan.candidates(&lists, &part).seqs);
    }
    let behind = behind(seal.as_ref(), &possible);
    candidates.insert(behind.clone());
    let mut shown = check_entries(&tree, &page.entries, proof, &candidates)?;
    leave_possible(&plan, behind.start, &mut shown);
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
        let facts = facts(&header, &body)?;
        match question.filter.evaluate(&facts) {
            Truth::True => proved.matches.push((header, body.detached())),
            Truth::Unknown => proved.unknown.push(header.seq),
            Truth::False => {}
        }
    }
    Ok(proved)
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
