//! Questions on the command line: filters, proofs, what an answer is worth, and who made which version of a file.

use serde_json::Value;

use super::cli_support::{Server, stderr, stdout, text};
use super::git_support::Repo;

fn rows(output: &str) -> Vec<Value> {
    output
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn event(actor: &str, action: &str, target: &str, owner: &str) -> String {
    format!(
        r#"{{"actor":"{actor}","action":"{action}","source":"agent:one","target":{{"uri":"{target}","owner":"{owner}"}}}}"#
    )
}

/// Five events of two actors.
fn server() -> Server {
    let server = Server::dev();
    let events = [
        event(
            "oidc:corp/alice",
            "file.update",
            "fs://nfs-1/a.py",
            "oidc:corp/alice",
        ),
        event(
            "oidc:corp/mallory",
            "file.update",
            "fs://nfs-1/a.py",
            "oidc:corp/alice",
        ),
        event(
            "oidc:corp/mallory",
            "job.cancel",
            "slurm://a100/job/7",
            "oidc:corp/bob",
        ),
        event("oidc:corp/mallory", "file.read", "fs://nfs-1/b*.py", ""),
        event("oidc:corp/alice", "file.read", "fs://nfs-1/bc.py", ""),
    ];
    server.prints(&["append"], &events.join("\n"));
    server
}

fn seqs(server: &Server, arguments: &[&str]) -> Vec<u64> {
    let all = [&["log", "-o", "jsonl"], arguments].concat();
    let rows = rows(&server.prints(&all, ""));
    rows.iter()
        .map(|row| row["seq"].as_u64().unwrap())
        .collect()
}

#[test]
fn flags_and_filters_ask_the_same() {
    let server = server();
    let cases: [(&[&str], &[u64]); 14] = [
        (&["--actor", "oidc:corp/mallory"], &[1, 2, 3]),
        (&["--actor", "*alice"], &[0, 4]),
        (&["--actor", "!oidc:corp/mallory"], &[0, 4]),
        (
            &[
                "--actor",
                "*alice",
                "--actor",
                "*mallory",
                "--action",
                "file.update",
            ],
            &[0, 1],
        ),
        (&["--action", "file.*", "--action", "!file.read"], &[0, 1]),
        (&["--target", "fs://nfs-1/b*.py"], &[3, 4]),
        (&["target", "=", "\"fs://nfs-1/b\\*.py\""], &[3]),
        (&["foreign = true"], &[1, 2]),
        (
            &[
                "foreign",
                "=",
                "true",
                "AND",
                "NOT",
                "action",
                "=",
                "job.cancel",
            ],
            &[1],
        ),
        (
            &[
                "action = job.cancel OR action = file.read",
                "--actor",
                "*mallory",
            ],
            &[2, 3],
        ),
        (&["seq > 1", "--reverse"], &[4, 3, 2]),
        (&["--at", "2", "actor:*"], &[0, 1]),
        (
            &[
                "--since",
                "-1h",
                "--until",
                "now",
                "--source",
                "agent:one",
                "--limit",
                "1",
            ],
            &[0],
        ),
        (&["--no-proof", "bc.py"], &[4]),
    ];
    for (arguments, expected) in cases {
        assert_eq!(seqs(&server, arguments), expected, "{arguments:?}");
    }
    let by_occurred = seqs(&server, &["--since", "-1h", "--by", "occurred"]);
    assert!(
        by_occurred.is_empty(),
        "nothing said when it occurred: {by_occurred:?}"
    );
}

#[test]
fn an_answer_says_what_it_is_worth() {
    let server = server();
    let said = |arguments: &[&str]| stderr(&server.run(arguments, "")).to_owned();
    let all = ["log", "--actor", "*mallory", "-o", "csv"];
    assert_eq!(
        said(&all),
        "3 entries of all 5: complete to checkpoint 5 (every entry checked)\nheard from 1 source\n"
    );
    assert_eq!(
        said(&[&all[..], &["--no-proof"]].concat()),
        "3 entries of all 5: not proved to be all\nheard from 1 source\n"
    );
    assert_eq!(said(&[&all[..], &["-q"]].concat()), "");
    let part = said(&["log", "--from", "1", "--to", "2", "-o", "csv"]);
    assert!(
        part.starts_with("2 entries of those from 1 to before 3: complete"),
        "{part}"
    );
    let unpinned = said(&["log", "--key", "", "-o", "csv"]);
    assert!(
        unpinned.contains("pin the right one with --key"),
        "{unpinned}"
    );
    let explained = said(&["log", "--explain", "actor = oidc:corp/mallory gpus >= 8"]);
    for line in [
        "terms     actor = oidc:corp/mallory",
        "terms     gpus from 8",
        "5 entries",
    ] {
        assert!(explained.contains(line), "{explained}");
    }
    let stranger = server.run(&["log", "--key", OTHER_KEY], "");
    assert_eq!(stranger.status.code(), Some(3), "{}", stderr(&stranger));
    assert_eq!(stdout(&stranger), "");
}

const OTHER_KEY: &str = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8";

#[test]
fn nothing_found_and_wrong_questions_have_their_codes() {
    let server = server();
    let code = |arguments: &[&str]| server.run(arguments, "").status.code();
    assert_eq!(code(&["log", "--actor", "nobody"]), Some(0));
    assert_eq!(code(&["log", "--actor", "nobody", "--exit-code"]), Some(1));
    assert_eq!(code(&["log", "--actor", "*alice", "--exit-code"]), Some(0));
    assert_eq!(code(&["log", "--at", "99"]), Some(2));
    assert_eq!(code(&["log", "--from", "99"]), Some(2));
    assert_eq!(code(&["log", "--from", "3", "--to", "1"]), Some(2));
    assert_eq!(code(&["log", "--outcome", "good"]), Some(2));
    let wrong = server.run(&["log", "actor = x AND tarrget = y"], "");
    assert_eq!(wrong.status.code(), Some(2));
    let said = stderr(&wrong);
    assert!(said.contains("did you mean target?"), "{said}");
    assert!(
        said.ends_with("actor = x AND tarrget = y\n              ^\n"),
        "{said}"
    );
}

#[test]
fn blame_agrees_with_git_and_follows_renames() {
    let repository = Repo::new();
    let mut blobs = Vec::new();
    for (path, content) in [("a.py", "1"), ("a.py", "2"), ("other", "x"), ("a.py", "3")] {
        repository.write(path, format!("{content}\n").repeat(40));
        repository.commit(content);
        if path == "a.py" {
            blobs.push(format!("git-sha1:{}", repository.id("HEAD:a.py")));
        }
    }
    repository.git(&["mv", "a.py", "b.py"]);
    repository.commit("rename");
    let server = Server::dev();
    server.prints(&["import", "git", text(repository.path())], "");
    let log = rows(&server.prints(&["log", "-o", "jsonl", "--target", "*//b.py"], ""));
    let target = log[0]["targets"][0]["uri"].as_str().unwrap().to_owned();
    let versions = rows(&server.prints(&["blame", &target, "-o", "jsonl"], ""));
    let after: Vec<&str> = versions
        .iter()
        .map(|row| row["targets"][0]["after"][0].as_str().unwrap_or_default())
        .collect();
    assert_eq!(after.len(), 4, "{versions:?}");
    assert_eq!(after[..3], blobs[..]);
    assert_eq!(versions[3]["action"], "file.rename");
    let alone = rows(&server.prints(&["blame", &target, "--no-follow", "-o", "jsonl"], ""));
    assert_eq!(alone.len(), 1);
}

#[test]
fn blame_says_where_a_version_is_missing() {
    let server = Server::dev();
    let change = |before: &str, after: &str| {
        format!(
            r#"{{"action":"file.update","actor":"oidc:corp/alice","source":"agent:one","target":{{"uri":"fs://nfs-1/a.py","before":{before},"after":{after}}},"reason":"because","ticket":"T-1"}}"#
        )
    };
    let events = [
        change(r#""one""#, r#""two""#),
        change(r#""two""#, r#""three""#),
        change(r#""four""#, r#""pending""#),
        change(r#""six""#, r#""seven""#),
        change(
            r#""two""#,
            r#"["eight","sha256:abababababababababababababababababababababababababababababababab"]"#,
        ),
        change(
            r#"["nine","sha256:abababababababababababababababababababababababababababababababab"]"#,
            r#""ten""#,
        ),
    ];
    server.prints(&["append"], &events.join("\n"));
    let table = server.prints(&["blame", "fs://nfs-1/a.py"], "");
    for words in [
        "between entry 1",
        "and entry 2",
        "three → four",
        "entry 0 left",
        "because",
        "cannot be told",
    ] {
        assert!(table.contains(words), "no {words} in\n{table}");
    }
    assert_eq!(table.matches("changed by unknown").count(), 2, "{table}");
    let printed = rows(&server.prints(&["blame", "fs://nfs-1/a.py", "-o", "jsonl"], ""));
    let kinds: Vec<&str> = printed
        .iter()
        .map(|row| row["kind"].as_str().unwrap())
        .collect();
    let expected = [
        "event", "event", "gap", "event", "unsure", "event", "gap", "event", "event",
    ];
    assert_eq!(kinds, expected);
    assert_eq!(printed[2]["left"][0], "three");
    assert_eq!(printed[2]["found"][0], "four");
    assert_eq!(
        (&printed[2]["from_seq"], &printed[2]["to_seq"]),
        (&1.into(), &2.into())
    );
    assert_eq!(printed[6]["put_back_seq"], 0);
    let csv = server.prints(&["blame", "fs://nfs-1/a.py", "-o", "csv"], "");
    let records: Vec<&str> = csv.lines().collect();
    let width = |record: &str| record.matches(',').count();
    assert!(
        records
            .iter()
            .all(|record| width(record) == width(records[0])),
        "{csv}"
    );
    assert!(records[3].starts_with("gap,"), "{csv}");
}

#[test]
fn what_would_look_like_innocence_is_no_answer() {
    let server = server();
    let digest = "a4256c9b4a01".to_owned() + &"07".repeat(26);
    let event = format!(
        r#"{{"action":"file.update","source":"agent:one","target":{{"uri":"fs://nfs-1/z.py","after":"sha256:{digest}"}}}}"#
    );
    server.prints(&["append"], &event);
    // As the table shows it.
    for asked in ["sha256:a4256c9b4a01", "sha256:a4256c9b*"] {
        assert_eq!(seqs(&server, &["--digest", asked]), [5]);
    }
    assert_eq!(
        seqs(&server, &["--digest", "!sha256:a4256c9b4a01"]).len(),
        5
    );
    for wrong in [
        &["log", "action = file.read or action = job.cancel"][..],
        &["log", "--at", "0"],
        &["blame", "fs://nfs-1/a.py", "--at", "0"],
        &["blame", ""],
        &["explain", ""],
        &["diff", "", ""],
    ] {
        let output = server.run(wrong, "");
        assert_eq!(
            output.status.code(),
            Some(2),
            "{wrong:?}: {}",
            stderr(&output)
        );
        assert_eq!(stdout(&output), "");
    }
}
