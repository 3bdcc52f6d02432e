//! `graven restore`: lays a backup out as a ledger's directory, if it can go on under its name.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use clap::Args;

use super::arguments::{Global, Pinned};
use super::backup::facts;
use super::failure::Failure;
use super::files::read_note;
use super::render::escape;
use crate::ledger::{CheckedBackup, KnownCheckpoint, LedgerError, Refusal, check_backup};
use crate::store::StoreError;
use crate::verify::Verdict;

#[derive(Debug, Args)]
#[command(
    after_help = "Ends with 0: laid out, 3: TAMPERED, or entries that were acknowledged are missing, 5: COULD NOT CHECK. \
    Nothing is signed, and nothing is laid out unless all is well."
)]
pub(super) struct Arguments {
    /// The backup's directory
    backup: PathBuf,
    /// Directory of the ledger to be; its store must not exist
    #[arg(long)]
    dir: PathBuf,
    /// Where the anchor goes; better on another volume [default: DIR/anchor]
    #[arg(long, value_name = "FILE")]
    anchor: Option<PathBuf>,
    /// The newest signed checkpoint that anybody outside holds: the backup has to extend it
    #[arg(
        long,
        value_name = "FILE",
        required_unless_present = "no_later_checkpoint_known"
    )]
    latest: Option<PathBuf>,
    /// Nobody holds a checkpoint of this ledger that is newer than the backup
    #[arg(long, conflicts_with = "latest")]
    no_later_checkpoint_known: bool,
    #[command(flatten)]
    pinned: Pinned,
}

pub(super) fn run(arguments: &Arguments, global: &Global) -> Result<ExitCode, Failure> {
    let pinned = arguments.pinned.key()?;
    let dir = arguments.backup.display();
    let unchecked = |what: String| Failure::unchecked(format!("COULD NOT CHECK: {what}"));
    let given_up = Arc::new(AtomicBool::new(false));
    let checked =
        check_backup(&arguments.backup, pinned.as_ref(), &given_up).map_err(
            |error| match error {
                LedgerError::Damaged(damage) => Failure::tampered(format!("TAMPERED: {damage}")),
                LedgerError::Store(StoreError::Missing { .. }) => {
                    unchecked(format!("{dir} holds no finished backup"))
                }
                error => unchecked(error.to_string()),
            },
        )?;
    if checked.verdict != Verdict::Ok {
        anstream::println!("{}", escape(&checked.verdict.to_string()));
        return Ok(ExitCode::from(checked.verdict.exit_code()));
    }
    if pinned.is_none() {
        global.say(&format!(
            "no key is pinned: the backup is in itself what {} signed",
            escape(&checked.manifest.key)
        ));
    }
    if let Some(path) = &arguments.latest {
        let source = path.display().to_string();
        let note = read_note(path).map_err(|error| unchecked(format!("{source}: {error}")))?;
        let latest = KnownCheckpoint { source, note };
        checked
            .compare(latest)
            .map_err(|error| refused(error, &checked))?;
    }
    let default = arguments.dir.join("anchor");
    let anchor = arguments.anchor.as_deref().unwrap_or(&default);
    checked.lay_out(&arguments.dir, anchor)?;
    let mut out = anstream::stdout();
    let dir = arguments.dir.display().to_string();
    writeln!(out, "OK: restored to {}", escape(&dir))?;
    facts(&mut out, &checked.manifest.held())?;
    global.say(
        "Bring its signing key, readable by its owner alone, and start it with \
         --known-checkpoint and the newest checkpoint there is.",
    );
    Ok(ExitCode::SUCCESS)
}

/// What to do when acknowledged entries are missing.
fn refused(error: LedgerError, checked: &CheckedBackup) -> Failure {
    let latest = match &error {
        LedgerError::Refused(Refusal::RolledBack { from, .. }) => escape(from).to_string(),
        _ => return error.into(),
    };
    let origin = escape(&checked.manifest.origin);
    Failure::from(error).at_place(format!(
        "Nothing was laid out. Look for a newer backup. If there is none, go on under a new name,\n\
         whose genesis carries the last checkpoint of the old one:\n  \
         graven init --dir NEW --origin NEW-NAME \\\n    \
         --predecessor {origin} --predecessor-checkpoint {latest}\n\
         and let the sources send again what the old one lost: their ids are the same. The backup\n\
         stays as it is; graven verify --dir reads it."
    ))
}
