//! Backups that an operator orders: below a directory that the configuration names, under a name that is checked.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use tonic::{Response, Status};

use super::status;
use crate::entry::v1;
use crate::ledger::{BackupManifest, BackupPlace, Clock, Ledger, LedgerError, SystemClock};
use crate::store::StoreError;

/// Where backups go, and whether they are given up.
#[derive(Debug, Clone, Default)]
pub(super) struct Backups {
    /// Where they go; none are made without.
    pub(super) dir: Option<PathBuf>,
    /// Set when the server closes.
    pub(super) given_up: Arc<AtomicBool>,
}

/// Copies and verifies. Goes on to the end also when the client goes.
pub(super) async fn back_up(
    ledger: &Arc<Ledger>,
    backups: &Backups,
    request: v1::BackUpRequest,
) -> Result<Response<v1::BackUpResponse>, Status> {
    let Backups { dir, given_up } = backups.clone();
    let dir = dir.ok_or_else(|| {
        Status::failed_precondition(
            "this server has nowhere to put backups: name backup_dir in its configuration",
        )
    })?;
    let ledger = Arc::clone(ledger);
    let made = tokio::task::spawn_blocking(move || {
        let place = BackupPlace {
            dir: &dir,
            name: &request.name,
            made_at: SystemClock::default().unix_nanos(),
        };
        let made = ledger.back_up(place, &given_up);
        match &made {
            Ok(manifest) => {
                let (entries, bytes) = (manifest.entries, manifest.bytes());
                tracing::info!(name = request.name, entries, bytes, "backed up");
            }
            Err(error) => tracing::error!(name = request.name, %error, "a backup failed"),
        }
        made.map(|manifest| answer(request.name, manifest))
    });
    match made.await {
        Ok(made) => made.map(Response::new).map_err(refusal),
        Err(_) => Err(Status::internal("the backup failed")),
    }
}

fn answer(name: String, manifest: BackupManifest) -> v1::BackUpResponse {
    v1::BackUpResponse {
        name,
        files: manifest.files.len() as u64,
        bytes: manifest.bytes(),
        origin: manifest.origin,
        size: manifest.size,
        entries: manifest.entries,
        checkpoint: manifest.checkpoint,
    }
}

/// What the operator can do about it, without the paths of the server.
fn refusal(error: LedgerError) -> Status {
    let LedgerError::Store(store) = error else {
        return status::of(error);
    };
    match store {
        StoreError::Exists { .. } => Status::already_exists("there is a backup of this name"),
        StoreError::Missing { .. } => {
            Status::failed_precondition("the server's backup_dir is not there")
        }
        StoreError::InUse { .. } => {
            Status::failed_precondition("another backup or an erasure is under way")
        }
        StoreError::Full { what } => Status::resource_exhausted(format!("no room: {what}")),
        StoreError::Io { .. } => {
            Status::unavailable("the backup could not be written; the log of the server says more")
        }
        other => status::of(other.into()),
    }
}
