//! Randomness for secrets, salts and names.

use super::failure::Failure;
use crate::ledger::{Entropy, SystemEntropy};

/// So many bytes from the system.
pub(super) fn random<const N: usize>() -> Result<[u8; N], Failure> {
    let mut bytes = [0; N];
    SystemEntropy
        .fill(&mut bytes)
        .map_err(|error| Failure::other(format!("no randomness: {error}")))?;
    Ok(bytes)
}
