use std::path::Path;

use bytes::Bytes;
use rocksdb::{ColumnFamily, DB, DBRawIterator, IteratorMode, ReadOptions, Snapshot};

use super::errors::from_engine;
use super::settings::family_name;
use crate::store::{Direction, KeyRange, KeyValue, Scan, Space, StoreError};

/// What there is to read: the store as it is at each call, or as it was at a snapshot.
pub(super) struct View<'a> {
    pub(super) db: &'a DB,
    pub(super) snapshot: Option<&'a Snapshot<'a>>,
}

impl<'a> View<'a> {
    pub(super) fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        let value = self
            .db
            .get_pinned_cf_opt(family(self.db, space)?, key, &self.options())
            .map_err(|error| self.error(error))?;
        Ok(value.map(|value| Bytes::copy_from_slice(&value)))
    }

    pub(super) fn get_many(
        &self,
        space: Space,
        keys: &[&[u8]],
    ) -> Result<Vec<Option<Bytes>>, StoreError> {
        let family = family(self.db, space)?;
        self.db
            .batched_multi_get_cf_opt(
                family,
                keys.iter().copied(),
                keys.is_sorted(),
                &self.options(),
            )
            .into_iter()
            .map(|value| match value {
                Ok(value) => Ok(value.map(|value| Bytes::copy_from_slice(&value))),
                Err(error) => Err(self.error(error)),
            })
            .collect()
    }

    pub(super) fn last_at_or_before(
        &self,
        space: Space,
        key: &[u8],
    ) -> Result<Option<KeyValue>, StoreError> {
        self.pair_at(space, |cursor| cursor.seek_for_prev(key))
    }

    pub(super) fn first_at_or_after(
        &self,
        space: Space,
        key: &[u8],
    ) -> Result<Option<KeyValue>, StoreError> {
        self.pair_at(space, |cursor| cursor.seek(key))
    }

    fn pair_at(
        &self,
        space: Space,
        seek: impl FnOnce(&mut DBRawIterator<'_>),
    ) -> Result<Option<KeyValue>, StoreError> {
        let family = family(self.db, space)?;
        let mut cursor = self.db.raw_iterator_cf_opt(family, self.options());
        seek(&mut cursor);
        if let Some((key, value)) = cursor.item() {
            return Ok(Some((
                Bytes::copy_from_slice(key),
                Bytes::copy_from_slice(value),
            )));
        }
        // Without this a damaged table would look like one without the key.
        cursor.status().map_err(|error| self.error(error))?;
        Ok(None)
    }

    pub(super) fn scan(self, space: Space, range: KeyRange, direction: Direction) -> Scan<'a> {
        if range.is_empty() {
            return Box::new(std::iter::empty());
        }
        let family = match family(self.db, space) {
            Ok(family) => family,
            Err(error) => return Box::new(std::iter::once(Err(error))),
        };
        let mut options = self.options();
        let (lower, upper) = range.into_bounds();
        options.set_iterate_lower_bound(lower);
        if let Some(upper) = upper {
            options.set_iterate_upper_bound(upper);
        }
        let mode = match direction {
            Direction::Forward => IteratorMode::Start,
            Direction::Reverse => IteratorMode::End,
        };
        // This iterator, unlike the engine's raw one, yields the error that ended it.
        let pairs = self.db.iterator_cf_opt(family, options, mode);
        Box::new(pairs.map(move |pair| match pair {
            Ok((key, value)) => Ok((Bytes::from(key), Bytes::from(value))),
            Err(error) => Err(self.error(error)),
        }))
    }

    fn options(&self) -> ReadOptions {
        let mut options = ReadOptions::default();
        if let Some(snapshot) = self.snapshot {
            options.set_snapshot(snapshot);
        }
        options
    }

    fn error(&self, error: rocksdb::Error) -> StoreError {
        from_engine(self.db.path(), error)
    }
}

/// The engine's handle for `space`. Every one was opened with the store.
pub(super) fn family(db: &DB, space: Space) -> Result<&ColumnFamily, StoreError> {
    let name = family_name(space);
    db.cf_handle(name).ok_or_else(|| StoreError::Damaged {
        what: format!("{} has no family {name}", Path::display(db.path())),
        file: None,
    })
}
