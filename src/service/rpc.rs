//! The service: one method each, the work in the module named for it.

use std::sync::Arc;

use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use super::closing::Closing;
use super::door::Caller;
use super::read_facts::Asked;
use super::reads::{ReadLog, Reading, Recorded};
use super::redaction::Redacting;
use super::wire::ledger_service_server::LedgerService;
use super::wire::query_service_server::QueryService;
use super::wire::{AppendBatchRequest, AppendRequest, AppendStreamRequest};
use super::{append, count, inquiry, list, query, read, segment, watch};
use crate::entry::v1;
use crate::ledger::Ledger;

/// The handlers of `graven.v1.LedgerService`.
pub(super) struct Rpc {
    ledger: Arc<Ledger>,
    closing: Closing,
    /// Where acts of reading go, if anywhere.
    reads: Option<ReadLog>,
    rules: Redacting,
}

impl Rpc {
    pub(super) fn new(
        ledger: Arc<Ledger>,
        closing: Closing,
        reads: Option<ReadLog>,
        rules: Redacting,
    ) -> Self {
        Self {
            ledger,
            closing,
            reads,
            rules,
        }
    }
}

/// The handlers of `graven.v1.QueryService`.
pub(super) struct Query {
    ledger: Arc<Ledger>,
    closing: Closing,
    /// Where acts of reading go, if anywhere.
    reads: Option<ReadLog>,
}

impl Query {
    pub(super) fn new(ledger: Arc<Ledger>, closing: Closing, reads: Option<ReadLog>) -> Self {
        Self {
            ledger,
            closing,
            reads,
        }
    }
}

#[tonic::async_trait]
impl QueryService for Query {
    async fn search(
        &self,
        request: Request<v1::SearchRequest>,
    ) -> Result<Response<v1::SearchResponse>, Status> {
        let caller = caller(&request)?;
        let request = request.into_inner();
        let reading = Reading::new(self.reads.as_ref(), &caller, || Asked::search(&request));
        reading.answered(query::search(&self.ledger, &caller.scope(), request).await)
    }

    async fn count(
        &self,
        request: Request<v1::CountRequest>,
    ) -> Result<Response<v1::CountResponse>, Status> {
        let caller = caller(&request)?;
        let request = request.into_inner();
        let reading = Reading::new(self.reads.as_ref(), &caller, || Asked::count(&request));
        reading.answered(count::count(&self.ledger, &caller.scope(), request).await)
    }

    type WatchStream = Recorded<v1::WatchResponse>;

    async fn watch(
        &self,
        request: Request<v1::WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let caller = caller(&request)?;
        let (ledger, closing) = (Arc::clone(&self.ledger), self.closing.of(&caller));
        let (request, newest) = (request.into_inner(), ledger.published().size());
        let reading = Reading::new(self.reads.as_ref(), &caller, || {
            Asked::watch(&request, newest)
        });
        reading.streams(|| watch::matches(ledger, &caller.scope(), &request, closing))
    }

    async fn get_history(
        &self,
        request: Request<v1::GetHistoryRequest>,
    ) -> Result<Response<v1::GetHistoryResponse>, Status> {
        let caller = caller(&request)?;
        let request = request.into_inner();
        let reading = Reading::new(self.reads.as_ref(), &caller, || Asked::history(&request));
        reading.answered(inquiry::history(&self.ledger, caller.scope(), request).await)
    }

    async fn get_lineage(
        &self,
        request: Request<v1::GetLineageRequest>,
    ) -> Result<Response<v1::GetLineageResponse>, Status> {
        let caller = caller(&request)?;
        let request = request.into_inner();
        let reading = Reading::new(self.reads.as_ref(), &caller, || Asked::lineage(&request));
        reading.answered(inquiry::lineage(&self.ledger, caller.scope(), request).await)
    }

    async fn get_segment(
        &self,
        request: Request<v1::GetSegmentRequest>,
    ) -> Result<Response<v1::GetSegmentResponse>, Status> {
        let caller = caller(&request)?;
        let request = request.into_inner();
        let reading = Reading::new(self.reads.as_ref(), &caller, || Asked::segment(&request));
        reading.answered(segment::get(&self.ledger, &caller.scope(), request).await)
    }
}

/// What the door found out. A request that did not pass it gets no further; neither does one whose message came so long
/// after its headers that its sender would not be let in any more.
pub(super) fn caller<T>(request: &Request<T>) -> Result<Caller, Status> {
    let caller: Option<Caller> = request.extensions().get().cloned();
    let caller =
        caller.ok_or_else(|| Status::unauthenticated("the sender was not authenticated"))?;
    caller.check_again()?;
    Ok(caller)
}

#[tonic::async_trait]
impl LedgerService for Rpc {
    async fn append(
        &self,
        request: Request<AppendRequest>,
    ) -> Result<Response<v1::AppendResponse>, Status> {
        let caller = caller(&request)?;
        append::one(&self.ledger, &caller, &self.rules, request.into_inner())
            .await
            .map(Response::new)
    }

    async fn append_batch(
        &self,
        request: Request<AppendBatchRequest>,
    ) -> Result<Response<v1::AppendBatchResponse>, Status> {
        let caller = caller(&request)?;
        append::batch(&self.ledger, &caller, &self.rules, request.into_inner())
            .await
            .map(Response::new)
    }

    type AppendStreamStream = ReceiverStream<Result<v1::AppendStreamResponse, Status>>;

    async fn append_stream(
        &self,
        request: Request<Streaming<AppendStreamRequest>>,
    ) -> Result<Response<Self::AppendStreamStream>, Status> {
        let caller = caller(&request)?;
        let (ledger, closing) = (Arc::clone(&self.ledger), self.closing.of(&caller));
        let answers = append::stream(
            ledger,
            caller,
            self.rules.clone(),
            request.into_inner(),
            closing,
        );
        Ok(Response::new(answers))
    }

    async fn get_entry(
        &self,
        request: Request<v1::GetEntryRequest>,
    ) -> Result<Response<v1::GetEntryResponse>, Status> {
        let caller = caller(&request)?;
        let seq = request.into_inner().seq;
        let reading = Reading::new(self.reads.as_ref(), &caller, || Asked::entry(seq));
        reading.answered(read::one(&self.ledger, caller.scope(), seq).await)
    }

    type ListEntriesStream = Recorded<v1::ListEntriesResponse>;

    async fn list_entries(
        &self,
        request: Request<v1::ListEntriesRequest>,
    ) -> Result<Response<Self::ListEntriesStream>, Status> {
        let caller = caller(&request)?;
        let request = request.into_inner();
        let reading = Reading::new(self.reads.as_ref(), &caller, || Asked::list(&request));
        reading.streams(|| {
            let ledger = Arc::clone(&self.ledger);
            Ok(list::entries(ledger, caller.clone(), request))
        })
    }

    type WatchEntriesStream = Recorded<v1::WatchEntriesResponse>;

    async fn watch_entries(
        &self,
        request: Request<v1::WatchEntriesRequest>,
    ) -> Result<Response<Self::WatchEntriesStream>, Status> {
        let caller = caller(&request)?;
        let (ledger, closing) = (Arc::clone(&self.ledger), self.closing.of(&caller));
        let (request, newest) = (request.into_inner(), ledger.published().size());
        let reading = Reading::new(self.reads.as_ref(), &caller, || {
            Asked::watch_entries(&request, newest)
        });
        reading.streams(|| watch::entries(ledger, caller.scope(), &request, closing))
    }

    async fn get_checkpoint(
        &self,
        _request: Request<v1::GetCheckpointRequest>,
    ) -> Result<Response<v1::GetCheckpointResponse>, Status> {
        let checkpoint = self.ledger.published().note.clone();
        Ok(Response::new(v1::GetCheckpointResponse { checkpoint }))
    }

    async fn get_genesis(
        &self,
        request: Request<v1::GetGenesisRequest>,
    ) -> Result<Response<v1::GetGenesisResponse>, Status> {
        let caller = caller(&request)?;
        let reading = Reading::new(self.reads.as_ref(), &caller, || Asked::entry(0));
        let scope = caller.scope();
        let answer = read::blocking(&self.ledger, move |ledger| read::genesis(ledger, &scope));
        reading.answered(answer.await)
    }

    async fn get_inclusion_proof(
        &self,
        request: Request<v1::GetInclusionProofRequest>,
    ) -> Result<Response<v1::GetInclusionProofResponse>, Status> {
        let v1::GetInclusionProofRequest { seq, tree_size } = request.into_inner();
        read::blocking(&self.ledger, move |ledger| {
            read::inclusion(ledger, seq, tree_size)
        })
        .await
    }

    async fn get_consistency_proof(
        &self,
        request: Request<v1::GetConsistencyProofRequest>,
    ) -> Result<Response<v1::GetConsistencyProofResponse>, Status> {
        let v1::GetConsistencyProofRequest { old_size, new_size } = request.into_inner();
        read::blocking(&self.ledger, move |ledger| {
            read::consistency(ledger, old_size, new_size)
        })
        .await
    }
}
