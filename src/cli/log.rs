//! `graven log`: the entries that match, in order, with the proof that none is missing.

use std::process::ExitCode;

use clap::Args;

use super::answer::{Answer, Ask, MAX_PAGE_SIZE};
use super::arguments::{Connection, Format, Global, Output, Pinned};
use super::bodies::malformed;
use super::failure::Failure;
use super::question::Question;
use super::render::RowWriter;
use crate::entry::json::Row;

/// A table shows so many entries unless asked for more.
const DEFAULT_TABLE_LIMIT: u64 = 40;
/// Some entries could not be judged.
const PARTIAL: u8 = 6;
/// Nothing matched, and that was asked about.
const NO_MATCH: u8 = 1;

#[derive(Debug, Args)]
#[command(
    after_help = "FILTER is written as in AIP-160: action = file.update AND NOT outcome = failure.\n\
    Fields, wildcards and times: docs/filter.md.\n\
    Ends with 6 if some entries cannot be judged, since parts are withheld."
)]
pub(super) struct Arguments {
    #[command(flatten)]
    question: Question,
    /// At most so many entries; 0 for all [default: 40 in a table, all otherwise]
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
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

pub(super) async fn run(arguments: &Arguments, global: &Global) -> Result<ExitCode, Failure> {
    let format = arguments.output.output;
    let limit = arguments.limit.unwrap_or(match format {
        Format::Table => DEFAULT_TABLE_LIMIT,
        _ => 0,
    });
    let question = &arguments.question;
    let ask = Ask {
        filter: question.filter()?,
        range: question.range()?,
        descending: question.reverse,
        size: question.at,
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
    question.check_start(answer.worth().size)?;
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
