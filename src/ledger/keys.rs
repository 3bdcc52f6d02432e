//! Where things lie in the store's spaces.

use crate::index::SegmentId;
use crate::merkle::Hash;

/// Meta space: the canonical encoding of the genesis descriptor.
pub(crate) const GENESIS: &[u8] = b"genesis";
/// Meta space: the head.
pub(crate) const HEAD: &[u8] = b"head";
/// Meta space: the seq of the newest seal, u64; none before the first.
pub(crate) const SEAL: &[u8] = b"seal";
/// Meta space: the seq of the erasure that is sealed and not carried out yet, u64; none when there is none.
pub(crate) const ERASURE: &[u8] = b"erasure";
/// Meta space: `hold/` ‖ name of a hold in force → seq of the entry that placed it, u64.
pub(crate) const HOLD_PREFIX: &[u8] = b"hold/";
/// Meta space: `submitter/` ‖ length of the issuer u16 ‖ issuer ‖ subject → number u32.
pub(crate) const SUBMITTER_PREFIX: &[u8] = b"submitter/";

/// Entry and Detail space: the seq of a pack's first entry.
pub(crate) fn seq_key(seq: u64) -> [u8; 8] {
    seq.to_be_bytes()
}

/// The seq that a key of the Entry or Detail space stands for.
pub(crate) fn key_seq(key: &[u8]) -> Option<u64> {
    key.try_into().ok().map(u64::from_be_bytes)
}

/// Tile space: level u8 ‖ index u64.
pub(crate) fn tile_key(level: u8, index: u64) -> [u8; 9] {
    let mut key = [level; 9];
    if let Some((_, rest)) = key.split_first_mut() {
        rest.copy_from_slice(&index.to_be_bytes());
    }
    key
}

/// A full tile's value: its 256 hashes.
pub(crate) fn tile_value(hashes: &[Hash]) -> Vec<u8> {
    hashes.as_flattened().to_vec()
}

/// The 256 hashes of a full tile.
pub(crate) fn tile_hashes(value: &[u8]) -> Option<Vec<Hash>> {
    let (hashes, rest) = value.as_chunks::<32>();
    (hashes.len() == 256 && rest.is_empty()).then(|| hashes.to_vec())
}

/// Meta space: the number of a submitter.
pub(crate) fn submitter_key(issuer: &str, subject: &str) -> Vec<u8> {
    // Issuers have at most 512 bytes.
    let length = u16::try_from(issuer.len())
        .unwrap_or(u16::MAX)
        .to_be_bytes();
    [
        SUBMITTER_PREFIX,
        &length,
        issuer.as_bytes(),
        subject.as_bytes(),
    ]
    .concat()
}

/// Meta space: the entry that placed a hold.
pub(crate) fn hold_key(name: &str) -> Vec<u8> {
    [HOLD_PREFIX, name.as_bytes()].concat()
}

/// The first key that does not begin with `prefix`, which does not end in 0xff.
pub(crate) fn after(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    if let Some(last) = end.last_mut() {
        *last = last.saturating_add(1);
    }
    end
}

/// Id space: submitter u32 ‖ idempotency id → seq u64.
pub(crate) fn id_key(submitter: u32, id: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(4 + id.len());
    put_id_key(submitter, id, &mut key);
    key
}

/// Appends such a key to `keys`.
pub(crate) fn put_id_key(submitter: u32, id: &[u8], keys: &mut Vec<u8>) {
    keys.extend_from_slice(&submitter.to_be_bytes());
    keys.extend_from_slice(id);
}

/// Segment space: level u8 ‖ number u64 → the segment's record.
pub(crate) fn segment_key(id: SegmentId) -> [u8; 9] {
    tile_key(id.level, id.number)
}
