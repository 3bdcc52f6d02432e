//! Legal holds: nothing of the entries under one is erased until it is released.
//!
//! A hold is an entry; which of them are in force stands in the Meta space, and follows from the entries.

use std::collections::BTreeMap;
use std::sync::PoisonError;

use super::Ledger;
use super::act::act_of;
use super::check_below_end;
use super::erase::{MAX_RANGES, MAX_REASON_BYTES, MAX_TICKET_BYTES, check_text};
use super::error::{Damage, LedgerError, Placed, Refusal};
use super::keys::{HOLD_PREFIX, after, hold_key, key_seq};
use super::reader::{Reader, SealedEntry};
use super::submission::{Appended, Mark};
use crate::entry::v1::ledger_act::Act;
use crate::entry::{Tag, v1};
use crate::index::Ranges;
use crate::index::filter::{Filter, Truth};
use crate::store::{Direction, KeyRange, Read, Space};

/// What the ledger says it did.
const HOLD: &str = "ledger.hold";
const RELEASE: &str = "ledger.release";
/// The longest name of a hold, in bytes.
const MAX_NAME_BYTES: usize = 128;
/// The longest filter of a hold, in bytes.
const MAX_HOLD_FILTER_BYTES: usize = 4_096;

/// A hold in force.
#[derive(Debug, Clone)]
pub struct PlacedHold {
    /// The entry that placed it.
    pub entry: SealedEntry,
    /// What it says.
    pub hold: v1::Hold,
}

impl Ledger {
    /// The holds in force, ascending by name.
    pub fn holds(&self) -> Result<Vec<PlacedHold>, LedgerError> {
        placed(&*self.store, &self.reader)
    }

    /// Places a hold for the operator whom `envelope` names. Its ranges may come in any order. Blocks until it is sealed.
    pub fn place_hold(
        &self,
        mut hold: v1::Hold,
        envelope: &v1::Envelope,
    ) -> Result<Appended, LedgerError> {
        check_hold(&mut hold)?;
        let size = self.published().size();
        for run in &hold.entries {
            check_below_end("seq", run.end_seq.saturating_sub(1), size)?;
        }
        let _alone = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        // What was sealed before the hold goes before it, and is gone when the hold is placed.
        self.carry_out()?;
        if let Some(seq) = in_force(&*self.store, &hold.name)? {
            return Err(LedgerError::HoldExists {
                hold: hold.name,
                seq,
            });
        }
        let key = hold_key(&hold.name);
        let mut order = self.order(HOLD, Act::Hold(hold), envelope)?;
        order.marks.push(Mark::Seq(key));
        self.queue.append_act(order)
    }

    /// Releases the hold `name` for the operator whom `envelope` names. Blocks until that is sealed.
    pub fn release_hold(
        &self,
        name: &str,
        ticket: String,
        reason: String,
        envelope: &v1::Envelope,
    ) -> Result<Appended, LedgerError> {
        check_text("name", name, MAX_NAME_BYTES, true)?;
        check_text("ticket", &ticket, MAX_TICKET_BYTES, true)?;
        check_text("reason", &reason, MAX_REASON_BYTES, false)?;
        let _alone = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        let hold_seq = in_force(&*self.store, name)?.ok_or_else(|| LedgerError::NoSuchHold {
            hold: name.to_owned(),
        })?;
        let release = Act::Release(v1::Release {
            name: name.to_owned(),
            hold_seq,
            ticket,
            reason,
        });
        let mut order = self.order(RELEASE, release, envelope)?;
        order.marks.push(Mark::Remove(hold_key(name)));
        self.queue.append_act(order)
    }
}

impl Ledger {
    /// Checks that the holds in force are those that the entries say.
    pub(super) fn check_holds(&self) -> Result<(), LedgerError> {
        let mut placed = BTreeMap::new();
        self.for_each_act(&[HOLD, RELEASE], &mut |seq, act| match act {
            Act::Hold(hold) => {
                placed.insert(hold.name, seq);
            }
            Act::Release(release) if placed.get(&release.name) == Some(&release.hold_seq) => {
                placed.remove(&release.name);
            }
            _ => {}
        })?;
        let mut marked = marks(&*self.store)?;
        for (name, seq) in placed {
            let mark = marked.remove(&hold_key(&name));
            if mark != Some(seq) {
                return Err(differ(name, Some(seq), mark));
            }
        }
        match marked.pop_first() {
            Some((key, seq)) => {
                let name = key.strip_prefix(HOLD_PREFIX).unwrap_or_default();
                let name = String::from_utf8_lossy(name).into_owned();
                Err(differ(name, None, Some(seq)))
            }
            None => Ok(()),
        }
    }
}

fn differ(hold: String, in_force: Option<u64>, marked: Option<u64>) -> LedgerError {
    Refusal::HoldsDiffer {
        hold,
        in_force: Placed(in_force),
        marked: Placed(marked),
    }
    .into()
}

/// Checks a hold, and puts its ranges in order.
fn check_hold(hold: &mut v1::Hold) -> Result<(), LedgerError> {
    let wrong = |field, rule: &str| {
        Err(LedgerError::BadOrder {
            field,
            rule: rule.into(),
        })
    };
    check_text("name", &hold.name, MAX_NAME_BYTES, true)?;
    check_text("ticket", &hold.ticket, MAX_TICKET_BYTES, true)?;
    check_text("reason", &hold.reason, MAX_REASON_BYTES, false)?;
    check_text("filter", &hold.filter, MAX_HOLD_FILTER_BYTES, false)?;
    if hold.name.chars().any(char::is_control) {
        return wrong("name", "holds a control character");
    }
    if hold
        .entries
        .iter()
        .any(|range| range.first_seq >= range.end_seq)
    {
        return wrong("entries", "has a range without entries");
    }
    hold.entries = hold.entries.iter().collect::<Ranges>().to_seq_ranges();
    if hold.entries.len() > MAX_RANGES {
        return wrong("entries", "has more than 4096 ranges");
    }
    if hold.entries.is_empty() && hold.filter.trim().is_empty() {
        return wrong("entries", "names none, and there is no filter");
    }
    let filter = Filter::parse(&hold.filter).map_err(|error| LedgerError::BadOrder {
        field: "filter",
        rule: error.to_string(),
    })?;
    // It has to be told of every entry, also of one of which these were erased before.
    if filter.parts().iter().any(|tag: &Tag| tag.is_erasable()) {
        return wrong(
            "filter",
            "asks about why or detail, which may have been erased: a hold is told by the other parts",
        );
    }
    Ok(())
}

/// The seq of the entry that placed the hold `name`, if it is in force.
fn in_force(store: &dyn Read, name: &str) -> Result<Option<u64>, LedgerError> {
    let value = store.get(Space::Meta, &hold_key(name))?;
    value.map(|value| read_seq(&value)).transpose()
}

fn read_seq(value: &[u8]) -> Result<u64, LedgerError> {
    key_seq(value)
        .ok_or_else(|| LedgerError::Damaged(Damage::of("the mark of a hold cannot be decoded")))
}

/// What the store says of the holds in force, by key: the seq of the entry that placed it.
fn marks(store: &dyn Read) -> Result<BTreeMap<Vec<u8>, u64>, LedgerError> {
    let range = KeyRange::new(HOLD_PREFIX..after(HOLD_PREFIX).as_slice());
    let scan = store.scan(Space::Meta, range, Direction::Forward);
    scan.map(|pair| {
        let (key, value) = pair?;
        Ok((key.to_vec(), read_seq(&value)?))
    })
    .collect()
}

fn placed(store: &dyn Read, reader: &Reader) -> Result<Vec<PlacedHold>, LedgerError> {
    let mut holds = Vec::new();
    for (key, seq) in marks(store)? {
        let no_hold = || {
            let what = "a hold is said to be placed here, and the entry is none";
            LedgerError::Damaged(Damage::at(seq, what))
        };
        if seq >= reader.tree().size() {
            return Err(no_hold());
        }
        let entry = reader.entry(seq)?;
        match act_of(&entry) {
            Some(Act::Hold(hold)) if hold_key(&hold.name) == key => {
                holds.push(PlacedHold { entry, hold });
            }
            _ => return Err(no_hold()),
        }
    }
    Ok(holds)
}

/// The holds in force, to be asked about one entry after the other.
pub(super) struct Holds(Vec<Held>);

struct Held {
    name: String,
    entries: Ranges,
    filter: Option<Filter>,
}

impl Holds {
    pub(super) fn load(store: &dyn Read, reader: &Reader) -> Result<Self, LedgerError> {
        let held = placed(store, reader)?.into_iter().map(|placed| {
            let v1::Hold {
                name,
                entries,
                filter,
                ..
            } = placed.hold;
            let seq = placed.entry.header.seq;
            let damaged = |_| LedgerError::Damaged(Damage::at(seq, "a hold has no filter"));
            let filter = (!filter.trim().is_empty()).then(|| Filter::parse(&filter));
            Ok(Held {
                name,
                entries: entries.iter().collect(),
                filter: filter.transpose().map_err(damaged)?,
            })
        });
        Ok(Self(held.collect::<Result<_, LedgerError>>()?))
    }

    /// The name of a hold that the entry is under.
    pub(super) fn on(&self, entry: &SealedEntry) -> Result<Option<&str>, LedgerError> {
        for held in &self.0 {
            let named = held.entries.contains(entry.header.seq);
            let matches = match &held.filter {
                // What cannot be told is held.
                Some(filter) if !named => filter.evaluate(&entry.facts()?) != Truth::False,
                _ => false,
            };
            if named || matches {
                return Ok(Some(&held.name));
            }
        }
        Ok(None)
    }
}
