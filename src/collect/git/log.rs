//! Reads `git log --raw -z`: the commits of a history, oldest first, with the changes of each.
//!
//! A commit is printed as the byte 1, its fields each ended by NUL, and its changes. A change is printed as
//! `:<mode> <mode> <id> <id> <status>`, NUL, and one path or, for a rename, two, each ended by NUL. A merge has one
//! colon, one mode and one id for each parent more, and always one path (git-diff-tree(1), "RAW OUTPUT FORMAT" and
//! "DIFF FORMAT FOR MERGES").

use std::collections::HashSet;
use std::io::{BufRead, ErrorKind, Write};
use std::process::Stdio;
use std::sync::Arc;

use super::error::GitError;
use super::process::{Git, Process};

const COMMIT_MARK: u8 = 1;
const COMMIT_FORMAT: &str =
    "--format=%x01%H%x00%P%x00%an%x00%ae%x00%at%x00%cn%x00%ce%x00%ct%x00%s%x00%B";

/// What both streams have in common. Every default that configuration could change is given, so that the same history
/// is the same events everywhere.
const ARGUMENTS: [&str; 15] = [
    "log",
    "--stdin",
    "--reverse",
    "--topo-order",
    "--raw",
    "-z",
    "--no-abbrev",
    "--no-color",
    "--no-ext-diff",
    "--no-textconv",
    "--no-relative",
    "--no-show-signature",
    "--ignore-submodules=none",
    "-O/dev/null",
    COMMIT_FORMAT,
];
/// Renames are found at git's default similarity and limit, whatever is configured. Merges show no difference here.
const PLAIN: [&str; 3] = ["-M50%", "-l1000", "--diff-merges=off"];
/// Of merges, what no parent has. Without renames: to find them, git would compare whole branches, merge by merge.
const MERGES: [&str; 3] = ["--merges", "--diff-merges=combined", "--no-renames"];

const SUBMODULE_MODE: &str = "160000";
const ABSENT_MODE: &str = "000000";

/// A commit, its text as git prints it: in UTF-8 where the commit says how it is encoded.
#[derive(Debug)]
pub(super) struct Commit {
    pub(super) id: String,
    pub(super) parents: usize,
    pub(super) author: Person,
    pub(super) committer: Person,
    pub(super) subject: Vec<u8>,
    pub(super) message: Vec<u8>,
}

/// An author or committer.
#[derive(Debug)]
pub(super) struct Person {
    pub(super) name: Vec<u8>,
    pub(super) email: Vec<u8>,
    /// Seconds since 1970; none where git cannot read the time, such as one before 1970.
    pub(super) seconds: Option<i64>,
}

/// One path's change in a commit.
#[derive(Debug)]
pub(super) struct Change {
    /// What was there, in the first parent; none if nothing was.
    pub(super) before: Option<Object>,
    /// What is there after; none if nothing is.
    pub(super) after: Option<Object>,
    /// The path it was renamed from.
    pub(super) renamed_from: Option<Vec<u8>>,
    pub(super) path: Vec<u8>,
}

/// What a path holds: a blob, or a submodule's commit.
#[derive(Debug)]
pub(super) struct Object {
    /// Six octal digits.
    pub(super) mode: String,
    pub(super) id: String,
}

impl Object {
    pub(super) fn is_submodule(&self) -> bool {
        self.mode == SUBMODULE_MODE
    }
}

/// What of a repository to read.
#[derive(Debug, Clone)]
pub(super) struct Range {
    /// The commits whose ancestors are read, and they themselves.
    pub(super) tips: Vec<String>,
    /// Commits of a shallow clone whose parents are missing: what they changed is not known.
    pub(super) boundary: HashSet<String>,
}

/// The changes of a history, in order.
#[derive(Debug)]
pub(super) struct History {
    git: Git,
    range: Range,
    commits: LogStream,
    merges: Option<LogStream>,
    current: Option<Arc<Commit>>,
}

impl History {
    /// Starts to read. None if there is no commit to start from.
    pub(super) fn start(git: &Git, range: &Range) -> Result<Option<Self>, GitError> {
        if range.tips.is_empty() {
            return Ok(None);
        }
        Ok(Some(Self {
            git: git.clone(),
            range: range.clone(),
            commits: LogStream::start(git, &PLAIN, range)?,
            merges: None,
            current: None,
        }))
    }

    /// The next change and its commit; none at the end, after git has ended well.
    pub(super) fn next(&mut self) -> Result<Option<(Arc<Commit>, Change)>, GitError> {
        loop {
            if let Some(commit) = &self.current {
                let commit = Arc::clone(commit);
                let changes = match &mut self.merges {
                    Some(merges) if commit.parents > 1 => merges,
                    _ => &mut self.commits,
                };
                match changes.next_change()? {
                    Some(_) if self.range.boundary.contains(&commit.id) => continue,
                    Some(change) => return Ok(Some((commit, change))),
                    None => {}
                }
            }
            let Some(commit) = self.commits.next_commit()? else {
                self.current = None;
                return Ok(None);
            };
            if commit.parents > 1 {
                self.advance_merges(&commit.id)?;
            }
            self.current = Some(Arc::new(commit));
        }
    }

    /// Moves the stream of merges to this one: both streams have the merges in the same order.
    fn advance_merges(&mut self, id: &str) -> Result<(), GitError> {
        let merges = match &mut self.merges {
            Some(merges) => merges,
            none => none.insert(LogStream::start(&self.git, &MERGES, &self.range)?),
        };
        match merges.next_commit()? {
            Some(merge) if merge.id == id => Ok(()),
            _ => Err(merges
                .process
                .unreadable(format!("the merge {id} is not where it should be"))),
        }
    }
}

/// One running `git log`.
#[derive(Debug)]
struct LogStream {
    process: Process,
}

/// What comes next in a stream.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    Commit,
    Change,
    End,
}

impl LogStream {
    fn start(git: &Git, selection: &[&str], range: &Range) -> Result<Self, GitError> {
        let arguments: Vec<&str> = ARGUMENTS.iter().chain(selection).copied().collect();
        let mut process = git.start(&arguments, Stdio::piped())?;
        if let Some(mut stdin) = process.take_stdin() {
            // git reads all of it before it prints anything. If it ends instead, its failure says more than the pipe's.
            let mut tips = range.tips.join("\n");
            tips.push('\n');
            if stdin.write_all(tips.as_bytes()).is_err() {
                return Err(process.ended_early());
            }
        }
        Ok(Self { process })
    }

    /// The next commit; none at the end, after git has ended well.
    fn next_commit(&mut self) -> Result<Option<Commit>, GitError> {
        match self.peek()? {
            Next::Commit => {}
            Next::Change => return Err(self.process.unreadable("a change without a commit")),
            Next::End => return self.process.finish().map(|()| None),
        }
        self.process.reader.consume(1);
        let id = self.text()?;
        let parents = self.text()?.split_ascii_whitespace().count();
        Ok(Some(Commit {
            id,
            parents,
            author: self.person()?,
            committer: self.person()?,
            subject: self.field()?,
            message: self.field()?,
        }))
    }

    /// The next change of the commit that was read last; none after its last.
    fn next_change(&mut self) -> Result<Option<Change>, GitError> {
        if self.peek()? != Next::Change {
            return Ok(None);
        }
        let header = self.text()?;
        let Some(RawHeader {
            before,
            after,
            has_two_paths,
        }) = RawHeader::parse(&header)
        else {
            return Err(self.process.unreadable(format!("the change {header:?}")));
        };
        let renamed_from = if has_two_paths {
            Some(self.field()?)
        } else {
            None
        };
        Ok(Some(Change {
            before,
            after,
            renamed_from,
            path: self.field()?,
        }))
    }

    /// Skips what separates commits from changes, and says what follows.
    fn peek(&mut self) -> Result<Next, GitError> {
        loop {
            let first = match self.process.reader.fill_buf() {
                Ok(buffered) => buffered.first().copied(),
                Err(source) if source.kind() == ErrorKind::Interrupted => continue,
                Err(source) => return Err(self.process.io(source)),
            };
            match first {
                None => return Ok(Next::End),
                Some(COMMIT_MARK) => return Ok(Next::Commit),
                Some(b':') => return Ok(Next::Change),
                Some(b'\n' | 0) => self.process.reader.consume(1),
                Some(byte) => {
                    let problem = format!("the byte {byte:#04x} between changes");
                    return Err(self.process.unreadable(problem));
                }
            }
        }
    }

    fn person(&mut self) -> Result<Person, GitError> {
        Ok(Person {
            name: self.field()?,
            email: self.field()?,
            seconds: self.text()?.parse().ok(),
        })
    }

    fn text(&mut self) -> Result<String, GitError> {
        let field = self.field()?;
        String::from_utf8(field).map_err(|_| self.process.unreadable("a number is not ASCII"))
    }

    /// The bytes up to the next NUL.
    fn field(&mut self) -> Result<Vec<u8>, GitError> {
        let mut bytes = Vec::new();
        if let Err(source) = self.process.reader.read_until(0, &mut bytes) {
            return Err(self.process.io(source));
        }
        match bytes.pop() {
            Some(0) => Ok(bytes),
            _ => Err(self.process.ended_early()),
        }
    }
}

/// What precedes the paths of a change.
struct RawHeader {
    before: Option<Object>,
    after: Option<Object>,
    has_two_paths: bool,
}

impl RawHeader {
    /// Of several parents, the first is what was there before.
    fn parse(text: &str) -> Option<Self> {
        let values = text.trim_start_matches(':');
        let parents = text.len().checked_sub(values.len())?;
        let words: Vec<&str> = values.split(' ').collect();
        let sides = parents.checked_add(1)?;
        let (modes, rest) = words.split_at_checked(sides)?;
        let (ids, status) = rest.split_at_checked(sides)?;
        let [status] = status else { return None };
        let known = status.starts_with(['A', 'D', 'M', 'R', 'T']);
        known.then_some(Self {
            before: object(modes.first()?, ids.first()?),
            after: object(modes.last()?, ids.last()?),
            has_two_paths: parents == 1 && status.starts_with('R'),
        })
    }
}

fn object(mode: &str, id: &str) -> Option<Object> {
    (mode != ABSENT_MODE).then(|| Object {
        mode: mode.to_string(),
        id: id.to_string(),
    })
}
