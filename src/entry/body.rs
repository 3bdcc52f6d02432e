//! A body as it can be shown: each part disclosed, withheld or erased, and still bound by the header.

use bytes::Bytes;

use super::Digest;
use super::canonical::check;
use super::invalid::{Invalid, Problem};
use super::parts::{Salts, Seed, Tag, body_hash, commitment};
use super::schema::schema_of;

/// One part of a body, as far as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// The bytes that were sealed, with the salt of their commitment.
    Disclosed {
        /// The part's canonical encoding.
        bytes: Bytes,
        /// The salt.
        salt: Digest,
    },
    /// Held back: the commitment alone.
    Withheld(Digest),
    /// Erased, which an entry of the ledger says: the commitment alone.
    Erased(Digest),
}

/// The parts of an entry, ascending by tag, each tag once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Body {
    parts: Vec<(Tag, Content)>,
}

impl Body {
    /// A body of these parts. They must ascend by tag.
    pub fn new(parts: Vec<(Tag, Content)>) -> Result<Self, Invalid> {
        if parts.is_sorted_by(|(a, _), (b, _)| a < b) {
            Ok(Self { parts })
        } else {
            Err(Invalid::new(
                "body",
                Problem::NotCanonical("parts repeat or are out of order"),
            ))
        }
    }

    /// The body whose parts are all disclosed under the salts of `seed`. The parts must ascend by tag.
    pub fn disclose(seed: &Seed, parts: Vec<(Tag, Bytes)>) -> Result<Self, Invalid> {
        let salts = Salts::derive(seed);
        let disclosed = |(tag, bytes)| {
            (
                tag,
                Content::Disclosed {
                    bytes,
                    salt: salts.of(tag),
                },
            )
        };
        Self::new(parts.into_iter().map(disclosed).collect())
    }

    /// Its parts, ascending by tag.
    pub fn parts(&self) -> &[(Tag, Content)] {
        &self.parts
    }

    /// The part `tag`, if the body has it.
    pub fn content(&self, tag: Tag) -> Option<&Content> {
        self.parts
            .iter()
            .find(|(found, _)| *found == tag)
            .map(|(_, content)| content)
    }

    /// The bytes of the part `tag`, if it is disclosed.
    pub fn disclosed(&self, tag: Tag) -> Option<&Bytes> {
        match self.content(tag) {
            Some(Content::Disclosed { bytes, .. }) => Some(bytes),
            _ => None,
        }
    }

    /// The commitments, computed from the bytes of disclosed parts.
    pub fn commitments(&self) -> impl Iterator<Item = (Tag, Digest)> {
        self.parts
            .iter()
            .map(|(tag, content)| (*tag, content.commitment()))
    }

    /// What the header carries for this body.
    pub fn hash(&self) -> Digest {
        body_hash(self.commitments())
    }

    /// The same body without the bytes of the parts in `tags`.
    #[must_use]
    pub fn withhold(mut self, tags: &[Tag]) -> Self {
        for (tag, content) in &mut self.parts {
            if tags.contains(tag) && matches!(content, Content::Disclosed { .. }) {
                *content = Content::Withheld(content.commitment());
            }
        }
        self
    }

    /// The same body with copies of its parts, which keep nothing else in memory: what they were parts of can be large.
    #[must_use]
    pub fn detached(mut self) -> Self {
        for (_, content) in &mut self.parts {
            if let Content::Disclosed { bytes, .. } = content {
                *bytes = Bytes::copy_from_slice(bytes);
            }
        }
        self
    }

    /// Checks that every disclosed part is the canonical encoding of its message.
    pub fn check(&self) -> Result<(), Invalid> {
        for (tag, content) in &self.parts {
            if let Content::Disclosed { bytes, .. } = content {
                check_part(*tag, bytes)?;
            }
        }
        Ok(())
    }
}

impl Content {
    /// The commitment to the part.
    pub fn commitment(&self) -> Digest {
        match self {
            Self::Disclosed { bytes, salt } => commitment(salt, bytes),
            Self::Withheld(commitment) | Self::Erased(commitment) => *commitment,
        }
    }
}

/// Checks that `bytes` are the canonical encoding of the part `tag`.
pub fn check_part(tag: Tag, bytes: &[u8]) -> Result<(), Invalid> {
    check(bytes, schema_of(tag)).map_err(|invalid| invalid.inside(tag.name()))
}
