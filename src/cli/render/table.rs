//! Tables for people.

use std::io::{self, IsTerminal, Write};

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Table, Width};

use super::escape::escape;
use super::groups::{Group, Moment};
use crate::cli::answer::thousands;

/// Width where there is no terminal to ask, and of one that does not know.
const DEFAULT_WIDTH: u16 = 80;
/// A narrower terminal is taken for one of this width.
const LEAST_WIDTH: u16 = 45;
/// No cell is wrapped to fewer characters.
const LEAST_CELL: u16 = 8;
/// The blanks around a cell.
const PADDING: u16 = 2;

/// What a mark behind a time means.
pub(crate) const RECORDED_NOTE: &str =
    "* when it was recorded: when it occurred was not said or is withheld";

/// An empty table without lines. Nothing is cut off: long cells wrap.
pub(super) fn plain() -> Table {
    let mut table = Table::new();
    table
        .load_style(NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(width());
    table
}

/// The columns that a table may take.
pub(super) fn width() -> u16 {
    let width = terminal_width().and_then(|width| u16::try_from(width).ok());
    width.unwrap_or(DEFAULT_WIDTH)
}

/// The columns of the terminal on standard output, if it is one.
pub(super) fn terminal_width() -> Option<usize> {
    if !io::stdout().is_terminal() {
        return None;
    }
    let width = match Table::new().width() {
        None | Some(0) => DEFAULT_WIDTH,
        Some(width) => width.max(LEAST_WIDTH),
    };
    Some(usize::from(width))
}

/// The table as text. Where there is no room for all columns, it is wider than the terminal, before cells are wrapped to letters.
pub(super) fn text(mut table: Table) -> String {
    let contents = table.column_max_content_widths();
    for (column, content) in table.column_iter_mut().zip(contents) {
        if column.constraint().is_none() {
            let least = Width::Fixed(content.min(LEAST_CELL) + PADDING);
            column.set_constraint(ColumnConstraint::LowerBoundary(least));
        }
    }
    table.trim_fmt()
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
    writeln!(io::stdout().lock(), "{}", text(table))
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
            let Some(moment) = moment else {
                return "-".to_owned();
            };
            let time = moment
                .time
                .as_deref()
                .map_or_else(|| "-".to_owned(), to_minute);
            marked(time, moment.recorded)
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

pub(crate) fn to_second(time: &str) -> String {
    match time.split_once('.') {
        Some((second, _)) => format!("{second}Z"),
        None => time.to_string(),
    }
}

/// A time, marked if it is only when the entry was recorded.
pub(super) fn marked(mut time: String, recorded: bool) -> String {
    if recorded {
        time.push('*');
    }
    time
}

/// The whole is in every other format.
fn to_minute(time: &str) -> String {
    match time.get(..16) {
        Some(minute) => format!("{minute}Z"),
        None => time.to_string(),
    }
}
