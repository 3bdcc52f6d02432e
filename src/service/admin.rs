//! What operators order: erasure and holds.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::access::{Role, out_of_bounds};
use super::backup::{self, Backups};
use super::door::Caller;
use super::read_facts::Asked;
use super::reads::{ReadLog, Reading};
use super::rpc::caller;
use super::status;
use super::wire::admin_service_server::AdminService;
use crate::entry::{Tag, v1};
use crate::index::Ranges;
use crate::index::filter::Filter;
use crate::ledger::{Chosen, Erasure, ErasureOrder, Ledger, LedgerError, PlacedHold};

/// The longest filter, in bytes.
const MAX_FILTER_BYTES: usize = 4_096;
/// The most ranges of a request.
const MAX_RANGES: usize = 4_096;

/// The handlers of `graven.v1.AdminService`.
pub(super) struct Admin {
    ledger: Arc<Ledger>,
    backups: Backups,
    /// Where acts of reading go, if anywhere.
    reads: Option<ReadLog>,
}

impl Admin {
    pub(super) fn new(ledger: Arc<Ledger>, backups: Backups, reads: Option<ReadLog>) -> Self {
        Self {
            ledger,
            backups,
            reads,
        }
    }

    async fn erasure(
        &self,
        caller: Caller,
        request: v1::EraseRequest,
    ) -> Result<Response<v1::EraseResponse>, Status> {
        let dry_run = request.dry_run;
        let order = erasure_order(request)?;
        if dry_run && matches!(order.entries, Chosen::Matching(_)) {
            check_may_ask(&caller)?;
        }
        let erasure = self.order(caller, move |ledger, envelope| {
            if dry_run {
                ledger.plan_erasure(&order)
            } else {
                ledger.erase(&order, envelope)
            }
        });
        Ok(Response::new(erased(&erasure.await?)))
    }

    /// Carries out an order where it may wait for the disk. It is carried out to its end also when the client goes.
    async fn order<T: Send + 'static>(
        &self,
        caller: Caller,
        order: impl FnOnce(&Ledger, &v1::Envelope) -> Result<T, LedgerError> + Send + 'static,
    ) -> Result<T, Status> {
        let ledger = Arc::clone(&self.ledger);
        let carried_out = tokio::task::spawn_blocking(move || order(&ledger, &caller.envelope));
        match carried_out.await {
            Ok(result) => result.map_err(status::of),
            Err(_) => Err(Status::internal("the order failed")),
        }
    }
}

#[tonic::async_trait]
impl AdminService for Admin {
    async fn erase(
        &self,
        request: Request<v1::EraseRequest>,
    ) -> Result<Response<v1::EraseResponse>, Status> {
        let caller = caller(&request)?;
        let request = request.into_inner();
        // Either tells what is in entries, and may leave no entry that says who asked.
        let reads = request.dry_run || !request.filter.trim().is_empty();
        let log = self.reads.as_ref().filter(|_| reads);
        let reading = Reading::new(log, &caller, || Asked::erasure(&request));
        reading.answered(self.erasure(caller, request).await)
    }

    async fn back_up(
        &self,
        request: Request<v1::BackUpRequest>,
    ) -> Result<Response<v1::BackUpResponse>, Status> {
        caller(&request)?;
        backup::back_up(&self.ledger, &self.backups, request.into_inner()).await
    }

    async fn place_hold(
        &self,
        request: Request<v1::PlaceHoldRequest>,
    ) -> Result<Response<v1::PlaceHoldResponse>, Status> {
        let caller = caller(&request)?;
        let v1::PlaceHoldRequest {
            name,
            ticket,
            reason,
            entries,
            filter,
        } = request.into_inner();
        let hold = v1::Hold {
            name,
            ticket,
            reason,
            entries,
            filter,
        };
        let placed = self.order(caller, |ledger, envelope| ledger.place_hold(hold, envelope));
        let placed = placed.await?;
        Ok(Response::new(v1::PlaceHoldResponse {
            seq: placed.first_seq,
            checkpoint: placed.published.note.clone(),
        }))
    }

    async fn release_hold(
        &self,
        request: Request<v1::ReleaseHoldRequest>,
    ) -> Result<Response<v1::ReleaseHoldResponse>, Status> {
        let caller = caller(&request)?;
        let v1::ReleaseHoldRequest {
            name,
            ticket,
            reason,
        } = request.into_inner();
        let released = self.order(caller, move |ledger, envelope| {
            ledger.release_hold(&name, ticket, reason, envelope)
        });
        let released = released.await?;
        Ok(Response::new(v1::ReleaseHoldResponse {
            seq: released.first_seq,
            checkpoint: released.published.note.clone(),
        }))
    }

    async fn list_holds(
        &self,
        request: Request<v1::ListHoldsRequest>,
    ) -> Result<Response<v1::ListHoldsResponse>, Status> {
        let caller = caller(&request)?;
        let holds = self.order(caller, |ledger, _| ledger.holds()).await?;
        let holds = holds.into_iter().map(placed).collect();
        Ok(Response::new(v1::ListHoldsResponse { holds }))
    }
}

/// Refuses a dry run by filter, which tells what matches, to who may not read everything.
fn check_may_ask(caller: &Caller) -> Result<(), Status> {
    if caller.scope().is_everything() {
        return Ok(());
    }
    let message = "a dry run by filter tells what is in entries: it takes the role reader without bounds, or auditor, beside \
                   operator; name the entries by seq instead";
    Err(out_of_bounds(Role::Reader, "targets,sources", message))
}

fn erasure_order(request: v1::EraseRequest) -> Result<ErasureOrder, Status> {
    let v1::EraseRequest {
        entries,
        filter,
        parts,
        ticket,
        reason,
        ..
    } = request;
    let entries = match (entries.is_empty(), filter.trim().is_empty()) {
        (false, false) => return Err(status::bad_request("filter", "is given beside entries")),
        (true, true) => {
            // What matches everything is never meant.
            let rule = "names none, and there is no filter";
            return Err(status::bad_request("entries", rule));
        }
        (false, true) => Chosen::Named(seqs(&entries)?),
        (true, false) => Chosen::Matching(read_filter(&filter)?),
    };
    let parts = if parts.is_empty() {
        vec![Tag::Why, Tag::Detail]
    } else {
        let tag = |number: &u32| Tag::from_number(*number);
        let tags: Option<Vec<Tag>> = parts.iter().map(tag).collect();
        tags.ok_or_else(|| status::bad_request("parts", "has a number that stands for no part"))?
    };
    Ok(ErasureOrder {
        entries,
        parts,
        ticket,
        reason,
    })
}

fn seqs(entries: &[v1::SeqRange]) -> Result<Ranges, Status> {
    if entries.len() > MAX_RANGES {
        let rule = format!(
            "has {} items, at most {MAX_RANGES} are allowed",
            entries.len()
        );
        return Err(status::bad_request("entries", &rule));
    }
    if entries.iter().any(|range| range.first_seq >= range.end_seq) {
        return Err(status::bad_request(
            "entries",
            "has a range without entries",
        ));
    }
    Ok(entries.iter().collect())
}

fn read_filter(text: &str) -> Result<Filter, Status> {
    if text.len() > MAX_FILTER_BYTES {
        let rule = format!(
            "has {} bytes, at most {MAX_FILTER_BYTES} are allowed",
            text.len()
        );
        return Err(status::bad_request("filter", &rule));
    }
    Filter::parse(text).map_err(|error| status::bad_request("filter", &error.to_string()))
}

fn erased(erasure: &Erasure) -> v1::EraseResponse {
    let parts = erasure.parts.iter().map(|part| v1::ErasedParts {
        tag: part.tag.number().into(),
        entries: part.entries,
        bytes: part.bytes,
    });
    v1::EraseResponse {
        erasure_seq: erasure.seqs.first().copied(),
        erasure_seqs: erasure.seqs.clone(),
        entries: erasure.entries.to_seq_ranges(),
        parts: parts.collect(),
        already_erased: erasure.already_erased,
        checkpoint: erasure.published.note.clone(),
    }
}

fn placed(placed: PlacedHold) -> v1::PlacedHold {
    let header = &placed.entry.header;
    let envelope = placed.entry.body.disclosed(Tag::Envelope);
    let envelope = envelope.and_then(|envelope| {
        let envelope: Option<v1::Envelope> = prost::Message::decode(envelope.as_ref()).ok();
        envelope
    });
    v1::PlacedHold {
        seq: header.seq,
        recorded_at: header.recorded_at,
        placed_by: envelope.and_then(|envelope| envelope.submitter),
        hold: Some(placed.hold),
    }
}
