//! A filter as text again.

use std::fmt::{self, Formatter, Write};

use super::expression::{Comparison, Expression, Literal, Operand, Test};
use crate::entry::json::time;

pub(super) fn write(expression: &Expression, f: &mut Formatter<'_>) -> fmt::Result {
    match expression {
        Expression::All => Ok(()),
        Expression::And(all) => joined(all, " AND ", f),
        Expression::Or(any) => joined(any, " OR ", f),
        Expression::Not(inner) => {
            f.write_str("NOT ")?;
            write(inner, f)
        }
        Expression::Test(test) => write_test(test, f),
    }
}

fn joined(expressions: &[Expression], between: &str, f: &mut Formatter<'_>) -> fmt::Result {
    f.write_char('(')?;
    for (index, expression) in expressions.iter().enumerate() {
        if index > 0 {
            f.write_str(between)?;
        }
        write(expression, f)?;
    }
    f.write_char(')')
}

fn write_test(test: &Test, f: &mut Formatter<'_>) -> fmt::Result {
    match (&test.operand, &test.comparison) {
        (Operand::Anywhere, comparison) => write_anywhere(comparison, f),
        (Operand::Field(_), Comparison::Label(key, comparison)) => {
            if **comparison == Comparison::Present {
                f.write_str("labels:")?;
                return quoted(std::slice::from_ref(key), f);
            }
            quoted(&[format!("labels.{key}")], f)?;
            write_comparison(comparison, f)
        }
        (Operand::Field(field), comparison) => {
            f.write_str(field.name)?;
            write_comparison(comparison, f)
        }
    }
}

fn write_anywhere(comparison: &Comparison, f: &mut Formatter<'_>) -> fmt::Result {
    match comparison {
        Comparison::Contains(text) => quoted(std::slice::from_ref(text), f),
        Comparison::Matches(pattern) => {
            // The first and the last piece are the empty ones that let it stand anywhere.
            let pieces = pattern.pieces();
            quoted(
                pieces
                    .get(1..pieces.len().saturating_sub(1))
                    .unwrap_or_default(),
                f,
            )
        }
        _ => Ok(()),
    }
}

fn write_comparison(comparison: &Comparison, f: &mut Formatter<'_>) -> fmt::Result {
    let (comparator, literal) = match comparison {
        Comparison::Present => return f.write_str(":*"),
        Comparison::Contains(text) => {
            f.write_char(':')?;
            return quoted(std::slice::from_ref(text), f);
        }
        Comparison::Matches(pattern) => {
            f.write_str(" = ")?;
            return quoted(pattern.pieces(), f);
        }
        Comparison::Label(..) => return Ok(()),
        Comparison::Equal(literal) => (" = ", literal),
        Comparison::Less(literal) => (" < ", literal),
        Comparison::LessOrEqual(literal) => (" <= ", literal),
        Comparison::Greater(literal) => (" > ", literal),
        Comparison::GreaterOrEqual(literal) => (" >= ", literal),
    };
    f.write_str(comparator)?;
    match literal {
        Literal::Text(text) => quoted(std::slice::from_ref(text), f),
        Literal::Number(number) => write!(f, "{number}"),
        Literal::Time(time) => f.write_str(&time::write(*time).unwrap_or_default()),
        Literal::Duration(length) => {
            let (sign, length) = if *length < 0 {
                ("-", length.unsigned_abs())
            } else {
                ("", length.unsigned_abs())
            };
            write!(
                f,
                "{sign}{}.{:09}s",
                length / 1_000_000_000,
                length % 1_000_000_000
            )
        }
        Literal::True => f.write_str("true"),
    }
}

/// Pieces in quotes, with a star between each two.
fn quoted(pieces: &[String], f: &mut Formatter<'_>) -> fmt::Result {
    f.write_char('"')?;
    for (index, piece) in pieces.iter().enumerate() {
        if index > 0 {
            f.write_char('*')?;
        }
        for character in piece.chars() {
            if matches!(character, '"' | '\\' | '*') {
                f.write_char('\\')?;
            }
            f.write_char(character)?;
        }
    }
    f.write_char('"')
}
