//! The tree: its right edge in memory, its full tiles in the store.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};

use super::error::{Damage, LedgerError};
use super::keys::{tile_hashes, tile_key};
use crate::merkle::{
    Edge, FullTile, Hash, NodeInTile, NodeReader, TILE_HEIGHT, Tile, node_hash, tile_node,
};
use crate::store::{Read, Space};

/// Tiles kept in memory, 8 KiB each. More than one group can complete, so that a tile is found here until it is stored.
const CACHED_TILES: usize = 512;

/// The tree of a ledger, shared by the sequencer, which appends, and by readers, who prove.
pub(crate) struct Tree {
    store: Arc<dyn Read>,
    edge: RwLock<Edge>,
    cache: Mutex<TileCache>,
}

impl Tree {
    /// The tree of `size` leaves whose full tiles are in `store`. `leaf` gives the leaf hashes behind the last full tile.
    pub(crate) fn load(
        store: Arc<dyn Read>,
        size: u64,
        leaves: Vec<Hash>,
    ) -> Result<Self, LedgerError> {
        if size == 0 {
            return Ok(Self {
                store,
                edge: RwLock::default(),
                cache: Mutex::default(),
            });
        }
        let mut partials = vec![leaves];
        let mut level = 1u8;
        while Tile::full_tiles(level - 1, size) > 0 {
            let end = Tile::full_tiles(level - 1, size);
            let start = end - u64::from(Tile::partial_width(level, size));
            let hashes = (start..end).map(|index| stored_tile_root(&*store, level - 1, index));
            partials.push(hashes.collect::<Result<_, _>>()?);
            level += 1;
        }
        let edge = Edge::from_tiles(size, partials)
            .map_err(|error| LedgerError::Damaged(Damage::of(error.to_string())))?;
        Ok(Self {
            store,
            edge: RwLock::new(edge),
            cache: Mutex::default(),
        })
    }

    /// Appends leaves; returns the new root and the tiles to store.
    pub(crate) fn append(&self, leaves: impl Iterator<Item = Hash>) -> (Hash, Vec<FullTile>) {
        let mut completed = Vec::new();
        let mut edge = self.edge.write().unwrap_or_else(PoisonError::into_inner);
        for leaf in leaves {
            edge.push(leaf, &mut completed);
        }
        // Before the lock is released: a node must be found in the edge or in the cache.
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        for tile in &completed {
            let tile_in_memory = CachedTile::new(tile.hashes.clone());
            cache.insert((tile.level, tile.index), Arc::new(tile_in_memory));
        }
        (edge.root(), completed)
    }

    pub(crate) fn size(&self) -> u64 {
        self.edge
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .size()
    }

    pub(crate) fn root(&self) -> Hash {
        self.edge
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .root()
    }

    fn tile(&self, level: u8, index: u64) -> Result<Arc<CachedTile>, LedgerError> {
        let cached = |cache: &TileCache| cache.tiles.get(&(level, index)).cloned();
        if let Some(tile) = cached(&self.cache.lock().unwrap_or_else(PoisonError::into_inner)) {
            return Ok(tile);
        }
        let tile = Arc::new(CachedTile::new(stored_tile(&*self.store, level, index)?));
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        cache.insert((level, index), Arc::clone(&tile));
        Ok(tile)
    }
}

impl NodeReader for Tree {
    type Error = LedgerError;

    fn node(&self, level: u8, index: u64) -> Result<Hash, LedgerError> {
        let in_edge = self
            .edge
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .node(level, index);
        if let Some(hash) = in_edge {
            return Ok(hash);
        }
        let missing =
            || LedgerError::Damaged(Damage::of(format!("no node {index} at level {level}")));
        let place = NodeInTile::locate(level, index).ok_or_else(missing)?;
        let tile = self.tile(place.tile_level, place.tile_index)?;
        tile.node(place.level, place.index).ok_or_else(missing)
    }
}

pub(crate) fn stored_tile(
    store: &dyn Read,
    level: u8,
    index: u64,
) -> Result<Vec<Hash>, LedgerError> {
    let value = store.get(Space::Tile, &tile_key(level, index))?;
    value.and_then(|value| tile_hashes(&value)).ok_or_else(|| {
        let what = format!("tile {index} of level {level} is missing or cannot be decoded");
        // The first leaf below the tile, as far as that is a seq.
        let first = index.checked_shl(8 * (u32::from(level) + 1));
        LedgerError::Damaged(Damage { seq: first, what })
    })
}

fn stored_tile_root(store: &dyn Read, level: u8, index: u64) -> Result<Hash, LedgerError> {
    let hashes = stored_tile(store, level, index)?;
    tile_node(&hashes, 8, 0).ok_or_else(|| LedgerError::Damaged(Damage::of("a tile is not full")))
}

/// A full tile in memory.
struct CachedTile {
    hashes: Vec<Hash>,
    /// The nodes above them, each level behind the one below, made when a proof first needs one: it needs most of them.
    above: OnceLock<Vec<Hash>>,
}

impl CachedTile {
    fn new(hashes: Vec<Hash>) -> Self {
        Self {
            hashes,
            above: OnceLock::new(),
        }
    }

    /// The node `index` of those `level` above its hashes, 0 to 7.
    fn node(&self, level: u8, index: u16) -> Option<Hash> {
        let index = usize::from(index);
        let Some(below) = level.checked_sub(1) else {
            return self.hashes.get(index).copied();
        };
        let width = self.hashes.len() >> level;
        if index >= width {
            return None;
        }
        // So many nodes stand on the levels between the hashes and this one.
        let before = self.hashes.len() - (self.hashes.len() >> below);
        let above = self.above.get_or_init(|| nodes_above(&self.hashes));
        above.get(before + index).copied()
    }
}

/// The nodes over the hashes of a full tile but the topmost, each level behind the one below.
fn nodes_above(hashes: &[Hash]) -> Vec<Hash> {
    let mut nodes: Vec<Hash> = Vec::with_capacity(hashes.len());
    let pair_up = |row: &[Hash]| -> Vec<Hash> {
        let (pairs, _) = row.as_chunks::<2>();
        let pairs = pairs.iter();
        pairs.map(|[left, right]| node_hash(left, right)).collect()
    };
    let mut row = pair_up(hashes);
    for _ in 1..TILE_HEIGHT {
        nodes.extend_from_slice(&row);
        row = pair_up(&row);
    }
    nodes
}

/// The tiles used or completed last, oldest out first.
#[derive(Default)]
struct TileCache {
    tiles: HashMap<(u8, u64), Arc<CachedTile>>,
    order: VecDeque<(u8, u64)>,
}

impl TileCache {
    fn insert(&mut self, key: (u8, u64), tile: Arc<CachedTile>) {
        if self.tiles.insert(key, tile).is_some() {
            return;
        }
        self.order.push_back(key);
        if self.order.len() > CACHED_TILES
            && let Some(oldest) = self.order.pop_front()
        {
            self.tiles.remove(&oldest);
        }
    }
}
