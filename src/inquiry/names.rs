//! The names that an inquiry follows, with all that they mean.

use super::links::{Expander, Expansion, Links, NameKind};
use super::question::Question;
use crate::index::Facts;
use crate::index::filter::FilterError;

/// Asks for the links of names on the way of an inquiry. Unless it is told to, it takes names as they are and asks nothing.
#[derive(Debug, Default)]
pub struct Names {
    on: bool,
    links: Option<Links>,
    expansions: Vec<Expansion>,
    expander: Expander,
    cut_off: bool,
}

impl Names {
    /// Names that stand for others.
    pub(super) fn linked() -> Self {
        Self {
            on: true,
            ..Self::default()
        }
    }

    /// What was found to mean something else too.
    pub fn expansions(&self) -> &[Expansion] {
        &self.expansions
    }

    /// Whether more names are linked than are followed: some are then left out.
    pub fn is_cut_off(&self) -> bool {
        self.cut_off
    }

    /// Begins to ask about these names.
    pub(super) fn ask(&mut self, names: impl IntoIterator<Item = (NameKind, String)>) {
        if self.on {
            self.links = Some(Links::of_names(names));
        }
    }

    /// The next question about names; none when all is known.
    pub(super) fn next(&mut self) -> Option<Question> {
        let links = self.links.as_mut()?;
        let question = super::Inquiry::next(links);
        if question.is_none() {
            self.cut_off |= links.is_cut_off();
            let new = links.expansions();
            let known = |new: &Expansion| {
                let same = |old: &&Expansion| old.kind == new.kind && old.name == new.name;
                self.expansions.iter().any(|old| same(&old))
            };
            let new: Vec<Expansion> = new.into_iter().filter(|new| !known(new)).collect();
            self.expansions.extend(new);
            self.expander = Expander::new(&self.expansions);
            self.links = None;
        }
        question
    }

    /// Whether the answer that comes is one about names.
    pub(super) fn is_asking(&self) -> bool {
        self.links.is_some()
    }

    /// Takes an entry of such an answer.
    pub(super) fn take(&mut self, facts: &Facts) -> std::ops::ControlFlow<()> {
        match &mut self.links {
            Some(links) => super::Inquiry::take(links, facts),
            None => std::ops::ControlFlow::Break(()),
        }
    }

    /// The question with every name in it replaced by all that it means.
    pub(super) fn expand(&self, question: Question) -> Result<Question, FilterError> {
        if self.expansions.is_empty() {
            return Ok(question);
        }
        Ok(Question {
            filter: self.expander.expand(&question.filter)?,
            ..question
        })
    }

    /// Whether `other` meant the same as `name`, which was asked about, at a time in nanoseconds since 1970.
    pub(super) fn same(&self, kind: NameKind, name: &str, other: &str, when: i64) -> bool {
        name == other || self.expander.means(kind, name, other, when)
    }
}
