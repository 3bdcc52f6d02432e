//! The part of a directory's audit that is about the search index.

use super::audit::Problem;
use super::keys::{SEAL, key_seq};
use super::segment_objects::{SegmentBytes, name, unreadable};
use super::segments::{commitment, read_records};
use crate::entry::genesis::{Genesis, INDEX_VERSION};
use crate::entry::v1;
use crate::index::{Levels, Segment};
use crate::store::{Objects, Read, Space, StoreError};
use crate::verify::{Check, Finding, Reason};

/// Checks that the records are those of the newest seal, given with its seq, and that the segments are what they say. A
/// segment that is missing is none of it: a start builds it from the entries. Of an index that is not known here nothing is
/// checked; that is the reason that comes back.
pub(super) fn check(
    store: &dyn Read,
    objects: &dyn Objects,
    genesis: &Genesis,
    seal: Option<&(u64, v1::Seal)>,
) -> Result<Option<Reason>, Problem> {
    let doubt = match (genesis.unknown_index(), seal) {
        (None, Some((_, seal))) if seal.index_version != INDEX_VERSION => {
            Some(format!("version {}", seal.index_version))
        }
        (doubt, _) => doubt,
    };
    if let Some(index) = doubt {
        return Ok(Some(Reason::UnknownIndex { index }));
    }
    let noted = store.get(Space::Meta, SEAL)?;
    if noted.as_deref().and_then(key_seq) != seal.map(|(seq, _)| *seq) {
        let expected = seal.map_or_else(|| "no seal".into(), |(seq, _)| format!("the seal {seq}"));
        return Err(Finding::of(Check::Index, expected, "another").into());
    }
    let (levels, records) = read_records(store)?;
    let stored = commitment(&levels);
    let newest = seal.map_or_else(|| commitment(&[]), |(_, seal)| seal.clone());
    let Some(levels) = Levels::of(&stored).filter(|_| stored == newest) else {
        let expected = "the records that the newest seal commits to";
        return Err(Finding::of(Check::Index, expected, "others").into());
    };
    for id in levels.cover(&(0..u64::MAX)) {
        let object = match objects.open(&name(id)) {
            Err(StoreError::Missing { .. }) => continue,
            object => object?,
        };
        if let Some(record) = records.get(&id) {
            let segment =
                Segment::open(SegmentBytes::Object(object), *record).map_err(unreadable)?;
            segment.audit().map_err(unreadable)?;
        }
    }
    Ok(None)
}
