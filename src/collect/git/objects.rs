//! Reads objects through one `git cat-file --batch`, and digests each blob once.

use std::collections::HashMap;
use std::io::{self, BufRead, Read, Write};
use std::process::{ChildStdin, Stdio};

use sha2::{Digest as _, Sha256};

use super::error::GitError;
use super::process::{Git, Process};

/// How many digests are kept at least; twice as many at most, about 16 MiB.
const KEPT_DIGESTS: usize = 64 * 1024;
const CHUNK_BYTES: usize = 64 * 1024;
/// The most of a commit that is searched for its authors, in bytes: they precede signatures and message.
const MAX_COMMIT_HEADER_BYTES: u64 = 1024 * 1024;

/// What is known of a blob's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    /// It was read whole.
    Digested { sha256: [u8; 32] },
    /// It is larger than the limit.
    TooLarge { bytes: u64 },
    /// The repository does not have it, as in a partial clone.
    Missing,
}

/// The objects of a repository.
#[derive(Debug)]
pub(super) struct Objects {
    git: Git,
    max_blob_bytes: u64,
    cat_file: Option<CatFile>,
    digests: Digests,
}

impl Objects {
    pub(super) fn new(git: &Git, max_blob_bytes: u64) -> Self {
        Self {
            git: git.clone(),
            max_blob_bytes,
            cat_file: None,
            digests: Digests::default(),
        }
    }

    /// The content of a blob.
    pub(super) fn content(&mut self, id: &str) -> Result<Content, GitError> {
        if let Some(known) = self.digests.get(id) {
            return Ok(known);
        }
        let content = self.read_content(id)?;
        self.digests.insert(id, content);
        Ok(content)
    }

    /// A line of a commit's header, such as `author`, after its key.
    pub(super) fn header_line(&mut self, id: &str, key: &str) -> Result<Option<Vec<u8>>, GitError> {
        let cat_file = self.cat_file()?;
        let Some(header) = cat_file.request(id)? else {
            return Ok(None);
        };
        let mut start = Vec::new();
        let mut object = cat_file.process.reader.by_ref().take(header.bytes);
        let read = object
            .by_ref()
            .take(MAX_COMMIT_HEADER_BYTES)
            .read_to_end(&mut start)
            .and_then(|_| io::copy(&mut object, &mut io::sink()));
        if let Err(source) = read {
            return Err(cat_file.process.io(source));
        }
        cat_file.end_object()?;
        Ok(start
            .split(|&byte| byte == b'\n')
            .take_while(|line| !line.is_empty())
            .find_map(|line| line.strip_prefix(key.as_bytes())?.strip_prefix(b" "))
            .map(<[u8]>::to_vec))
    }

    fn read_content(&mut self, id: &str) -> Result<Content, GitError> {
        let limit = self.max_blob_bytes;
        let cat_file = self.cat_file()?;
        let Some(Header { is_blob, bytes }) = cat_file.request(id)? else {
            return Ok(Content::Missing);
        };
        if is_blob && bytes <= limit {
            let sha256 = cat_file.digest(bytes)?;
            return Ok(Content::Digested { sha256 });
        }
        // Another process costs less than reading past an object that is too large.
        self.cat_file = None;
        Ok(if is_blob {
            Content::TooLarge { bytes }
        } else {
            Content::Missing
        })
    }

    fn cat_file(&mut self) -> Result<&mut CatFile, GitError> {
        Ok(match &mut self.cat_file {
            Some(running) => running,
            none => none.insert(CatFile::start(&self.git)?),
        })
    }
}

/// A running `git cat-file --batch`: for each id it prints `<id> <type> <size>`, the content and a newline.
#[derive(Debug)]
struct CatFile {
    process: Process,
    stdin: ChildStdin,
    chunk: Vec<u8>,
}

/// What precedes an object's content.
struct Header {
    is_blob: bool,
    bytes: u64,
}

impl CatFile {
    fn start(git: &Git) -> Result<Self, GitError> {
        let mut process = git.start(&["cat-file", "--batch"], Stdio::piped())?;
        let stdin = process
            .take_stdin()
            .ok_or_else(|| process.unreadable("it has no standard input"))?;
        Ok(Self {
            process,
            stdin,
            chunk: vec![0; CHUNK_BYTES],
        })
    }

    /// Asks for an object; none if the repository does not have it. Its content is next in the answer.
    fn request(&mut self, id: &str) -> Result<Option<Header>, GitError> {
        if self.stdin.write_all(format!("{id}\n").as_bytes()).is_err() {
            return Err(self.process.ended_early());
        }
        let mut line = String::new();
        match self.process.reader.read_line(&mut line) {
            Ok(0) => return Err(self.process.ended_early()),
            Ok(_) => {}
            Err(source) => return Err(self.process.io(source)),
        }
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        if let [_, "missing"] = words.as_slice() {
            return Ok(None);
        }
        if let [_, kind, size] = words.as_slice()
            && let Ok(bytes) = size.parse()
        {
            let is_blob = *kind == "blob";
            return Ok(Some(Header { is_blob, bytes }));
        }
        Err(self.process.unreadable(format!("the header {line:?}")))
    }

    /// The digest of the content that is next.
    fn digest(&mut self, bytes: u64) -> Result<[u8; 32], GitError> {
        let mut hasher = Sha256::new();
        let mut content = self.process.reader.by_ref().take(bytes);
        loop {
            match content.read(&mut self.chunk) {
                Ok(0) if content.limit() == 0 => break,
                Ok(0) => return Err(self.process.ended_early()),
                Ok(read) => hasher.update(self.chunk.get(..read).unwrap_or_default()),
                Err(source) if source.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => return Err(self.process.io(source)),
            }
        }
        self.end_object()?;
        Ok(hasher.finalize().into())
    }

    /// Reads the newline after a content.
    fn end_object(&mut self) -> Result<(), GitError> {
        let mut newline = [0];
        match self.process.reader.read_exact(&mut newline) {
            Ok(()) if newline == *b"\n" => Ok(()),
            Ok(()) => Err(self.process.unreadable("an object is longer than it says")),
            Err(_) => Err(self.process.ended_early()),
        }
    }
}

/// Digests by blob id. Two generations bound it: when the younger is full it becomes the elder, and what was not used
/// since is forgotten.
#[derive(Debug, Default)]
struct Digests {
    younger: HashMap<Box<str>, Content>,
    elder: HashMap<Box<str>, Content>,
}

impl Digests {
    fn get(&mut self, id: &str) -> Option<Content> {
        if let Some(known) = self.younger.get(id) {
            return Some(*known);
        }
        let known = *self.elder.get(id)?;
        self.insert(id, known);
        Some(known)
    }

    fn insert(&mut self, id: &str, content: Content) {
        if self.younger.len() >= KEPT_DIGESTS {
            self.elder = std::mem::take(&mut self.younger);
        }
        self.younger.insert(id.into(), content);
    }
}
