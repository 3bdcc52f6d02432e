//! Entries as they come.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::access::Scope;
use super::closing::Closing;
use super::limits::STREAM_BUFFER;
use super::query::parse;
use super::read::{blocking, message, scoped};
use super::status;
use crate::entry::v1;
use crate::ledger::{Ledger, LedgerError, Search};
use crate::store::Direction;

/// Matches in one message.
const MATCHES: usize = 256;
/// How often a watcher is told how far the ledger was read when nothing matched.
const PROGRESS: Duration = Duration::from_secs(1);

/// What a watcher is told next.
struct Step<T> {
    message: T,
    /// The seq that the step after it begins with.
    next: u64,
    /// Whether it only says how far the ledger was read.
    idle: bool,
}

/// Why a watcher is told something.
enum Event {
    /// There are entries that it has not been told of.
    Grown,
    /// It has not been told for long how far the ledger was read.
    Due,
    /// The server ends.
    Closing(Status),
}

/// Every entry from a seq on.
pub(super) fn entries(
    ledger: Arc<Ledger>,
    scope: Scope,
    request: &v1::WatchEntriesRequest,
    closing: Closing,
) -> Result<ReceiverStream<Result<v1::WatchEntriesResponse, Status>>, Status> {
    let step = move |ledger: &Ledger, next: u64| {
        let published = ledger.published();
        let entries = ledger.next_entries(next..published.size(), Direction::Forward)?;
        Ok(Step {
            next: next.saturating_add(entries.len() as u64),
            message: v1::WatchEntriesResponse {
                entries: entries.iter().map(|entry| scoped(entry, &scope)).collect(),
                checkpoint: published.note.clone(),
            },
            idle: false,
        })
    };
    start(ledger, request.first_seq, closing, step)
}

/// The entries from a seq on that match.
pub(super) fn matches(
    ledger: Arc<Ledger>,
    scope: &Scope,
    request: &v1::WatchRequest,
    closing: Closing,
) -> Result<ReceiverStream<Result<v1::WatchResponse, Status>>, Status> {
    let filter = parse(&request.filter)?;
    scope.check_filter(&filter)?;
    let step = move |ledger: &Ledger, next: u64| {
        let size = ledger.published().size();
        let page = ledger.search(&Search {
            filter: &filter,
            size,
            range: next..size,
            direction: Direction::Forward,
            limit: MATCHES,
            prove: false,
        })?;
        Ok(Step {
            next: page.window.end,
            idle: page.entries.is_empty(),
            message: v1::WatchResponse {
                entries: page.entries.iter().map(message).collect(),
                next_seq: page.window.end,
                checkpoint: page.published.note.clone(),
            },
        })
    };
    start(ledger, request.first_seq, closing, step)
}

fn start<T: Send + 'static>(
    ledger: Arc<Ledger>,
    first: Option<u64>,
    closing: Closing,
    step: impl Fn(&Ledger, u64) -> Result<Step<T>, LedgerError> + Send + Sync + 'static,
) -> Result<ReceiverStream<Result<T, Status>>, Status> {
    let size = ledger.published().size();
    let first = first.unwrap_or(size);
    if first > size {
        let error = LedgerError::BeyondEnd {
            what: "first_seq",
            asked: first,
            size,
        };
        return Err(status::of(error));
    }
    let (sender, receiver) = mpsc::channel(STREAM_BUFFER);
    tokio::spawn(follow(ledger, first, sender, closing, Arc::new(step)));
    Ok(ReceiverStream::new(receiver))
}

async fn follow<T: Send + 'static>(
    ledger: Arc<Ledger>,
    mut next: u64,
    sender: mpsc::Sender<Result<T, Status>>,
    mut closing: Closing,
    step: Arc<impl Fn(&Ledger, u64) -> Result<Step<T>, LedgerError> + Send + Sync + 'static>,
) {
    let mut sizes = ledger.subscribe();
    let mut unsaid = None;
    let mut due = Instant::now();
    loop {
        let event = tokio::select! {
            grown = sizes.wait_for(|size| *size > next) => match grown {
                Ok(_) => Event::Grown,
                Err(_) => return,
            },
            () = tokio::time::sleep_until(due), if unsaid.is_some() => Event::Due,
            () = sender.closed() => return,
            refusal = closing.wait() => Event::Closing(refusal),
        };
        let answer = match event {
            Event::Closing(refusal) => Err(refusal),
            Event::Due => match unsaid.take() {
                Some(message) => Ok(message),
                None => continue,
            },
            Event::Grown => {
                let step = Arc::clone(&step);
                let read = blocking(&ledger, move |ledger| step(ledger, next)).await;
                match read.map(tonic::Response::into_inner) {
                    Ok(step) => {
                        next = step.next;
                        if step.idle && Instant::now() < due {
                            unsaid = Some(step.message);
                            continue;
                        }
                        Ok(step.message)
                    }
                    Err(refusal) => Err(refusal),
                }
            }
        };
        // A client that has gone needs no answer.
        let failed = answer.is_err();
        if sender.send(answer).await.is_err() || failed {
            return;
        }
        unsaid = None;
        due = Instant::now() + PROGRESS;
    }
}
