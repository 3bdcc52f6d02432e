//! The header: the only thing that the chain and the tree hash, and all that mirrors carry.
//!
//! ```text
//! offset  size  field         83 bytes, big-endian
//!  0       1    version       1
//!  1       1    kind          1 event · 2 act of the ledger itself · 3 seal
//!  2       1    flags         bit 0: the envelope holds a valid actor's signature; others zero
//!  3       8    seq           position from 0: the leaf's index
//! 11       8    recorded_at   nanoseconds since 1970, UTC, never decreasing
//! 19      32    body_hash
//! 51      32    prev          chain hash of the entry before; of entry 0, the genesis hash
//!
//! chain hash = BLAKE3 derive-key "graven v1 chain", of the header
//! leaf hash  = SHA-256(0x00 ‖ header)
//! ```

use std::sync::LazyLock;

use blake3::Hasher;
use blake3::hazmat::{ContextKey, HasherExt, hash_derive_key_context};

use super::Digest;
use crate::merkle;

static CHAIN: LazyLock<ContextKey> = LazyLock::new(|| hash_derive_key_context("graven v1 chain"));

const VERSION: u8 = 1;
const FLAG_ACTOR_SIGNATURE: u8 = 1;

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// An event that a client sent.
    Event = 1,
    /// An act of the ledger itself.
    Act = 2,
    /// A commitment to the search index.
    Seal = 3,
}

/// The header of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// What the entry is.
    pub kind: Kind,
    /// The envelope holds a valid actor's signature.
    pub actor_signature: bool,
    /// The entry's position, from 0.
    pub seq: u64,
    /// The ledger's time, nanoseconds since 1970, UTC.
    pub recorded_at: u64,
    /// Hash of the body's commitments.
    pub body_hash: Digest,
    /// Chain hash of the entry before; of entry 0, the genesis hash.
    pub prev: Digest,
}

/// Why bytes are not a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeaderError {
    /// The length is another.
    #[error("a header has 83 bytes, not {0}")]
    Length(usize),
    /// The version is not known here.
    #[error("header version {0} is not known")]
    Version(u8),
    /// The kind is not known.
    #[error("header kind {0} is not known")]
    Kind(u8),
    /// A flag without a meaning is set.
    #[error("header flags {0:#04x} are not known")]
    Flags(u8),
}

impl Header {
    /// Length of its encoding, in bytes.
    pub const LEN: usize = 83;

    /// The 83 bytes.
    pub fn encode(&self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        let flags = if self.actor_signature {
            FLAG_ACTOR_SIGNATURE
        } else {
            0
        };
        let mut rest = bytes.as_mut_slice();
        let fields: [&[u8]; 5] = [
            &[VERSION, self.kind as u8, flags],
            &self.seq.to_be_bytes(),
            &self.recorded_at.to_be_bytes(),
            &self.body_hash,
            &self.prev,
        ];
        for field in fields {
            let (head, tail) = rest.split_at_mut(field.len());
            head.copy_from_slice(field);
            rest = tail;
        }
        bytes
    }

    /// Reads the 83 bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, HeaderError> {
        let wrong_length = || HeaderError::Length(bytes.len());
        let bytes: &[u8; Self::LEN] = bytes.try_into().map_err(|_| wrong_length())?;
        let (&[version, kind, flags], rest) = bytes.split_first_chunk().ok_or_else(wrong_length)?;
        let (seq, rest) = rest.split_first_chunk().ok_or_else(wrong_length)?;
        let (recorded_at, rest) = rest.split_first_chunk().ok_or_else(wrong_length)?;
        let (body_hash, rest) = rest.split_first_chunk().ok_or_else(wrong_length)?;
        let (prev, _) = rest.split_first_chunk().ok_or_else(wrong_length)?;
        if version != VERSION {
            return Err(HeaderError::Version(version));
        }
        if flags & !FLAG_ACTOR_SIGNATURE != 0 {
            return Err(HeaderError::Flags(flags));
        }
        Ok(Self {
            kind: Kind::from_number(kind).ok_or(HeaderError::Kind(kind))?,
            actor_signature: flags & FLAG_ACTOR_SIGNATURE != 0,
            seq: u64::from_be_bytes(*seq),
            recorded_at: u64::from_be_bytes(*recorded_at),
            body_hash: *body_hash,
            prev: *prev,
        })
    }

    /// What the next entry carries as `prev`.
    pub fn chain_hash(&self) -> Digest {
        chain_hash(&self.encode())
    }

    /// The entry's leaf in the tree.
    pub fn leaf_hash(&self) -> Digest {
        merkle::leaf_hash(&self.encode())
    }
}

/// The chain hash of an encoded header.
pub fn chain_hash(header: &[u8; Header::LEN]) -> Digest {
    Hasher::new_from_context_key(&CHAIN)
        .update(header)
        .finalize()
        .into()
}

impl Kind {
    /// The kind of this number, 1 to 3.
    pub fn from_number(number: u8) -> Option<Self> {
        [Self::Event, Self::Act, Self::Seal]
            .into_iter()
            .find(|kind| *kind as u8 == number)
    }
}
