//! State and history of an imported repository, against git's own `ls-tree`, `log --follow` and `rev-parse`.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::cli_support::{Server, stderr, text};
use super::git_support::{Repo, path_of};

type Tree = BTreeMap<Vec<u8>, String>;

fn rows(printed: &str) -> Vec<Value> {
    printed
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Each path with the id of what it holds, as `ls-tree -r -z` prints them.
fn parse_tree(listing: &[u8]) -> Tree {
    let entry = |line: &[u8]| {
        let tab = line.iter().position(|&byte| byte == b'\t').unwrap();
        let words = String::from_utf8(line[..tab].to_vec()).unwrap();
        let id = words.split(' ').nth(2).unwrap();
        (line[tab + 1..].to_vec(), format!("git-sha1:{id}"))
    };
    let lines = listing.split(|&byte| byte == 0);
    lines.filter(|line| !line.is_empty()).map(entry).collect()
}

/// The same, from the ledger.
fn state(server: &Server, arguments: &[&str]) -> Tree {
    let all = [&["log", "-o", "jsonl", "--target", "git://*"], arguments].concat();
    let target = |row: &Value| {
        let version = row["version"][0].as_str().unwrap_or_default().to_owned();
        (path_of(row["target"].as_str().unwrap()), version)
    };
    rows(&server.prints(&all, "")).iter().map(target).collect()
}

fn content(name: &str, edition: u32) -> String {
    let lines: String = (0..30)
        .map(|line| format!("{name} line {line}\n"))
        .collect();
    format!("{lines}edition {edition}\n")
}

/// Creations, edits, renames, deletions, names that come back, and two merges of branches: the commits at which all that
/// was made until then is in the tree.
fn history() -> (Repo, Vec<String>) {
    let repo = Repo::new();
    let mut whole = Vec::new();
    for name in ["a", "b", "c", "dir/d", "dir/e"] {
        repo.write(name, content(name, 0));
    }
    whole.push(repo.commit("first"));
    repo.write("a", content("a", 1));
    whole.push(repo.commit("edit"));
    repo.git(&["mv", "a", "moved"]);
    whole.push(repo.commit("rename"));
    repo.remove("b");
    whole.push(repo.commit("delete"));
    repo.git(&["checkout", "-q", "-b", "side"]);
    repo.git(&["mv", "dir/d", "dir/renamed"]);
    repo.commit("rename on the side");
    repo.write("side", content("side", 0));
    repo.commit("create on the side");
    repo.git(&["checkout", "-q", "main"]);
    repo.write("c", content("c", 1));
    repo.remove("dir/e");
    repo.commit("edit and delete on main");
    repo.git(&["merge", "-q", "--no-ff", "-m", "merge", "side"]);
    whole.push(repo.head());
    // The old names come back with other contents.
    repo.write("a", content("another a", 0));
    repo.write("b", content("another b", 0));
    whole.push(repo.commit("names come back"));
    repo.write("moved", content("a", 2));
    repo.git(&["mv", "dir/renamed", "d"]);
    whole.push(repo.commit("edit and rename"));
    repo.git(&["checkout", "-q", "-b", "other"]);
    repo.remove("side");
    repo.commit("delete on the other");
    repo.git(&["checkout", "-q", "main"]);
    repo.write("c", content("c", 2));
    repo.commit("edit on main");
    repo.git(&["merge", "-q", "--no-ff", "--no-commit", "other"]);
    repo.write("by the merge", content("merge", 0));
    whole.push(repo.commit("merge with a file of its own"));
    (repo, whole)
}

#[test]
fn the_state_at_each_commit_is_the_tree_of_the_commit() {
    let (repo, commits) = history();
    let server = Server::dev();
    server.prints(&["import", "git", text(repo.path())], "");
    for commit in &commits {
        let time = repo.git(&["log", "-1", "--format=%aI", commit]);
        let time = time.trim();
        let state = state(&server, &["--as-of", time, "--by", "occurred"]);
        let tree = parse_tree(&repo.git_bytes(&["ls-tree", "-r", "-z", commit]));
        assert_eq!(state, tree, "at {commit}, {time}");
    }
    let part = state_names(&server, "git://*//dir/*");
    assert_eq!(
        part,
        Vec::<String>::new(),
        "all of it was deleted or moved away"
    );
    let moved = state_names(&server, "git://*//d");
    assert_eq!(moved.len(), 1);
    let before = server.run(&["log", "--as-of", "2001-01-01", "--by", "occurred"], "");
    assert!(before.status.success());
    assert!(
        stderr(&before).contains("0 targets as of 2001-01-01T00:00:00Z, by when it happened"),
        "{}",
        stderr(&before)
    );
}

fn state_names(server: &Server, pattern: &str) -> Vec<String> {
    let printed = server.prints(
        &["log", "--as-of", "now", "--target", pattern, "-o", "jsonl"],
        "",
    );
    let rows = rows(&printed);
    rows.iter()
        .map(|row| row["target"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn the_history_of_a_file_is_that_of_git_log_follow() {
    let (repo, _) = history();
    let server = Server::dev();
    server.prints(&["import", "git", text(repo.path())], "");
    for path in ["moved", "c", "d", "by the merge"] {
        let names = state_names(&server, &format!("git://*//{path}"));
        let blamed = rows(&server.prints(&["blame", &names[0], "-o", "jsonl"], ""));
        assert!(
            blamed.iter().all(|row| row["kind"] == "event"),
            "{blamed:#?}"
        );
        let field = |name: &str| -> Vec<&str> {
            blamed
                .iter()
                .map(|row| row[name].as_str().unwrap())
                .collect()
        };
        let log = |arguments: &[&str]| {
            let all = [
                &["log", "--follow", "--format=%H"][..],
                arguments,
                &["--", path],
            ]
            .concat();
            let printed = repo.git(&all);
            let mut commits: Vec<String> = printed.lines().map(str::to_owned).collect();
            commits.reverse();
            commits
        };
        // What only a merge made shows as its difference from its first parent.
        let expected = Some(log(&[])).filter(|commits| !commits.is_empty());
        let expected = expected.unwrap_or_else(|| log(&["-m", "--first-parent"]));
        assert_eq!(field("ticket"), expected, "{path}");
        for row in &blamed {
            let target = &row["targets"][0];
            let commit = row["ticket"].as_str().unwrap();
            let path = String::from_utf8(path_of(target["uri"].as_str().unwrap())).unwrap();
            let blob = repo.id(&format!("{commit}:{path}"));
            assert_eq!(
                target["after"][0],
                format!("git-sha1:{blob}"),
                "{path} in {commit}"
            );
        }
    }
}

/// The repository that these tests lie in, where it is one: a history that nobody made up.
#[test]
fn the_state_of_this_repository_is_its_own_trees() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let git = |arguments: &[&str]| {
        let output = Command::new("git")
            .arg("-C")
            .arg(top)
            .args(arguments)
            .output()
            .unwrap();
        output.status.success().then_some(output.stdout)
    };
    let words = |arguments: &[&str]| git(arguments).map(|out| String::from_utf8(out).unwrap());
    let merges = words(&["rev-list", "--merges", "--count", "HEAD"]);
    let shallow = words(&["rev-parse", "--is-shallow-repository"]);
    let said = |words: &Option<String>| words.as_deref().unwrap_or_default().trim().to_owned();
    if said(&merges) != "0" || said(&shallow) != "false" {
        eprintln!("not a repository with a whole and linear history: nothing to compare");
        return;
    }
    let server = Server::dev();
    server.prints(&["import", "git", text(top)], "");
    let log = rows(&server.prints(
        &["log", "-o", "jsonl", "--source", "git://*", "--no-proof"],
        "",
    ));
    let mut last: BTreeMap<&str, u64> = BTreeMap::new();
    for row in &log {
        last.insert(
            row["ticket"].as_str().unwrap(),
            row["seq"].as_u64().unwrap(),
        );
    }
    let commits = words(&["rev-list", "HEAD"]).unwrap();
    let commits: Vec<&str> = commits.lines().collect();
    let step = (commits.len() / 4).max(1);
    for commit in commits.iter().step_by(step) {
        // A commit can be empty.
        let Some(seq) = last.get(commit) else {
            continue;
        };
        let size = (seq + 1).to_string();
        let state = state(&server, &["--as-of", "now", "--at", &size]);
        let tree = parse_tree(&git(&["ls-tree", "-r", "-z", commit]).unwrap());
        assert_eq!(state, tree, "at {commit}");
    }
}
