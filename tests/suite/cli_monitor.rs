//! `/metrics`, `/livez` and `/readyz` of a real server; how it tells that it is not ready, and ends.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use graven::entry::v1;
use graven::service::client::LedgerServiceClient;
use tempfile::TempDir;

use super::cli_support::{graven, run, stderr, text};

const EVENT: &str = r#"{"actor":"oidc:corp/alice","action":"job.cancel","target":"slurm://a100/job/4711","source":"slurm"}"#;

struct Monitored {
    child: Child,
    url: String,
    monitor: String,
    _dir: TempDir,
}

impl Monitored {
    fn start() -> Self {
        let dir = TempDir::new().unwrap();
        let mut child = graven()
            .args(["serve", "--dev", "--log-format", "json", "--dir"])
            .args([
                text(&dir.path().join("ledger")),
                "--metrics-listen",
                "127.0.0.1:0",
            ])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut find = |prefix: &str| {
            let line = lines.find_map(|line| Some(line.unwrap().strip_prefix(prefix)?.to_owned()));
            line.unwrap()
        };
        let url = find("listening on ");
        let monitor = find("metrics http://");
        Self {
            child,
            url,
            monitor: monitor.strip_suffix("/metrics").unwrap().to_owned(),
            _dir: dir,
        }
    }

    fn append(&self, input: &str) {
        let out = run(graven().args(["append", "--server", &self.url]), input);
        assert!(out.status.success(), "{}", stderr(&out));
    }

    fn get(&self, path: &str) -> (String, String) {
        let answer = ask(&self.monitor, &format!("GET {path} HTTP/1.1"));
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap();
        (status.to_owned(), body.to_owned())
    }
}

impl Drop for Monitored {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn ask(address: &str, line: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "{line}\r\nHost: graven\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = Vec::new();
    // A server of another protocol may close in the middle.
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

/// The value of a line of metrics.
fn value(metrics: &str, name: &str) -> f64 {
    let line = metrics
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("{name} in {metrics}"))
        .parse()
        .unwrap()
}

#[test]
fn what_prometheus_reads_follows_what_was_done() {
    let server = Monitored::start();
    assert_eq!(server.get("/livez"), ("200".into(), "ok\n".into()));
    assert_eq!(server.get("/readyz"), ("200".into(), "ok\n".into()));
    let (_, before) = server.get("/metrics");
    assert_eq!(value(&before, "graven_entries"), 0.0);
    assert!(
        !before.contains("graven_checkpoint_age_seconds "),
        "{before}"
    );
    for _ in 0..3 {
        server.append(EVENT);
    }
    let (status, after) = server.get("/metrics");
    assert_eq!(status, "200");
    assert_eq!(value(&after, "graven_entries"), 3.0);
    assert_eq!(value(&after, "graven_unindexed_entries"), 3.0);
    assert_eq!(value(&after, "graven_queue_bytes"), 0.0);
    assert_eq!(value(&after, "graven_ready"), 1.0);
    assert!((0.0..3_600.0).contains(&value(&after, "graven_checkpoint_age_seconds")));
    let appends = value(&after, "graven_appends_total{outcome=\"acknowledged\"}");
    assert_eq!(appends, 3.0);
    assert_eq!(
        value(&after, "graven_append_duration_seconds_count"),
        appends
    );
    let last = "graven_append_duration_seconds_bucket{le=\"+Inf\"}";
    assert_eq!(value(&after, last), appends);
    assert!(value(&after, "graven_append_duration_seconds_sum") > 0.0);
    assert!(value(&after, "graven_store_bytes") > 0.0);
    assert!(value(&after, "graven_disk_free_bytes") > 0.0);
    assert!(value(&after, "process_resident_memory_bytes") > 1e6);
    assert!(value(&after, "process_open_fds") > 3.0);
    let calls: f64 = after
        .lines()
        .filter(|line| {
            line.starts_with("graven_requests_total{method=\"graven.v1.LedgerService/Append")
        })
        .map(|line| {
            assert!(line.contains("code=\"OK\""), "{line}");
            line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap()
        })
        .sum();
    assert_eq!(calls, 3.0, "{after}");
    // Buckets never fall, and every name says what it is, once.
    let buckets: Vec<f64> = after
        .lines()
        .filter(|line| line.starts_with("graven_append_duration_seconds_bucket"))
        .map(|line| line.rsplit_once(' ').unwrap().1.parse().unwrap())
        .collect();
    assert_eq!(buckets.len(), 14);
    assert!(buckets.is_sorted(), "{buckets:?}");
    let helped: Vec<_> = after
        .lines()
        .filter_map(|line| line.strip_prefix("# HELP ")?.split(' ').next())
        .collect();
    for line in after.lines().filter(|line| !line.starts_with('#')) {
        let name = line.split(['{', ' ']).next().unwrap();
        let known = helped.iter().filter(|helped| {
            name.strip_prefix(**helped)
                .is_some_and(|rest| ["", "_bucket", "_sum", "_count"].contains(&rest))
        });
        assert_eq!(known.count(), 1, "{line}");
    }
}

#[test]
fn a_refused_call_is_counted_under_a_label_that_nobody_chose() {
    let server = Monitored::start();
    let url = server.url.clone();
    let refused = tokio::runtime::Runtime::new().unwrap().block_on(async {
        let mut client = LedgerServiceClient::connect(url).await.unwrap();
        client.get_entry(v1::GetEntryRequest { seq: 7 }).await
    });
    assert_eq!(refused.unwrap_err().code(), tonic::Code::OutOfRange);
    let (_, metrics) = server.get("/metrics");
    let counted = metrics.lines().any(|line| {
        line.starts_with("graven_requests_total{method=\"graven.v1.LedgerService/GetEntry\",code=\"OUT_OF_RANGE\"}")
    });
    assert!(counted, "{metrics}");
}

#[test]
fn nothing_else_is_answered_and_nothing_of_it_on_the_public_port() {
    let server = Monitored::start();
    assert_eq!(server.get("/").0, "404");
    assert_eq!(server.get("/metrics/../etc").0, "404");
    let post = ask(&server.monitor, "POST /metrics HTTP/1.1");
    assert!(post.starts_with("HTTP/1.1 405 "), "{post}");
    let garbage = ask(&server.monitor, "\u{1}\u{2}");
    assert!(!garbage.contains("graven_"), "{garbage}");
    let public = server.url.strip_prefix("http://").unwrap();
    let answer = ask(public, "GET /metrics HTTP/1.1");
    assert!(!answer.contains("graven_entries"), "{answer}");
}

#[test]
fn a_stop_is_orderly_and_told_in_the_log() {
    let mut server = Monitored::start();
    server.append(EVENT);
    // A stream that never ends by itself is under way.
    let mut tail = graven()
        .args(["tail", "--from", "0", "--server", &server.url])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(tail.stdout.take().unwrap()).lines();
    server.append(EVENT);
    assert!(lines.any(|line| line.unwrap().contains("alice")));
    let id = server.child.id().to_string();
    assert!(Command::new("kill").arg(id).status().unwrap().success());
    assert_eq!(server.child.wait().unwrap().code(), Some(0));
    // Who follows waits for the server to come back, and says so.
    let mut said = BufReader::new(tail.stderr.take().unwrap()).lines();
    assert!(said.any(|line| line.unwrap().contains("the server has gone")));
    tail.kill().unwrap();
    tail.wait().unwrap();
    let mut log = String::new();
    let mut said = server.child.stderr.take().unwrap();
    said.read_to_string(&mut log).unwrap();
    let events: Vec<serde_json::Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let field = |message: &str, name: &str| {
        let event = events.iter().find(|e| e["fields"]["message"] == message);
        event.unwrap_or_else(|| panic!("{message} in {log}"))["fields"][name].clone()
    };
    assert_eq!(field("started", "size"), 0);
    assert_eq!(field("stopping", "size"), 2);
    assert!(!log.contains("alice"), "{log}");
}
