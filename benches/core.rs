//! What the pure core takes, one operation at a time, in one thread and from warm memory.
//!
//! `cargo bench --bench core -- [FILTER]`. Events have 256 random bytes of detail and ten terms.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::pedantic,
    clippy::indexing_slicing,
    missing_docs
)]

mod support;

use std::hint::black_box;
use std::time::Duration;

use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput};
use graven::entry::{CheckedEvent, Digest, Header, Kind, Salts, Seed, Tag, parts, v1};
use graven::index::filter::Filter;
use graven::index::{
    Segment, SegmentId, SegmentRecord, Source, Term, TermMap, TermRange, check_terms, field,
};
use graven::ledger::Ledger;
use graven::merkle::{Edge, Hash, Nodes, leaf_hash, prove_inclusion, verify_inclusion};
use graven::note::Checkpoint;
use graven::store::{Direction, MemoryDisk};
use graven::verify::{Expected, verify_receipt};
use prost::Message;
use support::{ORIGIN, checked, load};

fn main() {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .sample_size(20)
        .configure_from_args();
    entries(&mut criterion);
    trees(&mut criterion);
    receipts(&mut criterion);
    checkpoints(&mut criterion);
    filters(&mut criterion);
    index(&mut criterion);
    packs(&mut criterion);
    criterion.final_summary();
}

fn header(seq: u64, prev: Digest) -> Header {
    Header {
        kind: Kind::Event,
        actor_signature: false,
        seq,
        recorded_at: 1_767_225_600_000_000_000,
        body_hash: [7; 32],
        prev,
    }
}

fn entries(criterion: &mut Criterion) {
    let header = header(1_000_000, [8; 32]);
    let encoded = header.encode();
    criterion.bench_function("entry/leaf hash of a header", |b| {
        b.iter(|| leaf_hash(black_box(&encoded)));
    });
    criterion.bench_function("entry/chain hash of a header", |b| {
        b.iter(|| black_box(&header).chain_hash());
    });
    let message = load::event(1);
    let encoded = Bytes::from(message.encode_to_vec());
    criterion.bench_function("entry/check the encoding of an event", |b| {
        b.iter(|| CheckedEvent::check(black_box(&encoded)).unwrap());
    });
    let event = checked(&message);
    criterion.bench_function("entry/salts, commitments and body hash of an event", |b| {
        b.iter(|| body_hash(black_box(&event), &Seed([9; 32])));
    });
}

/// As the ledger computes it.
fn body_hash(event: &CheckedEvent, seed: &Seed) -> Digest {
    let salts = Salts::derive(seed);
    let commitments = event
        .parts
        .iter()
        .map(|(tag, part)| (*tag, parts::commitment(&salts.of(*tag), part)));
    parts::body_hash(commitments)
}

fn trees(criterion: &mut Criterion) {
    let leaves: Vec<Hash> = (0..100_000u64)
        .map(|n| leaf_hash(&n.to_be_bytes()))
        .collect();
    let mut group = criterion.benchmark_group("tree");
    group.throughput(Throughput::Elements(1_000));
    group.bench_function("append 1,000 leaf hashes to 99,000", |b| {
        let mut edge = Edge::new();
        let mut full = Vec::new();
        for leaf in &leaves[..99_000] {
            edge.push(*leaf, &mut full);
        }
        b.iter_batched(
            || (edge.clone(), Vec::new()),
            |(mut edge, mut full)| {
                for leaf in &leaves[99_000..] {
                    edge.push(*leaf, &mut full);
                }
                (edge.root(), full)
            },
            BatchSize::SmallInput,
        );
    });
    group.finish();
    let mut nodes = Nodes::default();
    let mut edge = Edge::new();
    for leaf in &leaves {
        nodes.push(*leaf);
        edge.push(*leaf, &mut Vec::new());
    }
    let (size, root) = (edge.size(), edge.root());
    let proof = prove_inclusion(&nodes, 54_321, size).unwrap();
    criterion.bench_function("tree/verify an inclusion among 100,000", |b| {
        b.iter(|| {
            let proof = black_box(&proof);
            verify_inclusion(54_321, size, &leaves[54_321], proof, &root).unwrap();
        });
    });
}

/// A ledger in memory, and events that it has sealed together, with their receipt.
fn sealed(ledger: &Ledger, first: u64, count: u64) -> (Vec<CheckedEvent>, v1::Receipt) {
    let events: Vec<_> = (first..first + count)
        .map(|n| checked(&load::event(n)))
        .collect();
    let submission = ledger
        .prepare(events.clone(), &support::envelope())
        .unwrap();
    let appended = support::runtime()
        .block_on(ledger.append(submission))
        .unwrap();
    let (first, size) = (appended.first_seq, appended.published.size());
    let proof = ledger.prove_range(first..first + count, size).unwrap();
    let receipt = v1::Receipt {
        first_seq: first,
        recorded_at: appended.recorded_at,
        previous: appended.previous.to_vec(),
        envelopes: appended.envelopes.iter().map(|e| e.to_vec()).collect(),
        seeds: appended.seeds.concat(),
        proof: proof.concat(),
        checkpoint: appended.published.note.clone(),
        ..Default::default()
    };
    (events, receipt)
}

fn receipts(criterion: &mut Criterion) {
    let ledger = support::new_ledger(&MemoryDisk::new());
    let expected = Expected {
        origin: ORIGIN.into(),
        key: support::key().verifier(),
        submitter: support::envelope().submitter,
    };
    for batch in 0..20 {
        sealed(&ledger, batch * 1_000, 1_000);
    }
    let mut group = criterion.benchmark_group("receipt");
    for (name, first, count) in [
        ("verify one of a single event", 20_000, 1),
        ("verify one of 1,000 events", 30_000, 1_000),
    ] {
        let (events, receipt) = sealed(&ledger, first, count);
        let events: Vec<_> = events.iter().collect();
        group.throughput(Throughput::Elements(count));
        group.bench_function(name, |b| {
            b.iter(|| verify_receipt(black_box(&receipt), &events, &expected).unwrap());
        });
    }
    group.finish();
    ledger.close();
}

fn checkpoints(criterion: &mut Criterion) {
    let key = support::key();
    let verifier = key.verifier();
    let checkpoint = Checkpoint::new(ORIGIN, 1_000_000, [3; 32]).unwrap();
    criterion.bench_function("checkpoint/sign", |b| {
        b.iter(|| black_box(&checkpoint).sign(&key));
    });
    let note = checkpoint.sign(&key);
    criterion.bench_function("checkpoint/verify", |b| {
        b.iter(|| Checkpoint::open(black_box(&note), ORIGIN, &verifier).unwrap());
    });
}

fn filters(criterion: &mut Criterion) {
    let text = "actor = \"oidc:corp/user7\" AND (action = \"file.update\" OR action = \"checkpoint.save\") \
                AND occurred_at >= 2026-01-01T00:00:00Z AND NOT host = \"node-17\"";
    criterion.bench_function("filter/parse five comparisons", |b| {
        b.iter(|| Filter::parse(black_box(text)).unwrap());
    });
}

/// A segment in memory.
#[derive(Debug, Clone)]
struct InMemory(Bytes);

impl Source for InMemory {
    type Error = std::io::Error;

    fn len(&self) -> u64 {
        self.0.len() as u64
    }

    fn read_at(&self, offset: u64, length: usize) -> Result<Bytes, Self::Error> {
        let start = usize::try_from(offset).unwrap();
        Ok(self.0.slice(start..start + length))
    }
}

/// A segment of level 0.
const ID: SegmentId = SegmentId {
    level: 0,
    number: 0,
};

fn build(events: &[(Header, Vec<(Tag, Bytes)>)]) -> (SegmentRecord, Bytes) {
    let mut terms = TermMap::default();
    for (header, parts) in events {
        terms.push_parts(header, parts).unwrap();
    }
    let (record, bytes) = terms.write(ID, Vec::new()).unwrap();
    (record, bytes.into())
}

fn index(criterion: &mut Criterion) {
    let events: Vec<_> = (0..ID.span())
        .map(|n| (header(n, [0; 32]), checked(&load::event(n)).parts))
        .collect();
    let mut group = criterion.benchmark_group("index");
    group.throughput(Throughput::Elements(ID.span()));
    group.sample_size(10);
    group.bench_function("build a segment of 1,024 entries, leaves and root", |b| {
        b.iter(|| build(black_box(&events)));
    });
    group.finish();
    let (record, bytes) = build(&events);
    let segment = Segment::open(InMemory(bytes), record).unwrap();
    let range = TermRange::point(Term {
        tag: field("actor").unwrap().tag.unwrap(),
        value: b"oidc:corp/user7".to_vec(),
    });
    let found = || {
        segment
            .find(black_box(&range), usize::MAX)
            .unwrap()
            .unwrap()
    };
    let postings = segment.postings(&found(), &range, &ID.seqs()).unwrap();
    assert_eq!(postings.iter().count(), 3, "one event in five hundred");
    criterion.bench_function("index/look a term up in a segment", |b| {
        b.iter(|| segment.postings(&found(), &range, &ID.seqs()).unwrap());
    });
    criterion.bench_function("index/look a term up and prove its list", |b| {
        b.iter(|| segment.prove(&found(), &range, &ID.seqs()).unwrap());
    });
    let proof = segment.prove(&found(), &range, &ID.seqs()).unwrap();
    criterion.bench_function("index/verify the proof of a list", |b| {
        b.iter(|| check_terms(&record, &range, &ID.seqs(), black_box(&proof)).unwrap());
    });
}

/// Packs through the doors of a ledger in memory, as their encoding is its own affair.
fn packs(criterion: &mut Criterion) {
    let ledger = support::new_ledger(&MemoryDisk::new());
    let (events, receipt) = sealed(&ledger, 0, 64);
    let envelope = support::envelope();
    let mut group = criterion.benchmark_group("pack");
    group.throughput(Throughput::Elements(64));
    group.bench_function(
        "prepare 64 events: commitments, then encode and compress",
        |b| {
            b.iter_batched(
                || events.clone(),
                |events| ledger.prepare(events, &envelope).unwrap(),
                BatchSize::SmallInput,
            );
        },
    );
    let first = receipt.first_seq;
    group.bench_function(
        "read 64 entries: decompress, decode, check leaf hashes",
        |b| {
            b.iter(|| {
                let entries = ledger.next_entries(first..first + 64, Direction::Forward);
                assert_eq!(entries.unwrap().len(), 64);
            });
        },
    );
    group.finish();
    ledger.close();
}
