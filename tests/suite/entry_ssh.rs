//! Actors' signatures with SSH keys: what `ssh-keygen` signed verifies, and nothing beside it.
//!
//! `tests/data/ssh/README.md` says how the signatures were made.

use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use graven::entry::ssh_signature::{PublicKey, SshProblem, SshSignature};
use graven::entry::{CheckedEvent, Invalid, Kind, Problem, Seed, Tag, hex, json, signature, v1};
use graven::verify::{Check, check_entry};
use prost::Message;

use super::entry_support::envelope;
use super::golden_events::minimal;
use super::verify_support::{ORIGIN, Sealer};

/// Signatures that count: a file each, and the file of the key.
const GOOD: [(&str, &str); 9] = [
    ("ecdsa.sig", "id_ecdsa.pub"),
    ("ecdsa384.sig", "id_ecdsa384.pub"),
    ("ecdsa384_sha256.sig", "id_ecdsa384.pub"),
    ("rsa.sig", "id_rsa.pub"),
    ("rsa_sha256.sig", "id_rsa.pub"),
    ("rsa4096.sig", "id_rsa4096.pub"),
    ("sha512.sig", "id_ed25519.pub"),
    ("sha256.sig", "id_ed25519.pub"),
    ("security_key.sig", "security_key.pub"),
];

fn file(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/ssh");
    std::fs::read(path.join(name)).unwrap()
}

fn text(name: &str) -> String {
    String::from_utf8(file(name)).unwrap()
}

/// A signature without its armour.
fn ssh_signature(name: &str) -> Vec<u8> {
    let text = text(name);
    let encoded: String = text.lines().filter(|line| !line.contains("--")).collect();
    STANDARD.decode(encoded).unwrap()
}

fn verify(bytes: &[u8], message: &[u8]) -> Result<(), SshProblem> {
    SshSignature::decode(bytes)?.verify(message)
}

/// A string of SSH.
fn string(bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).unwrap().to_be_bytes();
    [length.as_slice(), bytes].concat()
}

/// What a signature is made of, to put it together otherwise.
#[derive(Clone)]
struct Pieces {
    version: u32,
    key: Vec<u8>,
    namespace: Vec<u8>,
    reserved: Vec<u8>,
    hash: Vec<u8>,
    signature: Vec<u8>,
}

impl Pieces {
    /// Those of `sha512.sig`.
    fn of_good() -> Self {
        Self::of("sha512.sig")
    }

    fn of(name: &str) -> Self {
        let bytes = ssh_signature(name);
        let mut rest = &bytes[10..];
        let mut next = || {
            let length = u32::from_be_bytes(rest[..4].try_into().unwrap()) as usize;
            let taken = rest[4..4 + length].to_vec();
            rest = &rest[4 + length..];
            taken
        };
        Self {
            version: 1,
            key: next(),
            namespace: next(),
            reserved: next(),
            hash: next(),
            signature: next(),
        }
    }

    fn encode(&self) -> Vec<u8> {
        let mut bytes = b"SSHSIG".to_vec();
        bytes.extend(self.version.to_be_bytes());
        for piece in [
            &self.key,
            &self.namespace,
            &self.reserved,
            &self.hash,
            &self.signature,
        ] {
            bytes.extend(string(piece));
        }
        bytes
    }
}

#[test]
fn what_ssh_keygen_signed_verifies() {
    let message = file("message");
    for (name, key) in GOOD {
        let bytes = ssh_signature(name);
        let read = SshSignature::decode(&bytes).unwrap();
        assert_eq!(read.verify(&message), Ok(()), "{name}");
        assert_eq!(read.key, PublicKey::from_line(&text(key)).unwrap());
        assert_eq!(PublicKey::decode(&read.key.encode()), Ok(read.key));
    }
    assert_eq!(
        Pieces::of_good().encode(),
        ssh_signature("sha512.sig"),
        "the pieces are all of it"
    );
}

#[test]
fn keys_are_called_what_ssh_keygen_calls_them() {
    let key = PublicKey::from_line(&text("id_ed25519.pub")).unwrap();
    // As `ssh-keygen -l` prints it.
    assert_eq!(
        key.fingerprint(),
        "SHA256:oq8sC9UKxbLt/Ennh7eoRqmoCUg+KxsCv24RfrmAOtg"
    );
    // The key is the last 32 bytes of its encoding.
    assert_eq!(key.name(), hex::encode(&key.encode()[19..]));
    let key = PublicKey::from_line(&text("security_key.pub")).unwrap();
    let fingerprint = "/h+x+oI5JT33sxTfqtrHQfSxK1tntRbqqnMzYhBxLaI";
    assert_eq!(key.fingerprint(), format!("SHA256:{fingerprint}"));
    let digest = STANDARD.decode(format!("{fingerprint}=")).unwrap();
    assert_eq!(
        key.name(),
        format!("sk-ssh-ed25519/{}", hex::encode(&digest))
    );
    for (file, kind, fingerprint) in [
        (
            "id_ecdsa.pub",
            "ecdsa-sha2-nistp256",
            "wxilNho2c0TXYrBWoAPgD0tpH1TtXd5f9T5ZS/MpIqU",
        ),
        (
            "id_ecdsa384.pub",
            "ecdsa-sha2-nistp384",
            "53i20UN3mPnMn45lJaZMosURYBjsWvgMHxcVbdp59FQ",
        ),
        (
            "id_rsa4096.pub",
            "ssh-rsa",
            "PvhpOWp9zstlfv1YujcgDhWNmFHPfexubI4OQiUmyHA",
        ),
    ] {
        let key = PublicKey::from_line(&text(file)).unwrap();
        assert_eq!(key.fingerprint(), format!("SHA256:{fingerprint}"));
        let digest = STANDARD.decode(format!("{fingerprint}=")).unwrap();
        assert_eq!(key.name(), format!("{kind}/{}", hex::encode(&digest)));
    }
}

#[test]
fn no_altered_bit_passes() {
    let message = file("message");
    for (name, _) in GOOD {
        let good = ssh_signature(name);
        for at in 0..good.len() {
            for bit in 0..8 {
                let mut altered = good.clone();
                altered[at] ^= 1 << bit;
                assert!(verify(&altered, &message).is_err(), "{name}: {at}.{bit}");
            }
            assert!(verify(&good[..at], &message).is_err(), "{name}: {at} bytes");
        }
        let longer = [good.as_slice(), &[0]].concat();
        assert!(verify(&longer, &message).is_err(), "{name}: one more byte");
        for at in 0..message.len() {
            let mut other = message.clone();
            other[at] ^= 1;
            assert_eq!(verify(&good, &other), Err(SshProblem::Wrong), "{name}");
        }
    }
}

#[test]
fn what_was_signed_otherwise_is_refused_for_what_it_is() {
    let message = file("message");
    let refused = |bytes: &[u8]| verify(bytes, &message).unwrap_err();
    let namespace = refused(&ssh_signature("namespace_git.sig"));
    assert_eq!(namespace, SshProblem::Namespace);
    let untouched = refused(&ssh_signature("untouched.sig"));
    assert_eq!(untouched, SshProblem::NotTouched);
    let other_curve = SshProblem::KeyType("ecdsa-sha2-nistp521".into());
    assert_eq!(refused(&ssh_signature("ecdsa521.sig")), other_curve);
    let line = PublicKey::from_line(&text("id_ecdsa521.pub"));
    assert_eq!(line, Err(other_curve));
    let short = refused(&ssh_signature("rsa1024.sig"));
    assert!(short.to_string().contains("2048 to 8192 bits"), "{short}");
    let line = PublicKey::from_line(&text("id_rsa1024.pub"));
    assert_eq!(line, Err(short));

    let says = |expected: &str, change: &dyn Fn(&mut Pieces)| {
        let mut pieces = Pieces::of_good();
        change(&mut pieces);
        let said = refused(&pieces.encode()).to_string();
        assert!(said.contains(expected), "{said}");
    };
    says("version is not 1", &|pieces| pieces.version = 2);
    says("another namespace", &|pieces| {
        pieces.namespace = b"graven2".to_vec();
    });
    says("another namespace", &|pieces| pieces.namespace.clear());
    says("reserved field", &|pieces| pieces.reserved = vec![0]);
    says("neither sha256 nor sha512", &|pieces| {
        pieces.hash = b"sha1".to_vec();
    });
    says("not a valid signature", &|pieces| {
        pieces.hash = b"sha256".to_vec();
    });
    says("another type than its key", &|pieces| {
        let signature = pieces.signature.split_off(15);
        pieces.signature = string(b"ssh-ed25518");
        pieces.signature.extend(signature);
    });
    says("its signature is cut off, or too long", &|pieces| {
        pieces.signature.push(0);
    });
    says("public key: it is cut off, or too long", &|pieces| {
        pieces.key.push(0);
    });
    says("it does not have 32 bytes", &|pieces| {
        pieces.key = [string(b"ssh-ed25519"), string(&[1; 31])].concat();
    });
    // A key of small order has signatures that verify for any message, unless that is looked for.
    says("not a valid signature", &|pieces| {
        let identity = [[1].as_slice(), &[0; 31]].concat();
        pieces.key = [string(b"ssh-ed25519"), string(&identity)].concat();
        let forged = [identity.as_slice(), &[0; 32]].concat();
        pieces.signature = [string(b"ssh-ed25519"), string(&forged)].concat();
    });
    // The same number, written larger.
    says("not a valid signature", &|pieces| {
        let number = pieces.signature.len() - 32;
        add_order(&mut pieces.signature[number..]);
    });
}

/// Adds the order of the group of Ed25519 to a number in 32 bytes, the lowest first.
fn add_order(number: &mut [u8]) {
    let low = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde,
        0x14,
    ];
    let order = low.into_iter().chain([0; 15]).chain([0x10]);
    let mut carry = 0;
    for (digit, summand) in number.iter_mut().zip(order) {
        let sum = u16::from(*digit) + summand + carry;
        (*digit, carry) = (sum.to_le_bytes()[0], sum >> 8);
    }
    assert_eq!(carry, 0);
}

#[test]
fn a_plain_signature_is_verified_as_strictly() {
    let unsigned = check(&minimal(2)).unwrap();
    let parts = unsigned.parts.iter();
    let parts: Vec<_> = parts.map(|(tag, part)| (*tag, part.as_ref())).collect();
    let key = ed25519_dalek::SigningKey::from_bytes(&[3; 32]);
    let good = signature::sign(&key, &Seed([12; 32]), ORIGIN, &parts);
    let admitted = |signature: &v1::ActorSignature| {
        let event = v1::Event {
            actor_signature: Some(signature.clone()),
            ..minimal(2)
        };
        admit(&event, ORIGIN)
            .map(drop)
            .map_err(|refused| refused.problem)
    };
    assert_eq!(admitted(&good), Ok(()));
    let identity = [[1].as_slice(), &[0; 31]].concat();
    let mut larger = good.clone();
    add_order(&mut larger.signature[32..]);
    let of_small_order = v1::ActorSignature {
        signature: [identity.as_slice(), &[0; 32]].concat(),
        public_key: identity,
        ..good.clone()
    };
    for forged in [of_small_order, larger] {
        assert_eq!(admitted(&forged), Err(Problem::BadSignature));
    }
    let mut other_key = good.clone();
    other_key.public_key = ed25519_dalek::SigningKey::from_bytes(&[4; 32])
        .verifying_key()
        .to_bytes()
        .to_vec();
    assert_eq!(admitted(&other_key), Err(Problem::BadSignature));
}

/// The strings that `bytes` begins with, and what is left.
fn strings(bytes: &[u8], count: usize) -> (Vec<Vec<u8>>, Vec<u8>) {
    let mut rest = bytes;
    let strings = (0..count).map(|_| {
        let length = u32::from_be_bytes(rest[..4].try_into().unwrap()) as usize;
        let taken = rest[4..4 + length].to_vec();
        rest = &rest[4 + length..];
        taken
    });
    let strings = strings.collect();
    (strings, rest.to_vec())
}

fn join(strings: &[Vec<u8>]) -> Vec<u8> {
    strings.iter().flat_map(|bytes| string(bytes)).collect()
}

type Strings = Vec<Vec<u8>>;

/// What is said of a signature whose key and signature are put together otherwise.
fn said(name: &str, change: &dyn Fn(&mut Strings, &mut Strings)) -> String {
    let mut pieces = Pieces::of(name);
    let (mut key, _) = strings(&pieces.key, 3);
    let (mut signature, _) = strings(&pieces.signature, 2);
    change(&mut key, &mut signature);
    (pieces.key, pieces.signature) = (join(&key), join(&signature));
    let problem = verify(&pieces.encode(), &file("message")).unwrap_err();
    problem.to_string()
}

#[test]
fn numbers_of_ecdsa_have_one_form() {
    let form = "two numbers of the curve's size, in their one form";
    for name in ["ecdsa.sig", "ecdsa384.sig"] {
        let numbers = |change: &dyn Fn(&mut Strings)| {
            said(name, &|_, signature| {
                let (mut both, rest) = strings(&signature[1], 2);
                assert!(rest.is_empty());
                change(&mut both);
                signature[1] = join(&both);
            })
        };
        for at in [0, 1] {
            for (expected, said) in [
                (form, numbers(&|both| both[at].insert(0, 0))),
                (form, numbers(&|both| both[at].clear())),
                (form, numbers(&|both| both[at] = vec![0])),
                (form, numbers(&|both| both[at] = vec![0x80])),
                (form, numbers(&|both| both[at] = vec![0xff; 32])),
                (form, numbers(&|both| both[at] = vec![1; 49])),
                (form, numbers(&|both| drop(both.remove(at)))),
                (form, numbers(&|both| both.push(vec![1]))),
                ("not a valid signature", numbers(&|both| both[at] = vec![1])),
            ] {
                assert!(said.contains(expected), "{name}: {said}");
            }
        }
        let key = |change: &dyn Fn(&mut Strings)| said(name, &|key, _| change(key));
        let point = "not an uncompressed point";
        for (expected, said) in [
            ("its curve is not that", key(&|key| key[1][7] ^= 1)),
            (point, key(&|key| key[2][0] = 2)),
            (point, key(&|key| key[2].truncate(64))),
            (point, key(&|key| key[2].push(0))),
            (point, key(&|key| key[2].clear())),
            (
                "cut off, or too long",
                key(&|key| key.push(b"more".to_vec())),
            ),
            // It lies on no curve.
            ("not a valid signature", key(&|key| key[2][20] ^= 1)),
            ("not a valid signature", key(&|key| key[2][1..].fill(0))),
        ] {
            assert!(said.contains(expected), "{name}: {said}");
        }
    }
}

#[test]
fn of_an_ecdsa_signature_there_is_a_second_one_that_is_as_good() {
    let order = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
    let order = hex::decode(order).unwrap();
    let mut pieces = Pieces::of("ecdsa.sig");
    let (mut signature, _) = strings(&pieces.signature, 2);
    let (mut both, _) = strings(&signature[1], 2);
    let mut padded = vec![0; 33 - both[1].len()];
    padded.extend(&both[1]);
    let mut borrow = 0;
    let mut other: Vec<u8> = (0..32)
        .rev()
        .map(|at| {
            let difference = i16::from(order[at]) - i16::from(padded[at + 1]) - borrow;
            borrow = i16::from(difference < 0);
            difference.rem_euclid(256) as u8
        })
        .collect();
    other.push(0);
    other.reverse();
    while other[0] == 0 && other[1] < 0x80 {
        other.remove(0);
    }
    both[1] = other;
    signature[1] = join(&both);
    pieces.signature = join(&signature);
    assert_ne!(pieces.encode(), ssh_signature("ecdsa.sig"));
    assert_eq!(verify(&pieces.encode(), &file("message")), Ok(()));
}

#[test]
fn numbers_of_rsa_have_one_form_and_a_safe_size() {
    let key = |change: &dyn Fn(&mut Strings)| said("rsa.sig", &|key, _| change(key));
    let signature =
        |change: &dyn Fn(&mut Strings)| said("rsa.sig", &|_, signature| change(signature));
    let (form, exponent) = ("numbers are cut off, or not in", "its exponent is");
    let (modulus, wrong) = ("its modulus is", "not a valid signature");
    for (expected, said) in [
        (form, key(&|key| key[1].insert(0, 0))),
        (form, key(&|key| key[1].clear())),
        (form, key(&|key| key[1] = vec![0x80, 1])),
        (form, key(&|key| key[2].insert(0, 0))),
        (form, key(&|key| key[2] = key[2].split_off(1))),
        (exponent, key(&|key| key[1] = vec![1])),
        (exponent, key(&|key| key[1] = vec![4])),
        (exponent, key(&|key| key[1] = vec![1, 0, 0, 0, 1])),
        (wrong, key(&|key| key[1] = vec![3])),
        (modulus, key(&|key| *key[2].last_mut().unwrap() ^= 1)),
        (
            modulus,
            key(&|key| {
                // 2047 bits.
                key[2].remove(0);
                key[2][0] = 0x7f;
            }),
        ),
        (modulus, key(&|key| key[2] = vec![0x7f; 1025])),
        ("too long", key(&|key| key.push(vec![1]))),
        (wrong, signature(&|both| both[1].insert(0, 0))),
        (wrong, signature(&|both| both[1].truncate(255))),
        (wrong, signature(&|both| both[1].clear())),
        (wrong, signature(&|both| both[1].fill(0))),
        (wrong, signature(&|both| both[0] = b"rsa-sha2-256".to_vec())),
        // That is SHA-1.
        (
            "of one that is not safe",
            signature(&|both| both[0] = b"ssh-rsa".to_vec()),
        ),
    ] {
        assert!(said.contains(expected), "{said}");
    }
}

#[test]
fn a_line_with_a_key_is_one_line_with_one_key() {
    let line = text("id_ed25519.pub");
    let encoded = line.split(' ').nth(1).unwrap();
    assert!(PublicKey::from_line(&format!("ssh-ed25519\t{encoded}")).is_ok());
    let refused = |line: &str| PublicKey::from_line(line).unwrap_err().to_string();
    for (line, expected) in [
        (String::new(), "no key behind a type"),
        ("ssh-ed25519".into(), "no key behind a type"),
        (encoded.into(), "no key behind a type"),
        ("ssh-ed25519 ?".into(), "not base64"),
        (format!("ssh-rsa {encoded}"), "of another type"),
        (format!("ssh-ed25519 {}", &encoded[..64]), "cut off"),
        (format!("{line}{line}"), "more than one line"),
        (
            "ssh-dss AAAAB3NzaC1kc3M=".into(),
            "of the type ssh-dss, which is not accepted",
        ),
    ] {
        let said = refused(&line);
        assert!(said.contains(expected), "{line}: {said}");
    }
}

/// The event of entry 2 of the golden ledger, with an SSH signature by its actor.
fn golden_event(name: &str) -> v1::Event {
    v1::Event {
        actor_signature: Some(v1::ActorSignature {
            seed: vec![12; 32],
            ssh_signature: ssh_signature(name),
            ..Default::default()
        }),
        ..minimal(2)
    }
}

fn check(event: &v1::Event) -> Result<CheckedEvent, Invalid> {
    CheckedEvent::check(&json::encode(event))
}

/// What a ledger does with it: the form first, then the signature.
fn admit(event: &v1::Event, origin: &str) -> Result<Seed, Invalid> {
    let checked = check(event)?;
    let parts: Vec<(Tag, &[u8])> = checked
        .parts
        .iter()
        .map(|(tag, bytes)| (*tag, bytes.as_ref()))
        .collect();
    signature::verify(&checked.actor_signature.unwrap(), origin, &parts)
        .map_err(|problem| Invalid::new("actor_signature", problem))
}

#[test]
fn an_event_can_be_signed_with_an_ssh_key() {
    for (name, _) in GOOD {
        let event = golden_event(name);
        let seed = event.actor_signature.as_ref().unwrap().seed.clone();
        assert_eq!(admit(&event, ORIGIN).unwrap().0.to_vec(), seed);
        let another = admit(&event, "ledger.example/other").unwrap_err();
        assert_eq!(another.problem, Problem::Ssh(SshProblem::Wrong));
        let mut other = event.clone();
        other.what.as_mut().unwrap().action = "file.delete".into();
        let other = admit(&other, ORIGIN).unwrap_err();
        assert_eq!(other.problem, Problem::Ssh(SshProblem::Wrong));
        let mut replayed = event;
        replayed.actor_signature.as_mut().unwrap().seed[0] ^= 1;
        assert!(admit(&replayed, ORIGIN).is_err());
    }
}

#[test]
fn the_door_says_what_is_wrong_with_an_ssh_signature() {
    let refused = |change: &dyn Fn(&mut v1::ActorSignature)| {
        let mut event = golden_event("sha512.sig");
        change(event.actor_signature.as_mut().unwrap());
        check(&event).unwrap_err().to_string()
    };
    let field = "actor_signature.ssh_signature";
    let git = refused(&|signature| signature.ssh_signature = ssh_signature("namespace_git.sig"));
    assert_eq!(
        git,
        format!("{field} was made for another namespace than graven")
    );
    let armoured = refused(&|signature| signature.ssh_signature = file("sha512.sig"));
    assert_eq!(
        armoured,
        format!("{field} is not an SSH signature: it does not begin with SSHSIG")
    );
    for beside in [
        refused(&|signature| signature.public_key = vec![1; 32]),
        refused(&|signature| signature.signature = vec![1; 64]),
    ] {
        assert!(
            beside.starts_with(field) && beside.contains("beside public_key or signature"),
            "{beside}"
        );
    }
    let long = refused(&|signature| signature.ssh_signature.resize(4097, 0));
    assert_eq!(
        long,
        format!("{field} has 4097 bytes, at most 4096 are allowed")
    );
    let seedless = refused(&|signature| signature.seed.clear());
    assert_eq!(seedless, "actor_signature.seed is required");
}

#[test]
fn a_sealed_ssh_signature_is_verified_by_whoever_reads_it() {
    let checked = check(&golden_event("sha512.sig")).unwrap();
    let mut ledger = Sealer::new();
    ledger.append(&checked);
    let sealed = |ledger: &Sealer, seq: usize| {
        let header = ledger.headers[seq].encode();
        check_entry(ORIGIN, seq as u64, &header, &ledger.bodies[seq]).map(|_| ())
    };
    assert_eq!(sealed(&ledger, 0), Ok(()));

    // An operator who seals another signature, or one beside it.
    let forge = |signature: v1::ActorSignature| {
        let envelope = v1::Envelope {
            actor_signature: Some(signature),
            ..envelope()
        };
        let mut parts = vec![(Tag::Envelope, Bytes::from(envelope.encode_to_vec()))];
        parts.extend(checked.parts.clone());
        let mut ledger = Sealer::new();
        ledger.seal(Kind::Event, true, Seed([12; 32]), parts);
        sealed(&ledger, 0)
    };
    let good = signature::without_seed(checked.actor_signature.as_ref().unwrap());
    assert_eq!(forge(good.clone()), Ok(()));
    let mut altered = good.clone();
    *altered.ssh_signature.last_mut().unwrap() ^= 1;
    for other in [
        altered,
        v1::ActorSignature {
            ssh_signature: ssh_signature("namespace_git.sig"),
            ..good.clone()
        },
        v1::ActorSignature {
            public_key: vec![1; 32],
            signature: vec![1; 64],
            ..good
        },
    ] {
        assert_eq!(forge(other).unwrap_err().check, Check::ActorSignature);
    }
}
