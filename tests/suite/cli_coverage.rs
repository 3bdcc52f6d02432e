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
