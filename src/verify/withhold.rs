//! Pages with parts withheld: they still prove what they proved, as far as that can be told without these parts.
//!
//! The index says what parts say. So of a range of terms whose leaves tell something of a withheld part, nothing is shown:
//! the server is asked without it, and every entry that it would have left out is shown instead.

use super::case_text::sorted_tags;
use super::disclosure::{telling_ranges, tells};
use super::verdict::{Check, Finding};
use crate::entry::body::{Body, Content};
use crate::entry::wire::read_entry;
use crate::entry::{Header, Tag, v1};
use crate::index::filter::{Filter, Truth};
use crate::index::{Facts, Plan, TermRange};

/// Of an entry that does not match, the parts that are withheld if the others show that, in this order.
const HIDDEN_FIRST: [Tag; 6] = [
    Tag::Detail,
    Tag::Why,
    Tag::Who,
    Tag::Envelope,
    Tag::Context,
    Tag::What,
];

/// What is asked of a server so that its answer can be shown without some parts.
#[derive(Debug, Clone)]
pub struct Withholding {
    filter: Filter,
    plan: Plan,
    withheld: Vec<Tag>,
    /// The ranges of terms that are not asked about.
    dropped: Vec<TermRange>,
}

impl Withholding {
    /// For the answer to `filter`, without the parts in `withheld`.
    pub fn new(filter: &Filter, withheld: &[Tag]) -> Self {
        Self {
            filter: filter.clone(),
            plan: Plan::new(filter),
            withheld: sorted_tags(withheld),
            dropped: Vec::new(),
        }
    }

    /// The parts, ascending.
    pub fn withheld(&self) -> &[Tag] {
        &self.withheld
    }

    /// The filter to ask the server.
    pub fn to_ask(&self) -> Filter {
        Plan::without(&self.filter, &self.dropped)
    }

    /// The page as it can be shown, made of the server's answer to [`Withholding::to_ask`]: a page of the answer to the
    /// whole filter. None if the server has to be asked again, since its proof would tell something of what is withheld.
    ///
    /// An entry that does not match is shown only as far as it takes to see that.
    ///
    /// # Errors
    ///
    /// The page is malformed.
    pub fn page(
        &mut self,
        mut page: v1::SearchResponse,
    ) -> Result<Option<v1::SearchResponse>, Finding> {
        page.next_page_token.clear();
        page.cost = None;
        if let Some(proof) = &mut page.proof {
            for segment in &mut proof.segments {
                self.restore(segment);
            }
            if let Some(seal) = &mut proof.seal {
                // Only what the ledger says it did is needed.
                withhold(seal, |tag| tag != Tag::What)?;
            }
        }
        let tell = telling_ranges(&page, &self.plan, &self.withheld);
        if !tell.is_empty() {
            self.dropped.extend(tell);
            return Ok(None);
        }
        for entry in &mut page.entries {
            self.withhold_entry(entry)?;
        }
        Ok(Some(page))
    }

    /// A page of counts by source as it can be shown. None if it would tell something of what is withheld.
    ///
    /// # Errors
    ///
    /// The page is malformed.
    pub fn coverage(
        &self,
        mut page: v1::CountResponse,
    ) -> Result<Option<v1::CountResponse>, Finding> {
        page.next_page_token.clear();
        page.cost = None;
        for group in &mut page.groups {
            // It follows from the term.
            group.value.clear();
            group.cut = false;
        }
        if let Some(proof) = &mut page.proof {
            if tells(proof, &self.withheld) {
                return Ok(None);
            }
            if let Some(seal) = &mut proof.seal {
                withhold(seal, |tag| tag != Tag::What)?;
            }
        }
        if self.withheld.contains(&Tag::Context) {
            return Ok(None);
        }
        for entry in &mut page.entries {
            withhold(entry, |tag| tag != Tag::Context)?;
        }
        Ok(Some(page))
    }

    /// Puts a proof that proves nothing where a range was not asked about.
    fn restore(&self, segment: &mut v1::SegmentProof) {
        let mut shown = std::mem::take(&mut segment.ranges).into_iter();
        for range in self.plan.ranges() {
            segment.ranges.push(if self.dropped.contains(range) {
                v1::TermProof::default()
            } else {
                shown.next().unwrap_or_default()
            });
        }
    }

    fn withhold_entry(&self, entry: &mut v1::Entry) -> Result<(), Finding> {
        withhold(entry, |tag| self.withheld.contains(&tag))?;
        let (header, body) = read_entry(entry)?;
        if !self.rules_out(&header, &body)? {
            return Ok(());
        }
        // What it says about the act is left for last, as that tells least about people.
        let mut hidden = Vec::new();
        for tag in HIDDEN_FIRST {
            hidden.push(tag);
            if !self.rules_out(&header, &body.clone().withhold(&hidden))? {
                hidden.pop();
            }
        }
        withhold(entry, |tag| hidden.contains(&tag))
    }

    /// Whether an entry cannot match, by what is shown of it.
    fn rules_out(&self, header: &Header, body: &Body) -> Result<bool, Finding> {
        let facts = Facts::new(header, body).map_err(|invalid| {
            let expected = "an encoded message";
            Finding::at(header.seq, Check::Part, expected, invalid.to_string())
        })?;
        Ok(self.filter.evaluate(&facts) == Truth::False)
    }
}

/// Leaves of some parts their commitment alone.
fn withhold(entry: &mut v1::Entry, mut hidden: impl FnMut(Tag) -> bool) -> Result<(), Finding> {
    let (_, body) = read_entry(entry)?;
    for (part, (tag, content)) in entry.parts.iter_mut().zip(body.parts()) {
        if hidden(*tag) && matches!(content, Content::Disclosed { .. }) {
            let commitment = content.commitment().to_vec();
            part.content = Some(v1::part::Content::Withheld(commitment));
        }
    }
    Ok(())
}
