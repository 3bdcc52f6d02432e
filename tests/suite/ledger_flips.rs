//! Damage to a small complete store: every byte, every file. Each damage is found, or provably harmless.
//!
//! The suite takes a sample, which `GRAVEN_FLIPS` makes larger; `GRAVEN_LONG=1` flips every byte.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use graven::entry::CheckedEvent;
use graven::ledger::{Directory, SealedEntry};
use graven::store::{MemoryDisk, SLOT_LEN, Slots};
use graven::verify::Verdict;

use super::ledger_support::{Operator, Outside, Random, append, event, export, is_long};

/// A closed ledger with a table for each space and a log that was not flushed.
struct Specimen {
    operator: Operator,
    dir: tempfile::TempDir,
    /// The same a few events earlier.
    older: tempfile::TempDir,
    copy: tempfile::TempDir,
    entries: Vec<SealedEntry>,
    minimum: String,
}

/// What a damage led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    /// The audit says what is wrong.
    Tampered,
    /// The audit says that it could not be done.
    Refused,
    /// The audit finds nothing, and every entry reads back as it was.
    Harmless,
}

type Counts = BTreeMap<Outcome, u64>;

impl Specimen {
    fn new() -> Self {
        let operator = Operator::default();
        let dir = tempfile::tempdir().unwrap();
        let home = Directory::new(dir.path());
        operator.init(&home).unwrap();
        let mut outside = Outside::default();
        let older = tempfile::tempdir().unwrap();
        // Each end flushes what the log holds; the last life is taken as it stands in the middle of it.
        let alive = tempfile::tempdir().unwrap();
        for life in 0..4u64 {
            let ledger = operator.open(&home).unwrap();
            for batch in 0..3u64 {
                let first = life * 1_000 + batch * 100;
                let events: Vec<CheckedEvent> = (first..first + 40)
                    .map(|n| event(&n.to_be_bytes(), n))
                    .collect();
                outside.attempt(&events);
                let appended = append(&ledger, &events).unwrap();
                outside.acknowledge(&operator, &ledger, &events, &appended);
                match (life, batch) {
                    (3, 0) => copy_ledger(dir.path(), older.path()),
                    (3, 2) => copy_ledger(dir.path(), alive.path()),
                    _ => {}
                }
            }
        }
        let copy = tempfile::tempdir().unwrap();
        let minimum = outside.minimum(&operator).unwrap().to_owned();
        let mut specimen = Self {
            operator,
            dir: alive,
            older,
            copy,
            entries: Vec::new(),
            minimum,
        };
        copy_ledger(specimen.dir.path(), specimen.copy.path());
        let ledger = specimen.operator.open(&specimen.damaged()).unwrap();
        specimen.entries = outside.check(&specimen.operator, &ledger);
        drop(ledger);
        specimen
    }

    fn damaged(&self) -> Directory {
        Directory::new(self.copy.path())
    }

    fn files(&self) -> Vec<PathBuf> {
        files_of(self.dir.path())
    }

    /// Damages the copy and sees what an auditor says who kept the key and the last checkpoint.
    fn try_out(&self, name: &str, damage: impl FnOnce(&Path)) -> Outcome {
        copy_ledger(self.dir.path(), self.copy.path());
        damage(self.copy.path());
        let report = self.operator.audit(&self.damaged(), Some(&self.minimum));
        let outcome = match report.map(|report| report.verdict) {
            Err(_) => Outcome::Refused,
            Ok(Verdict::Tampered(_)) => Outcome::Tampered,
            Ok(Verdict::CouldNotCheck(reasons)) => panic!("{name}: {reasons:?}"),
            Ok(Verdict::Ok) => Outcome::Harmless,
        };
        if outcome == Outcome::Harmless {
            match self.operator.open(&self.damaged()) {
                Ok(ledger) => {
                    let read = export(&ledger).unwrap_or_else(|error| panic!("{name}: {error}"));
                    assert!(
                        read == self.entries,
                        "{name}: other entries under a good verdict"
                    );
                }
                // A start may be stricter, as about a tag that only the ledger can check.
                Err(error) => println!("{name}: OK to an auditor, and does not start: {error}"),
            }
        }
        outcome
    }
}

/// Names of the files of a ledger, below its directory.
fn files_of(ledger: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for dir in ["", "store"] {
        for entry in std::fs::read_dir(ledger.join(dir)).unwrap() {
            let name = Path::new(dir).join(entry.unwrap().file_name());
            if ledger.join(&name).is_file() {
                files.push(name);
            }
        }
    }
    files.sort();
    files
}

/// Makes `to` a copy of the ledger in `from`, whatever was there.
fn copy_ledger(from: &Path, to: &Path) {
    std::fs::remove_dir_all(to).unwrap();
    std::fs::create_dir_all(to.join("store")).unwrap();
    for file in files_of(from) {
        match std::fs::copy(from.join(&file), to.join(&file)) {
            // One that an open store had no more use for.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            copied => drop(copied.unwrap()),
        }
    }
}

fn flips_of_a_file() -> u64 {
    let asked = std::env::var("GRAVEN_FLIPS").ok();
    asked.map_or(7, |flips| flips.parse().expect("GRAVEN_FLIPS is a number"))
}

fn flip(file: &Path, at: usize, bit: u64) {
    let mut bytes = std::fs::read(file).unwrap();
    bytes[at] ^= 1 << bit;
    std::fs::write(file, bytes).unwrap();
}

#[test]
fn every_flipped_byte_is_found_or_harmless() {
    let specimen = Specimen::new();
    let mut random = Random(4);
    let mut totals: BTreeMap<String, Counts> = BTreeMap::new();
    for file in specimen.files() {
        let length = std::fs::metadata(specimen.dir.path().join(&file))
            .unwrap()
            .len();
        let offsets: Vec<u64> = if is_long() || length == 0 {
            (0..length).collect()
        } else {
            (0..flips_of_a_file())
                .map(|_| random.below(length))
                .collect()
        };
        for at in offsets {
            let bit = random.below(8);
            let name = format!("{} byte {at} bit {bit}", file.display());
            let outcome = specimen.try_out(&name, |dir| flip(&dir.join(&file), at as usize, bit));
            let kind = kind_of(&file);
            *totals.entry(kind).or_default().entry(outcome).or_default() += 1;
        }
    }
    for (kind, counts) in &totals {
        println!("{kind}: {counts:?}");
    }
    for kind in ["anchor", "sst", "log", "MANIFEST", "CURRENT"] {
        let counts = totals
            .get(kind)
            .unwrap_or_else(|| panic!("no {kind} was flipped"));
        let found = counts
            .iter()
            .filter(|(outcome, _)| **outcome != Outcome::Harmless);
        assert!(found.count() > 0, "nothing was found in {kind}");
    }
}

/// `sst` for `store/000012.sst`, `MANIFEST` for `store/MANIFEST-000005`.
fn kind_of(file: &Path) -> String {
    let name = file.file_name().unwrap().to_str().unwrap();
    match name.rsplit_once('.') {
        Some((number, kind)) if number.bytes().all(|b| b.is_ascii_digit()) => kind.into(),
        _ => name.split('-').next().unwrap().into(),
    }
}

#[test]
fn files_that_are_cut_missing_swapped_or_old_are_found_or_harmless() {
    let specimen = Specimen::new();
    let files = specimen.files();
    let older = &specimen.older;
    let mut random = Random(5);
    let mut totals: BTreeMap<&str, Counts> = BTreeMap::new();
    let mut note = |what, outcome| {
        *totals.entry(what).or_default().entry(outcome).or_default() += 1;
    };
    for file in &files {
        let name = file.display().to_string();
        let length = std::fs::metadata(specimen.dir.path().join(file))
            .unwrap()
            .len();
        let deleted = specimen.try_out(&format!("{name} deleted"), |dir| {
            std::fs::remove_file(dir.join(file)).unwrap();
        });
        note("deleted", deleted);
        let needed = ["anchor", "sst", "log", "MANIFEST", "CURRENT"];
        if needed.contains(&kind_of(file).as_str()) && length > 0 {
            assert_ne!(deleted, Outcome::Harmless, "{name} deleted");
        }
        let cuts = if is_long() { length } else { length.min(4) };
        for cut in 0..cuts {
            let length = if is_long() { cut } else { random.below(length) };
            let outcome = specimen.try_out(&format!("{name} cut at {length}"), |dir| {
                let file = std::fs::OpenOptions::new().write(true).open(dir.join(file));
                file.unwrap().set_len(length).unwrap();
            });
            note("cut", outcome);
        }
        for other in files
            .iter()
            .filter(|other| *other > file && kind_of(other) == kind_of(file))
        {
            let outcome =
                specimen.try_out(&format!("{name} swapped with {}", other.display()), |dir| {
                    let between = dir.join("between");
                    std::fs::rename(dir.join(file), &between).unwrap();
                    std::fs::rename(dir.join(other), dir.join(file)).unwrap();
                    std::fs::rename(between, dir.join(other)).unwrap();
                });
            note("swapped", outcome);
        }
        if older.path().join(file).is_file() {
            let outcome = specimen.try_out(&format!("{name} of an earlier time"), |dir| {
                std::fs::copy(older.path().join(file), dir.join(file)).unwrap();
            });
            note("older", outcome);
        }
    }
    let whole = specimen.try_out("everything of an earlier time", |dir| {
        copy_ledger(older.path(), dir);
    });
    assert_eq!(whole, Outcome::Tampered, "a rollback");
    println!("{totals:?}");
}

#[test]
fn an_anchor_write_torn_at_any_byte_leaves_a_ledger_that_starts() {
    let operator = Operator::default();
    let disk = MemoryDisk::new();
    operator.init(&disk).unwrap();
    let slots = |disk: &MemoryDisk| {
        let slots = disk.open_slots().unwrap();
        [0, 1].map(|slot| slots.read(slot).unwrap())
    };
    let send = |number: u64| {
        append(&operator.open(&disk).unwrap(), &[event(b"", number)]).unwrap();
    };
    (0..5).for_each(send);
    let before = slots(&disk);
    send(5);
    let after = slots(&disk);
    let written = usize::from(before[0] == after[0]);
    assert_ne!(before[written], after[written]);
    for cut in 0..=SLOT_LEN {
        // In order, and with the end written first.
        for (first, second) in [(&before, &after), (&after, &before)] {
            let torn = [&first[written][..cut], &second[written][cut..]].concat();
            let disk = disk.copy();
            disk.open_slots().unwrap().write(written, &torn).unwrap();
            let ledger = operator.open(&disk).unwrap();
            assert_eq!(ledger.published().size(), 6, "torn at byte {cut}");
        }
    }
}
