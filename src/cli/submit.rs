//! Sends batches of events, and holds the server to its receipts.

use std::time::Duration;

use bytes::Bytes;
use prost::Message;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use super::bodies::malformed;
use super::connect::Client;
use super::failure::Failure;
use super::prove::gather;
use crate::entry::body::Content;
use crate::entry::redaction::is_rest_of;
use crate::entry::{CheckedEvent, MAX_BATCH_BYTES, MAX_BATCH_EVENTS, Tag, json, v1};
use crate::note::VerifierKey;
use crate::verify::{Expected, Verdict, verify_receipt};

/// How often a batch is sent that is too much at once, and the longest time to wait in between: what lasts longer, such as a
/// full disk, is for the user to know.
const TRIES: u32 = 20;
const LONGEST_DELAY: Duration = Duration::from_secs(5);

/// What became of one event.
#[derive(Debug, Clone)]
pub(super) struct Placed {
    pub(super) seq: u64,
    /// It was there already.
    pub(super) duplicate: bool,
    /// What rules put out of it before it was sealed. Of an entry of which a part was erased since this is not known.
    pub(super) redactions: Vec<v1::Redaction>,
}

/// Why a batch was refused.
pub(super) enum Refused {
    /// For this event of it: its index and what is wrong. Nothing was appended.
    Event(usize, Failure),
    /// For its idempotency id, which belongs to other content. Nothing was appended.
    Conflict(usize, Failure),
    /// For something else.
    All(Failure),
}

/// Events that fit one request.
#[derive(Default)]
pub(super) struct Batch {
    events: Vec<v1::Event>,
    bytes: usize,
}

impl Batch {
    /// Whether another event fits. An empty batch has room for any.
    pub(super) fn has_room_for(&self, event: &v1::Event) -> bool {
        let bytes = self.bytes.saturating_add(request_bytes(event));
        self.is_empty() || (self.len() < MAX_BATCH_EVENTS && bytes <= MAX_BATCH_BYTES)
    }

    /// Adds an event.
    pub(super) fn push(&mut self, event: v1::Event) {
        self.bytes = self.bytes.saturating_add(request_bytes(&event));
        self.events.push(event);
    }

    pub(super) fn len(&self) -> usize {
        self.events.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// Takes the event `index` out.
    pub(super) fn remove(&mut self, index: usize) {
        if index < self.events.len() {
            let event = self.events.remove(index);
            self.bytes = self.bytes.saturating_sub(request_bytes(&event));
        }
    }

    /// Sends the events, all or nothing. With a pinned key every receipt is verified against what was sent.
    pub(super) async fn send(
        &self,
        client: &mut Client,
        pinned: Option<&VerifierKey>,
    ) -> Result<Vec<Placed>, Refused> {
        let request = v1::AppendBatchRequest {
            events: self.events.clone(),
            ack_level: 0,
        };
        let answer = send_patiently(client, request).await.map_err(refused)?;
        let placed = place(self.events.len(), &answer).map_err(Refused::All)?;
        if let Some(key) = pinned {
            self.hold_to(&answer, key).map_err(Refused::All)?;
            self.hold_erased_to(client, &answer, key)
                .await
                .map_err(Refused::All)?;
        }
        Ok(placed)
    }

    fn hold_to(&self, answer: &v1::AppendBatchResponse, key: &VerifierKey) -> Result<(), Failure> {
        let expected = Expected {
            origin: key.name().to_string(),
            key: key.clone(),
            submitter: None,
        };
        let mut new = Vec::new();
        let mut duplicates = answer.duplicates.iter().peekable();
        for (index, event) in self.events.iter().enumerate() {
            let checked = CheckedEvent::check(&json::encode(event))
                .map_err(|invalid| malformed(&format!("it accepted event {index}: {invalid}")))?;
            match duplicates.next_if(|duplicate| duplicate.index as usize == index) {
                // Without a receipt it is looked at by itself.
                Some(duplicate) if duplicate.erased_seq.is_some() => {}
                Some(duplicate) => {
                    verify(duplicate.receipt.as_ref(), &[&checked], &expected)?;
                }
                None => new.push(checked),
            }
        }
        if new.is_empty() {
            return Ok(());
        }
        verify(
            answer.receipt.as_ref(),
            &new.iter().collect::<Vec<_>>(),
            &expected,
        )
    }
}

impl Batch {
    /// Holds the server to its word about events that are there without a receipt, since a part was erased: what is left
    /// has to be what was sent, in the ledger, and something of it gone by the word of a sealed entry.
    async fn hold_erased_to(
        &self,
        client: &mut Client,
        answer: &v1::AppendBatchResponse,
        key: &VerifierKey,
    ) -> Result<(), Failure> {
        for duplicate in &answer.duplicates {
            let sent = self.events.get(duplicate.index as usize);
            let (Some(seq), Some(event)) = (duplicate.erased_seq, sent) else {
                continue;
            };
            let evidence = gather(client, seq).await?;
            let report = evidence.verify(Some(key), None);
            if let Verdict::Tampered(finding) = &report.verdict {
                return Err(Failure::tampered(format!(
                    "the server's evidence does not verify: {finding}"
                )));
            }
            let checked = CheckedEvent::check(&json::encode(event))
                .map_err(|invalid| malformed(&format!("it accepted an event: {invalid}")))?;
            let envelope = evidence.body.disclosed(Tag::Envelope).cloned();
            let envelope = v1::Envelope::decode(envelope.unwrap_or_default());
            let notes = envelope.unwrap_or_default().redactions;
            let is_left = |(tag, bytes): &(Tag, Bytes)| match evidence.body.content(*tag) {
                Some(Content::Disclosed { bytes: sealed, .. }) => {
                    is_rest_of(&notes, *tag, sealed, bytes)
                }
                Some(_) => report
                    .erased
                    .iter()
                    .any(|part| part.tag == *tag && part.by.is_some()),
                None => false,
            };
            if !checked.parts.iter().all(is_left) {
                return Err(Failure::tampered(format!(
                    "the server says that the event is entry {seq}, and that entry says something else"
                )));
            }
        }
        Ok(())
    }
}

/// Sends a batch, and again when the server says that it was too much at once and when to come back.
async fn send_patiently(
    client: &mut Client,
    request: v1::AppendBatchRequest,
) -> Result<v1::AppendBatchResponse, Status> {
    for _ in 1..TRIES {
        let status = match client.append_batch(request.clone()).await {
            Ok(answer) => return Ok(answer.into_inner()),
            Err(status) => status,
        };
        // What is exhausted was not appended.
        let exhausted = status.code() == Code::ResourceExhausted;
        let delay = status
            .get_details_retry_info()
            .and_then(|info| info.retry_delay);
        match delay.filter(|delay| exhausted && *delay <= LONGEST_DELAY) {
            Some(delay) => tokio::time::sleep(delay).await,
            None => return Err(status),
        }
    }
    Ok(client.append_batch(request).await?.into_inner())
}

/// Bytes that an event takes in a request: its encoding behind a key and a length.
fn request_bytes(event: &v1::Event) -> usize {
    event.encoded_len().saturating_add(8)
}

fn verify(
    receipt: Option<&v1::Receipt>,
    events: &[&CheckedEvent],
    expected: &Expected,
) -> Result<(), Failure> {
    let receipt = receipt.ok_or_else(|| malformed("a receipt is missing"))?;
    verify_receipt(receipt, events, expected)
        .map(drop)
        .map_err(|finding| Failure::tampered(format!("the receipt does not verify: {finding}")))
}

/// The seq of every event of a batch.
fn place(events: usize, answer: &v1::AppendBatchResponse) -> Result<Vec<Placed>, Failure> {
    let new = answer.receipt.as_ref();
    let mut next = new.map(|receipt| receipt.first_seq);
    let mut count = 0;
    let mut duplicates = answer.duplicates.iter().peekable();
    let mut placed = Vec::with_capacity(events);
    for index in 0..events {
        let there = duplicates.next_if(|duplicate| duplicate.index as usize == index);
        let (seq, redactions) = if let Some(duplicate) = there {
            let receipt = duplicate.receipt.as_ref();
            let seq = receipt.map(|receipt| receipt.first_seq);
            (seq.or(duplicate.erased_seq), redactions(receipt, 0))
        } else {
            let found = redactions(new, count);
            count += 1;
            (next.inspect(|seq| next = seq.checked_add(1)), found)
        };
        let seq = seq.ok_or_else(|| malformed("a receipt is missing"))?;
        placed.push(Placed {
            seq,
            duplicate: there.is_some(),
            redactions,
        });
    }
    Ok(placed)
}

/// What was put out of the event `index` of a receipt, as its envelope says.
fn redactions(receipt: Option<&v1::Receipt>, index: usize) -> Vec<v1::Redaction> {
    let is_changed = |receipt: &&v1::Receipt| {
        let mut changed = receipt.redacted.iter();
        changed.any(|part| part.index as usize == index)
    };
    let Some(receipt) = receipt.filter(is_changed) else {
        return Vec::new();
    };
    // One envelope stands for all where they are the same.
    let envelopes = &receipt.envelopes;
    let envelope = envelopes.get(index).or(envelopes.first());
    let envelope = envelope.map(|envelope| v1::Envelope::decode(envelope.as_slice()));
    let envelope = envelope.and_then(Result::ok).unwrap_or_default();
    envelope.redactions
}

fn refused(status: Status) -> Refused {
    let index = match status.code() {
        Code::AlreadyExists => status
            .get_details_error_info()
            .and_then(|info| info.metadata.get("index")?.parse().ok()),
        Code::InvalidArgument => status
            .get_details_bad_request()
            .and_then(|request| field_index(&request.field_violations.first()?.field)),
        _ => None,
    };
    match (index, status.code()) {
        (Some(index), Code::AlreadyExists) => Refused::Conflict(index, status.into()),
        (Some(index), _) => Refused::Event(index, status.into()),
        (None, _) => Refused::All(status.into()),
    }
}

/// The index in `events[7].what.action`.
fn field_index(field: &str) -> Option<usize> {
    field
        .strip_prefix("events[")?
        .split_once(']')?
        .0
        .parse()
        .ok()
}

impl Refused {
    /// The failure, whatever it is for.
    pub(super) fn into_failure(self) -> Failure {
        match self {
            Self::Event(_, failure) | Self::Conflict(_, failure) | Self::All(failure) => failure,
        }
    }
}
