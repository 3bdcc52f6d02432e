//! A call within its bounds: a place, the time it may take, and the bytes it may hold.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::{Service, http};

use super::quota::{Kind, Quotas, Share, refused};

const RETRY_BYTES: Duration = Duration::from_millis(500);

/// Has `inner` answer a request within the bounds of a share.
///
/// What was asked goes on when the client cancels the call, and keeps its place until it is done: otherwise calling and
/// cancelling would start any amount of reading. What was sent to be appended waits in a queue with a bound of its own, and
/// is spared the change of tasks.
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
    let work = async move {
        let Ok(response) = inner.call(request).await;
        drop(held);
        (response, place)
    };
    let (response, place) = match share.time(kind) {
        Some(time) if kind == Kind::Append => tokio::time::timeout(time, work)
            .await
            .map_err(|_| too_long(time))?,
        time => on_its_own(work, time).await?,
    };
    Ok(response.map(|body| Body::new(share.answers().send(body, place))))
}

/// Has somebody who is not known answered: only so many who want to be told of every change.
pub(super) async fn answer_anybody<S>(
    mut inner: S,
    quotas: Arc<Quotas>,
    request: http::Request<Body>,
) -> Result<http::Response<Body>, Status>
where
    S: Service<http::Request<Body>, Response = http::Response<Body>, Error = Infallible>,
{
    let place = match Kind::of(request.uri().path()) {
        Kind::Watch => Some(quotas.enter_anybody()?),
        _ => None,
    };
    let Ok(response) = inner.call(request).await;
    Ok(match place {
        Some(place) => response.map(|body| Body::new(quotas.answers().send_endless(body, place))),
        None => response,
    })
}

/// Does work that goes on when nobody waits for it, for as long as it may take.
async fn on_its_own<T: Send + 'static>(
    work: impl Future<Output = T> + Send + 'static,
    time: Option<Duration>,
) -> Result<T, Status> {
    let mut working = tokio::spawn(work);
    let done = match time {
        None => (&mut working).await,
        Some(time) => {
            let done = tokio::time::timeout(time, &mut working).await;
            done.map_err(|_| {
                working.abort();
                too_long(time)
            })?
        }
    };
    done.map_err(|_| Status::internal("the call failed"))
}

fn too_long(time: Duration) -> Status {
    let message = format!("the call took longer than {} seconds", time.as_secs());
    Status::deadline_exceeded(message)
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
