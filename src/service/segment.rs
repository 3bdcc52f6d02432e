//! Shows segments of the index.

use std::sync::Arc;

use tonic::{Response, Status};

use super::access::Scope;
use super::read::{blocking, message};
use super::status::bad_request;
use crate::entry::v1;
use crate::index::{MAX_TERM_BYTES, SegmentId, Term, TermRange};
use crate::ledger::{Ledger, SegmentQuestion};

/// The most leaves of an answer.
const MAX_LEAVES: u32 = 256;
/// The most seqs at which postings are shown.
const MAX_SEQS: u64 = 1 << 18;

/// Shows leaves of a segment.
pub(super) async fn get(
    ledger: &Arc<Ledger>,
    scope: &Scope,
    request: v1::GetSegmentRequest,
) -> Result<Response<v1::GetSegmentResponse>, Status> {
    scope.check_whole("the index has the terms of all entries")?;
    let level =
        u8::try_from(request.level).map_err(|_| bad_request("level", "is not one of an index"))?;
    let count = match request.max_leaves {
        0 => MAX_LEAVES,
        count if count <= MAX_LEAVES => count,
        _ => return Err(bad_request("max_leaves", "is at most 256")),
    };
    let window = request.start..request.end.max(request.start);
    if window.end - window.start > MAX_SEQS {
        return Err(bad_request("end", "is at most 262144 behind start"));
    }
    let terms = match request.term {
        Some(term) => TermRange::point(read_term(term)?),
        None => TermRange::nothing(),
    };
    let end = request.first_leaf.saturating_add(u64::from(count));
    let question = SegmentQuestion {
        id: SegmentId {
            level,
            number: request.number,
        },
        leaves: request.first_leaf..end,
        terms,
        window,
    };
    blocking(ledger, move |ledger| {
        let page = ledger.show_segment(&question)?;
        let (seal, inclusion) = &page.seal;
        Ok(v1::GetSegmentResponse {
            checkpoint: page.published.note.clone(),
            seal: Some(message(seal)),
            seal_inclusion: inclusion.as_flattened().to_vec(),
            terms: page.record.terms,
            root: page.record.root.to_vec(),
            hashes: page.hashes.into_flattened(),
            leaves: Some(page.leaves),
        })
    })
    .await
}

fn read_term(term: v1::SegmentTerm) -> Result<Term, Status> {
    let tag = u16::try_from(term.tag).map_err(|_| bad_request("term.tag", "is below 65536"))?;
    if term.value.len() > MAX_TERM_BYTES {
        return Err(bad_request("term.value", "has at most 512 bytes"));
    }
    Ok(Term {
        tag,
        value: term.value,
    })
}
