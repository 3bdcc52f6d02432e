//! A sealer with nothing clever, to have something to verify.

use std::convert::Infallible;

use bytes::Bytes;
use ed25519_dalek::SigningKey;
use graven::entry::body::Body;
use graven::entry::genesis::Genesis;
use graven::entry::v1::ledger_act::Act;
use graven::entry::{CheckedEvent, Digest, Header, Kind, Seed, Tag, signature, v1};
use graven::index::Source;
use graven::merkle::{Hash, prove_consistency, prove_inclusion, prove_range};
use graven::note::{Checkpoint, Note, Rotation, SignerKey, TlogProof};
use graven::verify::{ErasureEntry, Evidence, Expected, FirstEntry, Scratch};
use prost::Message;

use super::merkle_support::NaiveTree;

pub(crate) const ORIGIN: &str = "ledger.example/main";
/// 2026-01-02T03:04:05.000000006Z.
pub(crate) const NOON: u64 = 1_767_323_045_000_000_006;

pub(crate) struct Sealer {
    pub(crate) key: SignerKey,
    pub(crate) genesis: Genesis,
    pub(crate) headers: Vec<Header>,
    pub(crate) bodies: Vec<Body>,
    pub(crate) seeds: Vec<Seed>,
    /// The time of the next entry.
    pub(crate) clock: u64,
}

pub(crate) fn key(origin: &str, first: u8) -> SignerKey {
    SignerKey::from_seed(origin, std::array::from_fn(|i| first.wrapping_add(i as u8))).unwrap()
}

pub(crate) fn actor() -> SigningKey {
    SigningKey::from_bytes(&[0xa7; 32])
}

impl Sealer {
    pub(crate) fn new() -> Self {
        Self::with_key(key(ORIGIN, 0))
    }

    pub(crate) fn with_key(key: SignerKey) -> Self {
        let genesis =
            Genesis::new(&key.verifier(), key.name(), [0x1d; 32], NOON - 1, None).unwrap();
        Self {
            key,
            genesis,
            headers: Vec::new(),
            bodies: Vec::new(),
            seeds: Vec::new(),
            clock: NOON,
        }
    }

    /// A ledger that has seen something of everything: 11 entries, the last but two a seal.
    pub(crate) fn of_everything() -> Self {
        let mut ledger = Self::new();
        for number in 0..5 {
            ledger.append(&event(number));
        }
        ledger.append(&signed_event(5));
        ledger.erase(2, &[Tag::Why, Tag::Detail]);
        ledger.rotate(key(ORIGIN, 64));
        ledger.seal_index();
        ledger.append(&event(9));
        ledger.append(&event(10));
        ledger
    }

    pub(crate) fn size(&self) -> u64 {
        self.headers.len() as u64
    }

    /// Seals parts as they are, right or wrong.
    pub(crate) fn seal(&mut self, kind: Kind, flag: bool, seed: Seed, parts: Vec<(Tag, Bytes)>) {
        let body = Body::disclose(&seed, parts).unwrap();
        let prev = self.headers.last().map(Header::chain_hash);
        self.headers.push(Header {
            kind,
            actor_signature: flag,
            seq: self.size(),
            recorded_at: self.clock,
            body_hash: body.hash(),
            prev: prev.unwrap_or(self.genesis.hash()),
        });
        self.bodies.push(body);
        self.seeds.push(seed);
        self.clock += 1_000;
    }

    pub(crate) fn append_under(&mut self, event: &CheckedEvent, mut envelope: v1::Envelope) {
        envelope.actor_signature = event.actor_signature.as_ref().map(signature::without_seed);
        let seed = match &event.actor_signature {
            Some(signature) => Seed(signature.seed.as_slice().try_into().unwrap()),
            None => Seed(numbered(self.size())),
        };
        let mut parts = vec![(Tag::Envelope, Bytes::from(envelope.encode_to_vec()))];
        parts.extend(event.parts.clone());
        let flag = event.actor_signature.is_some();
        self.seal(Kind::Event, flag, seed, parts);
    }

    pub(crate) fn append(&mut self, event: &CheckedEvent) {
        self.append_under(event, envelope());
    }

    pub(crate) fn act(&mut self, kind: Kind, action: &str, act: Act) {
        let parts = act_parts(action, act);
        self.seal(kind, false, Seed(numbered(self.size())), parts);
    }

    /// Seals that parts were erased, and takes their bytes away.
    pub(crate) fn erase(&mut self, seq: u64, tags: &[Tag]) {
        let body = &self.bodies[seq as usize];
        self.bodies[seq as usize] = erased(body, tags);
        self.act(Kind::Act, "ledger.erase", erasure(seq, tags));
    }

    pub(crate) fn rotate(&mut self, next: SignerKey) {
        let statement = self.rotation(&next).to_string();
        let rotation = Act::KeyRotation(v1::KeyRotation { statement });
        self.act(Kind::Act, "ledger.rotate", rotation);
        self.key = next;
    }

    pub(crate) fn rotation(&self, next: &SignerKey) -> Note {
        let (from, to) = (self.key.verifier(), next.verifier());
        let root = self.tree().root();
        let rotation = Rotation::new(self.origin(), self.size(), root, from, to).unwrap();
        rotation.sign(&self.key, next).unwrap()
    }

    pub(crate) fn seal_index(&mut self) {
        let level = v1::SealLevel {
            segments: 1,
            root: vec![0x5e; 32],
        };
        let seal = v1::Seal {
            index_version: 1,
            levels: vec![level],
        };
        self.act(Kind::Seal, "ledger.seal", Act::Seal(seal));
    }

    /// Makes every chain hash right again from entry `seq` on.
    pub(crate) fn rechain(&mut self, seq: usize) {
        for index in seq.max(1)..self.headers.len() {
            self.headers[index].prev = self.headers[index - 1].chain_hash();
        }
    }

    pub(crate) fn origin(&self) -> &str {
        self.genesis.origin()
    }

    pub(crate) fn tree(&self) -> NaiveTree {
        NaiveTree(self.headers.iter().map(Header::leaf_hash).collect())
    }

    pub(crate) fn checkpoint(&self) -> String {
        self.checkpoint_at(self.size())
    }

    pub(crate) fn checkpoint_at(&self, size: u64) -> String {
        let root = self.tree().root_at(size);
        Checkpoint::new(self.origin(), size, root)
            .unwrap()
            .sign(&self.key)
    }

    pub(crate) fn consistency(&self, old: u64) -> Vec<Hash> {
        prove_consistency(&self.tree(), old, self.size()).unwrap()
    }

    pub(crate) fn expected(&self) -> Expected {
        Expected {
            origin: self.origin().into(),
            key: self.key.verifier(),
            submitter: envelope().submitter,
        }
    }

    /// The receipt for the entries from `first` to before `end`, which must share one time.
    pub(crate) fn receipt(&self, first: u64, end: u64) -> v1::Receipt {
        let entries = first as usize..end as usize;
        let header = &self.headers[first as usize];
        let mut envelopes: Vec<_> = self.bodies[entries.clone()]
            .iter()
            .map(|body| body.disclosed(Tag::Envelope).unwrap().to_vec())
            .collect();
        if envelopes.windows(2).all(|pair| pair[0] == pair[1]) {
            envelopes.truncate(1);
        }
        v1::Receipt {
            first_seq: first,
            recorded_at: header.recorded_at,
            previous: header.prev.to_vec(),
            envelopes,
            seeds: self.seeds[entries].iter().flat_map(|seed| seed.0).collect(),
            proof: prove_range(&self.tree(), first, end, self.size())
                .unwrap()
                .concat(),
            checkpoint: self.checkpoint(),
            redacted: Vec::new(),
        }
    }

    pub(crate) fn proof(&self, seq: u64) -> TlogProof {
        TlogProof {
            extra: None,
            index: seq,
            hashes: prove_inclusion(&self.tree(), seq, self.size()).unwrap(),
            checkpoint: self.checkpoint().parse().unwrap(),
        }
    }

    pub(crate) fn evidence(&self, seq: u64) -> Evidence {
        Evidence {
            verifier_key: self.key.verifier(),
            genesis: self.genesis.clone(),
            header: self.headers[seq as usize].clone(),
            body: self.bodies[seq as usize].clone(),
            proof: self.proof(seq),
            erasures: Vec::new(),
            first_entry: (seq > 0).then(|| FirstEntry {
                header: self.headers[0].clone(),
                proof: self.proof(0),
            }),
        }
    }
}

impl Sealer {
    /// Evidence of an entry of which parts were erased, with these entries that say so.
    pub(crate) fn erased_evidence(&self, seq: u64, erasures: &[u64]) -> Evidence {
        let entry = |seq: &u64| ErasureEntry {
            header: self.headers[*seq as usize].clone(),
            body: self.bodies[*seq as usize].clone(),
            proof: self.proof(*seq),
        };
        Evidence {
            erasures: erasures.iter().map(entry).collect(),
            ..self.evidence(seq)
        }
    }
}

/// A seed or other 32 bytes that belong to a number.
pub(crate) fn numbered(number: u64) -> Digest {
    blake3::derive_key("graven tests seed", &number.to_be_bytes())
}

pub(crate) fn envelope() -> v1::Envelope {
    v1::Envelope {
        submitter: Some(v1::Submitter {
            issuer: "token".into(),
            subject: "oidc:corp/alice".into(),
        }),
        authentication: v1::Authentication::Token.into(),
        credential: "alice-laptop".into(),
        peer: "192.0.2.7:50123".into(),
        mapper: None,
        actor_signature: None,
        redactions: Vec::new(),
    }
}

pub(crate) fn ledger_envelope() -> v1::Envelope {
    v1::Envelope {
        submitter: Some(v1::Submitter {
            issuer: "ledger".into(),
            subject: format!("graven:{ORIGIN}"),
        }),
        authentication: v1::Authentication::Ledger.into(),
        ..Default::default()
    }
}

pub(crate) fn event_message(number: u64) -> v1::Event {
    v1::Event {
        who: Some(v1::Who {
            actor: "unix:a100/10432".into(),
            assurance: v1::Assurance::Authenticated.into(),
            ..Default::default()
        }),
        what: Some(v1::What {
            action: "file.update".into(),
            outcome: v1::Outcome::Success.into(),
            targets: vec![v1::Target {
                uri: format!("fs://a100/shared/torch/optim/adam{number}.py"),
                ..Default::default()
            }],
            ..Default::default()
        }),
        context: Some(v1::Context {
            source: "host:a100-17".into(),
            idempotency_id: number.to_be_bytes().to_vec(),
            ..Default::default()
        }),
        why: Some(v1::Why {
            ticket: "OPS-7".into(),
            ..Default::default()
        }),
        detail: Some(v1::Detail {
            content: b"{\"lines\":3}".to_vec(),
            media_type: "application/json".into(),
            ..Default::default()
        }),
        actor_signature: None,
    }
}

pub(crate) fn checked(event: &v1::Event) -> CheckedEvent {
    CheckedEvent::check(&Bytes::from(event.encode_to_vec())).unwrap()
}

pub(crate) fn event(number: u64) -> CheckedEvent {
    checked(&event_message(number))
}

pub(crate) fn signed_event(number: u64) -> CheckedEvent {
    signed_event_for(ORIGIN, number)
}

pub(crate) fn signed_event_for(origin: &str, number: u64) -> CheckedEvent {
    let mut message = event_message(number);
    let unsigned = checked(&message);
    let parts: Vec<_> = unsigned
        .parts
        .iter()
        .map(|(tag, b)| (*tag, b.as_ref()))
        .collect();
    let seed = Seed(numbered(1_000 + number));
    message.actor_signature = Some(signature::sign(&actor(), &seed, origin, &parts));
    checked(&message)
}

pub(crate) fn act_parts(action: &str, act: Act) -> Vec<(Tag, Bytes)> {
    let what = v1::What {
        action: action.into(),
        outcome: v1::Outcome::Success.into(),
        act: Some(v1::LedgerAct { act: Some(act) }),
        ..Default::default()
    };
    let context = v1::Context {
        source: format!("graven:{ORIGIN}"),
        ..Default::default()
    };
    vec![
        (Tag::Envelope, ledger_envelope().encode_to_vec().into()),
        (Tag::What, what.encode_to_vec().into()),
        (Tag::Context, context.encode_to_vec().into()),
    ]
}

pub(crate) fn erasure(seq: u64, tags: &[Tag]) -> Act {
    Act::Erasure(v1::Erasure {
        seq,
        parts: tags.iter().map(|tag| u32::from(tag.number())).collect(),
        requested_by: "oidc:corp/privacy".into(),
        ticket: "GDPR-1".into(),
    })
}

/// The body with the bytes of these parts erased.
pub(crate) fn erased(body: &Body, tags: &[Tag]) -> Body {
    use graven::entry::body::Content;
    let parts = body.parts().iter().map(|(tag, content)| {
        let content = if tags.contains(tag) {
            Content::Erased(content.commitment())
        } else {
            content.clone()
        };
        (*tag, content)
    });
    Body::new(parts.collect()).unwrap()
}

/// Room in memory.
#[derive(Clone)]
pub(crate) struct Memory;

/// An object in memory.
pub(crate) struct Whole(pub(crate) Bytes);

impl Source for Whole {
    type Error = Infallible;

    fn len(&self) -> u64 {
        self.0.len() as u64
    }

    fn read_at(&self, offset: u64, length: usize) -> Result<Bytes, Infallible> {
        Ok(self.0.slice(offset as usize..offset as usize + length))
    }
}

impl Scratch for Memory {
    type Error = Infallible;
    type Sink = Vec<u8>;
    type Source = Whole;

    fn create(&self) -> Result<Vec<u8>, Infallible> {
        Ok(Vec::new())
    }

    fn finish(&self, sink: Vec<u8>) -> Result<Whole, Infallible> {
        Ok(Whole(sink.into()))
    }
}
