//! The server's configuration: a TOML file, under environment and flags.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::failure::Failure;
use super::render::escape;
use crate::entry::hex;
use crate::service::{Authentication, PolicyFile, Tls, Token};

/// The file. What it does not know is refused.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Config {
    /// Directory of the ledger.
    pub(super) dir: Option<PathBuf>,
    /// The anchor's file; better on another volume.
    pub(super) anchor: Option<PathBuf>,
    /// Address and port to listen on.
    pub(super) listen: Option<String>,
    /// The ledger's name, compared with its genesis.
    pub(super) origin: Option<String>,
    /// The signing key's file.
    pub(super) key: Option<PathBuf>,
    /// Signed checkpoints that somebody outside keeps: the ledger has to extend each of them.
    #[serde(default)]
    pub(super) known_checkpoints: Vec<PathBuf>,
    /// Who may do what.
    pub(super) policy: Option<PathBuf>,
    tls: Option<TlsFiles>,
    #[serde(default, rename = "token")]
    tokens: Vec<TokenLine>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TlsFiles {
    certificate: PathBuf,
    key: PathBuf,
    client_ca: Option<PathBuf>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenLine {
    name: String,
    subject: String,
    sha256: String,
}

impl Config {
    /// Reads the file.
    pub(super) fn read(path: &Path) -> Result<Self, Failure> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| Failure::file("reading", path, &error))?;
        toml::from_str(&text).map_err(|error| {
            // First where, then the lines there and what is wrong with them.
            let shown = error.to_string();
            let mut lines = shown.trim_end().lines();
            let first = lines.next().unwrap_or_default();
            let place: Vec<_> = lines.map(escape).collect();
            Failure::usage(format!("{}: {first}", path.display())).at_place(place.join("\n"))
        })
    }

    /// The certificates.
    pub(super) fn tls(&self) -> Result<Option<Tls>, Failure> {
        let read = |path: &Path| {
            std::fs::read(path).map_err(|error| Failure::file("reading", path, &error))
        };
        let Some(files) = &self.tls else {
            return Ok(None);
        };
        Ok(Some(Tls {
            certificate: read(&files.certificate)?,
            key: read(&files.key)?,
            client_authorities: files.client_ca.as_deref().map(read).transpose()?,
        }))
    }

    /// How senders are authenticated, and what each may do.
    pub(super) fn authentication(&self, policy: &PolicyFile) -> Result<Authentication, Failure> {
        let tokens = self.tokens.iter().map(|line| {
            let sha256 = hex::decode(&line.sha256)
                .and_then(|digest| digest.try_into().ok())
                .ok_or_else(|| {
                    let expected =
                        "sha256 needs 64 hexadecimal digits, as `graven token` prints them";
                    Failure::usage(format!("token {}: {expected}", line.name))
                })?;
            Ok(Token {
                name: line.name.clone(),
                subject: line.subject.clone(),
                sha256,
            })
        });
        Authentication::required(tokens.collect::<Result<_, Failure>>()?, policy.subscribe())
            .map_err(|error| Failure::usage(error.to_string()))
    }

    /// Whether anybody can get in.
    pub(super) fn admits_somebody(&self) -> bool {
        !self.tokens.is_empty() || self.tls.as_ref().is_some_and(|tls| tls.client_ca.is_some())
    }
}
