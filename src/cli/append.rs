//! `graven append`: events from flags, or as JSON lines from standard input.

use std::io::{self, BufRead, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use serde_json::{Map, Value, json};
use tokio::sync::mpsc;

use super::actor_signer::ActorSigner;
use super::arguments::{Connection, Format, Global, Output, Pinned};
use super::connect::{Client, connect};
use super::failure::Failure;
use super::render::{escape, json_safe, redaction_text};
use super::submit::{Batch, Placed, Refused};
use crate::entry::{CheckedEvent, MAX_BATCH_EVENTS, v1};
use crate::note::VerifierKey;

#[derive(Debug, Args)]
#[command(
    after_help = "Without flags, events are read from standard input, one JSON object a line:\n  \
    {\"action\":\"job.cancel\",\"target\":\"slurm://a100/job/77\",\"source\":\"slurm\"}\n\
    docs/events.md has the fields, docs/naming.md the names and more examples.\n\
    --sign-with signs every event as its actor, by ssh-keygen, which asks an agent, or for a passphrase. FILE is a \
    private key such as ~/.ssh/id_ed25519, or the .pub file of a key that an agent holds. `graven key register` says \
    whose key it is."
)]
pub(super) struct Arguments {
    /// What was done, <noun>.<verb>
    #[arg(long, requires_all = ["target", "source"])]
    action: Option<String>,
    /// What was acted upon; can be repeated
    #[arg(long, value_name = "URI", requires = "action")]
    target: Vec<String>,
    /// The system that says so
    #[arg(long, requires = "action")]
    source: Option<String>,
    /// Who did it, as claimed
    #[arg(long, value_name = "IDENTITY", requires = "action")]
    actor: Option<String>,
    /// How it ended: success, failure, denied
    #[arg(long, requires = "action")]
    outcome: Option<String>,
    /// The target's version before, with its scheme; can be repeated
    #[arg(long, value_name = "ID", requires = "action")]
    before: Vec<String>,
    /// The target's version after, with its scheme; can be repeated
    #[arg(long, value_name = "ID", requires = "action")]
    after: Vec<String>,
    /// The target's owner at the time
    #[arg(long, value_name = "IDENTITY", requires = "action")]
    owner: Option<String>,
    /// When it happened, RFC 3339
    #[arg(long, value_name = "TIME", requires = "action")]
    occurred_at: Option<String>,
    /// The run it happened in
    #[arg(long, value_name = "ID", requires = "action")]
    run: Option<String>,
    /// Why
    #[arg(long, requires = "action")]
    reason: Option<String>,
    /// The ticket, change request or commit
    #[arg(long, requires = "action")]
    ticket: Option<String>,
    /// Makes a retry safe
    #[arg(long, value_name = "ID", requires = "action", value_parser = NonEmptyStringValueParser::new())]
    id: Option<String>,
    /// Free form, in JSON
    #[arg(long, value_name = "JSON", requires = "action")]
    detail: Option<String>,
    /// Sign as the actor, with this SSH key
    #[arg(long, value_name = "FILE")]
    sign_with: Option<PathBuf>,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    pinned: Pinned,
    #[command(flatten)]
    connection: Connection,
}

pub(super) async fn run(arguments: &Arguments, global: &Global) -> Result<ExitCode, Failure> {
    let pinned = arguments.pinned.key()?;
    let signer = arguments.sign_with.as_deref();
    let signer = signer
        .map(|key| ActorSigner::new(key, pinned.as_ref()))
        .transpose()?;
    let mut client = connect(&arguments.connection).await?;
    let format = arguments.output.output;
    let mut sender = Sender::new(&mut client, pinned.as_ref(), format, global);
    sender.signer = signer;
    if let Some(action) = &arguments.action {
        let event = sender.read(&arguments.json(action)?)?;
        sender.add(event, None).await?;
    } else {
        if io::stdin().is_terminal() {
            global.say("reading events, one JSON object a line, until Ctrl-D");
        }
        sender.add_lines(lines_of_stdin()).await?;
    }
    sender.finish().await?;
    Ok(ExitCode::SUCCESS)
}

/// Appends one event, and prints where it is.
pub(super) async fn append_one(
    event: v1::Event,
    output: &Output,
    pinned: &Pinned,
    connection: &Connection,
    global: &Global,
) -> Result<(), Failure> {
    let pinned = pinned.key()?;
    let mut client = connect(connection).await?;
    let mut sender = Sender::new(&mut client, pinned.as_ref(), output.output, global);
    sender.add(event, None).await?;
    sender.finish().await
}

impl Arguments {
    /// The same as an event in JSON.
    fn json(&self, action: &str) -> Result<String, Failure> {
        let mut event = Map::new();
        event.insert("action".into(), action.into());
        let texts = [
            ("source", &self.source),
            ("actor", &self.actor),
            ("outcome", &self.outcome),
            ("occurred_at", &self.occurred_at),
            ("run", &self.run),
            ("reason", &self.reason),
            ("ticket", &self.ticket),
            ("idempotency_id", &self.id),
        ];
        insert_texts(&mut event, &texts);
        let targets = self
            .target
            .iter()
            .map(|uri| self.target_json(uri))
            .collect();
        event.insert("targets".into(), Value::Array(targets));
        if let Some(detail) = &self.detail {
            let value: Value = serde_json::from_str(detail)
                .map_err(|error| Failure::usage(format!("--detail is not JSON: {error}")))?;
            event.insert("detail".into(), value);
        }
        Ok(Value::Object(event).to_string())
    }

    fn target_json(&self, uri: &str) -> Value {
        let mut target = Map::from_iter([("uri".to_string(), json!(uri))]);
        for (name, ids) in [("before", &self.before), ("after", &self.after)] {
            if !ids.is_empty() {
                target.insert(name.into(), json!(ids));
            }
        }
        if let Some(owner) = &self.owner {
            target.insert("owner".into(), json!(owner));
        }
        Value::Object(target)
    }
}

/// Puts the texts that there are into an event in JSON.
pub(super) fn insert_texts(event: &mut Map<String, Value>, texts: &[(&str, &Option<String>)]) {
    for (name, text) in texts {
        if let Some(text) = text {
            event.insert((*name).to_owned(), text.as_str().into());
        }
    }
}

/// Reads an event, as typed or as `graven log -o jsonl` printed it, and checks it before it is sent.
pub(super) fn read(text: &str) -> Result<v1::Event, String> {
    let event = crate::entry::json::read_row(text).map_err(|error| error.to_string())?;
    let encoded = crate::entry::json::encode(&event);
    if encoded.is_empty() {
        return Err("action is required".into());
    }
    CheckedEvent::check(&encoded).map_err(|error| in_json(&error.to_string()).to_owned())?;
    Ok(event)
}

/// What is wrong with a field, by its name in JSON, where the fields of these parts stand in the event itself.
fn in_json(problem: &str) -> &str {
    match problem {
        "what is required" => return "action is required",
        "context is required" => return "source is required",
        _ => {}
    }
    let parts = ["who.", "what.", "context.", "why."];
    let inner = parts.iter().find_map(|part| problem.strip_prefix(part));
    inner.unwrap_or(problem)
}

/// The lines of standard input as they come, read by a thread of its own.
fn lines_of_stdin() -> mpsc::Receiver<io::Result<String>> {
    let (line, lines) = mpsc::channel(MAX_BATCH_EVENTS);
    std::thread::spawn(move || {
        for read in io::stdin().lock().lines() {
            if line.blocking_send(read).is_err() {
                return;
            }
        }
    });
    lines
}

struct Sender<'a> {
    client: &'a mut Client,
    pinned: Option<&'a VerifierKey>,
    signer: Option<ActorSigner>,
    format: Format,
    global: &'a Global,
    batch: Batch,
    /// The line of each event of the batch.
    lines: Vec<Option<u64>>,
    printed: u64,
}

impl<'a> Sender<'a> {
    fn new(
        client: &'a mut Client,
        pinned: Option<&'a VerifierKey>,
        format: Format,
        global: &'a Global,
    ) -> Self {
        Self {
            client,
            pinned,
            signer: None,
            format,
            global,
            batch: Batch::default(),
            lines: Vec::new(),
            printed: 0,
        }
    }

    /// Reads an event, and has it signed if it should be.
    fn read(&self, text: &str) -> Result<v1::Event, Failure> {
        let event = read(text).map_err(|problem| {
            // It is one line of however many.
            Failure::usage(problem.replace(" at line 1 column ", " at column "))
        })?;
        match &self.signer {
            Some(signer) => signer.sign(event),
            None => Ok(event),
        }
    }

    /// Sends every line: what has come while those before it were being sealed goes together. At a bad one it stops, after
    /// those before it have been acknowledged.
    async fn add_lines(
        &mut self,
        mut input: mpsc::Receiver<io::Result<String>>,
    ) -> Result<(), Failure> {
        let mut number = 0;
        while let Some(first) = input.recv().await {
            let mut next = Some(first);
            while let Some(line) = next {
                number += 1;
                if let Err(failure) = self.add_line(line, number).await {
                    self.send().await?;
                    return Err(failure);
                }
                next = input.try_recv().ok();
            }
            self.send().await?;
        }
        Ok(())
    }

    async fn add_line(&mut self, line: io::Result<String>, number: u64) -> Result<(), Failure> {
        let line = line.map_err(|error| Failure::usage(error.to_string()).in_line(number))?;
        if line.trim().is_empty() {
            return Ok(());
        }
        let event = self
            .read(&line)
            .map_err(|failure| failure.in_line(number))?;
        self.add(event, Some(number)).await
    }

    async fn add(&mut self, event: v1::Event, line: Option<u64>) -> Result<(), Failure> {
        if !self.batch.has_room_for(&event) {
            self.send().await?;
        }
        self.batch.push(event);
        self.lines.push(line);
        Ok(())
    }

    async fn send(&mut self) -> Result<(), Failure> {
        if self.batch.is_empty() {
            return Ok(());
        }
        let sent = self.batch.send(self.client, self.pinned).await;
        let placed = sent.map_err(|refused| self.name_line(refused))?;
        self.batch = Batch::default();
        let lines = std::mem::take(&mut self.lines);
        for (placed, line) in placed.into_iter().zip(lines) {
            self.tell(&placed, line);
            self.print(&placed)?;
        }
        Ok(())
    }

    /// Says what was put out of an event before it was sealed.
    fn tell(&self, placed: &Placed, line: Option<u64>) {
        if placed.redactions.is_empty() {
            return;
        }
        let line = line.map_or_else(String::new, |line| format!("line {line}, "));
        let notes: Vec<String> = placed.redactions.iter().map(redaction_text).collect();
        let (seq, notes) = (placed.seq, notes.join("; "));
        let notes = escape(&notes);
        self.global
            .say(&format!("{line}entry {seq}: redacted {notes}"));
    }

    fn name_line(&self, refused: Refused) -> Failure {
        let index = match &refused {
            Refused::Event(index, _) | Refused::Conflict(index, _) => Some(*index),
            Refused::All(_) => None,
        };
        let line = index.and_then(|index| *self.lines.get(index)?);
        let failure = refused.into_failure();
        match line {
            Some(line) => failure.in_line(line),
            None => failure,
        }
    }

    fn print(&mut self, placed: &Placed) -> io::Result<()> {
        let Placed { seq, duplicate, .. } = placed;
        let mut out = io::stdout();
        let first = self.printed == 0;
        self.printed += 1;
        match self.format {
            Format::Table if *duplicate => writeln!(out, "{seq} was there already"),
            Format::Table => writeln!(out, "{seq}"),
            Format::Jsonl => writeln!(out, "{}", json(placed)),
            Format::Json => {
                out.write_all(if first { b"[\n" } else { b",\n" })?;
                write!(out, "{}", json(placed))
            }
            Format::Csv => {
                if first {
                    out.write_all(b"seq,duplicate\r\n")?;
                }
                write!(out, "{seq},{duplicate}\r\n")
            }
        }
    }

    async fn finish(&mut self) -> Result<(), Failure> {
        self.send().await?;
        if self.format == Format::Json {
            let end: &[u8] = if self.printed == 0 { b"[]\n" } else { b"\n]\n" };
            io::stdout().write_all(end)?;
        }
        Ok(())
    }
}

/// Where an event is, and what was put out of it, if something was.
fn json(placed: &Placed) -> String {
    let mut object = Map::from_iter([
        ("seq".to_owned(), json!(placed.seq)),
        ("duplicate".to_owned(), json!(placed.duplicate)),
    ]);
    if !placed.redactions.is_empty() {
        let note = |note: &v1::Redaction| {
            let v1::Redaction { rule, field, count } = note;
            json!({ "rule": rule, "field": field, "count": count })
        };
        let notes = placed.redactions.iter().map(note).collect();
        object.insert("redactions".to_owned(), Value::Array(notes));
    }
    json_safe(&Value::Object(object).to_string()).into_owned()
}
