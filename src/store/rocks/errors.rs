//! The engine's errors, which are texts, as ours.

use std::io;
use std::path::Path;

use rocksdb::{Error, ErrorKind};

use super::settings::family_name;
use crate::store::{Space, StoreError};

/// The spaces that the first stores did not have.
const ADDED: [Space; 1] = [Space::Segment];

/// Whether `text` is the engine's refusal of a store without the family of `space`.
fn lacks(text: &str, space: Space) -> bool {
    let (_, missing) = text
        .split_once("Column family not found: ")
        .unwrap_or_default();
    missing.trim_end_matches('.') == family_name(space)
}

/// What `error` from the store in `dir` means to a caller.
pub(super) fn from_engine(dir: &Path, error: Error) -> StoreError {
    let kind = error.kind();
    let text = error.into_string();
    let holds = |part: &str| text.contains(part);
    match kind {
        ErrorKind::Corruption => damaged(text),
        ErrorKind::InvalidArgument if ADDED.iter().any(|space| lacks(&text, *space)) => {
            StoreError::OtherVersion {
                path: dir.to_owned(),
                made_by: "an earlier version",
                what: "it has no place for the search index".to_owned(),
            }
        }
        ErrorKind::InvalidArgument if holds("Column families not opened: ") => {
            let (_, unknown) = text.split_once("not opened: ").unwrap_or_default();
            StoreError::OtherVersion {
                path: dir.to_owned(),
                made_by: "a later version",
                what: format!("it has a place for {unknown}"),
            }
        }
        // The store lost one of those that every store ever had.
        ErrorKind::InvalidArgument if holds("Column famil") => damaged(text),
        ErrorKind::InvalidArgument if holds("(create_if_missing is false)") => {
            StoreError::Missing {
                path: dir.to_owned(),
            }
        }
        ErrorKind::InvalidArgument if holds("(error_if_exists is true)") => StoreError::Exists {
            path: dir.to_owned(),
        },
        ErrorKind::IOError if holds("lock hold by current process") || lock_is_taken(&text) => {
            StoreError::InUse {
                path: dir.to_owned(),
            }
        }
        ErrorKind::IOError if holds("No space left on device") || holds("Disk quota exceeded") => {
            StoreError::Full { what: text }
        }
        // A file that the store needs is gone, or shorter than a block that is known to be in it.
        ErrorKind::IOError if holds("No such file or directory") && file_name(&text).is_some() => {
            damaged(text)
        }
        _ => StoreError::Io {
            what: format!("store in {}", dir.display()),
            source: io::Error::other(text),
        },
    }
}

/// What `error` means while opening the store in `dir`, whose write-ahead logs are `logs`: where the
/// engine names no file, it was replaying these.
pub(super) fn from_opening(dir: &Path, logs: &[String], error: Error) -> StoreError {
    match from_engine(dir, error) {
        StoreError::Damaged { what, file: None } => StoreError::Damaged {
            file: missing_log(&what).or_else(|| match logs {
                [log] => Some(log.clone()),
                _ => None,
            }),
            what: format!(
                "{what}, in {} with write-ahead log {}",
                dir.display(),
                logs.join(", ")
            ),
        },
        error => error,
    }
}

/// The log that the engine misses, which it gives by number only.
fn missing_log(text: &str) -> Option<String> {
    let (_, number) = text.split_once("Missing WAL with log number: ")?;
    let number: u64 = number.trim_end_matches('.').parse().ok()?;
    Some(format!("{number:06}.log"))
}

fn damaged(what: String) -> StoreError {
    let file = file_name(&what).map(str::to_owned);
    StoreError::Damaged { what, file }
}

/// The kernel reports a lock held elsewhere as either of these two.
fn lock_is_taken(text: &str) -> bool {
    text.contains("While lock file")
        && (text.contains("Resource temporarily unavailable") || text.contains("Permission denied"))
}

/// The first of the store's files that `text` names.
fn file_name(text: &str) -> Option<&str> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_')))
        .map(|word| word.trim_end_matches('.'))
        .find(|word| is_store_file(word))
}

/// Whether the engine gives this name to a file that holds part of the store.
pub(super) fn is_store_file(name: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if name == "CURRENT" || name.strip_prefix("MANIFEST-").is_some_and(is_number) {
        return true;
    }
    name.rsplit_once('.')
        .is_some_and(|(number, ending)| is_number(number) && matches!(ending, "sst" | "log"))
}
