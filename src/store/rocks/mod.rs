//! [`RocksStore`]: the store on a local file system, in RocksDB.

mod errors;
mod frozen;
mod purge;
mod records;
mod settings;
mod view;

use std::fs;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use rocksdb::{DB, FlushOptions, Snapshot, WriteBatch, WriteOptions};

use self::errors::{from_engine, from_opening, is_store_file};
use self::records::check_records;
use self::view::{View, family};
use super::files::{create_dir_durably, sync_dir};
use super::frozen::FrozenFiles;
use super::{
    Batch, Direction, Frozen, KeyRange, KeyValue, Operation, Read, Scan, Space, Store, StoreError,
};

/// Bytes the engine adds to each pair of a batch, rounded up; for the size of its buffer.
const BATCH_OVERHEAD: usize = 16;

/// The store in a directory of its own, open for writing.
pub struct RocksStore {
    db: DB,
    poisoned: AtomicBool,
    frozen: AtomicBool,
}

/// The store in a directory, open for reading: nothing in the directory changes.
pub struct RocksReader {
    db: DB,
}

struct RocksSnapshot<'a> {
    db: &'a DB,
    snapshot: Snapshot<'a>,
}

impl RocksStore {
    /// Makes an empty store in `dir` and the directories above it, durably.
    ///
    /// # Errors
    ///
    /// [`StoreError::Exists`] when `dir` holds any file of a store, even of a broken one: the engine
    /// would take those for garbage.
    pub fn create(dir: &Path) -> Result<Self, StoreError> {
        create_dir_durably(dir)?;
        if !store_files(dir)?.is_empty() {
            return Err(StoreError::Exists {
                path: dir.to_owned(),
            });
        }
        let engine = |error| from_engine(dir, error);
        let mut options = settings::database().map_err(engine)?;
        options.create_if_missing(true);
        options.create_missing_column_families(true);
        options.set_error_if_exists(true);
        let families = settings::families().map_err(engine)?;
        let db = DB::open_cf_descriptors(&options, dir, families).map_err(engine)?;
        sync_dir(dir)?;
        Ok(Self {
            db,
            poisoned: AtomicBool::new(false),
            frozen: AtomicBool::new(false),
        })
    }

    /// Opens the store in `dir`, replaying what its write-ahead log holds.
    ///
    /// A log that ends in the middle of a record is what a power cut leaves, so the rest of that
    /// record is dropped, and the drop made permanent. A log that was cut short looks the same.
    ///
    /// # Errors
    ///
    /// [`StoreError::Missing`] without a store, [`StoreError::InUse`] while it is open elsewhere,
    /// [`StoreError::Damaged`] when a file is missing, has another length than it should, or the log
    /// or the table of files fails its checksums.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        let logs = existing_logs(dir)?;
        check_records(dir, &logs)?;
        frozen::remove_left_over(dir)?;
        let engine = |error| from_opening(dir, &logs, error);
        let options = settings::database().map_err(engine)?;
        let families = settings::families().map_err(engine)?;
        let db = DB::open_cf_descriptors(&options, dir, families).map_err(engine)?;
        // A compaction may begin at once, and must not delete a table between listing and look.
        db.disable_file_deletions().map_err(engine)?;
        check_tables(&db)?;
        db.enable_file_deletions().map_err(engine)?;
        Ok(Self {
            db,
            poisoned: AtomicBool::new(false),
            frozen: AtomicBool::new(false),
        })
    }

    /// Opens the store in `dir` as [`RocksStore::open`] would find it, changing nothing on disk and
    /// taking no lock: the caller sees to it that nobody writes there meanwhile.
    ///
    /// What the write-ahead log holds is replayed into memory.
    pub fn open_read_only(dir: &Path) -> Result<RocksReader, StoreError> {
        let logs = existing_logs(dir)?;
        check_records(dir, &logs)?;
        let engine = |error| from_opening(dir, &logs, error);
        let options = settings::database().map_err(engine)?;
        let families = settings::families().map_err(engine)?;
        let db =
            DB::open_cf_descriptors_read_only(&options, dir, families, false).map_err(engine)?;
        check_tables(&db)?;
        Ok(RocksReader { db })
    }

    /// The files of the store in `dir`, which no process has open meanwhile.
    pub fn frozen(dir: &Path) -> Result<Box<dyn Frozen>, StoreError> {
        existing_logs(dir)?;
        Ok(Box::new(FrozenFiles::new(dir, store_files(dir)?)))
    }

    fn view(&self) -> View<'_> {
        View {
            db: &self.db,
            snapshot: None,
        }
    }

    /// Runs a write, unless one failed before, and remembers if this one does.
    fn write(&self, write: impl FnOnce() -> Result<(), rocksdb::Error>) -> Result<(), StoreError> {
        if self.poisoned.load(Ordering::Acquire) {
            return Err(StoreError::Poisoned);
        }
        write().map_err(|error| {
            self.poisoned.store(true, Ordering::Release);
            from_engine(self.db.path(), error)
        })
    }
}

impl Store for RocksStore {
    fn commit(&self, batch: Batch) -> Result<(), StoreError> {
        let overhead = batch.len().saturating_mul(BATCH_OVERHEAD);
        let mut writes = WriteBatch::with_capacity_bytes(batch.bytes().saturating_add(overhead));
        for Operation { space, key, value } in batch.operations() {
            let family = family(&self.db, *space)?;
            match value {
                Some(value) => writes.put_cf(family, key, value),
                None => writes.delete_cf(family, key),
            }
        }
        let mut options = WriteOptions::default();
        options.set_sync(true);
        self.write(|| self.db.write_opt(writes, &options))
    }

    fn flush(&self) -> Result<(), StoreError> {
        let families = Space::ALL
            .map(|space| family(&self.db, space))
            .into_iter()
            .collect::<Result<Vec<_>, _>>()?;
        let mut options = FlushOptions::default();
        options.set_wait(true);
        self.write(|| self.db.flush_cfs_opt(&families, &options))
    }

    fn purge(&self, places: &[(Space, KeyRange)]) -> Result<(), StoreError> {
        // A checkpoint would keep the old tables, so there is none meanwhile.
        let _none = frozen::NoneFrozen::of(self.db.path(), &self.frozen)?;
        let logs = purge::used_logs(self.db.path())?;
        self.flush()?;
        purge::purge(&self.db, places, logs)
    }

    fn snapshot(&self) -> Box<dyn Read + '_> {
        Box::new(RocksSnapshot {
            db: &self.db,
            snapshot: self.db.snapshot(),
        })
    }

    fn freeze(&self) -> Result<Box<dyn Frozen + '_>, StoreError> {
        Ok(Box::new(frozen::FrozenStore::of(&self.db, &self.frozen)?))
    }

    fn free_bytes(&self) -> Result<Option<u64>, StoreError> {
        super::free_bytes_at(self.db.path()).map(Some)
    }
}

impl RocksReader {
    fn view(&self) -> View<'_> {
        View {
            db: &self.db,
            snapshot: None,
        }
    }
}

impl RocksSnapshot<'_> {
    fn view(&self) -> View<'_> {
        View {
            db: self.db,
            snapshot: Some(&self.snapshot),
        }
    }
}

macro_rules! read_through_view {
    ($reader:ty) => {
        impl Read for $reader {
            fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
                self.view().get(space, key)
            }

            fn get_many(
                &self,
                space: Space,
                keys: &[&[u8]],
            ) -> Result<Vec<Option<Bytes>>, StoreError> {
                self.view().get_many(space, keys)
            }

            fn last_at_or_before(
                &self,
                space: Space,
                key: &[u8],
            ) -> Result<Option<KeyValue>, StoreError> {
                self.view().last_at_or_before(space, key)
            }

            fn first_at_or_after(
                &self,
                space: Space,
                key: &[u8],
            ) -> Result<Option<KeyValue>, StoreError> {
                self.view().first_at_or_after(space, key)
            }

            fn scan(&self, space: Space, range: KeyRange, direction: Direction) -> Scan<'_> {
                self.view().scan(space, range, direction)
            }
        }
    };
}

read_through_view!(RocksStore);
read_through_view!(RocksReader);
read_through_view!(RocksSnapshot<'_>);

/// The write-ahead logs of the store in `dir`. Refuses a directory without a store before the engine
/// sees it: opening would leave files of its own there.
fn existing_logs(dir: &Path) -> Result<Vec<String>, StoreError> {
    let mut files = store_files(dir)?;
    if files.is_empty() {
        return Err(StoreError::Missing {
            path: dir.to_owned(),
        });
    }
    if files.iter().any(|name| name == "CURRENT") {
        files.retain(|name| name.strip_suffix(".log").is_some());
        return Ok(files);
    }
    Err(StoreError::Damaged {
        what: format!("{} holds files of a store but not CURRENT", dir.display()),
        file: Some("CURRENT".to_owned()),
    })
}

/// Names of the files in `dir` that hold part of a store; none without `dir`.
fn store_files(dir: &Path) -> Result<Vec<String>, StoreError> {
    let reading = |error| StoreError::from_io("reading directory", dir, error);
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(reading(error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        if let Ok(name) = entry.map_err(reading)?.file_name().into_string()
            && is_store_file(&name)
        {
            names.push(name);
        }
    }
    Ok(names)
}

/// Compares every table's length with what the store recorded, which the engine itself does only
/// once it reads the table, perhaps months later.
fn check_tables(db: &DB) -> Result<(), StoreError> {
    let dir = db.path();
    for table in db.live_files().map_err(|error| from_engine(dir, error))? {
        let name = table.name.trim_start_matches('/');
        let path = dir.join(name);
        let what = match fs::metadata(&path) {
            Ok(metadata) if usize::try_from(metadata.len()).is_ok_and(|len| len == table.size) => {
                continue;
            }
            Ok(metadata) => {
                format!(
                    "{} has {} bytes instead of {}",
                    path.display(),
                    metadata.len(),
                    table.size
                )
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                format!("{} is missing", path.display())
            }
            Err(error) => return Err(StoreError::from_io("reading length of", &path, error)),
        };
        return Err(StoreError::Damaged {
            what,
            file: Some(name.to_owned()),
        });
    }
    Ok(())
}
