//! Closed loops of appends: every client sends again as soon as it has been answered.

use std::sync::Arc;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use graven::entry::v1;
use graven::service::client::LedgerServiceClient;
use tonic::transport::Channel;

use super::percentile;

/// What came of a load.
pub(crate) struct Load {
    /// Events acknowledged.
    pub(crate) entries: u64,
    /// From the start to the last answer.
    pub(crate) elapsed: Duration,
    /// Of each call.
    pub(crate) latencies: Vec<Duration>,
}

impl Load {
    /// Events a second.
    pub(crate) fn rate(&self) -> f64 {
        self.entries as f64 / self.elapsed.as_secs_f64()
    }

    pub(crate) fn percentile(&self, share: f64) -> Duration {
        percentile(&self.latencies, share)
    }
}

/// How many send, and how much at a time.
#[derive(Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) connections: usize,
    /// Calls under way over each of them.
    pub(crate) in_flight: usize,
    /// Events of a call; of one, the call is `Append`.
    pub(crate) events: usize,
}

impl Shape {
    /// Clients that send one event at a time.
    pub(crate) fn single(clients: usize) -> Self {
        Self {
            connections: clients,
            in_flight: 1,
            events: 1,
        }
    }

    /// Batches of 1,000.
    pub(crate) fn batches(connections: usize, in_flight: usize) -> Self {
        Self {
            connections,
            in_flight,
            events: 1_000,
        }
    }

    /// Calls under way at a time.
    pub(crate) fn clients(self) -> usize {
        self.connections * self.in_flight
    }
}

pub(crate) async fn connect(url: &str) -> LedgerServiceClient<Channel> {
    let channel = Channel::from_shared(url.to_string())
        .unwrap()
        .connect()
        .await
        .unwrap();
    LedgerServiceClient::new(channel)
}

/// Appends to the server at `url` until `duration` is over or there are no more events: `make` gives up to so many.
pub(crate) async fn append(
    url: &str,
    shape: Shape,
    duration: Duration,
    make: impl Fn(usize) -> Vec<v1::Event> + Clone + Send + 'static,
) -> Load {
    let mut clients = Vec::new();
    for _ in 0..shape.connections {
        let client = connect(url).await;
        clients.extend(std::iter::repeat_n(client, shape.in_flight));
    }
    let start = Instant::now();
    let tasks: Vec<_> = clients
        .into_iter()
        .map(|client| {
            let make = make.clone();
            tokio::spawn(run(client, shape.events, start + duration, make))
        })
        .collect();
    let (mut entries, mut latencies) = (0, Vec::new());
    for task in tasks {
        let (appended, times) = task.await.unwrap();
        entries += appended;
        latencies.extend(times);
    }
    Load {
        entries,
        elapsed: start.elapsed(),
        latencies,
    }
}

async fn run(
    mut client: LedgerServiceClient<Channel>,
    most: usize,
    end: Instant,
    make: impl Fn(usize) -> Vec<v1::Event>,
) -> (u64, Vec<Duration>) {
    let (mut entries, mut latencies) = (0, Vec::new());
    while Instant::now() < end {
        let mut events = make(most);
        let Some(last) = events.pop() else {
            break;
        };
        entries += events.len() as u64 + 1;
        let start;
        if most == 1 {
            let request = v1::AppendRequest {
                event: Some(last),
                ack_level: 0,
            };
            start = Instant::now();
            client.append(request).await.unwrap();
        } else {
            events.push(last);
            let request = v1::AppendBatchRequest {
                events,
                ack_level: 0,
            };
            start = Instant::now();
            client.append_batch(request).await.unwrap();
        }
        latencies.push(start.elapsed());
    }
    (entries, latencies)
}

/// Made beforehand: a client that digests files is not what is measured.
static DIGESTS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let digest = |n: u64| format!("sha256:{}", blake3::hash(&n.to_be_bytes()).to_hex());
    (0..4096).map(digest).collect()
});

/// Events without end, each another one, cheap to make: 256 random bytes of detail and ten terms.
pub(crate) fn endless() -> impl Fn(usize) -> Vec<v1::Event> + Clone + Send + 'static {
    let next = Arc::new(AtomicU64::new(0));
    move |count| {
        let first = next.fetch_add(count as u64, Ordering::Relaxed);
        (first..first + count as u64).map(event).collect()
    }
}

pub(crate) fn event(number: u64) -> v1::Event {
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
