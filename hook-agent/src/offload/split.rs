//! A record, and the long values that were taken out of it.

use serde_json::{Map, Value};
use session_model::records::BlobRef;
use session_model::{BlobName, json};
use sha2::{Digest as _, Sha256};

use super::base64::{MIN_BASE64, decode};
use super::values::{ValuePath, for_each_long};

const TEXT: &str = "text/plain; charset=utf-8";
/// The fields of a record that list its cut values: their lengths, and the references to the whole.
const TRUNCATED: &str = "truncated";
const BLOBS: &str = "blobs";
/// How deep a reference may be: the service limits the depth of a record.
const DEEPEST: usize = 100;
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
        }
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
            Ok(text) if self.prefix.is_none() => text,
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
        (!parts.is_empty()).then_some(Self { line, parts, above })
    }

    pub(crate) fn take_parts(&mut self) -> Vec<Part> {
        std::mem::take(&mut self.parts)
    }

    /// Puts a reference in the place of a value that is stored as a blob.
    pub(crate) fn refer(&mut self, part: &Part, stored: u64) {
        let reference = part.reference(stored);
        if part.prefix.is_some() {
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
