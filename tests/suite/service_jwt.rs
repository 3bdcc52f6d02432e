//! JSON web tokens: what other software signs is accepted, and nothing else is.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use graven::entry::v1;
use graven::service::jwt::{Expected, Jwt, JwtError, KeySet, KeysError};
use graven::service::{Authentication, Issuer, Watched};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_stream::StreamExt;
use tonic::{Code, Request};

use super::access_support::policy;
use super::jwt_support::{
    AUDIENCE, ISSUER, claims, encode, faulty, good, header, key, key_set, signed, with,
};
use super::service_support::TestServer;

const NOW: u64 = 1_800_000_000;

fn expected() -> Expected {
    Expected {
        issuer: ISSUER.into(),
        audience: AUDIENCE.into(),
        subject_claim: "sub".into(),
    }
}

fn verify(token: &str, keys: &KeySet, now: u64) -> Result<String, JwtError> {
    let claims = Jwt::parse(token)?.verify(&expected(), keys, now as f64)?;
    Ok(claims.subject)
}

fn vectors() -> Value {
    serde_json::from_str(include_str!("../vectors/jwt.json")).unwrap()
}

#[test]
fn what_other_software_signed_is_accepted_and_no_altered_byte_of_it() {
    let vectors = vectors();
    let keys = KeySet::parse(vectors["jwks"].to_string().as_bytes()).unwrap();
    for (algorithm, token) in vectors["tokens"].as_object().unwrap() {
        let token = token.as_str().unwrap();
        let claims = Jwt::parse(token)
            .unwrap()
            .verify(&expected(), &keys, NOW as f64)
            .unwrap();
        assert_eq!(
            (claims.subject.as_str(), claims.id.as_deref()),
            ("alice", Some("t-1")),
            "{algorithm}"
        );
        for at in 0..token.len() {
            let mut altered = token.to_owned();
            let other = if &token[at..=at] == "A" { "B" } else { "A" };
            altered.replace_range(at..=at, other);
            assert!(
                verify(&altered, &keys, NOW).is_err(),
                "{algorithm}: byte {at}"
            );
        }
        assert!(verify(token, &keys, 4_102_444_800 + 29).is_ok());
        assert_eq!(
            verify(token, &keys, 4_102_444_800 + 31),
            Err(JwtError::Expired)
        );
        assert!(verify(token, &keys, 1_700_000_000 - 29).is_ok());
        assert_eq!(
            verify(token, &keys, 1_700_000_000 - 31),
            Err(JwtError::NotYetValid)
        );
    }
}

#[test]
fn every_fault_is_refused() {
    let keys = KeySet::parse(key_set().as_bytes()).unwrap();
    assert_eq!(verify(&good("alice", NOW), &keys, NOW), Ok("alice".into()));
    for (fault, token) in faulty("alice", NOW) {
        // What the server refuses besides is a subject that is no identity.
        if !fault.contains("several lines") {
            assert!(verify(&token, &keys, NOW).is_err(), "{fault}");
        }
    }
}

#[test]
fn a_good_token_can_look_different() {
    let keys = KeySet::parse(key_set().as_bytes()).unwrap();
    let accepted = [
        (with(header(), "typ", Value::Null), claims("a", NOW)),
        (with(header(), "typ", json!("at+jwt")), claims("a", NOW)),
        (
            with(header(), "typ", json!("application/at+JWT")),
            claims("a", NOW),
        ),
        (
            header(),
            with(claims("a", NOW), "aud", json!(["x", AUDIENCE])),
        ),
        (header(), with(claims("a", NOW), "nbf", Value::Null)),
        (
            header(),
            with(claims("a", NOW), "exp", json!(NOW as f64 + 0.5)),
        ),
        (
            header(),
            with(claims("a", NOW), "jti", json!("x".repeat(200))),
        ),
    ];
    for (header, claims) in accepted {
        let token = signed(&header, &claims, &key(1));
        assert_eq!(
            verify(&token, &keys, NOW),
            Ok("a".into()),
            "{header} {claims}"
        );
    }
    // A kid is not needed where there is one key.
    let mut one: Value = serde_json::from_str(&key_set()).unwrap();
    one["keys"].as_array_mut().unwrap().truncate(1);
    let keys = KeySet::parse(one.to_string().as_bytes()).unwrap();
    let token = signed(
        &with(header(), "kid", Value::Null),
        &claims("a", NOW),
        &key(1),
    );
    assert_eq!(verify(&token, &keys, NOW), Ok("a".into()));
}

#[test]
fn a_key_set_that_cannot_be_meant_is_refused() {
    let parse = |text: &Value| KeySet::parse(text.to_string().as_bytes());
    let x = vectors()["jwks"]["keys"][2].clone();
    assert_eq!(
        parse(&json!({"keys": [x, x]})),
        Err(KeysError::KidTwice("ed".into()))
    );
    assert_eq!(parse(&json!({"keys": []})), Err(KeysError::Empty));
    assert_eq!(
        parse(&json!({"keys": [secret_key()]})),
        Err(KeysError::Empty)
    );
    let to_encrypt = with(x.clone(), "use", json!("enc"));
    assert_eq!(parse(&json!({"keys": [to_encrypt]})), Err(KeysError::Empty));
    let other_algorithm = with(x.clone(), "alg", json!("RS256"));
    let only = parse(&json!({"keys": [other_algorithm]}));
    assert_eq!(only, Err(KeysError::Empty));
    let many = vec![secret_key(); 65];
    assert_eq!(parse(&json!({"keys": many})), Err(KeysError::TooLarge));
    let short = with(x.clone(), "x", json!("AAAA"));
    assert_eq!(parse(&json!({"keys": [x, short]})), Err(KeysError::Key(1)));
    let weak = json!({"kty": "RSA", "n": "AQAB", "e": "AQAB"});
    assert_eq!(parse(&json!({"keys": [weak]})), Err(KeysError::Key(0)));
    assert!(matches!(KeySet::parse(b"{}"), Err(KeysError::Malformed(_))));
    assert_eq!(
        KeySet::parse(&vec![b' '; 1 << 20]),
        Err(KeysError::TooLarge)
    );
}

/// A key that no token is signed with.
fn secret_key() -> Value {
    json!({"kty": "oct", "k": "AAAA", "alg": "HS256"})
}

#[test]
fn an_id_that_cannot_be_sealed_is_none() {
    let keys = KeySet::parse(key_set().as_bytes()).unwrap();
    let id = |jti: Value| {
        let token = signed(&header(), &with(claims("a", NOW), "jti", jti), &key(1));
        let claims = Jwt::parse(&token).unwrap();
        claims.verify(&expected(), &keys, NOW as f64).unwrap().id
    };
    assert_eq!(id(json!("x".repeat(128))), Some("x".repeat(128)));
    for jti in [
        json!("x".repeat(129)),
        json!(""),
        json!("a\nb"),
        json!(7),
        Value::Null,
    ] {
        assert_eq!(id(jti.clone()), None, "{jti}");
    }
}

/// A server that takes the tokens of an issuer whose keys stand in `jwks.json` of a directory; what reads them again; and what
/// tells it to.
async fn served(dir: &Path) -> (TestServer, JoinHandle<()>, watch::Sender<()>) {
    let path = dir.join("jwks.json");
    fs::write(&path, key_set()).unwrap();
    let keys = Watched::open("keys", vec![path], |contents| {
        KeySet::parse(&contents[0]).map_err(|error| error.to_string())
    })
    .unwrap();
    let issuer = Issuer::new(expected(), "jwt", keys.subscribe()).unwrap();
    let everybody = "[[grant]]\nidentity = \"oidc:jwt/*\"\nrole = \"auditor\"\n";
    let policy = watch::Sender::new(policy(everybody));
    let authentication = Authentication::required(Vec::new(), vec![issuer], policy.subscribe());
    let server = TestServer::start_with(authentication.unwrap(), None).await;
    let (tell, told) = watch::channel(());
    (server, tokio::spawn(keys.follow(told)), tell)
}

fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs()
}

fn bearing<T>(message: T, token: &str) -> Request<T> {
    let mut request = Request::new(message);
    let header = format!("Bearer {token}").parse().unwrap();
    request.metadata_mut().insert("authorization", header);
    request
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_with_its_token() {
    let temporary = TempDir::new().unwrap();
    let (server, following, _tell) = served(temporary.path()).await;
    let mut client = server.client().await;
    // Clocks may be off by 30 seconds, so this one is good for two more.
    let short = signed(
        &header(),
        &with(claims("a", now()), "exp", json!(now() - 28)),
        &key(1),
    );
    let watch = bearing(v1::WatchEntriesRequest::default(), &short);
    let mut watched = client.watch_entries(watch).await.unwrap().into_inner();
    let ended = tokio::time::timeout(Duration::from_secs(60), watched.next())
        .await
        .unwrap();
    let status = ended.unwrap().unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
    assert!(
        status.message().contains("has expired"),
        "{}",
        status.message()
    );
    let refused = client
        .get_checkpoint(bearing(v1::GetCheckpointRequest {}, &short))
        .await;
    assert_eq!(
        refused.unwrap_err().message(),
        "the bearer token has expired"
    );
    following.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_change_while_the_server_runs() {
    let temporary = TempDir::new().unwrap();
    let (server, following, tell) = served(temporary.path()).await;
    let mut client = server.client().await;
    let old = good("a", now());
    let new = signed(
        &with(header(), "kid", json!("k3")),
        &claims("a", now()),
        &key(3),
    );
    let mut is_good = async |token: &str| {
        let request = bearing(v1::GetCheckpointRequest {}, token);
        client.get_checkpoint(request).await.is_ok()
    };
    assert!(is_good(&old).await && !is_good(&new).await);
    // A file that is no key set changes nothing.
    let path = temporary.path().join("jwks.json");
    fs::write(&path, r#"{"keys": []}"#).unwrap();
    tell.send_replace(());
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(is_good(&old).await && !is_good(&new).await);
    let x = encode(key(3).verifying_key().as_bytes());
    let set = json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "k3", "x": x}]});
    fs::write(&path, set.to_string()).unwrap();
    tell.send_replace(());
    let wait = async {
        while !is_good(&new).await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), wait)
        .await
        .unwrap();
    assert!(!is_good(&old).await);
    following.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_when_the_key_of_its_token_is_taken_away() {
    let temporary = TempDir::new().unwrap();
    let (server, following, tell) = served(temporary.path()).await;
    let mut client = server.client().await;
    let token = good("a", now());
    let watch = bearing(v1::WatchEntriesRequest::default(), &token);
    let mut watched = client.watch_entries(watch).await.unwrap().into_inner();
    let x = encode(key(3).verifying_key().as_bytes());
    let set = json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "k3", "x": x}]});
    fs::write(temporary.path().join("jwks.json"), set.to_string()).unwrap();
    tell.send_replace(());
    let ended = tokio::time::timeout(Duration::from_secs(60), watched.next())
        .await
        .unwrap();
    let status = ended.unwrap().unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
    assert!(
        status.message().contains("accepted no more"),
        "{}",
        status.message()
    );
    following.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_good_for_too_long_is_refused() {
    let temporary = TempDir::new().unwrap();
    let (server, following, _tell) = served(temporary.path()).await;
    let mut client = server.client().await;
    for (seconds, accepted) in [(86_000, true), (90_000, false)] {
        let claims = with(claims("a", now()), "exp", json!(now() + seconds));
        let token = signed(&header(), &claims, &key(1));
        let asked = bearing(v1::GetCheckpointRequest {}, &token);
        let answer = client.get_checkpoint(asked).await;
        assert_eq!(answer.is_ok(), accepted, "{seconds}: {answer:?}");
        if let Err(refusal) = answer {
            assert_eq!(refusal.code(), Code::Unauthenticated);
            assert!(refusal.message().contains("too far away"), "{refusal}");
        }
    }
    following.abort();
}
