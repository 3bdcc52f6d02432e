//! From tokens to a tree.

use super::error::{FilterError, FilterProblem};
use super::expression::{Comparison, Expression, Operand, Test};
use super::lexer::{Text, Token, TokenKind, tokens};
use super::literal;
use super::{MAX_COMPARISONS, MAX_FILTER_BYTES, MAX_NESTING};
use crate::index::{FIELDS, Field, FieldKind, field};

/// The fields that `digest` stands for.
const DIGESTS: [&str; 4] = ["before", "after", "input_version", "output_version"];

pub(super) fn parse(text: &str) -> Result<Expression, FilterError> {
    if text.len() > MAX_FILTER_BYTES {
        return Err(FilterError {
            at: 0,
            problem: FilterProblem::TooLong,
        });
    }
    let tokens = tokens(text)?;
    let mut parser = Parser {
        tokens: &tokens,
        next: 0,
        comparisons: 0,
    };
    if parser.peek().kind == TokenKind::End {
        return Ok(Expression::All);
    }
    let expression = parser.expression(0)?;
    match parser.peek().kind {
        TokenKind::End => Ok(expression),
        _ => Err(parser.expected("AND, OR or the end")),
    }
}

struct Parser<'a> {
    tokens: &'a [Token],
    next: usize,
    comparisons: usize,
}

/// What stands behind the last token.
const END: Token = Token {
    at: 0,
    kind: TokenKind::End,
};

impl<'a> Parser<'a> {
    fn peek(&self) -> &'a Token {
        self.tokens
            .get(self.next)
            .or(self.tokens.last())
            .unwrap_or(&END)
    }

    fn take(&mut self) -> &'a Token {
        let token = self.peek();
        self.next += 1;
        token
    }

    fn takes(&mut self, kind: &TokenKind) -> bool {
        let found = self.peek().kind == *kind;
        if found {
            self.next += 1;
        }
        found
    }

    /// Terms side by side or joined by AND.
    fn expression(&mut self, depth: usize) -> Result<Expression, FilterError> {
        let mut all = vec![self.alternatives(depth)?];
        loop {
            let joined = self.takes(&TokenKind::And);
            if !joined && matches!(self.peek().kind, TokenKind::End | TokenKind::Close) {
                return Ok(one_or(all, Expression::And));
            }
            all.push(self.alternatives(depth)?);
        }
    }

    /// Terms joined by OR.
    fn alternatives(&mut self, depth: usize) -> Result<Expression, FilterError> {
        let mut any = vec![self.term(depth)?];
        while self.takes(&TokenKind::Or) {
            any.push(self.term(depth)?);
        }
        Ok(one_or(any, Expression::Or))
    }

    fn term(&mut self, depth: usize) -> Result<Expression, FilterError> {
        let at = self.peek().at;
        if depth > MAX_NESTING {
            let problem = FilterProblem::TooDeep;
            return Err(FilterError { at, problem });
        }
        match &self.peek().kind {
            TokenKind::Not | TokenKind::Minus => {
                self.take();
                Ok(Expression::Not(Box::new(self.term(depth + 1)?)))
            }
            TokenKind::Open => {
                self.take();
                let inner = self.expression(depth + 1)?;
                if self.takes(&TokenKind::Close) {
                    Ok(inner)
                } else {
                    Err(self.expected("a closing parenthesis"))
                }
            }
            TokenKind::Word(_) | TokenKind::Quoted(_) => self.restriction(),
            _ => Err(self.expected("a field, a text, NOT or an opening parenthesis")),
        }
    }

    fn restriction(&mut self) -> Result<Expression, FilterError> {
        let Token { at, kind } = self.take();
        let (TokenKind::Word(text) | TokenKind::Quoted(text)) = kind else {
            return Err(self.expected("a field or a text"));
        };
        let TokenKind::Comparator(comparator) = self.peek().kind else {
            if let (TokenKind::Word(word), Some(instead)) = (kind, meant(&text.whole())) {
                let word = word.whole();
                let problem = FilterProblem::NotAnOperator { word, instead };
                return Err(FilterError { at: *at, problem });
            }
            let comparison = literal::contains(text);
            return self.test(*at, Operand::Anywhere, comparison);
        };
        let comparator_at = self.take().at;
        if comparator == "==" {
            return Err(FilterError {
                at: comparator_at,
                problem: FilterProblem::Expected {
                    expected: "=",
                    found: "==".into(),
                },
            });
        }
        let value_at = self.peek().at;
        let (TokenKind::Word(value) | TokenKind::Quoted(value)) = &self.peek().kind else {
            return Err(self.expected("a value"));
        };
        self.take();
        let name = text.whole();
        if name == "digest" {
            let each = DIGESTS.iter().filter_map(|name| field(name));
            let any = each.map(|field| self.compare(*at, field, comparator, value, value_at));
            return Ok(Expression::Or(any.collect::<Result<_, _>>()?));
        }
        if let Some(("labels", key)) = name.split_once('.') {
            return self.compare_label(*at, key, comparator, value, value_at);
        }
        let field = field(&name).ok_or_else(|| FilterError {
            at: *at,
            problem: FilterProblem::UnknownField {
                nearest: nearest(&name),
                name,
            },
        })?;
        self.compare(*at, field, comparator, value, value_at)
    }

    fn compare(
        &mut self,
        at: usize,
        field: &'static Field,
        comparator: &'static str,
        value: &Text,
        value_at: usize,
    ) -> Result<Expression, FilterError> {
        let fail = |problem| FilterError {
            at: value_at,
            problem,
        };
        if let (FieldKind::Label, ":", [key]) = (field.kind, comparator, value.0.as_slice()) {
            let label = Comparison::Label(key.clone(), Box::new(Comparison::Present));
            return self.test(at, Operand::Field(field), label);
        }
        let parts = literal::comparisons(field, comparator, value).map_err(fail)?;
        self.all_of(at, field, parts)
    }

    fn compare_label(
        &mut self,
        at: usize,
        key: &str,
        comparator: &'static str,
        value: &Text,
        value_at: usize,
    ) -> Result<Expression, FilterError> {
        let Some(labels) = field("labels") else {
            return Err(self.expected("a field"));
        };
        let fail = |problem| FilterError {
            at: value_at,
            problem,
        };
        let parts = literal::text_comparisons(labels, comparator, value).map_err(fail)?;
        let of_key = parts.into_iter().map(|part| literal::Part {
            comparison: Comparison::Label(key.into(), Box::new(part.comparison)),
            ..part
        });
        self.all_of(at, labels, of_key.collect())
    }

    /// All parts of what a restriction stands for.
    fn all_of(
        &mut self,
        at: usize,
        field: &'static Field,
        parts: Vec<literal::Part>,
    ) -> Result<Expression, FilterError> {
        let mut all = Vec::with_capacity(parts.len());
        for part in parts {
            let test = self.test(at, Operand::Field(field), part.comparison)?;
            all.push(if part.negated {
                Expression::Not(Box::new(test))
            } else {
                test
            });
        }
        Ok(one_or(all, Expression::And))
    }

    fn test(
        &mut self,
        at: usize,
        operand: Operand,
        comparison: Comparison,
    ) -> Result<Expression, FilterError> {
        self.comparisons += 1;
        if self.comparisons > MAX_COMPARISONS {
            let problem = FilterProblem::TooMany;
            return Err(FilterError { at, problem });
        }
        Ok(Expression::Test(Test {
            operand,
            comparison,
        }))
    }

    fn expected(&self, expected: &'static str) -> FilterError {
        let Token { at, kind } = self.peek();
        let found = match kind {
            TokenKind::Word(text) | TokenKind::Quoted(text) => format!("{:?}", text.whole()),
            TokenKind::Comparator(comparator) => (*comparator).to_string(),
            TokenKind::Open => "an opening parenthesis".into(),
            TokenKind::Close => "a closing parenthesis".into(),
            TokenKind::And => "AND".into(),
            TokenKind::Or => "OR".into(),
            TokenKind::Not => "NOT".into(),
            TokenKind::Minus => "-".into(),
            TokenKind::End => "the end".into(),
        };
        FilterError {
            at: *at,
            problem: FilterProblem::Expected { expected, found },
        }
    }
}

fn one_or(mut many: Vec<Expression>, join: fn(Vec<Expression>) -> Expression) -> Expression {
    match many.len() {
        1 => many.pop().unwrap_or(Expression::All),
        _ => join(many),
    }
}

/// What was probably meant by a word without a comparison, where the text itself would find nothing and say so as if it
/// were an answer.
fn meant(word: &str) -> Option<&'static str> {
    Some(match word.to_ascii_lowercase().as_str() {
        "and" | "&&" | "&" => "write AND",
        "or" | "||" | "|" => "write OR",
        "not" | "!" => "write NOT",
        "in" => "write = for each value, joined by OR",
        "~" | "=~" | "like" | "matches" => "write = with * for any text",
        _ => return None,
    })
}

/// Names that are tried for a field whose own name has other letters.
const SAID_OTHERWISE: [(&str, &str); 2] = [("attested", "signed"), ("signature", "signed")];

/// The field whose name is nearest, if one is near.
pub(in crate::index) fn nearest(name: &str) -> Option<&'static str> {
    if name.len() > 64 {
        return None;
    }
    if let Some((_, field)) = SAID_OTHERWISE.iter().find(|(said, _)| *said == name) {
        return Some(field);
    }
    let names = FIELDS.iter().map(|field| field.name).chain(["digest"]);
    let (distance, near) = names.map(|known| (distance(name, known), known)).min()?;
    (distance <= 1 + name.len() / 4).then_some(near)
}

/// How many letters to insert, remove or replace to make `to` of `from`.
fn distance(from: &str, to: &str) -> usize {
    let mut row: Vec<usize> = (0..=to.chars().count()).collect();
    for (line, a) in from.chars().enumerate() {
        let mut above_left = line;
        let mut left = line + 1;
        for (b, cell) in to.chars().zip(row.iter_mut().skip(1)) {
            let replaced = above_left + usize::from(a != b);
            above_left = *cell;
            *cell = replaced.min(*cell + 1).min(left + 1);
            left = *cell;
        }
        if let Some(first) = row.first_mut() {
            *first = line + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}
