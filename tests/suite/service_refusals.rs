//! Refusals name fields and limits: never where the ledger lies, what its key is, or what was sent.

use graven::entry::v1;
use graven::service::client::{LedgerServiceClient, QueryServiceClient};
use tonic::transport::Channel;
use tonic::{Code, Status};

use crate::cli_support::Server;
use crate::service_support::{event, with_id};

/// Stands in everything that is sent.
const MARKER: &str = "Marker-5e0c7";

/// A change that makes an event one to refuse.
type Spoil = fn(&mut v1::Event);

const SPOILT: &[Spoil] = &[
    |event| event.what.as_mut().unwrap().action = format!("{MARKER} \u{1}"),
    |event| event.what.as_mut().unwrap().action = MARKER.repeat(1_000),
    |event| event.what.as_mut().unwrap().targets[0].uri = format!(" {MARKER}"),
    |event| event.who.as_mut().unwrap().actor = format!("{MARKER} x"),
    |event| event.who.as_mut().unwrap().actor = format!("oidc:corp/{}", MARKER.repeat(1_000)),
    |event| event.who.as_mut().unwrap().on_behalf_of = vec![MARKER.into()],
    |event| event.context.as_mut().unwrap().source = format!("{MARKER}\u{7}"),
    |event| event.context.as_mut().unwrap().idempotency_id = MARKER.repeat(1_000).into_bytes(),
    |event| event.who = None,
    |event| {
        event.detail = Some(v1::Detail {
            content: MARKER.repeat(30_000).into_bytes(),
            ..Default::default()
        });
    },
    |event| {
        event.detail = Some(v1::Detail {
            media_type: MARKER.repeat(100),
            ..Default::default()
        });
    },
    |event| {
        event.why = Some(v1::Why {
            reason: format!("{}\u{0}", MARKER.repeat(2_000)),
            ..Default::default()
        });
    },
];

fn marked(number: u64) -> v1::Event {
    let mut marked = event(number);
    marked.what.as_mut().unwrap().targets[0].uri = format!("fs://nfs1/{MARKER}");
    marked.detail = Some(v1::Detail {
        content: MARKER.as_bytes().to_vec(),
        ..Default::default()
    });
    marked
}

fn batch(events: Vec<v1::Event>) -> v1::AppendBatchRequest {
    v1::AppendBatchRequest {
        events,
        ack_level: 0,
    }
}

async fn refused_appends(client: &mut LedgerServiceClient<Channel>) -> Vec<Status> {
    let mut refusals = Vec::new();
    for spoil in SPOILT {
        let mut spoilt = marked(1);
        spoil(&mut spoilt);
        let request = batch(vec![marked(2), spoilt]);
        refusals.extend(client.append_batch(request).await.err());
    }
    assert!(refusals.len() > 8, "{refusals:?}");
    let id = format!("{MARKER}-id");
    let first = batch(vec![with_id(marked(3), &id)]);
    client.append_batch(first).await.unwrap();
    let other = batch(vec![with_id(marked(4), &id)]);
    let conflict = client.append_batch(other).await.unwrap_err();
    assert_eq!(conflict.code(), Code::AlreadyExists);
    refusals.push(conflict);
    refusals.push(client.append_batch(batch(Vec::new())).await.unwrap_err());
    let mut witnessed = batch(vec![marked(5)]);
    witnessed.ack_level = v1::AckLevel::Witnessed.into();
    refusals.push(client.append_batch(witnessed.clone()).await.unwrap_err());
    witnessed.ack_level = 77;
    refusals.push(client.append_batch(witnessed).await.unwrap_err());
    refusals
}

async fn refused_reads(
    client: &mut LedgerServiceClient<Channel>,
    query: &mut QueryServiceClient<Channel>,
) -> Vec<Status> {
    let far = 1 << 40;
    let mut refusals = vec![
        client
            .get_entry(v1::GetEntryRequest { seq: far })
            .await
            .unwrap_err(),
        client
            .get_inclusion_proof(v1::GetInclusionProofRequest {
                seq: 5,
                tree_size: 2,
            })
            .await
            .unwrap_err(),
        client
            .get_consistency_proof(v1::GetConsistencyProofRequest {
                old_size: far,
                new_size: 1,
            })
            .await
            .unwrap_err(),
        client
            .watch_entries(v1::WatchEntriesRequest {
                first_seq: Some(far),
            })
            .await
            .unwrap_err(),
    ];
    let searches = [
        v1::SearchRequest {
            page_size: 5_000,
            ..Default::default()
        },
        v1::SearchRequest {
            page_token: MARKER.into(),
            ..Default::default()
        },
        v1::SearchRequest {
            size: far,
            ..Default::default()
        },
        v1::SearchRequest {
            start: 9,
            end: 3,
            ..Default::default()
        },
    ];
    for search in searches {
        refusals.push(query.search(search).await.unwrap_err());
    }
    let count = v1::CountRequest {
        group_by: "nothing".into(),
        ..Default::default()
    };
    refusals.push(query.count(count).await.unwrap_err());
    let history = v1::GetHistoryRequest {
        target: format!("{MARKER} \u{1}").repeat(1_000),
        ..Default::default()
    };
    refusals.push(query.get_history(history).await.unwrap_err());
    let lineage = v1::GetLineageRequest {
        depth: 1_000,
        ..Default::default()
    };
    refusals.push(query.get_lineage(lineage).await.unwrap_err());
    refusals
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_show_no_path_no_key_and_nothing_that_was_sent() {
    let server = Server::dev();
    let key = std::fs::read_to_string(server.dir.join("log.key")).unwrap();
    // PRIVATE+KEY+name+id+key, and base64 has a plus too.
    let secret = key.trim().splitn(5, '+').last().unwrap().to_owned();
    assert!(secret.len() > 32);
    let mut client = LedgerServiceClient::connect(server.url.clone())
        .await
        .unwrap();
    let mut query = QueryServiceClient::connect(server.url.clone())
        .await
        .unwrap();
    let mut refusals = refused_appends(&mut client).await;
    refusals.extend(refused_reads(&mut client, &mut query).await);
    // What is stored cannot be read any more.
    std::fs::remove_dir_all(server.dir.join("index")).unwrap();
    std::fs::remove_dir_all(server.dir.join("store")).unwrap();
    for seq in 0..4 {
        refusals.extend(client.get_entry(v1::GetEntryRequest { seq }).await.err());
    }
    let segment = query.get_segment(v1::GetSegmentRequest::default()).await;
    refusals.extend(segment.err());
    refusals.extend(query.search(v1::SearchRequest::default()).await.err());
    refusals.extend(client.append_batch(batch(vec![marked(9)])).await.err());
    assert!(refusals.len() > 25);
    let directory = server.dir.to_str().unwrap();
    for refusal in refusals {
        let text = format!(
            "{refusal:?} {} {}",
            refusal.message(),
            String::from_utf8_lossy(refusal.details())
        );
        for hidden in [directory, &secret, MARKER, "store/", ".sst", ".rs:"] {
            assert!(!text.contains(hidden), "{hidden} in {text}");
        }
        assert_ne!(refusal.code(), Code::Unknown, "{text}");
    }
}
