//! The table of fields.

use super::Facts;
use super::fields::{Field, FieldKind, Read, Value};
use crate::entry::json::words::{ASSURANCE, AUTHENTICATION, OUTCOME, word};
use crate::entry::{Kind, Tag, v1};

/// Every field, those of the index in the order of their tags.
#[rustfmt::skip] // A field a line.
pub static FIELDS: &[Field] = &[
    indexed(1, "kind", KIND, &[], "event, act of the ledger, or seal", |facts, take| {
        take(Value::Text(kind_word(facts.header.kind)));
    }),
    indexed(2, "submitter", FieldKind::Text, ENVELOPE, "who sent it, as the ledger authenticated", |facts, take| {
        let submitter = facts.envelope.submitter.as_ref();
        text(submitter.map_or("", |submitter| &submitter.subject), take);
    }),
    indexed(3, "authentication", FieldKind::Word(&AUTHENTICATION), ENVELOPE, "how the submitter was authenticated", |facts, take| {
        enumerated(&AUTHENTICATION, facts.envelope.authentication, take);
    }),
    indexed(4, "actor", FieldKind::Text, WHO, "who acted, as claimed", |facts, take| {
        text(&facts.who.actor, take);
    }),
    indexed(5, "assurance", FieldKind::Word(&ASSURANCE), WHO, "how sure it is that the actor is who it says", |facts, take| {
        enumerated(&ASSURANCE, facts.who.assurance, take);
    }),
    indexed(6, "on_behalf_of", FieldKind::Text, WHO, "for whom the actor acted", |facts, take| {
        texts(&facts.who.on_behalf_of, take);
    }),
    indexed(7, "session", FieldKind::Text, WHO, "the login session", |facts, take| {
        text(facts.who.session.as_ref().map_or("", |session| &session.id), take);
    }),
    indexed(8, "action", FieldKind::Text, WHAT, "what was done", |facts, take| {
        text(&facts.what.action, take);
    }),
    indexed(9, "outcome", FieldKind::Word(&OUTCOME), WHAT, "how it ended", |facts, take| {
        enumerated(&OUTCOME, facts.what.outcome, take);
    }),
    indexed(10, "target", FieldKind::Text, WHAT, "what was acted upon", |facts, take| {
        facts.what.targets.iter().for_each(|target| text(&target.uri, take));
    }),
    indexed(11, "previous_target", FieldKind::Text, WHAT, "the name before a rename or copy", |facts, take| {
        facts.what.targets.iter().for_each(|target| text(&target.previous_uri, take));
    }),
    indexed(12, "owner", FieldKind::Text, WHAT, "who owned a target", |facts, take| {
        facts.what.targets.iter().for_each(|target| text(&target.owner, take));
    }),
    indexed(13, "foreign", FieldKind::Flag, WHO_AND_WHAT, "a target is owned by another than the actor", foreign),
    indexed(14, "before", FieldKind::Version, WHAT, "a target's version before", |facts, take| {
        facts.what.targets.iter().for_each(|target| version(target.before.as_ref(), take));
    }),
    indexed(15, "after", FieldKind::Version, WHAT, "a target's version after", |facts, take| {
        facts.what.targets.iter().for_each(|target| version(target.after.as_ref(), take));
    }),
    indexed(16, "input", FieldKind::Text, WHAT, "what was read", |facts, take| {
        facts.what.inputs.iter().for_each(|input| text(&input.uri, take));
    }),
    indexed(17, "output", FieldKind::Text, WHAT, "what was written", |facts, take| {
        facts.what.outputs.iter().for_each(|output| text(&output.uri, take));
    }),
    indexed(18, "input_version", FieldKind::Version, WHAT, "the version read", |facts, take| {
        facts.what.inputs.iter().for_each(|input| version(input.version.as_ref(), take));
    }),
    indexed(19, "output_version", FieldKind::Version, WHAT, "the version written", |facts, take| {
        facts.what.outputs.iter().for_each(|output| version(output.version.as_ref(), take));
    }),
    indexed(20, "run", FieldKind::Text, WHAT, "the run", |facts, take| {
        run(facts, take, |run| &run.id);
    }),
    indexed(21, "parent_run", FieldKind::Text, WHAT, "the run that started the run", |facts, take| {
        run(facts, take, |run| &run.parent_id);
    }),
    indexed(22, "job", FieldKind::Text, WHAT, "the job", |facts, take| {
        run(facts, take, |run| &run.job);
    }),
    indexed(23, "namespace", FieldKind::Text, WHAT, "the job's namespace", |facts, take| {
        run(facts, take, |run| &run.namespace);
    }),
    indexed(24, "gpus", FieldKind::Number, WHAT, "GPUs of the run", |facts, take| {
        number(facts.what.run.as_ref().and_then(|run| run.gpus).map(u64::from), take);
    }),
    indexed(25, "repository", FieldKind::Text, WHAT, "the repository of the code that ran", |facts, take| {
        code(facts, take, |code| &code.repository);
    }),
    indexed(26, "commit", FieldKind::Text, WHAT, "the commit of the code that ran", |facts, take| {
        code(facts, take, |code| &code.commit);
    }),
    indexed(27, "image", FieldKind::Text, WHAT, "the container image that ran", |facts, take| {
        code(facts, take, |code| &code.image);
    }),
    indexed(28, "grantee", FieldKind::Text, WHAT, "who was granted or denied something", |facts, take| {
        text(&facts.what.grantee, take);
    }),
    indexed(29, "permission", FieldKind::Text, WHAT, "what was granted or denied", |facts, take| {
        text(&facts.what.permission, take);
    }),
    indexed(30, "participant", FieldKind::Text, WHAT, "who took part", |facts, take| {
        texts(&facts.what.participants, take);
    }),
    indexed(31, "source", FieldKind::Text, CONTEXT, "the system that the record comes from", |facts, take| {
        text(&facts.context.source, take);
    }),
    indexed(32, "host", FieldKind::Text, CONTEXT, "the host", |facts, take| {
        text(&facts.context.host, take);
    }),
    indexed(33, "correlation", FieldKind::Text, CONTEXT, "the flow that it belongs to", |facts, take| {
        text(&facts.context.correlation_id, take);
    }),
    indexed(34, "cause", FieldKind::Number, CONTEXT, "the seq that directly caused it", |facts, take| {
        number(facts.context.causation_seq, take);
    }),
    indexed(TIMES, "occurred_at", FieldKind::Time, CONTEXT, "when it happened, as claimed", |facts, take| {
        time(facts.context.occurred_at, take);
    }),
    indexed(36, "linked", FieldKind::Text, WHAT, "a name that is said to mean the same as another", |facts, take| {
        if let Some(link) = &facts.what.link {
            text(&link.from, take);
            text(&link.to, take);
        }
    }),
    unindexed("seq", FieldKind::Number, &[], "the position in the ledger", |facts, take| {
        take(Value::Number(facts.header.seq));
    }),
    unindexed("recorded_at", FieldKind::Time, &[], "when the ledger recorded it", |facts, take| {
        time(Some(recorded_at(facts)), take);
    }),
    unindexed("credential", FieldKind::Text, ENVELOPE, "which credential the submitter used", |facts, take| {
        text(&facts.envelope.credential, take);
    }),
    unindexed("peer", FieldKind::Text, ENVELOPE, "the submitter's network address", |facts, take| {
        text(&facts.envelope.peer, take);
    }),
    unindexed("signed", FieldKind::Flag, ENVELOPE, "the entry holds a verified signature of an actor", |facts, take| {
        if facts.envelope.actor_signature.is_some() {
            take(Value::True);
        }
    }),
    unindexed("outcome_code", FieldKind::Text, WHAT, "the source's own code for the outcome", |facts, take| {
        text(&facts.what.outcome_code, take);
    }),
    unindexed("instance", FieldKind::Text, WHAT, "which incarnation of a target", |facts, take| {
        facts.what.targets.iter().for_each(|target| text(&target.instance, take));
    }),
    unindexed("format", FieldKind::Text, WHAT, "the format of a target's content", |facts, take| {
        facts.what.targets.iter().for_each(|target| text(&target.format, take));
    }),
    unindexed("ref", FieldKind::Text, WHAT, "the git reference", |facts, take| {
        facts.what.targets.iter().for_each(|target| text(&target.r#ref, take));
    }),
    unindexed("seen_as", FieldKind::Text, WHAT, "the path that the host saw", |facts, take| {
        facts.what.targets.iter().for_each(|target| text(&target.seen_as, take));
    }),
    unindexed("node", FieldKind::Text, WHAT, "a node of the run", |facts, take| {
        facts.what.run.iter().for_each(|run| texts(&run.nodes, take));
    }),
    unindexed("link_authority", FieldKind::Text, WHAT, "whose word it is that names mean the same", |facts, take| {
        text(facts.what.link.as_ref().map_or("", |link| &link.authority), take);
    }),
    unindexed("source_seq", FieldKind::Number, CONTEXT, "the source's own counter", |facts, take| {
        number(facts.context.source_seq, take);
    }),
    unindexed("source_id", FieldKind::Text, CONTEXT, "the source's own id of the record", |facts, take| {
        text(&facts.context.source_id, take);
    }),
    unindexed("observed_at", FieldKind::Time, CONTEXT, "when the collector saw it", |facts, take| {
        time(facts.context.observed_at, take);
    }),
    unindexed("lag", FieldKind::Duration, CONTEXT, "recorded_at less occurred_at", |facts, take| {
        if let Some(occurred_at) = facts.context.occurred_at {
            take(Value::Duration(recorded_at(facts).saturating_sub(occurred_at)));
        }
    }),
    unindexed("executable", FieldKind::Text, CONTEXT, "the program of the process", |facts, take| {
        process(facts, take, |process| &process.executable);
    }),
    unindexed("container", FieldKind::Text, CONTEXT, "the container of the process", |facts, take| {
        process(facts, take, |process| &process.container);
    }),
    unindexed("reason", FieldKind::Text, WHY, "why, in words", |facts, take| {
        text(&facts.why.reason, take);
    }),
    unindexed("ticket", FieldKind::Text, WHY, "the ticket, change request or commit", |facts, take| {
        text(&facts.why.ticket, take);
    }),
    unindexed("review", FieldKind::Text, WHY, "the review or approval", |facts, take| {
        text(&facts.why.review, take);
    }),
    unindexed("labels", FieldKind::Label, WHY, "a label, asked as labels.KEY", |facts, take| {
        facts.why.labels.iter().for_each(|label| take(Value::Label(&label.key, &label.value)));
    }),
];

/// The tag of the hours in which entries happened: the one field whose values mostly ascend with the seqs.
pub(super) const TIMES: u16 = 35;

const KIND: FieldKind = FieldKind::Word(&["event", "act", "seal"]);
const ENVELOPE: &[Tag] = &[Tag::Envelope];
const WHO: &[Tag] = &[Tag::Who];
const WHAT: &[Tag] = &[Tag::What];
const CONTEXT: &[Tag] = &[Tag::Context];
const WHO_AND_WHAT: &[Tag] = &[Tag::Who, Tag::What];
const WHY: &[Tag] = &[Tag::Why];

const fn indexed(
    tag: u16,
    name: &'static str,
    kind: FieldKind,
    parts: &'static [Tag],
    about: &'static str,
    read: Read,
) -> Field {
    Field {
        name,
        kind,
        tag: Some(tag),
        parts,
        about,
        read,
    }
}

/// What can be asked, and is looked for in every entry that the rest of the filter leaves.
const fn unindexed(
    name: &'static str,
    kind: FieldKind,
    parts: &'static [Tag],
    about: &'static str,
    read: Read,
) -> Field {
    Field {
        name,
        kind,
        tag: None,
        parts,
        about,
        read,
    }
}

/// The ledger's time, in nanoseconds since 1970; the last time that can be compared when it is beyond.
fn recorded_at(facts: &Facts) -> i64 {
    i64::try_from(facts.header.recorded_at).unwrap_or(i64::MAX)
}

/// What `kind` is called in a filter.
pub(super) fn kind_word(kind: Kind) -> &'static str {
    match kind {
        Kind::Event => "event",
        Kind::Act => "act",
        Kind::Seal => "seal",
    }
}

fn text<'a>(text: &'a str, take: &mut dyn FnMut(Value<'a>)) {
    if !text.is_empty() {
        take(Value::Text(text));
    }
}

fn texts<'a>(texts: &'a [String], take: &mut dyn FnMut(Value<'a>)) {
    for value in texts {
        text(value, take);
    }
}

fn enumerated<'a>(words: &[&'static str], number: i32, take: &mut dyn FnMut(Value<'a>)) {
    if let Some(word) = word(words, number) {
        take(Value::Text(word));
    }
}

fn number<'a>(number: Option<u64>, take: &mut dyn FnMut(Value<'a>)) {
    if let Some(number) = number {
        take(Value::Number(number));
    }
}

fn time<'a>(time: Option<i64>, take: &mut dyn FnMut(Value<'a>)) {
    if let Some(time) = time {
        take(Value::Time(time));
    }
}

fn version<'a>(version: Option<&'a v1::Version>, take: &mut dyn FnMut(Value<'a>)) {
    if let Some(version) = version {
        texts(&version.ids, take);
    }
}

fn run<'a>(facts: &'a Facts, take: &mut dyn FnMut(Value<'a>), read: fn(&v1::Run) -> &String) {
    if let Some(run) = &facts.what.run {
        text(read(run), take);
    }
}

fn code<'a>(facts: &'a Facts, take: &mut dyn FnMut(Value<'a>), read: fn(&v1::Code) -> &String) {
    if let Some(code) = &facts.what.code {
        text(read(code), take);
    }
}

fn process<'a>(
    facts: &'a Facts,
    take: &mut dyn FnMut(Value<'a>),
    read: fn(&v1::Process) -> &String,
) {
    if let Some(process) = &facts.context.process {
        text(read(process), take);
    }
}

/// Whether the actor is known and some target is owned by another.
fn foreign<'a>(facts: &'a Facts, take: &mut dyn FnMut(Value<'a>)) {
    let actor = &facts.who.actor;
    let owned_by_another = |target: &v1::Target| !target.owner.is_empty() && target.owner != *actor;
    if !actor.is_empty() && facts.what.targets.iter().any(owned_by_another) {
        take(Value::True);
    }
}
