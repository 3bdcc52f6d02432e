//! The filter language: what matches, what it reads back as, and what is wrong where.

use graven::entry::{CheckedEvent, Tag, json, v1};
use graven::index::filter::{Filter, FilterError, MAX_COMPARISONS, MAX_NESTING, Truth};
use graven::index::{FIELDS, Facts, FieldKind};
use proptest::prelude::*;

use super::entry_support::{envelope, seal, seal_parts};

const SHA: &str = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

fn an_event() -> v1::Event {
    let target = |uri: &str, owner: &str| v1::Target {
        uri: uri.into(),
        owner: owner.into(),
        format: "pickle".into(),
        after: Some(v1::Version {
            ids: vec![
                SHA.into(),
                "git-sha1:98d735d4aa98d735d4aa98d735d4aa98d735d4aa".into(),
            ],
            ..Default::default()
        }),
        ..Default::default()
    };
    v1::Event {
        who: Some(v1::Who {
            actor: "oidc:corp/mallory".into(),
            assurance: v1::Assurance::Asserted.into(),
            ..Default::default()
        }),
        what: Some(v1::What {
            action: "file.update".into(),
            outcome: v1::Outcome::Success.into(),
            targets: vec![
                target("fs://lustre-1/train/adam.py", "oidc:corp/alice"),
                target("fs://lustre-1/train/data loader.py", ""),
            ],
            run: Some(v1::Run {
                id: "run-44".into(),
                gpus: Some(256),
                ..Default::default()
            }),
            ..Default::default()
        }),
        context: Some(v1::Context {
            source: "agent:gpu-17".into(),
            // 2026-03-05T06:40:00Z, which is 200 s before it was recorded.
            occurred_at: Some(1_772_699_800_000_000_000),
            ..Default::default()
        }),
        why: Some(v1::Why {
            reason: "speed-up *now*".into(),
            labels: vec![v1::Label {
                key: "team".into(),
                value: "infra".into(),
            }],
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn facts() -> Facts {
    let (header, body) = seal(&an_event());
    Facts::new(&header, &body).unwrap()
}

fn evaluate(filter: &str, facts: &Facts) -> Truth {
    Filter::parse(filter)
        .unwrap_or_else(|error| panic!("{filter}: {error}"))
        .evaluate(facts)
}

#[test]
fn comparisons_hold_when_they_hold_for_a_value() {
    let matching = [
        "",
        "  ",
        "actor = oidc:corp/mallory",
        "actor = \"oidc:corp/mallory\"",
        "actor='oidc:corp/mallory'",
        "actor = oidc:corp/*",
        "actor = *mallory",
        "actor != oidc:corp/alice",
        "actor:mallory",
        "actor:*",
        "actor >= oidc:corp/m actor < oidc:corp/n",
        "target = \"fs://lustre-1/train/data loader.py\"",
        "target = fs://lustre-1/*/adam.py",
        "target:loader",
        "owner = oidc:corp/alice",
        "foreign = true",
        "foreign != false",
        "NOT foreign = false",
        "outcome = success",
        "outcome:success",
        "outcome != failure",
        "kind = event",
        "gpus >= 256 gpus <= 256 gpus = 256 gpus > 255 gpus < 257 gpus != 8",
        "run = run-44",
        "after = \"sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\"",
        "after = 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "after = 98d735d4*",
        "after = sha256:9f86*",
        "digest = 98d735d4aa98d735d4aa98d735d4aa98d735d4aa",
        "occurred_at = 2026-03-05",
        "occurred_at >= 2026-03-05 occurred_at < 2026-03-06",
        "occurred_at = 2026-03-05T08:36:40Z",
        "occurred_at = 2026-03-05T09:36:40+01:00",
        "recorded_at > 2026-03-05T08:36:40Z",
        "lag > 3m lag < 4m lag = 200s lag > -5m",
        "seq = 7",
        "labels.team = infra",
        "labels.team = inf*",
        "labels.team:fra",
        "labels.team:*",
        "labels:team",
        "labels:*",
        "reason = \"speed-up \\*now\\*\"",
        "reason:\"\\*now\\*\"",
        "format = pickle",
        "adam.py",
        "\"data loader\"",
        "ad*.py",
        "infra",
        "-ticket:*",
        "NOT previous_target:*",
        "action = file.delete OR action = file.update",
        "action = file.update AND NOT outcome = failure",
        "(action = job.cancel OR (actor:mallory)) AND kind = event",
        "submitter = other:collector peer = 192.0.2.1:40000",
    ];
    let facts = facts();
    for filter in matching {
        assert_eq!(evaluate(filter, &facts), Truth::True, "{filter}");
    }
}

#[test]
fn what_is_absent_or_other_does_not_match() {
    let others = [
        "actor = oidc:corp/Mallory",
        "actor = mallory",
        "ticket = x",
        "ticket != x",
        "NOT ticket = x AND ticket:*",
        "cause = 3",
        "cause != 3",
        "cause < 3",
        "previous_target:*",
        "target = *loader",
        "target = fs://lustre-1/*x*/adam.py",
        "after = 98d735d4",
        "after = md5:98d735d4aa",
        "after = d735*",
        "before:*",
        "digest = 98d7",
        "gpus < 256",
        "foreign = false",
        "occurred_at = 2026-03-04",
        "lag < 0s",
        "labels.team = infra*x",
        "labels.Team:*",
        "labels:tea",
        "reason = \"speed-up \\*later\\*\"",
        "nowhere",
        "kind = seal",
        "outcome = denied OR outcome = failure",
        // OR binds tighter than AND.
        "outcome = failure AND kind = event OR actor:mallory",
    ];
    let facts = facts();
    for filter in others {
        assert_eq!(evaluate(filter, &facts), Truth::False, "{filter}");
    }
}

#[test]
fn what_is_withheld_is_not_known() {
    let (header, body) = seal(&an_event());
    let facts = Facts::new(&header, &body.withhold(&[Tag::Who, Tag::Why])).unwrap();
    let cases = [
        ("actor:mallory", Truth::Unknown),
        ("NOT actor:mallory", Truth::Unknown),
        ("foreign = true", Truth::Unknown),
        ("reason:*", Truth::Unknown),
        ("actor:mallory AND outcome = failure", Truth::False),
        ("actor:mallory OR outcome = success", Truth::True),
        ("actor:mallory AND outcome = success", Truth::Unknown),
        ("actor:mallory OR outcome = failure", Truth::Unknown),
        ("adam.py", Truth::True),
        ("nowhere", Truth::Unknown),
    ];
    for (filter, expected) in cases {
        assert_eq!(evaluate(filter, &facts), expected, "{filter}");
    }
}

/// The signature is in the envelope, so without that nothing is known of it.
#[test]
fn signed_is_what_the_envelope_holds() {
    let checked = CheckedEvent::check(&json::encode(&an_event())).unwrap();
    let signed = v1::Envelope {
        actor_signature: Some(v1::ActorSignature::default()),
        ..envelope()
    };
    let sealed = |envelope: &v1::Envelope| {
        let (header, body) = seal_parts(envelope, checked.parts.clone());
        let withheld = Facts::new(&header, &body.clone().withhold(&[Tag::Envelope]));
        (Facts::new(&header, &body).unwrap(), withheld.unwrap())
    };
    for (envelope, truth, opposite) in [
        (signed, Truth::True, Truth::False),
        (envelope(), Truth::False, Truth::True),
    ] {
        let (facts, withheld) = sealed(&envelope);
        let signed = "signed = true AND actor = oidc:corp/mallory";
        assert_eq!(evaluate(signed, &facts), truth);
        assert_eq!(evaluate("signed:*", &facts), truth);
        assert_eq!(evaluate("signed = false", &facts), opposite);
        assert_eq!(evaluate(signed, &withheld), Truth::Unknown);
    }
}

#[test]
fn the_documentation_lists_every_field() {
    let document = include_str!("../../docs/filter.md");
    let listed: Vec<&str> = document
        .lines()
        .filter(|line| line.starts_with("| `"))
        .collect();
    let expected: Vec<String> = FIELDS
        .iter()
        .map(|field| {
            let kind = match field.kind {
                FieldKind::Word(_) => "word".into(),
                kind => format!("{kind:?}").to_lowercase(),
            };
            let indexed = if field.tag.is_some() { "yes" } else { "" };
            format!(
                "| `{}` | {kind} | {indexed} | {} |",
                field.name, field.about
            )
        })
        .collect();
    assert_eq!(listed, expected);
}

fn wrong(filter: &str) -> FilterError {
    Filter::parse(filter).expect_err(filter)
}

#[test]
fn a_wrong_filter_is_refused_at_the_place_that_is_wrong() {
    let cases = [
        (
            "acter = x",
            0,
            "there is no field \"acter\": did you mean actor?",
        ),
        (
            "actor = x AND tarrget = y",
            14,
            "there is no field \"tarrget\": did you mean target?",
        ),
        ("zzzzzzzz = 1", 0, "there is no field \"zzzzzzzz\""),
        ("actor =", 7, "expected a value, found the end"),
        ("actor = AND", 8, ""),
        ("actor == x", 6, "expected =, found =="),
        (
            "(actor = x",
            10,
            "expected a closing parenthesis, found the end",
        ),
        (
            "actor = x)",
            9,
            "expected AND, OR or the end, found a closing parenthesis",
        ),
        ("actor = \"x", 8, "the quoted text does not end"),
        (
            "AND actor = x",
            0,
            "expected a field, a text, NOT or an opening parenthesis, found AND",
        ),
        ("actor = x AND", 13, "found the end"),
        ("actor = x OR", 12, "found the end"),
        ("NOT", 3, "found the end"),
        ("= x", 0, "found ="),
        (
            "outcome = good",
            10,
            "outcome is compared with one of unspecified, success",
        ),
        ("outcome < failure", 10, "outcome cannot be compared with <"),
        (
            "gpus = many",
            7,
            "gpus is compared with a whole number, not with \"many\"",
        ),
        ("gpus = -1", 7, "whole number"),
        ("gpus = 99999999999999999999", 7, "whole number"),
        ("occurred_at > yesterday", 14, "RFC 3339"),
        ("occurred_at > 2024-06-20T10:00:00", 14, "RFC 3339"),
        ("occurred_at > 2024-13-20", 14, "RFC 3339"),
        ("lag > 5", 6, "a length of time"),
        ("lag > 5.s", 6, "a length of time"),
        ("lag > 99999999999d", 6, "a length of time"),
        ("foreign = maybe", 10, "true or false"),
        ("foreign < true", 10, "foreign cannot be compared with <"),
        ("actor < a*", 8, "without *"),
        ("labels = x", 9, "labels cannot be compared with ="),
        ("é acter = x", 2, "did you mean actor?"),
        ("sigend = true", 0, "did you mean signed?"),
        ("attested = true", 0, "did you mean signed?"),
        ("signed = yes", 9, "signed is compared with true or false"),
        ("()", 1, "found a closing parenthesis"),
        (
            "!",
            0,
            "! is looked for as a text here: write NOT, or put it in quotes",
        ),
        ("actor = x or actor = y", 10, "write OR"),
        ("actor = x And actor = y", 10, "write AND"),
        ("not actor = x", 0, "write NOT"),
        ("action in (a)", 7, "write = for each value"),
        ("action ~ foo", 7, "write = with * for any text"),
    ];
    for (filter, at, message) in cases {
        if let Ok(filter) = Filter::parse(filter) {
            assert!(message.is_empty(), "{filter} was read");
            continue;
        }
        let error = wrong(filter);
        assert_eq!(error.at, at, "{filter}: {error}");
        assert!(error.to_string().contains(message), "{filter}: {error}");
    }
}

#[test]
fn the_mark_stands_under_the_place() {
    let filter = "actor = x AND\ttarr\u{202e}get = y";
    let error = wrong(filter);
    assert_eq!(
        error.caret(filter),
        "actor = x AND tarr\u{fffd}get = y\n              ^"
    );
    let long = format!("{} AND acter = 1", "a".repeat(500));
    let marked = wrong(&long).caret(&long);
    let (line, mark) = marked.split_once('\n').unwrap();
    assert!(line.len() <= 60, "{line}");
    assert_eq!(&line[mark.len() - 1..][..5], "acter");
}

#[test]
fn what_is_too_large_is_refused() {
    let deep = |depth: usize| format!("{}kind = event{}", "(".repeat(depth), ")".repeat(depth));
    assert!(Filter::parse(&deep(MAX_NESTING)).is_ok());
    assert!(wrong(&deep(MAX_NESTING + 1)).to_string().contains("nested"));
    assert!(wrong(&"(".repeat(15_000)).to_string().contains("nested"));
    assert!(wrong(&"NOT ".repeat(4_000)).to_string().contains("nested"));
    assert!(wrong(&"-".repeat(15_000)).to_string().contains("nested"));
    let many = |count: usize| vec!["seq = 1"; count].join(" OR ");
    assert!(Filter::parse(&many(MAX_COMPARISONS)).is_ok());
    assert!(
        wrong(&many(MAX_COMPARISONS + 1))
            .to_string()
            .contains("256 comparisons")
    );
    assert!(
        wrong(&"a ".repeat(9_000))
            .to_string()
            .contains("16384 bytes")
    );
}

fn a_value() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z*]{1,6}",
        "\"[a-z \\\\*()=]{0,8}x\"".prop_filter("an escape at the end", |v| !v.ends_with("\\x\"")),
        Just("oidc:corp/alice".to_owned()),
    ]
}

fn a_restriction() -> impl Strategy<Value = String> {
    let text_field = prop_oneof![
        "actor",
        "target",
        "after",
        "digest",
        "labels\\.team",
        "reason"
    ];
    prop_oneof![
        (text_field, prop_oneof!["=", "!=", ":"], a_value())
            .prop_map(|(field, comparator, value)| format!("{field} {comparator} {value}")),
        (
            prop_oneof!["gpus", "seq"],
            prop_oneof!["=", "<", ">=", "!="],
            0u64..99
        )
            .prop_map(|(field, comparator, value)| format!("{field}{comparator}{value}")),
        (prop_oneof!["<", "=", ">"], 0i64..99_999)
            .prop_map(|(comparator, seconds)| format!("lag {comparator} -{seconds}.5s")),
        Just("occurred_at = 2024-02-29".to_owned()),
        Just("foreign = false".to_owned()),
        Just("outcome != success".to_owned()),
        Just("labels:team".to_owned()),
        "[a-z*]{1,6}",
        Just("\"oidc:corp/alice\"".to_owned()),
    ]
}

fn a_filter() -> impl Strategy<Value = String> {
    a_restriction().prop_recursive(4, 24, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 2..4).prop_map(|all| all.join(" AND ")),
            prop::collection::vec(inner.clone(), 2..4).prop_map(|any| any.join(" OR ")),
            inner.clone().prop_map(|inner| format!("NOT ({inner})")),
            inner.prop_map(|inner| format!("-({inner})")),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn the_normal_form_reads_back_as_the_same_filter(text in a_filter()) {
        let filter = Filter::parse(&text).unwrap();
        let normal = filter.to_string();
        prop_assert_eq!(&Filter::parse(&normal).unwrap(), &filter, "{}", normal);
        let facts = facts();
        prop_assert_eq!(Filter::parse(&normal).unwrap().evaluate(&facts), filter.evaluate(&facts));
    }

    #[test]
    fn no_text_is_too_strange(text in "\\PC{0,40}|[a-z()=<>!:\"'*\\\\ -]{0,60}") {
        if let Err(error) = Filter::parse(&text) {
            let caret = error.caret(&text);
            prop_assert!(!caret.chars().any(|c| c.is_control() && c != '\n'));
            prop_assert!(error.at <= text.chars().count());
        }
    }
}
