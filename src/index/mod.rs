//! The search index, which is also the proof that an answer is complete.
//!
//! - [`Facts`]: an entry as the filter sees it, and [`Field`]: everything a filter can ask about
//! - [`Term`]: what an entry is found by, made by one deterministic function, versioned by
//!   [`INDEX_VERSION`](crate::entry::genesis::INDEX_VERSION)
//! - [`TermMap`], [`merge`]: segments, built from entries or from the segments below, with [`Segment`] to look terms up and
//!   prove what was found, and [`check_terms`] to check it
//! - [`filter`]: the language of questions, and [`Plan`]: what of a filter terms can answer
//! - [`GroupBy`], [`Counts`]: entries counted by the values of a field
//! - [`Levels`]: what a seal commits to, and which segments cover a range
//!
//! A term stands for a value, or for the beginning of one. A list of terms is therefore a superset of what a filter asks
//! for, and the filter is evaluated on every entry of it: by the server for an answer, and again by whoever verifies it.

mod check;
mod compare;
mod count;
mod facts;
mod fields;
pub mod filter;
mod leaf;
mod lookup;
mod merge;
mod plan;
mod postings;
mod ranges;
mod reader;
mod record;
mod segment;
mod shown;
mod table;
mod term_map;
mod term_range;
mod terms;
mod walk;

pub use check::{TermProofError, check_lists, check_tallies, check_terms};
pub use compare::{Difference, check_form, first_difference, has_term, term_name};
pub use count::{Counts, GroupBy, GroupByError, Tally};
pub use facts::Facts;
pub use fields::{Field, FieldKind, Value, field};
pub use leaf::{INLINE_BYTES, LEAF_TERMS, leaf_terms};
pub use lookup::{Found, Most};
pub use merge::{MergeError, merge};
pub use plan::{Bounds, Candidates, Plan};
pub use postings::CHUNK_OFFSETS;
pub use ranges::Ranges;
pub use reader::{Segment, SegmentError, Source};
pub use record::{FAN_IN, LEVELS, Levels, SegmentId, SegmentRecord, by_level};
pub use segment::{SegmentWriter, Sink};
pub use table::FIELDS;
pub use term_map::TermMap;
pub use term_range::TermRange;
pub use terms::{MAX_TERM_BYTES, Term, VERSION_TERM_BYTES};
