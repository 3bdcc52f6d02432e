//! The manifest of a backup: `backup.json`, written when everything else is durable and was audited.
//!
//! It is not signed, since nothing of it is believed: a restore audits the copy against the signed checkpoint in its anchor.
//! The digests find what the audit of a ledger does not look at, and are those of `sha256sum`.

use std::fs::File;
use std::io::Read;
use std::path::{Component, Path};

use serde::{Deserialize, Serialize};

use super::error::{Damage, LedgerError};
use crate::store::StoreError;

/// Where what is, in a backup as in the directory of a ledger.
pub(crate) const ANCHOR: &str = "anchor";
pub(crate) const STORE: &str = "store";
pub(crate) const INDEX: &str = "index";

/// More than any manifest has.
const MAX_BYTES: u64 = 64 * 1024 * 1024;

/// What a backup holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackupManifest {
    /// [`BackupManifest::FORMAT`].
    pub format: String,
    /// The version that made it.
    pub graven: String,
    /// When it was made: nanoseconds since 1970, UTC.
    pub made_at: u64,
    /// The ledger's name.
    pub origin: String,
    /// Its verifier key.
    pub key: String,
    /// Entries of its checkpoint.
    pub size: u64,
    /// Entries of its store: those of the checkpoint, and those that were being acknowledged.
    pub entries: u64,
    /// The root at `size`, in hexadecimal.
    pub root: String,
    /// The signed checkpoint.
    pub checkpoint: String,
    /// Every file but this one.
    pub files: Vec<BackupFile>,
}

/// A file of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackupFile {
    /// `anchor`, or `store/` or `index/` and a name.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// SHA-256 of it, in hexadecimal.
    pub sha256: String,
}

impl BackupManifest {
    /// What `format` has to be.
    pub const FORMAT: &'static str = "graven backup v1";
    /// The manifest's file in a backup.
    pub const FILE: &'static str = "backup.json";

    /// Bytes of all files.
    pub fn bytes(&self) -> u64 {
        let bytes = self.files.iter().map(|file| file.bytes);
        bytes.fold(0, u64::saturating_add)
    }

    pub(crate) fn encode(&self) -> Result<Vec<u8>, LedgerError> {
        let mut bytes = serde_json::to_vec_pretty(self)
            .map_err(|error| LedgerError::BadRange(format!("the manifest: {error}")))?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// Reads the manifest of the backup in `dir`.
    pub(crate) fn read(dir: &Path) -> Result<Self, LedgerError> {
        let path = dir.join(Self::FILE);
        let mut json = Vec::new();
        let file = File::open(&path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => StoreError::Missing { path: path.clone() },
            _ => StoreError::from_io("opening", &path, error),
        })?;
        file.take(MAX_BYTES)
            .read_to_end(&mut json)
            .map_err(|error| StoreError::from_io("reading", &path, error))?;
        let bad = |what: String| LedgerError::Damaged(Damage::of(format!("backup.json: {what}")));
        let manifest: Self =
            serde_json::from_slice(&json).map_err(|error| bad(error.to_string()))?;
        if manifest.format != Self::FORMAT {
            return Err(bad(format!("its format is not {}", Self::FORMAT)));
        }
        match manifest.files.iter().find(|file| !file.has_good_name()) {
            Some(_) => Err(bad(
                "a file is neither the anchor nor in store or index".into()
            )),
            None => Ok(manifest),
        }
    }
}

impl BackupFile {
    /// Whether it lies where a file of a backup can: never outside of the directory.
    fn has_good_name(&self) -> bool {
        let parts: Vec<_> = Path::new(&self.name).components().collect();
        let normal = parts
            .iter()
            .all(|part| matches!(part, Component::Normal(_)));
        let first = self.name.split('/').next();
        normal
            && match parts.len() {
                1 => first == Some(ANCHOR),
                2 => first == Some(STORE) || first == Some(INDEX),
                _ => false,
            }
    }
}
