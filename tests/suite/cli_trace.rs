//! Lineage on the command line: trees, rows and graphs, and what they are worth.

use serde_json::Value;

use super::cli_support::{Server, stderr, stdout};
use super::inquiry_support::LAB;

fn lab() -> Server {
    let server = Server::dev();
    server.prints(&["append"], LAB);
    server
}

#[test]
fn a_tree_says_for_each_edge_how_it_is_known_by_which_entry_and_by_whom() {
    let server = lab();
    let output = server.run(&["trace", "42"], "");
    assert!(output.status.success(), "{}", stderr(&output));
    let tree = stdout(&output);
    for line in [
        "run 42  (pretrain-7b, 512 GPUs, slurm:a100/alice, 2026-03-03T08:00:00Z)\n",
        "used code fs://lustre-1/envs/shared/adamw.py  sha256:a2a2a2a2a2a2\n",
        "edited from fs://lustre-1/envs/shared/adamw.py  sha256:a1a1a1a1a1a1\n",
        "declared: entry 7, 2026-03-03T03:12:55Z, unix:a100/10432, on another's\n",
        "used data fs://lustre-1/data/web  sha256:d2d2d2d2d2d2\n",
        "inferred: entry 11, 2026-03-03T08:00:00Z, slurm:a100/alice; last written by entry 9, 2026-03-03T05:00:00Z, slurm:a100/carol\n",
        "written by run 77  (debug, 1 GPU)\n",
        "in place of fs://lustre-1/ckpt/step-8000.pt  sha256:c8c8c8c8c8c8\n",
        "started by run 41",
    ] {
        assert!(tree.contains(line), "no {line:?} in\n{tree}");
    }
    let said = stderr(&output);
    assert!(
        said.contains(": complete to checkpoint 15 (every entry checked)\n"),
        "{said}"
    );
    assert_eq!(stdout(&server.run(&["trace", "42"], "")), tree);
    let before = server.prints(&["trace", "42", "--at", "9"], "");
    assert_eq!(before, "run 42\n");
}

#[test]
fn rows_carry_what_the_tree_says() {
    let server = lab();
    let printed = server.prints(&["trace", "--all", "run:41", "-o", "jsonl"], "");
    let rows: Vec<Value> = printed
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let edge = |relation: &str, seq: u64| {
        let found = rows
            .iter()
            .find(|row| row["relation"] == relation && row["seq"] == seq);
        found.unwrap_or_else(|| panic!("no {relation} of entry {seq} in {printed}"))
    };
    let read = edge("used", 4);
    assert_eq!(read["kind"], "edge");
    assert_eq!(read["to"]["run"], "41");
    assert_eq!(read["to"]["gpus"], 256);
    assert_eq!(read["actor"], "slurm:a100/alice");
    let is_image = |row: &&Value| {
        row["from"]["target"] == "oci://registry.example.com/ml/train:stable"
            && row["relation"] == "used"
            && row["seq"] == 4
    };
    let inferred = rows.iter().find(is_image).unwrap();
    assert_eq!(inferred["evidence"], "inferred");
    assert_eq!(inferred["version_from_seq"], 1);
    assert_eq!(
        edge("wrote", 5)["to"]["target"],
        "fs://lustre-1/ckpt/step-8000.pt"
    );
    assert_eq!(edge("same_content", 6)["down"], true);
    let array: Value =
        serde_json::from_str(&server.prints(&["trace", "--all", "41", "-o", "json"], "")).unwrap();
    assert_eq!(array.as_array().unwrap(), &rows);
    let csv = server.prints(&["trace", "--all", "41", "-o", "csv"], "");
    assert_eq!(csv.matches("\r\n").count(), rows.len() + 1, "{csv}");
}

#[test]
fn a_graph_is_escaped_and_hostile_names_do_not_reach_the_terminal() {
    let server = Server::dev();
    let hostile = r#"fs://n/\u001b[31m\"];evil\\\u202e"#;
    let event = format!(
        r#"{{"action":"run.start","actor":"oidc:c/x","source":"s","target":"slurm://c/job/1","run":"1","inputs":["{hostile}"]}}"#
    );
    server.prints(&["append"], &event);
    let dot = server.prints(&["trace", "1", "-o", "dot"], "");
    assert!(dot.starts_with("digraph lineage {\n"), "{dot}");
    assert!(dot.ends_with("}\n"), "{dot}");
    // Every quote that is not a label's own is escaped.
    for line in dot.lines().filter(|line| line.contains("label=")) {
        let label = line.split_once("label=\"").unwrap().1;
        let label = label.strip_suffix("\"];").unwrap();
        let bare = label.replace("\\\\", "").replace("\\\"", "");
        assert!(!bare.contains('"'), "{line}");
    }
    for format in ["tree", "dot", "csv", "jsonl"] {
        let printed = server.prints(&["trace", "1", "-o", format], "");
        assert!(
            !printed.contains(['\u{1b}', '\u{202e}']),
            "{format}: {printed:?}"
        );
    }
}

#[test]
fn wrong_questions_and_cut_answers_have_their_codes() {
    let server = lab();
    let code = |arguments: &[&str]| server.run(arguments, "").status.code();
    assert_eq!(code(&["trace", "digest:hello"]), Some(2));
    assert_eq!(code(&["trace", "42", "--depth", "65"]), Some(2));
    assert_eq!(code(&["trace", "42", "--nodes", "0"]), Some(2));
    assert_eq!(code(&["trace", "42", "--up", "--down"]), Some(2));
    assert_eq!(code(&["trace", "42", "--depth", "1"]), Some(0));
    let cut = server.run(&["trace", "42", "--nodes", "3", "-o", "jsonl"], "");
    assert_eq!(cut.status.code(), Some(6));
    assert!(
        stderr(&cut).contains("cut off at run 42: as many nodes"),
        "{}",
        stderr(&cut)
    );
    assert!(stdout(&cut).contains(r#""kind":"cut_off""#));
    let nothing = server.run(&["trace", "nobody"], "");
    assert_eq!(nothing.status.code(), Some(0));
    assert!(
        stderr(&nothing).contains("no entry names nobody"),
        "{}",
        stderr(&nothing)
    );
}
