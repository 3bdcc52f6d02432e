//! `graven keygen`: makes a signing key.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::failure::Failure;
use super::files::write_secret;
use crate::ledger::{Entropy, SystemEntropy};
use crate::note::SignerKey;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The ledger's name, such as ledger.example.com/ml
    #[arg(long, value_name = "ORIGIN")]
    name: String,
    /// Where the key goes; never overwritten
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// Writes the key, and prints the verifier key that others pin.
pub(super) fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let key = new_key(&arguments.name)?;
    write_secret(&arguments.out, &key.encode())?;
    writeln!(anstream::stdout(), "{}", key.verifier())?;
    Ok(ExitCode::SUCCESS)
}

/// A random key for the ledger `origin`.
pub(super) fn new_key(origin: &str) -> Result<SignerKey, Failure> {
    let mut seed = [0; 32];
    SystemEntropy
        .fill(&mut seed)
        .map_err(|error| Failure::other(format!("no randomness: {error}")))?;
    SignerKey::from_seed(origin, seed)
        .map_err(|error| Failure::usage(format!("the name {origin:?}: {error}")))
}
