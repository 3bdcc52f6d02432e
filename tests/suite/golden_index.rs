//! The search index byte for byte: `tests/vectors/index.json`, and accusations of a false one in `tests/data/v1`.
//!
//! `tests/vectors/index.py` makes the same vectors with other software, from `docs/format.md`. Index version 1 is sealed in
//! ledgers, so none of this may change: what has to be different is another version, beside this one.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use graven::entry::body::{Body, Content};
use graven::entry::v1::ledger_act::Act;
use graven::entry::{Header, Kind, v1};
use graven::index::filter::Filter;
use graven::index::{
    Facts, Segment, SegmentId, SegmentRecord, SegmentWriter, Term, TermMap, TermRange, merge,
};
use graven::merkle::{prove_inclusion, prove_range};
use graven::verify::{
    Accusation, Contradiction, Judgement, Question, ShownEntry, ShownSegment, verify_page,
};
use prost::Message;
use sha2::{Digest, Sha256};

use super::golden_events::{full, minimal};
use super::verify_support::{Sealer, Whole, checked, event_message};

const SPAN: u64 = 1_024;
const HOUR: i64 = 3_600_000_000_000;
const ACTOR: &[u8] = b"unix:a100/3";
pub(super) const FILTER: &str = "target = file://a100-17/data/503";

fn hex(bytes: impl AsRef<[u8]>) -> String {
    bytes
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn bytes_of(hex: &str) -> Vec<u8> {
    let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    (0..hex.len()).step_by(2).map(byte).collect()
}

type Section = BTreeMap<String, String>;

pub(super) type Built = Segment<Whole>;

const FIRST: SegmentId = SegmentId {
    level: 0,
    number: 0,
};

fn open((record, bytes): (SegmentRecord, Vec<u8>)) -> Built {
    Segment::open(Whole(bytes.into()), record).unwrap()
}

pub(super) fn event(n: u64) -> v1::Event {
    if n == 1 {
        return full();
    }
    v1::Event {
        who: Some(v1::Who {
            actor: format!("unix:a100/{}", n % 7),
            assurance: v1::Assurance::Inferred.into(),
            ..Default::default()
        }),
        what: Some(v1::What {
            action: "file.update".into(),
            targets: vec![v1::Target {
                uri: format!("file://a100-17/data/{n}"),
                owner: format!("unix:a100/{}", n % 2),
                after: Some(v1::Version {
                    ids: vec![format!("sha256:{n:064x}")],
                    ..Default::default()
                }),
                ..Default::default()
            }],
            run: (n % 2 == 1).then(|| v1::Run {
                id: format!("run-{}", n / 10),
                gpus: Some((n % 3) as u32),
                ..Default::default()
            }),
            ..Default::default()
        }),
        context: Some(v1::Context {
            source: "host:a100-17".into(),
            occurred_at: Some(-HOUR - 1 + n as i64 * HOUR / 4),
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn facts(sealer: &Sealer, seq: usize) -> Facts {
    Facts::new(&sealer.headers[seq], &sealer.bodies[seq]).unwrap()
}

/// The segment of the first entries.
pub(super) fn segment(sealer: &Sealer) -> Built {
    let mut terms = TermMap::default();
    for seq in 0..SPAN as usize {
        terms.push_entry(&facts(sealer, seq));
    }
    open(terms.write(FIRST, Vec::new()).unwrap())
}

/// A ledger of 1,024 entries, what `root` makes of them in a seal, and two more.
pub(super) fn sealed(
    event: impl Fn(u64) -> v1::Event,
    root: impl Fn(&Sealer) -> v1::SealLevel,
) -> Sealer {
    let mut sealer = Sealer::new();
    for n in 0..SPAN {
        sealer.append(&checked(&event(n)));
    }
    let seal = v1::Seal {
        index_version: 1,
        levels: vec![root(&sealer)],
    };
    sealer.act(Kind::Seal, "ledger.seal", Act::Seal(seal));
    for n in [SPAN + 1, SPAN + 2] {
        sealer.append(&checked(&event(n)));
    }
    sealer
}

pub(super) fn level(record: &SegmentRecord) -> v1::SealLevel {
    v1::SealLevel {
        segments: 1,
        root: record.leaf_hash().to_vec(),
    }
}

fn prove(segment: &Built, range: &TermRange) -> v1::TermProof {
    let found = segment.find(range, usize::MAX).unwrap().unwrap();
    segment.prove(&found, range, &(0..u64::MAX)).unwrap()
}

/// What the vectors have of a segment, with the chunks of a term.
fn segment_section(segment: &Built, term: Term) -> Section {
    let record = segment.record();
    let leaves = segment.leaf_bytes(0..record.leaves()).unwrap();
    let TermProof { root, chunk } = shown_chunk(segment, &leaves, term);
    let hash = Sha256::digest(leaves.concat());
    Section::from(
        [
            ("terms", record.terms.to_string()),
            ("leaves", record.leaves().to_string()),
            ("first leaf", hex(&leaves[0])),
            ("last leaf", hex(leaves.last().unwrap())),
            ("all leaves, SHA-256", hex(hash)),
            ("root", hex(record.root)),
            ("record", hex(record.encode())),
            ("record hash", hex(record.leaf_hash())),
            (
                "first chunk of a term",
                hex([&[0xfc], chunk.as_slice()].concat()),
            ),
            ("root of its chunks", root),
        ]
        .map(|(name, value)| (name.to_owned(), value)),
    )
}

/// A chunk of a term, and the root in its leaf.
struct TermProof {
    root: String,
    chunk: Vec<u8>,
}

fn shown_chunk(segment: &Built, leaves: &[Vec<u8>], term: Term) -> TermProof {
    let encoded = [
        &term.tag.to_be_bytes()[..],
        &(term.value.len() as u16).to_be_bytes(),
        &term.value,
    ]
    .concat();
    let proof = prove(segment, &TermRange::point(term));
    let all = leaves.concat();
    let at = all
        .windows(encoded.len())
        .position(|bytes| bytes == encoded)
        .unwrap();
    // Behind it its count, and a zero for postings that stand elsewhere.
    let root = at + encoded.len() + 5;
    TermProof {
        root: hex(&all[root..root + 32]),
        chunk: proof.postings[0].chunks[0].clone(),
    }
}

/// The terms of entry 1, by tag.
fn terms_section(sealer: &Sealer) -> Section {
    let mut terms = TermMap::default();
    terms.push_entry(&facts(sealer, 1));
    let segment = open(terms.write(FIRST, Vec::new()).unwrap());
    let leaves = segment.leaf_bytes(0..segment.record().leaves()).unwrap();
    let terms: BTreeSet<Term> = leaves
        .iter()
        .flat_map(|leaf| graven::index::leaf_terms(leaf).unwrap())
        .collect();
    let mut section: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for Term { tag, value } in terms {
        section.entry(tag.to_string()).or_default().push(hex(value));
    }
    let joined = section
        .into_iter()
        .map(|(tag, values)| (tag, values.join(" ")));
    joined.collect()
}

pub(super) fn message(header: &Header, body: &Body) -> v1::Entry {
    use v1::part::Content as Sent;
    let parts = body.parts().iter().map(|(tag, content)| v1::Part {
        erased_by: None,
        tag: tag.number().into(),
        content: Some(match content {
            Content::Disclosed { bytes, salt } => Sent::Disclosed(v1::DisclosedPart {
                encoded: bytes.clone(),
                salt: salt.to_vec().into(),
            }),
            Content::Withheld(commitment) => Sent::Withheld(commitment.to_vec()),
            Content::Erased(commitment) => Sent::Erased(commitment.to_vec()),
        }),
    });
    v1::Entry {
        header: header.encode().to_vec(),
        parts: parts.collect(),
    }
}

/// The whole answer to the filter.
pub(super) fn page(sealer: &Sealer, segment: &Built) -> v1::SearchResponse {
    let (tree, size) = (sealer.tree(), sealer.size());
    let target = Term {
        tag: 10,
        value: b"file://a100-17/data/503".to_vec(),
    };
    let shown = |seq: u64| message(&sealer.headers[seq as usize], &sealer.bodies[seq as usize]);
    let run = |first, end| v1::RunProof {
        hashes: prove_range(&tree, first, end, size).unwrap().concat(),
    };
    v1::SearchResponse {
        checkpoint: sealer.checkpoint(),
        size,
        start: 0,
        end: size,
        entries: std::iter::once(503).chain(SPAN..size).map(shown).collect(),
        proof: Some(v1::SearchProof {
            seal: Some(shown(SPAN)),
            seal_inclusion: prove_inclusion(&tree, SPAN, size).unwrap().concat(),
            levels: vec![v1::LevelProof::default()],
            segments: vec![v1::SegmentProof {
                terms: segment.record().terms,
                root: segment.record().root.to_vec(),
                ranges: vec![prove(segment, &TermRange::point(target))],
            }],
            runs: vec![run(503, 504), run(SPAN, size)],
            ..Default::default()
        }),
        ..Default::default()
    }
}

/// A segment of level 1, merged from sixteen.
fn merged() -> Built {
    let part = |number: u64| {
        let mut terms = TermMap::default();
        for n in number * SPAN..(number + 1) * SPAN {
            let term = |tag, value: String| Term {
                tag,
                value: value.into_bytes(),
            };
            terms.push(&[
                Term::presence(4),
                Term::presence(10),
                term(4, format!("unix:a100/{}", n % 7)),
                term(10, format!("file://a100-17/data/{}", n * 31 % 5_000)),
            ]);
        }
        let id = SegmentId { level: 0, number };
        open(terms.write(id, Vec::new()).unwrap())
    };
    let parts: Vec<_> = (0..16).map(part).collect();
    let above = SegmentId {
        level: 1,
        number: 0,
    };
    open(merge(above, &parts, Vec::new()).unwrap())
}

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests")
        .join(name)
}

/// Compares with a file, which is written first if that is asked for.
pub(super) fn compare(name: &str, made: &str) {
    let path = path(name);
    if std::env::var_os("GRAVEN_WRITE_GOLDEN").is_some() && !path.exists() {
        std::fs::write(&path, made).unwrap();
    }
    let golden = std::fs::read_to_string(&path).unwrap();
    for (number, (expected, found)) in (1..).zip(golden.lines().zip(made.lines())) {
        assert_eq!(
            expected,
            found,
            "line {number} of {}: index version 1 is frozen; a change needs version 2 beside it, see \
             docs/format.md, \"What is frozen\"",
            path.display()
        );
    }
    assert_eq!(golden, made);
}

#[test]
fn golden_bytes_of_the_index_have_not_changed() {
    let sealer = sealed(event, |sealer| level(segment(sealer).record()));
    let segment = segment(&sealer);
    let text = |name: &str, value: String| (name.to_owned(), value);
    let actor = Term {
        tag: 4,
        value: ACTOR.to_vec(),
    };
    let seal = &sealer.bodies[SPAN as usize];
    let what = seal.disclosed(graven::entry::Tag::What).unwrap();
    let page = page(&sealer, &segment).encode_to_vec();
    let sections = BTreeMap::from([
        ("terms of entry 1", terms_section(&sealer)),
        ("segment 0 of level 0", segment_section(&segment, actor)),
        (
            "seal",
            Section::from([
                text("what", hex(what)),
                text("header", hex(sealer.headers[SPAN as usize].encode())),
            ]),
        ),
        (
            "checkpoint",
            Section::from([text("text", sealer.checkpoint())]),
        ),
        (
            "page",
            Section::from([text("filter", FILTER.into()), text("encoded", hex(page))]),
        ),
        (
            "segment 0 of level 1",
            segment_section(&merged(), Term::presence(10)),
        ),
    ]);
    let json = serde_json::to_string_pretty(&sections).unwrap() + "\n";
    compare("vectors/index.json", &json);
}

#[test]
fn the_golden_page_proves_its_answer() {
    let json = std::fs::read_to_string(path("vectors/index.json")).unwrap();
    let sections: BTreeMap<String, Section> = serde_json::from_str(&json).unwrap();
    let encoded = bytes_of(&sections["page"]["encoded"]);
    let page = v1::SearchResponse::decode(encoded.as_slice()).unwrap();
    let sealer = Sealer::new();
    let question = |filter: &Filter| {
        let question = Question {
            genesis: &sealer.genesis,
            key: &sealer.key.verifier(),
            filter,
            descending: false,
            open: 0..u64::MAX,
            size: None,
        };
        verify_page(&question, &page)
    };
    let proved = question(&Filter::parse(FILTER).unwrap()).unwrap();
    let seqs: Vec<u64> = proved
        .matches
        .iter()
        .map(|(header, _)| header.seq)
        .collect();
    assert_eq!((seqs, proved.window), (vec![503], 0..1_027));
    assert_eq!(proved.seal, Some((1_024, 1_024)));
    assert!(question(&Filter::parse("target = file://a100-17/data/900").unwrap()).is_err());
}

/// An event with a witness, mallory of some.
fn witnessed(n: u64) -> v1::Event {
    let mut event = event_message(n);
    let witness = match n {
        3 | 17 | 500 => "oidc:corp/mallory".to_owned(),
        _ => format!("oidc:corp/wit{n:04}"),
    };
    event.what.as_mut().unwrap().participants = vec![witness];
    event
}

/// The segment of the first entries, as if mallory had not been there at entry 17.
fn without_mallory(sealer: &Sealer) -> Built {
    with_another_17(sealer, |what| {
        what.participants = vec!["oidc:corp/wit0017".into()];
    })
}

/// The segment of the first entries, as if entry 17 said something else.
fn with_another_17(sealer: &Sealer, change: impl Fn(&mut v1::What)) -> Built {
    let mut terms = TermMap::default();
    for seq in 0..SPAN as usize {
        let mut facts = facts(sealer, seq);
        if seq == 17 {
            change(&mut facts.what);
        }
        terms.push_entry(&facts);
    }
    open(terms.write(FIRST, Vec::new()).unwrap())
}

/// A segment whose terms descend: its record, and its only leaf.
fn descending() -> (SegmentRecord, Vec<u8>) {
    let mut writer = SegmentWriter::new(FIRST, Vec::new());
    for value in [b"b", b"a"] {
        writer.push_run(0..3).unwrap();
        writer.end_term(4, value).unwrap();
    }
    let (record, bytes) = writer.finish().unwrap();
    let directory = u64::from_be_bytes(*bytes.last_chunk().unwrap()) as usize;
    let length = u32::from_be_bytes(bytes[directory + 8..directory + 12].try_into().unwrap());
    (record, bytes[..length as usize].to_vec())
}

fn accusation(sealer: &Sealer, contradiction: Contradiction) -> Accusation {
    let first = shown(sealer, 0);
    Accusation {
        verifier_key: sealer.key.verifier(),
        genesis: sealer.genesis.clone(),
        checkpoint: sealer.checkpoint(),
        first_entry: (first.header, first.inclusion),
        seal: shown(sealer, SPAN),
        contradiction,
    }
}

fn shown(sealer: &Sealer, seq: u64) -> ShownEntry {
    ShownEntry {
        header: sealer.headers[seq as usize].clone(),
        body: sealer.bodies[seq as usize].clone(),
        inclusion: prove_inclusion(&sealer.tree(), seq, sealer.size()).unwrap(),
    }
}

fn shown_segment(record: SegmentRecord) -> ShownSegment {
    ShownSegment {
        record,
        hashes: Vec::new(),
    }
}

#[test]
fn golden_accusations_have_not_changed_and_hold() {
    let liar = sealed(witnessed, |sealer| level(without_mallory(sealer).record()));
    let mallory = Term {
        tag: 30,
        value: b"oidc:corp/mallory".to_vec(),
    };
    let segment = without_mallory(&liar);
    let list = Contradiction::List {
        segment: shown_segment(*segment.record()),
        list: prove(&segment, &TermRange::point(mallory.clone())),
        term: mallory,
        entry: shown(&liar, 17),
    };
    let beyond = sealed(event, |_| v1::SealLevel {
        segments: 2,
        root: vec![7; 32],
    });
    let formless = sealed(event, |_| level(&descending().0));
    let (record, leaf) = descending();
    let form = Contradiction::Form {
        segment: shown_segment(record),
        leaves: v1::TermProof {
            leaves: vec![leaf],
            ..Default::default()
        },
    };
    // Of the segment nothing is shown, so that all its entries have to be.
    let hiding = sealed(minimal, |sealer| {
        let segment = with_another_17(sealer, |what| what.action = "file.read".into());
        level(segment.record())
    });
    let of_segment = 0..SPAN as usize;
    let all = hiding.headers[of_segment.clone()].iter().cloned();
    let entries = Contradiction::Entries {
        earlier: None,
        before: Vec::new(),
        entries: all.zip(hiding.bodies[of_segment].iter().cloned()).collect(),
        hashes: prove_range(&hiding.tree(), 0, SPAN, hiding.size()).unwrap(),
    };
    for (name, sealer, contradiction) in [
        ("list", &liar, list),
        ("entries", &hiding, entries),
        ("form", &formless, form),
        ("seal", &beyond, Contradiction::Seal),
    ] {
        let accusation = accusation(sealer, contradiction);
        let judged = accusation.judge(Some(&sealer.key.verifier()));
        assert!(matches!(judged, Judgement::Proved(_)), "{name}: {judged:?}");
        compare(
            &format!("data/v1/accusation-{name}.json"),
            &accusation.to_json(),
        );
    }
    compare("data/v1/accused.key", &format!("{}\n", liar.key.verifier()));
}
