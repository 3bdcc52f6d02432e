//! Rules that keep secrets out of what is sealed.
//!
//! They are applied to an event after it was checked and before anything of it is hashed, compared, stored or indexed. *Why*
//! and *detail* are changed, and the envelope says by which rule. *Who*, *what* and *context* are the evidence and never are: an
//! event with a secret there is refused, and so is one that its actor has signed. No text that comes out of here, error or
//! log, holds anything of what was found.

mod file;
mod json;
mod rule;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use prost::Message;
use regex::bytes::{RegexSet, RegexSetBuilder};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use tokio::sync::watch;

pub use file::RedactionFile;

use crate::entry::canonical::for_each_text;
use crate::entry::redaction::{DIGEST, Redacted, marker};
use crate::entry::{CheckedEvent, Invalid, MAX_EVENT_BYTES, Problem, Tag, v1};
use rule::{Lines, Rule};

/// The rules that come with the program.
const SHIPPED: &str = include_str!("shipped.toml");
/// The most rules.
const MAX_RULES: usize = 64;
/// The longest text of rules, in bytes.
const MAX_BYTES: usize = 64 * 1024;
/// The largest set of patterns, compiled, in bytes.
const MAX_COMPILED_BYTES: usize = 8 * 1024 * 1024;
/// The longest reason, ticket and review, and value of a label, in bytes.
const MAX_REASON: usize = 4_096;
const MAX_TICKET: usize = 512;
const MAX_LABEL: usize = 1_024;

/// The rules in force, with their text.
#[derive(Debug)]
pub struct Rules {
    shipped: &'static str,
    text: String,
    each: Vec<Rule>,
    /// Where none of these is, nothing is secret.
    needed: RegexSet,
}

/// The rules in force at any time, if there are any.
#[derive(Debug, Clone, Default)]
pub(super) struct Redacting(pub(super) Option<watch::Receiver<Arc<Rules>>>);

impl Redacting {
    /// The event as it may be sealed now.
    pub(super) fn apply(&self, event: CheckedEvent) -> Result<CheckedEvent, Invalid> {
        match &self.0 {
            Some(rules) => rules.borrow().apply(event),
            None => Ok(event),
        }
    }
}

/// A file of rules.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default = "yes")]
    shipped: bool,
    #[serde(default, rename = "rule")]
    rules: Vec<Lines>,
}

fn yes() -> bool {
    true
}

impl Rules {
    /// The rules of a file: those that come with the program, unless it says `shipped = false`, and its own.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.len() > MAX_BYTES {
            let length = text.len();
            return Err(format!(
                "has {length} bytes, at most {MAX_BYTES} are allowed"
            ));
        }
        let file: File = toml::from_str(text).map_err(|error| error.to_string())?;
        let shipped = if file.shipped { SHIPPED } else { "" };
        let ours: File = toml::from_str(shipped).map_err(|error| error.to_string())?;
        let lines = ours.rules.into_iter().chain(file.rules);
        let rules: Vec<Rule> = lines.map(Rule::new).collect::<Result<_, _>>()?;
        if rules.len() > MAX_RULES {
            let count = rules.len();
            return Err(format!(
                "has {count} rules, at most {MAX_RULES} are allowed"
            ));
        }
        let mut names: Vec<&str> = rules.iter().map(|rule| rule.name.as_str()).collect();
        names.sort_unstable();
        if let Some([name, _]) = names.windows(2).find(|pair| pair.first() == pair.last()) {
            return Err(format!("two rules have the name {name:?}"));
        }
        let needed = RegexSetBuilder::new(rules.iter().flat_map(|rule| &rule.needed))
            .size_limit(MAX_COMPILED_BYTES)
            .build()
            .map_err(|error| error.to_string())?;
        Ok(Self {
            shipped,
            text: text.to_owned(),
            each: rules,
            needed,
        })
    }

    /// No rules at all.
    pub fn none() -> Self {
        Self {
            shipped: "",
            text: String::new(),
            each: Vec::new(),
            needed: RegexSet::empty(),
        }
    }

    /// What tells these rules from others: SHA-256 over the shipped text and the operator's, each behind its length, u64.
    pub fn digest(&self) -> [u8; 32] {
        let mut digest = Sha256::new();
        for text in [self.shipped, &self.text] {
            digest.update((text.len() as u64).to_be_bytes());
            digest.update(text);
        }
        digest.finalize().into()
    }

    /// How many rules there are.
    pub fn len(&self) -> usize {
        self.each.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.each.is_empty()
    }

    /// What a ledger seals when these come into force, `occasion` being `start` or `change`.
    fn change(&self, occasion: &str) -> v1::RedactionChange {
        v1::RedactionChange {
            digest: self.digest().to_vec(),
            shipped: self.shipped.to_owned(),
            rules: self.text.clone(),
            occasion: occasion.to_owned(),
        }
    }

    /// The event as it may be sealed.
    ///
    /// # Errors
    ///
    /// A rule matches in a field that is never changed, or in an event that its actor has signed.
    pub fn apply(&self, event: CheckedEvent) -> Result<CheckedEvent, Invalid> {
        if self.is_empty()
            || !event
                .parts
                .iter()
                .any(|(tag, bytes)| self.suspects(*tag, bytes))
        {
            return Ok(event);
        }
        self.apply_to_suspect(event)
    }

    /// Whether something may be secret in the part. In JSON it can be written in other characters.
    fn suspects(&self, tag: Tag, part: &[u8]) -> bool {
        (tag == Tag::Detail && part.contains(&b'\\')) || self.needed.is_match(part)
    }

    fn apply_to_suspect(&self, mut event: CheckedEvent) -> Result<CheckedEvent, Invalid> {
        let mut notes = Notes::new(self);
        let mut parts = Vec::with_capacity(event.parts.len());
        for (tag, bytes) in &event.parts {
            let changed = match tag {
                Tag::Why => self.why(bytes, &mut notes)?,
                Tag::Detail => self.detail(bytes, event.len() - bytes.len(), &mut notes)?,
                _ => {
                    for_each_text(*tag, bytes, &mut |field, value| {
                        self.refuse(*tag, field, value)
                    })?;
                    None
                }
            };
            parts.push((*tag, changed.unwrap_or_else(|| bytes.clone())));
        }
        let notes = notes.into_notes();
        let Some(first) = notes.first() else {
            return Ok(event);
        };
        if event.actor_signature.is_some() {
            return Err(secret(
                &first.field,
                &first.rule,
                "the actor has signed the event",
            ));
        }
        let received = std::mem::replace(&mut event.parts, parts);
        event.redacted = Some(Box::new(Redacted { notes, received }));
        Ok(event)
    }

    /// Refuses something secret where nothing is changed.
    fn refuse(&self, tag: Tag, field: &str, value: &[u8]) -> Result<(), Invalid> {
        let mut rules = self.each.iter();
        match rules.find(|rule| rule.is_for(tag, field) && rule.is_in_value(value)) {
            Some(rule) => Err(secret(field, &rule.name, "this field is never changed")),
            None => Ok(()),
        }
    }

    fn why(&self, part: &[u8], notes: &mut Notes<'_>) -> Result<Option<Bytes>, Invalid> {
        let mut why = decode::<v1::Why>(Tag::Why, part)?;
        let mut changed = false;
        let fields = [
            ("why.reason", &mut why.reason, MAX_REASON),
            ("why.ticket", &mut why.ticket, MAX_TICKET),
            ("why.review", &mut why.review, MAX_TICKET),
        ];
        for (field, text, limit) in fields {
            changed |= notes.at(Tag::Why, field).change_text(text, limit);
        }
        let mut at = notes.at(Tag::Why, "why.labels");
        for (index, label) in why.labels.iter_mut().enumerate() {
            self.refuse(
                Tag::Why,
                &format!("why.labels[{index}].key"),
                label.key.as_bytes(),
            )?;
            let is_secret = !label.value.is_empty() && !rule::is_marker(label.value.as_bytes());
            let rule = json::Judge::by_name(&at, label.key.as_bytes()).filter(|_| is_secret);
            if let Some(rule) = rule {
                json::Judge::note(&mut at, rule);
                label.value = json::Judge::marker(&at, rule);
                changed = true;
            } else {
                changed |= at.change_text(&mut label.value, MAX_LABEL);
            }
        }
        Ok(changed.then(|| why.encode_to_vec().into()))
    }

    /// `others` is how many bytes the other parts of the event have.
    fn detail(
        &self,
        part: &[u8],
        others: usize,
        notes: &mut Notes<'_>,
    ) -> Result<Option<Bytes>, Invalid> {
        let mut detail = decode::<v1::Detail>(Tag::Detail, part)?;
        for (field, text) in [
            ("detail.media_type", &detail.media_type),
            ("detail.original_media_type", &detail.original_media_type),
            (DIGEST, &detail.original_digest),
        ] {
            self.refuse(Tag::Detail, field, text.as_bytes())?;
        }
        let content = notes
            .at(Tag::Detail, "detail.content")
            .rest_of(&detail.content);
        let original = notes
            .at(Tag::Detail, "detail.original")
            .rest_of(&detail.original);
        if content.is_none() && original.is_none() {
            return Ok(None);
        }
        if let Some((_, rule)) = &original
            && !detail.original_digest.is_empty()
        {
            detail.original_digest.clear();
            notes.at(Tag::Detail, DIGEST).add(*rule, 1);
        }
        // Markers can be longer than what they stand for. What would not fit any more is put out as a whole.
        let room = MAX_EVENT_BYTES.saturating_sub(others);
        let shown = |rest: Option<(Vec<u8>, usize)>, sent: &mut Vec<u8>, short: bool| {
            if let Some((rest, rule)) = rest {
                *sent = if short { self.quoted(rule, sent) } else { rest };
            }
        };
        let mut whole = detail.clone();
        shown(content.clone(), &mut whole.content, false);
        shown(original.clone(), &mut whole.original, false);
        if whole.encoded_len() <= room {
            return Ok(Some(whole.encode_to_vec().into()));
        }
        shown(content, &mut detail.content, true);
        shown(original, &mut detail.original, true);
        Ok(Some(detail.encode_to_vec().into()))
    }

    /// The marker of a rule, as a string where JSON was sent.
    fn quoted(&self, rule: usize, sent: &[u8]) -> Vec<u8> {
        let name = self.each.get(rule).map_or("", |rule| &rule.name);
        let marker = marker(name);
        if json::is_json(sent) {
            format!("\"{marker}\"").into_bytes()
        } else {
            marker.into_bytes()
        }
    }
}

/// What was put out so far: how many times, by field and rule.
struct Notes<'a> {
    rules: &'a Rules,
    counts: BTreeMap<(&'static str, usize), u32>,
}

/// The notes of one field.
struct At<'n, 'a> {
    notes: &'n mut Notes<'a>,
    tag: Tag,
    field: &'static str,
}

impl<'a> Notes<'a> {
    fn new(rules: &'a Rules) -> Self {
        Self {
            rules,
            counts: BTreeMap::new(),
        }
    }

    fn at<'n>(&'n mut self, tag: Tag, field: &'static str) -> At<'n, 'a> {
        At {
            notes: self,
            tag,
            field,
        }
    }

    fn into_notes(self) -> Vec<v1::Redaction> {
        let Self { rules, counts } = self;
        let note = |((field, rule), count): ((&str, usize), u32)| v1::Redaction {
            rule: rules
                .each
                .get(rule)
                .map_or_else(String::new, |rule| rule.name.clone()),
            field: field.to_owned(),
            count,
        };
        let mut notes: Vec<v1::Redaction> = counts.into_iter().map(note).collect();
        notes.sort_by(|a, b| (&a.field, &a.rule).cmp(&(&b.field, &b.rule)));
        notes
    }
}

impl<'a> At<'_, 'a> {
    fn add(&mut self, rule: usize, count: u32) {
        let noted = self.notes.counts.entry((self.field, rule)).or_default();
        *noted = noted.saturating_add(count);
    }

    /// The rules that are for this field.
    fn rules(&self) -> impl Iterator<Item = (usize, &'a Rule)> + use<'a> {
        let (tag, field) = (self.tag, self.field);
        let rules: &'a Rules = self.notes.rules;
        let rules = rules.each.iter().enumerate();
        rules.filter(move |(_, rule)| rule.is_for(tag, field))
    }

    /// Puts out of `text` what is secret. One that would have more than `limit` bytes is put out as a whole.
    fn change_text(&mut self, text: &mut String, limit: usize) -> bool {
        let Some((rest, rule)) = json::Judge::put_out(self, text.as_bytes()) else {
            return false;
        };
        *text = match String::from_utf8(rest) {
            Ok(rest) if rest.len() <= limit => rest,
            _ => json::Judge::marker(self, rule),
        };
        true
    }

    /// What is left of `bytes`, in JSON or not, and the first rule that was applied; none if all is.
    fn rest_of(&mut self, bytes: &[u8]) -> Option<(Vec<u8>, usize)> {
        if bytes.is_empty() {
            return None;
        }
        if !json::is_json(bytes) {
            return json::Judge::put_out(self, bytes);
        }
        let rest = json::put_out(bytes, self);
        if rest == bytes {
            return None;
        }
        let field = self.field;
        let mut applied = self.notes.counts.keys();
        let (_, rule) = applied.find(|(noted, _)| *noted == field)?;
        Some((rest, *rule))
    }
}

impl json::Judge for At<'_, '_> {
    fn by_name(&self, name: &[u8]) -> Option<usize> {
        let mut secret = self.rules().filter(|(_, rule)| rule.has_name(name));
        secret.next().map(|(index, _)| index)
    }

    fn put_out(&mut self, text: &[u8]) -> Option<(Vec<u8>, usize)> {
        if !self.notes.rules.needed.is_match(text) {
            return None;
        }
        let mut rest: Option<(Vec<u8>, usize)> = None;
        for (index, rule) in self.rules() {
            let current = rest.as_ref().map_or(text, |(rest, _)| rest);
            if let Some((next, count)) = rule.put_out(current) {
                let first = rest.as_ref().map_or(index, |(_, first)| *first);
                rest = Some((next, first));
                self.add(index, count);
            }
        }
        rest
    }

    fn note(&mut self, rule: usize) {
        self.add(rule, 1);
    }

    fn marker(&self, rule: usize) -> String {
        let rule = self.notes.rules.each.get(rule);
        marker(rule.map_or("", |rule| &rule.name))
    }
}

fn decode<T: Message + Default>(tag: Tag, part: &[u8]) -> Result<T, Invalid> {
    let problem = Problem::NotCanonical("it cannot be decoded");
    T::decode(part).map_err(|_| Invalid::new(tag.name(), problem))
}

fn secret(field: &str, rule: &str, why: &'static str) -> Invalid {
    let rule = rule.to_owned();
    Invalid::new(field, Problem::Secret { rule, why })
}
