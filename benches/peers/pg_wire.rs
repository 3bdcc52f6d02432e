//! A client of PostgreSQL over its socket: as much of protocol 3.0 as appends take, with statements prepared once and one
//! write for each call. `pgbench` cannot send given events, nor COPY.

use std::io::{BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

pub(crate) struct Connection {
    reader: BufReader<UnixStream>,
}

impl Connection {
    /// Connects as `postgres` to the database of this name, to a server that trusts who can reach its socket.
    pub(crate) fn open(socket: &Path) -> Self {
        let stream = UnixStream::connect(socket.join(".s.PGSQL.5432")).unwrap();
        let mut this = Self {
            reader: BufReader::new(stream),
        };
        let mut startup = Vec::from(196_608u32.to_be_bytes());
        startup.extend(b"user\0postgres\0database\0postgres\0\0");
        let mut bytes = Vec::from((startup.len() as u32 + 4).to_be_bytes());
        bytes.extend(startup);
        this.call(&bytes);
        this
    }

    /// Runs a statement.
    pub(crate) fn run(&mut self, sql: &str) {
        let mut bytes = Vec::new();
        message(&mut bytes, b'Q', |body| text(body, sql));
        self.call(&bytes);
    }

    /// Prepares the statement that [`execute`](Self::execute) runs.
    pub(crate) fn prepare(&mut self, sql: &str) {
        let mut bytes = Vec::new();
        message(&mut bytes, b'P', |body| {
            text(body, "insert");
            text(body, sql);
            body.extend(0u16.to_be_bytes());
        });
        message(&mut bytes, b'S', |_| ());
        self.call(&bytes);
    }

    /// Sends what [`bind`] or [`copy`] made, and waits until the transaction has been committed.
    pub(crate) fn execute(&mut self, bytes: &[u8]) {
        self.call(bytes);
    }

    /// Sends, and reads until the server is ready for the next statement.
    fn call(&mut self, bytes: &[u8]) {
        self.reader.get_mut().write_all(bytes).unwrap();
        let mut head = [0; 5];
        let mut body = Vec::new();
        loop {
            self.reader.read_exact(&mut head).unwrap();
            let length = u32::from_be_bytes(head[1..].try_into().unwrap());
            body.resize(length as usize - 4, 0);
            self.reader.read_exact(&mut body).unwrap();
            match head[0] {
                b'Z' => return,
                b'E' => panic!("PostgreSQL: {}", String::from_utf8_lossy(&body)),
                _ => {}
            }
        }
    }
}

/// Executes the prepared statement with these parameters, in a transaction of its own.
pub(crate) fn bind(parameters: &[String]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(1_024);
    message(&mut bytes, b'B', |body| {
        text(body, "");
        text(body, "insert");
        body.extend(0u16.to_be_bytes());
        body.extend((parameters.len() as u16).to_be_bytes());
        for parameter in parameters {
            body.extend((parameter.len() as u32).to_be_bytes());
            body.extend(parameter.as_bytes());
        }
        body.extend(0u16.to_be_bytes());
    });
    message(&mut bytes, b'E', |body| {
        text(body, "");
        body.extend(0u32.to_be_bytes());
    });
    message(&mut bytes, b'S', |_| ());
    bytes
}

/// Copies lines into a table, in a transaction of its own.
pub(crate) fn copy(sql: &str, lines: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(lines.len() + 256);
    message(&mut bytes, b'Q', |body| text(body, sql));
    message(&mut bytes, b'd', |body| body.extend(lines.as_bytes()));
    message(&mut bytes, b'c', |_| ());
    bytes
}

fn message(bytes: &mut Vec<u8>, kind: u8, fill: impl FnOnce(&mut Vec<u8>)) {
    bytes.push(kind);
    let at = bytes.len();
    bytes.extend([0; 4]);
    fill(bytes);
    let length = (bytes.len() - at) as u32;
    bytes[at..at + 4].copy_from_slice(&length.to_be_bytes());
}

fn text(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend(text.as_bytes());
    bytes.push(0);
}
