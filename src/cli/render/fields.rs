//! One entry, field by field, for people: everything that is sealed in it and not empty. Messages are taken apart field by
//! field, so that a field that is new cannot be forgotten.

use super::acts::add_act;
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
        add_envelope(&mut fields, envelope);
    }
    if let Some(who) = &row.who {
        add_who(&mut fields, who);
    }
    if let Some(what) = &row.what {
        add_what(&mut fields, row, what);
    }
    if let Some(context) = &row.context {
        add_context(&mut fields, row, context);
    }
    if let Some(why) = &row.why {
        add_why(&mut fields, why);
    }
    if let Some(detail) = &row.detail {
        add_detail(&mut fields, detail);
    }
    for redaction in row
        .envelope
        .iter()
        .flat_map(|envelope| &envelope.redactions)
    {
        fields.add("redacted", redaction_text(redaction));
    }
    add_signature(&mut fields, row);
    fields.add("empty", names(&row.empty));
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

pub(super) struct Fields<'a> {
    fields: Vec<(String, String)>,
    aliases: &'a [(String, String)],
}

impl Fields<'_> {
    /// Adds a field unless it is empty.
    pub(super) fn add(&mut self, name: &str, value: impl Into<String>) {
        let value = value.into();
        if !value.is_empty() {
            self.fields.push((name.to_string(), value));
        }
    }

    /// Adds a field that has a number, also 0.
    pub(super) fn add_number<N: ToString>(&mut self, name: &str, number: Option<N>) {
        self.add(
            name,
            number.map(|number| number.to_string()).unwrap_or_default(),
        );
    }

    /// Adds a text of several lines, each in a row of its own.
    pub(super) fn add_lines(&mut self, name: &str, text: &str) {
        let mut name = name;
        for line in text.lines() {
            self.fields.push((name.to_owned(), line.to_owned()));
            name = "";
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

/// What is not empty, with a blank between two.
fn joined(parts: &[&str]) -> String {
    let parts = parts.iter().copied().filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join(" ")
}

fn add_envelope(fields: &mut Fields<'_>, envelope: &v1::Envelope) {
    let v1::Envelope {
        submitter,
        authentication: _,
        credential,
        peer,
        mapper,
        // Both stand further down.
        actor_signature: _,
        redactions: _,
    } = envelope;
    let v1::Submitter { issuer, subject } = submitter.clone().unwrap_or_default();
    let how = match envelope.authentication() {
        v1::Authentication::Unspecified => "not stated how",
        v1::Authentication::None => "NOT authenticated",
        v1::Authentication::Token => "token",
        v1::Authentication::ClientCertificate => "certificate",
        v1::Authentication::Jwt => "JSON web token",
        v1::Authentication::Ledger => "the ledger itself",
    };
    let how = joined(&[how, credential]);
    let peer = if peer.is_empty() {
        String::new()
    } else {
        format!(", from {peer}")
    };
    fields.add("submitter", format!("{subject} ({how}{peer})"));
    fields.add_aliases(&subject);
    fields.add("  issuer", issuer);
    if let Some(v1::Mapper { name, version }) = mapper {
        fields.add("mapper", joined(&[name, version]));
    }
}

/// What the actor's own signature says. Whoever shows an entry has checked it.
fn add_signature(fields: &mut Fields<'_>, row: &Row) {
    let Some(envelope) = &row.envelope else {
        return;
    };
    let Some(v1::ActorSignature {
        public_key,
        signature,
        // Never sealed.
        seed: _,
        ssh_signature,
    }) = &envelope.actor_signature
    else {
        fields.add("signature", "none by the actor");
        return;
    };
    if ssh_signature.is_empty() {
        let key = hex::encode(public_key);
        fields.add("signature", format!("good, by the key ed25519:{key}"));
        fields.add("  bytes", hex::encode(signature));
        return;
    }
    let text = match SshSignature::decode(ssh_signature) {
        Ok(ssh) => format!("good, by the SSH key {}", ssh.key.fingerprint()),
        Err(problem) => format!("one that {problem}"),
    };
    fields.add("signature", text);
    fields.add("  bytes", hex::encode(ssh_signature));
}

fn add_who(fields: &mut Fields<'_>, who: &v1::Who) {
    let v1::Who {
        actor,
        assurance: _,
        on_behalf_of,
        session,
        display_name,
    } = who;
    let assurance = match who.assurance() {
        v1::Assurance::Unspecified => "not stated how sure",
        v1::Assurance::Asserted => "asserted",
        v1::Assurance::Inferred => "inferred",
        v1::Assurance::Authenticated => "authenticated by the source",
        v1::Assurance::Attested => "attested",
    };
    if !actor.is_empty() || who.assurance() != v1::Assurance::Unspecified {
        let actor = if actor.is_empty() { "not said" } else { actor };
        fields.add("actor", format!("{actor} ({assurance})"));
    }
    fields.add_aliases(actor);
    fields.add("actor's name", display_name);
    for identity in on_behalf_of {
        fields.add("on behalf of", identity);
        fields.add_aliases(identity);
    }
    if let Some(session) = session {
        let v1::Session {
            id,
            method,
            credential,
            terminal,
        } = session;
        fields.add("session", joined(&[id, method, credential, terminal]));
    }
}

fn add_what(fields: &mut Fields<'_>, row: &Row, what: &v1::What) {
    let v1::What {
        action,
        outcome: _,
        outcome_code,
        targets,
        run,
        inputs,
        outputs,
        code,
        grantee,
        permission,
        participants,
        link,
        act,
    } = what;
    fields.add("action", action);
    fields.add("outcome", row.outcome().unwrap_or_default());
    fields.add("outcome code", outcome_code);
    for target in targets {
        add_target(fields, target);
    }
    if let Some(run) = run {
        add_run(fields, run);
    }
    for (name, references) in [("input", inputs), ("output", outputs)] {
        for reference in references {
            add_reference(fields, name, reference);
        }
    }
    if let Some(code) = code {
        let v1::Code {
            repository,
            commit,
            path,
            dirty,
            image,
        } = code;
        let dirty = if *dirty {
            "(dirty: the working tree differed)"
        } else {
            ""
        };
        fields.add("code", joined(&[repository, commit, path, image, dirty]));
    }
    fields.add("grantee", grantee);
    fields.add_aliases(grantee);
    fields.add("permission", permission);
    fields.add("participants", participants.join(", "));
    if let Some(link) = link {
        add_link(fields, link);
    }
    if let Some(v1::LedgerAct { act: Some(act) }) = act {
        add_act(fields, act);
    }
}

fn add_target(fields: &mut Fields<'_>, target: &v1::Target) {
    let v1::Target {
        uri,
        instance,
        before,
        after,
        owner,
        previous_uri,
        seen_as,
        r#ref,
        format,
    } = target;
    fields.add("target", uri);
    fields.add("  previous name", previous_uri);
    fields.add("  instance", instance);
    fields.add("  before", before.as_ref().map(version).unwrap_or_default());
    fields.add("  after", after.as_ref().map(version).unwrap_or_default());
    fields.add("  owner", owner);
    fields.add_aliases(owner);
    fields.add("  seen as", seen_as);
    fields.add("  ref", r#ref);
    fields.add("  format", format);
}

fn add_run(fields: &mut Fields<'_>, run: &v1::Run) {
    let v1::Run {
        namespace,
        job,
        id,
        parent_id,
        attempt,
        gpus,
        nodes,
    } = run;
    fields.add("run", joined(&[namespace, job, id]));
    fields.add("  started by run", parent_id);
    fields.add_number("  attempt", (*attempt != 0).then_some(attempt));
    fields.add_number("  gpus", *gpus);
    fields.add("  nodes", nodes.join(", "));
}

fn add_reference(fields: &mut Fields<'_>, name: &str, reference: &v1::Reference) {
    let v1::Reference {
        uri,
        version: of,
        evidence: _,
        role,
    } = reference;
    let of = of.as_ref().map(version).unwrap_or_default();
    fields.add(name, joined(&[uri, &of]));
    fields.add("  role", role);
    fields.add(
        "  known as",
        match reference.evidence() {
            v1::Evidence::Unspecified => "",
            v1::Evidence::Observed => "observed",
            v1::Evidence::Declared => "declared",
            v1::Evidence::Inferred => "inferred",
        },
    );
}

fn add_link(fields: &mut Fields<'_>, link: &v1::Link) {
    let v1::Link {
        from,
        to,
        valid_from,
        valid_to,
        authority,
    } = link;
    let bound = |time: Option<i64>, open: &str| {
        time.and_then(time::write)
            .unwrap_or_else(|| open.to_string())
    };
    fields.add("link", format!("{from} = {to}"));
    fields.add("  valid from", bound(*valid_from, "ever"));
    fields.add("  valid to", bound(*valid_to, "this day"));
    fields.add("  authority", authority);
}

fn add_context(fields: &mut Fields<'_>, row: &Row, context: &v1::Context) {
    let v1::Context {
        source,
        source_seq,
        source_id,
        occurred_at: _,
        observed_at,
        host,
        process,
        correlation_id,
        causation_seq,
        idempotency_id,
    } = context;
    fields.add(
        "occurred at",
        row.occurred_at.as_deref().unwrap_or_default(),
    );
    let observed_at = observed_at.and_then(time::write);
    fields.add("observed at", observed_at.unwrap_or_default());
    fields.add("source", source);
    fields.add_number("source seq", *source_seq);
    fields.add("source id", source_id);
    fields.add("host", host);
    if let Some(process) = process {
        add_process(fields, process);
    }
    fields.add("correlation", correlation_id);
    fields.add_number("caused by", *causation_seq);
    fields.add(
        "idempotency id",
        match std::str::from_utf8(idempotency_id) {
            Ok(text) if !text.contains(char::is_control) => text.to_owned(),
            _ => format!("0x{}", hex::encode(idempotency_id)),
        },
    );
}

fn add_process(fields: &mut Fields<'_>, process: &v1::Process) {
    let v1::Process {
        pid,
        executable,
        container,
        addresses,
        user_agent,
    } = process;
    let pid = match pid {
        0 => String::new(),
        pid => pid.to_string(),
    };
    fields.add("process", joined(&[&pid, executable]));
    fields.add("  container", container);
    fields.add("  addresses", addresses.join(", "));
    fields.add("  user agent", user_agent);
}

fn add_why(fields: &mut Fields<'_>, why: &v1::Why) {
    let v1::Why {
        reason,
        ticket,
        review,
        labels,
    } = why;
    fields.add("reason", reason);
    fields.add("ticket", ticket);
    fields.add("review", review);
    for v1::Label { key, value } in labels {
        let value = if value.is_empty() { "(empty)" } else { value };
        fields.add(&format!("label {key}"), value);
    }
}

fn add_detail(fields: &mut Fields<'_>, detail: &v1::Detail) {
    let v1::Detail {
        content: free,
        media_type,
        original,
        original_media_type,
        truncated,
        original_digest,
    } = detail;
    fields.add("detail", content(free));
    fields.add("detail's type", media_type);
    fields.add("original", content(original));
    fields.add("original's type", original_media_type);
    fields.add("original's digest", original_digest);
    if *truncated {
        fields.add(
            "truncated",
            "the original was longer than the collector could take",
        );
    }
}

fn version(version: &v1::Version) -> String {
    let v1::Version {
        ids,
        state: _,
        size,
    } = version;
    let state = match version.state() {
        v1::VersionState::Unspecified => "",
        v1::VersionState::Absent => "absent",
        v1::VersionState::Pending => "pending",
        v1::VersionState::TooLarge => "too large",
        v1::VersionState::Unavailable => "unavailable",
    };
    let size = match size {
        None => String::new(),
        Some(1) => "(1 byte)".into(),
        Some(size) => format!("({size} bytes)"),
    };
    let text = joined(&[state, &ids.join(" "), &size]);
    if text.is_empty() {
        "not said".into()
    } else {
        text
    }
}

fn content(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_string(),
        Err(_) => format!("{} bytes that are not text: -o json has them", bytes.len()),
    }
}

fn names(tags: &[Tag]) -> String {
    tags.iter()
        .map(|tag| tag.name())
        .collect::<Vec<_>>()
        .join(", ")
}
