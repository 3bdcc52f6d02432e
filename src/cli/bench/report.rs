//! What a run has shown, for people and for machines.

use std::collections::BTreeMap;
use std::io::{self, Write};

use hdrhistogram::Histogram;
use serde::Serialize;
use serde_json::Value;

use super::tally::Tally;
use crate::cli::answer::thousands;
use crate::cli::arguments::Format;
use crate::cli::render::{csv, escape, json_safe, to_second, write_table};

/// A run and its figures. Units stand in the names; null is what the run had not.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    #[serde(flatten)]
    pub(super) asked: Asked,
    #[serde(flatten)]
    pub(super) figures: Figures,
}

/// What was asked for, and of whom.
#[derive(Debug, Serialize)]
pub(super) struct Asked {
    pub(super) version: &'static str,
    pub(super) server: String,
    pub(super) origin: String,
    pub(super) tree_size_before: u64,
    pub(super) started_at: String,
    pub(super) mode: &'static str,
    /// `open` or `closed`.
    pub(super) r#loop: &'static str,
    /// Where the time of a call begins: `due` or `sent`.
    pub(super) latency_from: &'static str,
    pub(super) clients: u32,
    pub(super) connections: u32,
    pub(super) in_flight: u32,
    pub(super) rate_per_s: Option<u64>,
    pub(super) duration_s: Option<f64>,
    pub(super) count: Option<u64>,
    pub(super) warmup_s: f64,
    pub(super) timeout_s: f64,
    pub(super) batch_size: Option<usize>,
    pub(super) event_detail_bytes: Option<usize>,
    pub(super) replay: Option<String>,
    pub(super) replay_events: Option<usize>,
    pub(super) verify_receipts: bool,
    pub(super) filter: Option<String>,
    pub(super) limit: Option<u64>,
    pub(super) proved: Option<bool>,
}

/// What came out.
#[derive(Debug, Serialize)]
pub(super) struct Figures {
    pub(super) interrupted: bool,
    clients_gave_up: u64,
    elapsed_s: f64,
    calls: u64,
    calls_per_s: f64,
    entries: u64,
    entries_per_s: f64,
    detail_bytes: u64,
    detail_bytes_per_s: f64,
    latency_min_us: f64,
    latency_mean_us: f64,
    latency_p50_us: f64,
    latency_p90_us: f64,
    latency_p99_us: f64,
    latency_p99_9_us: f64,
    latency_max_us: f64,
    /// From due to sent; null in a closed loop.
    lateness_p50_us: Option<f64>,
    lateness_p99_us: Option<f64>,
    lateness_max_us: Option<f64>,
    /// Whether the end was slower than the beginning.
    tenths: Vec<Tenth>,
    unsent_calls: u64,
    pub(super) failed_calls: u64,
    errors: BTreeMap<String, u64>,
    receipts_verified: u64,
    receipt_entries: u64,
    receipt_verify_mean_us: Option<f64>,
    receipt_verify_mean_us_per_entry: Option<f64>,
}

/// A tenth of a run.
#[derive(Debug, Serialize)]
struct Tenth {
    calls: u64,
    latency_p50_us: f64,
    latency_p99_us: f64,
}

impl Tenth {
    fn new(latency: &Histogram<u64>) -> Self {
        Self {
            calls: latency.len(),
            latency_p50_us: microseconds(latency.value_at_quantile(0.5)),
            latency_p99_us: microseconds(latency.value_at_quantile(0.99)),
        }
    }
}

impl Figures {
    /// The figures of `tally` after so many seconds.
    pub(super) fn new(tally: &Tally, elapsed_s: f64, open: bool, interrupted: bool) -> Self {
        let per_s = |count: u64| match elapsed_s {
            0.0 => 0.0,
            elapsed_s => number(count) / elapsed_s,
        };
        let all = tally.all_latencies();
        let latency = |quantile| microseconds(all.value_at_quantile(quantile));
        let lateness = |value: &dyn Fn(&Histogram<u64>) -> u64| {
            open.then(|| microseconds(value(&tally.lateness)))
        };
        let verifying = |count: u64| {
            (count > 0).then(|| tally.receipt_time.as_secs_f64() * 1e6 / number(count))
        };
        Self {
            interrupted,
            clients_gave_up: tally.gave_up,
            elapsed_s,
            calls: tally.calls,
            calls_per_s: per_s(tally.calls),
            entries: tally.entries,
            entries_per_s: per_s(tally.entries),
            detail_bytes: tally.detail_bytes,
            detail_bytes_per_s: per_s(tally.detail_bytes),
            latency_min_us: microseconds(all.min()),
            latency_mean_us: all.mean() / 1e3,
            latency_p50_us: latency(0.5),
            latency_p90_us: latency(0.9),
            latency_p99_us: latency(0.99),
            latency_p99_9_us: latency(0.999),
            latency_max_us: microseconds(all.max()),
            lateness_p50_us: lateness(&|late| late.value_at_quantile(0.5)),
            lateness_p99_us: lateness(&|late| late.value_at_quantile(0.99)),
            lateness_max_us: lateness(&Histogram::max),
            tenths: tally.latency.iter().map(Tenth::new).collect(),
            unsent_calls: tally.unsent,
            failed_calls: tally.errors.values().sum(),
            errors: tally.errors.clone(),
            receipts_verified: tally.receipts,
            receipt_entries: tally.receipt_entries,
            receipt_verify_mean_us: verifying(tally.receipts),
            receipt_verify_mean_us_per_entry: verifying(tally.receipt_entries),
        }
    }
}

impl Report {
    /// Prints it.
    pub(super) fn write(&self, format: Format) -> io::Result<()> {
        let mut out = io::stdout().lock();
        match format {
            Format::Table => {
                drop(out);
                self.write_table()
            }
            Format::Json => {
                let object = serde_json::to_string_pretty(self)?;
                writeln!(out, "{}", json_safe(&object))
            }
            Format::Jsonl => writeln!(out, "{}", json_safe(&serde_json::to_string(self)?)),
            Format::Csv => {
                let Value::Object(fields) = serde_json::to_value(self)? else {
                    return Ok(());
                };
                csv::write_record(&mut out, fields.keys().map(String::as_str))?;
                let cells: Vec<String> = fields.values().map(cell).collect();
                csv::write_record(&mut out, cells.iter().map(String::as_str))
            }
        }
    }

    fn write_table(&self) -> io::Result<()> {
        let mut out = io::stdout();
        for line in self.heading() {
            writeln!(out, "{}", escape(&line))?;
        }
        writeln!(out)?;
        let figures = &self.figures;
        let mut rows = vec![row(
            "calls",
            &thousands(figures.calls),
            &rate(figures.calls_per_s),
        )];
        if figures.entries > 0 {
            let per_s = rate(figures.entries_per_s);
            rows.push(row("entries", &thousands(figures.entries), &per_s));
        }
        if figures.detail_bytes > 0 {
            let per_s = rate(figures.detail_bytes_per_s);
            rows.push(row(
                "bytes of detail",
                &thousands(figures.detail_bytes),
                &per_s,
            ));
        }
        rows.push(row("failed calls", &thousands(figures.failed_calls), ""));
        for (code, count) in &figures.errors {
            rows.push(row(&format!("  {code}"), &thousands(*count), ""));
        }
        if figures.unsent_calls > 0 {
            rows.push(row(
                "due and not sent",
                &thousands(figures.unsent_calls),
                "",
            ));
        }
        write_table(&["", "TOTAL", "A SECOND"], &[1, 2], &rows)?;
        writeln!(out)?;
        self.write_times()?;
        if let [first, .., last] = figures.tenths.as_slice()
            && first.calls > 0
            && last.calls > 0
        {
            let (first, last) = (rate(first.latency_p99_us), rate(last.latency_p99_us));
            let line = "p99 of the first tenth";
            writeln!(out, "\n{line} {first} µs, of the last {last} µs")?;
        }
        if let (Some(receipt), Some(entry)) = (
            figures.receipt_verify_mean_us,
            figures.receipt_verify_mean_us_per_entry,
        ) {
            writeln!(
                out,
                "\n{} receipts for {} entries verified: {receipt:.1} µs a receipt, {entry:.1} µs an entry",
                thousands(figures.receipts_verified),
                thousands(figures.receipt_entries),
            )?;
        }
        Ok(())
    }

    /// What was done, in lines.
    fn heading(&self) -> Vec<String> {
        let asked = &self.asked;
        let batch = asked
            .batch_size
            .map(|size| format!(" by {}", thousands(size as u64)));
        let mut lines = vec![format!(
            "{}{} on {} at {}",
            asked.mode,
            batch.unwrap_or_default(),
            asked.origin,
            asked.server
        )];
        lines.push(format!(
            "{}, {}, {} in flight each",
            count(asked.clients, "client"),
            count(asked.connections, "connection"),
            asked.in_flight
        ));
        if let Some(bytes) = asked.event_detail_bytes {
            lines.push(format!("events with {bytes} random bytes of detail"));
        }
        if let (Some(file), Some(events)) = (&asked.replay, asked.replay_events) {
            lines.push(format!("the {} events of {file}", thousands(events as u64)));
        }
        if let (Some(filter), Some(limit)) = (&asked.filter, asked.limit) {
            let proved = match asked.proved {
                Some(true) => "proved",
                _ => "not proved",
            };
            let filter = if filter.is_empty() {
                "everything"
            } else {
                filter
            };
            lines.push(format!("the newest {limit} of {filter}, {proved}"));
        }
        lines.push(format!(
            "graven {} from {} on: {:.1} s after {:.1} s of warm-up",
            asked.version,
            to_second(&asked.started_at),
            self.figures.elapsed_s,
            asked.warmup_s
        ));
        lines.push(match asked.rate_per_s {
            Some(rate) => format!(
                "open loop, {} calls a second: times begin when a call was due",
                thousands(rate)
            ),
            None => "closed loop: times begin when a call was sent, each after the answer before"
                .to_owned(),
        });
        lines
    }

    fn write_times(&self) -> io::Result<()> {
        let figures = &self.figures;
        let times = [
            figures.latency_p50_us,
            figures.latency_p90_us,
            figures.latency_p99_us,
            figures.latency_p99_9_us,
            figures.latency_max_us,
            figures.latency_mean_us,
        ];
        let named = |name: &str, cells: &mut dyn Iterator<Item = String>| {
            let mut row = vec![name.to_owned()];
            row.extend(cells);
            row
        };
        let mut rows = vec![named("latency", &mut times.iter().map(|time| rate(*time)))];
        if let (Some(p50), Some(p99), Some(max)) = (
            figures.lateness_p50_us,
            figures.lateness_p99_us,
            figures.lateness_max_us,
        ) {
            let cells = [
                rate(p50),
                "-".into(),
                rate(p99),
                "-".into(),
                rate(max),
                "-".into(),
            ];
            rows.push(named("sent late by", &mut cells.into_iter()));
        }
        let header = ["µs", "P50", "P90", "P99", "P99.9", "MAX", "MEAN"];
        write_table(&header, &[1, 2, 3, 4, 5, 6], &rows)
    }
}

fn row(name: &str, total: &str, per_s: &str) -> Vec<String> {
    vec![name.to_owned(), total.to_owned(), per_s.to_owned()]
}

fn count(number: u32, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {what}{plural}", thousands(number.into()))
}

/// A cell of a CSV file.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// To the tenth below a thousand, to the whole above.
fn rate(value: f64) -> String {
    if value < 1_000.0 {
        return format!("{value:.1}");
    }
    let whole = format!("{value:.0}");
    whole.parse().map_or(whole, thousands)
}

fn microseconds(nanoseconds: u64) -> f64 {
    number(nanoseconds) / 1e3
}

#[allow(clippy::cast_precision_loss)] // Exact up to 2^53.
fn number(count: u64) -> f64 {
    count as f64
}
