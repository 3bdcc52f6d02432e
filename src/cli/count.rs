//! How many entries match, and by which values of a field.

use std::collections::BTreeMap;
use std::ops::Range;

use super::answer::{Ask, Asker, Worth};
use super::bodies::malformed;
use super::failure::Failure;
use crate::entry::json::Row;
use crate::entry::v1;
use crate::index::filter::Filter;
use crate::index::{Counts, GroupBy, Tally};
use crate::verify::{CountQuestion, verify_count};

/// The most groups of a page.
const MAX_PAGE_SIZE: u32 = 10_000;
/// The most groups that are kept here.
const MAX_GROUPS: usize = 1_000_000;
/// Entries that are asked for by their seqs at once.
const SEQS_AT_ONCE: usize = 200;

/// What is counted.
#[derive(Debug, Clone)]
pub(super) struct CountAsk {
    pub(super) filter: Filter,
    /// The seqs asked about.
    pub(super) range: Range<u64>,
    /// The tree size at which to count; the newest if it is none.
    pub(super) size: Option<u64>,
    /// By the values of which field; none for all together.
    pub(super) group_by: Option<GroupBy>,
    /// Whether to ask for proofs.
    pub(super) prove: bool,
    /// The most pages to ask for, if there is a bound.
    pub(super) pages: Option<u64>,
}

/// What was counted.
#[derive(Debug, Clone)]
pub(super) struct Counted {
    pub(super) counts: Counts,
    pub(super) worth: Worth,
}

impl Asker {
    /// Counts entries. None if that takes more pages than are allowed.
    pub(super) async fn count(&self, ask: &CountAsk) -> Result<Option<Counted>, Failure> {
        let mut counting = Counting {
            ask,
            size: ask.size,
            open: ask.range.clone(),
            next_value: None,
            token: String::new(),
            counted: Counted {
                counts: Counts::default(),
                worth: Worth::default(),
            },
        };
        let mut pages = 0;
        loop {
            if ask.pages.is_some_and(|most| pages >= most) {
                return Ok(None);
            }
            pages += 1;
            let request = counting.request();
            let page = self.query().count(request).await?.into_inner();
            if counting.take(self, page)? {
                return Ok(Some(counting.counted));
            }
        }
    }

    /// The entries with these seqs, by seq.
    pub(super) async fn entries(
        &self,
        seqs: impl IntoIterator<Item = u64>,
        size: Option<u64>,
        prove: bool,
    ) -> Result<BTreeMap<u64, Row>, Failure> {
        let mut seqs: Vec<u64> = seqs.into_iter().collect();
        seqs.sort_unstable();
        seqs.dedup();
        let mut rows = BTreeMap::new();
        for some in seqs.chunks(SEQS_AT_ONCE) {
            let (Some(first), Some(last)) = (some.first(), some.last()) else {
                continue;
            };
            let each: Vec<String> = some.iter().map(|seq| format!("seq = {seq}")).collect();
            let filter = Filter::parse(&each.join(" OR "))
                .map_err(|error| Failure::other(error.to_string()))?;
            let mut answer = self.ask(Ask {
                filter,
                range: *first..last.saturating_add(1),
                descending: false,
                size,
                prove,
                page_size: SEQS_AT_ONCE as u64,
            });
            while let Some((header, body)) = answer.next().await? {
                let row =
                    Row::new(&header, &body).map_err(|error| malformed(&error.to_string()))?;
                rows.insert(row.seq, row);
            }
        }
        Ok(rows)
    }
}

/// Counts while they come in.
struct Counting<'a> {
    ask: &'a CountAsk,
    /// The pages of an answer are of one size.
    size: Option<u64>,
    /// What is not counted yet.
    open: Range<u64>,
    next_value: Option<Vec<u8>>,
    token: String,
    counted: Counted,
}

impl Counting<'_> {
    fn request(&mut self) -> v1::CountRequest {
        let Range { start, end } = self.ask.range;
        v1::CountRequest {
            filter: self.ask.filter.to_string(),
            group_by: self.ask.group_by.map_or("", |group| group.name()).into(),
            page_size: MAX_PAGE_SIZE,
            page_token: std::mem::take(&mut self.token),
            size: self.size.unwrap_or(0),
            start,
            end: if end == u64::MAX { 0 } else { end },
            prove: self.ask.prove,
        }
    }

    /// Adds a page. Whether it was the last.
    fn take(&mut self, asker: &Asker, page: v1::CountResponse) -> Result<bool, Failure> {
        let end = self.ask.range.end.min(page.size);
        let window = page.start..page.end;
        let next_value = Some(page.next_value.clone()).filter(|value| !value.is_empty());
        let (counts, unknown) = if self.ask.prove {
            let question = CountQuestion {
                genesis: asker.genesis(),
                key: asker.key(),
                filter: &self.ask.filter,
                group_by: self.ask.group_by,
                open: self.open.clone(),
                next_value: self.next_value.clone(),
                size: self.size,
            };
            let proved = verify_count(&question, &page)
                .map_err(|finding| Failure::unproved("the counts are not proved", finding))?;
            self.counted.worth.seal = proved.seal;
            (proved.counts, proved.unknown)
        } else {
            self.check_progress(&page)?;
            said(&page)
        };
        self.add(counts)?;
        let worth = &mut self.counted.worth;
        if self.next_value.is_none() {
            worth.unknown.extend(unknown);
        }
        worth.size = Some(page.size);
        self.size = Some(page.size);
        if let Some(cost) = page.cost {
            worth.add_cost(&cost);
        }
        let answered = worth.answered.get_or_insert_with(|| window.clone());
        answered.end = answered.end.max(window.end);
        self.open = match next_value {
            Some(_) => window.clone(),
            None => window.end..self.ask.range.end,
        };
        let done = next_value.is_none() && window.end >= end;
        self.next_value = next_value;
        self.token = page.next_page_token;
        if self.token.is_empty() && !done {
            return Err(malformed("it ends before the question does"));
        }
        Ok(done)
    }

    fn add(&mut self, page: Counts) -> Result<(), Failure> {
        let all = &mut self.counted.counts;
        all.total = all.total.and(page.total);
        all.absent = all.absent.saturating_add(page.absent);
        for (term, tally) in page.groups {
            all.add_group(term, tally);
        }
        if all.groups.len() > MAX_GROUPS {
            let what = format!("more than {MAX_GROUPS} values: ask about fewer entries");
            return Err(Failure::other(what));
        }
        Ok(())
    }

    /// The pages of a server that proves nothing have to come to an end all the same.
    fn check_progress(&self, page: &v1::CountResponse) -> Result<(), Failure> {
        let moves = match &self.next_value {
            Some(value) => {
                (page.start..page.end) == self.open
                    && (page.next_value.is_empty() || page.next_value > *value)
            }
            None => page.start >= self.open.start && page.end > page.start,
        };
        if moves || page.next_page_token.is_empty() {
            Ok(())
        } else {
            Err(malformed("a page counts nothing"))
        }
    }
}

/// What a page says.
fn said(page: &v1::CountResponse) -> (Counts, Vec<u64>) {
    let tally = |tally: Option<v1::Tally>| {
        let v1::Tally { count, first, last } = tally.unwrap_or_default();
        Tally { count, first, last }
    };
    let mut counts = Counts {
        total: tally(page.total),
        absent: page.absent,
        groups: BTreeMap::new(),
    };
    for group in &page.groups {
        counts.add_group(group.term.clone(), tally(group.entries));
    }
    (counts, page.unknown.clone())
}
