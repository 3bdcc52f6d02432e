//! The policy in force: read from its file, sealed into the ledger, and read again when the file changes.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::watch;

use super::access::Policy;
use super::watched::{self, FileError, Reload, Settling};
use crate::entry::v1;
use crate::ledger::{Ledger, LedgerError};

/// A policy with the file that it comes from.
pub struct PolicyFile {
    path: PathBuf,
    current: watch::Sender<Arc<Policy>>,
}

/// A policy whose changes a ledger seals.
struct Sealed {
    file: PolicyFile,
    ledger: Arc<Ledger>,
    settling: Settling,
}

impl PolicyFile {
    /// Reads the policy in the file `path`.
    pub fn open(path: &Path) -> Result<Self, FileError> {
        let policy = read(path)?;
        Ok(Self {
            path: path.to_owned(),
            current: watch::Sender::new(Arc::new(policy)),
        })
    }

    /// The policy in force.
    pub fn subscribe(&self) -> watch::Receiver<Arc<Policy>> {
        self.current.subscribe()
    }

    /// Seals the policy into the ledger, unless the last that was sealed is the same. To be called before anybody is
    /// served.
    pub async fn seal_at_start(&self, ledger: &Arc<Ledger>) -> Result<(), LedgerError> {
        let policy = Arc::clone(&self.current.borrow());
        let reading = Arc::clone(ledger);
        let last = tokio::task::spawn_blocking(move || reading.last_policy()).await;
        let last = last.unwrap_or_else(|_| Err(LedgerError::Stopped("a read failed".into())))?;
        if last.is_some_and(|last| last.digest == policy.sha256()) {
            return Ok(());
        }
        seal(ledger, &policy, "start").await
    }

    /// Reads the file again every few seconds, and when it is told to. Never ends by itself.
    ///
    /// A policy is in force once the ledger has sealed it; one that was found without being told, once it was found twice. While the file cannot be used, or the ledger seals nothing, the
    /// old one stays in force.
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
        "the policy"
    }

    async fn reload(&mut self, told: bool) -> Result<(), String> {
        let path = self.file.path.clone();
        let read = tokio::task::spawn_blocking(move || read(&path)).await;
        let policy = read
            .map_err(|error| error.to_string())?
            .map_err(|error| error.to_string())?;
        let digest = policy.sha256();
        if digest == self.file.current.borrow().sha256() || !self.settling.settled(digest, told) {
            return Ok(());
        }
        seal(&self.ledger, &policy, "change")
            .await
            .map_err(|error| format!("the ledger did not seal the new one: {error}"))?;
        tracing::warn!(grants = policy.grants().len(), "another policy is in force");
        self.file.current.send_replace(Arc::new(policy));
        Ok(())
    }
}

fn read(path: &Path) -> Result<Policy, FileError> {
    let text = watched::read(path)?;
    let text = String::from_utf8(text).map_err(|error| error.to_string());
    text.and_then(|text| Policy::parse(&text).map_err(|error| error.to_string()))
        .map_err(|problem| FileError::Content {
            path: path.display().to_string(),
            problem,
        })
}

async fn seal(ledger: &Ledger, policy: &Policy, occasion: &str) -> Result<(), LedgerError> {
    let change = v1::PolicyChange {
        digest: policy.sha256().to_vec(),
        grants: u32::try_from(policy.grants().len()).unwrap_or(u32::MAX),
        occasion: occasion.into(),
    };
    ledger.record_policy(change).await
}
