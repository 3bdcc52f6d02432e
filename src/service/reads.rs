//! Acts of reading, on their way to a ledger of their own: who asked what, and how much was returned at which checkpoint.
//!
//! An answer is given only once its act of reading is in a bounded queue. When the queue is full, because that ledger does
//! not keep up or seals nothing any more, reads are refused: what cannot be recorded must not be read.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use prost::Message;
use serde_json::{Map, Value};
use tokio::sync::mpsc;
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Response, Status};

use super::door::Caller;
use super::read_facts::{Answer, Asked};
use crate::entry::{CheckedEvent, MAX_BATCH_EVENTS, v1};
use crate::ledger::{Entropy, Ledger, LedgerError, SystemEntropy};

/// Acts of reading that may wait to be sealed.
const QUEUE: usize = 4_096;
/// How long to wait before a ledger that seals nothing for the moment is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// Where acts of reading go.
#[derive(Clone)]
pub struct ReadLog {
    queue: mpsc::Sender<Read>,
    /// The ledger that is read.
    origin: Arc<str>,
    /// Numbers the acts of this run.
    run: [u8; 8],
    number: Arc<AtomicU64>,
}

/// One act of reading.
struct Read {
    envelope: v1::Envelope,
    event: CheckedEvent,
}

impl ReadLog {
    /// Records reads of the ledger `origin` in `ledger`. The task that comes with it does so until every clone of the log is
    /// dropped and all is sealed, or `ledger` stops.
    pub fn new(
        ledger: Arc<Ledger>,
        origin: &str,
    ) -> Result<(Self, impl Future<Output = ()> + Send + 'static), LedgerError> {
        let mut run = [0; 8];
        SystemEntropy
            .fill(&mut run)
            .map_err(|error| LedgerError::Stopped(format!("no randomness: {error}")))?;
        let (queue, waiting) = mpsc::channel(QUEUE);
        let log = Self {
            queue,
            origin: origin.into(),
            run,
            number: Arc::new(AtomicU64::new(0)),
        };
        Ok((log, seal_as_they_come(ledger, waiting)))
    }

    /// The same log, for reads of another ledger.
    #[must_use]
    pub fn of(&self, origin: &str) -> Self {
        Self {
            origin: origin.into(),
            ..self.clone()
        }
    }

    /// The act of reading as an event.
    fn event(&self, envelope: &v1::Envelope, asked: &Asked, end: &End) -> Result<Read, Status> {
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        let mut detail = asked.detail.clone();
        end.describe(&mut detail);
        let submitter = envelope.submitter.clone().unwrap_or_default();
        let event = v1::Event {
            who: Some(v1::Who {
                actor: submitter.subject,
                assurance: v1::Assurance::Authenticated.into(),
                ..Default::default()
            }),
            what: Some(v1::What {
                action: asked.action.into(),
                outcome: end.outcome().into(),
                outcome_code: end.code(),
                targets: vec![v1::Target {
                    uri: format!("graven://{}/{}", self.origin, asked.part),
                    ..Default::default()
                }],
                ..Default::default()
            }),
            context: Some(v1::Context {
                source: format!("graven:{}", self.origin),
                occurred_at: now(),
                idempotency_id: [self.run, number.to_be_bytes()].concat(),
                ..Default::default()
            }),
            detail: Some(v1::Detail {
                content: Value::Object(detail).to_string().into(),
                media_type: "application/json".into(),
                ..Default::default()
            }),
            ..Default::default()
        };
        let event =
            CheckedEvent::check(&Bytes::from(event.encode_to_vec())).map_err(|invalid| {
                tracing::error!(%invalid, "an act of reading cannot be recorded");
                unrecorded()
            })?;
        Ok(Read {
            envelope: envelope.clone(),
            event,
        })
    }
}

/// Nanoseconds since 1970, UTC.
fn now() -> Option<i64> {
    let passed = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
    i64::try_from(passed.as_nanos()).ok()
}

fn unrecorded() -> Status {
    Status::unavailable("reads are recorded, and this one cannot be recorded now: try again")
}

/// An act of reading under way; nothing is recorded of it where there is no log.
pub(super) struct Reading(Option<Known>);

struct Known {
    log: ReadLog,
    envelope: v1::Envelope,
    asked: Asked,
}

/// How an act of reading ended.
enum End {
    /// Not yet.
    Open,
    /// With so much returned, at the checkpoint of this size.
    Answered { returned: u64, size: Option<u64> },
    /// With less than asked for, or nothing.
    Failed { returned: u64, code: Code },
}

impl End {
    fn outcome(&self) -> v1::Outcome {
        match self {
            Self::Open => v1::Outcome::Unspecified,
            Self::Answered { .. } => v1::Outcome::Success,
            Self::Failed {
                code: Code::PermissionDenied,
                ..
            } => v1::Outcome::Denied,
            Self::Failed { .. } => v1::Outcome::Failure,
        }
    }

    fn code(&self) -> String {
        match self {
            Self::Failed { code, .. } => format!("{code:?}"),
            Self::Open | Self::Answered { .. } => String::new(),
        }
    }

    fn describe(&self, detail: &mut Map<String, Value>) {
        match self {
            Self::Open => {}
            Self::Answered { returned, size } => {
                detail.insert("returned".into(), (*returned).into());
                if let Some(size) = size {
                    detail.insert("checkpoint".into(), (*size).into());
                }
            }
            Self::Failed { returned, .. } => {
                detail.insert("returned".into(), (*returned).into());
            }
        }
    }
}

impl Reading {
    /// `caller` asks what `asked` says.
    pub(super) fn new(
        log: Option<&ReadLog>,
        caller: &Caller,
        asked: impl FnOnce() -> Asked,
    ) -> Self {
        Self(log.map(|log| Known {
            log: log.clone(),
            envelope: caller.envelope.clone(),
            asked: asked(),
        }))
    }

    /// Gives the answer, once it is recorded what was returned.
    pub(super) fn answered<T: Answer>(
        self,
        answer: Result<Response<T>, Status>,
    ) -> Result<Response<T>, Status> {
        let Some(known) = self.0 else { return answer };
        known.record(&match &answer {
            Ok(response) => End::Answered {
                returned: response.get_ref().returned(),
                size: response.get_ref().size(),
            },
            Err(status) => End::Failed {
                returned: 0,
                code: status.code(),
            },
        })?;
        answer
    }

    /// Gives the stream, once it is recorded that it begins. How much was returned is recorded when it ends.
    pub(super) fn streams<T: Answer>(
        self,
        begin: impl FnOnce() -> Result<Answers<T>, Status>,
    ) -> Result<Response<Recorded<T>>, Status> {
        let inner = begin();
        if let Some(known) = &self.0 {
            known.record(&match &inner {
                Ok(_) => End::Open,
                Err(status) => End::Failed {
                    returned: 0,
                    code: status.code(),
                },
            })?;
        }
        Ok(Response::new(Recorded {
            inner: inner?,
            known: self.0,
            returned: 0,
            size: None,
            failed: None,
        }))
    }
}

impl Known {
    fn record(&self, end: &End) -> Result<(), Status> {
        let read = self.log.event(&self.envelope, &self.asked, end)?;
        self.log.queue.try_send(read).map_err(|_| unrecorded())
    }
}

type Answers<T> = ReceiverStream<Result<T, Status>>;

/// A stream of answers, of which it is recorded how much was returned.
pub(super) struct Recorded<T> {
    inner: Answers<T>,
    known: Option<Known>,
    returned: u64,
    size: Option<u64>,
    failed: Option<Code>,
}

impl<T: Answer> Stream for Recorded<T> {
    type Item = Result<T, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let gone = |known: &Known| known.log.queue.is_closed();
        if self.known.as_ref().is_some_and(gone) {
            // Its end cannot be recorded any more, so it ends now.
            self.known = None;
            self.inner.close();
            return Poll::Ready(Some(Err(unrecorded())));
        }
        let answer = Pin::new(&mut self.inner).poll_next(context);
        match &answer {
            Poll::Ready(Some(Ok(answer))) => {
                self.returned = self.returned.saturating_add(answer.returned());
                self.size = answer.size().or(self.size);
            }
            Poll::Ready(Some(Err(status))) => self.failed = Some(status.code()),
            Poll::Ready(None) | Poll::Pending => {}
        }
        answer
    }
}

impl<T> Drop for Recorded<T> {
    fn drop(&mut self) {
        let Some(known) = self.known.take() else {
            return;
        };
        let end = match self.failed {
            Some(code) => End::Failed {
                returned: self.returned,
                code,
            },
            None => End::Answered {
                returned: self.returned,
                size: self.size,
            },
        };
        let Ok(read) = known.log.event(&known.envelope, &known.asked, &end) else {
            return;
        };
        if let Err(mpsc::error::TrySendError::Full(read)) = known.log.queue.try_send(read)
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            // There is nobody left to refuse anything to, so it waits.
            runtime.spawn(async move {
                let _ = known.log.queue.send(read).await;
            });
        }
    }
}

/// Seals all that waits, again and again.
async fn seal_as_they_come(ledger: Arc<Ledger>, mut waiting: mpsc::Receiver<Read>) {
    let mut reads = Vec::new();
    while waiting.recv_many(&mut reads, MAX_BATCH_EVENTS).await > 0 {
        while let Err(error) = seal(&ledger, &reads).await {
            tracing::error!(%error, "acts of reading are not sealed");
            match error {
                LedgerError::Overloaded { .. }
                | LedgerError::Full { .. }
                | LedgerError::ClockJump { .. } => tokio::time::sleep(RETRY).await,
                // Nothing is taken from the queue any more, so reads are refused.
                _ => return,
            }
        }
        reads.clear();
    }
}

/// Seals reads, those of one caller that follow each other together. Doing it again seals none twice.
async fn seal(ledger: &Ledger, reads: &[Read]) -> Result<(), LedgerError> {
    let mut submissions = Vec::new();
    for of_one in reads.chunk_by(|a, b| a.envelope == b.envelope) {
        let Some(first) = of_one.first() else {
            continue;
        };
        let events = of_one.iter().map(|read| read.event.clone()).collect();
        submissions.push(ledger.prepare(events, &first.envelope)?);
    }
    ledger.append_in_order(submissions).await
}
