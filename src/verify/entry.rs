//! What one entry has to be, whatever stands around it.

use prost::Message;

use super::verdict::{Check, Finding};
use crate::entry::body::{Body, Content};
use crate::entry::event::{REQUIRED_PARTS, check_client_part};
use crate::entry::parts::body_hash;
use crate::entry::redaction::are_notes;
use crate::entry::v1::ledger_act::Act;
use crate::entry::{Digest, Header, Kind, Tag, names, signature, v1};
use crate::index::Ranges;
use crate::merkle::Hash;

/// An entry that is right in itself; whether it is at its place, only its neighbours and the tree say.
#[derive(Debug, Clone)]
pub struct CheckedEntry {
    pub(super) header: Header,
    pub(super) chain_hash: Digest,
    pub(super) leaf_hash: Hash,
    /// Parts that are not shown, however that is explained.
    pub(super) missing: Vec<Tag>,
    /// What the ledger did, in entries of kind 2 and 3 that show it.
    pub(super) act: Option<Box<Act>>,
}

impl CheckedEntry {
    /// The decoded header.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Its leaf in the tree.
    pub fn leaf_hash(&self) -> Hash {
        self.leaf_hash
    }

    /// What the ledger says it did, in entries of kind 2 and 3 that show it.
    pub fn act(&self) -> Option<&Act> {
        self.act.as_deref()
    }

    /// What it commits to about the search index, if it is a seal and shows it.
    pub fn seal(&self) -> Option<&v1::Seal> {
        match self.act.as_deref() {
            Some(Act::Seal(seal)) => Some(seal),
            _ => None,
        }
    }
}

/// Checks all that can be told from entry `seq` of the ledger `origin` alone: that the header binds
/// the parts, and that the parts keep the rules of its kind.
///
/// Depends on nothing else, so entries can be checked in parallel. `header` is its encoding, 83 bytes.
pub fn check_entry(
    origin: &str,
    seq: u64,
    header: &[u8],
    body: &Body,
) -> Result<CheckedEntry, Finding> {
    let header = decode_header(seq, header)?;
    let commitments = check_body_hash(&header, body)?;
    check_parts(&header, body)?;
    if let Some(envelope) = shown_envelope(body) {
        // No other entry's act can have been ordered.
        let ordered = (header.kind == Kind::Act).then(|| is_ordered(body));
        check_envelope(&header, ordered.flatten(), &envelope)?;
        check_actor_signature(origin, &header, &envelope, &commitments)?;
    }
    let act = check_act(&header, body)?;
    let encoded = header.encode();
    Ok(CheckedEntry {
        chain_hash: crate::entry::header::chain_hash(&encoded),
        leaf_hash: crate::merkle::leaf_hash(&encoded),
        missing: missing(body),
        act,
        header,
    })
}

/// Decodes the header that should be that of entry `seq`.
fn decode_header(seq: u64, bytes: &[u8]) -> Result<Header, Finding> {
    let header = Header::decode(bytes).map_err(|error| {
        Finding::at(
            seq,
            Check::Header,
            "the header of an entry",
            error.to_string(),
        )
    })?;
    if header.seq == seq {
        Ok(header)
    } else {
        let found = format!("seq {}", header.seq);
        Err(Finding::at(seq, Check::Seq, format!("seq {seq}"), found))
    }
}

/// Checks that the header binds the body; gives the body's commitments.
pub(super) fn check_body_hash(header: &Header, body: &Body) -> Result<Vec<(Tag, Digest)>, Finding> {
    let commitments: Vec<_> = body.commitments().collect();
    let hash = body_hash(commitments.iter().copied());
    if hash == header.body_hash {
        return Ok(commitments);
    }
    let (expected, found) = (hash_text(&header.body_hash), hash_text(&hash));
    Err(Finding::at(header.seq, Check::Body, expected, found))
}

/// Checks every part that is shown, that no other is missing, and that only those were erased that can be.
pub(super) fn check_parts(header: &Header, body: &Body) -> Result<(), Finding> {
    let invalid =
        |expected: &str, error: String| Finding::at(header.seq, Check::Part, expected, error);
    body.check()
        .map_err(|error| invalid("canonical encodings", error.to_string()))?;
    let required = REQUIRED_PARTS.iter().filter(|(tag, _)| {
        // The ledger's own acts come from nowhere else.
        header.kind == Kind::Event || *tag == Tag::What
    });
    for (tag, name) in required.chain(&[(Tag::Envelope, "envelope")]) {
        if body.content(*tag).is_none() {
            return Err(invalid(&format!("the part {name}"), "none".into()));
        }
    }
    for (tag, content) in body.parts() {
        match content {
            Content::Erased(_) if !tag.is_erasable() => {
                let found = format!("{} said to be erased", tag.name());
                let expected = "only why and detail erased";
                return Err(Finding::at(header.seq, Check::Erasure, expected, found));
            }
            Content::Disclosed { bytes, .. } if header.kind == Kind::Event => {
                check_client_part(*tag, bytes).map_err(|error| {
                    invalid("an event that a client may send", error.to_string())
                })?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// Whether the act of an entry is one that somebody ordered, whom its envelope names. None where the part is not shown.
pub(super) fn is_ordered(body: &Body) -> Option<bool> {
    let what: v1::What = decode_part(body, Tag::What)?;
    let act = what.act.and_then(|act| act.act);
    Some(matches!(
        act,
        Some(Act::RangeErasure(_) | Act::Hold(_) | Act::Release(_))
    ))
}

/// Checks that the envelope is one for an entry of this kind, whose act somebody `ordered`, as far as that is shown.
pub(super) fn check_envelope(
    header: &Header,
    ordered: Option<bool>,
    envelope: &v1::Envelope,
) -> Result<(), Finding> {
    let wrong = |expected: &str, found: &str| {
        Err(Finding::at(header.seq, Check::Envelope, expected, found))
    };
    if envelope.submitter.is_none() {
        return wrong("a submitter", "none");
    }
    let by_ledger = match envelope.authentication() {
        v1::Authentication::Unspecified => {
            return wrong("how the submitter was authenticated", "nothing");
        }
        v1::Authentication::Ledger => true,
        _ => false,
    };
    if envelope
        .actor_signature
        .as_ref()
        .is_some_and(|signature| !signature.seed.is_empty())
    {
        return wrong("an actor's signature without its seed", "one with it");
    }
    if !envelope.redactions.is_empty()
        && (header.kind != Kind::Event
            || header.actor_signature
            || !are_notes(&envelope.redactions))
    {
        return wrong(
            "redactions of an event without an actor's signature, ascending",
            "others",
        );
    }
    match (header.kind, by_ledger) {
        (Kind::Event, true) => wrong("a client's event", "the envelope of an act of the ledger"),
        (Kind::Act, false) if ordered == Some(false) => {
            wrong("an act of the ledger", "a client's envelope")
        }
        (Kind::Act, true) if ordered == Some(true) => {
            wrong("whoever ordered the act", "the ledger itself")
        }
        (Kind::Seal, false) => wrong("an act of the ledger", "a client's envelope"),
        _ if header.actor_signature && envelope.actor_signature.is_none() => {
            wrong("an actor's signature, as flags bit 0 says", "none")
        }
        _ if !header.actor_signature && envelope.actor_signature.is_some() => {
            wrong("no actor's signature, as flags bit 0 says", "one")
        }
        _ if header.kind != Kind::Event && header.actor_signature => {
            wrong("an act of the ledger", "an actor's signature")
        }
        _ => Ok(()),
    }
}

/// Checks the actor's signature over the parts 2 to 6, if the envelope has one.
pub(super) fn check_actor_signature(
    origin: &str,
    header: &Header,
    envelope: &v1::Envelope,
    commitments: &[(Tag, Digest)],
) -> Result<(), Finding> {
    let Some(actor_signature) = &envelope.actor_signature else {
        return Ok(());
    };
    let signed = commitments
        .iter()
        .copied()
        .filter(|(tag, _)| *tag != Tag::Envelope);
    signature::verify_commitments(actor_signature, origin, signed).map_err(|problem| {
        let found = format!("one that {problem}");
        Finding::at(
            header.seq,
            Check::ActorSignature,
            "the actor's signature",
            found,
        )
    })
}

/// Checks what the ledger says it did, if it is shown.
pub(super) fn check_act(header: &Header, body: &Body) -> Result<Option<Box<Act>>, Finding> {
    if header.kind == Kind::Event {
        return Ok(None);
    }
    let Some(what) = decode_part::<v1::What>(body, Tag::What) else {
        return Ok(None);
    };
    let wrong =
        |expected: &str, found: &str| Err(Finding::at(header.seq, Check::Act, expected, found));
    if !names::is_ledger_action(&what.action) {
        return wrong("an action ledger.*", &format!("{:?}", what.action));
    }
    let act = match what.act {
        Some(v1::LedgerAct { act: None }) => return wrong("an act", "an empty one"),
        Some(v1::LedgerAct { act }) => act,
        None => None,
    };
    if (header.kind == Kind::Seal) != matches!(act, Some(Act::Seal(_))) {
        return wrong(
            "a seal in every entry of kind 3 and in no other",
            "otherwise",
        );
    }
    let well_formed = match &act {
        Some(Act::Seal(seal)) => seal.levels.iter().all(|level| level.root.len() == 32),
        Some(Act::Erasure(erasure)) => {
            let tags = erasable(&erasure.parts);
            erasure.seq < header.seq
                && !tags.is_empty()
                && tags.len() == erasure.parts.len()
                && erasure.parts.is_sorted_by(|a, b| a < b)
        }
        Some(Act::RangeErasure(erasure)) => {
            let tags = erasable(&erasure.parts);
            !tags.is_empty()
                && tags.len() == erasure.parts.len()
                && erasure.parts.is_sorted_by(|a, b| a < b)
                && !erasure.ticket.is_empty()
                && are_ascending(&erasure.entries)
                && last_end(&erasure.entries).is_some_and(|end| end <= header.seq)
        }
        Some(Act::Hold(hold)) => {
            !hold.name.is_empty()
                && are_ascending(&hold.entries)
                && !(hold.entries.is_empty() && hold.filter.is_empty())
        }
        Some(Act::Release(release)) => !release.name.is_empty() && release.hold_seq < header.seq,
        Some(Act::Adoption(adoption)) => adoption.root.len() == 32 && adoption.size <= header.seq,
        Some(Act::PolicyChange(change)) => change.digest.len() == 32,
        Some(Act::RedactionChange(change)) => change.digest.len() == 32,
        Some(Act::Start(start)) => start.previous_seq.is_none_or(|seq| seq < header.seq),
        Some(Act::Configuration(configuration)) => {
            let settings = &configuration.settings;
            configuration.digest.len() == 32
                && settings.iter().all(|setting| setting.digest.len() == 32)
                && settings.is_sorted_by(|a, b| a.name < b.name)
        }
        Some(Act::KeyRotation(_) | Act::Stop(_) | Act::Refusals(_)) | None => true,
    };
    if well_formed {
        Ok(act.map(Box::new))
    } else {
        wrong(
            "an act about earlier entries, all of its fields right",
            &format!("{act:?}"),
        )
    }
}

/// What an act says was erased: the entries and their parts. None of an act that is no erasure.
pub fn erased_by(act: &Act) -> Option<(Ranges, Vec<Tag>)> {
    match act {
        Act::Erasure(erasure) => {
            let seqs = erasure.seq..erasure.seq.saturating_add(1);
            Some((seqs.into(), erasable(&erasure.parts)))
        }
        Act::RangeErasure(erasure) => {
            Some((erasure.entries.iter().collect(), erasable(&erasure.parts)))
        }
        _ => None,
    }
}

/// Whether ranges ascend, none of them empty, with a gap between two.
fn are_ascending(ranges: &[v1::SeqRange]) -> bool {
    ranges.iter().all(|range| range.first_seq < range.end_seq)
        && ranges.is_sorted_by(|a, b| a.end_seq < b.first_seq)
}

fn last_end(ranges: &[v1::SeqRange]) -> Option<u64> {
    ranges.last().map(|range| range.end_seq)
}

/// The parts of these numbers, as far as they can be erased.
fn erasable(parts: &[u32]) -> Vec<Tag> {
    let tags = parts.iter().filter_map(|number| Tag::from_number(*number));
    tags.filter(|tag| tag.is_erasable()).collect()
}

/// The parts that the entry has and the body does not show.
pub(super) fn missing(body: &Body) -> Vec<Tag> {
    let hidden = |content: &Content| !matches!(content, Content::Disclosed { .. });
    let parts = body.parts().iter();
    parts
        .filter(|(_, content)| hidden(content))
        .map(|(tag, _)| *tag)
        .collect()
}

/// The envelope, if it is shown and can be decoded; [`check_parts`] says when it cannot.
pub(super) fn shown_envelope(body: &Body) -> Option<v1::Envelope> {
    decode_part(body, Tag::Envelope)
}

fn decode_part<M: Message + Default>(body: &Body, tag: Tag) -> Option<M> {
    M::decode(body.disclosed(tag)?.as_ref()).ok()
}

/// A hash in a finding.
pub(super) fn hash_text(hash: &Digest) -> String {
    crate::entry::hex::encode(hash)
}
