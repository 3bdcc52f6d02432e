//! What one identity, and all together, may take of the server at a time.
//!
//! Rates are kept by a token bucket for each identity; what is under way is counted by places. Who asks for more gets
//! `RESOURCE_EXHAUSTED` with the delay after which it makes sense to ask again: overload is an answer, not a queue.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Deserializer};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::{Code, Status};

use super::answers::Answers;
use super::limits::MAX_ANONYMOUS_WATCHES;
use super::status;
use crate::entry::v1;
use crate::ledger::Clock;

/// Identities whose buckets are remembered; beyond that, those that take nothing now are forgotten.
const REMEMBERED: usize = 4_096;
/// How long a question waits for a place before it is refused.
const SCAN_WAIT: Duration = Duration::from_secs(2);
const RETRY_CALL: Duration = Duration::from_millis(200);
const RETRY_SCAN: Duration = Duration::from_secs(1);
const RETRY_STREAM: Duration = Duration::from_secs(10);

/// What callers may take. The reasons for each default stand in `docs/operating.md`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Entries that one identity may append in a second.
    pub entries_per_second: u64,
    /// Bytes of events that one identity may append in a second.
    pub bytes_per_second: u64,
    /// For how long one identity may run ahead of these two, after it took nothing for as long.
    #[serde(rename = "burst_seconds", deserialize_with = "seconds")]
    pub burst: Duration,
    /// Connections of one identity at a time: of the one that was recognised on them first.
    pub connections: usize,
    /// Appends of one identity at a time, and as many other calls, besides streams.
    pub calls: usize,
    /// Appends of all at a time, and as many other calls, besides streams.
    pub calls_in_all: usize,
    /// Questions and lists of one identity at a time.
    pub scans: usize,
    /// Streams of new entries (tail, watch) that one identity may follow at a time.
    pub streams: usize,
    /// Streams that one identity may append with at a time.
    pub append_streams: usize,
    /// Bytes of requests of all that have come and have not been answered, streams not counted.
    pub request_bytes: usize,
    /// How long an append may take, from its first byte to its answer.
    #[serde(rename = "append_seconds", deserialize_with = "seconds")]
    pub append_time: Duration,
    /// How long any other call may take until its answer begins.
    #[serde(rename = "read_seconds", deserialize_with = "seconds")]
    pub read_time: Duration,
    /// How long an answer waits for a reader that takes nothing.
    #[serde(rename = "stall_seconds", deserialize_with = "seconds")]
    pub stall_time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            entries_per_second: 250_000,
            bytes_per_second: 256 * 1024 * 1024,
            burst: Duration::from_secs(2),
            connections: 256,
            calls: 256,
            calls_in_all: 1_024,
            scans: 8,
            streams: 32,
            append_streams: 32,
            request_bytes: 128 * 1024 * 1024,
            append_time: Duration::from_secs(10),
            read_time: Duration::from_secs(30),
            stall_time: Duration::from_secs(30),
        }
    }
}

impl Limits {
    /// Checks that somebody can do something within them.
    ///
    /// # Errors
    ///
    /// The name of the setting that forbids everything, or is too large to count with.
    pub fn check(&self) -> Result<(), String> {
        let counts = [
            ("connections", self.connections),
            ("calls", self.calls),
            ("calls_in_all", self.calls_in_all),
            ("scans", self.scans),
            ("streams", self.streams),
            ("append_streams", self.append_streams),
            ("request_bytes", self.request_bytes),
        ];
        for (name, count) in counts {
            if count == 0 || count > Semaphore::MAX_PERMITS.min(u32::MAX as usize) {
                return Err(format!("limits: {name} = {count} is out of range"));
            }
        }
        for (name, rate) in [
            ("entries_per_second", self.entries_per_second),
            ("bytes_per_second", self.bytes_per_second),
        ] {
            if rate == 0 {
                return Err(format!("limits: with {name} = 0 nobody could append"));
            }
        }
        for (name, time) in [
            ("append_seconds", self.append_time),
            ("read_seconds", self.read_time),
            ("stall_seconds", self.stall_time),
        ] {
            if time.is_zero() {
                return Err(format!("limits: {name} must be more than 0"));
            }
        }
        Ok(())
    }
}

fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    u32::deserialize(deserializer).map(|seconds| Duration::from_secs(seconds.into()))
}

/// A token bucket, kept as the moment at which it is full again.
#[derive(Debug, Clone, Copy)]
pub struct Bucket {
    per_second: u64,
    burst: Duration,
    full_at: Duration,
}

impl Bucket {
    /// A full bucket that gets `per_second` tokens a second, and holds those of `burst`.
    pub fn new(per_second: u64, burst: Duration) -> Self {
        Self {
            per_second: per_second.max(1),
            burst,
            full_at: Duration::ZERO,
        }
    }

    /// When the bucket is full again after `tokens` are taken at `now`, or how long it takes until there are so many. More
    /// than it ever holds can be taken when it is full, and has to be waited for afterwards.
    fn after(&self, tokens: u64, now: Duration) -> Result<Duration, Duration> {
        let nanos = u128::from(tokens) * 1_000_000_000 / u128::from(self.per_second);
        let cost = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        let begin = self.full_at.max(now);
        let missing = begin.saturating_sub(now);
        let room = self.burst.saturating_sub(missing);
        if cost > room && !missing.is_zero() {
            let until_room = missing.saturating_add(cost).saturating_sub(self.burst);
            return Err(until_room.min(missing));
        }
        Ok(begin.saturating_add(cost))
    }

    /// Takes tokens, or says how long to wait for them. `now` never decreases.
    pub fn take(&mut self, tokens: u64, now: Duration) -> Result<(), Duration> {
        self.full_at = self.after(tokens, now)?;
        Ok(())
    }

    fn is_full(&self, now: Duration) -> bool {
        self.full_at <= now
    }
}

#[derive(Debug)]
struct Buckets {
    entries: Bucket,
    bytes: Bucket,
}

/// The share of one identity.
pub(super) struct Share {
    buckets: Mutex<Buckets>,
    connections: Arc<Semaphore>,
    calls: Calls,
    scans: Arc<Semaphore>,
    streams: Arc<Semaphore>,
    append_streams: Arc<Semaphore>,
    all: Arc<Common>,
}

/// Places for calls. Those who append have places of their own, which no reader takes.
struct Calls {
    appends: Arc<Semaphore>,
    others: Arc<Semaphore>,
}

impl Calls {
    fn new(most: usize) -> Self {
        Self {
            appends: Arc::new(Semaphore::new(most)),
            others: Arc::new(Semaphore::new(most)),
        }
    }

    fn of(&self, kind: Kind) -> Arc<Semaphore> {
        Arc::clone(match kind {
            Kind::Append => &self.appends,
            _ => &self.others,
        })
    }
}

/// What all have in common.
struct Common {
    limits: Limits,
    calls: Calls,
    request_bytes: Arc<Semaphore>,
    /// Streams of those who are not known.
    anonymous: Arc<Semaphore>,
    answers: Arc<Answers>,
    clock: Arc<dyn Clock>,
}

/// What kind of work a call is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// One request to append.
    Append,
    /// A stream to append with.
    AppendStream,
    /// A stream of entries as they come.
    Watch,
    /// A question, which may read much.
    Scan,
    /// A streamed answer that ends by itself.
    List,
    /// Something small.
    Read,
    /// What operators order; it takes the time that it takes.
    Order,
}

impl Kind {
    /// The kind of the call at `path` (`/package.Service/Method`).
    pub(super) fn of(path: &str) -> Self {
        let (service, method) = path.rsplit_once('/').unwrap_or_default();
        match method {
            "Append" | "AppendBatch" => Self::Append,
            "AppendStream" => Self::AppendStream,
            "Watch" | "WatchEntries" | "ServerReflectionInfo" => Self::Watch,
            "Search" | "Count" | "GetHistory" | "GetLineage" | "GetSegment" => Self::Scan,
            "ListEntries" => Self::List,
            _ if service.ends_with("AdminService") => Self::Order,
            _ => Self::Read,
        }
    }
}

/// The places that a call has, for as long as it has them.
#[derive(Debug, Default)]
pub(super) struct Place(Vec<OwnedSemaphorePermit>);

impl Share {
    /// A place for a call, or why there is none.
    pub(super) async fn enter(&self, kind: Kind) -> Result<Place, Status> {
        let mut place = Place::default();
        let limits = &self.all.limits;
        if matches!(kind, Kind::Watch | Kind::AppendStream) {
            let (places, most) = match kind {
                Kind::Watch => (&self.streams, limits.streams),
                _ => (&self.append_streams, limits.append_streams),
            };
            let found = Arc::clone(places).try_acquire_owned();
            place.0.push(found.map_err(|_| {
                let message = format!(
                    "{most} streams of this kind are open, the most of one identity: end one"
                );
                refused(message, RETRY_STREAM)
            })?);
            return Ok(place);
        }
        let whose = [
            (&self.calls, "of one identity", limits.calls),
            (&self.all.calls, "of all", limits.calls_in_all),
        ];
        for (places, whose, most) in whose {
            let found = places.of(kind).try_acquire_owned();
            place.0.push(found.map_err(|_| {
                let message = format!("{most} calls are under way, the most {whose}");
                refused(message, RETRY_CALL)
            })?);
        }
        if matches!(kind, Kind::Scan | Kind::List) {
            let waited = Arc::clone(&self.scans).acquire_owned();
            let Ok(Ok(found)) = tokio::time::timeout(SCAN_WAIT, waited).await else {
                let message = format!(
                    "{} questions are being answered, the most of one identity",
                    limits.scans
                );
                return Err(refused(message, RETRY_SCAN));
            };
            place.0.push(found);
        }
        Ok(place)
    }

    /// A place for a connection.
    pub(super) fn connect(&self) -> Result<OwnedSemaphorePermit, Status> {
        let found = Arc::clone(&self.connections).try_acquire_owned();
        found.map_err(|_| {
            let most = self.all.limits.connections;
            let message = format!("{most} connections are open, the most of one identity");
            refused(message, RETRY_STREAM)
        })
    }

    /// How long a call may take until its answer begins.
    pub(super) fn time(&self, kind: Kind) -> Option<Duration> {
        match kind {
            Kind::Append => Some(self.all.limits.append_time),
            Kind::Order => None,
            _ => Some(self.all.limits.read_time),
        }
    }

    /// The answers on their way.
    pub(super) fn answers(&self) -> &Answers {
        &self.all.answers
    }

    /// Bytes of requests that may be under way.
    pub(super) fn request_bytes(&self) -> Arc<Semaphore> {
        Arc::clone(&self.all.request_bytes)
    }

    /// Takes what these events cost, or says how long to wait.
    fn take(&self, entries: usize, bytes: usize) -> Result<(), Duration> {
        let now = self.all.clock.monotonic();
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let entries = buckets.entries.after(entries as u64, now);
        let bytes = buckets.bytes.after(bytes as u64, now);
        match (entries, bytes) {
            (Ok(entries), Ok(bytes)) => {
                buckets.entries.full_at = entries;
                buckets.bytes.full_at = bytes;
                Ok(())
            }
            (entries, bytes) => Err(entries
                .err()
                .unwrap_or_default()
                .max(bytes.err().unwrap_or_default())),
        }
    }

    /// Takes what these events cost, or refuses them.
    pub(super) fn spend(&self, entries: usize, bytes: usize) -> Result<(), Status> {
        self.take(entries, bytes).map_err(|delay| {
            let Limits {
                entries_per_second,
                bytes_per_second,
                ..
            } = self.all.limits;
            let message = format!(
                "one identity may append {entries_per_second} entries and {bytes_per_second} bytes a second, and this one \
                 ran ahead of that"
            );
            refused(message, delay)
        })
    }

    /// Takes what these events cost, as soon as that is there.
    pub(super) async fn spend_in_time(&self, entries: usize, bytes: usize) {
        while let Err(delay) = self.take(entries, bytes) {
            tokio::time::sleep(delay.max(Duration::from_millis(1))).await;
        }
    }

    fn is_idle(&self) -> bool {
        let now = self.all.clock.monotonic();
        let buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        buckets.entries.is_full(now) && buckets.bytes.is_full(now)
    }
}

/// The refusal of what would be too much now.
pub(super) fn refused(message: String, delay: Duration) -> Status {
    status::retry(Code::ResourceExhausted, message, delay)
}

/// The shares of all identities.
pub(super) struct Quotas {
    shares: Mutex<HashMap<(String, String), Arc<Share>>>,
    all: Arc<Common>,
}

impl Quotas {
    pub(super) fn new(limits: Limits, clock: Arc<dyn Clock>) -> Self {
        let all = Common {
            calls: Calls::new(limits.calls_in_all),
            request_bytes: Arc::new(Semaphore::new(limits.request_bytes)),
            anonymous: Arc::new(Semaphore::new(MAX_ANONYMOUS_WATCHES)),
            answers: Arc::default(),
            limits,
            clock,
        };
        Self {
            shares: Mutex::default(),
            all: Arc::new(all),
        }
    }

    /// The answers on their way.
    pub(super) fn answers(&self) -> &Arc<Answers> {
        &self.all.answers
    }

    /// How long an answer waits for its reader.
    pub(super) fn stall_time(&self) -> Duration {
        self.all.limits.stall_time
    }

    /// A place for a stream of somebody who is not known.
    pub(super) fn enter_anybody(&self) -> Result<Place, Status> {
        let found = Arc::clone(&self.all.anonymous).try_acquire_owned();
        found.map(|place| Place(vec![place])).map_err(|_| {
            let message = format!("{MAX_ANONYMOUS_WATCHES} watch already, the most");
            refused(message, RETRY_STREAM)
        })
    }

    /// The share of this submitter.
    pub(super) fn of(&self, submitter: &v1::Submitter) -> Arc<Share> {
        let key = (submitter.issuer.clone(), submitter.subject.clone());
        let mut shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(share) = shares.get(&key) {
            return Arc::clone(share);
        }
        if shares.len() >= REMEMBERED {
            // Who has a full bucket and no call under way begins as somebody new does.
            shares.retain(|_, share| Arc::strong_count(share) > 1 || !share.is_idle());
        }
        let limits = &self.all.limits;
        let places = |most| Arc::new(Semaphore::new(most));
        let share = Arc::new(Share {
            buckets: Mutex::new(Buckets {
                entries: Bucket::new(limits.entries_per_second, limits.burst),
                bytes: Bucket::new(limits.bytes_per_second, limits.burst),
            }),
            connections: places(limits.connections),
            calls: Calls::new(limits.calls),
            scans: places(limits.scans),
            streams: places(limits.streams),
            append_streams: places(limits.append_streams),
            all: Arc::clone(&self.all),
        });
        shares.insert(key, Arc::clone(&share));
        share
    }
}
