//! Entries that match, as they come: none is skipped, whatever happens to the connection.

use graven::entry::{Header, v1};
use graven::ledger::{SystemClock, SystemEntropy, init};
use graven::service::Authentication;
use graven::service::client::{LedgerServiceClient, QueryServiceClient};
use graven::store::MemoryDisk;
use tokio_stream::StreamExt;
use tonic::transport::Channel;

use super::ledger_support::Random;
use super::service_support::{ORIGIN, TestServer, event, key};

async fn query(server: &TestServer) -> QueryServiceClient<Channel> {
    let client = QueryServiceClient::connect(server.url.clone())
        .await
        .unwrap();
    client.max_decoding_message_size(16 * 1024 * 1024)
}

async fn append(client: &mut LedgerServiceClient<Channel>, numbers: std::ops::Range<u64>) {
    let request = v1::AppendBatchRequest {
        events: numbers.map(event).collect(),
        ..Default::default()
    };
    client.append_batch(request).await.unwrap();
}

fn seqs(answer: &v1::WatchResponse) -> Vec<u64> {
    let headers = answer.entries.iter();
    headers
        .map(|entry| Header::decode(&entry.header).unwrap().seq)
        .collect()
}

/// What the entries from `first` on that have an actor ending in a seven are, below `size`.
fn expected(server: &TestServer, first: u64, size: u64) -> Vec<u64> {
    (first..size)
        .filter(|seq| {
            let facts = server.ledger.entry(*seq).unwrap().facts().unwrap();
            facts.who.actor.ends_with('7')
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_match_is_sent_once_in_order() {
    let server = TestServer::start().await;
    let mut client = server.client().await;
    append(&mut client, 0..700).await;
    let request = v1::WatchRequest {
        filter: "actor = *7".into(),
        first_seq: Some(0),
    };
    let mut answers = query(&server)
        .await
        .watch(request)
        .await
        .unwrap()
        .into_inner();
    let writing = tokio::spawn(async move {
        for start in (700..3_000).step_by(100) {
            append(&mut client, start..start + 100).await;
        }
    });
    let mut found = Vec::new();
    let mut next = 0;
    while next < 3_000 {
        let answer = answers.next().await.unwrap().unwrap();
        assert!(answer.next_seq > next);
        let seqs = seqs(&answer);
        assert!(seqs.iter().all(|seq| (next..answer.next_seq).contains(seq)));
        found.extend(seqs);
        next = answer.next_seq;
    }
    writing.await.unwrap();
    assert_eq!(found, expected(&server, 0, next));
}

#[tokio::test(flavor = "multi_thread")]
async fn progress_is_told_when_nothing_matches() {
    let server = TestServer::start().await;
    let mut client = server.client().await;
    append(&mut client, 0..10).await;
    let request = v1::WatchRequest {
        filter: "actor = nobody".into(),
        first_seq: None,
    };
    let mut answers = query(&server)
        .await
        .watch(request)
        .await
        .unwrap()
        .into_inner();
    append(&mut client, 10..20).await;
    append(&mut client, 20..30).await;
    let mut next = 0;
    while next < 30 {
        let answer = answers.next().await.unwrap().unwrap();
        assert!(answer.entries.is_empty());
        assert!(answer.next_seq > next);
        next = answer.next_seq;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watcher_goes_on_after_a_restart_where_it_was() {
    let disk = MemoryDisk::new();
    init(
        &disk,
        &key(),
        ORIGIN,
        None,
        &SystemClock::default(),
        &SystemEntropy,
    )
    .unwrap();
    let mut random = Random(17);
    let (mut found, mut next, mut written) = (Vec::new(), 0, 0);
    for _ in 0..5 {
        let server = TestServer::on(&disk, Authentication::None, None).await;
        let mut client = server.client().await;
        append(&mut client, written..written + 150).await;
        written += 150;
        // It goes away in the middle of something, a few times.
        for _ in 0..3 {
            let request = v1::WatchRequest {
                filter: "actor = *7".into(),
                first_seq: Some(next),
            };
            let answers = query(&server).await.watch(request).await.unwrap();
            let mut answers = answers.into_inner();
            let until = server.ledger.published().size() - random.below(20);
            while next < until {
                let answer = answers.next().await.unwrap().unwrap();
                found.extend(seqs(&answer));
                next = answer.next_seq;
            }
        }
        let mut all = expected(&server, 0, next);
        assert_eq!(found, all);
        all.dedup();
        assert_eq!(found.len(), all.len());
        drop(client);
        server.stop().await.unwrap();
    }
    assert!(found.len() > 50);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watcher_is_told_that_the_server_ends_and_what_is_wrong() {
    let server = TestServer::start().await;
    let mut query = query(&server).await;
    let mut refused = async |filter: &str, first_seq| {
        let filter = filter.into();
        let request = v1::WatchRequest { filter, first_seq };
        query.watch(request).await.unwrap_err()
    };
    let wrong = refused("acter = x", None).await;
    assert!(wrong.message().contains("did you mean actor"), "{wrong}");
    let beyond = refused("", Some(5)).await;
    assert_eq!(beyond.code(), tonic::Code::OutOfRange);
    let mut answers = query
        .watch(v1::WatchRequest::default())
        .await
        .unwrap()
        .into_inner();
    let stopping = tokio::spawn(server.stop());
    let status = loop {
        match answers.next().await.unwrap() {
            Ok(_) => {}
            Err(status) => break status,
        }
    };
    assert_eq!(status.code(), tonic::Code::Unavailable);
    drop(answers);
    drop(query);
    stopping.await.unwrap().unwrap();
}
