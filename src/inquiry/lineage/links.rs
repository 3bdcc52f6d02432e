//! What one entry says about what was made from what.

use super::{Evidence, Relation};
use crate::entry::v1;
use crate::index::Facts;
use crate::inquiry::version::is_absent;

/// Edges of one entry between references of an act without a run; beyond that they say nothing that anyone could follow.
const MAX_PAIRS: usize = 1_024;

/// One end of what an entry says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum End {
    Run(String),
    Actor(String),
    /// A version of a target. Without ids it is not said which.
    Thing {
        uri: String,
        ids: Vec<String>,
    },
}

/// Something was made from something, as an entry says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) from: End,
    pub(super) to: End,
    pub(super) relation: Relation,
    pub(super) evidence: Evidence,
    pub(super) role: String,
}

impl Link {
    fn new(from: End, relation: Relation, to: End) -> Self {
        Self {
            from,
            to,
            relation,
            evidence: Evidence::Declared,
            role: String::new(),
        }
    }

    fn with_role(self, role: &str) -> Self {
        let role = role.to_owned();
        Self { role, ..self }
    }
}

/// What an act does to its target, as its verb says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verb {
    Reads,
    /// The new content does not come from the old.
    Replaces,
    /// The new content comes from the old, as far as is known.
    Revises,
}

impl Verb {
    fn of(action: &str) -> Self {
        match verb(action) {
            "load" | "read" | "open" | "pull" | "download" => Self::Reads,
            "create" | "save" | "overwrite" | "replace" | "retag" => Self::Replaces,
            _ => Self::Revises,
        }
    }
}

fn verb(action: &str) -> &str {
    action.rsplit('.').next().unwrap_or_default()
}

/// Whether an act writes its target even when no version is said.
fn writes(action: &str) -> bool {
    matches!(
        verb(action),
        "create" | "save" | "overwrite" | "replace" | "retag" | "update" | "write" | "edit"
    )
}

/// Everything that an entry says.
pub(super) fn links(facts: &Facts) -> Vec<Link> {
    let mut links = Vec::new();
    let run = facts.what.run.as_ref().filter(|run| !run.id.is_empty());
    match run {
        Some(run) => of_run(facts, run, &mut links),
        None => between_references(facts, &mut links),
    }
    let run = run.map(|run| End::Run(run.id.clone()));
    for target in &facts.what.targets {
        of_target(facts, target, run.as_ref(), &mut links);
    }
    links
}

/// Inputs, outputs, code, image and parent of a run.
fn of_run(facts: &Facts, run: &v1::Run, links: &mut Vec<Link>) {
    let node = || End::Run(run.id.clone());
    for input in &facts.what.inputs {
        links.push(Link {
            evidence: Evidence::of(input.evidence()),
            ..Link::new(thing_of(input), Relation::Used, node()).with_role(&input.role)
        });
    }
    for output in &facts.what.outputs {
        links.push(Link {
            evidence: Evidence::of(output.evidence()),
            ..Link::new(node(), Relation::Wrote, thing_of(output)).with_role(&output.role)
        });
    }
    if !run.parent_id.is_empty() && run.parent_id != run.id {
        let parent = End::Run(run.parent_id.clone());
        links.push(Link::new(parent, Relation::Started, node()));
    }
    if let Some(code) = &facts.what.code {
        if !code.repository.is_empty() {
            let role = if code.dirty { "code (dirty)" } else { "code" };
            let thing = thing(&code.repository, commit_ids(&code.commit));
            links.push(Link::new(thing, Relation::Used, node()).with_role(role));
        }
        if !code.image.is_empty() {
            links.push(Link::new(image(&code.image), Relation::Used, node()).with_role("image"));
        }
    }
}

/// What an act without a run made of what it read.
fn between_references(facts: &Facts, links: &mut Vec<Link>) {
    let what = &facts.what;
    let pairs = what
        .outputs
        .iter()
        .flat_map(|output| what.inputs.iter().map(move |input| (input, output)));
    for (input, output) in pairs.take(MAX_PAIRS) {
        let evidence = Evidence::of(input.evidence()).weaker(Evidence::of(output.evidence()));
        let link = Link::new(thing_of(input), Relation::Derived, thing_of(output));
        links.push(Link {
            evidence,
            ..link.with_role(&input.role)
        });
    }
}

/// What an act did to one target.
fn of_target(facts: &Facts, target: &v1::Target, run: Option<&End>, links: &mut Vec<Link>) {
    // The state of a job is not what anything is made from.
    if target.uri.is_empty() || target.uri.starts_with("slurm://") {
        return;
    }
    let action = facts.what.action.as_str();
    let does = Verb::of(action);
    if does == Verb::Reads {
        if let Some(run) = run {
            let version = target.after.as_ref().or(target.before.as_ref());
            let ids = version.map_or_else(Vec::new, |version| version.ids.clone());
            let link = Link::new(thing(&target.uri, ids), Relation::Used, run.clone());
            links.push(link.with_role(action));
        }
        return;
    }
    let renamed = !target.previous_uri.is_empty();
    let after = match &target.after {
        Some(after) if is_absent(after) => return,
        Some(after) => after.ids.clone(),
        None if renamed || writes(action) => Vec::new(),
        None => return,
    };
    let before = target.before.as_ref().map_or(&[][..], |before| &before.ids);
    let same = before.iter().any(|id| after.contains(id));
    if same && !renamed {
        return;
    }
    let to = thing(&target.uri, after);
    let relation = match (renamed, does) {
        (true, _) if verb(action) == "copy" => Relation::Copied,
        (true, _) => Relation::Renamed,
        (false, Verb::Replaces) => Relation::Replaced,
        (false, _) => Relation::Revised,
    };
    let old_uri = if renamed {
        &target.previous_uri
    } else {
        &target.uri
    };
    let made_from_before = !before.is_empty() || renamed;
    if made_from_before {
        let from = thing(old_uri, before.to_vec());
        links.push(Link::new(from, relation, to.clone()));
    }
    match run {
        Some(run) => links.push(Link::new(run.clone(), Relation::Wrote, to).with_role(action)),
        None if !made_from_before || relation == Relation::Replaced => {
            let actor = End::Actor(facts.who.actor.clone());
            links.push(Link::new(actor, Relation::Created, to).with_role(action));
        }
        None => {}
    }
}

fn thing(uri: &str, ids: Vec<String>) -> End {
    let uri = uri.to_owned();
    End::Thing { uri, ids }
}

fn thing_of(reference: &v1::Reference) -> End {
    let version = reference.version.as_ref();
    let ids = version.map_or_else(Vec::new, |version| version.ids.clone());
    thing(&reference.uri, ids)
}

/// A commit as the versions of its repository are written.
fn commit_ids(commit: &str) -> Vec<String> {
    match commit.len() {
        0 => Vec::new(),
        _ if commit.contains(':') => vec![commit.to_owned()],
        64 => vec![format!("git-sha256:{commit}")],
        _ => vec![format!("git-sha1:{commit}")],
    }
}

/// An image by its name, by its digest, or by both with an `@` between them.
fn image(image: &str) -> End {
    match image.split_once('@') {
        Some((name, digest)) => thing(name, vec![digest.to_owned()]),
        None if image.starts_with("sha256:") => thing("", vec![image.to_owned()]),
        None => thing(image, Vec::new()),
    }
}
