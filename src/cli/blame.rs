//! `graven blame`: every version of a target, and who made it.

use std::collections::BTreeMap;
use std::process::ExitCode;

use clap::Args;
use clap::builder::NonEmptyStringValueParser;

use super::arguments::{Global, Output};
use super::bodies::malformed;
use super::failure::Failure;
use super::inquire::Basis;
use super::render::{self, explain_marks, write_history};
use crate::entry::json::Row;
use crate::inquiry::{History, MAX_CHANGES, MAX_HISTORY_NAMES, Step, Stretch};

#[derive(Debug, Args)]
#[command(
    after_help = "Where a version does not continue the one before, something changed it that nobody recorded: a row of \
    its own says so, in every format. It is said only where both versions are known and have nothing in common; where that \
    cannot be told, a row says why.\n\
    A version recorded under another name that meant the same at the time (target.link) is one of the target's: --no-links \
    takes the name as it is.\n\
    Ends with 6 if the history is not whole."
)]
pub(super) struct Arguments {
    /// The target's name
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    target: String,
    /// Do not follow renames to earlier names
    #[arg(long)]
    no_follow: bool,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    basis: Basis,
}

pub(super) async fn run(arguments: &Arguments, global: &Global) -> Result<ExitCode, Failure> {
    let target = &arguments.target;
    let mut history = History::new(target, !arguments.no_follow)
        .map_err(|error| Failure::usage(format!("{target}: {error}")))?;
    if arguments.basis.follows_links() {
        history = history.linked();
    }
    let mut rows = BTreeMap::new();
    let asked = arguments
        .basis
        .ask_seeing(&mut history, |header, body| {
            let row = Row::new(header, body).map_err(|error| malformed(&error.to_string()))?;
            rows.insert(row.seq, row);
            Ok(())
        })
        .await?;
    let mut cut_off = false;
    if history.is_full() {
        cut_off = true;
        global.say(&format!(
            "cut off after {MAX_CHANGES} changes: --at SIZE for an earlier end"
        ));
    }
    for name in history.unfollowed() {
        cut_off = true;
        let name = render::escape(name);
        global.say(&format!(
            "not followed: {name}, there are more than {MAX_HISTORY_NAMES} earlier names"
        ));
    }
    let steps = history.into_steps();
    write_history(arguments.output.output, target, &steps, &rows)?;
    let acts = steps.iter().filter_map(|step| match step {
        Step::Change(change) => Some(&change.act),
        // The acts on both sides are changes too.
        Step::Gap(_) | Step::Unsure(_) => None,
    });
    explain_marks(arguments.output.output, acts, global);
    let stretches = Stretch::of_history(&steps);
    asked.say_stretches(global, steps.len(), &stretches).await?;
    Ok(asked.code(cut_off))
}
