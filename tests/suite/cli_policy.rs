//! The policy of a running server: sealed when it comes into force, changed without a restart, and kept when the file that
//! should replace it is broken.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use super::cli_support::{Server, graven, run, stderr, stdout, text};

const READER: &str = "[[grant]]\nidentity = \"oidc:corp/ci\"\nrole = \"reader\"\n";
const WRITER: &str = "[[grant]]\nidentity = \"oidc:corp/ci\"\nrole = \"writer\"\n";
const EVENT: &str = r#"{"action":"job.fail","target":"slurm://a/job/1","source":"s"}"#;

struct Running {
    server: Server,
    token: String,
    policy: PathBuf,
}

impl Running {
    fn start(dir: &Path) -> Self {
        let made = run(
            graven().args(["token", "ci", "--subject", "oidc:corp/ci"]),
            "",
        );
        let ledger = dir.join("ledger");
        let init = [
            "init",
            "--dir",
            text(&ledger),
            "--origin",
            "ledger.example/p",
        ];
        assert!(run(graven().args(init), "").status.success());
        let policy = dir.join("policy.toml");
        fs::write(&policy, format!("{WRITER}{READER}")).unwrap();
        let config = format!(
            "dir = {ledger:?}\nlisten = \"127.0.0.1:0\"\npolicy = {policy:?}\n\n{}",
            stderr(&made)
        );
        fs::write(dir.join("graven.toml"), config).unwrap();
        Self {
            server: Self::serve(dir),
            token: stdout(&made).trim().into(),
            policy,
        }
    }

    fn serve(dir: &Path) -> Server {
        let mut command = graven();
        command.args(["serve", "--config", text(&dir.join("graven.toml"))]);
        Server::start(command, dir.join("ledger"), TempDir::new().unwrap())
    }

    /// What is said about an append that is refused.
    fn append(&self) -> Result<(), String> {
        let appended = self.server.run(&["append", "--token", &self.token], EVENT);
        if appended.status.success() {
            return Ok(());
        }
        Err(stderr(&appended))
    }

    /// The policies that the ledger sealed, oldest first, as soon as there are so many.
    fn acts(&self, count: usize) -> Vec<Value> {
        let log = [
            "log",
            "action = ledger.policy",
            "-o",
            "jsonl",
            "--token",
            &self.token,
        ];
        let began = Instant::now();
        loop {
            let acts: Vec<Value> = self
                .server
                .prints(&log, "")
                .lines()
                .map(|line| serde_json::from_str(line).unwrap())
                .collect();
            if acts.len() >= count || began.elapsed() > Duration::from_secs(60) {
                assert_eq!(acts.len(), count, "{acts:?}");
                return acts;
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}

fn digest(text: &str) -> Value {
    let digest = Sha256::digest(text);
    let digits: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    digits.into()
}

#[test]
fn a_policy_changes_while_the_server_runs_and_the_ledger_says_so() {
    let temporary = TempDir::new().unwrap();
    let dir = temporary.path();
    let mut running = Running::start(dir);
    running.append().unwrap();
    let first = &running.acts(1)[0];
    assert_eq!(first["action"], "ledger.policy");
    let change = &first["act"]["policy_change"];
    assert_eq!(change["digest"], digest(&format!("{WRITER}{READER}")));
    assert_eq!(
        (&change["grants"], &change["occasion"]),
        (&2.into(), &"start".into())
    );

    // A file that is no policy changes nothing, nor does one that is not there.
    fs::write(&running.policy, "[[grant]]\nidentity = \"oidc:corp/ci\"\n").unwrap();
    hang_up(&running.server);
    std::thread::sleep(Duration::from_millis(500));
    running.append().unwrap();
    fs::remove_file(&running.policy).unwrap();
    hang_up(&running.server);
    std::thread::sleep(Duration::from_millis(500));
    running.append().unwrap();

    fs::write(&running.policy, READER).unwrap();
    let acts = running.acts(2);
    assert_eq!(acts[1]["act"]["policy_change"]["digest"], digest(READER));
    assert_eq!(acts[1]["act"]["policy_change"]["occasion"], "change");
    let revoked = running.append().unwrap_err();
    assert!(revoked.contains("has not the role writer"), "{revoked}");

    // A start with the same policy seals nothing; a start with another one does.
    assert_eq!(running.server.terminate(), Some(0));
    running.server = Running::serve(dir);
    running.acts(2);
    assert_eq!(running.server.terminate(), Some(0));
    fs::write(&running.policy, format!("{READER}{WRITER}")).unwrap();
    running.server = Running::serve(dir);
    let acts = running.acts(3);
    assert_eq!(acts[2]["act"]["policy_change"]["occasion"], "start");
    running.append().unwrap();
}

#[test]
fn a_reader_with_bounds_asks_on_the_command_line() {
    let temporary = TempDir::new().unwrap();
    let dir = temporary.path();
    let running = Running::start(dir);
    running.append().unwrap();
    fs::write(
        &running.policy,
        format!("{READER}targets = [\"slurm://a/*\"]\n"),
    )
    .unwrap();
    hang_up(&running.server);
    let ask = |arguments: &[&str]| {
        let mut command = running.server.command(arguments);
        run(command.env("GRAVEN_TOKEN", &running.token), "")
    };
    let began = Instant::now();
    while ask(&["log"]).status.success() {
        assert!(began.elapsed() < Duration::from_secs(60));
        std::thread::sleep(Duration::from_millis(100));
    }
    let refused = stderr(&ask(&["log"]));
    assert!(refused.contains("ask without it"), "{refused}");
    let refused = stderr(&ask(&["log", "--no-proof"]));
    assert!(
        refused.contains("add target = \"slurm://a/*\" to it"),
        "{refused}"
    );
    let refused = stderr(&ask(&["log", "--no-proof", "target = slurm://a/job/1"]));
    assert!(
        refused.contains("--no-links takes names as they are"),
        "{refused}"
    );
    let question = [
        "log",
        "--no-proof",
        "--no-links",
        "target = slurm://a/job/1",
        "-o",
        "jsonl",
    ];
    let answer = ask(&question);
    assert!(answer.status.success(), "{}", stderr(&answer));
    assert_eq!(stdout(&answer).lines().count(), 1);
    let said = stderr(&answer);
    assert!(said.contains("not proved to be all"), "{said}");
    assert!(said.contains("who was heard from is not told"), "{said}");
    // All is there to check the tree, and of what the ledger says of itself nothing to read: start, configuration, two policies,
    // the rules for secrets.
    let verified = ask(&["verify"]);
    assert_eq!(verified.status.code(), Some(5));
    assert!(
        stdout(&verified).contains("15 parts are WITHHELD"),
        "{}",
        stdout(&verified)
    );
    let evidence = dir.join("evidence.json");
    let proved = ask(&["prove", "4", "--out", text(&evidence)]);
    assert!(proved.status.success(), "{}", stderr(&proved));
    assert!(
        !ask(&["prove", "0", "--out", text(&evidence)])
            .status
            .success()
    );
}

fn hang_up(server: &Server) {
    let killed = Command::new("kill").args(["-HUP", &server.id()]).status();
    assert!(killed.unwrap().success());
}

#[test]
fn a_policy_is_checked_before_it_is_in_force() {
    let temporary = TempDir::new().unwrap();
    let file = temporary.path().join("policy.toml");
    let bound = "[[grant]]\nidentity = \"spiffe://lab/*\"\nissuer = \"mtls\"\nrole = \"writer\"\nactions = [\"job.*\", \"run.end\"]\n";
    fs::write(&file, format!("{READER}{bound}")).unwrap();
    let policy = |more: &[&str]| run(graven().args(["policy", text(&file)]).args(more), "");
    let shown = policy(&[]);
    assert_eq!(
        stdout(&shown),
        "reader    oidc:corp/ci\nwriter    spiffe://lab/* by mtls\n          actions job.* run.end\n"
    );
    assert!(stderr(&shown).contains(digest(&format!("{READER}{bound}")).as_str().unwrap()));
    let shown = policy(&["--for", "spiffe://lab/x", "-o", "jsonl"]);
    let row: Value = serde_json::from_str(&stdout(&shown)).unwrap();
    assert_eq!(
        row,
        serde_json::json!({"identity": "spiffe://lab/*", "issuer": "mtls", "role": "writer", "actions": ["job.*", "run.end"]})
    );
    let shown = policy(&["--for", "oidc:corp/ci", "-o", "csv"]);
    assert_eq!(
        stdout(&shown),
        "identity,issuer,role,sources,actions,targets,actors\r\noidc:corp/ci,,reader,,,,\r\n"
    );
    fs::write(
        &file,
        "[[grant]]\nidentity = \"alice\"\nrole = \"reader\"\n",
    )
    .unwrap();
    let refused = policy(&[]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(stderr(&refused).contains("grant 1, to alice: is not an identity"));
}
