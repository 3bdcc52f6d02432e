//! Why the ledger stopped, if it did. There is no way back but a restart, which recovers from the disk.

use tokio::sync::watch;

/// Set once, by the first failure after which nothing may be acknowledged.
#[derive(Debug)]
pub(crate) struct Stop {
    reason: watch::Sender<Option<String>>,
}

impl Default for Stop {
    fn default() -> Self {
        Self {
            reason: watch::Sender::new(None),
        }
    }
}

impl Stop {
    pub(crate) fn because(&self, reason: String) {
        self.reason.send_if_modified(|current| {
            let first = current.is_none();
            current.get_or_insert(reason);
            first
        });
    }

    pub(crate) fn reason(&self) -> Option<String> {
        self.reason.borrow().clone()
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<Option<String>> {
        self.reason.subscribe()
    }
}

/// Stops the ledger when the thread that holds it panics.
pub(crate) struct StopOnPanic(pub(crate) std::sync::Arc<Stop>);

impl Drop for StopOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.because("a thread of the ledger panicked".into());
        }
    }
}
