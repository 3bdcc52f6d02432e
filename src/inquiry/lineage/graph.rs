//! The nodes and edges found so far.

use std::collections::BTreeMap;

use super::links::End;
use super::{Edge, Evidence, Node, NodeInfo, Relation};
use crate::index::Facts;
use crate::inquiry::Act;

/// Nodes by number, each once, and edges by their ends.
#[derive(Debug, Default)]
pub(super) struct Graph {
    pub(super) nodes: Vec<NodeInfo>,
    edges: BTreeMap<(usize, usize, Relation), Edge>,
    by_node: BTreeMap<Node, usize>,
    /// Every id of every version, so that a version is one node whichever of its ids an entry names.
    by_id: BTreeMap<(String, String), usize>,
}

impl Graph {
    /// The number of a node, which is added if there is room.
    pub(super) fn intern(&mut self, node: Node, most: usize) -> Option<usize> {
        if let Some(number) = self.find(&node) {
            if let Node::Version { uri, ids } = node {
                self.learn(number, &uri, ids);
            }
            return Some(number);
        }
        if self.nodes.len() >= most {
            return None;
        }
        let number = self.nodes.len();
        if let Node::Version { uri, ids } = &node {
            for id in ids {
                self.by_id.insert((uri.clone(), id.clone()), number);
            }
        }
        self.by_node.insert(node.clone(), number);
        self.nodes.push(NodeInfo::new(node));
        Some(number)
    }

    pub(super) fn find(&self, node: &Node) -> Option<usize> {
        match node {
            Node::Version { uri, ids } => ids
                .iter()
                .find_map(|id| self.by_id.get(&(uri.clone(), id.clone())).copied()),
            node => self.by_node.get(node).copied(),
        }
    }

    /// More ids of a version that is known.
    fn learn(&mut self, number: usize, uri: &str, new: Vec<String>) {
        let Some(NodeInfo {
            node: Node::Version { ids, .. },
            ..
        }) = self.nodes.get_mut(number)
        else {
            return;
        };
        for id in new {
            if !ids.contains(&id) {
                self.by_id
                    .entry((uri.to_owned(), id.clone()))
                    .or_insert(number);
                ids.push(id);
            }
        }
    }

    pub(super) fn info(&self, number: usize) -> Option<&NodeInfo> {
        self.nodes.get(number)
    }

    /// Adds an edge. Of two that say the same the one with the stronger evidence stays, and of equal ones the earlier.
    pub(super) fn connect(&mut self, edge: Edge) {
        let key = (edge.from, edge.to, edge.relation);
        let rank = |edge: &Edge| (edge.evidence.strength(), std::cmp::Reverse(edge.act.seq));
        match self.edges.get_mut(&key) {
            Some(known) if rank(known) >= rank(&edge) => {
                known.up |= edge.up;
                known.down |= edge.down;
            }
            Some(known) => {
                *known = Edge {
                    up: edge.up || known.up,
                    down: edge.down || known.down,
                    ..edge
                }
            }
            None => {
                self.edges.insert(key, edge);
            }
        }
    }

    pub(super) fn edges(self) -> (Vec<NodeInfo>, Vec<Edge>) {
        let mut edges: Vec<Edge> = self.edges.into_values().collect();
        edges.sort_by_key(|edge| (edge.act.seq, edge.relation, edge.from, edge.to));
        (self.nodes, edges)
    }

    pub(super) fn edge_count(&self) -> usize {
        self.edges.len()
    }

    /// Notes what an entry says about the run it is of, if that run is known.
    pub(super) fn note_run(&mut self, facts: &Facts) {
        let Some(run) = facts.what.run.as_ref().filter(|run| !run.id.is_empty()) else {
            return;
        };
        let Some(number) = self.find(&Node::Run(run.id.clone())) else {
            return;
        };
        let Some(info) = self.nodes.get_mut(number) else {
            return;
        };
        keep(&mut info.job, &run.job);
        keep(&mut info.namespace, &run.namespace);
        info.gpus = info.gpus.or(run.gpus);
        let act = Act::new(facts);
        let job_target = |target: &&crate::entry::v1::Target| !target.owner.is_empty();
        if act.action.starts_with("job.") || act.action.starts_with("run.") {
            if let Some(target) = facts.what.targets.iter().find(job_target) {
                keep(&mut info.owner, &target.owner);
            }
            if info.first.as_ref().is_none_or(|first| act.is_before(first)) {
                info.first = Some(act);
            }
        }
    }
}

fn keep(known: &mut String, new: &str) {
    if known.is_empty() {
        new.clone_into(known);
    }
}

impl Evidence {
    /// Greater is stronger.
    fn strength(self) -> u8 {
        match self {
            Self::Inferred => 0,
            Self::Unstated => 1,
            Self::Declared => 2,
            Self::Observed => 3,
        }
    }

    pub(super) fn weaker(self, other: Self) -> Self {
        if self.strength() <= other.strength() {
            self
        } else {
            other
        }
    }
}

/// The node that one end of a link stands for. An unknown version of a target is told by the entry that wrote it.
pub(super) fn node_of(end: &End, written_by: u64) -> Node {
    match end {
        End::Run(id) => Node::Run(id.clone()),
        End::Actor(actor) => Node::Actor(actor.clone()),
        End::Thing { uri, ids } if ids.is_empty() => Node::Written {
            uri: uri.clone(),
            seq: written_by,
        },
        End::Thing { uri, ids } => Node::Version {
            uri: uri.clone(),
            ids: ids.clone(),
        },
    }
}

impl Graph {
    /// The earliest act that is known to have made a version.
    pub(super) fn first_write(&self, number: usize) -> Option<Act> {
        let makes = |edge: &&Edge| {
            let made = edge.relation != Relation::SameContent && edge.relation != Relation::Is;
            edge.to == number && made
        };
        let acts = self.edges.values().filter(makes).map(|edge| &edge.act);
        acts.min_by_key(|act| (act.when(), act.seq)).cloned()
    }

    pub(super) fn has(&self, from: usize, to: usize, relation: Relation) -> bool {
        self.edges.contains_key(&(from, to, relation))
    }

    /// A node of a target.
    pub(super) fn of_target(&self, uri: &str) -> Option<usize> {
        let of_target = |info: &NodeInfo| info.node.uri() == Some(uri);
        self.nodes.iter().position(of_target)
    }
}
