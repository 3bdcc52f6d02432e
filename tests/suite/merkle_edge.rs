//! The append-only state of a tree, as a frontier and as tiles.

use std::collections::HashMap;

use graven::merkle::{
    Edge, Frontier, FrontierError, FullTile, Hash, MAX_SIZE, NodeInTile, NodeReader, Tile,
    prove_consistency, prove_inclusion, root_at, tile_node, verify_consistency, verify_inclusion,
};

use crate::merkle_support::{NaiveTree, naive_root, numbered_leaf};

/// Full tiles as a store would keep them, and the edge.
#[derive(Default)]
struct Tiled {
    edge: Edge,
    full: HashMap<(u8, u64), Vec<Hash>>,
}

impl Tiled {
    fn push(&mut self, leaf: Hash) {
        let mut completed = Vec::new();
        self.edge.push(leaf, &mut completed);
        for FullTile {
            level,
            index,
            hashes,
        } in completed
        {
            assert_eq!(hashes.len(), 256);
            assert!(
                self.full.insert((level, index), hashes).is_none(),
                "completed twice"
            );
        }
    }
}

impl NodeReader for Tiled {
    type Error = (u8, u64);

    fn node(&self, level: u8, index: u64) -> Result<Hash, Self::Error> {
        if let Some(hash) = self.edge.node(level, index) {
            return Ok(hash);
        }
        let place = NodeInTile::locate(level, index).ok_or((level, index))?;
        let tile = self
            .full
            .get(&(place.tile_level, place.tile_index))
            .ok_or((level, index))?;
        tile_node(tile, place.level, place.index).ok_or((level, index))
    }
}

#[test]
fn the_frontier_has_the_root_of_every_size() {
    let tree = NaiveTree::new(600);
    let mut frontier = Frontier::new();
    for size in 0..=tree.size() {
        assert_eq!(
            (frontier.size(), frontier.root()),
            (size, tree.root_at(size))
        );
        let rebuilt = Frontier::from_parts(size, frontier.hashes().to_vec()).unwrap();
        assert_eq!(rebuilt, frontier);
        frontier.push(numbered_leaf(size));
    }
}

#[test]
fn the_frontier_lists_the_largest_subtree_first() {
    let mut frontier = Frontier::new();
    let tree = NaiveTree::new(7);
    tree.0.iter().for_each(|leaf| frontier.push(*leaf));
    let expected = [&tree.0[0..4], &tree.0[4..6], &tree.0[6..7]].map(naive_root);
    assert_eq!(frontier.hashes(), expected);
}

#[test]
fn a_frontier_needs_one_hash_for_each_one_bit() {
    assert_eq!(
        Frontier::from_parts(5, vec![[0; 32]; 3]),
        Err(FrontierError::WrongLength {
            size: 5,
            expected: 2,
            got: 3
        })
    );
    assert!(Frontier::from_parts(0, vec![[0; 32]]).is_err());
    assert_eq!(Frontier::from_parts(0, vec![]).unwrap(), Frontier::new());
    assert!(Frontier::from_parts(MAX_SIZE, vec![[0; 32]; 63]).is_ok());
    assert_eq!(
        Frontier::from_parts(1 << 63, vec![[0; 32]]),
        Err(FrontierError::TooLarge { size: 1 << 63 })
    );
    assert!(Frontier::from_parts(u64::MAX, vec![[0; 32]; 64]).is_err());
}

#[test]
fn edge_and_full_tiles_together_are_the_tree() {
    const SIZE: u64 = 70_000;
    let sampled = [
        1, 2, 255, 256, 257, 511, 512, 1000, 65_279, 65_535, 65_536, 65_537, 69_888, SIZE,
    ];
    let tree = NaiveTree::new(SIZE);
    let mut tiled = Tiled::default();
    let mut earlier: Option<(u64, Hash)> = None;
    for size in 1..=SIZE {
        tiled.push(tree.0[size as usize - 1]);
        if !sampled.contains(&size) {
            continue;
        }
        let root = tree.root_at(size);
        assert_eq!((tiled.edge.size(), tiled.edge.root()), (size, root));
        assert_eq!(root_at(&tiled, size).unwrap(), root);
        for index in [0, 1, size / 3, size / 2, size.saturating_sub(256), size - 1] {
            if index < size {
                let proof = prove_inclusion(&tiled, index, size).unwrap();
                verify_inclusion(index, size, &tree.0[index as usize], &proof, &root).unwrap();
            }
        }
        if let Some((old, old_root)) = earlier {
            let proof = prove_consistency(&tiled, old, size).unwrap();
            verify_consistency(old, size, &proof, &old_root, &root).unwrap();
        }
        earlier = Some((size, root));
    }
    // The example of the tlog-tiles specification.
    let full = |level| tiled.full.keys().filter(|key| key.0 == level).count();
    assert_eq!([full(0), full(1), full(2)], [273, 1, 0]);
    let widths = [0, 1, 2, 3].map(|level| tiled.edge.partial(level).len());
    assert_eq!(widths, [112, 17, 1, 0]);
}

/// Every node that lies wholly within the tree, at sizes on both sides of each tile's edge.
#[test]
fn every_node_is_the_root_of_its_leaves() {
    for size in [1, 2, 3, 100, 255, 256, 257, 300, 511, 512, 513, 777] {
        let tree = NaiveTree::new(size);
        let mut tiled = Tiled::default();
        tree.0.iter().for_each(|leaf| tiled.push(*leaf));
        for level in 0..12u8 {
            let complete = size >> level;
            for index in 0..complete {
                assert_eq!(
                    tiled.node(level, index),
                    Ok(tree.node(level, index).unwrap())
                );
            }
            for index in [complete, complete + 1, u64::MAX] {
                assert_eq!(tiled.node(level, index), Err((level, index)), "size {size}");
            }
        }
        for level in [63, 64, 200, 255] {
            assert_eq!(tiled.edge.node(level, 0), None);
            assert_eq!(tiled.edge.node(level, u64::MAX), None);
        }
    }
}

#[test]
fn the_edge_is_rebuilt_from_its_partial_tiles() {
    let mut edge = Edge::new();
    let mut completed = Vec::new();
    for size in 0..=66_000u64 {
        if size < 600 || size % 509 == 0 || size.is_multiple_of(1 << 8) {
            let levels = (0..8).take_while(|level| size >> (8 * level) > 0);
            let partials: Vec<_> = levels.map(|level| edge.partial(level).to_vec()).collect();
            let rebuilt = Edge::from_tiles(size, partials).unwrap();
            assert_eq!(rebuilt.frontier(), edge.frontier());
            assert_eq!(rebuilt.root(), edge.root());
        }
        edge.push(numbered_leaf(size), &mut completed);
    }
}

/// An edge that was rebuilt goes on as the one it was rebuilt from would have.
#[test]
fn a_rebuilt_edge_completes_the_same_tiles() {
    for start in [0, 1, 255, 256, 500, 65_530] {
        let (mut edge, mut ignored) = (Edge::new(), Vec::new());
        (0..start).for_each(|index| edge.push(numbered_leaf(index), &mut ignored));
        let levels = (0..8).take_while(|level| start >> (8 * level) > 0);
        let partials = levels.map(|level| edge.partial(level).to_vec()).collect();
        let mut rebuilt = Edge::from_tiles(start, partials).unwrap();
        let (mut expected, mut completed) = (Vec::new(), Vec::new());
        for index in start..start + 300 {
            edge.push(numbered_leaf(index), &mut expected);
            rebuilt.push(numbered_leaf(index), &mut completed);
        }
        assert!(!expected.is_empty());
        assert_eq!(completed, expected);
        assert_eq!(rebuilt, edge);
    }
}

#[test]
fn partial_tiles_that_do_not_fit_the_size_are_refused() {
    let hashes = |count| vec![[7; 32]; count];
    assert_eq!(
        Edge::from_tiles(300, vec![hashes(44)]),
        Err(FrontierError::WrongLevels {
            size: 300,
            expected: 2,
            got: 1
        })
    );
    assert_eq!(
        Edge::from_tiles(300, vec![hashes(43), hashes(1)]),
        Err(FrontierError::WrongWidth {
            size: 300,
            level: 0,
            expected: 44,
            got: 43
        })
    );
    assert!(Edge::from_tiles(300, vec![hashes(44), hashes(2)]).is_err());
    assert!(Edge::from_tiles(256, vec![hashes(256), hashes(0)]).is_err());
    assert!(Edge::from_tiles(256, vec![hashes(0), hashes(1)]).is_ok());
    assert!(Edge::from_tiles(0, vec![hashes(0)]).is_err());
    assert_eq!(Edge::from_tiles(0, vec![]).unwrap(), Edge::new());
    assert!(Edge::from_tiles(u64::MAX, vec![hashes(255); 8]).is_err());
    let largest = [vec![hashes(255); 7], vec![hashes(127)]].concat();
    assert_eq!(
        Edge::from_tiles(MAX_SIZE, largest)
            .unwrap()
            .frontier()
            .hashes()
            .len(),
        63
    );
    assert_eq!(Tile::partial_width(7, MAX_SIZE), 127);
}
