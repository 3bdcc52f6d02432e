//! What erasures and holds seal, store and hand out, byte for byte: `tests/vectors/erasure.json`.
//!
//! `tests/vectors/erasure.py` makes the same file with other software, from the seeds that stand in it. To change a format on
//! purpose: `GRAVEN_WRITE_GOLDEN=1 cargo test golden_` writes what this crate makes.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;

use graven::entry::genesis::Genesis;
use graven::entry::{Seed, Tag, v1};
use graven::ledger::{Chosen, ErasureOrder, Ledger};
use graven::note::{Note, TlogProof};
use graven::store::{MemoryDisk, Read, Space};
use graven::verify::{ErasureEntry, Evidence, FirstEntry, Verdict};

use super::ledger_support::{Operator, append};
use super::verify_support::{checked, envelope, event_message};

type Section = BTreeMap<String, String>;

fn hex(bytes: impl AsRef<[u8]>) -> String {
    bytes.as_ref().iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

struct Golden {
    ledger: Ledger,
    disk: MemoryDisk,
    seeds: Vec<[u8; 32]>,
}

/// Three entries in one pack; a hold, its release, the erasure of one part, and of what is left of another entry.
fn golden() -> Golden {
    let (operator, disk) = (Operator::default(), MemoryDisk::new());
    operator.init(&disk).unwrap();
    let ledger = operator.open(&disk).unwrap();
    let events: Vec<_> = (0..3).map(|n| checked(&event_message(n))).collect();
    let seeds = append(&ledger, &events).unwrap().seeds;
    let hold = v1::Hold {
        name: "case 9".into(),
        ticket: "CASE-9".into(),
        reason: "a lawsuit".into(),
        entries: vec![v1::SeqRange {
            first_seq: 2,
            end_seq: 3,
        }],
        filter: "actor = \"oidc:corp/bob\"".into(),
    };
    ledger.place_hold(hold, &envelope()).unwrap();
    ledger
        .release_hold("case 9", "CASE-10".into(), "settled".into(), &envelope())
        .unwrap();
    for (seq, parts) in [(1, vec![Tag::Detail]), (2, vec![Tag::Why, Tag::Detail])] {
        let order = ErasureOrder {
            entries: Chosen::Named((seq..seq + 1).into()),
            parts,
            ticket: "LEGAL-1".into(),
            reason: "asked for".into(),
        };
        ledger.erase(&order, &envelope()).unwrap();
    }
    Golden {
        ledger,
        disk,
        seeds,
    }
}

fn evidence(ledger: &Ledger, genesis: &Genesis, seq: u64, by: u64) -> Evidence {
    let published = ledger.published();
    let proof = |seq| TlogProof {
        extra: None,
        index: seq,
        hashes: ledger.prove_inclusion(seq, published.size()).unwrap(),
        checkpoint: Note::parse(&published.note).unwrap(),
    };
    let [entry, erasure, first] = [seq, by, 0].map(|seq| ledger.entry(seq).unwrap());
    Evidence {
        verifier_key: genesis.verifier_key().clone(),
        genesis: genesis.clone(),
        header: entry.header,
        body: entry.body,
        proof: proof(seq),
        erasures: vec![ErasureEntry {
            header: erasure.header,
            body: erasure.body,
            proof: proof(by),
        }],
        first_entry: Some(FirstEntry {
            header: first.header,
            proof: proof(0),
        }),
    }
}

#[test]
fn golden_bytes_of_erasures_and_holds_have_not_changed() {
    let Golden {
        ledger,
        disk,
        seeds,
    } = golden();
    let genesis = ledger.genesis().clone();
    let evidence = evidence(&ledger, &genesis, 1, 5);
    let verdict = evidence.verify(Some(genesis.verifier_key()), None).verdict;
    assert_eq!(verdict, Verdict::Ok);
    let acts = [
        (3, "hold"),
        (4, "release"),
        (5, "first erasure"),
        (6, "second erasure"),
    ];
    let mut sections = BTreeMap::new();
    for (seq, name) in acts {
        let entry = ledger.entry(seq).unwrap();
        let (_, _, Seed(seed)) = ledger.receipt_material(seq).unwrap();
        let what = entry.body.disclosed(Tag::What).unwrap();
        let section = Section::from([
            ("seed".into(), hex(seed)),
            ("header".into(), hex(entry.header.encode())),
            ("what".into(), hex(what)),
        ]);
        sections.insert(name.to_string(), section);
    }
    let size = ledger.published().size();
    drop(ledger);
    let store = disk.open_store_read_only().unwrap();
    let value = |space| hex(store.get(space, &0u64.to_be_bytes()).unwrap().unwrap());
    let pack = Section::from([
        ("entry space".into(), value(Space::Entry)),
        ("detail space".into(), value(Space::Detail)),
        ("seeds".into(), hex(seeds.concat())),
    ]);
    sections.insert("pack of entries 0 to 2".into(), pack);
    let text = Section::from([("text".into(), evidence.to_json())]);
    sections.insert("evidence of entry 1".into(), text);
    let inputs = Section::from([
        ("genesis".into(), hex(genesis.encoded())),
        ("size".into(), size.to_string()),
    ]);
    sections.insert("ledger".into(), inputs);
    let mut made = serde_json::to_string_pretty(&sections).unwrap();
    made.push('\n');
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/erasure.json");
    if std::env::var_os("GRAVEN_WRITE_GOLDEN").is_some() {
        std::fs::write(&path, &made).unwrap();
    }
    let golden = std::fs::read_to_string(&path).unwrap();
    for (number, (expected, found)) in (1..).zip(golden.lines().zip(made.lines())) {
        assert_eq!(expected, found, "line {number} of {}", path.display());
    }
    assert_eq!(golden, made);
}
