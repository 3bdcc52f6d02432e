//! Evidence as a file: one JSON document that a person can read.
//!
//! ```json
//! {
//!   "format": "graven evidence v1",
//!   "origin": "ledger.example/main",
//!   "verifier_key": "ledger.example/main+22044f0f+AQOh…",
//!   "genesis": { "descriptor": "<base64>", "hash": "<hex>" },
//!   "entry": {
//!     "header": "<hex, 83 bytes>",
//!     "parts": [
//!       { "part": "envelope", "encoded": "<base64>", "salt": "<base64>" },
//!       { "part": "who", "withheld": "<base64 of the commitment>" },
//!       { "part": "detail", "erased": "<base64 of the commitment>" }
//!     ],
//!     "proof": "c2sp.org/tlog-proof@v1\nindex 7\n…"
//!   },
//!   "first_entry": { "header": "<hex>", "proof": "c2sp.org/tlog-proof@v1\nindex 0\n…" }
//! }
//! ```
//!
//! The format is `graven evidence v2`, and `"erasures"` is there, when entries are shown that say what was erased of this
//! one: a list of them, each with `header`, `parts` and `proof` as `entry` has them.
//!
//! Anything else is refused: another format, a field that is not listed, one that stands twice, a
//! second spelling of bytes, data in a proof that nobody signed.

use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize};

use super::evidence::{ErasureEntry, Evidence, FirstEntry};
use super::text::{base64, parse_base64};
use super::verdict::{Check, Finding};
use crate::entry::body::{Body, Content};
use crate::entry::genesis::Genesis;
use crate::entry::{Digest, Header, Tag, hex};
use crate::note::{TlogProof, VerifierKey};

/// What the format field of evidence says.
const FORMAT: &str = "graven evidence v1";
/// The same, when entries are shown that say what was erased.
const FORMAT_WITH_ERASURES: &str = "graven evidence v2";
/// The most entries that can say what was erased of one: each of two parts once.
const MAX_ERASURES: usize = 2;
/// The largest evidence file that is read, in bytes.
pub const MAX_EVIDENCE_BYTES: usize = 16 * 1024 * 1024;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    format: String,
    origin: String,
    verifier_key: String,
    genesis: GenesisInFile,
    entry: EntryInFile,
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "present"
    )]
    erasures: Option<Vec<EntryInFile>>,
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "present"
    )]
    first_entry: Option<FirstInFile>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GenesisInFile {
    pub(super) descriptor: String,
    pub(super) hash: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EntryInFile {
    header: String,
    parts: Vec<PartInFile>,
    proof: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FirstInFile {
    header: String,
    proof: String,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PartInFile {
    part: String,
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "present"
    )]
    encoded: Option<String>,
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "present"
    )]
    salt: Option<String>,
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "present"
    )]
    withheld: Option<String>,
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "present"
    )]
    erased: Option<String>,
}

/// A field that may be left out but is not null.
pub(super) fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    from: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(from).map(Some)
}

impl Evidence {
    /// Reads a file. Nothing is verified yet.
    pub fn from_json(file: &[u8]) -> Result<Self, Finding> {
        if file.len() > MAX_EVIDENCE_BYTES {
            let expected = format!("{MAX_EVIDENCE_BYTES} bytes at most");
            return Err(malformed(expected, file.len().to_string()));
        }
        let file: File = serde_json::from_slice(file)
            .map_err(|error| malformed("an evidence file", format!("something else: {error}")))?;
        let format = format_with(file.erasures.is_some());
        if file.format != format {
            return Err(malformed(format, file.format));
        }
        let shown = file.erasures.as_ref().map_or(1, Vec::len);
        if shown == 0 || shown > MAX_ERASURES {
            let expected = format!("1 to {MAX_ERASURES} erasures");
            return Err(malformed(expected, shown.to_string()));
        }
        let verifier_key = VerifierKey::parse(&file.verifier_key)
            .map_err(|error| malformed("a verifier key", error.to_string()))?;
        Ok(Self {
            verifier_key,
            genesis: parse_genesis(&file.genesis, &file.origin)?,
            header: parse_header(&file.entry.header)?,
            body: parse_body(file.entry.parts)?,
            proof: parse_proof(&file.entry.proof)?,
            erasures: file
                .erasures
                .unwrap_or_default()
                .into_iter()
                .map(parse_erasure)
                .collect::<Result<_, _>>()?,
            first_entry: file
                .first_entry
                .as_ref()
                .map(parse_first_entry)
                .transpose()?,
        })
    }

    /// The file. The same evidence always gives the same bytes.
    pub fn to_json(&self) -> String {
        let file = File {
            format: format_with(!self.erasures.is_empty()).into(),
            origin: self.genesis.origin().into(),
            verifier_key: self.verifier_key.to_string(),
            genesis: GenesisInFile {
                descriptor: base64(self.genesis.encoded()),
                hash: hex::encode(&self.genesis.hash()),
            },
            entry: write_entry(&self.header, &self.body, &self.proof),
            erasures: (!self.erasures.is_empty()).then(|| {
                let written = self
                    .erasures
                    .iter()
                    .map(|erasure| write_entry(&erasure.header, &erasure.body, &erasure.proof));
                written.collect()
            }),
            first_entry: self.first_entry.as_ref().map(|first| FirstInFile {
                header: hex::encode(&first.header.encode()),
                proof: first.proof.to_string(),
            }),
        };
        // Strings in structs: nothing in them can fail to be written.
        let mut json = serde_json::to_string_pretty(&file).unwrap_or_default();
        json.push('\n');
        json
    }
}

pub(super) fn malformed(expected: impl Into<String>, found: impl Into<String>) -> Finding {
    Finding::of(Check::Format, expected, found)
}

pub(super) fn parse_genesis(genesis: &GenesisInFile, origin: &str) -> Result<Genesis, Finding> {
    let wrong = |expected: &str, found: String| Finding::of(Check::Genesis, expected, found);
    let encoded = parse_base64(&genesis.descriptor)
        .ok_or_else(|| malformed("base64", "a genesis descriptor that is not"))?;
    let decoded = Genesis::decode(&encoded)
        .map_err(|error| wrong("a genesis descriptor", error.to_string()))?;
    if decoded.origin() != origin {
        return Err(Finding::of(Check::Origin, origin, decoded.origin()));
    }
    let hash = hex::encode(&decoded.hash());
    if hash != genesis.hash {
        return Err(wrong(&genesis.hash, hash));
    }
    Ok(decoded)
}

pub(super) fn parse_header(header: &str) -> Result<Header, Finding> {
    let bytes = hex::decode(header)
        .ok_or_else(|| malformed("lower-case hexadecimal", "a header that is not"))?;
    Header::decode(&bytes)
        .map_err(|error| Finding::of(Check::Header, "a header", error.to_string()))
}

fn parse_proof(proof: &str) -> Result<TlogProof, Finding> {
    let parsed = TlogProof::parse(proof)
        .map_err(|error| malformed("a proof of inclusion", error.to_string()))?;
    if parsed.extra.is_some() {
        return Err(malformed(
            "a proof without extra data",
            "some, signed by nobody",
        ));
    }
    Ok(parsed)
}

fn write_entry(header: &Header, body: &Body, proof: &TlogProof) -> EntryInFile {
    EntryInFile {
        header: hex::encode(&header.encode()),
        parts: body.parts().iter().map(write_part).collect(),
        proof: proof.to_string(),
    }
}

/// What the format field says of a file that shows erasures, or none.
fn format_with(erasures: bool) -> &'static str {
    if erasures {
        FORMAT_WITH_ERASURES
    } else {
        FORMAT
    }
}

fn parse_erasure(entry: EntryInFile) -> Result<ErasureEntry, Finding> {
    Ok(ErasureEntry {
        header: parse_header(&entry.header)?,
        body: parse_body(entry.parts)?,
        proof: parse_proof(&entry.proof)?,
    })
}

fn parse_first_entry(first: &FirstInFile) -> Result<FirstEntry, Finding> {
    Ok(FirstEntry {
        header: parse_header(&first.header)?,
        proof: parse_proof(&first.proof)?,
    })
}

pub(super) fn parse_body(parts: Vec<PartInFile>) -> Result<Body, Finding> {
    let parts = parts
        .into_iter()
        .map(parse_part)
        .collect::<Result<_, _>>()?;
    Body::new(parts).map_err(|error| malformed("parts in order", error.to_string()))
}

fn parse_part(part: PartInFile) -> Result<(Tag, Content), Finding> {
    let name = part.part;
    let tag = Tag::ALL
        .into_iter()
        .find(|tag| tag.name() == name)
        .ok_or_else(|| malformed("the name of a part", &name))?;
    let bytes = |text: String| {
        parse_base64(&text).ok_or_else(|| malformed("base64", format!("a part {name} that is not")))
    };
    let digest = |text: String| -> Result<Digest, Finding> {
        bytes(text)?
            .try_into()
            .map_err(|_| malformed("32 bytes", format!("another length in the part {name}")))
    };
    let content = match (part.encoded, part.salt, part.withheld, part.erased) {
        (Some(encoded), Some(salt), None, None) => Content::Disclosed {
            bytes: Bytes::from(bytes(encoded)?),
            salt: digest(salt)?,
        },
        (None, None, Some(commitment), None) => Content::Withheld(digest(commitment)?),
        (None, None, None, Some(commitment)) => Content::Erased(digest(commitment)?),
        _ => {
            let expected = "encoded and salt, or withheld, or erased";
            return Err(malformed(expected, format!("otherwise in the part {name}")));
        }
    };
    Ok((tag, content))
}

pub(super) fn write_part((tag, content): &(Tag, Content)) -> PartInFile {
    let mut part = PartInFile {
        part: tag.name().into(),
        ..PartInFile::default()
    };
    match content {
        Content::Disclosed { bytes, salt } => {
            part.encoded = Some(base64(bytes));
            part.salt = Some(base64(salt));
        }
        Content::Withheld(commitment) => part.withheld = Some(base64(commitment)),
        Content::Erased(commitment) => part.erased = Some(base64(commitment)),
    }
    part
}
