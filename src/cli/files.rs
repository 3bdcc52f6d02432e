//! Files that must not be lost, overwritten or read by others.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use super::failure::Failure;
use crate::note::SignerKey;

/// Writes a secret to a new file that only its owner can read.
pub(super) fn write_secret(path: &Path, secret: &str) -> Result<(), Failure> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(|error| Failure::file("making", path, &error))?;
    file.write_all(secret.as_bytes())
        .and_then(|()| file.write_all(b"\n"))
        .and_then(|()| file.sync_all())
        .map_err(|error| Failure::file("writing", path, &error))
}

/// Reads a signing key from a file that only its owner can read.
pub(super) fn read_key(path: &Path) -> Result<SignerKey, Failure> {
    let metadata = fs::metadata(path).map_err(|error| Failure::file("reading", path, &error))?;
    let mode = metadata.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(Failure::usage(format!(
            "{} can be read by others (mode {:03o}): chmod 600 it",
            path.display(),
            mode & 0o777
        )));
    }
    let text = fs::read_to_string(path).map_err(|error| Failure::file("reading", path, &error))?;
    SignerKey::parse(text.trim()).map_err(|error| {
        Failure::tampered(format!("{} is not a signing key: {error}", path.display()))
    })
}

/// Writes a new file.
pub(super) fn write_new(path: &Path, content: &str) -> Result<(), Failure> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path)
        .map_err(|error| Failure::file("making", path, &error))?;
    file.write_all(content.as_bytes())
        .map_err(|error| Failure::file("writing", path, &error))
}
