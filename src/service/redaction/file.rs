//! The rules in force, which a ledger seals.

use super::super::sealed_file::{SealedContent, SealedFile};
use super::Rules;
use crate::ledger::{Ledger, LedgerError};

/// Rules with the file that they come from.
pub type RedactionFile = SealedFile<Rules>;

impl SealedContent for Rules {
    const WHAT: &'static str = "the rules for secrets";
    const WITHOUT_FILE: (&'static str, &'static str) = ("the rules that come with the program", "");

    fn of(text: &str) -> Result<Self, String> {
        Self::parse(text)
    }

    fn digest(&self) -> [u8; 32] {
        Rules::digest(self)
    }

    fn last_digest(ledger: &Ledger) -> Result<Option<Vec<u8>>, LedgerError> {
        Ok(ledger.last_redaction()?.map(|last| last.digest))
    }

    async fn seal(&self, ledger: &Ledger, occasion: &str) -> Result<(), LedgerError> {
        ledger.record_redaction(self.change(occasion)).await
    }

    fn tell(&self) {
        tracing::warn!(rules = self.len(), "other rules for secrets are in force");
    }
}
