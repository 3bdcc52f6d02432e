//! The state at a time.

use std::io::{self, Write};

use serde::Serialize;

use super::escape::escape;
use super::history::ids;
use super::records::{ACT_COLUMNS, ActRecord, Machine, Record, when_marked, write_records};
use super::table::{text, with_columns};
use crate::cli::arguments::Format;
use crate::entry::json::short_version;
use crate::inquiry::Change;

/// Writes the targets, each with its version and who left it so.
pub(crate) fn write_state(format: Format, targets: &[Change]) -> io::Result<()> {
    let Some(machine) = Machine::of(format) else {
        return write_table(targets);
    };
    let rows: Vec<StateRow<'_>> = targets.iter().map(StateRow::new).collect();
    let mut columns = vec!["target", "version"];
    columns.extend(ACT_COLUMNS);
    write_records(machine, &columns, &rows)
}

fn write_table(targets: &[Change]) -> io::Result<()> {
    let mut table = with_columns(&["TARGET", "VERSION", "SEQ", "SINCE", "BY"], &[2, 3]);
    for change in targets {
        let version = change.after.as_ref().map(short_version).unwrap_or_default();
        table.add_row([
            escape(&change.name).into_owned(),
            if version.is_empty() {
                "not said".to_owned()
            } else {
                escape(&version).into_owned()
            },
            change.act.seq.to_string(),
            when_marked(&change.act),
            escape(change.act.actor.text()).into_owned(),
        ]);
    }
    let mut out = io::BufWriter::new(io::stdout().lock());
    writeln!(out, "{}", text(table))?;
    out.flush()
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
