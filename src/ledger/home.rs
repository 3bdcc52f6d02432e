//! Where a ledger lives: a directory for the store, a file for the anchor, or a simulated disk in tests.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::store::{
    DirLock, FileObjects, FileSlots, Frozen, MemoryDisk, Objects, Read, RocksStore, Slots, Store,
    StoreError,
};

/// Opens and creates the store and the anchor of one ledger.
pub trait Home: Send + Sync {
    /// Its name for error messages.
    fn name(&self) -> String;
    /// Where the anchor is, for error messages.
    fn anchor_name(&self) -> String;
    /// Keeps other processes out until it is dropped.
    fn lock(&self) -> Result<Box<dyn Send>, StoreError>;
    /// Opens the store without changing it.
    fn read_store(&self) -> Result<Arc<dyn Read>, StoreError>;
    /// Opens the store for writing.
    fn open_store(&self) -> Result<Arc<dyn Store>, StoreError>;
    /// Makes an empty store.
    fn create_store(&self) -> Result<Arc<dyn Store>, StoreError>;
    /// The store's files, for copying. No process has it open meanwhile.
    fn freeze_store(&self) -> Result<Box<dyn Frozen>, StoreError>;
    /// Opens the anchor's slots.
    fn open_slots(&self) -> Result<Box<dyn Slots>, StoreError>;
    /// Makes the anchor's slots, both zeros.
    fn create_slots(&self) -> Result<Box<dyn Slots>, StoreError>;
    /// Keeps slots that cannot be opened under another name, so that new ones can be made.
    fn set_slots_aside(&self) -> Result<(), StoreError>;
    /// Opens the objects of the search index, for writing. There are none at first.
    fn objects(&self) -> Result<Box<dyn Objects>, StoreError>;
    /// Opens the objects of the search index without changing them.
    fn read_objects(&self) -> Result<Box<dyn Objects>, StoreError>;
}

/// A directory.
#[derive(Debug, Clone)]
pub struct Directory {
    dir: PathBuf,
    anchor: PathBuf,
}

impl Directory {
    /// The ledger in `dir`, with its anchor in the same place.
    pub fn new(dir: &Path) -> Self {
        Self::with_anchor(dir, &dir.join("anchor"))
    }

    /// The ledger in `dir`, with its anchor in the file `anchor`, which can be on another volume.
    pub fn with_anchor(dir: &Path, anchor: &Path) -> Self {
        Self {
            dir: dir.to_path_buf(),
            anchor: anchor.to_path_buf(),
        }
    }

    fn store(&self) -> PathBuf {
        self.dir.join("store")
    }

    fn index(&self) -> PathBuf {
        self.dir.join("index")
    }
}

impl Home for Directory {
    fn name(&self) -> String {
        self.dir.display().to_string()
    }

    fn anchor_name(&self) -> String {
        self.anchor.display().to_string()
    }

    fn lock(&self) -> Result<Box<dyn Send>, StoreError> {
        Ok(Box::new(DirLock::acquire(&self.dir)?))
    }

    fn read_store(&self) -> Result<Arc<dyn Read>, StoreError> {
        Ok(Arc::new(RocksStore::open_read_only(&self.store())?) as Arc<dyn Read>)
    }

    fn open_store(&self) -> Result<Arc<dyn Store>, StoreError> {
        Ok(Arc::new(RocksStore::open(&self.store())?))
    }

    fn create_store(&self) -> Result<Arc<dyn Store>, StoreError> {
        Ok(Arc::new(RocksStore::create(&self.store())?))
    }

    fn freeze_store(&self) -> Result<Box<dyn Frozen>, StoreError> {
        RocksStore::frozen(&self.store())
    }

    fn open_slots(&self) -> Result<Box<dyn Slots>, StoreError> {
        Ok(Box::new(FileSlots::open(&self.anchor)?))
    }

    fn create_slots(&self) -> Result<Box<dyn Slots>, StoreError> {
        Ok(Box::new(FileSlots::create(&self.anchor)?))
    }

    fn set_slots_aside(&self) -> Result<(), StoreError> {
        FileSlots::set_aside(&self.anchor)
    }

    fn objects(&self) -> Result<Box<dyn Objects>, StoreError> {
        Ok(Box::new(FileObjects::open(&self.index())?))
    }

    fn read_objects(&self) -> Result<Box<dyn Objects>, StoreError> {
        Ok(Box::new(FileObjects::read_only(&self.index())))
    }
}

impl Home for MemoryDisk {
    fn name(&self) -> String {
        "the simulated disk".into()
    }

    fn anchor_name(&self) -> String {
        "of the simulated disk".into()
    }

    fn lock(&self) -> Result<Box<dyn Send>, StoreError> {
        // Its stores and slots keep a second user out by themselves.
        Ok(Box::new(()))
    }

    fn read_store(&self) -> Result<Arc<dyn Read>, StoreError> {
        Ok(Arc::new(self.open_store_read_only()?))
    }

    fn open_store(&self) -> Result<Arc<dyn Store>, StoreError> {
        Ok(Arc::new(Self::open_store(self)?))
    }

    fn create_store(&self) -> Result<Arc<dyn Store>, StoreError> {
        Ok(Arc::new(Self::create_store(self)?))
    }

    fn freeze_store(&self) -> Result<Box<dyn Frozen>, StoreError> {
        self.frozen()
    }

    fn open_slots(&self) -> Result<Box<dyn Slots>, StoreError> {
        Ok(Box::new(Self::open_slots(self)?))
    }

    fn create_slots(&self) -> Result<Box<dyn Slots>, StoreError> {
        Ok(Box::new(Self::create_slots(self)?))
    }

    fn set_slots_aside(&self) -> Result<(), StoreError> {
        // They always open.
        Ok(())
    }

    fn objects(&self) -> Result<Box<dyn Objects>, StoreError> {
        Ok(Box::new(Self::objects(self)))
    }

    fn read_objects(&self) -> Result<Box<dyn Objects>, StoreError> {
        Ok(Box::new(Self::objects(self)))
    }
}
