//! Signed notes and what C2SP specifies on top of them: checkpoints, cosignatures, proofs, policies.
//!
//! All of it is text, and each format has one spelling: whatever is parsed is written back byte for
//! byte the same, and anything else is refused.
//!
//! # Layout
//!
//! - [`VerifierKey`], [`SignerKey`], [`CosignerKey`]: Ed25519 keys under a name
//! - [`Note`]: text with signatures (signed-note v1.0.0)
//! - [`Checkpoint`]: origin, size and root of a log (tlog-checkpoint v1.0.0)
//! - [`CosignerKey::cosign`]: a witness's timestamped signature (tlog-cosignature v1)
//! - [`TlogProof`]: inclusion in a checkpointed log as one file (tlog-proof v1)
//! - [`Policy`]: which logs and which witnesses suffice (tlog-policy)
//! - [`Rotation`]: one key of a log handing over to the next; Graven's own

mod checkpoint;
mod cosignature;
mod key;
mod name;
mod policy;
mod policy_file;
mod proof;
mod rotation;
mod signature;
mod signed;
mod text;

pub use checkpoint::{Checkpoint, CheckpointError};
pub use cosignature::CosignerKey;
pub use key::{KeyError, KeyId, SignatureType, SignerKey, VerifierKey};
pub use name::{NAME_BYTES_MAX, NameError, check_name};
pub use policy::{Log, Policy, Witness};
pub use policy_file::{LineProblem, PolicyError};
pub use proof::{TlogProof, TlogProofError};
pub use rotation::{Rotation, RotationError};
pub use signature::Signature;
pub use signed::{NOTE_BYTES_MAX, Note, NoteError, SIGNATURES_MAX, Verified};
