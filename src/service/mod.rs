//! gRPC, identity, access and limits.
//!
//! Every call passes the [door](door) before a handler sees it: it says who calls ([`identity`]), and whether they may
//! ([`access`]). A handler checks, calls the ledger and turns what comes back into messages. What the server needs from outside, listener and shutdown included, is given to
//! [`serve`], so that tests bind any port and stop when they like.

pub mod access;
mod admin;
mod append;
mod certificate;
pub mod client;
mod closing;
mod count;
mod door;
pub mod identity;
mod inquiry;
pub mod jwt;
mod limits;
mod listen;
mod policy_file;
mod query;
mod read;
mod read_facts;
mod reads;
mod receipt;
mod refusals;
mod rpc;
mod segment;
mod status;
mod tls;
mod token;
mod watch;
mod watched;
mod wire;

use std::future::Future;
use std::sync::Arc;

use tokio::net::TcpListener;
use tonic::transport::Server;
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_health::server::{HealthReporter, health_reporter};

pub use count::response as count_response;
pub use identity::{Authentication, Issuer, Token, TokenError, check_token_name};
pub use policy_file::PolicyFile;
pub use query::response as search_response;
pub use reads::ReadLog;
pub use tls::{Tls, TlsFiles};
pub use watched::{FileError, Watched};
pub use wire::DESCRIPTORS;

use crate::ledger::Ledger;
use admin::Admin;
use closing::Close;
use door::{Door, Guarded};
use listen::Incoming;
use refusals::Refusals;
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
}

impl From<TcpListener> for Listeners {
    fn from(public: TcpListener) -> Self {
        Self {
            public,
            admin: None,
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
    /// The descriptors for reflection cannot be read.
    #[error("reflection: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
}

/// Serves `ledger` until `shutdown` completes or the ledger stops. Requests under way are answered first.
pub async fn serve(
    ledger: Arc<Ledger>,
    listeners: impl Into<Listeners>,
    authentication: Authentication,
    tls: Option<Tls>,
    shutdown: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    serve_recording(ledger, listeners, authentication, tls, None, shutdown).await
}

/// The same; and every act of reading goes to `reads` before it is answered.
pub async fn serve_recording(
    ledger: Arc<Ledger>,
    listeners: impl Into<Listeners>,
    authentication: Authentication,
    tls: Option<Tls>,
    reads: Option<ReadLog>,
    shutdown: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    let Listeners { public, admin } = listeners.into();
    let refusals = Arc::new(Refusals::default());
    let door = Door::new(authentication, &refusals);
    let sealing = tokio::spawn(refusals::seal(Arc::clone(&refusals), Arc::clone(&ledger)));
    let (close, closing) = Close::new();
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
        let _ = end.send(stopped.await);
        close.now();
        // Likewise.
        let _ = stop.send(true);
    };
    let handlers = (
        Rpc::new(Arc::clone(&ledger), closing.clone(), reads.clone()),
        Query::new(Arc::clone(&ledger), closing, reads),
    );
    let serving = serve_public(handlers, public, &door, tls.clone(), signal);
    let operating = async {
        let Some(admin) = admin else {
            return Ok(());
        };
        let signal = async move {
            // One who cannot tell any more has ended.
            let _ = stopping.wait_for(|stop| *stop).await;
        };
        serve_admin(&ledger, admin, &door, tls, signal).await
    };
    let served = tokio::try_join!(serving, operating);
    sealing.abort();
    refusals.seal_rest(&ledger).await;
    served?;
    match ended.await {
        Ok(Some(reason)) => Err(ServeError::Stopped(reason)),
        _ => Ok(()),
    }
}

async fn serve_public(
    (rpc, query): (Rpc, Query),
    listener: TcpListener,
    door: &Arc<Door>,
    tls: Option<Tls>,
    signal: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    let (health, health_service) = health();
    health.set_serving::<LedgerServiceServer<Rpc>>().await;
    health.set_serving::<QueryServiceServer<Query>>().await;
    let service = LedgerServiceServer::new(rpc)
        .max_decoding_message_size(limits::MAX_REQUEST_BYTES)
        .max_encoding_message_size(limits::MAX_RESPONSE_BYTES);
    let query =
        QueryServiceServer::new(query).max_encoding_message_size(limits::MAX_RESPONSE_BYTES);
    limits::harden(&mut Server::builder())
        .add_service(Guarded::new(health_service, door))
        .add_service(Guarded::new(service, door))
        .add_service(Guarded::new(query, door))
        .serve_with_incoming_shutdown(Incoming::new(listener, tls), signal)
        .await?;
    Ok(())
}

async fn serve_admin(
    ledger: &Arc<Ledger>,
    listener: TcpListener,
    door: &Arc<Door>,
    tls: Option<Tls>,
    signal: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    let (health, health_service) = health();
    health.set_serving::<AdminServiceServer<Admin>>().await;
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(wire::DESCRIPTORS)
        .build_v1()?;
    let admin = AdminServiceServer::new(Admin::new(Arc::clone(ledger)))
        .max_encoding_message_size(limits::MAX_RESPONSE_BYTES);
    limits::harden(&mut Server::builder())
        .add_service(Guarded::new(health_service, door))
        .add_service(Guarded::new(reflection, door))
        .add_service(Guarded::new(admin, door))
        .serve_with_incoming_shutdown(Incoming::new(listener, tls), signal)
        .await?;
    Ok(())
}

/// Tells whether services serve, to anybody who asks.
fn health() -> (HealthReporter, HealthServer<impl Health>) {
    let (reporter, service) = health_reporter();
    let service = service.max_decoding_message_size(limits::MAX_HEALTH_BYTES);
    (reporter, service)
}
