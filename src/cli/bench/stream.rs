//! Clients that append a stream of events, acknowledged in order.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::{Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use super::call::{MAX_FAILURES, PAUSE, duplicate, too_late, within};
use super::events::{Made, Maker, Shape};
use super::pace::Turn;
use super::tally::{Amount, Run};
use crate::cli::bodies::malformed;
use crate::cli::connect::Client;
use crate::cli::failure::Failure;
use crate::entry::{CheckedEvent, v1};

/// An event that was sent and is not acknowledged.
struct Sent {
    turn: Turn,
    at: Instant,
    amount: Amount,
    checked: Option<CheckedEvent>,
}

/// Events under way, oldest first, and room for more.
struct Window {
    sent: Mutex<VecDeque<Sent>>,
    room: Semaphore,
}

/// How a stream ended.
enum Ended {
    /// There are no more events to send, and all are acknowledged.
    Done,
    /// It broke; after an acknowledgement or without any.
    Broken { acknowledged: bool },
}

/// Sends events until there are no more, with up to `window` under way; a stream that breaks is followed by another.
pub(super) async fn run(
    mut client: Client,
    shape: Shape,
    window: usize,
    run: Arc<Run>,
) -> Result<(), Failure> {
    let mut failures = 0;
    loop {
        match one_stream(&mut client, &shape, window, &run).await? {
            Ended::Done => return Ok(()),
            Ended::Broken { acknowledged: true } => failures = 1,
            Ended::Broken { .. } => failures += 1,
        }
        if failures == MAX_FAILURES {
            run.gave_up();
            return Ok(());
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn one_stream(
    client: &mut Client,
    shape: &Shape,
    window: usize,
    run: &Arc<Run>,
) -> Result<Ended, Failure> {
    let maker = Maker::new(shape.clone(), run.expected.is_some())?;
    let (events, outgoing) = mpsc::channel(window);
    let window = Arc::new(Window {
        sent: Mutex::default(),
        room: Semaphore::new(window),
    });
    let sender = tokio::spawn(send(maker, Arc::clone(run), Arc::clone(&window), events));
    let open = async { Ok(client.append_stream(ReceiverStream::new(outgoing)).await?) };
    let mut acknowledged = false;
    let received = match within(run.timeout, open).await {
        Ok(answers) => receive(answers.into_inner(), &window, run, &mut acknowledged).await,
        Err(failure) => Err(failure),
    };
    sender.abort();
    // What it made may be no event.
    if let Ok(sent) = sender.await {
        sent?;
    }
    let Err(failure) = received else {
        return Ok(Ended::Done);
    };
    let Some(code) = failure.refused_with() else {
        return Err(failure);
    };
    run.note(failure);
    // One failure for each event that nothing is known about.
    for sent in window.take_all() {
        run.failed(&sent.turn, Status::new(code, "").into())?;
    }
    Ok(Ended::Broken { acknowledged })
}

/// Sends events while there is room in the window.
async fn send(
    mut maker: Maker,
    run: Arc<Run>,
    window: Arc<Window>,
    events: mpsc::Sender<v1::AppendStreamRequest>,
) -> Result<(), Failure> {
    loop {
        let Made {
            event,
            amount,
            checked,
        } = maker.make()?;
        let Ok(room) = window.room.acquire().await else {
            return Ok(());
        };
        room.forget();
        let Some(turn) = run.turn().await else {
            return Ok(());
        };
        window.lock().push_back(Sent {
            turn,
            at: Instant::now(),
            amount,
            checked,
        });
        let request = v1::AppendStreamRequest { event: Some(event) };
        if events.send(request).await.is_err() {
            return Ok(());
        }
    }
}

/// Takes acknowledgements until the stream ends.
async fn receive(
    mut answers: Streaming<v1::AppendStreamResponse>,
    window: &Window,
    run: &Run,
    acknowledged: &mut bool,
) -> Result<(), Failure> {
    loop {
        let Ok(answer) = tokio::time::timeout(run.timeout, answers.message()).await else {
            if window.is_overdue(run) {
                return Err(too_late(run.timeout));
            }
            continue;
        };
        let answered = Instant::now();
        let Some(answer) = answer? else {
            return if window.lock().is_empty() {
                Ok(())
            } else {
                Err(Status::unknown("the stream ended before all was acknowledged").into())
            };
        };
        if !answer.duplicates.is_empty() {
            return Err(duplicate());
        }
        *acknowledged = true;
        let sent = window.take(answer.events)?;
        let calls = sent.iter().map(|sent| (&sent.turn, sent.at, sent.amount));
        run.answered(calls, answered);
        window.room.add_permits(sent.len());
        let counts = sent.iter().any(|sent| sent.turn.counts);
        let events: Vec<_> = sent.into_iter().filter_map(|sent| sent.checked).collect();
        run.verify(counts, answer.receipt.as_ref(), &events)?;
    }
}

impl Window {
    fn lock(&self) -> MutexGuard<'_, VecDeque<Sent>> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes out the oldest so many.
    fn take(&self, events: u32) -> Result<Vec<Sent>, Failure> {
        let mut sent = self.lock();
        let events = usize::try_from(events).unwrap_or(usize::MAX);
        if events == 0 || events > sent.len() {
            return Err(malformed("it acknowledges what was not sent"));
        }
        Ok(sent.drain(..events).collect())
    }

    fn take_all(&self) -> VecDeque<Sent> {
        std::mem::take(&mut *self.lock())
    }

    /// Whether an event has waited for too long.
    fn is_overdue(&self, run: &Run) -> bool {
        let sent = self.lock();
        sent.front()
            .is_some_and(|sent| sent.at.elapsed() >= run.timeout)
    }
}
