//! What is read from files, and read again when they change.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use tokio::sync::watch;

/// How often files are looked at.
const INTERVAL: Duration = Duration::from_secs(2);
/// The largest file that is read, in bytes.
const MAX_BYTES: u64 = 4 * 1024 * 1024;

/// Why files cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// A file cannot be read.
    #[error("reading {path}: {error}")]
    Read {
        /// The file.
        path: String,
        /// Why.
        error: std::io::Error,
    },
    /// What is in it cannot be used.
    #[error("{path}: {problem}")]
    Content {
        /// The file, or the first of several.
        path: String,
        /// What is wrong.
        problem: String,
    },
}

/// Makes something of the contents of files.
type Parse<T> = fn(&[Vec<u8>]) -> Result<T, String>;

/// Something that is made of files.
pub struct Watched<T> {
    /// In words for the log.
    what: &'static str,
    paths: Vec<PathBuf>,
    parse: Parse<T>,
    current: watch::Sender<Arc<T>>,
    /// Of the contents that `current` was made of.
    digest: [u8; 32],
    settling: Settling,
}

/// Contents that are new: taken once they were found twice, since they may be being written.
#[derive(Debug, Default)]
pub(super) struct Settling(Option<[u8; 32]>);

impl Settling {
    /// Whether new contents of this digest can be taken. Who says that they changed says that they are whole.
    pub(super) fn settled(&mut self, digest: [u8; 32], told: bool) -> bool {
        told || self.0.replace(digest) == Some(digest)
    }
}

impl<T: Send + Sync + 'static> Watched<T> {
    /// Reads `paths`, and makes `what` of them.
    pub fn open(
        what: &'static str,
        paths: Vec<PathBuf>,
        parse: Parse<T>,
    ) -> Result<Self, FileError> {
        let (made, digest) = make(&paths, parse, None)?;
        let current = made.ok_or_else(|| content(&paths, "nothing was read".into()))?;
        Ok(Self {
            what,
            paths,
            parse,
            current: watch::Sender::new(Arc::new(current)),
            digest,
            settling: Settling::default(),
        })
    }

    /// What was made of the files last.
    pub fn subscribe(&self) -> watch::Receiver<Arc<T>> {
        self.current.subscribe()
    }

    /// Reads the files again every few seconds, and when it is told to. Never ends by itself. While the files cannot be used,
    /// what was made of them before stays. What is found without being told is taken when it is found a second time.
    pub async fn follow(self, told: watch::Receiver<()>) {
        follow(self, told).await;
    }
}

impl<T: Send + Sync + 'static> Reload for Watched<T> {
    fn what(&self) -> &'static str {
        self.what
    }

    async fn reload(&mut self, told: bool) -> Result<(), String> {
        let (paths, parse, digest) = (self.paths.clone(), self.parse, self.digest);
        let made = tokio::task::spawn_blocking(move || make(&paths, parse, Some(digest))).await;
        let (made, digest) = made
            .map_err(|error| error.to_string())?
            .map_err(|error| error.to_string())?;
        if let Some(made) = made
            && self.settling.settled(digest, told)
        {
            self.digest = digest;
            self.current.send_replace(Arc::new(made));
            tracing::warn!("{} changed", self.what);
        }
        Ok(())
    }
}

/// Makes something of files, unless their contents have this digest.
fn make<T>(
    paths: &[PathBuf],
    parse: Parse<T>,
    known: Option<[u8; 32]>,
) -> Result<(Option<T>, [u8; 32]), FileError> {
    let mut contents = Vec::with_capacity(paths.len());
    let mut hasher = Sha256::new();
    for path in paths {
        let bytes = read(path)?;
        hasher.update((bytes.len() as u64).to_be_bytes());
        hasher.update(&bytes);
        contents.push(bytes);
    }
    let digest = hasher.finalize().into();
    if known == Some(digest) {
        return Ok((None, digest));
    }
    let made = parse(&contents).map_err(|problem| content(paths, problem))?;
    Ok((Some(made), digest))
}

/// The contents of a file.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, FileError> {
    let mut bytes = Vec::new();
    let shown = || path.display().to_string();
    let length = std::fs::File::open(path)
        .and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes))
        .map_err(|error| FileError::Read {
            path: shown(),
            error,
        })?;
    if length as u64 > MAX_BYTES {
        return Err(FileError::Content {
            path: shown(),
            problem: format!("has more than {MAX_BYTES} bytes"),
        });
    }
    Ok(bytes)
}

fn content(paths: &[PathBuf], problem: String) -> FileError {
    let path = paths.first().map(|path| path.display().to_string());
    FileError::Content {
        path: path.unwrap_or_default(),
        problem,
    }
}

/// What can be read again.
pub trait Reload {
    /// In words for the log.
    fn what(&self) -> &'static str;

    /// Reads it again. What is new is taken if somebody told that it changed, and else once it was found twice, since it may
    /// be being written. When that fails, for the reason given, all stays as it was.
    fn reload(&mut self, told: bool) -> impl Future<Output = Result<(), String>> + Send;
}

/// Reads again every few seconds, and when it is told to. What is wrong is said once.
pub(super) async fn follow(mut reloaded: impl Reload, mut told: watch::Receiver<()>) {
    let mut said = None;
    loop {
        let is_told = tokio::select! {
            () = tokio::time::sleep(INTERVAL) => false,
            changed = told.changed() => {
                if changed.is_ok() {
                    said = None;
                } else {
                    // Nobody tells any more.
                    tokio::time::sleep(INTERVAL).await;
                }
                changed.is_ok()
            }
        };
        let failed = reloaded.reload(is_told).await.err();
        if let Some(problem) = failed.as_ref().filter(|_| said != failed) {
            tracing::error!(%problem, "{} stays as it was", reloaded.what());
        }
        said = failed;
    }
}
