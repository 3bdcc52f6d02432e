//! From what stands behind a comparator to a comparison.

use jiff::Timestamp;
use jiff::civil::Date;

use super::error::FilterProblem;
use super::expression::{Comparison, Literal};
use super::lexer::Text;
use super::pattern::Pattern;
use crate::index::{Field, FieldKind};

/// One of the comparisons that a restriction stands for; all of them must hold.
pub(super) struct Part {
    pub(super) negated: bool,
    pub(super) comparison: Comparison,
}

fn plain(comparison: Comparison) -> Part {
    Part {
        negated: false,
        comparison,
    }
}

/// A text by itself.
pub(super) fn contains(text: &Text) -> Comparison {
    match text.0.as_slice() {
        [piece] => Comparison::Contains(piece.clone()),
        // With stars it may stand anywhere too.
        pieces => {
            let ends = [String::new()];
            Comparison::Matches(Pattern::new([&ends, pieces, &ends].concat()))
        }
    }
}

/// What `field comparator value` means.
pub(super) fn comparisons(
    field: &'static Field,
    comparator: &'static str,
    value: &Text,
) -> Result<Vec<Part>, FilterProblem> {
    if asks_presence(comparator, value) {
        return Ok(vec![plain(Comparison::Present)]);
    }
    match field.kind {
        FieldKind::Text | FieldKind::Version => text_comparisons(field, comparator, value),
        FieldKind::Word(words) => {
            let word = value.whole();
            let stars = value.0.len() > 1;
            if !stars && !words.contains(&word.as_str()) {
                let expected = format!("one of {}", words.join(", "));
                return Err(bad_value(field, &expected, word));
            }
            equality(field, comparator, value)
        }
        FieldKind::Flag => flag(field, comparator, &value.whole()),
        FieldKind::Number => {
            let text = value.whole();
            let number = text
                .parse()
                .map_err(|_| bad_value(field, "a whole number", text))?;
            Ok(ordered(comparator, Literal::Number(number)))
        }
        FieldKind::Time => time(field, comparator, &value.whole()),
        FieldKind::Duration => {
            let text = value.whole();
            let length = duration(&text).ok_or_else(|| {
                bad_value(field, "a length of time such as 90s, 5m, 2h or 3d", text)
            })?;
            Ok(ordered(comparator, Literal::Duration(length)))
        }
        FieldKind::Label => Err(not_comparable(field, comparator)),
    }
}

/// Whether it says `:*`.
fn asks_presence(comparator: &str, value: &Text) -> bool {
    comparator == ":" && matches!(value.0.as_slice(), [a, b] if a.is_empty() && b.is_empty())
}

/// The comparisons of a text.
pub(super) fn text_comparisons(
    field: &'static Field,
    comparator: &'static str,
    value: &Text,
) -> Result<Vec<Part>, FilterProblem> {
    match (comparator, value.0.as_slice()) {
        _ if asks_presence(comparator, value) => Ok(vec![plain(Comparison::Present)]),
        (":", _) => Ok(vec![plain(contains(value))]),
        ("=" | "!=", _) => equality(field, comparator, value),
        (_, [text]) => Ok(ordered(comparator, Literal::Text(text.clone()))),
        _ => Err(bad_value(field, "a text without *", value.whole())),
    }
}

/// `=` and `!=`, and `:` as the same as `=`.
fn equality(
    field: &'static Field,
    comparator: &'static str,
    value: &Text,
) -> Result<Vec<Part>, FilterProblem> {
    let comparison = match value.0.as_slice() {
        [text] => Comparison::Equal(Literal::Text(text.clone())),
        pieces => Comparison::Matches(Pattern::new(pieces.to_vec())),
    };
    match comparator {
        "=" | ":" => Ok(vec![plain(comparison)]),
        "!=" => Ok(other_than(comparison)),
        _ => Err(not_comparable(field, comparator)),
    }
}

/// There is a value, and it does not compare so.
fn other_than(comparison: Comparison) -> Vec<Part> {
    let negated = true;
    vec![
        plain(Comparison::Present),
        Part {
            negated,
            comparison,
        },
    ]
}

fn ordered(comparator: &'static str, literal: Literal) -> Vec<Part> {
    match comparator {
        "<" => vec![plain(Comparison::Less(literal))],
        "<=" => vec![plain(Comparison::LessOrEqual(literal))],
        ">" => vec![plain(Comparison::Greater(literal))],
        ">=" => vec![plain(Comparison::GreaterOrEqual(literal))],
        "!=" => other_than(Comparison::Equal(literal)),
        _ => vec![plain(Comparison::Equal(literal))],
    }
}

fn flag(
    field: &'static Field,
    comparator: &'static str,
    value: &str,
) -> Result<Vec<Part>, FilterProblem> {
    let set = match (comparator, value) {
        ("=" | ":", "true") | ("!=", "false") => true,
        ("=" | ":", "false") | ("!=", "true") => false,
        ("=" | ":" | "!=", _) => return Err(bad_value(field, "true or false", value.into())),
        _ => return Err(not_comparable(field, comparator)),
    };
    let comparison = Comparison::Equal(Literal::True);
    let negated = !set;
    Ok(vec![Part {
        negated,
        comparison,
    }])
}

fn time(
    field: &'static Field,
    comparator: &'static str,
    value: &str,
) -> Result<Vec<Part>, FilterProblem> {
    const EXPECTED: &str = "an RFC 3339 time with its offset, or a date such as 2024-06-20";
    let bad = || bad_value(field, EXPECTED, value.into());
    let nanoseconds = |time: Timestamp| i64::try_from(time.as_nanosecond()).map_err(|_| bad());
    if value.len() != "2024-06-20".len() {
        let time = nanoseconds(value.parse().map_err(|_| bad())?)?;
        return Ok(ordered(comparator, Literal::Time(time)));
    }
    let date: Date = value.parse().map_err(|_| bad())?;
    let midnight = |date: Date| {
        let time = format!("{date}T00:00:00Z").parse().map_err(|_| bad())?;
        nanoseconds(time)
    };
    let start = midnight(date)?;
    if comparator != "=" && comparator != ":" {
        return Ok(ordered(comparator, Literal::Time(start)));
    }
    let end = midnight(date.tomorrow().map_err(|_| bad())?)?;
    Ok(vec![
        plain(Comparison::GreaterOrEqual(Literal::Time(start))),
        plain(Comparison::Less(Literal::Time(end))),
    ])
}

/// Reads a length of time: a decimal number and one of `s`, `m`, `h`, `d`.
fn duration(text: &str) -> Option<i64> {
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let unit = text.chars().last()?;
    let seconds: i128 = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return None,
    };
    let number = text.strip_suffix(unit)?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty()
        || whole.len() > 18
        || fraction.len() > 9
        || !digits(whole)
        || !digits(fraction)
    {
        return None;
    }
    if number.ends_with('.') {
        return None;
    }
    let billionths: i128 = format!("{whole}{fraction:0<9}").parse().ok()?;
    let nanoseconds = i64::try_from(billionths * seconds).ok()?;
    Some(if negative { -nanoseconds } else { nanoseconds })
}

fn bad_value(field: &'static Field, expected: &str, found: String) -> FilterProblem {
    FilterProblem::BadValue {
        field: field.name,
        expected: expected.into(),
        found,
    }
}

pub(super) fn not_comparable(field: &'static Field, comparator: &'static str) -> FilterProblem {
    FilterProblem::NotComparable {
        field: field.name,
        comparator,
    }
}
