//! `graven diff`: what differs under two runs.

use std::process::ExitCode;

use clap::Args;
use clap::builder::NonEmptyStringValueParser;

use super::arguments::{Global, Output};
use super::failure::Failure;
use super::inquire::Basis;
use super::render::{self, write_differences};
use crate::inquiry::{RunDiff, Stretch};

#[derive(Debug, Args)]
#[command(
    after_help = "Compared is what was recorded: inputs by role and name, code, image, labels and what else is known of the \
    environment, GPUs and nodes. With each difference stand the acts that changed it between the two runs, by when they \
    happened as claimed; then what changed in paths that both used without saying which version, or beside what both read.\n\
    Names that meant the same at the time (identity.link, target.link) are one here: --no-links takes them as they are.\n\
    Ends with 6 if something was cut off or cannot be told."
)]
pub(super) struct Arguments {
    /// The run that is compared with
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    first: String,
    /// The run that is compared
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    second: String,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    basis: Basis,
}

pub(super) async fn run(arguments: &Arguments, global: &Global) -> Result<ExitCode, Failure> {
    let Arguments { first, second, .. } = arguments;
    let mut diff = RunDiff::new(first, second)
        .map_err(|error| Failure::usage(format!("{first}, {second}: {error}")))?;
    if arguments.basis.follows_links() {
        diff = diff.linked();
    }
    let asked = arguments.basis.ask(&mut diff).await?;
    let runs = diff.runs().clone();
    let cuts = diff.cuts().to_vec();
    let full = runs.iter().any(|run| run.full);
    let (differences, shared) = diff.into_parts();
    write_differences(arguments.output.output, &runs, &differences, &shared)?;
    let mut found = true;
    for run in runs.iter().filter(|run| !run.found()) {
        found = false;
        global.say(&format!(
            "no entry names the run {}",
            render::escape(&run.id)
        ));
    }
    if found && differences.is_empty() {
        global.say("no difference that was recorded");
    }
    for cut in &cuts {
        global.say(&render::escape(cut));
    }
    if full {
        global.say("a run has more inputs than are kept");
    }
    let found = usize::from(found);
    let stretches = Stretch::of_runs(&runs);
    asked.say_stretches(global, found, &stretches).await?;
    Ok(asked.code(!cuts.is_empty() || full))
}
