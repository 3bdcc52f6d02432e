//! Entries as they come over the wire.

use super::failure::Failure;
use crate::entry::body::Body;
use crate::entry::genesis::Genesis;
use crate::entry::{Header, v1, wire};
use crate::merkle::Hash;

/// An entry as received. Nothing has been verified but its form.
pub(super) struct Received {
    pub(super) header: Header,
    pub(super) body: Body,
}

/// Reads an entry. A server that sends anything else is not to be believed.
pub(super) fn receive(entry: &v1::Entry) -> Result<Received, Failure> {
    let (header, body) = wire::read_entry(entry).map_err(|error| malformed(&error.to_string()))?;
    Ok(Received { header, body })
}

/// Hashes one after the other, as messages carry them.
pub(super) fn hashes(bytes: &[u8]) -> Result<Vec<Hash>, Failure> {
    wire::read_hashes(bytes).map_err(|error| malformed(&error.to_string()))
}

/// The genesis descriptor of an answer.
pub(super) fn genesis(encoded: &[u8]) -> Result<Genesis, Failure> {
    Genesis::decode(encoded).map_err(|invalid| malformed(&format!("genesis: {invalid}")))
}

/// The server sent something that no ledger sends.
pub(super) fn malformed(what: &str) -> Failure {
    Failure::tampered(format!("the server's answer is malformed: {what}"))
}
