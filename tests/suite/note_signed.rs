//! Signed notes: the vectors of golang.org/x/mod/sumdb/note (BSD-3-Clause) and of C2SP signed-note,
//! and notes that must be refused.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use graven::note::{
    NOTE_BYTES_MAX, Note, NoteError, SIGNATURES_MAX, Signature, SignatureType, SignerKey,
    VerifierKey,
};
use proptest::prelude::*;

const TEXT: &str = "If you think cryptography is the answer to your problem,
then you don't know what your problem is.
";
const PETER: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
const PETER_PRIVATE: &str =
    "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";
const PETER_LINE: &str = "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
const ENOCH: &str = "EnochRoot+af0cfe78+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop";
const ENOCH_LINE: &str = "— EnochRoot rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01oOTGwnWLox33WWd1RvMc+QQ=\n";

fn peter() -> VerifierKey {
    VerifierKey::parse(PETER).unwrap()
}

fn enoch() -> VerifierKey {
    VerifierKey::parse(ENOCH).unwrap()
}

fn note(lines: &str) -> Note {
    Note::parse(format!("{TEXT}\n{lines}")).unwrap()
}

fn line(name: &str, id: [u8; 4], signature: &[u8]) -> String {
    format!(
        "— {name} {}\n",
        BASE64_STANDARD.encode([&id, signature].concat())
    )
}

fn names(note: &Note, keys: &[VerifierKey]) -> Result<Vec<String>, NoteError> {
    Ok(note
        .verify(keys)?
        .iter()
        .map(|by| by.key.name().to_owned())
        .collect())
}

#[test]
fn the_note_of_the_go_tests_is_made() {
    let key = SignerKey::parse(PETER_PRIVATE).unwrap();
    let note = Note::sign(TEXT, &key).unwrap();
    assert_eq!(note.to_string(), format!("{TEXT}\n{PETER_LINE}"));
    assert_eq!(key.sign(TEXT).to_string() + "\n", PETER_LINE);
}

#[test]
fn the_note_of_the_specification_verifies() {
    let key =
        VerifierKey::parse("example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k")
            .unwrap();
    let note = Note::parse(
        "This is an example message.\n\n— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n",
    )
    .unwrap();
    assert_eq!(names(&note, &[key]).unwrap(), ["example.com/foo"]);
}

#[test]
fn known_keys_verify_and_unknown_ones_are_ignored() {
    let note = note(&format!("{PETER_LINE}{ENOCH_LINE}"));
    assert_eq!(names(&note, &[peter()]).unwrap(), ["PeterNeumann"]);
    assert_eq!(names(&note, &[enoch()]).unwrap(), ["EnochRoot"]);
    assert_eq!(
        names(&note, &[enoch(), peter()]).unwrap(),
        ["PeterNeumann", "EnochRoot"]
    );
    assert_eq!(names(&note, &[]), Err(NoteError::Unsigned));
}

#[test]
fn a_key_counts_once() {
    let note = note(&PETER_LINE.repeat(3));
    assert_eq!(
        names(&note, &[peter(), enoch(), peter()]).unwrap(),
        ["PeterNeumann"]
    );
}

#[test]
fn a_bad_signature_by_a_known_key_refuses_the_note() {
    let bad = |key: &VerifierKey| {
        Err(NoteError::BadSignature {
            name: key.name().to_owned(),
            id: u32::from_be_bytes(key.id()),
        })
    };
    let mut signature = note(PETER_LINE).signatures()[0].bytes().to_vec();
    signature[7] ^= 1;
    let broken = line("PeterNeumann", peter().id(), &signature);
    for lines in [
        broken.clone(),
        format!("{ENOCH_LINE}{broken}"),
        format!("{broken}{ENOCH_LINE}"),
        format!("{PETER_LINE}{broken}"),
    ] {
        assert_eq!(names(&note(&lines), &[peter(), enoch()]), bad(&peter()));
    }
    // Enoch alone being known, it is nobody's business.
    assert!(names(&note(&format!("{ENOCH_LINE}{broken}")), &[enoch()]).is_ok());
    for length in [1, 63, 65, 72] {
        let lines = line(
            "PeterNeumann",
            peter().id(),
            &[signature.as_slice(), &[0; 72]].concat()[..length],
        );
        assert_eq!(names(&note(&lines), &[peter()]), bad(&peter()));
    }
}

#[test]
fn the_signature_covers_every_byte_of_the_text() {
    for changed in [
        &TEXT[1..],
        &TEXT[..TEXT.len() - 2],
        &format!("\n{TEXT}"),
        &format!("{TEXT}x"),
    ] {
        let changed = changed.trim_end_matches('\n').to_owned() + "\n";
        let note = Note::parse(format!("{changed}\n{PETER_LINE}")).unwrap();
        assert!(matches!(
            note.verify(&[peter()]),
            Err(NoteError::BadSignature { .. })
        ));
    }
    let note = Note::parse(format!("{TEXT}\n\n{PETER_LINE}")).unwrap();
    assert_eq!(note.text(), format!("{TEXT}\n"));
    assert!(note.verify(&[peter()]).is_err());
}

#[test]
fn name_and_id_must_both_be_the_known_ones() {
    let signature = note(PETER_LINE).signatures()[0].bytes().to_vec();
    for (name, id) in [
        ("CarmenSandiego", peter().id()),
        ("PeterNeumann", *b"xxxx"),
        ("peterneumann", peter().id()),
        ("PeterNeumann.", peter().id()),
    ] {
        let other = note(&line(name, id, &signature));
        assert_eq!(
            names(&other, &[peter()]),
            Err(NoteError::Unsigned),
            "{name}"
        );
    }
}

/// Four bytes of id are easily collided; the outcome must be a refusal.
#[test]
fn colliding_keys_never_lead_to_acceptance() {
    // Found by trying seeds 0, 1, 2 … until two of about a hundred thousand ids were equal.
    let [honest, forger] = [
        "PRIVATE+KEY+log+aa016ebc+AQAAAAAAANbTAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "PRIVATE+KEY+log+aa016ebc+AQAAAAAAAZALAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    ]
    .map(|key| SignerKey::parse(key).unwrap());
    assert_ne!(honest.verifier(), forger.verifier());
    let forged = Note::sign("text\n", &forger).unwrap();
    assert!(matches!(
        forged.verify(&[honest.verifier()]),
        Err(NoteError::BadSignature { .. })
    ));
    let both = [honest.verifier(), forger.verifier()];
    assert!(matches!(
        forged.verify(&both),
        Err(NoteError::AmbiguousKey { .. })
    ));
}

/// A second encoding of a good signature: S + L instead of S. RFC 8032 forbids it.
#[test]
fn signatures_have_one_encoding() {
    const L: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde,
        0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let mut signature = note(PETER_LINE).signatures()[0].bytes().to_vec();
    let mut carry = 0;
    for (byte, addend) in signature[32..].iter_mut().zip(L) {
        let sum = u16::from(*byte) + u16::from(addend) + carry;
        *byte = sum as u8;
        carry = sum >> 8;
    }
    assert_eq!(carry, 0);
    let malleated = note(&line("PeterNeumann", peter().id(), &signature));
    assert!(matches!(
        malleated.verify(&[peter()]),
        Err(NoteError::BadSignature { .. })
    ));
}

#[test]
fn a_key_for_cosignatures_does_not_sign_notes() {
    let as_cosigner = VerifierKey::new(
        "PeterNeumann",
        SignatureType::CosignatureV1,
        peter().public_key(),
    )
    .unwrap();
    let signature = note(PETER_LINE).signatures()[0].bytes().to_vec();
    let relabelled = note(&line("PeterNeumann", as_cosigner.id(), &signature));
    assert!(matches!(
        relabelled.verify(&[as_cosigner]),
        Err(NoteError::BadSignature { .. })
    ));
}

#[test]
fn text_with_blank_lines_is_split_at_the_last() {
    let key = SignerKey::parse(PETER_PRIVATE).unwrap();
    for text in [
        "a\n\nb\n",
        "\n",
        "\n\n",
        "a\n\n\n",
        "a\n\n— Fake AAAAAAA=\n",
        "\n\n\na\n",
    ] {
        let signed = Note::sign(text, &key).unwrap();
        let read = Note::parse(signed.to_string()).unwrap();
        assert_eq!(
            (read.text(), read.verify(&[peter()]).unwrap().len()),
            (text, 1),
            "{text:?}"
        );
    }
}

#[test]
fn malformed_notes_are_refused() {
    for wrong in [
        String::new(),
        "\n".to_owned(),
        "\n\n".to_owned(),
        TEXT.to_owned(),
        format!("{TEXT}\n"),
        format!("{TEXT}{PETER_LINE}"),
        format!("{TEXT}\n{}", PETER_LINE.trim_end()),
        PETER_LINE.to_owned(),
        format!("\n{PETER_LINE}"),
    ] {
        assert_eq!(
            Note::parse(&wrong),
            Err(NoteError::NoSignatures),
            "{wrong:?}"
        );
    }
    for wrong in [
        "Unexpected line.",
        "—PeterNeumann AAAAAAA=",
        "- PeterNeumann AAAAAAA=",
        "—  PeterNeumann AAAAAAA=",
        "— PeterNeumann  AAAAAAA=",
        "— PeterNeumann AAAAAAA= ",
        "— Bad Name AAAAAAA=",
        "— Bad+Name AAAAAAA=",
        "— Bad\u{a0}Name AAAAAAA=",
        "—  AAAAAAA=",
        "— PeterNeumann",
        "— PeterNeumann ",
        "— PeterNeumann AAAA",
        "— PeterNeumann AAAAAA==",
        "— PeterNeumann AAAAAAA",
        "— PeterNeumann AAAAAAB=",
        "— PeterNeumann AAAAA-A=",
        "— PeterNeumann *",
    ] {
        let lines = format!("{TEXT}\n{PETER_LINE}{wrong}\n");
        assert_eq!(
            Note::parse(lines),
            Err(NoteError::MalformedSignature { line: 2 }),
            "{wrong}"
        );
        assert_eq!(Signature::parse_line(wrong), None, "{wrong}");
    }
    for control in ['\0', '\u{1}', '\t', '\r', '\u{1f}'] {
        let wrong = format!("{control}{TEXT}\n{PETER_LINE}");
        assert_eq!(
            Note::parse(wrong),
            Err(NoteError::ControlCharacter { character: control })
        );
    }
    assert!(Note::parse(format!("{TEXT}\n{PETER_LINE}").replace('\n', "\r\n")).is_err());
    let invalid = [b"\xff", format!("{TEXT}\n{PETER_LINE}").as_bytes()].concat();
    assert_eq!(Note::parse(invalid), Err(NoteError::NotUtf8));
}

#[test]
fn texts_that_cannot_be_notes_are_not_signed() {
    let key = SignerKey::parse(PETER_PRIVATE).unwrap();
    assert_eq!(Note::sign("", &key), Err(NoteError::UnterminatedText));
    assert_eq!(Note::sign("abc", &key), Err(NoteError::UnterminatedText));
    assert_eq!(
        Note::sign("a\r\n", &key),
        Err(NoteError::ControlCharacter { character: '\r' })
    );
    let long = "a".repeat(NOTE_BYTES_MAX) + "\n";
    assert!(matches!(
        Note::sign(&long, &key),
        Err(NoteError::TooLarge { .. })
    ));
}

#[test]
fn notes_have_limits() {
    let most = note(&PETER_LINE.repeat(SIGNATURES_MAX));
    assert_eq!(most.signatures().len(), 100);
    assert_eq!(most.verify(&[peter()]).unwrap().len(), 1);
    let more = format!("{TEXT}\n{}", PETER_LINE.repeat(SIGNATURES_MAX + 1));
    assert_eq!(Note::parse(more), Err(NoteError::TooManySignatures));
    let one_more = most.signatures()[0].clone();
    assert_eq!(most.with(one_more), Err(NoteError::TooManySignatures));
    let rest = format!("\n\n{PETER_LINE}");
    let largest = "a".repeat(NOTE_BYTES_MAX - rest.len()) + &rest;
    assert!(Note::parse(&largest).is_ok());
    assert_eq!(
        Note::parse(format!("a{largest}")),
        Err(NoteError::TooLarge {
            bytes: NOTE_BYTES_MAX + 1
        })
    );
    // Sixteen post-quantum signatures fit.
    let large = line("pq", *b"abcd", &[1; 5000]).repeat(16);
    assert_eq!(note(&large).signatures().len(), 16);
}

proptest! {
    #[test]
    fn notes_come_back_from_their_text(
        text in "([^\\x00-\\x1f]|\n){0,60}",
        others in prop::collection::vec(("[^\\x00-\\x20\\s+]{1,20}", prop::collection::vec(any::<u8>(), 5..80)), 0..5),
    ) {
        let text = text + "\n";
        let mut note = Note::sign(&text, &SignerKey::parse(PETER_PRIVATE).unwrap()).unwrap();
        for (name, bytes) in others {
            let line = format!("— {name} {}", BASE64_STANDARD.encode(bytes));
            if let Some(signature) = Signature::parse_line(&line) {
                prop_assert_eq!(signature.to_string(), line);
                note = note.with(signature).unwrap();
            }
        }
        let again = Note::parse(note.to_string()).unwrap();
        prop_assert_eq!(again.text(), text);
        prop_assert_eq!(again, note);
    }

    #[test]
    fn any_bytes_are_answered(bytes: Vec<u8>, text in "(\\PC|\n|— |AAAAAAA=| )*") {
        let _ = Note::parse(&bytes);
        let _ = Note::parse([text.as_bytes(), &bytes].concat());
        if let Ok(note) = Note::parse(&text) {
            prop_assert_eq!(note.to_string(), text.clone());
            prop_assert!(note.verify(&[peter()]).is_err());
        }
        if let Ok(note) = Note::parse(format!("{text}\n\n{PETER_LINE}")) {
            prop_assert!(note.verify(&[peter()]).is_err());
        }
    }
}
