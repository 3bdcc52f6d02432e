//! `graven import`: histories that are kept elsewhere.

use std::fmt::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};

use super::arguments::{Connection, Global, Pinned};
use super::connect::{Client, connect};
use super::failure::Failure;
use super::submit::{Batch, Refused};
use crate::collect::git::{GitHistory, Options, Revisions};
use crate::note::VerifierKey;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    source: Source,
}

#[derive(Debug, Subcommand)]
enum Source {
    /// Every change of every commit of a git repository; what is there already is not added again
    Git(Git),
}

#[derive(Debug, Args)]
struct Git {
    /// The repository
    path: PathBuf,
    /// Import what this revision reaches [default: HEAD]
    #[arg(long, value_name = "REVISION", conflicts_with = "all")]
    rev: Option<String>,
    /// Import what any branch or tag reaches
    #[arg(long)]
    all: bool,
    /// The repository's name, <host>/<repository> [default: from the remote origin]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    #[command(flatten)]
    pinned: Pinned,
    #[command(flatten)]
    connection: Connection,
}

pub(super) async fn run(arguments: &Arguments, global: &Global) -> Result<ExitCode, Failure> {
    let Source::Git(git) = &arguments.source;
    let pinned = git.pinned.key()?;
    let options = Options {
        revisions: match (&git.rev, git.all) {
            (Some(revision), _) => Revisions::Named(revision.clone()),
            (None, true) => Revisions::All,
            (None, false) => Revisions::Head,
        },
        name: git.name.clone(),
        ..Options::default()
    };
    let failed = |error: crate::collect::git::GitError| Failure::other(error.to_string());
    let history = GitHistory::open(&git.path, &options).map_err(failed)?;
    let changes = history.changes().map_err(failed)?;
    let mut client = connect(&git.connection).await?;
    let mut import = Import {
        client: &mut client,
        pinned: pinned.as_ref(),
        progress: progress(changes, global),
        imported: 0,
        there: 0,
        conflicts: 0,
        redacted: 0,
    };
    let mut batch = Batch::default();
    for event in history.events().map_err(failed)? {
        let event = event.map_err(failed)?;
        if !batch.has_room_for(&event) {
            import.send(std::mem::take(&mut batch)).await?;
        }
        batch.push(event);
    }
    import.send(batch).await?;
    import.progress.finish_and_clear();
    global.say(&import.summary(history.source()));
    Ok(ExitCode::SUCCESS)
}

fn progress(changes: u64, global: &Global) -> ProgressBar {
    if global.quiet {
        return ProgressBar::hidden();
    }
    // Draws on standard error, and only where that is a terminal.
    let bar = ProgressBar::new(changes);
    let template = "{bar:30} {human_pos}/{human_len} changes, {per_sec}, {eta} left";
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

struct Import<'a> {
    client: &'a mut Client,
    pinned: Option<&'a VerifierKey>,
    progress: ProgressBar,
    imported: u64,
    there: u64,
    conflicts: u64,
    /// Of so many something was put out before they were sealed.
    redacted: u64,
}

impl Import<'_> {
    /// Sends a batch. A change that is there with other content, as an older importer or git saw it, is left as it is.
    async fn send(&mut self, mut batch: Batch) -> Result<(), Failure> {
        let changes = batch.len() as u64;
        while !batch.is_empty() {
            match batch.send(self.client, self.pinned).await {
                Ok(placed) => {
                    let there = placed.iter().filter(|placed| placed.duplicate).count() as u64;
                    self.there += there;
                    self.imported += placed.len() as u64 - there;
                    let redacted = placed.iter().filter(|placed| !placed.redactions.is_empty());
                    self.redacted += redacted.count() as u64;
                    break;
                }
                Err(Refused::Conflict(index, _)) => {
                    self.conflicts += 1;
                    batch.remove(index);
                }
                Err(refused) => return Err(refused.into_failure()),
            }
        }
        self.progress.inc(changes);
        Ok(())
    }

    fn summary(&self, source: &str) -> String {
        // Writing to a string cannot fail.
        let mut summary = format!("imported {} changes of {source}", self.imported);
        if self.there > 0 {
            let _ = write!(summary, ", {} were there already", self.there);
        }
        if self.conflicts > 0 {
            let _ = write!(
                summary,
                ", {} were there already as another importer or git described them",
                self.conflicts
            );
        }
        if self.redacted > 0 {
            let _ = write!(
                summary,
                "; rules put something out of {}, as `graven show` says of each",
                self.redacted
            );
        }
        summary
    }
}
