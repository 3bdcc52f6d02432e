//! The client's side of the protocol: the stubs of the services, with typed messages.
#![allow(clippy::all, clippy::pedantic, missing_docs, unreachable_pub)]

include!(concat!(env!("OUT_DIR"), "/client/graven.v1.rs"));

pub use admin_service_client::AdminServiceClient;
pub use ledger_service_client::LedgerServiceClient;
pub use query_service_client::QueryServiceClient;
