//! Deriving the index from what a server sends, beside the audit of it.

use std::io;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

use super::bodies::Received;
use super::failure::Failure;
use super::scratch::ScratchFiles;
use crate::entry::genesis::{Genesis, INDEX_SPANS};
use crate::entry::v1;
use crate::index::Facts;
use crate::verify::{
    CheckedEntry, DeriveError, Derived, Deriving, Finding, Rederivation, check_entry,
};

/// Entries that are checked and derived together, on one processor: those of a segment of level 0.
pub(super) const GROUP: usize = 1 << 10;
const _: () = assert!(GROUP as u64 == INDEX_SPANS[0]);

/// Groups that may wait to be merged.
const WAITING: usize = 32;

/// Consecutive entries, checked.
pub(super) struct Group {
    pub(super) entries: Vec<Result<CheckedEntry, Finding>>,
    /// What they come to, if that is asked for.
    pub(super) chunk: Option<Chunk>,
}

/// What deriving the index needs of a group.
pub(super) struct Chunk {
    /// The segment of level 0; none of a group that does not fill one.
    derived: Option<Derived>,
    seals: Vec<(u64, v1::Seal)>,
}

/// Checks entries that follow one another; they begin where a segment does.
pub(super) fn check_group(origin: &str, entries: &[(u64, Received)], derive: bool) -> Group {
    let check = |(seq, entry): &(u64, Received)| {
        check_entry(origin, *seq, &entry.header.encode(), &entry.body)
    };
    let checked: Vec<_> = entries.iter().map(check).collect();
    let sound = derive && checked.iter().all(Result::is_ok);
    let chunk = sound.then(|| Chunk {
        derived: derive_group(entries),
        seals: checked
            .iter()
            .filter_map(|entry| {
                let entry = entry.as_ref().ok()?;
                Some((entry.header().seq, entry.seal()?.clone()))
            })
            .collect(),
    });
    Group {
        entries: checked,
        chunk,
    }
}

/// The segment that these entries fill, if they do.
pub(super) fn derive_group(entries: &[(u64, Received)]) -> Option<Derived> {
    let (first, _) = entries.first()?;
    if entries.len() != GROUP {
        return None;
    }
    let mut deriving = Deriving::new(first / GROUP as u64);
    for (_, entry) in entries {
        deriving.push(&Facts::new(&entry.header, &entry.body).ok()?);
    }
    Some(deriving.finish())
}

type Merged = Result<Rederivation<ScratchFiles>, DeriveError<io::Error>>;

/// Merges segments and checks seals in a thread of its own.
pub(super) struct Merging {
    chunks: SyncSender<Chunk>,
    thread: JoinHandle<Merged>,
}

impl Merging {
    pub(super) fn start(genesis: &Genesis) -> Result<Self, Failure> {
        let (chunks, waiting) = sync_channel::<Chunk>(WAITING);
        let mut rederivation = Rederivation::new(genesis, ScratchFiles::new());
        let work = move || {
            for chunk in waiting {
                if let Some(derived) = chunk.derived {
                    rederivation.push(derived)?;
                }
                for (seq, seal) in &chunk.seals {
                    rederivation.check_seal(*seq, seal);
                }
            }
            Ok(rederivation)
        };
        let thread = std::thread::Builder::new()
            .name("merging".into())
            .spawn(work);
        let thread = thread.map_err(|error| Failure::other(format!("no thread: {error}")))?;
        Ok(Self { chunks, thread })
    }

    /// Takes the next group, in order.
    pub(super) fn push(&self, chunk: Chunk) {
        // If the thread has ended, it ends with the reason.
        let _ = self.chunks.send(chunk);
    }

    /// What it came to.
    pub(super) fn finish(self) -> Result<Rederivation<ScratchFiles>, Failure> {
        drop(self.chunks);
        match self.thread.join() {
            Ok(merged) => merged.map_err(|error| unchecked(&error)),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}

pub(super) fn unchecked(error: &DeriveError<io::Error>) -> Failure {
    let dir = std::env::temp_dir();
    Failure::unchecked(format!(
        "COULD NOT CHECK: deriving the index needs room in {} (TMPDIR): {error}",
        dir.display()
    ))
}
