//! What was recorded of a run.

use std::collections::{BTreeMap, BTreeSet};

use super::Act;
use crate::entry::v1;
use crate::index::Facts;

/// The most inputs of a run that are kept.
pub(super) const MAX_INPUTS: usize = 2_000;

/// A run, put together from its entries.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RunRecord {
    /// Its id.
    pub id: String,
    /// The job's name; empty if it was not said.
    pub job: String,
    /// The job's namespace; empty likewise.
    pub namespace: String,
    /// The runs that started it.
    pub parents: BTreeSet<String>,
    /// Its GPUs.
    pub gpus: Option<u32>,
    /// Its nodes.
    pub nodes: BTreeSet<String>,
    /// Those who acted in it, and those who own its jobs.
    pub accounts: BTreeSet<String>,
    /// Its jobs, as the targets of a scheduler.
    pub jobs: BTreeSet<String>,
    /// The hosts that its entries come from.
    pub hosts: BTreeSet<String>,
    /// The sessions of its entries.
    pub sessions: BTreeSet<String>,
    /// What it read, by name and role: the last that was said.
    pub inputs: BTreeMap<(String, String), Input>,
    /// The code that ran, and the entry that says so.
    pub code: Option<(v1::Code, Act)>,
    /// The labels of its submission and start, and what else is known of its environment.
    pub environment: BTreeMap<String, String>,
    /// Its first entry.
    pub first: Option<Act>,
    /// Its last entry.
    pub last: Option<Act>,
    /// Some inputs are missing, as there are too many.
    pub full: bool,
}

/// Something that a run read.
#[derive(Debug, Clone, PartialEq)]
pub struct Input {
    /// The target's name.
    pub uri: String,
    /// What it was used as; can be empty.
    pub role: String,
    /// The ids of its version; none if it was not said.
    pub ids: Vec<String>,
    /// The entry that says so.
    pub act: Act,
}

impl RunRecord {
    pub(super) fn new(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            ..Self::default()
        }
    }

    /// Whether any entry names it.
    pub fn found(&self) -> bool {
        self.first.is_some()
    }

    /// Whether this is the name of somebody who acted in the run or owns it.
    pub fn is_own(&self, actor: &str) -> bool {
        self.accounts.contains(actor)
    }

    /// Takes an entry of the run.
    pub(super) fn take(&mut self, facts: &Facts) {
        let act = Act::new(facts);
        let what = &facts.what;
        if let Some(run) = &what.run {
            keep(&mut self.job, &run.job);
            keep(&mut self.namespace, &run.namespace);
            self.gpus = run.gpus.or(self.gpus);
            self.nodes.extend(run.nodes.iter().cloned());
            if !run.parent_id.is_empty() && run.parent_id != self.id {
                self.parents.insert(run.parent_id.clone());
            }
        }
        if !is_interference(&act.action) {
            self.accounts.extend(act.actor.said().map(str::to_owned));
            self.accounts.extend(facts.who.on_behalf_of.iter().cloned());
        }
        for target in &what.targets {
            if target.uri.starts_with("slurm://") || target.uri.starts_with("k8s://") {
                self.jobs.insert(target.uri.clone());
                keep_owner(&mut self.accounts, &target.owner);
            }
        }
        insert_said(&mut self.hosts, &act.host);
        insert_said(&mut self.sessions, &act.session);
        self.take_inputs(facts, &act);
        if let Some(code) = &what.code {
            self.code = Some((code.clone(), act.clone()));
        }
        self.take_environment(facts);
        if self.first.as_ref().is_none_or(|first| act.is_before(first)) {
            self.first = Some(act.clone());
        }
        if self.last.as_ref().is_none_or(|last| last.is_before(&act)) {
            self.last = Some(act);
        }
    }

    fn take_inputs(&mut self, facts: &Facts, act: &Act) {
        let inputs = facts.what.inputs.iter().map(|input| {
            let ids = input.version.as_ref().map(|version| version.ids.clone());
            (&input.uri, input.role.as_str(), ids.unwrap_or_default())
        });
        let loads = act.action.ends_with("load") || act.action.ends_with("pull");
        let loaded = facts.what.targets.iter().filter(|_| loads).map(|target| {
            let version = target.after.as_ref().or(target.before.as_ref());
            let ids = version.map(|version| version.ids.clone());
            (&target.uri, act.action.as_str(), ids.unwrap_or_default())
        });
        for (uri, role, ids) in inputs.chain(loaded) {
            if self.inputs.len() >= MAX_INPUTS {
                self.full = true;
                return;
            }
            let input = Input {
                uri: uri.clone(),
                role: role.to_owned(),
                ids,
                act: act.clone(),
            };
            let key = (role.to_owned(), uri.clone());
            let known = self.inputs.get(&key);
            // What says a version is not replaced by what says none.
            if known.is_none_or(|known| known.ids.is_empty() || !input.ids.is_empty()) {
                self.inputs.insert(key, input);
            }
        }
    }

    fn take_environment(&mut self, facts: &Facts) {
        let action = facts.what.action.as_str();
        if action != "job.submit" && action != "run.start" {
            return;
        }
        for label in &facts.why.labels {
            let name = format!("label {}", label.key);
            self.environment.insert(name, label.value.clone());
        }
        if let Some(process) = &facts.context.process {
            let parts = [
                ("executable", &process.executable),
                ("container", &process.container),
            ];
            for (name, value) in parts.into_iter().filter(|(_, value)| !value.is_empty()) {
                self.environment.insert(name.to_owned(), value.clone());
            }
        }
        let said = [
            ("permission", &facts.what.permission),
            ("host", &facts.context.host),
            ("actor", &facts.who.actor),
        ];
        for (name, value) in said.into_iter().filter(|(_, value)| !value.is_empty()) {
            self.environment.insert(name.to_owned(), value.clone());
        }
        if let Some(run) = &facts.what.run
            && run.attempt > 0
        {
            let attempt = run.attempt.to_string();
            self.environment.insert("attempt".to_owned(), attempt);
        }
    }
}

/// Whether an act does something to a job rather than in it.
pub(super) fn is_interference(action: &str) -> bool {
    matches!(
        action,
        "job.cancel" | "job.kill" | "process.signal" | "process.kill" | "job.hold" | "job.requeue"
    )
}

fn keep(known: &mut String, new: &str) {
    if known.is_empty() {
        new.clone_into(known);
    }
}

fn keep_owner(accounts: &mut BTreeSet<String>, owner: &str) {
    if !owner.is_empty() {
        accounts.insert(owner.to_owned());
    }
}

fn insert_said(names: &mut BTreeSet<String>, name: &str) {
    if !name.is_empty() {
        names.insert(name.to_owned());
    }
}
