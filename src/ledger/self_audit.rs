//! What the ledger records about its own running: starts, stops, configurations, policies, refused requests.

use super::act::{self, act_of};
use super::error::LedgerError;
use super::search::Search;
use super::{Ledger, SealedEntry};
use crate::entry::v1::ledger_act::Act;
use crate::entry::{Kind, v1};
use crate::index::filter::Filter;
use crate::store::Direction;

const START: &str = "ledger.start";
const STOP: &str = "ledger.stop";
const CONFIGURE: &str = "ledger.configure";
const POLICY: &str = "ledger.policy";
const REDACT: &str = "ledger.redaction";
const REFUSE: &str = "ledger.refuse";

/// Acts that are read together.
const PAGE: usize = 1_000;

/// The entries by which the ledger says that it did one of `actions`.
fn acts(actions: &[&str]) -> Result<Filter, LedgerError> {
    let actions: Vec<String> = actions
        .iter()
        .map(|action| format!("action = {action}"))
        .collect();
    Filter::parse(&format!("kind = act AND ({})", actions.join(" OR ")))
        .map_err(|error| LedgerError::BadRange(error.to_string()))
}

impl Ledger {
    /// What the ledger tells of the run before this one, as the beginning of what [`record_start`](Self::record_start)
    /// takes. Blocks while it reads.
    pub fn previous_run(&self) -> Result<v1::Start, LedgerError> {
        let last = self.last_act(&[START, STOP])?;
        let previous = match &last {
            None => v1::PreviousRun::None,
            Some((entry, Act::Stop(_))) if self.is_last_but_for_seals(entry.header.seq)? => {
                v1::PreviousRun::Clean
            }
            Some(_) => v1::PreviousRun::Unclean,
        };
        Ok(v1::Start {
            version: String::new(),
            previous: previous.into(),
            previous_seq: last.map(|(entry, _)| entry.header.seq),
        })
    }

    /// Seals that the server begins to serve.
    pub async fn record_start(&self, start: v1::Start) -> Result<(), LedgerError> {
        self.record(START, Act::Start(start)).await
    }

    /// Seals that the server ends in peace. To be called when everybody has been answered.
    pub async fn record_stop(&self, stop: v1::Stop) -> Result<(), LedgerError> {
        self.record(STOP, Act::Stop(stop)).await
    }

    /// The last configuration that was sealed. Blocks while it reads.
    pub fn last_configuration(&self) -> Result<Option<v1::Configuration>, LedgerError> {
        let last = self.last_act(&[CONFIGURE])?;
        Ok(last.and_then(|(_, act)| match act {
            Act::Configuration(configuration) => Some(configuration),
            _ => None,
        }))
    }

    /// Seals the configuration in force.
    pub async fn record_configuration(
        &self,
        configuration: v1::Configuration,
    ) -> Result<(), LedgerError> {
        self.record(CONFIGURE, Act::Configuration(configuration))
            .await
    }

    /// The last change of the policy that was sealed. Blocks while it reads.
    pub fn last_policy(&self) -> Result<Option<v1::PolicyChange>, LedgerError> {
        let last = self.last_act(&[POLICY])?;
        Ok(last.and_then(|(_, act)| match act {
            Act::PolicyChange(change) => Some(change),
            _ => None,
        }))
    }

    /// Seals that another policy says who may do what.
    pub async fn record_policy(&self, change: v1::PolicyChange) -> Result<(), LedgerError> {
        self.record(POLICY, Act::PolicyChange(change)).await
    }

    /// The last change of the rules for secrets that was sealed. Blocks while it reads.
    pub fn last_redaction(&self) -> Result<Option<v1::RedactionChange>, LedgerError> {
        let last = self.last_act(&[REDACT])?;
        Ok(last.and_then(|(_, act)| match act {
            Act::RedactionChange(change) => Some(change),
            _ => None,
        }))
    }

    /// Seals that other rules keep secrets out of events.
    pub async fn record_redaction(&self, change: v1::RedactionChange) -> Result<(), LedgerError> {
        self.record(REDACT, Act::RedactionChange(change)).await
    }

    /// Seals that requests were refused.
    pub async fn record_refusals(&self, refusals: v1::Refusals) -> Result<(), LedgerError> {
        self.record(REFUSE, Act::Refusals(refusals)).await
    }

    async fn record(&self, action: &str, act: Act) -> Result<(), LedgerError> {
        let origin = self.genesis.origin();
        let submission = act::submission(origin, Kind::Act, action, act, &*self.entropy)?;
        self.append_when_there_is_room(submission).await.map(drop)
    }

    /// The last entry by which the ledger said that it did one of `actions`.
    fn last_act(&self, actions: &[&str]) -> Result<Option<(SealedEntry, Act)>, LedgerError> {
        let filter = acts(actions)?;
        let size = self.published().size();
        let mut open = 0..size;
        while !open.is_empty() {
            let page = self.search(&Search {
                filter: &filter,
                size,
                range: open.clone(),
                direction: Direction::Reverse,
                limit: 1,
                prove: false,
            })?;
            for entry in page.entries {
                if let Some(act) = act_of(&entry) {
                    return Ok(Some((entry, act)));
                }
            }
            open.end = page.window.start.min(open.end.saturating_sub(1));
        }
        Ok(None)
    }

    /// Takes every entry by which the ledger said that it did one of `actions`, oldest first. What the index covers is found
    /// by it; behind it are at most as many entries as a start reads anyway.
    pub(super) fn for_each_act(
        &self,
        actions: &[&str],
        take: &mut dyn FnMut(u64, Act),
    ) -> Result<(), LedgerError> {
        let filter = acts(actions)?;
        let size = self.published().size();
        let mut open = 0..size;
        while !open.is_empty() {
            let page = self.search(&Search {
                filter: &filter,
                size,
                range: open.clone(),
                direction: Direction::Forward,
                limit: PAGE,
                prove: false,
            })?;
            for entry in page.entries {
                if let Some(act) = act_of(&entry) {
                    take(entry.header.seq, act);
                }
            }
            open.start = page.window.end.max(open.start.saturating_add(1));
        }
        Ok(())
    }

    fn is_last_but_for_seals(&self, seq: u64) -> Result<bool, LedgerError> {
        let mut rest = seq.saturating_add(1)..self.published().size();
        while !rest.is_empty() {
            let entries = self.next_entries(rest.clone(), Direction::Forward)?;
            if entries.iter().any(|entry| entry.header.kind != Kind::Seal) {
                return Ok(false);
            }
            rest.start = rest.start.saturating_add(entries.len().max(1) as u64);
        }
        Ok(true)
    }
}
