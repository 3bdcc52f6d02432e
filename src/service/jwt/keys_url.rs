//! The key set of an issuer at a URL: one GET over HTTP/1.1, with bounds on everything that the other side decides.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, HOST, HeaderValue, USER_AGENT};
use hyper::{Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::keys::{KeySet, KeysError, MAX_BYTES};
use crate::service::watched;

/// A whole fetch, from the name of the host to the last byte, ends by then.
const TIME_LIMIT: Duration = Duration::from_secs(10);
const MAX_URL_BYTES: usize = 2_048;
/// The status line and the headers.
const MAX_HEAD_BYTES: usize = 32 * 1024;
/// Where systems keep the authorities that they trust.
const SYSTEM_AUTHORITIES: [&str; 3] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
];

/// Where an issuer publishes its key set: an `https` URL, or an `http` one of this machine.
#[derive(Debug, Clone)]
pub struct KeysUrl {
    text: String,
    host: String,
    port: u16,
    /// Path and query.
    target: Uri,
    /// `host`, and the port where it is not the usual one.
    host_header: HeaderValue,
    /// None over plain HTTP.
    tls: Option<Authorities>,
    time_limit: Duration,
}

/// Who vouches for the server.
#[derive(Debug, Clone)]
struct Authorities {
    path: PathBuf,
    /// Whether these are the system's, among which may be odd ones.
    of_system: bool,
}

/// Why there are no keys from a URL.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The authorities cannot be used.
    #[error("{0}")]
    Authorities(String),
    /// Nobody answers there.
    #[error("it cannot be reached: {0}")]
    Unreachable(io::Error),
    /// A name of this machine is another's.
    #[error("its host is not this machine: https is needed")]
    NotLoopback,
    /// The server is not the one that was meant.
    #[error("no TLS connection: {0}")]
    Tls(io::Error),
    /// It does not speak HTTP, or stopped.
    #[error("no answer: {0}")]
    Http(#[from] hyper::Error),
    /// The answer is none, or stands elsewhere.
    #[error("the answer is {0}, not 200 OK; redirects are not followed")]
    Status(StatusCode),
    /// The answer ended before its end, or has none.
    #[error("the answer broke off: {0}")]
    Body(Box<dyn std::error::Error + Send + Sync>),
    /// It took too long.
    #[error("no answer within {} s", .0.as_secs_f64())]
    TooSlow(Duration),
    /// It is no key set.
    #[error("the answer {0}")]
    Keys(#[from] KeysError),
}

impl KeysUrl {
    /// A URL as it stands in a configuration, with the file of the authorities that vouch for its server; without one those
    /// of the system do.
    ///
    /// # Errors
    ///
    /// What is wrong with either, naming `keys_url` or `keys_url_ca`.
    pub fn new(text: &str, authorities: Option<&Path>) -> Result<Self, String> {
        let bad = |problem: &str| format!("keys_url {text:?}: {problem}");
        if text.len() > MAX_URL_BYTES {
            return Err(format!("keys_url has more than {MAX_URL_BYTES} bytes"));
        }
        let uri: Uri = text.parse().map_err(|_| bad("is no URL"))?;
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err(bad("is no URL with a scheme and a host"));
        };
        if text.contains('#') || authority.as_str().contains('@') {
            return Err(bad("a user, a password or a fragment is not supported"));
        }
        let host = authority.host();
        let behind_host = authority.as_str().len() != host.len();
        if behind_host && authority.port_u16().is_none() {
            return Err(bad("has a port that is none"));
        }
        let is_secure = match scheme {
            "https" => true,
            "http" if is_loopback_name(host) => false,
            "http" => {
                return Err(bad(
                    "http is for 127.0.0.1, [::1] and localhost alone: whoever is on the network \
                     could put keys in; use https",
                ));
            }
            _ => return Err(bad("https is needed")),
        };
        let target = uri.path_and_query().map_or("/", |target| target.as_str());
        let tls = match (is_secure, authorities) {
            (true, Some(path)) => Some(Authorities {
                path: path.to_owned(),
                of_system: false,
            }),
            (true, None) => Some(Authorities::of_system()?),
            (false, None) => None,
            (false, Some(_)) => return Err("keys_url_ca is for https URLs".into()),
        };
        if let Some(authorities) = &tls {
            authorities.read()?;
        }
        Ok(Self {
            host: host.trim_matches(['[', ']']).to_owned(),
            port: authority
                .port_u16()
                .unwrap_or(if is_secure { 443 } else { 80 }),
            target: target
                .parse()
                .map_err(|_| bad("has no path that can be asked for"))?,
            host_header: HeaderValue::from_str(authority.as_str())
                .map_err(|_| bad("has an odd host"))?,
            tls,
            text: text.to_owned(),
            time_limit: TIME_LIMIT,
        })
    }

    /// Gives up after so long.
    #[must_use]
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.time_limit = limit;
        self
    }

    /// The URL, as it was given.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Fetches the key set.
    pub async fn fetch(&self) -> Result<KeySet, FetchError> {
        let body = tokio::time::timeout(self.time_limit, self.get()).await;
        let body = body.map_err(|_| FetchError::TooSlow(self.time_limit))??;
        Ok(KeySet::parse(&body)?)
    }

    async fn get(&self) -> Result<Bytes, FetchError> {
        let stream = self.connect().await?;
        let Some(authorities) = self.tls.clone() else {
            return self.ask(stream).await;
        };
        let config = tokio::task::spawn_blocking(move || authorities.client()).await;
        let config = config
            .map_err(|error| FetchError::Authorities(error.to_string()))?
            .map_err(FetchError::Authorities)?;
        let name = ServerName::try_from(self.host.clone())
            .map_err(|error| FetchError::Tls(io::Error::other(error)))?;
        let stream = TlsConnector::from(Arc::new(config))
            .connect(name, stream)
            .await
            .map_err(FetchError::Tls)?;
        self.ask(stream).await
    }

    async fn connect(&self) -> Result<TcpStream, FetchError> {
        let found = tokio::net::lookup_host((self.host.as_str(), self.port)).await;
        let found = found.map_err(FetchError::Unreachable)?;
        let allowed = |address: &SocketAddr| self.tls.is_some() || address.ip().is_loopback();
        let addresses: Vec<_> = found.filter(allowed).collect();
        if addresses.is_empty() {
            return Err(FetchError::NotLoopback);
        }
        let stream = TcpStream::connect(addresses.as_slice()).await;
        stream.map_err(FetchError::Unreachable)
    }

    async fn ask(
        &self,
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    ) -> Result<Bytes, FetchError> {
        let (mut sender, connection) = http1::Builder::new()
            .max_buf_size(MAX_HEAD_BYTES)
            .handshake(TokioIo::new(stream))
            .await?;
        // Ends with this call, whatever becomes of it.
        let mut driving = JoinSet::new();
        driving.spawn(connection);
        let mut request = Request::new(Empty::<Bytes>::new());
        *request.uri_mut() = self.target.clone();
        let headers = request.headers_mut();
        headers.insert(HOST, self.host_header.clone());
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        let agent = concat!("graven/", env!("CARGO_PKG_VERSION"));
        headers.insert(USER_AGENT, HeaderValue::from_static(agent));
        let answer = sender.send_request(request).await?;
        if answer.status() != StatusCode::OK {
            return Err(FetchError::Status(answer.status()));
        }
        let body = Limited::new(answer.into_body(), MAX_BYTES).collect().await;
        body.map(http_body_util::Collected::to_bytes)
            .map_err(|error| match error.downcast::<LengthLimitError>() {
                Ok(_) => KeysError::TooLarge.into(),
                Err(error) => FetchError::Body(error),
            })
    }
}

impl Authorities {
    fn of_system() -> Result<Self, String> {
        let found = SYSTEM_AUTHORITIES
            .iter()
            .find(|path| Path::new(path).is_file());
        let path = found.ok_or_else(|| {
            format!(
                "keys_url: this system has no file of authorities ({}): give one with keys_url_ca",
                SYSTEM_AUTHORITIES.join(", ")
            )
        })?;
        Ok(Self {
            path: path.into(),
            of_system: true,
        })
    }

    fn read(&self) -> Result<RootCertStore, String> {
        let shown = self.path.display();
        let pem = watched::read(&self.path).map_err(|error| format!("keys_url_ca: {error}"))?;
        let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
        let all = all.map_err(|_| format!("keys_url_ca: {shown} is not PEM"))?;
        let mut roots = RootCertStore::empty();
        if self.of_system {
            roots.add_parsable_certificates(all);
        } else {
            for authority in all {
                roots
                    .add(authority)
                    .map_err(|error| format!("keys_url_ca: {shown}: {error}"))?;
            }
        }
        if roots.is_empty() {
            return Err(format!("keys_url_ca: {shown} has no certificate in PEM"));
        }
        Ok(roots)
    }

    /// Read anew for each fetch, so that another file is taken without a word.
    fn client(&self) -> Result<ClientConfig, String> {
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?;
        let mut config = builder
            .with_root_certificates(self.read()?)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }
}

fn is_loopback_name(host: &str) -> bool {
    let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}
