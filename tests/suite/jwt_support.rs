//! JSON web tokens, made as any issuer would, and as none should.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ed25519_dalek::{Signer, SigningKey};
use serde_json::{Value, json};

pub(super) const ISSUER: &str = "https://id.example";
pub(super) const AUDIENCE: &str = "graven";
pub(super) const KID: &str = "k1";

pub(super) fn encode(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

pub(super) fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

/// The key set that has `key(1)` under [`KID`] and `key(2)` under `k2`.
pub(super) fn key_set() -> String {
    let one = |kid: &str, seed| {
        let x = encode(key(seed).verifying_key().as_bytes());
        json!({"kty": "OKP", "crv": "Ed25519", "kid": kid, "use": "sig", "x": x})
    };
    json!({"keys": [one(KID, 1), one("k2", 2)]}).to_string()
}

pub(super) fn header() -> Value {
    json!({"alg": "EdDSA", "typ": "JWT", "kid": KID})
}

/// What a good token of `subject` says at the time `now`, in seconds since 1970.
pub(super) fn claims(subject: &str, now: u64) -> Value {
    json!({"iss": ISSUER, "aud": AUDIENCE, "sub": subject, "exp": now + 600, "nbf": now - 5, "jti": "id-1"})
}

/// The same, but for one member.
pub(super) fn with(mut object: Value, name: &str, value: Value) -> Value {
    if value.is_null() {
        object.as_object_mut().unwrap().remove(name);
    } else {
        object[name] = value;
    }
    object
}

pub(super) fn signed(header: &Value, claims: &Value, key: &SigningKey) -> String {
    let text = format!(
        "{}.{}",
        encode(header.to_string()),
        encode(claims.to_string())
    );
    let signature = key.sign(text.as_bytes());
    format!("{text}.{}", encode(signature.to_bytes()))
}

/// A good token of `subject` at the time `now`.
pub(super) fn good(subject: &str, now: u64) -> String {
    signed(&header(), &claims(subject, now), &key(1))
}

/// Tokens of `subject` at the time `now` with one fault each.
pub(super) fn faulty(subject: &str, now: u64) -> Vec<(&'static str, String)> {
    let token = good(subject, now);
    let parts: Vec<&str> = token.split('.').collect();
    let flipped = |part: usize| {
        let mut parts: Vec<String> = parts.iter().map(|part| (*part).to_owned()).collect();
        let at = parts[part].len() / 2;
        let other = if &parts[part][at..=at] == "A" {
            "B"
        } else {
            "A"
        };
        parts[part].replace_range(at..=at, other);
        parts.join(".")
    };
    let hmac = |key: &[u8]| {
        let header = encode(with(header(), "alg", json!("HS256")).to_string());
        let text = format!("{header}.{}", parts[1]);
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, key);
        format!("{text}.{}", encode(ring::hmac::sign(&key, text.as_bytes())))
    };
    let none = |alg: &str| {
        let header = encode(with(header(), "alg", json!(alg)).to_string());
        format!("{header}.{}.", parts[1])
    };
    let head = |name, value| signed(&with(header(), name, value), &claims(subject, now), &key(1));
    let claim = |name, value| signed(&header(), &with(claims(subject, now), name, value), &key(1));
    let stranger = key(9);
    let jwk =
        json!({"kty": "OKP", "crv": "Ed25519", "x": encode(stranger.verifying_key().as_bytes())});
    let own_key = with(with(header(), "jwk", jwk), "kid", Value::Null);
    vec![
        ("an altered header", flipped(0)),
        ("altered claims", flipped(1)),
        ("an altered signature", flipped(2)),
        (
            "other claims under the signature",
            format!(
                "{}.{}.{}",
                parts[0],
                encode(with(claims(subject, now), "jti", json!("x")).to_string()),
                parts[2]
            ),
        ),
        ("no signature", format!("{}.{}.", parts[0], parts[1])),
        ("a cut signature", token[..token.len() - 2].to_owned()),
        ("a longer signature", format!("{token}AA")),
        ("padding", format!("{token}==")),
        ("a fourth part", format!("{token}.AA")),
        ("alg none", none("none")),
        ("alg None", none("None")),
        ("no alg", head("alg", Value::Null)),
        (
            "HS256 under the public key",
            hmac(key(1).verifying_key().as_bytes()),
        ),
        ("HS256 under the key set", hmac(key_set().as_bytes())),
        ("RS256 for a key of Ed25519", head("alg", json!("RS256"))),
        ("ES256 for a key of Ed25519", head("alg", json!("ES256"))),
        ("an unknown kid", head("kid", json!("k9"))),
        ("the kid of another key", head("kid", json!("k2"))),
        ("no kid where there are two keys", head("kid", Value::Null)),
        (
            "a stranger's key",
            signed(&header(), &claims(subject, now), &stranger),
        ),
        (
            "a stranger's key in the header",
            signed(&own_key, &claims(subject, now), &stranger),
        ),
        ("crit", head("crit", json!(["exp"]))),
        ("another type", head("typ", json!("logout+jwt"))),
        ("another issuer", claim("iss", json!("https://id.example/"))),
        ("no issuer", claim("iss", Value::Null)),
        ("another audience", claim("aud", json!("graven2"))),
        ("other audiences", claim("aud", json!(["a", "b"]))),
        ("no audience", claim("aud", Value::Null)),
        ("an end that has passed", claim("exp", json!(now - 60))),
        ("no end", claim("exp", Value::Null)),
        ("an end that is no time", claim("exp", json!("2100"))),
        ("a beginning to come", claim("nbf", json!(now + 90))),
        ("a beginning that is no time", claim("nbf", json!("now"))),
        ("no subject", claim("sub", Value::Null)),
        ("an empty subject", claim("sub", json!(""))),
        (
            "a subject of several lines",
            claim("sub", json!(format!("{subject}\n"))),
        ),
        ("a subject that is no text", claim("sub", json!([subject]))),
    ]
}
