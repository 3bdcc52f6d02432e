//! What could have reached a run.

use std::io;

use serde::Serialize;

use super::escape::escape;
use super::history::{arrow, ids};
use super::lines::Lines;
use super::records::{ACT_COLUMNS, ActRecord, Machine, Record, when, write_records};
use crate::cli::arguments::Format;
use crate::inquiry::{Reason, ReasonKind, RunRecord, Whose};

/// Writes the reasons; the text for people begins with what was recorded of the run itself.
pub(crate) fn write_reasons(format: Format, run: &RunRecord, reasons: &[Reason]) -> io::Result<()> {
    let Some(machine) = Machine::of(format) else {
        return write_text(run, reasons);
    };
    let records: Vec<ReasonRecord<'_>> = reasons.iter().map(ReasonRecord::new).collect();
    let mut columns = vec!["kind", "whose"];
    columns.extend(ACT_COLUMNS);
    columns.extend(["target", "owner", "before", "after", "why"]);
    write_records(machine, &columns, &records)
}

fn write_text(run: &RunRecord, reasons: &[Reason]) -> io::Result<()> {
    let mut out = Lines::stdout();
    for line in about(run) {
        out.write(&line, ABOUT)?;
    }
    let sections = [
        (Whose::Foreign, "By others"),
        (Whose::Unknown, "By unknown"),
        (Whose::Own, "By its own"),
    ];
    for (whose, heading) in sections {
        let of_section: Vec<&Reason> = reasons
            .iter()
            .filter(|reason| reason.whose == whose)
            .collect();
        if of_section.is_empty() {
            continue;
        }
        out.write("", "")?;
        out.write(heading, "")?;
        for reason in of_section {
            write_reason(&mut out, reason)?;
        }
    }
    out.finish()
}

/// Before what goes on in the next line: behind the names of what is said of the run, and of what a reason is about.
const ABOUT: &str = "              ";
const REASON: &str = "                ";

/// What was recorded of the run, in a few lines.
fn about(run: &RunRecord) -> Vec<String> {
    let list = |names: &mut dyn Iterator<Item = &String>| {
        let names: Vec<_> = names.map(|name| escape(name)).collect();
        names.join(", ")
    };
    let mut lines = vec![format!("run {}", escape(&run.id))];
    let gpus = run.gpus.map(|gpus| gpus.to_string()).unwrap_or_default();
    let time = |act: &Option<crate::inquiry::Act>| act.as_ref().map(when).unwrap_or_default();
    let facts = [
        ("job", escape(&run.job).into_owned()),
        ("gpus", gpus),
        ("accounts", list(&mut run.accounts.iter())),
        ("jobs", list(&mut run.jobs.iter())),
        ("first seen", time(&run.first)),
        ("last seen", time(&run.last)),
    ];
    let said = facts.iter().filter(|(_, value)| !value.is_empty());
    lines.extend(said.map(|(name, value)| format!("  {name:10}  {value}")));
    lines
}

fn write_reason(out: &mut Lines, reason: &Reason) -> io::Result<()> {
    let change = &reason.change;
    let act = &change.act;
    let owner = match change.owner.as_str() {
        owner if act.foreign => format!(" (of {})", escape(owner)),
        _ => String::new(),
    };
    let line = format!(
        "  {:10}  {}{owner}  entry {}, {}, {}",
        reason.kind.word(),
        escape(act.actor.text()),
        act.seq,
        when(act),
        escape(&act.action),
    );
    out.write(&line, REASON)?;
    let versions = if change.before.is_some() || change.after.is_some() {
        arrow(change.before.as_ref(), change.after.as_ref())
    } else {
        String::new()
    };
    let what = format!("{}  {versions}", escape(&change.name));
    out.write(&format!("{ABOUT}{}", what.trim_end()), REASON)?;
    out.write(&format!("{ABOUT}{}", escape(&reason.why)), REASON)?;
    if !act.reason.is_empty() && reason.kind != ReasonKind::Unrecorded {
        let said = format!("{ABOUT}said why: {}", escape(&act.reason));
        out.write(&said, REASON)?;
    }
    Ok(())
}

#[derive(Serialize)]
struct ReasonRecord<'a> {
    kind: &'static str,
    whose: &'static str,
    #[serde(flatten)]
    act: ActRecord<'a>,
    target: &'a str,
    owner: &'a str,
    before: Option<Vec<&'a str>>,
    after: Option<Vec<&'a str>>,
    why: &'a str,
}

impl<'a> ReasonRecord<'a> {
    fn new(reason: &'a Reason) -> Self {
        let change = &reason.change;
        Self {
            kind: reason.kind.word(),
            whose: reason.whose.word(),
            act: ActRecord::new(&change.act),
            target: &change.name,
            owner: &change.owner,
            before: change.before.as_ref().map(ids),
            after: change.after.as_ref().map(ids),
            why: &reason.why,
        }
    }
}

impl Record for ReasonRecord<'_> {
    fn cells(&self) -> Vec<String> {
        let joined = |ids: &Option<Vec<&str>>| ids.clone().unwrap_or_default().join(" ");
        let mut cells = vec![self.kind.to_owned(), self.whose.to_owned()];
        cells.extend(self.act.cells());
        cells.extend([
            self.target.to_owned(),
            self.owner.to_owned(),
            joined(&self.before),
            joined(&self.after),
            self.why.to_owned(),
        ]);
        cells
    }
}
