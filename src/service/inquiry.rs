//! History and lineage, asked of the ledger itself.

use std::ops::ControlFlow;
use std::sync::Arc;

use prost::Message;
use tonic::{Response, Status};

use super::access::Scope;
use super::read::answering;
use super::status::bad_request;
use crate::entry::v1;
use crate::index::Facts;
use crate::inquiry::{
    Act, Change, Direction, Edge, Evidence, History, Inquiry, Lineage, LineageOptions, MAX_DEPTH,
    Node, NodeInfo, Start, Step,
};
use crate::ledger::{Ledger, Search};
use crate::store::Direction as Order;

/// The most changes of a history.
const MAX_CHANGES: usize = 2_000;
/// Bytes of steps or edges; one more may come on top.
const MAX_BYTES: usize = 2 * 1024 * 1024;
/// Entries and pages that are read for one call.
const MAX_ENTRIES: u64 = 50_000;
const MAX_PAGES: u64 = 2_000;
const PAGE: usize = 256;
const DEFAULT_DEPTH: u32 = 8;
const DEFAULT_NODES: u32 = 200;
const MAX_NODES: u32 = 500;

/// The versions of a target.
pub(super) async fn history(
    ledger: &Arc<Ledger>,
    scope: Scope,
    request: v1::GetHistoryRequest,
) -> Result<Response<v1::GetHistoryResponse>, Status> {
    if request.target.is_empty() {
        return Err(bad_request("target", "is required"));
    }
    let mut history = History::new(&request.target, !request.no_follow)
        .map_err(|error| bad_request("target", &error.to_string()))?
        .with_most(MAX_CHANGES);
    answering(ledger, move |ledger| {
        let asked = ask(ledger, &scope, &mut history, request.size)?;
        let cut_off = asked.cut_off || history.is_full();
        let unfollowed = history.unfollowed().to_vec();
        let (steps, short) = within_bytes(history.into_steps().iter().map(step));
        Ok(v1::GetHistoryResponse {
            checkpoint: asked.checkpoint,
            size: asked.size,
            steps,
            cut_off: cut_off || short,
            unfollowed,
        })
    })
    .await
}

/// What something was made from, and what was made from it.
pub(super) async fn lineage(
    ledger: &Arc<Ledger>,
    scope: Scope,
    request: v1::GetLineageRequest,
) -> Result<Response<v1::GetLineageResponse>, Status> {
    let direction = match request.direction() {
        v1::LineageDirection::Unspecified | v1::LineageDirection::Up => Direction::Up,
        v1::LineageDirection::Down => Direction::Down,
        v1::LineageDirection::All => Direction::All,
    };
    let or = |number: u32, default: u32| if number == 0 { default } else { number };
    let depth = or(request.depth, DEFAULT_DEPTH);
    let nodes = or(request.nodes, DEFAULT_NODES);
    if depth > MAX_DEPTH {
        return Err(bad_request("depth", "is at most 64"));
    }
    if nodes > MAX_NODES {
        return Err(bad_request("nodes", "is at most 500"));
    }
    let (field, text) = match &request.start {
        Some(v1::get_lineage_request::Start::Run(id)) => ("run", format!("run:{id}")),
        Some(v1::get_lineage_request::Start::Target(uri)) => ("target", format!("target:{uri}")),
        Some(v1::get_lineage_request::Start::Digest(id)) => ("digest", format!("digest:{id}")),
        None => return Err(bad_request("start", "is required: run, target or digest")),
    };
    let options = LineageOptions {
        direction,
        depth,
        nodes: nodes as usize,
    };
    let mut lineage = Start::parse(&text)
        .and_then(|start| Lineage::new(start, options))
        .map_err(|error| bad_request(field, &error.to_string()))?;
    answering(ledger, move |ledger| {
        let asked = ask(ledger, &scope, &mut lineage, request.size)?;
        let found = lineage.found();
        let cuts = lineage.cuts().iter().map(|cut| v1::LineageCut {
            node: index(cut.node()),
            why: cut.why().to_owned(),
        });
        let cuts = cuts.collect();
        let (nodes, edges) = lineage.into_graph();
        let (edges, short) = within_bytes(edges.iter().map(edge));
        Ok(v1::GetLineageResponse {
            checkpoint: asked.checkpoint,
            size: asked.size,
            nodes: nodes.into_iter().map(node).collect(),
            edges,
            cuts,
            cut_off: asked.cut_off || short,
            found,
        })
    })
    .await
}

/// How far an inquiry got.
struct Asked {
    checkpoint: String,
    size: u64,
    cut_off: bool,
}

/// Answers the questions of an inquiry, all at one size, until there are none or too much was read.
///
/// Which questions come depends on the entries that were read. So a refusal tells no more than they do.
fn ask(
    ledger: &Ledger,
    scope: &Scope,
    inquiry: &mut impl Inquiry,
    size: u64,
) -> Result<Asked, Status> {
    let published = ledger.published();
    let size = if size == 0 { published.size() } else { size };
    let mut asked = Asked {
        checkpoint: published.note.clone(),
        size,
        cut_off: false,
    };
    let (mut entries, mut pages) = (0, 0);
    while let Some(question) = inquiry.next() {
        if scope.check_filter(&question.filter).is_err() {
            scope.check_whole("this asks about entries outside of them, and an answer without those could mislead")?;
        }
        let mut open = question.range.start.min(size)..question.range.end.min(size);
        'answer: while !open.is_empty() {
            if entries >= MAX_ENTRIES || pages >= MAX_PAGES {
                asked.cut_off = true;
                return Ok(asked);
            }
            pages += 1;
            let page = ledger.search(&Search {
                filter: &question.filter,
                size,
                range: open.clone(),
                direction: if question.descending {
                    Order::Reverse
                } else {
                    Order::Forward
                },
                limit: PAGE,
                prove: false,
            })?;
            entries += page.cost.entries;
            for entry in &page.entries {
                // What is sealed was checked when it came; what cannot be read any more says nothing.
                let Ok(facts) = Facts::new(&entry.header, &entry.body) else {
                    continue;
                };
                if inquiry.take(&facts) == ControlFlow::Break(()) {
                    break 'answer;
                }
            }
            if question.descending {
                open.end = page.window.start.min(open.end);
            } else {
                open.start = page.window.end.max(open.start);
            }
        }
    }
    Ok(asked)
}

/// As many messages as go into an answer, and whether some did not.
fn within_bytes<M: Message>(messages: impl Iterator<Item = M>) -> (Vec<M>, bool) {
    let mut bytes = 0;
    let mut kept = Vec::new();
    for message in messages {
        if bytes > MAX_BYTES {
            return (kept, true);
        }
        bytes += message.encoded_len();
        kept.push(message);
    }
    (kept, false)
}

fn step(step: &Step) -> v1::HistoryStep {
    use v1::history_step::Step as Out;
    let step = match step {
        Step::Change(change) => Out::Change(self::change(change)),
        Step::Gap(gap) => Out::Gap(v1::HistoryGap {
            name: gap.name.clone(),
            earlier: Some(act(&gap.earlier)),
            left: Some(gap.left.clone()),
            later: Some(act(&gap.later)),
            found: Some(gap.found.clone()),
            put_back_seq: gap.put_back,
        }),
        Step::Unsure(unsure) => Out::Unsure(v1::HistoryUnsure {
            name: unsure.name.clone(),
            earlier: Some(act(&unsure.earlier)),
            later: Some(act(&unsure.later)),
            why: unsure.why.to_owned(),
        }),
    };
    v1::HistoryStep { step: Some(step) }
}

fn change(change: &Change) -> v1::HistoryChange {
    v1::HistoryChange {
        act: Some(act(&change.act)),
        name: change.name.clone(),
        previous_name: change.previous_name.clone().unwrap_or_default(),
        moved_to: change.moved_to.clone().unwrap_or_default(),
        before: change.before.clone(),
        after: change.after.clone(),
        owner: change.owner.clone(),
    }
}

fn act(act: &Act) -> v1::Act {
    v1::Act {
        seq: act.seq,
        recorded_at: act.recorded_at,
        occurred_at: act.occurred_at,
        actor: act.actor.said().unwrap_or_default().to_owned(),
        submitter: act.submitter.clone(),
        action: act.action.clone(),
        outcome: act.outcome.unwrap_or_default().to_owned(),
        foreign: act.foreign,
        reason: act.reason.clone(),
        ticket: act.ticket.clone(),
        host: act.host.clone(),
        session: act.session.clone(),
    }
}

fn node(info: NodeInfo) -> v1::LineageNode {
    use v1::lineage_node::Node as Out;
    let node = match info.node {
        Node::Run(id) => Out::Run(id),
        Node::Version { uri, ids } => Out::Version(v1::LineageVersion {
            uri,
            ids,
            written_by_seq: None,
        }),
        Node::Written { uri, seq } => Out::Version(v1::LineageVersion {
            uri,
            ids: Vec::new(),
            written_by_seq: Some(seq),
        }),
        Node::Target(uri) => Out::Target(uri),
        Node::Content(digest) => Out::Content(digest),
        Node::Actor(actor) => Out::Actor(actor),
    };
    v1::LineageNode {
        node: Some(node),
        job: info.job,
        namespace: info.namespace,
        gpus: info.gpus,
        owner: info.owner,
        // Without what can be long: five hundred of them have to fit.
        first: info.first.as_ref().map(|first| v1::Act {
            reason: String::new(),
            ticket: String::new(),
            ..act(first)
        }),
    }
}

fn edge(edge: &Edge) -> v1::LineageEdge {
    let evidence = match edge.evidence {
        Evidence::Observed => v1::Evidence::Observed,
        Evidence::Declared => v1::Evidence::Declared,
        Evidence::Inferred => v1::Evidence::Inferred,
        Evidence::Unstated => v1::Evidence::Unspecified,
    };
    v1::LineageEdge {
        from: index(edge.from),
        to: index(edge.to),
        relation: edge.relation.word().to_owned(),
        evidence: evidence.into(),
        role: edge.role.clone(),
        act: Some(act(&edge.act)),
        basis: edge.basis.as_ref().map(act),
        up: edge.up,
        down: edge.down,
    }
}

/// There are never so many nodes that their numbers do not fit.
fn index(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
