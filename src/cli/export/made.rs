//! Who makes a case and how.

use std::env;
use std::path::Path;

use jiff::Timestamp;

use crate::verify::Made;

/// Flags whose value is a secret.
const SECRETS: [&str; 1] = ["--token"];
const HIDDEN: &str = "(secret)";

/// This program, the command line that it was started with, and now.
pub(super) fn here() -> Made {
    let command: Vec<String> = env::args_os()
        .map(|argument| argument.to_string_lossy().into_owned())
        .collect();
    Made {
        tool: concat!("graven ", env!("CARGO_PKG_VERSION")).into(),
        command: without_secrets(command),
        at: Timestamp::now().to_string(),
    }
}

/// The command line without secrets, and without the place of the program.
fn without_secrets(command: Vec<String>) -> Vec<String> {
    let mut is_secret = false;
    let hide = |(index, argument): (usize, String)| {
        if std::mem::take(&mut is_secret) {
            return HIDDEN.into();
        }
        if index == 0 {
            let name = Path::new(&argument).file_name();
            return name.map_or(argument.clone(), |name| name.to_string_lossy().into_owned());
        }
        is_secret = SECRETS.contains(&argument.as_str());
        match argument.split_once('=') {
            Some((flag, _)) if SECRETS.contains(&flag) => format!("{flag}={HIDDEN}"),
            _ => argument,
        }
    };
    command.into_iter().enumerate().map(hide).collect()
}
