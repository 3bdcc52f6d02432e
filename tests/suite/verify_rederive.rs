//! An operator who seals a false index, played: deriving it again finds the lie, and what shows it convinces others of
//! that lie and of no other.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use graven::entry::v1::ledger_act::Act;
use graven::entry::{Kind, v1};
use graven::index::{SegmentId, SegmentWriter, Term, TermRange, field};
use graven::ledger::{Directory, Ledger, SegmentQuestion, rederive_directory};
use graven::store::{MemoryDisk, Objects};
use graven::verify::{
    Accusation, Check, Contradiction, Judgement, ShownEntry, ShownSegment, Verdict,
};
use serde_json::Value;
use tempfile::TempDir;

use super::cli_support::{graven, run, stderr, stdout, text};
use super::ledger_support::{Operator, append, wait_until_indexed};
use super::lying_support::{LIES, Lie, ask, event, hiding_ledger_with, ledger_with};
use super::service_support::TestServer;
use super::verify_support::{Memory, Sealer};

fn about_mallory() -> Term {
    Term {
        tag: field("participant").unwrap().tag.unwrap(),
        value: b"oidc:corp/mallory".to_vec(),
    }
}

/// An entry with its inclusion in the tree of `size` entries.
fn shown(ledger: &Ledger, seq: u64, size: u64) -> ShownEntry {
    let entry = ledger.entry(seq).unwrap();
    ShownEntry {
        header: entry.header,
        body: entry.body,
        inclusion: ledger.prove_inclusion(seq, size).unwrap(),
    }
}

/// The accusation of the newest seal with what `contradiction` makes of the ledger.
fn accuse(
    ledger: &Ledger,
    operator: &Operator,
    contradiction: impl FnOnce(u64) -> Contradiction,
) -> Accusation {
    let size = ledger.published().size();
    let seals = ask(ledger, "kind = seal");
    let first = shown(ledger, 0, size);
    Accusation {
        verifier_key: operator.key().verifier(),
        genesis: ledger.genesis().clone(),
        checkpoint: ledger.published().note.clone(),
        first_entry: (first.header, first.inclusion),
        seal: shown(ledger, *seals.last().unwrap(), size),
        contradiction: contradiction(size),
    }
}

/// That entry `seq` and the list of mallory contradict each other.
fn accuse_list(ledger: &Ledger, operator: &Operator, seq: u64) -> Accusation {
    let term = about_mallory();
    let page = ledger
        .show_segment(&SegmentQuestion {
            id: SegmentId {
                level: 0,
                number: 0,
            },
            leaves: 0..10_000,
            terms: TermRange::point(term.clone()),
            window: seq..seq + 1,
        })
        .unwrap();
    accuse(ledger, operator, |size| Contradiction::List {
        segment: ShownSegment {
            record: page.record,
            hashes: page.hashes,
        },
        term,
        list: page.leaves,
        entry: shown(ledger, seq, size),
    })
}

/// That the entries of the first segment come to something else.
fn accuse_by_entries(ledger: &Ledger, operator: &Operator) -> Accusation {
    accuse(ledger, operator, |size| Contradiction::Entries {
        earlier: None,
        before: Vec::new(),
        entries: (0..1_024)
            .map(|seq| {
                ledger
                    .entry(seq)
                    .map(|entry| (entry.header, entry.body))
                    .unwrap()
            })
            .collect(),
        hashes: ledger.prove_range(0..1_024, size).unwrap(),
    })
}

fn judge(accusation: &Accusation, operator: &Operator) -> Judgement {
    accusation.judge(Some(&operator.key().verifier()))
}

fn is_proved(judgement: &Judgement) -> bool {
    matches!(judgement, Judgement::Proved(_))
}

/// Every way to change, drop or repeat one thing of a document.
fn changes(document: &Value) -> Vec<Value> {
    match document {
        Value::Object(fields) => {
            let mut changed = Vec::new();
            for (name, value) in fields {
                let mut without = fields.clone();
                without.remove(name);
                changed.push(without.into());
                for value in changes(value) {
                    let mut with = fields.clone();
                    with.insert(name.clone(), value);
                    changed.push(with.into());
                }
            }
            let mut more = fields.clone();
            more.insert("more".into(), 1.into());
            changed.push(more.into());
            changed
        }
        Value::Array(items) => {
            let mut changed = Vec::new();
            for (index, item) in items.iter().enumerate() {
                let mut without = items.clone();
                without.remove(index);
                changed.push(without.into());
                let mut twice = items.clone();
                twice.insert(index, item.clone());
                changed.push(twice.into());
                let mut swapped = items.clone();
                swapped.swap(index, 0);
                changed.push(swapped.into());
                for item in changes(item) {
                    let mut with = items.clone();
                    with[index] = item;
                    changed.push(with.into());
                }
            }
            changed
        }
        Value::String(text) => {
            let step = 1 + text.len() / 6;
            let flip = |at: usize| {
                let mut bytes = text.clone().into_bytes();
                bytes[at] = if bytes[at] == b'1' { b'2' } else { b'1' };
                String::from_utf8(bytes).ok().map(Value::from)
            };
            let mut changed: Vec<Value> = (0..text.len()).step_by(step).filter_map(flip).collect();
            changed.push(format!("{text}A").into());
            changed.push(Value::Null);
            changed.push("".into());
            changed
        }
        Value::Number(number) => {
            let number = number.as_u64().unwrap();
            vec![
                (number + 1).into(),
                number.wrapping_sub(1).into(),
                Value::Null,
            ]
        }
        Value::Null | Value::Bool(_) => vec![Value::Bool(true)],
    }
}

#[test]
fn an_accusation_holds_only_as_it_was_made_and_only_against_whom_it_is_true() {
    let operator = Operator::default();
    let honest = ledger_with(&operator, &MemoryDisk::new(), None);
    let liar = ledger_with(&operator, &MemoryDisk::new(), Some(LIES[0]));
    for accusation in [
        accuse_list(&liar, &operator, 17),
        accuse_by_entries(&liar, &operator),
    ] {
        assert!(
            is_proved(&judge(&accusation, &operator)),
            "{:?}",
            judge(&accusation, &operator)
        );
        let other = Operator {
            first_key_byte: 9,
            ..Operator::default()
        };
        assert!(matches!(
            judge(&accusation, &other),
            Judgement::NothingProved(_)
        ));
        assert!(matches!(accusation.judge(None), Judgement::Unpinned(_)));
        let again = Accusation::from_json(accusation.to_json().as_bytes()).unwrap();
        assert_eq!(again, accusation);
    }
    for seq in [3, 17, 18, 500, 900] {
        let judgement = judge(&accuse_list(&honest, &operator, seq), &operator);
        assert!(
            matches!(judgement, Judgement::NothingProved(_)),
            "{seq}: {judgement:?}"
        );
    }
    let judgement = judge(&accuse_by_entries(&honest, &operator), &operator);
    assert!(
        matches!(judgement, Judgement::NothingProved(_)),
        "{judgement:?}"
    );
    // The same seal, and an entry that the list does not contradict.
    let judgement = judge(&accuse_list(&liar, &operator, 3), &operator);
    assert!(
        matches!(judgement, Judgement::NothingProved(_)),
        "{judgement:?}"
    );
    let mut broken = accuse_list(&liar, &operator, 17);
    broken.contradiction = Contradiction::Seal;
    assert!(!is_proved(&judge(&broken, &operator)));
}

#[test]
fn nothing_of_an_accusation_can_be_altered() {
    let operator = Operator::default();
    let liar = ledger_with(&operator, &MemoryDisk::new(), Some(LIES[0]));
    let file = accuse_list(&liar, &operator, 17).to_json();
    let document: Value = serde_json::from_str(&file).unwrap();
    let mut tried = 0;
    for changed in changes(&document) {
        if changed == document {
            continue;
        }
        tried += 1;
        let text = serde_json::to_string(&changed).unwrap();
        let Ok(accusation) = Accusation::from_json(text.as_bytes()) else {
            continue;
        };
        let judgement = judge(&accusation, &operator);
        assert!(!is_proved(&judgement), "{judgement:?}: {text}");
    }
    assert!(tried > 300, "only {tried} changes were tried");
    let twice = file.replacen("\"origin\"", "\"origin\": \"x\", \"origin\"", 1);
    assert!(Accusation::from_json(twice.as_bytes()).is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_false_index_is_found_and_proved_to_others() {
    for lie in LIES {
        let operator = Operator::default();
        let key = operator.key().verifier().to_string();
        let ledger = tokio::task::spawn_blocking(move || {
            ledger_with(&Operator::default(), &MemoryDisk::new(), Some(lie))
        });
        let server = TestServer::of(Arc::new(ledger.await.unwrap())).await;
        let temporary = TempDir::new().unwrap();
        let out = temporary.path().join("proof.json");
        let (url, said) = (server.url.clone(), lie.said);
        let work = move || {
            let cli = |arguments: &[&str]| {
                let mut command = graven();
                command
                    .args(arguments)
                    .env("GRAVEN_SERVER", &url)
                    .env("GRAVEN_KEY", &key);
                run(&mut command, "")
            };
            let question = ["log", "participant = oidc:corp/mallory", "-o", "jsonl"];
            let sealed = cli(&question);
            assert!(sealed.status.success(), "{}", stderr(&sealed));
            assert!(
                stderr(&sealed).contains("sealed by entry"),
                "{}",
                stderr(&sealed)
            );
            let found = stdout(&sealed).lines().count();
            assert_eq!(found, if lie.about_mallory { 2 } else { 3 });
            let rederived = cli(&[&question[..], &["--rederive"]].concat());
            assert_eq!(
                stdout(&rederived).lines().count(),
                3,
                "{}",
                stderr(&rederived)
            );
            assert!(
                stderr(&rederived).contains("(re-derived: "),
                "{}",
                stderr(&rederived)
            );

            let plain = cli(&["verify"]);
            assert_eq!(plain.status.code(), Some(0), "{}", stdout(&plain));
            let verified = cli(&["verify", "--rederive", "--out", text(&out)]);
            let all = stdout(&verified);
            assert_eq!(
                verified.status.code(),
                Some(3),
                "{all}{}",
                stderr(&verified)
            );
            assert!(all.starts_with("TAMPERED: entry "), "{all}");
            assert!(
                all.contains("segment 0 of level 0 (entries 0 to 1023)"),
                "{all}"
            );
            assert!(all.contains(said), "{all}");

            let file = text(&out);
            let judged = cli(&["verify", file]);
            assert_eq!(judged.status.code(), Some(3), "{}", stdout(&judged));
            let all = stdout(&judged);
            assert!(
                all.starts_with("TAMPERED: the operator sealed a false index: "),
                "{all}"
            );
            assert!(all.contains(said), "{all}");
            let unpinned = run(graven().args(["verify", file]), "");
            assert_eq!(unpinned.status.code(), Some(5));
            assert!(stdout(&unpinned).starts_with("COULD NOT CHECK: no key is pinned"));
            let other = Operator {
                first_key_byte: 9,
                ..Operator::default()
            };
            let stranger = run(
                graven().args(["verify", file, "--key", &other.key().verifier().to_string()]),
                "",
            );
            assert_eq!(stranger.status.code(), Some(5));
            assert!(
                stdout(&stranger).contains("the file proves nothing"),
                "{}",
                stdout(&stranger)
            );
            let again = cli(&["verify", "--rederive", "--out", file]);
            assert_eq!(again.status.code(), Some(2), "{}", stderr(&again));
        };
        tokio::task::spawn_blocking(work).await.unwrap();
        server.stop().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_who_hides_the_segment_is_accused_by_the_entries() {
    let operator = Operator::default();
    let key = operator.key().verifier().to_string();
    let hiding = Arc::new(AtomicBool::new(false));
    let hidden = Arc::clone(&hiding);
    let ledger = tokio::task::spawn_blocking(move || {
        let operator = Operator::default();
        hiding_ledger_with(&operator, &MemoryDisk::new(), Some(LIES[0]), &hidden)
    });
    let server = TestServer::of(Arc::new(ledger.await.unwrap())).await;
    hiding.store(true, Ordering::SeqCst);
    let temporary = TempDir::new().unwrap();
    let (url, out) = (server.url.clone(), temporary.path().join("proof.json"));
    let work = move || {
        let mut command = graven();
        command.args([
            "verify",
            "--server",
            &url,
            "--key",
            &key,
            "--rederive",
            "--out",
            text(&out),
        ]);
        let verified = run(&mut command, "");
        let all = stdout(&verified);
        assert_eq!(
            verified.status.code(),
            Some(3),
            "{all}{}",
            stderr(&verified)
        );
        let said = "segment 0 of level 0 (entries 0 to 1023) is not what its entries come to";
        assert!(all.contains(said), "{all}");
        let judged = run(graven().args(["verify", text(&out), "--key", &key]), "");
        assert_eq!(judged.status.code(), Some(3), "{}", stdout(&judged));
        assert!(stdout(&judged).contains(said), "{}", stdout(&judged));
    };
    tokio::task::spawn_blocking(work).await.unwrap();
    server.stop().await.unwrap();
}

#[test]
fn a_stopped_directory_gives_the_proof_of_its_false_index() {
    let operator = Operator::default();
    let key = operator.key().verifier().to_string();
    let temporary = TempDir::new().unwrap();
    let (dir, out) = (
        temporary.path().join("ledger"),
        temporary.path().join("proof.json"),
    );
    std::fs::create_dir(&dir).unwrap();
    drop(ledger_with(&operator, &Directory::new(&dir), Some(LIES[0])));
    let directory = [
        "verify",
        "--dir",
        text(&dir),
        "--key",
        &key,
        "--rederive",
        "--out",
        text(&out),
    ];
    let verified = run(graven().args(directory), "");
    let all = stdout(&verified);
    assert_eq!(
        verified.status.code(),
        Some(3),
        "{all}{}",
        stderr(&verified)
    );
    assert!(all.contains(LIES[0].said), "{all}");
    let judged = run(graven().args(["verify", text(&out), "--key", &key]), "");
    assert_eq!(judged.status.code(), Some(3), "{}", stdout(&judged));
    let said = stdout(&judged);
    assert!(
        said.starts_with("TAMPERED: the operator sealed a false index: ")
            && said.contains(LIES[0].said),
        "{said}"
    );
    // It is never overwritten.
    let again = run(graven().args(directory), "");
    assert_eq!(again.status.code(), Some(2), "{}", stderr(&again));
}

#[test]
fn every_segment_of_a_right_index_is_derived() {
    let operator = Operator::default();
    let disk = super::ledger_index::indexed(&operator);
    let report =
        rederive_directory(&disk, &operator.key().verifier(), &Memory, &mut |_, _| {}).unwrap();
    assert_eq!(report.rederived.verdict(), Verdict::Ok);
    assert_eq!(report.rederived.segments, 18 + 1);
    assert_eq!(report.rederived.newest.unwrap().1, 18 * 1_024);
    assert!(report.rederived.seals > 0);
}

#[test]
fn a_directory_with_a_false_index_is_found_out() {
    let operator = Operator::default();
    for lie in LIES {
        let disk = MemoryDisk::new();
        drop(ledger_with(&operator, &disk, Some(lie)));
        assert_eq!(operator.audit(&disk, None).unwrap().verdict, Verdict::Ok);
        let report =
            rederive_directory(&disk, &operator.key().verifier(), &Memory, &mut |_, _| {}).unwrap();
        let Verdict::Tampered(finding) = report.rederived.verdict() else {
            panic!("{report:?}");
        };
        assert_eq!(finding.check, Check::Index);
        assert!(
            finding.expected.contains("segment 0 of level 0"),
            "{finding}"
        );
        let difference = report.difference.unwrap();
        assert!(
            difference.contains("participant = oidc:corp/"),
            "{difference}"
        );
        let (accusation, proved) = report.accusation.unwrap();
        assert!(proved.what.contains(lie.said), "{proved}");
        assert!(is_proved(&judge(&accusation, &operator)));
        // Without the segment there are the entries.
        disk.objects().delete("segment-0-0").unwrap();
        let report = rederive_directory(&disk, &operator.key().verifier(), &Memory, &mut |_, _| {});
        let (accusation, proved) = report.unwrap().accusation.unwrap();
        assert!(
            proved.what.contains("is not what its entries come to"),
            "{proved}"
        );
        assert!(matches!(
            accusation.contradiction,
            Contradiction::Entries { .. }
        ));
        assert!(is_proved(&judge(&accusation, &operator)));
    }
}

/// A ledger whose segment of level 1 is merged from one that was sealed falsely.
fn merged_with(operator: &Operator, disk: &MemoryDisk, lie: Lie) -> Ledger {
    let ledger = ledger_with(operator, disk, Some(lie));
    let events: Vec<_> = (1_060..16_400).map(event).collect();
    for batch in events.chunks(500) {
        append(&ledger, batch).unwrap();
    }
    wait_until_indexed(&ledger, 16 * 1_024);
    ledger
}

#[test]
fn a_false_segment_is_proved_after_it_was_merged() {
    let (operator, disk) = (Operator::default(), MemoryDisk::new());
    let key = operator.key().verifier();
    drop(merged_with(&operator, &disk, LIES[0]));
    let derive = || rederive_directory(&disk, &key, &Memory, &mut |_, _| {}).unwrap();
    let report = derive();
    let (accusation, proved) = report.accusation.unwrap();
    let said = "segment 0 of level 1 (entries 0 to 16383) leaves out entry 17";
    assert!(proved.what.contains(said), "{proved}");
    assert!(is_proved(&judge(&accusation, &operator)));
    let again = Accusation::from_json(accusation.to_json().as_bytes()).unwrap();
    assert_eq!(again, accusation);
    // Where its leaves are gone, or others lie there, the entries of level 0 that were sealed first are left.
    let object = disk.objects().open("segment-1-0").unwrap();
    let bytes = object.read_at(0, object.len() as usize).unwrap();
    let mut shorter = bytes.to_vec();
    shorter.drain(200..700);
    for hidden in [None, Some(shorter)] {
        disk.objects().delete("segment-1-0").unwrap();
        if let Some(bytes) = hidden {
            disk.set_object("segment-1-0", bytes.into());
        }
        let report = rederive_directory(&disk, &key, &Memory, &mut |_, _| {});
        match report {
            Ok(report) => {
                let (accusation, proved) = report.accusation.unwrap();
                let said =
                    "segment 0 of level 0 (entries 0 to 1023) is not what its entries come to";
                assert!(proved.what.contains(said), "{proved}");
                assert!(is_proved(&judge(&accusation, &operator)));
            }
            Err(error) => panic!("{error}"),
        }
    }
}

/// A ledger of 1,024 entries and a seal that says this.
fn sealed(levels: Vec<v1::SealLevel>) -> Sealer {
    let mut sealer = Sealer::new();
    for number in 0..1_024 {
        sealer.append(&event(number));
    }
    let seal = v1::Seal {
        index_version: 1,
        levels,
    };
    sealer.act(Kind::Seal, "ledger.seal", Act::Seal(seal));
    sealer
}

fn judge_sealer(sealer: &Sealer, contradiction: Contradiction) -> Judgement {
    let shown = |seq: u64| ShownEntry {
        header: sealer.headers[seq as usize].clone(),
        body: sealer.bodies[seq as usize].clone(),
        inclusion: sealer.proof(seq).hashes,
    };
    let first = shown(0);
    let key = sealer.key.verifier();
    let accusation = Accusation {
        verifier_key: key.clone(),
        genesis: sealer.genesis.clone(),
        checkpoint: sealer.checkpoint(),
        first_entry: (first.header, first.inclusion),
        seal: shown(1_024),
        contradiction,
    };
    accusation.judge(Some(&key))
}

#[test]
fn what_is_no_segment_and_what_is_no_seal_is_proved() {
    for (order, is_false) in [([b"a", b"b"], false), ([b"b", b"a"], true)] {
        let id = SegmentId {
            level: 0,
            number: 0,
        };
        let mut writer = SegmentWriter::new(id, Vec::new());
        for value in order {
            writer.push_run(0..3).unwrap();
            writer.end_term(4, value).unwrap();
        }
        let (record, bytes) = writer.finish().unwrap();
        let directory = u64::from_be_bytes(*bytes.last_chunk().unwrap()) as usize;
        let length = u32::from_be_bytes(bytes[directory + 8..directory + 12].try_into().unwrap());
        let sealer = sealed(vec![v1::SealLevel {
            segments: 1,
            root: record.leaf_hash().to_vec(),
        }]);
        let form = Contradiction::Form {
            segment: ShownSegment {
                record,
                hashes: Vec::new(),
            },
            leaves: v1::TermProof {
                leaves: vec![bytes[..length as usize].to_vec()],
                ..Default::default()
            },
        };
        let judgement = judge_sealer(&sealer, form);
        assert_eq!(is_proved(&judgement), is_false, "{judgement:?}");
        assert!(!is_proved(&judge_sealer(&sealer, Contradiction::Seal)));
    }
    let beyond = v1::SealLevel {
        segments: 2,
        root: vec![7; 32],
    };
    assert!(is_proved(&judge_sealer(
        &sealed(vec![beyond]),
        Contradiction::Seal
    )));
}
