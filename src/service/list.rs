//! The entries of a range, page by page.

use std::ops::Range;
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::door::Caller;
use super::limits::STREAM_BUFFER;
use super::read::{blocking, scoped};
use crate::entry::v1;
use crate::ledger::{Ledger, LedgerError, SealedEntry};
use crate::store::Direction;

type Sender = mpsc::Sender<Result<v1::ListEntriesResponse, Status>>;

/// The entries of a range. A thread is taken for each page, and for no longer than it takes to read it: a reader who takes
/// nothing holds none.
pub(super) fn entries(
    ledger: Arc<Ledger>,
    mut caller: Caller,
    request: v1::ListEntriesRequest,
) -> ReceiverStream<Result<v1::ListEntriesResponse, Status>> {
    let (sender, receiver) = mpsc::channel(STREAM_BUFFER);
    tokio::spawn(async move {
        let scope = caller.scope();
        let show = move |entry: &SealedEntry| scoped(entry, &scope);
        let ended = tokio::select! {
            ended = send_range(&ledger, show, &request, &sender) => ended,
            refusal = caller.changed() => Err(refusal),
            () = sender.closed() => return,
        };
        if let Err(refusal) = ended {
            // A client that has gone needs no answer.
            let _ = sender.send(Err(refusal)).await;
        }
    });
    ReceiverStream::new(receiver)
}

async fn send_range(
    ledger: &Arc<Ledger>,
    show: impl Fn(&SealedEntry) -> v1::Entry + Clone + Send + 'static,
    request: &v1::ListEntriesRequest,
    sender: &Sender,
) -> Result<(), Status> {
    let published = ledger.published();
    let asked = *request;
    let size = published.size();
    let range = blocking(ledger, move |ledger| requested_range(ledger, &asked, size)).await;
    let mut rest = range?.into_inner();
    let mut left = match request.limit {
        0 => u64::MAX,
        limit => limit,
    };
    let direction = if request.descending {
        Direction::Reverse
    } else {
        Direction::Forward
    };
    let mut checkpoint = Some(published.note.clone());
    while checkpoint.is_some() || (left > 0 && !rest.is_empty()) {
        let (page, show) = (rest.clone(), show.clone());
        let entries = blocking(ledger, move |ledger| {
            let mut entries = match left {
                0 => Vec::new(),
                _ => ledger.next_entries(page, direction)?,
            };
            entries.truncate(usize::try_from(left).unwrap_or(usize::MAX));
            Ok(entries.iter().map(show).collect::<Vec<_>>())
        });
        let entries = entries.await?.into_inner();
        let count = entries.len() as u64;
        left -= count;
        match direction {
            Direction::Forward => rest.start += count,
            Direction::Reverse => rest.end -= count,
        }
        let response = v1::ListEntriesResponse {
            entries,
            checkpoint: checkpoint.take().unwrap_or_default(),
        };
        if sender.send(Ok(response)).await.is_err() {
            return Ok(());
        }
    }
    Ok(())
}

fn requested_range(
    ledger: &Ledger,
    request: &v1::ListEntriesRequest,
    size: u64,
) -> Result<Range<u64>, LedgerError> {
    let end = request.end_seq.unwrap_or(size);
    if request.first_seq > end {
        let what = format!("first_seq {} is after end_seq {end}", request.first_seq);
        return Err(match request.end_seq {
            Some(_) => LedgerError::BadRange(what),
            None => LedgerError::BeyondEnd {
                what: "first_seq",
                asked: request.first_seq,
                size,
            },
        });
    }
    let mut range = request.first_seq..end.min(size);
    if let Some(from) = request.recorded_from {
        range.start = range.start.max(ledger.first_recorded_at(from, size)?);
    }
    if let Some(before) = request.recorded_before {
        range.end = range.end.min(ledger.first_recorded_at(before, size)?);
    }
    range.end = range.end.max(range.start);
    Ok(range)
}
