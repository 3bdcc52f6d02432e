//! What is told of an act of reading: what was asked, and how much was returned.

use serde_json::{Map, Value};

use crate::entry::v1;
use crate::index::Ranges;
use crate::verify::ranges_text;

/// Of the ranges of an order, those that are told: a record has to fit in an entry.
const MAX_TOLD_RANGES: usize = 256;

/// What was asked.
pub(super) struct Asked {
    pub(super) action: &'static str,
    /// The part of the ledger: `index`, or `entry/<seq>`.
    pub(super) part: String,
    pub(super) detail: Map<String, Value>,
}

impl Asked {
    fn new(action: &'static str, part: impl Into<String>) -> Self {
        Self {
            action,
            part: part.into(),
            detail: Map::new(),
        }
    }

    fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.detail.insert(name.into(), value.into());
        self
    }

    /// With a number that means something unless it is 0.
    fn with_some(self, name: &str, number: u64) -> Self {
        if number == 0 {
            return self;
        }
        self.with(name, number)
    }

    pub(super) fn entry(seq: u64) -> Self {
        Self::new("entry.get", format!("entry/{seq}"))
    }

    pub(super) fn list(request: &v1::ListEntriesRequest) -> Self {
        let mut asked = Self::new("entry.list", format!("entry/{}", request.first_seq))
            .with("first_seq", request.first_seq)
            .with_some("limit", request.limit)
            .with("descending", request.descending);
        for (name, bound) in [
            ("end_seq", request.end_seq),
            ("recorded_from", request.recorded_from),
            ("recorded_before", request.recorded_before),
        ] {
            if let Some(bound) = bound {
                asked = asked.with(name, bound);
            }
        }
        asked
    }

    /// `newest` is the seq that follows the newest entry.
    pub(super) fn watch_entries(request: &v1::WatchEntriesRequest, newest: u64) -> Self {
        let first = request.first_seq.unwrap_or(newest);
        Self::new("entry.watch", format!("entry/{first}")).with("first_seq", first)
    }

    pub(super) fn watch(request: &v1::WatchRequest, newest: u64) -> Self {
        Self::new("index.watch", "index")
            .with("filter", request.filter.as_str())
            .with("first_seq", request.first_seq.unwrap_or(newest))
    }

    pub(super) fn search(request: &v1::SearchRequest) -> Self {
        Self::new("index.search", "index")
            .with("filter", request.filter.as_str())
            .with("page", !request.page_token.is_empty())
            .with("proved", request.prove)
            .with_some("size", request.size)
            .with_some("start", request.start)
            .with_some("end", request.end)
    }

    pub(super) fn count(request: &v1::CountRequest) -> Self {
        Self::new("index.count", "index")
            .with("filter", request.filter.as_str())
            .with("group_by", request.group_by.as_str())
            .with("page", !request.page_token.is_empty())
            .with("proved", request.prove)
            .with_some("size", request.size)
            .with_some("start", request.start)
            .with_some("end", request.end)
    }

    pub(super) fn history(request: &v1::GetHistoryRequest) -> Self {
        Self::new("index.history", "index")
            .with("target", request.target.as_str())
            .with_some("size", request.size)
    }

    pub(super) fn lineage(request: &v1::GetLineageRequest) -> Self {
        use v1::get_lineage_request::Start;
        let asked = Self::new("index.lineage", "index").with_some("size", request.size);
        match &request.start {
            Some(Start::Run(id)) => asked.with("run", id.as_str()),
            Some(Start::Target(uri)) => asked.with("target", uri.as_str()),
            Some(Start::Digest(id)) => asked.with("digest", id.as_str()),
            None => asked,
        }
    }

    /// What an order would erase, or one that chooses by a filter.
    pub(super) fn erasure(request: &v1::EraseRequest) -> Self {
        let action = if request.dry_run {
            "erasure.plan"
        } else {
            "erasure.order"
        };
        let entries: Ranges = request.entries.iter().take(MAX_TOLD_RANGES).collect();
        Self::new(action, "index")
            .with("filter", request.filter.as_str())
            .with("entries", ranges_text(&entries))
            .with("ranges", request.entries.len())
            .with("ticket", request.ticket.as_str())
    }

    pub(super) fn segment(request: &v1::GetSegmentRequest) -> Self {
        Self::new("index.segment", "index")
            .with("level", request.level)
            .with("number", request.number)
    }
}

/// What is told of an answer.
pub(super) trait Answer {
    /// How many entries, groups, steps or leaves it has.
    fn returned(&self) -> u64;
    /// The checkpoint that comes with it, a signed note; empty if none does.
    fn checkpoint(&self) -> &str;

    /// The size of that checkpoint's tree, which is its second line.
    fn size(&self) -> Option<u64> {
        self.checkpoint().lines().nth(1)?.parse().ok()
    }
}

macro_rules! answer {
    ($message:ty, |$answer:ident| $returned:expr) => {
        impl Answer for $message {
            fn returned(&self) -> u64 {
                let $answer = self;
                $returned as u64
            }

            fn checkpoint(&self) -> &str {
                &self.checkpoint
            }
        }
    };
}

answer!(v1::GetEntryResponse, |answer| answer.entry.iter().len());
answer!(v1::ListEntriesResponse, |answer| answer.entries.len());
answer!(v1::WatchEntriesResponse, |answer| answer.entries.len());
answer!(v1::SearchResponse, |answer| answer.entries.len());
answer!(v1::WatchResponse, |answer| answer.entries.len());
answer!(v1::CountResponse, |answer| answer.groups.len());
answer!(v1::GetHistoryResponse, |answer| answer.steps.len());
answer!(v1::GetLineageResponse, |answer| answer.edges.len());
answer!(v1::EraseResponse, |answer| answer
    .entries
    .iter()
    .collect::<Ranges>()
    .len());
answer!(v1::GetSegmentResponse, |answer| answer.leaves.iter().len());

impl Answer for v1::GetGenesisResponse {
    fn returned(&self) -> u64 {
        self.first_entry.iter().len() as u64
    }

    fn checkpoint(&self) -> &str {
        self.first_entry
            .as_ref()
            .map_or("", |entry| entry.checkpoint.as_str())
    }
}
