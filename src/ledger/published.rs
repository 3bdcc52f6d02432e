//! What the ledger has acknowledged so far.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError, RwLock};
use std::time::Instant;

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
    follower: Follower,
}

/// One thread that waits for the ledger to grow so far.
#[derive(Default)]
struct Follower {
    /// The size it waits for; spares the signer a lock when it is not reached.
    wanted: AtomicU64,
    closed: Mutex<bool>,
    changed: Condvar,
}

/// Why a follower waits no more.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Wake {
    /// The ledger has at least the size waited for: this one.
    Reached(u64),
    /// The time has come.
    Late,
    /// The ledger closes.
    Closed,
}

impl Publication {
    pub(crate) fn new(published: Arc<Published>) -> Self {
        let size = watch::Sender::new(published.size());
        Self {
            newest: RwLock::new(published),
            size,
            follower: Follower::default(),
        }
    }

    pub(crate) fn newest(&self) -> Arc<Published> {
        Arc::clone(&self.newest.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn publish(&self, published: Arc<Published>) {
        let size = published.size();
        *self.newest.write().unwrap_or_else(PoisonError::into_inner) = published;
        self.size.send_replace(size);
        if size >= self.follower.wanted.load(Ordering::SeqCst) {
            let _closed = self
                .follower
                .closed
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            self.follower.changed.notify_one();
        }
    }

    /// Waits until `size` entries are published, until `deadline` if there is one, or until the end.
    pub(crate) fn wait_for(&self, size: u64, deadline: Option<Instant>) -> Wake {
        let Follower {
            wanted,
            closed,
            changed,
        } = &self.follower;
        wanted.store(size, Ordering::SeqCst);
        let mut closed = closed.lock().unwrap_or_else(PoisonError::into_inner);
        let wake = loop {
            let published = self.newest().size();
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if *closed {
                break Wake::Closed;
            } else if published >= size {
                break Wake::Reached(published);
            }
            closed = match left {
                Some(left) if left.is_zero() => break Wake::Late,
                Some(left) => {
                    let waited = changed.wait_timeout(closed, left);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
                None => changed.wait(closed).unwrap_or_else(PoisonError::into_inner),
            };
        };
        wanted.store(u64::MAX, Ordering::SeqCst);
        wake
    }

    /// Lets the follower go.
    pub(crate) fn close(&self) {
        *self
            .follower
            .closed
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = true;
        self.follower.changed.notify_one();
    }

    /// Whether the ledger closes.
    pub(crate) fn is_closed(&self) -> bool {
        *self
            .follower
            .closed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<u64> {
        self.size.subscribe()
    }
}
