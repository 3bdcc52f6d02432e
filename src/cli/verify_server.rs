//! `graven verify --server`: a walk through all entries of a server.

use std::process::ExitCode;
use std::time::Instant;

use tokio_stream::StreamExt;

use super::accuse::Accuser;
use super::arguments::Global;
use super::bodies::{self, Received, receive};
use super::connect::{Client, connect_to_ask};
use super::failure::Failure;
use super::rederive::{GROUP, Group, Merging, check_group};
use super::verify::{Arguments, conclude, facts_of, progress};
use super::verify_index;
use crate::entry::v1;
use crate::ledger::in_parallel;
use crate::note::VerifierKey;
use crate::verify::{Audit, Finding};

/// Groups of entries that are checked together, on all processors.
const GROUPS_AT_ONCE: usize = 16;

/// Verifies everything that a server has.
pub(super) async fn run(
    arguments: &Arguments,
    pinned: Option<&VerifierKey>,
    minimum: Option<&str>,
    global: &Global,
) -> Result<ExitCode, Failure> {
    let (mut client, query) = connect_to_ask(&arguments.connection).await?;
    let genesis = client
        .get_genesis(v1::GetGenesisRequest {})
        .await?
        .into_inner();
    let genesis = bodies::genesis(&genesis.descriptor)?;
    let merging = arguments.rederive.then(|| Merging::start(&genesis));
    let merging = merging.transpose()?;
    let mut walk = Walk {
        audit: Audit::new(&genesis, pinned, minimum),
        origin: genesis.origin(),
        merging,
    };
    let started = Instant::now();
    let mut answers = client
        .list_entries(v1::ListEntriesRequest::default())
        .await?
        .into_inner();
    let mut checkpoint = String::new();
    let mut waiting = Vec::new();
    let bar = progress(global);
    while let Some(answer) = answers.next().await {
        let answer = answer?;
        if checkpoint.is_empty() {
            checkpoint = answer.checkpoint;
        }
        waiting.extend(answer.entries);
        if waiting.len() >= GROUPS_AT_ONCE * GROUP {
            // Segments begin where groups do.
            let rest = waiting.split_off(waiting.len() / GROUP * GROUP);
            if walk.fold(&std::mem::replace(&mut waiting, rest))?.is_err() {
                break;
            }
            bar.set_position(walk.audit.size());
        }
    }
    // A finding is kept by the audit, and is what it ends with.
    let _ = walk.fold(&waiting)?;
    walk.look_again(&mut client).await?;
    let Walk { audit, merging, .. } = walk;
    let rederivation = merging.map(Merging::finish).transpose()?;
    bar.finish_and_clear();
    let report = audit.finish(&checkpoint);
    let mut facts = facts_of(&report);
    let Some(rederivation) = rederivation.filter(|_| !verify_index::is_tampered(&report.verdict))
    else {
        return conclude(&report.verdict, &facts);
    };
    verify_index::say_rate(report.entries, started, global);
    let rederived = rederivation.report();
    facts.extend(verify_index::facts(&rederived));
    if let Some(found) = &rederived.first_false {
        let (genesis, key) = (&genesis, &report.key);
        let rederivation = &rederivation;
        let mut accuser = Accuser {
            client,
            query,
            genesis,
            key,
            rederivation,
        };
        match accuser.accuse(found).await {
            Ok(accused) => facts.extend(verify_index::accusation_facts(
                accused,
                arguments.out.as_deref(),
            )?),
            // What was found stands, whatever the server says now.
            Err(failure) => facts.push(format!("no proof for others: {failure}")),
        }
    }
    conclude(&report.verdict.and(rederived.verdict()), &facts)
}

/// A walk through all entries of a server.
struct Walk<'a> {
    audit: Audit,
    origin: &'a str,
    merging: Option<Merging>,
}

impl Walk<'_> {
    /// Asks for the entries once more where that takes it to hold erasures against holds.
    async fn look_again(&mut self, client: &mut Client) -> Result<(), Failure> {
        let Some(mut look) = self.audit.second_look() else {
            return Ok(());
        };
        let request = v1::ListEntriesRequest {
            end_seq: Some(look.end()),
            ..Default::default()
        };
        let mut answers = client.list_entries(request).await?.into_inner();
        let mut finding = None;
        while finding.is_none()
            && look.size() < look.end()
            && let Some(answer) = answers.next().await
        {
            for entry in answer?.entries {
                let received = receive(&entry)?;
                if finding.is_none() {
                    finding = look.push(&received.header, Some(&received.body)).err();
                }
            }
        }
        self.audit.settle(&look, finding);
        Ok(())
    }

    /// Checks entries on all processors, and folds them in order.
    fn fold(&mut self, entries: &[v1::Entry]) -> Result<Result<(), Finding>, Failure> {
        let received = entries
            .iter()
            .zip(self.audit.size()..)
            .map(|(entry, seq)| Ok((seq, receive(entry)?)))
            .collect::<Result<Vec<(u64, Received)>, Failure>>()?;
        let groups: Vec<&[(u64, Received)]> = received.chunks(GROUP).collect();
        let derive = self.merging.is_some();
        let checked = in_parallel(&groups, |groups| {
            let check = |group: &&[_]| check_group(self.origin, group, derive);
            groups.iter().map(check).collect()
        });
        for Group { entries, chunk } in checked {
            for entry in entries {
                let folded = match entry {
                    Ok(entry) => self.audit.fold(&entry),
                    Err(finding) => Err(self.audit.fail(finding)),
                };
                if folded.is_err() {
                    return Ok(folded);
                }
            }
            if let (Some(merging), Some(chunk)) = (&self.merging, chunk) {
                merging.push(chunk);
            }
        }
        Ok(Ok(()))
    }
}
