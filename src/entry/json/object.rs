//! JSON objects read field by field, so that every error says which field it is about.

use std::fmt;

use serde::de::{DeserializeOwned, Deserializer as _, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::JsonError;
use super::words;

/// A value, and where it stands.
pub(super) struct Value<'a> {
    path: String,
    raw: &'a RawValue,
}

/// An object whose fields are taken out one by one.
pub(super) struct Object<'a> {
    path: String,
    fields: Vec<(String, &'a RawValue)>,
    known: Vec<&'static str>,
}

impl<'a> Value<'a> {
    /// The whole text. Its path is empty.
    pub(super) fn whole(json: &'a str) -> Result<Self, JsonError> {
        let raw = serde_json::from_str(json).map_err(|error| JsonError::Syntax {
            problem: error.to_string(),
        })?;
        Ok(Self {
            path: String::new(),
            raw,
        })
    }

    /// The JSON as it was written.
    pub(super) fn raw(&self) -> &'a str {
        self.raw.get()
    }

    pub(super) fn is_text(&self) -> bool {
        self.raw().starts_with('"')
    }

    pub(super) fn is_array(&self) -> bool {
        self.raw().starts_with('[')
    }

    /// The error that this value has a `problem`.
    pub(super) fn problem(&self, problem: impl Into<String>) -> JsonError {
        JsonError::Field {
            field: self.path.clone(),
            problem: problem.into(),
        }
    }

    /// The error that something else was expected here.
    pub(super) fn expected(&self, what: &str) -> JsonError {
        let found = match self.raw().chars().next() {
            Some('{') => "an object",
            Some('[') => "an array",
            Some('"') => "text",
            Some('t' | 'f') => "true or false",
            Some('n') => "null",
            _ => "a number",
        };
        self.problem(format!("expected {what}, found {found}"))
    }

    pub(super) fn text(&self) -> Result<String, JsonError> {
        if self.is_text() {
            let text = serde_json::from_str(self.raw());
            return text.map_err(|_| self.problem("is not valid Unicode".to_owned()));
        }
        self.parse("text")
    }

    /// Any type whose JSON is a single token. `what` says what was expected.
    pub(super) fn parse<T: DeserializeOwned>(&self, what: &str) -> Result<T, JsonError> {
        serde_json::from_str(self.raw()).map_err(|_| self.expected(what))
    }

    /// The number of a word of an enumeration.
    pub(super) fn word(&self, known: &[&str]) -> Result<i32, JsonError> {
        let expected = known.get(1..).unwrap_or_default().join(", ");
        let word: String = self.parse(&format!("one of {expected}"))?;
        words::number(known, &word)
            .ok_or_else(|| self.problem(format!("{word:?} is none of {expected}")))
    }

    /// The items of an array.
    pub(super) fn items(&self) -> Result<Vec<Value<'a>>, JsonError> {
        let items: Vec<&'a RawValue> =
            serde_json::from_str(self.raw()).map_err(|_| self.expected("an array"))?;
        let item = |(index, raw)| Value {
            path: format!("{}[{index}]", self.path),
            raw,
        };
        Ok(items.into_iter().enumerate().map(item).collect())
    }

    pub(super) fn texts(&self) -> Result<Vec<String>, JsonError> {
        self.items()?.iter().map(Value::text).collect()
    }
}

impl<'a> Object<'a> {
    /// The fields of an object, each at most once.
    pub(super) fn read(value: Value<'a>) -> Result<Self, JsonError> {
        Self::read_or(value, "an object")
    }

    /// As [`Object::read`]. `what` says what else could have stood here.
    pub(super) fn read_or(value: Value<'a>, what: &str) -> Result<Self, JsonError> {
        if !value.raw().starts_with('{') {
            return Err(value.expected(what));
        }
        let fields = fields(value.raw()).map_err(|error| value.problem(error.to_string()))?;
        let mut object = Self {
            path: value.path,
            fields: Vec::with_capacity(fields.len()),
            known: Vec::new(),
        };
        for (name, raw) in fields {
            if object.fields.iter().any(|(known, _)| *known == name) {
                return Err(object.problem(&name, "is given twice"));
            }
            object.fields.push((name, raw));
        }
        Ok(object)
    }

    /// Drops the fields whose name is among `names`.
    pub(super) fn ignore(&mut self, names: &[&str]) {
        self.fields
            .retain(|(name, _)| !names.contains(&name.as_str()));
    }

    /// The first field whose name is among `names`.
    pub(super) fn find(&self, names: &[&str]) -> Option<&str> {
        self.fields
            .iter()
            .map(|(name, _)| name.as_str())
            .find(|name| names.contains(name))
    }

    /// The value of a field, unless it is missing or null.
    pub(super) fn take(&mut self, name: &'static str) -> Option<Value<'a>> {
        self.known.push(name);
        let index = self.fields.iter().position(|(found, _)| found == name)?;
        let (_, raw) = self.fields.swap_remove(index);
        (raw.get() != "null").then(|| Value {
            path: self.join(name),
            raw,
        })
    }

    /// The value of a field that must be there.
    pub(super) fn require(&mut self, name: &'static str) -> Result<Value<'a>, JsonError> {
        self.take(name)
            .ok_or_else(|| self.problem(name, "is required"))
    }

    pub(super) fn text(&mut self, name: &'static str) -> Result<String, JsonError> {
        self.take(name)
            .map_or(Ok(String::new()), |value| value.text())
    }

    pub(super) fn texts(&mut self, name: &'static str) -> Result<Vec<String>, JsonError> {
        self.take(name)
            .map_or(Ok(Vec::new()), |value| value.texts())
    }

    pub(super) fn truth(&mut self, name: &'static str) -> Result<bool, JsonError> {
        self.take(name)
            .map_or(Ok(false), |value| value.parse("true or false"))
    }

    pub(super) fn word(&mut self, name: &'static str, known: &[&str]) -> Result<i32, JsonError> {
        self.take(name).map_or(Ok(0), |value| value.word(known))
    }

    /// A whole number that fits 32 bits.
    pub(super) fn uint32(&mut self, name: &'static str) -> Result<Option<u32>, JsonError> {
        let parse = |value: Value<'_>| value.parse("a whole number up to 4294967295");
        self.take(name).map(parse).transpose()
    }

    /// A whole number that fits 64 bits.
    pub(super) fn uint64(&mut self, name: &'static str) -> Result<Option<u64>, JsonError> {
        let parse = |value: Value<'_>| value.parse("a whole number up to 18446744073709551615");
        self.take(name).map(parse).transpose()
    }

    /// A list whose items `read` reads.
    pub(super) fn list<T>(
        &mut self,
        name: &'static str,
        read: impl FnMut(Value<'a>) -> Result<T, JsonError>,
    ) -> Result<Vec<T>, JsonError> {
        match self.take(name) {
            Some(value) => value.items()?.into_iter().map(read).collect(),
            None => Ok(Vec::new()),
        }
    }

    /// What `read` makes of a field, if it is there.
    pub(super) fn optional<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(Value<'a>) -> Result<T, JsonError>,
    ) -> Result<Option<T>, JsonError> {
        self.take(name).map(read).transpose()
    }

    /// Every field and its value.
    pub(super) fn into_values(self) -> impl Iterator<Item = (String, Value<'a>)> {
        let Self { path, fields, .. } = self;
        fields.into_iter().map(move |(name, raw)| {
            let path = join(&path, &name);
            (name, Value { path, raw })
        })
    }

    /// Refuses the fields that nobody asked for.
    pub(super) fn finish(self) -> Result<(), JsonError> {
        match self.fields.first() {
            Some((name, _)) => {
                let known = self.known.join(", ");
                Err(self.problem(name, &format!("is not a known field; known are {known}")))
            }
            None => Ok(()),
        }
    }

    /// The error that the field `name` has a `problem`.
    pub(super) fn problem(&self, name: &str, problem: &str) -> JsonError {
        JsonError::Field {
            field: self.join(name),
            problem: problem.to_owned(),
        }
    }

    fn join(&self, name: &str) -> String {
        join(&self.path, name)
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

/// The names of the fields of an object whose values are all text.
pub(super) fn text_fields(json: &str) -> Option<Vec<String>> {
    let fields = fields(json).ok()?;
    fields
        .iter()
        .all(|(_, value)| value.get().starts_with('"'))
        .then(|| fields.into_iter().map(|(name, _)| name).collect())
}

fn fields(json: &str) -> Result<Vec<(String, &RawValue)>, serde_json::Error> {
    serde_json::Deserializer::from_str(json).deserialize_map(Fields)
}

struct Fields;

impl<'de> Visitor<'de> for Fields {
    type Value = Vec<(String, &'de RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = Vec::new();
        while let Some(field) = map.next_entry()? {
            fields.push(field);
        }
        Ok(fields)
    }
}
