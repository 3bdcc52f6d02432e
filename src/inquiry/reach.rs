//! What could have reached a run: those who wrote what it read, who acted on its jobs, and who was where it ran.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::ControlFlow;

use super::history::{change_of, version_acts};
use super::question::{any, beginning, within};
use super::run::{Input, RunRecord, is_interference};
use super::{Act, Change, Inquiry, NameKind, Names, Question, literal};
use crate::index::Facts;
use crate::index::filter::FilterError;

/// The most entries of one answer.
const MAX_ENTRIES: usize = 2_000;
/// The most writers of a target that are looked at; they come newest first.
const MAX_WRITERS: usize = 200;
/// Writers of a target that are listed, and again so many that are foreign.
const LISTED_WRITERS: usize = 3;
/// The most inputs whose writers are asked for.
const MAX_ASKED_INPUTS: usize = 300;
/// The most names of hosts, sessions or jobs in one question.
const MAX_NAMES: usize = 64;

/// Finds what could have reached a run. See [`Inquiry`].
#[derive(Debug)]
pub struct Reach {
    run: RunRecord,
    linked: Names,
    stage: Stage,
    waiting: VecDeque<(Question, Asking)>,
    current: Option<Asking>,
    taken: usize,
    reasons: Vec<Reason>,
    listed: BTreeSet<(u64, ReasonKind)>,
    cuts: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Run,
    Jobs,
    Names,
    Around,
    Done,
}

#[derive(Debug)]
enum Asking {
    Run,
    /// A job of which no entry names the run.
    Job,
    OnJobs,
    Writers {
        kind: ReasonKind,
        read: Box<Input>,
        changes: Vec<Change>,
    },
    Around,
}

/// Why an entry is listed. In the order of a listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ReasonKind {
    /// The run's job was cancelled, or a process of it was sent a signal.
    Kill,
    /// The run read a version that no entry says anybody wrote.
    Unrecorded,
    /// Wrote what the run read, before it did.
    Input,
    /// Moved or changed the code that ran, before it did.
    Code,
    /// Retagged the image that ran, before it did.
    Image,
    /// Acted on the run's job.
    Job,
    /// Acted in a session that the run was of.
    Session,
    /// Acted on a host that the run was on, while it ran.
    Host,
    /// Started the run.
    Parent,
}

impl ReasonKind {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::Unrecorded => "unrecorded",
            Self::Input => "input",
            Self::Code => "code",
            Self::Image => "image",
            Self::Job => "job",
            Self::Session => "session",
            Self::Host => "host",
            Self::Parent => "parent",
        }
    }
}

/// Whose act it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Whose {
    /// Of somebody who did not act in the run and does not own it, by the names that were recorded.
    Foreign,
    /// It is not known who acted.
    Unknown,
    /// Of the run's own.
    Own,
}

impl Whose {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Foreign => "foreign",
            Self::Unknown => "unknown",
            Self::Own => "own",
        }
    }
}

/// An entry, and why it is listed.
#[derive(Debug, Clone, PartialEq)]
pub struct Reason {
    /// What it could have done to the run.
    pub kind: ReasonKind,
    /// Whose act it was.
    pub whose: Whose,
    /// What it was done to, with versions where there are some.
    pub change: Change,
    /// Why it is listed, in words.
    pub why: String,
}

impl Reach {
    /// What could have reached the run `id`.
    pub fn new(id: &str) -> Result<Self, FilterError> {
        let question = Question::new(&format!("run = {}", literal(id)))?;
        Ok(Self {
            run: RunRecord::new(id),
            linked: Names::default(),
            stage: Stage::Run,
            waiting: VecDeque::from([(question, Asking::Run)]),
            current: None,
            taken: 0,
            reasons: Vec::new(),
            listed: BTreeSet::new(),
            cuts: Vec::new(),
        })
    }

    /// Takes names that meant the same at the time of an entry for one: those of the run's own people, and those of what
    /// it read.
    #[must_use]
    pub fn linked(mut self) -> Self {
        self.linked = Names::linked();
        self
    }

    /// What was recorded of the run itself.
    pub fn run(&self) -> &RunRecord {
        &self.run
    }

    /// What was not looked at, in words.
    pub fn cuts(&self) -> &[String] {
        &self.cuts
    }

    /// The reasons: what is foreign first, then by kind, the newest first.
    pub fn into_reasons(mut self) -> Vec<Reason> {
        // By now all accounts of the run are known.
        let mut reasons = std::mem::take(&mut self.reasons);
        for reason in &mut reasons {
            reason.whose = self.whose(&reason.change.act);
            let (owner, act) = (reason.change.owner.clone(), &mut reason.change.act);
            if let Some(actor) = act.actor.said().filter(|_| !owner.is_empty()) {
                let same = self
                    .linked
                    .same(NameKind::Identity, &owner, actor, act.when());
                act.foreign &= !same;
            }
        }
        self.reasons = reasons;
        self.reasons.sort_by_key(|reason| {
            let act = &reason.change.act;
            let newest = std::cmp::Reverse((act.when(), act.seq));
            (reason.whose, reason.kind, newest)
        });
        self.reasons
    }

    fn whose(&self, act: &Act) -> Whose {
        match act.actor.said() {
            None => Whose::Unknown,
            Some(actor) if self.is_own(actor, act) => Whose::Own,
            Some(_) => Whose::Foreign,
        }
    }

    /// Whether somebody is one of the run's own, under whatever name.
    fn is_own(&self, actor: &str, act: &Act) -> bool {
        let mut accounts = self.run.accounts.iter();
        self.run.is_own(actor)
            || accounts.any(|own| self.linked.same(NameKind::Identity, own, actor, act.when()))
    }

    fn list(&mut self, kind: ReasonKind, change: Change, why: String) {
        if self.listed.insert((change.act.seq, kind)) {
            let whose = self.whose(&change.act);
            self.reasons.push(Reason {
                kind,
                whose,
                change,
                why,
            });
        }
    }

    fn ask(&mut self, filter: &str, descending: bool, asking: Asking) {
        let question = Question::new(filter).and_then(|asked| self.linked.expand(asked));
        match question {
            Ok(question) => {
                let question = Question {
                    descending,
                    ..question
                };
                self.waiting.push_back((question, asking));
            }
            Err(_) => self.cuts.push("a name is too long to ask about".to_owned()),
        }
    }

    /// The run is known: asks about its jobs.
    fn ask_jobs(&mut self) {
        let (id, namespace) = (&self.run.id, &self.run.namespace);
        if !namespace.is_empty() {
            self.run
                .jobs
                .insert(format!("slurm://{namespace}/job/{id}"));
        }
        if self.run.jobs.is_empty() {
            let pattern = format!("\"slurm://*/job/{}", literal(id).trim_start_matches('"'));
            self.ask(&format!("target = {pattern}"), false, Asking::Job);
            return;
        }
        let names = names("target", &self.run.jobs, &mut self.cuts);
        self.ask(&any(&names), false, Asking::OnJobs);
    }

    /// Asks what else the names of the run's own people mean, and those of what it read.
    fn ask_names(&mut self) {
        let accounts = self.run.accounts.iter().cloned();
        let accounts = accounts.map(|name| (NameKind::Identity, name));
        let inputs = self.run.inputs.values().map(|input| input.uri.clone());
        let code = self.code_inputs().into_iter().map(|(_, input)| input.uri);
        let inputs = inputs.take(MAX_ASKED_INPUTS).chain(code);
        let inputs = inputs.filter(|uri| !uri.is_empty());
        let names = accounts.chain(inputs.map(|name| (NameKind::Target, name)));
        let names: Vec<(NameKind, String)> = names.collect();
        self.linked.ask(names);
    }

    /// The run and its jobs are known: asks about all that it used and where it was.
    fn ask_around(&mut self) {
        let mut inputs: Vec<(ReasonKind, Input)> = self
            .run
            .inputs
            .values()
            .map(|input| (ReasonKind::Input, input.clone()))
            .collect();
        if inputs.len() > MAX_ASKED_INPUTS {
            inputs.truncate(MAX_ASKED_INPUTS);
            self.cuts
                .push(format!("only {MAX_ASKED_INPUTS} inputs were looked into"));
        }
        inputs.extend(self.code_inputs());
        let mut asked = BTreeSet::new();
        for (kind, read) in inputs {
            if !read.uri.is_empty() && asked.insert(read.uri.clone()) {
                let filter = writers_of(&read.uri, read.ids.is_empty());
                let changes = Vec::new();
                let asking = Asking::Writers {
                    kind,
                    read: Box::new(read),
                    changes,
                };
                self.ask(&filter, true, asking);
            }
        }
        let hosts: BTreeSet<String> = self.run.hosts.union(&self.run.nodes).cloned().collect();
        let mut places = names("host", &hosts, &mut self.cuts);
        places.extend(names("session", &self.run.sessions, &mut self.cuts));
        if let (Some(first), Some(last)) = (&self.run.first, &self.run.last)
            && !places.is_empty()
        {
            let window = within(first.when(), last.when());
            let filter = format!("{} AND {window}", any(&places));
            self.ask(&filter, true, Asking::Around);
        }
    }

    /// Code and image as what the run read.
    fn code_inputs(&self) -> Vec<(ReasonKind, Input)> {
        let Some((code, act)) = &self.run.code else {
            return Vec::new();
        };
        let input = |uri: &str, role: &str, ids: Vec<String>| Input {
            uri: uri.to_owned(),
            role: role.to_owned(),
            ids,
            act: act.clone(),
        };
        let commit = match code.commit.as_str() {
            "" => Vec::new(),
            commit if commit.contains(':') => vec![commit.to_owned()],
            commit => vec![format!("git-sha1:{commit}")],
        };
        let mut inputs = Vec::new();
        if !code.repository.is_empty() {
            inputs.push((ReasonKind::Code, input(&code.repository, "code", commit)));
            if !code.path.is_empty() {
                let uri = format!("{}//{}", code.repository, code.path);
                inputs.push((ReasonKind::Code, input(&uri, "code", Vec::new())));
            }
        }
        let (image, digest) = match code.image.split_once('@') {
            Some((image, digest)) => (image, vec![digest.to_owned()]),
            None => (code.image.as_str(), Vec::new()),
        };
        inputs.push((ReasonKind::Image, input(image, "image", digest)));
        inputs
    }

    /// Lists the last writers of something before the run read it.
    fn list_writers(&mut self, kind: ReasonKind, read: &Input, mut changes: Vec<Change>) {
        let looked_at_all = changes.len() < MAX_WRITERS;
        changes.retain(|change| change.act.is_before(&read.act));
        changes.sort_by_key(|change| std::cmp::Reverse((change.act.when(), change.act.seq)));
        let is_read = |change: &Change| {
            let ids = change.after.iter().flat_map(|version| &version.ids);
            ids.into_iter().any(|id| read.ids.contains(id))
        };
        let wrote_it = changes.iter().position(is_read);
        let name = match read.role.as_str() {
            "" => "what the run read".to_owned(),
            role => format!("{role} that the run read"),
        };
        let reader = read.act.seq;
        if kind == ReasonKind::Input && !read.ids.is_empty() && wrote_it.is_none() && looked_at_all
        {
            let why = match changes.first() {
                Some(last) => format!(
                    "the run read a version that nobody recorded: the last writer was entry {}",
                    last.act.seq
                ),
                None => "no entry says who wrote what the run read".to_owned(),
            };
            let version = crate::entry::v1::Version {
                ids: read.ids.clone(),
                ..Default::default()
            };
            let change = Change {
                act: Act {
                    actor: super::Who::NotSaid,
                    ..read.act.clone()
                },
                name: read.uri.clone(),
                previous_name: None,
                moved_to: None,
                before: None,
                after: Some(version),
                owner: String::new(),
            };
            // Several inputs of one entry can have this.
            let whose = Whose::Unknown;
            self.reasons.push(Reason {
                kind: ReasonKind::Unrecorded,
                whose,
                change,
                why,
            });
        }
        let mut foreign = 0;
        for (index, change) in changes.into_iter().enumerate() {
            let is_foreign = self.whose(&change.act) == Whose::Foreign;
            let listed = index < LISTED_WRITERS || wrote_it == Some(index);
            if !listed && (!is_foreign || foreign >= LISTED_WRITERS) {
                continue;
            }
            foreign += usize::from(is_foreign);
            let which = if wrote_it == Some(index) {
                "wrote the version"
            } else if read.ids.is_empty() && index == 0 {
                "last wrote (inferred: the version was not said)"
            } else {
                "wrote before"
            };
            let why = format!("{which}: {name} in entry {reader}");
            self.list(kind, change, why);
        }
    }

    /// Somebody acted on a job of the run.
    fn on_job(&mut self, facts: &Facts) {
        for target in &facts.what.targets {
            if self.run.jobs.contains(&target.uri) && !target.owner.is_empty() {
                self.run.accounts.insert(target.owner.clone());
            }
        }
        let act = Act::new(facts);
        if act.action == "job.submit" || act.action == "run.start" {
            self.run
                .accounts
                .extend(act.actor.said().map(str::to_owned));
        }
        let Some(target) = facts
            .what
            .targets
            .iter()
            .find(|target| self.run.jobs.contains(&target.uri))
        else {
            return;
        };
        let (kind, why) = match act.action.as_str() {
            action if is_interference(action) => (ReasonKind::Kill, "acted on the run's job"),
            "job.fail" => (ReasonKind::Kill, "the run's job failed"),
            _ => (ReasonKind::Job, "acted on the run's job"),
        };
        let change = change_of(&act, target);
        if self
            .run
            .last
            .as_ref()
            .is_none_or(|last| last.is_before(&act))
        {
            self.run.last = Some(act);
        }
        self.list(kind, change, why.to_owned());
    }

    /// Somebody acted where the run was.
    fn around(&mut self, facts: &Facts) {
        let of_run = facts
            .what
            .run
            .as_ref()
            .is_some_and(|run| run.id == self.run.id);
        if of_run {
            return;
        }
        let act = Act::new(facts);
        // What it did is said better elsewhere.
        if self
            .listed
            .range((act.seq, ReasonKind::Kill)..=(act.seq, ReasonKind::Parent))
            .next()
            .is_some()
        {
            return;
        }
        let Some(target) = facts.what.targets.first() else {
            return;
        };
        let change = change_of(&act, target);
        if self.run.sessions.contains(&act.session) {
            let why = format!("in the run's session {}", act.session);
            self.list(ReasonKind::Session, change, why);
        } else {
            let why = format!("on the run's host {} while it ran", act.host);
            self.list(ReasonKind::Host, change, why);
        }
    }

    fn finish(&mut self) {
        match self.current.take() {
            Some(Asking::Writers {
                kind,
                read,
                changes,
            }) => self.list_writers(kind, &read, changes),
            Some(Asking::Job) if !self.run.jobs.is_empty() => {
                let names = names("target", &self.run.jobs, &mut self.cuts);
                self.ask(&any(&names), false, Asking::OnJobs);
            }
            _ => {}
        }
    }

    /// The next stage. Whether there is one.
    fn advance(&mut self) -> bool {
        self.stage = match self.stage {
            Stage::Run => {
                self.ask_jobs();
                Stage::Jobs
            }
            Stage::Jobs => {
                self.ask_names();
                Stage::Names
            }
            Stage::Names => {
                self.ask_around();
                Stage::Around
            }
            Stage::Around | Stage::Done => {
                self.stage = Stage::Done;
                return false;
            }
        };
        true
    }

    fn take_run(&mut self, facts: &Facts) {
        self.run.take(facts);
        let act = Act::new(facts);
        let Some(target) = facts.what.targets.first() else {
            return;
        };
        let parent = facts.what.run.as_ref().map(|run| run.parent_id.as_str());
        if let Some(parent) = parent.filter(|parent| !parent.is_empty()) {
            let why = format!("the run was started by run {parent}");
            self.list(ReasonKind::Parent, change_of(&act, target), why);
        }
        if is_interference(&act.action) {
            let why = "acted on the run".to_owned();
            self.list(ReasonKind::Kill, change_of(&act, target), why);
        }
    }
}

impl Inquiry for Reach {
    fn names(&self) -> Option<&Names> {
        Some(&self.linked)
    }

    fn next(&mut self) -> Option<Question> {
        self.finish();
        loop {
            if let Some(question) = self.linked.next() {
                return Some(question);
            }
            if let Some((question, asking)) = self.waiting.pop_front() {
                self.taken = 0;
                self.current = Some(asking);
                return Some(question);
            }
            if !self.advance() {
                return None;
            }
        }
    }

    fn take(&mut self, facts: &Facts) -> ControlFlow<()> {
        if self.linked.is_asking() {
            return self.linked.take(facts);
        }
        let Some(mut asking) = self.current.take() else {
            return ControlFlow::Break(());
        };
        self.taken += 1;
        let most = match &mut asking {
            Asking::Run => {
                self.take_run(facts);
                MAX_ENTRIES
            }
            Asking::Job => {
                let jobs = facts.what.targets.iter().map(|target| &target.uri);
                let suffix = format!("/job/{}", self.run.id);
                let found: Vec<String> =
                    jobs.filter(|uri| uri.ends_with(&suffix)).cloned().collect();
                self.run.jobs.extend(found);
                self.run.take(facts);
                MAX_NAMES
            }
            Asking::OnJobs => {
                self.on_job(facts);
                MAX_ENTRIES
            }
            Asking::Writers { read, changes, .. } => {
                changes.extend(changes_of(facts, &read.uri, &self.linked));
                MAX_WRITERS
            }
            Asking::Around => {
                self.around(facts);
                MAX_ENTRIES
            }
        };
        let enough = self.taken >= most;
        if enough {
            match &asking {
                Asking::Writers { .. } => {}
                Asking::Around => self.cuts.push(format!(
                    "only the last {MAX_ENTRIES} acts on the run's hosts were looked at"
                )),
                _ => self
                    .cuts
                    .push(format!("only {most} entries of the run were looked at")),
            }
        }
        self.current = Some(asking);
        if enough {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }
}

/// Comparisons of a field with these names.
fn names(field: &str, names: &BTreeSet<String>, cuts: &mut Vec<String>) -> Vec<String> {
    if names.len() > MAX_NAMES {
        cuts.push(format!(
            "only {MAX_NAMES} of {} names of {field}s were asked about",
            names.len()
        ));
    }
    let names = names.iter().take(MAX_NAMES);
    names
        .map(|name| format!("{field} = {}", literal(name)))
        .collect()
}

/// Who wrote a target, or when `below` what lies below it.
pub(super) fn writers_of(uri: &str, below: bool) -> String {
    let name = literal(uri);
    let mut named = vec![
        format!("target = {name}"),
        format!("previous_target = {name}"),
    ];
    if below {
        named.push(format!(
            "target = {}",
            beginning(&format!("{}/", uri.trim_end_matches('/')))
        ));
    }
    let named = any(&named);
    format!("(({named} AND {}) OR output = {name})", version_acts())
}

/// What an entry changed of a target, or of what lies below it.
pub(super) fn changes_of(facts: &Facts, uri: &str, names: &Names) -> Vec<Change> {
    let act = Act::new(facts);
    let below = format!("{}/", uri.trim_end_matches('/'));
    let is_it = |other: &str| names.same(NameKind::Target, uri, other, act.when());
    let mut found: BTreeMap<String, Change> = BTreeMap::new();
    for target in &facts.what.targets {
        let named = is_it(&target.uri) || is_it(&target.previous_uri);
        if named || target.uri.starts_with(&below) {
            found.insert(target.uri.clone(), change_of(&act, target));
        }
    }
    let outputs = facts.what.outputs.iter();
    for output in outputs.filter(|output| is_it(&output.uri)) {
        let target = crate::entry::v1::Target {
            uri: output.uri.clone(),
            after: output.version.clone(),
            ..Default::default()
        };
        found
            .entry(output.uri.clone())
            .or_insert_with(|| change_of(&act, &target));
    }
    found.into_values().collect()
}
