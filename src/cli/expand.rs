//! Names that mean the same: asks a ledger for the links of a filter's names, and makes it ask for all of them.

use std::collections::BTreeSet;

use clap::Args;

use super::answer::{Ask, Asker, MAX_PAGE_SIZE};
use super::arguments::Global;
use super::bodies::malformed;
use super::failure::Failure;
use super::render::escape;
use crate::entry::json::time;
use crate::index::Facts;
use crate::index::filter::Filter;
use crate::inquiry::{Alias, Expander, Expansion, Inquiry, Links, Rename, Renames, Span};

/// Renames that are said, of those that there are.
const SAID_RENAMES: usize = 5;

/// Whether names stand for others.
#[derive(Debug, Clone, Args)]
pub(super) struct Linking {
    /// Take names as they are, and neither for others that mean the same nor for others before and after a rename
    #[arg(long)]
    pub(super) no_links: bool,
}

/// A filter with all that its names mean.
pub(super) struct Expanded {
    pub(super) filter: Filter,
    /// The tree size of the links: that at which the filter has to be asked.
    pub(super) size: Option<u64>,
    expansions: Vec<Expansion>,
    /// Entries of which it cannot be told whether they link names, or rename what has one.
    unknown: BTreeSet<u64>,
    /// What its targets were called at other times.
    renamed: Renamed,
}

/// What is known of the renames of a filter's targets.
enum Renamed {
    /// It was not asked, or there are none.
    No,
    /// These, and perhaps more.
    These(Vec<Rename>, bool),
    /// Whoever asks may not read it.
    Denied,
}

/// The filter with every name in it replaced by all that it means at `size`, the newest if it is none.
pub(super) async fn expand(
    asker: &Asker,
    filter: Filter,
    size: Option<u64>,
    prove: bool,
    linking: &Linking,
) -> Result<Expanded, Failure> {
    let mut links = Links::of_filter(&filter);
    let mut expanded = Expanded {
        filter,
        size,
        expansions: Vec::new(),
        unknown: BTreeSet::new(),
        renamed: Renamed::No,
    };
    if linking.no_links {
        return Ok(expanded);
    }
    let asked = ask_links(asker, &mut links, size, prove).await?;
    expanded.size = asked.size;
    expanded.unknown = asked.unknown;
    expanded.expansions = links.expansions();
    expanded.filter = Expander::new(&expanded.expansions)
        .expand(&expanded.filter)
        .map_err(|_| {
            let names: usize = expanded.expansions.iter().map(|e| e.aliases.len()).sum();
            Failure::usage(format!(
                "the filter is too large with the {names} names that mean the same: --no-links \
                 takes names as they are"
            ))
        })?;
    let mut renames = Renames::of_filter(&expanded.filter);
    match ask_all(asker, &mut renames, expanded.size, prove).await {
        Ok(asked) => {
            expanded.size = asked.size;
            expanded.unknown.extend(asked.unknown);
            let found: Vec<Rename> = renames.found().cloned().collect();
            if !found.is_empty() || renames.is_cut_off() {
                expanded.renamed = Renamed::These(found, renames.is_cut_off());
            }
        }
        Err(failure) if failure.is_denied() => expanded.renamed = Renamed::Denied,
        Err(failure) => return Err(failure),
    }
    Ok(expanded)
}

/// At which size was asked, and of which entries it cannot be told.
pub(super) struct AskedAll {
    pub(super) size: Option<u64>,
    pub(super) unknown: BTreeSet<u64>,
}

/// Asks for links.
pub(super) async fn ask_links(
    asker: &Asker,
    links: &mut Links,
    size: Option<u64>,
    prove: bool,
) -> Result<AskedAll, Failure> {
    let asked = ask_all(asker, links, size, prove).await.map_err(|failure| {
        // Whoever may not ask about links may ask about names.
        if failure.is_denied() && !prove {
            Failure::other(
                "this reader may not read which names mean the same: --no-links takes names as they are",
            )
        } else {
            failure
        }
    })?;
    if links.is_cut_off() {
        return Err(too_many_names());
    }
    Ok(asked)
}

/// Asks until nothing is left to ask, all at one size.
pub(super) async fn ask_all(
    asker: &Asker,
    inquiry: &mut impl Inquiry,
    size: Option<u64>,
    prove: bool,
) -> Result<AskedAll, Failure> {
    let mut asked = AskedAll {
        size,
        unknown: BTreeSet::new(),
    };
    while let Some(question) = inquiry.next() {
        let mut answer = asker.ask(Ask {
            filter: question.filter,
            range: question.range,
            descending: question.descending,
            size: asked.size,
            prove,
            page_size: MAX_PAGE_SIZE,
        });
        while let Some((header, body)) = answer.next().await? {
            let facts =
                Facts::new(&header, &body).map_err(|error| malformed(&error.to_string()))?;
            if inquiry.take(&facts).is_break() {
                break;
            }
        }
        asked.size = asked.size.or(answer.worth().size);
        asked.unknown.extend(&answer.worth().unknown);
    }
    Ok(asked)
}

impl Expanded {
    /// Says what names were taken for what others, and on whose word.
    pub(super) fn say(&self, global: &Global) {
        say_expansions(global, &self.expansions);
        if !self.unknown.is_empty() {
            let seqs: Vec<String> = self.unknown.iter().map(u64::to_string).collect();
            global.say(&format!(
                "cannot be told whether these link or rename names, since parts are withheld: {}",
                seqs.join(", ")
            ));
        }
        self.say_renames(global);
    }

    /// Says that what is asked about had other names at other times, which the answer leaves out.
    fn say_renames(&self, global: &Global) {
        let (renames, more) = match &self.renamed {
            Renamed::No => return,
            Renamed::Denied => {
                global.say("whether these names were others before is not told to this reader");
                return;
            }
            Renamed::These(renames, more) => (renames, *more),
        };
        for Rename { seq, from, to } in renames.iter().take(SAID_RENAMES) {
            let (from, to) = (escape(from), escape(to));
            global.say(&format!("{from} was renamed to {to} by entry {seq}"));
        }
        match renames.len().saturating_sub(SAID_RENAMES) {
            _ if more => global.say("there are more renames than are followed"),
            0 => {}
            1 => global.say("and 1 more rename"),
            rest => global.say(&format!("and {rest} more renames")),
        }
        global.say(
            "what was done under its other names is not in this answer: ask for these too (graven blame follows them)",
        );
    }
}

/// Says what names were taken for what others, and on whose word.
pub(super) fn say_expansions(global: &Global, expansions: &[Expansion]) {
    for expansion in expansions {
        let name = escape(&expansion.name);
        for alias in &expansion.aliases {
            global.say(&format!("{name} is also {}", describe(alias)));
        }
    }
}

/// Why an answer is refused in which names would be left out.
pub(super) fn too_many_names() -> Failure {
    Failure::unchecked(
        "more names are linked with these than are followed: --no-links takes names as they are",
    )
}

/// A name with when it meant the same, and on whose word. Safe to print.
pub(super) fn describe(alias: &Alias) -> String {
    let spans: Vec<String> = alias.times.spans().iter().map(when).collect();
    let words: Vec<String> = alias
        .links
        .iter()
        .map(|link| {
            let submitter = match link.submitter.as_str() {
                "" => "somebody who is withheld",
                submitter => submitter,
            };
            format!(
                "{} in entry {}, sent by {}",
                escape(&link.authority),
                link.seq,
                escape(submitter)
            )
        })
        .collect();
    format!(
        "{}{}: {}",
        escape(&alias.name),
        spans.join(" and"),
        words.join("; ")
    )
}

fn when(span: &Span) -> String {
    let time = |time: i64| time::write(time).unwrap_or_else(|| format!("{time} ns"));
    match (span.from, span.to) {
        (None, None) => String::new(),
        (Some(from), None) => format!(" from {}", time(from)),
        (None, Some(to)) => format!(" until {}", time(to)),
        (Some(from), Some(to)) => format!(" from {} until {}", time(from), time(to)),
    }
}
