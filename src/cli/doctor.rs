//! `graven doctor`: what a server would stumble over, before it does.

mod checks;
mod space;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use super::arguments::Output;
use super::config::Config;
use super::failure::Failure;
use super::passphrase::Passphrase;
use super::render::{Machine, Record, escape, write_records};

#[derive(Debug, Args)]
#[command(after_help = "Ends with 0, or with 1 if a check failed. Nothing is changed.")]
pub(super) struct Arguments {
    /// Configuration file, in TOML
    #[arg(long, env = "GRAVEN_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Directory of the ledger
    #[arg(long, env = "GRAVEN_DIR")]
    dir: Option<PathBuf>,
    /// File with the passphrase of the signing key; - to type it
    #[arg(long, env = "GRAVEN_KEY_PASSPHRASE_FILE", value_name = "FILE")]
    key_passphrase_file: Option<PathBuf>,
    #[command(flatten)]
    output: Output,
}

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Outcome {
    Ok,
    Warn,
    Fail,
}

/// A check.
#[derive(Debug, Serialize)]
struct Checked {
    check: &'static str,
    outcome: Outcome,
    /// What was found, and what to do about it.
    found: String,
}

impl Outcome {
    fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

impl Record for Checked {
    fn cells(&self) -> Vec<String> {
        vec![
            self.check.to_owned(),
            self.outcome.name().to_owned(),
            self.found.clone(),
        ]
    }
}

/// What is looked at.
struct Patient {
    config: Option<Config>,
    dir: PathBuf,
    anchor: PathBuf,
    key: PathBuf,
    passphrase: Passphrase,
}

pub(super) fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let mut rows = Vec::new();
    // An unreadable configuration is a finding; the directory can be looked at all the same.
    let config = match arguments.config.as_deref().map(Config::read) {
        Some(Err(failure)) => {
            rows.push(checks::bad_config(&failure));
            None
        }
        Some(Ok(config)) => Some(config),
        None => None,
    };
    let configured = config.as_ref();
    let dir = arguments
        .dir
        .clone()
        .or_else(|| configured.and_then(|config| config.dir.clone()));
    match dir {
        Some(dir) => {
            let anchor = configured.and_then(|config| config.anchor.clone());
            let key = configured.and_then(|config| config.key.clone());
            let passphrase = arguments.key_passphrase_file.as_deref();
            let passphrase = passphrase.or_else(|| configured?.key_passphrase_file.as_deref());
            let patient = Patient {
                passphrase: Passphrase::new(passphrase),
                anchor: anchor.unwrap_or_else(|| dir.join("anchor")),
                key: key.unwrap_or_else(|| dir.join("log.key")),
                config,
                dir,
            };
            rows.extend(checks::all(&patient));
        }
        None if rows.is_empty() => {
            return Err(Failure::usage(
                "which ledger? give its directory with --dir, or a configuration with --config",
            ));
        }
        None => {}
    }
    write(arguments, &rows)?;
    let failed = rows.iter().any(|row| row.outcome == Outcome::Fail);
    Ok(ExitCode::from(u8::from(failed)))
}

fn write(arguments: &Arguments, rows: &[Checked]) -> Result<(), Failure> {
    if let Some(format) = Machine::of(arguments.output.output) {
        return Ok(write_records(format, &["check", "outcome", "found"], rows)?);
    }
    let mut out = anstream::stdout();
    for Checked {
        check,
        outcome,
        found,
    } in rows
    {
        writeln!(out, "{:4}  {check:<11}  {}", outcome.name(), escape(found))?;
    }
    Ok(())
}
