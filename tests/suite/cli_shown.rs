//! What rows leave open is told: which time stands there, what is withheld, how many targets there are; and tables stand in
//! columns, whatever the terminal is like.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};

use graven::entry::Tag;
use serde_json::Value;

use super::cli_attested::{Site, Step};
use super::cli_support::{Server, graven, run, stderr, stdout};

const NOTE: &str = "* when it was recorded: when it occurred was not said or is withheld\n";

fn event(target: &str, actor: &str, occurred_at: &str) -> String {
    let mut event = serde_json::json!({
        "action": "file.update", "source": "s", "actor": actor,
        "target": {"uri": target, "after": ["v1"]},
    });
    if !occurred_at.is_empty() {
        event["occurred_at"] = occurred_at.into();
    }
    format!("{event}\n")
}

/// Three events that do not come in the order in which they occurred, and one that does not say when it did.
fn server() -> Server {
    let server = Server::dev();
    let events = [
        event("other:a", "other:x", "2024-06-20T14:00:59.05Z"),
        event("other:b", "other:y", "2024-06-20T14:00:59Z"),
        event("other:c", "other:x", "2024-06-20T11:30:00Z"),
        event("other:d", "other:z", ""),
        event("other:e", "other:x", "2024-06-20T12:00:00Z"),
    ];
    server.prints(&["append"], &events.concat());
    server
}

#[test]
fn a_time_that_is_not_when_it_occurred_is_marked() {
    let server = server();
    let log = |filter: &[&str]| {
        let output = server.run(&[&["log", "-N"], filter].concat(), "");
        (stdout(&output), stderr(&output))
    };
    let (table, said) = log(&["--actor", "other:z"]);
    let row = table.lines().nth(1).unwrap();
    assert!(row.contains("Z*  other:z"), "{table}");
    assert!(said.starts_with(NOTE), "{said}");
    let (table, said) = log(&["--actor", "other:y"]);
    assert!(table.contains("2024-06-20T14:00:59Z  other:y"), "{table}");
    assert!(!said.contains('*'), "{said}");
    let row = server.prints(&["log", "--actor", "other:z", "-o", "json"], "");
    assert_eq!(
        serde_json::from_str::<Value>(&row).unwrap()[0]["occurred_at"],
        Value::Null
    );

    let (table, said) = log(&["--actor", "other:z", "--group-by", "actor"]);
    assert!(
        table.contains("Z*") && said.starts_with(NOTE),
        "{table}{said}"
    );
    let blame = server.run(&["blame", "other:d"], "");
    assert!(stdout(&blame).contains("Z*  other:z"), "{}", stdout(&blame));
    assert!(stderr(&blame).starts_with(NOTE), "{}", stderr(&blame));
}

#[test]
fn a_summary_says_from_when_to_when() {
    let server = server();
    let said = |arguments: &[&str]| stderr(&server.run(&[&["log"], arguments].concat(), ""));
    let all = said(&["--target", "other:*", "occurred_at > 2024-01-01T00:00:00Z"]);
    assert!(all.contains("from      2024-06-20T11:30:00Z\n"), "{all}");
    assert!(all.contains("to        2024-06-20T14:00:59.05Z\n"), "{all}");
    let with = said(&["--target", "other:*"]);
    let to = with.lines().find(|line| line.starts_with("to ")).unwrap();
    assert!(to.ends_with("Z*"), "{with}");

    for some in [["--last", "2"], ["--first", "2"]] {
        let some = said(&[&some[..], &["--target", "other:*"]].concat());
        let occurred = "occurred  from 2024-06-20T11:00:00Z to before 2024-06-20T15:00:00Z\n";
        assert!(some.contains(occurred), "{some}");
        assert!(some.contains("\nrecorded  from 20"), "{some}");
        assert!(!some.contains("\nfrom "), "{some}");
    }
}

#[test]
fn a_csv_file_has_every_target_and_says_what_is_withheld() {
    let server = Server::dev();
    let event = r#"{"action":"file.update","source":"s","actor":"other:x","targets":[{"uri":"other:a","after":["v1"]},{"uri":"other:\"b\",\u202e","owner":"other:y"}]}"#;
    server.prints(&["append"], event);
    let only = ["--actor", "other:x"];
    let row: Value = server
        .prints(&[&["log", "-o", "jsonl"], &only[..]].concat(), "")
        .parse()
        .unwrap();
    let csv = server.prints(&[&["log", "-o", "csv"], &only[..]].concat(), "");
    let (columns, record) = csv.split_once("\r\n").unwrap();
    assert!(columns.ends_with(",target,before,after,targets,withheld,erased,all_targets"));
    assert!(record.contains(",other:a,,v1,2,,,\""), "{record}");
    let (_, targets) = record.split_once(",,\"[").unwrap();
    let targets = targets
        .strip_suffix("\"\r\n")
        .unwrap()
        .replace("\"\"", "\"");
    let targets: Value = format!("[{targets}").parse().unwrap();
    assert_eq!(targets, row["targets"]);

    let export = [
        &["export", "-o", "csv", "--withhold", "who,what"],
        &only[..],
    ]
    .concat();
    let hidden = server.prints(&export, "");
    assert!(hidden.ends_with(",who what,,\r\n"), "{hidden}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_withheld_does_not_look_absent() {
    let site = Site::of(&[Step::Signs]).await;
    let log = ["log", "--no-proof", "-N", "action = file.update"];
    for (tag, row) in [
        (Tag::Who, "(withheld)  file.update  fs://nfs1/a"),
        (Tag::What, "oidc:corp/alice  (withheld)  (withheld)"),
    ] {
        let output = site.run(Some((0, tag)), &log).await;
        let table = stdout(&output);
        assert!(table.contains(row), "{table}{}", stderr(&output));
    }
}

#[test]
fn followed_entries_stand_below_one_header() {
    let server = Server::dev();
    for command in ["tail", "watch"] {
        let sent = server.prints(&["append"], &event("other:a", "other:x", ""));
        let first = sent.trim();
        let mut child = server
            .command(&[command, "--from", first])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut line = || lines.next().unwrap().unwrap();
        let (header, row) = (line(), line());
        let long = "other:a-name-that-is-much-longer-than-the-column";
        server.prints(&["append"], &event("other:b", long, ""));
        let mut next = line();
        // The ledger itself may have had something to seal in between.
        while !next.contains("other:a-") {
            assert!(!next.contains("SEQ"), "{next}");
            next = line();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let mut said = String::new();
        let mut pipe = child.stderr.take().unwrap();
        pipe.read_to_string(&mut said).unwrap();
        assert_eq!(said.matches(NOTE).count(), 1, "{said}");
        let at = |line: &str, word: &str| line.find(word).unwrap();
        for (word, name) in [("other:", "ACTOR"), ("file.update", "ACTION")] {
            assert_eq!(at(&row, word), at(&header, name), "{header}\n{row}");
            assert_eq!(at(&next, word), at(&header, name), "{header}\n{next}");
        }
        assert!(next.len() <= 80, "{next}");
        let help = server.prints(&[command, "--help"], "");
        let says = help.contains("proved") && help.contains("graven log --from SEQ");
        assert!(says, "{help}");
    }
}

#[test]
fn a_terminal_of_no_width_gets_words() {
    let server = server();
    let lines = |columns: u32| {
        let graven = env!("CARGO_BIN_EXE_graven");
        let command = format!("stty cols {columns}; {graven} log -N --target 'other:*'");
        let mut script = Command::new("script");
        script.args(["-qec", &command, "/dev/null"]);
        script
            .env("GRAVEN_SERVER", &server.url)
            .env("GRAVEN_KEY", &server.key)
            .env_remove("COLUMNS");
        stdout(&run(&mut script, ""))
    };
    if Command::new("script").arg("--version").output().is_err() {
        eprintln!("skipped: there is no script(1) to make a terminal");
        return;
    }
    let piped = stdout(&run(
        graven()
            .args(["log", "-N", "--target", "other:*"])
            .env("GRAVEN_SERVER", &server.url)
            .env("GRAVEN_KEY", &server.key),
        "",
    ));
    let header = piped.lines().next().unwrap().trim();
    assert!(lines(0).contains(header), "{}", lines(0));
    for columns in [1, 20, 44] {
        let shown = lines(columns);
        assert!(
            shown.contains("other:a") && shown.contains("other:x"),
            "{columns}: {shown}"
        );
    }
}
