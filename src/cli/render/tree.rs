//! A lineage as a tree for people.

use std::collections::BTreeSet;
use std::io;

use super::escape::escape;
use super::lineage::{Traced, about, name};
use super::lines::Lines;
use super::records::when;
use crate::inquiry::{Direction, Edge, Evidence, Node, Relation};

impl Traced {
    /// Writes one tree for each direction.
    pub(crate) fn write_tree(&self) -> io::Result<()> {
        let mut out = Lines::stdout();
        let both = self.direction == Direction::All;
        for up in [true, false] {
            let wanted = match self.direction {
                Direction::Up => up,
                Direction::Down => !up,
                Direction::All => true,
            };
            if !wanted {
                continue;
            }
            if both {
                if !up {
                    out.write("", "")?;
                }
                out.write(if up { "Made from" } else { "Made of it" }, "")?;
            }
            out.write(&self.node_line(self.root), "│    ")?;
            let mut shown = BTreeSet::from([self.root]);
            self.write_beyond(&mut out, self.root, up, "", &mut shown)?;
        }
        out.finish()
    }

    fn write_beyond(
        &self,
        out: &mut Lines,
        number: usize,
        up: bool,
        indent: &str,
        shown: &mut BTreeSet<usize>,
    ) -> io::Result<()> {
        let beyond: Vec<(&Edge, usize)> = self.beyond(number, up).collect();
        let last = beyond.len().saturating_sub(1);
        for (index, (edge, next)) in beyond.into_iter().enumerate() {
            let (branch, below) = if index == last {
                ("└─ ", "   ")
            } else {
                ("├─ ", "│  ")
            };
            let end = Self::is_end(edge);
            let again = !end && shown.contains(&next);
            let mark = if again { "  (shown above)" } else { "" };
            let phrase = phrase(edge, up);
            let below = format!("{indent}{below}");
            let (hang, deep) = (format!("{below}  "), format!("{below}       "));
            let line = format!("{indent}{branch}{phrase} {}{mark}", self.node_line(next));
            out.write(&line, &hang)?;
            out.write(&format!("{below}     {}", details(edge)), &deep)?;
            if again || end {
                continue;
            }
            shown.insert(next);
            if up && self.nobody_wrote(next) {
                let line = format!("{below}└─ no entry says who wrote it");
                out.write(&line, &hang)?;
            }
            self.write_beyond(out, next, up, &below, shown)?;
        }
        Ok(())
    }

    /// Whether a version was looked into, and no entry says where it comes from.
    fn nobody_wrote(&self, number: usize) -> bool {
        let node = self.nodes.get(number).map(|info| &info.node);
        let is_version = matches!(node, Some(Node::Version { .. } | Node::Target(_)));
        is_version && !self.is_cut(number) && self.beyond(number, true).next().is_none()
    }

    fn node_line(&self, number: usize) -> String {
        let Some(info) = self.nodes.get(number) else {
            return String::new();
        };
        match about(info) {
            about if about.is_empty() => name(&info.node),
            about => format!("{}  ({about})", name(&info.node)),
        }
    }
}

fn phrase(edge: &Edge, up: bool) -> String {
    let role = match edge.role.as_str() {
        "" => String::new(),
        role => format!(" {}", escape(role)),
    };
    match (edge.relation, up) {
        (Relation::Used, true) => format!("used{role}"),
        (Relation::Used, false) => format!("used{role} by"),
        (Relation::Wrote, true) => "written by".into(),
        (Relation::Wrote, false) => format!("wrote{role}"),
        (Relation::Created, true) => "made by".into(),
        (Relation::Created, false) => "made".into(),
        (Relation::Revised, true) => "edited from".into(),
        (Relation::Revised, false) => "edited into".into(),
        (Relation::Replaced, true) => "in place of".into(),
        (Relation::Replaced, false) => "replaced by".into(),
        (Relation::Renamed, true) => "renamed from".into(),
        (Relation::Renamed, false) => "renamed to".into(),
        (Relation::Copied, true) => "copied from".into(),
        (Relation::Copied, false) => "copied to".into(),
        (Relation::Derived, true) => "made from".into(),
        (Relation::Derived, false) => "made into".into(),
        (Relation::Started, true) => "started by".into(),
        (Relation::Started, false) => "started".into(),
        (Relation::SameContent, _) => "same content as".into(),
        (Relation::Is, _) => "is".into(),
    }
}

/// How it is known, by which entry, when and by whom.
fn details(edge: &Edge) -> String {
    let act = &edge.act;
    let (seq, at, who) = (act.seq, when(act), escape(act.actor.text()));
    let foreign = if act.foreign { ", on another's" } else { "" };
    let how = match (edge.relation, edge.evidence) {
        (Relation::SameContent, _) => "by content",
        (_, Evidence::Unstated) => "not said how it is known",
        (_, evidence) => evidence.word(),
    };
    let said = format!("{how}: entry {seq}, {at}, {who}{foreign}");
    match &edge.basis {
        Some(basis) => {
            let (seq, at, who) = (basis.seq, when(basis), escape(basis.actor.text()));
            format!("{said}; last written by entry {seq}, {at}, {who}")
        }
        None => said,
    }
}
