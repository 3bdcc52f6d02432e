//! Counts, groups, the ends of an answer and its summary on the command line, and `graven watch`.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use serde_json::Value;

use super::cli_support::{Server, stderr, stdout};

fn event(actor: &str, action: &str, hour: u64) -> String {
    format!(
        r#"{{"actor":"{actor}","action":"{action}","source":"agent:one","occurred_at":"2024-06-20T{hour:02}:10:00Z","target":"fs://nfs-1/{hour}.py"}}"#
    )
}

/// 60 events: 45 of alice, 15 of mallory, in ten hours; one of nobody.
fn server() -> Server {
    let server = Server::dev();
    let mut events: Vec<String> = (0..60)
        .map(|n| match n % 4 {
            0 => event("oidc:corp/mallory", "job.cancel", n / 6),
            _ => event("oidc:corp/alice", "file.update", n / 6),
        })
        .collect();
    events.push(
        r#"{"action":"file.read","source":"agent:\u001b[2J","target":"fs://nfs-1/x"}"#.into(),
    );
    server.prints(&["append"], &events.join("\n"));
    server
}

fn rows(output: &str) -> Vec<Value> {
    let lines = output.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn groups_are_counted_and_proved() {
    let server = server();
    let output = server.run(&["log", "--group-by", "actor", "-o", "jsonl"], "");
    let groups = rows(&stdout(&output));
    assert_eq!(groups.len(), 3);
    assert_eq!(groups[0]["value"], "oidc:corp/alice");
    assert_eq!(groups[0]["count"], 45);
    assert_eq!(groups[0]["share"], 0.7377);
    assert_eq!(groups[0]["first_seq"], 1);
    assert_eq!(groups[0]["first_time"], "2024-06-20T00:10:00Z");
    assert_eq!(groups[1]["value"], "oidc:corp/mallory");
    assert_eq!(groups[1]["last_seq"], 56);
    assert_eq!(groups[2]["value"], Value::Null);
    assert_eq!(groups[2]["count"], 1);
    assert_eq!(
        stderr(&output),
        "61 entries with 2 values of all 61: complete to checkpoint 61 (every entry checked)\nheard from 2 sources\n"
    );
    let table = server.prints(&["log", "--group-by", "action", "--actor", "*alice"], "");
    let lines: Vec<&str> = table.lines().map(str::trim).collect();
    assert!(lines[0].starts_with("ACTION"), "{table}");
    assert!(lines[1].starts_with("file.update"), "{table}");
    assert!(lines[1].contains("100.0 %"), "{table}");
    let csv = server.prints(&["log", "--group-by", "source", "-o", "csv"], "");
    assert!(csv.starts_with("value,cut,count,share,first_seq"), "{csv}");
    assert!(!csv.contains('\u{1b}'), "{csv}");
    let hours = server.run(&["log", "--group-by", "occurred_at", "--limit", "4"], "");
    assert!(
        stdout(&hours).contains("2024-06-20T00:00:00Z"),
        "{}",
        stdout(&hours)
    );
    assert!(
        stderr(&hours).starts_with("showing 4 of 10 values: --limit 0 for all\n"),
        "{}",
        stderr(&hours)
    );
    let json = server.prints(&["log", "--group-by", "actor", "-o", "json"], "");
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json.as_array().unwrap().len(), 3);
}

#[test]
fn entries_are_counted() {
    let server = server();
    let count = |arguments: &[&str]| {
        let all = [&["log", "--count"], arguments].concat();
        server.prints(&all, "").trim().to_owned()
    };
    assert_eq!(count(&[]), "61");
    assert_eq!(count(&["--actor", "*mallory"]), "15");
    assert_eq!(count(&["--actor", "oidc:corp/mallory", "--no-proof"]), "15");
    assert_eq!(count(&["--from", "10", "--to", "19"]), "10");
    assert_eq!(
        count(&["action = job.cancel", "-o", "jsonl"]),
        r#"{"count":15,"first_seq":0,"last_seq":56}"#
    );
    assert_eq!(
        count(&["actor = nobody", "-o", "csv"]),
        "count,first_seq,last_seq\r\n0,,"
    );
    let code = |arguments: &[&str]| server.run(arguments, "").status.code();
    assert_eq!(code(&["log", "--count", "x = y"]), Some(2));
    assert_eq!(
        code(&["log", "--count", "actor = nobody", "--exit-code"]),
        Some(1)
    );
    assert_eq!(code(&["log", "--count", "--from", "99"]), Some(2));
    assert_eq!(code(&["log", "--group-by", "ticket"]), Some(2));
    assert_eq!(code(&["log", "--count", "--last", "3"]), Some(2));
    let wrong = server.run(&["log", "--group-by", "acter"], "");
    assert!(
        stderr(&wrong).contains("did you mean actor?"),
        "{}",
        stderr(&wrong)
    );
}

#[test]
fn the_ends_of_an_answer_are_shown_and_what_is_left_out_is_said() {
    let server = server();
    let seqs = |arguments: &[&str]| {
        let all = [&["log", "-o", "jsonl"], arguments].concat();
        let rows = rows(&server.prints(&all, ""));
        rows.iter()
            .map(|row| row["seq"].as_u64().unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!(seqs(&["--first", "2", "--actor", "*mallory"]), [0, 4]);
    assert_eq!(seqs(&["--last", "2", "--actor", "*mallory"]), [52, 56]);
    assert_eq!(seqs(&["--last", "100"]).len(), 61);
    let said = |arguments: &[&str]| stderr(&server.run(arguments, ""));
    let shown = said(&["log", "-N"]);
    assert!(
        shown.starts_with(
            "showing 40 of 61 entries: --limit 0 for all\n61 entries of all 61: complete"
        ),
        "{shown}"
    );
    let last = said(&[
        "log",
        "--last",
        "3",
        "-o",
        "csv",
        "--actor",
        "oidc:corp/alice",
    ]);
    assert!(
        last.starts_with("showing the last 3 of 45 entries\n"),
        "{last}"
    );
    let unknown = said(&["log", "--limit", "3", "-N", "--actor", "*alice"]);
    assert_eq!(
        unknown,
        "showing 3 entries, there are more at checkpoint 61: --limit 0 for all\nheard from 2 sources\n"
    );
}

#[test]
fn a_summary_stands_below_a_table_and_changes_no_data() {
    let server = server();
    let with = server.run(&["log", "--actor", "oidc:corp/mallory"], "");
    let without = server.run(&["log", "--actor", "oidc:corp/mallory", "-N"], "");
    assert_eq!(stdout(&with), stdout(&without));
    let said = stderr(&with);
    assert!(said.starts_with(&stderr(&without)), "{said}");
    for line in [
        "from      2024-06-20T00:10:00Z",
        "to        2024-06-20T09:10:00Z",
        "actions   job.cancel 15",
        "actors    oidc:corp/mallory 15",
    ] {
        assert!(said.contains(line), "{line} in {said}");
    }
    // More than is shown is counted, not read.
    let all = stderr(&server.run(&["log", "--limit", "5"], ""));
    assert!(
        all.contains("actions   file.update 45, job.cancel 15, file.read 1"),
        "{all}"
    );
    let targets = all
        .lines()
        .find(|line| line.starts_with("targets"))
        .unwrap();
    assert!(targets.ends_with(", 8 more"), "{all}");
    let data = stderr(&server.run(&["log", "-o", "jsonl"], ""));
    assert_eq!(data.lines().count(), 2, "{data}");
}

#[test]
fn watch_shows_what_matches_as_it_comes() {
    let server = server();
    let there = server.prints(
        &[
            "watch", "--actor", "*mallory", "--from", "50", "--count", "2", "-o", "jsonl",
        ],
        "",
    );
    let seqs: Vec<Value> = rows(&there).iter().map(|row| row["seq"].clone()).collect();
    assert_eq!(seqs, [52, 56]);
    let mut watching = server
        .command(&[
            "watch",
            "action = job.cancel",
            "--from",
            "61",
            "--count",
            "1",
            "-o",
            "jsonl",
        ])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    server.prints(&["append"], &event("oidc:corp/bob", "file.update", 3));
    server.prints(&["append"], &event("oidc:corp/bob", "job.cancel", 3));
    let mut line = String::new();
    BufReader::new(watching.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    assert_eq!(rows(&line)[0]["seq"], 62);
    assert!(watching.wait().unwrap().success());
    let wrong = server.run(&["watch", "acter = x"], "");
    assert_eq!(wrong.status.code(), Some(2));
    assert!(stderr(&wrong).contains("did you mean actor?"));
}
