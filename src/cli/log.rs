//! `graven log`: the entries that match, in order, with the proof that none is missing; or how many, by what.

use std::process::ExitCode;

use clap::Args;

use super::actor_keys::Attested;
use super::answer::{Answer, Ask, Asker, MAX_PAGE_SIZE, entries};
use super::arguments::{Connection, Format, Global, Output, Pinned};
use super::bodies::malformed;
use super::count::{CountAsk, Counted};
use super::expand::{Linking, expand};
use super::failure::Failure;
use super::groups;
use super::heard;
use super::queries::QueriesFile;
use super::question::Question;
use super::render::RowWriter;
use super::state::{self, AsOf};
use super::summary::Summary;
use crate::entry::json::Row;
use crate::index::Plan;
use crate::index::filter::{Expression, Filter, FilterError};

/// A table shows so many entries unless asked for more.
const DEFAULT_TABLE_LIMIT: u64 = 40;
/// Some entries could not be judged.
const PARTIAL: u8 = 6;
/// Nothing matched, and that was asked about.
const NO_MATCH: u8 = 1;
/// Pages that are asked for to say how many more there are.
const PAGES_FOR_TOTAL: u64 = 4;

#[derive(Debug, Args)]
#[command(
    args_override_self = true,
    after_help = "FILTER is written as in AIP-160: action = file.update AND NOT outcome = failure.\n\
    Fields, wildcards and times: docs/filter.md.\n\
    @NAME stands for a question that was kept with --save NAME; `graven queries` lists them.\n\
    Ends with 6 if some entries cannot be judged, since parts are withheld."
)]
#[allow(clippy::struct_excessive_bools)] // Each is a switch of its own.
pub(super) struct Arguments {
    #[command(flatten)]
    pub(super) question: Question,
    #[command(flatten)]
    pub(super) linking: Linking,
    /// At most so many entries or groups; 0 for all [default: 40 in a table, all otherwise]
    #[arg(long, value_name = "N")]
    pub(super) limit: Option<u64>,
    /// The first so many
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..), conflicts_with_all = ["limit", "last", "reverse"])]
    first: Option<u64>,
    /// The last so many, oldest first
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=100_000), conflicts_with_all = ["limit", "reverse"])]
    last: Option<u64>,
    /// Only how many there are
    #[arg(long, conflicts_with_all = ["limit", "first", "last", "reverse"])]
    count: bool,
    /// How many there are by the values of a field, the most first
    #[arg(long, value_name = "FIELD", conflicts_with_all = ["count", "first", "last", "reverse"])]
    pub(super) group_by: Option<String>,
    /// No summary below a table
    #[arg(short = 'N', long)]
    no_summary: bool,
    /// Instead of entries, the newest version of every target at this time
    #[arg(
        long,
        value_name = "TIME",
        allow_hyphen_values = true,
        conflicts_with_all = ["limit", "first", "last", "count", "group_by", "no_proof", "explain", "exit_code"]
    )]
    as_of: Option<String>,
    /// Only what its actor signed, with a key that earlier entries say is the actor's
    #[arg(long, conflicts_with_all = ["count", "group_by", "as_of", "no_proof"])]
    attested: bool,
    /// Take the server's word that nothing is missing
    #[arg(long)]
    pub(super) no_proof: bool,
    /// Read and judge every entry in question, relying on no index
    #[arg(long, conflicts_with_all = ["no_proof", "count", "group_by"])]
    rederive: bool,
    /// Say how the index was used
    #[arg(long)]
    pub(super) explain: bool,
    /// End with 1 when nothing matches
    #[arg(long)]
    exit_code: bool,
    /// Keep this question under a name: the filter and the flags, without where to ask
    #[arg(long, value_name = "NAME")]
    save: Option<String>,
    #[command(flatten)]
    queries: QueriesFile,
    #[command(flatten)]
    pub(super) pinned: Pinned,
    #[command(flatten)]
    pub(super) output: Output,
    #[command(flatten)]
    pub(super) connection: Connection,
}

impl Arguments {
    /// What is asked for. What is not signed is not attested.
    fn filter(&self) -> Result<Filter, Failure> {
        let filter = self.question.filter()?;
        if !self.attested {
            return Ok(filter);
        }
        let usage = |error: FilterError| Failure::usage(error.to_string());
        let signed = Filter::parse("signed = true").map_err(usage)?;
        if *filter.expression() == Expression::All {
            return Ok(signed);
        }
        let both = [filter, signed].map(|filter| filter.expression().clone());
        Filter::new(Expression::And(both.into())).map_err(usage)
    }

    /// The most rows; 0 for all.
    pub(super) fn limit(&self) -> u64 {
        let default = match self.output.output {
            Format::Table => DEFAULT_TABLE_LIMIT,
            _ => 0,
        };
        self.first.or(self.last).or(self.limit).unwrap_or(default)
    }

    /// How a command ends that found so many entries, and could not judge some.
    pub(super) fn end(&self, found: u64, unknown: &[u64]) -> ExitCode {
        if !unknown.is_empty() {
            ExitCode::from(PARTIAL)
        } else if found == 0 && self.exit_code {
            ExitCode::from(NO_MATCH)
        } else {
            ExitCode::SUCCESS
        }
    }

    /// How the entries are counted.
    pub(super) fn count_ask(&self, filter: Filter, size: Option<u64>) -> Result<CountAsk, Failure> {
        Ok(CountAsk {
            filter,
            range: self.question.range()?,
            size,
            group_by: None,
            prove: !self.no_proof,
            pages: None,
        })
    }
}

/// Shows the state at a time.
async fn as_of(arguments: &Arguments, time: &str, global: &Global) -> Result<ExitCode, Failure> {
    let (targets, basis) = arguments.question.targets()?;
    let asked = AsOf {
        time,
        targets,
        basis,
        size: arguments.question.at,
        rederive: arguments.rederive,
        no_links: arguments.linking.no_links,
        pinned: &arguments.pinned,
        connection: &arguments.connection,
        output: &arguments.output,
    };
    state::run(&asked, global).await
}

pub(super) async fn run(arguments: &Arguments, global: &Global) -> Result<ExitCode, Failure> {
    if let Some(time) = &arguments.as_of {
        return as_of(arguments, time, global).await;
    }
    // What is kept has to be a question.
    let filter = arguments.filter()?;
    if let Some(name) = &arguments.save {
        arguments.queries.save(name, global)?;
    }
    if arguments.count || arguments.group_by.is_some() {
        return groups::run(arguments, global).await;
    }
    let (limit, question) = (arguments.limit(), &arguments.question);
    let range = question.range()?;
    let prove = !arguments.no_proof;
    let asker = Asker::connect(&arguments.connection, &arguments.pinned).await?;
    let asked = filter;
    let expanded = expand(
        &asker,
        asked.clone(),
        question.at,
        prove,
        &arguments.linking,
    )
    .await?;
    expanded.say(global);
    let filter = expanded.filter;
    let ask = Ask {
        filter: filter.clone(),
        range: range.clone(),
        descending: question.reverse || arguments.last.is_some(),
        size: expanded.size,
        prove,
        page_size: page_size(limit),
    };
    let mut answer = asker.ask(ask).rederived(arguments.rederive)?;
    let mut rows = RowWriter::new(arguments.output.output);
    let mut summary = Summary::default();
    let mut attested = arguments.attested.then(Attested::default);
    let mut turned = Vec::new();
    let mut shown = 0;
    let mut more = false;
    while let Some((header, body)) = answer.next().await? {
        let row = Row::new(&header, &body).map_err(|invalid| malformed(&invalid.to_string()))?;
        if let Some(attested) = &mut attested {
            let (seq, size) = (header.seq, answer.worth().size);
            if !attested.holds(&asker, &row, seq, size).await? {
                continue;
            }
        }
        if limit > 0 && shown == limit {
            more = true;
            break;
        }
        summary.add(&row);
        shown += 1;
        if arguments.last.is_some() {
            turned.push(row);
        } else {
            rows.write(row)?;
        }
    }
    for row in turned.into_iter().rev() {
        rows.write(row)?;
    }
    rows.flush_and_say(global)?;
    rows.finish()?;
    let worth = answer.worth();
    question.check_start(worth.size)?;
    if arguments.explain {
        worth.explain(global, &filter);
    }
    let untold = attested.map_or_else(Vec::new, |attested| attested.say(global));
    if more {
        let mut ask = arguments.count_ask(filter, worth.size)?;
        ask.pages = Some(PAGES_FOR_TOTAL);
        let total = total(&asker, &ask, global).await?;
        say_more(arguments, global, shown, total.as_ref(), &answer);
        if arguments.wants_summary(global) {
            match total {
                Some(total) => summary = Summary::of_all(&asker, &ask, &total.counts).await?,
                None if shown > 1 => global.say("of those shown:"),
                None => {}
            }
        }
    } else {
        answer.say(global, shown);
    }
    let asked = heard::Asked {
        filter: &asked,
        range,
        size: answer.worth().size.unwrap_or(0),
        prove,
    };
    heard::say(&asker, global, &asked, shown).await?;
    if arguments.wants_summary(global) && shown > 1 {
        summary.say(global);
    }
    let unknown = [&answer.worth().unknown[..], &untold].concat();
    Ok(arguments.end(shown, &unknown))
}

impl Arguments {
    fn wants_summary(&self, global: &Global) -> bool {
        self.output.output == Format::Table && !self.no_summary && !global.quiet
    }
}

/// One more than is shown, to tell whether there are more.
fn page_size(limit: u64) -> u64 {
    match limit {
        0 => MAX_PAGE_SIZE,
        limit => limit.saturating_add(1).min(MAX_PAGE_SIZE),
    }
}

/// How many entries match, if the index can tell without much ado.
async fn total(asker: &Asker, ask: &CountAsk, global: &Global) -> Result<Option<Counted>, Failure> {
    if global.quiet || !Plan::new(&ask.filter).is_exact() {
        return Ok(None);
    }
    asker.count(ask).await
}

/// Says that not all are shown.
fn say_more(
    arguments: &Arguments,
    global: &Global,
    shown: u64,
    total: Option<&Counted>,
    answer: &Answer,
) {
    let which = match (arguments.first, arguments.last) {
        (Some(_), _) => "the first ",
        (_, Some(_)) => "the last ",
        _ => "",
    };
    let hint = match which {
        "" => ": --limit 0 for all",
        _ => "",
    };
    if let Some(total) = total {
        let all = entries(total.counts.total.count);
        global.say(&format!("showing {which}{shown} of {all}{hint}"));
        total.worth.say(global, &all, answer.trust());
    } else {
        let shown = entries(shown);
        let size = answer.worth().size;
        let of = size.map_or_else(String::new, |size| format!(" at checkpoint {size}"));
        global.say(&format!("showing {which}{shown}, there are more{of}{hint}"));
    }
}
