//! Looking terms up in a segment, and proving what was found.

use std::ops::Range;

use super::count::Tally;
use super::leaf::{Postings, chunk_hash};
use super::postings::{CHUNK_OFFSETS, Runs};
use super::ranges::Ranges;
use super::reader::{ChunkRow, Segment, SegmentError, Source, StoredLeaf, chunk_offsets};
use super::segment::ROW_HEIGHT;
use super::{Term, TermRange};
use crate::entry::v1;
use crate::merkle::{Frontier, NodeReader, ProveError, leaf_hash, node_hash, prove_range};

/// The leaves of a segment that hold every term of a range, and show that there are no others.
pub struct Found {
    first_leaf: u64,
    leaves: Vec<StoredLeaf>,
}

/// How much of a range of terms is to be found at once. One term is always.
#[derive(Debug, Clone, Copy)]
pub struct Most {
    /// Terms.
    pub terms: usize,
    /// Bytes of their leaves.
    pub bytes: usize,
    /// Postings of all the terms together.
    pub postings: u64,
    /// Postings that one term can have in the window.
    pub in_window: u64,
}

impl<S: Source> Segment<S> {
    /// Finds the terms of a range. None when they stand in more than `most_leaves` leaves.
    pub fn find(
        &self,
        range: &TermRange,
        most_leaves: usize,
    ) -> Result<Option<Found>, SegmentError<S::Error>> {
        let (first_leaf, rows) = self.search_leaf(&range.from)?;
        let mut leaves = Vec::new();
        for index in first_leaf..self.leaves() {
            if leaves.len() == most_leaves {
                return Ok(None);
            }
            let leaf = self.leaf_by(&rows, index)?;
            let ends = leaf.terms.last().is_some_and(|last| last.term >= range.to);
            leaves.push(leaf);
            if ends {
                break;
            }
        }
        Ok(Some(Found { first_leaf, leaves }))
    }

    /// Whether there is no term of a range, as far as that is known without looking for it.
    pub fn lacks(&self, range: &TermRange) -> Result<bool, SegmentError<S::Error>> {
        self.is_beyond_times(range)
    }

    /// Finds the terms of a range as far as `most` allows. Returns the range to before the first term that it does not
    /// allow, and its leaves.
    pub fn find_some(
        &self,
        range: &TermRange,
        most: &Most,
    ) -> Result<(TermRange, Found), SegmentError<S::Error>> {
        let first_leaf = self.leaf_with(&range.from)?;
        let (mut leaves, mut bytes, mut terms, mut postings) = (Vec::new(), 0, 0, 0u64);
        let mut found = range.clone();
        'leaves: for index in first_leaf..self.leaves() {
            let leaf = self.leaf(index)?;
            bytes += leaf.bytes.len();
            let ends = leaf.terms.last().is_some_and(|last| last.term >= range.to);
            let mut last = None;
            for term in leaf.terms.iter().filter(|term| range.contains(&term.term)) {
                terms += 1;
                postings = postings.saturating_add(most.in_window.min(u64::from(term.count)));
                if terms > 1
                    && (terms > most.terms || postings > most.postings || bytes > most.bytes)
                {
                    last = Some(term.term.clone());
                    break;
                }
            }
            leaves.push(leaf);
            if let Some(last) = last {
                found.to = last;
                break 'leaves;
            }
            if ends {
                break;
            }
        }
        Ok((found, Found { first_leaf, leaves }))
    }

    /// Over how many leaves a range of terms reaches.
    pub fn reach(&self, range: &TermRange) -> Result<u64, SegmentError<S::Error>> {
        let (first, last) = (self.leaf_with(&range.from)?, self.leaf_with(&range.to)?);
        Ok(last.saturating_sub(first).saturating_add(1))
    }

    /// The leaves of a range of indices, as far as there are any.
    pub fn leaves_at(&self, indices: Range<u64>) -> Result<Found, SegmentError<S::Error>> {
        let first_leaf = indices.start.min(self.leaves());
        let end = indices.end.clamp(first_leaf, self.leaves());
        let leaves = (first_leaf..end).map(|index| self.leaf(index));
        let leaves = leaves.collect::<Result<_, _>>()?;
        Ok(Found { first_leaf, leaves })
    }

    /// The encodings of these leaves.
    pub fn leaf_bytes(&self, indices: Range<u64>) -> Result<Vec<Vec<u8>>, SegmentError<S::Error>> {
        let found = self.leaves_at(indices)?;
        Ok(found
            .leaves
            .iter()
            .map(|leaf| leaf.bytes.to_vec())
            .collect())
    }

    /// The entries of `window` that have a term of the range.
    pub fn postings(
        &self,
        found: &Found,
        range: &TermRange,
        window: &Range<u64>,
    ) -> Result<Ranges, SegmentError<S::Error>> {
        let mut seqs = Vec::new();
        for (leaf, index) in found.terms(range) {
            let runs = self.runs(leaf, index, window)?;
            seqs.extend(seqs_of(&runs, self.record().id.seqs(), window));
        }
        Ok(seqs.into_iter().collect())
    }

    /// The terms of the range, ascending, with the entries of `window` that have each.
    pub fn lists(
        &self,
        found: &Found,
        range: &TermRange,
        window: &Range<u64>,
    ) -> Result<Vec<(Term, Ranges)>, SegmentError<S::Error>> {
        let mut lists = Vec::new();
        for (leaf, index) in found.terms(range) {
            let runs = self.runs(leaf, index, window)?;
            let seqs = seqs_of(&runs, self.record().id.seqs(), window).collect();
            if let Some(term) = leaf.terms.get(index) {
                lists.push((term.term.clone(), seqs));
            }
        }
        Ok(lists)
    }

    /// The terms of the range, ascending, and how many entries of `window` have each, found from where their postings
    /// begin and end within it.
    pub fn tallies(
        &self,
        found: &Found,
        range: &TermRange,
        window: &Range<u64>,
    ) -> Result<Vec<(Term, Tally)>, SegmentError<S::Error>> {
        let seqs = self.record().id.seqs();
        let ends = ends_of(&offsets(&seqs, window));
        let mut tallies = Vec::new();
        for (leaf, index) in found.terms(range) {
            let Some(term) = leaf.terms.get(index) else {
                continue;
            };
            let tally = match &term.postings {
                Postings::Inline(runs) => tally_of(runs, &seqs, window),
                Postings::Root(_) => {
                    let rows = leaf.chunk_rows(index);
                    let mut shown = Vec::with_capacity(ends.len());
                    for end in &ends {
                        let chunks = chunks_about(&rows, end);
                        let mut runs = Vec::new();
                        for chunk in chunks.clone() {
                            runs.extend(self.read_chunk(&rows, chunk, term.count)?.1);
                        }
                        shown.push((chunks.start, runs));
                    }
                    tally_between(&shown, &seqs, window)
                }
            };
            tallies.push((term.term.clone(), tally));
        }
        Ok(tallies)
    }

    /// The offsets of a term, at least those of `window`.
    fn runs(
        &self,
        leaf: &StoredLeaf,
        index: usize,
        window: &Range<u64>,
    ) -> Result<Runs, SegmentError<S::Error>> {
        let mut runs = Runs::new();
        match leaf
            .terms
            .get(index)
            .map(|term| (&term.postings, term.count))
        {
            Some((Postings::Inline(inline), _)) => runs.clone_from(inline),
            Some((Postings::Root(_), count)) => {
                let rows = leaf.chunk_rows(index);
                for chunk in self.chunks_of(&rows, window) {
                    runs.extend(self.read_chunk(&rows, chunk, count)?.1);
                }
            }
            None => {}
        }
        Ok(runs)
    }

    /// Proves which entries of `window` have a term of the range.
    pub fn prove(
        &self,
        found: &Found,
        range: &TermRange,
        window: &Range<u64>,
    ) -> Result<v1::TermProof, SegmentError<S::Error>> {
        let window = offsets(&self.record().id.seqs(), window);
        self.prove_within(found, range, &[window])
    }

    /// Proves how many entries of `window` have each term of the range.
    pub fn prove_tallies(
        &self,
        found: &Found,
        range: &TermRange,
        window: &Range<u64>,
    ) -> Result<v1::TermProof, SegmentError<S::Error>> {
        let window = offsets(&self.record().id.seqs(), window);
        self.prove_within(found, range, &ends_of(&window))
    }

    /// Proves the terms of the range, and of each its postings within these offsets.
    fn prove_within(
        &self,
        found: &Found,
        range: &TermRange,
        windows: &[Range<u32>],
    ) -> Result<v1::TermProof, SegmentError<S::Error>> {
        let end = found.first_leaf.saturating_add(found.leaves.len() as u64);
        let hashes = if found.leaves.is_empty() {
            Vec::new()
        } else {
            prove_range(self, found.first_leaf, end, self.leaves())
                .map_err(|error| self.unprovable(error))?
        };
        let mut postings = Vec::new();
        for (leaf, index) in found.terms(range) {
            let rows = leaf.chunk_rows(index);
            if let Some(term) = leaf.terms.get(index).filter(|_| !rows.is_empty()) {
                for window in windows {
                    postings.push(self.prove_postings(&rows, term.count, window)?);
                }
            }
        }
        Ok(v1::TermProof {
            first_leaf: found.first_leaf,
            leaves: found
                .leaves
                .iter()
                .map(|leaf| leaf.bytes.to_vec())
                .collect(),
            hashes: hashes.concat(),
            postings,
        })
    }

    /// Reads all of it, and checks that it hashes to what its record says.
    pub fn audit(&self) -> Result<(), SegmentError<S::Error>> {
        let mut tree = Frontier::new();
        let mut last = None;
        let mut terms = 0u64;
        for index in 0..self.leaves() {
            let leaf = self.leaf(index)?;
            let hash = leaf_hash(&leaf.bytes);
            if self.node(0, index)? != hash {
                return Err(self.damaged("a leaf does not hash to what is stored beside it"));
            }
            tree.push(hash);
            for (number, found) in leaf.terms.iter().enumerate() {
                if last
                    .replace(found.term.clone())
                    .is_some_and(|last| last >= found.term)
                {
                    return Err(self.damaged("its terms do not ascend"));
                }
                self.audit_chunks(&leaf, number)?;
            }
            terms += leaf.terms.len() as u64;
        }
        if tree.root() != self.record().root || terms != self.record().terms {
            return Err(self.damaged("its leaves do not hash to its root"));
        }
        self.audit_nodes()
    }

    fn audit_chunks(&self, leaf: &StoredLeaf, number: usize) -> Result<(), SegmentError<S::Error>> {
        let rows = leaf.chunk_rows(number);
        let Some(found) = leaf.terms.get(number) else {
            return Ok(());
        };
        let Postings::Root(root) = &found.postings else {
            return Ok(());
        };
        let mut tree = Frontier::new();
        for (row, chunk) in rows.iter().zip(0..) {
            let (bytes, runs) = self.chunk(row, chunk_offsets(found.count, chunk))?;
            let first = runs.first().map(|run| run.start);
            if chunk_hash(&bytes) != row.hash || first != Some(row.first) {
                return Err(self.damaged("a chunk is not what is stored beside its leaf"));
            }
            tree.push(row.hash);
        }
        if tree.root() == *root {
            Ok(())
        } else {
            Err(self.damaged("chunks do not hash to the root in their leaf"))
        }
    }

    /// Checks the stored nodes against the ones below them.
    fn audit_nodes(&self) -> Result<(), SegmentError<S::Error>> {
        let mut level = ROW_HEIGHT;
        while self.leaves() >> level > 0 {
            for index in 0..self.leaves() >> level {
                let below = level - 1;
                let left = self.node(below, 2 * index)?;
                let right = self.node(below, 2 * index + 1)?;
                if self.node(level, index)? != node_hash(&left, &right) {
                    return Err(self.damaged("a node is not what is below it"));
                }
            }
            level += ROW_HEIGHT;
        }
        Ok(())
    }

    fn prove_postings(
        &self,
        rows: &[ChunkRow],
        count: u32,
        window: &Range<u32>,
    ) -> Result<v1::PostingsProof, SegmentError<S::Error>> {
        let shown = chunks_about(rows, window);
        let mut chunks = Vec::new();
        for chunk in shown.clone() {
            chunks.push(self.read_chunk(rows, chunk, count)?.0.to_vec());
        }
        let hashes = prove_range(&ChunkTree(rows), shown.start, shown.end, rows.len() as u64)
            .map_err(|_| self.damaged("it has fewer chunks than its directory says"))?;
        Ok(v1::PostingsProof {
            first_chunk: shown.start,
            chunks,
            hashes: hashes.concat(),
        })
    }

    fn read_chunk(
        &self,
        rows: &[ChunkRow],
        chunk: u64,
        count: u32,
    ) -> Result<(bytes::Bytes, Runs), SegmentError<S::Error>> {
        let row = usize::try_from(chunk)
            .ok()
            .and_then(|chunk| rows.get(chunk));
        let row = row.ok_or_else(|| self.damaged("it has fewer chunks than its directory says"))?;
        self.chunk(row, chunk_offsets(count, chunk))
    }

    /// The chunks that show all postings of `window`.
    fn chunks_of(&self, rows: &[ChunkRow], window: &Range<u64>) -> Range<u64> {
        chunks_about(rows, &offsets(&self.record().id.seqs(), window))
    }

    fn unprovable(&self, error: ProveError<SegmentError<S::Error>>) -> SegmentError<S::Error> {
        match error {
            ProveError::Node { source, .. } => source,
            ProveError::Bounds(_) => self.damaged("it has fewer leaves than its record says"),
        }
    }
}

impl Found {
    /// No terms, and nothing that would show it.
    pub fn nothing() -> Self {
        Self {
            first_leaf: 0,
            leaves: Vec::new(),
        }
    }

    /// Bytes of its leaves.
    pub fn bytes(&self) -> usize {
        self.leaves.iter().map(|leaf| leaf.bytes.len()).sum()
    }

    /// How many entries of the segment have a term of the range; one that has several counts as often.
    pub fn count(&self, range: &TermRange) -> u64 {
        let terms = self.terms(range);
        terms
            .filter_map(|(leaf, index)| leaf.terms.get(index))
            .map(|term| u64::from(term.count))
            .sum()
    }

    /// The values of the range with the number of entries that have each, ascending.
    pub fn counts(&self, range: &TermRange) -> impl Iterator<Item = (&Term, u32)> {
        let terms = self.leaves.iter().flat_map(|leaf| &leaf.terms);
        terms
            .filter(|found| range.contains(&found.term))
            .map(|found| (&found.term, found.count))
    }

    fn terms(&self, range: &TermRange) -> impl Iterator<Item = (&StoredLeaf, usize)> {
        let all = self.leaves.iter().flat_map(|leaf| {
            let indices = 0..leaf.terms.len();
            indices.map(move |index| (leaf, index))
        });
        all.filter(|(leaf, index)| {
            leaf.terms
                .get(*index)
                .is_some_and(|found| range.contains(&found.term))
        })
    }
}

/// The tree over the chunks of one term, from their hashes.
struct ChunkTree<'a>(&'a [ChunkRow]);

impl NodeReader for ChunkTree<'_> {
    type Error = ();

    fn node(&self, level: u8, index: u64) -> Result<crate::merkle::Hash, ()> {
        let start = index.checked_shl(u32::from(level)).ok_or(())?;
        let end = 1u64
            .checked_shl(u32::from(level))
            .and_then(|width| start.checked_add(width));
        let range = usize::try_from(start)
            .ok()
            .zip(end.and_then(|end| usize::try_from(end).ok()));
        let (start, end) = range.ok_or(())?;
        let mut tree = Frontier::new();
        for row in self.0.get(start..end).ok_or(())? {
            tree.push(row.hash);
        }
        Ok(tree.root())
    }
}

/// The chunks that show all postings of `window`: one before and one behind it included.
fn chunks_about(rows: &[ChunkRow], window: &Range<u32>) -> Range<u64> {
    let not_above = rows.partition_point(|row| row.first <= window.start);
    let below_end = rows.partition_point(|row| row.first < window.end);
    let first = not_above.saturating_sub(1);
    let end = (below_end + 1).min(rows.len());
    first as u64..end as u64
}

/// The first and the last offset of a window.
pub(super) fn ends_of(window: &Range<u32>) -> [Range<u32>; 2] {
    let (first, last) = (window.start, window.end.saturating_sub(1));
    [first..first.saturating_add(1), last..window.end.max(last)]
}

/// How many entries of `window` a whole list has.
pub(super) fn tally_of(runs: &[Range<u32>], seqs: &Range<u64>, window: &Range<u64>) -> Tally {
    Tally::of(&seqs_of(runs, seqs.clone(), window).collect())
}

/// How many entries of `window` a list has that is cut into chunks, from the chunks about each end of the window: with the
/// index of the first of them their offsets.
pub(super) fn tally_between(
    shown: &[(u64, Runs)],
    seqs: &Range<u64>,
    window: &Range<u64>,
) -> Tally {
    let within = offsets(seqs, window);
    let [(low_chunk, low), (high_chunk, high)] = shown else {
        return Tally::default();
    };
    let before = |chunk: u64, runs: &[Range<u32>], end: u32| {
        let shown = runs
            .iter()
            .map(|run| run.end.min(end).saturating_sub(run.start));
        let shown: u64 = shown.map(u64::from).sum();
        chunk
            .saturating_mul(CHUNK_OFFSETS as u64)
            .saturating_add(shown)
    };
    let count =
        before(*high_chunk, high, within.end).saturating_sub(before(*low_chunk, low, within.start));
    let first = low.iter().find(|run| run.end > within.start);
    let last = high.iter().rev().find(|run| run.start < within.end);
    match (count, first, last) {
        (1.., Some(first), Some(last)) => Tally {
            count,
            first: seqs.start + u64::from(first.start.max(within.start)),
            last: seqs.start + u64::from(last.end.min(within.end)).saturating_sub(1),
        },
        _ => Tally::default(),
    }
}

/// The part of `window` that a segment spans, as offsets.
pub(super) fn offsets(seqs: &Range<u64>, window: &Range<u64>) -> Range<u32> {
    let offset = |seq: u64| u32::try_from(seq.saturating_sub(seqs.start)).unwrap_or(u32::MAX);
    offset(window.start.max(seqs.start))..offset(window.end.min(seqs.end))
}

/// The seqs of runs of offsets, as far as they lie in `window`.
pub(super) fn seqs_of(
    runs: &[Range<u32>],
    seqs: Range<u64>,
    window: &Range<u64>,
) -> impl Iterator<Item = Range<u64>> {
    runs.iter().map(move |run| {
        let start = seqs.start.saturating_add(u64::from(run.start));
        let end = seqs.start.saturating_add(u64::from(run.end));
        start.max(window.start)..end.min(window.end)
    })
}
