//! Names of repositories and of the paths in them, as `docs/naming.md` has them.

use std::fmt::Write as _;
use std::path::Path;

use sha2::{Digest as _, Sha256};

use super::error::GitError;
use crate::entry::{hex, names};

const MAX_SOURCE_BYTES: usize = 512;
const MAX_TARGET_BYTES: usize = 4096;
const MAX_IDENTITY_BYTES: usize = 512;

/// The host of a repository that has no remote one.
const LOCAL_HOST: &str = "localhost";

/// `git://<host>/<repository>` for a name as the user gives it.
pub(super) fn source_of_name(name: &str) -> Result<String, GitError> {
    let source = format!("git://{name}");
    let problem = if names::check_target(&source).is_err() {
        "has no host or no repository".to_string()
    } else if name.contains("//") || name.ends_with('/') {
        "has an empty segment".to_string()
    } else if source.len() > MAX_SOURCE_BYTES {
        let limit = MAX_SOURCE_BYTES.saturating_sub("git://".len());
        format!("has {} bytes, at most {limit} are allowed", name.len())
    } else {
        return Ok(source);
    };
    Err(GitError::BadName {
        name: name.to_string(),
        problem,
    })
}

/// `<host>/<repository>` for a remote's URL; none if it names no host.
///
/// The transport, the port, the user and the suffix `.git` say how to reach a repository, not which one it is.
pub(super) fn name_of_url(url: &[u8]) -> Option<String> {
    let url = encode(url, false);
    let (authority, path) = match url.split_once("://") {
        Some((scheme, _)) if scheme.eq_ignore_ascii_case("file") => return None,
        Some((_, rest)) => {
            let rest = rest.split(['?', '#']).next()?;
            rest.split_once('/')?
        }
        None => split_scp_like(&url)?,
    };
    let host_and_port = authority.rsplit('@').next()?;
    let host = if host_and_port.starts_with('[') {
        host_and_port.split_inclusive(']').next()?
    } else {
        host_and_port.split(':').next()?
    };
    let path = repository_of_path(path)?;
    (!host.is_empty()).then(|| format!("{}/{path}", host.to_lowercase()))
}

/// `localhost/<directory>` for the directory that holds a repository's objects and references.
pub(super) fn name_of_directory(git_directory: &Path) -> String {
    let holder = if git_directory.file_name().is_some_and(|name| name == ".git") {
        git_directory.parent()
    } else {
        Some(git_directory)
    };
    let name = holder
        .and_then(Path::file_name)
        .map(|name| encode(name.as_encoded_bytes(), true))
        .and_then(|name| repository_of_path(&name));
    // Only the root of the file system has no name.
    format!("{LOCAL_HOST}/{}", name.as_deref().unwrap_or("root"))
}

/// `[user@]host:path`, where the colon precedes any slash. `helper::address` is something else.
fn split_scp_like(url: &str) -> Option<(&str, &str)> {
    let (before, _) = url.split_once('/').unwrap_or((url, ""));
    let colon = if before.contains('[') {
        before.find("]:")?.checked_add(1)?
    } else {
        before.find(':')?
    };
    let (host, path) = url.split_at_checked(colon)?;
    let path = path.strip_prefix(':')?;
    (!path.starts_with(':')).then_some((host, path))
}

fn repository_of_path(path: &str) -> Option<String> {
    let segments: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let path = segments.join("/");
    let path = path.strip_suffix(".git").unwrap_or(&path);
    let path = path.trim_end_matches('/');
    (!path.is_empty()).then(|| path.to_string())
}

/// The target's name of a path. One that is too long for a name is named by its digest.
pub(super) fn target(source: &str, path: &[u8]) -> String {
    let name = format!("{source}//{}", encode(path, true));
    if name.len() <= MAX_TARGET_BYTES {
        return name;
    }
    format!("other:{source}//sha256:{}", sha256_hex(path))
}

/// The identity that an e-mail address claims.
pub(super) fn identity(email: &[u8]) -> String {
    let text = email_text(email);
    let identity = match text.as_str() {
        "" => "other:git/unknown".to_string(),
        address if address.contains('@') => format!("git:{address}"),
        other => format!("other:git/{other}"),
    };
    if identity.len() <= MAX_IDENTITY_BYTES {
        return identity;
    }
    format!("other:git/sha256:{}", sha256_hex(email))
}

/// An e-mail address as it is, unless it is not UTF-8.
pub(super) fn email_text(email: &[u8]) -> String {
    match std::str::from_utf8(email) {
        Ok(text) => text.to_string(),
        Err(_) => encode(email, true),
    }
}

/// Percent-encodes the bytes that are not UTF-8, and `%` itself if asked to, so that the bytes can be told again.
fn encode(bytes: &[u8], percent: bool) -> String {
    let mut encoded = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        if percent {
            encoded.push_str(&chunk.valid().replace('%', "%25"));
        } else {
            encoded.push_str(chunk.valid());
        }
        for byte in chunk.invalid() {
            // Writing to a string cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

/// The beginning of a text for people, at most `max_bytes` long; what is not UTF-8 becomes U+FFFD.
pub(super) fn readable(bytes: &[u8], max_bytes: usize) -> String {
    let mut text = String::from_utf8_lossy(bytes).into_owned();
    let mut end = text.len().min(max_bytes);
    while !text.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    text.truncate(end);
    text
}

fn sha256_hex(bytes: &[u8]) -> String {
    hex::encode(&Sha256::digest(bytes))
}
