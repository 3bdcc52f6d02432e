//! History and lineage over gRPC.

use graven::entry::{json, v1};
use graven::service::client::QueryServiceClient;
use tonic::Code;

use super::inquiry_support::LAB;
use super::service_support::TestServer;

type Client = QueryServiceClient<tonic::transport::Channel>;

async fn lab(server: &TestServer) -> Client {
    let mut client = server.client().await;
    for line in LAB.lines() {
        let event = json::read(line).unwrap();
        client
            .append(v1::AppendRequest {
                event: Some(event),
                ..Default::default()
            })
            .await
            .unwrap();
    }
    QueryServiceClient::connect(server.url.clone())
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_has_its_changes_and_says_its_checkpoint() {
    let server = TestServer::start().await;
    let mut client = lab(&server).await;
    let request = v1::GetHistoryRequest {
        target: "fs://lustre-1/envs/shared/adamw.py".into(),
        ..Default::default()
    };
    let answer = client
        .get_history(request.clone())
        .await
        .unwrap()
        .into_inner();
    assert!(answer.size >= 15);
    assert!(
        answer.checkpoint.starts_with("test.example/ledger\n"),
        "{}",
        answer.checkpoint
    );
    assert!(!answer.cut_off);
    let seqs: Vec<u64> = answer
        .steps
        .iter()
        .map(|step| match step.step.as_ref().unwrap() {
            v1::history_step::Step::Change(change) => change.act.as_ref().unwrap().seq,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(seqs.len(), 2);
    let size = seqs[1];
    let earlier = v1::GetHistoryRequest { size, ..request };
    let answer = client.get_history(earlier).await.unwrap().into_inner();
    assert_eq!((answer.size, answer.steps.len()), (size, 1));
    for (target, size) in [("", 0), ("fs://n/a", 1_000)] {
        let request = v1::GetHistoryRequest {
            target: target.into(),
            size,
            ..Default::default()
        };
        let error = client.get_history(request).await.unwrap_err();
        assert!(
            matches!(error.code(), Code::InvalidArgument | Code::OutOfRange),
            "{error:?}"
        );
    }
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn lineage_is_that_of_the_command_line() {
    use v1::get_lineage_request::Start;
    let server = TestServer::start().await;
    let mut client = lab(&server).await;
    let request = v1::GetLineageRequest {
        start: Some(Start::Run("42".into())),
        direction: v1::LineageDirection::All.into(),
        ..Default::default()
    };
    let answer = client
        .get_lineage(request.clone())
        .await
        .unwrap()
        .into_inner();
    assert!(answer.found && !answer.cut_off, "{answer:?}");
    assert_eq!(
        answer.nodes[0].node,
        Some(v1::lineage_node::Node::Run("42".into()))
    );
    assert_eq!(answer.nodes[0].gpus, Some(512));
    let inferred: Vec<&v1::LineageEdge> = answer
        .edges
        .iter()
        .filter(|edge| edge.evidence() == v1::Evidence::Inferred)
        .collect();
    assert!(inferred.len() >= 3, "{inferred:?}");
    assert!(inferred.iter().all(|edge| edge.basis.is_some()));
    let few = v1::GetLineageRequest {
        nodes: 3,
        ..request.clone()
    };
    let answer = client.get_lineage(few).await.unwrap().into_inner();
    assert_eq!(answer.nodes.len(), 3);
    assert!(!answer.cuts.is_empty());
    let wrong = [
        v1::GetLineageRequest {
            start: None,
            ..request.clone()
        },
        v1::GetLineageRequest {
            start: Some(Start::Digest("hello\" OR x".into())),
            ..request.clone()
        },
        v1::GetLineageRequest {
            start: Some(Start::Run(String::new())),
            ..request.clone()
        },
        v1::GetLineageRequest {
            depth: 65,
            ..request.clone()
        },
        v1::GetLineageRequest {
            nodes: 501,
            ..request.clone()
        },
        v1::GetLineageRequest {
            size: 1_000_000,
            ..request
        },
    ];
    for request in wrong {
        let error = client.get_lineage(request.clone()).await.unwrap_err();
        assert!(
            matches!(error.code(), Code::InvalidArgument | Code::OutOfRange),
            "{request:?}: {error:?}"
        );
    }
    server.stop().await.unwrap();
}
