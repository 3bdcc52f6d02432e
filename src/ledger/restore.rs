//! Restoring a backup: it is verified as a whole, held against the newest checkpoint that is known, and laid out.
//!
//! Nothing is signed. A backup that lacks entries which were acknowledged is not laid out: under the old name a second
//! history would begin, which every witness and every holder of a later receipt refuses for ever.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::audit::audit_directory;
use super::backup_home::BackupHome;
use super::backup_manifest::{ANCHOR, BackupFile, BackupManifest, INDEX, STORE};
use super::error::{Damage, LedgerError};
use super::home::Home;
use super::known::{self, KnownCheckpoint};
use crate::entry::hex;
use crate::note::VerifierKey;
use crate::store::{self, StoreError};
use crate::verify::{Check, Finding, Verdict};

/// A backup that was read, and what is wrong with it.
#[derive(Debug)]
pub struct CheckedBackup {
    /// What it says it holds.
    pub manifest: BackupManifest,
    /// The verdict over all of it.
    pub verdict: Verdict,
    dir: PathBuf,
    given_up: Arc<AtomicBool>,
}

/// Verifies the backup in `dir`: every file against its digest, and the ledger as one that is stopped.
///
/// `key` is the ledger's; that of the manifest where none is pinned. An error means that nothing could be checked.
pub fn check_backup(
    dir: &Path,
    key: Option<&VerifierKey>,
    given_up: &Arc<AtomicBool>,
) -> Result<CheckedBackup, LedgerError> {
    let mut checked = CheckedBackup {
        manifest: BackupManifest::read(dir)?,
        verdict: Verdict::Ok,
        dir: dir.to_owned(),
        given_up: Arc::clone(given_up),
    };
    checked.verdict = match checked.compare_files()? {
        Some(finding) => Verdict::Tampered(finding),
        None => checked.audit(key)?,
    };
    Ok(checked)
}

impl CheckedBackup {
    /// Refuses a backup that a later checkpoint, kept elsewhere, shows to lack entries, or to be of another history.
    pub fn compare(&self, latest: KnownCheckpoint) -> Result<(), LedgerError> {
        let store = self.home().read_store()?;
        let key = self.key()?;
        let origin = &self.manifest.origin;
        known::check(&store, self.manifest.entries, &[latest], origin, &key)
    }

    /// Lays the backup out in the new directory `dir`, with the anchor in the new file `anchor`. Each file is compared
    /// with its digest once more, and is durable when this returns.
    ///
    /// The anchor comes last: what a crash leaves before does not start.
    pub fn lay_out(&self, dir: &Path, anchor: &Path) -> Result<(), LedgerError> {
        for made in [&dir.join(STORE), &dir.join(INDEX), anchor] {
            if made.symlink_metadata().is_ok() {
                let path = made.to_owned();
                return Err(StoreError::Exists { path }.into());
            }
        }
        for made in [&dir.join(STORE), &dir.join(INDEX)] {
            store::create_dir(made)?;
        }
        if let Some(above) = anchor.parent().filter(|above| *above != Path::new("")) {
            store::create_dir(above)?;
        }
        let (anchors, others): (Vec<_>, Vec<_>) = self
            .manifest
            .files
            .iter()
            .partition(|file| file.name == ANCHOR);
        for file in others {
            self.copy(file, &dir.join(&file.name))?;
        }
        for made in [&dir.join(STORE), &dir.join(INDEX), dir] {
            store::sync_names(made)?;
        }
        for file in anchors {
            self.copy(file, anchor)?;
        }
        let above = anchor.parent().filter(|above| *above != Path::new(""));
        Ok(store::sync_names(above.unwrap_or(Path::new(".")))?)
    }

    fn copy(&self, file: &BackupFile, to: &Path) -> Result<(), LedgerError> {
        let from = store::open_file(&self.dir.join(&file.name))?;
        let copied = store::copy_file(&*from, to, &self.given_up)?;
        if hex::encode(&copied.sha256) == file.sha256 {
            return Ok(());
        }
        let what = format!("{} changed while it was copied", file.name);
        Err(LedgerError::Damaged(Damage::of(what)))
    }

    /// Compares every file with its digest. There may be no others: a store reads what lies in its directory.
    fn compare_files(&self) -> Result<Option<Finding>, LedgerError> {
        let finding = |expected: &str, found: String| {
            Ok(Some(Finding::of(Check::Store, expected.to_owned(), found)))
        };
        for file in &self.manifest.files {
            let opened = match store::open_file(&self.dir.join(&file.name)) {
                Err(StoreError::Missing { .. }) => {
                    return finding(&file.name, "no such file".into());
                }
                opened => opened?,
            };
            let found = store::digest(&*opened, &self.given_up)?;
            if found.bytes != file.bytes || hex::encode(&found.sha256) != file.sha256 {
                let expected = format!("{} as it was copied", file.name);
                return finding(&expected, "another file".into());
            }
        }
        let listed: BTreeSet<_> = self.manifest.files.iter().map(|file| &file.name).collect();
        if !listed.iter().any(|name| name.as_str() == ANCHOR) {
            return finding(ANCHOR, "no such file".into());
        }
        for name in self.home().freeze_store()?.files()? {
            let name = format!("{STORE}/{name}");
            if !listed.contains(&name) {
                return finding("the files that were copied", format!("also {name}"));
            }
        }
        Ok(None)
    }

    /// Audits the ledger, and compares the manifest with it.
    fn audit(&self, pinned: Option<&VerifierKey>) -> Result<Verdict, LedgerError> {
        let manifest = &self.manifest;
        let own = self.key()?;
        let pinned = pinned.unwrap_or(&own);
        let minimum = Some(manifest.checkpoint.as_str());
        let report = audit_directory(&self.home(), Some(pinned), minimum, &mut |_, _| {})?;
        let size = report.audit.as_ref().map(|audit| audit.entries);
        let entries = size.map(|size| size.saturating_add(report.unacknowledged));
        let said = (Some(&manifest.origin), Some(manifest.entries));
        if report.verdict == Verdict::Ok && said != (report.origin.as_ref(), entries) {
            let expected = format!("{} entries of {}", manifest.entries, manifest.origin);
            let found = "another ledger or another size";
            return Ok(Verdict::Tampered(Finding::of(Check::Head, expected, found)));
        }
        Ok(report.verdict)
    }

    fn key(&self) -> Result<VerifierKey, LedgerError> {
        VerifierKey::parse(&self.manifest.key).map_err(|error| {
            LedgerError::Damaged(Damage::of(format!("backup.json: its key: {error}")))
        })
    }

    fn home(&self) -> BackupHome {
        BackupHome::new(&self.dir, &self.given_up)
    }
}
