use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;

use super::StoreError;

/// The file whose lock stands for its directory. It is empty and never removed: removing it would
/// let a second process lock a new file of the same name.
const LOCK_FILE: &str = "graven.lock";

/// Exclusive use of a directory among processes that ask for it, until dropped.
///
/// The lock is advisory and belongs to the open file, so the system releases it when the process
/// ends, however it ends.
#[derive(Debug)]
pub struct DirLock {
    file: File,
}

impl Drop for DirLock {
    /// Releases it at once: closing the file would not while a process that was forked meanwhile, and has not begun its
    /// program yet, still has it.
    fn drop(&mut self) {
        // A lock that cannot be released goes with the process.
        let _ = self.file.unlock();
    }
}

impl DirLock {
    /// Takes the lock of the existing directory `dir` without waiting.
    ///
    /// # Errors
    ///
    /// [`StoreError::InUse`] while another holder has it, [`StoreError::Missing`] without `dir`.
    pub fn acquire(dir: &Path) -> Result<Self, StoreError> {
        if !dir.is_dir() {
            return Err(StoreError::Missing {
                path: dir.to_owned(),
            });
        }
        let path = dir.join(LOCK_FILE);
        let file = OpenOptions::new()
            .create(true)
            .write(true)
            .truncate(false)
            .open(&path)
            .map_err(|error| StoreError::from_io("opening lock file", &path, error))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { file }),
            Err(TryLockError::WouldBlock) => Err(StoreError::InUse {
                path: dir.to_owned(),
            }),
            Err(TryLockError::Error(error)) => Err(StoreError::from_io("locking", &path, error)),
        }
    }
}
