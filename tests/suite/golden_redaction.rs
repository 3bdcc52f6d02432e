//! What redaction seals, byte for byte: `tests/vectors/redaction.json`.
//!
//! `tests/vectors/redaction.py` makes the same file with other software, from the seeds that stand in it. To change a format
//! on purpose: `GRAVEN_WRITE_GOLDEN=1 cargo test golden_` writes what this crate makes.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use graven::entry::{Seed, Tag, v1};
use graven::ledger::Ledger;
use graven::service::RedactionFile;
use graven::store::MemoryDisk;
use prost::Message;

use super::ledger_support::{Operator, append, receipt, wait};
use super::verify_support::{checked, event_message};

type Section = BTreeMap<String, String>;

const RULES: &str = "shipped = false\n\n[[rule]]\nname = \"corp\"\nvalues = ['corp_[0-9]{4}']\n\n\
                     [[rule]]\nname = \"key\"\nfields = [\"why\"]\nnames = [\"*api?key\"]\n";

fn hex(bytes: impl AsRef<[u8]>) -> String {
    bytes.as_ref().iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

/// An event with something to put out of every part that is ever changed.
fn with_secrets() -> v1::Event {
    let label = |key: &str, value: &str| v1::Label {
        key: key.into(),
        value: value.into(),
    };
    v1::Event {
        why: Some(v1::Why {
            reason: "as corp_1234 asked, and corp_5678".into(),
            ticket: "OPS-7".into(),
            labels: vec![label("api_key", "a"), label("note", "corp_9999")],
            ..Default::default()
        }),
        detail: Some(v1::Detail {
            content: br#"{"n":1,"token":"corp_0000"}"#.to_vec(),
            media_type: "application/json".into(),
            original: b"\xff corp_0001".to_vec(),
            original_media_type: "application/octet-stream".into(),
            original_digest: format!("sha256:{}", "0a".repeat(32)),
            ..Default::default()
        }),
        ..event_message(1)
    }
}

/// The rules as an act of the ledger, and an event to which they were applied, with its receipt.
fn golden() -> (Ledger, v1::Receipt) {
    let (operator, disk) = (Operator::default(), MemoryDisk::new());
    operator.init(&disk).unwrap();
    let ledger = Arc::new(operator.open(&disk).unwrap());
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("rules.toml");
    fs::write(&path, RULES).unwrap();
    let file = RedactionFile::open(Some(&path)).unwrap();
    wait(file.seal_at_start(&ledger)).unwrap();
    let rules = file.subscribe().borrow().clone();
    let event = rules.apply(checked(&with_secrets())).unwrap();
    let appended = append(&ledger, &[event]).unwrap();
    let changed = appended.redacted.iter();
    let redacted = changed.map(|(index, tag, encoded)| v1::RedactedPart {
        index: *index,
        tag: tag.number().into(),
        encoded: encoded.to_vec(),
    });
    let receipt = v1::Receipt {
        redacted: redacted.collect(),
        ..receipt(&ledger, &appended)
    };
    (Arc::into_inner(ledger).unwrap(), receipt)
}

#[test]
fn golden_bytes_of_redactions_have_not_changed() {
    let (ledger, receipt) = golden();
    let mut sections = BTreeMap::new();
    for (seq, name) in [(0, "change of the rules"), (1, "redacted event")] {
        let entry = ledger.entry(seq).unwrap();
        let (_, _, Seed(seed)) = ledger.receipt_material(seq).unwrap();
        let mut section = Section::from([
            ("seed".to_owned(), hex(seed)),
            ("header".to_owned(), hex(entry.header.encode())),
        ]);
        for tag in Tag::ALL {
            if let Some(part) = entry.body.disclosed(tag) {
                section.insert(tag.name().into(), hex(part));
            }
        }
        sections.insert(name.to_owned(), section);
    }
    let encoded = Section::from([("encoded".into(), hex(receipt.encode_to_vec()))]);
    sections.insert("receipt of the redacted event".into(), encoded);
    let genesis = hex(ledger.genesis().encoded());
    sections.insert(
        "ledger".into(),
        Section::from([("genesis".into(), genesis)]),
    );
    let mut made = serde_json::to_string_pretty(&sections).unwrap();
    made.push('\n');
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/redaction.json");
    if std::env::var_os("GRAVEN_WRITE_GOLDEN").is_some() {
        fs::write(&path, &made).unwrap();
    }
    let golden = fs::read_to_string(&path).unwrap();
    for (number, (expected, found)) in (1..).zip(golden.lines().zip(made.lines())) {
        assert_eq!(expected, found, "line {number} of {}", path.display());
    }
    assert_eq!(golden, made);
}
