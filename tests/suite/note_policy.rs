//! Policies: which logs and witnesses suffice. After C2SP tlog-policy.

use graven::merkle::leaf_hash;
use graven::note::{
    Checkpoint, CosignerKey, KeyError, LineProblem, Note, NoteError, Policy, PolicyError,
    SignatureType, VerifierKey,
};
use proptest::prelude::*;

use crate::note_golden::{LOG, ORIGIN, WITNESS, log, next, seed};

fn witness(number: u8) -> CosignerKey {
    CosignerKey::from_seed(&format!("w{number}.example"), [100 + number; 32]).unwrap()
}

/// Six witnesses in two groups, as in the specification's example.
fn example(quorum: &str) -> Policy {
    let lines: String = (1..=6)
        .map(|number| format!("witness W{number} {}\n", witness(number).verifier()))
        .collect();
    let file = format!(
        "log {LOG}\n{lines}\
         group X 2 W1 W2 W3\n\
         group Y any W4 W5\n\
         group X-and-Y all X Y\n\
         quorum {quorum}\n"
    );
    Policy::parse(file).unwrap()
}

fn checkpoint() -> Checkpoint {
    Checkpoint::new(ORIGIN, 1, leaf_hash(b"leaf")).unwrap()
}

fn cosigned(witnesses: &[u8]) -> Note {
    let signed = Note::parse(checkpoint().sign(&log())).unwrap();
    witnesses.iter().fold(signed, |note, number| {
        note.with(witness(*number).cosign(&checkpoint(), 7).unwrap())
            .unwrap()
    })
}

/// What is wrong with the only bad line of a file, and which it is.
fn problem(file: &str) -> (usize, LineProblem) {
    match Policy::parse(file) {
        Err(PolicyError::Line { line, problem }) => (line, problem),
        other => panic!("{other:?}"),
    }
}

#[test]
fn quorums_of_nested_groups() {
    let accepts = |quorum: &str, witnesses: &[u8]| match example(quorum).check(&cosigned(witnesses))
    {
        Ok(found) => {
            assert_eq!(found, checkpoint());
            true
        }
        Err(PolicyError::QuorumNotReached { cosigned }) => {
            assert_eq!(cosigned, witnesses.len());
            false
        }
        Err(other) => panic!("{other}"),
    };
    assert!(accepts("X-and-Y", &[1, 2, 4]));
    assert!(accepts("X-and-Y", &[5, 3, 1]));
    assert!(accepts("X-and-Y", &[1, 2, 3, 4, 5, 6]));
    assert!(!accepts("X-and-Y", &[]));
    assert!(!accepts("X-and-Y", &[1, 2, 3]));
    assert!(!accepts("X-and-Y", &[1, 4, 5]));
    assert!(!accepts("X-and-Y", &[1, 2, 6]));
    assert!(accepts("X", &[2, 3]) && !accepts("X", &[2]));
    assert!(accepts("Y", &[5]) && !accepts("Y", &[1, 2, 3]));
    assert!(accepts("W6", &[6]) && !accepts("W6", &[1, 2, 3, 4, 5]));
    assert!(accepts("none", &[]) && accepts("none", &[1]));
}

#[test]
fn a_witness_counts_once() {
    let twice = cosigned(&[1, 1, 4]);
    assert_eq!(
        example("X-and-Y").check(&twice),
        Err(PolicyError::QuorumNotReached { cosigned: 2 })
    );
    // Nor twice under two names: the key is what counts.
    let again = VerifierKey::new(
        "other",
        SignatureType::CosignatureV1,
        witness(1).verifier().public_key(),
    );
    let file = format!(
        "witness A {}\nwitness B {}\n",
        witness(1).verifier(),
        again.unwrap()
    );
    assert_eq!(problem(&file), (2, LineProblem::DuplicateKey));
}

#[test]
fn the_logs_own_key_is_no_witness() {
    let same = CosignerKey::from_seed("w.example", seed(0)).unwrap();
    let file = format!("log {LOG}\nwitness W {}\nquorum W\n", same.verifier());
    let note = cosigned(&[])
        .with(same.cosign(&checkpoint(), 7).unwrap())
        .unwrap();
    assert_eq!(
        Policy::parse(file).unwrap().check(&note),
        Err(PolicyError::QuorumNotReached { cosigned: 0 })
    );
}

#[test]
fn a_bad_cosignature_by_a_known_witness_refuses_the_checkpoint() {
    let other = Checkpoint::new(ORIGIN, 2, leaf_hash(b"leaf")).unwrap();
    let note = cosigned(&[1, 2])
        .with(witness(4).cosign(&other, 7).unwrap())
        .unwrap();
    for quorum in ["X-and-Y", "X", "none"] {
        assert!(matches!(
            example(quorum).check(&note),
            Err(PolicyError::Note(NoteError::BadSignature { .. }))
        ));
    }
}

#[test]
fn the_log_must_have_signed() {
    let unsigned: String = cosigned(&[1, 2, 4])
        .to_string()
        .split_inclusive('\n')
        .filter(|line| !line.starts_with("— ledger"))
        .collect();
    assert_eq!(
        example("X-and-Y").check(&Note::parse(unsigned).unwrap()),
        Err(NoteError::Unsigned.into())
    );
    let rogue = Note::parse(Checkpoint::new("rogue", 1, [1; 32]).unwrap().sign(&log())).unwrap();
    assert_eq!(
        example("none").check(&rogue),
        Err(PolicyError::UnknownLog {
            origin: "rogue".to_owned()
        })
    );
}

#[test]
fn a_log_may_be_listed_with_two_keys() {
    let file = format!(
        "log {LOG}\nlog {} https://ledger.example/\nquorum none\n",
        next().verifier()
    );
    let policy = Policy::parse(file).unwrap();
    assert_eq!(
        policy.logs()[1].url.as_deref(),
        Some("https://ledger.example/")
    );
    for key in [log(), next()] {
        let note = Note::parse(checkpoint().sign(&key)).unwrap();
        assert_eq!(policy.check(&note), Ok(checkpoint()));
    }
}

#[test]
fn a_policy_without_logs_checks_a_log_known_from_elsewhere() {
    let policy = Policy::parse(format!("witness W {}\nquorum W", witness(1).verifier())).unwrap();
    assert!(matches!(
        policy.check(&cosigned(&[1])),
        Err(PolicyError::UnknownLog { .. })
    ));
    let key = log().verifier();
    assert_eq!(policy.check_log(&cosigned(&[1]), &key), Ok(checkpoint()));
    assert!(policy.check_log(&cosigned(&[2]), &key).is_err());
    assert!(
        policy
            .check_log(&cosigned(&[1]), &next().verifier())
            .is_err()
    );
}

#[test]
fn whitespace_and_comments_are_ignored() {
    let file = format!(
        "\n \t\n# comment\n\t  # comment\n  log\t{LOG}  \nwitness \t w1   {WITNESS}\t https://w.example/ \n\
         group\tg1 all w1\n\t quorum      g1"
    );
    let policy = Policy::parse(file).unwrap();
    let witness = policy.witnesses().next().unwrap();
    assert_eq!(witness.key.to_string(), WITNESS);
    assert_eq!(witness.url.as_deref(), Some("https://w.example/"));
}

#[test]
fn names_are_octets() {
    let file = [
        b"witness \xff\xfe ",
        WITNESS.as_bytes(),
        b"\nquorum \xff\xfe\n",
    ]
    .concat();
    assert!(Policy::parse(file).is_ok());
    let kelvin = format!("witness \u{212a} {WITNESS}\nquorum K\n");
    assert_eq!(
        problem(&kelvin),
        (2, LineProblem::UnknownName("K".to_owned()))
    );
}

#[test]
fn thirty_two_of_each_are_supported() {
    let mut file = String::new();
    for number in 0..32u8 {
        let cosigner = CosignerKey::from_seed("w", [number + 1; 32]).unwrap();
        file += &format!(
            "witness w{number} {}\ngroup g{number} 1 w{number}\n",
            cosigner.verifier()
        );
        let signer = graven::note::SignerKey::from_seed("l", [number + 90; 32]).unwrap();
        file += &format!("log {}\n", signer.verifier());
    }
    let policy = Policy::parse(file + "quorum g31\n").unwrap();
    assert_eq!((policy.logs().len(), policy.witnesses().count()), (32, 32));
}

#[test]
fn wrong_lines_are_named() {
    let two = format!(
        "witness a {}\nwitness b {}\n",
        witness(1).verifier(),
        witness(2).verifier()
    );
    let after = |line: &str| {
        let (number, problem) = problem(&format!("{two}{line}\n"));
        assert_eq!(number, 2 + line.split('\n').count(), "{line}");
        problem
    };
    for members in [
        "0 a b", "3 a b", "-1 a b", "+1 a b", "01 a b", "x a b", "ANY a b", "1.5 a", "2 a",
    ] {
        let count = members.split(' ').count() - 1;
        assert_eq!(
            after(&format!("group g {members}")),
            LineProblem::Threshold { members: count }
        );
    }
    assert!(matches!(after("group"), LineProblem::Items(_)));
    assert!(matches!(after("group g"), LineProblem::Items(_)));
    assert!(matches!(after("group g any"), LineProblem::Items(_)));
    assert!(matches!(after("group g 1"), LineProblem::Items(_)));
    assert_eq!(after("group a any b"), LineProblem::NameTaken);
    assert_eq!(after("group none any b"), LineProblem::NameTaken);
    assert_eq!(
        after("group g any c"),
        LineProblem::UnknownName("c".to_owned())
    );
    assert_eq!(
        after("group g any g"),
        LineProblem::UnknownName("g".to_owned())
    );
    assert_eq!(
        after("group g any none"),
        LineProblem::UnknownName("none".to_owned())
    );
    assert_eq!(
        after("group g any a a"),
        LineProblem::AlreadyMember("a".to_owned())
    );
    assert_eq!(
        after("group g any a\ngroup h any a b"),
        LineProblem::AlreadyMember("a".to_owned())
    );
    assert_eq!(
        after("quorum unknown"),
        LineProblem::UnknownName("unknown".to_owned())
    );
    assert_eq!(after("quorum a\nquorum a"), LineProblem::SecondQuorum);
    assert!(matches!(after("quorum"), LineProblem::Items(_)));
    assert!(matches!(after("quorum a b"), LineProblem::Items(_)));
    assert!(matches!(after("quorum a # comment"), LineProblem::Items(_)));
    assert!(matches!(after("log"), LineProblem::Items(_)));
    assert!(matches!(after("witness c"), LineProblem::Items(_)));
    assert_eq!(after("Quorum a"), LineProblem::Keyword);
    assert_eq!(after("witnesses c"), LineProblem::Keyword);
    assert_eq!(
        after(&format!("witness a {WITNESS}")),
        LineProblem::NameTaken
    );
    assert_eq!(
        after(&format!("witness c {LOG}")),
        LineProblem::KeyType("witness")
    );
    assert_eq!(
        after(&format!("log {WITNESS}")),
        LineProblem::KeyType("log")
    );
    assert_eq!(
        after(&format!("log {LOG}\nlog {LOG}")),
        LineProblem::DuplicateKey
    );
    assert_eq!(after("log nonsense"), LineProblem::Key(KeyError::Malformed));
    assert_eq!(after("quorum a\r"), LineProblem::ControlCharacter(b'\r'));
    assert_eq!(after("# \x7f"), LineProblem::ControlCharacter(0x7f));
    assert_eq!(after("quorum\u{a0}a"), LineProblem::Keyword);
}

#[test]
fn a_policy_has_a_quorum() {
    assert_eq!(Policy::parse(""), Err(PolicyError::NoQuorum));
    assert_eq!(
        Policy::parse(format!("witness w {WITNESS}")),
        Err(PolicyError::NoQuorum)
    );
    assert_eq!(problem("group g 1 w\nquorum g").0, 1);
    assert!(matches!(
        Policy::parse(vec![b'#'; 2 << 20]),
        Err(PolicyError::TooLarge { .. })
    ));
}

proptest! {
    #[test]
    fn any_bytes_are_answered(
        bytes: Vec<u8>,
        text in "((log|witness|group|quorum|none|any|all|1|a|#| |\t|\n|\\PC)*\n)*",
    ) {
        let _ = Policy::parse(&bytes);
        let _ = Policy::parse(format!("witness a {WITNESS}\n{text}"));
    }
}
