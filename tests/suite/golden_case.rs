//! Case files byte for byte: `tests/vectors/case.json`.
//!
//! `tests/vectors/case.py` makes the same files with other software, from `docs/format.md`.

use std::collections::BTreeMap;

use graven::entry::{Kind, Seed, Tag, v1};
use graven::merkle::{prove_inclusion, prove_range};
use graven::verify::{
    Answered, Case, CaseAnswer, CaseCoverage, CasePage, Disclosure, Extends, Made, Verdict,
};
use prost::Message;

use super::golden_events::minimal;
use super::golden_index::{FILTER, compare, event, level, message, page, sealed, segment};
use super::verify_support::{Sealer, checked, envelope};

const ACTOR: &str = "unix:a100/10432";

/// What somebody changed of bob's, and why.
fn change(actor: &str, file: &str) -> v1::Event {
    let version = |digit: &str| {
        Some(v1::Version {
            ids: vec![format!("sha256:{}", digit.repeat(64))],
            ..Default::default()
        })
    };
    v1::Event {
        who: Some(v1::Who {
            actor: actor.into(),
            assurance: v1::Assurance::Authenticated.into(),
            ..Default::default()
        }),
        what: Some(v1::What {
            action: "file.update".into(),
            outcome: v1::Outcome::Success.into(),
            targets: vec![v1::Target {
                uri: format!("fs://a100/shared/{file}"),
                before: version("1"),
                after: version("2"),
                owner: "oidc:corp/bob".into(),
                ..Default::default()
            }],
            ..Default::default()
        }),
        context: Some(v1::Context {
            source: "agent:login-1".into(),
            source_seq: Some(7),
            occurred_at: Some(1_767_323_044_500_000_000),
            ..Default::default()
        }),
        why: Some(v1::Why {
            reason: "loss spikes \u{2014} see \"chat\"".into(),
            ticket: "OPS-7".into(),
            ..Default::default()
        }),
        detail: Some(v1::Detail {
            content: b"{\"lines\":3}".to_vec(),
            media_type: "application/json".into(),
            ..Default::default()
        }),
        actor_signature: None,
    }
}

/// Somebody did something to nobody's file.
fn other() -> v1::Event {
    v1::Event {
        who: Some(v1::Who {
            actor: "oidc:corp/carol".into(),
            ..Default::default()
        }),
        ..minimal(2)
    }
}

/// Five entries, and no seal.
fn small() -> Sealer {
    let mut ledger = Sealer::new();
    let events = [
        minimal(0),
        change(ACTOR, "adam.py"),
        other(),
        change("oidc:corp/mallory", "data.py"),
        minimal(4),
    ];
    for (number, event) in (20..).zip(events) {
        let mut parts = vec![(Tag::Envelope, envelope().encode_to_vec().into())];
        parts.extend(checked(&event).parts);
        ledger.seal(Kind::Event, false, Seed([number; 32]), parts);
    }
    ledger
}

/// Some entries, with nothing but these parts of each.
fn shown(ledger: &Sealer, seqs: std::ops::Range<u64>, parts: &[Tag]) -> Vec<v1::Entry> {
    let hidden = Tag::ALL.into_iter().filter(|tag| !parts.contains(tag));
    let hidden: Vec<Tag> = hidden.collect();
    let seqs = seqs.map(|seq| seq as usize);
    let entry = |seq: usize| {
        let body = ledger.bodies[seq].clone().withhold(&hidden);
        message(&ledger.headers[seq], &body)
    };
    seqs.map(entry).collect()
}

/// That these entries are in the tree.
fn proof(ledger: &Sealer, seqs: std::ops::Range<u64>) -> Option<v1::SearchProof> {
    let hashes = prove_range(&ledger.tree(), seqs.start, seqs.end, ledger.size()).unwrap();
    Some(v1::SearchProof {
        runs: vec![v1::RunProof {
            hashes: hashes.concat(),
        }],
        ..Default::default()
    })
}

/// The page that answers for entries of which none is in an index.
fn search(ledger: &Sealer, seqs: std::ops::Range<u64>, parts: &[Tag]) -> v1::SearchResponse {
    v1::SearchResponse {
        checkpoint: ledger.checkpoint(),
        size: ledger.size(),
        start: seqs.start,
        end: seqs.end,
        entries: shown(ledger, seqs.clone(), parts),
        proof: proof(ledger, seqs),
        ..Default::default()
    }
}

/// The page that counts all entries by their source.
fn sources(ledger: &Sealer) -> v1::CountResponse {
    let tally = |count, first, last| Some(v1::Tally { count, first, last });
    let group = |source: &str, entries| v1::Group {
        term: source.into(),
        entries,
        ..Default::default()
    };
    v1::CountResponse {
        checkpoint: ledger.checkpoint(),
        size: 5,
        start: 0,
        end: 5,
        total: tally(5, 0, 4),
        groups: vec![
            group("agent:login-1", tally(2, 1, 3)),
            group("host:a100-17", tally(3, 0, 4)),
        ],
        entries: shown(ledger, 0..5, &[Tag::Context]),
        proof: proof(ledger, 0..5),
        ..Default::default()
    }
}

fn case(ledger: &Sealer, asked: &str, filter: &str, pages: &[v1::SearchResponse]) -> Case {
    let page = |page: &v1::SearchResponse| CasePage {
        encoded: page.encode_to_vec(),
        rows: Vec::new(),
    };
    Case {
        made: Made {
            tool: "graven 0.1.0".into(),
            command: ["graven", "export", asked, "--out", "case.json"]
                .map(str::to_owned)
                .into(),
            at: "2026-01-02T03:05:00Z".into(),
        },
        verifier_key: ledger.key.verifier(),
        genesis: ledger.genesis.clone(),
        first_header: ledger.headers[0].clone(),
        first_inclusion: prove_inclusion(&ledger.tree(), 0, ledger.size()).unwrap(),
        extends: None,
        answer: CaseAnswer {
            asked: asked.into(),
            filter: filter.into(),
            range: 0..u64::MAX,
            size: ledger.size(),
            descending: false,
            answered: Answered::default(),
            pages: pages.iter().map(page).collect(),
        },
        coverage: None,
        discloses: Disclosure::default(),
    }
}

/// All that is foreign of somebody, with the sources of all entries.
fn whole() -> Case {
    let ledger = small();
    let pages = [search(&ledger, 0..5, &Tag::ALL)];
    let (asked, filter) = (
        "actor = unix:a100/10432 AND foreign = true",
        "(actor = \"unix:a100/10432\" AND foreign = true)",
    );
    let case = Case {
        coverage: Some(CaseCoverage {
            pages: vec![sources(&ledger).encode_to_vec()],
            ..Default::default()
        }),
        ..case(&ledger, asked, filter, &pages)
    };
    case.complete(&ledger.key.verifier()).unwrap()
}

/// The newest first, without the part who, cut off before entry 0, and continuing a tree of two entries.
fn withheld() -> Case {
    let ledger = small();
    let parts = [
        Tag::Envelope,
        Tag::What,
        Tag::Context,
        Tag::Why,
        Tag::Detail,
    ];
    let pages = [search(&ledger, 3..5, &parts), search(&ledger, 1..3, &parts)];
    let (asked, filter) = (
        "target = \"fs://a100/shared/*\" OR actor = oidc:corp/bob",
        "(target = \"fs://a100/shared/*\" OR actor = \"oidc:corp/bob\")",
    );
    let mut case = case(&ledger, asked, filter, &pages);
    case.answer.descending = true;
    case.extends = Some(Extends {
        size: 2,
        root: ledger.tree().root_at(2),
        consistency: ledger.consistency(2),
    });
    case.complete(&ledger.key.verifier()).unwrap()
}

/// An answer that rests on a sealed index.
fn indexed() -> Case {
    let ledger = sealed(event, |sealer| level(segment(sealer).record()));
    let pages = [page(&ledger, &segment(&ledger))];
    let filter = "target = \"file://a100-17/data/503\"";
    let case = case(&ledger, FILTER, filter, &pages);
    case.complete(&ledger.key.verifier()).unwrap()
}

#[test]
fn golden_cases_have_not_changed_and_verify() {
    let mut files = BTreeMap::new();
    for (name, case, matches) in [
        ("whole", whole(), 1),
        ("withheld", withheld(), 2),
        ("indexed", indexed(), 1),
    ] {
        let json = case.to_json();
        let read = Case::from_json(json.as_bytes()).unwrap();
        let report = read.verify(Some(&case.verifier_key), None, &mut |_, _| {});
        assert_eq!(report.verdict, Verdict::Ok, "{name}");
        let answered = report.proved.unwrap().answered;
        assert_eq!(answered.matches, matches, "{name}");
        assert_eq!(read.to_json(), json, "{name}");
        files.insert(name, BTreeMap::from([("text", json)]));
    }
    let json = serde_json::to_string_pretty(&files).unwrap() + "\n";
    compare("vectors/case.json", &json);
}
