//! Counts over gRPC against a scan of every entry, plain and proved, and a server that lies about them.

use std::collections::BTreeMap;
use std::ops::Range;

use graven::entry::v1;
use graven::index::filter::{Filter, Truth};
use graven::index::{Counts, GroupBy, Tally, Value, field};
use graven::verify::{CountQuestion, Finding, ProvedCounts, verify_count};
use prost::Message;

use super::ledger_support::Random;
use super::service_query::{Asked, event, jiff_text, pick, queries, random_filter};
use super::service_support::verifier;

const FIELDS: [&str; 13] = [
    "actor",
    "action",
    "target",
    "outcome",
    "run",
    "gpus",
    "source",
    "foreign",
    "kind",
    "owner",
    "occurred_at",
    "submitter",
    "session",
];

/// Events of few values, some with several targets, and some with targets too long for a term.
fn events(number: u64) -> Vec<v1::Event> {
    let mut random = Random(number);
    let mut all = Vec::new();
    for n in 0..number {
        let mut event = event(&mut random, n);
        let what = event.what.as_mut().unwrap();
        for _ in 0..random.below(3) {
            what.targets.push(v1::Target {
                uri: format!("fs://lustre-1/also/{}", random.below(6)),
                ..Default::default()
            });
        }
        if random.below(20) == 0 {
            what.targets.push(v1::Target {
                uri: format!("fs://lustre-1/{}{}", "x".repeat(600), random.below(3)),
                ..Default::default()
            });
        }
        all.push(event);
    }
    all
}

fn question(filter: &str, group_by: &str, range: &Range<u64>, size: u64) -> v1::CountRequest {
    v1::CountRequest {
        filter: filter.into(),
        group_by: group_by.into(),
        size,
        start: range.start,
        end: if range.end == u64::MAX { 0 } else { range.end },
        ..Default::default()
    }
}

fn tally(said: Option<v1::Tally>) -> Tally {
    let v1::Tally { count, first, last } = said.unwrap_or_default();
    Tally { count, first, last }
}

/// The terms of a field's values, each once, computed here.
fn terms(asked: &Asked, seq: u64, name: &str) -> Vec<Vec<u8>> {
    let mut terms = Vec::new();
    let field = field(name).unwrap();
    field.values(&asked.facts[seq as usize], &mut |value| {
        terms.push(match value {
            Value::Text(text) => text.as_bytes()[..text.len().min(512)].to_vec(),
            Value::Number(number) => number.to_be_bytes().to_vec(),
            Value::Time(time) => {
                let hour = time.div_euclid(3_600_000_000_000) as u64 ^ 1 << 63;
                hour.to_be_bytes().to_vec()
            }
            _ => Vec::new(),
        });
    });
    terms.sort();
    terms.dedup();
    terms
}

fn add(group: &mut Tally, seq: u64) {
    if group.count == 0 {
        group.first = seq;
    }
    group.count += 1;
    group.last = seq;
}

/// What a scan of every entry below `size` finds.
fn scan(asked: &Asked, filter: &str, name: &str, range: &Range<u64>, size: u64) -> Counts {
    let filter = Filter::parse(filter).unwrap();
    let mut counts = Counts::default();
    for facts in asked.facts.iter().take(size as usize) {
        let seq = facts.header.seq;
        if !range.contains(&seq) || filter.evaluate(facts) != Truth::True {
            continue;
        }
        add(&mut counts.total, seq);
        if name.is_empty() {
            continue;
        }
        let terms = terms(asked, seq, name);
        counts.absent += u64::from(terms.is_empty());
        for term in terms {
            add(counts.groups.entry(term).or_default(), seq);
        }
    }
    counts
}

fn merge(all: &mut Counts, page: Counts) {
    all.total = all.total.and(page.total);
    all.absent += page.absent;
    for (term, tally) in page.groups {
        all.add_group(term, tally);
    }
}

/// All pages, added up. Each is checked when they are to be proved.
async fn count(asked: &mut Asked, mut request: v1::CountRequest) -> (Counts, usize) {
    let mut all = Counts::default();
    let mut pages = 0;
    let end = if request.end == 0 {
        u64::MAX
    } else {
        request.end
    };
    let mut open = request.start..end;
    let mut next_value = None;
    loop {
        let page = asked.query.count(request.clone()).await;
        let page = page.unwrap_or_else(|error| panic!("{request:?}: {error}"));
        let page = page.into_inner();
        assert!(page.unknown.is_empty());
        pages += 1;
        let said = Counts {
            total: tally(page.total),
            absent: page.absent,
            groups: page
                .groups
                .iter()
                .map(|group| (group.term.clone(), tally(group.entries)))
                .collect::<BTreeMap<_, _>>(),
        };
        if request.prove {
            let proved = verify(asked, &request, open.clone(), next_value.clone(), &page);
            let proved = proved.unwrap_or_else(|finding| panic!("{request:?}: {finding}"));
            assert_eq!(proved.counts, said);
        }
        merge(&mut all, said);
        next_value = Some(page.next_value).filter(|value| !value.is_empty());
        open = match next_value {
            Some(_) => page.start..page.end,
            None => page.end..end,
        };
        if page.next_page_token.is_empty() {
            return (all, pages);
        }
        request.page_token = page.next_page_token;
    }
}

fn verify(
    asked: &Asked,
    request: &v1::CountRequest,
    open: Range<u64>,
    next_value: Option<Vec<u8>>,
    page: &v1::CountResponse,
) -> Result<ProvedCounts, Finding> {
    let group_by = request.group_by.as_str();
    let question = CountQuestion {
        genesis: &asked.genesis,
        key: &verifier(),
        filter: &Filter::parse(&request.filter).unwrap(),
        group_by: (!group_by.is_empty()).then(|| GroupBy::parse(group_by).unwrap()),
        open,
        next_value,
        size: (request.size > 0).then_some(request.size),
    };
    verify_count(&question, page)
}

async fn compare(asked: &mut Asked, random: &mut Random, filter: &str) -> u64 {
    let size = asked.facts.len() as u64;
    let at = if random.below(3) == 0 {
        1 + random.below(size)
    } else {
        size
    };
    let range = match random.below(3) {
        0 => 0..u64::MAX,
        1 => random.below(size)..u64::MAX,
        _ => {
            let start = random.below(size);
            start..start + 1 + random.below(size)
        }
    };
    let name = match random.below(8) {
        0 => "",
        _ => pick(random, &FIELDS),
    };
    let expected = scan(asked, filter, name, &range, at);
    for prove in [false, true] {
        let request = v1::CountRequest {
            page_size: 1 + random.below(60) as u32,
            prove,
            ..question(filter, name, &range, at)
        };
        let (counts, _) = count(asked, request).await;
        assert_eq!(
            counts, expected,
            "{filter} by {name} in {range:?} at {at}, proved: {prove}"
        );
    }
    expected.total.count
}

#[tokio::test(flavor = "multi_thread")]
async fn random_counts_are_those_of_a_scan_and_proved() {
    let mut asked = Asked::with(events(3_400)).await;
    let mut random = Random(11);
    let mut matched = 0;
    for n in 0..queries() {
        let filter = match n % 5 {
            0 => String::new(),
            _ => random_filter(&mut random, (n % 3) as u32),
        };
        matched += compare(&mut asked, &mut random, &filter).await;
    }
    assert!(matched > 1_000, "only {matched} matches");
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_of_long_lists_and_times_are_proved() {
    let mut asked = Asked::with(events(18_000)).await;
    let time = |seq: usize| jiff_text(i128::from(asked.facts[seq].header.recorded_at));
    let (early, late) = (time(2_700), time(15_100));
    let filters = [
        String::new(),
        "kind = event".to_owned(),
        "actor = oidc:corp/alice".to_owned(),
        format!("recorded_at >= {early}"),
        format!("recorded_at > {early} recorded_at < {late} NOT action = job.cancel"),
        format!("recorded_at > {late} recorded_at < {early}"),
        "occurred_at >= 2023-11-16 occurred_at < 2023-11-20T01:00:00Z".to_owned(),
        "seq >= 700 AND NOT seq = 9000 AND gpus >= 64".to_owned(),
        "recorded_at < 1980-01-01".to_owned(),
    ];
    let mut random = Random(5);
    for filter in &filters {
        for _ in 0..3 {
            compare(&mut asked, &mut random, filter).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn few_values_are_counted_from_few_bytes() {
    let mut asked = Asked::with(events(18_000)).await;
    let request = v1::CountRequest {
        prove: true,
        ..question("", "source", &(0..16_384), 0)
    };
    let page = asked
        .query
        .count(request.clone())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(page.next_page_token, "");
    assert_eq!(page.groups.len(), 3, "two sources, and the ledger's seals");
    assert!(page.entries.is_empty());
    assert!(page.encoded_len() < 40_000, "{}", page.encoded_len());
    let proved = verify(&asked, &request, 0..16_384, None, &page).unwrap();
    assert_eq!(
        proved.counts,
        scan(&asked, "", "source", &(0..16_384), u64::MAX)
    );
}

/// The page of an answer that counts with one thing changed, for every part of its encoding that is sampled.
fn lies(page: &v1::CountResponse, random: &mut Random, most: usize) -> Vec<v1::CountResponse> {
    let mut lies = Vec::new();
    let mut lie = |edit: &dyn Fn(&mut v1::CountResponse)| {
        let mut false_page = page.clone();
        edit(&mut false_page);
        lies.push(false_page);
    };
    fn proof(page: &mut v1::CountResponse) -> &mut v1::SearchProof {
        page.proof.as_mut().unwrap()
    }
    lie(&|p| p.proof = None);
    lie(&|p| p.start += 1);
    lie(&|p| p.end -= 1);
    lie(&|p| p.size -= 1);
    lie(&|p| p.total = None);
    lie(&|p| p.total.as_mut().unwrap().count += 1);
    lie(&|p| p.total.as_mut().unwrap().last += 1);
    lie(&|p| p.absent += 1);
    lie(&|p| drop(p.groups.pop()));
    lie(&|p| p.groups.reverse());
    lie(&|p| p.unknown.push(3));
    lie(&|p| p.next_value = vec![1]);
    lie(&|p| p.next_value = p.groups.last().map_or(vec![2], |group| group.term.clone()));
    lie(&|p| p.entries.clear());
    lie(&|p| drop(p.entries.pop()));
    lie(&|p| proof(p).seal = None);
    lie(&|p| proof(p).first = None);
    lie(&|p| proof(p).last = None);
    lie(&|p| {
        let proof = proof(p);
        std::mem::swap(&mut proof.first, &mut proof.earlier);
    });
    lie(&|p| {
        let proof = proof(p);
        std::mem::swap(&mut proof.last, &mut proof.later);
    });
    for index in 0..page.groups.len() {
        lie(&|p| drop(p.groups.remove(index)));
        lie(&|p| p.groups[index].entries.as_mut().unwrap().count -= 1);
        lie(&|p| p.groups[index].entries.as_mut().unwrap().first += 1);
        lie(&|p| p.groups[index].term.push(0));
    }
    for index in 0..page.proof.as_ref().unwrap().segments.len() {
        lie(&|p| drop(proof(p).segments.remove(index)));
        lie(&|p| proof(p).segments[index].terms += 1);
        let ranges = page.proof.as_ref().unwrap().segments[index].ranges.len();
        for range in 0..ranges {
            lie(&|p| drop(proof(p).segments[index].ranges.remove(range)));
            lie(&|p| proof(p).segments[index].ranges[range] = v1::TermProof::default());
            lie(&|p| drop(proof(p).segments[index].ranges[range].postings.pop()));
            lie(&|p| proof(p).segments[index].ranges[range].postings.reverse());
            lie(&|p| {
                for postings in &mut proof(p).segments[index].ranges[range].postings {
                    postings.first_chunk += 1;
                }
            });
            lie(&|p| proof(p).segments[index].ranges.swap(0, range));
        }
    }
    let encoded = page.encode_to_vec();
    for _ in 0..most {
        let mut altered = encoded.clone();
        let at = random.below(altered.len() as u64) as usize;
        altered[at] ^= 1 << random.below(8);
        lies.extend(v1::CountResponse::decode(altered.as_slice()).ok());
    }
    lies.retain(|lie| lie != page);
    lies
}

#[tokio::test(flavor = "multi_thread")]
async fn no_lie_about_counts_is_believed() {
    let mut asked = Asked::with(events(4_300)).await;
    let size = asked.facts.len() as u64;
    let mut random = Random(3);
    let early = jiff_text(i128::from(asked.facts[700].header.recorded_at));
    let late = jiff_text(i128::from(asked.facts[2_900].header.recorded_at));
    let timed = format!("recorded_at >= {early} recorded_at < {late}");
    let questions = [
        ("", "source", 0..u64::MAX),
        ("", "action", 100..2_500),
        ("actor = oidc:corp/mallory", "target", 0..3_000),
        (timed.as_str(), "outcome", 0..u64::MAX),
        (
            "foreign = true AND NOT action = job.cancel",
            "gpus",
            900..2_100,
        ),
        ("ticket = T-3", "actor", 1_500..2_000),
        ("kind = event", "", 0..u64::MAX),
    ];
    let mut tried = 0;
    for (filter, group_by, range) in questions {
        let request = v1::CountRequest {
            prove: true,
            ..question(filter, group_by, &range, size)
        };
        let page = asked
            .query
            .count(request.clone())
            .await
            .unwrap()
            .into_inner();
        let proved = verify(&asked, &request, range.clone(), None, &page).unwrap();
        let scanned = scan(&asked, filter, group_by, &proved.window, size);
        assert_eq!(proved.counts, scanned);
        for lie in lies(&page, &mut random, 150) {
            tried += 1;
            let Ok(believed) = verify(&asked, &request, range.clone(), None, &lie) else {
                continue;
            };
            // To count fewer entries or values, or to show more of them, is no lie as long as the counts are right.
            assert_eq!(believed.size, size);
            assert!(believed.unknown.is_empty());
            let mut scanned = scan(&asked, filter, group_by, &believed.window, size);
            if let Some(next) = &believed.next_value {
                scanned.groups.retain(|term, _| term < next);
            }
            assert_eq!(believed.counts, scanned, "{filter} by {group_by}");
        }
    }
    assert!(tried > 800, "only {tried} lies were told");
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_questions_about_counts_are_refused_by_name() {
    let mut asked = Asked::with(events(60)).await;
    let plain = question("", "actor", &(0..u64::MAX), 0);
    let first = v1::CountRequest {
        page_size: 1,
        group_by: "target".into(),
        ..plain.clone()
    };
    let page = asked.query.count(first.clone()).await.unwrap().into_inner();
    let next = v1::CountRequest {
        page_token: page.next_page_token,
        ..first
    };
    assert!(!next.page_token.is_empty());
    assert!(asked.query.count(next.clone()).await.is_ok());
    let with = |edit: &dyn Fn(&mut v1::CountRequest), of: &v1::CountRequest| {
        let mut request = of.clone();
        edit(&mut request);
        request
    };
    let cases = [
        (
            with(&|r| r.filter = "acter = x".into(), &plain),
            "did you mean actor",
        ),
        (with(&|r| r.filter = "(".repeat(20_000), &plain), "16384"),
        (
            with(&|r| r.group_by = "tarrget".into(), &plain),
            "did you mean target",
        ),
        (
            with(&|r| r.group_by = "x".repeat(9_000), &plain),
            "there is no field",
        ),
        (
            with(&|r| r.group_by = "ticket".into(), &plain),
            "but by kind, submitter",
        ),
        (
            with(&|r| r.group_by = "after".into(), &plain),
            "but by kind, submitter",
        ),
        (with(&|r| r.page_size = 10_001, &plain), "page_size"),
        (with(&|r| r.size = 999_999, &plain), "beyond"),
        (with(&|r| (r.start, r.end) = (5, 3), &plain), "start"),
        (
            with(&|r| r.page_token = "not base64!".into(), &plain),
            "is not one",
        ),
        (
            with(&|r| r.page_token = "A".repeat(5_000), &plain),
            "is not one",
        ),
        (
            with(&|r| r.group_by = "actor".into(), &next),
            "another question",
        ),
        (
            with(&|r| r.filter = "actor:*".into(), &next),
            "another question",
        ),
        (with(&|r| r.start = 1, &next), "another question"),
        (with(&|r| r.size = 7, &next), "is of size"),
    ];
    for (request, message) in cases {
        let refused = asked.query.count(request).await.unwrap_err();
        assert!(refused.message().contains(message), "{message}: {refused}");
    }
    let of_search = v1::SearchRequest {
        page_token: next.page_token,
        ..Default::default()
    };
    let refused = asked.query.search(of_search).await.unwrap_err();
    assert!(refused.message().contains("another question"), "{refused}");
}
