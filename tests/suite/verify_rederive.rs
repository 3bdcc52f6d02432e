//! An operator who seals a false index, played: deriving it again finds the lie, and what shows it convinces others of
//! that lie and of no other.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use graven::entry::v1::ledger_act::Act;
use graven::entry::{CheckedEvent, Kind, v1};
use graven::index::{SegmentId, SegmentWriter, Source, Term, TermRange, field};
use graven::ledger::{Home, Ledger, SegmentQuestion, rederive_directory};
use graven::store::{
    Batch, Direction, KeyRange, KeyValue, MemoryDisk, Objects, Read, Scan, Slots, Space, Store,
    StoreError,
};
use graven::verify::{
    Accusation, Check, Contradiction, Judgement, Scratch, ShownEntry, ShownSegment, Verdict,
};
use serde_json::Value;
use tempfile::TempDir;

use super::cli_support::{graven, run, stderr, stdout, text};
use super::ledger_support::{Operator, append, page, wait_until_indexed};
use super::service_support::TestServer;
use super::verify_support::{Sealer, checked, event_message};

/// What the operator reads instead of what was sealed, of the same length.
#[derive(Clone, Copy)]
struct Lie {
    from: &'static [u8],
    to: &'static [u8],
    /// Whether the answer to a question about mallory is false because of it.
    about_mallory: bool,
    said: &'static str,
}

const LIES: [Lie; 3] = [
    Lie {
        from: b"oidc:corp/mallory\x5a\x11oidc:corp/wit0017",
        to: b"oidc:corp/wit0017\x5a\x11oidc:corp/wit0017",
        about_mallory: true,
        said: "leaves out entry 17, which has participant = oidc:corp/mallory",
    },
    Lie {
        from: b"oidc:corp/wit0018\x5a\x11oidc:corp/wit0018",
        to: b"oidc:corp/mallory\x5a\x11oidc:corp/wit0018",
        about_mallory: false,
        said: "lists entry 18 for participant = oidc:corp/mallory, which it has not",
    },
    Lie {
        from: b"oidc:corp/wit0900",
        to: b"oidc:corp/nobody9",
        about_mallory: false,
        said: "lists entry 900 for participant = oidc:corp/nobody9, which it has not",
    },
];

/// A disk whose packs read otherwise for those who scan them, once that is switched on.
struct Liar {
    disk: MemoryDisk,
    lie: Lie,
    lying: Arc<AtomicBool>,
}

struct LyingStore {
    store: Arc<dyn Store>,
    lie: Lie,
    lying: Arc<AtomicBool>,
}

impl Read for LyingStore {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        self.store.get(space, key)
    }

    fn get_many(&self, space: Space, keys: &[&[u8]]) -> Result<Vec<Option<Bytes>>, StoreError> {
        self.store.get_many(space, keys)
    }

    fn last_at_or_before(&self, space: Space, key: &[u8]) -> Result<Option<KeyValue>, StoreError> {
        self.store.last_at_or_before(space, key)
    }

    fn scan(&self, space: Space, range: KeyRange, direction: Direction) -> Scan<'_> {
        let pairs = self.store.scan(space, range, direction);
        if space != Space::Entry || !self.lying.load(Ordering::SeqCst) {
            return pairs;
        }
        let Lie { from, to, .. } = self.lie;
        Box::new(pairs.map(move |pair| {
            let (key, value) = pair?;
            let mut value = value.to_vec();
            for at in 0..value.len().saturating_sub(from.len()) {
                if value[at..].starts_with(from) {
                    value[at..at + to.len()].copy_from_slice(to);
                }
            }
            Ok((key, value.into()))
        }))
    }
}

impl Store for LyingStore {
    fn commit(&self, batch: Batch) -> Result<(), StoreError> {
        self.store.commit(batch)
    }

    fn flush(&self) -> Result<(), StoreError> {
        self.store.flush()
    }

    fn snapshot(&self) -> Box<dyn Read + '_> {
        self.store.snapshot()
    }

    fn free_bytes(&self) -> Result<Option<u64>, StoreError> {
        self.store.free_bytes()
    }
}

impl Home for Liar {
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
        let (lie, lying) = (self.lie, Arc::clone(&self.lying));
        let store = Home::open_store(&self.disk)?;
        Ok(Arc::new(LyingStore { store, lie, lying }))
    }

    fn create_store(&self) -> Result<Arc<dyn Store>, StoreError> {
        Home::create_store(&self.disk)
    }

    fn open_slots(&self) -> Result<Box<dyn Slots>, StoreError> {
        Home::open_slots(&self.disk)
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

/// An event with witnesses; mallory is one of those of a few.
fn event(number: u64) -> CheckedEvent {
    let mut message = event_message(number);
    let witness = format!("oidc:corp/wit{number:04}");
    let other = match number {
        3 | 17 | 500 => "oidc:corp/mallory".to_owned(),
        _ => witness.clone(),
    };
    message.what.as_mut().unwrap().participants = vec![other, witness];
    checked(&message)
}

fn append_few_at_a_time(ledger: &Ledger, seqs: std::ops::Range<u64>) {
    let events: Vec<_> = seqs.map(event).collect();
    // Packs of few entries are not compressed.
    for batch in events.chunks(10) {
        append(ledger, batch).unwrap();
    }
}

/// The seqs of an answer.
fn ask(ledger: &Ledger, filter: &str) -> Vec<u64> {
    let page = page(ledger, filter, false);
    page.entries.iter().map(|entry| entry.header.seq).collect()
}

/// A ledger whose first segment is sealed from entries that were read so.
fn ledger_with(operator: &Operator, disk: &MemoryDisk, lie: Option<Lie>) -> Ledger {
    operator.init(disk).unwrap();
    let ledger = operator.open(disk).unwrap();
    append_few_at_a_time(&ledger, 0..1_000);
    drop(ledger);
    let lying = Arc::new(AtomicBool::new(false));
    let liar = Liar {
        disk: disk.clone(),
        lie: lie.unwrap_or(LIES[0]),
        lying: Arc::clone(&lying),
    };
    let ledger = operator.open(&liar).unwrap();
    lying.store(lie.is_some(), Ordering::SeqCst);
    append_few_at_a_time(&ledger, 1_000..1_060);
    wait_until_indexed(&ledger, 1_024);
    lying.store(false, Ordering::SeqCst);
    ledger
}

fn about_mallory() -> Term {
    Term {
        tag: field("participant").unwrap().tag.unwrap(),
        value: b"oidc:corp/mallory".to_vec(),
    }
}

/// An entry with its inclusion in the tree of `size` entries.
fn shown(ledger: &Ledger, seq: u64, size: u64) -> ShownEntry {
    let entry = ledger.entry(seq).unwrap();
    ShownEntry {
        header: entry.header,
        body: entry.body,
        inclusion: ledger.prove_inclusion(seq, size).unwrap(),
    }
}

/// The accusation of the newest seal with what `contradiction` makes of the ledger.
fn accuse(
    ledger: &Ledger,
    operator: &Operator,
    contradiction: impl FnOnce(u64) -> Contradiction,
) -> Accusation {
    let size = ledger.published().size();
    let seals = ask(ledger, "kind = seal");
    let first = shown(ledger, 0, size);
    Accusation {
        verifier_key: operator.key().verifier(),
        genesis: ledger.genesis().clone(),
        checkpoint: ledger.published().note.clone(),
        first_entry: (first.header, first.inclusion),
        seal: shown(ledger, *seals.last().unwrap(), size),
        contradiction: contradiction(size),
    }
}

/// That entry `seq` and the list of mallory contradict each other.
fn accuse_list(ledger: &Ledger, operator: &Operator, seq: u64) -> Accusation {
    let term = about_mallory();
    let page = ledger
        .show_segment(&SegmentQuestion {
            id: SegmentId {
                level: 0,
                number: 0,
            },
            leaves: 0..10_000,
            terms: TermRange::point(term.clone()),
            window: seq..seq + 1,
        })
        .unwrap();
    accuse(ledger, operator, |size| Contradiction::List {
        segment: ShownSegment {
            record: page.record,
            hashes: page.hashes,
        },
        term,
        list: page.leaves,
        entry: shown(ledger, seq, size),
    })
}

/// That the entries of the first segment come to something else.
fn accuse_by_entries(ledger: &Ledger, operator: &Operator) -> Accusation {
    accuse(ledger, operator, |size| Contradiction::Entries {
        earlier: None,
        before: Vec::new(),
        entries: (0..1_024)
            .map(|seq| {
                ledger
                    .entry(seq)
                    .map(|entry| (entry.header, entry.body))
                    .unwrap()
            })
            .collect(),
        hashes: ledger.prove_range(0..1_024, size).unwrap(),
    })
}

fn judge(accusation: &Accusation, operator: &Operator) -> Judgement {
    accusation.judge(Some(&operator.key().verifier()))
}

fn is_proved(judgement: &Judgement) -> bool {
    matches!(judgement, Judgement::Proved(_))
}

/// Every way to change, drop or repeat one thing of a document.
fn changes(document: &Value) -> Vec<Value> {
    match document {
        Value::Object(fields) => {
            let mut changed = Vec::new();
            for (name, value) in fields {
                let mut without = fields.clone();
                without.remove(name);
                changed.push(without.into());
                for value in changes(value) {
                    let mut with = fields.clone();
                    with.insert(name.clone(), value);
                    changed.push(with.into());
                }
            }
            let mut more = fields.clone();
            more.insert("more".into(), 1.into());
            changed.push(more.into());
            changed
        }
        Value::Array(items) => {
            let mut changed = Vec::new();
            for (index, item) in items.iter().enumerate() {
                let mut without = items.clone();
                without.remove(index);
                changed.push(without.into());
                let mut twice = items.clone();
                twice.insert(index, item.clone());
                changed.push(twice.into());
                let mut swapped = items.clone();
                swapped.swap(index, 0);
                changed.push(swapped.into());
                for item in changes(item) {
                    let mut with = items.clone();
                    with[index] = item;
                    changed.push(with.into());
                }
            }
            changed
        }
        Value::String(text) => {
            let step = 1 + text.len() / 6;
            let flip = |at: usize| {
                let mut bytes = text.clone().into_bytes();
                bytes[at] = if bytes[at] == b'1' { b'2' } else { b'1' };
                String::from_utf8(bytes).ok().map(Value::from)
            };
            let mut changed: Vec<Value> = (0..text.len()).step_by(step).filter_map(flip).collect();
            changed.push(format!("{text}A").into());
            changed.push(Value::Null);
            changed.push("".into());
            changed
        }
        Value::Number(number) => {
            let number = number.as_u64().unwrap();
            vec![
                (number + 1).into(),
                number.wrapping_sub(1).into(),
                Value::Null,
            ]
        }
        Value::Null | Value::Bool(_) => vec![Value::Bool(true)],
    }
}

#[test]
fn an_accusation_holds_only_as_it_was_made_and_only_against_whom_it_is_true() {
    let operator = Operator::default();
    let honest = ledger_with(&operator, &MemoryDisk::new(), None);
    let liar = ledger_with(&operator, &MemoryDisk::new(), Some(LIES[0]));
    for accusation in [
        accuse_list(&liar, &operator, 17),
        accuse_by_entries(&liar, &operator),
    ] {
        assert!(
            is_proved(&judge(&accusation, &operator)),
            "{:?}",
            judge(&accusation, &operator)
        );
        let other = Operator {
            first_key_byte: 9,
            ..Operator::default()
        };
        assert!(matches!(
            judge(&accusation, &other),
            Judgement::NothingProved(_)
        ));
        assert!(matches!(accusation.judge(None), Judgement::Unpinned(_)));
        let again = Accusation::from_json(accusation.to_json().as_bytes()).unwrap();
        assert_eq!(again, accusation);
    }
    for seq in [3, 17, 18, 500, 900] {
        let judgement = judge(&accuse_list(&honest, &operator, seq), &operator);
        assert!(
            matches!(judgement, Judgement::NothingProved(_)),
            "{seq}: {judgement:?}"
        );
    }
    let judgement = judge(&accuse_by_entries(&honest, &operator), &operator);
    assert!(
        matches!(judgement, Judgement::NothingProved(_)),
        "{judgement:?}"
    );
    // The same seal, and an entry that the list does not contradict.
    let judgement = judge(&accuse_list(&liar, &operator, 3), &operator);
    assert!(
        matches!(judgement, Judgement::NothingProved(_)),
        "{judgement:?}"
    );
    let mut broken = accuse_list(&liar, &operator, 17);
    broken.contradiction = Contradiction::Seal;
    assert!(!is_proved(&judge(&broken, &operator)));
}

#[test]
fn nothing_of_an_accusation_can_be_altered() {
    let operator = Operator::default();
    let liar = ledger_with(&operator, &MemoryDisk::new(), Some(LIES[0]));
    let file = accuse_list(&liar, &operator, 17).to_json();
    let document: Value = serde_json::from_str(&file).unwrap();
    let mut tried = 0;
    for changed in changes(&document) {
        if changed == document {
            continue;
        }
        tried += 1;
        let text = serde_json::to_string(&changed).unwrap();
        let Ok(accusation) = Accusation::from_json(text.as_bytes()) else {
            continue;
        };
        let judgement = judge(&accusation, &operator);
        assert!(!is_proved(&judgement), "{judgement:?}: {text}");
    }
    assert!(tried > 300, "only {tried} changes were tried");
    let twice = file.replacen("\"origin\"", "\"origin\": \"x\", \"origin\"", 1);
    assert!(Accusation::from_json(twice.as_bytes()).is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_false_index_is_found_and_proved_to_others() {
    for lie in LIES {
        let operator = Operator::default();
        let key = operator.key().verifier().to_string();
        let ledger = tokio::task::spawn_blocking(move || {
            ledger_with(&Operator::default(), &MemoryDisk::new(), Some(lie))
        });
        let server = TestServer::of(Arc::new(ledger.await.unwrap())).await;
        let temporary = TempDir::new().unwrap();
        let out = temporary.path().join("proof.json");
        let (url, said) = (server.url.clone(), lie.said);
        let work = move || {
            let cli = |arguments: &[&str]| {
                let mut command = graven();
                command
                    .args(arguments)
                    .env("GRAVEN_SERVER", &url)
                    .env("GRAVEN_KEY", &key);
                run(&mut command, "")
            };
            let question = ["log", "participant = oidc:corp/mallory", "-o", "jsonl"];
            let sealed = cli(&question);
            assert!(sealed.status.success(), "{}", stderr(&sealed));
            assert!(
                stderr(&sealed).contains("sealed by entry"),
                "{}",
                stderr(&sealed)
            );
            let found = stdout(&sealed).lines().count();
            assert_eq!(found, if lie.about_mallory { 2 } else { 3 });
            let rederived = cli(&[&question[..], &["--rederive"]].concat());
            assert_eq!(
                stdout(&rederived).lines().count(),
                3,
                "{}",
                stderr(&rederived)
            );
            assert!(
                stderr(&rederived).contains("(re-derived: "),
                "{}",
                stderr(&rederived)
            );

            let plain = cli(&["verify"]);
            assert_eq!(plain.status.code(), Some(0), "{}", stdout(&plain));
            let verified = cli(&["verify", "--rederive", "--out", text(&out)]);
            let all = stdout(&verified);
            assert_eq!(
                verified.status.code(),
                Some(3),
                "{all}{}",
                stderr(&verified)
            );
            assert!(all.starts_with("TAMPERED: entry "), "{all}");
            assert!(
                all.contains("segment 0 of level 0 (entries 0 to 1023)"),
                "{all}"
            );
            assert!(all.contains(said), "{all}");

            let file = text(&out);
            let judged = cli(&["verify", file]);
            assert_eq!(judged.status.code(), Some(3), "{}", stdout(&judged));
            let all = stdout(&judged);
            assert!(
                all.starts_with("TAMPERED: the operator sealed a false index: "),
                "{all}"
            );
            assert!(all.contains(said), "{all}");
            let unpinned = run(graven().args(["verify", file]), "");
            assert_eq!(unpinned.status.code(), Some(5));
            assert!(stdout(&unpinned).starts_with("COULD NOT CHECK: no key is pinned"));
            let other = Operator {
                first_key_byte: 9,
                ..Operator::default()
            };
            let stranger = run(
                graven().args(["verify", file, "--key", &other.key().verifier().to_string()]),
                "",
            );
            assert_eq!(stranger.status.code(), Some(5));
            assert!(
                stdout(&stranger).contains("the file proves nothing"),
                "{}",
                stdout(&stranger)
            );
            let again = cli(&["verify", "--rederive", "--out", file]);
            assert_eq!(again.status.code(), Some(2), "{}", stderr(&again));
        };
        tokio::task::spawn_blocking(work).await.unwrap();
        server.stop().await.unwrap();
    }
}

/// Room in memory.
#[derive(Clone)]
struct Memory;

struct Whole(Bytes);

impl Source for Whole {
    type Error = Infallible;

    fn len(&self) -> u64 {
        self.0.len() as u64
    }

    fn read_at(&self, offset: u64, length: usize) -> Result<Bytes, Infallible> {
        Ok(self.0.slice(offset as usize..offset as usize + length))
    }
}

impl Scratch for Memory {
    type Error = Infallible;
    type Sink = Vec<u8>;
    type Source = Whole;

    fn create(&self) -> Result<Vec<u8>, Infallible> {
        Ok(Vec::new())
    }

    fn finish(&self, sink: Vec<u8>) -> Result<Whole, Infallible> {
        Ok(Whole(sink.into()))
    }
}

#[test]
fn every_segment_of_a_right_index_is_derived() {
    let operator = Operator::default();
    let disk = super::ledger_index::indexed(&operator);
    let report = rederive_directory(&disk, &Memory, &mut |_, _| {}).unwrap();
    assert_eq!(report.rederived.verdict(), Verdict::Ok);
    assert_eq!(report.rederived.segments, 18 + 1);
    assert_eq!(report.rederived.newest.unwrap().1, 18 * 1_024);
    assert!(report.rederived.seals > 0);
}

#[test]
fn a_directory_with_a_false_index_is_found_out() {
    let operator = Operator::default();
    for lie in LIES {
        let disk = MemoryDisk::new();
        drop(ledger_with(&operator, &disk, Some(lie)));
        assert_eq!(operator.audit(&disk, None).unwrap().verdict, Verdict::Ok);
        let report = rederive_directory(&disk, &Memory, &mut |_, _| {}).unwrap();
        let Verdict::Tampered(finding) = report.rederived.verdict() else {
            panic!("{report:?}");
        };
        assert_eq!(finding.check, Check::Index);
        assert!(
            finding.expected.contains("segment 0 of level 0"),
            "{finding}"
        );
        let difference = report.difference.unwrap();
        assert!(
            difference.contains("participant = oidc:corp/"),
            "{difference}"
        );
    }
}

/// A ledger of 1,024 entries and a seal that says this.
fn sealed(levels: Vec<v1::SealLevel>) -> Sealer {
    let mut sealer = Sealer::new();
    for number in 0..1_024 {
        sealer.append(&event(number));
    }
    let seal = v1::Seal {
        index_version: 1,
        levels,
    };
    sealer.act(Kind::Seal, "ledger.seal", Act::Seal(seal));
    sealer
}

fn judge_sealer(sealer: &Sealer, contradiction: Contradiction) -> Judgement {
    let shown = |seq: u64| ShownEntry {
        header: sealer.headers[seq as usize].clone(),
        body: sealer.bodies[seq as usize].clone(),
        inclusion: sealer.proof(seq).hashes,
    };
    let first = shown(0);
    let key = sealer.key.verifier();
    let accusation = Accusation {
        verifier_key: key.clone(),
        genesis: sealer.genesis.clone(),
        checkpoint: sealer.checkpoint(),
        first_entry: (first.header, first.inclusion),
        seal: shown(1_024),
        contradiction,
    };
    accusation.judge(Some(&key))
}

#[test]
fn what_is_no_segment_and_what_is_no_seal_is_proved() {
    for (order, is_false) in [([b"a", b"b"], false), ([b"b", b"a"], true)] {
        let id = SegmentId {
            level: 0,
            number: 0,
        };
        let mut writer = SegmentWriter::new(id, Vec::new());
        for value in order {
            writer.push_run(0..3).unwrap();
            writer.end_term(4, value).unwrap();
        }
        let (record, bytes) = writer.finish().unwrap();
        let directory = u64::from_be_bytes(*bytes.last_chunk().unwrap()) as usize;
        let length = u32::from_be_bytes(bytes[directory + 8..directory + 12].try_into().unwrap());
        let sealer = sealed(vec![v1::SealLevel {
            segments: 1,
            root: record.leaf_hash().to_vec(),
        }]);
        let form = Contradiction::Form {
            segment: ShownSegment {
                record,
                hashes: Vec::new(),
            },
            leaves: v1::TermProof {
                leaves: vec![bytes[..length as usize].to_vec()],
                ..Default::default()
            },
        };
        let judgement = judge_sealer(&sealer, form);
        assert_eq!(is_proved(&judgement), is_false, "{judgement:?}");
        assert!(!is_proved(&judge_sealer(&sealer, Contradiction::Seal)));
    }
    let beyond = v1::SealLevel {
        segments: 2,
        root: vec![7; 32],
    };
    assert!(is_proved(&judge_sealer(
        &sealed(vec![beyond]),
        Contradiction::Seal
    )));
}
