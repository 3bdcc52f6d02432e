//! What a case is written with.

use std::fmt::Write;
use std::ops::Range;

use crate::entry::Tag;
use crate::index::Ranges;

/// JSON in ASCII: every other character as a `\u` escape. They can only stand inside strings, so it means the same, and
/// shows on any terminal for what it is.
pub(super) fn ascii(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for character in json.chars() {
        if character.is_ascii() && character != '\u{7f}' {
            text.push(character);
        } else {
            for unit in character.encode_utf16(&mut [0; 2]) {
                // Writing to a string cannot fail.
                let _ = write!(text, "\\u{unit:04x}");
            }
        }
    }
    text
}

/// Tags in order, each once.
pub(super) fn sorted_tags(tags: &[Tag]) -> Vec<Tag> {
    let mut tags = tags.to_vec();
    tags.sort_unstable();
    tags.dedup();
    tags
}

/// The set of these seqs.
pub(super) fn set_of(mut seqs: Vec<u64>) -> Ranges {
    seqs.sort_unstable();
    let mut set = Ranges::new();
    for seq in seqs {
        set.insert(seq..seq.saturating_add(1));
    }
    set
}

/// Seqs as a text such as `0-3,7`: runs with both ends, ascending.
pub fn ranges_text(ranges: &Ranges) -> String {
    let run = |run: &Range<u64>| match run.end - 1 {
        last if last == run.start => last.to_string(),
        last => format!("{}-{last}", run.start),
    };
    let runs: Vec<String> = ranges.runs().iter().map(run).collect();
    runs.join(",")
}

/// Reads what [`ranges_text`] gives.
pub(super) fn parse_ranges(text: &str) -> Option<Ranges> {
    let mut ranges = Ranges::new();
    if text.is_empty() {
        return Some(ranges);
    }
    for run in text.split(',') {
        let (first, last) = run.split_once('-').unwrap_or((run, run));
        let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
        if first > last {
            return None;
        }
        ranges.insert(first..last.checked_add(1)?);
    }
    (ranges_text(&ranges) == text).then_some(ranges)
}
