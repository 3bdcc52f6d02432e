//! An actor's own signature: not even the operator can then speak as that actor.
//!
//! ```text
//! message = "graven v1 actor signature\n" ‖ origin length u16 ‖ origin ‖ (tag u8 ‖ commitment[32])*   tags 2 to 6
//! ```
//!
//! The signer chooses the seed of the salts. The context part is among the commitments, and with it the idempotency id,
//! so neither another detail nor a replay can be put under the signature. The origin keeps it to one ledger. The signature is
//! plain Ed25519, or an [`ssh_signature`](super::ssh_signature).

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};

use super::invalid::Problem;
use super::parts::{Salts, Seed, Tag, commitment};
use super::ssh_signature::SshSignature;
use super::{Digest, hex, v1};

const DOMAIN: &[u8] = b"graven v1 actor signature\n";

/// The bytes an actor signs: the origin and the commitments of the parts 2 to 6 that there are, ascending by tag.
pub fn signed_message(
    origin: &str,
    commitments: impl IntoIterator<Item = (Tag, Digest)>,
) -> Vec<u8> {
    let mut message = DOMAIN.to_vec();
    // Origins have at most 255 bytes.
    message.extend(
        u16::try_from(origin.len())
            .unwrap_or(u16::MAX)
            .to_be_bytes(),
    );
    message.extend(origin.as_bytes());
    for (tag, commitment) in commitments {
        message.push(tag.number());
        message.extend(commitment);
    }
    message
}

/// The bytes to sign for the parts 2 to 6, given as (tag, canonical encoding), under the salts that follow from `seed`.
pub fn message(seed: &Seed, origin: &str, parts: &[(Tag, &[u8])]) -> Vec<u8> {
    signed_message(origin, commitments(seed, parts))
}

/// Signs the parts 2 to 6, given as (tag, canonical encoding), for the ledger `origin`.
pub fn sign(
    key: &SigningKey,
    seed: &Seed,
    origin: &str,
    parts: &[(Tag, &[u8])],
) -> v1::ActorSignature {
    let message = message(seed, origin, parts);
    v1::ActorSignature {
        public_key: key.verifying_key().to_bytes().to_vec(),
        signature: key.sign(&message).to_bytes().to_vec(),
        seed: seed.0.to_vec(),
        ssh_signature: Vec::new(),
    }
}

/// What entries call the key that made a signature, in the target `iam://ledger/key/<name>`; none when its form is wrong.
pub fn key_name(signature: &v1::ActorSignature) -> Option<String> {
    if signature.ssh_signature.is_empty() {
        return Some(hex::encode(&signature.public_key));
    }
    let signature = SshSignature::decode(&signature.ssh_signature).ok()?;
    Some(signature.key.name())
}

/// The signature as it is sealed in the envelope: without the seed, from which every salt follows. Whoever sees the
/// envelope could otherwise guess what is withheld, and erasing a part would leave the seed behind.
#[must_use]
pub fn without_seed(signature: &v1::ActorSignature) -> v1::ActorSignature {
    v1::ActorSignature {
        seed: Vec::new(),
        ..signature.clone()
    }
}

/// Checks a signature over the parts 2 to 6, and returns the seed it was made with.
pub fn verify(
    signature: &v1::ActorSignature,
    origin: &str,
    parts: &[(Tag, &[u8])],
) -> Result<Seed, Problem> {
    let seed = Seed(
        signature
            .seed
            .as_slice()
            .try_into()
            .map_err(|_| Problem::OutOfRange)?,
    );
    verify_commitments(signature, origin, commitments(&seed, parts))?;
    Ok(seed)
}

/// Checks a signature over the commitments of parts 2 to 6, some of which may be withheld.
pub fn verify_commitments(
    signature: &v1::ActorSignature,
    origin: &str,
    commitments: impl IntoIterator<Item = (Tag, Digest)>,
) -> Result<(), Problem> {
    let message = signed_message(origin, commitments);
    let bad = |_| Problem::BadSignature;
    if !signature.ssh_signature.is_empty() {
        if !(signature.public_key.is_empty() && signature.signature.is_empty()) {
            return Err(Problem::BadSignature);
        }
        SshSignature::decode(&signature.ssh_signature)?.verify(&message)?;
        return Ok(());
    }
    let key: &[u8; 32] = signature
        .public_key
        .as_slice()
        .try_into()
        .map_err(|_| Problem::BadSignature)?;
    let key = VerifyingKey::from_bytes(key).map_err(bad)?;
    let bytes = Signature::from_slice(&signature.signature).map_err(bad)?;
    key.verify_strict(&message, &bytes).map_err(bad)
}

fn commitments(seed: &Seed, parts: &[(Tag, &[u8])]) -> Vec<(Tag, Digest)> {
    let salts = Salts::derive(seed);
    parts
        .iter()
        .map(|(tag, bytes)| (*tag, commitment(&salts.of(*tag), bytes)))
        .collect()
}
