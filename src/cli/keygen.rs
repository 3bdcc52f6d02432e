//! `graven keygen`: makes a signing key.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::failure::Failure;
use super::files::write_key;
use super::passphrase::Passphrase;
use super::random::random;
use crate::note::SignerKey;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The ledger's name, such as ledger.example.com/ml
    #[arg(long, value_name = "ORIGIN")]
    name: String,
    /// Where the key goes; never overwritten
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// File with a passphrase that the key is encrypted with; - to type it, or for standard input
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

/// Writes the key, and prints the verifier key that others pin.
pub(super) fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let key = new_key(&arguments.name)?;
    let passphrase = Passphrase::new(arguments.passphrase_file.as_deref());
    write_key(&arguments.out, &key, &passphrase)?;
    writeln!(anstream::stdout(), "{}", key.verifier())?;
    Ok(ExitCode::SUCCESS)
}

/// A random key for the ledger `origin`.
pub(super) fn new_key(origin: &str) -> Result<SignerKey, Failure> {
    let seed = random()?;
    SignerKey::from_seed(origin, seed)
        .map_err(|error| Failure::usage(format!("the name {origin:?}: {error}")))
}
