//! What the ledger says it did, field by field, for people.

use super::fields::Fields;
use crate::entry::v1::ledger_act::Act;
use crate::entry::{Tag, hex, v1};

/// Adds everything that an act says.
pub(super) fn add_act(fields: &mut Fields<'_>, act: &Act) {
    match act {
        Act::Seal(seal) => add_seal(fields, seal),
        Act::Erasure(erasure) => {
            let v1::Erasure {
                seq,
                parts: erased,
                requested_by,
                ticket,
            } = erasure;
            fields.add("erased of", format!("entry {seq}"));
            fields.add("  parts", parts(erased));
            fields.add("  asked for by", requested_by);
            fields.add("  ticket", ticket);
        }
        Act::RangeErasure(erasure) => {
            let v1::RangeErasure {
                entries,
                parts: erased,
                ticket,
                reason,
            } = erasure;
            fields.add("erased of", ranges(entries));
            fields.add("  parts", parts(erased));
            fields.add("  ticket", ticket);
            fields.add("  reason", reason);
        }
        Act::KeyRotation(v1::KeyRotation { statement }) => {
            fields.add_lines("statement of keys", statement);
        }
        Act::Adoption(v1::Adoption { size, root, found }) => {
            fields.add("adopted", format!("a store of {size} entries"));
            fields.add("  root", hex::encode(root));
            fields.add("  anchor", found);
        }
        Act::PolicyChange(change) => {
            let v1::PolicyChange {
                digest,
                grants,
                occasion,
            } = change;
            fields.add("policy", sha256(digest));
            fields.add("  grants", grants.to_string());
            fields.add("  in force since", occasion);
        }
        Act::RedactionChange(change) => {
            let v1::RedactionChange {
                digest,
                shipped,
                rules,
                occasion,
            } = change;
            fields.add("redaction", sha256(digest));
            fields.add("  in force since", occasion);
            fields.add_lines("  shipped rules", shipped);
            fields.add_lines("  own rules", rules);
        }
        Act::Hold(hold) => {
            let v1::Hold {
                name,
                ticket,
                reason,
                entries,
                filter,
            } = hold;
            fields.add("hold", name);
            fields.add("  ticket", ticket);
            fields.add("  reason", reason);
            fields.add("  of", ranges(entries));
            fields.add("  of what matches", filter);
        }
        Act::Release(release) => {
            let v1::Release {
                name,
                hold_seq,
                ticket,
                reason,
            } = release;
            fields.add("released hold", name);
            fields.add("  placed by", format!("entry {hold_seq}"));
            fields.add("  ticket", ticket);
            fields.add("  reason", reason);
        }
        Act::Start(start) => add_start(fields, start),
        Act::Stop(v1::Stop { occasion }) => fields.add("stopped by", occasion),
        Act::Configuration(configuration) => add_configuration(fields, configuration),
        Act::Refusals(refusals) => add_refusals(fields, refusals),
    }
}

fn add_seal(fields: &mut Fields<'_>, seal: &v1::Seal) {
    let v1::Seal {
        index_version,
        levels,
    } = seal;
    fields.add("index version", index_version.to_string());
    for (number, v1::SealLevel { segments, root }) in levels.iter().enumerate() {
        let plural = if *segments == 1 { "" } else { "s" };
        let text = format!("{segments} segment{plural}, root {}", hex::encode(root));
        fields.add(&format!("  level {number}"), text);
    }
}

fn add_start(fields: &mut Fields<'_>, start: &v1::Start) {
    let v1::Start {
        version,
        previous: _,
        previous_seq,
    } = start;
    fields.add("version", version);
    fields.add(
        "previous run",
        match start.previous() {
            v1::PreviousRun::Unspecified => "",
            v1::PreviousRun::None => "none: no run was recorded before",
            v1::PreviousRun::Clean => "clean: it recorded its end",
            v1::PreviousRun::Unclean => "UNCLEAN: it did not record its end",
        },
    );
    let last = previous_seq.map(|seq| format!("entry {seq}"));
    fields.add("  last start or stop", last.unwrap_or_default());
}

fn add_configuration(fields: &mut Fields<'_>, configuration: &v1::Configuration) {
    let v1::Configuration {
        digest,
        settings,
        changed,
    } = configuration;
    fields.add("configuration", sha256(digest));
    fields.add("  changed", changed.join(", "));
    for v1::Setting { name, digest } in settings {
        fields.add("  setting", format!("{name} {}", sha256(digest)));
    }
}

fn add_refusals(fields: &mut Fields<'_>, refusals: &v1::Refusals) {
    let v1::Refusals { refusals, others } = refusals;
    for refusal in refusals {
        let v1::Refusal {
            submitter,
            method,
            reason,
            count,
        } = refusal;
        let who = match submitter {
            None => "nobody who could be authenticated".to_owned(),
            Some(v1::Submitter { issuer, subject }) if issuer.is_empty() => subject.clone(),
            Some(v1::Submitter { issuer, subject }) => format!("{subject} by {issuer}"),
        };
        let method = if method.is_empty() {
            "no such call"
        } else {
            method
        };
        fields.add("refused", format!("{count} of {who}"));
        fields.add("  call", method);
        fields.add("  why", reason);
    }
    fields.add_number("refused others", (*others > 0).then_some(others));
}

fn sha256(digest: &[u8]) -> String {
    format!("sha256:{}", hex::encode(digest))
}

/// The names of parts given by number.
fn parts(numbers: &[u32]) -> String {
    let name = |number: &u32| match Tag::from_number(*number) {
        Some(tag) => tag.name().to_owned(),
        None => number.to_string(),
    };
    numbers.iter().map(name).collect::<Vec<_>>().join(", ")
}

/// Entries, both ends of each range included.
fn ranges(ranges: &[v1::SeqRange]) -> String {
    let range = |range: &v1::SeqRange| {
        let v1::SeqRange { first_seq, end_seq } = range;
        let last = end_seq.saturating_sub(1);
        if last <= *first_seq {
            format!("entry {first_seq}")
        } else {
            format!("entries {first_seq} to {last}")
        }
    };
    ranges.iter().map(range).collect::<Vec<_>>().join(", ")
}
