//! The answer in a case: its pages, and what they prove.

use std::fmt::{self, Display, Formatter};
use std::ops::Range;

use prost::Message;

use super::case_text::{ascii, set_of};
use super::disclosure::{Disclosed, Disclosure};
use super::originals::Originals;
use super::search::{ProvedPage, Question, verify_page};
use super::verdict::{Check, Finding};
use crate::entry::body::Body;
use crate::entry::genesis::Genesis;
use crate::entry::json::Row;
use crate::entry::{Header, v1};
use crate::index::Ranges;
use crate::index::filter::Filter;
use crate::merkle::Hash;
use crate::note::{Checkpoint, VerifierKey};

/// A question and its answer.
#[derive(Debug, Clone, PartialEq)]
pub struct CaseAnswer {
    /// The filter as it was asked, with what flags added to it.
    pub asked: String,
    /// Its normal form.
    pub filter: String,
    /// The seqs asked about; up to the last possible one for all to the end.
    pub range: Range<u64>,
    /// The tree size at which it was answered, in entries.
    pub size: u64,
    /// Whether it was answered from the newest entry on.
    pub descending: bool,
    /// What was answered. [`Case::complete`](super::Case::complete) fills it in.
    pub answered: Answered,
    /// The pages in the order of the answer.
    pub pages: Vec<CasePage>,
}

/// A page of the answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CasePage {
    /// A [`SearchResponse`](v1::SearchResponse) with its proof, encoded, without page token and cost.
    pub encoded: Vec<u8>,
    /// Its matches in their JSON form, in the order of the answer. [`Case::complete`](super::Case::complete) fills them in.
    pub rows: Vec<String>,
}

/// What was answered, and how completely.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answered {
    /// The tree size at which it was answered, in entries.
    pub size: u64,
    /// The seqs that the answer is about: no other entry of these matches.
    pub window: Range<u64>,
    /// How many entries match.
    pub matches: u64,
    /// Entries of which it cannot be told, since parts are withheld or erased.
    pub unknown: Ranges,
    /// The seals whose index was relied on: the seq of each, and the seq behind the last entry that its index covers.
    pub seals: Vec<(u64, u64)>,
    /// Entries of the window behind what the seals cover: each was looked at.
    pub one_by_one: u64,
}

impl Display for Answered {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Range { start, end } = self.window;
        let (matches, unknown) = (self.matches, self.unknown.len());
        let size = self.size;
        write!(
            f,
            "{matches} matches and {unknown} unknown among {start} to before {end} at size {size}, sealed by {:?}, {} \
             checked one by one",
            self.seals, self.one_by_one
        )
    }
}

/// An answer that was examined.
pub(super) struct ExaminedAnswer {
    pub(super) answered: Answered,
    pub(super) root: Hash,
    /// The newest checkpoint of its pages.
    pub(super) checkpoint: Checkpoint,
    /// The matches of each page in their JSON form.
    pub(super) rows: Vec<Vec<String>>,
    pub(super) originals: Originals,
}

/// Examines what a case holds, believing nothing but a key.
pub(super) struct Examiner<'a> {
    pub(super) genesis: &'a Genesis,
    pub(super) key: &'a VerifierKey,
    pub(super) disclosed: Disclosed,
}

impl<'a> Examiner<'a> {
    pub(super) fn new(genesis: &'a Genesis, key: &'a VerifierKey) -> Self {
        let mut disclosed = Disclosed::default();
        disclosed.header(0);
        Self {
            genesis,
            key,
            disclosed,
        }
    }

    /// All that was shown so far.
    pub(super) fn disclosure(&self) -> Disclosure {
        self.disclosed.list()
    }

    /// Checks that the pages answer the question: each is proved, and one continues the other.
    pub(super) fn answer(
        &mut self,
        answer: &CaseAnswer,
        take: &mut dyn FnMut(&Header, &Body),
    ) -> Result<ExaminedAnswer, Finding> {
        let filter = read_filter(answer)?;
        let mut progress = Progress::new(answer);
        for page in &answer.pages {
            if progress.is_finished() {
                return Err(malformed("no page behind the last", "one"));
            }
            let response = read_page(&page.encoded)?;
            let question = Question {
                genesis: self.genesis,
                key: self.key,
                filter: &filter,
                descending: answer.descending,
                open: progress.open.clone(),
                size: Some(answer.size),
            };
            let proved = verify_page(&question, &response)?;
            self.disclosed.page(&response, &proved)?;
            progress.add(proved, take)?;
        }
        progress.finish()
    }
}

/// The filter, if it is in normal form and the one that was asked.
fn read_filter(answer: &CaseAnswer) -> Result<Filter, Finding> {
    let parse =
        |text: &str| Filter::parse(text).map_err(|error| malformed("a filter", &error.to_string()));
    let filter = parse(&answer.filter)?;
    if filter.to_string() != answer.filter {
        return Err(malformed("a filter in normal form", &answer.filter));
    }
    if parse(&answer.asked)?.to_string() != answer.filter {
        let expected = format!("a question that means {}", answer.filter);
        return Err(Finding::of(Check::Statement, expected, &answer.asked));
    }
    Ok(filter)
}

fn read_page(encoded: &[u8]) -> Result<v1::SearchResponse, Finding> {
    let page = v1::SearchResponse::decode(encoded)
        .map_err(|error| malformed("an encoded page", &error.to_string()))?;
    let has_more = !page.next_page_token.is_empty() || page.cost.is_some();
    if has_more || page.encode_to_vec() != encoded {
        return Err(malformed(
            "a page and nothing else",
            "something that nothing proves",
        ));
    }
    Ok(page)
}

fn malformed(expected: &str, found: &str) -> Finding {
    Finding::of(Check::Format, expected, found)
}

/// An answer while its pages are read.
struct Progress<'a> {
    answer: &'a CaseAnswer,
    /// What is not answered yet.
    open: Range<u64>,
    answered: Answered,
    tree: Option<(Hash, Checkpoint)>,
    unknown: Vec<u64>,
    rows: Vec<Vec<String>>,
    originals: Originals,
}

impl<'a> Progress<'a> {
    fn new(answer: &'a CaseAnswer) -> Self {
        let start = answer.range.start.min(answer.size);
        let end = answer.range.end.min(answer.size).max(start);
        Self {
            answer,
            open: start..end,
            answered: Answered {
                size: answer.size,
                ..Answered::default()
            },
            tree: None,
            unknown: Vec::new(),
            rows: Vec::new(),
            originals: Originals::default(),
        }
    }

    fn is_finished(&self) -> bool {
        self.open.is_empty() && self.tree.is_some()
    }

    fn add(
        &mut self,
        page: ProvedPage,
        take: &mut dyn FnMut(&Header, &Body),
    ) -> Result<(), Finding> {
        self.check_tree(page.root, page.checkpoint)?;
        let window = page.window;
        self.answered.one_by_one += match page.seal {
            Some(seal) => {
                if !self.answered.seals.contains(&seal) {
                    self.answered.seals.push(seal);
                }
                window.end.saturating_sub(window.start.max(seal.1))
            }
            None => window.end - window.start,
        };
        if self.answer.descending {
            self.open.end = window.start;
        } else {
            self.open.start = window.end;
        }
        self.answered.matches += page.matches.len() as u64;
        self.unknown.extend(page.unknown);
        let mut rows = Vec::with_capacity(page.matches.len());
        let mut matches = page.matches;
        if self.answer.descending {
            matches.reverse();
        }
        for (header, body) in &matches {
            rows.push(row(header, body)?);
            self.originals.add(header, body);
            take(header, body);
        }
        self.rows.push(rows);
        Ok(())
    }

    /// The pages of an answer are of one tree.
    fn check_tree(&mut self, root: Hash, checkpoint: Checkpoint) -> Result<(), Finding> {
        match &mut self.tree {
            None => self.tree = Some((root, checkpoint)),
            Some((first, newest)) => {
                super::trust::expect_root(Check::Root, first, &root)?;
                if checkpoint.size() > newest.size() {
                    *newest = checkpoint;
                }
            }
        }
        Ok(())
    }

    fn finish(self) -> Result<ExaminedAnswer, Finding> {
        let Some((root, checkpoint)) = self.tree else {
            return Err(malformed("a page at least", "none"));
        };
        let range = &self.answer.range;
        let start = range.start.min(self.answer.size);
        let end = range.end.min(self.answer.size).max(start);
        let window = if self.answer.descending {
            self.open.end..end
        } else {
            start..self.open.start
        };
        Ok(ExaminedAnswer {
            answered: Answered {
                window,
                unknown: set_of(self.unknown),
                ..self.answered
            },
            root,
            checkpoint,
            rows: self.rows,
            originals: self.originals,
        })
    }
}

/// An entry in its JSON form.
fn row(header: &Header, body: &Body) -> Result<String, Finding> {
    let wrong = |error: String| Finding::at(header.seq, Check::Part, "an entry to show", error);
    let row = Row::new(header, body).map_err(|invalid| wrong(invalid.to_string()))?;
    let json = serde_json::to_string(&row).map_err(|error| wrong(error.to_string()))?;
    Ok(ascii(&json))
}
