//! Texts with wildcards.

/// A text in which `*` stands for any number of characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    /// What stands between the stars; at least two pieces, of which any can be empty.
    pieces: Vec<String>,
}

impl Pattern {
    /// A pattern of these pieces, with a star between each two.
    pub fn new(pieces: Vec<String>) -> Self {
        Self { pieces }
    }

    /// The pieces between the stars.
    pub fn pieces(&self) -> &[String] {
        &self.pieces
    }

    /// What every text of this form begins with.
    pub fn prefix(&self) -> &str {
        self.pieces.first().map_or("", String::as_str)
    }

    /// Whether the form says nothing but how a text begins.
    pub fn is_prefix(&self) -> bool {
        matches!(self.pieces.as_slice(), [_, last] if last.is_empty())
    }

    /// Whether `text` is of this form. Takes time in proportion to the text's length, times that of the longest piece.
    pub fn matches(&self, text: &str) -> bool {
        let [first, middle @ .., last] = self.pieces.as_slice() else {
            return self.pieces.iter().all(|piece| piece == text);
        };
        let Some(mut rest) = text.strip_prefix(first.as_str()) else {
            return false;
        };
        for piece in middle {
            match rest.find(piece.as_str()) {
                Some(at) => rest = rest.get(at + piece.len()..).unwrap_or(""),
                None => return false,
            }
        }
        rest.ends_with(last.as_str())
    }
}
