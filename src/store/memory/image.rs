use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;

use super::place;
use crate::store::{Direction, KeyRange, KeyValue, Operation, Space, StoreError};

type Pairs = BTreeMap<Bytes, Cell>;

/// What changes replaced, in the order in which to restore it.
pub(super) type Replaced = Vec<(Space, Bytes, Option<Cell>)>;

/// The content of all spaces. Clones share it until one of them changes.
#[derive(Clone, Default)]
pub(super) struct Image {
    spaces: BTreeMap<Space, Arc<Pairs>>,
}

/// A stored value and whether its checksum still holds.
#[derive(Clone)]
pub(super) struct Cell {
    value: Bytes,
    sound: bool,
}

impl Image {
    pub(super) fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        let cell = self.spaces.get(&space).and_then(|pairs| pairs.get(key));
        cell.map(Cell::read).transpose()
    }

    pub(super) fn last_at_or_before(
        &self,
        space: Space,
        key: &[u8],
    ) -> Result<Option<KeyValue>, StoreError> {
        let bounds = (Bound::Unbounded, Bound::Included(key));
        self.spaces
            .get(&space)
            .and_then(|pairs| pairs.range::<[u8], _>(bounds).next_back())
            .map(|(key, cell)| Ok((key.clone(), cell.read()?)))
            .transpose()
    }

    pub(super) fn first_at_or_after(
        &self,
        space: Space,
        key: &[u8],
    ) -> Result<Option<KeyValue>, StoreError> {
        let bounds = (Bound::Included(key), Bound::Unbounded);
        self.spaces
            .get(&space)
            .and_then(|pairs| pairs.range::<[u8], _>(bounds).next())
            .map(|(key, cell)| Ok((key.clone(), cell.read()?)))
            .transpose()
    }

    pub(super) fn scan(&self, space: Space, range: KeyRange, direction: Direction) -> Cursor {
        let pairs = if range.is_empty() {
            None
        } else {
            self.spaces.get(&space).cloned()
        };
        let (lower, upper) = range.into_bounds();
        Cursor {
            pairs,
            lower: Bound::Included(lower.into()),
            upper: upper.map_or(Bound::Unbounded, |upper| Bound::Excluded(upper.into())),
            direction,
        }
    }

    /// Every value.
    pub(super) fn values(&self) -> impl Iterator<Item = &Bytes> {
        let cells = self.spaces.values().flat_map(|pairs| pairs.values());
        cells.map(|cell| &cell.value)
    }

    /// Makes the changes and returns what they replaced.
    pub(super) fn apply(&mut self, operations: &[Operation]) -> Replaced {
        let mut replaced = Vec::with_capacity(operations.len());
        for Operation { space, key, value } in operations {
            let cell = value.clone().map(|value| Cell { value, sound: true });
            replaced.push((*space, key.clone(), self.set(*space, key.clone(), cell)));
        }
        replaced.reverse();
        replaced
    }

    /// Takes back the changes that replaced this.
    pub(super) fn restore(&mut self, replaced: Replaced) {
        for (space, key, cell) in replaced {
            self.set(space, key, cell);
        }
    }

    pub(super) fn flip_bit(&mut self, space: Space, key: &[u8], bit: usize) -> bool {
        let Some(cell) = self.cell(space, key) else {
            return false;
        };
        let mut value = cell.value.to_vec();
        let Some(byte) = value.get_mut(bit / 8) else {
            return false;
        };
        *byte ^= 1 << (bit % 8);
        cell.value = value.into();
        true
    }

    pub(super) fn damage(&mut self, space: Space, key: &[u8]) -> bool {
        self.cell(space, key)
            .map(|cell| cell.sound = false)
            .is_some()
    }

    fn set(&mut self, space: Space, key: Bytes, cell: Option<Cell>) -> Option<Cell> {
        let pairs = Arc::make_mut(self.spaces.entry(space).or_default());
        match cell {
            Some(cell) => pairs.insert(key, cell),
            None => pairs.remove(&key),
        }
    }

    fn cell(&mut self, space: Space, key: &[u8]) -> Option<&mut Cell> {
        self.spaces
            .get_mut(&space)
            .and_then(|pairs| Arc::make_mut(pairs).get_mut(key))
    }
}

impl Cell {
    pub(super) fn value(&self) -> &Bytes {
        &self.value
    }

    fn read(&self) -> Result<Bytes, StoreError> {
        if self.sound {
            return Ok(self.value.clone());
        }
        Err(StoreError::Damaged {
            what: format!("checksum in {}", place().display()),
            file: None,
        })
    }
}

/// A scan under way: what is left of the range. It ends after an error, as an engine's does.
pub(super) struct Cursor {
    pairs: Option<Arc<Pairs>>,
    lower: Bound<Bytes>,
    upper: Bound<Bytes>,
    direction: Direction,
}

impl Iterator for Cursor {
    type Item = Result<KeyValue, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut left = self
            .pairs
            .as_ref()?
            .range((self.lower.clone(), self.upper.clone()));
        let next = match self.direction {
            Direction::Forward => left.next(),
            Direction::Reverse => left.next_back(),
        };
        let item = next.map(|(key, cell)| cell.read().map(|value| (key.clone(), value)));
        match (&item, self.direction) {
            (Some(Ok((key, _))), Direction::Forward) => self.lower = Bound::Excluded(key.clone()),
            (Some(Ok((key, _))), Direction::Reverse) => self.upper = Bound::Excluded(key.clone()),
            (Some(Err(_)) | None, _) => self.pairs = None,
        }
        item
    }
}
