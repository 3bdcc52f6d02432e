//! What is put out of an event before it is sealed: the note of it in the envelope, and whether what was sealed is otherwise
//! what was sent.
//!
//! Only *why* and *detail* are ever changed. In them a rule leaves `[redacted:RULE]` where it was applied.

use std::borrow::Cow;

use bytes::Bytes;
use prost::Message;

use super::{Tag, v1};

/// The fields out of which something can be put, ascending.
pub const FIELDS: [&str; 6] = [
    "detail.content",
    "detail.original",
    "why.labels",
    "why.reason",
    "why.review",
    "why.ticket",
];
/// What is left out when something is put out of the original: it would tell whether a guess is right.
pub const DIGEST: &str = "detail.original_digest";

/// An event out of which something was put.
#[derive(Debug, Clone, PartialEq)]
pub struct Redacted {
    /// What the envelope says of it, ascending by field and rule.
    pub notes: Vec<v1::Redaction>,
    /// The parts as they were received. Never sealed, never stored: they tell whether an event was sent before.
    pub received: Vec<(Tag, Bytes)>,
}

/// What stands where the rule `rule` was applied.
pub fn marker(rule: &str) -> String {
    format!("[redacted:{rule}]")
}

/// Whether notes have the form in which a ledger seals them.
pub fn are_notes(notes: &[v1::Redaction]) -> bool {
    let known = |field: &str| FIELDS.contains(&field) || field == DIGEST;
    notes
        .iter()
        .all(|note| note.count > 0 && !note.rule.is_empty() && known(&note.field))
        && notes.is_sorted_by(|a, b| (&a.field, &a.rule) < (&b.field, &b.rule))
}

/// Whether the part `tag`, sealed as `sealed` under an envelope with `notes`, is what was sent as `sent`, but for what the
/// notes say was put out of it. What stood there is not compared: nobody can find out by trying.
pub fn is_rest_of(notes: &[v1::Redaction], tag: Tag, sealed: &[u8], sent: &[u8]) -> bool {
    if sealed == sent {
        return true;
    }
    let rest = |field, sealed: &[u8], sent: &[u8]| is_rest_of_field(notes, field, sealed, sent);
    match tag {
        Tag::Why => {
            let (Ok(sealed), Ok(sent)) = (v1::Why::decode(sealed), v1::Why::decode(sent)) else {
                return false;
            };
            let mut labels = sealed.labels.iter().zip(&sent.labels);
            rest(
                "why.reason",
                sealed.reason.as_bytes(),
                sent.reason.as_bytes(),
            ) && rest(
                "why.ticket",
                sealed.ticket.as_bytes(),
                sent.ticket.as_bytes(),
            ) && rest(
                "why.review",
                sealed.review.as_bytes(),
                sent.review.as_bytes(),
            ) && sealed.labels.len() == sent.labels.len()
                && labels.all(|(sealed, sent)| {
                    let (value, other) = (sealed.value.as_bytes(), sent.value.as_bytes());
                    sealed.key == sent.key && rest("why.labels", value, other)
                })
        }
        Tag::Detail => {
            let (Ok(sealed), Ok(sent)) = (v1::Detail::decode(sealed), v1::Detail::decode(sent))
            else {
                return false;
            };
            let left_out =
                sealed.original_digest.is_empty() && notes.iter().any(|note| note.field == DIGEST);
            rest("detail.content", &sealed.content, &sent.content)
                && rest("detail.original", &sealed.original, &sent.original)
                && sealed.media_type == sent.media_type
                && sealed.original_media_type == sent.original_media_type
                && sealed.truncated == sent.truncated
                && (sealed.original_digest == sent.original_digest || left_out)
        }
        _ => false,
    }
}

/// The same of all parts, which ascend by tag. A sealed part that is gone is not compared.
pub fn are_rest_of(
    notes: &[v1::Redaction],
    sealed: &[(Tag, Option<Bytes>)],
    sent: &[(Tag, Bytes)],
) -> bool {
    let is_rest = |((tag, sealed), (sent_tag, sent)): (&(Tag, Option<Bytes>), &(Tag, Bytes))| {
        let rest = |sealed: &Bytes| is_rest_of(notes, *tag, sealed, sent);
        tag == sent_tag && sealed.as_ref().is_none_or(rest)
    };
    sealed.len() == sent.len() && sealed.iter().zip(sent).all(is_rest)
}

fn is_rest_of_field(notes: &[v1::Redaction], field: &str, sealed: &[u8], sent: &[u8]) -> bool {
    if sealed == sent {
        return true;
    }
    let markers = notes.iter().filter(|note| note.field == field);
    let markers: Vec<String> = markers.map(|note| marker(&note.rule)).collect();
    if markers.is_empty() {
        return false;
    }
    let (sealed, sent) = (as_text(sealed), as_text(sent));
    // Of a value in JSON that is no string, the marker is one.
    let mut pieces = split_at(&sealed, &markers).into_iter();
    let Some(mut rest) = pieces.next().and_then(|first| sent.strip_prefix(first)) else {
        return false;
    };
    let Some(last) = pieces.next_back() else {
        return rest.is_empty();
    };
    for piece in pieces {
        match rest.find(piece) {
            Some(at) => rest = rest.get(at + piece.len()..).unwrap_or_default(),
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// What stands before, between and behind the markers, less the quotes around them.
fn split_at<'a>(text: &'a str, markers: &[String]) -> Vec<&'a str> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = first_of(rest, markers) {
        pieces.push(before);
        rest = after;
    }
    pieces.push(rest);
    pieces
}

/// The text before and behind the first marker.
fn first_of<'a>(text: &'a str, markers: &[String]) -> Option<(&'a str, &'a str)> {
    let mut from = 0;
    loop {
        let found = text.get(from..)?.find("[redacted:")?;
        let (before, tail) = text.split_at(from + found);
        let after = markers
            .iter()
            .find_map(|marker| tail.strip_prefix(marker.as_str()));
        let Some(after) = after else {
            from += found + 1;
            continue;
        };
        return Some(match (before.strip_suffix('"'), after.strip_prefix('"')) {
            (Some(before), Some(after)) => (before, after),
            _ => (before, after),
        });
    }
}

/// Bytes that are no UTF-8 as one character each.
fn as_text(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.into(),
        Err(_) => bytes.iter().map(|byte| char::from(*byte)).collect(),
    }
}
