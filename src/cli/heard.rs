//! What an answer says beside its completeness: which sources were heard from in the range it is about.

use std::collections::BTreeMap;
use std::ops::Range;

use super::answer::Asker;
use super::arguments::Global;
use super::count::CountAsk;
use super::failure::Failure;
use super::render::escape;
use crate::index::filter::{Expression, Filter};
use crate::index::{GroupBy, Tally};
use crate::inquiry::range_of;

/// Silent sources that are named.
const NAMED: usize = 3;
/// Pages of sources that are asked for beside an answer.
const PAGES: u64 = 2;

/// Every source with the entries of a range that match a filter; none if there are too many.
pub(super) async fn sources(
    asker: &Asker,
    filter: &Filter,
    range: Range<u64>,
    size: Option<u64>,
    prove: bool,
    pages: Option<u64>,
) -> Result<Option<BTreeMap<String, Tally>>, Failure> {
    let source = GroupBy::parse("source").map_err(|error| Failure::other(error.to_string()))?;
    let counted = asker
        .count(&CountAsk {
            filter: filter.clone(),
            range,
            size,
            group_by: Some(source),
            prove,
            pages,
        })
        .await?;
    Ok(counted.map(|counted| {
        let groups = counted.counts.groups.iter();
        groups
            .map(|(term, tally)| (source.value(term), *tally))
            .collect()
    }))
}

/// What was asked, of which it is said who was heard from.
pub(super) struct Asked<'a> {
    /// As it was asked, before names stood for others.
    pub(super) filter: &'a Filter,
    pub(super) range: Range<u64>,
    /// The tree size at which it was answered.
    pub(super) size: u64,
    pub(super) prove: bool,
}

/// Every entry of a ledger.
pub(super) fn everything() -> Result<Filter, Failure> {
    Filter::new(Expression::All).map_err(|error| Failure::other(error.to_string()))
}

/// Says on standard error which sources were heard from, and what it means that nothing matched.
pub(super) async fn say(
    asker: &Asker,
    global: &Global,
    asked: &Asked<'_>,
    matched: u64,
) -> Result<(), Failure> {
    if global.quiet {
        return Ok(());
    }
    match line(asker, asked).await {
        Ok(line) => global.say(&line),
        Err(failure) if failure.is_denied() => {
            global.say("who was heard from is not told to a reader with bounds");
        }
        Err(failure) => return Err(failure),
    }
    if matched == 0 {
        global.say("nothing matched; absence in the ledger is not absence in the world");
    }
    Ok(())
}

async fn line(asker: &Asker, asked: &Asked<'_>) -> Result<String, Failure> {
    const TOO_MANY: &str = "too many sources to say which were silent: graven coverage does";
    const NO_SOURCE: &str = "heard from no source";
    // On the wire a size of 0 stands for the newest, and by now there may be entries.
    if asked.size == 0 {
        return Ok(NO_SOURCE.to_owned());
    }
    let (size, prove) = (Some(asked.size), asked.prove);
    let everything = everything()?;
    let pages = Some(PAGES);
    let Some(known) = sources(asker, &everything, 0..u64::MAX, size, prove, pages).await? else {
        return Ok(TOO_MANY.to_owned());
    };
    let times = range_of(asked.filter);
    let all = asked.range.start == 0 && asked.range.end >= asked.size;
    if all && *times.expression() == Expression::All {
        return Ok(match known.len() {
            0 => NO_SOURCE.to_owned(),
            1 => "heard from 1 source".to_owned(),
            many => format!("heard from {many} sources"),
        });
    }
    let range = asked.range.clone();
    let Some(heard) = sources(asker, &times, range, size, prove, pages).await? else {
        return Ok(TOO_MANY.to_owned());
    };
    let mut silent: Vec<(&String, u64)> = known
        .iter()
        .filter(|(source, _)| !heard.contains_key(*source))
        .map(|(source, tally)| (source, tally.last))
        .collect();
    silent.sort_by_key(|(_, last)| std::cmp::Reverse(*last));
    let named = silent.get(..NAMED).unwrap_or(&silent);
    let lasts = named.iter().map(|(_, last)| *last);
    let rows = asker.entries(lasts, size, prove).await?;
    let mut names: Vec<String> = named
        .iter()
        .map(|(source, last)| {
            let when = rows.get(last).map_or("", |row| row.recorded_at.as_str());
            format!("{} (last heard {when}, entry {last})", escape(source))
        })
        .collect();
    if let more @ 1.. = silent.len() - named.len() {
        names.push(format!("{more} more"));
    }
    let whole = format!(
        "heard from {} of {} sources in this range",
        heard.len(),
        known.len()
    );
    Ok(if names.is_empty() {
        whole
    } else {
        format!("{whole}; silent: {}", names.join(", "))
    })
}
