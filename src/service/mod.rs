//! gRPC, identity, access and limits.
//!
//! Every call passes the [door](door) before a handler sees it: it says who calls ([`identity`]), and whether they may
//! ([`access`]). A handler checks, calls the ledger and turns what comes back into messages. What the server needs from outside, listener and shutdown included, is given to
//! [`serve`], so that tests bind any port and stop when they like.

pub mod access;
mod admin;
mod answers;
mod append;
mod backup;
mod bounded;
mod certificate;
pub mod client;
mod closing;
mod count;
mod door;
mod health;
pub mod identity;
mod inquiry;
pub mod jwt;
mod limits;
mod list;
mod listen;
mod metrics;
mod monitor;
mod newcomers;
mod policy_file;
mod presented;
mod query;
mod quota;
mod read;
mod read_facts;
mod reads;
mod receipt;
pub mod redaction;
mod refusals;
mod requests;
mod rpc;
mod sealed_file;
mod segment;
mod status;
mod tls;
mod token;
mod watch;
mod watched;
mod wire;

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch::Receiver;
use tokio::task::JoinSet;
use tonic::transport::Server;

pub use count::response as count_response;
pub use door::Admission;
pub use identity::{Authentication, Issuer, Token, TokenError, check_token_name};
pub use metrics::open_files_limit;
pub use monitor::Monitor;
pub use policy_file::PolicyFile;
pub use query::response as search_response;
pub use quota::{Bucket, Limits};
pub use reads::ReadLog;
pub use redaction::RedactionFile;
pub use sealed_file::{SealedContent, SealedFile};
pub use tls::{Tls, TlsFiles};
pub use watched::{FileError, Reload, Watched};
pub use wire::DESCRIPTORS;

use crate::ledger::Ledger;
use admin::Admin;
use backup::Backups;
use closing::{Close, Closing};
use door::{Door, Guarded};
use listen::Incoming;
use monitor::Monitored;
use redaction::{Redacting, Rules};
use refusals::Refusals;
use requests::Requests;
use rpc::{Query, Rpc};
use wire::admin_service_server::AdminServiceServer;
use wire::ledger_service_server::LedgerServiceServer;
use wire::query_service_server::QueryServiceServer;

/// Where a server listens.
pub struct Listeners {
    /// For those who append and read.
    pub public: TcpListener,
    /// For operators, and for reflection; without it there is neither.
    pub admin: Option<TcpListener>,
    /// For those who look after the server, without credentials; without it nothing is measured for them.
    pub monitor: Option<Monitor>,
    /// Where backups go that operators order; without it none are made.
    pub backup_dir: Option<PathBuf>,
}

impl From<TcpListener> for Listeners {
    fn from(public: TcpListener) -> Self {
        Self {
            public,
            admin: None,
            monitor: None,
            backup_dir: None,
        }
    }
}

/// What a server can do besides.
#[derive(Default)]
pub struct Extras {
    /// Where every act of reading goes before it is answered.
    pub reads: Option<ReadLog>,
    /// The rules that keep secrets out of what is sealed.
    pub redaction: Option<Receiver<Arc<Rules>>>,
}

impl From<Option<ReadLog>> for Extras {
    fn from(reads: Option<ReadLog>) -> Self {
        Self {
            reads,
            redaction: None,
        }
    }
}

/// Why the server ended.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The certificates cannot be used, or the network failed.
    #[error("serving: {0}")]
    Transport(#[from] tonic::transport::Error),
    /// The ledger stopped: what it had acknowledged is safe, and a restart recovers.
    #[error("the ledger stopped: {0}")]
    Stopped(String),
    /// Requests under way did not end in time.
    #[error("some requests did not end within {0} s and were cut off")]
    CutOff(u64),
    /// The descriptors for reflection cannot be read.
    #[error("reflection: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
}

/// Requests under way have so long to end once the server closes.
const DRAIN: Duration = Duration::from_secs(30);

/// Serves `ledger` until `shutdown` completes or the ledger stops. First health says that it is not serving; then nothing
/// new is accepted and streams that never end are ended; what is under way is answered, within 30 seconds.
pub async fn serve(
    ledger: Arc<Ledger>,
    listeners: impl Into<Listeners>,
    admission: impl Into<Admission>,
    tls: Option<Tls>,
    shutdown: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    serve_with(
        ledger,
        listeners,
        admission,
        tls,
        Extras::default(),
        shutdown,
    )
    .await
}

/// The same, with what else there is.
pub async fn serve_with(
    ledger: Arc<Ledger>,
    listeners: impl Into<Listeners>,
    admission: impl Into<Admission>,
    tls: Option<Tls>,
    extras: impl Into<Extras>,
    shutdown: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    let Listeners {
        public,
        admin,
        monitor,
        backup_dir,
    } = listeners.into();
    let Extras { reads, redaction } = extras.into();
    let refusals = Arc::new(Refusals::default());
    let requests = Arc::new(Requests::default());
    let admission = admission.into();
    let keys = admission.authentication.fetched_keys();
    let door = Door::new(admission, &refusals, &requests);
    let sealing = tokio::spawn(refusals::seal(Arc::clone(&refusals), Arc::clone(&ledger)));
    let (close, closing) = Close::new();
    let mut beside = JoinSet::new();
    beside.spawn(door.watch_answers(closing.clone()));
    if let Some(Monitor { listener, dir }) = monitor {
        let monitored = Monitored {
            ledger: Arc::clone(&ledger),
            dir,
            requests,
            keys,
            closing: closing.clone(),
        };
        beside.spawn(monitor::serve(listener, Arc::new(monitored)));
    }
    let draining = closing.clone();
    let stopped = async {
        tokio::select! {
            () = shutdown => None,
            reason = ledger.stopped_because() => Some(reason),
        }
    };
    let (end, ended) = tokio::sync::oneshot::channel();
    let (stop, mut stopping) = tokio::sync::watch::channel(false);
    let signal = async {
        // The receiver lives as long as the server.
        let why = stopped.await;
        close.now();
        let _ = end.send(why);
        // Likewise.
        let _ = stop.send(true);
    };
    let health = Health {
        ledger: Arc::clone(&ledger),
        closing: closing.clone(),
    };
    let handlers = (
        Rpc::new(
            Arc::clone(&ledger),
            closing.clone(),
            reads.clone(),
            Redacting(redaction),
        ),
        Query::new(Arc::clone(&ledger), closing, reads.clone()),
    );
    let serving = Box::pin(serve_public(
        handlers,
        health,
        public,
        &door,
        tls.clone(),
        signal,
    ));
    let operating = Box::pin(async {
        let Some(admin) = admin else {
            return Ok(());
        };
        let backups = Backups {
            dir: backup_dir,
            given_up: Arc::new(AtomicBool::new(false)),
        };
        let given_up = Arc::clone(&backups.given_up);
        let signal = async move {
            // One who cannot tell any more has ended.
            let _ = stopping.wait_for(|stop| *stop).await;
            given_up.store(true, Ordering::Relaxed);
        };
        let handlers = Admin::new(Arc::clone(&ledger), backups, reads);
        serve_admin(handlers, admin, &door, tls, signal).await
    });
    let (served, cut_off) = tokio::select! {
        served = async { tokio::try_join!(serving, operating) } => (served, false),
        () = drained(draining) => (Ok(((), ())), true),
    };
    sealing.abort();
    refusals.seal_rest(&ledger).await;
    served?;
    match ended.await {
        Ok(Some(reason)) => Err(ServeError::Stopped(reason)),
        _ if cut_off => Err(ServeError::CutOff(DRAIN.as_secs())),
        _ => Ok(()),
    }
}

/// What the health service tells of.
struct Health {
    ledger: Arc<Ledger>,
    closing: Closing,
}

/// Completes when requests under way have had their time to end.
async fn drained(mut closing: Closing) {
    closing.wait().await;
    tokio::time::sleep(DRAIN).await;
}

async fn serve_public(
    (rpc, query): (Rpc, Query),
    of: Health,
    listener: TcpListener,
    door: &Arc<Door>,
    tls: Option<Tls>,
    signal: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    let (health, health_service) = health::service();
    // Known from the first call on.
    let Health { ledger, closing } = of;
    health::tell(&health, ledger.check_ready().is_ok(), true).await;
    let mut beside = JoinSet::new();
    beside.spawn(health::follow(health, ledger, closing));
    let service = LedgerServiceServer::new(rpc)
        .max_decoding_message_size(limits::MAX_REQUEST_BYTES)
        .max_encoding_message_size(limits::MAX_RESPONSE_BYTES);
    let query = QueryServiceServer::new(query)
        .max_decoding_message_size(limits::MAX_QUESTION_BYTES)
        .max_encoding_message_size(limits::MAX_RESPONSE_BYTES);
    limits::harden(&mut Server::builder())
        .add_service(Guarded::new(health_service, door))
        .add_service(Guarded::new(service, door))
        .add_service(Guarded::new(query, door))
        .serve_with_incoming_shutdown(Incoming::new(listener, tls), signal)
        .await?;
    Ok(())
}

async fn serve_admin(
    handlers: Admin,
    listener: TcpListener,
    door: &Arc<Door>,
    tls: Option<Tls>,
    signal: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    let (health, health_service) = health::service();
    health.set_serving::<AdminServiceServer<Admin>>().await;
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(wire::DESCRIPTORS)
        .build_v1()?;
    let admin =
        AdminServiceServer::new(handlers).max_encoding_message_size(limits::MAX_RESPONSE_BYTES);
    limits::harden(&mut Server::builder())
        .add_service(Guarded::new(health_service, door))
        .add_service(Guarded::new(reflection, door))
        .add_service(Guarded::new(admin, door))
        .serve_with_incoming_shutdown(Incoming::new(listener, tls), signal)
        .await?;
    Ok(())
}
