//! The history of a target.

use std::collections::BTreeMap;
use std::io::{self, Write};

use comfy_table::{ColumnConstraint, Width};
use serde::Serialize;

use super::escape::escape;
use super::records::{ACT_COLUMNS, ActRecord, Machine, Record, when_marked, write_records};
use super::table::{text, with_columns};
use crate::cli::arguments::Format;
use crate::entry::json::{Row, short_version, time};
use crate::entry::v1::Version;
use crate::inquiry::{Act, Change, Gap, Step, Unsure};

/// Writes the rows of the history of `target`. `rows` has every entry of it.
pub(crate) fn write_history(
    format: Format,
    target: &str,
    steps: &[Step],
    rows: &BTreeMap<u64, Row>,
) -> io::Result<()> {
    let Some(machine) = Machine::of(format) else {
        return write_table(target, steps);
    };
    let records: Vec<StepRecord<'_>> = steps
        .iter()
        .filter_map(|step| StepRecord::new(step, rows))
        .collect();
    let mut columns = vec!["kind"];
    columns.extend(ACT_COLUMNS);
    columns.extend([
        "ticket",
        "target",
        "previous_target",
        "before",
        "after",
        "from_seq",
        "to_seq",
        "from",
        "to",
    ]);
    write_records(machine, &columns, &records)
}

/// What fits into the column of versions.
const NARROW: u16 = 23;

fn write_table(target: &str, steps: &[Step]) -> io::Result<()> {
    let mut table = with_columns(&["SEQ", "WHEN", "WHO", "BEFORE → AFTER", "WHY"], &[0, 1]);
    // Two digests, cut short, stand below each other.
    if let Some(column) = table.column_mut(3) {
        let width = Width::Fixed(NARROW + 2);
        column.set_constraint(ColumnConstraint::LowerBoundary(width));
    }
    for step in steps {
        table.add_row(match step {
            Step::Change(change) => cells(target, change),
            Step::Gap(gap) => gap_cells(gap),
            Step::Unsure(unsure) => unsure_cells(unsure),
        });
    }
    let mut out = io::BufWriter::new(io::stdout().lock());
    writeln!(out, "{}", text(table))?;
    out.flush()
}

fn cells(target: &str, change: &Change) -> [String; 5] {
    let act = &change.act;
    let foreign = if act.foreign {
        format!("\n(of {})", escape(&change.owner))
    } else {
        String::new()
    };
    let mut what = vec![
        action(act),
        narrow_arrow(change.before.as_ref(), change.after.as_ref()),
    ];
    match (&change.moved_to, &change.previous_name) {
        (Some(to), _) => what.push(format!("moved to {}", escape(to))),
        (None, Some(from)) => what.push(format!("from {}", escape(from))),
        (None, None) => {}
    }
    if change.name != target {
        what.push(format!("as {}", escape(&change.name)));
    }
    let why = [&act.reason, &act.ticket];
    let why: Vec<_> = why
        .into_iter()
        .filter(|text| !text.is_empty())
        .map(|text| escape(text))
        .collect();
    [
        act.seq.to_string(),
        when_marked(act),
        format!("{}{foreign}", escape(act.actor.text())),
        what.join("\n"),
        if why.is_empty() {
            "-".to_owned()
        } else {
            why.join("\n")
        },
    ]
}

fn action(act: &Act) -> String {
    let action = escape(&act.action);
    match act.outcome {
        Some("success") | None => action.into_owned(),
        Some(outcome) => format!("{action} ({outcome})"),
    }
}

fn gap_cells(gap: &Gap) -> [String; 5] {
    let put_back = match gap.put_back {
        Some(seq) => format!("\nput back to what\nentry {seq} left"),
        None => String::new(),
    };
    [
        "gap".to_owned(),
        format!("{}\n{}", when_marked(&gap.earlier), when_marked(&gap.later)),
        "unknown".to_owned(),
        format!(
            "changed by unknown\nbetween entry {}\nand entry {}\n{}{put_back}",
            gap.earlier.seq,
            gap.later.seq,
            narrow_arrow(Some(&gap.left), Some(&gap.found)),
        ),
        "nobody recorded it".to_owned(),
    ]
}

fn unsure_cells(unsure: &Unsure) -> [String; 5] {
    [
        "?".to_owned(),
        format!(
            "{}\n{}",
            when_marked(&unsure.earlier),
            when_marked(&unsure.later)
        ),
        "-".to_owned(),
        format!(
            "cannot be told\nbetween entry {}\nand entry {}",
            unsure.earlier.seq, unsure.later.seq
        ),
        unsure.why.to_owned(),
    ]
}

/// The same, on two lines when one would be long.
fn narrow_arrow(before: Option<&Version>, after: Option<&Version>) -> String {
    let arrow = arrow(before, after);
    if arrow.chars().count() > usize::from(NARROW) {
        arrow.replace(" → ", "\n→ ")
    } else {
        arrow
    }
}

/// Both versions in few characters.
pub(super) fn arrow(before: Option<&Version>, after: Option<&Version>) -> String {
    let short = |version: Option<&Version>| match version.map(short_version) {
        Some(text) if !text.is_empty() => escape(&text).into_owned(),
        _ => "-".to_owned(),
    };
    format!("{} → {}", short(before), short(after))
}

#[derive(Serialize)]
#[serde(untagged)]
enum StepRecord<'a> {
    /// The entry as every command writes it.
    Change {
        #[serde(flatten)]
        row: &'a Row,
        #[serde(skip)]
        change: &'a Change,
    },
    Between(Box<BetweenRecord<'a>>),
}

/// Something is missing between two entries, or it cannot be told.
#[derive(Serialize)]
struct BetweenRecord<'a> {
    kind: &'static str,
    target: &'a str,
    from_seq: u64,
    to_seq: u64,
    from: Option<String>,
    to: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    left: Option<Vec<&'a str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    found: Option<Vec<&'a str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    put_back_seq: Option<u64>,
    why: String,
}

impl<'a> StepRecord<'a> {
    fn new(step: &'a Step, rows: &'a BTreeMap<u64, Row>) -> Option<Self> {
        let time = |act: &Act| time::write(act.when());
        Some(match step {
            Step::Change(change) => Self::Change {
                row: rows.get(&change.act.seq)?,
                change,
            },
            Step::Gap(gap) => Self::Between(Box::new(BetweenRecord {
                kind: "gap",
                target: &gap.name,
                from_seq: gap.earlier.seq,
                to_seq: gap.later.seq,
                from: time(&gap.earlier),
                to: time(&gap.later),
                left: Some(ids(&gap.left)),
                found: Some(ids(&gap.found)),
                put_back_seq: gap.put_back,
                why: format!(
                    "changed by unknown between entry {} and entry {}",
                    gap.earlier.seq, gap.later.seq
                ),
            })),
            Step::Unsure(unsure) => Self::Between(Box::new(BetweenRecord {
                kind: "unsure",
                target: &unsure.name,
                from_seq: unsure.earlier.seq,
                to_seq: unsure.later.seq,
                from: time(&unsure.earlier),
                to: time(&unsure.later),
                left: None,
                found: None,
                put_back_seq: None,
                why: unsure.why.to_owned(),
            })),
        })
    }
}

/// The ids, or the word for the state.
pub(super) fn ids(version: &Version) -> Vec<&str> {
    if version.ids.is_empty() {
        let state = crate::inquiry::state(version);
        return state.into_iter().collect();
    }
    version.ids.iter().map(String::as_str).collect()
}

impl Record for StepRecord<'_> {
    fn cells(&self) -> Vec<String> {
        let version = |version: Option<&Version>| version.map(ids).unwrap_or_default().join(" ");
        match self {
            Self::Change { change, .. } => {
                let mut cells = vec!["event".to_owned()];
                cells.extend(ActRecord::new(&change.act).cells());
                cells.extend([
                    change.act.ticket.clone(),
                    change
                        .moved_to
                        .clone()
                        .unwrap_or_else(|| change.name.clone()),
                    match change.moved_to {
                        Some(_) => change.name.clone(),
                        None => change.previous_name.clone().unwrap_or_default(),
                    },
                    version(change.before.as_ref()),
                    version(change.after.as_ref()),
                ]);
                cells.resize(cells.len() + 4, String::new());
                cells
            }
            Self::Between(between) => {
                let joined = |ids: &Option<Vec<&str>>| ids.clone().unwrap_or_default().join(" ");
                let mut cells = vec![between.kind.to_owned()];
                // The reason stands where the reasons of others do.
                cells.resize(ACT_COLUMNS.len(), String::new());
                cells.push(between.why.clone());
                cells.extend([
                    String::new(),
                    between.target.to_owned(),
                    String::new(),
                    joined(&between.left),
                    joined(&between.found),
                    between.from_seq.to_string(),
                    between.to_seq.to_string(),
                    between.from.clone().unwrap_or_default(),
                    between.to.clone().unwrap_or_default(),
                ]);
                cells
            }
        }
    }
}
