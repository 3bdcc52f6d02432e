//! A receipt for one event out of a receipt for many.

use super::receipt::{Expected, Opened, open_receipt};
use super::verdict::{Check, Finding};
use crate::entry::{CheckedEvent, Header, v1};
use crate::merkle::{Hash, node_hash};

/// The receipt that the event `index` of `events` would have alone, from the one for all of them.
///
/// Needs no ledger: the other events' leaves make up for what the range proof leaves out. The
/// receipt is verified first, so the new one verifies too, with that event alone.
pub fn expand_receipt(
    receipt: &v1::Receipt,
    events: &[&CheckedEvent],
    expected: &Expected,
    index: usize,
) -> Result<v1::Receipt, Finding> {
    let opened = open_receipt(receipt, events, expected)?;
    let missing = || {
        let wanted = format!("event {index} of the receipt");
        Finding::of(Check::Receipt, wanted, format!("{} events", events.len()))
    };
    let header = opened.headers.get(index).ok_or_else(missing)?;
    let envelope = receipt.envelopes.get(index).or(receipt.envelopes.first());
    let seed = opened.seeds.get(index).ok_or_else(missing)?;
    let proof = narrow(&opened, receipt.first_seq, header.seq).ok_or_else(missing)?;
    let redacted = receipt.redacted.iter();
    let redacted = redacted
        .filter(|part| part.index as usize == index)
        .map(|part| v1::RedactedPart {
            index: 0,
            ..part.clone()
        });
    Ok(v1::Receipt {
        first_seq: header.seq,
        recorded_at: header.recorded_at,
        previous: header.prev.to_vec(),
        envelopes: vec![envelope.ok_or_else(missing)?.clone()],
        seeds: seed.to_vec(),
        proof: proof.concat(),
        checkpoint: receipt.checkpoint.clone(),
        redacted: redacted.collect(),
    })
}

/// The range proof of the run that is only the leaf `target`.
fn narrow(opened: &Opened, first: u64, target: u64) -> Option<Vec<Hash>> {
    let leaves: Vec<Hash> = opened.headers.iter().map(Header::leaf_hash).collect();
    let mut walk = Walk {
        first,
        end: first.checked_add(leaves.len() as u64)?,
        target,
        leaves: leaves.iter(),
        proof: opened.proof.iter(),
        siblings: Vec::new(),
    };
    walk.node(0, opened.checkpoint.size())?;
    Some(walk.siblings)
}

/// Rebuilds a tree from a run of leaves and its range proof, left to right.
struct Walk<'a> {
    first: u64,
    end: u64,
    target: u64,
    leaves: std::slice::Iter<'a, Hash>,
    proof: std::slice::Iter<'a, Hash>,
    /// Roots of the largest subtrees without the target, left to right.
    siblings: Vec<Hash>,
}

impl Walk<'_> {
    /// The root over the leaves [`low`, `high`). Recurses once a level, so at most 64 deep.
    fn node(&mut self, low: u64, high: u64) -> Option<Hash> {
        if high <= self.first || low >= self.end {
            return self.proof.next().copied();
        }
        // RFC 6962 §2.1: the left child holds the largest power of two of leaves less than all.
        let Some(level) = (high - low).checked_sub(1)?.checked_ilog2() else {
            return self.leaves.next().copied();
        };
        let middle = low.checked_add(1 << level)?;
        let left = self.node(low, middle)?;
        if (middle..high).contains(&self.target) {
            self.siblings.push(left);
        }
        let right = self.node(middle, high)?;
        if (low..middle).contains(&self.target) {
            self.siblings.push(right);
        }
        Some(node_hash(&left, &right))
    }
}
