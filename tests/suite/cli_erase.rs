//! Erasure and holds, as an operator uses them; and what a reader, a writer and a court then see.

use std::process::Output;

use serde_json::Value;
use tempfile::TempDir;

use super::cli_support::{Server, graven, run, stderr, stdout, text};

const EVENT: &str = r#"{"action":"file.update","target":"fs://nfs1/code/adam.py","source":"test","actor":"oidc:corp/alice","reason":"for carol, born 1990","detail":"a private matter","idempotency_id":"one"}"#;

const ORDER: [&str; 4] = ["--ticket", "LEGAL-1", "--reason", "she asked for it"];

fn with<'a>(first: &[&'a str], rest: &[&'a str]) -> Vec<&'a str> {
    [first, rest].concat()
}

fn code(output: &Output) -> Option<i32> {
    output.status.code()
}

#[test]
fn what_is_erased_is_gone_and_everybody_can_see_by_whom() {
    let mut server = Server::dev();
    let files = TempDir::new().unwrap();
    let file = |name: &str| files.path().join(name);
    let sealed = server.prints(&["append"], &format!("{EVENT}\n"));
    let seq = sealed.trim();
    let before = file("before.json");
    server.prints(&["prove", seq, "--out", text(&before)], "");

    // Nothing happens unasked.
    let plan = server.run(&with(&["erase", seq], &ORDER), "");
    assert_eq!(code(&plan), Some(0));
    assert!(
        stdout(&plan).starts_with(&format!("would erase of 1 entry: {seq}\n")),
        "{}",
        stdout(&plan)
    );
    assert!(stderr(&plan).contains("--yes"), "{}", stderr(&plan));
    assert!(
        server
            .prints(&["show", seq], "")
            .contains("a private matter")
    );

    // A hold forbids it.
    let hold = [
        "hold",
        "place",
        "case 9",
        "--filter",
        "actor = \"oidc:corp/alice\"",
        "--ticket",
        "C-9",
    ];
    let placed: u64 = server.prints(&hold, "").trim().parse().unwrap();
    let held = server.run(&with(&["erase", seq, "--yes"], &ORDER), "");
    assert_eq!(code(&held), Some(1));
    assert!(
        stderr(&held).contains("under the hold \"case 9\""),
        "{}",
        stderr(&held)
    );
    let listed = server.prints(&["hold", "list"], "");
    assert!(
        listed.contains("case 9") && listed.contains("C-9"),
        "{listed}"
    );
    let listed: Value =
        serde_json::from_str(&server.prints(&["hold", "list", "-o", "jsonl"], "")).unwrap();
    assert_eq!(
        (&listed["seq"], &listed["placed_by"]),
        (&Value::from(placed), &Value::from("dev:anonymous"))
    );
    server.prints(&["hold", "release", "case 9", "--ticket", "C-9"], "");
    assert_eq!(server.prints(&["hold", "list", "-o", "jsonl"], ""), "");

    // Nor does one that is about others, which both audits hold against the entries.
    let other = [
        "hold",
        "place",
        "case 8",
        "--filter",
        "actor = \"oidc:corp/bob\"",
        "--ticket",
        "C-8",
    ];
    server.prints(&other, "");

    let erased = server.prints(&with(&["erase", seq, "--yes", "-o", "jsonl"], &ORDER), "");
    let erased: Value = serde_json::from_str(&erased).unwrap();
    let by = erased["erasure_seq"].as_u64().unwrap();
    let says = format!("(entry {by})");
    assert_eq!(
        (&erased["entries"], &erased["dry_run"]),
        (&Value::from(seq), &Value::from(false))
    );
    let again = server.run(&with(&["erase", seq, "--yes"], &ORDER), "");
    assert_eq!(code(&again), Some(1));
    let said = format!("was erased as entry {by} says");
    assert!(stderr(&again).contains(&said), "{}", stderr(&again));
    let again = server.prints(&with(&["erase", seq], &ORDER), "");
    assert!(again.starts_with("nothing to erase"), "{again}");

    let shown = server.prints(&["show", seq], "");
    for said in [
        "ERASED",
        "dev:anonymous",
        "LEGAL-1",
        says.as_str(),
        "she asked for it",
        "adam.py",
    ] {
        assert!(shown.contains(said), "{said}: {shown}");
    }
    assert!(
        !shown.contains("carol") && !shown.contains("private"),
        "{shown}"
    );
    let shown: Value =
        serde_json::from_str(&server.prints(&["show", seq, "-o", "jsonl"], "")).unwrap();
    assert_eq!(shown["erasures"][1]["entry"], by);

    // Sent again, it is the same entry: the server has to show why there is no receipt.
    let again = server.prints(&["append"], &format!("{EVENT}\n"));
    assert_eq!(again.trim(), format!("{seq} was there already"));

    let after = file("after.json");
    server.prints(&["prove", seq, "--out", text(&after)], "");
    let verified = server.prints(&["verify", text(&after)], "");
    for said in [
        "OK",
        "why ERASED by dev:anonymous on ",
        "detail ERASED",
        "ticket LEGAL-1",
        says.as_str(),
    ] {
        assert!(verified.contains(said), "{said}: {verified}");
    }
    assert!(
        server
            .prints(&["verify", text(&before)], "")
            .starts_with("OK")
    );
    altered_evidence_is_found_out(
        &server,
        &std::fs::read_to_string(&after).unwrap(),
        &file("x.json"),
    );
    let checked = server.prints(&["verify"], "");
    assert!(
        checked.contains("2 parts erased, each by an entry that says so"),
        "{checked}"
    );
    assert_eq!(server.terminate(), Some(0));
    let (dir, key) = (server.dir.clone(), server.key.clone());
    let stopped = run(
        graven().args(["verify", "--dir", text(&dir), "--key", &key]),
        "",
    );
    assert_eq!(code(&stopped), Some(0), "{}", stdout(&stopped));
}

fn altered_evidence_is_found_out(server: &Server, evidence: &str, file: &std::path::Path) {
    let parsed: Value = serde_json::from_str(evidence).unwrap();
    assert_eq!(parsed["format"], "graven evidence v2");
    let verdict = |changed: &Value| {
        std::fs::write(file, changed.to_string()).unwrap();
        let output = server.run(&["verify", text(file)], "");
        (code(&output), stdout(&output))
    };
    assert_eq!(verdict(&parsed).0, Some(0));
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut changed = parsed.clone();
        change(&mut changed);
        verdict(&changed)
    };
    let tampered = |change: &dyn Fn(&mut Value)| {
        let (code, said) = changed(change);
        assert_eq!(code, Some(3), "{said}");
    };
    tampered(&|file| file["format"] = "graven evidence v1".into());
    tampered(&|file| file["erasures"] = Value::Array(Vec::new()));
    // Another entry of the ledger that is no erasure of this one.
    tampered(&|file| file["erasures"][0] = file["entry"].clone());
    // Another ticket in the entry that says so.
    tampered(&|file| {
        let parts = file["erasures"][0]["parts"].as_array_mut().unwrap();
        let what = parts
            .iter_mut()
            .find(|part| part["part"] == "what")
            .unwrap();
        what["encoded"] = "AAAA".into();
    });
    tampered(&|file| {
        let mut header = file["erasures"][0]["header"].as_str().unwrap().to_owned();
        let last = header.pop().unwrap();
        header.push(if last == '0' { '1' } else { '0' });
        file["erasures"][0]["header"] = header.into();
    });
    // Without the entry that says so nobody knows.
    let (code, said) = changed(&|file| {
        let object = file.as_object_mut().unwrap();
        object.remove("erasures");
        object.insert("format".into(), "graven evidence v1".into());
    });
    assert_eq!(code, Some(5));
    for words in [
        "COULD NOT CHECK: 2 parts are WITHHELD, the first is why of entry",
        "detail WITHHELD: it is said to be erased, and no entry shown here says so",
    ] {
        assert!(said.contains(words), "{said}");
    }
}

#[test]
fn erasure_by_filter_and_wrong_orders() {
    let server = Server::dev();
    let lines: String = (0..6)
        .map(|number| {
            format!(
                "{}\n",
                EVENT
                    .replace("\"one\"", &format!("\"n{number}\""))
                    .replace("adam", &format!("m{}", number % 2))
            )
        })
        .collect();
    let sealed = server.prints(&["append"], &lines);
    let first: u64 = sealed.lines().next().unwrap().trim().parse().unwrap();
    let seq = |number: u64| (first + number).to_string();
    let order = with(
        &[
            "erase",
            "--filter",
            "target:\"m1.py\"",
            "--parts",
            "detail",
            "--yes",
        ],
        &ORDER,
    );
    let erased = server.prints(&order, "");
    assert!(
        erased.starts_with(&format!(
            "erased of 3 entries: {},{},{}, as entry {} says\n",
            seq(1),
            seq(3),
            seq(5),
            seq(6)
        )),
        "{erased}"
    );
    assert!(
        erased.contains("detail") && !erased.contains("why"),
        "{erased}"
    );
    let shown = server.prints(&["show", &seq(1)], "");
    assert!(
        shown.contains("born 1990") && shown.contains("ERASED"),
        "{shown}"
    );
    let range = format!("{}-{}", seq(0), seq(2));
    let range_erased = server.prints(&with(&["erase", &range, "--yes"], &ORDER), "");
    assert!(
        range_erased.contains(&format!("of 3 entries: {range}")),
        "{range_erased}"
    );
    let says = format!("as entries {}-{} say", seq(7), seq(8));
    assert!(range_erased.contains(&says), "{range_erased}");

    for (arguments, said) in [
        (
            with(&["erase", "x", "--yes"], &ORDER),
            "expected the seq of an entry, or FIRST-LAST",
        ),
        (
            with(&["erase", "5-2", "--yes"], &ORDER),
            "expected the seq of an entry, or FIRST-LAST",
        ),
        (
            with(&["erase", "0", "--parts", "who"], &ORDER),
            "why and detail can be erased",
        ),
        (
            with(&["erase", "--filter", " ", "--yes"], &ORDER),
            "an empty one would match every entry",
        ),
        (
            with(&["erase", "--filter", "nofield = 1"], &ORDER),
            "nofield",
        ),
        (with(&["erase", "99"], &ORDER), "99"),
        (vec!["erase", "0", "--reason", "x"], "--ticket"),
        (vec!["hold", "place", "a", "--ticket", "x"], "<SEQ>"),
        (
            vec![
                "hold",
                "place",
                "a",
                "--filter",
                "reason = x",
                "--ticket",
                "x",
            ],
            "why or detail",
        ),
    ] {
        let output = server.run(&arguments, "");
        assert_eq!(code(&output), Some(2), "{arguments:?}: {}", stderr(&output));
        assert!(
            stderr(&output).contains(said),
            "{arguments:?}: {}",
            stderr(&output)
        );
    }
    let none = server.run(&["hold", "release", "none", "--ticket", "x"], "");
    assert_eq!(code(&none), Some(1));
    assert!(
        stderr(&none).contains("no hold named \"none\""),
        "{}",
        stderr(&none)
    );
    let elsewhere = run(
        server
            .command(&with(&["erase", "0"], &ORDER))
            .env("GRAVEN_ADMIN", &server.url),
        "",
    );
    assert_eq!(code(&elsewhere), Some(2));
    assert!(
        stderr(&elsewhere).contains("takes no orders"),
        "{}",
        stderr(&elsewhere)
    );
    let nowhere = run(
        server
            .command(&with(&["erase", "0"], &ORDER))
            .env_remove("GRAVEN_ADMIN"),
        "",
    );
    assert_eq!(code(&nowhere), Some(2));
    assert!(stderr(&nowhere).contains("--admin"), "{}", stderr(&nowhere));
}
