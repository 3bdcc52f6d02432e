use std::fmt::{self, Display, Formatter};
use std::slice;

use thiserror::Error;

use super::key::{SignatureType, SignerKey, VerifierKey};
use super::name::{NAME_BYTES_MAX, NameError, check_name};
use super::signed::{Note, NoteError};
use super::text::{base64, parse_decimal, parse_hash};
use crate::merkle::{Hash, empty_root};

/// Why a text is not a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// The origin of a checkpoint made here follows the rules for names.
    #[error("origin: {0}")]
    Origin(#[from] NameError),
    /// Three lines at least, none empty, the last one ended by a newline.
    #[error("checkpoint is not three or more lines, each with something on it")]
    Malformed,
    /// A foreign log's origin may be nearly anything, but not longer than 255 bytes.
    #[error("origin of the checkpoint is {bytes} bytes long, over the limit of {NAME_BYTES_MAX}")]
    OriginTooLong {
        /// Length of the origin.
        bytes: usize,
    },
    /// Not a decimal number of at most 64 bits without sign or leading zero.
    #[error("size of the checkpoint is not a decimal number without leading zeros")]
    Size,
    /// Not the base64 of 32 bytes.
    #[error("root of the checkpoint is not the base64 of 32 bytes")]
    Root,
    /// There is only one empty tree.
    #[error("checkpoint of size 0 does not have the root of the empty tree")]
    EmptyTreeRoot,
}

/// The state of a log: its origin, how many leaves its tree has, and the tree's root.
///
/// Written as tlog-checkpoint v1.0.0 has it: a line each, the root in base64. Any further lines of
/// foreign checkpoints are signed but say nothing anybody should rely on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    origin: String,
    size: u64,
    root: Hash,
    extensions: Vec<String>,
}

impl Checkpoint {
    /// A checkpoint of a log whose origin passes [`check_name`], without extension lines.
    pub fn new(origin: &str, size: u64, root: Hash) -> Result<Self, CheckpointError> {
        check_name(origin)?;
        check_root(size, &root)?;
        Ok(Self {
            origin: origin.to_owned(),
            size,
            root,
            extensions: Vec::new(),
        })
    }

    /// Parses the text of a note.
    ///
    /// Takes any origin the specification allows, as there are logs whose origin has spaces.
    pub fn parse(text: &str) -> Result<Self, CheckpointError> {
        let lines = text.strip_suffix('\n').ok_or(CheckpointError::Malformed)?;
        if lines.split('\n').any(str::is_empty) || text.chars().any(|c| c < ' ' && c != '\n') {
            return Err(CheckpointError::Malformed);
        }
        let mut lines = lines.split('\n');
        let mut line = || lines.next().ok_or(CheckpointError::Malformed);
        let (origin, size, root) = (line()?, line()?, line()?);
        if origin.len() > NAME_BYTES_MAX {
            return Err(CheckpointError::OriginTooLong {
                bytes: origin.len(),
            });
        }
        let size = parse_decimal(size).ok_or(CheckpointError::Size)?;
        let root = parse_hash(root).ok_or(CheckpointError::Root)?;
        check_root(size, &root)?;
        let extensions = lines.map(str::to_owned).collect();
        Ok(Self {
            origin: origin.to_owned(),
            size,
            root,
            extensions,
        })
    }

    /// Signs the checkpoint: the text of a note.
    ///
    /// A log must never sign a checkpoint that is inconsistent with one it signed before. That is
    /// the caller's to ensure.
    pub fn sign(&self, key: &SignerKey) -> String {
        let text = self.to_string();
        format!("{text}\n{}\n", key.sign(&text))
    }

    /// Reads a signed checkpoint of the log `origin`, whose key is `key`.
    ///
    /// The text is looked at only after the signature verified. Other signatures are ignored.
    pub fn open(
        note: impl AsRef<[u8]>,
        origin: &str,
        key: &VerifierKey,
    ) -> Result<Self, NoteError> {
        Self::open_note(&Note::parse(note)?, origin, key)
    }

    /// [`Checkpoint::open`] for a note already parsed.
    pub fn open_note(note: &Note, origin: &str, key: &VerifierKey) -> Result<Self, NoteError> {
        if key.kind() != SignatureType::Ed25519 {
            return Err(NoteError::NotALogKey {
                key: key.to_string(),
            });
        }
        note.verify(slice::from_ref(key))?;
        let checkpoint = Self::parse(note.text())?;
        if checkpoint.origin != origin {
            let (expected, found) = (origin.to_owned(), checkpoint.origin);
            return Err(NoteError::WrongOrigin { expected, found });
        }
        Ok(checkpoint)
    }

    /// Which log this is the state of.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Number of leaves.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Root of the tree.
    pub fn root(&self) -> &Hash {
        &self.root
    }

    /// Further lines, which nobody should rely on.
    pub fn extensions(&self) -> &[String] {
        &self.extensions
    }
}

/// The text that is signed.
impl Display for Checkpoint {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n{}\n{}", self.origin, self.size, base64(&self.root))?;
        self.extensions
            .iter()
            .try_for_each(|line| writeln!(f, "{line}"))
    }
}

fn check_root(size: u64, root: &Hash) -> Result<(), CheckpointError> {
    if size == 0 && *root != empty_root() {
        Err(CheckpointError::EmptyTreeRoot)
    } else {
        Ok(())
    }
}
