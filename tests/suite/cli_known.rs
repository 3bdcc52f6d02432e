//! A server that is told of checkpoints kept outside, as an operator configures it.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

use super::cli_support::{Server, graven, run, stderr, stdout, text};

const EVENT: &str = r#"{"action":"job.fail","target":"slurm://a/job/1","source":"s"}"#;

fn serve(dir: &Path) -> Command {
    let mut command = graven();
    command.args(["serve", "--dev", "--dir"]).arg(dir);
    command
}

fn serve_knowing(dir: &Path, known: &[&Path]) -> Command {
    let mut command = serve(dir);
    for file in known {
        command.arg("--known-checkpoint").arg(file);
    }
    command
}

fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").arg(from).arg(to).status();
    assert!(copied.unwrap().success());
}

fn is_refused(output: &Output, code: i32, because: &[&str]) {
    let said = stderr(output);
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert_eq!(stdout(output), "", "it listens");
    for part in because {
        assert!(said.contains(part), "{said}");
    }
}

#[test]
fn a_ledger_that_was_rolled_back_whole_does_not_start_beside_a_later_checkpoint() {
    let temporary = TempDir::new().unwrap();
    let at = |name: &str| temporary.path().join(name);
    let (dir, yesterday, other) = (at("ledger"), at("yesterday"), at("other"));
    let start = |command| Server::start(command, dir.clone(), TempDir::new().unwrap());
    let mut server = start(serve(&dir));
    server.prints(&["append"], EVENT);
    let (early, late) = (at("early"), at("late"));
    fs::write(&early, server.prints(&["checkpoint"], "")).unwrap();
    server.terminate();
    copy(&dir, &yesterday);
    let mut server = start(serve_knowing(&dir, &[&early]));
    server.prints(&["append"], &format!("{EVENT}\n{EVENT}\n"));
    fs::write(&late, server.prints(&["checkpoint"], "")).unwrap();
    server.terminate();
    // As long as it grows, it extends both.
    let mut server = start(serve_knowing(&dir, &[&early, &late]));
    server.prints(&["append"], EVENT);
    server.terminate();

    let because = [
        "ROLLED BACK",
        "has 1 entries",
        "signed over 3",
        "2 are missing",
        "late",
    ];
    is_refused(
        &run(&mut serve_knowing(&yesterday, &[&early, &late]), ""),
        3,
        &because,
    );
    let adopting = run(serve_knowing(&yesterday, &[&late]).arg("--adopt"), "");
    is_refused(&adopting, 3, &["ROLLED BACK"]);

    // The same length, another history.
    copy(&yesterday, &other);
    let mut server = start(serve_knowing(&other, &[&early]));
    server.prints(&["append"], &[EVENT; 3].join("\n"));
    server.terminate();
    is_refused(
        &run(&mut serve_knowing(&other, &[&late]), ""),
        3,
        &["FORK: at size 3", "late"],
    );

    // A refusal changes nothing.
    let mut server = start(serve(&yesterday));
    assert_eq!(
        server.prints(&["checkpoint"], ""),
        fs::read_to_string(&early).unwrap()
    );
    server.terminate();
}

#[test]
fn a_known_checkpoint_that_cannot_be_used_is_said() {
    let temporary = TempDir::new().unwrap();
    let at = |name: &str| temporary.path().join(name);
    let dir = at("ledger");
    let start = |dir: &Path| Server::start(serve(dir), dir.into(), TempDir::new().unwrap());
    let mut server = start(&dir);
    let good = server.prints(&["checkpoint"], "");
    server.terminate();
    let mut foreign = start(&at("foreign"));
    let of_another = foreign.prints(&["checkpoint"], "");
    foreign.terminate();
    let file = at("known");
    let known: &[&Path] = &[&file];
    let cases: [(&[u8], &str); 6] = [
        (of_another.as_bytes(), "no signature by a known key"),
        (b"", "blank line"),
        (b"\xff\xfe\n", "not UTF-8"),
        (&good.as_bytes()[..good.len() - 1], "blank line"),
        (&[b'a'; (1 << 20) + 1], "over the limit"),
        (b"\x1b[2J\n\n", "control character"),
    ];
    for (content, because) in cases {
        fs::write(&file, content).unwrap();
        let refused = run(&mut serve_knowing(&dir, known), "");
        is_refused(
            &refused,
            5,
            &["the known checkpoint in", text(&file), because],
        );
        assert!(!stderr(&refused).contains('\u{1b}'));
    }
    fs::remove_file(&file).unwrap();
    is_refused(
        &run(&mut serve_knowing(&dir, known), ""),
        5,
        &["No such file", text(&file)],
    );
    is_refused(
        &run(&mut serve_knowing(&dir, &[&dir]), ""),
        5,
        &["Is a directory"],
    );
}

#[test]
fn the_configuration_names_them_too_and_a_flag_only_adds() {
    let temporary = TempDir::new().unwrap();
    let at = |name: &str| temporary.path().join(name);
    let (dir, config) = (at("ledger"), at("graven.toml"));
    let init = ["init", "--dir", text(&dir), "--origin", "ledger.example/x"];
    assert!(run(graven().args(init), "").status.success());
    let token = "0".repeat(64);
    let (missing, absent) = (at("missing"), at("absent"));
    let policy = at("policy.toml");
    fs::write(&policy, "").unwrap();
    let lines = format!(
        "listen = \"127.0.0.1:0\"\npolicy = {policy:?}\ndir = {dir:?}\nknown_checkpoints = [{missing:?}]\n\n\
        [[token]]\nname = \"a\"\nsubject = \"oidc:c/a\"\nsha256 = \"{token}\"\n"
    );
    fs::write(&config, lines).unwrap();
    let serve = || {
        let mut command = graven();
        command.args(["serve", "--config", text(&config)]);
        command
    };
    is_refused(&run(&mut serve(), ""), 5, &[text(&missing)]);
    let with_flag = run(serve().args(["--known-checkpoint", text(&absent)]), "");
    is_refused(&with_flag, 5, &[text(&missing)]);
}
