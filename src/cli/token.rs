//! `graven token`: makes a bearer token.

use std::io::Write;
use std::process::ExitCode;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::Args;
use sha2::{Digest, Sha256};

use super::failure::Failure;
use super::random::random;
use crate::entry::{hex, names};
use crate::service::check_token_name;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// A name for the token, sealed with everything it sends
    name: String,
    /// Whose token it is, such as oidc:corp/loader
    #[arg(long, value_name = "IDENTITY")]
    subject: String,
}

/// Prints the token, once, and what the server's configuration needs to know it.
pub(super) fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    check_token_name(&arguments.name).map_err(|error| Failure::usage(error.to_string()))?;
    names::check_identity(&arguments.subject)
        .map_err(|problem| Failure::usage(format!("--subject {problem}")))?;
    let secret: [u8; 32] = random()?;
    let token = URL_SAFE_NO_PAD.encode(secret);
    let digest = Sha256::digest(&token);
    let mut out = anstream::stdout();
    writeln!(out, "{token}")?;
    anstream::eprintln!(
        "# The token stands on standard output, and is kept nowhere. For the server:"
    );
    anstream::eprintln!("[[token]]");
    // Not as a Rust string: TOML has other escapes.
    anstream::eprintln!("name = {}", toml::Value::from(arguments.name.as_str()));
    anstream::eprintln!(
        "subject = {}",
        toml::Value::from(arguments.subject.as_str())
    );
    let sha256 = hex::encode(&digest);
    anstream::eprintln!("sha256 = \"{sha256}\"");
    Ok(ExitCode::SUCCESS)
}
