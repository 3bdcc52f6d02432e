//! One way through the lineage: what the entries of an answer say about the nodes of a level.

use std::collections::{BTreeMap, BTreeSet};

use super::asking::{Lineage, MAX_WRITERS};
use super::graph::node_of;
use super::links::{End, Link, links};
use super::{Cut, Edge, Evidence, Node, Relation};
use crate::index::Facts;
use crate::inquiry::Act;
use crate::inquiry::version::is_digest;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Up,
    Down,
}

/// One way through the lineage.
#[derive(Debug)]
pub(super) struct Walk {
    pub(super) way: Way,
    pub(super) depth: u32,
    /// Every node that was reached, with an act before which it was there; none where that is not known.
    pub(super) reached: BTreeMap<usize, Option<Act>>,
    /// The nodes of this level.
    pub(super) level: BTreeSet<usize>,
    pub(super) next: Vec<usize>,
    /// Reads that do not say which version they read, by target.
    pub(super) reads: BTreeMap<String, Vec<Read>>,
    /// On the way up: same contents elsewhere.
    pub(super) copies: Vec<Copy>,
    /// On the way down: all that touched a target.
    pub(super) touched: BTreeMap<String, Vec<Touch>>,
}

/// A read of a target of unknown version.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) reader: usize,
    pub(super) link: Link,
    pub(super) act: Act,
}

/// A write of the same content to another target.
#[derive(Debug)]
pub(super) struct Copy {
    pub(super) of: usize,
    pub(super) node: Node,
    pub(super) act: Act,
}

/// What one entry says about a target.
#[derive(Debug)]
pub(super) struct Touch {
    pub(super) act: Act,
    pub(super) links: Vec<Link>,
}

impl Lineage {
    /// Takes what an entry says about the nodes of this level.
    pub(super) fn follow(&mut self, walk: &mut Walk, facts: &Facts) {
        let act = Act::new(facts);
        for link in links(facts) {
            match walk.way {
                Way::Up => self.follow_up(walk, &link, &act),
                Way::Down => self.follow_down(walk, &link, &act),
            }
        }
        self.graph.note_run(facts);
    }

    fn follow_up(&mut self, walk: &mut Walk, link: &Link, act: &Act) {
        let to = node_of(&link.to, act.seq);
        let known = self.graph.find(&to).filter(|to| walk.level.contains(to));
        let Some(to) = known else {
            self.find_copies(walk, &to, act);
            return;
        };
        if let Some(Some(reached)) = walk.reached.get(&to)
            && link.relation != Relation::Used
            && act.is_surely_after(reached)
        {
            return;
        }
        if is_said(&link.from) {
            let from = node_of(&link.from, act.seq);
            self.connect(walk, from, to, link, act, None);
        } else if let End::Thing { uri, .. } = &link.from {
            let read = Read {
                reader: to,
                act: act.clone(),
                link: link.clone(),
            };
            walk.reads.entry(uri.clone()).or_default().push(read);
        }
    }

    /// Another target was written with the content of a node of this level.
    fn find_copies(&self, walk: &mut Walk, written: &Node, act: &Act) {
        let Node::Version { uri, ids } = written else {
            return;
        };
        let of = walk.level.iter().find(|number| {
            let known = self.graph.info(**number).map(|info| &info.node);
            matches!(known, Some(Node::Version { uri: other, ids: others })
                if other != uri && others.iter().any(|id| is_digest(id) && ids.contains(id)))
        });
        if let Some(of) = of {
            walk.copies.push(Copy {
                of: *of,
                node: written.clone(),
                act: act.clone(),
            });
        }
    }

    /// Joins the same content elsewhere, where it was there before.
    pub(super) fn copy_edges(&mut self, walk: &mut Walk) {
        let copies = std::mem::take(&mut walk.copies);
        for Copy { of, node, act } in copies {
            let first_write = self.graph.first_write(of);
            let reached = walk.reached.get(&of).cloned().flatten();
            let later = |bound: Option<Act>| bound.is_some_and(|bound| !act.is_before(&bound));
            if later(first_write) || later(reached) {
                continue;
            }
            let link = same_content();
            self.connect(walk, node, of, &link, &act, None);
        }
    }

    fn follow_down(&mut self, walk: &mut Walk, link: &Link, act: &Act) {
        if is_said(&link.from) {
            let from = node_of(&link.from, act.seq);
            if let Some(from) = self
                .graph
                .find(&from)
                .filter(|from| walk.level.contains(from))
            {
                let to = node_of(&link.to, act.seq);
                self.connect(walk, to, from, link, act, None);
            }
        }
        // The same content elsewhere, read or written.
        for end in [&link.from, &link.to] {
            let End::Thing { uri, ids } = end else {
                continue;
            };
            let same = walk.level.iter().copied().find(|number| {
                let known = self.graph.info(*number).map(|info| &info.node);
                matches!(known, Some(Node::Version { uri: other, ids: others })
                    if other != uri && others.iter().any(|id| is_digest(id) && ids.contains(id)))
            });
            if let Some(number) = same {
                let link = same_content();
                self.connect(walk, node_of(end, act.seq), number, &link, act, None);
            }
        }
    }

    /// Adds the edge between a node of this level and the next one, and goes on there.
    fn connect(
        &mut self,
        walk: &mut Walk,
        next: Node,
        known: usize,
        link: &Link,
        act: &Act,
        basis: Option<&Act>,
    ) {
        let Some(next) = self.intern(next, known) else {
            return;
        };
        let up = walk.way == Way::Up;
        let (from, to) = if up { (next, known) } else { (known, next) };
        if from == to {
            return;
        }
        // The other way round it was found already.
        if link.relation == Relation::SameContent && self.graph.has(to, from, link.relation) {
            return;
        }
        self.graph.connect(Edge {
            from,
            to,
            relation: link.relation,
            evidence: link.evidence,
            role: link.role.clone(),
            act: act.clone(),
            basis: basis.cloned(),
            up,
            down: !up,
        });
        if link.relation.is_followed() && !walk.reached.contains_key(&next) {
            // What was there for a read was there before; what was copied or renamed, likewise.
            walk.reached.insert(next, up.then(|| act.clone()));
            walk.next.push(next);
        }
    }

    /// Joins a read of an unknown version to the last writer before it.
    pub(super) fn conclude(&mut self, walk: &mut Walk, uri: &str, read: &Read, touches: &[Touch]) {
        let last = touches
            .iter()
            .filter(|touch| touch.act.is_before(&read.act))
            .max_by_key(|touch| (touch.act.when(), touch.act.seq));
        let written = last.and_then(|touch| {
            let link = touch.links.iter().find(|link| writes(link, uri))?;
            Some((node_of(&link.to, touch.act.seq), &touch.act))
        });
        if let Some((node, basis)) = written {
            let link = Link {
                evidence: Evidence::Inferred,
                ..read.link.clone()
            };
            self.connect(walk, node, read.reader, &link, &read.act, Some(basis));
            return;
        }
        if touches.len() >= MAX_WRITERS {
            self.cut(Cut::Entries(read.reader));
        }
        let node = Node::Target(uri.to_owned());
        self.connect(walk, node, read.reader, &read.link, &read.act, None);
    }

    /// Joins a version to those who read its target without saying which version, while it was the newest.
    pub(super) fn infer_readers(&mut self, walk: &mut Walk, number: usize, uri: &str) {
        let Some(touches) = walk.touched.remove(uri) else {
            return;
        };
        let mut newest: Option<(Node, &Act)> = None;
        let mut found: Vec<(Link, &Act, Option<&Act>)> = Vec::new();
        for touch in &touches {
            let is_newest = match &newest {
                Some((node, _)) => self.graph.find(node) == Some(number),
                // Nobody recorded a version yet.
                None => self.graph.find(&Node::Target(uri.to_owned())) == Some(number),
            };
            for link in &touch.links {
                let unsaid = matches!(&link.from, End::Thing { uri: read, ids }
                    if read == uri && ids.is_empty());
                if unsaid && is_newest {
                    let basis = newest.as_ref().map(|(_, act)| *act);
                    let evidence = match basis {
                        Some(_) => Evidence::Inferred,
                        None => link.evidence,
                    };
                    let link = Link {
                        evidence,
                        ..link.clone()
                    };
                    found.push((link, &touch.act, basis));
                }
            }
            if let Some(link) = touch.links.iter().find(|link| writes(link, uri)) {
                newest = Some((node_of(&link.to, touch.act.seq), &touch.act));
            }
        }
        for (link, act, basis) in found {
            let to = node_of(&link.to, act.seq);
            self.connect(walk, to, number, &link, act, basis);
        }
        walk.touched.insert(uri.to_owned(), touches);
    }
}

/// Whether it is said which version: everything but a thing without ids.
pub(super) fn is_said(end: &End) -> bool {
    !matches!(end, End::Thing { ids, .. } if ids.is_empty())
}

/// Whether a link makes a version of a target.
pub(super) fn writes(link: &Link, uri: &str) -> bool {
    matches!(&link.to, End::Thing { uri: written, .. } if written == uri)
}

fn same_content() -> Link {
    let nobody = End::Actor(String::new());
    Link {
        from: nobody.clone(),
        to: nobody,
        relation: Relation::SameContent,
        evidence: Evidence::Declared,
        role: String::new(),
    }
}
