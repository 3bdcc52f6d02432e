//! Who sends is what was authenticated: tokens, client certificates, and nobody else.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use super::certificates::{Authority, uri};
use super::cli_support::{Server, graven, run, stderr, stdout, text};

const EVENT: &str = r#"{"action":"job.fail","target":"slurm://a/job/1","source":"s"}"#;

const POLICY: &str = r#"
[[grant]]
identity = "oidc:corp/ci"
role = "writer"
[[grant]]
identity = "oidc:corp/ci"
role = "reader"
[[grant]]
identity = "spiffe://lab.example/ns/ml/*"
issuer = "mtls"
role = "writer"
"#;

/// A server with TLS, a token and an authority for client certificates.
pub(super) fn secured(dir: &Path) -> (Server, String) {
    let authority = Authority::new();
    fs::write(dir.join("ca.pem"), &authority.pem).unwrap();
    authority.server().write(dir, "server");
    let issue = |authority: &Authority, name: &str, names| {
        authority.issue(name, names, |_| {}).write(dir, name);
    };
    let loader = || vec![uri("spiffe://lab.example/ns/ml/sa/loader")];
    issue(&authority, "loader", loader());
    issue(
        &authority,
        "two",
        vec![uri("spiffe://lab.example/a"), uri("spiffe://lab.example/b")],
    );
    issue(&Authority::new(), "stranger", loader());
    let made = run(
        graven().args(["token", "ci", "--subject", "oidc:corp/ci"]),
        "",
    );
    let token = stdout(&made).trim().to_string();
    let lines = stderr(&made);
    let ledger = dir.join("ledger");
    let init = [
        "init",
        "--dir",
        text(&ledger),
        "--origin",
        "ledger.example/secured",
    ];
    assert!(run(graven().args(init), "").status.success());
    fs::write(dir.join("policy.toml"), POLICY).unwrap();
    let config = format!(
        "dir = {ledger:?}\nlisten = \"127.0.0.1:0\"\npolicy = {:?}\n\n[tls]\ncertificate = {:?}\nkey = {:?}\nclient_ca = {:?}\n\n{lines}",
        dir.join("policy.toml"),
        dir.join("server.pem"),
        dir.join("server.key"),
        dir.join("ca.pem"),
    );
    fs::write(dir.join("graven.toml"), config).unwrap();
    let mut command = graven();
    command.args(["serve", "--config", text(&dir.join("graven.toml"))]);
    let mut server = Server::start(command, ledger, TempDir::new().unwrap());
    server.url = server.url.replace("127.0.0.1", "localhost");
    (server, token)
}

fn append(server: &Server, dir: &Path, extra: &[&str]) -> std::process::Output {
    let authority = dir.join("ca.pem");
    let mut command: Command = server.command(&["append", "--tls-ca", text(&authority)]);
    run(command.args(extra), EVENT)
}

fn show(server: &Server, dir: &Path, token: &str, seq: &str) -> Value {
    let authority = dir.join("ca.pem");
    let arguments = [
        "show",
        seq,
        "-o",
        "json",
        "--tls-ca",
        text(&authority),
        "--token",
        token,
    ];
    serde_json::from_str(&server.prints(&arguments, "")).unwrap()
}

#[test]
fn the_submitter_is_who_was_authenticated() {
    let temporary = TempDir::new().unwrap();
    let dir = temporary.path();
    let (server, token) = secured(dir);
    let appended = append(&server, dir, &["--token", &token]);
    assert!(appended.status.success(), "{}", stderr(&appended));
    // The entries before say that the server started, how it is configured, and which policy and which rules of
    // redaction are in force.
    let row = show(&server, dir, &token, "4");
    assert_eq!(
        (
            &row["submitter"],
            &row["issuer"],
            &row["authentication"],
            &row["credential"]
        ),
        (
            &"oidc:corp/ci".into(),
            &"token".into(),
            &"token".into(),
            &"ci".into()
        )
    );

    let (pem, key) = (dir.join("loader.pem"), dir.join("loader.key"));
    let with_certificate = ["--tls-cert", text(&pem), "--tls-key", text(&key)];
    let appended = append(&server, dir, &with_certificate);
    assert!(appended.status.success(), "{}", stderr(&appended));
    let row = show(&server, dir, &token, "5");
    assert_eq!(row["submitter"], "spiffe://lab.example/ns/ml/sa/loader");
    assert_eq!(row["authentication"], "client_certificate");
    assert!(row["credential"].as_str().unwrap().starts_with("sha256:"));
}

#[test]
fn nobody_else_gets_in() {
    let temporary = TempDir::new().unwrap();
    let dir = temporary.path();
    let (server, token) = secured(dir);
    let refused = append(&server, dir, &[]);
    assert!(!refused.status.success());
    assert!(
        stderr(&refused).contains("a bearer token or a client certificate is needed"),
        "{}",
        stderr(&refused)
    );
    // Any token can be given, also one that looks like a flag.
    let refused = append(&server, dir, &["--token", "-x"]);
    assert!(
        stderr(&refused).contains("the bearer token is not known here"),
        "{}",
        stderr(&refused)
    );
    let mut wrong = token.clone();
    wrong.replace_range(0..1, if token.starts_with('A') { "B" } else { "A" });
    let refused = append(&server, dir, &["--token", &wrong]);
    assert!(
        stderr(&refused).contains("the bearer token is not known here"),
        "{}",
        stderr(&refused)
    );
    for name in ["stranger", "two"] {
        let (pem, key) = (
            dir.join(format!("{name}.pem")),
            dir.join(format!("{name}.key")),
        );
        let refused = append(
            &server,
            dir,
            &["--tls-cert", text(&pem), "--tls-key", text(&key)],
        );
        assert!(!refused.status.success(), "{name}");
    }
    // A wrong token is not made good by a right certificate.
    let (pem, key) = (dir.join("loader.pem"), dir.join("loader.key"));
    let both = [
        "--token",
        wrong.as_str(),
        "--tls-cert",
        text(&pem),
        "--tls-key",
        text(&key),
    ];
    assert!(!append(&server, dir, &both).status.success());
    let authority = dir.join("ca.pem");
    let log = [
        "log",
        "kind = event",
        "-o",
        "jsonl",
        "--tls-ca",
        text(&authority),
        "--token",
        &token,
    ];
    assert_eq!(server.prints(&log, ""), "");
}

#[test]
fn a_server_that_would_be_open_does_not_start() {
    let temporary = TempDir::new().unwrap();
    let dir = temporary.path().join("ledger");
    let init = ["init", "--dir", text(&dir), "--origin", "ledger.example/x"];
    assert!(run(graven().args(init), "").status.success());
    let nobody = run(graven().args(["serve", "--dir", text(&dir)]), "");
    assert_eq!(nobody.status.code(), Some(2));
    assert!(stderr(&nobody).contains("nobody could get in"));
    let config = temporary.path().join("c.toml");
    let token = format!(
        "[[token]]\nname = \"a\"\nsubject = \"oidc:c/a\"\nsha256 = \"{}\"\n",
        "0".repeat(64)
    );
    fs::write(&config, format!("listen = \"0.0.0.0:0\"\n{token}")).unwrap();
    let clear = run(
        graven().args(["serve", "--dir", text(&dir), "--config", text(&config)]),
        "",
    );
    assert_eq!(clear.status.code(), Some(2));
    assert!(
        stderr(&clear).contains("in the clear"),
        "{}",
        stderr(&clear)
    );
    fs::write(&config, &token).unwrap();
    let all = ["serve", "--dir", text(&dir), "--config", text(&config)];
    let powerless = run(graven().args(all), "");
    assert_eq!(powerless.status.code(), Some(2));
    assert!(
        stderr(&powerless).contains("nobody could do anything"),
        "{}",
        stderr(&powerless)
    );
    let policy = temporary.path().join("policy.toml");
    fs::write(
        &policy,
        "[[grant]]\nidentity = \"oidc:c/a\"\nrole = \"king\"\n",
    )
    .unwrap();
    let token = format!("policy = {policy:?}\n{token}");
    fs::write(&config, &token).unwrap();
    let unknown_role = run(graven().args(all), "");
    assert_eq!(unknown_role.status.code(), Some(2));
    assert!(
        stderr(&unknown_role).contains("unknown variant `king`"),
        "{}",
        stderr(&unknown_role)
    );
    fs::write(&policy, POLICY).unwrap();
    fs::write(&config, format!("tokens = 1\n{token}")).unwrap();
    let unknown = run(
        graven().args(["serve", "--dir", text(&dir), "--config", text(&config)]),
        "",
    );
    assert_eq!(unknown.status.code(), Some(2));
    assert!(
        stderr(&unknown).contains("unknown field"),
        "{}",
        stderr(&unknown)
    );
    // A key that others can read is no secret.
    fs::write(&config, token).unwrap();
    let chmod = Command::new("chmod")
        .arg("644")
        .arg(dir.join("log.key"))
        .status()
        .unwrap();
    assert!(chmod.success());
    let readable = run(
        graven().args(["serve", "--dir", text(&dir), "--config", text(&config)]),
        "",
    );
    assert!(
        stderr(&readable).contains("can be read by others"),
        "{}",
        stderr(&readable)
    );
}
