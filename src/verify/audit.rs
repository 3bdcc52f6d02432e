//! The audit of a whole ledger, by someone who is handed its entries in order from anywhere.

use std::ops::Range;

use super::entry::{CheckedEntry, check_entry, erased_by, hash_text};
use super::holds::{Holds, SecondLook};
use super::trust::{expect_root, open_checkpoint, parse_note};
use super::verdict::{Check, Finding, Reason, Verdict};
use crate::entry::body::Body;
use crate::entry::genesis::Genesis;
use crate::entry::v1::ledger_act::Act;
use crate::entry::{Digest, Tag};
use crate::index::Ranges;
use crate::merkle::{Frontier, Hash};
use crate::note::{Checkpoint, Note, Rotation, VerifierKey};

/// An audit under way: what all entries so far come to.
///
/// Either [`push`](Audit::push) every entry; or check entries in parallel with [`check_entry`] and
/// [`fold`](Audit::fold) the results in order of seq, which costs little more than a hash each.
#[derive(Debug, Clone)]
pub struct Audit {
    origin: String,
    pinned: Option<VerifierKey>,
    minimum: Option<MinimumCheckpoint>,
    /// The key that signs checkpoints of the entries so far.
    key: VerifierKey,
    /// The keys that signed before.
    former_keys: Vec<VerifierKey>,
    frontier: Frontier,
    /// Chain hash of the last entry; of none, the genesis hash.
    chain: Digest,
    recorded_at: u64,
    /// Parts that were not shown.
    missing: Vec<(u64, Tag)>,
    /// Parts that entries say were erased, in the order of these entries.
    announced: Vec<(Range<u64>, Tag)>,
    /// What they say about holds, and which erasures are still to be held against them.
    holds: Holds,
    /// Why of some it cannot be told.
    holds_doubt: Option<Reason>,
    finding: Option<Finding>,
}

/// The checkpoint that the ledger must extend.
#[derive(Debug, Clone)]
enum MinimumCheckpoint {
    Unusable(Finding),
    Parsed {
        note: Note,
        /// As it says; nothing is believed before its signature was verified.
        size: u64,
        /// Root of the audited tree at that size, once it was reached.
        root: Option<Hash>,
    },
}

/// What an audit came to.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditReport {
    /// The whole.
    pub verdict: Verdict,
    /// How many entries were found good, from the first.
    pub entries: u64,
    /// The checkpoint they were held against, if the ledger's key signed it.
    pub checkpoint: Option<Checkpoint>,
    /// The key that signs the ledger's checkpoints after all rotations.
    pub key: VerifierKey,
    /// Parts that were erased, as an entry says: seq and tag.
    pub erased: Vec<(u64, Tag)>,
    /// Parts that are missing without an entry that says so: seq and tag.
    pub withheld: Vec<(u64, Tag)>,
}

impl Audit {
    /// An audit of the ledger with this genesis, before its first entry.
    ///
    /// `pinned` is a key that the ledger has or once had, got from elsewhere. `minimum` is a signed
    /// checkpoint that the ledger must extend.
    pub fn new(genesis: &Genesis, pinned: Option<&VerifierKey>, minimum: Option<&str>) -> Self {
        let mut audit = Self {
            origin: genesis.origin().to_owned(),
            pinned: pinned.cloned(),
            minimum: minimum.map(MinimumCheckpoint::parse),
            key: genesis.verifier_key().clone(),
            former_keys: Vec::new(),
            frontier: Frontier::new(),
            chain: genesis.hash(),
            recorded_at: 0,
            missing: Vec::new(),
            announced: Vec::new(),
            holds: Holds::default(),
            holds_doubt: None,
            finding: None,
        };
        audit.pass_minimum();
        audit
    }

    /// Number of entries so far, which is the seq of the next one.
    pub fn size(&self) -> u64 {
        self.frontier.size()
    }

    /// The compact range of the tree so far.
    pub fn frontier(&self) -> &Frontier {
        &self.frontier
    }

    /// Chain hash of the last entry; of none, the genesis hash.
    pub fn chain_hash(&self) -> Digest {
        self.chain
    }

    /// When the last entry was recorded, nanoseconds since 1970, UTC; 0 without any.
    pub fn recorded_at(&self) -> u64 {
        self.recorded_at
    }

    /// Adds the next entry, given the encoding of its header.
    ///
    /// The first finding is final: it is given again for everything that follows.
    pub fn push(&mut self, header: &[u8], body: &Body) -> Result<(), Finding> {
        match check_entry(&self.origin, self.size(), header, body) {
            Ok(entry) => self.fold(&entry),
            Err(finding) => Err(self.fail(finding)),
        }
    }

    /// Adds the next entry, checked with [`check_entry`] before.
    pub fn fold(&mut self, entry: &CheckedEntry) -> Result<(), Finding> {
        if let Some(finding) = &self.finding {
            return Err(finding.clone());
        }
        self.check_place(entry)
            .and_then(|()| self.take_act(entry))
            .map_err(|finding| self.fail(finding))?;
        self.frontier.push(entry.leaf_hash);
        self.chain = entry.chain_hash;
        self.recorded_at = entry.header.recorded_at;
        let missing = entry.missing.iter();
        self.missing
            .extend(missing.map(|tag| (entry.header.seq, *tag)));
        self.pass_minimum();
        Ok(())
    }

    /// Ends the audit with a finding of [`check_entry`], unless there was one before; gives the first.
    pub fn fail(&mut self, finding: Finding) -> Finding {
        self.finding.get_or_insert(finding).clone()
    }

    fn check_place(&self, entry: &CheckedEntry) -> Result<(), Finding> {
        let header = &entry.header;
        let (seq, size) = (header.seq, self.size());
        if seq != size {
            let found = format!("seq {seq}");
            return Err(Finding::at(size, Check::Seq, format!("seq {size}"), found));
        }
        if header.prev != self.chain {
            let check = if seq == 0 {
                Check::Genesis
            } else {
                Check::Chain
            };
            let expected = format!("the entry after {}", hash_text(&self.chain));
            let found = format!("the one after {}", hash_text(&header.prev));
            return Err(Finding::at(seq, check, expected, found));
        }
        if header.recorded_at < self.recorded_at {
            let expected = format!("{} or later", self.recorded_at);
            let found = header.recorded_at.to_string();
            return Err(Finding::at(seq, Check::Time, expected, found));
        }
        Ok(())
    }

    /// What can be told about holds only from the entries once more; none if all is told.
    pub fn second_look(&self) -> Option<SecondLook> {
        self.holds.second_look()
    }

    /// Takes a [second look](Self::second_look), and the finding that it ended with, if it did.
    pub fn settle(&mut self, look: &SecondLook, finding: Option<Finding>) {
        self.holds_doubt = self.holds.settle(look);
        if let Some(finding) = finding {
            self.fail(finding);
        }
    }

    fn take_act(&mut self, entry: &CheckedEntry) -> Result<(), Finding> {
        if let Some(act) = entry.act.as_deref() {
            let root = || self.frontier.root();
            self.holds.take(entry.header.seq, act, root)?;
        }
        match entry.act.as_deref() {
            Some(act @ (Act::Erasure(_) | Act::RangeErasure(_))) => {
                let (seqs, tags) = erased_by(act).unwrap_or_default();
                for tag in tags {
                    let runs = seqs.runs().iter().cloned();
                    self.announced.extend(runs.map(|run| (run, tag)));
                }
                Ok(())
            }
            Some(Act::KeyRotation(rotation)) => {
                let next = self.open_rotation(entry.header.seq, &rotation.statement)?;
                self.former_keys
                    .push(std::mem::replace(&mut self.key, next));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// The key that takes over. The statement stands in the entry right behind the tree it names.
    fn open_rotation(&self, seq: u64, statement: &str) -> Result<VerifierKey, Finding> {
        let wrong =
            |expected: String, found: String| Finding::at(seq, Check::KeyRotation, expected, found);
        let key = &self.key;
        let rotation = Rotation::open(statement, &self.origin, key).map_err(|error| {
            wrong(
                format!("a statement signed by {key} and by the new key"),
                error.to_string(),
            )
        })?;
        let root = self.frontier.root();
        if rotation.size() != seq || *rotation.root() != root {
            let place = |size: u64, root: &Hash| {
                format!("the tree of {size} entries with root {}", hash_text(root))
            };
            return Err(wrong(
                place(seq, &root),
                place(rotation.size(), rotation.root()),
            ));
        }
        Ok(rotation.to().clone())
    }

    /// The entries of which a part was erased, as entries say.
    pub(crate) fn announced_of(&self, tag: Tag) -> Ranges {
        let announced = self.announced.iter();
        let of_tag = announced.filter(|(_, announced)| *announced == tag);
        of_tag.map(|(run, _)| run.clone()).collect()
    }

    /// Every key that the ledger has or had.
    fn keys(&self) -> impl Iterator<Item = &VerifierKey> {
        std::iter::once(&self.key).chain(&self.former_keys)
    }

    fn pass_minimum(&mut self) {
        if let Some(MinimumCheckpoint::Parsed { size, root, .. }) = &mut self.minimum
            && *size == self.frontier.size()
        {
            *root = Some(self.frontier.root());
        }
    }

    /// Holds all entries against a signed checkpoint of exactly as many.
    pub fn finish(self, checkpoint: &str) -> AuditReport {
        let announced = Tag::ALL.map(|tag| (tag, self.announced_of(tag)));
        let (erased, withheld) = self
            .missing
            .iter()
            .partition::<Vec<_>, _>(|(seq, missing)| {
                let of_tag = announced.iter().filter(|(tag, _)| tag == missing);
                of_tag.into_iter().any(|(_, seqs)| seqs.contains(*seq))
            });
        let opened =
            parse_note(checkpoint).and_then(|note| open_checkpoint(&note, &self.origin, &self.key));
        let verdict = match self.conclude(opened.as_ref(), &withheld) {
            Ok(doubts) => Verdict::of_doubts(doubts),
            Err(finding) => Verdict::Tampered(finding),
        };
        AuditReport {
            verdict,
            entries: self.size(),
            checkpoint: opened.ok(),
            key: self.key.clone(),
            erased,
            withheld,
        }
    }

    fn conclude(
        &self,
        checkpoint: Result<&Checkpoint, &Finding>,
        withheld: &[(u64, Tag)],
    ) -> Result<Vec<Reason>, Finding> {
        if let Some(finding) = &self.finding {
            return Err(finding.clone());
        }
        let mut doubts = Vec::new();
        match &self.pinned {
            Some(pinned) if !self.keys().any(|key| key == pinned) => {
                let found = self.key.to_string();
                return Err(Finding::of(Check::Key, pinned.to_string(), found));
            }
            Some(_) => {}
            None => doubts.push(Reason::NoKeyPinned {
                key: self.key.to_string(),
            }),
        }
        self.check_tree(checkpoint.map_err(Clone::clone)?)?;
        doubts.extend(self.check_minimum()?);
        doubts.extend(self.holds_doubt.clone().or_else(|| self.holds.doubt()));
        if let Some((seq, tag)) = withheld.first() {
            doubts.push(Reason::Withheld {
                parts: withheld.len() as u64,
                seq: *seq,
                tag: *tag,
            });
        }
        Ok(doubts)
    }

    fn check_tree(&self, checkpoint: &Checkpoint) -> Result<(), Finding> {
        let (size, signed) = (self.size(), checkpoint.size());
        if size != signed {
            let first_wrong = size.min(signed);
            let expected = format!("{signed} entries");
            return Err(Finding::at(
                first_wrong,
                Check::Size,
                expected,
                size.to_string(),
            ));
        }
        expect_root(Check::Root, checkpoint.root(), &self.frontier.root())
    }

    fn check_minimum(&self) -> Result<Option<Reason>, Finding> {
        let unusable = |finding: &Finding| {
            let problem = finding.to_string();
            Ok(Some(Reason::UnusableMinimum { problem }))
        };
        let (note, root) = match &self.minimum {
            None => return Ok(None),
            Some(MinimumCheckpoint::Unusable(finding)) => return unusable(finding),
            Some(MinimumCheckpoint::Parsed { note, root, .. }) => (note, root),
        };
        // Any of the ledger's keys will do: whoever gives a minimum has it from a safer place.
        let mut opened = self
            .keys()
            .map(|key| open_checkpoint(note, &self.origin, key));
        let Some(least) = opened.find_map(Result::ok) else {
            let finding = Finding::of(Check::Signature, "a key of the ledger", "none");
            return unusable(&finding);
        };
        let expected = format!("{} entries at least", least.size());
        match root {
            Some(root) => expect_root(Check::Minimum, least.root(), root).map(|()| None),
            None => Err(Finding::at(
                self.size(),
                Check::Minimum,
                expected,
                self.size().to_string(),
            )),
        }
    }
}

impl MinimumCheckpoint {
    fn parse(note: &str) -> Self {
        let parsed = parse_note(note).and_then(|note| {
            let checkpoint = Checkpoint::parse(note.text())
                .map_err(|error| Finding::of(Check::Format, "a checkpoint", error.to_string()))?;
            Ok((note, checkpoint.size()))
        });
        match parsed {
            Ok((note, size)) => Self::Parsed {
                note,
                size,
                root: None,
            },
            Err(finding) => Self::Unusable(finding),
        }
    }
}
