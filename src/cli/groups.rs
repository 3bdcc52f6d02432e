//! `graven log --count` and `--group-by`: how many entries match, all together and by the values of a field.

use std::process::ExitCode;

use super::answer::{Asker, Trust, entries, thousands};
use super::arguments::{Format, Global};
use super::count::Counted;
use super::expand::expand;
use super::failure::Failure;
use super::heard;
use super::log::Arguments;
use super::render::{Group, Moment, RECORDED_NOTE, write_count, write_groups};
use crate::index::{GroupBy, Tally};

pub(super) async fn run(arguments: &Arguments, global: &Global) -> Result<ExitCode, Failure> {
    let asked = arguments.question.filter()?;
    let by = arguments
        .group_by
        .as_deref()
        .map(GroupBy::parse)
        .transpose();
    let by = by.map_err(|error| Failure::usage(format!("--group-by: {error}")))?;
    let asker = Asker::connect(&arguments.connection, &arguments.pinned).await?;
    let (size, prove) = (arguments.question.at, !arguments.no_proof);
    let expanded = expand(&asker, asked.clone(), size, prove, &arguments.linking).await?;
    expanded.say(global);
    let mut ask = arguments.count_ask(expanded.filter, expanded.size)?;
    ask.group_by = by;
    let counted = asker.count(&ask).await?;
    let counted = counted.ok_or_else(|| Failure::other("the counts have too many pages"))?;
    arguments.question.check_start(counted.worth.size)?;
    if arguments.explain {
        counted.worth.explain(global, &ask.filter);
    }
    let trust = Trust {
        proved: ask.prove,
        pinned: asker.is_pinned(),
    };
    let total = counted.counts.total;
    match ask.group_by {
        None => {
            write_count(arguments.output.output, total)?;
            counted.worth.say(global, &entries(total.count), trust);
        }
        Some(by) => show(arguments, global, &asker, &counted, by, trust).await?,
    }
    let asked = heard::Asked {
        filter: &asked,
        range: ask.range,
        size: counted.worth.size.unwrap_or(0),
        prove,
    };
    heard::say(&asker, global, &asked, total.count).await?;
    Ok(arguments.end(total.count, &counted.worth.unknown))
}

/// Shows the groups, the largest first, and last the entries that have no value.
async fn show(
    arguments: &Arguments,
    global: &Global,
    asker: &Asker,
    counted: &Counted,
    by: GroupBy,
    trust: Trust,
) -> Result<(), Failure> {
    let counts = &counted.counts;
    let mut groups: Vec<(&Vec<u8>, &Tally)> = counts.groups.iter().collect();
    groups.sort_by_key(|(term, tally)| (std::cmp::Reverse(tally.count), *term));
    let all = groups.len() as u64;
    let limit = match arguments.limit() {
        0 => usize::MAX,
        limit => usize::try_from(limit).unwrap_or(usize::MAX),
    };
    groups.truncate(limit);
    let ends = groups
        .iter()
        .flat_map(|(_, tally)| [tally.first, tally.last]);
    let times = asker
        .entries(ends, counted.worth.size, trust.proved)
        .await?;
    let moment = |seq: u64| {
        let row = times.get(&seq);
        Moment {
            seq,
            recorded: row.is_some_and(|row| row.occurred_at.is_none()),
            time: row.map(|row| row.occurred_at.clone().unwrap_or(row.recorded_at.clone())),
        }
    };
    let mut rows: Vec<Group> = groups
        .iter()
        .map(|(term, tally)| Group {
            value: Some(by.value(term)),
            cut: by.is_cut(term),
            count: tally.count,
            of: counts.total.count,
            first: Some(moment(tally.first)),
            last: Some(moment(tally.last)),
        })
        .collect();
    let shown = rows.len() as u64;
    if counts.absent > 0 {
        rows.push(Group {
            count: counts.absent,
            of: counts.total.count,
            ..Group::default()
        });
    }
    write_groups(arguments.output.output, by.name(), &rows)?;
    let mut moments = rows
        .iter()
        .flat_map(|row| [&row.first, &row.last])
        .flatten();
    if arguments.output.output == Format::Table && moments.any(|moment| moment.recorded) {
        global.say(RECORDED_NOTE);
    }
    let values = match all {
        1 => "1 value".to_owned(),
        all => format!("{} values", thousands(all)),
    };
    if shown < all {
        global.say(&format!("showing {shown} of {values}: --limit 0 for all"));
    }
    let what = format!("{} with {values}", entries(counts.total.count));
    counted.worth.say(global, &what, trust);
    Ok(())
}
