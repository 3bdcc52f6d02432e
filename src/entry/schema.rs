//! The shape of every sealed message, as tables generated from `proto/` by `build/schema.rs`.

use super::parts::Tag;

/// A message type.
#[derive(Debug)]
pub(crate) struct Message {
    /// Its fields, ascending by number.
    pub(crate) fields: &'static [Field],
}

/// A field of a message.
#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) number: u32,
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) repeated: bool,
    pub(crate) max_items: u32,
    /// Present even when it has the default value.
    pub(crate) presence: bool,
    /// One of a oneof: at most one such field may be set in a message.
    pub(crate) exclusive: bool,
}

impl Field {
    /// Whether each of its items is encoded behind a key of its own. A packed list is one value.
    pub(crate) fn has_items(&self) -> bool {
        self.repeated && !matches!(self.kind, Kind::PackedUint32 | Kind::PackedUint64)
    }
}

/// A field's type with its limits.
#[derive(Debug)]
pub(crate) enum Kind {
    Text { max_bytes: u32, syntax: Syntax },
    Bytes { max_bytes: u32, syntax: Syntax },
    Uint { max: u64 },
    Sint64 { syntax: Syntax },
    Bool,
    Enum { largest: u64 },
    PackedUint32,
    PackedUint64,
    Message(&'static Message),
}

/// A rule for a value beyond its type.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Syntax {
    Any,
    Action,
    Identity,
    TargetName,
    VersionId,
    /// Nanoseconds since 1970, from 1900 to 2200.
    Time,
    /// This many bytes.
    Exactly(usize),
}

/// The message of a part.
pub(crate) fn schema_of(tag: Tag) -> &'static Message {
    match tag {
        Tag::Envelope => &ENVELOPE,
        Tag::Who => &WHO,
        Tag::What => &WHAT,
        Tag::Context => &CONTEXT,
        Tag::Why => &WHY,
        Tag::Detail => &DETAIL,
    }
}

mod tables {
    #![allow(clippy::unreadable_literal)]
    use super::{Field, Kind, Message, Syntax};
    include!(concat!(env!("OUT_DIR"), "/schema.rs"));
}
pub(crate) use tables::*;
