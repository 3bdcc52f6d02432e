//! The door: every call passes it before a handler sees it. It finds out who calls, and whether they may make this call.

use std::convert::Infallible;
use std::future::ready;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::watch;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::{BoxFuture, Service, http};
use tonic::server::NamedService;

use super::access::{Access, Policy, Rule, Scope, role_missing, rule};
use super::bounded;
use super::closing::Closing;
use super::identity::{Authentication, Sender, TokenKey, certificate_refused, now};
use super::listen::Peer;
use super::presented::Presented;
use super::quota::{Limits, Quotas, Share};
use super::refusals::{Refusals, Refused};
use super::requests::Requests;
use crate::entry::v1;
use crate::ledger::{Clock, SystemClock};

/// Who gets in, and how much each may take.
pub struct Admission {
    /// How senders are authenticated, and what each may do.
    pub authentication: Authentication,
    /// How much each may take.
    pub limits: Limits,
    /// Tells when an identity may go on.
    pub clock: Arc<dyn Clock>,
}

impl From<Authentication> for Admission {
    /// With the default limits.
    fn from(authentication: Authentication) -> Self {
        Self {
            authentication,
            limits: Limits::default(),
            clock: Arc::new(SystemClock::default()),
        }
    }
}

/// The sender of a call, as far as the ledger knows, and what it may do.
#[derive(Clone)]
pub(super) struct Caller {
    /// The envelope of everything this call appends.
    pub(super) envelope: v1::Envelope,
    /// What it may do.
    pub(super) access: Arc<Access>,
    /// How much it may take.
    pub(super) share: Arc<Share>,
    /// Says what it may do later; none where that never changes.
    policy: Option<watch::Receiver<Arc<Policy>>>,
    /// When its credential ends to be good, in seconds since 1970; none if it says no such time.
    until: Option<f64>,
    /// The key that its token is signed with, if it is.
    key: Option<TokenKey>,
    /// The certificate that it is known by, if it is.
    certificate: Option<Arc<Presented>>,
    /// What is noted when the call is refused after all.
    refused: Refused,
}

impl Caller {
    /// Notes that the call was refused in the middle of a stream.
    pub(super) fn note(&self, refusal: &Status) {
        self.refused.note(refusal);
    }

    /// What it may read.
    pub(super) fn scope(&self) -> Scope {
        self.access.scope()
    }

    /// Waits until its credential is not good any more, or until it may do something else than when it called, and gives what
    /// to end its streams with.
    pub(super) async fn changed(&mut self) -> Status {
        let until = self.until;
        let mut key = self.key.clone();
        let gone = async {
            match &mut key {
                Some(key) => key.gone().await,
                None => std::future::pending().await,
            }
        };
        let certificate = self.certificate.clone();
        let refused = async {
            match &certificate {
                Some(certificate) => certificate.refused().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = wait_until(until) => expired(),
            () = gone => key_gone(),
            () = refused => certificate_refused(),
            () = self.other_access() => access_changed(),
        }
    }

    /// Refuses it if its credential has expired since it came in, or if it may do something else by now.
    pub(super) fn check_again(&self) -> Result<(), Status> {
        if self.until.is_some_and(|until| until <= now()) {
            return Err(expired());
        }
        if self.key.as_ref().is_some_and(|key| !key.is_kept()) {
            return Err(key_gone());
        }
        let certificate = self.certificate.as_ref();
        if certificate.is_some_and(|certificate| !certificate.is_accepted()) {
            return Err(certificate_refused());
        }
        let submitter = self.envelope.submitter.clone().unwrap_or_default();
        let policy = self.policy.as_ref();
        if policy.is_some_and(|policy| policy.borrow().access(&submitter) != *self.access) {
            return Err(access_changed());
        }
        Ok(())
    }

    /// Waits until it may do something else.
    async fn other_access(&mut self) {
        let submitter = self.envelope.submitter.clone().unwrap_or_default();
        if let Some(policy) = &mut self.policy {
            let access = &self.access;
            let other = policy.wait_for(|policy| policy.access(&submitter) != **access);
            if other.await.is_ok() {
                return;
            }
        }
        // Nobody changes the policy any more.
        std::future::pending::<()>().await;
    }
}

fn expired() -> Status {
    Status::unauthenticated("the credential has expired: call again with another one")
}

fn key_gone() -> Status {
    Status::unauthenticated("the token's key is accepted no more: call again with another token")
}

fn access_changed() -> Status {
    Status::permission_denied("what the caller may do has changed: call again")
}

/// Waits until a time in seconds since 1970, for ever if there is none, or none that comes soon.
async fn wait_until(time: Option<f64>) {
    const SOON: Duration = Duration::from_secs(365 * 24 * 3600);
    let left = time.map(|time| Duration::try_from_secs_f64((time - now()).max(0.0)));
    match left {
        Some(Ok(left)) if left <= SOON => tokio::time::sleep(left).await,
        _ => std::future::pending().await,
    }
}

/// Finds out who calls, and what they may do.
pub(super) struct Door {
    authentication: Authentication,
    quotas: Arc<Quotas>,
    refusals: Arc<Refusals>,
    requests: Arc<Requests>,
}

impl Door {
    pub(super) fn new(
        admission: Admission,
        refusals: &Arc<Refusals>,
        requests: &Arc<Requests>,
    ) -> Arc<Self> {
        Arc::new(Self {
            authentication: admission.authentication,
            quotas: Arc::new(Quotas::new(admission.limits, admission.clock)),
            refusals: Arc::clone(refusals),
            requests: Arc::clone(requests),
        })
    }

    /// Looks after answers that nobody takes, for ever.
    pub(super) fn watch_answers(&self, closing: Closing) -> impl Future<Output = ()> + use<> {
        let answers = Arc::clone(self.quotas.answers());
        answers.watch(self.quotas.stall_time(), closing)
    }

    /// Lets a call in, or says why not. A call that anybody may make has no caller.
    fn admit<B>(&self, request: &http::Request<B>) -> Result<Option<Caller>, Status> {
        let path = request.uri().path();
        let rule = rule(path);
        if rule == Some(Rule::Anybody) {
            return Ok(None);
        }
        let mut refused = Refused::new(&self.refusals, if rule.is_some() { path } else { "" });
        let Sender {
            envelope,
            until,
            key,
            certificate,
        } = self
            .authentication
            .identify(request.headers(), request.extensions())
            .inspect_err(|refusal| refused.note(refusal))?;
        let submitter = envelope.submitter.clone().unwrap_or_default();
        refused.submitter = Some(submitter.clone());
        let (access, policy) = match &self.authentication {
            Authentication::None => (Access::everything(), None),
            Authentication::Required { policy, .. } => {
                let access = policy.borrow().access(&submitter);
                (access, Some(policy.clone()))
            }
        };
        let Some(Rule::Roles(roles)) = rule else {
            return Err(Status::unimplemented("there is no such call"));
        };
        if !access.may_call(path) {
            let refusal = role_missing(roles, &submitter.subject);
            refused.note(&refusal);
            return Err(refusal);
        }
        let share = self.quotas.of(&submitter);
        if let Some(peer) = request.extensions().get::<Peer>() {
            peer.counted.recognise(|| share.connect())?;
        }
        Ok(Some(Caller {
            envelope,
            access: Arc::new(access),
            share,
            policy,
            until,
            key,
            certificate,
            refused,
        }))
    }
}

/// A service behind the door.
#[derive(Clone)]
pub(super) struct Guarded<S> {
    inner: S,
    door: Arc<Door>,
}

impl<S> Guarded<S> {
    pub(super) fn new(inner: S, door: &Arc<Door>) -> Self {
        Self {
            inner,
            door: Arc::clone(door),
        }
    }
}

impl<S: Clone> Guarded<S> {
    /// The service that was asked whether it is ready.
    fn ready(&mut self) -> S {
        let next = self.inner.clone();
        std::mem::replace(&mut self.inner, next)
    }
}

impl<S: NamedService> NamedService for Guarded<S> {
    const NAME: &'static str = S::NAME;
}

type Answer = BoxFuture<http::Response<Body>, Infallible>;

impl<S> Service<http::Request<Body>> for Guarded<S>
where
    S: Service<
            http::Request<Body>,
            Response = http::Response<Body>,
            Error = Infallible,
            Future = Answer,
        > + Clone
        + Send
        + 'static,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: http::Request<Body>) -> Answer {
        let (requests, row) = (
            Arc::clone(&self.door.requests),
            Requests::row(request.uri().path()),
        );
        let answer: Answer = match self.door.admit(&request) {
            Ok(None) => {
                let (inner, quotas) = (self.ready(), Arc::clone(&self.door.quotas));
                Box::pin(async move {
                    let answer = bounded::answer_anybody(inner, quotas, request).await;
                    Ok(answer.unwrap_or_else(Status::into_http))
                })
            }
            Ok(Some(caller)) => {
                let (share, refused) = (Arc::clone(&caller.share), caller.refused.clone());
                request.extensions_mut().insert(caller);
                let inner = self.ready();
                Box::pin(async move {
                    let answer = bounded::answer(inner, share, request).await;
                    let response = answer.unwrap_or_else(Status::into_http);
                    // A refusal without an answer before it stands in the headers.
                    if let Some(refusal) = Status::from_header_map(response.headers()) {
                        refused.note(&refusal);
                    }
                    Ok(response)
                })
            }
            Err(refusal) => Box::pin(ready(Ok(refusal.into_http()))),
        };
        Box::pin(async move {
            let answer = answer.await?;
            requests.count(row, &answer);
            Ok(answer)
        })
    }
}
