//! What the modelled disk does when writes fail and the power goes.

use graven::store::{
    Batch, Direction, Fault, KeyRange, MemoryDisk, MemoryStore, Read, SLOT_LEN, Slots, Space, Step,
    Store, StoreError,
};

const SECTOR_LEN: usize = 512;

/// Commits batch `n`: a key in each of two spaces, and one that every batch overwrites.
fn commit(store: &MemoryStore, n: u8) -> Result<(), StoreError> {
    let mut batch = Batch::new();
    batch.put(Space::Entry, vec![n], vec![n; 100]);
    batch.put(Space::Tile, vec![n], vec![n; 10]);
    batch.put(Space::Meta, b"last".to_vec(), vec![n]);
    store.commit(batch)
}

/// The batches found, which must be whole and agree on which was the last.
fn batches(reader: &dyn Read) -> Vec<u8> {
    let keys = |space| {
        reader
            .scan(space, KeyRange::all(), Direction::Forward)
            .map(|pair| pair.unwrap().0[0])
            .collect::<Vec<_>>()
    };
    let found = keys(Space::Entry);
    assert_eq!(found, keys(Space::Tile), "half a batch");
    let last = reader.get(Space::Meta, b"last").unwrap();
    assert_eq!(last.map(|last| last[0]), found.last().copied());
    found
}

#[test]
fn what_was_committed_survives_a_power_cut() {
    for seed in 0..20 {
        let disk = MemoryDisk::new();
        let store = disk.create_store().unwrap();
        for n in 0..5 {
            commit(&store, n).unwrap();
        }
        disk.power_cut(seed);
        assert_eq!(batches(&disk.open_store().unwrap()), [0, 1, 2, 3, 4]);
    }
}

#[test]
fn a_failed_commit_poisons_the_store_and_leaves_reads() {
    for fault in [Fault::Lost, Fault::Full, Fault::Unsynced, Fault::Durable] {
        let disk = MemoryDisk::new();
        let store = disk.create_store().unwrap();
        disk.fail(Step::Commit, 3, fault);
        commit(&store, 0).unwrap();
        commit(&store, 1).unwrap();
        let error = commit(&store, 2).unwrap_err();
        assert_eq!(
            matches!(error, StoreError::Full { .. }),
            fault == Fault::Full,
            "{error}"
        );
        assert!(matches!(commit(&store, 3), Err(StoreError::Poisoned)));
        assert!(matches!(store.flush(), Err(StoreError::Poisoned)));
        assert!(batches(&store).starts_with(&[0, 1]));
        drop(store);
        commit(&disk.open_store().unwrap(), 4).expect("a restart recovers");
    }
}

#[test]
fn each_fault_leaves_what_it_says() {
    let after = |fault, seed: Option<u64>| {
        let disk = MemoryDisk::new();
        let store = disk.create_store().unwrap();
        commit(&store, 0).unwrap();
        disk.fail(Step::Commit, 1, fault);
        commit(&store, 1).unwrap_err();
        drop(store);
        if let Some(seed) = seed {
            disk.power_cut(seed);
        }
        batches(&disk.open_store().unwrap()).len()
    };
    let cuts = |fault| {
        (0..64)
            .map(|seed| after(fault, Some(seed)))
            .collect::<Vec<_>>()
    };
    assert_eq!(after(Fault::Lost, None), 1);
    assert_eq!(after(Fault::Full, None), 1);
    assert_eq!(after(Fault::Unsynced, None), 2, "a restart alone finds it");
    assert_eq!(after(Fault::Durable, None), 2);
    assert!(cuts(Fault::Lost).iter().all(|found| *found == 1));
    assert!(cuts(Fault::Durable).iter().all(|found| *found == 2));
    let unsynced = cuts(Fault::Unsynced);
    assert!(
        unsynced.contains(&1) && unsynced.contains(&2),
        "the power cut decides: {unsynced:?}"
    );
    assert_eq!(unsynced, cuts(Fault::Unsynced), "by its seed");
}

#[test]
fn a_flush_or_a_later_commit_makes_durable_what_a_restart_found() {
    type Settle = fn(&MemoryStore) -> Result<(), StoreError>;
    let flush: Settle = |store| store.flush();
    let settled: [(Settle, bool); 2] = [(flush, false), (|store| commit(store, 2), true)];
    for (settle, commits) in settled {
        for seed in 0..20 {
            let disk = MemoryDisk::new();
            let store = disk.create_store().unwrap();
            disk.fail(Step::Commit, 2, Fault::Unsynced);
            commit(&store, 0).unwrap();
            commit(&store, 1).unwrap_err();
            drop(store);
            settle(&disk.open_store().unwrap()).unwrap();
            disk.power_cut(seed);
            let expected: &[u8] = if commits { &[0, 1, 2] } else { &[0, 1] };
            assert_eq!(batches(&disk.open_store().unwrap()), expected);
        }
    }
}

#[test]
fn a_failed_flush_leaves_it_to_the_power_cut() {
    let survived = |fault, seed| {
        let disk = MemoryDisk::new();
        let store = disk.create_store().unwrap();
        disk.fail(Step::Commit, 1, Fault::Unsynced);
        commit(&store, 0).unwrap_err();
        drop(store);
        let store = disk.open_store().unwrap();
        disk.fail(Step::Flush, 1, fault);
        store.flush().unwrap_err();
        assert!(matches!(commit(&store, 1), Err(StoreError::Poisoned)));
        disk.power_cut(seed);
        batches(&disk.open_store().unwrap()).len()
    };
    let lost = (0..64)
        .map(|seed| survived(Fault::Lost, seed))
        .collect::<Vec<_>>();
    assert!(lost.contains(&0) && lost.contains(&1));
    assert!((0..64).all(|seed| survived(Fault::Durable, seed) == 1));
}

#[test]
fn an_overwritten_value_comes_back_with_the_batch_that_is_lost() {
    let lost = (0..64).find(|seed| {
        let disk = MemoryDisk::new();
        let store = disk.create_store().unwrap();
        commit(&store, 0).unwrap();
        disk.fail(Step::Commit, 1, Fault::Unsynced);
        let mut batch = Batch::new();
        batch.put(Space::Meta, b"last".to_vec(), vec![1]);
        batch.put(Space::Meta, b"last".to_vec(), vec![2]);
        batch.delete(Space::Entry, vec![0]);
        batch.delete(Space::Tile, vec![0]);
        store.commit(batch).unwrap_err();
        disk.power_cut(*seed);
        disk.open_store()
            .unwrap()
            .get(Space::Meta, b"last")
            .unwrap()
            .unwrap()[0]
            == 0
            && {
                assert_eq!(batches(&disk.open_store_read_only().unwrap()), [0]);
                true
            }
    });
    assert!(lost.is_some());
}

#[test]
fn batches_are_lost_from_the_newest_on() {
    let mut outcomes = [false; 3];
    for seed in 0..64 {
        let disk = MemoryDisk::new();
        drop(disk.create_store().unwrap());
        for n in 0..2 {
            disk.fail(Step::Commit, 1, Fault::Unsynced);
            commit(&disk.open_store().unwrap(), n).unwrap_err();
        }
        disk.power_cut(seed);
        let found = batches(&disk.open_store().unwrap());
        assert!([0, 1].starts_with(&found), "{found:?}");
        outcomes[found.len()] = true;
    }
    assert_eq!(outcomes, [true; 3]);
}

#[test]
fn what_was_open_is_dead_after_a_power_cut() {
    let disk = MemoryDisk::new();
    let store = disk.create_store().unwrap();
    let mut slots = disk.create_slots().unwrap();
    disk.power_cut(0);
    let again = disk.open_store().unwrap();
    assert!(store.get(Space::Meta, b"last").is_err());
    assert!(
        store
            .scan(Space::Meta, KeyRange::all(), Direction::Forward)
            .next()
            .unwrap()
            .is_err()
    );
    assert!(commit(&store, 0).is_err());
    assert!(slots.read(0).is_err());
    assert!(slots.write(0, &[0; SLOT_LEN]).is_err());
    drop(store);
    assert!(
        matches!(disk.open_store(), Err(StoreError::InUse { .. })),
        "the dead one must not release the new one"
    );
    drop(again);
    assert!(batches(&disk.open_store().unwrap()).is_empty());
}

#[test]
fn a_copy_goes_its_own_way() {
    let disk = MemoryDisk::new();
    let store = disk.create_store().unwrap();
    commit(&store, 0).unwrap();
    let backup = disk.copy();
    commit(&store, 1).unwrap();
    let restored = backup.open_store().unwrap();
    assert_eq!(batches(&restored), [0]);
    commit(&restored, 7).unwrap();
    assert_eq!(batches(&store), [0, 1]);
}

#[test]
fn damage_is_an_error_and_never_a_shorter_scan() {
    let disk = MemoryDisk::new();
    let store = disk.create_store().unwrap();
    for n in 0..5 {
        commit(&store, n).unwrap();
    }
    assert!(disk.damage(Space::Entry, &[2]));
    assert!(!disk.damage(Space::Entry, &[9]));
    let damaged =
        |result: Result<(), StoreError>| matches!(result, Err(StoreError::Damaged { .. }));
    assert!(damaged(store.get(Space::Entry, &[2]).map(drop)));
    assert!(damaged(
        store.get_many(Space::Entry, &[&[1], &[2]]).map(drop)
    ));
    assert!(damaged(
        store.last_at_or_before(Space::Entry, &[2]).map(drop)
    ));
    assert!(damaged(
        store.first_at_or_after(Space::Entry, &[2]).map(drop)
    ));
    for (direction, before) in [(Direction::Forward, 2), (Direction::Reverse, 2)] {
        let scan: Vec<_> = store
            .scan(Space::Entry, KeyRange::all(), direction)
            .collect();
        assert_eq!(scan.len(), before + 1);
        assert!(scan[before].is_err(), "the error ends the scan");
    }
    assert_eq!(store.get(Space::Entry, &[3]).unwrap().unwrap()[0], 3);
}

#[test]
fn a_flipped_bit_is_returned_as_if_it_had_been_written() {
    let disk = MemoryDisk::new();
    let store = disk.create_store().unwrap();
    commit(&store, 0).unwrap();
    let snapshot = store.snapshot();
    assert!(disk.flip_bit(Space::Entry, &[0], 8 * 99 + 7));
    assert!(!disk.flip_bit(Space::Entry, &[0], 8 * 100));
    assert!(!disk.flip_bit(Space::Entry, &[1], 0));
    let value = store.get(Space::Entry, &[0]).unwrap().unwrap();
    assert_eq!((value[98], value[99]), (0, 0x80));
    assert_eq!(snapshot.get(Space::Entry, &[0]).unwrap().unwrap()[99], 0);
}

#[test]
fn an_unsynced_slot_is_torn_between_sectors_and_the_other_is_whole() {
    let mut torn = 0;
    for seed in 0..64 {
        let disk = MemoryDisk::new();
        let mut slots = disk.create_slots().unwrap();
        slots.write(0, &[1; SLOT_LEN]).unwrap();
        slots.write(1, &[2; SLOT_LEN]).unwrap();
        disk.fail(Step::SlotWrite, 1, Fault::Unsynced);
        slots.write(0, &[3; SLOT_LEN]).unwrap_err();
        assert_eq!(slots.read(0).unwrap(), [3; SLOT_LEN], "live");
        assert!(matches!(
            slots.write(1, &[4; SLOT_LEN]),
            Err(StoreError::Poisoned)
        ));
        disk.power_cut(seed);
        let slots = disk.open_slots().unwrap();
        let slot = slots.read(0).unwrap();
        for sector in slot.chunks(SECTOR_LEN) {
            assert!(*sector == [1; SECTOR_LEN] || *sector == [3; SECTOR_LEN]);
        }
        torn += usize::from(slot.contains(&1) && slot.contains(&3));
        assert_eq!(slots.read(1).unwrap(), [2; SLOT_LEN]);
    }
    assert!(torn > 32, "{torn}");
}

#[test]
fn slots_that_were_written_survive_a_power_cut() {
    for (fault, expected) in [(Fault::Lost, 1), (Fault::Full, 1), (Fault::Durable, 3)] {
        for seed in 0..8 {
            let disk = MemoryDisk::new();
            let mut slots = disk.create_slots().unwrap();
            assert!(matches!(disk.open_slots(), Err(StoreError::InUse { .. })));
            assert!(matches!(
                disk.create_slots(),
                Err(StoreError::Exists { .. })
            ));
            slots.write(0, &[1; SLOT_LEN]).unwrap();
            disk.fail(Step::SlotWrite, 1, fault);
            slots.write(0, &[3; SLOT_LEN]).unwrap_err();
            disk.power_cut(seed);
            assert_eq!(
                disk.open_slots().unwrap().read(0).unwrap(),
                [expected; SLOT_LEN]
            );
        }
    }
    assert!(matches!(
        MemoryDisk::new().open_slots(),
        Err(StoreError::Missing { .. })
    ));
}
