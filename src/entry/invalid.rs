//! What is wrong with bytes that should be an event or a part.

use std::fmt;

use super::ssh_signature::SshProblem;

/// A field that breaks a rule, and the rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid {
    /// Path from the outermost message, such as `what.targets[3].uri`.
    pub field: String,
    /// The rule it breaks.
    pub problem: Problem,
}

/// A rule that a field breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// A required field is missing.
    #[error("is required")]
    Required,
    /// The value is longer than the limit.
    #[error("has {actual} bytes, at most {limit} are allowed")]
    TooLong {
        /// Its length in bytes.
        actual: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// The list is longer than the limit.
    #[error("has more than {limit} items")]
    TooMany {
        /// The limit in items.
        limit: u32,
    },
    /// The text is not UTF-8.
    #[error("is not valid UTF-8")]
    NotUtf8,
    /// The enumeration has no such value.
    #[error("has the unknown value {0}")]
    UnknownValue(u64),
    /// The number does not fit its type or range.
    #[error("is out of range")]
    OutOfRange,
    /// The message has no field of this number.
    #[error("has an unknown field, number {0}")]
    UnknownField(u32),
    /// Only the ledger sets this field.
    #[error("is set by the ledger alone")]
    Reserved,
    /// Only some actions have this field.
    #[error("is only for {0}")]
    OnlyFor(&'static str),
    /// The time comes before another that it cannot come before.
    #[error("is before {0}")]
    Before(&'static str),
    /// The bytes are not the canonical encoding of the message.
    #[error("is not canonically encoded: {0}")]
    NotCanonical(&'static str),
    /// The text does not have the form that `docs/naming.md` gives for it.
    #[error("{0}")]
    BadName(String),
    /// A rule for secrets matches where nothing is put out of an event: the sender has to do it.
    #[error(
        "holds what the rule {rule:?} keeps out of the ledger, and {why}: take it out before sending"
    )]
    Secret {
        /// The rule.
        rule: String,
        /// Why the ledger does not.
        why: &'static str,
    },
    /// The signature does not verify.
    #[error("is not a valid signature of these parts")]
    BadSignature,
    /// The SSH signature does not have the form that counts, or does not verify.
    #[error(transparent)]
    Ssh(#[from] SshProblem),
}

impl Invalid {
    /// `field` breaks the rule `problem`.
    pub fn new(field: impl Into<String>, problem: Problem) -> Self {
        Self {
            field: field.into(),
            problem,
        }
    }

    /// The rule for secrets that matched, if that is what is wrong.
    pub fn rule(&self) -> Option<&str> {
        match &self.problem {
            Problem::Secret { rule, .. } => Some(rule),
            _ => None,
        }
    }

    /// The same, with the path seen from the message that holds `outer`.
    pub(crate) fn inside(mut self, outer: &str) -> Self {
        self.field = match self.field.as_str() {
            "" => outer.to_string(),
            inner => format!("{outer}.{inner}"),
        };
        self
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let field = if self.field.is_empty() {
            "the message"
        } else {
            &self.field
        };
        write!(f, "{field} {}", self.problem)
    }
}

impl std::error::Error for Invalid {}
