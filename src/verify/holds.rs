//! Erasures held against the holds that were in force where they stand, as the entries alone say.
//!
//! A hold that names entries is compared as the entries come. One with a filter may be about any entry before it, so
//! whoever hands the entries over shows those up to the erasure once more: a [`SecondLook`].

use std::collections::BTreeMap;

use super::entry::{check_body_hash, erased_by};
use super::trust::expect_root;
use super::verdict::{Check, Finding, Reason};
use crate::entry::body::Body;
use crate::entry::v1::ledger_act::Act;
use crate::entry::{Header, v1};
use crate::index::filter::{Filter, Truth};
use crate::index::{Facts, Ranges};
use crate::merkle::{Frontier, Hash};

/// The holds in force after the entries so far, and the erasures that are still to be compared with them.
#[derive(Debug, Clone, Default)]
pub(super) struct Holds {
    in_force: BTreeMap<String, Hold>,
    open: Vec<Question>,
}

#[derive(Debug, Clone)]
struct Hold {
    /// The entry that placed it.
    seq: u64,
    entries: Ranges,
    filter: Condition,
}

/// What else than the entries that it names a hold is about.
#[derive(Debug, Clone)]
enum Condition {
    Nothing,
    Matching(Filter),
    /// What this program cannot tell: the filter is of a later one.
    Unknown,
}

/// An erasure while holds with a filter were in force.
#[derive(Debug, Clone)]
struct Question {
    /// The entry that says what was erased.
    erasure: u64,
    /// The root of the tree of the entries before it.
    root: Hash,
    entries: Ranges,
    /// The holds by name.
    holds: Vec<(String, Filter)>,
    /// Whether there was one that this program cannot tell.
    unknown: bool,
}

impl Holds {
    /// Takes what entry `seq` says was done, behind the tree with this root.
    pub(super) fn take(
        &mut self,
        seq: u64,
        act: &Act,
        root: impl FnOnce() -> Hash,
    ) -> Result<(), Finding> {
        match act {
            Act::Hold(hold) => self.place(seq, hold),
            Act::Release(release) => self.release(seq, release),
            _ => match erased_by(act) {
                Some((entries, _)) => self.compare(seq, entries, root),
                None => Ok(()),
            },
        }
    }

    fn place(&mut self, seq: u64, hold: &v1::Hold) -> Result<(), Finding> {
        if let Some(before) = self.in_force.get(&hold.name) {
            let expected = format!(
                "the hold {:?} of entry {} to be released first",
                hold.name, before.seq
            );
            return Err(Finding::at(seq, Check::Hold, expected, "another one"));
        }
        let filter = match hold.filter.trim() {
            "" => Condition::Nothing,
            filter => Filter::parse(filter).map_or(Condition::Unknown, Condition::Matching),
        };
        let hold = (
            hold.name.clone(),
            Hold {
                seq,
                entries: hold.entries.iter().collect(),
                filter,
            },
        );
        self.in_force.extend([hold]);
        Ok(())
    }

    fn release(&mut self, seq: u64, release: &v1::Release) -> Result<(), Finding> {
        let released = self.in_force.remove(&release.name);
        if released.is_some_and(|hold| hold.seq == release.hold_seq) {
            return Ok(());
        }
        let expected = format!(
            "the hold {:?} of entry {} to be in force",
            release.name, release.hold_seq
        );
        Err(Finding::at(seq, Check::Hold, expected, "that it is not"))
    }

    fn compare(
        &mut self,
        seq: u64,
        entries: Ranges,
        root: impl FnOnce() -> Hash,
    ) -> Result<(), Finding> {
        let (mut holds, mut unknown) = (Vec::new(), false);
        for (name, hold) in &self.in_force {
            if let Some(first) = hold.entries.intersection(&entries).iter().next() {
                return Err(erased_under_hold(seq, first, name));
            }
            match &hold.filter {
                Condition::Nothing => {}
                Condition::Matching(filter) => holds.push((name.clone(), filter.clone())),
                Condition::Unknown => unknown = true,
            }
        }
        if unknown || !holds.is_empty() {
            self.open.push(Question {
                erasure: seq,
                root: root(),
                entries,
                holds,
                unknown,
            });
        }
        Ok(())
    }

    /// What can be told only from the entries once more; none if all is told.
    pub(super) fn second_look(&self) -> Option<SecondLook> {
        let asked = self.open.iter().fold(Ranges::new(), |asked, question| {
            asked.union(&question.entries)
        });
        (!self.open.is_empty()).then(|| SecondLook {
            questions: self.open.clone(),
            asked,
            frontier: Frontier::new(),
            untold: None,
        })
    }

    /// Takes what a second look came to: everything that was asked is told, or not, for the reason it gives.
    pub(super) fn settle(&mut self, look: &SecondLook) -> Option<Reason> {
        let told = look.frontier.size();
        self.open.retain(|question| question.erasure > told);
        look.untold.map(untold)
    }

    /// Why it is not told of every erasure whether a hold forbade it.
    pub(super) fn doubt(&self) -> Option<Reason> {
        self.open.first().map(|question| untold(question.erasure))
    }
}

fn untold(erasure: u64) -> Reason {
    Reason::HoldsNotCompared { erasure }
}

fn erased_under_hold(erasure: u64, seq: u64, hold: &str) -> Finding {
    let expected = format!("nothing of entry {seq} erased, which is under the hold {hold:?}");
    Finding::at(erasure, Check::Hold, expected, "that something was")
}

/// The entries once more, from the first, to hold erasures against holds with a filter.
#[derive(Debug, Clone)]
pub struct SecondLook {
    /// Ascending by erasure.
    questions: Vec<Question>,
    /// The entries that they are about.
    asked: Ranges,
    frontier: Frontier,
    /// The first erasure of which it cannot be told.
    untold: Option<u64>,
}

impl SecondLook {
    /// How many entries it takes, from the first.
    pub fn end(&self) -> u64 {
        self.questions.last().map_or(0, |last| last.erasure)
    }

    /// The seq of the entry that is to come next.
    pub fn size(&self) -> u64 {
        self.frontier.size()
    }

    /// Whether the parts of the next entry are needed.
    pub fn needs_parts(&self) -> bool {
        self.asked.contains(self.size())
    }

    /// Takes the next entry, with its parts where they are [needed](Self::needs_parts).
    ///
    /// # Errors
    ///
    /// Something of it was erased although it was under a hold, or the entries are others than before.
    pub fn push(&mut self, header: &Header, body: Option<&Body>) -> Result<(), Finding> {
        let seq = self.size();
        if self.needs_parts() {
            let expected = "the same entry as before";
            let body = body.ok_or_else(|| Finding::at(seq, Check::Body, expected, "no parts"))?;
            check_body_hash(header, body)?;
            self.compare(seq, header, body)?;
        }
        self.frontier.push(header.leaf_hash());
        let size = self.size();
        let place = |question: &Question| question.erasure.cmp(&size);
        if let Ok(here) = self.questions.binary_search_by(place)
            && let Some(question) = self.questions.get(here)
        {
            expect_root(Check::Root, &question.root, &self.frontier.root())?;
        }
        Ok(())
    }

    fn compare(&mut self, seq: u64, header: &Header, body: &Body) -> Result<(), Finding> {
        let facts = Facts::new(header, body).map_err(|invalid| {
            let expected = "an encoded message";
            Finding::at(seq, Check::Part, expected, invalid.to_string())
        })?;
        for question in &self.questions {
            if !question.entries.contains(seq) {
                continue;
            }
            let mut unknown = question.unknown;
            for (name, filter) in &question.holds {
                match filter.evaluate(&facts) {
                    Truth::True => return Err(erased_under_hold(question.erasure, seq, name)),
                    Truth::False => {}
                    Truth::Unknown => unknown = true,
                }
            }
            if unknown {
                let first = self.untold.unwrap_or(question.erasure);
                self.untold = Some(first.min(question.erasure));
            }
        }
        Ok(())
    }
}
