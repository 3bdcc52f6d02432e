//! Full disks and failing system calls under a ledger on a real file system.

use std::path::Path;

use graven::ledger::{Directory, LedgerError};

use super::ledger_child::Lives;
use super::ledger_crash::{has, run, strace};
use super::ledger_support::{Operator, Outside, append, event, export};

#[test]
fn a_full_volume_refuses_appends_and_answers_reads() {
    // A little more than the reserve, so that a file of a few megabytes takes it below.
    let Some(volume) = MemoryVolume::new("280m") else {
        println!("skipped: needs root");
        return;
    };
    let dir = volume.0.path().join("ledger");
    std::fs::create_dir(&dir).unwrap();
    let (operator, home) = (Operator::default(), Directory::new(&dir));
    operator.init(&home).unwrap();
    let ledger = operator.open(&home).unwrap();
    let mut outside = Outside::default();
    let mut send = |number: u64| {
        let events = [event(&number.to_be_bytes(), number)];
        outside.attempt(&events);
        let appended = append(&ledger, &events)?;
        outside.acknowledge(&operator, &ledger, &events, &appended);
        Ok::<_, LedgerError>(())
    };
    (0..10).for_each(|number| send(number).unwrap());

    let filler = volume.0.path().join("filler");
    std::fs::write(&filler, vec![1; 30 << 20]).unwrap();
    for number in 10..13 {
        match send(number) {
            Err(LedgerError::Full {
                free_bytes,
                reserve_bytes,
            }) => {
                assert!(free_bytes < reserve_bytes);
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(ledger.stop_reason(), None);
    assert_eq!(export(&ledger).unwrap().len(), 10, "reads go on");

    std::fs::remove_file(&filler).unwrap();
    (10..20).for_each(|number| send(number).expect("there is room again"));
    outside.check(&operator, &ledger);
    drop(ledger);
    outside.audit(&operator, &home);
}

#[test]
fn after_a_failed_system_call_nothing_is_acknowledged_until_a_restart() {
    if !has("strace") {
        println!("skipped: strace is not installed");
        return;
    }
    // The numbers count within a thread: the sequencer syncs the log, the signer writes and syncs the anchor.
    let faults = [
        ("fdatasync", "EIO", "3"),
        ("fdatasync", "EIO", "6+"),
        ("pwrite64", "EIO", "4"),
        ("pwrite64", "ENOSPC", "2+"),
        ("write", "EIO", "12"),
        ("write", "ENOSPC", "9+"),
        ("write", "EIO", "40"),
        ("write", "EIO", "60"),
        ("write", "ENOSPC", "90+"),
    ];
    let mut met = 0;
    for (call, error, when) in faults {
        let dir = tempfile::tempdir().unwrap();
        let mut lives = Lives::new(dir.path());
        let trace = format!("trace={call}");
        let inject = format!("inject={call}:error={error}:when={when}");
        let life = lives.start(&strace(&["-e", &trace, "-e", &inject]));
        let last = lives.bury(life);
        assert_eq!(last.acknowledged_after_error, 0, "{call} {error} {when}");
        for said in &last.errors {
            assert!(said.contains("stopped"), "{call} {error} {when}: {said}");
        }
        met += u64::from(!last.errors.is_empty() || last.refused.is_some());
        // Without the fault it recovers, whatever the fault has left.
        lives.check();
        println!(
            "{call} {error} {when}: {} acknowledged, then {:?}",
            last.acknowledged,
            last.refused.as_ref().or(last.errors.first())
        );
    }
    assert!(met >= 4, "only {met} of the faults were met");
}

/// A file system in memory, of a limited size.
pub(crate) struct MemoryVolume(tempfile::TempDir);

impl MemoryVolume {
    /// None without the right to mount one.
    pub(crate) fn new(size: &str) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let options = format!("size={size}");
        let mounted = run(
            "mount",
            &["-t", "tmpfs", "-o", &options, "tmpfs", path(dir.path())],
        );
        mounted.then(|| Self(dir))
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for MemoryVolume {
    fn drop(&mut self) {
        run("umount", &["-l", path(self.0.path())]);
    }
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}
