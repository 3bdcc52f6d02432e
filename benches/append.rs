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

#[path = "support/mod.rs"]
mod support;

use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use graven::entry::v1;
use graven::service::client::LedgerServiceClient;
use support::{Server, cpu, micros, percentile};
use tonic::transport::Channel;

fn main() {
    let Some((parent, seconds)) = support::arguments(5) else {
        return;
    };
    let dir = tempfile::tempdir_in(parent).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
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
    // Before and after, because the speed of a shared disk drifts.
    let before = Sync::measure(dir);
    let latencies = clients(&server.url, 1, duration).await;
    let after = Sync::measure(dir);
    let appended = (before.appended + after.appended) / 2;
    let in_place = (before.in_place + after.in_place) / 2;
    let median = percentile(&latencies, 0.5);
    println!(
        "fdatasync of 4 KiB: appended {:.0} µs, in place {:.0} µs (medians)",
        micros(appended),
        micros(in_place)
    );
    println!(
        "1 client, one event at a time: median {:.0} µs, p99 {:.0} µs; {:.2} × appended fdatasync, \
         {:.2} × both, as it takes one of each",
        micros(median),
        micros(percentile(&latencies, 0.99)),
        median.as_secs_f64() / appended.as_secs_f64(),
        median.as_secs_f64() / (appended + in_place).as_secs_f64(),
    );
    let latencies = clients(&server.url, 32, duration).await;
    println!(
        "32 clients, one event at a time: {:.0} entries/s; median {:.0} µs, p99 {:.0} µs",
        latencies.len() as f64 / duration.as_secs_f64(),
        micros(percentile(&latencies, 0.5)),
        micros(percentile(&latencies, 0.99))
    );
    for (connections, in_flight) in [(1, 1), (2, 2), (4, 2)] {
        let before = (server.cpu(), cpu("self"));
        let (count, rate) = batches(&server.url, connections, in_flight, duration).await;
        let per_entry = |cpu: Duration| micros(cpu) / count as f64;
        println!(
            "batches of 1,000, {connections} connections × {in_flight} in flight: {rate:.0} entries/s; \
             CPU an entry: server {:.1} µs, client {:.1} µs; server at {} MiB",
            per_entry(server.cpu() - before.0),
            per_entry(cpu("self") - before.1),
            server.resident_mib()
        );
    }
}

/// Median fdatasync of 4 KiB: behind the end of a file, as a log does, and over what is there, as the anchor does.
struct Sync {
    appended: Duration,
    in_place: Duration,
}

impl Sync {
    fn measure(dir: &Path) -> Self {
        Self {
            appended: fdatasync_median(dir, |i| i * 4096),
            in_place: fdatasync_median(dir, |i| i % 2 * 4096),
        }
    }
}

fn fdatasync_median(dir: &Path, offset: impl Fn(u64) -> u64) -> Duration {
    let file = std::fs::File::create(dir.join("sync")).unwrap();
    file.write_all_at(&[0; 8192], 0).unwrap();
    file.sync_all().unwrap();
    let mut times = Vec::new();
    for i in 0..2000u64 {
        let start = Instant::now();
        file.write_all_at(&[i as u8; 4096], offset(i)).unwrap();
        file.sync_data().unwrap();
        times.push(start.elapsed());
    }
    percentile(&times, 0.5)
}

/// Made beforehand: a client that digests files is not what is measured.
static DIGESTS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let digest = |n: u64| format!("sha256:{}", blake3::hash(&n.to_be_bytes()).to_hex());
    (0..4096).map(digest).collect()
});
static NEXT: AtomicU64 = AtomicU64::new(0);

fn event() -> v1::Event {
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let mut detail = vec![0; 256];
    let mut random = blake3::Hasher::new()
        .update(&number.to_be_bytes())
        .finalize_xof();
    random.fill(&mut detail);
    let digest = |n: u64| DIGESTS[n as usize % DIGESTS.len()].clone();
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    let mut id = (now.as_micros() as u64).to_be_bytes().to_vec();
    id.extend(number.to_be_bytes());
    v1::Event {
        who: Some(v1::Who {
            actor: format!("oidc:corp/user{}", number % 500),
            assurance: v1::Assurance::Authenticated.into(),
            ..Default::default()
        }),
        what: Some(v1::What {
            action: "file.update".into(),
            outcome: v1::Outcome::Success.into(),
            targets: vec![v1::Target {
                uri: format!("fs://nfs1/home/team/src/module{}/train.py", number % 5000),
                before: Some(v1::Version {
                    ids: vec![digest(number)],
                    ..Default::default()
                }),
                after: Some(v1::Version {
                    ids: vec![digest(number + 1)],
                    ..Default::default()
                }),
                ..Default::default()
            }],
            run: Some(v1::Run {
                id: format!("run-{}", number % 300),
                ..Default::default()
            }),
            ..Default::default()
        }),
        context: Some(v1::Context {
            source: "agent://node-17".into(),
            source_seq: Some(number),
            host: "node-17".into(),
            occurred_at: Some(now.as_nanos() as i64),
            idempotency_id: id,
            ..Default::default()
        }),
        detail: Some(v1::Detail {
            content: detail,
            ..Default::default()
        }),
        ..Default::default()
    }
}

async fn connect(url: &str) -> LedgerServiceClient<Channel> {
    let channel = Channel::from_shared(url.to_string())
        .unwrap()
        .connect()
        .await
        .unwrap();
    LedgerServiceClient::new(channel)
}

async fn clients(url: &str, count: usize, duration: Duration) -> Vec<Duration> {
    let mut tasks = Vec::new();
    for _ in 0..count {
        let mut client = connect(url).await;
        tasks.push(tokio::spawn(async move {
            let mut latencies = Vec::new();
            let end = Instant::now() + duration;
            while Instant::now() < end {
                let request = v1::AppendRequest {
                    event: Some(event()),
                    ack_level: 0,
                };
                let start = Instant::now();
                client.append(request).await.unwrap();
                latencies.push(start.elapsed());
            }
            latencies
        }));
    }
    let mut all = Vec::new();
    for task in tasks {
        all.extend(task.await.unwrap());
    }
    all
}

async fn batches(
    url: &str,
    connections: usize,
    in_flight: usize,
    duration: Duration,
) -> (u64, f64) {
    let appended = Arc::new(AtomicU64::new(0));
    let start = Instant::now();
    let mut tasks = Vec::new();
    for _ in 0..connections {
        let client = connect(url).await;
        for _ in 0..in_flight {
            let mut client = client.clone();
            let appended = Arc::clone(&appended);
            tasks.push(tokio::spawn(async move {
                while start.elapsed() < duration {
                    let events = (0..1000).map(|_| event()).collect();
                    let request = v1::AppendBatchRequest {
                        events,
                        ack_level: 0,
                    };
                    client.append_batch(request).await.unwrap();
                    appended.fetch_add(1000, Ordering::Relaxed);
                }
            }));
        }
    }
    for task in tasks {
        task.await.unwrap();
    }
    let count = appended.load(Ordering::Relaxed);
    (count, count as f64 / start.elapsed().as_secs_f64())
}
