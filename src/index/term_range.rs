//! Ranges of terms.

use std::fmt::{self, Display, Formatter};

use super::terms::term_text;
use super::{FIELDS, Field, FieldKind, Term};

/// A range of terms: from one, included, to another, excluded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TermRange {
    /// The first term of the range.
    pub from: Term,
    /// The first term behind the range.
    pub to: Term,
}

impl TermRange {
    /// The range of one term.
    pub fn point(term: Term) -> Self {
        let mut to = term.clone();
        to.value.push(0);
        Self { from: term, to }
    }

    /// The range without a term.
    pub fn nothing() -> Self {
        let (tag, value) = (0, Vec::new());
        let from = Term { tag, value };
        Self {
            to: from.clone(),
            from,
        }
    }

    /// The values of a field from `from`, included, to `to`, excluded; each end is open when it is `None`.
    pub fn between(tag: u16, from: Option<Vec<u8>>, to: Option<Vec<u8>>) -> Self {
        let value = from.unwrap_or_default();
        let after = Term {
            tag: tag.saturating_add(1),
            value: Vec::new(),
        };
        Self {
            from: Term { tag, value },
            to: to.map_or(after, |value| Term { tag, value }),
        }
    }

    /// The values of a field that begin with `prefix`.
    pub fn prefix(tag: u16, prefix: &[u8]) -> Self {
        let mut behind = prefix.to_vec();
        while let Some(last) = behind.pop() {
            if let Some(next) = last.checked_add(1) {
                behind.push(next);
                return Self::between(tag, Some(prefix.to_vec()), Some(behind));
            }
        }
        Self::between(tag, Some(prefix.to_vec()), None)
    }

    /// The terms of both ranges. There may be none.
    pub(super) fn intersection(&self, other: Self) -> Self {
        let from = self.from.clone().max(other.from);
        let to = self.to.clone().min(other.to).max(from.clone());
        Self { from, to }
    }

    /// Whether a term lies in the range.
    pub fn contains(&self, term: &Term) -> bool {
        self.has(term.tag, &term.value)
    }

    /// The same, for a term by its tag and value.
    pub(super) fn has(&self, tag: u16, value: &[u8]) -> bool {
        let term = (tag, value);
        (self.from.tag, self.from.value.as_slice()) <= term
            && term < (self.to.tag, self.to.value.as_slice())
    }

    /// The same for a value of the range's first term's field.
    pub(super) fn contains_value(&self, value: &[u8]) -> bool {
        let behind = self.to.tag != self.from.tag || value < self.to.value.as_slice();
        self.from.value.as_slice() <= value && behind
    }
}

/// For people, as a plan's explanation shows it. What a value says is not escaped.
impl Display for TermRange {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { from, to } = self;
        if let Some(tag) = from.presence_of() {
            return write!(f, "{}:*", indexed(tag).map_or("?", |field| field.name));
        }
        let Some(Field { name, kind, .. }) = indexed(from.tag) else {
            return f.write_str("?");
        };
        f.write_str(name)?;
        let text = |value| match kind {
            FieldKind::Time => format!("the hour {}", term_text(*kind, value)),
            _ => term_text(*kind, value),
        };
        if Self::point(from.clone()) == *self {
            return write!(f, " = {}", text(&from.value));
        }
        // A number with a zero behind it is what comes behind that number.
        let behind = |value: &'_ [u8]| value.len() == 9 && *kind != FieldKind::Text;
        match from.value.strip_suffix(&[0]) {
            Some(before) if behind(&from.value) => write!(f, " from behind {}", text(before))?,
            _ if !from.value.is_empty() => write!(f, " from {}", text(&from.value))?,
            _ => {}
        }
        match to.value.strip_suffix(&[0]) {
            Some(last) if behind(&to.value) => write!(f, " to {}", text(last)),
            _ if to.tag == from.tag => write!(f, " to before {}", text(&to.value)),
            _ => Ok(()),
        }
    }
}

fn indexed(tag: u16) -> Option<&'static Field> {
    FIELDS.iter().find(|field| field.tag == Some(tag))
}
