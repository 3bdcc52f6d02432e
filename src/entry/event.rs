//! An event as it arrives: checked once, then taken apart into the bytes that are sealed.

use bytes::Bytes;
use prost::Message;

use super::canonical::{Reader, check, find_bytes};
use super::invalid::{Invalid, Problem};
use super::parts::Tag;
use super::redaction::Redacted;
use super::ssh_signature::SshSignature;
use super::{MAX_EVENT_BYTES, names, schema, v1};

const ACTOR_SIGNATURE: u32 = 7;
const WHAT_ACTION: u32 = 1;
const WHAT_TARGETS: u32 = 4;
const WHAT_LINK: u32 = 12;
const WHAT_ACT: u32 = 15;
const CONTEXT_SOURCE: u32 = 1;
const CONTEXT_IDEMPOTENCY_ID: u32 = 10;
const WHY_LABELS: u32 = 4;

/// The parts that no event is without, with their names.
pub(crate) const REQUIRED_PARTS: [(Tag, &str); 2] =
    [(Tag::What, "what"), (Tag::Context, "context")];

/// An event that keeps every rule: the parts to seal, as the bytes that were received.
#[derive(Debug, Clone)]
pub struct CheckedEvent {
    /// The parts 2 to 6 that there are, ascending by tag.
    pub parts: Vec<(Tag, Bytes)>,
    /// The actor's signature, not yet verified: that takes the ledger's origin.
    pub actor_signature: Option<v1::ActorSignature>,
    /// The idempotency id; empty when the client gave none.
    pub idempotency_id: Bytes,
    /// What was put out of the parts, if anything.
    pub redacted: Option<Box<Redacted>>,
}

impl CheckedEvent {
    /// Checks the canonical encoding of an [`Event`](v1::Event) from a client.
    pub fn check(event: &Bytes) -> Result<Self, Invalid> {
        if event.is_empty() {
            return Err(Invalid::new("event", Problem::Required));
        }
        if event.len() > MAX_EVENT_BYTES {
            let problem = Problem::TooLong {
                actual: event.len(),
                limit: MAX_EVENT_BYTES,
            };
            return Err(Invalid::new("event", problem));
        }
        check(event, &schema::EVENT)?;
        let mut parts = Vec::with_capacity(5);
        let mut actor_signature = None;
        let mut reader = Reader::new(event);
        while !reader.is_empty() {
            let undecodable = |problem| Invalid::new("event", problem);
            let (number, _) = reader.key().map_err(undecodable)?;
            let value = reader.length_delimited().map_err(undecodable)?;
            match Tag::from_number(number) {
                Some(tag) => parts.push((tag, event.slice_ref(value))),
                None if number == ACTOR_SIGNATURE => {
                    actor_signature = v1::ActorSignature::decode(value).ok();
                }
                None => return Err(undecodable(Problem::UnknownField(number))),
            }
        }
        let mut checked = Self {
            parts,
            actor_signature,
            idempotency_id: Bytes::new(),
            redacted: None,
        };
        checked.check_requirements()?;
        Ok(checked)
    }

    /// The bytes of a part.
    pub fn part(&self, tag: Tag) -> Option<&Bytes> {
        self.parts
            .iter()
            .find(|(found, _)| *found == tag)
            .map(|(_, bytes)| bytes)
    }

    /// Bytes of all parts together.
    pub fn len(&self) -> usize {
        self.parts.iter().map(|(_, bytes)| bytes.len()).sum()
    }

    /// Whether the event has no bytes; never true of one that was checked.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn check_requirements(&mut self) -> Result<(), Invalid> {
        let required = |field| Invalid::new(field, Problem::Required);
        for (tag, field) in REQUIRED_PARTS {
            self.part(tag).ok_or_else(|| required(field))?;
        }
        for (tag, bytes) in &self.parts {
            check_client_part(*tag, bytes)?;
        }
        if let Some(context) = self.part(Tag::Context)
            && let Some(id) = find_bytes(context, CONTEXT_IDEMPOTENCY_ID)
        {
            self.idempotency_id = context.slice_ref(id);
        }
        match &self.actor_signature {
            Some(signature) => check_signature(signature),
            None => Ok(()),
        }
    }
}

/// Checks that an actor's signature is there, once, and that an SSH signature has its form.
fn check_signature(signature: &v1::ActorSignature) -> Result<(), Invalid> {
    const SSH: &str = "actor_signature.ssh_signature";
    let required = |field| Err(Invalid::new(field, Problem::Required));
    let is_ssh = !signature.ssh_signature.is_empty();
    if is_ssh && !(signature.public_key.is_empty() && signature.signature.is_empty()) {
        let beside = "it stands beside public_key or signature";
        return Err(Invalid::new(SSH, Problem::NotCanonical(beside)));
    }
    if is_ssh {
        SshSignature::decode(&signature.ssh_signature)
            .map_err(|problem| Invalid::new(SSH, problem.into()))?;
    } else if signature.public_key.is_empty() {
        return required("actor_signature.public_key");
    } else if signature.signature.is_empty() {
        return required("actor_signature.signature");
    }
    if signature.seed.is_empty() {
        return required("actor_signature.seed");
    }
    Ok(())
}

/// Checks what a client must and must not set in the part `tag`, whose encoding has been checked.
pub(crate) fn check_client_part(tag: Tag, bytes: &[u8]) -> Result<(), Invalid> {
    match tag {
        Tag::What => check_what(bytes),
        Tag::Context if find_bytes(bytes, CONTEXT_SOURCE).is_none() => {
            Err(Invalid::new("context.source", Problem::Required))
        }
        Tag::Why => check_labels_ascend(bytes),
        _ => Ok(()),
    }
}

fn check_what(what: &[u8]) -> Result<(), Invalid> {
    let required = |field| Invalid::new(field, Problem::Required);
    let action = find_bytes(what, WHAT_ACTION).ok_or_else(|| required("what.action"))?;
    let action =
        std::str::from_utf8(action).map_err(|_| Invalid::new("what.action", Problem::NotUtf8))?;
    if names::is_ledger_action(action) {
        return Err(Invalid::new("what.action", Problem::Reserved));
    }
    match (names::form_of_linked(action), find_bytes(what, WHAT_LINK)) {
        (Some(form), Some(link)) => {
            check_link(link, form).map_err(|invalid| invalid.inside("what.link"))?;
        }
        (Some(_), None) => return Err(required("what.link")),
        (None, Some(_)) => {
            let only = Problem::OnlyFor("identity.link and target.link");
            return Err(Invalid::new("what.link", only));
        }
        (None, None) => {
            find_bytes(what, WHAT_TARGETS).ok_or_else(|| required("what.targets"))?;
        }
    }
    check_targets_are_named(what)?;
    if find_bytes(what, WHAT_ACT).is_some() {
        return Err(Invalid::new("what.act", Problem::Reserved));
    }
    Ok(())
}

/// Checks a link whose encoding has been checked. Both names have the form that `form` checks.
fn check_link(link: &[u8], form: names::Form) -> Result<(), Invalid> {
    let link = v1::Link::decode(link)
        .map_err(|_| Invalid::new("", Problem::NotCanonical("it cannot be decoded")))?;
    for (field, name) in [("from", &link.from), ("to", &link.to)] {
        if name.is_empty() {
            return Err(Invalid::new(field, Problem::Required));
        }
        form(name).map_err(|problem| Invalid::new(field, Problem::BadName(problem)))?;
    }
    if link.from == link.to {
        let same = Problem::BadName("is the same name as from".into());
        return Err(Invalid::new("to", same));
    }
    if link.authority.is_empty() {
        return Err(Invalid::new("authority", Problem::Required));
    }
    match (link.valid_from, link.valid_to) {
        (Some(from), Some(to)) if to < from => {
            Err(Invalid::new("valid_to", Problem::Before("valid_from")))
        }
        _ => Ok(()),
    }
}

/// The values of a repeated message field of a checked message.
fn items(message: &[u8], number: u32) -> impl Iterator<Item = &[u8]> {
    let mut reader = Reader::new(message);
    std::iter::from_fn(move || {
        while !reader.is_empty() {
            let (found, wire_type) = reader.key().ok()?;
            if wire_type == 0 {
                reader.varint().ok()?;
                continue;
            }
            let value = reader.length_delimited().ok()?;
            if found == number {
                return Some(value);
            }
        }
        None
    })
}

fn check_targets_are_named(what: &[u8]) -> Result<(), Invalid> {
    const TARGET_URI: u32 = 1;
    match items(what, WHAT_TARGETS).position(|target| find_bytes(target, TARGET_URI).is_none()) {
        Some(index) => Err(Invalid::new(
            format!("what.targets[{index}].uri"),
            Problem::Required,
        )),
        None => Ok(()),
    }
}

fn check_labels_ascend(why: &[u8]) -> Result<(), Invalid> {
    const LABEL_KEY: u32 = 1;
    let keys = items(why, WHY_LABELS).map(|label| find_bytes(label, LABEL_KEY).unwrap_or_default());
    if keys.is_sorted_by(|a, b| a < b) {
        Ok(())
    } else {
        let problem = Problem::NotCanonical("labels ascend by key, each key once");
        Err(Invalid::new("why.labels", problem))
    }
}
