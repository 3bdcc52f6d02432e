//! Small repositories, made by git itself at fixed dates.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::Write;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use graven::collect::git::{GitHistory, Options};
use graven::entry::{CheckedEvent, v1};
use prost::Message;
use tempfile::TempDir;

/// The time of a repository's first commit, in seconds since 1970. Each command is a minute later than the one before.
pub(crate) const FIRST_SECOND: u64 = 1_600_000_000;

pub(crate) struct Repo {
    pub(crate) dir: TempDir,
    path: PathBuf,
    commands: AtomicU64,
}

impl Repo {
    pub(crate) fn new() -> Self {
        Self::with_arguments(&[])
    }

    pub(crate) fn with_arguments(arguments: &[&str]) -> Self {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("work");
        fs::create_dir(&path).unwrap();
        let repo = Self {
            dir,
            path,
            commands: AtomicU64::new(0),
        };
        let mut init = vec!["init", "-q", "-b", "main"];
        init.extend(arguments);
        repo.git(&init);
        repo
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        String::from_utf8(self.git_bytes(arguments)).unwrap()
    }

    pub(crate) fn git_bytes(&self, arguments: &[&str]) -> Vec<u8> {
        self.git_with(&[], b"", arguments)
    }

    pub(crate) fn git_with(
        &self,
        environment: &[(&str, &[u8])],
        input: &[u8],
        arguments: &[&str],
    ) -> Vec<u8> {
        let minutes = self.commands.fetch_add(1, Ordering::Relaxed);
        let date = format!("{} +0200", FIRST_SECOND + 60 * minutes);
        let mut child = Command::new("git")
            .current_dir(&self.path)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_AUTHOR_NAME", "An Author")
            .env("GIT_AUTHOR_EMAIL", "author@example.com")
            .env("GIT_AUTHOR_DATE", &date)
            .env("GIT_COMMITTER_NAME", "A Committer")
            .env("GIT_COMMITTER_EMAIL", "committer@example.com")
            .env("GIT_COMMITTER_DATE", &date)
            .envs(environment.iter().map(|(k, v)| (k, OsStr::from_bytes(v))))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input).unwrap();
        let output = child.wait_with_output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "git {arguments:?}: {stderr}");
        output.stdout
    }

    pub(crate) fn write(&self, path: impl AsRef<[u8]>, content: impl AsRef<[u8]>) {
        let file = self.path.join(OsStr::from_bytes(path.as_ref()));
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, content).unwrap();
    }

    pub(crate) fn remove(&self, path: &str) {
        fs::remove_file(self.path.join(path)).unwrap();
    }

    /// Commits the whole working tree: the commit's id.
    pub(crate) fn commit(&self, message: &str) -> String {
        self.git(&["add", "-A"]);
        let commit = [
            "commit",
            "-q",
            "--allow-empty-message",
            "--cleanup=verbatim",
        ];
        self.git_with(
            &[],
            message.as_bytes(),
            &[&commit[..], &["-F", "-"]].concat(),
        );
        self.head()
    }

    pub(crate) fn head(&self) -> String {
        self.id("HEAD")
    }

    pub(crate) fn id(&self, revision: &str) -> String {
        self.git(&["rev-parse", revision]).trim().to_string()
    }

    /// Makes a commit object of these header lines and this message the branch's newest.
    pub(crate) fn commit_object(&self, people: &[u8], message: &[u8]) -> String {
        let mut object = format!("tree {}\n", self.git(&["write-tree"]).trim()).into_bytes();
        let parent = self.git(&["rev-list", "-n1", "--all"]);
        if !parent.is_empty() {
            object.extend(format!("parent {}\n", parent.trim()).bytes());
        }
        object.extend(people);
        object.extend(b"\n");
        object.extend(message);
        let hash = [
            "hash-object",
            "-t",
            "commit",
            "-w",
            "--stdin",
            "--literally",
        ];
        let id = String::from_utf8(self.git_with(&[], &object, &hash)).unwrap();
        self.git(&["update-ref", "HEAD", id.trim()]);
        id.trim().to_string()
    }

    pub(crate) fn history(&self) -> GitHistory {
        GitHistory::open(&self.path, &Options::default()).unwrap()
    }

    pub(crate) fn events(&self) -> Vec<v1::Event> {
        events(&self.history())
    }
}

/// All events of a history, each of which a ledger would take, as many as announced.
pub(crate) fn events(history: &GitHistory) -> Vec<v1::Event> {
    let events: Vec<v1::Event> = history.events().unwrap().map(Result::unwrap).collect();
    assert_eq!(history.changes().unwrap(), events.len() as u64);
    let mut ids = Vec::new();
    for event in &events {
        let checked = CheckedEvent::check(&Bytes::from(event.encode_to_vec())).unwrap();
        assert_eq!(checked.idempotency_id.len(), 32);
        ids.push(checked.idempotency_id);
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), events.len(), "idempotency ids differ");
    events
}

pub(crate) fn what(event: &v1::Event) -> &v1::What {
    event.what.as_ref().unwrap()
}

pub(crate) fn target(event: &v1::Event) -> &v1::Target {
    &what(event).targets[0]
}

pub(crate) fn before(event: &v1::Event) -> &v1::Version {
    target(event).before.as_ref().unwrap()
}

pub(crate) fn after(event: &v1::Event) -> &v1::Version {
    target(event).after.as_ref().unwrap()
}

pub(crate) fn context(event: &v1::Event) -> &v1::Context {
    event.context.as_ref().unwrap()
}

pub(crate) fn actor(event: &v1::Event) -> &str {
    &event.who.as_ref().unwrap().actor
}

pub(crate) fn reason(event: &v1::Event) -> &str {
    &event.why.as_ref().unwrap().reason
}

pub(crate) fn label<'a>(event: &'a v1::Event, key: &str) -> Option<&'a str> {
    let labels = &event.why.as_ref().unwrap().labels;
    let label = labels.iter().find(|label| label.key == key)?;
    Some(&label.value)
}

/// `<action> <path>` of every event, with `<old path> -> ` before the path of a rename.
pub(crate) fn summary(events: &[v1::Event]) -> Vec<String> {
    let lossy = |uri: &str| String::from_utf8_lossy(&path_of(uri)).into_owned();
    let line = |event: &v1::Event| {
        let (target, action) = (target(event), &what(event).action);
        match target.previous_uri.as_str() {
            "" => format!("{action} {}", lossy(&target.uri)),
            old => format!("{action} {} -> {}", lossy(old), lossy(&target.uri)),
        }
    };
    events.iter().map(line).collect()
}

/// The path of a target, decoded as the documentation of names says.
pub(crate) fn path_of(uri: &str) -> Vec<u8> {
    let rest = uri.strip_prefix("git://").unwrap();
    let (_, path) = rest.split_once("//").unwrap();
    let (mut decoded, mut rest) = (Vec::new(), path.as_bytes());
    while let [first, tail @ ..] = rest {
        if *first == b'%' {
            let digits = std::str::from_utf8(&tail[..2]).unwrap();
            decoded.push(u8::from_str_radix(digits, 16).unwrap());
            rest = &tail[2..];
        } else {
            decoded.push(*first);
            rest = tail;
        }
    }
    decoded
}

pub(crate) fn os(bytes: &[u8]) -> OsString {
    OsString::from_vec(bytes.to_vec())
}
