//! Questions that are kept under a name.

use std::fs;
use std::process::Output;

use tempfile::TempDir;

use super::cli_support::{Server, run, stderr, stdout, text};

struct Kept {
    server: Server,
    directory: TempDir,
}

impl Kept {
    fn new() -> Self {
        let server = Server::dev();
        let event = |action: &str, target: &str| {
            format!(r#"{{"action":"{action}","source":"agent:one","target":"{target}"}}"#)
        };
        let events = [
            event("file.read", "fs://nfs-1/a"),
            event("file.update", "fs://nfs-1/a"),
            event("file.update", "fs://nfs-1/it's"),
        ];
        server.prints(&["append"], &events.join("\n"));
        let directory = TempDir::new().unwrap();
        Self { server, directory }
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = self.server.command(arguments);
        command.env("XDG_CONFIG_HOME", self.directory.path());
        run(&mut command, "")
    }
}

#[test]
fn a_question_is_kept_as_it_was_typed_and_asked_again() {
    let kept = Kept::new();
    let first = kept.run(&[
        "log",
        "--save",
        "changes",
        "--action",
        "file.update",
        "target:it's",
        "--since",
        "-1h",
        "-o",
        "jsonl",
        "--token",
        "secret",
    ]);
    assert!(first.status.success(), "{}", stderr(&first));
    assert!(
        stderr(&first).starts_with("saved @changes in "),
        "{}",
        stderr(&first)
    );
    assert_eq!(stdout(&first).lines().count(), 1);
    let again = kept.run(&["log", "@changes", "-o", "jsonl"]);
    assert_eq!(stdout(&again), stdout(&first));
    assert!(
        stderr(&again)
            .starts_with("@changes is --action file.update 'target:it'\\''s' --since -1h\n"),
        "{}",
        stderr(&again)
    );
    // What is typed beside it narrows or replaces.
    let narrowed = kept.run(&[
        "log", "@changes", "--since", "-1s", "seq < 1", "-o", "jsonl",
    ]);
    assert!(narrowed.status.success(), "{}", stderr(&narrowed));
    assert_eq!(stdout(&narrowed), "");
    let file = fs::read_to_string(kept.directory.path().join("graven/queries.toml")).unwrap();
    assert!(
        !file.contains("secret") && !file.contains("jsonl"),
        "{file}"
    );
    let listed = kept.run(&["queries"]);
    assert!(
        stdout(&listed).starts_with("changes "),
        "{}",
        stdout(&listed)
    );
    let replaced = kept.run(&["log", "--save", "changes", "action = file.read"]);
    assert!(
        stderr(&replaced).starts_with("replaced @changes"),
        "{}",
        stderr(&replaced)
    );
    let listed = kept.run(&["queries", "-o", "jsonl"]);
    assert_eq!(
        stdout(&listed),
        "{\"name\":\"changes\",\"words\":[\"action = file.read\"]}\n"
    );
}

#[test]
fn wrong_names_and_files_are_refused() {
    let kept = Kept::new();
    let missing = kept.run(&["log", "@nights"]);
    assert_eq!(missing.status.code(), Some(2));
    assert!(
        stderr(&missing).contains("no question @nights"),
        "{}",
        stderr(&missing)
    );
    let code = |arguments: &[&str]| kept.run(arguments).status.code();
    assert_eq!(code(&["log", "--save", "../x", "seq = 1"]), Some(2));
    assert_eq!(code(&["log", "--save", "x", "tarrget = y"]), Some(2));
    assert!(!kept.directory.path().join("graven").exists());
    let file = kept.directory.path().join("other.toml");
    fs::write(&file, "query = 3\n").unwrap();
    assert_eq!(code(&["log", "--queries", text(&file), "@x"]), Some(2));
    assert_eq!(code(&["queries", "--queries", text(&file)]), Some(2));
    fs::write(&file, "[query]\nx = [\"seq = 1\"]\n").unwrap();
    assert_eq!(code(&["log", "--queries", text(&file), "@x"]), Some(0));
}
