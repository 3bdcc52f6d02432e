//! A backup of a ledger that goes on is a ledger that can go on; what is wrong with it, or missing, is found.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use graven::ledger::{
    BackupManifest, BackupPlace, CheckedBackup, Directory, KnownCheckpoint, Ledger, LedgerError,
    Refusal, back_up_stopped, check_backup,
};
use graven::store::StoreError;
use graven::verify::Verdict;
use tempfile::TempDir;

use super::ledger_support::{Operator, append, event, export, wait_until_indexed};

struct Fixture {
    operator: Operator,
    dir: TempDir,
}

impl Fixture {
    fn new() -> Self {
        let fixture = Self {
            operator: Operator::default(),
            dir: tempfile::tempdir().unwrap(),
        };
        for dir in ["ledger", "backups"] {
            fs::create_dir(fixture.path(dir)).unwrap();
        }
        fixture.operator.init(&fixture.home()).unwrap();
        fixture
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn home(&self) -> Directory {
        Directory::new(&self.path("ledger"))
    }

    fn open(&self) -> Ledger {
        self.operator.open(&self.home()).unwrap()
    }

    fn back_up(&self, ledger: &Ledger, name: &str) -> Result<BackupManifest, LedgerError> {
        let dir = &self.path("backups");
        let made_at = 7;
        ledger.back_up(BackupPlace { dir, name, made_at }, &no())
    }

    fn check(&self, name: &str) -> CheckedBackup {
        let key = self.operator.key().verifier();
        check_backup(&self.path("backups").join(name), Some(&key), &no()).unwrap()
    }
}

/// Nothing is given up.
fn no() -> Arc<AtomicBool> {
    Arc::default()
}

fn known(note: &str) -> KnownCheckpoint {
    KnownCheckpoint {
        source: "the mail of a colleague".into(),
        note: note.into(),
    }
}

fn names(dir: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(dir).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

fn append_numbers(ledger: &Ledger, numbers: std::ops::Range<u64>) {
    for number in numbers {
        append(ledger, &[event(&number.to_be_bytes(), number)]).unwrap();
    }
}

#[test]
fn a_backup_made_during_appends_goes_on_as_the_ledger() {
    let fixture = Fixture::new();
    let ledger = fixture.open();
    append_numbers(&ledger, 0..1_100);
    wait_until_indexed(&ledger, 1_024);
    let done = AtomicBool::new(false);
    let backups = std::thread::scope(|scope| {
        let appending = scope.spawn(|| {
            let mut next = 10_000;
            while !done.load(Ordering::SeqCst) {
                append_numbers(&ledger, next..next + 10);
                next += 10;
            }
        });
        let backups: Vec<_> = ["one", "two", "three"]
            .map(|name| fixture.back_up(&ledger, name).unwrap())
            .into();
        done.store(true, Ordering::SeqCst);
        appending.join().unwrap();
        backups
    });
    let all = export(&ledger).unwrap();
    for (manifest, name) in backups.iter().zip(["one", "two", "three"]) {
        let checked = fixture.check(name);
        assert_eq!(checked.verdict, Verdict::Ok);
        assert_eq!(&checked.manifest, manifest);
        assert!(manifest.files.iter().any(|f| f.name.starts_with("index/")));
        checked.compare(known(&manifest.checkpoint)).unwrap();
        let restored = Directory::new(&fixture.path(name));
        checked
            .lay_out(&fixture.path(name), &fixture.path(name).join("anchor"))
            .unwrap();
        assert_eq!(
            fixture
                .operator
                .audit(&restored, Some(&manifest.checkpoint))
                .unwrap()
                .verdict,
            Verdict::Ok
        );
        let again = fixture.operator.open(&restored).unwrap();
        // Signed meanwhile, and the same as in the ledger that goes on.
        let entries = export(&again).unwrap();
        assert_eq!(entries.len() as u64, manifest.entries);
        assert_eq!(entries, all[..entries.len()]);
        append_numbers(&again, 90_000..90_010);
        again.close();
        drop(again);
        let audited = fixture
            .operator
            .audit(&restored, Some(&manifest.checkpoint));
        assert_eq!(audited.unwrap().verdict, Verdict::Ok);
    }
    assert!(
        names(&fixture.path("ledger"))
            .iter()
            .all(|name| !name.contains("frozen"))
    );
}

#[test]
fn a_backup_that_lacks_acknowledged_entries_is_refused() {
    let fixture = Fixture::new();
    let ledger = fixture.open();
    append_numbers(&ledger, 0..10);
    fixture.back_up(&ledger, "old").unwrap();
    append_numbers(&ledger, 10..13);
    let latest = ledger.published().note.clone();
    let refused = fixture.check("old").compare(known(&latest)).unwrap_err();
    assert!(
        matches!(
            refused,
            LedgerError::Refused(Refusal::RolledBack {
                size: 10,
                known: 13,
                ..
            })
        ),
        "{refused}"
    );
    // Another history of the same length.
    let other = Fixture::new();
    let forked = other.open();
    append_numbers(&forked, 100..105);
    let refused = fixture
        .check("old")
        .compare(known(&forked.published().note));
    assert!(matches!(
        refused,
        Err(LedgerError::Refused(Refusal::OtherThanKnown {
            size: 5,
            ..
        }))
    ));
    // And what is none of this ledger's checkpoints.
    let refused = fixture.check("old").compare(known("no checkpoint"));
    assert!(matches!(
        refused,
        Err(LedgerError::Refused(Refusal::BadKnown { .. }))
    ));
}

#[test]
fn every_flipped_bit_and_every_other_file_is_found() {
    let fixture = Fixture::new();
    let ledger = fixture.open();
    append_numbers(&ledger, 0..1_030);
    wait_until_indexed(&ledger, 1_024);
    let manifest = fixture.back_up(&ledger, "b").unwrap();
    let dir = fixture.path("backups").join("b");
    for file in &manifest.files {
        let path = dir.join(&file.name);
        let good = fs::read(&path).unwrap();
        for at in [0, good.len() / 2, good.len().saturating_sub(1)] {
            let mut bad = good.clone();
            let Some(byte) = bad.get_mut(at) else {
                continue;
            };
            *byte ^= 1;
            fs::write(&path, bad).unwrap();
            let verdict = fixture.check("b").verdict;
            assert!(
                matches!(verdict, Verdict::Tampered(_)),
                "{} {verdict}",
                file.name
            );
        }
        fs::remove_file(&path).unwrap();
        let verdict = fixture.check("b").verdict;
        assert!(
            matches!(verdict, Verdict::Tampered(_)),
            "{} {verdict}",
            file.name
        );
        fs::write(&path, good).unwrap();
    }
    // A log that was put there would be read.
    fs::write(dir.join("store/999999.log"), b"").unwrap();
    assert!(matches!(fixture.check("b").verdict, Verdict::Tampered(_)));
    fs::remove_file(dir.join("store/999999.log")).unwrap();
    assert_eq!(fixture.check("b").verdict, Verdict::Ok);
    // Files and digests of another moment, put together.
    append_numbers(&ledger, 2_000..2_001);
    fixture.back_up(&ledger, "c").unwrap();
    let text = fs::read_to_string(dir.join("backup.json")).unwrap();
    let entries = format!("\"entries\": {}", manifest.entries);
    assert!(text.contains(&entries));
    fs::write(
        dir.join("backup.json"),
        text.replace(&entries, "\"entries\": 7"),
    )
    .unwrap();
    assert!(matches!(fixture.check("b").verdict, Verdict::Tampered(_)));
    for hostile in [
        "../anchor",
        "/etc/passwd",
        "store/../../x",
        "store/a/b",
        "key",
    ] {
        let text = text.replacen("\"anchor\"", &format!("{hostile:?}"), 1);
        fs::write(dir.join("backup.json"), text).unwrap();
        let refused = check_backup(&dir, None, &no());
        assert!(matches!(refused, Err(LedgerError::Damaged(_))), "{hostile}");
    }
}

#[test]
fn what_fails_leaves_no_backup() {
    let fixture = Fixture::new();
    let ledger = fixture.open();
    append_numbers(&ledger, 0..10);
    let (dir, name) = (&fixture.path("backups"), "given-up");
    let place = BackupPlace {
        dir,
        name,
        made_at: 7,
    };
    let given_up = ledger.back_up(place, &Arc::new(AtomicBool::new(true)));
    assert!(matches!(
        given_up,
        Err(LedgerError::Store(StoreError::Io { .. }))
    ));
    for name in ["", "A", "a/b", "..", ".a", "a b", &"a".repeat(65)] {
        let refused = fixture.back_up(&ledger, name);
        assert!(matches!(refused, Err(LedgerError::BadRange(_))), "{name}");
    }
    assert_eq!(names(dir), BTreeSet::new());
    // What a crash leaves is in nobody's way.
    fs::create_dir_all(dir.join(".good.part/store")).unwrap();
    fs::create_dir_all(fixture.path("ledger").join("store.frozen")).unwrap();
    fixture.back_up(&ledger, "good").unwrap();
    let again = fixture.back_up(&ledger, "good");
    assert!(matches!(
        again,
        Err(LedgerError::Store(StoreError::Exists { .. }))
    ));
    assert_eq!(names(dir), BTreeSet::from(["good".to_owned()]));
    // A ledger that is damaged has no good backup.
    let place = BackupPlace {
        dir,
        name: "stopped",
        made_at: 7,
    };
    let in_use = back_up_stopped(&fixture.home(), place, &no());
    assert!(matches!(
        in_use,
        Err(LedgerError::Store(StoreError::InUse { .. }))
    ));
    drop(ledger);
    let tables = fixture.path("ledger").join("store");
    for name in names(&tables).iter().filter(|name| name.ends_with(".sst")) {
        let path = tables.join(name);
        let good = fs::read(&path).unwrap();
        let mut bad = good.clone();
        bad[10] ^= 1;
        fs::write(&path, bad).unwrap();
        assert!(
            back_up_stopped(&fixture.home(), place, &no()).is_err(),
            "{name}"
        );
        fs::write(&path, good).unwrap();
    }
    assert_eq!(names(dir), BTreeSet::from(["good".to_owned()]));
    let manifest = back_up_stopped(&fixture.home(), place, &no()).unwrap();
    assert_eq!((manifest.size, manifest.entries), (10, 10));
    assert_eq!(fixture.check("stopped").verdict, Verdict::Ok);
}
