//! `graven backup`: a verified copy of a ledger.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use clap::Args;
use jiff::Timestamp;

use super::failure::Failure;
use super::init::home;
use super::render::escape;
use crate::ledger::{BackupManifest, BackupPlace, Clock, SystemClock, back_up_stopped};

#[derive(Debug, Args)]
#[command(
    after_help = "The signing key is not part of a backup: keep it apart, as docs/operating.md says."
)]
pub(super) struct Arguments {
    /// Directory of a ledger that is not running
    #[arg(long)]
    dir: PathBuf,
    /// The anchor's file, if it is elsewhere
    #[arg(long, value_name = "FILE")]
    anchor: Option<PathBuf>,
    /// An existing directory that holds backups, best on another volume
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    /// Name of the backup, of a to z, 0 to 9 and - [default: the time, such as 20260131-120000]
    #[arg(long)]
    name: Option<String>,
}

pub(super) fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let made_at = SystemClock::default().unix_nanos();
    let name = match &arguments.name {
        Some(name) => name.clone(),
        None => time_name(made_at),
    };
    let place = BackupPlace {
        dir: &arguments.to,
        name: &name,
        made_at,
    };
    let home = home(&arguments.dir, arguments.anchor.as_deref());
    let manifest = back_up_stopped(&home, place, &Arc::new(AtomicBool::new(false)))?;
    print(&arguments.to.join(&name).display().to_string(), &manifest)
}

/// A name that tells when.
pub(super) fn time_name(unix_nanos: u64) -> String {
    let time = Timestamp::from_nanosecond(i128::from(unix_nanos)).unwrap_or_default();
    time.strftime("%Y%m%d-%H%M%S").to_string()
}

/// Says what was backed up.
pub(super) fn print(place: &str, manifest: &BackupManifest) -> Result<ExitCode, Failure> {
    let mut out = anstream::stdout();
    writeln!(out, "OK: backup {}", escape(place))?;
    facts(&mut out, manifest)?;
    Ok(ExitCode::SUCCESS)
}

/// What a backup holds.
pub(super) fn facts(out: &mut dyn Write, manifest: &BackupManifest) -> Result<(), Failure> {
    writeln!(
        out,
        "  {} entries of {}, checkpoint at size {}",
        manifest.entries,
        escape(&manifest.origin),
        manifest.size
    )?;
    let (files, bytes) = (manifest.files.len(), manifest.bytes());
    writeln!(out, "  {files} files, {bytes} bytes, each with its SHA-256")?;
    writeln!(
        out,
        "  every entry was read and verified; the signing key is not in it"
    )?;
    Ok(())
}
