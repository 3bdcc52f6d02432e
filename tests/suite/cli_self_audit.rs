//! What a ledger says about its own running: starts, stops, configurations, and requests that it refused.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::cli_support::{Server, graven, run, stderr, stdout, text};

const POLICY: &str = r#"
[[grant]]
identity = "oidc:corp/ci"
role = "writer"
sources = ["s"]
[[grant]]
identity = "oidc:corp/eve"
role = "auditor"
"#;
const EVENT: &str = r#"{"action":"job.fail","target":"slurm://a/job/1","source":"s"}"#;
const FOREIGN: &str = r#"{"action":"job.fail","target":"slurm://a/job/1","source":"other"}"#;

struct Site {
    temporary: TempDir,
    config: PathBuf,
    /// Tokens of `oidc:corp/ci` and `oidc:corp/eve`.
    writer: String,
    auditor: String,
}

impl Site {
    fn new() -> Self {
        let temporary = TempDir::new().unwrap();
        let dir = temporary.path();
        let ledger = dir.join("ledger");
        let origin = "ledger.example/p";
        let init = ["init", "--dir", text(&ledger), "--origin", origin];
        assert!(run(graven().args(init), "").status.success());
        let token = |name: &str, subject: &str| {
            let made = run(graven().args(["token", name, "--subject", subject]), "");
            (stdout(&made).trim().to_owned(), stderr(&made))
        };
        let (writer, writer_lines) = token("ci", "oidc:corp/ci");
        let (auditor, auditor_lines) = token("eve", "oidc:corp/eve");
        let policy = dir.join("policy.toml");
        fs::write(&policy, POLICY).unwrap();
        let config = dir.join("graven.toml");
        let lines = format!(
            "dir = {ledger:?}\nlisten = \"127.0.0.1:0\"\npolicy = {policy:?}\n\n{writer_lines}\n{auditor_lines}"
        );
        fs::write(&config, lines).unwrap();
        Self {
            temporary,
            config,
            writer,
            auditor,
        }
    }

    fn serve(&self) -> Server {
        let mut command = graven();
        command.args(["serve", "--config", text(&self.config)]);
        let dir = self.temporary.path().join("ledger");
        Server::start(command, dir, TempDir::new().unwrap())
    }

    /// What the ledger says that it did, oldest first, but for policies and rules for secrets.
    fn acts(&self, server: &Server) -> Vec<Value> {
        let filter = "kind = act AND action != ledger.policy AND action != ledger.redaction";
        let log = ["log", filter, "-o", "jsonl", "--token", &self.auditor];
        let lines = server.prints(&log, "");
        lines
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

fn actions(acts: &[Value]) -> Vec<&str> {
    acts.iter()
        .map(|act| act["action"].as_str().unwrap())
        .collect()
}

fn kill(server: &Server) {
    let killed = Command::new("kill").args(["-KILL", &server.id()]).status();
    assert!(killed.unwrap().success());
}

#[test]
fn a_ledger_says_when_it_started_and_how_the_run_before_ended() {
    let site = Site::new();
    let mut server = site.serve();
    let acts = site.acts(&server);
    assert_eq!(actions(&acts), ["ledger.start", "ledger.configure"]);
    assert_eq!(acts[0]["seq"], 0);
    assert_eq!(acts[0]["submitter"], "graven:ledger.example/p");
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(
        acts[0]["act"]["start"],
        json!({"version": version, "previous": "none"})
    );
    let append = ["append", "--token", &site.writer];
    server.prints(&append, EVENT);
    assert_eq!(server.terminate(), Some(0));

    let server = site.serve();
    let acts = site.acts(&server);
    assert_eq!(
        actions(&acts)[2..],
        ["ledger.stop", "ledger.start"],
        "the configuration is the same"
    );
    assert_eq!(acts[2]["act"]["stop"], json!({"occasion": "SIGTERM"}));
    let clean = json!({"version": version, "previous": "clean", "previous_seq": acts[2]["seq"]});
    assert_eq!(acts[3]["act"]["start"], clean);
    server.prints(&append, EVENT);
    kill(&server);
    drop(server);

    let server = site.serve();
    let acts = site.acts(&server);
    assert_eq!(actions(&acts)[4..], ["ledger.start"]);
    let unclean =
        json!({"version": version, "previous": "unclean", "previous_seq": acts[3]["seq"]});
    assert_eq!(acts[4]["act"]["start"], unclean);
    let verified = ["verify", "--token", &site.auditor];
    server.prints(&verified, "");
}

#[test]
fn a_run_without_its_entries_makes_the_next_start_unclean() {
    let site = Site::new();
    let mut server = site.serve();
    assert_eq!(server.terminate(), Some(0));
    let ledger = site.temporary.path().join("ledger");
    let mut command = graven();
    command.args(["serve", "--dev", "--dir", text(&ledger)]);
    let mut dev = Server::start(command, ledger, TempDir::new().unwrap());
    dev.prints(&["append"], EVENT);
    assert_eq!(dev.terminate(), Some(0));

    let acts = site.acts(&site.serve());
    let actions = actions(&acts);
    assert_eq!(
        actions,
        [
            "ledger.start",
            "ledger.configure",
            "ledger.stop",
            "ledger.start"
        ]
    );
    assert_eq!(acts[3]["act"]["start"]["previous"], "unclean");
}

#[test]
fn another_configuration_is_an_entry_that_names_what_changed_and_no_values() {
    let site = Site::new();
    let mut server = site.serve();
    let first = &site.acts(&server)[1]["act"]["configuration"];
    let all = json!(["dir", "listen", "policy", "token.ci", "token.eve"]);
    assert_eq!(first["changed"], all);
    let digest = |configuration: &Value, name: &str| {
        let settings = configuration["settings"].as_array().unwrap();
        let named = settings.iter().find(|setting| setting["name"] == name);
        named.map(|setting| setting["digest"].as_str().unwrap().to_owned())
    };
    // SHA-256 of the JSON text "127.0.0.1:0".
    assert_eq!(
        digest(first, "listen").unwrap(),
        "2a9b887a70ecbf4fd4acb82623d4d246ecfbcd7cc39a934573d413f99af2464e"
    );
    assert_eq!(server.terminate(), Some(0));

    // Another value, one less, one more.
    let lines = fs::read_to_string(&site.config).unwrap();
    let lines = lines
        .replace("127.0.0.1:0", "127.0.0.2:0")
        .replace("oidc:corp/ci", "oidc:corp/cj");
    let lines = format!("origin = \"ledger.example/p\"\n{lines}");
    fs::write(&site.config, &lines).unwrap();
    let server = site.serve();
    let acts = site.acts(&server);
    let second = &acts.last().unwrap()["act"]["configuration"];
    assert_eq!(second["changed"], json!(["listen", "origin", "token.ci"]));
    assert_ne!(first["digest"], second["digest"]);
    assert_eq!(digest(first, "token.eve"), digest(second, "token.eve"));
    let shown = second.to_string();
    assert!(
        !shown.contains("127.0.0.2") && !shown.contains("cj"),
        "{shown}"
    );
    drop(server);

    // A flag wins over the file, and is part of what is in force.
    let mut command = graven();
    command.args(["serve", "--config", text(&site.config)]);
    command.args(["--listen", "127.0.0.1:0"]);
    let dir = site.temporary.path().join("ledger");
    let server = Server::start(command, dir, TempDir::new().unwrap());
    let acts = site.acts(&server);
    let third = &acts.last().unwrap()["act"]["configuration"];
    assert_eq!(third["changed"], json!(["listen"]));
    assert_eq!(digest(first, "listen"), digest(third, "listen"));
}

#[test]
fn refused_requests_are_counted_by_who_what_and_why() {
    let site = Site::new();
    let mut server = site.serve();
    let refused = |token: &str, arguments: &[&str], input: &str| {
        let output = server.run(&[arguments, &["--token", token]].concat(), input);
        assert!(!output.status.success(), "{arguments:?}");
    };
    refused("nobody", &["append"], EVENT);
    refused("nobody", &["append"], EVENT);
    refused(&site.auditor, &["append"], EVENT);
    refused(&site.writer, &["append"], FOREIGN);
    refused(&site.writer, &["show", "0"], "");
    assert_eq!(server.terminate(), Some(0));

    let server = site.serve();
    let acts = site.acts(&server);
    assert_eq!(
        actions(&acts),
        [
            "ledger.start",
            "ledger.configure",
            "ledger.refuse",
            "ledger.stop",
            "ledger.start"
        ]
    );
    let refusals = acts[2]["act"]["refusals"]["refusals"].as_array().unwrap();
    let counted = |submitter: Value, reason: &str, service: &str| {
        let meant = |refusal: &&Value| {
            let method = refusal["method"].as_str().unwrap();
            refusal["submitter"] == submitter
                && refusal["reason"] == reason
                && method.starts_with(service)
        };
        refusals.iter().find(meant).map(|refusal| &refusal["count"])
    };
    let append = "/graven.v1.LedgerService/Append";
    let (ci, eve) = (json!("oidc:corp/ci"), json!("oidc:corp/eve"));
    assert_eq!(refusals.len(), 4, "{refusals:?}");
    assert_eq!(counted(json!(null), "UNAUTHENTICATED", ""), Some(&json!(2)));
    assert_eq!(counted(eve, "ROLE_MISSING", append), Some(&json!(1)));
    assert_eq!(
        counted(ci.clone(), "OUT_OF_BOUNDS", append),
        Some(&json!(1))
    );
    assert_eq!(counted(ci, "ROLE_MISSING", "/graven.v1."), Some(&json!(1)));
}

/// That a development ledger begins with its first event.
#[test]
fn a_development_ledger_says_nothing_about_itself() {
    let server = Server::dev();
    let receipt = server.prints(&["append", "-o", "json"], EVENT);
    let receipt: Value = serde_json::from_str(&receipt).unwrap();
    assert_eq!(receipt[0]["seq"], 0, "{receipt}");
}
