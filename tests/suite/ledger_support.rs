//! Ledgers under test: a clock and randomness that tests govern, and what somebody outside keeps to hold against them.

use std::collections::HashMap;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use graven::entry::{CheckedEvent, Header, Kind, Tag, v1};
use graven::index::filter::Filter;
use graven::ledger::{
    Appended, Clock, Directory, DirectoryReport, Entropy, Home, Ledger, LedgerError, Options, Page,
    SealedEntry, Search, audit_directory, init,
};
use graven::merkle::verify_consistency;
use graven::note::{Checkpoint, SignerKey};
use graven::store::{Batch, Direction, KeyRange, MemoryDisk, SLOT_COUNT, Space};
use graven::verify::{Expected, Verdict, verify_receipt};

use super::verify_support::{NOON, ORIGIN, checked, envelope, event_message, key};

static RUNTIME: LazyLock<tokio::runtime::Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .unwrap()
});

/// Waits for `future` from a thread that does nothing else.
pub(crate) fn wait<T>(future: impl Future<Output = T>) -> T {
    RUNTIME.block_on(future)
}

/// Starts `future` beside the test.
pub(crate) fn start<T: Send + 'static>(
    future: impl Future<Output = T> + Send + 'static,
) -> tokio::task::JoinHandle<T> {
    RUNTIME.spawn(future)
}

/// Both clocks, standing still until they are moved.
pub(crate) struct TestClock {
    wall: AtomicU64,
    monotonic: AtomicU64,
}

impl TestClock {
    /// Sets the wall clock, as an administrator would.
    pub(crate) fn set(&self, unix_nanos: u64) {
        self.wall.store(unix_nanos, Ordering::SeqCst);
    }

    /// Lets time pass.
    pub(crate) fn pass(&self, time: Duration) {
        let nanos = u64::try_from(time.as_nanos()).unwrap();
        self.wall.fetch_add(nanos, Ordering::SeqCst);
        self.monotonic.fetch_add(nanos, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn unix_nanos(&self) -> u64 {
        self.wall.load(Ordering::SeqCst)
    }

    fn monotonic(&self) -> Duration {
        Duration::from_nanos(self.monotonic.load(Ordering::SeqCst))
    }
}

/// Bytes that follow from a count.
#[derive(Default)]
pub(crate) struct CountedEntropy(AtomicU64);

impl Entropy for CountedEntropy {
    fn fill(&self, bytes: &mut [u8]) -> std::io::Result<()> {
        let count = self.0.fetch_add(1, Ordering::SeqCst);
        let mut hasher = blake3::Hasher::new();
        hasher.update(&count.to_be_bytes());
        hasher.finalize_xof().fill(bytes);
        Ok(())
    }
}

/// `SplitMix64`: each seed is another, reproducible, sequence.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `limit`.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        (self.next() >> 11) % limit
    }

    pub(crate) fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }

    pub(crate) fn choose<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len() as u64) as usize]
    }
}

/// Whether the long battery was asked for.
pub(crate) fn is_long() -> bool {
    std::env::var_os("GRAVEN_LONG").is_some()
}

/// Who runs a ledger, with which key, by which clock.
pub(crate) struct Operator {
    pub(crate) origin: String,
    pub(crate) first_key_byte: u8,
    pub(crate) clock: Arc<TestClock>,
    pub(crate) entropy: Arc<CountedEntropy>,
}

impl Default for Operator {
    fn default() -> Self {
        Self {
            origin: ORIGIN.into(),
            first_key_byte: 0,
            clock: Arc::new(TestClock {
                wall: AtomicU64::new(NOON),
                monotonic: AtomicU64::new(0),
            }),
            entropy: Arc::default(),
        }
    }
}

impl Operator {
    pub(crate) fn key(&self) -> SignerKey {
        key(&self.origin, self.first_key_byte)
    }

    pub(crate) fn init(&self, home: &dyn Home) -> Result<(), LedgerError> {
        let (clock, entropy) = (&*self.clock, &*self.entropy);
        init(home, &self.key(), &self.origin, None, clock, entropy).map(drop)
    }

    pub(crate) fn open(&self, home: &dyn Home) -> Result<Ledger, LedgerError> {
        Ledger::open(home, self.options(false))
    }

    pub(crate) fn adopt(&self, home: &dyn Home) -> Result<Ledger, LedgerError> {
        Ledger::open(home, self.options(true))
    }

    pub(crate) fn options(&self, adopt: bool) -> Options {
        Options {
            key: self.key(),
            origin: self.origin.clone(),
            adopt,
            known_checkpoints: Vec::new(),
            clock: Arc::clone(&self.clock) as _,
            entropy: Arc::clone(&self.entropy) as _,
        }
    }

    pub(crate) fn audit(
        &self,
        home: &dyn Home,
        minimum: Option<&str>,
    ) -> Result<DirectoryReport, LedgerError> {
        audit_directory(home, Some(&self.key().verifier()), minimum, &mut |_, _| {})
    }
}

/// An event whose content is told by `number`, with the idempotency id `id`, or none where that is empty.
pub(crate) fn event(id: &[u8], number: u64) -> CheckedEvent {
    let mut message = event_message(number);
    message.context.as_mut().unwrap().idempotency_id = id.to_vec();
    // Some of an entry's parts come and go.
    if number.is_multiple_of(3) {
        message.why = None;
        message.detail = None;
    }
    checked(&message)
}

/// An event about as large as `bytes`.
pub(crate) fn large_event(id: &[u8], number: u64, bytes: usize) -> CheckedEvent {
    let mut message = event_message(number);
    message.context.as_mut().unwrap().idempotency_id = id.to_vec();
    let mut content = vec![0; bytes];
    let mut hasher = blake3::Hasher::new();
    hasher.update(&number.to_be_bytes());
    hasher.finalize_xof().fill(&mut content);
    message.detail.as_mut().unwrap().content = content;
    checked(&message)
}

/// Appends `events` together and waits for the answer.
pub(crate) fn append(ledger: &Ledger, events: &[CheckedEvent]) -> Result<Appended, LedgerError> {
    let submission = ledger.prepare(events.to_vec(), &envelope())?;
    wait(ledger.append(submission))
}

/// The receipt for the new entries of a submission.
pub(crate) fn receipt(ledger: &Ledger, appended: &Appended) -> v1::Receipt {
    let (first, size) = (appended.first_seq, appended.published.size());
    let end = first + appended.seeds.len() as u64;
    v1::Receipt {
        first_seq: first,
        recorded_at: appended.recorded_at,
        previous: appended.previous.to_vec(),
        envelopes: appended.envelopes.iter().map(|e| e.to_vec()).collect(),
        seeds: appended.seeds.concat(),
        proof: ledger.prove_range(first..end, size).unwrap().concat(),
        checkpoint: appended.published.note.clone(),
        redacted: Vec::new(),
    }
}

/// The receipt for an entry that was there before a submission was answered.
pub(crate) fn receipt_of(ledger: &Ledger, seq: u64, appended: &Appended) -> v1::Receipt {
    let (header, envelope, seed) = ledger.receipt_material(seq).unwrap();
    let proof = ledger.prove_range(seq..seq + 1, appended.published.size());
    v1::Receipt {
        first_seq: seq,
        recorded_at: header.recorded_at,
        previous: header.prev.to_vec(),
        envelopes: vec![envelope.to_vec()],
        seeds: seed.0.to_vec(),
        proof: proof.unwrap().concat(),
        checkpoint: appended.published.note.clone(),
        redacted: Vec::new(),
    }
}

/// Every entry of a ledger.
pub(crate) fn export(ledger: &Ledger) -> Result<Vec<SealedEntry>, LedgerError> {
    let size = ledger.published().size();
    let mut entries = Vec::new();
    while (entries.len() as u64) < size {
        entries.extend(ledger.next_entries(entries.len() as u64..size, Direction::Forward)?);
    }
    Ok(entries)
}

/// The whole answer to a question.
pub(crate) fn page(ledger: &Ledger, filter: &str, prove: bool) -> Page {
    let filter = Filter::parse(filter).unwrap();
    let size = ledger.published().size();
    ledger
        .search(&Search {
            filter: &filter,
            size,
            range: 0..u64::MAX,
            direction: Direction::Forward,
            limit: 1_000_000,
            prove,
        })
        .unwrap()
}

/// Waits until a rare term is found without reading more than the entries behind `covered`.
pub(crate) fn wait_until_indexed(ledger: &Ledger, covered: u64) {
    for _ in 0..2_000 {
        // A proof shows every entry behind the index.
        let behind = page(ledger, "actor = nobody", true).cost.entries;
        if behind <= ledger.published().size() - covered {
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("not indexed up to {covered}");
}

/// What clients together know and can prove: their events, their receipts, the checkpoints they saw.
#[derive(Default)]
pub(crate) struct Outside {
    /// How often each event was sent, by its parts.
    attempted: HashMap<Vec<u8>, u64>,
    /// Submissions of new events, which are there whole or not at all.
    submissions: Vec<Vec<Vec<u8>>>,
    receipts: Vec<(Vec<CheckedEvent>, v1::Receipt)>,
    checkpoints: Vec<String>,
    /// Seq behind the last acknowledged entry.
    pub(crate) acknowledged: u64,
    /// Adoptions there may be.
    pub(crate) adoptions: u64,
}

/// What an event is recognised by.
pub(crate) fn content(event: &CheckedEvent) -> Vec<u8> {
    let parts = event.parts.iter();
    parts
        .flat_map(|(tag, bytes)| part_bytes(*tag, bytes))
        .collect()
}

fn part_bytes(tag: Tag, bytes: &[u8]) -> Vec<u8> {
    [
        &[tag.number()][..],
        &(bytes.len() as u64).to_be_bytes(),
        bytes,
    ]
    .concat()
}

/// The same of a sealed entry.
pub(crate) fn sealed_content(entry: &SealedEntry) -> Vec<u8> {
    let parts = entry.body.parts().iter().map(|(tag, _)| *tag);
    parts
        .filter(|tag| *tag != Tag::Envelope)
        .flat_map(|tag| part_bytes(tag, entry.body.disclosed(tag).unwrap()))
        .collect()
}

impl Outside {
    /// Notes that `events` are about to be sent.
    pub(crate) fn attempt(&mut self, events: &[CheckedEvent]) {
        for event in events {
            *self.attempted.entry(content(event)).or_default() += 1;
        }
    }

    /// Notes that `events`, none of which was ever sent before, go in together or not at all.
    pub(crate) fn attempt_together(&mut self, events: &[CheckedEvent]) {
        self.attempt(events);
        self.submissions.push(events.iter().map(content).collect());
    }

    /// Checks an acknowledgement and keeps what it proves. `events` are those of the submission.
    pub(crate) fn acknowledge(
        &mut self,
        operator: &Operator,
        ledger: &Ledger,
        events: &[CheckedEvent],
        appended: &Appended,
    ) {
        let (mut duplicates, mut new) = (Vec::new(), Vec::new());
        for (index, event) in (0u32..).zip(events) {
            match appended.duplicates.iter().find(|(i, _)| *i == index) {
                Some((_, seq)) => duplicates.push((event.clone(), *seq)),
                None => new.push(event.clone()),
            }
        }
        assert_eq!(
            new.len(),
            appended.seeds.len(),
            "one entry for each new event"
        );
        if !new.is_empty() {
            let receipt = receipt(ledger, appended);
            self.keep(operator, new, receipt);
        }
        for (event, seq) in duplicates {
            let receipt = receipt_of(ledger, seq, appended);
            self.keep(operator, vec![event], receipt);
        }
        self.see(&appended.published.note);
    }

    /// Keeps a receipt, after verifying it.
    pub(crate) fn keep(
        &mut self,
        operator: &Operator,
        events: Vec<CheckedEvent>,
        receipt: v1::Receipt,
    ) {
        let references: Vec<_> = events.iter().collect();
        verify_receipt(&receipt, &references, &expected(operator)).unwrap();
        let end = receipt.first_seq + events.len() as u64;
        self.acknowledged = self.acknowledged.max(end);
        self.see(&receipt.checkpoint);
        self.receipts.push((events, receipt));
    }

    /// One of the receipts that were kept, another one for each `pick`.
    pub(crate) fn some_receipt(&self, pick: u64) -> Option<(Vec<CheckedEvent>, v1::Receipt)> {
        let index = Random(pick).below(self.receipts.len().max(1) as u64);
        self.receipts.get(index as usize).cloned()
    }

    /// Notes a checkpoint that somebody was shown.
    pub(crate) fn see(&mut self, note: &str) {
        if self.checkpoints.last().map(String::as_str) != Some(note) {
            self.checkpoints.push(note.into());
        }
    }

    /// The largest checkpoint anybody saw.
    pub(crate) fn minimum(&self, operator: &Operator) -> Option<&str> {
        let size = |note: &&String| open(operator, note).size();
        self.checkpoints.iter().max_by_key(size).map(String::as_str)
    }

    /// Holds a stopped ledger against all that is known.
    pub(crate) fn audit(&self, operator: &Operator, home: &dyn Home) {
        let report = operator.audit(home, self.minimum(operator)).unwrap();
        assert_eq!(report.verdict, Verdict::Ok);
        let sealed = report.audit.unwrap().entries + report.unacknowledged;
        assert!(sealed >= self.acknowledged);
    }

    /// Holds an open ledger against all that is known. Gives its entries.
    pub(crate) fn check(&mut self, operator: &Operator, ledger: &Ledger) -> Vec<SealedEntry> {
        let published = ledger.published();
        let entries = export(ledger).unwrap();
        assert!(
            entries.len() as u64 >= self.acknowledged,
            "acknowledged, and lost"
        );
        check_order(ledger, &entries);
        self.check_attempted(&entries);
        self.check_receipts(operator, &entries);
        for note in &self.checkpoints {
            let old = open(operator, note);
            if old.size() == 0 {
                continue;
            }
            let (new, size) = (&published.checkpoint, published.size());
            let proof = ledger.prove_consistency(old.size(), size).unwrap();
            verify_consistency(old.size(), size, &proof, old.root(), new.root()).unwrap();
        }
        entries
    }

    fn check_attempted(&mut self, entries: &[SealedEntry]) {
        let mut sealed: HashMap<Vec<u8>, u64> = HashMap::new();
        let (mut acts, mut seals) = (0, 0);
        for entry in entries {
            match entry.header.kind {
                Kind::Event => *sealed.entry(sealed_content(entry)).or_default() += 1,
                Kind::Act => acts += 1,
                Kind::Seal => seals += 1,
            }
        }
        assert!(acts <= self.adoptions, "an act that nobody asked for");
        assert!(seals <= entries.len() / 1024, "a seal over nothing new");
        for (content, count) in &sealed {
            let attempts = self.attempted.get(content).copied().unwrap_or_default();
            assert!(
                *count <= attempts,
                "sealed {count} times, sent {attempts} times"
            );
        }
        self.submissions.retain(|submission| {
            let there = submission
                .iter()
                .filter(|c| sealed.contains_key(*c))
                .count();
            let whole = there == 0 || there == submission.len();
            assert!(whole, "{there} of {} events of a batch", submission.len());
            // One that was lost may be sent again in pieces.
            there > 0
        });
    }

    fn check_receipts(&self, operator: &Operator, entries: &[SealedEntry]) {
        for (events, receipt) in &self.receipts {
            let references: Vec<_> = events.iter().collect();
            let headers = verify_receipt(receipt, &references, &expected(operator)).unwrap();
            for (header, event) in headers.iter().zip(events) {
                let entry = &entries[header.seq as usize];
                assert_eq!(entry.header, *header, "another header than was receipted");
                assert_eq!(sealed_content(entry), content(event), "another body");
            }
        }
    }
}

fn check_order(ledger: &Ledger, entries: &[SealedEntry]) {
    let (mut prev, mut time) = (ledger.genesis().hash(), 0);
    for (seq, SealedEntry { header, body, .. }) in (0..).zip(entries) {
        assert_eq!(header.seq, seq, "a gap");
        assert_eq!(header.prev, prev, "the chain at entry {seq}");
        assert_eq!(header.body_hash, body.hash(), "the body of entry {seq}");
        assert!(
            header.recorded_at >= time,
            "time ran backwards at entry {seq}"
        );
        (prev, time) = (Header::chain_hash(header), header.recorded_at);
    }
}

pub(crate) fn expected(operator: &Operator) -> Expected {
    Expected {
        origin: operator.origin.clone(),
        key: operator.key().verifier(),
        submitter: envelope().submitter,
    }
}

fn open(operator: &Operator, note: &str) -> Checkpoint {
    Checkpoint::open(note, &operator.origin, &operator.key().verifier()).unwrap()
}

/// A place for a ledger on one of the engines.
pub(crate) struct Site {
    pub(crate) home: Box<dyn Home>,
    pub(crate) dir: Option<tempfile::TempDir>,
}

impl Site {
    pub(crate) fn in_memory() -> Self {
        Self {
            home: Box::new(MemoryDisk::new()),
            dir: None,
        }
    }

    pub(crate) fn in_directory() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self {
            home: Box::new(Directory::new(dir.path())),
            dir: Some(dir),
        }
    }

    /// A place with nothing in it on the same engine.
    pub(crate) fn another(&self) -> Self {
        match self.dir {
            Some(_) => Self::in_directory(),
            None => Self::in_memory(),
        }
    }

    /// What the store holds, in a store elsewhere.
    pub(crate) fn copy_store_to(&self, other: &Self) {
        let store = self.home.read_store().unwrap();
        let mut batch = Batch::new();
        for space in Space::ALL {
            for pair in store.scan(space, KeyRange::all(), Direction::Forward) {
                let (key, value) = pair.unwrap();
                batch.put(space, key, value);
            }
        }
        let copy = other.home.create_store().unwrap();
        copy.commit(batch).unwrap();
        copy.flush().unwrap();
    }

    pub(crate) fn copy_slots_to(&self, other: &Self) {
        let slots = self.home.open_slots().unwrap();
        let mut copy = other.home.create_slots().unwrap();
        for slot in 0..SLOT_COUNT {
            copy.write(slot, &slots.read(slot).unwrap()).unwrap();
        }
    }

    pub(crate) fn copy(&self) -> Self {
        self.with_slots_of(self)
    }

    /// This store beside the anchor of another.
    pub(crate) fn with_slots_of(&self, other: &Self) -> Self {
        let copy = self.another();
        self.copy_store_to(&copy);
        other.copy_slots_to(&copy);
        copy
    }

    /// Changes the value under a key of the store.
    pub(crate) fn edit(&self, space: Space, key: &[u8], edit: impl FnOnce(&mut Vec<u8>)) {
        let store = self.home.open_store().unwrap();
        let mut value = store.get(space, key).unwrap().expect("a value").to_vec();
        edit(&mut value);
        let mut batch = Batch::new();
        batch.put(space, key.to_vec(), value);
        store.commit(batch).unwrap();
    }

    /// Overwrites a slot of the anchor with what `edit` makes of it.
    pub(crate) fn edit_slot(&self, slot: usize, edit: impl FnOnce(&mut Vec<u8>)) {
        let mut slots = self.home.open_slots().unwrap();
        let mut bytes = slots.read(slot).unwrap();
        edit(&mut bytes);
        slots.write(slot, &bytes).unwrap();
    }
}
