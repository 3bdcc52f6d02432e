//! What is asked of a repository once, before its history is read.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::error::GitError;
use super::log::Range;
use super::name;
use super::process::Git;
use super::{Options, Revisions};

/// What a repository is and what of it is to be read.
#[derive(Debug)]
pub(super) struct Repository {
    /// `git://<host>/<repository>`.
    pub(super) source: String,
    /// The id of its root commit; empty where that is not known.
    pub(super) instance: String,
    pub(super) range: Range,
}

impl Repository {
    pub(super) fn open(git: &Git, path: &Path, options: &Options) -> Result<Self, GitError> {
        let common = common_directory(git, path)?;
        let source = match &options.name {
            Some(name) => name::source_of_name(name)?,
            None => name::source_of_name(&own_name(git, &common)?)?,
        };
        let boundary = shallow_boundary(&common)?;
        let head = head(git)?;
        let tips = tips(git, &options.revisions, head.as_deref())?;
        let instance = match head.as_ref().or(tips.first()) {
            Some(tip) => root(git, tip, &boundary)?,
            None => String::new(),
        };
        Ok(Self {
            source,
            instance,
            range: Range { tips, boundary },
        })
    }
}

/// The directory of objects and references, which linked worktrees share.
fn common_directory(git: &Git, path: &Path) -> Result<PathBuf, GitError> {
    let answer = git
        .answer(&["rev-parse", "--git-common-dir"])
        .map_err(|error| match error {
            GitError::Failed { stderr, .. } if is_no_repository(&stderr) => {
                GitError::NotARepository {
                    path: path.to_path_buf(),
                    message: stderr,
                }
            }
            other => other,
        })?;
    let relative = answer.strip_suffix(b"\n").unwrap_or(&answer);
    let common = path.join(OsStr::from_bytes(relative));
    common.canonicalize().map_err(|source| GitError::Io {
        what: format!("the directory {}", common.display()),
        source,
    })
}

fn is_no_repository(stderr: &str) -> bool {
    stderr.contains("not a git repository") || stderr.contains("cannot change to")
}

fn own_name(git: &Git, common: &Path) -> Result<String, GitError> {
    let url = git.lookup(&["config", "-z", "--get", "remote.origin.url"])?;
    let url = url.as_deref().unwrap_or_default();
    let of_url = name::name_of_url(url.strip_suffix(b"\0").unwrap_or(url));
    Ok(of_url.unwrap_or_else(|| name::name_of_directory(common)))
}

/// The commits whose parents a shallow clone left behind.
fn shallow_boundary(common: &Path) -> Result<HashSet<String>, GitError> {
    let file = common.join("shallow");
    match fs::read_to_string(&file) {
        Ok(lines) => Ok(lines.lines().map(str::to_string).collect()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(HashSet::new()),
        Err(source) => Err(GitError::Io {
            what: format!("the file {}", file.display()),
            source,
        }),
    }
}

/// The commit of `HEAD`; none if its branch has no commit yet.
fn head(git: &Git) -> Result<Option<String>, GitError> {
    match git.lookup(&["rev-parse", "--quiet", "--verify", "HEAD"])? {
        Some(_) => commit_of(git, "HEAD").map(Some),
        None => Ok(None),
    }
}

fn commit_of(git: &Git, revision: &str) -> Result<String, GitError> {
    let unknown = || GitError::UnknownRevision {
        revision: revision.to_string(),
    };
    // git would take it for an option.
    if revision.starts_with('-') {
        return Err(unknown());
    }
    let commit = format!("{revision}^{{commit}}");
    let answer = git
        .lookup(&["rev-parse", "--quiet", "--verify", &commit])?
        .ok_or_else(unknown)?;
    Ok(line(&answer))
}

/// The commits to start from. They are named by id from here on, so that all that is read is the same history.
fn tips(git: &Git, revisions: &Revisions, head: Option<&str>) -> Result<Vec<String>, GitError> {
    match (revisions, head) {
        (Revisions::Named(revision), _) => Ok(vec![commit_of(git, revision)?]),
        (Revisions::Head, Some(head)) => Ok(vec![head.to_string()]),
        (Revisions::Head, None) if references(git)?.is_empty() => Ok(Vec::new()),
        // The history is elsewhere: to import nothing would look like an import of everything.
        (Revisions::Head, None) => Err(GitError::UnknownRevision {
            revision: "HEAD".to_string(),
        }),
        (Revisions::All, head) => {
            let mut tips = references(git)?;
            tips.extend(head.map(str::to_string));
            Ok(tips)
        }
    }
}

/// The ids of all references.
fn references(git: &Git) -> Result<Vec<String>, GitError> {
    let answer = git.answer(&["for-each-ref", "--format=%(objectname)"])?;
    Ok(String::from_utf8_lossy(&answer)
        .lines()
        .map(str::to_string)
        .collect())
}

/// The first commit of the line that leads to `tip`: merging an unrelated history later does not change it.
fn root(git: &Git, tip: &str, boundary: &HashSet<String>) -> Result<String, GitError> {
    let answer = git.answer(&["rev-list", "--first-parent", "--max-parents=0", tip])?;
    let root = line(&answer);
    Ok(if boundary.contains(&root) {
        String::new()
    } else {
        root
    })
}

fn line(answer: &[u8]) -> String {
    String::from_utf8_lossy(answer).trim_end().to_string()
}
