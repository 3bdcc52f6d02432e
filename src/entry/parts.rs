//! The parts of a body, their salts and commitments.
//!
//! ```text
//! salts        = BLAKE3 derive-key "graven v1 salt", of seed[32], extended to 192 bytes; salt of tag t: bytes 32(t-1)..32t
//! commitment_t = BLAKE3 keyed by the salt of t, of the part's bytes
//! body_hash    = BLAKE3 derive-key "graven v1 body", of (tag u8 ‖ commitment[32])*   ascending by tag
//! ```
//!
//! Salts are independent of each other to anyone who does not hold the seed, so one part can be shown, or erased together
//! with the seed, without giving away another.

use std::sync::LazyLock;

use blake3::Hasher;
use blake3::hazmat::{ContextKey, HasherExt, hash_derive_key_context};
use zeroize::Zeroize;

use super::Digest;

static SALT: LazyLock<ContextKey> = LazyLock::new(|| hash_derive_key_context("graven v1 salt"));
static BODY: LazyLock<ContextKey> = LazyLock::new(|| hash_derive_key_context("graven v1 body"));

/// One of the six parts of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Tag {
    /// What the ledger knows.
    Envelope = 1,
    /// Who acted.
    Who = 2,
    /// What was done.
    What = 3,
    /// Where the record comes from.
    Context = 4,
    /// Why it was done.
    Why = 5,
    /// Free form and the raw original.
    Detail = 6,
}

impl Tag {
    /// Every tag, ascending.
    pub const ALL: [Self; 6] = [
        Self::Envelope,
        Self::Who,
        Self::What,
        Self::Context,
        Self::Why,
        Self::Detail,
    ];

    /// The tag of this number, 1 to 6.
    pub fn from_number(number: u32) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|tag| u32::from(tag.number()) == number)
    }

    /// Its number, 1 to 6.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// Its name, as in the proto file and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Envelope => "envelope",
            Self::Who => "who",
            Self::What => "what",
            Self::Context => "context",
            Self::Why => "why",
            Self::Detail => "detail",
        }
    }

    /// Whether the part can be erased: who, what and context are the evidence and stay.
    pub const fn is_erasable(self) -> bool {
        matches!(self, Self::Why | Self::Detail)
    }
}

/// The secret from which an entry's salts follow.
#[derive(Clone, PartialEq, Eq)]
pub struct Seed(pub [u8; 32]);

impl std::fmt::Debug for Seed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seed(…)")
    }
}

impl Drop for Seed {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// The salts of an entry's six parts.
pub struct Salts([u8; 192]);

impl Salts {
    /// The salts that follow from `seed`.
    pub fn derive(seed: &Seed) -> Self {
        let mut salts = [0; 192];
        Hasher::new_from_context_key(&SALT)
            .update(&seed.0)
            .finalize_xof()
            .fill(&mut salts);
        Self(salts)
    }

    /// The salt of the part `tag`.
    pub fn of(&self, tag: Tag) -> Digest {
        let (salts, _) = self.0.as_chunks::<32>();
        salts
            .get(usize::from(tag.number()) - 1)
            .copied()
            .unwrap_or_default()
    }
}

/// Commits to a part's bytes under its salt.
pub fn commitment(salt: &Digest, part: &[u8]) -> Digest {
    blake3::keyed_hash(salt, part).into()
}

/// Hashes a body's commitments. They must ascend by tag, each tag once.
pub fn body_hash(commitments: impl IntoIterator<Item = (Tag, Digest)>) -> Digest {
    let mut hasher = Hasher::new_from_context_key(&BODY);
    for (tag, commitment) in commitments {
        hasher.update(&[tag.number()]).update(&commitment);
    }
    hasher.finalize().into()
}
