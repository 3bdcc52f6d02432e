//! Ledgers and files of every released format, kept as they were made: they are opened, verified and gone on with for ever.
//!
//! `tests/data/v1` was made by Graven 0.1.0, which writes version 1 of everything. Nothing in it is ever written anew: a
//! released format that a change can no longer read is a broken promise, not a fixture to refresh. The next version gets a
//! directory of its own. `tests/data/index-v2` is of a program whose index has another version.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use graven::verify::{Accusation, Case, Evidence};
use tempfile::TempDir;

use super::cli_support::{Server, graven, run, stderr, stdout, text};

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(name)
}

fn key_of(version: &str) -> String {
    let key = fs::read_to_string(data(version).join("key")).unwrap();
    key.trim().to_owned()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// The ledger of a fixture, where it can be changed.
fn ledger_of(version: &str) -> (TempDir, PathBuf) {
    let temporary = TempDir::new().unwrap();
    let dir = temporary.path().join("ledger");
    copy(&data(version).join("ledger"), &dir);
    // The version control keeps no permissions, and a key that others can read is refused.
    let key = dir.join("log.key");
    fs::set_permissions(key, fs::Permissions::from_mode(0o600)).unwrap();
    (temporary, dir)
}

/// A command about a stopped ledger or a file; its exit code, and all that it says.
fn verify(arguments: &[&str]) -> (i32, String) {
    let output = run(graven().arg("verify").args(arguments), "");
    let said = stdout(&output) + &stderr(&output);
    (output.status.code().unwrap(), said)
}

fn serve(dir: &Path, origin: &str) -> Command {
    let mut command = graven();
    let config = dir.join("graven.toml");
    let token = "[[token]]\nname = \"loader\"\nsubject = \"oidc:corp/loader\"\n";
    // The SHA-256 of "fixture".
    let hash = "sha256 = \"f16d05ec6b29248d2c61adb1e9263f78e4f7bace1b955014a2d17872cfe4064d\"\n";
    let policy = dir.join("policy.toml");
    let grant = |role| format!("[[grant]]\nidentity = \"oidc:corp/loader\"\nrole = \"{role}\"\n");
    fs::write(&policy, grant("writer") + &grant("reader")).unwrap();
    let settings = format!(
        "dir = {dir:?}\nlisten = \"127.0.0.1:0\"\norigin = \"{origin}\"\npolicy = {policy:?}\n"
    );
    fs::write(
        &config,
        format!("{settings}key = {:?}\n{token}{hash}", dir.join("log.key")),
    )
    .unwrap();
    command.arg("serve").arg("--config").arg(config);
    command
}

#[test]
fn a_ledger_of_version_1_is_opened_verified_and_gone_on_with() {
    let (temporary, dir) = ledger_of("v1");
    let (key, checkpoint) = (key_of("v1"), data("v1/checkpoint"));
    let whole = [
        "--dir",
        text(&dir),
        "--rederive",
        "--key",
        &key,
        "--minimum",
        text(&checkpoint),
    ];
    let (code, said) = verify(&whole);
    assert_eq!(code, 0, "{said}");
    let expected = "OK\n  1034 entries\n  checkpoint of ledger.example/v1 at size 1034\n  1 segments re-derived, which \
                    entry 1030 seals over 1024 entries\n  1 seals checked\n";
    assert!(said.starts_with(expected), "{said}");

    let mut command = serve(&dir, "ledger.example/v1");
    command.arg("--known-checkpoint").arg(&checkpoint);
    let mut server = Server::start(command, dir.clone(), temporary);
    assert_eq!(server.key, key);
    let ask = |filter: &str| {
        let mut command = server.command(&["log", filter, "-o", "jsonl"]);
        let output = run(command.env("GRAVEN_TOKEN", "fixture"), "");
        assert!(output.status.success(), "{}", stderr(&output));
        let proved = stderr(&output);
        assert!(proved.contains("sealed by entry 1030"), "{proved}");
        stdout(&output).lines().count()
    };
    let before = ask("actor = slurm:a100/bob");
    assert_eq!(before, 1);
    let event = r#"{"action":"job.cancel","actor":"slurm:a100/bob","source":"slurm:a100","target":"slurm://a100/job/1"}"#;
    let mut append = server.command(&["append"]);
    let appended = run(append.env("GRAVEN_TOKEN", "fixture"), event);
    assert!(appended.status.success(), "{}", stderr(&appended));
    assert_eq!(ask("actor = slurm:a100/bob"), before + 1);
    assert_eq!(server.terminate(), Some(0));

    let (code, said) = verify(&whole);
    assert_eq!(code, 0, "{said}");
    // Start, configuration, policy, rules for secrets, event, stop.
    assert!(said.contains("\n  1040 entries\n"), "{said}");
}

#[test]
fn files_of_version_1_verify() {
    let key = key_of("v1");
    let cases = ["case.json", "case-withheld.json"];
    for name in cases.into_iter().chain(["evidence.json"]) {
        let file = data("v1").join(name);
        let (code, said) = verify(&[text(&file), "--key", &key]);
        assert_eq!(code, 0, "{name}: {said}");
        assert!(said.starts_with("OK\n"), "{name}: {said}");
        let (code, said) = verify(&[text(&file)]);
        assert_eq!(code, 5, "{name}: {said}");
        // Read and written, it is the same to the byte.
        let json = fs::read_to_string(&file).unwrap();
        let again = match name {
            "evidence.json" => Evidence::from_json(json.as_bytes()).unwrap().to_json(),
            _ => Case::from_json(json.as_bytes()).unwrap().to_json(),
        };
        assert!(again == json, "{name} is written otherwise");
    }
    let (_, said) = verify(&[text(&data("v1/case.json")), "--key", &key]);
    assert!(said.contains("answer: 2 entries match"), "{said}");
    let (_, said) = verify(&[text(&data("v1/case-withheld.json")), "--key", &key]);
    assert!(said.contains("withheld: why of 1"), "{said}");
}

#[test]
fn accusations_of_version_1_hold() {
    let key = fs::read_to_string(data("v1/accused.key")).unwrap();
    for (name, said) in [
        (
            "list",
            "leaves out entry 17, which has participant = oidc:corp/mallory",
        ),
        ("form", "is no segment: "),
        (
            "entries",
            "segment 0 of level 0 (entries 0 to 1023) is not what its entries come to",
        ),
        (
            "seal",
            "the seal is over 2048 entries, more than there are before it",
        ),
    ] {
        let file = data("v1").join(format!("accusation-{name}.json"));
        let (code, all) = verify(&[text(&file), "--key", key.trim()]);
        assert_eq!(code, 3, "{name}: {all}");
        let proved = "TAMPERED: the operator sealed a false index: ";
        assert!(
            all.starts_with(proved) && all.contains(said),
            "{name}: {all}"
        );
        let json = fs::read_to_string(&file).unwrap();
        let again = Accusation::from_json(json.as_bytes()).unwrap().to_json();
        assert!(again == json, "{name} is written otherwise");
    }
}

#[test]
fn of_an_index_of_another_version_nothing_is_proved_and_nothing_called_false() {
    let (_temporary, dir) = ledger_of("index-v2");
    let key = key_of("index-v2");
    let unproved = "COULD NOT CHECK: the search index is not proved: it is of version 2, and this program knows version 1";
    let directory = ["--dir", text(&dir), "--key", &key];
    for rederive in [&[][..], &["--rederive"]] {
        let (code, said) = verify(&[&directory[..], rederive].concat());
        assert_eq!(code, 5, "{said}");
        assert!(said.starts_with(unproved), "{said}");
        assert!(said.contains("\n  1034 entries\n"), "{said}");
    }
    let (code, said) = verify(&[text(&data("index-v2/case.json")), "--key", &key]);
    assert_eq!(code, 5, "{said}");
    assert!(said.starts_with(unproved), "{said}");
    // What does not rest on the index is checked as ever.
    let (code, said) = verify(&[text(&data("index-v2/evidence.json")), "--key", &key]);
    assert_eq!(code, 0, "{said}");
    let refused = run(&mut serve(&dir, "ledger.example/v1"), "");
    assert_eq!(refused.status.code(), Some(5), "{}", stderr(&refused));
    let said = stderr(&refused);
    assert!(
        said.contains("the ledger's search index is of version 2"),
        "{said}"
    );
}
