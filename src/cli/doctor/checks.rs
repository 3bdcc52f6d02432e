//! The checks, one function each.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use x509_parser::pem::Pem;
use x509_parser::prelude::{CertificateRevocationList, FromDer};

use super::space;
use super::{Checked, Outcome, Patient};
use crate::cli::config::Keys;
use crate::cli::failure::Failure;
use crate::cli::files::read_key;
use crate::service::jwt::FetchedKeys;
use crate::service::{PolicyFile, open_files_limit};

/// 512 files of the store, 1,024 connections, and room for the rest.
const OPEN_FILES: u64 = 2_048;
const DAY: i64 = 24 * 3600;
/// Certificates that end sooner are warned of.
const SOON_DAYS: i64 = 30;
/// Systems that keep the time leave one of these.
const SYNCHRONISED: [&str; 2] = [
    "/run/systemd/timesync/synchronized",
    "/run/chrony/chronyd.pid",
];
/// Kinds of file systems by their magic numbers (`linux/magic.h`), with what is wrong with them.
const FILE_SYSTEMS: [(u32, &str, Outcome); 11] = [
    (0x6969, "NFS", Outcome::Warn),
    (0xff53_4d42, "CIFS", Outcome::Warn),
    (0xfe53_4d42, "SMB", Outcome::Warn),
    (0x0102_1997, "9p", Outcome::Warn),
    (0x00c3_6400, "Ceph", Outcome::Warn),
    (0x0bd0_0bd0, "Lustre", Outcome::Warn),
    (0x4750_4653, "GPFS", Outcome::Warn),
    (0x6573_5546, "FUSE", Outcome::Warn),
    (0x794c_7630, "overlay", Outcome::Warn),
    (0x0102_1994, "tmpfs", Outcome::Fail),
    (0x8584_58f6, "ramfs", Outcome::Fail),
];

pub(super) fn row(check: &'static str, outcome: Outcome, found: impl Into<String>) -> Checked {
    Checked {
        check,
        outcome,
        found: found.into(),
    }
}

pub(super) fn all(patient: &Patient) -> Vec<Checked> {
    let mut rows = vec![directory(patient), key(patient), anchor(patient)];
    if let Some(config) = &patient.config {
        rows.extend(access(patient));
        if let Some((certificate, key)) = config.tls_paths() {
            rows.push(certificate_end(certificate));
            rows.push(tls_key(key));
            rows.extend(config.client_crl().iter().map(|path| revocation_list(path)));
        }
    }
    if patient.dir.is_dir() {
        rows.push(file_system(&patient.dir));
        rows.push(space::free(&patient.dir));
        rows.push(space::forecast(patient));
    }
    rows.extend([open_files(), clock()]);
    rows
}

pub(super) fn bad_config(failure: &Failure) -> Checked {
    row("config", Outcome::Fail, failure.message())
}

fn directory(patient: &Patient) -> Checked {
    let dir = patient.dir.display();
    if patient.dir.join("store").is_dir() {
        return row("directory", Outcome::Ok, format!("{dir} holds a ledger"));
    }
    let found = format!("{dir} holds no ledger: correct it, or make one with graven init");
    row("directory", Outcome::Fail, found)
}

fn key(patient: &Patient) -> Checked {
    let path = patient.key.display();
    match read_key(&patient.key, &patient.passphrase) {
        Ok(key) => {
            let found = format!("{path}, of {}, is readable by its owner alone", key.name());
            row("key", Outcome::Ok, found)
        }
        Err(failure) => row("key", Outcome::Fail, failure.message()),
    }
}

fn anchor(patient: &Patient) -> Checked {
    let path = patient.anchor.display();
    let device = |path: &Path| fs::metadata(path).map(|metadata| metadata.dev());
    match (device(&patient.anchor), device(&patient.dir)) {
        (Ok(anchor), Ok(dir)) if anchor != dir => {
            let found = format!("{path} is on another volume than the store");
            row("anchor", Outcome::Ok, found)
        }
        (Ok(_), Ok(_)) => {
            let found = format!(
                "{path} is on the volume of the store: a volume that is lost or set back takes both. \
                 Put it elsewhere, or keep checkpoints outside and name them in known_checkpoints"
            );
            row("anchor", Outcome::Warn, found)
        }
        (Err(error), _) => {
            let found = format!("{path} cannot be read: {error}");
            row("anchor", Outcome::Fail, found)
        }
        (_, Err(error)) => row("anchor", Outcome::Fail, error.to_string()),
    }
}

/// Whether the configuration lets anybody in, and do anything; and whether keys can be fetched.
fn access(patient: &Patient) -> Vec<Checked> {
    let Some(config) = &patient.config else {
        return vec![row("access", Outcome::Ok, "no configuration")];
    };
    if !config.admits_somebody() {
        let found = "nobody could get in: there is no [[token]], no [[jwt]] and no client_ca";
        return vec![row("access", Outcome::Fail, found)];
    }
    let Some(path) = &config.policy else {
        let found = "nobody could do anything: there is no policy";
        return vec![row("access", Outcome::Fail, found)];
    };
    let opened = PolicyFile::open(Some(path)).map_err(Failure::from);
    match opened.and_then(|policy| config.identities(&policy)) {
        Ok(identities) => {
            let read = row("access", Outcome::Ok, "credentials and policy can be read");
            let keys = identities.keys.into_iter().filter_map(|keys| match keys {
                Keys::File(_) => None,
                Keys::Url(fetched) => Some(issuer_keys(&fetched)),
            });
            std::iter::once(read).chain(keys).collect()
        }
        Err(failure) => vec![row("access", Outcome::Fail, failure.message())],
    }
}

/// Whether the keys of an issuer are there.
fn issuer_keys(keys: &FetchedKeys) -> Checked {
    let url = keys.url();
    let fetched = match crate::cli::runtime() {
        Ok(runtime) => runtime
            .block_on(url.fetch())
            .map_err(|error| error.to_string()),
        Err(failure) => Err(failure.message()),
    };
    let shown = url.as_str();
    match fetched {
        Ok(_) => row("JWT keys", Outcome::Ok, format!("{shown} has a key set")),
        Err(problem) => row("JWT keys", Outcome::Fail, format!("{shown}: {problem}")),
    }
}

/// When a list of revoked client certificates ends, after which it keeps everybody out.
fn revocation_list(path: &Path) -> Checked {
    let shown = path.display();
    let bad = |problem: String| row("client CRL", Outcome::Fail, format!("{shown}: {problem}"));
    let file = match fs::read(path) {
        Ok(file) => file,
        Err(error) => return bad(error.to_string()),
    };
    let in_pem = Pem::iter_from_buffer(&file).filter_map(Result::ok);
    let mut lists: Vec<Vec<u8>> = in_pem.map(|block| block.contents).collect();
    if lists.is_empty() {
        lists.push(file);
    }
    let mut first_end = i64::MAX;
    for list in lists {
        let Ok((_, list)) = CertificateRevocationList::from_der(&list) else {
            return bad("it is no list of revoked certificates".into());
        };
        let end = list.next_update().map_or(i64::MAX, |end| end.timestamp());
        first_end = first_end.min(end);
    }
    if first_end == i64::MAX {
        return row("client CRL", Outcome::Ok, format!("{shown}: has no end"));
    }
    let left = first_end.saturating_sub(now());
    let found = format!("{shown}: ends in {} hours", left.div_euclid(3600));
    match left {
        ..0 => bad("it has expired, and everybody with a certificate is refused".into()),
        0..DAY => row("client CRL", Outcome::Warn, found),
        _ => row("client CRL", Outcome::Ok, found),
    }
}

/// Seconds since 1970.
fn now() -> i64 {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(now.as_secs()).unwrap_or(i64::MAX)
}

fn certificate_end(path: &Path) -> Checked {
    let shown = path.display();
    let bad = |problem: String| row("certificate", Outcome::Fail, format!("{shown}: {problem}"));
    let pem = match fs::read(path) {
        Ok(pem) => pem,
        Err(error) => return bad(error.to_string()),
    };
    let mut first_end = i64::MAX;
    for block in Pem::iter_from_buffer(&pem) {
        let parsed = block.map_err(|error| error.to_string());
        let end = parsed.and_then(|block| {
            let certificate = block.parse_x509().map_err(|error| error.to_string())?;
            Ok(certificate.validity().not_after.timestamp())
        });
        match end {
            Ok(end) => first_end = first_end.min(end),
            Err(problem) => return bad(problem),
        }
    }
    if first_end == i64::MAX {
        return bad("it holds no certificate in PEM".into());
    }
    let left = first_end.saturating_sub(now());
    let days = left.div_euclid(DAY);
    let found = format!("{shown}: the first of its certificates ends in {days} days");
    match days {
        ..0 => bad("a certificate of it has expired".into()),
        0..SOON_DAYS => row("certificate", Outcome::Warn, found),
        _ => row("certificate", Outcome::Ok, found),
    }
}

fn tls_key(path: &Path) -> Checked {
    let shown = path.display();
    match fs::metadata(path) {
        Ok(metadata) if metadata.permissions().mode() & 0o007 != 0 => {
            let found = format!("{shown} can be read by others: chmod 600 it");
            row("TLS key", Outcome::Fail, found)
        }
        Ok(_) => row(
            "TLS key",
            Outcome::Ok,
            format!("{shown} is not readable by others"),
        ),
        Err(error) => row("TLS key", Outcome::Fail, format!("{shown}: {error}")),
    }
}

fn file_system(dir: &Path) -> Checked {
    let kind = match rustix::fs::statfs(dir) {
        Ok(found) => found.f_type,
        Err(error) => return row("file system", Outcome::Fail, error.to_string()),
    };
    // The field is signed on some machines; a magic number has 32 bits.
    let bits = i128::from(kind) & 0xffff_ffff;
    let known = FILE_SYSTEMS
        .iter()
        .find(|(magic, ..)| i128::from(*magic) == bits);
    let Some((_, name, outcome)) = known else {
        return row(
            "file system",
            Outcome::Ok,
            "none that is known to lose what it synced",
        );
    };
    let found = match outcome {
        Outcome::Fail => format!("{name} is in memory: what is acknowledged would not be durable"),
        _ => format!(
            "{name}: make sure that fdatasync returns when data is durable, and that locks work"
        ),
    };
    row("file system", *outcome, found)
}

fn open_files() -> Checked {
    let limits = fs::read_to_string("/proc/self/limits").ok();
    match limits.as_deref().and_then(open_files_limit) {
        Some(limit) if limit < OPEN_FILES => {
            let found = format!(
                "{limit} in this session, and a server takes up to {OPEN_FILES}: set LimitNOFILE or ulimit -n"
            );
            row("open files", Outcome::Warn, found)
        }
        Some(limit) => row(
            "open files",
            Outcome::Ok,
            format!("{limit} in this session"),
        ),
        None => row(
            "open files",
            Outcome::Warn,
            "cannot tell: no /proc/self/limits",
        ),
    }
}

fn clock() -> Checked {
    if let Some(path) = SYNCHRONISED.iter().find(|path| Path::new(path).exists()) {
        return row("clock", Outcome::Ok, format!("kept, says {path}"));
    }
    let found =
        "cannot tell whether anything keeps it: entries carry its time, so let NTP or PTP do so";
    row("clock", Outcome::Warn, found)
}
