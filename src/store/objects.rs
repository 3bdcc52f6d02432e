use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::StoreError;
use super::files::{create_dir_durably, sync_dir};

/// The longest name of an object, in bytes.
pub const MAX_OBJECT_NAME: usize = 64;
/// What the name of an unfinished object's file ends with; no object's name does.
const UNFINISHED: &str = "~";

/// Objects that are written once, read in ranges, and deleted.
///
/// A name has 1 to [`MAX_OBJECT_NAME`] characters of `a` to `z`, `0` to `9` and `-`.
pub trait Objects: Send + Sync {
    /// Begins an object. It does not exist before it is finished.
    ///
    /// # Errors
    ///
    /// [`StoreError::Exists`] while another one of that name is being written.
    fn create(&self, name: &str) -> Result<Box<dyn ObjectWriter>, StoreError>;

    /// Opens a finished object, or says [`StoreError::Missing`].
    fn open(&self, name: &str) -> Result<Box<dyn ObjectReader>, StoreError>;

    /// The names of the finished objects, ascending.
    fn list(&self) -> Result<Vec<String>, StoreError>;

    /// Removes an object, if there is one. Those who have it open can go on reading.
    ///
    /// After a power cut it may be there again, unless an object was finished since.
    fn delete(&self, name: &str) -> Result<(), StoreError>;
}

/// An object that is being written. Dropped before it is finished, it leaves nothing.
pub trait ObjectWriter: Send {
    /// Puts `bytes` behind those before.
    ///
    /// # Errors
    ///
    /// After any of them nothing comes of the object: what follows is refused ([`StoreError::Poisoned`]).
    fn append(&mut self, bytes: &[u8]) -> Result<(), StoreError>;

    /// Returns once the object is durable, whole and under its name.
    ///
    /// # Errors
    ///
    /// [`StoreError::Exists`] when there is an object of that name. After any other error it is not known whether there
    /// is one now.
    fn finish(self: Box<Self>) -> Result<(), StoreError>;
}

/// A finished object.
pub trait ObjectReader: Send + Sync {
    /// Its length in bytes.
    fn len(&self) -> u64;

    /// Whether it has no bytes.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Exactly `length` bytes from `offset` on; [`StoreError::Damaged`] when there are fewer.
    fn read_at(&self, offset: u64, length: usize) -> Result<Bytes, StoreError>;
}

/// Objects as files of one directory.
#[derive(Debug)]
pub struct FileObjects {
    dir: PathBuf,
}

impl FileObjects {
    /// The objects in `dir`, which is made when it is missing. Removes what crashes left unfinished.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        create_dir_durably(dir)?;
        let objects = Self::read_only(dir);
        for name in objects
            .names()?
            .iter()
            .filter(|name| name.ends_with(UNFINISHED))
        {
            remove(&dir.join(name))?;
        }
        Ok(objects)
    }

    /// The objects in `dir`, for those who only read. There are none when it is missing.
    pub fn read_only(dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
        }
    }

    fn names(&self) -> Result<Vec<String>, StoreError> {
        let listing = |error| StoreError::from_io("listing", &self.dir, error);
        let entries = match fs::read_dir(&self.dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(listing)?,
        };
        let mut names = Vec::new();
        for entry in entries {
            // A name that is not UTF-8 is not one of ours.
            names.extend(entry.map_err(listing)?.file_name().into_string().ok());
        }
        names.sort_unstable();
        Ok(names)
    }
}

impl Objects for FileObjects {
    fn create(&self, name: &str) -> Result<Box<dyn ObjectWriter>, StoreError> {
        check_name(name)?;
        let path = self.dir.join(name);
        let unfinished = self.dir.join(format!("{name}{UNFINISHED}"));
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&unfinished)
            .map_err(|error| match error.kind() {
                io::ErrorKind::AlreadyExists => StoreError::Exists {
                    path: unfinished.clone(),
                },
                _ => StoreError::from_io("creating", &unfinished, error),
            })?;
        Ok(Box::new(FileWriter {
            file: Some(BufWriter::with_capacity(256 * 1024, file)),
            unfinished,
            path,
        }))
    }

    fn open(&self, name: &str) -> Result<Box<dyn ObjectReader>, StoreError> {
        check_name(name)?;
        open_file(&self.dir.join(name))
    }

    fn list(&self) -> Result<Vec<String>, StoreError> {
        let mut names = self.names()?;
        names.retain(|name| check_name(name).is_ok());
        Ok(names)
    }

    fn delete(&self, name: &str) -> Result<(), StoreError> {
        check_name(name)?;
        remove(&self.dir.join(name))
    }
}

struct FileWriter {
    /// None once a write failed, or it was tried to finish it.
    file: Option<BufWriter<File>>,
    unfinished: PathBuf,
    path: PathBuf,
}

impl ObjectWriter for FileWriter {
    fn append(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        let file = self.file.as_mut().ok_or(StoreError::Poisoned)?;
        file.write_all(bytes).map_err(|error| {
            // Not to be tried again, so what is buffered goes too.
            drop(self.file.take().map(BufWriter::into_parts));
            StoreError::from_io("writing", &self.unfinished, error)
        })
    }

    fn finish(mut self: Box<Self>) -> Result<(), StoreError> {
        let failed = |error| StoreError::from_io("writing", &self.unfinished, error);
        let file = self.file.take().ok_or(StoreError::Poisoned)?;
        let file = file
            .into_inner()
            .map_err(|error| failed(error.into_error()))?;
        file.sync_data().map_err(failed)?;
        if self.path.exists() {
            return Err(StoreError::Exists {
                path: self.path.clone(),
            });
        }
        fs::rename(&self.unfinished, &self.path).map_err(failed)?;
        sync_dir(super::files::parent(&self.path))
    }
}

impl Drop for FileWriter {
    fn drop(&mut self) {
        // Gone already when it was finished; what stays now is removed at the next start.
        let _ = fs::remove_file(&self.unfinished);
    }
}

/// Opens a file for reading, or says [`StoreError::Missing`].
pub fn open_file(path: &Path) -> Result<Box<dyn ObjectReader>, StoreError> {
    let file = File::open(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => StoreError::Missing {
            path: path.to_owned(),
        },
        _ => StoreError::from_io("opening", path, error),
    })?;
    let metadata = file
        .metadata()
        .map_err(|error| StoreError::from_io("opening", path, error))?;
    Ok(Box::new(FileReader {
        file,
        path: path.to_owned(),
        length: metadata.len(),
    }))
}

struct FileReader {
    file: File,
    path: PathBuf,
    length: u64,
}

impl ObjectReader for FileReader {
    fn len(&self) -> u64 {
        self.length
    }

    fn read_at(&self, offset: u64, length: usize) -> Result<Bytes, StoreError> {
        check_range(offset, length, self.length, &self.path)?;
        let mut bytes = vec![0; length];
        self.file
            .read_exact_at(&mut bytes, offset)
            .map_err(|error| match error.kind() {
                // It was cut after it had been opened.
                io::ErrorKind::UnexpectedEof => too_short(offset, length, &self.path),
                _ => StoreError::from_io("reading", &self.path, error),
            })?;
        Ok(bytes.into())
    }
}

/// Checks that an object of `size` bytes has the `length` bytes from `offset` on.
pub(super) fn check_range(
    offset: u64,
    length: usize,
    size: u64,
    path: &Path,
) -> Result<(), StoreError> {
    let end = offset.checked_add(length as u64);
    if end.is_some_and(|end| end <= size) {
        return Ok(());
    }
    Err(too_short(offset, length, path))
}

fn too_short(offset: u64, length: usize, path: &Path) -> StoreError {
    let file = path
        .file_name()
        .map(|name| name.to_string_lossy().into_owned());
    StoreError::Damaged {
        what: format!(
            "{} does not have {length} bytes at {offset}",
            path.display()
        ),
        file,
    }
}

/// Checks that `name` can be the name of an object.
pub(super) fn check_name(name: &str) -> Result<(), StoreError> {
    let allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
    if !name.is_empty() && name.len() <= MAX_OBJECT_NAME && name.bytes().all(allowed) {
        return Ok(());
    }
    Err(StoreError::invalid(
        "name of an object: bytes",
        name.len(),
        "1 to 64 of a to z, 0 to 9 and -",
    ))
}

fn remove(path: &Path) -> Result<(), StoreError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(StoreError::from_io("removing", path, error))
        }
        _ => Ok(()),
    }
}
