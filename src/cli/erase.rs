//! `graven erase`: erases why and detail of entries, which the ledger seals before it does.

use std::io::Write;
use std::ops::Range;
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;
use tonic::{Code, Status};

use super::answer::thousands;
use super::arguments::{AdminConnection, Global, Output};
use super::bodies::malformed;
use super::connect::connect_to_order;
use super::failure::Failure;
use super::render::{Machine, Record, escape, write_records};
use crate::entry::{Tag, v1};
use crate::index::Ranges;
use crate::verify::ranges_text;

#[derive(Debug, Args)]
#[command(
    after_help = "Without --yes nothing is erased: the command says what would be.\n\
    Who erased what, by which ticket and why is sealed into the ledger first; do not repeat in the\n\
    reason what is to go. Backups made before still hold it: docs/operating.md has the procedure."
)]
pub(super) struct Arguments {
    /// Of which entries: SEQ, or FIRST-LAST
    #[arg(
        value_name = "SEQ",
        required_unless_present = "filter",
        conflicts_with = "filter"
    )]
    entries: Vec<String>,
    /// Of all entries that match this filter
    #[arg(long, value_name = "FILTER")]
    filter: Option<String>,
    /// Which parts: why, detail
    #[arg(
        long,
        value_name = "PARTS",
        value_delimiter = ',',
        default_value = "why,detail"
    )]
    parts: Vec<String>,
    /// The ticket that orders it
    #[arg(long)]
    ticket: String,
    /// Why
    #[arg(long)]
    reason: String,
    /// Erase it
    #[arg(long)]
    yes: bool,
    /// Only say what would be erased, as without --yes
    #[arg(long, conflicts_with = "yes")]
    dry_run: bool,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    connection: AdminConnection,
}

/// What was erased, or would be.
#[derive(Serialize)]
struct Row {
    /// The entry that says so; null where nothing was erased.
    erasure_seq: Option<u64>,
    /// All entries that say so, such as `21-22`.
    erasure_seqs: String,
    dry_run: bool,
    /// The entries, such as `3,7-9`.
    entries: String,
    entry_count: u64,
    why_parts: u64,
    why_bytes: u64,
    detail_parts: u64,
    detail_bytes: u64,
    already_erased: u64,
}

const COLUMNS: [&str; 10] = [
    "erasure_seq",
    "erasure_seqs",
    "dry_run",
    "entries",
    "entry_count",
    "why_parts",
    "why_bytes",
    "detail_parts",
    "detail_bytes",
    "already_erased",
];

impl Record for Row {
    fn cells(&self) -> Vec<String> {
        vec![
            self.erasure_seq
                .map(|seq| seq.to_string())
                .unwrap_or_default(),
            self.erasure_seqs.clone(),
            self.dry_run.to_string(),
            self.entries.clone(),
            self.entry_count.to_string(),
            self.why_parts.to_string(),
            self.why_bytes.to_string(),
            self.detail_parts.to_string(),
            self.detail_bytes.to_string(),
            self.already_erased.to_string(),
        ]
    }
}

pub(super) async fn run(arguments: &Arguments, global: &Global) -> Result<ExitCode, Failure> {
    let request = v1::EraseRequest {
        entries: seq_ranges(&arguments.entries)?,
        filter: arguments.filter.clone().unwrap_or_default(),
        parts: parts(&arguments.parts)?,
        ticket: arguments.ticket.clone(),
        reason: arguments.reason.clone(),
        dry_run: !arguments.yes,
    };
    if arguments
        .filter
        .as_deref()
        .is_some_and(|filter| filter.trim().is_empty())
    {
        return Err(Failure::usage(
            "--filter: an empty one would match every entry",
        ));
    }
    let mut client = connect_to_order(&arguments.connection.connection()?).await?;
    let answer = client.erase(request).await.map_err(refused)?.into_inner();
    let row = row(&answer, !arguments.yes)?;
    match Machine::of(arguments.output.output) {
        Some(machine) => write_records(machine, &COLUMNS, std::slice::from_ref(&row))?,
        None => print(&row)?,
    }
    if row.dry_run && row.entry_count > 0 {
        global.say("nothing was erased: say --yes to erase it");
    } else if row.erasure_seq.is_some() {
        global.say("backups, copies and snapshots made before still hold it");
    }
    Ok(ExitCode::SUCCESS)
}

fn print(row: &Row) -> std::io::Result<()> {
    let mut out = anstream::stdout();
    let entries = if row.entry_count == 1 {
        "entry"
    } else {
        "entries"
    };
    let of = format!(
        "of {} {entries}: {}",
        thousands(row.entry_count),
        row.entries
    );
    match row.erasure_seq {
        _ if row.entry_count == 0 => writeln!(out, "nothing to erase")?,
        Some(seq) if row.erasure_seqs == seq.to_string() => {
            writeln!(out, "erased {of}, as entry {seq} says")?;
        }
        Some(_) => writeln!(out, "erased {of}, as entries {} say", row.erasure_seqs)?,
        None => writeln!(out, "would erase {of}")?,
    }
    let parts = [
        ("why", row.why_parts, row.why_bytes),
        ("detail", row.detail_parts, row.detail_bytes),
    ];
    for (name, parts, bytes) in parts.into_iter().filter(|(_, parts, _)| *parts > 0) {
        let (parts, bytes) = (thousands(parts), thousands(bytes));
        writeln!(out, "  {name:7} {parts} with {bytes} bytes")?;
    }
    if row.already_erased > 0 {
        writeln!(
            out,
            "  {} more had been erased before",
            thousands(row.already_erased)
        )?;
    }
    Ok(())
}

fn row(answer: &v1::EraseResponse, dry_run: bool) -> Result<Row, Failure> {
    let entries: Ranges = answer.entries.iter().collect();
    let says_so: Ranges = answer.erasure_seqs.iter().copied().collect();
    if entries.is_empty() != answer.parts.is_empty() || (dry_run && answer.erasure_seq.is_some()) {
        return Err(malformed("what it says of an erasure contradicts itself"));
    }
    let of = |tag: Tag| {
        let part = answer
            .parts
            .iter()
            .find(|part| part.tag == u32::from(tag.number()));
        part.map_or((0, 0), |part| (part.entries, part.bytes))
    };
    let ((why_parts, why_bytes), (detail_parts, detail_bytes)) = (of(Tag::Why), of(Tag::Detail));
    Ok(Row {
        erasure_seq: answer.erasure_seq,
        erasure_seqs: ranges_text(&says_so),
        dry_run,
        entries: ranges_text(&entries),
        entry_count: entries.len(),
        why_parts,
        why_bytes,
        detail_parts,
        detail_bytes,
        already_erased: answer.already_erased,
    })
}

fn parts(names: &[String]) -> Result<Vec<u32>, Failure> {
    let number = |name: &String| {
        let tags = Tag::ALL.into_iter().filter(|tag| tag.is_erasable());
        let mut named = tags.filter(|tag| tag.name() == name);
        let number = named.next().map(|tag| u32::from(tag.number()));
        number.ok_or_else(|| {
            Failure::usage(format!(
                "--parts {}: why and detail can be erased, the others are evidence and stay",
                escape(name)
            ))
        })
    };
    names.iter().map(number).collect()
}

/// Entries as they are typed: a seq, or the first and the last of a range.
pub(super) fn seq_ranges(texts: &[String]) -> Result<Vec<v1::SeqRange>, Failure> {
    let range = |text: &String| {
        let wrong = || {
            let text = escape(text);
            Failure::usage(format!(
                "{text}: expected the seq of an entry, or FIRST-LAST"
            ))
        };
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let seq = |text: &str| text.parse::<u64>().map_err(|_| wrong());
        let Range { start, end } = seq(first)?..seq(last)?.checked_add(1).ok_or_else(wrong)?;
        if start >= end {
            return Err(wrong());
        }
        Ok(v1::SeqRange {
            first_seq: start,
            end_seq: end,
        })
    };
    texts.iter().map(range).collect()
}

/// Why an order was refused.
pub(super) fn refused(status: Status) -> Failure {
    match status.code() {
        Code::FailedPrecondition | Code::NotFound => Failure::other(status.message().to_owned()),
        Code::Unimplemented => Failure::usage(
            "this address takes no orders: --admin is the one that `graven serve` prints as admin",
        ),
        _ => status.into(),
    }
}
