//! A whole ledger in this process, on a disk: what it takes without gRPC and without a network.
//!
//! `cargo bench --bench ledger -- [FILTER]` works in `BENCH_DIR`, or where temporary files go, which has to be a disk for
//! the figures to mean anything. Appends are durable and under a signed checkpoint when they return.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::pedantic,
    clippy::indexing_slicing,
    missing_docs
)]

mod support;

use std::cell::Cell;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use criterion::{BatchSize, Criterion, Throughput};
use graven::entry::{CheckedEvent, v1};
use graven::index::filter::Filter;
use graven::ledger::{Appended, Directory, Ledger, Search};
use graven::store::Direction;
use prost::Message;
use support::{checked, load};

/// Entries before anything is asked.
const ENTRIES: u64 = 100_000;

fn main() {
    let parent = std::env::var_os("BENCH_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
    let dir = tempfile::tempdir_in(parent).unwrap();
    warn_of_memory(dir.path());
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(4))
        .sample_size(20)
        .configure_from_args();
    let ledger = support::new_ledger(&Directory::new(dir.path()));
    let bench = Bench {
        ledger,
        runtime: support::runtime(),
        next: Cell::new(0),
    };
    for _ in 0..ENTRIES / 1_000 {
        drop(bench.append(bench.events(1_000)));
    }
    bench.appends(&mut criterion);
    bench.receipts(&mut criterion);
    bench.reads(&mut criterion);
    bench.searches(&mut criterion);
    criterion.final_summary();
    bench.ledger.close();
}

/// What is synced to a file system in memory is not durable.
fn warn_of_memory(dir: &std::path::Path) {
    const TMPFS: i64 = 0x0102_1994;
    if rustix::fs::statfs(dir).unwrap().f_type == TMPFS {
        eprintln!("{} is in memory: set BENCH_DIR to a disk", dir.display());
    }
}

struct Bench {
    ledger: Ledger,
    runtime: tokio::runtime::Runtime,
    next: Cell<u64>,
}

impl Bench {
    /// Events that were never there before.
    fn events(&self, count: u64) -> Vec<CheckedEvent> {
        let first = self.next.replace(self.next.get() + count);
        (first..first + count)
            .map(|n| checked(&load::event(n)))
            .collect()
    }

    fn append(&self, events: Vec<CheckedEvent>) -> Appended {
        let submission = self.ledger.prepare(events, &support::envelope()).unwrap();
        self.runtime
            .block_on(self.ledger.append(submission))
            .unwrap()
    }

    fn appends(&self, criterion: &mut Criterion) {
        let mut group = criterion.benchmark_group("ledger");
        for (name, count) in [("append 1", 1), ("append 1,000", 1_000)] {
            group.throughput(Throughput::Elements(count));
            group.bench_function(name, |b| {
                b.iter_batched(
                    || self.events(count),
                    |events| drop(self.append(events)),
                    BatchSize::PerIteration,
                );
            });
        }
        group.finish();
    }

    /// From the outcome of an append to the bytes of its receipt.
    fn receipts(&self, criterion: &mut Criterion) {
        let mut group = criterion.benchmark_group("ledger");
        for (name, count) in [("receipt for 1", 1), ("receipt for 1,000", 1_000)] {
            let appended = self.append(self.events(count));
            group.throughput(Throughput::Elements(count));
            group.bench_function(name, |b| b.iter(|| self.receipt(appended.clone())));
        }
        group.finish();
    }

    fn receipt(&self, appended: Appended) -> Vec<u8> {
        let range = appended.first_seq..appended.first_seq + appended.seeds.len() as u64;
        let size = appended.published.size();
        let proof = self.ledger.prove_range(range, size).unwrap();
        let receipt = v1::Receipt {
            first_seq: appended.first_seq,
            recorded_at: appended.recorded_at,
            previous: appended.previous.to_vec(),
            envelopes: appended.envelopes.into_iter().map(Vec::from).collect(),
            seeds: appended.seeds.into_flattened(),
            proof: proof.into_flattened(),
            checkpoint: appended.published.note.clone(),
            redacted: Vec::new(),
        };
        receipt.encode_to_vec()
    }

    fn reads(&self, criterion: &mut Criterion) {
        let size = self.ledger.published().size();
        let seq = Cell::new(0u64);
        // Far apart, so that no two are in one pack.
        let next = || seq.replace((seq.get() + 7_919) % size);
        criterion.bench_function("ledger/get one entry", |b| {
            b.iter(|| self.ledger.entry(next()).unwrap());
        });
        criterion.bench_function("ledger/get one entry and its inclusion proof", |b| {
            b.iter(|| {
                let seq = next();
                let entry = self.ledger.entry(seq).unwrap();
                (entry, self.ledger.prove_inclusion(seq, size).unwrap())
            });
        });
    }

    fn searches(&self, criterion: &mut Criterion) {
        self.wait_for_index();
        for (name, filter) in [
            ("40 acts of an actor", "actor = \"oidc:corp/user7\""),
            ("an actor that is absent", "actor = \"oidc:corp/nobody\""),
        ] {
            let filter = Filter::parse(filter).unwrap();
            for (how, prove) in [("search", false), ("search proved", true)] {
                criterion.bench_function(&format!("ledger/{how}, {name}"), |b| {
                    b.iter(|| self.ledger.search(&self.question(&filter, prove)).unwrap());
                });
            }
        }
    }

    fn question<'a>(&self, filter: &'a Filter, prove: bool) -> Search<'a> {
        Search {
            filter,
            size: self.ledger.published().size(),
            range: 0..ENTRIES,
            direction: Direction::Forward,
            limit: 40,
            prove,
        }
    }

    /// Until what is asked about is in the index, so that a proof shows no entry of its own accord.
    fn wait_for_index(&self) {
        let absent = Filter::parse("actor = nobody").unwrap();
        let end = Instant::now() + Duration::from_secs(60);
        while self
            .ledger
            .search(&self.question(&absent, true))
            .unwrap()
            .cost
            .entries
            > 0
        {
            assert!(Instant::now() < end, "the index does not catch up");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}
