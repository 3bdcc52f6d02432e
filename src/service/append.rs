//! Appending: one event, a batch, a stream.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use super::access::check_event;
use super::closing::Closing;
use super::door::Caller;
use super::limits::{STREAM_BUFFER, STREAM_CHUNK_BYTES};
use super::redaction::Redacting;
use super::wire::{AppendBatchRequest, AppendRequest, AppendStreamRequest};
use super::{receipt, status};
use crate::entry::{CheckedEvent, MAX_BATCH_EVENTS, v1};
use crate::ledger::{Appended, Ledger, LedgerError};

/// Appends one event.
pub(super) async fn one(
    ledger: &Ledger,
    caller: &Caller,
    rules: &Redacting,
    request: AppendRequest,
) -> Result<v1::AppendResponse, Status> {
    check_level(request.ack_level)?;
    let events = check(caller, rules, std::slice::from_ref(&request.event))?;
    let appended = submit(ledger, caller, events).await?;
    let receipts = receipt::of(ledger, appended).map_err(status::of)?;
    let duplicate = receipts.new.is_none();
    let original = receipts.duplicates.into_iter().next().unwrap_or_default();
    Ok(v1::AppendResponse {
        receipt: receipts.new.or(original.receipt),
        duplicate,
        erased_seq: original.erased_seq,
    })
}

/// Appends a batch, all or nothing.
pub(super) async fn batch(
    ledger: &Ledger,
    caller: &Caller,
    rules: &Redacting,
    request: AppendBatchRequest,
) -> Result<v1::AppendBatchResponse, Status> {
    check_level(request.ack_level)?;
    let count = request.events.len();
    if count == 0 || count > MAX_BATCH_EVENTS {
        let rule = format!("has {count} items, from 1 to {MAX_BATCH_EVENTS} are allowed");
        return Err(status::bad_request("events", &rule));
    }
    let events = check(caller, rules, &request.events)?;
    drop(request);
    let appended = submit(ledger, caller, events).await?;
    let receipts = receipt::of(ledger, appended).map_err(status::of)?;
    Ok(v1::AppendBatchResponse {
        receipt: receipts.new,
        duplicates: receipts.duplicates,
    })
}

/// Appends a stream: what has come while the events before were being sealed goes together.
pub(super) fn stream(
    ledger: Arc<Ledger>,
    caller: Caller,
    rules: Redacting,
    requests: Streaming<AppendStreamRequest>,
    closing: Closing,
) -> ReceiverStream<Result<v1::AppendStreamResponse, Status>> {
    let (arrived, arriving) = mpsc::channel(MAX_BATCH_EVENTS);
    let (answer, answers) = mpsc::channel(STREAM_BUFFER);
    tokio::spawn(receive(requests, arrived));
    tokio::spawn(async move {
        let sealed = seal_as_they_come(&ledger, (&caller, &rules), arriving, &answer, closing);
        if let Err(refusal) = sealed.await {
            caller.note(&refusal);
            // A client that has gone needs no answer.
            let _ = answer.send(Err(refusal)).await;
        }
    });
    ReceiverStream::new(answers)
}

/// Hands on the events of a stream until it ends, breaks, or nobody takes them any more.
async fn receive(mut requests: Streaming<AppendStreamRequest>, arrived: mpsc::Sender<Arrival>) {
    let room = Arc::new(Semaphore::new(STREAM_CHUNK_BYTES));
    while let Some(request) = requests.next().await {
        let event = request.map(|request| request.event);
        let bytes = event.as_ref().map_or(0, Bytes::len).min(STREAM_CHUNK_BYTES);
        let permits = u32::try_from(bytes).unwrap_or(u32::MAX);
        let Ok(room) = Arc::clone(&room).acquire_many_owned(permits).await else {
            return;
        };
        let broken = event.is_err();
        let arrival = Arrival { event, _room: room };
        if arrived.send(arrival).await.is_err() || broken {
            return;
        }
    }
}

/// An event that has come, or why no more will, with its share of the bytes of a stream that may wait.
struct Arrival {
    event: Result<Bytes, Status>,
    _room: OwnedSemaphorePermit,
}

type Answers = mpsc::Sender<Result<v1::AppendStreamResponse, Status>>;

async fn seal_as_they_come(
    ledger: &Ledger,
    (caller, rules): (&Caller, &Redacting),
    mut arriving: mpsc::Receiver<Arrival>,
    answer: &Answers,
    mut closing: Closing,
) -> Result<(), Status> {
    let mut position = 0usize;
    loop {
        let first = tokio::select! {
            first = arriving.recv() => first,
            refusal = closing.wait() => return Err(refusal),
        };
        let Some(first) = first else { return Ok(()) };
        let (events, refusal) = take_chunk((caller, rules), first, &mut arriving, position);
        if !events.is_empty() {
            let bytes = events.iter().map(CheckedEvent::len).sum();
            // The client waits as it does when the ledger is busy: what it sends is not read.
            caller.share.spend_in_time(events.len(), bytes).await;
            let count = seal_chunk(ledger, caller, events, position, answer).await?;
            position = position.saturating_add(count);
        }
        if let Some(refusal) = refusal {
            return Err(refusal);
        }
    }
}

/// The events that have arrived, up to a limit, and why the stream ends after them, if it does.
fn take_chunk(
    (caller, rules): (&Caller, &Redacting),
    first: Arrival,
    arriving: &mut mpsc::Receiver<Arrival>,
    position: usize,
) -> (Vec<CheckedEvent>, Option<Status>) {
    let mut events = Vec::new();
    let mut bytes = 0;
    let mut next = Some(first);
    while let Some(arrival) = next {
        let event = match arrival.event {
            Ok(event) => event,
            Err(broken) => return (events, Some(broken)),
        };
        let index = position.saturating_add(events.len());
        match check_one(caller, rules, &event, index) {
            Ok(checked) => events.push(checked),
            Err(refusal) => return (events, Some(refusal)),
        }
        bytes += event.len();
        if events.len() >= MAX_BATCH_EVENTS || bytes >= STREAM_CHUNK_BYTES {
            break;
        }
        next = arriving.try_recv().ok();
    }
    (events, None)
}

/// Seals a chunk and answers for it. When one of its events is refused, those before it are sealed and answered first.
async fn seal_chunk(
    ledger: &Ledger,
    caller: &Caller,
    mut events: Vec<CheckedEvent>,
    position: usize,
    answer: &Answers,
) -> Result<usize, Status> {
    let mut refusal = None;
    loop {
        let count = events.len();
        let sealed = match ledger.prepare(events.clone(), &caller.envelope) {
            Ok(submission) => ledger.append_when_there_is_room(submission).await,
            Err(error) => Err(error),
        };
        match sealed {
            Ok(appended) => {
                let response = respond(ledger, appended, count)?;
                if answer.send(Ok(response)).await.is_err() {
                    return Err(Status::cancelled("the client has gone"));
                }
                return refusal.map_or(Ok(count), Err);
            }
            Err(error) => {
                let Some(index) = refused_event(&error) else {
                    return Err(status::of(error));
                };
                events.truncate(index);
                refusal = Some(status::of(in_stream(error, position)));
                if events.is_empty() {
                    return refusal.map_or(Ok(0), Err);
                }
            }
        }
    }
}

fn respond(
    ledger: &Ledger,
    appended: Appended,
    count: usize,
) -> Result<v1::AppendStreamResponse, Status> {
    let receipts = receipt::of(ledger, appended).map_err(status::of)?;
    Ok(v1::AppendStreamResponse {
        events: u32::try_from(count).unwrap_or(u32::MAX),
        receipt: receipts.new,
        duplicates: receipts.duplicates,
    })
}

/// The index of the one event that a chunk was refused for.
fn refused_event(error: &LedgerError) -> Option<usize> {
    match error {
        LedgerError::Invalid { index, .. } | LedgerError::IdConflict { index, .. } => Some(*index),
        _ => None,
    }
}

/// The same error, with the event's position in the stream.
fn in_stream(error: LedgerError, position: usize) -> LedgerError {
    match error {
        LedgerError::Invalid { index, invalid } => LedgerError::Invalid {
            index: position.saturating_add(index),
            invalid,
        },
        LedgerError::IdConflict { index, existing } => LedgerError::IdConflict {
            index: position.saturating_add(index),
            existing,
        },
        other => other,
    }
}

fn check_level(level: i32) -> Result<(), Status> {
    match v1::AckLevel::try_from(level) {
        Ok(v1::AckLevel::Unspecified | v1::AckLevel::Durable) => Ok(()),
        Ok(v1::AckLevel::Witnessed) => Err(Status::failed_precondition(
            "this ledger has no witnesses: ask for DURABLE",
        )),
        Err(_) => Err(status::bad_request(
            "ack_level",
            &format!("has the unknown value {level}"),
        )),
    }
}

fn check(
    caller: &Caller,
    rules: &Redacting,
    events: &[Bytes],
) -> Result<Vec<CheckedEvent>, Status> {
    let checked = events.iter().enumerate();
    checked
        .map(|(index, event)| check_one(caller, rules, event, index))
        .collect()
}

/// Checks the event at `index`: that it keeps the rules, and that the caller may send it. Gives it without secrets.
fn check_one(
    caller: &Caller,
    rules: &Redacting,
    event: &Bytes,
    index: usize,
) -> Result<CheckedEvent, Status> {
    let checked =
        CheckedEvent::check(event).map_err(|invalid| status::invalid_event(index, &invalid))?;
    check_event(&caller.access, &checked, index)?;
    rules
        .apply(checked)
        .map_err(|invalid| status::invalid_event(index, &invalid))
}

async fn submit(
    ledger: &Ledger,
    caller: &Caller,
    events: Vec<CheckedEvent>,
) -> Result<Appended, Status> {
    let bytes = events.iter().map(CheckedEvent::len).sum();
    caller.share.spend(events.len(), bytes)?;
    let submission = ledger
        .prepare(events, &caller.envelope)
        .map_err(status::of)?;
    ledger.append(submission).await.map_err(status::of)
}
