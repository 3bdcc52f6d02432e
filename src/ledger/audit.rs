//! The audit of a stopped ledger's directory: everything in it, entries and what is derived from them.
//!
//! It opens nothing for writing, since that would repair, and believes nothing that it can compute: it hashes every part,
//! folds every header, and compares tiles, head, idempotency ids and anchor with what comes out.

use bytes::Bytes;
use prost::Message;

use super::anchor::Anchor;
use super::audit_acts::Acts;
use super::audit_index;
use super::error::{Damage, LedgerError, Refusal};
use super::head::Head;
use super::home::Home;
use super::ids::Ids;
use super::keys::{
    ERASURE, GENESIS, HEAD, HOLD_PREFIX, SEAL, SUBMITTER_PREFIX, id_key, tile_key, tile_value,
};
use super::open::read_genesis;
use super::pack::{EncodedEntries, Pack};
use super::parallel::in_parallel;
use super::reader::{body_of, erasable_parts, packs_from};
use crate::entry::body::Body;
use crate::entry::genesis::Genesis;
use crate::entry::{Header, Tag, v1};
use crate::merkle::{Edge, FullTile};
use crate::note::VerifierKey;
use crate::store::{Direction, KeyRange, Read, Space, StoreError};
use crate::verify::{
    Audit, AuditReport, Check, CheckedEntry, Finding, SecondLook, Verdict, check_entry,
};

/// Packs that are checked together, by all processors.
const PACKS_AT_ONCE: usize = 64;

/// What the audit of a directory came to.
#[derive(Debug, Clone, PartialEq)]
pub struct DirectoryReport {
    /// The verdict over everything in the directory.
    pub verdict: Verdict,
    /// The ledger's name, as far as it could be read.
    pub origin: Option<String>,
    /// The audit of the entries below the anchored checkpoint, as far as it got.
    pub audit: Option<AuditReport>,
    /// Entries found good beyond the anchored checkpoint: attempted, and never acknowledged.
    pub unacknowledged: u64,
}

/// Audits the ledger in `home`, which no process may have open.
///
/// `progress` is told how many entries are done, and how many the head says there are. An error means that nothing could
/// be checked: the directory is in use, cannot be read, or holds no ledger.
pub fn audit_directory(
    home: &dyn Home,
    pinned: Option<&VerifierKey>,
    minimum: Option<&str>,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<DirectoryReport, LedgerError> {
    let _lock = home.lock()?;
    let mut report = DirectoryReport {
        verdict: Verdict::Ok,
        origin: None,
        audit: None,
        unacknowledged: 0,
    };
    match audit(home, pinned, minimum, progress, &mut report) {
        Ok(()) => {}
        Err(Problem::Found(finding)) => report.verdict = Verdict::Tampered(finding),
        Err(Problem::NotDone(error)) => return Err(error),
    }
    Ok(report)
}

/// Why an audit ends early.
pub(super) enum Problem {
    /// Something is wrong.
    Found(Finding),
    /// Nothing can be said.
    NotDone(LedgerError),
}

impl From<LedgerError> for Problem {
    fn from(error: LedgerError) -> Self {
        match error {
            LedgerError::Damaged(Damage { seq, what }) => Self::Found(Finding {
                seq,
                ..Finding::of(Check::Store, "what was sealed", what)
            }),
            LedgerError::Store(error) => error.into(),
            LedgerError::Refused(refusal @ Refusal::AnchorDamaged(_)) => Self::Found(Finding::of(
                Check::Anchor,
                "a signed checkpoint",
                refusal.to_string(),
            )),
            other => Self::NotDone(other),
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Damaged { .. } => Self::Found(Finding::of(
                Check::Store,
                "what was sealed",
                error.to_string(),
            )),
            other => Self::NotDone(other.into()),
        }
    }
}

impl From<Finding> for Problem {
    fn from(finding: Finding) -> Self {
        Self::Found(finding)
    }
}

fn audit(
    home: &dyn Home,
    pinned: Option<&VerifierKey>,
    minimum: Option<&str>,
    progress: &mut dyn FnMut(u64, u64),
    report: &mut DirectoryReport,
) -> Result<(), Problem> {
    let anchor = read_anchor(home)?;
    let store = match (home.read_store(), &anchor) {
        (Err(StoreError::Missing { .. }), Some(anchor)) => {
            let expected = format!("{} entries", anchor.frontier.size());
            return Err(Finding::at(0, Check::Store, expected, "no store").into());
        }
        (Err(StoreError::Missing { .. }), None) => {
            return Err(LedgerError::from(Refusal::NotInitialised(home.name())).into());
        }
        (store, _) => store?,
    };
    let genesis = read_genesis(&*store)?;
    report.origin = Some(genesis.origin().to_string());
    let Some(anchor) = anchor else {
        let expected = "the last signed checkpoint";
        return Err(Finding::of(Check::Anchor, expected, "no anchor").into());
    };
    let head = read_head(&*store)?;
    let mut walk = Walk {
        store: &*store,
        genesis: &genesis,
        audit: Audit::new(&genesis, pinned, minimum),
        signed: None,
        anchored: anchor.frontier.size(),
        edge: Edge::new(),
        ids: Ids::load(&*store)?,
        ids_seen: 0,
        erasable_seen: 0,
        seal: None,
        acts: Acts::default(),
    };
    walk.pass_anchor();
    walk.entries(&mut |done| progress(done, head.size))?;
    walk.check_derived(&head)?;
    walk.acts.check(&*store)?;
    let look = walk.look_again()?;
    let doubt = audit_index::check(
        &*store,
        &*home.read_objects()?,
        &genesis,
        walk.seal.as_ref(),
    )?;
    report.unacknowledged = walk.audit.size().saturating_sub(walk.anchored);
    let mut signed = walk.signed.take().unwrap_or_else(|| walk.audit.clone());
    if let Some(look) = look {
        signed.settle(&look, None);
    }
    check_anchor(&anchor, &signed)?;
    let audit = signed.finish(&anchor.checkpoint);
    let doubts = doubt.into_iter().collect();
    report.verdict = audit.verdict.clone().and(Verdict::of_doubts(doubts));
    report.audit = Some(audit);
    Ok(())
}

fn read_anchor(home: &dyn Home) -> Result<Option<Anchor>, Problem> {
    match home.open_slots() {
        Ok(slots) => Ok(Some(Anchor::read(&*slots)?)),
        Err(StoreError::Missing { .. }) => Ok(None),
        Err(StoreError::Damaged { what, .. }) => {
            Err(Finding::of(Check::Anchor, "two slots of 4,096 bytes", what).into())
        }
        Err(error) => Err(error.into()),
    }
}

fn read_head(store: &dyn Read) -> Result<Head, Problem> {
    let encoded = store.get(Space::Meta, HEAD)?;
    let missing = || Finding::of(Check::Head, "a head", "none");
    Ok(Head::decode(&encoded.ok_or_else(missing)?)?)
}

/// The anchor also carries the frontier and the chain from which a start goes on.
fn check_anchor(anchor: &Anchor, signed: &Audit) -> Result<(), Finding> {
    if signed.size() != anchor.frontier.size() {
        // The size is what the checkpoint is about, and is found wrong there.
        return Ok(());
    }
    if signed.frontier() != &anchor.frontier || signed.chain_hash() != anchor.chain {
        let expected = "the frontier and the chain hash of its checkpoint";
        return Err(Finding::of(Check::Anchor, expected, "others"));
    }
    Ok(())
}

/// A pack with the parts why and detail of its entries.
type WholePack = (Pack, EncodedEntries);

/// A walk through all entries, in order.
struct Walk<'a> {
    store: &'a dyn Read,
    genesis: &'a Genesis,
    audit: Audit,
    /// The audit as it was at the anchored size.
    signed: Option<Audit>,
    anchored: u64,
    edge: Edge,
    ids: Ids,
    ids_seen: u64,
    erasable_seen: u64,
    /// The newest seal so far, with its seq.
    seal: Option<(u64, v1::Seal)>,
    /// What operators ordered so far.
    acts: Acts,
}

/// An entry of a pack, checked as far as it can be by itself.
struct Checked {
    entry: CheckedEntry,
    id: Option<Vec<u8>>,
}

impl Walk<'_> {
    fn entries(&mut self, progress: &mut dyn FnMut(u64)) -> Result<(), Problem> {
        let mut scan = self
            .store
            .scan(Space::Entry, KeyRange::all(), Direction::Forward);
        loop {
            let mut packs = Vec::with_capacity(PACKS_AT_ONCE);
            let mut next = self.audit.size();
            let mut failure = None;
            while packs.len() < PACKS_AT_ONCE
                && let Some(pair) = scan.next()
            {
                match self.read_pack(pair, next) {
                    Ok((pack, erasable)) => {
                        next = pack.end_seq();
                        packs.push((pack, erasable));
                    }
                    Err(problem) => {
                        failure = Some(at_entry(problem, next));
                        break;
                    }
                }
            }
            if packs.is_empty() && failure.is_none() {
                return Ok(());
            }
            self.take(&packs)?;
            progress(self.audit.size());
            if let Some(problem) = failure {
                return Err(problem);
            }
        }
    }

    fn read_pack(
        &mut self,
        pair: Result<(Bytes, Bytes), StoreError>,
        next: u64,
    ) -> Result<WholePack, Problem> {
        let (key, value) = pair?;
        let first_seq = super::keys::key_seq(&key);
        if first_seq != Some(next) {
            let found = first_seq.map_or_else(|| "another key".into(), |seq| format!("seq {seq}"));
            return Err(Finding::at(next, Check::Seq, format!("seq {next}"), found).into());
        }
        let pack = Pack::decode(next, &value)?;
        let erasable = erasable_parts(self.store, &pack)?;
        self.erasable_seen += u64::from(erasable.is_some());
        Ok((pack, erasable.unwrap_or_default()))
    }

    /// Checks packs on all processors, and folds their entries in order.
    fn take(&mut self, packs: &[WholePack]) -> Result<(), Problem> {
        for (pack, erasable) in packs {
            self.acts.note(pack, erasable)?;
        }
        let (origin, ids) = (self.genesis.origin(), &self.ids);
        let checked = in_parallel(packs, |packs| check_packs(origin, ids, packs));
        let mut ids = Vec::new();
        let mut tiles = Vec::new();
        for checked in checked {
            let Checked { entry, id } = checked?;
            self.audit.fold(&entry)?;
            self.edge.push(entry.leaf_hash(), &mut tiles);
            self.pass_anchor();
            if let Some(seal) = entry.seal() {
                self.seal = Some((entry.header().seq, seal.clone()));
            }
            self.acts.take(&entry);
            ids.extend(id.map(|id| (id, entry.header().seq)));
        }
        self.check_tiles(&tiles)?;
        self.check_ids(ids)
    }

    /// Goes through the entries once more where that takes it to hold erasures against holds.
    fn look_again(&self) -> Result<Option<SecondLook>, Problem> {
        let Some(mut look) = self.audit.second_look() else {
            return Ok(None);
        };
        let mut packs = packs_from(self.store, 0)?;
        while look.size() < look.end()
            && let Some(pack) = packs.next()
        {
            let pack = pack?;
            let erasable = erasable_parts(self.store, &pack)?.unwrap_or_default();
            for (index, header) in pack.headers().enumerate() {
                let body = look.needs_parts().then(|| body_of(&pack, &erasable, index));
                look.push(&header, body.transpose()?.as_ref())?;
            }
        }
        Ok(Some(look))
    }

    fn pass_anchor(&mut self) {
        if self.audit.size() == self.anchored {
            self.signed = Some(self.audit.clone());
        }
    }

    fn check_tiles(&self, tiles: &[FullTile]) -> Result<(), Problem> {
        for tile in tiles {
            let stored = self
                .store
                .get(Space::Tile, &tile_key(tile.level, tile.index))?;
            if stored.as_deref() != Some(&tile_value(&tile.hashes)) {
                let first = tile.index.checked_shl(8 * (u32::from(tile.level) + 1));
                let expected = format!("tile {} of level {}", tile.index, tile.level);
                let found = if stored.is_some() { "another" } else { "none" };
                return Err(Finding {
                    seq: first,
                    ..Finding::of(Check::Tile, expected, found)
                }
                .into());
            }
        }
        Ok(())
    }

    fn check_ids(&mut self, mut ids: Vec<(Vec<u8>, u64)>) -> Result<(), Problem> {
        ids.sort_unstable();
        let keys: Vec<&[u8]> = ids.iter().map(|(key, _)| key.as_slice()).collect();
        for ((_, seq), stored) in ids.iter().zip(self.store.get_many(Space::Id, &keys)?) {
            if stored.as_deref() != Some(seq.to_be_bytes().as_slice()) {
                let expected = "its idempotency id to stand for it";
                return Err(
                    Finding::at(*seq, Check::IdempotencyId, expected, "that it does not").into(),
                );
            }
        }
        self.ids_seen += ids.len() as u64;
        Ok(())
    }

    /// Checks that there is nothing else in the store.
    fn check_derived(&self, head: &Head) -> Result<(), Problem> {
        let audit = &self.audit;
        if head.size != audit.size() {
            let expected = format!("{} entries", head.size);
            let first = head.size.min(audit.size());
            return Err(Finding::at(first, Check::Head, expected, audit.size().to_string()).into());
        }
        let same = head.chain == audit.chain_hash()
            && head.root == audit.frontier().root()
            && head.recorded_at == audit.recorded_at();
        if !same {
            return Err(
                Finding::of(Check::Head, "what the entries come to", "another head").into(),
            );
        }
        let tiles = (0..8)
            .map(|level| crate::merkle::Tile::full_tiles(level, head.size))
            .sum();
        let marks = u64::from(self.seal.is_some()) + self.acts.marks(self.store)?;
        let meta = 2 + self.ids.submitters() as u64 + marks;
        self.expect_count(Space::Tile, tiles, Check::Tile)?;
        self.expect_count(Space::Id, self.ids_seen, Check::IdempotencyId)?;
        self.expect_count(Space::Detail, self.erasable_seen, Check::Store)?;
        self.expect_count(Space::Meta, meta, Check::Store)?;
        self.check_meta_keys()
    }

    fn expect_count(&self, space: Space, expected: u64, check: Check) -> Result<(), Problem> {
        let mut found = 0u64;
        for pair in self.store.scan(space, KeyRange::all(), Direction::Forward) {
            pair?;
            found += 1;
        }
        if found == expected {
            return Ok(());
        }
        let name = format!("{space:?}").to_lowercase();
        Err(Finding::of(
            check,
            format!("{expected} values of {name}"),
            found.to_string(),
        )
        .into())
    }

    fn check_meta_keys(&self) -> Result<(), Problem> {
        for pair in self
            .store
            .scan(Space::Meta, KeyRange::all(), Direction::Forward)
        {
            let (key, _) = pair?;
            let known = [GENESIS, HEAD, SEAL, ERASURE].contains(&&key[..]);
            let listed = [SUBMITTER_PREFIX, HOLD_PREFIX];
            if !known && !listed.iter().any(|prefix| key.starts_with(prefix)) {
                return Err(Finding::of(Check::Store, "known keys", "an unknown one").into());
            }
        }
        Ok(())
    }
}

fn check_packs(origin: &str, ids: &Ids, packs: &[WholePack]) -> Vec<Result<Checked, Problem>> {
    let mut checked = Vec::new();
    for (pack, erasable) in packs {
        for (index, header) in pack.headers().enumerate() {
            let result = body_of(pack, erasable, index)
                .map_err(Problem::from)
                .and_then(|body| {
                    let entry = check_entry(origin, header.seq, &header.encode(), &body)?;
                    let id = stored_id(ids, &header, &body)?;
                    Ok(Checked { entry, id })
                });
            checked.push(result);
        }
    }
    checked
}

/// The key under which the entry's idempotency id must stand, if it has one.
fn stored_id(ids: &Ids, header: &Header, body: &Body) -> Result<Option<Vec<u8>>, Finding> {
    let part = |tag| body.disclosed(tag);
    let (Some(envelope), Some(context)) = (part(Tag::Envelope), part(Tag::Context)) else {
        return Ok(None);
    };
    let undecodable = |error: prost::DecodeError| {
        Finding::at(
            header.seq,
            Check::Part,
            "an encoded message",
            error.to_string(),
        )
    };
    let context = v1::Context::decode(context.clone()).map_err(undecodable)?;
    if context.idempotency_id.is_empty() {
        return Ok(None);
    }
    let envelope = v1::Envelope::decode(envelope.clone()).map_err(undecodable)?;
    let submitter = envelope.submitter.unwrap_or_default();
    let number = ids.find(&submitter).ok_or_else(|| {
        let expected = "a number for its submitter";
        Finding::at(header.seq, Check::IdempotencyId, expected, "none")
    })?;
    Ok(Some(id_key(number, &context.idempotency_id)))
}

/// The same problem, at entry `seq` when it does not say where.
fn at_entry(problem: Problem, seq: u64) -> Problem {
    match problem {
        Problem::Found(finding) => Problem::Found(Finding {
            seq: finding.seq.or(Some(seq)),
            ..finding
        }),
        not_done @ Problem::NotDone(_) => not_done,
    }
}
