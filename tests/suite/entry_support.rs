//! Arbitrary valid events, and the twelve of `docs/naming.md`.

use bytes::Bytes;
use graven::entry::body::Body;
use graven::entry::{CheckedEvent, Header, Kind, Seed, Tag, json, v1};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

/// Earliest and latest time of an event, nanoseconds since 1970.
pub(crate) const TIMES: std::ops::Range<i64> =
    -2_208_988_800_000_000_000..7_258_118_400_000_000_000;

pub(crate) fn twelve_events() -> Vec<&'static str> {
    include_str!("../data/twelve_events.jsonl")
        .lines()
        .collect()
}

/// The entry 7 that a ledger would make of an event, all parts shown.
pub(crate) fn seal(event: &v1::Event) -> (Header, Body) {
    let checked = CheckedEvent::check(&json::encode(event)).expect("the event is valid");
    seal_parts(&envelope(), checked.parts)
}

pub(crate) fn seal_parts(envelope: &v1::Envelope, parts: Vec<(Tag, Bytes)>) -> (Header, Body) {
    use prost::Message;
    let mut all = vec![(Tag::Envelope, Bytes::from(envelope.encode_to_vec()))];
    all.extend(parts);
    let body = Body::disclose(&Seed([9; 32]), all).unwrap();
    let header = Header {
        kind: Kind::Event,
        actor_signature: false,
        seq: 7,
        recorded_at: 1_772_700_000_000_000_000,
        body_hash: body.hash(),
        prev: [3; 32],
    };
    (header, body)
}

pub(crate) fn envelope() -> v1::Envelope {
    v1::Envelope {
        submitter: Some(v1::Submitter {
            issuer: "token".into(),
            subject: "other:collector".into(),
        }),
        authentication: v1::Authentication::Token.into(),
        credential: "collector-1".into(),
        peer: "192.0.2.1:40000".into(),
        ..v1::Envelope::default()
    }
}

/// Text that is often empty, a word of the JSON form or hard to escape.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        2 => Just(String::new()),
        1 => Just("absent".to_owned()),
        1 => Just("\"\\\u{0}\n\u{2028}é".to_owned()),
        3 => "\\PC{0,12}",
    ]
}

fn identity() -> impl Strategy<Value = String> {
    prop_oneof![
        "other:[a-z]{1,8}",
        "oidc:corp/[a-z@.]{1,8}",
        "git:[a-z]{1,4}@example\\.com"
    ]
}

fn maybe_identity() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), identity()]
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        "other:\\PC{1,12}",
        "fs://lustre-1/[a-z/ ]{1,12}",
        "git://example\\.com/[a-z]{1,4}//[a-z]{1,4}",
    ]
}

fn maybe_name() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), name()]
}

fn version() -> impl Strategy<Value = v1::Version> {
    let id = prop_oneof![
        Just("absent".to_owned()),
        Just("unspecified".to_owned()),
        "sha256:[0-9a-f]{64}",
        "[A-Za-z0-9._-]{1,9}",
    ];
    (vec(id, 0..3), 0..5i32, option::of(any::<u64>())).prop_map(|(ids, state, size)| v1::Version {
        ids,
        state,
        size,
    })
}

fn target() -> impl Strategy<Value = v1::Target> {
    let versions = (option::of(version()), option::of(version()));
    let texts = (text(), text(), text(), text());
    (name(), versions, maybe_identity(), maybe_name(), texts).prop_map(
        |(uri, (before, after), owner, previous_uri, (instance, seen_as, r#ref, format))| {
            v1::Target {
                uri,
                instance,
                before,
                after,
                owner,
                previous_uri,
                seen_as,
                r#ref,
                format,
            }
        },
    )
}

fn run() -> impl Strategy<Value = v1::Run> {
    let texts = (text(), text(), text(), text());
    (
        texts,
        any::<u32>(),
        option::of(any::<u32>()),
        vec(text(), 0..3),
    )
        .prop_map(
            |((namespace, job, id, parent_id), attempt, gpus, nodes)| v1::Run {
                namespace,
                job,
                id,
                parent_id,
                attempt,
                gpus,
                nodes,
            },
        )
}

fn reference() -> impl Strategy<Value = v1::Reference> {
    (maybe_name(), option::of(version()), 0..4i32, text()).prop_map(
        |(uri, version, evidence, role)| v1::Reference {
            uri,
            version,
            evidence,
            role,
        },
    )
}

fn code() -> impl Strategy<Value = v1::Code> {
    (maybe_name(), text(), text(), any::<bool>(), text()).prop_map(
        |(repository, commit, path, dirty, image)| v1::Code {
            repository,
            commit,
            path,
            dirty,
            image,
        },
    )
}

fn who() -> impl Strategy<Value = v1::Who> {
    let session =
        (text(), text(), text(), text()).prop_map(|(id, method, credential, terminal)| {
            v1::Session {
                id,
                method,
                credential,
                terminal,
            }
        });
    let who = (
        maybe_identity(),
        0..5i32,
        vec(identity(), 0..3),
        option::of(session),
        text(),
    );
    let who = who.prop_map(
        |(actor, assurance, on_behalf_of, session, display_name)| v1::Who {
            actor,
            assurance,
            on_behalf_of,
            session,
            display_name,
        },
    );
    prop_oneof![1 => Just(v1::Who::default()), 5 => who]
}

fn what() -> impl Strategy<Value = v1::What> {
    let lists = (
        vec(target(), 1..4),
        vec(reference(), 0..3),
        vec(reference(), 0..3),
    );
    let action = prop_oneof![
        4 => ("[a-h][a-z]{0,6}\\.[a-z]{1,6}", Just(None)),
        1 => (Just("identity.link".to_owned()), link(identity).prop_map(Some)),
        1 => (Just("target.link".to_owned()), link(name).prop_map(Some)),
    ];
    let act = (action, 0..4i32, text());
    let more = (maybe_identity(), text(), vec(identity(), 0..3));
    (act, lists, option::of(run()), option::of(code()), more).prop_map(
        |(((action, link), outcome, outcome_code), (targets, inputs, outputs), run, code, more)| {
            let (grantee, permission, participants) = more;
            v1::What {
                action,
                outcome,
                outcome_code,
                targets,
                run,
                inputs,
                outputs,
                code,
                grantee,
                permission,
                participants,
                link,
                act: None,
            }
        },
    )
}

/// A link of two names. The second is never the first.
fn link<S: Strategy<Value = String>>(name: fn() -> S) -> impl Strategy<Value = v1::Link> {
    let valid = (option::of(TIMES), option::of(0..1_000_000_000_000i64));
    (name(), name(), valid, "\\PC{1,9}").prop_map(|(from, to, (valid_from, length), authority)| {
        let to = if from == to { format!("{to}x") } else { to };
        let until = length.map(|length| valid_from.unwrap_or(0).saturating_add(length));
        v1::Link {
            from,
            to,
            valid_from,
            valid_to: until.filter(|until| *until < TIMES.end),
            authority,
        }
    })
}

fn context() -> impl Strategy<Value = v1::Context> {
    let process = (any::<u32>(), text(), text(), vec(text(), 0..2), text()).prop_map(
        |(pid, executable, container, addresses, user_agent)| v1::Process {
            pid,
            executable,
            container,
            addresses,
            user_agent,
        },
    );
    let numbers = (option::of(any::<u64>()), option::of(any::<u64>()));
    let times = (option::of(TIMES), option::of(TIMES));
    let texts = ("\\PC{1,12}", text(), text(), text());
    let id = prop_oneof![vec(any::<u8>(), 0..16), text().prop_map(String::into_bytes)];
    (numbers, times, texts, option::of(process), id).prop_map(
        |((source_seq, causation_seq), (occurred_at, observed_at), texts, process, id)| {
            let (source, source_id, host, correlation_id) = texts;
            v1::Context {
                source,
                source_seq,
                source_id,
                occurred_at,
                observed_at,
                host,
                process,
                correlation_id,
                causation_seq,
                idempotency_id: id,
            }
        },
    )
}

fn why() -> impl Strategy<Value = v1::Why> {
    let labels = proptest::collection::btree_map(text(), text(), 0..4);
    (text(), text(), text(), labels).prop_map(|(reason, ticket, review, labels)| v1::Why {
        reason,
        ticket,
        review,
        labels: labels
            .into_iter()
            .map(|(key, value)| v1::Label { key, value })
            .collect(),
    })
}

/// Content with its media type: much of it JSON, some of it nearly so.
fn content() -> impl Strategy<Value = (Vec<u8>, String)> {
    const JSON: [&str; 16] = [
        "",
        "null",
        "{}",
        "{ }",
        "[1,2.50,1e3,-0]",
        "123456789012345678901234567890",
        r#"{"b":1,"a":2,"b":3}"#,
        r#""text \" with \\ space""#,
        r#"{"media_type":"text/plain","text":"x"}"#,
        r#"{"media_type":"text/plain","base64":"!"}"#,
        r#"{"media_type":"text/plain","text":1}"#,
        r#"{"media_type":"text/plain"}"#,
        r#""\ud800""#,
        "1e999",
        "{\"a\":1",
        " 1",
    ];
    let bytes = prop_oneof![
        proptest::sample::select(JSON.as_slice()).prop_map(|json| json.as_bytes().to_vec()),
        vec(any::<u8>(), 0..16),
        text().prop_map(String::into_bytes),
    ];
    let media_type = prop_oneof![
        3 => Just("application/json".to_owned()),
        1 => Just("text/plain".to_owned()),
        1 => Just(String::new()),
    ];
    (bytes, media_type)
}

fn detail() -> impl Strategy<Value = v1::Detail> {
    (content(), content(), any::<bool>(), text()).prop_map(
        |((content, media_type), (original, original_media_type), truncated, original_digest)| {
            v1::Detail {
                content,
                media_type,
                original,
                original_media_type,
                truncated,
                original_digest,
            }
        },
    )
}

/// Any event that a ledger accepts, without an actor's signature.
pub(crate) fn event() -> impl Strategy<Value = v1::Event> {
    let parts = (
        option::of(who()),
        what(),
        context(),
        option::of(why()),
        option::of(detail()),
    );
    parts.prop_map(|(who, what, context, why, detail)| v1::Event {
        who,
        what: Some(what),
        context: Some(context),
        why,
        detail,
        actor_signature: None,
    })
}
