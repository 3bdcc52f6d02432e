//! Who sends: the authenticated submitter, sealed into the envelope, which a client can never set.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq;
use tokio::sync::watch;
use tonic::Status;
use tonic::codegen::http::{Extensions, HeaderMap, header};

use super::access::Policy;
use super::certificate::sha256;
use super::jwt::{self, Claims, FetchStatus, Jwt, JwtError, Key, KeySet};
use super::listen::Peer;
use super::presented::Presented;
use crate::entry::{names, v1};

/// A static bearer token, of which only the digest is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// Its name, sealed as the credential.
    pub name: String,
    /// The identity of its holder, `<realm>:<namespace>/<id>`.
    pub subject: String,
    /// SHA-256 of the token.
    pub sha256: [u8; 32],
}

/// Somebody whose JSON web tokens are accepted.
#[derive(Debug, Clone)]
pub struct Issuer {
    expected: jwt::Expected,
    namespace: String,
    keys: watch::Receiver<Arc<KeySet>>,
    /// Of keys that are fetched.
    fetching: Option<Arc<FetchStatus>>,
    max_lifetime: Duration,
}

/// The key that a token is signed with.
#[derive(Debug, Clone)]
pub(super) struct TokenKey {
    keys: watch::Receiver<Arc<KeySet>>,
    key: Key,
}

impl TokenKey {
    /// Whether its issuer still has it.
    pub(super) fn is_kept(&self) -> bool {
        self.keys.borrow().has(&self.key)
    }

    /// Waits until its issuer has it no more.
    pub(super) async fn gone(&mut self) {
        let key = &self.key;
        if self.keys.wait_for(|keys| !keys.has(key)).await.is_err() {
            // Nobody changes the keys any more.
            std::future::pending::<()>().await;
        }
    }
}

impl Issuer {
    /// For how long a token may be good, counted from when it comes, unless [`Issuer::max_lifetime`] says otherwise.
    pub const MAX_LIFETIME: Duration = Duration::from_secs(24 * 3600);

    /// Tokens that are as `expected`, signed by one of `keys`, stand for `oidc:<namespace>/<subject>`.
    ///
    /// # Errors
    ///
    /// Why there can be no such issuer.
    pub fn new(
        expected: jwt::Expected,
        namespace: &str,
        keys: watch::Receiver<Arc<KeySet>>,
    ) -> Result<Self, String> {
        let jwt::Expected {
            issuer,
            audience,
            subject_claim,
        } = &expected;
        if !issuer.contains(':') || issuer.len() > 512 || issuer.chars().any(char::is_control) {
            return Err(format!("jwt: the issuer {issuer:?} is no URL"));
        }
        if audience.is_empty() || subject_claim.is_empty() {
            return Err(format!(
                "jwt: {issuer}: audience and subject must not be empty"
            ));
        }
        names::check_identity(&format!("oidc:{namespace}/x"))
            .ok()
            .filter(|()| !namespace.contains('/'))
            .ok_or_else(|| format!("jwt: {issuer}: the namespace {namespace:?} is no word"))?;
        Ok(Self {
            expected,
            namespace: namespace.into(),
            keys,
            fetching: None,
            max_lifetime: Self::MAX_LIFETIME,
        })
    }

    /// Has its keys fetched early when a token names one that is not known: they are those that `status` is of.
    #[must_use]
    pub fn fetching(mut self, status: Arc<FetchStatus>) -> Self {
        self.fetching = Some(status);
        self
    }

    /// Accepts tokens that are good for as long as this, counted from when they come.
    #[must_use]
    pub fn max_lifetime(mut self, lifetime: Duration) -> Self {
        self.max_lifetime = lifetime;
        self
    }

    /// Asks for the keys, which may be others by now.
    fn key_unknown(&self, token: &Jwt<'_>, keys: &KeySet) -> JwtError {
        if let Some(status) = self.fetching.as_ref().filter(|_| token.names_key()) {
            status.want();
        }
        if keys.is_empty() {
            JwtError::NoKeys
        } else {
            JwtError::Key
        }
    }

    /// Whose token it is, and what else it says.
    fn verify(&self, token: &Jwt<'_>, now: f64) -> Result<(String, Good), JwtError> {
        let keys = Arc::clone(&self.keys.borrow());
        let claims = token
            .verify(&self.expected, &keys, now)
            .map_err(|problem| match problem {
                JwtError::Key => self.key_unknown(token, &keys),
                other => other,
            })?;
        if claims.until - jwt::LEEWAY > now + self.max_lifetime.as_secs_f64() {
            return Err(JwtError::TooLong);
        }
        let subject = format!("oidc:{}/{}", self.namespace, claims.subject);
        let fits = subject.len() <= 512 && !subject.chars().any(char::is_control);
        if !fits || names::check_identity(&subject).is_err() {
            return Err(JwtError::Subject);
        }
        let key = TokenKey {
            keys: self.keys.clone(),
            key: token.key(&keys).ok_or(JwtError::Key)?.clone(),
        };
        Ok((subject, Good { claims, key }))
    }
}

/// A token that is good.
struct Good {
    claims: Claims,
    key: TokenKey,
}

/// How senders are authenticated.
#[derive(Debug, Clone)]
pub enum Authentication {
    /// Not at all, which every entry says: anybody may do anything. For development on a loopback address.
    None,
    /// By a bearer token, or else by a client certificate that the TLS layer has checked.
    Required {
        /// The static tokens that are accepted.
        tokens: Vec<Token>,
        /// Whose JSON web tokens are accepted.
        issuers: Vec<Issuer>,
        /// Who may do what.
        policy: watch::Receiver<Arc<Policy>>,
    },
}

/// Why the tokens of a configuration cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Two tokens have one name.
    #[error("two tokens have the name {0}")]
    NameTwice(String),
    /// The name cannot be sealed.
    #[error("the token name {0:?} is empty, has more than 128 bytes, or holds a control character")]
    Name(String),
    /// The subject is not an identity.
    #[error("the subject of token {name} {problem}")]
    Subject {
        /// The token's name.
        name: String,
        /// What is wrong with it.
        problem: String,
    },
}

/// The sender of a request, as far as the ledger knows.
pub(super) struct Sender {
    /// The envelope of everything this request appends.
    pub(super) envelope: v1::Envelope,
    /// When its credential ends to be good, in seconds since 1970; none if it says no such time.
    pub(super) until: Option<f64>,
    /// The key that its token is signed with, if it is.
    pub(super) key: Option<TokenKey>,
    /// The certificate that it is known by, if it is.
    pub(super) certificate: Option<Arc<Presented>>,
}

impl Authentication {
    /// Accepts these tokens, those of these issuers, and client certificates that the TLS layer has checked, and lets each do
    /// what `policy` says.
    pub fn required(
        tokens: Vec<Token>,
        issuers: Vec<Issuer>,
        policy: watch::Receiver<Arc<Policy>>,
    ) -> Result<Self, TokenError> {
        let mut seen = HashSet::new();
        for token in &tokens {
            check_token_name(&token.name)?;
            if !seen.insert(&token.name) {
                return Err(TokenError::NameTwice(token.name.clone()));
            }
            names::check_identity(&token.subject).map_err(|problem| TokenError::Subject {
                name: token.name.clone(),
                problem,
            })?;
        }
        Ok(Self::Required {
            tokens,
            issuers,
            policy,
        })
    }

    /// How it stands with the keys that are fetched.
    pub(super) fn fetched_keys(&self) -> Vec<Arc<FetchStatus>> {
        match self {
            Self::None => Vec::new(),
            Self::Required { issuers, .. } => {
                let statuses = issuers.iter().filter_map(|issuer| issuer.fetching.clone());
                statuses.collect()
            }
        }
    }

    /// The same, with every role taken away but that of auditors. Follows the policy as it changes, in a task that ends with
    /// it.
    #[must_use]
    pub fn for_auditors(&self) -> Self {
        let Self::Required {
            tokens,
            issuers,
            policy,
        } = self
        else {
            return Self::None;
        };
        let mut all = policy.clone();
        let auditors = watch::Sender::new(Arc::new(all.borrow_and_update().for_auditors()));
        let policy = auditors.subscribe();
        tokio::spawn(async move {
            while all.changed().await.is_ok() {
                let changed = all.borrow_and_update().for_auditors();
                auditors.send_replace(Arc::new(changed));
            }
        });
        Self::Required {
            tokens: tokens.clone(),
            issuers: issuers.clone(),
            policy,
        }
    }

    /// Who sent a request with these headers, over a connection with these extensions.
    pub(super) fn identify(
        &self,
        headers: &HeaderMap,
        extensions: &Extensions,
    ) -> Result<Sender, Status> {
        let peer = extensions.get::<Peer>().cloned().unwrap_or_default();
        let sender = |method: v1::Authentication, issuer: &str, subject: String, credential| {
            let address = peer.address.map(|address| address.to_string());
            v1::Envelope {
                submitter: Some(v1::Submitter {
                    issuer: issuer.into(),
                    subject,
                }),
                authentication: method.into(),
                credential,
                peer: address.unwrap_or_default(),
                ..Default::default()
            }
        };
        let for_ever = |envelope| Sender {
            envelope,
            until: None,
            key: None,
            certificate: None,
        };
        let (tokens, issuers) = match self {
            Self::None => {
                let subject = "dev:anonymous".to_string();
                let method = v1::Authentication::None;
                return Ok(for_ever(sender(method, "dev", subject, String::new())));
            }
            Self::Required {
                tokens, issuers, ..
            } => (tokens, issuers),
        };
        if let Some(presented) = bearer(headers)? {
            if let Some(token) = find(tokens, presented) {
                let (subject, name) = (token.subject.clone(), token.name.clone());
                let method = v1::Authentication::Token;
                return Ok(for_ever(sender(method, "token", subject, name)));
            }
            let (issuer, subject, Good { claims, key }) =
                find_issuer(issuers, presented).map_err(not_accepted)?;
            let credential = claims.id.unwrap_or_else(|| sha256(presented.as_bytes()));
            return Ok(Sender {
                envelope: sender(v1::Authentication::Jwt, issuer, subject, credential),
                until: Some(claims.until),
                key: Some(key),
                certificate: None,
            });
        }
        let Some(presented) = peer.certificate else {
            return Err(Status::unauthenticated(
                "a bearer token or a client certificate is needed",
            ));
        };
        let certificate = &presented.certificate;
        let subject = certificate
            .subject
            .clone()
            .ok_or_else(|| Status::unauthenticated("the client certificate names nobody"))?;
        if certificate.until <= now() {
            return Err(Status::unauthenticated(
                "the client certificate has expired",
            ));
        }
        if !presented.is_accepted() {
            return Err(certificate_refused());
        }
        let method = v1::Authentication::ClientCertificate;
        Ok(Sender {
            envelope: sender(method, "mtls", subject, certificate.sha256.clone()),
            until: Some(certificate.until),
            key: None,
            certificate: Some(presented),
        })
    }
}

/// What a call gets, and what a stream ends with, when its certificate is good no more.
pub(super) fn certificate_refused() -> Status {
    Status::unauthenticated(
        "the client certificate is accepted no more: it was revoked, or its authority is another by now",
    )
}

/// Checks that a token can have this name, which is sealed with everything that it sends.
pub fn check_token_name(name: &str) -> Result<(), TokenError> {
    if name.is_empty() || name.len() > 128 || name.chars().any(char::is_control) {
        return Err(TokenError::Name(name.to_owned()));
    }
    Ok(())
}

/// The bearer token of a request.
fn bearer(headers: &HeaderMap) -> Result<Option<&str>, Status> {
    let mut given = headers.get_all(header::AUTHORIZATION).iter();
    let Some(header) = given.next() else {
        return Ok(None);
    };
    let token = header.to_str().ok().filter(|_| given.next().is_none());
    token
        .and_then(|header| header.strip_prefix("Bearer "))
        .map(Some)
        .ok_or_else(|| Status::unauthenticated("`authorization` is not one bearer token"))
}

fn not_accepted(problem: Option<JwtError>) -> Status {
    match problem {
        None => Status::unauthenticated("the bearer token is not known here"),
        // Nobody can say yet whether it is good: it is worth another try.
        Some(problem @ JwtError::NoKeys) => {
            Status::unavailable(format!("the bearer token {problem}"))
        }
        Some(problem) => Status::unauthenticated(format!("the bearer token {problem}")),
    }
}

/// Who issued a token, whose it is, and what else it says. No error is that of a token that looks like none of an issuer.
fn find_issuer<'a>(
    issuers: &'a [Issuer],
    presented: &str,
) -> Result<(&'a str, String, Good), Option<JwtError>> {
    if issuers.is_empty() || !jwt::looks_like_one(presented) {
        return Err(None);
    }
    let token = Jwt::parse(presented).map_err(Some)?;
    let mut problem = JwtError::Issuer;
    for issuer in issuers {
        match issuer.verify(&token, now()) {
            Ok((subject, good)) => return Ok((&issuer.expected.issuer, subject, good)),
            Err(JwtError::Issuer) => {}
            Err(other) => problem = other,
        }
    }
    Err(Some(problem))
}

/// The time, in seconds since 1970.
pub(super) fn now() -> f64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default().as_secs_f64()
}

/// Looks at every token, so that the time taken says nothing about which one matches.
fn find<'a>(tokens: &'a [Token], presented: &str) -> Option<&'a Token> {
    let digest: [u8; 32] = Sha256::digest(presented).into();
    let mut found = None;
    for token in tokens {
        if bool::from(token.sha256.ct_eq(&digest)) {
            found = Some(token);
        }
    }
    found
}
