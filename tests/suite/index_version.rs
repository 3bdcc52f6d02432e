//! Index version 1 is sealed in ledgers: what it is does not change, and of an index of another version nothing is proved,
//! and nothing called absent or false.

use graven::entry::genesis::{Genesis, INDEX_SPANS, INDEX_VERSION};
use graven::entry::v1::ledger_act::Act;
use graven::entry::{Kind, v1};
use graven::index::filter::Filter;
use graven::index::{FIELDS, FieldKind};
use graven::merkle::prove_inclusion;
use graven::verify::{
    Accusation, Check, Contradiction, CountQuestion, Deriving, Finding, Judgement, Question,
    Reason, Rederivation, ShownEntry, Verdict, verify_count, verify_page,
};
use prost::Message;

use super::verify_support::{Memory, Sealer, event};

/// The indexed fields of version 1: tag, name, and how a term follows from a value.
const VERSION_1: [(u16, &str, &str); 36] = [
    (1, "kind", "word"),
    (2, "submitter", "text"),
    (3, "authentication", "word"),
    (4, "actor", "text"),
    (5, "assurance", "word"),
    (6, "on_behalf_of", "text"),
    (7, "session", "text"),
    (8, "action", "text"),
    (9, "outcome", "word"),
    (10, "target", "text"),
    (11, "previous_target", "text"),
    (12, "owner", "text"),
    (13, "foreign", "flag"),
    (14, "before", "version"),
    (15, "after", "version"),
    (16, "input", "text"),
    (17, "output", "text"),
    (18, "input_version", "version"),
    (19, "output_version", "version"),
    (20, "run", "text"),
    (21, "parent_run", "text"),
    (22, "job", "text"),
    (23, "namespace", "text"),
    (24, "gpus", "number"),
    (25, "repository", "text"),
    (26, "commit", "text"),
    (27, "image", "text"),
    (28, "grantee", "text"),
    (29, "permission", "text"),
    (30, "participant", "text"),
    (31, "source", "text"),
    (32, "host", "text"),
    (33, "correlation", "text"),
    (34, "cause", "number"),
    (35, "occurred_at", "time"),
    (36, "linked", "text"),
];

fn derivation(kind: FieldKind) -> &'static str {
    match kind {
        FieldKind::Text => "text",
        FieldKind::Word(_) => "word",
        FieldKind::Version => "version",
        FieldKind::Number => "number",
        FieldKind::Time => "time",
        FieldKind::Flag => "flag",
        FieldKind::Duration | FieldKind::Label => "none",
    }
}

#[test]
fn the_fields_of_index_version_1_are_what_they_were() {
    let indexed = FIELDS.iter().filter_map(|field| {
        let tag = field.tag?;
        Some((tag, field.name, derivation(field.kind)))
    });
    let indexed: Vec<_> = indexed.collect();
    assert!(
        (INDEX_VERSION, INDEX_SPANS) == (1, [1 << 10, 1 << 14, 1 << 18, 1 << 22, 1 << 26])
            && indexed == VERSION_1,
        "The indexed fields are others than those of index version 1, under which ledgers are sealed: with this change their \
         seals would look false. Leave the fields of version 1 as they are, and derive the others under INDEX_VERSION 2, in \
         ledgers whose genesis says so: see docs/format.md, \"What is frozen\". Found: {indexed:?}"
    );
}

/// A genesis whose index has this version and spans.
fn genesis(version: u32, spans: &[u64]) -> Genesis {
    let sealer = Sealer::new();
    let descriptor = v1::Genesis {
        index_version: version,
        index_spans: spans.to_vec(),
        ..sealer.genesis.descriptor().clone()
    };
    Genesis::decode(&descriptor.encode_to_vec()).unwrap()
}

/// A ledger of a genesis with entries and a seal of an index of this version.
fn ledger(genesis: Genesis, sealed: u32) -> Sealer {
    let mut sealer = Sealer {
        genesis,
        ..Sealer::new()
    };
    for number in 0..1_024 {
        sealer.append(&event(number));
    }
    let seal = v1::Seal {
        index_version: sealed,
        levels: vec![v1::SealLevel {
            segments: 1,
            root: vec![7; 32],
        }],
    };
    sealer.act(Kind::Seal, "ledger.seal", Act::Seal(seal));
    sealer
}

/// Ledgers of an index that is not known, and what is said of them.
fn unknown() -> Vec<(Sealer, &'static str)> {
    vec![
        (ledger(genesis(2, &INDEX_SPANS), 2), "version 2"),
        (ledger(genesis(2, &INDEX_SPANS), 1), "version 2"),
        (
            ledger(genesis(1, &[1_000]), 1),
            "version 1 with other spans",
        ),
        (ledger(genesis(1, &INDEX_SPANS), 2), "version 2"),
    ]
}

/// A proof that shows the seal, which lies behind the other entries.
fn proof(sealer: &Sealer) -> v1::SearchProof {
    let size = sealer.size();
    let shown = |seq: u64| {
        let (header, body) = (&sealer.headers[seq as usize], &sealer.bodies[seq as usize]);
        let parts = body.commitments().map(|(tag, _)| {
            let salts = graven::entry::Salts::derive(&sealer.seeds[seq as usize]);
            v1::Part {
                erased_by: None,
                tag: tag.number().into(),
                content: Some(v1::part::Content::Disclosed(v1::DisclosedPart {
                    encoded: body.disclosed(tag).unwrap().clone(),
                    salt: salts.of(tag).to_vec().into(),
                })),
            }
        });
        v1::Entry {
            header: header.encode().to_vec(),
            parts: parts.collect(),
        }
    };
    v1::SearchProof {
        seal: Some(shown(size - 1)),
        seal_inclusion: prove_inclusion(&sealer.tree(), size - 1, size)
            .unwrap()
            .concat(),
        ..Default::default()
    }
}

fn assert_unproved(finding: Finding, index: &str) {
    assert_eq!(
        (finding.check, finding.found.as_str()),
        (Check::IndexVersion, index)
    );
    let index = index.to_owned();
    let verdict = Verdict::CouldNotCheck(vec![Reason::UnknownIndex { index }]);
    assert_eq!(finding.verdict(), verdict);
}

#[test]
fn an_answer_from_an_unknown_index_is_unproved() {
    let filter = Filter::parse("actor = nobody").unwrap();
    for (sealer, index) in unknown() {
        let (checkpoint, size) = (sealer.checkpoint(), sealer.size());
        let key = sealer.key.verifier();
        let question = Question {
            genesis: &sealer.genesis,
            key: &key,
            filter: &filter,
            descending: false,
            open: 0..u64::MAX,
            size: None,
        };
        let page = v1::SearchResponse {
            checkpoint: checkpoint.clone(),
            size,
            end: size,
            proof: Some(proof(&sealer)),
            ..Default::default()
        };
        assert_unproved(verify_page(&question, &page).unwrap_err(), index);

        let question = CountQuestion {
            genesis: &sealer.genesis,
            key: &key,
            filter: &filter,
            group_by: None,
            open: 0..u64::MAX,
            next_value: None,
            size: None,
        };
        let page = v1::CountResponse {
            checkpoint,
            size,
            end: size,
            total: Some(v1::Tally::default()),
            proof: Some(proof(&sealer)),
            ..Default::default()
        };
        assert_unproved(verify_count(&question, &page).unwrap_err(), index);
    }
}

#[test]
fn what_needs_no_index_is_proved_whatever_the_index_is() {
    let mut sealer = Sealer {
        genesis: genesis(2, &INDEX_SPANS),
        ..Sealer::new()
    };
    sealer.append(&event(0));
    let evidence = sealer.evidence(0);
    let key = sealer.key.verifier();
    assert_eq!(evidence.verify(Some(&key), None).verdict, Verdict::Ok);
    assert_eq!(sealer.genesis.unknown_index().as_deref(), Some("version 2"));
    assert_eq!(Sealer::new().genesis.unknown_index(), None);
}

#[test]
fn an_unknown_index_cannot_be_accused() {
    for (sealer, index) in unknown() {
        let shown = |seq: u64| ShownEntry {
            header: sealer.headers[seq as usize].clone(),
            body: sealer.bodies[seq as usize].clone(),
            inclusion: prove_inclusion(&sealer.tree(), seq, sealer.size()).unwrap(),
        };
        let entries = Contradiction::Entries {
            earlier: None,
            before: Vec::new(),
            entries: sealer.headers[..1_024]
                .iter()
                .cloned()
                .zip(sealer.bodies.clone())
                .collect(),
            hashes: graven::merkle::prove_range(&sealer.tree(), 0, 1_024, sealer.size()).unwrap(),
        };
        for contradiction in [Contradiction::Seal, entries] {
            let first = shown(0);
            let accusation = Accusation {
                verifier_key: sealer.key.verifier(),
                genesis: sealer.genesis.clone(),
                checkpoint: sealer.checkpoint(),
                first_entry: (first.header, first.inclusion),
                seal: shown(1_024),
                contradiction,
            };
            match accusation.judge(Some(&sealer.key.verifier())) {
                Judgement::NothingProved(finding) => assert_unproved(finding, index),
                proved => panic!("{index}: {proved:?}"),
            }
        }
    }
}

/// What deriving the index of this ledger comes to.
fn rederive(sealer: &Sealer) -> Verdict {
    let mut rederivation = Rederivation::new(&sealer.genesis, Memory);
    let mut deriving = Deriving::new(0);
    for (header, body) in sealer.headers.iter().zip(&sealer.bodies).take(1_024) {
        deriving.push(&graven::index::Facts::new(header, body).unwrap());
    }
    rederivation.push(deriving.finish()).unwrap();
    for (header, body) in sealer.headers.iter().zip(&sealer.bodies).skip(1_024) {
        let facts = graven::index::Facts::new(header, body).unwrap();
        if let Some(Act::Seal(seal)) = facts.what.act.and_then(|act| act.act) {
            rederivation.check_seal(header.seq, &seal);
        }
    }
    rederivation.report().verdict()
}

#[test]
fn an_unknown_index_is_not_called_false() {
    for (sealer, index) in unknown() {
        let index = index.to_owned();
        let unproved = Verdict::CouldNotCheck(vec![Reason::UnknownIndex { index }]);
        assert_eq!(rederive(&sealer), unproved);
    }
    // The same root under a version that is known is found out, also beside a seal that is not known.
    let mut known = ledger(genesis(1, &INDEX_SPANS), 1);
    assert!(matches!(rederive(&known), Verdict::Tampered(_)));
    known.act(
        Kind::Seal,
        "ledger.seal",
        Act::Seal(v1::Seal {
            index_version: 2,
            levels: Vec::new(),
        }),
    );
    assert!(matches!(rederive(&known), Verdict::Tampered(_)));
}
