//! The filters that find the entries about a version.

use crate::inquiry::literal;
use crate::inquiry::question::any;
use crate::inquiry::version::is_digest;

/// Who made a version.
pub(super) fn made(uri: &str, ids: &[String]) -> String {
    let by_id = |id: &String| {
        let literal = literal(id);
        format!("after = {literal} OR output_version = {literal}")
    };
    of_version(uri, ids, &["target", "output"], by_id)
}

/// Who made a version or used it.
pub(super) fn touches(uri: &str, ids: &[String]) -> String {
    let by_id = |id: &String| {
        let name = literal(id);
        let mut all = format!("digest = {name}");
        if let Some(("git-sha1" | "git-sha256", commit)) = id.split_once(':') {
            all = format!("{all} OR commit = {}", literal(commit));
        }
        if id.starts_with("sha256:") {
            let image = literal(&format!("{uri}@{id}"));
            all = format!("{all} OR image = {name} OR image = {image}");
        }
        all
    };
    of_version(uri, ids, &["target", "input", "output"], by_id)
}

/// A digest says what it is wherever it stands; another id says it only together with its target.
fn of_version(
    uri: &str,
    ids: &[String],
    fields: &[&str],
    by_id: impl Fn(&String) -> String,
) -> String {
    let (digests, others): (Vec<&String>, Vec<&String>) = ids.iter().partition(|id| is_digest(id));
    let mut all: Vec<String> = digests.into_iter().map(&by_id).collect();
    if !others.is_empty() {
        let name = literal(uri);
        let fields: Vec<String> = fields
            .iter()
            .map(|field| format!("{field} = {name}"))
            .collect();
        let ids: Vec<String> = others.into_iter().map(by_id).collect();
        all.push(format!("({} AND {})", any(&fields), any(&ids)));
    }
    any(&all)
}
