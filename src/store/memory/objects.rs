use std::collections::BTreeMap;
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

/// A finished object.
#[derive(Clone)]
pub(super) struct Object {
    bytes: Bytes,
    durable: bool,
}

/// The finished objects by name.
pub(super) type ObjectMap = BTreeMap<String, Object>;

/// Ends what is live only: each object is kept if `keep` says so, or lost.
pub(super) fn settle(objects: &mut ObjectMap, mut keep: impl FnMut() -> bool) {
    objects.retain(|_, object| object.durable || keep());
    for object in objects.values_mut() {
        object.durable = true;
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
        let durable = true;
        let object = Object { bytes, durable };
        self.lock().objects.insert(name.to_owned(), object);
    }
}

impl Objects for MemoryObjects {
    fn create(&self, name: &str) -> Result<Box<dyn ObjectWriter>, StoreError> {
        check_name(name)?;
        self.disk.lock().check_power(self.boots)?;
        Ok(Box::new(Writer {
            disk: self.disk.clone(),
            boots: self.boots,
            name: name.to_owned(),
            bytes: Vec::new(),
        }))
    }

    fn open(&self, name: &str) -> Result<Box<dyn ObjectReader>, StoreError> {
        check_name(name)?;
        let disk = self.disk.lock();
        disk.check_power(self.boots)?;
        let object = disk
            .objects
            .get(name)
            .ok_or_else(|| StoreError::Missing { path: path(name) })?;
        Ok(Box::new(Reader {
            disk: self.disk.clone(),
            boots: self.boots,
            name: name.to_owned(),
            bytes: object.bytes.clone(),
        }))
    }

    fn list(&self) -> Result<Vec<String>, StoreError> {
        let disk = self.disk.lock();
        disk.check_power(self.boots)?;
        Ok(disk.objects.keys().cloned().collect())
    }

    fn delete(&self, name: &str) -> Result<(), StoreError> {
        check_name(name)?;
        let mut disk = self.disk.lock();
        disk.check_power(self.boots)?;
        disk.objects.remove(name);
        Ok(())
    }
}

struct Writer {
    disk: MemoryDisk,
    boots: u64,
    name: String,
    bytes: Vec<u8>,
}

impl ObjectWriter for Writer {
    fn append(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<(), StoreError> {
        let mut disk = self.disk.lock();
        disk.check_power(self.boots)?;
        if disk.objects.contains_key(&self.name) {
            return Err(StoreError::Exists {
                path: path(&self.name),
            });
        }
        let fault = disk.fault(Step::ObjectFinish);
        if !matches!(fault, Some(Fault::Lost | Fault::Full)) {
            let object = Object {
                bytes: self.bytes.clone().into(),
                durable: fault != Some(Fault::Unsynced),
            };
            disk.objects.insert(self.name.clone(), object);
        }
        fault.map_or(Ok(()), |fault| Err(fault.error()))
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
