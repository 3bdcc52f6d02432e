//! The fields that a filter can ask about, and their values in an entry.
//!
//! A field's values are what the filter compares, and what the index makes terms of: one function gives both, so that
//! neither can say what the other does not.

use super::Facts;
use super::table::FIELDS;
use crate::entry::Tag;

/// How the values of a field compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldKind {
    /// Bytes of UTF-8, in bytewise order, never folded.
    Text,
    /// One of these words.
    Word(&'static [&'static str]),
    /// The id of a version: `scheme:value`, also found by its value alone.
    Version,
    /// An unsigned number.
    Number,
    /// A time: nanoseconds since 1970, UTC.
    Time,
    /// A length of time in nanoseconds, which can be negative.
    Duration,
    /// `true`, or absent.
    Flag,
    /// A key and a text; asked about as `labels.KEY`.
    Label,
}

/// One value of a field in an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value<'a> {
    /// Of a field of kind [`Text`](FieldKind::Text), [`Word`](FieldKind::Word) or [`Version`](FieldKind::Version).
    Text(&'a str),
    /// Of a field of kind [`Number`](FieldKind::Number).
    Number(u64),
    /// Of a field of kind [`Time`](FieldKind::Time), in nanoseconds since 1970, UTC.
    Time(i64),
    /// Of a field of kind [`Duration`](FieldKind::Duration), in nanoseconds.
    Duration(i64),
    /// Of a field of kind [`Flag`](FieldKind::Flag): it is set.
    True,
    /// Of a field of kind [`Label`](FieldKind::Label): its key and its text.
    Label(&'a str, &'a str),
}

/// Something a filter can ask about.
#[derive(Debug)]
pub struct Field {
    /// How it is written in a filter.
    pub name: &'static str,
    /// How its values compare.
    pub kind: FieldKind,
    /// Its number in the index; none when it is not indexed. A number is never used again for something else.
    pub tag: Option<u16>,
    /// The parts that say it; none when the header does.
    pub parts: &'static [Tag],
    /// What it means, in a few words.
    pub about: &'static str,
    pub(super) read: Read,
}

/// Calls its second argument with every value that a field has in an entry.
pub(super) type Read = for<'a> fn(&'a Facts, &mut dyn FnMut(Value<'a>));

impl Field {
    /// Calls `take` with every value that the field has in an entry, in the order of the entry. A text is never empty.
    pub fn values<'a>(&self, facts: &'a Facts, take: &mut dyn FnMut(Value<'a>)) {
        (self.read)(facts, take);
    }

    /// Whether no entry has two values of the field.
    pub(super) fn has_one_value(&self) -> bool {
        matches!(self.kind, FieldKind::Number | FieldKind::Time)
    }
}

/// The field called `name`.
pub fn field(name: &str) -> Option<&'static Field> {
    FIELDS.iter().find(|field| field.name == name)
}
