//! Originals: whether the record that a source sent has the digest that was stated for it.

use sha2::{Digest, Sha256};

use super::case_text::set_of;
use crate::entry::body::Body;
use crate::entry::{Header, Tag, hex, v1};
use crate::index::Ranges;
use prost::Message;

/// The originals of the entries of an answer. The digests are statements of whoever sent the entries: one that is wrong was
/// sealed wrong.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Originals {
    /// Entries with an original that is shown.
    pub shown: u64,
    /// Entries whose original has the digest that is stated.
    pub agree: u64,
    /// Entries whose original has another one, ascending.
    disagree: Vec<u64>,
}

impl Originals {
    /// Entries whose original has another digest than is stated.
    pub fn disagree(&self) -> Ranges {
        set_of(self.disagree.clone())
    }

    pub(super) fn add(&mut self, header: &Header, body: &Body) {
        let Some(bytes) = body.disclosed(Tag::Detail) else {
            return;
        };
        let detail = v1::Detail::decode(bytes.clone()).unwrap_or_default();
        if detail.original.is_empty() {
            return;
        }
        self.shown += 1;
        match has_stated_digest(&detail) {
            Some(true) => self.agree += 1,
            Some(false) => self.disagree.push(header.seq),
            None => {}
        }
    }
}

/// None when no digest is stated, when it is of a kind that is not computed here, or of more than is there.
fn has_stated_digest(detail: &v1::Detail) -> Option<bool> {
    if detail.truncated {
        return None;
    }
    let (scheme, stated) = detail.original_digest.split_once(':')?;
    let computed = match scheme {
        "sha256" => hex::encode(&Sha256::digest(&detail.original)),
        "blake3" => hex::encode(blake3::hash(&detail.original).as_bytes()),
        _ => return None,
    };
    Some(computed == stated)
}
