//! Requests that were refused for who sent them: counted, and sealed once a minute.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::entry::v1;
use crate::ledger::Ledger;

/// How often they are sealed, if there are any.
const INTERVAL: Duration = Duration::from_secs(60);
/// Kinds that are told apart between two entries. Those above are counted together.
const MAX_KINDS: usize = 256;
/// The longest reason, in bytes.
const MAX_REASON_BYTES: usize = 64;

/// Counts of refused requests.
#[derive(Debug, Default)]
pub(super) struct Refusals(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    kinds: BTreeMap<Kind, u64>,
    others: u64,
}

/// Issuer and subject of who asked, if known; what for; why not.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Kind {
    submitter: Option<(String, String)>,
    method: String,
    reason: String,
}

/// What is noted when a call is refused.
#[derive(Debug, Clone)]
pub(super) struct Refused {
    refusals: Arc<Refusals>,
    method: String,
    /// Who calls, once that is known.
    pub(super) submitter: Option<v1::Submitter>,
}

impl Refused {
    /// For a call of `method`, empty when there is no such.
    pub(super) fn new(refusals: &Arc<Refusals>, method: &str) -> Self {
        Self {
            refusals: Arc::clone(refusals),
            method: method.to_owned(),
            submitter: None,
        }
    }

    /// Counts the call, if it was refused for who sent it.
    pub(super) fn note(&self, refusal: &Status) {
        let reason = match refusal.code() {
            Code::Unauthenticated => "UNAUTHENTICATED".to_owned(),
            Code::PermissionDenied => refusal
                .get_details_error_info()
                .map(|info| info.reason)
                .filter(|reason| reason.len() <= MAX_REASON_BYTES)
                .unwrap_or_else(|| "PERMISSION_DENIED".to_owned()),
            _ => return,
        };
        let submitter = self.submitter.clone();
        self.refusals.count(Kind {
            submitter: submitter.map(|submitter| (submitter.issuer, submitter.subject)),
            method: self.method.clone(),
            reason,
        });
    }
}

impl Refusals {
    fn count(&self, kind: Kind) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.kinds.get_mut(&kind) {
            *count = count.saturating_add(1);
        } else if counts.kinds.len() < MAX_KINDS {
            counts.kinds.insert(kind, 1);
        } else {
            counts.others = counts.others.saturating_add(1);
        }
    }

    /// Seals what was counted since the last time.
    pub(super) async fn seal_rest(&self, ledger: &Ledger) {
        let Some(refusals) = self.take() else { return };
        if let Err(error) = ledger.record_refusals(refusals).await {
            tracing::error!(%error, "the ledger does not say which requests were refused");
        }
    }

    fn take(&self) -> Option<v1::Refusals> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Counts { kinds, others } = std::mem::take(&mut *counts);
        let refusal = |(kind, count): (Kind, u64)| v1::Refusal {
            submitter: kind
                .submitter
                .map(|(issuer, subject)| v1::Submitter { issuer, subject }),
            method: kind.method,
            reason: kind.reason,
            count,
        };
        (!kinds.is_empty()).then(|| v1::Refusals {
            refusals: kinds.into_iter().map(refusal).collect(),
            others,
        })
    }
}

/// Seals once a minute what was refused. Never ends by itself.
pub(super) async fn seal(refusals: Arc<Refusals>, ledger: Arc<Ledger>) {
    loop {
        tokio::time::sleep(INTERVAL).await;
        refusals.seal_rest(&ledger).await;
    }
}
