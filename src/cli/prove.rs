//! `graven prove`: one entry's evidence, for somebody who has no server.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::arguments::{Connection, Global, Pinned};
use super::bodies::{self, hashes, malformed, receive};
use super::connect::{Client, connect};
use super::failure::Failure;
use super::files::write_new;
use crate::entry::json::time;
use crate::entry::{Tag, v1};
use crate::note::{Checkpoint, Note, TlogProof};
use crate::verify::{ErasedBy, ErasedPart, ErasureEntry, Evidence, FirstEntry, Verdict};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Which entry
    seq: u64,
    /// The evidence file; never overwritten
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Parts to leave out: envelope, who, what, context, why, detail
    #[arg(long, value_name = "PARTS", value_delimiter = ',')]
    withhold: Vec<String>,
    #[command(flatten)]
    pinned: Pinned,
    #[command(flatten)]
    connection: Connection,
}

pub(super) async fn run(arguments: &Arguments, global: &Global) -> Result<ExitCode, Failure> {
    let withhold = parts(&arguments.withhold)?;
    let pinned = arguments.pinned.key()?;
    let mut client = connect(&arguments.connection).await?;
    let evidence = gather(&mut client, arguments.seq)
        .await?
        .withhold(&withhold);
    // What could not be verified is not handed on as evidence.
    let report = evidence.verify(pinned.as_ref(), None);
    if let Verdict::Tampered(finding) = &report.verdict {
        return Err(Failure::tampered(format!(
            "the server's evidence does not verify: {finding}"
        )));
    }
    write_new(&arguments.out, &evidence.to_json())?;
    global.say(&format!(
        "entry {} with its proof is in {}: check it with graven verify {} --key KEY",
        arguments.seq,
        arguments.out.display(),
        arguments.out.display()
    ));
    Ok(ExitCode::SUCCESS)
}

/// The parts of these names.
pub(super) fn parts(names: &[String]) -> Result<Vec<Tag>, Failure> {
    let tag = |name: &String| {
        Tag::ALL
            .into_iter()
            .find(|tag| tag.name() == name)
            .ok_or_else(|| {
                let known = Tag::ALL.map(Tag::name).join(", ");
                Failure::usage(format!("--withhold {name}: the parts are {known}"))
            })
    };
    names.iter().map(tag).collect()
}

/// The evidence of an entry, nothing of which is verified yet. Of an erased part it has the entry that says so.
pub(super) async fn gather(client: &mut Client, seq: u64) -> Result<Evidence, Failure> {
    let answer = client
        .get_entry(v1::GetEntryRequest { seq })
        .await?
        .into_inner();
    let genesis = client
        .get_genesis(v1::GetGenesisRequest {})
        .await?
        .into_inner();
    let descriptor = bodies::genesis(&genesis.descriptor)?;
    let note = Note::parse(&answer.checkpoint).map_err(|error| malformed(&error.to_string()))?;
    let checkpoint =
        Checkpoint::parse(note.text()).map_err(|error| malformed(&error.to_string()))?;
    let entry = answer.entry.unwrap_or_default();
    let mut says_so: Vec<u64> = entry
        .parts
        .iter()
        .filter_map(|part| part.erased_by)
        .collect();
    says_so.sort_unstable();
    says_so.dedup();
    let mut erasures = Vec::new();
    for seq in says_so {
        erasures.push(erasure(client, seq, &note, checkpoint.size()).await?);
    }
    let received = receive(&entry)?;
    let first_entry = if seq == 0 {
        None
    } else {
        let first = genesis
            .first_entry
            .and_then(|first| first.entry)
            .unwrap_or_default();
        Some(FirstEntry {
            header: receive(&first)?.header,
            proof: prove_in(client, 0, &note, checkpoint.size()).await?,
        })
    };
    Ok(Evidence {
        verifier_key: descriptor.verifier_key().clone(),
        genesis: descriptor,
        header: received.header,
        body: received.body,
        proof: proof_of(seq, &answer.proof, &note)?,
        erasures,
        first_entry,
    })
}

/// The entry that is said to say what was erased.
async fn erasure(
    client: &mut Client,
    seq: u64,
    note: &Note,
    size: u64,
) -> Result<ErasureEntry, Failure> {
    let answer = client
        .get_entry(v1::GetEntryRequest { seq })
        .await?
        .into_inner();
    let received = receive(&answer.entry.unwrap_or_default())?;
    Ok(ErasureEntry {
        header: received.header,
        body: received.body,
        proof: prove_in(client, seq, note, size).await?,
    })
}

/// The proof in the same tree as that of the entry, which the newest checkpoint may have left behind.
async fn prove_in(
    client: &mut Client,
    seq: u64,
    note: &Note,
    tree_size: u64,
) -> Result<TlogProof, Failure> {
    let request = v1::GetInclusionProofRequest { seq, tree_size };
    let answer = client.get_inclusion_proof(request).await?;
    proof_of(seq, &answer.into_inner().proof, note)
}

/// What is known of a part that was erased.
pub(super) fn erased_text(part: &ErasedPart) -> String {
    let name = part.tag.name();
    let Some(by) = &part.by else {
        return format!(
            "{name} WITHHELD: it is said to be erased, and no entry shown here says so"
        );
    };
    let ErasedBy {
        seq,
        recorded_at,
        ordered_by,
        ticket,
        reason,
    } = by;
    let who = if ordered_by.is_empty() {
        "somebody"
    } else {
        ordered_by
    };
    let on = time::write(*recorded_at).unwrap_or_default();
    let why = if reason.is_empty() {
        String::new()
    } else {
        format!(": {reason}")
    };
    format!("{name} ERASED by {who} on {on}, ticket {ticket}{why} (entry {seq})")
}

fn proof_of(seq: u64, proof: &[u8], note: &Note) -> Result<TlogProof, Failure> {
    Ok(TlogProof {
        extra: None,
        index: seq,
        hashes: hashes(proof)?,
        checkpoint: note.clone(),
    })
}
