use std::sync::MutexGuard;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;

use super::image::Image;
use super::{Disk, Fault, MemoryDisk, Step, StoreState, place};
use crate::store::{
    Batch, Direction, Frozen, KeyRange, KeyValue, Read, Scan, Space, Store, StoreError,
};

/// The store on a [`MemoryDisk`], open for writing until dropped or until the power is cut.
pub struct MemoryStore {
    disk: MemoryDisk,
    boots: u64,
    poisoned: AtomicBool,
}

/// The store on a [`MemoryDisk`] as it was at one moment.
pub struct MemoryReader {
    image: Image,
}

impl MemoryDisk {
    /// Makes an empty store, or says [`StoreError::Exists`].
    pub fn create_store(&self) -> Result<MemoryStore, StoreError> {
        let mut disk = self.lock();
        if disk.store.is_some() {
            return Err(StoreError::Exists { path: place() });
        }
        disk.store = Some(StoreState::default());
        self.opened(disk)
    }

    /// Opens the store, or says [`StoreError::Missing`] or [`StoreError::InUse`].
    pub fn open_store(&self) -> Result<MemoryStore, StoreError> {
        self.opened(self.lock())
    }

    /// The store as it is now, without taking it into use.
    pub fn open_store_read_only(&self) -> Result<MemoryReader, StoreError> {
        let disk = self.lock();
        let store = disk
            .store
            .as_ref()
            .ok_or(StoreError::Missing { path: place() })?;
        Ok(MemoryReader {
            image: store.image.clone(),
        })
    }

    fn opened(&self, mut disk: MutexGuard<'_, Disk>) -> Result<MemoryStore, StoreError> {
        let boots = disk.boots;
        let store = disk
            .store
            .as_mut()
            .ok_or(StoreError::Missing { path: place() })?;
        if store.open {
            return Err(StoreError::InUse { path: place() });
        }
        store.open = true;
        Ok(MemoryStore {
            disk: self.clone(),
            boots,
            poisoned: AtomicBool::new(false),
        })
    }
}

impl MemoryStore {
    /// Runs `read` on the store's content, unless the power was cut since it was opened.
    fn read<T>(&self, read: impl FnOnce(&Image) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let disk = self.disk.lock();
        disk.check_power(self.boots)?;
        let store = disk
            .store
            .as_ref()
            .ok_or(StoreError::Missing { path: place() })?;
        read(&store.image)
    }

    /// Runs a write that the fault planned for it, if any, makes fail. A failure poisons the store.
    fn write(
        &self,
        step: Step,
        write: impl FnOnce(&mut StoreState, Option<Fault>),
    ) -> Result<(), StoreError> {
        if self.poisoned.load(Ordering::Acquire) {
            return Err(StoreError::Poisoned);
        }
        let mut disk = self.disk.lock();
        disk.check_power(self.boots)?;
        let fault = disk.fault(step);
        write(
            disk.store
                .as_mut()
                .ok_or(StoreError::Missing { path: place() })?,
            fault,
        );
        fault.map_or(Ok(()), |fault| {
            self.poisoned.store(true, Ordering::Release);
            Err(fault.error())
        })
    }
}

impl Store for MemoryStore {
    fn commit(&self, batch: Batch) -> Result<(), StoreError> {
        self.write(Step::Commit, |store, fault| {
            if matches!(fault, Some(Fault::Lost | Fault::Full)) {
                return;
            }
            let replaced = store.image.apply(batch.operations());
            let dead = replaced.iter().filter_map(|(space, key, cell)| {
                let kept = matches!(space, Space::Entry | Space::Detail);
                let value = cell.as_ref().filter(|_| kept)?.value();
                Some((*space, key.clone(), value.clone()))
            });
            store.dead.extend(dead);
            if fault == Some(Fault::Unsynced) {
                store.unsynced.push(replaced);
            } else {
                // There is one log, and its sync covers all that was written to it before.
                store.unsynced.clear();
            }
        })
    }

    fn flush(&self) -> Result<(), StoreError> {
        self.write(Step::Flush, |store, fault| {
            if matches!(fault, None | Some(Fault::Durable)) {
                store.unsynced.clear();
            }
        })
    }

    fn purge(&self, places: &[(Space, KeyRange)]) -> Result<(), StoreError> {
        if self.poisoned.load(Ordering::Acquire) {
            return Err(StoreError::Poisoned);
        }
        let mut disk = self.disk.lock();
        disk.check_power(self.boots)?;
        let fault = disk.fault(Step::Purge);
        let done = matches!(fault, None | Some(Fault::Durable));
        if let Some(store) = disk.store.as_mut().filter(|_| done) {
            store.unsynced.clear();
            store.dead.retain(|(space, key, _)| {
                let in_range = |(of, range): &(Space, KeyRange)| of == space && range.contains(key);
                !places.iter().any(in_range)
            });
        }
        // What it did not get rid of can be tried again.
        fault.map_or(Ok(()), |fault| Err(fault.error()))
    }

    fn snapshot(&self) -> Box<dyn Read + '_> {
        let disk = self.disk.lock();
        let image = disk
            .store
            .as_ref()
            .map(|store| store.image.clone())
            .unwrap_or_default();
        Box::new(MemoryReader { image })
    }

    fn freeze(&self) -> Result<Box<dyn Frozen + '_>, StoreError> {
        self.disk.frozen()
    }

    fn free_bytes(&self) -> Result<Option<u64>, StoreError> {
        Ok(None)
    }
}

impl Read for MemoryStore {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        self.read(|image| image.get(space, key))
    }

    fn get_many(&self, space: Space, keys: &[&[u8]]) -> Result<Vec<Option<Bytes>>, StoreError> {
        self.read(|image| keys.iter().map(|key| image.get(space, key)).collect())
    }

    fn last_at_or_before(&self, space: Space, key: &[u8]) -> Result<Option<KeyValue>, StoreError> {
        self.read(|image| image.last_at_or_before(space, key))
    }

    fn first_at_or_after(&self, space: Space, key: &[u8]) -> Result<Option<KeyValue>, StoreError> {
        self.read(|image| image.first_at_or_after(space, key))
    }

    fn scan(&self, space: Space, range: KeyRange, direction: Direction) -> Scan<'_> {
        match self.read(|image| Ok(image.scan(space, range, direction))) {
            Ok(cursor) => Box::new(cursor),
            Err(error) => Box::new(std::iter::once(Err(error))),
        }
    }
}

impl Drop for MemoryStore {
    fn drop(&mut self) {
        let mut disk = self.disk.lock();
        if disk.boots == self.boots
            && let Some(store) = &mut disk.store
        {
            store.open = false;
        }
    }
}

impl Read for MemoryReader {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        self.image.get(space, key)
    }

    fn get_many(&self, space: Space, keys: &[&[u8]]) -> Result<Vec<Option<Bytes>>, StoreError> {
        keys.iter().map(|key| self.image.get(space, key)).collect()
    }

    fn last_at_or_before(&self, space: Space, key: &[u8]) -> Result<Option<KeyValue>, StoreError> {
        self.image.last_at_or_before(space, key)
    }

    fn first_at_or_after(&self, space: Space, key: &[u8]) -> Result<Option<KeyValue>, StoreError> {
        self.image.first_at_or_after(space, key)
    }

    fn scan(&self, space: Space, range: KeyRange, direction: Direction) -> Scan<'_> {
        Box::new(self.image.scan(space, range, direction))
    }
}
