//! Lineage over entries in memory: which edges there are, how they are known, and that everything ends.

use std::collections::BTreeSet;

use graven::inquiry::{Cut, Direction, Lineage, LineageOptions, Node, Relation, Start};
use proptest::prelude::*;

use super::inquiry_support::{LAB, ask, entries};

fn options(direction: Direction) -> LineageOptions {
    LineageOptions {
        direction,
        depth: 16,
        nodes: 500,
    }
}

fn name(node: &Node) -> String {
    let last = |uri: &str| uri.rsplit('/').next().unwrap().to_owned();
    match node {
        Node::Run(id) => format!("run {id}"),
        Node::Version { uri, ids } => format!(
            "{} {}",
            last(uri),
            &ids[0].split(':').next_back().unwrap()[..2]
        ),
        Node::Written { uri, seq } => format!("{} by {seq}", last(uri)),
        Node::Target(uri) => last(uri),
        Node::Content(digest) => digest.clone(),
        Node::Actor(actor) => actor.clone(),
    }
}

/// `<from> -> <to>: <relation>, <evidence>, <seq>` of every edge.
fn edges(lines: &str, start: &str, options: LineageOptions) -> BTreeSet<String> {
    let mut lineage = Lineage::new(Start::parse(start).unwrap(), options).unwrap();
    ask(&mut lineage, &entries(lines));
    let (nodes, edges) = lineage.into_graph();
    let line = |edge: &graven::inquiry::Edge| {
        format!(
            "{} -> {}: {}, {}, {}",
            name(&nodes[edge.from].node),
            name(&nodes[edge.to].node),
            edge.relation.word(),
            edge.evidence.word(),
            edge.act.seq
        )
    };
    edges.iter().map(line).collect()
}

#[track_caller]
fn has(edges: &BTreeSet<String>, wanted: &[&str]) {
    for edge in wanted {
        assert!(edges.contains(*edge), "no {edge} in {edges:#?}");
    }
}

#[track_caller]
fn lacks(edges: &BTreeSet<String>, unwanted: &str) {
    assert!(
        !edges.iter().any(|edge| edge.contains(unwanted)),
        "{edges:#?}"
    );
}

#[test]
fn a_run_leads_up_to_all_that_it_was_made_from() {
    let up = edges(LAB, "42", options(Direction::Up));
    has(
        &up,
        &[
            "adamw.py a2 -> run 42: used, observed, 11",
            "adamw.py a1 -> adamw.py a2: revised, declared, 7",
            "unix:a100/0 -> adamw.py a1: created, declared, 0",
            "step-8000.pt c9 -> run 42: used, declared, 11",
            "run 77 -> step-8000.pt c9: wrote, declared, 8",
            "step-8000.pt c8 -> step-8000.pt c9: replaced, declared, 8",
            // Carol wrote it last before the run read it.
            "web d2 -> run 42: used, inferred, 11",
            "web d1 -> web d2: revised, declared, 9",
            "train:stable 02 -> run 42: used, inferred, 11",
            "train e4 -> run 42: used, declared, 11",
            "run 41 -> run 42: started, declared, 11",
            "web d1 -> run 41: used, inferred, 4",
            "step-4000.pt c1 -> run 41: used, declared, 4",
            "run 40 -> step-4000.pt c1: wrote, declared, 2",
        ],
    );
    // The copy was made after the run read the original, and what was overwritten is not in it.
    lacks(&up, "run 41 -> step-8000.pt");
}

#[test]
fn a_content_leads_down_to_all_that_it_touched() {
    let down = edges(LAB, "sha256:a1a1a1a1", options(Direction::Down));
    has(
        &down,
        &[
            "sha256:a1a1a1a1 -> adamw.py a1: is, declared, 0",
            "adamw.py a1 -> run 41: used, observed, 4",
            "adamw.py a1 -> adamw.py a2: revised, declared, 7",
            "adamw.py a2 -> run 42: used, observed, 11",
            "run 41 -> step-8000.pt c8: wrote, observed, 5",
            "step-8000.pt c8 -> step-8000.pt c8: same_content, declared, 6",
            "step-8000.pt c8 -> step-8000.pt c9: replaced, declared, 8",
        ],
    );
    lacks(&down, "run 40");
}

#[test]
fn an_unversioned_read_is_joined_to_the_last_writer_before_it() {
    let down = edges(LAB, "fs://lustre-1/data/web", options(Direction::Down));
    has(
        &down,
        &[
            "web -> web d1: is, declared, 3",
            "web d1 -> run 41: used, inferred, 4",
            "web d2 -> run 42: used, inferred, 11",
        ],
    );
    assert!(
        !down.contains("web d1 -> run 42: used, inferred, 11"),
        "{down:#?}"
    );
    // A record that came late does not make the write late.
    let late = r#"
{"action":"file.update","actor":"a:x","source":"s","occurred_at":"2026-03-01T00:00:00Z","target":{"uri":"fs://n/p","after":"v1"}}
{"action":"run.start","actor":"a:x","source":"s","occurred_at":"2026-03-03T00:00:00Z","target":"slurm://c/job/1","run":"1","inputs":["fs://n/p"]}
{"action":"file.update","actor":"a:y","source":"s","occurred_at":"2026-03-02T00:00:00Z","target":{"uri":"fs://n/p","before":"v1","after":"v2"}}
"#
    .replace("a:x", "oidc:c/x")
    .replace("a:y", "oidc:c/y");
    let up = edges(&late, "1", options(Direction::Up));
    has(&up, &["p v2 -> run 1: used, inferred, 1"]);
    let down = edges(&late, "fs://n/p", options(Direction::Down));
    has(&down, &["p v2 -> run 1: used, inferred, 1"]);
}

#[test]
fn a_copy_made_before_is_where_the_content_came_from() {
    let lines = r#"
{"action":"checkpoint.save","actor":"oidc:c/x","source":"s","run":"1","target":{"uri":"fs://n/a.pt","after":"sha256:c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1"}}
{"action":"file.create","actor":"oidc:c/y","source":"s","target":{"uri":"fs://n/b.pt","after":["sha256:c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1"]}}
{"action":"checkpoint.load","actor":"oidc:c/z","source":"s","run":"2","target":{"uri":"fs://n/b.pt","after":"sha256:c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1"}}
"#;
    let up = edges(lines, "2", options(Direction::Up));
    has(
        &up,
        &[
            "b.pt c1 -> run 2: used, declared, 2",
            "a.pt c1 -> b.pt c1: same_content, declared, 0",
            "run 1 -> a.pt c1: wrote, declared, 0",
        ],
    );
    let down = edges(lines, "1", options(Direction::Down));
    has(
        &down,
        &[
            "a.pt c1 -> b.pt c1: same_content, declared, 1",
            "b.pt c1 -> run 2: used, declared, 2",
        ],
    );
}

#[test]
fn a_pending_version_is_told_by_the_entry_that_wrote_it() {
    let lines = r#"
{"action":"checkpoint.overwrite","actor":"oidc:c/x","source":"s","run":"1","target":{"uri":"fs://n/last.pt","before":"v1","after":"pending"}}
{"action":"run.start","actor":"oidc:c/x","source":"s","run":"2","target":"slurm://c/job/2","inputs":["fs://n/last.pt"]}
"#;
    let up = edges(lines, "2", options(Direction::Up));
    has(
        &up,
        &[
            "last.pt by 0 -> run 2: used, inferred, 1",
            "run 1 -> last.pt by 0: wrote, declared, 0",
        ],
    );
    let down = edges(lines, "1", options(Direction::Down));
    has(&down, &["last.pt by 0 -> run 2: used, inferred, 1"]);
}

#[test]
fn a_rename_that_says_no_version_joins_both_names() {
    let lines = r#"
{"action":"file.create","actor":"oidc:c/x","source":"s","target":{"uri":"fs://n/old.py","after":"v1"}}
{"action":"file.rename","actor":"oidc:c/y","source":"s","target":{"uri":"fs://n/new.py","previous_uri":"fs://n/old.py"}}
{"action":"run.start","actor":"oidc:c/x","source":"s","run":"2","target":"slurm://c/job/2","inputs":["fs://n/new.py"]}
"#;
    let joined = [
        "old.py v1 -> new.py by 1: renamed, inferred, 1",
        "new.py by 1 -> run 2: used, inferred, 2",
    ];
    has(&edges(lines, "2", options(Direction::Up)), &joined);
    let down = edges(lines, "fs://n/old.py", options(Direction::Down));
    has(&down, &joined);
    // Nobody recorded what the old name held.
    let alone: String = lines.lines().skip(2).collect::<Vec<_>>().join("\n");
    let down = edges(&alone, "fs://n/old.py", options(Direction::Down));
    has(&down, &["old.py -> new.py by 0: renamed, declared, 0"]);
}

#[test]
fn a_job_is_its_run_and_what_nobody_named_is_not_found() {
    let up = edges(LAB, "slurm://a100/job/42", options(Direction::Up));
    has(
        &up,
        &[
            "run 42 -> 42: is, declared, 11",
            "run 41 -> run 42: started, declared, 11",
        ],
    );
    for start in ["run:nobody", "fs://lustre-1/none", "sha256:ffffffff"] {
        let mut lineage =
            Lineage::new(Start::parse(start).unwrap(), options(Direction::All)).unwrap();
        ask(&mut lineage, &entries(LAB));
        assert!(!lineage.found(), "{start}");
        assert_eq!(lineage.edge_count(), 0, "{start}");
    }
    assert!(Start::parse("").is_err());
    assert!(Start::parse("digest:hello").is_err());
    assert_eq!(Start::parse("8812").unwrap(), Start::Run("8812".into()));
    assert_eq!(
        Start::parse("run:fs://x").unwrap(),
        Start::Run("fs://x".into())
    );
}

#[test]
fn bounds_hold_and_say_what_they_cut_off() {
    let cuts = |depth, nodes| {
        let options = LineageOptions {
            direction: Direction::Up,
            depth,
            nodes,
        };
        let mut lineage = Lineage::new(Start::parse("42").unwrap(), options).unwrap();
        ask(&mut lineage, &entries(LAB));
        let cuts = lineage.cuts().to_vec();
        let (found, edges) = lineage.into_graph();
        (cuts, found.len(), edges.len())
    };
    let (cut, nodes, _) = cuts(16, 500);
    assert_eq!(cut, []);
    assert!(nodes > 15, "{nodes}");
    let (cut, _, edges) = cuts(1, 500);
    assert!(
        edges > 0 && cut.iter().all(|cut| matches!(cut, Cut::Depth(_))),
        "{cut:?}"
    );
    let (cut, _, edges) = cuts(0, 500);
    assert_eq!((cut, edges), (vec![Cut::Depth(0)], 0));
    let (cut, nodes, _) = cuts(16, 5);
    assert_eq!(nodes, 5);
    assert!(
        cut.iter().any(|cut| matches!(cut, Cut::Nodes(_))),
        "{cut:?}"
    );
}

/// Random acts on few names, so that there are circles, copies and renames.
fn random_line() -> impl Strategy<Value = String> {
    let verbs = prop::sample::select(vec![
        "file.update",
        "file.rename",
        "file.copy",
        "checkpoint.load",
        "checkpoint.save",
        "run.start",
        "file.delete",
    ]);
    let version = prop::sample::select(vec![
        "\"absent\"".to_owned(),
        "\"pending\"".to_owned(),
        "[]".to_owned(),
        "\"v1\"".to_owned(),
        format!("\"sha256:{}\"", "ab".repeat(32)),
        format!(
            "[\"sha256:{}\",\"git-sha1:{}\"]",
            "cd".repeat(32),
            "cd".repeat(20)
        ),
        format!("\"git-sha1:{}\"", "cd".repeat(20)),
    ]);
    (verbs, 0..4, 0..4, version.clone(), version, 0..4, 0..4, 0..60).prop_map(
        |(action, target, other, before, after, run, parent, minute)| {
            let run = match run {
                0 => String::new(),
                run => format!(r#","run":{{"id":"{run}","parent_id":"{parent}"}}"#),
            };
            let previous = match action {
                "file.rename" | "file.copy" => format!(r#","previous_uri":"fs://n/{other}""#),
                _ => String::new(),
            };
            format!(
                r#"{{"action":"{action}","actor":"oidc:c/x","source":"s","occurred_at":"2026-03-01T00:{minute:02}:00Z","target":{{"uri":"fs://n/{target}","before":{before},"after":{after}{previous}}},"inputs":["fs://n/{other}",{{"uri":"fs://n/{target}","version":{after}}}],"outputs":[{{"uri":"fs://n/{other}","version":{before}}}]{run}}}"#
            )
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever was recorded, it ends, and every edge stands on an entry that names both its ends.
    #[test]
    fn any_history_ends(lines in prop::collection::vec(random_line(), 0..30), start in 0_usize..6) {
        let start = ["1", "2", "fs://n/0", "fs://n/1", "sha256:abababab", "git-sha1:cdcdcdcd"][start];
        let entries = entries(&lines.join("\n"));
        let mut lineage = Lineage::new(Start::parse(start).unwrap(), options(Direction::All)).unwrap();
        let questions = ask(&mut lineage, &entries);
        prop_assert!(questions <= 1_000);
        let (nodes, edges) = lineage.into_graph();
        for edge in edges {
            prop_assert!((edge.act.seq as usize) < entries.len());
            prop_assert!(edge.from < nodes.len() && edge.to < nodes.len());
            prop_assert!(edge.up || edge.down);
            if edge.relation != Relation::Is {
                prop_assert!(edge.from != edge.to);
            }
            let facts = &entries[edge.act.seq as usize];
            for number in [edge.from, edge.to] {
                if let Node::Run(id) = &nodes[number].node {
                    let run = facts.what.run.as_ref();
                    let named = run.is_some_and(|run| run.id == *id || run.parent_id == *id);
                    prop_assert!(named, "{:?} in {:?}", edge, facts.what);
                }
            }
        }
    }
}
