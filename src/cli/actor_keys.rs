//! Keys of actors: whose key it is that signed an entry, as entries before it say.
//!
//! A key is registered for an identity by an event `key.register`, and taken back by `key.revoke`: the key is the target,
//! the identity the grantee. What counts is the order of the ledger, which nobody can alter.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::answer::{Ask, Asker, MAX_PAGE_SIZE, entries};
use super::arguments::Global;
use super::bodies::malformed;
use super::failure::Failure;
use super::render::escape;
use crate::entry::json::Row;
use crate::entry::signature::key_name;
use crate::index::filter::Filter;

/// Says that a key is somebody's from here on.
pub(super) const REGISTER: &str = "key.register";
/// Says that it is no more.
pub(super) const REVOKE: &str = "key.revoke";

/// The target that stands for the key called `name`.
pub(super) fn target(name: &str) -> String {
    format!("iam://ledger/key/{name}")
}

/// A registration, or its end.
struct Statement {
    seq: u64,
    registers: bool,
    identity: String,
    said_by: String,
}

/// What the entries before `seq` said last of the key as one of `actor`.
fn last_about<'a>(statements: &'a [Statement], actor: &str, seq: u64) -> Option<&'a Statement> {
    let mut backwards = statements.iter().rev();
    backwards.find(|statement| statement.seq < seq && statement.identity == actor)
}

/// The name of the key that signed an entry; nothing where there is no signature.
fn signer(row: &Row) -> Option<String> {
    let signature = row.envelope.as_ref()?.actor_signature.as_ref()?;
    key_name(signature)
}

/// What an actor's signature on the entry `seq` is worth, in words that are safe to print; nothing where there is none.
/// Entries that are not below `size` do not count.
pub(super) async fn attestation(
    asker: &Asker,
    row: &Row,
    seq: u64,
    size: u64,
) -> Result<Option<String>, Failure> {
    let Some(key) = signer(row) else {
        return Ok(None);
    };
    let Some(actor) = row.actor() else {
        return Ok(Some("not attested: the entry names no actor".to_owned()));
    };
    let statements = statements(asker, &key, seq, size).await?;
    let said = match last_about(&statements, actor, seq) {
        Some(last) if last.registers => format!(
            "attested: the key is {}'s, as entry {} says, sent by {}",
            escape(actor),
            last.seq,
            escape(&last.said_by)
        ),
        Some(last) => format!(
            "not attested: entry {} had revoked the key, sent by {}",
            last.seq,
            escape(&last.said_by)
        ),
        None => match statements.last() {
            Some(other) => format!(
                "not attested: the key is not {}'s; entry {} says that it is {}'s",
                escape(actor),
                other.seq,
                escape(&other.identity)
            ),
            None => "not attested: no entry before it says whose key it is".to_owned(),
        },
    };
    Ok(Some(said))
}

/// Tells which entries of an answer are attested, and by which registrations. Each key is asked about once.
#[derive(Default)]
pub(super) struct Attested {
    keys: BTreeMap<String, Vec<Statement>>,
    /// The registrations relied on, in words, by their seqs.
    relied_on: BTreeMap<u64, String>,
    /// Signed entries that are not attested.
    others: u64,
}

impl Attested {
    /// Whether the entry `seq` of an answer at the tree size `size` was signed by a key that was its actor's, as entries before it say.
    pub(super) async fn holds(
        &mut self,
        asker: &Asker,
        row: &Row,
        seq: u64,
        size: Option<u64>,
    ) -> Result<bool, Failure> {
        let size = size.unwrap_or(0);
        let (Some(key), Some(actor)) = (signer(row), row.actor()) else {
            self.others += 1;
            return Ok(false);
        };
        let statements = match self.keys.entry(key) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(unknown) => {
                let found = statements(asker, unknown.key(), size, size).await?;
                unknown.insert(found)
            }
        };
        match last_about(statements, actor, seq) {
            Some(last) if last.registers => {
                let by = || {
                    let (actor, said_by) = (escape(actor), escape(&last.said_by));
                    format!(
                        "a key is {actor}'s, as entry {} says, sent by {said_by}",
                        last.seq
                    )
                };
                self.relied_on.entry(last.seq).or_insert_with(by);
                Ok(true)
            }
            _ => {
                self.others += 1;
                Ok(false)
            }
        }
    }

    /// Says what it relied on, and what it left out.
    pub(super) fn say(&self, global: &Global) {
        for registration in self.relied_on.values() {
            global.say(registration);
        }
        if self.others > 0 {
            let others = entries(self.others);
            global.say(&format!(
                "signed, not attested, and not shown: {others}; `graven show` says why"
            ));
        }
    }
}

/// What the entries before `seq` say of a key, in their order.
async fn statements(
    asker: &Asker,
    key: &str,
    seq: u64,
    size: u64,
) -> Result<Vec<Statement>, Failure> {
    if seq == 0 {
        return Ok(Vec::new());
    }
    let filter = format!(
        "target = \"{}\" AND (action = {REGISTER} OR action = {REVOKE}) \
         AND NOT outcome = failure AND NOT outcome = denied",
        target(key)
    );
    let mut answer = asker.ask(Ask {
        filter: Filter::parse(&filter).map_err(|error| Failure::other(error.to_string()))?,
        range: 0..seq,
        descending: false,
        size: Some(size),
        prove: true,
        page_size: MAX_PAGE_SIZE,
    });
    let mut statements = Vec::new();
    while let Some((header, body)) = answer.next().await? {
        let row = Row::new(&header, &body).map_err(|invalid| malformed(&invalid.to_string()))?;
        let Some(what) = &row.what else { continue };
        statements.push(Statement {
            seq: header.seq,
            registers: what.action == REGISTER,
            identity: what.grantee.clone(),
            said_by: row
                .submitter()
                .unwrap_or("somebody who is withheld")
                .to_owned(),
        });
    }
    Ok(statements)
}
