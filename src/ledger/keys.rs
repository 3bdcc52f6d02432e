//! Where things lie in the store's spaces.

use crate::index::SegmentId;
use crate::merkle::Hash;

/// Meta space: the canonical encoding of the genesis descriptor.
pub(crate) const GENESIS: &[u8] = b"genesis";
/// Meta space: the head.
pub(crate) const HEAD: &[u8] = b"head";
/// Meta space: the seq of the newest seal, u64; none before the first.
pub(crate) const SEAL: &[u8] = b"seal";
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
