//! An entry as a filter sees it.

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
        let unknown = body.parts().iter().filter_map(|(tag, content)| {
            let shown = matches!(content, Content::Disclosed { .. });
            (!shown).then_some(*tag)
        });
        Ok(Self {
            header: header.clone(),
            envelope: part(body, Tag::Envelope)?,
            who: part(body, Tag::Who)?,
            what: part(body, Tag::What)?,
            context: part(body, Tag::Context)?,
            why: part(body, Tag::Why)?,
            detail: part(body, Tag::Detail)?,
            unknown: unknown.collect(),
        })
    }

    /// Whether the part `tag` can be read: it is shown, or the event left it out.
    pub fn knows(&self, tag: Tag) -> bool {
        !self.unknown.contains(&tag)
    }
}

fn part<T: Message + Default>(body: &Body, tag: Tag) -> Result<T, Invalid> {
    let Some(bytes) = body.disclosed(tag) else {
        return Ok(T::default());
    };
    T::decode(bytes.clone())
        .map_err(|_| Invalid::new(tag.name(), Problem::NotCanonical("it cannot be decoded")))
}
