//! The state machine: level by level away from the start.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::ControlFlow;

use super::filters::{made, touches};
use super::graph::{Graph, node_of};
use super::links::{End, links};
use super::walk::{Read, Touch, Walk, Way, is_said, writes};
use super::{
    Cut, Direction, Edge, Evidence, LineageError, LineageOptions, MAX_DEPTH, MAX_NODES, Node,
    NodeInfo, Relation, Start,
};
use crate::index::Facts;
use crate::inquiry::question::any;
use crate::inquiry::version::is_digest_of;
use crate::inquiry::{Act, Inquiry, NameKind, Names, Question, literal};

/// The most questions of one lineage.
const MAX_QUESTIONS: usize = 1_000;
/// The most entries of one answer.
const MAX_ENTRIES: usize = 5_000;
/// The most writers of a target that are looked at to find the last before a time. They come newest first, and late
/// records are among them.
pub(super) const MAX_WRITERS: usize = 200;
/// Bytes of a filter for several nodes; one more node may come on top.
const FILTER_BYTES: usize = 4 * 1024;
/// Nodes of a filter: so many stay below the most comparisons.
const FILTER_NODES: usize = 8;

/// Finds the lineage of something. See [`Inquiry`].
#[derive(Debug)]
pub struct Lineage {
    pub(super) graph: Graph,
    start: Start,
    linked: Names,
    root: usize,
    options: LineageOptions,
    asked: usize,
    cuts: Vec<Cut>,
    /// Whether any entry names the start.
    found: bool,
    stage: Stage,
    /// The ways still to go.
    passes: VecDeque<Way>,
    /// What the start stands for, each with the act that named it.
    selected: Vec<usize>,
    /// What is being asked.
    current: Option<Asking>,
    waiting: VecDeque<(Question, Asking)>,
    /// Entries of the current answer.
    taken: usize,
}

#[derive(Debug)]
enum Stage {
    Selecting,
    Walking(Walk),
    Done,
}

#[derive(Debug)]
enum Asking {
    Start,
    /// These nodes.
    Nodes(Vec<usize>),
    /// Who wrote this target before these read it.
    Writers(String, Vec<Read>, Vec<Touch>),
    /// Who wrote or read this target.
    Path(String, Vec<Touch>),
}

impl Lineage {
    /// The lineage of `start`.
    pub fn new(start: Start, options: LineageOptions) -> Result<Self, LineageError> {
        let options = LineageOptions {
            depth: options.depth.min(MAX_DEPTH),
            nodes: options.nodes.clamp(1, MAX_NODES),
            ..options
        };
        let mut graph = Graph::default();
        let root = graph.intern(start.node(), options.nodes).unwrap_or(0);
        let question = start.question()?;
        let passes = match options.direction {
            Direction::Up => vec![Way::Up],
            Direction::Down => vec![Way::Down],
            Direction::All => vec![Way::Up, Way::Down],
        };
        Ok(Self {
            graph,
            start,
            linked: Names::default(),
            root,
            options,
            asked: 0,
            cuts: Vec::new(),
            found: false,
            stage: Stage::Selecting,
            passes: passes.into(),
            selected: vec![root],
            current: None,
            waiting: VecDeque::from([(question, Asking::Start)]),
            taken: 0,
        })
    }

    /// Begins at a target under every name that meant the same at the time of an entry.
    #[must_use]
    pub fn linked(mut self) -> Self {
        if let Start::Target(name) = &self.start {
            self.linked = Names::linked();
            self.linked.ask([(NameKind::Target, name.clone())]);
        }
        self
    }

    /// The number of the node that was asked about.
    pub fn root(&self) -> usize {
        self.root
    }

    /// Whether any entry names what was asked about.
    pub fn found(&self) -> bool {
        self.found
    }

    /// What was not followed.
    pub fn cuts(&self) -> &[Cut] {
        &self.cuts
    }

    /// How many edges were found so far.
    pub fn edge_count(&self) -> usize {
        self.graph.edge_count()
    }

    /// The nodes, by number, and the edges in the order of the entries that say them.
    pub fn into_graph(self) -> (Vec<NodeInfo>, Vec<Edge>) {
        self.graph.edges()
    }

    pub(super) fn intern(&mut self, node: Node, from: usize) -> Option<usize> {
        let number = self.graph.intern(node, self.options.nodes);
        if number.is_none() {
            self.cut(Cut::Nodes(from));
        }
        number
    }

    pub(super) fn cut(&mut self, cut: Cut) {
        if !self.cuts.contains(&cut) {
            self.cuts.push(cut);
        }
    }

    /// Finds what the start stands for in an entry.
    fn select(&mut self, facts: &Facts) {
        self.found = true;
        let act = Act::new(facts);
        let is_start = |end: &End| match (&self.start, end) {
            (Start::Target(name), End::Thing { uri, .. }) => {
                self.linked.same(NameKind::Target, name, uri, act.when())
            }
            (Start::Content(digest), End::Thing { ids, .. }) => {
                ids.iter().any(|id| is_digest_of(id, digest))
            }
            _ => false,
        };
        let links = links(facts);
        let mut found: Vec<Node> = Vec::new();
        for link in &links {
            let written = matches!(link.to, End::Thing { .. }).then_some(&link.to);
            let ends = [Some(&link.from).filter(|from| is_said(from)), written];
            let ends = ends.into_iter().flatten().filter(|end| is_start(end));
            found.extend(ends.map(|end| node_of(end, act.seq)));
        }
        // What is a job to the scheduler is a run here.
        if let (Start::Target(name), Some(run)) = (&self.start, &facts.what.run)
            && name.starts_with("slurm://")
            && facts.what.targets.iter().any(|target| target.uri == *name)
            && !run.id.is_empty()
        {
            found.push(Node::Run(run.id.clone()));
        }
        for node in found {
            let Some(number) = self.intern(node, self.root) else {
                continue;
            };
            if number == self.root || self.selected.contains(&number) {
                continue;
            }
            self.selected.push(number);
            for way in self.passes.clone() {
                let (from, to) = match way {
                    Way::Up => (number, self.root),
                    Way::Down => (self.root, number),
                };
                self.graph.connect(Edge {
                    from,
                    to,
                    relation: Relation::Is,
                    evidence: Evidence::Declared,
                    role: String::new(),
                    act: act.clone(),
                    basis: None,
                    up: way == Way::Up,
                    down: way == Way::Down,
                });
            }
        }
        self.graph.note_run(facts);
    }

    /// What to do when nothing waits to be asked: the next level, or the next way. Whether there is anything.
    fn advance(&mut self) -> bool {
        match std::mem::replace(&mut self.stage, Stage::Done) {
            Stage::Selecting => {}
            Stage::Walking(mut walk) => {
                if self.reads_wait(&mut walk) {
                    self.stage = Stage::Walking(walk);
                    return true;
                }
                self.copy_edges(&mut walk);
                if self.next_level(&mut walk) {
                    self.stage = Stage::Walking(walk);
                    return true;
                }
            }
            Stage::Done => return false,
        }
        let Some(way) = self.passes.pop_front() else {
            return false;
        };
        let reached = self.selected.iter().map(|number| (*number, None));
        let mut walk = Walk {
            way,
            depth: 0,
            reached: reached.collect(),
            level: BTreeSet::new(),
            next: self.selected.clone(),
            reads: BTreeMap::new(),
            copies: Vec::new(),
            touched: BTreeMap::new(),
        };
        // A level without questions is no end.
        self.next_level(&mut walk);
        self.stage = Stage::Walking(walk);
        true
    }

    /// Asks who wrote what was read in an unknown version. Whether there is any.
    fn reads_wait(&mut self, walk: &mut Walk) -> bool {
        let mut any = false;
        for (uri, reads) in std::mem::take(&mut walk.reads) {
            let name = literal(&uri);
            let filter = format!(
                "((target = {name} AND (after:* OR before:* OR previous_target:*)) OR output = {name})"
            );
            let Ok(question) = Question::new(&filter) else {
                let nodes = reads.iter().map(|read| Cut::Name(read.reader));
                self.cuts.extend(nodes);
                continue;
            };
            let question = Question {
                descending: true,
                ..question
            };
            let asking = Asking::Writers(uri, reads, Vec::new());
            self.waiting.push_back((question, asking));
            any = true;
        }
        any
    }

    /// Goes one edge further. Whether there is anything to go to.
    fn next_level(&mut self, walk: &mut Walk) -> bool {
        walk.level = std::mem::take(&mut walk.next).into_iter().collect();
        if walk.level.is_empty() {
            return false;
        }
        if walk.depth >= self.options.depth {
            for number in &walk.level {
                let known = self.graph.info(*number).map(|info| &info.node);
                if !matches!(known, Some(Node::Actor(_)) | None) {
                    self.cuts.push(Cut::Depth(*number));
                }
            }
            return false;
        }
        walk.depth += 1;
        let mut batch: (Vec<usize>, Vec<String>) = (Vec::new(), Vec::new());
        let level: Vec<(usize, Node)> = walk
            .level
            .iter()
            .filter_map(|number| Some((*number, self.graph.info(*number)?.node.clone())))
            .collect();
        for (number, node) in level {
            self.ask_about(walk, number, &node, &mut batch);
            let bytes: usize = batch.1.iter().map(String::len).sum();
            if bytes > FILTER_BYTES || batch.0.len() >= FILTER_NODES {
                self.ask_batch(std::mem::take(&mut batch));
            }
        }
        self.ask_batch(batch);
        true
    }

    fn ask_batch(&mut self, (numbers, filters): (Vec<usize>, Vec<String>)) {
        if filters.is_empty() {
            return;
        }
        match Question::new(&any(&filters)) {
            Ok(question) => self.waiting.push_back((question, Asking::Nodes(numbers))),
            Err(_) => self.cuts.extend(numbers.into_iter().map(Cut::Name)),
        }
    }

    /// Adds what has to be asked about a node.
    fn ask_about(
        &mut self,
        walk: &mut Walk,
        number: usize,
        node: &Node,
        batch: &mut (Vec<usize>, Vec<String>),
    ) {
        let filter = match (walk.way, node) {
            (Way::Up, Node::Run(id)) => Some(format!("run = {}", literal(id))),
            (Way::Down, Node::Run(id)) => {
                let id = literal(id);
                Some(format!("(run = {id} OR parent_run = {id})"))
            }
            (Way::Up, Node::Version { uri, ids }) => Some(made(uri, ids)),
            (Way::Down, Node::Version { uri, ids }) => Some(touches(uri, ids)),
            // Without a seq in the filter, which no term has.
            (Way::Up, Node::Written { seq, .. }) => {
                if let Ok(question) = Question::new("") {
                    let range = *seq..seq.saturating_add(1);
                    let question = Question { range, ..question };
                    let asking = Asking::Nodes(vec![number]);
                    self.waiting.push_back((question, asking));
                }
                None
            }
            (_, Node::Written { .. } | Node::Target(_) | Node::Content(_) | Node::Actor(_)) => None,
        };
        if let Some(filter) = filter {
            batch.0.push(number);
            batch.1.push(filter);
        }
        if walk.way == Way::Down
            && let Some(uri) = node.uri().filter(|uri| !uri.is_empty())
        {
            if walk.touched.contains_key(uri) {
                self.infer_readers(walk, number, uri);
                return;
            }
            let name = literal(uri);
            let filter = format!(
                "(target = {name} OR previous_target = {name} OR input = {name} OR output = {name})"
            );
            match Question::new(&filter) {
                Ok(question) => {
                    walk.touched.insert(uri.to_owned(), Vec::new());
                    let asking = Asking::Path(uri.to_owned(), Vec::new());
                    self.waiting.push_back((question, asking));
                }
                Err(_) => self.cut(Cut::Name(number)),
            }
        }
    }

    /// The answer to the question before has ended.
    fn finish(&mut self) {
        let Some(asking) = self.current.take() else {
            return;
        };
        let Stage::Walking(mut walk) = std::mem::replace(&mut self.stage, Stage::Done) else {
            self.stage = Stage::Selecting;
            return;
        };
        match asking {
            Asking::Start | Asking::Nodes(_) => {}
            Asking::Writers(uri, reads, touches) => {
                for read in reads {
                    self.conclude(&mut walk, &uri, &read, &touches);
                }
            }
            Asking::Path(uri, mut touches) => {
                touches.sort_by_key(|touch| (touch.act.when(), touch.act.seq));
                walk.touched.insert(uri.clone(), touches);
                let of_target = |number: &usize| {
                    let info = self.graph.info(*number);
                    info.and_then(|info| info.node.uri()) == Some(&uri)
                };
                let numbers: Vec<usize> = walk.level.iter().copied().filter(of_target).collect();
                for number in numbers {
                    self.infer_readers(&mut walk, number, &uri);
                }
            }
        }
        self.stage = Stage::Walking(walk);
    }
}

impl Inquiry for Lineage {
    fn names(&self) -> Option<&Names> {
        Some(&self.linked)
    }

    fn next(&mut self) -> Option<Question> {
        if let Some(question) = self.linked.next() {
            return Some(question);
        }
        self.finish();
        loop {
            if let Some((question, asking)) = self.waiting.pop_front() {
                if self.asked >= MAX_QUESTIONS {
                    self.cut_questions(asking);
                    continue;
                }
                let question = match asking {
                    Asking::Start => self.linked.expand(question.clone()).unwrap_or_else(|_| {
                        self.cut(Cut::Name(self.root));
                        question
                    }),
                    _ => question,
                };
                self.asked += 1;
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
            Asking::Start => {
                self.select(facts);
                MAX_ENTRIES
            }
            Asking::Nodes(_) => {
                if let Stage::Walking(mut walk) = std::mem::replace(&mut self.stage, Stage::Done) {
                    self.follow(&mut walk, facts);
                    self.stage = Stage::Walking(walk);
                }
                MAX_ENTRIES
            }
            Asking::Writers(uri, _, found) => {
                let links = links(facts);
                if links.iter().any(|link| writes(link, uri)) {
                    let act = Act::new(facts);
                    found.push(Touch { act, links });
                }
                MAX_WRITERS
            }
            Asking::Path(_, found) => {
                let (act, links) = (Act::new(facts), links(facts));
                found.push(Touch { act, links });
                self.graph.note_run(facts);
                MAX_ENTRIES
            }
        };
        let enough = self.taken >= most;
        if enough {
            self.cut_entries(&asking);
        }
        self.current = Some(asking);
        if enough {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }
}

impl Lineage {
    /// There are more questions than are asked.
    fn cut_questions(&mut self, asking: Asking) {
        let nodes: Vec<usize> = match asking {
            Asking::Start => vec![self.root],
            Asking::Nodes(nodes) => nodes,
            Asking::Writers(_, reads, _) => reads.iter().map(|read| read.reader).collect(),
            Asking::Path(uri, _) => self.graph.of_target(&uri).into_iter().collect(),
        };
        for node in nodes {
            self.cut(Cut::Questions(node));
        }
    }

    /// There are more entries than are read.
    fn cut_entries(&mut self, asking: &Asking) {
        match asking {
            Asking::Start => self.cut(Cut::Entries(self.root)),
            Asking::Nodes(nodes) => {
                for node in nodes {
                    self.cut(Cut::Entries(*node));
                }
            }
            Asking::Path(uri, _) => {
                if let Some(number) = self.graph.of_target(uri) {
                    self.cut(Cut::Entries(number));
                }
            }
            // Said when no writer before the read is among them.
            Asking::Writers(..) => {}
        }
    }
}
