//! The commands: one file each, and in each parse → resolve → run → render.
//!
//! Data goes to standard output, everything else to standard error. The format never depends on a terminal; colour and
//! width may. Exit codes are those of [`failure`].

mod access_ledger;
mod accuse;
mod actor_keys;
mod actor_signer;
mod answer;
mod append;
mod arguments;
mod away;
mod backup;
mod bench;
mod blame;
mod bodies;
mod checkpoint;
mod config;
mod connect;
mod count;
mod coverage;
mod diff;
mod doctor;
mod erase;
mod expand;
mod explain;
mod export;
mod failure;
mod files;
mod groups;
mod heard;
mod hold;
mod import;
mod init;
mod inquire;
mod key;
mod keygen;
mod log;
mod passphrase;
mod policy;
mod prove;
mod queries;
mod question;
mod random;
mod redact;
mod rederive;
mod render;
mod restore;
mod scratch;
mod self_audit;
mod serve;
mod settings;
mod show;
mod state;
mod submit;
mod summary;
mod tail;
mod time;
mod token;
mod trace;
mod verify;
mod verify_case;
mod verify_index;
mod verify_server;
mod watch;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use arguments::Global;
use failure::Failure;

/// An audit ledger that proves what it says.
#[derive(Debug, Parser)]
#[command(
    name = "graven",
    version,
    about,
    max_term_width = 80,
    arg_required_else_help = true
)]
struct Arguments {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a signing key
    Keygen(keygen::Arguments),
    /// Say whose an SSH key is, for signatures of actors
    Key(key::Arguments),
    /// Make a bearer token for a writer or reader
    Token(token::Arguments),
    /// Check a policy, and show who may do what
    Policy(policy::Arguments),
    /// Show what rules for secrets would put out of events
    Redact(redact::Arguments),
    /// Make an empty ledger
    Init(init::Arguments),
    /// Run a ledger
    Serve(serve::Arguments),
    /// Copy a ledger to a backup, and verify the copy
    Backup(backup::Arguments),
    /// Lay a backup out as a ledger again, if nothing is missing
    Restore(restore::Arguments),
    /// Check what a server needs: keys, room, clock, certificates
    Doctor(doctor::Arguments),
    /// Append events, from flags or as JSON lines
    Append(Box<append::Arguments>),
    /// Show one entry, and everybody who has to do with it
    Show(show::Arguments),
    /// List the entries that match a filter, provably all
    Log(Box<log::Arguments>),
    /// List the questions that are kept under a name
    Queries(queries::Arguments),
    /// Show which sources were heard from, and where something is missing
    Coverage(coverage::Arguments),
    /// Show every version of a target, and who made it
    Blame(blame::Arguments),
    /// Show what something was made from, and what was made from it
    Trace(trace::Arguments),
    /// Show what differs under two runs, and who changed it
    Diff(diff::Arguments),
    /// Show what could have reached a run, and who did it
    Explain(explain::Arguments),
    /// Follow entries as they are sealed
    Tail(tail::Arguments),
    /// Follow the entries that match a filter as they are sealed
    Watch(watch::Arguments),
    /// Write one entry's evidence to a file
    Prove(prove::Arguments),
    /// Write an answer to a file: as evidence, or for other tools
    Export(Box<export::Arguments>),
    /// Check evidence, a stopped ledger's directory or a running server
    Verify(verify::Arguments),
    /// Import a history
    Import(import::Arguments),
    /// Erase why and detail of entries, as a ticket orders
    Erase(erase::Arguments),
    /// Forbid to erase entries, as long as a matter needs them
    Hold(hold::Arguments),
    /// Print the newest signed checkpoint
    Checkpoint(checkpoint::Arguments),
    /// Measure a running server with a load of calls
    Bench(Box<bench::Arguments>),
}

/// Runs the command that the process was started with.
pub fn main() -> ExitCode {
    let (arguments, said) = match queries::expand_arguments(std::env::args_os().collect()) {
        Ok(expanded) => expanded,
        Err(failure) => return failure.report(),
    };
    let arguments = Arguments::parse_from(arguments);
    arguments.global.apply();
    for line in said {
        arguments.global.say(&line);
    }
    match run(arguments) {
        Ok(code) => code,
        Err(failure) => failure.report(),
    }
}

fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    let global = arguments.global;
    match arguments.command {
        Command::Keygen(arguments) => keygen::run(&arguments),
        Command::Key(arguments) => in_runtime(key::run(&arguments, &global)),
        Command::Token(arguments) => token::run(&arguments),
        Command::Policy(arguments) => policy::run(&arguments, &global),
        Command::Redact(arguments) => redact::run(&arguments, &global),
        Command::Init(arguments) => init::run(&arguments),
        Command::Serve(arguments) => serve::run(&arguments),
        Command::Backup(arguments) => backup::run(&arguments),
        Command::Restore(arguments) => restore::run(&arguments, &global),
        Command::Doctor(arguments) => doctor::run(&arguments),
        Command::Append(arguments) => in_runtime(append::run(&arguments, &global)),
        Command::Show(arguments) => in_runtime(show::run(&arguments, &global)),
        Command::Log(arguments) => in_runtime(log::run(&arguments, &global)),
        Command::Queries(arguments) => queries::run(&arguments),
        Command::Coverage(arguments) => in_runtime(coverage::run(&arguments, &global)),
        Command::Blame(arguments) => in_runtime(blame::run(&arguments, &global)),
        Command::Trace(arguments) => in_runtime(trace::run(&arguments, &global)),
        Command::Diff(arguments) => in_runtime(diff::run(&arguments, &global)),
        Command::Explain(arguments) => in_runtime(explain::run(&arguments, &global)),
        Command::Tail(arguments) => in_runtime(tail::run(&arguments, &global)),
        Command::Watch(arguments) => in_runtime(watch::run(&arguments, &global)),
        Command::Prove(arguments) => in_runtime(prove::run(&arguments, &global)),
        Command::Export(arguments) => in_runtime(export::run(&arguments, &global)),
        Command::Verify(arguments) => verify::run(&arguments, &global),
        Command::Erase(arguments) => in_runtime(erase::run(&arguments, &global)),
        Command::Hold(arguments) => in_runtime(hold::run(&arguments, &global)),
        Command::Import(arguments) => in_runtime(import::run(&arguments, &global)),
        Command::Checkpoint(arguments) => in_runtime(checkpoint::run(&arguments)),
        Command::Bench(arguments) => in_runtime(bench::run(&arguments, &global)),
    }
}

fn in_runtime(
    command: impl Future<Output = Result<ExitCode, Failure>>,
) -> Result<ExitCode, Failure> {
    runtime()?.block_on(command)
}

fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::other(format!("no threads to run with: {error}")))
}
