//! `graven show`: one entry.

use std::process::ExitCode;

use clap::Args;

use super::arguments::{Connection, Output};
use super::bodies::{malformed, receive};
use super::connect::connect;
use super::failure::Failure;
use super::render::RowWriter;
use crate::entry::json::Row;
use crate::entry::v1;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Which entry
    seq: u64,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    connection: Connection,
}

pub(super) async fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let mut client = connect(&arguments.connection).await?;
    let request = v1::GetEntryRequest { seq: arguments.seq };
    let answer = client.get_entry(request).await?.into_inner();
    let entry = answer.entry.ok_or_else(|| malformed("it holds no entry"))?;
    let mut rows = RowWriter::single(arguments.output.output);
    rows.write(row(&entry)?)?;
    rows.finish()?;
    Ok(ExitCode::SUCCESS)
}

/// The row of an entry as received.
pub(super) fn row(entry: &v1::Entry) -> Result<Row, Failure> {
    let received = receive(entry)?;
    Row::new(&received.header, &received.body).map_err(|invalid| malformed(&invalid.to_string()))
}
