//! Tessera on a POSIX file system, if there is a `tessera-posix` in PATH: the server of its conformance tests, as
//! `go install github.com/transparency-dev/tessera/cmd/conformance/posix@latest` builds it under the name `posix`.
//!
//! It takes one entry a call (`POST /add`) and batches by itself: up to 256 entries, or what came in a second. So one client
//! waits for that second, and instead of batches there are 1,000 clients that send single entries. It answers when the entry
//! is durable and has its place; the checkpoint over it follows every second. Antispam, its look-up of duplicates, is what
//! it does by default: in memory, of recent entries.
//!
//! Tried with version 1.0.4.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};

use prost::Message;

use super::feed::{Feed, phases};
use super::report::Figures;
use super::support::events::Row;
use super::support::load::Shape;
use super::support::{self, bytes_below};
use super::{Killed, free_port, installed};

pub(crate) fn run(dir: &Path, feed: &Feed) -> Result<Figures, String> {
    let program = installed("tessera-posix")?;
    let (data, port) = (dir.join("tessera"), free_port());
    std::fs::create_dir(&data).unwrap();
    let mut server = Killed(
        Command::new(program)
            .arg(format!("--storage_dir={}", data.display()))
            .arg(format!("--listen=127.0.0.1:{port}"))
            .env("LOG_PRIVATE_KEY", support::key().encode().as_str())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| error.to_string())?,
    );
    server.wait_for(port)?;
    let mut loads = Vec::new();
    for mut phase in phases() {
        if phase.shape.events > 1 {
            phase.shape = Shape::single(1_000);
        }
        let mut clients: Vec<_> = (0..phase.shape.clients())
            .map(|_| BufReader::new(TcpStream::connect(("127.0.0.1", port)).unwrap()))
            .collect();
        let encode = |rows: &[Row]| post(&rows[0].event().encode_to_vec());
        loads.push(Some(feed.run(&phase, &mut clients, encode, add)));
    }
    Ok(Figures {
        loads,
        bytes: bytes_below(&data),
    })
}

fn post(body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST /add HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

fn add(client: &mut BufReader<TcpStream>, request: Vec<u8>) {
    client.get_mut().write_all(&request).unwrap();
    let mut line = String::new();
    client.read_line(&mut line).unwrap();
    assert!(line.starts_with("HTTP/1.1 200 "), "{line}");
    let mut length = 0;
    loop {
        line.clear();
        client.read_line(&mut line).unwrap();
        let header = line.trim_end().to_ascii_lowercase();
        if let Some(value) = header.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if header.is_empty() {
            break;
        }
    }
    // The place of the entry.
    client.read_exact(&mut vec![0; length]).unwrap();
}
