//! Every public decoder of foreign bytes, on mutations of real ones: none panics, none takes what it could not give back,
//! and what it gives back is what it took. `GRAVEN_FUZZ` sets the mutations of each.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use graven::entry::genesis::Genesis;
use graven::entry::ssh_signature::{PublicKey, SshSignature};
use graven::entry::{CheckedEvent, Header, Tag, body, hex, json, names, v1, wire};
use graven::index::filter::Filter;
use graven::index::{GroupBy, SegmentId, SegmentRecord};
use graven::inquiry::Start;
use graven::ledger::EncryptedKey;
use graven::merkle::Tile;
use graven::note::{
    Checkpoint, CosignerKey, Note, Policy, Rotation, Signature, SignerKey, TlogProof, VerifierKey,
    check_name,
};
use graven::service::access;
use graven::service::jwt::{Jwt, KeySet};
use graven::service::redaction::Rules;
use graven::verify::{Accusation, Case, Evidence};
use prost::Message;

use crate::service_support::{event, key};

/// Mutations of each decoder in the suite.
const MUTATIONS: u64 = 3_000;

/// A decoder of foreign bytes.
struct Decoder {
    /// The file that it is in.
    source: &'static str,
    name: &'static str,
    corpus: Vec<Vec<u8>>,
    /// Takes bytes that may be anything, and checks what it gives for them.
    take: fn(&[u8]),
}

/// Public functions that read bytes and are not in the table, with the reason.
const ELSEWHERE: &[(&str, &str)] = &[
    (
        "src/entry/json/read.rs",
        "read and read_row: in the table as src/entry/json",
    ),
    (
        "src/entry/ssh_key.rs",
        "PublicKey: in the table as src/entry/ssh_signature.rs",
    ),
    (
        "src/verify/case_file.rs",
        "file_format: takes what Case::from_json takes",
    ),
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn file(path: &str) -> Vec<u8> {
    std::fs::read(root().join(path)).unwrap()
}

/// All texts that stand in a file of vectors, those in hex decoded.
fn vectors() -> BTreeMap<String, Vec<u8>> {
    let golden: BTreeMap<String, BTreeMap<String, String>> =
        serde_json::from_slice(&file("tests/vectors/golden.json")).unwrap();
    let mut all = BTreeMap::new();
    for (section, fields) in golden {
        for (name, text) in fields {
            let bytes = hex::decode(&text).unwrap_or_else(|| text.into_bytes());
            all.insert(format!("{section}/{name}"), bytes);
        }
    }
    all
}

fn named(vectors: &BTreeMap<String, Vec<u8>>, part: &str) -> Vec<Vec<u8>> {
    let found = vectors.iter().filter(|(name, _)| name.contains(part));
    let found: Vec<_> = found.map(|(_, bytes)| bytes.clone()).collect();
    assert!(!found.is_empty(), "no vectors of {part}");
    found
}

fn texts(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

fn text(bytes: &[u8], take: impl FnOnce(&str)) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        take(text);
    }
}

fn decoders() -> Vec<Decoder> {
    let golden = vectors();
    let data = |name: &str| file(&format!("tests/data/v1/{name}"));
    let note = data("checkpoint");
    let verifier = key().verifier().to_string();
    let lines = |path| {
        let lines = String::from_utf8(file(path)).unwrap();
        lines
            .lines()
            .map(|line| line.as_bytes().to_vec())
            .collect::<Vec<_>>()
    };
    let jwt: serde_json::Value = serde_json::from_slice(&file("tests/vectors/jwt.json")).unwrap();
    let proof = format!(
        "c2sp.org/tlog-proof@v1\nindex 2\n{}\n\n{}",
        "TrZGchT3a3NQs/iaxFCUB+3b6mF/9KgpjOS8QQFmUvc=",
        String::from_utf8(note.clone()).unwrap()
    );
    let decoder = |source, name, corpus, take| Decoder {
        source,
        name,
        corpus,
        take,
    };
    vec![
        decoder(
            "src/entry/event.rs",
            "event",
            vec![event(1).encode_to_vec(), event(77).encode_to_vec()],
            |bytes| {
                if CheckedEvent::check(&Bytes::copy_from_slice(bytes)).is_ok() {
                    let again = v1::Event::decode(bytes).unwrap();
                    assert_eq!(&json::encode(&again)[..], bytes);
                }
            },
        ),
        decoder(
            "src/entry/body.rs",
            "part",
            named(&golden, " encoded"),
            |bytes| {
                for tag in Tag::ALL {
                    let _ = body::check_part(tag, bytes);
                }
            },
        ),
        decoder(
            "src/entry/header.rs",
            "header",
            named(&golden, "/header"),
            |bytes| {
                if let Ok(header) = Header::decode(bytes) {
                    assert_eq!(header.encode(), bytes);
                }
            },
        ),
        decoder(
            "src/entry/genesis.rs",
            "genesis",
            named(&golden, "genesis"),
            |bytes| {
                if let Ok(genesis) = Genesis::decode(bytes) {
                    assert_eq!(genesis.encoded(), bytes);
                    assert_eq!(genesis.descriptor().encode_to_vec(), bytes);
                }
            },
        ),
        decoder(
            "src/entry/hex.rs",
            "hex",
            texts(&["00ff7a", "ABCDEF09"]),
            |bytes| {
                text(bytes, |text| {
                    if let Some(decoded) = hex::decode(text) {
                        assert_eq!(hex::encode(&decoded), text.to_ascii_lowercase());
                    }
                });
            },
        ),
        decoder(
            "src/entry/json",
            "JSON event",
            lines("tests/data/twelve_events.jsonl"),
            |bytes| {
                text(bytes, |text| {
                    let _ = json::read_row(text);
                    if let Ok(event) = json::read(text) {
                        let _ = CheckedEvent::check(&json::encode(&event));
                    }
                });
            },
        ),
        decoder(
            "src/entry/names.rs",
            "names",
            texts(&[
                "file.update",
                "oidc:corp/alice",
                "fs://nfs1/a%20b",
                "sha256:00",
                "git:c0ffee",
            ]),
            |bytes| {
                text(bytes, |text| {
                    let _ = names::check_action(text);
                    let _ = names::check_identity(text);
                    let _ = names::check_target(text);
                    let _ = names::check_version_id(text);
                });
            },
        ),
        decoder(
            "src/entry/ssh_signature.rs",
            "SSH signature and key",
            [
                lines("tests/data/ssh/id_ed25519.pub"),
                lines("tests/data/ssh/security_key.pub"),
                lines("tests/data/ssh/id_ecdsa.pub"),
                lines("tests/data/ssh/id_rsa.pub"),
                unarmoured("tests/data/ssh/ecdsa384.sig"),
                unarmoured("tests/data/ssh/rsa.sig"),
                unarmoured("tests/data/ssh/sha512.sig"),
                unarmoured("tests/data/ssh/security_key.sig"),
            ]
            .concat(),
            |bytes| {
                if let Ok(signature) = SshSignature::decode(bytes) {
                    let key = signature.key.encode();
                    assert_eq!(PublicKey::decode(&key), Ok(signature.key.clone()));
                    let _ = signature.verify(b"message");
                }
                if let Ok(key) = PublicKey::decode(bytes) {
                    assert_eq!(key.encode(), bytes);
                }
                text(bytes, |text| drop(PublicKey::from_line(text)));
            },
        ),
        decoder(
            "src/entry/wire.rs",
            "receipt and entry",
            named(&golden, "receipt"),
            |bytes| {
                let _ = v1::Receipt::decode(bytes);
                let _ = wire::read_hashes(bytes);
                let _ = wire::read_hash(bytes);
                if let Ok(entry) = v1::Entry::decode(bytes) {
                    let _ = wire::read_entry(&entry);
                }
            },
        ),
        decoder("src/note/signed.rs", "note", vec![note.clone()], |bytes| {
            if let Ok(note) = Note::parse(bytes) {
                assert_eq!(note.to_string().as_bytes(), bytes);
            }
        }),
        decoder(
            "src/note/checkpoint.rs",
            "checkpoint",
            vec![
                note.clone(),
                b"a.example/l\n7\nTrZGchT3a3NQs/iaxFCUB+3b6mF/9KgpjOS8QQFmUvc=\n".to_vec(),
            ],
            |bytes| {
                text(bytes, |text| {
                    if let Ok(checkpoint) = Checkpoint::parse(text) {
                        assert_eq!(checkpoint.to_string(), text);
                    }
                });
            },
        ),
        decoder(
            "src/note/signature.rs",
            "signature",
            vec![note.clone()],
            |bytes| {
                text(bytes, |text| {
                    for line in text.lines() {
                        if let Some(signature) = Signature::parse_line(line) {
                            assert_eq!(signature.to_string().trim_end(), line);
                        }
                    }
                });
            },
        ),
        decoder(
            "src/note/key.rs",
            "keys",
            texts(&[&verifier, &key().encode()]),
            |bytes| {
                text(bytes, |text| {
                    if let Ok(key) = VerifierKey::parse(text) {
                        assert_eq!(key.to_string(), text);
                    }
                    if let Ok(key) = SignerKey::parse(text) {
                        assert_eq!(key.encode().as_str(), text);
                    }
                });
            },
        ),
        decoder(
            "src/note/cosignature.rs",
            "cosigner key",
            texts(&[&key().encode()]),
            |bytes| {
                text(bytes, |text| drop(CosignerKey::parse(text)));
            },
        ),
        decoder(
            "src/note/name.rs",
            "key name",
            texts(&["ledger.example/main"]),
            |bytes| {
                text(bytes, |text| {
                    let _ = check_name(text);
                });
            },
        ),
        decoder(
            "src/note/policy_file.rs",
            "witness policy",
            texts(&[&format!(
                "log {verifier} https://a.example/\nwitness W {verifier}\ngroup G any W\nquorum G\n"
            )]),
            |bytes| {
                let _ = Policy::parse(bytes);
            },
        ),
        decoder(
            "src/note/proof.rs",
            "tlog-proof",
            vec![proof.into_bytes()],
            |bytes| {
                if let Ok(proof) = TlogProof::parse(bytes) {
                    assert_eq!(TlogProof::parse(proof.to_string()).unwrap(), proof);
                }
            },
        ),
        decoder(
            "src/note/rotation.rs",
            "rotation",
            named(&golden, "rotation"),
            |bytes| {
                let _ = Rotation::open(bytes, "ledger.example/main", &key().verifier());
            },
        ),
        decoder(
            "src/index/record.rs",
            "segment record",
            vec![
                SegmentRecord {
                    id: SegmentId {
                        level: 1,
                        number: 2,
                    },
                    terms: 3,
                    root: [7; 32],
                }
                .encode()
                .to_vec(),
            ],
            |bytes| {
                if let Some(record) = SegmentRecord::decode(bytes) {
                    assert_eq!(record.encode(), bytes);
                }
            },
        ),
        decoder(
            "src/index/filter/mod.rs",
            "filter",
            texts(&[
                "actor = \"oidc:corp/alice\" AND (action = \"file.*\" OR NOT target = \"fs://n/*\")",
                "occurred_at >= 2026-01-01T00:00:00Z AND seq < 100 AND ticket != \"\"",
                "((((source = \"test\"))))",
            ]),
            |bytes| {
                text(bytes, |text| {
                    if let Ok(filter) = Filter::parse(text) {
                        assert_eq!(
                            Filter::parse(&filter.to_string()).unwrap().to_string(),
                            filter.to_string()
                        );
                    }
                });
            },
        ),
        decoder(
            "src/index/count.rs",
            "group",
            texts(&["actor", "target", "recorded_at/day"]),
            |bytes| {
                text(bytes, |text| drop(GroupBy::parse(text)));
            },
        ),
        decoder(
            "src/inquiry/lineage/mod.rs",
            "start of a lineage",
            texts(&["run:1", "target:fs://n/x", "digest:sha256:00"]),
            |bytes| {
                text(bytes, |text| drop(Start::parse(text)));
            },
        ),
        decoder(
            "src/merkle/tile.rs",
            "tile",
            texts(&[
                "tile/0/x001/234",
                "tile/1/000.p/17",
                "tile/63/x999/x999/999",
            ]),
            |bytes| {
                text(bytes, |text| {
                    if let Ok(tile) = Tile::parse(text) {
                        assert_eq!(tile.to_string(), text);
                    }
                });
            },
        ),
        decoder(
            "src/verify/evidence_file.rs",
            "evidence",
            vec![data("evidence.json")],
            |bytes| {
                if let Ok(evidence) = Evidence::from_json(bytes) {
                    let again = evidence.to_json();
                    assert_eq!(
                        Evidence::from_json(again.as_bytes()).unwrap().to_json(),
                        again
                    );
                }
            },
        ),
        decoder(
            "src/verify/case_file.rs",
            "case",
            vec![data("case.json"), data("case-withheld.json")],
            |bytes| {
                if let Ok(case) = Case::from_json(bytes) {
                    let again = case.to_json();
                    assert_eq!(Case::from_json(again.as_bytes()).unwrap().to_json(), again);
                }
            },
        ),
        decoder(
            "src/verify/accusation_file.rs",
            "accusation",
            vec![
                data("accusation-form.json"),
                data("accusation-list.json"),
                data("accusation-seal.json"),
            ],
            |bytes| {
                if let Ok(accusation) = Accusation::from_json(bytes) {
                    let again = accusation.to_json();
                    assert_eq!(
                        Accusation::from_json(again.as_bytes()).unwrap().to_json(),
                        again
                    );
                }
            },
        ),
        decoder(
            "src/ledger/encrypted_key.rs",
            "encrypted signing key",
            vec![file("tests/vectors/encrypted.key")],
            |bytes| {
                text(bytes, |text| {
                    // It is not opened: that costs what the file says.
                    if let Ok(key) = EncryptedKey::parse(text) {
                        assert_eq!(key.encode(), text);
                    }
                });
            },
        ),
        decoder("src/service/jwt/mod.rs", "token", strings(&jwt), |bytes| {
            text(bytes, |text| {
                let _ = Jwt::parse(text).map(|token| token.issuer().map(str::len));
            });
        }),
        decoder(
            "src/service/jwt/keys.rs",
            "key set",
            vec![jwt["jwks"].to_string().into_bytes()],
            |bytes| {
                let _ = KeySet::parse(bytes);
            },
        ),
        decoder(
            "src/service/redaction/mod.rs",
            "rules of redaction",
            vec![include_bytes!("../../src/service/redaction/shipped.toml").to_vec()],
            |bytes| {
                if let Ok(text) = std::str::from_utf8(bytes) {
                    let _ = Rules::parse(text);
                }
            },
        ),
        decoder(
            "src/service/access/policy.rs",
            "access policy",
            texts(&[
                "[[grant]]\nidentity = \"oidc:corp/alice\"\nrole = \"writer\"\nsources = [\"a*\", \"b\"]\n",
            ]),
            |bytes| {
                text(bytes, |text| drop(access::Policy::parse(text)));
            },
        ),
    ]
}

/// The bytes in the armour of a file with an SSH signature.
fn unarmoured(path: &str) -> Vec<Vec<u8>> {
    let text = String::from_utf8(file(path)).unwrap();
    let encoded: String = text.lines().filter(|line| !line.contains("--")).collect();
    vec![STANDARD.decode(encoded).unwrap()]
}

/// The strings in a value that are as long as a token.
fn strings(value: &serde_json::Value) -> Vec<Vec<u8>> {
    match value {
        serde_json::Value::String(text) if text.matches('.').count() == 2 => {
            vec![text.clone().into_bytes()]
        }
        serde_json::Value::Array(values) => values.iter().flat_map(strings).collect(),
        serde_json::Value::Object(values) => values.values().flat_map(strings).collect(),
        _ => Vec::new(),
    }
}

/// xorshift64*: the same mutations everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let number = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16;
        (number % bound.max(1) as u64) as usize
    }
}

/// Texts and bytes that decoders stumble over.
const HARD: &[&[u8]] = &[
    &[0xff; 10],
    &[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01],
    &[0xff, 0xff, 0xff, 0xff, 0x0f],
    &[0x0a, 0x00],
    &[0x0b, 0x0c],
    &[0; 8],
    b"18446744073709551616",
    b"-1",
    b"00",
    b"\n\n",
    b"\r\n",
    b"(((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((",
    b"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
    b"\\u0000",
    b"\\ud800",
    "\u{202e}".as_bytes(),
    b"1e400",
    b"NOT ",
    b"=",
    b"\xe2\x80\x94 ",
];

fn mutate(corpus: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut bytes = corpus[random.below(corpus.len())].clone();
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len() + 1);
        match random.below(9) {
            0 if !bytes.is_empty() => {
                let at = at.min(bytes.len() - 1);
                bytes[at] ^= 1 << random.below(8);
            }
            1 => bytes.truncate(at),
            2 => drop(bytes.drain(..at)),
            3 => {
                let end = (at + random.below(20)).min(bytes.len());
                bytes.drain(at..end);
            }
            4 => {
                let other = &corpus[random.below(corpus.len())];
                let begin = random.below(other.len() + 1);
                let end = (begin + random.below(64)).min(other.len());
                bytes.splice(at..at, other[begin..end].iter().copied());
            }
            5 => {
                let hard = HARD[random.below(HARD.len())];
                bytes.splice(at..at, hard.iter().copied());
            }
            6 => {
                // What stands there, again and again.
                let end = (at + random.below(16)).min(bytes.len());
                let again = bytes[at..end].repeat(random.below(40));
                bytes.splice(at..at, again);
            }
            7 if !bytes.is_empty() => {
                let at = at.min(bytes.len() - 1);
                bytes[at] = [0, 1, 0x7f, 0x80, 0xff, b'"', b'\n', b'9'][random.below(8)];
            }
            _ => bytes.push(random.below(256) as u8),
        }
    }
    bytes
}

#[test]
fn decoders_take_anything() {
    let mutations = std::env::var("GRAVEN_FUZZ").map_or(MUTATIONS, |count| count.parse().unwrap());
    for decoder in decoders() {
        let mut random = Random(0x9e37_79b9_7f4a_7c15 ^ decoder.name.len() as u64);
        for bytes in &decoder.corpus {
            (decoder.take)(bytes);
        }
        // A case is long: what costs a thousand times as much is done less often.
        let size = decoder.corpus.iter().map(Vec::len).max().unwrap_or(0) as u64;
        for _ in 0..mutations / (1 + size / 16_384) {
            let bytes = mutate(&decoder.corpus, &mut random);
            let took = std::panic::catch_unwind(|| (decoder.take)(&bytes));
            assert!(
                took.is_ok(),
                "{} ({}) fails on {}",
                decoder.name,
                decoder.source,
                hex::encode(&bytes)
            );
        }
    }
}

/// Public functions of a source that read foreign bytes or text.
fn readers(source: &str) -> Vec<&str> {
    let names = [
        "decode",
        "parse",
        "from_json",
        "from_bytes",
        "read",
        "check_part",
        "file_format",
    ];
    let lines = source.lines().map(str::trim_start);
    let functions = lines.filter_map(|line| {
        let name = line.strip_prefix("pub fn ")?;
        let (name, rest) = name.split_once('(')?;
        let takes = ["&[u8]", "&str", "AsRef<[u8]>", "&'a str", "&Bytes"];
        let reads = names.iter().any(|begin| {
            let rest = name.strip_prefix(begin);
            rest.is_some_and(|rest| {
                rest.is_empty() || rest.starts_with('_') || rest.starts_with('<')
            })
        });
        (reads && takes.iter().any(|taken| rest.contains(taken))).then_some(name)
    });
    functions.collect()
}

fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn every_public_decoder_is_in_the_table() {
    assert_eq!(
        readers("    pub fn decode(bytes: &[u8]) -> Self {"),
        ["decode"]
    );
    assert_eq!(
        readers("pub fn parse_line(line: &str) -> Self {"),
        ["parse_line"]
    );
    assert!(readers("pub(crate) fn decode(bytes: &[u8])").is_empty());
    let mut paths = Vec::new();
    sources(&root().join("src"), &mut paths);
    let known = decoders();
    for path in paths {
        let source = std::fs::read_to_string(&path).unwrap();
        let found = readers(&source);
        let path = path.strip_prefix(root()).unwrap().to_str().unwrap();
        let is_known = known.iter().any(|decoder| decoder.source == path)
            || ELSEWHERE.iter().any(|(elsewhere, _)| *elsewhere == path);
        assert!(found.is_empty() || is_known, "{path}: {found:?}");
    }
}
