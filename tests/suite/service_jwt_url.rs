//! Keys of an issuer at a URL: fetched, refreshed, kept for a while, and never at a stranger's word.

use std::fs;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use graven::entry::v1;
use graven::service::jwt::{Expected, FetchError, FetchedKeys, KeysError, KeysUrl, Schedule};
use graven::service::{Authentication, Issuer};
use serde_json::json;
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_stream::StreamExt;
use tonic::{Code, Request, Status};

use super::access_support::policy;
use super::certificates::{Authority, Issued};
use super::jwt_support::{
    AUDIENCE, ISSUER, claims, encode, good, header, key, key_set, signed, with,
};
use super::provider_support::{Provider, ok};
use super::service_support::TestServer;

const HOUR: Duration = Duration::from_secs(3600);
/// Nothing happens by itself.
const NEVER: Schedule = Schedule {
    refresh: HOUR,
    keep: HOUR,
    early: HOUR,
    retry: HOUR,
};

/// A server that takes the tokens of an issuer whose keys are at a URL.
struct Served {
    server: TestServer,
    following: JoinHandle<()>,
    tell: watch::Sender<()>,
}

impl Served {
    async fn new(url: &str, schedule: Schedule) -> Self {
        let url = KeysUrl::new(url, None).unwrap();
        let mut keys = FetchedKeys::new(ISSUER, url, schedule);
        keys.fetch().await;
        let expected = Expected {
            issuer: ISSUER.into(),
            audience: AUDIENCE.into(),
            subject_claim: "sub".into(),
        };
        let issuer = Issuer::new(expected, "jwt", keys.subscribe()).unwrap();
        let issuer = issuer.fetching(keys.status());
        let everybody = "[[grant]]\nidentity = \"oidc:jwt/*\"\nrole = \"auditor\"\n";
        let policy = watch::Sender::new(policy(everybody));
        let authentication = Authentication::required(Vec::new(), vec![issuer], policy.subscribe());
        let server = TestServer::start_with(authentication.unwrap(), None).await;
        let (tell, told) = watch::channel(());
        Self {
            server,
            following: tokio::spawn(keys.follow(told)),
            tell,
        }
    }

    async fn try_token(&self, token: &str) -> Result<(), Status> {
        let mut client = self.server.client().await;
        let asked = bearing(v1::GetCheckpointRequest {}, token);
        client.get_checkpoint(asked).await.map(drop)
    }

    async fn accepts(&self, token: &str) -> bool {
        self.try_token(token).await.is_ok()
    }

    /// Waits until this token is accepted, or is not.
    async fn until(&self, token: &str, accepted: bool) {
        let wait = async {
            while self.accepts(token).await != accepted {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), wait)
            .await
            .unwrap();
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.following.abort();
    }
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap().as_secs()
}

fn bearing<T>(message: T, token: &str) -> Request<T> {
    let mut request = Request::new(message);
    let header = format!("Bearer {token}").parse().unwrap();
    request.metadata_mut().insert("authorization", header);
    request
}

/// The key set that has `key(3)` under `k3`, and a token that it signed.
fn other_key() -> (String, String) {
    let x = encode(key(3).verifying_key().as_bytes());
    let set = json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "k3", "x": x}]});
    (set.to_string(), signed_by("k3", 3))
}

fn signed_by(kid: &str, seed: u8) -> String {
    let header = with(header(), "kid", json!(kid));
    signed(&header, &claims("a", now()), &key(seed))
}

/// Waits until the provider was asked so often.
async fn asked(provider: &Provider, times: usize) {
    let wait = async {
        while provider.asked() < times {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), wait)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_a_new_key_has_the_keys_fetched_and_those_of_old_ones_end() {
    let provider = Provider::new(ok(&key_set()));
    let schedule = Schedule {
        early: Duration::ZERO,
        ..NEVER
    };
    let served = Served::new(&provider.url, schedule).await;
    let old = good("a", now());
    assert!(served.accepts(&old).await);
    let request = provider.last_request();
    assert!(
        request.starts_with("GET /keys?v=1 HTTP/1.1\r\n"),
        "{request}"
    );
    let mut client = served.server.client().await;
    let watch = bearing(v1::WatchEntriesRequest::default(), &old);
    let mut watched = client.watch_entries(watch).await.unwrap().into_inner();
    // A known key fetches nothing.
    assert_eq!(provider.asked(), 1);

    let (set, new) = other_key();
    provider.answer(ok(&set));
    let refused = served.try_token(&new).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
    assert!(refused.message().contains("unknown key"), "{refused}");
    served.until(&new, true).await;
    let ended = tokio::time::timeout(Duration::from_secs(60), watched.next()).await;
    let status = ended.unwrap().unwrap().unwrap_err();
    assert!(status.message().contains("accepted no more"), "{status}");
    assert!(!served.accepts(&old).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_of_unknown_keys_do_not_drive_the_fetches() {
    let provider = Provider::new(ok(&key_set()));
    let served = Served::new(&provider.url, NEVER).await;
    for number in 0..200 {
        assert!(!served.accepts(&signed_by(&format!("x{number}"), 9)).await);
    }
    assert_eq!(provider.asked(), 1);
    // Who may, has them fetched at once, and what the strangers asked for does not come on top.
    served.tell.send_replace(());
    asked(&provider, 2).await;
    for number in 0..200 {
        assert!(!served.accepts(&signed_by(&format!("y{number}"), 9)).await);
    }
    assert_eq!(provider.asked(), 2);
    assert!(served.accepts(&good("a", now())).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_refreshed_and_kept_for_a_while_when_that_fails() {
    let provider = Provider::new(ok(&key_set()));
    let schedule = Schedule {
        refresh: Duration::from_millis(50),
        keep: HOUR,
        early: HOUR,
        retry: Duration::from_millis(50),
    };
    let served = Served::new(&provider.url, schedule).await;
    let old = good("a", now());
    provider.answer(b"HTTP/1.1 500 Oh\r\ncontent-length: 0\r\n\r\n".to_vec());
    asked(&provider, provider.asked() + 5).await;
    assert!(served.accepts(&old).await);
    let (set, new) = other_key();
    provider.answer(ok(&set));
    served.until(&new, true).await;
    assert!(!served.accepts(&old).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_could_not_be_fetched_for_too_long_are_dropped() {
    let provider = Provider::new(ok(&key_set()));
    let schedule = Schedule {
        refresh: Duration::from_millis(500),
        keep: Duration::from_secs(2),
        early: HOUR,
        retry: Duration::from_millis(100),
    };
    let served = Served::new(&provider.url, schedule).await;
    let token = good("a", now());
    let mut client = served.server.client().await;
    let watch = bearing(v1::WatchEntriesRequest::default(), &token);
    let mut watched = client.watch_entries(watch).await.unwrap().into_inner();
    provider.answer(b"HTTP/1.1 404 No\r\ncontent-length: 0\r\n\r\n".to_vec());
    let ended = tokio::time::timeout(Duration::from_secs(60), watched.next()).await;
    let status = ended.unwrap().unwrap().unwrap_err();
    assert!(status.message().contains("accepted no more"), "{status}");
    // It may be good: nobody can say.
    let refused = served.try_token(&token).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable);
    assert!(
        refused.message().contains("could not be fetched"),
        "{refused}"
    );
    provider.answer(ok(&key_set()));
    served.until(&token, true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn before_the_first_fetch_tokens_are_refused_for_now() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = closed.local_addr().unwrap().port();
    drop(closed);
    let served = Served::new(&format!("http://127.0.0.1:{port}/"), NEVER).await;
    let token = good("a", now());
    let refused = served.try_token(&token).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable);
    // Of another issuer nothing is waited for.
    let stranger = with(claims("a", now()), "iss", json!("https://other.example"));
    let refused = served
        .try_token(&signed(&header(), &stranger, &key(1)))
        .await;
    assert_eq!(refused.unwrap_err().code(), Code::Unauthenticated);
}

type IsExpected = fn(&FetchError) -> bool;

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_are_none_are_refused() {
    let elsewhere = Provider::new(ok(&key_set()));
    let redirect = format!(
        "HTTP/1.1 302 Found\r\nlocation: {}\r\ncontent-length: 0\r\n\r\n",
        elsewhere.url
    );
    let large = format!("{}{}", key_set(), " ".repeat(256 * 1024));
    let chunks = {
        let mut chunks = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
        for _ in 0..300 {
            chunks.extend(format!("400\r\n{}\r\n", " ".repeat(1024)).bytes());
        }
        chunks
    };
    let headers = format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "x".repeat(100_000));
    let refused: [(&str, Vec<u8>, IsExpected); 9] = [
        (
            "a redirect",
            redirect.into_bytes(),
            |error| matches!(error, FetchError::Status(status) if status.as_u16() == 302),
        ),
        (
            "an empty answer",
            b"HTTP/1.1 204 No\r\n\r\n".to_vec(),
            |error| matches!(error, FetchError::Status(_)),
        ),
        ("a large one", ok(&large), |error| {
            matches!(error, FetchError::Keys(KeysError::TooLarge))
        }),
        ("one without end", chunks, |error| {
            matches!(error, FetchError::Keys(KeysError::TooLarge))
        }),
        ("large headers", headers.into_bytes(), |error| {
            matches!(error, FetchError::Http(_))
        }),
        ("no HTTP", b"keys!\r\n\r\n".to_vec(), |error| {
            matches!(error, FetchError::Http(_))
        }),
        ("no keys", ok("{}"), |error| {
            matches!(error, FetchError::Keys(KeysError::Malformed(_)))
        }),
        ("an empty set", ok(r#"{"keys": []}"#), |error| {
            matches!(error, FetchError::Keys(KeysError::Empty))
        }),
        (
            "half an answer, and silence",
            b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{".to_vec(),
            |error| matches!(error, FetchError::TooSlow(_)),
        ),
    ];
    let provider = Provider::new(Vec::new());
    let url = KeysUrl::new(&provider.url, None).unwrap();
    for (what, answer, is_expected) in refused {
        provider.answer(answer);
        let slow = what.contains("silence");
        let limit = Duration::from_millis(if slow { 300 } else { 60_000 });
        let error = url.clone().time_limit(limit).fetch().await.unwrap_err();
        assert!(is_expected(&error), "{what}: {error:?}");
    }
    assert_eq!(elsewhere.asked(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn over_tls_only_who_the_authorities_vouch_for_is_asked() {
    let temporary = TempDir::new().unwrap();
    let (authority, stranger) = (Authority::new(), Authority::new());
    let ca = temporary.path().join("ca.pem");
    fs::write(&ca, &authority.pem).unwrap();
    let fetch = async |certificate: &Issued| {
        let provider = Provider::secure(ok(&key_set()), certificate);
        let url = KeysUrl::new(&provider.url, Some(&ca)).unwrap();
        let fetched = url.fetch().await;
        (fetched, provider.asked())
    };
    let (fetched, _) = fetch(&authority.server()).await;
    fetched.unwrap();
    let other_name = rcgen::SanType::DnsName("other.example".try_into().unwrap());
    let expired = authority.issue("server", vec![localhost()], |params| {
        params.not_before = rcgen::date_time_ymd(2001, 1, 1);
        params.not_after = rcgen::date_time_ymd(2002, 1, 1);
    });
    for certificate in [
        stranger.server(),
        authority.issue("server", vec![other_name], |_| {}),
        expired,
    ] {
        let (fetched, asked) = fetch(&certificate).await;
        assert!(matches!(fetched, Err(FetchError::Tls(_))), "{fetched:?}");
        assert_eq!(asked, 0);
    }
    // The authorities are read for each fetch.
    let provider = Provider::secure(ok(&key_set()), &stranger.server());
    let url = KeysUrl::new(&provider.url, Some(&ca)).unwrap();
    assert!(url.fetch().await.is_err());
    fs::write(&ca, &stranger.pem).unwrap();
    url.fetch().await.unwrap();
}

fn localhost() -> rcgen::SanType {
    rcgen::SanType::DnsName("localhost".try_into().unwrap())
}

#[test]
fn urls_that_would_let_strangers_in_are_refused() {
    for good in [
        "http://127.0.0.1/keys",
        "http://127.9.9.9:8080/keys?a=b",
        "http://[::1]:1/",
        "http://localhost",
        "http://LOCALHOST:80/x",
    ] {
        KeysUrl::new(good, None).unwrap_or_else(|problem| panic!("{good}: {problem}"));
    }
    for bad in [
        "",
        "keys",
        "/etc/keys.json",
        "http://id.example/keys",
        "http://localhost.id.example/keys",
        "http://10.0.0.1/keys",
        "http://[::2]/keys",
        "ftp://localhost/keys",
        "file:///etc/keys.json",
        "https://me@id.example/keys",
        "http://me:secret@localhost/keys",
        "http://localhost/keys#1",
        "http://local host/keys",
        "http://localhost:99999/keys",
        "https:///keys",
        &format!("http://localhost/{}", "x".repeat(2_048)),
    ] {
        let problem = KeysUrl::new(bad, None).unwrap_err();
        assert!(problem.starts_with("keys_url"), "{bad}: {problem}");
    }
    let temporary = TempDir::new().unwrap();
    let path = temporary.path().join("ca.pem");
    let problem = |url: &str| KeysUrl::new(url, Some(&path)).unwrap_err();
    assert!(problem("https://id.example/keys").starts_with("keys_url_ca: reading"));
    assert!(problem("http://localhost/keys").starts_with("keys_url_ca is for https"));
    fs::write(&path, "none").unwrap();
    let none = problem("https://id.example/keys");
    assert!(none.contains("has no certificate in PEM"), "{none}");
}
