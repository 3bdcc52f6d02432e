//! The anchor: the last signed checkpoint, kept apart from the store.
//!
//! The store cannot see that its tail is gone; the anchor can. It lies in two slots that are written in turn, so that a
//! torn write leaves the one before. One slot, 4,096 bytes, big-endian:
//!
//! ```text
//!    0  magic        "graven anchor v1"
//!   16  generation   u64  one more at each write; slot = generation mod 2
//!   24  recorded_at  u64  of the last entry, ns since 1970
//!   32  chain        [32] chain hash of the last entry; the genesis hash when there is none
//!   64  hashes       u8   how many hashes the frontier has
//!   65  frontier     [32] each: the compact range of the tree, largest subtree first
//!       length       u16  of the checkpoint
//!       checkpoint   signed note
//!       zeros
//! 4064  checksum     [32] BLAKE3 of bytes 0..4064
//! ```

use super::error::{LedgerError, Refusal};
use crate::entry::Digest;
use crate::merkle::Frontier;
use crate::note::{Checkpoint, VerifierKey};
use crate::store::{SLOT_LEN, Slots};

const MAGIC: &[u8; 16] = b"graven anchor v1";
const CHECKSUM_BYTES: usize = 32;

/// What a slot says.
#[derive(Debug, Clone)]
pub(crate) struct Anchor {
    pub(crate) generation: u64,
    pub(crate) recorded_at: u64,
    pub(crate) chain: Digest,
    pub(crate) frontier: Frontier,
    /// The signed note.
    pub(crate) checkpoint: String,
}

impl Anchor {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(SLOT_LEN);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&self.generation.to_be_bytes());
        bytes.extend_from_slice(&self.recorded_at.to_be_bytes());
        bytes.extend_from_slice(&self.chain);
        let hashes = self.frontier.hashes();
        // A frontier has at most 64 hashes; a checkpoint of an origin of 255 bytes has under 600 bytes.
        bytes.push(u8::try_from(hashes.len()).unwrap_or(u8::MAX));
        for hash in hashes {
            bytes.extend_from_slice(hash);
        }
        let length = u16::try_from(self.checkpoint.len()).unwrap_or(u16::MAX);
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(self.checkpoint.as_bytes());
        bytes.resize(SLOT_LEN - CHECKSUM_BYTES, 0);
        let checksum = blake3::hash(&bytes);
        bytes.extend_from_slice(checksum.as_bytes());
        bytes
    }

    /// Reads a slot; the error says what is wrong with it.
    fn decode(slot: &[u8]) -> Result<Self, &'static str> {
        let (content, checksum) = slot
            .split_at_checked(SLOT_LEN - CHECKSUM_BYTES)
            .filter(|_| slot.len() == SLOT_LEN)
            .ok_or("its length is not 4,096 bytes")?;
        if blake3::hash(content).as_bytes().as_slice() != checksum {
            return Err("its checksum is wrong");
        }
        let read = || {
            let (magic, rest) = content.split_first_chunk::<16>()?;
            let (generation, rest) = rest.split_first_chunk()?;
            let (recorded_at, rest) = rest.split_first_chunk()?;
            let (chain, rest) = rest.split_first_chunk()?;
            let (&count, rest) = rest.split_first()?;
            let (hashes, rest) = rest.split_at_checked(usize::from(count) * 32)?;
            let (length, rest) = rest.split_first_chunk()?;
            let length = usize::from(u16::from_be_bytes(*length));
            let checkpoint = std::str::from_utf8(rest.get(..length)?).ok()?.to_string();
            let size = checkpoint.lines().nth(1)?.parse().ok()?;
            let (hashes, _) = hashes.as_chunks::<32>();
            (magic == MAGIC).then_some(Self {
                generation: u64::from_be_bytes(*generation),
                recorded_at: u64::from_be_bytes(*recorded_at),
                chain: *chain,
                frontier: Frontier::from_parts(size, hashes.to_vec()).ok()?,
                checkpoint,
            })
        };
        read().ok_or("its content cannot be decoded")
    }

    /// Reads the newer of the slots that are whole.
    pub(crate) fn read(slots: &dyn Slots) -> Result<Self, LedgerError> {
        let mut newest: Option<Self> = None;
        let mut problems = Vec::new();
        for slot in 0..2 {
            match Self::decode(&slots.read(slot)?) {
                Ok(anchor)
                    if newest
                        .as_ref()
                        .is_none_or(|n| n.generation < anchor.generation) =>
                {
                    newest = Some(anchor);
                }
                Ok(_) => {}
                Err(problem) => problems.push(format!("slot {slot}: {problem}")),
            }
        }
        newest.ok_or_else(|| Refusal::AnchorDamaged(problems.join("; ")).into())
    }

    /// Writes this anchor over the older slot. It is durable when this returns.
    pub(crate) fn write(&self, slots: &mut dyn Slots) -> Result<(), LedgerError> {
        Ok(slots.write(usize::from(self.generation % 2 == 1), &self.encode())?)
    }

    /// Opens the checkpoint and checks that it and the frontier are of one tree.
    pub(crate) fn open(&self, origin: &str, key: &VerifierKey) -> Result<Checkpoint, LedgerError> {
        let other = |found: String| Refusal::OtherLedger {
            what: "the anchor's checkpoint",
            found,
            expected: format!("one of {origin}, signed by {key}"),
        };
        let checkpoint = Checkpoint::open(&self.checkpoint, origin, key)
            .map_err(|error| other(error.to_string()))?;
        if *checkpoint.root() != self.frontier.root() || checkpoint.size() != self.frontier.size() {
            return Err(Refusal::AnchorDamaged("its frontier is of another tree".into()).into());
        }
        Ok(checkpoint)
    }
}
