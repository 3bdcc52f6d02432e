//! The passphrase of a signing key: from a file, a credential of systemd, standard input or a terminal.

use std::cell::OnceCell;
use std::fs::File;
use std::io::{IsTerminal, Read, Write};
use std::path::{Path, PathBuf};

use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

use super::failure::Failure;
use super::files::check_private;

/// The longest passphrase, in bytes.
const MAX_BYTES: usize = 1_024;
/// The credential that is looked for when no file is named.
const CREDENTIAL: &str = "graven-key-passphrase";
/// Standard input.
const INPUT: &str = "-";

/// Where the passphrase is; read when a key needs it, and once.
#[derive(Debug, Default)]
pub(super) struct Passphrase {
    path: Option<PathBuf>,
    read: OnceCell<Zeroizing<Vec<u8>>>,
}

impl Passphrase {
    /// In the file `path`, `-` for standard input; without one, in the credential `graven-key-passphrase` of systemd.
    pub(super) fn new(path: Option<&Path>) -> Self {
        Self {
            path: path.map(Path::to_owned),
            read: OnceCell::new(),
        }
    }

    /// Whether somebody named a file.
    pub(super) fn is_given(&self) -> bool {
        self.path.is_some()
    }

    /// The passphrase that opens `key`.
    pub(super) fn to_open(&self, key: &Path) -> Result<&[u8], Failure> {
        self.get(&key.display().to_string(), false)
    }

    /// The passphrase for a new key. Somebody who types it does so twice.
    pub(super) fn to_seal(&self) -> Result<&[u8], Failure> {
        self.get("the new key", true)
    }

    fn get(&self, key: &str, is_new: bool) -> Result<&[u8], Failure> {
        if let Some(known) = self.read.get() {
            return Ok(known);
        }
        let read = match &self.path {
            Some(path) if path == Path::new(INPUT) => input(key, is_new)?,
            Some(path) => file(path)?,
            None => match credential() {
                Some(path) => file(&path)?,
                None => {
                    return Err(Failure::usage(format!(
                        "{key} has a passphrase: give a file that has it, or - to type it, with \
                         --key-passphrase-file"
                    )));
                }
            },
        };
        Ok(self.read.get_or_init(|| read))
    }
}

fn credentials() -> Option<PathBuf> {
    std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from)
}

fn credential() -> Option<PathBuf> {
    let path = credentials()?.join(CREDENTIAL);
    path.is_file().then_some(path)
}

fn file(path: &Path) -> Result<Zeroizing<Vec<u8>>, Failure> {
    // systemd keeps others out of its directory, and shows an access list as a group's right.
    let by_systemd = credentials().is_some_and(|dir| path.starts_with(dir));
    if !by_systemd {
        check_private(path)?;
    }
    let opened = File::open(path).map_err(|error| Failure::file("reading", path, &error))?;
    line(opened, &path.display().to_string())
}

fn input(key: &str, is_new: bool) -> Result<Zeroizing<Vec<u8>>, Failure> {
    if !std::io::stdin().is_terminal() {
        return line(standard_input()?, "standard input");
    }
    let first = typed(&format!("passphrase of {key}: "))?;
    if is_new && *typed("once more: ")? != *first {
        return Err(Failure::usage("the two passphrases differ"));
    }
    Ok(first)
}

/// Not by the buffer that the program keeps, which is never wiped.
fn standard_input() -> Result<File, Failure> {
    let input = Path::new("/dev/stdin");
    File::open(input).map_err(|error| Failure::file("reading", input, &error))
}

/// What somebody types without seeing it.
fn typed(prompt: &str) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let failed = |error| Failure::other(format!("asking for the passphrase: {error}"));
    let terminal = standard_input()?;
    let before = tcgetattr(&terminal).map_err(|error| failed(error.into()))?;
    let mut quiet = before.clone();
    quiet.local_modes.remove(LocalModes::ECHO);
    let mut said = anstream::stderr();
    write!(said, "{prompt}").map_err(failed)?;
    said.flush().map_err(failed)?;
    tcsetattr(&terminal, OptionalActions::Flush, &quiet).map_err(|error| failed(error.into()))?;
    let read = line(&terminal, "what was typed");
    let restored = tcsetattr(&terminal, OptionalActions::Flush, &before);
    writeln!(said).map_err(failed)?;
    restored.map_err(|error| failed(error.into()))?;
    read
}

/// One line, or all there is, without the newline behind it.
fn line(mut from: impl Read, what: &str) -> Result<Zeroizing<Vec<u8>>, Failure> {
    // With room for all of it: a buffer that grows leaves copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_BYTES + 3));
    let mut byte = Zeroizing::new([0]);
    while bytes.last() != Some(&b'\n') && bytes.len() < MAX_BYTES + 3 {
        let count = from.read(byte.as_mut_slice());
        match count.map_err(|error| Failure::other(format!("reading {what}: {error}")))? {
            0 => break,
            _ => bytes.extend_from_slice(byte.as_slice()),
        }
    }
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
        if bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
    }
    if bytes.is_empty() || bytes.len() > MAX_BYTES {
        return Err(Failure::usage(format!(
            "{what} has no passphrase in its first line, or one of more than {MAX_BYTES} bytes"
        )));
    }
    Ok(bytes)
}
