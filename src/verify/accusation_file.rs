//! An accusation as a file: one JSON document.
//!
//! ```json
//! {
//!   "format": "graven accusation v1",
//!   "origin": "ledger.example/main",
//!   "verifier_key": "ledger.example/main+22044f0f+AQOh…",
//!   "genesis": { "descriptor": "<base64>", "hash": "<hex>" },
//!   "checkpoint": "<signed note>",
//!   "first_entry": { "header": "<hex>", "inclusion": "<base64 of the hashes>" },
//!   "seal": { "header": "<hex>", "parts": [ … ], "inclusion": "<base64>" },
//!   "contradiction": { "list": {
//!     "segment": { "level": 0, "number": 3, "terms": 512, "root": "<hex>", "hashes": "<base64>" },
//!     "term": { "tag": 4, "value": "<base64>" },
//!     "proof": { "first_leaf": 7, "leaves": ["<base64>"], "hashes": "<base64>", "postings": [] },
//!     "entry": { "header": "<hex>", "parts": [ … ], "inclusion": "<base64>" }
//!   } }
//! }
//! ```
//!
//! Parts are those of evidence. `contradiction` has one of `list`, `form` (`segment` and `proof`), `entries` (`earlier`,
//! `before`, `entries`, `hashes`) and `seal` (nothing). Anything else is refused.

use serde::{Deserialize, Serialize};

use super::accusation::{Accusation, Contradiction, ShownEntry, ShownSegment};
use super::evidence_file::{
    GenesisInFile, PartInFile, malformed, parse_body, parse_genesis, parse_header, write_part,
};
use super::text::{base64, parse_base64};
use super::verdict::Finding;
use crate::entry::body::Body;
use crate::entry::wire::read_hashes;
use crate::entry::{Header, hex, v1};
use crate::index::{SegmentId, SegmentRecord, Term};
use crate::merkle::Hash;
use crate::note::VerifierKey;

/// What an accusation's file says it is.
pub const ACCUSATION_FORMAT: &str = "graven accusation v1";
/// The largest accusation that is read, in bytes.
pub const MAX_ACCUSATION_BYTES: usize = 32 * 1024 * 1024;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    format: String,
    origin: String,
    verifier_key: String,
    genesis: GenesisInFile,
    checkpoint: String,
    first_entry: HeaderInFile,
    seal: EntryInFile,
    contradiction: ContradictionInFile,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct HeaderInFile {
    header: String,
    inclusion: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EntryInFile {
    header: String,
    parts: Vec<PartInFile>,
    inclusion: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct BareEntryInFile {
    header: String,
    parts: Vec<PartInFile>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum ContradictionInFile {
    List {
        segment: SegmentInFile,
        term: TermInFile,
        proof: TermsInFile,
        entry: EntryInFile,
    },
    Form {
        segment: SegmentInFile,
        proof: TermsInFile,
    },
    Entries {
        earlier: Option<EntryInFile>,
        before: String,
        entries: Vec<BareEntryInFile>,
        hashes: String,
    },
    Seal {},
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SegmentInFile {
    level: u8,
    number: u64,
    terms: u64,
    root: String,
    hashes: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TermInFile {
    tag: u16,
    value: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TermsInFile {
    first_leaf: u64,
    leaves: Vec<String>,
    hashes: String,
    postings: Vec<PostingsInFile>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PostingsInFile {
    first_chunk: u64,
    chunks: Vec<String>,
    hashes: String,
}

impl Accusation {
    /// Reads a file. Nothing is judged yet.
    pub fn from_json(file: &[u8]) -> Result<Self, Finding> {
        if file.len() > MAX_ACCUSATION_BYTES {
            let expected = format!("{MAX_ACCUSATION_BYTES} bytes at most");
            return Err(malformed(expected, file.len().to_string()));
        }
        let file: File = serde_json::from_slice(file)
            .map_err(|error| malformed("an accusation", error.to_string()))?;
        if file.format != ACCUSATION_FORMAT {
            return Err(malformed(ACCUSATION_FORMAT, file.format));
        }
        let verifier_key = VerifierKey::parse(&file.verifier_key)
            .map_err(|error| malformed("a verifier key", error.to_string()))?;
        Ok(Self {
            verifier_key,
            genesis: parse_genesis(&file.genesis, &file.origin)?,
            checkpoint: file.checkpoint,
            first_entry: (
                parse_header(&file.first_entry.header)?,
                parse_hashes(&file.first_entry.inclusion)?,
            ),
            seal: parse_entry(file.seal)?,
            contradiction: parse_contradiction(file.contradiction)?,
        })
    }

    /// The file. The same accusation always gives the same bytes.
    pub fn to_json(&self) -> String {
        let (header, inclusion) = &self.first_entry;
        let file = File {
            format: ACCUSATION_FORMAT.into(),
            origin: self.genesis.origin().into(),
            verifier_key: self.verifier_key.to_string(),
            genesis: GenesisInFile {
                descriptor: base64(self.genesis.encoded()),
                hash: hex::encode(&self.genesis.hash()),
            },
            checkpoint: self.checkpoint.clone(),
            first_entry: HeaderInFile {
                header: hex::encode(&header.encode()),
                inclusion: base64(inclusion.as_flattened()),
            },
            seal: write_entry(&self.seal),
            contradiction: write_contradiction(&self.contradiction),
        };
        // Strings and numbers in structs: nothing in them can fail to be written.
        let mut json = serde_json::to_string_pretty(&file).unwrap_or_default();
        json.push('\n');
        json
    }
}

fn parse_contradiction(contradiction: ContradictionInFile) -> Result<Contradiction, Finding> {
    Ok(match contradiction {
        ContradictionInFile::List {
            segment,
            term,
            proof,
            entry,
        } => Contradiction::List {
            segment: parse_segment(&segment)?,
            term: Term {
                tag: term.tag,
                value: bytes(&term.value)?,
            },
            list: parse_terms(&proof)?,
            entry: parse_entry(entry)?,
        },
        ContradictionInFile::Form { segment, proof } => Contradiction::Form {
            segment: parse_segment(&segment)?,
            leaves: parse_terms(&proof)?,
        },
        ContradictionInFile::Entries {
            earlier,
            before,
            entries,
            hashes,
        } => {
            let bare = |entry: BareEntryInFile| {
                Ok((parse_header(&entry.header)?, parse_body(entry.parts)?))
            };
            Contradiction::Entries {
                earlier: earlier.map(parse_entry).transpose()?,
                before: parse_hashes(&before)?,
                entries: entries
                    .into_iter()
                    .map(bare)
                    .collect::<Result<_, Finding>>()?,
                hashes: parse_hashes(&hashes)?,
            }
        }
        ContradictionInFile::Seal {} => Contradiction::Seal,
    })
}

fn write_contradiction(contradiction: &Contradiction) -> ContradictionInFile {
    match contradiction {
        Contradiction::List {
            segment,
            term,
            list,
            entry,
        } => ContradictionInFile::List {
            segment: write_segment(segment),
            term: TermInFile {
                tag: term.tag,
                value: base64(&term.value),
            },
            proof: write_terms(list),
            entry: write_entry(entry),
        },
        Contradiction::Form { segment, leaves } => ContradictionInFile::Form {
            segment: write_segment(segment),
            proof: write_terms(leaves),
        },
        Contradiction::Entries {
            earlier,
            before,
            entries,
            hashes,
        } => ContradictionInFile::Entries {
            earlier: earlier.as_ref().map(write_entry),
            before: base64(before.as_flattened()),
            entries: entries.iter().map(write_bare).collect(),
            hashes: base64(hashes.as_flattened()),
        },
        Contradiction::Seal => ContradictionInFile::Seal {},
    }
}

fn parse_entry(entry: EntryInFile) -> Result<ShownEntry, Finding> {
    Ok(ShownEntry {
        header: parse_header(&entry.header)?,
        body: parse_body(entry.parts)?,
        inclusion: parse_hashes(&entry.inclusion)?,
    })
}

fn write_entry(entry: &ShownEntry) -> EntryInFile {
    EntryInFile {
        header: hex::encode(&entry.header.encode()),
        parts: entry.body.parts().iter().map(write_part).collect(),
        inclusion: base64(entry.inclusion.as_flattened()),
    }
}

fn write_bare((header, body): &(Header, Body)) -> BareEntryInFile {
    BareEntryInFile {
        header: hex::encode(&header.encode()),
        parts: body.parts().iter().map(write_part).collect(),
    }
}

fn parse_segment(segment: &SegmentInFile) -> Result<ShownSegment, Finding> {
    let root = hex::decode(&segment.root).and_then(|root| root.try_into().ok());
    Ok(ShownSegment {
        record: SegmentRecord {
            id: SegmentId {
                level: segment.level,
                number: segment.number,
            },
            terms: segment.terms,
            root: root.ok_or_else(|| malformed("a root of 32 bytes in hexadecimal", "another"))?,
        },
        hashes: parse_hashes(&segment.hashes)?,
    })
}

fn write_segment(segment: &ShownSegment) -> SegmentInFile {
    let SegmentRecord { id, terms, root } = &segment.record;
    SegmentInFile {
        level: id.level,
        number: id.number,
        terms: *terms,
        root: hex::encode(root),
        hashes: base64(segment.hashes.as_flattened()),
    }
}

fn parse_terms(proof: &TermsInFile) -> Result<v1::TermProof, Finding> {
    let all = |texts: &[String]| {
        texts
            .iter()
            .map(|text| bytes(text))
            .collect::<Result<_, _>>()
    };
    let postings = |postings: &PostingsInFile| {
        Ok(v1::PostingsProof {
            first_chunk: postings.first_chunk,
            chunks: all(&postings.chunks)?,
            hashes: bytes(&postings.hashes)?,
        })
    };
    Ok(v1::TermProof {
        first_leaf: proof.first_leaf,
        leaves: all(&proof.leaves)?,
        hashes: bytes(&proof.hashes)?,
        postings: proof
            .postings
            .iter()
            .map(postings)
            .collect::<Result<_, Finding>>()?,
    })
}

fn write_terms(proof: &v1::TermProof) -> TermsInFile {
    let all = |bytes: &[Vec<u8>]| bytes.iter().map(|bytes| base64(bytes)).collect();
    let postings = |postings: &v1::PostingsProof| PostingsInFile {
        first_chunk: postings.first_chunk,
        chunks: all(&postings.chunks),
        hashes: base64(&postings.hashes),
    };
    TermsInFile {
        first_leaf: proof.first_leaf,
        leaves: all(&proof.leaves),
        hashes: base64(&proof.hashes),
        postings: proof.postings.iter().map(postings).collect(),
    }
}

fn bytes(text: &str) -> Result<Vec<u8>, Finding> {
    parse_base64(text).ok_or_else(|| malformed("base64", "something that is not"))
}

fn parse_hashes(text: &str) -> Result<Vec<Hash>, Finding> {
    read_hashes(&bytes(text)?).map_err(|error| malformed("hashes of 32 bytes", error.to_string()))
}
