//! `graven log --as-of`: the newest version of every target at a time.

use std::process::ExitCode;

use jiff::Timestamp;

use super::arguments::{Connection, Global, Output, Pinned};
use super::failure::Failure;
use super::inquire::ask_at;
use super::render::write_state;
use super::time;
use crate::inquiry::{MAX_TARGETS, State, TimeBasis};

/// What is asked.
pub(super) struct AsOf<'a> {
    /// The time, as it was typed.
    pub(super) time: &'a str,
    /// Names or patterns of targets; all when there are none.
    pub(super) targets: &'a [String],
    pub(super) basis: TimeBasis,
    pub(super) size: Option<u64>,
    pub(super) pinned: &'a Pinned,
    pub(super) connection: &'a Connection,
    pub(super) output: &'a Output,
}

pub(super) async fn run(asked: &AsOf<'_>, global: &Global) -> Result<ExitCode, Failure> {
    let at = time::parse("as-of", asked.time, Timestamp::now())?;
    let at = i64::try_from(at).unwrap_or(i64::MAX);
    let mut state = State::new(asked.targets, at, asked.basis)
        .map_err(|error| Failure::usage(format!("--target: {error}")))?;
    let worth = ask_at(
        asked.connection,
        asked.pinned,
        asked.size,
        &mut state,
        |_, _| Ok(()),
    )
    .await?;
    let full = state.is_full();
    let targets = state.into_targets();
    write_state(asked.output.output, &targets)?;
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
    worth.say(global);
    Ok(worth.code(full))
}
