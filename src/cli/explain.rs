//! `graven explain`: what could have reached a run.

use std::process::ExitCode;

use clap::Args;
use clap::builder::NonEmptyStringValueParser;

use super::arguments::{Global, Output};
use super::failure::Failure;
use super::inquire::Basis;
use super::render::{self, write_reasons};
use crate::inquiry::{Reach, Stretch, Whose};

#[derive(Debug, Args)]
#[command(
    after_help = "Foreign are acts of names that did not act in the run and do not own it. Names are one where \
    entries say that they meant the same at the time (identity.link, target.link), never by likeness: --no-links takes them \
    as they are.\n\
    Ends with 6 if something was cut off or cannot be told."
)]
pub(super) struct Arguments {
    /// The run
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    run: String,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    basis: Basis,
}

pub(super) async fn run(arguments: &Arguments, global: &Global) -> Result<ExitCode, Failure> {
    let id = &arguments.run;
    let mut reach = Reach::new(id).map_err(|error| Failure::usage(format!("{id}: {error}")))?;
    if arguments.basis.follows_links() {
        reach = reach.linked();
    }
    let asked = arguments.basis.ask(&mut reach).await?;
    let run = reach.run().clone();
    let cuts = reach.cuts().to_vec();
    let reasons = reach.into_reasons();
    write_reasons(arguments.output.output, &run, &reasons)?;
    if !run.found() {
        global.say(&format!("no entry names the run {}", render::escape(id)));
    }
    for cut in &cuts {
        global.say(cut);
    }
    if run.full {
        global.say("the run has more inputs than are kept");
    }
    let foreign = reasons
        .iter()
        .filter(|reason| reason.whose == Whose::Foreign);
    global.say(&format!(
        "{} acts could have reached the run, {} of others",
        reasons.len(),
        foreign.count()
    ));
    let found = usize::from(run.found()) + reasons.len();
    let stretches = Stretch::of_reach(&run, &reasons);
    asked.say_stretches(global, found, &stretches).await?;
    Ok(asked.code(!cuts.is_empty() || run.full))
}
