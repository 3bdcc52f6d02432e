//! Times as people type them: RFC 3339, a date, `-7d`, `yesterday`, `yesterday 14:00`. UTC unless an offset says otherwise.

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::failure::Failure;

/// The time that `text` means when it is `now`, in nanoseconds since 1970, UTC.
pub(super) fn parse(flag: &str, text: &str, now: Timestamp) -> Result<u64, Failure> {
    let time = timestamp(text.trim(), now).ok_or_else(|| {
        Failure::usage(format!(
            "--{flag} {text}: expected a time such as 2024-06-20T14:00:00Z, 2024-06-20, -7d or \
             \"yesterday 14:00\""
        ))
    })?;
    u64::try_from(time.as_nanosecond())
        .map_err(|_| Failure::usage(format!("--{flag} {text}: nothing was recorded before 1970")))
}

fn timestamp(text: &str, now: Timestamp) -> Option<Timestamp> {
    if let Some(ago) = text.strip_prefix('-').or_else(|| text.strip_suffix(" ago")) {
        return now.checked_sub(duration(ago.trim())?).ok();
    }
    if text == "now" {
        return Some(now);
    }
    if let Ok(time) = text.parse::<Timestamp>() {
        return Some(time);
    }
    let utc = |time: DateTime| TimeZone::UTC.to_timestamp(time).ok();
    if let Ok(time) = text.parse::<DateTime>() {
        return utc(time);
    }
    let (day, time) = match text.split_once(' ') {
        Some((day, time)) => (day, time.parse::<Time>().ok()?),
        None => (text, Time::midnight()),
    };
    let today = TimeZone::UTC.to_datetime(now).date();
    let date: Date = match day {
        "today" => today,
        "yesterday" => today.yesterday().ok()?,
        day => day.parse().ok()?,
    };
    utc(date.to_datetime(time))
}

/// `90s`, `15m`, `2h`, `7d`, `3w`.
pub(super) fn duration(text: &str) -> Option<SignedDuration> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let number: i64 = number.parse().ok()?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        "w" => 7 * 86_400,
        _ => return None,
    };
    Some(SignedDuration::from_secs(number.checked_mul(seconds)?))
}
