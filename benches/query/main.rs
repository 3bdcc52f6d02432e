//! Questions to a long ledger: a server in its own process, a client in this one, loopback between them.
//!
//! `cargo bench --bench query -- [DIRECTORY] [ENTRIES]` appends ENTRIES events (default 1,000,000), asks at a tenth of them
//! and at the end, and prints medians and 95th percentiles: of the newest 40 acts of an actor on a day, of a version that
//! never was, of a rare actor. Each without and with a proof; the time with a proof includes checking it. Where PostgreSQL
//! is installed, the same is asked there, of a table with the matching indexes, over its own socket.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::pedantic,
    clippy::indexing_slicing,
    missing_docs
)]

mod postgres;
#[path = "../support/mod.rs"]
mod support;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use graven::entry::genesis::Genesis;
use graven::entry::v1;
use graven::index::filter::Filter;
use graven::note::VerifierKey;
use graven::service::client::{LedgerServiceClient, QueryServiceClient};
use graven::verify::{Question, verify_page};
use postgres::Postgres;
use prost::Message;
use support::events;
use support::{Server, bytes_below, micros, percentile};
use tonic::transport::Channel;

const QUESTIONS: usize = 200;

fn main() {
    let Some((parent, total)) = support::arguments(1_000_000) else {
        return;
    };
    let dir = tempfile::tempdir_in(parent).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let ledger = dir.path().join("ledger");
    let server = Server::start(&ledger);
    let mut rare = Vec::new();
    for (from, to) in [(0, total / 10), (total / 10, total)] {
        let rate = runtime.block_on(load(&server.url, from..to, total));
        println!("\n{to} entries, appended at {rate:.0} entries/s");
        runtime.block_on(async {
            let mut asker = Asker::connect(&server.url).await;
            asker.wait_for_index().await;
            rare.push(measure(&server, &mut asker, to, total).await);
        });
        println!("server at {} MiB", server.resident_mib());
    }
    println!(
        "\nthe same ten matches, from {} to {total} entries: {:.2} × the time, {:.2} × with a proof",
        total / 10,
        rare[1].0 / rare[0].0,
        rare[1].1 / rare[0].1
    );
    let (store, index) = (
        bytes_below(&ledger.join("store")),
        bytes_below(&ledger.join("index")),
    );
    println!(
        "on the disk: store {} MB, index {} MB",
        store / 1_000_000,
        index / 1_000_000
    );
    if ask_postgres(dir.path(), total).is_none() {
        println!("PostgreSQL is not installed, so it was not asked");
    }
}

/// Asks PostgreSQL the same.
fn ask_postgres(dir: &Path, total: u64) -> Option<()> {
    let postgres = Postgres::start(&dir.join("postgres"))?;
    let start = Instant::now();
    postgres.load((0..total).map(|number| events::row(number, total)));
    println!(
        "\nPostgreSQL: {total} rows copied and analysed in {:.0} s",
        start.elapsed().as_secs_f64()
    );
    let asked = questions(total, total);
    for round in ["first round", "again"] {
        print_times(
            &format!("newest 40 acts of an actor on a day, {round}"),
            &postgres.first_pages(&asked),
        );
    }
    print_times("a version that never was", &postgres.absent(QUESTIONS));
    let (table, indexes) = postgres.bytes();
    println!(
        "on the disk: table {} MB, indexes {} MB",
        table / 1_000_000,
        indexes / 1_000_000
    );
    Some(())
}

/// Appends events in batches of 1,000. Returns entries a second.
async fn load(url: &str, range: std::ops::Range<u64>, total: u64) -> f64 {
    let next = Arc::new(AtomicU64::new(range.start));
    let start = Instant::now();
    let mut tasks = Vec::new();
    for _ in 0..4 {
        let channel = Channel::from_shared(url.to_owned()).unwrap();
        let mut client = LedgerServiceClient::new(channel.connect().await.unwrap());
        let next = Arc::clone(&next);
        tasks.push(tokio::spawn(async move {
            loop {
                let first = next.fetch_add(1_000, Ordering::Relaxed);
                if first >= range.end {
                    return;
                }
                let rows = first..(first + 1_000).min(range.end);
                let events = rows.map(|n| events::row(n, total).event()).collect();
                let request = v1::AppendBatchRequest {
                    events,
                    ack_level: 0,
                };
                // A refusal for want of room is an answer: wait, and send the same again.
                while let Err(status) = client.append_batch(request.clone()).await {
                    assert_eq!(status.code(), tonic::Code::ResourceExhausted, "{status}");
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    (range.end - range.start) as f64 / start.elapsed().as_secs_f64()
}

/// Actors and days among the first `entries` of `total`, busy actors more often.
fn questions(entries: u64, total: u64) -> Vec<(String, i64)> {
    let days = (events::DAYS as u64 * entries / total).max(1);
    let ask = |i: usize| {
        let hash = blake3::hash(&(i as u64).to_le_bytes());
        let word = |at: usize| u64::from_be_bytes(hash.as_bytes()[at..at + 8].try_into().unwrap());
        (events::actor(word(0)), (word(8) % days) as i64)
    };
    (0..QUESTIONS).map(ask).collect()
}

struct Asker {
    client: QueryServiceClient<Channel>,
    genesis: Genesis,
    key: VerifierKey,
}

/// What a page took.
#[derive(Clone, Default)]
struct Took {
    all: Duration,
    checking: Duration,
    matches: usize,
    page: v1::SearchResponse,
}

impl Took {
    fn proof_bytes(&self) -> usize {
        self.page.proof.as_ref().unwrap().encoded_len()
    }
}

impl Asker {
    async fn connect(url: &str) -> Self {
        let channel = Channel::from_shared(url.to_owned()).unwrap();
        let channel = channel.connect().await.unwrap();
        let mut ledger = LedgerServiceClient::new(channel.clone());
        let answer = ledger.get_genesis(v1::GetGenesisRequest {}).await.unwrap();
        let genesis = Genesis::decode(&answer.into_inner().descriptor).unwrap();
        Self {
            client: QueryServiceClient::new(channel).max_decoding_message_size(16 << 20),
            key: genesis.verifier_key().clone(),
            genesis,
        }
    }

    /// Until all but the last few entries are sealed.
    async fn wait_for_index(&mut self) {
        loop {
            let page = self.ask(&absent(0), true).await.page;
            let proof = page.proof.unwrap();
            if proof.runs.len() <= 1 && page.entries.len() < 1_100 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// The first page, newest first; checked when it is proved.
    async fn ask(&mut self, filter: &str, prove: bool) -> Took {
        let request = v1::SearchRequest {
            filter: filter.into(),
            order: v1::Order::Descending.into(),
            page_size: 40,
            prove,
            ..Default::default()
        };
        let start = Instant::now();
        let page = self.client.search(request).await.unwrap().into_inner();
        let received = start.elapsed();
        let mut matches = page.entries.len();
        if prove {
            let parsed = Filter::parse(filter).unwrap();
            let question = Question {
                genesis: &self.genesis,
                key: &self.key,
                filter: &parsed,
                descending: true,
                open: 0..u64::MAX,
                size: None,
            };
            matches = verify_page(&question, &page).unwrap().matches.len();
        }
        let all = start.elapsed();
        Took {
            all,
            checking: all - received,
            matches,
            page,
        }
    }

    async fn ask_all(&mut self, server: &Server, what: &str, filters: &[String]) -> (f64, f64) {
        let mut medians = [0.0; 2];
        for (median, prove) in medians.iter_mut().zip([false, true]) {
            let mut took: Vec<Took> = Vec::new();
            // Of the pages one is kept: a client does not keep them either.
            let mut largest: Option<Took> = None;
            let before = (server.cpu(), support::cpu("self"));
            for filter in filters {
                let mut answered = self.ask(filter, prove).await;
                let page = std::mem::take(&mut answered.page);
                if prove {
                    let with_page = Took {
                        page,
                        ..answered.clone()
                    };
                    if largest
                        .as_ref()
                        .is_none_or(|most| most.proof_bytes() < with_page.proof_bytes())
                    {
                        largest = Some(with_page);
                    }
                }
                took.push(answered);
            }
            let after = (server.cpu(), support::cpu("self"));
            let each = |cpu: Duration| micros(cpu) / took.len() as f64;
            let (server_cpu, client_cpu) = (each(after.0 - before.0), each(after.1 - before.1));
            let times: Vec<Duration> = took.iter().map(|took| took.all).collect();
            let how = if prove {
                "proved and checked"
            } else {
                "not proved"
            };
            print_times(&format!("{what}, {how}"), &times);
            println!(
                "    processor time a question: server {server_cpu:.0} µs, client {client_cpu:.0} µs"
            );
            *median = micros(percentile(&times, 0.5));
            if prove {
                print_proof(&took, &largest.unwrap());
            } else {
                let matches: usize = took.iter().map(|took| took.matches).sum();
                println!(
                    "    {:.1} matches a page",
                    matches as f64 / took.len() as f64
                );
            }
        }
        (medians[0], medians[1])
    }
}

fn absent(i: usize) -> String {
    format!("after = \"sha256:absent{i}\"")
}

/// Returns the medians of the rare actor, without and with a proof, in microseconds.
async fn measure(server: &Server, asker: &mut Asker, entries: u64, total: u64) -> (f64, f64) {
    let day = |day: i64| jiff::Timestamp::from_second(events::BEGIN + day * 86_400).unwrap();
    let pages: Vec<String> = questions(entries, total)
        .into_iter()
        .map(|(actor, at)| {
            format!(
                "actor = \"{actor}\" AND occurred_at >= {} AND occurred_at < {}",
                day(at),
                day(at + 1)
            )
        })
        .collect();
    asker
        .ask_all(server, "newest 40 acts of an actor on a day", &pages)
        .await;
    let absent: Vec<String> = (0..QUESTIONS).map(absent).collect();
    asker
        .ask_all(server, "a version that never was", &absent)
        .await;
    // The newest entries of the first tenth, so that the answer is of one size.
    let last = total / 10;
    let rare = format!("actor = \"{}\" AND seq < {last}", events::RARE_ACTOR);
    let rare = vec![rare; QUESTIONS];
    asker.ask_all(server, "a rare actor", &rare).await
}

fn print_times(what: &str, times: &[Duration]) {
    println!(
        "{what}: median {:.0} µs, p95 {:.0} µs",
        micros(percentile(times, 0.5)),
        micros(percentile(times, 0.95))
    );
}

/// What the largest proof consists of; and how long checking takes.
fn print_proof(took: &[Took], largest: &Took) {
    let proof = largest.page.proof.as_ref().unwrap();
    let terms = || proof.segments.iter().flat_map(|segment| &segment.ranges);
    let postings: usize = terms()
        .flat_map(|term| &term.postings)
        .map(Message::encoded_len)
        .sum();
    let leaves: usize = terms().flat_map(|term| &term.leaves).map(Vec::len).sum();
    let runs: usize = proof.runs.iter().map(Message::encoded_len).sum();
    let checking: Vec<Duration> = took.iter().map(|took| took.checking).collect();
    println!(
        "    largest proof {} bytes: {postings} of postings, {leaves} of leaves, {runs} that fold {} entries; \
         checking: median {:.0} µs, longest {:.0} µs",
        largest.proof_bytes(),
        largest.page.entries.len(),
        micros(percentile(&checking, 0.5)),
        micros(percentile(&checking, 1.0)),
    );
}
