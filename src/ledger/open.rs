//! Makes ledgers and starts them: the table of starts of `docs/architecture.md`.
//!
//! The store is first opened read-only, because opening it for writing repairs it, and that destroys evidence. What was
//! written after the last anchored checkpoint was attempted and is kept, but only when this ledger wrote it. Before it is
//! signed it is flushed: recovery may have read it from a page cache that never reached the disk.

use std::sync::Arc;

use super::anchor::Anchor;
use super::error::{Damage, LedgerError, Refusal};
use super::head::{Head, TAG_KEY_CONTEXT};
use super::home::Home;
use super::keys::{GENESIS, HEAD, key_seq, seq_key};
use super::known::{self, KnownCheckpoint};
use super::ports::{Clock, Entropy, fill};
use super::reader::packs_from;
use super::signer::sign_next;
use super::tree::Tree;
use crate::entry::genesis::Genesis;
use crate::entry::{Digest, Header, v1};
use crate::merkle::{Frontier, Hash, Tile, empty_root};
use crate::note::SignerKey;
use crate::store::{Batch, Read, Slots, Space, Store, StoreError};

/// A ledger that was found good, ready to run.
pub(crate) struct Opened {
    pub(crate) genesis: Genesis,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) slots: Box<dyn Slots>,
    pub(crate) head: Head,
    pub(crate) anchor: Anchor,
    pub(crate) tree: Arc<Tree>,
    pub(crate) lock: Box<dyn Send>,
    /// Set when the anchor was given up: what was wrong with it.
    pub(crate) adopted: Option<String>,
}

/// Makes an empty ledger in `home`, signed by `key` under `origin`.
pub fn init(
    home: &dyn Home,
    key: &SignerKey,
    origin: &str,
    predecessor: Option<v1::Predecessor>,
    clock: &dyn Clock,
    entropy: &dyn Entropy,
) -> Result<Genesis, LedgerError> {
    let _lock = home.lock()?;
    let mut ledger_id = [0; 32];
    fill(entropy, &mut ledger_id)?;
    let genesis = Genesis::new(
        &key.verifier(),
        origin,
        ledger_id,
        clock.unix_nanos(),
        predecessor,
    )
    .map_err(|invalid| LedgerError::Invalid { index: 0, invalid })?;
    let already = || Refusal::AlreadyInitialised(home.name());
    // Looked for first: an empty store made beside it would hide that the real one is missing.
    match home.open_slots() {
        Err(StoreError::Missing { .. }) => {}
        Ok(_) | Err(StoreError::Damaged { .. }) => return Err(already().into()),
        Err(error) => return Err(error.into()),
    }
    let store = home.create_store().map_err(|error| match error {
        StoreError::Exists { .. } => already().into(),
        other => LedgerError::from(other),
    })?;
    let mut slots = home.create_slots().map_err(|error| match error {
        StoreError::Exists { .. } => already().into(),
        other => LedgerError::from(other),
    })?;
    let tag_key = key.derive(TAG_KEY_CONTEXT);
    let head = Head {
        size: 0,
        recorded_at: 0,
        chain: genesis.hash(),
        root: empty_root(),
    };
    let mut batch = Batch::new();
    batch.put(Space::Meta, GENESIS, genesis.encoded().to_vec());
    batch.put(Space::Meta, HEAD, head.encode(&tag_key));
    store.commit(batch)?;
    store.flush()?;
    let (anchor, _) = sign_next(origin, key, 0, Frontier::new(), 0, genesis.hash())?;
    anchor.write(&mut *slots)?;
    Ok(genesis)
}

/// Finds a ledger in `home` and checks that it is what `key` last signed under `origin`, or a consistent extension.
///
/// `adopt` gives up an anchor that is missing or damaged; no checkpoint of `known` is given up.
pub(crate) fn open(
    home: &dyn Home,
    key: &SignerKey,
    origin: &str,
    adopt: bool,
    known: &[KnownCheckpoint],
) -> Result<Opened, LedgerError> {
    let lock = home.lock().map_err(|error| match error {
        StoreError::Missing { .. } => Refusal::NotInitialised(home.name()).into(),
        other => LedgerError::from(other),
    })?;
    let tag_key = key.derive(TAG_KEY_CONTEXT);
    let (slots, anchor, adopted) = find_anchor(home, adopt)?;
    let reading = match home.read_store() {
        Ok(store) => store,
        Err(StoreError::Missing { .. }) => {
            return Err(match anchor {
                Some(anchor) => Refusal::StoreMissing {
                    anchored: anchor.frontier.size(),
                }
                .into(),
                None => Refusal::NotInitialised(home.name()).into(),
            });
        }
        Err(error) => return Err(error.into()),
    };
    if anchor.is_none() && adopted.is_none() {
        return Err(Refusal::AnchorMissing {
            path: home.anchor_name(),
        }
        .into());
    }
    let genesis = read_genesis(&*reading)?;
    check_identity(&genesis, key, origin)?;
    if let Some(index) = genesis.unknown_index() {
        return Err(Refusal::UnknownIndex { index }.into());
    }
    let (head, frontier) = check_head(&reading, &tag_key, &genesis, anchor.as_ref(), key, origin)?;
    known::check(&reading, head.size, known, origin, &key.verifier())?;
    drop(reading);

    let store = home.open_store()?;
    store.flush()?;
    let mut slots = match slots {
        Some(slots) => slots,
        None => match home.create_slots() {
            Err(StoreError::Exists { .. }) => {
                home.set_slots_aside()?;
                home.create_slots()?
            }
            slots => slots?,
        },
    };
    let anchor = match anchor {
        Some(anchor) if anchor.frontier.size() == head.size => {
            // It too may have been read from a page cache that never reached the disk. In its own slot, so that the one
            // before stays whole whatever happens now.
            anchor.write(&mut *slots)?;
            anchor
        }
        before => {
            let generation = before.map_or(0, |anchor| anchor.generation.saturating_add(1));
            let (anchor, _) = sign_next(
                origin,
                key,
                generation,
                frontier,
                head.recorded_at,
                head.chain,
            )?;
            // An anchor is given up by the entry that says so: its checkpoint is the first to be written.
            if adopted.is_none() {
                anchor.write(&mut *slots)?;
            }
            anchor
        }
    };
    let tree = Arc::new(load_tree(
        &(Arc::clone(&store) as Arc<dyn Read>),
        head.size,
    )?);
    if tree.root() != head.root {
        return Err(LedgerError::Damaged(Damage::of(
            "the tiles do not hash to the signed root",
        )));
    }
    Ok(Opened {
        genesis,
        store,
        slots,
        head,
        anchor,
        tree,
        lock,
        adopted,
    })
}

type FoundAnchor = (Option<Box<dyn Slots>>, Option<Anchor>, Option<String>);

fn find_anchor(home: &dyn Home, adopt: bool) -> Result<FoundAnchor, LedgerError> {
    let slots = match home.open_slots() {
        Ok(slots) => slots,
        Err(StoreError::Missing { .. }) => {
            let adopted = adopt.then(|| "the anchor is missing".to_string());
            return Ok((None, None, adopted));
        }
        Err(StoreError::Damaged { what, .. }) if adopt => return Ok((None, None, Some(what))),
        Err(StoreError::Damaged { what, .. }) => {
            return Err(Refusal::AnchorDamaged(what).into());
        }
        Err(error) => return Err(error.into()),
    };
    match Anchor::read(&*slots) {
        Ok(anchor) => Ok((Some(slots), Some(anchor), None)),
        Err(LedgerError::Refused(Refusal::AnchorDamaged(what))) if adopt => {
            Ok((Some(slots), None, Some(what)))
        }
        Err(error) => Err(error),
    }
}

/// Reads the genesis descriptor of a store.
pub(crate) fn read_genesis(store: &dyn Read) -> Result<Genesis, LedgerError> {
    let damaged = |what: String| LedgerError::Damaged(Damage::of(what));
    let encoded = store
        .get(Space::Meta, GENESIS)?
        .ok_or_else(|| damaged("the genesis descriptor is missing".into()))?;
    Genesis::decode(&encoded)
        .map_err(|invalid| damaged(format!("the genesis descriptor: {invalid}")))
}

fn check_identity(genesis: &Genesis, key: &SignerKey, origin: &str) -> Result<(), LedgerError> {
    let other = |what, found: String, expected: String| {
        Err(Refusal::OtherLedger {
            what,
            found,
            expected,
        }
        .into())
    };
    if genesis.origin() != origin {
        return other(
            "the origin",
            genesis.origin().to_string(),
            origin.to_string(),
        );
    }
    if *genesis.verifier_key() != key.verifier() {
        let (found, expected) = (genesis.verifier_key(), key.verifier());
        return other("the key", found.to_string(), expected.to_string());
    }
    Ok(())
}

/// Compares the store with the anchor and checks what was written after it. Returns the head and its frontier.
fn check_head(
    store: &Arc<dyn Read>,
    tag_key: &Digest,
    genesis: &Genesis,
    anchor: Option<&Anchor>,
    key: &SignerKey,
    origin: &str,
) -> Result<(Head, Frontier), LedgerError> {
    let encoded = store
        .get(Space::Meta, HEAD)?
        .ok_or_else(|| LedgerError::Damaged(Damage::of("the head is missing")))?;
    let head = Head::decode(&encoded)?;
    let start = match anchor {
        Some(anchor) => {
            let signed = anchor.open(origin, &key.verifier())?;
            if head.size < signed.size() {
                return Err(Refusal::Behind {
                    size: head.size,
                    anchored: signed.size(),
                }
                .into());
            }
            if load_tree(store, signed.size())?.root() != *signed.root() {
                return Err(Refusal::Fork {
                    size: signed.size(),
                }
                .into());
            }
            Start {
                frontier: anchor.frontier.clone(),
                chain: anchor.chain,
                recorded_at: anchor.recorded_at,
            }
        }
        None => Start {
            frontier: Frontier::new(),
            chain: genesis.hash(),
            recorded_at: 0,
        },
    };
    let from = start.frontier.size();
    let bad = |what: &str| Refusal::BadExtension {
        from,
        what: what.to_string(),
    };
    if !head.has_tag(&encoded, tag_key) {
        return Err(bad("the head's tag is wrong").into());
    }
    let end = start.follow(&**store, head.size)?;
    if end.frontier.root() != head.root || end.chain != head.chain {
        return Err(bad("they do not lead to the root and the chain hash of the head").into());
    }
    if let Some((key, _)) = store.last_at_or_before(Space::Entry, &seq_key(u64::MAX))?
        && key_seq(&key).is_none_or(|seq| seq >= head.size)
    {
        return Err(bad("there are entries behind the last").into());
    }
    if load_tree(store, head.size)?.root() != head.root {
        let what = "the tiles do not hash to the root of the head";
        return Err(LedgerError::Damaged(Damage::of(what)));
    }
    Ok((head, end.frontier))
}

/// A place in the history from which it can be followed.
struct Start {
    frontier: Frontier,
    chain: Digest,
    recorded_at: u64,
}

impl Start {
    /// Follows the history to `end`, checking seq, chain and time of every header.
    fn follow(mut self, store: &dyn Read, end: u64) -> Result<Self, LedgerError> {
        let from = self.frontier.size();
        if from == end {
            return Ok(self);
        }
        for pack in packs_from(store, from)? {
            for header in pack?
                .headers()
                .filter(|header| header.seq >= from && header.seq < end)
            {
                self.step(&header).map_err(|what| Refusal::BadExtension {
                    from,
                    what: what.to_string(),
                })?;
            }
        }
        if self.frontier.size() != end {
            let what = format!("entry {} is missing", self.frontier.size());
            return Err(Refusal::BadExtension { from, what }.into());
        }
        Ok(self)
    }

    fn step(&mut self, header: &Header) -> Result<(), &'static str> {
        if header.seq != self.frontier.size() {
            return Err("an entry is missing or stands in another place");
        }
        if header.prev != self.chain {
            return Err("the chain is broken");
        }
        if header.recorded_at < self.recorded_at {
            return Err("the time runs backwards");
        }
        let encoded = header.encode();
        self.frontier.push(crate::merkle::leaf_hash(&encoded));
        self.chain = crate::entry::header::chain_hash(&encoded);
        self.recorded_at = header.recorded_at;
        Ok(())
    }
}

/// Rebuilds the tree of the first `size` entries from its full tiles and the entries behind the last of them.
pub(crate) fn load_tree(store: &Arc<dyn Read>, size: u64) -> Result<Tree, LedgerError> {
    let first = size - u64::from(Tile::partial_width(0, size));
    let mut leaves: Vec<Hash> = Vec::new();
    if first < size {
        for pack in packs_from(&**store, first)? {
            let headers = pack?;
            let headers = headers
                .headers()
                .filter(|header| (first..size).contains(&header.seq));
            leaves.extend(headers.map(|header| header.leaf_hash()));
            if leaves.len() as u64 >= size - first {
                break;
            }
        }
    }
    if (leaves.len() as u64) < size - first {
        let missing = first + leaves.len() as u64;
        return Err(LedgerError::Damaged(Damage::at(
            missing,
            "the entry is missing",
        )));
    }
    Tree::load(Arc::clone(store), size, leaves)
}

pub(crate) fn prove_error(error: crate::merkle::ProveError<LedgerError>, size: u64) -> LedgerError {
    match error {
        crate::merkle::ProveError::Node { source, .. } => source,
        other => LedgerError::BadRange(format!("at tree size {size}: {other}")),
    }
}
