//! A ledger in a process of its own, and what benches measure with.
#![allow(dead_code)] // No bench uses all of it.

pub(crate) mod disk;
pub(crate) mod events;
pub(crate) mod load;
pub(crate) mod nothing;
pub(crate) mod postgres;

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use graven::entry::{CheckedEvent, v1};
use graven::ledger::{self, Directory, Home, Ledger, Options, SystemClock, SystemEntropy};
use graven::note::SignerKey;
use graven::service::{self, Authentication};
use prost::Message;

/// As the program has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

pub(crate) const ORIGIN: &str = "bench.example/ledger";

/// The key of the ledger of a bench.
pub(crate) fn key() -> SignerKey {
    SignerKey::from_seed(ORIGIN, [7; 32]).unwrap()
}

/// The directory to work in, and how much to do: `default` where it is not said. None when this process was the server of
/// a bench, and has ended.
pub(crate) fn arguments(default: u64) -> Option<(PathBuf, u64)> {
    let (parent, [amount]) = numbers([default])?;
    Some((parent, amount))
}

/// The directory to work in, and the numbers that follow it. None when this process was the server of a bench.
pub(crate) fn numbers<const N: usize>(defaults: [u64; N]) -> Option<(PathBuf, [u64; N])> {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| a != "--bench")
        .collect();
    match arguments.first().map(String::as_str) {
        Some("--serve") => {
            serve(Path::new(&arguments[1]));
            return None;
        }
        Some("--serve-nothing") => {
            nothing::serve();
            return None;
        }
        _ => {}
    }
    let parent = arguments
        .first()
        .map_or_else(std::env::temp_dir, PathBuf::from);
    let mut numbers = defaults;
    for (number, argument) in numbers.iter_mut().zip(arguments.iter().skip(1)) {
        *number = argument.parse().expect("a number");
    }
    Some((parent, numbers))
}

pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap()
}

/// How the ledger of a bench is opened.
pub(crate) fn options() -> Options {
    Options {
        key: key(),
        origin: ORIGIN.into(),
        adopt: false,
        known_checkpoints: Vec::new(),
        clock: Arc::new(SystemClock::default()),
        entropy: Arc::new(SystemEntropy),
    }
}

/// Makes the ledger of a bench and opens it.
pub(crate) fn new_ledger(home: &dyn Home) -> Ledger {
    let clock = SystemClock::default();
    ledger::init(home, &key(), ORIGIN, None, &clock, &SystemEntropy).unwrap();
    Ledger::open(home, options()).unwrap()
}

/// What the ledger of a bench knows about who sends.
pub(crate) fn envelope() -> v1::Envelope {
    v1::Envelope {
        submitter: Some(v1::Submitter {
            issuer: "token".into(),
            subject: "oidc:corp/bench".into(),
        }),
        authentication: v1::Authentication::Token.into(),
        ..Default::default()
    }
}

/// An event as it came through the door.
pub(crate) fn checked(event: &v1::Event) -> CheckedEvent {
    CheckedEvent::check(&event.encode_to_vec().into()).unwrap()
}

/// Listens on a free port of this machine, and says at what address.
async fn listen() -> tokio::net::TcpListener {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("http://{}", listener.local_addr().unwrap());
    std::io::stdout().flush().unwrap();
    listener
}

/// Serves the ledger in `dir`, made if there is none, until the process is killed. Prints its address.
fn serve(dir: &Path) {
    let home = Directory::new(dir);
    let ledger = if dir.exists() {
        Ledger::open(&home, options()).unwrap()
    } else {
        std::fs::create_dir_all(dir).unwrap();
        new_ledger(&home)
    };
    let ledger = Arc::new(ledger);
    runtime().block_on(async {
        let listener = listen().await;
        let forever = std::future::pending();
        service::serve(ledger, listener, Authentication::None, None, forever)
            .await
            .unwrap();
    });
}

/// This program in another process, serving.
pub(crate) struct Server {
    child: Child,
    pub(crate) url: String,
}

impl Server {
    /// Serves a ledger.
    pub(crate) fn start(dir: &Path) -> Self {
        Self::spawn(&["--serve".as_ref(), dir.as_os_str()])
    }

    /// Answers appends, and stores nothing.
    pub(crate) fn start_nothing() -> Self {
        Self::spawn(&["--serve-nothing".as_ref()])
    }

    fn spawn(arguments: &[&OsStr]) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut url = String::new();
        BufReader::new(child.stdout.as_mut().unwrap())
            .read_line(&mut url)
            .unwrap();
        Self {
            child,
            url: url.trim().into(),
        }
    }

    pub(crate) fn resident_mib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status
            .lines()
            .find(|line| line.starts_with("VmRSS"))
            .unwrap();
        let kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
        kib / 1024
    }

    pub(crate) fn cpu(&self) -> Duration {
        cpu(&self.child.id().to_string())
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Processor time of a process so far.
pub(crate) fn cpu(process: &str) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap()
        .split_whitespace()
        .collect();
    let ticks: u64 = fields[11..13]
        .iter()
        .map(|ticks| ticks.parse::<u64>().unwrap())
        .sum();
    // USER_HZ is 100 on every Linux.
    Duration::from_millis(ticks * 10)
}

pub(crate) fn percentile(times: &[Duration], share: f64) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort();
    sorted[((sorted.len() - 1) as f64 * share) as usize]
}

pub(crate) fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

/// Bytes of the files below a directory.
pub(crate) fn bytes_below(dir: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(dir) else {
        return 0;
    };
    let mut bytes = 0;
    for entry in entries.flatten() {
        // A file can go while the directory is read.
        let Ok(metadata) = entry.metadata() else {
            continue;
        };
        bytes += if metadata.is_dir() {
            bytes_below(&entry.path())
        } else {
            metadata.len()
        };
    }
    bytes
}
