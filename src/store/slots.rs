use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::StoreError;
use super::files::{create_dir_durably, parent, sync_dir};
use super::objects::open_file;

/// Number of slots.
pub const SLOT_COUNT: usize = 2;

/// Bytes of a slot.
pub const SLOT_LEN: usize = 4096;

/// Two places of [`SLOT_LEN`] bytes each that are overwritten in turn.
///
/// Overwriting one never touches the other, so whatever interrupts a write, one whole slot is left.
/// The interrupted one may hold any mixture of old and new 512-byte sectors: its content has to
/// carry a checksum of its own, which slots know nothing of. A new slot is all zeros.
pub trait Slots: Send {
    /// The [`SLOT_LEN`] bytes of `slot`.
    fn read(&self, slot: usize) -> Result<Vec<u8>, StoreError>;

    /// Overwrites `slot` and returns once that is durable.
    ///
    /// # Errors
    ///
    /// A failed write leaves the slot's content unknown, and every later one is refused with
    /// [`StoreError::Poisoned`].
    fn write(&mut self, slot: usize, bytes: &[u8]) -> Result<(), StoreError>;
}

/// Slots in a file of their own, which can lie on another volume than the store.
///
/// The file has its full length from the start and is written in place: one write and one data sync,
/// with neither a rename nor a directory sync in the path of a commit.
#[derive(Debug)]
pub struct FileSlots {
    file: File,
    path: PathBuf,
    poisoned: bool,
}

/// Slots that are only read, in memory.
struct FrozenSlots(Vec<u8>);

/// The slots in the file at `path`, for those who only read: it can lie where nothing can be written.
///
/// # Errors
///
/// Those of [`FileSlots::open`].
pub fn frozen_slots(path: &Path) -> Result<Box<dyn Slots>, StoreError> {
    let file = open_file(path)?;
    if file.len() != (SLOT_COUNT * SLOT_LEN) as u64 {
        return Err(StoreError::Damaged {
            what: format!("{} has {} bytes", path.display(), file.len()),
            file: None,
        });
    }
    let bytes = file.read_at(0, SLOT_COUNT * SLOT_LEN)?;
    Ok(Box::new(FrozenSlots(bytes.to_vec())))
}

impl Slots for FrozenSlots {
    fn read(&self, slot: usize) -> Result<Vec<u8>, StoreError> {
        check_slot(slot)?;
        let slots = self.0.chunks_exact(SLOT_LEN).nth(slot);
        Ok(slots.unwrap_or_default().to_vec())
    }

    fn write(&mut self, _slot: usize, _bytes: &[u8]) -> Result<(), StoreError> {
        Err(StoreError::read_only())
    }
}

impl FileSlots {
    /// Makes the file and the directories above it, durably.
    ///
    /// # Errors
    ///
    /// [`StoreError::Exists`] when there is a file already.
    pub fn create(path: &Path) -> Result<Self, StoreError> {
        create_dir_durably(parent(path))?;
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .open(path)
            .map_err(|error| match error.kind() {
                io::ErrorKind::AlreadyExists => StoreError::Exists {
                    path: path.to_owned(),
                },
                _ => StoreError::from_io("creating slots", path, error),
            })?;
        // Written rather than only allocated, so that no later write has to convert an extent,
        // which would put the file system's journal into the path of a commit.
        file.write_all_at(&[0; SLOT_COUNT * SLOT_LEN], 0)
            .and_then(|()| file.sync_all())
            .map_err(|error| StoreError::from_io("creating slots", path, error))?;
        sync_dir(parent(path))?;
        Ok(Self {
            file,
            path: path.to_owned(),
            poisoned: false,
        })
    }

    /// Opens an existing file.
    ///
    /// # Errors
    ///
    /// [`StoreError::Missing`] without the file, [`StoreError::Damaged`] when it has another length.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(path)
            .map_err(|error| match error.kind() {
                io::ErrorKind::NotFound => StoreError::Missing {
                    path: path.to_owned(),
                },
                _ => StoreError::from_io("opening slots", path, error),
            })?;
        let slots = Self {
            file,
            path: path.to_owned(),
            poisoned: false,
        };
        slots.check_length()?;
        Ok(slots)
    }

    /// Renames the file to the same with `.damaged` behind it, over an older one of that name.
    pub fn set_aside(path: &Path) -> Result<(), StoreError> {
        let mut aside = path.as_os_str().to_owned();
        aside.push(".damaged");
        fs::rename(path, &aside)
            .map_err(|error| StoreError::from_io("setting aside", path, error))?;
        sync_dir(parent(path))
    }

    fn check_length(&self) -> Result<(), StoreError> {
        let length = self
            .file
            .metadata()
            .map_err(|error| StoreError::from_io("reading length of", &self.path, error))?
            .len();
        if length == (SLOT_COUNT * SLOT_LEN) as u64 {
            return Ok(());
        }
        let what = format!(
            "{} has {length} bytes instead of {}",
            self.path.display(),
            SLOT_COUNT * SLOT_LEN
        );
        let file = self
            .path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned());
        Err(StoreError::Damaged { what, file })
    }
}

impl Slots for FileSlots {
    fn read(&self, slot: usize) -> Result<Vec<u8>, StoreError> {
        let offset = offset(slot)?;
        self.check_length()?;
        let mut bytes = vec![0; SLOT_LEN];
        self.file
            .read_exact_at(&mut bytes, offset)
            .map_err(|error| StoreError::from_io("reading slot in", &self.path, error))?;
        Ok(bytes)
    }

    fn write(&mut self, slot: usize, bytes: &[u8]) -> Result<(), StoreError> {
        let offset = offset(slot)?;
        check_slot_length(bytes)?;
        if self.poisoned {
            return Err(StoreError::Poisoned);
        }
        self.file
            .write_all_at(bytes, offset)
            .and_then(|()| self.file.sync_data())
            .map_err(|error| {
                // After a failed sync the system may hold the pages for clean, so that a second sync
                // would succeed without having written them.
                self.poisoned = true;
                StoreError::from_io("writing slot in", &self.path, error)
            })
    }
}

/// Where `slot` begins in the file.
fn offset(slot: usize) -> Result<u64, StoreError> {
    check_slot(slot)?;
    Ok((slot * SLOT_LEN) as u64)
}

pub(super) fn check_slot(slot: usize) -> Result<(), StoreError> {
    if slot < SLOT_COUNT {
        Ok(())
    } else {
        Err(StoreError::invalid("slot number", slot, "0 or 1"))
    }
}

pub(super) fn check_slot_length(bytes: &[u8]) -> Result<(), StoreError> {
    if bytes.len() == SLOT_LEN {
        Ok(())
    } else {
        Err(StoreError::invalid("bytes of a slot", bytes.len(), "4096"))
    }
}
