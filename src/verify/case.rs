//! Cases: the evidence of an answer, for someone who has no server and trusts nobody who has.

use super::case_answer::{Answered, CaseAnswer, ExaminedAnswer, Examiner};
use super::case_coverage::{CaseCoverage, Heard};
use super::disclosure::Disclosure;
use super::evidence::{Minimum, check_minimum};
use super::originals::Originals;
use super::trust::parse_note;
use super::verdict::{Check, Finding, Reason, Verdict};
use crate::entry::Header;
use crate::entry::body::Body;
use crate::entry::genesis::Genesis;
use crate::merkle::{Hash, verify_consistency, verify_inclusion};
use crate::note::{Checkpoint, VerifierKey};

/// A question, its answer with the proof that nothing is left out, and all that binds it to a ledger.
///
/// [`Case::from_json`] and [`Case::to_json`] have its form as a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    /// Who made it and how: said by whoever did, and proved by nothing.
    pub made: Made,
    /// The key that the checkpoints are said to be signed by. Nothing is ever believed because of it.
    pub verifier_key: VerifierKey,
    /// What the ledger is.
    pub genesis: Genesis,
    /// The header of entry 0, which names the genesis hash.
    pub first_header: Header,
    /// That it is in the tree of the answer's size.
    pub first_inclusion: Vec<Hash>,
    /// An older tree that the newest checkpoint continues, for whoever kept a checkpoint of it.
    pub extends: Option<Extends>,
    /// Question and answer.
    pub answer: CaseAnswer,
    /// Which sources were heard from among the entries that the answer is about, if that was counted too.
    pub coverage: Option<CaseCoverage>,
    /// What whoever reads the file learns of the ledger.
    pub discloses: Disclosure,
}

/// Who made a case and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// The program and its version.
    pub tool: String,
    /// The command line. It should have no secrets in it.
    pub command: Vec<String>,
    /// When, RFC 3339 in UTC, by the maker's clock.
    pub at: String,
}

/// That the newest checkpoint of a case continues an older tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extends {
    /// The size of the older tree, in entries; at least 1 and less than the checkpoint's.
    pub size: u64,
    /// Its root.
    pub root: Hash,
    /// The consistency proof.
    pub consistency: Vec<Hash>,
}

/// What verifying a case came to.
#[derive(Debug, Clone, PartialEq)]
pub struct CaseReport {
    /// The whole.
    pub verdict: Verdict,
    /// What was proved; none if something is wrong.
    pub proved: Option<ProvedCase>,
}

/// What a case proves.
#[derive(Debug, Clone, PartialEq)]
pub struct ProvedCase {
    /// The newest checkpoint in it.
    pub checkpoint: Checkpoint,
    /// What was answered, and how completely.
    pub answered: Answered,
    /// Which sources were heard from, if the case tells.
    pub heard: Option<Heard>,
    /// Whether the originals of the matches have the digests that were stated.
    pub originals: Originals,
    /// What the minimum checkpoint showed, if one was given and could be used.
    pub minimum: Option<String>,
}

impl Case {
    /// Fills in what follows from the pages: the rows, the summary, and what is disclosed.
    ///
    /// # Errors
    ///
    /// The pages do not prove an answer to the question under `key`.
    pub fn complete(mut self, key: &VerifierKey) -> Result<Self, Finding> {
        let mut examiner = Examiner::new(&self.genesis, key);
        let examined = examiner.answer(&self.answer, &mut |_, _| {})?;
        let tree = (examined.answered.size, &examined.root);
        if let Some(coverage) = &mut self.coverage {
            let window = &examined.answered.window;
            coverage.heard = examiner.coverage(&coverage.pages, window, tree)?;
        }
        self.discloses = examiner.disclosure();
        for (page, rows) in self.answer.pages.iter_mut().zip(examined.rows) {
            page.rows = rows;
        }
        self.answer.answered = examined.answered;
        Ok(self)
    }

    /// Verifies the case, and calls `take` with every match in the order of the answer.
    ///
    /// Without a pinned key all may agree, but only with the key that came along, and so the verdict is never better than
    /// [`Verdict::CouldNotCheck`]. Nothing that was given to `take` is proved unless the verdict says so.
    pub fn verify(
        &self,
        pinned: Option<&VerifierKey>,
        minimum: Option<Minimum<'_>>,
        take: &mut dyn FnMut(&Header, &Body),
    ) -> CaseReport {
        let mut doubts = Vec::new();
        if pinned.is_none() {
            doubts.push(Reason::NoKeyPinned {
                key: self.verifier_key.to_string(),
            });
        }
        match self.prove(pinned, minimum, &mut doubts, take) {
            Ok(proved) => CaseReport {
                verdict: Verdict::of_doubts(doubts),
                proved: Some(proved),
            },
            Err(finding) => CaseReport {
                verdict: finding.verdict(),
                proved: None,
            },
        }
    }

    fn prove(
        &self,
        pinned: Option<&VerifierKey>,
        minimum: Option<Minimum<'_>>,
        doubts: &mut Vec<Reason>,
        take: &mut dyn FnMut(&Header, &Body),
    ) -> Result<ProvedCase, Finding> {
        let origin = self.genesis.origin();
        if let Some(pinned) = pinned {
            if pinned.name() != origin {
                return Err(Finding::of(Check::Origin, pinned.name(), origin));
            }
            if *pinned != self.verifier_key {
                let found = self.verifier_key.to_string();
                return Err(Finding::of(Check::Key, pinned.to_string(), found));
            }
        }
        let key = pinned.unwrap_or(&self.verifier_key);
        let mut examiner = Examiner::new(&self.genesis, key);
        let examined = examiner.answer(&self.answer, take)?;
        let heard = self.check_coverage(&mut examiner, &examined)?;
        self.check_statements(&examined.rows, &examined.answered, &examiner.disclosure())?;
        self.check_genesis(examined.answered.size, &examined.root)?;
        let checkpoint = examined.checkpoint;
        self.check_extends(&checkpoint)?;
        let minimum = match minimum {
            Some(minimum) => {
                match check_minimum(self.with_proof(minimum), origin, key, &checkpoint) {
                    Ok(checked) => Some(checked?),
                    Err(doubt) => {
                        doubts.push(doubt);
                        None
                    }
                }
            }
            None => None,
        };
        Ok(ProvedCase {
            checkpoint,
            answered: examined.answered,
            heard,
            originals: examined.originals,
            minimum,
        })
    }

    /// Checks that the sources are those that the counts prove.
    fn check_coverage(
        &self,
        examiner: &mut Examiner<'_>,
        examined: &ExaminedAnswer,
    ) -> Result<Option<Heard>, Finding> {
        let Some(coverage) = &self.coverage else {
            return Ok(None);
        };
        let tree = (examined.answered.size, &examined.root);
        let window = &examined.answered.window;
        let heard = examiner.coverage(&coverage.pages, window, tree)?;
        if heard != coverage.heard {
            let expected = "the sources that the counts prove";
            return Err(Finding::of(Check::Statement, expected, "others"));
        }
        Ok(Some(heard))
    }

    /// Checks that what the case says about itself is what its pages prove.
    fn check_statements(
        &self,
        rows: &[Vec<String>],
        answered: &Answered,
        discloses: &Disclosure,
    ) -> Result<(), Finding> {
        let wrong = |expected: &str, found: &str| Finding::of(Check::Statement, expected, found);
        for (page, rows) in self.answer.pages.iter().zip(rows) {
            if page.rows != *rows {
                let expected = "the entries that match, as the pages prove them";
                return Err(wrong(expected, "others beside a page"));
            }
        }
        if self.answer.answered != *answered {
            return Err(Finding::of(
                Check::Statement,
                format!("an answer of {answered}"),
                format!("one said to be of {}", self.answer.answered),
            ));
        }
        if self.discloses != *discloses {
            let expected = "the list of what is disclosed and withheld";
            return Err(wrong(expected, "another list"));
        }
        Ok(())
    }

    fn check_extends(&self, checkpoint: &Checkpoint) -> Result<(), Finding> {
        let Some(extends) = &self.extends else {
            return Ok(());
        };
        let (old, new) = (extends.size, checkpoint.size());
        let expected = format!("a tree of {old} that grew into {new}");
        if old == 0 || old >= new {
            return Err(Finding::of(Check::Format, expected, "no smaller tree"));
        }
        let (proof, root) = (&extends.consistency, &extends.root);
        verify_consistency(old, new, proof, root, checkpoint.root())
            .map_err(|error| Finding::of(Check::Minimum, expected, error.to_string()))
    }

    /// The minimum with the proof that is in the case, if it is of the same size.
    fn with_proof<'a>(&'a self, minimum: Minimum<'a>) -> Minimum<'a> {
        let note = parse_note(minimum.note).ok();
        let least = note.and_then(|note| Checkpoint::parse(note.text()).ok());
        let size = least.map(|least| least.size());
        let extends = self.extends.as_ref();
        let ours = extends.filter(|extends| Some(extends.size) == size);
        Minimum {
            consistency: minimum
                .consistency
                .or(ours.map(|ours| ours.consistency.as_slice())),
            ..minimum
        }
    }

    /// Checks that entry 0, in the tree of the answer, is chained to the genesis descriptor.
    fn check_genesis(&self, size: u64, root: &Hash) -> Result<(), Finding> {
        let (first, genesis) = (&self.first_header, self.genesis.hash());
        if first.seq != 0 || first.prev != genesis {
            let expected = format!("entry 0 after {}", super::entry::hash_text(&genesis));
            let found = super::entry::hash_text(&first.prev);
            let found = format!("entry {} after {found}", first.seq);
            return Err(Finding::at(0, Check::Genesis, expected, found));
        }
        let leaf = first.leaf_hash();
        verify_inclusion(0, size, &leaf, &self.first_inclusion, root).map_err(|error| {
            let expected = format!("a leaf of the tree of {size} entries");
            Finding::at(0, Check::Root, expected, error.to_string())
        })
    }
}
