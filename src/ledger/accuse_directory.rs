//! Making, from the directory of a stopped ledger, what shows others that its search index is false.

use std::fmt::Display;
use std::ops::Range;

use super::error::LedgerError;
use super::open::prove_error;
use super::reader::Reader;
use super::rederive_directory::no_room;
use super::segment_objects::SegmentBytes;
use super::segments::Level;
use crate::entry::genesis::{Genesis, INDEX_SPANS};
use crate::entry::v1;
use crate::index::{Difference, Segment, SegmentError, SegmentId, Term, TermRange, check_terms};
use crate::merkle::{prove_inclusion, prove_range};
use crate::note::VerifierKey;
use crate::verify::{
    Accusation, Contradiction, DerivedSegment, FalseSeal, Lie, MAX_ACCUSED_SEGMENTS, Rederivation,
    Scratch, ShownEntry, ShownSegment,
};

/// Where a segment that is stored differs from the one that was derived.
pub(super) struct Differing<S: Scratch> {
    pub(super) sealed: Segment<SegmentBytes>,
    pub(super) built: DerivedSegment<S>,
    /// The first leaf that differs.
    pub(super) leaf: u64,
    pub(super) difference: Difference,
}

/// Who accuses, and what with.
pub(super) struct Accuser<'a, S: Scratch> {
    pub(super) genesis: &'a Genesis,
    /// Who signed the checkpoint.
    pub(super) key: &'a VerifierKey,
    pub(super) checkpoint: String,
    /// Entries and tree of the checkpoint.
    pub(super) reader: Reader,
    pub(super) levels: &'a [Level],
    pub(super) rederivation: &'a Rederivation<S>,
}

impl<S: Scratch> Accuser<'_, S>
where
    S::Error: Display,
{
    /// The accusation with what it says. None if nothing small shows it, or no checkpoint is over it yet.
    pub(super) fn accuse(
        &self,
        found: &FalseSeal,
        differing: Option<&Differing<S>>,
    ) -> Result<Option<(Accusation, Lie)>, LedgerError> {
        let Some((level, numbers)) = &found.segments else {
            let accusation = self.accusation(found.seq, Contradiction::Seal)?;
            return Ok(accusation.and_then(|accusation| accusation.convincing(self.key)));
        };
        let shown = match differing {
            Some(differing) => self.accuse_segment(differing)?,
            None => None,
        };
        match shown.and_then(|shown| shown.convincing(self.key)) {
            None if *level == 0 => {
                let accusation = self.accuse_by_entries(found, numbers)?;
                Ok(accusation.and_then(|accusation| accusation.convincing(self.key)))
            }
            proved => Ok(proved),
        }
    }

    fn accuse_segment(&self, differing: &Differing<S>) -> Result<Option<Accusation>, LedgerError> {
        let sealed = &differing.sealed;
        let record = *sealed.record();
        let Some((seal, levels)) = self.rederivation.newest() else {
            return Ok(None);
        };
        let SegmentId { level, number } = record.id;
        let Some(records) = self.levels.get(usize::from(level)) else {
            return Ok(None);
        };
        let segment = ShownSegment {
            record,
            hashes: records.prove(number, levels.segments(level))?,
        };
        let contradiction = match &differing.difference {
            Difference::Malformed { first_leaf, leaves } => {
                let shown = *first_leaf..first_leaf.saturating_add(*leaves);
                let found = sealed.leaves_at(shown).ok();
                let leaves = found
                    .and_then(|found| sealed.prove(&found, &TermRange::nothing(), &(0..0)).ok());
                let Some(leaves) = leaves else {
                    return Ok(None);
                };
                Contradiction::Form { segment, leaves }
            }
            Difference::Missing(term) | Difference::Extra(term) | Difference::List(term) => {
                let Some(seq) = first_contradiction(differing, term)? else {
                    return Ok(None);
                };
                let Some(entry) = self.entry(seq)? else {
                    return Ok(None);
                };
                let Some(list) = list(differing, term, &(seq..seq.saturating_add(1))) else {
                    return Ok(None);
                };
                let term = term.clone();
                Contradiction::List {
                    segment,
                    term,
                    list,
                    entry,
                }
            }
        };
        self.accusation(*seal, contradiction)
    }

    /// Accuses a seal by all entries of the segments that it added.
    fn accuse_by_entries(
        &self,
        found: &FalseSeal,
        numbers: &Range<u64>,
    ) -> Result<Option<Accusation>, LedgerError> {
        let [span, ..] = INDEX_SPANS;
        let seqs = numbers.start.saturating_mul(span)..numbers.end.saturating_mul(span);
        let size = self.reader.tree().size();
        if numbers.end.saturating_sub(numbers.start) > MAX_ACCUSED_SEGMENTS || seqs.end > size {
            return Ok(None);
        }
        let hashes = prove_range(self.reader.tree(), seqs.start, seqs.end, size);
        let hashes = hashes.map_err(|error| prove_error(error, size))?;
        let entries = seqs.map(|seq| {
            let entry = self.reader.entry(seq)?;
            Ok((entry.header, entry.body))
        });
        let entries = entries.collect::<Result<_, LedgerError>>()?;
        let earlier = found.right.map(|right| self.entry(right)).transpose()?;
        let before = self.rederivation.records_before(numbers.start);
        let contradiction = Contradiction::Entries {
            earlier: earlier.flatten(),
            before: before.hashes().to_vec(),
            entries,
            hashes,
        };
        self.accusation(found.seq, contradiction)
    }

    /// The accusation of the seal `seq`. None if the checkpoint is not over it.
    fn accusation(
        &self,
        seq: u64,
        contradiction: Contradiction,
    ) -> Result<Option<Accusation>, LedgerError> {
        let (Some(first), Some(seal)) = (self.entry(0)?, self.entry(seq)?) else {
            return Ok(None);
        };
        Ok(Some(Accusation {
            verifier_key: self.key.clone(),
            genesis: self.genesis.clone(),
            checkpoint: self.checkpoint.clone(),
            first_entry: (first.header, first.inclusion),
            seal,
            contradiction,
        }))
    }

    /// An entry in the checkpoint's tree. None if it lies behind.
    fn entry(&self, seq: u64) -> Result<Option<ShownEntry>, LedgerError> {
        let size = self.reader.tree().size();
        if seq >= size {
            return Ok(None);
        }
        let inclusion = prove_inclusion(self.reader.tree(), seq, size);
        let entry = self.reader.entry(seq)?;
        Ok(Some(ShownEntry {
            header: entry.header,
            body: entry.body,
            inclusion: inclusion.map_err(|error| prove_error(error, size))?,
        }))
    }
}

/// What the stored segment says about a term in a window of seqs, with the leaf that differs and its neighbours. None if it
/// cannot be read.
fn list<S: Scratch>(
    differing: &Differing<S>,
    term: &Term,
    window: &Range<u64>,
) -> Option<v1::TermProof> {
    let around = differing.leaf.saturating_sub(1)..differing.leaf.saturating_add(2);
    let sealed = &differing.sealed;
    let found = sealed.leaves_at(around).ok()?;
    let range = TermRange::point(term.clone());
    sealed.prove(&found, &range, window).ok()
}

/// The first entry that has the term and is not listed for it, or the other way round.
fn first_contradiction<S: Scratch>(
    differing: &Differing<S>,
    term: &Term,
) -> Result<Option<u64>, LedgerError>
where
    S::Error: Display,
{
    let (built, range) = (&differing.built, TermRange::point(term.clone()));
    let record = differing.sealed.record();
    let window = record.id.seqs();
    let said = list(differing, term, &window)
        .and_then(|shown| check_terms(record, &range, &window, &shown).ok());
    let Some(said) = said else {
        return Ok(None);
    };
    let own = |error: SegmentError<S::Error>| no_room(&error.into());
    let Some(found) = built.find(&range, usize::MAX).map_err(own)? else {
        return Ok(None);
    };
    let have = built.postings(&found, &range, &window).map_err(own)?;
    Ok(have.first_difference(&said, window))
}
