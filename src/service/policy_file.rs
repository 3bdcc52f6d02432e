//! The policy in force: read from its file, sealed into the ledger, and read again when the file changes.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};

use super::access::{Policy, PolicyError};
use crate::entry::v1;
use crate::ledger::{Ledger, LedgerError};

/// How often the file is looked at.
const INTERVAL: Duration = Duration::from_secs(2);
/// More than a policy may have.
const MAX_READ: u64 = 2 * 1024 * 1024;

/// A policy with the file that it comes from.
pub struct PolicyFile {
    path: PathBuf,
    current: watch::Sender<Arc<Policy>>,
    /// What was said about the file last, so that it is said once.
    said: Option<String>,
}

/// Why a policy cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum PolicyFileError {
    /// The file cannot be read.
    #[error("reading {path}: {error}")]
    Read {
        /// The file.
        path: String,
        /// Why.
        error: std::io::Error,
    },
    /// It is not a policy.
    #[error("{path}: {error}")]
    Policy {
        /// The file.
        path: String,
        /// What is wrong with it.
        error: PolicyError,
    },
}

impl PolicyFile {
    /// Reads the policy in the file `path`.
    pub fn open(path: &Path) -> Result<Self, PolicyFileError> {
        let policy = read(path)?;
        Ok(Self {
            path: path.to_owned(),
            current: watch::Sender::new(Arc::new(policy)),
            said: None,
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

    /// Reads the file again every few seconds, and when `reload` is notified. Never ends by itself.
    ///
    /// A policy is in force once the ledger has sealed it. While the file cannot be used, or the ledger seals nothing, the
    /// old one stays in force.
    pub async fn follow(mut self, ledger: Arc<Ledger>, reload: Arc<Notify>) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(INTERVAL) => {}
                () = reload.notified() => self.said = None,
            }
            if let Err(problem) = self.reload(&ledger).await
                && self.said.as_ref() != Some(&problem)
            {
                tracing::error!(%problem, "the policy stays as it was");
                self.said = Some(problem);
            }
        }
    }

    async fn reload(&mut self, ledger: &Arc<Ledger>) -> Result<(), String> {
        let path = self.path.clone();
        let read = tokio::task::spawn_blocking(move || read(&path)).await;
        let policy = read
            .map_err(|error| error.to_string())?
            .map_err(|error| error.to_string())?;
        if policy.sha256() == self.current.borrow().sha256() {
            self.said = None;
            return Ok(());
        }
        seal(ledger, &policy, "change")
            .await
            .map_err(|error| format!("the ledger did not seal the new one: {error}"))?;
        self.said = None;
        tracing::warn!(grants = policy.grants().len(), "another policy is in force");
        self.current.send_replace(Arc::new(policy));
        Ok(())
    }
}

fn read(path: &Path) -> Result<Policy, PolicyFileError> {
    let shown = || path.display().to_string();
    let mut text = String::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(MAX_READ).read_to_string(&mut text))
        .map_err(|error| PolicyFileError::Read {
            path: shown(),
            error,
        })?;
    Policy::parse(&text).map_err(|error| PolicyFileError::Policy {
        path: shown(),
        error,
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
