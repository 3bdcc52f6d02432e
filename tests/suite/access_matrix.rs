//! Every call of every service, as the descriptors name them, by everybody who may and by everybody who may not: nobody, each
//! role, and each thing that can be wrong with a certificate or a token. Over TLS, through a real client.

use std::fs;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::{Buf, BufMut, Bytes};
use graven::service::access::{Role, Rule, allowed, rule};
use graven::service::jwt::{Expected, KeySet};
use graven::service::{Authentication, Issuer, TlsFiles, Watched};
use rcgen::SanType;
use tempfile::TempDir;
use tokio::sync::watch;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Identity};
use tonic::{Code, Request, Status};

use super::access_support::{policy, token};
use super::certificates::{Authority, Issued, of_nobody, uri, without_handshake};
use super::jwt_support::{AUDIENCE, ISSUER, faulty, good, key_set};
use super::service_access::methods;
use super::service_support::TestServer;

const POLICY: &str = r#"
[[grant]]
identity = "oidc:corp/writer"
issuer = "token"
role = "writer"
[[grant]]
identity = "oidc:corp/reader"
issuer = "token"
role = "reader"
[[grant]]
identity = "oidc:corp/both"
role = "writer"
[[grant]]
identity = "oidc:corp/both"
role = "auditor"
[[grant]]
identity = "oidc:jwt/writer"
issuer = "https://id.example"
role = "writer"
[[grant]]
identity = "oidc:jwt/operator"
role = "operator"
[[grant]]
identity = "spiffe://lab/writer"
issuer = "mtls"
role = "writer"
[[grant]]
identity = "spiffe://lab/audit/*"
role = "auditor"
[[grant]]
identity = "other:https://lab/reader"
role = "reader"
[[grant]]
identity = "x509:operator"
role = "operator"
"#;

/// What becomes of somebody's calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expect {
    /// There is no connection.
    NoConnection,
    /// Nobody is known.
    Nobody,
    /// Known, with these roles.
    Roles(&'static [Role]),
}

/// Somebody who calls.
struct Person {
    name: String,
    certificate: Option<Issued>,
    authorization: Vec<String>,
    expect: Expect,
}

impl Person {
    fn new(name: &str, expect: Expect) -> Self {
        Self {
            name: name.into(),
            certificate: None,
            authorization: Vec::new(),
            expect,
        }
    }

    fn with_certificate(mut self, certificate: &Issued) -> Self {
        self.certificate = Some(certificate.clone());
        self
    }

    fn with_token(self, token: &str) -> Self {
        self.with_header(&format!("Bearer {token}"))
    }

    fn with_header(mut self, header: &str) -> Self {
        self.authorization.push(header.into());
        self
    }
}

/// Sends and receives bytes as they are.
#[derive(Default)]
pub(super) struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}

/// How a call ended.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    NoConnection,
    Refused(Code),
    /// A handler took it, whatever it said.
    Admitted,
}

async fn call(channel: &Channel, method: &str, authorization: &[String]) -> Outcome {
    let mut client = tonic::client::Grpc::new(channel.clone());
    if client.ready().await.is_err() {
        return Outcome::NoConnection;
    }
    let mut request = Request::new(tokio_stream::once(Bytes::new()));
    for header in authorization {
        let header: MetadataValue<Ascii> = header.parse().unwrap();
        request.metadata_mut().append("authorization", header);
    }
    let path = method.parse().unwrap();
    let answer = client.streaming(request, path, Raw).await;
    match answer {
        Ok(_) => Outcome::Admitted,
        Err(status) => match status.code() {
            _ if std::error::Error::source(&status).is_some() => Outcome::NoConnection,
            code @ (Code::Unauthenticated | Code::PermissionDenied | Code::Unimplemented) => {
                Outcome::Refused(code)
            }
            _ => Outcome::Admitted,
        },
    }
}

fn expected(expect: Expect, method: &str) -> Outcome {
    match (expect, rule(method)) {
        (Expect::NoConnection, _) => Outcome::NoConnection,
        // Served at an address of their own, where `service_admin` calls them.
        _ if method.contains(".AdminService/") || method.contains(".ServerReflection/") => {
            Outcome::Refused(Code::Unimplemented)
        }
        (_, Some(Rule::Anybody)) => Outcome::Admitted,
        (Expect::Nobody, _) => Outcome::Refused(Code::Unauthenticated),
        (Expect::Roles(_), None) => Outcome::Refused(Code::Unimplemented),
        (Expect::Roles(roles), Some(Rule::Roles(_))) => {
            if roles.iter().any(|role| allowed(*role, method)) {
                Outcome::Admitted
            } else {
                Outcome::Refused(Code::PermissionDenied)
            }
        }
    }
}

fn with_certificates(authority: &Authority) -> Vec<Person> {
    let issue = |name: &str, names: Vec<SanType>| authority.issue(name, names, |_| {});
    let writer = issue("x", vec![uri("spiffe://lab/writer")]);
    let email = SanType::Rfc822Name("writer@lab.example".try_into().unwrap());
    let dns = SanType::DnsName("writer.lab.example".try_into().unwrap());
    let good = [
        ("writer", writer.clone(), Expect::Roles(&[Role::Writer])),
        (
            "writer with other names",
            issue("operator", vec![dns, email, uri("spiffe://lab/writer")]),
            Expect::Roles(&[Role::Writer]),
        ),
        (
            "auditor",
            issue("x", vec![uri("spiffe://lab/audit/anna")]),
            Expect::Roles(&[Role::Auditor]),
        ),
        (
            "reader of another scheme",
            issue("x", vec![uri("https://lab/reader")]),
            Expect::Roles(&[Role::Reader]),
        ),
        (
            "operator by common name",
            issue("operator", Vec::new()),
            Expect::Roles(&[Role::Operator]),
        ),
        (
            "no grant",
            issue("x", vec![uri("spiffe://lab/other")]),
            Expect::Roles(&[]),
        ),
        (
            "no grant by common name",
            issue("writer", Vec::new()),
            Expect::Roles(&[]),
        ),
        (
            "beside a prefix",
            issue("x", vec![uri("spiffe://lab/auditor")]),
            Expect::Roles(&[]),
        ),
    ];
    let mut people: Vec<Person> = good
        .iter()
        .map(|(name, certificate, expect)| Person::new(name, *expect).with_certificate(certificate))
        .collect();
    for (fault, certificate) in without_handshake(authority, "spiffe://lab/writer") {
        people.push(Person::new(fault, Expect::NoConnection).with_certificate(&certificate));
    }
    for (fault, certificate) in of_nobody(authority, "spiffe://lab/writer") {
        people.push(Person::new(fault, Expect::Nobody).with_certificate(&certificate));
        // Whoever has a token does not need the certificate.
        if fault == "two URIs" {
            let person = Person::new("two URIs and a token", Expect::Roles(&[Role::Reader]));
            people.push(person.with_certificate(&certificate).with_token("reader"));
        }
    }
    // A wrong token is not made good by a right certificate.
    let both = Person::new("a wrong token and a right certificate", Expect::Nobody);
    people.push(both.with_certificate(&writer).with_token("wrong"));
    people
}

fn with_tokens() -> Vec<Person> {
    let mut people = vec![
        Person::new("nobody", Expect::Nobody),
        Person::new("token: writer", Expect::Roles(&[Role::Writer])).with_token("writer"),
        Person::new("token: reader", Expect::Roles(&[Role::Reader])).with_token("reader"),
        Person::new("token: both", Expect::Roles(&[Role::Writer, Role::Auditor]))
            .with_token("both"),
        Person::new("token: no grant", Expect::Roles(&[])).with_token("stranger"),
    ];
    for header in [
        "Bearer Writer",
        "Bearer xriter",
        "Bearer wryter",
        "Bearer writes",
        "Bearer write",
        "Bearer writerr",
        "Bearer  writer",
        "Bearer writer ",
        "Bearer writer,writer",
        "Bearer ",
        "Bearer",
        "",
        "writer",
        "bearer writer",
        "Basic d3JpdGVyOndyaXRlcg==",
    ] {
        let name = format!("authorization {header:?}");
        people.push(Person::new(&name, Expect::Nobody).with_header(header));
    }
    let twice = Person::new("two tokens", Expect::Nobody);
    people.push(twice.with_token("writer").with_token("reader"));
    people
}

fn with_jwts(now: u64) -> Vec<Person> {
    let jwt = |name: &str, subject: &str, expect| {
        Person::new(name, expect).with_token(&good(subject, now))
    };
    let mut people = vec![
        jwt("jwt: writer", "writer", Expect::Roles(&[Role::Writer])),
        jwt(
            "jwt: operator",
            "operator",
            Expect::Roles(&[Role::Operator]),
        ),
        jwt("jwt: no grant", "reader", Expect::Roles(&[])),
    ];
    for (fault, token) in faulty("writer", now) {
        let name = format!("jwt: {fault}");
        people.push(Person::new(&name, Expect::Nobody).with_token(&token));
    }
    people
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_calls_everything() {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let temporary = TempDir::new().unwrap();
    let dir = temporary.path();
    let authority = Authority::new();
    authority.server().write(dir, "server");
    fs::write(dir.join("ca.pem"), &authority.pem).unwrap();
    let path = |name: &str| dir.join(name);
    let files = TlsFiles::open(
        &path("server.pem"),
        &path("server.key"),
        Some(&path("ca.pem")),
        &[],
    );
    let files = files.unwrap();
    fs::write(path("jwks.json"), key_set()).unwrap();
    let keys = Watched::open("keys", vec![path("jwks.json")], |contents| {
        KeySet::parse(&contents[0]).map_err(|error| error.to_string())
    })
    .unwrap();
    let expected_token = Expected {
        issuer: ISSUER.into(),
        audience: AUDIENCE.into(),
        subject_claim: "sub".into(),
    };
    let issuer = Issuer::new(expected_token, "jwt", keys.subscribe()).unwrap();
    let policy = watch::Sender::new(policy(POLICY));
    let tokens = ["writer", "reader", "both", "stranger"].map(token).into();
    let authentication = Authentication::required(tokens, vec![issuer], policy.subscribe());
    let server = TestServer::start_with(authentication.unwrap(), Some(files.tls())).await;

    let mut methods = methods();
    methods.push("/graven.v1.LedgerService/Erase".into());
    let mut people = with_certificates(&authority);
    people.extend(with_tokens());
    people.extend(with_jwts(now));
    let mut wrong = Vec::new();
    let mut calls = 0;
    for person in &people {
        let mut tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(&authority.pem));
        if let Some(Issued { certificate, key }) = &person.certificate {
            tls = tls.identity(Identity::from_pem(certificate, key));
        }
        let endpoint = Channel::from_shared(server.url.clone()).unwrap();
        let endpoint = endpoint.tls_config(tls).unwrap();
        let channel = endpoint
            .connect_timeout(Duration::from_secs(20))
            .connect_lazy();
        for method in &methods {
            let outcome = call(&channel, method, &person.authorization).await;
            let expected = expected(person.expect, method);
            if outcome != expected {
                let name = &person.name;
                wrong.push(format!("{name} {method}: {outcome:?}, not {expected:?}"));
            }
            calls += 1;
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {calls}:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    // Nothing was sealed by a call without an event, whoever made it.
    let events = (0..server.ledger.published().size()).map(|seq| server.ledger.entry(seq).unwrap());
    assert_eq!(
        events
            .filter(|entry| entry.header.kind == graven::entry::Kind::Event)
            .count(),
        0
    );
}
