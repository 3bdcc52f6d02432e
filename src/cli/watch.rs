//! `graven watch`: entries that match, as they are sealed.

use std::ops::Range;
use std::process::ExitCode;

use clap::Args;
use tokio_stream::StreamExt;

use super::answer::Asker;
use super::arguments::{Connection, Global, Output, Pinned};
use super::away::Away;
use super::bodies::{malformed, receive};
use super::connect::{Client, connect_to_ask};
use super::expand::{Linking, expand};
use super::failure::Failure;
use super::heard;
use super::question::Which;
use super::render::RowWriter;
use crate::entry::json::Row;
use crate::entry::v1;
use crate::index::Facts;
use crate::index::filter::{Filter, Truth};
use crate::inquiry::Stretch;
use crate::note::{Checkpoint, Note};

#[derive(Debug, Args)]
#[command(
    after_help = "That entries match is checked here. Nothing else of them is proved: the server could show entries that are in \
    no ledger, others than it sealed, or fewer.\n`graven log --from SEQ` proves what there was, `graven show SEQ` one entry.\n\
    Names stand for others by the links that there are when the watch begins: what is linked later needs another watch. That, \
    and which sources were heard from until then, is said first, on standard error."
)]
pub(super) struct Arguments {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    linking: Linking,
    /// First seq [default: the next one to be sealed]
    #[arg(long, value_name = "SEQ")]
    from: Option<u64>,
    /// End after so many entries
    #[arg(long, value_name = "N")]
    count: Option<u64>,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    pinned: Pinned,
    #[command(flatten)]
    connection: Connection,
}

/// Follows until it is interrupted. When the server goes away, it comes back to where it was.
pub(super) async fn run(arguments: &Arguments, global: &Global) -> Result<ExitCode, Failure> {
    let filter = arguments.which.filter()?;
    let asker = Asker::connect(&arguments.connection, &arguments.pinned).await?;
    let (mut client, mut query) = connect_to_ask(&arguments.connection).await?;
    let newest = client.get_checkpoint(v1::GetCheckpointRequest {}).await?;
    let size = size_of(&newest.into_inner().checkpoint)?;
    let first = arguments.from.unwrap_or(size);
    let expanded = expand(&asker, filter, Some(size), true, &arguments.linking).await?;
    expanded.say(global);
    let filter = expanded.filter;
    say_before(&asker, first, size, global).await?;
    let mut watched = Watched {
        filter,
        next: first,
        left: arguments.count.unwrap_or(u64::MAX),
        rows: RowWriter::live(arguments.output.output),
    };
    let mut away = Away::new(global);
    while watched.left > 0 {
        let request = v1::WatchRequest {
            filter: watched.filter.to_string(),
            first_seq: Some(watched.next),
        };
        let mut answers = match query.watch(request).await {
            Ok(answers) => answers.into_inner(),
            Err(status) if Away::is_meant_by(&status) => {
                away.wait().await;
                continue;
            }
            Err(status) => return Err(status.into()),
        };
        while watched.left > 0
            && let Some(answer) = answers.next().await
        {
            match answer {
                Ok(answer) => {
                    away.is_back();
                    watched.take(&answer, global)?;
                }
                Err(status) if Away::is_meant_by(&status) => {
                    away.wait().await;
                    break;
                }
                Err(status) => return Err(status.into()),
            }
        }
    }
    watched.rows.finish()?;
    let range = first..watched.next;
    say_watched(&asker, range, &mut client, global).await?;
    Ok(ExitCode::SUCCESS)
}

/// Says who was heard from before the watch began: from its first entry on, if that is behind it already, and otherwise in
/// all the ledger. Of whoever was never heard from it cannot be told that they are silent.
async fn say_before(asker: &Asker, first: u64, size: u64, global: &Global) -> Result<(), Failure> {
    global.say(&format!("watching behind checkpoint {size}; until there:"));
    let range = if first < size { first } else { 0 }..u64::MAX;
    let why = "";
    let behind = Stretch { range, why };
    let behind = Some(behind).filter(|behind| behind.range.start > 0);
    heard::say_stretches(asker, global, size, behind.as_slice(), size).await
}

/// Says who was heard from in what was watched.
async fn say_watched(
    asker: &Asker,
    range: Range<u64>,
    client: &mut Client,
    global: &Global,
) -> Result<(), Failure> {
    if range.is_empty() {
        return Ok(());
    }
    let newest = client.get_checkpoint(v1::GetCheckpointRequest {}).await?;
    let size = size_of(&newest.into_inner().checkpoint)?;
    let why = "watched";
    heard::say_stretches(asker, global, size, &[Stretch { range, why }], 1).await
}

/// How many entries a checkpoint covers. Nothing is decided by it but where to begin.
fn size_of(checkpoint: &str) -> Result<u64, Failure> {
    let note = Note::parse(checkpoint).map_err(|error| malformed(&error.to_string()))?;
    let checkpoint = Checkpoint::parse(note.text());
    let checkpoint = checkpoint.map_err(|error| malformed(&error.to_string()))?;
    Ok(checkpoint.size())
}

struct Watched {
    filter: Filter,
    /// The seq that comes next: nothing before it is sent again.
    next: u64,
    left: u64,
    rows: RowWriter,
}

impl Watched {
    /// Shows the entries of an answer that match.
    fn take(&mut self, answer: &v1::WatchResponse, global: &Global) -> Result<(), Failure> {
        for entry in &answer.entries {
            let received = receive(entry)?;
            let seq = received.header.seq;
            if seq < self.next || seq >= answer.next_seq {
                return Err(malformed("the entries are not in order"));
            }
            if self.left == 0 {
                break;
            }
            self.next = seq.saturating_add(1);
            let invalid = |error: crate::entry::Invalid| malformed(&error.to_string());
            let facts = Facts::new(&received.header, &received.body).map_err(invalid)?;
            match self.filter.evaluate(&facts) {
                Truth::True => {
                    let row = Row::new(&received.header, &received.body).map_err(invalid)?;
                    self.rows.write(row)?;
                    self.left -= 1;
                }
                Truth::Unknown => global.say(&format!(
                    "cannot be told, since parts are withheld or erased: {seq}"
                )),
                Truth::False => {
                    let what = format!("entry {seq}, which does not match");
                    return Err(malformed(&what));
                }
            }
        }
        // Behind the last that was wanted nothing was looked at.
        if self.left > 0 {
            self.next = self.next.max(answer.next_seq);
        }
        Ok(self.rows.flush_and_say(global)?)
    }
}
