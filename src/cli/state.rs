//! `graven log --as-of`: the newest version of every target at a time.

use std::process::ExitCode;

use jiff::Timestamp;

use super::arguments::{Connection, Global, Output, Pinned};
use super::failure::Failure;
use super::inquire::ask_at;
use super::render::{explain_marks, write_state};
use super::time;
use crate::index::filter::Filter;
use crate::inquiry::{MAX_TARGETS, State, TimeBasis};

/// What is asked.
pub(super) struct AsOf<'a> {
    /// The time, as it was typed.
    pub(super) time: &'a str,
    /// Names or patterns of targets; all when there are none.
    pub(super) targets: &'a [String],
    pub(super) basis: TimeBasis,
    pub(super) size: Option<u64>,
    pub(super) rederive: bool,
    pub(super) no_links: bool,
    pub(super) pinned: &'a Pinned,
    pub(super) connection: &'a Connection,
    pub(super) output: &'a Output,
}

pub(super) async fn run(asked: &AsOf<'_>, global: &Global) -> Result<ExitCode, Failure> {
    let at = time::parse("as-of", asked.time, Timestamp::now())?;
    let at = i64::try_from(at).unwrap_or(i64::MAX);
    let mut state = State::new(asked.targets, at, asked.basis)
        .map_err(|error| Failure::usage(format!("--target: {error}")))?;
    if !asked.no_links {
        state = state.linked();
    }
    let worth = ask_at(
        asked.connection,
        asked.pinned,
        asked.size,
        asked.rederive,
        &mut state,
    )
    .await?;
    if state.is_too_large() {
        return Err(Failure::usage(
            "there are too many names that mean the same: --no-links takes names as they are",
        ));
    }
    let full = state.is_full();
    let targets = state.into_targets();
    write_state(asked.output.output, &targets)?;
    let acts = targets.iter().map(|change| &change.act);
    explain_marks(asked.output.output, acts, global);
    let time = crate::entry::json::time::write(at).unwrap_or_default();
    let by = match asked.basis {
        TimeBasis::Occurred => "when it happened, as claimed",
        TimeBasis::Recorded => "when it was recorded; --by occurred for when it happened",
    };
    global.say(&format!("{} targets as of {time}, by {by}", targets.len()));
    if full {
        global.say(&format!(
            "cut off: there are more than {MAX_TARGETS} targets"
        ));
    }
    // Who was silent until then; by when it was recorded, since of no other time it is known who should have said more.
    let until = match asked.basis {
        TimeBasis::Recorded => Filter::parse(&format!("recorded_at <= {time}")).ok(),
        TimeBasis::Occurred => None,
    };
    worth.say(global, targets.len(), until.as_ref()).await?;
    Ok(worth.code(full))
}
