//! Whether an entry matches.

use std::cmp::Ordering;

use super::expression::{Comparison, Expression, Literal, Operand, Test};
use crate::index::terms::behind_scheme;
use crate::index::{FIELDS, Facts, Field, FieldKind, Value};

/// Whether an entry matches a filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Truth {
    /// It does.
    True,
    /// It does not.
    False,
    /// It depends on a part that is withheld or erased.
    Unknown,
}

impl From<bool> for Truth {
    fn from(truth: bool) -> Self {
        if truth { Self::True } else { Self::False }
    }
}

impl Expression {
    /// Whether an entry matches. Recurses as deep as the expression is nested.
    pub fn evaluate(&self, facts: &Facts) -> Truth {
        match self {
            Self::All => Truth::True,
            Self::And(all) => first_of(all, facts, Truth::False, Truth::True),
            Self::Or(any) => first_of(any, facts, Truth::True, Truth::False),
            Self::Not(inner) => match inner.evaluate(facts) {
                Truth::True => Truth::False,
                Truth::False => Truth::True,
                Truth::Unknown => Truth::Unknown,
            },
            Self::Test(test) => test.evaluate(facts),
        }
    }
}

/// `decisive` if one of the expressions is that; if none is, unknown if one is, else `otherwise`.
fn first_of(expressions: &[Expression], facts: &Facts, decisive: Truth, otherwise: Truth) -> Truth {
    let mut result = otherwise;
    for expression in expressions {
        match expression.evaluate(facts) {
            truth if truth == decisive => return decisive,
            Truth::Unknown => result = Truth::Unknown,
            _ => {}
        }
    }
    result
}

impl Test {
    fn evaluate(&self, facts: &Facts) -> Truth {
        match self.operand {
            Operand::Field(field) => self.evaluate_field(field, facts),
            Operand::Anywhere => {
                let mut known = true;
                for field in FIELDS {
                    match self.evaluate_field(field, facts) {
                        Truth::True => return Truth::True,
                        Truth::Unknown => known = false,
                        Truth::False => {}
                    }
                }
                if known { Truth::False } else { Truth::Unknown }
            }
        }
    }

    fn evaluate_field(&self, field: &Field, facts: &Facts) -> Truth {
        let known = field.parts.iter().all(|part| facts.knows(*part));
        if !known {
            return Truth::Unknown;
        }
        let mut holds = false;
        field.values(facts, &mut |value| {
            holds = holds || self.comparison.holds(field.kind, value);
        });
        holds.into()
    }
}

impl Comparison {
    fn holds(&self, kind: FieldKind, value: Value<'_>) -> bool {
        let compared = |literal| compare(kind, value, literal);
        match self {
            Self::Present => true,
            Self::Equal(literal) => compared(literal) == Some(Ordering::Equal),
            Self::Less(literal) => compared(literal) == Some(Ordering::Less),
            Self::LessOrEqual(literal) => {
                compared(literal).is_some_and(|ordering| ordering != Ordering::Greater)
            }
            Self::Greater(literal) => compared(literal) == Some(Ordering::Greater),
            Self::GreaterOrEqual(literal) => {
                compared(literal).is_some_and(|ordering| ordering != Ordering::Less)
            }
            Self::Contains(piece) => {
                text_of(value).is_some_and(|text| text.contains(piece.as_str()))
            }
            Self::Matches(pattern) => text_of(value).is_some_and(|text| {
                let text = with_or_without_scheme(kind, text, pattern.prefix());
                pattern.matches(text)
            }),
            Self::Label(key, comparison) => match value {
                Value::Label(found, text) => {
                    found == key && comparison.holds(FieldKind::Text, Value::Text(text))
                }
                _ => false,
            },
        }
    }
}

fn compare(kind: FieldKind, value: Value<'_>, literal: &Literal) -> Option<Ordering> {
    match (value, literal) {
        (Value::Text(text), Literal::Text(literal)) => {
            let text = with_or_without_scheme(kind, text, literal);
            Some(text.as_bytes().cmp(literal.as_bytes()))
        }
        (Value::Number(number), Literal::Number(literal)) => Some(number.cmp(literal)),
        (Value::Time(time), Literal::Time(literal))
        | (Value::Duration(time), Literal::Duration(literal)) => Some(time.cmp(literal)),
        (Value::True, Literal::True) => Some(Ordering::Equal),
        _ => None,
    }
}

/// A version is compared as a whole when the other side names a scheme, else by what stands behind its own.
fn with_or_without_scheme<'a>(kind: FieldKind, text: &'a str, other: &str) -> &'a str {
    if kind == FieldKind::Version && !other.contains(':') {
        behind_scheme(text)
    } else {
        text
    }
}

fn text_of(value: Value<'_>) -> Option<&str> {
    match value {
        Value::Text(text) | Value::Label(_, text) => Some(text),
        Value::Number(_) | Value::Time(_) | Value::Duration(_) | Value::True => None,
    }
}
