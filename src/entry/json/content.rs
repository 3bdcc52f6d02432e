//! Free-form content, and bytes in general, as JSON.
//!
//! Content with the media type `application/json` that is JSON without white space between its tokens stands in the
//! event as that JSON: character by character, so that neither numbers nor the order of keys change. Anything else is an
//! object of exactly `media_type` and either `text` or `base64`; so is JSON that has itself this form, `null`, which would
//! read as nothing, and JSON that common parsers refuse, for one such value would make a whole list unreadable.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::value::RawValue;

use super::JsonError;
use super::object::{Object, Value};

/// The media type of content that is given as JSON.
const JSON: &str = "application/json";

/// Reads content: its bytes and media type.
pub(super) fn read(value: Value<'_>) -> Result<(Vec<u8>, String), JsonError> {
    if !has_wrapped_form(value.raw()) {
        return Ok((compact(value.raw()).into_bytes(), JSON.to_owned()));
    }
    let mut object = Object::read(value)?;
    let media_type = object.text("media_type")?;
    let bytes = match object.take("base64") {
        Some(encoded) => read_base64(&encoded)?,
        None => object.text("text")?.into_bytes(),
    };
    Ok((bytes, media_type))
}

/// Reads bytes: text that stands for its UTF-8 bytes, or an object with their `base64`.
pub(super) fn read_bytes(value: Value<'_>) -> Result<Vec<u8>, JsonError> {
    if value.is_text() {
        return value.text().map(String::into_bytes);
    }
    let mut object = Object::read_or(value, "text or an object with base64")?;
    let encoded = object.require("base64")?;
    object.finish()?;
    read_base64(&encoded)
}

fn read_base64(value: &Value<'_>) -> Result<Vec<u8>, JsonError> {
    let text = value.text()?;
    STANDARD
        .decode(text)
        .map_err(|_| value.problem("is not base64 (the standard alphabet, with padding)"))
}

/// Whether JSON has the form of wrapped content: exactly `media_type` and either `text` or `base64`, all of them text.
fn has_wrapped_form(json: &str) -> bool {
    let Some(fields) = super::object::text_fields(json) else {
        return false;
    };
    let has = |name| fields.iter().any(|field| field == name);
    fields.len() == 2 && has("media_type") && (has("text") || has("base64"))
}

/// Content as it is written.
pub(super) struct Content<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) media_type: &'a str,
}

impl Content<'_> {
    /// Nothing to write.
    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty() && self.media_type.is_empty()
    }

    /// The content as the JSON it is, if reading that gives the same bytes.
    fn plain(&self) -> Option<&RawValue> {
        if self.media_type != JSON {
            return None;
        }
        let json: &RawValue = serde_json::from_slice(self.bytes).ok()?;
        let same = json.get().as_bytes() == self.bytes && compact(json.get()) == json.get();
        let plain = json.get() != "null" && !has_wrapped_form(json.get());
        (same && plain && parses_in_a_list(json.get())).then_some(json)
    }
}

impl Serialize for Content<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if let Some(json) = self.plain() {
            return json.serialize(serializer);
        }
        let mut object = serializer.serialize_map(Some(2))?;
        object.serialize_entry("media_type", self.media_type)?;
        match std::str::from_utf8(self.bytes) {
            Ok(text) => object.serialize_entry("text", text)?,
            Err(_) => object.serialize_entry("base64", &STANDARD.encode(self.bytes))?,
        }
        object.end()
    }
}

/// Bytes as they are written: text where they are UTF-8.
pub(super) struct Bytes<'a>(pub(super) &'a [u8]);

impl Serialize for Bytes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if let Ok(text) = std::str::from_utf8(self.0) {
            return serializer.serialize_str(text);
        }
        let mut object = serializer.serialize_map(Some(1))?;
        object.serialize_entry("base64", &STANDARD.encode(self.0))?;
        object.end()
    }
}

/// Whether parsers that limit nesting, numbers and escapes take this value as a field of one event in a list.
fn parses_in_a_list(json: &str) -> bool {
    serde_json::from_str::<serde_json::Value>(&format!("[[{json}]]")).is_ok()
}

/// Valid JSON without the white space between its tokens.
fn compact(json: &str) -> String {
    let mut in_text = false;
    let mut escaped = false;
    let keep = |c: &char| {
        if in_text {
            in_text = escaped || *c != '"';
            escaped = !escaped && *c == '\\';
            return true;
        }
        in_text = *c == '"';
        !matches!(c, ' ' | '\t' | '\n' | '\r')
    };
    json.chars().filter(keep).collect()
}
