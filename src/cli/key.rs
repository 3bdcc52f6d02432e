//! `graven key`: says whose an SSH key is, for the signatures that it makes as an actor.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Map, Value};

use super::actor_keys::{REGISTER, REVOKE, target};
use super::append::{append_one, insert_texts, read};
use super::arguments::{Connection, Global, Output, Pinned};
use super::failure::Failure;
use crate::entry::ssh_signature::PublicKey;

/// The most bytes of a file with a public key.
const MAX_KEY_FILE_BYTES: u64 = 16 * 1024;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Append that a key is somebody's from now on
    Register(Statement),
    /// Append that a key is somebody's no more
    Revoke(Statement),
    /// Print what entries call a key: the target of its registration
    Name(Name),
}

#[derive(Debug, Args)]
#[command(
    after_help = "Appends `key.register` or `key.revoke`, with the key as target and its owner as grantee \
                  (docs/naming.md).\nKeys of the types ssh-ed25519, ecdsa-sha2-nistp256, ecdsa-sha2-nistp384, ssh-rsa\n(2048 bits and more) and sk-ssh-ed25519@openssh.com can sign."
)]
struct Statement {
    /// The .pub file of the key; - for standard input
    file: PathBuf,
    /// Whose key it is, such as oidc:corp/alice
    #[arg(long, value_name = "IDENTITY")]
    grantee: String,
    /// The system that says so
    #[arg(long, value_name = "NAME")]
    source: String,
    /// Who says so, as claimed
    #[arg(long, value_name = "IDENTITY")]
    actor: Option<String>,
    /// Why
    #[arg(long)]
    reason: Option<String>,
    /// The ticket, change request or commit
    #[arg(long)]
    ticket: Option<String>,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    pinned: Pinned,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Args)]
struct Name {
    /// The .pub file of the key; - for standard input
    file: PathBuf,
}

pub(super) async fn run(arguments: &Arguments, global: &Global) -> Result<ExitCode, Failure> {
    match &arguments.command {
        Command::Register(statement) => append(statement, REGISTER, global).await?,
        Command::Revoke(statement) => append(statement, REVOKE, global).await?,
        Command::Name(name) => {
            let key = read_key(&name.file)?;
            writeln!(anstream::stdout(), "{}", target(&key.name()))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn append(statement: &Statement, action: &str, global: &Global) -> Result<(), Failure> {
    let key = read_key(&statement.file)?;
    let mut event = Map::from_iter([
        ("action".to_owned(), Value::from(action)),
        ("target".to_owned(), target(&key.name()).into()),
        ("grantee".to_owned(), statement.grantee.as_str().into()),
        ("source".to_owned(), statement.source.as_str().into()),
    ]);
    let texts = [
        ("actor", &statement.actor),
        ("reason", &statement.reason),
        ("ticket", &statement.ticket),
    ];
    insert_texts(&mut event, &texts);
    let event = read(&Value::Object(event).to_string()).map_err(Failure::usage)?;
    append_one(
        event,
        &statement.output,
        &statement.pinned,
        &statement.connection,
        global,
    )
    .await
}

fn read_key(path: &Path) -> Result<PublicKey, Failure> {
    let unread = |error| Failure::file("reading", path, &error);
    let mut text = String::new();
    if path == Path::new("-") {
        let mut input = io::stdin().take(MAX_KEY_FILE_BYTES);
        input.read_to_string(&mut text).map_err(unread)?;
    } else {
        let file = File::open(path).map_err(unread)?;
        let mut input = file.take(MAX_KEY_FILE_BYTES);
        input.read_to_string(&mut text).map_err(unread)?;
    }
    if text.contains("PRIVATE KEY-----") {
        return Err(Failure::usage(format!(
            "{} is a private key: give the .pub file beside it",
            path.display()
        )));
    }
    PublicKey::from_line(&text)
        .map_err(|problem| Failure::usage(format!("{} {problem}", path.display())))
}
