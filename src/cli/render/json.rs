//! JSON that is safe on a terminal.

use std::borrow::Cow;
use std::fmt::Write;

use super::escape::is_hostile;

/// The same JSON with hostile characters as `\u` escapes. They can only stand inside strings, so it means the same.
pub(in crate::cli) fn safe(json: &str) -> Cow<'_, str> {
    let hostile = |c: char| is_hostile(c) && !c.is_ascii_control() || c == '\u{7f}';
    if !json.chars().any(hostile) {
        return Cow::Borrowed(json);
    }
    let mut safe = String::with_capacity(json.len() + 16);
    for c in json.chars() {
        if hostile(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // Writing to a string cannot fail.
                let _ = write!(safe, "\\u{unit:04x}");
            }
        } else {
            safe.push(c);
        }
    }
    Cow::Owned(safe)
}
