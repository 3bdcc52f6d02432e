//! Erasure: sealed before it is done, done whatever happens in between, and nothing of it left on the disk.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use graven::entry::body::Content;
use graven::entry::v1::ledger_act::Act;
use graven::entry::{CheckedEvent, Kind, Salts, Seed, Tag, v1};
use graven::index::Ranges;
use graven::index::filter::Filter;
use graven::ledger::{Chosen, Directory, Entropy, ErasureOrder, Ledger, LedgerError, Refusal};
use graven::store::{Batch, Direction, Fault, KeyRange, MemoryDisk, Read, Space, Step, Store as _};
use graven::verify::{Check, Verdict, verify_receipt};

use super::ledger_support::{
    Operator, Random, append, event, expected, export, large_event, receipt, wait_until_indexed,
};
use super::verify_support::envelope;

/// What nobody may find again: every byte value stands in it, so that no compression changes it.
fn secret(number: u64) -> Vec<u8> {
    let mut bytes = vec![0; 96];
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"secret").update(&number.to_be_bytes());
    hasher.finalize_xof().fill(&mut bytes);
    bytes
}

/// An event with a secret in its detail.
fn secret_event(number: u64) -> CheckedEvent {
    let mut message = super::verify_support::event_message(number);
    message.context.as_mut().unwrap().idempotency_id = number.to_be_bytes().to_vec();
    message.detail.as_mut().unwrap().content = secret(number);
    super::verify_support::checked(&message)
}

pub(crate) fn order(entries: Chosen, parts: &[Tag]) -> ErasureOrder {
    ErasureOrder {
        entries,
        parts: parts.to_vec(),
        ticket: "LEGAL-1".into(),
        reason: "the person asked for it".into(),
    }
}

fn of(seq: u64) -> Chosen {
    Chosen::Named((seq..seq + 1).into())
}

fn matching(filter: &str) -> Chosen {
    Chosen::Matching(Filter::parse(filter).unwrap())
}

const BOTH: [Tag; 2] = [Tag::Why, Tag::Detail];

/// Names of the files below `dir` that hold `bytes`.
fn files_with(dir: &Path, bytes: &[u8]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_with(&path, bytes));
            continue;
        }
        // One that the store deletes meanwhile holds nothing any more.
        let content = std::fs::read(&path).unwrap_or_default();
        if content.windows(bytes.len()).any(|part| part == bytes) {
            found.insert(path.display().to_string());
        }
    }
    found
}

/// What opens the parts of an entry: the seed, and the salts of these parts.
fn keys(seed: [u8; 32], tags: &[Tag]) -> Vec<Vec<u8>> {
    let salts = Salts::derive(&Seed(seed));
    let mut keys = vec![seed.to_vec()];
    keys.extend(tags.iter().map(|tag| salts.of(*tag).to_vec()));
    keys
}

fn content_of(ledger: &Ledger, seq: u64, tag: Tag) -> Content {
    ledger
        .entry(seq)
        .unwrap()
        .body
        .content(tag)
        .unwrap()
        .clone()
}

fn is_erased(ledger: &Ledger, seq: u64, tag: Tag) -> bool {
    matches!(content_of(ledger, seq, tag), Content::Erased(_))
}

#[test]
fn nothing_of_what_was_erased_is_left_in_any_file() {
    let dir = tempfile::tempdir().unwrap();
    let (operator, home) = (Operator::default(), Directory::new(dir.path()));
    operator.init(&home).unwrap();
    let ledger = operator.open(&home).unwrap();
    // Alone in a raw pack, among others in a compressed one; in tables, and in the log alone.
    let raw = append(&ledger, &[secret_event(1)]).unwrap();
    let batch: Vec<_> = (100..140).map(secret_event).collect();
    let packed = append(&ledger, &batch).unwrap();
    drop(ledger);
    let ledger = operator.open(&home).unwrap();
    let late = append(&ledger, &[secret_event(2)]).unwrap();
    for number in 1_000..1_040 {
        append(&ledger, &[large_event(b"", number, 100 * 1024)]).unwrap();
    }

    let gone = [
        (raw.first_seq, secret(1), raw.seeds[0]),
        (packed.first_seq + 7, secret(107), packed.seeds[7]),
        (late.first_seq, secret(2), late.seeds[0]),
    ];
    let seqs: Ranges = gone.iter().map(|(seq, _, _)| *seq).collect();
    for (_, secret, seed) in &gone {
        assert!(!files_with(dir.path(), secret).is_empty());
        assert!(!files_with(dir.path(), seed).is_empty());
    }
    let erasure = ledger
        .erase(
            &order(Chosen::Named(seqs.clone()), &[Tag::Detail]),
            &envelope(),
        )
        .unwrap();
    assert_eq!(erasure.entries, seqs);
    for (seq, secret, seed) in &gone {
        assert!(is_erased(&ledger, *seq, Tag::Detail));
        assert!(!is_erased(&ledger, *seq, Tag::Why));
        let none = BTreeSet::new();
        assert_eq!(files_with(dir.path(), secret), none, "of entry {seq}");
        for key in keys(*seed, &[Tag::Detail]) {
            assert_eq!(files_with(dir.path(), &key), none, "of entry {seq}");
        }
    }
    // What was not erased is there, beside it.
    assert!(!files_with(dir.path(), &secret(108)).is_empty());
    assert!(!files_with(dir.path(), &packed.seeds[8]).is_empty());
    drop(ledger);
    let report = operator.audit(&home, None).unwrap();
    assert_eq!(report.verdict, Verdict::Ok);
    let erased: Vec<_> = seqs.iter().map(|seq| (seq, Tag::Detail)).collect();
    assert_eq!(report.audit.unwrap().erased, erased);
}

#[test]
fn what_was_proved_before_an_erasure_is_proved_after_it() {
    let disk = MemoryDisk::new();
    let operator = Operator::default();
    operator.init(&disk).unwrap();
    let ledger = operator.open(&disk).unwrap();
    let events: Vec<_> = (0..1_100).map(secret_event).collect();
    let mut receipts = Vec::new();
    for chunk in events.chunks(100) {
        let appended = append(&ledger, chunk).unwrap();
        receipts.push((chunk, receipt(&ledger, &appended)));
    }
    wait_until_indexed(&ledger, 1_024);
    let before = export(&ledger).unwrap();
    let erasure = ledger
        .erase(&order(matching("seq < 300"), &BOTH), &envelope())
        .unwrap();
    assert_eq!(erasure.parts.len(), 2);
    assert_eq!(erasure.entries.len(), 300);
    for (events, receipt) in receipts {
        let events: Vec<_> = events.iter().collect();
        verify_receipt(&receipt, &events, &expected(&operator)).unwrap();
    }
    let act = ledger.entry(erasure.seqs[0]).unwrap();
    assert_eq!(act.header.kind, Kind::Act);
    let sealed: v1::Envelope = part(&act, Tag::Envelope);
    assert_eq!(sealed.submitter, envelope().submitter);
    for (old, new) in before.iter().zip(export(&ledger).unwrap()) {
        assert_eq!(old.header, new.header);
        assert_eq!(old.body.hash(), new.body.hash());
        for (tag, content) in old.body.parts() {
            let now = new.body.content(*tag).unwrap();
            let erased = old.header.seq < 300 && tag.is_erasable();
            assert_eq!(now == content, !erased);
            assert_eq!(matches!(now, Content::Erased(_)), erased);
        }
        let by: Vec<_> = new.erased_by.iter().map(|(_, by)| *by).collect();
        assert!(by.iter().all(|by| *by == erasure.seqs[0]));
    }
    drop(ledger);
    assert_eq!(operator.audit(&disk, None).unwrap().verdict, Verdict::Ok);
    let scratch = super::verify_support::Memory;
    let rederived = graven::ledger::rederive_directory(
        &disk,
        &operator.key().verifier(),
        &scratch,
        &mut |_, _| {},
    )
    .unwrap();
    assert_eq!(rederived.rederived.verdict(), Verdict::Ok);
}

fn part<M: prost::Message + Default>(entry: &graven::ledger::SealedEntry, tag: Tag) -> M {
    M::decode(entry.body.disclosed(tag).unwrap().as_ref()).unwrap()
}

#[test]
fn parts_are_erased_one_after_the_other_and_once() {
    let disk = MemoryDisk::new();
    let operator = Operator::default();
    operator.init(&disk).unwrap();
    let ledger = operator.open(&disk).unwrap();
    append(&ledger, &(1..=20).map(secret_event).collect::<Vec<_>>()).unwrap();
    let erase = |entries, parts: &[Tag]| ledger.erase(&order(entries, parts), &envelope());
    let first = erase(of(3), &[Tag::Detail]).unwrap();
    assert!(is_erased(&ledger, 3, Tag::Detail) && !is_erased(&ledger, 3, Tag::Why));
    let second = erase(matching("seq < 5"), &BOTH).unwrap();
    assert_eq!(second.entries, Ranges::from(0..5));
    // What is gone is not said to go again: of entry 3 another entry says what went of it.
    let says = |seq: u64| {
        let what: v1::What = part(&ledger.entry(seq).unwrap(), Tag::What);
        match what.act.unwrap().act.unwrap() {
            Act::RangeErasure(act) => (act.entries.iter().collect::<Ranges>(), act.parts),
            other => panic!("{other:?}"),
        }
    };
    let named: Vec<_> = second.seqs.iter().map(|seq| says(*seq)).collect();
    let others: Ranges = [0, 1, 2, 4].into_iter().collect();
    assert_eq!(named.len(), 2);
    assert!(named.contains(&(others, vec![5, 6])), "{named:?}");
    assert!(named.contains(&((3..4).into(), vec![5])), "{named:?}");
    let by = ledger.entry(3).unwrap().erased_by;
    assert_eq!(
        by,
        [(Tag::Why, second.seqs[0]), (Tag::Detail, first.seqs[0])]
    );
    // Nothing is sealed when there is nothing to do.
    let size = ledger.published().size();
    let again = erase(matching("seq < 5"), &BOTH);
    let by = ledger.entry(0).unwrap().erased_by[0].1;
    assert!(
        matches!(again, Err(LedgerError::AlreadyErased { seq: 0, by: said }) if said == by),
        "{again:?}"
    );
    let plan = order(matching("seq < 5"), &BOTH);
    let plan = ledger.plan_erasure(&plan).unwrap();
    assert_eq!((plan.seqs, plan.already_erased), (Vec::new(), 5));
    assert_eq!(ledger.published().size(), size);
    // The ledger's own acts have nothing to erase.
    assert_eq!(erase(of(first.seqs[0]), &BOTH).unwrap().seqs, [0u64; 0]);
    let refused = |order: &ErasureOrder| match ledger.erase(order, &envelope()) {
        Err(LedgerError::BadOrder { field, .. }) => field,
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(&order(of(7), &[Tag::Who])), "parts");
    assert_eq!(refused(&order(of(7), &[])), "parts");
    let no_ticket = ErasureOrder {
        ticket: String::new(),
        ..order(of(7), &BOTH)
    };
    assert_eq!(refused(&no_ticket), "ticket");
    let long = ErasureOrder {
        reason: "x".repeat(4_097),
        ..order(of(7), &BOTH)
    };
    assert_eq!(refused(&long), "reason");
    assert!(matches!(
        erase(of(1_000), &BOTH),
        Err(LedgerError::BeyondEnd { .. })
    ));
    assert_eq!(ledger.published().size(), size);
    drop(ledger);
    assert_eq!(operator.audit(&disk, None).unwrap().verdict, Verdict::Ok);
}

#[test]
fn an_event_sent_again_after_its_erasure_is_the_same_entry() {
    let disk = MemoryDisk::new();
    let operator = Operator::default();
    operator.init(&disk).unwrap();
    let ledger = operator.open(&disk).unwrap();
    append(&ledger, &[secret_event(1), secret_event(2)]).unwrap();
    ledger
        .erase(&order(of(1), &[Tag::Detail]), &envelope())
        .unwrap();
    let again = append(&ledger, &[secret_event(2)]).unwrap();
    assert_eq!(again.duplicates, [(0, 1)]);
    assert!(matches!(
        ledger.receipt_material(1),
        Err(LedgerError::Erased { seq: 1 })
    ));
    // Another detail tells no difference: nobody can try what it was.
    let message = |change: fn(&mut v1::Event)| {
        let mut message = super::verify_support::event_message(2);
        message.context.as_mut().unwrap().idempotency_id = 2u64.to_be_bytes().to_vec();
        message.detail.as_mut().unwrap().content = secret(2);
        change(&mut message);
        super::verify_support::checked(&message)
    };
    let other = message(|event| event.detail.as_mut().unwrap().content = b"guess".to_vec());
    assert_eq!(append(&ledger, &[other]).unwrap().duplicates, [(0, 1)]);
    // What is left still has to be the same, and so has what there was.
    let reason = message(|event| event.why.as_mut().unwrap().reason = "another".into());
    let without = message(|event| event.detail = None);
    for other in [reason, without] {
        let conflict = append(&ledger, &[other]);
        assert!(
            matches!(conflict, Err(LedgerError::IdConflict { .. })),
            "{conflict:?}"
        );
    }
}

#[test]
fn a_hold_forbids_erasure_until_it_is_released() {
    let disk = MemoryDisk::new();
    let operator = Operator::default();
    operator.init(&disk).unwrap();
    let mut ledger = operator.open(&disk).unwrap();
    append(&ledger, &(0..30).map(secret_event).collect::<Vec<_>>()).unwrap();
    let actor = "oidc:corp/user7";
    let hold = |name: &str, entries: &[(u64, u64)], filter: &str| v1::Hold {
        name: name.into(),
        ticket: "CASE-9".into(),
        entries: entries
            .iter()
            .map(|(first_seq, end_seq)| v1::SeqRange {
                first_seq: *first_seq,
                end_seq: *end_seq,
            })
            .collect(),
        filter: filter.into(),
        ..Default::default()
    };
    let named = ledger
        .place_hold(hold("numbers", &[(20, 25), (3, 4)], ""), &envelope())
        .unwrap();
    ledger
        .place_hold(
            hold("by actor", &[], &format!("actor = \"{actor}\"")),
            &envelope(),
        )
        .unwrap();
    let held = |ledger: &Ledger, entries: Chosen| match ledger
        .erase(&order(entries, &BOTH), &envelope())
    {
        Err(LedgerError::Held { seq, hold }) => Some((seq, hold)),
        Ok(_) => None,
        other => panic!("{other:?}"),
    };
    // Also across restarts.
    drop(ledger);
    assert_eq!(operator.audit(&disk, None).unwrap().verdict, Verdict::Ok);
    ledger = operator.open(&disk).unwrap();
    assert_eq!(held(&ledger, of(3)), Some((3, "numbers".into())));
    assert_eq!(
        held(&ledger, matching("seq >= 10 seq < 29")),
        Some((20, "numbers".into()))
    );
    assert_eq!(ledger.holds().unwrap().len(), 2);
    // One that comes later is under it as well, and nothing of an order is done when a part of it is held.
    let mut message = super::verify_support::event_message(77);
    message.who.as_mut().unwrap().actor = actor.into();
    let late = append(&ledger, &[super::verify_support::checked(&message)])
        .unwrap()
        .first_seq;
    assert_eq!(held(&ledger, of(late)), Some((late, "by actor".into())));
    assert!(!is_erased(&ledger, 19, Tag::Detail));
    match ledger.place_hold(hold("numbers", &[(0, 1)], ""), &envelope()) {
        Err(LedgerError::HoldExists { seq, .. }) => assert_eq!(seq, named.first_seq),
        other => panic!("{other:?}"),
    }
    let refused = |hold: v1::Hold| match ledger.place_hold(hold, &envelope()) {
        Err(LedgerError::BadOrder { field, .. }) => field,
        other => panic!("{other:?}"),
    };
    let size = ledger.published().size();
    let beyond = hold("x", &[(size - 1, size + 1)], "");
    assert!(matches!(
        ledger.place_hold(beyond, &envelope()),
        Err(LedgerError::BeyondEnd { what: "seq", asked, .. }) if asked == size
    ));
    assert_eq!(refused(hold("", &[(0, 1)], "")), "name");
    assert_eq!(refused(hold("x", &[], " ")), "entries");
    assert_eq!(refused(hold("x", &[(1, 1)], "")), "entries");
    assert_eq!(refused(hold("x", &[], "actor =")), "filter");
    assert_eq!(refused(hold("x", &[], "reason = secret")), "filter");
    let release =
        |name: &str| ledger.release_hold(name, "CASE-9".into(), String::new(), &envelope());
    assert!(matches!(
        release("none"),
        Err(LedgerError::NoSuchHold { .. })
    ));
    release("numbers").unwrap();
    assert_eq!(held(&ledger, of(3)), None);
    assert!(is_erased(&ledger, 3, Tag::Detail));
    assert_eq!(held(&ledger, of(late)), Some((late, "by actor".into())));
    release("by actor").unwrap();
    drop(ledger);
    let ledger = operator.open(&disk).unwrap();
    assert!(ledger.holds().unwrap().is_empty());
    assert_eq!(held(&ledger, of(late)), None);
    drop(ledger);
    assert_eq!(operator.audit(&disk, None).unwrap().verdict, Verdict::Ok);
}

/// A stopped ledger on a disk, with a secret and its seed.
fn with_a_secret(operator: &Operator) -> (MemoryDisk, [u8; 32]) {
    let disk = MemoryDisk::new();
    operator.init(&disk).unwrap();
    let ledger = operator.open(&disk).unwrap();
    append(
        &ledger,
        &(10..13)
            .map(|number| event(b"", number))
            .collect::<Vec<_>>(),
    )
    .unwrap();
    let seed = append(&ledger, &[secret_event(1)]).unwrap().seeds[0];
    append(
        &ledger,
        &(20..23)
            .map(|number| event(b"", number))
            .collect::<Vec<_>>(),
    )
    .unwrap();
    (disk, seed)
}

const SECRET_SEQ: u64 = 3;

#[test]
fn an_erasure_that_anything_interrupts_is_carried_out_by_the_next_start() {
    let operator = Operator::default();
    let (mut before_seal, mut interrupted, mut power_cuts) = (0, 0, 0);
    let steps = [Step::Commit, Step::Flush, Step::Purge, Step::SlotWrite];
    let faults = [Fault::Lost, Fault::Full, Fault::Unsynced, Fault::Durable];
    for (step, fault) in steps
        .iter()
        .flat_map(|step| faults.map(|fault| (*step, fault)))
    {
        for nth in 1..=4 {
            for seed in 0..4 {
                let (disk, secret_seed) = with_a_secret(&operator);
                let ledger = operator.open(&disk).unwrap();
                disk.fail(step, nth, fault);
                let erased = ledger.erase(&order(of(SECRET_SEQ), &[Tag::Detail]), &envelope());
                interrupted += u64::from(erased.is_err());
                if seed > 0 {
                    disk.power_cut(seed);
                    power_cuts += 1;
                }
                drop(ledger);
                let ledger = match operator.open(&disk) {
                    Ok(ledger) => ledger,
                    // The fault hit the start itself.
                    Err(_) => operator.open(&disk).unwrap(),
                };
                let sealed = export(&ledger)
                    .unwrap()
                    .iter()
                    .any(|entry| entry.header.kind == Kind::Act);
                if erased.is_ok() || sealed {
                    assert!(sealed, "done, and not sealed");
                    assert!(
                        is_erased(&ledger, SECRET_SEQ, Tag::Detail),
                        "{step:?} {fault:?} {nth}"
                    );
                } else {
                    before_seal += 1;
                    assert!(
                        !is_erased(&ledger, SECRET_SEQ, Tag::Detail),
                        "not sealed, and gone"
                    );
                    ledger
                        .erase(&order(of(SECRET_SEQ), &[Tag::Detail]), &envelope())
                        .unwrap();
                }
                for bytes in std::iter::once(secret(1)).chain(keys(secret_seed, &[Tag::Detail])) {
                    assert!(!disk.holds(&bytes), "{step:?} {fault:?} {nth} {seed}");
                }
                drop(ledger);
                assert_eq!(operator.audit(&disk, None).unwrap().verdict, Verdict::Ok);
            }
        }
    }
    println!("{interrupted} interrupted, {before_seal} before the seal, {power_cuts} power cuts");
    assert!(interrupted > 50 && before_seal >= 10);
}

#[test]
fn an_erasure_that_failed_half_way_is_carried_out_with_the_next_order() {
    let operator = Operator::default();
    let (disk, _) = with_a_secret(&operator);
    let ledger = operator.open(&disk).unwrap();
    disk.fail(Step::Purge, 1, Fault::Lost);
    let failed = ledger.erase(&order(of(SECRET_SEQ), &BOTH), &envelope());
    assert!(
        matches!(failed, Err(LedgerError::Unfinished { .. })),
        "{failed:?}"
    );
    assert!(disk.holds(&secret(1)));
    let next = ledger
        .erase(&order(of(SECRET_SEQ + 1), &BOTH), &envelope())
        .unwrap();
    assert!(!disk.holds(&secret(1)));
    assert!(!next.seqs.is_empty() && is_erased(&ledger, SECRET_SEQ, Tag::Detail));
}

#[test]
fn the_audit_tells_an_erased_part_from_one_that_is_gone() {
    let operator = Operator::default();
    let (disk, _) = with_a_secret(&operator);
    let whole = disk.copy();
    let ledger = operator.open(&disk).unwrap();
    let by = ledger
        .erase(&order(of(SECRET_SEQ), &[Tag::Detail]), &envelope())
        .unwrap()
        .seqs[0];
    let hold = v1::Hold {
        name: "case".into(),
        ticket: "CASE-9".into(),
        filter: "actor:*".into(),
        ..Default::default()
    };
    ledger.place_hold(hold, &envelope()).unwrap();
    drop(ledger);
    let verdict = |disk: &MemoryDisk| operator.audit(disk, None).unwrap().verdict;
    let found = |disk: &MemoryDisk| match verdict(disk) {
        Verdict::Tampered(finding) => (finding.seq, finding.check),
        other => panic!("{other:?}"),
    };
    let changed = |change: &dyn Fn(&mut Batch, &dyn Read)| {
        let disk = disk.copy();
        let store = disk.open_store().unwrap();
        let mut batch = Batch::new();
        change(&mut batch, &store);
        store.commit(batch).unwrap();
        drop(store);
        disk
    };
    assert_eq!(verdict(&disk), Verdict::Ok);
    let key = |disk: &MemoryDisk| {
        let store = disk.open_store_read_only().unwrap();
        store
            .last_at_or_before(Space::Entry, &SECRET_SEQ.to_be_bytes())
            .unwrap()
            .unwrap()
    };
    let (key, value) = key(&disk);
    // Gone by the word of an entry that is no erasure: the eight bytes behind the commitment.
    let at = value
        .windows(8)
        .rposition(|part| part == by.to_be_bytes())
        .unwrap();
    let mut other = value.to_vec();
    other[at..at + 8].copy_from_slice(&0u64.to_be_bytes());
    let unsaid = changed(&|batch, _| batch.put(Space::Entry, key.clone(), other.clone()));
    assert_eq!(found(&unsaid), (Some(SECRET_SEQ), Check::Erasure));
    // The whole part simply taken away.
    let taken = changed(&|batch, _| batch.delete(Space::Detail, key.clone()));
    assert_eq!(found(&taken).0, Some(SECRET_SEQ));
    // Said to be erased, and put back.
    let old = whole.open_store_read_only().unwrap();
    let back = changed(&|batch, _| {
        for space in [Space::Entry, Space::Detail] {
            batch.put(space, key.clone(), old.get(space, &key).unwrap().unwrap());
        }
    });
    assert_eq!(found(&back), (Some(SECRET_SEQ), Check::Erasure));
    // A hold that is not in force any more, one that nobody placed, an erasure that nobody ordered.
    let lifted = changed(&|batch, _| batch.delete(Space::Meta, &b"hold/case"[..]));
    assert_eq!(found(&lifted).1, Check::Store);
    let made_up = changed(&|batch, _| {
        batch.put(Space::Meta, &b"hold/other"[..], 1u64.to_be_bytes().to_vec());
    });
    assert_eq!(found(&made_up).1, Check::Store);
    // A start goes on with neither.
    let refused = |disk: &MemoryDisk| match operator.open(disk) {
        Err(LedgerError::Refused(Refusal::HoldsDiffer {
            hold,
            in_force,
            marked,
        })) => (hold, in_force.0, marked.0),
        other => panic!("{:?}", other.err()),
    };
    assert_eq!(refused(&lifted), ("case".into(), Some(by + 1), None));
    assert_eq!(refused(&made_up), ("other".into(), None, Some(1)));
    let moved = changed(&|batch, _| {
        batch.put(Space::Meta, &b"hold/case"[..], by.to_be_bytes().to_vec());
    });
    assert_eq!(refused(&moved), ("case".into(), Some(by + 1), Some(by)));
    drop(operator.open(&disk).unwrap());
    let unordered = changed(&|batch, _| {
        batch.put(Space::Meta, &b"erasure"[..], 1u64.to_be_bytes().to_vec());
    });
    assert_eq!(found(&unordered), (Some(1), Check::Erasure));
    assert!(operator.open(&unordered).is_err());
}

#[test]
fn what_was_erased_behind_the_back_of_a_hold_is_found() {
    for (entries, filter) in [(1..4, ""), (0..0, "action:*")] {
        let operator = Operator::default();
        let (disk, _) = with_a_secret(&operator);
        let ledger = operator.open(&disk).unwrap();
        let hold = |entries: std::ops::Range<u64>, filter: &str| v1::Hold {
            name: "case".into(),
            ticket: "CASE-9".into(),
            entries: Ranges::from(entries).to_seq_ranges(),
            filter: filter.into(),
            ..Default::default()
        };
        let place = |hold| ledger.place_hold(hold, &envelope()).unwrap().first_seq;
        let erase = || ledger.erase(&order(of(SECRET_SEQ), &BOTH), &envelope());
        // One of the same name that was about another entry, and is released.
        let other = place(hold(0..1, ""));
        let release = ledger.release_hold("case", "CASE-9".into(), String::new(), &envelope());
        release.unwrap();
        let placed = place(hold(entries, filter));
        let held = erase();
        assert!(matches!(held, Err(LedgerError::Held { .. })), "{held:?}");
        // The mark is bent for the moment of an order.
        let bend = || {
            let bent = other ^ placed;
            for bit in (0..64).filter(|bit| bent >> bit & 1 == 1) {
                let at = 8 * (7 - bit / 8) + bit % 8;
                assert!(disk.flip_bit(Space::Meta, b"hold/case", at));
            }
        };
        bend();
        let erased = erase().unwrap().seqs;
        bend();
        drop(ledger);
        match operator.audit(&disk, None).unwrap().verdict {
            Verdict::Tampered(finding) => {
                assert_eq!(finding.seq, erased.first().copied());
                assert_eq!(finding.check, Check::Hold);
            }
            other => panic!("{other}"),
        }
    }
}

#[test]
fn a_hold_waits_for_an_erasure_that_was_interrupted() {
    let operator = Operator::default();
    let (disk, _) = with_a_secret(&operator);
    let ledger = operator.open(&disk).unwrap();
    disk.fail(Step::Purge, 1, Fault::Lost);
    let failed = ledger.erase(&order(of(SECRET_SEQ), &BOTH), &envelope());
    assert!(matches!(failed, Err(LedgerError::Unfinished { .. })));
    let hold = v1::Hold {
        name: "case".into(),
        ticket: "CASE-9".into(),
        filter: "action:*".into(),
        ..Default::default()
    };
    // Nor is it placed while that fails again.
    disk.fail(Step::Purge, 1, Fault::Lost);
    let waits = ledger.place_hold(hold.clone(), &envelope());
    assert!(matches!(waits, Err(LedgerError::Unfinished { .. })));
    assert!(disk.holds(&secret(1)) && ledger.holds().unwrap().is_empty());
    ledger.place_hold(hold, &envelope()).unwrap();
    assert!(!disk.holds(&secret(1)));
    drop(ledger);
    assert_eq!(operator.audit(&disk, None).unwrap().verdict, Verdict::Ok);
}

#[test]
fn no_flipped_bit_of_an_erased_pack_goes_unnoticed() {
    let operator = Operator::default();
    let (disk, _) = with_a_secret(&operator);
    let ledger = operator.open(&disk).unwrap();
    ledger
        .erase(&order(of(SECRET_SEQ), &[Tag::Detail]), &envelope())
        .unwrap();
    drop(ledger);
    let pairs: Vec<_> = {
        let store = disk.open_store_read_only().unwrap();
        let spaces = [Space::Entry, Space::Detail].into_iter();
        spaces
            .flat_map(|space| {
                let scan = store.scan(space, KeyRange::all(), Direction::Forward);
                scan.map(|pair| (space, pair.unwrap())).collect::<Vec<_>>()
            })
            .collect()
    };
    let every = if super::ledger_support::is_long() {
        1
    } else {
        23
    };
    let mut flips = 0;
    for (space, (key, value)) in pairs {
        for bit in (0..value.len() * 8).step_by(every) {
            let disk = disk.copy();
            assert!(disk.flip_bit(space, &key, bit));
            let report = operator.audit(&disk, None);
            let noticed = match &report {
                Ok(report) => matches!(report.verdict, Verdict::Tampered(_)),
                Err(_) => false,
            };
            assert!(noticed, "{space:?} {key:?} bit {bit}: {report:?}");
            flips += 1;
        }
    }
    println!("{flips} flipped bits");
}

const DIR: &str = "GRAVEN_ERASING_DIR";

/// Not a test: what the child process runs, which erases one entry after the other until it is killed.
#[test]
#[ignore = "runs only as a child of another"]
fn child() {
    let Some(dir) = std::env::var_os(DIR) else {
        return;
    };
    let operator = Operator::default();
    // Not the bytes that the parent had.
    for _ in 0..1_000 {
        operator.entropy.fill(&mut [0]).unwrap();
    }
    let ledger = operator.open(&Directory::new(Path::new(&dir))).unwrap();
    for seq in 0..SECRETS {
        let _ = ledger.erase(&order(of(seq), &[Tag::Detail]), &envelope());
    }
}

/// Entries of which a process can be killed while it erases them.
const SECRETS: u64 = 40;

#[test]
fn a_process_killed_while_it_erases_leaves_nothing_half_done() {
    let kills = if super::ledger_support::is_long() {
        200
    } else {
        6
    };
    let mut random = Random(5);
    let (mut done_before, mut erased_at_all) = (0, 0);
    for _ in 0..kills {
        let dir = tempfile::tempdir().unwrap();
        let (operator, home) = (Operator::default(), Directory::new(dir.path()));
        operator.init(&home).unwrap();
        let ledger = operator.open(&home).unwrap();
        let events: Vec<_> = (0..SECRETS).map(secret_event).collect();
        let seeds = append(&ledger, &events).unwrap().seeds;
        drop(ledger);
        let module = module_path!().split_once("::").unwrap().1;
        let mut process = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", &format!("{module}::child"), "--ignored"])
            .env(DIR, dir.path())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_micros(20_000 + random.below(400_000)));
        process.kill().unwrap();
        process.wait().unwrap();
        assert_eq!(operator.audit(&home, None).unwrap().verdict, Verdict::Ok);
        let ledger = operator.open(&home).unwrap();
        let entries = export(&ledger).unwrap();
        let ordered = entries
            .iter()
            .filter(|entry| entry.header.kind == Kind::Act)
            .count() as u64;
        done_before += u64::from(ordered == 0);
        erased_at_all += ordered;
        for (seq, seed) in (0..SECRETS).zip(seeds) {
            assert_eq!(is_erased(&ledger, seq, Tag::Detail), seq < ordered);
            if seq >= ordered {
                continue;
            }
            for bytes in std::iter::once(secret(seq)).chain(keys(seed, &[Tag::Detail])) {
                let left = files_with(dir.path(), &bytes);
                assert_eq!(left, BTreeSet::new(), "of entry {seq} of {ordered} erased");
            }
        }
        drop(ledger);
        assert_eq!(operator.audit(&home, None).unwrap().verdict, Verdict::Ok);
    }
    println!("{kills} kills, {done_before} before anything, {erased_at_all} erasures sealed");
    assert!(erased_at_all > 0);
}
