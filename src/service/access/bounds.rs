//! The bounds of a grant: which events its holder may send, and which entries it may read.

use prost::Message;
use serde::Deserialize;
use tonic::Status;

use super::{Access, Role, out_of_bounds};
use crate::entry::body::Body;
use crate::entry::names::{IDENTITY_LINK, TARGET_LINK};
use crate::entry::{CheckedEvent, Tag, v1};
use crate::index::filter::{Comparison, Expression, Filter, Literal, Operand, Test};

/// The longest filter that a refusal shows, in bytes.
const MAX_SHOWN_FILTER: usize = 600;

/// Texts that are allowed: each exactly, or with `*` at its end every text that begins so.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Vec<String>")]
pub struct Patterns(Vec<String>);

impl TryFrom<Vec<String>> for Patterns {
    type Error = &'static str;

    fn try_from(patterns: Vec<String>) -> Result<Self, Self::Error> {
        if patterns.is_empty() {
            return Err("an empty list would allow nothing: leave it out to allow everything");
        }
        if patterns.iter().any(String::is_empty) {
            return Err("an empty text matches nothing");
        }
        let star_within = |pattern: &String| star_free(pattern).0.contains('*');
        if patterns.iter().any(star_within) {
            return Err("`*` stands at the end alone");
        }
        Ok(Self(patterns))
    }
}

/// A pattern without its star, and whether it had one.
fn star_free(pattern: &str) -> (&str, bool) {
    match pattern.strip_suffix('*') {
        Some(prefix) => (prefix, true),
        None => (pattern, false),
    }
}

/// Whether `text` is `pattern`, or begins as it does before its `*`.
pub(super) fn matches(pattern: &str, text: &str) -> bool {
    match star_free(pattern) {
        (prefix, true) => text.starts_with(prefix),
        (whole, false) => text == whole,
    }
}

impl Patterns {
    /// As they stand in the policy.
    pub fn texts(&self) -> &[String] {
        &self.0
    }

    fn allow(&self, text: &str) -> bool {
        self.0.iter().any(|pattern| matches(pattern, text))
    }

    /// Whether every text that compares so is allowed.
    fn cover(&self, comparison: &Comparison) -> bool {
        match comparison {
            Comparison::Equal(Literal::Text(text)) => self.allow(text),
            Comparison::Matches(form) => self.0.iter().any(|pattern| {
                let (prefix, star) = star_free(pattern);
                star && form.prefix().starts_with(prefix)
            }),
            _ => false,
        }
    }

    /// The filter that holds for these values of `field`.
    fn filter(&self, field: &str) -> String {
        let quoted = |pattern: &String| {
            let (text, star) = star_free(pattern);
            let text = text.replace('\\', "\\\\").replace('"', "\\\"");
            format!("{field} = \"{text}{}\"", if star { "*" } else { "" })
        };
        any_of(&self.0.iter().map(quoted).collect::<Vec<_>>())
    }
}

fn any_of(filters: &[String]) -> String {
    match filters {
        [only] => only.clone(),
        _ => format!("({})", filters.join(" OR ")),
    }
}

/// What a writer may send. What is none is not bounded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WriterBounds {
    /// The sources it may send for.
    pub sources: Option<Patterns>,
    /// The actions.
    pub actions: Option<Patterns>,
    /// The targets, under their names before and after, and the names of targets that it links.
    pub targets: Option<Patterns>,
    /// The actors it may speak for, those on whose behalf they act, and the identities that it links.
    pub actors: Option<Patterns>,
}

/// Where an event lies outside: the bound, and the field of the event.
type Outside = (&'static str, String);

impl WriterBounds {
    fn is_unbounded(&self) -> bool {
        *self == Self::default()
    }

    fn check(&self, event: &v1::Event) -> Result<(), Outside> {
        let outside = |patterns: &Option<Patterns>, text: &str| {
            let patterns = patterns.as_ref();
            patterns.is_some_and(|patterns| !text.is_empty() && !patterns.allow(text))
        };
        let no = |bound, field: &str| Err((bound, field.to_owned()));
        let what = event.what.as_ref();
        let source = event.context.as_ref().map_or("", |context| &context.source);
        if outside(&self.sources, source) {
            return no("sources", "context.source");
        }
        if outside(&self.actions, what.map_or("", |what| &what.action)) {
            return no("actions", "what.action");
        }
        for (index, target) in what.iter().flat_map(|what| what.targets.iter().enumerate()) {
            if outside(&self.targets, &target.uri) {
                return no("targets", &format!("what.targets[{index}].uri"));
            }
            if outside(&self.targets, &target.previous_uri) {
                return no("targets", &format!("what.targets[{index}].previous_uri"));
            }
        }
        if let Some(who) = &event.who {
            if outside(&self.actors, &who.actor) {
                return no("actors", "who.actor");
            }
            let mut behalf = who.on_behalf_of.iter();
            if let Some(index) = behalf.position(|name| outside(&self.actors, name)) {
                return no("actors", &format!("who.on_behalf_of[{index}]"));
            }
        }
        let Some((what, link)) = what.and_then(|what| Some((what, what.link.as_ref()?))) else {
            return Ok(());
        };
        let (bound, patterns) = match what.action.as_str() {
            TARGET_LINK => ("targets", &self.targets),
            IDENTITY_LINK => ("actors", &self.actors),
            _ => return Ok(()),
        };
        if outside(patterns, &link.from) {
            return no(bound, "what.link.from");
        }
        if outside(patterns, &link.to) {
            return no(bound, "what.link.to");
        }
        Ok(())
    }
}

/// Checks that `access` may append this event, the one at `index` of its request.
pub(in crate::service) fn check_event(
    access: &Access,
    event: &CheckedEvent,
    index: usize,
) -> Result<(), Status> {
    if access.writers().any(WriterBounds::is_unbounded) {
        return Ok(());
    }
    let part = |tag| event.part(tag).map_or(&[][..], |bytes| bytes.as_ref());
    // What was checked can be decoded.
    let undecodable = |_| Status::internal("the event cannot be decoded");
    let decoded = v1::Event {
        who: Some(v1::Who::decode(part(Tag::Who)).map_err(undecodable)?),
        what: Some(v1::What::decode(part(Tag::What)).map_err(undecodable)?),
        context: Some(v1::Context::decode(part(Tag::Context)).map_err(undecodable)?),
        ..Default::default()
    };
    let mut outside = None;
    for bounds in access.writers() {
        match bounds.check(&decoded) {
            Ok(()) => return Ok(()),
            Err(found) => outside = outside.or(Some(found)),
        }
    }
    let (bound, field) = outside.unwrap_or(("role", "event".into()));
    let message =
        format!("event {index}: {field} is outside of the {bound} that this writer is bound to");
    Err(out_of_bounds(Role::Writer, bound, message))
}

/// What a reader may read: entries of which the source is one of these, and at least one target one of those. What is
/// none is not bounded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReaderBounds {
    /// The targets.
    pub targets: Option<Patterns>,
    /// The sources.
    pub sources: Option<Patterns>,
}

impl ReaderBounds {
    pub(super) fn is_unbounded(&self) -> bool {
        *self == Self::default()
    }

    fn bounds(&self) -> impl Iterator<Item = (&'static str, &Patterns)> {
        let targets = self.targets.iter().map(|patterns| ("target", patterns));
        targets.chain(self.sources.iter().map(|patterns| ("source", patterns)))
    }

    fn hold(&self, what: &v1::What, context: &v1::Context) -> bool {
        let any = |patterns: &Patterns| {
            what.targets
                .iter()
                .any(|target| patterns.allow(&target.uri))
        };
        self.targets.as_ref().is_none_or(any)
            && self
                .sources
                .as_ref()
                .is_none_or(|patterns| patterns.allow(&context.source))
    }

    /// Whether every entry that matches lies within.
    fn follow_from(&self, expression: &Expression) -> bool {
        self.bounds()
            .all(|(field, patterns)| follows(expression, field, patterns))
    }

    fn filter(&self) -> String {
        let all: Vec<String> = self
            .bounds()
            .map(|(field, patterns)| patterns.filter(field))
            .collect();
        match all.as_slice() {
            [only] => only.clone(),
            _ => format!("({})", all.join(" AND ")),
        }
    }
}

/// Whether every entry that matches has a value of `field` that the patterns allow.
fn follows(expression: &Expression, field: &str, patterns: &Patterns) -> bool {
    match expression {
        Expression::And(all) => all.iter().any(|inner| follows(inner, field, patterns)),
        Expression::Or(any) => {
            !any.is_empty() && any.iter().all(|inner| follows(inner, field, patterns))
        }
        Expression::Test(Test {
            operand: Operand::Field(tested),
            comparison,
        }) => tested.name == field && patterns.cover(comparison),
        Expression::Test(_) | Expression::Not(_) | Expression::All => false,
    }
}

/// What somebody may read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::service) enum Scope {
    /// Every entry.
    Everything,
    /// What lies within one of these bounds.
    Within(Vec<ReaderBounds>),
}

impl Scope {
    pub(in crate::service) fn is_everything(&self) -> bool {
        *self == Self::Everything
    }

    /// Whether it shows an entry with this body.
    pub(in crate::service) fn shows(&self, body: &Body) -> bool {
        let Self::Within(bounds) = self else {
            return true;
        };
        let (Some(what), Some(context)) = (
            body.disclosed(Tag::What)
                .and_then(|part| v1::What::decode(part.as_ref()).ok()),
            body.disclosed(Tag::Context)
                .and_then(|part| v1::Context::decode(part.as_ref()).ok()),
        ) else {
            return false;
        };
        bounds.iter().any(|bounds| bounds.hold(&what, &context))
    }

    /// Refuses an entry that it does not show.
    pub(in crate::service) fn check_entry(&self, body: &Body) -> Result<(), Status> {
        if self.shows(body) {
            return Ok(());
        }
        let message =
            "the entry is outside of the targets and sources that this reader is bound to";
        Err(out_of_bounds(Role::Reader, "targets,sources", message))
    }

    /// Refuses a question that could have an answer outside, and says what would confine it.
    pub(in crate::service) fn check_filter(&self, filter: &Filter) -> Result<(), Status> {
        let Self::Within(bounds) = self else {
            return Ok(());
        };
        if confines(filter.expression(), bounds) {
            return Ok(());
        }
        let mut message = String::from(
            "this reader is bound to some targets or sources, and the filter could match outside of them",
        );
        let filter = any_of(&bounds.iter().map(ReaderBounds::filter).collect::<Vec<_>>());
        if filter.len() <= MAX_SHOWN_FILTER {
            message = format!("{message}: add {filter} to it");
        }
        Err(out_of_bounds(Role::Reader, "targets,sources", message))
    }

    /// Refuses what cannot be confined, for this reason, to anybody who does not read everything.
    pub(in crate::service) fn check_whole(&self, reason: &str) -> Result<(), Status> {
        if self.is_everything() {
            return Ok(());
        }
        let message = format!("this reader is bound to some targets or sources: {reason}");
        Err(out_of_bounds(Role::Reader, "targets,sources", message))
    }
}

/// Whether every entry that matches lies within one of the bounds. Recurses as deep as the expression is nested.
fn confines(expression: &Expression, bounds: &[ReaderBounds]) -> bool {
    if bounds.iter().any(|bounds| bounds.follow_from(expression)) {
        return true;
    }
    match expression {
        Expression::And(all) => all.iter().any(|inner| confines(inner, bounds)),
        Expression::Or(any) => !any.is_empty() && any.iter().all(|inner| confines(inner, bounds)),
        _ => false,
    }
}
