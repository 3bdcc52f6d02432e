//! Processes killed and power cut under a ledger on a real file system, at any moment: what was acknowledged is there.
//!
//! A few of each in the suite; `GRAVEN_KILLS=10000` asks for so many. The parts that need `strace`, root or loop devices
//! say so and pass where those are missing.
//!
//! Each was seen to fail with the code broken by hand: without the sync of a commit no power cut is survived.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use graven::ledger::LedgerError;
use graven::store::StoreError;

use super::ledger_child::Lives;
use super::ledger_support::Random;

/// Processes that end in the same directory before a new one is begun: histories stay short, and checks quick.
const LIVES_OF_A_LEDGER: u64 = 20;

fn times(few: u64) -> u64 {
    let asked = std::env::var("GRAVEN_KILLS").ok();
    asked.map_or(few, |times| {
        times.parse().expect("GRAVEN_KILLS is a number")
    })
}

#[test]
fn a_ledger_killed_at_random_moments_loses_nothing() {
    let kills = times(12);
    let mut random = Random(1);
    let (mut acknowledged, mut while_starting, mut done) = (0, 0, 0);
    while done < kills {
        let dir = tempfile::tempdir().unwrap();
        let mut lives = Lives::new(dir.path());
        for _ in 0..LIVES_OF_A_LEDGER.min(kills - done) {
            let mut life = lives.start(&[]);
            if random.one_in(4) {
                // During the start.
                std::thread::sleep(Duration::from_micros(random.below(40_000)));
            } else {
                life.wait_until_open();
                std::thread::sleep(Duration::from_micros(random.below(150_000)));
            }
            life.kill();
            let last = lives.bury(life);
            assert_eq!(last.refused, None);
            while_starting += u64::from(last.acknowledged == 0);
            lives.check();
            done += 1;
        }
        acknowledged += lives.acknowledged;
    }
    println!(
        "{done} kills, {while_starting} of them while starting, {acknowledged} acknowledgements"
    );
    assert!(acknowledged > 0);
}

#[test]
fn a_ledger_killed_at_system_calls_loses_nothing() {
    if !has("strace") {
        println!("skipped: strace is not installed");
        return;
    }
    const CALLS: [&str; 8] = [
        "write",
        "pwrite64",
        "fdatasync",
        "fsync",
        "rename",
        "unlink",
        "openat",
        "ftruncate",
    ];
    let kills = times(8);
    let mut random = Random(2);
    let (mut acknowledged, mut done) = (0, 0);
    while done < kills {
        let dir = tempfile::tempdir().unwrap();
        let mut lives = Lives::new(dir.path());
        for call in CALLS
            .into_iter()
            .cycle()
            .take(CALLS.len().min((kills - done) as usize))
        {
            // The first ones are those of the start.
            let limit = if done.is_multiple_of(2) { 5 } else { 60 };
            let when = 1 + random.below(limit);
            let trace = format!("trace={call}");
            let inject = format!("inject={call}:signal=KILL:when={when}");
            let life = lives.start(&strace(&["-e", &trace, "-e", &inject]));
            let last = lives.bury(life);
            assert_eq!(last.refused, None, "{call} {when}");
            lives.check();
            done += 1;
        }
        acknowledged += lives.acknowledged;
    }
    println!("{done} kills at system calls, {acknowledged} acknowledgements");
}

pub(crate) fn strace<'a>(options: &[&'a str]) -> Vec<&'a str> {
    ["strace", "-f", "--seccomp-bpf", "-qq", "-o", "/dev/null"]
        .into_iter()
        .chain(options.iter().copied())
        .collect()
}

#[test]
fn a_ledger_whose_power_is_cut_loses_nothing() {
    let Some(volume) = LoopVolume::new() else {
        println!("skipped: needs root, loop devices, mkfs.ext4 and perl");
        return;
    };
    let cuts = times(5);
    let mut random = Random(3);
    let mut acknowledged = 0;
    let mut done = 0;
    while done < cuts {
        let dir = volume.mount.path().join(format!("ledger{done}"));
        std::fs::create_dir(&dir).unwrap();
        let mut lives = Lives::new(&dir);
        for _ in 0..LIVES_OF_A_LEDGER.min(cuts - done) {
            let mut life = lives.start(&[]);
            if random.one_in(4) {
                std::thread::sleep(Duration::from_micros(random.below(60_000)));
            } else {
                life.wait_until_open();
                std::thread::sleep(Duration::from_micros(random.below(120_000)));
            }
            volume.cut_power();
            life.kill();
            // What it was told after the cut counts too: nothing may be acknowledged then.
            let last = lives.bury(life);
            assert!(volume.remount(), "the volume does not come back");
            assert_eq!(last.acknowledged_after_error, 0);
            lives.check();
            done += 1;
        }
        acknowledged += lives.acknowledged;
        std::fs::remove_dir_all(&dir).unwrap();
    }
    println!("{done} power cuts, {acknowledged} acknowledgements");
    assert!(acknowledged > 0);
}

#[test]
fn a_second_process_is_kept_out() {
    let dir = tempfile::tempdir().unwrap();
    let mut lives = Lives::new(dir.path());
    let mut life = lives.start(&[]);
    life.wait_until_open();
    let in_use = |result: Result<(), LedgerError>| {
        assert!(
            matches!(result, Err(LedgerError::Store(StoreError::InUse { .. }))),
            "{result:?}"
        );
    };
    in_use(lives.operator.open(&lives.home()).map(drop));
    in_use(lives.operator.audit(&lives.home(), None).map(drop));
    let second = lives.start(&[]);
    let second = lives.bury(second);
    assert!(
        second
            .refused
            .is_some_and(|refusal| refusal.contains("in use"))
    );
    life.kill();
    let first = lives.bury(life);
    assert!(first.errors.is_empty(), "{:?}", first.errors);
    lives.check();
}

/// An ext4 file system in a file, on which the power can be cut.
struct LoopVolume {
    image: PathBuf,
    mount: tempfile::TempDir,
    _dir: tempfile::TempDir,
}

impl LoopVolume {
    /// None where this machine does not allow it.
    fn new() -> Option<Self> {
        // More than the ledger's reserve; it occupies no more than is written.
        const BYTES: u64 = 1 << 30;
        let dir = tempfile::tempdir().unwrap();
        let image = dir.path().join("image");
        std::fs::File::create(&image)
            .unwrap()
            .set_len(BYTES)
            .unwrap();
        let text = image.to_str().unwrap().to_owned();
        let made = has("mkfs.ext4") && has("perl") && run("mkfs.ext4", &["-q", "-F", &text]);
        let volume = Self {
            image,
            mount: tempfile::tempdir().unwrap(),
            _dir: dir,
        };
        (made && volume.mount()).then_some(volume)
    }

    fn mount(&self) -> bool {
        let mount = self.mount.path().to_str().unwrap();
        run(
            "mount",
            &["-o", "loop", self.image.to_str().unwrap(), mount],
        )
    }

    /// Whatever is not on the disk now never gets there: `EXT4_IOC_SHUTDOWN` without flushing the log.
    fn cut_power(&self) {
        const SHUTDOWN: &str = "open(my $d, '<', $ARGV[0]) or die; \
             ioctl($d, 0x8004587d, my $flags = pack('L', 2)) or die";
        assert!(run(
            "perl",
            &["-e", SHUTDOWN, self.mount.path().to_str().unwrap()]
        ));
    }

    fn remount(&self) -> bool {
        self.unmount() && self.mount()
    }

    fn unmount(&self) -> bool {
        let mount = self.mount.path().to_str().unwrap();
        (0..50).any(|_| {
            let done = run("umount", &[mount]);
            if !done {
                std::thread::sleep(Duration::from_millis(20));
            }
            done
        })
    }
}

impl Drop for LoopVolume {
    fn drop(&mut self) {
        self.unmount();
    }
}

pub(crate) fn run(program: &str, arguments: &[&str]) -> bool {
    let status = Command::new(program)
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    status.is_ok_and(|status| status.success())
}

pub(crate) fn has(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let usual = [
        Path::new("/usr/sbin").to_owned(),
        Path::new("/sbin").to_owned(),
    ];
    std::env::split_paths(&path)
        .chain(usual)
        .any(|dir| dir.join(program).is_file())
}
