//! What `graven verify` says about a case.

use crate::entry::{Tag, hex};
use crate::index::Ranges;
use crate::verify::{Answered, Case, Disclosure, Heard, ProvedCase, ranges_text};

/// Runs of seqs that are listed.
const MOST_RUNS: usize = 12;
/// Sources that are listed.
const MOST_SOURCES: usize = 20;

/// What is proved, what is withheld and disclosed, and what is only said.
pub(super) fn facts(case: &Case, proved: Option<&ProvedCase>) -> Vec<String> {
    let mut facts = vec![format!("case of {}", case.genesis.origin()), question(case)];
    if let Some(proved) = proved {
        facts.extend(answer(proved));
        if let Some(extends) = &case.extends {
            let root = hex::encode(&extends.root);
            facts.push(format!(
                "it continues the tree of {} entries, root {root}",
                extends.size
            ));
        }
        let discloses = &case.discloses;
        if !discloses.withheld.is_empty() {
            facts.push(format!("withheld: {}", parts(&discloses.withheld)));
        }
        facts.push(disclosed(discloses));
    }
    let made = &case.made;
    facts.push(format!(
        "said and not proved: made by {} at {} with: {}",
        made.tool,
        made.at,
        made.command.join(" ")
    ));
    facts
}

fn question(case: &Case) -> String {
    let answer = &case.answer;
    let filter = match answer.filter.as_str() {
        "" => "every entry",
        filter => filter,
    };
    let start = answer.range.start;
    let range = match (start, answer.range.end) {
        (0, u64::MAX) => "all".to_owned(),
        (start, u64::MAX) => format!("those from {start}"),
        (start, end) => format!("those from {start} to before {end}"),
    };
    let order = if answer.descending {
        ", newest first"
    } else {
        ""
    };
    format!(
        "question: {filter}, of {range} at size {}{order}",
        answer.size
    )
}

fn answer(proved: &ProvedCase) -> Vec<String> {
    let answered = &proved.answered;
    let mut facts = vec![match answered.matches {
        1 => "answer: 1 entry matches".to_owned(),
        matches => format!("answer: {matches} entries match"),
    }];
    if !answered.unknown.is_empty() {
        facts.push(format!(
            "cannot be told of {} more, since parts are withheld or erased: {}",
            answered.unknown.len(),
            ranges_text(&answered.unknown)
        ));
    }
    facts.push(completeness(answered));
    facts.push(coverage(proved.heard.as_ref()));
    let originals = &proved.originals;
    if originals.shown > 0 {
        facts.push(format!(
            "originals: {} shown, {} with the digest that is stated for them",
            originals.shown, originals.agree
        ));
    }
    let disagree = originals.disagree();
    if !disagree.is_empty() {
        facts.push(format!(
            "WARNING: sealed with originals of another digest than is stated: {}",
            ranges_text(&disagree)
        ));
    }
    facts.extend(proved.minimum.clone());
    facts
}

fn coverage(heard: Option<&Heard>) -> String {
    let Some(heard) = heard else {
        return "coverage: the case does not tell which sources were heard from".into();
    };
    let shown = heard.sources.iter().take(MOST_SOURCES);
    let mut sources: Vec<String> = shown
        .map(|of| match of.entries {
            1 => format!("{} 1 ({})", of.source, of.first),
            entries => format!("{} {entries} ({} to {})", of.source, of.first, of.last),
        })
        .collect();
    if heard.sources.len() > MOST_SOURCES {
        sources.push(format!(
            "and {} more sources",
            heard.sources.len() - MOST_SOURCES
        ));
    }
    if heard.absent > 0 {
        sources.push(format!("{} name no source", heard.absent));
    }
    format!(
        "coverage: of these entries come from {}",
        sources.join(", ")
    )
}

fn completeness(answered: &Answered) -> String {
    let window = &answered.window;
    let about = if *window == (0..answered.size) {
        format!("of all {} entries", answered.size)
    } else {
        format!("of those from {} to before {}", window.start, window.end)
    };
    let seals = answered.seals.iter();
    let seals = seals.filter(|(_, covered)| *covered > window.start);
    let mut by: Vec<String> = seals
        .map(|(seal, covered)| format!("sealed by entry {seal} up to before {covered}"))
        .collect();
    if answered.one_by_one > 0 {
        by.push(format!("{} checked one by one", answered.one_by_one));
    }
    let by = by.join(", ");
    format!("complete to checkpoint {}, {about}: {by}", answered.size)
}

fn parts(parts: &[(Tag, Ranges)]) -> String {
    let part = |(tag, seqs): &(Tag, Ranges)| format!("{} of {}", tag.name(), few(seqs));
    let parts: Vec<String> = parts.iter().map(part).collect();
    parts.join("; ")
}

/// Seqs, if these are a few runs; else how many, for the file has them all.
fn few(seqs: &Ranges) -> String {
    let runs = seqs.runs();
    match (runs.first(), runs.last()) {
        (Some(first), Some(last)) if runs.len() > MOST_RUNS => {
            let (count, last) = (seqs.len(), last.end - 1);
            format!("{count} entries from {} to {last}", first.start)
        }
        _ => ranges_text(seqs),
    }
}

fn disclosed(discloses: &Disclosure) -> String {
    let terms = match discloses.terms.len() {
        0 => String::new(),
        terms => format!("; {terms} terms of the index"),
    };
    let parts = match parts(&discloses.parts) {
        parts if parts.is_empty() => parts,
        parts => format!("{parts}; "),
    };
    format!(
        "discloses: {parts}headers of {}{terms}; the question, the command line and the time",
        few(&discloses.headers)
    )
}
