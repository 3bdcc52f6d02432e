use std::io;
use std::path::{Path, PathBuf};

/// Why storage refused, sorted by what can be done about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// There is nothing to open; only an explicit create makes it.
    #[error("nothing to open at {}", .path.display())]
    Missing {
        /// The directory or file that was asked for.
        path: PathBuf,
    },
    /// Create was asked for where something already is.
    #[error("{} already exists", .path.display())]
    Exists {
        /// The directory or file that was asked for.
        path: PathBuf,
    },
    /// Somebody else has it open; two writers would destroy each other's work.
    #[error("{} is in use by another process", .path.display())]
    InUse {
        /// The directory or file that was asked for.
        path: PathBuf,
    },
    /// No space or quota is left. Free some, then restart: the failed write poisoned the store.
    #[error("no space left: {what}")]
    Full {
        /// What was being written.
        what: String,
    },
    /// What is stored is not what was written: a checksum, a length or a whole file is wrong.
    /// Restore from a copy; nothing here repairs by leaving data out.
    #[error("stored data is damaged: {what}")]
    Damaged {
        /// What was found to be wrong.
        what: String,
        /// Name of the damaged file, where it is known.
        file: Option<String>,
    },
    /// The store is whole, and of a version that this one does not read. Nothing here converts it: use the version that
    /// made it.
    #[error("{} was made by {made_by} of graven, which this one does not read ({what}): open it with the version that made it, or make a new ledger", .path.display())]
    OtherVersion {
        /// The directory that was asked for.
        path: PathBuf,
        /// `an earlier version` or `a later version`.
        made_by: &'static str,
        /// What is missing, or what is not known.
        what: String,
    },
    /// An earlier write failed, so what is on the disk is unknown. Restart to recover from it.
    #[error("an earlier write failed; restart to recover from what is on the disk")]
    Poisoned,
    /// The system refused for another reason, such as permissions or a failing device.
    #[error("{what}: {source}")]
    Io {
        /// What was being done.
        what: String,
        /// What the system said.
        source: io::Error,
    },
}

impl StoreError {
    /// A refusal by the system while doing `what` to `path`.
    pub(crate) fn from_io(what: &str, path: &Path, source: io::Error) -> Self {
        let what = format!("{what} {}", path.display());
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full {
                what: format!("{what}: {source}"),
            },
            _ => Self::Io { what, source },
        }
    }

    /// What the caller itself asked to end.
    pub(crate) fn given_up() -> Self {
        Self::Io {
            what: "copying".to_owned(),
            source: io::Error::new(io::ErrorKind::Interrupted, "it was given up"),
        }
    }

    /// A write to what is only read.
    pub(crate) fn read_only() -> Self {
        Self::Io {
            what: "writing to a backup".to_owned(),
            source: io::ErrorKind::ReadOnlyFilesystem.into(),
        }
    }

    /// A caller's mistake about a fixed size or count.
    pub(crate) fn invalid(what: &str, found: usize, limit: &str) -> Self {
        let source = io::Error::new(io::ErrorKind::InvalidInput, format!("{found}, not {limit}"));
        Self::Io {
            what: what.to_owned(),
            source,
        }
    }
}
