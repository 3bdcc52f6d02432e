//! Clients that make one call after the other.

use std::sync::Arc;
use std::time::{Duration, Instant};

use prost::Message;
use tonic::Status;

use super::events::{Maker, detail_bytes};
use super::random::Random;
use super::tally::{Amount, Run};
use crate::cli::answer::{Ask, Asker, MAX_PAGE_SIZE};
use crate::cli::bodies::malformed;
use crate::cli::connect::Client;
use crate::cli::failure::Failure;
use crate::entry::{CheckedEvent, MAX_BATCH_BYTES, v1};
use crate::index::filter::Filter;

/// A client gives up after so many failures in a row.
pub(super) const MAX_FAILURES: u32 = 20;
/// How long a client of a closed loop waits after a failure.
pub(super) const PAUSE: Duration = Duration::from_millis(50);

/// A client, and what it calls.
pub(super) struct Caller {
    pub(super) client: Client,
    pub(super) calls: Calls,
}

/// What a client calls.
pub(super) enum Calls {
    Append(Maker),
    /// With the most events of a batch.
    Batch(Maker, usize),
    /// With the number of entries.
    Get(Random, u64),
    Query(Arc<Query>),
    Noop,
}

/// A question that is asked over and over.
pub(super) struct Query {
    pub(super) asker: Asker,
    pub(super) filter: Filter,
    /// The most matches.
    pub(super) limit: u64,
    pub(super) prove: bool,
}

/// A call that can be made at once.
struct Ready {
    request: Request,
    amount: Amount,
    /// The events, as far as receipts are verified.
    events: Vec<CheckedEvent>,
}

enum Request {
    Append(Box<v1::AppendRequest>),
    Batch(v1::AppendBatchRequest),
    Get(v1::GetEntryRequest),
    Query(Arc<Query>),
    Noop,
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
        } = caller.make_ready(&run)?;
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
    fn make_ready(&mut self, run: &Run) -> Result<Ready, Failure> {
        let request = match &mut self.calls {
            Calls::Append(maker) => return one(maker, run),
            Calls::Batch(maker, size) => return batch(maker, *size, run),
            Calls::Get(random, size) => Request::Get(v1::GetEntryRequest {
                seq: random.below(*size),
            }),
            Calls::Query(query) => Request::Query(Arc::clone(query)),
            Calls::Noop => Request::Noop,
        };
        Ok(Ready {
            request,
            amount: Amount::default(),
            events: Vec::new(),
        })
    }

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
            Request::Query(query) => Box::pin(query.ask()).await.map(Answer::Entries),
            Request::Noop => {
                client.get_checkpoint(v1::GetCheckpointRequest {}).await?;
                Ok(Answer::Entries(0))
            }
        }
    }
}

fn one(maker: &mut Maker, run: &Run) -> Result<Ready, Failure> {
    let event = maker.make();
    Ok(Ready {
        amount: Amount {
            entries: 1,
            detail_bytes: detail_bytes(&event),
        },
        events: run.checked(&event)?.into_iter().collect(),
        request: Request::Append(Box::new(v1::AppendRequest {
            event: Some(event),
            ack_level: 0,
        })),
    })
}

/// A batch of so many events, or of as many as fit in a request.
fn batch(maker: &mut Maker, size: usize, run: &Run) -> Result<Ready, Failure> {
    let mut amount = Amount::default();
    let mut events = Vec::with_capacity(size);
    let mut checked = Vec::new();
    let (mut bytes, mut largest) = (0usize, 0usize);
    while events.len() < size && bytes.saturating_add(largest) <= MAX_BATCH_BYTES {
        let event = maker.make();
        // Behind a key and a length.
        let length = event.encoded_len().saturating_add(8);
        largest = largest.max(length);
        bytes = bytes.saturating_add(length);
        amount.entries += 1;
        amount.detail_bytes += detail_bytes(&event);
        checked.extend(run.checked(&event)?);
        events.push(event);
    }
    Ok(Ready {
        request: Request::Batch(v1::AppendBatchRequest {
            events,
            ack_level: 0,
        }),
        amount,
        events: checked,
    })
}

impl Query {
    /// Asks, and gives the number of matches.
    async fn ask(&self) -> Result<u64, Failure> {
        let mut answer = self.asker.ask(Ask {
            filter: self.filter.clone(),
            range: 0..u64::MAX,
            descending: true,
            size: None,
            prove: self.prove,
            page_size: self.limit.min(MAX_PAGE_SIZE),
        });
        let mut matches = 0;
        while matches < self.limit && answer.next().await?.is_some() {
            matches += 1;
        }
        Ok(matches)
    }
}
