//! immudb, if there is an `immudb` in PATH: events as values under keys of their own, through its gRPC.
//!
//! Its server starts with its defaults, which sync every commit, on a free port. A call is `Set` of one or of 1,000 pairs,
//! without waiting for its own index and without asking for a proof, which is the fastest it has. Nothing but the key is
//! indexed, which the other systems do for five columns or ten terms.
//!
//! Written from its published protocol. It has never been run.

use std::path::Path;
use std::process::{Command, Stdio};

use bytes::Bytes;
use prost::Message;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::Channel;
use tonic_prost::ProstCodec;

use super::feed::{Feed, phases};
use super::report::Figures;
use super::support::events::Row;
use super::support::{self, bytes_below};
use super::{Killed, free_port, installed};

#[derive(Clone, PartialEq, Message)]
struct OpenSessionRequest {
    #[prost(bytes = "vec", tag = "1")]
    username: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    password: Vec<u8>,
    #[prost(string, tag = "3")]
    database_name: String,
}

#[derive(Clone, PartialEq, Message)]
struct OpenSessionResponse {
    #[prost(string, tag = "1")]
    session_id: String,
}

#[derive(Clone, PartialEq, Message)]
struct KeyValue {
    #[prost(bytes = "bytes", tag = "1")]
    key: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    value: Bytes,
}

#[derive(Clone, PartialEq, Message)]
struct SetRequest {
    #[prost(message, repeated, tag = "1")]
    pairs: Vec<KeyValue>,
    #[prost(bool, tag = "2")]
    no_wait: bool,
}

/// The beginning of the header of a transaction.
#[derive(Clone, PartialEq, Message)]
struct TxHeader {
    #[prost(uint64, tag = "1")]
    id: u64,
}

struct Client {
    grpc: Grpc<Channel>,
    session: Option<MetadataValue<Ascii>>,
    runtime: tokio::runtime::Handle,
}

pub(crate) fn run(dir: &Path, feed: &Feed) -> Result<Figures, String> {
    let program = installed("immudb")?;
    let data = dir.join("immudb");
    let port = free_port();
    let mut server = Killed(
        Command::new(program)
            .arg("--dir")
            .arg(&data)
            .args(["--address", "127.0.0.1", "--port", &port.to_string()])
            .args([
                "--metrics-server=false",
                "--web-server=false",
                "--pgsql-server=false",
            ])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| error.to_string())?,
    );
    server.wait_for(port)?;
    let runtime = support::runtime();
    let mut loads = Vec::new();
    for phase in phases() {
        let mut clients = Vec::new();
        for _ in 0..phase.shape.clients() {
            let client = Client::open(port, runtime.handle());
            clients.push(client.map_err(|status| format!("failed: {status}"))?);
        }
        let call = |client: &mut Client, request| {
            client.set(request).expect("immudb takes it");
        };
        loads.push(Some(feed.run(&phase, &mut clients, pairs, call)));
    }
    Ok(Figures {
        loads,
        bytes: bytes_below(&data),
    })
}

fn pairs(rows: &[Row]) -> SetRequest {
    let pair = |row: &Row| KeyValue {
        key: row.number.to_be_bytes().to_vec().into(),
        value: row.event().encode_to_vec().into(),
    };
    SetRequest {
        pairs: rows.iter().map(pair).collect(),
        no_wait: true,
    }
}

impl Client {
    fn open(port: u16, runtime: &tokio::runtime::Handle) -> Result<Self, tonic::Status> {
        let channel = Channel::from_shared(format!("http://127.0.0.1:{port}")).unwrap();
        let channel = runtime
            .block_on(channel.connect())
            .map_err(|error| tonic::Status::unavailable(error.to_string()))?;
        let mut this = Self {
            grpc: Grpc::new(channel),
            session: None,
            runtime: runtime.clone(),
        };
        // The user and the password that a new server has.
        let request = OpenSessionRequest {
            username: b"immudb".to_vec(),
            password: b"immudb".to_vec(),
            database_name: "defaultdb".into(),
        };
        let answer: OpenSessionResponse = this.call("OpenSession", request)?;
        this.session = Some(answer.session_id.parse().expect("a session id"));
        Ok(this)
    }

    fn set(&mut self, request: SetRequest) -> Result<TxHeader, tonic::Status> {
        self.call("Set", request)
    }

    fn call<Q, A>(&mut self, method: &str, request: Q) -> Result<A, tonic::Status>
    where
        Q: Message + 'static,
        A: Message + Default + 'static,
    {
        let path = format!("/immudb.schema.ImmuService/{method}");
        let path = PathAndQuery::try_from(path).expect("a path");
        let mut request = tonic::Request::new(request);
        if let Some(session) = &self.session {
            request.metadata_mut().insert("sessionid", session.clone());
        }
        let runtime = self.runtime.clone();
        runtime.block_on(async {
            let ready = self.grpc.ready().await;
            ready.map_err(|error| tonic::Status::unavailable(error.to_string()))?;
            let codec = ProstCodec::<Q, A>::default();
            Ok(self.grpc.unary(request, path, codec).await?.into_inner())
        })
    }
}
