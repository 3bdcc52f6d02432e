//! Entries as they come over the wire.

use bytes::Bytes;

use super::failure::Failure;
use crate::entry::body::{Body, Content};
use crate::entry::{Header, Tag, v1};
use crate::merkle::Hash;

/// An entry as received. Nothing has been verified but its form.
pub(super) struct Received {
    pub(super) header: Header,
    pub(super) body: Body,
}

/// Reads an entry. A server that sends anything else is not to be believed.
pub(super) fn receive(entry: &v1::Entry) -> Result<Received, Failure> {
    let header = Header::decode(&entry.header).map_err(|error| malformed(&error.to_string()))?;
    let parts = entry.parts.iter().map(part).collect::<Result<_, _>>()?;
    let body = Body::new(parts).map_err(|invalid| malformed(&invalid.to_string()))?;
    Ok(Received { header, body })
}

fn part(part: &v1::Part) -> Result<(Tag, Content), Failure> {
    let tag = Tag::from_number(part.tag).ok_or_else(|| malformed("a part has no known tag"))?;
    let content = match &part.content {
        Some(v1::part::Content::Disclosed(part)) => Content::Disclosed {
            bytes: Bytes::copy_from_slice(&part.encoded),
            salt: hash(&part.salt)?,
        },
        Some(v1::part::Content::Withheld(commitment)) => Content::Withheld(hash(commitment)?),
        Some(v1::part::Content::Erased(commitment)) => Content::Erased(hash(commitment)?),
        None => return Err(malformed("a part has no content")),
    };
    Ok((tag, content))
}

/// Hashes one after the other, as messages carry them.
pub(super) fn hashes(bytes: &[u8]) -> Result<Vec<Hash>, Failure> {
    let (hashes, rest) = bytes.as_chunks::<32>();
    if rest.is_empty() {
        Ok(hashes.to_vec())
    } else {
        Err(malformed("a proof is cut off"))
    }
}

fn hash(bytes: &[u8]) -> Result<Hash, Failure> {
    bytes
        .try_into()
        .map_err(|_| malformed("a hash has not 32 bytes"))
}

/// The server sent something that no ledger sends.
pub(super) fn malformed(what: &str) -> Failure {
    Failure::tampered(format!("the server's answer is malformed: {what}"))
}
