//! Who may do what. Nothing is allowed unless a grant allows it.
//!
//! A [`Policy`] gives roles to identities, a [rule](rules) says which roles a call takes, and the bounds of a grant say
//! which events its holder may send, or which entries it may read. All of it is plain data: what the door and the
//! handlers ask here does no I/O.

mod bounds;
mod policy;
mod rules;

use std::fmt;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

pub use bounds::{Patterns, ReaderBounds, WriterBounds};
pub(super) use bounds::{Scope, check_event};
pub use policy::{Grant, Policy, PolicyError};
pub use rules::{Rule, allowed, methods, rule};

/// What an identity is to a ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Appends events, and sees no more of the ledger than the receipts for them take.
    Writer,
    /// Reads entries.
    Reader,
    /// Reads everything, without bounds.
    Auditor,
    /// Runs the ledger, and reads no entries.
    Operator,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Writer, Self::Reader, Self::Auditor, Self::Operator];

    /// Its name in a policy.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Writer => "writer",
            Self::Reader => "reader",
            Self::Auditor => "auditor",
            Self::Operator => "operator",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A role within its bounds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Permission {
    /// May append what lies within these bounds.
    Writer(WriterBounds),
    /// May read what lies within these bounds.
    Reader(ReaderBounds),
    /// May read everything.
    Auditor,
    /// May run the ledger.
    Operator,
}

impl Permission {
    /// The role.
    pub fn role(&self) -> Role {
        match self {
            Self::Writer(_) => Role::Writer,
            Self::Reader(_) => Role::Reader,
            Self::Auditor => Role::Auditor,
            Self::Operator => Role::Operator,
        }
    }
}

/// What one identity may do: all that any of its grants allows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Access {
    permissions: Vec<Permission>,
}

impl Access {
    /// Every role, without bounds.
    pub fn everything() -> Self {
        Self {
            permissions: vec![
                Permission::Writer(WriterBounds::default()),
                Permission::Reader(ReaderBounds::default()),
                Permission::Auditor,
                Permission::Operator,
            ],
        }
    }

    /// Whether one of its roles makes the call at `path` (`/package.Service/Method`).
    pub fn may_call(&self, path: &str) -> bool {
        self.permissions
            .iter()
            .any(|permission| allowed(permission.role(), path))
    }

    /// What it may append within; none for nobody but a writer.
    fn writers(&self) -> impl Iterator<Item = &WriterBounds> {
        self.permissions
            .iter()
            .filter_map(|permission| match permission {
                Permission::Writer(bounds) => Some(bounds),
                _ => None,
            })
    }

    /// What it may read.
    pub(super) fn scope(&self) -> Scope {
        let mut within = Vec::new();
        for permission in &self.permissions {
            match permission {
                Permission::Auditor => return Scope::Everything,
                Permission::Reader(bounds) if bounds.is_unbounded() => return Scope::Everything,
                Permission::Reader(bounds) => within.push(bounds.clone()),
                Permission::Writer(_) | Permission::Operator => {}
            }
        }
        Scope::Within(within)
    }
}

/// The refusal of a call that takes one of `roles`.
pub(super) fn role_missing(roles: &[Role], subject: &str) -> Status {
    let names: Vec<&str> = roles.iter().map(|role| role.name()).collect();
    let message = format!("{subject} has not the role {}", names.join(" or "));
    denied("ROLE_MISSING", message, &[("role", &names.join(","))])
}

/// The refusal of what lies outside of the bounds of a role.
pub(super) fn out_of_bounds(role: Role, bound: &str, message: impl Into<String>) -> Status {
    denied(
        "OUT_OF_BOUNDS",
        message.into(),
        &[("role", role.name()), ("bound", bound)],
    )
}

fn denied(reason: &str, message: String, facts: &[(&str, &str)]) -> Status {
    let facts = facts.iter().map(|(key, value)| {
        let pair: (String, String) = ((*key).into(), (*value).into());
        pair
    });
    let details = ErrorDetails::with_error_info(
        reason,
        "graven",
        facts.collect::<std::collections::HashMap<_, _>>(),
    );
    Status::with_error_details(Code::PermissionDenied, message, details)
}
