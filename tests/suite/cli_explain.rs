//! What could have reached a run, on the command line.

use serde_json::Value;

use super::cli_support::{Server, stderr, stdout};
use super::inquiry_support::LAB;

fn lab() -> Server {
    let server = Server::dev();
    server.prints(&["append"], LAB);
    server
}

fn rows(server: &Server, arguments: &[&str]) -> Vec<Value> {
    let printed = server.prints(arguments, "");
    printed
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn others_come_first_with_what_they_did_and_why_they_are_listed() {
    let server = lab();
    let rows = rows(&server, &["explain", "42", "-o", "jsonl"]);
    let line = |row: &Value| {
        format!(
            "{} {} {}",
            row["whose"].as_str().unwrap(),
            row["kind"].as_str().unwrap(),
            row["seq"]
        )
    };
    let lines: Vec<String> = rows.iter().map(line).collect();
    let expected = [
        "foreign kill 13",
        "foreign kill 12",
        "foreign input 9",
        "foreign input 8",
        "foreign input 7",
        "foreign input 3",
        "foreign input 0",
        "foreign code 10",
        "foreign image 1",
        "foreign host 14",
    ];
    assert_eq!(lines[..10], expected, "{lines:#?}");
    assert_eq!(
        lines[10..]
            .iter()
            .filter(|line| line.starts_with("own "))
            .count(),
        lines.len() - 10
    );
    let edited = &rows[4];
    assert_eq!(edited["actor"], "unix:a100/10432");
    assert_eq!(edited["target"], "fs://lustre-1/envs/shared/adamw.py");
    assert!(
        edited["why"]
            .as_str()
            .unwrap()
            .starts_with("wrote the version: code"),
        "{edited}"
    );
    assert!(
        rows[2]["why"].as_str().unwrap().contains("inferred"),
        "{}",
        rows[2]
    );
    let table = server.prints(&["explain", "42"], "");
    let others = table.find("By others").unwrap();
    assert!(others < table.find("By its own").unwrap(), "{table}");
    for words in [
        "slurm:a100/mallory",
        "(of slurm:a100/alice)",
        "said why: needs the",
        "gpus",
    ] {
        assert!(table.contains(words), "no {words} in\n{table}");
    }
}

#[test]
fn a_version_that_nobody_recorded_is_listed_as_such() {
    let server = Server::dev();
    let events = r#"
{"action":"file.update","actor":"oidc:c/x","source":"s","occurred_at":"2026-03-01T00:00:00Z","target":{"uri":"fs://n/a.py","after":"v1"}}
{"action":"run.start","actor":"oidc:c/y","source":"s","occurred_at":"2026-03-02T00:00:00Z","target":"slurm://c/job/1","run":"1","inputs":[{"uri":"fs://n/a.py","version":"v2","role":"code"}]}
{"action":"file.update","actor":"oidc:c/z","source":"s","occurred_at":"2026-03-03T00:00:00Z","target":{"uri":"fs://n/a.py","before":"v1","after":"v3"}}
"#;
    server.prints(&["append"], events.trim());
    let rows = rows(&server, &["explain", "1", "-o", "jsonl"]);
    let found: Vec<(&str, u64)> = rows
        .iter()
        .map(|row| (row["kind"].as_str().unwrap(), row["seq"].as_u64().unwrap()))
        .collect();
    // Nobody who wrote it later could have reached the run.
    assert_eq!(found, [("input", 0), ("unrecorded", 1), ("job", 1)]);
    assert_eq!(rows[1]["actor"], Value::Null);
    assert!(
        rows[1]["why"]
            .as_str()
            .unwrap()
            .contains("the last writer was entry 0"),
        "{}",
        rows[1]
    );
}

#[test]
fn a_job_killed_that_no_entry_gives_a_run_is_found_by_its_number() {
    let server = Server::dev();
    let event = r#"{"action":"job.cancel","actor":"oidc:c/m","source":"s","target":{"uri":"slurm://c/job/8812","owner":"oidc:c/a"}}"#;
    server.prints(&["append"], event);
    let rows = rows(&server, &["explain", "8812", "-o", "jsonl"]);
    assert_eq!(rows.len(), 1);
    assert_eq!(
        (&rows[0]["kind"], &rows[0]["whose"]),
        (&"kill".into(), &"foreign".into())
    );
    let nothing = server.run(&["explain", "nobody"], "");
    assert_eq!(nothing.status.code(), Some(0));
    assert!(
        stderr(&nothing).contains("no entry names the run nobody"),
        "{}",
        stderr(&nothing)
    );
    assert_eq!(stdout(&nothing), "run nobody\n");
}
