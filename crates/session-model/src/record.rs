//! The body of an action or response: checked once, and copied into its line without being rebuilt.
//!
//! One pass checks that the body is UTF-8, JSON, an object and not nested too deeply, and finds its
//! `type` and its record key. If the body has no reserved key, or begins with a `timestamp` as bodies from our own
//! clients do, its bytes go into the line unchanged. Otherwise its fields are copied one by one,
//! and the caller's reserved keys are renamed (`seq` becomes `clientSeq`, and so on), so that
//! nothing is lost. A valid `timestamp` stays.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::code::Refusal;
use crate::json;
use crate::line;
use crate::placeholder;
use crate::record_key::Indexed;
use crate::records::{self, RecordType, Warning};
use crate::survey::{Reserved, Survey, reserved_as, survey};
use crate::tally::Tally;
use crate::timestamp::Timestamp;
use crate::upgrade;
use crate::usage::{RecordRef, Snapshot};

/// A checked body.
#[derive(Debug, Clone)]
pub struct RecordBody<'a> {
    text: Cow<'a, str>,
    tally: Tally,
    reserved: Reserved,
    marked: bool,
    warnings: Vec<Warning>,
    key: Option<Cow<'a, str>>,
    amends: Option<Cow<'a, str>>,
    is_usage: bool,
}

impl<'a> RecordBody<'a> {
    /// Checks the bytes of a request.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Refusal> {
        Self::parse_text(json::text(bytes)?)
    }

    /// Checks a body that is known to be UTF-8.
    pub fn parse_text(text: &'a str) -> Result<Self, Refusal> {
        match survey(text) {
            Ok(survey) => Ok(Self::new(Cow::Borrowed(text), survey)),
            Err(error) => match json::repair_surrogates(text) {
                Some(repaired) => {
                    let survey = survey(&repaired).map_err(|e| refuse(&e, &repaired))?;
                    let survey = survey.into_owned();
                    Ok(Self::new(Cow::Owned(repaired), survey))
                }
                None => Err(refuse(&error, text)),
            },
        }
    }

    fn new(text: Cow<'a, str>, mut survey: Survey<'a>) -> Self {
        let text = match text {
            Cow::Borrowed(text) => Cow::Borrowed(trimmed(text)),
            Cow::Owned(text) => Cow::Owned(trimmed(&text).to_owned()),
        };
        let suspect = survey.suspect;
        let warnings = suspect.map_or_else(Vec::new, |kind| records::warnings(&text, kind));
        Self {
            text,
            tally: survey.tally(),
            reserved: survey.reserved,
            marked: true,
            warnings,
            is_usage: survey.is_usage(),
            amends: survey.amends(),
            key: survey.key,
        }
    }

    /// The first fields of another kind than the vocabulary says.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// Sets whether the body may contain redaction placeholders, as its redaction found.
    #[must_use]
    pub fn marked(mut self, marked: bool) -> Self {
        self.marked = marked;
        self
    }

    /// The counters that this record affects.
    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// The record key, if the body has a valid one.
    pub fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }

    /// The key of the record that this one amends; `None` if this is no `amend` record.
    pub fn amends(&self) -> Option<&str> {
        self.amends.as_deref()
    }

    /// Which entries the record has in the index of record keys.
    pub fn indexed(&self) -> Indexed {
        Indexed {
            key: self.key.is_some(),
            amends: self.amends.is_some(),
        }
    }

    /// Whether this is a `usage` record.
    pub fn is_usage(&self) -> bool {
        self.is_usage
    }

    /// The key of the record that this one amends, if it adds a field that a `usage` record has.
    /// Reads the fields of an `amend` record, and of no other.
    pub fn amends_usage(&self) -> Option<&str> {
        let of = self.amends()?;
        let fields = json::object(self.text.as_bytes()).ok()?;
        let names = RecordType::Usage.fields().iter().map(|field| field.name);
        let mut added = names.filter(|name| fields.contains_key(*name));
        added.next().map(|_| of)
    }

    /// What the record says about a model request, if it is a `usage` record with valid counts.
    pub fn usage(&self, place: RecordRef) -> Option<Snapshot> {
        if !self.is_usage {
            return None;
        }
        let fields = json::object(self.text.as_bytes()).ok()?;
        Snapshot::of(place, &upgrade::read(fields)).ok()
    }

    /// The valid `timestamp` of the body, if it has one.
    pub fn timestamp(&self) -> Option<Timestamp> {
        if self.reserved == Reserved::None {
            return None;
        }
        let fields: Fields<'_> =
            serde_json::from_str(&self.text).expect("was parsed when it was received");
        let kept = fields
            .0
            .iter()
            .rev()
            .find_map(|(key, value)| valid_timestamp(key, value))?;
        Timestamp::parse(&kept)
    }

    /// The approximate length of its line, in bytes.
    pub fn len_hint(&self) -> usize {
        self.text.len() + 128
    }

    /// Writes the stored line, including the newline. Returns the number of redaction placeholders
    /// in it.
    pub fn write_line(&self, out: &mut Vec<u8>, seq: u64, at: Timestamp, offset: u64) -> u64 {
        let start = out.len();
        let fields = trimmed(&self.text[1..self.text.len() - 1]);
        let time_first = || {
            (self.reserved == Reserved::TimeFirst)
                .then(|| leading_timestamp(fields))
                .flatten()
        };
        if self.reserved == Reserved::None {
            at.with_text(|at| write_fields(out, seq, at, offset, fields));
        } else if let Some((kept, fields)) = time_first() {
            write_fields(out, seq, kept, offset, fields);
        } else {
            self.write_renamed(out, seq, at, offset);
        }
        line::seal(out, start);
        if self.marked {
            placeholder::count(&out[start..])
        } else {
            0
        }
    }

    fn write_renamed(&self, out: &mut Vec<u8>, seq: u64, at: Timestamp, offset: u64) {
        let fields: Fields<'_> =
            serde_json::from_str(&self.text).expect("was parsed when it was received");
        let kept = fields
            .0
            .iter()
            .rev()
            .find_map(|(key, value)| valid_timestamp(key, value));
        line::open(out, seq, kept.as_deref().unwrap_or(&at.to_string()), offset);
        let mut names = FreeNames::beside(&fields);
        for (key, value) in &fields.0 {
            if valid_timestamp(key, value).is_some() {
                continue;
            }
            let name = match reserved_as(key) {
                Some(renamed) => Cow::Owned(names.take(renamed)),
                None => Cow::Borrowed(key.as_str()),
            };
            out.push(b',');
            serde_json::to_writer(&mut *out, &name).expect("writing to a Vec cannot fail");
            out.push(b':');
            append_one_line(out, value.get());
        }
    }
}

fn write_fields(out: &mut Vec<u8>, seq: u64, timestamp: &str, offset: u64, fields: &str) {
    line::open(out, seq, timestamp, offset);
    if !fields.is_empty() {
        out.push(b',');
        append_one_line(out, fields);
    }
}

/// Splits a valid timestamp off the fields that begin with it.
fn leading_timestamp(fields: &str) -> Option<(&str, &str)> {
    let value = trimmed(trimmed(fields.strip_prefix("\"timestamp\"")?).strip_prefix(':')?);
    let (text, rest) = value.strip_prefix('"')?.split_once('"')?;
    Timestamp::parse(text)?;
    let rest = trimmed(rest);
    Some((
        text,
        if rest.is_empty() {
            rest
        } else {
            trimmed(rest.strip_prefix(',')?)
        },
    ))
}

fn trimmed(text: &str) -> &str {
    text.trim_matches([' ', '\t', '\r', '\n'])
}

fn refuse(error: &serde_json::Error, text: &str) -> Refusal {
    let is_object = text
        .trim_start_matches([' ', '\t', '\r', '\n'])
        .starts_with('{');
    if error.is_data() && !is_object {
        json::not_an_object()
    } else {
        json::malformed(error)
    }
}

/// Appends JSON as one line. Any raw newlines in it must be white space between tokens.
fn append_one_line(out: &mut Vec<u8>, text: &str) {
    let start = out.len();
    out.extend_from_slice(text.as_bytes());
    for at in memchr::memchr2_iter(b'\n', b'\r', text.as_bytes()) {
        out[start + at] = b' ';
    }
}

fn valid_timestamp(key: &str, value: &RawValue) -> Option<String> {
    if key != "timestamp" {
        return None;
    }
    let text: String = serde_json::from_str(value.get()).ok()?;
    let is_valid = Timestamp::parse(&text).is_some() && !text.contains(['"', '\\']);
    is_valid.then_some(text)
}

/// Names that no field of the body has: `clientSeq`, `clientSeq_`, `clientSeq_2`, `clientSeq_3` and
/// so on.
struct FreeNames<'f> {
    fields: HashSet<&'f str>,
    /// How many candidates were tried for each name.
    tried: HashMap<&'static str, u64>,
}

impl<'f> FreeNames<'f> {
    fn beside(fields: &'f Fields<'_>) -> Self {
        Self {
            fields: fields.0.iter().map(|(key, _)| key.as_str()).collect(),
            tried: HashMap::new(),
        }
    }

    fn take(&mut self, wanted: &'static str) -> String {
        let tried = self.tried.entry(wanted).or_default();
        loop {
            let name = match *tried {
                0 => wanted.to_owned(),
                1 => format!("{wanted}_"),
                number => format!("{wanted}_{number}"),
            };
            *tried += 1;
            if !self.fields.contains(name.as_str()) {
                return name;
            }
        }
    }
}

/// The fields of a body in order, with unchanged values.
struct Fields<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FieldsVisitor;
        impl<'de> Visitor<'de> for FieldsVisitor {
            type Value = Fields<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
                let mut fields = Vec::new();
                while let Some(entry) = map.next_entry::<String, &RawValue>()? {
                    fields.push(entry);
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(FieldsVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::Metric;
    use serde_json::{Value, json};

    fn stored(body: &str) -> Value {
        let mut out = Vec::new();
        let at = Timestamp::from_millis(0);
        RecordBody::parse(body.as_bytes())
            .unwrap()
            .write_line(&mut out, 3, at, 9);
        assert_eq!(out.pop(), Some(b'\n'));
        assert!(!out.contains(&b'\n') && !out.contains(&b'\r'));
        assert_eq!(line::check(&out), line::Seal::Whole);
        let mut value: Value = serde_json::from_slice(&out).unwrap();
        value.as_object_mut().unwrap().shift_remove("$crc");
        value
    }

    const NOW: &str = "1970-01-01T00:00:00.000Z";

    #[test]
    fn a_body_goes_into_its_line_as_it_came() {
        for (body, expected) in [
            ("{}", json!({"seq": 3, "timestamp": NOW, "$offset": 9})),
            (
                " {\n \"type\": \"x\" ,\r\n \"a\": [1,\n2] }\n",
                json!({"seq": 3, "timestamp": NOW, "$offset": 9, "type": "x", "a": [1, 2]}),
            ),
            (
                r#"{"text":"line\nbreak ü"}"#,
                json!({"seq": 3, "timestamp": NOW, "$offset": 9, "text": "line\nbreak ü"}),
            ),
        ] {
            assert_eq!(stored(body), expected);
        }
    }

    #[test]
    fn reserved_keys_of_the_caller_are_kept_under_another_name() {
        let claimed = "2024-05-01T10:00:00.250Z";
        for (body, expected) in [
            (
                json!({"seq": 99, "a": 1}),
                json!({"seq": 3, "timestamp": NOW, "$offset": 9, "clientSeq": 99, "a": 1}),
            ),
            (
                json!({"timestamp": claimed}),
                json!({"seq": 3, "timestamp": claimed, "$offset": 9}),
            ),
            (
                json!({"timestamp": "noon"}),
                json!({"seq": 3, "timestamp": NOW, "$offset": 9, "clientTimestamp": "noon"}),
            ),
            (
                json!({"timestamp": 5, "$offset": 1, "$crc": 0}),
                json!({"seq": 3, "timestamp": NOW, "$offset": 9, "clientTimestamp": 5, "clientOffset": 1, "clientCrc": 0}),
            ),
            (
                json!({"seq": 1, "clientSeq": 2}),
                json!({"seq": 3, "timestamp": NOW, "$offset": 9, "clientSeq_": 1, "clientSeq": 2}),
            ),
        ] {
            assert_eq!(stored(&body.to_string()), expected);
        }
        assert_eq!(stored(r#"{"\u0073eq":5}"#)["clientSeq"], 5);
    }

    #[test]
    fn a_reserved_key_that_stands_a_hundred_thousand_times_is_kept_each_time() {
        let body = format!("{{{}}}", vec![r#""seq":1"#; 100_000].join(","));
        assert_eq!(stored(&body).as_object().unwrap().len(), 100_000 + 3);
    }

    #[test]
    fn a_body_that_begins_with_its_time_is_stored_like_one_that_has_it_elsewhere() {
        let claimed = "2024-05-01T10:00:00.250Z";
        for (body, expected) in [
            (format!(r#"{{"timestamp":"{claimed}"}}"#), json!({})),
            (
                format!("{{ \"timestamp\" :\n\"{claimed}\" ,\r\n\"a\":[1,\n2] }}"),
                json!({"a": [1, 2]}),
            ),
            (
                format!(r#"{{"timestamp":"{claimed}","seq":4}}"#),
                json!({"clientSeq": 4}),
            ),
            (
                format!(r#"{{"timestamp":"{claimed}","a":1,"timestamp":"noon"}}"#),
                json!({"a": 1, "clientTimestamp": "noon"}),
            ),
            (
                format!(r#"{{"\u0074imestamp":"{claimed}","a":1}}"#),
                json!({"a": 1}),
            ),
        ] {
            let mut whole = json!({"seq": 3, "timestamp": claimed, "$offset": 9});
            whole
                .as_object_mut()
                .unwrap()
                .extend(expected.as_object().unwrap().clone());
            assert_eq!(stored(&body), whole, "{body}");
        }
        let noon = stored(r#"{"timestamp":"noon","a":1}"#);
        assert_eq!(
            noon,
            json!({"seq": 3, "timestamp": NOW, "$offset": 9, "clientTimestamp": "noon", "a": 1})
        );
    }

    #[test]
    fn what_is_no_object_or_no_json_is_refused_with_its_place() {
        use crate::code::Code;
        for (body, code) in [
            ("", Code::InvalidJson),
            ("[1]", Code::InvalidRequest),
            ("\"x\"", Code::InvalidRequest),
            ("7", Code::InvalidRequest),
            ("{\"a\":}", Code::InvalidJson),
            ("{} {}", Code::InvalidJson),
            ("{\"a\":tru}", Code::InvalidJson),
            ("{\"a\":1,\"b\":1.5,\"c\":-1,\"d\":}", Code::InvalidJson),
            ("{", Code::InvalidJson),
        ] {
            assert_eq!(
                RecordBody::parse(body.as_bytes()).unwrap_err().code,
                code,
                "{body}"
            );
        }
        let deep = format!("{{\"a\":{}", "[".repeat(100_000));
        assert!(
            RecordBody::parse(deep.as_bytes())
                .unwrap_err()
                .message
                .contains("nested deeper")
        );
        assert!(
            RecordBody::parse(b"{\"a\":\"\xff\"}")
                .unwrap_err()
                .message
                .contains("UTF-8")
        );
    }

    #[test]
    fn the_type_chooses_the_metric() {
        for (body, metric) in [
            (r#"{"type":"file_edit"}"#, Some(Metric::FilesModified)),
            (r#"{"type":"search"}"#, Some(Metric::ToolCalls)),
            (r#"{"type":"anything"}"#, Some(Metric::ToolCalls)),
            (r#"{"no":"type"}"#, Some(Metric::ToolCalls)),
            (r#"{"a":{"type":"bash_exec"}}"#, Some(Metric::ToolCalls)),
            (r#"{"type":["bash_exec"]}"#, Some(Metric::ToolCalls)),
            (r#"{"type":"tool_result"}"#, None),
            (r#"{"type":"session_start"}"#, None),
            (r#"{"type":"step\u005fstart"}"#, None),
        ] {
            assert_eq!(
                RecordBody::parse(body.as_bytes()).unwrap().tally().metric,
                metric,
                "{body}"
            );
        }
    }

    #[test]
    fn what_tells_of_an_error_is_the_fixture() {
        let table: Vec<(Box<RawValue>, bool)> =
            serde_json::from_str(include_str!("../tests/fixtures/errors.json")).unwrap();
        for (body, is_error) in table {
            let body = body.get();
            assert_eq!(
                RecordBody::parse(body.as_bytes()).unwrap().tally().is_error,
                is_error,
                "{body}"
            );
        }
    }
}
