//! Orders over the network: by operators alone, on their own port, sealed with their identity.

use graven::entry::{Kind, Tag, v1};
use graven::service::client::AdminServiceClient;
use prost::Message;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use super::access_support::{Bearer, Governed, ROLES};
use super::service_support::{TestServer, event, with_id};

type Admin = AdminServiceClient<InterceptedService<Channel, Bearer>>;

async fn admin(url: &str, name: Option<&str>) -> Admin {
    let channel = Channel::from_shared(url.to_owned()).unwrap();
    let bearer = Bearer(name.map(|name| format!("Bearer {name}").parse().unwrap()));
    AdminServiceClient::with_interceptor(channel.connect().await.unwrap(), bearer)
}

fn erase(seqs: &[(u64, u64)]) -> v1::EraseRequest {
    let range = |(first_seq, end_seq): &(u64, u64)| v1::SeqRange {
        first_seq: *first_seq,
        end_seq: *end_seq,
    };
    v1::EraseRequest {
        entries: seqs.iter().map(range).collect(),
        ticket: "LEGAL-1".into(),
        reason: "asked for".into(),
        ..Default::default()
    }
}

fn detailed(number: u64) -> v1::Event {
    let mut event = with_id(event(number), &number.to_string());
    event.why = Some(v1::Why {
        reason: format!("reason {number}"),
        ..Default::default()
    });
    event.detail = Some(v1::Detail {
        content: format!("secret {number}").into(),
        ..Default::default()
    });
    event
}

fn append(event: v1::Event) -> v1::AppendRequest {
    v1::AppendRequest {
        event: Some(event),
        ack_level: 0,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_an_operator_orders_and_only_at_the_operators_port() {
    let names = ["writer", "reader", "auditor", "operator"];
    let governed = Governed::start(&names, ROLES).await;
    let (mut writer, _) = governed.clients(Some("writer")).await;
    writer.append(append(detailed(0))).await.unwrap();
    let url = &governed.server.admin;
    for (name, code) in [
        (None, Code::Unauthenticated),
        (Some("stranger"), Code::Unauthenticated),
        (Some("writer"), Code::PermissionDenied),
        (Some("reader"), Code::PermissionDenied),
        (Some("auditor"), Code::PermissionDenied),
    ] {
        let mut client = admin(url, name).await;
        let refusals: [Status; 4] = [
            client.erase(erase(&[(0, 1)])).await.unwrap_err(),
            client
                .place_hold(v1::PlaceHoldRequest::default())
                .await
                .unwrap_err(),
            client
                .release_hold(v1::ReleaseHoldRequest::default())
                .await
                .unwrap_err(),
            client
                .list_holds(v1::ListHoldsRequest {})
                .await
                .unwrap_err(),
        ];
        assert!(
            refusals.iter().all(|status| status.code() == code),
            "{name:?}: {refusals:?}"
        );
    }
    // The operator at the public port.
    let mut public = admin(&governed.server.url, Some("operator")).await;
    let refused = public.erase(erase(&[(0, 1)])).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unimplemented);
    assert_eq!(governed.server.ledger.published().size(), 1);

    let mut operator = admin(url, Some("operator")).await;
    let erased = operator.erase(erase(&[(0, 1)])).await.unwrap().into_inner();
    assert_eq!(erased.erasure_seq, Some(1));
    let sealed = governed.server.ledger.entry(1).unwrap();
    assert_eq!(sealed.header.kind, Kind::Act);
    let envelope = sealed.body.disclosed(Tag::Envelope).unwrap();
    let envelope = v1::Envelope::decode(envelope.as_ref()).unwrap();
    assert_eq!(
        envelope.submitter.as_ref().unwrap().subject,
        "oidc:corp/operator"
    );
    assert_eq!(envelope.authentication(), v1::Authentication::Token);
    assert_eq!(envelope.credential, "operator");

    // A writer that sends the event again learns which entry it is, and gets no receipt.
    let again = writer
        .append(append(detailed(0)))
        .await
        .unwrap()
        .into_inner();
    assert!(again.duplicate && again.receipt.is_none());
    assert_eq!(again.erased_seq, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_by_filter_takes_who_may_read_everything() {
    let grants = r#"
[[grant]]
identity = "oidc:corp/op-reader"
role = "reader"
[[grant]]
identity = "oidc:corp/op-auditor"
role = "auditor"
[[grant]]
identity = "oidc:corp/op-bound"
role = "reader"
sources = ["host:*"]
"#;
    let mut policy = format!("{ROLES}{grants}");
    for name in ["op-reader", "op-auditor", "op-bound"] {
        policy += &format!("[[grant]]\nidentity = \"oidc:corp/{name}\"\nrole = \"operator\"\n");
    }
    let names = ["writer", "operator", "op-reader", "op-auditor", "op-bound"];
    let governed = Governed::start(&names, &policy).await;
    let (mut writer, _) = governed.clients(Some("writer")).await;
    writer.append(append(detailed(0))).await.unwrap();
    let url = &governed.server.admin;
    let by_filter = |dry_run| v1::EraseRequest {
        filter: "reason = \"reason 0\"".into(),
        dry_run,
        ..erase(&[])
    };
    let by_seq = v1::EraseRequest {
        dry_run: true,
        ..erase(&[(0, 1)])
    };
    for (name, may_ask) in [
        ("operator", false),
        ("op-bound", false),
        ("op-reader", true),
        ("op-auditor", true),
    ] {
        let mut client = admin(url, Some(name)).await;
        let plan = client.erase(by_filter(true)).await;
        match plan {
            Ok(plan) => {
                assert!(may_ask, "{name}");
                assert_eq!(plan.into_inner().parts.len(), 2);
            }
            Err(status) => {
                assert!(!may_ask, "{name}: {status:?}");
                assert_eq!(status.code(), Code::PermissionDenied);
                assert!(status.message().contains("dry run by filter"), "{status:?}");
            }
        }
        let plan = client.erase(by_seq.clone()).await.unwrap().into_inner();
        assert_eq!(plan.parts.len(), 2);
    }
    // What leaves an entry is for every operator.
    let mut client = admin(url, Some("operator")).await;
    let erased = client.erase(by_filter(false)).await.unwrap().into_inner();
    assert_eq!(erased.erasure_seqs, [1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_cannot_be_meant_is_refused() {
    let server = TestServer::start().await;
    for number in 0..3 {
        server
            .client()
            .await
            .append(append(detailed(number)))
            .await
            .unwrap();
    }
    let mut client = admin(&server.admin, None).await;
    let with = |change: &dyn Fn(&mut v1::EraseRequest)| {
        let mut request = erase(&[(0, 1)]);
        change(&mut request);
        request
    };
    for (request, field) in [
        (with(&|request| request.ticket.clear()), "ticket"),
        (with(&|request| request.reason.clear()), "reason"),
        (with(&|request| request.entries.clear()), "entries"),
        (with(&|request| request.entries[0].end_seq = 0), "entries"),
        (with(&|request| request.filter = "actor:*".into()), "filter"),
        (with(&|request| request.parts = vec![2]), "parts"),
        (with(&|request| request.parts = vec![77]), "parts"),
        (with(&|request| request.ticket = "x".repeat(513)), "ticket"),
        (
            with(&|request| {
                request.entries.clear();
                request.filter = format!("actor:{}", "x".repeat(4_091));
            }),
            "filter",
        ),
        (
            with(&|request| {
                request.entries = vec![request.entries[0]; 4_097];
            }),
            "entries",
        ),
        (
            with(&|request| {
                request.entries.clear();
                request.filter = "nonsense =".into();
            }),
            "filter",
        ),
    ] {
        let status = client.erase(request).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
        let details = status.get_details_bad_request().unwrap();
        assert_eq!(details.field_violations[0].field, field, "{status:?}");
    }
    let beyond = client.erase(erase(&[(0, 1_000)])).await.unwrap_err();
    assert_eq!(beyond.code(), Code::OutOfRange);

    let hold = v1::PlaceHoldRequest {
        name: "case 9".into(),
        ticket: "CASE-9".into(),
        filter: "target:\"2.py\"".into(),
        ..Default::default()
    };
    let placed = client.place_hold(hold.clone()).await.unwrap().into_inner();
    let twice = client.place_hold(hold).await.unwrap_err();
    assert_eq!(twice.code(), Code::AlreadyExists);
    let held = client.erase(erase(&[(0, 3)])).await.unwrap_err();
    assert_eq!(held.code(), Code::FailedPrecondition);
    let info = held.get_details_error_info().unwrap();
    assert_eq!(
        (
            info.reason.as_str(),
            &*info.metadata["hold"],
            &*info.metadata["seq"]
        ),
        ("UNDER_HOLD", "case 9", "2")
    );
    let holds = client
        .list_holds(v1::ListHoldsRequest {})
        .await
        .unwrap()
        .into_inner()
        .holds;
    assert_eq!((holds.len(), holds[0].seq), (1, placed.seq));
    assert_eq!(
        holds[0].placed_by.as_ref().unwrap().subject,
        "dev:anonymous"
    );

    // A dry run seals nothing.
    let size = server.ledger.published().size();
    let plan = with(&|request| request.dry_run = true);
    let plan = client.erase(plan).await.unwrap().into_inner();
    assert_eq!((plan.erasure_seq, plan.parts.len()), (None, 2));
    assert_eq!(server.ledger.published().size(), size);
    let release = v1::ReleaseHoldRequest {
        name: "case 9".into(),
        ticket: "CASE-9".into(),
        ..Default::default()
    };
    client.release_hold(release.clone()).await.unwrap();
    let gone = client.release_hold(release).await.unwrap_err();
    assert_eq!(gone.code(), Code::NotFound);
    client.erase(erase(&[(0, 3)])).await.unwrap();
    let again = client.erase(erase(&[(0, 3)])).await.unwrap_err();
    assert_eq!(again.code(), Code::FailedPrecondition);
    let info = again.get_details_error_info().unwrap();
    assert_eq!(
        (info.reason.as_str(), &*info.metadata["seq"]),
        ("ALREADY_ERASED", "0")
    );
    server.stop().await.unwrap();
}
