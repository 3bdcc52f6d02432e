//! What the audit of a directory holds against the orders that are sealed: who said first that a part was erased, what is
//! still to be done, and which holds are in force.

use graven::entry::{Tag, v1};
use graven::ledger::{Chosen, Ledger, LedgerError};
use graven::store::{Batch, Direction, Fault, KeyRange, MemoryDisk, Read, Space, Step, Store as _};
use graven::verify::{Check, Finding, Verdict};

use super::ledger_erase::order;
use super::ledger_support::{Operator, append};
use super::verify_support::{checked, envelope, event_message};

/// Where the one pack of the events stands.
const PACK: [u8; 8] = [0; 8];

/// A stopped ledger of four events with why and detail.
fn with_events(operator: &Operator) -> MemoryDisk {
    let disk = MemoryDisk::new();
    operator.init(&disk).unwrap();
    let ledger = operator.open(&disk).unwrap();
    let events: Vec<_> = (0..4).map(|n| checked(&event_message(n))).collect();
    append(&ledger, &events).unwrap();
    drop(ledger);
    disk
}

fn erase(ledger: &Ledger, seq: u64) -> Result<u64, LedgerError> {
    let order = order(Chosen::Named((seq..seq + 1).into()), &[Tag::Detail]);
    ledger.erase(&order, &envelope()).map(|done| done.seqs[0])
}

/// Writes into the store of a stopped ledger, as whoever has root can.
fn write(disk: &MemoryDisk, change: impl FnOnce(&mut Batch)) {
    let mut batch = Batch::new();
    change(&mut batch);
    disk.open_store().unwrap().commit(batch).unwrap();
}

/// Puts back what the pack of the events was before.
fn put_back(disk: &MemoryDisk, before: &MemoryDisk) {
    let store = before.open_store_read_only().unwrap();
    write(disk, |batch| {
        for space in [Space::Entry, Space::Detail] {
            let value = store.get(space, &PACK).unwrap().unwrap();
            batch.put(space, &PACK[..], value);
        }
    });
}

fn verdict(operator: &Operator, disk: &MemoryDisk) -> Verdict {
    operator.audit(disk, None).unwrap().verdict
}

#[track_caller]
fn found(operator: &Operator, disk: &MemoryDisk) -> Finding {
    match verdict(operator, disk) {
        Verdict::Tampered(finding) => finding,
        other => panic!("not found out: {other}"),
    }
}

#[test]
fn the_first_entry_that_names_a_part_is_who_says_that_it_was_erased() {
    let operator = Operator::default();
    let disk = with_events(&operator);
    let whole = disk.copy();
    let first = erase(&operator.open(&disk).unwrap(), 1).unwrap();
    put_back(&disk, &whole);
    let second = erase(&operator.open(&disk).unwrap(), 1).unwrap();
    assert!(first < second);
    // The pack names the second.
    let finding = found(&operator, &disk);
    assert_eq!((finding.seq, finding.check), (Some(1), Check::Erasure));
    // With the first it is what a ledger of an earlier version leaves, which said it twice.
    let store = disk.open_store_read_only().unwrap();
    let mut pack = store.get(Space::Entry, &PACK).unwrap().unwrap().to_vec();
    drop(store);
    let at = pack
        .windows(8)
        .rposition(|part| part == second.to_be_bytes())
        .unwrap();
    pack[at..at + 8].copy_from_slice(&first.to_be_bytes());
    write(&disk, |batch| batch.put(Space::Entry, &PACK[..], pack));
    assert_eq!(verdict(&operator, &disk), Verdict::Ok);
}

#[test]
fn what_is_still_to_be_erased_may_be_there_and_nothing_else_may() {
    let operator = Operator::default();
    let disk = with_events(&operator);
    let whole = disk.copy();
    let interrupted = |disk: &MemoryDisk, seq| {
        let ledger = operator.open(disk).unwrap();
        // The first commit seals the order, the second takes the bytes away.
        disk.fail(Step::Commit, 2, Fault::Lost);
        let failed = erase(&ledger, seq);
        assert!(matches!(failed, Err(LedgerError::Unfinished { .. })));
        drop(ledger);
    };
    let pending = disk.copy();
    interrupted(&pending, 2);
    assert_eq!(verdict(&operator, &pending), Verdict::Ok);
    drop(operator.open(&pending).unwrap());
    assert_eq!(verdict(&operator, &pending), Verdict::Ok);

    // An erasure that was done, and undone by somebody, is not excused by another one that is to be done.
    erase(&operator.open(&disk).unwrap(), 1).unwrap();
    put_back(&disk, &whole);
    interrupted(&disk, 2);
    let finding = found(&operator, &disk);
    assert_eq!((finding.seq, finding.check), (Some(1), Check::Erasure));
}

fn place(ledger: &Ledger, name: &str) -> u64 {
    let hold = v1::Hold {
        name: name.into(),
        ticket: "CASE-9".into(),
        filter: "actor:*".into(),
        ..Default::default()
    };
    ledger.place_hold(hold, &envelope()).unwrap().first_seq
}

#[test]
fn the_marks_of_holds_are_those_that_the_entries_say() {
    let operator = Operator::default();
    let disk = with_events(&operator);
    let ledger = operator.open(&disk).unwrap();
    let released = place(&ledger, "case");
    let release = ledger.release_hold("case", "CASE-9".into(), String::new(), &envelope());
    release.unwrap();
    let (placed, other) = (place(&ledger, "case"), place(&ledger, "other"));
    drop(ledger);
    assert_eq!(verdict(&operator, &disk), Verdict::Ok);
    let marks = |disk: &MemoryDisk| {
        let store = disk.open_store_read_only().unwrap();
        let all = store.scan(Space::Meta, KeyRange::all(), Direction::Forward);
        all.filter(|pair| pair.as_ref().unwrap().0.starts_with(b"hold/"))
            .count()
    };
    // As many as there have to be, each of them, and one is another.
    let put = |batch: &mut Batch, name: &str, seq: u64| {
        let key = format!("hold/{name}").into_bytes();
        batch.put(Space::Meta, key, seq.to_be_bytes().to_vec());
    };
    let changed = |change: &dyn Fn(&mut Batch)| {
        let disk = disk.copy();
        write(&disk, change);
        assert_eq!(marks(&disk), 2);
        let finding = found(&operator, &disk);
        assert_eq!(finding.check, Check::Store);
        (finding.seq, finding.expected)
    };
    // It names the hold of that name that was released; it names another hold.
    let expected = "the hold \"case\" to be in force".to_owned();
    for seq in [released, other] {
        let moved = changed(&|batch| put(batch, "case", seq));
        assert_eq!(moved, (Some(placed), expected.clone()));
    }
    let renamed = changed(&|batch| {
        batch.delete(Space::Meta, &b"hold/case"[..]);
        put(batch, "elsewhere", placed);
    });
    assert_eq!(renamed, (Some(placed), expected));
}
