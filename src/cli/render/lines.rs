//! Lines of text for people, no longer than the terminal is wide.

use std::io::{self, BufWriter, StdoutLock, Write};

/// A line keeps room for so many columns, however far it is indented.
const LEAST: usize = 20;

/// Lines on standard output. Nothing is cut off: what is too long goes on in the next line. What goes elsewhere than to a
/// terminal is left as it is, unless `COLUMNS` says how wide it may be.
pub(super) struct Lines {
    out: BufWriter<StdoutLock<'static>>,
    width: Option<usize>,
}

impl Lines {
    pub(super) fn stdout() -> Self {
        let columns = std::env::var("COLUMNS").ok();
        let columns = columns.and_then(|columns| columns.parse().ok());
        Self {
            out: BufWriter::new(io::stdout().lock()),
            width: columns
                .or_else(super::table::terminal_width)
                .filter(|columns| *columns > 0),
        }
    }

    /// Writes a line; where it goes on, it begins with `hang`.
    pub(super) fn write(&mut self, text: &str, hang: &str) -> io::Result<()> {
        let Some(width) = self.width else {
            return writeln!(self.out, "{text}");
        };
        let mut rest = text;
        let mut before = "";
        loop {
            let room = width.saturating_sub(columns(before)).max(LEAST);
            let (head, more) = cut(rest, room);
            writeln!(self.out, "{before}{}", head.trim_end_matches(' '))?;
            if more.is_empty() {
                return Ok(());
            }
            (rest, before) = (more, hang);
        }
    }

    pub(super) fn finish(mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// What fits into so many columns, up to the end of a word if one ends there, and the rest.
fn cut(text: &str, room: usize) -> (&str, &str) {
    let mut used = 0;
    let mut end = None;
    for (at, c) in text.char_indices() {
        used += width(c);
        if used > room && at > 0 {
            end = Some(at);
            break;
        }
    }
    let Some(end) = end else {
        return (text, "");
    };
    let (head, rest) = text.split_at(end);
    let indent = text.len() - text.trim_start_matches(' ').len();
    let word = if rest.starts_with(' ') {
        Some(end)
    } else {
        head.rfind(' ').filter(|at| *at > indent)
    };
    let (head, rest) = text.split_at(word.unwrap_or(end));
    (head, rest.trim_start_matches(' '))
}

fn columns(text: &str) -> usize {
    text.chars().map(width).sum()
}

/// The columns of a character that is shown, by the ranges of Unicode that are wide in East Asia (UAX #11).
fn width(c: char) -> usize {
    match u32::from(c) {
        0x1100..=0x115f
        | 0x2e80..=0xa4cf
        | 0xa960..=0xa97c
        | 0xac00..=0xd7a3
        | 0xf900..=0xfaff
        | 0xfe30..=0xfe6f
        | 0xff00..=0xff60
        | 0xffe0..=0xffe6
        | 0x1f300..=0x1faff
        | 0x20000..=0x3fffd => 2,
        _ => 1,
    }
}
