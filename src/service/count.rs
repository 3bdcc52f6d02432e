//! Answers to questions about how many.

use std::sync::Arc;

use tonic::{Response, Status};

use super::access::Scope;
use super::query::{asked_range, check_question, cost, parse, proof};
use super::read::{blocking, message};
use super::status::bad_request;
use super::token::{Question, Token, Within};
use crate::entry::v1;
use crate::index::{GroupBy, Tally};
use crate::ledger::{Count, CountPage, Ledger};

const DEFAULT_PAGE_SIZE: u32 = 1_000;
const MAX_PAGE_SIZE: u32 = 10_000;
const TOKEN_CONTEXT: &str = "graven v1 count page token";

/// Counts as far as one page goes.
pub(super) async fn count(
    ledger: &Arc<Ledger>,
    scope: &Scope,
    request: v1::CountRequest,
) -> Result<Response<v1::CountResponse>, Status> {
    let filter = parse(&request.filter)?;
    check_question(scope, &filter, request.prove)?;
    if !request.group_by.is_empty() {
        // Where a page is cut, the next value is shown, whichever entry has it.
        scope.check_whole(
            "groups are found among the values of all entries; count without, or read the entries",
        )?;
    }
    let tells_cost = scope.is_everything();
    let group_by = match request.group_by.as_str() {
        "" => None,
        name => Some(
            GroupBy::parse(name)
                .map_err(|error| bad_request("group_by", &format!("is not one: {error}")))?,
        ),
    };
    let page_size = match request.page_size {
        0 => DEFAULT_PAGE_SIZE,
        size if size <= MAX_PAGE_SIZE => size,
        _ => return Err(bad_request("page_size", "is at most 10000")),
    };
    let question = Question::new(
        TOKEN_CONTEXT,
        (request.start, request.end),
        &[&request.filter, &request.group_by],
    );
    let token = Token::of_request(&request.page_token, question, request.size)?;
    blocking(ledger, move |ledger| {
        let asked = token.as_ref().map_or(request.size, |token| token.size);
        let (size, mut range) = asked_range(ledger, asked, request.start, request.end)?;
        let mut next_value = None;
        let all = range.clone();
        if let Some(token) = token {
            range.start = token.next.clamp(range.start, range.end);
            if let Some(Within { end, value }) = token.within.filter(|_| group_by.is_some()) {
                range.end = end.clamp(range.start, range.end);
                next_value = Some(value);
            }
        }
        let page = ledger.count(&Count {
            filter: &filter,
            group_by,
            size,
            range,
            next_value,
            limit: page_size as usize,
            prove: request.prove,
        })?;
        let within = page.next_value.clone().map(|value| Within {
            end: page.window.end,
            value,
        });
        let next = match &within {
            Some(_) => Some(page.window.start),
            None => (page.window.end < all.end).then_some(page.window.end),
        };
        let token = next.map(|next| Token {
            next,
            size,
            question,
            within,
        });
        let token = token.map_or_else(String::new, |token| token.encode());
        let mut response = response(page, group_by, size, token);
        response.cost = response.cost.filter(|_| tells_cost);
        Ok(response)
    })
    .await
}

/// A page of counts at `size` as it is sent.
pub fn response(
    page: CountPage,
    group_by: Option<GroupBy>,
    size: u64,
    next_page_token: String,
) -> v1::CountResponse {
    let group = |(term, entries): (Vec<u8>, Tally)| v1::Group {
        value: group_by.map_or_else(String::new, |group| group.value(&term)),
        cut: group_by.is_some_and(|group| group.is_cut(&term)),
        entries: Some(tally(entries)),
        term,
    };
    v1::CountResponse {
        checkpoint: page.published.note.clone(),
        size,
        start: page.window.start,
        end: page.window.end,
        total: Some(tally(page.counts.total)),
        absent: page.counts.absent,
        groups: page.counts.groups.into_iter().map(group).collect(),
        next_value: page.next_value.unwrap_or_default(),
        unknown: page.unknown,
        entries: page.entries.iter().map(message).collect(),
        next_page_token,
        proof: page.proof.map(proof),
        cost: Some(cost(page.cost)),
    }
}

fn tally(Tally { count, first, last }: Tally) -> v1::Tally {
    v1::Tally { count, first, last }
}
