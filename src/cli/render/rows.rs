//! Writes rows in the format that was asked for.

use std::io::{self, Write};

use super::entries::{self, Columns};
use super::fields::fields;
use super::{csv, json, table};
use crate::cli::arguments::{Format, Global};
use crate::entry::Tag;
use crate::entry::json::Row;

/// Rows that a table is made of at once, so that a long listing begins to show.
const ROWS_A_TABLE: usize = 500;

/// What a CSV file has of an entry. `target`, `before` and `after` are those of the first target, `targets` is how many there
/// are, `all_targets` all of them as JSON, as the other formats have them. `withheld` and `erased` name parts: what would stand
/// in them is not absent, but not shown.
const COLUMNS: [&str; 14] = [
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
    "withheld",
    "erased",
    "all_targets",
];

/// Whether times were marked in a table, and somebody was told what that means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Marks {
    None,
    Unexplained,
    Explained,
}

/// Writes rows, one after the other.
pub(crate) struct RowWriter {
    format: Format,
    /// One row is meant to be all: an object instead of an array, fields instead of columns.
    single: bool,
    out: Box<dyn Write>,
    pending: Vec<Row>,
    written: u64,
    /// The columns of a table that is written in pieces, once the first piece was.
    columns: Option<Columns>,
    /// Every piece of a table is shown at once.
    live: bool,
    marks: Marks,
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

    /// For any number of rows that are shown as they come.
    pub(crate) fn live(format: Format) -> Self {
        Self {
            live: true,
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
            columns: None,
            live: false,
            marks: Marks::None,
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
                    self.write_table(true)?;
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
            self.write_table(self.live)?;
        }
        self.out.flush()
    }

    /// Shows what has been written so far, and says once what a marked time means.
    pub(crate) fn flush_and_say(&mut self, global: &Global) -> io::Result<()> {
        self.flush()?;
        if self.marks == Marks::Unexplained {
            self.marks = Marks::Explained;
            global.say(table::RECORDED_NOTE);
        }
        Ok(())
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

    /// Writes what is pending. If `more` may follow, that stands in the same columns.
    fn write_table(&mut self, more: bool) -> io::Result<()> {
        let rows = std::mem::take(&mut self.pending);
        if let [row] = rows.as_slice()
            && self.single
        {
            let table = table::fields(&fields(row, &self.aliases));
            return writeln!(self.out, "{}", table::text(table));
        }
        if self.marks == Marks::None && rows.iter().any(entries::is_recorded_only) {
            self.marks = Marks::Unexplained;
        }
        let text = match &self.columns {
            Some(columns) => columns.piece(&rows, false),
            None if more => {
                let columns = self.columns.insert(Columns::for_first(&rows));
                columns.piece(&rows, true)
            }
            None => entries::all(&rows),
        };
        writeln!(self.out, "{text}")
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
        let all = row.targets_json().unwrap_or_default();
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
            &names(&row.withheld),
            &names(&row.erased),
            &json::safe(&all),
        ];
        csv::write_record(&mut self.out, cells)
    }
}

fn names(tags: &[Tag]) -> String {
    let names: Vec<&str> = tags.iter().map(|tag| tag.name()).collect();
    names.join(" ")
}
