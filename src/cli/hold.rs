//! `graven hold`: forbids to erase anything of some entries, as long as a matter needs them.

use std::io::Write;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde::Serialize;

use super::arguments::{AdminConnection, Global, Output};
use super::connect::connect_to_order;
use super::erase::{refused, seq_ranges};
use super::failure::Failure;
use super::render::{Machine, Record, escape, write_records, write_table};
use crate::entry::json::time;
use crate::entry::v1;
use crate::verify::ranges_text;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Forbid to erase anything of some entries
    Place(Place),
    /// End a hold
    Release(Release),
    /// List the holds in force
    List(List),
}

#[derive(Debug, Args)]
#[command(
    after_help = "A filter also holds the entries that match it and are yet to come. It can ask about anything\n\
    but why and detail. The hold is sealed into the ledger, with whoever placed it."
)]
struct Place {
    /// Name of the hold
    name: String,
    /// Which entries: SEQ, or FIRST-LAST
    #[arg(value_name = "SEQ", required_unless_present = "filter")]
    entries: Vec<String>,
    /// Every entry that matches this filter
    #[arg(long, value_name = "FILTER")]
    filter: Option<String>,
    /// The ticket that orders it
    #[arg(long)]
    ticket: String,
    /// Why
    #[arg(long, default_value = "")]
    reason: String,
    #[command(flatten)]
    connection: AdminConnection,
}

#[derive(Debug, Args)]
struct Release {
    /// Name of the hold
    name: String,
    /// The ticket that orders it
    #[arg(long)]
    ticket: String,
    /// Why
    #[arg(long, default_value = "")]
    reason: String,
    #[command(flatten)]
    connection: AdminConnection,
}

#[derive(Debug, Args)]
struct List {
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    connection: AdminConnection,
}

pub(super) async fn run(arguments: &Arguments, global: &Global) -> Result<ExitCode, Failure> {
    match &arguments.command {
        Command::Place(arguments) => place(arguments, global).await,
        Command::Release(arguments) => release(arguments, global).await,
        Command::List(arguments) => list(arguments).await,
    }
}

async fn place(arguments: &Place, global: &Global) -> Result<ExitCode, Failure> {
    let request = v1::PlaceHoldRequest {
        name: arguments.name.clone(),
        ticket: arguments.ticket.clone(),
        reason: arguments.reason.clone(),
        entries: seq_ranges(&arguments.entries)?,
        filter: arguments.filter.clone().unwrap_or_default(),
    };
    let mut client = connect_to_order(&arguments.connection.connection()?).await?;
    let placed = client.place_hold(request).await.map_err(refused)?;
    writeln!(anstream::stdout(), "{}", placed.into_inner().seq)?;
    let name = escape(&arguments.name);
    global.say(&format!(
        "the hold {name} is in force, and sealed as this entry"
    ));
    Ok(ExitCode::SUCCESS)
}

async fn release(arguments: &Release, global: &Global) -> Result<ExitCode, Failure> {
    let request = v1::ReleaseHoldRequest {
        name: arguments.name.clone(),
        ticket: arguments.ticket.clone(),
        reason: arguments.reason.clone(),
    };
    let mut client = connect_to_order(&arguments.connection.connection()?).await?;
    let released = client.release_hold(request).await.map_err(refused)?;
    writeln!(anstream::stdout(), "{}", released.into_inner().seq)?;
    let name = escape(&arguments.name);
    global.say(&format!(
        "the hold {name} is released, and that is sealed as this entry"
    ));
    Ok(ExitCode::SUCCESS)
}

async fn list(arguments: &List) -> Result<ExitCode, Failure> {
    let mut client = connect_to_order(&arguments.connection.connection()?).await?;
    let answer = client.list_holds(v1::ListHoldsRequest {}).await;
    let holds = answer.map_err(refused)?.into_inner().holds;
    let rows: Vec<Row> = holds.into_iter().map(row).collect();
    if let Some(machine) = Machine::of(arguments.output.output) {
        write_records(machine, &COLUMNS, &rows)?;
        return Ok(ExitCode::SUCCESS);
    }
    let header = ["NAME", "ENTRY", "PLACED", "BY", "TICKET", "HOLDS"];
    let cells: Vec<_> = rows.iter().map(Row::for_people).collect();
    write_table(&header, &[1], &cells)?;
    Ok(ExitCode::SUCCESS)
}

/// A hold in force.
#[derive(Serialize)]
struct Row {
    name: String,
    /// The entry that placed it.
    seq: u64,
    placed_at: Option<String>,
    placed_by: String,
    ticket: String,
    reason: String,
    /// Entries that are named, such as `3,7-9`.
    entries: String,
    filter: String,
}

impl Row {
    fn for_people(&self) -> Vec<String> {
        let holds = [self.entries.as_str(), self.filter.as_str()];
        let holds: Vec<&str> = holds.into_iter().filter(|text| !text.is_empty()).collect();
        vec![
            self.name.clone(),
            self.seq.to_string(),
            self.placed_at.clone().unwrap_or_default(),
            self.placed_by.clone(),
            self.ticket.clone(),
            holds.join(" and "),
        ]
    }
}

const COLUMNS: [&str; 8] = [
    "name",
    "seq",
    "placed_at",
    "placed_by",
    "ticket",
    "reason",
    "entries",
    "filter",
];

impl Record for Row {
    fn cells(&self) -> Vec<String> {
        vec![
            self.name.clone(),
            self.seq.to_string(),
            self.placed_at.clone().unwrap_or_default(),
            self.placed_by.clone(),
            self.ticket.clone(),
            self.reason.clone(),
            self.entries.clone(),
            self.filter.clone(),
        ]
    }
}

fn row(placed: v1::PlacedHold) -> Row {
    let hold = placed.hold.unwrap_or_default();
    Row {
        name: hold.name,
        seq: placed.seq,
        placed_at: time::write(placed.recorded_at),
        placed_by: placed.placed_by.unwrap_or_default().subject,
        ticket: hold.ticket,
        reason: hold.reason,
        entries: ranges_text(&hold.entries.iter().collect()),
        filter: hold.filter,
    }
}
