//! Files that are read again while the server runs: when what is new is taken, and that it is sealed before it is in force.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use graven::service::access::Policy;
use graven::service::redaction::Rules;
use graven::service::{Reload, SealedContent, SealedFile, Watched};
use graven::store::{Fault, MemoryDisk, Step};
use tempfile::TempDir;

use super::ledger_support::{Operator, wait};

/// A file that is read again.
struct File {
    path: PathBuf,
    _dir: TempDir,
}

impl File {
    fn of(text: &str) -> Self {
        let dir = TempDir::new().unwrap();
        let file = Self {
            path: dir.path().join("file"),
            _dir: dir,
        };
        file.write(text);
        file
    }

    fn write(&self, text: &str) {
        fs::write(&self.path, text).unwrap();
    }
}

/// Reads again what changed without anybody telling.
fn look(reloaded: &mut impl Reload) {
    wait(reloaded.reload(false)).unwrap();
}

#[test]
fn what_nobody_told_of_is_taken_when_it_was_found_twice() {
    let file = File::of("one");
    let mut watched = Watched::open("a text", vec![file.path.clone()], |contents| {
        let text = String::from_utf8_lossy(&contents[0]).into_owned();
        if text == "bad" {
            Err("it is bad".into())
        } else {
            Ok(text)
        }
    })
    .unwrap();
    let current = watched.subscribe();
    let now = || current.borrow().as_str().to_owned();
    look(&mut watched);
    assert_eq!(now(), "one");
    // As a program writes it, piece by piece.
    for piece in ["", "tw", "two"] {
        file.write(piece);
        look(&mut watched);
        assert_eq!(now(), "one");
    }
    look(&mut watched);
    assert_eq!(now(), "two");
    // Who says that it changed says that it is whole.
    file.write("three");
    wait(watched.reload(true)).unwrap();
    assert_eq!(now(), "three");
    // What cannot be used changes nothing, told or not.
    file.write("bad");
    for told in [true, false, false] {
        let problem = wait(watched.reload(told)).unwrap_err();
        assert!(problem.ends_with("it is bad"), "{problem}");
    }
    fs::remove_file(&file.path).unwrap();
    let problem = wait(watched.reload(true)).unwrap_err();
    assert!(problem.contains("reading"), "{problem}");
    assert_eq!(now(), "three");
}

/// Three texts, the last of which the ledger fails to seal, and one that is none.
fn is_sealed_before_it_is_in_force<T: SealedContent>(texts: [&str; 3], broken: &str) {
    let (operator, disk) = (Operator::default(), MemoryDisk::new());
    operator.init(&disk).unwrap();
    let ledger = Arc::new(operator.open(&disk).unwrap());
    let size = || ledger.published().size();
    let sealed = || T::last_digest(&ledger).unwrap();
    let digests = texts.map(|text| T::of(text).unwrap().digest());
    let in_ledger = digests.map(|digest| Some(digest.to_vec()));

    let file = File::of(texts[0]);
    let open = || SealedFile::<T>::open(Some(&file.path)).unwrap();
    wait(open().seal_at_start(&ledger)).unwrap();
    assert_eq!((size(), sealed()), (1, in_ledger[0].clone()));
    // Another start with the same seals nothing.
    let read = open();
    wait(read.seal_at_start(&ledger)).unwrap();
    assert_eq!(size(), 1);

    let current = read.subscribe();
    let now = || current.borrow().digest();
    let mut reloaded = read.sealed_by(Arc::clone(&ledger));
    file.write(texts[1]);
    look(&mut reloaded);
    assert_eq!((size(), now()), (1, digests[0]), "found once");
    look(&mut reloaded);
    assert_eq!((size(), now()), (2, digests[1]), "found twice");
    assert_eq!(sealed(), in_ledger[1]);
    look(&mut reloaded);
    assert_eq!(size(), 2);

    file.write(broken);
    wait(reloaded.reload(true)).unwrap_err();
    assert_eq!((size(), now()), (2, digests[1]), "broken");

    // What the ledger cannot seal is not in force.
    file.write(texts[2]);
    disk.fail(Step::Commit, 1, Fault::Lost);
    let problem = wait(reloaded.reload(true)).unwrap_err();
    assert!(problem.contains("did not seal"), "{problem}");
    assert_eq!(now(), digests[1], "not sealed");
    drop((reloaded, ledger));
    let ledger = operator.open(&disk).unwrap();
    assert_eq!(T::last_digest(&ledger).unwrap(), in_ledger[1]);
}

#[test]
fn a_policy_is_sealed_before_it_is_in_force() {
    let grant = |role: &str| format!("[[grant]]\nidentity = \"oidc:c/a\"\nrole = \"{role}\"\n");
    let (reader, operator) = (grant("reader"), grant("operator"));
    is_sealed_before_it_is_in_force::<Policy>(["", &reader, &operator], &grant("king"));
}

#[test]
fn rules_are_sealed_before_they_are_in_force() {
    let rule = |value: &str| format!("[[rule]]\nname = \"x\"\nvalues = ['{value}']\n");
    let texts = ["shipped = false\n", &rule("a"), &rule("b")];
    is_sealed_before_it_is_in_force::<Rules>(texts, &rule("("));
}
