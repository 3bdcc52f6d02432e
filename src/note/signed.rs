use std::fmt::{self, Display, Formatter};
use std::str::{self, FromStr};

use thiserror::Error;

use super::checkpoint::CheckpointError;
use super::cosignature;
use super::key::{SignatureType, SignerKey, VerifierKey};
use super::signature::Signature;

/// The largest note that is read or made, in bytes.
pub const NOTE_BYTES_MAX: usize = 1 << 20;
/// The most signatures a note may have. The specification asks for at least 16; Go takes 100.
pub const SIGNATURES_MAX: usize = 100;

/// Why a note was refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NoteError {
    /// Over [`NOTE_BYTES_MAX`].
    #[error("note is {bytes} bytes long, over the limit of {NOTE_BYTES_MAX}")]
    TooLarge {
        /// Length of the note.
        bytes: usize,
    },
    /// A note is UTF-8.
    #[error("note is not UTF-8")]
    NotUtf8,
    /// No character below U+0020 except newline is allowed, so no carriage return or tab either.
    #[error("note holds the control character {character:?}")]
    ControlCharacter {
        /// The first one found.
        character: char,
    },
    /// The text of a note ends in a newline.
    #[error("note text does not end in a newline")]
    UnterminatedText,
    /// Text and signatures are separated by a blank line, and the last line ends in a newline.
    #[error("note has no blank line followed by signature lines")]
    NoSignatures,
    /// After the last blank line there are only signature lines.
    #[error("signature line {line} is malformed")]
    MalformedSignature {
        /// Which signature line, from 1.
        line: usize,
    },
    /// Over [`SIGNATURES_MAX`].
    #[error("note has more than {SIGNATURES_MAX} signatures")]
    TooManySignatures,
    /// A signature names a key that is known and was not made by it, so the note was tampered with.
    #[error("signature named {name}+{id:08x} was not made by that key")]
    BadSignature {
        /// Name of the key.
        name: String,
        /// Id of the key, as a big-endian number.
        id: u32,
    },
    /// Two different known keys have the same name and id: one was made to collide with the other.
    #[error("several known keys are named {name}+{id:08x}")]
    AmbiguousKey {
        /// Name of the keys.
        name: String,
        /// Id of the keys, as a big-endian number.
        id: u32,
    },
    /// Nobody known signed the note.
    #[error("note has no signature by a known key")]
    Unsigned,
    /// Only a key of type Ed25519 (0x01) speaks for a log; a witness's does not.
    #[error("{key} is not the key of a log")]
    NotALogKey {
        /// The key.
        key: String,
    },
    /// The signed text is not a checkpoint.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The checkpoint is another log's.
    #[error("checkpoint is of the log {found:?}, expected {expected:?}")]
    WrongOrigin {
        /// The origin that was asked for.
        expected: String,
        /// The origin in the checkpoint.
        found: String,
    },
    /// A cosignature's time is between 1 and 2^63 - 1 seconds since 1970.
    #[error("cosignature time {seconds} is not between 1 and 2^63 - 1")]
    CosignatureTime {
        /// The time that was given.
        seconds: u64,
    },
}

/// A text and the signatures over it.
///
/// Trust nothing in the text before [`Note::verify`] said who signed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    text: String,
    signatures: Vec<Signature>,
}

/// A known key that signed a note.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified<'a> {
    /// The key.
    pub key: &'a VerifierKey,
    /// For a cosignature when it was made, in seconds since 1970; the latest, if there are several.
    pub time: Option<u64>,
}

impl Note {
    /// A note with one signature. `text` must end in a newline.
    pub fn sign(text: &str, key: &SignerKey) -> Result<Self, NoteError> {
        check_characters(text)?;
        if !text.ends_with('\n') {
            return Err(NoteError::UnterminatedText);
        }
        Self {
            text: text.to_owned(),
            signatures: Vec::new(),
        }
        .with(key.sign(text))
    }

    /// The note with one more signature. Whether it is a good one shows when verifying.
    pub fn with(mut self, signature: Signature) -> Result<Self, NoteError> {
        self.signatures.push(signature);
        if self.signatures.len() > SIGNATURES_MAX {
            return Err(NoteError::TooManySignatures);
        }
        check_size(self.to_string().len())?;
        Ok(self)
    }

    /// Parses a note, without verifying it.
    pub fn parse(note: impl AsRef<[u8]>) -> Result<Self, NoteError> {
        let bytes = note.as_ref();
        check_size(bytes.len())?;
        let note = str::from_utf8(bytes).map_err(|_| NoteError::NotUtf8)?;
        check_characters(note)?;
        // The text may hold blank lines, signatures cannot: the last one separates them.
        let separator = note.rfind("\n\n").ok_or(NoteError::NoSignatures)?;
        let (text, rest) = note.split_at(separator + 1);
        let lines = rest
            .strip_prefix('\n')
            .and_then(|lines| lines.strip_suffix('\n'))
            .ok_or(NoteError::NoSignatures)?;
        if lines.split('\n').count() > SIGNATURES_MAX {
            return Err(NoteError::TooManySignatures);
        }
        let signatures = (1..)
            .zip(lines.split('\n'))
            .map(|(number, line)| {
                Signature::parse_line(line).ok_or(NoteError::MalformedSignature { line: number })
            })
            .collect::<Result<_, _>>()?;
        Ok(Self {
            text: text.to_owned(),
            signatures,
        })
    }

    /// What is signed, with its final newline.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The signatures in the order of their lines.
    pub fn signatures(&self) -> &[Signature] {
        &self.signatures
    }

    /// Which of the known `keys` signed the note, each once, in the order of their signatures.
    ///
    /// Signatures under other names or ids are ignored. A signature under the name and id of a known
    /// key that the key did not make refuses the whole note, as does a note that no known key signed.
    pub fn verify<'a>(&self, keys: &'a [VerifierKey]) -> Result<Vec<Verified<'a>>, NoteError> {
        let mut verified: Vec<Verified<'a>> = Vec::new();
        for signature in &self.signatures {
            let Some(key) = find_key(keys, signature)? else {
                continue;
            };
            let time = self.verify_one(key, signature)?;
            match verified.iter_mut().find(|known| known.key == key) {
                Some(known) => known.time = known.time.max(time),
                None => verified.push(Verified { key, time }),
            }
        }
        if verified.is_empty() {
            Err(NoteError::Unsigned)
        } else {
            Ok(verified)
        }
    }

    /// The time of the signature, if it has one.
    fn verify_one(&self, key: &VerifierKey, found: &Signature) -> Result<Option<u64>, NoteError> {
        let bad = || NoteError::BadSignature {
            name: found.name().to_owned(),
            id: u32::from_be_bytes(found.id()),
        };
        match key.kind() {
            SignatureType::Ed25519 => {
                let signature = found.bytes().try_into().map_err(|_| bad())?;
                let good = key.signed(self.text.as_bytes(), signature);
                good.then_some(None).ok_or_else(bad)
            }
            SignatureType::CosignatureV1 => cosignature::verify(key, &self.text, found.bytes())
                .map(Some)
                .ok_or_else(bad),
        }
    }
}

impl Display for Note {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        self.signatures
            .iter()
            .try_for_each(|signature| writeln!(f, "{signature}"))
    }
}

impl FromStr for Note {
    type Err = NoteError;

    fn from_str(note: &str) -> Result<Self, Self::Err> {
        Self::parse(note)
    }
}

/// The one known key with the signature's name and id.
fn find_key<'a>(
    keys: &'a [VerifierKey],
    signature: &Signature,
) -> Result<Option<&'a VerifierKey>, NoteError> {
    let mut matching = keys
        .iter()
        .filter(|key| key.name() == signature.name() && key.id() == signature.id());
    let first = matching.next();
    if matching.any(|other| Some(other) != first) {
        return Err(NoteError::AmbiguousKey {
            name: signature.name().to_owned(),
            id: u32::from_be_bytes(signature.id()),
        });
    }
    Ok(first)
}

fn check_size(bytes: usize) -> Result<(), NoteError> {
    if bytes > NOTE_BYTES_MAX {
        Err(NoteError::TooLarge { bytes })
    } else {
        Ok(())
    }
}

fn check_characters(text: &str) -> Result<(), NoteError> {
    match text
        .chars()
        .find(|character| *character < ' ' && *character != '\n')
    {
        Some(character) => Err(NoteError::ControlCharacter { character }),
        None => Ok(()),
    }
}
