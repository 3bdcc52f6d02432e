//! What investigators want to know: which questions to ask a ledger for it, and what the answers mean.
//!
//! - [`Coverage`]: which sources were heard from, and where something is missing
//! - [`Links`]: which names meant the same, and when; with [`Expander`], filters that ask for all of them
//!
//! Each is a state machine that asks nobody by itself. Whoever drives it takes the next [`Question`], gives it the entries
//! that match, and begins again, until there is nothing left to ask. So the command line answers the questions with proofs
//! that nothing was left out, and a server answers the same ones from its own disk.
//!
//! All of them are bounded, and say what was cut off.

mod clusters;
mod coverage;
mod links;
mod question;
mod times;

pub use coverage::{
    Clock, Coverage, CoverageOptions, Expected, MAX_FINDINGS, MAX_SOURCES, SourceReport,
    SourceState, Step as ClockStep, range_of,
};
pub use links::{Alias, Expander, Expansion, Link, Links, MAX_LINKS, MAX_NAMES, NameKind};
pub use question::{Inquiry, Question, literal};
pub use times::{Span, Times};
