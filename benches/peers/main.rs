//! The same events in Graven and in what people would use instead, on one machine, durable at acknowledgement.
//!
//! `cargo bench --bench peers -- [DIRECTORY] [SECONDS] [ENTRIES] [NAME]`: each system is started in processes of its own and
//! given the same ENTRIES events (default 300,000) of `support/events.rs` in this order: one client, one event at a time,
//! for SECONDS or a tenth of the events; 32 such clients, for SECONDS or until six tenths are there; and the rest in batches
//! of 1,000, four under way at a time. Then its bytes on the disk are counted. Clients run closed loops; what they send is
//! encoded outside of the latencies. NAME chooses one system.
//!
//! A peer that is not installed is said to be so. Nothing of a peer is built or downloaded.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::pedantic,
    clippy::indexing_slicing,
    missing_docs
)]

mod feed;
mod immudb;
mod pg_wire;
mod postgres;
mod report;
mod sqlite;
#[path = "../support/mod.rs"]
mod support;
mod tessera;

use std::path::{Path, PathBuf};

use feed::{Feed, phases};
use postgres::Chains;
use report::{Figures, Outcome};
use support::events::Row;
use support::{Server, bytes_below, load};

fn main() {
    let Some((parent, [seconds, entries])) = support::numbers([5, 300_000]) else {
        return;
    };
    let dir = tempfile::tempdir_in(parent).unwrap();
    let wanted = std::env::args().filter(|a| a != "--bench").nth(4);
    let events = Feed::new(entries, seconds);
    let outcomes: Vec<Outcome> = SYSTEMS
        .iter()
        .filter(|system| wanted.as_ref().is_none_or(|name| *name == system.name))
        .map(|system| {
            eprintln!("{} ...", system.name);
            let dir = dir.path().join("system");
            std::fs::create_dir(&dir).unwrap();
            let result = (system.run)(&dir, &events.again());
            std::fs::remove_dir_all(&dir).unwrap();
            Outcome {
                name: system.name,
                promises: system.promises,
                result,
            }
        })
        .collect();
    report::print(&outcomes, events.entries());
}

struct System {
    name: &'static str,
    promises: &'static str,
    /// Gives its figures, or says why there are none.
    run: fn(&Path, &Feed) -> Result<Figures, String>,
}

const SYSTEMS: [System; 7] = [
    System {
        name: "Graven",
        promises: "durable; sealed under a signed checkpoint; proved by the receipt in the answer",
        run: graven,
    },
    System {
        name: "PostgreSQL, table",
        promises: "durable; not sealed; whoever may write can change anything",
        run: |dir, feed| postgres::run(dir, feed, Chains::None),
    },
    System {
        name: "PostgreSQL, 1 chain",
        promises: "durable; chained, no proof; whoever owns the table can chain it anew",
        run: |dir, feed| postgres::run(dir, feed, Chains::Shared),
    },
    System {
        name: "PostgreSQL, 64 chains",
        promises: "durable; chained, no proof, no order between chains; the same",
        run: |dir, feed| postgres::run(dir, feed, Chains::OfConnections(64)),
    },
    System {
        name: "SQLite",
        promises: "durable; not sealed; one writer, in the process of the database",
        run: sqlite::run,
    },
    System {
        name: "immudb",
        promises: "durable; in its hash tree; a proof is asked for, and no index is proved",
        run: immudb::run,
    },
    System {
        name: "Tessera, POSIX",
        promises: "durable, with a place; under a checkpoint up to a second later; no index",
        run: tessera::run,
    },
];

fn graven(dir: &Path, feed: &Feed) -> Result<Figures, String> {
    let ledger = dir.join("ledger");
    let server = Server::start(&ledger);
    let runtime = support::runtime();
    let mut loads = Vec::new();
    for phase in phases() {
        let (rows, end) = (feed.clone(), feed.end(&phase));
        let make = move |most| rows.take(most, end).iter().map(Row::event).collect();
        let load = load::append(&server.url, phase.shape, feed.duration(&phase), make);
        loads.push(Some(runtime.block_on(load)));
    }
    drop(server);
    // A start moves what is in the write-ahead log into tables, as the figure of a database is that of its tables.
    drop(Server::start(&ledger));
    Ok(Figures {
        loads,
        bytes: bytes_below(&ledger),
    })
}

/// A program of this name, if it is installed.
fn installed(name: &str) -> Result<PathBuf, String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|dir| dir.join(name))
        .find(|program| program.is_file())
        .ok_or_else(|| format!("not installed: there is no {name} in PATH"))
}

/// A port that was free a moment ago.
fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// A server of a peer, which is killed in the end.
struct Killed(std::process::Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Killed {
    /// Waits until somebody listens at `port`.
    fn wait_for(&mut self, port: u16) -> Result<(), String> {
        for _ in 0..600 {
            if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Ok(());
            }
            if let Some(status) = self.0.try_wait().unwrap() {
                return Err(format!("did not start: {status}"));
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        Err("did not listen within 30 s".into())
    }
}
