//! Acts of reading: recorded before they are answered, with who asked what and how much came back, or refused.

use std::sync::Arc;
use std::time::{Duration, Instant};

use graven::entry::{Tag, v1};
use graven::ledger::{self, Ledger, Options, SystemClock, SystemEntropy};
use graven::note::SignerKey;
use graven::service::client::{AdminServiceClient, LedgerServiceClient, QueryServiceClient};
use graven::service::{self, Authentication, ReadLog};
use graven::store::{Direction, MemoryDisk};
use prost::Message;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tonic::Code;

use super::service_support::{ORIGIN, event};

const ACCESS: &str = "test.example/ledger/access";

async fn open(origin: &'static str) -> Arc<Ledger> {
    let opening = tokio::task::spawn_blocking(move || {
        let disk = MemoryDisk::new();
        let key = SignerKey::from_seed(origin, [7; 32]).unwrap();
        let clock = SystemClock::default();
        ledger::init(&disk, &key, origin, None, &clock, &SystemEntropy).unwrap();
        let options = Options {
            key,
            origin: origin.into(),
            adopt: false,
            known_checkpoints: Vec::new(),
            clock: Arc::new(clock),
            entropy: Arc::new(SystemEntropy),
        };
        Arc::new(Ledger::open(&disk, options).unwrap())
    });
    opening.await.unwrap()
}

/// A ledger whose acts of reading go to another.
struct Recorded {
    access: Arc<Ledger>,
    url: String,
    admin: String,
    _stop: oneshot::Sender<()>,
}

impl Recorded {
    async fn start() -> Self {
        let (ledger, access) = (open(ORIGIN).await, open(ACCESS).await);
        let (log, sealing) = ReadLog::new(Arc::clone(&access), ORIGIN).unwrap();
        tokio::spawn(sealing);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let operators = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let admin = format!("http://{}", operators.local_addr().unwrap());
        let listeners = service::Listeners {
            admin: Some(operators),
            ..listener.into()
        };
        let (stop, stopped) = oneshot::channel::<()>();
        tokio::spawn(async move {
            let until = async {
                let _ = stopped.await;
            };
            let nobody = Authentication::None;
            service::serve_with(ledger, listeners, nobody, None, Some(log), until).await
        });
        Self {
            access,
            url,
            admin,
            _stop: stop,
        }
    }

    async fn ledger(&self) -> LedgerServiceClient<tonic::transport::Channel> {
        LedgerServiceClient::connect(self.url.clone())
            .await
            .unwrap()
    }

    async fn query(&self) -> QueryServiceClient<tonic::transport::Channel> {
        QueryServiceClient::connect(self.url.clone()).await.unwrap()
    }

    /// The acts recorded so far, oldest first, as soon as there are so many: action, target, outcome, detail.
    async fn acts(&self, count: usize) -> Vec<(String, String, i32, Value)> {
        let began = Instant::now();
        loop {
            let access = Arc::clone(&self.access);
            let acts = tokio::task::spawn_blocking(move || acts(&access));
            let acts = acts.await.unwrap();
            if acts.len() >= count || began.elapsed() > Duration::from_secs(60) {
                assert_eq!(acts.len(), count, "{acts:?}");
                return acts;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

fn acts(access: &Ledger) -> Vec<(String, String, i32, Value)> {
    let mut acts = Vec::new();
    let mut rest = 0..access.published().size();
    while !rest.is_empty() {
        let entries = access.next_entries(rest.clone(), Direction::Forward);
        let entries = entries.unwrap();
        rest.start += entries.len() as u64;
        for entry in entries {
            let part = |tag| entry.body.disclosed(tag).unwrap().as_ref();
            let what = v1::What::decode(part(Tag::What)).unwrap();
            if what.act.is_some() {
                continue;
            }
            let envelope = v1::Envelope::decode(part(Tag::Envelope)).unwrap();
            assert_eq!(envelope.submitter.unwrap().subject, "dev:anonymous");
            let detail = v1::Detail::decode(part(Tag::Detail)).unwrap();
            let detail = serde_json::from_slice(&detail.content).unwrap();
            let target = what.targets[0].uri.clone();
            acts.push((what.action, target, what.outcome, detail));
        }
    }
    acts
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_order_tells_is_recorded_like_a_read() {
    let recorded = Recorded::start().await;
    let mut client = recorded.ledger().await;
    let batch = v1::AppendBatchRequest {
        events: (0..5).map(event).collect(),
        ..Default::default()
    };
    client.append_batch(batch).await.unwrap();
    let mut operator = AdminServiceClient::connect(recorded.admin.clone())
        .await
        .unwrap();
    let order = |filter: &str, dry_run| v1::EraseRequest {
        filter: filter.into(),
        ticket: "LEGAL-1".into(),
        reason: "asked for".into(),
        dry_run,
        ..Default::default()
    };
    let named = |dry_run| v1::EraseRequest {
        entries: vec![v1::SeqRange {
            first_seq: 1,
            end_seq: 3,
        }],
        ..order("", dry_run)
    };
    operator.erase(order("seq = 3", true)).await.unwrap();
    operator.erase(named(true)).await.unwrap();
    operator.erase(order("seq = 77", false)).await.unwrap();
    // One of entries that are named tells nothing, or leaves an entry.
    operator.erase(named(false)).await.unwrap();
    let refused = operator.erase(order("nonsense =", true)).await;
    assert_eq!(refused.unwrap_err().code(), Code::InvalidArgument);
    let acts = recorded.acts(4).await;
    let told: Vec<_> = acts
        .iter()
        .map(|(action, target, _, detail)| {
            assert_eq!(*target, format!("graven://{ORIGIN}/index"));
            (
                action.as_str(),
                detail["filter"].as_str().unwrap(),
                detail["entries"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("erasure.plan", "seq = 3", ""),
            ("erasure.plan", "", "1-2"),
            ("erasure.order", "seq = 77", ""),
            ("erasure.plan", "nonsense =", ""),
        ]
    );
    assert_eq!(acts[0].3["ticket"], "LEGAL-1");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_read_is_recorded_with_what_was_asked_and_how_much_came_back() {
    let recorded = Recorded::start().await;
    let mut client = recorded.ledger().await;
    let batch = v1::AppendBatchRequest {
        events: (0..5).map(event).collect(),
        ..Default::default()
    };
    client.append_batch(batch).await.unwrap();

    client
        .get_entry(v1::GetEntryRequest { seq: 3 })
        .await
        .unwrap();
    let missing = client.get_entry(v1::GetEntryRequest { seq: 99 }).await;
    assert_eq!(missing.unwrap_err().code(), Code::OutOfRange);
    let filter = "actor = \"oidc:corp/user2\"";
    let search = v1::SearchRequest {
        filter: filter.into(),
        ..Default::default()
    };
    let mut query = recorded.query().await;
    let found = query.search(search).await.unwrap().into_inner();
    assert_eq!(found.entries.len(), 1);
    let list = v1::ListEntriesRequest {
        first_seq: 1,
        end_seq: Some(4),
        ..Default::default()
    };
    let mut entries = client.list_entries(list).await.unwrap().into_inner();
    while entries.message().await.unwrap().is_some() {}
    // Asking for the checkpoint tells nothing of any entry.
    client
        .get_checkpoint(v1::GetCheckpointRequest {})
        .await
        .unwrap();

    let acts = recorded.acts(5).await;
    let (success, failure) = (1, 2);
    let act = |action: &str, part: &str, outcome: i32| {
        (
            action.to_owned(),
            format!("graven://{ORIGIN}/{part}"),
            outcome,
        )
    };
    let told: Vec<_> = acts
        .iter()
        .map(|(action, target, outcome, _)| (action.clone(), target.clone(), *outcome))
        .collect();
    let expected = [
        act("entry.get", "entry/3", success),
        act("entry.get", "entry/99", failure),
        act("index.search", "index", success),
        act("entry.list", "entry/1", 0),
        act("entry.list", "entry/1", success),
    ];
    assert_eq!(told, expected);
    let size = found.size;
    assert!(size >= 5);
    assert_eq!(acts[0].3["returned"], 1);
    assert_eq!(acts[1].3["returned"], 0);
    assert_eq!(
        acts[2].3,
        json!({"filter": filter, "page": false, "proved": false, "returned": 1, "checkpoint": acts[2].3["checkpoint"]})
    );
    assert!(acts[2].3["checkpoint"].as_u64().unwrap() >= size);
    assert_eq!(
        (&acts[3].3["end_seq"], &acts[4].3["returned"]),
        (&json!(4), &json!(3))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_is_recorded_when_it_begins_and_when_it_ends() {
    let recorded = Recorded::start().await;
    let mut client = recorded.ledger().await;
    let watch = v1::WatchEntriesRequest { first_seq: Some(0) };
    let mut entries = client.watch_entries(watch).await.unwrap().into_inner();
    let begun = recorded.acts(1).await;
    assert_eq!((begun[0].0.as_str(), begun[0].2), ("entry.watch", 0));
    let request = v1::AppendRequest {
        event: Some(event(1)),
        ..Default::default()
    };
    client.append(request).await.unwrap();
    let told = entries.message().await.unwrap().unwrap();
    drop(entries);
    let ended = recorded.acts(2).await;
    assert_eq!((ended[1].0.as_str(), ended[1].2), ("entry.watch", 1));
    let returned = ended[1].3["returned"].as_u64().unwrap();
    assert!(returned >= told.entries.len() as u64, "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_recorded_is_not_read() {
    let recorded = Recorded::start().await;
    let mut client = recorded.ledger().await;
    let request = v1::AppendRequest {
        event: Some(event(1)),
        ..Default::default()
    };
    client.append(request.clone()).await.unwrap();
    let watch = v1::WatchEntriesRequest { first_seq: Some(0) };
    let mut entries = client.watch_entries(watch).await.unwrap().into_inner();
    entries.message().await.unwrap().unwrap();
    let read = v1::GetEntryRequest { seq: 0 };
    client.get_entry(read).await.unwrap();

    let access = Arc::clone(&recorded.access);
    tokio::task::spawn_blocking(move || access.close())
        .await
        .unwrap();
    // Until it is found out that nothing is sealed any more, acts of reading wait in a queue.
    let began = Instant::now();
    let refusal = loop {
        match client.get_entry(read).await {
            Err(refusal) => break refusal,
            Ok(_) => assert!(began.elapsed() < Duration::from_secs(60)),
        }
    };
    assert_eq!(refusal.code(), Code::Unavailable, "{refusal:?}");
    // Appending goes on, and who watches sees none of it.
    client.append(request).await.unwrap();
    let ended = loop {
        match entries.message().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("the stream ended without a word"),
            Err(refusal) => break refusal,
        }
    };
    assert_eq!(ended.code(), Code::Unavailable);
}
