//! The signer: signs consistent extensions of what it last signed, and nothing else.
//!
//! It folds the headers of every group that is durable in the store into the frontier of the last anchored checkpoint,
//! hashing them anew, and compares the root with the one that was stored. Then it signs, syncs the anchor, publishes, and
//! acknowledges. All groups that are durable by then share one checkpoint.
//!
//! It has a thread of its own, so that the sequencer can prepare the next group meanwhile. When nothing waits to be sealed,
//! the sequencer does its work instead: one client that waits for one answer is spared a change of threads.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender};
use std::sync::{Arc, Mutex};

use super::anchor::Anchor;
use super::error::LedgerError;
use super::feed::{Feed, Run};
use super::published::{Publication, Published};
use super::sequencer::{Group, Outcome};
use super::stop::Stop;
use super::submission::Appended;
use crate::entry::Digest;
use crate::merkle::{Frontier, leaf_hash};
use crate::note::{Checkpoint, SignerKey};
use crate::store::Slots;

pub(crate) struct Signer {
    pub(crate) origin: String,
    pub(crate) key: SignerKey,
    pub(crate) slots: Box<dyn Slots>,
    pub(crate) anchor: Anchor,
    pub(crate) publication: Arc<Publication>,
    pub(crate) feed: Arc<Feed>,
    pub(crate) stop: Arc<Stop>,
}

/// The signer, for whoever has a group to be signed.
pub(crate) struct Signing {
    signer: Mutex<Signer>,
    /// Groups on their way to the signer's thread, or with it.
    handed_over: AtomicUsize,
}

/// The signer has failed, and said why.
pub(crate) struct Failed;

impl Signing {
    pub(crate) fn new(signer: Signer) -> Self {
        Self {
            signer: Mutex::new(signer),
            handed_over: AtomicUsize::new(0),
        }
    }

    /// The signer's thread: works until the sequencer has gone or something fails.
    pub(crate) fn run(&self, groups: &Receiver<Group>) {
        while let Ok(first) = groups.recv() {
            let mut durable = vec![first];
            durable.extend(groups.try_iter());
            let count = durable.len();
            if self.sign(durable).is_err() {
                return;
            }
            self.handed_over.fetch_sub(count, Ordering::SeqCst);
        }
    }

    /// Hands a durable group to the signer's thread.
    pub(crate) fn hand_over(&self, group: Group, thread: &SyncSender<Group>) -> Result<(), Failed> {
        self.handed_over.fetch_add(1, Ordering::SeqCst);
        thread.send(group).map_err(|_| Failed)
    }

    /// Whether every group that was handed over is signed.
    pub(crate) fn is_idle(&self) -> bool {
        self.handed_over.load(Ordering::SeqCst) == 0
    }

    /// The last signed checkpoint as it is anchored; none after a panic.
    pub(crate) fn anchor(&self) -> Option<Anchor> {
        Some(self.signer.lock().ok()?.anchor.clone())
    }

    /// Signs and acknowledges durable groups, which follow those signed before.
    pub(crate) fn sign(&self, groups: Vec<Group>) -> Result<(), Failed> {
        // After a panic there is no telling what is anchored.
        let mut signer = self.signer.lock().map_err(|_| Failed)?;
        match signer.sign(&groups) {
            Ok(published) => {
                drop(signer);
                let outcomes = groups.into_iter().flat_map(|group| group.outcomes);
                outcomes.for_each(|outcome| outcome.acknowledge(&published));
                Ok(())
            }
            Err(error) => {
                signer.stop.because(error.to_string());
                Err(Failed)
            }
        }
    }
}

impl Signer {
    fn sign(&mut self, groups: &[Group]) -> Result<Arc<Published>, LedgerError> {
        let mut frontier = self.anchor.frontier.clone();
        for group in groups {
            group
                .headers
                .iter()
                .for_each(|header| frontier.push(leaf_hash(header)));
            if frontier.root() != group.head.root || frontier.size() != group.head.size {
                let what = "the headers of a group do not fold to the root that was stored with it";
                return Err(LedgerError::Stopped(what.into()));
            }
        }
        let Some(last) = groups
            .last()
            .filter(|_| frontier.size() > self.anchor.frontier.size())
        else {
            return Ok(self.publication.newest());
        };
        // Before it is published, so that the indexer finds what it is woken for.
        for outcome in groups.iter().flat_map(|group| &group.outcomes) {
            self.feed
                .push(Run::new(outcome.first_seq, &outcome.entries));
        }
        self.advance(frontier, last.head.recorded_at, last.head.chain)
    }

    /// Signs and anchors the tree of `frontier`.
    pub(crate) fn advance(
        &mut self,
        frontier: Frontier,
        recorded_at: u64,
        chain: Digest,
    ) -> Result<Arc<Published>, LedgerError> {
        let (anchor, published) = sign_next(
            &self.origin,
            &self.key,
            self.anchor.generation.saturating_add(1),
            frontier,
            recorded_at,
            chain,
        )?;
        anchor.write(&mut *self.slots)?;
        self.anchor = anchor;
        self.publication.publish(Arc::clone(&published));
        Ok(published)
    }
}

/// Makes the anchor of a tree, which is not durable yet.
pub(crate) fn sign_next(
    origin: &str,
    key: &SignerKey,
    generation: u64,
    frontier: Frontier,
    recorded_at: u64,
    chain: Digest,
) -> Result<(Anchor, Arc<Published>), LedgerError> {
    let checkpoint = Checkpoint::new(origin, frontier.size(), frontier.root())
        .map_err(|error| LedgerError::Stopped(error.to_string()))?;
    let note = checkpoint.sign(key);
    let published = Arc::new(Published {
        checkpoint,
        note: note.clone(),
    });
    let anchor = Anchor {
        generation,
        recorded_at,
        chain,
        frontier,
        checkpoint: note,
    };
    Ok((anchor, published))
}

impl Outcome {
    fn acknowledge(self, published: &Arc<Published>) {
        let mut envelopes: Vec<_> = self
            .entries
            .iter()
            .map(|entry| entry.envelope.clone())
            .collect();
        if envelopes
            .windows(2)
            .all(|pair| matches!(pair, [a, b] if a == b))
        {
            envelopes.truncate(1);
        }
        let numbered = (0..).zip(self.entries.iter());
        let redacted = numbered.flat_map(|(index, entry)| {
            let changed = entry.changed_parts();
            changed.map(move |(tag, bytes)| (index, tag, bytes))
        });
        let redacted = redacted.collect();
        let appended = Appended {
            first_seq: self.first_seq,
            recorded_at: self.recorded_at,
            previous: self.previous,
            envelopes,
            seeds: self
                .entries
                .iter()
                .map(|entry| entry.record.seed.0)
                .collect(),
            redacted,
            duplicates: self.duplicates,
            published: Arc::clone(published),
        };
        // A client that has gone needs no answer.
        let _ = self.reply.send(Ok(appended));
    }
}
