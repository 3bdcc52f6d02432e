//! Runs the `git` executable so that its answers depend on the repository alone.

use std::env;
use std::ffi::OsString;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::thread::{self, JoinHandle};

use super::error::GitError;

/// The most that is kept of a process's standard error, in bytes.
const MAX_STDERR_BYTES: u64 = 8 * 1024;

/// How much of a process's output is read at once, in bytes.
const READ_BYTES: usize = 64 * 1024;

/// Variables that say where git's configuration and programs are. Every other `GIT_…` variable would point git at
/// another repository or change what it prints. `safe.directory` works through these as well.
const KEPT_VARIABLES: [&str; 4] = [
    "GIT_CEILING_DIRECTORIES",
    "GIT_CONFIG",
    "GIT_DISCOVERY_ACROSS_FILESYSTEM",
    "GIT_EXEC_PATH",
];

/// Settings that outrank the user's and the repository's own.
const SETTINGS: [&str; 5] = [
    "advice.graftFileDeprecated=false",
    "core.quotePath=false",
    "i18n.logOutputEncoding=UTF-8",
    "log.showRoot=true",
    "log.showSignature=false",
];

/// The executable and the directory it is run for.
#[derive(Debug, Clone)]
pub(super) struct Git {
    program: PathBuf,
    directory: PathBuf,
}

impl Git {
    pub(super) fn new(program: &Path, directory: &Path) -> Self {
        Self {
            program: program.to_path_buf(),
            directory: directory.to_path_buf(),
        }
    }

    /// Runs `git` with these arguments to its end: what it printed.
    pub(super) fn answer(&self, arguments: &[&str]) -> Result<Vec<u8>, GitError> {
        let mut process = self.start(arguments, Stdio::null())?;
        let printed = process.read_to_end()?;
        process.finish()?;
        Ok(printed)
    }

    /// The same for a question that `git` answers with status 1 when there is nothing to print.
    pub(super) fn lookup(&self, arguments: &[&str]) -> Result<Option<Vec<u8>>, GitError> {
        let mut process = self.start(arguments, Stdio::null())?;
        let printed = process.read_to_end()?;
        match process.finish() {
            Ok(()) => Ok(Some(printed)),
            Err(GitError::Failed { status, .. }) if status.code() == Some(1) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Starts `git` with these arguments; its standard output is read from the process.
    pub(super) fn start(&self, arguments: &[&str], stdin: Stdio) -> Result<Process, GitError> {
        let mut child = self
            .command(arguments)
            .stdin(stdin)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|source| GitError::NotFound {
                program: self.program.clone(),
                source,
            })?;
        let name = arguments.first().copied().unwrap_or_default().to_string();
        let stderr = child
            .stderr
            .take()
            .map(|pipe| thread::spawn(move || drain(pipe)));
        match child.stdout.take() {
            Some(stdout) => Ok(Process {
                name,
                child,
                reader: BufReader::with_capacity(READ_BYTES, stdout),
                stderr,
            }),
            None => Err(GitError::Unreadable {
                command: name,
                problem: "it has no standard output".to_string(),
            }),
        }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        for name in env::vars_os().map(|(name, _)| name).filter(is_unwanted) {
            command.env_remove(name);
        }
        command
            // Messages are told apart by their text.
            .env("LC_ALL", "C")
            .env("GIT_NO_REPLACE_OBJECTS", "1")
            .env("GIT_GRAFT_FILE", "/dev/null")
            .env("GIT_OPTIONAL_LOCKS", "0")
            .env("GIT_TERMINAL_PROMPT", "0")
            // An import reads what is there: a partial clone must not start to download.
            .env("GIT_NO_LAZY_FETCH", "1")
            .env("GIT_ALLOW_PROTOCOL", "");
        command.arg("-C").arg(&self.directory);
        for setting in SETTINGS {
            command.args(["-c", setting]);
        }
        command.args(arguments);
        command
    }
}

fn is_unwanted(name: &OsString) -> bool {
    let name = name.to_string_lossy();
    name.starts_with("GIT_") && !KEPT_VARIABLES.iter().any(|kept| name.starts_with(kept))
}

/// The beginning of what a process says on its standard error. All of it is read, or the process would block.
fn drain(mut pipe: impl Read) -> Vec<u8> {
    let mut beginning = Vec::new();
    let read = pipe
        .by_ref()
        .take(MAX_STDERR_BYTES)
        .read_to_end(&mut beginning);
    if read.is_ok() {
        // What is lost here is only the rest of a message.
        let _ = io::copy(&mut pipe, &mut io::sink());
    }
    beginning
}

/// A running `git`. Dropped, it is stopped and reaped.
#[derive(Debug)]
pub(super) struct Process {
    name: String,
    child: Child,
    /// Its standard output.
    pub(super) reader: BufReader<ChildStdout>,
    stderr: Option<JoinHandle<Vec<u8>>>,
}

impl Process {
    /// The pipe to its standard input, once, if it was started with one.
    pub(super) fn take_stdin(&mut self) -> Option<ChildStdin> {
        self.child.stdin.take()
    }

    fn read_to_end(&mut self) -> Result<Vec<u8>, GitError> {
        let mut printed = Vec::new();
        match self.reader.read_to_end(&mut printed) {
            Ok(_) => Ok(printed),
            Err(source) => Err(self.io(source)),
        }
    }

    /// Waits for its end, which must be a good one.
    pub(super) fn finish(&mut self) -> Result<(), GitError> {
        let status = self.child.wait().map_err(|source| self.io(source))?;
        if status.success() {
            return Ok(());
        }
        Err(self.failed(status))
    }

    /// What to say when its output ended too early: its own failure if it failed.
    pub(super) fn ended_early(&mut self) -> GitError {
        match self.finish() {
            Err(error) => error,
            Ok(()) => self.unreadable("it ends in the middle"),
        }
    }

    /// The answer does not have the expected form.
    pub(super) fn unreadable(&self, problem: impl Into<String>) -> GitError {
        GitError::Unreadable {
            command: self.name.clone(),
            problem: problem.into(),
        }
    }

    /// A pipe to or from it failed.
    pub(super) fn io(&self, source: io::Error) -> GitError {
        GitError::Io {
            what: format!("the answer of git {}", self.name),
            source,
        }
    }

    fn failed(&mut self, status: ExitStatus) -> GitError {
        let stderr = self.stderr.take().and_then(|thread| thread.join().ok());
        GitError::Failed {
            command: self.name.clone(),
            status,
            stderr: String::from_utf8_lossy(&stderr.unwrap_or_default())
                .trim()
                .to_string(),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Either may fail only because the process is already gone.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
