//! What a pack keeps of an entry besides its parts: all that it takes to check them, less once something was erased.

use bytes::Bytes;

use crate::entry::body::{Body, Content};
use crate::entry::{Digest, Kind, Seed, Tag};

/// Flags of an entry.
const SIGNED: u8 = 1;
const ERASED: u8 = 2;

/// What of an entry a pack keeps besides its parts.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub(crate) kind: Kind,
    pub(crate) actor_signature: bool,
    pub(crate) body_hash: Digest,
    pub(crate) secret: Secret,
}

/// What opens the commitments of an entry.
#[derive(Debug, Clone)]
pub(crate) enum Secret {
    /// The seed of all its salts.
    Seed(Seed),
    /// What is left of them once a part was erased: one for each part of the entry, ascending by tag.
    Kept(Vec<(Tag, Kept)>),
}

/// What is kept of one part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kept {
    /// The part itself, and this salt.
    Salt(Digest),
    /// The part was erased.
    Erased {
        /// Its commitment.
        commitment: Digest,
        /// The seq of the entry that says so.
        by: u64,
    },
}

impl Stored {
    /// The body that these parts, which ascend by tag, are of. None if they are not the parts that are kept.
    pub(crate) fn body(&self, parts: Vec<(Tag, Bytes)>) -> Option<Body> {
        let kept = match &self.secret {
            Secret::Seed(seed) => return Body::disclose(seed, parts).ok(),
            Secret::Kept(kept) => kept,
        };
        let mut parts = parts.into_iter().peekable();
        let mut contents = Vec::with_capacity(kept.len());
        for (tag, kept) in kept {
            let content = match kept {
                Kept::Salt(salt) => Content::Disclosed {
                    bytes: parts.next_if(|(found, _)| found == tag)?.1,
                    salt: *salt,
                },
                Kept::Erased { commitment, .. } => Content::Erased(*commitment),
            };
            contents.push((*tag, content));
        }
        parts.next().is_none().then_some(())?;
        Body::new(contents).ok()
    }

    /// The parts that were erased, each with the seq of the entry that says so.
    pub(crate) fn erased_by(&self) -> Vec<(Tag, u64)> {
        let Secret::Kept(kept) = &self.secret else {
            return Vec::new();
        };
        let erased = kept.iter().filter_map(|(tag, kept)| match kept {
            Kept::Salt(_) => None,
            Kept::Erased { by, .. } => Some((*tag, *by)),
        });
        erased.collect()
    }

    /// The same after the parts `tags` of `body`, which is its own, were erased, as the entry `by` says.
    pub(crate) fn erase(&self, body: &Body, tags: &[Tag], by: u64) -> Self {
        let before = self.erased_by();
        let kept = body.parts().iter().map(|(tag, content)| {
            let kept = match content {
                Content::Disclosed { salt, .. } if !tags.contains(tag) => Kept::Salt(*salt),
                _ => {
                    let earlier = before.iter().find(|(erased, _)| erased == tag);
                    Kept::Erased {
                        commitment: content.commitment(),
                        by: earlier.map_or(by, |(_, by)| *by),
                    }
                }
            };
            (*tag, kept)
        });
        Self {
            secret: Secret::Kept(kept.collect()),
            ..self.clone()
        }
    }

    pub(crate) fn encode(&self, value: &mut Vec<u8>) {
        let erased = matches!(self.secret, Secret::Kept(_));
        value.push(self.kind as u8);
        value.push(u8::from(self.actor_signature) * SIGNED + u8::from(erased) * ERASED);
        value.extend_from_slice(&self.body_hash);
        match &self.secret {
            Secret::Seed(seed) => value.extend_from_slice(&seed.0),
            Secret::Kept(kept) => {
                // There are six parts.
                value.push(u8::try_from(kept.len()).unwrap_or(u8::MAX));
                for (tag, kept) in kept {
                    value.push(tag.number());
                    match kept {
                        Kept::Salt(salt) => {
                            value.push(0);
                            value.extend_from_slice(salt);
                        }
                        Kept::Erased { commitment, by } => {
                            value.push(1);
                            value.extend_from_slice(commitment);
                            value.extend_from_slice(&by.to_be_bytes());
                        }
                    }
                }
            }
        }
    }
}

/// Reads what is kept of an entry; `erasable` packs may have lost some of it. Gives the bytes behind it as well.
pub(crate) fn decode_record(erasable: bool, bytes: &[u8]) -> Option<(Stored, &[u8])> {
    let (&[kind, flags], rest) = bytes.split_first_chunk()?;
    let (body_hash, rest) = rest.split_first_chunk()?;
    let known = if erasable { SIGNED | ERASED } else { SIGNED };
    if flags & !known != 0 {
        return None;
    }
    let (secret, rest) = if flags & ERASED == 0 {
        let (seed, rest) = rest.split_first_chunk()?;
        (Secret::Seed(Seed(*seed)), rest)
    } else {
        let (kept, rest) = decode_kept(rest)?;
        (Secret::Kept(kept), rest)
    };
    let record = Stored {
        kind: Kind::from_number(kind)?,
        actor_signature: flags & SIGNED != 0,
        body_hash: *body_hash,
        secret,
    };
    Some((record, rest))
}

/// What is kept of an entry's parts, and the bytes behind that.
type KeptParts<'a> = (Vec<(Tag, Kept)>, &'a [u8]);

fn decode_kept(bytes: &[u8]) -> Option<KeptParts<'_>> {
    let (&count, mut rest) = bytes.split_first()?;
    let mut kept: Vec<(Tag, Kept)> = Vec::new();
    for _ in 0..count {
        let (&[tag, what], behind) = rest.split_first_chunk()?;
        let tag = Tag::from_number(u32::from(tag))?;
        let (digest, behind) = behind.split_first_chunk()?;
        let after_last = kept.last().is_none_or(|(last, _)| *last < tag);
        let part = match what {
            0 if after_last => {
                rest = behind;
                Kept::Salt(*digest)
            }
            1 if after_last && tag.is_erasable() => {
                let (by, behind) = behind.split_first_chunk()?;
                rest = behind;
                Kept::Erased {
                    commitment: *digest,
                    by: u64::from_be_bytes(*by),
                }
            }
            _ => return None,
        };
        kept.push((tag, part));
    }
    let erased = kept
        .iter()
        .any(|(_, kept)| matches!(kept, Kept::Erased { .. }));
    erased.then_some((kept, rest))
}
