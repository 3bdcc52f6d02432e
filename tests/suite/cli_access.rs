//! The access ledger as its users see it: auditors read who read what, and nobody else does.

use std::fs;

use serde_json::Value;
use tempfile::TempDir;

use super::cli_support::{Server, graven, run, stderr, stdout, text};

const POLICY: &str = r#"
[[grant]]
identity = "oidc:corp/ci"
role = "writer"
[[grant]]
identity = "oidc:corp/reader"
role = "reader"
[[grant]]
identity = "oidc:corp/auditor"
role = "auditor"
"#;
const EVENT: &str = r#"{"action":"job.fail","target":"slurm://a/job/1","source":"s"}"#;

#[test]
fn auditors_read_who_read_what_and_the_ledger_itself_says_nothing_of_it() {
    let temporary = TempDir::new().unwrap();
    let dir = temporary.path();
    let ledger = dir.join("ledger");
    let init = |dir: &str, origin: &str| {
        let init = ["init", "--dir", dir, "--origin", origin];
        let made = run(graven().args(init), "");
        assert!(made.status.success(), "{}", stderr(&made));
    };
    init(text(&ledger), "ledger.example/p");
    let mut tokens = Vec::new();
    let policy = dir.join("policy.toml");
    fs::write(&policy, POLICY).unwrap();
    let mut lines = format!(
        "dir = {ledger:?}\nlisten = \"127.0.0.1:0\"\npolicy = {policy:?}\n\
         access_ledger = true\naccess_listen = \"127.0.0.1:0\"\n"
    );
    for name in ["ci", "reader", "auditor"] {
        let subject = format!("oidc:corp/{name}");
        let made = run(graven().args(["token", name, "--subject", &subject]), "");
        tokens.push(stdout(&made).trim().to_owned());
        lines.push('\n');
        lines.push_str(&stderr(&made));
    }
    let config = dir.join("graven.toml");
    fs::write(&config, lines).unwrap();

    // The access ledger is not made by itself: one that was taken away would begin anew.
    let refused = run(graven().args(["serve", "--config", text(&config)]), "");
    assert_eq!(refused.status.code(), Some(2));
    let said = stderr(&refused);
    let hint = format!("graven init --dir {}", text(&ledger.join("access")));
    assert!(said.contains(&hint), "{said}");
    init(text(&ledger.join("access")), "ledger.example/p/access");

    let serve = || {
        let mut command = graven();
        command.args(["serve", "--config", text(&config)]);
        Server::start_with_access(command, ledger.clone(), TempDir::new().unwrap())
    };
    let (mut server, (url, key)) = serve();
    let [writer, reader, auditor] = [&tokens[0], &tokens[1], &tokens[2]];
    server.prints(&["append", "--token", writer], EVENT);
    let asked = "target = \"slurm://a/job/1\"";
    server.prints(&["log", asked, "--token", reader], "");
    let of_access = |token: &str, arguments: &[&str]| {
        let mut command = graven();
        command.args(arguments).args(["--token", token]);
        command.env("GRAVEN_SERVER", &url).env("GRAVEN_KEY", &key);
        run(&mut command, "")
    };
    let log = ["log", "action = index.search", "-o", "jsonl"];
    for token in [writer, reader] {
        let refused = of_access(token, &log);
        assert!(!refused.status.success(), "{}", stdout(&refused));
        assert!(stderr(&refused).contains("auditor"), "{}", stderr(&refused));
    }
    assert_eq!(server.terminate(), Some(0));

    // Everything was sealed before the end; and auditors leave traces as well.
    let (server, (url, key)) = serve();
    let of_access = |arguments: &[&str]| {
        let mut command = graven();
        command.args(arguments).args(["--token", auditor]);
        command.env("GRAVEN_SERVER", &url).env("GRAVEN_KEY", &key);
        let output = run(&mut command, "");
        assert!(output.status.success(), "{}", stderr(&output));
        stdout(&output)
    };
    let acts = of_access(&log);
    let first: Value = serde_json::from_str(acts.lines().next().unwrap()).unwrap();
    assert_eq!(first["submitter"], "oidc:corp/reader");
    assert_eq!(first["credential"], "reader");
    let shown = of_access(&["show", &first["seq"].to_string()]);
    assert!(shown.contains("slurm://a/job/1"), "{shown}");
    let again = of_access(&["log", "submitter = \"oidc:corp/auditor\"", "-o", "jsonl"]);
    let read = "graven://ledger.example/p/access/index";
    assert!(again.contains(read), "{again}");
    of_access(&["verify"]);

    let main = server.prints(&["log", "-o", "jsonl", "--token", reader], "");
    assert!(!main.contains("index.search"), "{main}");
}
