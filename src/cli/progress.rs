//! Progress on standard error, where that is a terminal.

use std::fmt::Write;

use indicatif::{ProgressBar, ProgressState, ProgressStyle};

use super::arguments::Global;

/// A bar over `length` steps, or a count where it is not known. Besides what the library knows, `template` has `{rate}`:
/// steps a second, whole ones.
pub(super) fn progress(global: &Global, length: Option<u64>, template: &str) -> ProgressBar {
    if global.quiet {
        return ProgressBar::hidden();
    }
    let bar = length.map_or_else(ProgressBar::no_length, ProgressBar::new);
    let rate = |state: &ProgressState, out: &mut dyn Write| {
        // Writing to a string cannot fail.
        let _ = write!(out, "{:.0}/s", state.per_sec());
    };
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style.with_key("rate", rate)),
        Err(_) => bar,
    }
}
