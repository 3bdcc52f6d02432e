//! TLS 1.3 for the server: its certificate, whose client certificates it accepts, and which of these are revoked.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::watch;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{
    CertificateDer, CertificateRevocationListDer, PrivateKeyDer, UnixTime,
};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::server::danger::ClientCertVerifier;
use tokio_rustls::rustls::version::TLS13;
use tokio_rustls::rustls::{CertificateError, Error, RootCertStore, ServerConfig};

use super::watched::{FileError, Watched};

const H2: &[u8] = b"h2";
const PEM: &[u8] = b"-----BEGIN ";

/// How connections are secured from now on.
#[derive(Debug, Clone)]
pub struct Tls(watch::Receiver<Arc<Secured>>);

impl Tls {
    /// What a new connection begins with.
    pub(super) fn current(&self) -> Arc<Secured> {
        Arc::clone(&self.0.borrow())
    }

    /// Waits for a state of the files of which this is so. False if that can never be any more.
    pub(super) async fn wait_for(mut self, is_so: impl FnMut(&Arc<Secured>) -> bool) -> bool {
        self.0.wait_for(is_so).await.is_ok()
    }
}

/// What the files say at a time.
#[derive(Debug)]
pub(super) struct Secured {
    config: Arc<ServerConfig>,
    /// Checks client certificates; none where none are asked for.
    verifier: Option<Arc<dyn ClientCertVerifier>>,
    /// Whether it was said that lists of revoked certificates keep everybody out.
    said: AtomicBool,
}

impl Secured {
    pub(super) fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config)
    }

    /// Whether a client with this chain would be accepted now.
    pub(super) fn accepts(&self, chain: &[CertificateDer<'_>]) -> bool {
        let (Some(verifier), Some((first, rest))) = (&self.verifier, chain.split_first()) else {
            return false;
        };
        verifier
            .verify_client_cert(first, rest, UnixTime::now())
            .is_ok()
    }

    /// Says once why a handshake failed, if the client is not to blame.
    pub(super) fn note(&self, failure: &std::io::Error) {
        let failure = failure.get_ref().and_then(|error| error.downcast_ref());
        let Some(Error::InvalidCertificate(problem)) = failure else {
            return;
        };
        let is_ours = matches!(
            problem,
            CertificateError::ExpiredRevocationList
                | CertificateError::ExpiredRevocationListContext { .. }
                | CertificateError::UnknownRevocationStatus
        );
        if is_ours && !self.said.swap(true, Ordering::Relaxed) {
            tracing::error!(%problem, "client certificates are refused: look at client_crl");
        }
    }
}

/// The files that TLS needs, read again when they change.
pub struct TlsFiles(Watched<Secured>);

impl TlsFiles {
    /// Reads the server's certificate with its chain, its private key, and the authorities whose client certificates are
    /// accepted, all in PEM; and lists of what these have revoked, in PEM or DER. Without authorities no certificate is asked
    /// for. With a list, each authority of a chain needs one that has not expired.
    pub fn open(
        certificate: &Path,
        key: &Path,
        client_authorities: Option<&Path>,
        revoked: &[PathBuf],
    ) -> Result<Self, FileError> {
        let mut paths: Vec<PathBuf> = vec![certificate.into(), key.into()];
        if let Some(authorities) = client_authorities {
            paths.push(authorities.into());
            paths.extend_from_slice(revoked);
        }
        Ok(Self(Watched::open("TLS", paths, parse)?))
    }

    /// What to serve with.
    pub fn tls(&self) -> Tls {
        Tls(self.0.subscribe())
    }

    /// Looks after the files. See [`Watched::follow`].
    pub async fn follow(self, told: watch::Receiver<()>) {
        self.0.follow(told).await;
    }
}

/// The server's certificate, its key, then authorities and lists of what they have revoked, as far as there are any.
fn parse(contents: &[Vec<u8>]) -> Result<Secured, String> {
    let mut contents = contents.iter();
    let certificates = certificates("the server's certificate", contents.next())?;
    let key = contents.next().map_or(&[][..], Vec::as_slice);
    let key = PrivateKeyDer::from_pem_slice(key)
        .map_err(|_| "the server's private key is not one in PEM".to_owned())?;
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&TLS13])
        .map_err(|error| error.to_string())?;
    let verifier = match contents.next() {
        None => None,
        Some(authorities) => Some(verifier(authorities, contents.as_slice(), provider)?),
    };
    let builder = match &verifier {
        None => builder.with_no_client_auth(),
        Some(verifier) => builder.with_client_cert_verifier(Arc::clone(verifier)),
    };
    let mut config = builder
        .with_single_cert(certificates, key)
        .map_err(|error| format!("the server's certificate and key: {error}"))?;
    config.alpn_protocols = vec![H2.into()];
    if !contents.as_slice().is_empty() {
        // A session that is resumed is not checked anew, and a list may have expired.
        config.send_tls13_tickets = 0;
    }
    Ok(Secured {
        config: Arc::new(config),
        verifier,
        said: AtomicBool::new(false),
    })
}

/// What checks client certificates. Those who have none may still have a token.
fn verifier(
    authorities: &Vec<u8>,
    revoked: &[Vec<u8>],
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, String> {
    let mut roots = RootCertStore::empty();
    for authority in certificates("client_ca", Some(authorities))? {
        roots
            .add(authority)
            .map_err(|error| format!("client_ca: {error}"))?;
    }
    let mut lists = Vec::new();
    for file in revoked {
        lists.extend(revocation_lists(file)?);
    }
    let what = if lists.is_empty() {
        "client_ca"
    } else {
        "client_ca and client_crl"
    };
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
        .with_crls(lists)
        .enforce_revocation_expiration()
        .allow_unauthenticated()
        .build()
        .map_err(|error| format!("{what}: {error}"))?;
    Ok(verifier)
}

/// The lists of a file: any number in PEM, or one in DER.
fn revocation_lists(file: &[u8]) -> Result<Vec<CertificateRevocationListDer<'static>>, String> {
    if !file.windows(PEM.len()).any(|window| window == PEM) {
        return Ok(vec![file.to_vec().into()]);
    }
    let lists: Result<Vec<_>, _> = CertificateRevocationListDer::pem_slice_iter(file).collect();
    match lists {
        Ok(lists) if !lists.is_empty() => Ok(lists),
        _ => Err("client_crl has no list of revoked certificates in PEM".into()),
    }
}

fn certificates(what: &str, pem: Option<&Vec<u8>>) -> Result<Vec<CertificateDer<'static>>, String> {
    let pem = pem.map_or(&[][..], Vec::as_slice);
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match certificates {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => Err(format!("{what} has no certificate in PEM")),
    }
}

/// Whether a connection speaks HTTP/2, as it has to.
pub(super) fn speaks_h2(protocol: Option<&[u8]>) -> bool {
    protocol == Some(H2)
}
