//! Bytes as text: one spelling each, any other is refused.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

/// Standard base64 (RFC 4648 §4), padded.
pub(super) fn base64(bytes: &[u8]) -> String {
    BASE64_STANDARD.encode(bytes)
}

/// Reads what [`base64`] gives.
pub(super) fn parse_base64(text: &str) -> Option<Vec<u8>> {
    BASE64_STANDARD.decode(text).ok()
}
