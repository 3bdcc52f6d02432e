//! Postings: the entries of a segment that have a term, as offsets from the segment's first seq.
//!
//! ```text
//! postings  a token for each run: varint of (gap − 1) · 2 + long, and when it is long varint of (length − 2)
//!           gap: from the last offset before, or from −1; long: the run has two offsets or more
//! varint    LEB128, shortest form; runs are as long as they can be
//! ```
//!
//! There is one encoding for a list. Lists are cut into chunks of 1,024 offsets, the last one shorter; each chunk is
//! encoded by itself, so a run ends with its chunk.

use std::ops::Range;

/// Offsets of a full chunk.
pub const CHUNK_OFFSETS: usize = 1_024;

/// Offsets, as runs that ascend.
pub(crate) type Runs = Vec<Range<u32>>;

/// Appends the encoding of offsets given as runs that ascend and do not touch.
pub(crate) fn encode(runs: &[Range<u32>], encoded: &mut Vec<u8>) {
    let mut next = 0u64;
    for run in runs {
        let gap = u64::from(run.start).saturating_sub(next);
        let length = u64::from(run.end.saturating_sub(run.start));
        put_varint(encoded, gap << 1 | u64::from(length > 1));
        if length > 1 {
            put_varint(encoded, length - 2);
        }
        next = u64::from(run.end);
    }
}

/// Appends the encoding of the postings encoded in `postings`, each offset larger by `shift`. None if there are none.
pub(crate) fn shift(mut postings: &[u8], shift: u32, encoded: &mut Vec<u8>) -> Option<()> {
    // All gaps but the first are between two of them.
    let first = take_varint(&mut postings)?;
    put_varint(encoded, first.checked_add(u64::from(shift) << 1)?);
    encoded.extend_from_slice(postings);
    Some(())
}

/// Takes exactly `count` offsets from the front of `bytes`. None if they are not encoded as [`encode`] does, or not below
/// `span`.
pub(crate) fn decode(bytes: &mut &[u8], count: usize, span: u32) -> Option<Runs> {
    let mut runs = Runs::new();
    decode_into(bytes, count, span, &mut runs).map(|()| runs)
}

/// Like [`decode`], into `runs` instead of what was there.
pub(crate) fn decode_into(
    bytes: &mut &[u8],
    count: usize,
    span: u32,
    runs: &mut Runs,
) -> Option<()> {
    runs.clear();
    let mut left = count;
    let mut next = 0u64;
    while left > 0 {
        let token = take_varint(bytes)?;
        let gap = token >> 1;
        if gap == 0 && !runs.is_empty() {
            // It would have belonged to the run before.
            return None;
        }
        let length = if token & 1 == 0 {
            1
        } else {
            take_varint(bytes)?.checked_add(2)?
        };
        left = left.checked_sub(usize::try_from(length).ok()?)?;
        let start = next.checked_add(gap)?;
        let end = start.checked_add(length)?;
        if end > u64::from(span) {
            return None;
        }
        runs.push(u32::try_from(start).ok()?..u32::try_from(end).ok()?);
        next = end;
    }
    Some(())
}

fn put_varint(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    bytes.push(value.to_le_bytes()[0]);
}

fn take_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    // An offset has 32 bits, and a token one more.
    for shift in (0..35).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            let shortest = byte != 0 || shift == 0;
            return shortest.then_some(value);
        }
    }
    None
}

/// Cuts a list into chunks while it comes in, run by run.
#[derive(Debug, Default)]
pub(crate) struct Chunker {
    runs: Runs,
    offsets: usize,
    total: u64,
}

impl Chunker {
    /// Takes the next run, which must lie behind those before, and hands every chunk that it fills to `full`.
    pub(crate) fn push<E>(
        &mut self,
        mut run: Range<u32>,
        mut full: impl FnMut(&[Range<u32>]) -> Result<(), E>,
    ) -> Result<(), E> {
        self.total += u64::from(run.end.saturating_sub(run.start));
        while !run.is_empty() {
            let room = u32::try_from(CHUNK_OFFSETS - self.offsets).unwrap_or(0);
            let taken = run.start..run.end.min(run.start.saturating_add(room));
            run.start = taken.end;
            self.offsets += (taken.end - taken.start) as usize;
            match self.runs.last_mut() {
                Some(last) if last.end == taken.start => last.end = taken.end,
                _ => self.runs.push(taken),
            }
            if self.offsets == CHUNK_OFFSETS {
                full(&self.runs)?;
                self.runs.clear();
                self.offsets = 0;
            }
        }
        Ok(())
    }

    /// The offsets of the last chunk, fewer than a full one has.
    pub(crate) fn rest(&self) -> &[Range<u32>] {
        &self.runs
    }

    /// How many offsets came in.
    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    /// Makes it as new, but for its memory.
    pub(crate) fn clear(&mut self) {
        self.runs.clear();
        self.offsets = 0;
        self.total = 0;
    }
}
