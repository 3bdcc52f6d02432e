//! Silences and holes, against a look at every moment and number by itself.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use graven::entry::body::Body;
use graven::entry::{Header, Kind, Seed, Tag, v1};
use graven::index::filter::{Filter, Truth};
use graven::index::{Facts, Tally};
use graven::inquiry::{
    Clock, Coverage, CoverageOptions, Expected, Inquiry, SourceReport, SourceState, Span, range_of,
};
use proptest::collection::vec;
use proptest::prelude::*;
use prost::Message;

const SECOND: i64 = 1_000_000_000;

fn facts(seq: u64, occurred_at: Option<i64>, source_seq: Option<u64>) -> Facts {
    let context = v1::Context {
        source: "agent:one".into(),
        source_seq,
        occurred_at,
        ..Default::default()
    };
    let parts = vec![(Tag::Context, Bytes::from(context.encode_to_vec()))];
    let body = Body::disclose(&Seed([9; 32]), parts).unwrap();
    let header = Header {
        kind: Kind::Event,
        actor_signature: false,
        seq,
        recorded_at: 1_000 * SECOND.unsigned_abs() + seq,
        body_hash: body.hash(),
        prev: [3; 32],
    };
    Facts::new(&header, &body).unwrap()
}

fn report(entries: &[Facts], silence: i64, expected: &Expected) -> Vec<SourceReport> {
    let mut coverage = Coverage::new(CoverageOptions {
        filter: Filter::parse("source:*").unwrap(),
        clock: Clock::Occurred,
        silence,
        lag: i64::MAX,
    });
    while let Some(question) = coverage.next() {
        for facts in entries {
            if question.filter.evaluate(facts) == Truth::True {
                let _ = coverage.take(facts);
            }
        }
    }
    assert!(!coverage.is_cut_off());
    coverage.report(expected)
}

proptest! {
    #[test]
    fn silences_are_where_nothing_is_near_whatever_the_order(
        times in vec(0..200i64, 1..40),
        silence in 1..30i64,
        known_before in any::<bool>(),
    ) {
        let entries: Vec<Facts> =
            (5..).zip(&times).map(|(seq, time)| facts(seq, Some(*time), None)).collect();
        let first = Tally { count: 1, first: if known_before { 2 } else { 5 }, last: 60 };
        let expected = Expected {
            known: BTreeMap::from([("agent:one".to_owned(), first)]),
            inventory: BTreeSet::new(),
            span: Span { from: Some(-50), to: Some(250) },
        };
        let found = report(&entries, silence, &expected);
        let mut heard: BTreeSet<i64> = times.iter().copied().collect();
        heard.insert(250);
        if known_before {
            heard.insert(-50);
        }
        let heard: Vec<i64> = heard.into_iter().collect();
        let silences: Vec<Span> = heard
            .windows(2)
            .filter(|pair| pair[1] - pair[0] > silence)
            .map(|pair| Span { from: Some(pair[0]), to: Some(pair[1]) })
            .collect();
        prop_assert_eq!(&found[0].silences, &silences);
        prop_assert_eq!(found[0].entries, times.len() as u64);
    }

    #[test]
    fn holes_are_the_numbers_that_nobody_had(numbers in vec(2..60u64, 1..50)) {
        let entries: Vec<Facts> =
            (0..).zip(&numbers).map(|(seq, number)| facts(seq, None, Some(*number))).collect();
        let found = report(&entries, SECOND, &Expected::default());
        let seen: BTreeSet<u64> = numbers.iter().copied().collect();
        let (first, last) = (*seen.first().unwrap(), *seen.last().unwrap());
        let missing: Vec<u64> = (first..last).filter(|number| !seen.contains(number)).collect();
        let found_missing: Vec<u64> =
            found[0].holes.iter().flat_map(|(first, last)| *first..=*last).collect();
        prop_assert_eq!(found_missing, missing);
        prop_assert_eq!(found[0].duplicates, (numbers.len() - seen.len()) as u64);
        prop_assert!(found[0].resets.is_empty());
    }
}

#[test]
fn a_counter_that_begins_again_is_no_hole_and_no_duplicate() {
    let numbers = [1, 2, 4, 1, 2, 3, 0, 1];
    let entries: Vec<Facts> = (0..)
        .zip(numbers)
        .map(|(seq, number)| facts(seq, None, Some(number)))
        .collect();
    let found = report(&entries, SECOND, &Expected::default());
    assert_eq!(found[0].holes, [(3, 3)]);
    assert_eq!(found[0].resets, [3, 7]);
    assert_eq!(found[0].duplicates, 0);
}

#[test]
fn a_clock_goes_back_only_against_the_order_of_the_source() {
    let at = |seq, second: i64, number| facts(seq, Some(second * SECOND), number);
    // The third came late, and its number says so.
    let late = [
        at(0, 10, Some(1)),
        at(1, 30, Some(3)),
        at(2, 20, Some(2)),
        at(3, 40, Some(4)),
    ];
    assert!(
        report(&late, i64::MAX, &Expected::default())[0]
            .steps
            .is_empty()
    );
    let back = [at(0, 10, Some(1)), at(1, 30, Some(2)), at(2, 20, Some(3))];
    let found = report(&back, i64::MAX, &Expected::default());
    let [step] = found[0].steps.as_slice() else {
        panic!("{found:?}")
    };
    assert_eq!(
        (step.seq, step.from, step.to),
        (2, 30 * SECOND, 20 * SECOND)
    );
    // Without a counter, a little disorder is nothing.
    let loose = [
        at(0, 30, None),
        at(1, 20, None),
        at(2, 300, None),
        at(3, 100, None),
    ];
    let found = report(&loose, i64::MAX, &Expected::default());
    assert_eq!(found[0].steps.len(), 1);
    assert_eq!(found[0].steps[0].seq, 3);
}

#[test]
fn sources_that_are_missing_are_silent_or_were_never_heard_from() {
    let tally = Tally {
        count: 3,
        first: 4,
        last: 9,
    };
    let expected = Expected {
        known: BTreeMap::from([("slurm:a100".to_owned(), tally)]),
        inventory: BTreeSet::from(["agent:one".to_owned(), "auditd:gpu-17".to_owned()]),
        span: Span::ALWAYS,
    };
    let found = report(&[facts(0, None, None)], SECOND, &expected);
    let states: Vec<(&str, SourceState)> = found
        .iter()
        .map(|report| (report.source.as_str(), report.state))
        .collect();
    assert_eq!(
        states,
        [
            ("agent:one", SourceState::Heard),
            ("auditd:gpu-17", SourceState::Never),
            ("slurm:a100", SourceState::Silent),
        ]
    );
    assert!(found[0].is_clean() && !found[1].is_clean() && !found[2].is_clean());
    assert_eq!(found[2].seqs, Some((4, 9)));
}

#[test]
fn the_range_of_a_filter_is_what_it_says_about_time() {
    let range = |filter: &str| range_of(&Filter::parse(filter).unwrap()).to_string();
    assert_eq!(range("actor = x AND (action = y OR seq = 3)"), "");
    assert_eq!(range("(actor = x seq > 3)"), "seq > 3");
    assert_eq!(
        range("(actor = x AND occurred_at >= 2026-01-01) AND recorded_at < 2026-02-01"),
        "(occurred_at >= 2026-01-01T00:00:00Z AND recorded_at < 2026-02-01T00:00:00Z)"
    );
}
