//! `graven log`: entries by seq and time.

use std::process::ExitCode;

use clap::Args;
use jiff::Timestamp;
use tokio_stream::StreamExt;

use super::arguments::{Connection, Format, Global, Output};
use super::connect::connect;
use super::failure::Failure;
use super::render::RowWriter;
use super::show::row;
use super::time;
use crate::entry::v1;

/// A table shows so many entries unless asked for more.
const DEFAULT_TABLE_LIMIT: u64 = 40;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// First seq
    #[arg(long, value_name = "SEQ", default_value_t = 0)]
    from: u64,
    /// Last seq
    #[arg(long, value_name = "SEQ")]
    to: Option<u64>,
    /// Recorded at this time or later: 2024-06-20T14:00:00Z, 2024-06-20, -7d, "yesterday 14:00"
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    since: Option<String>,
    /// Recorded before this time
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    until: Option<String>,
    /// At most so many entries; 0 for all [default: 40 in a table, all otherwise]
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    /// Newest first
    #[arg(long)]
    reverse: bool,
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
    let request = request(arguments, limit)?;
    let mut client = connect(&arguments.connection).await?;
    let mut answers = client.list_entries(request).await?.into_inner();
    let mut rows = RowWriter::new(format);
    let mut shown = 0;
    let mut more = false;
    while let Some(answer) = answers.next().await {
        for entry in &answer?.entries {
            if limit > 0 && shown == limit {
                more = true;
                break;
            }
            rows.write(row(entry)?)?;
            shown += 1;
        }
    }
    rows.finish()?;
    if more {
        global.say(&format!(
            "showing {shown} entries, there are more: --limit 0 for all"
        ));
    } else if shown == 0 {
        global.say("no entries in this range");
    }
    Ok(ExitCode::SUCCESS)
}

fn request(arguments: &Arguments, limit: u64) -> Result<v1::ListEntriesRequest, Failure> {
    let now = Timestamp::now();
    let time = |flag, text: &Option<String>| {
        text.as_deref()
            .map(|text| time::parse(flag, text, now))
            .transpose()
    };
    Ok(v1::ListEntriesRequest {
        first_seq: arguments.from,
        end_seq: arguments.to.map(|last| last.saturating_add(1)),
        recorded_from: time("since", &arguments.since)?,
        recorded_before: time("until", &arguments.until)?,
        // One more than is shown, to tell whether there are more.
        limit: if limit == 0 {
            0
        } else {
            limit.saturating_add(1)
        },
        descending: arguments.reverse,
    })
}
