//! What an entry is found by: read off its sealed bytes, it is what its decoded messages come to.

use bytes::Bytes;
use graven::entry::body::{Body, Content};
use graven::entry::{Header, Kind, Tag, v1};
use graven::index::filter::{Filter, Truth};
use graven::index::{FIELDS, Facts, Plan, Ranges, SegmentId, TermMap, Value};
use proptest::prelude::*;
use prost::Message;

use super::entry_support::{event, seal, seal_parts, twelve_events};

const ID: SegmentId = SegmentId {
    level: 0,
    number: 0,
};

fn parts(body: &Body) -> Vec<(Tag, Bytes)> {
    let disclosed = body.parts().iter().map(|(tag, content)| match content {
        Content::Disclosed { bytes, .. } => (*tag, bytes.clone()),
        other => panic!("{other:?}"),
    });
    disclosed.collect()
}

/// The segments of these entries, made in each of the three ways.
fn segments(entries: &[(Header, Body)]) -> [Vec<u8>; 3] {
    let mut maps = [TermMap::default(), TermMap::default(), TermMap::default()];
    let [decoded, checked, walked] = &mut maps;
    for (header, body) in entries {
        let parts = parts(body);
        decoded.push_entry(&Facts::new(header, body).unwrap());
        checked.push_parts(header, &parts).unwrap();
        let bytes = parts.iter().map(|(tag, bytes)| (*tag, bytes.as_ref()));
        walked.push_canonical(header.kind, bytes);
    }
    maps.map(|map| map.write(ID, Vec::new()).unwrap().1)
}

fn assert_same(entries: &[(Header, Body)]) {
    let [decoded, checked, walked] = segments(entries);
    assert!(decoded == checked, "checked: {entries:?}");
    assert!(decoded == walked, "walked: {entries:?}");
}

#[test]
fn the_twelve_events_have_the_same_terms_in_either_way() {
    let entries: Vec<_> = twelve_events()
        .into_iter()
        .map(|line| seal(&graven::entry::json::read(line).unwrap()))
        .collect();
    assert_same(&entries);
}

#[test]
fn a_seal_has_the_same_terms_in_either_way() {
    let what = v1::What {
        action: "ledger.seal".into(),
        act: Some(v1::LedgerAct {
            act: Some(v1::ledger_act::Act::Seal(v1::Seal {
                index_version: 1,
                levels: vec![v1::SealLevel {
                    segments: 300,
                    root: vec![7; 32],
                }],
            })),
        }),
        ..Default::default()
    };
    let what = vec![(Tag::What, Bytes::from(what.encode_to_vec()))];
    let (mut header, body) = seal_parts(&super::entry_support::envelope(), what);
    header.kind = Kind::Seal;
    assert_same(&[(header, body)]);
}

#[test]
fn bytes_that_no_door_lets_in_are_indexed_as_they_decode() {
    // Twice the actor: of a field that is there once, the last one counts.
    let twice: Vec<u8> = ["\n\x09other:one", "\n\x09other:two"].concat().into();
    let (header, body) = seal_parts(
        &super::entry_support::envelope(),
        vec![(Tag::Who, twice.into())],
    );
    let [decoded, checked, _] = segments(&[(header, body)]);
    assert_eq!(decoded, checked);
}

/// What the lists of a segment of these entries leave.
fn left_by_lists(plan: &Plan, entries: &[(Header, Body)]) -> Ranges {
    let mut map = TermMap::default();
    for (header, body) in entries {
        map.push_entry(&Facts::new(header, body).unwrap());
    }
    let lists = plan.ranges().iter();
    let lists: Vec<_> = lists.map(|range| Some(map.entries_with(range))).collect();
    plan.candidates(&lists, &(0..entries.len() as u64)).seqs
}

/// Filters about all indexed fields, and about values of an entry.
fn filters(entry: &(Header, Body)) -> Vec<Filter> {
    let facts = Facts::new(&entry.0, &entry.1).unwrap();
    let mut texts: Vec<String> = [
        "",
        "action = file.update outcome = success",
        "occurred_at >= 2024-06-20 occurred_at < 2024-06-21",
        "target = \"fs://*\" OR foreign = true",
        "actor < \"oidc:m\" NOT kind = event",
        "reason:* NOT digest = 9f86d081*",
    ]
    .map(String::from)
    .into();
    for field in FIELDS.iter().filter(|field| field.tag.is_some()) {
        texts.push(format!("{}:*", field.name));
        texts.push(format!("NOT {}:*", field.name));
        field.values(&facts, &mut |value| {
            if let Value::Text(text) = value {
                let text = text
                    .replace('\\', "\\\\")
                    .replace('"', "\\\"")
                    .replace('*', "\\*");
                texts.push(format!("{} = \"{text}\" NOT run:*", field.name));
                texts.push(format!("NOT {} = \"{text}\"", field.name));
            }
        });
    }
    let filters = texts.iter().map(|text| Filter::parse(text));
    filters.filter_map(Result::ok).collect()
}

/// What is shown is left out as the lists of a segment would leave it out, and never when it can match.
fn assert_leaves(entries: &[(Header, Body)], hidden: usize) {
    let mut shown = entries.to_vec();
    let (_, body) = &mut shown[hidden];
    *body = body.clone().withhold(&[Tag::What, Tag::Why]);
    let mut left_out = 0;
    for filter in entries.iter().flat_map(filters) {
        let plan = Plan::new(&filter);
        let left = plan.possible_among(entries);
        assert_eq!(left, left_by_lists(&plan, entries), "{filter}");
        left_out += entries.len() as u64 - left.len();
        let left = plan.possible_among(&shown);
        for (header, body) in &shown {
            let truth = filter.evaluate(&Facts::new(header, body).unwrap());
            assert!(
                truth == Truth::False || left.contains(header.seq),
                "{filter}"
            );
        }
    }
    assert!(left_out > 0);
}

fn numbered(events: impl Iterator<Item = v1::Event>) -> Vec<(Header, Body)> {
    let sealed = events.enumerate().map(|(seq, event)| {
        let (mut header, body) = seal(&event);
        header.seq = seq as u64;
        (header, body)
    });
    sealed.collect()
}

#[test]
fn entries_that_are_shown_are_left_out_as_the_lists_of_a_segment_would() {
    let lines = twelve_events().into_iter();
    let entries = numbered(lines.map(|line| graven::entry::json::read(line).unwrap()));
    for hidden in 0..entries.len() {
        assert_leaves(&entries, hidden);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn random_events_have_the_same_terms_in_either_way(events in prop::collection::vec(event(), 1..6)) {
        let entries: Vec<_> = events.iter().map(seal).collect();
        assert_same(&entries);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn random_entries_are_left_out_likewise(
        events in prop::collection::vec(event(), 2..5),
        hidden in 0..2_usize,
    ) {
        assert_leaves(&numbered(events.into_iter()), hidden);
    }
}
