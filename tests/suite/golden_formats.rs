//! Every sealed, signed and handed-out format, byte for byte: `tests/vectors/golden.json`.
//!
//! `tests/vectors/golden.py` makes the same file with other software. To change a format on purpose,
//! run both: `GRAVEN_WRITE_GOLDEN=1 cargo test golden_` writes what this crate makes.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;

use bytes::Bytes;
use graven::entry::genesis::Genesis;
use graven::entry::v1::ledger_act::Act;
use graven::entry::{CheckedEvent, Kind, Salts, Seed, Tag, signature, v1};
use graven::note::Checkpoint;
use graven::verify::{Audit, Evidence, Reason, Verdict, verify_receipt};
use prost::Message;

use super::golden_events::{full, minimal};
use super::verify_support::{
    NOON, ORIGIN, Sealer, act_parts, actor, checked, envelope, erased, erasure, key,
};

type Section = BTreeMap<String, String>;

fn hex(bytes: impl AsRef<[u8]>) -> String {
    bytes.as_ref().iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

fn seed(number: u8) -> Seed {
    Seed([number; 32])
}

/// The event, signed by its actor under the seed.
fn signed(mut message: v1::Event, seed: &Seed) -> CheckedEvent {
    let unsigned = checked(&message);
    let parts: Vec<_> = unsigned
        .parts
        .iter()
        .map(|(tag, b)| (*tag, b.as_ref()))
        .collect();
    message.actor_signature = Some(signature::sign(&actor(), seed, ORIGIN, &parts));
    checked(&message)
}

fn append(ledger: &mut Sealer, event: &CheckedEvent, seed: Seed) {
    let mut envelope = envelope();
    envelope.mapper = Some(v1::Mapper {
        name: "graven import git".into(),
        version: "1".into(),
    });
    envelope.actor_signature = event.actor_signature.as_ref().map(signature::without_seed);
    let mut parts = vec![(Tag::Envelope, Bytes::from(envelope.encode_to_vec()))];
    parts.extend(event.parts.clone());
    ledger.seal(Kind::Event, event.actor_signature.is_some(), seed, parts);
}

struct Golden {
    ledger: Sealer,
    events: Vec<CheckedEvent>,
    before_rotation: String,
    group: v1::Receipt,
    single: v1::Receipt,
    statement: String,
}

fn golden() -> Golden {
    let mut ledger = Sealer::new();
    let events = vec![
        checked(&minimal(0)),
        checked(&full()),
        signed(minimal(2), &seed(12)),
        checked(&minimal(3)),
        checked(&minimal(8)),
    ];
    append(&mut ledger, &events[0], seed(10));
    let time = ledger.clock;
    for (event, number) in events[1..4].iter().zip(11..) {
        ledger.clock = time;
        append(&mut ledger, event, seed(number));
    }
    let act = |ledger: &mut Sealer, number, kind, action, act| {
        ledger.seal(kind, false, seed(number), act_parts(action, act));
    };
    act(
        &mut ledger,
        14,
        Kind::Act,
        "ledger.erase",
        erasure(1, &[Tag::Why, Tag::Detail]),
    );
    let level = |segments, root| v1::SealLevel {
        segments,
        root: vec![root; 32],
    };
    let seal = v1::Seal {
        index_version: 1,
        levels: vec![level(16, 0x51), level(1, 0x52)],
    };
    act(&mut ledger, 15, Kind::Seal, "ledger.seal", Act::Seal(seal));
    let adoption = v1::Adoption {
        size: 6,
        root: ledger.tree().root().to_vec(),
        found: "the anchor is missing".into(),
    };
    act(
        &mut ledger,
        16,
        Kind::Act,
        "ledger.adopt",
        Act::Adoption(adoption),
    );
    let before_rotation = ledger.checkpoint();
    let group = ledger.receipt(1, 4);
    let next = key(ORIGIN, 64);
    let statement = ledger.rotation(&next).to_string();
    let rotation = Act::KeyRotation(v1::KeyRotation {
        statement: statement.clone(),
    });
    act(&mut ledger, 17, Kind::Act, "ledger.rotate", rotation);
    ledger.key = next;
    append(&mut ledger, &events[4], seed(18));
    let single = ledger.receipt(8, 9);
    ledger.bodies[1] = erased(&ledger.bodies[1], &[Tag::Why, Tag::Detail]);
    Golden {
        ledger,
        events,
        before_rotation,
        group,
        single,
        statement,
    }
}

fn shown_evidence(ledger: &Sealer) -> Evidence {
    ledger.evidence(2)
}

fn partial_evidence(ledger: &Sealer) -> Evidence {
    ledger.evidence(1).withhold(&[Tag::Who])
}

fn successor() -> Genesis {
    let key = key("ledger.example/next", 128);
    let predecessor = v1::Predecessor {
        origin: ORIGIN.into(),
        checkpoint: golden().before_rotation,
    };
    let origin = "ledger.example/next";
    Genesis::new(&key.verifier(), origin, [0x2d; 32], NOON, Some(predecessor)).unwrap()
}

fn entry_section(golden: &Golden, seq: usize) -> Section {
    let (header, seed) = (&golden.ledger.headers[seq], &golden.ledger.seeds[seq]);
    let mut section = Section::new();
    let mut put = |name: &str, value: String| section.insert(name.into(), value);
    put("seed", hex(seed.0));
    put("header", hex(header.encode()));
    put("body_hash", hex(header.body_hash));
    put("chain_hash", hex(header.chain_hash()));
    put("leaf_hash", hex(header.leaf_hash()));
    let salts = Salts::derive(seed);
    let body = &golden.ledger.bodies[seq];
    for (tag, commitment) in body.commitments() {
        let name = tag.name();
        put(&format!("{name} salt"), hex(salts.of(tag)));
        put(&format!("{name} commitment"), hex(commitment));
        let encoded = body.disclosed(tag).cloned();
        let erased = || golden.events[seq].part(tag).cloned();
        put(
            &format!("{name} encoded"),
            hex(encoded.or_else(erased).unwrap()),
        );
    }
    if header.actor_signature {
        let signed = body.commitments().filter(|(tag, _)| *tag != Tag::Envelope);
        put(
            "actor signature message",
            hex(signature::signed_message(ORIGIN, signed)),
        );
        let actor_signature = golden.events[seq].actor_signature.as_ref().unwrap();
        put("actor signature", hex(&actor_signature.signature));
    }
    section
}

fn made_here() -> String {
    let golden = golden();
    let ledger = &golden.ledger;
    let genesis = |genesis: &Genesis| {
        let encoded = ("encoded".into(), hex(genesis.encoded()));
        Section::from([encoded, ("hash".into(), hex(genesis.hash()))])
    };
    let text = |text: String| Section::from([("text".into(), text)]);
    let receipt =
        |receipt: &v1::Receipt| Section::from([("encoded".into(), hex(receipt.encode_to_vec()))]);
    let mut sections: BTreeMap<String, Section> = BTreeMap::from([
        ("genesis".into(), genesis(&ledger.genesis)),
        ("genesis with predecessor".into(), genesis(&successor())),
        (
            "checkpoint of 7 entries".into(),
            text(golden.before_rotation.clone()),
        ),
        ("checkpoint of 9 entries".into(), text(ledger.checkpoint())),
        (
            "key rotation statement".into(),
            text(golden.statement.clone()),
        ),
        ("receipt of entries 1 to 3".into(), receipt(&golden.group)),
        ("receipt of entry 8".into(), receipt(&golden.single)),
        (
            "evidence of entry 2".into(),
            text(shown_evidence(ledger).to_json()),
        ),
        (
            "evidence of entry 1".into(),
            text(partial_evidence(ledger).to_json()),
        ),
    ]);
    for seq in 0..ledger.headers.len() {
        sections.insert(format!("entry {seq}"), entry_section(&golden, seq));
    }
    let mut json = serde_json::to_string_pretty(&sections).unwrap();
    json.push('\n');
    json
}

#[test]
fn golden_bytes_have_not_changed() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/golden.json");
    let made = made_here();
    if std::env::var_os("GRAVEN_WRITE_GOLDEN").is_some() {
        std::fs::write(&path, &made).unwrap();
    }
    let golden = std::fs::read_to_string(&path).unwrap();
    for (number, (expected, found)) in (1..).zip(golden.lines().zip(made.lines())) {
        assert_eq!(expected, found, "line {number} of {}", path.display());
    }
    assert_eq!(golden, made);
}

#[test]
fn golden_bytes_verify() {
    let golden = golden();
    let mut expected = golden.ledger.expected();
    let single = [&golden.events[4]];
    verify_receipt(&golden.single, &single, &expected).unwrap();
    expected.key = key(ORIGIN, 0).verifier();
    let group: Vec<_> = golden.events[1..4].iter().collect();
    verify_receipt(&golden.group, &group, &expected).unwrap();

    let ledger = &golden.ledger;
    let pinned = ledger.key.verifier();
    let verdict = |evidence: Evidence| evidence.verify(Some(&pinned), None).verdict;
    assert_eq!(verdict(shown_evidence(ledger)), Verdict::Ok);
    // It does not show the entry that says what was erased.
    let withheld = Reason::Withheld {
        parts: 2,
        seq: 1,
        tag: Tag::Why,
    };
    let partial = verdict(partial_evidence(ledger));
    assert_eq!(partial, Verdict::CouldNotCheck(vec![withheld]));
    Checkpoint::open(&golden.before_rotation, ORIGIN, &key(ORIGIN, 0).verifier()).unwrap();
    let minimum = Some(golden.before_rotation.as_str());
    let mut audit = Audit::new(&ledger.genesis, Some(&pinned), minimum);
    for (header, body) in ledger.headers.iter().zip(&ledger.bodies) {
        audit.push(&header.encode(), body).unwrap();
    }
    assert_eq!(audit.finish(&ledger.checkpoint()).verdict, Verdict::Ok);
}
