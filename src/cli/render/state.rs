//! The state at a time.

use std::io::{self, Write};

use serde::Serialize;

use super::escape::escape;
use super::history::ids;
use super::records::{ACT_COLUMNS, ActRecord, Machine, Record, when, write_records};
use crate::cli::arguments::Format;
use crate::entry::json::short_version;
use crate::inquiry::Change;

/// Writes the targets, each with its version and who left it so.
pub(crate) fn write_state(format: Format, targets: &[Change]) -> io::Result<()> {
    let machine = match format {
        Format::Table => return write_lines(targets),
        Format::Jsonl => Machine::Jsonl,
        Format::Json => Machine::Json,
        Format::Csv => Machine::Csv,
    };
    let rows: Vec<StateRow<'_>> = targets.iter().map(StateRow::new).collect();
    let mut columns = vec!["target", "version"];
    columns.extend(ACT_COLUMNS);
    write_records(machine, &columns, &rows)
}

/// A target a line, its name last, so that it is not cut.
fn write_lines(targets: &[Change]) -> io::Result<()> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    let rows: Vec<[String; 4]> = targets.iter().map(cells).collect();
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or_default()
    };
    let [version, seq, since] = [width(0), width(1), width(2)];
    for (row, change) in rows.iter().zip(targets) {
        let name = escape(&change.name);
        let [a, b, c, by] = row;
        writeln!(out, "{a:version$}  {b:seq$}  {c:since$}  {by}  {name}")?;
    }
    out.flush()
}

/// The version, the entry, since when, and by whom.
fn cells(change: &Change) -> [String; 4] {
    let version = change.after.as_ref().map(short_version).unwrap_or_default();
    let version = match version.as_str() {
        "" => "not said".to_owned(),
        version => escape(version).into_owned(),
    };
    let act = &change.act;
    let by = escape(act.actor.text()).into_owned();
    [version, act.seq.to_string(), when(act), by]
}

#[derive(Serialize)]
struct StateRow<'a> {
    target: &'a str,
    version: Vec<&'a str>,
    #[serde(flatten)]
    act: ActRecord<'a>,
}

impl<'a> StateRow<'a> {
    fn new(change: &'a Change) -> Self {
        Self {
            target: &change.name,
            version: change.after.as_ref().map(ids).unwrap_or_default(),
            act: ActRecord::new(&change.act),
        }
    }
}

impl Record for StateRow<'_> {
    fn cells(&self) -> Vec<String> {
        let mut cells = vec![self.target.to_owned(), self.version.join(" ")];
        cells.extend(self.act.cells());
        cells
    }
}
