//! A question as it is typed: a filter, and flags for what is asked most.

use std::ops::Range;

use clap::{Args, ValueEnum, value_parser};
use jiff::Timestamp;

use super::failure::Failure;
use super::time;
use crate::index::filter::Filter;
use crate::inquiry::TimeBasis;

/// Flags of a question about entries.
#[derive(Debug, Args)]
pub(super) struct Question {
    #[command(flatten)]
    which: Which,
    /// First seq
    #[arg(long, value_name = "SEQ", default_value_t = 0)]
    from: u64,
    /// Last seq
    #[arg(long, value_name = "SEQ")]
    to: Option<u64>,
    /// At this time or later: 2024-06-20T14:00:00Z, 2024-06-20, -7d, "yesterday 14:00"
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    since: Option<String>,
    /// Before this time
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    until: Option<String>,
    /// Which time --since and --until are about: when the ledger recorded it, or when it
    /// happened, as claimed
    #[arg(long, value_enum, default_value_t, value_name = "TIME")]
    by: By,
    /// Newest first
    #[arg(long)]
    pub(super) reverse: bool,
    /// As it was when the ledger had so many entries
    #[arg(long, value_name = "SIZE", value_parser = value_parser!(u64).range(1..))]
    pub(super) at: Option<u64>,
}

/// Which entries, whenever they come.
#[derive(Debug, Args)]
pub(super) struct Which {
    /// Which entries [default: all]
    filter: Vec<String>,
    #[command(flatten)]
    fields: Fields,
}

/// What is asked for most, as flags. `*` stands for anything, `!` in front for all others; one flag twice means either.
#[derive(Debug, Args)]
struct Fields {
    /// Who acted, as claimed
    #[arg(long, value_name = "ACTOR")]
    actor: Vec<String>,
    /// What was done
    #[arg(long, value_name = "ACTION")]
    action: Vec<String>,
    /// What was acted upon
    #[arg(long, value_name = "TARGET")]
    target: Vec<String>,
    /// A version that was there, came out or was used
    #[arg(long, value_name = "DIGEST")]
    digest: Vec<String>,
    /// In which run
    #[arg(long, value_name = "RUN")]
    run: Vec<String>,
    /// Which system recorded it
    #[arg(long, value_name = "SOURCE")]
    source: Vec<String>,
    /// How it ended: success, failure, denied
    #[arg(long, value_name = "OUTCOME")]
    outcome: Vec<String>,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
pub(super) enum By {
    #[default]
    Recorded,
    Occurred,
}

impl Fields {
    /// The fields that the flags are about, with what was asked of each.
    fn named(&self) -> [(&'static str, &[String]); 7] {
        // Taken apart, so that no flag is forgotten here.
        let Self {
            actor,
            action,
            target,
            digest,
            run,
            source,
            outcome,
        } = self;
        [
            ("actor", actor),
            ("action", action),
            ("target", target),
            ("digest", digest),
            ("run", run),
            ("source", source),
            ("outcome", outcome),
        ]
    }
}

impl Question {
    /// The names of targets that are asked about, and which time counts; refused when anything else is asked for.
    pub(super) fn targets(&self) -> Result<(&[String], TimeBasis), Failure> {
        let named = self.which.fields.named();
        let others = named.iter().filter(|(field, _)| *field != "target");
        let mut others = others
            .map(|(_, values)| *values)
            .chain([self.which.filter.as_slice()]);
        let ranged = self.from > 0 || self.to.is_some() || self.since.is_some();
        let ranged = ranged || self.until.is_some() || self.reverse;
        if ranged || others.any(|values| !values.is_empty()) {
            return Err(Failure::usage(
                "--as-of shows the state of targets: choose them with --target alone",
            ));
        }
        let target = &self.which.fields.target;
        if target.iter().any(|name| name.starts_with('!')) {
            return Err(Failure::usage(
                "--as-of takes no --target with a ! in front",
            ));
        }
        let basis = match self.by {
            By::Recorded => TimeBasis::Recorded,
            By::Occurred => TimeBasis::Occurred,
        };
        Ok((target, basis))
    }

    /// The seqs asked about.
    pub(super) fn range(&self) -> Result<Range<u64>, Failure> {
        let end = self.to.map_or(u64::MAX, |last| last.saturating_add(1));
        if self.from > end {
            return Err(Failure::usage("--from is after --to"));
        }
        Ok(self.from..end)
    }

    /// Refuses a first seq beyond a tree of `size` entries.
    pub(super) fn check_start(&self, size: Option<u64>) -> Result<(), Failure> {
        let from = self.from;
        match size.filter(|size| from > *size) {
            Some(size) => Err(Failure::usage(format!(
                "--from {from} is beyond the end, {size}"
            ))),
            None => Ok(()),
        }
    }

    /// The filter that the flags and the text ask for together.
    pub(super) fn filter(&self) -> Result<Filter, Failure> {
        let (filter, _) = self.filter_and_text()?;
        Ok(filter)
    }

    /// The same, with its text as it was asked.
    pub(super) fn filter_and_text(&self) -> Result<(Filter, String), Failure> {
        let mut all = self.which.texts()?;
        let field = match self.by {
            By::Recorded => "recorded_at",
            By::Occurred => "occurred_at",
        };
        let now = Timestamp::now();
        for (flag, comparator, text) in [("since", ">=", &self.since), ("until", "<", &self.until)]
        {
            if let Some(text) = text {
                let time = time::parse(flag, text, now)?;
                let time = Timestamp::from_nanosecond(time.into())
                    .map_err(|error| Failure::usage(format!("--{flag} {text}: {error}")))?;
                all.push(format!("{field} {comparator} {time}"));
            }
        }
        let text = all.join(" AND ");
        Ok((parse(&text)?, text))
    }
}

impl Which {
    /// The filter that the flags and the text ask for together.
    pub(super) fn filter(&self) -> Result<Filter, Failure> {
        parse(&self.texts()?.join(" AND "))
    }

    /// Filters, all of which an entry has to match.
    fn texts(&self) -> Result<Vec<String>, Failure> {
        let mut all = Vec::new();
        let text = self.filter.join(" ");
        parse(&text)?;
        if !text.trim().is_empty() {
            all.push(format!("({text})"));
        }
        for (field, values) in self.fields.named() {
            let values = if field == "digest" {
                values.iter().map(|digest| begun(digest)).collect()
            } else {
                values.to_vec()
            };
            all.extend(either(field, &values));
        }
        Ok(all)
    }
}

fn parse(text: &str) -> Result<Filter, Failure> {
    Filter::parse(text).map_err(|error| {
        Failure::usage(format!("the filter is wrong {error}")).at_place(error.caret(text))
    })
}

/// A SHA-256 digest that ends early, as tables show it, stands for all that begin so.
fn begun(digest: &str) -> String {
    const DIGITS: usize = 64;
    let hex = digest.trim_start_matches('!').strip_prefix("sha256:");
    let is_begun = hex.is_some_and(|hex| {
        (1..DIGITS).contains(&hex.len()) && hex.bytes().all(|byte| byte.is_ascii_hexdigit())
    });
    let star = if is_begun { "*" } else { "" };
    format!("{digest}{star}")
}

/// A flag's values as a filter: one of those, and none of those behind a `!`.
pub(super) fn either(field: &str, values: &[String]) -> Option<String> {
    let quoted = |value: &str| format!("{field} = {}", quoted(value, &['\\', '"']));
    let (others, any): (Vec<&String>, Vec<&String>) =
        values.iter().partition(|value| value.starts_with('!'));
    let any: Vec<String> = any.iter().map(|value| quoted(value)).collect();
    let mut all: Vec<String> = others
        .iter()
        .filter_map(|value| value.strip_prefix('!'))
        .map(|value| format!("NOT {}", quoted(value)))
        .collect();
    if !any.is_empty() {
        all.insert(0, format!("({})", any.join(" OR ")));
    }
    (!all.is_empty()).then(|| format!("({})", all.join(" AND ")))
}

/// A text in quotes, with a backslash before these characters.
fn quoted(text: &str, escaped: &[char]) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        if escaped.contains(&character) {
            quoted.push('\\');
        }
        quoted.push(character);
    }
    quoted.push('"');
    quoted
}
