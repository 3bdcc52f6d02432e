//! A server that lies about counts: the walk of [`query_lies`](super::query_lies) over every field of every message of a
//! count, at every depth. No such page is believed to say anything else than a scan of its window.

use std::collections::BTreeMap;

use graven::entry::v1;
use graven::index::filter::{Filter, Truth};
use graven::index::{Counts, GroupBy, Tally};
use graven::ledger::Count;
use graven::service::count_response;
use graven::verify::{CountQuestion, verify_count};
use prost::Message;

use super::ledger_support::Random;
use super::query_battery::Asked;
use super::query_lies::{Schema, lies, place};

/// A question about how many.
struct Question {
    text: String,
    filter: Filter,
    group_by: Option<GroupBy>,
    start: u64,
    next_value: Option<Vec<u8>>,
}

impl Question {
    fn new(text: &str, group_by: &str, start: u64) -> Self {
        Self {
            text: format!("{text} by {group_by} from {start}"),
            filter: Filter::parse(text).unwrap(),
            group_by: (!group_by.is_empty()).then(|| GroupBy::parse(group_by).unwrap()),
            start,
            next_value: None,
        }
    }
}

/// A page as a client receives it.
fn page(asked: &Asked, question: &Question, end: u64, limit: usize) -> v1::CountResponse {
    let count = Count {
        filter: &question.filter,
        group_by: question.group_by,
        size: asked.size,
        range: question.start..end,
        next_value: question.next_value.clone(),
        limit,
        prove: true,
    };
    let page = asked.ledger.count(&count).unwrap();
    let sent = count_response(page, question.group_by, asked.size, String::new());
    v1::CountResponse::decode(sent.encode_to_vec().as_slice()).unwrap()
}

fn add(tally: &mut Tally, seq: u64) {
    let first = if tally.count == 0 { seq } else { tally.first };
    *tally = Tally {
        count: tally.count + 1,
        first,
        last: seq,
    };
}

/// What there is to count in the window, of the values from the first to before the next.
fn scan(
    asked: &Asked,
    question: &Question,
    window: std::ops::Range<u64>,
    next: Option<&Vec<u8>>,
) -> Counts {
    let mut counts = Counts::default();
    for seq in window {
        let facts = &asked.facts[seq as usize];
        if question.filter.evaluate(facts) != Truth::True {
            continue;
        }
        add(&mut counts.total, seq);
        let Some(group_by) = question.group_by else {
            continue;
        };
        let terms = group_by.terms(facts).unwrap();
        counts.absent += u64::from(terms.is_empty());
        for term in terms {
            let from = question
                .next_value
                .as_ref()
                .is_none_or(|from| term >= *from);
            if from && next.is_none_or(|next| term < *next) {
                add(counts.groups.entry(term).or_default(), seq);
            }
        }
    }
    if question.next_value.is_some() {
        (counts.total, counts.absent) = (Tally::default(), 0);
    }
    counts
}

/// Whether a false page is believed. It must not say anything else than a scan.
fn check(
    asked: &Asked,
    question: &Question,
    end: u64,
    what: &str,
    page: &v1::CountResponse,
) -> bool {
    let key = asked.operator.key().verifier();
    let asked_for = CountQuestion {
        genesis: asked.ledger.genesis(),
        key: &key,
        filter: &question.filter,
        group_by: question.group_by,
        open: question.start..end,
        next_value: question.next_value.clone(),
        size: Some(asked.size),
    };
    let Ok(believed) = verify_count(&asked_for, page) else {
        return false;
    };
    let about = format!("{}: {what}", question.text);
    assert_eq!(believed.size, asked.size, "{about}");
    assert!(believed.unknown.is_empty(), "{about}: nothing is withheld");
    assert_eq!(believed.window.start, question.start, "{about}");
    let next = believed.next_value.as_ref();
    let scanned = scan(asked, question, believed.window, next);
    assert_eq!(believed.counts, scanned, "{about}");
    true
}

/// Questions of each kind: exact and not, by fields of few values and of many, bounded in time, and the second page of the
/// values of a window.
fn questions(asked: &Asked) -> Vec<(Question, u64, usize)> {
    // Of what no segment covers a few entries, for each of them is shown.
    let covered = (asked.size - 64) / 1_024 * 1_024;
    let size = covered + 4;
    let middle = &asked.entries[covered as usize / 2].0;
    let time = jiff::Timestamp::from_nanosecond(middle.recorded_at.into()).unwrap();
    let mut questions = vec![
        (Question::new("kind = event", "", 0), size, 10),
        (Question::new("", "outcome", 0), size, 10),
        (
            Question::new("outcome = success", "assurance", 5),
            covered,
            10,
        ),
        (Question::new("run:*", "gpus", 900), 1_100, 10),
        (
            Question::new("action:verb_1", "outcome", covered - 12),
            size,
            10,
        ),
        (
            Question::new(&format!("recorded_at >= {time}"), "kind", 0),
            covered,
            10,
        ),
        (
            Question::new(&format!("recorded_at < {time}"), "", 0),
            covered,
            10,
        ),
    ];
    let mut second = Question::new("", "actor", 0);
    let first = page(asked, &second, size, 2);
    assert!(!first.next_value.is_empty(), "the values are more than fit");
    second.next_value = Some(first.next_value.clone());
    second.text.push_str(", second page");
    questions.push((Question::new("", "actor", 0), size, 2));
    questions.push((second, first.end, 2));
    questions
}

#[test]
fn no_field_of_a_count_can_lie() {
    let schema = Schema::read();
    let mut random = Random(47);
    let asked = Asked::new(&mut random);
    let (mut tried, mut harmless) = (0u64, BTreeMap::<String, u64>::new());
    for (question, end, limit) in questions(&asked) {
        let page = page(&asked, &question, end, limit);
        let text = &question.text;
        assert!(check(&asked, &question, end, "nothing", &page), "{text}");
        lies(
            &schema,
            ".graven.v1.CountResponse",
            &page.encode_to_vec(),
            "page",
            &mut |what, lie| {
                let lie = v1::CountResponse::decode(lie.as_slice());
                if lie.as_ref().is_ok_and(|lie| *lie == page) {
                    return;
                }
                tried += 1;
                let Ok(lie) = lie else { return };
                if check(&asked, &question, end, &what, &lie) {
                    *harmless.entry(place(&what)).or_default() += 1;
                }
            },
        );
    }
    println!("{tried} lies; believed, and the counts the same: {harmless:?}");
    assert!(tried > 5_000, "only {tried} lies were told");
    // What is no part of the proof, or not needed for this one: names of values, which a client makes from the terms, a tally
    // of nothing that is left out, fewer entries or values than could be counted, and a seal whose index is not relied on.
    let allowed = [
        "page.next_page_token",
        "page.cost",
        "page.groups.value",
        "page.groups.cut",
        "page.total",
        "page.end",
        "page.next_value",
        "page.proof.consistency",
        "page.proof.root",
        "page.proof.first",
        "page.proof.last",
        // Of a range that is shown without leaves, and then counts as every entry.
        "page.proof.segments.ranges.first_leaf",
        "page.proof.segments.ranges.hashes",
        "page.proof.segments.ranges.postings",
    ];
    let is_allowed = |field: &String| {
        field == "page.proof.seal" || allowed.iter().any(|allowed| field.starts_with(allowed))
    };
    assert!(harmless.keys().all(is_allowed), "{harmless:?}");
}

/// The terms are the same whatever the time asked about, and so is their proof: what keeps the two apart is that the bounds
/// in time are proved.
#[test]
fn counts_of_all_times_are_not_believed_of_some() {
    let asked = Asked::new(&mut Random(48));
    let covered = (asked.size - 64) / 1_024 * 1_024;
    let middle = &asked.entries[covered as usize / 2].0;
    let time = jiff::Timestamp::from_nanosecond(middle.recorded_at.into()).unwrap();
    for bound in [
        format!("recorded_at >= {time}"),
        format!("recorded_at < {time}"),
    ] {
        for group_by in ["", "outcome"] {
            let of_all = Question::new("kind = event", group_by, 0);
            let of_some = Question::new(&format!("kind = event AND {bound}"), group_by, 0);
            let lie = page(&asked, &of_all, covered, 10);
            assert!(check(&asked, &of_all, covered, "nothing", &lie));
            let believed = check(&asked, &of_some, covered, "all times", &lie);
            assert!(!believed, "{bound}");
            let truth = page(&asked, &of_some, covered, 10);
            assert!(
                check(&asked, &of_some, covered, "nothing", &truth),
                "{bound}"
            );
        }
    }
}
