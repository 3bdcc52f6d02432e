//! [`MemoryDisk`]: a machine's disk as a model, for testing what faults do to a ledger.
//!
//! Each write is in one of two states. Once its commit returned `Ok` it is durable. A write that
//! failed with [`Fault::Unsynced`] is only live, like bytes in a page cache: whoever opens the disk
//! again after the process died sees it, and a power cut may or may not take it away.

mod frozen;
mod image;
mod objects;
mod slots;
mod store;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use self::image::{Image, Replaced};
use self::objects::ObjectNames;
use self::slots::SlotPages;
use super::{Space, StoreError};

pub use self::objects::MemoryObjects;
pub use self::slots::MemorySlots;
pub use self::store::{MemoryReader, MemoryStore};

/// A handle to the disk; clones are handles to the same one.
///
/// Everything it does follows from the calls made and the seeds given.
#[derive(Clone, Default)]
pub struct MemoryDisk {
    disk: Arc<Mutex<Disk>>,
}

/// What can be made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// [`Store::commit`](super::Store::commit).
    Commit,
    /// [`Store::flush`](super::Store::flush).
    Flush,
    /// [`Store::purge`](super::Store::purge).
    Purge,
    /// [`Slots::write`](super::Slots::write).
    SlotWrite,
    /// [`Objects::create`](super::Objects::create); nothing is begun, whatever the fault.
    ObjectCreate,
    /// [`ObjectWriter::append`](super::ObjectWriter::append); nothing comes of the object, whatever the fault.
    ObjectAppend,
    /// [`ObjectWriter::finish`](super::ObjectWriter::finish).
    ObjectFinish,
    /// [`Objects::open`](super::Objects::open), whatever the fault.
    ObjectOpen,
    /// [`Objects::delete`](super::Objects::delete).
    ObjectDelete,
}

/// How it fails. The caller gets an error in every case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing was written.
    Lost,
    /// Nothing was written, for want of space.
    Full,
    /// It was written but not synced: a restart finds it, a power cut decides.
    Unsynced,
    /// It is durable all the same, and only the answer was lost.
    Durable,
}

#[derive(Default)]
struct Disk {
    /// Number of power cuts so far; what was opened before one is dead after it.
    boots: u64,
    store: Option<StoreState>,
    slots: Option<SlotPages>,
    slots_open: bool,
    objects: ObjectNames,
    planned: Vec<Planned>,
}

#[derive(Default)]
struct StoreState {
    image: Image,
    /// For each batch that is live but not durable, oldest first, what it replaced.
    unsynced: Vec<Replaced>,
    /// Values that were overwritten or removed and still lie on the disk.
    dead: Vec<(Space, Bytes, Bytes)>,
    open: bool,
}

struct Planned {
    step: Step,
    /// Steps of that kind to let pass first.
    passes: usize,
    fault: Fault,
}

impl MemoryDisk {
    /// An empty disk.
    pub fn new() -> Self {
        Self::default()
    }

    /// An independent disk that holds what this one holds, with nothing open and no fault planned:
    /// a backup, or the snapshot of a virtual machine.
    #[must_use]
    pub fn copy(&self) -> Self {
        let disk = self.lock();
        let store = disk.store.as_ref().map(|store| StoreState {
            image: store.image.clone(),
            unsynced: store.unsynced.clone(),
            dead: store.dead.clone(),
            open: false,
        });
        let copy = Disk {
            store,
            slots: disk.slots.clone(),
            objects: disk.objects.at_rest(),
            ..Disk::default()
        };
        Self {
            disk: Arc::new(Mutex::new(copy)),
        }
    }

    /// Makes a step fail: the `nth` of its kind from now, where 1 is the next one. Several can be
    /// planned, also for the time after a power cut.
    pub fn fail(&self, step: Step, nth: usize, fault: Fault) {
        self.lock().planned.push(Planned {
            step,
            passes: nth.saturating_sub(1),
            fault,
        });
    }

    /// Cuts the power and restores it. Open stores and slots are dead afterwards and can be opened
    /// anew. `seed` decides about what is not durable: the batches that reached the log survive up
    /// to one of them, each whole, of a slot any of its 512-byte sectors, and of the names that objects were given or
    /// that were deleted since the last one was finished, any.
    pub fn power_cut(&self, seed: u64) {
        let mut random = Random(seed);
        let mut disk = self.lock();
        disk.boots = disk.boots.saturating_add(1);
        if let Some(store) = &mut disk.store {
            store.open = false;
            let survivors = random.below(store.unsynced.len().saturating_add(1));
            for replaced in store.unsynced.drain(..).skip(survivors).rev() {
                store.image.restore(replaced);
            }
        }
        disk.slots_open = false;
        if let Some(slots) = &mut disk.slots {
            slots.settle(|| random.below(2) == 0);
        }
        disk.objects.settle(|| random.below(2) == 0);
    }

    /// Whether `bytes` stand in any value on the disk, be it one that can be read or one that was overwritten or removed and
    /// not [purged](super::Store::purge) yet. Of the latter those of [`Space::Entry`] and [`Space::Detail`] are kept.
    pub fn holds(&self, bytes: &[u8]) -> bool {
        let disk = self.lock();
        let holds = |value: &Bytes| value.windows(bytes.len().max(1)).any(|part| part == bytes);
        disk.store.as_ref().is_some_and(|store| {
            store.dead.iter().any(|(_, _, value)| holds(value)) || store.image.values().any(holds)
        })
    }

    /// Flips one bit of the value under `key`, counted from the lowest of the first byte, as somebody
    /// would who can also set the checksums right: reads return the altered value. False when there
    /// is no such bit.
    pub fn flip_bit(&self, space: Space, key: &[u8], bit: usize) -> bool {
        self.lock()
            .store
            .as_mut()
            .is_some_and(|store| store.image.flip_bit(space, key, bit))
    }

    /// Makes the value under `key` fail its checksum: reads that touch it return
    /// [`StoreError::Damaged`]. False when there is no such key.
    pub fn damage(&self, space: Space, key: &[u8]) -> bool {
        self.lock()
            .store
            .as_mut()
            .is_some_and(|store| store.image.damage(space, key))
    }

    fn lock(&self) -> MutexGuard<'_, Disk> {
        self.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Disk {
    /// Refuses whatever was opened before the last power cut.
    fn check_power(&self, boots: u64) -> Result<(), StoreError> {
        if self.boots == boots {
            Ok(())
        } else {
            Err(failed("the power was cut"))
        }
    }

    /// The fault planned for the step that is about to happen.
    fn fault(&mut self, step: Step) -> Option<Fault> {
        let due = self
            .planned
            .iter()
            .position(|plan| plan.step == step && plan.passes == 0);
        let due = due.map(|due| self.planned.remove(due).fault);
        for plan in self.planned.iter_mut().filter(|plan| plan.step == step) {
            plan.passes = plan.passes.saturating_sub(1);
        }
        due
    }
}

impl Fault {
    fn error(self) -> StoreError {
        match self {
            Self::Full => StoreError::Full {
                what: "planned fault".to_owned(),
            },
            Self::Lost | Self::Unsynced | Self::Durable => failed("planned fault"),
        }
    }
}

fn failed(what: &'static str) -> StoreError {
    let source = std::io::Error::other(what);
    StoreError::Io {
        what: "disk in memory".to_owned(),
        source,
    }
}

/// What errors give as the place.
fn place() -> PathBuf {
    PathBuf::from("disk in memory")
}

/// `SplitMix64`: each seed is another, reproducible, sequence.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `limit`, which is above zero.
    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() >> 33)
            .unwrap_or_default()
            .checked_rem(limit)
            .unwrap_or_default()
    }
}
