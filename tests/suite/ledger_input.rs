//! Bad input, a bad clock, and too much of everything, answered by the ledger itself.

use std::future::poll_fn;
use std::sync::{Arc, Condvar, Mutex};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use graven::entry::{CheckedEvent, MAX_BATCH_EVENTS, v1};
use graven::ledger::{Existing, Home, Ledger, LedgerError};
use graven::store::{
    Batch, Direction, Frozen, KeyRange, KeyValue, MemoryDisk, Objects, Read, Scan, Slots, Space,
    Store, StoreError,
};

use super::ledger_support::{
    Operator, Outside, append, content, event, export, large_event, sealed_content, start, wait,
};
use super::verify_support::{NOON, actor, checked, envelope, event_message};
use super::verify_support::{numbered, signed_event};

struct Fixture {
    operator: Operator,
    disk: MemoryDisk,
}

impl Fixture {
    fn new() -> Self {
        let operator = Operator::default();
        let disk = MemoryDisk::new();
        operator.init(&disk).unwrap();
        Self { operator, disk }
    }

    fn open(&self) -> Ledger {
        self.operator.open(&self.disk).unwrap()
    }
}

#[test]
fn an_id_stands_for_one_content_and_a_conflict_names_both() {
    let fixture = Fixture::new();
    let ledger = fixture.open();
    append(&ledger, &[event(b"", 0), event(b"a", 1)]).unwrap();
    let same = append(&ledger, &[event(b"a", 1)]).unwrap();
    assert_eq!(same.duplicates, [(0, 1)]);
    assert!(same.seeds.is_empty());

    let refused = append(&ledger, &[event(b"b", 2), event(b"a", 3)]).unwrap_err();
    let LedgerError::IdConflict { index, existing } = &refused else {
        panic!("{refused}");
    };
    assert_eq!((*index, *existing), (1, Existing::Entry(1)));
    assert!(refused.to_string().contains("event 1") && refused.to_string().contains("entry 1"));
    assert_eq!(ledger.published().size(), 2, "all or nothing");

    let refused = append(&ledger, &[event(b"c", 4), event(b"", 5), event(b"c", 6)]).unwrap_err();
    assert!(
        matches!(
            refused,
            LedgerError::IdConflict {
                index: 2,
                existing: Existing::Event(0)
            }
        ),
        "{refused}"
    );
    // The id of a refused submission is free.
    let seq = append(&ledger, &[event(b"c", 6)]).unwrap().first_seq;
    assert_eq!(seq, 2);
    let partly = append(
        &ledger,
        &[
            event(b"c", 6),
            event(b"d", 7),
            event(b"d", 7),
            event(b"", 8),
        ],
    );
    let partly = partly.unwrap();
    assert_eq!((partly.first_seq, partly.seeds.len()), (3, 2));
    assert_eq!(partly.duplicates, [(0, 2), (2, 3)]);
}

#[test]
fn an_id_belongs_to_its_submitter() {
    let fixture = Fixture::new();
    let ledger = fixture.open();
    let under = |issuer: &str, subject: &str, event: &CheckedEvent| {
        let mut envelope = envelope();
        envelope.submitter = Some(v1::Submitter {
            issuer: issuer.into(),
            subject: subject.into(),
        });
        let submission = ledger.prepare(vec![event.clone()], &envelope).unwrap();
        wait(ledger.append(submission)).unwrap()
    };
    for (seq, (issuer, subject)) in (0..).zip([
        ("token", "other:x"),
        ("token", "other:y"),
        ("mtls", "other:x"),
    ]) {
        let event = event(b"same id", seq);
        assert_eq!(under(issuer, subject, &event).first_seq, seq);
        assert_eq!(under(issuer, subject, &event).duplicates, [(0, seq)]);
    }
}

#[test]
fn an_event_signed_anew_is_other_content() {
    let fixture = Fixture::new();
    let signed = signed_event(7);
    let again = {
        let mut message = event_message(7);
        let unsigned = checked(&message);
        let parts: Vec<_> = unsigned
            .parts
            .iter()
            .map(|(tag, b)| (*tag, b.as_ref()))
            .collect();
        let seed = graven::entry::Seed(numbered(77));
        let origin = &fixture.operator.origin;
        message.actor_signature = Some(graven::entry::signature::sign(
            &actor(),
            &seed,
            origin,
            &parts,
        ));
        checked(&message)
    };
    let unsigned = checked(&event_message(7));
    let conflicts = |ledger: &Ledger| {
        for other in [&again, &unsigned] {
            let refused = append(ledger, std::slice::from_ref(other)).unwrap_err();
            assert!(
                matches!(
                    refused,
                    LedgerError::IdConflict {
                        existing: Existing::Entry(0),
                        ..
                    }
                ),
                "{refused}"
            );
        }
        let same = append(ledger, std::slice::from_ref(&signed)).unwrap();
        assert_eq!(same.duplicates, [(0, 0)]);
    };
    let ledger = fixture.open();
    let in_one = append(&ledger, &[signed.clone(), again.clone()]).unwrap_err();
    assert!(
        matches!(
            in_one,
            LedgerError::IdConflict {
                index: 1,
                existing: Existing::Event(0)
            }
        ),
        "{in_one}"
    );
    append(&ledger, std::slice::from_ref(&signed)).unwrap();
    conflicts(&ledger);
    drop(ledger);
    conflicts(&fixture.open());
}

#[test]
fn time_never_runs_backwards() {
    let fixture = Fixture::new();
    let (clock, ledger) = (&fixture.operator.clock, fixture.open());
    let at = |time: u64| {
        clock.set(time);
        append(&ledger, &[event(b"", time)]).map(|appended| appended.recorded_at)
    };
    let hour = 3_600_000_000_000;
    assert_eq!(at(NOON).unwrap(), NOON);
    assert_eq!(at(NOON - hour).unwrap(), NOON);
    assert_eq!(at(0).unwrap(), NOON);
    assert_eq!(at(NOON - 2 * hour).unwrap(), NOON);
    // Back where it was, and on.
    assert_eq!(at(NOON + 1).unwrap(), NOON + 1);
    assert_eq!(at(NOON + 1).unwrap(), NOON + 1, "a clock may stand still");
    drop(ledger);
    clock.set(NOON - 5 * hour);
    let ledger = fixture.open();
    let appended = append(&ledger, &[event(b"", 9)]).unwrap();
    assert_eq!(appended.recorded_at, NOON + 1, "not even after a restart");
    let times: Vec<_> = export(&ledger)
        .unwrap()
        .iter()
        .map(|e| e.header.recorded_at)
        .collect();
    assert!(times.is_sorted());
}

#[test]
fn a_far_jump_ahead_is_refused_and_a_slow_one_is_not() {
    let fixture = Fixture::new();
    let (clock, ledger) = (&fixture.operator.clock, fixture.open());
    append(&ledger, &[event(b"", 0)]).unwrap();
    let ten_years = 10 * 365 * 86_400 * 1_000_000_000;
    for time in [NOON + ten_years, u64::MAX] {
        clock.set(time);
        let refused = append(&ledger, &[event(b"", 1)]).unwrap_err();
        assert!(
            matches!(refused, LedgerError::ClockJump { .. }),
            "{refused}"
        );
        assert_eq!(ledger.published().size(), 1);
        assert_eq!(ledger.stop_reason(), None);
    }
    clock.set(NOON + 1_000);
    append(&ledger, &[event(b"", 2)]).unwrap();
    // Idle for a year: both clocks say so.
    clock.pass(Duration::from_secs(365 * 86_400));
    append(&ledger, &[event(b"", 3)]).unwrap();
}

#[test]
fn what_is_beyond_the_end_is_refused_with_the_size() {
    let fixture = Fixture::new();
    let ledger = fixture.open();
    let beyond = |result: Result<(), LedgerError>, asked: u64, size: u64| match result {
        Err(LedgerError::BeyondEnd {
            asked: found,
            size: end,
            ..
        }) => {
            assert_eq!((found, end), (asked, size));
        }
        other => panic!("{other:?}"),
    };
    beyond(ledger.entry(0).map(drop), 0, 0);
    append(
        &ledger,
        &(0..100).map(|n| event(b"", n)).collect::<Vec<_>>(),
    )
    .unwrap();
    for seq in [100, 101, u64::MAX] {
        beyond(ledger.entry(seq).map(drop), seq, 100);
        beyond(ledger.receipt_material(seq).map(drop), seq, 100);
        beyond(ledger.prove_inclusion(seq, 100).map(drop), seq, 100);
    }
    for size in [101, u64::MAX] {
        beyond(ledger.prove_inclusion(0, size).map(drop), size, 100);
        beyond(ledger.prove_consistency(1, size).map(drop), size, 100);
        beyond(ledger.prove_range(0..1, size).map(drop), size, 100);
        let forward = ledger.next_entries(0..size, Direction::Forward);
        beyond(forward.map(drop), size - 1, 100);
    }
    beyond(ledger.prove_inclusion(50, 50).map(drop), 50, 50);
}

#[test]
fn empty_and_reversed_ranges_are_answered_or_refused() {
    let fixture = Fixture::new();
    let ledger = fixture.open();
    append(
        &ledger,
        &(0..100).map(|n| event(b"", n)).collect::<Vec<_>>(),
    )
    .unwrap();
    let bad = |result: Result<Vec<graven::merkle::Hash>, LedgerError>| {
        assert!(
            matches!(result, Err(LedgerError::BadRange(_))),
            "{result:?}"
        );
    };
    #[allow(clippy::reversed_empty_ranges)] // That is the point.
    let reversed = 7..3;
    for direction in [Direction::Forward, Direction::Reverse] {
        for range in [0..0, 7..7, 100..100, u64::MAX..u64::MAX, reversed.clone()] {
            assert!(ledger.next_entries(range, direction).unwrap().is_empty());
        }
    }
    bad(ledger.prove_range(7..7, 100));
    bad(ledger.prove_range(reversed, 100));
    bad(ledger.prove_range(50..101, 100));
    bad(ledger.prove_consistency(0, 100));
    bad(ledger.prove_consistency(100, 99));
    assert!(ledger.prove_consistency(100, 100).unwrap().is_empty());
    assert_eq!(ledger.first_recorded_at(u64::MAX, u64::MAX).unwrap(), 100);
    assert_eq!(ledger.first_recorded_at(0, 100).unwrap(), 0);
    assert_eq!(ledger.first_recorded_at(NOON, 0).unwrap(), 0);
}

#[test]
fn a_batch_has_a_limit_and_an_empty_one_changes_nothing() {
    let fixture = Fixture::new();
    let ledger = fixture.open();
    let events: Vec<_> = (0..=MAX_BATCH_EVENTS as u64)
        .map(|n| event(b"", n))
        .collect();
    let refused = ledger
        .prepare(events.clone(), &envelope())
        .map(drop)
        .unwrap_err();
    assert!(refused.to_string().contains("1000"), "{refused}");
    append(&ledger, &[]).unwrap();
    assert_eq!(ledger.published().size(), 0);
    append(&ledger, &events[1..]).unwrap();
    assert_eq!(ledger.published().size(), MAX_BATCH_EVENTS as u64);
}

#[test]
fn a_large_event_has_a_pack_of_its_own_and_reads_back() {
    let fixture = Fixture::new();
    let events: Vec<_> = (0..40u64)
        .map(|n| match n % 4 {
            0 => large_event(b"", n, 200 * 1024),
            _ => event(b"", n),
        })
        .collect();
    let ledger = fixture.open();
    append(&ledger, &events).unwrap();
    for event in &events {
        append(&ledger, std::slice::from_ref(event)).unwrap();
    }
    drop(ledger);
    let read = export(&fixture.open()).unwrap();
    for (entry, event) in read.iter().zip(events.iter().chain(&events)) {
        assert_eq!(sealed_content(entry), content(event));
    }
}

/// Lets tests hold up writes, to see what else happens meanwhile.
#[derive(Default)]
struct Gate {
    closed: Mutex<[bool; 2]>,
    changed: Condvar,
}

const COMMITS: usize = 0;
const SLOT_WRITES: usize = 1;

impl Gate {
    fn close(&self, which: usize) {
        self.closed.lock().unwrap()[which] = true;
    }

    fn open(&self, which: usize) {
        self.closed.lock().unwrap()[which] = false;
        self.changed.notify_all();
    }

    fn pass(&self, which: usize) {
        let closed = self.closed.lock().unwrap();
        drop(
            self.changed
                .wait_while(closed, |closed| closed[which])
                .unwrap(),
        );
    }
}

#[derive(Clone)]
struct GatedHome {
    disk: MemoryDisk,
    gate: Arc<Gate>,
}

struct Gated<T: ?Sized> {
    gate: Arc<Gate>,
    inner: T,
}

impl Home for GatedHome {
    fn name(&self) -> String {
        self.disk.name()
    }
    fn anchor_name(&self) -> String {
        self.disk.anchor_name()
    }
    fn lock(&self) -> Result<Box<dyn Send>, StoreError> {
        self.disk.lock()
    }
    fn read_store(&self) -> Result<Arc<dyn Read>, StoreError> {
        self.disk.read_store()
    }
    fn open_store(&self) -> Result<Arc<dyn Store>, StoreError> {
        let (gate, inner) = (Arc::clone(&self.gate), Home::open_store(&self.disk)?);
        Ok(Arc::new(Gated { gate, inner }))
    }
    fn create_store(&self) -> Result<Arc<dyn Store>, StoreError> {
        Home::create_store(&self.disk)
    }
    fn freeze_store(&self) -> Result<Box<dyn Frozen>, StoreError> {
        self.disk.freeze_store()
    }
    fn open_slots(&self) -> Result<Box<dyn Slots>, StoreError> {
        let (gate, inner) = (Arc::clone(&self.gate), Home::open_slots(&self.disk)?);
        Ok(Box::new(Gated { gate, inner }))
    }
    fn create_slots(&self) -> Result<Box<dyn Slots>, StoreError> {
        Home::create_slots(&self.disk)
    }
    fn set_slots_aside(&self) -> Result<(), StoreError> {
        self.disk.set_slots_aside()
    }
    fn objects(&self) -> Result<Box<dyn Objects>, StoreError> {
        Home::objects(&self.disk)
    }
    fn read_objects(&self) -> Result<Box<dyn Objects>, StoreError> {
        self.disk.read_objects()
    }
}

impl Slots for Gated<Box<dyn Slots>> {
    fn read(&self, slot: usize) -> Result<Vec<u8>, StoreError> {
        self.inner.read(slot)
    }
    fn write(&mut self, slot: usize, bytes: &[u8]) -> Result<(), StoreError> {
        self.gate.pass(SLOT_WRITES);
        self.inner.write(slot, bytes)
    }
}

impl Read for Gated<Arc<dyn Store>> {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        self.inner.get(space, key)
    }
    fn get_many(&self, space: Space, keys: &[&[u8]]) -> Result<Vec<Option<Bytes>>, StoreError> {
        self.inner.get_many(space, keys)
    }
    fn last_at_or_before(&self, space: Space, key: &[u8]) -> Result<Option<KeyValue>, StoreError> {
        self.inner.last_at_or_before(space, key)
    }
    fn first_at_or_after(&self, space: Space, key: &[u8]) -> Result<Option<KeyValue>, StoreError> {
        self.inner.first_at_or_after(space, key)
    }
    fn scan(&self, space: Space, range: KeyRange, direction: Direction) -> Scan<'_> {
        self.inner.scan(space, range, direction)
    }
}

impl Store for Gated<Arc<dyn Store>> {
    fn commit(&self, batch: Batch) -> Result<(), StoreError> {
        self.gate.pass(COMMITS);
        self.inner.commit(batch)
    }
    fn flush(&self) -> Result<(), StoreError> {
        self.inner.flush()
    }
    fn purge(&self, places: &[(Space, KeyRange)]) -> Result<(), StoreError> {
        self.inner.purge(places)
    }

    fn snapshot(&self) -> Box<dyn Read + '_> {
        self.inner.snapshot()
    }
    fn freeze(&self) -> Result<Box<dyn Frozen + '_>, StoreError> {
        self.inner.freeze()
    }
    fn free_bytes(&self) -> Result<Option<u64>, StoreError> {
        self.inner.free_bytes()
    }
}

fn gated() -> (Operator, GatedHome, Arc<Ledger>) {
    let operator = Operator::default();
    let home = GatedHome {
        disk: MemoryDisk::new(),
        gate: Arc::default(),
    };
    operator.init(&home).unwrap();
    let ledger = Arc::new(operator.open(&home).unwrap());
    (operator, home, ledger)
}

#[test]
fn nothing_is_acknowledged_or_published_before_both_syncs() {
    for which in [COMMITS, SLOT_WRITES] {
        let (operator, home, ledger) = gated();
        append(&ledger, &[event(b"", 0)]).unwrap();
        home.gate.close(which);
        let appending = Arc::clone(&ledger);
        let submission = ledger.prepare(vec![event(b"", 1)], &envelope()).unwrap();
        let answer = start(async move { appending.append(submission).await });
        // However long it is held up. Waiting can only miss a fault here, never invent one.
        std::thread::sleep(Duration::from_millis(100));
        assert!(!answer.is_finished(), "acknowledged before a sync");
        assert_eq!(ledger.published().size(), 1, "published before a sync");
        assert!(matches!(
            ledger.entry(1),
            Err(LedgerError::BeyondEnd { .. })
        ));
        let disk = home.disk.copy();
        disk.power_cut(1);
        let after_cut = operator.open(&disk).unwrap().published().size();
        assert_eq!(after_cut, if which == COMMITS { 1 } else { 2 });
        home.gate.open(which);
        assert_eq!(wait(answer).unwrap().unwrap().first_seq, 1);
    }
}

#[test]
fn an_id_in_the_group_in_flight_is_found() {
    let (operator, home, ledger) = gated();
    let mut outside = Outside::default();
    // The group in flight holds the event; the next one all of these.
    for which in [COMMITS, SLOT_WRITES] {
        let number = which as u64;
        let id = number.to_be_bytes();
        let same = event(&id, number);
        let events = [
            vec![same.clone()],
            vec![same.clone()],
            vec![event(b"", 100 + number), same.clone()],
            vec![event(&id, 200 + number)],
            vec![same.clone(), event(b"", 300 + number)],
        ];
        home.gate.close(which);
        let mut answers = Vec::new();
        for events in events.iter().cloned() {
            outside.attempt(&events);
            let appending = Arc::clone(&ledger);
            let submission = ledger.prepare(events, &envelope()).unwrap();
            answers.push(start(async move { appending.append(submission).await }));
            // One after the other.
            std::thread::sleep(Duration::from_millis(20));
        }
        home.gate.open(which);
        let answers: Vec<_> = answers
            .into_iter()
            .map(|answer| wait(answer).unwrap())
            .collect();
        let first = answers[0].as_ref().unwrap();
        let seq = first.first_seq;
        for (index, duplicate) in [(1, 0), (2, 1), (4, 0)] {
            let appended = answers[index].as_ref().unwrap();
            assert_eq!(
                appended.duplicates,
                [(duplicate, seq)],
                "submission {index}"
            );
            assert!(
                appended.published.size() > seq,
                "a duplicate below its checkpoint"
            );
        }
        assert!(
            matches!(
                &answers[3],
                Err(LedgerError::IdConflict { index: 0, existing: Existing::Entry(found) })
                    if *found == seq
            ),
            "{:?}",
            answers[3].as_ref().map(drop)
        );
        for (events, answer) in events.iter().zip(&answers) {
            if let Ok(appended) = answer {
                outside.acknowledge(&operator, &ledger, events, appended);
            }
        }
    }
    outside.check(&operator, &ledger);
    drop(ledger);
    outside.audit(&operator, &home);
}

#[test]
fn overload_is_an_answer_and_what_was_taken_is_sealed() {
    let (operator, home, ledger) = gated();
    let mut outside = Outside::default();
    home.gate.close(COMMITS);
    let mut taken = Vec::new();
    let refused = (0..1_000u64).find_map(|number| {
        let events: Vec<_> = (0..4)
            .map(|n| large_event(b"", number * 10 + n, 240 * 1024))
            .collect();
        outside.attempt(&events);
        let submission = ledger.prepare(events.clone(), &envelope()).unwrap();
        let appending = Arc::clone(&ledger);
        let mut answer = Box::pin(async move { appending.append(submission).await });
        // A refusal comes at once: it waits for nothing.
        let refusal = wait(poll_fn(|context| {
            Poll::Ready(match answer.as_mut().poll(context) {
                Poll::Ready(refusal) => Some(refusal),
                Poll::Pending => None,
            })
        }));
        if let Some(refusal) = refusal {
            return refusal.err();
        }
        taken.push((events, start(answer)));
        None
    });
    let Some(LedgerError::Overloaded { queued_bytes }) = refused else {
        panic!("never full");
    };
    assert!(queued_bytes <= 64 * 1024 * 1024, "{queued_bytes}");
    let small = append(&ledger, &vec![large_event(b"", 1, 240 * 1024); 12]);
    assert!(
        matches!(small, Err(LedgerError::Overloaded { .. })),
        "refused, not queued"
    );
    home.gate.open(COMMITS);
    for (events, answer) in taken {
        let appended = wait(answer).unwrap().unwrap();
        outside.acknowledge(&operator, &ledger, &events, &appended);
    }
    append(&ledger, &[event(b"", 1)]).expect("there is room again");
}

#[test]
fn a_full_queue_does_not_keep_the_ledgers_own_acts_out() {
    let (_, home, ledger) = gated();
    let send = |events: Vec<_>| {
        let submission = ledger.prepare(events, &envelope()).unwrap();
        let ledger = Arc::clone(&ledger);
        start(async move { ledger.append_when_there_is_room(submission).await })
    };
    // Enough to be indexed once the last of it is signed, then more than the queue has room for.
    wait(send((0..1_000).map(|n| event(b"", n)).collect()))
        .unwrap()
        .unwrap();
    home.gate.close(SLOT_WRITES);
    let mut sent = vec![send((1_000..1_200).map(|n| event(b"", n)).collect())];
    std::thread::sleep(Duration::from_millis(50));
    home.gate.close(COMMITS);
    sent.extend((0..100).map(|batch| {
        let events = (0..4).map(|n| large_event(b"", batch * 10 + n, 240 * 1024));
        send(events.collect())
    }));
    std::thread::sleep(Duration::from_millis(50));
    home.gate.open(SLOT_WRITES);
    std::thread::sleep(Duration::from_millis(300));
    assert!(ledger.published().size() >= 1_024, "nothing to index yet");
    assert_eq!(ledger.stop_reason(), None);
    home.gate.open(COMMITS);
    for answer in sent {
        wait(answer).unwrap().unwrap();
    }
    assert_eq!(ledger.stop_reason(), None);
}

#[test]
fn closing_seals_what_waits_and_refuses_what_comes_later() {
    let (operator, home, ledger) = gated();
    home.gate.close(COMMITS);
    let answers: Vec<_> = (0..10)
        .map(|number| {
            let submission = ledger
                .prepare(vec![event(b"", number)], &envelope())
                .unwrap();
            let appending = Arc::clone(&ledger);
            start(async move { appending.append(submission).await })
        })
        .collect();
    std::thread::sleep(Duration::from_millis(50));
    let closing = Arc::clone(&ledger);
    let closed = std::thread::spawn(move || closing.close());
    std::thread::sleep(Duration::from_millis(20));
    home.gate.open(COMMITS);
    closed.join().unwrap();
    for answer in answers {
        wait(answer).unwrap().unwrap();
    }
    let late = append(&ledger, &[event(b"", 99)]);
    assert!(matches!(late, Err(LedgerError::Stopped(_))));
    drop(ledger);
    assert_eq!(operator.open(&home).unwrap().published().size(), 10);
}
