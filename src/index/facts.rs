//! An entry as a filter sees it.

use bytes::Bytes;
use prost::Message;

use crate::entry::body::{Body, Content};
use crate::entry::{Header, Invalid, Problem, Tag, v1};

/// What an entry says, decoded. A part that the event left out is a message that says nothing.
#[derive(Debug, Clone, PartialEq)]
pub struct Facts {
    /// The header.
    pub header: Header,
    /// What the ledger knows about the sender.
    pub envelope: v1::Envelope,
    /// Who acted, as claimed.
    pub who: v1::Who,
    /// What was done.
    pub what: v1::What,
    /// Where the record comes from.
    pub context: v1::Context,
    /// Why it was done.
    pub why: v1::Why,
    /// Free form and the original.
    pub detail: v1::Detail,
    /// The parts that are withheld or erased: what they said is not known.
    unknown: Vec<Tag>,
}

impl Facts {
    /// The facts of this header and body. Whether they belong together is for the verifier to say.
    ///
    /// # Errors
    ///
    /// A part that is shown cannot be decoded.
    pub fn new(header: &Header, body: &Body) -> Result<Self, Invalid> {
        let mut facts = Self::empty(header);
        for (tag, content) in body.parts() {
            match content {
                Content::Disclosed { bytes, .. } => facts.read(*tag, bytes)?,
                Content::Withheld(_) | Content::Erased(_) => facts.unknown.push(*tag),
            }
        }
        Ok(facts)
    }

    /// The facts of this header and its parts envelope, who, what and context. What why and detail say is not known.
    ///
    /// # Errors
    ///
    /// A part cannot be decoded.
    pub fn of_parts(header: &Header, parts: &[(Tag, Bytes)]) -> Result<Self, Invalid> {
        let mut facts = Self::empty(header);
        for (tag, bytes) in parts {
            facts.read(*tag, bytes)?;
        }
        facts.unknown.extend([Tag::Why, Tag::Detail]);
        facts
            .unknown
            .retain(|tag| parts.iter().all(|(shown, _)| shown != tag));
        Ok(facts)
    }

    fn empty(header: &Header) -> Self {
        Self {
            header: header.clone(),
            envelope: v1::Envelope::default(),
            who: v1::Who::default(),
            what: v1::What::default(),
            context: v1::Context::default(),
            why: v1::Why::default(),
            detail: v1::Detail::default(),
            unknown: Vec::new(),
        }
    }

    fn read(&mut self, tag: Tag, bytes: &Bytes) -> Result<(), Invalid> {
        match tag {
            Tag::Envelope => self.envelope.merge(bytes.clone()),
            Tag::Who => self.who.merge(bytes.clone()),
            Tag::What => self.what.merge(bytes.clone()),
            Tag::Context => self.context.merge(bytes.clone()),
            Tag::Why => self.why.merge(bytes.clone()),
            Tag::Detail => self.detail.merge(bytes.clone()),
        }
        .map_err(|_| Invalid::new(tag.name(), Problem::NotCanonical("it cannot be decoded")))
    }

    /// Whether the part `tag` can be read: it is shown, or the event left it out.
    pub fn knows(&self, tag: Tag) -> bool {
        !self.unknown.contains(&tag)
    }
}
