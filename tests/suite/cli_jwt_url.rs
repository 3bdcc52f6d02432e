//! `keys_url` in a configuration: what it refuses, and a server that starts before the provider of the keys does.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tempfile::TempDir;

use super::cli_support::{graven, run, stderr, stdout, text};
use super::jwt_support::{AUDIENCE, ISSUER, good, key_set};
use super::provider_support::{Provider, ok};

const EVENT: &str = r#"{"action":"job.fail","target":"slurm://a/job/1","source":"s"}"#;

/// Makes a ledger, and a configuration of it with these lines about an issuer.
fn configured(dir: &Path, jwt: &str) {
    let ledger = dir.join("ledger");
    if !ledger.exists() {
        let init = [
            "init",
            "--dir",
            text(&ledger),
            "--origin",
            "ledger.example/url",
        ];
        assert!(run(graven().args(init), "").status.success());
    }
    let policy = dir.join("policy.toml");
    fs::write(
        &policy,
        "[[grant]]\nidentity = \"oidc:corp/ci\"\nrole = \"writer\"\n",
    )
    .unwrap();
    let config = format!(
        "dir = {ledger:?}\nlisten = \"127.0.0.1:0\"\nmetrics_listen = \"127.0.0.1:0\"\npolicy = {policy:?}\n\
         [[jwt]]\nissuer = \"{ISSUER}\"\naudience = \"{AUDIENCE}\"\nnamespace = \"corp\"\n{jwt}\n"
    );
    fs::write(dir.join("graven.toml"), config).unwrap();
}

fn serve(dir: &Path) -> Command {
    let mut command = graven();
    command.args(["serve", "--config", text(&dir.join("graven.toml"))]);
    command
}

#[test]
fn settings_that_cannot_be_meant_are_refused() {
    let temporary = TempDir::new().unwrap();
    let dir = temporary.path();
    let keys = dir.join("keys.json");
    fs::write(&keys, key_set()).unwrap();
    let url = "keys_url = \"http://127.0.0.1:1/\"";
    for (jwt, said) in [
        (String::new(), "it needs one of keys, a file, and keys_url"),
        (format!("keys = {keys:?}\n{url}"), "and not both"),
        (
            "keys = \"https://id.example/keys\"".into(),
            "a URL goes to keys_url",
        ),
        (
            format!("keys = {keys:?}\nkeys_refresh_seconds = 60"),
            "keys_refresh_seconds goes with keys_url",
        ),
        (
            "keys_url = \"http://id.example/keys\"".into(),
            "keys_url \"http://id.example/keys\": http is for 127.0.0.1",
        ),
        (
            format!(
                "keys_url = \"https://id.example/\"\nkeys_url_ca = {:?}",
                dir.join("no.pem")
            ),
            "keys_url_ca: reading",
        ),
        (
            format!("{url}\nkeys_refresh_seconds = 29"),
            "keys_refresh_seconds has to be between 30 and 86400",
        ),
        (
            format!("{url}\nkeys_refresh_seconds = 3600\nkeys_keep_seconds = 60"),
            "keys_keep_seconds has to be at least keys_refresh_seconds",
        ),
        (
            format!("{url}\nkeys_keep_seconds = 1000000"),
            "at most 604800",
        ),
    ] {
        configured(dir, &jwt);
        let out = run(&mut serve(dir), "");
        assert_eq!(out.status.code(), Some(2), "{jwt}");
        let all = stderr(&out);
        assert!(all.contains(said) && all.contains(ISSUER), "{jwt}: {all}");
    }
}

/// A server, and where its monitor is.
struct Started {
    child: Child,
    url: String,
    monitor: String,
}

impl Started {
    fn new(dir: &Path) -> Self {
        let mut child = serve(dir)
            .stdout(Stdio::piped())
            .stderr(fs::File::create(dir.join("log")).unwrap())
            .spawn()
            .unwrap();
        let mut said = Vec::new();
        let mut out = child.stdout.take().unwrap();
        let mut byte = [0];
        while !said.ends_with(b"/metrics\n") {
            assert_eq!(out.read(&mut byte).unwrap(), 1, "it does not start");
            said.push(byte[0]);
        }
        let said = String::from_utf8(said).unwrap();
        let find = |prefix: &str| {
            let line = said.lines().find_map(|line| line.strip_prefix(prefix));
            line.unwrap().to_owned()
        };
        Self {
            url: find("listening on "),
            monitor: find("metrics http://").replace("/metrics", ""),
            child,
        }
    }

    fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(&self.monitor).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    fn append(&self) -> std::process::Output {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let token = good("ci", now.as_secs());
        let append = ["append", "--server", &self.url, "--token", &token];
        run(graven().args(append), EVENT)
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_server_starts_before_its_provider_and_says_so() {
    let temporary = TempDir::new().unwrap();
    let dir = temporary.path();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    configured(dir, &format!("keys_url = \"http://{address}/keys\""));
    let check = |outcome: &str| {
        let config = dir.join("graven.toml");
        let out = run(graven().args(["doctor", "--config", text(&config)]), "");
        let rows = stdout(&out);
        let row = rows.lines().find(|row| row.contains("JWT keys")).unwrap();
        assert!(row.starts_with(outcome), "{row}");
    };
    check("fail");
    let server = Started::new(dir);
    let log = fs::read_to_string(dir.join("log")).unwrap();
    assert!(log.contains("the keys cannot be fetched"), "{log}");
    let ready = server.get("/readyz");
    assert!(
        ready.contains("200 OK") && ready.contains(&format!("the keys of {ISSUER} could not")),
        "{ready}"
    );
    let refused = server.append();
    assert!(!refused.status.success());
    let said = stderr(&refused);
    assert!(said.contains("could not be fetched"), "{said}");
    let metrics = server.get("/metrics");
    assert!(
        metrics.contains(&format!("graven_jwt_keys{{issuer=\"{ISSUER}\"}} 0\n")),
        "{metrics}"
    );
    assert!(
        !metrics.contains("graven_jwt_keys_age_seconds{"),
        "{metrics}"
    );

    let _provider = Provider::start(TcpListener::bind(address).unwrap(), ok(&key_set()), None);
    let started = Instant::now();
    while !server.append().status.success() {
        assert!(
            started.elapsed() < Duration::from_secs(90),
            "{}",
            stderr(&server.append())
        );
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(server.get("/readyz").ends_with("\r\n\r\nok\n"));
    let metrics = server.get("/metrics");
    for line in [
        format!("graven_jwt_keys{{issuer=\"{ISSUER}\"}} 2\n"),
        format!("graven_jwt_keys_age_seconds{{issuer=\"{ISSUER}\"}} "),
        format!("graven_jwt_fetches_total{{issuer=\"{ISSUER}\",outcome=\"fetched\"}} 1\n"),
    ] {
        assert!(metrics.contains(&line), "{line} in {metrics}");
    }
    check("ok");
}
