//! What a file says and a ledger seals before it is in force: read at the start, and again when the file changes.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::watch;

use super::watched::{self, FileError, Reload, Settling};
use crate::ledger::{Ledger, LedgerError};

/// What such a file says.
pub trait SealedContent: Sized + Send + Sync + 'static {
    /// In words for the log.
    const WHAT: &'static str;

    /// What stands where there is no file: a name for errors, and the text.
    const WITHOUT_FILE: (&'static str, &'static str);

    /// Reads the text of a file; the error says what is wrong with it.
    fn of(text: &str) -> Result<Self, String>;

    /// Tells it from every other.
    fn digest(&self) -> [u8; 32];

    /// The digest of what `ledger` sealed last. Blocks while it reads.
    fn last_digest(ledger: &Ledger) -> Result<Option<Vec<u8>>, LedgerError>;

    /// Seals it; `occasion` is `start` or `change`.
    fn seal(
        &self,
        ledger: &Ledger,
        occasion: &str,
    ) -> impl Future<Output = Result<(), LedgerError>> + Send;

    /// Says in the log that it is in force now.
    fn tell(&self);
}

/// What is in force, with the file that it comes from.
pub struct SealedFile<T> {
    /// None where there is no file.
    path: Option<PathBuf>,
    current: watch::Sender<Arc<T>>,
}

/// What is in force, and the ledger that seals its changes.
struct Followed<T> {
    file: SealedFile<T>,
    ledger: Arc<Ledger>,
    settling: Settling,
}

impl<T: SealedContent> SealedFile<T> {
    /// Reads the file `path`, or what stands where there is none.
    pub fn open(path: Option<&Path>) -> Result<Self, FileError> {
        let content = read(path)?;
        Ok(Self {
            path: path.map(Path::to_owned),
            current: watch::Sender::new(Arc::new(content)),
        })
    }

    /// What is in force.
    pub fn subscribe(&self) -> watch::Receiver<Arc<T>> {
        self.current.subscribe()
    }

    /// Seals it into the ledger, unless the last that was sealed is the same. To be called before anybody is served.
    pub async fn seal_at_start(&self, ledger: &Arc<Ledger>) -> Result<(), LedgerError> {
        let content = Arc::clone(&self.current.borrow());
        let reading = Arc::clone(ledger);
        let last = tokio::task::spawn_blocking(move || T::last_digest(&reading)).await;
        let last = last.unwrap_or_else(|_| Err(LedgerError::Stopped("a read failed".into())))?;
        if last.is_some_and(|last| last == content.digest()) {
            return Ok(());
        }
        content.seal(ledger, "start").await
    }

    /// Reads the file again every few seconds, and when it is told to. Never ends by itself.
    ///
    /// What is new is in force once the ledger has sealed it; what was found without being told, once it was found twice.
    /// While the file cannot be used, or the ledger seals nothing, what was in force before stays so.
    pub async fn follow(self, ledger: Arc<Ledger>, told: watch::Receiver<()>) {
        watched::follow(self.sealed_by(ledger), told).await;
    }

    /// The same, to be read again by hand.
    pub fn sealed_by(self, ledger: Arc<Ledger>) -> impl Reload {
        Followed {
            file: self,
            ledger,
            settling: Settling::default(),
        }
    }
}

impl<T: SealedContent> Reload for Followed<T> {
    fn what(&self) -> &'static str {
        T::WHAT
    }

    async fn reload(&mut self, told: bool) -> Result<(), String> {
        let path = self.file.path.clone();
        let read = tokio::task::spawn_blocking(move || read::<T>(path.as_deref())).await;
        let content = read
            .map_err(|error| error.to_string())?
            .map_err(|error| error.to_string())?;
        let digest = content.digest();
        if digest == self.file.current.borrow().digest() || !self.settling.settled(digest, told) {
            return Ok(());
        }
        let sealed = content.seal(&self.ledger, "change").await;
        sealed.map_err(|error| format!("the ledger did not seal what is new: {error}"))?;
        content.tell();
        self.file.current.send_replace(Arc::new(content));
        Ok(())
    }
}

fn read<T: SealedContent>(path: Option<&Path>) -> Result<T, FileError> {
    let (path, text) = if let Some(path) = path {
        let text = String::from_utf8(watched::read(path)?);
        let text = text.map_err(|error| error.to_string());
        (path.display().to_string(), text)
    } else {
        let (name, text) = T::WITHOUT_FILE;
        (name.into(), Ok(text.to_owned()))
    };
    text.and_then(|text| T::of(&text))
        .map_err(|problem| FileError::Content { path, problem })
}
