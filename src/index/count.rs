//! Counting entries by the values of a field, from terms.
//!
//! A group is the entries that have one term of the field. Of most fields a term is the value; a text of
//! [`MAX_TERM_BYTES`] or more is counted with those that begin as it does, and a time by its hour.

use std::collections::{BTreeMap, BTreeSet};

use super::filter::Truth;
use super::terms::{MAX_TERM_BYTES, term_text, term_value};
use super::{FIELDS, Facts, Field, FieldKind, Ranges, Term, TermRange, field};

/// A field to count by.
#[derive(Debug, Clone, Copy)]
pub struct GroupBy {
    field: &'static Field,
    tag: u16,
}

/// Why a field cannot be counted by.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GroupByError {
    /// There is no such field.
    #[error("there is no field {name:?}{}", .nearest.map_or(String::new(), |near| format!(": did you mean {near}?")))]
    UnknownField {
        /// What was asked for.
        name: String,
        /// The field whose name is nearest.
        nearest: Option<&'static str>,
    },
    /// The index does not have the field's values.
    #[error("entries cannot be counted by {field}, but by {}", names())]
    NotIndexed {
        /// The field.
        field: &'static str,
    },
}

fn names() -> String {
    let fields = FIELDS.iter().filter_map(|field| GroupBy::of(field).ok());
    let names: Vec<&str> = fields.map(|group| group.field.name).collect();
    names.join(", ")
}

/// Some entries: how many, the first and the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// How many.
    pub count: u64,
    /// The seq of the first; 0 when there are none.
    pub first: u64,
    /// The seq of the last; 0 when there are none.
    pub last: u64,
}

/// Entries that were counted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Counts {
    /// All of them.
    pub total: Tally,
    /// How many have no value of the field.
    pub absent: u64,
    /// Those that have one, by the value's term. An entry that has several counts for each.
    pub groups: BTreeMap<Vec<u8>, Tally>,
}

impl GroupBy {
    /// The field called `name`.
    ///
    /// # Errors
    ///
    /// There is no such field, or its terms do not stand for its values.
    pub fn parse(name: &str) -> Result<Self, GroupByError> {
        let field = field(name).ok_or_else(|| GroupByError::UnknownField {
            name: name.chars().take(64).collect(),
            nearest: super::filter::nearest(name),
        })?;
        Self::of(field)
    }

    fn of(field: &'static Field) -> Result<Self, GroupByError> {
        let tag = field.tag.filter(|_| field.kind != FieldKind::Version);
        let tag = tag.ok_or(GroupByError::NotIndexed { field: field.name })?;
        Ok(Self { field, tag })
    }

    /// The field's name.
    pub fn name(&self) -> &'static str {
        self.field.name
    }

    /// The terms of the entries that have a value.
    pub fn presence(&self) -> TermRange {
        TermRange::point(Term::presence(self.tag))
    }

    /// The terms of the field's values, from this one on, to before that one; each end is open when it is none.
    pub fn values(&self, from: Option<&[u8]>, before: Option<&[u8]>) -> TermRange {
        let owned = |value: Option<&[u8]>| value.map(<[u8]>::to_vec);
        TermRange::between(self.tag, owned(from), owned(before))
    }

    /// The terms of an entry's values, each once; none if a part that would say it is not shown.
    pub fn terms(&self, facts: &Facts) -> Option<BTreeSet<Vec<u8>>> {
        let known = self.field.parts.iter().all(|part| facts.knows(*part));
        let mut terms = BTreeSet::new();
        self.field.values(facts, &mut |value| {
            terms.insert(term_value(self.field.kind, value));
        });
        known.then_some(terms)
    }

    /// The value that a term stands for, as a filter has it; of a time the beginning of its hour.
    pub fn value(&self, term: &[u8]) -> String {
        term_text(self.field.kind, term)
    }

    /// Whether a term stands for all values that begin so.
    pub fn is_cut(&self, term: &[u8]) -> bool {
        self.field.kind == FieldKind::Text && term.len() >= MAX_TERM_BYTES
    }
}

impl Tally {
    /// The entries with these seqs.
    pub fn of(seqs: &Ranges) -> Self {
        match seqs.runs() {
            [] => Self::default(),
            [first, ..] => Self {
                count: seqs.len(),
                first: first.start,
                last: seqs.runs().last().map_or(0, |run| run.end - 1),
            },
        }
    }

    /// These and others.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self.count, other.count) {
            (0, _) => other,
            (_, 0) => self,
            _ => Self {
                count: self.count.saturating_add(other.count),
                first: self.first.min(other.first),
                last: self.last.max(other.last),
            },
        }
    }
}

impl Counts {
    /// Counts entries that have one term.
    pub fn add_group(&mut self, term: Vec<u8>, entries: Tally) {
        if entries.count > 0 {
            let group = self.groups.entry(term).or_default();
            *group = group.and(entries);
        }
    }

    /// Counts an entry if it matches. `terms` are those of its values: none when nothing is counted by a field, and none
    /// within when a part is not shown. Values that are not `among` these are left out. What cannot be told is put to `unknown`.
    pub fn add_entry(
        &mut self,
        (seq, truth): (u64, Truth),
        terms: Option<Option<BTreeSet<Vec<u8>>>>,
        among: Option<&TermRange>,
        unknown: &mut Vec<u64>,
    ) {
        let this = Tally {
            count: 1,
            first: seq,
            last: seq,
        };
        match (truth, terms) {
            (Truth::False, _) => {}
            (Truth::Unknown, _) | (Truth::True, Some(None)) => unknown.push(seq),
            (Truth::True, None) => self.total = self.total.and(this),
            (Truth::True, Some(Some(terms))) => {
                self.total = self.total.and(this);
                self.absent += u64::from(terms.is_empty());
                for term in terms {
                    if among.is_none_or(|range| range.contains_value(&term)) {
                        self.add_group(term, this);
                    }
                }
            }
        }
    }
}
