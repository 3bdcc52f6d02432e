//! Whose key signed, where parts are withheld: that it cannot be told is said, never guessed. Between the server and the
//! client stands somebody who hides parts.

use std::convert::Infallible;
use std::pin::Pin;
use std::process::Output;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use ed25519_dalek::SigningKey;
use graven::entry::{CheckedEvent, Header, Seed, Tag, hex, signature, v1, wire};
use prost::Message;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tokio_stream::{Stream, StreamExt};
use tonic::body::Body;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::codegen::{BoxFuture, Service, http};
use tonic::server::{NamedService, StreamingService};
use tonic::transport::{Channel, Server};
use tonic::{Request, Response, Status, Streaming};

use super::access_matrix::Raw;
use super::cli_keys::event as said;
use super::cli_support::{graven, run, stderr, stdout};
use super::service_support::{ORIGIN, TestServer, verifier};

/// What is hidden of the answers to searches: a part of an entry.
type Hidden = Arc<Mutex<Option<(u64, Tag)>>>;

/// Hands on what the server says, but for what is hidden.
#[derive(Clone)]
struct GoBetween {
    server: Channel,
    hidden: Hidden,
    path: PathAndQuery,
}

/// The go-between in the place of the service for questions, or of the one for entries.
#[derive(Clone)]
struct Instead<const QUERY: bool>(GoBetween);

impl<const QUERY: bool> NamedService for Instead<QUERY> {
    const NAME: &'static str = if QUERY {
        "graven.v1.QueryService"
    } else {
        "graven.v1.LedgerService"
    };
}

impl<const QUERY: bool> Service<http::Request<Body>> for Instead<QUERY> {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let call = GoBetween {
            path: request.uri().path_and_query().unwrap().clone(),
            ..self.0.clone()
        };
        Box::pin(async move {
            let mut server = tonic::server::Grpc::new(Raw);
            Ok(server.streaming(call, request).await)
        })
    }
}

impl StreamingService<Bytes> for GoBetween {
    type Response = Bytes;
    type ResponseStream = Pin<Box<dyn Stream<Item = Result<Bytes, Status>> + Send>>;
    type Future = BoxFuture<Response<Self::ResponseStream>, Status>;

    fn call(&mut self, request: Request<Streaming<Bytes>>) -> Self::Future {
        let Self {
            server,
            hidden,
            path,
        } = self.clone();
        Box::pin(async move {
            let mut client = tonic::client::Grpc::new(server);
            client.ready().await.unwrap();
            let sent = request.into_inner().filter_map(Result::ok);
            let is_search = path.path().ends_with("/Search");
            let answer = client.streaming(Request::new(sent), path, Raw).await?;
            let hide_in = move |message: Bytes| {
                let hidden = *hidden.lock().unwrap();
                match hidden.filter(|_| is_search) {
                    Some((seq, tag)) => hide(&message, seq, tag),
                    None => message,
                }
            };
            let answers = answer
                .into_inner()
                .map(move |message| message.map(&hide_in));
            let answers: Self::ResponseStream = Box::pin(answers);
            Ok(Response::new(answers))
        })
    }
}

/// The page without the part `tag` of entry `seq`, whose commitment stands in its place.
fn hide(page: &[u8], seq: u64, tag: Tag) -> Bytes {
    let mut page = v1::SearchResponse::decode(page).unwrap();
    for entry in &mut page.entries {
        if Header::decode(&entry.header).unwrap().seq != seq {
            continue;
        }
        let (_, body) = wire::read_entry(entry).unwrap();
        let (_, commitment) = body.commitments().find(|(found, _)| *found == tag).unwrap();
        let number = u32::from(tag.number());
        let part = entry.parts.iter_mut().find(|part| part.tag == number);
        part.unwrap().content = Some(v1::part::Content::Withheld(commitment.to_vec()));
    }
    page.encode_to_vec().into()
}

/// A server with a go-between before it.
pub(super) struct Site {
    _server: TestServer,
    url: String,
    hidden: Hidden,
}

const ALICE: &str = "oidc:corp/alice";

/// Somebody says whose the key is, or that it is not any more; or alice signs.
#[derive(Clone, Copy)]
pub(super) enum Step {
    Says(&'static str),
    Signs,
}

fn event(step: Step, seed: u8) -> v1::Event {
    let key = SigningKey::from_bytes(&[9; 32]);
    let name = hex::encode(key.verifying_key().as_bytes());
    let (action, target, actor, grantee) = match step {
        Step::Says(action) => {
            let target = format!("iam://ledger/key/{name}");
            (action, target, "oidc:corp/admin", ALICE)
        }
        Step::Signs => ("file.update", "fs://nfs1/a".to_owned(), ALICE, ""),
    };
    let mut event = said(action, &target, actor, grantee);
    if matches!(step, Step::Signs) {
        let checked = CheckedEvent::check(&event.encode_to_vec().into()).unwrap();
        let parts = checked.parts.iter();
        let parts: Vec<_> = parts.map(|(tag, part)| (*tag, part.as_ref())).collect();
        let signature = signature::sign(&key, &Seed([seed; 32]), ORIGIN, &parts);
        event.actor_signature = Some(signature);
    }
    event
}

impl Site {
    pub(super) async fn of(steps: &[Step]) -> Self {
        let server = TestServer::start().await;
        let mut client = server.client().await;
        for (step, seed) in steps.iter().zip(1..) {
            let request = v1::AppendRequest {
                event: Some(event(*step, seed)),
                ack_level: 0,
            };
            client.append(request).await.unwrap();
        }
        let hidden = Hidden::default();
        let endpoint = Channel::from_shared(server.url.clone()).unwrap();
        let between = GoBetween {
            server: endpoint.connect().await.unwrap(),
            hidden: Arc::clone(&hidden),
            path: PathAndQuery::from_static("/"),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let serving = Server::builder()
            .add_service(Instead::<true>(between.clone()))
            .add_service(Instead::<false>(between))
            .serve_with_incoming(TcpListenerStream::new(listener));
        tokio::spawn(serving);
        Self {
            _server: server,
            url,
            hidden,
        }
    }

    /// What a command comes to while this is hidden.
    pub(super) async fn run(&self, hidden: Option<(u64, Tag)>, arguments: &[&str]) -> Output {
        *self.hidden.lock().unwrap() = hidden;
        let mut command = graven();
        command
            .args(arguments)
            .env("GRAVEN_SERVER", &self.url)
            .env("GRAVEN_KEY", verifier().to_string());
        tokio::task::spawn_blocking(move || run(&mut command, ""))
            .await
            .unwrap()
    }

    /// The seqs that are attested, what is said, and how the command ends.
    async fn attested(&self, hidden: Option<(u64, Tag)>) -> (Vec<u64>, String, i32) {
        let log = ["log", "--attested", "-o", "jsonl"];
        let output = self.run(hidden, &log).await;
        let seq = |row: &str| {
            let row: serde_json::Value = serde_json::from_str(row).unwrap();
            row["seq"].as_u64().unwrap()
        };
        let rows = stdout(&output);
        let seqs = rows.lines().map(seq).collect();
        (seqs, stderr(&output), output.status.code().unwrap())
    }

    async fn shown(&self, hidden: Option<(u64, Tag)>, seq: &str) -> String {
        let output = self.run(hidden, &["show", seq]).await;
        assert!(output.status.success(), "{}", stderr(&output));
        stderr(&output)
    }
}

const OTHER: &str = "signed, not attested, and not shown: 1 entry;";
const UNTOLD: &str = "signed, and not shown, since it cannot be told whether attested: parts are \
                      withheld of, or before, ";

#[tokio::test(flavor = "multi_thread")]
async fn of_what_is_withheld_it_is_said_that_it_cannot_be_told() {
    let (register, revoke) = (Step::Says("key.register"), Step::Says("key.revoke"));
    let site = Site::of(&[
        register,
        Step::Signs,
        Step::Signs,
        revoke,
        Step::Signs,
        register,
        Step::Signs,
    ])
    .await;
    let (seqs, said, code) = site.attested(None).await;
    assert_eq!((seqs, code), (vec![1, 2, 6], 0), "{said}");
    assert!(said.contains(OTHER) && !said.contains(UNTOLD), "{said}");

    // Who signed is not shown, though that somebody did is.
    let who = Some((2, Tag::Who));
    let (seqs, said, code) = site.attested(who).await;
    assert_eq!((seqs, code), (vec![1, 6], 6), "{said}");
    assert!(said.contains(&format!("{UNTOLD}2\n")), "{said}");
    assert!(said.contains(OTHER), "{said}");
    let said = site.shown(who, "2").await;
    assert!(said.contains("whether attested: who is withheld"), "{said}");
    // Nor whether anybody did.
    let envelope = Some((2, Tag::Envelope));
    let (seqs, said, code) = site.attested(envelope).await;
    assert_eq!((seqs, code), (vec![1, 6], 6), "{said}");
    let unknown = "cannot be told, since parts are withheld or erased: 2\n";
    assert!(said.contains(unknown) && said.contains(OTHER), "{said}");
    let said = site.shown(envelope, "2").await;
    assert!(
        said.contains("whether attested: envelope is withheld"),
        "{said}"
    );

    // What may be the revocation, or the registration, cannot be passed over.
    for (hidden, attested, untold) in [(3, vec![1, 2, 6], "4"), (5, vec![1, 2], "6")] {
        let what = Some((hidden, Tag::What));
        let (seqs, said, code) = site.attested(what).await;
        assert_eq!((seqs, code), (attested, 6), "{said}");
        assert!(said.contains(&format!("{UNTOLD}{untold}\n")), "{said}");
        let said = site.shown(what, untold).await;
        let expected = format!("whether attested: what entry {hidden} says is withheld");
        assert!(said.contains(&expected), "{said}");
    }
    // What was said later than what is withheld counts for itself.
    let (seqs, said, _) = site.attested(Some((0, Tag::What))).await;
    assert_eq!(seqs, [6], "{said}");
    assert!(said.contains(&format!("{UNTOLD}1, 2\n")), "{said}");
    assert!(said.contains(OTHER), "{said}");
}
