//! A server of the same calls that stores nothing: what gRPC alone costs.
//!
//! It decodes appends as a ledger's server does, leaving events as bytes, and answers with a receipt of the size of a real
//! one, which proves nothing.

use std::convert::Infallible;
use std::task::{Context, Poll};

use bytes::Bytes;
use graven::entry::v1;
use tonic::body::Body;
use tonic::codegen::{BoxFuture, Service, http};
use tonic::server::{Grpc, NamedService, UnaryService};
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;

/// Serves until the process is killed.
pub(crate) fn serve() {
    super::runtime().block_on(async {
        let listener = super::listen().await;
        let incoming =
            tonic::transport::server::TcpIncoming::from(listener).with_nodelay(Some(true));
        tonic::transport::Server::builder()
            .add_service(Nothing)
            .serve_with_incoming(incoming)
            .await
            .unwrap();
    });
}

#[derive(Clone)]
struct Nothing;

impl NamedService for Nothing {
    const NAME: &'static str = "graven.v1.LedgerService";
}

/// `AppendRequest`, whose event stays bytes.
#[derive(Clone, PartialEq, prost::Message)]
struct AppendRequest {
    #[prost(bytes = "bytes", tag = "1")]
    event: Bytes,
    #[prost(int32, tag = "2")]
    ack_level: i32,
}

/// `AppendBatchRequest`, whose events stay bytes.
#[derive(Clone, PartialEq, prost::Message)]
struct AppendBatchRequest {
    #[prost(bytes = "bytes", repeated, tag = "1")]
    events: Vec<Bytes>,
    #[prost(int32, tag = "2")]
    ack_level: i32,
}

impl Service<http::Request<Body>> for Nothing {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(async move {
            Ok(match request.uri().path() {
                "/graven.v1.LedgerService/Append" => {
                    let codec = ProstCodec::<v1::AppendResponse, AppendRequest>::default();
                    Grpc::new(codec).unary(Nothing, request).await
                }
                "/graven.v1.LedgerService/AppendBatch" => {
                    let codec =
                        ProstCodec::<v1::AppendBatchResponse, AppendBatchRequest>::default();
                    Grpc::new(codec).unary(Nothing, request).await
                }
                path => Status::unimplemented(path).into_http(),
            })
        })
    }
}

impl UnaryService<AppendRequest> for Nothing {
    type Response = v1::AppendResponse;
    type Future = std::future::Ready<Result<Response<Self::Response>, Status>>;

    fn call(&mut self, _: Request<AppendRequest>) -> Self::Future {
        std::future::ready(Ok(Response::new(v1::AppendResponse {
            receipt: Some(receipt(1)),
            ..Default::default()
        })))
    }
}

impl UnaryService<AppendBatchRequest> for Nothing {
    type Response = v1::AppendBatchResponse;
    type Future = std::future::Ready<Result<Response<Self::Response>, Status>>;

    fn call(&mut self, request: Request<AppendBatchRequest>) -> Self::Future {
        std::future::ready(Ok(Response::new(v1::AppendBatchResponse {
            receipt: Some(receipt(request.get_ref().events.len())),
            duplicates: Vec::new(),
        })))
    }
}

/// As large as a receipt in a ledger of about a million entries.
fn receipt(events: usize) -> v1::Receipt {
    v1::Receipt {
        first_seq: 1_000_000,
        recorded_at: 1_767_225_600_000_000_000,
        previous: vec![1; 32],
        envelopes: vec![vec![2; 40]],
        seeds: vec![3; 32 * events],
        proof: vec![4; 32 * 20],
        checkpoint: "5".repeat(200),
        ..Default::default()
    }
}
