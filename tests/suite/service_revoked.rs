//! Lists of revoked client certificates: who is on one gets in no more, on a new connection and on one that is there.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use graven::entry::v1;
use graven::service::client::LedgerServiceClient;
use graven::service::{Authentication, TlsFiles};
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_stream::StreamExt;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Identity};
use tonic::{Code, Status};

use super::access_support::policy;
use super::certificates::{Authority, Issued, uri};
use super::service_support::TestServer;

const DAY: i64 = 24 * 3600;

type Client = LedgerServiceClient<Channel>;

/// A server that lets in who has a certificate of `authority`.
struct Served {
    temporary: TempDir,
    authority: Authority,
    server: TestServer,
    following: JoinHandle<()>,
    tell: watch::Sender<()>,
}

/// The files of a server, and of the authority of its clients.
fn write(dir: &Path, authority: &Authority, authorities: &str) {
    authority.server().write(dir, "server");
    fs::write(dir.join("ca.pem"), authorities).unwrap();
}

fn open(dir: &Path, lists: &[PathBuf]) -> Result<TlsFiles, String> {
    let (certificate, key) = (dir.join("server.pem"), dir.join("server.key"));
    let files = TlsFiles::open(&certificate, &key, Some(&dir.join("ca.pem")), lists);
    files.map_err(|error| error.to_string())
}

impl Served {
    /// With these files of lists, by name, and the certificates of `more` authorities.
    async fn new(authority: Authority, more: &str, lists: &[(&str, Vec<u8>)]) -> Self {
        let temporary = TempDir::new().unwrap();
        let dir = temporary.path();
        write(dir, &authority, &format!("{}{more}", authority.pem));
        for (name, list) in lists {
            fs::write(dir.join(name), list).unwrap();
        }
        let paths: Vec<_> = lists.iter().map(|(name, _)| dir.join(name)).collect();
        let files = open(dir, &paths).unwrap();
        let everybody = "[[grant]]\nidentity = \"spiffe://lab/*\"\nrole = \"auditor\"\n";
        let policy = watch::Sender::new(policy(everybody));
        let authentication =
            Authentication::required(Vec::new(), Vec::new(), policy.subscribe()).unwrap();
        let server = TestServer::start_with(authentication, Some(files.tls())).await;
        let (tell, told) = watch::channel(());
        Self {
            following: tokio::spawn(files.follow(told)),
            temporary,
            authority,
            server,
            tell,
        }
    }

    /// A certificate with this serial number.
    fn issue(&self, serial: u64) -> Issued {
        of(&self.authority, serial)
    }

    async fn connect(&self, issued: &Issued) -> Option<Client> {
        let tls = ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(&self.authority.pem))
            .identity(Identity::from_pem(&issued.certificate, &issued.key));
        let endpoint = Channel::from_shared(self.server.url.clone()).unwrap();
        let channel = endpoint.tls_config(tls).unwrap().connect().await.ok()?;
        Some(LedgerServiceClient::new(channel))
    }

    /// Whether somebody who connects with it is answered.
    async fn accepts(&self, issued: &Issued) -> bool {
        // In TLS 1.3 the client may learn only later that it was refused.
        match self.connect(issued).await {
            Some(mut client) => ask(&mut client).await.is_ok(),
            None => false,
        }
    }

    fn replace(&self, name: &str, list: impl AsRef<[u8]>) {
        fs::write(self.temporary.path().join(name), list).unwrap();
        self.tell.send_replace(());
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.following.abort();
    }
}

fn of(authority: &Authority, serial: u64) -> Issued {
    authority.issue("x", vec![uri("spiffe://lab/reader")], |params| {
        params.serial_number = Some(serial.into());
    })
}

async fn ask(client: &mut Client) -> Result<(), Status> {
    let asked = client.get_checkpoint(v1::GetCheckpointRequest {}).await;
    asked.map(drop)
}

fn pem(authority: &Authority, serials: &[u64]) -> Vec<u8> {
    let list = authority.revoke(serials, DAY);
    list.pem().unwrap().into_bytes()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_certificate_is_refused_on_a_new_connection() {
    let (one, two) = (Authority::named("One"), Authority::named("Two"));
    // One list in PEM, and one in DER.
    let lists = [
        ("one.pem", pem(&one, &[7, 9])),
        ("two.crl", two.revoke(&[8], DAY).der().to_vec()),
    ];
    let served = Served::new(one, &two.pem, &lists).await;
    for serial in [7, 8, 9] {
        let is_revoked = serial != 8;
        assert_eq!(served.accepts(&served.issue(serial)).await, !is_revoked);
        assert_eq!(served.accepts(&of(&two, serial)).await, is_revoked);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_and_streams_of_a_revoked_certificate_end() {
    let authority = Authority::new();
    let lists = [("clients.crl", pem(&authority, &[]))];
    let served = Served::new(authority, "", &lists).await;
    let mut revoked = served.connect(&served.issue(7)).await.unwrap();
    let mut other = served.connect(&served.issue(8)).await.unwrap();
    ask(&mut revoked).await.unwrap();
    let request = v1::WatchEntriesRequest::default();
    let mut watched = revoked.watch_entries(request).await.unwrap().into_inner();
    let mut goes_on = other.watch_entries(request).await.unwrap().into_inner();

    // What is no list changes nothing.
    served.replace("clients.crl", "none");
    tokio::time::sleep(Duration::from_millis(300)).await;
    ask(&mut revoked).await.unwrap();

    served.replace("clients.crl", pem(&served.authority, &[7]));
    let ended = tokio::time::timeout(Duration::from_secs(60), watched.next()).await;
    let asked = ask(&mut revoked).await;
    for status in [ended.unwrap().unwrap().unwrap_err(), asked.unwrap_err()] {
        assert_eq!(status.code(), Code::Unauthenticated, "{status}");
        assert!(status.message().contains("was revoked"), "{status}");
    }
    assert!(!served.accepts(&served.issue(7)).await);
    ask(&mut other).await.unwrap();
    let waited = tokio::time::timeout(Duration::from_millis(100), goes_on.next()).await;
    assert!(waited.is_err(), "{waited:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_list_that_is_good_now_nobody_can_be_told_from_the_revoked() {
    let (one, two) = (Authority::named("One"), Authority::named("Two"));
    let lists = [("one.pem", pem(&two, &[]))];
    let served = Served::new(one, &two.pem, &lists).await;
    // An authority without a list.
    assert!(!served.accepts(&served.issue(1)).await);
    assert!(served.accepts(&of(&two, 1)).await);
    // One that another authority signed in its name.
    let forged = Authority::named("One");
    served.replace("one.pem", pem(&forged, &[]));
    until(&served, &of(&two, 1), false).await;
    assert!(!served.accepts(&served.issue(1)).await);
    let good = pem(&served.authority, &[]);
    served.replace("one.pem", good);
    until(&served, &served.issue(1), true).await;
    let expired = served.authority.revoke(&[], -60).pem().unwrap();
    served.replace("one.pem", expired);
    until(&served, &served.issue(1), false).await;
}

/// Waits until a certificate is accepted, or is not.
async fn until(served: &Served, issued: &Issued, accepted: bool) {
    let wait = async {
        while served.accepts(issued).await != accepted {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), wait)
        .await
        .unwrap();
}

#[test]
fn a_file_that_is_no_list_is_an_error_at_the_start() {
    let temporary = TempDir::new().unwrap();
    let dir = temporary.path();
    let authority = Authority::new();
    write(dir, &authority, &authority.pem);
    let list = dir.join("clients.crl");
    for content in ["", "none", &authority.pem, "-----BEGIN X509 CRL-----\n"] {
        fs::write(&list, content).unwrap();
        let Err(problem) = open(dir, std::slice::from_ref(&list)) else {
            panic!("{content:?}");
        };
        assert!(problem.contains("client_crl"), "{content:?}: {problem}");
    }
    fs::remove_file(&list).unwrap();
    let Err(problem) = open(dir, std::slice::from_ref(&list)) else {
        panic!("there is none");
    };
    assert!(problem.contains("clients.crl"), "{problem}");
}
