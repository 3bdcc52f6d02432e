use std::fmt::{self, Display, Formatter};
use std::str::{self, FromStr};

use thiserror::Error;

use super::checkpoint::Checkpoint;
use super::policy::Policy;
use super::policy_file::PolicyError;
use super::signed::{NOTE_BYTES_MAX, Note, NoteError};
use super::text::{base64, parse_base64, parse_decimal, parse_hash};
use crate::merkle::{Hash, ProofError, verify_inclusion};

const HEADER: &str = "c2sp.org/tlog-proof@v1";
/// No tree of at most 2^64 leaves needs more.
const HASHES_MAX: usize = 64;

/// Why a proof of inclusion was refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TlogProofError {
    /// Over [`NOTE_BYTES_MAX`].
    #[error("proof is {bytes} bytes long, over the limit of {NOTE_BYTES_MAX}")]
    TooLarge {
        /// Length of the proof.
        bytes: usize,
    },
    /// A proof is UTF-8.
    #[error("proof is not UTF-8")]
    NotUtf8,
    /// Another format or version.
    #[error("proof does not begin with the line {HEADER}")]
    Header,
    /// `extra ` and base64.
    #[error("extra data of the proof is not base64")]
    Extra,
    /// `index ` and a decimal number.
    #[error("proof has no line with the index as a decimal number without leading zeros")]
    Index,
    /// A line each, 32 bytes in base64, up to a blank line.
    #[error("hash {number} of the proof is not the base64 of 32 bytes")]
    Hash {
        /// Which hash, from 1.
        number: usize,
    },
    /// More than a tree can need.
    #[error("proof has more than {HASHES_MAX} hashes")]
    TooManyHashes,
    /// After the hashes come a blank line and the checkpoint.
    #[error("proof has no checkpoint")]
    NoCheckpoint,
    /// The checkpoint is not a note.
    #[error("checkpoint of the proof: {0}")]
    Note(#[from] NoteError),
    /// The checkpoint is not one the policy accepts.
    #[error("checkpoint of the proof: {0}")]
    Policy(#[from] PolicyError),
    /// The leaf is not in the checkpoint's tree.
    #[error("leaf is not in the checkpoint's tree: {0}")]
    NotIncluded(#[from] ProofError),
}

/// That a leaf is in a log, for a verifier with no network (tlog-proof v1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlogProof {
    /// Anything the application wants to pass along. **Signed by nobody.**
    pub extra: Option<Vec<u8>>,
    /// Index of the leaf.
    pub index: u64,
    /// The inclusion proof, the leaf's sibling first.
    pub hashes: Vec<Hash>,
    /// The log's checkpoint, with cosignatures.
    pub checkpoint: Note,
}

impl TlogProof {
    /// Parses a proof, without verifying anything.
    pub fn parse(proof: impl AsRef<[u8]>) -> Result<Self, TlogProofError> {
        let bytes = proof.as_ref();
        if bytes.len() > NOTE_BYTES_MAX {
            return Err(TlogProofError::TooLarge { bytes: bytes.len() });
        }
        let text = str::from_utf8(bytes).map_err(|_| TlogProofError::NotUtf8)?;
        let (header, rest) = text.split_once('\n').ok_or(TlogProofError::Header)?;
        if header != HEADER {
            return Err(TlogProofError::Header);
        }
        let (extra, rest) = parse_extra(rest)?;
        let (index, rest) = rest.split_once('\n').ok_or(TlogProofError::Index)?;
        let index = index
            .strip_prefix("index ")
            .and_then(parse_decimal)
            .ok_or(TlogProofError::Index)?;
        let (hashes, checkpoint) = match rest.strip_prefix('\n') {
            Some(checkpoint) => ("", checkpoint),
            None => rest
                .split_once("\n\n")
                .ok_or(TlogProofError::NoCheckpoint)?,
        };
        Ok(Self {
            extra,
            index,
            hashes: parse_hashes(hashes)?,
            checkpoint: Note::parse(checkpoint)?,
        })
    }

    /// Verifies that the leaf with `leaf_hash` is at [`TlogProof::index`] in a log, and state of it,
    /// that `policy` accepts; gives that state.
    pub fn verify(&self, leaf_hash: &Hash, policy: &Policy) -> Result<Checkpoint, TlogProofError> {
        let checkpoint = policy.check(&self.checkpoint)?;
        let (size, root) = (checkpoint.size(), checkpoint.root());
        verify_inclusion(self.index, size, leaf_hash, &self.hashes, root)?;
        Ok(checkpoint)
    }
}

impl Display for TlogProof {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEADER}")?;
        if let Some(extra) = &self.extra {
            writeln!(f, "extra {}", base64(extra))?;
        }
        writeln!(f, "index {}", self.index)?;
        self.hashes
            .iter()
            .try_for_each(|hash| writeln!(f, "{}", base64(hash)))?;
        write!(f, "\n{}", self.checkpoint)
    }
}

impl FromStr for TlogProof {
    type Err = TlogProofError;

    fn from_str(proof: &str) -> Result<Self, Self::Err> {
        Self::parse(proof)
    }
}

/// The extra data and what follows its line, if there is one.
fn parse_extra(text: &str) -> Result<(Option<Vec<u8>>, &str), TlogProofError> {
    let Some(rest) = text.strip_prefix("extra ") else {
        return Ok((None, text));
    };
    let (extra, rest) = rest.split_once('\n').ok_or(TlogProofError::Extra)?;
    let extra = parse_base64(extra).ok_or(TlogProofError::Extra)?;
    Ok((Some(extra), rest))
}

fn parse_hashes(lines: &str) -> Result<Vec<Hash>, TlogProofError> {
    if lines.is_empty() {
        return Ok(Vec::new());
    }
    if lines.split('\n').count() > HASHES_MAX {
        return Err(TlogProofError::TooManyHashes);
    }
    (1..)
        .zip(lines.split('\n'))
        .map(|(number, line)| parse_hash(line).ok_or(TlogProofError::Hash { number }))
        .collect()
}
