//! From an entry to its index terms.

use super::fields::{FieldKind, Value};
use super::{FIELDS, Facts, Field};
use crate::entry::json::time;

/// The longest value of a term, in bytes. A longer text is indexed by its beginning.
pub const MAX_TERM_BYTES: usize = 512;
/// The longest value of a version's term, in bytes: so much of what stands behind the scheme.
pub const VERSION_TERM_BYTES: usize = 16;

/// The tag under which stand the tags of the fields that an entry has.
const PRESENCE: u16 = 0;

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
            value: tag.to_be_bytes().to_vec(),
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

    /// Tag and value as one string of bytes, which ascends as terms do.
    pub(super) fn key(&self) -> Vec<u8> {
        [&self.tag.to_be_bytes(), self.value.as_slice()].concat()
    }

    /// The term of a key.
    pub(super) fn from_key(key: &[u8]) -> Option<Self> {
        let (tag, value) = key.split_first_chunk()?;
        Some(Self {
            tag: u16::from_be_bytes(*tag),
            value: value.to_vec(),
        })
    }
}

/// Calls `take` with the key of every term of an entry, in no order, some more than once.
pub(super) fn visit_terms(facts: &Facts, take: &mut dyn FnMut(&[u8])) {
    let mut key = Vec::with_capacity(64);
    for field in FIELDS {
        let Some(tag) = field.tag else { continue };
        let mut found = false;
        field.values(facts, &mut |value| {
            key.clear();
            key.extend_from_slice(&tag.to_be_bytes());
            append_term_value(field.kind, value, &mut key);
            take(&key);
            found = true;
        });
        if found {
            take(&Term::presence(tag).key());
        }
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
            term.extend_from_slice(cut(behind_scheme(text), VERSION_TERM_BYTES));
        }
        Value::Text(text) | Value::Label(text, _) => {
            term.extend_from_slice(cut(text, MAX_TERM_BYTES));
        }
        Value::Number(number) => term.extend_from_slice(&number.to_be_bytes()),
        // The hour that it lies in.
        Value::Time(time) => append_signed(time.div_euclid(HOUR), term),
        Value::Duration(length) => append_signed(length, term),
        Value::True => {}
    }
}

/// A number so that bytes ascend as numbers do.
fn append_signed(number: i64, term: &mut Vec<u8>) {
    term.extend_from_slice(&(number.cast_unsigned() ^ SIGN).to_be_bytes());
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
