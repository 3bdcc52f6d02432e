//! Tile names and widths, with the examples of C2SP tlog-tiles.

use graven::merkle::{Hash, NodeInTile, Tile, TilePathError, tile_node};
use proptest::prelude::*;

use crate::merkle_support::{naive_root, numbered_leaf};

fn path(level: u8, index: u64, width: u16) -> String {
    Tile::new(level, index, width).unwrap().to_string()
}

#[test]
fn paths_of_the_specification() {
    assert_eq!(path(0, 1_234_067, 256), "tile/0/x001/x234/067");
    assert_eq!(path(0, 273, 112), "tile/0/273.p/112");
    assert_eq!(path(1, 1, 17), "tile/1/001.p/17");
    assert_eq!(path(2, 0, 1), "tile/2/000.p/1");
    assert_eq!(path(63, 999, 256), "tile/63/999");
    assert_eq!(path(0, 1000, 255), "tile/0/x001/000.p/255");
    assert_eq!(
        path(0, u64::MAX, 256),
        "tile/0/x018/x446/x744/x073/x709/x551/615"
    );
}

#[test]
fn widths_of_the_specification() {
    let widths = |size| [0, 1, 2, 3].map(|level| Tile::partial_width(level, size));
    let full = |size| [0, 1, 2, 3].map(|level| Tile::full_tiles(level, size));
    assert_eq!(
        (full(70_000), widths(70_000)),
        ([273, 1, 0, 0], [112, 17, 1, 0])
    );
    assert_eq!((full(256), widths(256)), ([1, 0, 0, 0], [0, 1, 0, 0]));
    assert_eq!((full(0), widths(0)), ([0; 4], [0; 4]));
    for level in [8, 32, 63, 255] {
        assert_eq!(
            (
                Tile::partial_width(level, u64::MAX),
                Tile::full_tiles(level, u64::MAX)
            ),
            (0, 0)
        );
    }
    assert_eq!(Tile::partial_width(7, u64::MAX), 255);
}

#[test]
fn a_tile_has_one_path() {
    for wrong in [
        "",
        "tile",
        "tile/",
        "tile/0",
        "tile/0/",
        "/tile/0/000",
        "tile/0/000/",
        "tile/00/000",
        "tile/+1/000",
        "tile/ 1/000",
        "tile/-1/000",
        "tile/0/0",
        "tile/0/00",
        "tile/0/0000",
        "tile/0/x000",
        "tile/0/x000/000",
        "tile/0/001/000",
        "tile/0/x001/x000",
        "tile/0/x1/000",
        "tile/0/X001/000",
        "tile/0/+01",
        "tile/0/000.p",
        "tile/0/000.p/",
        "tile/0/000.p/01",
        "tile/0/000.p/+1",
        "tile/0/000.p/1.p/1",
        "tile/0/000.p/256",
        "tile/0/000\n",
        "tile/0/٠٠٠",
        "tile/data/000",
        "tile/8/0/000",
        "tile/0/x018/x446/x744/x073/x709/x551/616",
        "tile/0/x999/x999/x999/x999/x999/x999/x999/999",
    ] {
        assert_eq!(
            Tile::parse(wrong),
            Err(TilePathError::Malformed),
            "{wrong:?}"
        );
    }
    for wrong in [
        "tile/64/000",
        "tile/100/000",
        "tile/256/000",
        "tile/18446744073709551615/000",
    ] {
        assert_eq!(Tile::parse(wrong), Err(TilePathError::Level), "{wrong:?}");
    }
    for wrong in ["tile/0/000.p/0", "tile/0/000.p/257", "tile/0/000.p/65537"] {
        assert_eq!(Tile::parse(wrong), Err(TilePathError::Width), "{wrong:?}");
    }
    assert_eq!(Tile::new(64, 0, 1), Err(TilePathError::Level));
    assert_eq!(Tile::new(0, 0, 0), Err(TilePathError::Width));
    assert_eq!(Tile::new(0, 0, 257), Err(TilePathError::Width));
}

#[test]
fn nodes_inside_a_tile_are_roots_of_its_hashes() {
    let hashes: Vec<Hash> = (0..256).map(numbered_leaf).collect();
    for width in [0, 1, 2, 3, 100, 255, 256] {
        let tile = &hashes[..width];
        for level in 0..=8u8 {
            for index in 0..256u16 {
                let start = usize::from(index) << level;
                let expected = tile.get(start..start + (1 << level)).map(naive_root);
                assert_eq!(tile_node(tile, level, index), expected);
            }
            assert_eq!(tile_node(tile, level, u16::MAX), None);
        }
        assert_eq!(tile_node(tile, 9, 0), None);
        assert_eq!(tile_node(tile, 255, 0), None);
    }
}

#[test]
fn nodes_are_found_in_tiles() {
    let place = |level, index| {
        NodeInTile::locate(level, index)
            .map(|node| (node.tile_level, node.tile_index, node.level, node.index))
    };
    assert_eq!(place(0, 0), Some((0, 0, 0, 0)));
    assert_eq!(place(0, 70_000), Some((0, 273, 0, 112)));
    assert_eq!(place(7, 3), Some((0, 1, 7, 1)));
    assert_eq!(place(8, 257), Some((1, 1, 0, 1)));
    assert_eq!(place(13, 9), Some((1, 1, 5, 1)));
    assert_eq!(place(0, u64::MAX), Some((0, u64::MAX >> 8, 0, 255)));
    assert_eq!(place(63, 1), Some((7, 0, 7, 1)));
    assert_eq!(place(63, 2), None);
    assert_eq!(place(64, 0), None);
    assert_eq!(place(255, u64::MAX), None);
}

proptest! {
    #[test]
    fn every_tile_comes_back_from_its_path(level in 0u8..64, index: u64, width in 1u16..=256) {
        let tile = Tile::new(level, index, width).unwrap();
        prop_assert_eq!(tile.to_string().parse(), Ok(tile));
    }

    #[test]
    fn whatever_parses_is_the_path_of_its_tile(path in "(tile/[0-9]{1,2}/(x[0-9]{3}/){0,3}[0-9]{3}(\\.p/[0-9]{1,3})?|\\PC*)") {
        if let Ok(tile) = Tile::parse(&path) {
            prop_assert_eq!(tile.to_string(), path);
        }
    }
}
