//! Reading over gRPC: entries, ranges, watches, proofs, and what is refused.

use graven::entry::Header;
use graven::entry::genesis::Genesis;
use graven::entry::v1;
use graven::merkle::{self, Hash};
use graven::note::Checkpoint;
use tokio_stream::StreamExt;
use tonic::Code;

use super::service_support::{ORIGIN, TestServer, event, verifier};

async fn server_with(entries: u64) -> TestServer {
    let server = TestServer::start().await;
    let mut client = server.client().await;
    for first in (0..entries).step_by(100) {
        let events = (first..entries.min(first + 100)).map(event).collect();
        client
            .append_batch(v1::AppendBatchRequest {
                events,
                ack_level: 0,
            })
            .await
            .unwrap();
    }
    server
}

fn open(note: &str) -> Checkpoint {
    Checkpoint::open(note, ORIGIN, &verifier()).unwrap()
}

fn hashes(proof: &[u8]) -> Vec<Hash> {
    proof
        .chunks(32)
        .map(|hash| hash.try_into().unwrap())
        .collect()
}

fn seqs(entries: &[v1::Entry]) -> Vec<u64> {
    entries
        .iter()
        .map(|entry| Header::decode(&entry.header).unwrap().seq)
        .collect()
}

async fn list(server: &TestServer, request: v1::ListEntriesRequest) -> Vec<u64> {
    let mut client = server.client().await;
    let mut answers = client.list_entries(request).await.unwrap().into_inner();
    let first = answers.next().await.unwrap().unwrap();
    assert_eq!(
        open(&first.checkpoint).size(),
        server.ledger.published().size()
    );
    let mut all = seqs(&first.entries);
    while let Some(answer) = answers.next().await {
        all.extend(seqs(&answer.unwrap().entries));
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_comes_with_its_proof() {
    let server = server_with(300).await;
    let mut client = server.client().await;
    for seq in [0, 1, 255, 256, 299] {
        let answer = client
            .get_entry(v1::GetEntryRequest { seq })
            .await
            .unwrap()
            .into_inner();
        let entry = answer.entry.unwrap();
        let checkpoint = open(&answer.checkpoint);
        let leaf = merkle::leaf_hash(&entry.header);
        merkle::verify_inclusion(
            seq,
            checkpoint.size(),
            &leaf,
            &hashes(&answer.proof),
            checkpoint.root(),
        )
        .unwrap();
        let tags: Vec<u32> = entry.parts.iter().map(|part| part.tag).collect();
        assert_eq!(tags, [1, 2, 3, 4]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ranges_are_read_from_both_ends() {
    let server = server_with(250).await;
    let all: Vec<u64> = (0..250).collect();
    assert_eq!(list(&server, v1::ListEntriesRequest::default()).await, all);
    let request = v1::ListEntriesRequest {
        first_seq: 60,
        end_seq: Some(131),
        limit: 65,
        descending: true,
        ..Default::default()
    };
    assert_eq!(
        list(&server, request).await,
        (66..131).rev().collect::<Vec<u64>>()
    );
    let empty = v1::ListEntriesRequest {
        first_seq: 250,
        ..Default::default()
    };
    assert!(list(&server, empty).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn ranges_of_time_are_ranges_of_seq() {
    let server = server_with(300).await;
    let time = |seq: u64| server.ledger.entry(seq).unwrap().header.recorded_at;
    let (from, before) = (time(100), time(200));
    let request = v1::ListEntriesRequest {
        recorded_from: Some(from),
        recorded_before: Some(before),
        ..Default::default()
    };
    let expected: Vec<u64> = (0..300)
        .filter(|seq| (from..before).contains(&time(*seq)))
        .collect();
    assert!(!expected.is_empty());
    assert_eq!(list(&server, request).await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_skips_nothing_and_ends_with_the_server() {
    let server = server_with(150).await;
    let mut client = server.client().await;
    let request = v1::WatchEntriesRequest {
        first_seq: Some(100),
    };
    let mut watch = client.watch_entries(request).await.unwrap().into_inner();
    let mut appender = server.client().await;
    let appending = tokio::spawn(async move {
        for number in 150..200 {
            let request = v1::AppendRequest {
                event: Some(event(number)),
                ack_level: 0,
            };
            appender.append(request).await.unwrap();
        }
    });
    let mut seen = Vec::new();
    while seen.len() < 100 {
        let answer = watch.next().await.unwrap().unwrap();
        let end = seqs(&answer.entries).last().unwrap() + 1;
        assert!(open(&answer.checkpoint).size() >= end);
        seen.extend(seqs(&answer.entries));
    }
    appending.await.unwrap();
    assert_eq!(seen, (100..200).collect::<Vec<u64>>());
    server.stop().await.unwrap();
    assert_eq!(
        watch.next().await.unwrap().unwrap_err().code(),
        Code::Unavailable
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn proofs_hold_between_all_sizes() {
    let server = server_with(300).await;
    let mut client = server.client().await;
    let newest = open(
        &client
            .get_checkpoint(v1::GetCheckpointRequest {})
            .await
            .unwrap()
            .into_inner()
            .checkpoint,
    );
    let leaves: Vec<Hash> = (0..300)
        .map(|seq| server.ledger.entry(seq).unwrap().header.leaf_hash())
        .collect();
    let root = |size: usize| {
        let mut frontier = merkle::Frontier::new();
        leaves[..size].iter().for_each(|leaf| frontier.push(*leaf));
        frontier.root()
    };
    assert_eq!(*newest.root(), root(300));
    for old in [1, 2, 255, 256, 257, 300] {
        let request = v1::GetConsistencyProofRequest {
            old_size: old,
            new_size: 0,
        };
        let answer = client
            .get_consistency_proof(request)
            .await
            .unwrap()
            .into_inner();
        let proof = hashes(&answer.proof);
        merkle::verify_consistency(old, 300, &proof, &root(old as usize), newest.root()).unwrap();
        let request = v1::GetInclusionProofRequest {
            seq: old - 1,
            tree_size: old,
        };
        let answer = client
            .get_inclusion_proof(request)
            .await
            .unwrap()
            .into_inner();
        let (leaf, proof) = (&leaves[old as usize - 1], hashes(&answer.proof));
        merkle::verify_inclusion(old - 1, old, leaf, &proof, &root(old as usize)).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_exist_is_refused() {
    let server = server_with(10).await;
    let mut client = server.client().await;
    let seq = client
        .get_entry(v1::GetEntryRequest { seq: 10 })
        .await
        .unwrap_err();
    assert_eq!(seq.code(), Code::OutOfRange);
    assert!(
        seq.message()
            .contains("seq 10 is beyond the newest checkpoint, which has size 10")
    );
    let proof = v1::GetInclusionProofRequest {
        seq: 1,
        tree_size: 11,
    };
    assert_eq!(
        client.get_inclusion_proof(proof).await.unwrap_err().code(),
        Code::OutOfRange
    );
    let proof = v1::GetInclusionProofRequest {
        seq: 5,
        tree_size: 5,
    };
    assert_eq!(
        client.get_inclusion_proof(proof).await.unwrap_err().code(),
        Code::OutOfRange
    );
    for (old_size, new_size, code) in [
        (0, 5, Code::InvalidArgument),
        (6, 5, Code::InvalidArgument),
        (5, 11, Code::OutOfRange),
    ] {
        let request = v1::GetConsistencyProofRequest { old_size, new_size };
        assert_eq!(
            client
                .get_consistency_proof(request)
                .await
                .unwrap_err()
                .code(),
            code
        );
    }
    let watch = v1::WatchEntriesRequest {
        first_seq: Some(11),
    };
    assert_eq!(
        client.watch_entries(watch).await.unwrap_err().code(),
        Code::OutOfRange
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn genesis_comes_with_entry_0_which_is_chained_to_it() {
    let server = TestServer::start().await;
    let mut client = server.client().await;
    let answer = client
        .get_genesis(v1::GetGenesisRequest {})
        .await
        .unwrap()
        .into_inner();
    assert!(answer.first_entry.is_none());
    let request = v1::AppendRequest {
        event: Some(event(1)),
        ack_level: 0,
    };
    client.append(request).await.unwrap();
    let answer = client
        .get_genesis(v1::GetGenesisRequest {})
        .await
        .unwrap()
        .into_inner();
    let genesis = Genesis::decode(&answer.descriptor).unwrap();
    assert_eq!(
        (genesis.origin(), genesis.verifier_key()),
        (ORIGIN, &verifier())
    );
    let entry = answer.first_entry.unwrap().entry.unwrap();
    assert_eq!(Header::decode(&entry.header).unwrap().prev, genesis.hash());
}

#[tokio::test(flavor = "multi_thread")]
async fn health_and_reflection_answer() {
    let server = TestServer::start().await;
    let channel = tonic::transport::Channel::from_shared(server.url.clone()).unwrap();
    let channel = channel.connect().await.unwrap();
    let mut health = tonic_health::pb::health_client::HealthClient::new(channel.clone());
    let request = tonic_health::pb::HealthCheckRequest {
        service: "graven.v1.LedgerService".into(),
    };
    let answer = health.check(request).await.unwrap().into_inner();
    assert_eq!(
        answer.status,
        tonic_health::pb::health_check_response::ServingStatus::Serving as i32
    );
    use tonic_reflection::pb::v1 as reflection;
    let mut public = reflection::server_reflection_client::ServerReflectionClient::new(channel);
    let admin = tonic::transport::Channel::from_shared(server.admin.clone()).unwrap();
    let admin = admin.connect().await.unwrap();
    let mut client = reflection::server_reflection_client::ServerReflectionClient::new(admin);
    let request = reflection::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(
            reflection::server_reflection_request::MessageRequest::ListServices(String::new()),
        ),
    };
    let refused = public
        .server_reflection_info(tokio_stream::iter([request.clone()]))
        .await;
    assert_eq!(refused.unwrap_err().code(), tonic::Code::Unimplemented);
    let mut answers = client
        .server_reflection_info(tokio_stream::iter([request]))
        .await
        .unwrap()
        .into_inner();
    let answer = answers.next().await.unwrap().unwrap();
    let Some(reflection::server_reflection_response::MessageResponse::ListServicesResponse(list)) =
        answer.message_response
    else {
        panic!("no list of services");
    };
    assert!(
        list.service
            .iter()
            .any(|service| service.name == "graven.v1.LedgerService")
    );
}
