//! The state at a time: of every target its newest version then.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use super::history::{change_of, is_copy, version_acts};
use super::question::any;
use super::version::is_absent;
use super::{Act, Change, Inquiry, NameKind, Names, Question};
use crate::entry::json::time;
use crate::index::Facts;
use crate::index::filter::{Comparison, Expression, Filter, FilterError, Literal, Pattern, Test};

/// The most targets of a state, those that are gone included.
pub const MAX_TARGETS: usize = 200_000;

/// Which time counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeBasis {
    /// When the ledger recorded it.
    Recorded,
    /// When it happened, as claimed; when it was recorded where that was not said.
    Occurred,
}

/// Finds the state at a time. See [`Inquiry`].
#[derive(Debug)]
pub struct State {
    question: Option<Question>,
    names: Vec<Name>,
    linked: Names,
    at: i64,
    basis: TimeBasis,
    /// Of each target the last act until then, and what it left; nothing when the target was gone.
    targets: BTreeMap<String, ((i64, u64), Option<Change>)>,
    full: bool,
    too_large: bool,
}

/// A name that is asked about.
#[derive(Debug, Clone, PartialEq)]
enum Name {
    Exact(String),
    Pattern(Pattern),
}

impl State {
    /// The state of the targets called so at a time in nanoseconds since 1970, that included. In a name, `*` stands for any
    /// text. All targets when there are no names.
    pub fn new(names: &[String], at: i64, basis: TimeBasis) -> Result<Self, FilterError> {
        let quoted = |name: &String| {
            let name = name.replace('\\', "\\\\").replace('"', "\\\"");
            format!("\"{name}\"")
        };
        let mut all = vec![version_acts()];
        if !names.is_empty() {
            let fields = names.iter().map(quoted);
            let fields = fields.flat_map(|name| {
                [
                    format!("target = {name}"),
                    format!("previous_target = {name}"),
                ]
            });
            all.push(any(&fields.collect::<Vec<_>>()));
        }
        if let Some(time) = time::write(at) {
            all.push(match basis {
                TimeBasis::Recorded => format!("recorded_at <= {time}"),
                TimeBasis::Occurred => format!(
                    "(occurred_at <= {time} OR (NOT occurred_at:* AND recorded_at <= {time}))"
                ),
            });
        }
        let names = names
            .iter()
            .map(|name| Filter::parse(&format!("target = {}", quoted(name))).map(|f| Name::of(&f)))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            question: Some(Question::new(&all.join(" AND "))?),
            names,
            linked: Names::default(),
            at,
            basis,
            targets: BTreeMap::new(),
            full: false,
            too_large: false,
        })
    }

    /// Takes the names that meant the same at the time of an entry for those that are asked about.
    #[must_use]
    pub fn linked(mut self) -> Self {
        let names = self.names.iter().filter_map(|name| match name {
            Name::Exact(name) => Some((NameKind::Target, name.clone())),
            Name::Pattern(_) => None,
        });
        self.linked = Names::linked();
        self.linked.ask(names);
        self
    }

    /// There are more targets than are kept: some are missing.
    pub fn is_full(&self) -> bool {
        self.full
    }

    /// The filter would have been too large with all that the names mean: it was asked for them as they are.
    pub fn is_too_large(&self) -> bool {
        self.too_large
    }

    /// The targets that were there, by name, each with the act that left it so.
    pub fn into_targets(self) -> Vec<Change> {
        let there = self.targets.into_values().filter_map(|(_, change)| change);
        there.collect()
    }

    fn is_wanted(&self, name: &str, when: i64) -> bool {
        let matches = |wanted: &Name| match wanted {
            Name::Exact(wanted) => self.linked.same(NameKind::Target, wanted, name, when),
            Name::Pattern(pattern) => pattern.matches(name),
        };
        self.names.is_empty() || self.names.iter().any(matches)
    }

    fn set(&mut self, name: &str, act: &Act, key: (i64, u64), left: Option<Change>) {
        if !self.is_wanted(name, act.when()) {
            return;
        }
        let full = self.targets.len() >= MAX_TARGETS;
        match self.targets.get_mut(name) {
            Some(known) if known.0 > key => {}
            Some(known) => *known = (key, left),
            None if full => self.full = true,
            None => {
                self.targets.insert(name.to_owned(), (key, left));
            }
        }
    }
}

impl Name {
    fn of(filter: &Filter) -> Self {
        match filter.expression() {
            Expression::Test(Test {
                comparison: Comparison::Matches(pattern),
                ..
            }) => Self::Pattern(pattern.clone()),
            Expression::Test(Test {
                comparison: Comparison::Equal(Literal::Text(text)),
                ..
            }) => Self::Exact(text.clone()),
            _ => Self::Exact(String::new()),
        }
    }
}

impl Inquiry for State {
    fn names(&self) -> Option<&Names> {
        Some(&self.linked)
    }

    fn next(&mut self) -> Option<Question> {
        if let Some(question) = self.linked.next() {
            return Some(question);
        }
        let question = self.question.take()?;
        let expanded = self.linked.expand(question.clone());
        self.too_large |= expanded.is_err();
        Some(expanded.unwrap_or(question))
    }

    fn take(&mut self, facts: &Facts) -> ControlFlow<()> {
        if self.linked.is_asking() {
            return self.linked.take(facts);
        }
        let act = Act::new(facts);
        let when = match self.basis {
            TimeBasis::Occurred => act.when(),
            TimeBasis::Recorded => i64::try_from(act.recorded_at).unwrap_or(i64::MAX),
        };
        // What failed or was refused changed nothing.
        if when > self.at || matches!(act.outcome, Some("failure" | "denied")) {
            return ControlFlow::Continue(());
        }
        let key = (when, act.seq);
        for target in &facts.what.targets {
            if !target.previous_uri.is_empty() && !is_copy(&act) {
                self.set(&target.previous_uri, &act, key, None);
            }
        }
        for target in &facts.what.targets {
            let deleted = act.action.rsplit('.').next() == Some("delete");
            let left = match &target.after {
                Some(after) if is_absent(after) => None,
                None if deleted => None,
                // It says only what was there before.
                None if target.previous_uri.is_empty() => continue,
                _ => Some(change_of(&act, target)),
            };
            self.set(&target.uri, &act, key, left);
        }
        if self.full {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }
}
