//! The genesis descriptor: what a ledger is, fixed when it is made.
//!
//! Its hash, BLAKE3 derive-key "graven v1 genesis" of the canonical encoding of [`v1::Genesis`], is the `prev` of entry 0
//! and what clients pin.

use prost::Message;

use super::canonical::check;
use super::invalid::{Invalid, Problem};
use super::{Digest, schema, v1};
use crate::note::{SignatureType, VerifierKey, check_name};

/// The format of entries that this crate writes.
pub const FORMAT_VERSION: u32 = 1;
/// The search index that this crate has: which fields have terms, how these follow from an entry, and how segments are built.
///
/// It is sealed into ledgers for good. Whatever changes it gets a new number, beside the old one: with the old number, what
/// was rightly sealed would look false.
pub const INDEX_VERSION: u32 = 1;
/// Entries in a segment of each level: 1,024 · 16^level.
pub const INDEX_SPANS: [u64; 5] = [1 << 10, 1 << 14, 1 << 18, 1 << 22, 1 << 26];

/// A descriptor that has been checked, with its bytes.
#[derive(Debug, Clone, PartialEq)]
pub struct Genesis {
    descriptor: v1::Genesis,
    encoded: Vec<u8>,
    verifier_key: VerifierKey,
}

impl Genesis {
    /// The descriptor of a new ledger. `created_at` is in nanoseconds since 1970, UTC.
    pub fn new(
        verifier_key: &VerifierKey,
        origin: &str,
        ledger_id: Digest,
        created_at: u64,
        predecessor: Option<v1::Predecessor>,
    ) -> Result<Self, Invalid> {
        let descriptor = v1::Genesis {
            origin: origin.to_string(),
            verifier_key: verifier_key.to_string(),
            ledger_id: ledger_id.to_vec(),
            created_at,
            format_version: FORMAT_VERSION,
            index_version: INDEX_VERSION,
            index_spans: INDEX_SPANS.to_vec(),
            predecessor,
        };
        Self::decode(&descriptor.encode_to_vec())
    }

    /// Reads and checks the canonical encoding of a descriptor.
    pub fn decode(encoded: &[u8]) -> Result<Self, Invalid> {
        check(encoded, &schema::GENESIS)?;
        let descriptor = v1::Genesis::decode(encoded)
            .map_err(|_| Invalid::new("", Problem::NotCanonical("it cannot be decoded")))?;
        let origin_problem = |error| Problem::BadName(format!("is not an origin: {error}"));
        check_name(&descriptor.origin).map_err(|e| Invalid::new("origin", origin_problem(e)))?;
        let verifier_key = descriptor
            .verifier_key
            .parse::<VerifierKey>()
            .map_err(|error| {
                let problem = Problem::BadName(format!("is not a verifier key: {error}"));
                Invalid::new("verifier_key", problem)
            })?;
        // The origin of a checkpoint selects the key it is verified with.
        if verifier_key.name() != descriptor.origin || verifier_key.kind() != SignatureType::Ed25519
        {
            let problem = Problem::BadName("is not a log's key named after the origin".into());
            return Err(Invalid::new("verifier_key", problem));
        }
        if descriptor.ledger_id.len() != 32 {
            return Err(Invalid::new("ledger_id", Problem::OutOfRange));
        }
        if descriptor.format_version != FORMAT_VERSION {
            let version = u64::from(descriptor.format_version);
            return Err(Invalid::new(
                "format_version",
                Problem::UnknownValue(version),
            ));
        }
        if let Some(predecessor) = &descriptor.predecessor {
            check_name(&predecessor.origin)
                .map_err(|e| Invalid::new("predecessor.origin", origin_problem(e)))?;
            if predecessor.origin == descriptor.origin {
                let problem = Problem::BadName("is the ledger's own origin".into());
                return Err(Invalid::new("predecessor.origin", problem));
            }
        }
        Ok(Self {
            descriptor,
            encoded: encoded.to_vec(),
            verifier_key,
        })
    }

    /// The ledger's name.
    pub fn origin(&self) -> &str {
        &self.descriptor.origin
    }

    /// The key of its first checkpoints, named after the origin.
    pub fn verifier_key(&self) -> &VerifierKey {
        &self.verifier_key
    }

    /// What is unknown here about the ledger's search index, for people; none when it is that of this crate.
    ///
    /// Of an index that is not known nothing can be said: neither what an entry is found by, nor that it is absent, nor that
    /// a seal is false.
    pub fn unknown_index(&self) -> Option<String> {
        let version = self.descriptor.index_version;
        if version != INDEX_VERSION {
            return Some(format!("version {version}"));
        }
        let same = self.descriptor.index_spans == INDEX_SPANS;
        (!same).then(|| format!("version {version} with other spans"))
    }

    /// Every field.
    pub fn descriptor(&self) -> &v1::Genesis {
        &self.descriptor
    }

    /// The canonical encoding.
    pub fn encoded(&self) -> &[u8] {
        &self.encoded
    }

    /// What entry 0 carries as `prev`, and what clients pin.
    pub fn hash(&self) -> Digest {
        blake3::derive_key("graven v1 genesis", &self.encoded)
    }
}
