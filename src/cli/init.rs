//! `graven init`: makes an empty ledger.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use super::failure::Failure;
use super::files::{read_key, write_secret};
use super::keygen::new_key;
use crate::entry::genesis::Genesis;
use crate::entry::v1;
use crate::ledger::{self, Directory, SystemClock, SystemEntropy};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Directory of the new ledger
    #[arg(long)]
    dir: PathBuf,
    /// The ledger's name, such as ledger.example.com/ml; never used for another one
    #[arg(long, value_name = "ORIGIN")]
    origin: String,
    /// Signing key; made as DIR/log.key when not given
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// Where the anchor goes; better on another volume [default: DIR/anchor]
    #[arg(long, value_name = "FILE")]
    anchor: Option<PathBuf>,
    /// Name of the ledger that this one continues
    #[arg(long, value_name = "ORIGIN", requires = "predecessor_checkpoint")]
    predecessor: Option<String>,
    /// Its last signed checkpoint
    #[arg(long, value_name = "FILE", requires = "predecessor")]
    predecessor_checkpoint: Option<PathBuf>,
}

/// Makes the ledger, and prints what clients pin.
pub(super) fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let predecessor = match (&arguments.predecessor, &arguments.predecessor_checkpoint) {
        (Some(origin), Some(path)) => {
            let checkpoint =
                fs::read_to_string(path).map_err(|error| Failure::file("reading", path, &error))?;
            Some(v1::Predecessor {
                origin: origin.clone(),
                checkpoint,
            })
        }
        _ => None,
    };
    let anchor = arguments.anchor.as_deref();
    let genesis = make(
        &arguments.dir,
        &arguments.origin,
        arguments.key.as_deref(),
        anchor,
        predecessor,
    )?;
    let mut out = anstream::stdout();
    writeln!(out, "origin {}", genesis.origin())?;
    writeln!(out, "key {}", genesis.verifier_key())?;
    Ok(ExitCode::SUCCESS)
}

/// Makes a ledger in `dir`, with a key of its own unless one is given.
pub(super) fn make(
    dir: &Path,
    origin: &str,
    key: Option<&Path>,
    anchor: Option<&Path>,
    predecessor: Option<v1::Predecessor>,
) -> Result<Genesis, Failure> {
    fs::create_dir_all(dir).map_err(|error| Failure::file("making", dir, &error))?;
    let key = if let Some(path) = key {
        read_key(path)?
    } else {
        let key = new_key(origin)?;
        write_secret(&dir.join("log.key"), &key.encode())?;
        key
    };
    let home = home(dir, anchor);
    let clock = SystemClock::default();
    Ok(ledger::init(
        &home,
        &key,
        origin,
        predecessor,
        &clock,
        &SystemEntropy,
    )?)
}

/// The ledger in `dir`, with its anchor there or elsewhere.
pub(super) fn home(dir: &Path, anchor: Option<&Path>) -> Directory {
    match anchor {
        Some(anchor) => Directory::with_anchor(dir, anchor),
        None => Directory::new(dir),
    }
}
