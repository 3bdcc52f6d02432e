//! A git repository's history as events: one for every change of a path in every commit.
//!
//! The history is read with the `git` executable, oldest commit first, parents before children
//! (`git log --reverse --topo-order --raw -M`). What an event says:
//!
//! | field | value |
//! |---|---|
//! | `who.actor` | `git:<author's e-mail address>`, asserted; `other:git/<address>`, or `unknown`, if it has no `@` |
//! | `who.display_name` | the author's name |
//! | `what.action` | `file.create`, `file.update`, `file.delete` or `file.rename`; a copy is a create, another mode or type an update |
//! | `what.targets[0].uri` | `git://<host>/<repository>//<path>` |
//! | `what.targets[0].previous_uri` | the name before a rename |
//! | `what.targets[0].instance` | the repository's root commit: the first of the line of first parents that leads to `HEAD` |
//! | `what.targets[0].before`, `after` | `git-sha1:<blob>` (or `git-sha256:`), `sha256:<digest of the content>` and size; for a submodule its commit alone |
//! | `context.source` | `git://<host>/<repository>` |
//! | `context.source_id`, `context.correlation_id`, `why.ticket` | the commit's id |
//! | `context.occurred_at`, `observed_at` | the author's and the committer's time |
//! | `context.idempotency_id` | from the repository, the commit and the paths: importing again duplicates nothing |
//! | `why.reason` | the first paragraph of the message, at most 4096 bytes |
//! | `why.labels` | `committer` (e-mail address), `committer_name`; `mode_before` and `mode_after` where the modes differ |
//! | `detail.content` | the whole message, where it says more than the reason; with a commit's first change only |
//!
//! # Names
//!
//! Host and repository come from the URL of the remote `origin`, without user, port and `.git`; without such a URL
//! they are `localhost` and the name of the repository's directory. In a path, `%` and bytes that are not UTF-8 are
//! percent-encoded; everything else stays as it is, spaces and newlines too. A path too long for a target's name
//! (4096 bytes with the repository's) becomes `other:git://<host>/<repository>//sha256:<digest of the path>`. An
//! e-mail address that is not UTF-8 is percent-encoded like a path; one too long for an identity is named by its digest.
//! What is too long for a label or for `display_name` is cut.
//!
//! # What a history does not say
//!
//! - **Merges** show only paths whose content no parent has (`git log -c --raw`), compared with the first parent:
//!   what was merged is already there as the changes of its own commits. A rename that only the merge made is a create.
//! - **Root commits** create everything in them. The oldest commits of a **shallow clone** are not roots: what they
//!   changed is not known and gives no event, and `instance` is empty.
//! - A time outside the years 1900 to 2200, or unreadable, is absent; the labels `author_time` and `committer_time`
//!   then have the commit's own text.
//! - A blob above the limit has the state `too_large` and its git id; one that the repository does not have, as in a
//!   partial clone, `unavailable`. Nothing is fetched, and replacements and grafts are not followed.
//!
//! Renames are found as by `git log -M50% -l1000`, whatever is configured. Importing again with another limit for
//! blobs, or with `HEAD` on an unrelated line, gives other content under the same idempotency id.

mod error;
mod event;
mod log;
mod name;
mod objects;
mod process;
mod repository;

use std::iter::FusedIterator;
use std::path::{Path, PathBuf};

pub use error::GitError;

use crate::entry::v1;
use event::Mapping;
use log::{History, Range};
use objects::Objects;
use process::Git;
use repository::Repository;

/// Whose history to read: that of these commits, with all their ancestors.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Revisions {
    /// The commit that is checked out.
    #[default]
    Head,
    /// A branch, a tag or anything else that names a commit, as in `gitrevisions(7)`.
    Named(String),
    /// Every reference, and `HEAD`.
    All,
}

/// How to read a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Whose history to read.
    pub revisions: Revisions,
    /// `<host>/<repository>`, instead of what the remote `origin` says. At most 506 bytes.
    pub name: Option<String>,
    /// The largest blob whose content is digested, in bytes.
    pub max_blob_bytes: u64,
    /// The git executable, version 2.31 or later; looked up in the search path if it is a bare name.
    pub git: PathBuf,
}

impl Default for Options {
    /// `HEAD`, the name that `origin` gives, blobs to 256 MiB, and `git`.
    fn default() -> Self {
        Self {
            revisions: Revisions::Head,
            name: None,
            max_blob_bytes: 256 * 1024 * 1024,
            git: PathBuf::from("git"),
        }
    }
}

/// The history of a repository, as it was when it was opened.
#[derive(Debug)]
pub struct GitHistory {
    git: Git,
    repository: Repository,
    max_blob_bytes: u64,
}

impl GitHistory {
    /// Opens the repository that `path` is, or is in: with or without a working tree, a linked worktree, shallow, or
    /// empty.
    pub fn open(path: &Path, options: &Options) -> Result<Self, GitError> {
        let git = Git::new(&options.git, path);
        let repository = Repository::open(&git, path, options)?;
        Ok(Self {
            git,
            repository,
            max_blob_bytes: options.max_blob_bytes,
        })
    }

    /// `git://<host>/<repository>`: the `context.source` of every event.
    pub fn source(&self) -> &str {
        &self.repository.source
    }

    /// How many events there will be. Reads the history once without the contents of files.
    pub fn changes(&self) -> Result<u64, GitError> {
        let mut count: u64 = 0;
        if let Some(mut history) = self.read()? {
            while history.next()?.is_some() {
                count = count.saturating_add(1);
            }
        }
        Ok(count)
    }

    /// The events, oldest first. Memory does not grow with the history, except inside git, which sorts the commits.
    pub fn events(&self) -> Result<GitEvents, GitError> {
        Ok(GitEvents {
            history: self.read()?,
            mapping: Mapping::new(
                &self.repository.source,
                &self.repository.instance,
                Objects::new(&self.git, self.max_blob_bytes),
            ),
        })
    }

    fn read(&self) -> Result<Option<History>, GitError> {
        let range: &Range = &self.repository.range;
        History::start(&self.git, range)
    }
}

/// The events of a history. Ends after the first error. Dropped early, it stops git.
#[derive(Debug)]
pub struct GitEvents {
    history: Option<History>,
    mapping: Mapping,
}

impl Iterator for GitEvents {
    type Item = Result<v1::Event, GitError>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = match self.history.as_mut()?.next() {
            Ok(Some((commit, change))) => self.mapping.event(&commit, &change),
            Ok(None) => {
                self.history = None;
                return None;
            }
            Err(error) => Err(error),
        };
        if next.is_err() {
            self.history = None;
        }
        Some(next)
    }
}

impl FusedIterator for GitEvents {}
