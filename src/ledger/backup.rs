//! Backups: a copy of a ledger that runs or is stopped, audited before it is called good.
//!
//! First the anchor is copied, then the store is frozen, then the objects of the index are copied: so the store is never
//! behind its anchor. What it holds beyond is what was being acknowledged just then, and a start keeps it, as it does after a
//! crash. An object of the index that went meanwhile is built again by a start. The signing key is no part of a backup.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::Ledger;
use super::anchor::Anchor;
use super::audit::audit_directory;
use super::backup_home::BackupHome;
use super::backup_manifest::{ANCHOR, BackupFile, BackupManifest, INDEX, STORE};
use super::error::{Damage, LedgerError};
use super::home::Home;
use super::open::read_genesis;
use crate::entry::genesis::Genesis;
use crate::entry::hex;
use crate::store::{
    self, Copied, FileSlots, Frozen, ObjectReader, Objects, SLOT_COUNT, Slots, StoreError,
};
use crate::verify::Verdict;

/// The longest name of a backup, in bytes.
pub const MAX_BACKUP_NAME: usize = 64;
/// A backup leaves so much of its volume free.
const RESERVE_BYTES: u64 = 256 * 1024 * 1024;

/// Where a backup goes.
#[derive(Debug, Clone, Copy)]
pub struct BackupPlace<'a> {
    /// An existing directory that holds backups.
    pub dir: &'a Path,
    /// The name of this one: 1 to [`MAX_BACKUP_NAME`] of a to z, 0 to 9 and -.
    pub name: &'a str,
    /// When it is made: nanoseconds since 1970, UTC.
    pub made_at: u64,
}

/// What is copied.
struct Source<'a> {
    genesis: &'a Genesis,
    anchor: Anchor,
    store: Box<dyn Frozen + 'a>,
    objects: &'a dyn Objects,
}

impl Ledger {
    /// Copies this ledger, and audits the copy, while appends go on. Takes as long as reading everything twice.
    ///
    /// # Errors
    ///
    /// One that leaves a backup there is none: what was copied is removed.
    pub fn back_up(
        &self,
        place: BackupPlace<'_>,
        given_up: &Arc<AtomicBool>,
    ) -> Result<BackupManifest, LedgerError> {
        let objects = self.segments.objects();
        place.fill(given_up, || {
            Ok(Source {
                genesis: &self.genesis,
                anchor: self.signing.anchor().ok_or_else(|| self.queue.stopped())?,
                store: self.store.freeze()?,
                objects,
            })
        })
    }
}

/// Copies the ledger in `home`, which no process may have open, and audits the copy.
pub fn back_up_stopped(
    home: &dyn Home,
    place: BackupPlace<'_>,
    given_up: &Arc<AtomicBool>,
) -> Result<BackupManifest, LedgerError> {
    let _lock = home.lock()?;
    let genesis = read_genesis(&*home.read_store()?)?;
    let objects = home.read_objects()?;
    place.fill(given_up, || {
        Ok(Source {
            genesis: &genesis,
            anchor: Anchor::read(&*home.open_slots()?)?,
            store: home.freeze_store()?,
            objects: &*objects,
        })
    })
}

impl BackupPlace<'_> {
    /// Copies what `source` opens to a directory beside its place, audits it, and moves it there.
    fn fill<'s>(
        self,
        given_up: &Arc<AtomicBool>,
        source: impl FnOnce() -> Result<Source<'s>, LedgerError>,
    ) -> Result<BackupManifest, LedgerError> {
        check_name(self.name)?;
        let done = self.dir.join(self.name);
        let part = self.dir.join(format!(".{}.part", self.name));
        if !self.dir.is_dir() {
            let path = self.dir.to_owned();
            return Err(StoreError::Missing { path }.into());
        }
        if done.symlink_metadata().is_ok() {
            return Err(StoreError::Exists { path: done }.into());
        }
        // What a crash left of an attempt of the same name.
        store::remove_dir(&part)?;
        let made = self
            .copy(&part, source, given_up)
            .and_then(|manifest| {
                let bytes = manifest.encode()?;
                store::write_file(&bytes, &part.join(BackupManifest::FILE))?;
                store::sync_names(&part)?;
                Ok(manifest)
            })
            .and_then(|manifest| {
                store::rename_dir(&part, &done)?;
                Ok(manifest)
            });
        if made.is_err() {
            // The error that is told is the first one.
            let _ = store::remove_dir(&part);
        }
        made
    }

    fn copy<'s>(
        self,
        part: &Path,
        source: impl FnOnce() -> Result<Source<'s>, LedgerError>,
        given_up: &Arc<AtomicBool>,
    ) -> Result<BackupManifest, LedgerError> {
        store::create_dir(part)?;
        let mut copy = Copy {
            dir: part.to_owned(),
            files: Vec::new(),
            given_up,
        };
        let source = source()?;
        copy.anchor(&source.anchor)?;
        let files = source.store.files()?;
        copy.check_room(&*source.store, &files)?;
        copy.all(STORE, &files, |name| source.store.open(name).map(Some))?;
        let (genesis, checkpoint) = (source.genesis, source.anchor.checkpoint.clone());
        // Its links keep deleted tables on the disk.
        drop(source.store);
        let objects = source.objects.list()?;
        copy.all(INDEX, &objects, |name| match source.objects.open(name) {
            Err(StoreError::Missing { .. }) => Ok(None),
            opened => opened.map(Some),
        })?;
        store::sync_names(part)?;
        let key = genesis.verifier_key();
        let home = BackupHome::new(part, given_up);
        let report = audit_directory(&home, Some(key), Some(&checkpoint), &mut |_, _| {})?;
        if report.verdict != Verdict::Ok {
            let what = format!("the copy does not verify: {}", report.verdict);
            return Err(LedgerError::Damaged(Damage::of(what)));
        }
        let size = source.anchor.frontier.size();
        Ok(BackupManifest {
            format: BackupManifest::FORMAT.into(),
            graven: env!("CARGO_PKG_VERSION").into(),
            made_at: self.made_at,
            origin: genesis.origin().into(),
            key: key.to_string(),
            size,
            entries: size.saturating_add(report.unacknowledged),
            root: hex::encode(&source.anchor.frontier.root()),
            checkpoint,
            files: copy.files,
        })
    }
}

/// A copy under way.
struct Copy<'a> {
    dir: PathBuf,
    files: Vec<BackupFile>,
    given_up: &'a Arc<AtomicBool>,
}

impl Copy<'_> {
    fn anchor(&mut self, anchor: &Anchor) -> Result<(), LedgerError> {
        let path = self.dir.join(ANCHOR);
        let mut slots = FileSlots::create(&path)?;
        // Both, so that one flipped bit of it does not cost it.
        for slot in 0..SLOT_COUNT {
            slots.write(slot, &anchor.encode())?;
        }
        let file = store::open_file(&path)?;
        let copied = store::digest(&*file, self.given_up)?;
        self.note(ANCHOR, "", copied);
        Ok(())
    }

    /// Whether what is frozen has room here. The index comes on top, and is small beside it.
    fn check_room(&self, frozen: &dyn Frozen, files: &[String]) -> Result<(), LedgerError> {
        let mut bytes = 0u64;
        for name in files {
            bytes = bytes.saturating_add(frozen.open(name)?.len());
        }
        let free = store::free_bytes_at(&self.dir)?;
        if free < bytes.saturating_add(RESERVE_BYTES) {
            return Err(StoreError::Full {
                what: format!(
                    "a backup of {bytes} bytes, where {free} are free and {RESERVE_BYTES} are held in reserve"
                ),
            }
            .into());
        }
        Ok(())
    }

    fn all(
        &mut self,
        dir: &'static str,
        names: &[String],
        open: impl Fn(&str) -> Result<Option<Box<dyn ObjectReader>>, StoreError>,
    ) -> Result<(), LedgerError> {
        let to = self.dir.join(dir);
        store::create_dir(&to)?;
        for name in names {
            let Some(file) = open(name)? else { continue };
            let copied = store::copy_file(&*file, &to.join(name), self.given_up)?;
            self.note(dir, name, copied);
        }
        Ok(store::sync_names(&to)?)
    }

    fn note(&mut self, dir: &str, name: &str, copied: Copied) {
        let slash = if name.is_empty() { "" } else { "/" };
        self.files.push(BackupFile {
            name: format!("{dir}{slash}{name}"),
            bytes: copied.bytes,
            sha256: hex::encode(&copied.sha256),
        });
    }
}

/// Checks the name of a backup, which becomes that of a directory.
fn check_name(name: &str) -> Result<(), LedgerError> {
    let allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
    if !name.is_empty() && name.len() <= MAX_BACKUP_NAME && name.bytes().all(allowed) {
        return Ok(());
    }
    let what = format!(
        "the name of a backup has 1 to {MAX_BACKUP_NAME} characters of a to z, 0 to 9 and -"
    );
    Err(LedgerError::BadRange(what))
}
