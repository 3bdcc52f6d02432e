//! `graven coverage`: which sources were heard from, and where something is missing.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use jiff::{SignedDuration, Timestamp};

use super::answer::Asker;
use super::arguments::{Connection, Global, Output, Pinned};
use super::expand::ask_all;
use super::failure::Failure;
use super::heard::sources;
use super::question::{By, either};
use super::render::write_coverage;
use super::time;
use crate::index::filter::{Expression, Filter};
use crate::inquiry::{Clock, Coverage, CoverageOptions, Expected, SourceState, Span};

/// Some entries could not be judged, or there was more than is followed.
const PARTIAL: u8 = 6;
/// Something is missing, and that was asked about.
const INCOMPLETE: u8 = 1;
/// The most sources of an inventory.
const MAX_INVENTORY: usize = 100_000;

#[derive(Debug, Args)]
#[command(
    after_help = "Every entry counts, heartbeats (agent.heartbeat) too. A silence, a hole, a number that came twice, a \
    counter that began again, a clock that went back, a late record and a source that was never heard from are \
    findings. That nothing is found does not say that nothing was left out: a source that sends no counter and no \
    heartbeats can leave out what it likes."
)]
pub(super) struct Arguments {
    /// From this time on: 2024-06-20T14:00:00Z, 2024-06-20, -7d, "yesterday 14:00"
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    since: Option<String>,
    /// Before this time [default: now; with --at, the time of the last entry]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    until: Option<String>,
    /// Which time is meant
    #[arg(long, value_enum, default_value_t, value_name = "TIME")]
    by: By,
    /// Only these sources; `*` stands for anything, `!` in front for all others
    #[arg(long, value_name = "SOURCE")]
    source: Vec<String>,
    /// What is longer is a silence: 90s, 15m, 2h, 7d
    #[arg(long, value_name = "LENGTH", default_value = "1h")]
    silence: String,
    /// A record that comes later than this after it happened is late
    #[arg(long, value_name = "LENGTH", default_value = "1h")]
    lag: String,
    /// The sources that there should be, one a line; # begins a comment
    #[arg(long, value_name = "FILE")]
    inventory: Option<PathBuf>,
    /// End with 1 when anything is found
    #[arg(long)]
    exit_code: bool,
    /// As it was when the ledger had so many entries
    #[arg(long, value_name = "SIZE")]
    at: Option<u64>,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    pinned: Pinned,
    #[command(flatten)]
    connection: Connection,
}

pub(super) async fn run(arguments: &Arguments, global: &Global) -> Result<ExitCode, Failure> {
    let now = Timestamp::now();
    let bound = |flag, text: &Option<String>| {
        let time = text.as_deref().map(|text| time::parse(flag, text, now));
        time.transpose()
            .map(|time| time.and_then(|time| i64::try_from(time).ok()))
    };
    let mut span = Span {
        from: bound("since", &arguments.since)?,
        to: bound("until", &arguments.until)?,
    };
    let length = |flag, text: &str| {
        let length = time::duration(text).filter(|length| *length > SignedDuration::ZERO);
        length
            .and_then(|length| i64::try_from(length.as_nanos()).ok())
            .ok_or_else(|| {
                Failure::usage(format!(
                    "--{flag} {text}: expected a length such as 90s, 15m, 2h or 7d"
                ))
            })
    };
    let mut coverage = Coverage::new(CoverageOptions {
        filter: filter(arguments, span)?,
        clock: match arguments.by {
            By::Recorded => Clock::Recorded,
            By::Occurred => Clock::Occurred,
        },
        silence: length("silence", &arguments.silence)?,
        lag: length("lag", &arguments.lag)?,
    });
    let inventory = inventory(arguments)?;
    let asker = Asker::connect(&arguments.connection, &arguments.pinned).await?;
    let asked = ask_all(&asker, &mut coverage, arguments.at, true).await?;
    let size = asked.size.unwrap_or(0);
    let by_source = parse(&of_sources(arguments).unwrap_or_default())?;
    let known = sources(&asker, &by_source, 0..u64::MAX, Some(size), true, None).await?;
    let last = size.checked_sub(1);
    if span.to.is_none() {
        span.to = match arguments.at {
            Some(_) => {
                let rows = asker.entries(last, Some(size), true).await?;
                let time = rows.values().next().map(|row| row.recorded_at.as_str());
                time.and_then(nanoseconds)
            }
            None => i64::try_from(now.as_nanosecond()).ok(),
        };
    }
    let reports = coverage.report(&Expected {
        known: known.unwrap_or_default(),
        inventory,
        span,
    });
    let silent: Vec<u64> = reports
        .iter()
        .filter(|report| report.state == SourceState::Silent)
        .filter_map(|report| report.seqs.map(|(_, last)| last))
        .collect();
    let lasts = asker.entries(silent, Some(size), true).await?;
    let last_heard = |seq: u64| lasts.get(&seq).map(|row| row.recorded_at.clone());
    write_coverage(arguments.output.output, &reports, &last_heard)?;
    let found = reports.iter().filter(|report| !report.is_clean()).count();
    global.say(&format!(
        "{} of {} sources with findings: complete to checkpoint {size}",
        found,
        reports.len()
    ));
    if !asker.is_pinned() {
        global.say("under the key that the server itself gave: pin the right one with --key");
    }
    if coverage.is_cut_off() {
        global.say("there is more than is followed: ask about fewer sources, or less time");
    }
    let partial = coverage.is_cut_off() || !asked.unknown.is_empty();
    Ok(match (partial, found > 0 && arguments.exit_code) {
        (true, _) => ExitCode::from(PARTIAL),
        (false, true) => ExitCode::from(INCOMPLETE),
        (false, false) => ExitCode::SUCCESS,
    })
}

/// The entries that have a source, of those asked about.
fn filter(arguments: &Arguments, span: Span) -> Result<Filter, Failure> {
    let field = match arguments.by {
        By::Recorded => "recorded_at",
        By::Occurred => "occurred_at",
    };
    let mut all = vec!["source:*".to_owned()];
    all.extend(of_sources(arguments));
    for (comparator, bound) in [(">=", span.from), ("<", span.to)] {
        let time = bound.and_then(|time| Timestamp::from_nanosecond(time.into()).ok());
        all.extend(time.map(|time| format!("{field} {comparator} {time}")));
    }
    parse(&all.join(" AND "))
}

/// What is asked of sources, if it is not all.
fn of_sources(arguments: &Arguments) -> Option<String> {
    either("source", &arguments.source)
}

fn parse(text: &str) -> Result<Filter, Failure> {
    if text.is_empty() {
        return Filter::new(Expression::All).map_err(|error| Failure::other(error.to_string()));
    }
    Filter::parse(text).map_err(|error| Failure::usage(format!("--source: {error}")))
}

fn inventory(arguments: &Arguments) -> Result<BTreeSet<String>, Failure> {
    let Some(path) = &arguments.inventory else {
        return Ok(BTreeSet::new());
    };
    let text =
        std::fs::read_to_string(path).map_err(|error| Failure::file("reading", path, &error))?;
    let lines = text
        .lines()
        .map(|line| line.split_once('#').map_or(line, |(line, _)| line).trim());
    let sources: BTreeSet<String> = lines
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
        .collect();
    if sources.len() > MAX_INVENTORY {
        return Err(Failure::usage(format!(
            "{}: more than {MAX_INVENTORY} sources",
            path.display()
        )));
    }
    Ok(sources)
}

fn nanoseconds(time: &str) -> Option<i64> {
    let time: Timestamp = time.parse().ok()?;
    i64::try_from(time.as_nanosecond()).ok()
}
