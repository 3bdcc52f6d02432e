//! `/metrics`, `/livez` and `/readyz` over HTTP/1.1, on a listener of their own: for those who look after the server.
//!
//! Nobody is authenticated here, so nothing here says what is in the ledger, beyond how much.

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use super::closing::Closing;
use super::jwt::FetchStatus;
use super::metrics;
use super::requests::Requests;
use crate::ledger::{Ledger, LedgerError};

/// Connections at one time: more than who looks after a server has.
const MAX_CONNECTIONS: usize = 16;
/// A request has to be there by then, and its answer to be taken.
const REQUEST_TIME: Duration = Duration::from_secs(5);
const CONNECTION_TIME: Duration = Duration::from_secs(30);
const MAX_REQUEST_BYTES: usize = 16 * 1024;
/// After the system had no room for another connection.
const PAUSE: Duration = Duration::from_millis(100);

/// Where it is served.
pub struct Monitor {
    /// The listener.
    pub listener: TcpListener,
    /// Directory of the ledger, whose files are measured.
    pub dir: PathBuf,
}

/// What it tells of.
pub(super) struct Monitored {
    pub(super) ledger: Arc<Ledger>,
    pub(super) dir: PathBuf,
    pub(super) requests: Arc<Requests>,
    /// Of the issuers whose keys are fetched.
    pub(super) keys: Vec<Arc<FetchStatus>>,
    pub(super) closing: Closing,
}

/// Serves until it is dropped.
pub(super) async fn serve(listener: TcpListener, monitored: Arc<Monitored>) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((stream, _)) => {
                let monitored = Arc::clone(&monitored);
                tokio::spawn(async move {
                    // One that is too slow is dropped.
                    let _ =
                        tokio::time::timeout(CONNECTION_TIME, converse(stream, monitored)).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection to the monitor could not be accepted");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

async fn converse(stream: TcpStream, monitored: Arc<Monitored>) {
    let answer = service_fn(move |request: Request<Incoming>| {
        let monitored = Arc::clone(&monitored);
        async move { Ok::<_, Infallible>(answer(&request, monitored).await) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(REQUEST_TIME)
        .max_buf_size(MAX_REQUEST_BYTES)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), answer)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "a connection to the monitor failed");
    }
}

async fn answer(request: &Request<Incoming>, monitored: Arc<Monitored>) -> Response<Full<Bytes>> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return plain(
            StatusCode::METHOD_NOT_ALLOWED,
            "only GET is answered\n".into(),
        );
    }
    match request.uri().path() {
        "/livez" => plain(StatusCode::OK, "ok\n".into()),
        "/readyz" => match ready(Arc::clone(&monitored)).await {
            Ok(()) => plain(StatusCode::OK, format!("ok\n{}", without_keys(&monitored))),
            Err(why) => plain(StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
        },
        "/metrics" => figures(monitored).await,
        _ => plain(
            StatusCode::NOT_FOUND,
            "there are /metrics, /livez and /readyz\n".into(),
        ),
    }
}

/// Why nothing can be appended now, if that is so.
async fn ready(monitored: Arc<Monitored>) -> Result<(), String> {
    if monitored.closing.is_closing() {
        return Err("the server is shutting down".into());
    }
    let checked = tokio::task::spawn_blocking(move || monitored.ledger.check_ready()).await;
    match checked {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(reason(&error)),
        Err(_) => Err("it could not be checked".into()),
    }
}

/// A line for each issuer whose tokens cannot be checked. Others get in all the same, so the server is ready.
fn without_keys(monitored: &Monitored) -> String {
    let without = monitored.keys.iter().filter(|status| !status.has_keys());
    let lines = without.map(|status| {
        let issuer = status.issuer();
        format!("the keys of {issuer} could not be fetched: its tokens are refused\n")
    });
    lines.collect()
}

/// What is said of it to those whom nobody knows: no paths.
pub(super) fn reason(error: &LedgerError) -> String {
    match error {
        LedgerError::Full { .. } | LedgerError::ClockJump { .. } => error.to_string(),
        LedgerError::Stopped(_) => "the ledger has stopped".into(),
        _ => "the store cannot be read; the log of the server says more".into(),
    }
}

async fn figures(monitored: Arc<Monitored>) -> Response<Full<Bytes>> {
    let is_ready = ready(Arc::clone(&monitored)).await.is_ok();
    let text = tokio::task::spawn_blocking(move || {
        let Monitored {
            ledger,
            dir,
            requests,
            keys,
            ..
        } = &*monitored;
        metrics::text(ledger, dir, requests, keys, is_ready)
    });
    match text.await {
        Ok(Ok(text)) => {
            let mut response = plain(StatusCode::OK, text);
            let kind = HeaderValue::from_static(metrics::CONTENT_TYPE);
            response.headers_mut().insert(CONTENT_TYPE, kind);
            response
        }
        Ok(Err(error)) => {
            tracing::error!(%error, "the figures cannot be read");
            plain(
                StatusCode::INTERNAL_SERVER_ERROR,
                format!("{}\n", reason(&error)),
            )
        }
        Err(_) => plain(StatusCode::INTERNAL_SERVER_ERROR, "it failed\n".into()),
    }
}

fn plain(status: StatusCode, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}
