//! What can go wrong in the ledger, by what the caller can do about it.

use std::fmt;

use crate::entry::Invalid;
use crate::entry::genesis::INDEX_VERSION;
use crate::store::StoreError;

/// Why a ledger cannot be opened, read or appended to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// The request breaks a rule: correct it.
    #[error("event {index}: {invalid}")]
    Invalid {
        /// Index of the event in the request, from 0.
        index: usize,
        /// The field and the rule.
        invalid: Invalid,
    },
    /// The idempotency id stands for other content: nothing was appended.
    #[error(
        "event {index}: its idempotency id belongs to entry {existing}, which has other content"
    )]
    IdConflict {
        /// Index of the event in the request, from 0.
        index: usize,
        /// Where the other content stands.
        existing: Existing,
    },
    /// What was asked for is beyond the end: ask again later, or for less.
    #[error("{what} {asked} is beyond the newest checkpoint, which has size {size}")]
    BeyondEnd {
        /// `seq` or `tree size`.
        what: &'static str,
        /// What was asked for.
        asked: u64,
        /// Size of the newest checkpoint.
        size: u64,
    },
    /// The arguments contradict each other: correct them.
    #[error("{0}")]
    BadRange(String),
    /// Too much waits already: try again after a pause. Nothing was appended.
    #[error("the ledger has {queued_bytes} bytes waiting, its limit: try again after a pause")]
    Overloaded {
        /// Bytes that wait to be sealed.
        queued_bytes: usize,
    },
    /// Free space has reached the reserve. Nothing was appended.
    #[error(
        "the volume has {free_bytes} bytes free, and {reserve_bytes} are held in reserve: nothing is appended until there is more"
    )]
    Full {
        /// Free bytes of the store's volume.
        free_bytes: u64,
        /// The reserve.
        reserve_bytes: u64,
    },
    /// The clock ran ahead by more than it can have: nothing is sealed until it is right.
    #[error("the clock jumped ahead by {seconds} s: nothing is sealed under such a time")]
    ClockJump {
        /// Seconds ahead of what the monotonic clock allows.
        seconds: u64,
    },
    /// The ledger has stopped. Whether the event was sealed is not known: retry with the same idempotency id.
    #[error("the ledger has stopped: {0}")]
    Stopped(String),
    /// What was asked for went with a part of the entry that was erased.
    #[error(
        "of entry {seq} a part was erased, and the seed of its salts with it: it has no receipt any more"
    )]
    Erased {
        /// The entry.
        seq: u64,
    },
    /// An erasure is sealed, and destroying the bytes failed: the next start or order goes on with it.
    #[error(
        "entry {seq} says what is erased, and the bytes are not all gone yet ({error}): the next start of the ledger, or another order, goes on with it"
    )]
    Unfinished {
        /// The entry that orders it.
        seq: u64,
        /// What failed.
        error: Box<LedgerError>,
    },
    /// All that was to be erased was erased before. Nothing was sealed.
    #[error(
        "nothing is left to erase: the first of these parts is one of entry {seq}, and was erased as entry {by} says"
    )]
    AlreadyErased {
        /// The first entry that has lost such a part.
        seq: u64,
        /// The entry that says so.
        by: u64,
    },
    /// A part of an order is done, and the rest is not sealed: give the order again.
    #[error(
        "erased is what entry {seq} says, and not the rest of the order ({error}): give it again"
    )]
    PartlyErased {
        /// The last entry that says what was erased.
        seq: u64,
        /// Why it did not go on.
        error: Box<LedgerError>,
    },
    /// A hold forbids to erase: release it, or leave the entry out. Nothing was erased.
    #[error("entry {seq} is under the hold {hold:?}: nothing was erased")]
    Held {
        /// The first entry that is held.
        seq: u64,
        /// The hold's name.
        hold: String,
    },
    /// There is a hold of this name already.
    #[error("entry {seq} placed a hold named {hold:?}, which is in force")]
    HoldExists {
        /// The hold's name.
        hold: String,
        /// The entry that placed it.
        seq: u64,
    },
    /// There is no hold of this name.
    #[error("no hold named {hold:?} is in force")]
    NoSuchHold {
        /// The hold's name.
        hold: String,
    },
    /// A field of an order breaks a rule: correct it.
    #[error("{field} {rule}")]
    BadOrder {
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        rule: String,
    },
    /// Stored bytes are not what was sealed.
    #[error("{0}")]
    Damaged(Damage),
    /// The ledger refuses to open: see [`Refusal`].
    #[error("{0}")]
    Refused(#[from] Refusal),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Where the content stands to which an idempotency id belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// In the entry of this seq.
    Entry(u64),
    /// In the event of this index in the same request.
    Event(usize),
}

impl fmt::Display for Existing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Entry(seq) => write!(f, "{seq}"),
            Self::Event(index) => write!(f, "of event {index} of the same request"),
        }
    }
}

/// Stored bytes that are not what was sealed, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The first seq it concerns, when it concerns entries.
    pub seq: Option<u64>,
    /// What is wrong.
    pub what: String,
}

impl Damage {
    /// Damage of the entry `seq`.
    pub fn at(seq: u64, what: impl Into<String>) -> Self {
        Self {
            seq: Some(seq),
            what: what.into(),
        }
    }

    /// Damage of something that is not an entry.
    pub fn of(what: impl Into<String>) -> Self {
        Self {
            seq: None,
            what: what.into(),
        }
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.seq {
            Some(seq) => write!(f, "damaged at entry {seq}: {}", self.what),
            None => write!(f, "damaged: {}", self.what),
        }
    }
}

/// Whether a hold is in force: the seq of the entry that placed it, if it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placed(pub Option<u64>);

impl fmt::Display for Placed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(seq) => write!(f, "in force since entry {seq}"),
            None => f.write_str("not in force"),
        }
    }
}

/// Why a ledger that was found does not start: the table of starts in `docs/architecture.md`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// There is no ledger here, and none is made unasked.
    #[error("there is no ledger in {0}: make one with init, or correct the directory")]
    NotInitialised(String),
    /// There is a ledger here already.
    #[error("there is a ledger in {0} already")]
    AlreadyInitialised(String),
    /// The store is there but its anchor is not.
    #[error(
        "the anchor {path} is missing, so how far the ledger had acknowledged is not known: bring it back, or accept that with --adopt"
    )]
    AnchorMissing {
        /// Where it should be.
        path: String,
    },
    /// Neither slot of the anchor can be read.
    #[error(
        "both slots of the anchor are damaged ({0}): bring it back, or accept the loss with --adopt"
    )]
    AnchorDamaged(String),
    /// The anchor is signed and the store is not there.
    #[error(
        "the anchor says that {anchored} entries were acknowledged, and there is no store: restore it, or found a successor"
    )]
    StoreMissing {
        /// Size of the anchored checkpoint.
        anchored: u64,
    },
    /// Genesis, origin or key are another ledger's.
    #[error("this is another ledger: {what} is {found}, and {expected} is expected")]
    OtherLedger {
        /// What differs.
        what: &'static str,
        /// What the store or the anchor says.
        found: String,
        /// What was configured.
        expected: String,
    },
    /// The ledger's search index is none that this program can go on with.
    #[error(
        "the ledger's search index is of {index}, and this program writes version {INDEX_VERSION}: start the program that made the ledger"
    )]
    UnknownIndex {
        /// Which one it is.
        index: String,
    },
    /// The store says of a hold something else than the entries.
    #[error(
        "the hold {hold:?} is {in_force} by the entries, and {marked} by the store, which somebody has changed: keep the directory, see what graven verify --dir finds, and restore a copy"
    )]
    HoldsDiffer {
        /// The hold's name.
        hold: String,
        /// What the entries say of it.
        in_force: Placed,
        /// What its mark in the store says.
        marked: Placed,
    },
    /// The store has lost entries that were acknowledged.
    #[error("BEHIND: the store has {size} entries and {anchored} were acknowledged: {missing} are missing; restore them, replay them from a copy, or found a successor", missing = anchored - size)]
    Behind {
        /// Size of the store.
        size: u64,
        /// Size of the anchored checkpoint.
        anchored: u64,
    },
    /// The store has another history than the one that was signed.
    #[error("FORK: at size {size} the store has another root than the one that was signed")]
    Fork {
        /// Size of the anchored checkpoint.
        size: u64,
    },
    /// Somebody outside keeps a checkpoint of this ledger that is larger than the store.
    #[error("ROLLED BACK: the store has {size} entries, and the checkpoint in {from} was signed over {known}: {missing} are missing; restore them, replay them from a copy, or found a successor", missing = known - size)]
    RolledBack {
        /// Size of the store.
        size: u64,
        /// Size of the checkpoint that was kept outside.
        known: u64,
        /// Where that checkpoint comes from.
        from: String,
    },
    /// Somebody outside keeps a checkpoint of this ledger that the store does not extend.
    #[error(
        "FORK: at size {size} the store has another root than the checkpoint in {from}, which this ledger signed"
    )]
    OtherThanKnown {
        /// Size of the checkpoint that was kept outside.
        size: u64,
        /// Where that checkpoint comes from.
        from: String,
    },
    /// What is to be a checkpoint that was kept outside is none of this ledger.
    #[error("the known checkpoint in {from} cannot be used: {what}")]
    BadKnown {
        /// Where it comes from.
        from: String,
        /// What is wrong with it.
        what: String,
    },
    /// Entries beyond the anchor are not what this ledger wrote.
    #[error(
        "entries from {from} on were written after the last checkpoint and are not what this ledger wrote: {what}"
    )]
    BadExtension {
        /// The first of them.
        from: u64,
        /// What is wrong.
        what: String,
    },
}
