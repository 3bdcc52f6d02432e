//! SSH signatures: what `ssh-keygen -Y sign -n graven` makes of the bytes that an actor signs.
//!
//! ```text
//! string        = length u32 ‖ bytes
//! mpint         = string of a positive number, big-endian, in the fewest bytes whose highest bit is 0
//! ssh_signature = "SSHSIG" ‖ 1 u32 ‖ string public key ‖ string "graven" ‖ string "" ‖ string hash ‖ string signature
//! hash          = "sha256" or "sha512"
//! signed        = "SSHSIG" ‖ string "graven" ‖ string "" ‖ string hash ‖ string hash(message)
//!
//! ssh-ed25519
//!   public key  = string "ssh-ed25519" ‖ string key[32]
//!   signature   = string "ssh-ed25519" ‖ string Ed25519(signed)[64]
//! ecdsa-sha2-nistp256, ecdsa-sha2-nistp384
//!   public key  = string type ‖ string "nistp256" or "nistp384" ‖ string (0x04 ‖ x[32 or 48] ‖ y[32 or 48])
//!   signature   = string type ‖ string (mpint r ‖ mpint s)         ECDSA(signed) with SHA-256 or SHA-384
//! ssh-rsa
//!   public key  = string "ssh-rsa" ‖ mpint e ‖ mpint n             n has 2,048 to 8,192 bits; e is odd, 3 to 2^32 - 1
//!   signature   = string "rsa-sha2-256" or "rsa-sha2-512" ‖ string RSASSA-PKCS1-v1_5(signed)[as long as n]
//! sk-ssh-ed25519@openssh.com, a security key
//!   public key  = string type ‖ string key[32] ‖ string application
//!   signature   = string type ‖ string Ed25519(touched)[64] ‖ flags u8 ‖ counter u32
//!   touched     = SHA-256(application) ‖ flags ‖ counter ‖ SHA-256(signed)   bit 0 of the flags: somebody touched it
//! ```
//!
//! These are `PROTOCOL.sshsig` and `PROTOCOL.u2f` of OpenSSH and RFC 4251, 4253, 5656, 8332 and 8709, of which nothing is left
//! to choose: a signature has one encoding. The namespace keeps what was signed for something else, such as a git commit, from
//! being an actor's signature.

use sha2::{Digest as _, Sha256, Sha512};

pub use super::ssh_key::PublicKey;
use super::ssh_key::{Reader, put};

/// What the signature is made for, as `ssh-keygen -n` takes it.
pub const NAMESPACE: &str = "graven";

const MAGIC: &[u8] = b"SSHSIG";
const VERSION: u32 = 1;

/// Why bytes are no SSH signature, or no key, that counts here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SshProblem {
    /// It does not have the form of an SSH signature.
    #[error("is not an SSH signature: {0}")]
    NotASignature(&'static str),
    /// It does not have the form of a public key.
    #[error("is not an SSH public key: {0}")]
    NotAKey(&'static str),
    /// The key is of a type that is not accepted.
    #[error(
        "has a key of the type {0}, which is not accepted: ssh-ed25519, ecdsa-sha2-nistp256, ecdsa-sha2-nistp384, ssh-rsa \
         and sk-ssh-ed25519@openssh.com are"
    )]
    KeyType(String),
    /// It was made for something else.
    #[error("was made for another namespace than {NAMESPACE}")]
    Namespace,
    /// The security key was not touched.
    #[error("was made without a touch of the security key")]
    NotTouched,
    /// It is another key's, or of other bytes.
    #[error("is not a valid signature of these parts")]
    Wrong,
}

/// An SSH signature, taken apart. That it has this form says nothing of what it signs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SshSignature<'a> {
    /// The key that made it, as it says.
    pub key: PublicKey,
    hash: Hash,
    signature: &'a [u8],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hash {
    Sha256,
    Sha512,
}

impl Hash {
    const ALL: [Self; 2] = [Self::Sha256, Self::Sha512];

    fn name(self) -> &'static [u8] {
        match self {
            Self::Sha256 => b"sha256",
            Self::Sha512 => b"sha512",
        }
    }

    fn of(self, message: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha256 => Sha256::digest(message).to_vec(),
            Self::Sha512 => Sha512::digest(message).to_vec(),
        }
    }
}

impl<'a> SshSignature<'a> {
    /// Reads a signature without its armour.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, SshProblem> {
        let bad = || SshProblem::NotASignature("it is cut off, or too long");
        let mut reader = Reader(bytes);
        if reader.take(MAGIC.len()) != Some(MAGIC) {
            return Err(SshProblem::NotASignature("it does not begin with SSHSIG"));
        }
        if reader.number().ok_or_else(bad)? != VERSION {
            return Err(SshProblem::NotASignature("its version is not 1"));
        }
        let key = reader.string().ok_or_else(bad)?;
        let namespace = reader.string().ok_or_else(bad)?;
        let reserved = reader.string().ok_or_else(bad)?;
        let hash = reader.string().ok_or_else(bad)?;
        let signature = reader.string().ok_or_else(bad)?;
        reader.end().ok_or_else(bad)?;
        if namespace != NAMESPACE.as_bytes() {
            return Err(SshProblem::Namespace);
        }
        if !reserved.is_empty() {
            return Err(SshProblem::NotASignature("its reserved field is not empty"));
        }
        let hash = Hash::ALL
            .into_iter()
            .find(|known| known.name() == hash)
            .ok_or(SshProblem::NotASignature(
                "its hash is neither sha256 nor sha512",
            ))?;
        Ok(Self {
            key: PublicKey::decode(key)?,
            hash,
            signature,
        })
    }

    /// Checks that its key signed `message`. Ed25519 is verified strictly.
    pub fn verify(&self, message: &[u8]) -> Result<(), SshProblem> {
        let mut signed = MAGIC.to_vec();
        put(&mut signed, NAMESPACE.as_bytes());
        put(&mut signed, b"");
        put(&mut signed, self.hash.name());
        put(&mut signed, &self.hash.of(message));
        self.key.verify(&signed, self.signature)
    }
}
