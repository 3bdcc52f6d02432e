//! Clients that make one call after the other.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tonic::Status;

use super::ready::{Calls, Ready, Request};
use super::tally::Run;
use crate::cli::bodies::malformed;
use crate::cli::connect::Client;
use crate::cli::failure::Failure;
use crate::entry::v1;

/// A client gives up after so many failures in a row.
pub(super) const MAX_FAILURES: u32 = 20;
/// How long a client of a closed loop waits after a failure.
pub(super) const PAUSE: Duration = Duration::from_millis(50);

/// A client, and what it calls.
pub(super) struct Caller {
    pub(super) client: Client,
    pub(super) calls: Calls,
}

enum Answer {
    /// The receipt of everything that was appended.
    Receipt(Option<v1::Receipt>),
    /// So many entries.
    Entries(u64),
}

/// Makes calls until there are no more to make.
pub(super) async fn run(mut caller: Caller, run: Arc<Run>) -> Result<(), Failure> {
    let mut failures = 0;
    loop {
        let Ready {
            request,
            mut amount,
            events,
        } = caller.calls.make_ready().await?;
        let Some(turn) = run.turn().await else {
            return Ok(());
        };
        let sent = Instant::now();
        let answer = within(run.timeout, Box::pin(caller.call(request))).await;
        let answered = Instant::now();
        match answer {
            Ok(answer) => {
                failures = 0;
                if let Answer::Entries(entries) = answer {
                    amount.entries = entries;
                }
                run.answered([(&turn, sent, amount)], answered);
                if let Answer::Receipt(receipt) = answer {
                    run.verify(turn.counts, receipt.as_ref(), &events)?;
                }
            }
            Err(failure) => {
                run.failed(&turn, failure)?;
                failures += 1;
                if failures == MAX_FAILURES {
                    run.gave_up();
                    return Ok(());
                }
                if !run.open {
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }
}

/// What comes of a call, unless it takes too long.
pub(super) async fn within<T>(
    timeout: Duration,
    call: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let outcome = tokio::time::timeout(timeout, call).await;
    outcome.unwrap_or_else(|_| Err(too_late(timeout)))
}

/// No answer came in time.
pub(super) fn too_late(timeout: Duration) -> Failure {
    Status::deadline_exceeded(format!("no answer within {timeout:?}")).into()
}

/// Ids are never used twice, so nothing can be there already.
pub(super) fn duplicate() -> Failure {
    malformed("it says that an event was there already whose idempotency id is new")
}

impl Caller {
    async fn call(&mut self, request: Request) -> Result<Answer, Failure> {
        let client = &mut self.client;
        match request {
            Request::Append(request) => {
                let answer = client.append(*request).await?.into_inner();
                if answer.duplicate {
                    return Err(duplicate());
                }
                Ok(Answer::Receipt(answer.receipt))
            }
            Request::Batch(request) => {
                let answer = client.append_batch(request).await?.into_inner();
                if !answer.duplicates.is_empty() {
                    return Err(duplicate());
                }
                Ok(Answer::Receipt(answer.receipt))
            }
            Request::Get(request) => {
                let answer = client.get_entry(request).await?.into_inner();
                let entry = answer.entry.ok_or_else(|| malformed("an entry is missing"));
                entry.map(|_| Answer::Entries(1))
            }
            Request::Query(query, filter) => Box::pin(query.ask(filter)).await.map(Answer::Entries),
            Request::Noop => {
                client.get_checkpoint(v1::GetCheckpointRequest {}).await?;
                Ok(Answer::Entries(0))
            }
        }
    }
}
