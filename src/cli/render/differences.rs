//! What differs under two runs.

use std::io;

use serde::Serialize;

use super::escape::escape;
use super::history::{arrow, ids};
use super::lines::Lines;
use super::records::{ACT_COLUMNS, ActRecord, Machine, Record, when, write_records};
use crate::cli::arguments::Format;
use crate::entry::json::short_version;
use crate::entry::v1::Version;
use crate::inquiry::{Change, Difference, Had, RunRecord, Shared};

/// Writes the differences, and what changed in shared paths.
pub(crate) fn write_differences(
    format: Format,
    runs: &[RunRecord; 2],
    differences: &[Difference],
    shared: &[Shared],
) -> io::Result<()> {
    let Some(machine) = Machine::of(format) else {
        return write_text(runs, differences, shared);
    };
    let mut rows = Vec::new();
    for difference in differences {
        rows.push(DiffRow::of_difference(difference, None));
        let changes = difference.changes.iter();
        rows.extend(changes.map(|change| DiffRow::of_difference(difference, Some(change))));
    }
    for path in shared {
        let changes = path.changes.iter();
        rows.extend(changes.map(|change| DiffRow::of_shared(path, change)));
    }
    let mut columns = vec![
        "kind",
        "aspect",
        "role",
        "name",
        "first",
        "first_seq",
        "second",
        "second_seq",
    ];
    columns.extend(ACT_COLUMNS);
    columns.extend(["target", "before", "after"]);
    write_records(machine, &columns, &rows)
}

fn write_text(
    runs: &[RunRecord; 2],
    differences: &[Difference],
    shared: &[Shared],
) -> io::Result<()> {
    let mut out = Lines::stdout();
    let [first, second] = runs;
    for run in runs {
        let started = run.first.as_ref().map(when).unwrap_or_default();
        let job = escape(&run.job);
        let line = format!("run {}  {job}  {started}", escape(&run.id));
        out.write(line.trim_end(), "  ")?;
    }
    let width = [&first.id, &second.id].map(|id| escape(id).chars().count());
    let width = width.into_iter().max().unwrap_or_default();
    for difference in differences {
        out.write("", "")?;
        out.write(&heading(difference), "  ")?;
        for (run, had) in [(first, &difference.first), (second, &difference.second)] {
            let line = format!("  {:width$}  {}", escape(&run.id), side(had.as_ref()));
            out.write(&line, HANG)?;
        }
        for change in &difference.changes {
            write_change(&mut out, "changed by", change)?;
        }
        if difference.changes.is_empty() && difference.was_asked() {
            out.write("  no entry says who changed it between the two runs", HANG)?;
        }
    }
    for path in shared {
        let why = if path.is_read {
            "both used it, the version was not recorded"
        } else {
            "beside what both read"
        };
        out.write("", "")?;
        out.write(&format!("shared {}  ({why})", escape(&path.path)), "  ")?;
        for change in &path.changes {
            write_change(&mut out, "changed by", change)?;
        }
    }
    out.finish()
}

/// Before what goes on in the next line.
const HANG: &str = "      ";

fn heading(difference: &Difference) -> String {
    let role = match difference.role.as_str() {
        "" => String::new(),
        role => format!(" {}", escape(role)),
    };
    let aspect = difference.aspect.word();
    let name = escape(&difference.name);
    if aspect == name {
        aspect.to_owned()
    } else {
        format!("{aspect}{role} {name}")
    }
}

fn side(had: Option<&Had>) -> String {
    match had {
        None => "-".to_owned(),
        Some(Had { value, seq }) if value.is_empty() => {
            format!("version not said  (entry {seq})")
        }
        Some(Had { value, seq }) => {
            let ids: Vec<String> = value.split(' ').map(str::to_owned).collect();
            let version = Version {
                ids,
                ..Default::default()
            };
            // Of a version its first id, of anything else all.
            let text = if value.contains(':') && value.len() > 40 {
                short_version(&version)
            } else {
                value.clone()
            };
            format!("{}  (entry {seq})", escape(&text))
        }
    }
}

fn write_change(out: &mut Lines, how: &str, change: &Change) -> io::Result<()> {
    let act = &change.act;
    let foreign = match change.owner.as_str() {
        owner if act.foreign => format!(" (of {})", escape(owner)),
        _ => String::new(),
    };
    let line = format!(
        "  {how} {}{foreign}  entry {}, {}, {}",
        escape(act.actor.text()),
        act.seq,
        when(act),
        escape(&act.action)
    );
    out.write(&line, HANG)?;
    let line = format!(
        "    {}  {}",
        escape(&change.name),
        arrow(change.before.as_ref(), change.after.as_ref())
    );
    out.write(&line, HANG)?;
    let why = [&act.reason, &act.ticket];
    let why: Vec<_> = why.into_iter().filter(|text| !text.is_empty()).collect();
    match why.as_slice() {
        [] => out.write("    no reason was given", HANG),
        why => {
            let why: Vec<_> = why.iter().map(|text| escape(text)).collect();
            out.write(&format!("    why: {}", why.join(", ")), HANG)
        }
    }
}

#[derive(Serialize)]
struct DiffRow<'a> {
    /// `difference`, `changed_by` or `shared`.
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    aspect: Option<&'static str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    role: &'a str,
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    first: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_seq: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    second: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    second_seq: Option<u64>,
    #[serde(flatten)]
    change: Option<ChangeRecord<'a>>,
}

#[derive(Serialize)]
struct ChangeRecord<'a> {
    #[serde(flatten)]
    act: ActRecord<'a>,
    target: &'a str,
    before: Option<Vec<&'a str>>,
    after: Option<Vec<&'a str>>,
}

impl<'a> ChangeRecord<'a> {
    fn new(change: &'a Change) -> Self {
        Self {
            act: ActRecord::new(&change.act),
            target: &change.name,
            before: change.before.as_ref().map(ids),
            after: change.after.as_ref().map(ids),
        }
    }
}

impl<'a> DiffRow<'a> {
    fn of_difference(difference: &'a Difference, change: Option<&'a Change>) -> Self {
        let (first, second) = (&difference.first, &difference.second);
        Self {
            kind: if change.is_some() {
                "changed_by"
            } else {
                "difference"
            },
            aspect: Some(difference.aspect.word()),
            role: &difference.role,
            name: &difference.name,
            first: first.as_ref().map(|had| had.value.as_str()),
            first_seq: first.as_ref().map(|had| had.seq),
            second: second.as_ref().map(|had| had.value.as_str()),
            second_seq: second.as_ref().map(|had| had.seq),
            change: change.map(ChangeRecord::new),
        }
    }

    fn of_shared(path: &'a Shared, change: &'a Change) -> Self {
        Self {
            kind: "shared",
            aspect: None,
            role: if path.is_read { "read" } else { "beside" },
            name: &path.path,
            first: None,
            first_seq: None,
            second: None,
            second_seq: None,
            change: Some(ChangeRecord::new(change)),
        }
    }
}

impl Record for DiffRow<'_> {
    fn cells(&self) -> Vec<String> {
        let seq = |seq: Option<u64>| seq.map(|seq| seq.to_string()).unwrap_or_default();
        let joined = |ids: &Option<Vec<&str>>| ids.clone().unwrap_or_default().join(" ");
        let mut cells = vec![
            self.kind.to_owned(),
            self.aspect.unwrap_or_default().to_owned(),
            self.role.to_owned(),
            self.name.to_owned(),
            self.first.unwrap_or_default().to_owned(),
            seq(self.first_seq),
            self.second.unwrap_or_default().to_owned(),
            seq(self.second_seq),
        ];
        match &self.change {
            Some(change) => {
                cells.extend(change.act.cells());
                cells.push(change.target.to_owned());
                cells.extend([joined(&change.before), joined(&change.after)]);
            }
            None => cells.resize(8 + ACT_COLUMNS.len() + 3, String::new()),
        }
        cells
    }
}
