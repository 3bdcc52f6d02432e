//! Public keys as SSH has them, and what each kind of them signs: see [`ssh_signature`](super::ssh_signature).

use std::ops::RangeInclusive;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use ed25519_dalek::{Signature, VerifyingKey};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, EcdsaVerificationAlgorithm,
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA512, RsaPublicKeyComponents,
    UnparsedPublicKey,
};
use sha2::{Digest as _, Sha256};

use super::hex;
use super::ssh_signature::SshProblem;

const ED25519: &[u8] = b"ssh-ed25519";
const SECURITY_KEY: &[u8] = b"sk-ssh-ed25519@openssh.com";
const RSA: &[u8] = b"ssh-rsa";
const RSA_SHA256: &[u8] = b"rsa-sha2-256";
const RSA_SHA512: &[u8] = b"rsa-sha2-512";
const TOUCHED: u8 = 1;
/// What stands before the two coordinates of a point.
const UNCOMPRESSED: u8 = 4;
/// RSA moduli, in bits, and public exponents, in bytes.
const MODULUS_BITS: RangeInclusive<usize> = 2_048..=8_192;
const EXPONENT_BYTES: RangeInclusive<usize> = 1..=4;
/// The most that is said of a type that is not known, in bytes.
const SHOWN_TYPE_BYTES: usize = 64;

/// A public key as SSH has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey(Kind);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Ed25519([u8; 32]),
    SecurityKey {
        key: [u8; 32],
        /// What it was made for: `ssh:` as a rule.
        application: Vec<u8>,
    },
    /// A point, uncompressed.
    Ecdsa(Curve, Vec<u8>),
    /// Exponent and modulus, without zeros before them.
    Rsa {
        e: Vec<u8>,
        n: Vec<u8>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Curve {
    P256,
    P384,
}

impl Curve {
    const ALL: [Self; 2] = [Self::P256, Self::P384];

    /// What keys, and signatures by them, are called.
    fn key_type(self) -> &'static [u8] {
        match self {
            Self::P256 => b"ecdsa-sha2-nistp256",
            Self::P384 => b"ecdsa-sha2-nistp384",
        }
    }

    fn name(self) -> &'static [u8] {
        match self {
            Self::P256 => b"nistp256",
            Self::P384 => b"nistp384",
        }
    }

    /// Bytes of a coordinate, and of a scalar.
    fn bytes(self) -> usize {
        match self {
            Self::P256 => 32,
            Self::P384 => 48,
        }
    }

    fn algorithm(self) -> &'static EcdsaVerificationAlgorithm {
        match self {
            Self::P256 => &ECDSA_P256_SHA256_FIXED,
            Self::P384 => &ECDSA_P384_SHA384_FIXED,
        }
    }
}

impl PublicKey {
    /// Reads the line of a file such as `~/.ssh/id_ed25519.pub`: type, key in base64, and mostly a comment.
    pub fn from_line(line: &str) -> Result<Self, SshProblem> {
        let line = line.trim();
        if line.contains(['\n', '\r']) {
            return Err(SshProblem::NotAKey("there is more than one line"));
        }
        let mut words = line.split([' ', '\t']);
        let (Some(name), Some(encoded)) = (words.next(), words.next()) else {
            return Err(SshProblem::NotAKey("there is no key behind a type"));
        };
        let encoded = STANDARD
            .decode(encoded)
            .map_err(|_| SshProblem::NotAKey("what stands behind the type is not base64"))?;
        let key = Self::decode(&encoded)?;
        if name.as_bytes() == key.type_name() {
            Ok(key)
        } else {
            Err(SshProblem::NotAKey("the key is of another type"))
        }
    }

    /// Reads the encoding that is called the key blob.
    pub fn decode(bytes: &[u8]) -> Result<Self, SshProblem> {
        let mut reader = Reader(bytes);
        let name = reader.string().ok_or_else(cut_off)?;
        let curve = Curve::ALL
            .into_iter()
            .find(|curve| curve.key_type() == name);
        let kind = match (name, curve) {
            (ED25519, _) => Kind::Ed25519(point(&mut reader)?),
            (SECURITY_KEY, _) => Kind::SecurityKey {
                key: point(&mut reader)?,
                application: reader.string().ok_or_else(cut_off)?.to_vec(),
            },
            (RSA, _) => rsa(&mut reader)?,
            (_, Some(curve)) => ecdsa(curve, &mut reader)?,
            _ => return Err(unknown_type(name)),
        };
        reader.end().ok_or_else(cut_off)?;
        Ok(Self(kind))
    }

    /// The encoding that [`decode`](Self::decode) reads.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        put(&mut bytes, self.type_name());
        match &self.0 {
            Kind::Ed25519(key) => put(&mut bytes, key),
            Kind::SecurityKey { key, application } => {
                put(&mut bytes, key);
                put(&mut bytes, application);
            }
            Kind::Ecdsa(curve, point) => {
                put(&mut bytes, curve.name());
                put(&mut bytes, point);
            }
            Kind::Rsa { e, n } => {
                put_number(&mut bytes, e);
                put_number(&mut bytes, n);
            }
        }
        bytes
    }

    /// What entries call the key, in the target `iam://ledger/key/<name>`: of `ssh-ed25519` the 32 bytes in hexadecimal, as of
    /// any Ed25519 key; of every other the type, as of a security key `sk-ssh-ed25519`, a slash, and the SHA-256 of its
    /// encoding, which the application of a security key is part of.
    pub fn name(&self) -> String {
        let of_type = |name: &str| format!("{name}/{}", hex::encode(&self.digest()));
        match &self.0 {
            Kind::Ed25519(key) => hex::encode(key),
            Kind::SecurityKey { .. } => of_type("sk-ssh-ed25519"),
            Kind::Ecdsa(..) | Kind::Rsa { .. } => {
                of_type(&self.type_name().escape_ascii().to_string())
            }
        }
    }

    /// The fingerprint as `ssh-keygen -l` prints it: `SHA256:` and base64 without padding.
    pub fn fingerprint(&self) -> String {
        format!("SHA256:{}", STANDARD_NO_PAD.encode(self.digest()))
    }

    fn digest(&self) -> [u8; 32] {
        Sha256::digest(self.encode()).into()
    }

    fn type_name(&self) -> &'static [u8] {
        match &self.0 {
            Kind::Ed25519(_) => ED25519,
            Kind::SecurityKey { .. } => SECURITY_KEY,
            Kind::Ecdsa(curve, _) => curve.key_type(),
            Kind::Rsa { .. } => RSA,
        }
    }

    /// Checks the signature blob `bytes` over `signed`.
    pub(super) fn verify(&self, signed: &[u8], bytes: &[u8]) -> Result<(), SshProblem> {
        let bad = || SshProblem::NotASignature("its signature is cut off, or too long");
        let mut reader = Reader(bytes);
        let name = reader.string().ok_or_else(bad)?;
        let is_own = match &self.0 {
            Kind::Rsa { .. } => name == RSA_SHA256 || name == RSA_SHA512,
            _ => name == self.type_name(),
        };
        if !is_own {
            return Err(SshProblem::NotASignature(
                "its signature is of another type than its key, or of one that is not safe",
            ));
        }
        let signature = reader.string().ok_or_else(bad)?;
        let touch = match &self.0 {
            Kind::SecurityKey { .. } => reader.take(5).ok_or_else(bad)?,
            _ => &[],
        };
        reader.end().ok_or_else(bad)?;
        match &self.0 {
            Kind::Ed25519(key) => verify_ed25519(key, signed, signature),
            Kind::SecurityKey { key, application } => {
                if touch.first().is_none_or(|flags| flags & TOUCHED == 0) {
                    return Err(SshProblem::NotTouched);
                }
                let (application, signed) = (Sha256::digest(application), Sha256::digest(signed));
                let message = [application.as_slice(), touch, signed.as_slice()].concat();
                verify_ed25519(key, &message, signature)
            }
            Kind::Ecdsa(curve, point) => {
                let signature = fixed(*curve, signature).ok_or(SshProblem::NotASignature(
                    "its signature is not two numbers of the curve's size, in their one form",
                ))?;
                let key = UnparsedPublicKey::new(curve.algorithm(), point);
                key.verify(signed, &signature)
                    .map_err(|_| SshProblem::Wrong)
            }
            Kind::Rsa { e, n } => {
                let algorithm = if name == RSA_SHA512 {
                    &RSA_PKCS1_2048_8192_SHA512
                } else {
                    &RSA_PKCS1_2048_8192_SHA256
                };
                // The signature has to be as long as the modulus.
                RsaPublicKeyComponents { n, e }
                    .verify(algorithm, signed, signature)
                    .map_err(|_| SshProblem::Wrong)
            }
        }
    }
}

fn cut_off() -> SshProblem {
    SshProblem::NotAKey("it is cut off, or too long")
}

fn unknown_type(name: &[u8]) -> SshProblem {
    let shown = name.get(..SHOWN_TYPE_BYTES).unwrap_or(name);
    SshProblem::KeyType(shown.escape_ascii().to_string())
}

fn point(reader: &mut Reader<'_>) -> Result<[u8; 32], SshProblem> {
    let point = reader.string().ok_or_else(cut_off)?;
    point
        .try_into()
        .map_err(|_| SshProblem::NotAKey("it does not have 32 bytes"))
}

fn ecdsa(curve: Curve, reader: &mut Reader<'_>) -> Result<Kind, SshProblem> {
    let name = reader.string().ok_or_else(cut_off)?;
    let point = reader.string().ok_or_else(cut_off)?;
    if name != curve.name() {
        return Err(SshProblem::NotAKey("its curve is not that of its type"));
    }
    let is_whole = point.len() == 1 + 2 * curve.bytes();
    if !is_whole || point.first() != Some(&UNCOMPRESSED) {
        return Err(SshProblem::NotAKey(
            "it is not an uncompressed point of its curve",
        ));
    }
    Ok(Kind::Ecdsa(curve, point.to_vec()))
}

fn rsa(reader: &mut Reader<'_>) -> Result<Kind, SshProblem> {
    let bad = || SshProblem::NotAKey("its numbers are cut off, or not in their one form");
    let e = reader.positive().ok_or_else(bad)?;
    let n = reader.positive().ok_or_else(bad)?;
    let is_odd = |number: &[u8]| number.last().is_some_and(|last| last & 1 == 1);
    if !EXPONENT_BYTES.contains(&e.len()) || !is_odd(e) || e == [1] {
        return Err(SshProblem::NotAKey(
            "its exponent is even, 1, or has more than 32 bits",
        ));
    }
    let unused = n.first().map_or(0, |first| first.leading_zeros() as usize);
    let bits = n.len().saturating_mul(8).saturating_sub(unused);
    if !MODULUS_BITS.contains(&bits) || !is_odd(n) {
        return Err(SshProblem::NotAKey(
            "its modulus is even, or does not have 2048 to 8192 bits",
        ));
    }
    Ok(Kind::Rsa {
        e: e.to_vec(),
        n: n.to_vec(),
    })
}

fn verify_ed25519(key: &[u8; 32], message: &[u8], signature: &[u8]) -> Result<(), SshProblem> {
    let wrong = |_| SshProblem::Wrong;
    let signature = Signature::from_slice(signature).map_err(wrong)?;
    let key = VerifyingKey::from_bytes(key).map_err(wrong)?;
    key.verify_strict(message, &signature).map_err(wrong)
}

/// The two numbers of a signature, each as long as the curve's order.
fn fixed(curve: Curve, signature: &[u8]) -> Option<Vec<u8>> {
    let mut reader = Reader(signature);
    let mut fixed = Vec::with_capacity(2 * curve.bytes());
    for _ in 0..2 {
        let number = reader.positive()?;
        let zeros = curve.bytes().checked_sub(number.len())?;
        fixed.resize(fixed.len().saturating_add(zeros), 0);
        fixed.extend_from_slice(number);
    }
    reader.end()?;
    Some(fixed)
}

/// Appends a string of SSH: its length, u32, and its bytes.
pub(super) fn put(bytes: &mut Vec<u8>, string: &[u8]) {
    // Everything here has at most some thousand bytes.
    let length = u32::try_from(string.len()).unwrap_or(u32::MAX);
    bytes.extend(length.to_be_bytes());
    bytes.extend(string);
}

/// Appends a positive number of SSH, without zeros before it: a zero goes before one that would look negative.
fn put_number(bytes: &mut Vec<u8>, number: &[u8]) {
    if number.first().is_some_and(|first| first & 0x80 != 0) {
        put(bytes, &[&[0], number].concat());
    } else {
        put(bytes, number);
    }
}

/// Reads from the front. None when there is not as much.
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    pub(super) fn number(&mut self) -> Option<u32> {
        let (number, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u32::from_be_bytes(*number))
    }

    pub(super) fn string(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.number()?).ok()?;
        self.take(length)
    }

    /// A positive mpint of RFC 4251 in its one form, without the zero that can stand before it.
    fn positive(&mut self) -> Option<&'a [u8]> {
        match self.string()? {
            [0, rest @ ..] if rest.first()? & 0x80 != 0 => Some(rest),
            number if (1..0x80).contains(number.first()?) => Some(number),
            _ => None,
        }
    }

    pub(super) fn end(&self) -> Option<()> {
        self.0.is_empty().then_some(())
    }
}
