//! `graven tail`: entries as they are sealed.

use std::process::ExitCode;

use clap::Args;
use tokio_stream::StreamExt;

use super::arguments::{Connection, Global, Output};
use super::away::Away;
use super::connect::connect;
use super::failure::Failure;
use super::render::RowWriter;
use super::show::row;
use crate::entry::v1;

#[derive(Debug, Args)]
#[command(
    after_help = "Nothing of it is proved: the server could show entries that are in no ledger, others than it sealed, or \
    fewer.\n`graven log --from SEQ` proves what there was, `graven show SEQ` one entry."
)]
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
pub(super) async fn run(arguments: &Arguments, global: &Global) -> Result<ExitCode, Failure> {
    let mut client = connect(&arguments.connection).await?;
    let mut rows = RowWriter::live(arguments.output.output);
    let mut next = arguments.from;
    let mut left = arguments.count.unwrap_or(u64::MAX);
    let mut away = Away::new(global);
    while left > 0 {
        let request = v1::WatchEntriesRequest { first_seq: next };
        let mut answers = match client.watch_entries(request).await {
            Ok(answers) => answers.into_inner(),
            Err(status) if Away::is_meant_by(&status) && next.is_some() => {
                away.wait().await;
                continue;
            }
            Err(status) => return Err(status.into()),
        };
        while left > 0
            && let Some(answer) = answers.next().await
        {
            let answer = match answer {
                Ok(answer) => answer,
                Err(status) if Away::is_meant_by(&status) && next.is_some() => {
                    away.wait().await;
                    break;
                }
                Err(status) => return Err(status.into()),
            };
            away.is_back();
            for entry in &answer.entries {
                if left == 0 {
                    break;
                }
                let row = row(entry)?;
                next = Some(row.seq.saturating_add(1));
                left -= 1;
                rows.write(row)?;
            }
            rows.flush_and_say(global)?;
        }
    }
    rows.finish()?;
    Ok(ExitCode::SUCCESS)
}
