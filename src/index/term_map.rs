//! The terms of consecutive entries, from which a segment is built.

use std::hash::{BuildHasher, Hasher};
use std::ops::Range;

use bytes::Bytes;
use hashbrown::{DefaultHashBuilder, HashTable};

use super::ranges::Ranges;
use super::record::{SegmentId, SegmentRecord};
use super::segment::{SegmentWriter, Sink};
use super::terms::{PRESENCE, presence_value, visit_terms};
use super::walk::walk_terms;
use super::{Facts, Term, TermRange};
use crate::entry::body::check_part;
use crate::entry::{Header, Invalid, Kind, Tag};

/// Tags for which the last term is remembered; those of the fields are below.
const REMEMBERED: usize = 64;
/// Stands for no index.
const NONE: usize = usize::MAX;

/// The terms of consecutive entries, and which entries have each.
///
/// Most entries share most values with the entry before, so the last term of each field is looked at before all others.
#[derive(Debug)]
pub struct TermMap {
    /// Indices of `listed`, by the hash of the term.
    table: HashTable<usize>,
    hasher: DefaultHashBuilder,
    listed: Vec<Listed>,
    /// The values of the terms, one behind the other.
    values: Vec<u8>,
    /// Runs of entries, each with the index of the run before it of the same term.
    runs: Vec<(Range<u32>, usize)>,
    /// The last term of each tag.
    last_of: [usize; REMEMBERED],
    /// The term of each tag's presence.
    presence_of: [usize; REMEMBERED],
    entries: u32,
}

/// A term, and the entries that have it.
#[derive(Debug)]
struct Listed {
    hash: u64,
    tag: u16,
    value: Range<usize>,
    /// The last run of entries.
    last: Range<u32>,
    /// The index of the run before.
    before: usize,
}

impl Default for TermMap {
    fn default() -> Self {
        Self {
            table: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
            listed: Vec::new(),
            values: Vec::new(),
            runs: Vec::new(),
            last_of: [NONE; REMEMBERED],
            presence_of: [NONE; REMEMBERED],
            entries: 0,
        }
    }
}

impl TermMap {
    /// Takes exactly these terms as those of the next entry.
    pub fn push(&mut self, terms: &[Term]) {
        for term in terms {
            self.insert(term.tag, &term.value);
        }
        self.end_entry();
    }

    /// Takes the next entry, decoded.
    pub fn push_entry(&mut self, facts: &Facts) {
        visit_terms(facts, &mut |tag, value| self.insert_of_field(tag, value));
        self.end_entry();
    }

    /// Takes the next entry by its sealed parts, ascending by tag.
    ///
    /// # Errors
    ///
    /// A part is not an encoding of its message.
    pub fn push_parts(&mut self, header: &Header, parts: &[(Tag, Bytes)]) -> Result<(), Invalid> {
        if parts
            .iter()
            .all(|(tag, bytes)| check_part(*tag, bytes).is_ok())
        {
            let parts = parts.iter().map(|(tag, bytes)| (*tag, bytes.as_ref()));
            self.push_canonical(header.kind, parts);
        } else {
            // No door lets such parts in, but what they come to is defined all the same.
            self.push_entry(&Facts::of_parts(header, parts)?);
        }
        Ok(())
    }

    /// Takes the next entry by its parts, ascending by tag, which must be known to be canonical encodings.
    pub fn push_canonical<'a>(&mut self, kind: Kind, parts: impl Iterator<Item = (Tag, &'a [u8])>) {
        walk_terms(kind, parts, &mut |tag, value| {
            self.insert_of_field(tag, value);
        });
        self.end_entry();
    }

    fn end_entry(&mut self) {
        self.entries = self.entries.saturating_add(1);
    }

    fn insert_of_field(&mut self, tag: u16, value: &[u8]) {
        self.insert(tag, value);
        let presence = self.presence_of.get(usize::from(tag)).copied();
        match presence {
            Some(index) if index != NONE => self.add(index),
            _ => {
                let index = self.insert(PRESENCE, &presence_value(tag));
                if let Some(presence) = self.presence_of.get_mut(usize::from(tag)) {
                    *presence = index;
                }
            }
        }
    }

    /// Notes that the current entry has a term; returns the term's index.
    fn insert(&mut self, tag: u16, value: &[u8]) -> usize {
        let last = self.last_of.get(usize::from(tag)).copied().unwrap_or(NONE);
        let index = if is(&self.listed, &self.values, last, tag, value) {
            last
        } else {
            self.find_or_list(tag, value)
        };
        self.add(index);
        if let Some(last) = self.last_of.get_mut(usize::from(tag)) {
            *last = index;
        }
        index
    }

    fn find_or_list(&mut self, tag: u16, value: &[u8]) -> usize {
        let mut hasher = self.hasher.build_hasher();
        hasher.write_u16(tag);
        hasher.write(value);
        let hash = hasher.finish();
        let (listed, values) = (&self.listed, &self.values);
        let same = |index: &usize| is(listed, values, *index, tag, value);
        if let Some(found) = self.table.find(hash, same) {
            return *found;
        }
        let index = self.listed.len();
        let start = self.values.len();
        self.values.extend_from_slice(value);
        self.listed.push(Listed {
            hash,
            tag,
            value: start..self.values.len(),
            last: self.entries..self.entries,
            before: NONE,
        });
        let listed = &self.listed;
        let hash_of = |index: &usize| listed.get(*index).map_or(0, |listed| listed.hash);
        self.table.insert_unique(hash, index, hash_of);
        index
    }

    /// Adds the current entry to those of a term.
    fn add(&mut self, index: usize) {
        let entry = self.entries;
        let Some(listed) = self.listed.get_mut(index) else {
            return;
        };
        if entry > listed.last.end {
            let run = std::mem::replace(&mut listed.last, entry..entry);
            let before = std::mem::replace(&mut listed.before, self.runs.len());
            self.runs.push((run, before));
        }
        listed.last.end = entry.saturating_add(1);
    }

    /// Which entries have a term of the range, the first one that was pushed being 0.
    pub fn entries_with(&self, range: &TermRange) -> Ranges {
        let within = self
            .listed
            .iter()
            .filter(|listed| range.has(listed.tag, self.value(listed)));
        within
            .flat_map(|listed| self.runs_back(listed))
            .map(|run| u64::from(run.start)..u64::from(run.end))
            .collect()
    }

    fn value(&self, listed: &Listed) -> &[u8] {
        self.values.get(listed.value.clone()).unwrap_or_default()
    }

    /// The runs of entries that have a term, the last one first.
    fn runs_back<'a>(&'a self, listed: &'a Listed) -> impl Iterator<Item = &'a Range<u32>> {
        let mut next = Some((&listed.last, listed.before));
        std::iter::from_fn(move || {
            let (run, before) = next?;
            next = self.runs.get(before).map(|(run, before)| (run, *before));
            Some(run)
        })
    }

    /// Writes the segment of these entries.
    pub fn write<S: Sink>(&self, id: SegmentId, sink: S) -> Result<(SegmentRecord, S), S::Error> {
        let value = |listed| self.value(listed);
        let mut terms: Vec<_> = self
            .listed
            .iter()
            .map(|listed| (listed.tag, beginning(value(listed)), listed))
            .collect();
        terms.sort_unstable_by(|(tag, start, listed), (other_tag, other_start, other)| {
            (tag, start)
                .cmp(&(other_tag, other_start))
                .then_with(|| value(listed).cmp(value(other)))
        });
        let mut writer = SegmentWriter::new(id, sink);
        let mut runs = Vec::new();
        for (tag, _, listed) in terms {
            runs.extend(self.runs_back(listed).cloned());
            for run in runs.drain(..).rev() {
                writer.push_run(run)?;
            }
            writer.end_term(tag, value(listed))?;
        }
        writer.finish()
    }
}

/// Whether the term `index` is this one.
fn is(listed: &[Listed], values: &[u8], index: usize, tag: u16, value: &[u8]) -> bool {
    listed
        .get(index)
        .is_some_and(|found| found.tag == tag && values.get(found.value.clone()) == Some(value))
}

/// The first eight bytes of a value as a number, which decides most comparisons.
pub(super) fn beginning(value: &[u8]) -> u64 {
    let mut start = [0; 8];
    let length = value.len().min(8);
    if let (Some(start), Some(value)) = (start.get_mut(..length), value.get(..length)) {
        start.copy_from_slice(value);
    }
    u64::from_be_bytes(start)
}
