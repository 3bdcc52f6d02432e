//! A running store, frozen by the engine's own checkpoint: links to its tables, and copies of what still grows.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use rocksdb::DB;
use rocksdb::checkpoint::Checkpoint;

use super::errors::from_engine;
use super::store_files;
use crate::store::frozen::{FrozenFiles, remove_dir};
use crate::store::{Frozen, ObjectReader, StoreError};

/// The files of a checkpoint, removed when it is dropped. They lie beside the store, where they can be links.
pub(super) struct FrozenStore<'a> {
    files: FrozenFiles,
    dir: PathBuf,
    taken: &'a AtomicBool,
}

impl<'a> FrozenStore<'a> {
    /// Freezes `db`; `taken` says whether that is the case already.
    pub(super) fn of(db: &DB, taken: &'a AtomicBool) -> Result<Self, StoreError> {
        let dir = beside(db.path(), ".frozen");
        if taken.swap(true, Ordering::AcqRel) {
            return Err(StoreError::InUse { path: dir });
        }
        // Dropped on every way out, and with it what there is of the checkpoint.
        let mut frozen = Self {
            files: FrozenFiles::new(&dir, Vec::new()),
            dir,
            taken,
        };
        remove_left_over(db.path())?;
        Checkpoint::new(db)
            .and_then(|checkpoint| checkpoint.create_checkpoint(&frozen.dir))
            .map_err(|error| from_engine(db.path(), error))?;
        frozen.files = FrozenFiles::new(&frozen.dir, store_files(&frozen.dir)?);
        Ok(frozen)
    }
}

impl Frozen for FrozenStore<'_> {
    fn files(&self) -> Result<Vec<String>, StoreError> {
        self.files.files()
    }

    fn open(&self, name: &str) -> Result<Box<dyn ObjectReader>, StoreError> {
        self.files.open(name)
    }
}

impl Drop for FrozenStore<'_> {
    fn drop(&mut self) {
        // What stays is removed before the next one, and at the next start.
        let _ = remove_dir(&self.dir);
        self.taken.store(false, Ordering::Release);
    }
}

/// As long as it is there, no checkpoint of the store is: neither one that is being used nor what a crash left of one.
pub(super) struct NoneFrozen<'a>(&'a AtomicBool);

impl<'a> NoneFrozen<'a> {
    /// Says [`StoreError::InUse`] while the store in `dir` is frozen, which `taken` says.
    pub(super) fn of(dir: &Path, taken: &'a AtomicBool) -> Result<Self, StoreError> {
        if taken.swap(true, Ordering::AcqRel) {
            let path = beside(dir, ".frozen");
            return Err(StoreError::InUse { path });
        }
        let none = Self(taken);
        remove_left_over(dir)?;
        Ok(none)
    }
}

impl Drop for NoneFrozen<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

/// Removes what a crash left of a checkpoint of the store in `dir`: its links keep deleted tables on the disk.
pub(super) fn remove_left_over(dir: &Path) -> Result<(), StoreError> {
    // The engine makes the second, and renames it.
    for ending in [".frozen", ".frozen.tmp"] {
        remove_dir(&beside(dir, ending))?;
    }
    Ok(())
}

fn beside(dir: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(dir);
    name.push(ending);
    PathBuf::from(name)
}
