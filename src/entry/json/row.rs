//! From an entry to JSON.

use prost::Message;
use serde::ser::{Serialize, SerializeMap, Serializer};

use super::super::body::{Body, Content};
use super::super::{Header, Invalid, Kind, Problem, Tag, hex, v1};
use super::content::{self, Bytes};
use super::out::{Fields, Labels, Out, all, said};
use super::time;
use super::words::{self, word};

/// How a part was erased, as a sealed entry says.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Erased {
    /// The part's name.
    pub part: &'static str,
    /// Who ordered it; empty where that is not shown.
    pub by: String,
    /// When that was sealed, RFC 3339 in UTC.
    pub at: Option<String>,
    /// By which ticket.
    pub ticket: String,
    /// Why; empty where that was not said.
    pub reason: String,
    /// The entry that says so.
    pub entry: u64,
}

/// An entry as it is shown: serialized, the [JSON form](super) of its event with what the ledger added.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The entry's position, from 0.
    pub seq: u64,
    /// What the entry is.
    pub kind: Kind,
    /// The ledger's time, RFC 3339 in UTC.
    pub recorded_at: String,
    /// When it happened as claimed, RFC 3339 in UTC.
    pub occurred_at: Option<String>,
    /// Who sent the event and how the ledger knows, if it is shown.
    pub envelope: Option<v1::Envelope>,
    /// Who acted, if it was said and is shown.
    pub who: Option<v1::Who>,
    /// What was done, if it is shown.
    pub what: Option<v1::What>,
    /// Where the record comes from, if it is shown.
    pub context: Option<v1::Context>,
    /// Why it was done, if it was said and is shown.
    pub why: Option<v1::Why>,
    /// Free form and the original, if there is any and it is shown.
    pub detail: Option<v1::Detail>,
    /// The parts held back, ascending.
    pub withheld: Vec<Tag>,
    /// The parts erased, ascending.
    pub erased: Vec<Tag>,
    /// How they were erased, as far as whoever shows the entry found out.
    pub erasures: Vec<Erased>,
    /// The parts of the event that are there and say nothing, ascending.
    pub empty: Vec<Tag>,
    /// The entry's leaf in the tree.
    pub leaf_hash: super::super::Digest,
}

impl Row {
    /// The entry of this header and body. Whether they belong together is for the verifier to say.
    ///
    /// # Errors
    ///
    /// A part that is shown is not the canonical encoding of its message.
    pub fn new(header: &Header, body: &Body) -> Result<Self, Invalid> {
        body.check()?;
        let found = |wanted: fn(&(Tag, Content)) -> bool| {
            let parts = body.parts().iter();
            parts
                .filter(|part| wanted(part))
                .map(|(tag, _)| *tag)
                .collect()
        };
        let context: Option<v1::Context> = part(body, Tag::Context)?;
        let occurred_at = context.as_ref().and_then(|context| context.occurred_at);
        Ok(Self {
            seq: header.seq,
            kind: header.kind,
            recorded_at: time::write(header.recorded_at)
                .ok_or_else(|| Invalid::new("header.recorded_at", Problem::OutOfRange))?,
            occurred_at: occurred_at.and_then(time::write),
            envelope: part(body, Tag::Envelope)?,
            who: part(body, Tag::Who)?,
            what: part(body, Tag::What)?,
            context,
            why: part(body, Tag::Why)?,
            detail: part(body, Tag::Detail)?,
            withheld: found(|(_, content)| matches!(content, Content::Withheld(_))),
            erased: found(|(_, content)| matches!(content, Content::Erased(_))),
            erasures: Vec::new(),
            empty: found(|(tag, content)| {
                let disclosed =
                    matches!(content, Content::Disclosed { bytes, .. } if bytes.is_empty());
                disclosed && *tag != Tag::Envelope
            }),
            leaf_hash: header.leaf_hash(),
        })
    }

    /// The authenticated sender.
    pub fn submitter(&self) -> Option<&str> {
        let submitter = self.envelope.as_ref()?.submitter.as_ref()?;
        said(&submitter.subject)
    }

    /// Who acted, as claimed.
    pub fn actor(&self) -> Option<&str> {
        said(&self.who.as_ref()?.actor)
    }

    /// What was done.
    pub fn action(&self) -> Option<&str> {
        said(&self.what.as_ref()?.action)
    }

    /// How it ended.
    pub fn outcome(&self) -> Option<&'static str> {
        word(&words::OUTCOME, self.what.as_ref()?.outcome)
    }

    /// What was acted upon; none when the part is not shown.
    pub fn targets(&self) -> Option<&[v1::Target]> {
        Some(&self.what.as_ref()?.targets)
    }

    /// What was acted upon, as the array that the JSON form has; none when the part is not shown.
    pub fn targets_json(&self) -> Option<String> {
        serde_json::to_string(&all(self.targets()?)).ok()
    }
}

fn part<T: Message + Default>(body: &Body, tag: Tag) -> Result<Option<T>, Invalid> {
    let undecodable = |_| Invalid::new(tag.name(), Problem::NotCanonical("it cannot be decoded"));
    body.disclosed(tag)
        .map(|bytes| T::decode(bytes.clone()).map_err(undecodable))
        .transpose()
}

/// A version in few characters: its first id, a digest cut to 12 digits, or the word for its state. Empty if neither is
/// known.
pub fn short_version(version: &v1::Version) -> String {
    const DIGITS: usize = 12;
    let Some(id) = version.ids.first() else {
        return word(&words::VERSION_STATE, version.state)
            .unwrap_or_default()
            .to_owned();
    };
    let Some((scheme, value)) = id.split_once(':') else {
        return id.clone();
    };
    match value.get(..DIGITS) {
        Some(digits) if value.bytes().all(|b| b.is_ascii_hexdigit()) => {
            format!("{scheme}:{digits}")
        }
        _ => id.clone(),
    }
}

impl Serialize for Row {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut row = Fields(serializer.serialize_map(None)?);
        row.always("seq", &self.seq)?;
        row.always("recorded_at", &self.recorded_at)?;
        row.always("kind", kind(self.kind))?;
        row.always("submitter", &self.submitter())?;
        row.always("actor", &self.actor())?;
        row.always("action", &self.action())?;
        row.always("targets", &self.targets().map(all))?;
        row.always("outcome", &self.outcome())?;
        row.always("occurred_at", &self.occurred_at)?;
        if let Some(who) = &self.who {
            write_who(&mut row, who)?;
        }
        if let Some(what) = &self.what {
            write_what(&mut row, what)?;
        }
        if let Some(context) = &self.context {
            write_context(&mut row, context)?;
        }
        if let Some(why) = &self.why {
            write_why(&mut row, why)?;
        }
        if let Some(detail) = &self.detail {
            write_detail(&mut row, detail)?;
        }
        let act = self.what.as_ref().and_then(|what| what.act.as_ref());
        row.some("act", act.map(Out))?;
        if let Some(envelope) = &self.envelope {
            write_envelope(&mut row, envelope)?;
        }
        row.list("empty", &names(&self.empty))?;
        row.list("withheld", &names(&self.withheld))?;
        row.list("erased", &names(&self.erased))?;
        row.list("erasures", &self.erasures)?;
        row.always("leaf_hash", &hex::encode(&self.leaf_hash))?;
        row.0.end()
    }
}

const fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Event => "event",
        Kind::Act => "act",
        Kind::Seal => "seal",
    }
}

fn names(tags: &[Tag]) -> Vec<&'static str> {
    tags.iter().map(|tag| tag.name()).collect()
}

fn write_who<M: SerializeMap>(row: &mut Fields<M>, who: &v1::Who) -> Result<(), M::Error> {
    // Left out, it would be read as asserted.
    let unstated = (!who.actor.is_empty()).then_some(words::UNSPECIFIED);
    row.some(
        "assurance",
        word(&words::ASSURANCE, who.assurance).or(unstated),
    )?;
    row.text("display_name", &who.display_name)?;
    row.list("on_behalf_of", &who.on_behalf_of)?;
    row.some("session", who.session.as_ref().map(Out))
}

fn write_what<M: SerializeMap>(row: &mut Fields<M>, what: &v1::What) -> Result<(), M::Error> {
    row.text("outcome_code", &what.outcome_code)?;
    row.some("run", what.run.as_ref().map(Out))?;
    row.list("inputs", &all(&what.inputs))?;
    row.list("outputs", &all(&what.outputs))?;
    row.some("code", what.code.as_ref().map(Out))?;
    row.text("grantee", &what.grantee)?;
    row.text("permission", &what.permission)?;
    row.list("participants", &what.participants)?;
    row.some("link", what.link.as_ref().map(Out))
}

fn write_context<M: SerializeMap>(
    row: &mut Fields<M>,
    context: &v1::Context,
) -> Result<(), M::Error> {
    row.text("source", &context.source)?;
    row.some("source_seq", context.source_seq)?;
    row.text("source_id", &context.source_id)?;
    row.some("observed_at", context.observed_at.and_then(time::write))?;
    row.text("host", &context.host)?;
    row.some("process", context.process.as_ref().map(Out))?;
    row.text("correlation_id", &context.correlation_id)?;
    row.some("causation_seq", context.causation_seq)?;
    let id = &context.idempotency_id;
    row.some("idempotency_id", (!id.is_empty()).then_some(Bytes(id)))
}

fn write_why<M: SerializeMap>(row: &mut Fields<M>, why: &v1::Why) -> Result<(), M::Error> {
    row.text("reason", &why.reason)?;
    row.text("ticket", &why.ticket)?;
    row.text("review", &why.review)?;
    let labels = (!why.labels.is_empty()).then_some(Labels(&why.labels));
    row.some("labels", labels)
}

fn write_detail<M: SerializeMap>(row: &mut Fields<M>, detail: &v1::Detail) -> Result<(), M::Error> {
    let content = content::Content {
        bytes: &detail.content,
        media_type: &detail.media_type,
    };
    let original = content::Content {
        bytes: &detail.original,
        media_type: &detail.original_media_type,
    };
    row.some("detail", (!content.is_empty()).then_some(content))?;
    row.some("original", (!original.is_empty()).then_some(original))?;
    row.text("original_digest", &detail.original_digest)?;
    row.some("truncated", detail.truncated.then_some(true))
}

fn write_envelope<M: SerializeMap>(
    row: &mut Fields<M>,
    envelope: &v1::Envelope,
) -> Result<(), M::Error> {
    let submitter = envelope.submitter.as_ref();
    row.text(
        "issuer",
        submitter.map_or("", |submitter| &submitter.issuer),
    )?;
    row.some(
        "authentication",
        word(&words::AUTHENTICATION, envelope.authentication),
    )?;
    row.text("credential", &envelope.credential)?;
    row.text("peer", &envelope.peer)?;
    row.some("mapper", envelope.mapper.as_ref().map(Out))?;
    row.some(
        "actor_signature",
        envelope.actor_signature.as_ref().map(Out),
    )?;
    row.list("redactions", &all(&envelope.redactions))
}
