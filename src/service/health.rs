//! The health service of gRPC: serving only while entries can be appended.

use std::sync::Arc;
use std::time::Duration;

use tonic::server::NamedService;
use tonic_health::ServingStatus;
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_health::server::{HealthReporter, health_reporter};

use super::closing::Closing;
use super::limits;
use super::monitor::reason;
use super::rpc::{Query, Rpc};
use super::wire::ledger_service_server::LedgerServiceServer;
use super::wire::query_service_server::QueryServiceServer;
use crate::ledger::Ledger;

/// How often it is looked at.
const INTERVAL: Duration = Duration::from_secs(2);
/// What is asked for when nothing is named: the server as a whole.
const WHOLE: &str = "";

/// Tells whether services serve, to anybody who asks.
pub(super) fn service() -> (HealthReporter, HealthServer<impl Health>) {
    let (reporter, service) = health_reporter();
    let service = service.max_decoding_message_size(limits::MAX_HEALTH_BYTES);
    (reporter, service)
}

/// Tells how the ledger is until the server closes. Reading goes on while nothing can be appended, and its service is
/// serving until the end.
pub(super) async fn follow(reporter: HealthReporter, ledger: Arc<Ledger>, mut closing: Closing) {
    let mut said = None;
    loop {
        let looking = Arc::clone(&ledger);
        let looked = tokio::task::spawn_blocking(move || looking.check_ready()).await;
        let problem = match looked {
            Ok(checked) => checked.err().map(|error| reason(&error)),
            Err(_) => Some("it could not be checked".to_owned()),
        };
        tell(&reporter, problem.is_none(), true).await;
        // Amounts change from look to look; that it is ready or not is said once.
        if said != Some(problem.is_none()) {
            match &problem {
                Some(problem) => tracing::warn!(%problem, "not ready to append"),
                None if said.is_some() => tracing::warn!("ready to append again"),
                None => {}
            }
            said = Some(problem.is_none());
        }
        tokio::select! {
            () = tokio::time::sleep(INTERVAL) => {}
            _ = closing.wait() => break,
        }
    }
    tell(&reporter, false, false).await;
}

pub(super) async fn tell(reporter: &HealthReporter, appends: bool, reads: bool) {
    let status = |serving| {
        if serving {
            ServingStatus::Serving
        } else {
            ServingStatus::NotServing
        }
    };
    let ledger = <LedgerServiceServer<Rpc> as NamedService>::NAME;
    let query = <QueryServiceServer<Query> as NamedService>::NAME;
    for (service, serving) in [(WHOLE, appends), (ledger, appends), (query, reads)] {
        reporter.set_service_status(service, status(serving)).await;
    }
}
