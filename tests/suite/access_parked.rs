//! A call whose message comes long after its headers is judged by what its sender may do then.

use std::time::Duration;

use graven::entry::v1;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};
use tonic_prost::ProstCodec;

use super::access_support::{Governed, policy};
use super::service_support::event;

const GRANT: &str = "[[grant]]\nidentity = \"oidc:corp/writer\"\nrole = \"writer\"\n";

/// Sends the headers of an append, and the event once `meanwhile` is done.
async fn append_late(governed: &Governed, meanwhile: impl FnOnce()) -> Result<(), Status> {
    let channel = Channel::from_shared(governed.server.url.clone()).unwrap();
    let mut client = Grpc::new(channel.connect().await.unwrap());
    client.ready().await.unwrap();
    let (messages, sent) = mpsc::channel(1);
    let mut request = Request::new(ReceiverStream::new(sent));
    let token = "Bearer writer".parse().unwrap();
    request.metadata_mut().insert("authorization", token);
    let path = PathAndQuery::from_static("/graven.v1.LedgerService/Append");
    let codec = ProstCodec::<v1::AppendRequest, v1::AppendResponse>::default();
    let call = tokio::spawn(async move { client.client_streaming(request, path, codec).await });
    // Long enough for the headers to have come.
    tokio::time::sleep(Duration::from_millis(300)).await;
    meanwhile();
    let message = v1::AppendRequest {
        event: Some(event(1)),
        ..Default::default()
    };
    messages.send(message).await.unwrap();
    drop(messages);
    call.await.unwrap().map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_taken_away_stops_calls_that_have_begun() {
    let governed = Governed::start(&["writer"], GRANT).await;
    append_late(&governed, || ()).await.unwrap();
    let refused = append_late(&governed, || {
        governed.policy.send_replace(policy(""));
    });
    assert_eq!(refused.await.unwrap_err().code(), Code::PermissionDenied);
    assert_eq!(governed.server.ledger.published().size(), 1);
}
