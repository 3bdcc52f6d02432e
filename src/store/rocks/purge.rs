//! Gets rid of old values: the engine keeps them in its log and in its tables until it happens to compact them.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use rocksdb::{BottommostLevelCompaction, CompactOptions, DB, LiveFile};

use super::errors::from_engine;
use super::settings::family_name;
use super::store_files;
use super::view::family;
use crate::store::{KeyRange, Space, StoreError};

/// How long the engine may take to delete files that it does not need any more. A read that is under way keeps them.
const DELETION: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(5);

/// Places in order, each with the keys that are compacted with it.
type Places<'a> = [(Space, KeyRange)];

/// The logs of the store that hold something. A flush puts an end to each of them.
pub(super) fn used_logs(dir: &Path) -> Result<BTreeSet<String>, StoreError> {
    let mut logs = BTreeSet::new();
    for name in store_files(dir)? {
        let is_log = name.strip_suffix(".log").is_some();
        // One that is gone by now was deleted by the engine.
        if is_log && std::fs::metadata(dir.join(&name)).is_ok_and(|log| log.len() > 0) {
            logs.insert(name);
        }
    }
    Ok(logs)
}

/// Writes every table anew that may hold an old value of `places`, and waits until the old ones and `logs` are gone.
///
/// Everything was flushed before.
pub(super) fn purge(
    db: &DB,
    places: &Places<'_>,
    mut old: BTreeSet<String>,
) -> Result<(), StoreError> {
    old.extend(doubtful(db, places)?);
    let mut options = CompactOptions::default();
    // Not beside others, whose results could hold what is to go.
    options.set_exclusive_manual_compaction(true);
    // Without this the last level stays as it is.
    options.set_bottommost_level_compaction(BottommostLevelCompaction::Force);
    let tables = live_tables(db)?;
    for space in Space::ALL {
        let of_space = places.iter().filter(|(of, _)| *of == space);
        let family = family(db, space)?;
        for range in together(of_space.map(|(_, range)| range), &tables, space) {
            let (lower, upper) = range.into_bounds();
            db.compact_range_cf_opt(family, Some(lower), upper, &options);
        }
    }
    // Also what others wrote meanwhile and is not needed any more.
    old.extend(unlisted(db)?);
    let end = Instant::now() + DELETION;
    loop {
        let left = left_of(db, &old, places)?;
        let Some(name) = left.first() else {
            return Ok(());
        };
        if Instant::now() > end {
            let what = format!("old values in {}", db.path().join(name).display());
            let source = std::io::Error::other("the engine still needs the file");
            return Err(StoreError::Io { what, source });
        }
        std::thread::sleep(PAUSE);
    }
}

fn live_tables(db: &DB) -> Result<Vec<LiveFile>, StoreError> {
    db.live_files()
        .map_err(|error| from_engine(db.path(), error))
}

fn name_of(table: &LiveFile) -> String {
    table.name.trim_start_matches('/').to_owned()
}

/// Whether a table may hold a value that stands, or stood, in one of `places`.
fn meets(table: &LiveFile, places: &Places<'_>) -> bool {
    let first = table.start_key.as_deref().unwrap_or_default();
    let last = table.end_key.as_deref().unwrap_or_default();
    places.iter().any(|(space, range)| {
        family_name(*space) == table.column_family_name && range.meets(first, last)
    })
}

/// Tables in the directory that are not part of the store, or not yet.
fn unlisted(db: &DB) -> Result<BTreeSet<String>, StoreError> {
    let files = store_files(db.path())?.into_iter();
    let mut tables: BTreeSet<String> = files
        .filter(|name| name.strip_suffix(".sst").is_some())
        .collect();
    for table in live_tables(db)? {
        tables.remove(&name_of(&table));
    }
    Ok(tables)
}

/// Tables in the directory that may hold old values.
fn doubtful(db: &DB, places: &Places<'_>) -> Result<BTreeSet<String>, StoreError> {
    let mut tables = unlisted(db)?;
    let live = live_tables(db)?;
    let meeting = live.iter().filter(|table| meets(table, places));
    tables.extend(meeting.map(name_of));
    Ok(tables)
}

/// Those of the files `old` that are still there and may hold old values. One that was not part of the store and became
/// that elsewhere holds none.
fn left_of(
    db: &DB,
    old: &BTreeSet<String>,
    places: &Places<'_>,
) -> Result<BTreeSet<String>, StoreError> {
    let files = store_files(db.path())?.into_iter();
    let mut left: BTreeSet<String> = files.filter(|name| old.contains(name)).collect();
    if !left.is_empty() {
        for table in live_tables(db)? {
            if !meets(&table, places) {
                left.remove(&name_of(&table));
            }
        }
    }
    Ok(left)
}

/// The ranges to compact one by one: those that lie in one table of a lower level together, so that none is written twice.
fn together<'a>(
    ranges: impl Iterator<Item = &'a KeyRange>,
    tables: &[LiveFile],
    space: Space,
) -> Vec<KeyRange> {
    let tables = tables.iter().filter(|table| {
        // Those of the uppermost level span whatever was written at a time.
        table.level > 0 && table.column_family_name == family_name(space)
    });
    let spans: Vec<(&[u8], &[u8])> = tables
        .filter_map(|table| Some((table.start_key.as_deref()?, table.end_key.as_deref()?)))
        .collect();
    let in_one = |a: &KeyRange, b: &KeyRange| {
        let both = |(first, last): &(&[u8], &[u8])| a.meets(first, last) && b.meets(first, last);
        spans.iter().any(both)
    };
    let mut ranges: Vec<KeyRange> = ranges.cloned().collect();
    ranges.sort_by(|a, b| a.lower().cmp(b.lower()));
    let mut grouped: Vec<KeyRange> = Vec::new();
    for range in ranges {
        match grouped.last_mut() {
            Some(group) if in_one(group, &range) => *group = group.through(&range),
            _ => grouped.push(range),
        }
    }
    grouped
}
