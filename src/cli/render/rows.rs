//! Writes rows in the format that was asked for.

use std::io::{self, Write};

use super::fields::fields;
use super::{csv, json, table};
use crate::cli::arguments::Format;
use crate::entry::json::Row;

/// Rows that a table is made of at once, so that a long listing begins to show.
const ROWS_A_TABLE: usize = 500;

/// What a CSV file has of an entry.
const COLUMNS: [&str; 11] = [
    "seq",
    "recorded_at",
    "occurred_at",
    "submitter",
    "actor",
    "action",
    "outcome",
    "target",
    "before",
    "after",
    "targets",
];

/// Writes rows, one after the other.
pub(crate) struct RowWriter {
    format: Format,
    /// One row is meant to be all: an object instead of an array, fields instead of columns.
    single: bool,
    out: Box<dyn Write>,
    pending: Vec<Row>,
    written: u64,
    /// Who else the identities of a single entry are.
    aliases: Vec<(String, String)>,
}

impl RowWriter {
    /// For any number of rows.
    pub(crate) fn new(format: Format) -> Self {
        Self::with(format, false)
    }

    /// For any number of rows, written to `out`.
    pub(crate) fn with_out(format: Format, out: Box<dyn Write>) -> Self {
        Self {
            out,
            ..Self::with(format, false)
        }
    }

    /// For exactly one.
    pub(crate) fn single(format: Format) -> Self {
        Self::with(format, true)
    }

    fn with(format: Format, single: bool) -> Self {
        let out = Box::new(io::BufWriter::new(io::stdout()));
        Self {
            format,
            single,
            out,
            pending: Vec::new(),
            written: 0,
            aliases: Vec::new(),
        }
    }

    /// The same, which says of the identities of a single entry who else they are, in words that are safe to print.
    pub(crate) fn with_aliases(self, aliases: &[(String, String)]) -> Self {
        Self {
            aliases: aliases.to_vec(),
            ..self
        }
    }

    /// Writes the next row.
    pub(crate) fn write(&mut self, row: Row) -> io::Result<()> {
        match self.format {
            Format::Table => {
                self.pending.push(row);
                if self.pending.len() >= ROWS_A_TABLE {
                    self.write_table()?;
                }
            }
            Format::Jsonl => {
                self.out
                    .write_all(json::safe(&serde_json::to_string(&row)?).as_bytes())?;
                self.out.write_all(b"\n")?;
            }
            Format::Json => {
                if !self.single {
                    self.out
                        .write_all(if self.written == 0 { b"[\n" } else { b",\n" })?;
                }
                self.out
                    .write_all(json::safe(&serde_json::to_string_pretty(&row)?).as_bytes())?;
            }
            Format::Csv => {
                if self.written == 0 {
                    csv::write_record(&mut self.out, COLUMNS)?;
                }
                self.write_csv(&row)?;
            }
        }
        self.written += 1;
        Ok(())
    }

    /// Shows what has been written so far.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        if !self.pending.is_empty() {
            self.write_table()?;
        }
        self.out.flush()
    }

    /// Writes what remains.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        if self.format == Format::Json {
            match (self.single, self.written) {
                (true, _) => self.out.write_all(b"\n")?,
                (false, 0) => self.out.write_all(b"[]\n")?,
                (false, _) => self.out.write_all(b"\n]\n")?,
            }
        }
        if self.format == Format::Csv && self.written == 0 {
            csv::write_record(&mut self.out, COLUMNS)?;
        }
        self.flush()
    }

    fn write_table(&mut self) -> io::Result<()> {
        let rows = std::mem::take(&mut self.pending);
        let table = match rows.as_slice() {
            [row] if self.single => table::fields(&fields(row, &self.aliases)),
            rows => table::entries(rows),
        };
        writeln!(self.out, "{}", table.trim_fmt())
    }

    fn write_csv(&mut self, row: &Row) -> io::Result<()> {
        let targets = row.targets().unwrap_or_default();
        let first = targets.first();
        let ids = |version: Option<&crate::entry::v1::Version>| {
            version
                .map(|version| version.ids.join(" "))
                .unwrap_or_default()
        };
        let before = ids(first.and_then(|target| target.before.as_ref()));
        let after = ids(first.and_then(|target| target.after.as_ref()));
        let cells: [&str; COLUMNS.len()] = [
            &row.seq.to_string(),
            row.recorded_at.as_str(),
            row.occurred_at.as_deref().unwrap_or_default(),
            row.submitter().unwrap_or_default(),
            row.actor().unwrap_or_default(),
            row.action().unwrap_or_default(),
            row.outcome().unwrap_or_default(),
            first.map_or("", |target| target.uri.as_str()),
            &before,
            &after,
            &targets.len().to_string(),
        ];
        csv::write_record(&mut self.out, cells)
    }
}
