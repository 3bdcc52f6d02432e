//! Entries as events of the Open Cybersecurity Schema Framework, version 1.8.0, <https://schema.ocsf.io/1.8.0>.
//!
//! | action | class |
//! |---|---|
//! | `file.*`, `checkpoint.*`, `dataset.*` | File System Activity, 1001 |
//! | `job.*`, `run.*` | Scheduled Job Activity, 1006 |
//! | `process.*` | Process Activity, 1007 |
//! | `iam.*`, with a grantee and a permission | User Access Management, 3005 |
//! | all others | API Activity, 6003 |
//!
//! An entry is one event. The first target is the one that is mapped; the whole entry in its JSON form stands in `unmapped`, so
//! nothing is lost.

use std::io::{self, Write};

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::cli::render::json_safe;
use crate::entry::json::Row;
use crate::entry::v1;

const VERSION: &str = "1.8.0";
/// Severity "Informational": a record is no finding.
const INFORMATIONAL: u64 = 1;
const UNKNOWN: &str = "unknown";

/// A class of events, with its uid and the words of its activities, by their number from 1.
struct Class {
    category: (u64, &'static str),
    uid: u64,
    name: &'static str,
    activities: &'static [(u64, &'static str, &'static [&'static str])],
}

static FILE: Class = Class {
    category: (1, "System Activity"),
    uid: 1001,
    name: "File System Activity",
    activities: &[
        (1, "Create", &["create"]),
        (2, "Read", &["read", "load"]),
        (3, "Update", &["update", "save", "overwrite", "replace"]),
        (4, "Delete", &["delete"]),
        (5, "Rename", &["rename"]),
    ],
};
static JOB: Class = Class {
    category: (1, "System Activity"),
    uid: 1006,
    name: "Scheduled Job Activity",
    activities: &[
        (1, "Create", &["submit", "create"]),
        (2, "Update", &["update"]),
        (3, "Delete", &["delete"]),
        (6, "Start", &["start"]),
    ],
};
static PROCESS: Class = Class {
    category: (1, "System Activity"),
    uid: 1007,
    name: "Process Activity",
    activities: &[
        (1, "Launch", &["start", "create"]),
        (2, "Terminate", &["end", "kill", "exit"]),
    ],
};
static ACCESS: Class = Class {
    category: (3, "Identity & Access Management"),
    uid: 3005,
    name: "User Access Management",
    activities: &[
        (1, "Assign Privileges", &["grant"]),
        (2, "Revoke Privileges", &["revoke"]),
    ],
};
static API: Class = Class {
    category: (6, "Application Activity"),
    uid: 6003,
    name: "API Activity",
    activities: &[
        (1, "Create", &["create", "submit"]),
        (2, "Read", &["read", "load", "list", "get"]),
        (3, "Update", &["update", "replace"]),
        (4, "Delete", &["delete"]),
    ],
};

/// Writes an entry of the ledger `origin` as one event, on one line.
pub(super) fn write(out: &mut dyn Write, row: &Row, origin: &str) -> io::Result<()> {
    let event = event(row, origin)?;
    out.write_all(json_safe(&event.to_string()).as_bytes())?;
    out.write_all(b"\n")
}

fn event(row: &Row, origin: &str) -> io::Result<Value> {
    let what = row.what.clone().unwrap_or_default();
    let (noun, verb) = what.action.split_once('.').unwrap_or((&what.action, ""));
    let class = match noun {
        "file" | "checkpoint" | "dataset" => &FILE,
        "job" | "run" => &JOB,
        "process" => &PROCESS,
        "iam" if !what.grantee.is_empty() && !what.permission.is_empty() => &ACCESS,
        _ => &API,
    };
    let known = class
        .activities
        .iter()
        .find(|(_, _, verbs)| verbs.contains(&verb));
    let (activity, activity_name) = match known {
        Some((number, name, _)) => (*number, (*name).to_owned()),
        None if what.action.is_empty() => (0, "Unknown".to_owned()),
        // Of a class's other activities the name is the source's own word.
        None => (99, what.action.clone()),
    };
    let recorded_at = milliseconds(&row.recorded_at);
    let occurred_at = row.occurred_at.as_deref().map(milliseconds);
    let mut event = Map::new();
    let mut set = |name: &str, value: Value| {
        if !value.is_null() {
            event.insert(name.to_owned(), value);
        }
    };
    set("category_uid", class.category.0.into());
    set("category_name", class.category.1.into());
    set("class_uid", class.uid.into());
    set("class_name", class.name.into());
    set("activity_id", activity.into());
    set("type_uid", (class.uid * 100 + activity).into());
    let caption = if activity == 99 {
        "Other"
    } else {
        &activity_name
    };
    set("type_name", format!("{}: {caption}", class.name).into());
    set("activity_name", activity_name.into());
    set("severity_id", INFORMATIONAL.into());
    set("severity", "Informational".into());
    set("time", occurred_at.unwrap_or(recorded_at).into());
    set("message", super::timesketch::message(row).into());
    for (name, value) in status(&what) {
        set(name, value);
    }
    set("metadata", metadata(row, origin, recorded_at));
    set("actor", actor(row));
    for (name, value) in subject(class, row, &what) {
        set(name, value);
    }
    set("unmapped", serde_json::to_value(row)?);
    Ok(Value::Object(event))
}

/// RFC 3339 as milliseconds since 1970.
fn milliseconds(time: &str) -> i64 {
    let time: Option<Timestamp> = time.parse().ok();
    time.unwrap_or_default().as_millisecond()
}

/// Text, or null if there is none.
fn text(text: &str) -> Value {
    match text {
        "" => Value::Null,
        text => text.into(),
    }
}

/// An object of the fields that have a value.
fn object<const N: usize>(fields: [(&str, Value); N]) -> Value {
    let there = fields.into_iter().filter(|(_, value)| !value.is_null());
    Value::Object(
        there
            .map(|(name, value)| (name.to_owned(), value))
            .collect(),
    )
}

fn status(what: &v1::What) -> [(&'static str, Value); 4] {
    let (id, status, detail) = match what.outcome() {
        v1::Outcome::Unspecified => (0, "Unknown", ""),
        v1::Outcome::Success => (1, "Success", ""),
        v1::Outcome::Failure => (2, "Failure", ""),
        v1::Outcome::Denied => (2, "Failure", "denied"),
    };
    [
        ("status_id", id.into()),
        ("status", status.into()),
        ("status_detail", text(detail)),
        ("status_code", text(&what.outcome_code)),
    ]
}

fn metadata(row: &Row, origin: &str, recorded_at: i64) -> Value {
    let context = row.context.clone().unwrap_or_default();
    object([
        ("version", VERSION.into()),
        (
            "product",
            json!({"name": "Graven", "vendor_name": "Graven", "version": env!("CARGO_PKG_VERSION")}),
        ),
        ("uid", format!("{origin}/entry/{}", row.seq).into()),
        ("log_name", origin.into()),
        ("log_provider", text(&context.source)),
        ("event_code", text(row.action().unwrap_or_default())),
        ("original_event_uid", text(&context.source_id)),
        (
            "original_time",
            row.occurred_at.clone().map_or(Value::Null, Value::from),
        ),
        ("logged_time", recorded_at.into()),
        ("sequence", row.seq.into()),
        ("correlation_uid", text(&context.correlation_id)),
    ])
}

/// Who acted: the actor as claimed, else the program that sent the event.
fn actor(row: &Row) -> Value {
    let who = row.who.clone().unwrap_or_default();
    let session = who.session.unwrap_or_default();
    let process = row
        .context
        .as_ref()
        .and_then(|context| context.process.as_ref());
    let process = process.filter(|process| process.pid != 0);
    let submitter = row.submitter().unwrap_or(UNKNOWN);
    object([
        ("user", user(&who.actor, &who.display_name)),
        ("session", object_or_null([("uid", text(&session.id))])),
        ("process", process.map_or(Value::Null, process_object)),
        ("app_name", submitter.into()),
    ])
}

fn user(uid: &str, name: &str) -> Value {
    object_or_null([("uid", text(uid)), ("name", text(name))])
}

fn object_or_null<const N: usize>(fields: [(&str, Value); N]) -> Value {
    match object(fields) {
        Value::Object(fields) if fields.is_empty() => Value::Null,
        object => object,
    }
}

fn process_object(process: &v1::Process) -> Value {
    let file = match process.executable.as_str() {
        "" => Value::Null,
        path => json!({"name": last_name(path), "path": path, "type_id": 1}),
    };
    object([
        ("pid", process.pid.into()),
        ("file", file),
        (
            "container",
            object_or_null([("uid", text(&process.container))]),
        ),
    ])
}

/// What was acted upon, and where, as the class has it.
fn subject(class: &Class, row: &Row, what: &v1::What) -> Vec<(&'static str, Value)> {
    let first = what.targets.first().cloned().unwrap_or_default();
    let named = match first.uri.as_str() {
        "" => UNKNOWN,
        uri => uri,
    };
    let context = row.context.clone().unwrap_or_default();
    let place = [&context.host, &context.source]
        .into_iter()
        .find(|name| !name.is_empty());
    let place = place.map_or(UNKNOWN, String::as_str);
    let device = ("device", json!({"type_id": 0, "hostname": place}));
    match class.uid {
        1001 => {
            let (before, after) = (first.before.as_ref(), first.after.as_ref());
            let result = after.filter(|_| before.is_some());
            let result = result.map_or(Value::Null, |after| file(&first, named, Some(after)));
            vec![
                device,
                ("file", file(&first, named, before.or(after))),
                ("file_result", result),
            ]
        }
        1006 => vec![
            device,
            (
                "job",
                object([("name", named.into()), ("user", user(&first.owner, ""))]),
            ),
        ],
        1007 => vec![
            device,
            (
                "process",
                object([("uid", named.into()), ("user", user(&first.owner, ""))]),
            ),
        ],
        3005 => vec![
            ("user", user(&what.grantee, "")),
            ("privileges", json!([what.permission])),
            ("resources", resources(what)),
            ("src_endpoint", json!({"name": place})),
        ],
        _ => {
            let operation = match what.action.as_str() {
                "" => UNKNOWN,
                action => action,
            };
            vec![
                ("api", json!({"operation": operation})),
                ("resources", resources(what)),
                ("src_endpoint", json!({"name": place})),
            ]
        }
    }
}

fn resources(what: &v1::What) -> Value {
    let resource = |target: &v1::Target| {
        object([
            ("uid", text(&target.instance)),
            ("name", text(&target.uri)),
            ("owner", user(&target.owner, "")),
        ])
    };
    what.targets.iter().map(resource).collect()
}

fn file(target: &v1::Target, path: &str, version: Option<&v1::Version>) -> Value {
    let ids = version
        .map(|version| version.ids.as_slice())
        .unwrap_or_default();
    let hashes: Vec<Value> = ids.iter().filter_map(|id| fingerprint(id)).collect();
    object([
        ("name", last_name(path).into()),
        ("path", path.into()),
        ("type_id", 0.into()),
        ("uid", text(&target.instance)),
        ("owner", user(&target.owner, "")),
        (
            "size",
            version
                .and_then(|version| version.size)
                .map_or(Value::Null, Value::from),
        ),
        (
            "hashes",
            if hashes.is_empty() {
                Value::Null
            } else {
                hashes.into()
            },
        ),
    ])
}

/// A digest of the content. A git object's id is not its content's SHA-1, and stays another algorithm.
fn fingerprint(id: &str) -> Option<Value> {
    let (scheme, value) = id.split_once(':')?;
    let (number, name) = match scheme {
        "md5" => (1, "MD5"),
        "sha1" => (2, "SHA-1"),
        "sha256" => (3, "SHA-256"),
        "sha512" => (4, "SHA-512"),
        other => (99, other),
    };
    Some(json!({"algorithm_id": number, "algorithm": name, "value": value}))
}

fn last_name(path: &str) -> &str {
    path.rsplit('/')
        .find(|name| !name.is_empty())
        .unwrap_or(path)
}
