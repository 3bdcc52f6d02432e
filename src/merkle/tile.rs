//! Tiles: subtrees of height 8 as C2SP tlog-tiles names, stores and serves them.

use std::fmt::{self, Display, Formatter, Write};
use std::str::FromStr;

use thiserror::Error;

use super::{Hash, node_hash};

/// Levels of the tree that one tile level covers.
pub const TILE_HEIGHT: u8 = 8;
/// Hashes in a full tile.
pub const TILE_WIDTH: u16 = 256;
/// The highest tile level that has a path.
const LEVEL_MAX: u8 = 63;

/// The name of a tile: `width` consecutive hashes at one tile level.
///
/// At level 0 they are leaf hashes; at level l each is the root of a full tile at level l - 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tile {
    level: u8,
    index: u64,
    width: u16,
}

/// Why a tile path was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TilePathError {
    /// Not `tile/<L>/<N>` or `tile/<L>/<N>.p/<W>`, with exactly the digits the specification asks for.
    #[error("tile path is not tile/<level>/<index>[.p/<width>]")]
    Malformed,
    /// Tile levels go from 0 to 63.
    #[error("tile level is not 0 to 63")]
    Level,
    /// A partial tile has 1 to 255 hashes, and a full one no width in its path.
    #[error("tile width is not 1 to 255, or 256 for a full tile")]
    Width,
}

impl Tile {
    /// A tile by its parts: `level` 0 to 63, `width` 1 to 256.
    pub fn new(level: u8, index: u64, width: u16) -> Result<Self, TilePathError> {
        if level > LEVEL_MAX {
            return Err(TilePathError::Level);
        }
        if !(1..=TILE_WIDTH).contains(&width) {
            return Err(TilePathError::Width);
        }
        Ok(Self {
            level,
            index,
            width,
        })
    }

    /// Tile level: each covers eight levels of the tree.
    pub fn level(&self) -> u8 {
        self.level
    }

    /// Number of the tile within its level.
    pub fn index(&self) -> u64 {
        self.index
    }

    /// How many hashes the tile has, 1 to 256.
    pub fn width(&self) -> u16 {
        self.width
    }

    /// Whether no hash can be added to the tile any more.
    pub fn is_full(&self) -> bool {
        self.width == TILE_WIDTH
    }

    /// Width of the partial tile at `level` in a tree of `size` leaves; 0 if there is none.
    pub fn partial_width(level: u8, size: u64) -> u16 {
        let [.., low] = hashes_at(level, size).to_be_bytes();
        u16::from(low)
    }

    /// How many full tiles a tree of `size` leaves has at `level`.
    pub fn full_tiles(level: u8, size: u64) -> u64 {
        hashes_at(level, size) >> TILE_HEIGHT
    }

    /// Parses what [`Tile::to_string`] gives, and nothing else.
    pub fn parse(path: &str) -> Result<Self, TilePathError> {
        let rest = path.strip_prefix("tile/").ok_or(TilePathError::Malformed)?;
        let (level, rest) = rest.split_once('/').ok_or(TilePathError::Malformed)?;
        let (index, width) = match rest.split_once(".p/") {
            Some((index, width)) => (index, decimal(width)?),
            None => (rest, u64::from(TILE_WIDTH)),
        };
        let level = u8::try_from(decimal(level)?).map_err(|_| TilePathError::Level)?;
        let width = u16::try_from(width).map_err(|_| TilePathError::Width)?;
        let tile = Self::new(level, parse_index(index)?, width)?;
        // One name a tile: refuses padding beyond need and the width 256 written out.
        if tile.to_string() == path {
            Ok(tile)
        } else {
            Err(TilePathError::Malformed)
        }
    }
}

/// The path below a log's prefix, as in `tile/0/x001/x234/067` or `tile/1/000.p/17`.
impl Display for Tile {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "tile/{}/", self.level)?;
        let digits = self.index.to_string();
        let padded = digits.len().next_multiple_of(3);
        for (position, digit) in format!("{digits:0>padded$}").chars().enumerate() {
            if position % 3 == 0 {
                let last = position + 3 == padded;
                f.write_str(if position == 0 { "" } else { "/" })?;
                f.write_str(if last { "" } else { "x" })?;
            }
            f.write_char(digit)?;
        }
        if !self.is_full() {
            write!(f, ".p/{}", self.width)?;
        }
        Ok(())
    }
}

impl FromStr for Tile {
    type Err = TilePathError;

    fn from_str(path: &str) -> Result<Self, Self::Err> {
        Self::parse(path)
    }
}

/// `x001/x234/067` as 1234067.
fn parse_index(text: &str) -> Result<u64, TilePathError> {
    let mut groups = text.split('/');
    let last = groups.next_back().ok_or(TilePathError::Malformed)?;
    let upper = groups.map(|group| group.strip_prefix('x').ok_or(TilePathError::Malformed));
    upper.chain([Ok(last)]).try_fold(0u64, |index, group| {
        let group = group?;
        if group.len() != 3 {
            return Err(TilePathError::Malformed);
        }
        index
            .checked_mul(1000)
            .and_then(|index| index.checked_add(decimal(group).ok()?))
            .ok_or(TilePathError::Malformed)
    })
}

fn decimal(text: &str) -> Result<u64, TilePathError> {
    let digits_only = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse()
        .ok()
        .filter(|_| digits_only)
        .ok_or(TilePathError::Malformed)
}

/// How many hashes of tile level `level` a tree of `size` leaves has, in all its tiles.
pub(super) fn hashes_at(level: u8, size: u64) -> u64 {
    size.checked_shr(u32::from(level) * u32::from(TILE_HEIGHT))
        .unwrap_or(0)
}

/// Where a node of the tree is found among the tiles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NodeInTile {
    /// Level of the tile.
    pub tile_level: u8,
    /// Number of the tile within its level.
    pub tile_index: u64,
    /// Height of the node above the tile's hashes, 0 to 7.
    pub level: u8,
    /// Number of the node among those of its level inside the tile.
    pub index: u16,
}

impl NodeInTile {
    /// The place of the node at tree level `level` and `index`; none if it is beyond 2^64 leaves.
    pub fn locate(level: u8, index: u64) -> Option<Self> {
        let last_leaf = u64::MAX.checked_shr(u32::from(level))?;
        if index > last_leaf {
            return None;
        }
        let in_tile = level % TILE_HEIGHT;
        let per_tile_bits = TILE_HEIGHT - in_tile;
        let mask = (1u64 << per_tile_bits) - 1;
        Some(Self {
            tile_level: level / TILE_HEIGHT,
            tile_index: index >> per_tile_bits,
            level: in_tile,
            index: u16::try_from(index & mask).ok()?,
        })
    }
}

/// The node `index` at height `level_in_tile` (0 to 8) above the `hashes` of one tile.
///
/// None if the tile does not have all the hashes below it.
pub fn tile_node(hashes: &[Hash], level_in_tile: u8, index: u16) -> Option<Hash> {
    if level_in_tile > TILE_HEIGHT {
        return None;
    }
    let start = usize::from(index) << level_in_tile;
    let end = start + (1 << level_in_tile);
    let below = hashes.get(start..end)?;
    if let [hash] = below {
        return Some(*hash);
    }
    let mut row = pair_up(below);
    while row.len() > 1 {
        row = pair_up(&row);
    }
    row.first().copied()
}

fn pair_up(row: &[Hash]) -> Vec<Hash> {
    let (pairs, _) = row.as_chunks::<2>();
    pairs
        .iter()
        .map(|[left, right]| node_hash(left, right))
        .collect()
}
