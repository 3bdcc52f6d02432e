//! `graven bench`: a load of calls on a running server, and how long they took.

mod arguments;
mod call;
mod events;
mod pace;
mod query;
mod random;
mod ready;
mod report;
mod stream;
mod tally;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::task::JoinSet;

pub(super) use arguments::Arguments;

use super::answer::Asker;
use super::arguments::Global;
use super::bodies::{genesis, malformed};
use super::connect::{Client, connect};
use super::failure::Failure;
use crate::entry::v1;
use crate::note::{Checkpoint, Note};
use crate::verify::Expected;
use arguments::Mode;
use call::Caller;
use events::{Maker, Shape};
use pace::Pace;
use query::{Query, Template};
use random::Random;
use ready::Calls;
use report::{Asked, Figures, Report};
use tally::Run;

/// Ledgers of `graven serve --dev` are called so.
const DEVELOPMENT: &str = "localhost/dev-";
const DEFAULT_BATCH_SIZE: u32 = 1_000;
const DEFAULT_DETAIL_BYTES: u32 = 256;
const DEFAULT_LIMIT: u64 = 100;
/// Some calls failed.
const PARTIAL: u8 = 6;

/// Everything that is known before the first call.
struct Plan<'a> {
    arguments: &'a Arguments,
    shape: Shape,
    filter: Template,
    origin: String,
    /// Entries that the ledger has.
    size: u64,
    /// The connection that all this was asked over.
    client: Client,
}

/// Makes the calls and prints the figures.
pub(super) async fn run(arguments: &Arguments, global: &Global) -> Result<ExitCode, Failure> {
    arguments.check()?;
    let plan = Plan::new(arguments).await?;
    let clients = plan.clients().await?;
    let started_at = Timestamp::now();
    let load = &arguments.load;
    let pace = Pace::start(load);
    let expected = plan.expected()?;
    let run = Run::new(
        Arc::clone(&pace),
        load.timeout,
        load.rate.is_some(),
        expected,
    )?;
    let run = Arc::new(run);
    pace.keep();
    let mut tasks = JoinSet::new();
    for client in clients {
        match client {
            Worker::Calls(caller) => tasks.spawn(call::run(caller, Arc::clone(&run))),
            Worker::Stream(client) => {
                let window = usize::try_from(load.in_flight).unwrap_or(usize::MAX);
                let shape = plan.shape.clone();
                tasks.spawn(stream::run(client, shape, window, Arc::clone(&run)))
            }
        };
    }
    let interrupted = finish(&mut tasks, &pace).await;
    pace.stop();
    let report = plan.report(&run, started_at, interrupted?)?;
    report.write(arguments.output.output)?;
    Ok(end(&run, &report, global))
}

/// Waits for all clients; says whether somebody interrupted them.
async fn finish(tasks: &mut JoinSet<Result<(), Failure>>, pace: &Pace) -> Result<bool, Failure> {
    let mut interrupted = false;
    let interrupt = tokio::signal::ctrl_c();
    tokio::pin!(interrupt);
    loop {
        tokio::select! {
            ended = tasks.join_next() => match ended {
                None => return Ok(interrupted),
                Some(Ok(ended)) => ended?,
                Some(Err(error)) => return Err(Failure::other(format!("a client failed: {error}"))),
            },
            _ = &mut interrupt, if !interrupted => {
                interrupted = true;
                pace.stop();
            }
        }
    }
}

/// Says what the figures leave out, and how the command ends.
fn end(run: &Run, report: &Report, global: &Global) -> ExitCode {
    let tally = run.tally();
    if report.figures.interrupted {
        global.say("interrupted: the figures are of what came before");
    }
    if tally.unsent > 0 {
        global.say(&format!(
            "the server did not keep up: {} that were due were not sent, and count with the time they waited",
            super::answer::thousands(tally.unsent)
        ));
    }
    if let Some(failure) = &tally.first_failure {
        global.say(&format!(
            "not every call was answered, first: {}",
            super::render::escape(&failure.to_string())
        ));
    }
    if tally.gave_up > 0 {
        global.say(&format!(
            "{} of the clients gave up after {} failures in a row: the figures are of what came before",
            tally.gave_up,
            call::MAX_FAILURES
        ));
    }
    if tally.first_failure.is_some() || report.figures.interrupted {
        return ExitCode::from(PARTIAL);
    }
    ExitCode::SUCCESS
}

/// A client.
enum Worker {
    /// Makes one call after the other.
    Calls(Caller),
    Stream(Client),
}

impl<'a> Plan<'a> {
    /// Asks the server what it is, and refuses to append where entries are kept for good.
    async fn new(arguments: &'a Arguments) -> Result<Self, Failure> {
        let what = &arguments.what;
        let detail_bytes = what.detail_bytes.unwrap_or(DEFAULT_DETAIL_BYTES);
        let made = || Shape::Made {
            detail_bytes: usize::try_from(detail_bytes).unwrap_or(usize::MAX),
        };
        let replay = what.replay.as_deref().map(Shape::replay).transpose()?;
        let shape = replay.unwrap_or_else(made);
        let text = what.filter.as_deref().unwrap_or_default();
        let filter = Template::parse(text)?;
        let mut client = connect(&arguments.connection).await?;
        let answer = client.get_genesis(v1::GetGenesisRequest {}).await?;
        let origin = genesis(&answer.into_inner().descriptor)?
            .origin()
            .to_owned();
        if arguments.mode.appends()
            && !origin.starts_with(DEVELOPMENT)
            && !what.write_test_entries_for_ever
        {
            return Err(Failure::usage(format!(
                "{origin} is not a ledger of graven serve --dev: what is appended stays in it for ever. \
                 If that is what you want, say --write-test-entries-for-ever"
            )));
        }
        let size = size(&mut client).await?;
        if arguments.mode == Mode::Get && size == 0 {
            return Err(Failure::usage("the ledger has no entry to get"));
        }
        Ok(Self {
            arguments,
            shape,
            filter,
            origin,
            size,
            client,
        })
    }

    /// Connects every client. What each does in parallel is a worker of its own.
    async fn clients(&self) -> Result<Vec<Worker>, Failure> {
        let Arguments { load, mode, .. } = self.arguments;
        let mut connections = Vec::new();
        for _ in 0..load.connections() {
            connections.push(self.connect().await?);
        }
        let mut workers = Vec::new();
        for (_, connection) in (0..load.clients).zip(connections.iter().cycle()) {
            if *mode == Mode::Stream {
                workers.push(Worker::Stream(connection.client.clone()));
                continue;
            }
            for _ in 0..load.in_flight {
                workers.push(Worker::Calls(Caller {
                    client: connection.client.clone(),
                    calls: self.calls(connection)?,
                }));
            }
        }
        Ok(workers)
    }

    async fn connect(&self) -> Result<Connected, Failure> {
        let Arguments {
            connection,
            pinned,
            what,
            mode,
            ..
        } = self.arguments;
        if *mode != Mode::Query {
            return Ok(Connected {
                client: connect(connection).await?,
                query: None,
            });
        }
        let asker = Asker::connect(connection, pinned).await?;
        let limit = what.limit.unwrap_or(DEFAULT_LIMIT);
        let query = Query::new(asker, self.filter.clone(), limit, !what.no_proof)?;
        Ok(Connected {
            client: self.client.clone(),
            query: Some(Arc::new(query)),
        })
    }

    fn calls(&self, connection: &Connected) -> Result<Calls, Failure> {
        let check = self.arguments.what.verify_receipts;
        let maker = || Maker::new(self.shape.clone(), check);
        if let Some(query) = &connection.query {
            return Ok(Calls::Query(Arc::clone(query)));
        }
        Ok(match self.arguments.mode {
            Mode::Append => Calls::Append(maker()?),
            Mode::Batch => Calls::batches(maker()?, self.batch_size()),
            Mode::Get => Calls::Get(Random::new()?, self.size),
            Mode::Noop | Mode::Query | Mode::Stream => Calls::Noop,
        })
    }

    fn batch_size(&self) -> usize {
        let size = self.arguments.what.batch_size.unwrap_or(DEFAULT_BATCH_SIZE);
        usize::try_from(size).unwrap_or(usize::MAX)
    }

    /// What receipts are verified against, if they are.
    fn expected(&self) -> Result<Option<Expected>, Failure> {
        let key = self.arguments.pinned.key()?;
        let key = key.filter(|_| self.arguments.what.verify_receipts);
        Ok(key.map(|key| Expected {
            origin: key.name().to_string(),
            key,
            submitter: None,
        }))
    }

    /// The figures; the first failure where there are none.
    fn report(
        &self,
        run: &Run,
        started_at: Timestamp,
        interrupted: bool,
    ) -> Result<Report, Failure> {
        let mut tally = run.tally();
        if tally.calls == 0
            && tally.unsent == 0
            && let Some(failure) = tally.first_failure.take()
        {
            return Err(failure);
        }
        let counted_from = run.pace.counted_from();
        let last = tally.last_answer.unwrap_or_else(Instant::now);
        let elapsed = last.saturating_duration_since(counted_from).as_secs_f64();
        Ok(Report {
            asked: self.asked(started_at),
            figures: Figures::new(&tally, elapsed, run.open, interrupted),
        })
    }

    fn asked(&self, started_at: Timestamp) -> Asked {
        let Arguments {
            load,
            what,
            mode,
            connection,
            ..
        } = self.arguments;
        let query = *mode == Mode::Query;
        let (event_detail_bytes, replay_events) = match &self.shape {
            _ if !mode.appends() => (None, None),
            Shape::Made { detail_bytes } => (Some(*detail_bytes), None),
            Shape::Replayed(events) => (None, Some(events.len())),
        };
        let open = load.rate.is_some();
        Asked {
            version: env!("CARGO_PKG_VERSION"),
            server: connection.url().unwrap_or_default().to_owned(),
            origin: self.origin.clone(),
            tree_size_before: self.size,
            started_at: started_at.to_string(),
            mode: mode.name(),
            r#loop: if open { "open" } else { "closed" },
            latency_from: if open { "due" } else { "sent" },
            clients: load.clients,
            connections: load.connections(),
            in_flight: load.in_flight,
            rate_per_s: load.rate,
            duration_s: load.duration().as_ref().map(Duration::as_secs_f64),
            count: load.count,
            warmup_s: load.warmup().as_secs_f64(),
            timeout_s: load.timeout.as_secs_f64(),
            batch_size: (*mode == Mode::Batch).then(|| self.batch_size()),
            event_detail_bytes,
            replay: what.replay.as_ref().map(|path| path.display().to_string()),
            replay_events,
            verify_receipts: what.verify_receipts,
            filter: query.then(|| what.filter.clone().unwrap_or_default()),
            limit: query.then(|| what.limit.unwrap_or(DEFAULT_LIMIT)),
            proved: query.then_some(!what.no_proof),
        }
    }
}

/// A connection.
struct Connected {
    client: Client,
    /// The question, if one is asked.
    query: Option<Arc<Query>>,
}

/// Entries that the ledger has, as it says.
async fn size(client: &mut Client) -> Result<u64, Failure> {
    let answer = client.get_checkpoint(v1::GetCheckpointRequest {}).await?;
    let note = Note::parse(answer.into_inner().checkpoint)
        .map_err(|error| malformed(&error.to_string()))?;
    let checkpoint =
        Checkpoint::parse(note.text()).map_err(|error| malformed(&error.to_string()))?;
    Ok(checkpoint.size())
}
