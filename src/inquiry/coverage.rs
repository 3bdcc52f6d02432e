//! Which sources were heard from: how long they were silent, what their counters leave out, where their clocks went back.
//!
//! Absence in a ledger is not absence in the world. A source that was switched off looks like one that had nothing to say;
//! what tells them apart is heartbeats, counters without holes, and somebody who knows which sources there should be.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use super::clusters::{Clusters, MAX_CLUSTERS};
use super::question::{Inquiry, Question};
use super::times::Span;
use crate::index::filter::{Expression, Filter, Operand, Test};
use crate::index::{Facts, Tally};

/// The most sources that are told apart.
pub const MAX_SOURCES: usize = 10_000;
/// The most silences, holes and steps of a source that are kept, of each.
pub const MAX_FINDINGS: usize = MAX_CLUSTERS;

/// What a source sends to say that it is there.
const HEARTBEAT: &str = "agent.heartbeat";
const SECOND: i64 = 1_000_000_000;
/// Records of a source without a counter can come in any order, so its clock went back only if it did by more.
const DISORDER: i64 = 60 * SECOND;
/// A counter that begins again does so at 0 or 1, and this far or farther below what it has reached.
const RESET: u64 = 64;

/// Which time is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Clock {
    /// When the ledger recorded it.
    #[default]
    Recorded,
    /// When it happened, as claimed.
    Occurred,
}

/// What to look at, and what to take for a silence. Times are nanoseconds.
#[derive(Debug, Clone)]
pub struct CoverageOptions {
    /// Which entries: those of the times asked about, and perhaps of some sources.
    pub filter: Filter,
    /// Which time silences are measured by.
    pub clock: Clock,
    /// A source that was not heard from for longer was silent.
    pub silence: i64,
    /// A record that came later than this after it happened is late.
    pub lag: i64,
}

/// Follows who was heard from, and when.
#[derive(Debug)]
pub struct Coverage {
    options: CoverageOptions,
    asked: bool,
    sources: BTreeMap<String, Source>,
    cut_off: bool,
}

/// What is known about one source so far.
#[derive(Debug)]
struct Source {
    entries: u64,
    heartbeats: u64,
    /// Seqs of the first and the last entry.
    first: u64,
    last: u64,
    heard: Clusters,
    counter: Counter,
    /// When the last record happened, as claimed.
    occurred: Option<i64>,
    steps: Vec<Step>,
    late: u64,
    largest_lag: Option<i64>,
}

/// A counter, from one beginning to the next.
#[derive(Debug)]
struct Counter {
    seen: Clusters,
    highest: Option<u64>,
    holes: Vec<(u64, u64)>,
    duplicates: u64,
    resets: Vec<u64>,
}

/// A clock that went back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The entry at which it had.
    pub seq: u64,
    /// The time of the entry before, in nanoseconds since 1970.
    pub from: i64,
    /// The earlier time of this one.
    pub to: i64,
}

/// What is to be said about a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceReport {
    /// Its name.
    pub source: String,
    /// Whether it was heard from.
    pub state: SourceState,
    /// Its entries, heartbeats too.
    pub entries: u64,
    /// Its heartbeats.
    pub heartbeats: u64,
    /// The seqs of its first and last entry, in the times asked about or, if it was silent, in the whole ledger.
    pub seqs: Option<(u64, u64)>,
    /// When it was first and last heard from in the times asked about, in nanoseconds since 1970.
    pub heard: Option<(i64, i64)>,
    /// When it was silent for too long, ascending.
    pub silences: Vec<Span>,
    /// What its counter leaves out: the first and the last number of each hole.
    pub holes: Vec<(u64, u64)>,
    /// How many records have a number that another had.
    pub duplicates: u64,
    /// The entries at which its counter began again.
    pub resets: Vec<u64>,
    /// Where its clock went back.
    pub steps: Vec<Step>,
    /// How many records came late.
    pub late: u64,
    /// The largest time from when something happened to when it was recorded, in nanoseconds; negative when it was
    /// recorded before it happened.
    pub largest_lag: Option<i64>,
}

/// Whether a source was heard from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceState {
    /// It was.
    Heard,
    /// Not in the times asked about, but at others.
    Silent,
    /// Never.
    Never,
}

/// Who else there should be, and from when to when.
#[derive(Debug, Clone, Default)]
pub struct Expected {
    /// Every source of the whole ledger, with its entries.
    pub known: BTreeMap<String, Tally>,
    /// Sources that there should be.
    pub inventory: BTreeSet<String>,
    /// The times asked about. Without a beginning a source is expected from when it was first heard from.
    pub span: Span,
}

impl Coverage {
    /// Looks at the entries of these options.
    pub fn new(options: CoverageOptions) -> Self {
        Self {
            options,
            asked: false,
            sources: BTreeMap::new(),
            cut_off: false,
        }
    }

    /// Whether there was more than is followed.
    pub fn is_cut_off(&self) -> bool {
        self.cut_off
    }

    /// What is to be said about every source, ascending by name.
    pub fn report(&self, expected: &Expected) -> Vec<SourceReport> {
        let heard = self.sources.iter().map(|(name, source)| {
            let known = expected.known.get(name);
            let known_before = known.is_some_and(|tally| tally.first < source.first);
            let span = Span {
                from: expected.span.from.filter(|_| known_before),
                ..expected.span
            };
            (
                name.clone(),
                source.report(name, span, self.options.silence),
            )
        });
        let mut reports: BTreeMap<String, SourceReport> = heard.collect();
        for (name, tally) in &expected.known {
            let silent = || SourceReport {
                seqs: Some((tally.first, tally.last)),
                ..SourceReport::of_nothing(name, SourceState::Silent, expected.span)
            };
            reports.entry(name.clone()).or_insert_with(silent);
        }
        for name in &expected.inventory {
            let never = || SourceReport::of_nothing(name, SourceState::Never, expected.span);
            reports.entry(name.clone()).or_insert_with(never);
        }
        reports.into_values().collect()
    }
}

impl Inquiry for Coverage {
    fn next(&mut self) -> Option<Question> {
        if std::mem::replace(&mut self.asked, true) {
            return None;
        }
        Some(Question {
            filter: self.options.filter.clone(),
            range: 0..u64::MAX,
            descending: false,
        })
    }

    fn take(&mut self, facts: &Facts) -> ControlFlow<()> {
        let name = &facts.context.source;
        if name.is_empty() {
            return ControlFlow::Continue(());
        }
        if self.sources.len() >= MAX_SOURCES && !self.sources.contains_key(name) {
            self.cut_off = true;
            return ControlFlow::Continue(());
        }
        let options = &self.options;
        let source = self
            .sources
            .entry(name.clone())
            .or_insert_with(|| Source::new(facts.header.seq, options.silence));
        self.cut_off |= !source.take(facts, options);
        ControlFlow::Continue(())
    }
}

impl Source {
    fn new(seq: u64, silence: i64) -> Self {
        Self {
            entries: 0,
            heartbeats: 0,
            first: seq,
            last: seq,
            heard: Clusters::new(i128::from(silence)),
            counter: Counter {
                seen: Clusters::new(1),
                highest: None,
                holes: Vec::new(),
                duplicates: 0,
                resets: Vec::new(),
            },
            occurred: None,
            steps: Vec::new(),
            late: 0,
            largest_lag: None,
        }
    }

    /// Whether there was room for what it says.
    fn take(&mut self, facts: &Facts, options: &CoverageOptions) -> bool {
        let seq = facts.header.seq;
        let recorded = i64::try_from(facts.header.recorded_at).unwrap_or(i64::MAX);
        let occurred = facts.context.occurred_at;
        self.entries += 1;
        self.heartbeats += u64::from(facts.what.action == HEARTBEAT);
        self.last = seq;
        let heard = match options.clock {
            Clock::Recorded => Some(recorded),
            Clock::Occurred => occurred,
        };
        let mut room = heard.is_none_or(|heard| self.heard.insert(i128::from(heard)));
        let number = facts.context.source_seq;
        let ahead = number.is_none_or(|number| {
            let (next, kept) = self.counter.take(seq, number);
            room &= kept;
            next
        });
        if let Some(occurred) = occurred {
            let lag = recorded.saturating_sub(occurred);
            self.late += u64::from(lag > options.lag);
            self.largest_lag = self.largest_lag.max(Some(lag));
            if ahead {
                self.step(seq, occurred, number.is_some());
            }
        }
        room && self.steps.len() < MAX_FINDINGS
    }

    /// Compares with the record before, when this is the next.
    fn step(&mut self, seq: u64, to: i64, counted: bool) {
        let allowed = if counted { SECOND } else { DISORDER };
        let before = self.occurred.replace(to);
        if let Some(from) = before.filter(|from| from.saturating_sub(to) > allowed)
            && self.steps.len() < MAX_FINDINGS
        {
            self.steps.push(Step { seq, from, to });
        }
    }

    fn report(&self, name: &str, span: Span, silence: i64) -> SourceReport {
        let time = |time: i128| i64::try_from(time).unwrap_or(i64::MAX);
        let heard = self
            .heard
            .ends()
            .map(|(first, last)| (time(first), time(last)));
        let mut silences = Vec::new();
        let mut add = |from: i64, to: i64| {
            if to.saturating_sub(from) > silence {
                let (from, to) = (Some(from), Some(to));
                silences.push(Span { from, to });
            }
        };
        if let (Some(from), Some((first, _))) = (span.from, heard) {
            add(from, first);
        }
        for (from, to) in self.heard.gaps() {
            add(time(from), time(to));
        }
        if let (Some(to), Some((_, last))) = (span.to, heard) {
            add(last, to);
        }
        SourceReport {
            source: name.to_owned(),
            state: SourceState::Heard,
            entries: self.entries,
            heartbeats: self.heartbeats,
            seqs: Some((self.first, self.last)),
            heard,
            silences,
            holes: self.counter.holes(),
            duplicates: self.counter.duplicates,
            resets: self.counter.resets.clone(),
            steps: self.steps.clone(),
            late: self.late,
            largest_lag: self.largest_lag,
        }
    }
}

impl Counter {
    /// Takes the next number. Whether it is beyond all others, so that its record is the next, and whether there was room.
    fn take(&mut self, seq: u64, number: u64) -> (bool, bool) {
        let highest = self.highest.unwrap_or(number);
        let known = self.seen.contains(i128::from(number));
        let far_below = highest.saturating_sub(number) >= RESET;
        if number <= 1 && highest > 1 && (known || far_below) {
            self.holes = self.holes();
            self.seen = Clusters::new(1);
            self.highest = None;
            if self.resets.len() < MAX_FINDINGS {
                self.resets.push(seq);
            }
        } else if known {
            self.duplicates += 1;
            return (false, true);
        }
        let room = self.seen.insert(i128::from(number)) && self.resets.len() < MAX_FINDINGS;
        let next = self.highest.is_none_or(|highest| number > highest);
        self.highest = self.highest.max(Some(number));
        (next, room)
    }

    fn holes(&self) -> Vec<(u64, u64)> {
        let number = |number: i128| u64::try_from(number).unwrap_or(u64::MAX);
        let open = self.seen.gaps();
        let open = open.map(|(last, first)| (number(last + 1), number(first - 1)));
        let all = self.holes.iter().copied().chain(open);
        all.take(MAX_FINDINGS).collect()
    }
}

impl SourceReport {
    fn of_nothing(source: &str, state: SourceState, span: Span) -> Self {
        Self {
            source: source.to_owned(),
            state,
            entries: 0,
            heartbeats: 0,
            seqs: None,
            heard: None,
            silences: vec![span],
            holes: Vec::new(),
            duplicates: 0,
            resets: Vec::new(),
            steps: Vec::new(),
            late: 0,
            largest_lag: None,
        }
    }

    /// Whether nothing is wrong with it.
    pub fn is_clean(&self) -> bool {
        self.state == SourceState::Heard
            && self.silences.is_empty()
            && self.holes.is_empty()
            && self.duplicates == 0
            && self.resets.is_empty()
            && self.steps.is_empty()
            && self.late == 0
    }
}

/// The times and seqs that a filter is about, whatever else it asks for; the filter of all entries if it is about all.
pub fn range_of(filter: &Filter) -> Filter {
    let mut bounds = Vec::new();
    collect(filter.expression(), &mut bounds);
    let all = match bounds.as_slice() {
        [] => Expression::All,
        [only] => only.clone(),
        _ => Expression::And(bounds),
    };
    // A part of a filter is no larger than the filter.
    Filter::new(all).unwrap_or_else(|_| filter.clone())
}

fn collect(expression: &Expression, bounds: &mut Vec<Expression>) {
    match expression {
        Expression::And(all) => {
            for inner in all {
                collect(inner, bounds);
            }
        }
        Expression::Test(Test {
            operand: Operand::Field(field),
            ..
        }) if ["recorded_at", "occurred_at", "seq"].contains(&field.name) => {
            bounds.push(expression.clone());
        }
        _ => {}
    }
}
