//! Entries as messages carry them.

use super::body::{Body, Content};
use super::{Digest, Header, Tag, v1};

/// A message that no ledger sends.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(String);

fn malformed(what: impl Into<String>) -> Malformed {
    Malformed(what.into())
}

/// Reads an entry. Nothing is verified but its form.
pub fn read_entry(entry: &v1::Entry) -> Result<(Header, Body), Malformed> {
    let header = Header::decode(&entry.header).map_err(|error| malformed(error.to_string()))?;
    let parts = entry
        .parts
        .iter()
        .map(read_part)
        .collect::<Result<_, _>>()?;
    let body = Body::new(parts).map_err(|invalid| malformed(invalid.to_string()))?;
    Ok((header, body))
}

fn read_part(part: &v1::Part) -> Result<(Tag, Content), Malformed> {
    let tag = Tag::from_number(part.tag).ok_or_else(|| malformed("a part has no known tag"))?;
    let content = match &part.content {
        Some(v1::part::Content::Disclosed(part)) => Content::Disclosed {
            bytes: part.encoded.clone(),
            salt: read_hash(&part.salt)?,
        },
        Some(v1::part::Content::Withheld(commitment)) => Content::Withheld(read_hash(commitment)?),
        Some(v1::part::Content::Erased(commitment)) => Content::Erased(read_hash(commitment)?),
        None => return Err(malformed("a part has no content")),
    };
    if part.erased_by.is_some() && !matches!(content, Content::Erased(_)) {
        return Err(malformed("a part that is there names who erased it"));
    }
    Ok((tag, content))
}

/// Reads hashes that stand one behind the other.
pub fn read_hashes(bytes: &[u8]) -> Result<Vec<Digest>, Malformed> {
    let (hashes, rest) = bytes.as_chunks::<32>();
    if rest.is_empty() {
        Ok(hashes.to_vec())
    } else {
        Err(malformed("hashes are not 32 bytes each"))
    }
}

/// Reads one hash.
pub fn read_hash(bytes: &[u8]) -> Result<Digest, Malformed> {
    bytes
        .try_into()
        .map_err(|_| malformed("a hash has not 32 bytes"))
}
