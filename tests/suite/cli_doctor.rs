//! `graven doctor`: each check finds what it is for.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;

use super::cli_support::{graven, run, stderr, stdout, text};

struct Ledger(TempDir);

impl Ledger {
    fn new() -> Self {
        let ledger = Self(TempDir::new().unwrap());
        let out = run(
            graven().args([
                "init",
                "--origin",
                "ledger.example.com/doctor",
                "--dir",
                text(&ledger.path("ledger")),
            ]),
            "",
        );
        assert!(out.status.success(), "{}", stderr(&out));
        ledger
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Outcome and words of a check, and the exit code.
    fn check(&self, more: &[&str], check: &str) -> (String, String, Option<i32>) {
        let dir = self.path("ledger");
        let out = run(
            graven()
                .args(["doctor", "-o", "json", "--dir", text(&dir)])
                .args(more),
            "",
        );
        let rows: Value = serde_json::from_str(&stdout(&out)).unwrap();
        let row = rows
            .as_array()
            .unwrap()
            .iter()
            .find(|row| row["check"] == check);
        let row = row.unwrap_or_else(|| panic!("{check} in {rows}"));
        let word = |name: &str| row[name].as_str().unwrap().to_owned();
        (word("outcome"), word("found"), out.status.code())
    }

    fn config(&self, more: &str) -> PathBuf {
        let path = self.path("graven.toml");
        let policy = self.path("policy.toml");
        fs::write(
            &policy,
            "[[grant]]\nidentity = \"oidc:corp/loader\"\nrole = \"writer\"\n",
        )
        .unwrap();
        let dir = self.path("ledger");
        let digest = "0".repeat(64);
        let text = format!(
            "dir = {dir:?}\npolicy = {policy:?}\n{more}\n[[token]]\nname = \"loader\"\n\
             subject = \"oidc:corp/loader\"\nsha256 = \"{digest}\"\n"
        );
        fs::write(&path, text).unwrap();
        path
    }
}

fn certificate(dir: &Path, days: i64) {
    let mut parameters = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let today = jiff::tz::Offset::UTC
        .to_datetime(jiff::Timestamp::now())
        .date();
    let day = |days: i64| {
        let date = today.checked_add(jiff::Span::new().days(days)).unwrap();
        let part = |part: i8| u8::try_from(part).unwrap();
        rcgen::date_time_ymd(i32::from(date.year()), part(date.month()), part(date.day()))
    };
    (parameters.not_before, parameters.not_after) = (day(-365), day(days));
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = parameters.self_signed(&key).unwrap();
    fs::write(dir.join("server.pem"), certificate.pem()).unwrap();
    fs::write(dir.join("server.key"), key.serialize_pem()).unwrap();
    fs::set_permissions(dir.join("server.key"), fs::Permissions::from_mode(0o600)).unwrap();
}

#[test]
fn a_healthy_ledger_passes_and_keys_of_others_do_not() {
    let ledger = Ledger::new();
    for check in ["directory", "key", "forecast"] {
        let (outcome, found, code) = ledger.check(&[], check);
        assert_eq!(
            (outcome.as_str(), code),
            ("ok", Some(0)),
            "{check}: {found}"
        );
    }
    let (outcome, found, _) = ledger.check(&[], "anchor");
    assert_eq!(outcome, "warn");
    assert!(found.contains("volume of the store"), "{found}");
    let (_, found, _) = ledger.check(&[], "forecast");
    assert!(found.contains("cannot tell"), "{found}");
    let key = ledger.path("ledger/log.key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let (outcome, found, code) = ledger.check(&[], "key");
    assert_eq!((outcome.as_str(), code), ("fail", Some(1)));
    assert!(found.contains("can be read by others"), "{found}");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    fs::remove_file(ledger.path("ledger/anchor")).unwrap();
    assert_eq!(ledger.check(&[], "anchor").0, "fail");
    fs::remove_dir_all(ledger.path("ledger/store")).unwrap();
    assert_eq!(ledger.check(&[], "directory").0, "fail");
}

#[test]
fn the_configuration_is_read_as_the_server_would() {
    let ledger = Ledger::new();
    let config = ledger.config("");
    let config = text(&config);
    assert_eq!(ledger.check(&["--config", config], "access").0, "ok");
    fs::write(
        ledger.path("policy.toml"),
        "[[grant]]\nidentity = \"nobody\"\n",
    )
    .unwrap();
    assert_eq!(ledger.check(&["--config", config], "access").0, "fail");
    fs::write(config, "speed = \"fast\"\n").unwrap();
    let (outcome, found, code) = ledger.check(&["--config", config], "config");
    assert_eq!((outcome.as_str(), code), ("fail", Some(1)), "{found}");
    // Without either there is nothing to look at.
    let out = run(graven().arg("doctor"), "");
    assert_eq!(out.status.code(), Some(2), "{}", stderr(&out));
}

#[test]
fn certificates_are_told_before_they_end() {
    let ledger = Ledger::new();
    let dir = ledger.0.path().to_owned();
    let (certificate_file, key) = (dir.join("server.pem"), dir.join("server.key"));
    let tls = format!("[tls]\ncertificate = {certificate_file:?}\nkey = {key:?}");
    let config = ledger.config(&tls);
    let config = ["--config", text(&config)];
    for (days, expected) in [(90, "ok"), (5, "warn"), (-5, "fail")] {
        certificate(&dir, days);
        let (outcome, found, _) = ledger.check(&config, "certificate");
        assert_eq!(outcome, expected, "{days}: {found}");
    }
    assert_eq!(ledger.check(&config, "TLS key").0, "ok");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(ledger.check(&config, "TLS key").0, "fail");
    fs::write(&certificate_file, "no certificate").unwrap();
    assert_eq!(ledger.check(&config, "certificate").0, "fail");
}

#[test]
fn the_forecast_follows_what_was_appended() {
    let ledger = Ledger::new();
    let dir = ledger.path("ledger");
    let mut command = graven();
    command.args(["serve", "--dev", "--dir", text(&dir)]);
    let mut server = super::cli_support::Server::start(command, dir, TempDir::new().unwrap());
    let event = r#"{"actor":"oidc:corp/alice","action":"job.cancel","target":"slurm://a100/job/1","source":"slurm"}"#;
    server.prints(&["append"], &format!("{event}\n").repeat(20));
    // It is looked at, and not disturbed.
    let (_, found, _) = ledger.check(&[], "forecast");
    assert!(found.contains("the ledger is running"), "{found}");
    assert_eq!(server.terminate(), Some(0));
    let (_, found, _) = ledger.check(&[], "forecast");
    assert!(
        found.contains("at the 20 entries of the last day"),
        "{found}"
    );
}
