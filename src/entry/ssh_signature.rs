//! SSH signatures: what `ssh-keygen -Y sign -n graven` makes of the bytes that an actor signs.
//!
//! ```text
//! string        = length u32 ‖ bytes
//! ssh_signature = "SSHSIG" ‖ 1 u32 ‖ string public key ‖ string "graven" ‖ string "" ‖ string hash ‖ string signature
//! hash          = "sha256" or "sha512"
//! signed        = "SSHSIG" ‖ string "graven" ‖ string "" ‖ string hash ‖ string hash(message)
//!
//! ssh-ed25519
//!   public key  = string "ssh-ed25519" ‖ string key[32]
//!   signature   = string "ssh-ed25519" ‖ string Ed25519(signed)[64]
//! sk-ssh-ed25519@openssh.com, a security key
//!   public key  = string type ‖ string key[32] ‖ string application
//!   signature   = string type ‖ string Ed25519(touched)[64] ‖ flags u8 ‖ counter u32
//!   touched     = SHA-256(application) ‖ flags ‖ counter ‖ SHA-256(signed)   bit 0 of the flags: somebody touched it
//! ```
//!
//! These are `PROTOCOL.sshsig` and `PROTOCOL.u2f` of OpenSSH and RFC 8709, of which nothing is left to choose: a signature has
//! one encoding. The namespace keeps what was signed for something else, such as a git commit, from being an actor's signature.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use ed25519_dalek::{Signature, VerifyingKey};
use sha2::{Digest as _, Sha256, Sha512};

use super::hex;

/// What the signature is made for, as `ssh-keygen -n` takes it.
pub const NAMESPACE: &str = "graven";

const MAGIC: &[u8] = b"SSHSIG";
const VERSION: u32 = 1;
const ED25519: &[u8] = b"ssh-ed25519";
const SECURITY_KEY: &[u8] = b"sk-ssh-ed25519@openssh.com";
const TOUCHED: u8 = 1;
/// The most that is said of a type that is not known, in bytes.
const SHOWN_TYPE_BYTES: usize = 64;

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
        "has a key of the type {0}, which is not accepted: ssh-ed25519 and sk-ssh-ed25519@openssh.com are"
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

/// A public key as SSH has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    key: [u8; 32],
    /// Of a security key, what it was made for: `ssh:` as a rule.
    application: Option<Vec<u8>>,
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
        let bad = || SshProblem::NotAKey("it is cut off, or too long");
        let mut reader = Reader(bytes);
        let name = reader.string().ok_or_else(bad)?;
        if name != ED25519 && name != SECURITY_KEY {
            return Err(unknown_type(name));
        }
        let key = reader.string().ok_or_else(bad)?;
        let application = match name {
            SECURITY_KEY => Some(reader.string().ok_or_else(bad)?.to_vec()),
            _ => None,
        };
        reader.end().ok_or_else(bad)?;
        let key = key
            .try_into()
            .map_err(|_| SshProblem::NotAKey("it does not have 32 bytes"))?;
        Ok(Self { key, application })
    }

    /// The encoding that [`decode`](Self::decode) reads.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        put(&mut bytes, self.type_name());
        put(&mut bytes, &self.key);
        if let Some(application) = &self.application {
            put(&mut bytes, application);
        }
        bytes
    }

    /// What entries call the key, in the target `iam://ledger/key/<name>`: of `ssh-ed25519` the 32 bytes in hexadecimal, as of
    /// any Ed25519 key; of a security key `sk-ssh-ed25519/` and the SHA-256 of its encoding, which the application is part of.
    pub fn name(&self) -> String {
        match &self.application {
            None => hex::encode(&self.key),
            Some(_) => format!("sk-ssh-ed25519/{}", hex::encode(&self.digest())),
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
        match self.application {
            None => ED25519,
            Some(_) => SECURITY_KEY,
        }
    }

    /// Checks the signature blob `bytes` over `signed`.
    fn verify(&self, signed: &[u8], bytes: &[u8]) -> Result<(), SshProblem> {
        let bad = || SshProblem::NotASignature("its signature is cut off, or too long");
        let mut reader = Reader(bytes);
        if reader.string().ok_or_else(bad)? != self.type_name() {
            return Err(SshProblem::NotASignature(
                "its signature is of another type than its key",
            ));
        }
        let signature = reader.string().ok_or_else(bad)?;
        let message = match &self.application {
            None => signed.to_vec(),
            Some(application) => {
                let beside = reader.take(5).ok_or_else(bad)?;
                if beside.first().is_none_or(|flags| flags & TOUCHED == 0) {
                    return Err(SshProblem::NotTouched);
                }
                let (application, signed) = (Sha256::digest(application), Sha256::digest(signed));
                [application.as_slice(), beside, signed.as_slice()].concat()
            }
        };
        reader.end().ok_or_else(bad)?;
        let wrong = |_| SshProblem::Wrong;
        let signature = Signature::from_slice(signature).map_err(wrong)?;
        let key = VerifyingKey::from_bytes(&self.key).map_err(wrong)?;
        key.verify_strict(&message, &signature).map_err(wrong)
    }
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

fn unknown_type(name: &[u8]) -> SshProblem {
    let shown = name.get(..SHOWN_TYPE_BYTES).unwrap_or(name);
    SshProblem::KeyType(shown.escape_ascii().to_string())
}

/// Appends a string of SSH: its length, u32, and its bytes.
fn put(bytes: &mut Vec<u8>, string: &[u8]) {
    // Everything here has at most some hundred bytes.
    let length = u32::try_from(string.len()).unwrap_or(u32::MAX);
    bytes.extend(length.to_be_bytes());
    bytes.extend(string);
}

/// Reads from the front. None when there is not as much.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn number(&mut self) -> Option<u32> {
        let (number, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u32::from_be_bytes(*number))
    }

    fn string(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.number()?).ok()?;
        self.take(length)
    }

    fn end(&self) -> Option<()> {
        self.0.is_empty().then_some(())
    }
}
