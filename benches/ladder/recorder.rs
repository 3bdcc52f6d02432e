//! The batches that a ledger hands to its store, recorded: a store can then be given the same bytes without a ledger.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use graven::ledger::{Home, Ledger};
use graven::store::{
    Batch, Direction, Frozen, KeyRange, KeyValue, MemoryDisk, Objects, Read, Scan, Slots, Space,
    Store, StoreError,
};

use super::support::{self, checked, load};

/// `count` commits of groups of `entries` single events, or of one batch where there are 1,000.
pub(crate) fn groups(entries: usize, count: usize) -> Vec<Batch> {
    let home = Recording::default();
    let ledger = Arc::new(support::new_ledger(&home));
    let runtime = support::runtime();
    let mut next = 0..;
    let mut groups = Vec::new();
    while groups.len() < count {
        home.commits.recorded.lock().unwrap().clear();
        if entries == 1_000 {
            append(&runtime, &ledger, next.by_ref().take(entries).collect());
        } else {
            together(
                &home.commits,
                &runtime,
                &ledger,
                next.by_ref().take(entries).collect(),
            );
        }
        let recorded = std::mem::take(&mut *home.commits.recorded.lock().unwrap());
        // One goes before the group. With more, it was not whole, or the ledger sealed something of its own meanwhile.
        if (2..1_000).contains(&entries) && recorded.len() != 2 {
            continue;
        }
        // The others are acts of the ledger itself.
        groups.extend(recorded.into_iter().max_by_key(Batch::bytes));
    }
    ledger.close();
    groups
}

fn append(runtime: &tokio::runtime::Runtime, ledger: &Ledger, numbers: Vec<u64>) {
    let events = numbers.iter().map(|n| checked(&load::event(*n))).collect();
    let submission = ledger.prepare(events, &support::envelope()).unwrap();
    runtime.block_on(ledger.append(submission)).unwrap();
}

/// Appends single events so that they are one group: an event before them is held up until all of them wait.
fn together(
    commits: &Commits,
    runtime: &tokio::runtime::Runtime,
    ledger: &Arc<Ledger>,
    numbers: Vec<u64>,
) {
    let start = |number: u64| {
        let events = vec![checked(&load::event(number))];
        let submission = ledger.prepare(events, &support::envelope()).unwrap();
        let ledger = Arc::clone(ledger);
        runtime.spawn(async move { ledger.append(submission).await.unwrap() })
    };
    let mut tasks = Vec::new();
    if numbers.len() == 1 {
        tasks.extend(numbers.into_iter().map(start));
    } else {
        let closed = commits.gate.lock().unwrap();
        let before = commits.arrived.load(Ordering::SeqCst);
        // A number that is not used otherwise.
        tasks.push(start(numbers[0] + (1 << 40)));
        while commits.arrived.load(Ordering::SeqCst) == before {
            std::thread::sleep(Duration::from_micros(50));
        }
        tasks.extend(numbers.into_iter().map(start));
        std::thread::sleep(Duration::from_millis(2));
        drop(closed);
    }
    for task in tasks {
        runtime.block_on(task).unwrap();
    }
}

/// What has been committed, and what holds commits up.
#[derive(Default)]
struct Commits {
    recorded: Mutex<Vec<Batch>>,
    arrived: AtomicU64,
    gate: Mutex<()>,
}

/// A simulated disk whose store records.
#[derive(Default)]
struct Recording {
    disk: MemoryDisk,
    commits: Arc<Commits>,
}

impl Recording {
    fn record(&self, store: Arc<dyn Store>) -> Arc<dyn Store> {
        let commits = Arc::clone(&self.commits);
        Arc::new(Recorder { store, commits })
    }
}

impl Home for Recording {
    fn name(&self) -> String {
        Home::name(&self.disk)
    }

    fn anchor_name(&self) -> String {
        Home::anchor_name(&self.disk)
    }

    fn lock(&self) -> Result<Box<dyn Send>, StoreError> {
        Home::lock(&self.disk)
    }

    fn read_store(&self) -> Result<Arc<dyn Read>, StoreError> {
        Home::read_store(&self.disk)
    }

    fn open_store(&self) -> Result<Arc<dyn Store>, StoreError> {
        Ok(self.record(Home::open_store(&self.disk)?))
    }

    fn create_store(&self) -> Result<Arc<dyn Store>, StoreError> {
        Ok(self.record(Home::create_store(&self.disk)?))
    }

    fn freeze_store(&self) -> Result<Box<dyn Frozen>, StoreError> {
        Home::freeze_store(&self.disk)
    }

    fn open_slots(&self) -> Result<Box<dyn Slots>, StoreError> {
        Home::open_slots(&self.disk)
    }

    fn create_slots(&self) -> Result<Box<dyn Slots>, StoreError> {
        Home::create_slots(&self.disk)
    }

    fn set_slots_aside(&self) -> Result<(), StoreError> {
        Home::set_slots_aside(&self.disk)
    }

    fn objects(&self) -> Result<Box<dyn Objects>, StoreError> {
        Home::objects(&self.disk)
    }

    fn read_objects(&self) -> Result<Box<dyn Objects>, StoreError> {
        Home::read_objects(&self.disk)
    }
}

struct Recorder {
    store: Arc<dyn Store>,
    commits: Arc<Commits>,
}

impl Read for Recorder {
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
        self.store.scan(space, range, direction)
    }
}

impl Store for Recorder {
    fn commit(&self, batch: Batch) -> Result<(), StoreError> {
        self.commits.arrived.fetch_add(1, Ordering::SeqCst);
        drop(self.commits.gate.lock().unwrap());
        self.commits.recorded.lock().unwrap().push(batch.clone());
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
