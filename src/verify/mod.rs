//! Receipts, evidence and whole-ledger audits: what is wrong with what a ledger says, and where.
//!
//! # Layout
//!
//! - [`Verdict`], [`Finding`], [`Check`], [`Reason`]: the words of every result
//! - [`verify_receipt`], [`expand_receipt`]: what an append was answered with
//! - [`Evidence`]: one entry with its proof as a file, for someone who has no server
//! - [`verify_page`]: that an answer to a question leaves no entry out
//! - [`check_entry`], [`Audit`]: every entry of a ledger, from wherever they come
//!
//! Nothing here believes a hash, a size or a key because a ledger sent it: hashes are computed from
//! bytes, sizes come from signed checkpoints, and keys from the caller.

mod audit;
mod entry;
mod evidence;
mod evidence_file;
mod expand;
mod receipt;
mod search;
mod text;
mod trust;
mod verdict;

pub use audit::{Audit, AuditReport};
pub use entry::{CheckedEntry, check_entry};
pub use evidence::{Evidence, EvidenceReport, FirstEntry, Minimum};
pub use evidence_file::MAX_EVIDENCE_BYTES;
pub use expand::expand_receipt;
pub use receipt::{Expected, verify_receipt};
pub use search::{ProvedPage, Question, verify_page};
pub use verdict::{Check, Finding, Reason, Verdict};
