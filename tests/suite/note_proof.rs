//! Proofs of inclusion as one file. Some cases are those of transparency-dev/formats,
//! proof/tlog_proof_test.go (Apache-2.0).

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use graven::merkle::{BoundsError, Hash, ProofError, leaf_hash, prove_inclusion};
use graven::note::{Checkpoint, Note, NoteError, Policy, PolicyError, TlogProof, TlogProofError};
use proptest::prelude::*;

use crate::merkle_support::NaiveTree;
use crate::note_golden::{ORIGIN, log, next};

fn checkpoint(tree: &NaiveTree) -> Note {
    let checkpoint = Checkpoint::new(ORIGIN, tree.size(), tree.root()).unwrap();
    Note::parse(checkpoint.sign(&log())).unwrap()
}

fn proof(tree: &NaiveTree, index: u64) -> TlogProof {
    let hashes = prove_inclusion(tree, index, tree.size()).unwrap();
    TlogProof {
        extra: None,
        index,
        hashes,
        checkpoint: checkpoint(tree),
    }
}

fn policy() -> Policy {
    Policy::of_log(log().verifier())
}

fn line(bytes: &[u8]) -> String {
    BASE64_STANDARD.encode(bytes) + "\n"
}

#[test]
fn every_leaf_of_small_logs_is_proved() {
    for size in 1..=20 {
        let tree = NaiveTree::new(size);
        for index in 0..size {
            let text = proof(&tree, index).to_string();
            let leaf = &tree.0[index as usize];
            let proved = TlogProof::parse(&text)
                .unwrap()
                .verify(leaf, &policy())
                .unwrap();
            assert_eq!((proved.size(), proved.root()), (size, &tree.root()));
        }
    }
}

#[test]
fn the_format_is_that_of_the_specification() {
    let tree = NaiveTree::new(4);
    let mut proof = proof(&tree, 2);
    let hashes: String = proof.hashes.iter().map(|hash| line(hash)).collect();
    let note = checkpoint(&tree);
    let plain = format!("c2sp.org/tlog-proof@v1\nindex 2\n{hashes}\n{note}");
    assert_eq!(proof.to_string(), plain);
    proof.extra = Some(b"extra information".to_vec());
    let extra = plain.replace("index", "extra ZXh0cmEgaW5mb3JtYXRpb24=\nindex");
    assert_eq!(proof.to_string(), extra);
    assert_eq!(TlogProof::parse(extra), Ok(proof));
}

#[test]
fn a_proof_for_something_else_is_refused() {
    let tree = NaiveTree::new(11);
    let good = proof(&tree, 6);
    let leaf = tree.0[6];
    let refused = |proof: &TlogProof, leaf: &Hash| proof.verify(leaf, &policy()).unwrap_err();

    assert!(matches!(
        refused(&good, &tree.0[7]),
        TlogProofError::NotIncluded(ProofError::RootMismatch { .. })
    ));
    assert_eq!(
        refused(
            &TlogProof {
                index: 11,
                ..good.clone()
            },
            &leaf
        ),
        ProofError::from(BoundsError::IndexBeyondTree {
            index: 11,
            size: 11
        })
        .into()
    );
    for index in [0, 2, 4, 5, 7, 10] {
        let error = refused(
            &TlogProof {
                index,
                ..good.clone()
            },
            &leaf,
        );
        assert!(matches!(error, TlogProofError::NotIncluded(_)));
    }
    let mut longer = good.clone();
    longer.hashes.push([0; 32]);
    assert_eq!(
        refused(&longer, &leaf),
        ProofError::WrongLength {
            expected: 4,
            got: 5
        }
        .into()
    );
    // The right proof beside the checkpoint of an earlier state.
    let earlier = checkpoint(&NaiveTree::new(10));
    assert!(good.verify(&leaf, &policy()).is_ok());
    assert!(matches!(
        refused(
            &TlogProof {
                checkpoint: earlier,
                ..good.clone()
            },
            &leaf
        ),
        TlogProofError::NotIncluded(_)
    ));
}

#[test]
fn only_logs_of_the_policy_are_believed() {
    let tree = NaiveTree::new(3);
    let good = proof(&tree, 0);
    let other = Policy::of_log(next().verifier());
    assert_eq!(
        good.verify(&tree.0[0], &other),
        Err(PolicyError::from(NoteError::Unsigned).into())
    );
    let text = good.to_string().replace("main\n3\n", "copy\n3\n");
    assert_eq!(
        TlogProof::parse(text)
            .unwrap()
            .verify(&tree.0[0], &policy()),
        Err(PolicyError::UnknownLog {
            origin: "ledger.example/copy".to_owned()
        }
        .into())
    );
}

#[test]
fn malformed_proofs_are_refused() {
    let tree = NaiveTree::new(4);
    let note = checkpoint(&tree).to_string();
    let parse = |head: &str| TlogProof::parse(format!("{head}\n{note}")).unwrap_err();
    for head in [
        "",
        "wrong-header\nindex 0\n",
        "c2sp.org/tlog-proof@v2\nindex 0\n",
        " c2sp.org/tlog-proof@v1\nindex 0\n",
        "c2sp.org/tlog-proof@v1 \nindex 0\n",
        "c2sp.org/tlog-proof@v1\r\nindex 0\n",
    ] {
        assert_eq!(parse(head), TlogProofError::Header, "{head:?}");
    }
    for extra in ["extra !!notbase64!!", "extra ZXh0cmE", "extra ZXh0cmE= "] {
        let head = format!("c2sp.org/tlog-proof@v1\n{extra}\nindex 0\n");
        assert_eq!(parse(&head), TlogProofError::Extra, "{extra}");
    }
    for index in [
        "",
        "index",
        "index ",
        "index notanumber",
        "index -5",
        "index +5",
        "index 05",
        "index  5",
        "index 5 ",
        "Index 5",
        "extra",
        "index 18446744073709551616",
        "extra ZXh0cmE=\nextra ZXh0cmE=\nindex 0",
    ] {
        let head = format!("c2sp.org/tlog-proof@v1\n{index}\n");
        assert_eq!(parse(&head), TlogProofError::Index, "{index:?}");
    }
    let good = line(&[7; 32]);
    for hash in [
        "!!notbase64!!\n".to_owned(),
        line(&[0; 64]),
        line(&[0; 31]),
        good.replace('=', ""),
        " ".to_owned() + &good,
    ] {
        let head = format!("c2sp.org/tlog-proof@v1\nindex 0\n{good}{hash}");
        assert_eq!(parse(&head), TlogProofError::Hash { number: 2 }, "{hash}");
    }
    let most = |count| format!("c2sp.org/tlog-proof@v1\nindex 0\n{}", good.repeat(count));
    assert!(TlogProof::parse(format!("{}\n{note}", most(64))).is_ok());
    assert_eq!(parse(&most(65)), TlogProofError::TooManyHashes);
    assert_eq!(
        TlogProof::parse(format!("c2sp.org/tlog-proof@v1\nindex 0\n{good}")),
        Err(TlogProofError::NoCheckpoint)
    );
    for rest in ["", "test checkpoint\n", "\n"] {
        assert_eq!(
            TlogProof::parse(format!("c2sp.org/tlog-proof@v1\nindex 0\n\n{rest}")),
            Err(NoteError::NoSignatures.into())
        );
    }
    assert_eq!(TlogProof::parse(b"\xff"), Err(TlogProofError::NotUtf8));
    assert!(matches!(
        TlogProof::parse(vec![b'a'; 2 << 20]),
        Err(TlogProofError::TooLarge { .. })
    ));
}

proptest! {
    #[test]
    fn proofs_come_back_from_their_text(
        extra: Option<Vec<u8>>,
        index: u64,
        hashes in prop::collection::vec(any::<[u8; 32]>(), 0..=64),
    ) {
        let tree = NaiveTree::new(2);
        let proof = TlogProof { extra, index, hashes, checkpoint: checkpoint(&tree) };
        let again = TlogProof::parse(proof.to_string()).unwrap();
        prop_assert_eq!(&again, &proof);
        prop_assert!(again.verify(&leaf_hash(b"other"), &policy()).is_err());
    }

    #[test]
    fn any_text_is_answered(bytes: Vec<u8>, text in "(\\PC|\n|index |extra |AAAA)*") {
        let _ = TlogProof::parse(&bytes);
        if let Ok(proof) = TlogProof::parse(format!("c2sp.org/tlog-proof@v1\n{text}")) {
            prop_assert_eq!(proof.to_string(), format!("c2sp.org/tlog-proof@v1\n{text}"));
        }
    }
}
