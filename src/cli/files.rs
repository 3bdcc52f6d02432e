//! Files that must not be lost, overwritten or read by others.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, ErrorKind, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use zeroize::Zeroizing;

use super::failure::Failure;
use super::passphrase::Passphrase;
use super::random::random;
use crate::ledger::{EncryptedKey, EncryptedKeyError, PassphraseCost};
use crate::note::{NOTE_BYTES_MAX, SignerKey};

/// Writes a secret to a new file that only its owner can read.
fn write_secret(path: &Path, secret: &[&[u8]]) -> Result<(), Failure> {
    let mut new = OpenOptions::new();
    write(new.mode(0o600), path, secret)
}

/// Refuses a file of a secret that others than its owner can read.
pub(super) fn check_private(path: &Path) -> Result<(), Failure> {
    let metadata = fs::metadata(path).map_err(|error| Failure::file("reading", path, &error))?;
    let mode = metadata.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(Failure::usage(format!(
            "{} can be read by others (mode {:03o}): chmod 600 it",
            path.display(),
            mode & 0o777
        )));
    }
    Ok(())
}

/// The largest file of a signing key, in bytes.
const MAX_KEY_BYTES: u64 = 8_192;

/// Reads a signing key from a file that only its owner can read. `passphrase` is asked for when the key has one.
pub(super) fn read_key(path: &Path, passphrase: &Passphrase) -> Result<SignerKey, Failure> {
    check_private(path)?;
    let mut text = Zeroizing::new(String::new());
    File::open(path)
        .and_then(|file| file.take(MAX_KEY_BYTES).read_to_string(&mut text))
        .map_err(|error| Failure::file("reading", path, &error))?;
    if EncryptedKey::is_one(&text) {
        return open_key(path, &text, passphrase);
    }
    SignerKey::parse(text.trim()).map_err(|error| {
        Failure::tampered(format!("{} is not a signing key: {error}", path.display()))
    })
}

fn open_key(path: &Path, text: &str, passphrase: &Passphrase) -> Result<SignerKey, Failure> {
    let failed = |error: EncryptedKeyError| {
        let said = format!("{} {error}", path.display());
        match error {
            EncryptedKeyError::Malformed(_) => Failure::tampered(said),
            EncryptedKeyError::Memory => Failure::other(said),
            _ => Failure::usage(said),
        }
    };
    let key = EncryptedKey::parse(text).map_err(failed)?;
    key.open(passphrase.to_open(path)?).map_err(failed)
}

/// Writes a new key to a new file that only its owner can read, under a passphrase if there is to be one.
pub(super) fn write_key(
    path: &Path,
    key: &SignerKey,
    passphrase: &Passphrase,
) -> Result<(), Failure> {
    if !passphrase.is_given() {
        return write_secret(path, &[key.encode().as_bytes(), b"\n"]);
    }
    let salt = random()?;
    let sealed = EncryptedKey::seal(key, passphrase.to_seal()?, PassphraseCost::default(), salt);
    let sealed = sealed.map_err(|error| Failure::other(format!("the key {error}")))?;
    write_secret(path, &[sealed.encode().as_bytes()])
}

/// Reads a signed note. Of a file that is too large for one just enough to say so.
pub(super) fn read_note(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut note = Vec::new();
    File::open(path)?
        .take(NOTE_BYTES_MAX as u64 + 1)
        .read_to_end(&mut note)?;
    Ok(note)
}

/// Writes a new file.
pub(super) fn write_new(path: &Path, content: &str) -> Result<(), Failure> {
    write(&mut OpenOptions::new(), path, &[content.as_bytes()])
}

/// Writes a new file, whole and durable or not at all.
fn write(new: &mut OpenOptions, path: &Path, content: &[&[u8]]) -> Result<(), Failure> {
    let mut file = new
        .write(true)
        .create_new(true)
        .open(path)
        .map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists => Failure::other(format!(
                "{} exists already, and is not overwritten",
                path.display()
            )),
            _ => Failure::file("making", path, &error),
        })?;
    let written = content.iter().try_for_each(|part| file.write_all(part));
    written.and_then(|()| file.sync_all()).map_err(|error| {
        // Part of a key or of evidence would only be in the way of the next attempt.
        let _ = fs::remove_file(path);
        Failure::file("writing", path, &error)
    })
}

/// A file that is there as a whole or not at all: written beside its place, synced, and moved there.
pub(super) struct NewFile {
    path: PathBuf,
    temporary: PathBuf,
    file: File,
    force: bool,
}

impl NewFile {
    /// A new file at `path`. One that is there already is overwritten only by `force`.
    pub(super) fn create(path: &Path, force: bool) -> Result<Self, Failure> {
        if !force && path.symlink_metadata().is_ok() {
            return Err(exists(path));
        }
        let Some(name) = path.file_name() else {
            return Err(Failure::usage(format!("{} is no file", path.display())));
        };
        let mut temporary = OsString::from(".");
        temporary.push(name);
        temporary.push(format!(".{}.part", std::process::id()));
        let temporary = path.with_file_name(temporary);
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&temporary)
            .map_err(|error| Failure::file("making", &temporary, &error))?;
        Ok(Self {
            path: path.to_owned(),
            temporary,
            file,
            force,
        })
    }

    /// Writes to it.
    pub(super) fn write_all(&self, bytes: &[u8]) -> Result<(), Failure> {
        let written = (&self.file).write_all(bytes);
        written.map_err(|error| Failure::file("writing", &self.temporary, &error))
    }

    /// Something else that writes to it.
    pub(super) fn writer(&self) -> Result<Box<dyn Write>, Failure> {
        let file = self.file.try_clone();
        let file = file.map_err(|error| Failure::file("writing", &self.temporary, &error))?;
        Ok(Box::new(BufWriter::new(file)))
    }

    /// Moves it to its place.
    pub(super) fn finish(self) -> Result<(), Failure> {
        let failed = |error: io::Error| Failure::file("writing", &self.path, &error);
        self.file.sync_all().map_err(failed)?;
        if self.force {
            fs::rename(&self.temporary, &self.path).map_err(failed)?;
        } else {
            match rename_new(&self.temporary, &self.path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    return Err(exists(&self.path));
                }
                renamed => renamed.map_err(failed)?,
            }
        }
        let dir = match self.path.parent() {
            Some(dir) if dir != Path::new("") => dir,
            _ => Path::new("."),
        };
        File::open(dir)
            .and_then(|dir| dir.sync_all())
            .map_err(failed)
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        // It is there only if it was not finished.
        let _ = fs::remove_file(&self.temporary);
    }
}

fn exists(path: &Path) -> Failure {
    Failure::usage(format!("{} exists: --force overwrites it", path.display()))
}

/// Renames a file unless there is one under the new name.
fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // Not every file system can.
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {
            fs::hard_link(from, to)?;
            fs::remove_file(from)
        }
        renamed => Ok(renamed?),
    }
}
