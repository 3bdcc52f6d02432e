//! The filter language: [AIP-160](https://google.aip.dev/160) over the fields of an entry.
//!
//! ```text
//! actor = "alice@corp" AND target = "repo://cluster/*" AND NOT outcome = failure
//! action = job.cancel foreign = true occurred_at >= 2024-06-01
//! (action = file.update OR action = file.delete) after:* "adam.py"
//! ```
//!
//! - `field = value`, `!=`, `<`, `<=`, `>`, `>=`; a comparison with a field that an entry has not is false, `!=` too.
//! - `=` with `*` in the value matches any text there; `\*` within quotes is a star.
//! - `field:*` asks whether there is one; `field:text` whether the text is in it.
//! - A field with several values, such as `target`, compares when one of them does.
//! - A text by itself is looked for in every text of the entry.
//! - `NOT` or `-` before, `AND`, `OR`, parentheses. As AIP-160 has it, `OR` binds tighter than `AND`:
//!   `a AND b OR c` is `a AND (b OR c)`. Things side by side are joined by `AND`.
//! - A version is compared as a whole when the value names its scheme (`sha256:9f…`), else by what stands behind it.
//! - `digest` stands for `before`, `after`, `input_version` and `output_version`; `labels.KEY` for the label KEY.
//! - Times are RFC 3339 or a date, which begins at midnight UTC; lengths of time `90s`, `5m`, `2h`, `3d`.

mod error;
mod evaluate;
mod expression;
mod lexer;
mod literal;
mod normal;
mod parse;
mod pattern;

use std::fmt;

pub use error::{FilterError, FilterProblem};
pub use evaluate::Truth;
pub use expression::{Comparison, Expression, Literal, Operand, Test};
pub(super) use parse::nearest;
pub use pattern::Pattern;

use super::Facts;
use crate::entry::Tag;

/// The longest text of a filter, in bytes.
pub const MAX_FILTER_BYTES: usize = 16 * 1024;
/// The most comparisons of a filter.
pub const MAX_COMPARISONS: usize = 256;
/// How deep a filter can be nested.
pub const MAX_NESTING: usize = 32;

/// A filter, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Filter {
    expression: Expression,
}

impl Filter {
    /// Reads a filter. An empty text is the filter that every entry matches.
    pub fn parse(text: &str) -> Result<Self, FilterError> {
        let expression = parse::parse(text)?;
        Ok(Self { expression })
    }

    /// The filter of a tree.
    ///
    /// # Errors
    ///
    /// Its text would be larger than that of a filter can be.
    pub fn new(expression: Expression) -> Result<Self, FilterError> {
        // Whoever is asked reads it: it has to be one that can be read.
        Self::parse(&Self { expression }.to_string())
    }

    /// The filter as a tree.
    pub fn expression(&self) -> &Expression {
        &self.expression
    }

    /// Calls `take` with every comparison of the filter.
    pub fn visit_tests<'a>(&'a self, take: &mut dyn FnMut(&'a Test)) {
        self.expression.visit_tests(take);
    }

    /// The parts of an entry that decide whether it matches, ascending.
    pub fn parts(&self) -> Vec<Tag> {
        let mut parts = Vec::new();
        self.visit_tests(&mut |test| match test.operand {
            Operand::Field(field) => parts.extend_from_slice(field.parts),
            Operand::Anywhere => parts.extend(Tag::ALL),
        });
        parts.sort_unstable();
        parts.dedup();
        parts
    }

    /// The filter in which comparisons stand as `replace` says, where it gives another one.
    #[must_use]
    pub fn with_tests(&self, replace: &mut dyn FnMut(&Test) -> Option<Test>) -> Self {
        Self {
            expression: self.expression.with_tests(replace),
        }
    }

    /// Whether an entry matches.
    pub fn evaluate(&self, facts: &Facts) -> Truth {
        self.expression.evaluate(facts)
    }
}

/// The normal form, which reads back as the same filter: every group in parentheses, every text in quotes.
impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        normal::write(&self.expression, f)
    }
}
