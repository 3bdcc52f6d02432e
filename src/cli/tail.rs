//! `graven tail`: entries as they are sealed.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use tokio_stream::StreamExt;
use tonic::Code;

use super::arguments::{Connection, Output};
use super::connect::connect;
use super::failure::Failure;
use super::render::RowWriter;
use super::show::row;
use crate::entry::v1;

/// Between attempts to connect again.
const PAUSE: Duration = Duration::from_secs(1);

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// First seq [default: the next one to be sealed]
    #[arg(long, value_name = "SEQ")]
    from: Option<u64>,
    /// End after so many entries
    #[arg(long, value_name = "N")]
    count: Option<u64>,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    connection: Connection,
}

/// Follows until it is interrupted. When the server goes away, it comes back to where it was.
pub(super) async fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let mut client = connect(&arguments.connection).await?;
    let mut rows = RowWriter::new(arguments.output.output);
    let mut next = arguments.from;
    let mut left = arguments.count.unwrap_or(u64::MAX);
    while left > 0 {
        let request = v1::WatchEntriesRequest { first_seq: next };
        let mut answers = match client.watch_entries(request).await {
            Ok(answers) => answers.into_inner(),
            Err(status) if status.code() == Code::Unavailable && next.is_some() => {
                tokio::time::sleep(PAUSE).await;
                continue;
            }
            Err(status) => return Err(status.into()),
        };
        while left > 0
            && let Some(answer) = answers.next().await
        {
            let answer = match answer {
                Ok(answer) => answer,
                Err(status) if status.code() == Code::Unavailable && next.is_some() => break,
                Err(status) => return Err(status.into()),
            };
            for entry in &answer.entries {
                if left == 0 {
                    break;
                }
                let row = row(entry)?;
                next = Some(row.seq.saturating_add(1));
                left -= 1;
                rows.write(row)?;
            }
            rows.flush()?;
        }
    }
    rows.finish()?;
    Ok(ExitCode::SUCCESS)
}
