//! What an entry is found by: read off its sealed bytes, it is what its decoded messages come to.

use bytes::Bytes;
use graven::entry::body::{Body, Content};
use graven::entry::{Header, Kind, Tag, v1};
use graven::index::{Facts, SegmentId, TermMap};
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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn random_events_have_the_same_terms_in_either_way(events in prop::collection::vec(event(), 1..6)) {
        let entries: Vec<_> = events.iter().map(seal).collect();
        assert_same(&entries);
    }
}
