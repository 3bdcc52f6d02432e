//! `graven log`: the entries that match, in order, with the proof that none is missing.

use std::process::ExitCode;

use clap::{Args, ValueEnum};
use jiff::Timestamp;

use super::answer::{Answer, Ask, MAX_PAGE_SIZE};
use super::arguments::{Connection, Format, Global, Output, Pinned};
use super::bodies::malformed;
use super::failure::Failure;
use super::render::RowWriter;
use super::time;
use crate::entry::json::Row;
use crate::index::filter::Filter;

/// A table shows so many entries unless asked for more.
const DEFAULT_TABLE_LIMIT: u64 = 40;
/// Some entries could not be judged.
const PARTIAL: u8 = 6;
/// Nothing matched, and that was asked about.
const NO_MATCH: u8 = 1;

#[allow(clippy::struct_excessive_bools)] // Each is a switch of its own.
#[derive(Debug, Args)]
#[command(
    after_help = "FILTER is written as in AIP-160: action = file.update AND NOT outcome = failure.\n\
    Fields, wildcards and times: docs/filter.md.\n\
    Ends with 6 if some entries cannot be judged, since parts are withheld."
)]
pub(super) struct Arguments {
    /// Which entries [default: all]
    filter: Vec<String>,
    #[command(flatten)]
    fields: Fields,
    /// First seq
    #[arg(long, value_name = "SEQ", default_value_t = 0)]
    from: u64,
    /// Last seq
    #[arg(long, value_name = "SEQ")]
    to: Option<u64>,
    /// At this time or later: 2024-06-20T14:00:00Z, 2024-06-20, -7d, "yesterday 14:00"
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    since: Option<String>,
    /// Before this time
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    until: Option<String>,
    /// Which time --since and --until are about
    #[arg(long, value_enum, default_value_t, value_name = "TIME")]
    by: By,
    /// At most so many entries; 0 for all [default: 40 in a table, all otherwise]
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    /// Newest first
    #[arg(long)]
    reverse: bool,
    /// As it was when the ledger had so many entries
    #[arg(long, value_name = "SIZE")]
    at: Option<u64>,
    /// Take the server's word that nothing is missing
    #[arg(long)]
    no_proof: bool,
    /// Say how the index was used
    #[arg(long)]
    explain: bool,
    /// End with 1 when nothing matches
    #[arg(long)]
    exit_code: bool,
    #[command(flatten)]
    pinned: Pinned,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    connection: Connection,
}

/// What is asked for most, as flags. `*` stands for anything, `!` in front for all others; one flag twice means either.
#[derive(Debug, Args)]
struct Fields {
    /// Who acted, as claimed
    #[arg(long, value_name = "ACTOR")]
    actor: Vec<String>,
    /// What was done
    #[arg(long, value_name = "ACTION")]
    action: Vec<String>,
    /// What was acted upon
    #[arg(long, value_name = "TARGET")]
    target: Vec<String>,
    /// A version that was there, came out or was used
    #[arg(long, value_name = "DIGEST")]
    digest: Vec<String>,
    /// In which run
    #[arg(long, value_name = "RUN")]
    run: Vec<String>,
    /// Which system recorded it
    #[arg(long, value_name = "SOURCE")]
    source: Vec<String>,
    /// How it ended: success, failure, denied
    #[arg(long, value_name = "OUTCOME")]
    outcome: Vec<String>,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum By {
    /// When the ledger recorded it
    #[default]
    Recorded,
    /// When it happened, as claimed
    Occurred,
}

pub(super) async fn run(arguments: &Arguments, global: &Global) -> Result<ExitCode, Failure> {
    let format = arguments.output.output;
    let limit = arguments.limit.unwrap_or(match format {
        Format::Table => DEFAULT_TABLE_LIMIT,
        _ => 0,
    });
    let end = arguments.to.map_or(u64::MAX, |last| last.saturating_add(1));
    if arguments.from > end {
        return Err(Failure::usage("--from is after --to"));
    }
    let ask = Ask {
        filter: filter(arguments)?,
        range: arguments.from..end,
        descending: arguments.reverse,
        size: arguments.at,
        prove: !arguments.no_proof,
        // One more than is shown, to tell whether there are more.
        page_size: match limit {
            0 => MAX_PAGE_SIZE,
            limit => limit.saturating_add(1).min(MAX_PAGE_SIZE),
        },
    };
    let mut answer = Answer::open(&arguments.connection, &arguments.pinned, ask).await?;
    let mut rows = RowWriter::new(format);
    let mut shown = 0;
    let mut more = false;
    while let Some((header, body)) = answer.next().await? {
        if limit > 0 && shown == limit {
            more = true;
            break;
        }
        let row = Row::new(&header, &body).map_err(|invalid| malformed(&invalid.to_string()))?;
        rows.write(row)?;
        shown += 1;
    }
    rows.finish()?;
    if let Some(size) = answer.worth().size.filter(|size| arguments.from > *size) {
        let from = arguments.from;
        return Err(Failure::usage(format!(
            "--from {from} is beyond the end, {size}"
        )));
    }
    if arguments.explain {
        answer.explain(global);
    }
    if more {
        global.say(&format!(
            "showing {shown} entries, there are more: --limit 0 for all"
        ));
    } else {
        answer.say(global, shown);
    }
    Ok(if !answer.worth().unknown.is_empty() {
        ExitCode::from(PARTIAL)
    } else if shown == 0 && arguments.exit_code {
        ExitCode::from(NO_MATCH)
    } else {
        ExitCode::SUCCESS
    })
}

/// The filter that the flags and the text ask for together.
fn filter(arguments: &Arguments) -> Result<Filter, Failure> {
    let mut all = Vec::new();
    let text = arguments.filter.join(" ");
    let parse = |text: &str| {
        Filter::parse(text).map_err(|error| {
            Failure::usage(format!("the filter is wrong {error}")).at_place(error.caret(text))
        })
    };
    parse(&text)?;
    if !text.trim().is_empty() {
        all.push(format!("({text})"));
    }
    let Fields {
        actor,
        action,
        target,
        digest,
        run,
        source,
        outcome,
    } = &arguments.fields;
    let flags = [
        ("actor", actor),
        ("action", action),
        ("target", target),
        ("digest", digest),
        ("run", run),
        ("source", source),
        ("outcome", outcome),
    ];
    all.extend(
        flags
            .iter()
            .filter_map(|(field, values)| either(field, values)),
    );
    let field = match arguments.by {
        By::Recorded => "recorded_at",
        By::Occurred => "occurred_at",
    };
    let now = Timestamp::now();
    for (flag, comparator, text) in [
        ("since", ">=", &arguments.since),
        ("until", "<", &arguments.until),
    ] {
        if let Some(text) = text {
            let time = time::parse(flag, text, now)?;
            let time = Timestamp::from_nanosecond(time.into())
                .map_err(|error| Failure::usage(format!("--{flag} {text}: {error}")))?;
            all.push(format!("{field} {comparator} {time}"));
        }
    }
    parse(&all.join(" AND "))
}

/// A flag's values as a filter: one of those, and none of those behind a `!`.
fn either(field: &str, values: &[String]) -> Option<String> {
    let quoted = |value: &str| format!("{field} = {}", quoted(value, &['\\', '"']));
    let (others, any): (Vec<&String>, Vec<&String>) =
        values.iter().partition(|value| value.starts_with('!'));
    let any: Vec<String> = any.iter().map(|value| quoted(value)).collect();
    let mut all: Vec<String> = others
        .iter()
        .filter_map(|value| value.strip_prefix('!'))
        .map(|value| format!("NOT {}", quoted(value)))
        .collect();
    if !any.is_empty() {
        all.insert(0, format!("({})", any.join(" OR ")));
    }
    (!all.is_empty()).then(|| format!("({})", all.join(" AND ")))
}

/// A text in quotes, with a backslash before these characters.
fn quoted(text: &str, escaped: &[char]) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        if escaped.contains(&character) {
            quoted.push('\\');
        }
        quoted.push(character);
    }
    quoted.push('"');
    quoted
}

/// A text as a filter has to spell it that means just this.
pub(super) fn literal(text: &str) -> String {
    quoted(text, &['\\', '"', '*'])
}
