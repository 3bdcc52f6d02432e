//! What every engine does, checked on each of them.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use graven::store::{
    Batch, Direction, Frozen, KeyRange, MemoryDisk, Read, RocksStore, Space, Store, StoreError,
    copy_file,
};
use tempfile::TempDir;

/// Where a store of one engine lies.
trait Place {
    fn create(&self) -> Result<Box<dyn Store>, StoreError>;
    fn open(&self) -> Result<Box<dyn Store>, StoreError>;
    fn open_read_only(&self) -> Result<Box<dyn Read>, StoreError>;
    /// Another place with a copy of what is frozen.
    fn copy(frozen: &dyn Frozen) -> Self
    where
        Self: Sized;
}

struct OnFiles {
    dir: TempDir,
}

impl OnFiles {
    fn path(&self) -> PathBuf {
        self.dir.path().join("a/store")
    }
}

impl Place for OnFiles {
    fn create(&self) -> Result<Box<dyn Store>, StoreError> {
        Ok(Box::new(RocksStore::create(&self.path())?))
    }
    fn open(&self) -> Result<Box<dyn Store>, StoreError> {
        Ok(Box::new(RocksStore::open(&self.path())?))
    }
    fn open_read_only(&self) -> Result<Box<dyn Read>, StoreError> {
        Ok(Box::new(RocksStore::open_read_only(&self.path())?))
    }
    fn copy(frozen: &dyn Frozen) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let copy = Self { dir };
        std::fs::create_dir_all(copy.path()).unwrap();
        for name in frozen.files().unwrap() {
            let file = frozen.open(&name).unwrap();
            copy_file(&*file, &copy.path().join(name), &AtomicBool::new(false)).unwrap();
        }
        copy
    }
}

impl Place for MemoryDisk {
    fn create(&self) -> Result<Box<dyn Store>, StoreError> {
        Ok(Box::new(self.create_store()?))
    }
    fn open(&self) -> Result<Box<dyn Store>, StoreError> {
        Ok(Box::new(self.open_store()?))
    }
    fn open_read_only(&self) -> Result<Box<dyn Read>, StoreError> {
        Ok(Box::new(self.open_store_read_only()?))
    }
    fn copy(frozen: &dyn Frozen) -> Self {
        let copy = Self::new();
        for name in frozen.files().unwrap() {
            let file = frozen.open(&name).unwrap();
            let bytes = file.read_at(0, usize::try_from(file.len()).unwrap());
            copy.create_store_from(&bytes.unwrap()).unwrap();
        }
        copy
    }
}

macro_rules! on_both_engines {
    ($($check:ident),* $(,)?) => {
        mod rocks {
            $(#[test] fn $check() {
                super::$check(&super::OnFiles { dir: tempfile::tempdir().unwrap() });
            })*
        }
        mod memory {
            $(#[test] fn $check() {
                super::$check(&super::MemoryDisk::new());
            })*
        }
    };
}

on_both_engines!(
    keeps_spaces_apart,
    last_change_in_a_batch_wins,
    deletes,
    counts_the_bytes_of_a_batch,
    scans_within_bounds_in_both_directions,
    scans_nothing_in_empty_ranges,
    finds_the_keys_about_one,
    gets_many_in_the_order_asked,
    snapshots_do_not_move,
    freezes_while_it_goes_on,
    scans_see_the_moment_they_began,
    survives_reopening,
    reads_only_what_is_there,
    refuses_to_create_twice_or_open_nothing,
    refuses_a_second_opening,
);

fn put(store: &dyn Store, space: Space, pairs: &[(&str, &str)]) {
    let mut batch = Batch::new();
    for (key, value) in pairs {
        batch.put(space, key.as_bytes().to_vec(), value.as_bytes().to_vec());
    }
    store.commit(batch).unwrap();
}

fn get(reader: &dyn Read, space: Space, key: &str) -> Option<String> {
    let value = reader.get(space, key.as_bytes()).unwrap()?;
    Some(String::from_utf8(value.to_vec()).unwrap())
}

fn scan(reader: &dyn Read, range: KeyRange, direction: Direction) -> String {
    reader
        .scan(Space::Entry, range, direction)
        .map(|pair| String::from_utf8(pair.unwrap().0.to_vec()).unwrap())
        .collect::<Vec<_>>()
        .join(" ")
}

fn keeps_spaces_apart(place: &dyn Place) {
    let store = place.create().unwrap();
    let mut batch = Batch::new();
    for space in Space::ALL {
        batch.put(space, b"key".to_vec(), format!("{space:?}").into_bytes());
    }
    store.commit(batch).unwrap();
    for space in Space::ALL {
        assert_eq!(get(&*store, space, "key"), Some(format!("{space:?}")));
        assert_eq!(get(&*store, space, "other"), None);
        assert_eq!(
            store
                .scan(space, KeyRange::all(), Direction::Forward)
                .count(),
            1
        );
    }
}

fn last_change_in_a_batch_wins(place: &dyn Place) {
    let store = place.create().unwrap();
    let mut batch = Batch::new();
    batch.put(Space::Meta, b"a".to_vec(), b"1".to_vec());
    batch.put(Space::Meta, b"a".to_vec(), b"2".to_vec());
    batch.put(Space::Meta, b"b".to_vec(), b"1".to_vec());
    batch.delete(Space::Meta, b"b".to_vec());
    batch.delete(Space::Meta, b"c".to_vec());
    batch.put(Space::Meta, b"c".to_vec(), b"1".to_vec());
    store.commit(batch).unwrap();
    let found = ["a", "b", "c"].map(|key| get(&*store, Space::Meta, key));
    assert_eq!(found, [Some("2".into()), None, Some("1".into())]);
}

fn deletes(place: &dyn Place) {
    let store = place.create().unwrap();
    put(&*store, Space::Entry, &[("a", "1"), ("b", "2"), ("c", "")]);
    let mut batch = Batch::new();
    batch.delete(Space::Entry, b"b".to_vec());
    batch.delete(Space::Entry, b"never there".to_vec());
    store.commit(batch).unwrap();
    assert_eq!(scan(&*store, KeyRange::all(), Direction::Forward), "a c");
    assert_eq!(get(&*store, Space::Entry, "b"), None);
    assert_eq!(
        get(&*store, Space::Entry, "c"),
        Some(String::new()),
        "empty is not absent"
    );
}

fn counts_the_bytes_of_a_batch(place: &dyn Place) {
    let mut batch = Batch::new();
    assert!(batch.is_empty());
    batch.put(Space::Tile, vec![0; 3], vec![0; 40]);
    batch.delete(Space::Id, vec![0; 500]);
    assert_eq!((batch.bytes(), batch.len()), (543, 2));
    place.create().unwrap().commit(Batch::new()).unwrap();
}

fn scans_within_bounds_in_both_directions(place: &dyn Place) {
    let store = place.create().unwrap();
    put(
        &*store,
        Space::Entry,
        &[("d", ""), ("b", ""), ("a", ""), ("c", ""), ("bb", "")],
    );
    // Neighbouring spaces must not leak into a scan at either end.
    put(&*store, Space::Meta, &[("z", "")]);
    put(&*store, Space::Detail, &[("0", "")]);
    let cases = [
        (KeyRange::all(), "a b bb c d"),
        (KeyRange::new("b".."d"), "b bb c"),
        (KeyRange::new("b"..="d"), "b bb c d"),
        (KeyRange::new("b".to_owned()..), "b bb c d"),
        (KeyRange::new(.."b"), "a"),
        (KeyRange::new(..="b"), "a b"),
        (KeyRange::new("aa".."bz"), "b bb"),
        (
            KeyRange::new::<&str>((
                std::ops::Bound::Excluded("b"),
                std::ops::Bound::Included("c"),
            )),
            "bb c",
        ),
    ];
    for (range, forward) in cases {
        let mut reverse = forward.split(' ').collect::<Vec<_>>();
        reverse.reverse();
        assert_eq!(
            scan(&*store, range.clone(), Direction::Forward),
            forward,
            "{range:?}"
        );
        assert_eq!(
            scan(&*store, range.clone(), Direction::Reverse),
            reverse.join(" "),
            "{range:?}"
        );
    }
}

fn scans_nothing_in_empty_ranges(place: &dyn Place) {
    let store = place.create().unwrap();
    put(&*store, Space::Entry, &[("a", ""), ("b", ""), ("c", "")]);
    for range in [
        KeyRange::new("b".."b"),
        KeyRange::new("c".."a"),
        KeyRange::new(.."a"),
        KeyRange::new("d"..),
        KeyRange::new(..""),
    ] {
        assert_eq!(
            scan(&*store, range.clone(), Direction::Forward),
            "",
            "{range:?}"
        );
        assert_eq!(
            scan(&*store, range.clone(), Direction::Reverse),
            "",
            "{range:?}"
        );
    }
}

fn finds_the_keys_about_one(place: &dyn Place) {
    let store = place.create().unwrap();
    put(&*store, Space::Meta, &[("0", "")]);
    for first in [10_u64, 64, 300] {
        let mut batch = Batch::new();
        batch.put(Space::Entry, first.to_be_bytes().to_vec(), vec![1]);
        store.commit(batch).unwrap();
    }
    let find = |at: u64| {
        let (key, value) = store
            .last_at_or_before(Space::Entry, &at.to_be_bytes())
            .unwrap()?;
        assert_eq!(*value, [1]);
        Some(u64::from_be_bytes(key[..].try_into().unwrap()))
    };
    let asked = [0, 9, 10, 11, 63, 64, 65, 299, 300, u64::MAX];
    let found = asked.map(find);
    let ten = Some(10);
    let last = Some(300);
    assert_eq!(
        found,
        [
            None,
            None,
            ten,
            ten,
            ten,
            Some(64),
            Some(64),
            Some(64),
            last,
            last
        ]
    );

    let find = |at: u64| {
        let found = store.first_at_or_after(Space::Entry, &at.to_be_bytes());
        let (key, value) = found.unwrap()?;
        assert_eq!(*value, [1]);
        Some(u64::from_be_bytes(key[..].try_into().unwrap()))
    };
    let found = asked.map(find);
    assert_eq!(found[..3], [ten; 3]);
    assert_eq!(found[3..6], [Some(64); 3]);
    assert_eq!(found[6..9], [last; 3]);
    assert_eq!(found[9], None);
}

fn gets_many_in_the_order_asked(place: &dyn Place) {
    let store = place.create().unwrap();
    let key = |n: u32| (n.wrapping_mul(2_654_435_761)).to_be_bytes();
    let mut batch = Batch::new();
    for n in 0..2_000_u32 {
        batch.put(Space::Id, key(n).to_vec(), n.to_be_bytes().to_vec());
    }
    store.commit(batch).unwrap();

    // Every second one is absent, one is asked for twice, and the order is not that of the keys.
    let mut asked: Vec<u32> = (0..1_000)
        .map(|n| if n % 2 == 0 { n } else { n + 5_000 })
        .collect();
    asked.push(0);
    let check = |asked: &[u32]| {
        let keys: Vec<_> = asked.iter().map(|n| key(*n)).collect();
        let keys: Vec<&[u8]> = keys.iter().map(|key| &key[..]).collect();
        let found = store.get_many(Space::Id, &keys).unwrap();
        let expected: Vec<_> = asked
            .iter()
            .map(|n| (*n < 2_000).then(|| n.to_be_bytes().to_vec()))
            .collect();
        let found: Vec<_> = found
            .into_iter()
            .map(|value| value.map(|v| v.to_vec()))
            .collect();
        assert_eq!(found, expected);
    };
    check(&asked);
    store.flush().unwrap();
    check(&asked);
    asked.sort_by_key(|n| key(*n));
    check(&asked);
    check(&[]);
}

fn snapshots_do_not_move(place: &dyn Place) {
    let store = place.create().unwrap();
    put(&*store, Space::Entry, &[("a", "1"), ("b", "1")]);
    let snapshot = store.snapshot();
    put(&*store, Space::Entry, &[("a", "2"), ("c", "2")]);
    let mut batch = Batch::new();
    batch.delete(Space::Entry, b"b".to_vec());
    store.commit(batch).unwrap();
    store.flush().unwrap();

    assert_eq!(get(&*snapshot, Space::Entry, "a"), Some("1".into()));
    assert_eq!(scan(&*snapshot, KeyRange::all(), Direction::Forward), "a b");
    assert_eq!(scan(&*snapshot, KeyRange::all(), Direction::Reverse), "b a");
    let last = snapshot
        .last_at_or_before(Space::Entry, b"z")
        .unwrap()
        .unwrap();
    assert_eq!(last.0, "b");
    let first = snapshot.first_at_or_after(Space::Entry, b"b");
    assert_eq!(first.unwrap().unwrap().0, "b");
    let many = snapshot
        .get_many(Space::Entry, &[b"a", b"b", b"c"])
        .unwrap();
    assert_eq!(many, [Some("1".into()), Some("1".into()), None]);

    assert_eq!(get(&*store, Space::Entry, "a"), Some("2".into()));
    assert_eq!(scan(&*store, KeyRange::all(), Direction::Forward), "a c");
}

fn scans_see_the_moment_they_began(place: &dyn Place) {
    let store = place.create().unwrap();
    put(&*store, Space::Entry, &[("a", ""), ("c", "")]);
    let mut pairs = store.scan(Space::Entry, KeyRange::all(), Direction::Forward);
    assert_eq!(pairs.next().unwrap().unwrap().0, "a");
    put(&*store, Space::Entry, &[("b", ""), ("d", "")]);
    let left: Vec<_> = pairs.map(|pair| pair.unwrap().0).collect();
    assert_eq!(left, ["c"]);
}

fn survives_reopening(place: &dyn Place) {
    let store = place.create().unwrap();
    put(&*store, Space::Entry, &[("a", "1")]);
    store.flush().unwrap();
    put(&*store, Space::Tile, &[("b", "2")]);
    drop(store);
    for _ in 0..3 {
        let store = place.open().unwrap();
        assert_eq!(get(&*store, Space::Entry, "a"), Some("1".into()));
        assert_eq!(get(&*store, Space::Tile, "b"), Some("2".into()));
        put(&*store, Space::Meta, &[("opened", "yes")]);
    }
    assert_eq!(
        get(&*place.open().unwrap(), Space::Meta, "opened"),
        Some("yes".into())
    );
}

fn reads_only_what_is_there(place: &dyn Place) {
    assert!(matches!(
        place.open_read_only(),
        Err(StoreError::Missing { .. })
    ));
    let store = place.create().unwrap();
    put(&*store, Space::Entry, &[("a", "1")]);
    store.flush().unwrap();
    put(&*store, Space::Entry, &[("b", "2")]);
    drop(store);
    let reader = place.open_read_only().unwrap();
    assert_eq!(scan(&*reader, KeyRange::all(), Direction::Forward), "a b");
    assert_eq!(get(&*reader, Space::Entry, "b"), Some("2".into()));
    assert_eq!(
        reader
            .last_at_or_before(Space::Entry, b"c")
            .unwrap()
            .unwrap()
            .0,
        "b"
    );
    let many = reader.get_many(Space::Entry, &[b"b", b"x"]).unwrap();
    assert_eq!(many, [Some("2".into()), None]);
}

fn refuses_to_create_twice_or_open_nothing(place: &dyn Place) {
    assert!(matches!(place.open(), Err(StoreError::Missing { .. })));
    assert!(
        matches!(place.open(), Err(StoreError::Missing { .. })),
        "opening must not create"
    );
    let store = place.create().unwrap();
    put(&*store, Space::Entry, &[("a", "1")]);
    assert!(matches!(place.create(), Err(StoreError::Exists { .. })));
    drop(store);
    assert!(matches!(place.create(), Err(StoreError::Exists { .. })));
    assert_eq!(
        get(&*place.open().unwrap(), Space::Entry, "a"),
        Some("1".into())
    );
}

fn refuses_a_second_opening(place: &dyn Place) {
    let store = place.create().unwrap();
    assert!(matches!(place.open(), Err(StoreError::InUse { .. })));
    put(&*store, Space::Entry, &[("a", "1")]);
    drop(store);
    let store = place.open().unwrap();
    assert!(matches!(place.open(), Err(StoreError::InUse { .. })));
    assert_eq!(get(&*store, Space::Entry, "a"), Some("1".into()));
}

fn freezes_while_it_goes_on<P: Place>(place: &P) {
    let store = place.create().unwrap();
    let put = |number: u32| {
        let mut batch = Batch::new();
        for space in Space::ALL {
            batch.put(space, number.to_be_bytes().to_vec(), vec![7; 100]);
        }
        store.commit(batch).unwrap();
    };
    (0..20).for_each(put);
    let frozen = store.freeze().unwrap();
    (20..30).for_each(put);
    // Once flushed and dropped from the log, what came later is in files of its own.
    store.flush().unwrap();
    let copy = P::copy(&*frozen);
    drop(frozen);
    let count = |store: &dyn Read, space| {
        let pairs = store.scan(space, KeyRange::all(), Direction::Forward);
        pairs.map(Result::unwrap).count()
    };
    for opened in [copy.open_read_only().unwrap(), copy.open().unwrap()] {
        for space in Space::ALL {
            assert_eq!(count(&*opened, space), 20, "{space:?}");
            let last = opened.get(space, &19u32.to_be_bytes()).unwrap();
            assert_eq!(last.unwrap(), vec![7; 100]);
        }
    }
    assert_eq!(count(&*store, Space::Entry), 30);
    // And again, now that nothing is frozen any more.
    let copy = P::copy(&*store.freeze().unwrap());
    assert_eq!(count(&*copy.open().unwrap(), Space::Meta), 30);
}
