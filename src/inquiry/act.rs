//! Who did what, when and why, in few words.

use crate::entry::Tag;
use crate::entry::json::words::{OUTCOME, word};
use crate::index::{Facts, Value, field};

/// One entry, without what it was done to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Act {
    /// The entry's position.
    pub seq: u64,
    /// The ledger's time, in nanoseconds since 1970.
    pub recorded_at: u64,
    /// When it happened as claimed, in nanoseconds since 1970, if that was said and is shown.
    pub occurred_at: Option<i64>,
    /// Who acted, as claimed.
    pub actor: Who,
    /// Who sent the record, as the ledger authenticated; empty if it is not shown.
    pub submitter: String,
    /// What was done; empty if it is not shown.
    pub action: String,
    /// How it ended, if that was said.
    pub outcome: Option<&'static str>,
    /// A target was owned by another than the actor.
    pub foreign: bool,
    /// Why, in words; empty if it was not said or is not shown.
    pub reason: String,
    /// The ticket, change request or commit; empty likewise.
    pub ticket: String,
    /// The host; empty likewise.
    pub host: String,
    /// The login session; empty likewise.
    pub session: String,
}

/// Whether it is known who acted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Who {
    /// This identity, as claimed.
    Said(String),
    /// The event does not say.
    NotSaid,
    /// The event may say, and it is withheld.
    Withheld,
}

impl Who {
    /// The identity, if there is one.
    pub fn said(&self) -> Option<&str> {
        match self {
            Self::Said(actor) => Some(actor),
            Self::NotSaid | Self::Withheld => None,
        }
    }

    /// The identity, or a word for why there is none.
    pub fn text(&self) -> &str {
        match self {
            Self::Said(actor) => actor,
            Self::NotSaid => "unknown",
            Self::Withheld => "withheld",
        }
    }
}

impl Act {
    /// What an entry says about who, when and why.
    pub fn new(facts: &Facts) -> Self {
        let actor = if !facts.knows(Tag::Who) {
            Who::Withheld
        } else if facts.who.actor.is_empty() {
            Who::NotSaid
        } else {
            Who::Said(facts.who.actor.clone())
        };
        let submitter = facts.envelope.submitter.as_ref();
        let session = facts.who.session.as_ref();
        Self {
            seq: facts.header.seq,
            recorded_at: facts.header.recorded_at,
            occurred_at: facts.context.occurred_at,
            actor,
            submitter: submitter.map_or_else(String::new, |submitter| submitter.subject.clone()),
            action: facts.what.action.clone(),
            outcome: word(&OUTCOME, facts.what.outcome),
            foreign: is_foreign(facts),
            reason: facts.why.reason.clone(),
            ticket: facts.why.ticket.clone(),
            host: facts.context.host.clone(),
            session: session.map_or_else(String::new, |session| session.id.clone()),
        }
    }

    /// When it happened as claimed, or else when it was recorded, in nanoseconds since 1970.
    pub fn when(&self) -> i64 {
        self.occurred_at
            .unwrap_or_else(|| i64::try_from(self.recorded_at).unwrap_or(i64::MAX))
    }

    /// Whether this came before: by when it happened, and at one time by the order of the ledger.
    pub fn is_before(&self, other: &Self) -> bool {
        (self.when(), self.seq) < (other.when(), other.seq)
    }

    /// Whether neither the time nor the order of the ledger lets this come before. Clocks differ: where the two disagree,
    /// it may have been before.
    pub(super) fn is_surely_after(&self, other: &Self) -> bool {
        self.when() > other.when() && self.seq > other.seq
    }
}

/// The field `foreign` of the filter.
fn is_foreign(facts: &Facts) -> bool {
    let mut is = false;
    if let Some(field) = field("foreign") {
        field.values(facts, &mut |value| is = value == Value::True);
    }
    is
}
