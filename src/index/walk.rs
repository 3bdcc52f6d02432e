//! The terms of an entry, read off the canonical encoding of its parts.
//!
//! What the terms of an entry are is said by [`FIELDS`](super::FIELDS), for messages that are decoded. These tables say it
//! for messages that are not, since decoding them is most of the work of indexing. A test compares the two.

use super::table::kind_word;
use super::terms::{hour, text_term, version_term};
use crate::entry::canonical::{Reader, zigzag_decode};
use crate::entry::json::words::{ASSURANCE, AUTHENTICATION, OUTCOME, word};
use crate::entry::{Kind, Problem, Tag};

/// What becomes of a field of a message, given the tag of its terms.
enum Then {
    Text(u16),
    Version(u16),
    Word(u16, &'static [&'static str]),
    Number(u16),
    Time(u16),
    Message(&'static [Then]),
    Skip,
}

use Then::{Message, Number, Skip, Text, Time, Version, Word};

/// For the fields of each message, from number 1 on.
const ENVELOPE: &[Then] = &[Message(SUBMITTER), Word(3, &AUTHENTICATION)];
const SUBMITTER: &[Then] = &[Skip, Text(2)];
const WHO: &[Then] = &[
    Text(ACTOR),
    Word(5, &ASSURANCE),
    Text(6),
    Message(&[Text(7)]),
];
#[rustfmt::skip] // As many a line as the eye takes in.
const WHAT: &[Then] = &[
    Text(8), Word(9, &OUTCOME), Skip, Message(TARGET), Message(RUN), Message(INPUT),
    Message(OUTPUT), Message(CODE), Text(28), Text(29), Text(30), Message(&[Text(36), Text(36)]),
];
#[rustfmt::skip]
const TARGET: &[Then] = &[
    Text(10), Skip, Message(&[Version(14)]), Message(&[Version(15)]), Text(OWNER), Text(11),
];
const RUN: &[Then] = &[Text(23), Text(22), Text(20), Text(21), Skip, Number(24)];
const INPUT: &[Then] = &[Text(16), Message(&[Version(18)])];
const OUTPUT: &[Then] = &[Text(17), Message(&[Version(19)])];
const CODE: &[Then] = &[Text(25), Text(26), Skip, Skip, Text(27)];
#[rustfmt::skip]
const CONTEXT: &[Then] = &[
    Text(31), Skip, Skip, Time(35), Skip, Text(32), Skip, Text(33), Number(34),
];

const KIND: u16 = 1;
const ACTOR: u16 = 4;
const OWNER: u16 = 12;
const FOREIGN: u16 = 13;

const VARINT: u64 = 0;

/// Calls `take` with the tag and the value of every term of an entry but those of presence, some more than once.
///
/// The parts must be the canonical encodings that an entry is sealed with, ascending by tag.
pub(super) fn walk_terms<'a>(
    kind: Kind,
    parts: impl Iterator<Item = (Tag, &'a [u8])>,
    take: &mut impl FnMut(u16, &[u8]),
) {
    take(KIND, kind_word(kind).as_bytes());
    let mut walk = Walk {
        actor: &[],
        foreign: false,
        take,
    };
    for (tag, bytes) in parts {
        let message = match tag {
            Tag::Envelope => ENVELOPE,
            Tag::Who => WHO,
            Tag::What => WHAT,
            Tag::Context => CONTEXT,
            Tag::Why | Tag::Detail => continue,
        };
        // They have been checked, or are of our own making: there is no error to meet.
        let _ = walk.message(bytes, message);
    }
    if walk.foreign {
        take(FOREIGN, &[]);
    }
}

struct Walk<'a, 't, T> {
    actor: &'a [u8],
    /// Whether the actor is known and some target is owned by another.
    foreign: bool,
    take: &'t mut T,
}

impl<'a, T: FnMut(u16, &[u8])> Walk<'a, '_, T> {
    fn message(&mut self, bytes: &'a [u8], fields: &[Then]) -> Result<(), Problem> {
        let mut reader = Reader::new(bytes);
        while !reader.is_empty() {
            let (number, wire_type) = reader.key()?;
            let then = usize::try_from(number).unwrap_or(0).checked_sub(1);
            let then = then.and_then(|index| fields.get(index)).unwrap_or(&Skip);
            if wire_type == VARINT {
                self.number(reader.varint()?, then);
                continue;
            }
            let value = reader.length_delimited()?;
            match *then {
                Message(fields) => self.message(value, fields)?,
                Text(tag) if !value.is_empty() => self.text(tag, value),
                Version(tag) if !value.is_empty() => (self.take)(tag, version_term(value)),
                _ => {}
            }
        }
        Ok(())
    }

    fn text(&mut self, tag: u16, value: &'a [u8]) {
        match tag {
            ACTOR => self.actor = value,
            OWNER => self.foreign |= !self.actor.is_empty() && self.actor != value,
            _ => {}
        }
        (self.take)(tag, text_term(value));
    }

    fn number(&mut self, value: u64, then: &Then) {
        match *then {
            Word(tag, words) => {
                let number = i32::try_from(value).unwrap_or(0);
                if let Some(word) = word(words, number) {
                    (self.take)(tag, word.as_bytes());
                }
            }
            Number(tag) => (self.take)(tag, &value.to_be_bytes()),
            Time(tag) => (self.take)(tag, &hour(zigzag_decode(value))),
            _ => {}
        }
    }
}
