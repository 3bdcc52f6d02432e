//! The rules in force: read from their file, sealed into the ledger, and read again when the file changes.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::watch;

use super::super::watched::{self, FileError, Reload, Settling};
use super::Rules;
use crate::ledger::{Ledger, LedgerError};

/// Rules with the file that they come from.
pub struct RedactionFile {
    /// None where only the rules that come with the program are in force.
    path: Option<PathBuf>,
    current: watch::Sender<Arc<Rules>>,
}

/// Rules whose changes a ledger seals.
struct Sealed {
    file: RedactionFile,
    ledger: Arc<Ledger>,
    settling: Settling,
}

impl RedactionFile {
    /// Reads the rules in the file `path`; without one those that come with the program.
    pub fn open(path: Option<&Path>) -> Result<Self, FileError> {
        let rules = read(path)?;
        Ok(Self {
            path: path.map(Path::to_owned),
            current: watch::Sender::new(Arc::new(rules)),
        })
    }

    /// The rules in force.
    pub fn subscribe(&self) -> watch::Receiver<Arc<Rules>> {
        self.current.subscribe()
    }

    /// Seals the rules into the ledger, unless the last that were sealed are the same. To be called before anybody is
    /// served.
    pub async fn seal_at_start(&self, ledger: &Arc<Ledger>) -> Result<(), LedgerError> {
        let rules = Arc::clone(&self.current.borrow());
        let reading = Arc::clone(ledger);
        let last = tokio::task::spawn_blocking(move || reading.last_redaction()).await;
        let last = last.unwrap_or_else(|_| Err(LedgerError::Stopped("a read failed".into())))?;
        if last.is_some_and(|last| last.digest == rules.digest()) {
            return Ok(());
        }
        ledger.record_redaction(rules.change("start")).await
    }

    /// Reads the file again every few seconds, and when it is told to. Never ends by itself.
    ///
    /// Rules are in force once the ledger has sealed them; those found without being told, once they were found twice. While the file cannot be used, or the ledger seals nothing, the
    /// old ones stay in force.
    pub async fn follow(self, ledger: Arc<Ledger>, told: watch::Receiver<()>) {
        let sealed = Sealed {
            file: self,
            ledger,
            settling: Settling::default(),
        };
        watched::follow(sealed, told).await;
    }
}

impl Reload for Sealed {
    fn what(&self) -> &'static str {
        "the rules for secrets"
    }

    async fn reload(&mut self, told: bool) -> Result<(), String> {
        let path = self.file.path.clone();
        let read = tokio::task::spawn_blocking(move || read(path.as_deref())).await;
        let rules = read
            .map_err(|error| error.to_string())?
            .map_err(|error| error.to_string())?;
        let digest = rules.digest();
        if digest == self.file.current.borrow().digest() || !self.settling.settled(digest, told) {
            return Ok(());
        }
        let sealed = self.ledger.record_redaction(rules.change("change")).await;
        sealed.map_err(|error| format!("the ledger did not seal the new ones: {error}"))?;
        tracing::warn!(rules = rules.len(), "other rules for secrets are in force");
        self.file.current.send_replace(Arc::new(rules));
        Ok(())
    }
}

fn read(path: Option<&Path>) -> Result<Rules, FileError> {
    let Some(path) = path else {
        return Rules::parse("").map_err(|problem| FileError::Content {
            path: "the rules that come with the program".into(),
            problem,
        });
    };
    let text = watched::read(path)?;
    let text = String::from_utf8(text).map_err(|error| error.to_string());
    text.and_then(|text| Rules::parse(&text))
        .map_err(|problem| FileError::Content {
            path: path.display().to_string(),
            problem,
        })
}
