//! Which names a target had at other times, against following one rename after the other by hand.

use std::collections::BTreeSet;

use graven::index::filter::Filter;
use graven::inquiry::{MAX_RENAMES, Rename, Renames};
use proptest::collection::vec;
use proptest::prelude::*;

use super::inquiry_support::{ask, entries};

/// Who got which name, and whether it was a copy.
type Act = (usize, usize, bool);

fn name(number: usize) -> String {
    format!("fs://n/{number}")
}

fn line((from, to, copied): &Act) -> String {
    let verb = if *copied { "copy" } else { "rename" };
    let (from, to) = (name(*from), name(*to));
    format!(
        r#"{{"action":"file.{verb}","source":"s","target":{{"uri":"{to}","previous_uri":"{from}"}}}}"#
    )
}

/// Renames to a name before a seq, and those before these.
fn back(all: &[Act], to: usize, before: usize, found: &mut BTreeSet<usize>) {
    for (seq, act) in all.iter().enumerate().take(before) {
        if act.1 == to && act.0 != to && !act.2 {
            found.insert(seq);
            back(all, act.0, seq, found);
        }
    }
}

/// Renames of a name from a seq on, and those after these.
fn forth(all: &[Act], from: usize, first: usize, found: &mut BTreeSet<usize>) {
    for (seq, act) in all.iter().enumerate().skip(first) {
        if act.0 == from && act.1 != from && !act.2 {
            found.insert(seq);
            forth(all, act.1, seq + 1, found);
        }
    }
}

fn renames(filter: &str, lines: &[String]) -> (Vec<Rename>, bool) {
    let mut renames = Renames::of_filter(&Filter::parse(filter).unwrap());
    ask(&mut renames, &entries(&lines.join("\n")));
    (renames.found().cloned().collect(), renames.is_cut_off())
}

proptest! {
    #[test]
    fn a_target_is_followed_back_and_forth_while_the_name_is_its_own(
        all in vec((0..5usize, 0..5usize, prop::bool::weighted(0.2)), 0..10),
        asked in 0..5usize,
    ) {
        let lines: Vec<String> = all.iter().map(line).collect();
        let mut expected = BTreeSet::new();
        back(&all, asked, all.len(), &mut expected);
        forth(&all, asked, 0, &mut expected);
        let expected: Vec<Rename> = expected
            .into_iter()
            .map(|seq| Rename { seq: seq as u64, from: name(all[seq].0), to: name(all[seq].1) })
            .collect();
        for filter in [format!("target = {}", name(asked)), format!("NOT input = {}", name(asked))] {
            let (found, cut_off) = renames(&filter, &lines);
            prop_assert_eq!(&found, &expected, "{}", filter);
            prop_assert!(!cut_off);
        }
    }
}

#[test]
fn more_than_are_followed_are_cut_off_and_that_is_told() {
    // Into one name from many, and along a chain.
    let into: Vec<String> = (1..400).map(|from| line(&(from, 0, false))).collect();
    let (found, cut_off) = renames("target = fs://n/0", &into);
    assert!(found.len() <= MAX_RENAMES && cut_off);
    let chain: Vec<String> = (0..400)
        .map(|from| line(&(from, from + 1, false)))
        .collect();
    let (found, cut_off) = renames("target = fs://n/0", &chain);
    assert!((60..=MAX_RENAMES).contains(&found.len()) && cut_off);
    // What is asked for is no reason to cut off.
    let many: Vec<String> = (0..200).map(|n| format!("target = {}", name(n))).collect();
    assert_eq!(renames(&many.join(" OR "), &[]), (Vec::new(), false));
}
