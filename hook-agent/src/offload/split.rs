//! A record, and the long values that were taken out of it.

use serde_json::{Map, Value};
use session_model::records::BlobRef;
use session_model::{BlobName, json};
use sha2::{Digest as _, Sha256};

use super::base64::{MIN_BASE64, decode};
use super::values::{ValuePath, for_each_long};
use crate::config::MAX_EVENT_BYTES;

const TEXT: &str = "text/plain; charset=utf-8";
/// The fields of a record that list its cut values: their lengths, and the references to the whole.
const TRUNCATED: &str = "truncated";
const BLOBS: &str = "blobs";
/// How deep a reference may be: the service limits the depth of a record.
const DEEPEST: usize = 100;
/// More than a listed value needs besides its path and its excerpt.
const LISTED: usize = 512;
/// How many bytes of JSON the longest escape of a byte has.
const MOST_ESCAPED: usize = 6;
/// Of a text, a head and a tail are kept, each of this part of the threshold.
const KEPT_PART: usize = 4;

/// A line without its long values. Each has to be put back as a reference or cut.
#[derive(Debug)]
pub(crate) struct Split {
    line: Value,
    parts: Vec<Part>,
    above: usize,
}

/// A long value.
#[derive(Debug)]
pub(crate) struct Part {
    pub name: BlobName,
    pub bytes: Vec<u8>,
    pub media_type: String,
    /// The length of the string in the record.
    pub length: usize,
    at: ValuePath,
    /// What was before the Base64 in the string; `None` if the value is a text.
    prefix: Option<String>,
    /// Whether its path names another value too, so that the record cannot list it.
    is_ambiguous: bool,
}

impl Part {
    fn text(text: String, at: ValuePath) -> Self {
        let length = text.len();
        Self::new(text.into_bytes(), TEXT.to_owned(), length, at, None)
    }

    fn new(
        bytes: Vec<u8>,
        media_type: String,
        length: usize,
        at: ValuePath,
        prefix: Option<String>,
    ) -> Self {
        Self {
            name: BlobName::of_digest(Sha256::digest(&bytes).into()),
            bytes,
            media_type,
            length,
            at,
            prefix,
            is_ambiguous: false,
        }
    }

    fn is_text(&self) -> bool {
        self.prefix.is_none()
    }

    /// Returns the path of the value in the record, as in `truncated`.
    pub(crate) fn path(&self) -> &str {
        &self.at.path
    }

    /// Returns the reference to the blob, of which the service has stored this many bytes.
    fn reference(&self, stored: u64) -> Value {
        let bytes = i64::try_from(stored).unwrap_or(i64::MAX);
        let mut blob = BlobRef::new(self.name.to_string(), bytes, self.media_type.clone());
        if let Some(prefix) = &self.prefix {
            blob.extra.insert("encoding".to_owned(), "base64".into());
            if !prefix.is_empty() {
                blob.extra
                    .insert("prefix".to_owned(), prefix.as_str().into());
            }
        }
        blob.into_value()
    }

    /// Returns what the record shows of the value.
    fn excerpt(&self, above: usize) -> String {
        let text = match std::str::from_utf8(&self.bytes) {
            Ok(text) if self.is_text() => text,
            Ok(_) | Err(_) => return format!("[{} bytes left out]", self.length),
        };
        let head = &text[..text.floor_char_boundary(above / KEPT_PART)];
        let tail = &text[text.ceil_char_boundary(text.len() - above / KEPT_PART)..];
        let left_out = text.len() - head.len() - tail.len();
        format!("{head}\n[{left_out} bytes left out]\n{tail}")
    }
}

impl Split {
    /// Takes the values out. Returns `None` if there are none, or if the record cannot list them.
    pub(super) fn of(line: &[u8], above: usize) -> Option<Self> {
        let length = line.len();
        let mut line: Value = json::stored(line).ok()?;
        let data = line.get_mut("data")?;
        let can_list = |name: &str| data.get(name).is_none_or(Value::is_object);
        if !can_list(TRUNCATED) || !can_list(BLOBS) {
            return None;
        }
        let mut parts = Vec::new();
        for_each_long(data, MIN_BASE64.min(above), &mut |text, at, declared| {
            if at.depth() <= DEEPEST
                && let Some(found) = decode(text, declared, above)
            {
                let length = std::mem::take(text).len();
                let prefix = Some(found.prefix);
                parts.push(Part::new(found.bytes, found.media_type, length, at, prefix));
            } else if text.len() > above {
                parts.push(Part::text(std::mem::take(text), at));
            }
        });
        mark_ambiguous(data, &mut parts);
        let mut split = Self { line, parts, above };
        split.put_back_ambiguous(length);
        (!split.parts.is_empty()).then_some(split)
    }

    /// Puts the texts back that the record cannot list, as far as it then is no larger than an event
    /// may be, with these many bytes before. References take the places of the others.
    fn put_back_ambiguous(&mut self, length: usize) {
        if !self.parts.iter().any(|part| part.is_ambiguous) {
            return;
        }
        let (mut left, mut added) = (length, 0);
        for part in &self.parts {
            left = left.saturating_sub(part.length);
            added += LISTED + 2 * part.at.path.len() + MOST_ESCAPED * self.above / 2;
        }
        let mut size = left + added;
        let mut kept = Vec::new();
        for part in std::mem::take(&mut self.parts) {
            let text = match std::str::from_utf8(&part.bytes) {
                Ok(text) if part.is_ambiguous => Value::from(text),
                Ok(_) | Err(_) => {
                    kept.push(part);
                    continue;
                }
            };
            let written = text.to_string().len();
            if size + written <= MAX_EVENT_BYTES || part.at.depth() > DEEPEST {
                size += written;
                self.put(&part, text);
            } else {
                kept.push(part);
            }
        }
        self.parts = kept;
    }

    pub(crate) fn take_parts(&mut self) -> Vec<Part> {
        std::mem::take(&mut self.parts)
    }

    /// Puts a reference in the place of a value that is stored as a blob.
    pub(crate) fn refer(&mut self, part: &Part, stored: u64) {
        let reference = part.reference(stored);
        if !part.is_text() || part.is_ambiguous {
            return self.put(part, reference);
        }
        self.put_excerpt(part);
        self.list(BLOBS).insert(part.at.path.clone(), reference);
    }

    /// Puts what the record shows in the place of a value that is stored nowhere.
    pub(crate) fn cut(&mut self, part: &Part) {
        self.put_excerpt(part);
    }

    pub(crate) fn into_line(self) -> Vec<u8> {
        self.line.to_string().into_bytes()
    }

    fn put_excerpt(&mut self, part: &Part) {
        self.put(part, part.excerpt(self.above).into());
        // A writer that has cut the value before knows its whole length.
        self.list(TRUNCATED)
            .entry(part.at.path.clone())
            .or_insert_with(|| part.length.into());
    }

    fn put(&mut self, part: &Part, value: Value) {
        let empty = self.line["data"].pointer_mut(&part.at.pointer);
        *empty.expect("the value was taken from there") = value;
    }

    fn list(&mut self, name: &str) -> &mut Map<String, Value> {
        let list = &mut self.line["data"][name];
        if list.is_null() {
            *list = Value::Object(Map::new());
        }
        list.as_object_mut()
            .expect("a record with a list of another type is not split")
    }
}

/// Marks the texts whose path names another value too, because keys have dots, or names a reference
/// that the record's writer has listed.
fn mark_ambiguous(data: &Value, parts: &mut [Part]) {
    let listed = data.get(BLOBS).and_then(Value::as_object);
    for part in parts.iter_mut().filter(|part| part.is_text()) {
        let path = &part.at.path;
        let is_listed = listed.is_some_and(|listed| listed.contains_key(path));
        part.is_ambiguous = is_listed || named_by(data, path, true) > 1;
    }
}

/// Returns how many values below this one the rest of a path names. `is_start`: no step has been
/// written so far.
fn named_by(value: &Value, path: &str, is_start: bool) -> usize {
    let below = |key: &str, value: &Value| {
        let rest = if is_start {
            path
        } else {
            path.strip_prefix('.')?
        };
        let rest = rest.strip_prefix(key)?;
        if rest.is_empty() {
            return Some(1);
        }
        Some(named_by(value, rest, is_start && key.is_empty()))
    };
    match value {
        Value::Object(fields) => {
            let found = fields.iter().filter_map(|(key, value)| below(key, value));
            found.sum()
        }
        Value::Array(items) => {
            let step = path.strip_prefix('.').unwrap_or(path);
            let step = step.split('.').next().unwrap_or_default();
            let item = step.parse::<usize>().ok().and_then(|at| items.get(at));
            item.and_then(|item| below(step, item)).unwrap_or_default()
        }
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use serde_json::json;

    fn split(data: &Value, above: usize) -> Option<Split> {
        Split::of(
            json!({"type": "action", "data": data})
                .to_string()
                .as_bytes(),
            above,
        )
    }

    fn line(split: Split) -> Value {
        serde_json::from_slice::<Value>(&split.into_line()).unwrap()["data"].take()
    }

    #[test]
    fn a_text_keeps_its_ends_and_names_its_blob() {
        let text = format!("ä{}ö", "x".repeat(5000));
        let n: Value = serde_json::from_str("1.50").unwrap();
        let data = json!({"type": "tool_result", "output": text, "n": n, "truncated": {"output": 9_000, "a": 1}});
        let mut found = split(&data, 2000).unwrap();
        let parts = found.take_parts();
        found.refer(&parts[0], 5004);
        let data = line(found);
        let output = data["output"].as_str().unwrap();
        assert!(output.starts_with('ä') && output.ends_with('ö'), "{output}");
        assert!(output.contains("x\n[4004 bytes left out]\nx"), "{output}");
        assert_eq!(output.len(), 1000 + "\n[4004 bytes left out]\n".len());
        assert_eq!(data["truncated"], json!({"output": 9_000, "a": 1}));
        assert_eq!(
            data["blobs"],
            json!({"output": {
                "$blob": format!("sha256:{}", parts[0].name), "bytes": 5004, "mediaType": TEXT,
            }})
        );
        assert_eq!(data["n"].to_string(), "1.50", "digits stay");
        assert_eq!(parts[0].bytes, text.as_bytes());
    }

    #[test]
    fn an_image_is_replaced_by_its_reference_wherever_it_is() {
        let image: Vec<u8> = b"\x89PNG\r\n\x1a\n"
            .iter()
            .copied()
            .chain((0..1200_u32).map(|n| (n % 251) as u8))
            .collect();
        let text = STANDARD.encode(&image);
        let data = json!({"blocks": [
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": text}},
            {"type": "image_url", "image_url": {"url": format!("data:image/png;base64,{text}")}},
            {"inlineData": {"mimeType": "image/png", "data": text}},
            {"type": "image", "file": {"base64": text, "type": "image/png"}},
        ]});
        let mut found = split(&data, 65_536).unwrap();
        let parts = found.take_parts();
        assert!(parts.iter().all(|part| part.bytes == image));
        parts.iter().for_each(|part| found.refer(part, 1208));
        let data = line(found);
        let name = format!("sha256:{}", parts[0].name);
        let plain =
            json!({"$blob": name, "bytes": 1208, "mediaType": "image/png", "encoding": "base64"});
        let mut of_url = plain.clone();
        of_url["prefix"] = "data:image/png;base64,".into();
        assert_eq!(data["blocks"][0]["source"]["data"], plain);
        assert_eq!(data["blocks"][0]["source"]["media_type"], "image/png");
        assert_eq!(data["blocks"][1]["image_url"]["url"], of_url);
        assert_eq!(data["blocks"][2]["inlineData"]["data"], plain);
        assert_eq!(data["blocks"][3]["file"]["base64"], plain);
        assert_eq!(data.get("truncated"), None);
    }

    #[test]
    fn numbers_and_keys_stay_as_they_were_sent() {
        let numbers = r#"{"a":1E-7,"b":1e400,"c":1.50,"d":-0,"e":12345678901234567890123}"#;
        let private = r#"{"$serde_json::private::Number":"1"}"#;
        let text = "x".repeat(3000);
        let sent = format!(
            r#"{{"type":"action","data":{{"numbers":{numbers},"key":{private},"text":"{text}"}}}}"#
        );
        let mut found = Split::of(sent.as_bytes(), 2000).unwrap();
        let parts = found.take_parts();
        found.refer(&parts[0], 3000);
        let line = String::from_utf8(found.into_line()).unwrap();
        assert!(line.contains(numbers), "{line}");
        assert!(line.contains(private), "{line}");
    }

    /// Returns where the value is that a path names.
    fn pointer_of(value: &Value, path: &str) -> Option<String> {
        let dots = path.match_indices('.').map(|(at, _)| at);
        let inner = dots.into_iter().find_map(|at| {
            let rest = pointer_of(value.get(&path[..at])?, &path[at + 1..])?;
            Some(format!("/{}{rest}", &path[..at]))
        });
        inner.or_else(|| value.get(path).map(|_| format!("/{path}")))
    }

    /// Returns a record as a reader restores it.
    fn restored(mut found: Split) -> Value {
        let parts = found.take_parts();
        parts
            .iter()
            .for_each(|part| found.refer(part, part.bytes.len() as u64));
        let mut data = line(found);
        let blob = |reference: &Value| {
            let name = reference["$blob"].as_str().unwrap();
            let part = parts
                .iter()
                .find(|part| format!("sha256:{}", part.name) == name);
            String::from_utf8(part.unwrap().bytes.clone()).unwrap()
        };
        let listed = data["blobs"].take();
        for (path, reference) in listed.as_object().into_iter().flatten() {
            let pointer = pointer_of(&data, path).unwrap();
            *data.pointer_mut(&pointer).unwrap() = blob(reference).into();
        }
        let fields = data.as_object_mut().unwrap();
        fields.retain(|name, _| !matches!(name.as_str(), "truncated" | "blobs"));
        data
    }

    #[test]
    fn texts_with_the_same_path_are_all_kept() {
        let [one, two, more] = ["1", "2", "3"].map(|digit| digit.repeat(3000));
        for data in [
            json!({"a.b": one, "a": {"b": two}, "more": more}),
            json!({"a": {"b": one}, "a.b": two, "more": more}),
            json!({"a.b.c": one, "a": {"b.c": two}, "more": more}),
            json!({"a.b": one, "a": {"b": "short"}, "more": more}),
            json!({"a.b": "short", "a": {"b": one}, "more": more}),
            json!({"a.0": one, "a": [two], "more": more}),
            json!({"x": one, "": {"x": two}, "more": more}),
        ] {
            let found = split(&data, 2000).unwrap();
            assert_eq!(found.parts.len(), 1, "{data}");
            assert_eq!(restored(found), data);
        }
    }

    #[test]
    fn a_text_that_cannot_be_listed_is_its_reference_if_the_record_is_too_large() {
        let [one, two] = ["1", "2"].map(|digit| digit.repeat(MAX_EVENT_BYTES / 2 + 1));
        let data = json!({"a.b": one, "a": {"b": two}});
        let mut found = split(&data, 2000).unwrap();
        let parts = found.take_parts();
        assert_eq!(parts.len(), 1);
        parts.iter().for_each(|part| found.refer(part, 1));
        let line = line(found);
        assert!(line.to_string().len() <= MAX_EVENT_BYTES);
        assert_eq!(line["a.b"], data["a.b"]);
        assert_eq!(line["a"]["b"]["mediaType"], TEXT);
        assert_eq!(line.get("blobs"), None);
    }

    #[test]
    fn a_reference_that_a_writer_listed_is_not_replaced() {
        let own = json!({"text": {"$blob": "sha256:0"}});
        let data = json!({"text": "x".repeat(3000), "more": "y".repeat(3000), "blobs": own});
        let mut found = split(&data, 2000).unwrap();
        let parts = found.take_parts();
        parts.iter().for_each(|part| found.refer(part, 1));
        let line = line(found);
        assert_eq!(line["blobs"]["text"], own["text"]);
        assert_eq!(line["text"], data["text"]);
        assert!(line["blobs"]["more"].is_object());
    }

    #[test]
    fn a_value_that_is_stored_nowhere_is_cut_without_a_reference() {
        let image = STANDARD.encode([&b"\x89PNG\r\n\x1a\n"[..], &[200; 1200]].concat());
        let data = json!({"text": "x".repeat(3000), "data": image});
        let mut found = split(&data, 2000).unwrap();
        let parts = found.take_parts();
        parts.iter().for_each(|part| found.cut(part));
        let data = line(found);
        assert_eq!(data["data"], format!("[{} bytes left out]", image.len()));
        assert_eq!(
            data["truncated"],
            json!({"text": 3000, "data": image.len()})
        );
        assert_eq!(data.get("blobs"), None);
    }

    #[test]
    fn a_record_that_cannot_list_its_values_stays_whole() {
        for data in [
            json!({"text": "x".repeat(3000), "blobs": 3}),
            json!({"text": "x".repeat(3000), "truncated": true}),
            json!({"text": "x".repeat(2000)}),
        ] {
            assert!(split(&data, 2000).is_none(), "{data}");
        }
    }
}
