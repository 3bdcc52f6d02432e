//! Looks through the engine's logs for what its own reader would never come to the end of.
//!
//! A record's header says its kind. Some kinds stand for files that were used before and are written over. When such a
//! record comes behind one of another kind, the engine (11.8, `log::Reader::ReadPhysicalRecord`) neither passes it nor
//! fails: it reads the same record again, for ever. One flipped bit is enough. No file is ever written over here, so a
//! record of these kinds is damage. Everything else the engine finds by itself.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::path::Path;

use super::errors::is_store_file;
use crate::store::StoreError;

/// Records do not cross the bounds of blocks.
const BLOCK_LEN: usize = 32 * 1024;
/// Checksum u32, length u16, kind u8; little-endian.
const HEADER_LEN: usize = 7;

/// Checks the write-ahead logs `logs` and the current table of files of the store in `dir`.
pub(super) fn check_records(dir: &Path, logs: &[String]) -> Result<(), StoreError> {
    for name in logs.iter().cloned().chain(manifest(dir)) {
        let path = dir.join(&name);
        let ends = match File::open(&path).and_then(comes_to_an_end) {
            // That a file is missing is the engine's to say.
            Err(error) if error.kind() == ErrorKind::NotFound => true,
            ends => ends.map_err(|error| StoreError::from_io("reading", &path, error))?,
        };
        if !ends {
            return Err(StoreError::Damaged {
                what: format!(
                    "{} holds a record of a kind that is never written",
                    path.display()
                ),
                file: Some(name),
            });
        }
    }
    Ok(())
}

/// The file that CURRENT names, if it can be told.
fn manifest(dir: &Path) -> Option<String> {
    let current = fs::read_to_string(dir.join("CURRENT")).ok()?;
    let name = current.trim_end();
    (is_store_file(name) && name.starts_with("MANIFEST-")).then(|| name.to_owned())
}

fn comes_to_an_end(mut file: impl Read) -> io::Result<bool> {
    let mut block = Vec::with_capacity(BLOCK_LEN);
    loop {
        block.clear();
        file.by_ref()
            .take(BLOCK_LEN as u64)
            .read_to_end(&mut block)?;
        if block.is_empty() {
            return Ok(true);
        }
        let mut rest = block.as_slice();
        while let Some((header, behind)) = rest.split_first_chunk::<HEADER_LEN>() {
            let [_, _, _, _, low, high, kind] = *header;
            if is_of_a_file_used_before(kind) {
                return Ok(false);
            }
            let length = usize::from(u16::from_le_bytes([low, high]));
            // The engine too goes on with the next block behind zeros, and behind a record that is not whole.
            match behind.get(length..) {
                Some(next) if (kind, length) != (0, 0) => rest = next,
                _ => break,
            }
        }
    }
}

/// The recyclable kinds of `db/log_format.h`.
fn is_of_a_file_used_before(kind: u8) -> bool {
    matches!(kind, 5..=8 | 11 | 131)
}
