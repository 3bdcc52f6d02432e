//! Answers for other tools: the rows of `graven log` in the forms that these read.

use tempfile::TempDir;

use super::cli_export::{case, json_lines, server};
use super::cli_support::{Server, graven, run, stdout, text};

#[test]
fn other_tools_get_the_rows_of_log() {
    let server = server();
    let question = ["--actor", "*mallory", "--reverse"];
    let of = |command: &[&str]| server.prints(&[command, &question].concat(), "");
    let log = json_lines(&of(&["log", "-o", "jsonl"]));
    let seqs: Vec<u64> = log.iter().map(|row| row["seq"].as_u64().unwrap()).collect();
    assert_eq!(seqs, [11, 9, 7, 5, 3, 1]);
    assert_eq!(of(&["export", "-o", "csv"]), of(&["log", "-o", "csv"]));
    let lines = of(&["export", "-o", "jsonl"]);
    assert_eq!(json_lines(&lines), log);

    let ocsf = json_lines(&of(&["export", "-o", "ocsf"]));
    assert_eq!(ocsf.len(), log.len());
    for (event, row) in ocsf.iter().zip(&log) {
        assert_eq!(event["unmapped"], *row);
        let number = |field: &str| event[field].as_u64().unwrap();
        assert_eq!(
            number("type_uid"),
            number("class_uid") * 100 + number("activity_id")
        );
        assert_eq!(number("class_uid") / 1_000, number("category_uid"));
        assert_eq!(event["metadata"]["version"], "1.8.0");
        assert_eq!(event["metadata"]["sequence"], row["seq"]);
        assert_eq!(event["actor"]["user"]["uid"], "oidc:corp/mallory");
        assert_eq!(event["severity_id"], 1);
        assert!(event["device"]["hostname"].is_string());
        let class = match row["action"].as_str().unwrap() {
            "job.cancel" => (1006, "job"),
            _ => (1001, "file"),
        };
        assert_eq!(
            (number("class_uid"), event[class.1].is_object()),
            (class.0, true)
        );
    }
    assert_eq!(ocsf[5]["time"], 1_718_892_001_000u64);

    let sketch = json_lines(&of(&["export", "-o", "timesketch"]));
    for (event, row) in sketch.iter().zip(&log) {
        assert_eq!(event["seq"], row["seq"]);
        assert_eq!(event["actor"], row["actor"]);
        assert_eq!(event["timestamp_desc"], "Event Occurred");
        assert!(
            event["message"]
                .as_str()
                .unwrap()
                .starts_with("oidc:corp/mallory ")
        );
        assert!(
            event["datetime"]
                .as_str()
                .unwrap()
                .starts_with("2024-06-20T14:00:")
        );
        assert!(
            event
                .as_object()
                .unwrap()
                .values()
                .all(|value| !value.is_object())
        );
    }
    let csv = csv(&of(&["export", "-o", "timesketch-csv"]));
    assert_eq!(
        csv[0][..4],
        ["message", "datetime", "timestamp", "timestamp_desc"]
    );
    let column = csv[0].iter().position(|name| name == "seq").unwrap();
    let found: Vec<String> = csv[1..]
        .iter()
        .map(|record| record[column].clone())
        .collect();
    assert_eq!(found, seqs.iter().map(u64::to_string).collect::<Vec<_>>());

    let other = Server::dev();
    other.prints(&["append"], &of(&["export", "-o", "jsonl"]));
    let copied = json_lines(&other.prints(&["export", "-o", "jsonl"], ""));
    for (row, copy) in log.iter().zip(&copied) {
        for field in [
            "actor",
            "action",
            "targets",
            "occurred_at",
            "reason",
            "original",
        ] {
            assert_eq!(row[field], copy[field], "{field}");
        }
    }
    let hidden = of(&["export", "-o", "ocsf", "--withhold", "who,why"]);
    assert!(!hidden.contains("mallory") && !hidden.contains("because"));
}

/// The records of a CSV file, as RFC 4180 has it.
fn csv(text: &str) -> Vec<Vec<String>> {
    let mut records = vec![vec![String::new()]];
    let mut quoted = false;
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        let record = records.last_mut().unwrap();
        match character {
            '"' if quoted && characters.peek() == Some(&'"') => {
                record.last_mut().unwrap().extend(characters.next());
            }
            '"' => quoted = !quoted,
            ',' if !quoted => record.push(String::new()),
            '\r' if !quoted => {
                assert_eq!(characters.next(), Some('\n'));
                records.push(vec![String::new()]);
            }
            character => record.last_mut().unwrap().push(character),
        }
    }
    assert_eq!(records.pop(), Some(vec![String::new()]));
    records
}

#[test]
fn hostile_strings_reach_no_terminal_and_no_formula() {
    let server = Server::dev();
    let event = serde_json::json!({
        "action": "file.update",
        "actor": "other:\u{1b}[31mroot\u{202e}",
        "target": "other:=cmd|' /C calc'!A0\u{9b}2J\r\n\",",
        "source": "=s\u{200b}",
        "reason": "\u{7f}\n@SUM(1)",
        "ticket": "+1\t",
    });
    server.prints(&["append"], &event.to_string());
    let dir = TempDir::new().unwrap();
    let case = case(&server, dir.path(), &[]);
    let mut printed: Vec<String> = ["jsonl", "csv", "ocsf", "timesketch", "timesketch-csv"]
        .map(|format| server.prints(&["export", "-o", format], ""))
        .into();
    for index in [1, 4] {
        for cell in &csv(&printed[index])[1] {
            assert!(
                !cell.starts_with(['=', '+', '-', '@', '\t', '\r']),
                "{cell:?}"
            );
        }
    }
    let file = dir.path().join("case.json");
    let verified = run(
        graven().args(["verify", text(&file), "--key", &server.key]),
        "",
    );
    assert_eq!(verified.status.code(), Some(0));
    printed.extend([case, stdout(&verified)]);
    for text in printed {
        let allowed = |c: char| {
            matches!(c, '\n' | '\r') || !(c.is_control() || "\u{202e}\u{200b}".contains(c))
        };
        assert!(text.chars().all(allowed), "{text:?}");
    }
    let row = &json_lines(&server.prints(&["export", "-o", "ocsf"], ""))[0];
    assert_eq!(row["actor"]["user"]["uid"], event["actor"]);
}
