//! Cosignatures: a witness's statement that a checkpoint is the largest consistent one it saw.

use std::fmt::{self, Debug, Formatter};

use zeroize::Zeroizing;

use super::checkpoint::Checkpoint;
use super::key::{KeyError, PrivateKey, SignatureType, VerifierKey};
use super::signature::Signature;
use super::signed::NoteError;

/// Largest timestamp the specification allows.
const SECONDS_MAX: u64 = i64::MAX as u64;

/// A witness's private key (type 0x04). Wiped from memory when dropped.
///
/// The signed message does not name the cosigner, so no two witnesses may share a key.
#[derive(Clone)]
pub struct CosignerKey(PrivateKey);

impl CosignerKey {
    /// A key from 32 secret random bytes, used for nothing else.
    pub fn from_seed(name: &str, seed: [u8; 32]) -> Result<Self, KeyError> {
        PrivateKey::from_seed(name, SignatureType::CosignatureV1, seed).map(Self)
    }

    /// Parses what [`CosignerKey::encode`] gives: a signer key with type byte 0x04.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        PrivateKey::parse(text, SignatureType::CosignatureV1).map(Self)
    }

    /// The key as text. Secret.
    pub fn encode(&self) -> Zeroizing<String> {
        self.0.encode()
    }

    /// Name of the witness.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The public half.
    pub fn verifier(&self) -> VerifierKey {
        self.0.verifier()
    }

    /// Cosigns `checkpoint` at `time`, in seconds since 1970, which is never 0.
    ///
    /// Says that it is the largest consistent state of its log the witness saw until then. That it
    /// is consistent with all earlier ones is the caller's to ensure, and to remember first.
    pub fn cosign(&self, checkpoint: &Checkpoint, time: u64) -> Result<Signature, NoteError> {
        if !is_time(time) {
            return Err(NoteError::CosignatureTime { seconds: time });
        }
        let signature = self
            .0
            .sign(message(time, &checkpoint.to_string()).as_bytes());
        let bytes = [time.to_be_bytes().as_slice(), &signature].concat();
        Ok(Signature::from_sound_parts(
            &self.0.name,
            self.verifier().id(),
            &bytes,
        ))
    }
}

impl Debug for CosignerKey {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "CosignerKey({}, secret)", self.0.name)
    }
}

/// The time of the cosignature, if `key` made it over a note with this text.
pub(super) fn verify(key: &VerifierKey, text: &str, bytes: &[u8]) -> Option<u64> {
    let (time, signature) = bytes.split_first_chunk()?;
    let (time, signature) = (u64::from_be_bytes(*time), signature.try_into().ok()?);
    (is_time(time) && key.signed(message(time, text).as_bytes(), signature)).then_some(time)
}

/// tlog-witness asks for a time that is not 0; tlog-cosignature for at most 2^63 - 1.
fn is_time(seconds: u64) -> bool {
    (1..=SECONDS_MAX).contains(&seconds)
}

fn message(time: u64, text: &str) -> String {
    format!("cosignature/v1\ntime {time}\n{text}")
}
