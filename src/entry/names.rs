//! The forms of names that `docs/naming.md` lays down: two teams that log the same thing must log the same name.
//!
//! `other:` is the open door in every form. Errors say what form is expected.

/// Says which identities stood for the same.
pub const IDENTITY_LINK: &str = "identity.link";
/// Says which targets were the same.
pub const TARGET_LINK: &str = "target.link";

/// The schemes of target names, with the form that is shown when one is broken.
const TARGET_FORMS: [(&str, &str); 11] = [
    ("dataset", "dataset://<catalogue>/<name>"),
    ("file", "file://<host>/<path>"),
    ("fs", "fs://<file system id>/<path>"),
    ("git", "git://<host>/<repository>//<path>"),
    ("graven", "graven://<origin>/entry/<seq>"),
    ("hf", "hf://<org>/<name>"),
    ("iam", "iam://<realm>/<kind>/<name>"),
    (
        "k8s",
        "k8s://<cluster>/<group>/<resource>/<namespace>/<name>",
    ),
    ("oci", "oci://<registry>/<repository>:<tag>"),
    ("s3", "s3://<bucket>/<key>"),
    ("slurm", "slurm://<cluster>/job/<id>"),
];

/// The realms of identities whose ids have a namespace: `<realm>:<namespace>/<id>`.
const NAMESPACED_REALMS: [&str; 6] = ["aws", "gcp", "k8s", "oidc", "slurm", "unix"];

/// Digest schemes with the number of hexadecimal digits of a value.
const DIGEST_SCHEMES: [(&str, usize); 5] = [
    ("blake3", 64),
    ("git-sha1", 40),
    ("git-sha256", 64),
    ("sha256", 64),
    ("sha512", 128),
];

/// An action: `<noun>.<verb>` in lower case.
pub fn check_action(action: &str) -> Result<(), String> {
    let word = |text: &str| {
        text.starts_with(|c: char| c.is_ascii_lowercase())
            && text
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-')
    };
    match action.split_once('.') {
        Some((noun, verb)) if word(noun) && word(verb) => Ok(()),
        _ => {
            Err("is not an action: expected <noun>.<verb> in lower case, such as job.cancel".into())
        }
    }
}

/// Whether only the ledger itself may record this action.
pub fn is_ledger_action(action: &str) -> bool {
    action.starts_with("ledger.")
}

/// Says what is wrong with a name.
pub(super) type Form = fn(&str) -> Result<(), String>;

/// The form of the names that an action joins, if it is one that does.
pub(super) fn form_of_linked(action: &str) -> Option<Form> {
    match action {
        IDENTITY_LINK => Some(check_identity),
        TARGET_LINK => Some(check_target),
        _ => None,
    }
}

/// An identity: `<realm>:<namespace>/<id>`, `<realm>:<id>` where the realm has no namespaces, or a SPIFFE id.
pub fn check_identity(identity: &str) -> Result<(), String> {
    let expected = |form: &str| Err(format!("is not an identity: expected {form}"));
    let Some((realm, rest)) = identity.split_once(':') else {
        return expected("<realm>:<namespace>/<id>, such as oidc:corp/alice, or other:<anything>");
    };
    if !is_scheme(realm) || rest.is_empty() {
        return expected("<realm>:<namespace>/<id>, the realm in lower case");
    }
    if NAMESPACED_REALMS.contains(&realm) {
        return match rest.split_once('/') {
            Some((namespace, id)) if !namespace.is_empty() && !id.is_empty() => Ok(()),
            _ => expected(&format!("{realm}:<namespace>/<id>")),
        };
    }
    match realm {
        "git" if !rest.contains('@') => expected("git:<e-mail address>"),
        "ssh" if !rest.starts_with("SHA256:") => expected("ssh:SHA256:<fingerprint>"),
        "spiffe" if !rest.starts_with("//") => expected("spiffe://<trust domain>/<path>"),
        _ => Ok(()),
    }
}

/// A target's name: a URI of one of the schemes of `docs/naming.md`, or `other:<anything>`.
pub fn check_target(uri: &str) -> Result<(), String> {
    if let Some(rest) = uri.strip_prefix("other:") {
        return if rest.is_empty() {
            Err("is not a target: other: is empty".into())
        } else {
            Ok(())
        };
    }
    let Some((scheme, rest)) = uri.split_once("://") else {
        return Err("is not a target: expected <scheme>://…, or other:<anything>".into());
    };
    let Some((_, form)) = TARGET_FORMS.iter().find(|(known, _)| *known == scheme) else {
        let known: Vec<&str> = TARGET_FORMS.iter().map(|(scheme, _)| *scheme).collect();
        return Err(format!(
            "is not a target: the scheme is none of {}; use other:<anything> for a new one",
            known.join(", ")
        ));
    };
    let good = match rest.split_once('/') {
        _ if scheme == "graven" => is_of_ledger(rest),
        Some((authority, path)) if !authority.is_empty() && !path.is_empty() => {
            has_form(scheme, path)
        }
        _ => false,
    };
    if good {
        Ok(())
    } else {
        Err(format!("is not a target: expected {form}"))
    }
}

fn has_form(scheme: &str, path: &str) -> bool {
    let segments = || path.split('/');
    match scheme {
        // A git target without a path is the repository itself.
        "git" => match path.split_once("//") {
            Some((repository, file)) => !repository.is_empty() && !file.is_empty(),
            None => true,
        },
        // The group is empty for core resources, the namespace for those of the cluster.
        "k8s" => {
            let parts: Vec<&str> = segments().collect();
            matches!(parts.as_slice(), [_, resource, _, name, ..] if !resource.is_empty() && !name.is_empty())
        }
        "iam" => segments().count() >= 2 && segments().all(|segment| !segment.is_empty()),
        "slurm" => {
            matches!(path.split_once('/'), Some((kind, id)) if !kind.is_empty() && !id.is_empty())
        }
        _ => true,
    }
}

/// A ledger's entry, index, key or anchor, behind its origin, which may hold slashes itself.
fn is_of_ledger(rest: &str) -> bool {
    let is_seq = |text: &str| text.parse::<u64>().is_ok_and(|seq| seq.to_string() == text);
    let origin = match rest.rsplit_once('/') {
        Some((origin, "index" | "key" | "anchor")) => Some(origin),
        Some((before, last)) if is_seq(last) => before.strip_suffix("/entry"),
        _ => None,
    };
    origin.is_some_and(|origin| !origin.is_empty())
}

/// A version's id: a digest `<scheme>:<lower-case hexadecimal>`, or the store's own id.
pub fn check_version_id(id: &str) -> Result<(), String> {
    if id.is_empty() {
        return Err(
            "is not a version: it is empty; use the state for a version that is not known".into(),
        );
    }
    let Some((scheme, value)) = id.split_once(':') else {
        return Ok(());
    };
    let Some((_, digits)) = DIGEST_SCHEMES.iter().find(|(known, _)| *known == scheme) else {
        return Ok(());
    };
    let hexadecimal = value
        .bytes()
        .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    if value.len() == *digits && hexadecimal {
        Ok(())
    } else {
        Err(format!(
            "is not a digest: expected {scheme}: and {digits} lower-case hexadecimal digits"
        ))
    }
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase())
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}
