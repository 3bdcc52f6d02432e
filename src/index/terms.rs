//! From an entry to its index terms.

use super::fields::{FieldKind, Value};
use super::{FIELDS, Facts};

/// The longest value of a term, in bytes. A longer text is indexed by its beginning.
pub const MAX_TERM_BYTES: usize = 512;
/// The longest value of a version's term, in bytes: so much of what stands behind the scheme.
pub const VERSION_TERM_BYTES: usize = 16;

/// The tag under which stand the tags of the fields that an entry has.
pub(crate) const PRESENCE: u16 = 0;

const HOUR: i64 = 3_600_000_000_000;

/// What an entry can be found by. Terms ascend by tag, then by value, bytewise.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Term {
    /// The field's number; 0 for the presence of a field.
    pub tag: u16,
    /// The value, or the beginning of it.
    pub value: Vec<u8>,
}

impl Term {
    /// The term of the entries in which the field numbered `tag` has a value.
    pub fn presence(tag: u16) -> Self {
        Self {
            tag: PRESENCE,
            value: tag.to_be_bytes().to_vec(),
        }
    }
}

/// The terms of an entry, ascending, each once.
pub fn terms(facts: &Facts) -> Vec<Term> {
    let mut terms = Vec::new();
    for field in FIELDS {
        let Some(tag) = field.tag else { continue };
        let before = terms.len();
        field.values(facts, &mut |value| {
            terms.push(Term {
                tag,
                value: term_value(field.kind, value),
            });
        });
        if terms.len() > before {
            terms.push(Term::presence(tag));
        }
    }
    terms.sort_unstable();
    terms.dedup();
    terms
}

/// What a value is indexed by. Order-preserving, but for versions.
pub(crate) fn term_value(kind: FieldKind, value: Value<'_>) -> Vec<u8> {
    match value {
        Value::Text(text) if kind == FieldKind::Version => {
            cut(behind_scheme(text).as_bytes(), VERSION_TERM_BYTES)
        }
        Value::Text(text) => cut(text.as_bytes(), MAX_TERM_BYTES),
        Value::Number(number) => number.to_be_bytes().to_vec(),
        Value::Time(time) => hour_term(time),
        Value::Duration(duration) => (duration.cast_unsigned() ^ (1 << 63))
            .to_be_bytes()
            .to_vec(),
        Value::True => Vec::new(),
        Value::Label(key, _) => cut(key.as_bytes(), MAX_TERM_BYTES),
    }
}

/// The hour in which `time` (nanoseconds since 1970) lies, so that bytes ascend as hours do.
fn hour_term(time: i64) -> Vec<u8> {
    let hour = time.div_euclid(HOUR);
    (hour.cast_unsigned() ^ (1 << 63)).to_be_bytes().to_vec()
}

/// A version's value without its scheme.
pub(crate) fn behind_scheme(version: &str) -> &str {
    version.split_once(':').map_or(version, |(_, value)| value)
}

fn cut(value: &[u8], most: usize) -> Vec<u8> {
    value.get(..most).unwrap_or(value).to_vec()
}
