//! `graven show` shows everything that is sealed in an entry. The entries here have every field of every message, as the proto
//! files say that there are fields, so none that is new can be forgotten.

use std::collections::{BTreeMap, BTreeSet};

use ed25519_dalek::SigningKey;
use graven::entry::{Seed, Tag, hex, signature, v1};
use prost::Message;
use prost::encoding::{WireType, decode_key, decode_varint};
use prost_types::field_descriptor_proto::Type;
use prost_types::{DescriptorProto, FieldDescriptorProto, FileDescriptorSet};

use super::cli_support::{graven, run, stderr, stdout};
use super::golden_events::{full, minimal};
use super::ledger_erase::order;
use super::service_support::{ORIGIN, TestServer, verifier};
use super::verify_support::checked;

const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// The parts of an entry.
const PARTS: [(Tag, &str); 6] = [
    (Tag::Envelope, ".graven.v1.Envelope"),
    (Tag::Who, ".graven.v1.Who"),
    (Tag::What, ".graven.v1.What"),
    (Tag::Context, ".graven.v1.Context"),
    (Tag::Why, ".graven.v1.Why"),
    (Tag::Detail, ".graven.v1.Detail"),
];

/// Fields that no entry here has.
const NOT_HERE: [&str; 5] = [
    // Never sealed.
    "ActorSignature.seed",
    // Sealed instead of the other signature, which is here.
    "ActorSignature.ssh_signature",
    // Sealed by no ledger that runs well.
    "LedgerAct.adoption",
    "LedgerAct.erasure",
    "LedgerAct.key_rotation",
];

struct Schema {
    messages: BTreeMap<String, DescriptorProto>,
    enums: BTreeMap<String, BTreeMap<i32, String>>,
}

impl Schema {
    fn read() -> Self {
        let files = FileDescriptorSet::decode(DESCRIPTORS).unwrap().file;
        let (mut messages, mut enums) = (BTreeMap::new(), BTreeMap::new());
        for file in files {
            let package = file.package.clone().unwrap_or_default();
            for message in file.message_type {
                messages.insert(format!(".{package}.{}", message.name()), message);
            }
            for of in file.enum_type {
                let values = of.value.iter();
                let values = values.map(|value| (value.number(), value.name().to_owned()));
                enums.insert(format!(".{package}.{}", of.name()), values.collect());
            }
        }
        Self { messages, enums }
    }

    /// Every field of a message and of those in it, as `Message.field`.
    fn all(&self, message: &str, found: &mut BTreeSet<String>) {
        for field in &self.messages[message].field {
            let name = name(message, field);
            if NOT_HERE.contains(&name.as_str()) || !found.insert(name) {
                continue;
            }
            if field.r#type() == Type::Message {
                self.all(field.type_name(), found);
            }
        }
    }

    /// What `bytes` say: each field that is there, and the text that has to be shown for it.
    fn walk(&self, message: &str, mut bytes: &[u8], said: &mut Vec<(String, String)>) {
        while !bytes.is_empty() {
            let (number, wire) = decode_key(&mut bytes).unwrap();
            let fields = &self.messages[message].field;
            let field = fields.iter().find(|field| field.number() as u32 == number);
            let field = field.unwrap();
            let name = name(message, field);
            let length = decode_varint(&mut bytes).unwrap();
            if wire == WireType::Varint {
                said.push((name.clone(), self.number(&name, field, length)));
                continue;
            }
            let (value, rest) = bytes.split_at(length as usize);
            bytes = rest;
            match field.r#type() {
                Type::Message => {
                    said.push((name, String::new()));
                    self.walk(field.type_name(), value, said);
                }
                Type::String => {
                    let text = std::str::from_utf8(value).unwrap();
                    said.extend(text.lines().map(|line| (name.clone(), line.to_owned())));
                }
                Type::Bytes => said.push((name, bytes_text(value))),
                _ => {
                    let mut packed = value;
                    while !packed.is_empty() {
                        let number = decode_varint(&mut packed).unwrap();
                        said.push((name.clone(), self.number(&name, field, number)));
                    }
                }
            }
        }
    }

    fn number(&self, name: &str, field: &FieldDescriptorProto, number: u64) -> String {
        match field.r#type() {
            Type::Enum => {
                // ASSURANCE_ATTESTED of Assurance is shown as attested.
                let values = &self.enums[field.type_name()];
                let prefix = values[&0].strip_suffix("UNSPECIFIED").unwrap();
                let value = values[&(number as i32)].strip_prefix(prefix).unwrap();
                value.to_lowercase().replace('_', " ")
            }
            Type::Bool => field.name().to_owned(),
            Type::Sint64 => {
                let nanoseconds = (number >> 1) as i64 ^ -((number & 1) as i64);
                let time = jiff::Timestamp::from_nanosecond(nanoseconds.into());
                time.unwrap().to_string()
            }
            _ => match name {
                // The last is shown, not the one behind it.
                "SeqRange.end_seq" => (number - 1).to_string(),
                "RangeErasure.parts" => Tag::from_number(number as u32).unwrap().name().into(),
                _ => number.to_string(),
            },
        }
    }
}

fn name(message: &str, field: &FieldDescriptorProto) -> String {
    let message = message.rsplit('.').next().unwrap();
    format!("{message}.{}", field.name())
}

fn bytes_text(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.contains(char::is_control) => text.to_owned(),
        _ if bytes.len() < 4 => format!("{} bytes that are not text", bytes.len()),
        _ => hex::encode(bytes),
    }
}

/// Wrapped or not, in capitals or not.
fn packed(text: &str) -> String {
    let text = text.to_lowercase();
    text.chars().filter(|c| !c.is_whitespace()).collect()
}

/// The event with every field, of which no value says what another says too.
fn event() -> v1::Event {
    let mut event = full();
    let what = event.what.as_mut().unwrap();
    what.outcome_code = "code-77".into();
    what.permission = "permission-1".into();
    what.participants = vec!["oidc:corp/p1".into(), "oidc:corp/p2".into()];
    let run = what.run.as_mut().unwrap();
    run.namespace = "namespace-1".into();
    run.attempt = 900_001;
    run.gpus = Some(900_002);
    run.nodes = vec!["node-1".into(), "node-2".into()];
    what.targets[0].after.as_mut().unwrap().size = Some(900_003);
    what.inputs[0].role = "role-1".into();
    what.outputs[0].role = "role-2".into();
    let code = what.code.as_mut().unwrap();
    code.commit = "3d".repeat(20);
    code.image = "oci://registry.example/image-1".into();
    let context = event.context.as_mut().unwrap();
    context.source = "source-1".into();
    context.source_seq = Some(900_004);
    context.causation_seq = Some(900_005);
    context.host = "host-1".into();
    event
}

fn envelope() -> v1::Envelope {
    v1::Envelope {
        submitter: Some(v1::Submitter {
            issuer: "https://issuer.example".into(),
            subject: "oidc:corp/submitter".into(),
        }),
        authentication: v1::Authentication::Token.into(),
        credential: "credential-1".into(),
        peer: "192.0.2.99:50123".into(),
        mapper: Some(v1::Mapper {
            name: "mapper-1".into(),
            version: "0.9.77".into(),
        }),
        actor_signature: None,
        redactions: vec![v1::Redaction {
            rule: "rule-1".into(),
            field: "why.review".into(),
            count: 900_006,
        }],
    }
}

/// Appends the events, and has the ledger do what it can do.
async fn fill(server: &TestServer) {
    let ledger = &server.ledger;
    let append = async |event: &v1::Event, envelope: &v1::Envelope| {
        let submission = ledger.prepare(vec![checked(event)], envelope).unwrap();
        ledger.append(submission).await.unwrap();
    };
    append(&event(), &envelope()).await;
    let mut signed = event();
    signed.context.as_mut().unwrap().idempotency_id = b"another".to_vec();
    let parts = checked(&signed).parts;
    let parts: Vec<_> = parts
        .iter()
        .map(|(tag, part)| (*tag, part.as_ref()))
        .collect();
    let key = SigningKey::from_bytes(&[9; 32]);
    signed.actor_signature = Some(signature::sign(&key, &Seed([3; 32]), ORIGIN, &parts));
    let without = v1::Envelope {
        redactions: Vec::new(),
        ..envelope()
    };
    append(&signed, &without).await;

    let link = v1::What {
        action: "identity.link".into(),
        link: Some(v1::Link {
            from: "unix:a100/77".into(),
            to: "oidc:corp/linked".into(),
            valid_from: Some(1_700_000_000_000_000_000),
            valid_to: Some(1_800_000_000_000_000_000),
            authority: "authority-1".into(),
        }),
        ..Default::default()
    };
    let linking = v1::Event {
        what: Some(link),
        ..minimal(1)
    };
    append(&linking, &without).await;

    let digest = |byte: u8| vec![byte; 32];
    let start = v1::Start {
        version: "9.8.7".into(),
        previous: v1::PreviousRun::Unclean.into(),
        previous_seq: Some(0),
    };
    ledger.record_start(start).await.unwrap();
    let stop = v1::Stop {
        occasion: "SIGNAL-1".into(),
    };
    ledger.record_stop(stop).await.unwrap();
    let policy = v1::PolicyChange {
        digest: digest(0xa1),
        grants: 900_007,
        occasion: "occasion-1".into(),
    };
    ledger.record_policy(policy).await.unwrap();
    let redaction = v1::RedactionChange {
        digest: digest(0xa2),
        shipped: "[[rule]]\nname = \"shipped-1\"\n".into(),
        rules: "[[rule]]\nname = \"own-1\"\n".into(),
        occasion: "occasion-2".into(),
    };
    ledger.record_redaction(redaction).await.unwrap();
    let configuration = v1::Configuration {
        digest: digest(0xa3),
        settings: vec![v1::Setting {
            name: "setting-1".into(),
            digest: digest(0xa4),
        }],
        changed: vec!["changed-1".into()],
    };
    ledger.record_configuration(configuration).await.unwrap();
    let refusals = v1::Refusals {
        refusals: vec![v1::Refusal {
            submitter: envelope().submitter,
            method: "/graven.v1.QueryService/Search".into(),
            reason: "ROLE_MISSING".into(),
            count: 900_008,
        }],
        others: 900_009,
    };
    ledger.record_refusals(refusals).await.unwrap();
    let hold = v1::Hold {
        name: "hold-1".into(),
        ticket: "ticket-1".into(),
        reason: "reason-1".into(),
        entries: vec![v1::SeqRange {
            first_seq: 1,
            end_seq: 4,
        }],
        filter: "actor = \"oidc:corp/nobody\"".into(),
    };
    let shared = std::sync::Arc::clone(ledger);
    tokio::task::spawn_blocking(move || {
        let (ledger, by) = (
            shared,
            v1::Envelope {
                redactions: Vec::new(),
                ..envelope()
            },
        );
        ledger.place_hold(hold, &by).unwrap();
        ledger
            .release_hold("hold-1", "ticket-2".into(), "reason-2".into(), &by)
            .unwrap();
        let chosen = graven::ledger::Chosen::Named((0..1).into());
        ledger.erase(&order(chosen, &[Tag::Detail]), &by).unwrap();
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_that_is_sealed_is_shown() {
    let schema = Schema::read();
    let server = TestServer::start().await;
    fill(&server).await;
    let filled = server.ledger.published().size();
    for batch in 0..3 {
        // Enough for the index to be sealed.
        let events = (0..500).map(|number| checked(&minimal(batch * 500 + number)));
        let submission = server.ledger.prepare(events.collect(), &envelope());
        let submission = submission.unwrap();
        server.ledger.append(submission).await.unwrap();
    }
    let mut seen = BTreeSet::new();
    let mut kinds = BTreeSet::new();
    let mut seq = 0;
    // The last is a seal, which comes by itself.
    while !kinds.contains("ledger.seal") {
        let mut sizes = server.ledger.subscribe();
        sizes.wait_for(|size| *size > seq).await.unwrap();
        let entry = server.ledger.entry(seq).unwrap();
        let mut said = Vec::new();
        for (tag, message) in PARTS {
            if let Some(bytes) = entry.body.disclosed(tag) {
                schema.walk(message, bytes, &mut said);
            }
        }
        let action = said.iter().find(|(name, _)| name == "What.action");
        kinds.insert(action.unwrap().1.clone());
        if seq >= filled && !kinds.contains("ledger.seal") {
            seq += 1;
            continue;
        }
        let shown = show(&server.url, seq).await;
        let texts: Vec<String> = said.iter().map(|(_, text)| packed(text)).collect();
        for ((name, _), text) in said.iter().zip(&texts) {
            let wanted = texts.iter().filter(|other| other.contains(text)).count();
            if !text.is_empty() {
                let found = shown.matches(text).count();
                assert!(found >= wanted, "{name} of entry {seq}: {text} in {shown}");
            }
        }
        seen.extend(said.into_iter().map(|(name, _)| name));
        seq += 1;
    }
    let mut all = BTreeSet::new();
    for (_, message) in PARTS {
        schema.all(message, &mut all);
    }
    let missing: Vec<_> = all.difference(&seen).collect();
    assert!(missing.is_empty(), "no entry here has {missing:?}");
}

/// What is shown of an entry, on standard output, without white space.
async fn show(url: &str, seq: u64) -> String {
    let mut command = graven();
    command
        .args(["show", &seq.to_string()])
        .env("GRAVEN_SERVER", url)
        .env("GRAVEN_KEY", verifier().to_string());
    let output = tokio::task::spawn_blocking(move || run(&mut command, ""))
        .await
        .unwrap();
    assert!(output.status.success(), "{seq}: {}", stderr(&output));
    packed(&stdout(&output))
}
