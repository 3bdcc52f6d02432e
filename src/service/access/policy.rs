//! The policy: which identity has which role, within what bounds.

use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::bounds::{Patterns, ReaderBounds, WriterBounds, matches};
use super::{Access, Permission, Role};
use crate::entry::{names, v1};

/// The largest policy, in bytes.
const MAX_POLICY_BYTES: usize = 1024 * 1024;

/// Who may do what. Whom no grant names may do nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    grants: Vec<Grant>,
    sha256: [u8; 32],
}

/// Gives a role to an identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The identity, or with `*` at its end every identity that begins so.
    pub identity: String,
    /// Who has to vouch for the identity: `token`, `mtls`, or an issuer's URL. None for anybody.
    pub issuer: Option<String>,
    /// What it may do.
    pub permission: Permission,
}

/// Why a policy cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// It is too large.
    #[error("the policy has more than {MAX_POLICY_BYTES} bytes")]
    TooLarge,
    /// It is not TOML, or has other fields.
    #[error("{0}")]
    Malformed(String),
    /// A grant says something that it cannot mean.
    #[error("grant {number}, to {identity}: {problem}")]
    Grant {
        /// Which grant, from 1.
        number: usize,
        /// To whom.
        identity: String,
        /// What is wrong with it.
        problem: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default, rename = "grant")]
    grants: Vec<Line>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    identity: String,
    issuer: Option<String>,
    role: Role,
    sources: Option<Patterns>,
    actions: Option<Patterns>,
    targets: Option<Patterns>,
    actors: Option<Patterns>,
}

impl Policy {
    /// Reads a policy, a TOML text.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        if text.len() > MAX_POLICY_BYTES {
            return Err(PolicyError::TooLarge);
        }
        let file: File =
            toml::from_str(text).map_err(|error| PolicyError::Malformed(error.to_string()))?;
        let grants = file.grants.into_iter().enumerate();
        let grants = grants.map(|(index, line)| {
            let identity = line.identity.clone();
            line.into_grant().map_err(|problem| PolicyError::Grant {
                number: index + 1,
                identity,
                problem,
            })
        });
        Ok(Self {
            grants: grants.collect::<Result<_, _>>()?,
            sha256: Sha256::digest(text).into(),
        })
    }

    /// Its grants, in the order of the text.
    pub fn grants(&self) -> &[Grant] {
        &self.grants
    }

    /// SHA-256 of the text.
    pub fn sha256(&self) -> [u8; 32] {
        self.sha256
    }

    /// Only those grants that make somebody an auditor.
    #[must_use]
    pub fn for_auditors(&self) -> Self {
        let auditors = self
            .grants
            .iter()
            .filter(|grant| grant.permission.role() == Role::Auditor);
        Self {
            grants: auditors.cloned().collect(),
            sha256: self.sha256,
        }
    }

    /// What a submitter may do.
    pub fn access(&self, submitter: &v1::Submitter) -> Access {
        let grants = self.grants.iter().filter(|grant| grant.is_for(submitter));
        Access {
            permissions: grants.map(|grant| grant.permission.clone()).collect(),
        }
    }
}

impl Grant {
    /// Whether it is for this identity, if the right one vouches for it.
    pub fn names(&self, identity: &str) -> bool {
        matches(&self.identity, identity)
    }

    fn is_for(&self, submitter: &v1::Submitter) -> bool {
        let vouched = |issuer: &String| *issuer == submitter.issuer;
        self.names(&submitter.subject) && self.issuer.as_ref().is_none_or(vouched)
    }
}

impl Line {
    fn into_grant(self) -> Result<Grant, String> {
        match self.identity.strip_suffix('*') {
            Some(prefix) if prefix.contains('*') => {
                return Err("`*` stands at the end alone".into());
            }
            Some(_) => {}
            None => names::check_identity(&self.identity)?,
        }
        if self.issuer.as_ref().is_some_and(String::is_empty) {
            return Err("the issuer is empty: leave it out for any".into());
        }
        let takes_no = |bound: &str, given: bool| {
            let message = format!("`{bound}` is no bound of the role {}", self.role);
            if given { Err(message) } else { Ok(()) }
        };
        if self.role != Role::Writer {
            takes_no("actions", self.actions.is_some())?;
            takes_no("actors", self.actors.is_some())?;
        }
        if matches!(self.role, Role::Auditor | Role::Operator) {
            takes_no("sources", self.sources.is_some())?;
            takes_no("targets", self.targets.is_some())?;
        }
        let Self {
            sources,
            actions,
            targets,
            actors,
            ..
        } = self;
        let permission = match self.role {
            Role::Writer => Permission::Writer(WriterBounds {
                sources,
                actions,
                targets,
                actors,
            }),
            Role::Reader => Permission::Reader(ReaderBounds { targets, sources }),
            Role::Auditor => Permission::Auditor,
            Role::Operator => Permission::Operator,
        };
        Ok(Grant {
            identity: self.identity,
            issuer: self.issuer,
            permission,
        })
    }
}
