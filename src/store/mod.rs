//! The port to durable storage and its engines.
//!
//! The port does not know what its bytes mean: it keeps ordered keys in a few [`Space`]s, commits a
//! [`Batch`] across them atomically and durably, and reads points, ranges and snapshots. Engines:
//! [`RocksStore`] on a local file system and [`MemoryStore`] on a simulated disk that can lose power.
//! [`Slots`] is the second, much smaller port: the two places the ledger's anchor is written to in
//! turn, and [`Objects`] the third: bytes that are written once and read in ranges. Nothing of an engine is visible outside this module.
//!
//! # What an engine promises
//!
//! - A batch whose commit returned `Ok` survives a crash of the process, of the system and a power
//!   cut, whole. One whose commit failed may be there afterwards or not, but never in part.
//! - After a failed commit or flush every later one is refused ([`StoreError::Poisoned`]): what a
//!   failed sync left behind is unknown, so recovery starts from the disk in a new process.
//! - A read that meets damage returns [`StoreError::Damaged`]. A scan that cannot go on yields the
//!   error as its last item: ending without one means there was nothing more to read.
//!
//! What no engine can promise is that nothing was taken away. A write-ahead log cut at a record's
//! boundary opens as a shorter history, so the ledger compares what it finds with its anchor.

mod batch;
mod error;
mod files;
mod frozen;
mod lock;
mod memory;
mod objects;
mod range;
mod rocks;
mod slots;

use bytes::Bytes;

pub use batch::Batch;
pub(crate) use batch::Operation;
pub use error::StoreError;
pub use frozen::{
    Copied, Frozen, copy_file, create_dir, digest, free_bytes_at, remove_dir, rename_dir,
    sync_names, write_file,
};
pub use lock::DirLock;
pub use memory::{Fault, MemoryDisk, MemoryObjects, MemoryReader, MemorySlots, MemoryStore, Step};
pub use objects::{FileObjects, MAX_OBJECT_NAME, ObjectReader, ObjectWriter, Objects, open_file};
pub use range::{Direction, KeyRange};
pub use rocks::{RocksReader, RocksStore};
pub use slots::{FileSlots, SLOT_COUNT, SLOT_LEN, Slots, frozen_slots};

/// A keyspace. Keys are ordered bytewise within one and unrelated between two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Space {
    /// A handful of small values, overwritten with every commit.
    Meta,
    /// Values of up to 64 KiB under ascending keys.
    Entry,
    /// Like [`Space::Entry`], for what is read seldom and may be rewritten.
    Detail,
    /// Values of up to 8 KiB that do not compress.
    Tile,
    /// Very many small values, looked up by the thousand and mostly absent.
    Id,
    /// Small values under ascending keys, few of them.
    Segment,
}

impl Space {
    /// Every space, in declaration order.
    pub const ALL: [Self; 6] = [
        Self::Meta,
        Self::Entry,
        Self::Detail,
        Self::Tile,
        Self::Id,
        Self::Segment,
    ];
}

/// A key and its value.
pub type KeyValue = (Bytes, Bytes);

/// What [`Read::scan`] returns: pairs in key order, then the error that ended the scan, if one did.
pub type Scan<'a> = Box<dyn Iterator<Item = Result<KeyValue, StoreError>> + Send + 'a>;

/// Reading, from a store or from a snapshot of one.
pub trait Read: Send + Sync {
    /// The value under `key`.
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>, StoreError>;

    /// The values under `keys`, in the order of `keys`; fastest when they ascend.
    fn get_many(&self, space: Space, keys: &[&[u8]]) -> Result<Vec<Option<Bytes>>, StoreError>;

    /// The pair with the greatest key that is not above `key`.
    fn last_at_or_before(&self, space: Space, key: &[u8]) -> Result<Option<KeyValue>, StoreError>;

    /// The pair with the least key that is not below `key`.
    fn first_at_or_after(&self, space: Space, key: &[u8]) -> Result<Option<KeyValue>, StoreError>;

    /// The pairs within `range`, as they were when the scan began.
    fn scan(&self, space: Space, range: KeyRange, direction: Direction) -> Scan<'_>;
}

/// A store that is open for writing.
pub trait Store: Read + 'static {
    /// Writes all of `batch` or nothing, and returns once it is durable.
    ///
    /// # Errors
    ///
    /// Any error leaves it unknown whether the batch is in the store, and poisons the store.
    fn commit(&self, batch: Batch) -> Result<(), StoreError>;

    /// Moves everything the store holds, including what it recovered when it was opened, into synced
    /// files, so that none of it depends on a page cache or on the write-ahead log.
    fn flush(&self) -> Result<(), StoreError>;

    /// Makes sure that no file of the store holds a value any more that stood in one of these places and was overwritten or
    /// removed before the call. The ranges are best small: each is written anew.
    ///
    /// # Errors
    ///
    /// Old values may be left. Calling it again is never wrong.
    fn purge(&self, places: &[(Space, KeyRange)]) -> Result<(), StoreError>;

    /// The store as it is now, whatever is committed later.
    fn snapshot(&self) -> Box<dyn Read + '_>;

    /// The store as it is now, as files that can be copied, until what is returned is dropped. Commits go on.
    ///
    /// # Errors
    ///
    /// [`StoreError::InUse`] while it is frozen already.
    fn freeze(&self) -> Result<Box<dyn Frozen + '_>, StoreError>;

    /// Bytes free for this process where the store lies; `None` where that has no meaning.
    fn free_bytes(&self) -> Result<Option<u64>, StoreError>;
}
