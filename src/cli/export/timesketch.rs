//! Entries as Timesketch imports them: JSON lines or CSV with `message`, `datetime` and `timestamp_desc`, and fields without
//! structure, since it infers a type for each.

use std::io::{self, Write};

use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::cli::render::{csv, json_safe};
use crate::entry::json::Row;
use crate::entry::{hex, v1};

const COLUMNS: [&str; 24] = [
    "message",
    "datetime",
    "timestamp",
    "timestamp_desc",
    "data_type",
    "seq",
    "recorded_at",
    "occurred_at",
    "submitter",
    "actor",
    "action",
    "outcome",
    "target",
    "targets",
    "before",
    "after",
    "owner",
    "run",
    "source",
    "host",
    "reason",
    "ticket",
    "withheld",
    "leaf_hash",
];

/// What happened, in a line.
pub(super) fn message(row: &Row) -> String {
    let targets = row.targets().unwrap_or_default();
    let target = targets.first().map_or("", |target| target.uri.as_str());
    let more = match targets.len() {
        0 | 1 => String::new(),
        count => format!(" and {} more", count - 1),
    };
    let outcome = match row.outcome() {
        Some("success") | None => String::new(),
        Some(outcome) => format!(" ({outcome})"),
    };
    let (actor, action) = (row.actor().unwrap_or("-"), row.action().unwrap_or("-"));
    format!("{actor} {action} {target}{more}{outcome}")
}

/// Writes an entry as a JSON object on one line. Fields without a value are left out.
pub(super) fn write_json(out: &mut dyn Write, row: &Row) -> io::Result<()> {
    let fields = COLUMNS.into_iter().zip(cells(row));
    let mut object: Map<String, Value> = fields
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| (name.to_owned(), value.into()))
        .collect();
    object.insert("timestamp".into(), microseconds(row).into());
    object.insert("seq".into(), row.seq.into());
    object.insert("targets".into(), count(row).into());
    out.write_all(json_safe(&Value::Object(object).to_string()).as_bytes())?;
    out.write_all(b"\n")
}

/// Writes the first record of a CSV file.
pub(super) fn write_columns(out: &mut dyn Write) -> io::Result<()> {
    csv::write_record(out, COLUMNS)
}

/// Writes an entry as a record of a CSV file.
pub(super) fn write_record(out: &mut dyn Write, row: &Row) -> io::Result<()> {
    let cells = cells(row);
    csv::write_record(out, cells.iter().map(String::as_str))
}

fn count(row: &Row) -> usize {
    row.targets().unwrap_or_default().len()
}

/// When it happened as claimed, else when it was recorded.
fn time(row: &Row) -> Timestamp {
    let time = row.occurred_at.as_ref().unwrap_or(&row.recorded_at);
    time.parse().unwrap_or_default()
}

fn microseconds(row: &Row) -> i64 {
    time(row).as_microsecond()
}

fn cells(row: &Row) -> [String; COLUMNS.len()] {
    let targets = row.targets().unwrap_or_default();
    let first = targets.first();
    let of_target = |read: fn(&v1::Target) -> &String| first.map(read).cloned().unwrap_or_default();
    let ids = |version: Option<&v1::Version>| {
        version
            .map(|version| version.ids.join(" "))
            .unwrap_or_default()
    };
    let said = |text: Option<&str>| text.unwrap_or_default().to_owned();
    let context = row.context.clone().unwrap_or_default();
    let why = row.why.clone().unwrap_or_default();
    let run = row.what.as_ref().and_then(|what| what.run.as_ref());
    let withheld: Vec<&str> = row.withheld.iter().map(|tag| tag.name()).collect();
    let described = match row.occurred_at {
        Some(_) => "Event Occurred",
        None => "Event Recorded",
    };
    [
        message(row),
        time(row)
            .strftime("%Y-%m-%dT%H:%M:%S.%6f+00:00")
            .to_string(),
        microseconds(row).to_string(),
        described.to_owned(),
        "graven:entry".to_owned(),
        row.seq.to_string(),
        row.recorded_at.clone(),
        row.occurred_at.clone().unwrap_or_default(),
        said(row.submitter()),
        said(row.actor()),
        said(row.action()),
        said(row.outcome()),
        of_target(|target| &target.uri),
        targets.len().to_string(),
        ids(first.and_then(|target| target.before.as_ref())),
        ids(first.and_then(|target| target.after.as_ref())),
        of_target(|target| &target.owner),
        run.map(|run| run.id.clone()).unwrap_or_default(),
        context.source,
        context.host,
        why.reason,
        why.ticket,
        withheld.join(" "),
        hex::encode(&row.leaf_hash),
    ]
}
