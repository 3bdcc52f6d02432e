//! Signs events as their actor, with the SSH keys that people have, by `ssh-keygen`: it knows agents, passphrases and
//! security keys.

use std::ffi::OsString;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::failure::Failure;
use super::random::random;
use crate::entry::ssh_signature::NAMESPACE;
use crate::entry::{CheckedEvent, Seed, Tag, json, signature, v1};
use crate::note::VerifierKey;

const BEGIN: &str = "-----BEGIN SSH SIGNATURE-----";
const END: &str = "-----END SSH SIGNATURE-----";

/// Signs events with one key, for one ledger.
pub(super) struct ActorSigner {
    key: PathBuf,
    origin: String,
}

impl ActorSigner {
    /// Signs with the key in the file `key`: a private key, or the public one of a key that an agent holds.
    pub(super) fn new(key: &Path, pinned: Option<&VerifierKey>) -> Result<Self, Failure> {
        // A server that said by itself which ledger it is could have signed what it appends to another one.
        let pinned = pinned.ok_or_else(|| {
            Failure::usage(
                "--sign-with signs for one ledger: name it by its verifier key, with --key or GRAVEN_KEY",
            )
        })?;
        Ok(Self {
            key: key.to_path_buf(),
            origin: pinned.name().to_string(),
        })
    }

    /// The event with a signature by its actor, which has been verified.
    pub(super) fn sign(&self, mut event: v1::Event) -> Result<v1::Event, Failure> {
        let actor = event.who.as_ref().map_or("", |who| who.actor.as_str());
        if actor.is_empty() {
            return Err(Failure::usage(
                "--sign-with signs as the actor, and the event names none",
            ));
        }
        let checked = CheckedEvent::check(&json::encode(&event))
            .map_err(|invalid| Failure::usage(invalid.to_string()))?;
        let parts: Vec<(Tag, &[u8])> = checked
            .parts
            .iter()
            .map(|(tag, bytes)| (*tag, bytes.as_ref()))
            .collect();
        let seed = Seed(random()?);
        let message = signature::message(&seed, &self.origin, &parts);
        let signed = v1::ActorSignature {
            seed: seed.0.to_vec(),
            ssh_signature: ssh_keygen(&self.key, &message)?,
            ..v1::ActorSignature::default()
        };
        signature::verify(&signed, &self.origin, &parts).map_err(|problem| {
            let key = self.key.display();
            Failure::usage(format!("the signature with {key} {problem}"))
        })?;
        event.actor_signature = Some(signed);
        Ok(event)
    }
}

/// Signs `message`, and gives the signature without its armour.
fn ssh_keygen(key: &Path, message: &[u8]) -> Result<Vec<u8>, Failure> {
    let failed = |what: &str| Failure::other(format!("ssh-keygen with {}: {what}", key.display()));
    // On standard error it says what it waits for, such as the touch of a key, and why it failed.
    let mut child = Command::new("ssh-keygen")
        .args(["-q", "-Y", "sign", "-n", NAMESPACE, "-f"])
        .arg(path_argument(key))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| match error.kind() {
            ErrorKind::NotFound => Failure::other(
                "--sign-with needs ssh-keygen, of OpenSSH 8.2 or later, and there is none on the PATH",
            ),
            _ => failed(&error.to_string()),
        })?;
    if let Some(mut stdin) = child.stdin.take() {
        // Some hundred bytes at most, which a pipe takes. If it ends without reading them, its status says why.
        let _ = stdin.write_all(message);
    }
    let output = child
        .wait_with_output()
        .map_err(|error| failed(&error.to_string()))?;
    if !output.status.success() {
        return Err(failed("it did not sign, and says why above"));
    }
    String::from_utf8(output.stdout)
        .ok()
        .and_then(|text| without_armour(&text))
        .ok_or_else(|| failed("what it printed is not an SSH signature"))
}

/// A path that begins with a hyphen is not to be taken for a flag.
fn path_argument(key: &Path) -> OsString {
    if key.as_os_str().as_encoded_bytes().starts_with(b"-") {
        Path::new(".").join(key).into_os_string()
    } else {
        key.as_os_str().to_owned()
    }
}

/// The bytes within the armour: base64 in lines between a first and a last one.
fn without_armour(text: &str) -> Option<Vec<u8>> {
    let inner = text.trim().strip_prefix(BEGIN)?.strip_suffix(END)?;
    let encoded: String = inner.lines().map(str::trim).collect();
    STANDARD.decode(encoded).ok()
}
