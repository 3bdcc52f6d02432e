//! Versions: whether two are the same, as far as what was recorded can tell.

use crate::entry::json::words::{VERSION_STATE, word};
use crate::entry::v1::{Version, VersionState};

/// The schemes of ids that are digests, of which each content has one in each, with the number of their digits.
const DIGESTS: [(&str, usize); 5] = [
    ("sha256", 64),
    ("blake3", 64),
    ("sha512", 128),
    ("git-sha256", 64),
    ("git-sha1", 40),
];

/// Whether a version continues the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Continuity {
    /// It is the same version.
    Same,
    /// It is another version.
    Other,
    /// It cannot be told, and why.
    Unknown(&'static str),
}

/// Compares the version that an act left with the one that the next act found.
///
/// Versions that have an id in common are the same. They are different only where both have an id of the same kind: of
/// two digests of different kinds it cannot be told.
pub fn continuity(left: &Version, found: &Version) -> Continuity {
    if left.ids.iter().any(|id| found.ids.contains(id)) {
        return Continuity::Same;
    }
    let unread = [left, found]
        .into_iter()
        .filter(|version| version.ids.is_empty())
        .find(|version| version.state() != VersionState::Absent);
    if let Some(version) = unread {
        return Continuity::Unknown(match version.state() {
            VersionState::Pending => "the version was pending",
            VersionState::TooLarge => "the content was too large to digest",
            VersionState::Unavailable => "the content could not be read",
            VersionState::Unspecified | VersionState::Absent => "the version was not said",
        });
    }
    match (left.ids.is_empty(), found.ids.is_empty()) {
        (true, true) => Continuity::Same,
        (false, false) => {
            let comparable = |id: &String| found.ids.iter().any(|other| kind(id) == kind(other));
            if left.ids.iter().any(comparable) {
                Continuity::Other
            } else {
                Continuity::Unknown("the two versions have digests of different kinds")
            }
        }
        _ => Continuity::Other,
    }
}

/// Whether a version says that there was nothing.
pub(super) fn is_absent(version: &Version) -> bool {
    version.state() == VersionState::Absent && version.ids.is_empty()
}

/// The word for why a version is not known, if it has one.
pub fn state(version: &Version) -> Option<&'static str> {
    word(&VERSION_STATE, version.state)
}

/// The scheme of an id whose scheme is known; a store's own ids have none.
fn kind(id: &str) -> Option<&'static str> {
    let (scheme, _) = id.split_once(':')?;
    let known = DIGESTS.iter().find(|(known, _)| *known == scheme)?;
    Some(known.0)
}

/// Whether an id is the digest of a content, wherever that lies.
pub(super) fn is_digest(id: &str) -> bool {
    kind(id).is_some()
}

/// Whether a text is a digest, or the beginning of one that is long enough to search for: with its scheme, or, whole, without.
pub(super) fn reads_as_digest(text: &str) -> bool {
    const SHORTEST: usize = 7;
    let hexadecimal =
        |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    match text.split_once(':') {
        Some((scheme, digits)) => DIGESTS.iter().any(|(known, length)| {
            scheme == *known && (SHORTEST..=*length).contains(&digits.len()) && hexadecimal(digits)
        }),
        None => hexadecimal(text) && DIGESTS.iter().any(|(_, length)| text.len() == *length),
    }
}

/// Whether `id` is the digest that `wanted` says, or begins so.
pub(super) fn is_digest_of(id: &str, wanted: &str) -> bool {
    if wanted.contains(':') {
        id.starts_with(wanted)
    } else {
        let value = id.split_once(':').map_or(id, |(_, value)| value);
        value == wanted
    }
}
