//! Each command as a user runs it: what it prints, and how it ends.

use std::fs;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use super::cli_support::{Server, graven, run, stderr, stdout, text};

const EVENTS: &str = include_str!("../data/twelve_events.jsonl");

fn json_lines(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn the_twelve_events_are_appended_listed_and_appended_again_elsewhere() {
    let server = Server::dev();
    let seqs = server.prints(&["append"], EVENTS);
    let expected: Vec<String> = (0..12).map(|seq| seq.to_string()).collect();
    assert_eq!(seqs.lines().collect::<Vec<_>>(), expected);
    let log = server.prints(&["log", "-o", "jsonl"], "");
    let rows = json_lines(&log);
    assert_eq!(rows.len(), 12);
    for (row, seq) in rows.iter().zip(0..) {
        assert_eq!(row["seq"], seq);
        for field in [
            "recorded_at",
            "occurred_at",
            "submitter",
            "actor",
            "action",
            "targets",
            "outcome",
        ] {
            assert!(row.get(field).is_some(), "{field} of {row}");
        }
        assert!(row["recorded_at"].as_str().unwrap().ends_with('Z'));
        for target in row["targets"].as_array().unwrap() {
            for field in ["uri", "before", "after"] {
                assert!(target.get(field).is_some(), "{field} of {target}");
            }
        }
        assert_eq!(row["authentication"], "none");
    }
    let other = Server::dev();
    other.prints(&["append"], &log);
    let copied = json_lines(&other.prints(&["log", "-o", "jsonl"], ""));
    for (row, copy) in rows.iter().zip(&copied) {
        for field in [
            "actor",
            "action",
            "targets",
            "outcome",
            "occurred_at",
            "labels",
            "detail",
        ] {
            assert_eq!(row.get(field), copy.get(field), "{field}");
        }
    }
}

#[test]
fn an_event_can_be_typed_as_flags() {
    let server = Server::dev();
    let seq = server.prints(
        &[
            "append",
            "--action",
            "job.cancel",
            "--actor",
            "unix:a100/10432",
            "--target",
            "slurm://a100/job/77",
            "--owner",
            "unix:a100/9001",
            "--source",
            "slurm",
            "--before",
            "RUNNING",
            "--after",
            "CANCELLED",
            "--reason",
            "=needs the node",
            "--id",
            "x1",
            "-o",
            "jsonl",
        ],
        "",
    );
    assert_eq!(seq.trim(), r#"{"duplicate":false,"seq":0}"#);
    let row: Value =
        serde_json::from_str(&server.prints(&["show", "0", "-o", "json"], "")).unwrap();
    assert_eq!(row["targets"][0]["owner"], "unix:a100/9001");
    assert_eq!(row["targets"][0]["before"], serde_json::json!(["RUNNING"]));
    assert_eq!(row["idempotency_id"], "x1");
    assert_eq!(row["submitter"], "dev:anonymous");
}

#[test]
fn a_bad_line_is_named_and_what_came_before_it_is_sealed() {
    let server = Server::dev();
    let good = r#"{"action":"job.fail","target":"slurm://a/job/1","source":"s"}"#;
    let bad = r#"{"action":"jobfail","target":"slurm://a/job/1","source":"s"}"#;
    let output = server.run(&["append"], &format!("{good}\n\n{good}\n{bad}\n{good}\n"));
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(stdout(&output), "0\n1\n");
    assert!(
        stderr(&output).contains("line 4: action is not an action"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn evidence_verifies_without_a_server_whatever_is_withheld() {
    let mut server = Server::dev();
    server.prints(&["append"], EVENTS);
    let temporary = TempDir::new().unwrap();
    let whole = temporary.path().join("whole.json");
    let part = temporary.path().join("part.json");
    server.prints(&["prove", "3", "--out", text(&whole)], "");
    server.prints(
        &["prove", "3", "--out", text(&part), "--withhold", "who,why"],
        "",
    );
    let checkpoint = server.prints(&["checkpoint"], "");
    assert!(checkpoint.starts_with(&format!("{}\n12\n", server.origin)));
    let key = server.key.clone();
    assert_eq!(server.terminate(), Some(0));
    for file in [&whole, &part] {
        let output = run(graven().args(["verify", text(file), "--key", &key]), "");
        assert_eq!(output.status.code(), Some(0), "{}", stdout(&output));
        assert!(stdout(&output).starts_with("OK\n"));
        let output = run(graven().args(["verify", text(file)]), "");
        assert_eq!(output.status.code(), Some(5));
        assert!(stdout(&output).starts_with("COULD NOT CHECK: no key is pinned"));
    }
    let shown: Value = serde_json::from_str(&fs::read_to_string(&part).unwrap()).unwrap();
    let who = &shown["entry"]["parts"][1];
    assert_eq!(who["part"], "who");
    assert!(
        who.get("withheld").is_some() && who.get("encoded").is_none(),
        "{who}"
    );
    let altered = fs::read_to_string(&whole).unwrap();
    let position = altered.find("\"encoded\": \"").unwrap() + 14;
    let mut bytes = altered.into_bytes();
    bytes[position] = if bytes[position] == b'B' { b'C' } else { b'B' };
    fs::write(&part, bytes).unwrap();
    let output = run(graven().args(["verify", text(&part), "--key", &key]), "");
    assert_eq!(output.status.code(), Some(3), "{}", stdout(&output));
    assert!(stdout(&output).starts_with("TAMPERED: "));
    let output = run(
        graven().args([
            "verify",
            text(&temporary.path().join("none")),
            "--key",
            &key,
        ]),
        "",
    );
    assert_eq!(output.status.code(), Some(5));
}

#[test]
fn a_ledger_is_verified_over_the_network_and_stopped() {
    let mut server = Server::dev();
    server.prints(&["append"], EVENTS);
    let temporary = TempDir::new().unwrap();
    let checkpoint = temporary.path().join("checkpoint");
    fs::write(&checkpoint, server.prints(&["checkpoint"], "")).unwrap();
    assert!(
        server
            .prints(&["verify"], "")
            .starts_with("OK\n  12 entries\n")
    );
    let unpinned = run(graven().args(["verify", "--server", &server.url]), "");
    assert_eq!(unpinned.status.code(), Some(5));
    let other = Server::dev();
    let wrong_key = run(
        graven().args(["verify", "--server", &server.url, "--key", &other.key]),
        "",
    );
    assert_eq!(wrong_key.status.code(), Some(3));
    let (dir, key) = (server.dir.clone(), server.key.clone());
    let verify = |extra: &[&str]| {
        run(
            graven()
                .args(["verify", "--dir", text(&dir), "--key", &key])
                .args(extra),
            "",
        )
    };
    let in_use = verify(&[]);
    assert_eq!(in_use.status.code(), Some(5));
    assert!(stderr(&in_use).contains("in use"), "{}", stderr(&in_use));
    assert_eq!(server.terminate(), Some(0));
    let whole = verify(&["--minimum", text(&checkpoint)]);
    assert_eq!(
        whole.status.code(),
        Some(0),
        "{}{}",
        stdout(&whole),
        stderr(&whole)
    );
    let empty = run(
        graven().args(["verify", "--dir", text(temporary.path()), "--key", &key]),
        "",
    );
    assert_eq!(empty.status.code(), Some(5));
    // One byte of the largest table, which holds the entries.
    let tables = fs::read_dir(dir.join("store"))
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let tables = tables.filter(|path| path.extension().is_some_and(|e| e == "sst"));
    let largest = tables
        .max_by_key(|path| path.metadata().unwrap().len())
        .unwrap();
    let mut bytes = fs::read(&largest).unwrap();
    bytes[200] ^= 1;
    fs::write(&largest, bytes).unwrap();
    let tampered = verify(&[]);
    assert_eq!(tampered.status.code(), Some(3));
    assert!(
        stdout(&tampered).starts_with("TAMPERED: entry 0: store"),
        "{}",
        stdout(&tampered)
    );
}

#[test]
fn a_directory_restored_to_an_earlier_state_does_not_start() {
    let temporary = TempDir::new().unwrap();
    let dir = temporary.path().join("ledger");
    let serve = || {
        let mut command = graven();
        command.args(["serve", "--dev", "--dir"]).arg(&dir);
        command
    };
    let holder = || TempDir::new().unwrap();
    let mut server = Server::start(serve(), dir.clone(), holder());
    server.prints(&["append"], EVENTS);
    server.terminate();
    let backup = temporary.path().join("backup");
    let copied = Command::new("cp")
        .arg("-a")
        .arg(dir.join("store"))
        .arg(&backup)
        .status()
        .unwrap();
    assert!(copied.success());
    let mut server = Server::start(serve(), dir.clone(), holder());
    server.prints(&["append"], EVENTS);
    server.terminate();
    fs::remove_dir_all(dir.join("store")).unwrap();
    fs::rename(&backup, dir.join("store")).unwrap();
    let output = run(&mut serve(), "");
    assert_eq!(output.status.code(), Some(3));
    assert!(stderr(&output).contains("BEHIND"), "{}", stderr(&output));
}

#[test]
fn wrong_usage_and_an_absent_server_have_codes_of_their_own() {
    let code = |arguments: &[&str]| run(graven().args(arguments), "").status.code();
    assert_eq!(code(&["show", "1"]), Some(2));
    assert_eq!(code(&["show", "one"]), Some(2));
    assert_eq!(code(&["verify"]), Some(2));
    assert_eq!(code(&["serve"]), Some(2));
    assert_eq!(code(&["serve", "--dev", "--listen", "0.0.0.0:0"]), Some(2));
    assert_eq!(code(&["log", "--server", "http://127.0.0.1:1"]), Some(4));
    assert_eq!(code(&["verify", "--server", "http://127.0.0.1:1"]), Some(4));
    let server = Server::dev();
    assert_eq!(server.run(&["show", "7"], "").status.code(), Some(2));
    assert_eq!(
        server
            .run(&["log", "--since", "whenever"], "")
            .status
            .code(),
        Some(2)
    );
    assert_eq!(
        server
            .run(
                &["prove", "0", "--out", "/dev/null/x", "--withhold", "all"],
                ""
            )
            .status
            .code(),
        Some(2)
    );
}

#[test]
fn ranges_limits_and_times_are_what_they_say() {
    let server = Server::dev();
    server.prints(&["append"], EVENTS);
    let seqs = |arguments: &[&str]| {
        let mut all = vec!["log", "-o", "jsonl"];
        all.extend(arguments);
        let rows = json_lines(&server.prints(&all, ""));
        rows.iter()
            .map(|row| row["seq"].as_u64().unwrap())
            .collect::<Vec<u64>>()
    };
    assert_eq!(seqs(&["--from", "3", "--to", "5"]), [3, 4, 5]);
    assert_eq!(seqs(&["--reverse", "--limit", "2"]), [11, 10]);
    assert_eq!(seqs(&["--since", "-1h"]).len(), 12);
    assert_eq!(seqs(&["--until", "yesterday"]).len(), 0);
    let limited = server.run(&["log", "--limit", "2"], "");
    assert!(stderr(&limited).contains("--limit 0 for all"));
    assert_eq!(
        server
            .prints(&["tail", "--from", "10", "--count", "2", "-o", "jsonl"], "")
            .lines()
            .count(),
        2
    );
    let csv = server.prints(&["log", "-o", "csv"], "");
    assert_eq!(csv.matches("\r\n").count(), 13);
    let json: Value = serde_json::from_str(&server.prints(&["log", "-o", "json"], "")).unwrap();
    assert_eq!(json.as_array().unwrap().len(), 12);
}

#[test]
fn hostile_strings_reach_no_terminal_and_no_spreadsheet() {
    let server = Server::dev();
    let event = serde_json::json!({
        "action": "file.update",
        "actor": "other:\u{1b}[31mroot\u{202e}",
        "target": "other:=cmd|' /C calc'!A0\u{9b}2J\r\n",
        "source": "s",
        "reason": "\u{7f}\u{200b}\\",
    });
    server.prints(&["append"], &event.to_string());
    for format in ["table", "jsonl", "json", "csv"] {
        for command in [vec!["log", "-o", format], vec!["show", "0", "-o", format]] {
            let printed = server.prints(&command, "");
            let allowed = |c: char| {
                c == '\n'
                    || (format == "csv" && c == '\r')
                    || !(c.is_control() || "\u{202e}\u{200b}".contains(c))
            };
            assert!(printed.chars().all(allowed), "{format}: {printed:?}");
        }
    }
    // Nothing is lost: JSON reads back as it was sent.
    let row: Value =
        serde_json::from_str(&server.prints(&["show", "0", "-o", "json"], "")).unwrap();
    assert_eq!(row["actor"], event["actor"]);
    assert_eq!(row["reason"], event["reason"]);
    let csv = server.prints(&["log", "-o", "csv"], "");
    assert!(csv.contains("other:=cmd"), "{csv}");
}

#[test]
fn output_that_nobody_reads_is_no_failure() {
    let server = Server::dev();
    for _ in 0..20 {
        server.prints(&["append"], EVENTS);
    }
    let shell = format!(
        "{} log -o jsonl --server {} | head -n 1; echo ${{PIPESTATUS[0]}}",
        env!("CARGO_BIN_EXE_graven"),
        server.url
    );
    let output = Command::new("bash").args(["-c", &shell]).output().unwrap();
    assert!(stdout(&output).ends_with("\n0\n"), "{}", stdout(&output));
    assert_eq!(stderr(&output), "");
}

#[test]
fn a_git_history_is_imported_once() {
    let repository = TempDir::new().unwrap();
    let git = |arguments: &[&str]| {
        let status = Command::new("git")
            .args([
                "-c",
                "user.name=Someone",
                "-c",
                "user.email=someone@example.com",
            ])
            .args(arguments)
            .current_dir(repository.path())
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .output()
            .unwrap();
        assert!(status.status.success(), "{arguments:?}");
    };
    git(&["init", "-q"]);
    fs::write(repository.path().join("a.py"), "one\n").unwrap();
    git(&["add", "."]);
    git(&["commit", "-qm", "first"]);
    fs::write(repository.path().join("a.py"), "two\n").unwrap();
    git(&["commit", "-qam", "second"]);
    let server = Server::dev();
    let import = [
        "import",
        "git",
        text(repository.path()),
        "--name",
        "forge.example/team",
    ];
    let first = server.run(&import, "");
    assert!(
        stderr(&first).contains("imported 2 changes of git://forge.example/team"),
        "{}",
        stderr(&first)
    );
    assert!(
        stderr(&server.run(&import, ""))
            .contains("imported 0 changes of git://forge.example/team, 2 were there already")
    );
    fs::write(repository.path().join("a.py"), "three\n").unwrap();
    git(&["commit", "-qam", "third"]);
    assert!(stderr(&server.run(&import, "")).contains("imported 1 changes"));
    let rows = json_lines(&server.prints(&["log", "-o", "jsonl"], ""));
    let actions: Vec<&str> = rows
        .iter()
        .map(|row| row["action"].as_str().unwrap())
        .collect();
    assert_eq!(actions, ["file.create", "file.update", "file.update"]);
    assert_eq!(rows[1]["actor"], "git:someone@example.com");
    assert_eq!(rows[1]["assurance"], "asserted");
    assert_eq!(
        rows[1]["targets"][0]["uri"],
        "git://forge.example/team//a.py"
    );
    assert_eq!(
        rows[1]["targets"][0]["before"],
        rows[0]["targets"][0]["after"]
    );
    let after = rows[1]["targets"][0]["after"].as_array().unwrap();
    assert_eq!(
        after[0],
        "git-sha1:f719efd430d52bcfc8566a43b2eb655688d38871"
    );
    assert_eq!(
        after[1],
        "sha256:27dd8ed44a83ff94d557f9fd0412ed5a8cbca69ea04922d88c01184a07300a5a"
    );
}
