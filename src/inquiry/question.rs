//! Questions, and who asks them.

use std::ops::{ControlFlow, Range};

use super::Names;
use crate::entry::json::time;
use crate::index::Facts;
use crate::index::filter::{Filter, FilterError};

/// A question to a ledger.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    /// Which entries.
    pub filter: Filter,
    /// The seqs asked about; those beyond the end of the ledger are ignored.
    pub range: Range<u64>,
    /// From the end.
    pub descending: bool,
}

impl Question {
    /// Which of all entries match, ascending.
    pub(super) fn new(filter: &str) -> Result<Self, FilterError> {
        Ok(Self {
            filter: Filter::parse(filter)?,
            range: 0..u64::MAX,
            descending: false,
        })
    }
}

/// Somebody who asks one question after the other, each made of the answers before.
pub trait Inquiry {
    /// The names that were taken for others, if it follows any.
    fn names(&self) -> Option<&Names> {
        None
    }

    /// What to ask next; none when nothing is left to ask. The answer to the question before has ended.
    fn next(&mut self) -> Option<Question>;

    /// Takes the next entry that matches the question asked last, in its order. Breaks off when the rest of the answer is
    /// not needed.
    fn take(&mut self, facts: &Facts) -> ControlFlow<()>;
}

/// A text as a filter has to spell it that means just this.
pub fn literal(text: &str) -> String {
    quoted(text, "")
}

/// What begins with a text, as a filter has to spell it.
pub(super) fn beginning(text: &str) -> String {
    quoted(text, "*")
}

fn quoted(text: &str, behind: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 3);
    quoted.push('"');
    for character in text.chars() {
        if matches!(character, '\\' | '"' | '*') {
            quoted.push('\\');
        }
        quoted.push(character);
    }
    quoted.push_str(behind);
    quoted.push('"');
    quoted
}

/// Comparisons of which one must hold.
pub(super) fn any(comparisons: &[String]) -> String {
    format!("({})", comparisons.join(" OR "))
}

/// What happened from one time to another, both included, in nanoseconds since 1970. What does not say when it happened
/// counts by when it was recorded.
pub(super) fn within(from: i64, to: i64) -> String {
    let time = |time: i64| time::write(time).unwrap_or_else(|| "1970-01-01".to_owned());
    let (from, to) = (time(from), time(to));
    format!(
        "((occurred_at >= {from} AND occurred_at <= {to}) OR (NOT occurred_at:* AND recorded_at >= {from} AND recorded_at <= {to}))"
    )
}
