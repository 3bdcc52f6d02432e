//! Which sources were heard from: by itself, and beside every answer.

use std::fs;

use serde_json::Value;
use tempfile::TempDir;

use super::cli_support::{Server, stderr, text};

/// Three sources on one day: one that skips numbers and goes back in time, one that falls silent, one that only beats.
const EVENTS: &str = r#"{"action":"file.read","source":"agent:one","source_seq":1,"occurred_at":"2026-03-02T09:00:00Z","target":"fs://nfs-1/a"}
{"action":"file.read","source":"agent:one","source_seq":2,"occurred_at":"2026-03-02T09:10:00Z","target":"fs://nfs-1/a"}
{"action":"file.read","source":"agent:one","source_seq":5,"occurred_at":"2026-03-02T09:05:00Z","target":"fs://nfs-1/b"}
{"action":"file.read","source":"agent:one","source_seq":5,"occurred_at":"2026-03-02T09:20:00Z","target":"fs://nfs-1/b"}
{"action":"job.submit","source":"slurm:a100","occurred_at":"2026-03-02T09:14:07Z","target":"slurm://a100/job/1"}
{"action":"agent.heartbeat","source":"agent:two","occurred_at":"2026-03-02T09:30:00Z","target":"other:agent-two"}
{"action":"agent.heartbeat","source":"agent:two","occurred_at":"2026-03-02T13:00:00Z","target":"other:agent-two"}"#;

fn server() -> Server {
    let server = Server::dev();
    server.prints(&["append"], EVENTS);
    server
}

fn rows(server: &Server, arguments: &[&str]) -> Vec<Value> {
    let all = [&["coverage", "-o", "jsonl"], arguments].concat();
    let rows = server.prints(&all, "");
    rows.lines()
        .map(|row| serde_json::from_str(row).unwrap())
        .collect()
}

const DAY: [&str; 6] = [
    "--by",
    "occurred",
    "--since",
    "2026-03-02T09:00:00Z",
    "--until",
    "2026-03-02T13:00:01Z",
];

#[test]
fn silences_holes_and_clocks_are_found() {
    let server = server();
    let found = rows(&server, &DAY);
    let names: Vec<&str> = found
        .iter()
        .map(|row| row["source"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["agent:one", "agent:two", "slurm:a100"]);
    let one = &found[0];
    assert_eq!(one["entries"], 4);
    assert_eq!(one["holes"], serde_json::json!([{"first": 3, "last": 4}]));
    assert_eq!(
        (&one["missing"], &one["duplicates"]),
        (&2.into(), &1.into())
    );
    assert_eq!(one["clock_steps"][0]["seq"], 2);
    assert_eq!(one["clock_steps"][0]["to"], "2026-03-02T09:05:00Z");
    let two = &found[1];
    assert_eq!(two["heartbeats"], 2);
    let silence =
        serde_json::json!([{"from": "2026-03-02T09:30:00Z", "to": "2026-03-02T13:00:00Z"}]);
    assert_eq!(two["silences"], silence);
    assert_eq!(two["late"], 2);
    // A source that was never heard from before is not expected before.
    let slurm = &found[2];
    assert_eq!(slurm["silences"].as_array().unwrap().len(), 1);
    assert_eq!(slurm["silences"][0]["from"], "2026-03-02T09:14:07Z");
    let patient = rows(
        &server,
        &[&DAY[..], &["--silence", "5h", "--lag", "9000d"]].concat(),
    );
    assert_eq!(patient[1]["silences"], serde_json::json!([]));
    assert_eq!(patient[1]["late"], 0);
}

#[test]
fn who_was_silent_all_the_time_or_never_heard_from_is_said() {
    let server = server();
    let directory = TempDir::new().unwrap();
    let inventory = directory.path().join("inventory");
    fs::write(
        &inventory,
        "# what there should be\nagent:one\nauditd:gpu-17 # since May\n\n",
    )
    .unwrap();
    let later = [
        "--by",
        "occurred",
        "--since",
        "2026-03-02T12:00:00Z",
        "--until",
        "2026-03-02T13:30:00Z",
        "--inventory",
        text(&inventory),
    ];
    let found = rows(&server, &later);
    let states: Vec<(&str, &str)> = found
        .iter()
        .map(|row| {
            (
                row["source"].as_str().unwrap(),
                row["state"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        states,
        [
            ("agent:one", "silent"),
            ("agent:two", "heard"),
            ("auditd:gpu-17", "never"),
            ("slurm:a100", "silent"),
        ]
    );
    assert!(found[0]["last_heard"].is_string(), "{}", found[0]);
    assert_eq!(found[0]["last_seq"], 3);
    let table = server.prints(&[&["coverage"], &later[..]].concat(), "");
    assert!(table.contains("NEVER heard from"), "{table}");
    let code = |arguments: &[&str]| {
        let all = [&["coverage", "--exit-code"], arguments].concat();
        server.run(&all, "").status.code()
    };
    assert_eq!(code(&later), Some(1));
    let clean = [
        "--source",
        "agent:two",
        "--silence",
        "9000d",
        "--lag",
        "9000d",
        "--since",
        "-1h",
    ];
    assert_eq!(code(&clean), Some(0));
    assert_eq!(code(&["--silence", "soon"]), Some(2));
    assert_eq!(code(&["--inventory", "/nonexistent/inventory"]), Some(1));
    let said = stderr(&server.run(&["coverage", "-o", "csv"], "")).to_owned();
    assert!(said.contains("complete to checkpoint 7"), "{said}");
}

/// A file whose version once changed unrecorded, a run that read it, and sources that fell silent at several times.
const SILENT: &str = r#"{"action":"agent.heartbeat","source":"agent:early","target":"other:agent-early"}
{"action":"file.create","source":"agent:fs","target":{"uri":"fs://nfs-1/a","after":"v1"}}
{"action":"agent.heartbeat","source":"agent:login","target":"other:agent-login"}
{"action":"run.start","actor":"oidc:c/ann","source":"slurm:c","target":"slurm://c/job/1","run":"1","inputs":[{"uri":"fs://nfs-1/a","version":"v2","role":"code"}]}
{"action":"file.update","source":"agent:fs","target":{"uri":"fs://nfs-1/a","before":"v2","after":"v3"}}
{"action":"run.start","actor":"oidc:c/ann","source":"slurm:c","target":"slurm://c/job/2","run":"2","inputs":[{"uri":"fs://nfs-1/a","version":"v3","role":"code"}]}
{"action":"run.end","actor":"oidc:c/ann","source":"slurm:c","target":"slurm://c/job/2","run":"2"}"#;

/// What a command says on standard error behind `complete`, with no times.
fn silences(server: &Server, arguments: &[&str]) -> Vec<String> {
    let said = stderr(&server.run(arguments, ""));
    let lines = said.lines().filter(|line| line.contains("heard from"));
    let without = |line: &str| {
        let words = line.split(' ').filter(|word| !word.starts_with("20"));
        words.collect::<Vec<_>>().join(" ")
    };
    lines.map(without).collect()
}

#[test]
fn an_inquiry_says_who_was_silent_where_it_is_about() {
    let server = Server::dev();
    server.prints(&["append"], SILENT);
    const EARLY: &str = "agent:early (last heard entry 0)";
    const LOGIN: &str = "agent:login (last heard entry 2)";
    const FS: &str = "agent:fs (last heard entry 4)";
    let heard = |at: &str, heard: usize, silent: &[&str]| {
        let silent = silent.join(", ");
        format!("{at}: heard from {heard} of 4 sources in this range; silent: {silent}")
    };
    // The versions, the gap between them, and what came since.
    let blame = [
        heard("from entry 1 to entry 4", 3, &[EARLY]),
        heard(
            "from entry 1 to entry 4, where a change is missing",
            3,
            &[EARLY],
        ),
        heard("from entry 4 on", 2, &[LOGIN, EARLY]),
    ];
    for format in ["table", "json", "jsonl", "csv"] {
        assert_eq!(
            silences(&server, &["blame", "fs://nfs-1/a", "-o", format]),
            blame
        );
    }
    let diff = [heard("from entry 3 to entry 6", 2, &[LOGIN, EARLY])];
    assert_eq!(silences(&server, &["diff", "1", "2", "-o", "json"]), diff);
    let explain = [
        heard("from entry 1 to entry 6", 3, &[EARLY]),
        heard(
            "from entry 5 to entry 6, the run's own",
            1,
            &[FS, LOGIN, EARLY],
        ),
    ];
    assert_eq!(silences(&server, &["explain", "2", "-o", "csv"]), explain);
    let up = [heard("from entry 4 to entry 5", 2, &[LOGIN, EARLY])];
    assert_eq!(silences(&server, &["trace", "2", "-o", "dot"]), up);
    let down = [heard("from entry 4 on", 2, &[LOGIN, EARLY])];
    assert_eq!(
        silences(&server, &["trace", "--down", "digest:v3", "-o", "jsonl"]).len(),
        0
    );
    assert_eq!(
        silences(&server, &["trace", "--all", "2", "-o", "jsonl"]),
        down
    );
    let watch = ["watch", "--from", "5", "--count", "1", "-o", "jsonl"];
    let watched = [
        heard("from entry 5 on", 1, &[FS, LOGIN, EARLY]),
        heard("at entry 5, watched", 1, &[FS, LOGIN, EARLY]),
    ];
    assert_eq!(silences(&server, &watch), watched);
    // Of nothing it is said of all.
    assert_eq!(
        silences(&server, &["blame", "fs://nfs-1/none"]),
        ["heard from 4 sources"]
    );
    assert_eq!(
        stderr(&server.run(&["blame", "fs://nfs-1/a", "-q"], "")),
        ""
    );
}

#[test]
fn every_answer_says_who_was_heard_from() {
    let server = server();
    let said = |arguments: &[&str]| {
        let all = [&["log", "-o", "csv"], arguments].concat();
        stderr(&server.run(&all, "")).to_owned()
    };
    let all = said(&["--action", "file.read"]);
    assert!(all.ends_with("\nheard from 3 sources\n"), "{all}");
    let times = ["--by", "occurred", "--since", "2026-03-02T09:25:00Z"];
    let range = said(&times);
    assert!(
        range.contains("heard from 1 of 3 sources in this range; silent: slurm:a100 (last heard 2"),
        "{range}"
    );
    assert!(range.contains("agent:one (last heard "), "{range}");
    let nothing = said(&[&times[..], &["--actor", "oidc:corp/alice"]].concat());
    assert!(nothing.contains("heard from 1 of 3 sources"), "{nothing}");
    assert!(
        nothing.contains("absence in the ledger is not absence in the world"),
        "{nothing}"
    );
    assert_eq!(said(&[&times[..], &["-q"]].concat()), "");
}
