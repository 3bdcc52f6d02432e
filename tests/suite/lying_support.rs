//! An operator who seals a false index: a home that reads otherwise than what was sealed, and hides what it wrote.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use graven::entry::CheckedEvent;
use graven::ledger::{Home, Ledger};
use graven::store::{
    Batch, Direction, Frozen, KeyRange, KeyValue, ObjectReader, ObjectWriter, Objects, Read, Scan,
    Slots, Space, Store, StoreError,
};

use super::ledger_support::{Operator, append, page, wait_until_indexed};
use super::verify_support::{checked, event_message};

/// What the operator reads instead of what was sealed, of the same length.
#[derive(Clone, Copy)]
pub(super) struct Lie {
    from: &'static [u8],
    to: &'static [u8],
    /// Whether the answer to a question about mallory is false because of it.
    pub(super) about_mallory: bool,
    pub(super) said: &'static str,
}

pub(super) const LIES: [Lie; 3] = [
    Lie {
        from: b"oidc:corp/mallory\x5a\x11oidc:corp/wit0017",
        to: b"oidc:corp/wit0017\x5a\x11oidc:corp/wit0017",
        about_mallory: true,
        said: "leaves out entry 17, which has participant = oidc:corp/mallory",
    },
    Lie {
        from: b"oidc:corp/wit0018\x5a\x11oidc:corp/wit0018",
        to: b"oidc:corp/mallory\x5a\x11oidc:corp/wit0018",
        about_mallory: false,
        said: "lists entry 18 for participant = oidc:corp/mallory, which it has not",
    },
    Lie {
        from: b"oidc:corp/wit0900",
        to: b"oidc:corp/nobody9",
        about_mallory: false,
        said: "lists entry 900 for participant = oidc:corp/nobody9, which it has not",
    },
];

/// A home whose packs read otherwise for those who scan them, once that is switched on, and whose segments cannot be read,
/// once that is.
struct Liar<H> {
    disk: H,
    lie: Lie,
    lying: Arc<AtomicBool>,
    hiding: Arc<AtomicBool>,
}

struct Hidden<T> {
    of: T,
    hiding: Arc<AtomicBool>,
}

impl Objects for Hidden<Box<dyn Objects>> {
    fn create(&self, name: &str) -> Result<Box<dyn ObjectWriter>, StoreError> {
        self.of.create(name)
    }

    fn open(&self, name: &str) -> Result<Box<dyn ObjectReader>, StoreError> {
        let (of, hiding) = (self.of.open(name)?, Arc::clone(&self.hiding));
        Ok(Box::new(Hidden { of, hiding }))
    }

    fn list(&self) -> Result<Vec<String>, StoreError> {
        self.of.list()
    }

    fn delete(&self, name: &str) -> Result<(), StoreError> {
        self.of.delete(name)
    }
}

impl ObjectReader for Hidden<Box<dyn ObjectReader>> {
    fn len(&self) -> u64 {
        self.of.len()
    }

    fn read_at(&self, offset: u64, length: usize) -> Result<Bytes, StoreError> {
        if self.hiding.load(Ordering::SeqCst) {
            let what = "nobody is to see it".into();
            return Err(StoreError::Damaged { what, file: None });
        }
        self.of.read_at(offset, length)
    }
}

struct LyingStore {
    store: Arc<dyn Store>,
    lie: Lie,
    lying: Arc<AtomicBool>,
}

impl Read for LyingStore {
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
        if space != Space::Entry || !self.lying.load(Ordering::SeqCst) {
            return pairs;
        }
        let Lie { from, to, .. } = self.lie;
        Box::new(pairs.map(move |pair| {
            let (key, value) = pair?;
            let mut value = value.to_vec();
            for at in 0..value.len().saturating_sub(from.len()) {
                if value[at..].starts_with(from) {
                    value[at..at + to.len()].copy_from_slice(to);
                }
            }
            Ok((key, value.into()))
        }))
    }
}

impl Store for LyingStore {
    fn commit(&self, batch: Batch) -> Result<(), StoreError> {
        self.store.commit(batch)
    }

    fn flush(&self) -> Result<(), StoreError> {
        self.store.flush()
    }

    fn purge(&self, places: &[(Space, KeyRange)]) -> Result<(), StoreError> {
        self.store.purge(places)
    }

    fn snapshot(&self) -> Box<dyn Read + '_> {
        self.store.snapshot()
    }

    fn freeze(&self) -> Result<Box<dyn Frozen + '_>, StoreError> {
        self.store.freeze()
    }

    fn free_bytes(&self) -> Result<Option<u64>, StoreError> {
        self.store.free_bytes()
    }
}

impl<H: Home> Home for Liar<H> {
    fn name(&self) -> String {
        self.disk.name()
    }

    fn anchor_name(&self) -> String {
        self.disk.anchor_name()
    }

    fn lock(&self) -> Result<Box<dyn Send>, StoreError> {
        self.disk.lock()
    }

    fn read_store(&self) -> Result<Arc<dyn Read>, StoreError> {
        self.disk.read_store()
    }

    fn open_store(&self) -> Result<Arc<dyn Store>, StoreError> {
        let (lie, lying) = (self.lie, Arc::clone(&self.lying));
        let store = Home::open_store(&self.disk)?;
        Ok(Arc::new(LyingStore { store, lie, lying }))
    }

    fn create_store(&self) -> Result<Arc<dyn Store>, StoreError> {
        Home::create_store(&self.disk)
    }

    fn freeze_store(&self) -> Result<Box<dyn Frozen>, StoreError> {
        self.disk.freeze_store()
    }

    fn open_slots(&self) -> Result<Box<dyn Slots>, StoreError> {
        Home::open_slots(&self.disk)
    }

    fn create_slots(&self) -> Result<Box<dyn Slots>, StoreError> {
        Home::create_slots(&self.disk)
    }

    fn set_slots_aside(&self) -> Result<(), StoreError> {
        self.disk.set_slots_aside()
    }

    fn objects(&self) -> Result<Box<dyn Objects>, StoreError> {
        let (of, hiding) = (Home::objects(&self.disk)?, Arc::clone(&self.hiding));
        Ok(Box::new(Hidden { of, hiding }))
    }

    fn read_objects(&self) -> Result<Box<dyn Objects>, StoreError> {
        self.disk.read_objects()
    }
}

/// An event with witnesses; mallory is one of those of a few.
pub(super) fn event(number: u64) -> CheckedEvent {
    let mut message = event_message(number);
    let witness = format!("oidc:corp/wit{number:04}");
    let other = match number {
        3 | 17 | 500 => "oidc:corp/mallory".to_owned(),
        _ => witness.clone(),
    };
    message.what.as_mut().unwrap().participants = vec![other, witness];
    checked(&message)
}

fn append_few_at_a_time(ledger: &Ledger, seqs: std::ops::Range<u64>) {
    let events: Vec<_> = seqs.map(event).collect();
    // Packs of few entries are not compressed.
    for batch in events.chunks(10) {
        append(ledger, batch).unwrap();
    }
}

/// The seqs of an answer.
pub(super) fn ask(ledger: &Ledger, filter: &str) -> Vec<u64> {
    let page = page(ledger, filter, false);
    page.entries.iter().map(|entry| entry.header.seq).collect()
}

/// A ledger whose first segment is sealed from entries that were read so.
pub(super) fn ledger_with<H: Home + Clone>(
    operator: &Operator,
    disk: &H,
    lie: Option<Lie>,
) -> Ledger {
    hiding_ledger_with(operator, disk, lie, &Arc::default())
}

/// The same, and its segments cannot be read from when that is switched on.
pub(super) fn hiding_ledger_with<H: Home + Clone>(
    operator: &Operator,
    disk: &H,
    lie: Option<Lie>,
    hiding: &Arc<AtomicBool>,
) -> Ledger {
    operator.init(disk).unwrap();
    let ledger = operator.open(disk).unwrap();
    append_few_at_a_time(&ledger, 0..1_000);
    drop(ledger);
    let lying = Arc::new(AtomicBool::new(false));
    let liar = Liar {
        disk: disk.clone(),
        lie: lie.unwrap_or(LIES[0]),
        lying: Arc::clone(&lying),
        hiding: Arc::clone(hiding),
    };
    let ledger = operator.open(&liar).unwrap();
    lying.store(lie.is_some(), Ordering::SeqCst);
    append_few_at_a_time(&ledger, 1_000..1_060);
    wait_until_indexed(&ledger, 1_024);
    lying.store(false, Ordering::SeqCst);
    ledger
}
