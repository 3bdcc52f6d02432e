//! Calls that are made ready before their time begins.

use std::sync::Arc;

use prost::Message;
use tokio::sync::mpsc;

use super::events::{Made, Maker};
use super::query::Query;
use super::random::Random;
use super::tally::Amount;
use crate::cli::failure::Failure;
use crate::entry::{CheckedEvent, MAX_BATCH_BYTES, v1};
use crate::index::filter::Filter;

/// A call that can be sent at once.
pub(super) struct Ready {
    pub(super) request: Request,
    pub(super) amount: Amount,
    /// The events, as far as receipts are verified.
    pub(super) events: Vec<CheckedEvent>,
}

/// What is sent.
pub(super) enum Request {
    Append(Box<v1::AppendRequest>),
    Batch(v1::AppendBatchRequest),
    Get(v1::GetEntryRequest),
    Query(Arc<Query>, Filter),
    Noop,
}

/// What a client calls.
pub(super) enum Calls {
    Append(Maker),
    /// Batches that are made while the one before is under way.
    Batch(mpsc::Receiver<Result<Ready, Failure>>),
    /// With the number of entries.
    Get(Random, u64),
    Query(Arc<Query>),
    Noop,
}

impl Calls {
    /// Batches of so many events, or of as many as fit in a request. One is made ahead.
    pub(super) fn batches(mut maker: Maker, size: usize) -> Self {
        let (made, batches) = mpsc::channel(1);
        tokio::spawn(async move {
            // Until nobody wants any more.
            while made.send(batch(&mut maker, size)).await.is_ok() {}
        });
        Self::Batch(batches)
    }

    /// Makes the next call ready.
    pub(super) async fn make_ready(&mut self) -> Result<Ready, Failure> {
        let request = match self {
            Self::Append(maker) => return one(maker),
            Self::Batch(batches) => {
                let batch = batches.recv().await;
                return batch.unwrap_or_else(|| Err(Failure::other("no batches are made")));
            }
            Self::Get(random, size) => Request::Get(v1::GetEntryRequest {
                seq: random.below(*size),
            }),
            Self::Query(query) => Request::Query(Arc::clone(query), query.filter()?),
            Self::Noop => Request::Noop,
        };
        Ok(Ready {
            request,
            amount: Amount::default(),
            events: Vec::new(),
        })
    }
}

fn one(maker: &mut Maker) -> Result<Ready, Failure> {
    let Made {
        event,
        amount,
        checked,
    } = maker.make()?;
    Ok(Ready {
        request: Request::Append(Box::new(v1::AppendRequest {
            event: Some(event),
            ack_level: 0,
        })),
        amount,
        events: checked.into_iter().collect(),
    })
}

fn batch(maker: &mut Maker, size: usize) -> Result<Ready, Failure> {
    let mut total = Amount::default();
    let mut events = Vec::with_capacity(size);
    let mut all_checked = Vec::new();
    let (mut bytes, mut largest) = (0usize, 0usize);
    while events.len() < size && bytes.saturating_add(largest) <= MAX_BATCH_BYTES {
        let Made {
            event,
            amount,
            checked,
        } = maker.make()?;
        // Behind a key and a length.
        let length = event.encoded_len().saturating_add(8);
        largest = largest.max(length);
        bytes = bytes.saturating_add(length);
        total.entries += amount.entries;
        total.detail_bytes += amount.detail_bytes;
        all_checked.extend(checked);
        events.push(event);
    }
    Ok(Ready {
        request: Request::Batch(v1::AppendBatchRequest {
            events,
            ack_level: 0,
        }),
        amount: total,
        events: all_checked,
    })
}
