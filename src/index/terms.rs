//! From an entry to its index terms.

use super::fields::{FieldKind, Value};
use super::{FIELDS, Facts, Field};
use crate::entry::json::time;

/// The longest value of a term, in bytes. A longer text is indexed by its beginning.
pub const MAX_TERM_BYTES: usize = 512;
/// The longest value of a version's term, in bytes: so much of what stands behind the scheme.
pub const VERSION_TERM_BYTES: usize = 16;

/// The tag under which stand the tags of the fields that an entry has.
pub(super) const PRESENCE: u16 = 0;

/// Nanoseconds of an hour.
pub(super) const HOUR: i64 = 3_600_000_000_000;
/// Flipped, so that negative numbers come before the others.
const SIGN: u64 = 1 << 63;

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
            value: presence_value(tag).to_vec(),
        }
    }

    /// The field that it says something about: a value, or that there is one.
    pub fn field(&self) -> Option<&'static Field> {
        let tag = self.presence_of().unwrap_or(self.tag);
        FIELDS.iter().find(|field| field.tag == Some(tag))
    }

    /// The field whose presence the term stands for, if it stands for one's.
    pub(super) fn presence_of(&self) -> Option<u16> {
        let tag = self.value.as_slice().try_into().ok()?;
        (self.tag == PRESENCE).then_some(u16::from_be_bytes(tag))
    }
}

/// The value of the term that stands for the presence of the field numbered `tag`.
pub(super) fn presence_value(tag: u16) -> [u8; 2] {
    tag.to_be_bytes()
}

/// Calls `take` with the tag and the value of every term of an entry but those of presence, in no order, some more than
/// once.
pub(super) fn visit_terms(facts: &Facts, take: &mut dyn FnMut(u16, &[u8])) {
    let mut term = Vec::with_capacity(64);
    for field in FIELDS {
        let Some(tag) = field.tag else { continue };
        field.values(facts, &mut |value| {
            term.clear();
            append_term_value(field.kind, value, &mut term);
            take(tag, &term);
        });
    }
}

/// What a value is indexed by. Order-preserving, but for versions.
pub(crate) fn term_value(kind: FieldKind, value: Value<'_>) -> Vec<u8> {
    let mut term = Vec::new();
    append_term_value(kind, value, &mut term);
    term
}

fn append_term_value(kind: FieldKind, value: Value<'_>, term: &mut Vec<u8>) {
    match value {
        Value::Text(text) if kind == FieldKind::Version => {
            term.extend_from_slice(version_term(text.as_bytes()));
        }
        Value::Text(text) | Value::Label(text, _) => {
            term.extend_from_slice(text_term(text.as_bytes()));
        }
        Value::Number(number) => term.extend_from_slice(&number.to_be_bytes()),
        Value::Time(time) => term.extend_from_slice(&hour(time)),
        Value::Duration(length) => term.extend_from_slice(&signed(length)),
        Value::True => {}
    }
}

/// What a text is indexed by.
pub(super) fn text_term(text: &[u8]) -> &[u8] {
    text.get(..MAX_TERM_BYTES).unwrap_or(text)
}

/// What a version is indexed by.
pub(super) fn version_term(version: &[u8]) -> &[u8] {
    let colon = version.iter().position(|byte| *byte == b':');
    let value = colon.and_then(|colon| version.get(colon + 1..));
    let value = value.unwrap_or(version);
    value.get(..VERSION_TERM_BYTES).unwrap_or(value)
}

/// What a time, in nanoseconds since 1970, is indexed by: the hour that it lies in.
pub(super) fn hour(time: i64) -> [u8; 8] {
    signed(time.div_euclid(HOUR))
}

/// A number so that bytes ascend as numbers do.
fn signed(number: i64) -> [u8; 8] {
    (number.cast_unsigned() ^ SIGN).to_be_bytes()
}

/// A term's value for people; of a time the beginning of its hour.
pub(super) fn term_text(kind: FieldKind, term: &[u8]) -> String {
    match (kind, term.try_into().map(u64::from_be_bytes)) {
        (FieldKind::Number, Ok(number)) => number.to_string(),
        (FieldKind::Time, Ok(number)) => {
            let hour = i128::from((number ^ SIGN).cast_signed());
            time::write(hour * i128::from(HOUR)).unwrap_or_else(|| "?".into())
        }
        (FieldKind::Flag, _) => "true".into(),
        _ => String::from_utf8_lossy(term).into_owned(),
    }
}

/// A version's value without its scheme.
pub(crate) fn behind_scheme(version: &str) -> &str {
    version.split_once(':').map_or(version, |(_, value)| value)
}

/// The first `most` bytes of a text, or all.
pub(super) fn cut(text: &str, most: usize) -> &[u8] {
    text.as_bytes().get(..most).unwrap_or(text.as_bytes())
}
