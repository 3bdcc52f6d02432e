//! TLS 1.3 for the server: its certificate, and whose client certificates it accepts.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::watch;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::version::TLS13;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

use super::watched::{FileError, Watched};

const H2: &[u8] = b"h2";

/// How connections are secured from now on.
#[derive(Debug, Clone)]
pub struct Tls(watch::Receiver<Arc<ServerConfig>>);

impl Tls {
    /// What a new connection begins with.
    pub(super) fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.0.borrow())
    }
}

/// The files that TLS needs, read again when they change.
pub struct TlsFiles(Watched<ServerConfig>);

impl TlsFiles {
    /// Reads the server's certificate with its chain, its private key, and the authorities whose client certificates are
    /// accepted, all in PEM. Without authorities no certificate is asked for.
    pub fn open(
        certificate: &Path,
        key: &Path,
        client_authorities: Option<&Path>,
    ) -> Result<Self, FileError> {
        let mut paths: Vec<PathBuf> = vec![certificate.into(), key.into()];
        paths.extend(client_authorities.map(PathBuf::from));
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

fn parse(contents: &[Vec<u8>]) -> Result<ServerConfig, String> {
    let mut contents = contents.iter();
    let certificates = certificates("the server's certificate", contents.next())?;
    let key = contents.next().map_or(&[][..], Vec::as_slice);
    let key = PrivateKeyDer::from_pem_slice(key)
        .map_err(|_| "the server's private key is not one in PEM".to_owned())?;
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&TLS13])
        .map_err(|error| error.to_string())?;
    let builder = match contents.next() {
        None => builder.with_no_client_auth(),
        Some(authorities) => {
            let mut roots = RootCertStore::empty();
            for authority in self::certificates("client_ca", Some(authorities))? {
                roots
                    .add(authority)
                    .map_err(|error| format!("client_ca: {error}"))?;
            }
            // Those who have no certificate may still have a token.
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                .allow_unauthenticated()
                .build()
                .map_err(|error| format!("client_ca: {error}"))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut config = builder
        .with_single_cert(certificates, key)
        .map_err(|error| format!("the server's certificate and key: {error}"))?;
    config.alpn_protocols = vec![H2.into()];
    Ok(config)
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
