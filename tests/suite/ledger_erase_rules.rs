//! What orders to erase and holds have to be, and what a damaged pack is: each rule by itself.

use graven::entry::{Salts, Tag, v1};
use graven::index::filter::Filter;
use graven::ledger::{Chosen, Ledger, LedgerError};
use graven::store::{Batch, MemoryDisk, Read, Space, Store as _};

use super::ledger_erase::order;
use super::ledger_support::{Operator, append};
use super::verify_support::{checked, envelope, event_message};

const BOTH: [Tag; 2] = [Tag::Why, Tag::Detail];

/// A ledger of so many entries with why and detail.
fn ledger_of(entries: u64) -> (Operator, MemoryDisk, Ledger) {
    let (operator, disk) = (Operator::default(), MemoryDisk::new());
    operator.init(&disk).unwrap();
    let ledger = operator.open(&disk).unwrap();
    let events: Vec<_> = (0..entries).map(|n| checked(&event_message(n))).collect();
    for events in events.chunks(1_000) {
        append(&ledger, events).unwrap();
    }
    (operator, disk, ledger)
}

fn refused<T: std::fmt::Debug>(result: Result<T, LedgerError>) -> (&'static str, String) {
    match result {
        Err(LedgerError::BadOrder { field, rule }) => (field, rule),
        other => panic!("{other:?}"),
    }
}

fn hold() -> v1::Hold {
    v1::Hold {
        name: "case".into(),
        ticket: "CASE-9".into(),
        entries: vec![v1::SeqRange {
            first_seq: 1,
            end_seq: 2,
        }],
        ..Default::default()
    }
}

#[test]
fn an_order_of_too_many_ranges_is_refused() {
    // A few of them are seals, which have nothing to erase.
    let (_, _, ledger) = ledger_of(8_240);
    let every_other = |seqs: std::ops::Range<u64>| {
        let seqs = seqs.map(|n| 2 * n);
        order(Chosen::Named(seqs.collect()), &[Tag::Why])
    };
    let (field, rule) = refused(ledger.erase(&every_other(0..4_115), &envelope()).map(drop));
    assert_eq!(field, "filter");
    assert!(rule.contains("at most 4096"), "{rule}");
    for seqs in [0..4_080, 4_080..4_118] {
        ledger.erase(&every_other(seqs), &envelope()).unwrap();
    }
    // The entries are one run, and what is left of them takes more ranges to say than that.
    let last = order(Chosen::Named((0..8_240).into()), &BOTH);
    let (field, _) = refused(ledger.erase(&last, &envelope()).map(drop));
    assert_eq!(field, "filter");
}

#[test]
fn what_cannot_be_told_is_not_erased() {
    let (_, _, ledger) = ledger_of(4);
    let erase = |entries, parts: &[Tag]| ledger.erase(&order(entries, parts), &envelope());
    let of = |seq: u64| Chosen::Named((seq..seq + 1).into());
    erase(of(1), &[Tag::Why]).unwrap();
    let filter = Filter::parse("seq < 4 AND ticket = OPS-7").unwrap();
    let erased = erase(Chosen::Matching(filter), &[Tag::Detail]).unwrap();
    let others = [0, 2, 3].into_iter().collect();
    assert_eq!(erased.entries, others);
}

#[test]
fn a_hold_is_what_it_has_to_be() {
    let (_, _, ledger) = ledger_of(4);
    let place = |change: &dyn Fn(&mut v1::Hold)| {
        let mut hold = hold();
        change(&mut hold);
        refused(ledger.place_hold(hold, &envelope())).0
    };
    assert_eq!(place(&|hold| hold.name = "a\nb".into()), "name");
    assert_eq!(place(&|hold| hold.name = "x".repeat(129)), "name");
    assert_eq!(place(&|hold| hold.ticket.clear()), "ticket");
    assert_eq!(place(&|hold| hold.ticket = "x".repeat(513)), "ticket");
    assert_eq!(place(&|hold| hold.reason = "x".repeat(4_097)), "reason");
    let long = format!("actor = \"{}\"", "x".repeat(4_096));
    assert_eq!(place(&|hold| hold.filter = long.clone()), "filter");
    let empty = v1::SeqRange {
        first_seq: 3,
        end_seq: 3,
    };
    assert_eq!(place(&|hold| hold.entries.push(empty)), "entries");
    let range = |n: u64| v1::SeqRange {
        first_seq: 2 * n,
        end_seq: 2 * n + 1,
    };
    let ranges: Vec<_> = (0..4_097).map(range).collect();
    assert_eq!(place(&|hold| hold.entries = ranges.clone()), "entries");
    ledger.place_hold(hold(), &envelope()).unwrap();
    let release = |ticket: &str, reason: String| {
        refused(ledger.release_hold("case", ticket.into(), reason, &envelope())).0
    };
    assert_eq!(release("", String::new()), "ticket");
    assert_eq!(release("x", "x".repeat(4_097)), "reason");
    assert_eq!(ledger.published().size(), 5);
}

#[test]
fn an_entry_that_is_not_what_was_sealed_is_not_erased() {
    let (operator, disk, ledger) = ledger_of(4);
    // The last byte of the last part, which is raw.
    let bits = 8 * {
        drop(ledger);
        let store = disk.open_store_read_only().unwrap();
        let value = store.get(Space::Detail, &0u64.to_be_bytes()).unwrap();
        value.unwrap().len()
    };
    let ledger = operator.open(&disk).unwrap();
    assert!(disk.flip_bit(Space::Detail, &0u64.to_be_bytes(), bits - 1));
    let last = order(Chosen::Named((3..4).into()), &[Tag::Why]);
    match ledger.erase(&last, &envelope()) {
        Err(LedgerError::Damaged(damage)) => assert_eq!(damage.seq, Some(3)),
        other => panic!("{other:?}"),
    }
    assert_eq!(ledger.published().size(), 4);
}

/// Where the entries of a pack begin.
const RECORDS: usize = 43;

#[test]
fn a_pack_of_a_form_that_is_never_written_is_damaged() {
    let (operator, disk, ledger) = ledger_of(1);
    let (header, _, seed) = ledger.receipt_material(0).unwrap();
    drop(ledger);
    let key: &'static [u8] = &[0; 8];
    let value = |disk: &MemoryDisk, space| {
        let store = disk.open_store_read_only().unwrap();
        store.get(space, key).unwrap().unwrap().to_vec()
    };
    let (whole, detail) = (value(&disk, Space::Entry), value(&disk, Space::Detail));
    let whole_disk = disk.copy();
    let ledger = operator.open(&disk).unwrap();
    let detail_of = order(Chosen::Named((0..1).into()), &[Tag::Detail]);
    ledger.erase(&detail_of, &envelope()).unwrap();
    drop(ledger);
    let erased = value(&disk, Space::Entry);
    let read = |disk: &MemoryDisk, entry: &[u8], detail: Option<&[u8]>| {
        let disk = disk.copy();
        let mut batch = Batch::new();
        batch.put(Space::Entry, key, entry.to_vec());
        if let Some(detail) = detail {
            batch.put(Space::Detail, key, detail.to_vec());
        }
        disk.open_store().unwrap().commit(batch).unwrap();
        let ledger = operator.open(&disk);
        ledger.and_then(|ledger| ledger.entry(0)).map(drop)
    };
    let damaged = |result| assert!(matches!(result, Err(LedgerError::Damaged(_))), "{result:?}");
    read(&disk, &erased, None).unwrap();
    // Where no part is left there is no value.
    let none_left = disk.copy();
    let ledger = operator.open(&none_left).unwrap();
    let why = order(Chosen::Named((0..1).into()), &BOTH);
    ledger.erase(&why, &envelope()).unwrap();
    drop(ledger);
    let store = none_left.open_store_read_only().unwrap();
    assert!(store.get(Space::Detail, key).unwrap().is_none());
    // With a part that it says is gone.
    damaged(read(&disk, &erased, Some(&detail)));
    // Of the version in which nothing is erased.
    damaged(read(&disk, &[&[1], &erased[1..]].concat(), None));
    // With parts in another order: the first two, of 34 bytes each, exchanged.
    let first = RECORDS + 35;
    let mut swapped = erased.clone();
    swapped[first..first + 68].rotate_left(34);
    damaged(read(&disk, &swapped, None));
    // Said to be erased, and nothing is.
    let salts = Salts::derive(&seed);
    let kept = Tag::ALL.map(|tag| [&[tag.number(), 0][..], &salts.of(tag)[..]].concat());
    let record = [&[1, 2][..], &header.body_hash[..], &[6], &kept.concat()].concat();
    let nothing = [&[2], &whole[1..RECORDS], &record, &whole[RECORDS + 66..]].concat();
    read(&whole_disk, &whole, None).unwrap();
    damaged(read(&whole_disk, &nothing, None));
}
