//! Answers to questions.

use std::ops::Range;
use std::sync::Arc;

use tonic::{Response, Status};

use super::access::Scope;
use super::read::{blocking, message};
use super::status::bad_request;
use super::token::{Question, Token};
use crate::entry::{Header, v1};
use crate::index::filter::Filter;
use crate::ledger::{Cost, Ledger, LedgerError, Page, PageProof, Search};
use crate::merkle::Hash;
use crate::store::Direction;

const DEFAULT_PAGE_SIZE: u32 = 100;
const MAX_PAGE_SIZE: u32 = 1_000;
const TOKEN_CONTEXT: &str = "graven v1 page token";

/// Answers a question as far as one page goes.
pub(super) async fn search(
    ledger: &Arc<Ledger>,
    scope: &Scope,
    request: v1::SearchRequest,
) -> Result<Response<v1::SearchResponse>, Status> {
    let filter = parse(&request.filter)?;
    check_question(scope, &filter, request.prove)?;
    let tells_cost = scope.is_everything();
    let page_size = match request.page_size {
        0 => DEFAULT_PAGE_SIZE,
        size if size <= MAX_PAGE_SIZE => size,
        _ => return Err(bad_request("page_size", "is at most 1000")),
    };
    let direction = match request.order() {
        v1::Order::Unspecified | v1::Order::Ascending => Direction::Forward,
        v1::Order::Descending => Direction::Reverse,
    };
    let question = Question::new(
        TOKEN_CONTEXT,
        (request.start, request.end),
        &[&request.filter, &request.order.to_string()],
    );
    let token = Token::of_request(&request.page_token, question, request.size)?;
    blocking(ledger, move |ledger| {
        let asked = token.as_ref().map_or(request.size, |token| token.size);
        let (size, mut range) = asked_range(ledger, asked, request.start, request.end)?;
        if let Some(token) = &token {
            match direction {
                Direction::Forward => range.start = token.next.clamp(range.start, range.end),
                Direction::Reverse => range.end = token.next.clamp(range.start, range.end),
            }
        }
        let page = ledger.search(&Search {
            filter: &filter,
            size,
            range: range.clone(),
            direction,
            limit: page_size as usize,
            prove: request.prove,
        })?;
        let next = match direction {
            Direction::Forward => (page.window.end < range.end).then_some(page.window.end),
            Direction::Reverse => (page.window.start > range.start).then_some(page.window.start),
        };
        let token = next.map(|next| Token {
            next,
            size,
            question,
            within: None,
        });
        let token = token.map_or_else(String::new, |token| token.encode());
        let mut response = response(page, size, token);
        response.cost = response.cost.filter(|_| tells_cost);
        Ok(response)
    })
    .await
}

/// A page of the answer at `size` as it is sent.
pub fn response(page: Page, size: u64, next_page_token: String) -> v1::SearchResponse {
    v1::SearchResponse {
        checkpoint: page.published.note.clone(),
        size,
        start: page.window.start,
        end: page.window.end,
        entries: page.entries.iter().map(message).collect(),
        next_page_token,
        proof: page.proof.map(proof),
        cost: Some(cost(page.cost)),
    }
}

/// Refuses a question whose answer could tell of entries outside of the scope.
///
/// Without a proof, the answer to a filter that is confined to the scope follows from entries within it alone. What was
/// read to find it does not, nor does a proof: the terms that stand beside those asked about, and the candidates that do
/// not match, can be of other entries.
pub(super) fn check_question(scope: &Scope, filter: &Filter, prove: bool) -> Result<(), Status> {
    if prove {
        scope.check_whole(
            "the proof of an answer would show terms and entries outside of them; ask without it",
        )?;
    }
    scope.check_filter(filter)
}

/// A filter as a request has it.
pub(super) fn parse(filter: &str) -> Result<Filter, Status> {
    Filter::parse(filter).map_err(|error| bad_request("filter", &format!("is not one: {error}")))
}

/// The size that a question is answered at, and the seqs it is about. 0 stands for the newest size, and for its end.
pub(super) fn asked_range(
    ledger: &Ledger,
    size: u64,
    start: u64,
    end: u64,
) -> Result<(u64, Range<u64>), LedgerError> {
    let size = match size {
        0 => ledger.published().size(),
        size => size,
    };
    let end = if end == 0 { u64::MAX } else { end };
    if end < start {
        let what = format!("start {start} is after end {end}");
        return Err(LedgerError::BadRange(what));
    }
    Ok((size, start.min(size)..end.min(size)))
}

pub(super) fn cost(cost: Cost) -> v1::SearchCost {
    v1::SearchCost {
        segments: cost.segments,
        entries: cost.entries,
        ranges: cost.ranges,
    }
}

pub(super) fn proof(proof: PageProof) -> v1::SearchProof {
    let bound = |(header, inclusion): (Header, Vec<Hash>)| v1::BoundProof {
        header: header.encode().to_vec(),
        inclusion: inclusion.into_flattened(),
    };
    let (seal, seal_inclusion) = proof.seal.unzip();
    let (root, consistency) = proof.older.unzip();
    v1::SearchProof {
        seal: seal.as_ref().map(message),
        seal_inclusion: seal_inclusion.unwrap_or_default().into_flattened(),
        levels: proof
            .levels
            .into_iter()
            .map(|(level, hashes)| v1::LevelProof {
                level: level.into(),
                hashes: hashes.into_flattened(),
            })
            .collect(),
        segments: proof
            .segments
            .into_iter()
            .map(|(record, ranges)| v1::SegmentProof {
                terms: record.terms,
                root: record.root.to_vec(),
                ranges,
            })
            .collect(),
        runs: proof
            .runs
            .into_iter()
            .map(|hashes| v1::RunProof {
                hashes: hashes.into_flattened(),
            })
            .collect(),
        consistency: consistency.unwrap_or_default().into_flattened(),
        root: root.map_or_else(Vec::new, |root| root.to_vec()),
        earlier: proof.earlier.map(bound),
        later: proof.later.map(bound),
        first: proof.first.map(bound),
        last: proof.last.map(bound),
    }
}
