//! One entry, field by field, for people.

use crate::entry::json::{Erased, Row, time};
use crate::entry::ssh_signature::SshSignature;
use crate::entry::{Kind, Tag, hex, v1};

/// The fields of an entry that have something to say, in the order of the parts.
pub(super) fn fields(row: &Row, aliases: &[(String, String)]) -> Vec<(String, String)> {
    let mut fields = Fields {
        fields: Vec::new(),
        aliases,
    };
    fields.add("seq", row.seq.to_string());
    if row.kind != Kind::Event {
        fields.add(
            "kind",
            if row.kind == Kind::Seal {
                "seal"
            } else {
                "act of the ledger"
            },
        );
    }
    fields.add("recorded at", &row.recorded_at);
    if let Some(envelope) = &row.envelope {
        fields.add("submitter", submitter(envelope));
        fields.add_aliases(row.submitter().unwrap_or_default());
        add_mapper(&mut fields, envelope);
    }
    if let Some(who) = &row.who {
        add_who(&mut fields, who);
    }
    if let Some(what) = &row.what {
        fields.add("action", &what.action);
        fields.add("outcome", row.outcome().unwrap_or_default());
        fields.add("outcome code", &what.outcome_code);
        what.targets
            .iter()
            .for_each(|target| add_target(&mut fields, target));
        add_rest_of_what(&mut fields, what);
    }
    if let Some(context) = &row.context {
        add_context(&mut fields, row, context);
    }
    if let Some(why) = &row.why {
        fields.add("reason", &why.reason);
        fields.add("ticket", &why.ticket);
        fields.add("review", &why.review);
        for label in &why.labels {
            fields.add(&format!("label {}", label.key), &label.value);
        }
    }
    if let Some(detail) = &row.detail {
        fields.add("detail", content(&detail.content));
        fields.add("original", content(&detail.original));
    }
    for redaction in row
        .envelope
        .iter()
        .flat_map(|envelope| &envelope.redactions)
    {
        fields.add("redacted", redaction_text(redaction));
    }
    fields.add("signature", signature(row));
    fields.add("withheld", names(&row.withheld));
    if row.erasures.is_empty() {
        fields.add("erased", names(&row.erased));
    }
    for erased in &row.erasures {
        fields.add("ERASED", erasure(erased));
    }
    fields.add("leaf", format!("sha256:{}", hex::encode(&row.leaf_hash)));
    fields.fields
}

/// What was put out by which rule, in words.
pub(in crate::cli) fn redaction_text(redaction: &v1::Redaction) -> String {
    let v1::Redaction { rule, field, count } = redaction;
    format!("{field} by the rule {rule}, {}", times(*count))
}

fn times(count: u32) -> String {
    match count {
        1 => "once".into(),
        count => format!("{count} times"),
    }
}

/// What is known of a part that was erased.
fn erasure(erased: &Erased) -> String {
    let Erased {
        part,
        by,
        at,
        ticket,
        reason,
        entry,
    } = erased;
    let by = if by.is_empty() { "somebody" } else { by };
    let at = at.as_deref().unwrap_or_default();
    let mut text = format!("{part} by {by} on {at}, ticket {ticket} (entry {entry})");
    if !reason.is_empty() {
        text.push_str(": ");
        text.push_str(reason);
    }
    text
}

struct Fields<'a> {
    fields: Vec<(String, String)>,
    aliases: &'a [(String, String)],
}

impl Fields<'_> {
    /// Adds a field unless it is empty.
    fn add(&mut self, name: &str, value: impl Into<String>) {
        let value = value.into();
        if !value.is_empty() {
            self.fields.push((name.to_string(), value));
        }
    }

    /// Adds who else somebody is.
    fn add_aliases(&mut self, identity: &str) {
        let aliases = self.aliases;
        for (_, alias) in aliases.iter().filter(|(name, _)| name == identity) {
            self.add("  also", alias);
        }
    }
}

fn submitter(envelope: &v1::Envelope) -> String {
    let submitter = envelope.submitter.clone().unwrap_or_default();
    let how = match envelope.authentication() {
        v1::Authentication::Unspecified => "not stated".into(),
        v1::Authentication::None => "NOT authenticated".into(),
        v1::Authentication::Token => format!("token {}", envelope.credential),
        v1::Authentication::ClientCertificate => format!("certificate {}", envelope.credential),
        v1::Authentication::Jwt => format!("JSON web token {}", envelope.credential),
        v1::Authentication::Ledger => "the ledger itself".into(),
    };
    let peer = if envelope.peer.is_empty() {
        String::new()
    } else {
        format!(", from {}", envelope.peer)
    };
    format!("{} ({how}{peer})", submitter.subject)
}

fn add_mapper(fields: &mut Fields<'_>, envelope: &v1::Envelope) {
    if let Some(mapper) = &envelope.mapper {
        fields.add("mapper", format!("{} {}", mapper.name, mapper.version));
    }
}

/// What the actor's own signature says. Whoever shows an entry has checked it.
fn signature(row: &Row) -> String {
    let envelope = row.envelope.as_ref();
    match envelope.map(|envelope| &envelope.actor_signature) {
        Some(Some(signature)) if signature.ssh_signature.is_empty() => {
            let key = hex::encode(&signature.public_key);
            format!("good, by the key ed25519:{key}")
        }
        Some(Some(signature)) => match SshSignature::decode(&signature.ssh_signature) {
            Ok(ssh) => format!("good, by the SSH key {}", ssh.key.fingerprint()),
            Err(problem) => format!("one that {problem}"),
        },
        Some(None) => "none by the actor".to_owned(),
        None => String::new(),
    }
}

fn add_who(fields: &mut Fields<'_>, who: &v1::Who) {
    let assurance = match who.assurance() {
        v1::Assurance::Unspecified => "not stated how sure",
        v1::Assurance::Asserted => "asserted",
        v1::Assurance::Inferred => "inferred",
        v1::Assurance::Authenticated => "authenticated by the source",
        v1::Assurance::Attested => "attested",
    };
    if !who.actor.is_empty() {
        fields.add("actor", format!("{} ({assurance})", who.actor));
        fields.add_aliases(&who.actor);
    }
    fields.add("actor's name", &who.display_name);
    for identity in &who.on_behalf_of {
        fields.add("on behalf of", identity);
        fields.add_aliases(identity);
    }
    if let Some(session) = &who.session {
        let parts = [
            &session.id,
            &session.method,
            &session.credential,
            &session.terminal,
        ];
        let parts: Vec<&str> = parts
            .into_iter()
            .map(String::as_str)
            .filter(|p| !p.is_empty())
            .collect();
        fields.add("session", parts.join(" "));
    }
}

fn add_target(fields: &mut Fields<'_>, target: &v1::Target) {
    fields.add("target", &target.uri);
    fields.add("  previous name", &target.previous_uri);
    fields.add("  instance", &target.instance);
    fields.add(
        "  before",
        target.before.as_ref().map(version).unwrap_or_default(),
    );
    fields.add(
        "  after",
        target.after.as_ref().map(version).unwrap_or_default(),
    );
    fields.add("  owner", &target.owner);
    fields.add_aliases(&target.owner);
    fields.add("  seen as", &target.seen_as);
    fields.add("  ref", &target.r#ref);
    fields.add("  format", &target.format);
}

fn add_rest_of_what(fields: &mut Fields<'_>, what: &v1::What) {
    if let Some(run) = &what.run {
        let parts = [&run.namespace, &run.job, &run.id];
        let parts: Vec<&str> = parts
            .into_iter()
            .map(String::as_str)
            .filter(|p| !p.is_empty())
            .collect();
        fields.add("run", parts.join(" "));
        fields.add(
            "gpus",
            run.gpus.map(|gpus| gpus.to_string()).unwrap_or_default(),
        );
    }
    for (name, references) in [("input", &what.inputs), ("output", &what.outputs)] {
        for reference in references {
            let version = reference.version.as_ref().map(version).unwrap_or_default();
            fields.add(name, format!("{} {version}", reference.uri).trim_end());
        }
    }
    if let Some(code) = &what.code {
        let parts = [&code.repository, &code.commit, &code.path, &code.image];
        let parts: Vec<&str> = parts
            .into_iter()
            .map(String::as_str)
            .filter(|p| !p.is_empty())
            .collect();
        fields.add("code", parts.join(" "));
    }
    fields.add("grantee", &what.grantee);
    fields.add_aliases(&what.grantee);
    fields.add("permission", &what.permission);
    fields.add("participants", what.participants.join(", "));
    if let Some(link) = &what.link {
        add_link(fields, link);
    }
}

fn add_link(fields: &mut Fields<'_>, link: &v1::Link) {
    let bound = |time: Option<i64>, open: &str| {
        time.and_then(time::write)
            .unwrap_or_else(|| open.to_string())
    };
    fields.add("link", format!("{} = {}", link.from, link.to));
    fields.add("  valid from", bound(link.valid_from, "ever"));
    fields.add("  valid to", bound(link.valid_to, "this day"));
    fields.add("  authority", &link.authority);
}

fn add_context(fields: &mut Fields<'_>, row: &Row, context: &v1::Context) {
    fields.add(
        "occurred at",
        row.occurred_at.as_deref().unwrap_or_default(),
    );
    fields.add("source", &context.source);
    fields.add(
        "source seq",
        context
            .source_seq
            .map(|seq| seq.to_string())
            .unwrap_or_default(),
    );
    fields.add("source id", &context.source_id);
    fields.add("host", &context.host);
    if let Some(process) = &context.process {
        fields.add(
            "process",
            format!("{} {}", process.pid, process.executable).trim_end(),
        );
    }
    fields.add("correlation", &context.correlation_id);
    fields.add(
        "caused by",
        context
            .causation_seq
            .map(|seq| seq.to_string())
            .unwrap_or_default(),
    );
}

fn version(version: &v1::Version) -> String {
    match version.state() {
        v1::VersionState::Unspecified => version.ids.join(" "),
        v1::VersionState::Absent => "absent".into(),
        v1::VersionState::Pending => format!("pending {}", version.ids.join(" ")),
        v1::VersionState::TooLarge => format!("too large {}", version.ids.join(" ")),
        v1::VersionState::Unavailable => format!("unavailable {}", version.ids.join(" ")),
    }
}

fn content(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_string(),
        Err(_) => format!("{} bytes that are not text", bytes.len()),
    }
}

fn names(tags: &[Tag]) -> String {
    tags.iter()
        .map(|tag| tag.name())
        .collect::<Vec<_>>()
        .join(", ")
}
