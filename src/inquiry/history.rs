//! The history of a target: every version, who made it, and where one is missing that nobody recorded.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use super::question::any;
use super::version::is_absent;
use super::{Act, Continuity, Inquiry, NameKind, Names, Question, continuity, literal};
use crate::entry::v1::{Target, Version, VersionState};
use crate::index::Facts;
use crate::index::filter::FilterError;

/// Names that are followed back, so that a circle of renames ends.
pub const MAX_HISTORY_NAMES: usize = 64;
/// The most changes of one history.
pub const MAX_CHANGES: usize = 100_000;

/// Acts that end or move a target even when they say no version.
const MOVES: [&str; 8] = [
    "file.delete",
    "file.rename",
    "checkpoint.delete",
    "checkpoint.rename",
    "dataset.delete",
    "image.delete",
    "model.delete",
    "object.delete",
];

/// Which acts give a target a version, or take it away.
pub(super) fn version_acts() -> String {
    let moves: Vec<String> = MOVES
        .iter()
        .map(|action| format!("action = {action}"))
        .collect();
    format!("(before:* OR after:* OR {})", moves.join(" OR "))
}

/// Finds the history of one target. See [`Inquiry`].
#[derive(Debug)]
pub struct History {
    target: String,
    linked: Names,
    follow: bool,
    /// The most changes.
    most: usize,
    /// Names still to ask about, each with the seq before which it was this target's.
    names: Vec<(String, u64)>,
    asked: BTreeSet<(String, u64)>,
    /// The name that is being asked about.
    current: Option<(String, u64)>,
    changes: BTreeMap<(u64, usize), Change>,
    full: bool,
    /// Names that were not followed.
    unfollowed: Vec<String>,
}

/// A change of the target.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// Who, when and why.
    pub act: Act,
    /// The target's name behind it.
    pub name: String,
    /// The name before, when the act renamed or copied it.
    pub previous_name: Option<String>,
    /// The act took the name away from what is asked about: it goes on under this other name.
    pub moved_to: Option<String>,
    /// The version before, if the record says.
    pub before: Option<Version>,
    /// The version after, if the record says.
    pub after: Option<Version>,
    /// The target's owner at the time; empty if it was not said.
    pub owner: String,
}

/// A row of a history.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// A change that was recorded.
    Change(Box<Change>),
    /// A change that nobody recorded.
    Gap(Gap),
    /// Whether anything is missing between two changes cannot be told.
    Unsure(Unsure),
}

/// Between two acts on a target it was changed, and nobody recorded it.
#[derive(Debug, Clone, PartialEq)]
pub struct Gap {
    /// The target's name.
    pub name: String,
    /// The last act before.
    pub earlier: Act,
    /// The version it left.
    pub left: Version,
    /// The first act after.
    pub later: Act,
    /// The version it found.
    pub found: Version,
    /// The entry that had left the version before that was found: it was put back.
    pub put_back: Option<u64>,
}

/// Between two acts on a target it cannot be told whether it was changed.
#[derive(Debug, Clone, PartialEq)]
pub struct Unsure {
    /// The target's name.
    pub name: String,
    /// The last act before.
    pub earlier: Act,
    /// The first act after.
    pub later: Act,
    /// Why.
    pub why: &'static str,
}

impl History {
    /// The history of `target`, under its earlier names too if `follow` says so.
    pub fn new(target: &str, follow: bool) -> Result<Self, FilterError> {
        let name = (target.to_owned(), u64::MAX);
        question(&name)?;
        Ok(Self {
            target: target.to_owned(),
            linked: Names::default(),
            follow,
            most: MAX_CHANGES,
            names: vec![name],
            asked: BTreeSet::new(),
            current: None,
            changes: BTreeMap::new(),
            full: false,
            unfollowed: Vec::new(),
        })
    }

    /// Takes what is recorded under names that meant the same at the time for the target's own.
    #[must_use]
    pub fn linked(mut self) -> Self {
        self.linked = Names::linked();
        self.linked.ask([(NameKind::Target, self.target.clone())]);
        self
    }

    /// Keeps at most so many changes; at most [`MAX_CHANGES`].
    #[must_use]
    pub fn with_most(self, most: usize) -> Self {
        let most = most.min(MAX_CHANGES);
        Self { most, ..self }
    }

    /// There are more changes than are kept; the last of them are missing.
    pub fn is_full(&self) -> bool {
        self.full
    }

    /// Earlier names that were not followed, since there are too many.
    pub fn unfollowed(&self) -> &[String] {
        &self.unfollowed
    }

    /// The changes in the order of the ledger, with the gaps between them.
    ///
    /// Records can come late, and clocks differ. So of the order of the ledger and that of time the one counts in which more
    /// versions continue the one before, and where they are equal that of time; and a gap is claimed only where in the
    /// other order, too, no act before left the version that was found.
    pub fn into_steps(self) -> Vec<Step> {
        let changes: Vec<&Change> = self.changes.values().collect();
        let mut in_time = changes.clone();
        in_time.sort_by_key(|change| (change.act.when(), change.act.seq));
        // A change under a name that meant the same is one of the target.
        let one = |name: &'_ str, act: &Act| {
            let same = self
                .linked
                .same(NameKind::Target, &self.target, name, act.when());
            if same {
                self.target.clone()
            } else {
                name.to_owned()
            }
        };
        let by_seq = predecessors(&changes, one);
        let by_time = predecessors(&in_time, one);
        let leavers = leavers(&in_time);
        // The order of a git history is that of its commits, whatever their authors' clocks said.
        let in_ledgers = changes.iter().any(|change| is_git(change))
            || breaks(&changes, &by_seq) < breaks(&changes, &by_time);
        let (base, other) = if in_ledgers {
            (&by_seq, &by_time)
        } else {
            (&by_time, &by_seq)
        };
        let mut steps = Vec::with_capacity(changes.len());
        for change in &changes {
            let key = (change.act.seq, change.name.as_str());
            if let Some(earlier) = base.get(&key)
                && other
                    .get(&key)
                    .is_none_or(|earlier| !continues(earlier, change))
            {
                steps.extend(between(earlier, change, &leavers));
            }
            steps.push(Step::Change(Box::new((*change).clone())));
        }
        steps
    }

    fn add(&mut self, change: Change, index: usize) {
        if self.changes.len() >= self.most {
            self.full = true;
        } else {
            self.changes.insert((change.act.seq, index), change);
        }
    }
}

/// For each change, by entry and name, the change before it of the same target.
type Predecessors<'a> = BTreeMap<(u64, &'a str), &'a Change>;

/// How many changes found another version than the one before them left.
fn breaks(changes: &[&Change], predecessors: &Predecessors<'_>) -> usize {
    let breaks = |change: &&&Change| {
        let earlier = predecessors.get(&(change.act.seq, change.name.as_str()));
        earlier.is_some_and(|earlier| !continues(earlier, change))
    };
    changes.iter().filter(breaks).count()
}

/// The predecessors when the changes come in this order.
fn predecessors<'a>(
    changes: &[&'a Change],
    one: impl Fn(&str, &Act) -> String,
) -> Predecessors<'a> {
    let mut found = BTreeMap::new();
    let mut last: BTreeMap<String, &Change> = BTreeMap::new();
    for change in changes {
        let origin = change.previous_name.as_deref().unwrap_or(&change.name);
        if let Some(earlier) = last.get(&one(origin, &change.act)) {
            found.insert((change.act.seq, change.name.as_str()), *earlier);
        }
        last.insert(one(&change.name, &change.act), change);
        if let Some(previous) = &change.previous_name
            && !is_copy(&change.act)
        {
            // From here on there is nothing under the old name.
            last.remove(&one(previous, &change.act));
        }
    }
    found
}

/// The version that a change left under its name.
fn left(change: &Change) -> Option<Version> {
    match change.moved_to {
        // What was moved away is not there any more.
        Some(_) => Some(Version {
            state: VersionState::Absent.into(),
            ..Version::default()
        }),
        None => change.after.clone(),
    }
}

fn continues(earlier: &Change, later: &Change) -> bool {
    match (left(earlier), &later.before) {
        (Some(left), Some(found)) => continuity(&left, found) == Continuity::Same,
        _ => false,
    }
}

/// When each version was left, in nanoseconds since 1970, and by which entry, ascending.
type Leavers<'a> = BTreeMap<&'a str, Vec<(i64, u64)>>;

fn leavers<'a>(in_time: &[&'a Change]) -> Leavers<'a> {
    let mut leavers = Leavers::new();
    for change in in_time {
        for id in change.after.iter().flat_map(|version| &version.ids) {
            let acts = leavers.entry(id.as_str()).or_default();
            acts.push((change.act.when(), change.act.seq));
        }
    }
    leavers
}

/// The row between two changes, if there is one.
fn between(earlier: &Change, later: &Change, leavers: &Leavers<'_>) -> Option<Step> {
    let left = left(earlier)?;
    let found = later.before.as_ref()?;
    let name = later.name.clone();
    match continuity(&left, found) {
        Continuity::Same => None,
        Continuity::Unknown(why) => Some(Step::Unsure(Unsure {
            name,
            earlier: earlier.act.clone(),
            later: later.act.clone(),
            why,
        })),
        Continuity::Other => {
            let acts = found.ids.iter().find_map(|id| leavers.get(id.as_str()));
            // Branches of a git history begin at versions that others have left behind, or at nothing.
            if is_git(later) && (acts.is_some() || is_absent(found)) {
                return None;
            }
            let own = (later.act.when(), later.act.seq);
            let before = acts.map_or(&[][..], |acts| {
                acts.get(..acts.partition_point(|act| *act < own))
                    .unwrap_or_default()
            });
            Some(Step::Gap(Gap {
                name,
                earlier: earlier.act.clone(),
                left,
                later: later.act.clone(),
                found: found.clone(),
                put_back: before.last().map(|(_, seq)| *seq),
            }))
        }
    }
}

fn is_git(change: &Change) -> bool {
    change.name.starts_with("git://")
}

pub(super) fn is_copy(act: &Act) -> bool {
    act.action.rsplit('.').next() == Some("copy")
}

fn question((name, before): &(String, u64)) -> Result<Question, FilterError> {
    let name = literal(name);
    let named = any(&[
        format!("target = {name}"),
        format!("previous_target = {name}"),
    ]);
    let question = Question::new(&format!("{named} AND {}", version_acts()))?;
    Ok(Question {
        range: 0..*before,
        ..question
    })
}

impl Inquiry for History {
    fn names(&self) -> Option<&Names> {
        Some(&self.linked)
    }

    fn next(&mut self) -> Option<Question> {
        if let Some(question) = self.linked.next() {
            return Some(question);
        }
        loop {
            let name = self.names.pop()?;
            if self.full || !self.asked.insert(name.clone()) {
                continue;
            }
            // A name too long to ask about is not followed either.
            let question = question(&name)
                .and_then(|question| self.linked.expand(question))
                .ok();
            match question.filter(|_| self.asked.len() <= MAX_HISTORY_NAMES) {
                Some(question) => {
                    self.current = Some(name);
                    return Some(question);
                }
                None => self.unfollowed.push(name.0),
            }
        }
    }

    fn take(&mut self, facts: &Facts) -> ControlFlow<()> {
        if self.linked.is_asking() {
            return self.linked.take(facts);
        }
        let Some((name, _)) = self.current.clone() else {
            return ControlFlow::Break(());
        };
        let act = Act::new(facts);
        for (index, target) in facts.what.targets.iter().enumerate() {
            let renamed = !target.previous_uri.is_empty();
            let same = |other: &str| {
                let when = act.when();
                self.linked.same(NameKind::Target, &name, other, when)
            };
            let (is, was) = (same(&target.uri), same(&target.previous_uri));
            if is {
                let change = change_of(&act, target);
                self.add(change, index);
                if renamed && self.follow {
                    self.names.push((target.previous_uri.clone(), act.seq));
                }
            } else if was && !is_copy(&act) {
                let change = Change {
                    moved_to: Some(target.uri.clone()),
                    name: target.previous_uri.clone(),
                    previous_name: None,
                    ..change_of(&act, target)
                };
                // The same act under its new name says more.
                if !self.changes.contains_key(&(act.seq, index)) {
                    self.add(change, index);
                }
            }
        }
        if self.full {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }
}

/// What an act did to a target.
pub(super) fn change_of(act: &Act, target: &Target) -> Change {
    let previous = Some(&target.previous_uri).filter(|name| !name.is_empty());
    Change {
        act: act.clone(),
        name: target.uri.clone(),
        previous_name: previous.cloned(),
        moved_to: None,
        before: target.before.clone(),
        after: target.after.clone(),
        owner: target.owner.clone(),
    }
}
