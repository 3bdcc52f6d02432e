//! The server's configuration: a TOML file, under environment and flags.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use super::failure::Failure;
use crate::entry::hex;
use crate::service::jwt::{Expected, FetchedKeys, KeySet, KeysUrl, Schedule};
use crate::service::{Authentication, Issuer, Limits, PolicyFile, TlsFiles, Token, Watched};

/// Keys are not fetched more often, so that nobody's server is a burden to a provider, nor more seldom.
const REFRESH_SECONDS: RangeInclusive<u32> = 30..=86_400;
/// A week.
const MAX_KEEP_SECONDS: u32 = 604_800;

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
    /// The file with the signing key's passphrase.
    pub(super) key_passphrase_file: Option<PathBuf>,
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
    #[serde(default)]
    client_crl: Vec<PathBuf>,
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
    keys: Option<PathBuf>,
    keys_url: Option<String>,
    keys_url_ca: Option<PathBuf>,
    keys_refresh_seconds: Option<u32>,
    keys_keep_seconds: Option<u32>,
    namespace: String,
    #[serde(default = "default_subject")]
    subject: String,
    max_lifetime_seconds: Option<u32>,
}

fn default_subject() -> String {
    "sub".into()
}

/// How senders are authenticated, and where the keys come from that it takes.
pub(super) struct Identities {
    pub(super) authentication: Authentication,
    pub(super) keys: Vec<Keys>,
}

/// The keys of an issuer.
pub(super) enum Keys {
    File(Watched<KeySet>),
    Url(Box<FetchedKeys>),
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
            Failure::of_lines(&format!("{}: {error}", path.display()))
        })?;
        Ok(Self { table, ..config })
    }

    /// The certificates.
    pub(super) fn tls(&self) -> Result<Option<TlsFiles>, Failure> {
        let Some(files) = &self.tls else {
            return Ok(None);
        };
        let client_ca = files.client_ca.as_deref();
        if client_ca.is_none() && !files.client_crl.is_empty() {
            return Err(Failure::usage(
                "tls: client_crl lists certificates of the authorities in client_ca, which is missing",
            ));
        }
        Ok(Some(TlsFiles::open(
            &files.certificate,
            &files.key,
            client_ca,
            &files.client_crl,
        )?))
    }

    /// The files that list revoked client certificates.
    pub(super) fn client_crl(&self) -> &[PathBuf] {
        self.tls.as_ref().map_or(&[], |files| &files.client_crl)
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
            let (kept, issuer) = line.read()?;
            keys.push(kept);
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
    fn read(&self) -> Result<(Keys, Issuer), Failure> {
        let keys = self.keys()?;
        let expected = Expected {
            issuer: self.issuer.clone(),
            audience: self.audience.clone(),
            subject_claim: self.subject.clone(),
        };
        let current = match &keys {
            Keys::File(file) => file.subscribe(),
            Keys::Url(fetched) => fetched.subscribe(),
        };
        let issuer = Issuer::new(expected, &self.namespace, current).map_err(Failure::usage)?;
        let issuer = match &keys {
            Keys::File(_) => issuer,
            Keys::Url(fetched) => issuer.fetching(fetched.status()),
        };
        let issuer = match self.max_lifetime_seconds {
            Some(seconds) => issuer.max_lifetime(Duration::from_secs(seconds.into())),
            None => issuer,
        };
        Ok((keys, issuer))
    }

    fn keys(&self) -> Result<Keys, Failure> {
        let wrong = |problem: &str| Failure::usage(format!("jwt: {}: {problem}", self.issuer));
        match (&self.keys, &self.keys_url) {
            (Some(path), None) => {
                if path.as_os_str().to_string_lossy().contains("://") {
                    return Err(wrong("keys names a file; a URL goes to keys_url"));
                }
                let of_url = [
                    ("keys_url_ca", self.keys_url_ca.is_some()),
                    ("keys_refresh_seconds", self.keys_refresh_seconds.is_some()),
                    ("keys_keep_seconds", self.keys_keep_seconds.is_some()),
                ];
                if let Some((name, _)) = of_url.iter().find(|(_, given)| *given) {
                    return Err(wrong(&format!("{name} goes with keys_url, not with keys")));
                }
                let parse = |contents: &[Vec<u8>]| {
                    let text = contents.first().map_or(&[][..], Vec::as_slice);
                    KeySet::parse(text).map_err(|error| error.to_string())
                };
                let file = Watched::open("a file of keys", vec![path.clone()], parse)?;
                Ok(Keys::File(file))
            }
            (None, Some(url)) => {
                let url = KeysUrl::new(url, self.keys_url_ca.as_deref()).map_err(|e| wrong(&e))?;
                let schedule = self.schedule().map_err(|problem| wrong(&problem))?;
                let fetched = FetchedKeys::new(&self.issuer, url, schedule);
                Ok(Keys::Url(Box::new(fetched)))
            }
            _ => Err(wrong(
                "it needs one of keys, a file, and keys_url, an https URL, and not both",
            )),
        }
    }

    fn schedule(&self) -> Result<Schedule, String> {
        let mut schedule = Schedule::default();
        if let Some(seconds) = self.keys_refresh_seconds {
            if !REFRESH_SECONDS.contains(&seconds) {
                let (least, most) = REFRESH_SECONDS.into_inner();
                return Err(format!(
                    "keys_refresh_seconds has to be between {least} and {most}"
                ));
            }
            schedule.refresh = Duration::from_secs(seconds.into());
        }
        let keep = self.keys_keep_seconds;
        schedule.keep = keep.map_or(schedule.keep, |seconds| Duration::from_secs(seconds.into()));
        let most = Duration::from_secs(MAX_KEEP_SECONDS.into());
        if schedule.keep < schedule.refresh || schedule.keep > most {
            return Err(format!(
                "keys_keep_seconds has to be at least keys_refresh_seconds and at most {MAX_KEEP_SECONDS}"
            ));
        }
        Ok(schedule)
    }
}
