//! Maps a change of a commit to an event.

use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::error::GitError;
use super::log::{Change, Commit, Object, Person};
use super::name::{email_text, identity, readable, target};
use super::objects::{Content, Objects};
use crate::entry::{MAX_EVENT_BYTES, hex, v1};

const MAX_NAME_BYTES: usize = 512;
const MAX_REASON_BYTES: usize = 4096;
const MAX_LABEL_BYTES: usize = 1024;
/// The longest message that is kept whole, in bytes. The rest of an event takes less than 32 KiB.
const MAX_MESSAGE_BYTES: usize = MAX_EVENT_BYTES - 32 * 1024;

/// From 1900-01-01T00:00:00Z to before 2200-01-01T00:00:00Z in seconds since 1970: what an event can hold.
const SECONDS: std::ops::Range<i64> = -2_208_988_800..7_258_118_400;
const NANOSECONDS_PER_SECOND: i64 = 1_000_000_000;

/// Maps the changes of one repository, in the order of its history.
#[derive(Debug)]
pub(super) struct Mapping {
    source: String,
    instance: String,
    objects: Objects,
    /// The commit that was mapped last.
    current: Option<CommitFacts>,
}

/// What the events of one commit have in common.
#[derive(Debug)]
struct CommitFacts {
    commit: Arc<Commit>,
    who: v1::Who,
    context: v1::Context,
    why: v1::Why,
    committed_at: i64,
}

/// An author's or committer's time.
struct Time {
    /// Seconds since 1970; 0 if the commit's text is no number.
    seconds: i64,
    /// Nanoseconds since 1970, if an event can hold it.
    nanoseconds: Option<i64>,
    /// The commit's text, if an event cannot.
    text: Option<String>,
}

impl Mapping {
    pub(super) fn new(source: &str, instance: &str, objects: Objects) -> Self {
        Self {
            source: source.to_string(),
            instance: instance.to_string(),
            objects,
            current: None,
        }
    }

    /// The event of a change.
    pub(super) fn event(
        &mut self,
        commit: &Arc<Commit>,
        change: &Change,
    ) -> Result<v1::Event, GitError> {
        let known = self.current.take();
        let (facts, is_first) = match known {
            Some(facts) if Arc::ptr_eq(&facts.commit, commit) => (facts, false),
            _ => (self.facts(commit)?, true),
        };
        let mut context = facts.context.clone();
        context.idempotency_id = self.idempotency_id(&facts, change);
        let mut why = facts.why.clone();
        why.labels.extend(mode_labels(change));
        why.labels.sort_by(|a, b| a.key.cmp(&b.key));
        let event = v1::Event {
            who: Some(facts.who.clone()),
            what: Some(self.what(change)?),
            context: Some(context),
            why: Some(why),
            detail: if is_first { detail(&facts) } else { None },
            actor_signature: None,
        };
        self.current = Some(facts);
        Ok(event)
    }

    fn facts(&mut self, commit: &Arc<Commit>) -> Result<CommitFacts, GitError> {
        let authored = self.time(commit, &commit.author, "author")?;
        let committed = self.time(commit, &commit.committer, "committer")?;
        let committer = &commit.committer;
        let labels = [
            ("author_time", authored.text),
            ("committer", Some(email_text(&committer.email))),
            (
                "committer_name",
                Some(readable(&committer.name, MAX_LABEL_BYTES)),
            ),
            ("committer_time", committed.text),
        ];
        Ok(CommitFacts {
            commit: Arc::clone(commit),
            who: v1::Who {
                actor: identity(&commit.author.email),
                assurance: v1::Assurance::Asserted.into(),
                display_name: readable(&commit.author.name, MAX_NAME_BYTES),
                ..v1::Who::default()
            },
            context: v1::Context {
                source: self.source.clone(),
                source_id: commit.id.clone(),
                occurred_at: authored.nanoseconds,
                observed_at: committed.nanoseconds,
                correlation_id: commit.id.clone(),
                ..v1::Context::default()
            },
            why: v1::Why {
                reason: readable(&commit.subject, MAX_REASON_BYTES),
                ticket: commit.id.clone(),
                labels: labels
                    .into_iter()
                    .filter_map(|(key, value)| label(key, &value?))
                    .collect(),
                ..v1::Why::default()
            },
            committed_at: committed.seconds,
        })
    }

    /// git does not print every time that a commit can hold; the others are read from the commit itself.
    fn time(&mut self, commit: &Commit, person: &Person, key: &str) -> Result<Time, GitError> {
        let in_range = |seconds: i64| SECONDS.contains(&seconds).then_some(seconds);
        if let Some(seconds) = person.seconds.and_then(in_range) {
            return Ok(Time::known(seconds));
        }
        let line = self.objects.header_line(&commit.id, key)?;
        let line = line.unwrap_or_default();
        let text = line.rsplit(|&byte| byte == b'>').next();
        let text = readable(text.unwrap_or_default().trim_ascii(), MAX_LABEL_BYTES);
        let seconds = text.split(' ').next().and_then(|word| word.parse().ok());
        if let Some(seconds) = seconds.and_then(in_range) {
            return Ok(Time::known(seconds));
        }
        Ok(Time {
            seconds: seconds.unwrap_or_default(),
            nanoseconds: None,
            text: Some(text),
        })
    }

    fn what(&mut self, change: &Change) -> Result<v1::What, GitError> {
        let action = match change {
            Change { before: None, .. } => "file.create",
            Change { after: None, .. } => "file.delete",
            Change {
                renamed_from: Some(_),
                ..
            } => "file.rename",
            Change { .. } => "file.update",
        };
        let previous_uri = change
            .renamed_from
            .as_ref()
            .map(|path| target(&self.source, path));
        Ok(v1::What {
            action: action.to_string(),
            outcome: v1::Outcome::Success.into(),
            targets: vec![v1::Target {
                uri: target(&self.source, &change.path),
                instance: self.instance.clone(),
                before: Some(self.version(change.before.as_ref())?),
                after: Some(self.version(change.after.as_ref())?),
                previous_uri: previous_uri.unwrap_or_default(),
                ..v1::Target::default()
            }],
            ..v1::What::default()
        })
    }

    fn version(&mut self, object: Option<&Object>) -> Result<v1::Version, GitError> {
        let Some(object) = object else {
            return Ok(v1::Version {
                state: v1::VersionState::Absent.into(),
                ..v1::Version::default()
            });
        };
        let mut version = v1::Version {
            ids: vec![git_id(&object.id)],
            ..v1::Version::default()
        };
        if object.is_submodule() {
            return Ok(version);
        }
        match self.objects.content(&object.id)? {
            // The digest says all that the size would.
            Content::Digested { sha256 } => {
                version.ids.push(format!("sha256:{}", hex::encode(&sha256)));
            }
            Content::TooLarge { bytes } => {
                version.state = v1::VersionState::TooLarge.into();
                version.size = Some(bytes);
            }
            Content::Missing => version.state = v1::VersionState::Unavailable.into(),
        }
        Ok(version)
    }

    /// Made from what git says alone, so that another version of this mapping gives the same id: the committer's time
    /// in seconds since 1970 as 8 bytes, big-endian, and 24 bytes of BLAKE3 over source, commit, old path and new
    /// path, each after its length as 8 bytes, big-endian. The old path is empty for a create, the new for a delete.
    fn idempotency_id(&self, facts: &CommitFacts, change: &Change) -> Vec<u8> {
        let path = change.path.as_slice();
        let old_path = match (&change.renamed_from, &change.before) {
            (Some(old_path), _) => old_path.as_slice(),
            (None, Some(_)) => path,
            (None, None) => b"",
        };
        let new_path = if change.after.is_some() { path } else { b"" };
        let mut hasher = blake3::Hasher::new();
        for field in [
            self.source.as_bytes(),
            facts.commit.id.as_bytes(),
            old_path,
            new_path,
        ] {
            hasher.update(&(field.len() as u64).to_be_bytes());
            hasher.update(field);
        }
        let mut id = facts.committed_at.to_be_bytes().to_vec();
        id.extend(hasher.finalize().as_bytes().iter().take(24));
        id
    }
}

impl Time {
    fn known(seconds: i64) -> Self {
        Self {
            seconds,
            nanoseconds: seconds.checked_mul(NANOSECONDS_PER_SECOND),
            text: None,
        }
    }
}

/// The modes, where they differ; a side that does not exist has none.
fn mode_labels(change: &Change) -> impl Iterator<Item = v1::Label> {
    let mode = |object: &Option<Object>| object.as_ref().map(|object| object.mode.clone());
    let (before, after) = (mode(&change.before), mode(&change.after));
    let differ = before != after;
    [("mode_after", after), ("mode_before", before)]
        .into_iter()
        .filter(move |_| differ)
        .filter_map(|(key, value)| label(key, &value?))
}

fn label(key: &str, value: &str) -> Option<v1::Label> {
    (!value.is_empty()).then(|| v1::Label {
        key: key.to_string(),
        value: readable(value.as_bytes(), MAX_LABEL_BYTES),
    })
}

/// The whole message, if it says more than the reason does.
fn detail(facts: &CommitFacts) -> Option<v1::Detail> {
    let message = &facts.commit.message;
    if message.trim_ascii() == facts.why.reason.trim_ascii().as_bytes() {
        return None;
    }
    let truncated = message.len() > MAX_MESSAGE_BYTES;
    let kept = message.get(..MAX_MESSAGE_BYTES).unwrap_or(message);
    Some(v1::Detail {
        content: kept.to_vec(),
        media_type: "text/plain".to_string(),
        truncated,
        original_digest: if truncated {
            format!("sha256:{}", hex::encode(&Sha256::digest(message)))
        } else {
            String::new()
        },
        ..v1::Detail::default()
    })
}

fn git_id(id: &str) -> String {
    let scheme = if id.len() == 64 {
        "git-sha256"
    } else {
        "git-sha1"
    };
    format!("{scheme}:{id}")
}
