//! What a timeline is about, in a few lines on standard error.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal};

use jiff::Timestamp;

use super::answer::{Asker, entries, thousands};
use super::arguments::Global;
use super::count::CountAsk;
use super::failure::Failure;
use super::render::{escape, sparkline, to_second};
use crate::entry::json::Row;
use crate::index::{Counts, GroupBy};

/// Values of a field that are named.
const NAMED: usize = 3;
const HOUR: i64 = 3_600;

/// How many entries there are of which kind, and when.
#[derive(Debug, Default)]
pub(super) struct Summary {
    /// The earliest and the latest of the entries that are shown.
    shown: Option<(Moment, Moment)>,
    /// When the first and the last of all entries were recorded, where not all are shown. They are recorded in their order.
    recorded: Option<(String, String)>,
    /// By field; a field that would take long to count is missing.
    fields: BTreeMap<&'static str, BTreeMap<String, u64>>,
    /// By the hour since 1970.
    hours: BTreeMap<i64, u64>,
    /// Entries that do not say when they occurred, and are in no hour.
    untimed: u64,
}

/// When an entry occurred as claimed, or else was recorded.
#[derive(Debug, Clone, Copy)]
struct Moment {
    at: Timestamp,
    recorded: bool,
}

impl Moment {
    fn of(row: &Row) -> Option<Self> {
        let recorded = row.occurred_at.is_none();
        let time = row.occurred_at.as_ref().unwrap_or(&row.recorded_at);
        let at = time.parse().ok()?;
        Some(Self { at, recorded })
    }

    /// With the mark that the time has in the table.
    fn text(self) -> String {
        let mark = if self.recorded { "*" } else { "" };
        format!("{}{mark}", self.at)
    }
}

/// In this order.
const FIELDS: [&str; 3] = ["action", "actor", "target"];

impl Summary {
    /// Takes an entry that is shown.
    pub(super) fn add(&mut self, row: &Row) {
        if let Some(moment) = Moment::of(row) {
            let (first, last) = self.shown.get_or_insert((moment, moment));
            if moment.at < first.at {
                *first = moment;
            }
            if moment.at > last.at {
                *last = moment;
            }
        }
        match row.occurred_at.as_deref().and_then(hour_of) {
            Some(hour) => *self.hours.entry(hour).or_default() += 1,
            None => self.untimed += 1,
        }
        let mut count = |field, value: &str| {
            let values = self.fields.entry(field).or_default();
            *values.entry(value.to_owned()).or_default() += 1;
        };
        if let Some(action) = row.action() {
            count("action", action);
        }
        if let Some(actor) = row.actor() {
            count("actor", actor);
        }
        let targets = row.targets().unwrap_or_default();
        let mut uris: Vec<&str> = targets.iter().map(|target| target.uri.as_str()).collect();
        uris.sort_unstable();
        uris.dedup();
        for uri in uris {
            count("target", uri);
        }
    }

    /// Counts all entries of a question, of which `total` are known.
    pub(super) async fn of_all(
        asker: &Asker,
        ask: &CountAsk,
        total: &Counts,
    ) -> Result<Self, Failure> {
        let mut summary = Self::default();
        let ends = [total.total.first, total.total.last];
        let ends = asker.entries(ends, ask.size, ask.prove).await?;
        let recorded = |row: &Row| row.recorded_at.clone();
        let [first, last] =
            [ends.values().next(), ends.values().next_back()].map(|row| row.map(recorded));
        summary.recorded = first.zip(last);
        for field in FIELDS.into_iter().chain(["occurred_at"]) {
            let Ok(group) = GroupBy::parse(field) else {
                continue;
            };
            let ask = CountAsk {
                group_by: Some(group),
                ..ask.clone()
            };
            let Some(counted) = asker.count(&ask).await? else {
                continue;
            };
            let groups = counted.counts.groups.iter();
            let groups = groups.map(|(term, tally)| (group.value(term), tally.count));
            if field == "occurred_at" {
                summary.untimed = counted.counts.absent;
                let hours = groups.filter_map(|(time, count)| Some((hour_of(&time)?, count)));
                summary.hours = hours.collect();
            } else {
                summary.fields.insert(field, groups.collect());
            }
        }
        Ok(summary)
    }

    /// Says when the entries were.
    fn say_times(&self, global: &Global) {
        if let Some((first, last)) = &self.shown {
            global.say(&format!("from      {}", first.text()));
            global.say(&format!("to        {}", last.text()));
        }
        let Some((first, last)) = &self.recorded else {
            return;
        };
        // Entries are not in the order in which they occurred: the first and the last do not say from when to when that was.
        let hours = (self.hours.keys().next(), self.hours.keys().next_back());
        if let (Some(first), Some(last)) = hours
            && let (Some(first), Some(end)) = (begin_of(*first), begin_of(last.saturating_add(1)))
        {
            global.say(&format!("occurred  from {first} to before {end}"));
        }
        global.say(&format!(
            "recorded  from {} to {}",
            to_second(first),
            to_second(last)
        ));
    }

    /// Says it on standard error.
    pub(super) fn say(&self, global: &Global) {
        self.say_times(global);
        if io::stderr().is_terminal()
            && let Some((line, by)) = sparkline(&self.hours)
        {
            let untimed = match self.untimed {
                0 => String::new(),
                untimed => format!(", {} without a time", entries(untimed)),
            };
            global.say(&format!("when      {line} {by}{untimed}"));
        }
        for field in FIELDS {
            let Some(values) = self.fields.get(field).filter(|values| !values.is_empty()) else {
                continue;
            };
            let mut most: Vec<(&String, &u64)> = values.iter().collect();
            most.sort_by_key(|(value, count)| (std::cmp::Reverse(**count), *value));
            let named = most.iter().take(NAMED);
            let mut named: Vec<String> = named
                .map(|(value, count)| format!("{} {}", escape(value), thousands(**count)))
                .collect();
            if let Some(rest @ 1..) = most.len().checked_sub(NAMED) {
                named.push(format!("{} more", thousands(rest as u64)));
            }
            global.say(&format!("{:<9} {}", format!("{field}s"), named.join(", ")));
        }
    }
}

/// When an hour since 1970 begins.
fn begin_of(hour: i64) -> Option<Timestamp> {
    Timestamp::from_second(hour.checked_mul(HOUR)?).ok()
}

/// The hour since 1970 that a time lies in.
fn hour_of(time: &str) -> Option<i64> {
    let time: Timestamp = time.parse().ok()?;
    Some(time.as_second().div_euclid(HOUR))
}
