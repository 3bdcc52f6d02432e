//! Connections: how many, and who is at the other end.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio::time::Sleep;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_stream::Stream;
use tonic::transport::server::Connected;

use super::limits::{FIRST_BYTES, MAX_CONNECTIONS, MAX_HANDSHAKES, MAX_NEWCOMERS, TLS_HANDSHAKE};
use super::newcomers::{Counted, Newcomers};
use super::presented::Presented;
use super::tls::{Tls, speaks_h2};

/// Bytes of what every connection of HTTP/2 begins with (RFC 9113 section 3.4).
const PREFACE: usize = 24;
/// After the system had no room for another connection.
const PAUSE: Duration = Duration::from_millis(100);

/// Who is at the other end of a connection.
#[derive(Debug, Clone, Default)]
pub(super) struct Peer {
    /// The network address.
    pub(super) address: Option<SocketAddr>,
    /// The client certificate, which was checked against the authorities; none if there is none.
    pub(super) certificate: Option<Arc<Presented>>,
    /// What the connection counts as.
    pub(super) counted: Counted,
}

/// A connection, for as long as it has a place among all.
pub(super) struct Connection {
    stream: Transport,
    peer: Peer,
    /// When its first bytes have to be there, and how many are missing.
    awaited: Option<(Pin<Box<Sleep>>, usize)>,
    _place: OwnedSemaphorePermit,
}

enum Transport {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// Connections as they come, after their handshakes.
pub(super) struct Incoming {
    ready: mpsc::Receiver<Connection>,
    accepting: JoinHandle<()>,
}

impl Incoming {
    pub(super) fn new(listener: TcpListener, tls: Option<Tls>) -> Self {
        let (sender, ready) = mpsc::channel(1);
        Self {
            ready,
            accepting: tokio::spawn(accept(listener, tls, sender)),
        }
    }
}

impl Drop for Incoming {
    /// Closes the listener at once: later clients are refused, rather than left to wait.
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Stream for Incoming {
    type Item = Result<Connection, io::Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.ready.poll_recv(context).map(|ready| ready.map(Ok))
    }
}

/// Accepts connections while there are places for them. Who comes when there is none waits in the queue of the system.
async fn accept(listener: TcpListener, tls: Option<Tls>, ready: mpsc::Sender<Connection>) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let handshakes = Arc::new(Semaphore::new(MAX_HANDSHAKES));
    let newcomers = Arc::new(Newcomers::default());
    loop {
        let (Ok(place), Ok(handshake)) = (
            Arc::clone(&places).acquire_owned().await,
            Arc::clone(&handshakes).acquire_owned().await,
        ) else {
            return;
        };
        let (stream, address) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let Some(newcomer) = newcomers.enter(address.ip(), MAX_NEWCOMERS) else {
            tracing::debug!(%address, "too many connections on which nobody was recognised");
            continue;
        };
        // What fails here fails on the first use too.
        let _ = stream.set_nodelay(true);
        let peer = Peer {
            address: Some(address),
            certificate: None,
            counted: Counted::new(newcomer),
        };
        let (tls, ready) = (tls.clone(), ready.clone());
        tokio::spawn(async move {
            let connected = match tls {
                None => Some((Transport::Plain(stream), peer)),
                Some(tls) => secure(&tls, stream, peer).await,
            };
            drop(handshake);
            if let Some((stream, peer)) = connected {
                let connection = Connection {
                    stream,
                    peer,
                    awaited: Some((Box::pin(tokio::time::sleep(FIRST_BYTES)), PREFACE)),
                    _place: place,
                };
                // The server has gone if nobody takes it.
                let _ = ready.send(connection).await;
            }
        });
    }
}

/// Ends the handshake, or drops the connection.
async fn secure(tls: &Tls, stream: TcpStream, peer: Peer) -> Option<(Transport, Peer)> {
    let secured = tls.current();
    let handshake = TlsAcceptor::from(secured.config()).accept(stream);
    let stream = match tokio::time::timeout(TLS_HANDSHAKE, handshake).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            tracing::debug!(%error, "a handshake failed");
            secured.note(&error);
            return None;
        }
        Err(_) => {
            tracing::debug!("a handshake took too long");
            return None;
        }
    };
    let (_, session) = stream.get_ref();
    if !speaks_h2(session.alpn_protocol()) {
        return None;
    }
    let chain = session.peer_certificates().unwrap_or_default();
    let certificate = Presented::new(chain, tls, secured).map(Arc::new);
    let peer = Peer {
        certificate,
        ..peer
    };
    Some((Transport::Tls(Box::new(stream)), peer))
}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}

/// Calls the same method of either kind of stream.
macro_rules! either {
    ($connection:expr, $stream:ident => $call:expr) => {
        match &mut $connection.get_mut().stream {
            Transport::Plain($stream) => {
                let $stream = Pin::new($stream);
                $call
            }
            Transport::Tls($stream) => {
                let $stream = Pin::new($stream.as_mut());
                $call
            }
        }
    };
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = either!(self.as_mut(), stream => stream.poll_read(context, buffer));
        let Some((late, missing)) = &mut self.awaited else {
            return polled;
        };
        *missing = missing.saturating_sub(buffer.filled().len().saturating_sub(before));
        if *missing == 0 {
            self.awaited = None;
        } else if polled.is_pending() && late.as_mut().poll(context).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        polled
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        either!(self, stream => stream.poll_write(context, bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, stream => stream.poll_flush(context))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, stream => stream.poll_shutdown(context))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        either!(self, stream => stream.poll_write_vectored(context, slices))
    }

    fn is_write_vectored(&self) -> bool {
        match &self.stream {
            Transport::Plain(stream) => stream.is_write_vectored(),
            Transport::Tls(stream) => stream.is_write_vectored(),
        }
    }
}
