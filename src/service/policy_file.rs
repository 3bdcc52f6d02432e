//! The policy in force, which a ledger seals.

use super::access::Policy;
use super::sealed_file::{SealedContent, SealedFile};
use crate::entry::v1;
use crate::ledger::{Ledger, LedgerError};

/// A policy with the file that it comes from.
pub type PolicyFile = SealedFile<Policy>;

impl SealedContent for Policy {
    const WHAT: &'static str = "the policy";
    /// Without a file nobody may do anything.
    const WITHOUT_FILE: (&'static str, &'static str) = ("no policy", "");

    fn of(text: &str) -> Result<Self, String> {
        Self::parse(text).map_err(|error| error.to_string())
    }

    fn digest(&self) -> [u8; 32] {
        self.sha256()
    }

    fn last_digest(ledger: &Ledger) -> Result<Option<Vec<u8>>, LedgerError> {
        Ok(ledger.last_policy()?.map(|last| last.digest))
    }

    async fn seal(&self, ledger: &Ledger, occasion: &str) -> Result<(), LedgerError> {
        let change = v1::PolicyChange {
            digest: self.sha256().to_vec(),
            grants: u32::try_from(self.grants().len()).unwrap_or(u32::MAX),
            occasion: occasion.into(),
        };
        ledger.record_policy(change).await
    }

    fn tell(&self) {
        tracing::warn!(grants = self.grants().len(), "another policy is in force");
    }
}
