//! The head: what every batch says of the ledger after it, under a tag that only this ledger can make.
//!
//! ```text
//!   0  version      u8   1
//!   1  size         u64  entries, big-endian
//!   9  recorded_at  u64  of the last entry, ns since 1970; 0 when there is none
//!  17  chain        [32] chain hash of the last entry; the genesis hash when there is none
//!  49  root         [32] of the tree
//!  81  tag          [32] BLAKE3 of bytes 0..81, keyed by a secret derived from the log's seed
//! ```
//!
//! Entries beyond the anchor are signed at start only under a good tag, so that edited files do not become a request for a
//! signature.

use super::error::{Damage, LedgerError};
use crate::entry::Digest;

const VERSION: u8 = 1;
/// Context under which the tag's key is derived from the log's seed.
pub(crate) const TAG_KEY_CONTEXT: &str = "graven v1 head tag";

/// The ledger after a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) size: u64,
    pub(crate) recorded_at: u64,
    pub(crate) chain: Digest,
    pub(crate) root: Digest,
}

impl Head {
    pub(crate) const LEN: usize = 113;

    pub(crate) fn encode(&self, tag_key: &Digest) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(Self::LEN);
        bytes.push(VERSION);
        bytes.extend_from_slice(&self.size.to_be_bytes());
        bytes.extend_from_slice(&self.recorded_at.to_be_bytes());
        bytes.extend_from_slice(&self.chain);
        bytes.extend_from_slice(&self.root);
        let tag = blake3::keyed_hash(tag_key, &bytes);
        bytes.extend_from_slice(tag.as_bytes());
        bytes
    }

    /// Reads a head. Whether its tag is good is another question: [`Head::has_tag`].
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, LedgerError> {
        let read = || {
            let (&[version], rest) = bytes.split_first_chunk()?;
            let (size, rest) = rest.split_first_chunk()?;
            let (recorded_at, rest) = rest.split_first_chunk()?;
            let (chain, rest) = rest.split_first_chunk()?;
            let (root, rest) = rest.split_first_chunk()?;
            (version == VERSION && rest.len() == 32).then_some(Self {
                size: u64::from_be_bytes(*size),
                recorded_at: u64::from_be_bytes(*recorded_at),
                chain: *chain,
                root: *root,
            })
        };
        read().ok_or_else(|| LedgerError::Damaged(Damage::of("the head cannot be decoded")))
    }

    /// Whether `encoded`, from which this head was read, carries the tag made with `tag_key`.
    pub(crate) fn has_tag(&self, encoded: &[u8], tag_key: &Digest) -> bool {
        let expected = self.encode(tag_key);
        // blake3::Hash compares in constant time.
        blake3::hash(encoded) == blake3::hash(&expected)
    }
}
