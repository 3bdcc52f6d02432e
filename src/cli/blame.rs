//! `graven blame`: every version of a target, and who made it.

use std::collections::BTreeSet;
use std::process::ExitCode;

use clap::Args;

use super::answer::{Answer, Ask, MAX_PAGE_SIZE};
use super::arguments::{Connection, Global, Output, Pinned};
use super::bodies::malformed;
use super::failure::Failure;
use super::question::literal;
use super::render::RowWriter;
use crate::entry::json::{Row, short_version};
use crate::entry::v1;
use crate::index::filter::Filter;

/// Names that are followed back, so that a circle of renames ends.
const MAX_NAMES: usize = 64;

#[derive(Debug, Args)]
#[command(
    after_help = "Where a version does not continue the one before, something changed it that nobody recorded: \
    the gap is said on standard error."
)]
pub(super) struct Arguments {
    /// The target's name
    target: String,
    /// As it was when the ledger had so many entries
    #[arg(long, value_name = "SIZE")]
    at: Option<u64>,
    /// Do not follow renames to earlier names
    #[arg(long)]
    no_follow: bool,
    #[command(flatten)]
    pinned: Pinned,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    connection: Connection,
}

/// A change of the target: the entry, and the version that it left.
struct Change {
    row: Row,
    before: Option<v1::Version>,
    after: Option<v1::Version>,
}

pub(super) async fn run(arguments: &Arguments, global: &Global) -> Result<ExitCode, Failure> {
    let mut changes = Vec::new();
    let mut names = vec![(arguments.target.clone(), u64::MAX)];
    let mut asked = BTreeSet::new();
    let mut size = arguments.at;
    while let Some((name, before)) = names.pop() {
        if !asked.insert(name.clone()) || asked.len() > MAX_NAMES {
            continue;
        }
        let ask = Ask {
            filter: versions_of(&name)?,
            range: 0..before,
            descending: false,
            size,
            prove: true,
            page_size: MAX_PAGE_SIZE,
        };
        let mut answer = Answer::open(&arguments.connection, &arguments.pinned, ask).await?;
        let mut found = 0;
        while let Some((header, body)) = answer.next().await? {
            let row =
                Row::new(&header, &body).map_err(|invalid| malformed(&invalid.to_string()))?;
            let targets = row.targets().unwrap_or_default();
            let Some(target) = targets.iter().find(|target| target.uri == name).cloned() else {
                continue;
            };
            if !target.previous_uri.is_empty() && !arguments.no_follow {
                names.push((target.previous_uri.clone(), row.seq));
            }
            changes.push(Change {
                row,
                before: target.before,
                after: target.after,
            });
            found += 1;
        }
        // Every name is asked about at one size.
        size = size.or(answer.worth().size);
        answer.say(global, found);
    }
    changes.sort_by_key(|change| change.row.seq);
    say_gaps(&changes, global);
    let mut rows = RowWriter::new(arguments.output.output);
    for change in changes {
        rows.write(change.row)?;
    }
    rows.finish()?;
    Ok(ExitCode::SUCCESS)
}

/// The entries in which the target has a version.
fn versions_of(name: &str) -> Result<Filter, Failure> {
    let name = literal(name);
    Filter::parse(&format!("target = {name} AND (before:* OR after:*)"))
        .map_err(|error| Failure::usage(format!("{name}: {error}")))
}

/// Says where a version is not the one that the change before it left.
fn say_gaps(changes: &[Change], global: &Global) {
    for pair in changes.windows(2) {
        let [earlier, later] = pair else { continue };
        let (Some(left), Some(found)) = (&earlier.after, &later.before) else {
            continue;
        };
        let same = left.ids.iter().any(|id| found.ids.contains(id))
            || (left.ids.is_empty() && found.ids.is_empty() && left.state == found.state);
        if !same {
            let (from, to) = (&earlier.row, &later.row);
            global.say(&format!(
                "changed by unknown between entry {} and entry {}: left {}, found {}",
                from.seq,
                to.seq,
                short_version(left),
                short_version(found),
            ));
        }
    }
}
