//! Names that mean the same, on the command line; and who had to do with an entry.

use serde_json::Value;

use super::cli_support::{Server, stderr};

/// Alice has a user id on a cluster from January to June, which is Mallory's afterwards, and an address in git.
const EVENTS: &str = r#"{"action":"identity.link","source":"ldap:corp","link":{"from":"unix:a100/10432","to":"oidc:corp/alice","valid_from":"2026-01-05T00:00:00Z","valid_to":"2026-06-01T00:00:00Z","authority":"ldap:corp"}}
{"action":"identity.link","source":"hr:corp","link":{"from":"git:alice@example.com","to":"unix:a100/10432","authority":"hr:corp"}}
{"action":"target.link","source":"mounts","link":{"from":"file://gpu-17/mnt/a.py","to":"fs://nfs-1/a.py","authority":"mounts"}}
{"action":"file.update","actor":"unix:a100/10432","source":"agent:one","occurred_at":"2026-03-01T00:00:00Z","target":{"uri":"file://gpu-17/mnt/a.py","owner":"oidc:corp/alice"}}
{"action":"file.update","actor":"unix:a100/10432","source":"agent:one","occurred_at":"2026-07-01T00:00:00Z","target":"fs://nfs-1/b.py"}
{"action":"ref.update","actor":"git:alice@example.com","source":"git","occurred_at":"2026-02-01T00:00:00Z","target":"git://git.example/train"}
{"action":"job.submit","actor":"oidc:corp/alice","source":"slurm:a100","target":"slurm://a100/job/7","on_behalf_of":["oidc:corp/bob"]}"#;

fn server() -> Server {
    let server = Server::dev();
    server.prints(&["append"], EVENTS);
    server
}

fn seqs(server: &Server, arguments: &[&str]) -> Vec<u64> {
    let all = [&["log", "-o", "jsonl"], arguments].concat();
    let rows = server.prints(&all, "");
    let seq = |row: &str| {
        serde_json::from_str::<Value>(row).unwrap()["seq"]
            .as_u64()
            .unwrap()
    };
    rows.lines().map(seq).collect()
}

#[test]
fn a_name_is_asked_for_with_all_that_it_means_at_the_time() {
    let server = server();
    let cases: [(&[&str], &[u64]); 9] = [
        (&["actor = oidc:corp/alice"], &[3, 5, 6]),
        (&["--actor", "oidc:corp/alice"], &[3, 5, 6]),
        (&["actor = oidc:corp/alice", "--no-links"], &[6]),
        (&["actor = git:alice@example.com"], &[3, 4, 5]),
        (&["actor:* AND NOT actor = oidc:corp/alice"], &[4]),
        (&["actor != oidc:corp/alice"], &[4]),
        (&["actor = oidc:corp/ali*"], &[6]),
        (&["target = fs://nfs-1/a.py"], &[3]),
        // As of a checkpoint without the second link.
        (&["actor = git:alice@example.com", "--at", "1"], &[]),
    ];
    for (arguments, expected) in cases {
        assert_eq!(seqs(&server, arguments), expected, "{arguments:?}");
    }
    assert_eq!(seqs(&server, &["linked = oidc:corp/alice"]), [0]);
}

#[test]
fn what_a_name_was_taken_for_is_said_with_whose_word_it_is() {
    let server = server();
    let said = |arguments: &[&str]| stderr(&server.run(arguments, "")).to_owned();
    let all = said(&["log", "--actor", "oidc:corp/alice", "-o", "csv"]);
    for line in [
        "oidc:corp/alice is also unix:a100/10432 from 2026-01-05T00:00:00Z until 2026-06-01T00:00:00Z: ldap:corp in entry 0, sent by dev:anonymous",
        "oidc:corp/alice is also git:alice@example.com from 2026-01-05T00:00:00Z until 2026-06-01T00:00:00Z: hr:corp in entry 1",
        "complete to checkpoint 7",
    ] {
        assert!(all.contains(line), "{all}");
    }
    let plain = said(&[
        "log",
        "--actor",
        "oidc:corp/alice",
        "--no-links",
        "-o",
        "csv",
    ]);
    assert!(!plain.contains("is also"), "{plain}");
    let quiet = said(&["log", "--actor", "oidc:corp/alice", "-q", "-o", "csv"]);
    assert_eq!(quiet, "");
    let explained = said(&[
        "log",
        "--actor",
        "oidc:corp/alice",
        "--explain",
        "-o",
        "csv",
    ]);
    assert!(
        explained.contains("terms     actor = unix:a100/10432"),
        "{explained}"
    );
}

#[test]
fn a_link_that_is_taken_back_holds_no_more_from_then_on() {
    let server = server();
    let never = EVENTS
        .lines()
        .next()
        .unwrap()
        .replace("2026-06-01", "2026-01-05");
    server.prints(&["append"], &never);
    assert_eq!(seqs(&server, &["actor = oidc:corp/alice"]), [6]);
    // What was answered before is answered again.
    assert_eq!(
        seqs(&server, &["actor = oidc:corp/alice", "--at", "7"]),
        [3, 5, 6]
    );
}

#[test]
fn an_entry_is_shown_with_everybody_who_has_to_do_with_it() {
    let server = server();
    let shown = server.run(&["show", "3"], "");
    let fields = String::from_utf8(shown.stdout.clone()).unwrap();
    for (field, value) in [
        ("submitter", "dev:anonymous (NOT authenticated"),
        ("actor", "unix:a100/10432 (asserted)"),
        ("also", "git:alice@example.com: hr:corp in entry 1"),
        ("also", "oidc:corp/alice"),
        ("owner", "oidc:corp/alice"),
        ("signature", "none by the actor"),
    ] {
        let found = fields
            .lines()
            .any(|line| line.trim_start().starts_with(field) && line.contains(value));
        assert!(found, "{field} {value} in\n{fields}");
    }
    assert_eq!(stderr(&shown), "in the tree of checkpoint 7\n");
    // The user id was no longer hers.
    let later = server.prints(&["show", "4"], "");
    assert!(!later.contains("oidc:corp/alice"), "{later}");
    let alone = server.prints(&["show", "3", "--no-links"], "");
    assert!(!alone.contains("git:alice"), "{alone}");
    let chain = server.prints(&["show", "6"], "");
    assert!(chain.contains("oidc:corp/bob"), "{chain}");
    let row: Value =
        serde_json::from_str(&server.prints(&["show", "3", "-o", "json"], "")).unwrap();
    assert_eq!(row["actor"], "unix:a100/10432");
    let link = server.prints(&["show", "0"], "");
    assert!(link.contains("unix:a100/10432 = oidc:corp/alice"), "{link}");
}

#[test]
fn an_entry_is_not_shown_on_the_word_of_a_server_with_another_key() {
    let server = server();
    let other = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8";
    let refused = server.run(&["show", "3", "--key", other], "");
    assert_eq!(refused.status.code(), Some(3));
    assert!(refused.stdout.is_empty());
    let beyond = server.run(&["show", "70"], "");
    assert_eq!(beyond.status.code(), Some(2));
    assert!(
        stderr(&beyond).contains("the ledger has 7"),
        "{}",
        stderr(&beyond)
    );
}

#[test]
fn what_is_exported_is_what_is_seen() {
    let server = server();
    let export = |more: &[&str]| {
        let all = [
            &["export", "-o", "jsonl", "--actor", "oidc:corp/alice"],
            more,
        ]
        .concat();
        server.prints(&all, "").lines().count()
    };
    assert_eq!(export(&[]), 3);
    assert_eq!(export(&["--no-links"]), 1);
    let directory = tempfile::TempDir::new().unwrap();
    let case = directory.path().join("case.json");
    let case = case.to_str().unwrap();
    server.prints(&["export", "--actor", "oidc:corp/alice", "--out", case], "");
    let verified = server.prints(&["verify", case], "");
    assert!(verified.contains("3 entries"), "{verified}");
}

/// A file that is renamed twice, and copied; another is created under its first name, and one renamed to that.
const RENAMES: &str = r#"{"action":"file.create","source":"s","target":"fs://n/a"}
{"action":"file.update","source":"s","target":"fs://n/a"}
{"action":"file.rename","source":"s","target":{"uri":"fs://n/b","previous_uri":"fs://n/a","before":"v1","after":"v1"}}
{"action":"file.update","source":"s","target":"fs://n/b"}
{"action":"file.create","source":"s","target":"fs://n/a"}
{"action":"file.rename","source":"s","target":{"uri":"fs://n/c","previous_uri":"fs://n/b"}}
{"action":"file.copy","source":"s","target":{"uri":"fs://n/d","previous_uri":"fs://n/c"}}
{"action":"file.rename","source":"s","target":{"uri":"fs://n/a","previous_uri":"fs://n/e"}}"#;
const HINT: &str = "what was done under its other names is not in this answer: ask for these too (graven blame \
                    follows them)";

#[test]
fn that_a_target_was_renamed_is_said_where_it_is_asked_for() {
    let server = Server::dev();
    server.prints(&["append"], RENAMES);
    let renamed = |arguments: &[&str]| -> Vec<String> {
        let output = server.run(arguments, "");
        assert!(output.status.success(), "{}", stderr(&output));
        let said = stderr(&output);
        let marks = ["was renamed to", "more rename", "other names"];
        let about = |line: &&str| marks.iter().any(|mark| line.contains(mark));
        said.lines().filter(about).map(str::to_owned).collect()
    };
    let a_to_b = "fs://n/a was renamed to fs://n/b by entry 2";
    let b_to_c = "fs://n/b was renamed to fs://n/c by entry 5";
    let e_to_a = "fs://n/e was renamed to fs://n/a by entry 7";
    // Backward and forward, and at each name only while it was this target's. A copy gives no name.
    let cases: [(&[&str], &[&str]); 9] = [
        (&["log", "--target", "fs://n/b"], &[a_to_b, b_to_c]),
        (&["log", "--target", "fs://n/c"], &[a_to_b, b_to_c]),
        (&["log", "--target", "fs://n/a"], &[a_to_b, b_to_c, e_to_a]),
        (&["log", "--target", "fs://n/e"], &[e_to_a]),
        (&["log", "--target", "fs://n/d"], &[]),
        (&["log", "--target", "fs://n/b", "--at", "4"], &[a_to_b]),
        (
            &["log", "--target", "fs://n/c", "-o", "json"],
            &[a_to_b, b_to_c],
        ),
        (&["log", "input = fs://n/e", "--count"], &[e_to_a]),
        (&["export", "--target", "fs://n/e", "-o", "csv"], &[e_to_a]),
    ];
    for (arguments, expected) in cases {
        let hint = (!expected.is_empty()).then_some(HINT);
        let expected: Vec<&str> = expected.iter().copied().chain(hint).collect();
        assert_eq!(renamed(arguments), expected, "{arguments:?}");
    }
    // The answer itself stays what was asked.
    assert_eq!(seqs(&server, &["--target", "fs://n/b"]), [2, 3]);
    let silent: [&[&str]; 5] = [
        &["log", "--target", "fs://n/b", "--no-links"],
        &["log", "--target", "fs://n/b", "-q"],
        &["log", "--target", "fs://n/*"],
        &["log", "--target", "fs://n/none"],
        &[
            "log",
            "target = fs://n/a OR target = fs://n/b OR target = fs://n/c OR target = fs://n/e",
        ],
    ];
    for arguments in silent {
        assert_eq!(renamed(arguments), Vec::<String>::new(), "{arguments:?}");
    }
}

#[test]
fn of_many_renames_some_are_said_and_that_there_are_more() {
    let server = Server::dev();
    let rename = |number: u64| {
        format!(
            r#"{{"action":"file.rename","source":"s","target":{{"uri":"fs://n/saved","previous_uri":"fs://n/saved.{number}"}}}}"#
        )
    };
    let events: Vec<String> = (0..300).map(rename).collect();
    server.prints(&["append"], &events.join("\n"));
    let said = |arguments: &[&str]| stderr(&server.run(arguments, ""));
    let all = said(&["log", "--count", "--target", "fs://n/saved"]);
    assert!(all.contains("fs://n/saved.4 was renamed to"), "{all}");
    assert!(!all.contains("fs://n/saved.5 was renamed to"), "{all}");
    assert!(
        all.contains("there are more renames than are followed"),
        "{all}"
    );
    let some = said(&["log", "--count", "--target", "fs://n/saved", "--at", "9"]);
    assert!(some.contains("and 4 more renames\n"), "{some}");
}
