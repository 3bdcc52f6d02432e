//! Names that mean the same: what a filter asks for with them, against a search of every moment by itself.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use graven::entry::body::Body;
use graven::entry::{Header, Kind, Seed, Tag, v1};
use graven::index::Facts;
use graven::index::filter::{Filter, Truth};
use graven::inquiry::{Expander, Inquiry, Links, NameKind, Span};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use prost::Message;

const NAMES: [&str; 6] = [
    "other:a", "other:b", "other:c", "other:d", "other:e", "other:f",
];

/// An entry of these parts.
fn facts(seq: u64, recorded_at: i64, submitter: &str, event: v1::Event) -> Facts {
    let envelope = v1::Envelope {
        submitter: Some(v1::Submitter {
            issuer: "token".into(),
            subject: submitter.into(),
        }),
        ..Default::default()
    };
    let mut parts = vec![(Tag::Envelope, Bytes::from(envelope.encode_to_vec()))];
    let mut add = |tag, part: Option<Vec<u8>>| {
        parts.extend(part.map(|part| (tag, Bytes::from(part))));
    };
    add(Tag::Who, event.who.map(|part| part.encode_to_vec()));
    add(Tag::What, event.what.map(|part| part.encode_to_vec()));
    add(Tag::Context, event.context.map(|part| part.encode_to_vec()));
    let body = Body::disclose(&Seed([9; 32]), parts).unwrap();
    let header = Header {
        kind: Kind::Event,
        actor_signature: false,
        seq,
        recorded_at: u64::try_from(recorded_at).unwrap(),
        body_hash: body.hash(),
        prev: [3; 32],
    };
    Facts::new(&header, &body).unwrap()
}

/// What a link event says.
#[derive(Debug, Clone)]
struct Said {
    identity: bool,
    names: [usize; 2],
    from: Option<i64>,
    to: Option<i64>,
    authority: usize,
    submitter: usize,
}

impl Said {
    fn facts(&self, seq: u64) -> Facts {
        let [from, to] = self.names.map(|name| NAMES[name].to_owned());
        let what = v1::What {
            action: if self.identity {
                "identity.link"
            } else {
                "target.link"
            }
            .into(),
            link: Some(v1::Link {
                from,
                to,
                valid_from: self.from,
                valid_to: self.to,
                authority: ["hr", "ldap"][self.authority].into(),
            }),
            ..Default::default()
        };
        let event = v1::Event {
            what: Some(what),
            ..Default::default()
        };
        facts(seq, 1, ["other:x", "other:y"][self.submitter], event)
    }

    fn pair(&self) -> [usize; 2] {
        let [a, b] = self.names;
        [a.min(b), a.max(b)]
    }

    fn holds_at(&self, time: i64) -> bool {
        self.from.is_none_or(|from| from <= time) && self.to.is_none_or(|to| time < to)
    }
}

fn said() -> impl Strategy<Value = Said> {
    let names =
        (0..NAMES.len(), 1..NAMES.len()).prop_map(|(a, step)| [a, (a + step) % NAMES.len()]);
    let valid = (option::of(0..8i64), option::of(0..4i64));
    (any::<bool>(), names, valid, 0..2usize, 0..2usize).prop_map(
        |(identity, names, (from, length), authority, submitter)| Said {
            identity,
            names,
            from,
            to: length.map(|length| from.unwrap_or(2) + length),
            authority,
            submitter,
        },
    )
}

/// Which names mean the same as one at a time: the newest statements, followed until nothing is new.
fn group(all: &[Said], identity: bool, name: usize, time: i64) -> BTreeSet<usize> {
    let mut newest = BTreeMap::new();
    for said in all.iter().filter(|said| said.identity == identity) {
        newest.insert(
            (said.pair(), said.from, said.authority, said.submitter),
            said,
        );
    }
    let mut group = BTreeSet::from([name]);
    loop {
        let before = group.len();
        for said in newest.values().filter(|said| said.holds_at(time)) {
            if said.names.iter().any(|name| group.contains(name)) {
                group.extend(said.names);
            }
        }
        if group.len() == before {
            return group;
        }
    }
}

/// Answers an inquiry from these entries.
fn answer(inquiry: &mut impl Inquiry, entries: &[Facts]) -> usize {
    let mut questions = 0;
    while let Some(question) = inquiry.next() {
        questions += 1;
        for facts in entries {
            if question.filter.evaluate(facts) == Truth::True {
                let _ = inquiry.take(facts);
            }
        }
    }
    questions
}

fn links(filter: &Filter, entries: &[Facts]) -> Links {
    let mut links = Links::of_filter(filter);
    answer(&mut links, entries);
    links
}

fn expand(filter: &str, entries: &[Facts]) -> Filter {
    let filter = Filter::parse(filter).unwrap();
    let links = links(&filter, entries);
    assert!(!links.is_cut_off());
    Expander::new(&links.expansions()).expand(&filter).unwrap()
}

fn act(actor: &str, target: &str, occurred_at: Option<i64>, recorded_at: i64) -> Facts {
    let event = v1::Event {
        who: Some(v1::Who {
            actor: actor.into(),
            ..Default::default()
        }),
        what: Some(v1::What {
            action: "file.read".into(),
            targets: vec![v1::Target {
                uri: target.into(),
                ..Default::default()
            }],
            ..Default::default()
        }),
        context: Some(v1::Context {
            occurred_at,
            ..Default::default()
        }),
        ..Default::default()
    };
    facts(1_000, recorded_at, "other:x", event)
}

proptest! {
    #[test]
    fn a_name_means_what_the_links_of_each_moment_say(
        all in vec(said(), 0..14),
        name in 0..NAMES.len(),
        identity in any::<bool>(),
    ) {
        let entries: Vec<Facts> = (0..).zip(&all).map(|(seq, said)| said.facts(seq)).collect();
        let field = if identity { "actor" } else { "target" };
        let filter = Filter::parse(&format!("{field} = {}", NAMES[name])).unwrap();
        let kind = if identity { NameKind::Identity } else { NameKind::Target };
        let found = links(&filter, &entries).resolve(kind, NAMES[name]);
        for time in -1..14 {
            let expected = group(&all, identity, name, time);
            for (other, text) in NAMES.iter().enumerate().filter(|(other, _)| *other != name) {
                let alias = found.iter().find(|alias| alias.name == *text);
                let same = alias.is_some_and(|alias| alias.times.contains(time));
                prop_assert_eq!(same, expected.contains(&other), "{} at {}", text, time);
            }
        }
        for alias in &found {
            let spans = alias.times.spans();
            prop_assert!(!spans.is_empty());
            prop_assert!(spans.windows(2).all(|pair| pair[0].to.is_some() && pair[0].to < pair[1].from));
            prop_assert!(!alias.links.is_empty());
            prop_assert!(alias.links.iter().all(|link| link.names.contains(&alias.name)));
        }
    }

    #[test]
    fn a_filter_asks_for_every_name_and_its_negation_for_no_other(
        all in vec(said(), 0..10),
        name in 0..NAMES.len(),
        who in 0..NAMES.len(),
        on in 0..NAMES.len(),
        occurred_at in option::of(-1..14i64),
        recorded_at in 0..14i64,
    ) {
        let entries: Vec<Facts> = (0..).zip(&all).map(|(seq, said)| said.facts(seq)).collect();
        let facts = act(NAMES[who], NAMES[on], occurred_at, recorded_at);
        let time = occurred_at.unwrap_or(recorded_at);
        let name_text = NAMES[name];
        for (field, identity, value) in [("actor", true, who), ("target", false, on)] {
            let same = group(&all, identity, name, time).contains(&value);
            for (filter, expected) in [
                (format!("{field} = {name_text}"), same),
                (format!("{field} != {name_text}"), !same),
                (format!("NOT {field} = {name_text}"), !same),
                (format!("{field} = {name_text} OR seq = 5"), same),
                (format!("-(kind = seal OR {field} = {name_text}) kind = event"), !same),
                // A pattern is not a name.
                (format!("{field} = {name_text}*"), value == name),
                (format!("{field}:{name_text}"), value == name),
                (format!("{field} >= {name_text} {field} <= {name_text}"), value == name),
            ] {
                let expanded = expand(&filter, &entries);
                let truth = expanded.evaluate(&facts);
                prop_assert_eq!(truth == Truth::True, expected, "{} became {}", filter, expanded);
            }
        }
    }
}

fn always(a: usize, b: usize) -> Said {
    Said {
        identity: true,
        names: [a, b],
        from: None,
        to: None,
        authority: 0,
        submitter: 0,
    }
}

#[test]
fn a_chain_holds_only_while_all_its_links_do_and_says_which() {
    let first = Said {
        from: Some(10),
        to: Some(20),
        ..always(0, 1)
    };
    let second = Said {
        from: Some(15),
        ..always(2, 1)
    };
    let entries = [first.facts(4), second.facts(9)];
    let filter = Filter::parse("actor = other:a").unwrap();
    let found = links(&filter, &entries).expansions();
    let [expansion] = found.as_slice() else {
        panic!("{found:?}")
    };
    let [b, c] = expansion.aliases.as_slice() else {
        panic!("{expansion:?}")
    };
    let span = |from, to| Span {
        from: Some(from),
        to: Some(to),
    };
    assert_eq!(
        (b.name.as_str(), b.times.spans()),
        ("other:b", &[span(10, 20)][..])
    );
    assert_eq!(
        (c.name.as_str(), c.times.spans()),
        ("other:c", &[span(15, 20)][..])
    );
    let seqs = |alias: &graven::inquiry::Alias| -> Vec<u64> {
        alias.links.iter().map(|link| link.seq).collect()
    };
    assert_eq!((seqs(b), seqs(c)), (vec![4, 9], vec![9]));
    let text = expand("actor = other:a", &entries).to_string();
    assert!(text.contains("actor = \"other:c\" AND"), "{text}");
    assert!(
        text.contains("occurred_at < 1970-01-01T00:00:00.00000002Z"),
        "{text}"
    );
}

#[test]
fn what_is_newer_replaces_only_what_the_same_said_about_the_same() {
    let said = |submitter, authority, from, to| Said {
        from,
        to,
        authority,
        submitter,
        ..always(0, 1)
    };
    let entries = [
        said(0, 0, Some(10), None).facts(1),
        said(0, 0, Some(10), Some(10)).facts(2),
        said(1, 0, Some(30), None).facts(3),
        said(0, 0, Some(30), Some(30)).facts(4),
    ];
    let filter = Filter::parse("owner = other:b").unwrap();
    let found = links(&filter, &entries).resolve(NameKind::Identity, "other:b");
    let [alias] = found.as_slice() else {
        panic!("{found:?}")
    };
    // The first was taken back; nobody but its submitter takes back the third.
    assert_eq!(
        alias.times.spans(),
        [Span {
            from: Some(30),
            to: None
        }]
    );
    assert_eq!(alias.links.len(), 1);
    assert_eq!(alias.links[0].submitter, "other:y");
    let narrowed = [
        said(0, 0, Some(10), None).facts(1),
        said(0, 0, Some(10), Some(20)).facts(7),
    ];
    let found = links(&filter, &narrowed).resolve(NameKind::Identity, "other:b");
    assert_eq!(found[0].links[0].replaces, [1]);
    assert_eq!(
        found[0].times.spans(),
        [Span {
            from: Some(10),
            to: Some(20)
        }]
    );
}

#[test]
fn identities_and_targets_of_one_name_are_two() {
    let entries = [Said {
        identity: false,
        ..always(0, 1)
    }
    .facts(0)];
    assert_eq!(
        expand("actor = other:a", &entries).to_string(),
        "actor = \"other:a\""
    );
    assert_eq!(
        expand("target = other:a", &entries).to_string(),
        "(target = \"other:a\" OR target = \"other:b\")"
    );
    // Fields that hold no names stay as they are.
    assert_eq!(
        expand("run = other:a", &entries).to_string(),
        "run = \"other:a\""
    );
}

#[test]
fn what_is_followed_is_bounded_and_says_so() {
    // A long chain: asked about name by name, and cut off.
    let chain: Vec<Facts> = (0..600u64)
        .map(|seq| {
            let what = v1::What {
                action: "identity.link".into(),
                link: Some(v1::Link {
                    from: format!("other:n{seq}"),
                    to: format!("other:n{}", seq + 1),
                    authority: "hr".into(),
                    ..Default::default()
                }),
                ..Default::default()
            };
            let event = v1::Event {
                what: Some(what),
                ..Default::default()
            };
            facts(seq, 1, "other:x", event)
        })
        .collect();
    let filter = Filter::parse("actor = other:n0").unwrap();
    let mut links = Links::of_filter(&filter);
    let questions = answer(&mut links, &chain);
    assert!(links.is_cut_off());
    assert!(questions <= 600, "{questions}");
    let expansions = links.expansions();
    assert_eq!(expansions[0].aliases.len(), 512);
    // More than a filter can hold.
    assert!(Expander::new(&expansions).expand(&filter).is_err());
}

#[test]
fn nothing_is_asked_where_no_name_is() {
    for filter in [
        "",
        "seq > 5",
        "actor = other:*",
        "actor:alice",
        "NOT actor:*",
    ] {
        let filter = Filter::parse(filter).unwrap();
        assert!(Links::of_filter(&filter).next().is_none(), "{filter}");
    }
}
