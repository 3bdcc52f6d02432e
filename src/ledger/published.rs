//! What the ledger has acknowledged so far.

use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync::watch;

use crate::note::Checkpoint;

/// A checkpoint that is anchored: what anybody may be shown.
#[derive(Debug, Clone)]
pub struct Published {
    /// The checkpoint.
    pub checkpoint: Checkpoint,
    /// The same as a signed note.
    pub note: String,
}

impl Published {
    /// Entries covered.
    pub fn size(&self) -> u64 {
        self.checkpoint.size()
    }
}

/// The newest published checkpoint, and news of newer ones.
pub(crate) struct Publication {
    newest: RwLock<Arc<Published>>,
    size: watch::Sender<u64>,
}

impl Publication {
    pub(crate) fn new(published: Arc<Published>) -> Self {
        let size = watch::Sender::new(published.size());
        Self {
            newest: RwLock::new(published),
            size,
        }
    }

    pub(crate) fn newest(&self) -> Arc<Published> {
        Arc::clone(&self.newest.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn publish(&self, published: Arc<Published>) {
        let size = published.size();
        *self.newest.write().unwrap_or_else(PoisonError::into_inner) = published;
        self.size.send_replace(size);
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<u64> {
        self.size.subscribe()
    }
}
