//! Why a repository's history cannot be read.

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;

/// Why a repository's history cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GitError {
    /// The git executable cannot be started: it is not installed or not in the search path.
    #[error("cannot run {program:?}: {source}; git 2.31 or later must be installed")]
    NotFound {
        /// The executable.
        program: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// There is no repository at the path.
    #[error("{path:?} is not a git repository: {message}")]
    NotARepository {
        /// The path that was asked for.
        path: PathBuf,
        /// What git said.
        message: String,
    },
    /// The revision names no commit of the repository.
    #[error("the revision {revision:?} names no commit of the repository")]
    UnknownRevision {
        /// The revision as it was given.
        revision: String,
    },
    /// The repository's name cannot be part of a target's name.
    #[error("the repository's name {name:?} {problem}; give it as <host>/<repository>")]
    BadName {
        /// The name.
        name: String,
        /// The rule it breaks.
        problem: String,
    },
    /// git ran and failed: a damaged repository, or one that it refuses to open.
    #[error("git {command} failed ({status}): {stderr}")]
    Failed {
        /// The subcommand.
        command: String,
        /// How it ended.
        status: ExitStatus,
        /// What it wrote to its standard error, at most 8 KiB.
        stderr: String,
    },
    /// git's answer does not have the form that its manual describes.
    #[error("git {command} gave an answer that cannot be read: {problem}")]
    Unreadable {
        /// The subcommand.
        command: String,
        /// What is wrong with it.
        problem: String,
    },
    /// Talking to git, or reading a file of the repository, failed.
    #[error("cannot read {what}: {source}")]
    Io {
        /// What was being read.
        what: String,
        /// What the operating system said.
        source: io::Error,
    },
}
