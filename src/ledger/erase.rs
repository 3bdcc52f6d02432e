//! Erasure: what an operator orders to be erased is first sealed, then destroyed, down to the bytes on the disk.
//!
//! The entry that says so and a mark in the Meta space that it is not carried out yet are one commit. Whatever happens then,
//! the next start carries it out before anything else, and so does the next order.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use super::act::{self, act_of};
use super::error::{Damage, LedgerError};
use super::hold::Holds;
use super::keys::{ERASURE, key_seq, seq_key};
use super::pack::{self, Pack};
use super::published::Published;
use super::reader::{Reader, SealedEntry};
use super::search::Search;
use super::submission::{Appended, Mark, Submission};
use super::{Ledger, check_below_end};
use crate::entry::body::Content;
use crate::entry::v1::ledger_act::Act;
use crate::entry::{Kind, Tag, v1};
use crate::index::Ranges;
use crate::index::filter::{Filter, Truth};
use crate::store::{Batch, Direction, KeyRange, Read, Space, Store};
use crate::verify::erased_by;

/// The longest ticket, in bytes.
pub(super) const MAX_TICKET_BYTES: usize = 512;
/// The longest reason, in bytes.
pub(super) const MAX_REASON_BYTES: usize = 4_096;
/// The most ranges of an order.
pub(super) const MAX_RANGES: usize = 4_096;
/// Bytes of packs that are rewritten in one commit; one more may come on top.
const COMMIT_BYTES: usize = 4 * 1024 * 1024;
/// Matches that are looked at together.
const PAGE: usize = 1_000;

/// What an operator orders.
#[derive(Debug, Clone)]
pub struct ErasureOrder {
    /// Of which entries.
    pub entries: Chosen,
    /// Which parts; of each entry those that it has.
    pub parts: Vec<Tag>,
    /// The ticket that orders it, 1 to 512 bytes.
    pub ticket: String,
    /// Why, 1 to 4,096 bytes.
    pub reason: String,
}

/// Entries that are chosen.
#[derive(Debug, Clone)]
pub enum Chosen {
    /// These.
    Named(Ranges),
    /// Those that match now.
    Matching(Filter),
}

/// What was erased, or would be.
#[derive(Debug, Clone)]
pub struct Erasure {
    /// The entries that say so, ascending; none when nothing was erased. It takes several where some of the chosen entries
    /// had lost some of the parts before: none says of a part that it goes which is gone already.
    pub seqs: Vec<u64>,
    /// The entries of which something was erased, or would be.
    pub entries: Ranges,
    /// Of which parts how much, ascending by tag.
    pub parts: Vec<ErasedPart>,
    /// How many of the chosen entries had lost these parts before.
    pub already_erased: u64,
    /// A checkpoint that covers all this.
    pub published: Arc<Published>,
}

/// How much of a part was erased.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ErasedPart {
    /// Which part.
    pub tag: Tag,
    /// How many entries have it.
    pub entries: u64,
    /// Bytes of these parts together.
    pub bytes: u64,
}

impl Ledger {
    /// What an order would erase. Blocks while it reads.
    pub fn plan_erasure(&self, order: &ErasureOrder) -> Result<Erasure, LedgerError> {
        self.plan(order).map(|plan| plan.erasure)
    }

    fn plan<'a>(&self, order: &'a ErasureOrder) -> Result<Plan<'a>, LedgerError> {
        check_order(order)?;
        let published = self.published();
        let mut plan = Plan {
            order,
            holds: Holds::load(&*self.store, &self.reader)?,
            acts: BTreeMap::new(),
            first_gone: None,
            erasure: Erasure {
                seqs: Vec::new(),
                entries: Ranges::new(),
                parts: Vec::new(),
                already_erased: 0,
                published,
            },
        };
        self.for_each_chosen(&order.entries, &mut |entry| plan.take(entry))?;
        let named = std::iter::once(&plan.erasure.entries).chain(plan.acts.values());
        let ranges = named.map(|seqs| seqs.runs().len()).max().unwrap_or(0);
        if ranges > MAX_RANGES {
            let rule = format!(
                "chooses {ranges} ranges of entries, at most {MAX_RANGES} can be erased at a time: \
                 erase them piece by piece, such as with seq < N"
            );
            return Err(LedgerError::BadOrder {
                field: "filter",
                rule,
            });
        }
        Ok(plan)
    }

    /// Carries out an order of the operator whom `envelope` names. When this returns, the parts are on no file of the store
    /// any more. Blocks until then.
    ///
    /// Nothing is sealed when nothing of the entries can be erased, and the order is refused when all of that is gone already.
    pub fn erase(
        &self,
        order: &ErasureOrder,
        envelope: &v1::Envelope,
    ) -> Result<Erasure, LedgerError> {
        let _alone = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        // One that failed half way.
        self.carry_out()?;
        let Plan {
            acts,
            first_gone,
            mut erasure,
            ..
        } = self.plan(order)?;
        if let Some((seq, by)) = first_gone
            && acts.is_empty()
        {
            return Err(LedgerError::AlreadyErased { seq, by });
        }
        for (tags, entries) in acts {
            let act = Act::RangeErasure(v1::RangeErasure {
                entries: entries.to_seq_ranges(),
                parts: tags.iter().map(|tag| tag.number().into()).collect(),
                ticket: order.ticket.clone(),
                reason: order.reason.clone(),
            });
            let before = erasure.seqs.last().copied();
            let sealed = self.seal_and_carry_out(act, envelope);
            let sealed = sealed.map_err(|error| match before {
                // It says by itself which entry orders what.
                Some(seq) if !matches!(error, LedgerError::Unfinished { .. }) => {
                    let error = Box::new(error);
                    LedgerError::PartlyErased { seq, error }
                }
                _ => error,
            })?;
            erasure.seqs.push(sealed.first_seq);
            erasure.published = sealed.published;
        }
        Ok(erasure)
    }

    fn seal_and_carry_out(
        &self,
        act: Act,
        envelope: &v1::Envelope,
    ) -> Result<Appended, LedgerError> {
        let mut order = self.order("ledger.erase", act, envelope)?;
        order.marks.push(Mark::Seq(ERASURE.to_vec()));
        let sealed = self.queue.append_act(order)?;
        self.carry_out()?;
        Ok(sealed)
    }

    /// The entry by which the ledger says what the operator whom `envelope` names had it do.
    pub(super) fn order(
        &self,
        action: &str,
        act: Act,
        envelope: &v1::Envelope,
    ) -> Result<Submission, LedgerError> {
        let origin = self.genesis.origin();
        act::ordered(origin, Kind::Act, action, act, envelope, &*self.entropy)
    }

    /// Carries out an erasure that is sealed and was interrupted.
    pub(super) fn carry_out(&self) -> Result<(), LedgerError> {
        carry_out(&*self.store, &self.reader)
    }

    fn for_each_chosen(
        &self,
        chosen: &Chosen,
        take: &mut dyn FnMut(&SealedEntry) -> Result<(), LedgerError>,
    ) -> Result<(), LedgerError> {
        let size = self.published().size();
        match chosen {
            Chosen::Named(seqs) => {
                for run in seqs.runs() {
                    check_below_end("seq", run.end.saturating_sub(1), size)?;
                    let mut rest = run.clone();
                    while !rest.is_empty() {
                        let entries = self.next_entries(rest.clone(), Direction::Forward)?;
                        rest.start = rest.start.saturating_add(entries.len() as u64);
                        entries.iter().try_for_each(&mut *take)?;
                    }
                }
            }
            Chosen::Matching(filter) => {
                let mut start = 0;
                while start < size {
                    let page = self.search(&Search {
                        filter,
                        size,
                        range: start..size,
                        direction: Direction::Forward,
                        limit: PAGE,
                        prove: false,
                    })?;
                    start = page.window.end;
                    for entry in &page.entries {
                        if filter.evaluate(&entry.facts()?) == Truth::True {
                            take(entry)?;
                        }
                    }
                }
            }
        }
        Ok(())
    }
}

fn check_order(order: &ErasureOrder) -> Result<(), LedgerError> {
    let wrong = |field, rule: String| Err(LedgerError::BadOrder { field, rule });
    if order.parts.is_empty() {
        return wrong("parts", "names none".into());
    }
    if let Some(tag) = order.parts.iter().find(|tag| !tag.is_erasable()) {
        let rule = format!(
            "names {}, which is evidence and stays: only why and detail can be erased",
            tag.name()
        );
        return wrong("parts", rule);
    }
    check_text("ticket", &order.ticket, MAX_TICKET_BYTES, true)?;
    check_text("reason", &order.reason, MAX_REASON_BYTES, true)
}

/// Checks a text of an order.
pub(super) fn check_text(
    field: &'static str,
    text: &str,
    limit: usize,
    required: bool,
) -> Result<(), LedgerError> {
    let rule = if required && text.is_empty() {
        "is required".into()
    } else if text.len() > limit {
        format!("has {} bytes, at most {limit} are allowed", text.len())
    } else {
        return Ok(());
    };
    Err(LedgerError::BadOrder { field, rule })
}

/// The parts of an order, ascending, each once.
fn parts(order: &ErasureOrder) -> impl Iterator<Item = Tag> {
    Tag::ALL.into_iter().filter(|tag| order.parts.contains(tag))
}

/// What an order would erase, while its entries are read.
struct Plan<'a> {
    order: &'a ErasureOrder,
    holds: Holds,
    /// What is to be sealed: entries by the parts that go, which are those of the order without what is gone already.
    acts: BTreeMap<Vec<Tag>, Ranges>,
    /// The first entry that has lost such a part before, and the entry that says so.
    first_gone: Option<(u64, u64)>,
    erasure: Erasure,
}

impl Plan<'_> {
    fn take(&mut self, entry: &SealedEntry) -> Result<(), LedgerError> {
        let seq = entry.header.seq;
        let (mut found, mut gone, mut tags) = (false, false, Vec::new());
        for tag in parts(self.order) {
            match entry.body.content(tag) {
                Some(Content::Disclosed { bytes, .. }) => {
                    self.count(tag, bytes.len() as u64);
                    found = true;
                    tags.push(tag);
                }
                Some(_) => {
                    gone = true;
                    let by = entry.erased_by.iter().find(|(erased, _)| *erased == tag);
                    let by = by.map(|(_, by)| (seq, *by));
                    self.first_gone = self.first_gone.or(by);
                }
                // Its entry can say as much as those of the others.
                None => tags.push(tag),
            }
        }
        if found {
            if let Some(hold) = self.holds.on(entry)? {
                let hold = hold.to_owned();
                return Err(LedgerError::Held { seq, hold });
            }
            let seqs = seq..seq.saturating_add(1);
            self.acts.entry(tags).or_default().insert(seqs.clone());
            self.erasure.entries.insert(seqs);
        } else if gone {
            self.erasure.already_erased += 1;
        }
        Ok(())
    }

    fn count(&mut self, tag: Tag, bytes: u64) {
        let parts = &mut self.erasure.parts;
        if let Some(part) = parts.iter_mut().find(|part| part.tag == tag) {
            part.entries += 1;
            part.bytes += bytes;
            return;
        }
        parts.push(ErasedPart {
            tag,
            entries: 1,
            bytes,
        });
        parts.sort_unstable_by_key(|part| part.tag);
    }
}

/// Carries out the erasure that is sealed and not carried out yet, if there is one.
pub(super) fn carry_out(store: &dyn Store, reader: &Reader) -> Result<(), LedgerError> {
    let Some(seq) = pending(store)? else {
        return Ok(());
    };
    let no_erasure = || {
        let what = "an erasure is said to be sealed here, and the entry is none";
        LedgerError::Damaged(Damage::at(seq, what))
    };
    check_below_end("erasure", seq, reader.tree().size()).map_err(|_| no_erasure())?;
    // What is destroyed is what the entry says, which the tree binds.
    let act = act_of(&reader.entry(seq)?).ok_or_else(no_erasure)?;
    let (entries, tags) = erased_by(&act).ok_or_else(no_erasure)?;
    let destroyed = destroy(store, &entries, &tags, seq);
    destroyed.map_err(|error| LedgerError::Unfinished {
        seq,
        error: Box::new(error),
    })
}

fn destroy(store: &dyn Store, entries: &Ranges, tags: &[Tag], by: u64) -> Result<(), LedgerError> {
    let places = rewrite(store, entries, tags, by)?;
    store.purge(&places)?;
    let mut done = Batch::new();
    done.delete(Space::Meta, ERASURE);
    Ok(store.commit(done)?)
}

/// The seq of the erasure that is sealed and not carried out yet.
pub(super) fn pending(store: &dyn Read) -> Result<Option<u64>, LedgerError> {
    let read = |value: bytes::Bytes| {
        key_seq(&value).ok_or_else(|| {
            LedgerError::Damaged(Damage::of("the mark of an erasure cannot be decoded"))
        })
    };
    store.get(Space::Meta, ERASURE)?.map(read).transpose()
}

/// Rewrites the packs of `entries` without the parts `tags` and what would give them away. Returns where they stand.
fn rewrite(
    store: &dyn Store,
    entries: &Ranges,
    tags: &[Tag],
    by: u64,
) -> Result<Vec<(Space, KeyRange)>, LedgerError> {
    let mut places = Vec::new();
    let mut batch = Batch::new();
    let mut done = 0;
    for run in entries.runs() {
        let mut seq = run.start.max(done);
        while seq < run.end {
            let missing = || LedgerError::Damaged(Damage::at(seq, "the entry is missing"));
            let (key, value) = store
                .last_at_or_before(Space::Entry, &seq_key(seq))?
                .ok_or_else(missing)?;
            let first = key_seq(&key).ok_or_else(missing)?;
            let end = Pack::decode(first, &value)?.end_seq();
            if end <= seq {
                return Err(missing());
            }
            let erasable = store.get(Space::Detail, &key)?;
            let is_meant = |seq| entries.contains(seq);
            let erased = pack::erase(first, &value, erasable.as_ref(), is_meant, tags, by)?;
            for space in [Space::Entry, Space::Detail] {
                places.push((space, KeyRange::new(key.as_ref()..=key.as_ref())));
            }
            if let Some((value, erasable)) = erased {
                batch.put(Space::Entry, key.clone(), value);
                match erasable {
                    Some(erasable) => batch.put(Space::Detail, key, erasable),
                    None => batch.delete(Space::Detail, key),
                }
            }
            if batch.bytes() >= COMMIT_BYTES {
                store.commit(std::mem::take(&mut batch))?;
            }
            (seq, done) = (end, end);
        }
    }
    if !batch.is_empty() {
        store.commit(batch)?;
    }
    Ok(places)
}
