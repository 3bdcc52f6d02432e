//! `graven bench`: what it calls, counts and refuses. No figure of time is compared with anything.

use std::fs;
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use super::cli_identity::secured;
use super::cli_support::{Server, graven, run, stderr, stdout, text};

/// Every key of a report, sorted.
const KEYS: [&str; 51] = [
    "batch_size",
    "calls",
    "calls_per_s",
    "clients",
    "clients_gave_up",
    "connections",
    "count",
    "detail_bytes",
    "detail_bytes_per_s",
    "duration_s",
    "elapsed_s",
    "entries",
    "entries_per_s",
    "errors",
    "event_detail_bytes",
    "failed_calls",
    "filter",
    "in_flight",
    "interrupted",
    "latency_from",
    "latency_max_us",
    "latency_mean_us",
    "latency_min_us",
    "latency_p50_us",
    "latency_p90_us",
    "latency_p99_9_us",
    "latency_p99_us",
    "lateness_max_us",
    "lateness_p50_us",
    "lateness_p99_us",
    "limit",
    "loop",
    "mode",
    "origin",
    "proved",
    "rate_per_s",
    "receipt_entries",
    "receipt_verify_mean_us",
    "receipt_verify_mean_us_per_entry",
    "receipts_verified",
    "replay",
    "replay_events",
    "server",
    "started_at",
    "tenths",
    "timeout_s",
    "tree_size_before",
    "unsent_calls",
    "verify_receipts",
    "version",
    "warmup_s",
];

fn report(server: &Server, arguments: &[&str]) -> Value {
    let all = [&["bench", "-o", "json"], arguments].concat();
    serde_json::from_str(&server.prints(&all, "")).unwrap()
}

fn bench(server: &Server, arguments: &[&str]) -> Output {
    server.run(&[&["bench", "-o", "json"], arguments].concat(), "")
}

/// Entries that match a filter.
fn count(server: &Server, filter: &str) -> u64 {
    let printed = server.prints(&["log", "--count", "-o", "json", filter], "");
    let counted: Value = serde_json::from_str(&printed).unwrap();
    counted["count"].as_u64().unwrap()
}

#[test]
fn appends_of_every_mode_are_counted_and_there() {
    let server = Server::dev();
    let shared = ["--clients", "3", "--in-flight", "2", "--connections", "2"];
    let runs: [(&[&str], u64, u64); 3] = [
        (&["append", "--count", "12"], 12, 12),
        (&["batch", "--count", "4", "--batch-size", "7"], 4, 28),
        (&["stream", "--count", "50"], 50, 50),
    ];
    let mut total = 0;
    for (arguments, calls, entries) in runs {
        let report = report(&server, &[arguments, &shared].concat());
        assert_eq!(report["mode"], arguments[0]);
        assert_eq!(report["calls"], calls, "{report}");
        assert_eq!(report["entries"], entries, "{report}");
        assert_eq!(report["detail_bytes"], entries * 256, "{report}");
        assert_eq!(report["failed_calls"], 0);
        assert_eq!(report["connections"], 2);
        total += entries;
        assert_eq!(count(&server, "source = bench"), total);
    }
    // Ids are UUIDs of version 7, all of them others.
    let rows = server.prints(&["log", "source = bench", "-o", "jsonl"], "");
    let mut ids: Vec<String> = rows.lines().map(idempotency_id).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len() as u64, total);
    for id in ids {
        // Six bytes of time are eight letters; the version is in the next four bits.
        let after_time = id.as_bytes()[8];
        assert!((b'c'..=b'f').contains(&after_time), "{id}");
    }
}

/// The idempotency id of a row, in base64.
fn idempotency_id(row: &str) -> String {
    let row: Value = serde_json::from_str(row).unwrap();
    row["idempotency_id"]["base64"].as_str().unwrap().into()
}

#[test]
fn a_batch_is_no_larger_than_a_request_may_be() {
    let server = Server::dev();
    let arguments = ["batch", "--count", "2", "--detail-bytes", "100000"];
    let report = report(&server, &arguments);
    let entries = report["entries"].as_u64().unwrap();
    assert!((2..=2 * 41).contains(&entries), "{report}");
    assert_eq!(report["failed_calls"], 0);
}

#[test]
fn reads_are_counted() {
    let server = Server::dev();
    report(&server, &["append", "--count", "30"]);
    let get = report(&server, &["get", "--count", "20", "--clients", "2"]);
    assert_eq!((&get["calls"], &get["entries"]), (&20.into(), &20.into()));
    assert!(get["tree_size_before"].as_u64().unwrap() >= 30);
    let question = ["--filter", "source = bench", "--limit", "10"];
    for (extra, proved) in [(&[][..], true), (&["--no-proof"], false)] {
        let query = [&["query", "--count", "4"], &question[..], extra].concat();
        let query = report(&server, &query);
        assert_eq!(
            (&query["calls"], &query["entries"]),
            (&4.into(), &40.into())
        );
        assert_eq!(query["proved"], proved);
    }
    let noop = report(&server, &["noop", "--count", "9", "--in-flight", "3"]);
    assert_eq!((&noop["calls"], &noop["entries"]), (&9.into(), &0.into()));
    // Another actor each time, of whom there is no entry.
    let filter = "actor = \"nobody{9}\" OR source = \"{none}\"";
    let varied = report(&server, &["query", "--count", "5", "--filter", filter]);
    assert_eq!(
        (&varied["calls"], &varied["entries"]),
        (&5.into(), &0.into())
    );
    // A proof under another key is none.
    let mut other = server.command(&["bench", "query", "--count", "1"]);
    let other = run(other.args(["--key", &other_key(&server)]), "");
    assert_eq!(other.status.code(), Some(3), "{}", stderr(&other));
}

#[test]
fn a_report_has_every_parameter_and_every_figure() {
    let server = Server::dev();
    let arguments = ["append", "--count", "3"];
    let json = report(&server, &arguments);
    let found: Vec<&String> = json.as_object().unwrap().keys().collect();
    assert_eq!(found, KEYS);
    assert_eq!(json["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(json["origin"], server.origin.as_str());
    let tenths = json["tenths"].as_array().unwrap().iter();
    let calls: Vec<u64> = tenths
        .map(|tenth| tenth["calls"].as_u64().unwrap())
        .collect();
    assert_eq!(calls, [1, 0, 0, 1, 0, 0, 1, 0, 0, 0]);
    let formats = |format| server.prints(&[&["bench", "-o", format], &arguments[..]].concat(), "");
    let line = formats("jsonl");
    assert_eq!(line.lines().count(), 1);
    let line: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(line["calls"], 3);
    let csv = formats("csv");
    assert_eq!(csv.lines().next().unwrap(), KEYS.join(","));
    assert_eq!(csv.lines().count(), 2);
    let table = formats("table");
    for line in table.lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
    for part in ["closed loop", "P99.9", "bytes of detail", "failed calls"] {
        assert!(table.contains(part), "{table}");
    }
}

#[test]
fn an_open_loop_makes_each_call_that_is_due() {
    let server = Server::dev();
    for mode in ["append", "batch", "stream", "get", "query", "noop"] {
        let load = ["--rate", "400", "--count", "40", "--clients", "2"];
        let size: &[&str] = if mode == "batch" {
            &["--batch-size", "3"]
        } else {
            &[]
        };
        let report = report(&server, &[&[mode], &load[..], size].concat());
        assert_eq!(report["calls"], 40, "{mode}: {report}");
        assert_eq!(report["unsent_calls"], 0);
        assert_eq!(
            (&report["loop"], &report["latency_from"]),
            (&"open".into(), &"due".into())
        );
        assert!(report["lateness_max_us"].is_number());
    }
    // Each one that was due in half a second was sent or is said not to have been.
    let timed = ["--rate", "200", "--duration", "500ms", "--warmup", "100ms"];
    let report = report(&server, &[&["append"], &timed[..]].concat());
    let number = |key: &str| report[key].as_u64().unwrap();
    assert_eq!(number("calls") + number("unsent_calls"), 100, "{report}");
}

#[test]
fn calls_that_were_due_and_never_sent_count_with_their_wait() {
    let server = Server::dev();
    // More than any server takes, over one connection, one at a time.
    let load = ["--rate", "1000000", "--duration", "300ms", "--warmup", "0s"];
    let output = bench(&server, &[&["append"], &load[..]].concat());
    assert!(output.status.success(), "{}", stderr(&output));
    let report: Value = serde_json::from_str(&stdout(&output)).unwrap();
    let number = |key: &str| report[key].as_u64().unwrap();
    assert!(number("unsent_calls") > 0);
    assert_eq!(number("calls") + number("unsent_calls"), 300_000);
    assert!(stderr(&output).contains("did not keep up"));
}

#[test]
fn a_file_of_events_is_replayed_under_new_ids() {
    let server = Server::dev();
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("events.jsonl");
    let events = "\
        {\"action\":\"job.fail\",\"target\":\"slurm://a/job/1\",\"source\":\"slurm\",\"idempotency_id\":\"x\",\"detail\":{\"a\":1}}\n\n\
        {\"action\":\"job.cancel\",\"target\":\"slurm://a/job/2\",\"source\":\"slurm\"}\n";
    fs::write(&file, events).unwrap();
    let arguments = ["append", "--count", "8", "--replay", text(&file)];
    let report = report(&server, &arguments);
    assert_eq!(
        (&report["entries"], &report["replay_events"]),
        (&8.into(), &2.into())
    );
    assert_eq!(report["detail_bytes"], 4 * 7);
    for action in ["job.fail", "job.cancel"] {
        assert_eq!(
            count(&server, &format!("action = {action} AND source = bench")),
            4
        );
    }
    assert_eq!(count(&server, "source = slurm"), 0);
    fs::write(&file, format!("{events}{{\"action\":\"job.fail\"}}\n")).unwrap();
    let bad = bench(&server, &arguments);
    assert_eq!(bad.status.code(), Some(2));
    assert!(stderr(&bad).contains("line 4"), "{}", stderr(&bad));
    fs::write(&file, "\n").unwrap();
    let empty = bench(&server, &arguments);
    assert_eq!(empty.status.code(), Some(2), "{}", stderr(&empty));
}

#[test]
fn every_receipt_is_verified_on_request() {
    let server = Server::dev();
    let other = other_key(&server);
    let runs: [(&[&str], u64); 3] = [
        (&["append", "--count", "9", "--verify-receipts"], 9),
        (
            &[
                "batch",
                "--count",
                "3",
                "--batch-size",
                "20",
                "--verify-receipts",
            ],
            60,
        ),
        (
            &[
                "stream",
                "--count",
                "30",
                "--in-flight",
                "10",
                "--verify-receipts",
            ],
            30,
        ),
    ];
    for (arguments, entries) in runs {
        let report = report(&server, arguments);
        assert_eq!(report["receipt_entries"], entries, "{report}");
        assert!(report["receipts_verified"].as_u64().unwrap() > 0);
        assert!(report["receipt_verify_mean_us"].is_number());
        let wrong = bench(&server, &[arguments, &["--key", &other]].concat());
        assert_eq!(wrong.status.code(), Some(3), "{}", stderr(&wrong));
        assert!(stderr(&wrong).contains("receipt"), "{}", stderr(&wrong));
        assert_eq!(stdout(&wrong), "");
        let none = bench(&server, &[arguments, &["--key", ""]].concat());
        assert_eq!(none.status.code(), Some(2), "{}", stderr(&none));
    }
}

/// A key of the same name that is not the ledger's.
fn other_key(server: &Server) -> String {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("key");
    let made = run(
        graven().args(["keygen", "--name", &server.origin, "--out", text(&file)]),
        "",
    );
    assert!(made.status.success(), "{}", stderr(&made));
    stdout(&made).trim().into()
}

#[test]
fn a_ledger_that_is_not_for_development_is_not_filled_by_accident() {
    let temporary = TempDir::new().unwrap();
    let dir = temporary.path().join("ledger");
    let init = [
        "init",
        "--dir",
        text(&dir),
        "--origin",
        "ledger.example/real",
    ];
    assert!(run(graven().args(init), "").status.success());
    let mut command = graven();
    command.args(["serve", "--dev", "--dir", text(&dir)]);
    let server = Server::start(command, dir, temporary);
    for mode in ["append", "batch", "stream"] {
        let refused = bench(&server, &[mode, "--count", "1"]);
        assert_eq!(refused.status.code(), Some(2));
        assert!(
            stderr(&refused).contains("--write-test-entries-for-ever"),
            "{}",
            stderr(&refused)
        );
    }
    assert_eq!(count(&server, "source = bench"), 0);
    report(&server, &["noop", "--count", "1"]);
    report(
        &server,
        &["append", "--count", "1", "--write-test-entries-for-ever"],
    );
    assert_eq!(count(&server, "source = bench"), 1);
}

#[test]
fn a_server_that_goes_away_is_said() {
    for mode in ["append", "stream", "noop"] {
        let mut server = Server::dev();
        let child = background(&mut server.command(&[
            "bench",
            mode,
            "-o",
            "json",
            "--duration",
            "1h",
            "--warmup",
            "0s",
        ]));
        if mode == "noop" {
            sleep(Duration::from_millis(500));
        } else {
            wait_for_entries(&server);
        }
        server.terminate();
        let output = child.wait_with_output().unwrap();
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(6), "{mode}: {said}");
        assert!(said.contains("gave up"), "{mode}: {said}");
        let report: Value = serde_json::from_str(&stdout(&output)).unwrap();
        assert!(report["calls"].as_u64().unwrap() > 0);
        assert_eq!(report["clients_gave_up"], 1);
        assert!(
            report["errors"]["UNAVAILABLE"].as_u64().unwrap() > 0,
            "{report}"
        );
        let gone = bench(&server, &[mode, "--count", "1"]);
        assert_eq!(gone.status.code(), Some(4), "{}", stderr(&gone));
    }
}

/// Waits until there are entries of a run.
fn wait_for_entries(server: &Server) {
    let size = || {
        server
            .prints(&["checkpoint"], "")
            .lines()
            .nth(1)
            .unwrap()
            .to_owned()
    };
    while size() == "0" {
        sleep(Duration::from_millis(20));
    }
}

fn background(command: &mut Command) -> Child {
    let pipe = Stdio::piped;
    command.stdout(pipe()).stderr(pipe()).spawn().unwrap()
}

#[test]
fn an_interrupted_run_shows_what_it_has() {
    let server = Server::dev();
    let arguments = [
        "bench",
        "append",
        "-o",
        "json",
        "--duration",
        "1h",
        "--warmup",
        "0s",
    ];
    let child = background(&mut server.command(&arguments));
    wait_for_entries(&server);
    let id = child.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-INT", &id])
            .status()
            .unwrap()
            .success()
    );
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(6), "{}", stderr(&output));
    let report: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(report["interrupted"], true);
    assert!(report["calls"].as_u64().unwrap() > 0);
}

#[test]
fn flags_that_a_mode_has_no_use_for_are_refused() {
    let server = Server::dev();
    let refused: [&[&str]; 6] = [
        &["append", "--batch-size", "2"],
        &["get", "--detail-bytes", "2"],
        &["noop", "--verify-receipts"],
        &["stream", "--filter", "source = a"],
        &["query", "--filter", "source ="],
        &["append", "--clients", "1024", "--in-flight", "4096"],
    ];
    for arguments in refused {
        let output = bench(&server, arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    }
}

#[test]
fn numbers_in_a_filter_are_drawn_anew_for_each_question() {
    let server = Server::dev();
    let events: Vec<String> = (0..4)
        .map(|n| format!("{{\"action\":\"job.fail\",\"target\":\"slurm://a/job/{n}\",\"source\":\"s\",\"run\":\"r{n}\"}}"))
        .collect();
    server.prints(&["append"], &events.join("\n"));
    let entries = |filter: &str| {
        let arguments = ["query", "--count", "200", "--filter", filter];
        report(&server, &arguments)["entries"].as_u64().unwrap()
    };
    assert_eq!(entries("run = \"r{1}\""), 200);
    // Half of them, as good as surely.
    assert!((1..200).contains(&entries("run = \"r{8}\"")));
}

#[test]
fn it_gets_in_as_every_other_command_does() {
    let dir = TempDir::new().unwrap();
    let (server, token) = secured(dir.path());
    let authority = dir.path().join("ca.pem");
    let arguments = |mode| {
        let load = [
            "bench",
            mode,
            "--count",
            "6",
            "--clients",
            "2",
            "-o",
            "json",
        ];
        [&load[..], &["--tls-ca", text(&authority)]].concat()
    };
    let append = ["--write-test-entries-for-ever", "--verify-receipts"];
    let append = [&arguments("append"), &append[..], &["--token", &token]].concat();
    let report: Value = serde_json::from_str(&server.prints(&append, "")).unwrap();
    assert_eq!(
        (&report["calls"], &report["receipts_verified"]),
        (&6.into(), &6.into())
    );
    let query = [&arguments("query")[..], &["--token", &token]].concat();
    let report: Value = serde_json::from_str(&server.prints(&query, "")).unwrap();
    assert_eq!(report["calls"], 6);
    let nobody = server.run(&arguments("noop"), "");
    assert_eq!(nobody.status.code(), Some(1), "{}", stderr(&nobody));
    assert!(stderr(&nobody).contains("--token"), "{}", stderr(&nobody));
}
