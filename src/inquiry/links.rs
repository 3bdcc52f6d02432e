//! Which names meant the same, and when, by the links that a ledger has; and what a filter asks for with all of them.
//!
//! At any moment the links that hold then join names into groups, and a name means every name of its group. So a name
//! reached over several links means the same only while all of these hold. Nothing is concluded from likeness.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::ControlFlow;

use super::question::{Inquiry, Question, any, literal};
use super::times::{Span, Times};
use crate::entry::json::time;
use crate::entry::names::{IDENTITY_LINK, TARGET_LINK};
use crate::index::Facts;
use crate::index::filter::{Comparison, Expression, Filter, FilterError, Literal, Operand, Test};

/// The most names that are followed together.
pub const MAX_NAMES: usize = 512;
/// The most entries of links that are taken together.
pub const MAX_LINKS: usize = 1_024;
/// No name is longer.
const MAX_NAME_BYTES: usize = 4_096;
/// Names that are asked about at once have at most so many bytes together, unless it is one.
const BYTES_A_QUESTION: usize = 4_096;

/// The fields whose values are identities.
const IDENTITIES: [&str; 6] = [
    "actor",
    "submitter",
    "owner",
    "on_behalf_of",
    "grantee",
    "participant",
];
/// The fields whose values are names of targets.
const TARGETS: [&str; 4] = ["target", "previous_target", "input", "output"];

/// What a name is a name of. Names of different kinds never mean the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum NameKind {
    /// Of somebody.
    Identity,
    /// Of a target.
    Target,
}

impl NameKind {
    /// What the values of a field are names of, if they are.
    fn of_field(field: &str) -> Option<Self> {
        if IDENTITIES.contains(&field) {
            Some(Self::Identity)
        } else {
            TARGETS.contains(&field).then_some(Self::Target)
        }
    }

    fn of_action(action: &str) -> Option<Self> {
        match action {
            IDENTITY_LINK => Some(Self::Identity),
            TARGET_LINK => Some(Self::Target),
            _ => None,
        }
    }
}

/// Somebody's word that two names meant the same for some time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The entry that says so.
    pub seq: u64,
    /// What they are names of.
    pub kind: NameKind,
    /// The names.
    pub names: [String; 2],
    /// When they meant the same.
    pub span: Span,
    /// Whose word it is, as claimed.
    pub authority: String,
    /// Who sent it, as the ledger authenticated; empty if that is not shown.
    pub submitter: String,
    /// The entries that said something else before, which this one replaces.
    pub replaces: Vec<u64>,
}

/// A name that means the same as another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alias {
    /// The name.
    pub name: String,
    /// When it meant the same.
    pub times: Times,
    /// The links that it is reached over at last, by seq.
    pub links: Vec<Link>,
}

/// A name of a filter, with what else it means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expansion {
    /// What it is a name of.
    pub kind: NameKind,
    /// The name that was asked for.
    pub name: String,
    /// The other names, ascending.
    pub aliases: Vec<Alias>,
}

/// By whom something is said about which names, since when. What is newer about the same replaces what is older.
type Subject = (NameKind, [String; 2], Option<i64>, String, [String; 2]);

/// Asks for the links of names, and of the names that these lead to.
#[derive(Debug, Default)]
pub struct Links {
    /// The names that were asked for, each once.
    roots: Vec<(NameKind, String)>,
    known: BTreeSet<(NameKind, String)>,
    waiting: VecDeque<(NameKind, String)>,
    statements: BTreeMap<Subject, Link>,
    /// How many entries were taken.
    taken: usize,
    cut_off: bool,
}

impl Links {
    /// Asks for the links of these names.
    pub fn of_names(names: impl IntoIterator<Item = (NameKind, String)>) -> Self {
        let mut links = Self::default();
        for name in names {
            if links.meet(name.clone()) {
                links.roots.push(name);
            }
        }
        links
    }

    /// Asks for the links of the names that a filter compares with.
    pub fn of_filter(filter: &Filter) -> Self {
        Self::of_names(names_of(filter))
    }

    /// Whether there was more than is followed: the expansion then leaves names out.
    pub fn is_cut_off(&self) -> bool {
        self.cut_off
    }

    /// Takes note of a name. Whether it is new, and followed.
    fn meet(&mut self, name: (NameKind, String)) -> bool {
        if name.1.len() > MAX_NAME_BYTES || self.known.contains(&name) {
            return false;
        }
        if self.known.len() >= MAX_NAMES {
            self.cut_off = true;
            return false;
        }
        self.known.insert(name.clone());
        self.waiting.push_back(name);
        true
    }

    /// What else a name means, and when. Ascending by name, without the name itself.
    pub fn resolve(&self, kind: NameKind, name: &str) -> Vec<Alias> {
        let links: Vec<&Link> = self.links(kind).collect();
        let mut found: BTreeMap<&str, (Vec<Span>, BTreeSet<u64>)> = BTreeMap::new();
        for span in stretches(&links) {
            let group = Group::of(name, &span, &links);
            for (other, over) in group.over {
                let (spans, seqs) = found.entry(other).or_default();
                spans.push(span);
                seqs.extend(over);
            }
        }
        let link = |seq: &u64| links.iter().find(|link| link.seq == *seq);
        let alias = |(name, (spans, seqs)): (&str, (Vec<Span>, BTreeSet<u64>))| Alias {
            name: name.to_owned(),
            times: Times::of(spans),
            links: seqs.iter().filter_map(link).copied().cloned().collect(),
        };
        found.into_iter().map(alias).collect()
    }

    /// What each of the names that were asked for means, if it means anything else.
    pub fn expansions(&self) -> Vec<Expansion> {
        let expansion = |(kind, name): &(NameKind, String)| Expansion {
            kind: *kind,
            name: name.clone(),
            aliases: self.resolve(*kind, name),
        };
        let all = self.roots.iter().map(expansion);
        all.filter(|expansion| !expansion.aliases.is_empty())
            .collect()
    }

    /// The newest statements about names of a kind.
    fn links(&self, kind: NameKind) -> impl Iterator<Item = &Link> {
        self.statements
            .values()
            .filter(move |link| link.kind == kind)
    }
}

impl Link {
    /// What an entry says about names, if it does.
    fn new(facts: &Facts) -> Option<(Subject, Self)> {
        let kind = NameKind::of_action(&facts.what.action)?;
        let said = facts.what.link.as_ref()?;
        let mut names = [said.from.clone(), said.to.clone()];
        names.sort_unstable();
        let sender = facts.envelope.submitter.clone().unwrap_or_default();
        let link = Self {
            seq: facts.header.seq,
            kind,
            names: names.clone(),
            span: Span {
                from: said.valid_from,
                to: said.valid_to,
            },
            authority: said.authority.clone(),
            submitter: sender.subject.clone(),
            replaces: Vec::new(),
        };
        let sender = [sender.issuer, sender.subject];
        let subject = (kind, names, said.valid_from, said.authority.clone(), sender);
        Some((subject, link))
    }
}

/// The names that mean the same as one, while no link begins or ends.
struct Group<'a> {
    /// The other names, each with the links that it is in.
    over: BTreeMap<&'a str, Vec<u64>>,
}

impl<'a> Group<'a> {
    fn of(name: &str, span: &Span, links: &[&'a Link]) -> Self {
        let mut beside: BTreeMap<&str, Vec<(&'a str, u64)>> = BTreeMap::new();
        for link in links.iter().filter(|link| link.span.covers(span)) {
            let [a, b] = &link.names;
            beside.entry(a).or_default().push((b, link.seq));
            beside.entry(b).or_default().push((a, link.seq));
        }
        let mut over: BTreeMap<&'a str, Vec<u64>> = BTreeMap::new();
        let mut waiting = vec![name];
        while let Some(at) = waiting.pop() {
            for (other, seq) in beside.remove(at).unwrap_or_default() {
                if other == name {
                    continue;
                }
                if !over.contains_key(other) {
                    waiting.push(other);
                }
                over.entry(other).or_default().push(seq);
            }
        }
        Self { over }
    }
}

/// The stretches of time in which no link begins or ends, ascending.
fn stretches(links: &[&Link]) -> Vec<Span> {
    let ends = links.iter().flat_map(|link| [link.span.from, link.span.to]);
    let ends: BTreeSet<i64> = ends.flatten().collect();
    let from = std::iter::once(None).chain(ends.iter().copied().map(Some));
    let to = ends.iter().copied().map(Some).chain(std::iter::once(None));
    from.zip(to).map(|(from, to)| Span { from, to }).collect()
}

impl Inquiry for Links {
    fn next(&mut self) -> Option<Question> {
        let mut names = Vec::new();
        let mut bytes = 0;
        while let Some((_, name)) = self.waiting.front() {
            bytes += name.len();
            if bytes > BYTES_A_QUESTION && !names.is_empty() {
                break;
            }
            names.push(format!("linked = {}", literal(name)));
            self.waiting.pop_front();
        }
        if names.is_empty() {
            return None;
        }
        let filter = format!(
            "{} AND (action = {IDENTITY_LINK} OR action = {TARGET_LINK})",
            any(&names)
        );
        let question = Question::new(&filter).ok();
        // Never happens, since names are short enough; if it did, names would be left out.
        self.cut_off |= question.is_none();
        question
    }

    fn take(&mut self, facts: &Facts) -> ControlFlow<()> {
        let Some((subject, mut link)) = Link::new(facts) else {
            return ControlFlow::Continue(());
        };
        if self.taken >= MAX_LINKS {
            self.cut_off = true;
            return ControlFlow::Break(());
        }
        self.taken += 1;
        let (kind, names) = (link.kind, link.names.clone());
        if let Some(known) = self.statements.get(&subject) {
            // A link of two names that were asked about at different times comes twice.
            if known.seq >= link.seq {
                return ControlFlow::Continue(());
            }
            link.replaces.clone_from(&known.replaces);
            link.replaces.push(known.seq);
        }
        self.statements.insert(subject, link);
        for name in names {
            self.meet((kind, name));
        }
        ControlFlow::Continue(())
    }
}

/// The names that a filter asks for, in its order.
pub(super) fn names_of(filter: &Filter) -> Vec<(NameKind, String)> {
    let mut names = Vec::new();
    collect(filter.expression(), &mut names);
    names
}

fn collect(expression: &Expression, names: &mut Vec<(NameKind, String)>) {
    match expression {
        Expression::All => {}
        Expression::And(inner) | Expression::Or(inner) => {
            for inner in inner {
                collect(inner, names);
            }
        }
        Expression::Not(inner) => collect(inner, names),
        Expression::Test(test) => names.extend(named(test)),
    }
}

/// The name that a test compares with, if it asks for just that one.
fn named(test: &Test) -> Option<(NameKind, String)> {
    match (test.operand, &test.comparison) {
        (Operand::Field(field), Comparison::Equal(Literal::Text(name))) => {
            Some((NameKind::of_field(field.name)?, name.clone()))
        }
        _ => None,
    }
}

/// Writes filters that ask for every name that a name means.
#[derive(Debug, Default)]
pub struct Expander {
    aliases: BTreeMap<(NameKind, String), Vec<Alias>>,
}

impl Expander {
    /// With these expansions.
    pub fn new(expansions: &[Expansion]) -> Self {
        let aliases = expansions.iter().map(|expansion| {
            let name = (expansion.kind, expansion.name.clone());
            (name, expansion.aliases.clone())
        });
        Self {
            aliases: aliases.collect(),
        }
    }

    /// Whether a name means another at a time, in nanoseconds since 1970.
    pub(super) fn means(&self, kind: NameKind, name: &str, other: &str, when: i64) -> bool {
        let aliases = self.aliases.get(&(kind, name.to_owned()));
        aliases.is_some_and(|aliases| {
            let mut aliases = aliases.iter();
            aliases.any(|alias| alias.name == other && alias.times.contains(when))
        })
    }

    /// The filter that asks for a name or any other that meant the same then, where `filter` asks for the name. It is told
    /// by when something happened, or else by when it was recorded. Patterns stay as they are.
    ///
    /// # Errors
    ///
    /// The filter would be larger than one can be.
    pub fn expand(&self, filter: &Filter) -> Result<Filter, FilterError> {
        Filter::new(self.expression(filter.expression())?)
    }

    fn expression(&self, expression: &Expression) -> Result<Expression, FilterError> {
        let all = |inner: &[Expression]| -> Result<Vec<Expression>, FilterError> {
            inner.iter().map(|inner| self.expression(inner)).collect()
        };
        Ok(match expression {
            Expression::All => Expression::All,
            Expression::And(inner) => Expression::And(all(inner)?),
            Expression::Or(inner) => Expression::Or(all(inner)?),
            Expression::Not(inner) => Expression::Not(Box::new(self.expression(inner)?)),
            Expression::Test(test) => self.test(test)?,
        })
    }

    fn test(&self, test: &Test) -> Result<Expression, FilterError> {
        let mut any = vec![Expression::Test(test.clone())];
        let aliases = named(test).and_then(|name| self.aliases.get(&name));
        for alias in aliases.into_iter().flatten() {
            let same = Expression::Test(Test {
                operand: test.operand,
                comparison: Comparison::Equal(Literal::Text(alias.name.clone())),
            });
            any.push(match while_it_was(&alias.times)? {
                Some(then) => Expression::And(vec![same, then]),
                None => same,
            });
        }
        Ok(match any.as_slice() {
            [only] => only.clone(),
            _ => Expression::Or(any),
        })
    }
}

/// What holds of the entries of these times; none if it holds of all.
fn while_it_was(times: &Times) -> Result<Option<Expression>, FilterError> {
    let within = |field: &str, span: &Span| {
        let bounds = [(">=", span.from), ("<", span.to)];
        let bounds = bounds.into_iter().filter_map(|(comparator, bound)| {
            let time = time::write(bound?)?;
            Some(format!("{field} {comparator} {time}"))
        });
        bounds.collect::<Vec<_>>().join(" AND ")
    };
    let mut spans = Vec::new();
    for span in times.spans() {
        let occurred = within("occurred_at", span);
        if occurred.is_empty() {
            return Ok(None);
        }
        let recorded = within("recorded_at", span);
        spans.push(format!(
            "(({occurred}) OR (NOT occurred_at:* AND {recorded}))"
        ));
    }
    let filter = Filter::parse(&any(&spans))?;
    Ok(Some(filter.expression().clone()))
}
