//! Exactly one encoding of an event is accepted: what the protobuf libraries emit, within the limits.

use bytes::Bytes;
use graven::entry::body::check_part;
use graven::entry::json::encode;
use graven::entry::{CheckedEvent, Invalid, MAX_EVENT_BYTES, Problem, Tag, v1};
use proptest::collection::vec;
use proptest::prelude::*;
use prost::Message;

use crate::entry_support::{TIMES, event};

const VARINT: u32 = 0;
const FIXED64: u32 = 1;
const LENGTH_DELIMITED: u32 = 2;

const WHO: u32 = 2;
const WHAT: u32 = 3;
const CONTEXT: u32 = 4;
const WHY: u32 = 5;
const DETAIL: u32 = 6;

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

fn key(number: u32, wire_type: u32) -> Vec<u8> {
    varint(u64::from(number << 3 | wire_type))
}

/// A length-delimited field.
fn field(number: u32, value: impl AsRef<[u8]>) -> Vec<u8> {
    let value = value.as_ref();
    [
        key(number, LENGTH_DELIMITED),
        varint(value.len() as u64),
        value.to_vec(),
    ]
    .concat()
}

fn number(field: u32, value: u64) -> Vec<u8> {
    [key(field, VARINT), varint(value)].concat()
}

fn zigzag(value: i64) -> u64 {
    (value << 1 ^ value >> 63) as u64
}

/// The fields 1 and 4 of a `What` that is complete.
fn action() -> Vec<u8> {
    field(1, "job.cancel")
}

fn target() -> Vec<u8> {
    field(4, field(1, "other:x"))
}

fn what(after: impl AsRef<[u8]>) -> Vec<u8> {
    field(WHAT, [&action(), &target(), after.as_ref()].concat())
}

fn context(after: impl AsRef<[u8]>) -> Vec<u8> {
    field(CONTEXT, [&field(1, "test"), after.as_ref()].concat())
}

fn check(bytes: impl AsRef<[u8]>) -> Result<CheckedEvent, Invalid> {
    CheckedEvent::check(&Bytes::copy_from_slice(bytes.as_ref()))
}

#[track_caller]
fn refused(parts: &[Vec<u8>], at: &str, problem: Problem) {
    let found = check(parts.concat()).expect_err("the event is refused");
    assert_eq!(found, Invalid::new(at, problem));
}

#[track_caller]
fn not_canonical(parts: &[Vec<u8>], at: &str, about: &str) {
    let found = check(parts.concat()).expect_err("the event is refused");
    assert_eq!(found.field, at, "{found}");
    assert!(
        matches!(found.problem, Problem::NotCanonical(text) if text.contains(about)),
        "{found}"
    );
}

proptest! {
    #[test]
    fn what_the_library_emits_is_accepted(event in event()) {
        let bytes = encode(&event);
        let checked = CheckedEvent::check(&bytes).unwrap();
        let again: Vec<Vec<u8>> =
            checked.parts.iter().map(|(tag, part)| field(tag.number().into(), part)).collect();
        prop_assert_eq!(again.concat(), &bytes[..]);
        prop_assert_eq!(&checked.idempotency_id[..], event.context.unwrap().idempotency_id);
        for (tag, part) in &checked.parts {
            prop_assert_eq!(check_part(*tag, part), Ok(()));
        }
    }

    #[test]
    fn what_is_accepted_is_what_the_library_emits(
        event in event(),
        edits in vec((any::<prop::sample::Index>(), any::<u8>(), 0..3u8), 1..4),
    ) {
        let mut bytes = encode(&event).to_vec();
        for (index, byte, edit) in edits {
            match edit {
                0 if !bytes.is_empty() => { let i = index.index(bytes.len()); bytes[i] = byte; }
                1 if !bytes.is_empty() => { bytes.remove(index.index(bytes.len())); }
                _ => bytes.insert(index.index(bytes.len() + 1), byte),
            }
        }
        if check(&bytes).is_ok() {
            prop_assert_eq!(v1::Event::decode(&bytes[..]).unwrap().encode_to_vec(), bytes);
        }
    }

    #[test]
    fn no_bytes_make_the_checker_panic(bytes in vec(any::<u8>(), 0..64)) {
        let _ = check(&bytes);
        for tag in Tag::ALL {
            let _ = check_part(tag, &bytes);
        }
    }

    #[test]
    fn a_cut_event_is_refused(event in event(), cut in any::<prop::sample::Index>()) {
        let bytes = encode(&event);
        let cut = cut.index(bytes.len());
        // A cut between parts leaves an event without them, which may be complete.
        if let Ok(checked) = check(&bytes[..cut]) {
            prop_assert!(checked.part(Tag::Context).is_some());
            prop_assert!(CheckedEvent::check(&bytes).unwrap().parts.len() > checked.parts.len());
        }
    }
}

#[test]
fn the_least_event_is_accepted() {
    check([what([]), context([])].concat()).unwrap();
}

#[test]
fn what_is_required_is_missed() {
    let required = |parts: &[Vec<u8>], at: &str| refused(parts, at, Problem::Required);
    required(&[], "event");
    required(&[context([])], "what");
    required(&[field(WHAT, target()), context([])], "what.action");
    required(&[field(WHAT, action()), context([])], "what.targets");
    let nameless = field(4, field(2, "instance"));
    required(&[what(nameless), context([])], "what.targets[1].uri");
    required(&[what([])], "context");
    required(
        &[what([]), field(CONTEXT, field(3, "id"))],
        "context.source",
    );
    let signature = [field(1, [1; 32]), field(2, [1; 64]), field(3, [1; 32])];
    for (missing, name) in ["public_key", "signature", "seed"].into_iter().enumerate() {
        let mut signature = signature.clone();
        signature[missing].clear();
        let signature = field(7, signature.concat());
        required(
            &[what([]), context([]), signature],
            &format!("actor_signature.{name}"),
        );
    }
}

#[test]
fn fields_stand_in_order_and_once() {
    let order = "repeat or are out of order";
    not_canonical(&[context([]), what([])], "what", order);
    not_canonical(&[what([]), what([]), context([])], "what", order);
    not_canonical(
        &[what([]), context(field(1, "test"))],
        "context.source",
        order,
    );
    not_canonical(
        &[what(field(3, "code")), context([])],
        "what.outcome_code",
        order,
    );
    let target = field(
        4,
        [field(1, "other:x"), field(5, "other:y"), field(2, "i")].concat(),
    );
    not_canonical(
        &[what(target), context([])],
        "what.targets[1].instance",
        order,
    );
}

#[test]
fn unknown_fields_are_refused() {
    let event = [what([]), context([])];
    for unknown in [1, 8, 1000] {
        let parts = [&[field(unknown, "x")], &event[..]].concat();
        let sorted = if unknown == 1 {
            parts
        } else {
            [&event[..], &[field(unknown, "x")]].concat()
        };
        refused(&sorted, "", Problem::UnknownField(unknown));
    }
    refused(
        &[what(field(13, "x")), context([])],
        "what",
        Problem::UnknownField(13),
    );
    let target = field(4, [field(1, "other:x"), field(10, "x")].concat());
    refused(
        &[what(target), context([])],
        "what.targets[1]",
        Problem::UnknownField(10),
    );
    let zero = [what([]), context([]), vec![2, 0]];
    refused(&zero, "", Problem::UnknownField(0));
}

#[test]
fn numbers_have_their_shortest_form() {
    let shortest = "not in its shortest form";
    let seq = [key(2, VARINT), vec![0x85, 0x00]].concat();
    not_canonical(&[what([]), context(seq)], "context.source_seq", shortest);
    let length = [key(3, LENGTH_DELIMITED), vec![0x81, 0x00, b'x']].concat();
    not_canonical(&[what([]), context(length)], "context.source_id", shortest);
    not_canonical(
        &[what([]), context([0x9a, 0x00, 1, b'x'])],
        "context",
        shortest,
    );
    let endless = [key(2, VARINT), vec![0xff; 9], vec![0x02]].concat();
    refused(
        &[what([]), context(endless)],
        "context.source_seq",
        Problem::OutOfRange,
    );
    let unended = [key(2, VARINT), vec![0xff]].concat();
    not_canonical(
        &[what([]), context(unended)],
        "context.source_seq",
        "cut off",
    );
}

#[test]
fn default_values_are_not_encoded() {
    let outcome = field(WHAT, [action(), number(2, 0), target()].concat());
    not_canonical(&[outcome, context([])], "what.outcome", "default value");
    let code = field(8, number(4, 0));
    not_canonical(
        &[what(code), context([])],
        "what.code.dirty",
        "default value",
    );
    not_canonical(
        &[what([]), context(field(3, ""))],
        "context.source_id",
        "empty value",
    );
    not_canonical(
        &[what([]), context(field(10, ""))],
        "context.idempotency_id",
        "empty value",
    );
    // Fields with presence keep their zero, items of lists and messages may be empty.
    check([what([]), context(number(2, 0))].concat()).unwrap();
    check([what(field(5, field(7, ""))), context([])].concat()).unwrap();
    check([field(WHO, ""), what([]), context([])].concat()).unwrap();
}

#[test]
fn cut_values_are_refused() {
    let whole = [what([]), context([])].concat();
    not_canonical(&[whole[..whole.len() - 1].to_vec()], "context", "cut off");
    let inner = [key(3, LENGTH_DELIMITED), vec![9, b'x']].concat();
    not_canonical(&[what([]), context(inner)], "context.source_id", "cut off");
    let huge = [key(3, LENGTH_DELIMITED), varint(u64::MAX)].concat();
    not_canonical(&[what([]), context(huge)], "context.source_id", "cut off");
}

#[test]
fn wire_types_are_those_of_the_fields() {
    let another = "wire type is another";
    not_canonical(
        &[what([]), context(number(3, 1))],
        "context.source_id",
        another,
    );
    not_canonical(
        &[what([]), context(field(2, "1"))],
        "context.source_seq",
        another,
    );
    let fixed = [key(2, FIXED64), vec![0; 8]].concat();
    not_canonical(&[what([]), context(fixed)], "context.source_seq", another);
    let group = [key(7, 3), key(7, 4)].concat();
    not_canonical(&[what([]), context(group)], "context.process", another);
    not_canonical(&[number(WHO, 1), what([]), context([])], "who", another);
}

#[test]
fn text_is_utf8() {
    for bad in [&b"\xff"[..], b"\xc0\x80", b"\xed\xa0\x80", b"caf\xe9"] {
        refused(
            &[what([]), context(field(3, bad))],
            "context.source_id",
            Problem::NotUtf8,
        );
    }
    check([what([]), context(field(10, [0xff]))].concat()).unwrap();
}

#[test]
fn lengths_end_at_their_limits() {
    let id = |length| [what([]), context(field(3, "x".repeat(length)))];
    check(id(256).concat()).unwrap();
    let too_long = Problem::TooLong {
        actual: 257,
        limit: 256,
    };
    refused(&id(257), "context.source_id", too_long);
    let key = |length| [what([]), context(field(10, vec![7; length]))];
    check(key(64).concat()).unwrap();
    let too_long = Problem::TooLong {
        actual: 65,
        limit: 64,
    };
    refused(&key(65), "context.idempotency_id", too_long);
}

#[test]
fn an_event_ends_at_its_limit() {
    let event = |bytes| {
        [
            what([]),
            context([]),
            field(DETAIL, field(1, vec![0; bytes])),
        ]
    };
    let overhead = event(200_000).concat().len() - 200_000;
    let most = MAX_EVENT_BYTES - overhead;
    check(event(most).concat()).unwrap();
    let too_long = Problem::TooLong {
        actual: MAX_EVENT_BYTES + 1,
        limit: MAX_EVENT_BYTES,
    };
    refused(&event(most + 1), "event", too_long);
}

#[test]
fn lists_end_at_their_limits() {
    let targets = |items| {
        [
            field(WHAT, [action(), target().repeat(items)].concat()),
            context([]),
        ]
    };
    check(targets(256).concat()).unwrap();
    refused(
        &targets(257),
        "what.targets",
        Problem::TooMany { limit: 256 },
    );
    let nodes = |items| [what(field(5, field(7, "n").repeat(items))), context([])];
    check(nodes(4096).concat()).unwrap();
    refused(
        &nodes(4097),
        "what.run.nodes",
        Problem::TooMany { limit: 4096 },
    );
    let ids = |items| {
        [
            what(field(
                4,
                [field(1, "other:x"), field(3, field(1, "v").repeat(items))].concat(),
            )),
            context([]),
        ]
    };
    check(ids(8).concat()).unwrap();
    refused(
        &ids(9),
        "what.targets[1].before.ids",
        Problem::TooMany { limit: 8 },
    );
}

#[test]
fn enumerations_have_known_values() {
    let who = |value| [field(WHO, number(2, value)), what([]), context([])];
    check(who(4).concat()).unwrap();
    refused(&who(5), "who.assurance", Problem::UnknownValue(5));
    // The library's encoding of -1.
    refused(
        &who(u64::MAX),
        "who.assurance",
        Problem::UnknownValue(u64::MAX),
    );
    let outcome = field(WHAT, [action(), number(2, 4), target()].concat());
    refused(
        &[outcome, context([])],
        "what.outcome",
        Problem::UnknownValue(4),
    );
}

#[test]
fn numbers_fit_their_types() {
    let pid = |value| [what([]), context(field(7, number(1, value)))];
    check(pid(u64::from(u32::MAX)).concat()).unwrap();
    refused(&pid(1 << 32), "context.process.pid", Problem::OutOfRange);
    let dirty = [what(field(8, number(4, 2))), context([])];
    refused(&dirty, "what.code.dirty", Problem::OutOfRange);
}

#[test]
fn times_are_from_1900_to_2200() {
    let at = |number_: u32, time| [what([]), context(number(number_, zigzag(time)))];
    for (field, name) in [(4, "context.occurred_at"), (5, "context.observed_at")] {
        for time in [TIMES.start, -1, 0, TIMES.end - 1] {
            check(at(field, time).concat()).unwrap();
        }
        for time in [TIMES.start - 1, TIMES.end, i64::MIN, i64::MAX] {
            refused(&at(field, time), name, Problem::OutOfRange);
        }
    }
}

#[test]
fn what_only_the_ledger_records_is_refused() {
    refused(
        &[what(field(15, "")), context([])],
        "what.act",
        Problem::Reserved,
    );
    let act = field(15, field(3, field(1, "statement")));
    refused(&[what(act), context([])], "what.act", Problem::Reserved);
    for action in ["ledger.erase", "ledger.anything"] {
        let what = field(WHAT, [field(1, action), target()].concat());
        refused(&[what, context([])], "what.action", Problem::Reserved);
    }
    refused(
        &[field(1, field(3, "token")), what([]), context([])],
        "",
        Problem::UnknownField(1),
    );
}

#[test]
fn labels_ascend() {
    let label = |key: &str| field(4, [field(1, key), field(2, "v")].concat());
    let labels = |keys: &[&str]| {
        let labels: Vec<Vec<u8>> = keys.iter().map(|key| label(key)).collect();
        [what([]), context([]), field(WHY, labels.concat())]
    };
    check(labels(&["A", "a", "aa", "b", "é"]).concat()).unwrap();
    not_canonical(&labels(&["b", "a"]), "why.labels", "ascend by key");
    not_canonical(&labels(&["a", "a"]), "why.labels", "each key once");
}

#[test]
fn names_are_checked_where_they_stand() {
    let bad = |parts: &[Vec<u8>], at: &str| {
        let found = check(parts.concat()).expect_err(at);
        assert_eq!(found.field, at);
        assert!(matches!(found.problem, Problem::BadName(_)), "{found}");
    };
    bad(
        &[field(WHO, field(1, "alice")), what([]), context([])],
        "who.actor",
    );
    bad(
        &[field(WHO, field(3, "alice")), what([]), context([])],
        "who.on_behalf_of[0]",
    );
    bad(
        &[
            field(WHAT, [field(1, "cancel"), target()].concat()),
            context([]),
        ],
        "what.action",
    );
    let target = |after: Vec<u8>| {
        [
            what(field(4, [field(1, "other:y"), after].concat())),
            context([]),
        ]
    };
    bad(
        &[what(field(4, field(1, "/x"))), context([])],
        "what.targets[1].uri",
    );
    bad(
        &target(field(3, field(1, "sha256:0"))),
        "what.targets[1].before.ids[0]",
    );
    bad(
        &target(field(4, field(1, ""))),
        "what.targets[1].after.ids[0]",
    );
    bad(&target(field(5, "root")), "what.targets[1].owner");
    bad(&target(field(6, "/x")), "what.targets[1].previous_uri");
    bad(
        &[what(field(6, field(1, "x"))), context([])],
        "what.inputs[0].uri",
    );
    bad(
        &[what(field(7, field(2, field(1, "sha256:0")))), context([])],
        "what.outputs[0].version.ids[0]",
    );
    bad(
        &[what(field(8, field(1, "train"))), context([])],
        "what.code.repository",
    );
    bad(&[what(field(9, "bob")), context([])], "what.grantee");
    bad(
        &[what(field(11, "bob")), context([])],
        "what.participants[0]",
    );
}

#[test]
fn signatures_have_their_lengths() {
    let signature = |key, signature, seed| {
        let parts = [
            field(1, vec![1; key]),
            field(2, vec![1; signature]),
            field(3, vec![1; seed]),
        ];
        [what([]), context([]), field(7, parts.concat())]
    };
    check(signature(32, 64, 32).concat()).unwrap();
    refused(
        &signature(31, 64, 32),
        "actor_signature.public_key",
        Problem::OutOfRange,
    );
    refused(
        &signature(32, 63, 32),
        "actor_signature.signature",
        Problem::OutOfRange,
    );
    refused(
        &signature(32, 64, 31),
        "actor_signature.seed",
        Problem::OutOfRange,
    );
    let too_long = Problem::TooLong {
        actual: 33,
        limit: 32,
    };
    refused(&signature(32, 64, 33), "actor_signature.seed", too_long);
}
