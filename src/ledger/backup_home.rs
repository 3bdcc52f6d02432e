//! A backup, read as a ledger's directory: nothing in it changes, not even by a lock, and reading can be given up.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;

use super::home::{Directory, Home};
use crate::store::{
    Direction, Frozen, KeyRange, KeyValue, Objects, Read, Scan, Slots, Space, Store, StoreError,
    frozen_slots,
};

/// What the directory of a ledger is, for those who only read.
pub(crate) struct BackupHome {
    directory: Directory,
    given_up: Arc<AtomicBool>,
}

/// A store of which nothing more is scanned once that is given up.
struct Reading {
    store: Arc<dyn Read>,
    given_up: Arc<AtomicBool>,
}

impl BackupHome {
    pub(crate) fn new(dir: &Path, given_up: &Arc<AtomicBool>) -> Self {
        Self {
            directory: Directory::new(dir),
            given_up: Arc::clone(given_up),
        }
    }
}

impl Home for BackupHome {
    fn name(&self) -> String {
        self.directory.name()
    }

    fn anchor_name(&self) -> String {
        self.directory.anchor_name()
    }

    fn lock(&self) -> Result<Box<dyn Send>, StoreError> {
        // It may lie where nothing can be written. Nobody changes it.
        Ok(Box::new(()))
    }

    fn read_store(&self) -> Result<Arc<dyn Read>, StoreError> {
        Ok(Arc::new(Reading {
            store: self.directory.read_store()?,
            given_up: Arc::clone(&self.given_up),
        }))
    }

    fn open_store(&self) -> Result<Arc<dyn Store>, StoreError> {
        Err(StoreError::read_only())
    }

    fn create_store(&self) -> Result<Arc<dyn Store>, StoreError> {
        Err(StoreError::read_only())
    }

    fn freeze_store(&self) -> Result<Box<dyn Frozen>, StoreError> {
        self.directory.freeze_store()
    }

    fn open_slots(&self) -> Result<Box<dyn Slots>, StoreError> {
        frozen_slots(Path::new(&self.directory.anchor_name()))
    }

    fn create_slots(&self) -> Result<Box<dyn Slots>, StoreError> {
        Err(StoreError::read_only())
    }

    fn set_slots_aside(&self) -> Result<(), StoreError> {
        Err(StoreError::read_only())
    }

    fn objects(&self) -> Result<Box<dyn Objects>, StoreError> {
        Err(StoreError::read_only())
    }

    fn read_objects(&self) -> Result<Box<dyn Objects>, StoreError> {
        self.directory.read_objects()
    }
}

impl Read for Reading {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        self.store.get(space, key)
    }

    fn get_many(&self, space: Space, keys: &[&[u8]]) -> Result<Vec<Option<Bytes>>, StoreError> {
        self.store.get_many(space, keys)
    }

    fn last_at_or_before(&self, space: Space, key: &[u8]) -> Result<Option<KeyValue>, StoreError> {
        self.store.last_at_or_before(space, key)
    }

    fn first_at_or_after(&self, space: Space, key: &[u8]) -> Result<Option<KeyValue>, StoreError> {
        self.store.first_at_or_after(space, key)
    }

    fn scan(&self, space: Space, range: KeyRange, direction: Direction) -> Scan<'_> {
        let pairs = self.store.scan(space, range, direction);
        Box::new(pairs.map(|pair| {
            if self.given_up.load(Ordering::Relaxed) {
                return Err(StoreError::given_up());
            }
            pair
        }))
    }
}
