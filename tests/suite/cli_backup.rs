//! `graven backup` and `graven restore`, as an operator runs them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::cli_support::{Server, graven, run, stderr, stdout, text};

/// A ledger of a directory, without a server.
struct Ledger {
    temporary: TempDir,
    key: String,
}

impl Ledger {
    fn new() -> Self {
        let temporary = TempDir::new().unwrap();
        let dir = temporary.path().join("ledger");
        let out = run(
            graven().args([
                "init",
                "--origin",
                "ledger.example.com/backup",
                "--dir",
                text(&dir),
            ]),
            "",
        );
        let printed = stdout(&out);
        let key = printed
            .lines()
            .nth(1)
            .unwrap()
            .strip_prefix("key ")
            .unwrap();
        fs::create_dir(temporary.path().join("backups")).unwrap();
        Self {
            key: key.to_owned(),
            temporary,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.temporary.path().join(name)
    }

    /// Appends some events through a server, and gives the newest checkpoint.
    fn append(&self, dir: &Path, events: u64) -> String {
        let mut command = graven();
        command.args(["serve", "--dev", "--dir", text(dir)]);
        let mut server = Server::start(command, dir.to_owned(), TempDir::new().unwrap());
        let lines: String = (0..events).map(|_| format!("{EVENT}\n")).collect();
        server.prints(&["append"], &lines);
        let checkpoint = server.prints(&["checkpoint"], "");
        assert_eq!(server.terminate(), Some(0));
        checkpoint
    }

    fn backup(&self, name: &str) -> Command {
        let mut command = graven();
        let (dir, to) = (self.path("ledger"), self.path("backups"));
        command.args([
            "backup",
            "--dir",
            text(&dir),
            "--to",
            text(&to),
            "--name",
            name,
        ]);
        command
    }

    fn restore(&self, name: &str, to: &str, more: &[&str]) -> Command {
        let mut command = graven();
        let (backup, dir) = (self.path("backups").join(name), self.path(to));
        command.args([
            "restore",
            text(&backup),
            "--dir",
            text(&dir),
            "--key",
            &self.key,
        ]);
        command.args(more);
        command
    }
}

const EVENT: &str = r#"{"actor":"oidc:corp/alice","action":"job.cancel","target":"slurm://a100/job/4711","source":"slurm"}"#;

#[test]
fn a_ledger_goes_on_from_its_backup() {
    let ledger = Ledger::new();
    let checkpoint = ledger.append(&ledger.path("ledger"), 3);
    let out = run(&mut ledger.backup("monday"), "");
    assert_eq!(out.status.code(), Some(0), "{}", stderr(&out));
    assert!(stdout(&out).starts_with("OK: backup "), "{}", stdout(&out));
    assert!(stdout(&out).contains("3 entries of ledger.example.com/backup"));
    assert!(!ledger.path("backups/monday/log.key").exists());
    fs::write(ledger.path("latest"), checkpoint).unwrap();
    let latest = ledger.path("latest");
    let out = run(
        &mut ledger.restore("monday", "restored", &["--latest", text(&latest)]),
        "",
    );
    assert_eq!(out.status.code(), Some(0), "{}", stderr(&out));
    assert!(stderr(&out).contains("signing key"), "{}", stderr(&out));
    fs::copy(
        ledger.path("ledger/log.key"),
        ledger.path("restored/log.key"),
    )
    .unwrap();
    let checkpoint = ledger.append(&ledger.path("restored"), 2);
    assert!(checkpoint.lines().nth(1) == Some("5"), "{checkpoint}");
    let out = run(
        graven().args([
            "verify",
            "--dir",
            text(&ledger.path("restored")),
            "--minimum",
            text(&latest),
            "--key",
            &ledger.key,
        ]),
        "",
    );
    assert_eq!(out.status.code(), Some(0), "{}", stdout(&out));
    // Where something is already, nothing is laid out.
    let out = run(
        &mut ledger.restore("monday", "restored", &["--latest", text(&latest)]),
        "",
    );
    assert_eq!(out.status.code(), Some(1), "{}", stderr(&out));
    assert!(stderr(&out).contains("already exists"), "{}", stderr(&out));
}

#[test]
fn a_lost_tail_and_a_flipped_bit_are_not_restored() {
    let ledger = Ledger::new();
    ledger.append(&ledger.path("ledger"), 3);
    assert!(run(&mut ledger.backup("old"), "").status.success());
    let checkpoint = ledger.append(&ledger.path("ledger"), 4);
    fs::write(ledger.path("latest"), checkpoint).unwrap();
    let latest = ledger.path("latest");
    let out = run(
        &mut ledger.restore("old", "restored", &["--latest", text(&latest)]),
        "",
    );
    assert_eq!(out.status.code(), Some(3), "{}", stderr(&out));
    let said = stderr(&out);
    assert!(
        said.contains("ROLLED BACK") && said.contains("4 are missing"),
        "{said}"
    );
    assert!(
        said.contains("--predecessor ledger.example.com/backup"),
        "{said}"
    );
    assert!(!ledger.path("restored").exists());
    // The question is asked, never assumed.
    let out = run(&mut ledger.restore("old", "restored", &[]), "");
    assert_eq!(out.status.code(), Some(2));
    assert!(stderr(&out).contains("--latest"), "{}", stderr(&out));
    // What it advises works.
    let out = run(
        graven().args([
            "init",
            "--dir",
            text(&ledger.path("successor")),
            "--origin",
            "ledger.example.com/backup-2",
            "--predecessor",
            "ledger.example.com/backup",
            "--predecessor-checkpoint",
            text(&latest),
        ]),
        "",
    );
    assert_eq!(out.status.code(), Some(0), "{}", stderr(&out));

    let anchor = ledger.path("backups/old/anchor");
    let mut bytes = fs::read(&anchor).unwrap();
    bytes[5_000] ^= 1;
    fs::write(&anchor, bytes).unwrap();
    let out = run(
        &mut ledger.restore("old", "restored", &["--no-later-checkpoint-known"]),
        "",
    );
    assert_eq!(out.status.code(), Some(3), "{}", stderr(&out));
    assert!(
        stdout(&out).contains("anchor as it was copied"),
        "{}",
        stdout(&out)
    );
    assert!(!ledger.path("restored").exists());
    // A directory that is no backup cannot be judged.
    let out = run(
        &mut ledger.restore("never-made", "restored", &["--no-later-checkpoint-known"]),
        "",
    );
    assert_eq!(out.status.code(), Some(5), "{}", stderr(&out));
    assert!(
        stderr(&out).contains("holds no finished backup"),
        "{}",
        stderr(&out)
    );
}

#[test]
fn a_running_server_backs_itself_up_where_its_configuration_says() {
    let ledger = Ledger::new();
    let (dir, backups) = (ledger.path("ledger"), ledger.path("backups"));
    let mut child = graven()
        .args(["serve", "--dev", "--dir", text(&dir)])
        .args(["--backup-dir", text(&backups)])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().unwrap()));
    let mut find = |prefix: &str| {
        let line = lines.find_map(|line| Some(line.unwrap().strip_prefix(prefix)?.to_owned()));
        line.unwrap()
    };
    let (url, admin) = (find("listening on "), find("admin "));
    let append = || {
        let out = run(graven().args(["append", "--server", &url]), EVENT);
        assert!(out.status.success(), "{}", stderr(&out));
    };
    let order = |name: &str| {
        run(
            graven().args(["backup", "--admin", &admin, "--name", name]),
            "",
        )
    };
    append();
    let out = order("hot");
    assert_eq!(out.status.code(), Some(0), "{}", stderr(&out));
    assert!(
        stdout(&out).contains("1 entries of ledger.example.com/backup"),
        "{}",
        stdout(&out)
    );
    // The server goes on, and never writes where it was not told to.
    append();
    for (name, said) in [
        ("hot", "there is a backup of this name"),
        ("../hot", "1 to 64 characters"),
        ("", "1 to 64 characters"),
    ] {
        let out = order(name);
        assert_ne!(out.status.code(), Some(0));
        let told = stderr(&out);
        assert!(
            told.contains(said) && !told.contains(text(&backups)),
            "{told}"
        );
    }
    assert_eq!(fs::read_dir(&backups).unwrap().count(), 1);
    let checkpoint = run(graven().args(["checkpoint", "--server", &url]), "");
    fs::write(ledger.path("latest"), checkpoint.stdout).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    let latest = ledger.path("latest");
    let out = run(
        &mut ledger.restore("hot", "restored", &["--latest", text(&latest)]),
        "",
    );
    assert_eq!(out.status.code(), Some(3), "{}", stderr(&out));
    let out = run(
        &mut ledger.restore("hot", "restored", &["--no-later-checkpoint-known"]),
        "",
    );
    assert_eq!(out.status.code(), Some(0), "{}", stderr(&out));
}
