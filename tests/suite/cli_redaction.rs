//! Secrets and the real binary: nothing of them is on the disk or in an answer, and the ledger says which rules were in force.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use graven::ledger::{Directory, Home};
use graven::store::{Direction, KeyRange, Space};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::cli_support::{Server, graven, run, stderr, stdout, text};
use super::git_support::Repo;

const SECRET: &str = "Zq7Kx2Wv9Tt4Jm6Pn8Rb";
const RULES: &str = "[[rule]]\nname = \"corp\"\nvalues = ['corp_[A-Za-z0-9]{20}']\n";

struct Running {
    server: Server,
    token: String,
    rules: PathBuf,
    dir: PathBuf,
}

impl Running {
    fn start(dir: &Path, rules: &str) -> Self {
        let subject = ["token", "ci", "--subject", "oidc:corp/ci"];
        let made = run(graven().args(subject), "");
        let ledger = dir.join("ledger");
        let init = [
            "init",
            "--dir",
            text(&ledger),
            "--origin",
            "ledger.example/r",
        ];
        assert!(run(graven().args(init), "").status.success());
        let policy = dir.join("policy.toml");
        let grant = |role| format!("[[grant]]\nidentity = \"oidc:corp/ci\"\nrole = \"{role}\"\n");
        fs::write(&policy, grant("writer") + &grant("reader")).unwrap();
        let file = dir.join("rules.toml");
        fs::write(&file, rules).unwrap();
        let config = format!(
            "dir = {ledger:?}\nlisten = \"127.0.0.1:0\"\npolicy = {policy:?}\nredaction = {file:?}\n\n{}",
            stderr(&made)
        );
        fs::write(dir.join("graven.toml"), config).unwrap();
        Self {
            server: Self::serve(dir),
            token: stdout(&made).trim().into(),
            rules: file,
            dir: ledger,
        }
    }

    fn serve(dir: &Path) -> Server {
        let mut command = graven();
        command.args(["serve", "--config", text(&dir.join("graven.toml"))]);
        Server::start(command, dir.join("ledger"), TempDir::new().unwrap())
    }

    /// Appends an event, whose receipt is verified; what is printed or why not.
    fn append(&self, event: &Value) -> Result<String, String> {
        let appended = self
            .server
            .run(&["append", "--token", &self.token], &event.to_string());
        if appended.status.success() {
            return Ok(stdout(&appended).trim().to_owned());
        }
        Err(stderr(&appended))
    }

    fn log(&self, filter: &str) -> Vec<Value> {
        let log = ["log", filter, "-o", "jsonl", "--token", &self.token];
        let lines = self.server.prints(&log, "");
        lines
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// Puts other rules into force.
    fn change_rules(&self, rules: &str) {
        let before = self.log("action = ledger.redaction").len();
        fs::write(&self.rules, rules).unwrap();
        let hang_up = Command::new("kill")
            .args(["-HUP", &self.server.id()])
            .status();
        assert!(hang_up.unwrap().success());
        let began = Instant::now();
        while self.log("action = ledger.redaction").len() == before {
            assert!(began.elapsed() < Duration::from_secs(60));
            std::thread::sleep(Duration::from_millis(100));
        }
        // It is in force right after it was sealed.
        std::thread::sleep(Duration::from_millis(200));
    }
}

fn event(id: &str, reason: &str) -> Value {
    json!({"action": "job.submit", "target": "slurm://a/job/1", "source": "s", "idempotency_id": id, "reason": reason})
}

/// What packs are compressed with begins so.
const ZSTD: [u8; 4] = 0xfd2f_b528_u32.to_le_bytes();
/// No pack is larger.
const MAX_PACK_BYTES: usize = 1 << 20;

/// Every value of the store of the stopped ledger in `dir`, and what was compressed in it; how much was.
fn values(dir: &Path) -> (Vec<Vec<u8>>, usize) {
    let store = Directory::new(dir).read_store().unwrap();
    let spaces = [
        Space::Meta,
        Space::Entry,
        Space::Detail,
        Space::Tile,
        Space::Id,
        Space::Segment,
    ];
    let (mut found, mut compressed) = (Vec::new(), 0);
    for space in spaces {
        for pair in store.scan(space, KeyRange::all(), Direction::Forward) {
            let (key, value) = pair.unwrap();
            for at in 0..value.len() {
                let packed = &value[at..];
                if packed.starts_with(&ZSTD) {
                    found.push(zstd::bulk::decompress(packed, MAX_PACK_BYTES).unwrap());
                    compressed += 1;
                }
            }
            found.extend([key.to_vec(), value.to_vec()]);
        }
    }
    (found, compressed)
}

fn contains(bytes: &[u8], text: &str) -> bool {
    let mut windows = bytes.windows(text.len());
    windows.any(|window| window == text.as_bytes())
}

/// Every file below `dir` with its bytes.
fn files(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            let bytes = fs::read(&path).unwrap();
            found.push((path, bytes));
        }
    }
    found
}

#[test]
fn nothing_of_a_secret_is_stored_or_answered_and_the_entry_says_so() {
    let temporary = TempDir::new().unwrap();
    let mut running = Running::start(temporary.path(), RULES);
    let first = &running.log("action = ledger.redaction")[0]["act"]["redaction_change"];
    assert_eq!(
        (&first["occasion"], &first["rules"]),
        (&json!("start"), &json!(RULES))
    );
    assert!(
        first["shipped"]
            .as_str()
            .unwrap()
            .contains("aws-access-key")
    );
    for number in 0..8 {
        let mut event = event(&format!("e{number}"), &format!("with corp_{SECRET}"));
        event["labels"] = json!({"api_key": SECRET, "n": number.to_string()});
        event["detail"] = json!({"env": [format!("DB_PASSWORD={SECRET}")], "n": number});
        event["original"] =
            json!({"media_type": "text/plain", "text": format!("password={SECRET} {number}")});
        event["original_digest"] = json!("sha256:00");
        let seq = running.append(&event).unwrap();
        assert!(
            running.append(&event).unwrap().starts_with(&seq),
            "the same again"
        );
    }
    let entries = running.log("action = job.submit");
    assert_eq!(entries.len(), 8);
    let expected = json!([
        {"rule": "password", "field": "detail.content", "count": 1},
        {"rule": "password", "field": "detail.original", "count": 1},
        {"rule": "password", "field": "detail.original_digest", "count": 1},
        {"rule": "secret", "field": "why.labels", "count": 1},
        {"rule": "corp", "field": "why.reason", "count": 1},
    ]);
    for entry in &entries {
        assert_eq!(entry["redactions"], expected);
        assert_eq!(entry["reason"], "with [redacted:corp]");
        assert_eq!(entry["labels"]["api_key"], "[redacted:secret]");
        assert!(!entry.to_string().contains(SECRET));
    }
    // As many together as fill a pack, which is then compressed.
    let many = (0..100).map(|number| {
        let mut event = event(&format!("m{number}"), &format!("with corp_{SECRET}"));
        event["detail"] = json!({"env": [format!("DB_PASSWORD={SECRET}")], "n": number});
        format!("{event}\n")
    });
    let append = ["append", "--token", &running.token];
    let printed = running.server.prints(&append, &many.collect::<String>());
    assert_eq!(printed.lines().count(), 100);
    let seq = entries[0]["seq"].to_string();
    let shown = running
        .server
        .prints(&["show", &seq, "--token", &running.token], "");
    assert!(
        shown.contains("why.reason by the rule corp, once"),
        "{shown}"
    );
    // What was read back can be sent, and names no rule by itself.
    assert!(
        running
            .append(&entries[0])
            .unwrap()
            .contains("was there already")
    );

    // Where nothing is changed the event is refused, and the refusal says nothing of the secret.
    let mut bad = event("bad", "x");
    bad["host"] = json!(format!("corp_{SECRET}"));
    let refusal = running.append(&bad).unwrap_err();
    assert!(
        refusal.contains("context.host") && refusal.contains("corp"),
        "{refusal}"
    );
    assert!(!refusal.contains(SECRET), "{refusal}");

    assert_eq!(running.server.terminate(), Some(0));
    let files = files(&running.dir);
    assert!(files.len() > 3);
    for (path, bytes) in files {
        assert!(!contains(&bytes, SECRET), "{}", path.display());
    }
    // Most of it is compressed, and there the file does not show it.
    let (values, compressed) = values(&running.dir);
    assert!(compressed >= 2, "{compressed} packs are compressed");
    assert!(!values.iter().any(|value| contains(value, SECRET)));
    // What stands in its place is found, so it would be.
    let reasons = "with [redacted:corp]".to_owned();
    let marked = values.iter().filter(|value| contains(value, &reasons));
    assert!(marked.count() >= 8);
    let verified = run(
        graven().args([
            "verify",
            "--dir",
            text(&running.dir),
            "--key",
            &running.server.key,
        ]),
        "",
    );
    assert!(verified.status.success(), "{}", stderr(&verified));
}

#[test]
fn rules_change_while_the_server_runs_and_a_retry_stays_the_same_event() {
    let temporary = TempDir::new().unwrap();
    let mut running = Running::start(temporary.path(), "shipped = false\n");
    let secret = event("a", &format!("with corp_{SECRET}"));
    // Sealed as it is: there was no rule.
    let seq = running.append(&secret).unwrap();
    running.change_rules(RULES);
    assert_eq!(
        running.append(&secret).unwrap(),
        format!("{seq} was there already")
    );
    // Sealed without it, and again after the rule is gone.
    let other = event("b", &format!("with corp_{SECRET}"));
    let seq = running.append(&other).unwrap();
    assert_eq!(
        running.append(&other).unwrap(),
        format!("{seq} was there already")
    );
    running.change_rules("shipped = false\n");
    assert_eq!(
        running.append(&other).unwrap(),
        format!("{seq} was there already")
    );
    // Whoever guesses learns nothing, and other content is other content.
    let guess = event("b", "with corp_AAAAAAAAAAAAAAAAAAAA");
    assert_eq!(
        running.append(&guess).unwrap(),
        format!("{seq} was there already")
    );
    let conflict = running.append(&event("b", "without")).unwrap_err();
    assert!(conflict.contains("idempotency id"), "{conflict}");

    // Rules that are none change nothing, and a start with the same ones seals nothing.
    fs::write(&running.rules, "[[rule]]\nname = \"x\"\nvalues = ['(']\n").unwrap();
    let hang_up = Command::new("kill")
        .args(["-HUP", &running.server.id()])
        .status();
    assert!(hang_up.unwrap().success());
    std::thread::sleep(Duration::from_millis(500));
    let occasions = |running: &Running| -> Vec<Value> {
        let acts = running.log("action = ledger.redaction");
        acts.iter()
            .map(|entry| entry["act"]["redaction_change"]["occasion"].clone())
            .collect()
    };
    assert_eq!(occasions(&running), ["start", "change", "change"]);
    fs::write(&running.rules, "shipped = false\n").unwrap();
    assert_eq!(running.server.terminate(), Some(0));
    running.server = Running::serve(temporary.path());
    assert_eq!(occasions(&running), ["start", "change", "change"]);
}

#[test]
fn a_dry_run_says_what_rules_would_do_and_sends_nothing() {
    let temporary = TempDir::new().unwrap();
    let rules = temporary.path().join("rules.toml");
    fs::write(&rules, RULES).unwrap();
    let fine = event("a", "nothing");
    let secret = event("b", &format!("corp_{SECRET} and corp_{SECRET}"));
    let mut bad = event("c", "x");
    bad["actor"] = json!(format!("unix:h/corp_{SECRET}"));
    let input = format!("{fine}\n\n{secret}\n{bad}\n");
    let redact = |format: &str| {
        run(
            graven().args(["redact", "--rules", text(&rules), "-o", format]),
            &input,
        )
    };
    let output = redact("jsonl");
    assert_eq!(output.status.code(), Some(6));
    let rows: Vec<Value> = stdout(&output)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let first =
        json!({"line": 3, "field": "why.reason", "rule": "corp", "count": 2, "refused": null});
    assert_eq!(rows[0], first);
    assert_eq!(
        (&rows[1]["line"], &rows[1]["field"]),
        (&json!(4), &json!("who.actor"))
    );
    assert_eq!(rows.len(), 2);
    let table = stdout(&redact("table"));
    assert!(
        table.contains("line 3: why.reason by the rule corp, 2 times"),
        "{table}"
    );
    assert!(table.contains("line 4: REFUSED: who.actor"), "{table}");
    for output in [redact("csv"), redact("json"), redact("table"), output] {
        let all = stdout(&output) + &stderr(&output);
        assert!(!all.contains(SECRET), "{all}");
    }
    let shipped = run(graven().arg("redact"), &format!("{fine}\n"));
    assert!(shipped.status.success() && stdout(&shipped).is_empty());
}

#[test]
fn whoever_sent_it_is_told_what_was_put_out() {
    let temporary = TempDir::new().unwrap();
    let running = Running::start(temporary.path(), RULES);
    let mut secret = event("b", &format!("corp_{SECRET} and corp_{SECRET}"));
    secret["labels"] = json!({"api_key": SECRET});
    let input = format!("{}\n\n{secret}\n", event("a", "nothing"));
    let append = |format: &str| {
        let arguments = ["append", "-o", format, "--token", &running.token];
        let output = running.server.run(&arguments, &input);
        assert!(output.status.success(), "{}", stderr(&output));
        assert!(!stderr(&output).contains(SECRET) && !stdout(&output).contains(SECRET));
        (stdout(&output), stderr(&output))
    };
    let (rows, said) = append("jsonl");
    let rows: Vec<Value> = rows
        .lines()
        .map(|row| serde_json::from_str(row).unwrap())
        .collect();
    let seq = rows[0]["seq"].as_u64().unwrap();
    assert_eq!(rows[0], json!({"seq": seq, "duplicate": false}));
    let notes = json!([
        {"rule": "secret", "field": "why.labels", "count": 1},
        {"rule": "corp", "field": "why.reason", "count": 2},
    ]);
    let expected = json!({"seq": seq + 1, "duplicate": false, "redactions": notes});
    assert_eq!(rows[1], expected);
    let told = format!(
        "line 3, entry {}: redacted why.labels by the rule secret, once; \
         why.reason by the rule corp, 2 times\n",
        seq + 1
    );
    assert_eq!(said, told);
    // The same is said of what was there already, in each form.
    let (rows, said) = append("json");
    let rows: Value = serde_json::from_str(&rows).unwrap();
    assert_eq!((&rows[1]["redactions"], said), (&notes, told.clone()));
    assert_eq!(append("csv").1, told);
    let quiet = ["append", "-q", "--token", &running.token];
    assert_eq!(stderr(&running.server.run(&quiet, &input)), "");

    // Also of an event from flags, of a key, and of how many changes of an import.
    let reason = format!("corp_{SECRET}");
    let target = ["--target", "slurm://a/job/1", "--source", "s"];
    let of = |arguments: &[&str]| {
        let all = [arguments, &["--token", &running.token]].concat();
        let output = running.server.run(&all, "");
        assert!(output.status.success(), "{}", stderr(&output));
        stderr(&output)
    };
    let flags = ["append", "--action", "job.fail", "--reason", &reason];
    let said = of(&[&flags[..], &target].concat());
    let by_rule = "redacted why.reason by the rule corp, once\n";
    assert!(
        said.starts_with("entry ") && said.ends_with(by_rule),
        "{said}"
    );
    let key = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/ssh/id_ed25519.pub");
    let whose = ["--grantee", "oidc:corp/alice", "--source", "s"];
    let register = ["key", "register", key, "--reason", &reason];
    let said = of(&[&register[..], &whose].concat());
    assert!(said.ends_with(by_rule), "{said}");
    let repo = Repo::new();
    repo.write("a.py", "one\n");
    repo.commit(&format!("with corp_{SECRET}"));
    repo.write("b.py", "two\n");
    repo.commit("without");
    let path = text(repo.path());
    let said = of(&["import", "git", path, "--name", "forge.example/team"]);
    let summary = "imported 2 changes of git://forge.example/team; \
                   rules put something out of 1, as `graven show` says of each\n";
    assert_eq!(said, summary);
}
