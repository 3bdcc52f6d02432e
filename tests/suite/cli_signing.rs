//! Events that their actors sign with SSH keys, as `ssh-keygen` makes and uses them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use super::cli_support::{Server, run, stderr, stdout, text};

const ALICE: &str = "oidc:corp/alice";

/// A directory with SSH keys, and nobody to ask for a passphrase.
struct Keys(TempDir);

impl Keys {
    /// None, which is said, where there is no `ssh-keygen`.
    fn new() -> Option<Self> {
        let there = Command::new("ssh-keygen")
            .arg("-?")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        if there.is_err() {
            eprintln!("skipped: there is no ssh-keygen");
            return None;
        }
        Some(Self(TempDir::new().unwrap()))
    }

    /// A key of a kind, such as `ed25519` or `rsa:2048`.
    fn make(&self, kind: &str, name: &str, passphrase: &str) -> PathBuf {
        let file = self.0.path().join(name);
        let (kind, bits) = kind.split_once(':').unwrap_or((kind, ""));
        let bits = (!bits.is_empty()).then_some(["-b", bits]);
        let made = Command::new("ssh-keygen")
            .args(bits.into_iter().flatten())
            .args([
                "-q",
                "-t",
                kind,
                "-C",
                "alice@laptop",
                "-N",
                passphrase,
                "-f",
            ])
            .arg(&file)
            .status();
        assert!(made.unwrap().success());
        file
    }
}

fn public(key: &Path) -> PathBuf {
    key.with_extension("pub")
}

/// Calls a command that signs, with no agent unless `agent` is one, and no terminal to ask at.
fn signing(
    server: &Server,
    agent: Option<&Path>,
    arguments: &[&str],
    input: &str,
) -> (i32, String, String) {
    let mut command = server.command(arguments);
    command
        .env_remove("SSH_AUTH_SOCK")
        .env("SSH_ASKPASS", "false")
        .env("SSH_ASKPASS_REQUIRE", "force");
    if let Some(agent) = agent {
        command.env("SSH_AUTH_SOCK", agent);
    }
    let output = run(&mut command, input);
    let code = output.status.code().unwrap();
    (code, stdout(&output), stderr(&output))
}

const EVENT: [&str; 9] = [
    "append",
    "--action",
    "file.update",
    "--target",
    "fs://nfs1/a",
    "--source",
    "shell",
    "--actor",
    ALICE,
];

/// Appends an event of alice's with her signature, and gives its seq.
fn append(server: &Server, agent: Option<&Path>, key: &Path) -> String {
    let arguments = [EVENT.as_slice(), &["--sign-with", text(key)]].concat();
    let (code, seq, said) = signing(server, agent, &arguments, "");
    assert_eq!(code, 0, "{said}");
    seq.trim().to_owned()
}

fn register(server: &Server, command: &str, key: &Path) -> String {
    let arguments = [
        "key",
        command,
        text(key),
        "--grantee",
        ALICE,
        "--source",
        "directory",
    ];
    server.prints(&arguments, "").trim().to_owned()
}

/// What `graven show` says of an entry, and shows.
fn shown(server: &Server, seq: &str) -> (String, String) {
    let shown = server.run(&["show", seq], "");
    assert!(shown.status.success(), "{}", stderr(&shown));
    (stderr(&shown), stdout(&shown))
}

fn fingerprint(key: &Path) -> String {
    let printed = Command::new("ssh-keygen")
        .args(["-l", "-f"])
        .arg(key)
        .output();
    let printed = String::from_utf8(printed.unwrap().stdout).unwrap();
    printed.split(' ').nth(1).unwrap().to_owned()
}

#[test]
fn an_ssh_key_signs_as_the_actor_whom_entries_say_it_is() {
    let Some(keys) = Keys::new() else { return };
    let server = Server::dev();
    let key = keys.make("ed25519", "id_ed25519", "");
    let early = append(&server, None, &key);
    let registered = register(&server, "register", &public(&key));
    let attested = append(&server, None, &key);
    let revoked = register(&server, "revoke", &public(&key));
    let late = append(&server, None, &key);

    let (said, fields) = shown(&server, &attested);
    let whose = format!("attested: the key is {ALICE}'s, as entry {registered} says");
    assert!(
        said.contains(&whose) && !said.contains("not attested"),
        "{said}"
    );
    let good = format!("good, by the SSH key {}", fingerprint(&key));
    let fields: String = fields.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(fields.contains(&good), "{fields}");
    let (said, _) = shown(&server, &early);
    assert!(
        said.contains("not attested: no entry before it says"),
        "{said}"
    );
    let (said, _) = shown(&server, &late);
    assert!(
        said.contains(&format!("not attested: entry {revoked} had revoked")),
        "{said}"
    );

    let rows = server.prints(&["log", "signed = true", "-o", "jsonl"], "");
    let row = |row: &str| serde_json::from_str::<Value>(row).unwrap();
    let rows: Vec<Value> = rows.lines().map(row).collect();
    let seqs: Vec<String> = rows.iter().map(|row| row["seq"].to_string()).collect();
    assert_eq!(seqs, [early, attested, late]);
    let signature = rows[1]["actor_signature"].as_object().unwrap();
    assert_eq!(signature.keys().collect::<Vec<_>>(), ["ssh_signature"]);
    let name = server.prints(&["key", "name", text(&public(&key))], "");
    let name = name.trim();
    let rows = server.prints(&["log", &format!("target = {name}"), "-o", "jsonl"], "");
    let actions: Vec<Value> = rows
        .lines()
        .map(|line| row(line)["action"].clone())
        .collect();
    assert_eq!(actions, ["key.register", "key.revoke"]);
    assert!(server.run(&["verify"], "").status.success());
}

#[test]
fn keys_of_every_kind_that_people_have_sign() {
    let Some(keys) = Keys::new() else { return };
    let server = Server::dev();
    for (kind, called) in [
        ("ecdsa:256", "key/ecdsa-sha2-nistp256/"),
        ("ecdsa:384", "key/ecdsa-sha2-nistp384/"),
        ("rsa:2048", "key/ssh-rsa/"),
        ("rsa:4096", "key/ssh-rsa/"),
    ] {
        let key = keys.make(kind, &kind.replace(':', "_"), "");
        let registered = register(&server, "register", &public(&key));
        let name = server.prints(&["key", "name", text(&public(&key))], "");
        assert!(name.contains(called), "{name}");
        let attested = append(&server, None, &key);
        let (said, fields) = shown(&server, &attested);
        let whose = format!("attested: the key is {ALICE}'s, as entry {registered} says");
        assert!(said.contains(&whose), "{kind}: {said}");
        let fields: String = fields.split_whitespace().collect::<Vec<_>>().join(" ");
        let good = format!("good, by the SSH key {}", fingerprint(&key));
        assert!(fields.contains(&good), "{kind}: {fields}");
    }
    assert!(server.run(&["verify"], "").status.success());
}

#[test]
fn lines_are_signed_one_by_one_and_those_before_a_bad_one_are_kept() {
    let Some(keys) = Keys::new() else { return };
    let server = Server::dev();
    let key = keys.make("ed25519", "id_ed25519", "");
    let arguments = ["append", "--sign-with", text(&key)];
    let line =
        |actor: &str| format!(r#"{{"action":"a.b","target":"other:x","source":"s"{actor}}}"#);
    let alice = line(&format!(r#","actor":"{ALICE}""#));
    let (code, seqs, said) = signing(
        &server,
        None,
        &arguments,
        &format!("{alice}\n{alice}\n{}\n", line("")),
    );
    assert_eq!((code, seqs.lines().count()), (2, 2), "{said}");
    assert!(
        said.contains("line 3: --sign-with signs as the actor, and the event names none"),
        "{said}"
    );
    let signed = server.prints(&["log", "signed = true", "-o", "jsonl"], "");
    assert_eq!(signed.lines().count(), 2);
}

#[test]
fn an_agent_signs_for_the_public_key() {
    let Some(keys) = Keys::new() else { return };
    let Some(agent) = Agent::new(&keys) else {
        eprintln!("skipped: there is no ssh-agent");
        return;
    };
    let server = Server::dev();
    let key = keys.make("ed25519", "id_ed25519", "");
    let added = Command::new("ssh-add")
        .args(["-q", text(&key)])
        .env("SSH_AUTH_SOCK", &agent.socket)
        .stderr(Stdio::null())
        .status();
    assert!(added.unwrap().success());
    fs::remove_file(&key).unwrap();
    let seq = append(&server, Some(&agent.socket), &public(&key));
    let (_, fields) = shown(&server, &seq);
    assert!(fields.contains("good, by the SSH key"), "{fields}");
}

struct Agent {
    child: Child,
    socket: PathBuf,
}

impl Agent {
    fn new(keys: &Keys) -> Option<Self> {
        let socket = keys.0.path().join("agent");
        let child = Command::new("ssh-agent")
            .args(["-D", "-a", text(&socket)])
            .stdout(Stdio::null())
            .spawn()
            .ok()?;
        let agent = Self { child, socket };
        for _ in 0..1_000 {
            if agent.socket.exists() {
                return Some(agent);
            }
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        panic!("the agent does not listen");
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn keys_that_cannot_sign_are_refused_in_words() {
    let Some(keys) = Keys::new() else { return };
    let server = Server::dev();
    let refused = |key: &Path| {
        let arguments = [EVENT.as_slice(), &["--sign-with", text(key)]].concat();
        let (code, seq, said) = signing(&server, None, &arguments, "");
        assert_eq!(seq, "", "{said}");
        (code, said)
    };
    let ecdsa = keys.make("ecdsa:521", "id_ecdsa", "");
    let (code, said) = refused(&ecdsa);
    assert_eq!(code, 2);
    assert!(
        said.contains("has a key of the type ecdsa-sha2-nistp521, which is not accepted"),
        "{said}"
    );
    let locked = keys.make("ed25519", "locked", "a passphrase that nobody types");
    let (code, said) = refused(&locked);
    assert_eq!(code, 1);
    assert!(
        said.contains("locked: it did not sign, and says why above"),
        "{said}"
    );
    let (code, said) = refused(&keys.0.path().join("nothing"));
    assert_eq!(code, 1);
    assert!(said.contains("No such file"), "{said}");

    let register = |key: &Path| {
        let arguments = [
            "key",
            "register",
            text(key),
            "--grantee",
            ALICE,
            "--source",
            "s",
        ];
        let output = server.run(&arguments, "");
        assert_eq!(output.status.code(), Some(2));
        stderr(&output)
    };
    let said = register(&public(&ecdsa));
    assert!(
        said.contains("of the type ecdsa-sha2-nistp521, which is not accepted"),
        "{said}"
    );
    let said = register(&ecdsa);
    assert!(
        said.contains("is a private key: give the .pub file beside it"),
        "{said}"
    );
    let nothing = server.prints(&["log", "kind = event", "-o", "jsonl"], "");
    assert_eq!(nothing, "");
}

/// An executable that stands for `ssh-keygen`, alone in its directory.
fn instead(script: &str) -> TempDir {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("ssh-keygen");
    fs::write(&file, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    dir
}

#[test]
fn what_stands_for_ssh_keygen_is_not_trusted() {
    let server = Server::dev();
    let call = |path: &Path| {
        let arguments = [EVENT.as_slice(), &["--sign-with", "id_ed25519"]].concat();
        let mut command = server.command(&arguments);
        let output = run(command.env("PATH", path), "");
        (output.status.code().unwrap(), stderr(&output))
    };
    let empty = TempDir::new().unwrap();
    let (code, said) = call(empty.path());
    assert_eq!(code, 1);
    assert!(
        said.contains("needs ssh-keygen, of OpenSSH 8.2 or later"),
        "{said}"
    );
    let (code, said) = call(instead("echo signed").path());
    assert_eq!(code, 1);
    assert!(
        said.contains("what it printed is not an SSH signature"),
        "{said}"
    );
    // A good signature, of something else.
    let other = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/ssh/sha512.sig");
    let script = format!(
        "while read -r line; do echo \"$line\"; done <'{}'",
        text(&other)
    );
    let (code, said) = call(instead(&script).path());
    assert_eq!(code, 2);
    assert!(
        said.contains("the signature with id_ed25519 is not a valid signature of these parts"),
        "{said}"
    );
}

#[test]
fn a_signature_is_for_a_ledger_that_the_signer_names() {
    let server = Server::dev();
    let arguments = [EVENT.as_slice(), &["--sign-with", "id_ed25519"]].concat();
    let output = run(server.command(&arguments).env_remove("GRAVEN_KEY"), "");
    assert_eq!(output.status.code(), Some(2));
    let said = stderr(&output);
    assert!(said.contains("--sign-with signs for one ledger"), "{said}");
}
