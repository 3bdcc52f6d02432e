//! JSON, changed only where something is secret: every other byte stays as it was typed.

use serde::de::IgnoredAny;

use super::rule::is_marker;

/// What decides about the strings of a text in JSON.
pub(super) trait Judge {
    /// The rule by which what has this name is secret.
    fn by_name(&self, name: &[u8]) -> Option<usize>;
    /// The text with markers instead of everything secret, and the first rule that was applied; none if nothing is.
    fn put_out(&mut self, text: &[u8]) -> Option<(Vec<u8>, usize)>;
    /// Notes that a whole value was put out by this rule.
    fn note(&mut self, rule: usize);
    /// What stands where this rule was applied.
    fn marker(&self, rule: usize) -> String;
}

/// An object or array that is open.
struct Open {
    is_object: bool,
    /// By which rule the `value` is secret whose `name` came before it.
    named: Option<usize>,
}

/// Whether this is an object, an array or a string in JSON.
pub(super) fn is_json(text: &[u8]) -> bool {
    let first = text.trim_ascii_start().first();
    matches!(first, Some(b'{' | b'[' | b'"')) && serde_json::from_slice::<IgnoredAny>(text).is_ok()
}

/// Puts out of `json`, which [is JSON](is_json), what `judge` finds.
pub(super) fn put_out(json: &[u8], judge: &mut impl Judge) -> Vec<u8> {
    let mut out = Vec::with_capacity(json.len());
    let mut open: Vec<Open> = Vec::new();
    // The name of the member whose value comes next, and whether a name comes next.
    let (mut name, mut name_is_next): (Vec<u8>, bool) = (Vec::new(), false);
    let mut at = 0;
    while let Some(byte) = json.get(at) {
        let is_value_start = !byte.is_ascii_whitespace() && !b":,}]".contains(byte);
        if is_value_start
            && !name_is_next
            && !name.is_empty()
            && let Some(rule) = rule_for(&name, open.last(), judge)
        {
            let end = end_of_value(json, at);
            if says_something(json.get(at..end).unwrap_or_default()) {
                judge.note(rule);
                out.extend_from_slice(format!("\"{}\"", judge.marker(rule)).as_bytes());
                name.clear();
                at = end;
                continue;
            }
        }
        match byte {
            b'"' => {
                let end = end_of_string(json, at);
                let token = json.get(at..end).unwrap_or_default();
                let text = unescape(token);
                put_out_string(token, &text, judge, &mut out);
                if name_is_next {
                    name = text;
                    name_is_next = false;
                } else if matches!(name.as_slice(), b"name" | b"key" | b"Name" | b"Key")
                    && let Some(object) = open.last_mut()
                {
                    object.named = judge.by_name(&text);
                }
                at = end;
                continue;
            }
            b'{' | b'[' => {
                let is_object = *byte == b'{';
                open.push(Open {
                    is_object,
                    named: None,
                });
                name.clear();
                name_is_next = is_object;
            }
            b'}' | b']' => {
                open.pop();
                name.clear();
                name_is_next = false;
            }
            b',' => {
                name.clear();
                name_is_next = open.last().is_some_and(|open| open.is_object);
            }
            // The rest of a number or a word is no value of its own.
            _ if is_value_start => name.clear(),
            _ => {}
        }
        out.push(*byte);
        at += 1;
    }
    out
}

/// The rule by which the member `name` of `object` is secret.
fn rule_for(name: &[u8], object: Option<&Open>, judge: &impl Judge) -> Option<usize> {
    judge.by_name(name).or_else(|| {
        let named = object.and_then(|object| object.named);
        named.filter(|_| matches!(name, b"value" | b"Value"))
    })
}

fn put_out_string(token: &[u8], text: &[u8], judge: &mut impl Judge, out: &mut Vec<u8>) {
    let Some((rest, rule)) = judge.put_out(text) else {
        out.extend_from_slice(token);
        return;
    };
    out.push(b'"');
    if token.contains(&b'\\') {
        // Escaped again it would be other bytes also where nothing is secret. So all of it goes.
        out.extend_from_slice(judge.marker(rule).as_bytes());
    } else {
        out.extend_from_slice(&rest);
    }
    out.push(b'"');
}

/// The text of a string. One that stands for no text is taken as it is typed.
fn unescape(token: &[u8]) -> Vec<u8> {
    let typed = || {
        let inner = token.get(1..token.len().saturating_sub(1));
        inner.unwrap_or_default().to_vec()
    };
    if !token.contains(&b'\\') {
        return typed();
    }
    serde_json::from_slice::<String>(token).map_or_else(|_| typed(), String::into_bytes)
}

/// Whether a value can be secret: nothing, truth and the empty text cannot.
fn says_something(value: &[u8]) -> bool {
    !matches!(
        value,
        b"null" | b"true" | b"false" | b"\"\"" | b"{}" | b"[]"
    ) && !is_marker(value)
}

/// Behind the string that begins at `at`.
fn end_of_string(json: &[u8], at: usize) -> usize {
    let mut end = at + 1;
    while let Some(byte) = json.get(end) {
        end += match byte {
            b'"' => return end + 1,
            b'\\' => 2,
            _ => 1,
        };
    }
    json.len()
}

/// Behind the value that begins at `at`.
fn end_of_value(json: &[u8], at: usize) -> usize {
    let mut depth = 0usize;
    let mut end = at;
    while let Some(byte) = json.get(end) {
        match byte {
            b'"' => {
                end = end_of_string(json, end);
                if depth == 0 {
                    return end;
                }
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' | b',' if depth == 0 => return end,
            b'}' | b']' => {
                depth -= 1;
                if depth == 0 {
                    return end + 1;
                }
            }
            byte if depth == 0 && byte.is_ascii_whitespace() => return end,
            _ => {}
        }
        end += 1;
    }
    json.len()
}
