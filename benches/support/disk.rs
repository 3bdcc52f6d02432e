//! What a volume takes to make something durable.

use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use super::percentile;

const TIMES: u64 = 1_000;

/// Times of an fdatasync of 4 KiB: behind the end of a file, as a log does, and over what is there, as the anchor does.
#[derive(Default)]
pub(crate) struct Sync {
    appended: Vec<Duration>,
    in_place: Vec<Duration>,
}

impl Sync {
    /// Measures some more. Before and after what they are held against, because the speed of a shared disk drifts.
    pub(crate) fn measure(&mut self, dir: &Path) {
        self.appended.extend(times(dir, |i| i * 4096));
        self.in_place.extend(times(dir, |i| i % 2 * 4096));
    }

    pub(crate) fn appended(&self, share: f64) -> Duration {
        percentile(&self.appended, share)
    }

    pub(crate) fn in_place(&self, share: f64) -> Duration {
        percentile(&self.in_place, share)
    }
}

fn times(dir: &Path, offset: impl Fn(u64) -> u64) -> Vec<Duration> {
    let path = dir.join("sync");
    let file = std::fs::File::create(&path).unwrap();
    file.write_all_at(&[0; 8192], 0).unwrap();
    file.sync_all().unwrap();
    let time = |i: u64| {
        let start = Instant::now();
        file.write_all_at(&[i as u8; 4096], offset(i)).unwrap();
        file.sync_data().unwrap();
        start.elapsed()
    };
    let times = (0..TIMES).map(time).collect();
    std::fs::remove_file(path).unwrap();
    times
}
