//! The tree that a filter is parsed into.

use super::pattern::Pattern;
use crate::index::Field;

/// A filter as a tree.
#[derive(Debug, Clone, PartialEq)]
pub enum Expression {
    /// Matches every entry.
    All,
    /// Matches when all of these do.
    And(Vec<Expression>),
    /// Matches when one of these does.
    Or(Vec<Expression>),
    /// Matches when this does not.
    Not(Box<Expression>),
    /// Matches when a value of a field compares so.
    Test(Test),
}

impl Expression {
    /// Calls `take` with every comparison. Recurses as deep as the expression is nested.
    pub(super) fn visit_tests<'a>(&'a self, take: &mut dyn FnMut(&'a Test)) {
        match self {
            Self::All => {}
            Self::And(inner) | Self::Or(inner) => {
                for expression in inner {
                    expression.visit_tests(take);
                }
            }
            Self::Not(inner) => inner.visit_tests(take),
            Self::Test(test) => take(test),
        }
    }

    /// The expression with other comparisons where `replace` gives one. Recurses as deep as the expression is nested.
    pub(super) fn with_tests(&self, replace: &mut dyn FnMut(&Test) -> Option<Test>) -> Self {
        let mut all = |inner: &[Self]| {
            inner
                .iter()
                .map(|inner| inner.with_tests(replace))
                .collect()
        };
        match self {
            Self::All => Self::All,
            Self::And(inner) => Self::And(all(inner)),
            Self::Or(inner) => Self::Or(all(inner)),
            Self::Not(inner) => Self::Not(Box::new(inner.with_tests(replace))),
            Self::Test(test) => Self::Test(replace(test).unwrap_or_else(|| test.clone())),
        }
    }
}

/// A comparison with the values of one field. It holds when it holds for one of them, so never when there is none.
#[derive(Debug, Clone, PartialEq)]
pub struct Test {
    /// What is compared.
    pub operand: Operand,
    /// How, and with what.
    pub comparison: Comparison,
}

/// What a comparison is about.
#[derive(Debug, Clone, Copy)]
pub enum Operand {
    /// The values of a field.
    Field(&'static Field),
    /// All texts of an entry, whatever field they are in.
    Anywhere,
}

impl PartialEq for Operand {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Field(a), Self::Field(b)) => a.name == b.name,
            (Self::Anywhere, Self::Anywhere) => true,
            _ => false,
        }
    }
}

/// How a value compares.
#[derive(Debug, Clone, PartialEq)]
pub enum Comparison {
    /// There is one.
    Present,
    /// It is this.
    Equal(Literal),
    /// It comes before this.
    Less(Literal),
    /// It comes before this or is it.
    LessOrEqual(Literal),
    /// It comes after this.
    Greater(Literal),
    /// It comes after this or is it.
    GreaterOrEqual(Literal),
    /// It has this text in it.
    Contains(String),
    /// It is a text of this form.
    Matches(Pattern),
    /// It is a label of this key, and its text compares so.
    Label(String, Box<Comparison>),
}

/// What a value is compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Literal {
    /// With a text or a word.
    Text(String),
    /// With a number.
    Number(u64),
    /// With a time, in nanoseconds since 1970, UTC.
    Time(i64),
    /// With a length of time, in nanoseconds.
    Duration(i64),
    /// With a flag that is set.
    True,
}
