//! Lineage: what something was made from, and what was made from it.
//!
//! Nodes are runs, versions of targets, and the actors who made a version outside of any run. An edge says that one was
//! made from the other, and stands on one entry: what it says about inputs and outputs, about versions before and after,
//! about the run that started a run. A run that read a target without saying which version is joined to its last writer
//! before it; that edge is concluded from path and time, and says so. Versions of two targets with a digest in common are
//! the same content.
//!
//! Followed level by level, so that what is cut off is what is furthest away.

mod asking;
mod filters;
mod graph;
mod links;
mod walk;

use crate::entry::v1;
use crate::index::filter::FilterError;

use super::question::beginning;
use super::version::reads_as_digest;
use super::{Act, Question, literal};

pub use asking::Lineage;

/// The most nodes of a lineage.
pub const MAX_NODES: usize = 2_000;
/// The deepest lineage, in edges from its start.
pub const MAX_DEPTH: u32 = 64;

/// What lineage is asked of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// A run, by its id.
    Run(String),
    /// All versions of a target, by its name.
    Target(String),
    /// All that has this content: a digest with its scheme, whole or its beginning; or whole without.
    Content(String),
}

impl Start {
    /// What a text means: a name with `://`, or one that begins with `other:`, is a target; a digest is one; all else is a
    /// run. `run:`, `target:` and `digest:` in front say it.
    pub fn parse(text: &str) -> Result<Self, LineageError> {
        let named = |prefix| text.strip_prefix(prefix).map(str::to_owned);
        let start = if let Some(id) = named("run:") {
            Self::Run(id)
        } else if let Some(uri) = named("target:") {
            Self::Target(uri)
        } else if let Some(digest) = named("digest:") {
            if !reads_as_digest(&digest) {
                return Err(LineageError::NotADigest(digest));
            }
            Self::Content(digest)
        } else if text.contains("://") || text.starts_with("other:") {
            Self::Target(text.to_owned())
        } else if reads_as_digest(text) {
            Self::Content(text.to_owned())
        } else {
            Self::Run(text.to_owned())
        };
        match &start {
            Self::Run(name) | Self::Target(name) if name.is_empty() => Err(LineageError::Empty),
            _ => Ok(start),
        }
    }

    fn node(&self) -> Node {
        match self {
            Self::Run(id) => Node::Run(id.clone()),
            Self::Target(uri) => Node::Target(uri.clone()),
            Self::Content(digest) => Node::Content(digest.clone()),
        }
    }

    /// Finds what the start stands for.
    fn question(&self) -> Result<Question, FilterError> {
        match self {
            Self::Run(id) => Question::new(&format!("run = {}", literal(id))),
            Self::Target(uri) => {
                let uri = literal(uri);
                Question::new(&format!(
                    "(target = {uri} OR previous_target = {uri} OR input = {uri} OR output = {uri})"
                ))
            }
            Self::Content(digest) => {
                let digits = digest
                    .split_once(':')
                    .map_or(digest.as_str(), |(_, digits)| digits);
                let (digest, digits) = (beginning(digest), beginning(digits));
                Question::new(&format!(
                    "(digest = {digest} OR commit = {digits} OR image = {digest})"
                ))
            }
        }
    }
}

/// Why lineage cannot be asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LineageError {
    /// It has no name.
    #[error("of what? give a run, a target or a digest")]
    Empty,
    /// `digest:` stands before something else.
    #[error(
        "{0} is not a digest: expected a scheme, a colon and at least 7 hexadecimal digits, or all digits of one"
    )]
    NotADigest(String),
    /// A name is too long to ask about.
    #[error("cannot be asked: {0}")]
    Filter(#[from] FilterError),
}

/// Which way lineage is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// What it was made from.
    Up,
    /// What was made from it.
    Down,
    /// Both.
    All,
}

/// How lineage is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineageOptions {
    /// Which way.
    pub direction: Direction,
    /// How many edges from the start; at most [`MAX_DEPTH`].
    pub depth: u32,
    /// The most nodes; at most [`MAX_NODES`].
    pub nodes: usize,
}

/// Something in a lineage.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Node {
    /// A run, by its id.
    Run(String),
    /// A version of a target. The name is empty for an image that was named by its digest alone.
    Version {
        /// The target's name.
        uri: String,
        /// The version's ids; at least one.
        ids: Vec<String>,
    },
    /// A version of a target that is not known, by the entry that wrote it.
    Written {
        /// The target's name.
        uri: String,
        /// The entry.
        seq: u64,
    },
    /// A target of which it is not known which version.
    Target(String),
    /// Whatever has this content.
    Content(String),
    /// Who made a version outside of any run; empty if it was not said.
    Actor(String),
}

impl Node {
    /// The target's name, if it is a version of one.
    pub fn uri(&self) -> Option<&str> {
        match self {
            Self::Version { uri, .. } | Self::Written { uri, .. } | Self::Target(uri) => Some(uri),
            Self::Run(_) | Self::Content(_) | Self::Actor(_) => None,
        }
    }
}

/// A node with what its entries say about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeInfo {
    /// What it is.
    pub node: Node,
    /// The job's name of a run; this and what follows is empty where it was not said.
    pub job: String,
    /// The job's namespace.
    pub namespace: String,
    /// The GPUs of a run.
    pub gpus: Option<u32>,
    /// The owner of the run's job.
    pub owner: String,
    /// The first act of the run or of its job that was seen.
    pub first: Option<Act>,
}

impl NodeInfo {
    fn new(node: Node) -> Self {
        Self {
            node,
            job: String::new(),
            namespace: String::new(),
            gpus: None,
            owner: String::new(),
            first: None,
        }
    }
}

/// What an edge says. The names are those of W3C PROV where it has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Relation {
    /// The run used the version (`prov:used`).
    Used,
    /// The run wrote the version (`prov:wasGeneratedBy`).
    Wrote,
    /// The actor made the version, outside of any run.
    Created,
    /// The version was edited into the next (`prov:wasRevisionOf`).
    Revised,
    /// The version was overwritten with a content that does not come from it. Not followed.
    Replaced,
    /// The target was renamed.
    Renamed,
    /// The target was copied.
    Copied,
    /// The version was made from the other by an act outside of any run (`prov:wasDerivedFrom`).
    Derived,
    /// The run started the other.
    Started,
    /// Two versions of two targets are the same content: they have a digest in common.
    SameContent,
    /// A version of the target, or with the content, that was asked about.
    Is,
}

impl Relation {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Used => "used",
            Self::Wrote => "wrote",
            Self::Created => "created",
            Self::Revised => "revised",
            Self::Replaced => "replaced",
            Self::Renamed => "renamed",
            Self::Copied => "copied",
            Self::Derived => "derived",
            Self::Started => "started",
            Self::SameContent => "same_content",
            Self::Is => "is",
        }
    }

    fn is_followed(self) -> bool {
        self != Self::Replaced
    }
}

/// How an edge is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Evidence {
    /// An agent saw it happen.
    Observed,
    /// The record says so.
    Declared,
    /// Concluded from path and time, by whoever sent the record or here.
    Inferred,
    /// The record names it and does not say how it is known.
    Unstated,
}

impl Evidence {
    fn of(evidence: v1::Evidence) -> Self {
        match evidence {
            v1::Evidence::Unspecified => Self::Unstated,
            v1::Evidence::Observed => Self::Observed,
            v1::Evidence::Declared => Self::Declared,
            v1::Evidence::Inferred => Self::Inferred,
        }
    }

    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Observed => "observed",
            Self::Declared => "declared",
            Self::Inferred => "inferred",
            Self::Unstated => "unstated",
        }
    }
}

/// One was made from the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edge {
    /// The number of the node that it was made from.
    pub from: usize,
    /// The number of the node that was made.
    pub to: usize,
    /// How.
    pub relation: Relation,
    /// How that is known.
    pub evidence: Evidence,
    /// What it was used as, or the action that wrote it; can be empty.
    pub role: String,
    /// The entry that says so.
    pub act: Act,
    /// Where the version was concluded: the entry that wrote it last.
    pub basis: Option<Act>,
    /// It was found on the way up.
    pub up: bool,
    /// It was found on the way down.
    pub down: bool,
}

/// What was not followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// The node lies as deep as was asked for; what is beyond it was not looked at.
    Depth(usize),
    /// There is no room for more nodes; some that the node leads to are missing.
    Nodes(usize),
    /// There are more entries about the node than are read.
    Entries(usize),
    /// As many questions were asked as may be; the node was not asked about.
    Questions(usize),
    /// The node's name is too long to ask about.
    Name(usize),
}

impl Cut {
    /// The number of the node.
    pub fn node(self) -> usize {
        match self {
            Self::Depth(node)
            | Self::Nodes(node)
            | Self::Entries(node)
            | Self::Questions(node)
            | Self::Name(node) => node,
        }
    }

    /// Why, in words.
    pub fn why(self) -> &'static str {
        match self {
            Self::Depth(_) => "as deep as was asked for",
            Self::Nodes(_) => "as many nodes as there may be",
            Self::Entries(_) => "more entries than are read",
            Self::Questions(_) => "as many questions as may be asked",
            Self::Name(_) => "a name too long to ask about",
        }
    }
}
