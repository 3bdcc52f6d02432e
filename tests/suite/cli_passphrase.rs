//! A signing key under a passphrase, from its making to the server that signs with it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

use super::cli_support::{Server, graven, run, stderr, stdout, text};

const ORIGIN: &str = "ledger.example/locked";
const EVENT: &str = r#"{"action":"job.fail","target":"slurm://a/job/1","source":"s"}"#;

struct Place(TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(TempDir::new().unwrap());
        place.secret("good", "correct horse\n");
        place.secret("wrong", "battery staple\n");
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn secret(&self, name: &str, content: &str) {
        fs::write(self.path(name), content).unwrap();
        let mode = fs::Permissions::from_mode(0o600);
        fs::set_permissions(self.path(name), mode).unwrap();
    }

    fn keygen(&self, out: &str, passphrase: &str, input: &str) -> Output {
        let mut command = graven();
        command.args(["keygen", "--name", ORIGIN, "--out", text(&self.path(out))]);
        run(command.args(["--passphrase-file", passphrase]), input)
    }

    /// `graven init` with a key, and more.
    fn init(&self, dir: &str, more: &[&str]) -> Output {
        let dir = self.path(dir);
        let all = ["init", "--dir", text(&dir), "--origin", ORIGIN];
        run(graven().args(all).args(more), "")
    }
}

fn verifier(path: &Path, good: &Path) -> String {
    let scratch = TempDir::new().unwrap();
    let dir = scratch.path().join("l");
    let out = run(
        graven()
            .args(["init", "--dir", text(&dir), "--origin", ORIGIN])
            .args(["--key", text(path), "--key-passphrase-file", text(good)]),
        "",
    );
    assert!(out.status.success(), "{}", stderr(&out));
    let said = stdout(&out);
    let line = said.lines().find_map(|line| line.strip_prefix("key "));
    line.unwrap().to_owned()
}

#[test]
fn a_key_is_encrypted_and_opened_by_its_passphrase_alone() {
    let place = Place::new();
    let good = place.path("good");
    let made = place.keygen("a.key", text(&good), "");
    assert!(made.status.success(), "{}", stderr(&made));
    let key = place.path("a.key");
    let file = fs::read_to_string(&key).unwrap();
    assert!(file.starts_with("graven encrypted key v1\nname ledger.example/locked\n"));
    assert!(!file.contains("PRIVATE"), "{file}");
    assert_eq!(
        fs::metadata(&key).unwrap().permissions().mode() & 0o777,
        0o600
    );
    assert_eq!(verifier(&key, &good), stdout(&made).trim());
    // By standard input it is the same passphrase, whatever ends its line.
    for (name, input) in [
        ("b.key", "correct horse"),
        ("c.key", "correct horse\r\nmore"),
    ] {
        let made = place.keygen(name, "-", input);
        assert_eq!(verifier(&place.path(name), &good), stdout(&made).trim());
    }
    let refused = |more: &[&str], said: &str, code: i32| {
        let out = place.init("none", &[&["--key", text(&key)], more].concat());
        assert_eq!(out.status.code(), Some(code), "{}", stderr(&out));
        let all = stderr(&out);
        assert!(all.contains(said), "{all}");
        assert!(!place.path("none").exists());
    };
    let wrong = place.path("wrong");
    refused(
        &["--key-passphrase-file", text(&wrong)],
        "is not opened by this passphrase",
        2,
    );
    refused(&[], "has a passphrase: give a file", 2);
    fs::set_permissions(&good, fs::Permissions::from_mode(0o640)).unwrap();
    refused(
        &["--key-passphrase-file", text(&good)],
        "can be read by others (mode 640)",
        2,
    );
    place.secret("empty", "\nx");
    let empty = place.path("empty");
    refused(
        &["--key-passphrase-file", text(&empty)],
        "has no passphrase in its first line",
        2,
    );
    // The file of an encrypted key is guarded like one of a plain key.
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    refused(&[], "can be read by others (mode 644)", 2);
    let damaged = file.replace("argon2id 65536", "argon2id 99999999");
    place.secret("a.key", &damaged);
    refused(
        &["--key-passphrase-file", text(&wrong)],
        "asks for a cost that is not accepted",
        2,
    );
}

#[test]
fn a_server_signs_with_a_key_that_a_passphrase_opens() {
    let place = Place::new();
    let good = place.path("good");
    let made = place.init("ledger", &["--key-passphrase-file", text(&good)]);
    assert!(made.status.success(), "{}", stderr(&made));
    let ledger = place.path("ledger");
    let key = fs::read_to_string(ledger.join("log.key")).unwrap();
    assert!(key.starts_with("graven encrypted key v1\n"), "{key}");
    let serve = || {
        let mut command = graven();
        command.args(["serve", "--dev", "--dir", text(&ledger)]);
        command
    };
    let check = |command: Command| {
        let server = Server::start(command, ledger.clone(), TempDir::new().unwrap());
        server.prints(&["append"], EVENT);
    };
    let mut by_flag = serve();
    by_flag.args(["--key-passphrase-file", text(&good)]);
    check(by_flag);
    let mut by_variable = serve();
    by_variable.env("GRAVEN_KEY_PASSPHRASE_FILE", &good);
    check(by_variable);
    // As systemd hands it over.
    let credentials = place.path("credentials");
    fs::create_dir(&credentials).unwrap();
    let credential = credentials.join("graven-key-passphrase");
    fs::copy(&good, &credential).unwrap();
    fs::set_permissions(&credential, fs::Permissions::from_mode(0o440)).unwrap();
    let mut by_credential = serve();
    by_credential.env("CREDENTIALS_DIRECTORY", &credentials);
    check(by_credential);

    let mut wrong = serve();
    wrong.args(["--key-passphrase-file", text(&place.path("wrong"))]);
    let out = run(&mut wrong, "");
    assert_eq!((out.status.code(), stdout(&out)), (Some(2), String::new()));
    let said = stderr(&out);
    assert!(said.contains("is not opened by this passphrase"), "{said}");
    assert!(!said.contains("battery"), "{said}");
    let config = place.path("graven.toml");
    fs::write(
        &config,
        format!("dir = {ledger:?}\nkey_passphrase_file = {good:?}\n"),
    )
    .unwrap();
    let doctor = run(graven().args(["doctor", "--config", text(&config)]), "");
    let rows = stdout(&doctor);
    assert!(
        rows.contains("of ledger.example/locked, is readable by its owner alone"),
        "{rows}"
    );
}
