//! Appends end to end: a server in its own process, a client in this one, loopback between them.
//!
//! `cargo bench --bench append -- [DIRECTORY] [SECONDS]` prints, measured in one run on the volume of DIRECTORY: the
//! median fdatasync of a 4 KiB block, the median acknowledgement of one client that sends one event at a time, the rate
//! of 32 such clients, and the rate of batches of 1,000. Every event has 256 random bytes of detail and an idempotency id.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::pedantic,
    clippy::indexing_slicing,
    missing_docs
)]

mod support;

use std::path::Path;
use std::time::{Duration, Instant};

use support::disk::Sync;
use support::load::{self, Shape};
use support::{Server, cpu, micros};

fn main() {
    let Some((parent, seconds)) = support::arguments(5) else {
        return;
    };
    let dir = tempfile::tempdir_in(parent).unwrap();
    let runtime = support::runtime();
    let mut server = Server::start(&dir.path().join("ledger"));
    runtime.block_on(measure(&server, dir.path(), Duration::from_secs(seconds)));
    server.kill();
    let start = Instant::now();
    let _server = Server::start(&dir.path().join("ledger"));
    println!(
        "start after kill -9: {:.0} ms",
        start.elapsed().as_secs_f64() * 1e3
    );
}

async fn measure(server: &Server, dir: &Path, duration: Duration) {
    let events = load::endless();
    let mut sync = Sync::default();
    sync.measure(dir);
    let one = load::append(&server.url, Shape::single(1), duration, events.clone()).await;
    sync.measure(dir);
    let (appended, in_place) = (sync.appended(0.5), sync.in_place(0.5));
    let median = one.percentile(0.5);
    println!(
        "fdatasync of 4 KiB: appended {:.0} µs, in place {:.0} µs (medians)",
        micros(appended),
        micros(in_place)
    );
    println!(
        "1 client, one event at a time: median {:.0} µs, p99 {:.0} µs; {:.2} × appended fdatasync, \
         {:.2} × both, as it takes one of each",
        micros(median),
        micros(one.percentile(0.99)),
        median.as_secs_f64() / appended.as_secs_f64(),
        median.as_secs_f64() / (appended + in_place).as_secs_f64(),
    );
    let many = load::append(&server.url, Shape::single(32), duration, events.clone()).await;
    println!(
        "32 clients, one event at a time: {:.0} entries/s; median {:.0} µs, p99 {:.0} µs",
        many.rate(),
        micros(many.percentile(0.5)),
        micros(many.percentile(0.99))
    );
    for (connections, in_flight) in [(1, 1), (2, 2), (4, 2)] {
        let before = (server.cpu(), cpu("self"));
        let shape = Shape::batches(connections, in_flight);
        let load = load::append(&server.url, shape, duration, events.clone()).await;
        let per_entry = |cpu: Duration| micros(cpu) / load.entries as f64;
        println!(
            "batches of 1,000, {connections} connections × {in_flight} in flight: {:.0} entries/s; \
             CPU an entry: server {:.1} µs, client {:.1} µs; server at {} MiB",
            load.rate(),
            per_entry(server.cpu() - before.0),
            per_entry(cpu("self") - before.1),
            server.resident_mib()
        );
    }
}
