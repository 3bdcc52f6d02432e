//! Events, their parts, the header, the chain and genesis: the formats of `docs/format.md`.
//!
//! A client sends an [`Event`](v1::Event). The ledger puts an [`Envelope`](v1::Envelope) before its parts, commits to
//! each part under a salt of its own ([`parts`]), and seals the commitments into a [`Header`](header::Header), which is
//! all that the chain and the tree hash. Bytes are checked once ([`event`]) and never encoded again.

pub mod body;
pub mod canonical;
pub mod event;
pub mod genesis;
pub mod header;
pub mod hex;
mod invalid;
pub mod json;
pub mod names;
pub mod parts;
pub mod redaction;
mod schema;
pub mod signature;
mod ssh_key;
pub mod ssh_signature;
pub mod wire;

pub use event::CheckedEvent;
pub use header::{Header, Kind};
pub use invalid::{Invalid, Problem};
pub use parts::{Salts, Seed, Tag};

/// The messages of `proto/graven/v1`, typed.
#[allow(clippy::all, clippy::pedantic, unreachable_pub)]
pub mod v1 {
    include!(concat!(env!("OUT_DIR"), "/messages/graven.v1.rs"));
}

/// A BLAKE3 or SHA-256 digest.
pub type Digest = [u8; 32];

/// An event's largest encoding, in bytes.
pub const MAX_EVENT_BYTES: usize = 256 * 1024;
/// The most events of one batch.
pub const MAX_BATCH_EVENTS: usize = 1_000;
/// The most bytes of one batch's events together: a message carries them all.
pub const MAX_BATCH_BYTES: usize = 4 * 1024 * 1024 - 16 * 1024;
