//! Asks an inquiry's questions, each with the proof that its answer is complete, all at one size of the ledger.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::process::ExitCode;

use clap::{Args, value_parser};

use super::answer::{Ask, Asker, MAX_PAGE_SIZE};
use super::arguments::{Connection, Global, Pinned};
use super::bodies::malformed;
use super::expand::{Linking, say_expansions, too_many_names};
use super::failure::Failure;
use super::heard;
use crate::entry::Header;
use crate::entry::body::Body;
use crate::index::Facts;
use crate::index::filter::Filter;
use crate::inquiry::{Expansion, Inquiry, Stretch};

/// Some entries could not be judged.
const PARTIAL: u8 = 6;

/// Whom to ask, and at which size.
#[derive(Debug, Args)]
pub(super) struct Basis {
    /// As it was when the ledger had so many entries
    #[arg(long, value_name = "SIZE", value_parser = value_parser!(u64).range(1..))]
    at: Option<u64>,
    /// Read and judge every entry in question, relying on no index
    #[arg(long)]
    rederive: bool,
    #[command(flatten)]
    linking: Linking,
    #[command(flatten)]
    pinned: Pinned,
    #[command(flatten)]
    connection: Connection,
}

/// What the answers to all questions are worth together.
pub(super) struct Asked {
    asker: Asker,
    /// What names were taken for what others.
    expansions: Vec<Expansion>,
    /// The tree size at which all were answered.
    pub(super) size: u64,
    questions: u64,
    entries: u64,
    /// The last seal relied on, and the seq behind the last entry that its index covers.
    seal: Option<(u64, u64)>,
    unknown: BTreeSet<u64>,
    pinned: bool,
    /// No index was relied on.
    rederived: bool,
}

impl Basis {
    /// Whether names stand for others that mean the same.
    pub(super) fn follows_links(&self) -> bool {
        !self.linking.no_links
    }

    /// Asks until there is nothing left to ask.
    pub(super) async fn ask(&self, inquiry: &mut impl Inquiry) -> Result<Asked, Failure> {
        self.ask_seeing(inquiry, |_, _| Ok(())).await
    }

    /// The same, and shows every entry that was taken.
    pub(super) async fn ask_seeing(
        &self,
        inquiry: &mut impl Inquiry,
        see: impl FnMut(&Header, &Body) -> Result<(), Failure>,
    ) -> Result<Asked, Failure> {
        let asker = Asker::connect(&self.connection, &self.pinned).await?;
        ask_with(asker, self.at, self.rederive, inquiry, see).await
    }
}

/// Asks until there is nothing left to ask, at one size.
pub(super) async fn ask_at(
    connection: &Connection,
    pinned: &Pinned,
    size: Option<u64>,
    rederive: bool,
    inquiry: &mut impl Inquiry,
) -> Result<Asked, Failure> {
    let asker = Asker::connect(connection, pinned).await?;
    ask_with(asker, size, rederive, inquiry, |_, _| Ok(())).await
}

async fn ask_with(
    asker: Asker,
    size: Option<u64>,
    rederive: bool,
    inquiry: &mut impl Inquiry,
    mut see: impl FnMut(&Header, &Body) -> Result<(), Failure>,
) -> Result<Asked, Failure> {
    let mut asked = Asked {
        pinned: asker.is_pinned(),
        rederived: rederive,
        asker,
        expansions: Vec::new(),
        size: 0,
        questions: 0,
        entries: 0,
        seal: None,
        unknown: BTreeSet::new(),
    };
    let mut size = size;
    while let Some(question) = inquiry.next() {
        let answer = asked.asker.ask(Ask {
            filter: question.filter,
            range: question.range,
            descending: question.descending,
            size,
            prove: true,
            page_size: MAX_PAGE_SIZE,
        });
        let mut answer = answer.rederived(rederive)?;
        while let Some((header, body)) = answer.next().await? {
            let facts =
                Facts::new(&header, &body).map_err(|error| malformed(&error.to_string()))?;
            see(&header, &body)?;
            asked.entries += 1;
            if inquiry.take(&facts) == ControlFlow::Break(()) {
                break;
            }
        }
        let worth = answer.worth();
        // Every question is asked at one size.
        size = size.or(worth.size);
        asked.size = worth.size.unwrap_or(asked.size);
        asked.seal = worth.seal.or(asked.seal);
        asked.unknown.extend(&worth.unknown);
        asked.questions += 1;
    }
    if let Some(names) = inquiry.names() {
        if names.is_cut_off() {
            return Err(too_many_names());
        }
        asked.expansions = names.expansions().to_vec();
    }
    Ok(asked)
}

impl Asked {
    /// Says on standard error what names were taken for what others, what the answers are worth, and who was heard from of
    /// those that had something to say about the times of `filter`; every time if it is none.
    pub(super) async fn say(
        &self,
        global: &Global,
        found: usize,
        filter: Option<&Filter>,
    ) -> Result<(), Failure> {
        say_expansions(global, &self.expansions);
        self.say_worth(global);
        let everything = heard::everything()?;
        let asked = heard::Asked {
            filter: filter.unwrap_or(&everything),
            range: 0..u64::MAX,
            size: self.size,
            prove: true,
        };
        heard::say(&self.asker, global, &asked, found as u64).await
    }

    /// The same with who was heard from in these stretches; in the whole ledger if there are none.
    pub(super) async fn say_stretches(
        &self,
        global: &Global,
        found: usize,
        stretches: &[Stretch],
    ) -> Result<(), Failure> {
        say_expansions(global, &self.expansions);
        self.say_worth(global);
        heard::say_stretches(&self.asker, global, self.size, stretches, found as u64).await
    }

    fn say_worth(&self, global: &Global) {
        let count = |number: u64, one: &str, many: &str| match number {
            1 => format!("1 {one}"),
            number => format!("{number} {many}"),
        };
        let entries = count(self.entries, "entry", "entries");
        let questions = count(self.questions, "question", "questions");
        let size = self.size;
        let how = match self.seal {
            _ if self.rederived => "re-derived".to_owned(),
            Some((seal, covered)) if covered >= size => format!("sealed by entry {seal}"),
            Some((seal, covered)) => {
                let rest = size.saturating_sub(covered);
                format!("sealed by entry {seal}, {rest} checked one by one")
            }
            None => "every entry checked".to_owned(),
        };
        global.say(&format!(
            "{entries} in answer to {questions}: complete to checkpoint {size} ({how})"
        ));
        if !self.pinned {
            global.say("under the key that the server itself gave: pin the right one with --key");
        }
        if !self.unknown.is_empty() {
            let seqs: Vec<String> = self.unknown.iter().map(u64::to_string).collect();
            global.say(&format!(
                "cannot be told, since parts are withheld or erased: {}",
                seqs.join(", ")
            ));
        }
    }

    /// The exit code of a command that did what was asked as far as could be.
    pub(super) fn code(&self, cut_off: bool) -> ExitCode {
        if self.unknown.is_empty() && !cut_off {
            ExitCode::SUCCESS
        } else {
            ExitCode::from(PARTIAL)
        }
    }
}
