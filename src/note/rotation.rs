use std::fmt::{self, Display, Formatter};

use thiserror::Error;

use super::key::{KeyError, SignatureType, SignerKey, VerifierKey};
use super::name::{NameError, check_name};
use super::signed::{Note, NoteError};
use super::text::{base64, parse_decimal, parse_hash};
use crate::merkle::{Hash, empty_root};

const HEADER: &str = "graven key rotation v1";

/// Why a key rotation was refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RotationError {
    /// The origin is not a valid name.
    #[error("origin: {0}")]
    Origin(#[from] NameError),
    /// Both keys are named after the log and of type Ed25519 (0x01).
    #[error("{key} is not a key of the log {origin}")]
    NotALogKey {
        /// The log.
        origin: String,
        /// The key.
        key: String,
    },
    /// A key does not hand over to itself.
    #[error("old and new key are the same")]
    SameKey,
    /// There is only one empty tree.
    #[error("size 0 does not have the root of the empty tree")]
    EmptyTreeRoot,
    /// Not the six lines of a rotation.
    #[error("rotation has no line {expected:?} where it belongs")]
    Malformed {
        /// How the line begins.
        expected: &'static str,
    },
    /// One of the keys in the statement is none.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The note is malformed, or a signature is bad.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// The statement is about another log.
    #[error("rotation is of the log {found:?}, expected {expected:?}")]
    WrongOrigin {
        /// The origin that was asked for.
        expected: String,
        /// The origin in the statement.
        found: String,
    },
    /// The statement hands over from another key than the trusted one.
    #[error("rotation is from the key {found}, not from the trusted one")]
    WrongKey {
        /// The key in the statement.
        found: String,
    },
    /// Only both keys together can hand over.
    #[error("rotation is not signed by {key}")]
    MissingSignature {
        /// The key that did not sign.
        key: String,
    },
}

/// A log's statement that from some size on another key signs its checkpoints.
///
/// A signed note with this text, a line each:
///
/// ```text
/// graven key rotation v1
/// <origin>
/// size <decimal>
/// root <base64>
/// from <verifier key>
/// to <verifier key>
/// ```
///
/// It counts only when signed by both keys: the old one hands over, the new one shows that whoever
/// named it also holds it.
///
/// The same keys sign checkpoints, so neither text may ever be read as the other. The second line of
/// a checkpoint is a decimal number, and an origin never is one ([`check_name`]); the first line of
/// a checkpoint made by Graven is an origin, and that has no spaces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotation {
    origin: String,
    size: u64,
    root: Hash,
    from: VerifierKey,
    to: VerifierKey,
}

impl Rotation {
    /// The hand-over at the tree of `size` leaves with `root`, the last that the old key signed.
    pub fn new(
        origin: &str,
        size: u64,
        root: Hash,
        from: VerifierKey,
        to: VerifierKey,
    ) -> Result<Self, RotationError> {
        check_name(origin)?;
        for key in [&from, &to] {
            if key.kind() != SignatureType::Ed25519 || key.name() != origin {
                let (origin, key) = (origin.to_owned(), key.to_string());
                return Err(RotationError::NotALogKey { origin, key });
            }
        }
        if from.public_key() == to.public_key() {
            return Err(RotationError::SameKey);
        }
        if size == 0 && root != empty_root() {
            return Err(RotationError::EmptyTreeRoot);
        }
        Ok(Self {
            origin: origin.to_owned(),
            size,
            root,
            from,
            to,
        })
    }

    /// Signs with both keys, which must be those of the statement.
    pub fn sign(&self, from: &SignerKey, to: &SignerKey) -> Result<Note, RotationError> {
        for (signer, stated) in [(from, &self.from), (to, &self.to)] {
            if signer.verifier() != *stated {
                return Err(RotationError::MissingSignature {
                    key: stated.to_string(),
                });
            }
        }
        let text = self.to_string();
        Ok(Note::sign(&text, from)?.with(to.sign(&text))?)
    }

    /// Reads a rotation of the log `origin` away from `trusted`, signed by both keys.
    pub fn open(
        note: impl AsRef<[u8]>,
        origin: &str,
        trusted: &VerifierKey,
    ) -> Result<Self, RotationError> {
        let note = Note::parse(note)?;
        let rotation = Self::parse(note.text())?;
        if rotation.origin != origin {
            let (expected, found) = (origin.to_owned(), rotation.origin);
            return Err(RotationError::WrongOrigin { expected, found });
        }
        if rotation.from != *trusted {
            return Err(RotationError::WrongKey {
                found: rotation.from.to_string(),
            });
        }
        let keys = [rotation.from.clone(), rotation.to.clone()];
        let verified = note.verify(&keys)?;
        match keys
            .iter()
            .find(|key| !verified.iter().any(|by| by.key == *key))
        {
            Some(key) => Err(RotationError::MissingSignature {
                key: key.to_string(),
            }),
            None => Ok(rotation),
        }
    }

    fn parse(text: &str) -> Result<Self, RotationError> {
        let mut lines = text.split('\n');
        let mut line = |prefix: &'static str| {
            let malformed = RotationError::Malformed { expected: prefix };
            lines
                .next()
                .and_then(|line| line.strip_prefix(prefix))
                .ok_or(malformed)
        };
        let malformed = |expected| RotationError::Malformed { expected };
        if !line(HEADER)?.is_empty() {
            return Err(malformed(HEADER));
        }
        let origin = line("")?;
        let size = parse_decimal(line("size ")?).ok_or(malformed("size "))?;
        let root = parse_hash(line("root ")?).ok_or(malformed("root "))?;
        let from = VerifierKey::parse(line("from ")?)?;
        let to = VerifierKey::parse(line("to ")?)?;
        let rotation = Self::new(origin, size, root, from, to)?;
        // Nothing may follow that was signed but not read.
        if rotation.to_string() == text {
            Ok(rotation)
        } else {
            Err(malformed(""))
        }
    }

    /// The log.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Number of leaves when the key changed.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Root of the tree of that size.
    pub fn root(&self) -> &Hash {
        &self.root
    }

    /// The key that signed until then.
    pub fn from(&self) -> &VerifierKey {
        &self.from
    }

    /// The key that signs from then on.
    pub fn to(&self) -> &VerifierKey {
        &self.to
    }
}

/// The text that is signed.
impl Display for Rotation {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEADER}\n{}\nsize {}", self.origin, self.size)?;
        writeln!(
            f,
            "root {}\nfrom {}\nto {}",
            base64(&self.root),
            self.from,
            self.to
        )
    }
}
