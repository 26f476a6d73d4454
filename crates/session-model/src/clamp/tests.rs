use std::fmt::Write as _;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::text::cut;
use super::*;

const LEAST: usize = MIN as usize;

fn parsed(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(bytes)))
}

fn in_pieces(json: &[u8], form: Form, limit: usize, sizes: &[usize]) -> Vec<u8> {
    let mut measure = Measure::new(form, limit);
    let pieces = || {
        let mut sizes = sizes.iter().cycle();
        let mut rest = json;
        std::iter::from_fn(move || {
            let (piece, after) = rest.split_at((*sizes.next()?).min(rest.len()));
            rest = after;
            (!piece.is_empty()).then_some(piece)
        })
    };
    pieces().for_each(|piece| measure.feed(piece));
    let mut clamper = Clamper::new(form, measure.cut());
    let mut out = Vec::new();
    pieces().for_each(|piece| clamper.feed(piece, &mut out));
    out
}

#[test]
fn a_record_within_the_limit_stays_as_it_is() {
    assert_eq!(clamp(br#"{"a":"b"}"#, Form::Record, LEAST), None);
}

#[test]
fn a_long_value_is_cut_and_listed_and_the_others_stay() {
    let record = json!({"seq": 7, "type": "tool_result", "output": "ä".repeat(5000), "status": "ok",
        "input": {"content": ["x".repeat(3000), 1.50]}, "$crc": "00000000"});
    let clamped = clamp(record.to_string().as_bytes(), Form::Record, 2000).unwrap();
    assert!(clamped.len() <= 2000, "{}", clamped.len());
    let clamped = parsed(&clamped);
    assert_eq!(clamped["seq"], 7);
    assert_eq!(clamped["status"], "ok");
    assert_eq!(clamped["input"]["content"][1], 1.5);
    assert_eq!(
        clamped["truncated"],
        json!({"output": 10000, "input.content.0": 3000})
    );
    assert!(clamped["output"].as_str().unwrap().len() > 500);
    assert!(clamped.get("$crc").is_none());
}

#[test]
fn long_names_of_fields_stay_different() {
    let long = |end: char| format!("{}{end}", "k".repeat(1100));
    let record = json!({"type": "x", long('A'): 1, long('B'): 2, "t": "z".repeat(9000)});
    for sizes in [vec![1 << 20], vec![7], vec![1030, 1]] {
        let clamped = in_pieces(record.to_string().as_bytes(), Form::Record, 4096, &sizes);
        let clamped = parsed(&clamped);
        let fields = clamped.as_object().unwrap();
        let values: Vec<&Value> = fields
            .iter()
            .filter(|(name, _)| name.starts_with('k'))
            .map(|(_, value)| value)
            .collect();
        assert_eq!(values, [1, 2], "{sizes:?}");
        assert!(fields.keys().all(|name| name.len() <= 1024));
    }
}

#[test]
fn the_length_before_the_first_cut_stays_listed() {
    let record = json!({"output": "x".repeat(5000), "truncated": {"output": 90000, "input": 7}});
    let clamped = parsed(&clamp(record.to_string().as_bytes(), Form::Record, LEAST).unwrap());
    assert_eq!(clamped["truncated"], json!({"output": 90000, "input": 7}));
}

#[test]
fn an_event_keeps_what_is_around_its_record() {
    let event = json!({"type": "action", "sessionId": "s".repeat(128), "data": {"seq": 1, "output": "x".repeat(5000)},
        "offset": 9});
    let clamped = clamp(event.to_string().as_bytes(), Form::Event, LEAST).unwrap();
    assert!(clamped.len() <= LEAST);
    let clamped = parsed(&clamped);
    assert_eq!(clamped["sessionId"], event["sessionId"]);
    assert_eq!(clamped["offset"], 9);
    assert_eq!(clamped["data"]["truncated"], json!({"output": 5000}));
    assert!(clamped.get("truncated").is_none());
}

#[test]
fn a_record_of_many_small_values_keeps_the_fields_that_fit() {
    let list: Vec<u64> = (0..2000).collect();
    let mut record = String::from(r#"{"seq":7,"type":"x","list":"#);
    write!(record, "{}", json!(list)).unwrap();
    for n in 0..300 {
        write!(record, r#","field{n}":"{n}""#).unwrap();
    }
    record.push('}');
    let clamped = clamp(record.as_bytes(), Form::Record, LEAST).unwrap();
    assert!(clamped.len() <= LEAST, "{}", clamped.len());
    let clamped = parsed(&clamped);
    assert_eq!(clamped["seq"], 7);
    assert_eq!(clamped["list"], Value::Null);
    assert_eq!(
        clamped["truncated"]["list"],
        json!(list).to_string().len() as u64
    );
    assert_eq!(clamped["field0"], "0");
    assert!(clamped["truncated"]["*"].as_u64().unwrap() > 0);
}

#[test]
fn white_space_outside_of_strings_is_dropped() {
    let pad = " \t\r\n".repeat(2000);
    let text =
        format!(r#"{{{pad}"seq":{pad}7{pad},"a b":{pad}[{pad}1{pad},{pad}"x y"{pad}]{pad}}}"#);
    let clamped = clamp(text.as_bytes(), Form::Record, LEAST).unwrap();
    assert_eq!(
        String::from_utf8(clamped).unwrap(),
        r#"{"seq":7,"a b":[1,"x y"]}"#
    );
}

#[test]
fn what_follows_the_record_of_an_event_fits_although_fields_are_dropped() {
    for stored in [json!({}), json!({"a".repeat(200): 1, "b".repeat(200): 2})] {
        for many in 1..400 {
            let list: Vec<u64> = (0..many * 3).collect();
            let event = json!({"offset": 9, "type": "state_updated", "sessionId": "s".repeat(128),
                "data": {"truncated": stored, "list": list, "x": "x"},
                "timestamp": "2026-01-01T00:00:00.000Z", "format": "merge-patch"});
            let Some(clamped) = clamp(event.to_string().as_bytes(), Form::Event, LEAST) else {
                continue;
            };
            assert!(clamped.len() <= LEAST, "{} with {many}", clamped.len());
            assert_eq!(parsed(&clamped)["format"], "merge-patch");
        }
    }
}

#[test]
fn a_path_with_an_escape_that_is_no_character_is_listed_within_the_limit() {
    let record = format!(r#"{{"{}":"{}"}}"#, "\\ud800".repeat(100), "x".repeat(9000));
    for limit in LEAST + 400..LEAST + 1200 {
        let clamped = clamp(record.as_bytes(), Form::Record, limit).unwrap();
        assert!(clamped.len() <= limit, "{} of {limit}", clamped.len());
    }
}

#[test]
fn a_long_stored_list_is_cut_too() {
    let stored: serde_json::Map<String, Value> =
        (0..900).map(|n| (format!("p{n}"), n.into())).collect();
    let record = json!({"type": "x", "output": "y".repeat(2000), "truncated": stored});
    for limit in [1024, 2048, 4096, 8192] {
        let clamped = clamp(record.to_string().as_bytes(), Form::Record, limit).unwrap();
        assert!(clamped.len() <= limit, "{} of {limit}", clamped.len());
        assert_eq!(parsed(&clamped)["type"], "x");
    }
}

#[test]
fn a_head_ends_neither_within_a_character_nor_within_an_escape() {
    let table: [(&str, usize, &str); 9] = [
        ("abcdef", 3, "abc"),
        ("aäöü", 4, "aä"),
        ("a\\nb", 2, "a"),
        ("a\\nb", 3, "a\\n"),
        ("a\\u00e4b", 6, "a"),
        ("a\\u00e4b", 7, "a\\u00e4"),
        ("\\ud83d\\ude00x", 11, ""),
        ("\\ud83d\\ude00x", 12, "\\ud83d\\ude00"),
        ("abc", 9, "abc"),
    ];
    for (text, limit, expected) in table {
        let end = cut(text.as_bytes(), limit);
        assert_eq!(&text[..end], expected, "{text} at {limit}");
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let text = prop_oneof![
        ".{0,20}",
        Just("\u{1f600}\"\\\n".repeat(400)),
        Just("x".repeat(3000))
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        text.prop_map(Value::from)
    ];
    leaf.prop_recursive(4, 64, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
            prop::collection::hash_map("[a-z\"\\\\ü]{0,12}", inner, 0..8)
                .prop_map(|map| Value::Object(map.into_iter().collect()))
        ]
    })
}

/// Checks that a cut value is a part of the original.
fn is_part(cut: &Value, whole: &Value) -> bool {
    match (cut, whole) {
        (Value::String(cut), Value::String(whole)) => whole.starts_with(cut.as_str()),
        (Value::Array(cut), Value::Array(whole)) => {
            cut.len() == whole.len()
                && cut
                    .iter()
                    .zip(whole)
                    .all(|(cut, whole)| is_part(cut, whole))
        }
        (Value::Object(cut), Value::Object(whole)) => {
            cut.len() == whole.len()
                && cut
                    .iter()
                    .all(|(key, cut)| whole.get(key).is_some_and(|whole| is_part(cut, whole)))
        }
        (cut, whole) => cut == whole,
    }
}

/// Writes `pads` in turn at every place outside of strings where white space may be.
fn padded(json: &str, pads: &[String]) -> String {
    let mut pads = pads.iter().cycle();
    let mut out = String::new();
    let (mut in_string, mut escaped) = (false, false);
    for char in json.chars() {
        let is_structure = !in_string && "{}[]:,".contains(char);
        if is_structure {
            out.extend(pads.next().map(String::as_str));
        }
        out.push(char);
        if is_structure {
            out.extend(pads.next().map(String::as_str));
        }
        match char {
            _ if escaped => escaped = false,
            '\\' => escaped = in_string,
            '"' => in_string = !in_string,
            _ => {}
        }
    }
    out
}

proptest! {
    #[test]
    fn any_record_fits_is_a_part_of_the_original_and_depends_on_no_piece(
        fields in prop::collection::hash_map("[a-z]{1,8}", any_json(), 0..12),
        stored in prop::option::of(prop::collection::hash_map("[a-z\"\\\\.ü]{1,60}", any::<u64>(), 0..40)),
        limit in LEAST..6000,
        sizes in prop::collection::vec(1..40_usize, 1..6),
        pads in prop::collection::vec("[ \t\r\n]{0,40}", 0..4),
        is_event in any::<bool>(),
    ) {
        let mut record: serde_json::Map<String, Value> = fields.into_iter().collect();
        if let Some(stored) = stored {
            record.insert("truncated".to_owned(), json!(stored));
        }
        let record = Value::Object(record);
        let (form, whole) = if is_event {
            (Form::Event, json!({"offset": 1, "type": "action", "sessionId": "s".repeat(128),
                "data": record, "timestamp": "2026-01-01T00:00:00.000Z", "format": "json-patch"}))
        } else {
            (Form::Record, record.clone())
        };
        let compact = whole.to_string();
        let text = padded(&compact, &pads);
        let Some(clamped) = clamp(text.as_bytes(), form, limit) else {
            prop_assert!(text.len() <= limit);
            return Ok(());
        };
        prop_assert!(clamped.len() <= limit, "{} of {limit}", clamped.len());
        prop_assert_eq!(&clamped, &in_pieces(text.as_bytes(), form, limit, &sizes));
        let value = parsed(&clamped);
        let clamped = if is_event { &value["data"] } else { &value };
        if is_event {
            prop_assert_eq!(&value["timestamp"], &whole["timestamp"]);
        }
        let list = clamped["truncated"].as_object().cloned().unwrap_or_default();
        prop_assert!(!list.is_empty() || compact.len() <= limit);
        for (name, cut) in clamped.as_object().unwrap() {
            prop_assert!(!cut.is_null() || record[name].is_null() || list.contains_key(name), "{name}");
            if name != "truncated" && !list.contains_key(name) {
                prop_assert!(is_part(cut, &record[name]), "{name}");
            }
        }
    }
}
