//! `graven redact`: what rules would put out of events, without sending any.

use std::io::{self, BufRead, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use super::append;
use super::arguments::{Global, Output};
use super::failure::Failure;
use super::render::{Machine, Record, escape, redaction_text, write_records};
use crate::entry::{CheckedEvent, hex, json, v1};
use crate::service::RedactionFile;
use crate::service::redaction::Rules;

const COLUMNS: [&str; 5] = ["line", "field", "rule", "count", "refused"];

#[derive(Debug, Args)]
#[command(
    after_help = "Events are read from standard input as `graven append` reads them, and nothing is sent.\n\
                  A line is printed for each field and rule, and for each event that would be refused, \
                  never what was found.\nThe exit code is 6 when one would be refused. \
                  docs/operating.md says what rules look like."
)]
pub(super) struct Arguments {
    /// The rules, in TOML [default: those that come with the program]
    #[arg(long, value_name = "FILE")]
    rules: Option<PathBuf>,
    #[command(flatten)]
    output: Output,
}

/// What a rule would do with an event.
#[derive(Debug, Serialize)]
struct Found {
    line: u64,
    field: String,
    /// Null where the event breaks another rule of the ledger.
    rule: Option<String>,
    count: u32,
    /// Why the event would be refused; null where it would be sealed without what was found.
    refused: Option<String>,
}

impl Record for Found {
    fn cells(&self) -> Vec<String> {
        vec![
            self.line.to_string(),
            self.field.clone(),
            self.rule.clone().unwrap_or_default(),
            self.count.to_string(),
            self.refused.clone().unwrap_or_default(),
        ]
    }
}

pub(super) fn run(arguments: &Arguments, global: &Global) -> Result<ExitCode, Failure> {
    let file = RedactionFile::open(arguments.rules.as_deref())?;
    let rules = file.subscribe().borrow().clone();
    let mut found = Vec::new();
    let mut events = 0u64;
    for (line, text) in (1..).zip(io::stdin().lock().lines()) {
        let text = text.map_err(|error| Failure::usage(format!("line {line}: {error}")))?;
        if text.trim().is_empty() {
            continue;
        }
        let event = append::read(&text).map_err(|problem| {
            let problem = problem.replace(" at line 1 column ", " at column ");
            Failure::usage(format!("line {line}: {problem}"))
        })?;
        found.extend(judge(&rules, &event, line));
        events += 1;
    }
    match Machine::of(arguments.output.output) {
        Some(format) => write_records(format, &COLUMNS, &found)?,
        None => write_lines(&found)?,
    }
    let digest = hex::encode(&rules.digest());
    let count = rules.len();
    global.say(&format!("{events} events, {count} rules, sha256 {digest}"));
    let is_refused = found.iter().any(|found| found.refused.is_some());
    Ok(if is_refused {
        ExitCode::from(6)
    } else {
        ExitCode::SUCCESS
    })
}

fn judge(rules: &Rules, event: &v1::Event, line: u64) -> Vec<Found> {
    let checked = CheckedEvent::check(&json::encode(event));
    match checked.and_then(|checked| rules.apply(checked)) {
        Ok(CheckedEvent {
            redacted: Some(redacted),
            ..
        }) => {
            let note = |note: v1::Redaction| Found {
                line,
                field: note.field,
                rule: Some(note.rule),
                count: note.count,
                refused: None,
            };
            redacted.notes.into_iter().map(note).collect()
        }
        Ok(_) => Vec::new(),
        Err(invalid) => vec![Found {
            line,
            rule: invalid.rule().map(str::to_owned),
            count: 1,
            refused: Some(invalid.to_string()),
            field: invalid.field,
        }],
    }
}

fn write_lines(found: &[Found]) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    for found in found {
        let line = found.line;
        if let Some(refused) = &found.refused {
            writeln!(out, "line {line}: REFUSED: {}", escape(refused))?;
            continue;
        }
        let note = v1::Redaction {
            rule: found.rule.clone().unwrap_or_default(),
            field: found.field.clone(),
            count: found.count,
        };
        writeln!(out, "line {line}: {}", escape(&redaction_text(&note)))?;
    }
    Ok(())
}
