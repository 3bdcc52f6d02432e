//! `graven export`: the answer to a question as a file, as evidence or for other tools.

mod case;
mod made;
mod ocsf;
mod timesketch;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};

use super::answer::{Ask, Asker, MAX_PAGE_SIZE};
use super::arguments::{Connection, Format, Global, Pinned};
use super::bodies::malformed;
use super::expand::{Linking, expand};
use super::failure::Failure;
use super::files::NewFile;
use super::heard;
use super::prove::parts;
use super::question::Question;
use super::render::RowWriter;
use crate::entry::Tag;
use crate::entry::json::Row;

/// Some entries could not be judged.
const PARTIAL: u8 = 6;

#[derive(Debug, Args)]
#[command(
    after_help = "A case is checked with graven verify FILE --key KEY, without a server: docs/evidence.md.\n\
    FILTER is written as in graven log: docs/filter.md.\n\
    Ends with 6 if some entries cannot be judged, since parts are withheld."
)]
pub(super) struct Arguments {
    #[command(flatten)]
    question: Question,
    #[command(flatten)]
    linking: Linking,
    /// End after so many entries; 0 for all
    #[arg(long, value_name = "N", default_value_t = 0)]
    limit: u64,
    /// The file to write [default: standard output, but for a case]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Overwrite the file
    #[arg(long, requires = "out")]
    force: bool,
    /// Parts to leave out: envelope, who, what, context, why, detail
    #[arg(long, value_name = "PARTS", value_delimiter = ',')]
    withhold: Vec<String>,
    /// A signed checkpoint that whoever gets the case has kept: prove that the ledger extends it
    #[arg(long, value_name = "FILE")]
    minimum: Option<PathBuf>,
    /// Format of the file
    #[arg(short, long, value_enum, default_value_t, value_name = "FORMAT")]
    output: ExportFormat,
    #[command(flatten)]
    pinned: Pinned,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum ExportFormat {
    /// Evidence: the answer with its proof
    #[default]
    Case,
    /// A JSON object a line, as graven append reads
    Jsonl,
    /// The columns of graven log
    Csv,
    /// OCSF 1.8.0 events, a JSON object a line
    Ocsf,
    /// For Timesketch, a JSON object a line
    Timesketch,
    /// For Timesketch, as CSV
    TimesketchCsv,
}

pub(super) async fn run(arguments: &Arguments, global: &Global) -> Result<ExitCode, Failure> {
    let withhold = parts(&arguments.withhold)?;
    let out = arguments.out.as_deref();
    let out = out
        .map(|path| NewFile::create(path, arguments.force))
        .transpose()?;
    match (arguments.output, out) {
        (ExportFormat::Case, Some(out)) => case::run(arguments, &withhold, out, global).await,
        (ExportFormat::Case, None) => Err(Failure::usage(
            "a case goes into a file: say which with --out FILE",
        )),
        (_, out) => rows(arguments, &withhold, out, global).await,
    }
}

/// Writes the entries that match, for other tools.
async fn rows(
    arguments: &Arguments,
    withhold: &[Tag],
    out: Option<NewFile>,
    global: &Global,
) -> Result<ExitCode, Failure> {
    let question = &arguments.question;
    let limit = arguments.limit;
    let (filter, range) = (question.filter()?, question.range()?);
    let asker = Asker::connect(&arguments.connection, &arguments.pinned).await?;
    let asked = filter.clone();
    let expanded = expand(&asker, filter, question.at, true, &arguments.linking).await?;
    expanded.say(global);
    let mut answer = asker.ask(Ask {
        filter: expanded.filter,
        range: range.clone(),
        descending: question.reverse,
        size: expanded.size,
        prove: true,
        page_size: page_size(limit),
    });
    let file = out.as_ref().map(NewFile::writer).transpose()?;
    let mut writer = Writer::new(arguments.output, answer.origin(), file);
    let mut written = 0;
    while (limit == 0 || written < limit)
        && let Some((header, body)) = answer.next().await?
    {
        let body = body.withhold(withhold);
        let row = Row::new(&header, &body).map_err(|invalid| malformed(&invalid.to_string()))?;
        writer.write(row)?;
        written += 1;
    }
    writer.finish()?;
    question.check_start(answer.worth().size)?;
    if let Some(out) = out {
        out.finish()?;
    }
    answer.say(global, written);
    let asked = heard::Asked {
        filter: &asked,
        range,
        size: answer.worth().size.unwrap_or(0),
        prove: true,
    };
    heard::say(&asker, global, &asked, written).await?;
    Ok(if answer.worth().unknown.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(PARTIAL)
    })
}

const fn page_size(limit: u64) -> u64 {
    if limit == 0 || limit > MAX_PAGE_SIZE {
        MAX_PAGE_SIZE
    } else {
        limit
    }
}

/// Writes rows as the format has them.
enum Writer {
    Rows(RowWriter),
    Ocsf(Box<dyn Write>, String),
    Timesketch(Box<dyn Write>),
    TimesketchCsv(Box<dyn Write>, bool),
}

impl Writer {
    fn new(format: ExportFormat, origin: &str, file: Option<Box<dyn Write>>) -> Self {
        let out = file.unwrap_or_else(|| Box::new(io::BufWriter::new(io::stdout())));
        match format {
            ExportFormat::Csv => Self::Rows(RowWriter::with_out(Format::Csv, out)),
            ExportFormat::Ocsf => Self::Ocsf(out, origin.to_owned()),
            ExportFormat::Timesketch => Self::Timesketch(out),
            ExportFormat::TimesketchCsv => Self::TimesketchCsv(out, false),
            ExportFormat::Case | ExportFormat::Jsonl => {
                Self::Rows(RowWriter::with_out(Format::Jsonl, out))
            }
        }
    }

    fn write(&mut self, row: Row) -> io::Result<()> {
        match self {
            Self::Rows(rows) => rows.write(row),
            Self::Ocsf(out, origin) => ocsf::write(out, &row, origin),
            Self::Timesketch(out) => timesketch::write_json(out, &row),
            Self::TimesketchCsv(out, begun) => {
                if !std::mem::replace(begun, true) {
                    timesketch::write_columns(out)?;
                }
                timesketch::write_record(out, &row)
            }
        }
    }

    fn finish(self) -> io::Result<()> {
        match self {
            Self::Rows(rows) => rows.finish(),
            Self::Ocsf(mut out, _) | Self::Timesketch(mut out) => out.flush(),
            Self::TimesketchCsv(mut out, begun) => {
                if !begun {
                    timesketch::write_columns(&mut out)?;
                }
                out.flush()
            }
        }
    }
}
