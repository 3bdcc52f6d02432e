//! `graven verify`: what was sealed is still what is there, or what is wrong and where.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use tokio_stream::StreamExt;

use super::arguments::{Connection, Global, Pinned};
use super::bodies::{self, Received, receive};
use super::connect::connect;
use super::failure::Failure;
use super::init::home;
use super::render::escape;
use super::verify_case;
use crate::entry::{Tag, v1};
use crate::ledger::{LedgerError, audit_directory, in_parallel};
use crate::note::VerifierKey;
use crate::store::StoreError;
use crate::verify::{
    Audit, AuditReport, Case, Evidence, Finding, MAX_CASE_BYTES, Minimum, Verdict, check_entry,
    file_format,
};

/// Entries that are checked together, on all processors.
const ENTRIES_AT_ONCE: usize = 4096;

#[derive(Debug, Args)]
#[command(after_help = "Ends with 0: OK, 3: TAMPERED, 4: server not reached, 5: COULD NOT CHECK.")]
pub(super) struct Arguments {
    /// Evidence of an entry, or a case
    #[arg(conflicts_with = "dir")]
    file: Option<PathBuf>,
    /// Directory of a ledger that is not running
    #[arg(long)]
    dir: Option<PathBuf>,
    /// The anchor's file, if it is elsewhere
    #[arg(long, value_name = "FILE", requires = "dir")]
    anchor: Option<PathBuf>,
    /// A signed checkpoint, kept somewhere else, that the ledger must extend
    #[arg(long, value_name = "FILE")]
    minimum: Option<PathBuf>,
    #[command(flatten)]
    pinned: Pinned,
    #[command(flatten)]
    connection: Connection,
}

pub(super) fn run(arguments: &Arguments, global: &Global) -> Result<ExitCode, Failure> {
    let pinned = arguments.pinned.key()?;
    let minimum = arguments.minimum.as_deref().map(read_text).transpose()?;
    let (pinned, minimum) = (pinned.as_ref(), minimum.as_deref());
    if let Some(file) = &arguments.file {
        return self::file(file, pinned, minimum);
    }
    if let Some(dir) = &arguments.dir {
        return directory(dir, arguments.anchor.as_deref(), pinned, minimum, global);
    }
    if arguments.connection.url().is_none() {
        return Err(Failure::usage(
            "verify what? give an evidence file, --dir or --server",
        ));
    }
    super::runtime()?.block_on(server(&arguments.connection, pinned, minimum, global))
}

fn read_text(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|error| {
        Failure::unchecked(format!(
            "COULD NOT CHECK: reading {}: {error}",
            path.display()
        ))
    })
}

/// Checks a file as what it says it is.
fn file(
    path: &Path,
    pinned: Option<&VerifierKey>,
    minimum: Option<&str>,
) -> Result<ExitCode, Failure> {
    let unreadable = |error| {
        Failure::unchecked(format!(
            "COULD NOT CHECK: reading {}: {error}",
            path.display()
        ))
    };
    let mut json = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    let mut bounded = file.take(MAX_CASE_BYTES as u64 + 1);
    bounded.read_to_end(&mut json).map_err(unreadable)?;
    if json.len() > MAX_CASE_BYTES {
        return Err(Failure::tampered(format!(
            "TAMPERED: format: {} has more than {MAX_CASE_BYTES} bytes, which no evidence has",
            path.display()
        )));
    }
    let minimum = minimum.map(|note| Minimum {
        note,
        consistency: None,
    });
    match file_format(&json).as_deref() {
        Some(Case::FORMAT) => case(&json, pinned, minimum),
        _ => evidence(&json, pinned, minimum),
    }
}

/// Checks the evidence of an answer.
fn case(
    json: &[u8],
    pinned: Option<&VerifierKey>,
    minimum: Option<Minimum<'_>>,
) -> Result<ExitCode, Failure> {
    match Case::from_json(json) {
        Ok(case) => {
            let report = case.verify(pinned, minimum, &mut |_, _| {});
            let facts = verify_case::facts(&case, report.proved.as_ref());
            conclude(&report.verdict, &facts)
        }
        Err(finding) => conclude(&Verdict::Tampered(finding), &[]),
    }
}

/// Checks the evidence of one entry.
fn evidence(
    json: &[u8],
    pinned: Option<&VerifierKey>,
    minimum: Option<Minimum<'_>>,
) -> Result<ExitCode, Failure> {
    let evidence = match Evidence::from_json(json) {
        Ok(evidence) => evidence,
        Err(finding) => return conclude(&Verdict::Tampered(finding), &[]),
    };
    let report = evidence.verify(pinned, minimum);
    let mut facts = vec![
        format!(
            "entry {} of {}",
            evidence.header.seq,
            evidence.genesis.origin()
        ),
        format!("{} checks", report.checks.len()),
    ];
    if !report.not_shown.is_empty() {
        facts.push(format!("not shown: {}", tags(&report.not_shown)));
    }
    conclude(&report.verdict, &facts)
}

fn directory(
    dir: &Path,
    anchor: Option<&Path>,
    pinned: Option<&VerifierKey>,
    minimum: Option<&str>,
    global: &Global,
) -> Result<ExitCode, Failure> {
    if !dir.is_dir() {
        return Err(Failure::unchecked(format!(
            "COULD NOT CHECK: {} is no directory",
            dir.display()
        )));
    }
    let bar = progress(global);
    let mut show = |done, all| {
        bar.set_length(all);
        bar.set_position(done);
    };
    let report = audit_directory(&home(dir, anchor), pinned, minimum, &mut show);
    bar.finish_and_clear();
    let report = report.map_err(|error| match error {
        LedgerError::Store(StoreError::InUse { .. }) => Failure::unchecked(format!(
            "COULD NOT CHECK: {} is in use by a running ledger; give --server instead",
            dir.display()
        )),
        error => Failure::unchecked(format!("COULD NOT CHECK: {error}")),
    })?;
    let mut facts = report.audit.as_ref().map(facts_of).unwrap_or_default();
    if report.unacknowledged > 0 {
        facts.push(format!(
            "{} more entries were written and not acknowledged before the last stop",
            report.unacknowledged
        ));
    }
    conclude(&report.verdict, &facts)
}

async fn server(
    connection: &Connection,
    pinned: Option<&VerifierKey>,
    minimum: Option<&str>,
    global: &Global,
) -> Result<ExitCode, Failure> {
    let mut client = connect(connection).await?;
    let genesis = client
        .get_genesis(v1::GetGenesisRequest {})
        .await?
        .into_inner();
    let genesis = bodies::genesis(&genesis.descriptor)?;
    let mut audit = Audit::new(&genesis, pinned, minimum);
    let mut answers = client
        .list_entries(v1::ListEntriesRequest::default())
        .await?
        .into_inner();
    let mut checkpoint = String::new();
    let mut waiting = Vec::new();
    let bar = progress(global);
    while let Some(answer) = answers.next().await {
        let answer = answer?;
        if checkpoint.is_empty() {
            checkpoint = answer.checkpoint;
        }
        waiting.extend(answer.entries);
        if waiting.len() >= ENTRIES_AT_ONCE {
            if fold(&mut audit, genesis.origin(), &std::mem::take(&mut waiting))?.is_err() {
                break;
            }
            bar.set_position(audit.size());
        }
    }
    // A finding is kept by the audit, and is what it ends with.
    let _ = fold(&mut audit, genesis.origin(), &waiting)?;
    bar.finish_and_clear();
    let report = audit.finish(&checkpoint);
    conclude(&report.verdict, &facts_of(&report))
}

/// Checks entries on all processors, and folds them in order.
fn fold(
    audit: &mut Audit,
    origin: &str,
    entries: &[v1::Entry],
) -> Result<Result<(), Finding>, Failure> {
    let received = entries
        .iter()
        .zip(audit.size()..)
        .map(|(entry, seq)| Ok((seq, receive(entry)?)))
        .collect::<Result<Vec<(u64, Received)>, Failure>>()?;
    let checked = in_parallel(&received, |entries| {
        let check = |(seq, entry): &(u64, Received)| {
            check_entry(origin, *seq, &entry.header.encode(), &entry.body)
        };
        entries.iter().map(check).collect()
    });
    for entry in checked {
        let folded = match entry {
            Ok(entry) => audit.fold(&entry),
            Err(finding) => Err(audit.fail(finding)),
        };
        if folded.is_err() {
            return Ok(folded);
        }
    }
    Ok(Ok(()))
}

fn facts_of(report: &AuditReport) -> Vec<String> {
    let mut facts = vec![format!("{} entries", report.entries)];
    if let Some(checkpoint) = &report.checkpoint {
        facts.push(format!(
            "checkpoint of {} at size {}",
            checkpoint.origin(),
            checkpoint.size()
        ));
    }
    if !report.erased.is_empty() {
        facts.push(format!(
            "{} parts erased, each by an entry that says so",
            report.erased.len()
        ));
    }
    facts
}

/// Says the verdict, and gives its exit code.
fn conclude(verdict: &Verdict, facts: &[String]) -> Result<ExitCode, Failure> {
    let mut out = anstream::stdout();
    writeln!(out, "{}", escape(&verdict.to_string()))?;
    for fact in facts {
        writeln!(out, "  {}", escape(fact))?;
    }
    Ok(ExitCode::from(verdict.exit_code()))
}

fn tags(tags: &[Tag]) -> String {
    tags.iter()
        .map(|tag| tag.name())
        .collect::<Vec<_>>()
        .join(", ")
}

fn progress(global: &Global) -> ProgressBar {
    if global.quiet {
        return ProgressBar::hidden();
    }
    // Draws on standard error, and only where that is a terminal.
    let bar = ProgressBar::no_length();
    match ProgressStyle::with_template("{human_pos} entries checked, {per_sec}") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
