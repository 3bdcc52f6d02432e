//! Receipts, evidence and whole-ledger audits: what is wrong with what a ledger says, and where.
//!
//! # Layout
//!
//! - [`Verdict`], [`Finding`], [`Check`], [`Reason`]: the words of every result
//! - [`verify_receipt`], [`expand_receipt`]: what an append was answered with
//! - [`Evidence`]: one entry with its proof as a file, for someone who has no server
//! - [`Case`]: an answer with its proof as a file, likewise, and [`Withholding`]: what of it can be kept back
//! - [`verify_page`], [`verify_count`]: that an answer to a question leaves no entry out
//! - [`Rederivation`]: the search index built again and held against every seal
//! - [`Accusation`]: what shows anybody that a seal is false
//! - [`check_entry`], [`Audit`]: every entry of a ledger, from wherever they come
//!
//! Nothing here believes a hash, a size or a key because a ledger sent it: hashes are computed from
//! bytes, sizes come from signed checkpoints, and keys from the caller.

mod accusation;
mod accusation_file;
mod audit;
mod case;
mod case_answer;
mod case_coverage;
mod case_file;
mod case_text;
mod count;
mod disclosure;
mod entry;
mod evidence;
mod evidence_file;
mod expand;
mod holds;
mod originals;
mod page;
mod receipt;
mod rederive;
mod search;
mod text;
mod trust;
mod verdict;
mod withhold;

pub use accusation::{
    Accusation, Contradiction, Judgement, Lie, MAX_ACCUSED_SEGMENTS, ShownEntry, ShownSegment,
};
pub use accusation_file::{ACCUSATION_FORMAT, MAX_ACCUSATION_BYTES};
pub use audit::{Audit, AuditReport};
pub use case::{Case, CaseReport, Extends, Made, ProvedCase};
pub use case_answer::{Answered, CaseAnswer, CasePage};
pub use case_coverage::{CaseCoverage, Heard, HeardSource};
pub use case_file::{MAX_CASE_BYTES, file_format};
pub use case_text::ranges_text;
pub use count::{CountQuestion, ProvedCounts, verify_count};
pub use disclosure::Disclosure;
pub use entry::{CheckedEntry, check_entry, erased_by};
pub use evidence::{
    ErasedBy, ErasedPart, ErasureEntry, Evidence, EvidenceReport, FirstEntry, Minimum,
};
pub use evidence_file::MAX_EVIDENCE_BYTES;
pub use expand::expand_receipt;
pub use holds::SecondLook;
pub use originals::Originals;
pub use receipt::{Expected, verify_receipt};
pub use rederive::{
    DeriveError, Derived, DerivedSegment, Deriving, FalseSeal, Kept, Rederivation, Rederived,
    Scratch,
};
pub use search::{ProvedPage, Question, verify_page};
pub use verdict::{Check, Finding, Reason, Verdict};
pub use withhold::Withholding;
