//! Segments against a plain list of which entry has which term, and their proofs against everything that could be false.

use std::collections::BTreeMap;
use std::ops::Range;

use bytes::Bytes;
use graven::entry::v1;
use graven::index::{
    CHUNK_OFFSETS, Ranges, Segment, SegmentError, SegmentId, SegmentRecord, Source, Term, TermMap,
    TermRange, check_terms, merge,
};
use proptest::prelude::*;

/// An object in memory.
#[derive(Debug, Clone)]
struct InMemory(Bytes);

impl Source for InMemory {
    type Error = std::io::Error;

    fn len(&self) -> u64 {
        self.0.len() as u64
    }

    fn read_at(&self, offset: u64, length: usize) -> Result<Bytes, Self::Error> {
        let start = offset as usize;
        assert!(start + length <= self.0.len(), "a read beyond the end");
        Ok(self.0.slice(start..start + length))
    }
}

fn term(tag: u16, value: u16) -> Term {
    let value = format!("value {value:05}");
    Term {
        tag,
        value: value.into_bytes(),
    }
}

/// For each entry its terms.
type Entries = Vec<Vec<Term>>;

/// A fixed history: a dense term, rare ones, one for each entry, and lists that need several chunks.
fn history(entries: u64, from: u64) -> Entries {
    let entry = |seq: u64| {
        let mut terms = vec![
            term(1, 0),
            term(2, (seq % 7) as u16),
            term(2, (7 + seq % 3) as u16),
        ];
        if seq.is_multiple_of(2) {
            terms.push(term(3, 0));
        }
        if seq.is_multiple_of(997) {
            terms.push(term(4, 1));
        }
        terms.push(term(5, (seq * 31 % 60_000) as u16));
        terms.sort();
        terms.dedup();
        terms
    };
    (from..from + entries).map(entry).collect()
}

fn build(id: SegmentId, entries: &[Vec<Term>]) -> (SegmentRecord, Bytes) {
    let mut map = TermMap::default();
    for terms in entries {
        map.push(terms);
    }
    let (record, bytes) = map.write(id, Vec::new()).unwrap();
    (record, bytes.into())
}

fn open(record: SegmentRecord, bytes: &Bytes) -> Segment<InMemory> {
    Segment::open(InMemory(bytes.clone()), record).unwrap()
}

fn id(level: u8, number: u64) -> SegmentId {
    SegmentId { level, number }
}

/// What a list of entries says about a range of terms.
fn brute_force(entries: &Entries, from: u64, range: &TermRange, window: &Range<u64>) -> Vec<u64> {
    (from..)
        .zip(entries)
        .filter(|(seq, terms)| window.contains(seq) && terms.iter().any(|t| range.contains(t)))
        .map(|(seq, _)| seq)
        .collect()
}

fn prove(segment: &Segment<InMemory>, range: &TermRange, window: &Range<u64>) -> v1::TermProof {
    let found = segment.find(range, usize::MAX).unwrap().unwrap();
    segment.prove(&found, range, window).unwrap()
}

fn ranges_of_interest() -> Vec<TermRange> {
    let behind = |term: &Term, last| Term {
        tag: term.tag,
        value: [term.value.as_slice(), &[last]].concat(),
    };
    vec![
        TermRange::point(term(1, 0)),
        TermRange::point(term(2, 3)),
        TermRange::point(term(3, 0)),
        TermRange::point(term(4, 1)),
        TermRange::point(term(5, 31)),
        TermRange::point(term(0, 0)),
        TermRange::point(term(9, 0)),
        TermRange::point(behind(&term(2, 3), 0)),
        TermRange::prefix(5, b"value 0001"),
        TermRange::prefix(5, b""),
        TermRange::prefix(5, b"nothing"),
        TermRange::between(5, Some(b"value 59".to_vec()), None),
        TermRange::between(2, None, Some(b"value 00004".to_vec())),
    ]
}

#[test]
fn every_list_is_what_the_entries_say_and_proves_it() {
    let id = id(1, 3);
    let from = id.seqs().start;
    let entries = history(id.span(), from);
    let (record, bytes) = build(id, &entries);
    let segment = open(record, &bytes);
    let windows = [
        id.seqs(),
        from..from + 1,
        from + 1_023..from + 1_025,
        from + 5_000..from + 9_000,
        id.seqs().end - 1..id.seqs().end,
        0..u64::MAX,
    ];
    for range in ranges_of_interest() {
        for window in &windows {
            let expected = brute_force(&entries, from, &range, window);
            let found = segment.find(&range, usize::MAX).unwrap().unwrap();
            let plain = segment.postings(&found, &range, window).unwrap();
            assert_eq!(
                plain.iter().collect::<Vec<_>>(),
                expected,
                "{range:?} in {window:?}"
            );
            let proof = prove(&segment, &range, window);
            let proved = check_terms(&record, &range, window, &proof).unwrap();
            assert_eq!(proved, plain, "{range:?} in {window:?}");
        }
    }
}

#[test]
fn a_merge_is_byte_for_byte_what_its_entries_would_have_been_built_into() {
    let whole = id(1, 1);
    let parts: Vec<_> = (16..32)
        .map(|number| {
            let id = id(0, number);
            let (record, bytes) = build(id, &history(id.span(), id.seqs().start));
            open(record, &bytes)
        })
        .collect();
    let (record, bytes) = merge(whole, &parts, Vec::new()).unwrap();
    let (expected, expected_bytes) = build(whole, &history(whole.span(), whole.seqs().start));
    assert_eq!(record, expected);
    assert_eq!(Bytes::from(bytes), expected_bytes);
}

#[test]
fn damage_does_not_get_into_a_merge() {
    let whole = id(1, 0);
    let built: Vec<_> = (0..16)
        .map(|number| {
            let id = id(0, number);
            build(id, &history(id.span(), id.seqs().start))
        })
        .collect();
    let (expected, _) = merge(whole, &segments(&built), Vec::new()).unwrap();
    let (record, bytes) = &built[3];
    let mut refused = 0;
    for at in (0..bytes.len()).step_by(211) {
        let mut damaged = bytes.to_vec();
        damaged[at] ^= 0x20;
        let Ok(damaged) = Segment::open(InMemory(damaged.into()), *record) else {
            continue;
        };
        let mut parts = segments(&built);
        parts[3] = damaged;
        match merge(whole, &parts, Vec::new()) {
            Ok((record, _)) => assert_eq!(record, expected, "byte {at}"),
            Err(_) => refused += 1,
        }
    }
    assert!(refused > 40, "only {refused} bytes were missed");
}

fn segments(built: &[(SegmentRecord, Bytes)]) -> Vec<Segment<InMemory>> {
    let open = |(record, bytes): &(SegmentRecord, Bytes)| open(*record, bytes);
    built.iter().map(open).collect()
}

/// Every way to change one byte, one length or one number of a proof.
fn mutations(proof: &v1::TermProof) -> Vec<v1::TermProof> {
    let mut mutated = Vec::new();
    let mut change = |edit: &dyn Fn(&mut v1::TermProof)| {
        let mut changed = proof.clone();
        edit(&mut changed);
        mutated.push(changed);
    };
    change(&|p| p.first_leaf += 1);
    change(&|p| p.first_leaf = p.first_leaf.wrapping_sub(1));
    change(&|p| drop(p.leaves.pop()));
    change(&|p| drop(p.leaves.remove(0)));
    change(&|p| p.leaves.push(p.leaves[0].clone()));
    change(&|p| p.leaves.reverse());
    for at in 0..proof.hashes.len() {
        change(&|p| p.hashes[at] ^= 1);
    }
    change(&|p| p.hashes.push(0));
    change(&|p| p.hashes.extend([0; 32]));
    change(&|p| p.hashes.truncate(p.hashes.len().saturating_sub(32)));
    for (leaf, bytes) in proof.leaves.iter().enumerate() {
        for at in 0..bytes.len() {
            change(&|p| p.leaves[leaf][at] ^= 4);
        }
        change(&|p| p.leaves[leaf].truncate(bytes.len() - 1));
        change(&|p| p.leaves[leaf].push(0));
    }
    for list in 0..proof.postings.len() {
        change(&|p| drop(p.postings.remove(list)));
        change(&|p| p.postings.push(p.postings[list].clone()));
        change(&|p| p.postings[list].first_chunk += 1);
        change(&|p| drop(p.postings[list].chunks.pop()));
        change(&|p| drop(p.postings[list].chunks.remove(0)));
        change(&|p| p.postings[list].hashes.extend([0; 32]));
        for (chunk, bytes) in proof.postings[list].chunks.iter().enumerate() {
            for at in (0..bytes.len()).step_by(41) {
                change(&|p| p.postings[list].chunks[chunk][at] ^= 1);
            }
            change(&|p| p.postings[list].chunks[chunk].push(0));
        }
        for at in (0..proof.postings[list].hashes.len()).step_by(7) {
            change(&|p| p.postings[list].hashes[at] ^= 1);
        }
    }
    mutated.retain(|changed| changed != proof);
    mutated
}

#[test]
fn no_altered_proof_is_believed() {
    let id = id(1, 0);
    let (record, bytes) = build(id, &history(id.span(), 0));
    let segment = open(record, &bytes);
    let mut tried = 0;
    for range in ranges_of_interest() {
        for window in [id.seqs(), 3_000..3_001] {
            let proof = prove(&segment, &range, &window);
            if proof.leaves.len() > 20 {
                continue;
            }
            for changed in mutations(&proof) {
                let checked = check_terms(&record, &range, &window, &changed);
                assert!(checked.is_err(), "{range:?} in {window:?}: {changed:?}");
                tried += 1;
            }
        }
    }
    assert!(tried > 10_000, "only {tried} proofs were tried");
}

#[test]
fn a_proof_of_less_is_not_a_proof_of_more() {
    let id = id(1, 0);
    let (record, bytes) = build(id, &history(id.span(), 0));
    let segment = open(record, &bytes);
    let dense = TermRange::point(term(3, 0));
    let early = 0..2_000;
    let proof = prove(&segment, &dense, &early);
    assert!(check_terms(&record, &dense, &early, &proof).is_ok());
    assert!(check_terms(&record, &dense, &id.seqs(), &proof).is_err());
    let one = TermRange::point(term(5, 31));
    let proof = prove(&segment, &one, &id.seqs());
    let many = TermRange::prefix(5, b"value");
    assert!(check_terms(&record, &many, &id.seqs(), &proof).is_err());
    let other = SegmentRecord {
        root: [7; 32],
        ..record
    };
    assert!(check_terms(&other, &one, &id.seqs(), &proof).is_err());
}

#[test]
fn damage_to_a_segment_is_an_error_or_proves_nothing_false() {
    let id = id(0, 5);
    let entries = history(id.span(), id.seqs().start);
    let (record, bytes) = build(id, &entries);
    for at in 0..bytes.len() {
        let mut damaged = bytes.to_vec();
        damaged[at] ^= 0x20;
        let Ok(segment) = Segment::open(InMemory(damaged.into()), record) else {
            continue;
        };
        for range in [TermRange::point(term(2, 3)), TermRange::point(term(3, 0))] {
            let proof: Result<_, SegmentError<_>> = segment
                .find(&range, 64)
                .and_then(|found| segment.prove(&found.unwrap(), &range, &id.seqs()));
            let checked = proof.map(|proof| check_terms(&record, &range, &id.seqs(), &proof));
            if let Ok(Ok(seqs)) = checked {
                let expected = brute_force(&entries, id.seqs().start, &range, &id.seqs());
                assert_eq!(seqs.iter().collect::<Vec<_>>(), expected, "byte {at}");
            }
        }
    }
    for length in 0..bytes.len() {
        let cut = InMemory(bytes.slice(..length));
        assert!(Segment::open(cut, record).is_err(), "cut to {length}");
    }
}

#[test]
fn long_lists_are_cut_into_chunks_of_one_size() {
    let id = id(1, 0);
    let entries: Entries = (0..id.span())
        .map(|seq| {
            let odd = seq % 2 == 1;
            odd.then(|| term(1, 1)).into_iter().collect()
        })
        .collect();
    let (record, bytes) = build(id, &entries);
    let segment = open(record, &bytes);
    let proof = prove(&segment, &TermRange::point(term(1, 1)), &id.seqs());
    let chunks = proof.postings[0].chunks.len();
    assert_eq!(chunks, entries.len() / 2 / CHUNK_OFFSETS);
}

fn some_terms() -> impl Strategy<Value = Vec<Term>> {
    let some = prop::collection::btree_set((0u16..4, 0u16..12), 0..6);
    some.prop_map(|terms| {
        terms
            .into_iter()
            .map(|(tag, value)| term(tag, value))
            .collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn random_entries_are_found_and_proved(
        entries in prop::collection::vec(some_terms(), 1..400),
        tag in 0u16..5,
        from in 0u16..13,
        to in 0u16..13,
        start in 0u64..400,
        length in 0u64..400,
    ) {
        let id = id(0, 2);
        let first = id.seqs().start;
        let (record, bytes) = build(id, &entries);
        let segment = open(record, &bytes);
        let range = TermRange { from: term(tag, from), to: term(tag, to) };
        let window = first + start..first + start + length;
        let expected = brute_force(&entries, first, &range, &window);
        let proof = prove(&segment, &range, &window);
        let proved = check_terms(&record, &range, &window, &proof).unwrap();
        prop_assert_eq!(proved.iter().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn merges_of_random_segments_are_what_their_entries_are_built_into(
        parts in prop::collection::vec(prop::collection::vec(some_terms(), 0..200), 16),
    ) {
        // Each part ends with entries that have no terms.
        let filled = |entries: &Entries| {
            let mut entries = entries.clone();
            entries.resize(1_024, Vec::new());
            entries
        };
        let built: Vec<_> = (32..)
            .zip(&parts)
            .map(|(number, entries)| build(id(0, number), &filled(entries)))
            .collect();
        let (record, bytes) = merge(id(1, 2), &segments(&built), Vec::new()).unwrap();
        let all: Entries = parts.iter().flat_map(filled).collect();
        let (expected, expected_bytes) = build(id(1, 2), &all);
        prop_assert_eq!(record, expected);
        prop_assert!(bytes == expected_bytes);
    }

    #[test]
    fn sets_are_sets(
        left in prop::collection::btree_set(0u64..60, 0..40),
        right in prop::collection::btree_set(0u64..60, 0..40),
    ) {
        let set = |seqs: &std::collections::BTreeSet<u64>| seqs.iter().copied().collect::<Ranges>();
        let (a, b) = (set(&left), set(&right));
        prop_assert_eq!(a.union(&b), set(&left.union(&right).copied().collect()));
        prop_assert_eq!(a.intersection(&b), set(&left.intersection(&right).copied().collect()));
        let rest = (5..50).filter(|seq| !left.contains(seq)).collect();
        prop_assert_eq!(a.complement(5..50), set(&rest));
        prop_assert_eq!(a.len(), left.len() as u64);
        let shuffled: BTreeMap<u64, u64> = left.iter().map(|seq| (seq * 37 % 61, *seq)).collect();
        let again: Ranges = shuffled.values().map(|seq| *seq..seq + 1).collect();
        prop_assert_eq!(again, a);
    }
}
