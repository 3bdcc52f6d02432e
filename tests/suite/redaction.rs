//! Rules that keep secrets out of what is sealed, one event at a time.

use bytes::Bytes;
use ed25519_dalek::SigningKey;
use graven::entry::redaction::{are_notes, is_rest_of};
use graven::entry::{CheckedEvent, Invalid, Kind, Problem, Seed, Tag, json, signature, v1};
use graven::ledger::LedgerError;
use graven::service::redaction::Rules;
use graven::store::MemoryDisk;
use graven::verify::{Check, check_entry};
use prost::Message;

use super::ledger_support::{Operator, append};
use super::verify_support::{ORIGIN, Sealer, envelope, ledger_envelope};

const AWS: &str = "AKIAIOSFODNN7EXAMPLE";

fn shipped() -> Rules {
    Rules::parse("").unwrap()
}

/// What these rules make of an event with this detail, as text, and the notes.
fn detail(rules: &Rules, content: &str) -> (String, Vec<(String, String, u32)>) {
    let event = event(|event| {
        event.detail = Some(v1::Detail {
            content: content.into(),
            ..Default::default()
        });
    });
    let applied = rules.apply(checked(&event)).unwrap();
    let part = applied.part(Tag::Detail).unwrap().clone();
    let rest = v1::Detail::decode(part).unwrap().content;
    (String::from_utf8(rest).unwrap(), notes(&applied))
}

fn notes(event: &CheckedEvent) -> Vec<(String, String, u32)> {
    let notes = event.redacted.iter().flat_map(|redacted| &redacted.notes);
    notes
        .map(|note| (note.field.clone(), note.rule.clone(), note.count))
        .collect()
}

fn event(change: impl FnOnce(&mut v1::Event)) -> v1::Event {
    let text =
        r#"{"action":"job.submit","target":"slurm://a/job/1","source":"s","actor":"slurm:a/bob"}"#;
    let mut event = json::read(text).unwrap();
    change(&mut event);
    event
}

fn checked(event: &v1::Event) -> CheckedEvent {
    CheckedEvent::check(&Bytes::from(event.encode_to_vec())).unwrap()
}

#[test]
fn shipped_rules_find_what_they_say_and_leave_the_rest() {
    let rules = shipped();
    let jwt = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl";
    let pem = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nMIIB+/=\n-----END RSA PRIVATE KEY-----";
    let github = format!("ghp_{}", "a1B2".repeat(9));
    for (sent, rest) in [
        (format!("key {AWS}."), "key [redacted:aws-access-key].".to_owned()),
        (format!("a\n{pem}\nb"), "a\n[redacted:private-key]\nb".into()),
        (format!("see {jwt}"), "see [redacted:jwt]".into()),
        (format!("{github}!"), "[redacted:github-token]!".into()),
        (
            "curl -H 'Authorization: Bearer 0123456789abcdef' x".into(),
            "curl -H 'Authorization: Bearer [redacted:bearer-token]' x".into(),
        ),
        (
            "git clone https://bob:hunter2@git.example/x".into(),
            "git clone https://bob:[redacted:url-password]@git.example/x".into(),
        ),
        (
            "HOME=/root\nDB_PASSWORD=two words\nUSER=bob".into(),
            "HOME=/root\nDB_PASSWORD=[redacted:password]\nUSER=bob".into(),
        ),
        (
            "A=1\0WANDB_API_KEY=abc\0B=2".into(),
            "A=1\0WANDB_API_KEY=[redacted:secret]\0B=2".into(),
        ),
        (
            "run --api-key abc123 --steps 3".into(),
            "run --api-key [redacted:secret] --steps 3".into(),
        ),
        (
            "user=x&password=abc&y=1".into(),
            "user=x&password=[redacted:password]&y=1".into(),
        ),
        // JSON keeps every other byte, and stays JSON.
        (
            r#"{ "env" : ["PATH=/bin","HF_TOKEN=abc def"], "n": 1.0e3 }"#.into(),
            r#"{ "env" : ["PATH=/bin","HF_TOKEN=[redacted:token]"], "n": 1.0e3 }"#.into(),
        ),
        (
            r#"{"password":{"a":["x"]},"Authorization":"x","p\u0061sswd": 12}"#.into(),
            r#"{"password":"[redacted:password]","Authorization":"[redacted:header]","p\u0061sswd": "[redacted:password]"}"#.into(),
        ),
        (
            r#"[{"name":"DB_PASSWORD","value":"x"},{"name":"HOME","value":"x"}]"#.into(),
            r#"[{"name":"DB_PASSWORD","value":"[redacted:password]"},{"name":"HOME","value":"x"}]"#.into(),
        ),
        (
            r#"{"body":"{\"password\":\"x\"}","note":"a\nb"}"#.into(),
            r#"{"body":"[redacted:password]","note":"a\nb"}"#.into(),
        ),
        (
            "{\"k\":\"\\u0041KIAIOSFODNN7EXAMPLE\"}".into(),
            r#"{"k":"[redacted:aws-access-key]"}"#.into(),
        ),
    ] {
        let (found, notes) = detail(&rules, &sent);
        assert_eq!(found, rest, "{sent}");
        assert!(!notes.is_empty(), "{sent}");
        // A second time there is nothing to find.
        assert_eq!(detail(&rules, &found), (found.clone(), vec![]), "{sent}");
    }
    for kept in [
        r#"{"max_tokens":4096,"eos_token":"</s>","tokenizer":"bpe","password":null,"secret":""}"#,
        "sha256:0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a",
        "the password was rotated",
        "XAKIAIOSFODNN7EXAMPLE9",
        "",
    ] {
        let same = (kept.to_owned(), vec![]);
        if !kept.is_empty() {
            assert_eq!(detail(&rules, kept), same);
        }
    }
}

#[test]
fn every_application_is_noted_by_field_and_rule() {
    let rules = Rules::parse(
        "shipped = false\n[[rule]]\nname = \"corp\"\nfields = [\"why.labels\", \"detail\"]\n\
         names = [\"*corp?key*\"]\nvalues = ['corp_[0-9]{4}']\n",
    )
    .unwrap();
    let sent = event(|event| {
        event.why = Some(v1::Why {
            reason: "corp_1234".into(),
            labels: vec![
                v1::Label {
                    key: "my-CORP_KEY".into(),
                    value: "zz".into(),
                },
                v1::Label {
                    key: "x".into(),
                    value: "corp_1234 corp_5678".into(),
                },
            ],
            ..Default::default()
        });
        event.detail = Some(v1::Detail {
            original: b"\xff corp_1234 \xfe".to_vec(),
            original_digest: "sha256:00".into(),
            ..Default::default()
        });
    });
    let applied = rules.apply(checked(&sent)).unwrap();
    let note = |field: &str, count| (field.to_owned(), "corp".to_owned(), count);
    assert_eq!(
        notes(&applied),
        [
            note("detail.original", 1),
            note("detail.original_digest", 1),
            note("why.labels", 3)
        ]
    );
    let why = v1::Why::decode(applied.part(Tag::Why).unwrap().clone()).unwrap();
    // The rule is not for this field.
    assert_eq!(why.reason, "corp_1234");
    assert_eq!(why.labels[0].value, "[redacted:corp]");
    assert_eq!(why.labels[1].value, "[redacted:corp] [redacted:corp]");
    let detail = v1::Detail::decode(applied.part(Tag::Detail).unwrap().clone()).unwrap();
    assert_eq!(detail.original, b"\xff [redacted:corp] \xfe");
    assert_eq!(detail.original_digest, "");
}

fn refused(event: &v1::Event) -> Invalid {
    shipped().apply(checked(event)).unwrap_err()
}

#[test]
fn evidence_is_never_changed_and_a_signed_event_neither() {
    let secret = |event: v1::Event, field: &str, rule: &str| {
        let invalid = refused(&event);
        assert_eq!(
            (invalid.field.as_str(), invalid.rule()),
            (field, Some(rule))
        );
        assert!(!invalid.to_string().contains(AWS), "{invalid}");
        assert!(matches!(invalid.problem, Problem::Secret { .. }));
    };
    let aws = "aws-access-key";
    secret(
        event(|e| e.who.as_mut().unwrap().actor = format!("unix:h/{AWS}")),
        "who.actor",
        aws,
    );
    secret(
        event(|e| e.what.as_mut().unwrap().targets[0].uri = "other:x?password=y".into()),
        "what.targets[0].uri",
        "password",
    );
    secret(
        event(|e| e.context.as_mut().unwrap().source = AWS.into()),
        "context.source",
        aws,
    );
    secret(
        event(|e| e.context.as_mut().unwrap().idempotency_id = AWS.into()),
        "context.idempotency_id",
        aws,
    );
    secret(
        event(|e| {
            let key = AWS.into();
            let labels = vec![v1::Label {
                key,
                value: "x".into(),
            }];
            e.why = Some(v1::Why {
                labels,
                ..Default::default()
            });
        }),
        "why.labels[0].key",
        aws,
    );
    secret(
        event(|e| {
            e.detail = Some(v1::Detail {
                content: "x".into(),
                media_type: format!("text/plain; {AWS}"),
                ..Default::default()
            });
        }),
        "detail.media_type",
        aws,
    );
    let mut signed = event(|e| {
        let reason = format!("with {AWS}");
        e.why = Some(v1::Why {
            reason,
            ..Default::default()
        });
    });
    let unsigned = checked(&signed);
    let parts: Vec<(Tag, &[u8])> = unsigned
        .parts
        .iter()
        .map(|(t, b)| (*t, b.as_ref()))
        .collect();
    let key = SigningKey::from_bytes(&[7; 32]);
    let origin = "ledger.example/r";
    signed.actor_signature = Some(signature::sign(&key, &Seed([9; 32]), origin, &parts));
    secret(signed, "why.reason", aws);
}

/// Random numbers that are always the same.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(end).unwrap()).unwrap()
    }

    fn word(&mut self, alphabet: &str, length: usize) -> String {
        let letters: Vec<char> = alphabet.chars().collect();
        (0..length)
            .map(|_| letters[self.below(letters.len())])
            .collect()
    }

    /// A secret, and text that gives it away.
    fn secret(&mut self) -> (String, String) {
        let letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
        let id = self.word(letters, 16);
        match self.below(5) {
            0 => (format!("AKIA{id}"), format!("AKIA{id}")),
            1 => (id.clone(), format!("DB_PASSWORD={id}")),
            2 => (format!("hf_{id}{id}"), format!("hf_{id}{id}")),
            3 => (id.clone(), format!("Authorization: Bearer {id}")),
            _ => (id.clone(), format!("s3://u:{id}@host/")),
        }
    }

    fn text(&mut self, planted: &str) -> String {
        let noise = "abc äöü{}[]:;,.'\n\t 01=";
        let (before, after) = (self.below(20), self.below(20));
        let (before, after) = (self.word(noise, before), self.word(noise, after));
        format!("{before} {planted}\n{after}")
    }
}

#[test]
fn no_planted_secret_is_left_wherever_it_stood() {
    let rules = shipped();
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for round in 0..600 {
        let mut secrets = Vec::new();
        let mut plant = |random: &mut Random| {
            let (secret, text) = random.secret();
            secrets.push(secret);
            random.text(&text)
        };
        let sent = event(|e| {
            e.why = Some(v1::Why {
                reason: plant(&mut random),
                ticket: plant(&mut random),
                review: plant(&mut random),
                labels: vec![v1::Label {
                    key: "l".into(),
                    value: plant(&mut random),
                }],
            });
            let text = plant(&mut random);
            let json = serde_json::json!({"a": [1, {"b": text}], "c": plant(&mut random)});
            e.detail = Some(v1::Detail {
                content: json.to_string().into(),
                media_type: "application/json".into(),
                original: plant(&mut random).into(),
                ..Default::default()
            });
        });
        let sent = checked(&sent);
        let applied = rules.apply(sent.clone()).unwrap();
        let redacted = applied.redacted.as_ref().unwrap();
        assert_eq!(redacted.received, sent.parts);
        assert!(are_notes(&redacted.notes), "{:?}", redacted.notes);
        for ((tag, bytes), (_, before)) in applied.parts.iter().zip(&sent.parts) {
            for secret in &secrets {
                let found = bytes.windows(secret.len()).any(|w| w == secret.as_bytes());
                assert!(!found, "round {round}: {tag:?}: {secret} in {bytes:?}");
            }
            graven::entry::body::check_part(*tag, bytes).unwrap();
            assert!(
                is_rest_of(&redacted.notes, *tag, bytes, before),
                "round {round}"
            );
            // Without the notes it is something else, and so is one with a letter more.
            if bytes != before {
                assert!(!is_rest_of(&[], *tag, bytes, before));
            }
        }
    }
}

#[test]
fn what_was_changed_beyond_the_notes_is_found() {
    let rules = shipped();
    let with = |text: &str| {
        let why = v1::Why {
            reason: text.into(),
            ..Default::default()
        };
        checked(&event(|e| e.why = Some(why)))
    };
    let sent = with(&format!("before {AWS} after"));
    let applied = rules.apply(sent.clone()).unwrap();
    let notes = &applied.redacted.as_ref().unwrap().notes;
    let sent = sent.part(Tag::Why).unwrap();
    let is_rest =
        |text: &str| is_rest_of(notes, Tag::Why, with(text).part(Tag::Why).unwrap(), sent);
    assert!(is_rest("before [redacted:aws-access-key] after"));
    for other in [
        "before [redacted:aws-access-key] later",
        "Before [redacted:aws-access-key] after",
        "before [redacted:password] after",
        "before [redacted:aws-access-key]  after",
        "before after",
    ] {
        assert!(!is_rest(other), "{other}");
    }
}

#[test]
fn what_stands_beside_a_marker_has_to_be_what_was_sent() {
    let label = |key: &str, value: &str| v1::Label {
        key: key.into(),
        value: value.into(),
    };
    let digest = format!("sha256:{}", "0a".repeat(32));
    let sent = event(|e| {
        e.why = Some(v1::Why {
            labels: vec![label("a", AWS), label("b", "x")],
            ..Default::default()
        });
        e.detail = Some(v1::Detail {
            content: AWS.into(),
            media_type: "text/plain".into(),
            original: "nothing".into(),
            original_digest: digest,
            ..Default::default()
        });
    });
    let applied = shipped().apply(checked(&sent)).unwrap();
    let notes = &applied.redacted.as_ref().unwrap().notes;
    let sent = checked(&sent);
    let is_rest = |tag, part: Vec<u8>| is_rest_of(notes, tag, &part, sent.part(tag).unwrap());
    let why = v1::Why::decode(applied.part(Tag::Why).unwrap().clone()).unwrap();
    let detail = v1::Detail::decode(applied.part(Tag::Detail).unwrap().clone()).unwrap();
    assert!(is_rest(Tag::Why, why.encode_to_vec()));
    assert!(is_rest(Tag::Detail, detail.encode_to_vec()));
    let other_why = |change: &dyn Fn(&mut v1::Why)| {
        let mut why = why.clone();
        change(&mut why);
        assert!(!is_rest(Tag::Why, why.encode_to_vec()), "{why:?}");
    };
    other_why(&|why| why.labels[0].key = "c".into());
    other_why(&|why| why.labels.truncate(1));
    other_why(&|why| why.labels[1].value = "[redacted:jwt]".into());
    other_why(&|why| why.ticket = "[redacted:aws-access-key]".into());
    let other_detail = |change: &dyn Fn(&mut v1::Detail)| {
        let mut detail = detail.clone();
        change(&mut detail);
        assert!(!is_rest(Tag::Detail, detail.encode_to_vec()), "{detail:?}");
    };
    other_detail(&|detail| detail.media_type = "text/html".into());
    other_detail(&|detail| detail.truncated = true);
    // Nothing was put out of the original, so its digest stays.
    other_detail(&|detail| detail.original_digest.clear());
    other_detail(&|detail| detail.original = "[redacted:aws-access-key]".into());
}

fn note(field: &str, rule: &str, count: u32) -> v1::Redaction {
    v1::Redaction {
        rule: rule.into(),
        field: field.into(),
        count,
    }
}

#[test]
fn notes_have_one_form_and_stand_where_they_can() {
    let good = vec![
        note("detail.original_digest", "a", 1),
        note("why.reason", "a", 1),
        note("why.reason", "b", 2),
    ];
    let bad = [
        vec![note("why.reason", "a", 0)],
        vec![note("why.reason", "", 1)],
        vec![note("who.actor", "a", 1)],
        vec![note("why.reason", "b", 1), note("why.reason", "a", 1)],
        vec![note("why.reason", "a", 1), note("why.reason", "a", 1)],
        vec![note("why.reason", "a", 1), note("detail.content", "a", 1)],
    ];
    assert!(are_notes(&good) && are_notes(&[]));
    let sealed = |kind, notes: &[v1::Redaction]| {
        let mut envelope = if kind == Kind::Event {
            envelope()
        } else {
            ledger_envelope()
        };
        envelope.redactions = notes.to_vec();
        let mut parts = vec![(Tag::Envelope, Bytes::from(envelope.encode_to_vec()))];
        parts.extend(checked(&event(|_| {})).parts);
        let mut ledger = Sealer::new();
        ledger.seal(kind, false, Seed([1; 32]), parts);
        let header = ledger.headers[0].encode();
        let found = check_entry(ORIGIN, 0, &header, &ledger.bodies[0]).err();
        found.map(|finding| finding.check)
    };
    assert_eq!(sealed(Kind::Event, &good), None);
    for notes in &bad {
        assert!(!are_notes(notes), "{notes:?}");
        assert_eq!(sealed(Kind::Event, notes), Some(Check::Envelope));
    }
    assert_eq!(sealed(Kind::Act, &good), Some(Check::Envelope));
}

#[test]
fn within_one_batch_the_same_event_is_the_same_whatever_was_put_out() {
    let (operator, disk) = (Operator::default(), MemoryDisk::new());
    operator.init(&disk).unwrap();
    let ledger = operator.open(&disk).unwrap();
    let rules = shipped();
    let with = |reason: &str| {
        let event = event(|e| {
            e.context.as_mut().unwrap().idempotency_id = "id".into();
            e.why = Some(v1::Why {
                reason: reason.into(),
                ..Default::default()
            });
        });
        rules.apply(checked(&event)).unwrap()
    };
    let guess = AWS.replace("EXAMPLE", "ELPMAXE");
    let (first, same) = (with(&format!("see {AWS}")), with(&format!("see {guess}")));
    let appended = append(&ledger, &[first.clone(), same]).unwrap();
    assert_eq!(appended.duplicates, [(1, 0)]);
    // Other text around it is other content, and so is a marker that was sent as it is.
    let (other, typed) = (
        with(&format!("saw {AWS}")),
        with("see [redacted:aws-access-key]"),
    );
    assert_eq!(typed.part(Tag::Why), first.part(Tag::Why));
    for pair in [[first.clone(), other], [typed, first]] {
        let (operator, disk) = (Operator::default(), MemoryDisk::new());
        operator.init(&disk).unwrap();
        let ledger = operator.open(&disk).unwrap();
        let conflict = append(&ledger, &pair);
        assert!(
            matches!(conflict, Err(LedgerError::IdConflict { .. })),
            "{conflict:?}"
        );
    }
}

#[test]
fn many_small_secrets_do_not_make_an_event_too_large() {
    let rules = Rules::parse("shipped = false\n[[rule]]\nname = \"x\"\nvalues = ['x']\n").unwrap();
    let (rest, notes) = detail(&rules, &"x".repeat(200_000));
    assert_eq!(rest, "[redacted:x]");
    assert_eq!(notes[0].2, 200_000);
    let event = event(|event| {
        event.why = Some(v1::Why {
            reason: "x".repeat(4_000),
            ..Default::default()
        });
    });
    let applied = rules.apply(checked(&event)).unwrap();
    let why = v1::Why::decode(applied.part(Tag::Why).unwrap().clone()).unwrap();
    assert_eq!(why.reason, "[redacted:x]");
    assert_eq!(
        applied.redacted.unwrap().notes,
        [note("why.reason", "x", 4_000)]
    );
}

#[test]
fn a_file_of_rules_that_is_wrong_is_refused() {
    for (text, problem) in [
        ("[[rule]]\nname = \"a\"\n", "needs names or values"),
        (
            "[[rule]]\nname = \"A b\"\nvalues = ['x']\n",
            "1 to 32 of a-z",
        ),
        ("[[rule]]\nname = \"a\"\nvalues = ['(']\n", "unclosed group"),
        (
            "[[rule]]\nname = \"a\"\nvalues = ['x*']\n",
            "matches where nothing is",
        ),
        (
            "[[rule]]\nname = \"a\"\nnames = [\"*a*\"]\n",
            "no 3 letters",
        ),
        (
            "[[rule]]\nname = \"a\"\nfields = [\"whom\"]\nvalues = ['x']\n",
            "there is no field",
        ),
        (
            "[[rule]]\nname = \"jwt\"\nvalues = ['x']\n",
            "two rules have the name",
        ),
        ("[[rules]]\nname = \"jwt\"\n", "unknown field"),
        (
            "[[rule]]\nname = \"a\"\nvalues = ['\\w{1000}{1000}']\n",
            "size limit",
        ),
    ] {
        let found = Rules::parse(text).unwrap_err();
        assert!(found.contains(problem), "{text}: {found}");
    }
    let rule = |number| format!("[[rule]]\nname = \"r{number}\"\nvalues = ['x']\n");
    let many = |count| (0..count).map(rule).collect::<String>();
    let refused = |text: &str| Rules::parse(text).unwrap_err();
    let found = refused(&format!("shipped = false\n{}", many(65)));
    assert_eq!(found, "has 65 rules, at most 64 are allowed");
    let found = refused(&"#".repeat(65_537));
    assert_eq!(found, "has 65537 bytes, at most 65536 are allowed");
    let found = refused("[[rule]]\nname = \"a\"\nfields = [\"envelope\"]\nvalues = ['x']\n");
    assert!(
        found.contains("rule \"a\": there is no field \"envelope\""),
        "{found}"
    );
    assert!(Rules::parse(&"#".repeat(65_536)).is_ok());
    let most = Rules::parse(&format!("shipped = false\n{}", many(64)));
    assert_eq!(most.unwrap().len(), 64);
    assert!(Rules::parse("shipped = false\n").unwrap().is_empty());
}
