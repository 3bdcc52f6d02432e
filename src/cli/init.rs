//! `graven init`: makes an empty ledger.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use super::failure::Failure;
use super::files::{read_key, read_note, write_key};
use super::keygen::new_key;
use super::passphrase::Passphrase;
use crate::entry::genesis::Genesis;
use crate::entry::v1;
use crate::ledger::{self, Directory, Home, LedgerError, Refusal, SystemClock, SystemEntropy};
use crate::note::{Checkpoint, Note};

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
    /// File with the passphrase of the signing key, which a new one is encrypted with; - to type it
    #[arg(long, env = "GRAVEN_KEY_PASSPHRASE_FILE", value_name = "FILE")]
    key_passphrase_file: Option<PathBuf>,
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
        (Some(origin), Some(path)) => Some(v1::Predecessor {
            origin: origin.clone(),
            checkpoint: last_checkpoint(path, origin)?,
        }),
        _ => None,
    };
    let anchor = arguments.anchor.as_deref();
    let passphrase = Passphrase::new(arguments.key_passphrase_file.as_deref());
    let genesis = make(
        &arguments.dir,
        &arguments.origin,
        (arguments.key.as_deref(), &passphrase),
        anchor,
        predecessor,
    )?;
    let mut out = anstream::stdout();
    writeln!(out, "origin {}", genesis.origin())?;
    writeln!(out, "key {}", genesis.verifier_key())?;
    Ok(ExitCode::SUCCESS)
}

/// Reads the last checkpoint of the ledger `origin`. Its key is not known here: whoever follows the succession checks the
/// signature.
fn last_checkpoint(path: &Path, origin: &str) -> Result<String, Failure> {
    let none = |what: String| {
        Failure::usage(format!(
            "{} holds no signed checkpoint of {origin}: {what}",
            path.display()
        ))
    };
    let note = read_note(path).map_err(|error| Failure::file("reading", path, &error))?;
    let parsed = Note::parse(&note).map_err(|error| none(error.to_string()))?;
    let checkpoint = Checkpoint::parse(parsed.text()).map_err(|error| none(error.to_string()))?;
    if checkpoint.origin() != origin {
        return Err(none(format!("it is of {}", checkpoint.origin())));
    }
    String::from_utf8(note).map_err(|error| none(error.to_string()))
}

/// Makes a ledger in `dir`, with a key of its own unless one is given.
pub(super) fn make(
    dir: &Path,
    origin: &str,
    (given, passphrase): (Option<&Path>, &Passphrase),
    anchor: Option<&Path>,
    predecessor: Option<v1::Predecessor>,
) -> Result<Genesis, Failure> {
    let home = home(dir, anchor);
    let own_key = dir.join("log.key");
    let key = match given {
        Some(path) => {
            let key = read_key(path, passphrase)?;
            if key.name() != origin {
                return Err(Failure::usage(format!(
                    "the key in {} is named {}, and a ledger's key bears its origin, {origin}",
                    path.display(),
                    key.name()
                )));
            }
            key
        }
        // Said here, since the key is made before the ledger.
        None if dir.join("store").exists() || Path::new(&home.anchor_name()).exists() => {
            let already = Refusal::AlreadyInitialised(home.name());
            return Err(LedgerError::from(already).into());
        }
        None if own_key.exists() => {
            return Err(Failure::usage(format!(
                "there is a key in {0} already: give it with --key {0}, or choose another directory",
                own_key.display()
            )));
        }
        None => new_key(origin)?,
    };
    fs::create_dir_all(dir).map_err(|error| Failure::file("making", dir, &error))?;
    if given.is_none() {
        write_key(&own_key, &key, passphrase)?;
    }
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
