//! One key of a log handing over to the next.

use graven::merkle::leaf_hash;
use graven::note::{
    Checkpoint, CheckpointError, Note, NoteError, Rotation, RotationError, SignatureType,
    SignerKey, VerifierKey,
};
use proptest::prelude::*;

use crate::note_golden::{ORIGIN, log, next, seed, witness};

fn rotation() -> Rotation {
    let root = leaf_hash(b"leaf");
    Rotation::new(ORIGIN, 1, root, log().verifier(), next().verifier()).unwrap()
}

fn open(note: &str) -> Result<Rotation, RotationError> {
    Rotation::open(note, ORIGIN, &log().verifier())
}

/// A text signed by both keys, whether or not it is a rotation.
fn signed(text: &str) -> String {
    let note = Note::sign(text, &log()).unwrap();
    note.with(next().sign(text)).unwrap().to_string()
}

#[test]
fn both_keys_must_sign() {
    let text = rotation().to_string();
    assert_eq!(open(&signed(&text)), Ok(rotation()));
    for (signer, missing) in [(log(), next()), (next(), log())] {
        let alone = Note::sign(&text, &signer).unwrap();
        let key = missing.verifier().to_string();
        let expected = Err(RotationError::MissingSignature { key });
        assert_eq!(open(&alone.to_string()), expected);
        let twice = alone.with(signer.sign(&text)).unwrap();
        assert_eq!(open(&twice.to_string()), expected);
    }
    let unrelated = SignerKey::from_seed(ORIGIN, [9; 32]).unwrap();
    let note = Note::sign(&text, &unrelated).unwrap().to_string();
    assert_eq!(open(&note), Err(NoteError::Unsigned.into()));
    let other = SignerKey::from_seed(ORIGIN, [8; 32]).unwrap();
    assert!(matches!(
        rotation().sign(&log(), &other),
        Err(RotationError::MissingSignature { .. })
    ));
    assert!(matches!(
        rotation().sign(&next(), &log()),
        Err(RotationError::MissingSignature { .. })
    ));
}

#[test]
fn one_bad_signature_refuses() {
    let good = signed(&rotation().to_string());
    let (from, to) = (good.rfind("IgRPD").unwrap(), good.rfind("iZpdK").unwrap());
    for position in [from + 20, to + 20] {
        let mut bytes = good.clone().into_bytes();
        bytes[position] = if bytes[position] == b'A' { b'B' } else { b'A' };
        assert!(matches!(
            open(&String::from_utf8(bytes).unwrap()),
            Err(RotationError::Note(NoteError::BadSignature { .. }))
        ));
    }
}

#[test]
fn only_away_from_the_trusted_key_and_only_for_the_log() {
    let good = signed(&rotation().to_string());
    assert!(matches!(
        Rotation::open(&good, "ledger.example/other", &log().verifier()),
        Err(RotationError::WrongOrigin { .. })
    ));
    assert!(matches!(
        Rotation::open(&good, ORIGIN, &next().verifier()),
        Err(RotationError::WrongKey { .. })
    ));
}

#[test]
fn impossible_rotations_are_not_made() {
    let make = |origin: &str, size, root, from: &VerifierKey, to: &VerifierKey| {
        Rotation::new(origin, size, root, from.clone(), to.clone()).unwrap_err()
    };
    let (from, to) = (log().verifier(), next().verifier());
    assert_eq!(
        make(ORIGIN, 1, [1; 32], &from, &from),
        RotationError::SameKey
    );
    assert_eq!(
        make(ORIGIN, 0, [1; 32], &from, &to),
        RotationError::EmptyTreeRoot
    );
    assert!(matches!(
        make("other", 1, [1; 32], &from, &to),
        RotationError::NotALogKey { .. }
    ));
    assert!(matches!(
        make("12345", 1, [1; 32], &from, &to),
        RotationError::Origin(_)
    ));
    let cosigner = witness().verifier();
    assert!(matches!(
        make(ORIGIN, 1, [1; 32], &from, &cosigner),
        RotationError::NotALogKey { .. }
    ));
    let retyped = VerifierKey::new(ORIGIN, SignatureType::CosignatureV1, to.public_key()).unwrap();
    assert!(matches!(
        make(ORIGIN, 1, [1; 32], &from, &retyped),
        RotationError::NotALogKey { .. }
    ));
}

#[test]
fn the_text_has_one_spelling() {
    let text = rotation().to_string();
    for wrong in [
        text.replace("v1", "v2"),
        text.replace("v1\n", "v1 \n"),
        text.replace("size 1", "size 01"),
        text.replace("size 1", "size +1"),
        text.replace("size 1", "size"),
        text.replace("size", "Size"),
        text.replace("root D", "root "),
        text.replace("U=\n", "V=\n"),
        text.replace("from ", "from  "),
        text.replace("+22044f0f+", "+22044f0e+"),
        text.replace("to ", "for "),
        format!("{text}more\n"),
        format!("{text}\n"),
        format!("\n{text}"),
        text.lines().rev().map(|line| format!("{line}\n")).collect(),
        text.lines()
            .take(5)
            .map(|line| format!("{line}\n"))
            .collect(),
    ] {
        assert_ne!(wrong, text);
        let result = open(&signed(&wrong));
        assert!(
            matches!(
                result,
                Err(RotationError::Malformed { .. } | RotationError::Key(_))
            ),
            "{wrong} {result:?}"
        );
    }
}

/// The same key signs both, so it matters that neither can be taken for the other.
#[test]
fn rotations_and_checkpoints_cannot_be_confused() {
    let key = log().verifier();
    let rotation = signed(&rotation().to_string());
    assert_eq!(
        Checkpoint::open(&rotation, ORIGIN, &key),
        Err(NoteError::Checkpoint(CheckpointError::Size))
    );
    assert_eq!(
        Checkpoint::open(&rotation, "graven key rotation v1", &key),
        Err(NoteError::Checkpoint(CheckpointError::Size))
    );
    let checkpoint = Checkpoint::new(ORIGIN, 1, leaf_hash(b"leaf")).unwrap();
    assert!(matches!(
        open(&checkpoint.sign(&log())),
        Err(RotationError::Malformed { .. })
    ));
    // What would be both cannot be made: its origin would have spaces, or be a number.
    assert!(Checkpoint::new("graven key rotation v1", 1, [1; 32]).is_err());
    assert!(SignerKey::from_seed("1", seed(0)).is_err());
}

proptest! {
    #[test]
    fn rotations_come_back_from_their_text(size in 1u64.., root: [u8; 32], seed: [u8; 32]) {
        let to = SignerKey::from_seed(ORIGIN, seed).unwrap();
        let rotation =
            Rotation::new(ORIGIN, size, root, log().verifier(), to.verifier()).unwrap();
        let note = rotation.sign(&log(), &to).unwrap().to_string();
        prop_assert_eq!(open(&note), Ok(rotation));
    }

    #[test]
    fn any_text_is_answered(bytes: Vec<u8>, text in "(\\PC|\n|size |root |from |to )*") {
        let _ = Rotation::open(&bytes, ORIGIN, &log().verifier());
        let note = signed(&format!("graven key rotation v1\n{text}\n"));
        prop_assert!(open(&note).is_err());
    }
}
