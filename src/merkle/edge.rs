use std::mem;

use super::frontier::{Frontier, MAX_SIZE};
use super::tile::{NodeInTile, TILE_HEIGHT, TILE_WIDTH, Tile, hashes_at, tile_node};
use super::{FrontierError, Hash};

/// A tile that [`Edge::push`] completed: it never changes again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FullTile {
    /// Tile level.
    pub level: u8,
    /// Number of the tile within its level.
    pub index: u64,
    /// Its 256 hashes.
    pub hashes: Vec<Hash>,
}

/// The mutable right edge of a tree kept as tiles.
///
/// Holds the partial tile of each tile level; full tiles go to the caller as they complete. With
/// those, [`Edge::node`] answers for every node of the tree.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Edge {
    frontier: Frontier,
    /// By tile level, each of fewer than 256 hashes. As many levels as the largest size so far needs.
    partials: Vec<Vec<Hash>>,
}

impl Edge {
    /// The empty tree.
    pub fn new() -> Self {
        Self::default()
    }

    /// A tree of `size` leaves from its partial tiles, level 0 first.
    ///
    /// There is one for each tile level with any hash; it is empty where all tiles are full
    /// ([`Tile::partial_width`]). Compare [`Edge::root`] with a trusted root afterwards.
    pub fn from_tiles(size: u64, partials: Vec<Vec<Hash>>) -> Result<Self, FrontierError> {
        if size > MAX_SIZE {
            return Err(FrontierError::TooLarge { size });
        }
        let levels = tile_levels(size);
        let expected = usize::from(levels);
        if partials.len() != expected {
            return Err(FrontierError::WrongLevels {
                size,
                expected,
                got: partials.len(),
            });
        }
        let mut hashes = Vec::with_capacity(64);
        for (level, tile) in (0..levels).zip(&partials).rev() {
            let width = Tile::partial_width(level, size);
            if tile.len() != usize::from(width) {
                let expected = usize::from(width);
                return Err(FrontierError::WrongWidth {
                    size,
                    level,
                    expected,
                    got: tile.len(),
                });
            }
            // The ones of the size's binary form are the frontier's subtrees.
            let complete = (0..TILE_HEIGHT).rev().filter(|bit| width >> bit & 1 == 1);
            hashes.extend(complete.filter_map(|bit| tile_node(tile, bit, (width >> bit) - 1)));
        }
        let frontier = Frontier::from_parts(size, hashes)?;
        Ok(Self { frontier, partials })
    }

    /// Appends a leaf, given its hash; tiles that this completes are added to `completed`, the
    /// lowest level first.
    ///
    /// Costs one node hash on average: the root of a completed tile is a node the tree needs anyway.
    pub fn push(&mut self, leaf_hash: Hash, completed: &mut Vec<FullTile>) {
        let last_leaf = self.frontier.size();
        let partials = &mut self.partials;
        append(partials, 0, leaf_hash);
        self.frontier.push_with(leaf_hash, |level, hash| {
            if !level.is_multiple_of(TILE_HEIGHT) {
                return;
            }
            let above = level / TILE_HEIGHT;
            let below = above - 1;
            if let Some(tile) = partials.get_mut(usize::from(below)) {
                let hashes = mem::replace(tile, Vec::with_capacity(usize::from(TILE_WIDTH)));
                completed.push(FullTile {
                    level: below,
                    index: last_leaf >> level,
                    hashes,
                });
            }
            append(partials, above, hash);
        });
    }

    /// Number of leaves.
    pub fn size(&self) -> u64 {
        self.frontier.size()
    }

    /// Root of the tree.
    pub fn root(&self) -> Hash {
        self.frontier.root()
    }

    /// The roots of the complete subtrees.
    pub fn frontier(&self) -> &Frontier {
        &self.frontier
    }

    /// The hashes of the partial tile at a tile level: fewer than 256, none beyond the top.
    pub fn partial(&self, tile_level: u8) -> &[Hash] {
        self.partials
            .get(usize::from(tile_level))
            .map_or(&[], Vec::as_slice)
    }

    /// The node at tree level `level` and `index`, if it lies inside a partial tile.
    ///
    /// None for nodes in full tiles, which the caller has, and for nodes not complete yet.
    /// Costs up to 127 node hashes, but none for the subtrees of [`Edge::frontier`].
    pub fn node(&self, level: u8, index: u64) -> Option<Hash> {
        if let Some(hash) = self.frontier.node(level, index) {
            return Some(hash);
        }
        let place = NodeInTile::locate(level, index)?;
        if place.tile_index != Tile::full_tiles(place.tile_level, self.size()) {
            return None;
        }
        tile_node(self.partial(place.tile_level), place.level, place.index)
    }
}

fn append(partials: &mut Vec<Vec<Hash>>, tile_level: u8, hash: Hash) {
    if let Some(tile) = partials.get_mut(usize::from(tile_level)) {
        tile.push(hash);
    } else {
        let mut tile = Vec::with_capacity(usize::from(TILE_WIDTH));
        tile.push(hash);
        partials.push(tile);
    }
}

/// How many tile levels a tree of `size` leaves has any hash at.
fn tile_levels(size: u64) -> u8 {
    (0..TILE_HEIGHT)
        .find(|level| hashes_at(*level, size) == 0)
        .unwrap_or(TILE_HEIGHT)
}
