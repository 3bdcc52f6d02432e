//! What one identity, and all together, can take of the server, through a real client.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use graven::entry::v1;
use graven::ledger::{self, Clock, Ledger, Options, SystemEntropy};
use graven::service::client::QueryServiceClient;
use graven::service::{Admission, Authentication, Bucket, Limits};
use graven::store::MemoryDisk;
use prost::Message;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::service_support::{ORIGIN, TestServer, event, key};

/// A clock that stands still unless it is moved.
#[derive(Default)]
struct Hand(AtomicU64);

impl Clock for Hand {
    fn unix_nanos(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }

    fn monotonic(&self) -> Duration {
        Duration::from_nanos(self.unix_nanos())
    }
}

async fn server(limits: Limits, clock: &Arc<Hand>) -> TestServer {
    limits.check().unwrap();
    TestServer::admitting(Admission {
        authentication: Authentication::None,
        limits,
        clock: Arc::clone(clock) as _,
    })
    .await
}

fn batch(count: u64) -> v1::AppendBatchRequest {
    v1::AppendBatchRequest {
        events: (0..count).map(event).collect(),
        ack_level: 0,
    }
}

/// The delay of a refusal that says when to come back.
fn delay(status: &Status) -> Duration {
    assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
    let info = status.get_details_retry_info().unwrap();
    info.retry_delay.unwrap()
}

#[test]
fn a_bucket_gives_its_burst_and_then_its_rate() {
    let second = Duration::from_secs(1);
    let mut bucket = Bucket::new(10, 2 * second);
    let now = 5 * second;
    assert_eq!(bucket.take(15, now), Ok(()));
    assert_eq!(bucket.take(5, now), Ok(()));
    assert_eq!(bucket.take(1, now), Err(second / 10));
    assert_eq!(bucket.take(1, now + second / 10), Ok(()));
    assert_eq!(bucket.take(1, now + second / 10), Err(second / 10));
    assert_eq!(bucket.take(20, now + 3 * second), Ok(()));
}

#[test]
fn more_than_a_bucket_holds_is_given_when_it_is_full_and_waited_for_afterwards() {
    let second = Duration::from_secs(1);
    let mut bucket = Bucket::new(10, second);
    assert_eq!(bucket.take(50, Duration::ZERO), Ok(()));
    assert_eq!(
        bucket.take(1, Duration::ZERO),
        Err(4 * second + second / 10)
    );
    assert_eq!(bucket.take(50, 3 * second), Err(2 * second));
    assert_eq!(bucket.take(50, 5 * second), Ok(()));
    assert!(bucket.take(u64::MAX, 5 * second).is_err());
}

#[tokio::test]
async fn who_appends_too_fast_is_told_when_to_go_on() {
    let clock = Arc::new(Hand::default());
    let limits = Limits {
        entries_per_second: 10,
        burst: Duration::from_secs(1),
        ..Limits::default()
    };
    let server = server(limits, &clock).await;
    let mut client = server.client().await;
    client.append_batch(batch(10)).await.unwrap();
    let size = server.ledger.published().size();
    let refusal = client.append_batch(batch(5)).await.unwrap_err();
    assert_eq!(delay(&refusal), Duration::from_millis(500));
    assert_eq!(server.ledger.published().size(), size);
    clock.0.fetch_add(500_000_000, Ordering::SeqCst);
    client.append_batch(batch(5)).await.unwrap();
    server.stop().await.unwrap();
}

#[tokio::test]
async fn bytes_count_as_entries_do() {
    let clock = Arc::new(Hand::default());
    let limits = Limits {
        bytes_per_second: 100,
        burst: Duration::ZERO,
        ..Limits::default()
    };
    let server = server(limits, &clock).await;
    let mut client = server.client().await;
    client.append_batch(batch(10)).await.unwrap();
    let refusal = client.append_batch(batch(1)).await.unwrap_err();
    assert!(delay(&refusal) > Duration::from_secs(1));
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_stream_too_many_is_refused_until_another_has_ended() {
    let clock = Arc::new(Hand::default());
    let limits = Limits {
        streams: 1,
        ..Limits::default()
    };
    let server = server(limits, &clock).await;
    let mut client = server.client().await;
    client.append_batch(batch(1)).await.unwrap();
    let request = v1::WatchEntriesRequest { first_seq: Some(0) };
    let mut stream = client.watch_entries(request).await.unwrap();
    let first = stream.get_mut().message().await.unwrap();
    assert!(first.is_some());
    let refusal = client.watch_entries(request).await.unwrap_err();
    assert!(delay(&refusal) > Duration::ZERO);
    drop(stream);
    while let Err(refusal) = client.watch_entries(request).await {
        assert_eq!(refusal.code(), Code::ResourceExhausted);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_reader_that_takes_nothing_is_let_go() {
    let clock = Arc::new(Hand::default());
    let limits = Limits {
        scans: 1,
        stall_time: Duration::from_millis(300),
        ..Limits::default()
    };
    let server = server(limits, &clock).await;
    let mut client = server.client().await;
    // More than the windows of a connection and of a stream hold.
    for number in 0..40 {
        let mut large = event(number);
        large.detail = Some(v1::Detail {
            content: number.to_be_bytes().repeat(25_000),
            ..Default::default()
        });
        client
            .append_batch(v1::AppendBatchRequest {
                events: vec![large.clone(), large],
                ack_level: 0,
            })
            .await
            .unwrap();
    }
    let endpoint = tonic::transport::Endpoint::from_shared(server.url.clone())
        .unwrap()
        .initial_stream_window_size(64 * 1024);
    let channel = endpoint.connect().await.unwrap();
    let mut slow = graven::service::client::LedgerServiceClient::new(channel);
    let request = v1::ListEntriesRequest::default();
    let mut list = slow.list_entries(request).await.unwrap().into_inner();
    // Its place is another's only once it is gone, so what waits for one shows when that is.
    tokio::time::sleep(Duration::from_millis(900)).await;
    let mut taken = 0;
    let refusal = loop {
        match list.message().await {
            Ok(Some(_)) => taken += 1,
            Ok(None) => panic!("the whole list came: {taken} messages"),
            Err(refusal) => break refusal,
        }
    };
    assert_eq!(refusal.code(), Code::ResourceExhausted, "{refusal:?}");
    assert!(
        refusal.message().contains("nothing was taken"),
        "{refusal:?}"
    );
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_question_waits_for_a_place_and_a_slow_reader_keeps_it() {
    let clock = Arc::new(Hand::default());
    let limits = Limits {
        scans: 1,
        ..Limits::default()
    };
    let server = server(limits, &clock).await;
    let mut client = server.client().await;
    client.append_batch(batch(3)).await.unwrap();
    let mut query = QueryServiceClient::connect(server.url.clone())
        .await
        .unwrap();
    let search = v1::SearchRequest::default();
    for _ in 0..20 {
        query.search(search.clone()).await.unwrap();
    }
    let mut questions = Vec::new();
    for _ in 0..20 {
        let (mut query, search) = (query.clone(), search.clone());
        questions.push(tokio::spawn(async move { query.search(search).await }));
    }
    for question in questions {
        question.await.unwrap().unwrap();
    }
    server.stop().await.unwrap();
}

#[tokio::test]
async fn requests_hold_no_more_bytes_than_they_may() {
    let clock = Arc::new(Hand::default());
    let limits = Limits {
        request_bytes: 2_000,
        ..Limits::default()
    };
    let server = server(limits, &clock).await;
    let mut client = server.client().await;
    let request = batch(100);
    assert!(request.encoded_len() > 2_000);
    let refusal = client.append_batch(request).await.unwrap_err();
    assert!(delay(&refusal) > Duration::ZERO);
    // What was held is given back.
    for _ in 0..20 {
        client.append_batch(batch(5)).await.unwrap();
    }
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_connection_too_many_of_one_identity_is_refused() {
    let clock = Arc::new(Hand::default());
    let limits = Limits {
        connections: 1,
        ..Limits::default()
    };
    let server = server(limits, &clock).await;
    let mut first = server.client().await;
    first.append_batch(batch(1)).await.unwrap();
    let mut second = server.client().await;
    let refusal = second.append_batch(batch(1)).await.unwrap_err();
    assert!(delay(&refusal) > Duration::ZERO);
    first.append_batch(batch(1)).await.unwrap();
    drop(first);
    while let Err(refusal) = second.append_batch(batch(1)).await {
        assert_eq!(refusal.code(), Code::ResourceExhausted);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    server.stop().await.unwrap();
}

#[test]
fn limits_within_which_nobody_can_do_anything_are_refused() {
    let none = [
        Limits {
            calls: 0,
            ..Limits::default()
        },
        Limits {
            scans: 0,
            ..Limits::default()
        },
        Limits {
            request_bytes: 0,
            ..Limits::default()
        },
        Limits {
            entries_per_second: 0,
            ..Limits::default()
        },
        Limits {
            stall_time: Duration::ZERO,
            ..Limits::default()
        },
    ];
    for limits in none {
        assert!(limits.check().unwrap_err().starts_with("limits: "));
    }
}

/// A clock that leaps whenever somebody looks at it.
struct Leaping {
    now: AtomicU64,
    leap: Duration,
}

impl Clock for Leaping {
    fn unix_nanos(&self) -> u64 {
        self.now.load(Ordering::SeqCst)
    }

    fn monotonic(&self) -> Duration {
        let leap = self.leap.as_nanos() as u64;
        Duration::from_nanos(self.now.fetch_add(leap, Ordering::SeqCst))
    }
}

/// The windows of the pages of an answer, and the seqs in them.
async fn pages(server: &TestServer) -> (Vec<Range<u64>>, usize) {
    let mut query = QueryServiceClient::connect(server.url.clone())
        .await
        .unwrap();
    let mut request = v1::SearchRequest {
        filter: "source = \"test\"".into(),
        prove: true,
        ..Default::default()
    };
    let (mut windows, mut entries) = (Vec::new(), 0);
    loop {
        let page = query.search(request.clone()).await.unwrap().into_inner();
        windows.push(page.start..page.end);
        entries += page.entries.len();
        if page.next_page_token.is_empty() {
            return (windows, entries);
        }
        request.page_token = page.next_page_token;
    }
}

#[tokio::test]
async fn a_page_that_takes_too_long_ends_and_the_next_one_goes_on() {
    let disk = MemoryDisk::new();
    let clock = Arc::new(Leaping {
        now: AtomicU64::new(1 << 60),
        leap: Duration::from_nanos(1),
    });
    ledger::init(&disk, &key(), ORIGIN, None, &*clock, &SystemEntropy).unwrap();
    let mut answers = Vec::new();
    for leap in [Duration::from_nanos(1), Duration::from_secs(3)] {
        let clock = Arc::new(Leaping {
            now: AtomicU64::new(clock.unix_nanos()),
            leap,
        });
        let disk = disk.clone();
        let ledger = tokio::task::spawn_blocking(move || {
            let options = Options {
                key: key(),
                origin: ORIGIN.into(),
                adopt: false,
                known_checkpoints: Vec::new(),
                clock,
                entropy: Arc::new(SystemEntropy),
            };
            Arc::new(Ledger::open(&disk, options).unwrap())
        });
        let server = TestServer::of(ledger.await.unwrap()).await;
        if leap < Duration::from_secs(1) {
            server.client().await.append_batch(batch(10)).await.unwrap();
        }
        answers.push(pages(&server).await);
        let ledger = Arc::clone(&server.ledger);
        server.stop().await.unwrap();
        tokio::task::spawn_blocking(move || ledger.close())
            .await
            .unwrap();
    }
    let (whole, cut) = (&answers[0], &answers[1]);
    assert_eq!(whole.0.len(), 1);
    assert!(cut.0.len() > 2, "{cut:?}");
    assert_eq!(whole.1, cut.1);
    let joined = cut.0.windows(2).all(|pair| pair[0].end == pair[1].start);
    assert!(joined, "{cut:?}");
}
