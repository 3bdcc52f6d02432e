//! A ladder of ceilings, in one run on one volume, and how far below each of them Graven is.
//!
//! `cargo bench --bench ladder -- [DIRECTORY] [SECONDS]`. For one client, for 32, and for batches of 1,000 over two
//! connections with two in flight each:
//!
//! - fdatasync of 4 KiB, appended and in place, as if one sync were enough for all that is under way at a time;
//! - RocksDB with a ledger's settings and sync, which is given the batches that a ledger commits for groups of so many
//!   entries, by one thread. They are recorded beforehand, in memory;
//! - a tonic server in a process of its own, which decodes the same appends, stores nothing, and answers with receipts of the
//!   size of real ones;
//! - Graven, in a process of its own, through the same clients.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::pedantic,
    clippy::indexing_slicing,
    missing_docs
)]

mod recorder;
#[path = "../support/mod.rs"]
mod support;

use std::path::Path;
use std::time::{Duration, Instant};

use graven::store::{Batch, RocksStore};
use support::disk::Sync;
use support::load::{self, Load, Shape};
use support::{Server, micros};

fn main() {
    let Some((parent, seconds)) = support::arguments(5) else {
        return;
    };
    let dir = tempfile::tempdir_in(parent).unwrap();
    let duration = Duration::from_secs(seconds);
    let ledger = Server::start(&dir.path().join("ledger"));
    let nothing = Server::start_nothing();
    let mut all = Sync::default();
    let shapes = [
        ("1 client, one event a call", Shape::single(1), 1, 500),
        ("32 clients, one event a call", Shape::single(32), 32, 300),
        (
            "batches of 1,000, 2 connections × 2 in flight",
            Shape::batches(2, 2),
            1_000,
            100,
        ),
    ];
    println!(
        "{:<38}{:>11}{:>9}{:>9}   Graven ÷ this:",
        "", "entries/s", "p50 µs", "p99 µs"
    );
    for (name, shape, group, groups) in shapes {
        let run = Run {
            dir: dir.path(),
            duration,
            shape,
        };
        println!("{name:<69}{:>8}{:>8}{:>8}", "rate", "p50", "p99");
        let mut sync = Sync::default();
        sync.measure(dir.path());
        let rocks = run.rocks(group, &recorder::groups(group, groups));
        let without_store = run.serve(&nothing);
        let graven = run.serve(&ledger);
        sync.measure(dir.path());
        all.measure(dir.path());
        let mut rungs = run.syncs(&sync);
        rungs.push((format!("RocksDB, groups of {group}"), Rung::of(&rocks)));
        rungs.push(("tonic, storing nothing".into(), Rung::of(&without_store)));
        let graven = Rung::of(&graven);
        for (name, rung) in rungs {
            println!("  {name:<36}{rung}{}", graven.over(&rung));
        }
        println!("  {:<36}{graven}", "Graven");
        println!(
            "  Graven's p50 is {:.2} and its p99 {:.2} times the median fdatasync, appended\n",
            graven.p50.as_secs_f64() / sync.appended(0.5).as_secs_f64(),
            graven.p99.as_secs_f64() / sync.appended(0.5).as_secs_f64(),
        );
    }
    println!(
        "median fdatasync over the whole run: appended {:.0} µs, in place {:.0} µs",
        micros(all.appended(0.5)),
        micros(all.in_place(0.5))
    );
}

/// A figure of the ladder.
struct Rung {
    rate: f64,
    p50: Duration,
    p99: Duration,
}

impl Rung {
    fn of(load: &Load) -> Self {
        Self {
            rate: load.rate(),
            p50: load.percentile(0.5),
            p99: load.percentile(0.99),
        }
    }

    /// As multiples of another.
    fn over(&self, other: &Self) -> String {
        format!(
            "{:>8.2}{:>8.2}{:>8.2}",
            self.rate / other.rate,
            self.p50.as_secs_f64() / other.p50.as_secs_f64(),
            self.p99.as_secs_f64() / other.p99.as_secs_f64()
        )
    }
}

impl std::fmt::Display for Rung {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (p50, p99) = (micros(self.p50), micros(self.p99));
        write!(f, "{:>11.0}{p50:>9.0}{p99:>9.0}  ", self.rate)
    }
}

struct Run<'a> {
    dir: &'a Path,
    duration: Duration,
    shape: Shape,
}

impl Run<'_> {
    fn serve(&self, server: &Server) -> Load {
        let appends = load::append(&server.url, self.shape, self.duration, load::endless());
        support::runtime().block_on(appends)
    }

    fn syncs(&self, sync: &Sync) -> Vec<(String, Rung)> {
        let rung = |p50: Duration, p99| Rung {
            rate: (self.shape.clients() * self.shape.events) as f64 / p50.as_secs_f64(),
            p50,
            p99,
        };
        let appended = rung(sync.appended(0.5), sync.appended(0.99));
        let in_place = rung(sync.in_place(0.5), sync.in_place(0.99));
        vec![
            ("fdatasync, appended".into(), appended),
            ("fdatasync, in place".into(), in_place),
        ]
    }

    /// Commits the batches, into a new store whenever they are used up: no key is written twice.
    fn rocks(&self, group: usize, batches: &[Batch]) -> Load {
        let dir = self.dir.join("rocks");
        let mut load = Load {
            entries: 0,
            elapsed: Duration::ZERO,
            latencies: Vec::new(),
        };
        while load.elapsed < self.duration {
            let store = RocksStore::create(&dir).unwrap();
            for (index, batch) in batches.iter().enumerate() {
                use graven::store::Store;
                let batch = batch.clone();
                let start = Instant::now();
                store.commit(batch).unwrap();
                // The first one makes the log.
                if index > 0 {
                    load.entries += group as u64;
                    load.elapsed += start.elapsed();
                    load.latencies.push(start.elapsed());
                }
            }
            drop(store);
            std::fs::remove_dir_all(&dir).unwrap();
        }
        load
    }
}
