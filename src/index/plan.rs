//! What of a filter the index can answer: ranges of terms, and how their lists are put together.
//!
//! Server and verifier make the same plan of the same filter. It never leaves out an entry that matches; where terms cannot
//! tell, it takes every entry.

use std::ops::Range;

use super::filter::{Comparison, Expression, Filter, Literal, Operand, Pattern, Test};
use super::ranges::Ranges;
use super::terms::{HOUR, MAX_TERM_BYTES, VERSION_TERM_BYTES, behind_scheme, cut, term_value};
use super::{Field, FieldKind, Term, TermRange, Value, field};

/// How a filter is answered from the index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    ranges: Vec<TermRange>,
    node: Node,
    bounds: Bounds,
}

/// Where every match lies, as the filter says by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bounds {
    /// Its seq is one of these.
    pub seqs: Range<u64>,
    /// It was recorded at this time or later, in nanoseconds since 1970.
    pub recorded_from: Option<i64>,
    /// It was recorded before this time.
    pub recorded_before: Option<i64>,
}

/// The entries that a part of the filter leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Node {
    /// All of them.
    All,
    /// Those that have a term of this range, by its index in the plan.
    Terms {
        range: usize,
        /// Whether to have a term is the same as to match.
        exact: bool,
    },
    /// Those with these seqs.
    Seqs(Range<u64>),
    /// All within the bounds, which say the same.
    Bounded,
    And(Vec<Node>),
    Or(Vec<Node>),
    Not(Box<Node>),
}

/// A set that holds every match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidates {
    /// The seqs.
    pub seqs: Ranges,
    /// Whether it holds nothing else, provided that every seq lies within the plan's bounds.
    pub exact: bool,
}

impl Plan {
    /// The plan for a filter.
    pub fn new(filter: &Filter) -> Self {
        let mut ranges = Vec::new();
        let node = plan(filter.expression(), true, &mut ranges);
        let mut bounds = Bounds {
            seqs: 0..u64::MAX,
            recorded_from: None,
            recorded_before: None,
        };
        bounds.narrow(filter.expression());
        Self {
            ranges,
            node,
            bounds,
        }
    }

    /// Where every match lies.
    pub fn bounds(&self) -> &Bounds {
        &self.bounds
    }

    /// The ranges of terms whose lists it needs.
    pub fn ranges(&self) -> &[TermRange] {
        &self.ranges
    }

    /// The filter that does without some ranges of terms: a comparison that one of `dropped` would answer is replaced by one
    /// that every entry passes. Its plan has the other ranges, in their order, and leaves the entries that this one leaves
    /// when the lists of those ranges are not known.
    pub fn without(filter: &Filter, dropped: &[TermRange]) -> Filter {
        // Below NOT and OR the index cannot tell about times, as it cannot about the lists that are left out.
        let every_entry = field("recorded_at").map(|recorded_at| Test {
            operand: Operand::Field(recorded_at),
            comparison: Comparison::GreaterOrEqual(Literal::Time(0)),
        });
        filter.with_tests(&mut |test| {
            let (range, _) = terms_of(test)?;
            every_entry.clone().filter(|_| dropped.contains(&range))
        })
    }

    /// Which ranges are worth reading, given how many entries have a term of each (`None`: not known, and not readable). A
    /// list is left out where a much shorter one narrows the answer to less than its postings would cost.
    pub fn worth_reading(&self, counts: &[Option<u64>]) -> Vec<bool> {
        let mut worth = vec![false; self.ranges.len()];
        self.node.mark_worth(counts, u64::MAX, &mut worth);
        worth
    }

    /// The seqs of `window` that can match. `lists` has, for each range of the plan, the seqs of the window that have one
    /// of its terms; `None` where that is not known.
    pub fn candidates(&self, lists: &[Option<Ranges>], window: &Range<u64>) -> Candidates {
        self.node.answer(lists, window)
    }

    /// At most so many entries can match, given how many have a term of each range (`None`: not known).
    pub fn most(&self, counts: &[Option<u64>]) -> u64 {
        self.node.most(counts)
    }

    /// Whether terms and seqs alone tell who matches.
    pub fn is_exact(&self) -> bool {
        self.node.is_exact()
    }
}

impl Bounds {
    fn narrow(&mut self, expression: &Expression) {
        match expression {
            Expression::And(all) => {
                for inner in all {
                    self.narrow(inner);
                }
            }
            Expression::Test(Test {
                operand: Operand::Field(field),
                comparison,
            }) => match field.name {
                "seq" => self.narrow_seqs(comparison),
                "recorded_at" => self.narrow_times(comparison),
                _ => {}
            },
            _ => {}
        }
    }

    fn narrow_seqs(&mut self, comparison: &Comparison) {
        if let Some(seqs) = seqs(comparison) {
            self.seqs = self.seqs.start.max(seqs.start)..self.seqs.end.min(seqs.end);
        }
    }

    fn narrow_times(&mut self, comparison: &Comparison) {
        let Some((from, before)) = times(comparison) else {
            return;
        };
        self.recorded_from = self.recorded_from.max(from);
        self.recorded_before = match (self.recorded_before, before) {
            (Some(known), Some(before)) => Some(known.min(before)),
            (known, before) => known.or(before),
        };
    }
}

/// An entry costs as much as so many postings.
const POSTINGS_PER_ENTRY: u64 = 700;

impl Node {
    /// At most so many entries are left.
    fn most(&self, counts: &[Option<u64>]) -> u64 {
        match self {
            Self::All | Self::Bounded | Self::Not(_) => u64::MAX,
            Self::Seqs(seqs) => seqs.end.saturating_sub(seqs.start),
            Self::Terms { range, .. } => counts.get(*range).copied().flatten().unwrap_or(u64::MAX),
            Self::And(nodes) => nodes
                .iter()
                .map(|node| node.most(counts))
                .min()
                .unwrap_or(u64::MAX),
            Self::Or(nodes) => {
                let each = nodes.iter().map(|node| node.most(counts));
                each.fold(0, u64::saturating_add)
            }
        }
    }

    /// Marks the ranges that are worth reading when at most `others` entries are left by the rest of the filter.
    fn mark_worth(&self, counts: &[Option<u64>], others: u64, worth: &mut [bool]) {
        match self {
            Self::All | Self::Bounded | Self::Seqs(_) => {}
            Self::Terms { range, .. } => {
                let count = counts.get(*range).copied().flatten();
                let cheap = |count| count <= others.saturating_mul(POSTINGS_PER_ENTRY);
                if let Some(worth) = worth.get_mut(*range).filter(|_| count.is_some_and(cheap)) {
                    *worth = true;
                }
            }
            Self::And(nodes) => {
                let least = self.most(counts).min(others);
                for node in nodes {
                    node.mark_worth(counts, least, worth);
                }
            }
            Self::Or(nodes) => {
                for node in nodes {
                    node.mark_worth(counts, others, worth);
                }
            }
            Self::Not(node) => node.mark_worth(counts, others, worth),
        }
    }

    fn is_exact(&self) -> bool {
        match self {
            Self::All => false,
            Self::Bounded | Self::Seqs(_) => true,
            Self::Terms { exact, .. } => *exact,
            Self::And(nodes) | Self::Or(nodes) => nodes.iter().all(Self::is_exact),
            Self::Not(node) => node.is_exact(),
        }
    }

    fn answer(&self, lists: &[Option<Ranges>], window: &Range<u64>) -> Candidates {
        let all = |exact| Candidates {
            seqs: Ranges::from(window.clone()),
            exact,
        };
        match self {
            Self::All => all(false),
            Self::Bounded => all(true),
            Self::Seqs(seqs) => {
                let start = seqs.start.clamp(window.start, window.end);
                Candidates {
                    seqs: (start..seqs.end.clamp(start, window.end)).into(),
                    exact: true,
                }
            }
            Self::Terms { range, exact } => match lists.get(*range) {
                Some(Some(seqs)) => Candidates {
                    seqs: seqs.clone(),
                    exact: *exact,
                },
                _ => all(false),
            },
            Self::And(nodes) => {
                let mut both = all(true);
                for node in nodes {
                    let next = node.answer(lists, window);
                    both = Candidates {
                        seqs: both.seqs.intersection(&next.seqs),
                        exact: both.exact && next.exact,
                    };
                }
                both
            }
            Self::Or(nodes) => {
                let mut either = Candidates {
                    seqs: Ranges::new(),
                    exact: true,
                };
                for node in nodes {
                    let next = node.answer(lists, window);
                    either = Candidates {
                        seqs: either.seqs.union(&next.seqs),
                        exact: either.exact && next.exact,
                    };
                }
                either
            }
            Self::Not(node) => match node.answer(lists, window) {
                Candidates { seqs, exact: true } => Candidates {
                    seqs: seqs.complement(window.clone()),
                    exact: true,
                },
                Candidates { exact: false, .. } => all(false),
            },
        }
    }
}

/// The plan of an expression. `must`: an entry has to pass it to match.
fn plan(expression: &Expression, must: bool, ranges: &mut Vec<TermRange>) -> Node {
    let mut inner = |inner, must| plan(inner, must, ranges);
    match expression {
        Expression::All => Node::Bounded,
        Expression::And(all) => Node::And(plan_all(all, must, ranges)),
        Expression::Or(any) => Node::Or(any.iter().map(|each| inner(each, false)).collect()),
        Expression::Not(negated) => Node::Not(Box::new(inner(negated, false))),
        Expression::Test(test) => plan_test(test, must, ranges),
    }
}

/// The plans of what must all hold. What is asked of the order of a field's only value is one range of terms: a day is not
/// all hours since it began, and all before it ended.
fn plan_all(all: &[Expression], must: bool, ranges: &mut Vec<TermRange>) -> Vec<Node> {
    let mut nodes = Vec::with_capacity(all.len());
    let mut spans: Vec<(TermRange, bool)> = Vec::new();
    for each in all {
        let Some((range, exact)) = ordered_range(each) else {
            nodes.push(plan(each, must, ranges));
            continue;
        };
        let tag = range.from.tag;
        match spans.iter_mut().find(|(span, _)| span.from.tag == tag) {
            Some((span, whole)) => {
                *span = span.intersection(range);
                *whole &= exact;
            }
            None => spans.push((range, exact)),
        }
    }
    let spans = spans.into_iter();
    nodes.extend(spans.map(|(range, exact)| terms_node(range, exact, ranges)));
    nodes
}

/// The terms of what an expression says about the order of a field that never has two values, if it says just that.
fn ordered_range(expression: &Expression) -> Option<(TermRange, bool)> {
    let Expression::Test(test) = expression else {
        return None;
    };
    let Operand::Field(field) = test.operand else {
        return None;
    };
    let ordered = matches!(
        test.comparison,
        Comparison::Less(_)
            | Comparison::LessOrEqual(_)
            | Comparison::Greater(_)
            | Comparison::GreaterOrEqual(_)
    );
    terms_of(test).filter(|_| ordered && field.has_one_value())
}

fn plan_test(test: &Test, must: bool, ranges: &mut Vec<TermRange>) -> Node {
    if let Operand::Field(field) = test.operand {
        match (field.name, &test.comparison) {
            ("seq" | "recorded_at", Comparison::Present) => return Node::Bounded,
            ("seq", comparison) => return seqs(comparison).map_or(Node::All, Node::Seqs),
            ("recorded_at", comparison) if must && times(comparison).is_some() => {
                return Node::Bounded;
            }
            _ => {}
        }
    }
    match terms_of(test) {
        Some((range, exact)) => terms_node(range, exact, ranges),
        None => Node::All,
    }
}

fn terms_node(range: TermRange, exact: bool, ranges: &mut Vec<TermRange>) -> Node {
    let known = ranges.iter().position(|known| *known == range);
    let range = known.unwrap_or_else(|| {
        ranges.push(range);
        ranges.len() - 1
    });
    Node::Terms { range, exact }
}

/// The seqs that compare so.
fn seqs(comparison: &Comparison) -> Option<Range<u64>> {
    Some(match comparison {
        Comparison::Equal(Literal::Number(seq)) => *seq..seq.saturating_add(1),
        Comparison::Less(Literal::Number(seq)) => 0..*seq,
        Comparison::LessOrEqual(Literal::Number(seq)) => 0..seq.saturating_add(1),
        Comparison::Greater(Literal::Number(seq)) => seq.saturating_add(1)..u64::MAX,
        Comparison::GreaterOrEqual(Literal::Number(seq)) => *seq..u64::MAX,
        _ => return None,
    })
}

/// From when on and before when a time compares so.
fn times(comparison: &Comparison) -> Option<(Option<i64>, Option<i64>)> {
    Some(match comparison {
        Comparison::Equal(Literal::Time(time)) => (Some(*time), Some(time.checked_add(1)?)),
        Comparison::Less(Literal::Time(time)) => (None, Some(*time)),
        Comparison::LessOrEqual(Literal::Time(time)) => (None, Some(time.checked_add(1)?)),
        Comparison::GreaterOrEqual(Literal::Time(time)) => (Some(*time), None),
        Comparison::Greater(Literal::Time(time)) => (Some(time.checked_add(1)?), None),
        _ => return None,
    })
}

/// The terms that an entry must have one of to pass a test, and whether it then does. None when terms cannot tell.
fn terms_of(test: &Test) -> Option<(TermRange, bool)> {
    let Operand::Field(field) = test.operand else {
        return None;
    };
    let tag = field.tag?;
    let ordered = |literal| ordered_term(field, literal);
    let between = |from, to, exact| Some((TermRange::between(tag, from, to), exact));
    match &test.comparison {
        Comparison::Present => Some((TermRange::point(Term::presence(tag)), true)),
        Comparison::Equal(literal) => {
            let (value, whole) = literal_term(field, literal);
            Some((TermRange::point(Term { tag, value }), whole))
        }
        // A value that begins with a shorter one, and goes on, comes behind it.
        Comparison::Less(literal) => match ordered(literal)? {
            (value, whole) if whole || begins_hour(literal) => between(None, Some(value), true),
            (value, _) => between(None, Some(behind(value)), false),
        },
        Comparison::LessOrEqual(literal) => {
            let (value, whole) = ordered(literal)?;
            between(None, Some(behind(value)), whole)
        }
        Comparison::Greater(literal) => match ordered(literal)? {
            (value, true) => between(Some(behind(value)), None, true),
            (value, false) => between(Some(value), None, false),
        },
        Comparison::GreaterOrEqual(literal) => {
            let (value, whole) = ordered(literal)?;
            between(Some(value), None, whole || begins_hour(literal))
        }
        Comparison::Matches(pattern) => prefix_terms(tag, field.kind, pattern),
        Comparison::Contains(_) | Comparison::Label(..) => None,
    }
}

/// The term of a literal, and whether the term stands for it alone.
fn literal_term(field: &Field, literal: &Literal) -> (Vec<u8>, bool) {
    let (value, whole) = match literal {
        Literal::Text(text) if field.kind == FieldKind::Version => {
            let whole = !text.contains(':') && text.len() < VERSION_TERM_BYTES;
            (Value::Text(text), whole)
        }
        Literal::Text(text) => (Value::Text(text), text.len() < MAX_TERM_BYTES),
        Literal::Number(number) => (Value::Number(*number), true),
        // The term is that of the hour.
        Literal::Time(time) => (Value::Time(*time), false),
        Literal::Duration(length) => (Value::Duration(*length), true),
        Literal::True => (Value::True, true),
    };
    (term_value(field.kind, value), whole)
}

/// The same, for fields whose terms are ordered as their values are.
fn ordered_term(field: &Field, literal: &Literal) -> Option<(Vec<u8>, bool)> {
    let ordered = field.kind != FieldKind::Version;
    ordered.then(|| literal_term(field, literal))
}

/// Whether it is the first time of the hour that its term stands for.
fn begins_hour(literal: &Literal) -> bool {
    matches!(literal, Literal::Time(time) if time.rem_euclid(HOUR) == 0)
}

/// The least value above `value`.
fn behind(mut value: Vec<u8>) -> Vec<u8> {
    value.push(0);
    value
}

fn prefix_terms(tag: u16, kind: FieldKind, pattern: &Pattern) -> Option<(TermRange, bool)> {
    let (prefix, most) = match kind {
        FieldKind::Version => (behind_scheme(pattern.prefix()), VERSION_TERM_BYTES),
        _ => (pattern.prefix(), MAX_TERM_BYTES),
    };
    // A scheme is not in the term.
    let whole = prefix == pattern.prefix() && prefix.len() <= most;
    let value = cut(prefix, most);
    let range = TermRange::prefix(tag, value);
    (!value.is_empty()).then(|| (range, whole && pattern.is_prefix()))
}
