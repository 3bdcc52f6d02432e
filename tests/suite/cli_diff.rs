//! What differs under two runs, on the command line.

use serde_json::Value;

use super::cli_support::{Server, stderr, stdout};
use super::inquiry_support::LAB;

fn rows(server: &Server, arguments: &[&str]) -> Vec<Value> {
    let printed = server.prints(arguments, "");
    printed
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn each_difference_says_who_changed_it_between_the_two_runs() {
    let server = Server::dev();
    server.prints(&["append"], LAB);
    let rows = rows(&server, &["diff", "41", "42", "-o", "jsonl"]);
    let line = |row: &Value| {
        let text = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
        match text("kind").as_str() {
            "difference" => format!("{} {}", text("aspect"), text("name")),
            kind => format!("  {kind} {} {}", row["seq"], text("actor")),
        }
    };
    let lines: Vec<String> = rows.iter().map(line).collect();
    let expected = [
        "input fs://lustre-1/ckpt/step-4000.pt → fs://lustre-1/ckpt/step-8000.pt",
        "  changed_by 8 slurm:a100/mallory",
        "  changed_by 5 slurm:a100/alice",
        "input fs://lustre-1/envs/shared/adamw.py",
        "  changed_by 7 unix:a100/10432",
        "code commit",
        "  changed_by 10 git:grace@example.com",
        "environment host",
        "gpus gpus",
        "nodes nodes",
        "  shared 9 slurm:a100/carol",
    ];
    assert_eq!(lines, expected, "{rows:#?}");
    let edited = &rows[3];
    assert!(
        edited["first"].as_str().unwrap().starts_with("sha256:a1a1"),
        "{edited}"
    );
    assert!(
        edited["second"]
            .as_str()
            .unwrap()
            .starts_with("sha256:a2a2"),
        "{edited}"
    );
    assert_eq!(rows[10]["name"], "fs://lustre-1/data/web");
    let text = server.prints(&["diff", "41", "42"], "");
    for words in [
        "run 41  pretrain-7b  2026-03-02T08:00:00Z\n",
        "input code fs://lustre-1/envs/shared/adamw.py\n",
        "changed by unix:a100/10432 (of unix:a100/0)  entry 7, 2026-03-03T03:12:55Z, file.update\n",
        "sha256:a1a1a1a1a1a1 → sha256:a2a2a2a2a2a2\n",
        "no reason was given\n",
        "shared fs://lustre-1/data/web  (both used it, the version was not recorded)\n",
        "why: DATA-7\n",
    ] {
        assert!(text.contains(words), "no {words:?} in\n{text}");
    }
    let csv = server.prints(&["diff", "41", "42", "-o", "csv"], "");
    assert_eq!(csv.matches("\r\n").count(), rows.len() + 1, "{csv}");
}

#[test]
fn what_lies_beside_a_shared_input_is_looked_at() {
    let server = Server::dev();
    let run = |id: u32, hour: u32| {
        format!(
            r#"{{"action":"run.start","actor":"oidc:c/a","source":"s","occurred_at":"2026-03-01T{hour:02}:00:00Z","target":"slurm://c/job/{id}","run":"{id}","inputs":[{{"uri":"fs://n/env/main.py","version":"v1","role":"code"}}]}}"#
        )
    };
    let edit = |hour: u32, file: &str| {
        format!(
            r#"{{"action":"file.update","actor":"oidc:c/m","source":"s","occurred_at":"2026-03-01T{hour:02}:00:00Z","target":{{"uri":"fs://n/{file}","after":"x"}}}}"#
        )
    };
    let events = [
        edit(1, "env/before.py"),
        run(1, 2),
        edit(3, "env/between.py"),
        edit(3, "elsewhere.py"),
        run(2, 4),
        edit(5, "env/behind.py"),
    ];
    server.prints(&["append"], &events.join("\n"));
    let rows = rows(&server, &["diff", "1", "2", "-o", "jsonl"]);
    assert_eq!(rows.len(), 1, "{rows:#?}");
    assert_eq!(
        (&rows[0]["kind"], &rows[0]["role"], &rows[0]["seq"]),
        (&"shared".into(), &"beside".into(), &2.into())
    );
    let same = server.run(&["diff", "1", "1"], "");
    assert_eq!(same.status.code(), Some(0));
    assert!(
        stderr(&same).contains("no difference that was recorded"),
        "{}",
        stderr(&same)
    );
    assert!(!stdout(&same).contains("changed by"), "{}", stdout(&same));
    let nobody = server.run(&["diff", "1", "3"], "");
    assert!(
        stderr(&nobody).contains("no entry names the run 3"),
        "{}",
        stderr(&nobody)
    );
    assert!(
        !stderr(&nobody).contains("no difference"),
        "{}",
        stderr(&nobody)
    );
}
