//! How a command ends when it does not end well.
//!
//! Exit codes, everywhere: 0 done · 2 wrong usage · 3 tampered or damaged · 4 server not reached · 5 could not check ·
//! 6 some entries could not be judged · 1 anything else, or no match where that was asked about.

use std::error::Error;
use std::fmt::{self, Display, Formatter};
use std::io;
use std::process::ExitCode;

use tonic::{Code, Status};
use tonic_types::StatusExt;

use super::connect::innermost;
use super::render::escape;
use crate::ledger::{LedgerError, Refusal};
use crate::service::FileError;
use crate::store::StoreError;
use crate::verify::{Finding, Verdict};

/// Why a command failed, with its exit code.
#[derive(Debug)]
pub(super) struct Failure {
    code: u8,
    message: String,
    /// Lines that show the place, safe to print.
    place: Option<String>,
    /// What the server refused the call with.
    refused_with: Option<Code>,
}

impl Failure {
    fn with(code: u8, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            place: None,
            refused_with: None,
        }
    }

    /// Whether the server does not let the caller do this.
    pub(super) fn is_denied(&self) -> bool {
        self.refused_with == Some(Code::PermissionDenied)
    }

    /// What the server, or the connection to it, refused the call with; none if the call was not refused.
    pub(super) fn refused_with(&self) -> Option<Code> {
        self.refused_with
    }

    /// Anything that has no code of its own.
    pub(super) fn other(message: impl Into<String>) -> Self {
        Self::with(1, message)
    }

    /// The command was called in a way that it does not understand.
    pub(super) fn usage(message: impl Into<String>) -> Self {
        Self::with(2, message)
    }

    /// What was found is not what was sealed.
    pub(super) fn tampered(message: impl Into<String>) -> Self {
        Self::with(3, message)
    }

    /// Wrong usage that is told in several lines: first what, then the place.
    pub(super) fn of_lines(told: &str) -> Self {
        let mut lines = told.trim_end().lines();
        let first = lines.next().unwrap_or_default();
        let place: Vec<_> = lines.map(escape).collect();
        let failure = Self::usage(first);
        if place.is_empty() {
            return failure;
        }
        failure.at_place(place.join("\n"))
    }

    /// The server cannot be reached.
    pub(super) fn unreached(message: impl Into<String>) -> Self {
        Self::with(4, message)
    }

    /// Whether the server cannot be reached.
    pub(super) fn is_unreached(&self) -> bool {
        self.code == 4
    }

    /// It could not be checked.
    pub(super) fn unchecked(message: impl Into<String>) -> Self {
        Self::with(5, message)
    }

    /// What a server or a file says is not proved: it is wrong, or it cannot be told.
    pub(super) fn unproved(what: &str, finding: Finding) -> Self {
        match finding.verdict() {
            Verdict::Tampered(finding) => Self::tampered(format!("{what}: {finding}")),
            verdict => Self::unchecked(format!("{what}: {verdict}")),
        }
    }

    /// A file cannot be read or written.
    pub(super) fn file(what: &str, path: &std::path::Path, error: &io::Error) -> Self {
        Self::other(format!("{what} {}: {error}", path.display()))
    }

    /// The same, with lines that show the place. They must be safe to print.
    pub(super) fn at_place(self, place: String) -> Self {
        Self {
            place: Some(place),
            ..self
        }
    }

    /// The same, about a line of the input.
    pub(super) fn in_line(self, line: u64) -> Self {
        Self {
            message: format!("line {line}: {}", self.message),
            ..self
        }
    }

    /// What happened, in words that are not safe to print yet.
    pub(super) fn message(&self) -> String {
        self.message.clone()
    }

    /// Tells what happened. A reader that has gone away is no failure.
    pub(super) fn report(self) -> ExitCode {
        if self.code != 0 {
            anstream::eprintln!("graven: {}", escape(&self.message));
            if let Some(place) = &self.place {
                anstream::eprintln!("{place}");
            }
        }
        ExitCode::from(self.code)
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<io::Error> for Failure {
    /// An error of standard output.
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::with(0, ""),
            _ => Self::other(format!("writing the output: {error}")),
        }
    }
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        let message = status.message().to_string();
        let code = status.code();
        let failure = match code {
            // It did not come from the server.
            Code::Unknown | Code::Internal | Code::Unavailable if status.source().is_some() => {
                let cause = innermost(&status);
                Self::unreached(format!("the connection to the server failed: {cause}"))
            }
            Code::Unavailable => {
                Self::unreached(format!("the server cannot be reached: {message}"))
            }
            Code::DataLoss => Self::tampered(message),
            Code::DeadlineExceeded => Self::other(message),
            Code::InvalidArgument | Code::OutOfRange | Code::AlreadyExists => Self::usage(message),
            Code::Unauthenticated => {
                Self::other(format!("{message}; give one with --token or --tls-cert"))
            }
            Code::ResourceExhausted => match status.get_details_retry_info() {
                Some(retry) => {
                    let delay = retry.retry_delay.unwrap_or_default().as_millis();
                    Self::other(format!("{message} (retry after {delay} ms)"))
                }
                None => Self::other(message),
            },
            Code::PermissionDenied => {
                Self::other(format!("the server does not allow this: {message}"))
            }
            code => Self::other(format!("the server refused: {message} ({code})")),
        };
        Self {
            refused_with: Some(code),
            ..failure
        }
    }
}

impl From<FileError> for Failure {
    fn from(error: FileError) -> Self {
        match error {
            FileError::Read { .. } => Self::other(error.to_string()),
            FileError::Content { .. } => Self::of_lines(&error.to_string()),
        }
    }
}

impl From<LedgerError> for Failure {
    fn from(error: LedgerError) -> Self {
        let message = error.to_string();
        match error {
            LedgerError::Refused(Refusal::NotInitialised(_) | Refusal::AlreadyInitialised(_)) => {
                Self::usage(message)
            }
            LedgerError::Refused(Refusal::BadKnown { .. } | Refusal::UnknownIndex { .. }) => {
                Self::unchecked(message)
            }
            LedgerError::Refused(_)
            | LedgerError::Damaged(_)
            | LedgerError::Store(StoreError::Damaged { .. }) => Self::tampered(message),
            _ => Self::other(message),
        }
    }
}
