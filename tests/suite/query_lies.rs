//! A server that lies: every field of every message of an answer, at every depth, is changed, dropped, repeated and swapped
//! with a sibling, as the proto files say that there are fields. No such answer is believed to say anything else than the
//! true one.

use std::collections::BTreeMap;

use graven::entry::v1;
use graven::index::filter::Filter;
use prost::Message;
use prost::encoding::{WireType, decode_key, decode_varint, encode_key, encode_varint};
use prost_types::FileDescriptorSet;
use prost_types::field_descriptor_proto::Type;

use super::ledger_support::Random;
use super::query_battery::{Asked, Query};

const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// For each message its fields: number, name and, if it is a message itself, of which type.
pub(super) struct Schema(BTreeMap<String, BTreeMap<u32, (String, Option<String>)>>);

impl Schema {
    pub(super) fn read() -> Self {
        let files = FileDescriptorSet::decode(DESCRIPTORS).unwrap();
        let mut messages = BTreeMap::new();
        for file in files.file {
            for message in file.message_type {
                let fields = message.field.iter().map(|field| {
                    let inner =
                        (field.r#type() == Type::Message).then(|| field.type_name().to_owned());
                    (field.number() as u32, (field.name().to_owned(), inner))
                });
                let name = format!(
                    ".{}.{}",
                    file.package.clone().unwrap_or_default(),
                    message.name()
                );
                messages.insert(name, fields.collect());
            }
        }
        Self(messages)
    }
}

/// A field of an encoded message.
#[derive(Clone, PartialEq)]
struct Field {
    number: u32,
    value: FieldValue,
}

#[derive(Clone, PartialEq)]
enum FieldValue {
    Number(u64),
    Bytes(Vec<u8>),
}

fn read(mut message: &[u8]) -> Vec<Field> {
    let mut fields = Vec::new();
    while !message.is_empty() {
        let (number, wire) = decode_key(&mut message).unwrap();
        let value = decode_varint(&mut message).unwrap();
        let value = match wire {
            WireType::Varint => FieldValue::Number(value),
            WireType::LengthDelimited => {
                let (bytes, rest) = message.split_at(value as usize);
                message = rest;
                FieldValue::Bytes(bytes.to_vec())
            }
            other => panic!("no field of an answer is {other:?}"),
        };
        fields.push(Field { number, value });
    }
    fields
}

fn write(fields: &[Field]) -> Vec<u8> {
    let mut message = Vec::new();
    for Field { number, value } in fields {
        match value {
            FieldValue::Number(value) => {
                encode_key(*number, WireType::Varint, &mut message);
                encode_varint(*value, &mut message);
            }
            FieldValue::Bytes(bytes) => {
                encode_key(*number, WireType::LengthDelimited, &mut message);
                encode_varint(bytes.len() as u64, &mut message);
                message.extend_from_slice(bytes);
            }
        }
    }
    message
}

/// Of many repeated items, which are tried.
const ITEMS: usize = 6;

/// Every lie about the message: where and how, and the message with it.
pub(super) fn lies(
    schema: &Schema,
    name: &str,
    message: &[u8],
    path: &str,
    take: &mut dyn FnMut(String, Vec<u8>),
) {
    let known = &schema.0[name];
    let fields = read(message);
    let mut seen: BTreeMap<u32, usize> = BTreeMap::new();
    for (at, field) in fields.iter().enumerate() {
        let count = fields
            .iter()
            .filter(|other| other.number == field.number)
            .count();
        let item = seen.entry(field.number).or_default();
        *item += 1;
        if *item > ITEMS && *item < count {
            continue;
        }
        let (field_name, inner) = &known[&field.number];
        let path = format!("{path}.{field_name}[{}]", *item - 1);
        let with = |value: FieldValue| {
            let mut changed = fields.clone();
            changed[at].value = value;
            write(&changed)
        };
        let mut dropped = fields.clone();
        dropped.remove(at);
        take(format!("{path} dropped"), write(&dropped));
        let mut doubled = fields.clone();
        doubled.insert(at, field.clone());
        take(format!("{path} twice"), write(&doubled));
        // The next of the same field, and the next one that could be mistaken for it.
        let sibling = |same: bool| {
            fields.iter().enumerate().skip(at + 1).find(|(_, other)| {
                (other.number == field.number) == same
                    && matches!(
                        (&other.value, &field.value),
                        (FieldValue::Number(_), FieldValue::Number(_))
                            | (FieldValue::Bytes(_), FieldValue::Bytes(_))
                    )
            })
        };
        for (other, _) in [sibling(true), sibling(false)].into_iter().flatten() {
            let mut swapped = fields.clone();
            let value = swapped[at].value.clone();
            swapped[at].value = std::mem::replace(&mut swapped[other].value, value);
            take(format!("{path} swapped"), write(&swapped));
        }
        match (&field.value, inner) {
            (FieldValue::Number(number), _) => {
                for changed in [
                    number.wrapping_add(1),
                    number.wrapping_sub(1),
                    0,
                    u64::MAX,
                    number ^ (1 << 10),
                ] {
                    take(
                        format!("{path} = {changed}"),
                        with(FieldValue::Number(changed)),
                    );
                }
            }
            (FieldValue::Bytes(bytes), Some(inner)) => {
                take(format!("{path} empty"), with(FieldValue::Bytes(Vec::new())));
                lies(schema, inner, bytes, &path, &mut |what, inside| {
                    take(what, with(FieldValue::Bytes(inside)));
                });
            }
            (FieldValue::Bytes(bytes), None) => {
                let places = [
                    0,
                    bytes.len() / 3,
                    bytes.len() / 2,
                    bytes.len().saturating_sub(1),
                ];
                for place in places {
                    let mut flipped = bytes.clone();
                    if let Some(byte) = flipped.get_mut(place) {
                        *byte ^= 1;
                        take(
                            format!("{path} flipped at {place}"),
                            with(FieldValue::Bytes(flipped)),
                        );
                    }
                }
                let cut = |at: usize| bytes[..at.min(bytes.len())].to_vec();
                let lengths = [
                    0,
                    bytes.len() / 2,
                    bytes.len().saturating_sub(1),
                    bytes.len().saturating_sub(32),
                ];
                for length in lengths {
                    take(
                        format!("{path} cut to {length}"),
                        with(FieldValue::Bytes(cut(length))),
                    );
                }
                let longer = [bytes.as_slice(), &[0; 32]].concat();
                take(format!("{path} longer"), with(FieldValue::Bytes(longer)));
            }
        }
    }
    // What is not there is put there.
    for (number, (field_name, inner)) in known {
        if fields.iter().any(|field| field.number == *number) {
            continue;
        }
        let values = if inner.is_some() {
            vec![FieldValue::Bytes(Vec::new())]
        } else {
            vec![FieldValue::Bytes(vec![7; 32]), FieldValue::Number(1)]
        };
        for value in values {
            let mut more = fields.clone();
            more.push(Field {
                number: *number,
                value,
            });
            more.sort_by_key(|field| field.number);
            take(format!("{path}.{field_name} added"), write(&more));
        }
    }
}

/// The field of a lie, without the places in lists.
pub(super) fn place(what: &str) -> String {
    let path = what.split(' ').next().unwrap_or_default();
    path.split('[')
        .map(|piece| piece.split_once(']').map_or(piece, |(_, rest)| rest))
        .collect()
}

/// Whether a false page is believed to say anything else than a scan.
fn check(asked: &Asked, query: &Query, size: u64, what: &str, page: &v1::SearchResponse) -> bool {
    let Ok(believed) = asked.verify(query, page, Some(size)) else {
        return false;
    };
    let about = || format!("{} in {:?} at {size}: {what}", query.text, query.range);
    let found: Vec<u64> = believed
        .matches
        .iter()
        .map(|(header, _)| header.seq)
        .collect();
    let (expected, _) = asked.scan(&query.filter, &believed.window, &[]);
    // Of an entry that is withheld it cannot be told.
    let told: Vec<u64> = expected
        .into_iter()
        .filter(|seq| !believed.unknown.contains(seq))
        .collect();
    assert_eq!(found, told, "{} changed the answer", about());
    assert_eq!(believed.size, size, "{}", about());
    for (header, body) in &believed.matches {
        let (true_header, true_body) = &asked.entries[header.seq as usize];
        assert_eq!(header, true_header, "{}", about());
        let same = body.commitments().eq(true_body.commitments());
        assert!(same, "{}: another body", about());
    }
    true
}

fn questions(random: &mut Random, asked: &Asked) -> Vec<(Query, u64)> {
    let mut questions = Vec::new();
    while questions.len() < 14 {
        let mut query = Query::random(random, asked);
        query.prove = true;
        let size = match questions.len() % 3 {
            0 => 1 + random.below(asked.size),
            _ => asked.size,
        };
        let page = asked.page(&query, size);
        let proof = page.proof.as_ref().unwrap();
        // Of every kind something, and not too much.
        let lists = proof
            .segments
            .iter()
            .any(|segment| !segment.ranges.is_empty());
        if (1..12).contains(&page.entries.len()) && lists && page.encoded_len() < 60_000 {
            questions.push((query, size));
        }
    }
    for filter in [
        "recorded_at >= {t} kind = event",
        "recorded_at < {t} kind = event",
    ] {
        let middle = asked.entries[asked.entries.len() / 2].0.recorded_at;
        let time = jiff::Timestamp::from_nanosecond(middle.into()).unwrap();
        let mut query = Query::about(&filter.replace("{t}", &time.to_string()), 0..u64::MAX);
        query.limit = 3;
        query.descending = filter.contains('<');
        questions.push((query, asked.size));
    }
    questions
}

#[test]
fn no_field_of_an_answer_can_lie() {
    let schema = Schema::read();
    let mut random = Random(41);
    let asked = Asked::new(&mut random);
    let (mut tried, mut harmless) = (0u64, BTreeMap::<String, u64>::new());
    for (query, size) in questions(&mut random, &asked) {
        let page = asked.page(&query, size);
        assert!(
            check(&asked, &query, size, "nothing", &page),
            "{}",
            query.text
        );
        let encoded = page.encode_to_vec();
        lies(
            &schema,
            ".graven.v1.SearchResponse",
            &encoded,
            "page",
            &mut |what, lie| {
                let Ok(false_page) = v1::SearchResponse::decode(lie.as_slice()) else {
                    tried += 1;
                    return;
                };
                if false_page == page {
                    return;
                }
                tried += 1;
                if check(&asked, &query, size, &what, &false_page) {
                    *harmless.entry(place(&what)).or_default() += 1;
                }
            },
        );
    }
    println!("{tried} lies; believed, and the answer the same: {harmless:?}");
    assert!(tried > 8_000, "only {tried} lies were told");
    // What is no part of the proof, or not needed for this one; a window that is smaller; and a list that is not relied on,
    // since the entries that the others leave are all shown.
    let allowed = [
        "page.next_page_token",
        "page.cost",
        "page.start",
        "page.end",
        "page.proof.consistency",
        "page.proof.root",
        "page.proof.first",
        "page.proof.last",
        "page.proof.segments.ranges",
    ];
    let is_allowed = |field: &String| allowed.iter().any(|allowed| field.starts_with(allowed));
    assert!(harmless.keys().all(is_allowed), "{harmless:?}");
}

#[test]
fn nothing_stale_is_believed_to_be_new() {
    let mut random = Random(43);
    let asked = Asked::new(&mut random);
    let size = asked.size;
    let mut query = Query::about("actor:* AND action:*", 0..u64::MAX);
    query.limit = 40;
    let page = asked.page(&query, size);
    assert!(check(&asked, &query, size, "nothing", &page));
    // A page of an older tree, for a question about the newer one.
    let older = asked.page(&query, size - 7);
    assert!(!check(&asked, &query, size, "an older page", &older));
    let mut renamed = older.clone();
    renamed.size = size;
    assert!(!check(
        &asked,
        &query,
        size,
        "an older page under the new size",
        &renamed
    ));
    // The first page again, when the second is asked for.
    let first = asked.verify(&query, &page, Some(size)).unwrap().window;
    let second = Query {
        range: first.end..u64::MAX,
        ..Query::about(&query.text, 0..1)
    };
    assert!(!check(&asked, &second, size, "the first page", &page));
    // The page of another question.
    let other = Query {
        filter: Filter::parse("action:*").unwrap(),
        ..Query::about("action:*", 0..u64::MAX)
    };
    let wrong = asked.page(&other, size);
    assert!(!check(
        &asked,
        &query,
        size,
        "another question's page",
        &wrong
    ));
    // An older seal, rightly included, with the newer one's segments; and every other entry for the seal.
    let seals: Vec<u64> = asked
        .facts
        .iter()
        .filter(|facts| facts.header.kind == graven::entry::Kind::Seal)
        .map(|facts| facts.header.seq)
        .collect();
    assert!(!seals.is_empty());
    let newest = *seals.last().unwrap();
    for seq in seals
        .iter()
        .copied()
        .chain((0..size).step_by(97))
        .filter(|seq| *seq != newest)
    {
        let mut stale = page.clone();
        let proof = stale.proof.as_mut().unwrap();
        proof.seal = Some(asked.message(seq));
        proof.seal_inclusion = asked.ledger.prove_inclusion(seq, size).unwrap().concat();
        assert!(
            !check(&asked, &query, size, "another seal", &stale),
            "seal {seq}"
        );
    }
    // A segment, a list, a run of another place.
    let proof = page.proof.as_ref().unwrap();
    for (to, from) in [(0, 1), (1, 0)] {
        if proof.segments.len() < 2 {
            break;
        }
        let mut stale = page.clone();
        let segments = &mut stale.proof.as_mut().unwrap().segments;
        segments[to].ranges = segments[from].ranges.clone();
        assert!(!check(
            &asked,
            &query,
            size,
            "another segment's lists",
            &stale
        ));
    }
}
