//! JSON web tokens (RFC 7519), signed as RFC 7515 says: who issued them, for whom, until when.
//!
//! Only what is needed, and nothing that has gone wrong elsewhere: three algorithms, each bound to its kind of key, so that
//! a token cannot choose how it is verified; no symmetric ones, and not `none`; keys come from where the configuration says
//! alone, never from where a token says.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::{Map, Value};

pub use fetched::{FetchStatus, FetchedKeys, Schedule};
pub(super) use keys::Key;
pub use keys::{KeySet, KeysError};
pub use keys_url::{FetchError, KeysUrl};

mod fetched;
mod keys;
mod keys_url;

/// A clock may be off by so many seconds.
pub(super) const LEEWAY: f64 = 30.0;
/// The longest id of a token that is sealed as the credential, in bytes.
const MAX_ID_BYTES: usize = 128;

/// Who issues tokens, and what they have to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// `iss`, exactly.
    pub issuer: String,
    /// One of `aud`.
    pub audience: String,
    /// The claim that says whose token it is.
    pub subject_claim: String,
}

/// What a good token says.
#[derive(Debug, Clone, PartialEq)]
pub struct Claims {
    /// Whose token it is.
    pub subject: String,
    /// Its id, if it has one that can be sealed.
    pub id: Option<String>,
    /// When it ends to be good, in seconds since 1970, leeway included.
    pub until: f64,
}

/// Why a token is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JwtError {
    /// It is not one.
    #[error("is not a signed JSON web token")]
    Malformed,
    /// The header asks for what is not supported.
    #[error("has a header that is not supported")]
    Header,
    /// Another algorithm than `EdDSA`, `ES256` or `RS256`.
    #[error("is signed by an algorithm other than EdDSA, ES256 and RS256")]
    Algorithm,
    /// Nobody whose tokens are accepted issued it.
    #[error("is of an unknown issuer")]
    Issuer,
    /// No key fits it.
    #[error("is signed by an unknown key")]
    Key,
    /// The keys of its issuer are not known now.
    #[error("cannot be checked now: the keys of its issuer could not be fetched")]
    NoKeys,
    /// The signature is wrong.
    #[error("has a wrong signature")]
    Signature,
    /// It is for somebody else.
    #[error("is for another audience")]
    Audience,
    /// It has no end.
    #[error("has no `exp`, or one that is no time")]
    NoExpiry,
    /// It is good for longer than is accepted.
    #[error("is good for longer than is accepted here: its `exp` is too far away")]
    TooLong,
    /// It has ended.
    #[error("has expired")]
    Expired,
    /// It is not good yet.
    #[error("is not valid yet")]
    NotYetValid,
    /// It does not say whose it is.
    #[error("does not say whose it is")]
    Subject,
}

/// How a token is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Algorithm {
    EdDsa,
    Es256,
    Rs256,
}

impl Algorithm {
    fn parse(name: &str) -> Option<Self> {
        match name {
            "EdDSA" => Some(Self::EdDsa),
            "ES256" => Some(Self::Es256),
            "RS256" => Some(Self::Rs256),
            _ => None,
        }
    }
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
    crit: Option<Value>,
}

/// A token taken apart. Nothing of it is to be believed before its signature was checked.
#[derive(Debug)]
pub struct Jwt<'a> {
    algorithm: Algorithm,
    kid: Option<String>,
    claims: Map<String, Value>,
    signed: &'a str,
    signature: Vec<u8>,
}

/// Whether a bearer token looks like a JSON web token.
pub fn looks_like_one(token: &str) -> bool {
    token.split('.').count() == 3
}

impl<'a> Jwt<'a> {
    /// Takes a token apart.
    pub fn parse(token: &'a str) -> Result<Self, JwtError> {
        let malformed = |_| JwtError::Malformed;
        let (signed, signature) = token.rsplit_once('.').ok_or(JwtError::Malformed)?;
        let (header, claims) = signed.split_once('.').ok_or(JwtError::Malformed)?;
        let decode = |text: &str| BASE64_URL_SAFE_NO_PAD.decode(text).map_err(malformed);
        let header: Header =
            serde_json::from_slice(&decode(header)?).map_err(|_| JwtError::Malformed)?;
        let claims = serde_json::from_slice(&decode(claims)?).map_err(|_| JwtError::Malformed)?;
        let typ = header.typ.as_deref().unwrap_or("JWT");
        let typ = typ.strip_prefix("application/").unwrap_or(typ);
        let is_ours = typ.eq_ignore_ascii_case("JWT") || typ.eq_ignore_ascii_case("at+jwt");
        if header.crit.is_some() || !is_ours {
            return Err(JwtError::Header);
        }
        Ok(Self {
            algorithm: Algorithm::parse(&header.alg).ok_or(JwtError::Algorithm)?,
            kid: header.kid,
            claims,
            signed,
            signature: decode(signature)?,
        })
    }

    /// Who says to have issued it.
    pub fn issuer(&self) -> Option<&str> {
        self.claims.get("iss")?.as_str()
    }

    /// Whether it says which key it is signed with.
    pub(super) fn names_key(&self) -> bool {
        self.kid.is_some()
    }

    /// The key that it has to be signed with.
    pub(super) fn key<'k>(&self, keys: &'k KeySet) -> Option<&'k Key> {
        keys.find(self.algorithm, self.kid.as_deref())
    }

    /// Checks all of it at the time `now`, in seconds since 1970.
    pub fn verify(&self, expected: &Expected, keys: &KeySet, now: f64) -> Result<Claims, JwtError> {
        if self.issuer() != Some(&expected.issuer) {
            return Err(JwtError::Issuer);
        }
        let key = self.key(keys).ok_or(JwtError::Key)?;
        if !key.verifies(self.signed.as_bytes(), &self.signature) {
            return Err(JwtError::Signature);
        }
        let text = |claim: &str| self.claims.get(claim).and_then(Value::as_str);
        let is_audience = |value: &Value| value.as_str() == Some(&expected.audience);
        let is_for_us = match self.claims.get("aud") {
            Some(Value::Array(all)) => all.iter().any(is_audience),
            Some(one) => is_audience(one),
            None => false,
        };
        if !is_for_us {
            return Err(JwtError::Audience);
        }
        let expiry = self.claims.get("exp").and_then(Value::as_f64);
        let until = expiry.ok_or(JwtError::NoExpiry)? + LEEWAY;
        if now >= until {
            return Err(JwtError::Expired);
        }
        if let Some(not_before) = self.claims.get("nbf") {
            let not_before = not_before.as_f64().ok_or(JwtError::NotYetValid)?;
            if now + LEEWAY < not_before {
                return Err(JwtError::NotYetValid);
            }
        }
        let subject = text(&expected.subject_claim).filter(|subject| !subject.is_empty());
        let can_be_sealed = |id: &&str| {
            !id.is_empty() && id.len() <= MAX_ID_BYTES && !id.chars().any(char::is_control)
        };
        Ok(Claims {
            subject: subject.ok_or(JwtError::Subject)?.to_owned(),
            id: text("jti").filter(can_be_sealed).map(str::to_owned),
            until,
        })
    }
}
