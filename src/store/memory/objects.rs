use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use bytes::Bytes;

use super::{Fault, MemoryDisk, Step, place};
use crate::store::objects::{check_name, check_range};
use crate::store::{ObjectReader, ObjectWriter, Objects, StoreError};

/// Objects on a [`MemoryDisk`], until the power is cut.
pub struct MemoryObjects {
    disk: MemoryDisk,
    boots: u64,
}

/// The finished objects by name: what is seen, and what the disk surely holds. They are as one directory of files, whose
/// bytes are synced before they get their name: syncing it makes all names durable, and all that are gone.
#[derive(Clone, Default)]
pub(super) struct ObjectNames {
    live: BTreeMap<String, Bytes>,
    durable: BTreeMap<String, Bytes>,
    /// Those that are being written.
    unfinished: BTreeSet<String>,
}

impl ObjectNames {
    /// The same, with nothing being written.
    pub(super) fn at_rest(&self) -> Self {
        Self {
            unfinished: BTreeSet::new(),
            ..self.clone()
        }
    }

    /// Ends what is live only: each name that was given or taken away stays so if `keep` says so.
    pub(super) fn settle(&mut self, mut keep: impl FnMut() -> bool) {
        let mut names: Vec<String> = self
            .live
            .keys()
            .chain(self.durable.keys())
            .cloned()
            .collect();
        names.sort_unstable();
        names.dedup();
        for name in names {
            let live = self.live.get(&name);
            if live == self.durable.get(&name) || !keep() {
                continue;
            }
            match live.cloned() {
                Some(bytes) => self.durable.insert(name, bytes),
                None => self.durable.remove(&name),
            };
        }
        self.live.clone_from(&self.durable);
        self.unfinished.clear();
    }

    fn sync(&mut self) {
        self.durable.clone_from(&self.live);
    }
}

impl MemoryDisk {
    /// The objects of the disk.
    pub fn objects(&self) -> MemoryObjects {
        MemoryObjects {
            disk: self.clone(),
            boots: self.lock().boots,
        }
    }

    /// Replaces the bytes of an object, as somebody with access to the disk would.
    pub fn set_object(&self, name: &str, bytes: Bytes) {
        let mut disk = self.lock();
        let objects = &mut disk.objects;
        objects.live.insert(name.to_owned(), bytes.clone());
        objects.durable.insert(name.to_owned(), bytes);
    }
}

impl Objects for MemoryObjects {
    fn create(&self, name: &str) -> Result<Box<dyn ObjectWriter>, StoreError> {
        check_name(name)?;
        let mut disk = self.disk.lock();
        disk.check_power(self.boots)?;
        if let Some(fault) = disk.fault(Step::ObjectCreate) {
            return Err(fault.error());
        }
        if !disk.objects.unfinished.insert(name.to_owned()) {
            return Err(StoreError::Exists { path: path(name) });
        }
        Ok(Box::new(Writer {
            disk: self.disk.clone(),
            boots: self.boots,
            name: name.to_owned(),
            bytes: Vec::new(),
            poisoned: false,
        }))
    }

    fn open(&self, name: &str) -> Result<Box<dyn ObjectReader>, StoreError> {
        check_name(name)?;
        let mut disk = self.disk.lock();
        disk.check_power(self.boots)?;
        if let Some(fault) = disk.fault(Step::ObjectOpen) {
            return Err(fault.error());
        }
        let bytes = disk
            .objects
            .live
            .get(name)
            .ok_or_else(|| StoreError::Missing { path: path(name) })?;
        Ok(Box::new(Reader {
            disk: self.disk.clone(),
            boots: self.boots,
            name: name.to_owned(),
            bytes: bytes.clone(),
        }))
    }

    fn list(&self) -> Result<Vec<String>, StoreError> {
        let disk = self.disk.lock();
        disk.check_power(self.boots)?;
        Ok(disk.objects.live.keys().cloned().collect())
    }

    fn delete(&self, name: &str) -> Result<(), StoreError> {
        check_name(name)?;
        let mut disk = self.disk.lock();
        disk.check_power(self.boots)?;
        let fault = disk.fault(Step::ObjectDelete);
        if !matches!(fault, Some(Fault::Lost | Fault::Full)) {
            disk.objects.live.remove(name);
        }
        if fault == Some(Fault::Durable) {
            disk.objects.durable.remove(name);
        }
        fault.map_or(Ok(()), |fault| Err(fault.error()))
    }
}

struct Writer {
    disk: MemoryDisk,
    boots: u64,
    name: String,
    bytes: Vec<u8>,
    poisoned: bool,
}

impl ObjectWriter for Writer {
    fn append(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        if self.poisoned {
            return Err(StoreError::Poisoned);
        }
        let mut disk = self.disk.lock();
        disk.check_power(self.boots)?;
        if let Some(fault) = disk.fault(Step::ObjectAppend) {
            self.poisoned = true;
            return Err(fault.error());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<(), StoreError> {
        if self.poisoned {
            return Err(StoreError::Poisoned);
        }
        let bytes = std::mem::take(&mut self.bytes).into();
        let mut disk = self.disk.lock();
        disk.check_power(self.boots)?;
        if disk.objects.live.contains_key(&self.name) {
            return Err(StoreError::Exists {
                path: path(&self.name),
            });
        }
        let fault = disk.fault(Step::ObjectFinish);
        if !matches!(fault, Some(Fault::Lost | Fault::Full)) {
            disk.objects.live.insert(self.name.clone(), bytes);
        }
        if matches!(fault, None | Some(Fault::Durable)) {
            disk.objects.sync();
        }
        fault.map_or(Ok(()), |fault| Err(fault.error()))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let mut disk = self.disk.lock();
        if disk.boots == self.boots {
            disk.objects.unfinished.remove(&self.name);
        }
    }
}

struct Reader {
    disk: MemoryDisk,
    boots: u64,
    name: String,
    bytes: Bytes,
}

impl ObjectReader for Reader {
    fn len(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn read_at(&self, offset: u64, length: usize) -> Result<Bytes, StoreError> {
        self.disk.lock().check_power(self.boots)?;
        check_range(offset, length, self.len(), &path(&self.name))?;
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        Ok(self.bytes.slice(start..start.saturating_add(length)))
    }
}

fn path(name: &str) -> PathBuf {
    place().join(name)
}
