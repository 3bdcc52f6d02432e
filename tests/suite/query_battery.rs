//! Random ledgers and random filters, in one process: what a page proves against a scan of every entry of its window.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ed25519_dalek::SigningKey;
use graven::entry::body::{Body, Content};
use graven::entry::wire::read_entry;
use graven::entry::{CheckedEvent, Header, Seed, Tag, signature, v1};
use graven::index::filter::{Filter, Truth};
use graven::index::{FIELDS, Facts, Field, FieldKind, Value};
use graven::ledger::{Ledger, Search};
use graven::service::search_response;
use graven::store::{Direction, MemoryDisk};
use graven::verify::{Question, verify_page};
use prost::Message;

use super::ledger_support::{Operator, Random, append};
use super::verify_support::checked;

/// Questions that are put to one ledger.
const QUESTIONS_A_LEDGER: u64 = 4_000;

fn queries() -> u64 {
    let asked = std::env::var("GRAVEN_QUERIES").ok();
    asked.map_or(6_000, |queries| {
        queries.parse().expect("GRAVEN_QUERIES is a number")
    })
}

/// How many different values the fields of a ledger have: few, so that filters hit, or many.
struct Vocabulary {
    few: u64,
    many: u64,
}

impl Vocabulary {
    fn name(&self, random: &mut Random, what: &str) -> String {
        // A quarter of all have the first value, so that there are long lists and short ones.
        let number = if random.one_in(4) {
            0
        } else {
            random.below(self.few)
        };
        format!("{what}{number}")
    }

    fn maybe(&self, random: &mut Random, what: &str) -> String {
        if random.one_in(2) {
            return String::new();
        }
        self.name(random, what)
    }

    fn names(&self, random: &mut Random, what: &str) -> Vec<String> {
        let count = random.below(3);
        (0..count).map(|_| self.name(random, what)).collect()
    }

    fn version(&self, random: &mut Random) -> Option<v1::Version> {
        let number = random.below(self.many);
        (!random.one_in(3)).then(|| v1::Version {
            ids: vec![format!("sha256:{number:064x}")],
            ..Default::default()
        })
    }

    fn target(&self, random: &mut Random) -> v1::Target {
        v1::Target {
            uri: format!(
                "fs://nfs-1/{}/{}.py",
                self.name(random, "dir"),
                random.below(self.many)
            ),
            owner: self.maybe(random, "oidc:corp/user"),
            before: self.version(random),
            after: self.version(random),
            instance: self.maybe(random, "inode"),
            ..Default::default()
        }
    }

    fn reference(&self, random: &mut Random) -> v1::Reference {
        v1::Reference {
            uri: format!("s3://data/{}", random.below(self.many)),
            version: self.version(random),
            ..Default::default()
        }
    }

    fn references(&self, random: &mut Random) -> Vec<v1::Reference> {
        (0..random.below(3))
            .map(|_| self.reference(random))
            .collect()
    }

    fn what(&self, random: &mut Random) -> v1::What {
        v1::What {
            action: format!(
                "{}.{}",
                random.choose(&["file", "job"]),
                self.name(random, "verb_")
            ),
            outcome: random.below(4) as i32,
            targets: (0..1 + random.below(2))
                .map(|_| self.target(random))
                .collect(),
            run: random.one_in(2).then(|| v1::Run {
                id: self.name(random, "run"),
                job: self.maybe(random, "job"),
                gpus: random.one_in(2).then(|| 1 << random.below(8)),
                ..Default::default()
            }),
            inputs: self.references(random),
            outputs: self.references(random),
            code: random.one_in(4).then(|| v1::Code {
                repository: self.name(random, "git://host/repo"),
                commit: format!("git-sha1:{:040x}", random.below(self.many)),
                ..Default::default()
            }),
            participants: self.names(random, "oidc:corp/user"),
            ..Default::default()
        }
    }

    fn event(&self, random: &mut Random, number: u64) -> CheckedEvent {
        let occurred_at = 1_700_000_000_000_000_000 + (number * 1_234_567_891_011) as i64;
        checked(&v1::Event {
            who: (!random.one_in(5)).then(|| v1::Who {
                actor: self.maybe(random, "oidc:corp/user"),
                assurance: random.below(4) as i32,
                on_behalf_of: self.names(random, "oidc:corp/user"),
                ..Default::default()
            }),
            what: Some(self.what(random)),
            context: Some(v1::Context {
                source: self.name(random, "agent:"),
                source_seq: random.one_in(2).then_some(number),
                occurred_at: (!random.one_in(4)).then_some(occurred_at),
                host: self.maybe(random, "host"),
                correlation_id: self.maybe(random, "flow"),
                causation_seq: random.one_in(4).then_some(number / 2),
                ..Default::default()
            }),
            why: random.one_in(2).then(|| v1::Why {
                reason: self.maybe(random, "because "),
                ticket: self.maybe(random, "T-"),
                labels: vec![v1::Label {
                    key: "team".into(),
                    value: self.name(random, "t"),
                }],
                ..Default::default()
            }),
            ..Default::default()
        })
    }
}

/// An event with a signature by an actor.
fn signed(mut event: CheckedEvent, origin: &str) -> CheckedEvent {
    let parts: Vec<_> = event
        .parts
        .iter()
        .map(|(tag, bytes)| (*tag, bytes.as_ref()))
        .collect();
    let key = SigningKey::from_bytes(&[7; 32]);
    event.actor_signature = Some(signature::sign(&key, &Seed([5; 32]), origin, &parts));
    event
}

/// A ledger with a sealed index, and what every entry of it says.
pub(super) struct Asked {
    pub(super) operator: Operator,
    pub(super) ledger: Ledger,
    pub(super) size: u64,
    pub(super) entries: Vec<(Header, Body)>,
    pub(super) facts: Vec<Facts>,
}

impl Asked {
    pub(super) fn new(random: &mut Random) -> Self {
        let operator = Operator::default();
        let disk = MemoryDisk::new();
        operator.init(&disk).unwrap();
        let ledger = operator.open(&disk).unwrap();
        let vocabulary = Vocabulary {
            few: 2 + random.below(30),
            many: 10 + random.below(5_000),
        };
        // One in sixteen has a segment that was merged.
        let events = if random.one_in(16) {
            17_000
        } else {
            2_000 + random.below(4_000)
        };
        let mut number = 0;
        while number < events {
            let batch = 1 + random.below(400).min(events - number - 1);
            let events: Vec<_> = (number..number + batch)
                .map(|number| {
                    let event = vocabulary.event(random, number);
                    if random.one_in(16) {
                        signed(event, ledger.genesis().origin())
                    } else {
                        event
                    }
                })
                .collect();
            append(&ledger, &events).unwrap();
            operator
                .clock
                .pass(Duration::from_millis(random.below(5_000)));
            number += batch;
        }
        let mut asked = Self {
            operator,
            ledger,
            size: 0,
            entries: Vec::new(),
            facts: Vec::new(),
        };
        asked.wait_for_seal(events / 1_024 * 1_024);
        asked.size = asked.ledger.published().size();
        while (asked.facts.len() as u64) < asked.size {
            let rest = asked.facts.len() as u64..asked.size;
            for entry in asked.ledger.next_entries(rest, Direction::Forward).unwrap() {
                asked.facts.push(entry.facts().unwrap());
                asked.entries.push((entry.header, entry.body));
            }
        }
        asked
    }

    fn wait_for_seal(&self, covered: u64) {
        for _ in 0..4_000 {
            let page = self.page(
                &Query::about("seq < 1", 0..1),
                self.ledger.published().size(),
            );
            let proved = self.verify(&Query::about("seq < 1", 0..1), &page, None);
            if proved.unwrap().seal.map_or(0, |(_, covered)| covered) >= covered {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        panic!("the index was not sealed up to {covered}");
    }

    /// A page as a client receives it.
    pub(super) fn page(&self, query: &Query, size: u64) -> v1::SearchResponse {
        let search = Search {
            filter: &query.filter,
            size,
            range: query.range.clone(),
            direction: query.direction(),
            limit: query.limit,
            prove: query.prove,
        };
        let page = self.ledger.search(&search).unwrap();
        let sent = search_response(page, size, String::new()).encode_to_vec();
        v1::SearchResponse::decode(sent.as_slice()).unwrap()
    }

    pub(super) fn verify(
        &self,
        query: &Query,
        page: &v1::SearchResponse,
        size: Option<u64>,
    ) -> Result<graven::verify::ProvedPage, graven::verify::Finding> {
        let question = Question {
            genesis: self.ledger.genesis(),
            key: &self.operator.key().verifier(),
            filter: &query.filter,
            descending: query.descending,
            open: query.range.clone(),
            size,
        };
        verify_page(&question, page)
    }

    /// An entry as it is sent.
    pub(super) fn message(&self, seq: u64) -> v1::Entry {
        let query = Query::about(&format!("seq = {seq}"), seq..seq + 1);
        self.page(&query, self.size).entries[0].clone()
    }

    /// The seqs of a window that match, and those of which it cannot be told.
    pub(super) fn scan(
        &self,
        filter: &Filter,
        window: &Range<u64>,
        hidden: &[(u64, Tag)],
    ) -> (Vec<u64>, Vec<u64>) {
        let (mut matches, mut unknown) = (Vec::new(), Vec::new());
        for seq in window.clone() {
            let tags: Vec<Tag> = hidden
                .iter()
                .filter(|(of, _)| *of == seq)
                .map(|(_, tag)| *tag)
                .collect();
            let truth = if tags.is_empty() {
                filter.evaluate(&self.facts[seq as usize])
            } else {
                let (header, body) = &self.entries[seq as usize];
                filter.evaluate(&Facts::new(header, &body.clone().withhold(&tags)).unwrap())
            };
            match truth {
                Truth::True => matches.push(seq),
                Truth::Unknown => unknown.push(seq),
                Truth::False => {}
            }
        }
        (matches, unknown)
    }
}

pub(super) struct Query {
    pub(super) text: String,
    pub(super) filter: Filter,
    pub(super) range: Range<u64>,
    pub(super) descending: bool,
    pub(super) limit: usize,
    pub(super) prove: bool,
}

impl Query {
    pub(super) fn about(text: &str, range: Range<u64>) -> Self {
        let filter = Filter::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        Self {
            text: text.into(),
            filter,
            range,
            descending: false,
            limit: 10,
            prove: true,
        }
    }

    fn direction(&self) -> Direction {
        if self.descending {
            Direction::Reverse
        } else {
            Direction::Forward
        }
    }

    pub(super) fn random(random: &mut Random, asked: &Asked) -> Self {
        let size = asked.size;
        let start = random.below(size);
        let mut query = Self::about(&random_filter(random, asked, 2), 0..u64::MAX);
        query.range = match random.below(200) {
            0 => 0..u64::MAX,
            1 | 2 => start..u64::MAX,
            3..13 => start..start + random.below(1_500),
            // Around the place where two segments meet.
            13..40 => {
                let meeting = start.next_multiple_of(1_024);
                meeting.saturating_sub(random.below(12))..meeting + random.below(12)
            }
            _ => start..start + random.below(24),
        };
        query.descending = random.one_in(2);
        let most = if random.one_in(20) { 200 } else { 6 };
        query.limit = 1 + random.below(most) as usize;
        query
    }
}

/// How a value is written in a filter.
fn literal(value: Value<'_>, random: &mut Random) -> String {
    let quoted = |text: &str| {
        let text = text
            .replace('\\', "\\\\")
            .replace('"', "\\\"")
            .replace('*', "\\*");
        format!("\"{text}\"")
    };
    match value {
        Value::Text(text) | Value::Label(_, text) => {
            let mut text = text;
            if random.one_in(8) {
                text = text.split_once(':').map_or(text, |(_, rest)| rest);
            }
            quoted(text)
        }
        Value::Number(number) => number
            .saturating_add(random.below(3))
            .saturating_sub(1)
            .to_string(),
        Value::Time(nanos) => time(nanos + random.below(3) as i64 - 1),
        Value::Duration(nanos) => {
            let sign = if nanos < 0 { "-" } else { "" };
            let nanos = nanos.unsigned_abs();
            format!(
                "{sign}{}.{:09}s",
                nanos / 1_000_000_000,
                nanos % 1_000_000_000
            )
        }
        Value::True => random.choose(&["true", "false"]).to_string(),
    }
}

fn time(nanos: i64) -> String {
    jiff::Timestamp::from_nanosecond(nanos.into())
        .unwrap()
        .to_string()
}

/// A comparison of some field, mostly with a value that an entry has.
fn random_test(random: &mut Random, asked: &Asked) -> String {
    let facts = &asked.facts[random.below(asked.size) as usize];
    let with_values: Vec<(&Field, String)> = FIELDS
        .iter()
        .flat_map(|field| {
            let mut values = Vec::new();
            field.values(facts, &mut |value| {
                values.push((field, literal(value, random)))
            });
            values
        })
        .collect();
    let (field, value) = &with_values[random.below(with_values.len() as u64) as usize];
    let name = match field.kind {
        FieldKind::Label => "labels.team",
        _ => field.name,
    };
    let ordered = ["=", "!=", "<", "<=", ">", ">="];
    let cut = |random: &mut Random| {
        let text = value.trim_matches('"');
        let length = random.below(text.len() as u64 + 1) as usize;
        text.get(..length)
            .filter(|text| !text.ends_with('\\'))
            .unwrap_or_default()
            .to_owned()
    };
    match (field.kind, random.below(12)) {
        (_, 0) => format!("{name}:*"),
        (FieldKind::Flag, _) => format!("{name} = {value}"),
        (FieldKind::Word(_), 1..6) => format!("{name} != {value}"),
        (FieldKind::Word(_), _) => format!("{name} = {value}"),
        (FieldKind::Text | FieldKind::Version | FieldKind::Label, 1) => {
            format!("{name}:\"{}\"", cut(random))
        }
        (FieldKind::Text | FieldKind::Version | FieldKind::Label, 2..4) => {
            format!("{name} = \"{}*\"", cut(random))
        }
        (FieldKind::Text | FieldKind::Version, 4) => format!("{name} = \"*{}\"", cut(random)),
        (FieldKind::Text | FieldKind::Version, 5) => value.clone(),
        (FieldKind::Version, 6) => format!("digest = {value}"),
        (FieldKind::Text | FieldKind::Version | FieldKind::Label, 7) => {
            format!("{name} {} {value}", random.choose(&ordered))
        }
        (FieldKind::Text | FieldKind::Version | FieldKind::Label, 8) => {
            format!("{name} = \"nobody\"")
        }
        (FieldKind::Text | FieldKind::Version | FieldKind::Label, _) => format!("{name} = {value}"),
        _ => format!("{name} {} {value}", random.choose(&ordered)),
    }
}

fn random_filter(random: &mut Random, asked: &Asked, depth: u32) -> String {
    if depth == 0 || random.one_in(3) {
        return random_test(random, asked);
    }
    let (a, b) = (
        random_filter(random, asked, depth - 1),
        random_filter(random, asked, depth - 1),
    );
    match random.below(5) {
        0 | 1 => format!("({a}) AND ({b})"),
        2 => format!("({a}) OR ({b})"),
        3 => format!("({a}) AND NOT ({b})"),
        _ => format!("NOT ({a})"),
    }
}

/// Withholds some parts of some of the entries that a page shows. Of those, all that is then withheld: the server does so
/// itself where the rest tells that an entry does not match, and that rest may be hidden now.
fn hide(random: &mut Random, page: &mut v1::SearchResponse) -> Vec<(u64, Tag)> {
    let mut hidden = Vec::new();
    for entry in &mut page.entries {
        let (header, body) = read_entry(entry).unwrap();
        let before = hidden.len();
        for part in &mut entry.parts {
            let tag = Tag::from_number(part.tag).unwrap();
            if random.one_in(4) {
                let commitment = body.content(tag).unwrap().commitment();
                part.content = Some(v1::part::Content::Withheld(commitment.to_vec()));
                hidden.push((header.seq, tag));
            }
        }
        if hidden.len() > before {
            let withheld = body.parts().iter().filter_map(|(tag, content)| {
                matches!(content, Content::Withheld(_)).then_some((header.seq, *tag))
            });
            hidden.extend(withheld);
        }
    }
    hidden
}

#[derive(Default)]
struct Tally {
    queries: AtomicU64,
    pages: AtomicU64,
    matches: AtomicU64,
    unknown: AtomicU64,
}

/// Asks one question, page after page, and compares every page with a scan of its window.
fn ask(random: &mut Random, asked: &Asked, tally: &Tally) {
    let mut query = Query::random(random, asked);
    let size = if random.one_in(3) {
        1 + random.below(asked.size)
    } else {
        asked.size
    };
    let hiding = random.one_in(8);
    let plainly = random.one_in(4);
    for _ in 0..1 + random.below(3) {
        let about = || format!("{} in {:?} at {size}", query.text, query.range);
        let mut page = asked.page(&query, size);
        let hidden = if hiding {
            hide(random, &mut page)
        } else {
            Vec::new()
        };
        let proved = asked.verify(&query, &page, Some(size));
        let proved = proved.unwrap_or_else(|finding| panic!("{}: {finding}", about()));
        let found: Vec<u64> = proved
            .matches
            .iter()
            .map(|(header, _)| header.seq)
            .collect();
        let expected = asked.scan(&query.filter, &proved.window, &hidden);
        assert_eq!(
            (&found, &proved.unknown),
            (&expected.0, &expected.1),
            "{}",
            about()
        );
        assert!(found.len() <= query.limit, "{}", about());
        tally.pages.fetch_add(1, Ordering::Relaxed);
        tally
            .matches
            .fetch_add(found.len() as u64, Ordering::Relaxed);
        tally
            .unknown
            .fetch_add(proved.unknown.len() as u64, Ordering::Relaxed);
        if plainly {
            query.prove = false;
            let page = asked.page(&query, size);
            query.prove = true;
            let mut seqs: Vec<u64> = page
                .entries
                .iter()
                .map(|entry| Header::decode(&entry.header).unwrap().seq)
                .collect();
            assert!(
                seqs.is_sorted_by(|a, b| if query.descending { a > b } else { a < b }),
                "{}",
                about()
            );
            seqs.sort_unstable();
            let expected = asked.scan(&query.filter, &(page.start..page.end), &[]);
            assert_eq!(seqs, expected.0, "{}", about());
        }
        let open = query.range.start.min(size)..query.range.end.min(size);
        query.range = if query.descending {
            open.start..proved.window.start
        } else {
            proved.window.end..open.end
        };
        if query.range.start >= query.range.end {
            break;
        }
    }
    tally.queries.fetch_add(1, Ordering::Relaxed);
}

#[test]
fn random_filters_over_random_ledgers_answer_as_a_scan_does_and_every_page_is_proved() {
    let queries = queries();
    let tally = Tally::default();
    let next = AtomicU64::new(0);
    let work = || {
        loop {
            let ledger = next.fetch_add(1, Ordering::Relaxed);
            let first = ledger * QUESTIONS_A_LEDGER.min(queries.div_ceil(4));
            let count = QUESTIONS_A_LEDGER
                .min(queries.div_ceil(4))
                .min(queries.saturating_sub(first));
            if count == 0 {
                return;
            }
            let mut random = Random(0x5eed_0000 + ledger);
            let asked = Asked::new(&mut random);
            for _ in 0..count {
                ask(&mut random, &asked, &tally);
            }
            let Tally {
                queries,
                pages,
                matches,
                unknown,
            } = &tally;
            let [queries, pages, matches, unknown] =
                [queries, pages, matches, unknown].map(|count| count.load(Ordering::Relaxed));
            println!(
                "ledger {ledger}: {queries} queries, {pages} pages, {matches} matches, {unknown} not to be told"
            );
        }
    };
    let started = std::time::Instant::now();
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..2).map(|_| scope.spawn(work)).collect();
        for worker in workers {
            worker.join().unwrap();
        }
    });
    println!("{queries} queries in {:.1?}", started.elapsed());
    assert_eq!(tally.queries.load(Ordering::Relaxed), queries);
    assert!(
        tally.matches.load(Ordering::Relaxed) > queries,
        "the filters hit too little"
    );
    assert!(tally.unknown.load(Ordering::Relaxed) > queries / 100);
}
