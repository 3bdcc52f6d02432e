//! Building the search index again from the entries, and holding it against every seal.
//!
//! Level 0 is built from entries, in parallel if need be; every other level is merged from the one below, as it fills. What
//! waits to be merged lies in a [`Scratch`], so memory does not grow with the ledger, but for 82 bytes a segment.

use std::ops::Range;

use bytes::Bytes;

use super::verdict::{Check, Finding, Reason, Verdict, check_index_of, check_index_sealed};
use crate::entry::genesis::Genesis;
use crate::entry::{Tag, v1};
use crate::index::{
    Facts, LEVELS, Levels, MergeError, Segment, SegmentId, SegmentRecord, Sink, Source, TermMap,
    merge,
};
use crate::merkle::{Frontier, Nodes, root_at};

/// The parts that terms are made of. None of them can be erased.
const TERM_PARTS: [Tag; 4] = [Tag::Envelope, Tag::Who, Tag::What, Tag::Context];

/// Where derived segments lie until they are merged.
pub trait Scratch {
    /// Why they cannot lie there.
    type Error;
    /// Takes the bytes of a segment.
    type Sink: Sink<Error = Self::Error>;
    /// Gives them back.
    type Source: Source<Error = Self::Error>;

    /// Makes room for a segment.
    fn create(&self) -> Result<Self::Sink, Self::Error>;
    /// Reads what was written.
    fn finish(&self, sink: Self::Sink) -> Result<Self::Source, Self::Error>;
}

/// The bytes of a derived segment: those of level 0 are few enough to keep.
#[derive(Debug)]
pub enum Kept<S> {
    /// In memory.
    Memory(Bytes),
    /// In the scratch.
    Scratch(S),
}

impl<S: Source> Source for Kept<S> {
    type Error = S::Error;

    fn len(&self) -> u64 {
        match self {
            Self::Memory(bytes) => bytes.len() as u64,
            Self::Scratch(source) => source.len(),
        }
    }

    fn read_at(&self, offset: u64, length: usize) -> Result<Bytes, S::Error> {
        match self {
            Self::Memory(bytes) => {
                let start = usize::try_from(offset)
                    .unwrap_or(usize::MAX)
                    .min(bytes.len());
                let end = start.saturating_add(length).min(bytes.len());
                Ok(bytes.slice(start..end))
            }
            Self::Scratch(source) => source.read_at(offset, length),
        }
    }
}

/// A segment of level 0 while it is built from its entries.
#[derive(Debug)]
pub struct Deriving {
    id: SegmentId,
    terms: TermMap,
    hidden: Option<(u64, Tag)>,
}

/// A segment of level 0 as its entries come to; or the first part of one of them that is not shown, so that it cannot be
/// told.
pub type Derived = Result<(SegmentRecord, Bytes), (u64, Tag)>;

impl Deriving {
    /// The segment `number`.
    pub fn new(number: u64) -> Self {
        Self {
            id: SegmentId { level: 0, number },
            terms: TermMap::default(),
            hidden: None,
        }
    }

    /// Takes the next entry; all of them, in order.
    pub fn push(&mut self, facts: &Facts) {
        let hidden = TERM_PARTS.into_iter().find(|part| !facts.knows(*part));
        self.hidden = self.hidden.or(hidden.map(|part| (facts.header.seq, part)));
        if self.hidden.is_none() {
            self.terms.push_entry(facts);
        }
    }

    /// What they come to.
    pub fn finish(&self) -> Derived {
        if let Some(hidden) = self.hidden {
            return Err(hidden);
        }
        let Ok((record, bytes)) = self.terms.write(self.id, Vec::new());
        Ok((record, bytes.into()))
    }
}

/// Why the index could not be derived.
pub type DeriveError<E> = MergeError<E, E>;

/// A segment that was derived.
pub type DerivedSegment<S> = Segment<Kept<<S as Scratch>::Source>>;

/// An index while it is derived.
pub struct Rederivation<S: Scratch> {
    scratch: S,
    levels: Vec<Level<S>>,
    /// The first part that is not shown. Nothing is derived from there on.
    hidden: Option<(u64, Tag)>,
    newest: Option<(u64, Levels)>,
    seals: u64,
    /// Whether the ledger's index is one that is known here.
    known: bool,
    /// The first thing that says that it is none, or a seal.
    unknown: Option<Finding>,
    first_false: Option<FalseSeal>,
}

struct Level<S: Scratch> {
    /// The number of its first segment.
    first: u64,
    records: Vec<SegmentRecord>,
    tree: Nodes,
    waiting: Vec<DerivedSegment<S>>,
    /// The last seal that was found right about this level, and over how many segments.
    right: Option<(u64, u64)>,
}

/// A seal that does not commit to what the entries come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FalseSeal {
    /// Its seq.
    pub seq: u64,
    /// The lowest level that is false, and its segments since the last seal that was right about it: one of them is. None
    /// when the seal breaks the rules for every seal.
    pub segments: Option<(u8, Range<u64>)>,
    /// That last seal, if there is one.
    pub right: Option<u64>,
}

/// What deriving an index came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rederived {
    /// The segments, of all levels, that the newest seal commits to and that were derived.
    pub segments: u64,
    /// The newest seal, and the seq behind the last entry that it covers.
    pub newest: Option<(u64, u64)>,
    /// Seals that were checked.
    pub seals: u64,
    /// The first that is false.
    pub first_false: Option<FalseSeal>,
    /// Why some could not be checked.
    pub doubt: Option<Reason>,
}

impl<S: Scratch> Rederivation<S> {
    /// The index of a ledger before its first entry. Of one that is not known here nothing is derived, nor called false.
    pub fn new(genesis: &Genesis, scratch: S) -> Self {
        let whole = SegmentId {
            level: 0,
            number: 0,
        };
        let unknown = check_index_of(genesis).err();
        Self {
            known: unknown.is_none(),
            unknown,
            ..Self::of(whole, scratch)
        }
    }

    /// The part of an index that is one segment, before its first entry.
    pub fn of(id: SegmentId, scratch: S) -> Self {
        let levels = (0u8..).take(LEVELS).map(|level| Level {
            first: id.seqs().start / span_of(level),
            records: Vec::new(),
            tree: Nodes::default(),
            waiting: Vec::new(),
            right: None,
        });
        Self {
            scratch,
            levels: levels.collect(),
            hidden: None,
            newest: None,
            seals: 0,
            known: true,
            unknown: None,
            first_false: None,
        }
    }

    /// Takes the next segment of level 0, and merges what it fills.
    pub fn push(&mut self, derived: Derived) -> Result<(), DeriveError<S::Error>> {
        if self.hidden.is_some() || !self.known {
            return Ok(());
        }
        let (record, bytes) = match derived {
            Ok(derived) => derived,
            Err(hidden) => {
                self.hidden = Some(hidden);
                return Ok(());
            }
        };
        let mut next = Some(Segment::open(Kept::Memory(bytes), record)?);
        for level in 0..LEVELS {
            let Some(segment) = next.take() else { break };
            next = self.add(level, segment)?;
        }
        Ok(())
    }

    /// Adds a segment. Gives the one of the next level that it fills.
    fn add(
        &mut self,
        level: usize,
        segment: DerivedSegment<S>,
    ) -> Result<Option<DerivedSegment<S>>, DeriveError<S::Error>> {
        let above = u8::try_from(level + 1).unwrap_or(u8::MAX);
        let Some(level) = self.levels.get_mut(level) else {
            return Ok(None);
        };
        let record = *segment.record();
        level.tree.push(record.leaf_hash());
        level.records.push(record);
        if usize::from(above) == LEVELS {
            level.waiting = vec![segment];
            return Ok(None);
        }
        level.waiting.push(segment);
        let id = SegmentId {
            level: above,
            number: record.id.seqs().start / span_of(above),
        };
        if id.parts().len() > level.waiting.len() {
            return Ok(None);
        }
        let sink = self.scratch.create().map_err(MergeError::Write)?;
        let (merged, sink) = merge(id, &std::mem::take(&mut level.waiting), sink)?;
        let source = self.scratch.finish(sink).map_err(MergeError::Write)?;
        Ok(Some(Segment::open(Kept::Scratch(source), merged)?))
    }

    /// Checks the seal that is entry `seq`. Every segment below it must have been pushed.
    pub fn check_seal(&mut self, seq: u64, seal: &v1::Seal) {
        let unknown = check_index_sealed(seq, seal).err();
        if !self.known || unknown.is_some() {
            self.unknown = self.unknown.take().or(unknown);
            return;
        }
        let Some(levels) = Levels::of(seal).filter(|levels| levels.covered() <= seq) else {
            self.found_false(FalseSeal {
                seq,
                segments: None,
                right: None,
            });
            return;
        };
        let derived = self
            .levels
            .first()
            .map_or(0, |level| level.records.len() as u64);
        if self.hidden.is_some() && levels.segments(0) > derived {
            return;
        }
        self.seals += 1;
        let mut wrong = None;
        for (level, number) in self.levels.iter_mut().zip(0u8..) {
            let segments = levels.segments(number);
            if segments == 0 {
                continue;
            }
            let before = level.right;
            if root_at(&level.tree, segments).ok().as_ref() == levels.root(number) {
                level.right = Some((seq, segments));
            } else if wrong.is_none() {
                let from = before.map_or(0, |(_, segments)| segments).min(segments - 1);
                let segments = Some((number, from..segments));
                wrong = Some(FalseSeal {
                    seq,
                    segments,
                    right: before.map(|(seal, _)| seal),
                });
            }
        }
        if let Some(wrong) = wrong {
            self.found_false(wrong);
        }
        self.newest = Some((seq, levels));
    }

    fn found_false(&mut self, found: FalseSeal) {
        self.first_false.get_or_insert(found);
    }

    /// What a segment of any level comes to, if it was derived.
    pub fn record(&self, id: SegmentId) -> Option<&SegmentRecord> {
        let level = self.levels.get(usize::from(id.level))?;
        let index = id.number.checked_sub(level.first)?;
        level.records.get(usize::try_from(index).ok()?)
    }

    /// Takes the segment that was derived last on a level, unless it was merged.
    pub fn take_last(&mut self, level: u8) -> Option<DerivedSegment<S>> {
        self.levels.get_mut(usize::from(level))?.waiting.pop()
    }

    /// The compact range of the records of the first `segments` segments of level 0.
    pub fn records_before(&self, segments: u64) -> Frontier {
        let mut tree = Frontier::new();
        let records = self.levels.first().map(|level| level.records.as_slice());
        let count = usize::try_from(segments).unwrap_or(usize::MAX);
        for record in records.unwrap_or_default().iter().take(count) {
            tree.push(record.leaf_hash());
        }
        tree
    }

    /// The newest seal that keeps the rules for every seal, and what it commits to.
    pub fn newest(&self) -> Option<&(u64, Levels)> {
        self.newest.as_ref()
    }

    /// What it came to.
    pub fn report(&self) -> Rederived {
        let newest = self.newest.as_ref();
        let segments = self.levels.iter().zip(0u8..).map(|(level, number)| {
            let sealed = newest.map_or(0, |(_, levels)| levels.segments(number));
            sealed.min(level.records.len() as u64)
        });
        let hidden = self
            .hidden
            .map(|(seq, tag)| Reason::NotRederived { seq, tag });
        let unknown = self.unknown.as_ref().map(|finding| Reason::UnknownIndex {
            index: finding.found.clone(),
        });
        Rederived {
            segments: segments.sum(),
            newest: newest.map(|(seq, levels)| (*seq, levels.covered())),
            seals: self.seals,
            first_false: self.first_false.clone(),
            doubt: hidden.or(unknown),
        }
    }
}

fn span_of(level: u8) -> u64 {
    SegmentId { level, number: 0 }.span().max(1)
}

impl Rederived {
    /// The verdict over the index.
    pub fn verdict(&self) -> Verdict {
        match (&self.first_false, &self.doubt) {
            (Some(found), _) => Verdict::Tampered(found.finding()),
            (None, Some(reason)) => Verdict::CouldNotCheck(vec![reason.clone()]),
            (None, None) => Verdict::Ok,
        }
    }
}

impl FalseSeal {
    /// What is wrong.
    pub fn finding(&self) -> Finding {
        let Some((level, numbers)) = &self.segments else {
            let expected = "a seal over entries before it that keeps the rules for seals";
            return Finding::at(self.seq, Check::Index, expected, "another");
        };
        let first = SegmentId {
            level: *level,
            number: numbers.start,
        };
        let last = SegmentId {
            level: *level,
            number: numbers.end.saturating_sub(1),
        };
        let seqs = format!("entries {} to {}", first.seqs().start, last.seqs().end - 1);
        let which = if first == last {
            format!("segment {} of level {level} ({seqs})", first.number)
        } else {
            format!(
                "segments {} to {} of level {level} ({seqs})",
                first.number, last.number
            )
        };
        let expected = format!("{which} as those entries have it");
        Finding::at(
            self.seq,
            Check::Index,
            expected,
            "a seal over something else",
        )
    }
}
