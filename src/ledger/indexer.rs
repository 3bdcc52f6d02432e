//! The indexer: follows the acknowledged entries, builds and merges segments, and seals them into the log.
//!
//! It has a thread of its own beside the commit path. A seal follows the work: one when the flow pauses, and at most one
//! every 100 ms while it does not. Small segments stay in memory until a seal needs them, by when most have been merged.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use super::act;
use super::error::LedgerError;
use super::feed::Feed;
use super::keys::{SEAL, segment_key};
use super::merges::Merges;
use super::ports::Entropy;
use super::published::{Publication, Wake};
use super::queue::Queue;
use super::segment_objects::{StoredSegment, build_in_memory};
use super::segments::Segments;
use super::stop::Stop;
use super::submission::Mark;
use crate::entry::genesis::INDEX_SPANS;
use crate::entry::{Kind, v1};
use crate::index::{FAN_IN, LEVELS, SegmentId, SegmentRecord, TermMap};
use crate::store::Space;

/// The least time between two seals while entries keep coming.
const SEAL_INTERVAL: Duration = Duration::from_millis(100);
/// Entries of the smallest segment.
const SMALLEST: u64 = INDEX_SPANS[0];
/// The level from which on merges take so long that the indexer does not wait for them.
const FIRST_LARGE: u8 = 2;
/// Segments of a level that may wait to be merged, each of them an open file and a place to look.
const MAX_UNMERGED: u64 = 8 * FAN_IN;

pub(crate) struct Indexer {
    pub(crate) origin: String,
    pub(crate) segments: Arc<Segments>,
    pub(crate) publication: Arc<Publication>,
    pub(crate) feed: Arc<Feed>,
    pub(crate) queue: Arc<Queue>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) stop: Arc<Stop>,
    /// Segments that are built and not sealed yet, in the order in which they were built.
    pub(crate) built: Vec<Arc<StoredSegment>>,
    pub(crate) merges: Merges,
}

impl Indexer {
    /// Works until the ledger closes or something fails.
    pub(crate) fn run(mut self) {
        let mut due = Instant::now();
        loop {
            let waits = !self.built.is_empty() || !self.merges.is_empty();
            let deadline = waits.then(|| self.seal_at(due));
            let done = match self.publication.wait_for(self.next_size(), deadline) {
                Wake::Closed => return,
                Wake::Reached(size) => self.build_below(size),
                Wake::Late => Ok(()),
            };
            let done = done.and_then(|()| self.take_merged()).and_then(|()| {
                if Instant::now() < self.seal_at(due) {
                    return Ok(());
                }
                due = Instant::now() + SEAL_INTERVAL;
                self.seal()
            });
            if let Err(error) = done {
                if !self.publication.is_closed() {
                    self.stop.because(format!("the search index: {error}"));
                }
                return;
            }
        }
    }

    /// When a seal that is due is written: a little later if what comes meanwhile completes a merge, which spares objects
    /// for its parts.
    fn seal_at(&self, due: Instant) -> Instant {
        let smallest = self
            .built
            .iter()
            .filter(|built| built.record().id.level == 0);
        let missing = self.count(0).next_multiple_of(FAN_IN) - self.count(0);
        if missing > 0 && smallest.count() as u64 >= missing {
            due + SEAL_INTERVAL
        } else {
            due
        }
    }

    /// The size at which the next segment can be built.
    fn next_size(&self) -> u64 {
        let segments = self.count(0);
        segments.saturating_add(1).saturating_mul(SMALLEST)
    }

    /// How many segments of a level there are, sealed or not.
    fn count(&self, level: u8) -> u64 {
        let built = self
            .built
            .iter()
            .filter(|segment| segment.record().id.level == level);
        self.segments.sealed().levels.segments(level) + built.count() as u64
    }

    /// Builds the segments that `size` entries fill, unless a seal is due before.
    fn build_below(&mut self, size: u64) -> Result<(), LedgerError> {
        let started = Instant::now();
        while self.next_size() <= size
            && started.elapsed() < SEAL_INTERVAL
            && !self.publication.is_closed()
        {
            let segment = self.build_next()?;
            self.built.push(segment);
            self.merge_what_is_full()?;
        }
        Ok(())
    }

    fn build_next(&self) -> Result<Arc<StoredSegment>, LedgerError> {
        let number = self.count(0);
        let id = SegmentId { level: 0, number };
        let seqs = id.seqs();
        let Some(runs) = self.feed.take(&seqs) else {
            return self.segments.build(id);
        };
        let mut map = TermMap::default();
        for entry in runs.iter().flat_map(|run| run.within(&seqs)) {
            map.push_canonical(entry.record.kind, entry.all_parts());
        }
        build_in_memory(id, &map)
    }

    fn take_merged(&mut self) -> Result<(), LedgerError> {
        let merged = self.merges.take_done()?;
        if !merged.is_empty() {
            self.built.extend(merged);
            self.merge_what_is_full()?;
        }
        Ok(())
    }

    fn merge_what_is_full(&mut self) -> Result<(), LedgerError> {
        for level in 1..LEVELS {
            let level = u8::try_from(level).unwrap_or(u8::MAX);
            if self.unmerged(level) >= MAX_UNMERGED {
                // It takes longer than what it merges took to come.
                let merged = self.merges.wait(level)?;
                self.built.extend(merged);
            }
            if self.unmerged(level) < FAN_IN || self.merges.has(level) {
                continue;
            }
            let number = self.count(level);
            let id = SegmentId { level, number };
            let parts = id.parts().into_iter().map(|part| self.segment(part));
            let parts = parts.collect::<Result<Vec<_>, _>>()?;
            if level < FIRST_LARGE {
                let merged = self.segments.merge(id, &parts, &AtomicBool::new(false))?;
                self.built.push(merged);
            } else {
                self.merges.start(id, parts, &self.segments)?;
            }
        }
        Ok(())
    }

    /// How many segments of the level below are not merged into one of this level.
    fn unmerged(&self, level: u8) -> u64 {
        let merged = self.count(level).saturating_mul(FAN_IN);
        self.count(level - 1).saturating_sub(merged)
    }

    fn segment(&self, id: SegmentId) -> Result<Arc<StoredSegment>, LedgerError> {
        let built = self
            .built
            .iter()
            .find(|segment| segment.record().id == id)
            .cloned();
        match built {
            Some(built) => Ok(built),
            None => self.segments.sealed().segment(id).cloned(),
        }
    }

    /// Seals what was built into the log, and lets queries use it.
    fn seal(&mut self) -> Result<(), LedgerError> {
        if self.built.is_empty() {
            return Ok(());
        }
        let stored = self.segments.store(&self.built)?;
        let records: Vec<SegmentRecord> = stored.iter().map(|segment| *segment.record()).collect();
        let seal = v1::ledger_act::Act::Seal(self.segments.commitment(&records));
        let (origin, entropy) = (&self.origin, &*self.entropy);
        let mut seal = act::submission(origin, Kind::Seal, "ledger.seal", seal, entropy)?;
        seal.marks.push(Mark::Seq(SEAL.to_vec()));
        for record in &records {
            let key = segment_key(record.id).to_vec();
            seal.beside
                .push((Space::Segment, key, record.encode().to_vec()));
        }
        let sealed = self.queue.append_act(seal)?;
        self.built.clear();
        self.segments.advance(sealed.first_seq, stored)
    }
}
