//! An incident like the one of 2024, as events, and the commands of docs/investigation.md that solve it: a shared file is
//! edited in place, a checkpoint is given a payload that runs as its victim, jobs are killed, and a colleague is blamed.

use serde_json::Value;

use super::cli_support::{Server, stderr, text};

const INCIDENT: &str = include_str!("../data/incident.jsonl");
const OPTIMIZER: &str = "fs://lustre-1/envs/shared/torch/optim/adamw.py";
const CHECKPOINT: &str = "fs://lustre-1/ckpt/vision/last.pt";
/// The numeric user that was somebody else's until February, and mallory's from March on.
const UID: &str = "unix:a100/10432";

fn server() -> Server {
    let server = Server::dev();
    server.prints(&["append"], INCIDENT);
    server
}

fn rows(server: &Server, arguments: &[&str]) -> Vec<Value> {
    let output = server.prints(&[arguments, &["-o", "jsonl"]].concat(), "");
    output
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn texts<'a>(rows: &'a [Value], field: &str) -> Vec<&'a str> {
    rows.iter().filter_map(|row| row[field].as_str()).collect()
}

#[test]
fn what_differs_under_the_slow_run_is_a_shared_file_that_somebody_edited() {
    let server = server();
    let rows = rows(&server, &["diff", "7001", "7040"]);
    let changed = rows.iter().find(|row| row["kind"] == "changed_by").unwrap();
    assert_eq!(changed["name"], OPTIMIZER);
    assert!(changed.to_string().contains(UID), "{changed}");
    let dataset = "dataset://lab/web-2024";
    assert!(rows.iter().all(|row| !row.to_string().contains(dataset)));
}

#[test]
fn blame_names_who_edited_it_and_that_it_changed_once_more_unrecorded() {
    let server = server();
    let rows = rows(&server, &["blame", OPTIMIZER]);
    let actors: Vec<&str> = texts(&rows, "actor");
    assert_eq!(actors, ["oidc:corp/dave", UID, UID, "oidc:corp/dave"]);
    let tickets: Vec<bool> = rows
        .iter()
        .filter(|row| row["actor"] == UID)
        .map(|row| row.get("ticket").is_some())
        .collect();
    assert_eq!(tickets, [false, false]);
    let gap = rows.iter().find(|row| row["kind"] == "gap").unwrap();
    assert_eq!(gap["from"], "2024-06-12T10:31:09Z");
    assert_eq!(gap["to"], "2024-06-17T08:20:00Z");
}

#[test]
fn the_source_that_should_have_seen_it_was_switched_off() {
    let server = server();
    let arguments = [
        "coverage",
        "--by",
        "occurred",
        "--since",
        "2024-06-05",
        "--until",
        "2024-06-18",
        "--silence",
        "25h",
        "--source",
        "agent:*",
    ];
    let rows = rows(&server, &arguments);
    let login = rows
        .iter()
        .find(|row| row["source"] == "agent:login-1")
        .unwrap();
    assert_eq!(login["silences"][0]["from"], "2024-06-14T00:05:00Z");
    assert_eq!(login["missing"], 3);
    let others = rows.iter().filter(|row| row["source"] != "agent:login-1");
    assert!(
        others
            .into_iter()
            .all(|row| row["missing"] == 0 && row["silences"] == Value::Array(Vec::new()))
    );
}

#[test]
fn the_kill_under_a_colleagues_account_leads_to_the_checkpoint_that_the_account_loaded() {
    let server = server();
    let reached = rows(&server, &["explain", "7060"]);
    let kill = &reached[0];
    assert_eq!(kill["kind"], "kill");
    assert_eq!(kill["whose"], "foreign");
    // It ran as carol, in her run 7055 …
    assert_eq!(kill["actor"], "unix:a100/10500");
    let seq = kill["seq"].to_string();
    let show: Value =
        serde_json::from_str(&server.prints(&["show", &seq, "-o", "json"], "")).unwrap();
    assert_eq!(show["run"]["id"], "7055");
    // … and that run had loaded a checkpoint of hers that somebody else had overwritten.
    let edges = rows(&server, &["trace", "7055"]);
    let overwritten = edges.iter().find(|edge| {
        edge["action"] == "checkpoint.overwrite" && edge["to"]["target"] == CHECKPOINT
    });
    let overwritten = overwritten.unwrap();
    assert_eq!(overwritten["actor"], UID);
    assert_eq!(overwritten["foreign"], true);
    let loaded = edges
        .iter()
        .find(|edge| edge["action"] == "checkpoint.load")
        .unwrap();
    assert_eq!(loaded["from"]["version"], overwritten["to"]["version"]);
}

#[test]
fn one_name_finds_what_a_person_did_to_others_under_every_name() {
    let server = server();
    let arguments = ["log", "--actor", "oidc:corp/mallory", "foreign = true"];
    let output = server.run(&arguments, "");
    let says = stderr(&output);
    assert!(says.contains("complete to checkpoint"), "{says}");
    assert!(
        says.contains("unix:a100/10432 from 2024-03-01T00:00:00Z"),
        "{says}"
    );
    let found = rows(&server, &arguments);
    let actions = [
        "file.update",
        "file.update",
        "checkpoint.overwrite",
        "job.cancel",
    ];
    assert_eq!(texts(&found, "action"), actions);
    // Whoever had the number before is not blamed for it.
    let arguments = ["log", "--actor", "oidc:corp/erin", "foreign = true"];
    assert_eq!(rows(&server, &arguments), Vec::<Value>::new());
    // Nobody is found without the links.
    let arguments = [
        "log",
        "--no-links",
        "--actor",
        "oidc:corp/mallory",
        "foreign = true",
    ];
    assert_eq!(rows(&server, &arguments), Vec::<Value>::new());
}

#[test]
fn the_blamed_colleague_did_nothing_of_it_and_that_is_proved() {
    let server = server();
    let arguments = [
        "log",
        "--actor",
        "oidc:corp/bob",
        "--exit-code",
        "target = \"fs://lustre-1/*\" OR action = process.signal OR action = job.cancel",
    ];
    let output = server.run(&arguments, "");
    assert_eq!(output.status.code(), Some(1));
    let says = stderr(&output);
    assert!(
        says.contains("0 entries of all 88: complete to checkpoint 88"),
        "{says}"
    );
    assert!(says.contains("slurm:a100/bob"), "{says}");
    assert!(
        says.contains("absence in the ledger is not absence in the world"),
        "{says}"
    );
    // The commit in bob's name was pushed with another key, which has an owner.
    let commits = rows(&server, &["log", "--actor", "git:bob@example.com"]);
    let credential = commits[0]["session"]["credential"].as_str().unwrap();
    assert_eq!(commits[0]["assurance"], "asserted");
    let filter = format!("linked = \"{credential}\"");
    let link = rows(&server, &["log", &filter]);
    assert_eq!(link[0]["link"]["to"], "oidc:corp/mallory");
}

#[test]
fn the_case_is_handed_over_in_a_file() {
    let server = server();
    let dir = tempfile::TempDir::new().unwrap();
    let file = dir.path().join("case.json");
    let arguments = [
        "export",
        "--actor",
        "oidc:corp/mallory",
        "foreign = true",
        "--out",
        text(&file),
    ];
    server.prints(&arguments, "");
    let verdict = server.prints(&["verify", text(&file)], "");
    assert!(verdict.starts_with("OK"), "{verdict}");
    assert!(verdict.contains("4 "), "{verdict}");
}
