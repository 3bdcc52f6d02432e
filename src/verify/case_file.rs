//! Cases as files: one JSON document, in ASCII.
//!
//! ```json
//! {
//!   "format": "graven case v1",
//!   "made": { "tool": "graven 0.1.0", "command": ["graven", "export", "…"], "at": "2026-03-01T14:02:11Z" },
//!   "origin": "ledger.example/main",
//!   "verifier_key": "ledger.example/main+22044f0f+AQOh…",
//!   "genesis": { "descriptor": "<base64>", "hash": "<hex>", "first_header": "<hex, 83 bytes>", "inclusion": "<base64>" },
//!   "extends": { "size": 4000, "root": "<hex>", "consistency": "<base64>" },
//!   "question": { "asked": "…", "filter": "…", "start": 0, "end": null, "size": 4100, "order": "ascending" },
//!   "answer": {
//!     "start": 0, "end": 4100, "matches": 2, "unknown": "17,20-22",
//!     "seals": [{ "seq": 4099, "covered": 4096 }], "checked_one_by_one": 4
//!   },
//!   "pages": [{ "page": "<base64 of SearchResponse>", "entries": [{ "seq": 3, … }, { "seq": 9, … }] }],
//!   "coverage": {
//!     "pages": ["<base64 of CountResponse>"],
//!     "sources": [{ "source": "slurm:a100", "entries": 4100, "first": 0, "last": 4099 }], "none": 0
//!   },
//!   "discloses": {
//!     "withheld": [{ "part": "who", "entries": "3,9,17" }],
//!     "parts": [{ "part": "what", "entries": "3,9,17" }],
//!     "headers": "0,3,9,17,4099",
//!     "terms": ["action = file.update", "…"]
//!   }
//! }
//! ```
//!
//! Anything else is refused: another format, a field that is not listed, one that stands twice, a second spelling.

use std::ops::Range;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::case::{Case, Extends, Made};
use super::case_answer::{Answered, CaseAnswer, CasePage};
use super::case_coverage::{CaseCoverage, Heard, HeardSource};
use super::case_text::{ascii, parse_ranges, ranges_text};
use super::disclosure::Disclosure;
use super::evidence_file::{GenesisInFile, malformed, parse_genesis, parse_header, present};
use super::text::{base64, parse_base64};
use super::verdict::Finding;
use crate::entry::wire::{read_hash, read_hashes};
use crate::entry::{Tag, hex};
use crate::index::Ranges;
use crate::note::VerifierKey;

const FORMAT: &str = "graven case v1";
/// The largest case file that is read, in bytes.
pub const MAX_CASE_BYTES: usize = 256 * 1024 * 1024;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    format: String,
    made: MadeInFile,
    origin: String,
    verifier_key: String,
    genesis: BoundGenesis,
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "present"
    )]
    extends: Option<ExtendsInFile>,
    question: QuestionInFile,
    answer: AnswerInFile,
    pages: Vec<PageInFile>,
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "present"
    )]
    coverage: Option<CoverageInFile>,
    discloses: DisclosureInFile,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CoverageInFile {
    pages: Vec<String>,
    sources: Vec<SourceInFile>,
    none: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SourceInFile {
    source: String,
    entries: u64,
    first: u64,
    last: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct MadeInFile {
    tool: String,
    command: Vec<String>,
    at: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct BoundGenesis {
    descriptor: String,
    hash: String,
    first_header: String,
    inclusion: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ExtendsInFile {
    size: u64,
    root: String,
    consistency: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct QuestionInFile {
    asked: String,
    filter: String,
    start: u64,
    /// Null for the end of the tree.
    #[serde(deserialize_with = "Option::deserialize")]
    end: Option<u64>,
    size: u64,
    order: Order,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Order {
    Ascending,
    Descending,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct AnswerInFile {
    start: u64,
    end: u64,
    matches: u64,
    unknown: String,
    seals: Vec<SealInFile>,
    checked_one_by_one: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SealInFile {
    seq: u64,
    covered: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PageInFile {
    page: String,
    entries: Vec<Box<RawValue>>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct DisclosureInFile {
    withheld: Vec<PartInFile>,
    parts: Vec<PartInFile>,
    headers: String,
    terms: Vec<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PartInFile {
    part: String,
    entries: String,
}

/// The format that a JSON document says it has; none if it is not one or does not say.
pub fn file_format(json: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Format {
        format: String,
    }
    serde_json::from_slice(json)
        .ok()
        .map(|file: Format| file.format)
}

impl Case {
    /// What the format field of a case says.
    pub const FORMAT: &'static str = FORMAT;

    /// Reads a file. Nothing is verified yet.
    pub fn from_json(file: &[u8]) -> Result<Self, Finding> {
        if file.len() > MAX_CASE_BYTES {
            let expected = format!("{MAX_CASE_BYTES} bytes at most");
            return Err(malformed(expected, file.len().to_string()));
        }
        if !file.is_ascii() {
            return Err(malformed("a case file in ASCII", "other characters"));
        }
        let file: File = serde_json::from_slice(file)
            .map_err(|error| malformed("a case file", error.to_string()))?;
        if file.format != FORMAT {
            return Err(malformed(FORMAT, file.format));
        }
        let verifier_key = VerifierKey::parse(&file.verifier_key)
            .map_err(|error| malformed("a verifier key", error.to_string()))?;
        let inclusion = bytes(&file.genesis.inclusion, "the inclusion of entry 0")?;
        let genesis = GenesisInFile {
            descriptor: file.genesis.descriptor,
            hash: file.genesis.hash,
        };
        let answered = read_answered(&file.answer, file.question.size)?;
        let pages = file.pages.iter().map(read_page);
        let answer = CaseAnswer {
            asked: file.question.asked,
            filter: file.question.filter,
            range: read_range(file.question.start, file.question.end)?,
            size: file.question.size,
            descending: file.question.order == Order::Descending,
            answered,
            pages: pages.collect::<Result<_, _>>()?,
        };
        Ok(Self {
            made: Made {
                tool: file.made.tool,
                command: file.made.command,
                at: file.made.at,
            },
            verifier_key,
            genesis: parse_genesis(&genesis, &file.origin)?,
            first_header: parse_header(&file.genesis.first_header)?,
            first_inclusion: read_hashes(&inclusion)?,
            extends: file.extends.as_ref().map(read_extends).transpose()?,
            answer,
            coverage: file.coverage.map(read_coverage).transpose()?,
            discloses: read_disclosure(file.discloses)?,
        })
    }

    /// The file. The same case always gives the same bytes.
    pub fn to_json(&self) -> String {
        let answer = &self.answer;
        let answered = &answer.answered;
        let seals = answered.seals.iter();
        let file = File {
            format: FORMAT.into(),
            made: MadeInFile {
                tool: self.made.tool.clone(),
                command: self.made.command.clone(),
                at: self.made.at.clone(),
            },
            origin: self.genesis.origin().into(),
            verifier_key: self.verifier_key.to_string(),
            genesis: BoundGenesis {
                descriptor: base64(self.genesis.encoded()),
                hash: hex::encode(&self.genesis.hash()),
                first_header: hex::encode(&self.first_header.encode()),
                inclusion: base64(&self.first_inclusion.concat()),
            },
            extends: self.extends.as_ref().map(|extends| ExtendsInFile {
                size: extends.size,
                root: hex::encode(&extends.root),
                consistency: base64(&extends.consistency.concat()),
            }),
            question: QuestionInFile {
                asked: answer.asked.clone(),
                filter: answer.filter.clone(),
                start: answer.range.start,
                end: (answer.range.end != u64::MAX).then_some(answer.range.end),
                size: answer.size,
                order: if answer.descending {
                    Order::Descending
                } else {
                    Order::Ascending
                },
            },
            answer: AnswerInFile {
                start: answered.window.start,
                end: answered.window.end,
                matches: answered.matches,
                unknown: ranges_text(&answered.unknown),
                seals: seals
                    .map(|&(seq, covered)| SealInFile { seq, covered })
                    .collect(),
                checked_one_by_one: answered.one_by_one,
            },
            pages: answer.pages.iter().map(write_page).collect(),
            coverage: self.coverage.as_ref().map(write_coverage),
            discloses: write_disclosure(&self.discloses),
        };
        // Strings and numbers in structs: nothing in them can fail to be written.
        let mut json = serde_json::to_string_pretty(&file).unwrap_or_default();
        json.push('\n');
        ascii(&json)
    }
}

fn bytes(text: &str, what: &str) -> Result<Vec<u8>, Finding> {
    parse_base64(text).ok_or_else(|| malformed("base64", format!("{what} that is not")))
}

fn read_extends(extends: &ExtendsInFile) -> Result<Extends, Finding> {
    let root = hex::decode(&extends.root)
        .ok_or_else(|| malformed("lower-case hexadecimal", "a root that is not"))?;
    let consistency = bytes(&extends.consistency, "a consistency proof")?;
    Ok(Extends {
        size: extends.size,
        root: read_hash(&root)?,
        consistency: read_hashes(&consistency)?,
    })
}

/// Seqs up to an end that null leaves open. The open end has no second spelling.
fn read_range(start: u64, end: Option<u64>) -> Result<Range<u64>, Finding> {
    match end {
        None => Ok(start..u64::MAX),
        Some(end) if start <= end && end < u64::MAX => Ok(start..end),
        Some(end) => Err(malformed("a range of seqs", format!("{start} to {end}"))),
    }
}

fn read_set(text: &str) -> Result<Ranges, Finding> {
    parse_ranges(text).ok_or_else(|| malformed("seqs such as 0-3,7", text))
}

fn read_answered(answer: &AnswerInFile, size: u64) -> Result<Answered, Finding> {
    let seals = answer.seals.iter();
    Ok(Answered {
        size,
        window: answer.start..answer.end,
        matches: answer.matches,
        unknown: read_set(&answer.unknown)?,
        seals: seals.map(|seal| (seal.seq, seal.covered)).collect(),
        one_by_one: answer.checked_one_by_one,
    })
}

fn read_page(page: &PageInFile) -> Result<CasePage, Finding> {
    let rows = page.entries.iter();
    Ok(CasePage {
        encoded: bytes(&page.page, "a page")?,
        rows: rows.map(|row| row.get().to_owned()).collect(),
    })
}

fn write_page(page: &CasePage) -> PageInFile {
    let rows = page.rows.iter();
    PageInFile {
        page: base64(&page.encoded),
        // A row is JSON. If it were not, the file would lack it, and not verify.
        entries: rows
            .filter_map(|row| RawValue::from_string(row.clone()).ok())
            .collect(),
    }
}

fn read_coverage(coverage: CoverageInFile) -> Result<CaseCoverage, Finding> {
    let pages = coverage.pages.iter();
    let sources = coverage.sources.into_iter().map(|of| HeardSource {
        source: of.source,
        entries: of.entries,
        first: of.first,
        last: of.last,
    });
    Ok(CaseCoverage {
        pages: pages
            .map(|page| bytes(page, "a page of counts"))
            .collect::<Result<_, _>>()?,
        heard: Heard {
            sources: sources.collect(),
            absent: coverage.none,
        },
    })
}

fn write_coverage(coverage: &CaseCoverage) -> CoverageInFile {
    let sources = coverage.heard.sources.iter().map(|of| SourceInFile {
        source: of.source.clone(),
        entries: of.entries,
        first: of.first,
        last: of.last,
    });
    CoverageInFile {
        pages: coverage.pages.iter().map(|page| base64(page)).collect(),
        sources: sources.collect(),
        none: coverage.heard.absent,
    }
}

fn read_disclosure(file: DisclosureInFile) -> Result<Disclosure, Finding> {
    Ok(Disclosure {
        withheld: read_parts(&file.withheld)?,
        parts: read_parts(&file.parts)?,
        headers: read_set(&file.headers)?,
        terms: file.terms,
    })
}

fn read_parts(parts: &[PartInFile]) -> Result<Vec<(Tag, Ranges)>, Finding> {
    let read = |part: &PartInFile| {
        let tag = Tag::ALL.into_iter().find(|tag| tag.name() == part.part);
        let tag = tag.ok_or_else(|| malformed("the name of a part", &part.part))?;
        Ok((tag, read_set(&part.entries)?))
    };
    parts.iter().map(read).collect()
}

fn write_disclosure(discloses: &Disclosure) -> DisclosureInFile {
    DisclosureInFile {
        withheld: write_parts(&discloses.withheld),
        parts: write_parts(&discloses.parts),
        headers: ranges_text(&discloses.headers),
        terms: discloses.terms.clone(),
    }
}

fn write_parts(parts: &[(Tag, Ranges)]) -> Vec<PartInFile> {
    let write = |(tag, entries): &(Tag, Ranges)| PartInFile {
        part: tag.name().into(),
        entries: ranges_text(entries),
    };
    parts.iter().map(write).collect()
}
