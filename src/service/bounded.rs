//! A call within its bounds: a place, the time it may take, the bytes it may hold, and a reader who has to read.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::{Service, http};

use super::quota::{Kind, Place, Share, refused};

const RETRY_BYTES: Duration = Duration::from_millis(500);

/// Has `inner` answer a request within the bounds of a share.
///
/// The work goes on when the client cancels the call, and keeps its place until it is done: otherwise calling and
/// cancelling would start any amount of it.
pub(super) async fn answer<S>(
    mut inner: S,
    share: Arc<Share>,
    request: http::Request<Body>,
) -> Result<http::Response<Body>, Status>
where
    S: Service<http::Request<Body>, Response = http::Response<Body>, Error = Infallible>
        + Send
        + 'static,
    S::Future: Send,
{
    let kind = Kind::of(request.uri().path());
    let place = share.enter(kind).await?;
    let held = Held::default();
    let request = if kind == Kind::AppendStream {
        // A stream has a bound of its own.
        request
    } else {
        let (bytes, held) = (share.request_bytes(), Arc::clone(&held));
        request.map(|body| Body::new(Upload { body, bytes, held }))
    };
    let mut working = tokio::spawn(async move {
        let Ok(response) = inner.call(request).await;
        drop(held);
        (response, place)
    });
    let answered = match share.time(kind) {
        None => (&mut working).await,
        Some(time) => {
            let answered = tokio::time::timeout(time, &mut working).await;
            answered.map_err(|_| {
                working.abort();
                let message = format!("the call took longer than {} seconds", time.as_secs());
                Status::deadline_exceeded(message)
            })?
        }
    };
    let (response, place) = answered.map_err(|_| Status::internal("the call failed"))?;
    let stall = kind.is_streamed().then(|| share.stall_time());
    Ok(response.map(|body| Body::new(Reply::new(body, place, stall))))
}

type Held = Arc<Mutex<Option<OwnedSemaphorePermit>>>;

/// The body of a request, which counts among the bytes that are under way.
struct Upload {
    body: Body,
    bytes: Arc<Semaphore>,
    held: Held,
}

impl Upload {
    fn hold(&self, bytes: usize) -> Result<(), Status> {
        let permits = u32::try_from(bytes).unwrap_or(u32::MAX);
        let more = Arc::clone(&self.bytes)
            .try_acquire_many_owned(permits)
            .map_err(|_| {
                refused(
                    "the requests under way hold as many bytes as they may".into(),
                    RETRY_BYTES,
                )
            })?;
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        match held.as_mut() {
            Some(held) => held.merge(more),
            None => *held = Some(more),
        }
        Ok(())
    }
}

impl http_body::Body for Upload {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && let Some(data) = frame.data_ref()
            && let Err(refusal) = self.hold(data.len())
        {
            return Poll::Ready(Some(Err(refusal)));
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The body of an answer, which keeps the place of its call until it is gone.
struct Reply {
    shared: Arc<Mutex<Sending>>,
    _place: Place,
}

struct Sending {
    /// None once it has ended, or once its reader took nothing for too long.
    body: Option<Body>,
    /// When the reader was given what it has not yet asked more after; none while it waits for more.
    given: Option<Instant>,
    stalled: Option<Duration>,
}

impl Reply {
    fn new(body: Body, place: Place, stall: Option<Duration>) -> Self {
        let shared = Arc::new(Mutex::new(Sending {
            body: Some(body),
            given: None,
            stalled: None,
        }));
        if let Some(stall) = stall {
            tokio::spawn(watch(Arc::downgrade(&shared), stall));
        }
        Self {
            shared,
            _place: place,
        }
    }
}

/// Lets go of an answer whose reader takes nothing for as long as `stall`, and so of all that makes it.
async fn watch(shared: Weak<Mutex<Sending>>, stall: Duration) {
    loop {
        let wake = {
            let Some(shared) = shared.upgrade() else {
                return;
            };
            let mut sending = shared.lock().unwrap_or_else(PoisonError::into_inner);
            let since = sending.given.unwrap_or_else(Instant::now);
            if since.elapsed() >= stall {
                sending.body = None;
                sending.stalled = Some(stall);
                return;
            }
            since + stall
        };
        tokio::time::sleep_until(wake).await;
    }
}

impl http_body::Body for Reply {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let mut sending = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        sending.given = None;
        if let Some(stall) = sending.stalled.take() {
            let message = format!(
                "nothing was taken for {} seconds: call again from where this ended",
                stall.as_secs()
            );
            let trailers = last_frame(&Status::resource_exhausted(message));
            return Poll::Ready(Some(trailers));
        }
        let Some(body) = sending.body.as_mut() else {
            return Poll::Ready(None);
        };
        let polled = Pin::new(body).poll_frame(context);
        match &polled {
            Poll::Ready(Some(_)) => sending.given = Some(Instant::now()),
            Poll::Ready(None) => sending.body = None,
            Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        let sending = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let body = sending.body.as_ref();
        sending.stalled.is_none() && body.is_none_or(http_body::Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let sending = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let body = sending.body.as_ref();
        body.map_or_else(SizeHint::default, http_body::Body::size_hint)
    }
}

/// The trailers that end a stream with this status.
fn last_frame(status: &Status) -> Result<Frame<Bytes>, Status> {
    let mut trailers = http::HeaderMap::new();
    status.add_header(&mut trailers)?;
    Ok(Frame::trailers(trailers))
}
