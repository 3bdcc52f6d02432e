//! Checkpoints and cosignatures. Some cases are those of transparency-dev/formats,
//! log/checkpoint_test.go (Apache-2.0).

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use graven::merkle::{empty_root, leaf_hash};
use graven::note::{
    Checkpoint, CheckpointError, CosignerKey, NameError, Note, NoteError, Signature, SignatureType,
    SignerKey, VerifierKey,
};
use proptest::prelude::*;

use crate::note_golden::{ORIGIN, log, next, seed, witness};

const ROOT: &str = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=";

fn checkpoint() -> Checkpoint {
    Checkpoint::new(ORIGIN, 5, leaf_hash(b"five")).unwrap()
}

/// A signed note with any text, as a careless or hostile log would make it.
fn signed(text: &str) -> String {
    Note::sign(text, &log()).unwrap().to_string()
}

#[test]
fn the_checkpoint_of_the_specification_parses() {
    let text = format!("example.com/behind-the-sofa\n20852163\n{ROOT}\n");
    let checkpoint = Checkpoint::parse(&text).unwrap();
    assert_eq!(checkpoint.origin(), "example.com/behind-the-sofa");
    assert_eq!(checkpoint.size(), 20_852_163);
    assert_eq!(BASE64_STANDARD.encode(checkpoint.root()), ROOT);
    assert_eq!(checkpoint.to_string(), text);
}

#[test]
fn foreign_origins_with_spaces_parse_but_are_not_made() {
    let text = format!("go.sum database tree\n1\n{ROOT}\n");
    assert_eq!(
        Checkpoint::parse(&text).unwrap().origin(),
        "go.sum database tree"
    );
    assert_eq!(
        Checkpoint::new("go.sum database tree", 1, [1; 32]),
        Err(NameError::Character { character: ' ' }.into())
    );
    for origin in ["", "5", "a\nb", "a+b", &"o".repeat(256)] {
        assert!(matches!(
            Checkpoint::new(origin, 1, [1; 32]),
            Err(CheckpointError::Origin(_))
        ));
    }
    let long = "o".repeat(256);
    assert_eq!(
        Checkpoint::parse(&format!("{long}\n1\n{ROOT}\n")),
        Err(CheckpointError::OriginTooLong { bytes: 256 })
    );
}

#[test]
fn sizes_have_one_spelling() {
    for size in ["0", "1", "18446744073709551615"] {
        let root = if size == "0" {
            BASE64_STANDARD.encode(empty_root())
        } else {
            ROOT.to_owned()
        };
        assert!(
            Checkpoint::parse(&format!("o\n{size}\n{root}\n")).is_ok(),
            "{size}"
        );
    }
    for size in [
        "00",
        "01",
        "+1",
        "-1",
        "-34",
        " 1",
        "1 ",
        "1_0",
        "1e3",
        "0x1",
        "bananas",
        "١",
        "18446744073709551616",
        "3438945738945739845734895735",
    ] {
        let text = format!("o\n{size}\n{ROOT}\n");
        assert_eq!(
            Checkpoint::parse(&text),
            Err(CheckpointError::Size),
            "{size}"
        );
    }
}

#[test]
fn roots_have_one_spelling() {
    for root in [
        "YmFuYW5hcw==",
        "ThisIsn'tBase64",
        &ROOT[..43],
        &ROOT.replace('=', ""),
        &ROOT.replace("2I=", "2J="),
        &ROOT.replace('/', "_"),
        &format!("{ROOT} "),
        &format!("{ROOT}{ROOT}"),
        &BASE64_STANDARD.encode([1; 33]),
        &BASE64_STANDARD.encode([1; 31]),
    ] {
        let text = format!("o\n1\n{root}\n");
        assert_eq!(
            Checkpoint::parse(&text),
            Err(CheckpointError::Root),
            "{root}"
        );
    }
}

#[test]
fn malformed_texts_are_refused() {
    for text in [
        String::new(),
        "\n".to_owned(),
        "Head\n9944\n".to_owned(),
        format!("\n9944\n{ROOT}\n"),
        format!("o\n1\n{ROOT}"),
        format!("o\n\n{ROOT}\n"),
        format!("o\n1\n{ROOT}\n\n"),
        format!("o\n1\n{ROOT}\n\n\n"),
        format!("o\n1\n{ROOT}\nextension\n\nextension\n"),
        format!("\no\n1\n{ROOT}\n"),
        format!("o\r\n1\r\n{ROOT}\r\n"),
        format!("o\t\n1\n{ROOT}\n"),
    ] {
        assert_eq!(
            Checkpoint::parse(&text),
            Err(CheckpointError::Malformed),
            "{text:?}"
        );
    }
}

#[test]
fn the_empty_tree_has_one_root() {
    assert!(Checkpoint::new("o", 0, empty_root()).is_ok());
    assert_eq!(
        Checkpoint::new("o", 0, [0; 32]),
        Err(CheckpointError::EmptyTreeRoot)
    );
    let text = format!("o\n0\n{ROOT}\n");
    assert_eq!(
        Checkpoint::parse(&text),
        Err(CheckpointError::EmptyTreeRoot)
    );
}

#[test]
fn extension_lines_are_kept_and_signed() {
    let text = format!("{checkpoint}frozen\nforever\n", checkpoint = checkpoint());
    let note = signed(&text);
    let opened = Checkpoint::open(&note, ORIGIN, &log().verifier()).unwrap();
    assert_eq!(opened.extensions(), ["frozen", "forever"]);
    assert_eq!(opened.to_string(), text);
    let changed = note.replace("forever", "for now");
    assert!(Checkpoint::open(changed, ORIGIN, &log().verifier()).is_err());
}

#[test]
fn another_logs_checkpoint_is_refused() {
    let key = log().verifier();
    for origin in [
        "ledger.example/Main",
        "ledger.example/main ",
        "ledger.example/main/",
        "ledger.example/mаin", // a Cyrillic а
        "",
    ] {
        assert!(matches!(
            Checkpoint::open(checkpoint().sign(&log()), origin, &key),
            Err(NoteError::WrongOrigin { .. })
        ));
    }
    let other = Checkpoint::new("ledger.example/other", 5, leaf_hash(b"five")).unwrap();
    assert_eq!(
        Checkpoint::open(other.sign(&log()), ORIGIN, &key),
        Err(NoteError::WrongOrigin {
            expected: ORIGIN.to_owned(),
            found: "ledger.example/other".to_owned()
        })
    );
}

#[test]
fn another_keys_checkpoint_is_refused() {
    let by_next = checkpoint().sign(&next());
    assert_eq!(
        Checkpoint::open(by_next, ORIGIN, &log().verifier()),
        Err(NoteError::Unsigned)
    );
    let mut bytes = checkpoint().sign(&log()).into_bytes();
    bytes[ORIGIN.len() + 1] = b'6';
    assert!(matches!(
        Checkpoint::open(bytes, ORIGIN, &log().verifier()),
        Err(NoteError::BadSignature { .. })
    ));
}

#[test]
fn a_signed_text_that_is_no_checkpoint_is_refused() {
    for text in ["graven\n", "ledger.example/main\nfive\nroot\n"] {
        assert!(matches!(
            Checkpoint::open(signed(text), ORIGIN, &log().verifier()),
            Err(NoteError::Checkpoint(_))
        ));
    }
}

fn cosigned(signature: Signature) -> Note {
    Note::parse(checkpoint().sign(&log()))
        .unwrap()
        .with(signature)
        .unwrap()
}

#[test]
fn cosignatures_carry_their_time() {
    for time in [1, 1_700_000_000, i64::MAX as u64] {
        let note = cosigned(witness().cosign(&checkpoint(), time).unwrap());
        let keys = [witness().verifier()];
        assert_eq!(note.verify(&keys).unwrap()[0].time, Some(time));
    }
    for time in [0, 1 << 63, u64::MAX] {
        assert_eq!(
            witness().cosign(&checkpoint(), time),
            Err(NoteError::CosignatureTime { seconds: time })
        );
    }
}

#[test]
fn the_latest_of_several_cosignatures_counts() {
    let note = [3, 9, 4].into_iter().fold(
        Note::parse(checkpoint().sign(&log())).unwrap(),
        |note, time| {
            note.with(witness().cosign(&checkpoint(), time).unwrap())
                .unwrap()
        },
    );
    let keys = [witness().verifier()];
    let verified = note.verify(&keys).unwrap();
    assert_eq!((verified.len(), verified[0].time), (1, Some(9)));
}

/// A signature of the witness over what `message` makes of the time.
fn forged(time: u64, message: &str) -> Note {
    // The same seed as the witness's, to sign messages that it would not.
    let raw = SignerKey::from_seed("raw", seed(1)).unwrap().sign(message);
    let id = witness().verifier().id();
    let bytes = [&id[..], &time.to_be_bytes(), raw.bytes()].concat();
    let line = format!("— {} {}", witness().name(), BASE64_STANDARD.encode(bytes));
    cosigned(Signature::parse_line(&line).unwrap())
}

#[test]
fn cosignatures_over_anything_else_are_refused() {
    let keys = [witness().verifier()];
    let text = checkpoint().to_string();
    assert!(
        forged(7, &format!("cosignature/v1\ntime 7\n{text}"))
            .verify(&keys)
            .is_ok()
    );
    for (time, message) in [
        (8, format!("cosignature/v1\ntime 7\n{text}")),
        (7, format!("cosignature/v1\ntime 07\n{text}")),
        (7, format!("cosignature/v2\ntime 7\n{text}")),
        (7, text.clone()),
        (7, format!("cosignature/v1\ntime 7\n{text}more\n")),
        (7, format!("cosignature/v1\ntime 7\n{}", &text[1..])),
        (0, format!("cosignature/v1\ntime 0\n{text}")),
        (
            1 << 63,
            format!("cosignature/v1\ntime {}\n{text}", 1u64 << 63),
        ),
        (
            u64::MAX,
            format!("cosignature/v1\ntime {}\n{text}", u64::MAX),
        ),
    ] {
        assert!(
            matches!(
                forged(time, &message).verify(&keys),
                Err(NoteError::BadSignature { .. })
            ),
            "{time} {message}"
        );
    }
}

#[test]
fn a_cosignature_does_not_speak_for_the_log() {
    let cosigner = CosignerKey::from_seed(ORIGIN, seed(0)).unwrap();
    let note = cosigned(cosigner.cosign(&checkpoint(), 7).unwrap()).to_string();
    assert!(matches!(
        Checkpoint::open(note, ORIGIN, &cosigner.verifier()),
        Err(NoteError::NotALogKey { .. })
    ));
    // Nor can its bytes be passed off under the id of the same key as a log's.
    let as_log = VerifierKey::new(
        ORIGIN,
        SignatureType::Ed25519,
        cosigner.verifier().public_key(),
    )
    .unwrap();
    assert_eq!(as_log, log().verifier());
    assert_ne!(as_log.id(), cosigner.verifier().id());
}

proptest! {
    #[test]
    fn checkpoints_come_back_from_their_text(
        origin in "[^\\x00-\\x1f]{1,60}",
        size in 1u64..,
        root: [u8; 32],
        extensions in prop::collection::vec("[^\\x00-\\x1f]{1,20}", 0..3),
    ) {
        let mut text = format!("{origin}\n{size}\n{}\n", BASE64_STANDARD.encode(root));
        extensions.iter().for_each(|line| text += &format!("{line}\n"));
        let checkpoint = Checkpoint::parse(&text).unwrap();
        prop_assert_eq!(checkpoint.to_string(), text);
        prop_assert_eq!((checkpoint.size(), checkpoint.root()), (size, &root));
        let opened = Checkpoint::open(signed(&checkpoint.to_string()), &origin, &log().verifier());
        prop_assert_eq!(opened, Ok(checkpoint));
    }

    #[test]
    fn any_text_is_answered(text in "(\\PC|\n|0|1|CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=)*") {
        if let Ok(checkpoint) = Checkpoint::parse(&text) {
            prop_assert_eq!(checkpoint.to_string(), text);
        }
    }
}
