//! Gathers from a server what shows others that it sealed a false index.

use std::io;
use std::ops::Range;

use tokio_stream::StreamExt;

use super::bodies::{hashes, malformed, receive};
use super::connect::{Client, QueryClient};
use super::failure::Failure;
use super::rederive::{GROUP, derive_group, unchecked};
use super::scratch::ScratchFiles;
use crate::entry::body::Body;
use crate::entry::genesis::Genesis;
use crate::entry::{Header, v1, wire};
use crate::index::{
    Difference, SegmentError, SegmentId, SegmentRecord, Term, TermRange, check_terms,
    first_difference,
};
use crate::merkle::{Hash, range_of_inclusions};
use crate::note::{Checkpoint, Note, VerifierKey};
use crate::verify::{
    Accusation, Contradiction, DerivedSegment, FalseSeal, Lie, MAX_ACCUSED_SEGMENTS, Rederivation,
    ShownEntry, ShownSegment,
};

/// Seqs whose postings are asked for together.
const SEQS_AT_ONCE: usize = 1 << 18;

/// Who accuses, and of what.
pub(super) struct Accuser<'a> {
    pub(super) client: Client,
    pub(super) query: QueryClient,
    pub(super) genesis: &'a Genesis,
    pub(super) key: &'a VerifierKey,
    pub(super) rederivation: &'a Rederivation<ScratchFiles>,
}

/// The tree under which everything is proved.
struct Tree {
    note: String,
    size: u64,
}

/// A segment that the server shows otherwise than its entries have it.
struct Accused {
    id: SegmentId,
    record: SegmentRecord,
}

impl Accuser<'_> {
    /// The accusation with what it says. None if the server does not show enough for one that is small.
    pub(super) async fn accuse(
        &mut self,
        found: &FalseSeal,
    ) -> Result<Option<(Accusation, Lie)>, Failure> {
        let Some((level, numbers)) = &found.segments else {
            let accusation = self.accuse_seal(found.seq).await?;
            return Ok(accusation.convincing(self.key));
        };
        // What the server shows of a segment need not be what was sealed, nor a segment at all.
        let shown = match self.accuse_shown().await {
            Err(failure) if failure.is_unreached() => return Err(failure),
            shown => shown.unwrap_or_default(),
        };
        match shown.and_then(|shown| shown.convincing(self.key)) {
            None if *level == 0 => {
                let accusation = self.accuse_by_entries(found, numbers.clone()).await?;
                Ok(accusation.and_then(|accusation| accusation.convincing(self.key)))
            }
            proved => Ok(proved),
        }
    }

    /// Accuses a segment that the server shows.
    async fn accuse_shown(&mut self) -> Result<Option<Accusation>, Failure> {
        match self.find_accused().await? {
            Some(accused) => self.accuse_segment(&accused).await,
            None => Ok(None),
        }
    }

    /// The first of the segments which cover the ledger that is false, if the server shows one.
    async fn find_accused(&mut self) -> Result<Option<Accused>, Failure> {
        let Some((_, levels)) = self.rederivation.newest() else {
            return Ok(None);
        };
        for id in levels.cover(&(0..u64::MAX)) {
            let Some(answer) = self.segment(id, 0..1, None, 0..0).await? else {
                continue;
            };
            let record = record(id, &answer)?;
            if self
                .rederivation
                .record(id)
                .is_some_and(|derived| *derived != record)
            {
                return Ok(Some(Accused { id, record }));
            }
        }
        Ok(None)
    }

    async fn accuse_segment(&mut self, accused: &Accused) -> Result<Option<Accusation>, Failure> {
        let Some(built) = self.derive(accused.id).await? else {
            return Ok(None);
        };
        let Some((leaf, difference)) = self.compare(accused, &built).await? else {
            return Ok(None);
        };
        let (term, seq) = match difference {
            Difference::Missing(term) | Difference::Extra(term) | Difference::List(term) => {
                let Some(seq) = self
                    .first_contradiction(accused, &built, leaf, &term)
                    .await?
                else {
                    return Ok(None);
                };
                (term, seq)
            }
            Difference::Malformed { first_leaf, leaves } => {
                let shown = first_leaf..first_leaf.saturating_add(leaves);
                let Some(answer) = self.segment(accused.id, shown, None, 0..0).await? else {
                    return Ok(None);
                };
                let form = |segment, leaves| Contradiction::Form { segment, leaves };
                return self.of_answer(accused.id, answer, form).await.map(Some);
            }
        };
        let window = seq..seq.saturating_add(1);
        let answer = self
            .segment(accused.id, around(leaf), Some(&term), window)
            .await?;
        let Some(answer) = answer else {
            return Ok(None);
        };
        let tree = tree(&answer.checkpoint)?;
        let entry = self.entry(seq, &tree).await?;
        let list = |segment, list| Contradiction::List {
            segment,
            term,
            list,
            entry,
        };
        self.of_answer(accused.id, answer, list).await.map(Some)
    }

    /// The accusation with the segment of an answer.
    async fn of_answer(
        &mut self,
        id: SegmentId,
        answer: v1::GetSegmentResponse,
        contradiction: impl FnOnce(ShownSegment, v1::TermProof) -> Contradiction,
    ) -> Result<Accusation, Failure> {
        let segment = ShownSegment {
            record: record(id, &answer)?,
            hashes: hashes(&answer.hashes)?,
        };
        let seal = receive(&answer.seal.unwrap_or_default())?;
        let seal = ShownEntry {
            header: seal.header,
            body: seal.body,
            inclusion: hashes(&answer.seal_inclusion)?,
        };
        let leaves = answer.leaves.unwrap_or_default();
        let tree = tree(&answer.checkpoint)?;
        self.accusation(tree, seal, contradiction(segment, leaves))
            .await
    }

    async fn accusation(
        &mut self,
        tree: Tree,
        seal: ShownEntry,
        contradiction: Contradiction,
    ) -> Result<Accusation, Failure> {
        let first = self.entry(0, &tree).await?;
        Ok(Accusation {
            verifier_key: self.key.clone(),
            genesis: self.genesis.clone(),
            checkpoint: tree.note,
            first_entry: (first.header, first.inclusion),
            seal,
            contradiction,
        })
    }

    /// Accuses a seal that breaks the rules by itself.
    async fn accuse_seal(&mut self, seq: u64) -> Result<Accusation, Failure> {
        let tree = self.newest_tree().await?;
        let seal = self.entry(seq, &tree).await?;
        self.accusation(tree, seal, Contradiction::Seal).await
    }

    /// Accuses a seal by all entries of the segments that it added.
    async fn accuse_by_entries(
        &mut self,
        found: &FalseSeal,
        numbers: Range<u64>,
    ) -> Result<Option<Accusation>, Failure> {
        if numbers.end.saturating_sub(numbers.start) > MAX_ACCUSED_SEGMENTS {
            return Ok(None);
        }
        let tree = self.newest_tree().await?;
        let span = GROUP as u64;
        let seqs = numbers.start.saturating_mul(span)..numbers.end.saturating_mul(span);
        let entries = self.entries(seqs.clone()).await?;
        let of_first = self.inclusion(seqs.start, &tree).await?;
        let of_last = self.inclusion(seqs.end.saturating_sub(1), &tree).await?;
        let hashes = range_of_inclusions(seqs.start, seqs.end, tree.size, &of_first, &of_last)
            .ok_or_else(|| malformed("an inclusion proof has another length"))?;
        let earlier = match found.right {
            Some(earlier) => Some(self.entry(earlier, &tree).await?),
            None => None,
        };
        let before = self
            .rederivation
            .records_before(numbers.start)
            .hashes()
            .to_vec();
        let seal = self.entry(found.seq, &tree).await?;
        let contradiction = Contradiction::Entries {
            earlier,
            before,
            entries,
            hashes,
        };
        self.accusation(tree, seal, contradiction).await.map(Some)
    }

    /// Where a segment that the server shows first differs from the one that was derived, and in which leaf.
    async fn compare(
        &mut self,
        accused: &Accused,
        built: &DerivedSegment<ScratchFiles>,
    ) -> Result<Option<(u64, Difference)>, Failure> {
        let mut next = 0;
        loop {
            let Some(answer) = self.segment(accused.id, next..u64::MAX, None, 0..0).await? else {
                return Ok(None);
            };
            if record(accused.id, &answer)? != accused.record {
                return Ok(None);
            }
            let leaves = answer.leaves.unwrap_or_default().leaves;
            let found = first_difference(built, &accused.record, next, &leaves).map_err(own)?;
            if found.is_some() || leaves.is_empty() {
                return Ok(found);
            }
            next += leaves.len() as u64;
        }
    }

    /// The first entry that has the term and is not listed for it, or the other way round.
    async fn first_contradiction(
        &mut self,
        accused: &Accused,
        built: &DerivedSegment<ScratchFiles>,
        leaf: u64,
        term: &Term,
    ) -> Result<Option<u64>, Failure> {
        let range = TermRange::point(term.clone());
        let Some(found) = built.find(&range, usize::MAX).map_err(own)? else {
            return Ok(None);
        };
        let seqs = accused.id.seqs();
        for start in seqs.clone().step_by(SEQS_AT_ONCE) {
            let window = start..start.saturating_add(SEQS_AT_ONCE as u64).min(seqs.end);
            let answer = self
                .segment(accused.id, around(leaf), Some(term), window.clone())
                .await?;
            let shown = answer.and_then(|answer| answer.leaves).unwrap_or_default();
            let Ok(said) = check_terms(&accused.record, &range, &window, &shown) else {
                return Ok(None);
            };
            let have = built.postings(&found, &range, &window).map_err(own)?;
            let first = have.first_difference(&said, window);
            if first.is_some() {
                return Ok(first);
            }
        }
        Ok(None)
    }

    /// A segment derived once more. None if its entries are not those that were checked.
    async fn derive(
        &mut self,
        id: SegmentId,
    ) -> Result<Option<DerivedSegment<ScratchFiles>>, Failure> {
        let mut rederivation = Rederivation::of(id, ScratchFiles::new());
        for start in id.seqs().step_by(GROUP) {
            let entries = self
                .received(start..start.saturating_add(GROUP as u64))
                .await?;
            let Some(derived) = derive_group(&entries) else {
                return Ok(None);
            };
            rederivation
                .push(derived)
                .map_err(|error| unchecked(&error))?;
        }
        let built = rederivation.take_last(id.level);
        Ok(built.filter(|built| self.rederivation.record(id) == Some(built.record())))
    }

    async fn received(
        &mut self,
        seqs: Range<u64>,
    ) -> Result<Vec<(u64, super::bodies::Received)>, Failure> {
        let request = v1::ListEntriesRequest {
            first_seq: seqs.start,
            end_seq: Some(seqs.end),
            ..Default::default()
        };
        let mut answers = self.client.list_entries(request).await?.into_inner();
        let mut received = Vec::new();
        while let Some(answer) = answers.next().await {
            for entry in &answer?.entries {
                let entry = receive(entry)?;
                received.push((entry.header.seq, entry));
            }
        }
        Ok(received)
    }

    async fn entries(&mut self, seqs: Range<u64>) -> Result<Vec<(Header, Body)>, Failure> {
        let received = self.received(seqs).await?;
        Ok(received
            .into_iter()
            .map(|(_, entry)| (entry.header, entry.body))
            .collect())
    }

    async fn entry(&mut self, seq: u64, tree: &Tree) -> Result<ShownEntry, Failure> {
        let answer = self
            .client
            .get_entry(v1::GetEntryRequest { seq })
            .await?
            .into_inner();
        let entry = receive(&answer.entry.unwrap_or_default())?;
        let inclusion = self.inclusion(seq, tree).await?;
        Ok(ShownEntry {
            header: entry.header,
            body: entry.body,
            inclusion,
        })
    }

    async fn inclusion(&mut self, seq: u64, tree: &Tree) -> Result<Vec<Hash>, Failure> {
        let request = v1::GetInclusionProofRequest {
            seq,
            tree_size: tree.size,
        };
        hashes(
            &self
                .client
                .get_inclusion_proof(request)
                .await?
                .into_inner()
                .proof,
        )
    }

    async fn newest_tree(&mut self) -> Result<Tree, Failure> {
        let answer = self
            .client
            .get_checkpoint(v1::GetCheckpointRequest {})
            .await?;
        tree(&answer.into_inner().checkpoint)
    }

    /// Leaves of a segment. None if the server does not show them.
    async fn segment(
        &mut self,
        id: SegmentId,
        leaves: Range<u64>,
        term: Option<&Term>,
        window: Range<u64>,
    ) -> Result<Option<v1::GetSegmentResponse>, Failure> {
        let count = leaves.end.saturating_sub(leaves.start).min(256);
        let request = v1::GetSegmentRequest {
            level: id.level.into(),
            number: id.number,
            first_leaf: leaves.start,
            max_leaves: u32::try_from(count).unwrap_or(256),
            term: term.map(|term| v1::SegmentTerm {
                tag: term.tag.into(),
                value: term.value.clone(),
            }),
            start: window.start,
            end: window.end,
        };
        match self.query.get_segment(request).await {
            Ok(answer) => Ok(Some(answer.into_inner())),
            Err(status) if status.code() == tonic::Code::Unavailable => Err(status.into()),
            Err(_) => Ok(None),
        }
    }
}

/// A leaf with its neighbours.
fn around(leaf: u64) -> Range<u64> {
    leaf.saturating_sub(1)..leaf.saturating_add(2)
}

fn record(id: SegmentId, answer: &v1::GetSegmentResponse) -> Result<SegmentRecord, Failure> {
    let root = wire::read_hash(&answer.root).map_err(|error| malformed(&error.to_string()))?;
    Ok(SegmentRecord {
        id,
        terms: answer.terms,
        root,
    })
}

fn tree(note: &str) -> Result<Tree, Failure> {
    let parsed = Note::parse(note).map_err(|error| malformed(&error.to_string()))?;
    let checkpoint =
        Checkpoint::parse(parsed.text()).map_err(|error| malformed(&error.to_string()))?;
    Ok(Tree {
        note: note.to_owned(),
        size: checkpoint.size(),
    })
}

/// What was derived here cannot be read again.
fn own(error: SegmentError<io::Error>) -> Failure {
    unchecked(&error.into())
}
