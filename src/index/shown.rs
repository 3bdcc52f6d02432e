//! Which of the entries that are shown can match: told from the terms of their parts, so that most need not be decoded.

use super::terms::{PRESENCE, presence_value};
use super::walk::walk_terms;
use super::{Plan, Ranges};
use crate::entry::Header;
use crate::entry::body::{Body, Content};

impl Plan {
    /// The seqs of those of `entries`, which ascend, that can match. It leaves out what [`candidates`](Self::candidates)
    /// leaves out for the lists that a segment of these entries would have, and nothing else.
    ///
    /// The parts that are shown must have been checked to be canonical encodings.
    pub fn possible_among(&self, entries: &[(Header, Body)]) -> Ranges {
        let (Some((first, _)), Some((last, _))) = (entries.first(), entries.last()) else {
            return Ranges::new();
        };
        let mut lists = vec![Ranges::new(); self.ranges().len()];
        let mut unclear = Ranges::new();
        for (header, body) in entries {
            let seq = header.seq..header.seq.saturating_add(1);
            if hides_terms(body) {
                unclear.insert(seq);
                continue;
            }
            let shown = body
                .parts()
                .iter()
                .filter_map(|(tag, content)| match content {
                    Content::Disclosed { bytes, .. } => Some((*tag, bytes.as_ref())),
                    Content::Withheld(_) | Content::Erased(_) => None,
                });
            walk_terms(header.kind, shown, &mut |tag, value| {
                let presence = presence_value(tag);
                for (range, list) in self.ranges().iter().zip(&mut lists) {
                    if range.has(tag, value) || range.has(PRESENCE, &presence) {
                        list.insert(seq.clone());
                    }
                }
            });
        }
        let lists: Vec<_> = lists.into_iter().map(Some).collect();
        let window = first.seq..last.seq.saturating_add(1);
        self.candidates(&lists, &window).seqs.union(&unclear)
    }
}

/// Whether a part that has terms is not shown.
fn hides_terms(body: &Body) -> bool {
    let mut parts = body.parts().iter();
    parts.any(|(tag, content)| !tag.is_erasable() && !matches!(content, Content::Disclosed { .. }))
}
