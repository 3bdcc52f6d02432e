//! How many entries have which value, in every format.

use std::io::{self, Write};

use serde::Serialize;

use super::{csv, json, table};
use crate::cli::arguments::Format;
use crate::index::Tally;

/// The entries with one value of a field.
#[derive(Debug, Default)]
pub(crate) struct Group {
    /// The value; none for the entries that have none.
    pub(crate) value: Option<String>,
    /// Values that begin so, and go on, are one group.
    pub(crate) cut: bool,
    pub(crate) count: u64,
    /// How many entries there are altogether.
    pub(crate) of: u64,
    pub(crate) first: Option<Moment>,
    pub(crate) last: Option<Moment>,
}

/// An entry, and when it occurred as claimed, or else was recorded.
#[derive(Debug, Clone)]
pub(crate) struct Moment {
    pub(crate) seq: u64,
    pub(crate) time: Option<String>,
    /// The time is when it was recorded.
    pub(crate) recorded: bool,
}

/// A group as an object.
#[derive(Serialize)]
struct Object<'a> {
    value: Option<&'a str>,
    cut: bool,
    count: u64,
    share: f64,
    first_seq: Option<u64>,
    first_time: Option<&'a str>,
    last_seq: Option<u64>,
    last_time: Option<&'a str>,
}

/// All entries as an object.
#[derive(Serialize)]
struct All {
    count: u64,
    first_seq: Option<u64>,
    last_seq: Option<u64>,
}

impl Group {
    /// Its part of all, 0 to 1, to four digits.
    #[allow(clippy::cast_precision_loss)] // Four digits of it are shown.
    pub(super) fn share(&self) -> f64 {
        let share = self.count as f64 / self.of.max(1) as f64;
        (share * 10_000.0).round() / 10_000.0
    }

    fn object(&self) -> Object<'_> {
        let seq = |moment: &Option<Moment>| moment.as_ref().map(|moment| moment.seq);
        Object {
            value: self.value.as_deref(),
            cut: self.cut,
            count: self.count,
            share: self.share(),
            first_seq: seq(&self.first),
            first_time: self.first.as_ref().and_then(|first| first.time.as_deref()),
            last_seq: seq(&self.last),
            last_time: self.last.as_ref().and_then(|last| last.time.as_deref()),
        }
    }

    fn cells(&self) -> [String; COLUMNS.len()] {
        let Object {
            value,
            cut,
            count,
            share,
            first_seq,
            first_time,
            last_seq,
            last_time,
        } = self.object();
        let seq = |seq: Option<u64>| seq.map_or_else(String::new, |seq| seq.to_string());
        let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
        [
            text(value),
            cut.to_string(),
            count.to_string(),
            share.to_string(),
            seq(first_seq),
            text(first_time),
            seq(last_seq),
            text(last_time),
        ]
    }
}

const COLUMNS: [&str; 8] = [
    "value",
    "cut",
    "count",
    "share",
    "first_seq",
    "first_time",
    "last_seq",
    "last_time",
];

/// Writes groups.
pub(crate) fn write_groups(format: Format, field: &str, groups: &[Group]) -> io::Result<()> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    match format {
        Format::Table => writeln!(out, "{}", table::text(table::groups(field, groups)))?,
        Format::Jsonl => {
            for group in groups {
                let line = serde_json::to_string(&group.object())?;
                writeln!(out, "{}", json::safe(&line))?;
            }
        }
        Format::Json => {
            let all: Vec<_> = groups.iter().map(Group::object).collect();
            writeln!(out, "{}", json::safe(&serde_json::to_string_pretty(&all)?))?;
        }
        Format::Csv => {
            csv::write_record(&mut out, COLUMNS)?;
            for group in groups {
                let cells = group.cells();
                csv::write_record(&mut out, cells.iter().map(String::as_str))?;
            }
        }
    }
    out.flush()
}

/// Writes how many entries there are.
pub(crate) fn write_count(format: Format, tally: Tally) -> io::Result<()> {
    let some = tally.count > 0;
    let all = All {
        count: tally.count,
        first_seq: some.then_some(tally.first),
        last_seq: some.then_some(tally.last),
    };
    let mut out = io::BufWriter::new(io::stdout().lock());
    match format {
        Format::Table => writeln!(out, "{}", all.count)?,
        Format::Jsonl | Format::Json => writeln!(out, "{}", serde_json::to_string(&all)?)?,
        Format::Csv => {
            let end = |seq: Option<u64>| seq.map_or_else(String::new, |seq| seq.to_string());
            let cells = [all.count.to_string(), end(all.first_seq), end(all.last_seq)];
            csv::write_record(&mut out, ["count", "first_seq", "last_seq"])?;
            csv::write_record(&mut out, cells.iter().map(String::as_str))?;
        }
    }
    out.flush()
}
