//! What Prometheus reads, in its text format, version 0.0.4.
//!
//! Names and units are those that people know from other servers. Labels have few values, and none that a caller chooses.

use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use super::jwt::FetchStatus;
use super::requests::Requests;
use crate::ledger::{AppendCounts, DURATION_BOUNDS, Figures, Ledger, LedgerError};

/// The media type of the text.
pub(super) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Ticks of the processor's time in `/proc`, in a second: fixed for programs, whatever the kernel counts in.
const TICKS: f64 = 100.0;

/// All figures of a ledger in `dir` and of this process. Reads an entry and the names of files.
pub(super) fn text(
    ledger: &Ledger,
    dir: &Path,
    requests: &Requests,
    keys: &[Arc<FetchStatus>],
    ready: bool,
) -> Result<String, LedgerError> {
    let figures = ledger.figures()?;
    let mut text = Text::default();
    text.ledger(&figures, dir, ready);
    text.appends(&figures.appends);
    text.head(
        "graven_requests_total",
        "counter",
        "Calls answered, by method and gRPC code.",
    );
    for (method, code, count) in requests.counts() {
        let labels = format!("{{method=\"{method}\",code=\"{code}\"}}");
        text.line("graven_requests_total", &labels, count);
    }
    text.keys(keys);
    text.process();
    Ok(text.0)
}

#[derive(Default)]
struct Text(String);

impl Text {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a string does not fail.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn line(&mut self, name: &str, labels: &str, value: impl std::fmt::Display) {
        let _ = writeln!(self.0, "{name}{labels} {value}");
    }

    fn one(&mut self, name: &str, kind: &str, help: &str, value: impl std::fmt::Display) {
        self.head(name, kind, help);
        self.line(name, "", value);
    }

    fn gauge(&mut self, name: &str, help: &str, value: impl std::fmt::Display) {
        self.one(name, "gauge", help, value);
    }

    fn ledger(&mut self, figures: &Figures, dir: &Path, ready: bool) {
        self.gauge(
            "graven_ready",
            "1 if entries can be appended now, else 0.",
            u8::from(ready),
        );
        self.gauge(
            "graven_entries",
            "Entries of the newest checkpoint.",
            figures.entries,
        );
        if let Some(recorded_at) = figures.recorded_at {
            let now = SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default();
            let age = now.as_secs_f64() - seconds(recorded_at / 1_000);
            let help = "Seconds since the newest checkpoint's last entry was recorded.";
            self.gauge("graven_checkpoint_age_seconds", help, age.max(0.0));
        }
        let help = "Entries that the sealed search index does not cover yet.";
        self.gauge("graven_unindexed_entries", help, figures.unindexed);
        let help = "Bytes that wait to be sealed.";
        self.gauge("graven_queue_bytes", help, figures.queue_bytes);
        let bytes = directory_bytes(&dir.join("store")) + directory_bytes(&dir.join("index"));
        self.gauge(
            "graven_store_bytes",
            "Bytes of the files of store and index.",
            bytes,
        );
        if let Some(free) = figures.free_bytes {
            let help = "Bytes free where the store lies; 268435456 are held in reserve.";
            self.gauge("graven_disk_free_bytes", help, free);
        }
    }

    fn appends(&mut self, appends: &AppendCounts) {
        let name = "graven_appends_total";
        self.head(
            name,
            "counter",
            "Appends, each of one event or a batch, by outcome.",
        );
        for (outcome, count) in [
            ("acknowledged", appends.acknowledged),
            ("refused", appends.refused),
            ("unknown", appends.unknown),
        ] {
            self.line(name, &format!("{{outcome=\"{outcome}\"}}"), count);
        }
        let name = "graven_append_duration_seconds";
        let help = "How long acknowledged appends took in the ledger, durable and signed.";
        self.head(name, "histogram", help);
        let mut below = 0u64;
        let bounds = DURATION_BOUNDS
            .iter()
            .map(|bound| seconds(*bound).to_string());
        let bounds = bounds.chain(std::iter::once("+Inf".to_owned()));
        for (bound, count) in bounds.zip(&appends.classes) {
            below = below.saturating_add(*count);
            self.line(
                &format!("{name}_bucket"),
                &format!("{{le=\"{bound}\"}}"),
                below,
            );
        }
        self.line(&format!("{name}_sum"), "", seconds(appends.microseconds));
        self.line(&format!("{name}_count"), "", below);
    }

    fn keys(&mut self, statuses: &[Arc<FetchStatus>]) {
        if statuses.is_empty() {
            return;
        }
        let label = |status: &FetchStatus| format!("issuer=\"{}\"", escaped(status.issuer()));
        let name = "graven_jwt_keys";
        let help =
            "Keys in force of an issuer whose keys are fetched; 0 when its tokens are refused.";
        self.head(name, "gauge", help);
        for status in statuses {
            self.line(name, &format!("{{{}}}", label(status)), status.keys());
        }
        let name = "graven_jwt_keys_age_seconds";
        self.head(
            name,
            "gauge",
            "Seconds since they were fetched; absent if they never were.",
        );
        for status in statuses {
            if let Some(age) = status.age() {
                self.line(name, &format!("{{{}}}", label(status)), age.as_secs_f64());
            }
        }
        let name = "graven_jwt_fetches_total";
        self.head(name, "counter", "Attempts to fetch them, by outcome.");
        for status in statuses {
            let (fetched, failed) = status.attempts();
            for (outcome, count) in [("fetched", fetched), ("failed", failed)] {
                let labels = format!("{{{},outcome=\"{outcome}\"}}", label(status));
                self.line(name, &labels, count);
            }
        }
    }

    fn process(&mut self) {
        let read = |name: &str| std::fs::read_to_string(format!("/proc/self/{name}")).ok();
        if let Some(bytes) = read("status").as_deref().and_then(resident_bytes) {
            self.gauge("process_resident_memory_bytes", "Resident memory.", bytes);
        }
        if let Some(seconds) = read("stat").as_deref().and_then(processor_seconds) {
            let name = "process_cpu_seconds_total";
            self.one(
                name,
                "counter",
                "Processor time, of user and system.",
                seconds,
            );
        }
        if let Ok(open) = std::fs::read_dir("/proc/self/fd") {
            self.gauge("process_open_fds", "Open file descriptors.", open.count());
        }
        if let Some(limit) = read("limits").as_deref().and_then(open_files_limit) {
            self.gauge("process_max_fds", "Limit of open file descriptors.", limit);
        }
    }
}

#[allow(clippy::cast_precision_loss)] // As exact as a double is.
fn seconds(microseconds: u64) -> f64 {
    microseconds as f64 / 1e6
}

/// A label's value: a configuration chooses it.
fn escaped(value: &str) -> String {
    value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

/// Bytes of the files in `dir`, without those of directories in it.
fn directory_bytes(dir: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(dir) else {
        return 0;
    };
    // A file that went meanwhile has none.
    let lengths = entries.filter_map(|entry| Some(entry.ok()?.metadata().ok()?.len()));
    lengths.fold(0, u64::saturating_add)
}

/// From `/proc/self/status`.
fn resident_bytes(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kibibytes.saturating_mul(1024))
}

/// From `/proc/self/stat`: fields 14 and 15, counted behind the name, which may hold anything.
fn processor_seconds(stat: &str) -> Option<f64> {
    let (_, behind) = stat.rsplit_once(')')?;
    let mut fields = behind.split_whitespace().skip(11);
    let user: u32 = fields.next()?.parse().ok()?;
    let system: u32 = fields.next()?.parse().ok()?;
    Some((f64::from(user) + f64::from(system)) / TICKS)
}

/// From `/proc/self/limits`: the one in force.
pub fn open_files_limit(limits: &str) -> Option<u64> {
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}
