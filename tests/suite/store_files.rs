//! Slots in a file and the lock of a directory.

use std::fs;

use graven::store::{DirLock, FileSlots, SLOT_LEN, Slots, StoreError};

fn page(byte: u8) -> Vec<u8> {
    vec![byte; SLOT_LEN]
}

#[test]
fn slots_start_as_zeros_and_keep_what_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a/b/slots");
    let mut slots = FileSlots::create(&path).unwrap();
    assert_eq!(
        [slots.read(0).unwrap(), slots.read(1).unwrap()],
        [page(0), page(0)]
    );
    slots.write(1, &page(1)).unwrap();
    assert_eq!(
        [slots.read(0).unwrap(), slots.read(1).unwrap()],
        [page(0), page(1)]
    );
    slots.write(0, &page(2)).unwrap();
    slots.write(1, &page(3)).unwrap();
    drop(slots);
    let slots = FileSlots::open(&path).unwrap();
    assert_eq!(
        [slots.read(0).unwrap(), slots.read(1).unwrap()],
        [page(2), page(3)]
    );
    assert_eq!(fs::metadata(&path).unwrap().len(), 8192);
}

#[test]
fn slots_of_another_length_are_damaged() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("slots");
    drop(FileSlots::create(&path).unwrap());
    for length in [0, 1, 4096, 8191, 8193, 16384] {
        fs::File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .set_len(length)
            .unwrap();
        let error = FileSlots::open(&path).unwrap_err();
        assert!(
            matches!(&error, StoreError::Damaged { file: Some(file), .. } if file == "slots"),
            "{length}: {error}"
        );
    }
}

#[test]
fn slots_cut_short_while_open_are_damaged() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("slots");
    let slots = FileSlots::create(&path).unwrap();
    fs::File::options()
        .write(true)
        .open(&path)
        .unwrap()
        .set_len(5000)
        .unwrap();
    assert!(matches!(slots.read(0), Err(StoreError::Damaged { .. })));
}

#[test]
fn slots_are_created_once_and_opened_only_then() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("slots");
    assert!(matches!(
        FileSlots::open(&path),
        Err(StoreError::Missing { .. })
    ));
    FileSlots::create(&path)
        .unwrap()
        .write(0, &page(7))
        .unwrap();
    assert!(matches!(
        FileSlots::create(&path),
        Err(StoreError::Exists { .. })
    ));
    assert_eq!(FileSlots::open(&path).unwrap().read(0).unwrap(), page(7));
}

#[test]
fn slots_refuse_other_numbers_and_lengths() {
    let dir = tempfile::tempdir().unwrap();
    let mut slots = FileSlots::create(&dir.path().join("slots")).unwrap();
    slots.write(1, &page(1)).unwrap();
    assert!(
        slots
            .read(2)
            .unwrap_err()
            .to_string()
            .contains("slot number")
    );
    assert!(slots.write(2, &page(2)).is_err());
    for length in [0, SLOT_LEN - 1, SLOT_LEN + 1, 2 * SLOT_LEN] {
        let error = slots.write(0, &vec![9; length]).unwrap_err();
        assert!(error.to_string().contains("4096"), "{error}");
    }
    assert_eq!(
        [slots.read(0).unwrap(), slots.read(1).unwrap()],
        [page(0), page(1)]
    );
    slots
        .write(0, &page(3))
        .expect("a refused request is not a failed write");
}

#[test]
fn a_directory_is_locked_once() {
    let dir = tempfile::tempdir().unwrap();
    let lock = DirLock::acquire(dir.path()).unwrap();
    let error = DirLock::acquire(dir.path()).unwrap_err();
    assert!(matches!(error, StoreError::InUse { .. }));
    assert!(error.to_string().contains("another process"), "{error}");
    drop(lock);
    let _lock = DirLock::acquire(dir.path()).unwrap();
    let missing = DirLock::acquire(&dir.path().join("none"));
    assert!(matches!(missing, Err(StoreError::Missing { .. })));
}
