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
use crate::entry::{Header, Tag};
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

/// What entries say of a key, in their order.
#[derive(Default)]
struct Statements {
    said: Vec<Statement>,
    /// Entries that may say something of it, and do not show what they say, ascending.
    untold: Vec<u64>,
}

impl Statements {
    /// What the entries before `seq` said last of the key as one of `actor`.
    ///
    /// # Errors
    ///
    /// An entry behind that one which may say something else, and does not show it.
    fn last_about(&self, actor: &str, seq: u64) -> Result<Option<&Statement>, u64> {
        let mut backwards = self.said.iter().rev();
        let last = backwards.find(|statement| statement.seq < seq && statement.identity == actor);
        let behind = last.map_or(0, |last| last.seq)..seq;
        match self.untold.iter().find(|untold| behind.contains(untold)) {
            Some(untold) => Err(*untold),
            None => Ok(last),
        }
    }
}

/// The name of the key that signed an entry; nothing where there is no signature.
fn signer(row: &Row) -> Option<String> {
    let signature = row.envelope.as_ref()?.actor_signature.as_ref()?;
    key_name(signature)
}

/// What an actor's signature on an entry is worth, in words that are safe to print; nothing where there is none.
/// Entries that are not below `size` do not count.
pub(super) async fn attestation(
    asker: &Asker,
    header: &Header,
    row: &Row,
    size: u64,
) -> Result<Option<String>, Failure> {
    if !header.actor_signature {
        return Ok(None);
    }
    let (Some(key), Some(actor)) = (signer(row), row.actor()) else {
        return Ok(Some(match hidden(row) {
            Some(tag) => format!(
                "cannot be told whether attested: {} is withheld",
                tag.name()
            ),
            None => "not attested: the entry names no actor".to_owned(),
        }));
    };
    let seq = header.seq;
    let statements = statements(asker, &key, seq, size).await?;
    let last = match statements.last_about(actor, seq) {
        Ok(last) => last,
        Err(untold) => {
            return Ok(Some(format!(
                "cannot be told whether attested: what entry {untold} says is withheld"
            )));
        }
    };
    let said = match last {
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
        None => match statements.said.last() {
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

/// The part that is not shown, and that it takes to tell whose key signed an entry.
fn hidden(row: &Row) -> Option<Tag> {
    let needed = [Tag::Envelope, Tag::Who];
    needed.into_iter().find(|tag| row.withheld.contains(tag))
}

/// Tells which entries of an answer are attested, and by which registrations. Each key is asked about once.
#[derive(Default)]
pub(super) struct Attested {
    keys: BTreeMap<String, Statements>,
    /// The registrations relied on, in words, by their seqs.
    relied_on: BTreeMap<u64, String>,
    /// Signed entries that are not attested.
    others: u64,
    /// Signed entries of which it cannot be told, since parts are withheld.
    untold: Vec<u64>,
}

impl Attested {
    /// Whether the entry `seq` of an answer at the tree size `size` was signed by a key that was its actor's, as entries
    /// before it say.
    pub(super) async fn holds(
        &mut self,
        asker: &Asker,
        row: &Row,
        seq: u64,
        size: Option<u64>,
    ) -> Result<bool, Failure> {
        let size = size.unwrap_or(0);
        let (Some(key), Some(actor)) = (signer(row), row.actor()) else {
            match hidden(row) {
                Some(_) => self.untold.push(seq),
                None => self.others += 1,
            }
            return Ok(false);
        };
        let statements = match self.keys.entry(key) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(unknown) => {
                let found = statements(asker, unknown.key(), size, size).await?;
                unknown.insert(found)
            }
        };
        match statements.last_about(actor, seq) {
            Ok(Some(last)) if last.registers => {
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
            Ok(_) => {
                self.others += 1;
                Ok(false)
            }
            Err(_) => {
                self.untold.push(seq);
                Ok(false)
            }
        }
    }

    /// Says what it relied on, and what it left out. Gives the entries of which it cannot be told.
    pub(super) fn say(self, global: &Global) -> Vec<u64> {
        for registration in self.relied_on.values() {
            global.say(registration);
        }
        if self.others > 0 {
            let others = entries(self.others);
            global.say(&format!(
                "signed, not attested, and not shown: {others}; `graven show` says why"
            ));
        }
        if !self.untold.is_empty() {
            let seqs: Vec<String> = self.untold.iter().map(u64::to_string).collect();
            let seqs = seqs.join(", ");
            global.say(&format!(
                "signed, and not shown, since it cannot be told whether attested: parts are withheld of, or before, {seqs}"
            ));
        }
        self.untold
    }
}

/// What the entries before `seq` say of a key.
async fn statements(asker: &Asker, key: &str, seq: u64, size: u64) -> Result<Statements, Failure> {
    if seq == 0 {
        return Ok(Statements::default());
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
    let mut said = Vec::new();
    while let Some((header, body)) = answer.next().await? {
        let row = Row::new(&header, &body).map_err(|invalid| malformed(&invalid.to_string()))?;
        let Some(what) = &row.what else { continue };
        said.push(Statement {
            seq: header.seq,
            registers: what.action == REGISTER,
            identity: what.grantee.clone(),
            said_by: row
                .submitter()
                .unwrap_or("somebody who is withheld")
                .to_owned(),
        });
    }
    let untold = answer.worth().unknown.clone();
    Ok(Statements { said, untold })
}
