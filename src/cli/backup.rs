//! `graven backup`: a verified copy of a ledger, which runs or is stopped.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use clap::Args;
use jiff::Timestamp;

use super::arguments::AdminConnection;
use super::connect::connect_to_order;
use super::failure::Failure;
use super::init::home;
use super::render::escape;
use crate::entry::v1;
use crate::ledger::{BackupManifest, BackupPlace, Clock, SystemClock, back_up_stopped};

#[derive(Debug, Args)]
#[command(
    after_help = "The server of a running ledger puts it below the backup_dir of its configuration.\n\
    The signing key is not part of a backup: keep it apart, as docs/operating.md says."
)]
pub(super) struct Arguments {
    /// Directory of a ledger that is not running
    #[arg(long, requires = "to")]
    dir: Option<PathBuf>,
    /// The anchor's file, if it is elsewhere
    #[arg(long, value_name = "FILE", requires = "dir")]
    anchor: Option<PathBuf>,
    /// An existing directory that holds backups, best on another volume
    #[arg(long, value_name = "DIR", requires = "dir")]
    to: Option<PathBuf>,
    /// Name of the backup, of a to z, 0 to 9 and - [default: the time, such as 20260131-120000]
    #[arg(long)]
    name: Option<String>,
    #[command(flatten)]
    connection: AdminConnection,
}

/// What a backup holds.
pub(super) struct Held<'a> {
    pub(super) origin: &'a str,
    pub(super) size: u64,
    pub(super) entries: u64,
    pub(super) files: u64,
    pub(super) bytes: u64,
}

pub(super) fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let made_at = SystemClock::default().unix_nanos();
    let name = match &arguments.name {
        Some(name) => name.clone(),
        None => time_name(made_at),
    };
    match (&arguments.dir, &arguments.to) {
        (Some(dir), Some(to)) => stopped(arguments, dir, to, &name, made_at),
        _ => super::runtime()?.block_on(running(arguments, name)),
    }
}

fn stopped(
    arguments: &Arguments,
    dir: &Path,
    to: &Path,
    name: &str,
    made_at: u64,
) -> Result<ExitCode, Failure> {
    let place = BackupPlace {
        dir: to,
        name,
        made_at,
    };
    let home = home(dir, arguments.anchor.as_deref());
    let manifest = back_up_stopped(&home, place, &Arc::new(AtomicBool::new(false)))?;
    print(&to.join(name).display().to_string(), &manifest.held())
}

async fn running(arguments: &Arguments, name: String) -> Result<ExitCode, Failure> {
    let mut client = connect_to_order(&arguments.connection.connection()?).await?;
    let answer = client.back_up(v1::BackUpRequest { name }).await?;
    let v1::BackUpResponse {
        name,
        origin,
        size,
        entries,
        files,
        bytes,
        ..
    } = answer.into_inner();
    let held = Held {
        origin: &origin,
        size,
        entries,
        files,
        bytes,
    };
    print(&name, &held)
}

/// A name that tells when.
fn time_name(unix_nanos: u64) -> String {
    let time = Timestamp::from_nanosecond(i128::from(unix_nanos)).unwrap_or_default();
    time.strftime("%Y%m%d-%H%M%S").to_string()
}

/// Says what was backed up.
fn print(place: &str, held: &Held<'_>) -> Result<ExitCode, Failure> {
    let mut out = anstream::stdout();
    writeln!(out, "OK: backup {}", escape(place))?;
    facts(&mut out, held)?;
    Ok(ExitCode::SUCCESS)
}

impl BackupManifest {
    /// What it holds, to be told.
    pub(super) fn held(&self) -> Held<'_> {
        Held {
            origin: &self.origin,
            size: self.size,
            entries: self.entries,
            files: self.files.len() as u64,
            bytes: self.bytes(),
        }
    }
}

/// What a backup holds.
pub(super) fn facts(out: &mut dyn Write, held: &Held<'_>) -> Result<(), Failure> {
    let Held {
        origin,
        size,
        entries,
        files,
        bytes,
    } = held;
    let origin = escape(origin);
    writeln!(
        out,
        "  {entries} entries of {origin}, checkpoint at size {size}"
    )?;
    writeln!(out, "  {files} files, {bytes} bytes, each with its SHA-256")?;
    writeln!(
        out,
        "  every entry was read and verified; the signing key is not in it"
    )?;
    Ok(())
}
