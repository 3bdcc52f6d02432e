//! The JSON form of an event: what `graven append` reads and what `graven show` and `graven log` print.
//!
//! One flat object; the parts of an event are not visible in it. A short event:
//!
//! ```json
//! {"action": "job.cancel", "actor": "slurm:a100/bob", "source": "slurm:a100",
//!  "target": "slurm://a100/job/8812", "owner": "slurm:a100/alice", "reason": "needs the node"}
//! ```
//!
//! # Fields
//!
//! All are optional to the reader; an event needs `action`, `source` and a target, or a `link` instead of it. A field that is null counts as absent,
//! an unknown field or a field given twice is refused. Limits are those of `proto/graven/v1/event.proto`.
//!
//! | field | value |
//! |---|---|
//! | `action` | text, `<noun>.<verb>` |
//! | `outcome`, `outcome_code` | `success`, `failure` or `denied`; text |
//! | `target` | one target: its name, or an object of `uri`, `instance`, `before`, `after`, `owner`, `previous_uri`, `seen_as`, `ref`, `format` |
//! | `targets` | an array of those, instead of `target` |
//! | `owner` | the owner of the one target |
//! | `actor`, `display_name` | text |
//! | `assurance` | `asserted`, `inferred`, `authenticated`, `attested` or `unspecified`; with an actor it defaults to `asserted` |
//! | `on_behalf_of` | array of text, nearest first |
//! | `session` | object of `id`, `method`, `credential`, `terminal` |
//! | `run` | its id, or an object of `namespace`, `job`, `id`, `parent_id`, `attempt`, `gpus`, `nodes` |
//! | `inputs`, `outputs` | array; each a name, or an object of `uri`, `version`, `evidence` (`observed`, `declared`, `inferred`), `role` |
//! | `code` | object of `repository`, `commit`, `path`, `dirty`, `image` |
//! | `grantee`, `permission`, `participants` | text; text; array of text |
//! | `link` | object of `from`, `to`, `valid_from`, `valid_to`, `authority`; for the actions `identity.link` and `target.link` |
//! | `source`, `source_seq`, `source_id` | text; whole number; text |
//! | `occurred_at`, `observed_at` | RFC 3339 with an offset, to the nanosecond |
//! | `host`, `correlation_id`, `causation_seq` | text; text; whole number |
//! | `process` | object of `pid`, `executable`, `container`, `addresses`, `user_agent` |
//! | `idempotency_id` | text; other bytes are `{"base64": …}` |
//! | `reason`, `ticket`, `review` | text |
//! | `labels` | object of text |
//! | `detail`, `original` | any JSON, or an object of exactly `media_type` and either `text` or `base64` |
//! | `original_digest`, `truncated` | text; true or false |
//! | `empty` | the parts that are there although they say nothing, such as `["who"]`; nobody needs to type it |
//!
//! A version (`before`, `after`, `version`) is one id, an array of ids, one of the words `absent`, `pending`, `too_large` and
//! `unavailable`, or an object of `ids`, `state` and `size` (bytes). It is written as an array of ids or as a word, and as
//! an object only if neither holds all of it: with a size, or with ids and a state. An id that is one of the words is
//! typed in an array.
//!
//! JSON in `detail` and `original` is sealed with the media type `application/json`, without the white space between its
//! tokens and otherwise as it was typed. A log line as its source sent it, byte for byte, is therefore
//! `{"media_type": "text/plain", "text": …}`.
//!
//! # What a ledger adds
//!
//! Written first are `seq`, `recorded_at`, `kind` (`event`, `act`, `seal`), `submitter`, `actor`, `action`, `targets`, `outcome`
//! and `occurred_at`; these are always there, null when the entry does not say, and in each target `uri`, `before` and `after`
//! are. Then comes what else there is, at the end `act` (what the ledger did), `issuer`, `authentication`, `credential`, `peer`,
//! `mapper`, `actor_signature` (`public_key` and `signature`, or `ssh_signature`, in base64), `redactions` (array of objects of `rule`, `field`
//! and `count`: what was put out of the event before it was sealed), `withheld` and `erased` (the parts of which only the
//! commitment is left), and `leaf_hash` in hexadecimal. Lists and targets are written in their long form only, and times
//! in UTC. `graven append` takes back what was written, but for what a ledger did by itself: the filter `kind = event` leaves
//! that out.

mod content;
mod object;
mod out;
mod read;
mod row;
pub(crate) mod time;
pub(crate) mod words;

pub use read::{encode, read, read_row};
pub use row::{Erased, Row, short_version};

/// Why text is not the JSON form of an event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JsonError {
    /// It is not JSON at all.
    #[error("is not JSON: {problem}")]
    Syntax {
        /// What is wrong, with line and column.
        problem: String,
    },
    /// A field has a value it cannot have.
    #[error("{}{}{problem}", .field, if .field.is_empty() { "" } else { ": " })]
    Field {
        /// Its path, such as `targets[1].before`; empty for the event itself.
        field: String,
        /// What is wrong with it.
        problem: String,
    },
}
