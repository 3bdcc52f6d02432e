//! Damage to a small complete ledger: every byte, every file. Each damage is found, or provably harmless.
//!
//! The suite takes a sample, which `GRAVEN_FLIPS` makes larger; `GRAVEN_LONG=1` flips every byte of every file of a ledger
//! that was stopped and of one that was captured alive, and of a third, larger one with a segment of the index what is
//! small. Of the engine's diaries (`LOG`) and of its notes of its settings (`OPTIONS`) a sample has to do: that is text which
//! nobody reads back, as is shown by filling them with anything and by leaving them out.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use graven::entry::CheckedEvent;
use graven::index::filter::Filter;
use graven::ledger::{Directory, Ledger, LedgerError, Options, Refusal, SealedEntry, Search};
use graven::note::SignerKey;
use graven::store::{Direction, MemoryDisk, SLOT_LEN, Slots};
use graven::verify::Verdict;

use super::ledger_support::{Operator, Outside, Random, append, event, export, is_long};

/// Bytes of each file, by its name below the ledger's directory.
type Files = BTreeMap<PathBuf, Vec<u8>>;

/// A ledger as it lay on the disk, and what is known of it.
struct Specimen {
    name: &'static str,
    operator: Operator,
    files: Files,
    /// The same some events earlier.
    older: Files,
    entries: Vec<SealedEntry>,
    answers: Vec<Vec<u64>>,
    /// The last checkpoint that somebody outside was shown.
    minimum: String,
}

/// What a damage led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    /// The audit says what is wrong.
    Tampered,
    /// The audit says that it could not be done.
    Refused,
    /// The audit finds nothing wrong, since only a start can: it refuses.
    DoesNotStart,
    /// The audit finds nothing, and the ledger starts with every entry and every answer as they were.
    Harmless,
}

/// How often damage led to what, by the kind of file.
type Counts = BTreeMap<String, BTreeMap<Outcome, u64>>;

/// Files with what was the text of an engine, and is read by nobody.
const NOT_READ: [&str; 2] = ["LOG", "OPTIONS"];
/// Files without which there is no whole ledger.
const NEEDED: [&str; 5] = ["anchor", "sst", "log", "MANIFEST", "CURRENT"];
const QUESTIONS: [&str; 3] = ["kind = seal", "actor = nobody", "action = file.update"];

impl Specimen {
    /// Every kind there is.
    fn all() -> [Self; 3] {
        [Self::stopped(), Self::live(), Self::indexed()]
    }

    /// Stopped after everything was flushed: every entry lies in tables. Large enough for a full tile.
    fn stopped() -> Self {
        let mut life = Life::new();
        let ledger = life.open();
        life.send(&ledger, (0..260).map(|n| event(&id(n), n % 5)).collect());
        drop(ledger);
        life.flush_and_stop("stopped")
    }

    /// Captured between two commits, with entries that are only in the write-ahead log.
    fn live() -> Self {
        let mut life = Life::new();
        let ledger = life.open();
        life.send(&ledger, (0..60).map(|n| event(&id(n), n % 5)).collect());
        drop(ledger);
        let ledger = life.open();
        life.send(&ledger, (0..10).map(|n| event(b"", n)).collect());
        let older = life.files();
        life.send(&ledger, (0..10).map(|n| event(&id(1_000 + n), n)).collect());
        let files = life.files();
        drop(ledger);
        life.specimen("live", files, older)
    }

    /// Stopped too, with a segment of the index, for which it is larger than the others.
    fn indexed() -> Self {
        let mut life = Life::new();
        let ledger = life.open();
        for first in [0, 342, 684] {
            life.send(
                &ledger,
                (0..342).map(|n| event(&id(first + n), 1)).collect(),
            );
        }
        // The seal over the first 1,024 entries.
        life.wait_for_size(&ledger, 3 * 342 + 1);
        drop(ledger);
        life.flush_and_stop("indexed")
    }

    /// Lays the ledger out in `dir`, whatever was there.
    fn lay_out(&self, dir: &Path) {
        lay_out(&self.files, dir);
    }

    /// Damages a copy in `dir` and sees what an auditor says who kept the key and the last checkpoint. The error says
    /// what went unseen.
    fn try_out(&self, dir: &Path, damage: impl FnOnce(&Path)) -> Result<Outcome, String> {
        self.lay_out(dir);
        damage(dir);
        let home = Directory::new(dir);
        let audit = || self.operator.audit(&home, Some(&self.minimum));
        let report = catch_unwind(AssertUnwindSafe(audit)).map_err(|_| "the audit panics")?;
        match report.map(|report| report.verdict) {
            Err(_) => Ok(Outcome::Refused),
            Ok(Verdict::Tampered(_)) => Ok(Outcome::Tampered),
            Ok(Verdict::CouldNotCheck(reasons)) => Err(format!("could not check: {reasons:?}")),
            Ok(Verdict::Ok) => self.start(&home),
        }
    }

    fn start(&self, home: &Directory) -> Result<Outcome, String> {
        let ledger = match self.operator.open(home) {
            Ok(ledger) => ledger,
            // A start may be stricter, as about a tag that only the ledger can check.
            Err(_) => return Ok(Outcome::DoesNotStart),
        };
        let entries = export(&ledger).map_err(|error| format!("under a good verdict: {error}"))?;
        if entries != self.entries {
            return Err("other entries under a good verdict".into());
        }
        if answers(&ledger)? != self.answers {
            return Err("other answers under a good verdict".into());
        }
        Ok(Outcome::Harmless)
    }
}

/// A ledger in the making.
struct Life {
    operator: Operator,
    dir: tempfile::TempDir,
    outside: Outside,
}

impl Life {
    fn new() -> Self {
        let operator = Operator::default();
        let dir = scratch();
        operator.init(&Directory::new(dir.path())).unwrap();
        Self {
            operator,
            dir,
            outside: Outside::default(),
        }
    }

    fn open(&self) -> Ledger {
        let home = Directory::new(self.dir.path());
        self.operator.open(&home).unwrap()
    }

    fn send(&mut self, ledger: &Ledger, events: Vec<CheckedEvent>) {
        self.outside.attempt(&events);
        let appended = append(ledger, &events).unwrap();
        self.outside
            .acknowledge(&self.operator, ledger, &events, &appended);
    }

    fn wait_for_size(&mut self, ledger: &Ledger, size: u64) {
        for _ in 0..6_000 {
            if ledger.published().size() == size {
                self.outside.see(&ledger.published().note);
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        panic!("size {} instead of {size}", ledger.published().size());
    }

    fn files(&self) -> Files {
        read_files(self.dir.path())
    }

    /// A few events later, once all of them are in tables.
    fn flush_and_stop(mut self, name: &'static str) -> Specimen {
        let older = self.files();
        let ledger = self.open();
        self.send(&ledger, (0..3).map(|n| event(b"", n)).collect());
        drop(ledger);
        // A start flushes what the log holds.
        drop(self.open());
        let files = self.files();
        self.specimen(name, files, older)
    }

    fn specimen(mut self, name: &'static str, files: Files, older: Files) -> Specimen {
        let copy = scratch();
        lay_out(&files, copy.path());
        let ledger = self.operator.open(&Directory::new(copy.path())).unwrap();
        let entries = self.outside.check(&self.operator, &ledger);
        let answers = answers(&ledger).unwrap();
        let minimum = self.outside.minimum(&self.operator).unwrap().to_owned();
        Specimen {
            name,
            operator: self.operator,
            files,
            older,
            entries,
            answers,
            minimum,
        }
    }
}

/// Which entries match each question.
fn answers(ledger: &Ledger) -> Result<Vec<Vec<u64>>, String> {
    let size = ledger.published().size();
    let ask = |question| {
        let filter = Filter::parse(question).unwrap();
        let search = Search {
            filter: &filter,
            size,
            range: 0..u64::MAX,
            direction: Direction::Forward,
            limit: 1_000_000,
            prove: false,
        };
        let page = ledger.search(&search);
        let page = page.map_err(|error| format!("{question}: {error}"))?;
        Ok(page.entries.iter().map(|entry| entry.header.seq).collect())
    };
    QUESTIONS.into_iter().map(ask).collect()
}

/// An idempotency id for some entries, and none for others.
fn id(number: u64) -> Vec<u8> {
    if number.is_multiple_of(8) {
        number.to_be_bytes().to_vec()
    } else {
        Vec::new()
    }
}

/// A directory in memory, if there is one: a sync costs nothing there.
fn scratch() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").unwrap_or_else(|_| tempfile::tempdir().unwrap())
}

/// The files of a ledger.
fn read_files(ledger: &Path) -> Files {
    let mut files = Files::new();
    for dir in ["", "store", "index"] {
        let Ok(names) = std::fs::read_dir(ledger.join(dir)) else {
            continue;
        };
        for entry in names {
            let name = Path::new(dir).join(entry.unwrap().file_name());
            let path = ledger.join(&name);
            // An open store may have removed one that it had no more use for.
            if path.is_file()
                && let Ok(bytes) = std::fs::read(path)
            {
                files.insert(name, bytes);
            }
        }
    }
    files
}

fn lay_out(files: &Files, dir: &Path) {
    for below in ["store", "index"] {
        let dir = dir.join(below);
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(&dir).unwrap();
    }
    for name in ["anchor", "graven.lock"] {
        let _ = std::fs::remove_file(dir.join(name));
    }
    for (name, bytes) in files {
        std::fs::write(dir.join(name), bytes).unwrap();
    }
}

/// `sst` for `store/000012.sst`, `MANIFEST` for `store/MANIFEST-000005`, `segment` for `index/segment-0-0`.
fn kind_of(file: &Path) -> &str {
    let name = file.file_name().unwrap().to_str().unwrap();
    match name.rsplit_once('.') {
        Some((number, kind)) if number.bytes().all(|b| b.is_ascii_digit()) => kind,
        _ => name.split(['-', '.']).next().unwrap(),
    }
}

/// Does `work` on all of `items`, on all processors, each with a directory of its own. Gives what was made of them, or
/// everything that failed.
fn on_all_processors<T: Sync>(
    items: &[T],
    work: impl Fn(&T, &Path) -> Result<(String, Outcome), String> + Sync,
) -> Counts {
    let next = AtomicUsize::new(0);
    let counts = Mutex::new(Counts::new());
    let failures = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                let dir = scratch();
                while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
                    match work(item, dir.path()) {
                        Ok((kind, outcome)) => {
                            let mut counts = counts.lock().unwrap();
                            *counts.entry(kind).or_default().entry(outcome).or_default() += 1;
                        }
                        Err(failure) => {
                            // At once, since the rest of a long battery takes a while.
                            println!("FAILED {failure}");
                            failures.lock().unwrap().push(failure);
                        }
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    counts.into_inner().unwrap()
}

fn print(counts: &Counts) {
    for (kind, counts) in counts {
        let all: u64 = counts.values().sum();
        println!("{kind}: {all}, {counts:?}");
    }
}

fn flips_of_a_file() -> u64 {
    let asked = std::env::var("GRAVEN_FLIPS").ok();
    asked.map_or(7, |flips| flips.parse().expect("GRAVEN_FLIPS is a number"))
}

/// Which bytes of a file to flip.
fn offsets(specimen: &Specimen, file: &Path, length: u64, random: &mut Random) -> Vec<u64> {
    // What is large in the large one lies in the others too, and is small there.
    let alike = NOT_READ.contains(&kind_of(file)) || (specimen.name == "indexed" && length > 4_096);
    let sample = match is_long() {
        true if !alike => return (0..length).collect(),
        true => 100,
        false => flips_of_a_file(),
    };
    let sample = if length == 0 { 0 } else { sample };
    (0..sample).map(|_| random.below(length)).collect()
}

#[test]
fn every_flipped_byte_is_found_or_harmless() {
    let specimens = Specimen::all();
    let mut random = Random(4);
    let mut flips = Vec::new();
    for specimen in &specimens {
        for (file, bytes) in &specimen.files {
            println!("{}: {} {}", specimen.name, file.display(), bytes.len());
            for at in offsets(specimen, file, bytes.len() as u64, &mut random) {
                flips.push((specimen, file, at as usize, 1u8 << random.below(8)));
            }
        }
    }
    let counts = on_all_processors(&flips, |(specimen, file, at, mask), dir| {
        let outcome = specimen.try_out(dir, |dir| {
            let mut bytes = specimen.files[*file].clone();
            bytes[*at] ^= mask;
            std::fs::write(dir.join(file), bytes).unwrap();
        });
        let kind = kind_of(file);
        let place = || {
            format!(
                "{} {} byte {at} ^ {mask:#04x}",
                specimen.name,
                file.display()
            )
        };
        match outcome {
            Ok(Outcome::Harmless) => Ok((format!("{} {kind}", specimen.name), Outcome::Harmless)),
            Ok(_) if NOT_READ.contains(&kind) => Err(format!("{}: it is read", place())),
            Ok(outcome) => Ok((format!("{} {kind}", specimen.name), outcome)),
            Err(failure) => Err(format!("{}: {failure}", place())),
        }
    });
    print(&counts);
    for specimen in &specimens {
        let kinds = specimen.files.iter().filter(|(_, bytes)| !bytes.is_empty());
        let kinds = kinds.map(|(file, _)| kind_of(file));
        let kinds: BTreeSet<_> = kinds
            .filter(|kind| NEEDED.contains(kind) || *kind == "segment")
            .collect();
        // Only the store that was captured alive holds entries that are not in tables yet.
        assert_eq!(kinds.contains("log"), specimen.name == "live", "{kinds:?}");
        assert_eq!(
            kinds.contains("segment"),
            specimen.name == "indexed",
            "{kinds:?}"
        );
        assert!(kinds.len() >= 4, "{kinds:?}");
        for kind in kinds {
            let counts = &counts[&format!("{} {kind}", specimen.name)];
            let found = counts.keys().any(|outcome| *outcome != Outcome::Harmless);
            assert!(found, "nothing was found in {} {kind}", specimen.name);
        }
    }
}

#[test]
fn what_nobody_reads_can_be_anything() {
    for specimen in Specimen::all() {
        let dir = scratch();
        let not_read = specimen.files.keys();
        let not_read: Vec<_> = not_read
            .filter(|file| NOT_READ.contains(&kind_of(file)))
            .collect();
        assert!(not_read.len() >= 2, "{not_read:?}");
        for garbage in [None, Some(Vec::new()), Some(vec![0xA5; 5_000])] {
            let outcome = specimen.try_out(dir.path(), |dir| {
                for file in &not_read {
                    let path = dir.join(file);
                    match &garbage {
                        Some(garbage) => std::fs::write(path, garbage).unwrap(),
                        None => std::fs::remove_file(path).unwrap(),
                    }
                }
            });
            assert_eq!(outcome, Ok(Outcome::Harmless), "{}", specimen.name);
        }
        let locked = specimen.try_out(dir.path(), |dir| {
            std::fs::write(dir.join("graven.lock"), b"anything").unwrap();
            std::fs::write(dir.join("store/LOCK"), b"anything").unwrap();
        });
        assert_eq!(locked, Ok(Outcome::Harmless), "{}", specimen.name);
    }
}

#[test]
fn files_that_are_cut_missing_swapped_or_old_are_found_or_harmless() {
    let specimens = Specimen::all();
    let mut random = Random(5);
    let mut trials: Vec<(&Specimen, &PathBuf, Damage)> = Vec::new();
    for specimen in &specimens {
        for (file, bytes) in &specimen.files {
            trials.push((specimen, file, Damage::Deleted));
            if specimen.older.contains_key(file) {
                trials.push((specimen, file, Damage::Older));
            }
            let length = bytes.len() as u64;
            // The length of a table is compared before any of it is read, so one cut of it is as good as another.
            let alike = ["sst"]
                .iter()
                .chain(&NOT_READ)
                .any(|kind| *kind == kind_of(file));
            let cuts: Vec<u64> = match is_long() {
                true if !alike && specimen.name != "indexed" => (0..length).collect(),
                true if kind_of(file) == "segment" => (0..length).collect(),
                _ => (0..length.min(4)).map(|_| random.below(length)).collect(),
            };
            trials.extend(
                cuts.into_iter()
                    .map(|cut| (specimen, file, Damage::Cut(cut))),
            );
            let same_kind = specimen.files.keys();
            for other in same_kind.filter(|other| *other > file && kind_of(other) == kind_of(file))
            {
                trials.push((specimen, file, Damage::Swapped(other)));
            }
        }
    }
    let counts = on_all_processors(&trials, |(specimen, file, damage), dir| {
        let outcome = specimen.try_out(dir, |dir| damage.apply(specimen, file, dir));
        let place = || format!("{} {} {damage:?}", specimen.name, file.display());
        let outcome = outcome.map_err(|failure| format!("{}: {failure}", place()))?;
        let needed = NEEDED.contains(&kind_of(file)) && !specimen.files[*file].is_empty();
        if needed && matches!(damage, Damage::Deleted) && outcome == Outcome::Harmless {
            return Err(format!("{}: not missed", place()));
        }
        Ok((format!("{} {}", specimen.name, damage.name()), outcome))
    });
    print(&counts);
    for specimen in &specimens {
        let dir = scratch();
        let whole = specimen.try_out(dir.path(), |dir| lay_out(&specimen.older, dir));
        assert_eq!(whole, Ok(Outcome::Tampered), "a rollback");
    }
}

/// What is done to a file.
#[derive(Debug)]
enum Damage<'a> {
    Deleted,
    Cut(u64),
    Swapped(&'a Path),
    Older,
}

impl Damage<'_> {
    fn name(&self) -> &'static str {
        match self {
            Self::Deleted => "deleted",
            Self::Cut(_) => "cut",
            Self::Swapped(_) => "swapped",
            Self::Older => "older",
        }
    }

    fn apply(&self, specimen: &Specimen, file: &Path, dir: &Path) {
        let path = dir.join(file);
        match self {
            Self::Deleted => std::fs::remove_file(path).unwrap(),
            Self::Cut(length) => {
                let file = std::fs::OpenOptions::new().write(true).open(path);
                file.unwrap().set_len(*length).unwrap();
            }
            Self::Swapped(other) => {
                std::fs::write(path, &specimen.files[*other]).unwrap();
                std::fs::write(dir.join(other), &specimen.files[file]).unwrap();
            }
            Self::Older => std::fs::write(path, &specimen.older[file]).unwrap(),
        }
    }
}

/// As the command line reads it: white space around the key is no part of it.
fn read_key(bytes: &[u8]) -> Option<SignerKey> {
    SignerKey::parse(std::str::from_utf8(bytes).ok()?.trim()).ok()
}

#[test]
fn every_flipped_bit_of_the_signing_key_is_found_or_harmless() {
    let specimen = Specimen::live();
    let key = specimen.operator.key();
    let file = format!("{}\n", &*key.encode()).into_bytes();
    let (mut unreadable, mut other, mut harmless) = (0, 0, 0);
    let dir = scratch();
    specimen.lay_out(dir.path());
    for at in 0..file.len() {
        for bit in 0..8 {
            let mut bytes = file.clone();
            bytes[at] ^= 1 << bit;
            let Some(found) = read_key(&bytes) else {
                unreadable += 1;
                continue;
            };
            if found.verifier() == key.verifier() {
                harmless += 1;
                continue;
            }
            // Its name may have changed, of which the rest of it must not make another valid key; whoever names the
            // ledger as well is still refused.
            other += 1;
            let options = Options {
                key: found,
                ..specimen.operator.options(false)
            };
            let refused = Ledger::open(&Directory::new(dir.path()), options).map(drop);
            let refused = refused.unwrap_err();
            assert!(
                matches!(refused, LedgerError::Refused(Refusal::OtherLedger { .. })),
                "byte {at} bit {bit}: {refused}"
            );
        }
    }
    println!("log.key: {unreadable} unreadable, {other} another key, {harmless} harmless");
    assert!(unreadable > 0);
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
