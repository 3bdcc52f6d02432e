//! Times: RFC 3339 as text, nanoseconds since 1970 as a number.

use jiff::Timestamp;

use super::JsonError;
use super::object::Value;

/// Reads a time with its offset.
pub(super) fn read(value: &Value<'_>) -> Result<i64, JsonError> {
    const EXPECTED: &str =
        "an RFC 3339 time with an offset, such as \"2026-03-01T14:02:11.5+01:00\"";
    if !value.is_text() {
        return Err(value.expected(EXPECTED));
    }
    let text = value.text()?;
    let time: Timestamp = text
        .parse()
        .map_err(|_| value.problem(format!("{text:?} is not {EXPECTED}")))?;
    i64::try_from(time.as_nanosecond())
        .map_err(|_| value.problem(format!("{text:?} is out of range")))
}

/// The time in UTC, with as many digits after the second as it needs. None outside the years -9999 to 9999.
pub(crate) fn write(nanoseconds: impl Into<i128>) -> Option<String> {
    let time = Timestamp::from_nanosecond(nanoseconds.into()).ok()?;
    Some(time.to_string())
}
