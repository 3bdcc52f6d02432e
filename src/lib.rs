//! Graven: an audit ledger that proves what it says.
//!
//! # Layout
//!
//! In order of dependency; no module uses one below it in this list.
//!
//! - [`merkle`]: RFC 6962 trees, proofs and tiles
//! - [`note`]: signed notes, checkpoints and what else C2SP specifies as text
//! - [`entry`]: events, their parts, the header, the chain and genesis
//! - [`index`]: the fields of an entry, index terms, segments and their proofs, and the filter
//! - [`verify`]: receipts, evidence and whole-ledger audits
//! - [`inquiry`]: which questions an investigation asks, and what the answers mean
//! - `store`: the port to durable storage and its engines
//! - `ledger`: the sequencer, the commit path, recovery and reads
//! - `service`: gRPC, identity and limits
//! - `collect`: foreign sources as events
//! - `cli`: the commands
//!
//! The first six do no I/O, read no clock and start no thread. Built with
//! `--no-default-features` the crate is those six: the verifier.

pub mod entry;
pub mod index;
pub mod inquiry;
pub mod merkle;
pub mod note;
pub mod verify;

#[cfg(feature = "server")]
pub mod cli;
#[cfg(feature = "server")]
pub mod collect;
#[cfg(feature = "server")]
pub mod ledger;
#[cfg(feature = "server")]
pub mod service;
#[cfg(feature = "server")]
pub mod store;
