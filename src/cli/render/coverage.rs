//! Which sources were heard from, for people and for machines.

use std::io::{self, Write};

use serde::Serialize;

use super::escape::escape;
use super::records::{Machine, Record, write_records};
use super::table::{text, to_second, with_columns};
use crate::cli::arguments::Format;
use crate::entry::json::time;
use crate::inquiry::{SourceReport, SourceState, Span};

/// Findings of a kind that a table shows of a source.
const SHOWN: usize = 3;
const NANOSECONDS: i64 = 1_000_000_000;

const COLUMNS: [&str; 17] = [
    "source",
    "state",
    "entries",
    "heartbeats",
    "first_seq",
    "last_seq",
    "first_heard",
    "last_heard",
    "silences",
    "longest_silence",
    "holes",
    "missing",
    "duplicates",
    "resets",
    "clock_steps",
    "late",
    "largest_lag",
];

/// A source, for machines. Lengths of time are in seconds.
#[derive(Debug, Serialize)]
struct SourceRecord<'a> {
    source: &'a str,
    state: &'static str,
    entries: u64,
    heartbeats: u64,
    first_seq: Option<u64>,
    last_seq: Option<u64>,
    first_heard: Option<String>,
    last_heard: Option<String>,
    silences: Vec<SpanRecord>,
    holes: Vec<HoleRecord>,
    missing: u64,
    duplicates: u64,
    resets: &'a [u64],
    clock_steps: Vec<StepRecord>,
    late: u64,
    largest_lag: Option<i64>,
}

#[derive(Debug, Serialize)]
struct SpanRecord {
    from: Option<String>,
    to: Option<String>,
    #[serde(skip)]
    length: Option<i64>,
}

#[derive(Debug, Serialize)]
struct HoleRecord {
    first: u64,
    last: u64,
}

#[derive(Debug, Serialize)]
struct StepRecord {
    seq: u64,
    from: Option<String>,
    to: Option<String>,
}

impl<'a> SourceRecord<'a> {
    fn new(report: &'a SourceReport, last_heard: &dyn Fn(u64) -> Option<String>) -> Self {
        let heard = report.heard;
        let silent = report.state == SourceState::Silent;
        let last = report.seqs.map(|(_, last)| last);
        let span = |span: &Span| SpanRecord {
            from: span.from.and_then(time::write),
            to: span.to.and_then(time::write),
            length: length(span),
        };
        Self {
            source: &report.source,
            state: state(report.state),
            entries: report.entries,
            heartbeats: report.heartbeats,
            first_seq: report.seqs.map(|(first, _)| first),
            last_seq: last,
            first_heard: heard.and_then(|(first, _)| time::write(first)),
            last_heard: match (heard, last) {
                (Some((_, last)), _) => time::write(last),
                (None, Some(last)) if silent => last_heard(last),
                _ => None,
            },
            silences: report.silences.iter().map(span).collect(),
            holes: report
                .holes
                .iter()
                .map(|(first, last)| HoleRecord {
                    first: *first,
                    last: *last,
                })
                .collect(),
            missing: missing(report),
            duplicates: report.duplicates,
            resets: &report.resets,
            clock_steps: report
                .steps
                .iter()
                .map(|step| StepRecord {
                    seq: step.seq,
                    from: time::write(step.from),
                    to: time::write(step.to),
                })
                .collect(),
            late: report.late,
            largest_lag: report.largest_lag.map(|lag| lag.div_euclid(NANOSECONDS)),
        }
    }
}

impl Record for SourceRecord<'_> {
    fn cells(&self) -> Vec<String> {
        let number = |number: Option<u64>| number.map(|n| n.to_string()).unwrap_or_default();
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let longest = self.silences.iter().filter_map(|span| span.length).max();
        vec![
            self.source.to_owned(),
            self.state.to_owned(),
            self.entries.to_string(),
            self.heartbeats.to_string(),
            number(self.first_seq),
            number(self.last_seq),
            text(&self.first_heard),
            text(&self.last_heard),
            self.silences.len().to_string(),
            longest.map(|length| length.to_string()).unwrap_or_default(),
            self.holes.len().to_string(),
            self.missing.to_string(),
            self.duplicates.to_string(),
            self.resets.len().to_string(),
            self.clock_steps.len().to_string(),
            self.late.to_string(),
            self.largest_lag
                .map(|lag| lag.to_string())
                .unwrap_or_default(),
        ]
    }
}

/// Writes what is to be said about sources. `last_heard` says when an entry was recorded.
pub(crate) fn write_coverage(
    format: Format,
    reports: &[SourceReport],
    last_heard: &dyn Fn(u64) -> Option<String>,
) -> io::Result<()> {
    let rows: Vec<SourceRecord<'_>> = reports
        .iter()
        .map(|report| SourceRecord::new(report, last_heard))
        .collect();
    let Some(format) = Machine::of(format) else {
        return write_table(reports, &rows);
    };
    write_records(format, &COLUMNS, &rows)
}

fn write_table(reports: &[SourceReport], rows: &[SourceRecord<'_>]) -> io::Result<()> {
    let mut table = with_columns(&["SOURCE", "ENTRIES", "LAST HEARD", "FOUND"], &[0, 1, 2]);
    for (report, row) in reports.iter().zip(rows) {
        let last = row.last_heard.as_deref().unwrap_or("never");
        table.add_row([
            escape(&report.source).into_owned(),
            report.entries.to_string(),
            to_second(last),
            findings(report).join("\n"),
        ]);
    }
    writeln!(io::stdout().lock(), "{}", text(table))
}

fn findings(report: &SourceReport) -> Vec<String> {
    let mut found = Vec::new();
    match report.state {
        SourceState::Never => return vec!["NEVER heard from".to_owned()],
        SourceState::Silent => return vec!["SILENT all the time asked about".to_owned()],
        SourceState::Heard => {}
    }
    some(&mut found, &report.silences, "silences", |span| {
        let time = |time: Option<i64>| time.and_then(time::write).unwrap_or_default();
        let length = length(span).map(for_people).unwrap_or_default();
        format!("silent {length} from {}", to_second(&time(span.from)))
    });
    some(&mut found, &report.holes, "holes", |(first, last)| {
        if first == last {
            format!("number {first} is missing")
        } else {
            format!("numbers {first} to {last} are missing")
        }
    });
    some(&mut found, &report.steps, "clock steps", |step| {
        let back = for_people(step.from.saturating_sub(step.to) / NANOSECONDS);
        format!("clock back by {back} at entry {}", step.seq)
    });
    some(&mut found, &report.resets, "counters begun again", |seq| {
        format!("counter begun again at entry {seq}")
    });
    if report.duplicates > 0 {
        found.push(format!("{} with a number twice", report.duplicates));
    }
    if report.late > 0 {
        let lag = report.largest_lag.unwrap_or(0) / NANOSECONDS;
        found.push(format!(
            "{} late, by up to {}",
            report.late,
            for_people(lag)
        ));
    }
    found
}

/// Adds the first few, and how many more there are.
fn some<T>(found: &mut Vec<String>, all: &[T], what: &str, text: impl Fn(&T) -> String) {
    found.extend(all.iter().take(SHOWN).map(text));
    if let more @ 1.. = all.len().saturating_sub(SHOWN) {
        found.push(format!("and {more} more {what}"));
    }
}

const fn state(state: SourceState) -> &'static str {
    match state {
        SourceState::Heard => "heard",
        SourceState::Silent => "silent",
        SourceState::Never => "never",
    }
}

fn missing(report: &SourceReport) -> u64 {
    let each = report.holes.iter();
    each.map(|(first, last)| last.saturating_sub(*first).saturating_add(1))
        .fold(0, u64::saturating_add)
}

/// In whole seconds, if both ends are known.
fn length(span: &Span) -> Option<i64> {
    Some(span.to?.saturating_sub(span.from?) / NANOSECONDS)
}

/// A length of time in its two largest units.
fn for_people(seconds: i64) -> String {
    let (days, hours) = (seconds / 86_400, seconds / 3_600 % 24);
    let (minutes, rest) = (seconds / 60 % 60, seconds % 60);
    match (days, hours, minutes) {
        (1.., _, _) => format!("{days} d {hours} h"),
        (_, 1.., _) => format!("{hours} h {minutes} min"),
        (_, _, 1..) => format!("{minutes} min {rest} s"),
        _ => format!("{rest} s"),
    }
}
