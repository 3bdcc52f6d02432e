//! The index in a ledger's life: it survives restarts, crashes and the loss of its objects, and what is wrong with it is
//! found.

use std::time::Duration;

use graven::entry::Kind;
use graven::index::filter::{Filter, Truth};
use graven::ledger::Ledger;
use graven::store::{Fault, MemoryDisk, Objects, Space, Step};
use graven::verify::{Check, Verdict};

use super::ledger_support::{Operator, append, event, page, wait_until_indexed};

fn append_many(ledger: &Ledger, first: u64, count: u64) {
    let events: Vec<_> = (first..first + count)
        .map(|n| event(&n.to_be_bytes(), n))
        .collect();
    for batch in events.chunks(500) {
        append(ledger, batch).unwrap();
    }
}

/// How many entries the answer to a question needed, and which match.
fn ask(ledger: &Ledger, filter: &str) -> (u64, Vec<u64>) {
    let size = ledger.published().size();
    let page = page(ledger, filter, false);
    assert_eq!(page.window, 0..size);
    let seqs = page.entries.iter().map(|entry| entry.header.seq).collect();
    (page.cost.entries, seqs)
}

fn scan(ledger: &Ledger, filter: &str) -> Vec<u64> {
    let filter = Filter::parse(filter).unwrap();
    let seqs = 0..ledger.published().size();
    let matches =
        |seq: &u64| filter.evaluate(&ledger.entry(*seq).unwrap().facts().unwrap()) == Truth::True;
    seqs.filter(matches).collect()
}

fn names(disk: &MemoryDisk) -> Vec<String> {
    disk.objects().list().unwrap()
}

/// A disk with a closed ledger whose index has a merged segment and two small ones.
pub(super) fn indexed(operator: &Operator) -> MemoryDisk {
    let disk = MemoryDisk::new();
    operator.init(&disk).unwrap();
    let ledger = operator.open(&disk).unwrap();
    append_many(&ledger, 0, 18 * 1_024 + 100);
    wait_until_indexed(&ledger, 18 * 1_024);
    drop(ledger);
    disk
}

const QUESTIONS: [&str; 3] = ["kind = seal", "actor = nobody", "seq < 40 AND action:*"];

#[test]
fn segments_are_merged_and_found_again_after_a_restart() {
    let operator = Operator::default();
    let disk = indexed(&operator);
    let merged: Vec<_> = names(&disk)
        .into_iter()
        .filter(|n| n.starts_with("segment-1-"))
        .collect();
    assert_eq!(merged, ["segment-1-0"]);
    assert_eq!(names(&disk).len(), 3, "{:?}", names(&disk));
    let ledger = operator.open(&disk).unwrap();
    wait_until_indexed(&ledger, 18 * 1_024);
    for question in QUESTIONS {
        assert_eq!(
            ask(&ledger, question).1,
            scan(&ledger, question),
            "{question}"
        );
    }
    drop(ledger);
    let report = operator.audit(&disk, None).unwrap();
    assert_eq!(report.verdict, Verdict::Ok);
}

#[test]
fn lost_and_leftover_objects_are_put_right_at_a_start() {
    let operator = Operator::default();
    let disk = indexed(&operator);
    let before = names(&disk);
    for name in &before {
        disk.objects().delete(name).unwrap();
    }
    disk.set_object("segment-0-99", vec![1, 2, 3].into());
    disk.set_object("segment-0-17", vec![0; 100].into());
    assert_eq!(
        operator
            .audit(&disk.copy(), None)
            .map(|r| r.verdict == Verdict::Ok)
            .ok(),
        Some(false)
    );
    let ledger = operator.open(&disk).unwrap();
    assert_eq!(names(&disk), before);
    wait_until_indexed(&ledger, 18 * 1_024);
    for question in QUESTIONS {
        assert_eq!(
            ask(&ledger, question).1,
            scan(&ledger, question),
            "{question}"
        );
    }
    drop(ledger);
    assert_eq!(operator.audit(&disk, None).unwrap().verdict, Verdict::Ok);
}

#[test]
fn every_altered_byte_of_a_segment_is_found_by_the_audit() {
    let operator = Operator::default();
    let disk = MemoryDisk::new();
    operator.init(&disk).unwrap();
    let ledger = operator.open(&disk).unwrap();
    append_many(&ledger, 0, 1_100);
    wait_until_indexed(&ledger, 1_024);
    drop(ledger);
    let [name] = &names(&disk)[..] else {
        panic!("one segment: {:?}", names(&disk))
    };
    let object = disk.objects().open(name).unwrap();
    let bytes = object.read_at(0, object.len() as usize).unwrap();
    let mut harmless = 0;
    for at in (0..bytes.len()).step_by(1 + bytes.len() / 300) {
        let mut altered = bytes.to_vec();
        altered[at] ^= 0x11;
        disk.set_object(name, altered.into());
        let verdict = operator.audit(&disk, None).unwrap().verdict;
        if verdict == Verdict::Ok {
            // A chunk may be read from where another lies that says the same.
            harmless += 1;
            let ledger = operator.open(&disk).unwrap();
            assert_eq!(
                ask(&ledger, "kind = event").1,
                scan(&ledger, "kind = event"),
                "byte {at}"
            );
            continue;
        }
        let found = matches!(&verdict, Verdict::Tampered(found) if found.check == Check::Store);
        assert!(found, "byte {at}: {verdict:?}");
    }
    assert!(harmless < 10, "{harmless} altered bytes were harmless");
}

#[test]
fn records_that_no_seal_commits_to_are_found() {
    let operator = Operator::default();
    let disk = indexed(&operator);
    let key = [0u8, 0, 0, 0, 0, 0, 0, 0, 3];
    for bit in [0, 8 * 20, 8 * 49] {
        let altered = disk.copy();
        assert!(altered.flip_bit(Space::Segment, &key, bit));
        let report = operator.audit(&altered, None).unwrap();
        assert!(
            matches!(report.verdict, Verdict::Tampered(_)),
            "bit {bit}: {report:?}"
        );
        assert!(operator.open(&altered).is_err(), "bit {bit}");
    }
}

#[test]
fn a_crash_while_the_index_is_written_loses_nothing() {
    let operator = Operator::default();
    let every = [Fault::Lost, Fault::Unsynced, Fault::Durable, Fault::Full];
    let finishes = every.into_iter().flat_map(|fault| {
        let step = Step::ObjectFinish;
        [1, 2, 3].map(|nth| (step, fault, nth))
    });
    let others = [
        (Step::ObjectCreate, Fault::Full, 2),
        (Step::ObjectAppend, Fault::Full, 2),
        (Step::ObjectOpen, Fault::Lost, 2),
    ];
    for (step, fault, nth) in finishes.chain(others) {
        let disk = MemoryDisk::new();
        operator.init(&disk).unwrap();
        disk.fail(step, nth, fault);
        let ledger = operator.open(&disk).unwrap();
        let mut acknowledged = 0u64;
        while acknowledged < 18 * 1_024 {
            let from = acknowledged;
            let events: Vec<_> = (from..from + 500)
                .map(|n| event(&n.to_be_bytes(), n))
                .collect();
            if append(&ledger, &events).is_err() {
                break;
            }
            acknowledged += 500;
        }
        for _ in 0..2_000 {
            if ledger.stop_reason().is_some() {
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        let reason = ledger.stop_reason();
        let reason = reason.unwrap_or_else(|| panic!("{step:?} {nth} does not stop it"));
        assert!(reason.contains("search index"), "{reason}");
        drop(ledger);
        disk.power_cut(nth as u64);
        let ledger = operator.open(&disk).unwrap();
        let size = ledger.published().size();
        assert!(size >= acknowledged, "{size} of {acknowledged}");
        wait_until_indexed(&ledger, size / 1_024 * 1_024);
        assert_eq!(ask(&ledger, "kind = seal").1, scan(&ledger, "kind = seal"));
        drop(ledger);
        assert_eq!(operator.audit(&disk, None).unwrap().verdict, Verdict::Ok);
    }
}

#[test]
fn seals_cover_only_what_came_before_them() {
    let operator = Operator::default();
    let disk = indexed(&operator);
    let ledger = operator.open(&disk).unwrap();
    let seals: Vec<u64> = ask(&ledger, "kind = seal").1;
    assert!(!seals.is_empty());
    for seq in seals {
        let entry = ledger.entry(seq).unwrap();
        assert_eq!(entry.header.kind, Kind::Seal);
        let what = entry.facts().unwrap().what;
        let Some(graven::entry::v1::ledger_act::Act::Seal(seal)) = what.act.unwrap().act else {
            panic!("entry {seq} is no seal");
        };
        assert!(seal.levels[0].segments * 1_024 <= seq);
    }
}
