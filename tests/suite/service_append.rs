//! Appending over gRPC: every acknowledgement binds what was sent, every refusal says why.

use bytes::Bytes;
use graven::entry::{CheckedEvent, v1};
use graven::verify::verify_receipt;
use prost::Message;
use tokio_stream::StreamExt;
use tonic::Code;
use tonic_types::StatusExt;

use super::service_support::{TestServer, event, expected, with_id};

fn check(event: &v1::Event) -> CheckedEvent {
    CheckedEvent::check(&Bytes::from(event.encode_to_vec())).unwrap()
}

fn verified_seqs(receipt: &v1::Receipt, events: &[v1::Event]) -> Vec<u64> {
    let checked: Vec<CheckedEvent> = events.iter().map(check).collect();
    let checked: Vec<&CheckedEvent> = checked.iter().collect();
    let headers = verify_receipt(receipt, &checked, &expected()).unwrap();
    headers.iter().map(|header| header.seq).collect()
}

fn append(event: v1::Event) -> v1::AppendRequest {
    v1::AppendRequest {
        event: Some(event),
        ack_level: 0,
    }
}

fn batch(events: Vec<v1::Event>) -> v1::AppendBatchRequest {
    v1::AppendBatchRequest {
        events,
        ack_level: 0,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_event_is_acknowledged_with_a_receipt_that_binds_it() {
    let server = TestServer::start().await;
    let mut client = server.client().await;
    for number in 0..5 {
        let answer = client
            .append(append(event(number)))
            .await
            .unwrap()
            .into_inner();
        assert!(!answer.duplicate);
        let receipt = answer.receipt.unwrap();
        assert_eq!(verified_seqs(&receipt, &[event(number)]), [number]);
        let other = [check(&event(number + 1))];
        assert!(verify_receipt(&receipt, &[&other[0]], &expected()).is_err());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_contiguous_and_in_order() {
    let server = TestServer::start().await;
    let mut client = server.client().await;
    client.append(append(event(99))).await.unwrap();
    let events: Vec<v1::Event> = (0..1000).map(event).collect();
    let answer = client
        .append_batch(batch(events.clone()))
        .await
        .unwrap()
        .into_inner();
    let seqs = verified_seqs(&answer.receipt.unwrap(), &events);
    assert_eq!(seqs, (1..=1000).collect::<Vec<u64>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_with_one_bad_event_appends_nothing_and_names_the_field() {
    let server = TestServer::start().await;
    let mut client = server.client().await;
    let mut events: Vec<v1::Event> = (0..10).map(event).collect();
    events[7].what.as_mut().unwrap().action = "Not An Action".into();
    let status = client.append_batch(batch(events)).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    let violations = status.get_details_bad_request().unwrap().field_violations;
    assert_eq!(violations[0].field, "events[7].what.action");
    assert_eq!(server.ledger.published().size(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_has_1_to_1000_events() {
    let server = TestServer::start().await;
    let mut client = server.client().await;
    for count in [0, 1001] {
        let events = (0..count).map(event).collect();
        let status = client.append_batch(batch(events)).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{count}");
        assert!(
            status.message().contains("from 1 to 1000"),
            "{}",
            status.message()
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_is_the_same_entry_proved_anew() {
    let server = TestServer::start().await;
    let mut client = server.client().await;
    let sent = with_id(event(1), "attempt-1");
    let first = client
        .append(append(sent.clone()))
        .await
        .unwrap()
        .into_inner();
    client.append(append(event(2))).await.unwrap();
    let again = client
        .append(append(sent.clone()))
        .await
        .unwrap()
        .into_inner();
    assert!(!first.duplicate && again.duplicate);
    let receipt = again.receipt.unwrap();
    assert_eq!(verified_seqs(&receipt, std::slice::from_ref(&sent)), [0]);
    assert_ne!(receipt.checkpoint, first.receipt.unwrap().checkpoint);
    assert_eq!(server.ledger.published().size(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn duplicates_inside_a_batch_and_partly_in_are_told_apart() {
    let server = TestServer::start().await;
    let mut client = server.client().await;
    client.append(append(with_id(event(1), "a"))).await.unwrap();
    let events = vec![
        event(10),
        with_id(event(1), "a"),
        with_id(event(2), "b"),
        with_id(event(2), "b"),
        event(11),
    ];
    let answer = client
        .append_batch(batch(events.clone()))
        .await
        .unwrap()
        .into_inner();
    let new = [events[0].clone(), events[2].clone(), events[4].clone()];
    assert_eq!(verified_seqs(&answer.receipt.unwrap(), &new), [1, 2, 3]);
    let found: Vec<(u32, u64)> = answer
        .duplicates
        .iter()
        .map(|duplicate| {
            let receipt = duplicate.receipt.as_ref().unwrap();
            let sent = &events[duplicate.index as usize];
            (
                duplicate.index,
                verified_seqs(receipt, std::slice::from_ref(sent))[0],
            )
        })
        .collect();
    assert_eq!(found, [(1, 0), (3, 2)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_with_other_content_is_refused_naming_both() {
    let server = TestServer::start().await;
    let mut client = server.client().await;
    client.append(append(with_id(event(1), "a"))).await.unwrap();
    let events = vec![event(5), with_id(event(2), "a")];
    let status = client.append_batch(batch(events)).await.unwrap_err();
    assert_eq!(status.code(), Code::AlreadyExists);
    let info = status.get_details_error_info().unwrap();
    assert_eq!(info.reason, "ID_HAS_OTHER_CONTENT");
    assert_eq!(
        (
            info.metadata["index"].as_str(),
            info.metadata["seq"].as_str()
        ),
        ("1", "0")
    );
    let events = vec![with_id(event(3), "c"), with_id(event(4), "c")];
    let status = client.append_batch(batch(events)).await.unwrap_err();
    assert!(
        status.message().contains("of event 0 of the same request"),
        "{}",
        status.message()
    );
    assert_eq!(server.ledger.published().size(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_is_acknowledged_in_order() {
    let server = TestServer::start().await;
    let mut client = server.client().await;
    let events: Vec<v1::Event> = (0..2500).map(event).collect();
    let requests: Vec<_> = events
        .iter()
        .map(|event| v1::AppendStreamRequest {
            event: Some(event.clone()),
        })
        .collect();
    let answers = client
        .append_stream(tokio_stream::iter(requests))
        .await
        .unwrap()
        .into_inner();
    let answers: Vec<v1::AppendStreamResponse> = answers.map(Result::unwrap).collect().await;
    let mut rest = events.as_slice();
    let mut next = 0;
    for answer in answers {
        let (these, behind) = rest.split_at(answer.events as usize);
        let seqs = verified_seqs(&answer.receipt.unwrap(), these);
        // The ledger's seals may stand between two runs.
        let first = seqs[0];
        assert!((next..next + 8).contains(&first), "{first} after {next}");
        next = first + these.len() as u64;
        assert_eq!(seqs, (first..next).collect::<Vec<u64>>());
        rest = behind;
    }
    assert!(rest.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_answers_what_came_before_the_event_it_refuses() {
    let server = TestServer::start().await;
    let mut client = server.client().await;
    client
        .append(append(with_id(event(0), "taken")))
        .await
        .unwrap();
    let bad = [event(0), with_id(event(7), "taken")];
    for (kind, code) in [(0, Code::InvalidArgument), (1, Code::AlreadyExists)] {
        let before = server.ledger.published().size();
        let mut events: Vec<v1::Event> = (10..15).map(event).collect();
        let mut refused = bad[kind].clone();
        if kind == 0 {
            refused.context = None;
        }
        events.push(refused);
        events.push(event(99));
        let requests = events
            .into_iter()
            .map(|event| v1::AppendStreamRequest { event: Some(event) });
        let requests: Vec<_> = requests.collect();
        let mut answers = client
            .append_stream(tokio_stream::iter(requests))
            .await
            .unwrap()
            .into_inner();
        let mut acknowledged = 0;
        let status = loop {
            match answers.next().await.unwrap() {
                Ok(answer) => acknowledged += answer.events,
                Err(status) => break status,
            }
        };
        assert_eq!((status.code(), acknowledged), (code, 5));
        assert!(
            status.message().starts_with("event 5:"),
            "{}",
            status.message()
        );
        assert_eq!(server.ledger.published().size(), before + 5);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_level_that_cannot_be_had_is_refused() {
    let server = TestServer::start().await;
    let mut client = server.client().await;
    for (level, code) in [(2, Code::FailedPrecondition), (9, Code::InvalidArgument)] {
        let request = v1::AppendRequest {
            event: Some(event(1)),
            ack_level: level,
        };
        assert_eq!(client.append(request).await.unwrap_err().code(), code);
    }
    assert_eq!(server.ledger.published().size(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_clients_at_once_lose_and_mix_up_nothing() {
    let server = TestServer::start().await;
    let mut tasks = Vec::new();
    for client_number in 0..16u64 {
        let mut client = server.client().await;
        tasks.push(tokio::spawn(async move {
            let mut seqs = Vec::new();
            for number in 0..50 {
                let sent = event(client_number * 1000 + number);
                let answer = client
                    .append(append(sent.clone()))
                    .await
                    .unwrap()
                    .into_inner();
                seqs.extend(verified_seqs(&answer.receipt.unwrap(), &[sent]));
            }
            seqs
        }));
    }
    let mut all = Vec::new();
    for task in tasks {
        let seqs = task.await.unwrap();
        assert!(seqs.is_sorted());
        all.extend(seqs);
    }
    all.sort_unstable();
    assert_eq!(all, (0..800).collect::<Vec<u64>>());
}
