//! Who may do what: nothing without a grant, each call by a rule, and no more than the bounds of a grant.

use std::time::Duration;

use graven::entry::{Header, Tag, json, v1};
use graven::service::access::{Policy, Role, Rule, allowed, rule};
use prost::Message;
use tokio_stream::StreamExt;
use tonic::{Code, Status};

use super::access_support::{Governed, ROLES, policy, reason};
use super::service_support::event;

/// Grants with bounds.
const BOUND: &str = r#"
[[grant]]
identity = "oidc:corp/bound"
role = "reader"
targets = ["fs://a/*", "fs://b/one"]
sources = ["collector-*"]
[[grant]]
identity = "oidc:corp/bound"
role = "reader"
targets = ["s3://models/*"]
"#;

/// Every method that the server has, as `/package.Service/Method`.
pub(super) fn methods() -> Vec<String> {
    let sets = [
        graven::service::DESCRIPTORS,
        tonic_health::pb::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
    ];
    let mut methods = Vec::new();
    for set in sets {
        for file in prost_types::FileDescriptorSet::decode(set).unwrap().file {
            for service in &file.service {
                let service_name = format!("{}.{}", file.package(), service.name());
                let paths = service.method.iter();
                methods.extend(paths.map(|method| format!("/{service_name}/{}", method.name())));
            }
        }
    }
    assert!(methods.len() >= 19, "{methods:?}");
    methods
}

#[test]
fn every_method_has_a_rule() {
    for method in methods() {
        assert!(
            rule(&method).is_some(),
            "no rule says who may call {method}"
        );
    }
    for nothing in [
        "",
        "/",
        "/graven.v1.LedgerService/Erase",
        "/graven.v1.LedgerService/append",
    ] {
        assert_eq!(rule(nothing), None);
        assert!(Role::ALL.iter().all(|role| !allowed(*role, nothing)));
    }
}

#[test]
fn each_role_has_its_calls_and_no_others() {
    let calls = |role| {
        let methods = methods();
        let may = methods.iter().filter(|method| allowed(role, method));
        let mut names: Vec<String> = may
            .filter(|method| method.starts_with("/graven."))
            .map(|method| method.rsplit('/').next().unwrap().to_owned())
            .collect();
        names.sort_unstable();
        names.join(" ")
    };
    let proofs = "GetCheckpoint GetConsistencyProof GetGenesis GetInclusionProof";
    assert_eq!(
        calls(Role::Operator),
        "BackUp Erase GetCheckpoint GetConsistencyProof GetGenesis GetInclusionProof ListHolds PlaceHold ReleaseHold"
    );
    assert_eq!(
        calls(Role::Writer),
        format!("Append AppendBatch AppendStream {proofs}")
    );
    let reads = "Count GetCheckpoint GetConsistencyProof GetEntry GetGenesis GetHistory \
                 GetInclusionProof GetLineage GetSegment ListEntries Search Watch WatchEntries";
    assert_eq!(calls(Role::Reader), reads);
    assert_eq!(calls(Role::Auditor), reads);
    assert_eq!(rule("/grpc.health.v1.Health/Check"), Some(Rule::Anybody));
}

#[test]
fn a_policy_that_cannot_be_meant_is_refused() {
    let bad = [
        (
            "[[grant]]\nidentity = \"oidc:c/a\"\nrole = \"admin\"",
            "unknown variant",
        ),
        ("[[grant]]\nidentity = \"oidc:c/a\"", "missing field `role`"),
        (
            "[[grants]]\nidentity = \"oidc:c/a\"\nrole = \"reader\"",
            "unknown field",
        ),
        (
            "[[grant]]\nidentity = \"oidc:c/a\"\nrole = \"reader\"\ntarget = [\"x\"]",
            "unknown field",
        ),
        (
            "[[grant]]\nidentity = \"alice\"\nrole = \"reader\"",
            "grant 1, to alice: is not an identity",
        ),
        (
            "[[grant]]\nidentity = \"oidc:*/a*\"\nrole = \"reader\"",
            "at the end alone",
        ),
        (
            "[[grant]]\nidentity = \"oidc:c/a\"\nrole = \"reader\"\ntargets = []",
            "an empty list would allow nothing",
        ),
        (
            "[[grant]]\nidentity = \"oidc:c/a\"\nrole = \"reader\"\ntargets = [\"\"]",
            "matches nothing",
        ),
        (
            "[[grant]]\nidentity = \"oidc:c/a\"\nrole = \"writer\"\nactors = [\"a*b\"]",
            "at the end alone",
        ),
        (
            "[[grant]]\nidentity = \"oidc:c/a\"\nrole = \"reader\"\nactors = [\"x\"]",
            "`actors` is no bound of the role reader",
        ),
        (
            "[[grant]]\nidentity = \"oidc:c/a\"\nrole = \"auditor\"\ntargets = [\"x\"]",
            "`targets` is no bound of the role auditor",
        ),
        (
            "[[grant]]\nidentity = \"oidc:c/a\"\nissuer = \"\"\nrole = \"reader\"",
            "the issuer is empty",
        ),
    ];
    for (text, problem) in bad {
        let error = Policy::parse(text).unwrap_err().to_string();
        assert!(error.contains(problem), "{text}: {error}");
    }
    assert!(Policy::parse(&"#".repeat(2 << 20)).is_err());
}

#[test]
fn a_grant_is_for_whom_it_names() {
    let policy = policy(
        r#"
[[grant]]
identity = "oidc:corp/alice"
issuer = "https://id.example"
role = "reader"
[[grant]]
identity = "spiffe://lab/ns/ml/*"
role = "writer"
"#,
    );
    let append = "/graven.v1.LedgerService/Append";
    let read = "/graven.v1.LedgerService/GetEntry";
    for (issuer, subject, writes, reads) in [
        ("https://id.example", "oidc:corp/alice", false, true),
        ("token", "oidc:corp/alice", false, false),
        ("https://id.example", "oidc:corp/alice2", false, false),
        ("mtls", "spiffe://lab/ns/ml/loader", true, false),
        ("mtls", "spiffe://lab/ns/mlx", false, false),
    ] {
        let submitter = v1::Submitter {
            issuer: issuer.into(),
            subject: subject.into(),
        };
        let access = policy.access(&submitter);
        assert_eq!(
            (access.may_call(append), access.may_call(read)),
            (writes, reads),
            "{subject}"
        );
    }
}

fn about(target: &str, source: &str) -> v1::Event {
    let mut event = event(0);
    event.what.as_mut().unwrap().targets[0].uri = target.into();
    event.context.as_mut().unwrap().source = source.into();
    event
}

fn append(event: v1::Event) -> v1::AppendRequest {
    v1::AppendRequest {
        event: Some(event),
        ack_level: 0,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_sends_what_its_bounds_allow() {
    let text = r#"
[[grant]]
identity = "oidc:corp/narrow"
role = "writer"
sources = ["slurm-a"]
actions = ["job.*", "target.link", "identity.link"]
targets = ["slurm://a/*"]
actors = ["slurm:a/*"]
[[grant]]
identity = "oidc:corp/narrow"
role = "writer"
actions = ["file.*"]
targets = ["fs://scratch/*"]
"#;
    let governed = Governed::start(&["narrow"], text).await;
    let (mut client, _) = governed.clients(Some("narrow")).await;
    let good = json::read(
        r#"{"action":"job.cancel","actor":"slurm:a/bob","target":"slurm://a/job/1","source":"slurm-a"}"#,
    )
    .unwrap();
    client.append(append(good.clone())).await.unwrap();
    // The other grant has other bounds.
    client
        .append(append(about("fs://scratch/x", "anything")))
        .await
        .unwrap();
    let outside = [
        (
            r#"{"action":"job.cancel","target":"slurm://a/job/1","source":"slurm-b"}"#,
            "sources",
            "context.source",
        ),
        (
            r#"{"action":"file.update","target":"slurm://a/job/1","source":"slurm-a"}"#,
            "actions",
            "what.action",
        ),
        (
            r#"{"action":"job.fail","target":"slurm://b/job/1","source":"slurm-a"}"#,
            "targets",
            "what.targets[0].uri",
        ),
        (
            r#"{"action":"job.fail","targets":[{"uri":"slurm://a/job/1"},{"uri":"slurm://a/job/2","previous_uri":"slurm://b/job/1"}],"source":"slurm-a"}"#,
            "targets",
            "what.targets[1].previous_uri",
        ),
        (
            r#"{"action":"job.fail","actor":"oidc:corp/eve","target":"slurm://a/job/1","source":"slurm-a"}"#,
            "actors",
            "who.actor",
        ),
        (
            r#"{"action":"job.fail","actor":"slurm:a/bob","on_behalf_of":["slurm:a/x","oidc:corp/eve"],"target":"slurm://a/job/1","source":"slurm-a"}"#,
            "actors",
            "who.on_behalf_of[1]",
        ),
        (
            r#"{"action":"target.link","link":{"from":"slurm://a/job/1","to":"fs://x/y","authority":"me"},"source":"slurm-a"}"#,
            "targets",
            "what.link.to",
        ),
        (
            r#"{"action":"identity.link","link":{"from":"oidc:corp/eve","to":"slurm:a/bob","authority":"me"},"source":"slurm-a"}"#,
            "actors",
            "what.link.from",
        ),
    ];
    let size = governed.server.ledger.published().size();
    for (text, bound, field) in outside {
        let event = json::read(text).unwrap();
        let refused = client.append(append(event.clone())).await.unwrap_err();
        assert_eq!(refused.code(), Code::PermissionDenied, "{text}: {refused}");
        assert_eq!(
            reason(&refused),
            ("OUT_OF_BOUNDS".into(), bound.into()),
            "{text}"
        );
        assert!(
            refused.message().contains(field),
            "{text}: {}",
            refused.message()
        );
        // Nothing of a batch is sealed.
        let batch = v1::AppendBatchRequest {
            events: vec![good.clone(), event],
            ack_level: 0,
        };
        let refused = client.append_batch(batch).await.unwrap_err();
        assert!(
            refused.message().contains("event 1"),
            "{}",
            refused.message()
        );
    }
    assert_eq!(governed.server.ledger.published().size(), size);
    // A stream ends at the first that is not allowed, after those before it.
    let sent: Vec<_> = [good.clone(), about("fs://other/x", "slurm-a"), good]
        .into_iter()
        .map(|event| v1::AppendStreamRequest { event: Some(event) })
        .collect();
    let mut answers = client
        .append_stream(tokio_stream::iter(sent))
        .await
        .unwrap()
        .into_inner();
    let mut sealed = 0;
    let refused = loop {
        match answers.next().await.unwrap() {
            Ok(answer) => sealed += answer.events,
            Err(refused) => break refused,
        }
    };
    assert_eq!((sealed, refused.code()), (1, Code::PermissionDenied));
    assert!(
        refused.message().contains("event 1"),
        "{}",
        refused.message()
    );
}

/// A server with entries inside and outside of what `bound` may read.
async fn with_entries() -> (Governed, Vec<bool>) {
    let names = ["writer", "reader", "auditor", "operator", "bound", "nobody"];
    let governed = Governed::start(&names, &format!("{ROLES}{BOUND}")).await;
    let (mut client, _) = governed.clients(Some("writer")).await;
    let mut inside = Vec::new();
    for (target, source, within) in [
        ("fs://secret/plan", "collector-1", false),
        ("fs://a/x", "collector-1", true),
        ("fs://a/x", "elsewhere", false),
        ("fs://b/one", "collector-2", true),
        ("fs://b/one.bak", "collector-2", false),
        ("s3://models/m", "elsewhere", true),
        ("s3://modelsx/m", "elsewhere", false),
    ] {
        client.append(append(about(target, source))).await.unwrap();
        inside.push(within);
    }
    (governed, inside)
}

fn seqs(entries: &[v1::Entry]) -> Vec<u64> {
    let seq = |entry: &v1::Entry| Header::decode(&entry.header).unwrap().seq;
    entries.iter().map(seq).collect()
}

fn shows_nothing(entry: &v1::Entry) -> bool {
    let withheld = |part: &v1::Part| matches!(part.content, Some(v1::part::Content::Withheld(_)));
    !entry.parts.is_empty() && entry.parts.iter().all(withheld)
}

fn search(filter: &str, prove: bool) -> v1::SearchRequest {
    v1::SearchRequest {
        filter: filter.into(),
        prove,
        ..Default::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bound_reader_reads_within_its_bounds() {
    let (governed, inside) = with_entries().await;
    let (mut client, _) = governed.clients(Some("bound")).await;
    for (seq, within) in inside.iter().enumerate() {
        let answer = client
            .get_entry(v1::GetEntryRequest { seq: seq as u64 })
            .await;
        match answer {
            Ok(answer) => assert!(*within && !shows_nothing(&answer.into_inner().entry.unwrap())),
            Err(refused) => {
                assert!(!within, "{refused}");
                assert_eq!(reason(&refused).0, "OUT_OF_BOUNDS");
                assert!(!refused.message().contains("secret"));
            }
        }
    }
    // Of the others, lists and watches have what the chain and the tree are made of.
    let mut listed = client
        .list_entries(v1::ListEntriesRequest::default())
        .await
        .unwrap()
        .into_inner();
    let mut entries = Vec::new();
    while let Some(answer) = listed.next().await {
        entries.extend(answer.unwrap().entries);
    }
    let watch = v1::WatchEntriesRequest { first_seq: Some(0) };
    let mut watched = client.watch_entries(watch).await.unwrap().into_inner();
    let mut seen = Vec::new();
    while seen.len() < inside.len() {
        seen.extend(watched.next().await.unwrap().unwrap().entries);
    }
    for entries in [&entries, &seen] {
        for (entry, within) in entries.iter().zip(&inside) {
            assert_eq!(shows_nothing(entry), !within);
            let sealed = governed
                .server
                .ledger
                .entry(seqs(std::slice::from_ref(entry))[0])
                .unwrap();
            assert_eq!(sealed.header.encode().to_vec(), entry.header);
        }
    }
    let text = format!("{entries:?}{seen:?}");
    let hidden = b"fs://secret".map(|byte| byte.to_string()).join(", ");
    assert!(!text.contains(&hidden));
    let genesis = client
        .get_genesis(v1::GetGenesisRequest {})
        .await
        .unwrap()
        .into_inner();
    assert!(shows_nothing(&genesis.first_entry.unwrap().entry.unwrap()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bound_reader_asks_within_its_bounds() {
    let (governed, _) = with_entries().await;
    let (_, mut query) = governed.clients(Some("bound")).await;
    let refused = query.search(search("", false)).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    let (_, to_add) = refused.message().split_once(": add ").unwrap();
    let to_add = to_add.strip_suffix(" to it").unwrap().to_owned();
    let answer = query
        .search(search(&to_add, false))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(seqs(&answer.entries), [1, 3, 5]);
    assert_eq!(answer.cost, None);
    let allowed = [
        (format!("{to_add} AND actor:*"), vec![1, 3, 5]),
        (r#"target = "fs://a/x" source = collector-1"#.into(), vec![1]),
        (r#"target = "s3://models/*""#.into(), vec![5]),
        (r#"(target = "s3://models/m" OR target = "s3://models/n*")"#.into(), vec![5]),
        (r#"((target = "fs://b/one" AND source = "collector-*") OR target = "s3://models/*") AND NOT seq = 5"#.into(), vec![3]),
    ];
    for (filter, expected) in allowed {
        let answer = query
            .search(search(&filter, false))
            .await
            .unwrap_or_else(|error| panic!("{filter}: {error}"));
        assert_eq!(seqs(&answer.into_inner().entries), expected, "{filter}");
        let mut count = v1::CountRequest {
            filter: filter.clone(),
            ..Default::default()
        };
        let counted = query.count(count.clone()).await.unwrap().into_inner();
        assert_eq!(counted.total.unwrap().count, expected.len() as u64);
        assert_eq!(counted.cost, None);
        // Groups are cut at whatever value comes next.
        count.group_by = "target".into();
        let refused = query.count(count).await.unwrap_err();
        assert_eq!(reason(&refused).0, "OUT_OF_BOUNDS");
        let watch = v1::WatchRequest {
            filter: filter.clone(),
            first_seq: Some(0),
        };
        let mut watched = query.watch(watch).await.unwrap().into_inner();
        assert_eq!(
            seqs(&watched.next().await.unwrap().unwrap().entries),
            expected
        );
        // What proves it would show others.
        let refused = query.search(search(&filter, true)).await.unwrap_err();
        assert!(
            refused.message().contains("ask without it"),
            "{}",
            refused.message()
        );
        let count = v1::CountRequest {
            filter,
            prove: true,
            ..Default::default()
        };
        assert_eq!(
            query.count(count).await.unwrap_err().code(),
            Code::PermissionDenied
        );
    }
    for filter in [
        r#"target = "fs://a/x""#,
        r#"source = collector-1"#,
        r#"target = "fs://*" source = collector-1"#,
        r#"target = "fs://a*" source = collector-1"#,
        r#"target:"fs://a/" source = collector-1"#,
        r#"target >= "fs://a/" source = collector-1"#,
        r#"target != "fs://secret/plan" source = collector-1"#,
        r#"NOT target = "fs://a/x" source = collector-1"#,
        r#"(target = "fs://a/x" OR actor:*) source = collector-1"#,
        r#"(target = "s3://models/m" OR seq = 0)"#,
        r#"previous_target = "fs://a/x" source = collector-1"#,
        r#"input = "s3://models/m""#,
        r#""s3://models/m""#,
        r#"seq = 1"#,
    ] {
        let refused = query.search(search(filter, false)).await;
        assert_eq!(
            refused.unwrap_err().code(),
            Code::PermissionDenied,
            "{filter}"
        );
        let count = v1::CountRequest {
            filter: filter.into(),
            ..Default::default()
        };
        assert_eq!(
            query.count(count).await.unwrap_err().code(),
            Code::PermissionDenied,
            "{filter}"
        );
        let watch = v1::WatchRequest {
            filter: filter.into(),
            first_seq: None,
        };
        assert_eq!(
            query.watch(watch).await.unwrap_err().code(),
            Code::PermissionDenied,
            "{filter}"
        );
    }
    let segment = query
        .get_segment(v1::GetSegmentRequest::default())
        .await
        .unwrap_err();
    assert_eq!(reason(&segment).0, "OUT_OF_BOUNDS");
    let outside = v1::GetHistoryRequest {
        target: "fs://secret/plan".into(),
        ..Default::default()
    };
    assert_eq!(
        query.get_history(outside).await.unwrap_err().code(),
        Code::PermissionDenied
    );
    let run = v1::get_lineage_request::Start::Run("r1".into());
    let lineage = v1::GetLineageRequest {
        start: Some(run),
        ..Default::default()
    };
    assert_eq!(
        query.get_lineage(lineage).await.unwrap_err().code(),
        Code::PermissionDenied
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_read_learns_nothing_of_entries() {
    let (governed, _) = with_entries().await;
    for name in ["writer", "operator"] {
        let (mut client, mut query) = governed.clients(Some(name)).await;
        let refused = client
            .get_entry(v1::GetEntryRequest { seq: 1 })
            .await
            .unwrap_err();
        assert_eq!(
            refused.message(),
            format!("oidc:corp/{name} has not the role reader or auditor")
        );
        assert_eq!(
            reason(&refused),
            ("ROLE_MISSING".into(), "reader,auditor".into())
        );
        assert_eq!(
            query.search(search("", false)).await.unwrap_err().code(),
            Code::PermissionDenied
        );
        let genesis = client
            .get_genesis(v1::GetGenesisRequest {})
            .await
            .unwrap()
            .into_inner();
        assert!(shows_nothing(&genesis.first_entry.unwrap().entry.unwrap()));
        client
            .get_inclusion_proof(v1::GetInclusionProofRequest {
                seq: 1,
                tree_size: 0,
            })
            .await
            .unwrap();
    }
    let (mut client, _) = governed.clients(Some("nobody")).await;
    let refused = client
        .get_checkpoint(v1::GetCheckpointRequest {})
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    for name in ["reader", "auditor"] {
        let (mut client, mut query) = governed.clients(Some(name)).await;
        let entry = client
            .get_entry(v1::GetEntryRequest { seq: 0 })
            .await
            .unwrap()
            .into_inner();
        let parts = entry.entry.unwrap().parts;
        let envelope = u32::from(Tag::Envelope.number());
        assert!(parts.iter().any(|part| part.tag == envelope
            && matches!(part.content, Some(v1::part::Content::Disclosed(_)))));
        query.search(search("", true)).await.unwrap();
        assert_eq!(
            client.append(append(event(1))).await.unwrap_err().code(),
            Code::PermissionDenied
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_policy_holds_at_once_and_ends_streams() {
    let (governed, _) = with_entries().await;
    let (mut reading, mut asking) = governed.clients(Some("reader")).await;
    let (mut writing, _) = governed.clients(Some("writer")).await;
    let mut watched = reading
        .watch_entries(v1::WatchEntriesRequest::default())
        .await
        .unwrap()
        .into_inner();
    let watch = v1::WatchRequest {
        filter: String::new(),
        first_seq: None,
    };
    let mut matched = asking.watch(watch).await.unwrap().into_inner();
    let (events, queue) = tokio::sync::mpsc::channel(1);
    let queue = tokio_stream::wrappers::ReceiverStream::new(queue);
    let mut appended = writing.append_stream(queue).await.unwrap().into_inner();
    events
        .send(v1::AppendStreamRequest {
            event: Some(event(1)),
        })
        .await
        .unwrap();
    assert_eq!(appended.next().await.unwrap().unwrap().events, 1);
    // Another policy that means the same for somebody changes nothing for them.
    governed
        .policy
        .send_replace(policy(&format!("# The same.\n{ROLES}{BOUND}")));
    let next = tokio::time::timeout(Duration::from_secs(20), watched.next())
        .await
        .unwrap();
    assert_eq!(seqs(&next.unwrap().unwrap().entries), [7]);
    matched.next().await.unwrap().unwrap();

    governed.policy.send_replace(policy(""));
    let ended = |status: Option<Result<(), Status>>| {
        let status = status.unwrap().unwrap_err();
        assert_eq!(status.code(), Code::PermissionDenied);
        assert!(
            status.message().contains("has changed"),
            "{}",
            status.message()
        );
    };
    ended(watched.next().await.map(|answer| answer.map(drop)));
    ended(matched.next().await.map(|answer| answer.map(drop)));
    ended(appended.next().await.map(|answer| answer.map(drop)));
    let refused = reading
        .get_entry(v1::GetEntryRequest { seq: 0 })
        .await
        .unwrap_err();
    assert_eq!(reason(&refused).0, "ROLE_MISSING");
}
