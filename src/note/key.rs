use std::fmt::{self, Debug, Display, Formatter};
use std::str::FromStr;

use ed25519_dalek::{Signer, SigningKey, VerifyingKey};
use sha2::{Digest, Sha256};
use thiserror::Error;
use zeroize::Zeroizing;

use super::name::{NameError, check_name};
use super::signature::Signature;
use super::text::{base64, parse_base64};

/// The short identifier that, with the name, says which key made a signature.
///
/// Four bytes anyone can collide on purpose: it selects the key to verify with and proves nothing.
pub type KeyId = [u8; 4];

const PRIVATE_PREFIX: &str = "PRIVATE+KEY+";

/// What a key signs, as signed-note assigns type bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SignatureType {
    /// 0x01: Ed25519 over the text of a note.
    Ed25519,
    /// 0x04: Ed25519 over a checkpoint and a time (tlog-cosignature).
    CosignatureV1,
}

impl SignatureType {
    /// The byte in keys and key ids.
    pub fn byte(self) -> u8 {
        match self {
            Self::Ed25519 => 0x01,
            Self::CosignatureV1 => 0x04,
        }
    }

    fn from_byte(byte: u8) -> Option<Self> {
        [Self::Ed25519, Self::CosignatureV1]
            .into_iter()
            .find(|kind| kind.byte() == byte)
    }
}

/// Why a key was refused. Never holds any of the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The name of the key is not one.
    #[error("key name: {0}")]
    Name(#[from] NameError),
    /// A verifier key is `<name>+<8 hex digits>+<base64>`, a signer key `PRIVATE+KEY+` before that.
    #[error("key is not three parts separated by +")]
    Malformed,
    /// Eight lower-case hexadecimal digits are expected.
    #[error("key id is not eight lower-case hexadecimal digits")]
    MalformedId,
    /// The last part is not base64 of a type byte and 32 bytes.
    #[error("key material is not the base64 of a type byte and 32 bytes")]
    MalformedMaterial,
    /// Another algorithm, or a type byte for another use.
    #[error("key has type {found:#04x}, which is not usable here")]
    UnusableType {
        /// The type byte.
        found: u8,
    },
    /// The id does not follow from name and key.
    #[error("key id does not match name and key material")]
    WrongId,
    /// Not a point of the curve, not its one encoding, or of small order.
    #[error("public key is not a sound Ed25519 point")]
    WeakKey,
}

/// A public key under its name: what a client trusts.
#[derive(Clone, PartialEq, Eq)]
pub struct VerifierKey {
    name: String,
    kind: SignatureType,
    id: KeyId,
    key: VerifyingKey,
}

impl VerifierKey {
    /// A key from its parts.
    ///
    /// Refuses encodings that are no point, not the canonical one, or of small order: for the latter
    /// signatures can be made that verify for any text.
    pub fn new(name: &str, kind: SignatureType, public: &[u8; 32]) -> Result<Self, KeyError> {
        check_name(name)?;
        let key = VerifyingKey::from_bytes(public).map_err(|_| KeyError::WeakKey)?;
        if key.is_weak() || key.to_edwards().compress().to_bytes() != *public {
            return Err(KeyError::WeakKey);
        }
        Ok(Self::from_sound_parts(name, kind, key))
    }

    /// For names and keys that were checked before.
    pub(super) fn from_sound_parts(name: &str, kind: SignatureType, key: VerifyingKey) -> Self {
        Self {
            name: name.to_owned(),
            kind,
            id: key_id(name, kind, &key),
            key,
        }
    }

    /// Parses `<name>+<8 hex digits>+<base64 of type and key>`.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let (name, id, material) = split_key(text)?;
        check_name(name)?;
        let (kind, public) = parse_material(material)?;
        let key = Self::new(name, kind, &public)?;
        if parse_id(id)? == key.id {
            Ok(key)
        } else {
            Err(KeyError::WrongId)
        }
    }

    /// Name of the key: for a log, its origin.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The key's id: SHA-256(name ‖ 0x0A ‖ type ‖ public key), the first four bytes.
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// What the key signs.
    pub fn kind(&self) -> SignatureType {
        self.kind
    }

    /// The public key as RFC 8032 encodes it. Two keys are one and the same if these are equal.
    pub fn public_key(&self) -> &[u8; 32] {
        self.key.as_bytes()
    }

    /// Whether `signature` is this key's over exactly `message`.
    ///
    /// Strict: no small-order points, no second encoding of a signature.
    pub(super) fn signed(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        let signature = ed25519_dalek::Signature::from_bytes(signature);
        self.key.verify_strict(message, &signature).is_ok()
    }
}

impl Display for VerifierKey {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let material = base64(&*typed(self.kind, self.public_key()));
        write!(
            f,
            "{}+{:08x}+{material}",
            self.name,
            u32::from_be_bytes(self.id)
        )
    }
}

impl Debug for VerifierKey {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "VerifierKey({self})")
    }
}

impl FromStr for VerifierKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

/// A private key that signs notes (type 0x01). Wiped from memory when dropped.
#[derive(Clone)]
pub struct SignerKey(PrivateKey);

impl SignerKey {
    /// A key from 32 secret random bytes, which are all of it.
    pub fn from_seed(name: &str, seed: [u8; 32]) -> Result<Self, KeyError> {
        PrivateKey::from_seed(name, SignatureType::Ed25519, seed).map(Self)
    }

    /// Parses `PRIVATE+KEY+<name>+<8 hex digits>+<base64 of 0x01 and seed>`, as Go's note package
    /// writes it.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        PrivateKey::parse(text, SignatureType::Ed25519).map(Self)
    }

    /// The text [`SignerKey::parse`] reads. Secret.
    pub fn encode(&self) -> Zeroizing<String> {
        self.0.encode()
    }

    /// Name of the key: for a log, its origin.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The public half.
    pub fn verifier(&self) -> VerifierKey {
        self.0.verifier()
    }

    /// Signs the text of a note.
    ///
    /// Whether the text may be signed is the caller's to know: a log's key signs its checkpoints and
    /// key rotations, nothing else.
    pub fn sign(&self, text: &str) -> Signature {
        let id = self.verifier().id();
        Signature::from_sound_parts(&self.0.name, id, &self.0.sign(text.as_bytes()))
    }

    /// A secret for another purpose, from which the key cannot be told: BLAKE3 in its
    /// key-derivation mode, of the seed.
    ///
    /// `context` is a constant of the program that names the purpose, and is used for no other.
    pub fn derive(&self, context: &str) -> [u8; 32] {
        blake3::derive_key(context, self.0.key.as_bytes())
    }
}

impl Debug for SignerKey {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "SignerKey({}, secret)", self.0.name)
    }
}

/// What signers and cosigners have in common. The seed is wiped when dropped, by [`SigningKey`].
#[derive(Clone)]
pub(super) struct PrivateKey {
    pub(super) name: String,
    kind: SignatureType,
    key: SigningKey,
}

impl PrivateKey {
    pub(super) fn from_seed(
        name: &str,
        kind: SignatureType,
        seed: [u8; 32],
    ) -> Result<Self, KeyError> {
        let seed = Zeroizing::new(seed);
        check_name(name)?;
        Ok(Self {
            name: name.to_owned(),
            kind,
            key: SigningKey::from_bytes(&seed),
        })
    }

    pub(super) fn parse(text: &str, kind: SignatureType) -> Result<Self, KeyError> {
        let text = text
            .strip_prefix(PRIVATE_PREFIX)
            .ok_or(KeyError::Malformed)?;
        let (name, id, material) = split_key(text)?;
        let (found, seed) = parse_material(material)?;
        if found != kind {
            return Err(KeyError::UnusableType {
                found: found.byte(),
            });
        }
        let key = Self::from_seed(name, kind, *seed)?;
        if parse_id(id)? == key.verifier().id() {
            Ok(key)
        } else {
            Err(KeyError::WrongId)
        }
    }

    pub(super) fn encode(&self) -> Zeroizing<String> {
        let id = u32::from_be_bytes(self.verifier().id());
        let material = Zeroizing::new(base64(&*typed(self.kind, self.key.as_bytes())));
        Zeroizing::new(format!(
            "{PRIVATE_PREFIX}{}+{id:08x}+{}",
            self.name, *material
        ))
    }

    pub(super) fn verifier(&self) -> VerifierKey {
        VerifierKey::from_sound_parts(&self.name, self.kind, self.key.verifying_key())
    }

    pub(super) fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.key.sign(message).to_bytes()
    }
}

fn split_key(text: &str) -> Result<(&str, &str, &str), KeyError> {
    let mut parts = text.splitn(3, '+');
    match (parts.next(), parts.next(), parts.next()) {
        // The base64 of the key may well hold a plus of its own.
        (Some(name), Some(id), Some(material)) => Ok((name, id, material)),
        _ => Err(KeyError::Malformed),
    }
}

fn parse_id(text: &str) -> Result<KeyId, KeyError> {
    let id = u32::from_str_radix(text, 16).map_err(|_| KeyError::MalformedId)?;
    if format!("{id:08x}") == text {
        Ok(id.to_be_bytes())
    } else {
        Err(KeyError::MalformedId)
    }
}

fn parse_material(text: &str) -> Result<(SignatureType, Zeroizing<[u8; 32]>), KeyError> {
    let bytes = parse_base64(text)
        .map(Zeroizing::new)
        .ok_or(KeyError::MalformedMaterial)?;
    let (byte, key) = bytes.split_first().ok_or(KeyError::MalformedMaterial)?;
    let kind = SignatureType::from_byte(*byte).ok_or(KeyError::UnusableType { found: *byte })?;
    let key = key.try_into().map_err(|_| KeyError::MalformedMaterial)?;
    Ok((kind, Zeroizing::new(key)))
}

fn typed(kind: SignatureType, key: &[u8; 32]) -> Zeroizing<[u8; 33]> {
    let mut typed = Zeroizing::new([kind.byte(); 33]);
    let (_, rest) = typed.split_at_mut(1);
    rest.copy_from_slice(key);
    typed
}

fn key_id(name: &str, kind: SignatureType, key: &VerifyingKey) -> KeyId {
    let hash = Sha256::new()
        .chain_update(name)
        .chain_update([b'\n', kind.byte()])
        .chain_update(key.as_bytes())
        .finalize();
    let [a, b, c, d, ..] = <[u8; 32]>::from(hash);
    [a, b, c, d]
}
