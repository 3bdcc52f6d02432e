//! What one client can take of the server. The reasons for each stand in `docs/operating.md`.

use std::time::Duration;

use tonic::transport::Server;

/// A batch of 1,000 events fits.
pub(super) const MAX_REQUEST_BYTES: usize = 4 * 1024 * 1024;
/// Bytes of a question about health, which anybody may ask.
pub(super) const MAX_HEALTH_BYTES: usize = 4 * 1024;
/// A filter, a token and a range fit many times.
pub(super) const MAX_QUESTION_BYTES: usize = 64 * 1024;
/// The largest entry with its salts and proofs fits.
pub(super) const MAX_RESPONSE_BYTES: usize = 8 * 1024 * 1024;
/// Streams at a time of callers that nobody knows: those who watch the server's health.
pub(super) const MAX_ANONYMOUS_WATCHES: usize = 256;
/// Connections at one time.
pub(super) const MAX_CONNECTIONS: usize = 1_024;
/// Connections of one network address at one time on which nobody has been recognised.
pub(super) const MAX_NEWCOMERS: usize = 64;
/// A connection that has not begun to speak HTTP/2 by then is dropped.
pub(super) const FIRST_BYTES: Duration = Duration::from_secs(10);
/// Connections at one time whose handshake is under way.
pub(super) const MAX_HANDSHAKES: usize = 256;
/// A client that has not finished its handshake by then is dropped.
pub(super) const TLS_HANDSHAKE: Duration = Duration::from_secs(5);
/// Messages that wait for a slow reader of a stream.
pub(super) const STREAM_BUFFER: usize = 4;
/// Bytes of one stream of appends that may wait for their acknowledgement, besides those in the transport's window.
pub(super) const STREAM_CHUNK_BYTES: usize = 1024 * 1024;

const MAX_STREAMS: u32 = 128;
const MAX_HEADER_BYTES: u32 = 8 * 1024;
/// What HTTP/2 begins with; larger frames would only delay others.
const MAX_FRAME_BYTES: u32 = 16 * 1024;
const STREAM_WINDOW: u32 = 1024 * 1024;
const CONNECTION_WINDOW: u32 = 4 * 1024 * 1024;
/// tonic removes hyper's bounds on resets unless they are set.
const MAX_LOCAL_RESETS: usize = 256;
const MAX_PENDING_RESETS: usize = 20;

/// A connection is asked to end after so long, once what is under way has been answered.
const CONNECTION_AGE: Duration = Duration::from_secs(30 * 60);

/// Sets the bounds of the transport.
pub(super) fn harden(server: &mut Server) -> Server {
    std::mem::take(server)
        .max_concurrent_streams(MAX_STREAMS)
        .http2_max_header_list_size(MAX_HEADER_BYTES)
        .max_frame_size(MAX_FRAME_BYTES)
        .max_connection_age(CONNECTION_AGE)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .http2_max_pending_accept_reset_streams(Some(MAX_PENDING_RESETS))
        .http2_max_local_error_reset_streams(Some(MAX_LOCAL_RESETS))
        .http2_keepalive_interval(Some(Duration::from_secs(30)))
        .http2_keepalive_timeout(Some(Duration::from_secs(10)))
}
