//! Names that mean the same, and who was heard from, in what investigators ask beyond `log`.

use serde_json::Value;

use super::cli_support::{Server, run, stderr, stdout};

const EVENTS: &str = r#"{"action":"target.link","source":"s","link":{"from":"fs://nfs-1/a.py","to":"fs://lustre-1/a.py","valid_from":"2026-01-01T00:00:00Z","valid_to":"2026-06-01T00:00:00Z","authority":"ops"}}
{"action":"identity.link","source":"s","link":{"from":"unix:a100/1001","to":"oidc:c/ann","valid_from":"2026-01-01T00:00:00Z","authority":"ldap:c"}}
{"action":"file.update","actor":"oidc:c/ann","source":"s","occurred_at":"2026-02-01T00:00:00Z","target":{"uri":"fs://lustre-1/a.py","after":"v1"}}
{"action":"run.start","actor":"oidc:c/ann","source":"s","occurred_at":"2026-02-02T00:00:00Z","target":"slurm://c/job/1","run":"1","inputs":[{"uri":"fs://lustre-1/a.py","version":"v1","role":"code"}]}
{"action":"file.update","actor":"unix:a100/1001","source":"s","occurred_at":"2026-02-03T00:00:00Z","target":{"uri":"fs://nfs-1/a.py","before":"v1","after":"v2","owner":"oidc:c/ann"}}
{"action":"run.start","actor":"oidc:c/ann","source":"s","occurred_at":"2026-02-04T00:00:00Z","target":"slurm://c/job/2","run":"2","inputs":[{"uri":"fs://lustre-1/a.py","version":"v2","role":"code"}]}
{"action":"file.update","actor":"oidc:c/eve","source":"s","occurred_at":"2026-07-01T00:00:00Z","target":{"uri":"fs://nfs-1/a.py","before":"v2","after":"v3"}}"#;
const FILE: &str = "fs://lustre-1/a.py";
const ALSO: &str = "fs://lustre-1/a.py is also fs://nfs-1/a.py from 2026-01-01T00:00:00Z until \
                    2026-06-01T00:00:00Z: ops in entry 0, sent by dev:anonymous\n";
const ABSENCE: &str = "nothing matched; absence in the ledger is not absence in the world\n";

fn server() -> Server {
    let server = Server::dev();
    server.prints(&["append"], EVENTS);
    server
}

/// The rows of a question, and what was said of it.
fn ask(server: &Server, arguments: &[&str]) -> (Vec<Value>, String) {
    let output = server.run(&[arguments, &["-o", "jsonl"]].concat(), "");
    assert!(
        output.status.success(),
        "{arguments:?}: {}",
        stderr(&output)
    );
    let rows = stdout(&output);
    let rows = rows.lines().map(|row| serde_json::from_str(row).unwrap());
    (rows.collect(), stderr(&output))
}

fn seqs(rows: &[Value]) -> Vec<u64> {
    rows.iter().filter_map(|row| row["seq"].as_u64()).collect()
}

#[test]
fn a_history_goes_on_under_a_name_while_it_means_the_same() {
    let server = server();
    let (rows, said) = ask(&server, &["blame", FILE]);
    // Neither the other name's later version, nor a gap where the one name goes on from the other.
    assert_eq!(seqs(&rows), [2, 4]);
    assert_eq!(rows.len(), 2, "{rows:#?}");
    for line in [
        ALSO,
        "in answer to 3 questions",
        "from entry 2 to entry 4: heard from 1 of 1 sources in this range\n",
        "from entry 4 on: heard from 1 of 1 sources in this range\n",
    ] {
        assert!(said.contains(line), "{said}");
    }
    let (rows, said) = ask(&server, &["blame", FILE, "--no-links"]);
    assert_eq!(seqs(&rows), [2]);
    assert!(!said.contains("is also"), "{said}");
    // As of a checkpoint before the other name's version.
    let (rows, said) = ask(&server, &["blame", FILE, "--at", "4"]);
    assert_eq!(seqs(&rows), [2]);
    assert!(said.contains(ALSO), "{said}");
    let (rows, said) = ask(&server, &["blame", "fs://lustre-1/none.py"]);
    assert!(rows.is_empty());
    assert!(said.ends_with(ABSENCE), "{said}");
}

#[test]
fn a_state_has_the_targets_that_meant_the_same_and_can_be_read_without_the_index() {
    let server = server();
    let asked = [
        "log",
        "--as-of",
        "2026-08-01",
        "--by",
        "occurred",
        "--target",
        FILE,
    ];
    let with = |more: &[&str]| ask(&server, &[&asked[..], more].concat());
    let versions = |rows: &[Value]| -> Vec<String> {
        let version = |row: &Value| format!("{} {}", row["target"], row["version"][0]);
        rows.iter().map(version).collect()
    };
    let (rows, said) = with(&[]);
    let expected = [r#""fs://lustre-1/a.py" "v1""#, r#""fs://nfs-1/a.py" "v2""#];
    assert_eq!(versions(&rows), expected);
    assert!(
        said.contains(ALSO) && said.contains("heard from 1 source\n"),
        "{said}"
    );
    let (rederived, said) = with(&["--rederive"]);
    assert_eq!(rederived, rows);
    assert!(said.contains("(re-derived)"), "{said}");
    let (rows, said) = with(&["--no-links"]);
    assert_eq!(versions(&rows), expected[..1]);
    assert!(!said.contains("is also"), "{said}");
    let before = ["log", "--as-of", "2020-01-01"];
    let (rows, said) = ask(&server, &before);
    assert!(rows.is_empty());
    assert!(
        said.contains("heard from 0 of 1 sources in this range; silent: s")
            && said.ends_with(ABSENCE),
        "{said}"
    );
}

#[test]
fn nobody_is_foreign_to_a_run_of_their_own_under_another_name() {
    let server = server();
    let writer = |arguments: &[&str]| {
        let (rows, said) = ask(&server, &[&["explain", "2"], arguments].concat());
        let row = rows.into_iter().find(|row| row["seq"] == 4);
        (row, said)
    };
    let (row, said) = writer(&[]);
    let row = row.unwrap();
    assert_eq!(
        (&row["whose"], &row["foreign"], &row["actor"]),
        (&"own".into(), &false.into(), &"unix:a100/1001".into())
    );
    assert!(
        row["why"]
            .as_str()
            .unwrap()
            .starts_with("wrote the version"),
        "{row}"
    );
    for line in [
        ALSO,
        "oidc:c/ann is also unix:a100/1001",
        "from entry 2 to entry 5: heard from 1 of 1 sources in this range\n",
        "at entry 5, the run's own: heard from 1 of 1 sources in this range\n",
    ] {
        assert!(said.contains(line), "{said}");
    }
    let (row, said) = writer(&["--no-links"]);
    assert_eq!(row, None);
    assert!(!said.contains("is also"), "{said}");
}

#[test]
fn a_difference_was_made_under_another_name_and_by_no_other() {
    let server = server();
    let (rows, said) = ask(&server, &["diff", "1", "2"]);
    let change = rows.iter().find(|row| row["seq"] == 4).unwrap();
    assert_eq!(
        (&change["kind"], &change["foreign"], &change["target"]),
        (
            &"changed_by".into(),
            &false.into(),
            &"fs://nfs-1/a.py".into()
        )
    );
    for line in [
        ALSO,
        "oidc:c/ann is also unix:a100/1001",
        "from entry 3 to entry 5: heard from 1 of 1 sources in this range\n",
    ] {
        assert!(said.contains(line), "{said}");
    }
    let (rows, _) = ask(&server, &["diff", "1", "2", "--no-links"]);
    assert_eq!(rows.len(), 1, "{rows:#?}");
    let (_, said) = ask(&server, &["diff", "1", "3"]);
    assert!(said.ends_with(ABSENCE), "{said}");
}

#[test]
fn a_lineage_begins_at_every_name() {
    let server = server();
    let (rows, said) = ask(&server, &["trace", FILE]);
    assert!(seqs(&rows).contains(&4), "{rows:#?}");
    assert!(!seqs(&rows).contains(&6), "{rows:#?}");
    assert!(
        said.contains(ALSO) && said.contains("heard from 1 of 1 sources in this range\n"),
        "{said}"
    );
    let (rows, said) = ask(&server, &["trace", FILE, "--no-links"]);
    assert!(!seqs(&rows).contains(&4), "{rows:#?}");
    assert!(!said.contains("is also"), "{said}");
    let (_, said) = ask(&server, &["trace", "run:none"]);
    assert!(said.ends_with(ABSENCE), "{said}");
}

#[test]
fn a_watch_takes_the_names_of_when_it_begins_and_an_export_says_who_was_heard_from() {
    let server = server();
    let watch = ["watch", "--from", "0", "--target", FILE, "--count"];
    let (rows, said) = ask(&server, &[&watch[..], &["2"]].concat());
    assert_eq!(seqs(&rows), [2, 4]);
    let until = "watching behind checkpoint 7; until there:\nheard from 1 source\n";
    assert!(said.contains(ALSO) && said.contains(until), "{said}");
    let watched = "from entry 0 to entry 4, watched: heard from 1 of 1 sources in this range\n";
    assert!(said.ends_with(watched), "{said}");
    let (rows, said) = ask(&server, &[&watch[..], &["1", "--no-links"]].concat());
    assert_eq!(seqs(&rows), [2]);
    assert!(!said.contains("is also"), "{said}");
    let (rows, said) = ask(&server, &["export", "--target", FILE]);
    assert_eq!(seqs(&rows), [2, 4]);
    assert!(
        said.contains(ALSO) && said.contains("heard from 1 source\n"),
        "{said}"
    );
    let (_, said) = ask(&server, &["export", "--target", "fs://nfs-1/none"]);
    assert!(said.ends_with(ABSENCE), "{said}");
}

#[test]
fn what_is_shown_fits_the_terminal_and_nothing_of_it_is_lost() {
    let server = Server::dev();
    server.prints(&["append"], include_str!("../data/incident.jsonl"));
    let asked: [&[&str]; 4] = [
        &["diff", "7001", "7040"],
        &["explain", "7060"],
        &["trace", "7055"],
        &["trace", "--all", "7060"],
    ];
    for arguments in asked {
        let whole = server.prints(arguments, "");
        assert!(whole.lines().any(|line| line.chars().count() > 80));
        let fitted = stdout(&run(server.command(arguments).env("COLUMNS", "80"), ""));
        for line in fitted.lines() {
            assert!(line.chars().count() <= 80, "{line}");
        }
        let bare = |text: &str| text.replace([' ', '\n', '│'], "");
        assert_eq!(bare(&fitted), bare(&whole));
    }
}

#[test]
fn a_graph_draws_no_character_that_a_name_only_spells() {
    let server = Server::dev();
    let event = r#"{"action":"run.start","actor":"oidc:c/x","source":"s","target":"slurm://c/job/1","run":"1","inputs":["fs://n/&#8238;&lt;"]}"#;
    server.prints(&["append"], event);
    let dot = server.prints(&["trace", "1", "-o", "dot"], "");
    assert!(
        dot.contains(r#"label="fs://n/&amp;#8238;&amp;lt;""#),
        "{dot}"
    );
}
