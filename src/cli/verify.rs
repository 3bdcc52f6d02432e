//! `graven verify`: what was sealed is still what is there, or what is wrong and where.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

use super::arguments::{Connection, Global, Pinned};
use super::failure::Failure;
use super::init::home;
use super::prove::erased_text;
use super::render::escape;
use super::scratch::ScratchFiles;
use super::{verify_case, verify_index, verify_server};
use crate::entry::Tag;
use crate::ledger::{Directory, Home, LedgerError, audit_directory, rederive_directory};
use crate::note::VerifierKey;
use crate::store::StoreError;
use crate::verify::{
    ACCUSATION_FORMAT, AuditReport, Case, Evidence, MAX_CASE_BYTES, Minimum, Verdict, file_format,
};

#[derive(Debug, Args)]
#[command(
    after_help = "Ends with 0: OK, 3: TAMPERED, 4: server not reached, 5: COULD NOT CHECK.\n\
    --rederive keeps what it derives in files without a name in TMPDIR."
)]
pub(super) struct Arguments {
    /// Evidence of an entry, a case, or an accusation that --rederive wrote
    #[arg(conflicts_with = "dir")]
    file: Option<PathBuf>,
    /// Directory of a ledger that is not running
    #[arg(long)]
    dir: Option<PathBuf>,
    /// The anchor's file, if it is elsewhere
    #[arg(long, value_name = "FILE", requires = "dir")]
    anchor: Option<PathBuf>,
    /// Also build the search index again from the entries, and compare it with every seal
    #[arg(long, conflicts_with = "file")]
    pub(super) rederive: bool,
    /// Where to put the proof of a false index, for others; never overwritten
    #[arg(long, value_name = "FILE", requires = "rederive")]
    pub(super) out: Option<PathBuf>,
    /// A signed checkpoint, kept somewhere else, that the ledger must extend
    #[arg(long, value_name = "FILE")]
    minimum: Option<PathBuf>,
    #[command(flatten)]
    pinned: Pinned,
    #[command(flatten)]
    pub(super) connection: Connection,
}

pub(super) fn run(arguments: &Arguments, global: &Global) -> Result<ExitCode, Failure> {
    let pinned = arguments.pinned.key()?;
    let minimum = arguments.minimum.as_deref().map(read_text).transpose()?;
    let (pinned, minimum) = (pinned.as_ref(), minimum.as_deref());
    if let Some(file) = &arguments.file {
        return self::file(file, pinned, minimum);
    }
    if let Some(out) = arguments.out.as_deref().filter(|out| out.exists()) {
        let out = out.display();
        return Err(Failure::usage(format!(
            "--out {out}: it exists, and is never overwritten"
        )));
    }
    if let Some(dir) = &arguments.dir {
        let anchor = arguments.anchor.as_deref();
        return directory(&home(dir, anchor), arguments, pinned, minimum, global);
    }
    if arguments.connection.url().is_none() {
        return Err(Failure::usage(
            "verify what? give an evidence file, --dir or --server",
        ));
    }
    super::runtime()?.block_on(verify_server::run(arguments, pinned, minimum, global))
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
        Some(ACCUSATION_FORMAT) => verify_index::accusation(&json, pinned),
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
    facts.extend(report.erased.iter().map(erased_text));
    if !report.not_shown.is_empty() {
        facts.push(format!("not shown: {}", tags(&report.not_shown)));
    }
    conclude(&report.verdict, &facts)
}

fn directory(
    home: &Directory,
    arguments: &Arguments,
    pinned: Option<&VerifierKey>,
    minimum: Option<&str>,
    global: &Global,
) -> Result<ExitCode, Failure> {
    let dir = home.name();
    if !Path::new(&dir).is_dir() {
        return Err(Failure::unchecked(format!(
            "COULD NOT CHECK: {dir} is no directory"
        )));
    }
    let bar = progress(global);
    let mut show = |done, all| {
        bar.set_length(all);
        bar.set_position(done);
    };
    let report = audit_directory(home, pinned, minimum, &mut show);
    let report = report.map_err(|error| match error {
        LedgerError::Store(StoreError::InUse { .. }) => Failure::unchecked(format!(
            "COULD NOT CHECK: {dir} is in use by a running ledger; give --server instead"
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
    let key = report.audit.as_ref().map(|audit| &audit.key);
    let sound = arguments.rederive && !verify_index::is_tampered(&report.verdict);
    let Some(key) = key.filter(|_| sound) else {
        bar.finish_and_clear();
        return conclude(&report.verdict, &facts);
    };
    let started = Instant::now();
    let scratch = ScratchFiles::new();
    let index = rederive_directory(home, key, &scratch, &mut show)
        .map_err(|error| Failure::unchecked(format!("COULD NOT CHECK: {error}")));
    bar.finish_and_clear();
    let index = index?;
    verify_index::say_rate(index.entries, started, global);
    facts.extend(verify_index::facts(&index.rederived));
    if index.rederived.first_false.is_some() {
        facts.extend(index.difference);
        let out = arguments.out.as_deref();
        facts.extend(verify_index::accusation_facts(index.accusation, out)?);
    }
    conclude(&report.verdict.and(index.rederived.verdict()), &facts)
}

pub(super) fn facts_of(report: &AuditReport) -> Vec<String> {
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
pub(super) fn conclude(verdict: &Verdict, facts: &[String]) -> Result<ExitCode, Failure> {
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

pub(super) fn progress(global: &Global) -> ProgressBar {
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
