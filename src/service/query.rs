//! Answers to questions.

use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use tonic::{Response, Status};

use super::read::{blocking, message};
use super::status::bad_request;
use crate::entry::{Header, v1};
use crate::index::filter::Filter;
use crate::ledger::{Ledger, LedgerError, Page, PageProof, Search};
use crate::merkle::Hash;
use crate::store::Direction;

const DEFAULT_PAGE_SIZE: u32 = 100;
const MAX_PAGE_SIZE: u32 = 1_000;
const TOKEN_VERSION: u8 = 1;
const TOKEN_CONTEXT: &str = "graven v1 page token";

/// Where the next page begins, and of which question it is.
struct Token {
    next: u64,
    size: u64,
    question: [u8; 16],
}

/// Answers a question as far as one page goes.
pub(super) async fn search(
    ledger: &Arc<Ledger>,
    request: v1::SearchRequest,
) -> Result<Response<v1::SearchResponse>, Status> {
    let filter = Filter::parse(&request.filter)
        .map_err(|error| bad_request("filter", &format!("is not one: {error}")))?;
    let page_size = match request.page_size {
        0 => DEFAULT_PAGE_SIZE,
        size if size <= MAX_PAGE_SIZE => size,
        _ => return Err(bad_request("page_size", "is at most 1000")),
    };
    let direction = match request.order() {
        v1::Order::Unspecified | v1::Order::Ascending => Direction::Forward,
        v1::Order::Descending => Direction::Reverse,
    };
    let question = digest(&request);
    let token = if request.page_token.is_empty() {
        None
    } else {
        let token = Token::decode(&request.page_token)
            .filter(|token| token.question == question)
            .filter(|token| request.size == 0 || request.size == token.size);
        Some(token.ok_or_else(|| bad_request("page_token", "is not of this question"))?)
    };
    blocking(ledger, move |ledger| {
        let asked = token.as_ref().map_or(request.size, |token| token.size);
        let size = if asked == 0 {
            ledger.published().size()
        } else {
            asked
        };
        let end = if request.end == 0 {
            u64::MAX
        } else {
            request.end
        };
        let mut range = request.start.min(size)..end.min(size);
        if let Some(token) = &token {
            match direction {
                Direction::Forward => range.start = token.next.clamp(range.start, range.end),
                Direction::Reverse => range.end = token.next.clamp(range.start, range.end),
            }
        }
        if range.end < range.start {
            let what = format!("start {} is after end {end}", request.start);
            return Err(LedgerError::BadRange(what));
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
        });
        Ok(response(
            page,
            size,
            token.map_or_else(String::new, |token| token.encode()),
        ))
    })
    .await
}

fn response(page: Page, size: u64, next_page_token: String) -> v1::SearchResponse {
    v1::SearchResponse {
        checkpoint: page.published.note.clone(),
        size,
        start: page.window.start,
        end: page.window.end,
        entries: page.entries.iter().map(message).collect(),
        next_page_token,
        proof: page.proof.map(proof),
        cost: Some(v1::SearchCost {
            segments: page.cost.segments,
            entries: page.cost.entries,
            ranges: page.cost.ranges,
        }),
    }
}

fn proof(proof: PageProof) -> v1::SearchProof {
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
    }
}

/// Tells questions apart: what must not change from page to page.
fn digest(request: &v1::SearchRequest) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new_derive_key(TOKEN_CONTEXT);
    hasher.update(&request.start.to_be_bytes());
    hasher.update(&request.end.to_be_bytes());
    hasher.update(&request.order.to_be_bytes());
    hasher.update(request.filter.as_bytes());
    let mut digest = [0; 16];
    hasher.finalize_xof().fill(&mut digest);
    digest
}

impl Token {
    fn encode(&self) -> String {
        let next = self.next.to_be_bytes();
        let size = self.size.to_be_bytes();
        let token = [&[TOKEN_VERSION][..], &next, &size, &self.question].concat();
        BASE64_URL_SAFE_NO_PAD.encode(token)
    }

    fn decode(token: &str) -> Option<Self> {
        let token = BASE64_URL_SAFE_NO_PAD.decode(token).ok()?;
        let (&[TOKEN_VERSION], rest) = token.split_first_chunk()? else {
            return None;
        };
        let (next, rest) = rest.split_first_chunk()?;
        let (size, question) = rest.split_first_chunk()?;
        Some(Self {
            next: u64::from_be_bytes(*next),
            size: u64::from_be_bytes(*size),
            question: question.try_into().ok()?,
        })
    }
}
