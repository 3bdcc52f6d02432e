//! Tables for people.

use std::io::{self, IsTerminal, Write};

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Table};

use super::escape::escape;
use super::groups::{Group, Moment};
use crate::cli::answer::thousands;
use crate::entry::json::{Row, short_version};

/// Width where there is no terminal to ask.
const DEFAULT_WIDTH: u16 = 80;

/// An empty table without lines. Nothing is cut off: long cells wrap.
fn plain() -> Table {
    let mut table = Table::new();
    table
        .load_style(NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic);
    if !io::stdout().is_terminal() {
        table.set_width(DEFAULT_WIDTH);
    }
    table
}

/// The columns of the terminal on standard output, if it is one.
pub(super) fn terminal_width() -> Option<usize> {
    let terminal = io::stdout().is_terminal();
    let width = terminal.then(|| Table::new().width())?;
    width.map(usize::from)
}

/// The same with a header. The columns `whole`, by their number from 0, keep each cell on one line: what people cannot do
/// without there.
pub(super) fn with_columns(header: &[&str], whole: &[usize]) -> Table {
    let mut table = plain();
    table.set_header(header.iter().copied());
    for column in whole {
        if let Some(column) = table.column_mut(*column) {
            column.set_constraint(ColumnConstraint::ContentWidth);
        }
    }
    table
}

/// Writes a table of cells, which may hold anything, with `whole` columns as above.
pub(crate) fn write(header: &[&str], whole: &[usize], rows: &[Vec<String>]) -> io::Result<()> {
    let mut table = with_columns(header, whole);
    for row in rows {
        table.add_row(row.iter().map(|cell| escape(cell).into_owned()));
    }
    writeln!(io::stdout().lock(), "{}", table.trim_fmt())
}

/// A table of entries.
pub(super) fn entries(rows: &[Row]) -> Table {
    let mut table = with_columns(
        &["SEQ", "OCCURRED", "ACTOR", "ACTION", "TARGET"],
        &[0, 1, 3],
    );
    for row in rows {
        table.add_row([
            row.seq.to_string(),
            // To the second: the whole is in every other format.
            row.occurred_at
                .as_deref()
                .or(Some(&row.recorded_at))
                .map(to_second)
                .unwrap_or_default(),
            escape(row.actor().unwrap_or("-")).into_owned(),
            action(row),
            targets(row),
        ]);
    }
    table
}

/// A table of groups.
pub(super) fn groups(field: &str, groups: &[Group]) -> Table {
    let header = field.to_uppercase();
    let mut table = with_columns(
        &[header.as_str(), "COUNT", "SHARE", "FIRST", "LAST"],
        &[1, 2, 3, 4],
    );
    for column in 1..=2 {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    for group in groups {
        let value = match &group.value {
            Some(value) if group.cut => format!("{}…", escape(value)),
            Some(value) => escape(value).into_owned(),
            None => "(none)".into(),
        };
        let moment = |moment: &Option<Moment>| {
            let time = moment.as_ref().and_then(|moment| moment.time.as_deref());
            time.map_or_else(|| "-".to_owned(), to_minute)
        };
        table.add_row([
            value,
            thousands(group.count),
            format!("{:.1} %", group.share() * 100.0),
            moment(&group.first),
            moment(&group.last),
        ]);
    }
    table
}

/// A table of one entry's fields.
pub(super) fn fields(fields: &[(String, String)]) -> Table {
    let mut table = plain();
    for (name, value) in fields {
        table.add_row([escape(name), escape(value)]);
    }
    table
}

fn action(row: &Row) -> String {
    let action = escape(row.action().unwrap_or("-"));
    match row.outcome() {
        Some("success") | None => action.into_owned(),
        Some(outcome) => format!("{action} ({outcome})"),
    }
}

fn targets(row: &Row) -> String {
    let targets = row.targets().unwrap_or_default();
    let lines = targets.iter().map(|target| {
        let version = |version: &Option<_>| version.as_ref().map(short_version).unwrap_or_default();
        let (before, after) = (version(&target.before), version(&target.after));
        let change = match (before.is_empty(), after.is_empty()) {
            (true, true) => String::new(),
            _ => format!("\n{} → {}", or_dash(&before), or_dash(&after)),
        };
        format!("{}{}", escape(&target.uri), change)
    });
    let link = row.what.as_ref().and_then(|what| what.link.as_ref());
    let link = link.map(|link| format!("{}\n= {}", escape(&link.from), escape(&link.to)));
    lines.chain(link).collect::<Vec<_>>().join("\n")
}

fn or_dash(text: &str) -> std::borrow::Cow<'_, str> {
    if text.is_empty() {
        "-".into()
    } else {
        escape(text)
    }
}

pub(crate) fn to_second(time: &str) -> String {
    match time.split_once('.') {
        Some((second, _)) => format!("{second}Z"),
        None => time.to_string(),
    }
}

/// The whole is in every other format.
fn to_minute(time: &str) -> String {
    match time.get(..16) {
        Some(minute) => format!("{minute}Z"),
        None => time.to_string(),
    }
}
