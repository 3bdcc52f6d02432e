//! What the audit of a directory holds against the orders of operators: what was erased, and which holds are in force.

use std::collections::BTreeMap;

use super::audit::Problem;
use super::erase::pending;
use super::error::LedgerError;
use super::keys::{HOLD_PREFIX, after, hold_key};
use super::pack::{EncodedEntries, Pack};
use crate::entry::Tag;
use crate::entry::v1::ledger_act::Act;
use crate::index::Ranges;
use crate::store::{Direction, KeyRange, Read, Space};
use crate::verify::{Check, CheckedEntry, Finding, erased_by};

/// The orders, and what there is of the parts that they are about.
#[derive(Default)]
pub(super) struct Acts {
    /// The entries that say that something was erased, and what.
    erasures: BTreeMap<u64, (Ranges, Vec<Tag>)>,
    /// The holds in force: name, and the entry that placed it.
    holds: BTreeMap<String, u64>,
    /// Entries by which of their parts that can be erased is there.
    present: BTreeMap<Tag, Ranges>,
    /// Parts that are gone: entry, part, and which entry is said to say so.
    gone: Vec<(u64, Tag, u64)>,
}

impl Acts {
    /// Takes down what a pack has of the parts that can be erased, `erasable` being those that are there.
    pub(super) fn note(
        &mut self,
        pack: &Pack,
        erasable: &EncodedEntries,
    ) -> Result<(), LedgerError> {
        for (index, (seq, record)) in (pack.first_seq..).zip(&pack.records).enumerate() {
            for (tag, _) in erasable.parts(index)? {
                let present = self.present.entry(tag).or_default();
                present.insert(seq..seq.saturating_add(1));
            }
            let gone = record.erased_by().into_iter();
            self.gone.extend(gone.map(|(tag, by)| (seq, tag, by)));
        }
        Ok(())
    }

    /// Takes down what an entry orders.
    pub(super) fn take(&mut self, entry: &CheckedEntry) {
        let seq = entry.header().seq;
        let Some(act) = entry.act() else {
            return;
        };
        if let Some(erased) = erased_by(act) {
            self.erasures.insert(seq, erased);
        }
        match act {
            Act::Hold(hold) => {
                self.holds.insert(hold.name.clone(), seq);
            }
            Act::Release(release) => {
                self.holds.remove(&release.name);
            }
            _ => {}
        }
    }

    /// How many values the Meta space has because of them.
    pub(super) fn marks(&self, store: &dyn Read) -> Result<u64, Problem> {
        let pending = u64::from(pending(store)?.is_some());
        Ok(self.holds.len() as u64 + pending)
    }

    /// Checks that what is gone was erased, that what was erased is gone unless that is still to be done, and that the holds
    /// are those in force.
    pub(super) fn check(&self, store: &dyn Read) -> Result<(), Problem> {
        let firsts = self.firsts();
        for (seq, tag, by) in &self.gone {
            let first = firsts.get(&(*by, *tag));
            if !first.is_some_and(|seqs| seqs.contains(*seq)) {
                let expected = format!(
                    "entry {by} to be the first that says that {} was erased",
                    tag.name()
                );
                let found = "that it is not";
                return Err(Finding::at(*seq, Check::Erasure, expected, found).into());
            }
        }
        let pending = pending(store)?;
        if let Some(seq) = pending
            && !self.erasures.contains_key(&seq)
        {
            let expected = "an erasure that is to be carried out";
            return Err(Finding::at(seq, Check::Erasure, expected, "none").into());
        }
        for (by, (seqs, tags)) in &self.erasures {
            let left = tags.iter().find_map(|tag| {
                let left = self.present.get(tag)?.intersection(seqs);
                Some((*tag, left.runs().first()?.start))
            });
            if let Some((tag, seq)) = left
                && pending != Some(*by)
            {
                let expected = format!("{} erased, as entry {by} says", tag.name());
                return Err(Finding::at(seq, Check::Erasure, expected, "it").into());
            }
        }
        self.check_holds(store)
    }

    /// Of each erasure and part, the entries of which it is the first to say that it was erased. Older ledgers say it again of
    /// parts that were gone.
    fn firsts(&self) -> BTreeMap<(u64, Tag), Ranges> {
        let mut said: BTreeMap<Tag, Ranges> = BTreeMap::new();
        let mut firsts = BTreeMap::new();
        for (by, (seqs, tags)) in &self.erasures {
            for tag in tags {
                let said = said.entry(*tag).or_default();
                let first = seqs.intersection(&said.complement(0..*by));
                for run in seqs.runs() {
                    said.insert(run.clone());
                }
                firsts.insert((*by, *tag), first);
            }
        }
        firsts
    }

    fn check_holds(&self, store: &dyn Read) -> Result<(), Problem> {
        for (name, seq) in &self.holds {
            let stored = store.get(Space::Meta, &hold_key(name))?;
            if stored.as_deref() != Some(seq.to_be_bytes().as_slice()) {
                let expected = format!("the hold {name:?} to be in force");
                return Err(Finding::at(*seq, Check::Store, expected, "that it is not").into());
            }
        }
        let range = KeyRange::new(HOLD_PREFIX..after(HOLD_PREFIX).as_slice());
        let mut stored = 0;
        for pair in store.scan(Space::Meta, range, Direction::Forward) {
            pair?;
            stored += 1;
        }
        if stored == self.holds.len() {
            return Ok(());
        }
        let expected = format!("{} holds in force", self.holds.len());
        Err(Finding::of(Check::Store, expected, stored.to_string()).into())
    }
}
