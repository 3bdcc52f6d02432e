//! Every signed text of this module, byte for byte. `tests/vectors/note_golden.py` makes the same
//! ones with other software. Ed25519 is deterministic, so these never change.

use graven::merkle::{empty_root, leaf_hash};
use graven::note::{
    Checkpoint, CosignerKey, Note, Policy, Rotation, SignerKey, TlogProof, VerifierKey,
};

pub(crate) const ORIGIN: &str = "ledger.example/main";
pub(crate) const LOG: &str =
    "ledger.example/main+22044f0f+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4";
const NEXT: &str = "ledger.example/main+899a5d28+ASVDuS/xCVURR2rcg2nbbdyTNmWhGXjdoUBO4QZsqVWd";
pub(crate) const WITNESS: &str =
    "witness.example/w1+20324abe+BCmsuuFBvMrwsi4alNNNC8c2HlJtC/4SyJeUvJMilm3X";

const EMPTY_SIGNED: &str = "\
ledger.example/main
0
47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=

— ledger.example/main IgRPD+oQTV5vtGPWiSHzhD87PIN+FV8+UGZP9rvCBtNSXEEhkbnR3LjW1mbYTrNYmUitMzmcGlGPdQNRjsAanLMBEAI=
";

const COSIGNED: &str = "\
ledger.example/main
1
DSfif3gnzNdFGZ6Os6avNo4QZK9Crp+DdA6YEh4rwCU=

— ledger.example/main IgRPD1qFwcPpsZBYg7zMQrYjbODgRXRd1ycseiRjGLEe8kN8EfO0WdbXEB3nrYlib7oL+85rg4+RtPb9YtFzwSqREwI=
— witness.example/w1 IDJKvgAAAABlU/EAUV7tEC7w3mN2izranZMze9OaBRWZgIIZz29wycEZ4EAjEkv9uR57GuJSs/uwtIy5XugHD80ktAzzD6kexs8wCg==
";

const ROTATION: &str = "\
graven key rotation v1
ledger.example/main
size 1
root DSfif3gnzNdFGZ6Os6avNo4QZK9Crp+DdA6YEh4rwCU=
from ledger.example/main+22044f0f+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4
to ledger.example/main+899a5d28+ASVDuS/xCVURR2rcg2nbbdyTNmWhGXjdoUBO4QZsqVWd

— ledger.example/main IgRPD0U0RVefVfGlxx78f1WcQzLc8MmbZESJSm/v9usye7PJEiv2QK5RwHDA5UoiPbo/xIUdDJEdqv4Rmp9KTXDkhgQ=
— ledger.example/main iZpdKETAwKEi2HNnc59/Yeqwyr21E7GABgF0wetzQCHNMxtGTAG5Jt2F8kI/BWBTJRoaXp/xeFpGmLwoIjJ/8HVc8AE=
";

/// Seed n is the 32 bytes from 32·n on.
pub(crate) fn seed(number: u8) -> [u8; 32] {
    std::array::from_fn(|index| number * 32 + index as u8)
}

pub(crate) fn log() -> SignerKey {
    SignerKey::from_seed(ORIGIN, seed(0)).unwrap()
}

pub(crate) fn next() -> SignerKey {
    SignerKey::from_seed(ORIGIN, seed(2)).unwrap()
}

pub(crate) fn witness() -> CosignerKey {
    CosignerKey::from_seed("witness.example/w1", seed(1)).unwrap()
}

fn one_leaf() -> Checkpoint {
    Checkpoint::new(ORIGIN, 1, leaf_hash(b"leaf")).unwrap()
}

#[test]
fn keys() {
    assert_eq!(log().verifier().to_string(), LOG);
    assert_eq!(next().verifier().to_string(), NEXT);
    assert_eq!(witness().verifier().to_string(), WITNESS);
    assert_eq!(
        *log().encode(),
        "PRIVATE+KEY+ledger.example/main+22044f0f+AQABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f"
    );
    assert_eq!(
        *witness().encode(),
        "PRIVATE+KEY+witness.example/w1+20324abe+BCAhIiMkJSYnKCkqKywtLi8wMTIzNDU2Nzg5Ojs8PT4/"
    );
}

#[test]
fn checkpoints() {
    let empty = Checkpoint::new(ORIGIN, 0, empty_root()).unwrap();
    assert_eq!(empty.sign(&log()), EMPTY_SIGNED);
    let key = VerifierKey::parse(LOG).unwrap();
    assert_eq!(Checkpoint::open(EMPTY_SIGNED, ORIGIN, &key), Ok(empty));
    assert_eq!(Checkpoint::open(COSIGNED, ORIGIN, &key), Ok(one_leaf()));
}

#[test]
fn cosignatures() {
    let cosignature = witness().cosign(&one_leaf(), 1_700_000_000).unwrap();
    let note = Note::parse(one_leaf().sign(&log()))
        .unwrap()
        .with(cosignature)
        .unwrap();
    assert_eq!(note.to_string(), COSIGNED);
    let keys = [
        VerifierKey::parse(LOG).unwrap(),
        VerifierKey::parse(WITNESS).unwrap(),
    ];
    let times: Vec<_> = note
        .verify(&keys)
        .unwrap()
        .iter()
        .map(|by| by.time)
        .collect();
    assert_eq!(times, [None, Some(1_700_000_000)]);
}

#[test]
fn proofs() {
    let expected = format!("c2sp.org/tlog-proof@v1\nextra ZXh0cmE=\nindex 0\n\n{COSIGNED}");
    let proof = TlogProof {
        extra: Some(b"extra".to_vec()),
        index: 0,
        hashes: Vec::new(),
        checkpoint: Note::parse(COSIGNED).unwrap(),
    };
    assert_eq!(proof.to_string(), expected);
    assert_eq!(TlogProof::parse(&expected), Ok(proof.clone()));
    let policy = Policy::of_log(VerifierKey::parse(LOG).unwrap());
    assert_eq!(proof.verify(&leaf_hash(b"leaf"), &policy), Ok(one_leaf()));
}

#[test]
fn rotations() {
    let (from, to) = (log().verifier(), next().verifier());
    let rotation = Rotation::new(ORIGIN, 1, leaf_hash(b"leaf"), from.clone(), to).unwrap();
    assert_eq!(
        rotation.sign(&log(), &next()).unwrap().to_string(),
        ROTATION
    );
    assert_eq!(Rotation::open(ROTATION, ORIGIN, &from), Ok(rotation));
}

/// The secret for another purpose is BLAKE3's own key derivation, so it never changes either.
#[test]
fn derived_secrets() {
    let context = "graven v1 test";
    assert_eq!(log().derive(context), blake3::derive_key(context, &seed(0)));
    assert_ne!(log().derive(context), log().derive("graven v1 other"));
    assert_ne!(log().derive(context), next().derive(context));
}
