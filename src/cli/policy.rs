//! `graven policy`: reads a policy before it is put into force, and says who has what.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use super::arguments::{Global, Output};
use super::failure::Failure;
use super::render::{Machine, Record, escape, write_records};
use crate::entry::{hex, names};
use crate::service::PolicyFile;
use crate::service::access::{Grant, Patterns, Permission, Role};

const COLUMNS: [&str; 7] = [
    "identity", "issuer", "role", "sources", "actions", "targets", "actors",
];

#[derive(Debug, Args)]
#[command(
    after_help = "A list that is absent allows everything. The digest on standard error is the one that an entry \
                  `ledger.policy` has."
)]
pub(super) struct Arguments {
    /// The policy, in TOML
    file: PathBuf,
    /// List the grants of this identity alone
    #[arg(long = "for", value_name = "IDENTITY")]
    identity: Option<String>,
    #[command(flatten)]
    output: Output,
}

/// A grant as it is listed.
#[derive(Debug, Serialize)]
struct Listed<'a> {
    identity: &'a str,
    /// Null for any.
    issuer: Option<&'a str>,
    role: Role,
    #[serde(skip_serializing_if = "Option::is_none")]
    sources: Option<&'a [String]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    actions: Option<&'a [String]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    targets: Option<&'a [String]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    actors: Option<&'a [String]>,
}

impl<'a> Listed<'a> {
    fn new(grant: &'a Grant) -> Self {
        let texts = |patterns: &'a Option<Patterns>| patterns.as_ref().map(Patterns::texts);
        let mut listed = Self {
            identity: &grant.identity,
            issuer: grant.issuer.as_deref(),
            role: grant.permission.role(),
            sources: None,
            actions: None,
            targets: None,
            actors: None,
        };
        match &grant.permission {
            Permission::Writer(bounds) => {
                listed.sources = texts(&bounds.sources);
                listed.actions = texts(&bounds.actions);
                listed.targets = texts(&bounds.targets);
                listed.actors = texts(&bounds.actors);
            }
            Permission::Reader(bounds) => {
                listed.sources = texts(&bounds.sources);
                listed.targets = texts(&bounds.targets);
            }
            Permission::Auditor | Permission::Operator => {}
        }
        listed
    }

    fn bounds(&self) -> [(&'static str, Option<&'a [String]>); 4] {
        [
            ("sources", self.sources),
            ("actions", self.actions),
            ("targets", self.targets),
            ("actors", self.actors),
        ]
    }
}

impl Record for Listed<'_> {
    fn cells(&self) -> Vec<String> {
        let mut cells = vec![
            self.identity.to_owned(),
            self.issuer.unwrap_or_default().to_owned(),
            self.role.to_string(),
        ];
        let bounds = self.bounds();
        cells.extend(bounds.map(|(_, texts)| texts.unwrap_or_default().join(" ")));
        cells
    }
}

pub(super) fn run(arguments: &Arguments, global: &Global) -> Result<ExitCode, Failure> {
    let file = PolicyFile::open(Some(&arguments.file))?;
    let policy = file.subscribe().borrow().clone();
    if let Some(identity) = &arguments.identity {
        names::check_identity(identity)
            .map_err(|problem| Failure::usage(format!("--for {problem}")))?;
    }
    let is_asked = |grant: &&Grant| {
        let identity = arguments.identity.as_deref();
        identity.is_none_or(|identity| grant.names(identity))
    };
    let listed: Vec<Listed<'_>> = policy
        .grants()
        .iter()
        .filter(is_asked)
        .map(Listed::new)
        .collect();
    match Machine::of(arguments.output.output) {
        Some(format) => write_records(format, &COLUMNS, &listed)?,
        None => write_lines(&listed)?,
    }
    let digest = hex::encode(&policy.sha256());
    global.say(&format!(
        "a policy of {} grants, sha256 {digest}",
        policy.grants().len()
    ));
    Ok(ExitCode::SUCCESS)
}

/// A grant a line, its bounds below it.
fn write_lines(listed: &[Listed<'_>]) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    for grant in listed {
        write!(out, "{:9} {}", grant.role.name(), escape(grant.identity))?;
        if let Some(issuer) = grant.issuer {
            write!(out, " by {}", escape(issuer))?;
        }
        writeln!(out)?;
        for (name, texts) in grant.bounds() {
            if let Some(texts) = texts {
                writeln!(out, "          {name} {}", escape(&texts.join(" ")))?;
            }
        }
    }
    Ok(())
}
