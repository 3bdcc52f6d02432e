//! What was just acknowledged, on its way to the indexer, which need not read it back from the store then.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use super::submission::Prepared;

/// Bytes of parts that may wait. An indexer that is further behind reads the store.
const FEED_BYTES: usize = 32 * 1024 * 1024;

/// Consecutive entries, the newest ones, as far as there is room for them.
#[derive(Default)]
pub(crate) struct Feed(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    runs: VecDeque<Run>,
    bytes: usize,
}

/// Entries of one submission.
#[derive(Clone)]
pub(crate) struct Run {
    first_seq: u64,
    entries: Arc<[Prepared]>,
    bytes: usize,
}

impl Run {
    /// Entries from the seq `first_seq` on.
    pub(crate) fn new(first_seq: u64, entries: &Arc<[Prepared]>) -> Self {
        let parts = entries.iter().flat_map(Prepared::all_parts);
        Self {
            first_seq,
            entries: Arc::clone(entries),
            bytes: parts.map(|(_, bytes)| bytes.len()).sum(),
        }
    }

    fn end(&self) -> u64 {
        self.first_seq.saturating_add(self.entries.len() as u64)
    }

    /// Those of its entries that lie in `seqs`.
    pub(crate) fn within(&self, seqs: &Range<u64>) -> impl Iterator<Item = &Prepared> {
        let numbered = (self.first_seq..).zip(&*self.entries);
        let within = numbered.filter(|(seq, _)| seqs.contains(seq));
        within.map(|(_, entry)| entry)
    }
}

impl Feed {
    /// Adds the next entries. When there is no room, all are dropped: those that follow are the newest then.
    pub(crate) fn push(&self, run: Run) {
        if run.entries.is_empty() {
            return;
        }
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let follows = waiting
            .runs
            .back()
            .is_none_or(|last| last.end() == run.first_seq);
        if !follows || waiting.bytes.saturating_add(run.bytes) > FEED_BYTES {
            *waiting = Waiting::default();
        }
        if run.bytes <= FEED_BYTES {
            waiting.bytes = waiting.bytes.saturating_add(run.bytes);
            waiting.runs.push_back(run);
        }
    }

    /// The entries of `seqs`, and forgets them and all before. None when some of them are not there.
    pub(crate) fn take(&self, seqs: &Range<u64>) -> Option<Vec<Run>> {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut taken = Vec::new();
        while let Some(run) = waiting.runs.front() {
            if run.first_seq >= seqs.end {
                break;
            }
            let (end, bytes) = (run.end(), run.bytes);
            if end > seqs.start {
                taken.push(run.clone());
            }
            if end > seqs.end {
                break;
            }
            waiting.bytes = waiting.bytes.saturating_sub(bytes);
            waiting.runs.pop_front();
        }
        let starts = taken.first().is_some_and(|run| run.first_seq <= seqs.start);
        let ends = taken.last().is_some_and(|run| run.end() >= seqs.end);
        (starts && ends).then_some(taken)
    }
}
