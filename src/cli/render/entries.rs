//! Entries as a table.

use comfy_table::{ColumnConstraint, Table, Width};

use super::escape::escape;
use super::table::{marked, plain, text, to_second, width, with_columns};
use crate::entry::Tag;
use crate::entry::json::{Row, short_version};

const HEADER: [&str; 5] = ["SEQ", "OCCURRED", "ACTOR", "ACTION", "TARGET"];
/// Columns of which every cell stays on one line.
const WHOLE: [usize; 3] = [0, 1, 3];

/// All entries as one table.
pub(super) fn all(rows: &[Row]) -> String {
    let mut table = with_columns(&HEADER, &WHOLE);
    table.add_rows(rows.iter().map(cells));
    text(table)
}

/// The columns of a table that is written in pieces. They are chosen for the first; what is longer later on wraps.
pub(super) struct Columns {
    /// Columns of each cell, without the blanks around it.
    widths: [u16; 5],
}

impl Columns {
    /// Those for a table that begins with these entries.
    pub(super) fn for_first(rows: &[Row]) -> Self {
        let mut table = plain();
        table.add_rows(rows.iter().map(cells));
        let contents = table.column_max_content_widths();
        let content = |column: usize| contents.get(column).copied().unwrap_or(0);
        let seq = content(0).max(5);
        // A time with the mark that it may have.
        let occurred = 21;
        let action = content(3).clamp(14, 24);
        let blanks = 10;
        let rest = width().saturating_sub(seq + occurred + action + blanks);
        // An actor that is there from the beginning is rather whole than a target, of which the end says most.
        let actor = content(2).clamp(10, (rest * 3 / 5).max(10));
        let target = rest.saturating_sub(actor).max(10);
        Self {
            widths: [seq, occurred, actor, action, target],
        }
    }

    /// These entries, below the header if they are the first.
    pub(super) fn piece(&self, rows: &[Row], first: bool) -> String {
        let mut table = plain();
        if first {
            table.set_header(HEADER);
        }
        table.add_rows(rows.iter().map(cells));
        let contents = table.column_max_content_widths();
        self.fix(&mut table, &contents);
        table.trim_fmt()
    }

    fn fix(&self, table: &mut Table, contents: &[u16]) {
        let columns = table.column_iter_mut().zip(self.widths).zip(contents);
        for (index, ((column, width), content)) in columns.enumerate() {
            // A number or a time is never wrapped: it rather moves the rest of its line.
            let width = if index < 2 {
                width.max(*content)
            } else {
                width
            };
            let width = Width::Fixed(width + column.padding_width());
            column.set_constraint(ColumnConstraint::Absolute(width));
        }
    }
}

/// Whether the time shown of an entry is only when it was recorded.
pub(super) fn is_recorded_only(row: &Row) -> bool {
    row.occurred_at.is_none()
}

fn cells(row: &Row) -> [String; 5] {
    // To the second: the whole is in every other format.
    let time = row.occurred_at.as_deref().unwrap_or(&row.recorded_at);
    [
        row.seq.to_string(),
        marked(to_second(time), is_recorded_only(row)),
        said(row, Tag::Who, row.actor()),
        action(row),
        targets(row),
    ]
}

/// What a part says, or why it is not known.
fn said(row: &Row, tag: Tag, text: Option<&str>) -> String {
    match text {
        Some(text) => escape(text).into_owned(),
        None if row.withheld.contains(&tag) => "(withheld)".to_owned(),
        None if row.erased.contains(&tag) => "(erased)".to_owned(),
        None => "-".to_owned(),
    }
}

fn action(row: &Row) -> String {
    let action = said(row, Tag::What, row.action());
    match row.outcome() {
        Some("success") | None => action,
        Some(outcome) => format!("{action} ({outcome})"),
    }
}

fn targets(row: &Row) -> String {
    let Some(targets) = row.targets() else {
        return said(row, Tag::What, None);
    };
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
