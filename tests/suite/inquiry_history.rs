//! The history of a target over entries in memory: gaps are claimed where there is one, and only there.

use graven::entry::v1::{Version, VersionState};
use graven::inquiry::{Continuity, History, Step, continuity};
use proptest::prelude::*;

use super::inquiry_support::{ask, entries};

const URI: &str = "fs://n/a";

fn steps(lines: &str, follow: bool) -> Vec<Step> {
    let mut history = History::new(URI, follow).unwrap();
    ask(&mut history, &entries(lines));
    history.into_steps()
}

/// `<seq>` of a change, `gap <from>-<to>` and `unsure <from>-<to>`.
fn summary(steps: &[Step]) -> Vec<String> {
    let line = |step: &Step| match step {
        Step::Change(change) => change.act.seq.to_string(),
        Step::Gap(gap) => format!("gap {}-{}", gap.earlier.seq, gap.later.seq),
        Step::Unsure(unsure) => format!("unsure {}-{}", unsure.earlier.seq, unsure.later.seq),
    };
    steps.iter().map(line).collect()
}

fn act(action: &str, minute: u32, target: &str) -> String {
    format!(
        r#"{{"action":"{action}","actor":"oidc:c/x","source":"s","occurred_at":"2026-03-01T00:{minute:02}:00Z","target":{{{target}}}}}"#
    )
}

fn update(minute: u32, before: &str, after: &str) -> String {
    let target = format!(r#""uri":"{URI}","before":"{before}","after":"{after}""#);
    act("file.update", minute, &target)
}

#[test]
fn a_record_that_came_late_is_no_gap() {
    let lines = [
        update(1, "one", "two"),
        update(3, "three", "four"),
        update(2, "two", "three"),
    ];
    assert_eq!(summary(&steps(&lines.join("\n"), true)), ["0", "1", "2"]);
    let lines = [update(1, "one", "two"), update(3, "three", "four")];
    assert_eq!(
        summary(&steps(&lines.join("\n"), true)),
        ["0", "gap 0-1", "1"]
    );
    // Clocks that disagree with the order of the ledger are no gap either.
    let lines = [update(2, "one", "two"), update(1, "two", "three")];
    assert_eq!(summary(&steps(&lines.join("\n"), true)), ["0", "1"]);
}

#[test]
fn a_name_that_was_moved_away_is_free() {
    let moved = |minute| {
        act(
            "file.rename",
            minute,
            r#""uri":"fs://n/b","previous_uri":"fs://n/a","before":"two","after":"two""#,
        )
    };
    let lines = [
        update(1, "absent", "two"),
        moved(2),
        update(3, "absent", "three"),
    ];
    let found = steps(&lines.join("\n"), true);
    assert_eq!(summary(&found), ["0", "1", "2"]);
    let Step::Change(change) = &found[1] else {
        panic!("{found:?}");
    };
    assert_eq!(change.moved_to.as_deref(), Some("fs://n/b"));
    // Without it, the same is a gap: somebody deleted it.
    let lines = [update(1, "absent", "two"), update(3, "absent", "three")];
    assert_eq!(
        summary(&steps(&lines.join("\n"), true)),
        ["0", "gap 0-1", "1"]
    );
}

#[test]
fn names_are_followed_back_and_the_gap_lies_between_them() {
    let old = |minute, before: &str, after: &str| {
        let target = format!(r#""uri":"fs://n/old","before":"{before}","after":"{after}""#);
        act("file.update", minute, &target)
    };
    let rename = act(
        "file.rename",
        3,
        r#""uri":"fs://n/a","previous_uri":"fs://n/old","before":"three","after":"three""#,
    );
    let lines = [
        old(1, "absent", "one"),
        old(2, "one", "two"),
        rename,
        update(4, "three", "four"),
    ];
    let lines = lines.join("\n");
    assert_eq!(
        summary(&steps(&lines, true)),
        ["0", "1", "gap 1-2", "2", "3"]
    );
    assert_eq!(summary(&steps(&lines, false)), ["2", "3"]);
}

#[test]
fn versions_compare_only_where_they_can() {
    let sha = format!("sha256:{}", "ab".repeat(32));
    let other = format!("sha256:{}", "cd".repeat(32));
    let git = format!("git-sha1:{}", "ab".repeat(20));
    let version = |ids: &[&str], state: VersionState| Version {
        ids: ids.iter().map(|id| (*id).to_owned()).collect(),
        state: state.into(),
        ..Default::default()
    };
    let known = |ids: &[&str]| version(ids, VersionState::Unspecified);
    let state = |state| version(&[], state);
    let same = |a: &Version, b: &Version| continuity(a, b) == Continuity::Same;
    assert!(same(&known(&[&sha, &git]), &known(&[&git])));
    assert!(same(
        &state(VersionState::Absent),
        &state(VersionState::Absent)
    ));
    assert!(same(
        &version(&[&git], VersionState::TooLarge),
        &known(&[&git])
    ));
    assert_eq!(
        continuity(&known(&[&sha]), &known(&[&other])),
        Continuity::Other
    );
    assert_eq!(
        continuity(&known(&["1"]), &known(&["2"])),
        Continuity::Other
    );
    assert_eq!(
        continuity(&known(&[&sha]), &state(VersionState::Absent)),
        Continuity::Other
    );
    let unknown = |a: &Version, b: &Version| matches!(continuity(a, b), Continuity::Unknown(_));
    assert!(unknown(&known(&[&sha]), &known(&[&git])));
    for unread in [
        VersionState::Pending,
        VersionState::TooLarge,
        VersionState::Unavailable,
        VersionState::Unspecified,
    ] {
        assert!(unknown(&known(&[&sha]), &state(unread)), "{unread:?}");
        assert!(unknown(&state(unread), &state(unread)), "{unread:?}");
    }
}

proptest! {
    /// Of a chain of versions some links are left out of the record: these are the gaps, wherever the records come.
    #[test]
    fn gaps_are_the_links_that_are_missing(
        (kept, order) in prop::collection::vec(any::<bool>(), 1..20).prop_flat_map(|kept| {
            let indices: Vec<usize> = (0..kept.len()).collect();
            (Just(kept), Just(indices).prop_shuffle())
        })
    ) {
        let line = |index: &usize| update(*index as u32, &format!("v{index}"), &format!("v{}", index + 1));
        let lines: Vec<String> = order.iter().filter(|index| kept[**index]).map(line).collect();
        let found = steps(&lines.join("\n"), true);
        let mut gaps: Vec<(String, String)> = Vec::new();
        for step in &found {
            if let Step::Gap(gap) = step {
                gaps.push((gap.left.ids[0].clone(), gap.found.ids[0].clone()));
                prop_assert_eq!(gap.put_back, None);
            }
        }
        gaps.sort();
        let mut expected = Vec::new();
        let present: Vec<usize> = (0..kept.len()).filter(|index| kept[*index]).collect();
        for pair in present.windows(2) {
            if pair[1] != pair[0] + 1 {
                expected.push((format!("v{}", pair[0] + 1), format!("v{}", pair[1])));
            }
        }
        expected.sort();
        prop_assert_eq!(gaps, expected);
    }
}
