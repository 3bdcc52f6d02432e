//! Rows that are not entries, in the formats for machines.

use std::io::{self, Write};

use serde::Serialize;

use super::{csv, json};
use crate::cli::arguments::{Format, Global};
use crate::entry::json::time;
use crate::inquiry::Act;

/// A format for machines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Machine {
    Jsonl,
    Json,
    Csv,
}

impl Machine {
    /// The same format, if it is for machines.
    pub(crate) fn of(format: Format) -> Option<Self> {
        match format {
            Format::Table => None,
            Format::Jsonl => Some(Self::Jsonl),
            Format::Json => Some(Self::Json),
            Format::Csv => Some(Self::Csv),
        }
    }
}

/// A row: an object, and the cells of a CSV file.
pub(crate) trait Record: Serialize {
    fn cells(&self) -> Vec<String>;
}

/// Writes rows, all of them.
pub(crate) fn write_records<R: Record>(
    format: Machine,
    columns: &[&str],
    rows: &[R],
) -> io::Result<()> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    match format {
        Machine::Jsonl => {
            for row in rows {
                let line = serde_json::to_string(row)?;
                writeln!(out, "{}", json::safe(&line))?;
            }
        }
        Machine::Json => {
            let array = serde_json::to_string_pretty(rows)?;
            writeln!(out, "{}", json::safe(&array))?;
        }
        Machine::Csv => {
            csv::write_record(&mut out, columns.iter().copied())?;
            for row in rows {
                let cells = row.cells();
                csv::write_record(&mut out, cells.iter().map(String::as_str))?;
            }
        }
    }
    out.flush()
}

/// An act as every object shows it.
#[derive(Debug, Serialize)]
pub(crate) struct ActRecord<'a> {
    pub(crate) seq: u64,
    pub(crate) occurred_at: Option<String>,
    pub(crate) recorded_at: Option<String>,
    /// Null when it was not said or is withheld.
    pub(crate) actor: Option<&'a str>,
    pub(crate) submitter: &'a str,
    pub(crate) action: &'a str,
    pub(crate) outcome: Option<&'static str>,
    pub(crate) foreign: bool,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(crate) host: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(crate) session: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(crate) reason: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(crate) ticket: &'a str,
}

/// The columns of an act in a CSV file.
pub(crate) const ACT_COLUMNS: [&str; 9] = [
    "seq",
    "occurred_at",
    "recorded_at",
    "actor",
    "submitter",
    "action",
    "outcome",
    "foreign",
    "reason",
];

impl<'a> ActRecord<'a> {
    pub(crate) fn new(act: &'a Act) -> Self {
        Self {
            seq: act.seq,
            occurred_at: act.occurred_at.and_then(time::write),
            recorded_at: time::write(act.recorded_at),
            actor: act.actor.said(),
            submitter: &act.submitter,
            action: &act.action,
            outcome: act.outcome,
            foreign: act.foreign,
            host: &act.host,
            session: &act.session,
            reason: &act.reason,
            ticket: &act.ticket,
        }
    }

    pub(crate) fn cells(&self) -> [String; 9] {
        [
            self.seq.to_string(),
            self.occurred_at.clone().unwrap_or_default(),
            self.recorded_at.clone().unwrap_or_default(),
            self.actor.unwrap_or_default().to_owned(),
            self.submitter.to_owned(),
            self.action.to_owned(),
            self.outcome.unwrap_or_default().to_owned(),
            self.foreign.to_string(),
            self.reason.to_owned(),
        ]
    }
}

/// When an act happened as claimed, or else when it was recorded, to the second, for a sentence.
pub(crate) fn when(act: &Act) -> String {
    let prefix = match act.occurred_at {
        Some(_) => "",
        None => "recorded ",
    };
    format!("{prefix}{}", to_second(act))
}

/// The same for a table, with a mark behind the time when it was recorded.
pub(crate) fn when_marked(act: &Act) -> String {
    super::table::marked(to_second(act), act.occurred_at.is_none())
}

/// Says what the marks in a table of acts mean, if there are any.
pub(crate) fn explain_marks<'a>(
    format: Format,
    mut acts: impl Iterator<Item = &'a Act>,
    global: &Global,
) {
    if format == Format::Table && acts.any(|act| act.occurred_at.is_none()) {
        global.say(super::table::RECORDED_NOTE);
    }
}

fn to_second(act: &Act) -> String {
    let time = time::write(act.when()).unwrap_or_default();
    super::table::to_second(&time)
}
