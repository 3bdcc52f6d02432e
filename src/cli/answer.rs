//! Questions to a server, and what its answers are worth.

use std::collections::VecDeque;
use std::ops::Range;

use jiff::Timestamp;

use super::arguments::{Connection, Global, Pinned};
use super::bodies::{genesis, malformed, receive};
use super::connect::{QueryClient, connect_to_ask};
use super::failure::Failure;
use crate::entry::body::Body;
use crate::entry::genesis::Genesis;
use crate::entry::{Header, v1};
use crate::index::filter::{Filter, Operand, Truth};
use crate::index::{Facts, Plan};
use crate::note::VerifierKey;
use crate::verify::{Question, verify_page};

/// The most matches of a page.
pub(super) const MAX_PAGE_SIZE: u64 = 1_000;

/// What is asked.
pub(super) struct Ask {
    pub(super) filter: Filter,
    /// The seqs asked about.
    pub(super) range: Range<u64>,
    pub(super) descending: bool,
    /// The tree size at which to answer; the newest if it is none.
    pub(super) size: Option<u64>,
    /// Whether to ask for proofs.
    pub(super) prove: bool,
    /// The most matches of a page.
    pub(super) page_size: u64,
}

/// An answer, page by page.
pub(super) struct Answer {
    query: QueryClient,
    genesis: Genesis,
    key: VerifierKey,
    pinned: bool,
    ask: Ask,
    /// What the server is asked for when the answer is re-derived: every entry that can match by its seq and its time.
    reading: Option<Filter>,
    token: String,
    /// What is not answered yet.
    open: Range<u64>,
    ready: VecDeque<(Header, Body)>,
    worth: Worth,
}

/// What an answer is worth.
#[derive(Debug, Clone, Default)]
pub(super) struct Worth {
    /// The tree size at which it was answered; none before the first page.
    pub(super) size: Option<u64>,
    /// The seqs that were answered for.
    pub(super) answered: Option<Range<u64>>,
    /// The last seal relied on, and the seq behind the last entry that its index covers.
    pub(super) seal: Option<(u64, u64)>,
    /// Entries that were read and judged without the index, if that was asked for.
    read: Option<u64>,
    /// Entries of which it cannot be told whether they match.
    pub(super) unknown: Vec<u64>,
    /// What the server read.
    pub(super) cost: v1::SearchCost,
}

/// Asks one ledger, one question after the other.
pub(super) struct Asker {
    query: QueryClient,
    genesis: Genesis,
    key: VerifierKey,
    pinned: bool,
}

impl Asker {
    /// Connects, and asks nothing yet.
    pub(super) async fn connect(connection: &Connection, pinned: &Pinned) -> Result<Self, Failure> {
        let pinned = pinned.key()?;
        let (mut client, query) = connect_to_ask(connection).await?;
        let answer = client
            .get_genesis(v1::GetGenesisRequest {})
            .await?
            .into_inner();
        let genesis = genesis(&answer.descriptor)?;
        let key = pinned
            .clone()
            .unwrap_or_else(|| genesis.verifier_key().clone());
        Ok(Self {
            query,
            genesis,
            key,
            pinned: pinned.is_some(),
        })
    }

    /// Asks a question.
    pub(super) fn ask(&self, ask: Ask) -> Answer {
        Answer {
            query: self.query.clone(),
            genesis: self.genesis.clone(),
            key: self.key.clone(),
            pinned: self.pinned,
            open: ask.range.clone(),
            ask,
            reading: None,
            token: String::new(),
            ready: VecDeque::new(),
            worth: Worth::default(),
        }
    }

    /// A client for questions.
    pub(super) fn query(&self) -> QueryClient {
        self.query.clone()
    }

    /// What the ledger is.
    pub(super) fn genesis(&self) -> &Genesis {
        &self.genesis
    }

    /// The key that has to have signed its checkpoints.
    pub(super) fn key(&self) -> &VerifierKey {
        &self.key
    }

    /// Whether the key is one that was given, not one that the server itself gave.
    pub(super) fn is_pinned(&self) -> bool {
        self.pinned
    }
}

impl Answer {
    /// The same answer, read from the entries alone: the sealed index is not relied on.
    pub(super) fn rederived(mut self, rederive: bool) -> Result<Self, Failure> {
        if rederive {
            self.reading = Some(within_bounds(&self.ask.filter)?);
            self.worth.read = Some(0);
            self.ask.prove = true;
            self.ask.page_size = MAX_PAGE_SIZE;
        }
        Ok(self)
    }

    /// The next match, if there is one.
    pub(super) async fn next(&mut self) -> Result<Option<(Header, Body)>, Failure> {
        while self.ready.is_empty() && !self.is_answered() {
            self.next_page().await?;
        }
        Ok(self.ready.pop_front())
    }

    /// The ledger's name.
    pub(super) fn origin(&self) -> &str {
        self.genesis.origin()
    }

    /// What the answer is worth so far.
    pub(super) fn worth(&self) -> &Worth {
        &self.worth
    }

    fn is_answered(&self) -> bool {
        self.worth
            .size
            .is_some_and(|size| self.open.start >= self.open.end.min(size))
    }

    async fn next_page(&mut self) -> Result<(), Failure> {
        let order = if self.ask.descending {
            v1::Order::Descending
        } else {
            v1::Order::Ascending
        };
        let end = self.ask.range.end;
        let request = v1::SearchRequest {
            filter: self.asked().to_string(),
            order: order.into(),
            page_size: u32::try_from(self.ask.page_size).unwrap_or(u32::MAX),
            page_token: std::mem::take(&mut self.token),
            size: self.ask.size.unwrap_or(0),
            start: self.ask.range.start,
            end: if end == u64::MAX { 0 } else { end },
            prove: self.ask.prove,
        };
        let page = self.query.search(request).await?.into_inner();
        let window = if self.ask.prove {
            self.take_proved(&page)?
        } else {
            self.take_plain(&page)?
        };
        // The pages of an answer are of one size.
        self.ask.size = Some(page.size);
        self.worth.size = Some(page.size);
        self.token = page.next_page_token;
        if let Some(cost) = page.cost {
            self.worth.add_cost(&cost);
        }
        let answered = self.worth.answered.get_or_insert_with(|| window.clone());
        answered.start = answered.start.min(window.start);
        answered.end = answered.end.max(window.end);
        if self.ask.descending {
            self.open.end = window.start;
        } else {
            self.open.start = window.end;
        }
        if self.token.is_empty() && !self.is_answered() {
            return Err(malformed("it ends before the question does"));
        }
        Ok(())
    }

    fn take_proved(&mut self, page: &v1::SearchResponse) -> Result<Range<u64>, Failure> {
        let question = Question {
            genesis: &self.genesis,
            key: &self.key,
            filter: self.asked(),
            descending: self.ask.descending,
            open: self.open.clone(),
            size: self.ask.size,
        };
        let proved = verify_page(&question, page).map_err(|finding| {
            Failure::unproved("the answer is not proved to be complete", finding)
        })?;
        self.worth.unknown.extend(proved.unknown);
        self.worth.seal = proved.seal;
        for (header, body) in proved.matches {
            if self.reading.is_none() || self.judge(&header, &body)? {
                self.ready.push_back((header, body));
            }
        }
        if self.ask.descending {
            self.ready.make_contiguous().reverse();
        }
        Ok(proved.window)
    }

    /// The filter that the server is asked with.
    fn asked(&self) -> &Filter {
        self.reading.as_ref().unwrap_or(&self.ask.filter)
    }

    /// Whether an entry that was read matches.
    fn judge(&mut self, header: &Header, body: &Body) -> Result<bool, Failure> {
        let facts = Facts::new(header, body).map_err(|invalid| malformed(&invalid.to_string()))?;
        self.worth.read = self.worth.read.map(|read| read + 1);
        let truth = self.ask.filter.evaluate(&facts);
        if truth == Truth::Unknown {
            self.worth.unknown.push(header.seq);
        }
        Ok(truth == Truth::True)
    }

    fn take_plain(&mut self, page: &v1::SearchResponse) -> Result<Range<u64>, Failure> {
        for entry in &page.entries {
            let received = receive(entry)?;
            self.ready.push_back((received.header, received.body));
        }
        let window = page.start..page.end;
        let moves = if self.ask.descending {
            window.start < self.open.end
        } else {
            window.end > self.open.start
        };
        if moves || page.next_page_token.is_empty() {
            Ok(window)
        } else {
            Err(malformed("a page answers for nothing"))
        }
    }

    /// Says on standard error what the answer is worth.
    pub(super) fn say(&self, global: &Global, shown: u64) {
        self.worth.say(global, &entries(shown), self.trust());
    }

    /// Whether it is proved, and under whose key.
    pub(super) fn trust(&self) -> Trust {
        Trust {
            proved: self.ask.prove,
            pinned: self.pinned,
        }
    }
}

/// What an answer has to be believed for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Trust {
    /// It is proved to be complete.
    pub(super) proved: bool,
    /// The key is one that was given.
    pub(super) pinned: bool,
}

impl Worth {
    pub(super) fn add_cost(&mut self, cost: &v1::SearchCost) {
        let sum = &mut self.cost;
        sum.segments = sum.segments.saturating_add(cost.segments);
        sum.ranges = sum.ranges.saturating_add(cost.ranges);
        sum.entries = sum.entries.saturating_add(cost.entries);
    }

    /// Says on standard error what an answer of `what` is worth.
    pub(super) fn say(&self, global: &Global, what: &str, trust: Trust) {
        let (Some(size), Some(answered)) = (self.size, &self.answered) else {
            return;
        };
        let about = if *answered == (0..size) {
            format!("of all {size}")
        } else {
            format!(
                "of those from {} to before {}",
                answered.start, answered.end
            )
        };
        let strength = if trust.proved {
            self.strength(answered)
        } else {
            "not proved to be all".to_owned()
        };
        global.say(&format!("{what} {about}: {strength}"));
        if trust.proved && !trust.pinned {
            global.say("under the key that the server itself gave: pin the right one with --key");
        }
        if !self.unknown.is_empty() {
            let seqs: Vec<String> = self.unknown.iter().map(u64::to_string).collect();
            let seqs = seqs.join(", ");
            global.say(&format!(
                "cannot be told, since parts are withheld or erased: {seqs}"
            ));
        }
    }

    fn strength(&self, answered: &Range<u64>) -> String {
        let size = self.size.unwrap_or(0);
        if let Some(read) = self.read {
            return format!("complete to checkpoint {size} (re-derived: {read} entries read)");
        }
        match self.seal {
            Some((seal, covered)) if answered.start < covered => {
                let rest = answered.end.saturating_sub(covered.max(answered.start));
                let rest = match rest {
                    0 => String::new(),
                    rest => format!(", {rest} checked one by one"),
                };
                format!("complete to checkpoint {size} (sealed by entry {seal}{rest})")
            }
            _ => format!("complete to checkpoint {size} (every entry checked)"),
        }
    }

    /// Says how the server was asked, and what it read.
    pub(super) fn explain(&self, global: &Global, filter: &Filter) {
        let plan = Plan::new(filter);
        let text = filter.to_string();
        let text = if text.is_empty() {
            "every entry"
        } else {
            &text
        };
        global.say(&format!("filter    {}", super::render::escape(text)));
        for range in plan.ranges() {
            global.say(&format!(
                "terms     {}",
                super::render::escape(&range.to_string())
            ));
        }
        let judged = judged(filter);
        if !judged.is_empty() {
            global.say(&format!(
                "judged    {} (not indexed), in each entry that the rest leaves",
                judged.join(", ")
            ));
        }
        let v1::SearchCost {
            segments,
            ranges,
            entries,
        } = self.cost;
        global.say(&format!(
            "read      {ranges} ranges of terms in {segments} segments, {entries} entries"
        ));
    }
}

/// The fields of a filter that no index helps with: neither terms nor seqs nor times.
fn judged(filter: &Filter) -> Vec<&'static str> {
    let mut fields = Vec::new();
    filter.visit_tests(&mut |test| {
        if let Operand::Field(field) = test.operand
            && field.tag.is_none()
            && !["seq", "recorded_at"].contains(&field.name)
            && !fields.contains(&field.name)
        {
            fields.push(field.name);
        }
    });
    fields
}

/// So many entries, in words.
pub(super) fn entries(count: u64) -> String {
    match count {
        1 => "1 entry".to_owned(),
        count => format!("{} entries", thousands(count)),
    }
}

/// A number with a comma between thousands.
pub(super) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The filter that leaves what the seqs and times of a filter by themselves leave.
fn within_bounds(filter: &Filter) -> Result<Filter, Failure> {
    let plan = Plan::new(filter);
    let bounds = plan.bounds();
    let mut all = vec![format!("seq >= {}", bounds.seqs.start)];
    if bounds.seqs.end != u64::MAX {
        all.push(format!("seq < {}", bounds.seqs.end));
    }
    let times = [(">=", bounds.recorded_from), ("<", bounds.recorded_before)];
    for (comparator, time) in times {
        if let Some(time) = time {
            let time = Timestamp::from_nanosecond(time.into())
                .map_err(|error| Failure::usage(format!("recorded_at: {error}")))?;
            all.push(format!("recorded_at {comparator} {time}"));
        }
    }
    Filter::parse(&all.join(" AND ")).map_err(|error| Failure::usage(error.to_string()))
}
