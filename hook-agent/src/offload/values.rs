//! Finds the strings of a record that may be long.

use serde_json::{Map, Value};

use super::base64::{MIN_BASE64, may_end, media_type};

/// How much of a string's end shows that it is no Base64.
const END: usize = 64;
/// The fields beside Base64 that have its media type.
const MEDIA_TYPES: [&str; 7] = [
    "media_type",
    "mediaType",
    "mime_type",
    "mimeType",
    "content_type",
    "contentType",
    "type",
];

/// Where a value is.
#[derive(Debug, Clone, Default)]
pub(super) struct ValuePath {
    /// As in `truncated`: keys and indexes, separated by dots.
    pub path: String,
    /// As a JSON pointer.
    pub pointer: String,
}

impl ValuePath {
    pub(super) fn depth(&self) -> usize {
        self.pointer.matches('/').count()
    }

    fn child(&self, step: &str) -> Self {
        let dot = if self.path.is_empty() { "" } else { "." };
        let escaped = step.replace('~', "~0").replace('/', "~1");
        Self {
            path: format!("{}{dot}{step}", self.path),
            pointer: format!("{}/{escaped}", self.pointer),
        }
    }
}

/// Returns whether a line may have a text of more than `above` bytes or Base64. Quick: most lines
/// have neither.
pub(super) fn may_be_long(line: &[u8], above: usize) -> bool {
    if line.len() > above {
        return true;
    }
    let mut start = 0;
    line.len() >= MIN_BASE64
        && memchr::memchr_iter(b'"', line).any(|quote| {
            let is_long = quote - start >= MIN_BASE64;
            let may_be = is_long && may_end(&line[quote - END..quote]);
            start = quote + 1;
            may_be
        })
}

/// Calls `each` with every string of at least `least` bytes: the string, its path, and the media
/// type that a field beside it has.
pub(super) fn for_each_long(
    value: &mut Value,
    least: usize,
    each: &mut impl FnMut(&mut String, ValuePath, Option<&str>),
) {
    visit(value, least, &ValuePath::default(), None, each);
}

fn visit(
    value: &mut Value,
    least: usize,
    at: &ValuePath,
    declared: Option<&str>,
    each: &mut impl FnMut(&mut String, ValuePath, Option<&str>),
) {
    match value {
        Value::String(text) if text.len() >= least => each(text, at.clone(), declared),
        Value::Object(fields) => {
            let declared = declared_type(fields);
            for (key, value) in fields {
                if is_worth_a_look(value, least) {
                    visit(value, least, &at.child(key), declared.as_deref(), each);
                }
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter_mut().enumerate() {
                if is_worth_a_look(value, least) {
                    visit(value, least, &at.child(&index.to_string()), None, each);
                }
            }
        }
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn is_worth_a_look(value: &Value, least: usize) -> bool {
    match value {
        Value::String(text) => text.len() >= least,
        Value::Object(_) | Value::Array(_) => true,
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// Returns the media type that an object states for its content.
fn declared_type(fields: &Map<String, Value>) -> Option<String> {
    let mut texts = MEDIA_TYPES
        .iter()
        .filter_map(|name| fields.get(*name)?.as_str());
    if let Some(found) = texts.find_map(media_type) {
        return Some(found.to_owned());
    }
    // Audio of OpenAI's: `{"data": "…", "format": "wav"}`.
    match fields.get("format")?.as_str()? {
        "wav" => Some("audio/wav".to_owned()),
        "mp3" => Some("audio/mpeg".to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn long_strings_are_found_with_their_place_and_the_type_beside_them() {
        let long = "x".repeat(20);
        let mut value = json!({
            "a/b": [{"short": "x", "data": long, "mimeType": "image/png"}, long],
            "c": {"data": long, "format": "wav", "type": "input_audio"},
        });
        let mut found = Vec::new();
        for_each_long(&mut value, 20, &mut |_, at, declared| {
            found.push((at.path, at.pointer, declared.map(str::to_owned)));
        });
        let of = |path: &str, pointer: &str, declared: Option<&str>| {
            (path.into(), pointer.into(), declared.map(str::to_owned))
        };
        assert_eq!(
            found,
            [
                of("a/b.0.data", "/a~1b/0/data", Some("image/png")),
                of("a/b.1", "/a~1b/1", None),
                of("c.data", "/c/data", Some("audio/wav")),
            ]
        );
    }

    #[test]
    fn only_a_line_with_a_long_string_is_looked_at() {
        let base64 = "QUJD".repeat(256);
        let words = "some words ".repeat(100);
        for (value, may_be) in [
            (json!({"a": words}), false),
            (json!({"a": base64}), true),
            (json!({"a": [words, {"b": base64}]}), true),
            (
                json!({"a": format!("data:image/png;base64,{base64}")}),
                true,
            ),
            (json!({"a": &base64[4..]}), false),
            (json!({"a": words.repeat(60)}), true),
        ] {
            let line = value.to_string();
            assert_eq!(
                may_be_long(line.as_bytes(), 65_536),
                may_be,
                "{}",
                line.len()
            );
        }
    }
}
