//! A lineage as rows and for Graphviz.

use std::io::{self, Write};

use serde::Serialize;

use super::escape::escape;
use super::records::{ACT_COLUMNS, ActRecord, Machine, Record, write_records};
use crate::entry::json::{short_version, time};
use crate::entry::v1;
use crate::inquiry::{Cut, Direction, Edge, Evidence, Lineage, Node, NodeInfo, Relation, Stretch};

/// A lineage to write.
pub(crate) struct Traced {
    pub(super) root: usize,
    pub(super) direction: Direction,
    pub(super) nodes: Vec<NodeInfo>,
    pub(super) edges: Vec<Edge>,
    cuts: Vec<Cut>,
}

impl Traced {
    pub(crate) fn new(lineage: Lineage, direction: Direction) -> Self {
        let root = lineage.root();
        let cuts = lineage.cuts().to_vec();
        let (nodes, edges) = lineage.into_graph();
        Self {
            root,
            direction,
            nodes,
            edges,
            cuts,
        }
    }

    /// Which entries it is about.
    pub(crate) fn stretches(&self) -> Vec<Stretch> {
        Stretch::of_lineage(&self.edges, self.direction)
    }

    pub(crate) fn cuts(&self) -> &[Cut] {
        &self.cuts
    }

    /// A node for people, safe on a terminal.
    pub(crate) fn name(&self, number: usize) -> String {
        self.nodes
            .get(number)
            .map(|info| name(&info.node))
            .unwrap_or_default()
    }

    pub(crate) fn write_jsonl(&self) -> io::Result<()> {
        self.write_records(Machine::Jsonl)
    }

    pub(crate) fn write_json(&self) -> io::Result<()> {
        self.write_records(Machine::Json)
    }

    pub(crate) fn write_csv(&self) -> io::Result<()> {
        self.write_records(Machine::Csv)
    }

    fn write_records(&self, format: Machine) -> io::Result<()> {
        let node = |number: usize| self.nodes.get(number).map(NodeRecord::new);
        let edges = self.edges.iter().map(|edge| {
            Row::Edge(Box::new(EdgeRow {
                kind: "edge",
                relation: edge.relation.word(),
                evidence: edge.evidence.word(),
                role: &edge.role,
                from: node(edge.from),
                to: node(edge.to),
                act: ActRecord::new(&edge.act),
                version_from_seq: edge.basis.as_ref().map(|basis| basis.seq),
                up: edge.up,
                down: edge.down,
            }))
        });
        let cuts = self.cuts.iter().map(|cut| {
            Row::Cut(CutRow {
                kind: "cut_off",
                node: node(cut.node()),
                why: cut.why(),
            })
        });
        let rows: Vec<Row<'_>> = edges.chain(cuts).collect();
        let mut columns = vec![
            "kind",
            "relation",
            "evidence",
            "role",
            "from",
            "from_version",
            "to",
            "to_version",
        ];
        columns.extend(ACT_COLUMNS);
        columns.extend(["version_from_seq", "why"]);
        write_records(format, &columns, &rows)
    }

    /// Writes the lineage for Graphviz, from what something was made from to what was made from it.
    pub(crate) fn write_dot(&self) -> io::Result<()> {
        let mut out = io::BufWriter::new(io::stdout().lock());
        writeln!(
            out,
            "digraph lineage {{\n  rankdir=LR;\n  node [fontname=\"sans-serif\"];"
        )?;
        writeln!(out, "  edge [fontname=\"sans-serif\", fontsize=10];")?;
        for (number, info) in self.nodes.iter().enumerate() {
            let shape = match info.node {
                Node::Run(_) => "box",
                Node::Actor(_) => "house",
                _ => "ellipse",
            };
            let pen = if number == self.root { 2 } else { 1 };
            let label = [name(&info.node), about(info)].join("\n");
            let label = quoted(label.trim_end());
            writeln!(
                out,
                "  n{number} [shape={shape}, penwidth={pen}, label={label}];"
            )?;
        }
        for edge in &self.edges {
            let style = match edge.evidence {
                Evidence::Inferred => "dashed",
                Evidence::Observed | Evidence::Declared | Evidence::Unstated => "solid",
            };
            let label = format!(
                "{}\n{}, entry {}\n{}\n{}",
                edge.relation.word().replace('_', " "),
                edge.evidence.word(),
                edge.act.seq,
                super::records::when(&edge.act),
                escape(edge.act.actor.text()),
            );
            let (from, to, label) = (edge.from, edge.to, quoted(&label));
            writeln!(out, "  n{from} -> n{to} [style={style}, label={label}];")?;
        }
        writeln!(out, "}}")?;
        out.flush()
    }
}

/// A string of the DOT language. In a label backslashes would begin escapes, and ampersands the entities of HTML, by which a
/// name could draw what it has not.
fn quoted(text: &str) -> String {
    let text = text
        .replace('&', "&amp;")
        .replace('\\', "\\\\")
        .replace('"', "\\\"");
    format!("\"{}\"", text.replace('\n', "\\n"))
}

/// A node for people, safe on a terminal.
pub(super) fn name(node: &Node) -> String {
    let named = |uri: &str| match uri {
        "" => String::new(),
        uri => format!("{}  ", escape(uri)),
    };
    match node {
        Node::Run(id) => format!("run {}", escape(id)),
        Node::Version { uri, ids } => {
            let ids = ids.clone();
            let version = v1::Version {
                ids,
                ..Default::default()
            };
            format!("{}{}", named(uri), escape(&short_version(&version)))
        }
        Node::Written { uri, seq } => format!("{}unknown version of entry {seq}", named(uri)),
        Node::Target(uri) => escape(uri).into_owned(),
        Node::Content(digest) => escape(digest).into_owned(),
        Node::Actor(actor) if actor.is_empty() => "unknown".to_owned(),
        Node::Actor(actor) => escape(actor).into_owned(),
    }
}

/// What else is known about a node.
pub(super) fn about(info: &NodeInfo) -> String {
    let gpus = info.gpus.map(|gpus| match gpus {
        1 => "1 GPU".to_owned(),
        gpus => format!("{gpus} GPUs"),
    });
    let owner = Some(&info.owner).filter(|owner| !owner.is_empty());
    let actor = info.first.as_ref().and_then(|first| first.actor.said());
    let started = info.first.as_ref().map(super::records::when);
    let parts = [
        Some(escape(&info.job).into_owned()),
        gpus,
        owner
            .map(String::as_str)
            .or(actor)
            .map(|who| escape(who).into_owned()),
        started,
    ];
    let parts: Vec<String> = parts
        .into_iter()
        .flatten()
        .filter(|part| !part.is_empty())
        .collect();
    parts.join(", ")
}

#[derive(Serialize)]
#[serde(untagged)]
enum Row<'a> {
    Edge(Box<EdgeRow<'a>>),
    Cut(CutRow<'a>),
}

#[derive(Serialize)]
struct EdgeRow<'a> {
    kind: &'static str,
    relation: &'static str,
    evidence: &'static str,
    role: &'a str,
    from: Option<NodeRecord<'a>>,
    to: Option<NodeRecord<'a>>,
    #[serde(flatten)]
    act: ActRecord<'a>,
    /// The entry that the version was concluded from.
    version_from_seq: Option<u64>,
    up: bool,
    down: bool,
}

#[derive(Serialize)]
struct CutRow<'a> {
    kind: &'static str,
    node: Option<NodeRecord<'a>>,
    why: &'static str,
}

#[derive(Serialize, Default)]
struct NodeRecord<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    run: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    job: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gpus: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_seen_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'a [String]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    written_by_seq: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    actor: Option<&'a str>,
}

impl<'a> NodeRecord<'a> {
    fn new(info: &'a NodeInfo) -> Self {
        let said = |text: &'a str| (!text.is_empty()).then_some(text);
        let blank = Self::default();
        match &info.node {
            Node::Run(id) => Self {
                run: Some(id),
                job: said(&info.job),
                namespace: said(&info.namespace),
                gpus: info.gpus,
                owner: said(&info.owner),
                first_seen_at: info.first.as_ref().and_then(|act| time::write(act.when())),
                ..blank
            },
            Node::Version { uri, ids } => Self {
                target: said(uri),
                version: Some(ids),
                ..blank
            },
            Node::Written { uri, seq } => Self {
                target: Some(uri),
                written_by_seq: Some(*seq),
                ..blank
            },
            Node::Target(uri) => Self {
                target: Some(uri),
                ..blank
            },
            Node::Content(digest) => Self {
                content: Some(digest),
                ..blank
            },
            Node::Actor(actor) => Self {
                actor: Some(actor),
                ..blank
            },
        }
    }

    /// What it is called, and its version.
    fn cells(&self) -> [String; 2] {
        let run = self.run.map(|run| format!("run:{run}"));
        let name = run.or(self
            .target
            .or(self.content)
            .or(self.actor)
            .map(str::to_owned));
        let version = match (self.version, self.written_by_seq) {
            (Some(ids), _) => ids.join(" "),
            (None, Some(seq)) => format!("unknown version of entry {seq}"),
            (None, None) => String::new(),
        };
        [name.unwrap_or_default(), version]
    }
}

impl Record for Row<'_> {
    fn cells(&self) -> Vec<String> {
        let node = |node: &Option<NodeRecord<'_>>| {
            node.as_ref().map(NodeRecord::cells).unwrap_or_default()
        };
        match self {
            Self::Edge(edge) => {
                let mut cells = vec![
                    edge.kind.to_owned(),
                    edge.relation.to_owned(),
                    edge.evidence.to_owned(),
                    edge.role.to_owned(),
                ];
                cells.extend(node(&edge.from));
                cells.extend(node(&edge.to));
                cells.extend(edge.act.cells());
                let seq = edge.version_from_seq.map(|seq| seq.to_string());
                cells.extend([seq.unwrap_or_default(), String::new()]);
                cells
            }
            Self::Cut(cut) => {
                let mut cells = vec![cut.kind.to_owned()];
                cells.resize(4, String::new());
                cells.extend(node(&cut.node));
                cells.resize(9 + ACT_COLUMNS.len(), String::new());
                cells.push(cut.why.to_owned());
                cells
            }
        }
    }
}

impl Traced {
    /// The edges from a node on, in one direction.
    pub(super) fn beyond(&self, number: usize, up: bool) -> impl Iterator<Item = (&Edge, usize)> {
        self.edges.iter().filter_map(move |edge| match up {
            true if edge.up && edge.to == number => Some((edge, edge.from)),
            false if edge.down && edge.from == number => Some((edge, edge.to)),
            _ => None,
        })
    }

    pub(super) fn is_cut(&self, number: usize) -> bool {
        self.cuts.iter().any(|cut| cut.node() == number)
    }

    pub(super) fn is_end(edge: &Edge) -> bool {
        edge.relation == Relation::Replaced
    }
}
