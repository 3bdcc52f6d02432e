//! `graven show`: one entry, with the proof that it is in the ledger, and everybody who has to do with it.

use std::process::ExitCode;

use clap::Args;

use super::actor_keys::attestation;
use super::answer::{Ask, Asker};
use super::arguments::{Connection, Format, Global, Output, Pinned};
use super::bodies::{malformed, receive};
use super::connect::connect;
use super::expand::{Linking, ask_links, describe};
use super::failure::Failure;
use super::prove::gather;
use super::render::{RowWriter, escape};
use crate::entry::json::{Erased, Row, time};
use crate::entry::v1;
use crate::index::filter::{Expression, Filter};
use crate::inquiry::{Links, NameKind};
use crate::verify::Verdict;

#[derive(Debug, Args)]
#[command(
    after_help = "The entry is checked against the signed checkpoint, and an actor's signature by the \
                  key that made it.\nEntries before it say whose key that is (docs/naming.md)."
)]
pub(super) struct Arguments {
    /// Which entry
    seq: u64,
    /// By the links that there were when the ledger had so many entries
    #[arg(long, value_name = "SIZE")]
    at: Option<u64>,
    #[command(flatten)]
    linking: Linking,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    pinned: Pinned,
    #[command(flatten)]
    connection: Connection,
}

pub(super) async fn run(arguments: &Arguments, global: &Global) -> Result<ExitCode, Failure> {
    let seq = arguments.seq;
    let asker = Asker::connect(&arguments.connection, &arguments.pinned).await?;
    let mut answer = asker.ask(Ask {
        filter: Filter::new(Expression::All).map_err(|error| Failure::other(error.to_string()))?,
        range: seq..seq.saturating_add(1),
        descending: false,
        size: arguments.at,
        prove: true,
        page_size: 1,
    });
    let found = answer.next().await?;
    let size = answer.worth().size.unwrap_or(0);
    let Some((header, body)) = found else {
        let message = format!("there is no entry {seq}: the ledger has {size}");
        return Err(Failure::usage(message));
    };
    let mut row = Row::new(&header, &body).map_err(|invalid| malformed(&invalid.to_string()))?;
    let aliases = if arguments.linking.no_links {
        Vec::new()
    } else {
        aliases(&asker, &row, header.recorded_at, size).await?
    };
    row.erasures = erasures(arguments, &row).await?;
    let attested = attestation(&asker, &header, &row, size).await?;
    let format = arguments.output.output;
    let mut rows = RowWriter::single(format);
    if format == Format::Table {
        rows = rows.with_aliases(&aliases);
    }
    rows.write(row)?;
    rows.finish()?;
    if format != Format::Table {
        for (name, alias) in &aliases {
            global.say(&format!("{} is also {alias}", escape(name)));
        }
    }
    if let Some(attested) = attested {
        global.say(&attested);
    }
    global.say(&format!("in the tree of checkpoint {size}"));
    if !asker.is_pinned() {
        global.say("under the key that the server itself gave: pin the right one with --key");
    }
    Ok(ExitCode::SUCCESS)
}

/// What was erased of an entry, and by whom, checked against the signed checkpoint.
async fn erasures(arguments: &Arguments, row: &Row) -> Result<Vec<Erased>, Failure> {
    if row.erased.is_empty() {
        return Ok(Vec::new());
    }
    let mut client = connect(&arguments.connection).await?;
    let evidence = gather(&mut client, row.seq).await?;
    let report = evidence.verify(arguments.pinned.key()?.as_ref(), None);
    if let Verdict::Tampered(finding) = report.verdict {
        return Err(Failure::tampered(format!(
            "what the server says of an erasure does not verify: {finding}"
        )));
    }
    let known = report.erased.into_iter().filter_map(|part| {
        let by = part.by?;
        Some(Erased {
            part: part.tag.name(),
            by: by.ordered_by,
            at: time::write(by.recorded_at),
            ticket: by.ticket,
            reason: by.reason,
            entry: by.seq,
        })
    });
    Ok(known.collect())
}

/// Who else those of an entry are, at the time of the entry: a name as it stands there, and another in words that are safe
/// to print.
async fn aliases(
    asker: &Asker,
    row: &Row,
    recorded_at: u64,
    size: u64,
) -> Result<Vec<(String, String)>, Failure> {
    let names = identities(row);
    let each = names.iter().map(|name| (NameKind::Identity, name.clone()));
    let mut links = Links::of_names(each);
    ask_links(asker, &mut links, Some(size), true).await?;
    let occurred_at = row.context.as_ref().and_then(|context| context.occurred_at);
    let when = occurred_at.or(i64::try_from(recorded_at).ok());
    let mut found = Vec::new();
    for expansion in links.expansions() {
        let then = expansion
            .aliases
            .iter()
            .filter(|alias| when.is_none_or(|when| alias.times.contains(when)));
        found.extend(then.map(|alias| (expansion.name.clone(), describe(alias))));
    }
    Ok(found)
}

/// Everybody who is named in an entry, each once.
fn identities(row: &Row) -> Vec<String> {
    let mut names: Vec<&str> = Vec::new();
    names.extend(row.submitter());
    names.extend(row.actor());
    if let Some(who) = &row.who {
        names.extend(who.on_behalf_of.iter().map(String::as_str));
    }
    if let Some(what) = &row.what {
        names.extend(what.targets.iter().map(|target| target.owner.as_str()));
        names.push(&what.grantee);
        names.extend(what.participants.iter().map(String::as_str));
    }
    names.retain(|name| !name.is_empty());
    names.sort_unstable();
    names.dedup();
    names.into_iter().map(str::to_owned).collect()
}

/// The row of an entry as received.
pub(super) fn row(entry: &v1::Entry) -> Result<Row, Failure> {
    let received = receive(entry)?;
    Row::new(&received.header, &received.body).map_err(|invalid| malformed(&invalid.to_string()))
}
