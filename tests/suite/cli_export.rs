//! Answers as files: evidence that is checked without a server.

use std::fs;
use std::path::Path;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use graven::note::VerifierKey;
use graven::verify::{Case, ProvedCase, Verdict};
use serde_json::Value;
use tempfile::TempDir;

use super::cli_support::{Server, graven, run, stderr, stdout, text};
use super::git_support::Repo;

fn event(number: usize, actor: &str, action: &str, reason: &str) -> String {
    serde_json::json!({
        "actor": actor,
        "action": action,
        "source": "agent:one",
        "occurred_at": format!("2024-06-20T14:{:02}:{:02}Z", number / 60 % 60, number % 60),
        "target": {
            "uri": format!("fs://nfs-1/file-{number}.py"),
            "owner": "oidc:corp/bob",
            "before": format!("sha256:{:064x}", number),
            "after": format!("sha256:{:064x}", number + 1),
        },
        "reason": reason,
        "original": {"media_type": "text/plain", "text": format!("line {number}")},
    })
    .to_string()
}

/// Twelve events of two actors.
pub(super) fn server() -> Server {
    let server = Server::dev();
    let events: Vec<String> = (0..12)
        .map(|number| {
            let actor = ["oidc:corp/alice", "oidc:corp/mallory"][number % 2];
            let action = ["file.update", "file.read", "job.cancel"][number % 3];
            event(number, actor, action, &format!("because {number}"))
        })
        .collect();
    server.prints(&["append"], &events.join("\n"));
    server
}

/// A case of what `question` asks.
pub(super) fn case(server: &Server, dir: &Path, question: &[&str]) -> String {
    let file = dir.join("case.json");
    let arguments = [&["export", "--force", "--out", text(&file)], question].concat();
    let output = server.run(&arguments, "");
    assert!(
        matches!(output.status.code(), Some(0 | 6)),
        "{}",
        stderr(&output)
    );
    fs::read_to_string(file).unwrap()
}

fn key(server: &Server) -> VerifierKey {
    VerifierKey::parse(&server.key).unwrap()
}

/// What a case proves, and the seqs of its matches.
fn proved(json: &str, key: &VerifierKey) -> Result<(ProvedCase, Vec<u64>, Case), Verdict> {
    let case = Case::from_json(json.as_bytes()).map_err(Verdict::Tampered)?;
    let mut seqs = Vec::new();
    let report = case.verify(Some(key), None, &mut |header, _| seqs.push(header.seq));
    match report.verdict {
        Verdict::Ok => Ok((report.proved.unwrap(), seqs, case)),
        verdict => Err(verdict),
    }
}

#[test]
fn a_case_proves_that_the_ledger_extends_what_was_kept() {
    let server = server();
    let dir = TempDir::new().unwrap();
    let kept = dir.path().join("kept");
    fs::write(&kept, server.prints(&["checkpoint"], "")).unwrap();
    server.prints(
        &["append"],
        &event(12, "oidc:corp/alice", "file.read", "later"),
    );
    let verify = |json: &str| {
        let file = dir.path().join("to-check");
        fs::write(&file, json).unwrap();
        let arguments = [
            "verify",
            text(&file),
            "--key",
            &server.key,
            "--minimum",
            text(&kept),
        ];
        let output = run(graven().args(arguments), "");
        (output.status.code(), stdout(&output))
    };
    let without = verify(&case(&server, dir.path(), &[]));
    assert_eq!(without.0, Some(5));
    assert!(
        without
            .1
            .contains("no consistency proof from the minimum checkpoint of 12")
    );
    let json = case(&server, dir.path(), &["--minimum", text(&kept)]);
    let with = verify(&json);
    assert_eq!(with.0, Some(0), "{}", with.1);
    for line in [
        "it extends the checkpoint of 12",
        "it continues the tree of 12 entries, root ",
    ] {
        assert!(with.1.contains(line), "{line} in {}", with.1);
    }
    let document: Value = serde_json::from_str(&json).unwrap();
    let extends = &document["extends"];
    for (field, other) in [
        ("size", Value::from(11)),
        ("size", Value::from(0)),
        ("size", Value::from(13)),
        ("root", "ab".repeat(32).into()),
        ("root", "".into()),
        ("consistency", "".into()),
    ] {
        let line = |value: &Value| format!("\"{field}\": {value}");
        let altered = json.replacen(&line(&extends[field]), &line(&other), 1);
        assert_ne!(altered, json);
        assert_eq!(verify(&altered).0, Some(3), "{field}");
    }
    let other = Server::dev();
    fs::write(&kept, other.prints(&["checkpoint"], "")).unwrap();
    let refused = [
        "export",
        "--force",
        "--minimum",
        text(&kept),
        "--out",
        text(&kept),
    ];
    assert_eq!(server.run(&refused, "").status.code(), Some(2));
}

pub(super) fn json_lines(text: &str) -> Vec<Value> {
    let lines = text.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn a_case_is_checked_without_a_server() {
    let mut server = server();
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("case.json");
    let checkpoint = dir.path().join("checkpoint");
    fs::write(&checkpoint, server.prints(&["checkpoint"], "")).unwrap();
    let question = [
        "action = file.update OR action = file.read",
        "--actor",
        "*mallory",
    ];
    let log = server.prints(&[&["log", "-o", "jsonl"], &question[..]].concat(), "");
    let exported = server.run(
        &[
            &["export", "--token", "s3cr3t", "--out", text(&file)],
            &question[..],
        ]
        .concat(),
        "",
    );
    assert_eq!(exported.status.code(), Some(0), "{}", stderr(&exported));
    assert_eq!(stdout(&exported), "");
    assert!(
        stderr(&exported).starts_with("4 entries of those from 0 to before 12, proved complete")
    );
    let key = server.key.clone();
    server.terminate();

    let verify = |extra: &[&str]| run(graven().args(["verify", text(&file)]).args(extra), "");
    let checked = verify(&["--key", &key, "--minimum", text(&checkpoint)]);
    assert_eq!(checked.status.code(), Some(0), "{}", stdout(&checked));
    let said = stdout(&checked);
    for line in [
        "OK\n  case of ",
        "question: ((action = \"file.update\" OR action = \"file.read\") AND actor = \"*mallory\")",
        "answer: 4 entries match",
        "complete to checkpoint 12, of all 12 entries: 12 checked one by one",
        "coverage: of these entries come from agent:one 12 (0 to 11)",
        "originals: 4 shown, 0 with the digest",
        "discloses: envelope of ",
        "it extends the checkpoint of 12 entries",
        "said and not proved: made by graven ",
        "with: graven export --token (secret) --out",
    ] {
        assert!(said.contains(line), "{line} in {said}");
    }
    let unpinned = verify(&[]);
    assert_eq!(unpinned.status.code(), Some(5));
    assert!(stdout(&unpinned).starts_with("COULD NOT CHECK: no key is pinned"));
    let other = Server::dev().key.clone();
    assert_eq!(verify(&["--key", &other]).status.code(), Some(3));

    let json = fs::read_to_string(&file).unwrap();
    assert!(json.is_ascii() && !json.contains("s3cr3t"));
    let file: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(file["format"], "graven case v1");
    let pages = file["pages"].as_array().unwrap();
    let rows: Vec<&Value> = pages
        .iter()
        .flat_map(|page| page["entries"].as_array().unwrap())
        .collect();
    assert_eq!(rows, json_lines(&log).iter().collect::<Vec<_>>());
    assert_eq!(rows[0]["original"]["text"], "line 1");
}

#[test]
fn an_answer_of_every_shape_is_a_case() {
    let server = server();
    let dir = TempDir::new().unwrap();
    let key = key(&server);
    let cases: [(&[&str], &[u64]); 7] = [
        (&[], &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]),
        (&["--actor", "nobody"], &[]),
        (&["action = file.read", "--reverse"], &[10, 7, 4, 1]),
        (&["--from", "3", "--to", "5"], &[3, 4, 5]),
        (&["--at", "4", "action = file.update"], &[0, 3]),
        (&["--limit", "2", "action = file.update"], &[0, 3]),
        (
            &[
                "--since",
                "-1h",
                "--action",
                "job.*",
                "--limit",
                "1",
                "--reverse",
            ],
            &[11],
        ),
    ];
    for (question, expected) in cases {
        let json = case(&server, dir.path(), question);
        let (proved, seqs, case) = proved(&json, &key).unwrap();
        assert_eq!(seqs, expected, "{question:?}");
        assert_eq!(proved.answered, case.answer.answered);
        assert_eq!(Case::from_json(json.as_bytes()).unwrap().to_json(), json);
    }
    let limited = case(
        &server,
        dir.path(),
        &["--limit", "2", "action = file.update"],
    );
    assert_eq!(proved(&limited, &key).unwrap().0.answered.window, 0..4);
}

/// Every place of a JSON document, as the steps that lead there.
fn places(value: &Value, here: &mut Vec<String>, found: &mut Vec<Vec<String>>) {
    let mut go = |step: String, value: &Value| {
        here.push(step);
        found.push(here.clone());
        places(value, here, found);
        here.pop();
    };
    match value {
        Value::Object(fields) => fields
            .iter()
            .for_each(|(name, value)| go(name.clone(), value)),
        Value::Array(items) => {
            let items = items.iter().enumerate();
            items.for_each(|(index, value)| go(index.to_string(), value));
        }
        _ => {}
    }
}

fn pointer(place: &[String]) -> String {
    place
        .iter()
        .map(|step| format!("/{}", step.replace('~', "~0").replace('/', "~1")))
        .collect()
}

/// Other values than this one, of its kind and of others.
fn others(value: &Value) -> Vec<Value> {
    let mut others = vec![
        Value::Null,
        Value::from(7),
        Value::from("x"),
        Value::from(""),
    ];
    match value {
        Value::String(text) => {
            let mut characters: Vec<char> = text.chars().collect();
            for at in (0..characters.len()).step_by(1 + characters.len() / 40) {
                let character = characters[at];
                characters[at] = if character == 'A' { 'B' } else { 'A' };
                others.push(characters.iter().collect::<String>().into());
                characters[at] = character;
            }
            others.push(format!("{text}A").into());
            others.push(format!("{text} ").into());
            others.push(text.chars().skip(1).collect::<String>().into());
        }
        Value::Number(number) => {
            let number = number.as_u64().unwrap_or(0);
            others.extend([number + 1, number.wrapping_sub(1), 0, u64::MAX].map(Value::from));
        }
        Value::Array(items) => {
            let mut reversed = items.clone();
            reversed.reverse();
            others.extend([Value::from(reversed), Value::from(Vec::<Value>::new())]);
            let mut longer = items.clone();
            longer.extend(items.last().cloned());
            others.push(longer.into());
        }
        _ => {}
    }
    others.retain(|other| other != value);
    others
}

fn without(document: &Value, place: &[String]) -> Value {
    let mut changed = document.clone();
    let (last, parent) = place.split_last().unwrap();
    match changed.pointer_mut(&pointer(parent)).unwrap() {
        Value::Object(fields) => drop(fields.remove(last)),
        Value::Array(items) => drop(items.remove(last.parse().unwrap())),
        _ => {}
    }
    changed
}

#[test]
fn whatever_is_altered_in_a_case_is_found_out_or_changes_no_answer() {
    let server = server();
    let dir = TempDir::new().unwrap();
    let key = key(&server);
    for question in [
        &["action = file.update", "--limit", "2"][..],
        &["action = job.cancel", "--withhold", "why", "--reverse"],
    ] {
        let json = case(&server, dir.path(), question);
        let good = proved(&json, &key).unwrap();
        let document = taken_apart(&json);
        let mut all = Vec::new();
        places(&document, &mut Vec::new(), &mut all);
        let (mut refused, mut harmless) = (0, Vec::new());
        let mut check = |place: &[String], changed: &Value| {
            let changed = laid_out(changed);
            match proved(&changed, &key) {
                Err(Verdict::Tampered(_)) => refused += 1,
                Err(verdict) => panic!("{place:?}: {verdict}"),
                Ok((proved, seqs, case)) => {
                    assert_eq!((&proved, &seqs), (&good.0, &good.1), "{place:?}");
                    assert_eq!(case.discloses, good.2.discloses, "{place:?}");
                    assert_eq!(case.answer.filter, good.2.answer.filter, "{place:?}");
                    harmless.push(place[0].clone());
                }
            }
        };
        assert!(proved(&laid_out(&document), &key).is_ok());
        for place in &all {
            check(place, &without(&document, place));
            let value = document.pointer(&pointer(place)).unwrap();
            for other in others(value) {
                let mut changed = document.clone();
                *changed.pointer_mut(&pointer(place)).unwrap() = other;
                check(place, &changed);
            }
        }
        for pair in all.windows(2) {
            let (a, b) = (pointer(&pair[0]), pointer(&pair[1]));
            let values = [document.pointer(&a).unwrap(), document.pointer(&b).unwrap()];
            if b.starts_with(&a) || values[0] == values[1] {
                continue;
            }
            let mut changed = document.clone();
            *changed.pointer_mut(&a).unwrap() = values[1].clone();
            *changed.pointer_mut(&b).unwrap() = values[0].clone();
            check(&pair[1], &changed);
        }
        assert!(refused > 500, "{refused}");
        // What is said and not proved, other words for the same question, and white space behind an entry.
        harmless.retain(|field| !["made", "question", "pages"].contains(&field.as_str()));
        assert_eq!(harmless, Vec::<String>::new());
    }
}

/// A case as a document in which each entry is the text that it is written as.
fn taken_apart(json: &str) -> Value {
    let mut document: Value = serde_json::from_str(json).unwrap();
    let case = Case::from_json(json.as_bytes()).unwrap();
    for (index, page) in case.answer.pages.into_iter().enumerate() {
        document["pages"][index]["entries"] = page.rows.into();
    }
    document
}

/// A case again.
fn laid_out(document: &Value) -> String {
    let mut document = document.clone();
    let mut rows = Vec::new();
    let pages = document.get_mut("pages").and_then(Value::as_array_mut);
    for page in pages.into_iter().flatten() {
        let entries = page.get_mut("entries").and_then(Value::as_array_mut);
        for row in entries.into_iter().flatten() {
            if let Value::String(text) = row {
                rows.push(std::mem::replace(text, format!("row {}", rows.len())));
            }
        }
    }
    let mut json = serde_json::to_string_pretty(&document).unwrap();
    for (index, row) in rows.iter().enumerate() {
        json = json.replacen(&format!("\"row {index}\""), row, 1);
    }
    json
}

#[test]
fn every_byte_counts() {
    let server = server();
    let dir = TempDir::new().unwrap();
    let key = key(&server);
    let json = case(&server, dir.path(), &["action = file.update"]);
    let good = proved(&json, &key).unwrap();
    for at in (0..json.len()).step_by(13) {
        for flip in [0x01, 0x04, 0x80] {
            let mut bytes = json.clone().into_bytes();
            bytes[at] ^= flip;
            let Ok(case) = Case::from_json(&bytes) else {
                continue;
            };
            let report = case.verify(Some(&key), None, &mut |_, _| {});
            match report.verdict {
                Verdict::Tampered(_) => {}
                verdict => assert_eq!(report.proved.as_ref(), Some(&good.0), "{at}: {verdict}"),
            }
        }
        assert!(
            Case::from_json(&json.as_bytes()[..at]).is_err(),
            "cut at {at}"
        );
    }
}

/// A server with a sealed index: actor, reason and host of each entry are secrets of their own.
fn large() -> Server {
    let server = Server::dev();
    let events: Vec<String> = (0..2_100)
        .map(|number| {
            let action = if number % 300 == 7 {
                "job.cancel"
            } else {
                "file.update"
            };
            let (actor, reason) = (
                format!("oidc:corp/hidden-who-{number}"),
                format!("hidden-why-{number}"),
            );
            event(number, &actor, action, &reason)
        })
        .collect();
    for chunk in events.chunks(700) {
        server.prints(&["append"], &chunk.join("\n"));
    }
    for _ in 0..600 {
        let said = stderr(&server.run(&["log", "seq < 1", "-o", "csv"], ""));
        let left = said
            .split(" checked one by one")
            .next()
            .unwrap()
            .rsplit(' ')
            .next();
        let left = left.and_then(|left| left.parse::<u64>().ok());
        if said.contains("sealed by entry") && left.is_some_and(|left| left < 200) {
            return server;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    panic!("the index was not sealed");
}

/// The file with its pages decoded behind it, as bytes.
fn all_bytes(json: &str) -> Vec<u8> {
    let mut bytes = json.as_bytes().to_vec();
    let document: Value = serde_json::from_str(json).unwrap();
    let counts = document["coverage"]["pages"].as_array();
    for page in counts.into_iter().flatten() {
        bytes.extend(BASE64_STANDARD.decode(page.as_str().unwrap()).unwrap());
    }
    for page in document["pages"].as_array().unwrap() {
        bytes.extend(
            BASE64_STANDARD
                .decode(page["page"].as_str().unwrap())
                .unwrap(),
        );
    }
    bytes
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes
        .windows(text.len())
        .any(|window| window == text.as_bytes())
}

#[test]
fn nothing_of_a_withheld_part_is_in_the_file() {
    let server = large();
    let dir = TempDir::new().unwrap();
    let key = key(&server);
    let log = server.prints(&["log", "-o", "jsonl", "action = job.cancel"], "");
    let rows = json_lines(&log);
    let expected: Vec<u64> = rows
        .iter()
        .map(|row| row["seq"].as_u64().unwrap())
        .collect();
    assert_eq!(expected.len(), 7);

    let whole = case(&server, dir.path(), &["action = job.cancel"]);
    let (proof, seqs, shown) = proved(&whole, &key).unwrap();
    assert_eq!(seqs, expected);
    assert!(proof.answered.one_by_one < 200 && !proof.answered.seals.is_empty());
    assert!(
        shown
            .discloses
            .terms
            .iter()
            .any(|term| term == "action = job.cancel")
    );
    assert!(contains(&all_bytes(&whole), "hidden-who-7\""));
    let heard = proof.heard.unwrap();
    let agent = heard
        .sources
        .iter()
        .find(|of| of.source == "agent:one")
        .unwrap();
    assert_eq!((agent.entries, agent.first), (2_100, 0));
    let all: u64 = heard.sources.iter().map(|of| of.entries).sum();
    assert_eq!(all + heard.absent, proof.answered.size);

    // Terms of actors stand beside those of actions: the answer is proved without them.
    let hidden = case(
        &server,
        dir.path(),
        &["action = job.cancel", "--withhold", "who,why"],
    );
    let (proof, seqs, shown) = proved(&hidden, &key).unwrap();
    assert_eq!(seqs, expected);
    assert!(proof.answered.unknown.is_empty());
    assert!(
        !contains(&all_bytes(&hidden), "hidden-"),
        "{}",
        shown.discloses.terms.join("\n")
    );
    assert_eq!(shown.discloses.withheld.len(), 2);

    // The question itself is about what is withheld: then it cannot be told of any.
    let asked = [
        "actor = \"oidc:corp/*\" AND action = job.cancel",
        "--withhold",
        "who",
    ];
    let unknown = case(&server, dir.path(), &asked);
    let (proof, seqs, _) = proved(&unknown, &key).unwrap();
    assert_eq!(seqs, Vec::<u64>::new());
    assert_eq!(proof.answered.unknown.iter().collect::<Vec<_>>(), expected);
    assert!(!contains(&all_bytes(&unknown), "hidden-who"));

    let what = case(
        &server,
        dir.path(),
        &[
            "action = job.cancel",
            "--from",
            "300",
            "--to",
            "320",
            "--withhold",
            "what,detail",
        ],
    );
    let (proof, ..) = proved(&what, &key).unwrap();
    assert_eq!(proof.answered.unknown.len(), 21);
    assert_eq!(proof.heard, None);
    let bytes = all_bytes(&what);
    assert!(!contains(&bytes, "file-") && !contains(&bytes, "line 30"));
}

#[test]
fn an_entry_that_does_not_match_is_shown_as_far_as_it_takes_to_see_that() {
    let server = server();
    let dir = TempDir::new().unwrap();
    let json = case(&server, dir.path(), &["action = file.update"]);
    let bytes = all_bytes(&json);
    assert!(contains(&bytes, "because 3"));
    assert!(!contains(&bytes, "because 4"));
    let (_, _, shown) = proved(&json, &key(&server)).unwrap();
    let seqs = |tag: &str| {
        let part = shown
            .discloses
            .parts
            .iter()
            .find(|(shown, _)| shown.name() == tag);
        part.unwrap().1.iter().collect::<Vec<u64>>()
    };
    assert_eq!(seqs("why"), [0, 3, 6, 9]);
    assert_eq!(seqs("what").len(), 12);
}

#[test]
fn a_file_is_never_overwritten_unasked_nor_left_half_written() {
    let server = server();
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("out");
    let export = |arguments: &[&str]| {
        let all = [&["export", "--out", text(&file)], arguments].concat();
        server.run(&all, "").status.code()
    };
    let left = || fs::read_dir(dir.path()).unwrap().count();
    assert_eq!(export(&["tarrget = x"]), Some(2));
    assert_eq!(export(&["--from", "99"]), Some(2));
    assert_eq!(export(&["--key", "nonsense"]), Some(2));
    assert_eq!(left(), 0);
    assert_eq!(export(&["-o", "csv"]), Some(0));
    let csv = fs::read(&file).unwrap();
    assert_eq!(export(&[]), Some(2));
    assert_eq!(fs::read(&file).unwrap(), csv);
    assert_eq!(export(&["--force", "tarrget = x"]), Some(2));
    assert_eq!(fs::read(&file).unwrap(), csv);
    assert_eq!(export(&["--force", "-o", "jsonl"]), Some(0));
    assert_ne!(fs::read(&file).unwrap(), csv);
    assert_eq!(left(), 1);
    assert_eq!(server.run(&["export"], "").status.code(), Some(2));
    let unknown = ["export", "-o", "csv", "--withhold", "everything"];
    assert_eq!(server.run(&unknown, "").status.code(), Some(2));
    let empty = Server::dev();
    let nothing = empty.run(&["export", "--out", text(&dir.path().join("none"))], "");
    assert_eq!(nothing.status.code(), Some(2), "{}", stderr(&nothing));
}

#[test]
fn the_history_of_a_repository_is_a_case() {
    let repository = Repo::new();
    for content in ["1", "2", "3"] {
        repository.write("a.py", content);
        repository.write(format!("{content}.txt"), content);
        repository.commit(content);
    }
    let server = Server::dev();
    server.prints(&["import", "git", text(repository.path())], "");
    let dir = TempDir::new().unwrap();
    let json = case(&server, dir.path(), &["--target", "*//a.py"]);
    let (proved, seqs, _) = proved(&json, &key(&server)).unwrap();
    assert_eq!(seqs.len(), 3);
    assert_eq!(proved.answered.matches, 3);
}
