//! A signing key under a passphrase, as a file has it.
//!
//! ```text
//! graven encrypted key v1
//! name <name of the key>
//! argon2id <KiB of memory> <passes> <lanes>
//! salt <base64 of 16 bytes>
//! sealed <base64>
//!
//! secret = Argon2id version 1.3 of passphrase and salt, without key and data, 32 bytes      RFC 9106
//! sealed = ChaCha20-Poly1305 under secret and a nonce of zeros, of PRIVATE+KEY+…            RFC 8439
//!          with the four lines above, newlines included, as associated data
//! ```
//!
//! The salt is drawn for each file, so that a secret seals one text and needs no nonce. Who writes a file chooses the cost of
//! opening it, within bounds.

use std::fmt::Write;
use std::ops::RangeInclusive;
use std::str::FromStr;

use argon2::{Algorithm, Argon2, Block, Params, Version};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use zeroize::{Zeroize, Zeroizing};

use crate::note::SignerKey;

const FIRST_LINE: &str = "graven encrypted key v1";
const NONCE: [u8; 12] = [0; 12];
const TAG_BYTES: usize = 16;
/// The largest file, in bytes: a key's name has at most 255 bytes.
const MAX_BYTES: usize = 4_096;
/// What opening may cost: memory in KiB, 8 MiB to 1 GiB; passes; lanes.
const MEMORY: RangeInclusive<u32> = 8 * 1024..=1024 * 1024;
const PASSES: RangeInclusive<u32> = 1..=16;
const LANES: RangeInclusive<u32> = 1..=16;

/// What it costs to try a passphrase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PassphraseCost {
    /// Memory in KiB, 8,192 to 1,048,576.
    pub memory: u32,
    /// Passes over it, 1 to 16.
    pub passes: u32,
    /// Lanes, 1 to 16.
    pub lanes: u32,
}

impl Default for PassphraseCost {
    /// 64 MiB, the second choice of RFC 9106.
    fn default() -> Self {
        Self {
            memory: 64 * 1024,
            passes: 3,
            lanes: 4,
        }
    }
}

/// A signing key that nobody can use without its passphrase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncryptedKey {
    name: String,
    cost: PassphraseCost,
    salt: [u8; 16],
    sealed: Vec<u8>,
}

/// Why there is no key. Never holds any of it, nor of the passphrase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncryptedKeyError {
    /// It does not have the form of an encrypted key.
    #[error("is not an encrypted key: {0}")]
    Malformed(&'static str),
    /// Opening it would cost too much, or too little to protect anything.
    #[error(
        "asks for a cost that is not accepted: 8192 to 1048576 KiB of memory, 1 to 16 passes, 1 to 16 lanes are"
    )]
    Cost,
    /// It has another passphrase, or was altered: these cannot be told apart.
    #[error("is not opened by this passphrase, or was altered")]
    Wrong,
    /// There is no memory to try the passphrase.
    #[error("cannot be opened: there is not enough memory")]
    Memory,
}

impl EncryptedKey {
    /// Whether a file says that it is one.
    pub fn is_one(text: &str) -> bool {
        text.lines().next() == Some(FIRST_LINE)
    }

    /// Seals `key` under a passphrase. `salt` has to be random, and never used before.
    pub fn seal(
        key: &SignerKey,
        passphrase: &[u8],
        cost: PassphraseCost,
        salt: [u8; 16],
    ) -> Result<Self, EncryptedKeyError> {
        cost.check()?;
        let mut sealed = Self {
            name: key.name().to_owned(),
            cost,
            salt,
            sealed: Vec::new(),
        };
        let secret = sealed.secret(passphrase)?;
        // With room for the tag, so that no copy of the key is left where the text was.
        let text = key.encode();
        let mut bytes = Zeroizing::new(Vec::with_capacity(text.len() + TAG_BYTES));
        bytes.extend_from_slice(text.as_bytes());
        let aad = Aad::from(sealed.head());
        let tag = aead(&secret)?.seal_in_place_separate_tag(nonce(), aad, &mut bytes);
        let tag = tag.map_err(|_| EncryptedKeyError::Malformed("the key cannot be sealed"))?;
        sealed.sealed = [bytes.as_slice(), tag.as_ref()].concat();
        Ok(sealed)
    }

    /// The key, if this is its passphrase. Takes the memory and the time that the file says.
    pub fn open(&self, passphrase: &[u8]) -> Result<SignerKey, EncryptedKeyError> {
        let secret = self.secret(passphrase)?;
        let mut bytes = Zeroizing::new(self.sealed.clone());
        let opened = aead(&secret)?.open_in_place(nonce(), Aad::from(self.head()), &mut bytes);
        let opened = opened.map_err(|_| EncryptedKeyError::Wrong)?;
        let text = std::str::from_utf8(opened).ok();
        let key = text.and_then(|text| SignerKey::parse(text).ok());
        // Whoever sealed it knew the passphrase, and still wrote no key of that name.
        key.filter(|key| key.name() == self.name)
            .ok_or(EncryptedKeyError::Malformed(
                "what is sealed is no key of its name",
            ))
    }

    /// Reads the text of a file. Only one text of the same key, cost and salt is accepted.
    pub fn parse(text: &str) -> Result<Self, EncryptedKeyError> {
        let bad = EncryptedKeyError::Malformed;
        if text.len() > MAX_BYTES {
            return Err(bad("it is too long"));
        }
        let mut lines = text.lines();
        if lines.next() != Some(FIRST_LINE) {
            return Err(bad("its first line is another"));
        }
        let mut field = |name: &'static str| {
            let line = lines.next().and_then(|line| line.strip_prefix(name));
            line.and_then(|line| line.strip_prefix(' ')).ok_or(bad(
                "its lines are not name, argon2id, salt and sealed, in this order",
            ))
        };
        let (name, cost, salt, sealed) = (
            field("name")?,
            field("argon2id")?,
            field("salt")?,
            field("sealed")?,
        );
        let decode = |text: &str| {
            BASE64_STANDARD
                .decode(text)
                .map_err(|_| bad("it has bad base64"))
        };
        let salt = decode(salt)?.try_into();
        let key = Self {
            name: name.to_owned(),
            cost: cost.parse()?,
            salt: salt.map_err(|_| bad("its salt does not have 16 bytes"))?,
            sealed: decode(sealed)?,
        };
        if key.sealed.len() <= TAG_BYTES {
            return Err(bad("nothing is sealed in it"));
        }
        if *key.encode() != *text {
            return Err(bad(
                "there is more than five lines, or a number or base64 written otherwise",
            ));
        }
        Ok(key)
    }

    /// The text that [`parse`](Self::parse) reads, with its last newline.
    pub fn encode(&self) -> String {
        format!(
            "{}sealed {}\n",
            self.head(),
            BASE64_STANDARD.encode(&self.sealed)
        )
    }

    /// The name of the key: for a log, its origin. Not to be believed before it was opened.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The lines that are not secret.
    fn head(&self) -> String {
        let PassphraseCost {
            memory,
            passes,
            lanes,
        } = self.cost;
        let salt = BASE64_STANDARD.encode(self.salt);
        let mut head = format!("{FIRST_LINE}\nname {}\n", self.name);
        // Writing to a string does not fail.
        let _ = write!(head, "argon2id {memory} {passes} {lanes}\nsalt {salt}\n");
        head
    }

    fn secret(&self, passphrase: &[u8]) -> Result<Zeroizing<[u8; 32]>, EncryptedKeyError> {
        let PassphraseCost {
            memory,
            passes,
            lanes,
        } = self.cost;
        let params =
            Params::new(memory, passes, lanes, Some(32)).map_err(|_| EncryptedKeyError::Cost)?;
        let count = params.block_count();
        let mut blocks: Vec<Block> = Vec::new();
        blocks
            .try_reserve_exact(count)
            .map_err(|_| EncryptedKeyError::Memory)?;
        blocks.resize(count, Block::new());
        let mut secret = Zeroizing::new([0; 32]);
        let hashed = Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into_with_memory(passphrase, &self.salt, &mut *secret, &mut blocks);
        blocks.iter_mut().for_each(Zeroize::zeroize);
        hashed.map_err(|_| EncryptedKeyError::Cost)?;
        Ok(secret)
    }
}

impl PassphraseCost {
    fn check(self) -> Result<Self, EncryptedKeyError> {
        let fits = MEMORY.contains(&self.memory)
            && PASSES.contains(&self.passes)
            && LANES.contains(&self.lanes);
        fits.then_some(self).ok_or(EncryptedKeyError::Cost)
    }
}

impl FromStr for PassphraseCost {
    type Err = EncryptedKeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut numbers = text.split(' ').map(str::parse);
        let (Some(Ok(memory)), Some(Ok(passes)), Some(Ok(lanes)), None) = (
            numbers.next(),
            numbers.next(),
            numbers.next(),
            numbers.next(),
        ) else {
            return Err(EncryptedKeyError::Malformed(
                "its cost is not three numbers",
            ));
        };
        Self {
            memory,
            passes,
            lanes,
        }
        .check()
    }
}

fn aead(secret: &[u8; 32]) -> Result<LessSafeKey, EncryptedKeyError> {
    let key = UnboundKey::new(&CHACHA20_POLY1305, secret);
    // It has the length that it needs.
    key.map(LessSafeKey::new)
        .map_err(|_| EncryptedKeyError::Wrong)
}

fn nonce() -> Nonce {
    Nonce::assume_unique_for_key(NONCE)
}
