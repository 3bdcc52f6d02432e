//! Numbers and hashes as these formats write them.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use crate::merkle::Hash;

/// A decimal number with no sign and no leading zero, as its digits are the only ones it has.
pub(super) fn parse_decimal(text: &str) -> Option<u64> {
    let number: u64 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

/// Standard base64 (RFC 4648 §4), padded, unused bits zero.
pub(super) fn parse_base64(text: &str) -> Option<Vec<u8>> {
    BASE64_STANDARD.decode(text).ok()
}

pub(super) fn parse_hash(text: &str) -> Option<Hash> {
    parse_base64(text)?.try_into().ok()
}

pub(super) fn base64(bytes: &[u8]) -> String {
    BASE64_STANDARD.encode(bytes)
}
