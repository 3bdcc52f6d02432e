//! The access ledger: a second ledger in the same process, of who read the first. It is served at an address of its own,
//! to auditors alone.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::failure::Failure;
use super::files::read_key;
use super::init::home;
use super::passphrase::Passphrase;
use super::self_audit;
use crate::ledger::{Ledger, Options, SystemClock, SystemEntropy};
use crate::service::{self, Authentication, ReadLog, ServeError, Tls};

/// Where it is.
pub(super) struct Place {
    pub(super) dir: PathBuf,
    pub(super) listen: SocketAddr,
}

/// A running access ledger.
pub(super) struct AccessLedger {
    ledger: Arc<Ledger>,
    address: SocketAddr,
    log: ReadLog,
    sealing: JoinHandle<()>,
    serving: JoinHandle<Result<(), ServeError>>,
    end: oneshot::Sender<()>,
}

/// Opens the access ledger of the ledger `origin`, in the directory `access` beside the first one's files.
pub(super) fn open(dir: &Path, origin: &str, passphrase: &Passphrase) -> Result<Ledger, Failure> {
    let own = format!("{origin}/access");
    if !dir.join("store").is_dir() {
        return Err(Failure::usage(format!(
            "there is no access ledger in {0}: make it with `graven init --dir {0} --origin {own}`",
            dir.display()
        )));
    }
    let options = Options {
        key: read_key(&dir.join("log.key"), passphrase)?,
        origin: own,
        adopt: false,
        known_checkpoints: Vec::new(),
        clock: Arc::new(SystemClock::default()),
        entropy: Arc::new(SystemEntropy),
    };
    Ok(Ledger::open(&home(dir, None), options)?)
}

impl AccessLedger {
    /// Begins to record who reads the ledger `origin`, and to show auditors what was recorded.
    pub(super) async fn start(
        ledger: Arc<Ledger>,
        listen: SocketAddr,
        origin: &str,
        authentication: &Authentication,
        tls: Option<Tls>,
    ) -> Result<Self, Failure> {
        let cannot = |error| Failure::other(format!("listening on {listen}: {error}"));
        let listener = TcpListener::bind(listen).await.map_err(cannot)?;
        let address = listener.local_addr().map_err(cannot)?;
        self_audit::start(&ledger, None).await?;
        let (log, sealing) = ReadLog::new(Arc::clone(&ledger), origin)?;
        let (end, ended) = oneshot::channel();
        // Who reads this one is recorded as well.
        let reads = log.of(ledger.genesis().origin());
        let served = Arc::clone(&ledger);
        let auditors = authentication.for_auditors();
        let serving = tokio::spawn(async move {
            let ended = async {
                // Dropped without a word, it ends as well.
                let _ = ended.await;
            };
            service::serve_with(served, listener, auditors, tls, Some(reads), ended).await
        });
        Ok(Self {
            ledger,
            address,
            log,
            sealing: tokio::spawn(sealing),
            serving,
            end,
        })
    }

    /// Where acts of reading go.
    pub(super) fn log(&self) -> ReadLog {
        self.log.clone()
    }

    /// Where it is served, and what to pin.
    pub(super) fn announcement(&self, scheme: &str) -> String {
        let genesis = self.ledger.genesis();
        format!(
            "access listening on {scheme}://{}\naccess origin {}\naccess key {}\n",
            self.address,
            genesis.origin(),
            genesis.verifier_key()
        )
    }

    /// Seals what waits, and ends. To be called when nobody reads any more.
    pub(super) async fn stop(self, occasion: Option<&str>) {
        let Self {
            ledger,
            log,
            sealing,
            serving,
            end,
            ..
        } = self;
        // It may have ended by itself.
        let _ = end.send(());
        match serving.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "the access ledger is not served any more"),
            Err(error) => tracing::error!(%error, "the access ledger is not served any more"),
        }
        drop(log);
        if let Err(error) = sealing.await {
            tracing::error!(%error, "sealing acts of reading");
        }
        if let Some(occasion) = occasion {
            self_audit::stop(&ledger, occasion).await;
        }
        let closed = tokio::task::spawn_blocking(move || ledger.close()).await;
        if let Err(error) = closed {
            tracing::error!(%error, "closing the access ledger");
        }
    }
}
