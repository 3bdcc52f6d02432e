//! A server in this process over a ledger on a simulated disk, and a client of it.

use std::sync::Arc;

use graven::entry::v1;
use graven::ledger::{self, Ledger, Options, SystemClock, SystemEntropy};
use graven::note::{SignerKey, VerifierKey};
use graven::service::client::LedgerServiceClient;
use graven::service::{self, Admission, Authentication, Listeners, Tls};
use graven::store::MemoryDisk;
use graven::verify::Expected;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::transport::Channel;

pub(super) const ORIGIN: &str = "test.example/ledger";

pub(super) struct TestServer {
    pub(super) ledger: Arc<Ledger>,
    pub(super) url: String,
    /// Where it takes orders.
    pub(super) admin: String,
    shutdown: Option<oneshot::Sender<()>>,
    serving: JoinHandle<Result<(), service::ServeError>>,
}

pub(super) fn key() -> SignerKey {
    SignerKey::from_seed(ORIGIN, [7; 32]).unwrap()
}

pub(super) fn verifier() -> VerifierKey {
    key().verifier()
}

pub(super) fn expected() -> Expected {
    Expected {
        origin: ORIGIN.into(),
        key: verifier(),
        submitter: None,
    }
}

impl TestServer {
    pub(super) async fn start() -> Self {
        Self::start_with(Authentication::None, None).await
    }

    pub(super) async fn start_with(authentication: Authentication, tls: Option<Tls>) -> Self {
        let disk = MemoryDisk::new();
        let clock = SystemClock::default();
        ledger::init(&disk, &key(), ORIGIN, None, &clock, &SystemEntropy).unwrap();
        Self::on(&disk, authentication, tls).await
    }

    /// A server of the ledger on this disk.
    pub(super) async fn on(
        disk: &MemoryDisk,
        authentication: Authentication,
        tls: Option<Tls>,
    ) -> Self {
        let disk = disk.clone();
        let ledger = tokio::task::spawn_blocking(move || {
            let clock = SystemClock::default();
            let options = Options {
                key: key(),
                origin: ORIGIN.into(),
                adopt: false,
                known_checkpoints: Vec::new(),
                clock: Arc::new(clock),
                entropy: Arc::new(SystemEntropy),
            };
            Arc::new(Ledger::open(&disk, options).unwrap())
        })
        .await
        .unwrap();
        Self::serve(ledger, authentication, tls).await
    }

    /// A server of this ledger.
    pub(super) async fn of(ledger: Arc<Ledger>) -> Self {
        Self::serve(ledger, Authentication::None, None).await
    }

    /// A server of a new ledger with these limits.
    pub(super) async fn admitting(admission: Admission) -> Self {
        let unlimited = Self::start().await;
        let ledger = Arc::clone(&unlimited.ledger);
        unlimited.stop().await.unwrap();
        Self::serve(ledger, admission, None).await
    }

    async fn serve(
        ledger: Arc<Ledger>,
        admission: impl Into<Admission> + Send + 'static,
        tls: Option<Tls>,
    ) -> Self {
        let scheme = if tls.is_some() { "https" } else { "http" };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!(
            "{scheme}://localhost:{}",
            listener.local_addr().unwrap().port()
        );
        let admin = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = admin.local_addr().unwrap().port();
        let admin_url = format!("{scheme}://localhost:{port}");
        let listeners = Listeners {
            public: listener,
            admin: Some(admin),
            monitor: None,
            backup_dir: None,
        };
        let (shutdown, stopped) = oneshot::channel::<()>();
        let shared = Arc::clone(&ledger);
        let serving = tokio::spawn(async move {
            let until = async move {
                let _ = stopped.await;
            };
            service::serve(shared, listeners, admission, tls, until).await
        });
        Self {
            ledger,
            url,
            admin: admin_url,
            shutdown: Some(shutdown),
            serving,
        }
    }

    pub(super) async fn client(&self) -> LedgerServiceClient<Channel> {
        LedgerServiceClient::connect(self.url.clone())
            .await
            .unwrap()
    }

    pub(super) async fn stop(mut self) -> Result<(), service::ServeError> {
        self.shutdown.take().unwrap().send(()).unwrap();
        self.serving.await.unwrap()
    }
}

/// An event with every required field, told apart by `number`.
pub(super) fn event(number: u64) -> v1::Event {
    v1::Event {
        who: Some(v1::Who {
            actor: format!("oidc:corp/user{number}"),
            assurance: v1::Assurance::Asserted.into(),
            ..Default::default()
        }),
        what: Some(v1::What {
            action: "file.update".into(),
            targets: vec![v1::Target {
                uri: format!("fs://nfs1/code/{number}.py"),
                ..Default::default()
            }],
            ..Default::default()
        }),
        context: Some(v1::Context {
            source: "test".into(),
            ..Default::default()
        }),
        ..Default::default()
    }
}

pub(super) fn with_id(mut event: v1::Event, id: &str) -> v1::Event {
    event.context.as_mut().unwrap().idempotency_id = id.into();
    event
}
