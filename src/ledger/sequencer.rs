//! The one writer that owns the order.
//!
//! It takes all that waits as one group, looks up idempotency ids, assigns seq and time, computes chain, leaves and root,
//! and writes one atomic batch with one sync. Then the group goes to the signer, and the next one, if there is one, is prepared
//! while the anchor syncs. There are no timers: a group is whatever arrived while the disk was busy.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender};
use std::time::{Duration, Instant};

use tokio::sync::OwnedSemaphorePermit;

use super::error::LedgerError;
use super::head::Head;
use super::ids::Ids;
use super::keys::{HEAD, seq_key, tile_key, tile_value};
use super::pack::{EncodedParts, Parts, Record};
use super::reader::Reader;
use super::readiness::{ClockGuard, check_room};
use super::signer::Signing;
use super::stop::Stop;
use super::submission::{Mark, Prepared, PreparedParts, Reply, Submission};
use crate::entry::header::chain_hash;
use crate::entry::{Digest, Header};
use crate::merkle::leaf_hash;
use crate::store::{Batch, Space, Store};

/// A group is closed at this many bytes, so that one commit stays short.
const GROUP_BYTES: usize = 8 * 1024 * 1024;
/// A commit that took longer is told of in the log.
const SLOW_COMMIT: Duration = Duration::from_secs(1);

/// A submission on its way to the sequencer.
pub(crate) struct Waiting {
    pub(crate) submission: Submission,
    pub(crate) reply: Reply,
    /// Its share of the queue, given back once it is answered.
    pub(crate) permit: OwnedSemaphorePermit,
}

/// A group that is durable in the store, and not yet signed.
pub(crate) struct Group {
    /// The encoded headers of its new entries.
    pub(crate) headers: Vec<[u8; Header::LEN]>,
    /// The ledger after it.
    pub(crate) head: Head,
    pub(crate) outcomes: Vec<Outcome>,
}

/// What becomes of a submission once its group is signed.
pub(crate) struct Outcome {
    pub(crate) first_seq: u64,
    pub(crate) recorded_at: u64,
    pub(crate) previous: Digest,
    pub(crate) entries: Arc<[Prepared]>,
    pub(crate) duplicates: Vec<(u32, u64)>,
    pub(crate) reply: Reply,
    pub(crate) _permit: OwnedSemaphorePermit,
}

/// The ledger has stopped, and says why.
struct Final;

impl Final {
    /// Says so before those who wait are let go, or they would learn that it stopped and not why.
    fn because(stop: &Stop, error: &LedgerError) -> Self {
        stop.because(format!("the store could not be read or written: {error}"));
        Self
    }
}

/// A submission whose ids have been resolved.
struct Accepted {
    entries: Vec<Prepared>,
    parts: PreparedParts,
    marks: Vec<Mark>,
    duplicates: Vec<(u32, u64)>,
    reply: Reply,
    permit: OwnedSemaphorePermit,
}

pub(crate) struct Sequencer {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) reader: Reader,
    pub(crate) ids: Ids,
    pub(crate) head: Head,
    pub(crate) tag_key: Digest,
    pub(crate) clock: Arc<ClockGuard>,
    pub(crate) stop: Arc<Stop>,
}

impl Sequencer {
    /// Works until the queue is closed, or something fails.
    pub(crate) fn run(
        mut self,
        queue: &Receiver<Waiting>,
        signing: &Signing,
        signer: &SyncSender<Group>,
    ) {
        let mut next = None;
        while let Some(first) = next.take().or_else(|| queue.recv().ok()) {
            let mut bytes = first.submission.bytes;
            let mut waiting = vec![first];
            while bytes < GROUP_BYTES
                && let Ok(next) = queue.try_recv()
            {
                bytes += next.submission.bytes;
                waiting.push(next);
            }
            let group = match self.seal(waiting) {
                Ok(group) if group.outcomes.is_empty() => continue,
                Ok(group) => group,
                Err(Final) => return,
            };
            next = queue.try_recv().ok();
            let done = if next.is_none() && signing.is_idle() {
                signing.sign(vec![group])
            } else {
                signing.hand_over(group, signer)
            };
            if done.is_err() {
                return;
            }
        }
        // A store that was closed in peace lies in checked tables rather than in a log that is read again at every start.
        // Should it fail, the log is still there.
        let _ = self.store.flush();
    }

    /// Seals all that waits. An error is final: what the store holds is then not known.
    fn seal(&mut self, waiting: Vec<Waiting>) -> Result<Group, Final> {
        let recorded_at = match check_room(&*self.store).and_then(|()| self.clock.read()) {
            Ok(recorded_at) => recorded_at,
            Err(error) => {
                refuse_all(waiting, &error);
                return Ok(self.group(Vec::new(), Vec::new()));
            }
        };
        let mut batch = Batch::new();
        let accepted = self.accept(waiting, &mut batch)?;
        let (headers, outcomes, packs) = self.assign(accepted, recorded_at, &mut batch);
        if headers.is_empty() {
            // A new submitter's number is remembered, so it has to be stored, even if nothing was sealed for it.
            if !batch.is_empty() {
                self.commit(batch)?;
            }
            return Ok(self.group(headers, outcomes));
        }
        let (root, tiles) = self
            .reader
            .tree()
            .append(headers.iter().map(|header| leaf_hash(header)));
        for tile in tiles {
            let key = tile_key(tile.level, tile.index).to_vec();
            batch.put(Space::Tile, key, tile_value(&tile.hashes));
        }
        self.head.root = root;
        self.head.recorded_at = recorded_at;
        put_packs(&mut batch, packs, &outcomes, &headers, &self.head);
        batch.put(Space::Meta, HEAD, self.head.encode(&self.tag_key));
        self.commit(batch)?;
        Ok(self.group(headers, outcomes))
    }

    fn commit(&self, batch: Batch) -> Result<(), Final> {
        let (started, bytes) = (Instant::now(), batch.bytes());
        self.store
            .commit(batch)
            .map_err(|error| Final::because(&self.stop, &error.into()))?;
        let took = started.elapsed();
        if took > SLOW_COMMIT {
            let (millis, size) = (took.as_millis(), self.head.size);
            tracing::warn!(millis, bytes, size, "a commit was slow");
        }
        Ok(())
    }

    fn group(&self, headers: Vec<[u8; Header::LEN]>, outcomes: Vec<Outcome>) -> Group {
        Group {
            headers,
            head: self.head.clone(),
            outcomes,
        }
    }

    /// Resolves idempotency ids; answers those submissions that cannot be accepted.
    fn accept(&mut self, waiting: Vec<Waiting>, batch: &mut Batch) -> Result<Vec<Accepted>, Final> {
        let submissions: Vec<&Submission> = waiting.iter().map(|w| &w.submission).collect();
        let resolutions = self
            .ids
            .resolve(
                &*self.store,
                &self.reader,
                &submissions,
                self.head.size,
                batch,
            )
            .map_err(|error| Final::because(&self.stop, &error))?;
        let mut accepted = Vec::with_capacity(waiting.len());
        for (
            Waiting {
                submission,
                reply,
                permit,
            },
            resolution,
        ) in waiting.into_iter().zip(resolutions)
        {
            let duplicates = match resolution {
                Ok(duplicates) => duplicates,
                Err(error) => {
                    // A client that has gone needs no answer.
                    let _ = reply.send(Err(error));
                    continue;
                }
            };
            let Submission {
                mut entries,
                mut parts,
                beside,
                marks,
                ..
            } = submission;
            for (space, key, value) in beside {
                batch.put(space, key, value);
            }
            if !duplicates.is_empty() {
                let mut index = 0;
                entries.retain(|_| {
                    index += 1;
                    duplicates
                        .binary_search_by_key(&(index - 1), |(i, _)| *i)
                        .is_err()
                });
                parts = PreparedParts::of(&entries);
            }
            accepted.push(Accepted {
                entries,
                parts,
                marks,
                duplicates,
                reply,
                permit,
            });
        }
        Ok(accepted)
    }

    /// Gives every new entry its place in the order.
    fn assign(
        &mut self,
        accepted: Vec<Accepted>,
        recorded_at: u64,
        batch: &mut Batch,
    ) -> (Vec<[u8; Header::LEN]>, Vec<Outcome>, Vec<EncodedParts>) {
        let mut headers = Vec::new();
        let mut outcomes = Vec::with_capacity(accepted.len());
        let mut packs = Packs::default();
        for Accepted {
            entries,
            parts,
            marks,
            duplicates,
            reply,
            permit,
        } in accepted
        {
            packs.add(parts);
            let (first_seq, previous) = (self.head.size, self.head.chain);
            for mark in marks {
                match mark {
                    Mark::Seq(key) => {
                        batch.put(Space::Meta, key, first_seq.to_be_bytes().to_vec());
                    }
                    Mark::Remove(key) => batch.delete(Space::Meta, key),
                }
            }
            for entry in &entries {
                let header = Header {
                    kind: entry.record.kind,
                    actor_signature: entry.record.actor_signature,
                    seq: self.head.size,
                    recorded_at,
                    body_hash: entry.record.body_hash,
                    prev: self.head.chain,
                }
                .encode();
                self.head.chain = chain_hash(&header);
                self.head.size += 1;
                headers.push(header);
            }
            outcomes.push(Outcome {
                first_seq,
                recorded_at,
                previous,
                entries: entries.into(),
                duplicates,
                reply,
                _permit: permit,
            });
        }
        (headers, outcomes, packs.finish())
    }
}

/// Adds the packs of a group's entries to `batch`.
fn put_packs(
    batch: &mut Batch,
    packs: Vec<EncodedParts>,
    outcomes: &[Outcome],
    headers: &[[u8; Header::LEN]],
    head: &Head,
) {
    let records: Vec<&Record> = outcomes
        .iter()
        .flat_map(|outcome| &*outcome.entries)
        .map(|entry| &entry.record)
        .collect();
    let (mut records, mut headers) = (records.as_slice(), headers);
    for pack in packs {
        let first_seq = head.size - records.len() as u64;
        let (of_pack, records_left) = records.split_at(pack.entries.min(records.len()));
        let (headers_of_pack, headers_left) = headers.split_at(of_pack.len());
        (records, headers) = (records_left, headers_left);
        // A header ends with the chain hash before its entry.
        let prev = headers_of_pack
            .first()
            .and_then(|header| header.last_chunk());
        let key = seq_key(first_seq).to_vec();
        let (entries, erasable) =
            pack.into_values(head.recorded_at, prev.unwrap_or(&head.chain), of_pack);
        batch.put(Space::Entry, key.clone(), entries);
        if let Some(erasable) = erasable {
            batch.put(Space::Detail, key, erasable);
        }
    }
}

/// Puts submissions into packs, small ones together.
#[derive(Default)]
struct Packs {
    closed: Vec<EncodedParts>,
    open: Parts,
}

impl Packs {
    fn add(&mut self, parts: PreparedParts) {
        match parts {
            PreparedParts::Loose(parts) => {
                if !self.open.has_room_for(&parts) {
                    self.close();
                }
                self.open.append(&parts);
            }
            PreparedParts::Packed(packs) => {
                self.close();
                self.closed.extend(packs);
            }
        }
    }

    fn close(&mut self) {
        if !self.open.is_empty() {
            self.closed.push(std::mem::take(&mut self.open).leave_raw());
        }
    }

    fn finish(mut self) -> Vec<EncodedParts> {
        self.close();
        self.closed
    }
}

fn refuse_all(waiting: Vec<Waiting>, error: &LedgerError) {
    for Waiting { reply, .. } in waiting {
        let same = match error {
            LedgerError::Full {
                free_bytes,
                reserve_bytes,
            } => LedgerError::Full {
                free_bytes: *free_bytes,
                reserve_bytes: *reserve_bytes,
            },
            LedgerError::ClockJump { seconds } => LedgerError::ClockJump { seconds: *seconds },
            other => LedgerError::Stopped(other.to_string()),
        };
        // A client that has gone needs no answer.
        let _ = reply.send(Err(same));
    }
}
