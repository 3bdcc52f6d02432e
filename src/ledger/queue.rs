//! The way to the sequencer: bounded by bytes, closed at the end.

use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::error::LedgerError;
use super::sequencer::Waiting;
use super::stop::Stop;
use super::submission::{Appended, Submission};

/// Bytes that may wait to be sealed.
const QUEUE_BYTES: usize = 64 * 1024 * 1024;
/// A permit of the queue stands for so many bytes.
const PERMIT_BYTES: usize = 1024;

/// Where the outcome of a submission comes from.
pub(crate) type Outcome = oneshot::Receiver<Result<Appended, LedgerError>>;

pub(crate) struct Queue {
    waiting: Mutex<Option<Sender<Waiting>>>,
    permits: Arc<Semaphore>,
    stop: Arc<Stop>,
}

impl Queue {
    pub(crate) fn new(waiting: Sender<Waiting>, stop: Arc<Stop>) -> Self {
        Self {
            waiting: Mutex::new(Some(waiting)),
            permits: Arc::new(Semaphore::new(QUEUE_BYTES / PERMIT_BYTES)),
            stop,
        }
    }

    /// Puts a submission into the queue, if there is room for it.
    pub(crate) fn try_submit(&self, submission: Submission) -> Result<Outcome, LedgerError> {
        let permit = Arc::clone(&self.permits)
            .try_acquire_many_owned(submission.permits())
            .map_err(|_| LedgerError::Overloaded {
                queued_bytes: self.waiting_bytes(),
            })?;
        self.send(submission, permit)
    }

    /// Puts a submission into the queue once there is room for it.
    pub(crate) async fn submit(&self, submission: Submission) -> Result<Outcome, LedgerError> {
        let permit = Arc::clone(&self.permits)
            .acquire_many_owned(submission.permits())
            .await;
        self.send(submission, permit.map_err(|_| self.stopped())?)
    }

    /// Appends an act of the ledger itself, from a thread that may block. It takes no share of the queue: acts are few
    /// and small, and a queue that others filled must not keep them out.
    pub(crate) fn append_act(&self, act: Submission) -> Result<Appended, LedgerError> {
        let permit = Arc::clone(&self.permits).try_acquire_many_owned(0);
        let outcome = self.send(act, permit.map_err(|_| self.stopped())?)?;
        outcome
            .blocking_recv()
            .unwrap_or_else(|_| Err(self.stopped()))
    }

    /// Bytes that wait to be sealed, or for their acknowledgement.
    pub(crate) fn waiting_bytes(&self) -> usize {
        let waiting = QUEUE_BYTES / PERMIT_BYTES - self.permits.available_permits();
        waiting * PERMIT_BYTES
    }

    /// Lets nothing more in, so that the sequencer ends after what waits.
    pub(crate) fn close(&self) {
        self.waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
    }

    pub(crate) fn stopped(&self) -> LedgerError {
        LedgerError::Stopped(self.stop.reason().unwrap_or_else(|| "it was closed".into()))
    }

    fn send(
        &self,
        submission: Submission,
        permit: OwnedSemaphorePermit,
    ) -> Result<Outcome, LedgerError> {
        let (reply, outcome) = oneshot::channel();
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = waiting.as_ref().ok_or_else(|| self.stopped())?;
        waiting
            .send(Waiting {
                submission,
                reply,
                permit,
            })
            .map_err(|_| self.stopped())?;
        Ok(outcome)
    }
}

impl Submission {
    /// Its share of the queue; never more than all of it.
    fn permits(&self) -> u32 {
        let permits = (self.bytes / PERMIT_BYTES + 1).min(QUEUE_BYTES / PERMIT_BYTES);
        u32::try_from(permits).unwrap_or(u32::MAX)
    }
}
