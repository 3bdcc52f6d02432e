//! Which seqs an answer is about, so that it can be said who was silent there.
//!
//! By seqs, and so by when it was recorded: of that the ledger has the clock, and of no other time it is known whether more
//! is still to come.

use std::ops::Range;

use super::{Direction, Edge, Reason, RunRecord, Step};

/// The most stretches of one answer.
pub const MAX_STRETCHES: usize = 5;

/// Seqs that an answer is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stretch {
    /// The seqs; without an end it goes on to the end of the ledger.
    pub range: Range<u64>,
    /// What is about them, in words; can be empty.
    pub why: &'static str,
}

impl Stretch {
    /// From the first to the last of these seqs; none if there are none.
    fn of(seqs: impl IntoIterator<Item = u64>, why: &'static str) -> Option<Self> {
        let mut seqs = seqs.into_iter();
        let first = seqs.next()?;
        let ends = |(least, most): (u64, u64), seq: u64| (least.min(seq), most.max(seq));
        let (least, most) = seqs.fold((first, first), ends);
        let range = least..most.saturating_add(1);
        Some(Self { range, why })
    }

    fn with_open_end(self) -> Self {
        let range = self.range.start..u64::MAX;
        Self { range, ..self }
    }

    /// A history: its versions, what was changed between them and not recorded (the newest such), and what came since.
    pub fn of_history(steps: &[Step]) -> Vec<Self> {
        let seqs = |step: &Step| match step {
            Step::Change(change) => Some(change.act.seq),
            Step::Gap(_) | Step::Unsure(_) => None,
        };
        let gap = |step: &Step| match step {
            Step::Gap(gap) => Self::of(
                [gap.earlier.seq, gap.later.seq],
                "where a change is missing",
            ),
            Step::Change(_) | Step::Unsure(_) => None,
        };
        let whole = Self::of(steps.iter().filter_map(seqs), "");
        let last = whole.as_ref().map(|whole| Self {
            range: whole.range.end.saturating_sub(1)..u64::MAX,
            why: "",
        });
        let mut gaps: Vec<Self> = steps.iter().rev().filter_map(gap).collect();
        gaps.truncate(MAX_STRETCHES - 2);
        gaps.reverse();
        // One version alone is where what came since begins.
        let whole = whole.filter(|whole| whole.range.end - whole.range.start > 1);
        whole.into_iter().chain(gaps).chain(last).collect()
    }

    /// What could have reached a run: from the first act that could have, and the run by itself.
    pub fn of_reach(run: &RunRecord, reasons: &[Reason]) -> Vec<Self> {
        let own = || run.first.iter().chain(&run.last).map(|act| act.seq);
        let reached = reasons.iter().map(|reason| reason.change.act.seq);
        let whole = Self::of(reached.chain(own()), "");
        let run = Self::of(own(), "the run's own");
        let run = run.filter(|run| whole.as_ref().is_some_and(|whole| whole.range != run.range));
        whole.into_iter().chain(run).collect()
    }

    /// Two runs: from the first entry of either to the last.
    pub fn of_runs(runs: &[RunRecord]) -> Vec<Self> {
        let acts = runs
            .iter()
            .flat_map(|run| run.first.iter().chain(&run.last));
        Self::of(acts.map(|act| act.seq), "").into_iter().collect()
    }

    /// Lineage: what its edges stand on; and what came since, where it was asked what was made later.
    pub fn of_lineage(edges: &[Edge], direction: Direction) -> Vec<Self> {
        let acts = edges
            .iter()
            .flat_map(|edge| edge.basis.iter().chain([&edge.act]));
        let whole = Self::of(acts.map(|act| act.seq), "");
        let whole = whole.map(|whole| match direction {
            Direction::Up => whole,
            Direction::Down | Direction::All => whole.with_open_end(),
        });
        whole.into_iter().collect()
    }
}
