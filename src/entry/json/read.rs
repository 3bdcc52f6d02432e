//! From JSON to an event.

use bytes::Bytes;
use prost::Message;

use super::super::{Tag, v1};
use super::object::{Object, Value};
use super::{JsonError, content, time, words};

/// Fields of a row that only a ledger sets.
const SET_BY_LEDGER: [&str; 15] = [
    "seq",
    "recorded_at",
    "kind",
    "submitter",
    "act",
    "issuer",
    "authentication",
    "credential",
    "peer",
    "mapper",
    "actor_signature",
    "redactions",
    "withheld",
    "erased",
    "leaf_hash",
];

/// Reads an event as a client types it.
///
/// This checks the form alone: names, lengths and what is required are checked by
/// [`CheckedEvent::check`](crate::entry::CheckedEvent::check) on the [encoding](encode).
pub fn read(json: &str) -> Result<v1::Event, JsonError> {
    let object = Object::read(Value::whole(json)?)?;
    match object.find(&SET_BY_LEDGER) {
        Some(name) => Err(object.problem(name, "is set by the ledger alone")),
        None => event(object),
    }
}

/// Reads the event out of a [`Row`](super::Row) as it was written, without what the ledger added.
pub fn read_row(json: &str) -> Result<v1::Event, JsonError> {
    let mut object = Object::read(Value::whole(json)?)?;
    object.ignore(&SET_BY_LEDGER);
    event(object)
}

/// The canonical encoding of an event: what is sent and checked.
pub fn encode(event: &v1::Event) -> Bytes {
    event.encode_to_vec().into()
}

fn event(mut object: Object<'_>) -> Result<v1::Event, JsonError> {
    let what = what(&mut object)?;
    let who = who(&mut object)?;
    let context = context(&mut object)?;
    let why = why(&mut object)?;
    let detail = detail(&mut object)?;
    let empty = object.list("empty", |part| Ok((part.text()?, part)))?;
    object.finish()?;
    let mut event = v1::Event {
        who: said(who),
        what: said(what),
        context: said(context),
        why: said(why),
        detail: said(detail),
        actor_signature: None,
    };
    for (name, part) in empty {
        add_empty(&mut event, &name)
            .map_err(|problem| part.problem(format!("{name:?} {problem}")))?;
    }
    Ok(event)
}

/// A part, unless it says nothing.
fn said<T: Message + Default + PartialEq>(part: T) -> Option<T> {
    (part != T::default()).then_some(part)
}

fn add_empty(event: &mut v1::Event, name: &str) -> Result<(), &'static str> {
    fn add<T: Default>(part: &mut Option<T>) -> bool {
        let missing = part.is_none();
        part.get_or_insert_default();
        missing
    }
    let added = match Tag::ALL.into_iter().find(|tag| tag.name() == name) {
        Some(Tag::Who) => add(&mut event.who),
        Some(Tag::What) => add(&mut event.what),
        Some(Tag::Context) => add(&mut event.context),
        Some(Tag::Why) => add(&mut event.why),
        Some(Tag::Detail) => add(&mut event.detail),
        Some(Tag::Envelope) | None => return Err("is none of who, what, context, why, detail"),
    };
    if added { Ok(()) } else { Err("is not empty") }
}

fn who(object: &mut Object<'_>) -> Result<v1::Who, JsonError> {
    let actor = object.text("actor")?;
    let assurance = object.optional("assurance", |value| value.word(&words::ASSURANCE))?;
    let default = if actor.is_empty() {
        v1::Assurance::Unspecified
    } else {
        v1::Assurance::Asserted
    };
    Ok(v1::Who {
        actor,
        assurance: assurance.unwrap_or(default as i32),
        display_name: object.text("display_name")?,
        on_behalf_of: object.texts("on_behalf_of")?,
        session: object.optional("session", session)?,
    })
}

fn session(value: Value<'_>) -> Result<v1::Session, JsonError> {
    let mut object = Object::read(value)?;
    let session = v1::Session {
        id: object.text("id")?,
        method: object.text("method")?,
        credential: object.text("credential")?,
        terminal: object.text("terminal")?,
    };
    object.finish()?;
    Ok(session)
}

fn what(object: &mut Object<'_>) -> Result<v1::What, JsonError> {
    Ok(v1::What {
        action: object.text("action")?,
        outcome: object.word("outcome", &words::OUTCOME)?,
        outcome_code: object.text("outcome_code")?,
        targets: targets(object)?,
        run: object.optional("run", run)?,
        inputs: object.list("inputs", reference)?,
        outputs: object.list("outputs", reference)?,
        code: object.optional("code", code)?,
        grantee: object.text("grantee")?,
        permission: object.text("permission")?,
        participants: object.texts("participants")?,
        link: object.optional("link", link)?,
        act: None,
    })
}

fn targets(object: &mut Object<'_>) -> Result<Vec<v1::Target>, JsonError> {
    let one = object.optional("target", target)?;
    let mut targets = object.list("targets", target)?;
    if let Some(one) = one {
        if !targets.is_empty() {
            return Err(object.problem("target", "is given beside targets"));
        }
        targets.push(one);
    }
    let owner = object.text("owner")?;
    if owner.is_empty() {
        return Ok(targets);
    }
    match targets.as_mut_slice() {
        [only] if only.owner.is_empty() => only.owner = owner,
        [_] => return Err(object.problem("owner", "is given in the target too")),
        _ => return Err(object.problem("owner", "needs exactly one target")),
    }
    Ok(targets)
}

fn target(value: Value<'_>) -> Result<v1::Target, JsonError> {
    if value.is_text() {
        return Ok(v1::Target {
            uri: value.text()?,
            ..v1::Target::default()
        });
    }
    let mut object = Object::read_or(value, "the name of a target or an object")?;
    let target = v1::Target {
        uri: object.text("uri")?,
        instance: object.text("instance")?,
        before: object.optional("before", version)?,
        after: object.optional("after", version)?,
        owner: object.text("owner")?,
        previous_uri: object.text("previous_uri")?,
        seen_as: object.text("seen_as")?,
        r#ref: object.text("ref")?,
        format: object.text("format")?,
    };
    object.finish()?;
    Ok(target)
}

fn version(value: Value<'_>) -> Result<v1::Version, JsonError> {
    if value.is_text() {
        let text = value.text()?;
        let known = words::number(&words::VERSION_STATE, &text).filter(|state| *state > 0);
        return Ok(match known {
            Some(state) => v1::Version {
                state,
                ..v1::Version::default()
            },
            None => v1::Version {
                ids: vec![text],
                ..v1::Version::default()
            },
        });
    }
    if value.is_array() {
        return Ok(v1::Version {
            ids: value.texts()?,
            ..v1::Version::default()
        });
    }
    let mut object = Object::read_or(value, "an id, an array of ids, a word or an object")?;
    let version = v1::Version {
        ids: object.texts("ids")?,
        state: object.word("state", &words::VERSION_STATE)?,
        size: object.uint64("size")?,
    };
    object.finish()?;
    Ok(version)
}

fn run(value: Value<'_>) -> Result<v1::Run, JsonError> {
    if value.is_text() {
        return Ok(v1::Run {
            id: value.text()?,
            ..v1::Run::default()
        });
    }
    let mut object = Object::read_or(value, "the id of a run or an object")?;
    let run = v1::Run {
        namespace: object.text("namespace")?,
        job: object.text("job")?,
        id: object.text("id")?,
        parent_id: object.text("parent_id")?,
        attempt: object.uint32("attempt")?.unwrap_or_default(),
        gpus: object.uint32("gpus")?,
        nodes: object.texts("nodes")?,
    };
    object.finish()?;
    Ok(run)
}

fn reference(value: Value<'_>) -> Result<v1::Reference, JsonError> {
    if value.is_text() {
        return Ok(v1::Reference {
            uri: value.text()?,
            ..v1::Reference::default()
        });
    }
    let mut object = Object::read_or(value, "the name of a target or an object")?;
    let reference = v1::Reference {
        uri: object.text("uri")?,
        version: object.optional("version", version)?,
        evidence: object.word("evidence", &words::EVIDENCE)?,
        role: object.text("role")?,
    };
    object.finish()?;
    Ok(reference)
}

fn code(value: Value<'_>) -> Result<v1::Code, JsonError> {
    let mut object = Object::read(value)?;
    let code = v1::Code {
        repository: object.text("repository")?,
        commit: object.text("commit")?,
        path: object.text("path")?,
        dirty: object.truth("dirty")?,
        image: object.text("image")?,
    };
    object.finish()?;
    Ok(code)
}

fn link(value: Value<'_>) -> Result<v1::Link, JsonError> {
    let mut object = Object::read(value)?;
    let link = v1::Link {
        from: object.text("from")?,
        to: object.text("to")?,
        valid_from: object.optional("valid_from", |time| time::read(&time))?,
        valid_to: object.optional("valid_to", |time| time::read(&time))?,
        authority: object.text("authority")?,
    };
    object.finish()?;
    Ok(link)
}

fn context(object: &mut Object<'_>) -> Result<v1::Context, JsonError> {
    let idempotency_id = object.optional("idempotency_id", content::read_bytes)?;
    Ok(v1::Context {
        source: object.text("source")?,
        source_seq: object.uint64("source_seq")?,
        source_id: object.text("source_id")?,
        occurred_at: object.optional("occurred_at", |time| time::read(&time))?,
        observed_at: object.optional("observed_at", |time| time::read(&time))?,
        host: object.text("host")?,
        process: object.optional("process", process)?,
        correlation_id: object.text("correlation_id")?,
        causation_seq: object.uint64("causation_seq")?,
        idempotency_id: idempotency_id.unwrap_or_default(),
    })
}

fn process(value: Value<'_>) -> Result<v1::Process, JsonError> {
    let mut object = Object::read(value)?;
    let process = v1::Process {
        pid: object.uint32("pid")?.unwrap_or_default(),
        executable: object.text("executable")?,
        container: object.text("container")?,
        addresses: object.texts("addresses")?,
        user_agent: object.text("user_agent")?,
    };
    object.finish()?;
    Ok(process)
}

fn why(object: &mut Object<'_>) -> Result<v1::Why, JsonError> {
    let labels = object.optional("labels", labels)?;
    Ok(v1::Why {
        reason: object.text("reason")?,
        ticket: object.text("ticket")?,
        review: object.text("review")?,
        labels: labels.unwrap_or_default(),
    })
}

fn labels(value: Value<'_>) -> Result<Vec<v1::Label>, JsonError> {
    let mut labels = Vec::new();
    for (key, value) in Object::read(value)?.into_values() {
        let value = value.text()?;
        labels.push(v1::Label { key, value });
    }
    labels.sort_unstable_by(|a, b| a.key.cmp(&b.key));
    Ok(labels)
}

fn detail(object: &mut Object<'_>) -> Result<v1::Detail, JsonError> {
    let (content, media_type) = object
        .optional("detail", content::read)?
        .unwrap_or_default();
    let (original, original_media_type) = object
        .optional("original", content::read)?
        .unwrap_or_default();
    Ok(v1::Detail {
        content,
        media_type,
        original,
        original_media_type,
        truncated: object.truth("truncated")?,
        original_digest: object.text("original_digest")?,
    })
}
