//! The JSON form: what is written reads back as the same event, and what cannot be read names its field.

use bytes::Bytes;
use graven::entry::body::{Body, Content};
use graven::entry::json::{self, JsonError, Row};
use graven::entry::{CheckedEvent, Kind, Tag, v1};
use proptest::prelude::*;
use prost::Message;
use serde_json::{Value, json};

use crate::entry_support::{envelope, event, seal, seal_parts};

fn row(event: &v1::Event) -> Row {
    let (header, body) = seal(event);
    Row::new(&header, &body).unwrap()
}

fn written(row: &Row) -> Value {
    serde_json::from_str(&serde_json::to_string(row).unwrap()).unwrap()
}

/// The problem with the field `field` of `json`.
#[track_caller]
fn problem(json: &str, field: &str) -> String {
    match json::read(json) {
        Err(JsonError::Field {
            field: found,
            problem,
        }) if found == field => problem,
        other => panic!("{json}: expected an error about {field:?}, got {other:?}"),
    }
}

proptest! {
    #[test]
    fn a_row_reads_back_as_its_event(event in event()) {
        let row = row(&event);
        let line = serde_json::to_string(&row).unwrap();
        prop_assert_eq!(&json::read_row(&line).unwrap(), &event, "{}", &line);
        let pretty = serde_json::to_string_pretty(&row).unwrap();
        prop_assert_eq!(&json::read_row(&pretty).unwrap(), &event);
        // One line, and every parser takes it, in a list too.
        prop_assert!(!line.contains('\n'));
        let list = serde_json::from_str::<Value>(&format!("[{line}]"));
        prop_assert!(list.is_ok(), "{:?}", list);
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in "\\PC{0,40}", key in "[a-z_]{1,12}") {
        let _ = json::read(&text);
        let _ = json::read(&format!("{{\"{key}\":{text}}}"));
    }
}

const SHORT: &str = r#"{"action":"file.update","source":"test","actor":"oidc:corp/alice",
    "target":{"uri":"fs://lustre-1/a","before":"git-sha1:6c6af5b5f5dba7f6e8d6f19c2ea1b3a8ea9c1b11","after":"pending"},
    "owner":"oidc:corp/bob","occurred_at":"2026-03-01T14:02:11.500+01:00"}"#;

#[test]
fn a_row_starts_with_what_every_script_needs() {
    let line = serde_json::to_string(&row(&json::read(SHORT).unwrap())).unwrap();
    let start = r#"{"seq":7,"recorded_at":"2026-03-05T08:40:00Z","kind":"event","submitter":"other:collector","actor":"oidc:corp/alice","action":"file.update","targets":[{"uri":"fs://lustre-1/a","before":["git-sha1:6c6af5b5f5dba7f6e8d6f19c2ea1b3a8ea9c1b11"],"after":"pending","owner":"oidc:corp/bob"}],"outcome":null,"occurred_at":"2026-03-01T13:02:11.5Z","assurance":"asserted","source":"test","issuer":"token","authentication":"token","credential":"collector-1","peer":"192.0.2.1:40000","leaf_hash":""#;
    assert!(line.starts_with(start), "{line}");
}

#[test]
fn what_is_not_said_is_null_in_a_row() {
    let row = written(&row(&json::read(
        r#"{"action":"a.b","source":"s","target":"other:x"}"#,
    )
    .unwrap()));
    for field in ["actor", "outcome", "occurred_at"] {
        assert_eq!(row.get(field), Some(&Value::Null), "{field}");
    }
    assert_eq!(
        row["targets"],
        json!([{"uri": "other:x", "before": null, "after": null}])
    );
}

#[test]
fn absent_empty_unknown_withheld_and_erased_differ() {
    let text = r#"{"action":"a.b","source":"s","target":"other:x","actor":"other:y","reason":"r","detail":1}"#;
    let (header, body) = seal(&json::read(text).unwrap());
    let shown = written(&Row::new(&header, &body).unwrap());
    assert_eq!((shown.get("withheld"), shown.get("erased")), (None, None));

    let withheld = body.clone().withhold(&[Tag::Envelope, Tag::Who, Tag::What]);
    let withheld = written(&Row::new(&header, &withheld).unwrap());
    assert_eq!(withheld["withheld"], json!(["envelope", "who", "what"]));
    for field in ["submitter", "actor", "action", "targets", "outcome"] {
        assert_eq!(withheld.get(field), Some(&Value::Null), "{field}");
    }
    assert_eq!(withheld["reason"], "r");
    assert_eq!(withheld["leaf_hash"], shown["leaf_hash"]);

    let erase = |(tag, content): &(Tag, Content)| match tag {
        Tag::Why | Tag::Detail => (*tag, Content::Erased(content.commitment())),
        _ => (*tag, content.clone()),
    };
    let erased = Body::new(body.parts().iter().map(erase).collect()).unwrap();
    let erased = written(&Row::new(&header, &erased).unwrap());
    assert_eq!(erased["erased"], json!(["why", "detail"]));
    assert_eq!((erased.get("reason"), erased.get("detail")), (None, None));

    let event = v1::Event {
        why: Some(v1::Why::default()),
        ..json::read(r#"{"action":"a.b","source":"s","target":"other:x"}"#).unwrap()
    };
    assert_eq!(written(&row(&event))["empty"], json!(["why"]));
}

#[test]
fn a_version_has_every_form() {
    let after = |version: &str| {
        let text = format!(
            r#"{{"action":"a.b","source":"s","target":{{"uri":"other:x","after":{version}}}}}"#
        );
        let event = json::read(&text).unwrap();
        let target = event.what.as_ref().unwrap().targets[0].clone();
        (
            target.after,
            written(&row(&event))["targets"][0]["after"].clone(),
        )
    };
    let of = |ids: &[&str], state: v1::VersionState, size| {
        let ids = ids.iter().map(ToString::to_string).collect();
        Some(v1::Version {
            ids,
            state: state.into(),
            size,
        })
    };
    use v1::VersionState::{Absent, Pending, TooLarge, Unavailable, Unspecified};
    assert_eq!(after("null"), (None, Value::Null));
    assert_eq!(after("[]"), (of(&[], Unspecified, None), json!([])));
    assert_eq!(after("{}"), (of(&[], Unspecified, None), json!([])));
    assert_eq!(
        after(r#""v1""#),
        (of(&["v1"], Unspecified, None), json!(["v1"]))
    );
    assert_eq!(
        after(r#"["v1","v2"]"#),
        (of(&["v1", "v2"], Unspecified, None), json!(["v1", "v2"]))
    );
    assert_eq!(
        after(r#""absent""#),
        (of(&[], Absent, None), json!("absent"))
    );
    assert_eq!(
        after(r#""pending""#),
        (of(&[], Pending, None), json!("pending"))
    );
    assert_eq!(
        after(r#""too_large""#),
        (of(&[], TooLarge, None), json!("too_large"))
    );
    assert_eq!(
        after(r#""unavailable""#),
        (of(&[], Unavailable, None), json!("unavailable"))
    );
    assert_eq!(
        after(r#"["absent"]"#),
        (of(&["absent"], Unspecified, None), json!(["absent"]))
    );
    let whole = r#"{"ids":["v1"],"state":"pending","size":0}"#;
    let printed = serde_json::from_str(whole).unwrap();
    assert_eq!(after(whole), (of(&["v1"], Pending, Some(0)), printed));
}

#[test]
fn shorthands_mean_their_long_form() {
    let long = r#"{"action":"a.b","source":"s","actor":"other:y","assurance":"asserted",
        "targets":[{"uri":"other:x","owner":"other:z"}],"run":{"id":"1"},
        "inputs":[{"uri":"other:i"}],"outputs":[{"uri":"other:o"}]}"#;
    let short = r#"{"action":"a.b","source":"s","actor":"other:y","target":"other:x","owner":"other:z",
        "run":"1","inputs":["other:i"],"outputs":["other:o"],"reason":null}"#;
    assert_eq!(json::read(long), json::read(short));
    let unstated = json::read(r#"{"actor":"other:y","assurance":"unspecified"}"#).unwrap();
    assert_eq!(unstated.who.unwrap().assurance, 0);
    assert_eq!(
        json::read(r#"{"display_name":"y"}"#)
            .unwrap()
            .who
            .unwrap()
            .assurance,
        0
    );
}

#[test]
fn json_in_detail_is_sealed_as_it_was_typed() {
    let detail = |json: &str| {
        let event = json::read(&format!(r#"{{"detail":{json}}}"#)).unwrap();
        let detail = event.detail.unwrap();
        (
            String::from_utf8(detail.content).unwrap(),
            detail.media_type,
        )
    };
    let as_json = |text: &str| (text.to_owned(), "application/json".to_owned());
    assert_eq!(
        detail("{ \"z\" : 1.50,\n\t\"a b\": [ 123456789012345678901 , \"x \\\" y\" ] }"),
        as_json(r#"{"z":1.50,"a b":[123456789012345678901,"x \" y"]}"#)
    );
    assert_eq!(detail(r#""a note""#), as_json(r#""a note""#));
    assert_eq!(detail("false"), as_json("false"));
    assert_eq!(
        detail(r#"{"media_type":"text/plain","text":"a\nb"}"#),
        ("a\nb".to_owned(), "text/plain".to_owned())
    );
    assert_eq!(
        detail(r#"{"base64":"YWI=","media_type":""}"#),
        ("ab".to_owned(), String::new())
    );
    assert_eq!(
        detail(r#"{"media_type":"x","text":"y","more":1}"#).1,
        "application/json"
    );
    assert_eq!(json::read(r#"{"detail":null}"#).unwrap().detail, None);
}

#[test]
fn content_that_would_spoil_a_list_is_printed_as_text() {
    let deep = format!("{}{}", "[".repeat(127), "]".repeat(127));
    for content in [r#""\ud800""#, "1e999", deep.as_str(), "null"] {
        let mut event = json::read(r#"{"action":"a.b","source":"s","target":"other:x"}"#).unwrap();
        event.detail = Some(v1::Detail {
            content: content.into(),
            media_type: "application/json".into(),
            ..v1::Detail::default()
        });
        let row = row(&event);
        assert_eq!(written(&row)["detail"]["text"], content);
        assert_eq!(
            json::read_row(&serde_json::to_string(&row).unwrap()).unwrap(),
            event
        );
    }
}

#[test]
fn bytes_that_are_not_text_are_base64() {
    let mut event = json::read(r#"{"action":"a.b","source":"s","target":"other:x"}"#).unwrap();
    event.context.as_mut().unwrap().idempotency_id = vec![0xff, 0];
    assert_eq!(
        written(&row(&event))["idempotency_id"],
        json!({"base64": "/wA="})
    );
}

#[test]
fn times_keep_their_nanoseconds() {
    let time = |text: &str| {
        let event = json::read(&format!(r#"{{"occurred_at":"{text}"}}"#)).unwrap();
        event.context.unwrap().occurred_at.unwrap()
    };
    assert_eq!(time("1970-01-01T00:00:00Z"), 0);
    assert_eq!(time("1970-01-01T01:00:00.000000001+01:00"), 1);
    assert_eq!(time("1969-12-31T23:59:59.999999999Z"), -1);
    let pretty = |nanoseconds| {
        let mut event = json::read(SHORT).unwrap();
        event.context.as_mut().unwrap().occurred_at = Some(nanoseconds);
        row(&event).occurred_at.unwrap()
    };
    assert_eq!(pretty(0), "1970-01-01T00:00:00Z");
    assert_eq!(pretty(-1), "1969-12-31T23:59:59.999999999Z");
    assert_eq!(pretty(1_500_000_000), "1970-01-01T00:00:01.5Z");
}

#[test]
fn labels_are_sorted_by_their_bytes() {
    let event = json::read(r#"{"labels":{"b":"1","é":"2","B":"3","a":"4"}}"#).unwrap();
    let labels = event.why.unwrap().labels;
    let keys: Vec<&str> = labels.iter().map(|label| label.key.as_str()).collect();
    assert_eq!(keys, ["B", "a", "b", "é"]);
}

/// The word for a value, from its name in the proto file.
fn word(name: &str, of: &str) -> Value {
    name.strip_prefix(of).unwrap().to_lowercase().into()
}

#[test]
fn enumerations_are_the_words_of_the_proto_file() {
    for number in 1.. {
        let Ok(value) = v1::Authentication::try_from(number) else {
            assert_eq!(number, 6);
            break;
        };
        let mut envelope = envelope();
        envelope.authentication = number;
        let (header, body) = seal_parts(&envelope, Vec::new());
        let row = written(&Row::new(&header, &body).unwrap());
        assert_eq!(
            row["authentication"],
            word(value.as_str_name(), "AUTHENTICATION_")
        );
    }
    for number in 1..4 {
        let mut event = json::read(SHORT).unwrap();
        event.what.as_mut().unwrap().outcome = number;
        let outcome = v1::Outcome::try_from(number).unwrap();
        assert_eq!(
            written(&row(&event))["outcome"],
            word(outcome.as_str_name(), "OUTCOME_")
        );
    }
    for number in 1..5 {
        let mut event = json::read(SHORT).unwrap();
        event.who.as_mut().unwrap().assurance = number;
        let assurance = v1::Assurance::try_from(number).unwrap();
        assert_eq!(
            written(&row(&event))["assurance"],
            word(assurance.as_str_name(), "ASSURANCE_")
        );
    }
    for number in 1..4 {
        let mut event = json::read(SHORT).unwrap();
        let evidence = v1::Evidence::try_from(number).unwrap();
        event.what.as_mut().unwrap().inputs = vec![v1::Reference {
            uri: "other:x".into(),
            evidence: number,
            ..v1::Reference::default()
        }];
        let row = written(&row(&event));
        assert_eq!(
            row["inputs"][0]["evidence"],
            word(evidence.as_str_name(), "EVIDENCE_")
        );
    }
}

#[test]
fn errors_name_the_field() {
    assert!(
        problem(r#"{"tagret":"x"}"#, "tagret")
            .starts_with("is not a known field; known are action, ")
    );
    assert_eq!(problem("[]", ""), "expected an object, found an array");
    assert_eq!(
        problem(r#"{"actor":"a","actor":"b"}"#, "actor"),
        "is given twice"
    );
    assert_eq!(
        problem(r#"{"labels":{"k":"1","k":"2"}}"#, "labels.k"),
        "is given twice"
    );
    assert_eq!(
        problem(r#"{"actor":5}"#, "actor"),
        "expected text, found a number"
    );
    assert_eq!(
        problem(r#"{"outcome":"ok"}"#, "outcome"),
        r#""ok" is none of success, failure, denied"#
    );
    assert_eq!(
        problem(
            r#"{"targets":["other:x",{"uri":"other:y","before":5}]}"#,
            "targets[1].before"
        ),
        "expected an id, an array of ids, a word or an object, found a number"
    );
    let unknown = problem(
        r#"{"target":{"uri":"other:y","befor":"x"}}"#,
        "target.befor",
    );
    assert!(
        unknown.contains("uri, instance, before, after"),
        "{unknown}"
    );
    problem(
        r#"{"inputs":[{"uri":"other:x","evidence":"seen"}]}"#,
        "inputs[0].evidence",
    );
    problem(
        r#"{"target":{"uri":"other:x","after":{"size":-1}}}"#,
        "target.after.size",
    );
    problem(r#"{"target":"other:x","targets":["other:y"]}"#, "target");
    problem(r#"{"owner":"other:x"}"#, "owner");
    problem(
        r#"{"target":{"uri":"other:x","owner":"other:y"},"owner":"other:z"}"#,
        "owner",
    );
    problem(r#"{"run":{"attempt":1.5}}"#, "run.attempt");
    problem(r#"{"run":{"gpus":4294967296}}"#, "run.gpus");
    problem(r#"{"code":{"dirty":"yes"}}"#, "code.dirty");
    problem(r#"{"process":"x"}"#, "process");
    problem(r#"{"participants":["other:x",1]}"#, "participants[1]");
    problem(r#"{"labels":{"k":1}}"#, "labels.k");
    problem(
        r#"{"idempotency_id":{"base64":"?"}}"#,
        "idempotency_id.base64",
    );
    problem(
        r#"{"detail":{"media_type":"x","base64":"?"}}"#,
        "detail.base64",
    );
    problem(r#"{"empty":["header"]}"#, "empty[0]");
    problem(r#"{"empty":["why"],"reason":"x"}"#, "empty[0]");
    problem(r#"{"seq":7}"#, "seq");
}

#[test]
fn times_that_mean_two_things_are_refused() {
    for value in [
        "1772700000",
        "\"1772700000\"",
        "\"2026-03-01\"",
        "\"2026-03-01T14:02:11\"",
        "true",
    ] {
        let text = format!(r#"{{"occurred_at":{value}}}"#);
        let problem = problem(&text, "occurred_at");
        assert!(
            problem.contains("an RFC 3339 time with an offset, such as"),
            "{problem}"
        );
    }
    problem(r#"{"observed_at":"9999-01-01T00:00:00Z"}"#, "observed_at");
}

#[test]
fn text_that_is_not_json_says_where() {
    for text in ["", "{", "{\"actor\":\"\\x\"}", "{} {}", "nul"] {
        let error = json::read(text).unwrap_err();
        assert!(
            matches!(error, JsonError::Syntax { .. }),
            "{text}: {error:?}"
        );
        assert!(error.to_string().contains("line 1 column"), "{error}");
    }
}

#[test]
fn only_a_row_may_hold_what_the_ledger_sets() {
    let line = serde_json::to_string(&row(&json::read(SHORT).unwrap())).unwrap();
    let error = json::read(&line).unwrap_err();
    assert_eq!(error.to_string(), "seq: is set by the ledger alone");
    assert_eq!(json::read_row(&line), json::read(SHORT));
}

#[test]
fn an_act_of_the_ledger_is_an_object() {
    let act = |act| {
        let what = v1::What {
            action: "ledger.erase".into(),
            act: Some(v1::LedgerAct { act: Some(act) }),
            ..v1::What::default()
        };
        let parts = vec![(Tag::What, Bytes::from(what.encode_to_vec()))];
        let (mut header, body) = seal_parts(&envelope(), parts);
        header.kind = Kind::Act;
        let row = written(&Row::new(&header, &body).unwrap());
        assert_eq!((&row["kind"], &row["targets"]), (&json!("act"), &json!([])));
        row["act"].clone()
    };
    use v1::ledger_act::Act;
    let root = vec![0xab; 32];
    let digits = "ab".repeat(32);
    let level = v1::SealLevel {
        segments: 3,
        root: root.clone(),
    };
    assert_eq!(
        act(Act::Seal(v1::Seal {
            index_version: 1,
            levels: vec![level]
        })),
        json!({"seal": {"index_version": 1, "levels": [{"segments": 3, "root": digits}]}})
    );
    let erasure = v1::Erasure {
        seq: 4,
        parts: vec![5, 6],
        requested_by: "other:dpo".into(),
        ticket: "T-1".into(),
    };
    assert_eq!(
        act(Act::Erasure(erasure)),
        json!({"erasure": {"seq": 4, "parts": ["why", "detail"], "requested_by": "other:dpo", "ticket": "T-1"}})
    );
    assert_eq!(
        act(Act::KeyRotation(v1::KeyRotation {
            statement: "s\n".into()
        })),
        json!({"key_rotation": {"statement": "s\n"}})
    );
    assert_eq!(
        act(Act::PolicyChange(v1::PolicyChange {
            digest: root.clone(),
            grants: 2,
            occasion: "start".into()
        })),
        json!({"policy_change": {"digest": digits, "grants": 2, "occasion": "start"}})
    );
    assert_eq!(
        act(Act::RedactionChange(v1::RedactionChange {
            digest: root.clone(),
            shipped: String::new(),
            rules: "x".into(),
            occasion: "start".into()
        })),
        json!({"redaction_change": {"digest": digits, "occasion": "start", "rules": "x"}})
    );
    assert_eq!(
        act(Act::Adoption(v1::Adoption {
            size: 9,
            root,
            found: "missing".into()
        })),
        json!({"adoption": {"size": 9, "root": digits, "found": "missing"}})
    );
}

#[test]
fn the_seed_of_a_signature_is_not_shown() {
    let mut envelope = envelope();
    envelope.actor_signature = Some(v1::ActorSignature {
        public_key: vec![1; 32],
        signature: vec![2; 64],
        seed: vec![3; 32],
        ..Default::default()
    });
    envelope.mapper = Some(v1::Mapper {
        name: "git".into(),
        version: "1".into(),
    });
    let event = json::read(r#"{"action":"a.b","source":"s","target":"other:x"}"#).unwrap();
    let checked = CheckedEvent::check(&json::encode(&event)).unwrap();
    let (header, body) = seal_parts(&envelope, checked.parts);
    let row = written(&Row::new(&header, &body).unwrap());
    let fields: Vec<&String> = row["actor_signature"].as_object().unwrap().keys().collect();
    assert_eq!(fields, ["public_key", "signature"]);
    assert_eq!(row["mapper"], json!({"name": "git", "version": "1"}));
}

#[test]
fn a_row_is_made_of_canonical_parts_only() {
    let event = json::read(SHORT).unwrap();
    let checked = CheckedEvent::check(&json::encode(&event)).unwrap();
    let mut parts = checked.parts;
    parts.last_mut().unwrap().1 = Bytes::from_static(b"\x0a\x00");
    let (header, body) = seal_parts(&envelope(), parts);
    assert_eq!(
        Row::new(&header, &body).unwrap_err().field,
        "context.source"
    );
}

#[test]
fn a_table_shows_short_versions() {
    let version = |ids: &[&str], state: v1::VersionState| {
        let ids = ids.iter().map(ToString::to_string).collect();
        json::short_version(&v1::Version {
            ids,
            state: state.into(),
            size: None,
        })
    };
    use v1::VersionState::{TooLarge, Unspecified};
    let digest = format!("sha256:{}", "0123456789abcdef".repeat(4));
    assert_eq!(
        version(&[&digest, "v2"], Unspecified),
        "sha256:0123456789ab"
    );
    assert_eq!(version(&["771203"], Unspecified), "771203");
    assert_eq!(
        version(&["tag:a-long-name-of-a-tag"], Unspecified),
        "tag:a-long-name-of-a-tag"
    );
    assert_eq!(version(&[], TooLarge), "too_large");
    assert_eq!(version(&[], Unspecified), "");
}
