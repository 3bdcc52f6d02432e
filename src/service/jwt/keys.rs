//! The keys of an issuer: a JSON web key set (RFC 7517).

use std::ops::RangeInclusive;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents,
    UnparsedPublicKey,
};
use serde::Deserialize;

use super::Algorithm;

/// The largest file of keys, in bytes.
pub(super) const MAX_BYTES: usize = 256 * 1024;
const MAX_KEYS: usize = 64;
/// RSA moduli, in bytes: 2048 to 8192 bits.
const MODULUS_BYTES: RangeInclusive<usize> = 256..=1024;

/// The public keys that an issuer signs with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeySet {
    keys: Vec<Key>,
}

/// Why a file of keys cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeysError {
    /// It is too large.
    #[error("has more than {MAX_BYTES} bytes or {MAX_KEYS} keys")]
    TooLarge,
    /// It is not a key set.
    #[error("is not a JSON web key set: {0}")]
    Malformed(String),
    /// A key cannot be one.
    #[error("key {0} is malformed")]
    Key(usize),
    /// Two keys cannot be told apart.
    #[error("two keys for one algorithm have the kid {0:?}")]
    KidTwice(String),
    /// There is no key that could sign a token.
    #[error("has no key for EdDSA, ES256 or RS256")]
    Empty,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::service) struct Key {
    kid: Option<String>,
    public: Public,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Public {
    Ed25519(Vec<u8>),
    P256(Vec<u8>),
    Rsa { n: Vec<u8>, e: Vec<u8> },
}

#[derive(Deserialize)]
struct File {
    keys: Vec<Line>,
}

#[derive(Deserialize)]
struct Line {
    kty: String,
    #[serde(rename = "use")]
    usage: Option<String>,
    alg: Option<String>,
    kid: Option<String>,
    crv: Option<String>,
    x: Option<String>,
    y: Option<String>,
    n: Option<String>,
    e: Option<String>,
}

impl KeySet {
    /// Reads a key set. Keys of other kinds, and those that are not for signatures, are left out.
    pub fn parse(text: &[u8]) -> Result<Self, KeysError> {
        if text.len() > MAX_BYTES {
            return Err(KeysError::TooLarge);
        }
        let file: File = serde_json::from_slice(text)
            .map_err(|error| KeysError::Malformed(error.to_string()))?;
        if file.keys.len() > MAX_KEYS {
            return Err(KeysError::TooLarge);
        }
        let mut keys: Vec<Key> = Vec::new();
        for (index, line) in file.keys.into_iter().enumerate() {
            let Some((algorithm, public)) = line.read().map_err(|()| KeysError::Key(index))? else {
                continue;
            };
            let twice = |key: &Key| key.public.algorithm() == algorithm && key.kid == line.kid;
            if keys.iter().any(twice) {
                return Err(KeysError::KidTwice(line.kid.unwrap_or_default()));
            }
            keys.push(Key {
                kid: line.kid,
                public,
            });
        }
        if keys.is_empty() {
            return Err(KeysError::Empty);
        }
        Ok(Self { keys })
    }

    /// No keys: what there is before they were fetched.
    pub(super) fn none() -> Self {
        Self { keys: Vec::new() }
    }

    /// Whether there are none, which no file says.
    pub(in crate::service) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether this is one of them.
    pub(in crate::service) fn has(&self, key: &Key) -> bool {
        self.keys.contains(key)
    }

    /// The key for a token: the one that it names, or the only one for its algorithm if it names none.
    pub(super) fn find(&self, algorithm: Algorithm, kid: Option<&str>) -> Option<&Key> {
        let mut fitting = self
            .keys
            .iter()
            .filter(|key| key.public.algorithm() == algorithm)
            .filter(|key| kid.is_none() || key.kid.as_deref() == kid);
        let found = fitting.next()?;
        fitting.next().is_none().then_some(found)
    }
}

impl Key {
    pub(super) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        let verified = match &self.public {
            Public::Ed25519(key) => {
                UnparsedPublicKey::new(&ED25519, key).verify(message, signature)
            }
            Public::P256(key) => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key).verify(message, signature)
            }
            Public::Rsa { n, e } => {
                let key = RsaPublicKeyComponents { n, e };
                key.verify(&RSA_PKCS1_2048_8192_SHA256, message, signature)
            }
        };
        verified.is_ok()
    }
}

impl Public {
    fn algorithm(&self) -> Algorithm {
        match self {
            Self::Ed25519(_) => Algorithm::EdDsa,
            Self::P256(_) => Algorithm::Es256,
            Self::Rsa { .. } => Algorithm::Rs256,
        }
    }
}

impl Line {
    /// The key, if it is of a kind that tokens are signed with.
    fn read(&self) -> Result<Option<(Algorithm, Public)>, ()> {
        let for_signatures = self.usage.as_deref().is_none_or(|usage| usage == "sig");
        let public = match (self.kty.as_str(), self.crv.as_deref()) {
            ("OKP", Some("Ed25519")) => Public::Ed25519(bytes(self.x.as_ref(), 32..=32)?),
            ("EC", Some("P-256")) => {
                let (x, y) = (
                    bytes(self.x.as_ref(), 32..=32)?,
                    bytes(self.y.as_ref(), 32..=32)?,
                );
                Public::P256([&[4][..], &x, &y].concat())
            }
            ("RSA", _) => Public::Rsa {
                n: number(self.n.as_ref(), MODULUS_BYTES)?,
                e: number(self.e.as_ref(), 1..=8)?,
            },
            _ => return Ok(None),
        };
        let algorithm = public.algorithm();
        let named = self.alg.as_deref();
        let fits = named.is_none_or(|name| Algorithm::parse(name) == Some(algorithm));
        Ok((for_signatures && fits).then_some((algorithm, public)))
    }
}

fn bytes(text: Option<&String>, length: RangeInclusive<usize>) -> Result<Vec<u8>, ()> {
    let decoded = BASE64_URL_SAFE_NO_PAD.decode(text.ok_or(())?);
    decoded
        .map_err(drop)
        .and_then(|bytes| length.contains(&bytes.len()).then_some(bytes).ok_or(()))
}

/// A number, without the zeros that some write before it.
fn number(text: Option<&String>, length: RangeInclusive<usize>) -> Result<Vec<u8>, ()> {
    let mut number = bytes(text, 0..=MAX_BYTES)?;
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number.drain(..zeros);
    length.contains(&number.len()).then_some(number).ok_or(())
}
