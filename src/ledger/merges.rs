//! Merges of large segments, beside the indexer: the largest take many seconds, in which entries keep coming.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use super::error::LedgerError;
use super::segment_objects::StoredSegment;
use super::segments::Segments;
use crate::index::SegmentId;

/// How much the threads of merges give way to those that clients wait for.
const NICENESS: i32 = 5;

type Merged = Result<Arc<StoredSegment>, LedgerError>;

/// Merges under way, at most one of each level. Given up when dropped.
#[derive(Default)]
pub(super) struct Merges {
    running: Vec<(SegmentId, JoinHandle<Merged>)>,
    given_up: Arc<AtomicBool>,
}

impl Merges {
    /// Whether none is under way.
    pub(super) fn is_empty(&self) -> bool {
        self.running.is_empty()
    }

    /// Whether one of this level is under way.
    pub(super) fn has(&self, level: u8) -> bool {
        self.running.iter().any(|(id, _)| id.level == level)
    }

    /// Begins to merge `parts` into the segment `id`.
    pub(super) fn start(
        &mut self,
        id: SegmentId,
        parts: Vec<Arc<StoredSegment>>,
        segments: &Arc<Segments>,
    ) -> Result<(), LedgerError> {
        let (segments, given_up) = (Arc::clone(segments), Arc::clone(&self.given_up));
        let work = move || {
            // On Linux this is about the calling thread. Where it cannot be done, merges only take their full share.
            let _ = rustix::process::nice(NICENESS);
            segments.merge(id, &parts, &given_up)
        };
        let thread = std::thread::Builder::new()
            .name(format!("merge-{}", id.level))
            .spawn(work)
            .map_err(|error| LedgerError::Stopped(format!("no thread: {error}")))?;
        self.running.push((id, thread));
        Ok(())
    }

    /// Takes the segments that are done.
    pub(super) fn take_done(&mut self) -> Result<Vec<Arc<StoredSegment>>, LedgerError> {
        let running = std::mem::take(&mut self.running);
        let (done, running) = running
            .into_iter()
            .partition(|(_, thread)| thread.is_finished());
        self.running = running;
        let done: Vec<_> = done;
        done.into_iter().map(|(_, thread)| joined(thread)).collect()
    }

    /// Waits for the one of this level, if one is under way.
    pub(super) fn wait(&mut self, level: u8) -> Result<Option<Arc<StoredSegment>>, LedgerError> {
        let found = self.running.iter().position(|(id, _)| id.level == level);
        let thread = found.map(|index| self.running.swap_remove(index).1);
        thread.map(joined).transpose()
    }
}

impl Drop for Merges {
    fn drop(&mut self) {
        self.given_up.store(true, Ordering::Relaxed);
        for (_, thread) in self.running.drain(..) {
            let _ = thread.join();
        }
    }
}

fn joined(thread: JoinHandle<Merged>) -> Merged {
    thread
        .join()
        .unwrap_or_else(|_| Err(LedgerError::Stopped("a merge panicked".into())))
}
