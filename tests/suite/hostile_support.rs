//! HTTP/2 by hand, and an honest client that goes on meanwhile.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use graven::entry::v1;
use graven::service::client::LedgerServiceClient;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinHandle;
use tonic::transport::Channel;

use crate::cli_support::Server;
use crate::service_support::{event, with_id};

const MEBIBYTE: u64 = 1024 * 1024;
/// What a server may take more than before, under any attack.
const MORE_MEMORY: u64 = 256 * MEBIBYTE;

pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const PING: u8 = 6;
pub(super) const WINDOW_UPDATE: u8 = 8;
pub(super) const CONTINUATION: u8 = 9;
pub(super) const END_STREAM: u8 = 1;
pub(super) const END_HEADERS: u8 = 4;

/// A frame of RFC 9113 section 4.1.
pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// One setting.
pub(super) fn setting(id: u16, value: u32) -> Vec<u8> {
    [&id.to_be_bytes()[..], &value.to_be_bytes()].concat()
}

/// A field of RFC 7541 section 6.2.2, of less than 128 bytes each.
pub(super) fn field(name: &str, value: &str) -> Vec<u8> {
    let mut field = vec![0, name.len() as u8];
    field.extend(name.as_bytes());
    field.push(value.len() as u8);
    field.extend(value.as_bytes());
    field
}

/// The headers of a call.
pub(super) fn call(path: &str) -> Vec<u8> {
    [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", path),
        (":authority", "localhost"),
        ("te", "trailers"),
        ("content-type", "application/grpc"),
    ]
    .map(|(name, value)| field(name, value))
    .concat()
}

/// A message behind the prefix that gRPC gives it.
pub(super) fn message(bytes: &[u8]) -> Vec<u8> {
    let mut message = vec![0];
    message.extend((bytes.len() as u32).to_be_bytes());
    message.extend(bytes);
    message
}

/// Connects from the address 127.0.0.`from`.
pub(super) async fn connect(server: &Server, from: u8) -> io::Result<TcpStream> {
    let address: SocketAddr = server.url.strip_prefix("http://").unwrap().parse().unwrap();
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::from(([127, 0, 0, from], 0)))?;
    socket.connect(address).await
}

/// A connection on which both sides have begun to speak.
pub(super) async fn begin(server: &Server, settings: &[u8]) -> io::Result<TcpStream> {
    let mut connection = connect(server, 2).await?;
    let hello = [PREFACE, &frame(SETTINGS, 0, 0, settings)].concat();
    connection.write_all(&hello).await?;
    Ok(connection)
}

/// Sends the same again until it was sent so often or the server ends the connection, reading all that comes. Gives the
/// bytes that were sent.
pub(super) async fn flood(
    mut connection: TcpStream,
    times: usize,
    mut next: impl FnMut(usize) -> Vec<u8>,
) -> usize {
    let (mut reader, mut writer) = connection.split();
    let reading = async {
        let mut buffer = vec![0; 65_536];
        while reader.read(&mut buffer).await.is_ok_and(|read| read > 0) {}
    };
    let mut sent = 0;
    let writing = async {
        for number in 0..times {
            let bytes = next(number);
            if writer.write_all(&bytes).await.is_err() {
                break;
            }
            sent += bytes.len();
        }
    };
    let limited = tokio::time::timeout(Duration::from_secs(20), async {
        tokio::select! {
            () = reading => {}
            () = writing => {}
        }
    });
    let _ = limited.await;
    sent
}

/// Reads until the server ends the connection, for some seconds at most. Whether it did.
pub(super) async fn is_ended(connection: &mut TcpStream, seconds: u64) -> bool {
    let mut buffer = vec![0; 65_536];
    let reading = async {
        while connection
            .read(&mut buffer)
            .await
            .is_ok_and(|read| read > 0)
        {}
    };
    tokio::time::timeout(Duration::from_secs(seconds), reading)
        .await
        .is_ok()
}

/// Reads frames until the server has ended `stream` by trailers or by a reset.
pub(super) async fn stream_ends(connection: &mut TcpStream, stream: u32) -> io::Result<()> {
    loop {
        let mut head = [0; 9];
        connection.read_exact(&mut head).await?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; length as usize];
        connection.read_exact(&mut payload).await?;
        let of = u32::from_be_bytes(head[5..].try_into().unwrap());
        let is_end = head[3] == RST_STREAM || head[4] & END_STREAM != 0;
        if of == stream && head[3] != SETTINGS && is_end {
            return Ok(());
        }
    }
}

/// Somebody who appends one event after the other.
pub(super) struct Honest {
    end: Arc<AtomicBool>,
    appending: JoinHandle<(Vec<u64>, Vec<Duration>)>,
    memory: u64,
    /// How long appends took before the attack; measured only where times are asked for.
    before: Vec<Duration>,
}

/// Times are measured and printed in the long battery alone, by hand: a test asserts none.
fn wants_times() -> bool {
    std::env::var_os("GRAVEN_LONG").is_some()
}

fn p99(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times
        .get(times.len() * 99 / 100)
        .copied()
        .unwrap_or_default()
}

/// The memory that a process has, in bytes.
fn memory(server: &Server) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kibibytes = line.unwrap().split_whitespace().nth(1).unwrap();
    kibibytes.parse::<u64>().unwrap() * 1024
}

async fn client(server: &Server) -> LedgerServiceClient<Channel> {
    LedgerServiceClient::connect(server.url.clone())
        .await
        .unwrap()
}

impl Honest {
    pub(super) async fn begin(server: &Server) -> Self {
        let mut client = client(server).await;
        let end = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&end);
        append(&mut client, u64::MAX).await;
        let memory = memory(server);
        let mut before = Vec::new();
        if wants_times() {
            for number in 0..500 {
                let begin = Instant::now();
                append(&mut client, u64::MAX / 2 + number).await;
                before.push(begin.elapsed());
            }
        }
        let appending = tokio::spawn(async move {
            let (mut acknowledged, mut times) = (Vec::new(), Vec::new());
            while !ended.load(Ordering::SeqCst) {
                let number = acknowledged.len() as u64;
                let begin = Instant::now();
                acknowledged.push(append(&mut client, number).await);
                times.push(begin.elapsed());
            }
            (acknowledged, times)
        });
        Self {
            end,
            appending,
            memory,
            before,
        }
    }

    /// Ends, and checks that nothing was refused or lost, that the server keeps its memory, and that a new client gets in.
    pub(super) async fn holds(self, server: &Server) {
        let now = memory(server);
        assert!(
            now <= self.memory + MORE_MEMORY,
            "{} MiB before, {} MiB now",
            self.memory / MEBIBYTE,
            now / MEBIBYTE
        );
        self.end.store(true, Ordering::SeqCst);
        let (acknowledged, times) = self.appending.await.unwrap();
        if wants_times() {
            println!(
                "p99 of {} appends before {:?}, of {} under attack {:?}; {} MiB before, {} MiB after",
                self.before.len(),
                p99(self.before),
                times.len(),
                p99(times),
                self.memory / MEBIBYTE,
                now / MEBIBYTE
            );
        }
        assert!(!acknowledged.is_empty());
        let mut client = client(server).await;
        append(&mut client, u64::MAX - 1).await;
        for (number, seq) in acknowledged.into_iter().enumerate() {
            let again = with_id(event(number as u64), &format!("honest-{number}"));
            let request = v1::AppendBatchRequest {
                events: vec![again],
                ack_level: 0,
            };
            let answer = client.append_batch(request).await.unwrap().into_inner();
            let duplicate = answer.duplicates.first();
            let found = duplicate.and_then(|duplicate| duplicate.receipt.as_ref());
            assert_eq!(found.map(|receipt| receipt.first_seq), Some(seq));
        }
    }
}

/// Appends an event that is told apart by `number`, and gives its seq.
async fn append(client: &mut LedgerServiceClient<Channel>, number: u64) -> u64 {
    let request = v1::AppendBatchRequest {
        events: vec![with_id(event(number), &format!("honest-{number}"))],
        ack_level: 0,
    };
    let answer = client.append_batch(request).await.unwrap().into_inner();
    answer.receipt.unwrap().first_seq
}
