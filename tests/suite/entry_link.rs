//! Events that say which names meant the same: what they need, how they are encoded, and what they are found by.

use graven::entry::json::{self, Row};
use graven::entry::{CheckedEvent, Problem, v1};
use graven::index::Facts;
use graven::index::filter::{Filter, Truth};
use serde_json::Value;

use super::entry_support::seal;

const ALICE: &str = r#"{"action":"identity.link","source":"ldap:corp","link":{"from":"unix:a100/10432",
    "to":"oidc:corp/alice","valid_from":"2026-01-05T00:00:00Z","valid_to":"2026-06-01T00:00:00Z","authority":"ldap:corp"}}"#;

fn event(link: &str, rest: &str) -> v1::Event {
    let text = format!(r#"{{"source":"x","link":{link}{rest}}}"#);
    json::read(&text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn check(event: &v1::Event) -> Result<(), (String, Problem)> {
    CheckedEvent::check(&json::encode(event))
        .map(|_| ())
        .map_err(|invalid| (invalid.field, invalid.problem))
}

#[test]
fn a_link_is_typed_sealed_shown_and_read_back() {
    let event = json::read(ALICE).unwrap();
    let (header, body) = seal(&event);
    let shown = serde_json::to_string(&Row::new(&header, &body).unwrap()).unwrap();
    assert_eq!(json::read_row(&shown).unwrap(), event);
    let typed: Value = serde_json::from_str(ALICE).unwrap();
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["link"], typed["link"]);
    assert_eq!(shown["targets"], Value::Array(Vec::new()));
}

/// Field 12 of `What`: its fields in ascending order, times as zigzag varints.
#[test]
fn a_link_has_one_encoding() {
    let event = event(
        r#"{"from":"other:a","to":"other:b","valid_from":"1970-01-01T00:00:00Z","valid_to":"1970-01-01T00:00:00.000000001Z","authority":"c"}"#,
        r#","action":"identity.link""#,
    );
    let link = [
        &[0x0a, 7][..],
        b"other:a",
        &[0x12, 7],
        b"other:b",
        &[0x18, 0, 0x20, 2, 0x2a, 1],
        b"c",
    ]
    .concat();
    let what = [
        &[0x0a, 13][..],
        b"identity.link",
        &[0x62, u8::try_from(link.len()).unwrap()],
        &link,
    ]
    .concat();
    let encoded = [
        &[0x1a, u8::try_from(what.len()).unwrap()][..],
        &what,
        &[0x22, 3, 0x0a, 1],
        b"x",
    ]
    .concat();
    assert_eq!(json::encode(&event), encoded);
    check(&event).unwrap();
}

#[test]
fn links_need_two_names_of_one_kind_and_an_authority() {
    let identities = |link: &str| check(&event(link, r#","action":"identity.link""#));
    let targets = |link: &str| check(&event(link, r#","action":"target.link""#));
    let good = r#"{"from":"other:a","to":"other:b","authority":"c"}"#;
    identities(good).unwrap();
    targets(good).unwrap();
    targets(r#"{"from":"file://gpu-17/mnt/a","to":"fs://nfs-1/a","authority":"mounts"}"#).unwrap();
    let field = |result: Result<(), (String, Problem)>| result.unwrap_err().0;
    let wrong = [
        (r#"{"to":"other:b","authority":"c"}"#, "what.link.from"),
        (r#"{"from":"other:a","authority":"c"}"#, "what.link.to"),
        (
            r#"{"from":"other:a","to":"other:b"}"#,
            "what.link.authority",
        ),
        (
            r#"{"from":"alice","to":"other:b","authority":"c"}"#,
            "what.link.from",
        ),
        (
            r#"{"from":"other:a","to":"bob","authority":"c"}"#,
            "what.link.to",
        ),
        (
            r#"{"from":"other:a","to":"other:a","authority":"c"}"#,
            "what.link.to",
        ),
    ];
    for (link, expected) in wrong {
        assert_eq!(field(identities(link)), expected, "{link}");
        assert_eq!(field(targets(link)), expected, "{link}");
    }
    // A name of the other kind is no name.
    let file = r#"{"from":"fs://nfs-1","to":"other:b","authority":"c"}"#;
    assert_eq!(field(targets(file)), "what.link.from");
    let person = r#"{"from":"oidc:corp/alice","to":"other:b","authority":"c"}"#;
    identities(person).unwrap();
    assert_eq!(field(targets(person)), "what.link.from");
}

#[test]
fn a_link_never_ends_before_it_begins() {
    let until = |to: &str| {
        let link = format!(
            r#"{{"from":"other:a","to":"other:b","valid_from":"2026-01-05T00:00:00Z","valid_to":"{to}","authority":"c"}}"#
        );
        check(&event(&link, r#","action":"identity.link""#))
    };
    until("2026-01-06T00:00:00Z").unwrap();
    // Never: what a retraction says.
    until("2026-01-05T00:00:00Z").unwrap();
    let before = Problem::Before("valid_from");
    let found = until("2026-01-04T23:59:59Z").unwrap_err();
    assert_eq!(found, ("what.link.valid_to".to_owned(), before));
}

#[test]
fn only_these_two_actions_have_a_link_and_none_is_without() {
    let link = r#"{"from":"other:a","to":"other:b","authority":"c"}"#;
    let found = check(&event(
        link,
        r#","action":"file.update","target":"other:x""#,
    ))
    .unwrap_err();
    assert_eq!(found.0, "what.link");
    assert!(matches!(found.1, Problem::OnlyFor(_)), "{found:?}");
    for action in ["identity.link", "target.link"] {
        let rest = format!(r#","action":"{action}","target":"other:x""#);
        let found = check(&event("null", &rest)).unwrap_err();
        assert_eq!(found, ("what.link".to_owned(), Problem::Required));
        check(&event(link, &rest)).unwrap();
    }
}

#[test]
fn a_link_is_found_by_both_names() {
    let (header, body) = seal(&json::read(ALICE).unwrap());
    let facts = Facts::new(&header, &body).unwrap();
    let matches = |filter: &str| Filter::parse(filter).unwrap().evaluate(&facts) == Truth::True;
    assert!(matches("linked = unix:a100/10432"));
    assert!(matches(
        "linked = oidc:corp/alice AND action = identity.link"
    ));
    assert!(matches("link_authority = ldap:corp"));
    assert!(!matches("actor:* OR target:*"));
    assert!(!matches("linked = oidc:corp/bob"));
}
