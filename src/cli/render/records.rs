//! Rows that are not entries, in the formats for machines.

use std::io::{self, Write};

use serde::Serialize;

use super::{csv, json};

/// A format for machines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Machine {
    Jsonl,
    Json,
    Csv,
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
