//! Evidence: one entry with its proof, for someone who has no server and trusts nobody who has.

use super::entry::{
    check_act, check_actor_signature, check_body_hash, check_entry, check_envelope, check_parts,
    erased_by, hash_text, is_ordered, missing, shown_envelope,
};
use super::trust::{expect_root, open_checkpoint, parse_note};
use super::verdict::{Check, Finding, Reason, Verdict};
use crate::entry::body::{Body, Content};
use crate::entry::genesis::Genesis;
use crate::entry::v1::ledger_act::Act;
use crate::entry::{Header, Tag, v1};
use crate::merkle::{Hash, verify_consistency, verify_inclusion};
use crate::note::{Checkpoint, TlogProof, VerifierKey};

/// One entry with all that binds it to a ledger.
///
/// [`Evidence::from_json`] and [`Evidence::to_json`] have its form as a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Evidence {
    /// The key that the checkpoint is said to be signed by. Nothing is ever believed because of it.
    pub verifier_key: VerifierKey,
    /// What the ledger is.
    pub genesis: Genesis,
    /// The entry's header.
    pub header: Header,
    /// The entry's parts, as far as they are shown.
    pub body: Body,
    /// That the header is in the tree of a checkpoint.
    pub proof: TlogProof,
    /// The entries that say that parts of this one were erased, as far as they are shown.
    pub erasures: Vec<ErasureEntry>,
    /// What binds genesis to the same tree. None in the evidence of entry 0, which does that itself.
    pub first_entry: Option<FirstEntry>,
}

/// Entry 0, whose header names the genesis hash.
#[derive(Debug, Clone, PartialEq)]
pub struct FirstEntry {
    /// Its header.
    pub header: Header,
    /// That it is in the tree of the same checkpoint.
    pub proof: TlogProof,
}

/// An entry that says that something was erased.
#[derive(Debug, Clone, PartialEq)]
pub struct ErasureEntry {
    /// Its header.
    pub header: Header,
    /// Its parts, as far as they are shown.
    pub body: Body,
    /// That it is in the tree of the same checkpoint.
    pub proof: TlogProof,
}

/// A part that was erased.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErasedPart {
    /// Which part.
    pub tag: Tag,
    /// How that is known; none where the evidence shows no entry that says so.
    pub by: Option<ErasedBy>,
}

/// An erasure, as a sealed entry says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErasedBy {
    /// The entry that says so.
    pub seq: u64,
    /// When it was sealed, nanoseconds since 1970, UTC.
    pub recorded_at: u64,
    /// Who ordered it; empty where that is not shown.
    pub ordered_by: String,
    /// By which ticket.
    pub ticket: String,
    /// Why; empty where that was not said.
    pub reason: String,
}

/// A checkpoint that the one in the evidence must extend.
#[derive(Debug, Clone, Copy)]
pub struct Minimum<'a> {
    /// The signed checkpoint.
    pub note: &'a str,
    /// The consistency proof from it to the checkpoint in the evidence, if there is one.
    pub consistency: Option<&'a [Hash]>,
}

/// What verifying evidence came to.
#[derive(Debug, Clone, PartialEq)]
pub struct EvidenceReport {
    /// The whole.
    pub verdict: Verdict,
    /// Each check that could be made: what it establishes, or what it found wrong.
    pub checks: Vec<(Check, Result<String, Finding>)>,
    /// Parts that the entry has and the evidence does not show.
    pub not_shown: Vec<Tag>,
    /// Those of them that were erased.
    pub erased: Vec<ErasedPart>,
}

impl Evidence {
    /// The same without the bytes of the parts in `tags`: it still verifies.
    #[must_use]
    pub fn withhold(mut self, tags: &[Tag]) -> Self {
        self.body = self.body.withhold(tags);
        self
    }

    /// Verifies that the entry is, as it is shown, in the ledger whose key is `pinned`.
    ///
    /// Without a pinned key all may agree, but only with the key that came along, and so the verdict
    /// is never better than [`Verdict::CouldNotCheck`].
    pub fn verify(
        &self,
        pinned: Option<&VerifierKey>,
        minimum: Option<Minimum<'_>>,
    ) -> EvidenceReport {
        let mut checks = Checks::default();
        let mut doubts = Vec::new();
        self.check_entry(&mut checks);
        match pinned {
            Some(pinned) => self.check_key(pinned, &mut checks),
            None => doubts.push(Reason::NoKeyPinned {
                key: self.verifier_key.to_string(),
            }),
        }
        let key = pinned.unwrap_or(&self.verifier_key);
        let mut erasures = Vec::new();
        if let Some(checkpoint) = self.check_checkpoint(key, &mut checks) {
            let proof = &self.proof;
            checks.add(
                Check::Root,
                included(&self.header, proof, &checkpoint)
                    .map(|()| format!("entry {} is in its tree", self.header.seq)),
            );
            checks.add(Check::Genesis, self.check_genesis(&checkpoint));
            for erasure in &self.erasures {
                match self.check_erasure(erasure, &checkpoint) {
                    Ok(by) => {
                        let seq = erasure.header.seq;
                        let says = format!("entry {seq} in its tree says what was erased");
                        checks.add(Check::Erasure, Ok(says));
                        erasures.push(by);
                    }
                    Err(finding) => checks.add(Check::Erasure, Err(finding)),
                }
            }
            if let Some(minimum) = minimum {
                let origin = self.genesis.origin();
                match check_minimum(minimum, origin, key, &checkpoint) {
                    Ok(extends) => checks.add(Check::Minimum, extends),
                    Err(doubt) => doubts.push(doubt),
                }
            }
        }
        let erased = self.erased(&erasures);
        let unexplained = || erased.iter().filter(|part| part.by.is_none());
        if let Some(first) = unexplained().next() {
            doubts.push(Reason::Withheld {
                parts: unexplained().count() as u64,
                seq: self.header.seq,
                tag: first.tag,
            });
        }
        EvidenceReport {
            verdict: match checks.first_finding() {
                Some(finding) => Verdict::Tampered(finding),
                None => Verdict::of_doubts(doubts),
            },
            checks: checks.0,
            not_shown: missing(&self.body),
            erased,
        }
    }

    /// Checks that an entry is in the same tree and says that parts of this one were erased: which, and how.
    fn check_erasure(
        &self,
        erasure: &ErasureEntry,
        checkpoint: &Checkpoint,
    ) -> Result<(Vec<Tag>, ErasedBy), Finding> {
        let (seq, origin) = (erasure.header.seq, self.genesis.origin());
        if erasure.proof.checkpoint != self.proof.checkpoint {
            let found = "another one";
            return Err(Finding::at(
                seq,
                Check::Format,
                "the entry's checkpoint",
                found,
            ));
        }
        let checked = check_entry(origin, seq, &erasure.header.encode(), &erasure.body)?;
        included(&erasure.header, &erasure.proof, checkpoint)?;
        let act = checked.act();
        let erased = act.and_then(erased_by);
        let about = erased.filter(|(seqs, _)| seqs.contains(self.header.seq));
        let Some((_, tags)) = about else {
            let expected = format!("an erasure of parts of entry {}", self.header.seq);
            return Err(Finding::at(seq, Check::Erasure, expected, "none"));
        };
        let envelope = shown_envelope(&erasure.body).unwrap_or_default();
        let ordered_by = envelope.submitter.unwrap_or_default().subject;
        let (ordered_by, ticket, reason) = match act {
            Some(Act::Erasure(erasure)) => {
                let v1::Erasure {
                    requested_by,
                    ticket,
                    ..
                } = erasure.clone();
                (requested_by, ticket, String::new())
            }
            Some(Act::RangeErasure(erasure)) => {
                (ordered_by, erasure.ticket.clone(), erasure.reason.clone())
            }
            _ => Default::default(),
        };
        let by = ErasedBy {
            seq,
            recorded_at: erasure.header.recorded_at,
            ordered_by,
            ticket,
            reason,
        };
        Ok((tags, by))
    }

    /// The parts that are said to be erased, each with the first entry of those shown that says so, by its seq: what a later
    /// one says of it was done by then.
    fn erased(&self, erasures: &[(Vec<Tag>, ErasedBy)]) -> Vec<ErasedPart> {
        let parts = self.body.parts().iter();
        let erased = parts.filter(|(_, content)| matches!(content, Content::Erased(_)));
        let explained = erased.map(|(tag, _)| {
            let says_so = erasures.iter().filter(|(tags, _)| tags.contains(tag));
            let by = says_so.min_by_key(|(_, by)| by.seq);
            ErasedPart {
                tag: *tag,
                by: by.map(|(_, by)| by.clone()),
            }
        });
        explained.collect()
    }

    fn check_entry(&self, checks: &mut Checks) {
        let (header, body) = (&self.header, &self.body);
        let bound = check_body_hash(header, body);
        let commitments = bound.as_deref().unwrap_or_default().to_vec();
        checks.add(
            Check::Body,
            bound.map(|_| "the header binds the parts".into()),
        );
        let parts = check_parts(header, body);
        checks.add(
            Check::Part,
            parts.map(|()| "the parts are as they may be sealed".into()),
        );
        let act = check_act(header, body);
        checks.add(
            Check::Act,
            act.map(|_| "the kind fits what was done".into()),
        );
        let Some(envelope) = shown_envelope(body) else {
            return;
        };
        checks.add(
            Check::Envelope,
            check_envelope(header, is_ordered(body), &envelope)
                .map(|()| "envelope, kind and flags agree".into()),
        );
        if envelope.actor_signature.is_some() {
            let origin = self.genesis.origin();
            let signed = check_actor_signature(origin, header, &envelope, &commitments);
            let good = || "the actor signed these parts for this ledger".into();
            checks.add(Check::ActorSignature, signed.map(|()| good()));
        }
    }

    fn check_key(&self, pinned: &VerifierKey, checks: &mut Checks) {
        let origin = self.genesis.origin();
        checks.add(
            Check::Origin,
            if pinned.name() == origin {
                Ok(format!("the ledger is {origin}"))
            } else {
                Err(Finding::of(Check::Origin, pinned.name(), origin))
            },
        );
        checks.add(
            Check::Key,
            if *pinned == self.verifier_key {
                Ok("its key is the pinned one".into())
            } else {
                let found = self.verifier_key.to_string();
                Err(Finding::of(Check::Key, pinned.to_string(), found))
            },
        );
    }

    fn check_checkpoint(&self, key: &VerifierKey, checks: &mut Checks) -> Option<Checkpoint> {
        match open_checkpoint(&self.proof.checkpoint, self.genesis.origin(), key) {
            Ok(checkpoint) => {
                let size = checkpoint.size();
                checks.add(
                    Check::Signature,
                    Ok(format!("{key} signed a checkpoint of {size} entries")),
                );
                Some(checkpoint)
            }
            Err(finding) => {
                checks.add(finding.check, Err(finding));
                None
            }
        }
    }

    /// Checks that entry 0, in the same tree, is chained to the genesis descriptor.
    fn check_genesis(&self, checkpoint: &Checkpoint) -> Result<String, Finding> {
        let first = match &self.first_entry {
            None if self.header.seq == 0 => &self.header,
            Some(first) if self.header.seq != 0 => {
                if first.proof.checkpoint != self.proof.checkpoint {
                    let found = "another one";
                    return Err(Finding::at(
                        0,
                        Check::Format,
                        "the entry's checkpoint",
                        found,
                    ));
                }
                included(&first.header, &first.proof, checkpoint)?;
                &first.header
            }
            _ => {
                let expected = "entry 0 once, to bind genesis to the ledger";
                return Err(Finding::at(0, Check::Format, expected, "otherwise"));
            }
        };
        let genesis = self.genesis.hash();
        if first.seq != 0 || first.prev != genesis {
            let found = format!("entry {} after {}", first.seq, hash_text(&first.prev));
            let expected = format!("entry 0 after {}", hash_text(&genesis));
            return Err(Finding::at(0, Check::Genesis, expected, found));
        }
        Ok(format!(
            "entry 0 is chained to genesis {}",
            hash_text(&genesis)
        ))
    }
}

/// Checks that a checkpoint extends the minimum: what that shows, or what is wrong.
///
/// # Errors
///
/// Why it cannot be told.
pub(super) fn check_minimum(
    minimum: Minimum<'_>,
    origin: &str,
    key: &VerifierKey,
    checkpoint: &Checkpoint,
) -> Result<Result<String, Finding>, Reason> {
    let opened = parse_note(minimum.note).and_then(|note| open_checkpoint(&note, origin, key));
    let least = opened.map_err(|finding| Reason::UnusableMinimum {
        problem: finding.to_string(),
    })?;
    let (old, new) = (least.size(), checkpoint.size());
    if old > new {
        return Err(Reason::BeforeMinimum {
            minimum: old,
            size: new,
        });
    }
    let extends = if old == new {
        expect_root(Check::Minimum, least.root(), checkpoint.root())
    } else if old == 0 {
        Ok(())
    } else if let Some(proof) = minimum.consistency {
        verify_consistency(old, new, proof, least.root(), checkpoint.root()).map_err(|error| {
            let expected = format!("an extension of the checkpoint of {old} entries");
            Finding::of(Check::Minimum, expected, error.to_string())
        })
    } else {
        return Err(Reason::NoConsistencyProof {
            minimum: old,
            size: new,
        });
    };
    Ok(extends.map(|()| format!("it extends the checkpoint of {old} entries")))
}

/// The checks made so far.
#[derive(Default)]
struct Checks(Vec<(Check, Result<String, Finding>)>);

impl Checks {
    fn add(&mut self, check: Check, result: Result<String, Finding>) {
        self.0.push((check, result));
    }

    fn first_finding(&self) -> Option<Finding> {
        self.0
            .iter()
            .find_map(|(_, result)| result.as_ref().err().cloned())
    }
}

/// Checks that the proof puts `header` at its own seq into the tree of `checkpoint`.
fn included(header: &Header, proof: &TlogProof, checkpoint: &Checkpoint) -> Result<(), Finding> {
    let seq = header.seq;
    if proof.index != seq {
        let found = format!("index {}", proof.index);
        return Err(Finding::at(seq, Check::Seq, format!("index {seq}"), found));
    }
    let (size, root) = (checkpoint.size(), checkpoint.root());
    verify_inclusion(seq, size, &header.leaf_hash(), &proof.hashes, root).map_err(|error| {
        let expected = format!("a leaf of the tree of {size} entries");
        Finding::at(seq, Check::Root, expected, error.to_string())
    })
}
