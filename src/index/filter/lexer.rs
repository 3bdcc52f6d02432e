//! From text to tokens.

use super::error::{FilterError, FilterProblem};

/// A token, and the number of characters before it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Token {
    pub(super) at: usize,
    pub(super) kind: TokenKind,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum TokenKind {
    /// A name or a value without quotes.
    Word(Text),
    /// A value in quotes.
    Quoted(Text),
    Comparator(&'static str),
    Open,
    Close,
    And,
    Or,
    Not,
    Minus,
    End,
}

/// A text cut at its stars: one piece more than there are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Text(pub(super) Vec<String>);

impl Text {
    /// The text as it was written, stars included.
    pub(super) fn whole(&self) -> String {
        self.0.join("*")
    }
}

const COMPARATORS: [&str; 8] = ["<=", ">=", "!=", "==", "=", "<", ">", ":"];

/// Cuts a filter into tokens; the last is [`TokenKind::End`].
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, FilterError> {
    let characters: Vec<char> = text.chars().collect();
    let mut lexer = Lexer {
        characters: &characters,
        at: 0,
    };
    let mut tokens: Vec<Token> = Vec::new();
    loop {
        lexer.skip_spaces();
        let at = lexer.at;
        let behind_comparator = matches!(
            tokens.last(),
            Some(Token {
                kind: TokenKind::Comparator(_),
                ..
            })
        );
        let kind = lexer.next(behind_comparator)?;
        let end = kind == TokenKind::End;
        tokens.push(Token { at, kind });
        if end {
            return Ok(tokens);
        }
    }
}

struct Lexer<'a> {
    characters: &'a [char],
    at: usize,
}

impl Lexer<'_> {
    fn peek(&self) -> Option<char> {
        self.characters.get(self.at).copied()
    }

    fn skip_spaces(&mut self) {
        while self.peek().is_some_and(char::is_whitespace) {
            self.at += 1;
        }
    }

    fn next(&mut self, value: bool) -> Result<TokenKind, FilterError> {
        let Some(first) = self.peek() else {
            return Ok(TokenKind::End);
        };
        match first {
            '(' => Ok(self.one(TokenKind::Open)),
            ')' => Ok(self.one(TokenKind::Close)),
            '"' | '\'' => self.quoted(first),
            _ if value => Ok(self.word(|c| !c.is_whitespace() && c != '(' && c != ')')),
            '-' => Ok(self.one(TokenKind::Minus)),
            _ => Ok(self.comparator().unwrap_or_else(|| self.name())),
        }
    }

    fn one(&mut self, kind: TokenKind) -> TokenKind {
        self.at += 1;
        kind
    }

    fn comparator(&mut self) -> Option<TokenKind> {
        let rest = self.characters.get(self.at..)?;
        let found = COMPARATORS.into_iter().find(|comparator| {
            let length = comparator.chars().count();
            rest.get(..length)
                .is_some_and(|start| comparator.chars().eq(start.iter().copied()))
        })?;
        self.at += found.len();
        Some(TokenKind::Comparator(found))
    }

    fn name(&mut self) -> TokenKind {
        let word = self.word(|c| !c.is_whitespace() && !"()\"'=<>!:".contains(c));
        let TokenKind::Word(text) = &word else {
            return word;
        };
        match text.whole().as_str() {
            "AND" => TokenKind::And,
            "OR" => TokenKind::Or,
            "NOT" => TokenKind::Not,
            // A character that begins nothing, such as a lone exclamation mark.
            "" => {
                let character = self.peek().map(String::from).unwrap_or_default();
                self.at += 1;
                TokenKind::Word(Text(vec![character]))
            }
            _ => word,
        }
    }

    fn word(&mut self, belongs: impl Fn(char) -> bool) -> TokenKind {
        let mut pieces = vec![String::new()];
        while let Some(character) = self.peek().filter(|c| belongs(*c)) {
            push(&mut pieces, character);
            self.at += 1;
        }
        TokenKind::Word(Text(pieces))
    }

    fn quoted(&mut self, quote: char) -> Result<TokenKind, FilterError> {
        let open = FilterError {
            at: self.at,
            problem: FilterProblem::OpenQuote,
        };
        self.at += 1;
        let mut pieces = vec![String::new()];
        while let Some(character) = self.peek() {
            self.at += 1;
            match character {
                character if character == quote => return Ok(TokenKind::Quoted(Text(pieces))),
                '\\' => {
                    let Some(escaped) = self.peek() else { break };
                    self.at += 1;
                    if let Some(piece) = pieces.last_mut() {
                        piece.push(escaped);
                    }
                }
                character => push(&mut pieces, character),
            }
        }
        Err(open)
    }
}

fn push(pieces: &mut Vec<String>, character: char) {
    match (character, pieces.last_mut()) {
        ('*', _) => pieces.push(String::new()),
        (_, Some(piece)) => piece.push(character),
        (_, None) => {}
    }
}
