//! One rule: which names and which values are secret.

use regex::bytes::{Regex, RegexBuilder};
use serde::Deserialize;

use crate::entry::Tag;
use crate::entry::redaction::{FIELDS, marker};

/// The largest compiled pattern, in bytes.
const MAX_COMPILED_BYTES: usize = 1024 * 1024;
/// What a name consists of where it stands in text.
const NAME: &str = r"[A-Za-z0-9_.\-]";

/// A rule as it stands in a file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Lines {
    pub(super) name: String,
    fields: Option<Vec<String>>,
    #[serde(default)]
    names: Vec<String>,
    #[serde(default)]
    values: Vec<String>,
}

/// A rule, ready to be applied.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) name: String,
    /// The parts and fields that it is for; none for all.
    fields: Option<Vec<String>>,
    /// A whole name that is secret.
    whole_name: Option<Regex>,
    /// What is secret in text, and of that the group `secret`, if there is one.
    texts: Vec<Regex>,
    /// What is secret in fields that hold a name or a number: without `name: value`.
    values: Vec<Regex>,
    /// If none of these is in a text, nothing in it is secret.
    pub(super) needed: Vec<String>,
}

impl Rule {
    pub(super) fn new(lines: Lines) -> Result<Self, String> {
        let Lines {
            name,
            fields,
            names,
            values,
        } = lines;
        let wrong = |problem: String| format!("rule {name:?}: {problem}");
        let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if name.is_empty() || name.len() > 32 || !name.bytes().all(is_word) {
            let expected = "a name has 1 to 32 of a-z, 0-9 and -";
            return Err(wrong(expected.into()));
        }
        for field in fields.iter().flatten() {
            if !is_field(field) {
                let known = "who, what, context, why, detail";
                let known = format!("{known}, {}", FIELDS.join(", "));
                return Err(wrong(format!("there is no field {field:?}, but {known}")));
            }
        }
        if names.is_empty() && values.is_empty() {
            return Err(wrong("it needs names or values".into()));
        }
        let mut rule = Self {
            name: name.clone(),
            fields,
            whole_name: None,
            texts: Vec::new(),
            values: Vec::new(),
            needed: Vec::new(),
        };
        rule.add_names(&names).map_err(wrong)?;
        for value in &values {
            rule.add_value(value).map_err(wrong)?;
        }
        Ok(rule)
    }

    fn add_names(&mut self, names: &[String]) -> Result<(), String> {
        if names.is_empty() {
            return Ok(());
        }
        for name in names {
            let longest = name.split(['*', '?']).max_by_key(|piece| piece.len());
            let longest = longest.unwrap_or_default();
            if longest.len() < 3 {
                return Err(format!("names: {name:?} has no 3 letters in a row"));
            }
            self.needed
                .push(format!("(?i-u:{})", regex::escape(longest)));
        }
        let whole = alternatives(names, "(?s-u:.)");
        self.whole_name = Some(compile(&format!("^(?i-u:{whole})$"))?);
        let name = alternatives(names, NAME);
        let word = r#"[^\s"'&;,<>\x00]+"#;
        // To the end of the line, as `env` prints it; a variable can hold anything but a NUL.
        let line = format!(
            r"(?i-u)(?:^|[\r\n\x00])[ \t]*(?:export[ \t]+)?(?:{name})[ \t]*=[ \t]*(?P<secret>[^\r\n\x00]+)"
        );
        // In the middle of one, also in JSON within text, whose quotes may be escaped.
        let inline = format!(
            r#"(?i-u)(?:^|[^A-Za-z0-9_.\-])(?:{name})\\*["']?[ \t]*[=:][ \t]*(?P<secret>\\*"(?:[^"\\]|\\.)*"?|'[^']*'?|(?:(?:bearer|basic|token)[ \t]+)?{word})"#
        );
        let flag = format!(r"(?i-u)--(?:{name})[ \t]+(?P<secret>{word})");
        for text in [&line, &inline, &flag] {
            self.texts.push(compile(text)?);
        }
        // A name of something may well say `password:`.
        let assigned = format!(r"(?i-u)(?:^|[^A-Za-z0-9_.\-])(?:{name})=(?P<secret>{word})");
        self.values.push(compile(&assigned)?);
        Ok(())
    }

    fn add_value(&mut self, value: &str) -> Result<(), String> {
        let pattern = compile(value).map_err(|error| format!("values: {error}"))?;
        if pattern.is_match(b"") {
            return Err(format!("values: {value:?} matches where nothing is"));
        }
        self.texts.push(pattern.clone());
        self.values.push(pattern);
        self.needed.push(value.to_owned());
        Ok(())
    }

    /// Whether it is for the field `field` of the part `tag`.
    pub(super) fn is_for(&self, tag: Tag, field: &str) -> bool {
        let listed = |found: &String| found == field || found == tag.name();
        self.fields
            .as_ref()
            .is_none_or(|fields| fields.iter().any(listed))
    }

    /// Whether what has this name is secret.
    pub(super) fn has_name(&self, name: &[u8]) -> bool {
        let names = self.whole_name.as_ref();
        names.is_some_and(|names| names.is_match(name))
    }

    /// Whether there is something secret in a field that is never changed.
    pub(super) fn is_in_value(&self, value: &[u8]) -> bool {
        let mut found = self.values.iter();
        found.any(|pattern| secrets(pattern, value).next().is_some())
    }

    /// The text with a marker instead of everything secret, and how many there are; none if nothing is.
    pub(super) fn put_out(&self, text: &[u8]) -> Option<(Vec<u8>, u32)> {
        let mut count = 0;
        let mut current: Option<Vec<u8>> = None;
        for pattern in &self.texts {
            let found = replace(pattern, current.as_deref().unwrap_or(text), &self.name);
            if let Some((replaced, times)) = found {
                current = Some(replaced);
                count += times;
            }
        }
        Some((current?, count))
    }
}

fn is_field(field: &str) -> bool {
    let part = |tag: &Tag| *tag != Tag::Envelope && tag.name() == field;
    FIELDS.contains(&field) || Tag::ALL.iter().any(part)
}

/// Names with `*` and `?` as a pattern, in which a joker stands for `any`.
fn alternatives(names: &[String], any: &str) -> String {
    let one = |name: &String| {
        let mut pattern = String::new();
        for character in name.chars() {
            match character {
                '*' => {
                    pattern.push_str(any);
                    pattern.push('*');
                }
                '?' => pattern.push_str(any),
                other => pattern.push_str(&regex::escape(other.encode_utf8(&mut [0; 4]))),
            }
        }
        pattern
    };
    names.iter().map(one).collect::<Vec<_>>().join("|")
}

fn compile(pattern: &str) -> Result<Regex, String> {
    RegexBuilder::new(pattern)
        .size_limit(MAX_COMPILED_BYTES)
        .build()
        .map_err(|error| error.to_string())
}

/// Where the secrets are, ascending; what has been put out before is none.
fn secrets<'a>(pattern: &'a Regex, text: &'a [u8]) -> impl Iterator<Item = (usize, usize)> + 'a {
    pattern.captures_iter(text).filter_map(|captures| {
        let secret = captures.name("secret").or_else(|| captures.get(0))?;
        let is_put_out = is_marker(without_scheme(secret.as_bytes()));
        (!secret.is_empty() && !is_put_out).then(|| (secret.start(), secret.end()))
    })
}

fn replace(pattern: &Regex, text: &[u8], rule: &str) -> Option<(Vec<u8>, u32)> {
    // Most texts have none, and to say that is cheaper than to say where.
    if !pattern.is_match(text) {
        return None;
    }
    let mut replaced = Vec::with_capacity(text.len());
    let (mut copied, mut count) = (0, 0u32);
    for (start, end) in secrets(pattern, text) {
        replaced.extend_from_slice(text.get(copied..start)?);
        replaced.extend_from_slice(marker(rule).as_bytes());
        copied = end;
        count = count.saturating_add(1);
    }
    replaced.extend_from_slice(text.get(copied..)?);
    (count > 0).then_some((replaced, count))
}

/// What stands behind the word for how to authenticate, if there is one.
fn without_scheme(secret: &[u8]) -> &[u8] {
    let end = secret.iter().position(u8::is_ascii_whitespace);
    match secret.split_at(end.unwrap_or(0)) {
        (scheme, rest)
            if [&b"bearer"[..], b"basic", b"token"]
                .iter()
                .any(|known| scheme.eq_ignore_ascii_case(known)) =>
        {
            rest
        }
        _ => secret,
    }
}

/// Whether this is nothing but a marker, in quotes or not.
pub(super) fn is_marker(text: &[u8]) -> bool {
    let text = text.trim_ascii();
    let text = text.strip_prefix(b"\"").unwrap_or(text);
    let text = text.strip_suffix(b"\"").unwrap_or(text);
    let inner = text
        .strip_prefix(b"[redacted:")
        .and_then(|rest| rest.strip_suffix(b"]"));
    inner.is_some_and(|rule| {
        let is_word =
            |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'-';
        !rule.is_empty() && rule.len() <= 32 && rule.iter().all(is_word)
    })
}
