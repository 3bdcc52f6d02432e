//! What a run is asked to do.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::cli::arguments::{Connection, Output, Pinned};
use crate::cli::failure::Failure;
use crate::cli::time;
use crate::entry::MAX_BATCH_EVENTS;

const DEFAULT_DURATION: Duration = Duration::from_secs(10);
const DEFAULT_WARMUP: Duration = Duration::from_secs(2);
/// A day is longer than any run; the bound keeps sums of times small.
const LONGEST: Duration = Duration::from_secs(30 * 24 * 3600);
/// Calls of all clients that can be under way at one time.
const MAX_UNDER_WAY: u64 = 65_536;
/// The largest detail, so that an event keeps its limit.
const MAX_DETAIL_BYTES: i64 = 200_000;

const WHAT_IS_MEASURED: &str = "\
What is measured, and from where to where:
  append, batch   from handing a call to the connection until its answer, with
                  the receipt, has been decoded; entries are durable by then
  stream          the same of each event, until the answer that covers it
  get, noop       until the answer has been decoded; nothing is verified
  query           until the answer is complete or has --limit matches; unless
                  --no-proof is given, its proofs have been verified
  Making an event comes before, verifying a receipt (--verify-receipts) after.
  With --rate (open loop) a time begins when the call was due, whether or not
  it could be sent then; without (closed loop) when it was sent, so a server
  that stalls is asked less often, and waits that nobody had are not counted.

Appends stay in the ledger for ever, under the source bench. A ledger that is
not one of graven serve --dev takes them only with --write-test-entries-for-ever.

Ends with 6 when calls failed, 3 when an answer is not what it has to be, 4 when
the server was not reached.";

/// Flags of `graven bench`.
#[derive(Debug, Args)]
#[command(after_help = WHAT_IS_MEASURED)]
pub(in crate::cli) struct Arguments {
    /// Which calls
    #[arg(value_enum)]
    pub(super) mode: Mode,
    #[command(flatten)]
    pub(super) load: Load,
    #[command(flatten)]
    pub(super) what: What,
    #[command(flatten)]
    pub(super) output: Output,
    #[command(flatten)]
    pub(super) pinned: Pinned,
    #[command(flatten)]
    pub(super) connection: Connection,
}

/// A kind of call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Mode {
    /// `Append`: one event a call
    Append,
    /// `AppendBatch`: many events a call, all or nothing
    Batch,
    /// `AppendStream`: events one after the other, acknowledged in order
    Stream,
    /// `GetEntry`: an entry with its proof, by a random seq
    Get,
    /// `Search`: the newest entries that match a filter
    Query,
    /// `GetCheckpoint`: a call that stores nothing and reads little
    Noop,
}

/// How much of it.
#[derive(Debug, Args)]
#[command(next_help_heading = "Load")]
pub(super) struct Load {
    /// So many clients
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_024))]
    pub(super) clients: u32,
    /// Connections that they share [default: one each]
    #[arg(long, value_name = "M", value_parser = clap::value_parser!(u32).range(1..=1_024))]
    pub(super) connections: Option<u32>,
    /// Calls, or events of a stream, that each client has under way at most
    #[arg(long, value_name = "K", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=4_096))]
    pub(super) in_flight: u32,
    /// How long: 500ms, 10s, 2m, 1h [default: 10s]
    #[arg(long, value_name = "TIME", value_parser = duration, conflicts_with = "count")]
    pub(super) duration: Option<Duration>,
    /// So many calls, or events of streams, instead of a time
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) count: Option<u64>,
    /// How long calls are made before any counts [default: 2s; with --count 0s]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    warmup: Option<Duration>,
    /// Open loop: so many calls a second in total, evenly spaced, as they are due
    #[arg(long, value_name = "R", value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    pub(super) rate: Option<u64>,
    /// A call that takes longer has failed
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "30s")]
    pub(super) timeout: Duration,
}

/// What the calls are about.
#[derive(Debug, Args)]
#[command(next_help_heading = "Calls")]
pub(super) struct What {
    /// Events of a batch, fewer where they would not fit in 4 MiB [default: 1000]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=MAX_BATCH_EVENTS as i64))]
    pub(super) batch_size: Option<u32>,
    /// Random bytes of detail of each event [default: 256]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=MAX_DETAIL_BYTES), conflicts_with = "replay")]
    pub(super) detail_bytes: Option<u32>,
    /// Events to append over and over, one JSON object a line, as `graven append`
    /// reads them; each is sent under the source bench and a new idempotency id
    #[arg(long, value_name = "FILE")]
    pub(super) replay: Option<PathBuf>,
    /// Verify every receipt against the key of --key
    #[arg(long)]
    pub(super) verify_receipts: bool,
    /// What a query asks for; {N} stands for a random number below N, such as in
    /// 'actor = "oidc:corp/user{2000}"' [default: everything]
    #[arg(long)]
    pub(super) filter: Option<String>,
    /// The most matches of a query [default: 100]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) limit: Option<u64>,
    /// Queries take the server's word that nothing is missing
    #[arg(long)]
    pub(super) no_proof: bool,
    /// Append to a ledger that is not for development, where entries stay for ever
    #[arg(long)]
    pub(super) write_test_entries_for_ever: bool,
}

impl Mode {
    /// Its name on the command line.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Append => "append",
            Self::Batch => "batch",
            Self::Stream => "stream",
            Self::Get => "get",
            Self::Query => "query",
            Self::Noop => "noop",
        }
    }

    /// Whether it appends.
    pub(super) fn appends(self) -> bool {
        matches!(self, Self::Append | Self::Batch | Self::Stream)
    }
}

impl Load {
    /// Connections that the clients have together.
    pub(super) fn connections(&self) -> u32 {
        self.connections.unwrap_or(self.clients).min(self.clients)
    }

    /// How long calls count; none when they are counted.
    pub(super) fn duration(&self) -> Option<Duration> {
        match self.count {
            Some(_) => None,
            None => Some(self.duration.unwrap_or(DEFAULT_DURATION)),
        }
    }

    /// How long calls are made before any counts.
    pub(super) fn warmup(&self) -> Duration {
        let default = self.count.map_or(DEFAULT_WARMUP, |_| Duration::ZERO);
        self.warmup.unwrap_or(default)
    }
}

impl Arguments {
    /// Refuses flags that the mode has no use for.
    pub(super) fn check(&self) -> Result<(), Failure> {
        let What {
            batch_size,
            detail_bytes,
            replay,
            verify_receipts,
            filter,
            limit,
            no_proof,
            write_test_entries_for_ever: _,
        } = &self.what;
        let (appends, mode) = (self.mode.appends(), self.mode);
        let (batch, query) = (mode == Mode::Batch, mode == Mode::Query);
        let given = [
            ("--batch-size", batch_size.is_some(), batch),
            ("--detail-bytes", detail_bytes.is_some(), appends),
            ("--replay", replay.is_some(), appends),
            ("--verify-receipts", *verify_receipts, appends),
            ("--filter", filter.is_some(), query),
            ("--limit", limit.is_some(), query),
            ("--no-proof", *no_proof, query),
        ];
        if let Some((flag, ..)) = given.iter().find(|(_, given, of_use)| *given && !of_use) {
            let mode = mode.name();
            return Err(Failure::usage(format!("{mode} has no use for {flag}")));
        }
        if *verify_receipts && self.pinned.key()?.is_none() {
            return Err(Failure::usage(
                "--verify-receipts: against which key? pin it with --key or GRAVEN_KEY",
            ));
        }
        if self.load.duration().is_some_and(|time| time.is_zero()) || self.load.timeout.is_zero() {
            return Err(Failure::usage("--duration and --timeout must not be 0"));
        }
        if u64::from(self.load.clients) * u64::from(self.load.in_flight) > MAX_UNDER_WAY {
            return Err(Failure::usage(format!(
                "--clients times --in-flight must not be more than {MAX_UNDER_WAY}"
            )));
        }
        Ok(())
    }
}

/// `500ms`, and times in seconds or more.
fn duration(text: &str) -> Result<Duration, String> {
    let whole = || Duration::try_from(time::duration(text)?).ok();
    let time = match text.strip_suffix("ms") {
        Some(number) => number.parse().ok().map(Duration::from_millis),
        None => whole(),
    };
    time.filter(|time| *time <= LONGEST)
        .ok_or_else(|| "expected a time such as 500ms, 10s, 2m or 1h, up to 30d".to_owned())
}
