//! Whatever a client sends: refused in words, or stored as one sealed line that reads back as it came.

#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use session_model::line::{self, Seal};
use session_model::{Command, RecordBody, Timestamp, json};

const RESERVED: [&str; 4] = ["seq", "timestamp", "$offset", "$crc"];

fuzz_target!(|bytes: &[u8]| {
    let _ = line::check(bytes);
    let _ = line::head(bytes);
    let _ = json::object(bytes);
    if let Ok(text) = std::str::from_utf8(bytes) {
        if let Ok(Command::Action(body) | Command::Response(body)) = Command::parse_line(text) {
            stored(&body);
        }
    }
    if let Ok(body) = RecordBody::parse(bytes) {
        let record = stored(&body);
        let Ok(Value::Object(given)) = json::value(bytes) else {
            panic!("a body that is no object was accepted")
        };
        for (key, value) in given.iter().filter(|(key, _)| !RESERVED.contains(&key.as_str())) {
            let kept = key.starts_with("client") || record.get(key) == Some(value);
            assert!(kept, "`{key}` was {value} and is {:?}", record.get(key));
        }
    }
});

/// The line of a body: whole, one line, JSON, with the numbers it was given.
fn stored(body: &RecordBody<'_>) -> Value {
    let mut out = Vec::new();
    body.write_line(&mut out, 7, Timestamp::from_millis(1_790_000_000_000), 91);
    assert_eq!(out.pop(), Some(b'\n'));
    assert!(!out.contains(&b'\n'), "one line");
    assert_eq!(line::check(&out), Seal::Whole);
    let head = line::head(&out).expect("a line of ours has a head");
    assert_eq!((head.seq, head.offset), (7, 91));
    let record: Value = json::stored(&out).expect("a stored line is JSON");
    assert_eq!(record["seq"], 7);
    record
}
