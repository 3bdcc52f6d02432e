//! `graven checkpoint`: the newest signed checkpoint.

use std::io::Write;
use std::process::ExitCode;

use clap::Args;

use super::arguments::Connection;
use super::connect::connect;
use super::failure::Failure;
use crate::entry::v1;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    connection: Connection,
}

/// Prints the note, to be kept somewhere else: `verify --minimum` takes it.
pub(super) async fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let mut client = connect(&arguments.connection).await?;
    let answer = client
        .get_checkpoint(v1::GetCheckpointRequest {})
        .await?
        .into_inner();
    std::io::stdout().write_all(answer.checkpoint.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}
