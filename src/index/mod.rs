//! The search index, which is also the proof that an answer is complete.
//!
//! - [`Facts`]: an entry as the filter sees it, and [`Field`]: everything a filter can ask about
//! - [`terms`](terms()): the index terms of an entry, by one deterministic function, versioned by
//!   [`INDEX_VERSION`](crate::entry::genesis::INDEX_VERSION)
//!
//! A term stands for a value, or for the beginning of one. A list of terms is therefore a superset of what a filter asks
//! for, and the filter is evaluated on every entry of it: by the server for an answer, and again by whoever verifies it.

mod facts;
mod fields;
mod table;
mod terms;

pub use facts::Facts;
pub use fields::{Field, FieldKind, Value, field};
pub use table::FIELDS;
pub use terms::{MAX_TERM_BYTES, Term, VERSION_TERM_BYTES, terms};
