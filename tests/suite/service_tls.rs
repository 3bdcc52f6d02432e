//! Handshakes: TLS 1.3 and HTTP/2 alone, within bounds, with the certificates that the files have now.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use graven::entry::v1;
use graven::service::client::LedgerServiceClient;
use graven::service::{Authentication, TlsFiles};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{
    AlertDescription, ClientConfig, Error, ProtocolVersion, RootCertStore,
    SupportedProtocolVersion, version,
};
use tokio_stream::StreamExt;
use tonic::Code;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Identity};

use super::access_support::policy;
use super::certificates::{Authority, uri};
use super::service_support::TestServer;

fn files(dir: &Path, authority: &Authority) -> TlsFiles {
    authority.server().write(dir, "server");
    TlsFiles::open(&dir.join("server.pem"), &dir.join("server.key"), None, &[]).unwrap()
}

/// Whether a client that trusts `authority` gets an answer.
async fn answers(server: &TestServer, authority: &Authority) -> bool {
    let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(&authority.pem));
    let endpoint = Channel::from_shared(server.url.clone()).unwrap();
    let Ok(channel) = endpoint.tls_config(tls).unwrap().connect().await else {
        return false;
    };
    let mut client = LedgerServiceClient::new(channel);
    client
        .get_checkpoint(v1::GetCheckpointRequest {})
        .await
        .is_ok()
}

async fn becomes(server: &TestServer, authority: &Authority) {
    let wait = async {
        while !answers(server, authority).await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), wait)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_change_while_the_server_runs() {
    let temporary = TempDir::new().unwrap();
    let dir = temporary.path();
    let (old, new) = (Authority::new(), Authority::new());
    let files = files(dir, &old);
    let server = TestServer::start_with(Authentication::None, Some(files.tls())).await;
    let (tell, told) = watch::channel(());
    let following = tokio::spawn(files.follow(told));
    assert!(answers(&server, &old).await && !answers(&server, &new).await);

    // A certificate without its key, and a file that is none: all stays as it was.
    fs::write(dir.join("server.pem"), new.server().certificate).unwrap();
    tell.send_replace(());
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(answers(&server, &old).await && !answers(&server, &new).await);
    fs::write(dir.join("server.pem"), "none").unwrap();
    tell.send_replace(());
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(answers(&server, &old).await);

    new.server().write(dir, "server");
    tell.send_replace(());
    becomes(&server, &new).await;
    assert!(!answers(&server, &old).await);
    // Without being told, it takes a little longer.
    old.server().write(dir, "server");
    becomes(&server, &old).await;
    following.abort();
}

async fn handshake(
    server: &TestServer,
    authority: &Authority,
    protocols: &[&str],
) -> tokio_rustls::client::TlsStream<TcpStream> {
    let both = [&version::TLS12, &version::TLS13];
    let stream = handshake_of(server, authority, &both, protocols).await;
    stream.unwrap()
}

async fn handshake_of(
    server: &TestServer,
    authority: &Authority,
    versions: &[&'static SupportedProtocolVersion],
    protocols: &[&str],
) -> std::io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    let pem = authority.pem.as_bytes();
    roots
        .add(CertificateDer::from_pem_slice(pem).unwrap())
        .unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let mut config = builder
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = protocols
        .iter()
        .map(|name| name.as_bytes().to_vec())
        .collect();
    let (_, port) = server.url.rsplit_once(':').unwrap();
    let stream = TcpStream::connect(format!("127.0.0.1:{port}"))
        .await
        .unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn only_http_2_over_tls_1_3() {
    let temporary = TempDir::new().unwrap();
    let authority = Authority::new();
    let files = files(temporary.path(), &authority);
    let server = TestServer::start_with(Authentication::None, Some(files.tls())).await;
    let mut stream = handshake(&server, &authority, &["h2"]).await;
    let (_, session) = stream.get_ref();
    assert_eq!(session.protocol_version(), Some(ProtocolVersion::TLSv1_3));
    // The server speaks first: its settings.
    assert_ne!(stream.read(&mut [0; 16]).await.unwrap(), 0);
    let older = handshake_of(&server, &authority, &[&version::TLS12], &["h2"]).await;
    let refusal = older.unwrap_err();
    let reason = refusal.get_ref().unwrap().downcast_ref::<Error>();
    let version = Error::AlertReceived(AlertDescription::ProtocolVersion);
    assert_eq!(reason, Some(&version));
    // Who does not ask for HTTP/2 is left.
    let mut silent = handshake(&server, &authority, &[]).await;
    assert!(!matches!(silent.read(&mut [0; 16]).await, Ok(1..)));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_answered_in_the_clear() {
    let temporary = TempDir::new().unwrap();
    let authority = Authority::new();
    let files = files(temporary.path(), &authority);
    let server = TestServer::start_with(Authentication::None, Some(files.tls())).await;
    for url in [&server.url, &server.admin] {
        let clear = url.replace("https", "http");
        // A channel says so with its first call.
        if let Ok(mut client) = LedgerServiceClient::connect(clear).await {
            let asked = client.get_checkpoint(v1::GetCheckpointRequest {}).await;
            assert!(asked.is_err(), "{asked:?}");
        }
        let (_, port) = url.rsplit_once(':').unwrap();
        let address = format!("127.0.0.1:{port}");
        let mut stream = TcpStream::connect(address).await.unwrap();
        // How every connection of HTTP/2 begins, with empty settings.
        let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
        stream.write_all(preface).await.unwrap();
        let mut answer = Vec::new();
        // A reset is as good as an end.
        let _ = stream.read_to_end(&mut answer).await;
        // At most the alert of TLS that this is none.
        assert!(
            answer.is_empty() || answer.starts_with(&[21, 3]),
            "{answer:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_says_nothing_is_left() {
    let temporary = TempDir::new().unwrap();
    let authority = Authority::new();
    let files = files(temporary.path(), &authority);
    let server = TestServer::start_with(Authentication::None, Some(files.tls())).await;
    let (_, port) = server.url.rsplit_once(':').unwrap();
    // As many as there are places for handshakes: the next one waits until one of them is dropped.
    let mut silent = Vec::new();
    for _ in 0..256 {
        silent.push(
            TcpStream::connect(format!("127.0.0.1:{port}"))
                .await
                .unwrap(),
        );
    }
    becomes(&server, &authority).await;
    let wait = async {
        for stream in &mut silent {
            assert!(!matches!(stream.read(&mut [0; 16]).await, Ok(1..)));
        }
    };
    tokio::time::timeout(Duration::from_secs(60), wait)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_let_in_by_a_certificate_that_expired_on_its_connection() {
    let temporary = TempDir::new().unwrap();
    let dir = temporary.path();
    let authority = Authority::new();
    authority.server().write(dir, "server");
    fs::write(dir.join("ca.pem"), &authority.pem).unwrap();
    let files = TlsFiles::open(
        &dir.join("server.pem"),
        &dir.join("server.key"),
        Some(&dir.join("ca.pem")),
        &[],
    )
    .unwrap();
    let who = "spiffe://lab/reader";
    let everything = watch::Sender::new(policy(&format!(
        "[[grant]]\nidentity = \"{who}\"\nrole = \"auditor\"\n"
    )));
    let authentication =
        Authentication::required(Vec::new(), Vec::new(), everything.subscribe()).unwrap();
    let server = TestServer::start_with(authentication, Some(files.tls())).await;
    let short = authority.issue("x", vec![uri(who)], |params| {
        params.not_after = (SystemTime::now() + Duration::from_secs(8)).into();
    });
    let tls = ClientTlsConfig::new()
        .ca_certificate(Certificate::from_pem(&authority.pem))
        .identity(Identity::from_pem(&short.certificate, &short.key));
    let endpoint = Channel::from_shared(server.url.clone()).unwrap();
    let channel = endpoint.tls_config(tls).unwrap().connect().await.unwrap();
    let mut client = LedgerServiceClient::new(channel);
    let request = v1::WatchEntriesRequest::default();
    let mut watched = client.watch_entries(request).await.unwrap().into_inner();
    let ended = tokio::time::timeout(Duration::from_secs(60), watched.next()).await;
    let checked = client.get_checkpoint(v1::GetCheckpointRequest {}).await;
    for status in [ended.unwrap().unwrap().unwrap_err(), checked.unwrap_err()] {
        assert_eq!(status.code(), Code::Unauthenticated, "{status}");
        assert!(status.message().contains("has expired"), "{status}");
    }
}
