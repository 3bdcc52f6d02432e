//! Objects: what every engine does, checked on each of them, and what only one can show.

use std::path::PathBuf;

use graven::store::{
    Fault, FileObjects, MAX_OBJECT_NAME, MemoryDisk, ObjectWriter, Objects, Step, StoreError,
};
use tempfile::TempDir;

use super::ledger_faults::MemoryVolume;

/// Where objects of one engine lie. Opening them again is what a new process does.
trait Place {
    fn objects(&self) -> Box<dyn Objects>;
    /// Replaces the bytes of an object, as somebody with access to the disk would.
    fn replace(&self, name: &str, bytes: &[u8]);
}

struct OnFiles {
    dir: TempDir,
}

impl OnFiles {
    fn path(&self) -> PathBuf {
        self.dir.path().join("a/objects")
    }
}

impl Place for OnFiles {
    fn objects(&self) -> Box<dyn Objects> {
        Box::new(FileObjects::open(&self.path()).unwrap())
    }
    fn replace(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.path().join(name), bytes).unwrap();
    }
}

impl Place for MemoryDisk {
    fn objects(&self) -> Box<dyn Objects> {
        Box::new(self.objects())
    }
    fn replace(&self, name: &str, bytes: &[u8]) {
        self.set_object(name, bytes.to_vec().into());
    }
}

macro_rules! on_both_engines {
    ($($check:ident),* $(,)?) => {
        mod files {
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
    reads_what_was_appended,
    refuses_ranges_that_are_not_there,
    does_not_exist_before_it_is_finished,
    leaves_nothing_when_it_is_dropped,
    is_written_once,
    is_written_by_one_at_a_time,
    lists_in_order,
    deletes_and_writes_anew,
    goes_on_reading_what_was_deleted,
    survives_reopening,
    reads_what_is_there_now_and_not_what_was,
    refuses_names_that_are_none,
);

fn write(objects: &dyn Objects, name: &str, bytes: &[u8]) {
    let mut writer = objects.create(name).unwrap();
    writer.append(bytes).unwrap();
    writer.finish().unwrap();
}

fn read(objects: &dyn Objects, name: &str) -> Option<Vec<u8>> {
    match objects.open(name) {
        Ok(object) => {
            let length = usize::try_from(object.len()).unwrap();
            Some(object.read_at(0, length).unwrap().to_vec())
        }
        Err(StoreError::Missing { .. }) => None,
        Err(other) => panic!("{other}"),
    }
}

fn reads_what_was_appended(place: &dyn Place) {
    let objects = place.objects();
    // Smaller and larger than any buffer.
    let pieces = [0, 1, 100, 0, 300_000, 7, 1_000_000].map(|length| vec![length as u8 | 1; length]);
    let mut writer = objects.create("large").unwrap();
    for piece in &pieces {
        writer.append(piece).unwrap();
    }
    writer.finish().unwrap();
    let whole = pieces.concat();
    let object = objects.open("large").unwrap();
    assert_eq!(object.len(), whole.len() as u64);
    assert!(!object.is_empty());
    for (offset, length) in [(0, 0), (0, 1), (100, 5), (99, 300_003), (0, whole.len())] {
        let expected = &whole[offset..offset + length];
        assert_eq!(object.read_at(offset as u64, length).unwrap(), expected);
    }
    write(&*objects, "empty", b"");
    let object = objects.open("empty").unwrap();
    assert!(object.is_empty());
    assert_eq!(object.read_at(0, 0).unwrap(), b""[..]);
}

fn refuses_ranges_that_are_not_there(place: &dyn Place) {
    let objects = place.objects();
    write(&*objects, "ten", b"0123456789");
    let object = objects.open("ten").unwrap();
    let ranges = [
        (0, 11),
        (10, 1),
        (11, 0),
        (5, 6),
        (u64::MAX, 1),
        (1, usize::MAX),
        (u64::MAX, usize::MAX),
    ];
    for (offset, length) in ranges {
        match object.read_at(offset, length) {
            Err(StoreError::Damaged { file, .. }) => assert_eq!(file.as_deref(), Some("ten")),
            other => panic!("{offset} {length}: {other:?}"),
        }
    }
    assert_eq!(object.read_at(10, 0).unwrap(), b""[..]);
}

fn does_not_exist_before_it_is_finished(place: &dyn Place) {
    let objects = place.objects();
    let mut writer = objects.create("object").unwrap();
    writer.append(b"some").unwrap();
    assert_eq!(read(&*objects, "object"), None);
    assert!(objects.list().unwrap().is_empty());
    writer.append(b" bytes").unwrap();
    writer.finish().unwrap();
    assert_eq!(read(&*objects, "object").unwrap(), b"some bytes");
    assert_eq!(objects.list().unwrap(), ["object"]);
}

fn leaves_nothing_when_it_is_dropped(place: &dyn Place) {
    let objects = place.objects();
    let mut writer = objects.create("object").unwrap();
    writer.append(b"some bytes").unwrap();
    drop(writer);
    assert_eq!(read(&*objects, "object"), None);
    assert!(objects.list().unwrap().is_empty());
    write(&*objects, "object", b"others");
    assert_eq!(read(&*objects, "object").unwrap(), b"others");
}

fn is_written_once(place: &dyn Place) {
    let objects = place.objects();
    write(&*objects, "object", b"first");
    let mut second = objects.create("object").unwrap();
    second.append(b"second").unwrap();
    assert!(matches!(second.finish(), Err(StoreError::Exists { .. })));
    assert_eq!(read(&*objects, "object").unwrap(), b"first");
    assert_eq!(objects.list().unwrap(), ["object"]);
}

fn is_written_by_one_at_a_time(place: &dyn Place) {
    let objects = place.objects();
    let first = objects.create("object").unwrap();
    let second = objects.create("object").map(drop);
    assert!(
        matches!(second, Err(StoreError::Exists { .. })),
        "{second:?}"
    );
    // The one that was refused has not taken the first one's place.
    let again = objects.create("object").map(drop);
    assert!(matches!(again, Err(StoreError::Exists { .. })), "{again:?}");
    write(&*objects, "other", b"");
    first.finish().unwrap();
    assert_eq!(objects.list().unwrap(), ["object", "other"]);
}

fn lists_in_order(place: &dyn Place) {
    let objects = place.objects();
    let names = ["b", "a", "segment-1-0", "segment-0-10", "segment-0-2", "9"];
    for name in names {
        write(&*objects, name, name.as_bytes());
    }
    let mut sorted = names;
    sorted.sort_unstable();
    assert_eq!(objects.list().unwrap(), sorted);
}

fn deletes_and_writes_anew(place: &dyn Place) {
    let objects = place.objects();
    objects.delete("never there").unwrap_err();
    objects.delete("never-there").unwrap();
    write(&*objects, "object", b"first");
    write(&*objects, "other", b"other");
    objects.delete("object").unwrap();
    objects.delete("object").unwrap();
    assert_eq!(read(&*objects, "object"), None);
    assert_eq!(objects.list().unwrap(), ["other"]);
    write(&*objects, "object", b"second");
    assert_eq!(read(&*objects, "object").unwrap(), b"second");
}

fn goes_on_reading_what_was_deleted(place: &dyn Place) {
    let objects = place.objects();
    write(&*objects, "object", b"first");
    let open = objects.open("object").unwrap();
    objects.delete("object").unwrap();
    write(&*objects, "object", b"second");
    assert_eq!(open.read_at(0, 5).unwrap(), b"first"[..]);
}

fn survives_reopening(place: &dyn Place) {
    let objects = place.objects();
    write(&*objects, "object", b"bytes");
    write(&*objects, "gone", b"bytes");
    objects.delete("gone").unwrap();
    drop(objects);
    let objects = place.objects();
    assert_eq!(objects.list().unwrap(), ["object"]);
    assert_eq!(read(&*objects, "object").unwrap(), b"bytes");
}

fn reads_what_is_there_now_and_not_what_was(place: &dyn Place) {
    let objects = place.objects();
    write(&*objects, "object", b"0123456789");
    place.replace("object", b"01234");
    let object = objects.open("object").unwrap();
    assert_eq!(object.len(), 5);
    assert!(matches!(
        object.read_at(0, 10),
        Err(StoreError::Damaged { .. })
    ));
}

fn refuses_names_that_are_none(place: &dyn Place) {
    let objects = place.objects();
    let long = "a".repeat(MAX_OBJECT_NAME + 1);
    let names = [
        "", ".", "..", "a/b", "../a", "A", "a~", "a.b", "a_b", "ä", "a\0", &long,
    ];
    for name in names {
        let refused = [
            objects.create(name).map(drop),
            objects.open(name).map(drop),
            objects.delete(name),
        ];
        for refused in refused {
            assert!(
                matches!(refused, Err(StoreError::Io { .. })),
                "{name}: {refused:?}"
            );
        }
    }
    let longest = "a".repeat(MAX_OBJECT_NAME);
    write(&*objects, &longest, b"");
    assert_eq!(objects.list().unwrap(), [longest]);
}

#[test]
fn files_that_are_cut_while_open_are_damaged() {
    let place = OnFiles {
        dir: tempfile::tempdir().unwrap(),
    };
    let objects = place.objects();
    write(&*objects, "object", &[1; 10_000]);
    let object = objects.open("object").unwrap();
    let file = std::fs::File::options()
        .write(true)
        .open(place.path().join("object"));
    file.unwrap().set_len(5_000).unwrap();
    assert_eq!(object.read_at(0, 5_000).unwrap(), vec![1; 5_000]);
    for (offset, length) in [(0, 10_000), (4_999, 2), (9_000, 1)] {
        match object.read_at(offset, length) {
            Err(StoreError::Damaged { file, what }) => {
                assert_eq!(file.as_deref(), Some("object"), "{what}");
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn files_that_a_crash_left_unfinished_are_none_and_go_at_the_next_start() {
    let place = OnFiles {
        dir: tempfile::tempdir().unwrap(),
    };
    let objects = place.objects();
    write(&*objects, "object", b"bytes");
    let mut writer = objects.create("unfinished").unwrap();
    writer.append(b"bytes").unwrap();
    // As a process ends that is killed.
    std::mem::forget(writer);
    let reading = FileObjects::read_only(&place.path());
    assert_eq!(reading.list().unwrap(), ["object"]);
    assert!(place.path().join("unfinished~").exists());
    let objects = place.objects();
    assert!(!place.path().join("unfinished~").exists());
    write(&*objects, "unfinished", b"whole");
    assert_eq!(objects.list().unwrap(), ["object", "unfinished"]);
    let none = FileObjects::read_only(&place.path().join("none"));
    assert!(none.list().unwrap().is_empty());
    assert!(!place.path().join("none").exists());
}

/// After `append` failed, nothing comes of the object.
fn is_poisoned(objects: &dyn Objects, mut writer: Box<dyn ObjectWriter>) {
    assert!(matches!(writer.append(b"more"), Err(StoreError::Poisoned)));
    assert!(matches!(writer.append(b""), Err(StoreError::Poisoned)));
    assert!(matches!(writer.finish(), Err(StoreError::Poisoned)));
    assert!(objects.list().unwrap().is_empty());
}

#[test]
fn a_full_volume_poisons_the_writer_and_nothing_else() {
    let Some(volume) = MemoryVolume::new("1m") else {
        println!("skipped: needs root");
        return;
    };
    let objects = FileObjects::open(volume.path()).unwrap();
    let mut writer = objects.create("large").unwrap();
    let failed = writer.append(&vec![1; 2 << 20]);
    assert!(matches!(failed, Err(StoreError::Full { .. })), "{failed:?}");
    is_poisoned(&objects, writer);
    assert!(!volume.path().join("large~").exists());
    // What waits in the buffer does not fit either.
    let filler = std::fs::write(volume.path().join("filler"), vec![1; 2 << 20]);
    filler.unwrap_err();
    let mut writer = objects.create("small").unwrap();
    writer.append(b"a few bytes").unwrap();
    let failed = writer.finish();
    assert!(matches!(failed, Err(StoreError::Full { .. })), "{failed:?}");
    assert_eq!(read(&objects, "small"), None);
    std::fs::remove_file(volume.path().join("filler")).unwrap();
    write(&objects, "large", &[1; 100_000]);
    assert_eq!(objects.list().unwrap(), ["large"]);
}

#[test]
fn any_step_can_fail_and_leaves_what_its_fault_says() {
    for fault in [Fault::Lost, Fault::Full, Fault::Unsynced, Fault::Durable] {
        let is_full = |error: StoreError| {
            assert_eq!(
                matches!(error, StoreError::Full { .. }),
                fault == Fault::Full,
                "{error}"
            );
        };
        let disk = MemoryDisk::new();
        let objects = disk.objects();
        disk.fail(Step::ObjectCreate, 2, fault);
        drop(objects.create("object").unwrap());
        is_full(objects.create("object").map(drop).unwrap_err());
        let mut writer = objects.create("object").unwrap();
        disk.fail(Step::ObjectAppend, 2, fault);
        writer.append(b"first").unwrap();
        is_full(writer.append(b"second").unwrap_err());
        is_poisoned(&objects, writer);
        write(&objects, "object", b"bytes");
        disk.fail(Step::ObjectOpen, 1, fault);
        is_full(objects.open("object").map(drop).unwrap_err());
        assert_eq!(read(&objects, "object").unwrap(), b"bytes");
        disk.fail(Step::ObjectDelete, 1, fault);
        is_full(objects.delete("object").unwrap_err());
        let kept = matches!(fault, Fault::Lost | Fault::Full);
        assert_eq!(read(&objects, "object").is_some(), kept, "{fault:?}");
    }
}

#[test]
fn what_is_finished_survives_a_power_cut_and_what_is_deleted_may() {
    let mut found = [0; 2];
    for seed in 0..64 {
        let disk = MemoryDisk::new();
        let objects = disk.objects();
        write(&objects, "kept", b"kept");
        write(&objects, "deleted", b"deleted");
        write(&objects, "replaced", b"before");
        objects.delete("replaced").unwrap();
        // Syncs the names of all.
        write(&objects, "replaced", b"after");
        objects.delete("deleted").unwrap();
        let writer = objects.create("unfinished").unwrap();
        disk.power_cut(seed);
        assert!(objects.list().is_err(), "opened before the power was cut");
        writer.finish().unwrap_err();
        let objects = disk.objects();
        assert_eq!(read(&objects, "kept").unwrap(), b"kept");
        assert_eq!(read(&objects, "replaced").unwrap(), b"after");
        assert_eq!(read(&objects, "unfinished"), None);
        let deleted = read(&objects, "deleted");
        found[usize::from(deleted.is_some())] += 1;
        drop(objects.create("unfinished").unwrap());
        // It is settled by now.
        disk.power_cut(seed + 1);
        assert_eq!(read(&disk.objects(), "deleted"), deleted);
    }
    assert!(found.iter().all(|times| *times > 16), "{found:?}");
}

#[test]
fn deletes_are_durable_once_something_was_finished() {
    for seed in 0..32 {
        let disk = MemoryDisk::new();
        let objects = disk.objects();
        write(&objects, "deleted", b"deleted");
        objects.delete("deleted").unwrap();
        write(&objects, "other", b"other");
        disk.power_cut(seed);
        assert_eq!(disk.objects().list().unwrap(), ["other"]);
        let objects = disk.objects();
        disk.fail(Step::ObjectDelete, 1, Fault::Durable);
        objects.delete("other").unwrap_err();
        disk.power_cut(seed);
        assert!(disk.objects().list().unwrap().is_empty());
    }
}

#[test]
fn a_finish_that_failed_leaves_the_object_whole_or_not_at_all() {
    for (fault, expected) in [
        (Fault::Lost, Some(false)),
        (Fault::Full, Some(false)),
        (Fault::Unsynced, None),
        (Fault::Durable, Some(true)),
    ] {
        let mut found = [0; 2];
        for seed in 0..64 {
            let disk = MemoryDisk::new();
            let objects = disk.objects();
            disk.fail(Step::ObjectFinish, 1, fault);
            let mut writer = objects.create("object").unwrap();
            writer.append(b"bytes").unwrap();
            writer.finish().unwrap_err();
            let copy = disk.copy();
            disk.power_cut(seed);
            let there = read(&disk.objects(), "object");
            assert!(there.as_ref().is_none_or(|bytes| bytes == b"bytes"));
            found[usize::from(there.is_some())] += 1;
            // A copy is as undecided as what it was made of.
            copy.power_cut(seed);
            assert_eq!(read(&copy.objects(), "object"), there);
        }
        match expected {
            Some(there) => assert_eq!(found[usize::from(there)], 64, "{fault:?}"),
            None => assert!(found.iter().all(|times| *times > 16), "{found:?}"),
        }
    }
}
