//! Inquiries driven over a list of entries in memory.

use std::ops::ControlFlow;

use graven::entry::json;
use graven::index::Facts;
use graven::index::filter::Truth;
use graven::inquiry::Inquiry;

use super::entry_support::seal;

/// The events of a made-up lab: shared code edited in place, a checkpoint overwritten, a job killed.
pub(crate) const LAB: &str = include_str!("../data/lab.jsonl");

/// Entries of these events, one a line.
pub(crate) fn entries(lines: &str) -> Vec<Facts> {
    let events = lines.lines().filter(|line| !line.trim().is_empty());
    let entry = |(seq, line): (usize, &str)| {
        let event = json::read(line).unwrap_or_else(|error| panic!("{line}: {error}"));
        let (mut header, body) = seal(&event);
        header.seq = seq as u64;
        header.recorded_at = 1_800_000_000_000_000_000 + seq as u64;
        Facts::new(&header, &body).unwrap()
    };
    events.enumerate().map(entry).collect()
}

/// Answers every question from the list: how many there were.
pub(crate) fn ask(inquiry: &mut impl Inquiry, entries: &[Facts]) -> usize {
    let mut questions = 0;
    while let Some(question) = inquiry.next() {
        questions += 1;
        assert!(questions < 100_000, "it asks for ever");
        let matches = |facts: &&Facts| {
            question.range.contains(&facts.header.seq)
                && question.filter.evaluate(facts) == Truth::True
        };
        let mut found: Vec<&Facts> = entries.iter().filter(matches).collect();
        if question.descending {
            found.reverse();
        }
        for facts in found {
            if inquiry.take(facts) == ControlFlow::Break(()) {
                break;
            }
        }
    }
    questions
}
