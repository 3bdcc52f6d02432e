//! Shows segments of the sealed index as they are kept.

use std::ops::Range;
use std::sync::Arc;

use super::Ledger;
use super::error::LedgerError;
use super::published::Published;
use super::reader::SealedEntry;
use super::segment_objects::unreadable;
use crate::entry::v1;
use crate::index::{SegmentId, SegmentRecord, TermRange};
use crate::merkle::Hash;

/// What is to be shown of a segment.
#[derive(Debug, Clone)]
pub struct SegmentQuestion {
    /// The segment, one of those that cover the ledger.
    pub id: SegmentId,
    /// The indices of the leaves.
    pub leaves: Range<u64>,
    /// The terms of these leaves of which the postings are to be shown.
    pub terms: TermRange,
    /// The seqs at which they are to be shown.
    pub window: Range<u64>,
}

/// Leaves of a segment, with all that binds them to a checkpoint.
#[derive(Debug, Clone)]
pub struct SegmentPage {
    /// The checkpoint.
    pub published: Arc<Published>,
    /// The newest seal, with its inclusion in the checkpoint's tree.
    pub seal: (SealedEntry, Vec<Hash>),
    /// The segment's record.
    pub record: SegmentRecord,
    /// That the seal commits to it.
    pub hashes: Vec<Hash>,
    /// The leaves.
    pub leaves: v1::TermProof,
}

impl Ledger {
    /// Shows a segment that the newest seal commits to.
    ///
    /// # Errors
    ///
    /// It is none of those that cover the ledger, or it cannot be read.
    pub fn show_segment(&self, question: &SegmentQuestion) -> Result<SegmentPage, LedgerError> {
        // In this order, so that the seal is below the checkpoint.
        let sealed = self.segments.sealed();
        let published = self.published();
        let SegmentId { level, number } = question.id;
        let (Some(seq), Some(segment)) = (sealed.seal, sealed.segments.get(&question.id)) else {
            let what =
                format!("segment {number} of level {level} is none of those that cover the ledger");
            return Err(LedgerError::BadRange(what));
        };
        let found = segment
            .leaves_at(question.leaves.clone())
            .map_err(unreadable)?;
        let leaves = segment
            .prove(&found, &question.terms, &question.window)
            .map_err(unreadable)?;
        let numbers = number..number.saturating_add(1);
        let hashes = self
            .segments
            .prove_records(level, numbers, sealed.levels.segments(level))?;
        Ok(SegmentPage {
            seal: (
                self.reader.entry(seq)?,
                self.prove_inclusion(seq, published.size())?,
            ),
            published,
            record: *segment.record(),
            hashes,
            leaves,
        })
    }
}
