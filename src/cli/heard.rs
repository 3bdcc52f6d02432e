//! What an answer says beside its completeness: which sources were heard from in the range it is about.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::answer::Asker;
use super::arguments::Global;
use super::count::CountAsk;
use super::failure::Failure;
use super::render::escape;
use crate::entry::json::Row;
use crate::index::filter::{Expression, Filter};
use crate::index::{GroupBy, Tally};
use crate::inquiry::{MAX_STRETCHES, Stretch, range_of};

/// Silent sources that are named.
const NAMED: usize = 3;
/// Pages of sources that are asked for beside an answer.
const PAGES: u64 = 2;
const UNTOLD: &str = "too many sources to say which were silent: graven coverage does";
const NO_SOURCE: &str = "heard from no source";

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
    let range = range_of(asked.filter);
    let place = Place {
        name: String::new(),
        filter: &range,
        range: asked.range.clone(),
    };
    say_at(asker, global, (asked.size, asked.prove), &[place], matched).await
}

/// The same of each of these stretches of a proved answer, or of the whole ledger if there are none.
pub(super) async fn say_stretches(
    asker: &Asker,
    global: &Global,
    size: u64,
    stretches: &[Stretch],
    matched: u64,
) -> Result<(), Failure> {
    let everything = everything()?;
    let place = |name, range| Place {
        name,
        filter: &everything,
        range,
    };
    let mut places: Vec<Place<'_>> = stretches
        .iter()
        .take(MAX_STRETCHES)
        .map(|stretch| place(name(stretch), stretch.range.clone()))
        .collect();
    if places.is_empty() {
        places.push(place(String::new(), 0..u64::MAX));
    }
    say_at(asker, global, (size, true), &places, matched).await
}

/// What a stretch is called, for who did not ask about these seqs.
fn name(stretch: &Stretch) -> String {
    let Range { start, end } = stretch.range;
    let why = match stretch.why {
        "" => String::new(),
        why => format!(", {why}"),
    };
    match end.saturating_sub(1) {
        _ if end == u64::MAX => format!("from entry {start} on{why}: "),
        last if last == start => format!("at entry {start}{why}: "),
        last => format!("from entry {start} to entry {last}{why}: "),
    }
}

/// Entries of which it is said who was heard from.
struct Place<'a> {
    /// What is said before it.
    name: String,
    filter: &'a Filter,
    range: Range<u64>,
}

/// A size of the ledger, and whether what is said of it is proved.
type At = (u64, bool);

async fn say_at(
    asker: &Asker,
    global: &Global,
    at: At,
    places: &[Place<'_>],
    matched: u64,
) -> Result<(), Failure> {
    if global.quiet {
        return Ok(());
    }
    match lines(asker, at, places).await {
        Ok(lines) => lines.iter().for_each(|line| global.say(line)),
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

/// Who was heard from at a place.
enum Heard {
    /// All that are known, whose number this is.
    Known(usize),
    /// So many, and not these, with the seqs of what they said last, the newest first.
    Some(usize, Vec<(String, u64)>),
    /// It takes too much to tell.
    Untold,
}

async fn lines(
    asker: &Asker,
    (size, prove): At,
    places: &[Place<'_>],
) -> Result<Vec<String>, Failure> {
    // On the wire a size of 0 stands for the newest, and by now there may be entries.
    if size == 0 {
        return Ok(vec![NO_SOURCE.to_owned()]);
    }
    let everything = everything()?;
    let (at, pages) = (Some(size), Some(PAGES));
    let Some(known) = sources(asker, &everything, 0..u64::MAX, at, prove, pages).await? else {
        return Ok(vec![UNTOLD.to_owned()]);
    };
    let mut heard = Vec::with_capacity(places.len());
    let mut lasts = BTreeSet::new();
    for place in places {
        let here = heard_at(asker, (size, prove), place, &known).await?;
        if let Heard::Some(_, silent) = &here {
            lasts.extend(silent.iter().take(NAMED).map(|(_, last)| *last));
        }
        heard.push(here);
    }
    let rows = asker.entries(lasts, at, prove).await?;
    let line = |(place, heard): (&Place<'_>, &Heard)| {
        let line = heard.line(known.len(), &rows);
        format!("{}{line}", place.name)
    };
    Ok(places.iter().zip(&heard).map(line).collect())
}

async fn heard_at(
    asker: &Asker,
    (size, prove): At,
    place: &Place<'_>,
    known: &BTreeMap<String, Tally>,
) -> Result<Heard, Failure> {
    let all = place.range.start == 0 && place.range.end >= size;
    if all && *place.filter.expression() == Expression::All {
        return Ok(Heard::Known(known.len()));
    }
    let (range, pages) = (place.range.clone(), Some(PAGES));
    let found = sources(asker, place.filter, range, Some(size), prove, pages).await?;
    let Some(found) = found else {
        return Ok(Heard::Untold);
    };
    let silent = known.iter().filter(|(name, _)| !found.contains_key(*name));
    let mut silent: Vec<(String, u64)> = silent
        .map(|(name, tally)| (name.clone(), tally.last))
        .collect();
    silent.sort_by_key(|(_, last)| std::cmp::Reverse(*last));
    Ok(Heard::Some(found.len(), silent))
}

impl Heard {
    /// In words, with when those that are named were last heard from.
    fn line(&self, known: usize, rows: &BTreeMap<u64, Row>) -> String {
        let (heard, silent) = match self {
            Self::Known(0) => return NO_SOURCE.to_owned(),
            Self::Known(1) => return "heard from 1 source".to_owned(),
            Self::Known(many) => return format!("heard from {many} sources"),
            Self::Untold => return UNTOLD.to_owned(),
            Self::Some(heard, silent) => (heard, silent),
        };
        let named = silent.iter().take(NAMED).map(|(source, last)| {
            let when = rows.get(last).map_or("", |row| row.recorded_at.as_str());
            format!("{} (last heard {when}, entry {last})", escape(source))
        });
        let mut names: Vec<String> = named.collect();
        if let more @ 1.. = silent.len() - names.len() {
            names.push(format!("{more} more"));
        }
        let whole = format!("heard from {heard} of {known} sources in this range");
        match names.join(", ") {
            names if names.is_empty() => whole,
            names => format!("{whole}; silent: {names}"),
        }
    }
}
