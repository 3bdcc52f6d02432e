//! Servers that know who calls, and clients that say who they are.

use std::sync::Arc;

use graven::service::access::Policy;
use graven::service::client::{LedgerServiceClient, QueryServiceClient};
use graven::service::{Authentication, Token};
use sha2::{Digest, Sha256};
use tokio::sync::watch;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::{Request, Status};
use tonic_types::StatusExt;

use super::service_support::TestServer;

/// Somebody for each role, named for it.
pub(super) const ROLES: &str = r#"
[[grant]]
identity = "oidc:corp/writer"
role = "writer"
[[grant]]
identity = "oidc:corp/reader"
role = "reader"
[[grant]]
identity = "oidc:corp/auditor"
role = "auditor"
[[grant]]
identity = "oidc:corp/operator"
role = "operator"
"#;

/// Sends a bearer token along.
#[derive(Clone)]
pub(super) struct Bearer(pub(super) Option<MetadataValue<Ascii>>);

impl tonic::service::Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(token) = &self.0 {
            let token = token.clone();
            request.metadata_mut().insert("authorization", token);
        }
        Ok(request)
    }
}

pub(super) type Ledger = LedgerServiceClient<InterceptedService<Channel, Bearer>>;
pub(super) type Query = QueryServiceClient<InterceptedService<Channel, Bearer>>;

/// A server with a policy that can be changed.
pub(super) struct Governed {
    pub(super) server: TestServer,
    pub(super) policy: watch::Sender<Arc<Policy>>,
}

/// The token of `name`, who is `oidc:corp/NAME`.
pub(super) fn token(name: &str) -> Token {
    Token {
        name: name.into(),
        subject: format!("oidc:corp/{name}"),
        sha256: Sha256::digest(name).into(),
    }
}

pub(super) fn policy(text: &str) -> Arc<Policy> {
    Arc::new(Policy::parse(text).unwrap())
}

impl Governed {
    /// A server at which each of `names` has a token that is its name.
    pub(super) async fn start(names: &[&str], text: &str) -> Self {
        let sender = watch::Sender::new(policy(text));
        let tokens = names.iter().map(|name| token(name)).collect();
        let authentication =
            Authentication::required(tokens, Vec::new(), sender.subscribe()).unwrap();
        Self {
            server: TestServer::start_with(authentication, None).await,
            policy: sender,
        }
    }

    /// Clients of somebody, or of nobody.
    pub(super) async fn clients(&self, name: Option<&str>) -> (Ledger, Query) {
        let endpoint = Channel::from_shared(self.server.url.clone()).unwrap();
        let channel = endpoint.connect().await.unwrap();
        let bearer = Bearer(name.map(|name| format!("Bearer {name}").parse().unwrap()));
        (
            LedgerServiceClient::with_interceptor(channel.clone(), bearer.clone()),
            QueryServiceClient::with_interceptor(channel, bearer),
        )
    }
}

/// The reason that a refusal gives, and what is missing: a role, or a bound.
pub(super) fn reason(status: &Status) -> (String, String) {
    let info = status.get_details_error_info().unwrap();
    let missing = info.metadata.get("bound").or(info.metadata.get("role"));
    (info.reason, missing.unwrap().clone())
}
