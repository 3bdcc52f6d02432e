//! A ledger in a process of its own, to be killed, cut off or made to fail; its parent keeps what it acknowledged.
//!
//! The child is this test binary again, running [`child`] alone. It says on its output what it is about to send before it
//! sends it, and what was acknowledged with the receipt afterwards, one line each.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead, BufReader, IoSlice, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use graven::entry::{CheckedEvent, v1};
use graven::ledger::{Directory, Ledger};
use prost::Message;

use super::ledger_support::{Operator, Outside, Random, append, event, large_event, receipt};

const DIR: &str = "GRAVEN_CHILD_DIR";
const FIRST: &str = "GRAVEN_CHILD_FIRST";
/// How long a process sends that nobody kills.
const LIFE: Duration = Duration::from_millis(400);
/// Every event of a child has a number from its first on, below the next child's.
const NUMBERS: u64 = 1 << 32;
/// Events with numbers that this divides are large, so that the store has something to flush.
const LARGE: u64 = 7;

fn numbered_event(number: u64) -> CheckedEvent {
    let id = number.to_be_bytes();
    if number.is_multiple_of(LARGE) {
        large_event(&id, number, 100 * 1024)
    } else {
        event(&id, number)
    }
}

/// Not a test: what the child process runs.
#[test]
#[ignore = "runs only as a child of the others"]
fn child() {
    let Some(dir) = std::env::var_os(DIR) else {
        return;
    };
    let first: u64 = std::env::var(FIRST).unwrap().parse().unwrap();
    let home = Directory::new(Path::new(&dir));
    let said = Arc::new(Output::default());
    let ledger = match Operator::default().open(&home) {
        Ok(ledger) => Arc::new(ledger),
        Err(error) => {
            said.say(&format!("refused {error}"));
            return;
        }
    };
    said.say("open");
    let clients: Vec<_> = (0..3)
        .map(|client| {
            let (ledger, said) = (Arc::clone(&ledger), Arc::clone(&said));
            std::thread::spawn(move || send(&ledger, &said, first + client * (NUMBERS / 4)))
        })
        .collect();
    for client in clients {
        client.join().unwrap();
    }
    said.say("end");
}

/// Sends one submission after the other, for a while or until the ledger has refused several.
fn send(ledger: &Ledger, said: &Output, first: u64) {
    let mut random = Random(first);
    let (mut next, mut refused) = (first, 0);
    let end = Instant::now() + LIFE;
    while refused < 5 && Instant::now() < end {
        let count = *random.choose(&[1, 1, 1, 2, 10, 70]);
        said.say(&format!("try {next} {count}"));
        let events: Vec<_> = (next..next + count).map(numbered_event).collect();
        match append(ledger, &events) {
            Ok(appended) => {
                let receipt = receipt(ledger, &appended).encode_to_vec();
                said.say(&format!(
                    "ack {next} {count} {}",
                    BASE64_STANDARD.encode(receipt)
                ));
            }
            Err(error) => {
                refused += 1;
                said.say(&format!("error {next} {error}"));
            }
        }
        next += count;
    }
}

/// Lines on the standard output, each whole or not at all as far as the reader can tell.
///
/// They are written with `writev`, so that faults injected into `write` and `pwrite64` hit the ledger and not the report.
struct Output(std::sync::Mutex<File>);

impl Default for Output {
    fn default() -> Self {
        let output = std::io::stdout().as_fd().try_clone_to_owned().unwrap();
        Self(std::sync::Mutex::new(output.into()))
    }
}

impl Output {
    fn say(&self, line: &str) {
        let output = self.0.lock().unwrap();
        let mut line = [b"@", line.as_bytes(), b"\n"].concat();
        while !line.is_empty() {
            // A parent that has gone kills its child soon.
            let Ok(written) = (&*output).write_vectored(&[IoSlice::new(&line)]) else {
                return;
            };
            line.drain(..written);
        }
    }
}

/// A ledger in a directory, as its clients see it over the lives of several processes.
pub(crate) struct Lives {
    pub(crate) operator: Operator,
    pub(crate) dir: PathBuf,
    pub(crate) outside: Outside,
    lives: u64,
    pub(crate) acknowledged: u64,
}

/// One process.
pub(crate) struct Life {
    pub(crate) process: Child,
    lines: Receiver<String>,
}

/// What a process said.
#[derive(Debug, Default)]
pub(crate) struct Last {
    pub(crate) opened: bool,
    pub(crate) acknowledged: u64,
    failed_clients: BTreeSet<u64>,
    /// Acknowledgements of a client that had got an error before.
    pub(crate) acknowledged_after_error: u64,
    pub(crate) errors: Vec<String>,
    pub(crate) refused: Option<String>,
}

impl Lives {
    /// A new ledger in `dir`.
    pub(crate) fn new(dir: &Path) -> Self {
        let operator = Operator::default();
        operator.init(&Directory::new(dir)).unwrap();
        Self {
            operator,
            dir: dir.into(),
            outside: Outside::default(),
            lives: 0,
            acknowledged: 0,
        }
    }

    pub(crate) fn home(&self) -> Directory {
        Directory::new(&self.dir)
    }

    /// Starts a process, under the command `under` if there is one.
    pub(crate) fn start(&mut self, under: &[&str]) -> Life {
        self.lives += 1;
        let this = std::env::current_exe().unwrap();
        let mut command = match under {
            [] => Command::new(&this),
            [program, arguments @ ..] => {
                let mut command = Command::new(program);
                command.args(arguments).arg(&this);
                command
            }
        };
        let module = module_path!().split_once("::").unwrap().1;
        let mut process = command
            .args([
                "--exact",
                &format!("{module}::child"),
                "--ignored",
                "--nocapture",
            ])
            .env(DIR, &self.dir)
            .env(FIRST, (self.lives * NUMBERS).to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let output = BufReader::new(process.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            let mut output = output;
            let mut line = String::new();
            // A line without its end was cut off.
            while output
                .read_line(&mut line)
                .is_ok_and(|_| line.ends_with('\n'))
            {
                // The test runner says things too, without an end of line.
                if let Some((_, said)) = line.trim_end().split_once('@') {
                    let _ = sender.send(said.to_string());
                }
                line.clear();
            }
        });
        Life { process, lines }
    }

    /// Waits for the end of a process that was killed or ends by itself, and keeps what it said.
    pub(crate) fn bury(&mut self, mut life: Life) -> Last {
        let mut last = Last::default();
        for line in &life.lines {
            self.hear(&line, &mut last);
        }
        life.process.wait().unwrap();
        self.acknowledged += last.acknowledged;
        last
    }

    fn hear(&mut self, line: &str, last: &mut Last) {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "open" => last.opened = true,
            "refused" => last.refused = Some(rest.into()),
            "error" => {
                let (number, error) = rest.split_once(' ').unwrap();
                last.failed_clients.insert(client_of(number));
                last.errors.push(error.into());
            }
            "try" => self.outside.attempt_together(&events_of(rest)),
            "ack" => {
                last.acknowledged += 1;
                let client = client_of(rest.split(' ').next().unwrap());
                last.acknowledged_after_error += u64::from(last.failed_clients.contains(&client));
                let receipt = BASE64_STANDARD
                    .decode(rest.rsplit(' ').next().unwrap())
                    .unwrap();
                let receipt = v1::Receipt::decode(receipt.as_slice()).unwrap();
                self.outside.keep(&self.operator, events_of(rest), receipt);
            }
            _ => {}
        }
    }

    /// Recovers, and holds everything against what was acknowledged.
    pub(crate) fn check(&mut self) {
        let home = self.home();
        self.outside.audit(&self.operator, &home);
        let ledger = self.operator.open(&home).unwrap();
        self.outside.check(&self.operator, &ledger);
        self.outside.see(&ledger.published().note);
        self.retry(&ledger);
    }

    /// An event that was acknowledged is found again, whenever it is sent again.
    fn retry(&mut self, ledger: &Ledger) {
        if let Some((events, receipt)) = self.outside.some_receipt(self.lives) {
            let again = append(ledger, &events).unwrap();
            let first = receipt.first_seq;
            let duplicates: Vec<_> = (0u32..).zip(first..).take(events.len()).collect();
            assert_eq!(again.duplicates, duplicates, "another seq for the same id");
        }
    }
}

/// The client that sent the event of this number.
fn client_of(number: &str) -> u64 {
    number.parse::<u64>().unwrap() / (NUMBERS / 4)
}

fn events_of(text: &str) -> Vec<CheckedEvent> {
    let mut numbers = text.split(' ').map(|number| number.parse::<u64>());
    let (Some(Ok(first)), Some(Ok(count))) = (numbers.next(), numbers.next()) else {
        panic!("not a range: {text}");
    };
    (first..first + count).map(numbered_event).collect()
}

impl Life {
    /// Kills the process, which gets no chance to do anything about it.
    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
    }

    /// Waits until the process has its ledger open.
    pub(crate) fn wait_until_open(&self) {
        assert_eq!(self.lines.recv().unwrap(), "open");
    }
}
