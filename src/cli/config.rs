//! The server's configuration: a TOML file, under environment and flags.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use super::failure::Failure;
use super::render::escape;
use crate::entry::hex;
use crate::service::jwt::{Expected, KeySet};
use crate::service::{Authentication, Issuer, Limits, PolicyFile, TlsFiles, Token, Watched};

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
    /// Address and port for operators; without it nothing can be erased.
    pub(super) admin_listen: Option<String>,
    /// An existing directory for the backups that operators order.
    pub(super) backup_dir: Option<PathBuf>,
    /// Address and port of `/metrics`, `/livez` and `/readyz`.
    pub(super) metrics_listen: Option<String>,
    /// The ledger's name, compared with its genesis.
    pub(super) origin: Option<String>,
    /// The signing key's file.
    pub(super) key: Option<PathBuf>,
    /// Signed checkpoints that somebody outside keeps: the ledger has to extend each of them.
    #[serde(default)]
    pub(super) known_checkpoints: Vec<PathBuf>,
    /// Who may do what.
    pub(super) policy: Option<PathBuf>,
    /// Rules that keep secrets out of what is sealed, beside those that come with the program.
    pub(super) redaction: Option<PathBuf>,
    /// Whether every act of reading is recorded, in a ledger of its own.
    #[serde(default)]
    pub(super) access_ledger: bool,
    /// Address and port at which auditors read that ledger.
    pub(super) access_listen: Option<String>,
    /// How much each identity, and all together, may take.
    #[serde(default)]
    pub(super) limits: Limits,
    tls: Option<TlsLines>,
    #[serde(default, rename = "token")]
    tokens: Vec<TokenLine>,
    #[serde(default, rename = "jwt")]
    issuers: Vec<IssuerLine>,
    /// All of it, as it stands in the file.
    #[serde(skip)]
    pub(super) table: toml::Table,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TlsLines {
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

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct IssuerLine {
    issuer: String,
    audience: String,
    keys: PathBuf,
    namespace: String,
    #[serde(default = "default_subject")]
    subject: String,
    max_lifetime_seconds: Option<u32>,
}

fn default_subject() -> String {
    "sub".into()
}

/// How senders are authenticated, and the files of keys that it takes.
pub(super) struct Identities {
    pub(super) authentication: Authentication,
    pub(super) keys: Vec<Watched<KeySet>>,
}

impl Config {
    /// Reads the file.
    pub(super) fn read(path: &Path) -> Result<Self, Failure> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| Failure::file("reading", path, &error))?;
        let table = toml::from_str(&text).unwrap_or_default();
        let config: Result<Self, _> = toml::from_str(&text);
        let config = config.map_err(|error| {
            // First where, then the lines there and what is wrong with them.
            let shown = error.to_string();
            let mut lines = shown.trim_end().lines();
            let first = lines.next().unwrap_or_default();
            let place: Vec<_> = lines.map(escape).collect();
            Failure::usage(format!("{}: {first}", path.display())).at_place(place.join("\n"))
        })?;
        Ok(Self { table, ..config })
    }

    /// The certificates.
    pub(super) fn tls(&self) -> Result<Option<TlsFiles>, Failure> {
        let Some(files) = &self.tls else {
            return Ok(None);
        };
        let client_ca = files.client_ca.as_deref();
        Ok(Some(TlsFiles::open(
            &files.certificate,
            &files.key,
            client_ca,
        )?))
    }

    /// The files of the server's certificate and of its key.
    pub(super) fn tls_paths(&self) -> Option<(&Path, &Path)> {
        let files = self.tls.as_ref()?;
        Some((&files.certificate, &files.key))
    }

    /// How senders are authenticated, and what each may do.
    pub(super) fn identities(&self, policy: &PolicyFile) -> Result<Identities, Failure> {
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
        let tokens = tokens.collect::<Result<_, Failure>>()?;
        let mut keys = Vec::new();
        let mut issuers = Vec::new();
        for line in &self.issuers {
            let (file, issuer) = line.read()?;
            keys.push(file);
            issuers.push(issuer);
        }
        let authentication = Authentication::required(tokens, issuers, policy.subscribe())
            .map_err(|error| Failure::usage(error.to_string()))?;
        Ok(Identities {
            authentication,
            keys,
        })
    }

    /// Whether anybody can get in.
    pub(super) fn admits_somebody(&self) -> bool {
        !self.tokens.is_empty()
            || !self.issuers.is_empty()
            || self.tls.as_ref().is_some_and(|tls| tls.client_ca.is_some())
    }
}

impl IssuerLine {
    fn read(&self) -> Result<(Watched<KeySet>, Issuer), Failure> {
        if self.keys.as_os_str().to_string_lossy().contains("://") {
            return Err(Failure::usage(format!(
                "jwt: {}: keys are read from a file: let another program fetch the URL, and name \
                 its file",
                self.issuer
            )));
        }
        let parse = |contents: &[Vec<u8>]| {
            let text = contents.first().map_or(&[][..], Vec::as_slice);
            KeySet::parse(text).map_err(|error| error.to_string())
        };
        let file = Watched::open("a file of keys", vec![self.keys.clone()], parse)?;
        let expected = Expected {
            issuer: self.issuer.clone(),
            audience: self.audience.clone(),
            subject_claim: self.subject.clone(),
        };
        let issuer =
            Issuer::new(expected, &self.namespace, file.subscribe()).map_err(Failure::usage)?;
        let issuer = match self.max_lifetime_seconds {
            Some(seconds) => issuer.max_lifetime(Duration::from_secs(seconds.into())),
            None => issuer,
        };
        Ok((file, issuer))
    }
}
