//! The indexer: follows the acknowledged entries, builds and merges segments, and seals them into the log.
//!
//! It has a thread of its own beside the commit path. A seal follows the work: one when the flow pauses, and at most one
//! every 100 ms while it does not.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::act;
use super::error::LedgerError;
use super::keys::segment_key;
use super::ports::Entropy;
use super::published::{Publication, Wake};
use super::queue::Queue;
use super::segment_objects::StoredSegment;
use super::segments::Segments;
use super::stop::Stop;
use crate::entry::genesis::INDEX_SPANS;
use crate::entry::{Kind, v1};
use crate::index::{LEVELS, SegmentId, SegmentRecord};
use crate::store::Space;

/// The least time between two seals while entries keep coming.
const SEAL_INTERVAL: Duration = Duration::from_millis(100);
/// Entries of the smallest segment.
const SMALLEST: u64 = INDEX_SPANS[0];

pub(crate) struct Indexer {
    pub(crate) origin: String,
    pub(crate) segments: Arc<Segments>,
    pub(crate) publication: Arc<Publication>,
    pub(crate) queue: Arc<Queue>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) stop: Arc<Stop>,
    /// Segments that are built and not sealed yet, in the order in which they were built.
    pub(crate) built: Vec<Arc<StoredSegment>>,
}

impl Indexer {
    /// Works until the ledger closes or something fails.
    pub(crate) fn run(mut self) {
        let mut next_seal = Instant::now();
        loop {
            let deadline = (!self.built.is_empty()).then_some(next_seal);
            let done = match self.publication.wait_for(self.next_size(), deadline) {
                Wake::Closed => return,
                Wake::Reached(size) => self.build_below(size),
                Wake::Late => Ok(()),
            };
            let sealed = done.and_then(|()| {
                if self.built.is_empty() || Instant::now() < next_seal {
                    return Ok(());
                }
                next_seal = Instant::now() + SEAL_INTERVAL;
                self.seal()
            });
            if let Err(error) = sealed {
                if !self.publication.is_closed() {
                    self.stop.because(format!("the search index: {error}"));
                }
                return;
            }
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

    /// Builds the segments of all levels that `size` entries fill, unless a seal is due before.
    fn build_below(&mut self, size: u64) -> Result<(), LedgerError> {
        let started = Instant::now();
        while self.next_size() <= size
            && started.elapsed() < SEAL_INTERVAL
            && !self.publication.is_closed()
        {
            let number = self.count(0);
            let segment = self.segments.build(SegmentId { level: 0, number })?;
            self.built.push(segment);
            self.merge_what_is_full()?;
        }
        Ok(())
    }

    fn merge_what_is_full(&mut self) -> Result<(), LedgerError> {
        for level in 1..LEVELS {
            let level = u8::try_from(level).unwrap_or(u8::MAX);
            let number = self.count(level);
            let id = SegmentId { level, number };
            let below = id.parts();
            let last = below.last().map_or(0, |part| part.number);
            if self.count(level - 1) <= last {
                return Ok(());
            }
            let parts = below
                .into_iter()
                .map(|part| self.segment(part))
                .collect::<Result<Vec<_>, _>>()?;
            let merged = self.segments.merge(id, &parts)?;
            self.built.push(merged);
        }
        Ok(())
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
        let records: Vec<SegmentRecord> =
            self.built.iter().map(|segment| *segment.record()).collect();
        let seal = v1::ledger_act::Act::Seal(self.segments.commitment(&records));
        let (origin, entropy) = (&self.origin, &*self.entropy);
        let mut seal = act::submission(origin, Kind::Seal, "ledger.seal", seal, entropy)?;
        for record in &records {
            let key = segment_key(record.id).to_vec();
            seal.beside
                .push((Space::Segment, key, record.encode().to_vec()));
        }
        let sealed = self.queue.append_act(seal)?;
        self.segments
            .advance(sealed.first_seq, std::mem::take(&mut self.built))
    }
}
