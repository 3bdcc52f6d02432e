//! The answer with its proof, as a case.

use std::ops::Range;
use std::path::Path;
use std::process::ExitCode;

use super::{Arguments, PARTIAL, made, page_size};
use crate::cli::answer::Asker;
use crate::cli::arguments::Global;
use crate::cli::bodies::{self, hashes, malformed, receive};
use crate::cli::connect::{Client, QueryClient, connect_to_ask};
use crate::cli::expand::expand;
use crate::cli::failure::Failure;
use crate::cli::files::NewFile;
use crate::entry::genesis::Genesis;
use crate::entry::{Tag, v1};
use crate::index::filter::Filter;
use crate::note::{Checkpoint, Note, VerifierKey};
use crate::verify::{
    Answered, Case, CaseAnswer, CaseCoverage, CasePage, Disclosure, Extends, Finding,
    MAX_CASE_BYTES, Question, Withholding, verify_page,
};
use prost::Message;

/// Writes a case to a new file.
pub(super) async fn run(
    arguments: &Arguments,
    withhold: &[Tag],
    out: NewFile,
    global: &Global,
) -> Result<ExitCode, Failure> {
    let (filter, asked) = arguments.question.filter_and_text()?;
    let asker = Asker::connect(&arguments.connection, &arguments.pinned).await?;
    let size = arguments.question.at;
    let expanded = expand(&asker, filter.clone(), size, true, &arguments.linking).await?;
    expanded.say(global);
    // A case proves the answer to what it says was asked: with the names that were added.
    let asked = if expanded.filter == filter {
        asked
    } else {
        expanded.filter.to_string()
    };
    let filter = expanded.filter;
    let pinned = arguments.pinned.key()?;
    let (mut client, query) = connect_to_ask(&arguments.connection).await?;
    let answer = client.get_genesis(v1::GetGenesisRequest {}).await?;
    let answer = answer.into_inner();
    let genesis = bodies::genesis(&answer.descriptor)?;
    let key = pinned
        .clone()
        .unwrap_or_else(|| genesis.verifier_key().clone());
    let mut gathering = Gathering {
        query,
        genesis: &genesis,
        key: &key,
        filter: &filter,
        withholding: Withholding::new(&filter, withhold),
        descending: arguments.question.reverse,
        open: arguments.question.range()?,
        size: expanded.size,
        limit: arguments.limit,
        bytes: 0,
        newest: None,
    };
    let pages = gathering.pages().await?;
    let size = gathering.size.unwrap_or(0);
    arguments.question.check_start(Some(size))?;
    let first = answer.first_entry.and_then(|first| first.entry);
    let Some(first) = first.filter(|_| size > 0) else {
        return Err(Failure::usage(
            "the ledger has no entries yet: there is nothing to prove",
        ));
    };
    let request = v1::GetInclusionProofRequest {
        seq: 0,
        tree_size: size,
    };
    let inclusion = client
        .get_inclusion_proof(request)
        .await?
        .into_inner()
        .proof;
    let extends = match (&arguments.minimum, &gathering.newest) {
        (Some(minimum), Some(newest)) => {
            let kept = read_checkpoint(minimum, genesis.origin(), &key)?;
            extends(&mut client, &kept, newest).await?
        }
        _ => None,
    };
    let mut case = Case {
        extends,
        coverage: None,
        made: made::here(),
        verifier_key: key.clone(),
        first_header: receive(&first)?.header,
        first_inclusion: hashes(&inclusion)?,
        answer: CaseAnswer {
            asked,
            filter: filter.to_string(),
            range: arguments.question.range()?,
            size,
            descending: arguments.question.reverse,
            answered: Answered::default(),
            pages,
        },
        discloses: Disclosure::default(),
        genesis: genesis.clone(),
    };
    case = case.complete(&key).map_err(unproved)?;
    case.coverage = gathering.coverage(&case.answer.answered).await?;
    if case.coverage.is_none() {
        global.say(
            "without the sources that were heard from: their proof would tell of what is withheld",
        );
    }
    let case = case.complete(&key).map_err(unproved)?;
    let shown = |tag: &&Tag| case.discloses.shows(**tag);
    if let Some(tag) = withhold.iter().find(shown) {
        return Err(Failure::other(format!(
            "the part {} was not withheld",
            tag.name()
        )));
    }
    write(&case, out)?;
    say(&case, arguments, pinned.is_some(), global);
    Ok(if case.answer.answered.unknown.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(PARTIAL)
    })
}

/// A checkpoint of the ledger that somebody kept.
fn read_checkpoint(path: &Path, origin: &str, key: &VerifierKey) -> Result<Checkpoint, Failure> {
    let text = std::fs::read(path).map_err(|error| Failure::file("reading", path, &error))?;
    let note = Note::parse(text);
    let checkpoint = note.and_then(|note| Checkpoint::open_note(&note, origin, key));
    checkpoint.map_err(|error| Failure::usage(format!("--minimum {}: {error}", path.display())))
}

/// The proof that the newest checkpoint extends one that was kept; none is needed when they are of one size.
async fn extends(
    client: &mut Client,
    kept: &Checkpoint,
    newest: &Checkpoint,
) -> Result<Option<Extends>, Failure> {
    let (old, new) = (kept.size(), newest.size());
    if old > new || (old == new && kept.root() != newest.root()) {
        return Err(Failure::tampered(format!(
            "the ledger of {new} entries does not extend the checkpoint of {old} that was kept"
        )));
    }
    if old == 0 || old == new {
        return Ok(None);
    }
    let request = v1::GetConsistencyProofRequest {
        old_size: old,
        new_size: new,
    };
    let proof = client
        .get_consistency_proof(request)
        .await?
        .into_inner()
        .proof;
    Ok(Some(Extends {
        size: old,
        root: *kept.root(),
        consistency: hashes(&proof)?,
    }))
}

fn unproved(finding: Finding) -> Failure {
    Failure::unproved("the answer is not proved to be complete", finding)
}

fn write(case: &Case, out: NewFile) -> Result<(), Failure> {
    let json = case.to_json();
    if json.len() > MAX_CASE_BYTES {
        return Err(too_large());
    }
    out.write_all(json.as_bytes())?;
    out.finish()
}

fn too_large() -> Failure {
    Failure::usage(format!(
        "the case would have more than {} MiB: ask for fewer entries, for example with --from and --to",
        MAX_CASE_BYTES >> 20
    ))
}

fn say(case: &Case, arguments: &Arguments, pinned: bool, global: &Global) {
    let answered = &case.answer.answered;
    let Range { start, end } = answered.window;
    let file = arguments
        .out
        .as_deref()
        .unwrap_or_else(|| "".as_ref())
        .display();
    let entries = match answered.matches {
        1 => "1 entry".to_owned(),
        matches => format!("{matches} entries"),
    };
    let size = answered.size;
    global.say(&format!(
        "{entries} of those from {start} to before {end}, proved complete to checkpoint {size}: check {file} with graven \
         verify {file} --key KEY"
    ));
    if !pinned {
        global.say("under the key that the server itself gave: pin the right one with --key");
    }
    if !answered.unknown.is_empty() {
        global.say(&format!(
            "{} more entries are shown of which it cannot be told, since parts are withheld or erased",
            answered.unknown.len()
        ));
    }
}

/// The pages of an answer while they are asked for.
struct Gathering<'a> {
    query: QueryClient,
    genesis: &'a Genesis,
    key: &'a VerifierKey,
    filter: &'a Filter,
    withholding: Withholding,
    descending: bool,
    /// What is not answered yet.
    open: Range<u64>,
    size: Option<u64>,
    limit: u64,
    /// Bytes of the pages so far.
    bytes: usize,
    /// The newest checkpoint of the pages so far.
    newest: Option<Checkpoint>,
}

impl Gathering<'_> {
    async fn pages(&mut self) -> Result<Vec<CasePage>, Failure> {
        let mut pages = Vec::new();
        let mut found = 0;
        loop {
            let page = self.page().await?;
            let question = Question {
                genesis: self.genesis,
                key: self.key,
                filter: self.filter,
                descending: self.descending,
                open: self.open.clone(),
                size: self.size,
            };
            let proved = verify_page(&question, &page).map_err(unproved)?;
            if self.descending {
                self.open.end = proved.window.start;
            } else {
                self.open.start = proved.window.end;
            }
            let newer = |newest: &Checkpoint| proved.checkpoint.size() > newest.size();
            if self.newest.as_ref().is_none_or(newer) {
                self.newest = Some(proved.checkpoint);
            }
            found += (proved.matches.len() + proved.unknown.len()) as u64;
            let encoded = page.encode_to_vec();
            self.bytes += encoded.len();
            // Base64 takes a third more, and the rows come on top.
            if self.bytes > MAX_CASE_BYTES / 4 * 3 {
                return Err(too_large());
            }
            pages.push(CasePage {
                encoded,
                rows: Vec::new(),
            });
            let is_answered = self.open.start >= self.open.end.min(proved.size);
            if is_answered || (self.limit > 0 && found >= self.limit) {
                return Ok(pages);
            }
        }
    }

    /// The sources of the entries that are answered for, counted; none if that would tell of what is withheld.
    async fn coverage(&mut self, answered: &Answered) -> Result<Option<CaseCoverage>, Failure> {
        let mut coverage = CaseCoverage::default();
        let mut request = v1::CountRequest {
            group_by: "source".into(),
            size: answered.size,
            start: answered.window.start,
            end: answered.window.end,
            prove: true,
            ..v1::CountRequest::default()
        };
        while !answered.window.is_empty() {
            let page = self.query.count(request.clone()).await?.into_inner();
            let next = page.next_page_token.clone();
            let page = self.withholding.coverage(page);
            let Some(page) = page.map_err(unproved)? else {
                return Ok(None);
            };
            let encoded = page.encode_to_vec();
            self.bytes += encoded.len();
            if self.bytes > MAX_CASE_BYTES / 4 * 3 {
                return Err(too_large());
            }
            coverage.pages.push(encoded);
            if next.is_empty() {
                break;
            }
            request.page_token = next;
        }
        Ok(Some(coverage))
    }

    /// The next page as it can be shown.
    async fn page(&mut self) -> Result<v1::SearchResponse, Failure> {
        loop {
            let order = if self.descending {
                v1::Order::Descending
            } else {
                v1::Order::Ascending
            };
            let end = self.open.end;
            let request = v1::SearchRequest {
                filter: self.withholding.to_ask().to_string(),
                order: order.into(),
                page_size: u32::try_from(page_size(self.limit)).unwrap_or(u32::MAX),
                page_token: String::new(),
                size: self.size.unwrap_or(0),
                start: self.open.start,
                end: if end == u64::MAX { 0 } else { end },
                prove: true,
            };
            let answer = self.query.search(request).await?.into_inner();
            // All pages are of one size, also one that has to be asked for again.
            let size = answer.size;
            if self.size.is_some_and(|asked| asked != size) {
                return Err(malformed("it is of another size"));
            }
            self.size = Some(size);
            if let Some(page) = self.withholding.page(answer).map_err(unproved)? {
                return Ok(page);
            }
        }
    }
}
