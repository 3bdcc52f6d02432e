//! Changes of the policy, as the ledger records them.

use prost::Message;

use super::act;
use super::error::LedgerError;
use super::search::Search;
use super::{Ledger, SealedEntry};
use crate::entry::{Kind, Tag, v1};
use crate::index::filter::Filter;
use crate::store::Direction;

const ACTION: &str = "ledger.policy";

impl Ledger {
    /// Seals that another policy says who may do what.
    pub async fn record_policy(&self, change: v1::PolicyChange) -> Result<(), LedgerError> {
        let act = v1::ledger_act::Act::PolicyChange(change);
        let origin = self.genesis.origin();
        let submission = act::submission(origin, Kind::Act, ACTION, act, &*self.entropy)?;
        self.append_when_there_is_room(submission).await.map(drop)
    }

    /// The last change of the policy that was sealed.
    pub fn last_policy(&self) -> Result<Option<v1::PolicyChange>, LedgerError> {
        let filter = Filter::parse(&format!("kind = act AND action = {ACTION}"))
            .map_err(|error| LedgerError::BadRange(error.to_string()))?;
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
            if let Some(change) = page.entries.iter().find_map(change) {
                return Ok(Some(change));
            }
            open.end = page.window.start.min(open.end.saturating_sub(1));
        }
        Ok(None)
    }
}

fn change(entry: &SealedEntry) -> Option<v1::PolicyChange> {
    let what = v1::What::decode(entry.body.disclosed(Tag::What)?.as_ref()).ok()?;
    match what.act?.act? {
        v1::ledger_act::Act::PolicyChange(change) => Some(change),
        _ => None,
    }
}
