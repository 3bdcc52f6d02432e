//! Packs: how up to 64 consecutive entries lie in the store under the seq of the first.
//!
//! ```text
//! Entry space, big-endian                      Detail space, under the same key; only when a part of it exists
//!  0   version      u8   1                      0   version   u8   1
//!  1   count        u8   1 to 64                1   encoding  u8   0 raw · 1 zstd
//!  2   encoding     u8   0 raw · 1 zstd         2   length    u32  of the raw parts
//!  3   recorded_at  u64  of all its entries     6   parts
//! 11   prev         [32] chain hash before
//! 43   entries      count × 66                  entry:  kind u8 · flags u8 · body_hash[32] · seed[32]
//!      length       u32  of the raw parts       parts:  for each entry its length u32, then (tag u8 · length u32 · bytes)*
//!      parts
//!
//! A pack of which something was erased has version 2, and entries that differ in length:
//!
//! entry:  kind u8 · flags u8 · body_hash[32] · seed[32]                       flags: 1 signed · 2 something was erased
//! or      kind u8 · flags u8 · body_hash[32] · count u8 · part × count        part: tag u8 · 0 · salt[32]
//!                                                                               or tag u8 · 1 · commitment[32] · by u64
//! ```
//!
//! Of an entry of which a part was erased no seed is kept, from which the salt of that part would follow, but the salts of
//! the other parts; and of the erased one its commitment, with the seq of the entry that says that it was erased.
//!
//! Envelope, who, what and context stand in the Entry space, why and detail in the Detail space, so that bodies are read
//! without them, and erasure rewrites one small value. A header follows from what is kept; the reader checks it against
//! the tree.

use std::cell::RefCell;

use bytes::Bytes;
use zstd::bulk::{Compressor, Decompressor};

use super::error::{Damage, LedgerError};
use super::kept::{Stored, decode_record};
use crate::entry::{Digest, Header, Kind, Seed, Tag};

/// The most entries of a pack.
pub(crate) const MAX_ENTRIES: usize = 64;
/// A pack is closed once its parts reach this many bytes.
pub(crate) const TARGET_BYTES: usize = 64 * 1024;
/// The fewest entries worth compressing together.
const MIN_ENTRIES_TO_COMPRESS: usize = 16;

const VERSION: u8 = 1;
/// Of a pack of which something was erased.
const ERASED_VERSION: u8 = 2;
const RAW: u8 = 0;
const ZSTD: u8 = 1;
const ZSTD_LEVEL: i32 = 1;
/// What stands before an entry, and before the bytes of a part.
const LENGTH_BYTES: usize = 4;
/// No pack can hold more: one event that fills a pack alone, with its envelope.
const MAX_RAW_BYTES: usize = 1024 * 1024;

/// What of an entry is kept besides its parts.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    pub(crate) kind: Kind,
    pub(crate) actor_signature: bool,
    pub(crate) body_hash: Digest,
    pub(crate) seed: Seed,
}

/// The parts of consecutive entries, encoded for the store before their seq is known.
#[derive(Debug, Clone, Default)]
pub(crate) struct Parts {
    entries: usize,
    evidence: Vec<u8>,
    erasable: Vec<u8>,
    has_erasable: bool,
}

impl Parts {
    /// No entries yet, and memory for a pack of entries as large as this one.
    pub(crate) fn with_room_for_more_like<'a>(
        parts: impl IntoIterator<Item = (Tag, &'a [u8])>,
        entries: usize,
    ) -> Self {
        let (mut evidence, mut erasable) = (0, 0);
        for (tag, bytes) in parts {
            let length = if tag.is_erasable() {
                &mut erasable
            } else {
                &mut evidence
            };
            *length += 5 + bytes.len();
        }
        // A quarter more, for not all are alike.
        let room =
            |length: usize| ((4 + length) * entries.min(MAX_ENTRIES) * 5 / 4).min(TARGET_BYTES);
        Self {
            evidence: Vec::with_capacity(room(evidence)),
            erasable: Vec::with_capacity(room(erasable)),
            ..Self::default()
        }
    }

    /// Adds the next entry's parts, ascending by tag.
    pub(crate) fn push<'a>(&mut self, parts: impl IntoIterator<Item = (Tag, &'a [u8])> + Clone) {
        append_entry(&mut self.evidence, parts.clone(), |tag| !tag.is_erasable());
        let before = self.erasable.len();
        append_entry(&mut self.erasable, parts, Tag::is_erasable);
        self.has_erasable |= self.erasable.len() > before + 4;
        self.entries += 1;
    }

    /// Whether the entries of `other` still fit behind these.
    pub(crate) fn has_room_for(&self, other: &Self) -> bool {
        self.entries + other.entries <= MAX_ENTRIES && self.len() + other.len() <= TARGET_BYTES
    }

    /// Whether a pack of these is as large as packs get.
    pub(crate) fn is_full(&self) -> bool {
        self.entries >= MAX_ENTRIES || self.len() >= TARGET_BYTES
    }

    /// Puts the entries of `other` behind these.
    pub(crate) fn append(&mut self, other: &Self) {
        self.entries += other.entries;
        self.evidence.extend_from_slice(&other.evidence);
        self.erasable.extend_from_slice(&other.erasable);
        self.has_erasable |= other.has_erasable;
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries == 0
    }

    fn len(&self) -> usize {
        self.evidence.len() + self.erasable.len()
    }

    /// Compresses what is worth it: for those who have the time.
    pub(crate) fn compress(self) -> EncodedParts {
        let compress = self.entries >= MIN_ENTRIES_TO_COMPRESS;
        self.encode(compress)
    }

    /// Leaves the parts as they are: for the sequencer, which has not.
    pub(crate) fn leave_raw(self) -> EncodedParts {
        self.encode(false)
    }

    fn encode(self, compress: bool) -> EncodedParts {
        let erasable = self.has_erasable.then(|| {
            let mut value = vec![VERSION];
            append_blob(&mut value, &self.erasable, compress);
            value
        });
        let mut evidence = Vec::with_capacity(self.evidence.len() / 2);
        append_blob(&mut evidence, &self.evidence, compress);
        EncodedParts {
            entries: self.entries,
            evidence,
            erasable,
        }
    }
}

/// [`Parts`], compressed.
#[derive(Debug, Clone)]
pub(crate) struct EncodedParts {
    pub(crate) entries: usize,
    evidence: Vec<u8>,
    erasable: Option<Vec<u8>>,
}

impl EncodedParts {
    /// The values of the Entry and the Detail space.
    pub(crate) fn into_values(
        self,
        recorded_at: u64,
        prev: &Digest,
        records: &[&Record],
    ) -> (Vec<u8>, Option<Vec<u8>>) {
        let mut value = Vec::with_capacity(43 + records.len() * 66 + self.evidence.len());
        // The encoding's byte comes from the front of the blob.
        let (encoding, blob) = self.evidence.split_at_checked(1).unwrap_or_default();
        value.push(VERSION);
        value.push(u8::try_from(records.len()).unwrap_or(u8::MAX));
        value.extend_from_slice(encoding);
        value.extend_from_slice(&recorded_at.to_be_bytes());
        value.extend_from_slice(prev);
        for record in records {
            value.push(record.kind as u8);
            value.push(u8::from(record.actor_signature));
            value.extend_from_slice(&record.body_hash);
            value.extend_from_slice(&record.seed.0);
        }
        value.extend_from_slice(blob);
        (value, self.erasable)
    }
}

/// Appends encoding u8 · raw length u32 · bytes.
fn append_blob(value: &mut Vec<u8>, raw: &[u8], compress: bool) {
    let length = u32::try_from(raw.len()).unwrap_or(u32::MAX).to_be_bytes();
    let compressed = if compress { zstd_compress(raw) } else { None };
    let compressed = compressed.filter(|compressed| compressed.len() < raw.len());
    value.push(if compressed.is_some() { ZSTD } else { RAW });
    value.extend_from_slice(&length);
    value.extend_from_slice(compressed.as_deref().unwrap_or(raw));
}

thread_local! {
    /// Making a compressor costs as much as compressing a pack.
    static COMPRESSOR: RefCell<Option<Compressor<'static>>> =
        RefCell::new(Compressor::new(ZSTD_LEVEL).ok());
}

thread_local! {
    /// Likewise a decompressor.
    static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> =
        RefCell::new(Decompressor::new().ok());
}

fn zstd_decompress(blob: &[u8], length: usize) -> Option<Vec<u8>> {
    DECOMPRESSOR
        .with_borrow_mut(|decompressor| decompressor.as_mut()?.decompress(blob, length).ok())
}

fn zstd_compress(raw: &[u8]) -> Option<Vec<u8>> {
    COMPRESSOR.with_borrow_mut(|compressor| compressor.as_mut()?.compress(raw).ok())
}

fn append_entry<'a>(
    blob: &mut Vec<u8>,
    parts: impl IntoIterator<Item = (Tag, &'a [u8])>,
    keep: impl Fn(Tag) -> bool,
) {
    let start = blob.len();
    blob.extend_from_slice(&[0; 4]);
    for (tag, bytes) in parts.into_iter().filter(|(tag, _)| keep(*tag)) {
        blob.push(tag.number());
        blob.extend_from_slice(&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
        blob.extend_from_slice(bytes);
    }
    let length = u32::try_from(blob.len() - start - 4).unwrap_or(u32::MAX);
    if let Some(field) = blob.get_mut(start..start + 4) {
        field.copy_from_slice(&length.to_be_bytes());
    }
}

/// A pack as it was read. Nothing in it has been checked against the tree yet.
#[derive(Debug, Clone)]
pub(crate) struct Pack {
    pub(crate) first_seq: u64,
    pub(crate) recorded_at: u64,
    pub(crate) prev: Digest,
    pub(crate) records: Vec<Stored>,
    evidence: EncodedEntries,
}

/// The parts of consecutive entries as they lie in a pack, each entry decoded when it is asked for.
#[derive(Debug, Clone, Default)]
pub(crate) struct EncodedEntries {
    first_seq: u64,
    erasable: bool,
    /// All entries, each behind its length.
    raw: Bytes,
    /// Where each of them ends in `raw`.
    ends: Vec<usize>,
}

impl EncodedEntries {
    /// The parts of the entry `index`, counted from the first; none where there is no such entry.
    ///
    /// They are copies: whoever keeps an entry does not keep its whole pack.
    pub(crate) fn parts(&self, index: usize) -> Result<Vec<(Tag, Bytes)>, LedgerError> {
        let entry = self.entry(index).unwrap_or_default();
        decode_entry(entry, self.erasable).ok_or_else(|| damaged(self.first_seq))
    }

    fn entry(&self, index: usize) -> Option<&[u8]> {
        let end = *self.ends.get(index)?;
        let before = match index.checked_sub(1) {
            Some(before) => *self.ends.get(before)?,
            None => 0,
        };
        self.raw.get(before + LENGTH_BYTES..end)
    }
}

/// The values of a pack, in the Entry and the Detail space.
pub(crate) type Values = (Vec<u8>, Option<Vec<u8>>);

impl Pack {
    /// Reads a value of the Entry space.
    pub(crate) fn decode(first_seq: u64, value: &Bytes) -> Result<Self, LedgerError> {
        decode(first_seq, value).ok_or_else(|| damaged(first_seq))
    }

    /// The seq behind its last entry.
    pub(crate) fn end_seq(&self) -> u64 {
        self.first_seq.saturating_add(self.records.len() as u64)
    }

    /// The headers of its entries, as they follow from what is kept.
    pub(crate) fn headers(&self) -> impl Iterator<Item = Header> {
        let mut prev = self.prev;
        self.records
            .iter()
            .zip(self.first_seq..)
            .map(move |(record, seq)| {
                let header = Header {
                    kind: record.kind,
                    actor_signature: record.actor_signature,
                    seq,
                    recorded_at: self.recorded_at,
                    body_hash: record.body_hash,
                    prev,
                };
                prev = header.chain_hash();
                header
            })
    }

    /// The parts envelope, who, what and context of its entries.
    pub(crate) fn evidence(&self) -> &EncodedEntries {
        &self.evidence
    }
}

/// Reads a value of the Detail space: the parts why and detail of `entries` entries.
pub(crate) fn decode_erasable(
    first_seq: u64,
    entries: usize,
    value: &Bytes,
) -> Result<EncodedEntries, LedgerError> {
    let decoded = || {
        let (&[version, encoding], _) = value.split_first_chunk()?;
        if version != VERSION {
            return None;
        }
        let (raw, ends) = split_entries(encoding, value.slice(2..), entries)?;
        Some(EncodedEntries {
            first_seq,
            erasable: true,
            raw,
            ends,
        })
    };
    decoded().ok_or_else(|| damaged(first_seq))
}

/// When the entries of a value of the Entry space were recorded, and how many they are.
pub(crate) fn decode_time(first_seq: u64, value: &[u8]) -> Result<(u64, u64), LedgerError> {
    let decoded = || {
        let (&[version, count, _], rest) = value.split_first_chunk()?;
        let time = u64::from_be_bytes(*rest.first_chunk()?);
        let is_known = is_version(version) && (1..=MAX_ENTRIES).contains(&usize::from(count));
        is_known.then_some((time, u64::from(count)))
    };
    decoded().ok_or_else(|| damaged(first_seq))
}

/// The values of a pack after the parts `tags` of its entries `wanted` were erased, as the entry `by` says. None if they
/// had been before. An entry that is not what was sealed is refused: what is left could not be checked any more.
pub(crate) fn erase(
    first_seq: u64,
    value: &Bytes,
    erasable: Option<&Bytes>,
    wanted: impl Fn(u64) -> bool,
    tags: &[Tag],
    by: u64,
) -> Result<Option<Values>, LedgerError> {
    let pack = Pack::decode(first_seq, value)?;
    let mut opened = open(value).ok_or_else(|| damaged(first_seq))?;
    let stored = match erasable {
        Some(value) => decode_erasable(first_seq, pack.records.len(), value)?,
        None => EncodedEntries::default(),
    };
    let all = 0..pack.records.len();
    let parts: Result<Vec<_>, _> = all.map(|index| stored.parts(index)).collect();
    let mut parts = parts?;
    let mut changed = false;
    let entries = opened.records.iter_mut().zip(&mut parts);
    for ((record, erasable), (index, seq)) in entries.zip((0..).zip(first_seq..)) {
        let is_to_go = |(tag, _): &(Tag, Bytes)| tags.contains(tag);
        if !wanted(seq) || !erasable.iter().any(is_to_go) {
            continue;
        }
        let mut whole = pack.evidence().parts(index)?;
        whole.extend(erasable.iter().cloned());
        let body = record
            .body(whole)
            .filter(|body| body.hash() == record.body_hash)
            .ok_or_else(|| {
                let what = "its parts do not hash to what its header says";
                LedgerError::Damaged(Damage::at(seq, what))
            })?;
        *record = record.erase(&body, tags, by);
        erasable.retain(|part| !is_to_go(part));
        changed = true;
    }
    let compress = erasable.is_some_and(|value| value.get(1) == Some(&ZSTD));
    Ok(changed.then(|| (opened.encode(), encode_erasable(&parts, compress))))
}

/// A value of the Detail space; none without any part.
fn encode_erasable(entries: &[Vec<(Tag, Bytes)>], compress: bool) -> Option<Vec<u8>> {
    if entries.iter().all(Vec::is_empty) {
        return None;
    }
    let mut raw = Vec::new();
    for parts in entries {
        let parts = parts.iter().map(|(tag, bytes)| (*tag, bytes.as_ref()));
        append_entry(&mut raw, parts, |_| true);
    }
    let mut value = vec![VERSION];
    append_blob(&mut value, &raw, compress);
    Some(value)
}

impl Opened<'_> {
    /// The value again, after something of its entries was erased.
    fn encode(&self) -> Vec<u8> {
        let mut value = vec![ERASED_VERSION];
        value.push(u8::try_from(self.records.len()).unwrap_or(u8::MAX));
        value.push(self.encoding);
        value.extend_from_slice(&self.recorded_at.to_be_bytes());
        value.extend_from_slice(&self.prev);
        for record in &self.records {
            record.encode(&mut value);
        }
        value.extend_from_slice(self.blob);
        value
    }
}

fn damaged(first_seq: u64) -> LedgerError {
    LedgerError::Damaged(Damage::at(first_seq, "the pack cannot be decoded"))
}

/// The fixed beginning of a value of the Entry space, taken apart, and the blob of parts behind it.
struct Opened<'a> {
    encoding: u8,
    recorded_at: u64,
    prev: Digest,
    records: Vec<Stored>,
    blob: &'a [u8],
}

fn is_version(version: u8) -> bool {
    [VERSION, ERASED_VERSION].contains(&version)
}

fn open(value: &[u8]) -> Option<Opened<'_>> {
    let (&[version, count, encoding], rest) = value.split_first_chunk()?;
    let (recorded_at, rest) = rest.split_first_chunk()?;
    let (prev, mut rest) = rest.split_first_chunk()?;
    let count = usize::from(count);
    if !is_version(version) || count == 0 || count > MAX_ENTRIES {
        return None;
    }
    let mut records = Vec::with_capacity(count);
    for _ in 0..count {
        let record;
        (record, rest) = decode_record(version == ERASED_VERSION, rest)?;
        records.push(record);
    }
    Some(Opened {
        encoding,
        recorded_at: u64::from_be_bytes(*recorded_at),
        prev: *prev,
        records,
        blob: rest,
    })
}

fn decode(first_seq: u64, value: &Bytes) -> Option<Pack> {
    let Opened {
        encoding,
        recorded_at,
        prev,
        records,
        blob,
    } = open(value)?;
    let (raw, ends) = split_entries(encoding, value.slice_ref(blob), records.len())?;
    let evidence = EncodedEntries {
        first_seq,
        erasable: false,
        raw,
        ends,
    };
    Some(Pack {
        first_seq,
        recorded_at,
        prev,
        records,
        evidence,
    })
}

/// The raw parts of `entries` entries, and where each of them ends.
fn split_entries(encoding: u8, mut blob: Bytes, entries: usize) -> Option<(Bytes, Vec<usize>)> {
    let length = usize::try_from(u32::from_be_bytes(*blob.first_chunk()?)).ok()?;
    let blob = blob.split_off(LENGTH_BYTES);
    let raw = match encoding {
        RAW => blob,
        ZSTD if length <= MAX_RAW_BYTES => zstd_decompress(&blob, length)?.into(),
        _ => return None,
    };
    if raw.len() != length {
        return None;
    }
    let mut ends = Vec::with_capacity(entries);
    let mut end = 0;
    for _ in 0..entries {
        let length = u32::from_be_bytes(*raw.get(end..)?.first_chunk()?);
        end += LENGTH_BYTES + usize::try_from(length).ok()?;
        ends.push(end);
    }
    // Ends ascend, so none of them is beyond it.
    (end == raw.len()).then_some((raw, ends))
}

fn decode_entry(entry: &[u8], erasable: bool) -> Option<Vec<(Tag, Bytes)>> {
    let mut entry = Bytes::copy_from_slice(entry);
    let mut parts = Vec::with_capacity(4);
    while !entry.is_empty() {
        let tag = Tag::from_number(u32::from(entry.split_to(1).first().copied()?))?;
        let after_last = parts.last().is_none_or(|(last, _)| *last < tag);
        if tag.is_erasable() != erasable || !after_last {
            return None;
        }
        parts.push((tag, take_length_delimited(&mut entry)?));
    }
    Some(parts)
}

fn take_length_delimited(bytes: &mut Bytes) -> Option<Bytes> {
    let length = usize::try_from(u32::from_be_bytes(*bytes.first_chunk()?)).ok()?;
    if bytes.len() - LENGTH_BYTES < length {
        return None;
    }
    let mut value = bytes.split_to(LENGTH_BYTES + length);
    Some(value.split_off(LENGTH_BYTES))
}
