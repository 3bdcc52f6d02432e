//! `docs/format.md` says what the code does: its diagrams are those of the modules, its vectors those that are tested.
//!
//! `GRAVEN_WRITE_GOLDEN=1 cargo test format_doc` writes the vectors into the document.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::PathBuf;

/// Files whose first block in a documentation comment stands in the document as it is.
const DIAGRAMS: [&str; 15] = [
    "src/entry/header.rs",
    "src/entry/parts.rs",
    "src/entry/signature.rs",
    "src/entry/ssh_signature.rs",
    "src/index/leaf.rs",
    "src/index/postings.rs",
    "src/index/record.rs",
    "src/index/segment.rs",
    "src/ledger/anchor.rs",
    "src/ledger/encrypted_key.rs",
    "src/ledger/head.rs",
    "src/ledger/pack.rs",
    "src/note/rotation.rs",
    "src/verify/case_file.rs",
    "src/verify/evidence_file.rs",
];
const VECTORS: &str = "## Test vectors";
/// Characters of a value on one line.
const WIDTH: usize = 96;

type Vectors = BTreeMap<String, BTreeMap<String, String>>;

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn read(name: &str) -> String {
    fs::read_to_string(path(name)).unwrap()
}

/// The first fenced block in the documentation comments of `source`, fences included.
fn diagram(source: &str) -> String {
    let comments = source.lines().filter_map(|line| {
        let line = line.trim_start();
        let text = line.strip_prefix("//!").or(line.strip_prefix("///"))?;
        Some(text.strip_prefix(' ').unwrap_or(text))
    });
    let mut block = String::new();
    for line in comments.skip_while(|line| !line.starts_with("```")) {
        block.push_str(line);
        block.push('\n');
        if line == "```" {
            break;
        }
    }
    block
}

fn value(text: &mut String, name: &str, value: &str) {
    writeln!(text, "{name}").unwrap();
    let characters: Vec<char> = value.chars().collect();
    for line in characters.chunks(WIDTH) {
        writeln!(text, "  {}", line.iter().collect::<String>()).unwrap();
    }
}

fn header_fields(text: &mut String, header: &str) {
    let fields = [
        ("version", 1),
        ("kind", 1),
        ("flags", 1),
        ("seq", 8),
        ("recorded_at", 8),
        ("body_hash", 32),
        ("prev", 32),
    ];
    writeln!(text, "header").unwrap();
    let mut at = 0;
    for (name, bytes) in fields {
        writeln!(text, "  {name:11}  {}", &header[2 * at..2 * (at + bytes)]).unwrap();
        at += bytes;
    }
    assert_eq!(header.len(), 2 * at);
}

/// The section of the document that shows the vectors.
fn vectors(golden: &Vectors) -> String {
    let mut text = String::new();
    let genesis = &golden["genesis"];
    writeln!(text, "### Genesis\n\n```text").unwrap();
    value(&mut text, "encoded", &genesis["encoded"]);
    value(&mut text, "genesis hash", &genesis["hash"]);
    let entry = &golden["entry 0"];
    writeln!(text, "```\n\n### Entry 0\n\n```text").unwrap();
    value(&mut text, "seed", &entry["seed"]);
    for part in ["envelope", "what", "context"] {
        for of in ["encoded", "salt", "commitment"] {
            let name = format!("{part} {of}");
            value(&mut text, &name, &entry[&name]);
        }
    }
    header_fields(&mut text, &entry["header"]);
    value(&mut text, "chain hash", &entry["chain_hash"]);
    value(&mut text, "leaf hash", &entry["leaf_hash"]);
    writeln!(text, "```\n\n### Actor's signature, of entry 2\n\n```text").unwrap();
    for name in ["actor signature message", "actor signature"] {
        value(&mut text, name, &golden["entry 2"][name]);
    }
    for name in ["checkpoint of 7 entries", "key rotation statement"] {
        let title = format!("{}{}", name[..1].to_uppercase(), &name[1..]);
        write!(
            text,
            "```\n\n### {title}\n\n```text\n{}",
            golden[name]["text"]
        )
        .unwrap();
    }
    writeln!(text, "```\n\n### Receipt of entries 1 to 3\n\n```text").unwrap();
    value(
        &mut text,
        "encoded",
        &golden["receipt of entries 1 to 3"]["encoded"],
    );
    writeln!(text, "```").unwrap();
    text
}

#[test]
fn format_doc_shows_the_diagrams_of_the_code() {
    let document = read("docs/format.md");
    for name in DIAGRAMS {
        let diagram = diagram(&read(name));
        assert!(diagram.lines().count() > 2, "{name} has no diagram");
        assert!(
            document.contains(&diagram),
            "docs/format.md does not show this, from {name}:\n{diagram}"
        );
    }
}

#[test]
fn format_doc_shows_the_tested_vectors() {
    let golden: Vectors = serde_json::from_str(&read("tests/vectors/golden.json")).unwrap();
    let document = read("docs/format.md");
    let (before, after) = document.split_once(VECTORS).unwrap();
    let (introduction, shown) = after.split_once("### ").unwrap();
    let expected = vectors(&golden);
    if std::env::var_os("GRAVEN_WRITE_GOLDEN").is_some() {
        let written = format!("{before}{VECTORS}{introduction}{expected}");
        fs::write(path("docs/format.md"), written).unwrap();
        return;
    }
    assert!(
        format!("### {shown}") == expected,
        "the vectors in docs/format.md differ from tests/vectors/golden.json, which gives:\n{expected}"
    );
}

#[test]
fn the_json_form_of_an_event_is_documented_as_the_code_has_it() {
    let source = read("src/entry/json/mod.rs");
    let comments = source.lines().map_while(|line| line.strip_prefix("//!"));
    let mut expected = String::from("# Events in JSON\n\n");
    for line in comments {
        let line = line.strip_prefix(' ').unwrap_or(line);
        // The document has a heading of its own above these.
        let deeper = if line.starts_with("# ") { "#" } else { "" };
        writeln!(expected, "{deeper}{line}").unwrap();
    }
    let document = path("docs/events.md");
    if std::env::var_os("GRAVEN_WRITE_GOLDEN").is_some() {
        fs::write(&document, &expected).unwrap();
    }
    assert!(
        fs::read_to_string(&document).unwrap() == expected,
        "docs/events.md differs: GRAVEN_WRITE_GOLDEN=1 cargo test --release format_doc writes it"
    );
}
