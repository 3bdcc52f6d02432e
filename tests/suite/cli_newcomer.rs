//! What somebody sees who does not know the commands yet: their help, and what is said about mistakes.

use std::fs;
use std::path::Path;
use std::process::Output;

use tempfile::TempDir;

use super::cli_support::{Server, graven, run, stderr, stdout, text};
use super::ledger_faults::MemoryVolume;

const EVENT: &str = r#"{"action":"job.fail","target":"slurm://a/job/1","source":"s"}"#;

const COMMANDS: [&[&str]; 17] = [
    &[],
    &["keygen"],
    &["key"],
    &["key", "register"],
    &["token"],
    &["init"],
    &["serve"],
    &["append"],
    &["show"],
    &["log"],
    &["blame"],
    &["tail"],
    &["prove"],
    &["verify"],
    &["import"],
    &["import", "git"],
    &["checkpoint"],
];

#[test]
fn help_fits_a_terminal_of_80_columns_and_groups_its_flags() {
    for command in COMMANDS {
        let mut graven = graven();
        let output = run(graven.args(command).arg("--help").env("COLUMNS", "80"), "");
        assert_eq!(output.status.code(), Some(0), "{command:?}");
        let help = stdout(&output);
        for line in help.lines() {
            assert!(line.chars().count() <= 80, "{command:?}: {line}");
        }
        // What every command has stands behind what this one is about.
        let place = |part| help.find(part);
        let (own, everywhere) = (place("Options:"), place("\nEverywhere:"));
        assert!(everywhere.is_some(), "{command:?}: {help}");
        assert!(place("--quiet") > everywhere, "{command:?}: {help}");
        assert!(own < everywhere || own.is_none(), "{command:?}: {help}");
        if let Some(server) = place("--server") {
            assert!(Some(server) > place("\nConnection:"), "{command:?}: {help}");
        }
    }
}

fn said(output: &Output, code: i32) -> String {
    assert_eq!(output.status.code(), Some(code), "{}", stderr(output));
    assert_eq!(stdout(output), "");
    stderr(output)
}

fn say(arguments: &[&str], code: i32) -> String {
    said(&run(graven().args(arguments), ""), code)
}

#[test]
fn an_address_that_is_none_is_wrong_usage() {
    for address in ["127.0.0.1:7431", "ftp://localhost", "localhost", "http//x"] {
        let said = say(&["log", "--server", address], 2);
        assert!(said.contains("expected http://HOST:PORT"), "{said}");
    }
    let server = Server::dev();
    let secure = server.url.replace("http://", "https://");
    let said = say(&["log", "--server", &secure], 4);
    assert!(said.contains("begins with http://"), "{said}");
}

#[test]
fn what_is_there_is_never_overwritten_and_that_is_said() {
    let temporary = TempDir::new().unwrap();
    let server = Server::dev();
    server.prints(&["append"], EVENT);
    let file = temporary.path().join("file");
    fs::write(&file, "precious").unwrap();
    let file = text(&file);
    let keygen = say(&["keygen", "--name", "ledger.example/x", "--out", file], 1);
    let prove = said(&server.run(&["prove", "0", "--out", file], ""), 1);
    for said in [keygen, prove] {
        assert!(
            said.contains("exists already, and is not overwritten"),
            "{said}"
        );
    }
    assert_eq!(fs::read(file).unwrap(), b"precious");
}

#[test]
fn a_full_volume_leaves_no_part_of_a_file() {
    let Some(volume) = MemoryVolume::new("1m") else {
        println!("skipped: needs root");
        return;
    };
    let server = Server::dev();
    server.prints(&["append"], EVENT);
    // As far as it goes.
    fs::write(volume.path().join("filler"), vec![1; 2 << 20]).unwrap_err();
    let (evidence, key) = (volume.path().join("e.json"), volume.path().join("key"));
    let prove = said(
        &server.run(&["prove", "0", "--out", text(&evidence)], ""),
        1,
    );
    let keygen = say(&["keygen", "--name", "x.example/l", "--out", text(&key)], 1);
    for said in [prove, keygen] {
        assert!(said.contains("No space left"), "{said}");
    }
    assert!(!evidence.exists());
    assert!(!key.exists());
}

fn init(dir: &Path, more: &[&str]) -> Output {
    let arguments = ["init", "--origin", "ledger.example/x", "--dir", text(dir)];
    run(graven().args(arguments).args(more), "")
}

#[test]
fn a_ledger_is_not_made_over_another_and_the_key_has_to_be_its_own() {
    let temporary = TempDir::new().unwrap();
    let at = |name: &str| temporary.path().join(name);
    let dir = at("ledger");
    assert!(init(&dir, &[]).status.success());
    let key = fs::read(dir.join("log.key")).unwrap();
    let twice = said(&init(&dir, &[]), 2);
    assert!(twice.contains("there is a ledger in"), "{twice}");
    assert_eq!(fs::read(dir.join("log.key")).unwrap(), key);
    // One that is gone but for its key: that key signed, so it is not put aside unasked.
    let (rest, own) = (at("rest"), at("rest").join("log.key"));
    fs::create_dir(&rest).unwrap();
    fs::copy(dir.join("log.key"), &own).unwrap();
    let kept = said(&init(&rest, &[]), 2);
    assert!(kept.contains("--key"), "{kept}");
    assert!(init(&rest, &["--key", text(&own)]).status.success());

    let other = at("other.key");
    let keygen = [
        "keygen",
        "--name",
        "ledger.example/y",
        "--out",
        text(&other),
    ];
    assert!(run(graven().args(keygen), "").status.success());
    let fresh = at("fresh");
    let wrong = said(&init(&fresh, &["--key", text(&other)]), 2);
    assert!(wrong.contains("ledger.example/y"), "{wrong}");
    assert!(!fresh.exists(), "a refusal leaves nothing");
}

#[test]
fn a_successor_names_a_checkpoint_of_the_ledger_it_continues() {
    let temporary = TempDir::new().unwrap();
    let at = |name: &str| temporary.path().join(name);
    let server = Server::dev();
    let checkpoint = server.prints(&["checkpoint"], "");
    let file = at("checkpoint");
    let succeed = |origin: &str, name: &str| {
        let predecessor = ["--predecessor", origin];
        let from = ["--predecessor-checkpoint", text(&file)];
        init(&at(name), &[predecessor, from].concat())
    };
    let cases = [
        ("root:x:0:0::/root:/bin/sh\n", "blank line"),
        ("", "blank line"),
        ("a\n\n— x AAAAAAAA\n", "not three or more lines"),
    ];
    for (content, because) in cases {
        fs::write(&file, content).unwrap();
        let refused = said(&succeed(&server.origin, "none"), 2);
        assert!(refused.contains("no signed checkpoint of"), "{refused}");
        assert!(refused.contains(because), "{refused}");
    }
    fs::write(&file, &checkpoint).unwrap();
    let refused = said(&succeed("ledger.example/old", "none"), 2);
    assert!(
        refused.contains(&format!("it is of {}", server.origin)),
        "{refused}"
    );
    assert!(!at("none").exists(), "a refusal leaves nothing");
    assert!(succeed(&server.origin, "successor").status.success());
}

#[test]
fn a_mistake_in_the_configuration_is_shown_where_it_is() {
    let temporary = TempDir::new().unwrap();
    let config = temporary.path().join("graven.toml");
    fs::write(&config, "listen = \"127.0.0.1:0\"\ndirectory = \"x\"\n").unwrap();
    let said = say(&["serve", "--config", text(&config)], 2);
    assert!(said.contains("line 2, column 1\n"), "{said}");
    assert!(said.contains("2 | directory = "), "{said}");
    assert!(said.contains("unknown field `directory`"), "{said}");
    fs::write(&config, "dir = \"x\"\nlisten = \"\u{1b}[2J\"\n").unwrap();
    let said = say(&["serve", "--config", text(&config)], 2);
    assert!(said.contains("line 2, column"), "{said}");
    assert!(!said.contains('\u{1b}'), "{said:?}");
}

#[test]
fn a_token_has_a_name_that_can_be_sealed_and_its_lines_are_toml() {
    let long = "a".repeat(129);
    for name in ["", "a\nb", "\u{1b}[31m", &long] {
        let said = say(&["token", name, "--subject", "oidc:corp/a"], 2);
        assert!(said.contains("the token name"), "{said}");
        assert!(!said.contains('\u{1b}'), "{said:?}");
    }
    let name = r#"Zoë's "new" \ 火"#;
    let output = run(
        graven().args(["token", name, "--subject", "oidc:corp/zoë"]),
        "",
    );
    assert!(output.status.success());
    assert_eq!(stdout(&output).trim().len(), 43);
    let lines: toml::Table = stderr(&output).parse().unwrap();
    let token = &lines["token"][0];
    assert_eq!(token["name"].as_str(), Some(name));
    assert_eq!(token["subject"].as_str(), Some("oidc:corp/zoë"));
}

#[test]
fn a_line_that_is_no_json_is_counted_once() {
    let server = Server::dev();
    let output = server.run(&["append"], &format!("{EVENT}\n{EVENT}\nnot json\n"));
    assert_eq!(stdout(&output), "0\n1\n");
    let said = stderr(&output);
    assert!(said.contains("line 3: is not JSON"), "{said}");
    assert!(!said.contains("line 1"), "{said}");
}
