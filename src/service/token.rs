//! Page tokens: where the next page begins, and of which question it is.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use tonic::Status;

use super::status::bad_request;
use crate::index::MAX_TERM_BYTES;

const VERSION: u8 = 1;

/// Where the next page begins, and of which question it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    /// The seq that the page begins with, or ends before if seqs descend.
    pub(super) next: u64,
    /// The tree size at which the question is answered.
    pub(super) size: u64,
    pub(super) question: Question,
    /// When it goes on with the values of a window.
    pub(super) within: Option<Within>,
}

/// A window of which not all values have been answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Within {
    /// The seq behind its last one.
    pub(super) end: u64,
    /// The term of the value to go on with.
    pub(super) value: Vec<u8>,
}

/// Tells questions apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Question([u8; 16]);

impl Question {
    /// The question of this `kind` that these are the parts of.
    pub(super) fn new(kind: &str, range: (u64, u64), parts: &[&str]) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key(kind);
        hasher.update(&range.0.to_be_bytes());
        hasher.update(&range.1.to_be_bytes());
        for part in parts {
            hasher.update(&(part.len() as u64).to_be_bytes());
            hasher.update(part.as_bytes());
        }
        let mut digest = [0; 16];
        hasher.finalize_xof().fill(&mut digest);
        Self(digest)
    }
}

impl Token {
    /// The token of a request, which asks this question at this size; 0 for whatever size the token has. None if it has no
    /// token.
    pub(super) fn of_request(
        text: &str,
        question: Question,
        size: u64,
    ) -> Result<Option<Self>, Status> {
        if text.is_empty() {
            return Ok(None);
        }
        let token = Self::decode(text).ok_or_else(|| bad_request("page_token", "is not one"))?;
        if token.question != question {
            return Err(bad_request("page_token", "is of another question"));
        }
        if size != 0 && size != token.size {
            let rule = format!("is of size {}, not of {size}", token.size);
            return Err(bad_request("page_token", &rule));
        }
        Ok(Some(token))
    }

    pub(super) fn encode(&self) -> String {
        let (next, size) = (self.next.to_be_bytes(), self.size.to_be_bytes());
        let mut token = [&[VERSION][..], &next, &size, &self.question.0].concat();
        if let Some(Within { end, value }) = &self.within {
            token.extend_from_slice(&end.to_be_bytes());
            token.extend_from_slice(value);
        }
        BASE64_URL_SAFE_NO_PAD.encode(token)
    }

    fn decode(token: &str) -> Option<Self> {
        const MOST: usize = 64 + MAX_TERM_BYTES;
        if token.len() > MOST * 2 {
            return None;
        }
        let token = BASE64_URL_SAFE_NO_PAD.decode(token).ok()?;
        let (&[VERSION], rest) = token.split_first_chunk()? else {
            return None;
        };
        let (next, rest) = rest.split_first_chunk()?;
        let (size, rest) = rest.split_first_chunk()?;
        let (question, rest) = rest.split_first_chunk()?;
        let within = if rest.is_empty() {
            None
        } else {
            let (end, value) = rest.split_first_chunk()?;
            let value = (1..=MAX_TERM_BYTES)
                .contains(&value.len())
                .then(|| value.to_vec())?;
            let end = u64::from_be_bytes(*end);
            Some(Within { end, value })
        };
        Some(Self {
            next: u64::from_be_bytes(*next),
            size: u64::from_be_bytes(*size),
            question: Question(*question),
            within,
        })
    }
}
