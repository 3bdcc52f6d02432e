//! The words of every result.

use std::fmt::{self, Display, Formatter};

use crate::entry::genesis::{Genesis, INDEX_VERSION};
use crate::entry::{Tag, v1};

/// What a verifier has to say in the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// All that was asked has been checked, and is as it should be.
    Ok,
    /// Something is not as it was sealed, or not what it claims to be: the first such finding.
    Tampered(Finding),
    /// Nothing wrong was found, but not all that was asked could be checked.
    CouldNotCheck(Vec<Reason>),
}

impl Verdict {
    /// The verdict when nothing wrong was found: whether anything is left to doubt.
    pub(crate) fn of_doubts(reasons: Vec<Reason>) -> Self {
        if reasons.is_empty() {
            Self::Ok
        } else {
            Self::CouldNotCheck(reasons)
        }
    }

    /// The verdict over two things that were checked.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (tampered @ Self::Tampered(_), _) | (_, tampered @ Self::Tampered(_)) => tampered,
            (Self::CouldNotCheck(one), Self::CouldNotCheck(other)) => {
                let new = other.into_iter().filter(|reason| !one.contains(reason));
                let new: Vec<_> = new.collect();
                Self::CouldNotCheck([one, new].concat())
            }
            (doubt @ Self::CouldNotCheck(_), _) | (_, doubt) => doubt,
        }
    }

    /// Exit code of a command that ends with this verdict: 0, 3 or 5.
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Tampered(_) => 3,
            Self::CouldNotCheck(_) => 5,
        }
    }
}

impl Display for Verdict {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ok => f.write_str("OK"),
            Self::Tampered(finding) => write!(f, "TAMPERED: {finding}"),
            Self::CouldNotCheck(reasons) => {
                f.write_str("COULD NOT CHECK: ")?;
                for (index, reason) in reasons.iter().enumerate() {
                    let separator = if index == 0 { "" } else { "; " };
                    write!(f, "{separator}{reason}")?;
                }
                Ok(())
            }
        }
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Finding {
    /// The first entry that is not right, as far as one can be told.
    pub seq: Option<u64>,
    /// Which check failed.
    pub check: Check,
    /// What was expected.
    pub expected: String,
    /// What was found instead.
    pub found: String,
}

impl Finding {
    /// A finding about entry `seq`.
    pub fn at(
        seq: u64,
        check: Check,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) -> Self {
        Self {
            seq: Some(seq),
            ..Self::of(check, expected, found)
        }
    }

    /// A finding about no entry in particular.
    pub fn of(check: Check, expected: impl Into<String>, found: impl Into<String>) -> Self {
        Self {
            seq: None,
            check,
            expected: expected.into(),
            found: found.into(),
        }
    }

    /// What the finding comes to: that something is wrong, or that it cannot be told.
    pub fn verdict(self) -> Verdict {
        match self.check {
            Check::IndexVersion => {
                Verdict::CouldNotCheck(vec![Reason::UnknownIndex { index: self.found }])
            }
            _ => Verdict::Tampered(self),
        }
    }
}

/// Checks that the search index of a ledger is one that is known here.
pub(crate) fn check_index_of(genesis: &Genesis) -> Result<(), Finding> {
    let expected = format!("version {INDEX_VERSION}");
    match genesis.unknown_index() {
        Some(index) => Err(Finding::of(Check::IndexVersion, expected, index)),
        None => Ok(()),
    }
}

/// Checks that the index that entry `seq` seals is one that is known here.
pub(crate) fn check_index_sealed(seq: u64, seal: &v1::Seal) -> Result<(), Finding> {
    let (version, expected) = (seal.index_version, format!("version {INDEX_VERSION}"));
    if version == INDEX_VERSION {
        return Ok(());
    }
    let found = format!("version {version}");
    Err(Finding::at(seq, Check::IndexVersion, expected, found))
}

impl Display for Finding {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if let Some(seq) = self.seq {
            write!(f, "entry {seq}: ")?;
        }
        let Self {
            check,
            expected,
            found,
            ..
        } = self;
        write!(f, "{check}: expected {expected}, found {found}")
    }
}

/// What is checked. The names are stable: scripts may rely on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Check {
    /// The file or message has the form that it must have.
    Format,
    /// The genesis descriptor is well-formed and the one that entry 0 was chained to.
    Genesis,
    /// The ledger is the one that was asked for.
    Origin,
    /// The key is the one that is trusted.
    Key,
    /// The checkpoint is signed by that key.
    Signature,
    /// There are as many entries as the checkpoint says.
    Size,
    /// The entries hash to the root of the checkpoint.
    Root,
    /// The checkpoint extends the one that is required at least.
    Minimum,
    /// The header has 83 bytes that mean something.
    Header,
    /// The entry stands at its own seq.
    Seq,
    /// The header names the entry before.
    Chain,
    /// Time does not go back.
    Time,
    /// The header binds the parts that are shown.
    Body,
    /// Every part is the one encoding of its message and keeps the rules for it.
    Part,
    /// Envelope, kind and flags agree.
    Envelope,
    /// The sender is the one that was expected.
    Submitter,
    /// The actor's own signature is there when it should be, and is the actor's.
    ActorSignature,
    /// An act of the ledger is well-formed and allowed.
    Act,
    /// Only parts that can be erased were, and by an entry that says so.
    Erasure,
    /// Nothing was erased that a hold forbade, and holds are placed and released one after the other.
    Hold,
    /// The key was replaced with the consent of the one before.
    KeyRotation,
    /// The receipt has one envelope and one seed for every event.
    Receipt,
    /// Stored bytes can be read and decoded.
    Store,
    /// The anchor is there and whole.
    Anchor,
    /// The head agrees with the entries.
    Head,
    /// The stored tiles are those of the tree.
    Tile,
    /// Idempotency ids stand for the entries that carry them.
    IdempotencyId,
    /// The segments of the search index are those that the newest seal commits to.
    Index,
    /// The search index is one that this verifier knows. When it is not, nothing is proved, and nothing is wrong.
    IndexVersion,
    /// What a case says about itself is what it proves.
    Statement,
}

impl Check {
    /// Its stable name, in lower case.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Format => "format",
            Self::Genesis => "genesis",
            Self::Origin => "origin",
            Self::Key => "key",
            Self::Signature => "signature",
            Self::Size => "size",
            Self::Root => "root",
            Self::Minimum => "minimum",
            Self::Header => "header",
            Self::Seq => "seq",
            Self::Chain => "chain",
            Self::Time => "time",
            Self::Body => "body",
            Self::Part => "part",
            Self::Envelope => "envelope",
            Self::Submitter => "submitter",
            Self::ActorSignature => "actor-signature",
            Self::Act => "act",
            Self::Erasure => "erasure",
            Self::Hold => "hold",
            Self::KeyRotation => "key-rotation",
            Self::Receipt => "receipt",
            Self::Store => "store",
            Self::Anchor => "anchor",
            Self::Head => "head",
            Self::Tile => "tile",
            Self::IdempotencyId => "idempotency-id",
            Self::Index => "index",
            Self::IndexVersion => "index-version",
            Self::Statement => "statement",
        }
    }
}

impl Display for Check {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why not all could be checked although nothing wrong was found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// Whoever made this up could have signed it with a key of their own.
    #[error("no key is pinned: all agrees with the key it came with, {key}")]
    NoKeyPinned {
        /// The key it came with, as a C2SP verifier key.
        key: String,
    },
    /// The minimum checkpoint that was given is not one of this ledger.
    #[error("the minimum checkpoint cannot be used: {problem}")]
    UnusableMinimum {
        /// What is wrong with it.
        problem: String,
    },
    /// The checkpoint is larger than the minimum, and nothing shows that it extends it.
    #[error("no consistency proof from the minimum checkpoint of {minimum} entries to {size}")]
    NoConsistencyProof {
        /// Size of the minimum checkpoint, in entries.
        minimum: u64,
        /// Size of the checkpoint, in entries.
        size: u64,
    },
    /// The checkpoint is of an earlier state than the minimum, which shows neither that the ledger was cut nor that it was not.
    #[error(
        "it is from when the ledger had {size} entries, before the minimum checkpoint of {minimum}"
    )]
    BeforeMinimum {
        /// Size of the minimum checkpoint, in entries.
        minimum: u64,
        /// Size of the checkpoint, in entries.
        size: u64,
    },
    /// Parts are missing that no entry says were erased.
    #[error("{parts} parts are WITHHELD, the first is {} of entry {seq}", tag.name())]
    Withheld {
        /// How many parts.
        parts: u64,
        /// The first entry with one.
        seq: u64,
        /// The first such part of it.
        tag: Tag,
    },
    /// An erasure stands where holds with a filter were in force, and not all is shown that they are told by.
    #[error("whether a hold forbade what entry {erasure} erased")]
    HoldsNotCompared {
        /// The first such erasure.
        erasure: u64,
    },
    /// Segments are made of parts that are not shown.
    #[error("the index from entry {seq} on: its {} is not shown", tag.name())]
    NotRederived {
        /// The first entry with such a part.
        seq: u64,
        /// The part.
        tag: Tag,
    },
    /// The search index is one that this verifier does not know, so nothing is proved by it or of it.
    #[error(
        "the search index is not proved: it is of {index}, and this program knows version {INDEX_VERSION}"
    )]
    UnknownIndex {
        /// Which one.
        index: String,
    },
}
