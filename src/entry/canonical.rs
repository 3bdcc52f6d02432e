//! Checks that bytes are the canonical encoding of a message, within its limits.
//!
//! Canonical is what the official protobuf libraries emit for messages without maps and unknown fields: fields in
//! ascending order, values equal to the default left out, shortest varints. Exactly one encoding of a message passes, so
//! bytes can be sealed as they arrive, and no two readers can take them for different things.

use super::invalid::{Invalid, Problem};
use super::names;
use super::parts::Tag;
use super::schema::{Field, Kind, Message, Syntax, schema_of};

const VARINT: u64 = 0;
const LENGTH_DELIMITED: u64 = 2;

/// 1900-01-01T00:00:00Z in seconds since 1970.
const EARLIEST_SECOND: i64 = -2_208_988_800;
/// 2200-01-01T00:00:00Z in seconds since 1970.
const LATEST_SECOND: i64 = 7_258_118_400;

/// Reads `bytes` from the front.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// A varint in its shortest form.
    pub(crate) fn varint(&mut self) -> Result<u64, Problem> {
        if let [byte @ ..0x80, rest @ ..] = self.rest {
            self.rest = rest;
            return Ok(u64::from(*byte));
        }
        let mut value = 0u64;
        for (i, &byte) in self.rest.iter().enumerate().take(10) {
            let bits = u64::from(byte & 0x7f);
            if i == 9 && bits > 1 {
                return Err(Problem::OutOfRange);
            }
            value |= bits << (7 * i);
            if byte & 0x80 == 0 {
                if byte == 0 && i > 0 {
                    return Err(Problem::NotCanonical(
                        "a number is not in its shortest form",
                    ));
                }
                self.rest = self.rest.get(i + 1..).unwrap_or_default();
                return Ok(value);
            }
        }
        Err(Problem::NotCanonical("a number is cut off"))
    }

    /// Bytes behind their length.
    pub(crate) fn length_delimited(&mut self) -> Result<&'a [u8], Problem> {
        let length = usize::try_from(self.varint()?).map_err(|_| Problem::OutOfRange)?;
        let (value, rest) = self
            .rest
            .split_at_checked(length)
            .ok_or(Problem::NotCanonical("a value is cut off"))?;
        self.rest = rest;
        Ok(value)
    }

    /// A field's number and wire type.
    pub(crate) fn key(&mut self) -> Result<(u32, u64), Problem> {
        let key = self.varint()?;
        let number = u32::try_from(key >> 3).map_err(|_| Problem::OutOfRange)?;
        Ok((number, key & 7))
    }
}

/// Checks `bytes` against the shape of `message`. The error's path starts inside the message.
pub(crate) fn check(bytes: &[u8], message: &Message) -> Result<(), Invalid> {
    let mut reader = Reader::new(bytes);
    let mut fields = message.fields.iter();
    let mut current: Option<&Field> = None;
    let mut items = 0u32;
    let mut exclusive = false;
    while !reader.is_empty() {
        let (number, wire_type) = reader.key().map_err(|p| Invalid::new("", p))?;
        let field = match current {
            Some(field) if field.number == number && field.has_items() => field,
            Some(field) if field.number >= number => {
                return Err(out_of_order(message, number));
            }
            _ => {
                items = 0;
                fields
                    .find(|field| field.number >= number)
                    .filter(|field| field.number == number)
                    .ok_or_else(|| Invalid::new("", Problem::UnknownField(number)))?
            }
        };
        current = Some(field);
        items += 1;
        if items > field.max_items {
            return Err(Invalid::new(
                field.name,
                Problem::TooMany {
                    limit: field.max_items,
                },
            ));
        }
        if field.exclusive && std::mem::replace(&mut exclusive, true) {
            return Err(Invalid::new(
                field.name,
                Problem::NotCanonical("a second choice is set"),
            ));
        }
        check_value(&mut reader, field, wire_type).map_err(|invalid| {
            if field.has_items() {
                invalid.inside(&format!("{}[{}]", field.name, items - 1))
            } else {
                invalid.inside(field.name)
            }
        })?;
    }
    Ok(())
}

fn out_of_order(message: &Message, number: u32) -> Invalid {
    match message.fields.iter().find(|field| field.number == number) {
        Some(field) => Invalid::new(
            field.name,
            Problem::NotCanonical("fields repeat or are out of order"),
        ),
        None => Invalid::new("", Problem::UnknownField(number)),
    }
}

fn check_value(reader: &mut Reader<'_>, field: &Field, wire_type: u64) -> Result<(), Invalid> {
    let here = |problem| Invalid::new("", problem);
    let expected = match field.kind {
        Kind::Uint { .. } | Kind::Sint64 { .. } | Kind::Bool | Kind::Enum { .. } => VARINT,
        _ => LENGTH_DELIMITED,
    };
    if wire_type != expected {
        return Err(here(Problem::NotCanonical("the wire type is another")));
    }
    if expected == VARINT {
        let value = reader.varint().map_err(here)?;
        return check_number(value, field).map_err(here);
    }
    let value = reader.length_delimited().map_err(here)?;
    if value.is_empty()
        && !field.repeated
        && !field.presence
        && !matches!(field.kind, Kind::Message(_))
    {
        return Err(here(Problem::NotCanonical("an empty value is encoded")));
    }
    match field.kind {
        Kind::Message(message) => check(value, message),
        Kind::Text { max_bytes, syntax } => check_text(value, max_bytes, syntax).map_err(here),
        Kind::Bytes { max_bytes, syntax } => {
            check_length(value, max_bytes).map_err(here)?;
            match syntax {
                Syntax::Exactly(length) if value.len() != length => Err(here(Problem::OutOfRange)),
                _ => Ok(()),
            }
        }
        Kind::PackedUint32 => check_packed(value, u64::from(u32::MAX), field).map_err(here),
        _ => check_packed(value, u64::MAX, field).map_err(here),
    }
}

fn check_number(value: u64, field: &Field) -> Result<(), Problem> {
    if value == 0 && !field.presence {
        return Err(Problem::NotCanonical("a default value is encoded"));
    }
    match field.kind {
        Kind::Uint { max } if value > max => Err(Problem::OutOfRange),
        Kind::Bool if value > 1 => Err(Problem::OutOfRange),
        Kind::Enum { largest } if value > largest => Err(Problem::UnknownValue(value)),
        Kind::Sint64 {
            syntax: Syntax::Time,
        } => {
            let second = zigzag_decode(value).div_euclid(1_000_000_000);
            if (EARLIEST_SECOND..LATEST_SECOND).contains(&second) {
                Ok(())
            } else {
                Err(Problem::OutOfRange)
            }
        }
        _ => Ok(()),
    }
}

/// The number that the varint of a sint64 stands for.
pub(crate) fn zigzag_decode(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -(value & 1).cast_signed()
}

fn check_packed(value: &[u8], max: u64, field: &Field) -> Result<(), Problem> {
    let mut reader = Reader::new(value);
    let mut items = 0;
    while !reader.is_empty() {
        items += 1;
        if items > field.max_items {
            return Err(Problem::TooMany {
                limit: field.max_items,
            });
        }
        if reader.varint()? > max {
            return Err(Problem::OutOfRange);
        }
    }
    if items == 0 {
        return Err(Problem::NotCanonical("an empty value is encoded"));
    }
    Ok(())
}

fn check_length(value: &[u8], max_bytes: u32) -> Result<(), Problem> {
    let limit = max_bytes as usize;
    if value.len() > limit {
        return Err(Problem::TooLong {
            actual: value.len(),
            limit,
        });
    }
    Ok(())
}

fn check_text(value: &[u8], max_bytes: u32, syntax: Syntax) -> Result<(), Problem> {
    check_length(value, max_bytes)?;
    let text = std::str::from_utf8(value).map_err(|_| Problem::NotUtf8)?;
    match syntax {
        Syntax::Action => names::check_action(text),
        Syntax::Identity => names::check_identity(text),
        Syntax::TargetName => names::check_target(text),
        Syntax::VersionId => names::check_version_id(text),
        Syntax::Any | Syntax::Time | Syntax::Exactly(_) => Ok(()),
    }
    .map_err(Problem::BadName)
}

/// Calls `take` with the path and the bytes of every text and every bytes field in a part that has been checked. Ends at
/// the first error.
pub fn for_each_text(
    tag: Tag,
    part: &[u8],
    take: &mut impl FnMut(&str, &[u8]) -> Result<(), Invalid>,
) -> Result<(), Invalid> {
    texts_in(part, schema_of(tag), tag.name(), take)
}

fn texts_in(
    bytes: &[u8],
    message: &Message,
    path: &str,
    take: &mut impl FnMut(&str, &[u8]) -> Result<(), Invalid>,
) -> Result<(), Invalid> {
    let mut reader = Reader::new(bytes);
    let (mut last, mut index) = (0, 0u32);
    while !reader.is_empty() {
        let cut = |problem| Invalid::new(path, problem);
        let (number, wire_type) = reader.key().map_err(cut)?;
        if wire_type == VARINT {
            reader.varint().map_err(cut)?;
            continue;
        }
        let value = reader.length_delimited().map_err(cut)?;
        index = if last == number { index + 1 } else { 0 };
        last = number;
        let Some(field) = message.fields.iter().find(|field| field.number == number) else {
            continue;
        };
        let inner = if field.has_items() {
            format!("{path}.{}[{index}]", field.name)
        } else {
            format!("{path}.{}", field.name)
        };
        match field.kind {
            Kind::Message(message) => texts_in(value, message, &inner, take)?,
            Kind::Text { .. } | Kind::Bytes { .. } => take(&inner, value)?,
            _ => {}
        }
    }
    Ok(())
}

/// The bytes of the first length-delimited field `number` of a message that [`check`] has passed.
pub(crate) fn find_bytes(message: &[u8], number: u32) -> Option<&[u8]> {
    let mut reader = Reader::new(message);
    while !reader.is_empty() {
        let (found, wire_type) = reader.key().ok()?;
        if wire_type == VARINT {
            reader.varint().ok()?;
            continue;
        }
        let value = reader.length_delimited().ok()?;
        if found == number {
            return Some(value);
        }
        if found > number {
            return None;
        }
    }
    None
}
