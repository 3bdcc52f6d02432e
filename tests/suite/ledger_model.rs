//! Random histories on the simulated disk, held against a plain list: appends, retries, conflicts, restarts, power cuts,
//! failing writes, and failures while recovering from failures.
//!
//! `GRAVEN_LONG=1` runs many more of them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use graven::entry::CheckedEvent;
use graven::ledger::{Appended, Existing, Ledger, LedgerError};
use graven::store::{Fault, MemoryDisk, Step, StoreError};

use super::ledger_support::{
    Operator, Outside, Random, append, content, event, is_long, sealed_content, start, wait,
};
use super::verify_support::envelope;

const FAULTS: [Fault; 4] = [Fault::Lost, Fault::Full, Fault::Unsynced, Fault::Durable];
const STEPS: [Step; 3] = [Step::Commit, Step::SlotWrite, Step::Flush];

#[test]
fn whatever_happens_what_was_acknowledged_stays_and_is_proved() {
    let mut total = Counts::default();
    let runs = if is_long() { 3_000 } else { 100 };
    for seed in 0..runs {
        let run = std::panic::catch_unwind(|| {
            let mut run = Run::new(seed);
            (0..25).for_each(|_| run.step());
            run.recover();
            run.counts
        });
        for (thing, count) in run.unwrap_or_else(|_| panic!("run {seed}")) {
            *total.entry(thing).or_default() += count;
        }
    }
    println!("{runs} runs: {total:?}");
    for thing in ALL_THINGS {
        assert!(total.contains_key(thing), "no {thing} in {runs} runs");
    }
}

/// How often each thing happened: runs that meet nothing prove nothing.
type Counts = BTreeMap<&'static str, u64>;

const ALL_THINGS: [&str; 9] = [
    "acknowledged",
    "duplicate",
    "conflict",
    "unanswered",
    "unanswered but kept",
    "unanswered and lost",
    "recovery",
    "failed start",
    "power cut",
];

struct Run {
    random: Random,
    operator: Operator,
    disk: MemoryDisk,
    ledger: Option<Arc<Ledger>>,
    outside: Outside,
    /// What each idempotency id stands for, and the seq once that is known.
    ids: HashMap<Vec<u8>, (CheckedEvent, Option<u64>)>,
    /// Seq behind the last entry whose place is known to come before whatever is sent next.
    end: u64,
    /// Events sent without an answer since the last recovery.
    unknown: Vec<CheckedEvent>,
    number: u64,
    counts: Counts,
}

impl Run {
    fn new(seed: u64) -> Self {
        let operator = Operator::default();
        let disk = MemoryDisk::new();
        operator.init(&disk).unwrap();
        let ledger = operator.open(&disk).unwrap();
        Self {
            random: Random(seed),
            operator,
            disk,
            ledger: Some(Arc::new(ledger)),
            outside: Outside::default(),
            ids: HashMap::new(),
            end: 0,
            unknown: Vec::new(),
            number: 0,
            counts: Counts::default(),
        }
    }

    fn count(&mut self, thing: &'static str, times: usize) {
        if times > 0 {
            *self.counts.entry(thing).or_default() += times as u64;
        }
    }

    fn ledger(&self) -> Arc<Ledger> {
        Arc::clone(self.ledger.as_ref().unwrap())
    }

    fn step(&mut self) {
        let time = self.random.below(3_000_000);
        self.operator.clock.pass(Duration::from_nanos(time));
        match self.random.below(16) {
            0..=3 => {
                let event = self.new_event();
                self.send(vec![event]);
            }
            4 | 5 => {
                let count = 1 + self.random.below(90);
                let batch = (0..count).map(|_| self.new_event()).collect();
                self.send_new_batch(batch);
            }
            6 => self.send_mixed_batch(),
            7 => self.send_conflict(),
            8 | 9 => self.send_together(),
            10 => self.retry_acknowledged(),
            11 => {
                self.plan_fault();
                let event = self.new_event();
                self.send(vec![event]);
            }
            12 => self.plan_fault(),
            13 => self.recover(),
            14 => {
                // While it is open: whatever it does next must fail, and nothing be acknowledged.
                self.cut_power();
                let event = self.new_event();
                self.send(vec![event]);
            }
            _ => {
                self.ledger = None;
                self.cut_power();
                self.recover();
            }
        }
        if self.ledger().stop_reason().is_some() {
            self.recover();
        }
    }

    fn cut_power(&mut self) {
        self.disk.power_cut(self.random.next());
        self.count("power cut", 1);
    }

    fn plan_fault(&mut self) {
        let step = *self.random.choose(&STEPS);
        let fault = *self.random.choose(&FAULTS);
        self.disk
            .fail(step, 1 + self.random.below(3) as usize, fault);
    }

    /// An event that was never sent before.
    fn new_event(&mut self) -> CheckedEvent {
        self.number += 1;
        if self.random.one_in(4) {
            return event(b"", self.number);
        }
        let id = self.number.to_be_bytes().to_vec();
        let event = event(&id, self.number);
        self.ids.insert(id, (event.clone(), None));
        event
    }

    fn send_new_batch(&mut self, batch: Vec<CheckedEvent>) {
        self.outside.attempt_together(&batch);
        self.send_attempted(batch);
    }

    fn send(&mut self, events: Vec<CheckedEvent>) {
        self.outside.attempt(&events);
        self.send_attempted(events);
    }

    fn send_attempted(&mut self, events: Vec<CheckedEvent>) {
        let ledger = self.ledger();
        let before = self.end;
        let outcome = append(&ledger, &events);
        if let Ok(appended) = &outcome {
            let in_order = appended.seeds.is_empty() || appended.first_seq >= before;
            assert!(in_order, "sealed before what was acknowledged earlier");
        }
        self.settle(&ledger, &events, outcome);
    }

    /// Old events and new ones, some of the new ones twice.
    fn send_mixed_batch(&mut self) {
        let mut batch = Vec::new();
        for _ in 0..=self.random.below(10) {
            let event = self.new_event();
            if self.random.one_in(3) && !event.idempotency_id.is_empty() {
                batch.push(event.clone());
            }
            batch.push(event);
            batch.extend(self.known());
        }
        self.send(batch);
    }

    /// An event that was sent before, with its id.
    fn known(&mut self) -> Option<CheckedEvent> {
        let mut ids: Vec<_> = self.ids.keys().cloned().collect();
        ids.sort();
        let id = ids.get(self.random.below(1 + ids.len() as u64) as usize)?;
        Some(self.ids[id].0.clone())
    }

    fn send_conflict(&mut self) {
        let mut known: Vec<_> = self
            .ids
            .iter()
            .filter_map(|(id, (_, seq))| Some((id.clone(), (*seq)?)))
            .collect();
        known.sort();
        if known.is_empty() {
            return;
        }
        let (id, seq) = self.random.choose(&known).clone();
        self.number += 1;
        let (first, other) = (event(b"", self.number), event(&id, self.number + 1_000_000));
        let ledger = self.ledger();
        match append(&ledger, &[first.clone(), other.clone()]) {
            Err(LedgerError::IdConflict { index: 1, existing }) => {
                assert_eq!(existing, Existing::Entry(seq));
                self.count("conflict", 1);
            }
            // Neither event may appear: neither is noted as sent.
            other => self.settle(&ledger, &[first], other),
        }
    }

    /// Submissions at the same time, several of them with the same event.
    fn send_together(&mut self) {
        let ledger = self.ledger();
        let mut submissions = Vec::new();
        let shared = self.new_event();
        for _ in 0..2 + self.random.below(6) {
            let mut events = vec![self.new_event()];
            if !shared.idempotency_id.is_empty() && self.random.one_in(2) {
                events.push(shared.clone());
            }
            self.outside.attempt(&events);
            let submission = ledger.prepare(events.clone(), &envelope()).unwrap();
            let appending = Arc::clone(&ledger);
            submissions.push((
                events,
                start(async move { appending.append(submission).await }),
            ));
        }
        for (events, outcome) in submissions {
            self.settle(&ledger, &events, wait(outcome).unwrap());
        }
    }

    fn retry_acknowledged(&mut self) {
        if let Some(event) = self.known() {
            self.send(vec![event]);
        }
    }

    fn settle(
        &mut self,
        ledger: &Ledger,
        events: &[CheckedEvent],
        outcome: Result<Appended, LedgerError>,
    ) {
        match outcome {
            Ok(appended) => {
                self.outside
                    .acknowledge(&self.operator, ledger, events, &appended);
                self.count("acknowledged", appended.seeds.len());
                self.count("duplicate", appended.duplicates.len());
                self.end = self.outside.acknowledged;
                self.learn(events, &appended);
            }
            Err(LedgerError::Stopped(_)) => {
                self.count("unanswered", 1);
                assert!(ledger.stop_reason().is_some());
                self.unknown.extend(events.iter().cloned());
            }
            Err(other) => panic!("{other}"),
        }
    }

    /// Checks that every id still stands for what it stood for, and notes the seq of new ones.
    fn learn(&mut self, events: &[CheckedEvent], appended: &Appended) {
        let mut next = appended.first_seq;
        for (index, event) in (0u32..).zip(events) {
            let duplicate = appended.duplicates.iter().find(|(i, _)| *i == index);
            let seq = duplicate.map_or(next, |(_, seq)| *seq);
            next += u64::from(duplicate.is_none());
            if let Some((_, known)) = self.ids.get_mut(event.idempotency_id.as_ref()) {
                assert_eq!(*known.get_or_insert(seq), seq, "an id moved");
                assert!(duplicate.is_some() || seq >= appended.first_seq);
            }
        }
    }

    /// Restarts until it starts, checks everything, and goes on.
    fn recover(&mut self) {
        self.ledger = None;
        if self.random.one_in(3) {
            self.cut_power();
        }
        if self.random.one_in(4) {
            self.plan_fault();
        }
        self.outside.audit(&self.operator, &self.disk);
        let ledger = loop {
            match self.operator.open(&self.disk) {
                Ok(ledger) => break ledger,
                // Only a planned fault may keep it from starting.
                Err(LedgerError::Store(
                    StoreError::Io { .. } | StoreError::Full { .. } | StoreError::Poisoned,
                )) => self.count("failed start", 1),
                Err(other) => panic!("{other}"),
            }
            if self.random.one_in(2) {
                self.cut_power();
            }
        };
        self.count("recovery", 1);
        let entries = self.outside.check(&self.operator, &ledger);
        self.outside.see(&ledger.published().note);
        self.end = entries.len() as u64;
        let mut seqs: HashMap<Vec<u8>, u64> = HashMap::new();
        for entry in &entries {
            seqs.insert(sealed_content(entry), entry.header.seq);
        }
        for (event, known) in self.ids.values_mut() {
            let sealed = seqs.get(&content(event)).copied();
            assert!(known.is_none() || *known == sealed, "an id moved");
            *known = sealed;
        }
        for event in std::mem::take(&mut self.unknown) {
            match seqs.get(&content(&event)) {
                Some(_) => self.count("unanswered but kept", 1),
                None => self.count("unanswered and lost", 1),
            }
        }
        self.ledger = Some(Arc::new(ledger));
    }
}
