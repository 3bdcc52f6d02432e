//! `docs/configuration.md` names every setting that the program knows, and no other. What is packaged calls it rightly.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use super::cli_support::{graven, run, stderr, stdout, text};

fn read(name: &str) -> String {
    fs::read_to_string(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

/// What stands between backticks at the beginning of the rows of a section.
fn documented(page: &str, heading: &str, column: usize) -> BTreeSet<String> {
    let (_, section) = page.split_once(&format!("{heading}\n")).unwrap();
    let section = section.split("\n#").next().unwrap();
    let cells = section
        .lines()
        .filter_map(|line| line.split('|').nth(column + 1));
    cells
        .filter_map(|cell| cell.trim().strip_prefix('`')?.strip_suffix('`'))
        .map(str::to_owned)
        .collect()
}

/// The fields that the program says it expects where one that it does not know stands.
fn expected(config: &str) -> BTreeSet<String> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("graven.toml");
    fs::write(&path, config).unwrap();
    let out = run(graven().args(["serve", "--config", text(&path)]), "");
    assert_eq!(out.status.code(), Some(2));
    let said = stderr(&out);
    let (_, list) = said
        .split_once("expected ")
        .unwrap_or_else(|| panic!("{said}"));
    let names = list.split('`').skip(1).step_by(2);
    names.map(str::to_owned).collect()
}

#[test]
fn every_field_of_the_file_is_documented() {
    let page = read("docs/configuration.md");
    for (heading, config) in [
        ("## The file", "unknown = 1\n"),
        ("### `[tls]`", "[tls]\nunknown = 1\n"),
        ("### `[[token]]`", "[[token]]\nunknown = 1\n"),
        ("### `[[jwt]]`", "[[jwt]]\nunknown = 1\n"),
        ("### `[limits]`", "[limits]\nunknown = 1\n"),
    ] {
        assert_eq!(documented(&page, heading, 0), expected(config), "{heading}");
    }
}

#[test]
fn every_flag_and_variable_is_documented() {
    let page = read("docs/configuration.md");
    let help = stdout(&run(graven().args(["serve", "--help"]), ""));
    let own = help.split("\nEverywhere:").next().unwrap();
    let flags: BTreeSet<String> = own
        .lines()
        .filter_map(|line| line.trim_start().strip_prefix("--"))
        .map(|line| format!("--{}", line.split([' ', '\n']).next().unwrap()))
        .collect();
    let heading = "## Flags and the environment";
    assert_eq!(documented(&page, heading, 0), flags);
    let joined = own.split_whitespace().collect::<Vec<_>>().join(" ");
    let variables: BTreeSet<String> = joined
        .split("[env: ")
        .skip(1)
        .map(|rest| rest.split(['=', ']']).next().unwrap().to_owned())
        .collect();
    assert_eq!(documented(&page, heading, 1), variables);
}

#[test]
fn what_is_packaged_calls_the_program_as_it_is() {
    let unit = read("packaging/graven.service");
    let start = unit
        .lines()
        .find_map(|line| line.strip_prefix("ExecStart=/usr/local/bin/graven "))
        .unwrap();
    let image = read("packaging/Containerfile");
    let command = image
        .lines()
        .find_map(|line| line.strip_prefix("CMD "))
        .unwrap();
    let command: Vec<String> = serde_json::from_str(command).unwrap();
    for words in [start.split(' ').map(str::to_owned).collect(), command] {
        let out = run(graven().args(&words), "");
        // It gets as far as to miss its configuration or its ledger: the words are understood.
        let said = stderr(&out);
        assert!(
            said.contains("reading /etc/graven/graven.toml") || said.contains("which ledger?"),
            "{words:?}: {said}"
        );
    }
}
