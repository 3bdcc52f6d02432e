//! The connection to a server.

use std::path::Path;
use std::time::Duration;

use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Request, Status};

use super::arguments::Connection;
use super::failure::Failure;
use crate::service::client::{AdminServiceClient, LedgerServiceClient, QueryServiceClient};

/// A client that sends its token along.
pub(super) type Client = LedgerServiceClient<InterceptedService<Channel, WithToken>>;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// A server that says nothing for so long while a call waits is asked whether it is there, and given up after as long again.
const SILENCE: Duration = Duration::from_secs(10);
/// The largest answer: entries of a whole pack with their salts.
const MAX_ANSWER_BYTES: usize = 16 * 1024 * 1024;

/// Adds the bearer token to every request.
#[derive(Clone)]
pub(super) struct WithToken(Option<MetadataValue<Ascii>>);

impl Interceptor for WithToken {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(token) = &self.0 {
            request
                .metadata_mut()
                .insert("authorization", token.clone());
        }
        Ok(request)
    }
}

/// A client for questions, likewise.
pub(super) type QueryClient = QueryServiceClient<InterceptedService<Channel, WithToken>>;

/// A client for orders, likewise.
pub(super) type AdminClient = AdminServiceClient<InterceptedService<Channel, WithToken>>;

/// Connects to the server that `connection` names.
pub(super) async fn connect(connection: &Connection) -> Result<Client, Failure> {
    Ok(connect_to_ask(connection).await?.0)
}

/// The same, with a client for questions.
pub(super) async fn connect_to_ask(
    connection: &Connection,
) -> Result<(Client, QueryClient), Failure> {
    let channel = channel(connection).await?;
    let token = WithToken(token(connection)?);
    let client = LedgerServiceClient::with_interceptor(channel.clone(), token.clone());
    let query = QueryServiceClient::with_interceptor(channel, token);
    Ok((
        client.max_decoding_message_size(MAX_ANSWER_BYTES),
        query.max_decoding_message_size(MAX_ANSWER_BYTES),
    ))
}

/// Connects to what `connection` names for operators.
pub(super) async fn connect_to_order(connection: &Connection) -> Result<AdminClient, Failure> {
    let channel = channel(connection).await?;
    let token = WithToken(token(connection)?);
    let admin = AdminServiceClient::with_interceptor(channel, token);
    Ok(admin.max_decoding_message_size(MAX_ANSWER_BYTES))
}

async fn channel(connection: &Connection) -> Result<Channel, Failure> {
    let url = connection.url().ok_or_else(|| {
        Failure::usage("which server? give its address with --server or GRAVEN_SERVER")
    })?;
    let secure = url.starts_with("https://");
    if !secure && !url.starts_with("http://") {
        return Err(Failure::usage(format!(
            "--server {url}: expected http://HOST:PORT or https://HOST:PORT"
        )));
    }
    let bad_url = |error| Failure::usage(format!("--server {url}: {error}"));
    let mut endpoint = Endpoint::from_shared(url.to_string())
        .map_err(bad_url)?
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_nodelay(true)
        // A server that took the connection and says nothing, not even to this, is not reached.
        .http2_keep_alive_interval(SILENCE)
        .keep_alive_timeout(SILENCE);
    if secure {
        endpoint = endpoint.tls_config(tls(connection)?).map_err(|error| {
            let cause = innermost(&error);
            Failure::usage(format!("--tls-ca, --tls-cert, --tls-key: {cause}"))
        })?;
    }
    endpoint.connect().await.map_err(|error| {
        let cause = innermost(&error);
        let hint = if cause.contains("InvalidContentType") {
            ": does it speak TLS? if not, its address begins with http://"
        } else {
            ""
        };
        Failure::unreached(format!("{url} cannot be reached: {cause}{hint}"))
    })
}

/// What is at the bottom of an error.
pub(super) fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

fn token(connection: &Connection) -> Result<Option<MetadataValue<Ascii>>, Failure> {
    let Some(token) = connection
        .credentials
        .token
        .as_deref()
        .filter(|token| !token.is_empty())
    else {
        return Ok(None);
    };
    let value = format!("Bearer {token}").parse();
    value
        .map(Some)
        .map_err(|_| Failure::usage("--token: only visible ASCII can stand in a token"))
}

fn tls(connection: &Connection) -> Result<ClientTlsConfig, Failure> {
    let mut config = ClientTlsConfig::new();
    if let Some(authorities) = &connection.credentials.tls_ca {
        config = config.ca_certificate(Certificate::from_pem(read(authorities)?));
    }
    if let (Some(certificate), Some(key)) = (
        &connection.credentials.tls_cert,
        &connection.credentials.tls_key,
    ) {
        config = config.identity(Identity::from_pem(read(certificate)?, read(key)?));
    }
    Ok(config)
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path).map_err(|error| Failure::file("reading", path, &error))
}
