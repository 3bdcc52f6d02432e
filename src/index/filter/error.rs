//! What is wrong with a filter, and where.

use super::{MAX_COMPARISONS, MAX_FILTER_BYTES, MAX_NESTING};

/// A text that is not a filter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("at character {}: {problem}", .at + 1)]
pub struct FilterError {
    /// Where: the number of characters before it.
    pub at: usize,
    /// What is wrong there.
    pub problem: FilterProblem,
}

/// What is wrong in a filter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FilterProblem {
    /// The text is too long.
    #[error("a filter has at most {MAX_FILTER_BYTES} bytes")]
    TooLong,
    /// There are too many comparisons.
    #[error("a filter has at most {MAX_COMPARISONS} comparisons")]
    TooMany,
    /// Parentheses and NOT are nested too deep.
    #[error("a filter is nested at most {MAX_NESTING} deep")]
    TooDeep,
    /// Something else should stand here.
    #[error("expected {expected}, found {found}")]
    Expected {
        /// What could stand here.
        expected: &'static str,
        /// What does.
        found: String,
    },
    /// A word that other languages have between comparisons stands where a text would be looked for.
    #[error("{word} is looked for as a text here: {instead}, or put it in quotes")]
    NotAnOperator {
        /// The word.
        word: String,
        /// What was probably meant.
        instead: &'static str,
    },
    /// A quote that is not closed.
    #[error("the quoted text does not end")]
    OpenQuote,
    /// There is no such field.
    #[error("there is no field {name:?}{}", .nearest.map_or(String::new(), |near| format!(": did you mean {near}?")))]
    UnknownField {
        /// What was asked for.
        name: String,
        /// The field whose name is nearest.
        nearest: Option<&'static str>,
    },
    /// The field has values of another kind.
    #[error("{field} is compared with {expected}, not with {found:?}")]
    BadValue {
        /// The field.
        field: &'static str,
        /// What its values look like.
        expected: String,
        /// What was given.
        found: String,
    },
    /// The field's values have no order, or no text to look into.
    #[error("{field} cannot be compared with {comparator}")]
    NotComparable {
        /// The field.
        field: &'static str,
        /// The comparator.
        comparator: &'static str,
    },
}

impl FilterError {
    /// The filter on one line, with a mark under the place on the next. Safe to print: what could move the cursor or
    /// reorder text is replaced.
    pub fn caret(&self, filter: &str) -> String {
        const SHOWN: usize = 60;
        let first = self.at.saturating_sub(SHOWN / 2);
        let line: String = filter
            .chars()
            .skip(first)
            .take(SHOWN)
            .map(printable)
            .collect();
        let mark = " ".repeat(self.at - first);
        format!("{line}\n{mark}^")
    }
}

fn printable(character: char) -> char {
    let reorders = matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    match character {
        character if character.is_whitespace() => ' ',
        character if character.is_control() || reorders => '\u{fffd}',
        character => character,
    }
}
