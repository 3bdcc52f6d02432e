//! Copying a store away while it goes on: it is frozen, and its files are copied from what stands still.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use sha2::{Digest, Sha256};

use super::files::{create_dir_durably, parent, sync_dir};
use super::objects::open_file;
use super::{ObjectReader, StoreError};

/// Bytes that are copied at once.
const CHUNK: u64 = 1024 * 1024;

/// A store as it was at one moment: the files that, in a directory of their own, are a store of the same content.
pub trait Frozen: Send {
    /// The names of the files, ascending. None of them is a path.
    fn files(&self) -> Result<Vec<String>, StoreError>;

    /// Opens a file for reading.
    fn open(&self, name: &str) -> Result<Box<dyn ObjectReader>, StoreError>;
}

/// Files of a directory that nobody changes.
pub(super) struct FrozenFiles {
    dir: PathBuf,
    names: Vec<String>,
}

impl FrozenFiles {
    pub(super) fn new(dir: &Path, mut names: Vec<String>) -> Self {
        names.sort_unstable();
        let dir = dir.to_owned();
        Self { dir, names }
    }
}

impl Frozen for FrozenFiles {
    fn files(&self) -> Result<Vec<String>, StoreError> {
        Ok(self.names.clone())
    }

    fn open(&self, name: &str) -> Result<Box<dyn ObjectReader>, StoreError> {
        if self.names.iter().any(|known| known == name) {
            return open_file(&self.dir.join(name));
        }
        Err(StoreError::Missing {
            path: self.dir.join(name),
        })
    }
}

/// What was copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Copied {
    /// Length in bytes.
    pub bytes: u64,
    /// SHA-256 of them.
    pub sha256: [u8; 32],
}

/// The SHA-256 of all bytes of `from`, unless that is given up.
pub fn digest(from: &dyn ObjectReader, given_up: &AtomicBool) -> Result<Copied, StoreError> {
    each_chunk(from, given_up, |_| Ok(()))
}

/// Copies all bytes of `from` to the new file `to`, unless that is given up. When it returns `Ok` the bytes are durable;
/// the name is once [`sync_names`] was called for its directory.
pub fn copy_file(
    from: &dyn ObjectReader,
    to: &Path,
    given_up: &AtomicBool,
) -> Result<Copied, StoreError> {
    let failed = |error| StoreError::from_io("writing", to, error);
    let mut file = create_file(to)?;
    let copied = each_chunk(from, given_up, |bytes| {
        file.write_all(bytes).map_err(failed)
    })?;
    file.sync_all().map_err(failed)?;
    Ok(copied)
}

/// Writes the new file `to`, as [`copy_file`] does.
pub fn write_file(bytes: &[u8], to: &Path) -> Result<Copied, StoreError> {
    let failed = |error| StoreError::from_io("writing", to, error);
    let mut file = create_file(to)?;
    file.write_all(bytes).map_err(failed)?;
    file.sync_all().map_err(failed)?;
    Ok(Copied {
        bytes: bytes.len() as u64,
        sha256: Sha256::digest(bytes).into(),
    })
}

/// Makes `dir` and what is missing above it, durably.
pub fn create_dir(dir: &Path) -> Result<(), StoreError> {
    create_dir_durably(dir)
}

/// Makes the names within `dir` durable.
pub fn sync_names(dir: &Path) -> Result<(), StoreError> {
    sync_dir(dir)
}

/// Gives the directory `from` the name `to` beside it, durably.
pub fn rename_dir(from: &Path, to: &Path) -> Result<(), StoreError> {
    fs::rename(from, to).map_err(|error| StoreError::from_io("renaming", from, error))?;
    sync_dir(parent(to))
}

/// Removes `dir` with all that is in it, if it is there.
pub fn remove_dir(dir: &Path) -> Result<(), StoreError> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(StoreError::from_io("removing", dir, error))
        }
        _ => Ok(()),
    }
}

/// Bytes free for this process where `path` lies.
pub fn free_bytes_at(path: &Path) -> Result<u64, StoreError> {
    let volume = rustix::fs::statvfs(path)
        .map_err(|error| StoreError::from_io("reading free space of", path, error.into()))?;
    Ok(volume.f_bavail.saturating_mul(volume.f_frsize))
}

fn create_file(to: &Path) -> Result<File, StoreError> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(to)
        .map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => StoreError::Exists {
                path: to.to_owned(),
            },
            _ => StoreError::from_io("creating", to, error),
        })
}

fn each_chunk(
    from: &dyn ObjectReader,
    given_up: &AtomicBool,
    mut take: impl FnMut(&[u8]) -> Result<(), StoreError>,
) -> Result<Copied, StoreError> {
    let mut hasher = Sha256::new();
    let mut offset = 0;
    while offset < from.len() {
        if given_up.load(Ordering::Relaxed) {
            return Err(StoreError::given_up());
        }
        let length = CHUNK.min(from.len() - offset);
        // At most a chunk.
        let bytes = from.read_at(offset, usize::try_from(length).unwrap_or(usize::MAX))?;
        hasher.update(&bytes);
        take(&bytes)?;
        offset += length;
    }
    Ok(Copied {
        bytes: offset,
        sha256: hasher.finalize().into(),
    })
}
