use super::{Fault, MemoryDisk, Step, place};
use crate::store::slots::{check_slot, check_slot_length};
use crate::store::{SLOT_COUNT, SLOT_LEN, Slots, StoreError};

/// What a disk writes whole or not at all.
const SECTOR_LEN: usize = 512;

/// Slots on a [`MemoryDisk`], until dropped or until the power is cut.
pub struct MemorySlots {
    disk: MemoryDisk,
    boots: u64,
    poisoned: bool,
}

/// The slots' content: what a read returns, and what the disk surely holds.
#[derive(Clone)]
pub(super) struct SlotPages {
    live: Vec<u8>,
    durable: Vec<u8>,
}

impl SlotPages {
    fn new() -> Self {
        let zeros = vec![0; SLOT_COUNT * SLOT_LEN];
        Self {
            live: zeros.clone(),
            durable: zeros,
        }
    }

    /// Ends what is live only: each sector that differs is kept if `keep` says so, or lost.
    pub(super) fn settle(&mut self, mut keep: impl FnMut() -> bool) {
        let live = self.live.chunks_exact(SECTOR_LEN);
        for (durable, live) in self.durable.chunks_exact_mut(SECTOR_LEN).zip(live) {
            if durable != live && keep() {
                durable.copy_from_slice(live);
            }
        }
        self.live.clone_from(&self.durable);
    }
}

impl MemoryDisk {
    /// Makes slots, or says [`StoreError::Exists`].
    pub fn create_slots(&self) -> Result<MemorySlots, StoreError> {
        {
            let mut disk = self.lock();
            if disk.slots.is_some() {
                return Err(StoreError::Exists { path: place() });
            }
            disk.slots = Some(SlotPages::new());
        }
        self.open_slots()
    }

    /// Opens the slots, or says [`StoreError::Missing`] or [`StoreError::InUse`].
    pub fn open_slots(&self) -> Result<MemorySlots, StoreError> {
        let mut disk = self.lock();
        if disk.slots.is_none() {
            return Err(StoreError::Missing { path: place() });
        }
        if disk.slots_open {
            return Err(StoreError::InUse { path: place() });
        }
        disk.slots_open = true;
        Ok(MemorySlots {
            disk: self.clone(),
            boots: disk.boots,
            poisoned: false,
        })
    }
}

impl Slots for MemorySlots {
    fn read(&self, slot: usize) -> Result<Vec<u8>, StoreError> {
        check_slot(slot)?;
        let disk = self.disk.lock();
        disk.check_power(self.boots)?;
        disk.slots
            .as_ref()
            .and_then(|pages| pages.live.chunks_exact(SLOT_LEN).nth(slot))
            .map(<[u8]>::to_vec)
            .ok_or(StoreError::Missing { path: place() })
    }

    fn write(&mut self, slot: usize, bytes: &[u8]) -> Result<(), StoreError> {
        check_slot(slot)?;
        check_slot_length(bytes)?;
        if self.poisoned {
            return Err(StoreError::Poisoned);
        }
        let mut disk = self.disk.lock();
        disk.check_power(self.boots)?;
        let fault = disk.fault(Step::SlotWrite);
        let pages = disk
            .slots
            .as_mut()
            .ok_or(StoreError::Missing { path: place() })?;
        if !matches!(fault, Some(Fault::Lost | Fault::Full)) {
            overwrite(&mut pages.live, slot, bytes);
            if fault != Some(Fault::Unsynced) {
                overwrite(&mut pages.durable, slot, bytes);
            }
        }
        match fault {
            None => Ok(()),
            Some(fault) => {
                self.poisoned = true;
                Err(fault.error())
            }
        }
    }
}

impl Drop for MemorySlots {
    fn drop(&mut self) {
        let mut disk = self.disk.lock();
        if disk.boots == self.boots {
            disk.slots_open = false;
        }
    }
}

fn overwrite(pages: &mut [u8], slot: usize, bytes: &[u8]) {
    if let Some(page) = pages.chunks_exact_mut(SLOT_LEN).nth(slot) {
        page.copy_from_slice(bytes);
    }
}
