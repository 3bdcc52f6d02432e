//! What the store on files does with files that are missing, damaged or somebody else's.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use graven::store::{
    Batch, Direction, KeyRange, KeyValue, Read, RocksStore, Space, Store, StoreError,
};
use tempfile::TempDir;

const ENTRIES: u8 = 40;

/// A value that does not compress, so that flipped bits mostly hit it.
fn value(n: u8) -> Vec<u8> {
    let mut state = u64::from(n) + 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_be_bytes()[3]
    };
    (0..700).map(|_| next()).collect()
}

fn commit(store: &dyn Store, n: u8) {
    let mut batch = Batch::new();
    batch.put(Space::Entry, vec![n], value(n));
    batch.put(Space::Id, vec![n; 24], vec![n; 8]);
    batch.put(Space::Meta, b"last".to_vec(), vec![n]);
    store.commit(batch).unwrap();
}

/// A closed store of [`ENTRIES`] entries: all in tables, or all in the write-ahead log.
fn store(flush: bool) -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let store = RocksStore::create(&path).unwrap();
    (0..ENTRIES).for_each(|n| commit(&store, n));
    if flush {
        store.flush().unwrap();
    }
    (dir, path)
}

/// What is in `dir`, byte for byte.
fn content(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let files = fs::read_dir(dir).unwrap().map(|file| file.unwrap().path());
    files
        .map(|file| {
            let name = file.file_name().unwrap().to_str().unwrap().to_owned();
            (name, fs::read(file).unwrap())
        })
        .collect()
}

fn files(dir: &Path, ending: &str) -> Vec<PathBuf> {
    let names = content(dir)
        .into_keys()
        .filter(|name| name.ends_with(ending));
    names.map(|name| dir.join(name)).collect()
}

/// The only write-ahead log that is not empty.
fn log(dir: &Path) -> PathBuf {
    let mut logs = files(dir, ".log");
    logs.retain(|log| fs::metadata(log).unwrap().len() > 0);
    assert_eq!(logs.len(), 1);
    logs.remove(0)
}

fn flip(bytes: &[u8], at: usize) -> Vec<u8> {
    let mut flipped = bytes.to_vec();
    flipped[at] ^= 1 << (at % 8);
    flipped
}

fn is_damaged(error: &StoreError) -> bool {
    matches!(error, StoreError::Damaged { .. })
}

/// Number of entries from the first on; they are whole, and the other spaces agree.
fn prefix(reader: &dyn Read) -> usize {
    let entries = reader.scan(Space::Entry, KeyRange::all(), Direction::Forward);
    let entries: Vec<_> = entries.map(Result::unwrap).collect();
    for (n, (key, found)) in (0..).zip(&entries) {
        assert_eq!(**key, [n]);
        assert_eq!(**found, value(n));
    }
    assert_eq!(
        reader
            .scan(Space::Id, KeyRange::all(), Direction::Forward)
            .count(),
        entries.len()
    );
    let last = reader.get(Space::Meta, b"last").unwrap();
    assert_eq!(
        last.map(|last| last[0]),
        entries.last().map(|(key, _)| key[0])
    );
    entries.len()
}

#[test]
fn opening_read_only_changes_no_file_and_sees_the_log() {
    let (_dir, path) = store(true);
    let store = RocksStore::open(&path).unwrap();
    commit(&store, ENTRIES);
    drop(store);
    let before = content(&path);
    let reader = RocksStore::open_read_only(&path).unwrap();
    assert_eq!(prefix(&reader), usize::from(ENTRIES) + 1);
    assert!(content(&path) == before, "while open");
    drop(reader);
    assert!(content(&path) == before, "after closing");
}

#[test]
fn refusing_a_directory_without_a_store_leaves_it_alone() {
    let dir = tempfile::tempdir().unwrap();
    for path in [dir.path().to_owned(), dir.path().join("none")] {
        assert!(matches!(
            RocksStore::open(&path),
            Err(StoreError::Missing { .. })
        ));
        assert!(matches!(
            RocksStore::open_read_only(&path),
            Err(StoreError::Missing { .. })
        ));
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

/// What one read returned: the values got, how many there should have been, and its errors.
struct Answer {
    got: usize,
    due: usize,
    errors: Vec<StoreError>,
}

impl Answer {
    fn of<T>(due: usize, results: impl IntoIterator<Item = Result<Vec<T>, StoreError>>) -> Self {
        let mut answer = Self {
            got: 0,
            due,
            errors: Vec::new(),
        };
        for result in results {
            match result {
                Ok(values) => answer.got += values.len(),
                Err(error) => answer.errors.push(error),
            }
        }
        answer
    }
}

/// Reads the whole store in every way there is.
fn read_everything(path: &Path) -> Vec<Answer> {
    let reader = match RocksStore::open_read_only(path) {
        Ok(reader) => reader,
        Err(error) => return vec![Answer::of::<()>(1, [Err(error)])],
    };
    let mut answers = Vec::new();
    for direction in [Direction::Forward, Direction::Reverse] {
        for space in [Space::Entry, Space::Id] {
            let pairs = reader.scan(space, KeyRange::all(), direction);
            let pairs = pairs.map(|pair| pair.map(|pair| vec![pair]));
            answers.push(Answer::of(usize::from(ENTRIES), pairs));
        }
    }
    for n in 0..ENTRIES {
        let found = reader.get(Space::Entry, &[n]);
        answers.push(Answer::of(1, [found.map(Vec::from_iter)]));
        for found in [
            reader.last_at_or_before(Space::Entry, &[n]),
            reader.first_at_or_after(Space::Entry, &[n]),
        ] {
            let is_asked = |(key, _): &KeyValue| **key == [n];
            let found = found.map(|found| found.into_iter().filter(is_asked).collect());
            answers.push(Answer::of(1, [found]));
        }
    }
    let ids: Vec<_> = (0..ENTRIES).map(|n| [n; 24]).collect();
    let ids: Vec<&[u8]> = ids.iter().map(|id| &id[..]).collect();
    let found = reader.get_many(Space::Id, &ids);
    let found = found.map(|found| found.into_iter().flatten().collect());
    answers.push(Answer::of(ids.len(), [found]));
    answers
}

#[test]
fn a_flipped_bit_in_a_table_is_an_error_and_never_a_shorter_answer() {
    let (_dir, path) = store(true);
    let is_whole = |answer: &Answer| answer.got == answer.due && answer.errors.is_empty();
    assert!(read_everything(&path).iter().all(is_whole));

    let (mut tried, mut harmless) = (0, 0);
    for table in files(&path, ".sst") {
        let sound = fs::read(&table).unwrap();
        for at in (0..sound.len()).step_by(sound.len() / 60) {
            fs::write(&table, flip(&sound, at)).unwrap();
            let answers = read_everything(&path);
            for answer in &answers {
                assert!(
                    answer.errors.iter().all(is_damaged),
                    "byte {at}: {:?}",
                    answer.errors
                );
                assert!(
                    is_whole(answer) || !answer.errors.is_empty(),
                    "byte {at} of {}: {} of {} without an error",
                    table.display(),
                    answer.got,
                    answer.due
                );
            }
            harmless += usize::from(answers.iter().all(is_whole));
            tried += 1;
        }
        fs::write(&table, &sound).unwrap();
    }
    // What a table says about itself, such as who made it, is read by nobody.
    assert!(
        harmless * 3 < tried,
        "{harmless} of {tried} flips went unnoticed"
    );
}

#[test]
fn damage_in_a_table_names_the_table() {
    let (_dir, path) = store(true);
    let tables = files(&path, ".sst");
    let largest = tables
        .iter()
        .max_by_key(|table| fs::metadata(table).unwrap().len())
        .unwrap();
    let sound = fs::read(largest).unwrap();
    fs::write(largest, flip(&sound, 5_000)).unwrap();
    let name = largest.file_name().unwrap().to_str().unwrap();
    let answers = read_everything(&path);
    let errors: Vec<_> = answers
        .into_iter()
        .flat_map(|answer| answer.errors)
        .collect();
    assert!(!errors.is_empty());
    for error in errors {
        assert!(
            matches!(&error, StoreError::Damaged { file: Some(file), .. } if file == name),
            "{error:?}"
        );
    }
}

#[test]
fn a_missing_or_cut_table_is_found_when_opening() {
    let (_dir, path) = store(true);
    // More tables than the engine itself looks at when it opens a store.
    let store = RocksStore::open(&path).unwrap();
    for n in ENTRIES..ENTRIES + 8 {
        commit(&store, n);
        store.flush().unwrap();
    }
    drop(store);
    for table in files(&path, ".sst") {
        let name = table.file_name().unwrap().to_str().unwrap();
        let sound = fs::read(&table).unwrap();
        let refuses = || {
            let refusals = [
                RocksStore::open_read_only(&path).map(drop).unwrap_err(),
                RocksStore::open(&path).map(drop).unwrap_err(),
            ];
            refusals.iter().all(
                |error| matches!(error, StoreError::Damaged { file: Some(file), .. } if file == name),
            )
        };
        fs::remove_file(&table).unwrap();
        assert!(refuses(), "without {name}");
        fs::write(&table, &sound[..sound.len() - 1]).unwrap();
        assert!(refuses(), "with {name} cut");
        fs::write(&table, &sound).unwrap();
    }
    assert_eq!(
        prefix(&RocksStore::open(&path).unwrap()),
        usize::from(ENTRIES) + 8
    );
}

#[test]
fn a_store_without_its_root_is_damaged_and_not_missing() {
    for name in ["CURRENT", "MANIFEST"] {
        let (_dir, path) = store(true);
        let victim = content(&path)
            .into_keys()
            .find(|file| file.starts_with(name))
            .unwrap();
        fs::remove_file(path.join(&victim)).unwrap();
        let before = content(&path);
        for error in [
            RocksStore::open_read_only(&path).map(drop).unwrap_err(),
            RocksStore::open(&path).map(drop).unwrap_err(),
        ] {
            assert!(
                matches!(&error, StoreError::Damaged { file: Some(file), .. } if *file == victim),
                "{error:?}"
            );
        }
        assert!(matches!(
            RocksStore::create(&path),
            Err(StoreError::Exists { .. })
        ));
        let tables = |content: &BTreeMap<String, Vec<u8>>| {
            content.keys().filter(|name| name.ends_with(".sst")).count()
        };
        assert_eq!(
            tables(&content(&path)),
            tables(&before),
            "nothing was cleared away"
        );
    }
}

#[test]
fn a_log_torn_anywhere_in_its_last_batch_opens_without_that_batch() {
    let (_dir, path) = store(false);
    let log = log(&path);
    let whole = fs::read(&log).unwrap();
    let batch = whole.len() / usize::from(ENTRIES);
    for missing in (1..batch / 2).step_by(7) {
        fs::write(&log, &whole[..whole.len() - missing]).unwrap();
        let found = prefix(&RocksStore::open_read_only(&path).unwrap());
        assert_eq!(found, usize::from(ENTRIES) - 1, "{missing} bytes missing");
    }
    // After recovery the dropped rest stays dropped, and the store goes on from there.
    let store = RocksStore::open(&path).unwrap();
    commit(&store, ENTRIES - 1);
    drop(store);
    assert_eq!(
        prefix(&RocksStore::open(&path).unwrap()),
        usize::from(ENTRIES)
    );
}

#[test]
fn a_flipped_bit_in_the_log_is_damage() {
    let (_dir, path) = store(false);
    let log = log(&path);
    let whole = fs::read(&log).unwrap();
    let name = log.file_name().unwrap().to_str().unwrap();
    for at in (10..whole.len() - 2_000).step_by(997) {
        fs::write(&log, flip(&whole, at)).unwrap();
        let error = RocksStore::open_read_only(&path).map(drop).unwrap_err();
        assert!(
            matches!(&error, StoreError::Damaged { file: Some(file), .. } if file == name),
            "byte {at}: {error:?}"
        );
    }
}

/// The engine's limit, and why the ledger has an anchor: a log that was cut short, or taken away, is
/// a shorter history and no error. If this test fails because the engine learned to tell, good.
#[test]
fn a_log_cut_short_opens_as_a_shorter_history() {
    let (_dir, path) = store(false);
    let log = log(&path);
    let whole = fs::read(&log).unwrap();
    fs::write(&log, &whole[..whole.len() / 2]).unwrap();
    let found = prefix(&RocksStore::open_read_only(&path).unwrap());
    assert!(found > 0 && found < usize::from(ENTRIES), "{found}");
    fs::remove_file(&log).unwrap();
    assert_eq!(prefix(&RocksStore::open_read_only(&path).unwrap()), 0);
}

#[test]
fn flushed_content_needs_no_log() {
    let (_dir, path) = store(true);
    for log in files(&path, ".log") {
        fs::remove_file(log).unwrap();
    }
    assert_eq!(
        prefix(&RocksStore::open_read_only(&path).unwrap()),
        usize::from(ENTRIES)
    );
}

#[test]
fn free_bytes_are_those_of_the_volume() {
    let (_dir, path) = store(false);
    let store = RocksStore::open(&path).unwrap();
    assert!(store.free_bytes().unwrap().unwrap() > 0);
}

const OPENED_BY_PARENT: &str = "GRAVEN_TEST_OPENED_BY_PARENT";

#[test]
fn a_store_open_in_another_process_is_in_use() {
    let (_dir, path) = store(false);
    let _store = RocksStore::open(&path).unwrap();
    let child = Command::new(std::env::current_exe().unwrap())
        .args([
            "store_rocks::opens_what_another_process_has_open",
            "--exact",
            "--nocapture",
        ])
        .env(OPENED_BY_PARENT, &path)
        .output()
        .unwrap();
    let output = String::from_utf8_lossy(&child.stdout);
    assert!(
        child.status.success() && output.contains("refused as in use"),
        "{output}"
    );
}

/// The other process of the test above; on its own it has nothing to do.
#[test]
fn opens_what_another_process_has_open() {
    if let Some(path) = std::env::var_os(OPENED_BY_PARENT) {
        let error = RocksStore::open(Path::new(&path)).map(drop).unwrap_err();
        assert!(matches!(error, StoreError::InUse { .. }), "{error:?}");
        println!("refused as in use");
    }
}

/// A store whose families are these.
fn store_of_families(families: &[&str]) -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let mut options = rocksdb::Options::default();
    options.create_if_missing(true);
    options.create_missing_column_families(true);
    drop(rocksdb::DB::open_cf(&options, &path, families).unwrap());
    (dir, path)
}

#[test]
fn a_store_of_another_version_is_refused_in_plain_words() {
    let all = ["default", "entry", "detail", "tile", "id", "segment"];
    let later = [&all[..], &["colour"]].concat();
    let cases = [
        (
            &all[..5],
            "an earlier version of graven",
            "no place for the search index",
        ),
        (&later, "a later version of graven", "a place for colour"),
    ];
    for (families, made_by, what) in cases {
        let (_dir, path) = store_of_families(families);
        // The ledger opens for reading first, and for that the engine does not mind what it does not know.
        let before = content(&path);
        let reading = RocksStore::open_read_only(&path).map(drop);
        assert!(content(&path) == before, "left alone");
        assert_eq!(reading.is_err(), families.len() < all.len());
        let writing = RocksStore::open(&path).map(drop);
        for error in [reading, writing].into_iter().filter_map(Result::err) {
            assert!(matches!(error, StoreError::OtherVersion { .. }), "{error}");
            let message = error.to_string();
            for part in [made_by, what, "with the version that made it"] {
                assert!(message.contains(part), "{message}");
            }
        }
        RocksStore::open(&path).map(drop).unwrap_err();
    }
    // One that every store ever had.
    let (_dir, path) = store_of_families(&["default", "entry", "tile", "id", "segment"]);
    let error = RocksStore::open_read_only(&path).map(drop).unwrap_err();
    assert!(is_damaged(&error), "{error}");
    let (_dir, path) = store_of_families(&all);
    drop(RocksStore::open(&path).unwrap());
}

/// Where the records of a log begin, of which none is longer than a block.
fn records(bytes: &[u8]) -> Vec<usize> {
    let (mut at, mut records) = (0, Vec::new());
    while at + 7 <= bytes.len() {
        if at % 32_768 + 7 > 32_768 {
            at = at.next_multiple_of(32_768);
            continue;
        }
        records.push(at);
        at += 7 + usize::from(u16::from_le_bytes([bytes[at + 4], bytes[at + 5]]));
    }
    records
}

/// The engine reads such a record again and again, and does not come back.
#[test]
fn a_record_that_reading_would_never_get_past_is_damage() {
    let (_dir, path) = store(true);
    let store = RocksStore::open(&path).unwrap();
    (0..60).for_each(|n| commit(&store, n));
    drop(store);
    let mut tried = 0;
    for file in [
        log(&path),
        files(&path, "")
            .into_iter()
            .find(|file| is_manifest(file))
            .unwrap(),
    ] {
        let whole = fs::read(&file).unwrap();
        let records = records(&whole);
        assert!(records.len() > 5, "{}", file.display());
        for at in records {
            for kind in [5, 6, 7, 8, 11, 131] {
                let mut bytes = whole.clone();
                bytes[at + 6] = kind;
                fs::write(&file, bytes).unwrap();
                for error in [
                    RocksStore::open(&path).map(drop).unwrap_err(),
                    RocksStore::open_read_only(&path).map(drop).unwrap_err(),
                ] {
                    assert!(
                        is_damaged(&error),
                        "{} {at} {kind}: {error}",
                        file.display()
                    );
                }
                tried += 1;
            }
        }
        fs::write(&file, whole).unwrap();
    }
    assert!(tried > 400, "{tried}");
    assert_eq!(prefix(&RocksStore::open_read_only(&path).unwrap()), 60);
}

fn is_manifest(file: &Path) -> bool {
    file.file_name()
        .unwrap()
        .to_str()
        .unwrap()
        .starts_with("MANIFEST")
}
