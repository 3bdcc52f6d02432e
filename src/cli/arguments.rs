//! Flags that several commands share.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::failure::Failure;
use crate::note::VerifierKey;

/// Flags of every command.
#[derive(Debug, Args)]
#[command(next_help_heading = "Everywhere")]
pub(super) struct Global {
    /// Say nothing but the data and errors
    #[arg(short, long, global = true)]
    pub(super) quiet: bool,
    /// When to use colour
    #[arg(long, global = true, value_enum, default_value_t, value_name = "WHEN")]
    color: Color,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum Color {
    #[default]
    Auto,
    Always,
    Never,
}

impl Global {
    /// Sets what holds for the whole process.
    pub(super) fn apply(&self) {
        match self.color {
            Color::Auto => {}
            Color::Always => anstream::ColorChoice::Always.write_global(),
            Color::Never => anstream::ColorChoice::Never.write_global(),
        }
    }

    /// Says something to whoever is watching.
    pub(super) fn say(&self, message: &str) {
        if !self.quiet {
            anstream::eprintln!("{message}");
        }
    }
}

/// Where the server is and how to get in.
#[derive(Debug, Args)]
#[command(next_help_heading = "Connection")]
pub(super) struct Connection {
    /// The server's address
    #[arg(long, env = "GRAVEN_SERVER", value_name = "http://HOST:PORT")]
    pub(super) server: Option<String>,
    #[command(flatten)]
    pub(super) credentials: Credentials,
}

/// How to get in.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Connection")]
pub(super) struct Credentials {
    /// Bearer token
    #[arg(
        long,
        env = "GRAVEN_TOKEN",
        value_name = "TOKEN",
        // One in 64 begins with a hyphen.
        allow_hyphen_values = true,
        hide_env_values = true
    )]
    pub(super) token: Option<String>,
    /// Authorities that vouch for the server, in PEM
    #[arg(long, value_name = "FILE")]
    pub(super) tls_ca: Option<PathBuf>,
    /// Client certificate, in PEM
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub(super) tls_cert: Option<PathBuf>,
    /// Key of the client certificate, in PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub(super) tls_key: Option<PathBuf>,
}

/// The same, of the listener for operators.
#[derive(Debug, Args)]
#[command(next_help_heading = "Connection")]
pub(super) struct AdminConnection {
    /// The address for operators, which `graven serve` prints as admin
    #[arg(long, env = "GRAVEN_ADMIN", value_name = "http://HOST:PORT")]
    admin: Option<String>,
    #[command(flatten)]
    credentials: Credentials,
}

impl AdminConnection {
    /// The connection to it.
    pub(super) fn connection(&self) -> Result<Connection, Failure> {
        let admin = self.admin.clone().filter(|url| !url.is_empty());
        let server = admin.ok_or_else(|| {
            Failure::usage(
                "which server? give its address for operators with --admin or GRAVEN_ADMIN: \
                 `graven serve` prints it, and needs --admin-listen to have one",
            )
        })?;
        Ok(Connection {
            server: Some(server),
            credentials: self.credentials.clone(),
        })
    }
}

impl Connection {
    /// The server's address. An empty one is none.
    pub(super) fn url(&self) -> Option<&str> {
        self.server.as_deref().filter(|url| !url.is_empty())
    }
}

/// The pinned key.
#[derive(Debug, Args)]
pub(super) struct Pinned {
    /// The ledger's verifier key, as somebody you trust gave it to you
    #[arg(long, env = "GRAVEN_KEY", value_name = "KEY")]
    key: Option<String>,
}

impl Pinned {
    /// The key, if one was given.
    pub(super) fn key(&self) -> Result<Option<VerifierKey>, Failure> {
        let key = self
            .key
            .as_deref()
            .map(str::trim)
            .filter(|key| !key.is_empty());
        key.map(|key| {
            VerifierKey::parse(key).map_err(|error| Failure::usage(format!("--key: {error}")))
        })
        .transpose()
    }
}

/// How rows are printed.
#[derive(Debug, Args)]
pub(super) struct Output {
    /// Format of the rows
    #[arg(short, long, value_enum, default_value_t, value_name = "FORMAT")]
    pub(super) output: Format,
}

/// A format of rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    #[default]
    Table,
    Jsonl,
    Json,
    Csv,
}
