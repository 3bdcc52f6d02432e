//! The proofs published by transparency-dev/merkle, most of them wrong on purpose.

use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use graven::merkle::{
    Hash, leaf_hash, verify_consistency, verify_inclusion, verify_subtree_consistency,
    verify_subtree_inclusion,
};
use serde_json::Value;

struct Vector(Value);

impl Vector {
    fn number(&self, field: &str) -> u64 {
        self.0[field]
            .as_u64()
            .unwrap_or_else(|| panic!("{field} in {}", self.0))
    }

    fn bytes(value: &Value) -> Vec<u8> {
        BASE64_STANDARD
            .decode(value.as_str().unwrap_or_default())
            .unwrap()
    }

    /// A hash of another length cannot be passed to a verifier: the type refuses it.
    fn hash(&self, field: &str) -> Option<Hash> {
        Self::bytes(&self.0[field]).try_into().ok()
    }

    /// Some consistency vectors use short strings for roots, and only compare them. A hash of the
    /// string does as well.
    fn named_root(&self, field: &str) -> Hash {
        let bytes = Self::bytes(&self.0[field]);
        bytes
            .as_slice()
            .try_into()
            .unwrap_or_else(|_| leaf_hash(&bytes))
    }

    fn proof(&self) -> Option<Vec<Hash>> {
        let Value::Array(hashes) = &self.0["proof"] else {
            return Some(Vec::new());
        };
        hashes
            .iter()
            .map(|hash| Self::bytes(hash).try_into().ok())
            .collect()
    }
}

fn files(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path
            .extension()
            .is_some_and(|extension| extension == "json")
        {
            found.push(path);
        }
    }
}

/// Holds each vector against `accepts`; the counts guard against vectors that are not found.
fn check(kind: &str, valid: usize, invalid: usize, accepts: impl Fn(&Vector) -> bool) {
    let mut found = Vec::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/vectors/rfc6962")
        .join(kind);
    files(&root, &mut found);
    let (mut accepted, mut refused) = (0, 0);
    for path in found {
        let vector = Vector(serde_json::from_slice(&fs::read(&path).unwrap()).unwrap());
        let want_error = vector.0["wantErr"].as_bool().unwrap();
        assert_eq!(accepts(&vector), !want_error, "{}", path.display());
        *(if want_error {
            &mut refused
        } else {
            &mut accepted
        }) += 1;
    }
    assert_eq!((accepted, refused), (valid, invalid), "{kind}");
}

#[test]
fn inclusion() {
    check("inclusion", 6, 92, |vector| {
        let (Some(leaf), Some(root), Some(proof)) =
            (vector.hash("leafHash"), vector.hash("root"), vector.proof())
        else {
            return false;
        };
        let (index, size) = (vector.number("leafIdx"), vector.number("treeSize"));
        verify_inclusion(index, size, &leaf, &proof, &root).is_ok()
    });
}

#[test]
fn consistency() {
    check("consistency", 6, 92, |vector| {
        let Some(proof) = vector.proof() else {
            return false;
        };
        let (old_root, new_root) = (vector.named_root("root1"), vector.named_root("root2"));
        let (old, new) = (vector.number("size1"), vector.number("size2"));
        verify_consistency(old, new, &proof, &old_root, &new_root).is_ok()
    });
}

#[test]
fn subtree_inclusion() {
    check("subtreeinclusion", 12, 192, |vector| {
        let (Some(leaf), Some(root), Some(proof)) =
            (vector.hash("leafHash"), vector.hash("root"), vector.proof())
        else {
            return false;
        };
        let (start, end) = (vector.number("start"), vector.number("end"));
        let index = vector.number("leafIdx");
        verify_subtree_inclusion(index, start, end, &leaf, &proof, &root).is_ok()
    });
}

#[test]
fn subtree_consistency() {
    check("subtreeconsistency", 12, 106, |vector| {
        let Some(proof) = vector.proof() else {
            return false;
        };
        let (subtree_root, root) = (vector.named_root("root1"), vector.named_root("root2"));
        let (start, end) = (vector.number("start"), vector.number("end"));
        let size = vector.number("size");
        verify_subtree_consistency(start, end, size, &proof, &subtree_root, &root).is_ok()
    });
}
