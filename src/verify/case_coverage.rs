//! Coverage in a case: which sources the entries asked about come from, counted and proved.
//!
//! An answer that finds little says little by itself: a source that was silent had nothing to be found.

use std::ops::Range;

use prost::Message;

use super::case_answer::Examiner;
use super::count::{CountQuestion, verify_count};
use super::trust::expect_root;
use super::verdict::{Check, Finding};
use crate::entry::v1;
use crate::index::filter::Filter;
use crate::index::{Counts, GroupBy};
use crate::merkle::Hash;

/// The field that is counted by.
const FIELD: &str = "source";

/// Which sources the entries of the answer's window come from, whether they match or not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CaseCoverage {
    /// The pages of the counts: [`CountResponse`](v1::CountResponse)s with their proof, encoded, without page token, cost and
    /// the names of groups.
    pub pages: Vec<Vec<u8>>,
    /// What was heard. [`Case::complete`](super::Case::complete) fills it in.
    pub heard: Heard,
}

/// The sources that were heard from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Heard {
    /// Each source, in the order of the index.
    pub sources: Vec<HeardSource>,
    /// How many entries name none, as the ledger's own acts.
    pub absent: u64,
}

/// A source that was heard from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeardSource {
    /// Its name.
    pub source: String,
    /// How many entries come from it.
    pub entries: u64,
    /// The seq of the first.
    pub first: u64,
    /// The seq of the last.
    pub last: u64,
}

/// The field that coverage is counted by.
pub(super) fn by_source() -> Result<GroupBy, Finding> {
    GroupBy::parse(FIELD)
        .map_err(|error| Finding::of(Check::Format, "a field to count by", error.to_string()))
}

impl Examiner<'_> {
    /// Checks that the pages count every entry of `window`, in the tree of `size` entries and this root.
    pub(super) fn coverage(
        &mut self,
        pages: &[Vec<u8>],
        window: &Range<u64>,
        (size, root): (u64, &Hash),
    ) -> Result<Heard, Finding> {
        let group = by_source()?;
        let all = Filter::parse("")
            .map_err(|error| Finding::of(Check::Format, "the empty filter", error.to_string()))?;
        let mut question = CountQuestion {
            genesis: self.genesis,
            key: self.key,
            filter: &all,
            group_by: Some(group),
            open: window.clone(),
            next_value: None,
            size: Some(size),
        };
        let mut start = window.start;
        let mut counts = Counts::default();
        for encoded in pages {
            if start >= window.end {
                return Err(malformed("no page of counts behind the last", "one"));
            }
            let page = read_page(encoded)?;
            let proved = verify_count(&question, &page)?;
            expect_root(Check::Root, root, &proved.root)?;
            self.disclosed.count_page(&page)?;
            if let Some(seq) = proved.unknown.first() {
                let expected = "counts of entries whose source is shown";
                return Err(Finding::at(*seq, Check::Statement, expected, "others"));
            }
            counts.absent += proved.counts.absent;
            for (term, tally) in proved.counts.groups {
                counts.add_group(term, tally);
            }
            if proved.next_value.is_some() {
                question.open = proved.window;
            } else {
                start = proved.window.end;
                question.open = start..window.end;
            }
            question.next_value = proved.next_value;
        }
        if start < window.end {
            return Err(malformed("counts of the whole window", "of a part"));
        }
        let heard = |(term, tally): (&Vec<u8>, &crate::index::Tally)| HeardSource {
            source: group.value(term),
            entries: tally.count,
            first: tally.first,
            last: tally.last,
        };
        Ok(Heard {
            sources: counts.groups.iter().map(heard).collect(),
            absent: counts.absent,
        })
    }
}

fn read_page(encoded: &[u8]) -> Result<v1::CountResponse, Finding> {
    let page = v1::CountResponse::decode(encoded)
        .map_err(|error| malformed("an encoded page of counts", &error.to_string()))?;
    let named = |group: &v1::Group| !group.value.is_empty() || group.cut;
    let has_more =
        !page.next_page_token.is_empty() || page.cost.is_some() || page.groups.iter().any(named);
    if has_more || page.encode_to_vec() != encoded {
        let found = "something that nothing proves";
        return Err(malformed("a page of counts and nothing else", found));
    }
    Ok(page)
}

fn malformed(expected: &str, found: &str) -> Finding {
    Finding::of(Check::Format, expected, found)
}
