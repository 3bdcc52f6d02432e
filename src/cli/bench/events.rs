//! Events to append: made up, of one size, or those of a file, over and over.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::random::Random;
use super::tally::Amount;
use crate::cli::append;
use crate::cli::failure::Failure;
use crate::entry::{CheckedEvent, hex, json, v1};

/// The source of every event, so that they can be told from records of what happened.
const SOURCE: &str = "bench";

const ACTORS: u64 = 2_000;
const FILES: u64 = 200_000;
const RUNS: u64 = 300;
const HOSTS: u64 = 40;
const ACTIONS: [&str; 8] = [
    "file.update",
    "file.update",
    "file.update",
    "checkpoint.save",
    "checkpoint.load",
    "run.start",
    "job.submit",
    "image.retag",
];

/// What events look like.
#[derive(Debug, Clone)]
pub(super) enum Shape {
    /// Made up, with so many random bytes of detail and about ten terms of the index.
    Made { detail_bytes: usize },
    /// Those of a file.
    Replayed(Arc<Vec<v1::Event>>),
}

impl Shape {
    /// The events of a file, one JSON object a line.
    pub(super) fn replay(path: &Path) -> Result<Self, Failure> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| Failure::file("reading", path, &error))?;
        let mut events = Vec::new();
        for (number, line) in (1..).zip(text.lines()) {
            if line.trim().is_empty() {
                continue;
            }
            let event = append::read(line).map_err(|problem| {
                // The parser counts from this line on.
                let problem = problem.replace(" at line 1 column ", " at column ");
                Failure::usage(format!("{}: line {number}: {problem}", path.display()))
            })?;
            events.push(event);
        }
        if events.is_empty() {
            return Err(Failure::usage(format!("{}: no events", path.display())));
        }
        Ok(Self::Replayed(Arc::new(events)))
    }
}

/// Makes the events of one client.
#[derive(Debug)]
pub(super) struct Maker {
    shape: Shape,
    random: Random,
    /// Where in the file it is.
    next: usize,
    /// Whether receipts are verified, for which events have to be known byte for byte.
    check: bool,
}

/// An event to append.
#[derive(Debug)]
pub(super) struct Made {
    pub(super) event: v1::Event,
    pub(super) amount: Amount,
    /// As its receipt has to say it, if receipts are verified.
    pub(super) checked: Option<CheckedEvent>,
}

impl Maker {
    /// Clients begin at places of the file that are far from each other.
    pub(super) fn new(shape: Shape, check: bool) -> Result<Self, Failure> {
        let mut random = Random::new()?;
        let next = match &shape {
            Shape::Made { .. } => 0,
            Shape::Replayed(events) => {
                usize::try_from(random.below(events.len() as u64)).unwrap_or(0)
            }
        };
        Ok(Self {
            shape,
            random,
            next,
            check,
        })
    }

    /// The next event, with an idempotency id that no other has.
    pub(super) fn make(&mut self) -> Result<Made, Failure> {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let mut event = match &self.shape {
            Shape::Made { detail_bytes } => made(&mut self.random, *detail_bytes, now),
            Shape::Replayed(events) => {
                let event = events.get(self.next).or(events.first());
                self.next = (self.next + 1) % events.len().max(1);
                event.cloned().unwrap_or_default()
            }
        };
        // It covers the idempotency id and the source.
        event.actor_signature = None;
        let context = event.context.get_or_insert_default();
        context.source = SOURCE.into();
        context.idempotency_id = uuid_v7(&mut self.random, now);
        let checked = self
            .check
            .then(|| CheckedEvent::check(&json::encode(&event)));
        let checked = checked.transpose();
        Ok(Made {
            amount: Amount {
                entries: 1,
                detail_bytes: detail_bytes(&event),
            },
            checked: checked.map_err(|invalid| Failure::usage(format!("event: {invalid}")))?,
            event,
        })
    }
}

/// Bytes of the detail of an event: the content and the original.
fn detail_bytes(event: &v1::Event) -> u64 {
    let detail = event.detail.as_ref();
    detail.map_or(0, |detail| {
        detail.content.len() as u64 + detail.original.len() as u64
    })
}

/// An RFC 9562 UUID of version 7: 48 bits of milliseconds, 12 of their fraction, 62 random ones.
fn uuid_v7(random: &mut Random, now: Duration) -> Vec<u8> {
    let milliseconds = now.as_millis() & ((1 << 48) - 1);
    let fraction = u128::from(now.subsec_nanos() % 1_000_000) * 4096 / 1_000_000;
    let tail = u128::from(random.next() >> 2);
    let bits = milliseconds << 80 | 0x7 << 76 | fraction << 64 | 0b10 << 62 | tail;
    bits.to_be_bytes().to_vec()
}

fn made(random: &mut Random, detail_bytes: usize, now: Duration) -> v1::Event {
    let file = random.skewed(FILES);
    let host = format!("node-{}", random.skewed(HOSTS));
    let action = usize::try_from(random.below(ACTIONS.len() as u64)).unwrap_or(0);
    let mut detail = vec![0; detail_bytes];
    random.fill(&mut detail);
    v1::Event {
        who: Some(v1::Who {
            actor: format!("oidc:corp/user{}", random.skewed(ACTORS)),
            assurance: v1::Assurance::Authenticated.into(),
            ..Default::default()
        }),
        what: Some(v1::What {
            action: ACTIONS.get(action).copied().unwrap_or("file.update").into(),
            outcome: v1::Outcome::Success.into(),
            targets: vec![v1::Target {
                uri: format!(
                    "fs://nfs1/home/team{}/src/module{}/file{file}.py",
                    file % 40,
                    file % 2_000
                ),
                before: Some(version(random)),
                after: Some(version(random)),
                ..Default::default()
            }],
            run: Some(v1::Run {
                id: format!("run-{}", random.below(RUNS)),
                ..Default::default()
            }),
            ..Default::default()
        }),
        context: Some(v1::Context {
            host,
            occurred_at: i64::try_from(now.as_nanos()).ok(),
            ..Default::default()
        }),
        detail: (detail_bytes > 0).then(|| v1::Detail {
            content: detail,
            ..Default::default()
        }),
        ..Default::default()
    }
}

/// A version that was never there before.
fn version(random: &mut Random) -> v1::Version {
    let mut digest = [0; 32];
    random.fill(&mut digest);
    v1::Version {
        ids: vec![format!("sha256:{}", hex::encode(&digest))],
        ..Default::default()
    }
}
