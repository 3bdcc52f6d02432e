//! A question that is asked over and over, about something else each time if it says so.

use std::sync::{Mutex, PoisonError};

use super::random::Random;
use crate::cli::answer::{Ask, Asker, MAX_PAGE_SIZE};
use crate::cli::failure::Failure;
use crate::index::filter::Filter;

/// A filter in which `{N}` stands for a number below N, another one each time.
#[derive(Debug, Clone)]
pub(super) struct Template {
    /// A text, and the bound of the number behind it.
    pieces: Vec<(String, u64)>,
    rest: String,
}

impl Template {
    /// Takes a text apart, and checks that it is a filter with any numbers.
    pub(super) fn parse(text: &str) -> Result<Self, Failure> {
        let mut pieces = Vec::new();
        let (mut before, mut rest) = (String::new(), text);
        while let Some((start, behind)) = rest.split_once('{') {
            before.push_str(start);
            let inside = behind.split_once('}');
            let bound = inside.and_then(|(bound, end)| Some((bound.parse().ok()?, end)));
            if let Some((bound @ 1.., end)) = bound {
                pieces.push((std::mem::take(&mut before), bound));
                rest = end;
            } else {
                before.push('{');
                rest = behind;
            }
        }
        before.push_str(rest);
        let template = Self {
            pieces,
            rest: before,
        };
        template.filter(|_| 0)?;
        Ok(template)
    }

    /// The filter with numbers that `number` gives for their bounds.
    fn filter(&self, mut number: impl FnMut(u64) -> u64) -> Result<Filter, Failure> {
        let mut text = String::new();
        for (piece, bound) in &self.pieces {
            text.push_str(piece);
            text.push_str(&number(*bound).to_string());
        }
        text.push_str(&self.rest);
        Filter::parse(&text).map_err(|error| {
            Failure::usage(format!("the filter is wrong {error}")).at_place(error.caret(&text))
        })
    }
}

/// What is asked, and whom.
pub(super) struct Query {
    asker: Asker,
    template: Template,
    random: Mutex<Random>,
    /// The most matches.
    limit: u64,
    prove: bool,
}

impl Query {
    /// Asks `asker` for the newest `limit` matches.
    pub(super) fn new(
        asker: Asker,
        template: Template,
        limit: u64,
        prove: bool,
    ) -> Result<Self, Failure> {
        Ok(Self {
            asker,
            template,
            random: Mutex::new(Random::new()?),
            limit,
            prove,
        })
    }

    /// The filter of the next question.
    pub(super) fn filter(&self) -> Result<Filter, Failure> {
        let mut random = self.random.lock().unwrap_or_else(PoisonError::into_inner);
        self.template.filter(|bound| random.below(bound))
    }

    /// Asks, and gives the number of matches.
    pub(super) async fn ask(&self, filter: Filter) -> Result<u64, Failure> {
        let mut answer = self.asker.ask(Ask {
            filter,
            range: 0..u64::MAX,
            descending: true,
            size: None,
            prove: self.prove,
            page_size: self.limit.min(MAX_PAGE_SIZE),
        });
        let mut matches = 0;
        while matches < self.limit && answer.next().await?.is_some() {
            matches += 1;
        }
        Ok(matches)
    }
}
