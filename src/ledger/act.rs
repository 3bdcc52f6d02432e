//! Acts of the ledger itself, as submissions.

use prost::Message;

use super::error::LedgerError;
use super::ports::{Entropy, fill};
use super::reader::SealedEntry;
use super::submission::Submission;
use crate::entry::{Kind, Seed, Tag, v1};

/// What an entry of kind 2 says the ledger did.
pub(crate) fn act_of(entry: &SealedEntry) -> Option<v1::ledger_act::Act> {
    let what = v1::What::decode(entry.body.disclosed(Tag::What)?.as_ref()).ok()?;
    what.act?.act.filter(|_| entry.header.kind == Kind::Act)
}

/// The entry by which the ledger `origin` says that it did `act`, called `action`.
pub(crate) fn submission(
    origin: &str,
    kind: Kind,
    action: &str,
    act: v1::ledger_act::Act,
    entropy: &dyn Entropy,
) -> Result<Submission, LedgerError> {
    let envelope = v1::Envelope {
        submitter: Some(v1::Submitter {
            issuer: "ledger".into(),
            subject: identity(origin),
        }),
        authentication: v1::Authentication::Ledger.into(),
        ..Default::default()
    };
    ordered(origin, kind, action, act, &envelope, entropy)
}

fn identity(origin: &str) -> String {
    format!("graven:{origin}")
}

/// The same, ordered by whom `envelope` names.
pub(crate) fn ordered(
    origin: &str,
    kind: Kind,
    action: &str,
    act: v1::ledger_act::Act,
    envelope: &v1::Envelope,
    entropy: &dyn Entropy,
) -> Result<Submission, LedgerError> {
    let what = v1::What {
        action: action.into(),
        outcome: v1::Outcome::Success.into(),
        act: Some(v1::LedgerAct { act: Some(act) }),
        ..Default::default()
    };
    let context = v1::Context {
        source: identity(origin),
        ..Default::default()
    };
    let mut seed = [0; 32];
    fill(entropy, &mut seed)?;
    let parts = (what.encode_to_vec(), context.encode_to_vec());
    Ok(Submission::act(kind, parts, envelope, Seed(seed)))
}
