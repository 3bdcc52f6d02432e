//! Counts calls, by method and by how they were answered.

use std::sync::atomic::{AtomicU64, Ordering};

use tonic::codegen::http;

use super::access::methods;

/// Codes of gRPC, 0 to 16, in words as they are written in labels.
const CODES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];
const UNKNOWN: usize = 2;
/// What stands for every path that is no method: a label that callers choose would have no bound.
const OTHER: &str = "other";

/// Calls since the start.
#[derive(Debug)]
pub(super) struct Requests {
    /// A row for each method and one for what is none, of a counter for each code.
    counters: Vec<[AtomicU64; CODES.len()]>,
}

impl Default for Requests {
    fn default() -> Self {
        let rows = methods().map(|_| Default::default());
        let other = std::iter::once_with(Default::default);
        Self {
            counters: rows.chain(other).collect(),
        }
    }
}

impl Requests {
    /// The row of the call at `path`.
    pub(super) fn row(path: &str) -> usize {
        let found = methods().position(|method| method == path);
        found.unwrap_or_else(|| methods().count())
    }

    /// Counts an answer as it begins: of a stream that fails later, that it began.
    pub(super) fn count<B>(&self, row: usize, answer: &http::Response<B>) {
        let status = answer.headers().get("grpc-status");
        let code = match status.map(http::HeaderValue::to_str) {
            // It comes behind the messages, which there are.
            None => 0,
            Some(code) => code
                .ok()
                .and_then(|code| code.parse::<usize>().ok())
                .filter(|code| *code < CODES.len())
                .unwrap_or(UNKNOWN),
        };
        let counter = self.counters.get(row).and_then(|row| row.get(code));
        if let Some(counter) = counter {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Method, code and count of what there was.
    pub(super) fn counts(&self) -> Vec<(&'static str, &'static str, u64)> {
        let names = methods().map(|path| path.trim_start_matches('/'));
        let rows = names.chain(std::iter::once(OTHER)).zip(&self.counters);
        rows.flat_map(|(method, row)| {
            CODES
                .iter()
                .zip(row)
                .map(move |(code, count)| (method, *code, count.load(Ordering::Relaxed)))
        })
        .filter(|(_, _, count)| *count > 0)
        .collect()
    }
}
