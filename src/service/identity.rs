//! Who sends: the authenticated submitter, sealed into the envelope, which a client can never set.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq;
use tokio::sync::watch;
use tonic::Status;
use tonic::codegen::http::{Extensions, HeaderMap, header};
use tonic::transport::server::{TcpConnectInfo, TlsConnectInfo};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::access::Policy;
use crate::entry::{hex, names, v1};

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

/// How senders are authenticated.
#[derive(Debug, Clone)]
pub enum Authentication {
    /// Not at all, which every entry says: anybody may do anything. For development on a loopback address.
    None,
    /// By a bearer token, or else by a client certificate that the TLS layer has checked.
    Required {
        /// The tokens that are accepted.
        tokens: Vec<Token>,
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
}

impl Authentication {
    /// Accepts these tokens, and client certificates that the TLS layer has checked, and lets each do what `policy` says.
    pub fn required(
        tokens: Vec<Token>,
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
        Ok(Self::Required { tokens, policy })
    }

    /// Who sent a request with these headers, over a connection with these extensions.
    pub(super) fn identify(
        &self,
        headers: &HeaderMap,
        extensions: &Extensions,
    ) -> Result<Sender, Status> {
        let peer = peer(extensions)
            .map(|address| address.to_string())
            .unwrap_or_default();
        let sender =
            |method: v1::Authentication, issuer: &str, subject: String, credential| Sender {
                envelope: v1::Envelope {
                    submitter: Some(v1::Submitter {
                        issuer: issuer.into(),
                        subject,
                    }),
                    authentication: method.into(),
                    credential,
                    peer: peer.clone(),
                    ..Default::default()
                },
            };
        let tokens = match self {
            Self::None => {
                let subject = "dev:anonymous".to_string();
                return Ok(sender(
                    v1::Authentication::None,
                    "dev",
                    subject,
                    String::new(),
                ));
            }
            Self::Required { tokens, .. } => tokens,
        };
        let mut given = headers.get_all(header::AUTHORIZATION).iter();
        if let Some(header) = given.next() {
            let token = header
                .to_str()
                .ok()
                .filter(|_| given.next().is_none())
                .and_then(|header| header.strip_prefix("Bearer "))
                .and_then(|presented| find(tokens, presented))
                .ok_or_else(|| Status::unauthenticated("the bearer token is not known here"))?;
            let (subject, name) = (token.subject.clone(), token.name.clone());
            return Ok(sender(v1::Authentication::Token, "token", subject, name));
        }
        let certificates = extensions
            .get::<TlsConnectInfo<TcpConnectInfo>>()
            .and_then(TlsConnectInfo::peer_certs)
            .filter(|certificates| !certificates.is_empty());
        let Some(certificate) = certificates.as_ref().and_then(|chain| chain.first()) else {
            return Err(Status::unauthenticated(
                "a bearer token or a client certificate is needed",
            ));
        };
        let subject = certificate_subject(certificate)
            .ok_or_else(|| Status::unauthenticated("the client certificate names nobody"))?;
        let credential = format!("sha256:{}", hex::encode(&Sha256::digest(certificate)));
        Ok(sender(
            v1::Authentication::ClientCertificate,
            "mtls",
            subject,
            credential,
        ))
    }
}

/// Checks that a token can have this name, which is sealed with everything that it sends.
pub fn check_token_name(name: &str) -> Result<(), TokenError> {
    if name.is_empty() || name.len() > 128 || name.chars().any(char::is_control) {
        return Err(TokenError::Name(name.to_owned()));
    }
    Ok(())
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

fn peer(extensions: &Extensions) -> Option<SocketAddr> {
    let tls = extensions.get::<TlsConnectInfo<TcpConnectInfo>>();
    match tls {
        Some(tls) => tls.get_ref().remote_addr(),
        None => extensions.get::<TcpConnectInfo>()?.remote_addr(),
    }
}

/// The identity a certificate stands for: its one SPIFFE or other URI, else `x509:` and its common name.
///
/// None when it has several URIs, or a name that is too long or contains control characters.
fn certificate_subject(certificate: &[u8]) -> Option<String> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    let names = certificate.subject_alternative_name().ok()?;
    let names = names
        .map(|names| names.value.general_names.as_slice())
        .unwrap_or_default();
    let mut uris = names.iter().filter_map(|name| match name {
        GeneralName::URI(uri) => Some(*uri),
        _ => None,
    });
    let subject = match (uris.next(), uris.next()) {
        (Some(uri), None) if uri.starts_with("spiffe://") => uri.to_string(),
        (Some(uri), None) => format!("other:{uri}"),
        (Some(_), Some(_)) => return None,
        (None, _) => {
            let name = certificate
                .subject()
                .iter_common_name()
                .next()?
                .as_str()
                .ok()?;
            format!("x509:{name}")
        }
    };
    let fits = subject.len() <= 512 && !subject.chars().any(char::is_control);
    (fits && names::check_identity(&subject).is_ok()).then_some(subject)
}
