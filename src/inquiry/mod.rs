//! What investigators want to know: which questions to ask a ledger for it, and what the answers mean.
//!
//! - [`Coverage`]: which sources were heard from, and where something is missing
//! - [`History`]: the versions of a target, and where one is missing that nobody recorded
//! - [`Lineage`]: what a run, a target or a content was made from, and what was made from it
//! - [`Links`]: which names meant the same, and when; with [`Expander`], filters that ask for all of them
//! - [`Reach`]: what could have reached a run
//! - [`Renames`]: which other names the targets of a filter had at other times
//! - [`RunDiff`]: what differs under two runs, and who changed it between them
//! - [`State`]: the newest version of every target at a time
//! - [`Stretch`]: which entries an answer is about, to say who was silent there
//!
//! Each is a state machine that asks nobody by itself. Whoever drives it takes the next [`Question`], gives it the entries
//! that match, and begins again, until there is nothing left to ask. So the command line answers the questions with proofs
//! that nothing was left out, and a server answers the same ones from its own disk.
//!
//! All of them are bounded, and say what was cut off.

mod act;
mod clusters;
mod coverage;
mod history;
mod lineage;
mod links;
mod names;
mod question;
mod reach;
mod renames;
mod run;
mod run_diff;
mod state;
mod stretch;
mod times;
mod version;

pub use act::{Act, Who};
pub use coverage::{
    Clock, Coverage, CoverageOptions, Expected, MAX_FINDINGS, MAX_SOURCES, SourceReport,
    SourceState, Step as ClockStep, range_of,
};
pub use history::{Change, Gap, History, MAX_CHANGES, MAX_HISTORY_NAMES, Step, Unsure};
pub use lineage::{
    Cut, Direction, Edge, Evidence, Lineage, LineageError, LineageOptions, MAX_DEPTH, MAX_NODES,
    Node, NodeInfo, Relation, Start,
};
pub use links::{Alias, Expander, Expansion, Link, Links, MAX_LINKS, MAX_NAMES, NameKind};
pub use names::Names;
pub use question::{Inquiry, Question, literal};
pub use reach::{Reach, Reason, ReasonKind, Whose};
pub use renames::{MAX_RENAMED_NAMES, MAX_RENAMES, Rename, Renames};
pub use run::{Input, RunRecord};
pub use run_diff::{Aspect, Difference, Had, RunDiff, Shared};
pub use state::{MAX_TARGETS, State, TimeBasis};
pub use stretch::{MAX_STRETCHES, Stretch};
pub use times::{Span, Times};
pub use version::{Continuity, continuity, state};
