//! Which other names the targets of a filter had before, or got later, as entries say that renamed them.
//!
//! Another name at another time: unlike a [link](super::Links) a rename does not make two names mean the same, and a name
//! that was given up can be taken by something else. So a filter is not made to ask for these; it is said that they are
//! there. A copy gives nobody another name.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use super::history::is_copy;
use super::links::names_of;
use super::question::{Inquiry, Question, any, literal};
use super::{Act, NameKind};
use crate::index::Facts;
use crate::index::filter::Filter;

/// The most names that are followed, beside those that are asked for.
pub const MAX_RENAMED_NAMES: usize = 64;
/// The most renames that are taken.
pub const MAX_RENAMES: usize = 256;
/// Names that are asked about at once have at most so many bytes together, unless it is one.
const BYTES_A_QUESTION: usize = 4_096;
/// And so many are at most asked about at once.
const NAMES_A_QUESTION: usize = 16;

/// A target that got another name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rename {
    /// The entry that says so.
    pub seq: u64,
    /// The name before.
    pub from: String,
    /// The name since.
    pub to: String,
}

/// Asks what renamed the targets of a filter, and the names that these lead to: backward from a name to those before it,
/// forward to those after it.
#[derive(Debug, Default)]
pub struct Renames {
    /// The names that the filter asks for.
    asked_for: BTreeSet<String>,
    /// What is followed, each once.
    known: BTreeSet<Lead>,
    waiting: Vec<Lead>,
    asking: Vec<Lead>,
    found: BTreeMap<(u64, String), Rename>,
    cut_off: bool,
}

/// A name to follow, as long as it is the target's.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Lead {
    name: String,
    /// What was renamed to it before this seq is the target; 0 for nothing.
    before: u64,
    /// What it was renamed to from this seq on is the target; none for nothing.
    from: Option<u64>,
}

impl Renames {
    /// Of every name of a target that a filter asks for.
    pub fn of_filter(filter: &Filter) -> Self {
        let mut renames = Self::default();
        for (kind, name) in names_of(filter) {
            if kind == NameKind::Target {
                renames.asked_for.insert(name.clone());
                renames.meet(Lead {
                    name,
                    before: u64::MAX,
                    from: Some(0),
                });
            }
        }
        renames
    }

    /// The renames, in the order of the ledger, but for those of which the filter asks for both names.
    pub fn found(&self) -> impl Iterator<Item = &Rename> {
        let asked_for = |name: &String| self.asked_for.contains(name);
        let found = self.found.values();
        found.filter(move |rename| !asked_for(&rename.from) || !asked_for(&rename.to))
    }

    /// Whether there are more than are followed.
    pub fn is_cut_off(&self) -> bool {
        self.cut_off
    }

    fn meet(&mut self, name: Lead) {
        // Before the first entry nothing was renamed.
        let nothing = name.before == 0 && name.from.is_none();
        if nothing || self.known.contains(&name) {
            return;
        }
        if self.known.len() >= MAX_RENAMED_NAMES + self.asked_for.len() {
            self.cut_off = true;
            return;
        }
        self.known.insert(name.clone());
        self.waiting.push(name);
    }

    /// Takes the next names to ask about together.
    fn begin(&mut self) {
        self.asking.clear();
        let mut bytes = 0;
        while let Some(name) = self.waiting.last() {
            bytes += name.name.len();
            let many = bytes > BYTES_A_QUESTION || self.asking.len() >= NAMES_A_QUESTION;
            if many && !self.asking.is_empty() {
                break;
            }
            self.asking.extend(self.waiting.pop());
        }
    }

    fn question(&self) -> Option<Question> {
        let mut comparisons = Vec::new();
        let (mut start, mut end) = (u64::MAX, 0);
        for Lead { name, before, from } in &self.asking {
            let name = literal(name);
            if *before > 0 {
                comparisons.push(format!("target = {name}"));
                (start, end) = (0, end.max(*before));
            }
            if let Some(from) = from {
                comparisons.push(format!("previous_target = {name}"));
                (start, end) = (start.min(*from), u64::MAX);
            }
        }
        let filter = format!("previous_target:* AND {}", any(&comparisons));
        let question = Question::new(&filter).ok()?;
        Some(Question {
            range: start..end,
            ..question
        })
    }

    fn add(&mut self, seq: u64, from: &str, to: &str) {
        if self.found.len() >= MAX_RENAMES {
            self.cut_off = true;
            return;
        }
        let rename = Rename {
            seq,
            from: from.to_owned(),
            to: to.to_owned(),
        };
        self.found.insert((seq, to.to_owned()), rename);
    }
}

impl Inquiry for Renames {
    fn next(&mut self) -> Option<Question> {
        while !self.waiting.is_empty() {
            self.begin();
            let question = self.question();
            // A name that is too long to ask about is not followed.
            self.cut_off |= question.is_none();
            if question.is_some() {
                return question;
            }
        }
        None
    }

    fn take(&mut self, facts: &Facts) -> ControlFlow<()> {
        if is_copy(&Act::new(facts)) {
            return ControlFlow::Continue(());
        }
        let seq = facts.header.seq;
        let asking = std::mem::take(&mut self.asking);
        for target in &facts.what.targets {
            let (old, new) = (&target.previous_uri, &target.uri);
            if old.is_empty() || old == new {
                continue;
            }
            for Lead { name, before, from } in &asking {
                if name == new && seq < *before {
                    self.add(seq, old, new);
                    self.meet(Lead {
                        name: old.clone(),
                        before: seq,
                        from: None,
                    });
                }
                if name == old && from.is_some_and(|from| from <= seq) {
                    self.add(seq, old, new);
                    self.meet(Lead {
                        name: new.clone(),
                        before: 0,
                        from: Some(seq.saturating_add(1)),
                    });
                }
            }
        }
        self.asking = asking;
        if self.cut_off && self.found.len() >= MAX_RENAMES {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }
}
