//! Answers on their way: each keeps the place of its call until it has gone, and ends early when its reader takes nothing.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::time::Instant;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::http;

use super::closing::Closing;
use super::quota::Place;

/// All answers on their way.
#[derive(Default)]
pub(super) struct Answers(Mutex<Vec<Weak<Mutex<Sending>>>>);

/// The body of an answer.
pub(super) struct Answer(Arc<Mutex<Sending>>);

struct Sending {
    /// None once it has ended.
    body: Option<(Body, Place)>,
    /// Since when the reader has asked for nothing; none while it waits.
    idle: Option<Instant>,
    /// What it ends with before its time.
    early: Option<Status>,
    /// Whether it ends only when the server does.
    endless: bool,
    waiting: Option<Waker>,
}

impl Answers {
    /// An answer that ends by itself.
    pub(super) fn send(&self, body: Body, place: Place) -> Answer {
        self.keep(body, place, false)
    }

    /// An answer that ends when the server closes.
    pub(super) fn send_endless(&self, body: Body, place: Place) -> Answer {
        self.keep(body, place, true)
    }

    fn keep(&self, body: Body, place: Place, endless: bool) -> Answer {
        let sending = Arc::new(Mutex::new(Sending {
            body: Some((body, place)),
            // A reader with a closed window never asks at all.
            idle: Some(Instant::now()),
            early: None,
            endless,
            waiting: None,
        }));
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.push(Arc::downgrade(&sending));
        Answer(sending)
    }

    /// Lets go of answers whose readers take nothing for as long as `stall`, and so of all that makes them; and of all
    /// endless ones once the server closes.
    pub(super) async fn watch(self: Arc<Self>, stall: Duration, mut closing: Closing) {
        let interval = (stall / 4).clamp(Duration::from_millis(10), Duration::from_secs(1));
        let closed = loop {
            tokio::select! {
                () = tokio::time::sleep(interval) => {}
                closed = closing.wait() => break closed,
            }
            self.end_stalled(stall);
        };
        self.each(|sending| {
            if sending.endless {
                sending.end(closed.clone());
            }
        });
        loop {
            tokio::time::sleep(interval).await;
            self.end_stalled(stall);
        }
    }

    fn end_stalled(&self, stall: Duration) {
        self.each(|sending| {
            if sending.idle.is_some_and(|since| since.elapsed() >= stall) {
                sending.end(Status::resource_exhausted(format!(
                    "nothing was taken for {} seconds: call again from where this ended",
                    stall.as_secs()
                )));
            }
        });
    }

    /// Calls `see` with each that is on its way, and forgets those that have gone.
    fn each(&self, mut see: impl FnMut(&mut Sending)) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|sending| {
            let Some(sending) = sending.upgrade() else {
                return false;
            };
            let mut sending = sending.lock().unwrap_or_else(PoisonError::into_inner);
            if sending.body.is_some() {
                see(&mut sending);
            }
            sending.body.is_some()
        });
    }
}

impl Sending {
    fn end(&mut self, early: Status) {
        self.body = None;
        self.early = Some(early);
        if let Some(waiting) = self.waiting.take() {
            waiting.wake();
        }
    }
}

impl http_body::Body for Answer {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let mut sending = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sending.idle = None;
        if let Some(early) = sending.early.take() {
            return Poll::Ready(Some(last_frame(&early)));
        }
        let Some((body, _)) = sending.body.as_mut() else {
            return Poll::Ready(None);
        };
        let polled = Pin::new(body).poll_frame(context);
        match &polled {
            Poll::Ready(Some(_)) => sending.idle = Some(Instant::now()),
            Poll::Ready(None) => sending.body = None,
            Poll::Pending => sending.waiting = Some(context.waker().clone()),
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        let sending = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let body = sending.body.as_ref();
        sending.early.is_none() && body.is_none_or(|(body, _)| body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        let sending = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let body = sending.body.as_ref();
        body.map_or_else(SizeHint::default, |(body, _)| body.size_hint())
    }
}

/// The trailers that end a stream with this status.
fn last_frame(status: &Status) -> Result<Frame<Bytes>, Status> {
    let mut trailers = http::HeaderMap::new();
    status.add_header(&mut trailers)?;
    Ok(Frame::trailers(trailers))
}
