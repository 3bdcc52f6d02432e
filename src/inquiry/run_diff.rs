//! What differs under two runs, and who changed it between them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::ControlFlow;

use super::question::{any, beginning, within};
use super::reach::{changes_of, writers_of};
use super::run::{Input, RunRecord};
use super::{Act, Change, Inquiry, NameKind, Names, Question, literal};
use crate::index::Facts;
use crate::index::filter::FilterError;

/// The most entries of one answer.
const MAX_ENTRIES: usize = 2_000;
/// The most changes that are listed of one difference or path; they come newest first.
const MAX_LISTED: usize = 50;
/// The most differences and shared paths that are asked about.
const MAX_ASKED: usize = 300;

/// Compares two runs. See [`Inquiry`].
#[derive(Debug)]
pub struct RunDiff {
    runs: [RunRecord; 2],
    differences: Vec<Difference>,
    shared: Vec<Shared>,
    linked: Names,
    stage: Stage,
    waiting: VecDeque<(Question, Asking)>,
    current: Option<Asking>,
    taken: usize,
    cuts: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Runs,
    Names,
    Changes,
    People,
    Done,
}

#[derive(Debug, Clone, Copy)]
enum Asking {
    /// One of the two runs.
    Run(usize),
    /// Who changed what differs.
    Difference(usize),
    /// What changed in a shared path.
    Shared(usize),
}

/// What a difference is about. In the order of a listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Aspect {
    /// Something that was read.
    Input,
    /// The repository, commit, path or state of the code.
    Code,
    /// The container image.
    Image,
    /// A label, or what else is known of the environment.
    Environment,
    /// The number of GPUs.
    Gpus,
    /// The nodes.
    Nodes,
    /// The job.
    Job,
}

impl Aspect {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Code => "code",
            Self::Image => "image",
            Self::Environment => "environment",
            Self::Gpus => "gpus",
            Self::Nodes => "nodes",
            Self::Job => "job",
        }
    }
}

/// Something that differs.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// What it is about.
    pub aspect: Aspect,
    /// What it is called: a target's name, or that of a setting.
    pub name: String,
    /// What an input was used as; can be empty.
    pub role: String,
    /// What the first run had; none if it had none.
    pub first: Option<Had>,
    /// What the second run had; none if it had none.
    pub second: Option<Had>,
    /// Who changed it between the two runs: writers first, the newest first.
    pub changes: Vec<Change>,
    /// The target that was asked about, and whether what lies below it is meant too.
    target: Option<(String, bool)>,
    /// The time between the two runs.
    window: (i64, i64),
}

impl Difference {
    /// Whether it was asked who changed it.
    pub fn was_asked(&self) -> bool {
        self.target.is_some()
    }
}

/// What a run had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Had {
    /// A version or a value; empty when it was not said which.
    pub value: String,
    /// The entry that says so.
    pub seq: u64,
}

/// A path that both runs used, and what changed there between them.
#[derive(Debug, Clone, PartialEq)]
pub struct Shared {
    /// The path.
    pub path: String,
    /// Both read it and the versions were not recorded; otherwise both read from below it.
    pub is_read: bool,
    /// What was changed there between the two runs, the newest first.
    pub changes: Vec<Change>,
    window: (i64, i64),
}

impl RunDiff {
    /// Compares the runs `first` and `second`.
    pub fn new(first: &str, second: &str) -> Result<Self, FilterError> {
        let mut waiting = VecDeque::new();
        for (index, id) in [first, second].into_iter().enumerate() {
            let question = Question::new(&format!("run = {}", literal(id)))?;
            waiting.push_back((question, Asking::Run(index)));
        }
        Ok(Self {
            runs: [RunRecord::new(first), RunRecord::new(second)],
            differences: Vec::new(),
            shared: Vec::new(),
            linked: Names::default(),
            stage: Stage::Runs,
            waiting,
            current: None,
            taken: 0,
            cuts: Vec::new(),
        })
    }

    /// Takes names that meant the same at the time of an entry for one: those of what differs, and of who changed it.
    #[must_use]
    pub fn linked(mut self) -> Self {
        self.linked = Names::linked();
        self
    }

    /// What was recorded of the two runs.
    pub fn runs(&self) -> &[RunRecord; 2] {
        &self.runs
    }

    /// What was not looked at, in words.
    pub fn cuts(&self) -> &[String] {
        &self.cuts
    }

    /// What differs, and what changed in paths that both used.
    pub fn into_parts(mut self) -> (Vec<Difference>, Vec<Shared>) {
        for difference in &mut self.differences {
            order(&mut difference.changes);
        }
        // What is said of a difference is not said again.
        let mut said: BTreeSet<(u64, String)> = self
            .differences
            .iter()
            .flat_map(|difference| &difference.changes)
            .map(|change| (change.act.seq, change.name.clone()))
            .collect();
        self.shared
            .sort_by_key(|shared| (!shared.is_read, shared.path.clone()));
        for shared in &mut self.shared {
            order(&mut shared.changes);
            let new = |change: &Change| said.insert((change.act.seq, change.name.clone()));
            shared.changes.retain(new);
        }
        self.shared.retain(|shared| !shared.changes.is_empty());
        (self.differences, self.shared)
    }

    /// The runs are known: what differs, and what is to be asked about it.
    fn compare(&mut self) {
        let [first, second] = &self.runs;
        if !first.found() || !second.found() {
            return;
        }
        let mut differences = input_differences(first, second);
        differences.extend(code_differences(first, second));
        differences.extend(value_differences(first, second));
        differences.sort_by(|a, b| (a.aspect, &a.role, &a.name).cmp(&(b.aspect, &b.role, &b.name)));
        self.shared = shared_paths(first, second);
        self.differences = differences;
    }

    /// Asks who changed what differs.
    fn ask_changes(&mut self) {
        let differences = self
            .differences
            .iter()
            .enumerate()
            .filter_map(|(index, difference)| {
                let (uri, below) = difference.target.as_ref()?;
                Some((
                    writers_of(uri, *below),
                    difference.window,
                    Asking::Difference(index),
                ))
            });
        let shared = self.shared.iter().enumerate().map(|(index, shared)| {
            let filter = if shared.is_read {
                writers_of(&shared.path, true)
            } else {
                let below = beginning(&format!("{}/", shared.path));
                let named = any(&[
                    format!("target = {below}"),
                    format!("previous_target = {below}"),
                ]);
                format!("({named} AND {})", super::history::version_acts())
            };
            (filter, shared.window, Asking::Shared(index))
        });
        let asked: Vec<_> = differences.chain(shared).collect();
        if asked.len() > MAX_ASKED {
            let cut = format!(
                "only {MAX_ASKED} of {} differences and shared paths were looked into",
                asked.len()
            );
            self.cuts.push(cut);
        }
        for (filter, (from, to), asking) in asked.into_iter().take(MAX_ASKED) {
            let question = Question::new(&format!("{filter} AND {}", within(from, to)));
            match question.and_then(|question| self.linked.expand(question)) {
                Ok(question) => {
                    let question = Question {
                        descending: true,
                        ..question
                    };
                    self.waiting.push_back((question, asking));
                }
                Err(_) => self.cuts.push("a name is too long to ask about".to_owned()),
            }
        }
    }

    fn take_change(&mut self, asking: Asking, facts: &Facts) -> bool {
        let (changes, uri, window) = match asking {
            Asking::Run(_) => return false,
            Asking::Difference(index) => match self.differences.get_mut(index) {
                Some(Difference {
                    changes,
                    target: Some((uri, _)),
                    window,
                    ..
                }) => (changes, uri.clone(), *window),
                _ => return true,
            },
            Asking::Shared(index) => match self.shared.get_mut(index) {
                Some(shared) => (&mut shared.changes, shared.path.clone(), shared.window),
                None => return true,
            },
        };
        let inside = |change: &Change| (window.0..=window.1).contains(&change.act.when());
        let found = changes_of(facts, &uri, &self.linked);
        changes.extend(found.into_iter().filter(inside));
        changes.len() >= MAX_LISTED
    }
}

impl RunDiff {
    /// Asks what else the targets mean that are asked about.
    fn ask_targets(&mut self) {
        let differences = self.differences.iter();
        let targets = differences.filter_map(|difference| Some(&difference.target.as_ref()?.0));
        let read = self.shared.iter().filter(|shared| shared.is_read);
        let names = targets.chain(read.map(|shared| &shared.path));
        let names = names.take(MAX_ASKED).cloned();
        let names: Vec<_> = names.map(|name| (NameKind::Target, name)).collect();
        self.linked.ask(names);
    }

    /// Every change that was found.
    fn changes(&mut self) -> impl Iterator<Item = &mut Change> {
        let differences = self.differences.iter_mut();
        let shared = self.shared.iter_mut().map(|shared| &mut shared.changes);
        differences
            .map(|difference| &mut difference.changes)
            .chain(shared)
            .flatten()
    }

    /// Asks who else the owners are of what others changed.
    fn ask_people(&mut self) {
        let owners: BTreeSet<String> = self
            .changes()
            .filter(|change| change.act.foreign && !change.owner.is_empty())
            .map(|change| change.owner.clone())
            .collect();
        let owners = owners.into_iter().map(|name| (NameKind::Identity, name));
        self.linked.ask(owners);
    }

    /// What somebody changed of their own is not another's, whatever name it is theirs under.
    fn settle(&mut self) {
        let linked = std::mem::take(&mut self.linked);
        for change in self.changes().filter(|change| change.act.foreign) {
            let (owner, when) = (change.owner.as_str(), change.act.when());
            let actor = change.act.actor.said().unwrap_or_default();
            let said = !owner.is_empty() && !actor.is_empty();
            let same = said && linked.same(NameKind::Identity, owner, actor, when);
            change.act.foreign = !same;
        }
        self.linked = linked;
    }
}

impl Inquiry for RunDiff {
    fn names(&self) -> Option<&Names> {
        Some(&self.linked)
    }

    fn next(&mut self) -> Option<Question> {
        loop {
            if let Some(question) = self.linked.next() {
                return Some(question);
            }
            if let Some((question, asking)) = self.waiting.pop_front() {
                self.taken = 0;
                self.current = Some(asking);
                return Some(question);
            }
            match self.stage {
                Stage::Runs => {
                    self.compare();
                    self.ask_targets();
                    self.stage = Stage::Names;
                }
                Stage::Names => {
                    self.ask_changes();
                    self.stage = Stage::Changes;
                }
                Stage::Changes => {
                    self.ask_people();
                    self.stage = Stage::People;
                }
                Stage::People => {
                    self.settle();
                    self.stage = Stage::Done;
                }
                Stage::Done => {
                    self.stage = Stage::Done;
                    return None;
                }
            }
        }
    }

    fn take(&mut self, facts: &Facts) -> ControlFlow<()> {
        if self.linked.is_asking() {
            return self.linked.take(facts);
        }
        let Some(asking) = self.current else {
            return ControlFlow::Break(());
        };
        self.taken += 1;
        let full = match asking {
            Asking::Run(index) => {
                if let Some(run) = self.runs.get_mut(index) {
                    run.take(facts);
                }
                self.taken >= MAX_ENTRIES
            }
            asking => self.take_change(asking, facts) || self.taken >= MAX_ENTRIES,
        };
        if !full {
            return ControlFlow::Continue(());
        }
        self.cuts.push(match asking {
            Asking::Run(index) => {
                let id = self.runs.get(index).map(|run| run.id.as_str());
                format!(
                    "only {MAX_ENTRIES} entries of run {} were looked at",
                    id.unwrap_or_default()
                )
            }
            Asking::Difference(index) => {
                let name = self
                    .differences
                    .get(index)
                    .map(|difference| difference.name.as_str());
                format!(
                    "only the last {MAX_LISTED} changes of {} are listed",
                    name.unwrap_or_default()
                )
            }
            Asking::Shared(index) => {
                let path = self.shared.get(index).map(|shared| shared.path.as_str());
                format!(
                    "only the last {MAX_LISTED} changes below {} are listed",
                    path.unwrap_or_default()
                )
            }
        });
        ControlFlow::Break(())
    }
}

/// Writers first, the newest first.
fn order(changes: &mut [Change]) {
    changes.sort_by_key(|change| {
        let writes = change.before.is_some() || change.after.is_some();
        (
            !writes,
            std::cmp::Reverse((change.act.when(), change.act.seq)),
        )
    });
}

/// The time between two acts.
fn between(a: &Act, b: &Act) -> (i64, i64) {
    (a.when().min(b.when()), a.when().max(b.when()))
}

/// The time between two runs.
fn between_runs(first: &RunRecord, second: &RunRecord) -> (i64, i64) {
    match (&first.first, &second.first) {
        (Some(a), Some(b)) => between(a, b),
        _ => (0, 0),
    }
}

fn had(input: &Input) -> Had {
    Had {
        value: input.ids.join(" "),
        seq: input.act.seq,
    }
}

/// By role and name; what is left over of a role is paired when it is one in each.
fn input_differences(first: &RunRecord, second: &RunRecord) -> Vec<Difference> {
    let mut found = Vec::new();
    let mut only: BTreeMap<&str, [Vec<&Input>; 2]> = BTreeMap::new();
    for (key, a) in &first.inputs {
        match second.inputs.get(key) {
            Some(b) if a.ids.is_empty() || b.ids.is_empty() => {}
            Some(b) if a.ids.iter().any(|id| b.ids.contains(id)) => {}
            Some(b) => found.push(input_difference(Some(a), Some(b), between(&a.act, &b.act))),
            None => only.entry(&a.role).or_default()[0].push(a),
        }
    }
    for (key, b) in &second.inputs {
        if !first.inputs.contains_key(key) {
            only.entry(&b.role).or_default()[1].push(b);
        }
    }
    for (role, [left, right]) in only {
        match (left.as_slice(), right.as_slice()) {
            ([a], [b]) if !role.is_empty() => {
                // The same content under another name is the same.
                if !a.ids.iter().any(|id| b.ids.contains(id)) {
                    found.push(input_difference(Some(a), Some(b), between(&a.act, &b.act)));
                }
            }
            (left, right) => {
                let window = between_runs(first, second);
                found.extend(left.iter().map(|a| input_difference(Some(a), None, window)));
                found.extend(
                    right
                        .iter()
                        .map(|b| input_difference(None, Some(b), window)),
                );
            }
        }
    }
    found
}

fn input_difference(a: Option<&Input>, b: Option<&Input>, window: (i64, i64)) -> Difference {
    let names = [a, b].map(|input| input.map(|input| input.uri.as_str()));
    let name = match names {
        [Some(a), Some(b)] if a != b => format!("{a} → {b}"),
        [Some(name), _] | [None, Some(name)] => name.to_owned(),
        [None, None] => String::new(),
    };
    let any = b.or(a);
    Difference {
        aspect: Aspect::Input,
        name,
        role: any.map(|input| input.role.clone()).unwrap_or_default(),
        first: a.map(had),
        second: b.map(had),
        changes: Vec::new(),
        target: any.map(|input| (input.uri.clone(), input.ids.is_empty())),
        window,
    }
}

fn value_difference(
    aspect: Aspect,
    name: &str,
    first: (&str, u64),
    second: (&str, u64),
) -> Option<Difference> {
    let had = |(value, seq): (&str, u64)| {
        let value = value.to_owned();
        (!value.is_empty()).then_some(Had { value, seq })
    };
    (first.0 != second.0).then(|| Difference {
        aspect,
        name: name.to_owned(),
        role: String::new(),
        first: had(first),
        second: had(second),
        changes: Vec::new(),
        target: None,
        window: (0, 0),
    })
}

fn code_differences(first: &RunRecord, second: &RunRecord) -> Vec<Difference> {
    let (a, b) = (&first.code, &second.code);
    let code = |code: &Option<(crate::entry::v1::Code, Act)>| {
        code.as_ref()
            .map_or_else(Default::default, |(code, act)| (code.clone(), act.seq))
    };
    let window = match (a, b) {
        (Some((_, a)), Some((_, b))) => between(a, b),
        _ => between_runs(first, second),
    };
    let ((a, a_seq), (b, b_seq)) = (code(a), code(b));
    let dirty = |dirty: bool| if dirty { "dirty" } else { "" };
    let rows = [
        (Aspect::Code, "repository", &a.repository, &b.repository),
        (Aspect::Code, "commit", &a.commit, &b.commit),
        (Aspect::Code, "path", &a.path, &b.path),
        (
            Aspect::Code,
            "working tree",
            &dirty(a.dirty).to_owned(),
            &dirty(b.dirty).to_owned(),
        ),
        (Aspect::Image, "image", &a.image, &b.image),
    ];
    let mut found: Vec<Difference> = rows
        .into_iter()
        .filter_map(|(aspect, name, a, b)| {
            value_difference(aspect, name, (a.as_str(), a_seq), (b.as_str(), b_seq))
        })
        .collect();
    for difference in &mut found {
        difference.window = window;
        difference.target = match difference.name.as_str() {
            // The repository's references, and its files.
            "commit" => Some((b.repository.clone(), true)),
            "image" => b
                .image
                .split('@')
                .next()
                .map(|image| (image.to_owned(), false)),
            _ => None,
        };
        difference.target = difference.target.take().filter(|(uri, _)| !uri.is_empty());
    }
    found
}

fn value_differences(first: &RunRecord, second: &RunRecord) -> Vec<Difference> {
    let seq = |run: &RunRecord| run.first.as_ref().map_or(0, |act| act.seq);
    let (a_seq, b_seq) = (seq(first), seq(second));
    let mut found = Vec::new();
    let names: BTreeSet<&String> = first
        .environment
        .keys()
        .chain(second.environment.keys())
        .collect();
    for name in names {
        let value = |run: &RunRecord| run.environment.get(name).cloned().unwrap_or_default();
        let (a, b) = (value(first), value(second));
        found.extend(value_difference(
            Aspect::Environment,
            name,
            (a.as_str(), a_seq),
            (b.as_str(), b_seq),
        ));
    }
    let gpus = |run: &RunRecord| run.gpus.map(|gpus| gpus.to_string()).unwrap_or_default();
    let nodes = |run: &RunRecord| run.nodes.iter().cloned().collect::<Vec<_>>().join(" ");
    let rows = [
        (Aspect::Gpus, "gpus", gpus(first), gpus(second)),
        (Aspect::Nodes, "nodes", nodes(first), nodes(second)),
        (Aspect::Job, "job", first.job.clone(), second.job.clone()),
        (
            Aspect::Job,
            "namespace",
            first.namespace.clone(),
            second.namespace.clone(),
        ),
    ];
    found.extend(rows.into_iter().filter_map(|(aspect, name, a, b)| {
        value_difference(aspect, name, (a.as_str(), a_seq), (b.as_str(), b_seq))
    }));
    found
}

/// What both read without saying which version, and the directories of what both read.
fn shared_paths(first: &RunRecord, second: &RunRecord) -> Vec<Shared> {
    let mut paths: BTreeMap<String, (bool, (i64, i64))> = BTreeMap::new();
    let mut add = |path: &str, is_read: bool, window: (i64, i64)| {
        let known = paths.entry(path.to_owned()).or_insert((is_read, window));
        known.0 |= is_read;
        known.1 = (known.1.0.min(window.0), known.1.1.max(window.1));
    };
    let inputs = |run: &RunRecord| -> BTreeMap<String, Input> {
        let inputs = run.inputs.values();
        inputs
            .map(|input| (input.uri.clone(), input.clone()))
            .collect()
    };
    let (a, b) = (inputs(first), inputs(second));
    for (uri, a) in &a {
        let Some(b) = b.get(uri) else { continue };
        let window = between(&a.act, &b.act);
        if a.ids.is_empty() || b.ids.is_empty() {
            add(uri, true, window);
        }
        if let Some(directory) = directory(uri) {
            add(directory, false, window);
        }
    }
    // An image by its name says as little as a path does.
    if let (Some((a, a_act)), Some((b, b_act))) = (&first.code, &second.code)
        && a.image == b.image
        && !a.image.is_empty()
        && !a.image.contains('@')
    {
        add(&a.image, true, between(a_act, b_act));
    }
    let shared = paths.into_iter().map(|(path, (is_read, window))| Shared {
        path,
        is_read,
        changes: Vec::new(),
        window,
    });
    shared.collect()
}

/// The directory that a file lies in, unless that is all of its file system.
fn directory(uri: &str) -> Option<&str> {
    let (_, rest) = uri.split_once("://")?;
    let (directory, _) = uri.rsplit_once('/')?;
    // The host or file system, at least one directory, and the file.
    (rest.matches('/').count() >= 2 && !directory.ends_with('/')).then_some(directory)
}
