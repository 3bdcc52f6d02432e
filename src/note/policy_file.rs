//! The file format of tlog-policy.

use std::collections::{HashMap, HashSet};
use std::str;

use thiserror::Error;

use super::key::{KeyError, SignatureType, VerifierKey};
use super::policy::{Log, Party, Policy, Quorum, Witness};
use super::signed::NoteError;
use super::text::parse_decimal;

/// The largest policy file, in bytes.
const FILE_BYTES_MAX: usize = 1 << 20;

/// Why a policy file was refused, or a checkpoint by a policy.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// Over the limit.
    #[error("policy is {bytes} bytes long, over the limit of {FILE_BYTES_MAX}")]
    TooLarge {
        /// Length of the file.
        bytes: usize,
    },
    /// A line of the file is wrong.
    #[error("line {line} of the policy: {problem}")]
    Line {
        /// Which line, from 1.
        line: usize,
        /// What is wrong with it.
        problem: LineProblem,
    },
    /// Exactly one `quorum` line is needed; `quorum none` asks for no witnesses.
    #[error("policy has no quorum line")]
    NoQuorum,
    /// The checkpoint's log is not listed.
    #[error("no log with the origin {origin:?} is in the policy")]
    UnknownLog {
        /// First line of the checkpoint.
        origin: String,
    },
    /// The note is not a checkpoint signed by the log, or a known witness's cosignature is bad.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// Too few witnesses, or not the right ones, cosigned.
    #[error("cosigned by {cosigned} known witnesses, which is not the quorum of the policy")]
    QuorumNotReached {
        /// How many known witnesses did.
        cosigned: usize,
    },
}

/// What is wrong with a line of a policy file.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum LineProblem {
    /// Only tab is allowed of the control characters.
    #[error("holds the control character {0:#04x}")]
    ControlCharacter(u8),
    /// Not `log`, `witness`, `group` or `quorum`.
    #[error("begins with an unknown keyword")]
    Keyword,
    /// Too few or too many items.
    #[error("expected {0}")]
    Items(&'static str),
    /// URLs are text.
    #[error("URL or key is not UTF-8")]
    NotUtf8,
    /// The key is none, or too weak.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// Logs have keys of type 0x01, witnesses of type 0x04.
    #[error("key is of the wrong type for a {0}")]
    KeyType(&'static str),
    /// One key, one line: otherwise it would count twice.
    #[error("key is already in the policy")]
    DuplicateKey,
    /// Names are unique, and `none` is taken.
    #[error("name is already taken")]
    NameTaken,
    /// Names are defined before they are used.
    #[error("{0:?} is not defined before")]
    UnknownName(String),
    /// Every name is a member at most once, so that it counts in one way only.
    #[error("{0:?} is already a member of a group")]
    AlreadyMember(String),
    /// From 1 to the number of members, or `any`, or `all`.
    #[error("threshold is not any, all or a number from 1 to {members}")]
    Threshold {
        /// Number of members.
        members: usize,
    },
    /// One quorum line only.
    #[error("quorum is already defined")]
    SecondQuorum,
}

impl Policy {
    /// Parses a policy file.
    pub fn parse(file: impl AsRef<[u8]>) -> Result<Self, PolicyError> {
        let file = file.as_ref();
        if file.len() > FILE_BYTES_MAX {
            return Err(PolicyError::TooLarge { bytes: file.len() });
        }
        let mut parser = Parser::default();
        for (line, text) in (1..).zip(file.split(|byte| *byte == b'\n')) {
            parser
                .line(text)
                .map_err(|problem| PolicyError::Line { line, problem })?;
        }
        let quorum = parser.quorum.ok_or(PolicyError::NoQuorum)?;
        Ok(Self {
            logs: parser.logs,
            parties: parser.parties,
            quorum,
        })
    }
}

#[derive(Default)]
struct Parser<'a> {
    logs: Vec<Log>,
    parties: Vec<Party>,
    /// Names are octets, not text.
    names: HashMap<&'a [u8], usize>,
    members: HashSet<usize>,
    log_keys: HashSet<[u8; 32]>,
    witness_keys: HashSet<[u8; 32]>,
    quorum: Option<Quorum>,
}

impl<'a> Parser<'a> {
    fn line(&mut self, line: &'a [u8]) -> Result<(), LineProblem> {
        let forbidden = |byte: &&u8| (**byte < b' ' && **byte != b'\t') || **byte == 0x7f;
        if let Some(byte) = line.iter().find(forbidden) {
            return Err(LineProblem::ControlCharacter(*byte));
        }
        let items: Vec<&[u8]> = line
            .split(|byte| matches!(byte, b' ' | b'\t'))
            .filter(|item| !item.is_empty())
            .collect();
        match items.as_slice() {
            [] => Ok(()),
            [first, ..] if first.starts_with(b"#") => Ok(()),
            [b"log", rest @ ..] => self.log(rest),
            [b"witness", rest @ ..] => self.witness(rest),
            [b"group", rest @ ..] => self.group(rest),
            [b"quorum", rest @ ..] => self.quorum(rest),
            _ => Err(LineProblem::Keyword),
        }
    }

    fn log(&mut self, items: &[&[u8]]) -> Result<(), LineProblem> {
        let (key, url) = match items {
            [key] => (key, None),
            [key, url] => (key, Some(url)),
            _ => return Err(LineProblem::Items("log <key> [<url>]")),
        };
        let key = VerifierKey::parse(text(key)?)?;
        if key.kind() != SignatureType::Ed25519 {
            return Err(LineProblem::KeyType("log"));
        }
        if !self.log_keys.insert(*key.public_key()) {
            return Err(LineProblem::DuplicateKey);
        }
        self.logs.push(Log {
            key,
            url: url.map(|url| text(url).map(str::to_owned)).transpose()?,
        });
        Ok(())
    }

    fn witness(&mut self, items: &[&'a [u8]]) -> Result<(), LineProblem> {
        let (name, key, url) = match items {
            [name, key] => (name, key, None),
            [name, key, url] => (name, key, Some(url)),
            _ => return Err(LineProblem::Items("witness <name> <key> [<url>]")),
        };
        let key = VerifierKey::parse(text(key)?)?;
        if key.kind() != SignatureType::CosignatureV1 {
            return Err(LineProblem::KeyType("witness"));
        }
        if !self.witness_keys.insert(*key.public_key()) {
            return Err(LineProblem::DuplicateKey);
        }
        let url = url.map(|url| text(url).map(str::to_owned)).transpose()?;
        self.define(name, Party::Witness(Box::new(Witness { key, url })))
    }

    fn group(&mut self, items: &[&'a [u8]]) -> Result<(), LineProblem> {
        let [name, threshold, names @ ..] = items else {
            return Err(LineProblem::Items("group <name> all|any|<k> <member>..."));
        };
        if names.is_empty() {
            return Err(LineProblem::Items("at least one member"));
        }
        let mut members = Vec::with_capacity(names.len());
        for name in names {
            let member = self.defined(name)?;
            if !self.members.insert(member) {
                return Err(LineProblem::AlreadyMember(lossy(name)));
            }
            members.push(member);
        }
        let threshold = match *threshold {
            b"any" => Some(1),
            b"all" => Some(members.len()),
            digits => text(digits)
                .ok()
                .and_then(parse_decimal)
                .and_then(|number| usize::try_from(number).ok())
                .filter(|number| (1..=members.len()).contains(number)),
        };
        let threshold = threshold.ok_or(LineProblem::Threshold {
            members: members.len(),
        })?;
        self.define(name, Party::Group { threshold, members })
    }

    fn quorum(&mut self, items: &[&[u8]]) -> Result<(), LineProblem> {
        let [name] = items else {
            return Err(LineProblem::Items("quorum <name>|none"));
        };
        if self.quorum.is_some() {
            return Err(LineProblem::SecondQuorum);
        }
        let quorum = match *name {
            b"none" => Quorum::Nobody,
            name => Quorum::Party(self.defined(name)?),
        };
        self.quorum = Some(quorum);
        Ok(())
    }

    fn define(&mut self, name: &'a [u8], party: Party) -> Result<(), LineProblem> {
        if name == b"none" || self.names.insert(name, self.parties.len()).is_some() {
            return Err(LineProblem::NameTaken);
        }
        self.parties.push(party);
        Ok(())
    }

    fn defined(&self, name: &[u8]) -> Result<usize, LineProblem> {
        self.names
            .get(name)
            .copied()
            .ok_or_else(|| LineProblem::UnknownName(lossy(name)))
    }
}

fn text(item: &[u8]) -> Result<&str, LineProblem> {
    str::from_utf8(item).map_err(|_| LineProblem::NotUtf8)
}

fn lossy(name: &[u8]) -> String {
    String::from_utf8_lossy(name).into_owned()
}
