//! The sequencer, the commit path, recovery and reads.
//!
//! A handler [prepares](Ledger::prepare) a submission in parallel with others: salts, commitments, compression. The
//! sequencer puts it into an order and a synced batch, the signer signs and anchors, and only then does
//! [`append`](Ledger::append) return. `docs/architecture.md` describes the path and what a start does.

mod accuse_directory;
mod act;
mod anchor;
mod audit;
mod audit_acts;
mod audit_index;
mod backup;
mod backup_home;
mod backup_manifest;
mod basis;
mod count;
mod encrypted_key;
mod erase;
mod error;
mod feed;
mod growth;
mod head;
mod hold;
mod home;
mod ids;
mod indexer;
mod kept;
mod keys;
mod known;
mod merges;
mod meters;
mod open;
mod pack;
mod parallel;
mod ports;
mod published;
mod queue;
mod reader;
mod readiness;
mod rederive_directory;
mod restore;
mod search;
mod segment_objects;
mod segments;
mod self_audit;
mod sequencer;
mod show_segment;
mod signer;
mod stop;
mod submission;
mod tail;
mod tree;

use std::ops::Range;
use std::sync::mpsc;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use bytes::Bytes;
use tokio::sync::watch;

pub use audit::{DirectoryReport, audit_directory};
pub use backup::{BackupPlace, MAX_BACKUP_NAME, back_up_stopped};
pub use backup_manifest::{BackupFile, BackupManifest};
pub use basis::PageProof;
pub use count::{Count, CountPage};
pub use encrypted_key::{EncryptedKey, EncryptedKeyError, PassphraseCost};
pub use erase::{Chosen, ErasedPart, Erasure, ErasureOrder};
pub use error::{Damage, Existing, LedgerError, Placed, Refusal};
pub use growth::{Growth, growth};
pub use hold::PlacedHold;
pub use home::{Directory, Home};
pub use known::KnownCheckpoint;
pub use meters::{AppendCounts, DURATION_BOUNDS};
pub use open::init;
pub use parallel::in_parallel;
pub use ports::{Clock, Entropy, SystemClock, SystemEntropy};
pub use published::Published;
pub use reader::SealedEntry;
pub use readiness::Figures;
pub use rederive_directory::{IndexReport, rederive_directory};
pub use restore::{CheckedBackup, check_backup};
pub use search::{Cost, Page, Search};
pub use show_segment::{SegmentPage, SegmentQuestion};
pub use submission::{Appended, Submission};

use crate::entry::genesis::Genesis;
use crate::entry::{CheckedEvent, Header, Kind, MAX_BATCH_EVENTS, Seed, v1};
use crate::merkle::{self, Hash};
use crate::note::SignerKey;
use crate::store::{Direction, Store};
use feed::Feed;
use ids::Ids;
use indexer::Indexer;
use merges::Merges;
use meters::Meters;
use open::{Opened, prove_error};
use published::Publication;
use queue::Queue;
use reader::Reader;
use readiness::ClockGuard;
use segments::{Sealed, Segments};
use sequencer::Sequencer;
use signer::{Signer, Signing};
use stop::{Stop, StopOnPanic};
use tail::Tail;

/// Entries that may wait to be indexed.
const MAX_UNINDEXED: u64 = 65_536;
/// Groups that may be durable and wait for the signer.
const UNSIGNED_GROUPS: usize = 4;

/// How a ledger is opened.
pub struct Options {
    /// The signing key.
    pub key: SignerKey,
    /// The ledger's name, which its genesis must have.
    pub origin: String,
    /// Give up an anchor that is missing or damaged. The ledger seals that it did.
    pub adopt: bool,
    /// Checkpoints that somebody outside kept, each of which the store has to extend.
    pub known_checkpoints: Vec<KnownCheckpoint>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Gives random bytes.
    pub entropy: Arc<dyn Entropy>,
}

/// An open ledger.
pub struct Ledger {
    genesis: Genesis,
    store: Arc<dyn Store>,
    signing: Arc<Signing>,
    clock: Arc<ClockGuard>,
    meters: Meters,
    reader: Reader,
    segments: Arc<Segments>,
    tail: Tail,
    publication: Arc<Publication>,
    entropy: Arc<dyn Entropy>,
    queue: Arc<Queue>,
    /// Held while an order of an operator is carried out: one at a time.
    orders: Mutex<()>,
    stop: Arc<Stop>,
    indexing: Mutex<Option<JoinHandle<()>>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    _lock: Mutex<Box<dyn Send>>,
}

impl Ledger {
    /// Opens the ledger in `home`, after everything about it was found good.
    pub fn open(home: &dyn Home, options: Options) -> Result<Self, LedgerError> {
        let Options {
            key,
            origin,
            adopt,
            known_checkpoints,
            clock,
            entropy,
        } = options;
        let Opened {
            genesis,
            store,
            slots,
            head,
            anchor,
            tree,
            lock,
            adopted,
        } = open::open(home, &key, &origin, adopt, &known_checkpoints)?;
        let checkpoint = anchor.open(&origin, &key.verifier())?;
        let published = Published {
            checkpoint,
            note: anchor.checkpoint.clone(),
        };
        let publication = Arc::new(Publication::new(Arc::new(published)));
        let stop = Arc::new(Stop::default());
        let feed = Arc::new(Feed::default());
        let reader = Reader::new(Arc::clone(&store) as _, tree);
        // Before anything else is asked or sealed.
        erase::carry_out(&*store, &reader)?;
        let objects = home.objects()?;
        let segments = Arc::new(Segments::open(objects, reader.clone(), &*store)?);
        let clock = Arc::new(ClockGuard::new(clock, head.recorded_at));
        let sequencer = Sequencer {
            ids: Ids::load(&*store)?,
            store: Arc::clone(&store),
            reader: reader.clone(),
            head: head.clone(),
            tag_key: key.derive(head::TAG_KEY_CONTEXT),
            clock: Arc::clone(&clock),
            stop: Arc::clone(&stop),
        };
        let signer = Signer {
            origin,
            key,
            slots,
            anchor,
            publication: Arc::clone(&publication),
            feed: Arc::clone(&feed),
            stop: Arc::clone(&stop),
        };
        let (queue, waiting) = mpsc::channel();
        let queue = Arc::new(Queue::new(queue, Arc::clone(&stop)));
        let (groups, durable) = mpsc::sync_channel(UNSIGNED_GROUPS);
        let signing = Arc::new(Signing::new(signer));
        let (thread, sealing) = (Arc::clone(&signing), Arc::clone(&signing));
        let threads = vec![
            spawn("sequencer", &stop, move || {
                sequencer.run(&waiting, &sealing, &groups);
            })?,
            spawn("signer", &stop, move || thread.run(&durable))?,
        ];
        let indexer = Indexer {
            origin: genesis.origin().to_owned(),
            segments: Arc::clone(&segments),
            publication: Arc::clone(&publication),
            queue: Arc::clone(&queue),
            entropy: Arc::clone(&entropy),
            stop: Arc::clone(&stop),
            feed,
            built: Vec::new(),
            merges: Merges::default(),
        };
        let indexing = spawn("indexer", &stop, move || indexer.run())?;
        let ledger = Self {
            genesis,
            store,
            signing,
            clock,
            meters: Meters::default(),
            reader,
            segments,
            tail: Tail::default(),
            publication,
            entropy,
            queue,
            orders: Mutex::new(()),
            stop,
            indexing: Mutex::new(Some(indexing)),
            threads: Mutex::new(threads),
            _lock: Mutex::new(lock),
        };
        ledger.check_holds()?;
        if let Some(found) = adopted {
            ledger.seal_adoption(head.size, head.root, found)?;
        }
        Ok(ledger)
    }

    /// What the ledger is.
    pub fn genesis(&self) -> &Genesis {
        &self.genesis
    }

    /// Computes everything about `events` that does not depend on the order.
    ///
    /// The envelope is what the ledger knows about their sender; an actor's signature is added to it where there is one.
    pub fn prepare(
        &self,
        events: Vec<CheckedEvent>,
        envelope: &v1::Envelope,
    ) -> Result<Submission, LedgerError> {
        if events.len() > MAX_BATCH_EVENTS {
            let what = format!(
                "a batch has at most {MAX_BATCH_EVENTS} events, not {}",
                events.len()
            );
            return Err(LedgerError::BadRange(what));
        }
        Submission::prepare(events, envelope, self.genesis.origin(), &*self.entropy)
    }

    /// Appends a submission, all or nothing. When this returns, it is durable and covered by a signed checkpoint.
    pub async fn append(&self, submission: Submission) -> Result<Appended, LedgerError> {
        let append = async {
            self.wait_for_index().await?;
            let outcome = self.queue.try_submit(submission)?;
            outcome.await.unwrap_or_else(|_| Err(self.queue.stopped()))
        };
        self.meters.count(append).await
    }

    /// Like [`append`](Self::append), but waits for room in the queue. For senders who send no more until it returns.
    pub async fn append_when_there_is_room(
        &self,
        submission: Submission,
    ) -> Result<Appended, LedgerError> {
        let append = async {
            self.wait_for_index().await?;
            let outcome = self.queue.submit(submission).await?;
            outcome.await.unwrap_or_else(|_| Err(self.queue.stopped()))
        };
        self.meters.count(append).await
    }

    /// Appends submissions in this order, each all or nothing, those that fit in one commit. Waits for room in the queue.
    /// When one is refused, those after it may be in the ledger.
    pub async fn append_in_order(&self, submissions: Vec<Submission>) -> Result<(), LedgerError> {
        self.wait_for_index().await?;
        let mut outcomes = Vec::with_capacity(submissions.len());
        for submission in submissions {
            outcomes.push(self.queue.submit(submission).await?);
        }
        for outcome in outcomes {
            outcome
                .await
                .unwrap_or_else(|_| Err(self.queue.stopped()))?;
        }
        Ok(())
    }

    /// Waits while too much is not indexed: a start reads all of that anew, and a question does too.
    async fn wait_for_index(&self) -> Result<(), LedgerError> {
        let near = |sealed: &Arc<Sealed>| {
            let unindexed = self
                .published()
                .size()
                .saturating_sub(sealed.levels.covered());
            unindexed < MAX_UNINDEXED
        };
        if near(&self.segments.sealed()) {
            return Ok(());
        }
        let mut seals = self.segments.subscribe();
        tokio::select! {
            caught_up = seals.wait_for(near) => caught_up.map(drop).map_err(|_| self.queue.stopped()),
            _ = self.stopped_because() => Err(self.queue.stopped()),
        }
    }

    /// The newest checkpoint.
    pub fn published(&self) -> Arc<Published> {
        self.publication.newest()
    }

    /// Sizes of checkpoints as they are published.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.publication.subscribe()
    }

    /// The entry `seq`, below the newest checkpoint.
    pub fn entry(&self, seq: u64) -> Result<SealedEntry, LedgerError> {
        check_below_end("seq", seq, self.published().size())?;
        self.reader.entry(seq)
    }

    /// Some entries of `range`, at least one unless it is empty, from the end that `direction` says.
    pub fn next_entries(
        &self,
        range: Range<u64>,
        direction: Direction,
    ) -> Result<Vec<SealedEntry>, LedgerError> {
        if let Some(last) = range.end.checked_sub(1).filter(|_| !range.is_empty()) {
            check_below_end("seq", last, self.published().size())?;
        }
        self.reader.next_entries(range, direction)
    }

    /// What a receipt for the entry `seq` needs: its header, its envelope and its seed.
    pub fn receipt_material(&self, seq: u64) -> Result<(Header, Bytes, Seed), LedgerError> {
        check_below_end("seq", seq, self.published().size())?;
        self.reader.receipt_material(seq)
    }

    /// The first seq below `size` whose entry was recorded at `time` (nanoseconds since 1970, UTC) or later; `size` when
    /// there is none.
    pub fn first_recorded_at(&self, time: u64, size: u64) -> Result<u64, LedgerError> {
        self.reader
            .first_recorded_at(time, size.min(self.published().size()))
    }

    /// Proves that entry `seq` is in the tree of `size` entries.
    pub fn prove_inclusion(&self, seq: u64, size: u64) -> Result<Vec<Hash>, LedgerError> {
        self.check_size(size)?;
        check_below_end("seq", seq, size)?;
        merkle::prove_inclusion(self.reader.tree(), seq, size).map_err(|e| prove_error(e, size))
    }

    /// Proves that the tree of `old` entries is the beginning of the tree of `new` entries.
    pub fn prove_consistency(&self, old: u64, new: u64) -> Result<Vec<Hash>, LedgerError> {
        self.check_size(new)?;
        if old == 0 || old > new {
            let what = format!("the old size {old} is not between 1 and the new size {new}");
            return Err(LedgerError::BadRange(what));
        }
        merkle::prove_consistency(self.reader.tree(), old, new).map_err(|e| prove_error(e, new))
    }

    /// Proves that the entries of `range` are, in this order, in the tree of `size` entries.
    pub fn prove_range(&self, range: Range<u64>, size: u64) -> Result<Vec<Hash>, LedgerError> {
        self.check_size(size)?;
        merkle::prove_range(self.reader.tree(), range.start, range.end, size)
            .map_err(|e| prove_error(e, size))
    }

    /// Why nothing is acknowledged any more; none while all is well.
    pub fn stop_reason(&self) -> Option<String> {
        self.stop.reason()
    }

    /// Returns once the ledger has stopped, with the reason. The process should end then.
    pub async fn stopped_because(&self) -> String {
        let mut stopped = self.stop.subscribe();
        match stopped.wait_for(Option::is_some).await {
            Ok(reason) => reason.clone().unwrap_or_default(),
            Err(_) => String::new(),
        }
    }

    /// Seals what waits, and ends. Later appends are refused.
    pub fn close(&self) {
        // First the indexer, which appends seals.
        self.publication.close();
        let indexing = self
            .indexing
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        self.queue.close();
        let threads =
            std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in indexing.into_iter().chain(threads) {
            // What a panic means has been said by its guard.
            let _ = thread.join();
        }
    }

    fn seal_adoption(&self, size: u64, root: Hash, found: String) -> Result<(), LedgerError> {
        let adoption = v1::ledger_act::Act::Adoption(v1::Adoption {
            size,
            root: root.to_vec(),
            found,
        });
        let origin = self.genesis.origin();
        let act = act::submission(origin, Kind::Act, "ledger.adopt", adoption, &*self.entropy)?;
        // In a thread of its own, since nobody may block in one that runs tasks, as the caller's may be.
        let queue = &self.queue;
        let answer = std::thread::scope(|scope| scope.spawn(|| queue.append_act(act)).join());
        answer.unwrap_or_else(|_| Err(queue.stopped())).map(drop)
    }

    fn check_size(&self, size: u64) -> Result<(), LedgerError> {
        let newest = self.published().size();
        if size > newest {
            return Err(LedgerError::BeyondEnd {
                what: "tree size",
                asked: size,
                size: newest,
            });
        }
        Ok(())
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        self.close();
    }
}

fn check_below_end(what: &'static str, asked: u64, size: u64) -> Result<(), LedgerError> {
    if asked < size {
        Ok(())
    } else {
        Err(LedgerError::BeyondEnd { what, asked, size })
    }
}

fn spawn(
    name: &str,
    stop: &Arc<Stop>,
    work: impl FnOnce() + Send + 'static,
) -> Result<JoinHandle<()>, LedgerError> {
    let guard = StopOnPanic(Arc::clone(stop));
    let guarded = move || {
        let _guard = guard;
        work();
    };
    std::thread::Builder::new()
        .name(name.into())
        .spawn(guarded)
        .map_err(|error| LedgerError::Stopped(format!("no thread: {error}")))
}
