//! Ledger errors as gRPC statuses, by what the caller can do about them.
//!
//! Texts name fields and limits, never paths, keys or payloads: what an operator needs goes to the log.

use std::collections::HashMap;
use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::entry::Invalid;
use crate::ledger::{Existing, LedgerError};

const DOMAIN: &str = "graven";
const RETRY_OVERLOAD: Duration = Duration::from_millis(200);
const RETRY_FULL: Duration = Duration::from_secs(30);

/// The status for `error`.
pub(super) fn of(error: LedgerError) -> Status {
    let message = error.to_string();
    match error {
        LedgerError::Invalid { index, invalid } => invalid_event(index, &invalid),
        LedgerError::IdConflict { index, existing } => {
            let mut facts = HashMap::from([("index".to_string(), index.to_string())]);
            if let Existing::Entry(seq) = existing {
                facts.insert("seq".into(), seq.to_string());
            }
            let details = ErrorDetails::with_error_info("ID_HAS_OTHER_CONTENT", DOMAIN, facts);
            Status::with_error_details(Code::AlreadyExists, message, details)
        }
        LedgerError::BeyondEnd { size, .. } => {
            let facts = HashMap::from([("size".to_string(), size.to_string())]);
            let details = ErrorDetails::with_error_info("BEYOND_END", DOMAIN, facts);
            Status::with_error_details(Code::OutOfRange, message, details)
        }
        LedgerError::BadRange(_) => Status::invalid_argument(message),
        LedgerError::Overloaded { .. } => retry(Code::ResourceExhausted, message, RETRY_OVERLOAD),
        LedgerError::Full { .. } => retry(Code::ResourceExhausted, message, RETRY_FULL),
        LedgerError::ClockJump { .. } => retry(Code::Unavailable, message, RETRY_FULL),
        LedgerError::Stopped(reason) => {
            tracing::error!(%reason, "the ledger has stopped");
            Status::unavailable(
                "the ledger has stopped; whether the event was sealed is not known: \
                 retry with the same idempotency id",
            )
        }
        LedgerError::Damaged(damage) => {
            tracing::error!(%damage, "a read met damage");
            Status::data_loss(message)
        }
        LedgerError::Store(error) => {
            tracing::error!(%error, "the store failed");
            Status::data_loss("the store could not be read; the log of the server says more")
        }
        LedgerError::BadOrder { field, ref rule } => bad_request(field, rule),
        LedgerError::Erased { seq } => {
            let facts = HashMap::from([("seq".to_string(), seq.to_string())]);
            let details = ErrorDetails::with_error_info("ENTRY_ERASED", DOMAIN, facts);
            Status::with_error_details(Code::FailedPrecondition, message, details)
        }
        LedgerError::AlreadyErased { seq, by } => {
            let facts = HashMap::from([
                ("seq".to_string(), seq.to_string()),
                ("erasure_seq".to_string(), by.to_string()),
            ]);
            let details = ErrorDetails::with_error_info("ALREADY_ERASED", DOMAIN, facts);
            Status::with_error_details(Code::FailedPrecondition, message, details)
        }
        LedgerError::PartlyErased { seq, error } => {
            let rest = of(*error);
            let message = format!(
                "erased is what entry {seq} says, and not the rest of the order: give it again ({})",
                rest.message()
            );
            Status::new(rest.code(), message)
        }
        LedgerError::Held { seq, hold } => {
            let facts = HashMap::from([
                ("seq".to_string(), seq.to_string()),
                ("hold".to_string(), hold),
            ]);
            let details = ErrorDetails::with_error_info("UNDER_HOLD", DOMAIN, facts);
            Status::with_error_details(Code::FailedPrecondition, message, details)
        }
        LedgerError::HoldExists { .. } => Status::already_exists(message),
        LedgerError::NoSuchHold { .. } => Status::not_found(message),
        LedgerError::Unfinished { seq, error } => {
            tracing::error!(%error, seq, "an erasure was not carried out");
            Status::internal(format!(
                "entry {seq} says what is erased, and the bytes are not all gone yet: the next start of the ledger, \
                 or another order, goes on with it"
            ))
        }
        LedgerError::Refused(refusal) => Status::failed_precondition(refusal.to_string()),
    }
}

impl From<LedgerError> for Status {
    fn from(error: LedgerError) -> Self {
        of(error)
    }
}

/// The status for the event `index` of a request that breaks a rule.
pub(super) fn invalid_event(index: usize, invalid: &Invalid) -> Status {
    let field = format!("events[{index}].{}", invalid.field);
    let details = ErrorDetails::with_bad_request_violation(field, invalid.problem.to_string());
    let message = format!("event {index}: {invalid}");
    Status::with_error_details(Code::InvalidArgument, message, details)
}

/// The status for a field of a request that breaks a rule.
pub(super) fn bad_request(field: &str, rule: &str) -> Status {
    let details = ErrorDetails::with_bad_request_violation(field, rule);
    let message = format!("{field} {rule}");
    Status::with_error_details(Code::InvalidArgument, message, details)
}

/// The status for what may work after `delay`.
pub(super) fn retry(code: Code, message: String, delay: Duration) -> Status {
    Status::with_error_details(code, message, ErrorDetails::with_retry_info(Some(delay)))
}
