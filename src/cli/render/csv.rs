//! CSV as RFC 4180 has it, with a guard against cells that a spreadsheet would run. Hostile characters are escaped as in
//! tables; JSON lines are the form without loss.

use std::io::{self, Write};

use super::escape::escape;

/// Writes one record.
pub(in crate::cli) fn write_record<'a>(
    out: &mut dyn Write,
    cells: impl IntoIterator<Item = &'a str>,
) -> io::Result<()> {
    for (index, cell) in cells.into_iter().enumerate() {
        if index > 0 {
            out.write_all(b",")?;
        }
        write_cell(out, cell)?;
    }
    out.write_all(b"\r\n")
}

fn write_cell(out: &mut dyn Write, cell: &str) -> io::Result<()> {
    // OWASP ASVS 1.2.10: these begin a formula.
    let guard = if cell.starts_with([
        '=', '+', '-', '@', '\t', '\r', '\0', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}',
    ]) {
        "'"
    } else {
        ""
    };
    let cell = escape(cell);
    let needs_quotes = cell.contains([',', '"']) || !guard.is_empty();
    if needs_quotes {
        write!(out, "\"{guard}{}\"", cell.replace('"', "\"\""))
    } else {
        out.write_all(cell.as_bytes())
    }
}
