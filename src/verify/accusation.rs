//! An accusation: what shows someone who trusts nobody that the operator sealed a false search index.
//!
//! It stands by itself: the checkpoint and the seal in its tree are the operator's own word, and what is put beside the
//! seal contradicts it. An accusation that does not hold proves nothing, about nobody.

use std::fmt::{self, Display, Formatter};

use super::entry::{CheckedEntry, check_entry, hash_text};
use super::rederive::Deriving;
use super::trust::{open_checkpoint, parse_note};
use super::verdict::{Check, Finding, check_index_of, check_index_sealed};
use crate::entry::body::Body;
use crate::entry::genesis::Genesis;
use crate::entry::{Header, Kind, v1};
use crate::index::{
    Facts, Levels, SegmentId, SegmentRecord, Term, TermRange, check_form, check_terms, has_term,
    term_name,
};
use crate::merkle::{Frontier, Hash, verify_inclusion, verify_range};
use crate::note::{Checkpoint, VerifierKey};

/// An accusation, as a file holds it: see [`Accusation::from_json`].
#[derive(Debug, Clone, PartialEq)]
pub struct Accusation {
    /// The key that the checkpoint is said to be signed by. Nothing is ever believed because of it.
    pub verifier_key: VerifierKey,
    /// What the ledger is.
    pub genesis: Genesis,
    /// The signed checkpoint in whose tree everything lies.
    pub checkpoint: String,
    /// The header of entry 0, which names the genesis hash, and its inclusion.
    pub first_entry: (Header, Vec<Hash>),
    /// The seal.
    pub seal: ShownEntry,
    /// What contradicts it.
    pub contradiction: Contradiction,
}

/// An entry of the checkpoint's tree.
#[derive(Debug, Clone, PartialEq)]
pub struct ShownEntry {
    /// Its header.
    pub header: Header,
    /// Its parts, as far as they are shown.
    pub body: Body,
    /// The inclusion proof, the leaf's sibling first.
    pub inclusion: Vec<Hash>,
}

/// A segment that the seal commits to.
#[derive(Debug, Clone, PartialEq)]
pub struct ShownSegment {
    /// Its record.
    pub record: SegmentRecord,
    /// That it is among the records of its level: hashes in the order of a range proof.
    pub hashes: Vec<Hash>,
}

/// What contradicts a seal.
#[derive(Debug, Clone, PartialEq)]
pub enum Contradiction {
    /// An entry, and a term's list that leaves it out although it has the term, or names it although it has not.
    List {
        /// The segment.
        segment: ShownSegment,
        /// The term.
        term: Term,
        /// What the segment says about the term at the entry's seq.
        list: v1::TermProof,
        /// The entry.
        entry: ShownEntry,
    },
    /// Leaves of a segment, or chunks of one, that are not the form of any segment.
    Form {
        /// The segment.
        segment: ShownSegment,
        /// The leaves and chunks.
        leaves: v1::TermProof,
    },
    /// All entries of the segments of level 0 that the seal has and an earlier one has not: they come to another root.
    Entries {
        /// The earlier seal; none when the seal is the first.
        earlier: Option<ShownEntry>,
        /// The compact range of the records that the earlier seal commits to, the largest subtree first.
        before: Vec<Hash>,
        /// The entries.
        entries: Vec<(Header, Body)>,
        /// That they are consecutive entries of the tree.
        hashes: Vec<Hash>,
    },
    /// Nothing: the seal by itself breaks the rules for seals.
    Seal,
}

/// Segments of level 0 that one seal added and whose entries are put into one accusation, at most.
pub const MAX_ACCUSED_SEGMENTS: u64 = 8;

/// What an accusation comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judgement {
    /// The operator whose key is pinned sealed a false index.
    Proved(Lie),
    /// The same of an operator whose key came along and is pinned by nobody, so that anybody may have made it up.
    Unpinned(Lie),
    /// The accusation does not hold: what is wrong with it.
    NothingProved(Finding),
}

/// How a seal is false.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lie {
    /// The seal.
    pub seal: u64,
    /// What is false, for people. What a value says is not escaped.
    pub what: String,
}

impl Display for Lie {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "entry {}: {}", self.seal, self.what)
    }
}

impl Accusation {
    /// Judges the accusation, believing nothing but the pinned key.
    pub fn judge(&self, pinned: Option<&VerifierKey>) -> Judgement {
        let key = pinned.unwrap_or(&self.verifier_key);
        match (self.check(key), pinned) {
            (Ok(lie), Some(_)) => Judgement::Proved(lie),
            (Ok(lie), None) => Judgement::Unpinned(lie),
            (Err(finding), _) => Judgement::NothingProved(finding),
        }
    }

    /// The accusation with what it says, if it convinces whoever pinned `key`: what does not will convince nobody.
    pub fn convincing(self, key: &VerifierKey) -> Option<(Self, Lie)> {
        match self.judge(Some(key)) {
            Judgement::Proved(lie) | Judgement::Unpinned(lie) => Some((self, lie)),
            Judgement::NothingProved(_) => None,
        }
    }

    fn check(&self, key: &VerifierKey) -> Result<Lie, Finding> {
        let origin = self.genesis.origin();
        if *key != self.verifier_key {
            let found = self.verifier_key.to_string();
            return Err(Finding::of(Check::Key, key.to_string(), found));
        }
        let checkpoint = open_checkpoint(&parse_note(&self.checkpoint)?, origin, key)?;
        let tree = Tree { origin, checkpoint };
        self.check_genesis(&tree)?;
        check_index_of(&self.genesis)?;
        let (seq, seal) = tree.seal(&self.seal)?;
        check_index_sealed(seq, &seal)?;
        let what = match &self.contradiction {
            Contradiction::Seal => broken_seal(seq, &seal)?,
            contradiction => {
                let levels = Levels::of(&seal).filter(|levels| levels.covered() <= seq);
                let levels =
                    levels.ok_or_else(|| nothing("a seal that keeps the rules", "another"))?;
                tree.contradict(seq, &levels, contradiction)?
            }
        };
        Ok(Lie { seal: seq, what })
    }

    fn check_genesis(&self, tree: &Tree<'_>) -> Result<(), Finding> {
        let (header, inclusion) = &self.first_entry;
        tree.check_inclusion(header, inclusion)?;
        let genesis = self.genesis.hash();
        if header.seq == 0 && header.prev == genesis {
            return Ok(());
        }
        let expected = format!("entry 0 after {}", hash_text(&genesis));
        Err(Finding::at(0, Check::Genesis, expected, "another entry"))
    }
}

/// The tree of a signed checkpoint.
struct Tree<'a> {
    origin: &'a str,
    checkpoint: Checkpoint,
}

impl Tree<'_> {
    fn check_inclusion(&self, header: &Header, hashes: &[Hash]) -> Result<(), Finding> {
        let (size, root) = (self.checkpoint.size(), self.checkpoint.root());
        verify_inclusion(header.seq, size, &header.leaf_hash(), hashes, root).map_err(|error| {
            Finding::at(
                header.seq,
                Check::Root,
                "an entry of the tree",
                error.to_string(),
            )
        })
    }

    /// Checks that an entry is what it should be, and in the tree.
    fn check(&self, entry: &ShownEntry) -> Result<CheckedEntry, Finding> {
        let header = &entry.header;
        self.check_inclusion(header, &entry.inclusion)?;
        check_entry(self.origin, header.seq, &header.encode(), &entry.body)
    }

    /// The seq of a seal, and what it says.
    fn seal(&self, entry: &ShownEntry) -> Result<(u64, v1::Seal), Finding> {
        let checked = self.check(entry)?;
        let seq = entry.header.seq;
        let seal = checked
            .seal()
            .filter(|_| entry.header.kind == Kind::Seal)
            .cloned();
        seal.map(|seal| (seq, seal))
            .ok_or_else(|| Finding::at(seq, Check::Index, "a seal", "another entry"))
    }

    /// How this contradicts the seal `seq`. An error if it does not.
    fn contradict(
        &self,
        seq: u64,
        levels: &Levels,
        contradiction: &Contradiction,
    ) -> Result<String, Finding> {
        match contradiction {
            Contradiction::List {
                segment,
                term,
                list,
                entry,
            } => {
                check_segment(levels, segment)?;
                self.contradict_list(&segment.record, term, list, entry)
            }
            Contradiction::Form { segment, leaves } => {
                check_segment(levels, segment)?;
                let wrong = check_form(&segment.record, leaves)
                    .map_err(|error| nothing("leaves of the segment", error.to_string()))?;
                let wrong =
                    wrong.ok_or_else(|| nothing("leaves that break a rule", "right ones"))?;
                Ok(format!(
                    "{} is no segment: {wrong}",
                    segment_name(segment.record.id)
                ))
            }
            Contradiction::Entries {
                earlier,
                before,
                entries,
                hashes,
            } => {
                let records = self.derive(entries, hashes)?;
                let earlier = earlier
                    .as_ref()
                    .map(|earlier| self.seal(earlier))
                    .transpose()?;
                if earlier.as_ref().is_some_and(|(earlier, _)| *earlier >= seq) {
                    return Err(nothing("a seal before it", "a later one"));
                }
                contradict_records(
                    levels,
                    earlier.map(|(_, seal)| seal).as_ref(),
                    before,
                    &records,
                )
            }
            Contradiction::Seal => Err(nothing("a seal that breaks a rule", "a right one")),
        }
    }

    fn contradict_list(
        &self,
        record: &SegmentRecord,
        term: &Term,
        list: &v1::TermProof,
        entry: &ShownEntry,
    ) -> Result<String, Finding> {
        self.check(entry)?;
        let seq = entry.header.seq;
        let segment = segment_name(record.id);
        if !record.id.seqs().contains(&seq) {
            return Err(nothing(
                format!("an entry of {segment}"),
                format!("entry {seq}"),
            ));
        }
        let window = seq..seq.saturating_add(1);
        let listed = check_terms(record, &TermRange::point(term.clone()), &window, list).map_err(
            |error| {
                nothing(
                    format!("the list of a term of {segment}"),
                    error.to_string(),
                )
            },
        )?;
        let facts = facts(&entry.header, &entry.body)?;
        let has = has_term(&facts, term)
            .ok_or_else(|| nothing("the part that says whether it has the term", "it withheld"))?;
        let name = term_name(term);
        match (has, listed.is_empty()) {
            (true, true) => Ok(format!(
                "{segment} leaves out entry {seq}, which has {name}"
            )),
            (false, false) => Ok(format!(
                "{segment} lists entry {seq} for {name}, which it has not"
            )),
            _ => Err(nothing(
                "an entry that contradicts the list",
                "one that agrees",
            )),
        }
    }

    /// The records that consecutive entries come to, which must fill segments of level 0.
    fn derive(
        &self,
        entries: &[(Header, Body)],
        hashes: &[Hash],
    ) -> Result<Vec<SegmentRecord>, Finding> {
        let first = entries.first().map_or(0, |(header, _)| header.seq);
        let span = SegmentId {
            level: 0,
            number: 0,
        }
        .span()
        .max(1);
        if !first.is_multiple_of(span)
            || entries.is_empty()
            || !(entries.len() as u64).is_multiple_of(span)
        {
            return Err(nothing("all entries of some segments of level 0", "others"));
        }
        let mut leaves = Vec::with_capacity(entries.len());
        let mut records = Vec::new();
        let mut deriving = Deriving::new(first / span);
        for ((header, body), seq) in entries.iter().zip(first..) {
            leaves.push(check_entry(self.origin, seq, &header.encode(), body)?.leaf_hash());
            deriving.push(&facts(header, body)?);
            let behind = seq.saturating_add(1);
            if behind.is_multiple_of(span) {
                let derived = deriving.finish();
                let (record, _) = derived.map_err(|(seq, tag)| {
                    nothing(
                        "every part that terms are made of",
                        format!("{} of entry {seq} withheld", tag.name()),
                    )
                })?;
                records.push(record);
                deriving = Deriving::new(behind / span);
            }
        }
        let (size, root) = (self.checkpoint.size(), self.checkpoint.root());
        verify_range(first, &leaves, size, hashes, root).map_err(|error| {
            Finding::at(first, Check::Root, "entries of the tree", error.to_string())
        })?;
        Ok(records)
    }
}

/// Checks that records follow on what an earlier seal commits to, and that this seal commits to something else.
fn contradict_records(
    levels: &Levels,
    earlier: Option<&v1::Seal>,
    before: &[Hash],
    records: &[SegmentRecord],
) -> Result<String, Finding> {
    let earlier = match earlier {
        Some(seal) => Some(
            Levels::of(seal)
                .ok_or_else(|| nothing("an earlier seal that keeps the rules", "another"))?,
        ),
        None => None,
    };
    let sealed = earlier.as_ref().map_or(0, |levels| levels.segments(0));
    let first = records.first().map_or(0, |record| record.id.number);
    let end = first.saturating_add(records.len() as u64);
    if first != sealed || end != levels.segments(0) {
        let expected = format!(
            "the segments from {sealed} to before {} of level 0",
            levels.segments(0)
        );
        return Err(nothing(
            expected,
            format!("those from {first} to before {end}"),
        ));
    }
    let mut tree = Frontier::from_parts(sealed, before.to_vec())
        .map_err(|error| nothing("the compact range of the records before", error.to_string()))?;
    if let Some(earlier) = earlier.as_ref().and_then(|levels| levels.root(0))
        && *earlier != tree.root()
    {
        return Err(nothing(
            "the records that the earlier seal commits to",
            "others",
        ));
    }
    for record in records {
        tree.push(record.leaf_hash());
    }
    if Some(&tree.root()) == levels.root(0) {
        return Err(nothing(
            "entries that come to something else than is sealed",
            "that",
        ));
    }
    let name = match records {
        [one] => segment_name(one.id),
        _ => format!(
            "one of the segments {first} to {} of level 0",
            end.saturating_sub(1)
        ),
    };
    Ok(format!("{name} is not what its entries come to"))
}

/// Which rule a seal breaks by itself. An error if none.
fn broken_seal(seq: u64, seal: &v1::Seal) -> Result<String, Finding> {
    match Levels::of(seal) {
        None => Ok("the seal's levels are not those of an index".into()),
        Some(levels) if levels.covered() > seq => Ok(format!(
            "the seal is over {} entries, more than there are before it",
            levels.covered()
        )),
        Some(_) => Err(nothing("a seal that breaks a rule", "a right one")),
    }
}

/// Checks that the seal commits to the record of a segment.
fn check_segment(levels: &Levels, segment: &ShownSegment) -> Result<(), Finding> {
    let SegmentId { level, number } = segment.record.id;
    let root = levels.root(level).copied().unwrap_or_default();
    let leaf = segment.record.leaf_hash();
    verify_range(
        number,
        &[leaf],
        levels.segments(level),
        &segment.hashes,
        &root,
    )
    .map_err(|error| nothing("a segment that the seal commits to", error.to_string()))
}

fn facts(header: &Header, body: &Body) -> Result<Facts, Finding> {
    Facts::new(header, body).map_err(|invalid| {
        Finding::at(
            header.seq,
            Check::Part,
            "an encoded message",
            invalid.to_string(),
        )
    })
}

fn segment_name(id: SegmentId) -> String {
    let seqs = id.seqs();
    let last = seqs.end.saturating_sub(1);
    format!(
        "segment {} of level {} (entries {} to {last})",
        id.number, id.level, seqs.start
    )
}

fn nothing(expected: impl Into<String>, found: impl Into<String>) -> Finding {
    Finding::of(Check::Index, expected, found)
}
